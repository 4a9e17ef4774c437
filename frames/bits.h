/* Bitmaps as Arrow has them: lowest bit first, at any bit offset. */
#ifndef FC_BITS_H
#define FC_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool fc__bit(const uint8_t *bits, int64_t at) {
    return bits[at >> 3] >> (at & 7) & 1;
}

/* How many of `count` bits from `first` are set. */
int64_t fc__bits_count(const uint8_t *bits, int64_t first, int64_t count);

/* How many of `count` bits from `first` are alike the first of them; 0 if there is none. */
int64_t fc__bits_run(const uint8_t *bits, int64_t first, int64_t count);

/* Copies bits, or sets them, in a target that is zero there. Reads and writes only bytes
 * that hold bits of the range. */
void fc__bits_copy(uint8_t *to, int64_t to_bit, const uint8_t *from, int64_t from_bit,
                   int64_t count);
void fc__bits_set(uint8_t *to, int64_t to_bit, int64_t count);

#endif
