/* What both halves of the library share: filling an fc_error, checked arithmetic on sizes
 * from outside, and allocation (which tests can make fail). */
#ifndef FC_STATUS_H
#define FC_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framecache/framecache.h"

/* Writes code and message (one line, cut at 511 bytes) and zeroes the rest; returns
 * `code`. `error` may be NULL. */
int fc__fail(fc_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with sys_errno, whose text is appended: "...: No space left on device". */
int fc__fail_errno(fc_error *error, int code, int sys_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds context in front of a message that is already there: "column 'x': ...". Returns
 * `code`. */
int fc__fail_prefix(fc_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* `result` of a call whose callback returned it, and so ended it; 0 is none. */
int fc__ended(fc_error *error, int result, const char *call);

/* The text of an errno, in `text` or static. strerror_r() by a name of its own: C libraries have
 * two functions of that name. */
const char *fc__errno_text(int sys_errno, char *text, size_t text_bytes);

/* As malloc, calloc, realloc, free; what they return is freed with fc__free only. */
void *fc__malloc(size_t bytes);
void *fc__calloc(size_t count, size_t bytes);
void *fc__realloc(void *memory, size_t bytes);
void fc__free(void *memory);

/* False on overflow. */
static inline bool fc__add(uint64_t a, uint64_t b, uint64_t *sum) {
    return !__builtin_add_overflow(a, b, sum);
}

static inline bool fc__mul(uint64_t a, uint64_t b, uint64_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

static inline uint64_t fc__round_up(uint64_t value, uint64_t power_of_two) {
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

#endif
