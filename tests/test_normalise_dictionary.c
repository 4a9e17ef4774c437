/* Dictionaries on the way in: one for all chunks, codes that mean the same as before. */
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

static column_test put_chunks(struct ArrowSchema *schema, int count,
                              const struct ArrowArray **chunks) {
    column_test out;
    fc_error error;

    out.memory = memory_put(schema, chunks, (size_t)count, true);
    for (int i = 0; i < count; i++)
        array_free((struct ArrowArray *)chunks[i]);
    schema_free(schema);
    if (fc_frame_column_at(out.memory->frame, 0, &out.column, &error) ||
        fc__frame_verify(out.memory->frame, &error))
        fail_msg("%s", error.message);
    assert_int_equal(arrays_alive, 0);
    return out;
}

static column_test put_column(struct ArrowSchema *schema, int count, ...) {
    const struct ArrowArray *chunks[8];
    va_list arguments;

    va_start(arguments, count);
    for (int i = 0; i < count; i++)
        chunks[i] = va_arg(arguments, struct ArrowArray *);
    va_end(arguments);
    return put_chunks(schema, count, chunks);
}

static void refused(struct ArrowSchema *schema, struct ArrowArray *array,
                    const char *words) {
    const struct ArrowArray *chunk = array;
    fc__plan *plan;
    fc_error error = {0};

    assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1, false, &error),
                     FC_E_INVALID);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    array_free(array);
    schema_free(schema);
}

static struct ArrowSchema *coded(const char *codes, const char *values) {
    return schema_dictionary(codes, "x", schema_of(values, "", 0));
}

/* Strings of one letter each. */
static struct ArrowArray *letters(const char *text) {
    int32_t offsets[64];
    size_t count = strlen(text);

    for (size_t i = 0; i <= count; i++)
        offsets[i] = (int32_t)i;
    return ARRAY((int64_t)count, NO_BUFFER,
                 ((array_buffer){offsets, (count + 1) * sizeof *offsets}),
                 ((array_buffer){text, count + 1}));
}

static char letter_at(const fc_column *column, int64_t row) {
    if (!fc_is_valid(column, row))
        return '-';
    return *(const char *)fc_bytes_at(column->dictionary,
                                      ((const int8_t *)column->values)[row])
                .data;
}

static void assert_letters(const fc_column *column, const char *want) {
    assert_int_equal(column->rows, strlen(want));
    for (int64_t row = 0; row < column->rows; row++)
        assert_int_equal(letter_at(column, row), want[row]);
}

static void one_dictionary_is_taken_as_it_is(void **state) {
    struct ArrowArray *values = array_slice(letters("zaba"), 1, 3); /* "a" twice */
    column_test t = put_column(coded("c", "u"), 1,
                               array_slice(array_coded(ARRAY(4, BUFFER(uint8_t, 0x0d),
                                                             BUFFER(int8_t, 0, -1, 2, 1)),
                                                       values),
                                           1, 3));

    (void)state;
    assert_int_equal(t.column->type, FC_TYPE_DICTIONARY);
    assert_int_equal(t.column->dictionary->rows, 3);
    assert_letters(t.column, "-ab");
    assert_int_equal(((const int8_t *)t.column->values)[0], -1);
    memory_release(t.memory);
}

static void unused_values_of_no_rows_are_kept(void **state) {
    column_test t = put_column(
        coded("c", "u"), 1, array_coded(ARRAY(0, NO_BUFFER, NO_BUFFER), letters("ab")));

    (void)state;
    assert_int_equal(t.column->rows, 0);
    assert_int_equal(t.column->dictionary->rows, 2);
    memory_release(t.memory);
}

static void equal_dictionaries_are_stored_once(void **state) {
    column_test t =
        put_column(coded("c", "u"), 2,
                   array_coded(ARRAY(2, NO_BUFFER, BUFFER(int8_t, 1, 0)), letters("ab")),
                   array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 1)), letters("ab")));

    (void)state;
    assert_int_equal(t.column->dictionary->rows, 2);
    assert_letters(t.column, "bab");
    memory_release(t.memory);
}

static void dictionaries_that_differ_are_unified(void **state) {
    column_test t = put_column(
        coded("c", "u"), 4,
        array_coded(ARRAY(3, NO_BUFFER, BUFFER(int8_t, 0, 1, 2)), letters("abc")),
        array_coded(ARRAY(3, BUFFER(uint8_t, 5), BUFFER(int8_t, 0, 99, 1)),
                    letters("db")),
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 2)), letters("abc")),
        array_coded(ARRAY(5, NO_BUFFER, BUFFER(int8_t, 4, 3, 2, 1, 0)),
                    letters("eadfc")));

    (void)state;
    assert_letters(t.column, "abcd-bccfdae");
    assert_int_equal(t.column->dictionary->rows, 6); /* a b c, d, e f */
    memory_release(t.memory);
}

static void views_and_fixed_values_are_unified_too(void **state) {
    column_test t =
        put_column(coded("i", "l"), 2,
                   array_coded(ARRAY(2, NO_BUFFER, BUFFER(int32_t, 1, 0)),
                               ARRAY(2, NO_BUFFER, BUFFER(int64_t, 70, 71))),
                   array_coded(ARRAY(2, NO_BUFFER, BUFFER(int32_t, 0, 1)),
                               ARRAY(2, BUFFER(uint8_t, 2), BUFFER(int64_t, 5, 70))));
    static const int32_t codes[] = {1, 0, 2, 0};

    (void)state;
    assert_memory_equal(t.column->values, codes, sizeof codes);
    assert_int_equal(t.column->dictionary->rows, 3);
    assert_false(fc_is_valid(t.column->dictionary, 2)); /* a null is a value of its own */
    memory_release(t.memory);
    t = put_column(
        coded("c", "vu"), 2,
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)),
                    ARRAY(1, NO_BUFFER, BUFFER(int32_t, 1, 'a', 0, 0), NO_BUFFER)),
        array_coded(
            ARRAY(2, NO_BUFFER, BUFFER(int8_t, 0, 1)),
            ARRAY(2, NO_BUFFER, BUFFER(int32_t, 1, 'b', 0, 0, 1, 'a', 0, 0), NO_BUFFER)));
    assert_letters(t.column, "aba");
    assert_int_equal(t.column->dictionary->rows, 2);
    memory_release(t.memory);
}

static void bools_are_values_too(void **state) {
    column_test t = put_column(coded("c", "b"), 2,
                               array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)),
                                           ARRAY(1, NO_BUFFER, BUFFER(uint8_t, 1))),
                               array_coded(ARRAY(2, NO_BUFFER, BUFFER(int8_t, 0, 1)),
                                           ARRAY(2, NO_BUFFER, BUFFER(uint8_t, 2))));
    static const int8_t codes[] = {0, 1, 0};

    (void)state;
    assert_memory_equal(t.column->values, codes, sizeof codes);
    assert_int_equal(t.column->dictionary->rows, 2);
    memory_release(t.memory);
}

static struct ArrowArray *structs_of(int8_t a, int8_t b) {
    return array_with(ARRAY(2, NO_BUFFER), 1, ARRAY(2, NO_BUFFER, BUFFER(int8_t, a, b)));
}

static void nested_values_are_appended_and_codes_shifted(void **state) {
    struct ArrowSchema *values = schema_of("+s", "", 1, schema_of("c", "a", 0));
    column_test t =
        put_column(schema_dictionary("c", "x", values), 2,
                   array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 1)), structs_of(5, 6)),
                   array_coded(ARRAY(3, BUFFER(uint8_t, 3), BUFFER(int8_t, 0, 1, 99)),
                               structs_of(6, 7)));
    static const int8_t codes[] = {1, 2, 3, 0}, below[] = {5, 6, 6, 7};

    (void)state;
    assert_memory_equal(t.column->values, codes, sizeof codes);
    assert_int_equal(t.column->dictionary->rows, 4);
    assert_memory_equal(t.column->dictionary->children[0]->values, below, sizeof below);
    memory_release(t.memory);
}

static void release_borrowed(struct ArrowArray *array) {
    array->release = NULL;
}

/* Another array over the very same memory. */
static struct ArrowArray *borrowed(const struct ArrowArray *array) {
    struct ArrowArray *copy = malloc(sizeof *copy);

    *copy = *array;
    copy->release = release_borrowed;
    return copy;
}

static void nested_values_in_the_same_memory_are_stored_once(void **state) {
    struct ArrowSchema *values = schema_of("+s", "", 1, schema_of("c", "a", 0));
    struct ArrowArray *first =
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)), structs_of(5, 6));
    struct ArrowArray *second =
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 1)), structs_of(7, 8));
    column_test t = put_column(
        schema_dictionary("c", "x", values), 4, first, second,
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)), borrowed(second->dictionary)),
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 1)), borrowed(first->dictionary)));
    static const int8_t codes[] = {0, 3, 2, 1};

    (void)state;
    assert_memory_equal(t.column->values, codes, sizeof codes);
    assert_int_equal(t.column->dictionary->rows, 4);
    memory_release(t.memory);
}

/* `count` different values from `first` on, coded by the last of them. */
static struct ArrowArray *many(int first, int count, int code_bytes) {
    int16_t *values = malloc((size_t)count * sizeof *values);
    int64_t code = count - 1;

    for (int i = 0; i < count; i++)
        values[i] = (int16_t)(first + i);
    struct ArrowArray *array =
        array_coded(ARRAY(1, NO_BUFFER, ((array_buffer){&code, (size_t)code_bytes})),
                    ARRAY(count, NO_BUFFER,
                          ((array_buffer){values, (size_t)count * sizeof *values})));
    free(values);
    return array;
}

static void widens(const char *from, int code_bytes, int before, int more,
                   const char *to) {
    column_test t = put_column(coded(from, "s"), 2, many(0, before, code_bytes),
                               many(before, more, code_bytes));
    uint64_t code = 0;

    assert_string_equal(t.column->format, to);
    assert_int_equal(t.column->dictionary->rows, before + more);
    memcpy(&code, (const char *)t.column->values + t.column->width,
           (size_t)t.column->width);
    assert_int_equal(code, before + more - 1);
    memory_release(t.memory);
}

static void codes_widen_only_if_they_must(void **state) {
    (void)state;
    widens("c", 1, 100, 28, "c");
    widens("c", 1, 100, 29, "s");
    widens("C", 1, 200, 56, "C");
    widens("C", 1, 200, 57, "S");
    widens("s", 2, 20000, 12768, "s");
    widens("s", 2, 20000, 12769, "i");
    widens("l", 8, 20000, 12769, "l");
}

static void codes_out_of_their_dictionary_are_refused(void **state) {
    (void)state;
    refused(coded("c", "u"),
            array_coded(ARRAY(3, NO_BUFFER, BUFFER(int8_t, 0, 1, 2)), letters("ab")),
            "column 'x': the code at row 2 is not in its dictionary of 2 values");
    refused(
        coded("c", "u"),
        array_coded(ARRAY(2, BUFFER(uint8_t, 1), BUFFER(int8_t, -1, 99)), letters("ab")),
        "the code at row 0");
    refused(coded("L", "u"),
            array_coded(ARRAY(1, NO_BUFFER, BUFFER(uint64_t, UINT64_MAX)), letters("ab")),
            "the code at row 0");
    refused(coded("i", "u"),
            array_coded(ARRAY(1, NO_BUFFER, BUFFER(int32_t, 0)), letters("")),
            "dictionary of 0 values");
}

static void bad_dictionaries_are_refused_by_their_path(void **state) {
    struct ArrowArray *values = letters("ab");

    (void)state;
    values->length = -2;
    refused(coded("c", "u"), array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)), values),
            "column 'x.dictionary': its array has length -2");
    refused(coded("c", "u"),
            array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)),
                        ARRAY(1, NO_BUFFER, BUFFER(int32_t, 3, 1), TEXT("abc"))),
            "column 'x.dictionary': its offsets fall");
}

static void a_bad_second_dictionary_is_refused_before_it_is_read(void **state) {
    struct ArrowSchema *schema = coded("c", "u");
    const struct ArrowArray *chunks[] = {
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)), letters("ab")),
        array_coded(ARRAY(1, NO_BUFFER, BUFFER(int8_t, 0)),
                    ARRAY(2, NO_BUFFER, BUFFER(int32_t, 0, 3, -1), TEXT("abc")))};
    fc__plan *plan;
    fc_error error;

    (void)state;
    assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 2, false, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "column 'x.dictionary': its offsets fall"));
    array_free((struct ArrowArray *)chunks[0]);
    array_free((struct ArrowArray *)chunks[1]);
    schema_free(schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dictionary_is_taken_as_it_is),
        cmocka_unit_test(unused_values_of_no_rows_are_kept),
        cmocka_unit_test(equal_dictionaries_are_stored_once),
        cmocka_unit_test(dictionaries_that_differ_are_unified),
        cmocka_unit_test(views_and_fixed_values_are_unified_too),
        cmocka_unit_test(bools_are_values_too),
        cmocka_unit_test(nested_values_are_appended_and_codes_shifted),
        cmocka_unit_test(nested_values_in_the_same_memory_are_stored_once),
        cmocka_unit_test(codes_widen_only_if_they_must),
        cmocka_unit_test(codes_out_of_their_dictionary_are_refused),
        cmocka_unit_test(bad_dictionaries_are_refused_by_their_path),
        cmocka_unit_test(a_bad_second_dictionary_is_refused_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
