/* From the bytes of a body to columns. The body and all that it points at is input: every
 * reference is checked before it is followed, and what does not hold is FC_E_CORRUPT. */
#ifndef FC_DECODE_H
#define FC_DECODE_H

#include "frame_internal.h"

/* Checks the header and the root, in constant time. */
int fc__body_open(fc__body *out, const fc__frame_setup *setup, fc_error *error);

/* The name of node `index`, with a NUL behind; FC_E_CORRUPT if it is out of the body. */
int fc__body_name(const fc__body *body, uint32_t index, const char **name,
                  fc_error *error);

/* Column `index` of a base frame with all below it, in one allocation. Maps its segments.
 * Time: the number of fields in it, never of its rows (with checksums: of its bytes). */
int fc__decode(fc__column **out, const fc_frame *base, int64_t index, fc_error *error);

/* The same for the field alone: name, format, metadata and links are checked, and no
 * segment is touched. *type is that of the format: of the codes, under a dictionary. */
typedef struct fc__body_field {
    const char *name, *format, *metadata;
    uint32_t name_bytes, format_bytes, metadata_bytes, flags;
    uint32_t first_child, child_count, dictionary;
    fc__type type;
} fc__body_field;

int fc__body_field_at(const fc__body *body, uint32_t index, fc__body_field *out,
                      fc_error *error);

/* How many nodes hang below node `index`, itself included; FC_E_CORRUPT if they do not
 * form a tree of at most FC__MAX_DEPTH levels. */
int fc__body_count(const fc__body *body, uint32_t index, uint32_t *count,
                   fc_error *error);

#endif
