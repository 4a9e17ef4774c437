/* The walk from rows to the rows below them, against what is there. */
#include "bounds.h"

typedef struct checker {
    bool each;
    fc_error *error;
} checker;

static int check(const checker *c, const fc__column *column, int64_t first, int64_t rows);
static bool are_plain(const fc__column *column);

static int damaged(const checker *c, const fc__column *column, const char *what) {
    return fc__fail(c->error, FC_E_CORRUPT,
                    "field '%.100s' (node %u): %s: the frame is damaged, put it again",
                    column->view.name, column->node, what);
}

/* ---- Offsets ---- */

static int64_t offset_at(const fc__column *column, int64_t row) {
    return column->view.offsets ? column->view.offsets[row] : column->view.offsets32[row];
}

static bool grow(const fc__column *column, int64_t first, int64_t rows) {
    bool bad = false;

    for (int64_t i = first; i < first + rows; i++)
        bad |= offset_at(column, i + 1) < offset_at(column, i);
    return !bad;
}

/* What the rows span, of the `limit` that there are. */
static int check_offsets(const checker *c, const fc__column *column, int64_t first,
                         int64_t rows, int64_t limit, int64_t *from, int64_t *count) {
    *from = offset_at(column, first);
    int64_t end = offset_at(column, first + rows);
    *count = 0;
    if (*from < 0 || end < *from || end > limit ||
        (c->each && !grow(column, first, rows)))
        return damaged(c, column, "its offsets do not hold");
    *count = end - *from;
    return FC_OK;
}

static int check_list(const checker *c, const fc__column *column, int64_t first,
                      int64_t rows) {
    const fc__column *child = fc__child(column, 0);
    int64_t from, count;

    int status = check_offsets(c, column, first, rows, child->view.rows, &from, &count);
    return status ? status : check(c, child, from, count);
}

/* ---- Children beside their parent ---- */

static int check_beside(const checker *c, const fc__column *column, int64_t first,
                        int64_t rows, int64_t scale) {
    int status = FC_OK;

    for (int64_t i = 0; !status && i < column->view.child_count; i++)
        status = check(c, fc__child(column, i), first * scale, rows * scale);
    return status;
}

/* ---- Dense unions ---- */

typedef struct reach { /* of the rows of each child that are referred to */
    int64_t from, end;
} reach;

static int find_reach(const checker *c, const fc__column *column, int64_t first,
                      int64_t rows, reach *of) {
    int8_t ids[FC__UNION_IDS], child_of[FC__UNION_IDS];
    int count = fc__union_ids(column->view.format, ids);

    memset(child_of, -1, sizeof child_of);
    for (int i = 0; i < count; i++)
        child_of[ids[i]] = (int8_t)i;
    for (int64_t row = first; row < first + rows; row++) {
        int id = column->view.type_ids[row];
        int64_t offset = column->view.offsets32[row];
        int child = id < 0 ? -1 : child_of[id];
        if (child < 0 || offset < 0 || offset >= fc__child(column, child)->view.rows)
            return damaged(c, column, "a type id or an offset of its union does not hold");
        if (of[child].from == of[child].end || offset < of[child].from)
            of[child].from = offset;
        if (offset >= of[child].end)
            of[child].end = offset + 1;
    }
    return FC_OK;
}

/* Nothing in it is found by an offset or a run. */
static bool is_plain(const fc__column *column) {
    switch (column->shape) {
    case FC__SHAPE_NULL:
    case FC__SHAPE_BITS:
    case FC__SHAPE_FIXED:
        return true;
    case FC__SHAPE_STRUCT:
    case FC__SHAPE_SPARSE:
    case FC__SHAPE_FIXED_LIST:
        return are_plain(column);
    default:
        return false;
    }
}

static bool are_plain(const fc__column *column) {
    for (int64_t i = 0; i < column->view.child_count; i++)
        if (!is_plain(fc__child(column, i)))
            return false;
    return true;
}

static int check_dense(const checker *c, const fc__column *column, int64_t first,
                       int64_t rows) {
    reach of[FC__UNION_IDS] = {{0, 0}};

    if (!c->each && are_plain(column))
        return FC_OK; /* who follows the offsets looks at each */
    int status = find_reach(c, column, first, rows, of);
    for (int64_t i = 0; !status && i < column->view.child_count; i++)
        status = check(c, fc__child(column, i), of[i].from, of[i].end - of[i].from);
    return status;
}

/* ---- Runs ---- */

static int check_runs(const checker *c, const fc__column *column, int64_t first,
                      int64_t rows) {
    const fc_column *ends = column->view.children[0];
    int64_t before = 0;

    if (!rows)
        return FC_OK;
    int64_t run = fc__run_at(ends, first), last = fc__run_at(ends, first + rows - 1);
    if (last < run || last >= ends->rows)
        return damaged(c, column, "its run ends do not grow");
    for (int64_t i = run; c->each && i <= last; before = fc__run_end(ends, i++))
        if (fc__run_end(ends, i) <= before)
            return damaged(c, column, "its run ends do not grow");
    return check(c, fc__child(column, 1), run, last - run + 1);
}

/* ---- The tree ---- */

/* A dictionary is shown whole, as it was decoded; offsets of no rows may be left out. */
static int check(const checker *c, const fc__column *column, int64_t first,
                 int64_t rows) {
    int64_t from, count;

    switch (rows ? column->shape : FC__SHAPE_NULL) {
    case FC__SHAPE_BYTES64:
        return check_offsets(c, column, first, rows,
                             column->view.offsets[column->view.rows], &from, &count);
    case FC__SHAPE_LIST32:
    case FC__SHAPE_LIST64:
        return check_list(c, column, first, rows);
    case FC__SHAPE_STRUCT:
    case FC__SHAPE_SPARSE:
        return check_beside(c, column, first, rows, 1);
    case FC__SHAPE_FIXED_LIST:
        return check_beside(c, column, first, rows, column->view.width);
    case FC__SHAPE_DENSE:
        return check_dense(c, column, first, rows);
    case FC__SHAPE_RUN_END:
        return check_runs(c, column, first, rows);
    default:
        return FC_OK;
    }
}

int fc__check_ends(const fc__column *column, int64_t first, int64_t rows,
                   fc_error *error) {
    return check(&(checker){.error = error}, column, first, rows);
}

int fc__check_each(const fc__column *column, int64_t first, int64_t rows,
                   fc_error *error) {
    return check(&(checker){.each = true, .error = error}, column, first, rows);
}
