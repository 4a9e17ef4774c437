/* Casts on the way out, into the forms that strings, binaries and lists came in. What
 * comes out is planned as a frame again and compared row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "frames/body.h"
#include "support_frame.h"

#define ROWS 150

static int nothing_lives(void **state) {
    long alive = memory_alive;

    (void)state;
    memory_alive = 0; /* so that the next test is judged by itself */
    assert_int_equal(alive, 0);
    return 0;
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

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, nothing_lives)
    const struct CMUnitTest tests[] = {
        TEST(a_cast_of_every_form_reads_back_equal),
        TEST(a_cast_stream_tells_the_schema_asked_for),
        TEST(a_cast_that_there_is_not_names_column_and_formats),
        TEST(names_of_list_items_need_not_agree),
        TEST(offsets_that_32_bits_cannot_count_are_refused),
        TEST(views_count_in_stretches_below_two_gigabytes),
    };
#undef TEST
    return cmocka_run_group_tests_name("cast", tests, NULL, NULL);
}
