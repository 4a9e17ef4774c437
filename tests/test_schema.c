/* Format strings and schema trees: what is accepted, what is refused and how it is named.
 */
#include "support_frame.h"

#include "frames/body.h"
#include "frames/schema.h"
#include "src/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- Format strings ---- */

typedef struct expected {
    const char *format, *stored;
    fc_type type;
    fc__shape shape;
    int32_t width, children;
} expected;

static const expected formats[] = {
    {"n", "n", FC_TYPE_NA, FC__SHAPE_NULL, 0, 0},
    {"b", "b", FC_TYPE_BOOL, FC__SHAPE_BITS, 0, 0},
    {"c", "c", FC_TYPE_INT8, FC__SHAPE_FIXED, 1, 0},
    {"C", "C", FC_TYPE_UINT8, FC__SHAPE_FIXED, 1, 0},
    {"s", "s", FC_TYPE_INT16, FC__SHAPE_FIXED, 2, 0},
    {"S", "S", FC_TYPE_UINT16, FC__SHAPE_FIXED, 2, 0},
    {"i", "i", FC_TYPE_INT32, FC__SHAPE_FIXED, 4, 0},
    {"I", "I", FC_TYPE_UINT32, FC__SHAPE_FIXED, 4, 0},
    {"l", "l", FC_TYPE_INT64, FC__SHAPE_FIXED, 8, 0},
    {"L", "L", FC_TYPE_UINT64, FC__SHAPE_FIXED, 8, 0},
    {"e", "e", FC_TYPE_FLOAT16, FC__SHAPE_FIXED, 2, 0},
    {"f", "f", FC_TYPE_FLOAT32, FC__SHAPE_FIXED, 4, 0},
    {"g", "g", FC_TYPE_FLOAT64, FC__SHAPE_FIXED, 8, 0},
    {"d:9,2,32", "d:9,2,32", FC_TYPE_DECIMAL, FC__SHAPE_FIXED, 4, 0},
    {"d:18,-3,64", "d:18,-3,64", FC_TYPE_DECIMAL, FC__SHAPE_FIXED, 8, 0},
    {"d:38,10", "d:38,10", FC_TYPE_DECIMAL, FC__SHAPE_FIXED, 16, 0},
    {"d:38,10,128", "d:38,10,128", FC_TYPE_DECIMAL, FC__SHAPE_FIXED, 16, 0},
    {"d:76,0,256", "d:76,0,256", FC_TYPE_DECIMAL, FC__SHAPE_FIXED, 32, 0},
    {"tdD", "tdD", FC_TYPE_DATE32, FC__SHAPE_FIXED, 4, 0},
    {"tdm", "tdm", FC_TYPE_DATE64, FC__SHAPE_FIXED, 8, 0},
    {"tts", "tts", FC_TYPE_TIME32, FC__SHAPE_FIXED, 4, 0},
    {"ttm", "ttm", FC_TYPE_TIME32, FC__SHAPE_FIXED, 4, 0},
    {"ttu", "ttu", FC_TYPE_TIME64, FC__SHAPE_FIXED, 8, 0},
    {"ttn", "ttn", FC_TYPE_TIME64, FC__SHAPE_FIXED, 8, 0},
    {"tss:", "tss:", FC_TYPE_TIMESTAMP, FC__SHAPE_FIXED, 8, 0},
    {"tsn:Europe/Paris", "tsn:Europe/Paris", FC_TYPE_TIMESTAMP, FC__SHAPE_FIXED, 8, 0},
    {"tDs", "tDs", FC_TYPE_DURATION, FC__SHAPE_FIXED, 8, 0},
    {"tDn", "tDn", FC_TYPE_DURATION, FC__SHAPE_FIXED, 8, 0},
    {"tiM", "tiM", FC_TYPE_INTERVAL, FC__SHAPE_FIXED, 4, 0},
    {"tiD", "tiD", FC_TYPE_INTERVAL, FC__SHAPE_FIXED, 8, 0},
    {"tin", "tin", FC_TYPE_INTERVAL, FC__SHAPE_FIXED, 16, 0},
    {"w:0", "w:0", FC_TYPE_FIXED_BINARY, FC__SHAPE_FIXED, 0, 0},
    {"w:42", "w:42", FC_TYPE_FIXED_BINARY, FC__SHAPE_FIXED, 42, 0},
    {"u", "U", FC_TYPE_STRING, FC__SHAPE_BYTES64, 0, 0},
    {"U", "U", FC_TYPE_STRING, FC__SHAPE_BYTES64, 0, 0},
    {"vu", "U", FC_TYPE_STRING, FC__SHAPE_BYTES64, 0, 0},
    {"z", "Z", FC_TYPE_BINARY, FC__SHAPE_BYTES64, 0, 0},
    {"Z", "Z", FC_TYPE_BINARY, FC__SHAPE_BYTES64, 0, 0},
    {"vz", "Z", FC_TYPE_BINARY, FC__SHAPE_BYTES64, 0, 0},
    {"+l", "+L", FC_TYPE_LIST, FC__SHAPE_LIST64, 0, 1},
    {"+L", "+L", FC_TYPE_LIST, FC__SHAPE_LIST64, 0, 1},
    {"+vl", "+L", FC_TYPE_LIST, FC__SHAPE_LIST64, 0, 1},
    {"+vL", "+L", FC_TYPE_LIST, FC__SHAPE_LIST64, 0, 1},
    {"+w:3", "+w:3", FC_TYPE_FIXED_LIST, FC__SHAPE_FIXED_LIST, 3, 1},
    {"+s", "+s", FC_TYPE_STRUCT, FC__SHAPE_STRUCT, 0, FC__ANY_CHILDREN},
    {"+m", "+m", FC_TYPE_MAP, FC__SHAPE_LIST32, 0, 1},
    {"+us:3,0,127", "+us:3,0,127", FC_TYPE_SPARSE_UNION, FC__SHAPE_SPARSE, 0, 3},
    {"+ud:", "+ud:", FC_TYPE_DENSE_UNION, FC__SHAPE_DENSE, 0, 0},
    {"+r", "+r", FC_TYPE_RUN_END, FC__SHAPE_RUN_END, 0, 2},
};

static void every_format_has_its_type_layout_and_stored_form(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const expected *want = &formats[i];
        fc__type type;

        assert_null(fc__type_parse(&type, want->format));
        assert_int_equal(type.type, want->type);
        assert_int_equal(type.stored, want->shape);
        assert_int_equal(type.width, want->width);
        assert_int_equal(type.children, want->children);
        assert_string_equal(type.stored_format ? type.stored_format : want->format,
                            want->stored);
    }
}

static void malformed_formats_are_refused(void **state) {
    static const char *const bad[] = {
        "",           "x",        "ii",         "v",      "vx",        "t",
        "td",         "tdx",      "tt",         "tdDD",   "ts",        "tss",
        "tsx:",       "ts:",      "tD",         "tDx",    "ti",        "w",
        "w:",         "w:-1",     "w:1x",       "w:01",   "w: 1",      "w:2147483648",
        "+",          "+x",       "+w",         "+w:",    "+w:x",      "+v",
        "+vx",        "+u",       "+us",        "+ux:1",  "+us:a",     "+us:1,",
        "+us:,1",     "+us:128",  "+ud:1,1",    "+ud:-1", "d",         "d:",
        "d:5",        "d:5,",     "d:0,0",      "d:39,0", "d:10,0,32", "d:19,0,64",
        "d:77,0,256", "d:5,2,16", "d:5,2,128x", "d:5,2,", "D:5,2",     "+ss",
        "+mm",        "+rr",      "+ll",        "gg",     "n ",        " n"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fc__type type;
        if (!fc__type_parse(&type, bad[i]))
            fail_msg("'%s' was taken for type %d", bad[i], type.type);
    }
}

static void union_ids_come_in_the_order_of_the_children(void **state) {
    int8_t ids[FC__UNION_IDS];

    (void)state;
    assert_int_equal(fc__union_ids("+us:7,0,127", ids), 3);
    assert_int_equal(ids[0], 7);
    assert_int_equal(ids[1], 0);
    assert_int_equal(ids[2], 127);
}

static void buffers_need_what_their_rows_take(void **state) {
    uint64_t bytes;

    (void)state;
    assert_true(fc__buffer_need(FC__BUFFER_VALIDITY, 0, 9, &bytes));
    assert_int_equal(bytes, 2);
    assert_true(fc__buffer_need(FC__BUFFER_VALUES, 3, 5, &bytes));
    assert_int_equal(bytes, 15);
    assert_true(fc__buffer_need(FC__BUFFER_OFFSETS64, 0, 0, &bytes));
    assert_int_equal(bytes, 8);
    assert_true(fc__buffer_need(FC__BUFFER_VALUES, 8, INT64_MAX / 8, &bytes));
    assert_false(fc__buffer_need(FC__BUFFER_VALUES, 8, INT64_MAX / 8 + 1, &bytes));
    assert_false(fc__buffer_need(FC__BUFFER_VALUES, 8, -1, &bytes));
}

/* ---- Trees ---- */

static int read_schema(const struct ArrowSchema *schema, fc_error *error) {
    fc__arena arena = {0};
    fc__field *root;
    int code = fc__schema_read(&root, NULL, schema, &arena, error);

    assert_int_equal(code != 0, root == NULL);
    fc__arena_free(&arena);
    return code;
}

/* Refused, with these words; frees the schema. */
static void refused(struct ArrowSchema *schema, const char *words) {
    fc_error error = {0};

    assert_int_equal(read_schema(schema, &error), FC_E_INVALID);
    assert_int_equal(error.code, FC_E_INVALID);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    schema_free(schema);
}

static struct ArrowSchema *table_of(struct ArrowSchema *column) {
    return schema_of("+s", "", 1, column);
}

static void a_tree_keeps_names_flags_metadata_and_order(void **state) {
    static const char metadata[] = "\1\0\0\0\3\0\0\0key\2\0\0\0ab";
    struct ArrowSchema *inner = schema_of("u", "b", 0);
    struct ArrowSchema *schema =
        schema_of("+s", "", 2, schema_of("+s", "a", 1, inner),
                  schema_dictionary("c", "d", schema_of("z", "", 0)));
    fc__arena arena = {0};
    fc__field *root;
    bool wrapped;

    (void)state;
    inner->metadata = metadata;
    inner->flags = 0;
    schema->children[1]->flags |= ARROW_FLAG_DICTIONARY_ORDERED;
    assert_int_equal(fc__schema_read(&root, &wrapped, schema, &arena, NULL), 0);
    schema_free(schema);
    assert_false(wrapped);
    const fc__field *field = &root->children[0].children[0];
    assert_string_equal(field->name, "b");
    assert_string_equal(field->format, "u");
    assert_string_equal(field->stored_format, "U");
    assert_int_equal(field->flags, 0);
    assert_int_equal(field->metadata_bytes, sizeof metadata - 1);
    assert_memory_equal(field->metadata, metadata, sizeof metadata - 1);
    assert_int_equal(root->children[1].type, FC_TYPE_DICTIONARY);
    assert_int_equal(root->children[1].flags, 3);
    assert_string_equal(root->children[1].dictionary->stored_format, "Z");
    fc__arena_free(&arena);
}

static void what_is_no_struct_becomes_a_table_of_one_column(void **state) {
    struct ArrowSchema *schema = schema_of("+l", "x", 1, schema_of("i", "item", 0));
    fc__arena arena = {0};
    fc__field *root;
    bool wrapped;

    (void)state;
    assert_int_equal(fc__schema_read(&root, &wrapped, schema, &arena, NULL), 0);
    assert_true(wrapped);
    assert_int_equal(root->child_count, 1);
    assert_string_equal(root->children[0].name, "x");
    assert_int_equal(root->children[0].type, FC_TYPE_LIST);
    schema_free(schema);
    fc__arena_free(&arena);
}

static void a_bad_format_is_named_with_its_column_path(void **state) {
    (void)state;
    refused(table_of(schema_of("+s", "a", 1, schema_of("tsx:", "b", 0))),
            "column 'a.b': format 'tsx:'");
    refused(table_of(schema_of("+l", "", 1, schema_of("w:", "item", 0))),
            "column '#0.item': format 'w:'");
    refused(table_of(schema_dictionary("c", "d", schema_of("?", "", 0))),
            "column 'd.dictionary': format '?'");
}

static void wrong_children_are_refused(void **state) {
    struct ArrowSchema *lost = schema_of("+l", "a", 1, schema_of("i", "x", 0));

    (void)state;
    refused(table_of(schema_of("i", "a", 1, schema_of("i", "x", 0))), "1 children");
    refused(table_of(schema_of("+l", "a", 0)), "0 children where it takes 1");
    refused(table_of(schema_of("+us:0,1", "a", 1, schema_of("i", "x", 0))), "takes 2");
    refused(table_of(schema_of("+m", "a", 1, schema_of("i", "x", 0))),
            "must be a struct of keys and values");
    refused(
        table_of(schema_of("+r", "a", 2, schema_of("g", "x", 0), schema_of("g", "y", 0))),
        "run ends must be");
    refused(table_of(schema_dictionary("g", "a", schema_of("u", "", 0))),
            "cannot be the codes of a dictionary");
    schema_free(lost->children[0]);
    lost->children[0] = NULL;
    refused(table_of(lost), "column 'a.#0': its schema is a null pointer");
    lost = schema_of("+s", "a", 0);
    lost->n_children = -1;
    refused(table_of(lost), "-1 children");
}

static void released_and_missing_schemas_are_refused(void **state) {
    struct ArrowSchema *schema = table_of(schema_of("i", "a", 0));
    fc_error error = {0};

    (void)state;
    schema->children[0]->release = NULL;
    refused(schema, "column '#0': its schema was released");
    schema = table_of(schema_of("i", "a", 0));
    schema->release = NULL;
    refused(schema, "table: its schema was released");
    schema = table_of(schema_of(NULL, "a", 0));
    refused(schema, "its format is a null pointer");
    assert_int_equal(read_schema(NULL, &error), FC_E_INVALID);
}

static struct ArrowSchema *nested(int levels) {
    struct ArrowSchema *schema = schema_of("i", "x", 0);

    while (--levels)
        schema = schema_of("+l", "x", 1, schema);
    return table_of(schema);
}

static void nesting_ends_at_64_levels(void **state) {
    struct ArrowSchema *schema = nested(FC__MAX_DEPTH);

    (void)state;
    assert_int_equal(read_schema(schema, NULL), 0);
    schema_free(schema);
    refused(nested(FC__MAX_DEPTH + 1), "nested deeper than 64 levels");
}

static void metadata_that_is_not_arrows_is_refused(void **state) {
    struct ArrowSchema *schema = table_of(schema_of("i", "a", 0));

    (void)state;
    schema->children[0]->metadata = "\1\0\0\0\xff\xff\xff\xff";
    refused(schema, "column 'a': its metadata");
}

/* ---- fc_schema_init ---- */

static void a_flat_schema_has_nullable_columns(void **state) {
    const fc_field fields[] = {{"x", "g"}, {"when", "tsu:Europe/Paris"}, {NULL, "u"}};
    struct ArrowSchema schema;

    (void)state;
    assert_int_equal(fc_schema_init(&schema, fields, 3, NULL), 0);
    assert_string_equal(schema.format, "+s");
    assert_int_equal(schema.n_children, 3);
    assert_string_equal(schema.children[1]->name, "when");
    assert_string_equal(schema.children[1]->format, "tsu:Europe/Paris");
    assert_string_equal(schema.children[2]->name, "");
    assert_int_equal(schema.children[0]->flags, ARROW_FLAG_NULLABLE);
    assert_int_equal(read_schema(&schema, NULL), 0);
    schema.release(&schema);
    assert_null(schema.release);
}

static void a_moved_child_outlives_its_schema(void **state) {
    const fc_field fields[] = {{"x", "g"}, {"y", "u"}};
    struct ArrowSchema schema, child;

    (void)state;
    assert_int_equal(fc_schema_init(&schema, fields, 2, NULL), 0);
    child = *schema.children[1];
    schema.children[1]->release = NULL;
    schema.release(&schema);
    assert_string_equal(child.name, "y");
    assert_string_equal(child.format, "u");
    child.release(&child);
    assert_null(child.release);
}

static void flat_schemas_refuse_bad_and_nested_formats(void **state) {
    const fc_field bad = {"x", "q"}, nested_field = {"x", "+l"}, none = {"x", NULL};
    struct ArrowSchema schema;
    fc_error error;

    (void)state;
    assert_int_equal(fc_schema_init(&schema, &bad, 1, &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "column 'x': format 'q'"));
    assert_null(schema.release);
    assert_int_equal(fc_schema_init(&schema, &nested_field, 1, &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "has children"));
    assert_int_equal(fc_schema_init(&schema, &none, 1, &error), FC_E_INVALID);
    assert_int_equal(fc_schema_init(&schema, NULL, 1, &error), FC_E_INVALID);
    assert_int_equal(fc_schema_init(&schema, NULL, 0, &error), 0);
    schema.release(&schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_has_its_type_layout_and_stored_form),
        cmocka_unit_test(malformed_formats_are_refused),
        cmocka_unit_test(union_ids_come_in_the_order_of_the_children),
        cmocka_unit_test(buffers_need_what_their_rows_take),
        cmocka_unit_test(a_tree_keeps_names_flags_metadata_and_order),
        cmocka_unit_test(what_is_no_struct_becomes_a_table_of_one_column),
        cmocka_unit_test(a_bad_format_is_named_with_its_column_path),
        cmocka_unit_test(wrong_children_are_refused),
        cmocka_unit_test(released_and_missing_schemas_are_refused),
        cmocka_unit_test(nesting_ends_at_64_levels),
        cmocka_unit_test(metadata_that_is_not_arrows_is_refused),
        cmocka_unit_test(a_flat_schema_has_nullable_columns),
        cmocka_unit_test(a_moved_child_outlives_its_schema),
        cmocka_unit_test(flat_schemas_refuse_bad_and_nested_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
