/* Plans: made from arrays or a stream, looked at, freed. */
#include "plan.h"

#include "encode.h"
#include "normalise.h"
#include "status.h"

#include <errno.h>

#define MOST_NODES (1u << 24) /* so that all offsets within a body fit 32 bits */

fc__plan *fc__plan_new(uint32_t flags) {
    fc__arena arena = {0};
    fc__plan *plan = fc__arena_take(&arena, 1, sizeof *plan);

    if (!plan)
        return NULL;
    plan->arena = arena;
    plan->checksums = flags & FC__PLAN_CHECKSUMS;
    plan->missing = flags & FC__PLAN_MISSING;
    return plan;
}

void fc__plan_free(fc__plan *plan) {
    if (!plan)
        return;
    for (size_t i = 0; i < plan->chunk_count; i++)
        if (plan->chunks[i].release)
            plan->chunks[i].release(&plan->chunks[i]);
    fc__free(plan->chunks);
    if (plan->schema.release)
        plan->schema.release(&plan->schema);
    fc__arena arena = plan->arena; /* the plan lies in it */
    fc__arena_free(&arena);
}

const fc__layout *fc__plan_layout(const fc__plan *plan) {
    return &plan->layout;
}

size_t fc__plan_job_count(const fc__plan *plan) {
    return plan->job_count;
}

const fc__job *fc__plan_job(const fc__plan *plan, size_t index) {
    return &plan->jobs[index];
}

/* ---- Nodes ---- */

static void count_field(const fc__field *field, uint64_t *nodes, uint64_t *buffers) {
    *nodes += 1;
    *buffers += (uint64_t)fc__shape_of(field->stored)->buffers;
    for (uint32_t i = 0; i < field->child_count; i++)
        count_field(&field->children[i], nodes, buffers);
    if (field->dictionary)
        count_field(field->dictionary, nodes, buffers);
}

static fc__node *add_node(fc__plan *plan, const fc__field *field, uint32_t column) {
    fc__node *node = &plan->nodes[plan->node_count++];

    node->field = field;
    node->type = field->type;
    node->stored_format = field->stored_format;
    node->width = field->width;
    node->column = column;
    node->first_buffer = plan->buffer_count;
    node->buffer_count = (uint32_t)fc__shape_of(field->stored)->buffers;
    plan->buffer_count += node->buffer_count;
    return node;
}

static void add_below(fc__plan *plan, uint32_t index) {
    fc__node *node = &plan->nodes[index];
    const fc__field *field = node->field;

    if (field->child_count)
        node->first_child = plan->node_count;
    for (uint32_t i = 0; i < field->child_count; i++)
        add_node(plan, &field->children[i], index ? node->column : i);
    if (!field->dictionary)
        return;
    node->dictionary = plan->node_count;
    add_node(plan, field->dictionary, node->column);
}

int fc__plan_nodes(fc__plan *plan, fc_error *error) {
    uint64_t nodes = 0, buffers = 0;

    count_field(plan->root, &nodes, &buffers);
    if (nodes > MOST_NODES)
        return fc__field_fail(plan->root, error, FC_E_INVALID,
                              "%llu fields; a frame holds up to %u",
                              (unsigned long long)nodes, MOST_NODES);
    plan->nodes = fc__arena_take(&plan->arena, nodes, sizeof *plan->nodes);
    plan->buffers = fc__arena_take(&plan->arena, buffers, sizeof *plan->buffers);
    plan->feeds = fc__arena_take(&plan->arena, buffers, sizeof *plan->feeds);
    if (!plan->nodes || !plan->buffers || !plan->feeds)
        return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
    add_node(plan, plan->root, 0);
    for (uint32_t i = 0; i < plan->node_count; i++)
        add_below(plan, i);
    return 0;
}

/* ---- From Arrow ---- */

static int plan_chunks(fc__plan *plan, const struct ArrowSchema *schema,
                       const struct ArrowArray *const *chunks, size_t count,
                       fc_error *error) {
    bool wrapped;
    int code;

    if ((code = fc__schema_read(&plan->root, &wrapped, schema, &plan->arena, error)) ||
        (code = fc__plan_nodes(plan, error)) ||
        (code = fc__normalise(plan, wrapped, chunks, count, error)))
        return code;
    return fc__plan_lay_out(plan, NULL, 0, error);
}

int fc__plan_arrow(fc__plan **out, const struct ArrowSchema *schema,
                   const struct ArrowArray *const *chunks, size_t count, uint32_t flags,
                   fc_error *error) {
    fc__plan *plan = fc__plan_new(flags);
    int code;

    *out = NULL;
    if (!plan)
        return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
    code = plan_chunks(plan, schema, chunks, count, error);
    if (code)
        fc__plan_free(plan);
    else
        *out = plan;
    return code;
}

/* ---- From a stream ---- */

static int stream_fail(struct ArrowArrayStream *stream, int result, const char *what,
                       fc_error *error) {
    const char *text = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    int code = result == ENOMEM ? FC_E_NOMEM : FC_E_INVALID;

    fc__fail(error, code, "the stream could not give its %s (code %d): %.400s", what,
             result, text && *text ? text : strerror(result));
    if (error && result > 0)
        error->sys_errno = result;
    return code;
}

/* Room for one chunk more; the array ends in one that is not counted yet. */
static bool chunk_room(fc__plan *plan, size_t *room) {
    if (plan->chunk_count < *room)
        return true;
    size_t more = *room ? *room * 2 : 4;
    struct ArrowArray *chunks = fc__realloc(plan->chunks, more * sizeof *chunks);
    if (!chunks)
        return false;
    plan->chunks = chunks;
    *room = more;
    return true;
}

static int read_chunks(fc__plan *plan, struct ArrowArrayStream *stream, fc_error *error) {
    size_t room = 0;

    for (;;) {
        if (!chunk_room(plan, &room))
            return fc__fail(error, FC_E_NOMEM, "out of memory for a stream's batches");
        struct ArrowArray *chunk = &plan->chunks[plan->chunk_count];
        memset(chunk, 0, sizeof *chunk);
        int result = stream->get_next(stream, chunk);
        if (result)
            return stream_fail(stream, result, "next batch", error);
        if (!chunk->release)
            return 0;
        plan->chunk_count++;
    }
}

static int read_stream(fc__plan *plan, struct ArrowArrayStream *stream, fc_error *error) {
    if (!stream->get_schema || !stream->get_next)
        return fc__fail(error, FC_E_INVALID, "the stream has no get_schema or get_next");
    int result = stream->get_schema(stream, &plan->schema);
    if (result) {
        plan->schema.release = NULL; /* what a failed call leaves is not ours */
        return stream_fail(stream, result, "schema", error);
    }
    return read_chunks(plan, stream, error);
}

static int plan_own_chunks(fc__plan *plan, fc_error *error) {
    const struct ArrowArray **chunks =
        fc__arena_take(&plan->arena, plan->chunk_count, sizeof *chunks);

    if (!chunks)
        return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
    for (size_t i = 0; i < plan->chunk_count; i++)
        chunks[i] = &plan->chunks[i];
    return plan_chunks(plan, &plan->schema, chunks, plan->chunk_count, error);
}

int fc__plan_stream(fc__plan **out, struct ArrowArrayStream *stream, uint32_t flags,
                    fc_error *error) {
    fc__plan *plan;
    int code;

    *out = NULL;
    if (!stream || !stream->release)
        return fc__fail(error, FC_E_INVALID, "the stream was released, or is NULL");
    plan = fc__plan_new(flags);
    code = plan ? read_stream(plan, stream, error)
                : fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
    stream->release(stream);
    if (!code)
        code = plan_own_chunks(plan, error);
    if (code)
        fc__plan_free(plan);
    else
        *out = plan;
    return code;
}
