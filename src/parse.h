/* Scanners for the texts of settings: amounts, durations, percents, small numbers. Each
 * returns NULL, or what the text must be: the end of a sentence "... must be". */
#ifndef FC_PARSE_H
#define FC_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

/* "8GiB", "1.5G", "4096", "50%"; K, KB and KiB are all 1,024 bytes, in either case, and
 * so on up to T. */
const char *fc__parse_amount(fc__amount *out, const char *text);

/* Milliseconds of "90", "90s", "10m", "2h", "1d", "250ms", "1.5s"; at most 100 years, so
 * that adding it to the time cannot overflow nanoseconds. */
const char *fc__parse_duration(int64_t *out_ms, const char *text);

/* "95:85", percents of 1 to 100 with or without a sign. */
const char *fc__parse_watermarks(uint32_t *high, uint32_t *low, const char *text);

const char *fc__parse_capacity(uint32_t *out, const char *text);
const char *fc__parse_threads(uint32_t *out, const char *text);
const char *fc__parse_mode(uint32_t *out, const char *text);
const char *fc__parse_switch(bool *out, const char *text, const char *on,
                             const char *off);

#endif
