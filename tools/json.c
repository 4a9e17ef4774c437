/* JSON as RFC 8259 has it. */
#include "json.h"

#include <math.h>
#include <stdio.h>

#include "text.h"

enum { DEPTH_MAX = 16 };

static char closers[DEPTH_MAX];
static bool filled[DEPTH_MAX]; /* a comma goes before the next element */
static int depth;

static void put_string(fc_bytes text) {
    const unsigned char *at = text.data, *end = at + text.size;
    putchar('"');
    while (at < end) {
        uint32_t point;
        size_t size = utf8_decode(at, (size_t)(end - at), &point);
        if (size == 0)
            fputs("\\ufffd", stdout), size = 1;
        else if (point == '"' || point == '\\')
            printf("\\%c", (int)point);
        else if (point < 0x20 || point == 0x7f)
            printf("\\u%04x", (unsigned)point);
        else
            fwrite(at, 1, size, stdout);
        at += size;
    }
    putchar('"');
}

static void begin(const char *name) {
    if (depth > 0 && filled[depth - 1])
        putchar(',');
    if (depth > 0)
        filled[depth - 1] = true;
    if (name) {
        put_string(fc_str(name));
        putchar(':');
    }
}

static void open_with(const char *name, char opener, char closer) {
    begin(name);
    putchar(opener);
    closers[depth] = closer;
    filled[depth++] = false;
}

void json_open_object(const char *name) {
    open_with(name, '{', '}');
}

void json_open_array(const char *name) {
    open_with(name, '[', ']');
}

void json_close(void) {
    putchar(closers[--depth]);
    if (depth == 0)
        putchar('\n');
}

void json_bytes(const char *name, fc_bytes text) {
    begin(name);
    put_string(text);
}

void json_text(const char *name, const char *text) {
    if (text)
        json_bytes(name, fc_str(text));
    else
        json_null(name);
}

void json_int(const char *name, int64_t value) {
    begin(name);
    printf("%lld", (long long)value);
}

void json_uint(const char *name, uint64_t value) {
    begin(name);
    printf("%llu", (unsigned long long)value);
}

void json_double(const char *name, double value) {
    char text[32];
    if (isnan(value))
        json_text(name, "NaN");
    else if (isinf(value))
        json_text(name, value > 0 ? "Infinity" : "-Infinity");
    else {
        begin(name);
        fputs(format_double(text, sizeof text, value), stdout);
    }
}

void json_bool(const char *name, bool value) {
    begin(name);
    fputs(value ? "true" : "false", stdout);
}

void json_null(const char *name) {
    begin(name);
    fputs("null", stdout);
}

static void put_base64(fc_bytes bytes) {
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *data = bytes.data;
    putchar('"');
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)data[i] << 16;
        group |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        group |= left > 2 ? data[i + 2] : 0;
        putchar(digits[group >> 18]);
        putchar(digits[group >> 12 & 63]);
        putchar(left > 1 ? digits[group >> 6 & 63] : '=');
        putchar(left > 2 ? digits[group & 63] : '=');
    }
    putchar('"');
}

void json_key(fc_bytes key) {
    if (is_utf8(key)) {
        json_bytes("key", key);
    } else {
        begin("key_base64");
        put_base64(key);
    }
}
