/* The content hash of a table: XXH3-128 of schema and contents in one canonical form,
 * which "Content hash" in docs/format.md defines. It reads Arrow arrays of any form as
 * they are, without a copy; what does not count (offsets, slots of null rows, bits behind
 * the last row, the width of offsets) is never fed. */
#ifndef FC_HASH_H
#define FC_HASH_H

#include "checksum.h"
#include "plan.h"

static inline void fc__digest_number(fc__hash *hash, uint64_t value) {
    fc__digest_add(hash, &value, sizeof value); /* little-endian, as all of the format */
}

/* ---- hash_field.c ---- */

/* Metadata as sorted pairs. FC_E_NOMEM. */
int fc__digest_metadata(fc__hash *hash, const fc__field *field, fc_error *error);

/* What of a field counts beside its rows. FC_E_NOMEM. */
int fc__digest_field(fc__hash *hash, const fc__node *node, fc_error *error);

/* ---- hash.c ---- */

/* Of the table that a plan would write, by the arrays that it was made from: whatever can
 * be put can be hashed. FC_E_NOMEM. */
int fc__hash_plan(const fc__plan *plan, uint8_t out[FC__DIGEST_BYTES], fc_error *error);

/* Of all rows of one of its nodes. */
int fc__hash_node(const fc__plan *plan, const fc__node *node,
                  uint8_t out[FC__DIGEST_BYTES], fc_error *error);

#endif
