/* UTF-8, escapes, numbers for people, tables. */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *need(void *memory, size_t bytes) {
    void *grown = realloc(memory, bytes ? bytes : 1);
    if (!grown) {
        fprintf(stderr, "framecache: out of memory\n");
        exit(1);
    }
    return grown;
}

/* ---- UTF-8 ---- */

size_t utf8_decode(const void *at, size_t bytes, uint32_t *point) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *text = at;
    size_t size = text[0] < 0x80   ? 1
                  : text[0] < 0xc2 ? 0
                  : text[0] < 0xe0 ? 2
                  : text[0] < 0xf0 ? 3
                  : text[0] < 0xf5 ? 4
                                   : 0;
    if (size == 0 || size > bytes)
        return 0;
    *point = size == 1 ? text[0] : text[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *point = *point << 6 | (text[i] & 0x3f);
    }
    bool surrogate = *point >= 0xd800 && *point <= 0xdfff;
    return *point < least[size] || *point > 0x10ffff || surrogate ? 0 : size;
}

bool is_utf8(fc_bytes text) {
    const unsigned char *at = text.data, *end = at + text.size;
    while (at < end) {
        uint32_t point;
        size_t size = utf8_decode(at, (size_t)(end - at), &point);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

/* Controls, and what turns the direction of writing. */
static bool is_printable(uint32_t point) {
    return point >= 0x20 && !(point >= 0x7f && point <= 0x9f) &&
           !(point >= 0x2028 && point <= 0x202e) && !(point >= 0x2066 && point <= 0x2069);
}

/* ---- Escapes ---- */

char *escape(fc_bytes text, size_t most) {
    const unsigned char *at = text.data, *end = at + text.size;
    size_t used = 0, characters = 0;
    char *out = need(NULL, text.size * 4 + sizeof "...");
    while (at < end && characters < most) {
        uint32_t point = 0;
        size_t size = utf8_decode(at, (size_t)(end - at), &point);
        if (size == 0 || !is_printable(point)) {
            size = size ? size : 1;
            for (size_t i = 0; i < size; i++)
                used += (size_t)sprintf(out + used, "\\x%02x", at[i]);
            characters += 4 * size;
        } else {
            if (point == '\\')
                out[used++] = '\\';
            memcpy(out + used, at, size);
            used += size;
            characters++;
        }
        at += size;
    }
    strcpy(out + used, at < end ? "..." : "");
    return out;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool unescape(char *text, size_t *size) {
    char *out = text;
    for (const char *at = text; *at;) {
        if (*at != '\\') {
            *out++ = *at++;
        } else if (at[1] == '\\') {
            *out++ = '\\';
            at += 2;
        } else {
            if (at[1] != 'x' || hex_digit(at[2]) < 0 || hex_digit(at[3]) < 0)
                return false;
            *out++ = (char)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
            at += 4;
        }
    }
    *size = (size_t)(out - text);
    return true;
}

/* ---- Numbers ---- */

const char *format_size(char *out, size_t bytes, uint64_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)size;
    int unit = 0;
    for (; value >= 1023.95 && unit < 6; unit++)
        value /= 1024;
    snprintf(out, bytes, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

const char *format_count(char *out, size_t bytes, uint64_t count) {
    char digits[24];
    size_t length =
        (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    size_t used = 0;
    for (size_t i = 0; i < length && used + 2 < bytes; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

const char *format_double(char *out, size_t bytes, double value) {
    for (int digits = 6; digits <= 17; digits += digits == 6 ? 9 : 1) {
        snprintf(out, bytes, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return out;
}

const char *format_span(char *out, size_t bytes, int64_t ms) {
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ms >= 2 * units[i].ms) {
            snprintf(out, bytes, "%lld %s", (long long)(ms / units[i].ms), units[i].name);
            return out;
        }
    snprintf(out, bytes, "%lld ms", (long long)ms);
    return out;
}

const char *format_span_ns(char *out, size_t bytes, uint64_t ns) {
    if (ns >= 10000000 || ns == 0)
        return format_span(out, bytes, (int64_t)(ns / 1000000));
    snprintf(out, bytes, "%.1f us", (double)ns / 1000);
    return out;
}

/* ---- Tables ---- */

static char **new_cell(text_table *table) {
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 64;
        table->cells = need(table->cells, table->capacity * sizeof *table->cells);
    }
    return &table->cells[table->count++];
}

void table_add(text_table *table, const char *text) {
    size_t bytes = strlen(text) + 1;
    *new_cell(table) = memcpy(need(NULL, bytes), text, bytes);
}

void table_add_escaped(text_table *table, fc_bytes text, size_t most) {
    *new_cell(table) = escape(text, most);
}

/* Characters, as if each took one place on the screen. */
static int width_of(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

/* Writes one row to `line`, without blanks at its end. */
static void write_row(char *line, const text_table *table, size_t first,
                      const int *widths) {
    char *to = line, *end = line;
    for (int column = 0; column < table->columns; column++) {
        const char *text = table->cells[first + (size_t)column];
        int padding = widths[column] - width_of(text);
        bool right = table->right >> column & 1;
        to += sprintf(to, "%*s%s", right ? padding : 0, "", text);
        end = *text ? to : end;
        to += sprintf(to, "%*s", right ? 2 : padding + 2, "");
    }
    strcpy(end, "\n");
}

/* A line has room for the longest cell of each column, in bytes, and its padding. */
static size_t line_bytes(const text_table *table, const int *widths) {
    size_t bytes = 2;
    for (size_t i = 0; i < (size_t)table->columns; i++) {
        size_t longest = 0;
        for (size_t cell = i; cell < table->count; cell += (size_t)table->columns)
            if (strlen(table->cells[cell]) > longest)
                longest = strlen(table->cells[cell]);
        bytes += longest + (size_t)widths[i] + 2;
    }
    return bytes;
}

void table_print(text_table *table) {
    size_t columns = (size_t)table->columns;
    int *widths = need(NULL, columns * sizeof *widths);
    memset(widths, 0, columns * sizeof *widths);
    for (size_t i = 0; i < table->count; i++) {
        int width = width_of(table->cells[i]);
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    char *line = need(NULL, line_bytes(table, widths));
    for (size_t i = 0; i < table->count; i += columns) {
        write_row(line, table, i, widths);
        fputs(line, stdout);
    }
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(widths);
    free(line);
    table->cells = NULL;
    table->count = table->capacity = 0;
}
