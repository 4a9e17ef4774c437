/* Texts to numbers. Nothing here depends on the locale, and every number is checked
 * against its range before it is multiplied. */
#include "parse.h"

#include <string.h>

#define BILLION 1000000000u

/* A decimal without sign or exponent: a whole part and billionths. */
typedef struct decimal {
    uint64_t whole;
    uint32_t billionths;
} decimal;

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Moves *text behind the number; further digits than nine behind the point are dropped.
 */
static bool scan_decimal(decimal *out, const char **text) {
    const char *at = *text;
    uint32_t place = BILLION / 10;
    *out = (decimal){0};
    if (!is_digit(*at))
        return false;
    for (; is_digit(*at); at++)
        if (__builtin_mul_overflow(out->whole, (uint64_t)10, &out->whole) ||
            __builtin_add_overflow(out->whole, (uint64_t)(*at - '0'), &out->whole))
            return false;
    if (*at == '.') {
        at++;
        if (!is_digit(*at))
            return false;
        for (; is_digit(*at); at++, place /= 10)
            out->billionths += (uint32_t)(*at - '0') * place;
    }
    *text = at;
    return true;
}

static bool scan_uint(uint64_t *out, const char **text) {
    decimal number;
    const char *at = *text;
    if (!scan_decimal(&number, &at) || memchr(*text, '.', (size_t)(at - *text)))
        return false;
    *out = number.whole;
    *text = at;
    return true;
}

/* number * factor, cut to a whole number; false beyond `limit`. */
static bool scale(uint64_t *out, const decimal *number, uint64_t factor, uint64_t limit) {
    if (number->whole > limit / factor)
        return false;
    unsigned __int128 billionths =
        ((unsigned __int128)number->whole * BILLION + number->billionths) * factor;
    *out = (uint64_t)(billionths / BILLION);
    return *out <= limit;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_word(const char *a, const char *b) {
    for (; *a && lower(*a) == lower(*b); a++)
        b++;
    return lower(*a) == lower(*b);
}

static const unit *find_unit(const unit *units, const char *name) {
    while (*name == ' ')
        name++;
    for (; units->name; units++)
        if (same_word(units->name, name))
            return units;
    return NULL;
}

static const char *parse_percent(fc__amount *out, const decimal *number) {
    uint64_t hundredths;
    if (number->billionths % (BILLION / 100) || !scale(&hundredths, number, 100, 10000))
        return "a percent of at most 100 with at most two decimals";
    *out = (fc__amount){FC__PERCENT, hundredths};
    return NULL;
}

const char *fc__parse_amount(fc__amount *out, const char *text) {
    static const unit units[] = {{"", 1},
                                 {"B", 1},
                                 {"K", 1ull << 10},
                                 {"KB", 1ull << 10},
                                 {"KiB", 1ull << 10},
                                 {"M", 1ull << 20},
                                 {"MB", 1ull << 20},
                                 {"MiB", 1ull << 20},
                                 {"G", 1ull << 30},
                                 {"GB", 1ull << 30},
                                 {"GiB", 1ull << 30},
                                 {"T", 1ull << 40},
                                 {"TB", 1ull << 40},
                                 {"TiB", 1ull << 40},
                                 {NULL, 0}};
    decimal number;
    uint64_t bytes;
    *out = (fc__amount){FC__BYTES, 0};
    if (!scan_decimal(&number, &text))
        return "a number with a unit (B, K, M, G, T) or a percent";
    if (strcmp(text, "%") == 0)
        return parse_percent(out, &number);
    const unit *found = find_unit(units, text);
    if (!found)
        return "a number with a unit (B, K, M, G, T) or a percent";
    if (!scale(&bytes, &number, found->factor, INT64_MAX))
        return "less than 8 EiB";
    out->value = bytes;
    return NULL;
}

const char *fc__parse_duration(int64_t *out_ms, const char *text) {
    static const unit units[] = {{"", 1000},         {"ms", 1},
                                 {"s", 1000},        {"m", 60 * 1000},
                                 {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
                                 {NULL, 0}};
    const uint64_t limit_ms = 36500ull * 24 * 3600 * 1000;
    decimal number;
    uint64_t ms;
    *out_ms = 0;
    if (!scan_decimal(&number, &text))
        return "a number with a unit (ms, s, m, h, d)";
    const unit *found = find_unit(units, text);
    if (!found)
        return "a number with a unit (ms, s, m, h, d)";
    if (!scale(&ms, &number, found->factor, limit_ms))
        return "at most 36500d";
    *out_ms = (int64_t)ms;
    return NULL;
}

static bool scan_percent(uint32_t *out, const char **text) {
    uint64_t percent;
    if (!scan_uint(&percent, text) || percent < 1 || percent > 100)
        return false;
    if (**text == '%')
        ++*text;
    *out = (uint32_t)percent;
    return true;
}

const char *fc__parse_watermarks(uint32_t *high, uint32_t *low, const char *text) {
    *high = *low = 0;
    if (!scan_percent(high, &text) || *text++ != ':' || !scan_percent(low, &text) ||
        *text)
        return "two whole percents of 1 to 100 with a colon between";
    if (*low >= *high)
        return "a high percent and then a lower one";
    return NULL;
}

const char *fc__parse_capacity(uint32_t *out, const char *text) {
    uint64_t capacity = 0;
    *out = 0;
    if (!scan_uint(&capacity, &text) || *text || capacity < 64 || capacity > 1u << 24 ||
        (capacity & (capacity - 1)))
        return "a power of two from 64 to 16777216";
    *out = (uint32_t)capacity;
    return NULL;
}

const char *fc__parse_threads(uint32_t *out, const char *text) {
    uint64_t threads = 0;
    *out = 0;
    if (!scan_uint(&threads, &text) || *text || threads < 1 || threads > 64)
        return "a number from 1 to 64";
    *out = (uint32_t)threads;
    return NULL;
}

const char *fc__parse_mode(uint32_t *out, const char *text) {
    uint32_t mode = 0;
    size_t digits = strspn(text, "01234567");
    *out = 0;
    if (digits < 3 || digits > 4 || text[digits])
        return "three or four octal digits, such as 0770";
    for (; *text; text++)
        mode = mode * 8 + (uint32_t)(*text - '0');
    if ((mode & 0700) != 0700)
        return "a mode that lets the owner read, write and search (07xx)";
    if (mode & 05002)
        return "a mode that is not writable by the world, with no set-user-id or sticky "
               "bit";
    *out = mode;
    return NULL;
}

const char *fc__parse_switch(bool *out, const char *text, const char *on,
                             const char *off) {
    *out = strcmp(text, on) == 0;
    return *out || strcmp(text, off) == 0 ? NULL : "one of its two words";
}
