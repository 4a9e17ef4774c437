/* Integers of 1, 2, 4 or 8 bytes in a values buffer: codes, run ends. */
#ifndef FC_VALUES_H
#define FC_VALUES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* An unsigned one of 8 bytes beyond INT64_MAX comes out negative. */
static inline int64_t fc__integer_at(const void *values, int32_t width, bool is_signed,
                                     int64_t index) {
    int spare = 64 - 8 * width;
    uint64_t value = 0;

    memcpy(&value, (const char *)values + index * width, (size_t)width);
    return is_signed ? (int64_t)(value << spare) >> spare : (int64_t)value;
}

static inline void fc__integer_set(void *values, int32_t width, int64_t index,
                                   int64_t value) {
    memcpy((char *)values + index * width, &value, (size_t)width);
}

/* By the format of the codes of a dictionary. */
static inline bool fc__signed_format(const char *format) {
    return strchr("csil", format[0]);
}

#endif
