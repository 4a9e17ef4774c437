/* Plans of streams: who owns the chunks, streams that fail, and memory that ends at any
 * point. */
#include "support_array.h"
#include "support_frame.h"

#include "frames/plan.h"
#include "src/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int plan_chunks(int count, int fail_at, fc__plan **plan, fc_error *error) {
    struct ArrowSchema *schema = schema_of("i", "x", 0);
    struct ArrowArray *chunks[8];
    struct ArrowArrayStream stream;

    for (int i = 0; i < count; i++)
        chunks[i] = ARRAY(2, NO_BUFFER, BUFFER(int32_t, 2 * i, 2 * i + 1));
    stream_of(&stream, schema, count, chunks, fail_at);
    int code = fc__plan_stream(plan, &stream, false, error);
    assert_null(stream.release);
    schema_free(schema); /* the plan has its own */
    return code;
}

static void a_plan_owns_the_chunks_of_its_stream(void **state) {
    fc__plan *plan;
    const fc_column *column;

    (void)state;
    assert_int_equal(plan_chunks(7, 0, &plan, NULL), 0);
    assert_int_equal(arrays_alive, 7);
    memory_frame *memory = memory_new();
    memory_write(memory, plan);
    fc__plan_free(plan);
    assert_int_equal(arrays_alive, 0);
    assert_int_equal(memory_open(memory, NULL), 0);
    assert_int_equal(fc_frame_column_at(memory->frame, 0, &column, NULL), 0);
    assert_int_equal(column->rows, 14);
    assert_int_equal(((const int32_t *)column->values)[13], 13);
    memory_release(memory);
}

static void a_stream_of_nothing_is_zero_rows(void **state) {
    fc__plan *plan;

    (void)state;
    assert_int_equal(plan_chunks(0, 0, &plan, NULL), 0);
    assert_int_equal(fc__plan_layout(plan)->rows, 0);
    assert_int_equal(fc__plan_layout(plan)->columns, 1);
    fc__plan_free(plan);
}

static void a_stream_that_fails_midway_says_why_and_is_released(void **state) {
    fc__plan *plan;
    fc_error error = {0};

    (void)state;
    assert_int_equal(plan_chunks(5, 3, &plan, &error), FC_E_INVALID);
    assert_null(plan);
    assert_int_equal(arrays_alive, 0);
    assert_int_equal(error.sys_errno, EIO);
    assert_non_null(strstr(error.message, "the disk is on fire"));
    assert_non_null(strstr(error.message, "next batch"));
}

static int refuse_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    (void)stream;
    (void)out;
    return ENOMEM;
}

static void a_stream_without_a_schema_is_released(void **state) {
    struct ArrowArrayStream stream;
    struct ArrowSchema *schema = schema_of("i", "x", 0);
    fc__plan *plan;
    fc_error error = {0};

    (void)state;
    stream_of(&stream, schema, 0, NULL, 0);
    stream.get_schema = refuse_schema;
    assert_int_equal(fc__plan_stream(&plan, &stream, false, &error), FC_E_NOMEM);
    assert_null(stream.release);
    assert_non_null(strstr(error.message, "schema"));
    assert_int_equal(fc__plan_stream(&plan, &stream, false, &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "released"));
    schema_free(schema);
}

/* ---- Out of memory ---- */

static struct ArrowArray *coded_chunk(int64_t first) {
    return array_with(ARRAY(2, NO_BUFFER), 2,
                      array_coded(ARRAY(2, NO_BUFFER, BUFFER(int8_t, 1, 0)),
                                  ARRAY(2, NO_BUFFER, BUFFER(int64_t, first, first + 1))),
                      ARRAY(2, NO_BUFFER, BUFFER(int32_t, 0, 1, 3), TEXT("abc")));
}

static int plan_coded_stream(fc__plan **plan, fc_error *error) {
    struct ArrowSchema *schema =
        schema_of("+s", "", 2, schema_dictionary("c", "d", schema_of("l", "", 0)),
                  schema_of("u", "t", 0));
    struct ArrowArray *chunks[] = {coded_chunk(0), coded_chunk(1), coded_chunk(2)};
    struct ArrowArrayStream stream;

    stream_of(&stream, schema, 3, chunks, 0);
    int code = fc__plan_stream(plan, &stream, true, error);
    schema_free(schema);
    return code;
}

static void each_allocation_may_fail_and_nothing_leaks(void **state) {
    fc__plan *plan;
    fc_error error;
    long n = 1;

    (void)state;
    for (;; n++) {
        fc__fault_set(FC__FAULT_ALLOC, n);
        int code = plan_coded_stream(&plan, &error);
        fc__fault_set(FC__FAULT_ALLOC, 0);
        if (!code)
            break;
        assert_int_equal(code, FC_E_NOMEM);
        assert_null(plan);
        assert_int_equal(arrays_alive, 0);
    }
    assert_in_range(n, 4, 100);
    fc__plan_free(plan);
    assert_int_equal(arrays_alive, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_owns_the_chunks_of_its_stream),
        cmocka_unit_test(a_stream_of_nothing_is_zero_rows),
        cmocka_unit_test(a_stream_that_fails_midway_says_why_and_is_released),
        cmocka_unit_test(a_stream_without_a_schema_is_released),
        cmocka_unit_test(each_allocation_may_fail_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
