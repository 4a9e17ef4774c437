/* A column as a slice of a frame sees it: pointers moved to the first row, no bytes
 * copied. The exception are run ends, which count from the first row: they are written
 * anew (for the runs of the slice only). */
#include "frame_internal.h"
#include "values.h"

typedef struct slicer {
    char *at; /* NULL: only measuring */
    size_t bytes;
} slicer;

/* All pieces are multiples of 8 bytes. */
static void *take(slicer *s, size_t bytes) {
    void *piece = s->at ? s->at + s->bytes : NULL;

    s->bytes += (size_t)fc__round_up(bytes, 8);
    return piece;
}

int64_t fc__run_end(const fc_column *ends, int64_t index) {
    return fc__integer_at(ends->values, ends->width, true, index);
}

int64_t fc__run_at(const fc_column *ends, int64_t row) {
    int64_t low = 0, high = ends->rows;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (fc__run_end(ends, middle) > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- Moving pointers ---- */

/* What is not there stays so: without a buffer, rows may be more than memory could hold. */
static const void *move(const void *pointer, int64_t rows, int64_t bytes) {
    return pointer ? (const char *)pointer + rows * bytes : NULL;
}

static void move_row(fc__column *out, int64_t first) {
    fc_column *view = &out->view;

    view->validity = move(view->validity, first >> 3, 1);
    view->type_ids = move(view->type_ids, first, 1);
    view->offsets = move(view->offsets, first, 8);
    view->offsets32 = move(view->offsets32, first, 4);
    if (out->shape == FC__SHAPE_BITS)
        view->values = move(view->values, first >> 3, 1);
    if (out->shape == FC__SHAPE_FIXED)
        view->values = move(view->values, first, view->width);
    if (view->validity || out->shape == FC__SHAPE_BITS)
        view->bit = first & 7;
}

static int64_t nulls_within(const fc_column *whole, int64_t rows) {
    if (whole->type == FC_TYPE_NA)
        return rows;
    return whole->nulls && rows ? -1 : 0;
}

/* ---- The tree ---- */

static fc__column *slice_column(slicer *s, const fc__column *whole, int64_t first,
                                int64_t rows);

/* All children, the same range of rows in each. */
static void slice_children(slicer *s, fc__column *out, const fc__column *whole,
                           int64_t first, int64_t rows) {
    int64_t count = whole->view.child_count;
    const fc_column **links = take(s, (size_t)count * sizeof *links);

    for (int64_t i = 0; i < count; i++) {
        const fc__column *child = slice_column(s, fc__child(whole, i), first, rows);
        if (links)
            links[i] = &child->view;
    }
    if (out)
        out->view.children = links;
}

static fc__column *slice_ends(slicer *s, const fc__column *whole, int64_t first,
                              int64_t rows, int64_t run, int64_t runs) {
    size_t width = (size_t)whole->view.width;
    fc__column *out = take(s, sizeof *out);
    void *values = take(s, (size_t)runs * width);

    if (!out)
        return NULL;
    *out = *whole;
    out->writable = false;
    out->view.rows = runs;
    out->view.values = values;
    out->view.min = out->view.max = NULL;
    for (int64_t i = 0; i < runs; i++) {
        int64_t end = fc__run_end(&whole->view, run + i) - first;
        fc__integer_set(values, whole->view.width, i,
                        end < rows && i + 1 < runs ? end : rows);
    }
    return out;
}

static void slice_runs(slicer *s, fc__column *out, const fc__column *whole, int64_t first,
                       int64_t rows) {
    const fc__column *ends = fc__child(whole, 0);
    const fc_column **links = take(s, 2 * sizeof *links);
    int64_t run = rows ? fc__run_at(&ends->view, first) : 0;
    int64_t last = rows ? fc__run_at(&ends->view, first + rows - 1) : -1;

    /* Ends that go backward may say anything, but no run beyond the last. */
    if (last >= ends->view.rows)
        last = ends->view.rows - 1;
    int64_t runs = last >= run ? last - run + 1 : 0;
    const fc__column *new_ends = slice_ends(s, ends, first, rows, run, runs);
    const fc__column *values = slice_column(s, fc__child(whole, 1), run, runs);
    if (!out)
        return;
    links[0] = &new_ends->view;
    links[1] = &values->view;
    out->view.children = links;
}

/* Lists, maps and dense unions keep their children: their offsets still count in them. So
 * does a dictionary keep its values. */
static void slice_below(slicer *s, fc__column *out, const fc__column *whole,
                        int64_t first, int64_t rows) {
    switch (whole->shape) {
    case FC__SHAPE_STRUCT:
    case FC__SHAPE_SPARSE:
        slice_children(s, out, whole, first, rows);
        break;
    case FC__SHAPE_FIXED_LIST:
        slice_children(s, out, whole, first * whole->view.width,
                       rows * whole->view.width);
        break;
    case FC__SHAPE_RUN_END:
        slice_runs(s, out, whole, first, rows);
        break;
    default:
        break;
    }
}

static fc__column *slice_column(slicer *s, const fc__column *whole, int64_t first,
                                int64_t rows) {
    fc__column *out = take(s, sizeof *out);

    if (out) {
        *out = *whole;
        out->buffers = NULL;
        out->buffer_count = 0;
        out->view.rows = rows;
        if (rows != whole->view.rows) {
            out->view.nulls = nulls_within(&whole->view, rows);
            out->view.min = out->view.max = NULL;
        }
        move_row(out, first);
    }
    slice_below(s, out, whole, first, rows);
    return out;
}

int fc__column_slice(fc__column **out, const fc__column *whole, int64_t first,
                     int64_t rows, fc_error *error) {
    slicer s = {0};

    *out = NULL;
    slice_column(&s, whole, first, rows);
    char *memory = fc__malloc(s.bytes);
    if (!memory)
        return fc__fail(error, FC_E_NOMEM, "column '%.100s': out of memory for a slice",
                        whole->view.name);
    s = (slicer){.at = memory};
    *out = slice_column(&s, whole, first, rows);
    return FC_OK;
}
