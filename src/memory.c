/* Allocation for the whole library. With FC_FAULTS tests can make the n-th one fail. */
#include "status.h"

#include "fault.h"

#include <stdlib.h>

void *fc__malloc(size_t bytes) {
    return FC__FAULT(ALLOC) ? NULL : malloc(bytes ? bytes : 1);
}

void *fc__calloc(size_t count, size_t bytes) {
    return FC__FAULT(ALLOC) ? NULL : calloc(count ? count : 1, bytes ? bytes : 1);
}

void *fc__realloc(void *memory, size_t bytes) {
    return FC__FAULT(ALLOC) ? NULL : realloc(memory, bytes ? bytes : 1);
}

void fc__free(void *memory) {
    free(memory);
}
