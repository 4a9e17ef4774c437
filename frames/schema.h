/* A checked copy of an ArrowSchema: the tree that plans, builds and exports are made
 * from. All of it lies in an arena, so it is freed with that. */
#ifndef FC_SCHEMA_H
#define FC_SCHEMA_H

#include "arena.h"
#include "types.h"

typedef struct fc__field {
    const char *name;          /* never NULL */
    const char *format;        /* as given */
    const char *stored_format; /* as kept: the same, or the format it is turned into */
    const char *metadata;      /* Arrow's encoding; NULL: none */
    uint32_t name_bytes, format_bytes, stored_format_bytes, metadata_bytes;
    uint32_t flags; /* ARROW_FLAG_* */
    uint32_t child_count;
    fc_type type;                   /* as stored; DICTIONARY if there is one */
    fc__shape given, stored;        /* of the codes, if there is a dictionary */
    bool keeps_form; /* an extension, or below one: it comes out in the form it was given */
    int32_t width;                  /* bytes a value; FIXED_LIST: rows a list; else 0 */
    struct fc__field *children;     /* [child_count], neighbours */
    struct fc__field *dictionary;   /* NULL: none */
    const struct fc__field *parent; /* NULL: the root */
} fc__field;

/* Checks and copies. *out is always a table: a struct is taken as it is, any other type
 * becomes the one column of an unnamed struct, and *wrapped (or NULL) says so. Errors:
 * INVALID (naming column and format), NOMEM. */
int fc__schema_read(fc__field **out, bool *wrapped, const struct ArrowSchema *schema,
                    fc__arena *arena, fc_error *error);

/* The names from column to field with dots between them, cut to fit; "" for the root. */
void fc__field_path(const fc__field *field, char *out, size_t bytes);

/* fc__fail() with "column 'a.b': " (or "table: ") in front. Returns `code`. */
int fc__field_fail(const fc__field *field, fc_error *error, int code, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* FC_E_INVALID if the form that the field keeps has 32-bit offsets, and they cannot count
 * `count` bytes or rows. */
int fc__field_reaches(const fc__field *field, int64_t count, fc_error *error);

/* The length of metadata in Arrow's encoding; false if a count or length is negative or
 * the whole passes 2^31 - 1 bytes. It can only be trusted as far as its producer. */
bool fc__metadata_bytes(const char *metadata, uint32_t *bytes);

#endif
