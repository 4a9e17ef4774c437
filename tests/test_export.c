/* Exports through the Arrow C data interface. What comes out is planned as a frame again
 * and compared row by row, so that every buffer, offset and child must be right. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "frames/body.h"
#include "src/fault.h"
#include "support_frame.h"

#define ROWS 150
#define RUNS 15

static int nothing_lives(void **state) {
    long alive = memory_alive;

    (void)state;
    memory_alive = 0; /* so that the next test is judged by itself */
    assert_int_equal(alive, 0);
    return 0;
}

static const fc_column *column_at(const fc_frame *frame, int64_t index) {
    const fc_column *column;
    fc_error error;

    if (fc_frame_column_at(frame, index, &column, &error))
        fail_msg("%s", error.message);
    return column;
}

static fc_frame *slice(fc_frame *frame, int64_t first, int64_t rows) {
    fc_frame *out;
    assert_int_equal(fc_frame_slice(frame, first, rows, &out, NULL), 0);
    return out;
}

/* Rows of `back` are those of `frame`. */
static void expect_same(const fc_frame *back, const fc_frame *frame) {
    assert_int_equal(fc__frame_columns(back), fc__frame_columns(frame));
    assert_int_equal(fc__frame_rows(back), fc__frame_rows(frame));
    for (int64_t i = 0; i < fc__frame_columns(frame); i++) {
        const fc_column *a = column_at(back, i), *b = column_at(frame, i);
        assert_string_equal(a->name, b->name);
        for (int64_t row = 0; row < b->rows; row++)
            if (!rows_equal(a, row, b, row))
                fail_msg("column %s, row %lld", b->name, (long long)row);
    }
}

/* Streams the frame, as `requested`, in batches, and puts that back together. */
static memory_frame *through_stream(fc_frame *frame, const struct ArrowSchema *requested,
                                    int64_t batch_rows) {
    struct ArrowArrayStream stream;
    memory_frame *memory = memory_new();
    fc__plan *plan;
    fc_error error;

    if (fc_frame_export_stream(frame, requested, batch_rows, &stream, &error))
        fail_msg("%s", error.message);
    if (fc__plan_stream(&plan, &stream, false, &error))
        fail_msg("%s", error.message);
    memory_write(memory, plan);
    fc__plan_free(plan);
    assert_int_equal(memory_open(memory, &error), 0);
    if (fc__frame_verify(memory->frame, &error))
        fail_msg("%s", error.message);
    return memory;
}

/* ---- Arrays ---- */

static void an_export_of_every_type_reads_back_equal(void **state) {
    (void)state;
    static const int64_t firsts[] = {0, 3, 8, 64, 77, ROWS};
    static const int64_t batches[] = {0, 1, 13, 64, 1000};

    memory_frame *memory = everything(ROWS, false);
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
            fc_frame *part = slice(memory->frame, firsts[i], 60);
            memory_frame *back = through_stream(part, NULL, batches[k]);
            expect_same(back->frame, part);
            memory_release(back);
            fc_frame_release(part);
        }
    memory_release(memory);
}

static void an_export_points_at_the_bytes_of_the_frame(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_frame *part = slice(memory->frame, 20, 30);
    struct ArrowArray array;

    assert_int_equal(fc_frame_export_array(part, NULL, &array, NULL), 0);
    assert_int_equal(array.length, 30);
    assert_int_equal(array.offset, 0);
    assert_int_equal(array.n_buffers, 1);
    for (int64_t i = 0; i < array.n_children; i++) {
        const fc_column *whole = column_at(memory->frame, i);
        const struct ArrowArray *child = array.children[i];
        assert_int_equal(child->length, 30);
        assert_int_equal(child->offset, 20);
        if (whole->type == FC_TYPE_INT64 || whole->type == FC_TYPE_FLOAT64)
            assert_ptr_equal(child->buffers[1], whole->values);
        if (whole->type == FC_TYPE_STRING) {
            assert_ptr_equal(child->buffers[0], whole->validity);
            assert_ptr_equal(child->buffers[1], whole->offsets);
            assert_ptr_equal(child->buffers[2], whole->values);
        }
    }
    assert_int_equal(array.children[2]->null_count, -1);
    assert_int_equal(array.children[3]->null_count, 0);
    assert_int_equal(array.children[8]->null_count, 30); /* type null: all */
    assert_int_equal(array.children[14]->null_count, 0); /* unions have none */
    assert_int_equal(array.children[RUNS]->null_count, 0);
    assert_int_equal(array.children[RUNS]->n_buffers, 0);
    array.release(&array);
    fc_frame_release(part);
    memory_release(memory);
}

static void a_frame_without_rows_is_one_empty_batch(void **state) {
    (void)state;
    memory_frame *memory = everything(0, false);
    struct ArrowArrayStream stream;
    struct ArrowArray array;

    memory_frame *back = through_stream(memory->frame, NULL, 0);
    expect_same(back->frame, memory->frame);
    memory_release(back);
    assert_int_equal(fc_frame_export_stream(memory->frame, NULL, 7, &stream, NULL), 0);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_non_null(array.release);
    assert_int_equal(array.length, 0);
    array.release(&array);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_null(array.release);
    stream.release(&stream);
    memory_release(memory);
}

static void batches_have_the_rows_asked_for(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    static const int64_t expected[] = {64, 64, 22};
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    fc_error error;

    assert_int_equal(fc_frame_export_stream(memory->frame, NULL, -1, &stream, &error),
                     FC_E_INVALID);
    assert_null(stream.release);
    assert_int_equal(fc_frame_export_stream(memory->frame, NULL, 64, &stream, &error), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stream.get_next(&stream, &array), 0);
        assert_int_equal(array.length, expected[i]);
        assert_int_equal(array.children[0]->offset, i * 64);
        array.release(&array);
    }
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_null(array.release);
    assert_null(stream.get_last_error(&stream));
    stream.release(&stream);
    memory_release(memory);
}

/* ---- Schemas ---- */

static void a_schema_tells_fields_as_stored_and_outlives_the_frame(void **state) {
    (void)state;
    static const char metadata[] = "\1\0\0\0\3\0\0\0key\5\0\0\0value";
    memory_frame *memory = memory_new();
    struct ArrowSchema *given = everything_schema(), schema;
    fc__ground ground = memory_ground(memory);
    fc_build *build;

    given->metadata = given->children[4]->metadata = metadata;
    given->children[4]->flags = 0;
    given->children[12]->flags |= ARROW_FLAG_MAP_KEYS_SORTED;
    assert_int_equal(fc__build_new(&build, given, 0, &ground, NULL, NULL), 0);
    memory_commit(memory, build, 0, false);
    schema_free(given);
    assert_int_equal(fc_frame_export_schema(memory->frame, &schema, NULL), 0);
    memory_release(memory);
    assert_int_equal(memory_alive, 0);

    assert_string_equal(schema.format, "+s");
    assert_int_equal(schema.n_children, 17);
    assert_memory_equal(schema.metadata, metadata, sizeof metadata - 1);
    assert_memory_equal(schema.children[4]->metadata, metadata, sizeof metadata - 1);
    assert_null(schema.children[5]->metadata);
    assert_int_equal(schema.children[4]->flags, 0);
    assert_int_equal(schema.children[5]->flags, ARROW_FLAG_NULLABLE);
    assert_true(schema.children[12]->flags & ARROW_FLAG_MAP_KEYS_SORTED);
    assert_string_equal(schema.children[4]->format, "U");
    assert_string_equal(schema.children[6]->format, "tsu:Europe/Paris");
    assert_string_equal(schema.children[9]->format, "+L");
    assert_string_equal(schema.children[9]->children[0]->name, "item");
    assert_string_equal(schema.children[9]->children[0]->format, "U");
    assert_string_equal(schema.children[14]->format, "+ud:0,7");
    assert_string_equal(schema.children[16]->format, "c");
    assert_string_equal(schema.children[16]->dictionary->format, "U");
    schema.release(&schema);
    assert_null(schema.release);
}

static void a_child_of_a_schema_may_be_moved_out(void **state) {
    (void)state;
    memory_frame *memory = everything(3, false);
    struct ArrowSchema schema, child, values;

    assert_int_equal(fc_frame_export_schema(memory->frame, &schema, NULL), 0);
    child = *schema.children[11];
    schema.children[11]->release = NULL;
    values = *schema.children[16]->dictionary;
    schema.children[16]->dictionary->release = NULL;
    schema.release(&schema);
    memory_release(memory);
    assert_string_equal(child.children[1]->name, "b");
    assert_string_equal(values.format, "U");
    child.release(&child);
    values.release(&values);
}

/* ---- Lifetimes ---- */

static void children_moved_out_keep_the_frame(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    struct ArrowArray array, list, items, values;

    assert_int_equal(fc_frame_export_array(memory->frame, NULL, &array, NULL), 0);
    list = *array.children[9];
    array.children[9]->release = NULL;
    items = *list.children[0];
    list.children[0]->release = NULL;
    values = *array.children[16]->dictionary;
    array.children[16]->dictionary->release = NULL;
    memory_release(memory);
    array.release(&array);
    assert_null(array.release);
    list.release(&list);
    assert_int_equal(memory_alive, 1);
    assert_memory_equal((const char *)items.buffers[2] + ((int64_t *)items.buffers[1])[1],
                        "a1", 2);
    items.release(&items);
    assert_int_equal(memory_alive, 1);
    assert_memory_equal(values.buffers[2], "key 0key 1", 10);
    values.release(&values);
    assert_int_equal(memory_alive, 0);
}

static void a_batch_outlives_its_stream_and_a_stream_its_frame(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    struct ArrowArrayStream stream;
    struct ArrowArray first, second;
    struct ArrowSchema schema;

    assert_int_equal(fc_frame_export_stream(memory->frame, NULL, 100, &stream, NULL), 0);
    memory_release(memory);
    assert_int_equal(stream.get_next(&stream, &first), 0);
    assert_int_equal(stream.get_next(&stream, &second), 0);
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    stream.release(&stream);
    assert_null(stream.release);
    first.release(&first);
    assert_int_equal(memory_alive, 1);
    assert_int_equal(((const int64_t *)second.children[2]->buffers[1])[120], 120 * 120);
    second.release(&second);
    assert_int_equal(memory_alive, 0);
    assert_string_equal(schema.children[0]->name, "bool");
    schema.release(&schema);
}

static void *release_child(void *argument) {
    struct ArrowArray *array = argument;
    array->release(array);
    return NULL;
}

static void children_may_be_released_by_different_threads(void **state) {
    (void)state;
    for (int round = 0; round < 30; round++) {
        memory_frame *memory = everything(20, false);
        struct ArrowArray array, moved[17];
        pthread_t threads[17];

        assert_int_equal(fc_frame_export_array(memory->frame, NULL, &array, NULL), 0);
        for (int i = 0; i < 17; i++) {
            moved[i] = *array.children[i];
            array.children[i]->release = NULL;
        }
        memory_release(memory);
        for (int i = 0; i < 17; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, release_child, &moved[i]),
                             0);
        array.release(&array);
        for (int i = 0; i < 17; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(memory_alive, 0);
    }
}

/* ---- Casts ---- */

/* Every string, binary and list of a schema as another of its forms. */
static void change_forms(struct ArrowSchema *schema, const char *string,
                         const char *binary, const char *list) {
    if (!strcmp(schema->format, "u"))
        schema->format = string;
    if (!strcmp(schema->format, "z"))
        schema->format = binary;
    if (!strcmp(schema->format, "+l"))
        schema->format = list;
    for (int64_t i = 0; i < schema->n_children; i++)
        change_forms(schema->children[i], string, binary, list);
    if (schema->dictionary)
        change_forms(schema->dictionary, string, binary, list);
}

static void expect_cast(memory_frame *memory, const char *string, const char *binary,
                        const char *list) {
    static const int64_t firsts[] = {0, 1, 63, 64, 70};
    struct ArrowSchema *requested = everything_schema();

    change_forms(requested, string, binary, list);
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        for (int64_t batch_rows = 0; batch_rows < 40; batch_rows += 21) {
            fc_frame *part = slice(memory->frame, firsts[i], 75);
            memory_frame *back = through_stream(part, requested, batch_rows);
            expect_same(back->frame, part);
            memory_release(back);
            fc_frame_release(part);
        }
    schema_free(requested);
}

static void a_cast_of_every_form_reads_back_equal(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);

    expect_cast(memory, "u", "z", "+l");
    expect_cast(memory, "vu", "vz", "+vl");
    expect_cast(memory, "u", "vz", "+L");
    expect_cast(memory, "vu", "Z", "+vL");
    expect_cast(memory, "U", "Z", "+l");
    memory_release(memory);
}

static void a_cast_stream_tells_the_schema_asked_for(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    struct ArrowSchema *requested = everything_schema(), schema;
    struct ArrowArrayStream stream;
    struct ArrowArray array;

    requested->children[9]->children[0]->format = "vu";
    requested->children[5]->format = "Z";
    assert_int_equal(fc_frame_export_stream(memory->frame, requested, 0, &stream, NULL),
                     0);
    schema_free(requested);
    assert_int_equal(stream.get_schema(&stream, &schema), 0);
    assert_string_equal(schema.children[4]->format, "u");
    assert_string_equal(schema.children[5]->format, "Z");
    assert_string_equal(schema.children[9]->format, "+l");
    assert_string_equal(schema.children[9]->children[0]->format, "vu");
    schema.release(&schema);
    assert_int_equal(stream.get_next(&stream, &array), 0);
    assert_ptr_equal(array.children[3]->buffers[1], column_at(memory->frame, 3)->values);
    assert_ptr_equal(array.children[5]->buffers[1], column_at(memory->frame, 5)->offsets);
    const int32_t *offsets = array.children[4]->buffers[1];
    assert_int_equal(offsets[0], 0);
    assert_int_equal(offsets[ROWS], column_at(memory->frame, 4)->offsets[ROWS]);
    stream.release(&stream);
    memory_release(memory);
    array.release(&array);
}

static void expect_refused(fc_frame *frame, struct ArrowSchema *requested, int code,
                           const char *text, const char *other) {
    struct ArrowArrayStream stream;
    struct ArrowArray array;
    fc_error error;

    assert_int_equal(fc_frame_export_array(frame, requested, &array, &error), code);
    assert_null(array.release);
    assert_int_equal(fc_frame_export_stream(frame, requested, 0, &stream, &error), code);
    assert_null(stream.release);
    if (!strstr(error.message, text) || !strstr(error.message, other))
        fail_msg("'%s' and '%s' not in: %s", text, other, error.message);
    schema_free(requested);
}

static void a_cast_that_there_is_not_names_column_and_formats(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    struct ArrowSchema *requested;

    requested = everything_schema();
    requested->children[2]->format = "i";
    expect_refused(memory->frame, requested, FC_E_TYPE, "'int64': stored as 'l'", "'i'");
    requested = everything_schema();
    requested->children[4]->format = "z";
    expect_refused(memory->frame, requested, FC_E_TYPE, "'text': stored as 'U'", "'z'");
    requested = everything_schema();
    requested->children[9]->children[0]->format = "l";
    expect_refused(memory->frame, requested, FC_E_TYPE, "'list.item': stored as 'U'",
                   "'l'");
    requested = everything_schema();
    requested->children[3]->name = "float";
    expect_refused(memory->frame, requested, FC_E_TYPE, "'double'", "'float'");
    requested = everything_schema();
    requested->children[11]->children[0]->name = "z";
    expect_refused(memory->frame, requested, FC_E_TYPE, "'struct.a'", "'z'");
    requested = everything_schema();
    requested->children[4]->format = "nonsense";
    expect_refused(memory->frame, requested, FC_E_INVALID, "requested", "nonsense");
    expect_refused(memory->frame, schema_of("l", "x", 0), FC_E_TYPE, "+s", "17");
    expect_refused(memory->frame, schema_of("+s", "", 1, schema_of("l", "x", 0)),
                   FC_E_TYPE, "+s", "17");
    memory_release(memory);
}

static void names_of_list_items_need_not_agree(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    struct ArrowSchema *requested = everything_schema();

    requested->children[9]->children[0]->name = "element";
    requested->children[12]->children[0]->name = "key_value";
    requested->children[12]->children[0]->children[0]->name = "keys";
    memory_frame *back = through_stream(memory->frame, requested, 0);
    expect_same(back->frame, memory->frame);
    memory_release(back);
    schema_free(requested);
    memory_release(memory);
}

#define LONG ((int64_t)INT32_MAX)

/* A frame of four strings: of 2^31 - 2 bytes, of 20, of 2^31 - 1, and a short one. Their
 * bytes are a mapping that nobody has written to, so they cost nothing. */
static memory_frame *long_strings(void) {
    static const int64_t offsets[] = {0, LONG - 1, LONG + 19, 2 * LONG + 19,
                                      2 * LONG + 22};
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("u", "text", 0));
    memory_frame *memory = memory_new();
    fc__ground ground = memory_ground(memory);
    fc_build *build;

    assert_int_equal(fc__build_new(&build, schema, 4, &ground, NULL, NULL), 0);
    schema_free(schema);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            fc_build_append(build, fc_build_column(build, 0), fc_str("x"), NULL), 0);
    memory_commit(memory, build, 4, false);
    memory->segment_count = 2;
    memory->segment_bytes[1] = (uint64_t)5 << 30;
    memory->segments[1] = mmap(NULL, memory->segment_bytes[1], PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory->segments[1] != MAP_FAILED);
    memcpy((char *)memory->segments[1] + LONG - 1, "this has twenty byte", 20);
    memcpy((char *)memory->segments[1] + 2 * LONG + 19, "end", 3);
    memcpy((void *)column_at(memory->frame, 0)->offsets, offsets, sizeof offsets);
    fc__body_header *header = memory->body;
    header->segment_count = 2;
    fc__body_buffer *bytes =
        (fc__body_buffer *)((char *)memory->body + header->buffers_offset) + 3;
    *bytes = (fc__body_buffer){.segment = 1, .bytes = 2 * (uint64_t)LONG + 22};
    fc__frame_free(memory->frame);
    assert_int_equal(memory_open(memory, NULL), 0);
    return memory;
}

static void free_long_strings(memory_frame *memory) {
    assert_int_equal(memory->references, 1);
    munmap(memory->segments[1], memory->segment_bytes[1]);
    memory->segments[1] = NULL;
    memory_release(memory);
}

static void offsets_that_32_bits_cannot_count_are_refused(void **state) {
    (void)state;
    memory_frame *memory = long_strings();
    struct ArrowSchema *requested = schema_of("+s", "", 1, schema_of("u", "text", 0));
    fc_frame *part = slice(memory->frame, 0, 2), *second = slice(memory->frame, 1, 1);
    struct ArrowArray array;
    fc_error error;

    assert_int_equal(fc_frame_export_array(part, requested, &array, &error), FC_E_TYPE);
    assert_non_null(strstr(error.message, "'text': stored as 'U'"));
    assert_int_equal(fc_frame_export_array(second, requested, &array, &error), 0);
    const int32_t *offsets = array.children[0]->buffers[1];
    int64_t row = array.children[0]->offset;
    assert_int_equal(offsets[row + 1] - offsets[row], 20);
    assert_memory_equal((const char *)array.children[0]->buffers[2] + offsets[row],
                        "this has twenty byte", 20);
    array.release(&array);
    fc_frame_release(part);
    fc_frame_release(second);
    schema_free(requested);
    free_long_strings(memory);
}

/* View: bytes, prefix, buffer, offset. */
static void expect_view(const struct ArrowArray *array, int64_t row, int32_t bytes,
                        int32_t buffer, int32_t offset) {
    const int32_t *view = (const int32_t *)array->buffers[1] + 4 * (array->offset + row);

    assert_int_equal(view[0], bytes);
    assert_int_equal(view[2], buffer);
    assert_int_equal(view[3], offset);
}

static void views_count_in_stretches_below_two_gigabytes(void **state) {
    (void)state;
    memory_frame *memory = long_strings();
    struct ArrowSchema *requested = schema_of("+s", "", 1, schema_of("vu", "text", 0));
    struct ArrowArray array;

    assert_int_equal(fc_frame_export_array(memory->frame, requested, &array, NULL), 0);
    const struct ArrowArray *text = array.children[0];
    assert_int_equal(text->n_buffers, 2 + 3 + 1);
    const int64_t *sizes = text->buffers[5];
    assert_int_equal(sizes[0], LONG - 1);
    assert_int_equal(sizes[1], 20);
    assert_int_equal(sizes[2], LONG);
    expect_view(text, 0, INT32_MAX - 1, 0, 0);
    expect_view(text, 1, 20, 1, 0);
    expect_view(text, 2, INT32_MAX, 2, 0);
    assert_memory_equal(text->buffers[3], "this has twenty byte", 20);
    assert_memory_equal((const char *)text->buffers[1] + 3 * 16,
                        "\3\0\0\0end\0\0\0\0\0\0\0\0", 16);
    array.release(&array);
    schema_free(requested);
    free_long_strings(memory);
}

/* ---- Out of memory ---- */

/* What a reader does, until something fails. */
static int read_it(fc_frame *frame, const struct ArrowSchema *requested,
                   fc_error *error) {
    struct ArrowArrayStream stream = {0};
    struct ArrowSchema schema = {0};
    struct ArrowArray array = {0};
    static const int64_t indices[] = {9, 15, 16, 11, 4};
    fc_frame *some = NULL, *part = NULL;
    const fc_column *column;
    int status;

    if ((status = fc_frame_select(frame, indices, 5, &some, error)) ||
        (status = fc_frame_slice(some, 3, 70, &part, error)) ||
        (status = fc_frame_column_at(part, 1, &column, error)) ||
        (status = fc_frame_column(frame, "coded", FC_TYPE_ANY, &column, error)) ||
        (status = fc_frame_export_schema(part, &schema, error)) ||
        (status = fc_frame_export_array(part, NULL, &array, error)) ||
        (status = fc_frame_export_stream(part, requested, 30, &stream, error)))
        goto out;
    schema.release(&schema);
    array.release(&array);
    if (stream.get_schema(&stream, &schema) || stream.get_next(&stream, &array)) {
        assert_non_null(stream.get_last_error(&stream));
        status = FC_E_NOMEM;
    }
out:
    if (schema.release)
        schema.release(&schema);
    if (array.release)
        array.release(&array);
    if (stream.release)
        stream.release(&stream);
    fc_frame_release(part);
    fc_frame_release(some);
    return status;
}

static void running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state) {
    (void)state;
    static const int64_t indices[] = {9, 15, 16, 11, 4};
    memory_frame *memory = everything(ROWS, false);
    struct ArrowSchema *all = everything_schema(), *requested = schema_of("+s", "", 0);
    int status = FC_E_NOMEM, failures = 0;

    change_forms(all, "vu", "vz", "+vl");
    free(requested->children);
    requested->children = calloc(5, sizeof(struct ArrowSchema *));
    for (requested->n_children = 0; requested->n_children < 5; requested->n_children++)
        requested->children[requested->n_children] =
            all->children[indices[requested->n_children]];
    for (long nth = 1; status; nth++, failures++) {
        fc_error error = {0};
        fc__frame_free(memory->frame); /* so that columns are decoded again */
        assert_int_equal(memory_open(memory, NULL), 0);
        fc__fault_set(FC__FAULT_ALLOC, nth);
        status = read_it(memory->frame, requested, &error);
        fc__fault_set(FC__FAULT_ALLOC, 0);
        assert_true(!status || status == FC_E_NOMEM);
        assert_int_equal(memory->references, 1);
    }
    assert_true(failures > 20);
    requested->n_children = 0;
    schema_free(requested);
    schema_free(all);
    memory_release(memory);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, nothing_lives)
    const struct CMUnitTest tests[] = {
        TEST(an_export_of_every_type_reads_back_equal),
        TEST(an_export_points_at_the_bytes_of_the_frame),
        TEST(a_frame_without_rows_is_one_empty_batch),
        TEST(batches_have_the_rows_asked_for),
        TEST(a_schema_tells_fields_as_stored_and_outlives_the_frame),
        TEST(a_child_of_a_schema_may_be_moved_out),
        TEST(children_moved_out_keep_the_frame),
        TEST(a_batch_outlives_its_stream_and_a_stream_its_frame),
        TEST(children_may_be_released_by_different_threads),
        TEST(a_cast_of_every_form_reads_back_equal),
        TEST(a_cast_stream_tells_the_schema_asked_for),
        TEST(a_cast_that_there_is_not_names_column_and_formats),
        TEST(names_of_list_items_need_not_agree),
        TEST(offsets_that_32_bits_cannot_count_are_refused),
        TEST(views_count_in_stretches_below_two_gigabytes),
        TEST(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
    };
#undef TEST
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
