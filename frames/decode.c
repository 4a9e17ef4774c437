/* Decoding a column: its buffers are found in their segments, and their first and last
 * entries are compared with what they point into. All in the time of the number of
 * fields; what stands between the first and the last entry is fc__frame_verify()'s. */
#include "decode.h"

#include "checksum.h"

#define REMEDY "the frame is damaged, put it again"

/* For a buffer without bytes: a place to point at, with as many zeros behind as any. */
static const _Alignas(64) uint8_t nothing[128];

typedef struct decoder {
    const fc_frame *frame;
    const fc__body *body;
    fc__column *columns;     /* the next free one of the allocation */
    const fc_column **links; /* likewise */
    fc_error *error;
} decoder;

static int damaged(decoder *d, uint32_t node, const char *what) {
    return fc__fail(d->error, FC_E_CORRUPT, "node %u: %s: " REMEDY, node, what);
}

/* ---- Buffers ---- */

/* Finds the buffer's bytes; *out is NULL for one that is not there. */
static int find_bytes(decoder *d, uint32_t node, const fc__body_buffer *buffer,
                      const void **out) {
    const fc__frame_setup *setup = &d->frame->setup;
    uint64_t end, segment_bytes;

    *out = NULL;
    if (buffer->segment == FC__NONE)
        return buffer->bytes ? damaged(d, node, "a buffer with bytes has no segment") : 0;
    if (buffer->segment >= setup->segment_count)
        return damaged(d, node, "a buffer lies in a segment that there is not");
    if (buffer->offset % FC__ALIGN)
        return damaged(d, node, "a buffer is not aligned");
    if (!fc__add(buffer->offset, buffer->bytes, &end) || !fc__add(end, FC__ALIGN, &end) ||
        end > setup->segment_bytes[buffer->segment])
        return damaged(d, node, "a buffer and its padding pass the end of their segment");
    const char *segment =
        setup->source->segment(setup->context, buffer->segment, &segment_bytes, d->error);
    if (!segment)
        return d->error->code ? d->error->code
                              : damaged(d, node, "a segment could not be mapped");
    if (end > segment_bytes || (uintptr_t)segment % 8)
        return damaged(d, node, "a segment is shorter than its frame says");
    *out = segment + buffer->offset;
    if (setup->verify && d->body->flags & FC__BODY_CHECKSUMS &&
        fc__checksum(*out, buffer->bytes) != buffer->checksum)
        return damaged(d, node, "the checksum of a buffer differs");
    return FC_OK;
}

/* The bytes that a buffer must have, the offsets before it being known. */
static bool bytes_needed(const fc__column *column, fc__buffer_kind kind, uint64_t *need) {
    if (kind == FC__BUFFER_BYTES) {
        int64_t last = column->view.offsets[column->view.rows];
        *need = (uint64_t)last;
        return column->view.offsets[0] >= 0 && last >= column->view.offsets[0];
    }
    if (!column->view.rows) { /* offsets of no rows may be left out */
        *need = 0;
        return true;
    }
    return fc__buffer_need(kind, column->view.width, column->view.rows, need);
}

static void set_buffer(fc_column *view, fc__buffer_kind kind, const void *bytes) {
    switch (kind) {
    case FC__BUFFER_VALIDITY:
        view->validity = bytes;
        break;
    case FC__BUFFER_OFFSETS64:
        view->offsets = bytes;
        break;
    case FC__BUFFER_OFFSETS32:
    case FC__BUFFER_PLACES32:
        view->offsets32 = bytes;
        break;
    case FC__BUFFER_TYPE_IDS:
        view->type_ids = bytes;
        break;
    default:
        view->values = bytes;
    }
}

static int decode_validity(decoder *d, fc__column *column,
                           const fc__body_buffer *buffer) {
    uint64_t need;
    const void *bytes;

    int status = find_bytes(d, column->node, buffer, &bytes);
    if (status || (!bytes && !column->view.nulls))
        return status;
    if (!bytes || !bytes_needed(column, FC__BUFFER_VALIDITY, &need) ||
        need > buffer->bytes)
        return damaged(d, column->node, "its validity is too short");
    if (column->view.nulls)
        set_buffer(&column->view, FC__BUFFER_VALIDITY, column->own[0] = bytes);
    return FC_OK;
}

static int decode_buffer(decoder *d, fc__column *column, int index, fc__buffer_kind kind,
                         const fc__body_buffer *buffer) {
    uint64_t need;
    const void *bytes;

    if (kind == FC__BUFFER_VALIDITY)
        return decode_validity(d, column, buffer);
    int status = find_bytes(d, column->node, buffer, &bytes);
    if (status)
        return status;
    if (!bytes_needed(column, kind, &need))
        return damaged(d, column->node, "its offsets do not hold");
    if (need > buffer->bytes)
        return damaged(d, column->node, "a buffer is too short for its rows");
    if (!buffer->bytes)
        bytes = nothing;
    column->own[index] = bytes;
    set_buffer(&column->view, kind, bytes);
    return FC_OK;
}

static int decode_buffers(decoder *d, fc__column *column, const fc__body_node *node) {
    const fc__shape_info *shape = fc__shape_of(column->shape);

    column->buffers = column->own;
    column->buffer_count = shape->buffers;
    if (node->buffer_count != (uint32_t)shape->buffers)
        return damaged(d, column->node, "it has not the buffers of its type");
    if ((uint64_t)node->first_buffer + node->buffer_count > d->body->buffer_count)
        return damaged(d, column->node, "its buffers lie outside of the body");
    for (int i = 0; i < shape->buffers; i++) {
        int status = decode_buffer(d, column, i, shape->kinds[i],
                                   d->body->buffers + node->first_buffer + i);
        if (status)
            return status;
    }
    return FC_OK;
}

/* ---- Nulls and range ---- */

static int decode_nulls(decoder *d, fc__column *column, const fc__body_node *node) {
    if (node->length < 0 || node->null_count < 0 || node->null_count > node->length)
        return damaged(d, column->node, "its rows and nulls do not hold");
    column->view.rows = node->length;
    if (column->view.type == FC_TYPE_NA)
        column->view.nulls = node->length;
    else if (fc__shape_of(column->shape)->has_validity)
        column->view.nulls = node->null_count;
    return FC_OK; /* unions and run-ends have their nulls below */
}

static void decode_range(fc__column *column, const fc__body_node *node) {
    if (!node->has_range || column->shape != FC__SHAPE_FIXED ||
        column->view.width > (int32_t)sizeof node->min || node->dictionary)
        return;
    column->view.min = node->min;
    column->view.max = node->max;
}

/* ---- Children against their parent ---- */

static int64_t child_rows(const fc__column *column, uint32_t index) {
    return column->view.children[index]->rows;
}

static const char *check_list(const fc__column *column) {
    const fc_column *view = &column->view;
    int64_t first = view->offsets ? view->offsets[0] : view->offsets32[0];
    int64_t last =
        view->offsets ? view->offsets[view->rows] : view->offsets32[view->rows];

    if (first < 0 || last < first || last > child_rows(column, 0))
        return "its offsets pass the rows of its child";
    if (view->type == FC_TYPE_MAP && (view->children[0]->type != FC_TYPE_STRUCT ||
                                      view->children[0]->child_count != 2))
        return "a map's child is not a struct of key and value";
    return NULL;
}

static const char *check_fixed_list(const fc__column *column) {
    uint64_t need;

    if (!fc__mul((uint64_t)column->view.rows, (uint64_t)column->view.width, &need) ||
        need > (uint64_t)child_rows(column, 0))
        return "its child has too few rows";
    return NULL;
}

static const char *check_beside(const fc__column *column) {
    for (int64_t i = 0; i < column->view.child_count; i++)
        if (child_rows(column, (uint32_t)i) < column->view.rows)
            return "a child has fewer rows than it";
    return NULL;
}

static const char *check_run_end(const fc__column *column) {
    const fc_column *ends = column->view.children[0];

    if (ends->type != FC_TYPE_INT16 && ends->type != FC_TYPE_INT32 &&
        ends->type != FC_TYPE_INT64)
        return "its run ends are no integers of 16, 32 or 64 bits";
    if (ends->nulls || ends->rows > child_rows(column, 1))
        return "its run ends have nulls, or more rows than its values";
    if (column->view.rows &&
        (!ends->rows || fc__run_end(ends, ends->rows - 1) < column->view.rows))
        return "its last run ends before its last row";
    return NULL;
}

static const char *check_children(const fc__column *column) {
    switch (column->shape) {
    case FC__SHAPE_LIST32:
    case FC__SHAPE_LIST64:
        return check_list(column);
    case FC__SHAPE_FIXED_LIST:
        return check_fixed_list(column);
    case FC__SHAPE_STRUCT:
    case FC__SHAPE_SPARSE:
        return check_beside(column);
    case FC__SHAPE_RUN_END:
        return check_run_end(column);
    default:
        return NULL;
    }
}

/* ---- The tree ---- */

static int decode_node(decoder *d, uint32_t index, const fc_column **out);

static int decode_children(decoder *d, fc__column *column, const fc__body_field *field) {
    const fc_column **links = d->links;

    d->links += field->child_count;
    column->view.children = field->child_count ? links : NULL;
    column->view.child_count = field->child_count;
    for (uint32_t i = 0; i < field->child_count; i++) {
        int status = decode_node(d, field->first_child + i, &links[i]);
        if (status)
            return status;
    }
    const char *what = check_children(column);
    if (what)
        return damaged(d, column->node, what);
    return field->dictionary ? decode_node(d, field->dictionary, &column->view.dictionary)
                             : FC_OK;
}

static int decode_node(decoder *d, uint32_t index, const fc_column **out) {
    const fc__body_node *node = d->body->nodes + index;
    fc__column *column = d->columns++;
    fc__body_field field;

    int status = fc__body_field_at(d->body, index, &field, d->error);
    if (status)
        return status;
    column->view.name = field.name;
    column->view.format =
        field.type.stored_format ? field.type.stored_format : field.format;
    column->view.metadata = field.metadata;
    column->view.type = field.dictionary ? FC_TYPE_DICTIONARY : field.type.type;
    column->view.width = field.type.width;
    column->shape = field.type.stored;
    column->node = index;
    column->writable = d->frame->setup.writable;
    *out = &column->view;
    if ((status = decode_nulls(d, column, node)) ||
        (status = decode_buffers(d, column, node)))
        return status;
    decode_range(column, node);
    return decode_children(d, column, &field);
}

static int decode_tree(fc__column **out, const fc_frame *base, uint32_t index,
                       fc_error *error) {
    const fc_column *view;
    uint32_t count;

    int status = fc__body_count(&base->body, index, &count, error);
    if (status)
        return status;
    fc__column *memory =
        fc__calloc(1, count * (sizeof(fc__column) + sizeof(fc_column *)));
    if (!memory)
        return fc__fail(error, FC_E_NOMEM, "out of memory for %u fields", count);
    decoder d = {.frame = base,
                 .body = &base->body,
                 .columns = memory,
                 .links = (const fc_column **)(memory + count),
                 .error = error};
    status = decode_node(&d, index, &view);
    if (!status && view->rows != base->body.rows)
        status = damaged(&d, index, "it has not the rows of its table");
    if (status)
        fc__free(memory);
    else
        *out = memory;
    return status;
}

int fc__decode(fc__column **out, const fc_frame *base, int64_t index, fc_error *error) {
    fc_error detail = {0};
    const char *name;

    *out = NULL;
    const fc__body_node *root = base->body.nodes + base->body.root;
    uint32_t node = (uint32_t)(root->first_child + index);
    int status = decode_tree(out, base, node, &detail);
    if (!status)
        return FC_OK;
    if (error)
        *error = detail;
    if (fc__body_name(&base->body, node, &name, NULL))
        name = "?";
    return fc__fail_prefix(error, status, "column '%.100s' (number %lld): ", name,
                           (long long)index);
}
