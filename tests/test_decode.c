/* Reading bodies that lie: each field damaged in turn gives its error, and no damage of
 * any byte makes the reader read where it may not, which a sanitizer proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frames/body.h"
#include "fuzz/exercise.h"

#define ROWS 40

static int nothing_lives(void **state) {
    long alive = memory_alive;

    (void)state;
    memory_alive = 0; /* so that the next test is judged by itself */
    assert_int_equal(alive, 0);
    return 0;
}

static memory_frame *copy_of_frame(const memory_frame *from) {
    memory_frame *memory = memory_of(from->body, from->body_bytes, from->segments[0],
                                     from->segment_bytes[0]);
    memory->segment_count = from->segment_count;
    assert_int_equal(from->segment_count, 1);
    return memory;
}

/* ---- Any byte ---- */

static void open_and_exercise(memory_frame *memory, int64_t only) {
    if (!memory_open(memory, NULL))
        exercise_frame(memory->frame, only);
    memory_release(memory);
}

/* Which column a byte of the body belongs to is not known; so all are touched, and one
 * after the other gone into. */
static void no_byte_of_a_body_makes_the_reader_stumble(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, true);
    static const uint8_t flips[] = {0xff, 0x01, 0x80};

    for (uint64_t at = 0; at < whole->body_bytes; at++)
        for (size_t i = 0; i < sizeof flips; i++) {
            memory_frame *memory = copy_of_frame(whole);
            ((uint8_t *)memory->body)[at] ^= flips[i];
            open_and_exercise(memory, (int64_t)(at + i) % 17);
        }
    memory_release(whole);
}

static void no_number_in_a_body_makes_the_reader_stumble(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);
    static const uint64_t numbers[] = {
        0, 1, 64, UINT32_MAX, INT64_MAX, UINT64_MAX - 63, UINT64_MAX};

    for (uint64_t at = 0; at + 8 <= whole->body_bytes; at += 4)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            memory_frame *memory = copy_of_frame(whole);
            memcpy((char *)memory->body + at, &numbers[i], at % 8 ? 4 : 8);
            open_and_exercise(memory, (int64_t)(at / 4 + i) % 17);
        }
    memory_release(whole);
}

static void no_byte_of_a_segment_makes_the_reader_stumble(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, true);
    static const uint8_t flips[] = {0xff, 0x40};

    for (uint64_t at = 0; at < whole->segment_bytes[0]; at++)
        for (size_t i = 0; i < sizeof flips; i++) {
            memory_frame *memory = copy_of_frame(whole);
            ((uint8_t *)memory->segments[0])[at] ^= flips[i];
            assert_int_equal(memory_open(memory, NULL), 0);
            exercise_frame(memory->frame, (int64_t)(at + i) % 17);
            memory_release(memory);
        }
    memory_release(whole);
}

/* All columns extension types, of the other forms, to which every export casts. */
static memory_frame *everything_extended(const char *string, const char *binary,
                                         const char *list) {
    static const char name[] = "\1\0\0\0\x14\0\0\0ARROW:extension:name\1\0\0\0e";
    memory_frame *plain = everything(ROWS, false);
    struct ArrowSchema *schema = everything_schema();
    struct ArrowArray array;
    const struct ArrowArray *chunk = &array;

    change_forms(schema, string, binary, list);
    assert_int_equal(fc_frame_export_array(plain->frame, schema, &array, NULL), 0);
    for (int64_t i = 0; i < schema->n_children; i++)
        schema->children[i]->metadata = name;
    memory_frame *memory = memory_put(schema, &chunk, 1, false);
    array.release(&array);
    schema_free(schema);
    memory_release(plain);
    return memory;
}

static void no_byte_of_extension_types_makes_the_reader_stumble(void **state) {
    (void)state;
    static const char *const forms[][3] = {{"u", "vz", "+l"}, {"vu", "z", "+vL"}};

    for (size_t k = 0; k < 2; k++) {
        memory_frame *whole =
            everything_extended(forms[k][0], forms[k][1], forms[k][2]);
        for (uint64_t at = k; at < whole->body_bytes + whole->segment_bytes[0]; at += 5) {
            memory_frame *memory = copy_of_frame(whole);
            bool in_body = at < whole->body_bytes;
            uint8_t *bytes = in_body ? memory->body : memory->segments[0];
            bytes[in_body ? at : at - whole->body_bytes] ^= at & 4 ? 0xff : 0x40;
            open_and_exercise(memory, (int64_t)at % 17);
        }
        memory_release(whole);
    }
}

static void a_body_cut_short_anywhere_is_refused(void **state) {
    (void)state;
    memory_frame *whole = everything(3, false);
    fc_error error;

    for (uint64_t bytes = 0; bytes < whole->body_bytes; bytes++) {
        memory_frame *memory = memory_of(whole->body, bytes, "", 0);
        assert_int_equal(memory_open(memory, &error), FC_E_CORRUPT);
        assert_null(memory->frame);
        memory_release(memory);
    }
    memory_release(whole);
}

/* ---- The header ---- */

static void expect_open(const memory_frame *whole, size_t at, size_t bytes,
                        uint64_t value, int code, const char *text) {
    memory_frame *memory = copy_of_frame(whole);
    fc_error error;

    memcpy((char *)memory->body + at, &value, bytes);
    assert_int_equal(memory_open(memory, &error), code);
    if (!strstr(error.message, text))
        fail_msg("'%s' not in: %s", text, error.message);
    memory_release(memory);
}

#define EXPECT_HEADER(field, value, code, text)                                          \
    expect_open(whole, offsetof(fc__body_header, field),                                 \
                sizeof((fc__body_header *)0)->field, (uint64_t)(value), code, text)

static void each_field_of_the_header_is_checked(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);

    EXPECT_HEADER(magic, 0, FC_E_CORRUPT, "magic");
    EXPECT_HEADER(version, FC__BODY_VERSION + 1, FC_E_VERSION, "update framecache");
    EXPECT_HEADER(version, 0, FC_E_CORRUPT, "header");
    EXPECT_HEADER(body_bytes, whole->body_bytes + 8, FC_E_CORRUPT, "header");
    EXPECT_HEADER(rows, -1, FC_E_CORRUPT, "header");
    EXPECT_HEADER(rows, ROWS + 1, FC_E_CORRUPT, "root");
    EXPECT_HEADER(segment_count, 2, FC_E_CORRUPT, "header");
    EXPECT_HEADER(node_count, 0, FC_E_CORRUPT, "header");
    EXPECT_HEADER(node_count, 1, FC_E_CORRUPT, "root");
    EXPECT_HEADER(node_count, UINT32_MAX, FC_E_CORRUPT, "tables");
    EXPECT_HEADER(buffer_count, UINT32_MAX, FC_E_CORRUPT, "tables");
    EXPECT_HEADER(nodes_offset, 76, FC_E_CORRUPT, "tables");
    EXPECT_HEADER(nodes_offset, whole->body_bytes, FC_E_CORRUPT, "tables");
    EXPECT_HEADER(buffers_offset, whole->body_bytes, FC_E_CORRUPT, "tables");
    EXPECT_HEADER(strings_offset, UINT64_MAX, FC_E_CORRUPT, "tables");
    EXPECT_HEADER(strings_bytes, UINT64_MAX, FC_E_CORRUPT, "tables");
    memory_release(whole);
}

/* ---- Nodes and buffers ---- */

static fc__body_node *node_of(memory_frame *memory, uint32_t index) {
    const fc__body_header *header = memory->body;
    return (fc__body_node *)((char *)memory->body + header->nodes_offset) + index;
}

static fc__body_node *column_of(memory_frame *memory, int64_t column) {
    return node_of(memory, (uint32_t)(1 + column));
}

static fc__body_buffer *buffer_of(memory_frame *memory, const fc__body_node *node,
                                  uint32_t index) {
    const fc__body_header *header = memory->body;
    return (fc__body_buffer *)((char *)memory->body + header->buffers_offset) +
           node->first_buffer + index;
}

/* Asking for the column fails so; it consumes the frame. */
static void expect_corrupt(memory_frame *memory, int64_t column, const char *text) {
    const fc_column *out;
    struct ArrowArray array;
    fc_error error;

    assert_int_equal(memory_open(memory, NULL), 0);
    assert_int_equal(fc_frame_column_at(memory->frame, column, &out, &error),
                     FC_E_CORRUPT);
    assert_null(out);
    if (!strstr(error.message, text) || !strstr(error.message, "damaged"))
        fail_msg("'%s' not in: %s", text, error.message);
    char number[32];
    snprintf(number, sizeof number, "(number %lld)", (long long)column);
    assert_non_null(strstr(error.message, number));
    assert_int_equal(fc_frame_export_array(memory->frame, NULL, &array, &error),
                     FC_E_CORRUPT);
    assert_null(array.release);
    assert_int_equal(fc__frame_verify(memory->frame, &error), FC_E_CORRUPT);
    memory_release(memory);
}

/* One change to a node of column `column`, on a copy. */
#define EXPECT_NODE(column, change, text)                                                \
    do {                                                                                 \
        memory_frame *memory = copy_of_frame(whole);                                     \
        fc__body_node *node = column_of(memory, column);                                 \
        (void)node;                                                                      \
        change;                                                                          \
        expect_corrupt(memory, column, text);                                            \
    } while (0)

static void each_field_of_a_node_is_checked(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);

    EXPECT_NODE(2, node->name = UINT32_MAX, "'?'");
    EXPECT_NODE(2, node->name_bytes = 1, "'?'"); /* no NUL behind */
    EXPECT_NODE(2, node->format_bytes = UINT32_MAX, "'int64'");
    EXPECT_NODE(2, node->metadata = 0, "metadata");
    EXPECT_NODE(2, node->type = FC_TYPE_FLOAT64, "format 'l' contradicts its type");
    EXPECT_NODE(2, node->type = 999, "contradicts");
    EXPECT_NODE(2, node->child_count = 1, "tree"); /* child 0, before it */
    EXPECT_NODE(2, node->dictionary = 20, "contradicts");
    EXPECT_NODE(9, node->first_child = 10, "tree"); /* before it: a cycle */
    EXPECT_NODE(9, node->first_child = UINT32_MAX, "tree");
    EXPECT_NODE(16, node->dictionary = 17, "tree"); /* itself */
    EXPECT_NODE(2, node->buffer_count = 3, "buffers of its type");
    EXPECT_NODE(2, node->first_buffer = UINT32_MAX, "buffers lie outside");
    EXPECT_NODE(2, node->length = ROWS - 1, "rows of its table");
    EXPECT_NODE(2, node->length = -1, "rows and nulls");
    EXPECT_NODE(2, node->null_count = ROWS + 1, "rows and nulls");
    EXPECT_NODE(3, node->null_count = 1, "validity is too short");
    memory_release(whole);
}

static void each_field_of_a_buffer_is_checked(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);

    EXPECT_NODE(3, buffer_of(memory, node, 1)->segment = 1, "segment that there is not");
    EXPECT_NODE(3, buffer_of(memory, node, 1)->segment = FC__NONE, "no segment");
    EXPECT_NODE(3, buffer_of(memory, node, 1)->offset += 8, "not aligned");
    EXPECT_NODE(3, buffer_of(memory, node, 1)->offset = whole->segment_bytes[0],
                "pass the end");
    EXPECT_NODE(3, buffer_of(memory, node, 1)->offset = UINT64_MAX - 63, "pass the end");
    EXPECT_NODE(3, buffer_of(memory, node, 1)->bytes = UINT64_MAX, "pass the end");
    EXPECT_NODE(3, buffer_of(memory, node, 1)->bytes = ROWS * 8 - 1, "too short");
    EXPECT_NODE(2, buffer_of(memory, node, 0)->bytes = ROWS / 8 - 1,
                "validity is too short");
    EXPECT_NODE(0, buffer_of(memory, node, 1)->bytes = ROWS / 8 - 1, "too short");
    EXPECT_NODE(4, buffer_of(memory, node, 1)->bytes = ROWS * 8, "too short");
    EXPECT_NODE(4, buffer_of(memory, node, 2)->bytes -= 1, "too short");
    EXPECT_NODE(12, buffer_of(memory, node, 1)->bytes = ROWS * 4, "too short");
    EXPECT_NODE(13, buffer_of(memory, node, 0)->bytes = ROWS - 1, "too short");
    EXPECT_NODE(14, buffer_of(memory, node, 1)->bytes = ROWS * 4 - 1, "too short");
    memory_release(whole);
}

static void children_are_checked_against_their_parent(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);
#define CHILD(index) node_of(memory, node->first_child + (index))

    EXPECT_NODE(9, CHILD(0)->length -= 1, "rows of its child");
    EXPECT_NODE(10, CHILD(0)->length -= 1, "too few rows");
    EXPECT_NODE(11, CHILD(0)->length -= 1, "fewer rows");
    EXPECT_NODE(12, CHILD(0)->length -= 1, "rows of its child");
    EXPECT_NODE(13, CHILD(1)->length -= 1, "fewer rows");
    EXPECT_NODE(15, CHILD(0)->length -= 1, "ends before its last row");
    EXPECT_NODE(15, CHILD(1)->length -= 1, "more rows than its values");
    EXPECT_NODE(15, CHILD(0)->type = FC_TYPE_UINT16;
                ((char *)memory->body)[((fc__body_header *)memory->body)->strings_offset +
                                       CHILD(0)->format] = 'S',
                "run ends are no integers");
#undef CHILD
    memory_release(whole);
}

/* ---- The segment ---- */

static void offsets_are_checked_at_their_ends_and_verified_between(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);
    const fc_column *column;
    fc_error error;

    for (int at = 0; at <= ROWS; at += ROWS / 2) {
        memory_frame *memory = copy_of_frame(whole);
        const fc__body_buffer *offsets = buffer_of(memory, column_of(memory, 4), 1);
        int64_t wrong = at ? (at < ROWS ? 0 : 1 << 20) : -1;
        memcpy((char *)memory->segments[0] + offsets->offset + 8 * at, &wrong, 8);
        assert_int_equal(memory_open(memory, NULL), 0);
        int status = fc_frame_column_at(memory->frame, 4, &column, &error);
        assert_int_equal(status, at == ROWS / 2 ? 0 : FC_E_CORRUPT);
        assert_int_equal(fc__frame_verify(memory->frame, &error), FC_E_CORRUPT);
        assert_non_null(strstr(error.message, "'text'"));
        memory_release(memory);
    }
    memory_release(whole);
}

/* Sets one value in a buffer of a column; verify says so. */
static void expect_verify(const memory_frame *whole, int64_t column, bool child,
                          uint32_t buffer, uint64_t at, uint8_t value, const char *text) {
    memory_frame *memory = copy_of_frame(whole);
    const fc__body_node *node = column_of(memory, column);
    fc_error error;

    if (child)
        node = node_of(memory, node->first_child);
    ((uint8_t *)memory->segments[0])[buffer_of(memory, node, buffer)->offset + at] =
        value;
    assert_int_equal(memory_open(memory, NULL), 0);
    assert_int_equal(fc__frame_verify(memory->frame, &error), FC_E_CORRUPT);
    if (!strstr(error.message, text))
        fail_msg("'%s' not in: %s", text, error.message);
    memory_release(memory);
}

static void verify_finds_what_decoding_leaves_out(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, false);

    expect_verify(whole, 2, false, 0, 0, 0, "null count");
    expect_verify(whole, 12, false, 1, 8, 0xff, "backward");
    expect_verify(whole, 13, false, 0, 3, 4, "type id");
    expect_verify(whole, 13, false, 0, 3, 0xff, "type id");
    expect_verify(whole, 14, false, 1, 4, 0xff, "offset passes");
    expect_verify(whole, 15, true, 1, 2, 1, "do not grow");
    expect_verify(whole, 16, false, 1, 1, 5, "none of its dictionary");
    expect_verify(whole, 16, false, 1, 1, 0xff, "none of its dictionary");
    expect_verify(whole, 3, false, 1, ROWS * 8 + 5, 1, "padding");
    memory_release(whole);
}

static void verify_finds_a_node_that_hangs_in_the_frame_twice(void **state) {
    (void)state;
    memory_frame *memory = everything(ROWS, false);
    fc_error error;

    column_of(memory, 11)->first_child = column_of(memory, 13)->first_child;
    fc__frame_free(memory->frame);
    assert_int_equal(memory_open(memory, NULL), 0);
    assert_int_equal(fc__frame_verify(memory->frame, &error), FC_E_CORRUPT);
    assert_non_null(strstr(error.message, "twice"));
    memory_release(memory);
}

/* ---- Checksums ---- */

static void a_checksum_that_differs_is_found_at_first_use_if_so_asked(void **state) {
    (void)state;
    memory_frame *whole = everything(ROWS, true);
    const fc_column *column;
    fc_error error;

    for (int verify = 0; verify < 2; verify++) {
        memory_frame *memory = copy_of_frame(whole);
        const fc__body_buffer *values = buffer_of(memory, column_of(memory, 3), 1);
        ((uint8_t *)memory->segments[0])[values->offset + 17] ^= 1;
        memory->verify = verify;
        assert_int_equal(memory_open(memory, NULL), 0);
        assert_int_equal(fc_frame_column_at(memory->frame, 2, &column, &error), 0);
        int status = fc_frame_column_at(memory->frame, 3, &column, &error);
        assert_int_equal(status, verify ? FC_E_CORRUPT : 0);
        if (verify)
            assert_non_null(strstr(error.message, "'double'"));
        assert_int_equal(fc__frame_verify(memory->frame, &error), FC_E_CORRUPT);
        assert_non_null(strstr(error.message, "checksum"));
        memory_release(memory);
    }
    memory_release(whole);
}

/* ---- Depth ---- */

static memory_frame *nested(int depth) {
    struct ArrowSchema *schema = schema_of("l", "x", 0);
    memory_frame *memory = memory_new();
    fc__ground ground = memory_ground(memory);
    fc_build *build;

    for (int i = 1; i < depth; i++)
        schema = schema_of("+s", "x", 1, schema);
    schema = schema_of("+s", "", 1, schema);
    assert_int_equal(fc__build_new(&build, schema, 0, &ground, NULL, NULL), 0);
    schema_free(schema);
    return memory_commit(memory, build, 0, false);
}

static void sixty_four_levels_work_and_one_more_is_refused(void **state) {
    (void)state;
    memory_frame *memory = nested(FC__MAX_DEPTH);
    const fc_column *column;
    int depth = 1;

    assert_int_equal(fc_frame_column_at(memory->frame, 0, &column, NULL), 0);
    for (; column->child_count; column = column->children[0])
        depth++;
    assert_int_equal(depth, FC__MAX_DEPTH);

    /* The innermost becomes a struct around one node more, for which room is made. */
    fc__body_header *header = memory->body;
    fc__body_node *last = node_of(memory, FC__MAX_DEPTH);
    uint64_t bytes = memory->body_bytes + sizeof *last;
    char *body = calloc(1, bytes);
    uint64_t nodes_end = header->nodes_offset + header->node_count * sizeof *last;
    memcpy(body, memory->body, nodes_end);
    memcpy(body + nodes_end + sizeof *last, (char *)memory->body + nodes_end,
           memory->body_bytes - nodes_end);
    fc__body_header *new_header = (fc__body_header *)body;
    fc__body_node *nodes = (fc__body_node *)(body + header->nodes_offset);
    nodes[FC__MAX_DEPTH + 1] = *last;
    nodes[FC__MAX_DEPTH] = nodes[FC__MAX_DEPTH - 1];
    nodes[FC__MAX_DEPTH].first_child = FC__MAX_DEPTH + 1;
    new_header->node_count++;
    new_header->body_bytes = bytes;
    new_header->buffers_offset += (uint32_t)sizeof *last;
    new_header->strings_offset += sizeof *last;
    free(memory->body);
    memory->body = body;
    memory->body_bytes = bytes;
    fc__frame_free(memory->frame);
    expect_corrupt(memory, 0, "tree of at most 64 levels");
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, nothing_lives)
    const struct CMUnitTest tests[] = {
        TEST(no_byte_of_a_body_makes_the_reader_stumble),
        TEST(no_number_in_a_body_makes_the_reader_stumble),
        TEST(no_byte_of_a_segment_makes_the_reader_stumble),
        TEST(no_byte_of_extension_types_makes_the_reader_stumble),
        TEST(a_body_cut_short_anywhere_is_refused),
        TEST(each_field_of_the_header_is_checked),
        TEST(each_field_of_a_node_is_checked),
        TEST(each_field_of_a_buffer_is_checked),
        TEST(children_are_checked_against_their_parent),
        TEST(offsets_are_checked_at_their_ends_and_verified_between),
        TEST(verify_finds_what_decoding_leaves_out),
        TEST(verify_finds_a_node_that_hangs_in_the_frame_twice),
        TEST(a_checksum_that_differs_is_found_at_first_use_if_so_asked),
        TEST(sixty_four_levels_work_and_one_more_is_refused),
    };
#undef TEST
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
