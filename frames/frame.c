/* Frames and their references: bases, views of them, private copies. */
#include "decode.h"

/* ---- Base ---- */

int fc__frame_open(fc_frame **out, const fc__frame_setup *setup, fc_error *error) {
    fc__body body;

    *out = NULL;
    int status = fc__body_open(&body, setup, error);
    if (status)
        return status;
    fc_frame *frame = fc__malloc(sizeof *frame);
    if (!frame)
        return fc__fail(error, FC_E_NOMEM, "out of memory for a frame");
    *frame = (fc_frame){.kind = FC__FRAME_BASE,
                        .base = frame,
                        .setup = *setup,
                        .body = body,
                        .columns = body.column_count,
                        .rows = body.rows};
    *out = frame;
    return FC_OK;
}

void fc__frame_free(fc_frame *frame) {
    if (!frame)
        return;
    fc__frame_free_columns(frame);
    fc__free(frame->indices);
    fc__free(frame);
}

void *fc__frame_context(const fc_frame *frame) {
    return frame->base->setup.context;
}

int64_t fc__frame_rows(const fc_frame *frame) {
    return frame->rows;
}

int64_t fc__frame_columns(const fc_frame *frame) {
    return frame->columns;
}

/* ---- References ---- */

fc_frame *fc_frame_retain(fc_frame *frame) {
    if (!frame)
        return NULL;
    if (frame->kind == FC__FRAME_BASE)
        frame->setup.source->retain(frame->setup.context);
    else
        atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

/* The last reference of a frame that is counted here. */
static void end_frame(fc_frame *frame) {
    fc_frame *below = frame->kind == FC__FRAME_VIEW ? frame->base : frame->origin;
    const fc__source *source = frame->setup.source;
    void *context = frame->setup.context;
    bool private = frame->kind == FC__FRAME_PRIVATE;

    fc__frame_free(frame);
    if (private)
        source->release(context);
    fc_frame_release(below);
}

void fc_frame_release(fc_frame *frame) {
    if (!frame)
        return;
    if (frame->kind == FC__FRAME_BASE)
        frame->setup.source->release(frame->setup.context);
    else if (atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) == 1)
        end_frame(frame); /* the acquire makes all that others did before visible */
}

/* ---- Views ---- */

/* A view of `base` that shows what `frame` does; it takes a reference on the base. */
static fc_frame *new_view(fc_frame *base, const fc_frame *frame, fc_error *error) {
    fc_frame *view = fc__malloc(sizeof *view);

    if (!view) {
        fc__fail(error, FC_E_NOMEM, "out of memory for a view of a frame");
        return NULL;
    }
    *view = (fc_frame){.kind = FC__FRAME_VIEW,
                       .references = 1,
                       .base = fc_frame_retain(base),
                       .columns = frame->columns,
                       .first = frame->first,
                       .rows = frame->rows,
                       .sliced = frame->sliced};
    return view;
}

/* The base's numbers of the columns `indices` of `frame`; NULL: of all. */
static int set_indices(fc_frame *view, const fc_frame *frame, const int64_t *indices,
                       size_t count, fc_error *error) {
    if (!indices && !frame->indices)
        return FC_OK;
    if (!indices)
        count = (size_t)frame->columns;
    view->columns = (int64_t)count;
    view->indices = fc__calloc(count, sizeof *view->indices);
    if (!view->indices)
        return fc__fail(error, FC_E_NOMEM, "out of memory for a view of %zu columns",
                        count);
    for (size_t i = 0; i < count; i++) {
        int64_t index = indices ? indices[i] : (int64_t)i;
        view->indices[i] = frame->indices ? frame->indices[index] : index;
    }
    return FC_OK;
}

static int make_view(fc_frame *base, const fc_frame *frame, const int64_t *indices,
                     size_t count, fc_frame **out, fc_error *error) {
    fc_frame *view = new_view(base, frame, error);

    if (!view)
        return FC_E_NOMEM;
    int status = set_indices(view, frame, indices, count, error);
    if (status)
        fc_frame_release(view);
    else
        *out = view;
    return status;
}

int fc_frame_select(fc_frame *frame, const int64_t *indices, size_t count, fc_frame **out,
                    fc_error *error) {
    static const int64_t none;

    *out = NULL;
    if (count > UINT32_MAX / 2 || (count && !indices))
        return fc__fail(error, FC_E_INVALID,
                        "a selection has at most 2147483647 columns and their numbers");
    for (size_t i = 0; i < count; i++) {
        int status = fc__frame_check_column(frame, indices[i], error);
        if (status)
            return status;
    }
    return make_view(frame->base, frame, count ? indices : &none, count, out, error);
}

int fc_frame_slice(fc_frame *frame, int64_t first, int64_t rows, fc_frame **out,
                   fc_error *error) {
    *out = NULL;
    if (first < 0 || rows < 0)
        return fc__fail(error, FC_E_INVALID,
                        "a slice of %lld rows from row %lld: both must be 0 or more",
                        (long long)rows, (long long)first);
    int status = make_view(frame->base, frame, NULL, 0, out, error);
    if (status)
        return status;
    fc_frame *view = *out;
    if (first > frame->rows)
        first = frame->rows;
    view->first = frame->first + first;
    view->rows = rows < frame->rows - first ? rows : frame->rows - first;
    view->sliced = view->rows != view->base->rows;
    return FC_OK;
}

/* ---- Tables in a column ---- */

static int no_table(const fc__column *column, const char *what, fc_error *error) {
    return fc__fail(error, FC_E_TYPE, "column '%.100s' holds no table: %s",
                    column->view.name, what);
}

/* The whole child is the row's, as lists are stored. */
static int check_nested(const fc_frame *frame, const fc__column *column,
                        fc_error *error) {
    const fc_column *view = &column->view;

    if (frame->rows != 1 || frame->first != 0 || view->rows != 1)
        return no_table(column, "the frame must have one row", error);
    if (view->type != FC_TYPE_LIST || view->children[0]->type != FC_TYPE_STRUCT)
        return no_table(column, "its type is not a list of structs", error);
    if (view->nulls || view->children[0]->nulls)
        return no_table(column, "it has null rows", error);
    return FC_OK;
}

static void show_nested(fc_frame *out, fc_frame *base, const fc__column *table) {
    const fc__body_node *node = base->body.nodes + table->node;

    *out = (fc_frame){.kind = FC__FRAME_NESTED,
                      .references = 1,
                      .base = out,
                      .origin = fc_frame_retain(base),
                      .setup = base->setup,
                      .body = base->body,
                      .columns = node->child_count,
                      .rows = table->view.rows};
    out->body.root = table->node;
    out->body.rows = table->view.rows;
    out->body.column_count = node->child_count;
}

int fc_frame_nested(fc_frame *frame, int64_t index, fc_frame **out, fc_error *error) {
    const fc__column *column;

    *out = NULL;
    int status = fc__frame_check_column(frame, index, error);
    if (!status)
        status = fc__frame_whole(frame, index, &column, error);
    if (status || (status = check_nested(frame, column, error)))
        return status;
    fc_frame *nested = fc__malloc(sizeof *nested);
    if (!nested)
        return fc__fail(error, FC_E_NOMEM, "out of memory for a table in a column");
    show_nested(nested, frame->base, fc__child(column, 0));
    *out = nested;
    return FC_OK;
}

/* ---- Private copies ---- */

/* A base over private mappings, of the bytes as stored. Its body stays the origin's,
 * which it keeps. */
static int open_private(fc_frame *base, fc_frame **out, fc_error *error) {
    fc_frame *origin = base;

    while (origin->kind != FC__FRAME_BASE)
        origin = origin->origin;
    fc__frame_setup setup = origin->setup;

    int status = setup.source->open_private(origin->setup.context, &setup.context, error);
    if (status)
        return status;
    setup.writable = true;
    setup.hash = NULL; /* what is stored to counts */
    if ((status = fc__frame_open(out, &setup, error))) {
        setup.source->release(setup.context);
        return status;
    }
    (*out)->kind = FC__FRAME_PRIVATE;
    (*out)->body = base->body; /* the same table of it */
    (*out)->columns = base->columns;
    (*out)->rows = base->rows;
    (*out)->references = 1;
    (*out)->origin = fc_frame_retain(origin);
    return FC_OK;
}

int fc_frame_private(fc_frame *frame, fc_frame **out, fc_error *error) {
    fc_frame *base;

    *out = NULL;
    int status = open_private(frame->base, &base, error);
    if (status)
        return status;
    if (!frame->sliced && !frame->indices) {
        *out = base;
        return FC_OK;
    }
    status = make_view(base, frame, NULL, 0, out, error);
    fc_frame_release(base);
    return status;
}
