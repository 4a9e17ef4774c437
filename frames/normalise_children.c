/* What rows of a nested array mean in rows of its children: one function a shape. Slicing
 * happens here alone; whatever no row refers to is left behind. */
#include "bits.h"
#include "normalise.h"
#include "status.h"

static fc__node *child_node(fc__plan *plan, const fc__node *node, uint32_t index) {
    return &plan->nodes[node->first_child + index];
}

static int no_memory(fc_error *error) {
    return fc__fail(error, FC_E_NOMEM, "out of memory for planning a frame");
}

/* STRUCT and SPARSE: the same rows of each child. */
static int push_struct(fc__plan *plan, fc__node *node, const fc__piece *piece,
                       fc_error *error) {
    int code = 0;

    for (uint32_t i = 0; !code && i < node->field->child_count; i++)
        code = fc__push(plan, child_node(plan, node, i), piece->array->children[i],
                        piece->first, piece->rows, error);
    return code;
}

static int push_list(fc__plan *plan, fc__node *node, const fc__piece *piece,
                     fc_error *error) {
    fc__node *child = child_node(plan, node, 0);
    int64_t from, rows;
    int code = fc__check_offsets(node->field, piece, &from, &rows, error);

    if (!code)
        code = fc__push(plan, child, piece->array->children[0], from, rows, error);
    if (!code && node->field->type == FC_TYPE_MAP && child->rows > INT32_MAX)
        code = fc__field_fail(node->field, error, FC_E_INVALID,
                              "its maps have %lld entries in all; the 32-bit offsets of "
                              "a map reach 2147483647; put fewer rows a frame",
                              (long long)child->rows);
    return code ? code : fc__field_reaches(node->field, child->rows, error);
}

static int push_fixed_list(fc__plan *plan, fc__node *node, const fc__piece *piece,
                           fc_error *error) {
    int64_t from, rows;

    if (__builtin_mul_overflow(piece->first, (int64_t)node->width, &from) ||
        __builtin_mul_overflow(piece->rows, (int64_t)node->width, &rows))
        return fc__field_fail(node->field, error, FC_E_INVALID,
                              "its lists have more than 2^63 - 1 rows in all");
    return fc__push(plan, child_node(plan, node, 0), piece->array->children[0], from,
                    rows, error);
}

/* Views may lie in any order and over one another; a null one is taken as empty. Rows
 * that follow each other in the child become one piece (fc__push merges them). */
static int push_list_view(fc__plan *plan, fc__node *node, const fc__piece *piece,
                          fc_error *error) {
    bool wide = fc__is_wide(node->field->given);
    const struct ArrowArray *items = piece->array->children[0];
    const uint8_t *validity = fc__piece_validity(piece);
    fc__node *child = child_node(plan, node, 0);
    int code = fc__push(plan, child, items, 0, 0, error);

    if (code || (code = fc__check_buffer(node->field, piece, 1, error)) ||
        (code = fc__check_buffer(node->field, piece, 2, error)))
        return code;
    for (int64_t row = piece->first; !code && row < piece->first + piece->rows; row++) {
        if (validity && !fc__bit(validity, row))
            continue;
        int64_t size = fc__load(fc__piece_buffer(piece, 2), row, wide);
        if (size)
            code = fc__push(plan, child, items,
                            fc__load(fc__piece_buffer(piece, 1), row, wide), size, error);
    }
    return code ? code : fc__field_reaches(node->field, child->rows, error);
}

/* ---- Run ends ---- */

static int check_run_ends(const fc__field *field, const struct ArrowArray *ends,
                          fc_error *error) {
    int64_t last = 0;
    int code = fc__check_array(field, ends, error);

    if (code)
        return code;
    if (ends->length && !ends->buffers[1])
        return fc__field_fail(field, error, FC_E_INVALID,
                              "buffer 1 of its array is a null pointer, with %lld rows",
                              (long long)ends->length);
    for (int64_t i = ends->offset; i < ends->offset + ends->length; i++) {
        int64_t end = fc__load_run_end(ends->buffers[1], i, field->width);
        if (end <= last)
            return fc__field_fail(field, error, FC_E_INVALID,
                                  "run end %lld follows %lld; they must grow from 1 up",
                                  (long long)end, (long long)last);
        last = end;
    }
    return 0;
}

int64_t fc__find_run(const struct ArrowArray *ends, int32_t width, int64_t row) {
    int64_t low = 0, high = ends->length;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (fc__load_run_end(ends->buffers[1], ends->offset + middle, width) > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int push_run_end(fc__plan *plan, fc__node *node, const fc__piece *piece,
                        int64_t before, fc_error *error) {
    fc__node *end_node = child_node(plan, node, 0), *values = child_node(plan, node, 1);
    const struct ArrowArray *ends = piece->array->children[0];
    int64_t end = piece->first + piece->rows, from = 0, runs = 0;
    int code;

    if (piece->rows) {
        from = fc__find_run(ends, end_node->field->width, piece->first);
        runs = fc__find_run(ends, end_node->field->width, end - 1) - from + 1;
    }
    if (from + runs > ends->length)
        return fc__field_fail(end_node->field, error, FC_E_INVALID,
                              "the last run ends before row %lld of the array",
                              (long long)end);
    if ((code = fc__push(plan, end_node, ends, from, runs, error)) ||
        (code = fc__push(plan, values, piece->array->children[1], from, runs, error)))
        return code;
    fc__piece *pushed = &end_node->pieces[end_node->piece_count - 1];
    pushed->runs.shift = before - piece->first;
    pushed->runs.last = before + piece->rows;
    return 0;
}

static void widen(fc__node *ends, fc_type type, int32_t width, const char *format) {
    ends->type = type;
    ends->width = width;
    ends->stored_format = format;
}

/* Run ends count rows of the whole column now: 16 or 32 bits may be too few. */
static int widen_run_ends(fc__node *ends, int64_t rows, fc_error *error) {
    int64_t most = ends->width == 2 ? INT16_MAX : INT32_MAX;

    if (ends->field->keeps_form && ends->width < 8 && rows > most)
        return fc__field_fail(ends->field, error, FC_E_INVALID,
                              "format '%s' below an extension name stays as it is, and "
                              "counts no %lld rows; put fewer a frame",
                              ends->field->format, (long long)rows);
    if (rows > INT32_MAX && ends->width < 8)
        widen(ends, FC_TYPE_INT64, 8, "l");
    else if (rows > INT16_MAX && ends->width < 4)
        widen(ends, FC_TYPE_INT32, 4, "i");
    return FC_OK;
}

static int push_run_ends(fc__plan *plan, fc__node *node, fc_error *error) {
    int64_t before = 0;
    int code = 0;

    fc__node *end_node = child_node(plan, node, 0);

    end_node->is_run_ends = true;
    for (size_t i = 0; !code && i < node->piece_count; i++) {
        const fc__piece *piece = &node->pieces[i];
        if (!i || piece->array != piece[-1].array)
            code = check_run_ends(end_node->field, piece->array->children[0], error);
        if (!code)
            code = push_run_end(plan, node, piece, before, error);
        before += piece->rows;
    }
    return code ? code : widen_run_ends(end_node, node->rows, error);
}

/* ---- Unions ---- */

static int read_ids(fc__plan *plan, fc__node *node, fc_error *error) {
    int8_t ids[FC__UNION_IDS];
    int count = fc__union_ids(node->field->format, ids);
    int8_t *child_of = fc__arena_take(&plan->arena, FC__UNION_IDS, 1);

    if (!child_of)
        return no_memory(error);
    memset(child_of, -1, FC__UNION_IDS);
    for (int i = 0; i < count; i++)
        child_of[ids[i]] = (int8_t)i;
    node->child_of = child_of;
    return 0;
}

static int check_ids(const fc__node *node, const fc__piece *piece, fc_error *error) {
    int code = fc__check_buffer(node->field, piece, 0, error);

    for (int64_t i = 0; !code && i < piece->rows; i++) {
        int id = (int8_t)fc__piece_buffer(piece, 0)[piece->first + i];
        if (id < 0 || node->child_of[id] < 0)
            code = fc__field_fail(node->field, error, FC_E_INVALID,
                                  "type id %d at row %lld is none of format '%.80s'", id,
                                  (long long)i, node->field->format);
    }
    return code;
}

typedef struct reach { /* of the rows of each child that are referred to */
    int64_t from, end;
} reach;

static int find_reach(const fc__node *node, const fc__piece *piece, reach *of,
                      fc_error *error) {
    int code = fc__check_buffer(node->field, piece, 1, error);

    for (int64_t i = piece->first; !code && i < piece->first + piece->rows; i++) {
        reach *child = &of[node->child_of[(int)fc__piece_buffer(piece, 0)[i]]];
        int64_t offset = fc__load32(fc__piece_buffer(piece, 1), i);
        if (offset < 0)
            code = fc__field_fail(node->field, error, FC_E_INVALID,
                                  "the union's offset at row %lld is %lld",
                                  (long long)(i - piece->first), (long long)offset);
        if (child->from == child->end || offset < child->from)
            child->from = offset;
        if (offset >= child->end)
            child->end = offset + 1;
    }
    return code;
}

static int push_dense(fc__plan *plan, fc__node *node, fc__piece *piece, fc_error *error) {
    uint32_t count = node->field->child_count;
    reach of[FC__UNION_IDS] = {{0, 0}};
    int64_t *places = fc__arena_take(&plan->arena, count, sizeof *places);
    int code;

    if (!places)
        return no_memory(error);
    if ((code = find_reach(node, piece, of, error)))
        return code;
    for (uint32_t i = 0; !code && i < count; i++) {
        fc__node *child = child_node(plan, node, i);
        places[i] = child->rows - of[i].from;
        code = fc__push(plan, child, piece->array->children[i], of[i].from,
                        of[i].end - of[i].from, error);
        if (!code && child->rows > INT32_MAX)
            code = fc__field_fail(child->field, error, FC_E_INVALID,
                                  "%lld rows in all; the 32-bit offsets of a dense union "
                                  "reach 2147483647; put fewer rows a frame",
                                  (long long)child->rows);
    }
    piece->places = places;
    return code;
}

static int push_union(fc__plan *plan, fc__node *node, fc__piece *piece, fc_error *error) {
    int code = check_ids(node, piece, error);

    if (code)
        return code;
    return node->field->given == FC__SHAPE_DENSE ? push_dense(plan, node, piece, error)
                                                 : push_struct(plan, node, piece, error);
}

/* ---- Any shape ---- */

static int push_piece(fc__plan *plan, fc__node *node, fc__piece *piece, fc_error *error) {
    switch (node->field->given) {
    case FC__SHAPE_STRUCT:
        return push_struct(plan, node, piece, error);
    case FC__SHAPE_LIST32:
    case FC__SHAPE_LIST64:
        return push_list(plan, node, piece, error);
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return push_list_view(plan, node, piece, error);
    case FC__SHAPE_FIXED_LIST:
        return push_fixed_list(plan, node, piece, error);
    case FC__SHAPE_SPARSE:
    case FC__SHAPE_DENSE:
        return push_union(plan, node, piece, error);
    default:
        return 0;
    }
}

int fc__push_children(fc__plan *plan, fc__node *node, fc_error *error) {
    int code = 0;

    for (uint32_t i = 0; !code && i < node->field->child_count; i++)
        code = fc__push_room(plan, child_node(plan, node, i), node->piece_count, error);
    if (!code && node->field->given == FC__SHAPE_RUN_END)
        return push_run_ends(plan, node, error);
    if (!code &&
        (node->field->given == FC__SHAPE_SPARSE || node->field->given == FC__SHAPE_DENSE))
        code = read_ids(plan, node, error);
    if (node->field->child_count || node->child_of)
        for (size_t i = 0; !code && i < node->piece_count; i++)
            code = push_piece(plan, node, &node->pieces[i], error);
    return code;
}
