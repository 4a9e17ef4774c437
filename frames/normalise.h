/* From Arrow arrays to the nodes of a plan. A node gets pieces: rows of given arrays, in
 * order. Each shape checks its pieces, hands pieces to its children, and says how its
 * buffers come about from them; nothing is copied here. */
#ifndef FC_NORMALISE_H
#define FC_NORMALISE_H

#include "plan.h"

/* Fills the nodes of a plan from `count` chunks of a table (wrapped: of its one column),
 * and checks them through and through: after it, no job reads beyond what the arrays say
 * they have. */
int fc__normalise(fc__plan *plan, bool wrapped, const struct ArrowArray *const *chunks,
                  size_t count, fc_error *error);

/* ---- Between the files of normalise ---- */

/* The structure of one array against its field; the contents are not looked at. */
int fc__check_array(const fc__field *field, const struct ArrowArray *array,
                    fc_error *error);

/* Buffer `index` is there if the piece has rows. */
int fc__check_buffer(const fc__field *field, const fc__piece *piece, int index,
                     fc_error *error);

/* Strings and binaries in any form: offsets or views hold; *bytes: of all values. */
int fc__check_bytes(const fc__field *field, const fc__piece *piece, int64_t *bytes,
                    fc_error *error);

/* Offsets of a list begin at 0 or above and never fall; *from and *rows: of the child. */
int fc__check_offsets(const fc__field *field, const fc__piece *piece, int64_t *from,
                      int64_t *rows, fc_error *error);

/* `rows` rows of `array` from its row `from` become part of the node. Checks the array
 * and that it has them. */
int fc__push(fc__plan *plan, fc__node *node, const struct ArrowArray *array, int64_t from,
             int64_t rows, fc_error *error);

/* Codes of the unified dictionary, `width` bytes each, for `rows` rows of a piece from its
 * row `row` on. */
void fc__turn_codes(const fc__field *field, const fc__piece *piece, int64_t row,
                    int64_t rows, int32_t width, char *out);

/* Gives a node of `missing` a bitmap, made from its values. */
int fc__plan_mark(fc__plan *plan, fc__node *node, fc_error *error);

/* Room for `count` pieces more, when that is known. */
int fc__push_room(fc__plan *plan, fc__node *node, size_t count, fc_error *error);

/* Hands pieces to the children, by shape; union, run-end and dictionary nodes also get
 * what their own buffers need. */
int fc__push_children(fc__plan *plan, fc__node *node, fc_error *error);
int fc__push_dictionary(fc__plan *plan, fc__node *node, fc_error *error);

/* ---- Looking into pieces (checked before) ---- */

/* The bitmap, or NULL if all rows are there. Bit piece->first is row 0. */
static inline const uint8_t *fc__piece_validity(const fc__piece *piece) {
    return piece->array->null_count ? piece->array->buffers[0] : NULL;
}

static inline const char *fc__piece_buffer(const fc__piece *piece, int index) {
    return piece->array->buffers[index];
}

static inline int64_t fc__load32(const void *base, int64_t index) {
    int32_t value;
    memcpy(&value, (const char *)base + index * 4, sizeof value);
    return value;
}

static inline int64_t fc__load64(const void *base, int64_t index) {
    int64_t value;
    memcpy(&value, (const char *)base + index * 8, sizeof value);
    return value;
}

/* A view of up to so many bytes holds them itself, behind its length. */
#define FC__INLINE_VIEW 12

static inline int64_t fc__view_length(const fc__piece *piece, int64_t row) {
    return fc__load32(fc__piece_buffer(piece, 1), (piece->first + row) * 4);
}

static inline bool fc__is_wide(fc__shape given) {
    return given == FC__SHAPE_BYTES64 || given == FC__SHAPE_LIST64 ||
           given == FC__SHAPE_LIST_VIEW64;
}

/* Element `index`, counted from the array's first buffer byte. */
static inline int64_t fc__load(const void *base, int64_t index, bool wide) {
    return wide ? fc__load64(base, index) : fc__load32(base, index);
}

/* A run end, of 2, 4 or 8 bytes. */
static inline int64_t fc__load_run_end(const void *base, int64_t index, int32_t width) {
    int16_t small;
    if (width != 2)
        return fc__load(base, index, width == 8);
    memcpy(&small, (const char *)base + index * 2, sizeof small);
    return small;
}

/* The run that row `row` lies in, counted from the array's first; their number: none. */
int64_t fc__find_run(const struct ArrowArray *ends, int32_t width, int64_t row);

/* The value of row `first + row` of strings or binaries in any form; not for null rows.
 */
fc_bytes fc__piece_bytes(fc__shape given, const fc__piece *piece, int64_t row);

#endif
