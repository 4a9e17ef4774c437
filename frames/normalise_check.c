/* Arrays from outside, checked against their schema before anything is read through them:
 * first the structure (counts, lengths, pointers), then offsets and views. */
#include "bits.h"
#include "normalise.h"
#include "status.h"

/* ---- Structure ---- */

static int check_counts(const fc__field *field, const struct ArrowArray *array,
                        fc_error *error) {
    int64_t end;

    if (array->length < 0 || array->offset < 0 ||
        __builtin_add_overflow(array->length, array->offset, &end) || end == INT64_MAX)
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has length %lld and offset %lld",
                              (long long)array->length, (long long)array->offset);
    if (array->null_count < -1 || array->null_count > array->length)
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has %lld nulls in %lld rows; -1 is not counted",
                              (long long)array->null_count, (long long)array->length);
    if (array->n_children != field->child_count)
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has %lld children where its schema has %u",
                              (long long)array->n_children, field->child_count);
    if (array->n_children && !array->children)
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has children and no pointer to them");
    if (!array->dictionary != !field->dictionary)
        return fc__field_fail(
            field, error, FC_E_INVALID, "its array has %s dictionary, its schema %s",
            array->dictionary ? "a" : "no", field->dictionary ? "has one" : "has none");
    return 0;
}

/* Views have any number of data buffers. Polars gives the null type a bitmap that is a
 * null pointer, as the specification's first versions did; it is never looked at. */
static bool right_count(const fc__field *field, int64_t count) {
    int64_t want = fc__shape_of(field->given)->buffers;

    if (field->given == FC__SHAPE_BYTE_VIEW)
        return count >= want;
    return count == want || (field->given == FC__SHAPE_NULL && count == 1);
}

static int check_buffers(const fc__field *field, const struct ArrowArray *array,
                         fc_error *error) {
    const fc__shape_info *shape = fc__shape_of(field->given);
    uint64_t bytes;

    if (!right_count(field, array->n_buffers))
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has %lld buffers where format '%.40s' has %s%d",
                              (long long)array->n_buffers, field->format,
                              field->given == FC__SHAPE_BYTE_VIEW ? "at least " : "",
                              shape->buffers);
    if (array->n_buffers && !array->buffers)
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has buffers and no pointer to them");
    for (int i = 0; i < shape->buffers; i++)
        if (!fc__buffer_need(shape->kinds[i], field->width, array->offset + array->length,
                             &bytes))
            return fc__field_fail(field, error, FC_E_INVALID,
                                  "its array has length %lld and offset %lld, more than "
                                  "memory can hold",
                                  (long long)array->length, (long long)array->offset);
    if (shape->has_validity && array->null_count > 0 && !array->buffers[0])
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array has %lld nulls and no validity bitmap",
                              (long long)array->null_count);
    return 0;
}

int fc__check_array(const fc__field *field, const struct ArrowArray *array,
                    fc_error *error) {
    int code;

    if (!array)
        return fc__field_fail(field, error, FC_E_INVALID, "its array is a null pointer");
    if (!array->release)
        return fc__field_fail(field, error, FC_E_INVALID,
                              "its array was released, or moved elsewhere");
    if ((code = check_counts(field, array, error)))
        return code;
    return check_buffers(field, array, error);
}

int fc__check_buffer(const fc__field *field, const fc__piece *piece, int index,
                     fc_error *error) {
    bool nothing = field->given == FC__SHAPE_FIXED && field->width == 0;

    if (!piece->rows || piece->array->buffers[index] || nothing)
        return 0;
    return fc__field_fail(field, error, FC_E_INVALID,
                          "buffer %d of its array is a null pointer, with %lld rows",
                          index, (long long)piece->rows);
}

/* ---- Offsets ---- */

static bool offsets_hold32(const char *at, int64_t rows) {
    bool bad = fc__load32(at, 0) < 0;

    for (int64_t i = 0; i < rows; i++)
        bad |= (int32_t)fc__load32(at, i + 1) < (int32_t)fc__load32(at, i);
    return !bad;
}

static bool offsets_hold64(const char *at, int64_t rows) {
    bool bad = fc__load64(at, 0) < 0;

    for (int64_t i = 0; i < rows; i++)
        bad |= fc__load64(at, i + 1) < fc__load64(at, i);
    return !bad;
}

static int offsets_fail(const fc__field *field, const char *at, int64_t rows, bool wide,
                        fc_error *error) {
    int64_t row = 0, first = fc__load(at, 0, wide);

    if (first < 0)
        return fc__field_fail(field, error, FC_E_INVALID, "its first offset is %lld",
                              (long long)first);
    while (row < rows - 1 && fc__load(at, row + 1, wide) >= fc__load(at, row, wide))
        row++;
    return fc__field_fail(field, error, FC_E_INVALID,
                          "its offsets fall from %lld to %lld at row %lld",
                          (long long)fc__load(at, row, wide),
                          (long long)fc__load(at, row + 1, wide), (long long)row);
}

int fc__check_offsets(const fc__field *field, const fc__piece *piece, int64_t *from,
                      int64_t *rows, fc_error *error) {
    bool wide = fc__is_wide(field->given);
    int code;

    *from = *rows = 0;
    if (!piece->rows)
        return 0;
    if ((code = fc__check_buffer(field, piece, 1, error)))
        return code;
    const char *at = fc__piece_buffer(piece, 1) + piece->first * (wide ? 8 : 4);
    if (!(wide ? offsets_hold64(at, piece->rows) : offsets_hold32(at, piece->rows)))
        return offsets_fail(field, at, piece->rows, wide, error);
    *from = fc__load(at, 0, wide);
    *rows = fc__load(at, piece->rows, wide) - *from;
    return 0;
}

/* ---- Views: length, then the bytes themselves or prefix, buffer, offset ---- */

struct view {
    int32_t length, prefix, buffer, offset;
};

static struct view load_view(const fc__piece *piece, int64_t row) {
    struct view loaded;
    memcpy(&loaded, fc__piece_buffer(piece, 1) + (piece->first + row) * 16,
           sizeof loaded);
    return loaded;
}

static bool view_holds(const fc__piece *piece, const struct view *view, const void *sizes,
                       int64_t data_count) {
    if (view->length <= FC__INLINE_VIEW)
        return view->length >= 0;
    return view->buffer >= 0 && view->buffer < data_count && view->offset >= 0 && sizes &&
           piece->array->buffers[2 + view->buffer] &&
           (int64_t)view->offset + view->length <= fc__load64(sizes, view->buffer);
}

static int check_views(const fc__field *field, const fc__piece *piece, int64_t *bytes,
                       fc_error *error) {
    const struct ArrowArray *array = piece->array;
    const uint8_t *validity = fc__piece_validity(piece);
    const void *sizes = array->buffers[array->n_buffers - 1];
    int code = fc__check_buffer(field, piece, 1, error);

    for (int64_t row = 0; !code && row < piece->rows; row++) {
        if (validity && !fc__bit(validity, piece->first + row))
            continue;
        struct view view = load_view(piece, row);
        if (!view_holds(piece, &view, sizes, array->n_buffers - 3))
            return fc__field_fail(
                field, error, FC_E_INVALID,
                "the view at row %lld (length %d, buffer %d, offset %d) "
                "is not within its %lld data buffers",
                (long long)row, view.length, view.buffer, view.offset,
                (long long)array->n_buffers - 3);
        *bytes += view.length;
    }
    return code;
}

int fc__check_bytes(const fc__field *field, const fc__piece *piece, int64_t *bytes,
                    fc_error *error) {
    int64_t from;
    int code;

    *bytes = 0;
    if (field->given == FC__SHAPE_BYTE_VIEW)
        return check_views(field, piece, bytes, error);
    code = fc__check_offsets(field, piece, &from, bytes, error);
    if (!code && *bytes && !piece->array->buffers[2])
        code = fc__check_buffer(field, piece, 2, error);
    return code;
}

fc_bytes fc__piece_bytes(fc__shape given, const fc__piece *piece, int64_t row) {
    bool wide = fc__is_wide(given);
    const char *offsets = fc__piece_buffer(piece, 1);

    if (given != FC__SHAPE_BYTE_VIEW) {
        int64_t from = fc__load(offsets, piece->first + row, wide);
        int64_t to = fc__load(offsets, piece->first + row + 1, wide);
        if (from == to)
            return (fc_bytes){"", 0};
        return (fc_bytes){fc__piece_buffer(piece, 2) + from, (size_t)(to - from)};
    }
    struct view view = load_view(piece, row);
    if (view.length <= FC__INLINE_VIEW)
        return (fc_bytes){offsets + (piece->first + row) * 16 + 4, (size_t)view.length};
    return (fc_bytes){fc__piece_buffer(piece, 2 + view.buffer) + view.offset,
                      (size_t)view.length};
}
