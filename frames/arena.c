/* Blocks that double in size up to a megabyte; whatever is larger gets one of its own. */
#include "arena.h"

#include "status.h"

#include <string.h>

#define FIRST_BYTES 2048u
#define MOST_BYTES  (1u << 20)
#define ALIGN       16u

struct fc__arena_block {
    struct fc__arena_block *next;
    size_t bytes; /* as allocated */
    char data[] __attribute__((aligned(ALIGN)));
};

static bool grow(fc__arena *arena, size_t bytes) {
    size_t block_bytes = arena->blocks ? arena->blocks->bytes * 2 : FIRST_BYTES;
    fc__arena_block *block;

    if (block_bytes > MOST_BYTES)
        block_bytes = MOST_BYTES;
    if (block_bytes < sizeof *block + bytes)
        block_bytes = sizeof *block + bytes;
    block = fc__calloc(1, block_bytes);
    if (!block)
        return false;
    block->next = arena->blocks;
    block->bytes = block_bytes;
    arena->blocks = block;
    arena->at = block->data;
    arena->end = (char *)block + block_bytes;
    return true;
}

void *fc__arena_take(fc__arena *arena, size_t count, size_t bytes) {
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total) || total > PTRDIFF_MAX / 2)
        return NULL;
    char *start = (char *)fc__round_up((uintptr_t)arena->at, ALIGN);
    if (!arena->at || start > arena->end || total > (size_t)(arena->end - start)) {
        if (!grow(arena, total + ALIGN))
            return NULL;
        start = arena->at;
    }
    arena->at = start + total;
    return start;
}

char *fc__arena_copy(fc__arena *arena, const void *data, size_t bytes) {
    if (bytes >= PTRDIFF_MAX / 2 ||
        ((!arena->at || bytes >= (size_t)(arena->end - arena->at)) &&
         !grow(arena, bytes + 1)))
        return NULL;
    char *copy = arena->at;
    memcpy(copy, data, bytes);
    arena->at += bytes + 1;
    return copy;
}

void fc__arena_free(fc__arena *arena) {
    while (arena->blocks) {
        fc__arena_block *next = arena->blocks->next;
        fc__free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (fc__arena){0};
}
