/* Flat columns on the way in: slices at any bit, chunks of every sort, strings in all
 * their forms, nulls counted, ranges; and what an array may not say. Read back through a
 * frame. */
#include "support_array.h"
#include "support_frame.h"

#include "frames/bits.h"
#include "src/status.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHUNKS 8

/* A column of this format from up to eight arrays, put and read back; frees all. */
typedef struct column_test {
    memory_frame *memory;
    const fc_column *column;
} column_test;

static column_test put_column(struct ArrowSchema *schema, int count, ...) {
    const struct ArrowArray *chunks[CHUNKS];
    va_list arguments;
    fc_error error;
    column_test out;

    va_start(arguments, count);
    for (int i = 0; i < count; i++)
        chunks[i] = va_arg(arguments, struct ArrowArray *);
    va_end(arguments);
    out.memory = memory_put(schema, chunks, (size_t)count, true);
    for (int i = 0; i < count; i++)
        array_free((struct ArrowArray *)chunks[i]);
    schema_free(schema);
    if (fc_frame_column_at(out.memory->frame, 0, &out.column, &error))
        fail_msg("%s", error.message);
    assert_int_equal(fc__frame_verify(out.memory->frame, &error), 0);
    assert_int_equal(arrays_alive, 0);
    return out;
}

/* Refused with these words, which name the column; frees all. */
static void refused(struct ArrowSchema *schema, struct ArrowArray *array,
                    const char *words) {
    const struct ArrowArray *chunk = array;
    fc__plan *plan;
    fc_error error = {0};

    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error),
                     FC_E_INVALID);
    assert_null(plan);
    assert_int_equal(error.code, FC_E_INVALID);
    if (!strstr(error.message, words) || !strstr(error.message, "column 'x'"))
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    array_free(array);
    schema_free(schema);
}

static struct ArrowSchema *flat(const char *format) {
    return schema_of(format, "x", 0);
}

/* ---- Bits ---- */

static void bits_are_copied_and_counted_from_and_to_any_offset(void **state) {
    uint8_t from[40], to[48], want[48];

    (void)state;
    for (int i = 0; i < 40; i++)
        from[i] = (uint8_t)(i * 37 + 11);
    for (int from_bit = 0; from_bit < 17; from_bit++)
        for (int to_bit = 0; to_bit < 9; to_bit++)
            for (int count = 0; count < 250; count += 1 + count / 9) {
                int64_t ones = 0;
                memset(to, 0, sizeof to);
                memset(want, 0, sizeof want);
                fc__bits_copy(to, to_bit, from, from_bit, count);
                for (int i = 0; i < count; i++) {
                    bool bit = fc__bit(from, from_bit + i);
                    ones += bit;
                    want[(to_bit + i) >> 3] |= (uint8_t)(bit << ((to_bit + i) & 7));
                }
                assert_memory_equal(to, want, sizeof to);
                assert_int_equal(fc__bits_count(from, from_bit, count), ones);
                memset(to, 0, sizeof to);
                fc__bits_set(to, to_bit, count);
                assert_int_equal(fc__bits_count(to, 0, 8 * sizeof to), count);
                assert_int_equal(fc__bits_count(to, to_bit, count), count);
            }
}

/* ---- Values ---- */

static void a_slice_loses_its_offset(void **state) {
    column_test t = put_column(
        flat("i"), 1,
        array_slice(ARRAY(6, NO_BUFFER, BUFFER(int32_t, 9, 8, 7, 6, 5, 4)), 2, 3));
    const int32_t *values = t.column->values;

    (void)state;
    assert_int_equal(t.column->rows, 3);
    assert_int_equal(t.column->nulls, 0);
    assert_null(t.column->validity);
    assert_int_equal(values[0], 7);
    assert_int_equal(values[2], 5);
    memory_release(t.memory);
}

static void nulls_are_counted_and_kept_at_odd_bits(void **state) {
    /* valid: rows 0, 2, 3, 5, 6, 8 of the whole */
    column_test t =
        put_column(flat("s"), 1,
                   array_slice(ARRAY(9, BUFFER(uint8_t, 0x6d, 0x01),
                                     BUFFER(int16_t, 0, 1, 2, 3, 4, 5, 6, 7, 8)),
                               3, 6));
    static const bool valid[] = {true, false, true, true, false, true};

    (void)state;
    assert_int_equal(t.column->nulls, 2);
    for (int row = 0; row < 6; row++) {
        assert_int_equal(fc_is_valid(t.column, row), valid[row]);
        assert_int_equal(((const int16_t *)t.column->values)[row], row + 3);
    }
    assert_int_equal(t.column->validity[0] >> 6, 0); /* beyond the rows: zero */
    memory_release(t.memory);
}

static void a_bitmap_without_a_null_is_dropped(void **state) {
    column_test t = put_column(
        flat("c"), 1,
        array_slice(ARRAY(4, BUFFER(uint8_t, 0x06), BUFFER(int8_t, 1, 2, 3, 4)), 1, 2));

    (void)state;
    assert_int_equal(t.column->nulls, 0);
    assert_null(t.column->validity);
    memory_release(t.memory);
}

static void a_null_count_of_zero_makes_the_bitmap_void(void **state) {
    struct ArrowArray *array = ARRAY(2, BUFFER(uint8_t, 0), BUFFER(int8_t, 1, 2));

    (void)state;
    array->null_count = 0;
    column_test t = put_column(flat("c"), 1, array);
    assert_int_equal(t.column->nulls, 0);
    memory_release(t.memory);
}

static void chunks_with_and_without_nulls_become_one(void **state) {
    column_test t = put_column(
        flat("l"), 4, ARRAY(3, NO_BUFFER, BUFFER(int64_t, 0, 1, 2)),
        array_slice(ARRAY(4, BUFFER(uint8_t, 0x0a), BUFFER(int64_t, 99, 3, 4, 5)), 1, 3),
        ARRAY(0, NO_BUFFER, NO_BUFFER), ARRAY(2, NO_BUFFER, BUFFER(int64_t, 6, 7)));

    (void)state;
    assert_int_equal(t.column->rows, 8);
    assert_int_equal(t.column->nulls, 1);
    for (int row = 0; row < 8; row++) {
        assert_int_equal(fc_is_valid(t.column, row), row != 4);
        assert_int_equal(((const int64_t *)t.column->values)[row], row);
    }
    memory_release(t.memory);
}

static void bools_join_at_odd_bits(void **state) {
    column_test t = put_column(
        flat("b"), 2,
        array_slice(ARRAY(5, NO_BUFFER, BUFFER(uint8_t, 0x0d)), 1, 3), /* 0 1 1 */
        array_slice(ARRAY(8, BUFFER(uint8_t, 0xfe), BUFFER(uint8_t, 0xf2)), 0, 8));
    static const bool want[] = {0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1};

    (void)state;
    assert_int_equal(t.column->nulls, 1);
    assert_false(fc_is_valid(t.column, 3));
    for (int row = 0; row < 11; row++)
        assert_int_equal(fc_bool_at(t.column, row), want[row]);
    memory_release(t.memory);
}

static void a_long_slice_of_bits_starts_at_any_of_them(void **state) {
    uint8_t bits[32];

    (void)state;
    for (int i = 0; i < 32; i++)
        bits[i] = (uint8_t)(i * 73 + 5);
    for (int first = 0; first < 17; first++) {
        array_buffer buffer = {bits, sizeof bits};
        column_test t =
            put_column(flat("b"), 1, array_slice(ARRAY(256, buffer, buffer), first, 230));
        for (int row = 0; row < 230; row++) {
            assert_int_equal(fc_bool_at(t.column, row), fc__bit(bits, first + row));
            assert_int_equal(fc_is_valid(t.column, row), fc__bit(bits, first + row));
        }
        assert_int_equal(t.column->validity[28] >> 6, 0);
        memory_release(t.memory);
    }
}

static void no_chunk_is_zero_rows(void **state) {
    column_test t = put_column(flat("U"), 0);

    (void)state;
    assert_int_equal(t.column->rows, 0);
    assert_int_equal(t.column->offsets[0], 0);
    memory_release(t.memory);
}

static void a_width_of_zero_needs_no_bytes(void **state) {
    column_test t = put_column(flat("w:0"), 1, ARRAY(3, NO_BUFFER, NO_BUFFER));

    (void)state;
    assert_int_equal(t.column->rows, 3);
    assert_int_equal(t.column->width, 0);
    memory_release(t.memory);
}

static void every_row_of_the_null_type_is_null_even_billions(void **state) {
    column_test t = put_column(flat("n"), 2, ARRAY_BARE(INT64_C(1) << 33),
                               ARRAY(5, NO_BUFFER)); /* as Polars has it */

    (void)state;
    assert_int_equal(t.column->rows, (INT64_C(1) << 33) + 5);
    assert_int_equal(t.column->nulls, t.column->rows);
    memory_release(t.memory);
}

/* ---- Strings ---- */

static void assert_text(const fc_column *column, int64_t row, const char *want) {
    fc_bytes value = fc_bytes_at(column, row);

    assert_int_equal(value.size, strlen(want));
    assert_memory_equal(value.data, want, value.size);
}

static void strings_get_64_bit_offsets_from_zero(void **state) {
    column_test t = put_column(
        flat("u"), 2,
        array_slice(
            ARRAY(4, NO_BUFFER, BUFFER(int32_t, 2, 4, 4, 7, 9), TEXT("..abcdefg")), 1, 2),
        ARRAY(2, BUFFER(uint8_t, 2), BUFFER(int32_t, 0, 0, 3), TEXT("xyz")));

    (void)state;
    assert_string_equal(t.column->format, "U");
    assert_int_equal(t.column->offsets[0], 0);
    assert_text(t.column, 0, "");
    assert_text(t.column, 1, "cde");
    assert_false(fc_is_valid(t.column, 2));
    assert_text(t.column, 3, "xyz");
    assert_int_equal(t.column->offsets[4], 6);
    memory_release(t.memory);
}

static void wide_binaries_drop_what_no_row_has(void **state) {
    column_test t = put_column(
        flat("Z"), 1,
        array_slice(ARRAY(3, NO_BUFFER, BUFFER(int64_t, 0, 3, 5, 9), TEXT("aaabbcccc")),
                    1, 1));

    (void)state;
    assert_text(t.column, 0, "bb");
    assert_int_equal(t.column->offsets[1], 2);
    memory_release(t.memory);
}

static void strings_of_no_bytes_need_no_buffer(void **state) {
    column_test t = put_column(flat("u"), 1,
                               ARRAY(2, NO_BUFFER, BUFFER(int32_t, 0, 0, 0), NO_BUFFER));

    (void)state;
    assert_text(t.column, 1, "");
    memory_release(t.memory);
}

#define LONG "a text of more than twelve bytes"

static struct ArrowArray *views(void) {
    int32_t of[4][4] = {{3, 0, 0, 0},
                        {(int32_t)strlen(LONG), 0, 1, 2},
                        {0, 0, 0, 0},
                        {-5, 9, 9, 9}}; /* the last is null: never looked at */
    memcpy(&of[0][1], "abc", 3);
    return ARRAY(4, BUFFER(uint8_t, 0x07), ((array_buffer){of, sizeof of}),
                 TEXT("unused"), TEXT("..a text of more than twelve bytes.."),
                 BUFFER(int64_t, 6, (int64_t)strlen(LONG) + 4));
}

static void views_become_strings(void **state) {
    column_test t = put_column(flat("vu"), 2, views(), array_slice(views(), 1, 2));

    (void)state;
    assert_string_equal(t.column->format, "U");
    assert_text(t.column, 0, "abc");
    assert_text(t.column, 1, LONG);
    assert_text(t.column, 2, "");
    assert_false(fc_is_valid(t.column, 3));
    assert_text(t.column, 3, "");
    assert_text(t.column, 4, LONG);
    assert_int_equal(t.column->rows, 6);
    memory_release(t.memory);
}

static void views_of_12_bytes_are_in_themselves_and_of_13_are_not(void **state) {
    int32_t of[3][4] = {{12, 0, 0, 0}, {13, 0, 0, 1}, {12, 0, 0, 0}};

    (void)state;
    memcpy(&of[0][1], "twelve bytes", 12);
    memcpy(&of[2][1], "another dozen", 12);
    column_test t = put_column(flat("vu"), 1,
                               ARRAY(3, NO_BUFFER, ((array_buffer){of, sizeof of}),
                                     TEXT("-thirteen here"), BUFFER(int64_t, 14)));
    assert_text(t.column, 0, "twelve bytes");
    assert_text(t.column, 1, "thirteen here");
    assert_text(t.column, 2, "another doze");
    memory_release(t.memory);
}

/* ---- Ranges ---- */

static void ranges_skip_nulls_and_nan(void **state) {
    column_test t = put_column(
        flat("g"), 2, ARRAY(3, BUFFER(uint8_t, 6), BUFFER(double, -99, 2.5, NAN)),
        ARRAY(2, NO_BUFFER, BUFFER(double, -1, 2)));

    (void)state;
    assert_true(*(const double *)t.column->min == -1);
    assert_true(*(const double *)t.column->max == 2.5);
    memory_release(t.memory);
    t = put_column(flat("C"), 1, ARRAY(3, NO_BUFFER, BUFFER(uint8_t, 200, 7, 100)));
    assert_int_equal(*(const uint8_t *)t.column->min, 7);
    assert_int_equal(*(const uint8_t *)t.column->max, 200);
    memory_release(t.memory);
    t = put_column(flat("tsu:"), 1, ARRAY(2, NO_BUFFER, BUFFER(int64_t, 5, -5)));
    assert_int_equal(*(const int64_t *)t.column->min, -5);
    memory_release(t.memory);
}

static void there_is_no_range_of_nothing_nor_of_what_has_no_order(void **state) {
    column_test t =
        put_column(flat("f"), 1, ARRAY(2, NO_BUFFER, BUFFER(float, NAN, NAN)));

    (void)state;
    assert_null(t.column->min);
    memory_release(t.memory);
    t = put_column(flat("i"), 1, ARRAY(1, BUFFER(uint8_t, 0), BUFFER(int32_t, 3)));
    assert_null(t.column->min);
    memory_release(t.memory);
    t = put_column(flat("tiD"), 1, ARRAY(1, NO_BUFFER, BUFFER(int32_t, 3, 4)));
    assert_null(t.column->min);
    memory_release(t.memory);
}

static struct ArrowArray *zeros(int64_t rows) {
    void *memory = calloc((size_t)rows, 1);
    struct ArrowArray *array =
        ARRAY(rows, NO_BUFFER, ((array_buffer){memory, (size_t)rows}));
    free(memory);
    return array;
}

static void ranges_end_at_65536_rows(void **state) {
    column_test t = put_column(flat("c"), 1, zeros(65536));

    (void)state;
    assert_non_null(t.column->min);
    memory_release(t.memory);
    t = put_column(flat("c"), 1, zeros(65537));
    assert_null(t.column->min);
    memory_release(t.memory);
}

/* ---- Bad input ---- */

static struct ArrowArray *ints(void) {
    return ARRAY(2, NO_BUFFER, BUFFER(int32_t, 1, 2));
}

static void lengths_and_counts_that_cannot_be_are_refused(void **state) {
    struct ArrowArray *array = ints();

    (void)state;
    array->length = -1;
    refused(flat("i"), array, "length -1");
    (array = ints())->offset = -1;
    refused(flat("i"), array, "offset -1");
    (array = ints())->offset = INT64_MAX;
    refused(flat("i"), array, "length 2 and offset");
    (array = ints())->length = INT64_MAX / 2;
    refused(flat("i"), array, "more than memory can hold");
    (array = ints())->null_count = -2;
    refused(flat("i"), array, "-2 nulls in 2 rows");
    (array = ints())->null_count = 3;
    refused(flat("i"), array, "3 nulls in 2 rows");
    (array = ints())->null_count = 1;
    refused(flat("i"), array, "no validity bitmap");
}

static void missing_parts_are_refused(void **state) {
    struct ArrowArray *array;
    const void **buffers;

    (void)state;
    refused(flat("i"), ARRAY(2, NO_BUFFER), "1 buffers where format 'i' has 2");
    refused(flat("u"), ARRAY(2, NO_BUFFER, NO_BUFFER), "has 3");
    refused(flat("n"), ARRAY(2, NO_BUFFER, NO_BUFFER), "has 0");
    refused(flat("vu"), ARRAY(2, NO_BUFFER, NO_BUFFER), "at least 3");
    refused(flat("i"), ARRAY(2, NO_BUFFER, NO_BUFFER), "buffer 1 of its array is a null");
    refused(flat("b"), ARRAY(2, NO_BUFFER, NO_BUFFER), "buffer 1");
    refused(flat("u"), ARRAY(2, NO_BUFFER, NO_BUFFER, NO_BUFFER), "buffer 1");
    refused(flat("vu"), ARRAY(2, NO_BUFFER, NO_BUFFER, NO_BUFFER), "buffer 1");
    refused(flat("u"), ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0, 2), NO_BUFFER), "buffer 2");
    refused(flat("i"), array_with(ints(), 1, ints()),
            "1 children where its schema has 0");
    refused(flat("i"), array_coded(ints(), ints()), "has a dictionary");
    refused(schema_dictionary("i", "x", flat("i")), ints(), "has no dictionary");
    array = ints();
    buffers = array->buffers;
    array->buffers = NULL;
    const struct ArrowArray *chunk = array;
    fc_error error;
    fc__plan *plan;
    struct ArrowSchema *schema = flat("i");
    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "no pointer to them"));
    array->buffers = buffers;
    void (*release)(struct ArrowArray *) = array->release;
    array->release = NULL;
    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "column 'x': its array was released"));
    array->release = release;
    array_free(array);
    schema_free(schema);
}

static void offsets_that_fall_or_start_below_zero_are_refused(void **state) {
    (void)state;
    refused(flat("u"), ARRAY(3, NO_BUFFER, BUFFER(int32_t, 0, 2, 1, 3), TEXT("abc")),
            "fall from 2 to 1 at row 1");
    refused(flat("u"), ARRAY(1, NO_BUFFER, BUFFER(int32_t, -1, 2), TEXT("abc")),
            "first offset is -1");
    refused(flat("Z"), ARRAY(2, NO_BUFFER, BUFFER(int64_t, 0, 3, 0), TEXT("abc")),
            "fall from 3 to 0 at row 1");
    refused(flat("Z"), ARRAY(1, NO_BUFFER, BUFFER(int64_t, -8, 3), TEXT("abc")),
            "first offset is -8");
}

static void view_of(int32_t length, int32_t buffer, int32_t offset) {
    refused(flat("vz"),
            ARRAY(1, NO_BUFFER, BUFFER(int32_t, length, 0, buffer, offset),
                  TEXT("a text of twenty byt"), BUFFER(int64_t, 20)),
            "the view at row 0");
}

static void views_out_of_their_buffers_are_refused(void **state) {
    (void)state;
    view_of(-1, 0, 0);
    view_of(20, 1, 0);
    view_of(20, -1, 0);
    view_of(20, 0, 1);
    view_of(20, 0, -1);
    view_of(INT32_MAX, 0, INT32_MAX);
    refused(
        flat("vz"),
        ARRAY(1, NO_BUFFER, BUFFER(int32_t, 20, 0, 0, 0), NO_BUFFER, BUFFER(int64_t, 20)),
        "the view at row 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_copied_and_counted_from_and_to_any_offset),
        cmocka_unit_test(a_slice_loses_its_offset),
        cmocka_unit_test(nulls_are_counted_and_kept_at_odd_bits),
        cmocka_unit_test(a_bitmap_without_a_null_is_dropped),
        cmocka_unit_test(a_null_count_of_zero_makes_the_bitmap_void),
        cmocka_unit_test(chunks_with_and_without_nulls_become_one),
        cmocka_unit_test(bools_join_at_odd_bits),
        cmocka_unit_test(a_long_slice_of_bits_starts_at_any_of_them),
        cmocka_unit_test(no_chunk_is_zero_rows),
        cmocka_unit_test(a_width_of_zero_needs_no_bytes),
        cmocka_unit_test(every_row_of_the_null_type_is_null_even_billions),
        cmocka_unit_test(strings_get_64_bit_offsets_from_zero),
        cmocka_unit_test(wide_binaries_drop_what_no_row_has),
        cmocka_unit_test(strings_of_no_bytes_need_no_buffer),
        cmocka_unit_test(views_become_strings),
        cmocka_unit_test(views_of_12_bytes_are_in_themselves_and_of_13_are_not),
        cmocka_unit_test(ranges_skip_nulls_and_nan),
        cmocka_unit_test(there_is_no_range_of_nothing_nor_of_what_has_no_order),
        cmocka_unit_test(ranges_end_at_65536_rows),
        cmocka_unit_test(lengths_and_counts_that_cannot_be_are_refused),
        cmocka_unit_test(missing_parts_are_refused),
        cmocka_unit_test(offsets_that_fall_or_start_below_zero_are_refused),
        cmocka_unit_test(views_out_of_their_buffers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
