/* Exports through the Arrow C data interface. What comes out is planned as a frame again
 * and compared row by row, so that every buffer, offset and child must be right. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
        TEST(running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
    };
#undef TEST
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
