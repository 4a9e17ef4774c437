/* Frames as their readers see them: columns, selections, slices, private copies. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frames/frame_internal.h"
#include "support_array.h"
#include "support_frame.h"

#define ROWS 100

static int nothing_lives(void **state) {
    long alive = memory_alive;

    (void)state;
    memory_alive = 0; /* so that the next test is judged by itself */
    assert_int_equal(alive, 0);
    return 0;
}

static fc_frame *selection(fc_frame *frame, const int64_t *indices, size_t count) {
    fc_frame *out;
    fc_error error;

    if (fc_frame_select(frame, indices, count, &out, &error))
        fail_msg("%s", error.message);
    return out;
}

/* ---- Columns ---- */

static void what_was_built_is_read_back(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, true);
    fc_error error;

    assert_int_equal(fc__frame_rows(memory->frame), ROWS);
    assert_int_equal(fc__frame_columns(memory->frame), 17);
    assert_ptr_equal(fc__frame_context(memory->frame), memory);
    const fc_column *column = column_at(memory->frame, 2);
    assert_string_equal(column->name, "int64");
    assert_string_equal(column->format, "l");
    assert_int_equal(column->type, FC_TYPE_INT64);
    assert_int_equal(column->width, 8);
    assert_int_equal(column->rows, ROWS);
    assert_int_equal(column->nulls, 9); /* rows 4, 15, ... 92 */
    for (int64_t i = 0; i < ROWS; i++) {
        assert_int_equal(fc_is_valid(column, i), i % 11 != 4);
        assert_int_equal(((const int64_t *)column->values)[i], i * i);
    }
    assert_int_equal(*(const int64_t *)column->min, 0);
    assert_int_equal(*(const int64_t *)column->max, 99 * 99);
    column = column_at(memory->frame, 4);
    assert_string_equal(column->format, "U");
    fc_bytes text = fc_bytes_at(column, 17);
    assert_int_equal(text.size, 2);
    assert_memory_equal(text.data, "17", 2);
    assert_null(column->min);
    if (fc__frame_verify(memory->frame, &error))
        fail_msg("%s", error.message);
    memory_release(memory);
}

static void a_column_is_found_by_name_and_type(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    const fc_column *column;
    fc_error error;

    assert_int_equal(
        fc_frame_column(memory->frame, "double", FC_TYPE_FLOAT64, &column, &error), 0);
    assert_ptr_equal(column, column_at(memory->frame, 3));
    assert_int_equal(
        fc_frame_column(memory->frame, "coded", FC_TYPE_ANY, &column, &error), 0);
    assert_int_equal(column->type, FC_TYPE_DICTIONARY);
    assert_int_equal(column->dictionary->rows, 5);
    assert_int_equal(
        fc_frame_column(memory->frame, "double", FC_TYPE_INT64, &column, &error),
        FC_E_TYPE);
    assert_null(column);
    assert_non_null(strstr(error.message, "'double' has type FLOAT64"));
    assert_non_null(strstr(error.message, "INT64"));
    assert_int_equal(
        fc_frame_column(memory->frame, "doubles", FC_TYPE_ANY, &column, &error),
        FC_E_COLUMN);
    assert_non_null(strstr(error.message, "no column 'doubles'; there are '"));
    assert_non_null(strstr(error.message, "', ..."));
    assert_int_equal(strlen(strrchr(error.message, ',')), strlen(", ..."));
    assert_int_equal(fc_frame_column_at(memory->frame, 17, &column, &error), FC_E_COLUMN);
    assert_int_equal(fc_frame_column_at(memory->frame, -1, &column, &error), FC_E_COLUMN);
    assert_null(column);
    memory_release(memory);
}

static void a_segment_is_mapped_when_a_column_needs_it(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    struct ArrowSchema schema;
    fc_error error;

    assert_int_equal(fc_frame_export_schema(memory->frame, &schema, &error), 0);
    schema.release(&schema);
    assert_int_equal(memory->mapped, 0);
    column_at(memory->frame, 3);
    long mapped = memory->mapped;
    assert_true(mapped > 0);
    column_at(memory->frame, 3);
    assert_int_equal(memory->mapped, mapped);
    memory_release(memory);
}

static void a_name_that_stands_twice_is_refused(void **state) {
    (void)state;
    for (int count = 3; count <= 30; count += 27) { /* compared one by one, and hashed */
        memory_frame *memory = memory_new();
        fc_field fields[30];
        char names[30][16];
        struct ArrowSchema schema;
        fc__ground ground = memory_ground(memory);
        const fc_column *column;
        fc_build *build;
        fc_error error;

        for (int i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "c%d", i == 2 ? 1 : i);
            fields[i] = (fc_field){names[i], "l"};
        }
        assert_int_equal(fc_schema_init(&schema, fields, (size_t)count, &error), 0);
        assert_int_equal(fc__build_new(&build, &schema, 0, &ground, NULL, &error), 0);
        schema.release(&schema);
        memory_commit(memory, build, 0, false);
        assert_int_equal(fc_frame_column(memory->frame, "c1", 0, &column, &error),
                         FC_E_COLUMN);
        assert_non_null(strstr(error.message, "'c1'"));
        assert_int_equal(fc_frame_column(memory->frame, "c0", 0, &column, &error), 0);
        assert_ptr_equal(column, column_at(memory->frame, 0));
        memory_release(memory);
    }
}

#define WIDE 100000

static memory_frame *wide_frame(void) {
    memory_frame *memory = memory_new();
    fc_field *fields = calloc(WIDE, sizeof *fields);
    char(*names)[16] = calloc(WIDE, sizeof *names);
    fc__ground ground = memory_ground(memory);
    struct ArrowSchema schema;
    fc_build *build;
    fc_error error;

    for (int i = 0; i < WIDE; i++) {
        snprintf(names[i], sizeof names[i], "x%d", i);
        fields[i] = (fc_field){names[i], "i"};
    }
    assert_int_equal(fc_schema_init(&schema, fields, WIDE, &error), 0);
    assert_int_equal(fc__build_new(&build, &schema, 1, &ground, NULL, &error), 0);
    schema.release(&schema);
    free(fields);
    free(names);
    for (int i = 0; i < WIDE; i++)
        *(int32_t *)fc_build_column(build, i)->values = i;
    return memory_commit(memory, build, 1, false);
}

static void a_hundred_thousand_columns_work(void **state) {
    (void)state;
    memory_frame *memory = wide_frame();
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray array;
    const fc_column *column;
    fc_error error;

    for (int i = 0; i < WIDE; i += 37) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        assert_int_equal(
            fc_frame_column(memory->frame, name, FC_TYPE_INT32, &column, &error), 0);
        assert_int_equal(*(const int32_t *)column->values, i);
    }
    assert_int_equal(fc_frame_export_stream(memory->frame, NULL, 0, &stream, &error), 0);
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    stream.release(&stream);
    assert_int_equal(schema.n_children, WIDE);
    assert_string_equal(schema.children[WIDE - 1]->name, "x99999");
    assert_int_equal(((const int32_t *)array.children[WIDE - 1]->buffers[1])[0],
                     WIDE - 1);
    array.release(&array);
    schema.release(&schema);
    memory_release(memory);
}

static void zero_columns_may_have_rows(void **state) {
    (void)state;
    memory_frame *memory = memory_new();
    struct ArrowSchema *schema = schema_of("+s", "", 0);
    fc__ground ground = memory_ground(memory);
    struct ArrowArray array;
    fc_build *build;
    fc_error error;

    assert_int_equal(fc__build_new(&build, schema, 70, &ground, NULL, &error), 0);
    assert_null(fc_build_column(build, 0));
    schema_free(schema);
    memory_commit(memory, build, 66, false);
    assert_int_equal(fc__frame_rows(memory->frame), 66);
    fc_frame *part = slice(memory->frame, 60, 10);
    assert_int_equal(fc_frame_export_array(part, NULL, &array, &error), 0);
    assert_int_equal(array.length, 6);
    assert_int_equal(array.n_children, 0);
    array.release(&array);
    fc_frame_release(part);
    memory_release(memory);
}

/* ---- Views ---- */

static void expect_rows(const fc_frame *view, const fc_frame *whole, int64_t first) {
    for (int64_t i = 0; i < fc__frame_columns(view); i++) {
        const fc_column *a = column_at(view, i), *b = column_at(whole, i);
        assert_int_equal(a->rows, fc__frame_rows(view));
        for (int64_t row = 0; row < a->rows; row++)
            if (!rows_equal(a, row, b, first + row))
                fail_msg("column %s, row %lld of the slice from %lld", a->name,
                         (long long)row, (long long)first);
    }
}

static void a_slice_of_every_type_shows_its_rows(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    static const int64_t firsts[] = {0, 1, 4, 5, 7, 8, 9, 13, 63, 64, 65, 98, 99, 100};
    static const int64_t counts[] = {0, 1, 2, 7, 8, 9, 33, 64, 99, 100, 1000};

    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            fc_frame *part = slice(memory->frame, firsts[i], counts[k]);
            int64_t left = ROWS - firsts[i];
            assert_int_equal(fc__frame_rows(part), counts[k] < left ? counts[k] : left);
            expect_rows(part, memory->frame, firsts[i]);
            fc_frame_release(part);
        }
    memory_release(memory);
}

static void a_slice_says_what_it_knows_of_nulls_and_range(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_frame *part = slice(memory->frame, 10, 20), *all = slice(memory->frame, 0, ROWS);

    assert_int_equal(column_at(part, 2)->nulls, -1);
    assert_null(column_at(part, 2)->min);
    assert_null(column_at(part, 2)->max);
    assert_int_equal(column_at(part, 3)->nulls, 0);  /* the whole has none */
    assert_int_equal(column_at(part, 8)->nulls, 20); /* type null */
    assert_ptr_equal(column_at(all, 2), column_at(memory->frame, 2));
    fc_frame_release(part);
    fc_frame_release(all);
    memory_release(memory);
}

/* A column of the null type has no buffer that its rows would have to fit. */
static void a_slice_of_more_rows_than_memory_has_moves_no_pointer(void **state) {
    (void)state;
    const int64_t rows = (int64_t)1 << 62;
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("n", "x", 0));
    struct ArrowArray *array =
        array_with(ARRAY(rows, NO_BUFFER), 1, array_new(rows, 0, NULL));
    const struct ArrowArray *chunks[] = {array};
    memory_frame *memory = memory_put(schema, chunks, 1, false);
    fc_frame *part = slice(memory->frame, rows - 5, 10);

    assert_int_equal(column_at(part, 0)->rows, 5);
    assert_int_equal(column_at(part, 0)->nulls, 5);
    fc_frame_release(part);
    memory_release(memory);
    array_free(array);
    schema_free(schema);
}

static void children_of_a_slice_have_the_rows_of_the_slice_only(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_frame *part = slice(memory->frame, 12, 21);

    assert_int_equal(column_at(part, 10)->children[0]->rows, 42); /* pairs */
    assert_int_equal(column_at(part, 11)->children[0]->rows, 21); /* a struct */
    const fc_column *ends = column_at(part, 15)->children[0];
    static const int16_t expected[] = {3, 8, 13, 18, 21}; /* runs of five, from row 12 */
    assert_int_equal(ends->rows, 5);
    assert_memory_equal(ends->values, expected, sizeof expected);
    assert_int_equal(column_at(part, 15)->children[1]->rows, 5);
    fc_frame_release(part);
    memory_release(memory);
}

static void selections_and_slices_compose_in_any_order(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    static const int64_t three[] = {9, 2, 15}, two[] = {2, 0};
    fc_frame *a = slice(memory->frame, 10, 50), *b = selection(a, three, 3);
    fc_frame *c = slice(b, 7, 100), *d = selection(c, two, 2);

    fc_frame_release(a);
    fc_frame_release(b);
    fc_frame_release(c);
    memory_release(memory); /* the view keeps it */
    assert_int_equal(fc__frame_columns(d), 2);
    assert_int_equal(fc__frame_rows(d), 43);
    assert_string_equal(column_at(d, 0)->name, "runs");
    assert_string_equal(column_at(d, 1)->name, "list");
    for (int64_t row = 0; row < 43; row++) {
        assert_true(
            rows_equal(column_at(d, 0), row, column_at(memory->frame, 15), 17 + row));
        assert_true(
            rows_equal(column_at(d, 1), row, column_at(memory->frame, 9), 17 + row));
    }
    fc_frame_release(d);
}

static void a_column_may_be_selected_twice_and_is_then_no_name(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    static const int64_t same[] = {3, 3};
    fc_frame *twice = selection(memory->frame, same, 2), *none;
    const fc_column *column;
    fc_error error;

    assert_ptr_equal(column_at(twice, 0), column_at(twice, 1));
    assert_int_equal(fc_frame_column(twice, "double", 0, &column, &error), FC_E_COLUMN);
    assert_int_equal(fc_frame_select(twice, (int64_t[]){2}, 1, &none, &error),
                     FC_E_COLUMN);
    assert_null(none);
    assert_int_equal(fc_frame_slice(twice, -1, 1, &none, &error), FC_E_INVALID);
    assert_int_equal(fc_frame_slice(twice, 0, -1, &none, &error), FC_E_INVALID);
    none = selection(twice, NULL, 0);
    assert_int_equal(fc__frame_columns(none), 0);
    assert_int_equal(fc__frame_rows(none), ROWS);
    fc_frame_release(none);
    fc_frame_release(twice);
    memory_release(memory);
}

/* ---- References ---- */

static void a_frame_lives_as_long_as_any_reference(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_frame *base = fc_frame_retain(memory->frame);
    fc_frame *part = slice(base, 3, 4), *again = fc_frame_retain(part);

    assert_int_equal(memory->references, 3);
    memory_release(memory);
    fc_frame_release(base);
    fc_frame_release(part);
    assert_int_equal(memory_alive, 1);
    assert_int_equal(column_at(again, 3)->rows, 4);
    fc_frame_release(again);
    assert_int_equal(memory_alive, 0);
    assert_null(fc_frame_retain(NULL));
    fc_frame_release(NULL);
}

static void a_private_copy_is_written_without_others_seeing_it(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_frame *part = slice(memory->frame, 10, 20), *private, *second;
    const fc_column *column;
    fc_error error;

    assert_null(fc_writable(column_at(memory->frame, 3)));
    assert_null(fc_writable(column_at(part, 3)));
    assert_int_equal(fc_frame_private(part, &private, &error), 0);
    fc_frame_release(part);
    assert_int_equal(fc__frame_rows(private), 20);
    column = column_at(private, 3);
    double *values = fc_writable(column);
    assert_ptr_equal(values, column->values);
    values[0] = -1;
    assert_true(((const double *)column_at(memory->frame, 3)->values)[10] == 10.0 / 8);
    assert_int_equal(fc_frame_private(private, &second, &error), 0);
    assert_true(((const double *)column_at(second, 3)->values)[0] == 10.0 / 8);
    expect_rows(second, memory->frame, 10);
    memory_release(memory);
    fc_frame_release(private);
    fc_frame_release(second);
}

static void a_view_of_a_private_copy_keeps_it(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_frame *private;
    fc_error error;

    assert_int_equal(fc_frame_private(memory->frame, &private, &error), 0);
    *(double *)fc_writable(column_at(private, 3)) = 42;
    memory_release(memory);
    fc_frame *part = slice(private, 0, 5);
    fc_frame_release(private);
    assert_true(*(const double *)column_at(part, 3)->values == 42);
    assert_non_null(fc_writable(column_at(part, 3)));
    fc_frame_release(part);
}

/* ---- Threads ---- */

static void *touch_all(void *argument) {
    fc_frame *frame = argument;
    int64_t rows = 0;

    for (int round = 0; round < 50; round++) {
        fc_frame *part = slice(frame, round, 40);
        for (int64_t i = 0; i < fc__frame_columns(frame); i++) {
            const fc_column *column;
            rows += column_at(frame, i)->rows + column_at(part, i)->rows;
            assert_int_equal(fc_frame_column(frame, "coded", 0, &column, NULL), 0);
        }
        fc_frame_release(part);
    }
    return (void *)(intptr_t)rows;
}

static void threads_may_ask_for_the_same_columns_at_once(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        memory_frame *memory = everything(ROWS, true);
        pthread_t threads[4];
        void *rows;

        memory->verify = true;
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, touch_all, memory->frame),
                             0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(threads[i], &rows), 0);
            assert_int_equal((intptr_t)rows, 50 * 17 * (ROWS + 40));
        }
        memory_release(memory);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, nothing_lives)
    const struct CMUnitTest tests[] = {
        TEST(what_was_built_is_read_back),
        TEST(a_column_is_found_by_name_and_type),
        TEST(a_segment_is_mapped_when_a_column_needs_it),
        TEST(a_name_that_stands_twice_is_refused),
        TEST(a_hundred_thousand_columns_work),
        TEST(zero_columns_may_have_rows),
        TEST(a_slice_of_every_type_shows_its_rows),
        TEST(a_slice_says_what_it_knows_of_nulls_and_range),
        TEST(a_slice_of_more_rows_than_memory_has_moves_no_pointer),
        TEST(children_of_a_slice_have_the_rows_of_the_slice_only),
        TEST(selections_and_slices_compose_in_any_order),
        TEST(a_column_may_be_selected_twice_and_is_then_no_name),
        TEST(a_frame_lives_as_long_as_any_reference),
        TEST(a_private_copy_is_written_without_others_seeing_it),
        TEST(a_view_of_a_private_copy_keeps_it),
        TEST(threads_may_ask_for_the_same_columns_at_once),
    };
#undef TEST
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
