/* What the reading half shares: a frame, its columns, and how they hang together.
 *
 * A BASE frame stands for a context of the source (a mapped manifest); its references are
 * the context's. All others are counted here and hold one reference on what they show: a
 * VIEW (select, slice), a PRIVATE frame, which is a base over copy-on-write mappings, and a
 * NESTED one, which is a base whose table is a column of another.
 *
 * Columns are decoded when first asked for and then stay as they are, published by a CAS
 * into a table of pointers: who loses the race frees his copy. So nobody waits, nothing
 * is locked over a fork, and a column that is there costs one load. */
#ifndef FC_FRAME_INTERNAL_H
#define FC_FRAME_INTERNAL_H

#include <stdatomic.h>

#include "body.h"
#include "frames.h"
#include "status.h"
#include "types.h"

/* A body whose header was checked: all ranges below lie in it. */
typedef struct fc__body {
    const fc__body_node *nodes;
    const fc__body_buffer *buffers;
    const char *strings;
    uint64_t strings_bytes;
    int64_t rows;
    uint32_t node_count, buffer_count, column_count, flags;
    uint32_t root; /* the node that is the table: 0, unless NESTED */
} fc__body;

/* A decoded column. The one that the public sees comes first, so that a pointer to it is
 * a pointer to this. `buffers` are those of the Arrow array that starts `offset` rows
 * before row 0 of `view`; a slice has none (exports are made from the base's columns). */
typedef struct fc__column {
    fc_column view;
    fc__shape shape;
    bool writable;
    int32_t buffer_count;
    int64_t offset;
    uint32_t node;
    const void *const *buffers;
    const void *own[FC__MAX_BUFFERS];
} fc__column;

typedef enum fc__frame_kind {
    FC__FRAME_BASE,
    FC__FRAME_PRIVATE,
    FC__FRAME_NESTED,
    FC__FRAME_VIEW
} fc__frame_kind;

typedef _Atomic(fc__column *) fc__slot;
typedef struct fc__names fc__names;

struct fc_frame {
    fc__frame_kind kind;
    atomic_long references; /* of all but a BASE */
    fc_frame *base;         /* itself, unless VIEW */
    fc_frame *origin;       /* PRIVATE, NESTED: whose body this is; retained */

    /* Of a base. */
    fc__frame_setup setup;
    fc__body body;

    /* What is seen of the base. */
    int64_t columns, first, rows;
    bool sliced;      /* not all rows */
    int64_t *indices; /* NULL: all columns, in order */

    _Atomic(fc__slot *) slots; /* [columns]; NULL until a column is asked for */
    _Atomic(fc__names *) names;
    _Atomic(uint8_t *) hash; /* its 16 bytes, once they were asked for */
};

/* ---- columns.c ---- */

/* Column `index` of the frame as it is seen, or of its base with all rows. */
int fc__frame_view(const fc_frame *frame, int64_t index, const fc__column **out,
                   fc_error *error);
int fc__frame_whole(const fc_frame *frame, int64_t index, const fc__column **out,
                    fc_error *error);
/* Tells the source of an FC_E_CORRUPT; returns the status. */
int fc__frame_heed(const fc_frame *frame, int status);
/* FC_E_COLUMN: the frame has no column of this number. */
int fc__frame_check_column(const fc_frame *frame, int64_t index, fc_error *error);
void fc__frame_free_columns(fc_frame *frame);

/* The node of column `index` in the body. */
const fc__body_node *fc__frame_node(const fc_frame *frame, int64_t index);

static inline const fc__column *fc__child(const fc__column *column, int64_t index) {
    return (const fc__column *)column->view.children[index];
}

static inline const fc__column *fc__dictionary(const fc__column *column) {
    return (const fc__column *)column->view.dictionary;
}

/* ---- slice.c ---- */

/* Rows `first` to `first + rows` of a column of a base, in one allocation. It borrows
 * from `whole`. The caller has checked the range. */
int fc__column_slice(fc__column **out, const fc__column *whole, int64_t first,
                     int64_t rows, fc_error *error);

/* The end of run `index` of a column of run ends (16, 32 or 64 bits). */
int64_t fc__run_end(const fc_column *ends, int64_t index);
/* The run that `row` lies in; the number of runs if in none. */
int64_t fc__run_at(const fc_column *ends, int64_t row);

#endif
