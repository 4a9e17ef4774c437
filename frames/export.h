/* Arrow's C data interface, outwards. What is exported owns a reference on its frame, is
 * released by plain C that takes no lock and knows no cache, and may be taken apart: each
 * struct of a tree holds one reference on the memory they all lie in. */
#ifndef FC_EXPORT_H
#define FC_EXPORT_H

#include "frame_internal.h"
#include "schema.h"

/* ---- export_schema.c ---- */

/* The frame's schema as a tree that borrows its texts from the body, or (cast) takes its
 * formats from `wanted`; in `arena`, without release callbacks. */
int fc__schema_describe(struct ArrowSchema *out, const fc_frame *frame,
                        const fc__field *wanted, fc__arena *arena, fc_error *error);

/* A copy that owns all it has. */
int fc__schema_copy(struct ArrowSchema *out, const struct ArrowSchema *schema,
                    fc_error *error);

/* ---- export_array.c ---- */

/* The columns that arrays are made of, decoded and (if so asked) cast. Its batches share
 * it. */
typedef struct fc__table_column {
    const fc__column *column;
    int64_t first; /* row of `column` that is row 0 of the table */
    bool checked;  /* a cast has looked at each of its offsets */
} fc__table_column;

typedef struct fc__table {
    atomic_long references;
    fc_frame *base;
    fc__arena arena; /* what the casts made */
    int64_t rows, columns;
    fc__table_column column[];
} fc__table;

/* `wanted`: NULL, or the fields of the schema to cast to. */
int fc__table_new(fc__table **out, fc_frame *frame, const fc__field *wanted,
                  fc_error *error);
void fc__table_release(fc__table *table);

/* Rows `first` to `first + rows` as a struct array, which keeps the table. */
int fc__table_array(struct ArrowArray *out, fc__table *table, int64_t first, int64_t rows,
                    fc_error *error);

/* Reads `requested` and compares its columns with the frame's. NULL: the frame's own, for
 * those that keep a form other than the stored one; *out stays NULL if there are none. */
int fc__wanted_read(const fc__field **out, const fc_frame *frame,
                    const struct ArrowSchema *requested, fc__arena *arena,
                    fc_error *error);

#endif
