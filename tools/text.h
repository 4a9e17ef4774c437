/* Text for people: keys that cannot break a terminal, bytes in IEC units, ages, tables.
 */
#ifndef TEXT_H
#define TEXT_H

#include <framecache/framecache.h>

/* The code point at `at` and its length in bytes; 0 if the bytes are not UTF-8. */
size_t utf8_decode(const void *at, size_t bytes, uint32_t *point);
bool is_utf8(fc_bytes text);

/* `text` as one printable line in memory of its own (free it): what is not printable as
 * \xff, a backslash as \\. At most `most` characters, then "...". */
char *escape(fc_bytes text, size_t most);

/* The reverse, in place of `text`; *size: of the result. False: not what escape() makes.
 */
bool unescape(char *text, size_t *size);

/* Each returns `out`. */
const char *format_size(char *out, size_t bytes, uint64_t size);   /* "1.5 GiB" */
const char *format_count(char *out, size_t bytes, uint64_t count); /* "65,536" */
const char *format_double(char *out, size_t bytes, double value); /* the shortest exact */
const char *format_span(char *out, size_t bytes, int64_t ms);     /* "250 ms", "3 min" */
const char *format_span_ns(char *out, size_t bytes, uint64_t ns);

/* Cells that are printed in aligned columns. */
typedef struct text_table {
    int columns;
    unsigned right; /* bit i: column i is aligned to the right */
    char **cells;
    size_t count, capacity;
} text_table;

void table_add(text_table *table, const char *text); /* copies */
void table_add_escaped(text_table *table, fc_bytes text, size_t most);
void table_print(text_table *table); /* and frees the cells */

/* malloc and realloc that end the program with a message when there is no memory. */
void *need(void *memory, size_t bytes);

#endif
