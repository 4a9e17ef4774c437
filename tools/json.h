/* Writes strictly valid JSON to stdout: commas, quotes and escapes are its business. */
#ifndef JSON_H
#define JSON_H

#include <framecache/framecache.h>

/* A name is NULL inside an array and for the outermost value. */
void json_open_object(const char *name);
void json_open_array(const char *name);
void json_close(void); /* what was opened last; a newline after the outermost */

void json_text(const char *name, const char *text); /* NULL: null */
void json_bytes(const char *name, fc_bytes text);   /* invalid UTF-8 becomes U+FFFD */
void json_int(const char *name, int64_t value);
void json_uint(const char *name, uint64_t value);
void json_double(const char *name, double value); /* "NaN", "Infinity" as text */
void json_bool(const char *name, bool value);
void json_null(const char *name);

/* "key": text if the bytes are UTF-8, or else "key_base64". */
void json_key(fc_bytes key);

#endif
