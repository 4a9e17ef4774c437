/* Reading a value by its column's type. */
#include "value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "text.h"

const char *type_name(fc_type type) {
    static const char *const names[] = {"ANY",
#define FC_X(name, format, values) #name,
                                        FC_TYPES(FC_X)
#undef FC_X
    };
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "?";
}

bool is_nested(const fc_column *column) {
    switch (column->type) {
    case FC_TYPE_LIST:
    case FC_TYPE_FIXED_LIST:
    case FC_TYPE_STRUCT:
    case FC_TYPE_MAP:
    case FC_TYPE_SPARSE_UNION:
    case FC_TYPE_DENSE_UNION:
    case FC_TYPE_RUN_END:
    case FC_TYPE_INTERVAL:
        return true;
    case FC_TYPE_DECIMAL:
        return column->width > 16;
    case FC_TYPE_DICTIONARY:
        return !column->dictionary || is_nested(column->dictionary);
    default:
        return false;
    }
}

/* ---- Integers of any width ---- */

static int64_t signed_at(const fc_column *column, int64_t row, int width) {
    const char *at = (const char *)column->values + row * width;
    int64_t value = 0;
    memcpy(&value, at,
           (size_t)width); /* the format is little-endian, as is the machine */
    int unused = 64 - 8 * width;
    return (int64_t)((uint64_t)value << unused) >> unused;
}

static uint64_t unsigned_at(const fc_column *column, int64_t row, int width) {
    uint64_t value = 0;
    memcpy(&value, (const char *)column->values + row * width, (size_t)width);
    return value;
}

static void set_int(cell_value *out, int64_t integer) {
    out->kind = VALUE_INT;
    out->integer = integer;
}

static void set_uint(cell_value *out, uint64_t natural) {
    out->kind = VALUE_UINT;
    out->natural = natural;
}

/* ---- Floats ---- */

static double half_to_double(uint16_t half) {
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double value = exponent == 0    ? ldexp(fraction, -24)
                   : exponent == 31 ? (fraction ? NAN : INFINITY)
                                    : ldexp(fraction + 1024, exponent - 25);
    return half >> 15 ? -value : value;
}

static void set_double(cell_value *out, double number) {
    out->kind = VALUE_DOUBLE;
    out->number = number;
}

/* ---- Time ---- */

static int64_t per_second(char unit) {
    return unit == 's' ? 1 : unit == 'm' ? 1000 : unit == 'u' ? 1000000 : 1000000000;
}

/* Appends ".123" as long as the unit says. */
static void add_fraction(char *out, size_t bytes, int64_t fraction, int64_t unit) {
    int digits = unit == 1 ? 0 : unit == 1000 ? 3 : unit == 1000000 ? 6 : 9;
    if (digits)
        snprintf(out + strlen(out), bytes - strlen(out), ".%0*lld", digits,
                 (long long)fraction);
}

static int64_t floor_divide(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

/* Seconds and parts of them since 1970; a year beyond what a struct tm holds: a number.
 */
static void set_instant(cell_value *out, int64_t count, int64_t unit, const char *layout,
                        const char *after) {
    time_t seconds = floor_divide(count, unit);
    struct tm parts;
    out->kind = VALUE_TEXT;
    if (!gmtime_r(&seconds, &parts)) {
        snprintf(out->text, sizeof out->text, "%lld", (long long)count);
        return;
    }
    strftime(out->text, sizeof out->text - 16, layout, &parts);
    add_fraction(out->text, sizeof out->text, count - (int64_t)seconds * unit, unit);
    snprintf(out->text + strlen(out->text), sizeof out->text - strlen(out->text), "%s",
             after);
}

/* "tsu:Europe/Paris": with a zone the stored instant is UTC. */
static void set_timestamp(cell_value *out, const fc_column *column, int64_t row) {
    const char *format = column->format;
    bool zone = strlen(format) > 4;
    set_instant(out, signed_at(column, row, 8), per_second(format[2]),
                "%Y-%m-%dT%H:%M:%S", zone ? "Z" : "");
}

static void set_days(cell_value *out, int64_t days) {
    if (days > INT64_MAX / 86400 || days < INT64_MIN / 86400) /* never from 32 bits */
        set_int(out, days);
    else
        set_instant(out, days * 86400, 1, "%Y-%m-%d", "");
}

static void set_duration(cell_value *out, const fc_column *column, int64_t row) {
    char unit = column->format[2];
    out->kind = VALUE_TEXT;
    snprintf(out->text, sizeof out->text, "%lld %s", (long long)signed_at(column, row, 8),
             unit == 's'   ? "s"
             : unit == 'm' ? "ms"
             : unit == 'u' ? "us"
                           : "ns");
}

/* ---- Decimals of up to 128 bits ---- */

static void set_decimal(cell_value *out, const fc_column *column, int64_t row) {
    __int128 number = 0;
    char digits[64];
    int precision = 0, scale = 0, used = 0;
    const char *at = (const char *)column->values + row * column->width;
    sscanf(column->format, "d:%d,%d", &precision, &scale);
    memcpy(&number, at, (size_t)column->width);
    int unused = 128 - 8 * column->width;
    number = (__int128)((unsigned __int128)number << unused) >> unused;
    unsigned __int128 left =
        number < 0 ? -(unsigned __int128)number : (unsigned __int128)number;
    for (; left || used <= (scale > 0 && scale < 40 ? scale : 0); left /= 10)
        digits[used++] = (char)('0' + (int)(left % 10));
    out->kind = VALUE_TEXT;
    char *to = out->text;
    if (number < 0)
        *to++ = '-';
    while (used > 0) {
        *to++ = digits[--used];
        if (used == scale && used > 0)
            *to++ = '.';
    }
    *to = '\0';
    if (scale < 0 || scale >= 40)
        snprintf(to, 8, "e%d", -scale % 1000);
}

/* ---- Any value ---- */

static void read_code(cell_value *out, const fc_column *column, int64_t row) {
    int64_t code = signed_at(column, row, column->width);
    if (code < 0 || code >= column->dictionary->rows)
        code = (int64_t)unsigned_at(column, row, column->width);
    if (code < 0 || code >= column->dictionary->rows)
        out->kind = VALUE_DAMAGED;
    else
        read_value(out, column->dictionary, code);
}

static void set_bytes(cell_value *out, value_kind kind, fc_bytes bytes) {
    out->kind = kind;
    out->bytes = bytes;
}

/* A frame is shown whether it was verified or not. */
static void set_text(cell_value *out, value_kind kind, const fc_column *column,
                     int64_t row) {
    const int64_t *at = column->offsets + row;
    if (at[0] < 0 || at[1] < at[0] || at[1] > column->offsets[column->rows])
        out->kind = VALUE_DAMAGED;
    else
        set_bytes(out, kind, fc_bytes_at(column, row));
}

static void read_present(cell_value *out, const fc_column *column, int64_t row) {
    const char *values = column->values;
    switch (column->type) {
    case FC_TYPE_BOOL:
        out->kind = VALUE_BOOL;
        out->integer = fc_bool_at(column, row);
        break;
    case FC_TYPE_INT8:
    case FC_TYPE_INT16:
    case FC_TYPE_INT32:
    case FC_TYPE_INT64:
        set_int(out, signed_at(column, row, column->width));
        break;
    case FC_TYPE_UINT8:
    case FC_TYPE_UINT16:
    case FC_TYPE_UINT32:
    case FC_TYPE_UINT64:
        set_uint(out, unsigned_at(column, row, column->width));
        break;
    case FC_TYPE_FLOAT16:
        set_double(out, half_to_double((uint16_t)unsigned_at(column, row, 2)));
        break;
    case FC_TYPE_FLOAT32:
        set_double(out, (double)((const float *)values)[row]);
        break;
    case FC_TYPE_FLOAT64:
        set_double(out, ((const double *)values)[row]);
        break;
    case FC_TYPE_DECIMAL:
        set_decimal(out, column, row);
        break;
    case FC_TYPE_DATE32:
        set_days(out, signed_at(column, row, 4));
        break;
    case FC_TYPE_DATE64:
        set_days(out, floor_divide(signed_at(column, row, 8), 86400000));
        break;
    case FC_TYPE_TIME32:
    case FC_TYPE_TIME64:
        set_instant(out, signed_at(column, row, column->width),
                    per_second(column->format[2]), "%H:%M:%S", "");
        break;
    case FC_TYPE_TIMESTAMP:
        set_timestamp(out, column, row);
        break;
    case FC_TYPE_DURATION:
        set_duration(out, column, row);
        break;
    case FC_TYPE_STRING:
        set_text(out, VALUE_STRING, column, row);
        break;
    case FC_TYPE_BINARY:
        set_text(out, VALUE_BINARY, column, row);
        break;
    case FC_TYPE_FIXED_BINARY:
        set_bytes(out, VALUE_BINARY,
                  (fc_bytes){values + row * column->width, (size_t)column->width});
        break;
    case FC_TYPE_DICTIONARY:
        read_code(out, column, row);
        break;
    default:
        break;
    }
}

void read_value(cell_value *out, const fc_column *column, int64_t row) {
    *out = (cell_value){.kind = VALUE_NULL};
    if (is_nested(column))
        out->kind = VALUE_NESTED;
    else if (column->type != FC_TYPE_NA && fc_is_valid(column, row))
        read_present(out, column, row);
}

static bool read_bound(cell_value *out, const fc_column *column, const void *bound) {
    fc_column one = *column;
    if (!bound || is_nested(column) || column->type == FC_TYPE_DICTIONARY)
        return false;
    one.values = bound;
    one.validity = NULL;
    one.bit = 0;
    read_value(out, &one, 0);
    return true;
}

bool read_min(cell_value *out, const fc_column *column) {
    return read_bound(out, column, column->min);
}

bool read_max(cell_value *out, const fc_column *column) {
    return read_bound(out, column, column->max);
}

/* ---- Shown ---- */

static char *copy(const char *text) {
    return strcpy(need(NULL, strlen(text) + 1), text);
}

static char *hex_line(fc_bytes bytes) {
    enum { MOST = 16 };
    size_t shown = bytes.size < MOST ? bytes.size : MOST;
    char *out = need(NULL, 2 * MOST + 8), *to = out + sprintf(out, "0x");
    for (size_t i = 0; i < shown; i++)
        to += sprintf(to, "%02x", ((const unsigned char *)bytes.data)[i]);
    strcpy(to, shown < bytes.size ? "..." : "");
    return out;
}

char *value_line(const cell_value *value) {
    char text[32];
    switch (value->kind) {
    case VALUE_NULL:
        return copy("null");
    case VALUE_BOOL:
        return copy(value->integer ? "true" : "false");
    case VALUE_INT:
        snprintf(text, sizeof text, "%lld", (long long)value->integer);
        return copy(text);
    case VALUE_UINT:
        snprintf(text, sizeof text, "%llu", (unsigned long long)value->natural);
        return copy(text);
    case VALUE_DOUBLE:
        return copy(format_double(text, sizeof text, value->number));
    case VALUE_TEXT:
        return copy(value->text);
    case VALUE_STRING:
        return escape(value->bytes, 32);
    case VALUE_BINARY:
        return hex_line(value->bytes);
    case VALUE_DAMAGED:
        return copy("(damaged)");
    default:
        return copy("...");
    }
}

void json_value(const char *name, const cell_value *value) {
    char *line = NULL;
    switch (value->kind) {
    case VALUE_BOOL:
        json_bool(name, value->integer != 0);
        break;
    case VALUE_INT:
        json_int(name, value->integer);
        break;
    case VALUE_UINT:
        json_uint(name, value->natural);
        break;
    case VALUE_DOUBLE:
        json_double(name, value->number);
        break;
    case VALUE_TEXT:
        json_text(name, value->text);
        break;
    case VALUE_STRING:
        json_bytes(name, value->bytes);
        break;
    case VALUE_BINARY:
        json_text(name, line = hex_line(value->bytes));
        break;
    default:
        json_null(name);
    }
    free(line);
}
