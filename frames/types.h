/* Arrow types: a table from format string to fc_type, layout and width. The one place
 * that knows what buffers and children a type has; what is given and what is stored
 * differ only for strings, binaries and lists (table "type in, type out" in
 * docs/format.md). */
#ifndef FC_TYPES_H
#define FC_TYPES_H

#include "framecache/framecache.h"

/* How an array of a type is laid out. Those marked (in) are accepted and never stored. */
typedef enum fc__shape {
    FC__SHAPE_NULL,        /* no buffer */
    FC__SHAPE_BITS,        /* validity, bits */
    FC__SHAPE_FIXED,       /* validity, values of `width` bytes */
    FC__SHAPE_BYTES32,     /* (in) validity, 32-bit offsets, bytes */
    FC__SHAPE_BYTES64,     /* validity, 64-bit offsets, bytes */
    FC__SHAPE_BYTE_VIEW,   /* (in) validity, views, any number of data buffers, sizes */
    FC__SHAPE_LIST32,      /* (in, and MAP) validity, 32-bit offsets; one child */
    FC__SHAPE_LIST64,      /* validity, 64-bit offsets; one child */
    FC__SHAPE_LIST_VIEW32, /* (in) validity, 32-bit offsets, 32-bit sizes; one child */
    FC__SHAPE_LIST_VIEW64, /* (in) the same with 64 bits */
    FC__SHAPE_FIXED_LIST,  /* validity; one child, `width` of its rows a row */
    FC__SHAPE_STRUCT,      /* validity; any number of children */
    FC__SHAPE_SPARSE,      /* type ids; children as long as the union */
    FC__SHAPE_DENSE,       /* type ids, 32-bit offsets; children */
    FC__SHAPE_RUN_END,     /* no buffer; run ends (16, 32 or 64 bits) and values */
    FC__SHAPE_COUNT
} fc__shape;

#define FC__ANY_CHILDREN (-1)
#define FC__UNION_IDS    128

typedef struct fc__type {
    fc_type type;              /* as stored; a field with a dictionary is DICTIONARY */
    fc__shape given, stored;   /* layout before and after normalisation */
    int32_t width;             /* bytes a value; FIXED_LIST: rows a list; else 0 */
    int32_t children;          /* exactly so many, or FC__ANY_CHILDREN */
    const char *stored_format; /* NULL: the format stays as given */
} fc__type;

/* NULL, or why `format` is not a format string; then *out is zero. Never reads beyond its
 * NUL. A union's `children` is the number of its type ids. */
const char *fc__type_parse(fc__type *out, const char *format);

/* The type ids of a union in the order of its children (a format that parsed); ids[i] is
 * the id of child i. Returns how many. */
int fc__union_ids(const char *format, int8_t ids[FC__UNION_IDS]);

/* True for the types that may be the codes of a dictionary. */
bool fc__type_is_integer(fc_type type);

/* What each buffer of a shape is, in the order of the specification. */
typedef enum fc__buffer_kind {
    FC__BUFFER_VALIDITY,
    FC__BUFFER_BITS,
    FC__BUFFER_VALUES,    /* rows * width */
    FC__BUFFER_OFFSETS32, /* rows + 1 */
    FC__BUFFER_OFFSETS64, /* rows + 1 */
    FC__BUFFER_BYTES,     /* as many as the last offset says */
    FC__BUFFER_TYPE_IDS,  /* rows */
    FC__BUFFER_PLACES32,  /* rows: dense unions, list views */
    FC__BUFFER_PLACES64,
    FC__BUFFER_SIZES32, /* rows: list views */
    FC__BUFFER_SIZES64,
    FC__BUFFER_VIEWS /* rows * 16; behind them the data buffers and their sizes */
} fc__buffer_kind;

#define FC__MAX_BUFFERS 3 /* of a stored shape */

typedef struct fc__shape_info {
    int buffers;       /* BYTE_VIEW: at least so many */
    bool has_validity; /* then it is buffer 0 */
    fc__buffer_kind kinds[FC__MAX_BUFFERS];
} fc__shape_info;

const fc__shape_info *fc__shape_of(fc__shape shape);

/* The bytes that `rows` rows need in a buffer of this kind; BYTES: 0, only the offsets
 * know. False if that does not fit 63 bits. */
bool fc__buffer_need(fc__buffer_kind kind, int32_t width, int64_t rows, uint64_t *bytes);

#endif
