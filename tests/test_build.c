/* Building in place: what a caller writes is what a reader sees, and what does not hold
 * is refused with the column's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frames/body.h"
#include "src/fault.h"
#include "support_frame.h"

static int nothing_lives(void **state) {
    long alive = memory_alive;

    (void)state;
    memory_alive = 0; /* so that the next test is judged by itself */
    assert_int_equal(alive, 0);
    return 0;
}

typedef struct work {
    memory_frame *memory;
    fc_build *build;
} work;

/* A build of one column "x"; the schema is freed. */
static work begin(struct ArrowSchema *column, int64_t rows) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, column);
    work w = {.memory = memory_new()};
    fc__ground ground = memory_ground(w.memory);
    fc_error error;

    if (fc__build_new(&w.build, schema, rows, &ground, &w, &error))
        fail_msg("%s", error.message);
    assert_ptr_equal(fc__build_owner(w.build), &w);
    schema_free(schema);
    return w;
}

static fc_target *target(work w) {
    return fc_build_column(w.build, 0);
}

static const fc_column *commit(work w, int64_t rows) {
    const fc_column *column = NULL;
    fc_error error;

    memory_commit(w.memory, w.build, rows, true);
    if (fc__frame_verify(w.memory->frame, &error) ||
        fc_frame_column_at(w.memory->frame, 0, &column, &error))
        fail_msg("%s", error.message);
    return column;
}

/* The commit fails so; everything is freed. */
static void refuse(work w, int64_t rows, const char *text) {
    fc__plan *plan;
    fc_error error;

    assert_int_equal(fc__build_finish(w.build, rows, false, &plan, &error), FC_E_INVALID);
    assert_null(plan);
    if (!strstr(error.message, text))
        fail_msg("'%s' not in: %s", text, error.message);
    fc__build_free(w.build);
    memory_release(w.memory);
}

static void append(work w, fc_target *to, const char *text) {
    fc_error error;
    fc_bytes none = {NULL, 7};

    if (fc_build_append(w.build, to, text ? fc_str(text) : none, &error))
        fail_msg("%s", error.message);
}

static void reserve(work w, fc_target *to, uint64_t count) {
    fc_error error;

    if (fc_build_reserve(w.build, to, count, &error))
        fail_msg("%s", error.message);
}

/* ---- What works ---- */

static void fixed_values_are_those_written(void **state) {
    (void)state;
    work w = begin(schema_of("g", "x", 0), 1000);

    assert_int_equal(target(w)->type, FC_TYPE_FLOAT64);
    assert_int_equal(target(w)->width, 8);
    assert_int_equal(target(w)->rows, 1000);
    assert_true(target(w)->values_bytes >= 8000);
    assert_null(target(w)->validity);
    assert_null(fc_build_column(w.build, 1));
    assert_null(fc_build_column(w.build, -1));
    for (int i = 0; i < 1000; i++)
        ((double *)target(w)->values)[i] = i - 20.5;
    const fc_column *column = commit(w, 900);
    assert_int_equal(column->rows, 900);
    assert_int_equal(column->nulls, 0);
    assert_true(((const double *)column->values)[899] == 878.5);
    assert_true(*(const double *)column->min == -20.5);
    assert_true(*(const double *)column->max == 878.5);
    assert_int_equal(w.memory->segment_count, 1);
    memory_release(w.memory);
}

static void large_columns_stand_in_segments_of_their_own_from_the_start(void **state) {
    (void)state;
    int64_t rows = 1 << 18;
    work w = begin(schema_of("l", "x", 0), rows);
    int64_t *values = target(w)->values;

    assert_ptr_equal(values, w.memory->segments[1]); /* the final place */
    for (int64_t i = 0; i < rows; i++)
        values[i] = i * 3;
    const fc_column *column = commit(w, rows - 1);
    assert_int_equal(w.memory->segment_count, 2);
    assert_int_equal(w.memory->segment_bytes[0], 0);
    assert_int_equal(w.memory->segment_bytes[1], (uint64_t)rows * 8 + 64);
    for (int64_t i = 0; i < rows - 1; i++)
        assert_int_equal(((const int64_t *)column->values)[i], i * 3);
    memory_release(w.memory);
}

static void nulls_are_counted_and_bits_behind_the_rows_are_zero(void **state) {
    (void)state;
    work w = begin(schema_of("i", "x", 0), 100);

    memset(target(w)->values, 0, 400);
    assert_int_equal(fc_build_nulls(w.build, target(w), NULL), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(target(w)->validity[i / 8] >> (i % 8) & 1, 1);
    target(w)->validity[0] = 0xfe;
    assert_int_equal(fc_build_nulls(w.build, target(w), NULL), 0); /* stays as it is */
    const fc_column *column = commit(w, 13);
    assert_int_equal(column->nulls, 1);
    assert_int_equal(column->validity[0], 0xfe);
    assert_int_equal(column->validity[1], 0x1f);
    memory_release(w.memory);
}

static void a_bitmap_without_nulls_is_dropped(void **state) {
    (void)state;
    work w = begin(schema_of("i", "x", 0), 10);

    memset(target(w)->values, 0, 40);
    assert_int_equal(fc_build_nulls(w.build, target(w), NULL), 0);
    target(w)->validity[0] = 0x7f; /* row 7, which is not committed */
    const fc_column *column = commit(w, 7);
    assert_int_equal(column->nulls, 0);
    assert_null(column->validity);
    memory_release(w.memory);
}

static void bools_are_bits(void **state) {
    (void)state;
    work w = begin(schema_of("b", "x", 0), 20);

    memset(target(w)->values, 0xff, 3);
    ((uint8_t *)target(w)->values)[0] = 0x05;
    const fc_column *column = commit(w, 9);
    static const bool expected[] = {1, 0, 1, 0, 0, 0, 0, 0, 1};
    for (int i = 0; i < 9; i++)
        assert_int_equal(fc_bool_at(column, i), expected[i]);
    assert_int_equal(((const uint8_t *)column->values)[1], 1);
    memory_release(w.memory);
}

static void appended_strings_grow_over_a_megabyte(void **state) {
    (void)state;
    int64_t rows = 20000;
    work w = begin(schema_of("u", "x", 0), rows);
    char text[100];

    assert_int_equal(target(w)->offsets[0], 0);
    for (int64_t i = 0; i < rows; i++) {
        snprintf(text, sizeof text, "%0*lld", (int)(i % 90) + 10, (long long)i);
        append(w, target(w), i % 10 == 9 ? NULL : text);
    }
    assert_ptr_equal(target(w)->values, w.memory->segments[1]);
    const fc_column *column = commit(w, rows);
    assert_int_equal(column->nulls, rows / 10);
    for (int64_t i = 0; i < rows; i++) {
        fc_bytes value = fc_bytes_at(column, i);
        assert_int_equal(fc_is_valid(column, i), i % 10 != 9);
        if (i % 10 == 9) {
            assert_int_equal(value.size, 0);
            continue;
        }
        snprintf(text, sizeof text, "%0*lld", (int)(i % 90) + 10, (long long)i);
        assert_int_equal(value.size, strlen(text));
        assert_memory_equal(value.data, text, value.size);
    }
    memory_release(w.memory);
}

static void strings_may_be_written_by_hand(void **state) {
    (void)state;
    work w = begin(schema_of("z", "x", 0), 3);

    reserve(w, target(w), 5);
    memcpy(target(w)->values, "abcde", 5);
    target(w)->offsets[1] = 2;
    target(w)->offsets[2] = 2;
    target(w)->offsets[3] = 5;
    const fc_column *column = commit(w, 3);
    assert_string_equal(column->format, "Z");
    assert_memory_equal(fc_bytes_at(column, 2).data, "cde", 3);
    assert_int_equal(fc_bytes_at(column, 1).size, 0);
    memory_release(w.memory);
}

static void reserving_keeps_what_was_written(void **state) {
    (void)state;
    work w = begin(schema_of("+l", "x", 1, schema_of("s", "item", 0)), 2);
    fc_target *item = target(w)->children[0];

    reserve(w, item, 3);
    assert_int_equal(item->rows, 3);
    memcpy(item->values, (int16_t[]){1, 2, 3}, 6);
    reserve(w, item, 600000); /* moves it to a segment */
    assert_ptr_equal(item->values, w.memory->segments[1]);
    reserve(w, item, 10); /* less: no change */
    assert_int_equal(item->rows, 600000);
    assert_memory_equal(item->values, ((int16_t[]){1, 2, 3}), 6);
    target(w)->offsets[1] = 1;
    target(w)->offsets[2] = 3;
    const fc_column *column = commit(w, 2);
    assert_int_equal(column->children[0]->rows, 3);
    assert_int_equal(((const int16_t *)column->children[0]->values)[2], 3);
    memory_release(w.memory);
}

static void strings_within_lists_grow_by_appending(void **state) {
    (void)state;
    work w = begin(schema_of("+l", "x", 1, schema_of("u", "item", 0)), 500);
    fc_target *item = target(w)->children[0];

    for (int i = 0; i < 500; i++) {
        append(w, item, "one");
        append(w, item, i % 2 ? NULL : "two");
        target(w)->offsets[i + 1] = 2 * (i + 1);
    }
    const fc_column *column = commit(w, 500);
    assert_int_equal(column->children[0]->rows, 1000);
    assert_int_equal(column->children[0]->nulls, 250);
    assert_memory_equal(fc_bytes_at(column->children[0], 998).data, "one", 3);
    memory_release(w.memory);
}

static void runs_are_cut_at_the_last_row(void **state) {
    (void)state;
    work w = begin(schema_of("+r", "x", 2, schema_of("i", "run_ends", 0),
                             schema_of("g", "values", 0)),
                   100);
    fc_target *ends = target(w)->children[0], *values = target(w)->children[1];

    reserve(w, ends, 5);
    reserve(w, values, 5);
    memcpy(ends->values, (int32_t[]){10, 30, 90, 95, 100}, 20);
    memcpy(values->values, (double[]){1, 2, 3, 4, 5}, 40);
    const fc_column *column = commit(w, 50);
    assert_int_equal(column->children[0]->rows, 3);
    assert_int_equal(((const int32_t *)column->children[0]->values)[2], 50);
    assert_int_equal(column->children[1]->rows, 3);
    memory_release(w.memory);
}

static void checksums_stand_for_buffers_in_place_too(void **state) {
    (void)state;
    work w = begin(schema_of("l", "x", 0), 1 << 18);

    memset(target(w)->values, 1, 8 << 18);
    commit(w, 1 << 18);
    fc_error error;
    ((char *)w.memory->segments[1])[1000] ^= 1;
    assert_int_equal(fc__frame_verify(w.memory->frame, &error), FC_E_CORRUPT);
    assert_non_null(strstr(error.message, "'x'"));
    assert_non_null(strstr(error.message, "checksum"));
    memory_release(w.memory);
}

/* ---- What is refused ---- */

static void more_rows_than_there_is_room_for_are_refused(void **state) {
    (void)state;
    refuse(begin(schema_of("g", "x", 0), 10), 11, "10 rows cannot be committed with 11");
    refuse(begin(schema_of("g", "x", 0), 10), -1, "-1");
}

static void appended_rows_must_be_those_of_the_frame(void **state) {
    (void)state;
    work w = begin(schema_of("u", "x", 0), 2);
    fc_error error;

    append(w, target(w), "a");
    append(w, target(w), NULL);
    assert_int_equal(fc_build_append(w.build, target(w), fc_str("c"), &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "'x'"));
    assert_int_equal(target(w)->offsets[2], 1);
    refuse(w, 1, "column 'x': 2 rows were appended where there must be 1");
}

static void wrong_offsets_are_refused(void **state) {
    (void)state;
    work w = begin(schema_of("u", "x", 0), 2);
    reserve(w, target(w), 10);
    target(w)->offsets[1] = 4;
    target(w)->offsets[2] = 3;
    refuse(w, 2, "column 'x': offsets[2] is less");

    w = begin(schema_of("u", "x", 0), 1);
    target(w)->offsets[0] = 1;
    target(w)->offsets[1] = 1;
    refuse(w, 1, "offsets[0] is 1");

    w = begin(schema_of("u", "x", 0), 1);
    reserve(w, target(w), 10);
    target(w)->offsets[1] = (int64_t)target(w)->values_bytes + 1;
    refuse(w, 1, "fc_build_reserve");

    w = begin(schema_of("+l", "x", 1, schema_of("c", "item", 0)), 1);
    reserve(w, target(w)->children[0], 3);
    target(w)->offsets[1] = 4;
    refuse(w, 1, "'x.item': 4 rows are needed, with room for 3");

    w = begin(schema_of("+l", "x", 1, schema_of("u", "item", 0)), 1);
    append(w, target(w)->children[0], "a");
    append(w, target(w)->children[0], "b");
    target(w)->offsets[1] = 1;
    refuse(w, 1, "'x.item': 2 rows were appended where there must be 1");
}

static void wrong_codes_are_refused_unless_they_are_null(void **state) {
    (void)state;
    for (int null = 0; null < 2; null++) {
        work w = begin(schema_dictionary("C", "x", schema_of("l", "", 0)), 2);
        reserve(w, target(w)->dictionary, 200);
        memset(target(w)->dictionary->values, 0, 1600);
        ((uint8_t *)target(w)->values)[0] = 199;
        ((uint8_t *)target(w)->values)[1] = 200;
        if (!null) {
            refuse(w, 2, "the code of row 1 is 200, its dictionary has 200");
            continue;
        }
        assert_int_equal(fc_build_nulls(w.build, target(w), NULL), 0);
        target(w)->validity[0] = 1;
        const fc_column *column = commit(w, 2);
        assert_int_equal(column->dictionary->rows, 200);
        memory_release(w.memory);
    }
    work w = begin(schema_dictionary("c", "x", schema_of("l", "", 0)), 1);
    reserve(w, target(w)->dictionary, 200);
    ((int8_t *)target(w)->values)[0] = -1;
    refuse(w, 1, "is -1");
}

static void wrong_unions_are_refused(void **state) {
    (void)state;
    work w = begin(
        schema_of("+us:3,4", "x", 1 + 1, schema_of("c", "a", 0), schema_of("c", "b", 0)),
        1);
    target(w)->type_ids[0] = 2;
    refuse(w, 1, "type_ids[0] is 2");

    w = begin(
        schema_of("+ud:3,4", "x", 2, schema_of("c", "a", 0), schema_of("c", "b", 0)), 2);
    reserve(w, target(w)->children[0], 1);
    target(w)->type_ids[0] = target(w)->type_ids[1] = 3;
    target(w)->offsets32[0] = 0;
    target(w)->offsets32[1] = 1;
    refuse(w, 2, "'x.a': 2 rows are needed");

    w = begin(
        schema_of("+ud:3,4", "x", 2, schema_of("c", "a", 0), schema_of("c", "b", 0)), 1);
    target(w)->type_ids[0] = -1;
    refuse(w, 1, "type_ids[0] is -1");

    w = begin(schema_of("+ud:3", "x", 1, schema_of("c", "a", 0)), 1);
    target(w)->type_ids[0] = 3;
    target(w)->offsets32[0] = -1;
    refuse(w, 1, "offsets32[0]");

    w = begin(schema_of("+ud:3", "x", 1, schema_of("c", "a", 0)), 3);
    reserve(w, target(w)->children[0], 3);
    memset(target(w)->type_ids, 3, 3);
    memcpy(target(w)->offsets32, (int32_t[]){1, 2, 0}, 12);
    refuse(w, 3, "offsets32[2] goes backward");
}

static void wrong_runs_are_refused(void **state) {
    (void)state;
    static const int16_t ends[][2] = {{5, 5}, {0, 10}, {4, 9}};
    static const char *const texts[] = {"run end 1 is 5", "run end 0 is 0",
                                        "end at row 9 of 10"};

    for (int i = 0; i < 3; i++) {
        work w = begin(schema_of("+r", "x", 2, schema_of("s", "run_ends", 0),
                                 schema_of("c", "values", 0)),
                       10);
        reserve(w, target(w)->children[0], 2);
        reserve(w, target(w)->children[1], 2);
        memcpy(target(w)->children[0]->values, ends[i], 4);
        refuse(w, 10, texts[i]);
    }
}

static void a_null_key_in_a_map_is_refused(void **state) {
    (void)state;
    work w = begin(schema_of("+m", "x", 1,
                             schema_of("+s", "entries", 2, schema_of("u", "key", 0),
                                       schema_of("c", "value", 0))),
                   1);
    fc_target *entries = target(w)->children[0];

    reserve(w, entries, 1);
    append(w, entries->children[0], NULL);
    target(w)->offsets32[1] = 1;
    refuse(w, 1, "keys cannot be null");
}

static void calls_that_a_type_does_not_take_are_refused(void **state) {
    (void)state;
    work w = begin(schema_of("+us:0", "x", 1, schema_of("c", "a", 0)), 4);
    fc_error error;

    assert_int_equal(fc_build_nulls(w.build, target(w), &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "'x'"));
    assert_int_equal(fc_build_reserve(w.build, target(w), 9, &error), FC_E_INVALID);
    assert_int_equal(fc_build_reserve(w.build, target(w)->children[0], 9, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "'x.a'"));
    assert_int_equal(fc_build_append(w.build, target(w), fc_str("a"), &error),
                     FC_E_INVALID);
    fc__build_free(w.build);
    memory_release(w.memory);
}

static void a_build_that_cannot_be_made_says_why(void **state) {
    (void)state;
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("l", "x", 0));
    memory_frame *memory = memory_new();
    fc__ground ground = memory_ground(memory);
    fc_build *build;
    fc_error error;

    memory->ground_limit = 1 << 20;
    assert_int_equal(fc__build_new(&build, schema, 1 << 20, &ground, NULL, &error),
                     FC_E_NOSPACE);
    assert_null(build);
    assert_int_equal(fc__build_new(&build, schema, -1, &ground, NULL, &error),
                     FC_E_INVALID);
    assert_int_equal(fc__build_new(&build, schema, INT64_MAX, &ground, NULL, &error),
                     FC_E_INVALID);
    schema->children[0]->format = "y";
    assert_int_equal(fc__build_new(&build, schema, 1, &ground, NULL, &error),
                     FC_E_INVALID);
    schema_free(schema);
    memory_release(memory);
}

static void room_that_is_refused_leaves_the_build_as_it_was(void **state) {
    (void)state;
    work w = begin(schema_of("u", "x", 0), 3);
    fc_error error;

    append(w, target(w), "first");
    w.memory->ground_limit = 1 << 20;
    assert_int_equal(fc_build_reserve(w.build, target(w), 4 << 20, &error), FC_E_NOSPACE);
    assert_int_equal(
        fc_build_append(w.build, target(w), (fc_bytes){"", (size_t)4 << 20}, &error),
        FC_E_NOSPACE);
    append(w, target(w), "second");
    const fc_column *column = commit(w, 2);
    assert_memory_equal(column->values, "firstsecond", 11);
    memory_release(w.memory);
}

static void a_build_may_be_given_up_at_any_time(void **state) {
    (void)state;
    work w = begin(schema_of("+l", "x", 1, schema_of("u", "item", 0)), 300000);

    append(w, target(w)->children[0], "a");
    fc__build_free(w.build);
    memory_release(w.memory);
    fc__build_free(NULL);
}

/* ---- Out of memory ---- */

static int build_it(memory_frame *memory, const struct ArrowSchema *schema,
                    fc_error *error) {
    fc__ground ground = memory_ground(memory);
    fc_build *build = NULL;
    fc__plan *plan = NULL;
    fc_target *column;
    int status;

    if ((status = fc__build_new(&build, schema, 3, &ground, NULL, error)))
        return status;
    column = fc_build_column(build, 0);
    if (!(status = fc_build_append(build, column, fc_str("a"), error)) &&
        !(status = fc_build_append(build, column, (fc_bytes){0}, error)) &&
        !(status = fc_build_append(build, column, fc_str("c"), error)))
        status = fc__build_finish(build, 3, true, &plan, error);
    fc__plan_free(plan);
    fc__build_free(build);
    return status;
}

static void running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state) {
    (void)state;
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("u", "x", 0));
    memory_frame *memory = memory_new();
    int status = FC_E_NOMEM, failures = 0;

    for (long nth = 1; status; nth++, failures++) {
        fc_error error = {0};
        fc__fault_set(FC__FAULT_ALLOC, nth);
        status = build_it(memory, schema, &error);
        fc__fault_set(FC__FAULT_ALLOC, 0);
        assert_true(!status || status == FC_E_NOMEM);
    }
    assert_true(failures > 5);
    schema_free(schema);
    memory_release(memory);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, nothing_lives)
    const struct CMUnitTest tests[] = {
        TEST(fixed_values_are_those_written),
        TEST(large_columns_stand_in_segments_of_their_own_from_the_start),
        TEST(nulls_are_counted_and_bits_behind_the_rows_are_zero),
        TEST(a_bitmap_without_nulls_is_dropped),
        TEST(bools_are_bits),
        TEST(appended_strings_grow_over_a_megabyte),
        TEST(strings_may_be_written_by_hand),
        TEST(reserving_keeps_what_was_written),
        TEST(strings_within_lists_grow_by_appending),
        TEST(runs_are_cut_at_the_last_row),
        TEST(checksums_stand_for_buffers_in_place_too),
        TEST(more_rows_than_there_is_room_for_are_refused),
        TEST(appended_rows_must_be_those_of_the_frame),
        TEST(wrong_offsets_are_refused),
        TEST(wrong_codes_are_refused_unless_they_are_null),
        TEST(wrong_unions_are_refused),
        TEST(wrong_runs_are_refused),
        TEST(a_null_key_in_a_map_is_refused),
        TEST(calls_that_a_type_does_not_take_are_refused),
        TEST(a_build_that_cannot_be_made_says_why),
        TEST(room_that_is_refused_leaves_the_build_as_it_was),
        TEST(a_build_may_be_given_up_at_any_time),
        TEST(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
    };
#undef TEST
    return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
