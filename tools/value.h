/* One value of a column, for people and for JSON. */
#ifndef VALUE_H
#define VALUE_H

#include <framecache/framecache.h>

typedef enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,   /* integer 0 or 1 */
    VALUE_INT,    /* integer */
    VALUE_UINT,   /* natural */
    VALUE_DOUBLE, /* number */
    VALUE_TEXT,   /* text: dates, times, durations, decimals */
    VALUE_STRING, /* bytes, UTF-8 */
    VALUE_BINARY, /* bytes */
    VALUE_NESTED, /* not shown */
    VALUE_DAMAGED /* outside of what its column has */
} value_kind;

typedef struct cell_value {
    value_kind kind;
    int64_t integer;
    uint64_t natural;
    double number;
    fc_bytes bytes; /* borrowed from the column */
    char text[64];
} cell_value;

void read_value(cell_value *out, const fc_column *column, int64_t row);
bool read_min(cell_value *out, const fc_column *column); /* false: not known */
bool read_max(cell_value *out, const fc_column *column);
bool is_nested(const fc_column *column); /* its values are VALUE_NESTED */

char *value_line(const cell_value *value); /* free it */
void json_value(const char *name, const cell_value *value);

const char *type_name(fc_type type); /* "TIMESTAMP" */

#endif
