/* The inside of a plan. It is made in three steps: nodes (what stands in the frame, from
 * Arrow arrays in normalise.c or from a build), places (which segment, plan_layout.c),
 * jobs (who writes what, plan_layout.c and plan_write.c). Sizes are exact before any byte
 * is written. */
#ifndef FC_PLAN_H
#define FC_PLAN_H

#include "body.h"
#include "frames.h"
#include "schema.h"

#include <stdatomic.h>

/* A run of rows of one given array that goes into a node. `first` counts from the start
 * of the array's buffers, so it includes every offset above and at the array. */
typedef struct fc__piece {
    const struct ArrowArray *array;
    int64_t first, rows;
    union {
        const struct fc__codes *codes; /* DICTIONARY: NULL: the codes stay */
        const int64_t *places;         /* DENSE: per child, what to add to an offset */
        struct {                       /* run ends: what to add, and the last */
            int64_t shift, last;
        } runs;
    };
} fc__piece;

/* How the codes of a piece become codes of the unified dictionary. */
typedef struct fc__codes {
    const int64_t *table; /* NULL: add `shift` */
    int64_t shift;
} fc__codes;

/* How a buffer comes about. */
typedef enum fc__how {
    FC__HOW_NONE,     /* it is not there */
    FC__HOW_IN_PLACE, /* it stands in its segment already */
    FC__HOW_RAW,      /* `data`, as it is */
    /* From the node's pieces: */
    FC__HOW_VALIDITY,
    FC__HOW_MISSING, /* validity, from the values */
    FC__HOW_BITS,
    FC__HOW_VALUES,
    FC__HOW_TYPE_IDS,
    FC__HOW_OFFSETS, /* of bytes and lists */
    FC__HOW_BYTES,
    FC__HOW_VIEW_OFFSETS, /* of string and binary views */
    FC__HOW_VIEW_BYTES,
    FC__HOW_LIST_VIEW_OFFSETS,
    FC__HOW_CODES,
    FC__HOW_PLACES,
    FC__HOW_RUN_ENDS
} fc__how;

typedef struct fc__feed {
    fc__how how;
    uint32_t node;
    const void *data; /* RAW */
} fc__feed;

typedef struct fc__missing fc__missing; /* missing.h */

typedef struct fc__node {
    const fc__field *field;
    fc__piece *pieces;
    size_t piece_count, piece_room;
    const int8_t *child_of; /* unions: child of a type id, or -1 */
    fc_type type;           /* the field's, as are these, unless widened */
    const char *stored_format;
    int32_t width; /* as stored */
    bool is_run_ends;
    uint32_t column; /* under which it stands: its number, counted from 0 */
    uint32_t first_child, dictionary, first_buffer, buffer_count;
    int64_t rows, nulls;
    const fc__missing *missing; /* its jobs look for missing values; NULL: for none */
    _Atomic int64_t met;        /* by them: not 0, or all if they make the bitmap */
    bool has_range;
    uint8_t min[8], max[8];
} fc__node;

typedef struct fc__task {  /* behind a job: some whole buffers, or a part of one */
    uint32_t first, count; /* in plan->order */
    uint64_t from, to;     /* bytes of the one buffer, padding included */
} fc__task;

struct fc__plan {
    fc__arena arena;
    fc__layout layout;
    bool checksums, missing;
    fc__field *root;
    fc__node *nodes; /* breadth first; 0 is the root */
    uint32_t node_count;
    fc__body_buffer *buffers; /* [buffer_count]; checksums stand once their job ran */
    fc__feed *feeds;          /* [buffer_count] */
    uint32_t buffer_count;
    uint32_t *order;   /* the buffers that jobs write, by place */
    uint64_t *extents; /* beside `order`: bytes up to the next buffer or the end */
    uint32_t order_count;
    uint64_t *segment_bytes;
    fc__job *jobs;
    fc__task *tasks;
    size_t job_count;
    struct ArrowSchema schema; /* of a stream; release NULL: none */
    struct ArrowArray *chunks; /* of a stream */
    size_t chunk_count;
};

/* An empty plan; NULL when out of memory. Freed by fc__plan_free(). */
fc__plan *fc__plan_new(uint32_t flags);

/* Makes nodes and buffers from the fields below plan->root: breadth first, buffers of
 * each node in a row, all of them FC__HOW_NONE, rows 0. */
int fc__plan_nodes(fc__plan *plan, fc_error *error);

/* Gives every buffer that is neither NONE nor IN_PLACE its place (buffers[].bytes must be
 * right) and makes the jobs. `fixed_count` segments beyond segment 0 are in place
 * already, their bytes given: then all other buffers share segment 0. */
int fc__plan_lay_out(fc__plan *plan, const uint64_t *fixed_bytes, uint32_t fixed_count,
                     fc_error *error);

/* Minimum and maximum of a node, if its type and size are such that they are kept. */
void fc__plan_range(fc__node *node);

#endif
