/* The test hooks of fault.h; empty in a library that is shipped. */
#include "fault.h"

#ifdef FC_FAULTS
#include <stdatomic.h>
#include <stddef.h>

static _Atomic long passed[FC__FAULT_KINDS];
static _Atomic long failing[FC__FAULT_KINDS];
void (*_Atomic fc__step_hook)(const char *name);

bool fc__fault(int kind) {
    long now = atomic_fetch_add(&passed[kind], 1) + 1;
    return now == atomic_load(&failing[kind]);
}

long fc__fault_set(int kind, long nth) {
    long before = atomic_exchange(&passed[kind], 0);
    atomic_store(&failing[kind], nth);
    return before;
}

void fc__step(const char *name) {
    void (*hook)(const char *name) = atomic_load(&fc__step_hook);
    if (hook)
        hook(name);
}
#else
typedef int fc__no_faults;
#endif
