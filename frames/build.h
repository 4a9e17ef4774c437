/* What is being built in place: a tree of targets beside the tree of fields. */
#ifndef FC_BUILD_H
#define FC_BUILD_H

#include "body.h"
#include "frames.h"
#include "schema.h"
#include "status.h"

/* The place of one buffer: in memory while it is small, then a segment of its own. Behind
 * its `bytes` there is room for padding to FC__ALIGN and FC__ALIGN more. */
typedef struct fc__span {
    char *start;
    uint64_t bytes;   /* capacity, FC__ALIGN multiple; 0: not there */
    uint32_t segment; /* 0: memory */
    uint64_t used;    /* when finished */
} fc__span;

/* The target that the public sees comes first, so that a pointer to it is one to this. */
typedef struct fc__target {
    fc_target view;
    const fc__field *field;
    const fc__shape_info *shape;
    /* Its rows are not those of the frame: the child of a list, map, dense union or
     * run-end column, or a dictionary. Such a target grows by fc_build_reserve(). */
    bool loose;
    bool appending;
    int64_t appended;
    int64_t rows, nulls; /* when finished */
    fc__span spans[FC__MAX_BUFFERS];
} fc__target;

struct fc_build {
    fc__arena arena; /* fields and targets */
    fc__field *root;
    fc__target **columns;
    int64_t rows; /* capacity */
    fc__ground ground;
    void *owner;
    uint32_t segments; /* that there are: 1 to `segments` */
};

static inline fc__target *fc__target_child(const fc__target *target, int64_t index) {
    return (fc__target *)target->view.children[index];
}

static inline fc__target *fc__target_dictionary(const fc__target *target) {
    return (fc__target *)target->view.dictionary;
}

/* ---- build_check.c ---- */

/* Checks what was written to a column for its first `rows` rows, with all below it; sets
 * rows, nulls and used, and zeroes what lies behind. FC_E_INVALID names the column. */
int fc__target_settle(fc__target *target, int64_t rows, fc_error *error);

#endif
