/* File names, and keys as text. A name carries the record only: the generation stands in
 * the manifest, so that a recycled record renames nothing. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

void fc__manifest_name(char out[16], uint32_t record) {
    for (int i = 0; i < 6; i++)
        out[i] = digits[record >> (20 - 4 * i) & 15];
    out[6] = 0;
}

void fc__segment_name(char out[24], uint32_t record, uint32_t segment) {
    fc__manifest_name(out, record);
    char *at = out + 6, number[12];
    int length = 0;
    do
        number[length++] = digits[segment % 10];
    while (segment /= 10);
    *at++ = '.';
    *at++ = 's';
    while (length)
        *at++ = number[--length];
    *at = 0;
}

bool fc__parse_name(const char *name, uint32_t *record, int64_t *segment) {
    char expected[24];
    unsigned number = 0, part = 0;
    int used = 0;
    *segment = -1;
    if (sscanf(name, "%6x%n", &number, &used) != 1)
        return false;
    *record = number;
    if (name[used] == 0) {
        fc__manifest_name(expected, number);
        return strcmp(name, expected) == 0;
    }
    if (sscanf(name + used, ".s%7u", &part) != 1)
        return false;
    *segment = part;
    fc__segment_name(expected, number, part);
    return strcmp(name, expected) == 0;
}

const char *fc__key_text(char out[80], fc_bytes key) {
    const unsigned char *from = key.data;
    size_t at = 0;
    for (size_t i = 0; i < key.size && at < 72; i++)
        if (from[i] >= 0x20 && from[i] != 0x7f && from[i] != '\\')
            out[at++] = (char)from[i];
        else
            at += (size_t)snprintf(out + at, 80 - at, "\\x%02x", from[i]);
    while (at && (out[at - 1] & 0xc0) == 0x80 && key.size > 72)
        at--; /* not the middle of a character */
    out[at] = 0;
    if (key.size > 72 && at < 77)
        memcpy(out + at, "...", 4);
    return out;
}
