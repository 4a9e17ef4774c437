/* The whole of a frame, against everything that its types promise: what decoding leaves
 * out for being in proportion to the rows. */
#include "bits.h"
#include "checksum.h"
#include "decode.h"
#include "values.h"

#define REMEDY "the frame is damaged, put it again"

typedef struct verifier {
    const fc_frame *base;
    uint8_t *seen; /* one bit a node */
    fc_error *error;
} verifier;

static int damaged(verifier *v, const fc__column *column, const char *what) {
    return fc__fail(v->error, FC_E_CORRUPT, "field '%.100s' (node %u): %s: " REMEDY,
                    column->view.name, column->node, what);
}

static bool valid(const fc__column *column, int64_t row) {
    return fc_is_valid(&column->view, row);
}

/* ---- Values ---- */

static const char *check_offsets64(const fc__column *column) {
    const int64_t *offsets = column->view.offsets;

    for (int64_t i = 0; i < column->view.rows; i++)
        if (offsets[i + 1] < offsets[i])
            return "its offsets go backward";
    return NULL;
}

static const char *check_offsets32(const fc__column *column) {
    const int32_t *offsets = column->view.offsets32;

    for (int64_t i = 0; i < column->view.rows; i++)
        if (offsets[i + 1] < offsets[i])
            return "its offsets go backward";
    return NULL;
}

/* Which child a type id stands for, -1: none. */
static void child_of_ids(const fc__column *column, int child_of[FC__UNION_IDS]) {
    int8_t ids[FC__UNION_IDS];
    int count = fc__union_ids(column->view.format, ids);

    for (int i = 0; i < FC__UNION_IDS; i++)
        child_of[i] = -1;
    for (int i = 0; i < count; i++)
        child_of[ids[i]] = i;
}

static const char *check_union(const fc__column *column) {
    const fc_column *view = &column->view;
    int child_of[FC__UNION_IDS];

    child_of_ids(column, child_of);
    for (int64_t i = 0; i < view->rows; i++) {
        int child = view->type_ids[i] < 0 ? -1 : child_of[view->type_ids[i]];
        if (child < 0)
            return "a type id is none of its union's";
        if (column->shape == FC__SHAPE_DENSE &&
            (view->offsets32[i] < 0 || view->offsets32[i] >= view->children[child]->rows))
            return "an offset passes the rows of its child";
    }
    return NULL;
}

static const char *check_run_ends(const fc__column *column) {
    const fc_column *ends = column->view.children[0];
    int64_t before = 0;

    for (int64_t i = 0; i < ends->rows; i++) {
        int64_t end = fc__run_end(ends, i);
        if (end <= before)
            return "its run ends do not grow";
        before = end;
    }
    return NULL;
}

static const char *check_codes(const fc__column *column) {
    int64_t values = column->view.dictionary->rows;
    bool is_signed = fc__signed_format(column->view.format);

    for (int64_t i = 0; i < column->view.rows; i++) {
        int64_t code =
            fc__integer_at(column->view.values, column->view.width, is_signed, i);
        if (valid(column, i) && (code < 0 || code >= values))
            return "a code is none of its dictionary's";
    }
    return NULL;
}

static const char *check_values(const fc__column *column) {
    if (column->view.dictionary)
        return check_codes(column);
    switch (column->shape) {
    case FC__SHAPE_BYTES64:
    case FC__SHAPE_LIST64:
        return check_offsets64(column);
    case FC__SHAPE_LIST32:
        return check_offsets32(column);
    case FC__SHAPE_SPARSE:
    case FC__SHAPE_DENSE:
        return check_union(column);
    case FC__SHAPE_RUN_END:
        return check_run_ends(column);
    default:
        return NULL;
    }
}

static const char *check_nulls(const fc__column *column) {
    const fc_column *view = &column->view;

    if (!view->validity)
        return NULL;
    return view->rows - fc__bits_count(view->validity, 0, view->rows) == view->nulls
               ? NULL
               : "its null count is not that of its validity";
}

/* ---- Bytes ---- */

/* The buffers as they are stored; decoding has checked where they lie. */
static const char *check_bytes(verifier *v, const fc__column *column) {
    static const uint8_t zeros[FC__ALIGN];
    const fc__body *body = &v->base->body;
    const fc__body_buffer *buffer =
        body->buffers + body->nodes[column->node].first_buffer;

    for (int i = 0; i < column->buffer_count; i++, buffer++) {
        const char *bytes = column->own[i];
        if (!bytes || !buffer->bytes)
            continue;
        if (memcmp(bytes + buffer->bytes, zeros, sizeof zeros))
            return "the padding behind a buffer is not zero";
        if (body->flags & FC__BODY_CHECKSUMS &&
            fc__checksum(bytes, buffer->bytes) != buffer->checksum)
            return "the checksum of a buffer differs";
    }
    return NULL;
}

/* ---- The tree ---- */

static bool first_visit(verifier *v, uint32_t node) {
    bool seen = fc__bit(v->seen, node);

    v->seen[node >> 3] |= (uint8_t)(1u << (node & 7));
    return !seen;
}

static int verify_column(verifier *v, const fc__column *column) {
    const char *what = NULL;

    if (!first_visit(v, column->node))
        what = "it hangs in the frame twice";
    if (!what)
        what = check_bytes(v, column);
    if (!what)
        what = check_nulls(column);
    if (!what)
        what = check_values(column);
    int status = what ? damaged(v, column, what) : FC_OK;
    for (int64_t i = 0; !status && i < column->view.child_count; i++)
        status = verify_column(v, fc__child(column, i));
    if (!status && column->view.dictionary)
        status = verify_column(v, fc__dictionary(column));
    return status;
}

static int verify_columns(verifier *v) {
    fc__body_field root;

    int status = fc__body_field_at(&v->base->body, v->base->body.root, &root, v->error);
    for (int64_t i = 0; !status && i < v->base->body.column_count; i++) {
        const fc__column *column;
        status = fc__frame_whole(v->base, i, &column, v->error);
        if (!status && (status = verify_column(v, column)))
            fc__fail_prefix(v->error, status, "column %lld: ", (long long)i);
    }
    return status;
}

bool fc__frame_has_checksums(const fc_frame *frame) {
    return frame->base->body.flags & FC__BODY_CHECKSUMS;
}

int fc__frame_verify(fc_frame *frame, fc_error *error) {
    verifier v = {.base = frame->base, .error = error};

    v.seen = fc__calloc(v.base->body.node_count / 8 + 1, 1);
    if (!v.seen)
        return fc__fail(error, FC_E_NOMEM, "out of memory to verify a frame");
    int status = verify_columns(&v);
    fc__free(v.seen);
    return status;
}
