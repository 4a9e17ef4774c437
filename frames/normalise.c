/* The walk over the nodes, breadth first: by the time a node is reached, its parent has
 * given it all of its pieces. */
#include "normalise.h"

#include "bits.h"
#include "missing.h"
#include "status.h"

/* ---- Pieces ---- */

static int no_memory(fc_error *error) {
    return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
}

int fc__push_room(fc__plan *plan, fc__node *node, size_t count, fc_error *error) {
    size_t room = node->piece_count + count;

    if (room <= node->piece_room)
        return 0;
    if (node->piece_room && room < 2 * node->piece_room)
        room = 2 * node->piece_room;
    fc__piece *pieces = fc__arena_take(&plan->arena, room, sizeof *pieces);
    if (!pieces)
        return no_memory(error);
    if (node->piece_count)
        memcpy(pieces, node->pieces, node->piece_count * sizeof *pieces);
    node->pieces = pieces;
    node->piece_room = room;
    return 0;
}

/* Rows right behind those of the last piece make that longer. Not with run ends, which
 * each parent shifts in its own way. */
static bool merges(const fc__node *node, const fc__piece *piece) {
    if (!node->piece_count || node->is_run_ends)
        return false;
    const fc__piece *last = &node->pieces[node->piece_count - 1];
    return last->array == piece->array && last->first + last->rows == piece->first;
}

static int append(fc__plan *plan, fc__node *node, const fc__piece *piece,
                  fc_error *error) {
    int code;

    if (__builtin_add_overflow(node->rows, piece->rows, &node->rows))
        return fc__field_fail(node->field, error, FC_E_INVALID,
                              "more than 2^63 - 1 rows in all chunks");
    if (merges(node, piece)) {
        node->pieces[node->piece_count - 1].rows += piece->rows;
        return 0;
    }
    if ((code = fc__push_room(plan, node, 1, error)))
        return code;
    node->pieces[node->piece_count++] = *piece;
    return 0;
}

int fc__push(fc__plan *plan, fc__node *node, const struct ArrowArray *array, int64_t from,
             int64_t rows, fc_error *error) {
    bool known =
        node->piece_count && array && node->pieces[node->piece_count - 1].array == array;
    int code;

    if (!known && (code = fc__check_array(node->field, array, error)))
        return code;
    if (from < 0 || rows < 0 || from > array->length || rows > array->length - from)
        return fc__field_fail(node->field, error, FC_E_INVALID,
                              "its array has %lld rows where the one above it needs %lld "
                              "from row %lld",
                              (long long)array->length, (long long)rows, (long long)from);
    fc__piece piece = {.array = array, .first = array->offset + from, .rows = rows};
    return append(plan, node, &piece, error);
}

/* ---- One node ---- */

static int count_nulls(fc__node *node, fc_error *error) {
    if (node->field->type == FC_TYPE_NA)
        node->nulls = node->rows;
    if (!fc__shape_of(node->field->given)->has_validity)
        return 0;
    for (size_t i = 0; i < node->piece_count; i++) {
        const fc__piece *piece = &node->pieces[i];
        const uint8_t *validity = fc__piece_validity(piece);
        if (validity && piece->rows)
            node->nulls +=
                piece->rows - fc__bits_count(validity, piece->first, piece->rows);
    }
    if (node->is_run_ends && node->nulls)
        return fc__field_fail(node->field, error, FC_E_INVALID,
                              "%lld of the run ends are null", (long long)node->nulls);
    return 0;
}

static int set_buffer(fc__plan *plan, const fc__node *node, uint32_t index, fc__how how,
                      uint64_t bytes) {
    uint32_t at = node->first_buffer + index;

    plan->feeds[at] = (fc__feed){.how = how, .node = (uint32_t)(node - plan->nodes)};
    plan->buffers[at].bytes = bytes;
    return 0;
}

static int set_rows(fc__plan *plan, const fc__node *node, uint32_t index, fc__how how,
                    fc__buffer_kind kind, fc_error *error) {
    uint64_t bytes;

    if (!fc__buffer_need(kind, node->width, node->rows, &bytes))
        return fc__field_fail(node->field, error, FC_E_INVALID,
                              "%lld rows are more than memory can hold",
                              (long long)node->rows);
    return set_buffer(plan, node, index, how, bytes);
}

static int set_bytes(fc__plan *plan, const fc__node *node, fc_error *error) {
    bool views = node->field->given == FC__SHAPE_BYTE_VIEW;
    int64_t total = 0, bytes;
    int code;

    for (size_t i = 0; i < node->piece_count; i++) {
        if ((code = fc__check_bytes(node->field, &node->pieces[i], &bytes, error)))
            return code;
        if (__builtin_add_overflow(total, bytes, &total))
            return fc__field_fail(node->field, error, FC_E_INVALID,
                                  "more than 2^63 - 1 bytes in all chunks");
    }
    if ((code = fc__field_reaches(node->field, total, error)))
        return code;
    set_buffer(plan, node, 2, views ? FC__HOW_VIEW_BYTES : FC__HOW_BYTES,
               (uint64_t)total);
    return set_rows(plan, node, 1, views ? FC__HOW_VIEW_OFFSETS : FC__HOW_OFFSETS,
                    FC__BUFFER_OFFSETS64, error);
}

static int set_values(fc__plan *plan, fc__node *node, fc_error *error) {
    fc__how how = FC__HOW_VALUES;
    int code;

    for (size_t i = 0; i < node->piece_count; i++)
        if ((code = fc__check_buffer(node->field, &node->pieces[i], 1, error)))
            return code;
    if (node->field->dictionary) {
        how = FC__HOW_CODES;
        if ((code = fc__push_dictionary(plan, node, error)))
            return code;
    }
    fc__plan_range(node);
    return set_rows(plan, node, 1, node->is_run_ends ? FC__HOW_RUN_ENDS : how,
                    FC__BUFFER_VALUES, error);
}

static int set_bits(fc__plan *plan, const fc__node *node, fc_error *error) {
    int code;

    for (size_t i = 0; i < node->piece_count; i++)
        if ((code = fc__check_buffer(node->field, &node->pieces[i], 1, error)))
            return code;
    return set_rows(plan, node, 1, FC__HOW_BITS, FC__BUFFER_BITS, error);
}

/* All buffers but the validity, which is alike for all shapes. */
static int set_buffers(fc__plan *plan, fc__node *node, fc_error *error) {
    int code = 0;

    switch (node->field->given) {
    case FC__SHAPE_BITS:
        return set_bits(plan, node, error);
    case FC__SHAPE_FIXED:
        return set_values(plan, node, error);
    case FC__SHAPE_BYTES32:
    case FC__SHAPE_BYTES64:
    case FC__SHAPE_BYTE_VIEW:
        return set_bytes(plan, node, error);
    case FC__SHAPE_LIST32:
    case FC__SHAPE_LIST64:
        return set_rows(plan, node, 1, FC__HOW_OFFSETS,
                        fc__shape_of(node->field->stored)->kinds[1], error);
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return set_rows(plan, node, 1, FC__HOW_LIST_VIEW_OFFSETS, FC__BUFFER_OFFSETS64,
                        error);
    case FC__SHAPE_DENSE:
        code = set_rows(plan, node, 1, FC__HOW_PLACES, FC__BUFFER_PLACES32, error);
        if (code)
            return code;
        /* fall through */
    case FC__SHAPE_SPARSE:
        return set_rows(plan, node, 0, FC__HOW_TYPE_IDS, FC__BUFFER_TYPE_IDS, error);
    default:
        return 0;
    }
}

static bool is_column(const fc__plan *plan, const fc__node *node) {
    return node > plan->nodes && node <= plan->nodes + plan->root->child_count;
}

int fc__plan_mark(fc__plan *plan, fc__node *node, fc_error *error) {
    return set_rows(plan, node, 0, FC__HOW_MISSING, FC__BUFFER_VALIDITY, error);
}

static int walk_node(fc__plan *plan, fc__node *node, fc_error *error) {
    int code;

    if ((code = count_nulls(node, error)))
        return code;
    bool found = plan->missing && is_column(plan, node) && fc__plan_missing(node);
    if ((code = set_buffers(plan, node, error)) ||
        (found && (code = fc__plan_mark(plan, node, error))))
        return code;
    if (node->nulls && fc__shape_of(node->field->stored)->has_validity &&
        (code = set_rows(plan, node, 0, FC__HOW_VALIDITY, FC__BUFFER_VALIDITY, error)))
        return code;
    return fc__push_children(plan, node, error);
}

/* ---- The table ---- */

static int push_chunk(fc__plan *plan, fc__node *node, const struct ArrowArray *chunk,
                      fc_error *error) {
    int code = fc__check_array(node->field, chunk, error);
    return code ? code : fc__push(plan, node, chunk, 0, chunk->length, error);
}

static int check_root(const fc__node *root, fc_error *error) {
    if (!root->nulls)
        return 0;
    return fc__field_fail(root->field, error, FC_E_INVALID,
                          "%lld of its rows are null as a whole, which a table cannot "
                          "have; drop them, or put them as one column of struct type",
                          (long long)root->nulls);
}

int fc__normalise(fc__plan *plan, bool wrapped, const struct ArrowArray *const *chunks,
                  size_t count, fc_error *error) {
    fc__node *top = &plan->nodes[wrapped];
    int code = fc__push_room(plan, top, count, error);

    for (size_t i = 0; !code && i < count; i++)
        code = push_chunk(plan, top, chunks[i], error);
    for (uint32_t i = wrapped; !code && i < plan->node_count; i++) {
        code = walk_node(plan, &plan->nodes[i], error);
        if (!code && i == 0)
            code = check_root(plan->nodes, error);
    }
    plan->nodes[0].rows = top->rows;
    return code;
}
