/* Bitmaps, eight bytes at a time where it pays. Little-endian, like all of the format. */
#include "bits.h"

#include <string.h>

int64_t fc__bits_count(const uint8_t *bits, int64_t first, int64_t count) {
    int64_t ones = 0, at = first, end = first + count;
    uint64_t word;

    for (; at < end && at & 7; at++)
        ones += fc__bit(bits, at);
    for (; end - at >= 64; at += 64) {
        memcpy(&word, bits + (at >> 3), sizeof word);
        ones += __builtin_popcountll(word);
    }
    for (; at < end; at++)
        ones += fc__bit(bits, at);
    return ones;
}

int64_t fc__bits_run(const uint8_t *bits, int64_t first, int64_t count) {
    bool same = count > 0 && fc__bit(bits, first);
    uint64_t word, whole = same ? ~(uint64_t)0 : 0;
    int64_t at = first, end = first + count;

    for (; at < end && at & 7; at++)
        if (fc__bit(bits, at) != same)
            return at - first;
    for (; end - at >= 64; at += 64) {
        memcpy(&word, bits + (at >> 3), sizeof word);
        if (word != whole)
            return at - first + __builtin_ctzll(word ^ whole);
    }
    for (; at < end && fc__bit(bits, at) == same;)
        at++;
    return at - first;
}

/* `to` at a byte's begin, `from` within a byte; returns how many bits it has done. */
static int64_t copy_words(uint8_t *to, const uint8_t *from, int shift, int64_t count) {
    int64_t done = 0;
    uint64_t word;

    for (; count - done >= 64; done += 64, to += 8, from += 8) {
        memcpy(&word, from, sizeof word);
        word = word >> shift | (uint64_t)from[8] << (64 - shift);
        memcpy(to, &word, sizeof word);
    }
    return done;
}

void fc__bits_copy(uint8_t *to, int64_t to_bit, const uint8_t *from, int64_t from_bit,
                   int64_t count) {
    int64_t done = 0;

    for (; done < count && (to_bit + done) & 7; done++)
        to[(to_bit + done) >> 3] |=
            (uint8_t)(fc__bit(from, from_bit + done) << ((to_bit + done) & 7));
    to += (to_bit + done) >> 3;
    from += (from_bit + done) >> 3;
    count -= done;
    int shift = (int)((from_bit + done) & 7);
    if (shift) {
        done = copy_words(to, from, shift, count);
    } else {
        done = count & ~(int64_t)7;
        memcpy(to, from, (size_t)(done >> 3));
    }
    for (; done < count; done++)
        to[done >> 3] |= (uint8_t)(fc__bit(from, shift + done) << (done & 7));
}

void fc__bits_set(uint8_t *to, int64_t to_bit, int64_t count) {
    int64_t done = 0;

    for (; done < count && (to_bit + done) & 7; done++)
        to[(to_bit + done) >> 3] |= (uint8_t)(1 << ((to_bit + done) & 7));
    to += (to_bit + done) >> 3;
    count -= done;
    memset(to, 0xff, (size_t)(count >> 3));
    for (done = count & ~(int64_t)7; done < count; done++)
        to[done >> 3] |= (uint8_t)(1 << (done & 7));
}
