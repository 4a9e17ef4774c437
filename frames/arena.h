/* Memory that is taken in small pieces and given back at once: schema trees and plans. A
 * frame of 100,000 columns takes a few dozen blocks, one of a single column takes one. */
#ifndef FC_ARENA_H
#define FC_ARENA_H

#include <stddef.h>

typedef struct fc__arena_block fc__arena_block;

typedef struct fc__arena { /* all zero: empty */
    fc__arena_block *blocks;
    char *at, *end;
} fc__arena;

/* Zeroed, aligned to 16; NULL when out of memory. count * bytes must not overflow 63
 * bits on pain of NULL. */
void *fc__arena_take(fc__arena *arena, size_t count, size_t bytes);

/* A copy of `bytes` bytes with a NUL behind; NULL when out of memory. */
char *fc__arena_copy(fc__arena *arena, const void *data, size_t bytes);

void fc__arena_free(fc__arena *arena); /* empty again */

#endif
