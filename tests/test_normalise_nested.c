/* Nested columns on the way in: what a slice of the parent means below, lists and views
 * in every form, unions, run ends; and children that do not bear what stands above them.
 */
#include "support_array.h"
#include "support_frame.h"

#include "src/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct column_test {
    memory_frame *memory;
    const fc_column *column;
} column_test;

static column_test put_column(struct ArrowSchema *schema, int count, ...) {
    const struct ArrowArray *chunks[8];
    va_list arguments;
    fc_error error;
    column_test out;

    va_start(arguments, count);
    for (int i = 0; i < count; i++)
        chunks[i] = va_arg(arguments, struct ArrowArray *);
    va_end(arguments);
    /* a struct would be a table: so that any type is a column, it stands in one */
    struct ArrowSchema *table = schema_of("+s", "", 1, schema);
    const struct ArrowArray *tables[8];
    for (int i = 0; i < count; i++)
        tables[i] = array_with(ARRAY(chunks[i]->length, NO_BUFFER), 1, chunks[i]);
    out.memory = memory_put(table, tables, (size_t)count, false);
    for (int i = 0; i < count; i++)
        array_free((struct ArrowArray *)tables[i]);
    schema_free(table);
    if (fc_frame_column_at(out.memory->frame, 0, &out.column, &error))
        fail_msg("%s", error.message);
    if (fc__frame_verify(out.memory->frame, &error))
        fail_msg("%s", error.message);
    assert_int_equal(arrays_alive, 0);
    return out;
}

static void refused(struct ArrowSchema *column, struct ArrowArray *array,
                    const char *words) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, column);
    const struct ArrowArray *chunk =
        array_with(ARRAY(array ? array->length : 0, NO_BUFFER), 1, array);
    fc__plan *plan;
    fc_error error = {0};

    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error),
                     FC_E_INVALID);
    assert_null(plan);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    array_free((struct ArrowArray *)chunk);
    schema_free(schema);
    assert_int_equal(arrays_alive, 0);
}

static struct ArrowSchema *list_schema(const char *format) {
    return schema_of(format, "x", 1, schema_of("c", "item", 0));
}

/* The values 0, 1, 2 ... below. */
static struct ArrowArray *bytes_up_to(int8_t count) {
    int8_t values[128];

    for (int i = 0; i < count; i++)
        values[i] = (int8_t)i;
    return ARRAY(count, NO_BUFFER, ((array_buffer){values, (size_t)count}));
}

static void assert_items(const fc_column *list, int64_t row, int count, ...) {
    const int8_t *items = list->children[0]->values;
    int64_t from = list->offsets ? list->offsets[row] : list->offsets32[row];
    int64_t to = list->offsets ? list->offsets[row + 1] : list->offsets32[row + 1];
    va_list arguments;

    assert_int_equal(to - from, count);
    va_start(arguments, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(items[from + i], va_arg(arguments, int));
    va_end(arguments);
}

/* ---- Structs ---- */

static void a_structs_slice_reaches_its_children(void **state) {
    struct ArrowSchema *schema =
        schema_of("+s", "x", 2, schema_of("c", "a", 0), schema_of("u", "b", 0));
    struct ArrowArray *array =
        array_with(ARRAY(5, BUFFER(uint8_t, 0x17)), 2, array_slice(bytes_up_to(9), 2, 6),
                   ARRAY(5, NO_BUFFER, BUFFER(int32_t, 0, 1, 2, 3, 4, 5), TEXT("abcde")));
    column_test t =
        put_column(schema, 2, array_slice(array, 2, 3),
                   array_with(ARRAY(1, NO_BUFFER), 2, bytes_up_to(1),
                              ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0, 1), TEXT("z"))));
    const int8_t *a = t.column->children[0]->values;

    (void)state;
    assert_int_equal(t.column->rows, 4);
    assert_int_equal(t.column->nulls, 1);
    assert_false(fc_is_valid(t.column, 1));
    assert_int_equal(a[0], 4);
    assert_int_equal(a[2], 6);
    assert_int_equal(a[3], 0);
    assert_memory_equal(fc_bytes_at(t.column->children[1], 0).data, "cdez", 4);
    memory_release(t.memory);
}

static void a_table_with_null_rows_is_refused_with_a_remedy(void **state) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("c", "a", 0));
    struct ArrowArray *array =
        array_with(ARRAY(3, BUFFER(uint8_t, 5)), 1, bytes_up_to(3));
    const struct ArrowArray *chunk = array;
    fc__plan *plan;
    fc_error error;

    (void)state;
    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "1 of its rows are null"));
    assert_non_null(strstr(error.message, "drop them"));
    array_slice(array, 2, 1); /* the null row is not in the table */
    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error), 0);
    fc__plan_free(plan);
    array_free(array);
    schema_free(schema);
}

/* ---- Lists ---- */

static void lists_take_only_the_items_of_their_rows(void **state) {
    struct ArrowArray *first =
        array_with(ARRAY(4, BUFFER(uint8_t, 0x0b), BUFFER(int32_t, 1, 3, 3, 4, 8)), 1,
                   array_slice(bytes_up_to(20), 5, 9));
    struct ArrowArray *second =
        array_with(ARRAY(1, NO_BUFFER, BUFFER(int32_t, 2, 4)), 1, bytes_up_to(5));
    column_test t = put_column(list_schema("+l"), 2, array_slice(first, 1, 3), second);

    (void)state;
    assert_string_equal(t.column->format, "+L");
    assert_int_equal(t.column->offsets[0], 0);
    assert_items(t.column, 0, 0);
    assert_false(fc_is_valid(t.column, 1));
    assert_items(t.column, 2, 4, 9, 10, 11, 12);
    assert_items(t.column, 3, 2, 2, 3);
    assert_int_equal(t.column->children[0]->rows, 7);
    memory_release(t.memory);
}

static void maps_keep_32_bit_offsets(void **state) {
    struct ArrowSchema *schema =
        schema_of("+m", "x", 1,
                  schema_of("+s", "entries", 2, schema_of("c", "key", 0),
                            schema_of("c", "value", 0)));
    struct ArrowArray *array =
        array_with(ARRAY(3, NO_BUFFER, BUFFER(int32_t, 0, 1, 3, 5)), 1,
                   array_with(ARRAY(5, NO_BUFFER), 2, bytes_up_to(5), bytes_up_to(6)));
    column_test t = put_column(schema, 1, array_slice(array, 1, 2));

    (void)state;
    assert_string_equal(t.column->format, "+m");
    assert_int_equal(t.column->offsets32[0], 0);
    assert_int_equal(t.column->offsets32[2], 4);
    assert_int_equal(((const int8_t *)t.column->children[0]->children[0]->values)[0], 1);
    memory_release(t.memory);
}

static void a_map_of_2_31_entries_is_refused(void **state) {
    struct ArrowSchema *schema = schema_of(
        "+m", "x", 1,
        schema_of("+s", "entries", 2, schema_of("n", "key", 0), schema_of("n", "v", 0)));
    const struct ArrowArray *chunks[2];
    fc__plan *plan;
    fc_error error;

    (void)state;
    for (int i = 0; i < 2; i++)
        chunks[i] = array_with(ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0, 1 << 30)), 1,
                               array_with(ARRAY(1 << 30, NO_BUFFER), 2,
                                          ARRAY_BARE(1 << 30), ARRAY_BARE(1 << 30)));
    assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 1, false, &error), 0);
    fc__plan_free(plan);
    assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 2, false, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "2147483648 entries"));
    for (int i = 0; i < 2; i++)
        array_free((struct ArrowArray *)chunks[i]);
    schema_free(schema);
}

/* Below an extension name; anywhere else they become 64 bits wide. */
static void more_than_32_bit_offsets_reach_is_refused_where_they_must_stay(
    void **state) {
    static const char extension[] = "\1\0\0\0\x14\0\0\0ARROW:extension:name\1\0\0\0e";
    static const char *const formats[] = {"u", "z", "+l", "+vl"};
    (void)state;

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bool list = *formats[i] == '+', view = formats[i][1] == 'v';
        struct ArrowSchema *schema =
            list ? schema_of(formats[i], "x", 1, schema_of("n", "item", 0))
                 : schema_of(formats[i], "x", 0);
        const struct ArrowArray *chunks[2];
        fc__plan *plan;
        fc_error error;
        for (int k = 0; k < 2; k++)
            chunks[k] =
                !list
                    ? ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0, 1 << 30), TEXT("never read"))
                    : array_with(view ? ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0),
                                              BUFFER(int32_t, 1 << 30))
                                      : ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0, 1 << 30)),
                                 1, ARRAY_BARE(1 << 30));
        for (int named = 0; named < 2; named++) {
            schema->metadata = named ? extension : NULL;
            assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 1, 0, &error), 0);
            fc__plan_free(plan);
            assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 2, 0, &error),
                             named ? FC_E_INVALID : 0);
            fc__plan_free(plan);
            if (named)
                assert_non_null(strstr(error.message, "not 2147483648"));
        }
        array_free((struct ArrowArray *)chunks[0]);
        array_free((struct ArrowArray *)chunks[1]);
        schema_free(schema);
    }
}

static void list_views_in_any_order_become_lists(void **state) {
    /* over one another, backward, null with nonsense, empty */
    struct ArrowArray *array =
        array_with(ARRAY(5, BUFFER(uint8_t, 0x1b), BUFFER(int32_t, 3, 1, -7, 9, 4),
                         BUFFER(int32_t, 2, 3, 99, 0, 1)),
                   1, bytes_up_to(9));
    column_test t = put_column(list_schema("+vl"), 1, array);

    (void)state;
    assert_string_equal(t.column->format, "+L");
    assert_items(t.column, 0, 2, 3, 4);
    assert_items(t.column, 1, 3, 1, 2, 3);
    assert_items(t.column, 2, 0);
    assert_items(t.column, 3, 0);
    assert_items(t.column, 4, 1, 4);
    assert_int_equal(t.column->nulls, 1);
    memory_release(t.memory);
}

static void wide_list_views_are_sliced_and_joined(void **state) {
    struct ArrowArray *array = array_with(
        ARRAY(3, NO_BUFFER, BUFFER(int64_t, 0, 2, 4), BUFFER(int64_t, 2, 2, 1)), 1,
        bytes_up_to(5));
    struct ArrowArray *other = array_with(
        ARRAY(1, NO_BUFFER, BUFFER(int64_t, 1), BUFFER(int64_t, 2)), 1, bytes_up_to(3));
    column_test t = put_column(list_schema("+vL"), 2, array_slice(array, 1, 2), other);

    (void)state;
    assert_items(t.column, 0, 2, 2, 3);
    assert_items(t.column, 1, 1, 4);
    assert_items(t.column, 2, 2, 1, 2);
    memory_release(t.memory);
}

static void fixed_lists_multiply_offset_and_length(void **state) {
    struct ArrowArray *array = array_with(ARRAY(4, BUFFER(uint8_t, 0x0b)), 1,
                                          array_slice(bytes_up_to(14), 2, 12));
    column_test t = put_column(list_schema("+w:3"), 1, array_slice(array, 1, 2));
    const int8_t *items = t.column->children[0]->values;

    (void)state;
    assert_int_equal(t.column->children[0]->rows, 6);
    assert_int_equal(items[0], 5);
    assert_int_equal(items[5], 10);
    assert_false(fc_is_valid(t.column, 1));
    memory_release(t.memory);
    t = put_column(list_schema("+w:0"), 1,
                   array_with(ARRAY(4, NO_BUFFER), 1, bytes_up_to(0)));
    assert_int_equal(t.column->rows, 4);
    assert_int_equal(t.column->children[0]->rows, 0);
    memory_release(t.memory);
}

/* ---- Unions ---- */

static struct ArrowSchema *union_schema(const char *format) {
    return schema_of(format, "x", 2, schema_of("c", "a", 0), schema_of("s", "b", 0));
}

static void sparse_unions_are_sliced_with_all_children(void **state) {
    struct ArrowArray *array = array_with(
        ARRAY(4, BUFFER(int8_t, 5, 2, 5, 2)), 2, bytes_up_to(4),
        array_slice(ARRAY(6, NO_BUFFER, BUFFER(int16_t, 90, 91, 92, 93, 94, 95)), 1, 4));
    column_test t = put_column(union_schema("+us:5,2"), 1, array_slice(array, 1, 3));

    (void)state;
    assert_int_equal(t.column->nulls, 0);
    assert_int_equal(t.column->type_ids[0], 2);
    assert_int_equal(t.column->type_ids[1], 5);
    assert_int_equal(((const int8_t *)t.column->children[0]->values)[1], 2);
    assert_int_equal(((const int16_t *)t.column->children[1]->values)[0], 92);
    memory_release(t.memory);
}

static void dense_unions_are_trimmed_and_joined(void **state) {
    struct ArrowArray *first = array_with(
        ARRAY(5, BUFFER(int8_t, 0, 7, 7, 0, 7), BUFFER(int32_t, 0, 1, 2, 6, 3)), 2,
        bytes_up_to(9), ARRAY(4, NO_BUFFER, BUFFER(int16_t, 50, 51, 52, 53)));
    struct ArrowArray *second =
        array_with(ARRAY(2, BUFFER(int8_t, 7, 0), BUFFER(int32_t, 0, 1)), 2,
                   bytes_up_to(2), ARRAY(1, NO_BUFFER, BUFFER(int16_t, 77)));
    column_test t =
        put_column(union_schema("+ud:0,7"), 2, array_slice(first, 2, 3), second);
    const int8_t *a = t.column->children[0]->values;
    const int16_t *b = t.column->children[1]->values;

    (void)state;
    assert_int_equal(t.column->children[0]->rows,
                     2); /* 6 of the first, 1 of the second */
    assert_int_equal(t.column->children[1]->rows, 3); /* 52 and 53, 77 */
    assert_int_equal(b[t.column->offsets32[0]], 52);
    assert_int_equal(a[t.column->offsets32[1]], 6);
    assert_int_equal(b[t.column->offsets32[2]], 53);
    assert_int_equal(b[t.column->offsets32[3]], 77);
    assert_int_equal(a[t.column->offsets32[4]], 1);
    memory_release(t.memory);
}

/* ---- Run ends ---- */

static struct ArrowSchema *run_schema(void) {
    return schema_of("+r", "x", 2, schema_of("s", "run_ends", 0),
                     schema_of("c", "values", 0));
}

static struct ArrowArray *runs(int64_t rows) {
    return array_with(ARRAY_BARE(rows), 2, ARRAY(3, NO_BUFFER, BUFFER(int16_t, 4, 5, 9)),
                      bytes_up_to(3));
}

static void run_ends_are_trimmed_to_the_slice_and_joined(void **state) {
    column_test t = put_column(run_schema(), 3, array_slice(runs(9), 2, 2),
                               array_slice(runs(9), 4, 3), array_slice(runs(9), 9, 0));
    const fc_column *ends = t.column->children[0];
    static const int16_t want[] = {2, 3, 5};
    static const int8_t values[] = {0, 1, 2};

    (void)state;
    assert_int_equal(t.column->rows, 5);
    assert_int_equal(ends->rows, 3);
    assert_int_equal(ends->type, FC_TYPE_INT16);
    assert_memory_equal(ends->values, want, sizeof want);
    assert_memory_equal(t.column->children[1]->values, values, sizeof values);
    memory_release(t.memory);
}

static struct ArrowArray *one_run(int16_t rows) {
    return array_with(ARRAY_BARE(rows), 2, ARRAY(1, NO_BUFFER, BUFFER(int16_t, rows)),
                      bytes_up_to(1));
}

static void run_ends_widen_only_when_the_rows_do_not_fit(void **state) {
    column_test t = put_column(run_schema(), 2, one_run(32000), one_run(767));

    (void)state;
    assert_int_equal(t.column->children[0]->type, FC_TYPE_INT16);
    memory_release(t.memory);
    t = put_column(run_schema(), 2, one_run(32000), one_run(768));
    assert_int_equal(t.column->children[0]->type, FC_TYPE_INT32);
    assert_string_equal(t.column->children[0]->format, "i");
    assert_int_equal(((const int32_t *)t.column->children[0]->values)[1], 32768);
    memory_release(t.memory);
}

/* ---- Deep ---- */

static void slices_reach_through_64_levels(void **state) {
    struct ArrowSchema *schema = schema_of("c", "x", 0);
    struct ArrowArray *array = bytes_up_to(100);

    (void)state;
    for (int level = 1; level < 64; level++) {
        schema = schema_of("+s", "x", 1, schema);
        array = array_slice(array_with(ARRAY(array->length, NO_BUFFER), 1, array), 1,
                            array->length - 1);
    }
    column_test t = put_column(schema, 1, array);
    const fc_column *column = t.column;
    while (column->child_count)
        column = column->children[0];
    assert_int_equal(column->rows, 37);
    assert_int_equal(((const int8_t *)column->values)[0], 63);
    memory_release(t.memory);
}

/* ---- Bad input ---- */

static void children_that_are_too_short_are_refused(void **state) {
    (void)state;
    refused(schema_of("+s", "x", 1, schema_of("c", "a", 0)),
            array_with(ARRAY(3, NO_BUFFER), 1, bytes_up_to(2)),
            "column 'x.a': its array has 2 rows where the one above it needs 3");
    refused(list_schema("+l"),
            array_with(ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0, 3)), 1, bytes_up_to(2)),
            "column 'x.item'");
    refused(list_schema("+w:2"), array_with(ARRAY(2, NO_BUFFER), 1, bytes_up_to(3)),
            "needs 4");
    refused(list_schema("+vl"),
            array_with(ARRAY(1, NO_BUFFER, BUFFER(int32_t, 1), BUFFER(int32_t, 2)), 1,
                       bytes_up_to(2)),
            "column 'x.item'");
    refused(list_schema("+vl"),
            array_with(ARRAY(1, NO_BUFFER, BUFFER(int32_t, -1), BUFFER(int32_t, 2)), 1,
                       bytes_up_to(2)),
            "from row -1");
    refused(list_schema("+vl"),
            array_with(ARRAY(1, NO_BUFFER, BUFFER(int32_t, 1), BUFFER(int32_t, -2)), 1,
                       bytes_up_to(2)),
            "needs -2");
    refused(union_schema("+us:0,1"),
            array_with(ARRAY(3, BUFFER(int8_t, 0, 0, 0)), 2, bytes_up_to(3),
                       ARRAY(2, NO_BUFFER, BUFFER(int16_t, 1, 2))),
            "column 'x.b'");
}

static void lists_with_bad_offsets_are_refused(void **state) {
    (void)state;
    refused(list_schema("+l"),
            array_with(ARRAY(2, NO_BUFFER, BUFFER(int32_t, 0, 2, 1)), 1, bytes_up_to(2)),
            "column 'x': its offsets fall");
    refused(list_schema("+L"),
            array_with(ARRAY(1, NO_BUFFER, NO_BUFFER), 1, bytes_up_to(2)), "buffer 1");
}

static void missing_children_are_refused(void **state) {
    struct ArrowArray *array = array_with(ARRAY(1, NO_BUFFER), 1, NULL);

    (void)state;
    refused(schema_of("+s", "x", 1, schema_of("c", "a", 0)), array,
            "column 'x.a': its array is a null pointer");
    refused(schema_of("+s", "x", 1, schema_of("c", "a", 0)), ARRAY(1, NO_BUFFER),
            "0 children where its schema has 1");
    array = array_with(ARRAY(1, NO_BUFFER), 1, bytes_up_to(1));
    array->n_children = 2;
    struct ArrowArray **children = array->children;
    array->children = calloc(2, sizeof *children);
    array->children[0] = children[0];
    free(children);
    refused(schema_of("+s", "x", 1, schema_of("c", "a", 0)), array, "2 children");
}

static struct ArrowArray *dense(int8_t id, int32_t offset) {
    return array_with(ARRAY(1, BUFFER(int8_t, id), BUFFER(int32_t, offset)), 2,
                      bytes_up_to(2), ARRAY(2, NO_BUFFER, BUFFER(int16_t, 1, 2)));
}

static void unions_with_foreign_ids_or_places_are_refused(void **state) {
    (void)state;
    refused(union_schema("+ud:0,7"), dense(1, 0), "type id 1 at row 0");
    refused(union_schema("+ud:0,7"), dense(-1, 0), "type id -1 at row 0");
    refused(union_schema("+ud:0,7"), dense(7, 2), "column 'x.b': its array has 2 rows");
    refused(union_schema("+ud:0,7"), dense(7, -1), "offset at row 0 is -1");
    refused(union_schema("+us:0,7"),
            array_with(ARRAY(1, BUFFER(int8_t, 3)), 2, bytes_up_to(1),
                       ARRAY(1, NO_BUFFER, BUFFER(int16_t, 1))),
            "type id 3 at row 0");
    refused(union_schema("+us:0,7"),
            array_with(ARRAY(1, NO_BUFFER), 2, bytes_up_to(1),
                       ARRAY(1, NO_BUFFER, BUFFER(int16_t, 1))),
            "buffer 0");
}

static void run_of(int64_t rows, int16_t first, int16_t second, int8_t values,
                   const char *words) {
    refused(run_schema(),
            array_with(ARRAY_BARE(rows), 2,
                       ARRAY(2, NO_BUFFER, BUFFER(int16_t, first, second)),
                       bytes_up_to(values)),
            words);
}

static void run_ends_that_do_not_grow_or_do_not_reach_are_refused(void **state) {
    (void)state;
    run_of(5, 5, 5, 2, "run end 5 follows 5");
    run_of(5, 0, 5, 2, "run end 0 follows 0");
    run_of(5, 6, -5, 2, "run end -5 follows 6");
    run_of(5, 2, 4, 2, "ends before row 5");
    run_of(5, 2, 5, 1, "column 'x.values'");
    refused(run_schema(),
            array_with(ARRAY_BARE(5), 2,
                       ARRAY(2, BUFFER(uint8_t, 2), BUFFER(int16_t, 1, 5)),
                       bytes_up_to(2)),
            "1 of the run ends are null");
    refused(run_schema(),
            array_with(ARRAY_BARE(5), 2, ARRAY(2, NO_BUFFER, NO_BUFFER), bytes_up_to(2)),
            "buffer 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_structs_slice_reaches_its_children),
        cmocka_unit_test(a_table_with_null_rows_is_refused_with_a_remedy),
        cmocka_unit_test(lists_take_only_the_items_of_their_rows),
        cmocka_unit_test(maps_keep_32_bit_offsets),
        cmocka_unit_test(a_map_of_2_31_entries_is_refused),
        cmocka_unit_test(more_than_32_bit_offsets_reach_is_refused_where_they_must_stay),
        cmocka_unit_test(list_views_in_any_order_become_lists),
        cmocka_unit_test(wide_list_views_are_sliced_and_joined),
        cmocka_unit_test(fixed_lists_multiply_offset_and_length),
        cmocka_unit_test(sparse_unions_are_sliced_with_all_children),
        cmocka_unit_test(dense_unions_are_trimmed_and_joined),
        cmocka_unit_test(run_ends_are_trimmed_to_the_slice_and_joined),
        cmocka_unit_test(run_ends_widen_only_when_the_rows_do_not_fit),
        cmocka_unit_test(slices_reach_through_64_levels),
        cmocka_unit_test(children_that_are_too_short_are_refused),
        cmocka_unit_test(lists_with_bad_offsets_are_refused),
        cmocka_unit_test(missing_children_are_refused),
        cmocka_unit_test(unions_with_foreign_ids_or_places_are_refused),
        cmocka_unit_test(run_ends_that_do_not_grow_or_do_not_reach_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
