/* What was written into a build, checked before it is published: a frame that does not
 * hold never comes to be. All of it is read once, but for the values of fixed width. */
#include "bits.h"
#include "build.h"
#include "values.h"

static int settle_child(fc__target *child, int64_t rows, fc_error *error) {
    return fc__target_settle(child, rows, error);
}

/* ---- Validity and bits ---- */

/* Zeroes the bits behind `rows` in the last byte. */
static void clear_behind(char *bits, int64_t rows) {
    if (bits && rows & 7)
        bits[rows >> 3] &= (char)((1u << (rows & 7)) - 1);
}

static void settle_validity(fc__target *target) {
    fc__span *span = &target->spans[0];

    if (!target->shape->has_validity || !span->start)
        return;
    clear_behind(span->start, target->rows);
    target->nulls =
        target->rows - fc__bits_count((const uint8_t *)span->start, 0, target->rows);
    span->used = target->nulls ? (uint64_t)(target->rows + 7) / 8 : 0;
}

static bool is_valid(const fc__target *target, int64_t row) {
    return !target->nulls || fc__bit(target->view.validity, row);
}

/* ---- Offsets ---- */

static int check_first_offset(const fc__target *target, int64_t first, fc_error *error) {
    return first ? fc__field_fail(target->field, error, FC_E_INVALID,
                                  "offsets[0] is %lld; it must be 0", (long long)first)
                 : FC_OK;
}

static int backward(const fc__target *target, int64_t row, fc_error *error) {
    return fc__field_fail(target->field, error, FC_E_INVALID,
                          "offsets[%lld] is less than the one before it",
                          (long long)row + 1);
}

static int check_offsets64(fc__target *target, fc_error *error) {
    const int64_t *offsets = target->view.offsets;

    for (int64_t i = 0; i < target->rows; i++)
        if (offsets[i + 1] < offsets[i])
            return backward(target, i, error);
    return check_first_offset(target, offsets[0], error);
}

static int check_offsets32(fc__target *target, fc_error *error) {
    const int32_t *offsets = target->view.offsets32;

    for (int64_t i = 0; i < target->rows; i++)
        if (offsets[i + 1] < offsets[i])
            return backward(target, i, error);
    return check_first_offset(target, offsets[0], error);
}

static int settle_bytes(fc__target *target, fc_error *error) {
    int status = check_offsets64(target, error);
    uint64_t end = (uint64_t)target->view.offsets[target->rows];

    if (status)
        return status;
    if (end > target->spans[2].bytes)
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "its last offset is %llu, with room for %llu bytes: "
                              "fc_build_reserve() makes more",
                              (unsigned long long)end,
                              (unsigned long long)target->spans[2].bytes);
    target->spans[2].used = end;
    return fc__field_reaches(target->field, (int64_t)end, error);
}

static int settle_list(fc__target *target, fc_error *error) {
    int64_t items = target->view.offsets[target->rows];
    int status = check_offsets64(target, error);

    if (!status)
        status = fc__field_reaches(target->field, items, error);
    return status ? status : settle_child(fc__target_child(target, 0), items, error);
}

static int settle_map(fc__target *target, fc_error *error) {
    fc__target *entries = fc__target_child(target, 0);

    int status = check_offsets32(target, error);
    if (status ||
        (status = settle_child(entries, target->view.offsets32[target->rows], error)))
        return status;
    if (entries->nulls || fc__target_child(entries, 0)->nulls)
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "a map's entries and keys cannot be null");
    return FC_OK;
}

/* ---- Children beside their parent ---- */

static int settle_children(fc__target *target, int64_t rows, fc_error *error) {
    int status = FC_OK;

    for (int64_t i = 0; !status && i < target->view.child_count; i++)
        status = settle_child(fc__target_child(target, i), rows, error);
    return status;
}

/* ---- Unions ---- */

/* How many rows of each child are used; -1 behind an id that the union has not. */
typedef struct union_rows {
    int child_of[FC__UNION_IDS];
    int64_t rows[FC__UNION_IDS]; /* by child */
} union_rows;

static void begin_union(const fc__target *target, union_rows *u) {
    int8_t ids[FC__UNION_IDS];
    int count = fc__union_ids(target->field->stored_format, ids);

    memset(u->rows, 0, sizeof u->rows);
    for (int i = 0; i < FC__UNION_IDS; i++)
        u->child_of[i] = -1;
    for (int i = 0; i < count; i++)
        u->child_of[ids[i]] = i;
}

static int child_at(const fc__target *target, const union_rows *u, int64_t row) {
    int id = target->view.type_ids[row];
    return id < 0 ? -1 : u->child_of[id];
}

static int no_id(const fc__target *target, int64_t row, fc_error *error) {
    return fc__field_fail(target->field, error, FC_E_INVALID,
                          "type_ids[%lld] is %d, which is none of '%.80s'",
                          (long long)row, target->view.type_ids[row],
                          target->field->stored_format);
}

static int settle_sparse(fc__target *target, fc_error *error) {
    union_rows u;

    begin_union(target, &u);
    for (int64_t i = 0; i < target->rows; i++)
        if (child_at(target, &u, i) < 0)
            return no_id(target, i, error);
    return settle_children(target, target->rows, error);
}

static int settle_dense(fc__target *target, fc_error *error) {
    union_rows u;

    begin_union(target, &u);
    for (int64_t i = 0; i < target->rows; i++) {
        int child = child_at(target, &u, i);
        int64_t place = target->view.offsets32[i];
        if (child < 0)
            return no_id(target, i, error);
        if (place + 1 < u.rows[child])
            return fc__field_fail(target->field, error, FC_E_INVALID,
                                  "offsets32[%lld] goes backward within its child",
                                  (long long)i);
        if (place < 0)
            return fc__field_fail(target->field, error, FC_E_INVALID,
                                  "offsets32[%lld] is %lld", (long long)i,
                                  (long long)place);
        u.rows[child] = place + 1;
    }
    int status = FC_OK;
    for (int64_t i = 0; !status && i < target->view.child_count; i++)
        status = settle_child(fc__target_child(target, i), u.rows[i], error);
    return status;
}

/* ---- Run ends ---- */

/* As many runs as it takes to reach the last row, whose run then ends there. */
static int settle_runs(fc__target *target, fc_error *error) {
    fc__target *ends = fc__target_child(target, 0);
    int32_t width = ends->view.width;
    int64_t runs = 0, before = 0;

    while (before < target->rows) {
        if (runs >= ends->view.rows)
            return fc__field_fail(target->field, error, FC_E_INVALID,
                                  "its runs end at row %lld of %lld", (long long)before,
                                  (long long)target->rows);
        int64_t end = fc__integer_at(ends->view.values, width, true, runs);
        if (end <= before)
            return fc__field_fail(target->field, error, FC_E_INVALID,
                                  "run end %lld is %lld, not more than the one before it",
                                  (long long)runs, (long long)end);
        before = end;
        runs++;
    }
    if (runs)
        fc__integer_set(ends->view.values, width, runs - 1, target->rows);
    int status = settle_children(target, runs, error);
    if (!status && ends->nulls)
        status =
            fc__field_fail(ends->field, error, FC_E_INVALID, "run ends cannot be null");
    return status;
}

/* ---- Dictionaries ---- */

static int settle_codes(fc__target *target, fc_error *error) {
    fc__target *values = fc__target_dictionary(target);
    int64_t count = values->appending ? values->appended : values->view.rows;
    bool is_signed = fc__signed_format(target->field->stored_format);

    for (int64_t i = 0; i < target->rows; i++) {
        int64_t code =
            fc__integer_at(target->view.values, target->view.width, is_signed, i);
        if (is_valid(target, i) && (code < 0 || code >= count))
            return fc__field_fail(target->field, error, FC_E_INVALID,
                                  "the code of row %lld is %lld, its dictionary has %lld "
                                  "values",
                                  (long long)i, (long long)code, (long long)count);
    }
    return settle_child(values, count, error);
}

/* ---- All ---- */

/* Bytes of the buffers whose size follows from the rows. */
static void settle_sizes(fc__target *target) {
    for (int i = 0; i < target->shape->buffers; i++) {
        fc__buffer_kind kind = target->shape->kinds[i];
        if (kind != FC__BUFFER_VALIDITY && kind != FC__BUFFER_BYTES)
            fc__buffer_need(kind, target->view.width, target->rows,
                            &target->spans[i].used);
        if (kind == FC__BUFFER_BITS)
            clear_behind(target->spans[i].start, target->rows);
    }
}

static int settle_shape(fc__target *target, fc_error *error) {
    switch (target->field->stored) {
    case FC__SHAPE_BYTES64:
        return settle_bytes(target, error);
    case FC__SHAPE_LIST64:
        return settle_list(target, error);
    case FC__SHAPE_LIST32:
        return settle_map(target, error);
    case FC__SHAPE_FIXED_LIST:
        return settle_children(target, target->rows * target->view.width, error);
    case FC__SHAPE_STRUCT:
        return settle_children(target, target->rows, error);
    case FC__SHAPE_SPARSE:
        return settle_sparse(target, error);
    case FC__SHAPE_DENSE:
        return settle_dense(target, error);
    case FC__SHAPE_RUN_END:
        return settle_runs(target, error);
    default:
        return target->view.dictionary ? settle_codes(target, error) : FC_OK;
    }
}

int fc__target_settle(fc__target *target, int64_t rows, fc_error *error) {
    if (rows > target->view.rows)
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "%lld rows are needed, with room for %lld: "
                              "fc_build_reserve() or _append() makes more",
                              (long long)rows, (long long)target->view.rows);
    if (target->appending && target->appended != rows)
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "%lld rows were appended where there must be %lld",
                              (long long)target->appended, (long long)rows);
    target->rows = rows;
    target->nulls = target->field->type == FC_TYPE_NA ? rows : 0;
    settle_validity(target);
    settle_sizes(target);
    return settle_shape(target, error);
}
