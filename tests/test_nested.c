/* A table in a column: a list of structs in a frame of one row, seen as a frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frames/frame_internal.h"
#include "support_array.h"
#include "support_frame.h"

#define ROWS 100

static void keep_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void keep_array(struct ArrowArray *array) {
    array->release = NULL;
}

/* A frame of two columns and `lists` rows: an int32, and a list of all rows of `inner`.
 */
static memory_frame *wrapped(fc_frame *inner, int64_t lists, int64_t null_count) {
    static const int32_t numbers[2] = {7, 8};
    static const uint8_t no_bits[1] = {0};
    const void *number_buffers[2] = {NULL, numbers};
    int64_t offsets[3] = {0, 0, 0};
    const void *list_buffers[2] = {null_count ? no_bits : NULL, offsets};
    const void *root_buffers[1] = {NULL};
    struct ArrowSchema item, *items[1] = {&item};
    struct ArrowArray rows, *lists_of[1] = {&rows};
    fc_error error;

    assert_int_equal(fc_frame_export_schema(inner, &item, &error), 0);
    assert_int_equal(fc_frame_export_array(inner, NULL, &rows, &error), 0);
    offsets[lists] = rows.length;
    struct ArrowSchema fields[2] = {
        {.format = "i", .name = "number", .release = keep_schema},
        {.format = "+L",
         .name = "table",
         .flags = ARROW_FLAG_NULLABLE,
         .n_children = 1,
         .children = items,
         .release = keep_schema}};
    struct ArrowSchema *field_links[2] = {&fields[0], &fields[1]};
    struct ArrowSchema schema = {.format = "+s",
                                 .name = "",
                                 .n_children = 2,
                                 .children = field_links,
                                 .release = keep_schema};
    struct ArrowArray columns[2] = {{.length = lists,
                                     .n_buffers = 2,
                                     .buffers = number_buffers,
                                     .release = keep_array},
                                    {.length = lists,
                                     .null_count = null_count,
                                     .n_buffers = 2,
                                     .buffers = list_buffers,
                                     .n_children = 1,
                                     .children = lists_of,
                                     .release = keep_array}};
    struct ArrowArray *column_links[2] = {&columns[0], &columns[1]};
    struct ArrowArray array = {.length = lists,
                               .n_buffers = 1,
                               .buffers = root_buffers,
                               .n_children = 2,
                               .children = column_links,
                               .release = keep_array};
    const struct ArrowArray *chunks[1] = {&array};
    memory_frame *memory = memory_put(&schema, chunks, 1, true);

    item.release(&item);
    rows.release(&rows);
    return memory;
}

static fc_frame *nested(fc_frame *frame, int64_t index) {
    fc_frame *out;
    fc_error error;

    if (fc_frame_nested(frame, index, &out, &error))
        fail_msg("%s", error.message);
    return out;
}

static void a_table_in_a_column_is_a_frame(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, true), *memory = wrapped(plain->frame, 1, 0);
    fc_frame *table = nested(memory->frame, 1);

    assert_int_equal(fc__frame_rows(table), ROWS);
    assert_int_equal(fc__frame_columns(table), 17);
    expect_same(table, plain->frame);
    assert_ptr_equal(column_at(table, 3)->values,
                     column_at(memory->frame, 1)->children[0]->children[3]->values);
    assert_int_equal(fc__frame_verify(table, NULL), 0);
    fc_frame_release(table);
    memory_release(memory);
    memory_release(plain);
    assert_int_equal(memory_alive, 0);
}

static void it_can_be_sliced_selected_and_streamed(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, false), *memory = wrapped(plain->frame, 1, 0);
    fc_frame *table = nested(memory->frame, 1), *some;
    fc_error error;

    fc_frame *part = slice(table, 10, 20), *same = slice(plain->frame, 10, 20);
    expect_same(part, same);
    assert_int_equal(fc_frame_select(part, (int64_t[]){3, 1}, 2, &some, &error), 0);
    assert_string_equal(column_at(some, 0)->name, column_at(plain->frame, 3)->name);
    assert_true(rows_equal(column_at(some, 0), 4, column_at(plain->frame, 3), 14));
    memory_frame *back = through_stream(table, NULL, 33);
    expect_same(back->frame, plain->frame);
    memory_release(back);
    memory_release(memory); /* the views keep it */
    fc_frame_release(table);
    fc_frame_release(part);
    assert_int_equal(column_at(some, 0)->rows, 20);
    fc_frame_release(some);
    fc_frame_release(same);
    memory_release(plain);
    assert_int_equal(memory_alive, 0);
}

static void its_private_copy_is_of_the_table(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, false), *memory = wrapped(plain->frame, 1, 0);
    fc_frame *table = nested(memory->frame, 1), *private, *again;
    fc_error error;

    assert_int_equal(fc_frame_private(table, &private, &error), 0);
    assert_int_equal(fc__frame_rows(private), ROWS);
    *(double *)fc_writable(column_at(private, 3)) = 42;
    expect_same(table, plain->frame);
    assert_true(*(const double *)column_at(private, 3)->values == 42);
    assert_int_equal(fc_frame_private(private, &again, &error), 0);
    expect_same(again, plain->frame); /* of the bytes as stored */
    fc_frame_release(again);
    fc_frame_release(table);
    memory_release(memory);
    assert_true(*(const double *)column_at(private, 3)->values == 42);
    fc_frame_release(private);
    memory_release(plain);
    assert_int_equal(memory_alive, 0);
}

static void a_table_of_a_private_copy_can_be_written(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, false), *memory = wrapped(plain->frame, 1, 0);
    fc_frame *private;
    fc_error error;

    assert_int_equal(fc_frame_private(memory->frame, &private, &error), 0);
    fc_frame *table = nested(private, 1);
    fc_frame_release(private);
    assert_non_null(fc_writable(column_at(table, 3)));
    fc_frame_release(table);
    memory_release(memory);
    memory_release(plain);
    assert_int_equal(memory_alive, 0);
}

static void tables_within_tables_work(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, false);
    memory_frame *inner = wrapped(plain->frame, 1, 0),
                 *outer = wrapped(inner->frame, 1, 0);
    fc_frame *middle = nested(outer->frame, 1), *table = nested(middle, 1);

    expect_same(table, plain->frame);
    fc_frame_release(middle);
    memory_release(outer);
    memory_release(inner);
    expect_same(table, plain->frame);
    fc_frame_release(table);
    memory_release(plain);
    assert_int_equal(memory_alive, 0);
}

static void a_table_without_rows_or_columns_works(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, false);
    fc_frame *none = slice(plain->frame, 0, 0), *bare;
    fc_error error;

    memory_frame *memory = wrapped(none, 1, 0);
    fc_frame *table = nested(memory->frame, 1);
    assert_int_equal(fc__frame_rows(table), 0);
    expect_same(table, none);
    fc_frame_release(table);
    memory_release(memory);
    assert_int_equal(fc_frame_select(plain->frame, NULL, 0, &bare, &error), 0);
    memory = wrapped(bare, 1, 0);
    table = nested(memory->frame, 1);
    assert_int_equal(fc__frame_rows(table), ROWS);
    assert_int_equal(fc__frame_columns(table), 0);
    fc_frame_release(table);
    memory_release(memory);
    fc_frame_release(bare);
    fc_frame_release(none);
    memory_release(plain);
    assert_int_equal(memory_alive, 0);
}

static void expect_none(fc_frame *frame, int64_t index, int code, const char *what) {
    fc_frame *out;
    fc_error error;

    assert_int_equal(fc_frame_nested(frame, index, &out, &error), code);
    assert_null(out);
    assert_non_null(strstr(error.message, what));
}

static void what_is_no_table_is_refused(void **state) {
    (void)state;
    memory_frame *plain = everything(ROWS, false), *memory = wrapped(plain->frame, 1, 0);

    expect_none(memory->frame, 0, FC_E_TYPE, "'number' holds no table");
    expect_none(memory->frame, 2, FC_E_COLUMN, "no column 2");
    expect_none(memory->frame, -1, FC_E_COLUMN, "no column -1");
    expect_none(plain->frame, 0, FC_E_TYPE, "one row");
    memory_release(memory);
    memory = wrapped(plain->frame, 2, 0);
    expect_none(memory->frame, 1, FC_E_TYPE, "one row");
    fc_frame *first = slice(memory->frame, 0, 1);
    expect_none(first, 1, FC_E_TYPE, "one row");
    fc_frame_release(first);
    memory_release(memory);
    memory = wrapped(plain->frame, 1, 1);
    expect_none(memory->frame, 1, FC_E_TYPE, "null rows");
    memory_release(memory);
    memory_release(plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_in_a_column_is_a_frame),
        cmocka_unit_test(it_can_be_sliced_selected_and_streamed),
        cmocka_unit_test(its_private_copy_is_of_the_table),
        cmocka_unit_test(a_table_of_a_private_copy_can_be_written),
        cmocka_unit_test(tables_within_tables_work),
        cmocka_unit_test(a_table_without_rows_or_columns_works),
        cmocka_unit_test(what_is_no_table_is_refused),
    };
    return cmocka_run_group_tests_name("nested", tests, NULL, NULL);
}
