/* From a build to a plan: every buffer stands in its segment already, or in memory, from
 * where a job writes it. */
#include "build.h"
#include "checksum.h"
#include "plan.h"

#define MOST_RANGE_ROWS 65536 /* as in plan_range.c: not worth setting up for more */

typedef struct finisher {
    const fc_build *build;
    fc__plan *plan;
    uint64_t *segment_bytes; /* [segments], final lengths; 0: no file */
} finisher;

/* ---- Buffers ---- */

/* What is left of the segment: the bytes, padding, and FC__ALIGN zeros behind. */
static uint64_t finish_segment(const fc__span *span) {
    uint64_t end = fc__round_up(span->used, FC__ALIGN) + FC__ALIGN;

    memset(span->start + span->used, 0, end - span->used);
    return end;
}

static void place_buffer(finisher *f, const fc__span *span, uint32_t node,
                         uint32_t index) {
    fc__body_buffer *buffer = &f->plan->buffers[index];
    fc__feed *feed = &f->plan->feeds[index];

    *buffer = (fc__body_buffer){.segment = FC__NONE};
    *feed = (fc__feed){.how = FC__HOW_NONE, .node = node};
    if (!span->used)
        return;
    buffer->bytes = span->used;
    if (!span->segment) {
        feed->how = FC__HOW_RAW;
        feed->data = span->start;
        return;
    }
    feed->how = FC__HOW_IN_PLACE;
    buffer->segment = span->segment;
    f->segment_bytes[span->segment - 1] = finish_segment(span);
    if (f->plan->checksums)
        buffer->checksum = fc__checksum(span->start, span->used);
}

/* ---- Nodes ---- */

/* The range is read from an array; this one has all that it looks at. */
static int set_range(finisher *f, fc__node *node, const fc__target *target) {
    if (target->field->stored != FC__SHAPE_FIXED || target->field->dictionary ||
        target->rows > MOST_RANGE_ROWS)
        return FC_OK;
    struct ArrowArray *array = fc__arena_take(&f->plan->arena, 1, sizeof *array);
    const void **buffers = fc__arena_take(&f->plan->arena, 2, sizeof *buffers);
    fc__piece *piece = fc__arena_take(&f->plan->arena, 1, sizeof *piece);
    if (!array || !buffers || !piece)
        return FC_E_NOMEM;
    buffers[0] = target->nulls ? target->view.validity : NULL;
    buffers[1] = target->view.values;
    *array = (struct ArrowArray){.length = target->rows,
                                 .null_count = target->nulls,
                                 .n_buffers = 2,
                                 .buffers = buffers};
    *piece = (fc__piece){.array = array, .rows = target->rows};
    node->pieces = piece;
    node->piece_count = 1;
    fc__plan_range(node);
    node->piece_count = 0;
    return FC_OK;
}

static int place_target(finisher *f, const fc__target *target, uint32_t index) {
    fc__node *node = &f->plan->nodes[index];

    node->rows = target->rows;
    node->nulls = target->nulls;
    for (uint32_t i = 0; i < node->buffer_count; i++)
        place_buffer(f, &target->spans[i], index, node->first_buffer + i);
    int status = set_range(f, node, target);
    for (int64_t i = 0; !status && i < target->view.child_count; i++)
        status =
            place_target(f, fc__target_child(target, i), node->first_child + (uint32_t)i);
    if (!status && target->view.dictionary)
        status = place_target(f, fc__target_dictionary(target), node->dictionary);
    return status;
}

static int place_root(finisher *f, int64_t rows) {
    static const fc__span none;
    fc__node *root = f->plan->nodes;
    int status = FC_OK;

    root->rows = rows;
    place_buffer(f, &none, 0, root->first_buffer);
    for (uint32_t i = 0; !status && i < f->build->root->child_count; i++)
        status = place_target(f, f->build->columns[i], root->first_child + i);
    return status;
}

/* ---- The plan ---- */

static int settle_columns(fc_build *build, int64_t rows, fc_error *error) {
    int status = FC_OK;

    if (rows < 0 || rows > build->rows)
        return fc__fail(error, FC_E_INVALID,
                        "a build with room for %lld rows cannot be committed with %lld",
                        (long long)build->rows, (long long)rows);
    for (uint32_t i = 0; !status && i < build->root->child_count; i++)
        status = fc__target_settle(build->columns[i], rows, error);
    return status;
}

static int fill_plan(fc_build *build, int64_t rows, fc__plan *plan, fc_error *error) {
    finisher f = {.build = build, .plan = plan};

    plan->root = build->root;
    int status = fc__plan_nodes(plan, error);
    if (status)
        return status;
    f.segment_bytes =
        fc__arena_take(&plan->arena, build->segments, sizeof *f.segment_bytes);
    if (!f.segment_bytes || place_root(&f, rows))
        return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
    return fc__plan_lay_out(plan, f.segment_bytes, build->segments, error);
}

int fc__build_finish(fc_build *build, int64_t rows, bool checksums, fc__plan **out,
                     fc_error *error) {
    *out = NULL;
    int status = settle_columns(build, rows, error);
    if (status)
        return status;
    fc__plan *plan = fc__plan_new(checksums);
    if (!plan)
        return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
    status = fill_plan(build, rows, plan, error);
    if (status)
        fc__plan_free(plan);
    else
        *out = plan;
    return status;
}
