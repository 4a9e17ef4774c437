/* Plans: where buffers stand, which jobs write them and how, and what happens when the
 * sink fails. */
#include "support_array.h"
#include "support_frame.h"

#include "frames/body.h"
#include "frames/checksum.h"
#include "frames/plan.h"
#include "src/fault.h"
#include "src/status.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

/* Layouts are tested with fixed-size binaries: 1,024 rows, each column as wide as it
 * takes to have the size that is wanted. */
static struct ArrowSchema *wide_schema(int count) {
    struct ArrowSchema *schema = schema_of("+s", "", 0);

    free(schema->children);
    schema->n_children = count;
    schema->children = calloc((size_t)count, sizeof(struct ArrowSchema *));
    return schema;
}

static struct ArrowArray *filled(int64_t rows, size_t width) {
    size_t bytes = (size_t)rows * width;
    uint8_t *memory = malloc(bytes + 1);

    for (size_t i = 0; i < bytes; i++)
        memory[i] = (uint8_t)(i * 31 + i / 251);
    struct ArrowArray *array = ARRAY(rows, NO_BUFFER, ((array_buffer){memory, bytes}));
    free(memory);
    return array;
}

static fc__plan *plan_of(struct ArrowSchema *schema, const struct ArrowArray *chunk,
                         bool checksums) {
    fc__plan *plan;
    fc_error error;

    if (fc__plan_arrow(&plan, schema, &chunk, 1, checksums, &error))
        fail_msg("%s", error.message);
    return plan;
}

/* Columns of these widths, 1,024 rows each. */
static fc__plan *plan_widths(int count, const int *widths, struct ArrowSchema **schema,
                             struct ArrowArray **table, bool checksums) {
    static char formats[8][24];

    *schema = wide_schema(count);
    *table = array_new(1024, 1, &NO_BUFFER);
    (*table)->n_children = count;
    (*table)->children = calloc((size_t)count, sizeof(struct ArrowArray *));
    for (int i = 0; i < count; i++) {
        snprintf(formats[i], sizeof formats[i], "w:%d", widths[i]);
        (*schema)->children[i] = schema_of(formats[i], "", 0);
        (*table)->children[i] = filled(1024, (size_t)widths[i]);
    }
    return plan_of(*schema, *table, checksums);
}

static const fc__body_buffer *buffers_of(const void *body) {
    const fc__body_header *header = body;
    return (const void *)((const char *)body + header->buffers_offset);
}

static void *encoded(const fc__plan *plan) {
    void *body = malloc(fc__plan_layout(plan)->body_bytes);
    fc__plan_encode(plan, body);
    return body;
}

static void free_all(fc__plan *plan, struct ArrowSchema *schema,
                     struct ArrowArray *array) {
    fc__plan_free(plan);
    schema_free(schema);
    array_free(array);
    assert_int_equal(arrays_alive, 0);
}

/* ---- Layout ---- */

static void up_to_64_kib_stand_in_the_manifest(void **state) {
    /* 62 KiB and 832 bytes, each with 64 of padding, and no bitmap: 64 KiB */
    static const int fits[] = {62, 1}, larger[] = {63, 1};
    struct ArrowSchema *schema;
    struct ArrowArray *table;
    fc__plan *plan = plan_widths(2, fits, &schema, &table, false);

    (void)state;
    assert_true(fc__plan_layout(plan)->inlined);
    assert_int_equal(fc__plan_layout(plan)->segment_count, 1);
    assert_int_equal(fc__plan_layout(plan)->segment_bytes[0], 63 * 1024 + 2 * 64);
    assert_int_equal(fc__plan_job_count(plan), 1);
    free_all(plan, schema, table);
    plan = plan_widths(2, larger, &schema, &table, false);
    assert_false(fc__plan_layout(plan)->inlined);
    assert_int_equal(fc__plan_layout(plan)->segment_count, 1);
    free_all(plan, schema, table);
}

static void columns_of_a_mebibyte_own_a_segment(void **state) {
    static const int widths[] = {1, 1024, 65, 2, 1023};
    struct ArrowSchema *schema;
    struct ArrowArray *table;
    fc__plan *plan = plan_widths(5, widths, &schema, &table, false);
    const fc__layout *layout = fc__plan_layout(plan);
    void *body = encoded(plan);
    const fc__body_buffer *buffers = buffers_of(body) + 1; /* behind the root's */

    (void)state;
    assert_int_equal(layout->segment_count, 2);
    assert_int_equal(layout->segment_bytes[1], MIB + 64);
    assert_int_equal(buffers[3].segment, 1);
    assert_int_equal(buffers[3].offset, 0);
    assert_int_equal(buffers[1].segment, 0);
    assert_int_equal(buffers[5].segment, 0);
    assert_int_equal(buffers[5].offset % 4096, 0); /* 65 KiB begin on a page */
    assert_int_equal(buffers[7].offset, buffers[5].offset + 65 * 1024 + 64);
    assert_int_equal(buffers[9].offset % 4096, 0);
    for (int i = 0; i < 10; i += 2) { /* the bitmaps are not there */
        assert_int_equal(buffers[i].segment, FC__NONE);
        assert_int_equal(buffers[i].bytes, 0);
    }
    free(body);
    free_all(plan, schema, table);
}

static void a_lone_large_column_is_segment_0(void **state) {
    static const int widths[] = {2048};
    struct ArrowSchema *schema;
    struct ArrowArray *table;
    fc__plan *plan = plan_widths(1, widths, &schema, &table, false);

    (void)state;
    assert_int_equal(fc__plan_layout(plan)->segment_count, 1);
    assert_false(fc__plan_layout(plan)->inlined);
    free_all(plan, schema, table);
}

static void all_bytes_are_written_once_in_any_layout(void **state) {
    static const int widths[][5] = {
        {1, 1024, 65, 2, 1023}, {3, 1, 7, 4, 0}, {1500, 1400, 900, 70, 70}};

    (void)state;
    for (int i = 0; i < 3; i++)
        for (int checksums = 0; checksums < 2; checksums++) {
            struct ArrowSchema *schema;
            struct ArrowArray *table;
            fc__plan *plan = plan_widths(5, widths[i], &schema, &table, checksums);
            memory_frame *memory = memory_new();
            const fc_column *column;
            fc_error error;
            memory_write(memory, plan); /* asserts it */
            memory->verify = true;
            assert_int_equal(memory_open(memory, &error), 0);
            assert_int_equal(fc__frame_verify(memory->frame, &error), 0);
            for (int k = 0; k < 5; k++) {
                uint64_t bytes = 1024u * (unsigned)widths[i][k];
                assert_int_equal(fc_frame_column_at(memory->frame, k, &column, &error),
                                 0);
                assert_memory_equal(column->values, table->children[k]->buffers[1],
                                    bytes);
                for (int zero = 0; zero < 64; zero++)
                    assert_int_equal(((const char *)column->values)[bytes + zero], 0);
            }
            memory_release(memory);
            free_all(plan, schema, table);
        }
}

static void checksums_are_xxh3_of_the_bytes_alone(void **state) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("i", "x", 0));
    struct ArrowArray *table =
        array_with(ARRAY(3, NO_BUFFER), 1, ARRAY(3, NO_BUFFER, BUFFER(int32_t, 1, 2, 3)));
    fc__plan *plan = plan_of(schema, table, true);
    memory_frame *memory = memory_new();

    (void)state;
    memory_write(memory, plan);
    const fc__body_header *header = memory->body;
    const fc__body_buffer *buffers = buffers_of(memory->body);
    assert_int_equal(header->flags, FC__BODY_CHECKSUMS | FC__BODY_INLINE);
    assert_true(buffers[2].checksum ==
                fc__checksum(table->children[0]->buffers[1], 3 * sizeof(int32_t)));
    assert_true(buffers[1].checksum == fc__checksum("", 0));
    memory_release(memory);
    free_all(plan, schema, table);
}

/* ---- Jobs ---- */

typedef struct counted {
    uint64_t writes, bytes;
    const char *from, *to; /* the producer's memory */
    uint64_t direct;       /* bytes that came straight out of it */
    uint64_t fail_at;
} counted;

static int count_write(void *context, uint32_t segment, uint64_t offset, const void *data,
                       size_t bytes, fc_error *error) {
    counted *seen = context;

    (void)segment;
    (void)offset;
    if (++seen->writes == seen->fail_at)
        return fc__fail(error, FC_E_NOSPACE, "full");
    seen->bytes += bytes;
    if ((const char *)data >= seen->from && (const char *)data < seen->to)
        seen->direct += bytes;
    return 0;
}

static int run_all(fc__plan *plan, counted *seen, fc_error *error) {
    fc__sink sink = {seen, count_write, NULL};
    int code = 0;

    for (size_t i = 0; !code && i < fc__plan_job_count(plan); i++)
        code = fc__plan_run(plan, i, &sink, error);
    return code;
}

static void
big_buffers_go_straight_from_the_producer_in_page_aligned_parts(void **state) {
    int64_t rows = 20 * (int64_t)MIB + 77; /* 160 MiB of doubles */
    struct ArrowSchema *schema = schema_of("g", "x", 0);
    void *memory = calloc((size_t)rows, 8);
    const void *buffers[] = {NULL, memory};
    struct ArrowArray *none = ARRAY_BARE(rows);
    struct ArrowArray array = *none;
    counted seen = {.from = memory, .to = (char *)memory + rows * 8};

    (void)state;
    array.n_buffers = 2;
    array.buffers = buffers;
    fc__plan *plan = plan_of(schema, &array, false);
    assert_int_equal(fc__plan_job_count(plan), 3);
    uint64_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        const fc__job *job = fc__plan_job(plan, i);
        assert_true(job->plain);
        assert_int_equal(job->segment, 0);
        assert_int_equal(job->offset, at);
        assert_int_equal(job->offset % 4096, 0);
        at += job->bytes;
    }
    assert_int_equal(at, fc__plan_layout(plan)->segment_bytes[0]);
    assert_int_equal(run_all(plan, &seen, NULL), 0);
    assert_int_equal(seen.bytes, at);
    assert_true(seen.direct > seen.bytes - 8192);
    assert_int_equal(seen.writes, 4); /* one a part, and the tail with its padding */
    fc__plan_free(plan);
    plan = plan_of(schema, &array, true); /* a checksum needs all bytes in order */
    assert_int_equal(fc__plan_job_count(plan), 1);
    fc__plan_free(plan);
    free(memory);
    schema_free(schema);
    array_free(none);
}

static void conversions_divide_into_parts_that_agree(void **state) {
    int64_t rows = 9 * (int64_t)MIB + 5; /* 72 MiB of offsets from 36 */
    struct ArrowSchema *schema = schema_of("u", "x", 0);
    int32_t *offsets = malloc((size_t)(rows + 1) * sizeof *offsets);
    char *text = calloc((size_t)rows, 1);
    const void *buffers[] = {NULL, offsets, text};
    struct ArrowArray *none = ARRAY_BARE(rows - 1);
    struct ArrowArray array = *none;
    const struct ArrowArray *chunk = &array;
    const fc_column *column;
    fc_error error;

    (void)state;
    for (int64_t i = 0; i <= rows; i++)
        offsets[i] = (int32_t)i;
    array.n_buffers = 3;
    array.buffers = buffers;
    array.offset = 1;
    memory_frame *memory = memory_put(schema, &chunk, 1, false);
    assert_int_equal(fc_frame_column_at(memory->frame, 0, &column, &error), 0);
    for (int64_t i = 0; i < rows; i++)
        if (column->offsets[i] != i)
            fail_msg("offset %lld is %lld", (long long)i, (long long)column->offsets[i]);
    memory_release(memory);
    free(offsets);
    free(text);
    schema_free(schema);
    array_free(none);
}

/* ---- Parts ---- */

static struct ArrowSchema *divisible_schema(void) {
    return schema_of("+s", "", 6, schema_of("b", "bits", 0), schema_of("s", "numbers", 0),
                     schema_of("u", "text", 0),
                     schema_dictionary("c", "codes", schema_of("c", "", 0)),
                     schema_of("+ud:0", "dense", 1, schema_of("c", "a", 0)),
                     schema_of("+r", "runs", 2, schema_of("s", "run_ends", 0),
                               schema_of("c", "v", 0)));
}

enum { part_rows = 700 };

/* Rows of every kind that may be cut; `seed` makes the dictionaries differ. */
static struct ArrowArray *divisible_chunk(int seed) {
    static uint8_t bits[part_rows];
    static int8_t codes[part_rows], zeros[part_rows];
    static int16_t numbers[part_rows];
    static int32_t offsets[part_rows + 1], places[part_rows];
    const int rows = part_rows;

    for (int i = 0; i < rows; i++) {
        bits[i] = (uint8_t)(i * 91 + seed);
        codes[i] = (int8_t)((i + seed) % 3);
        numbers[i] = (int16_t)(i + 1);
        places[i] = (i * 7 + seed) % rows;
        offsets[i + 1] = offsets[i] + i % 2;
    }
#define ALL(array) ((array_buffer){array, sizeof array})
    struct ArrowArray *run_ends =
        array_with(ARRAY_BARE(rows), 2, ARRAY(rows, NO_BUFFER, ALL(numbers)),
                   ARRAY(rows, NO_BUFFER, ALL(codes)));
    struct ArrowArray *values =
        ARRAY(3, NO_BUFFER, BUFFER(int8_t, (int8_t)seed, (int8_t)(seed + 1), 77));
    return array_with(ARRAY(rows, NO_BUFFER), 6, ARRAY(rows, ALL(bits), ALL(bits)),
                      ARRAY(rows, NO_BUFFER, ALL(numbers)),
                      ARRAY(rows, NO_BUFFER, ALL(offsets), ALL(codes)),
                      array_coded(ARRAY(rows, NO_BUFFER, ALL(codes)), values),
                      array_with(ARRAY(rows, ALL(zeros), ALL(places)), 1,
                                 ARRAY(rows, NO_BUFFER, ALL(codes))),
                      run_ends);
#undef ALL
}

static int compare_write(void *context, uint32_t segment, uint64_t offset,
                         const void *data, size_t bytes, fc_error *error) {
    memory_frame *memory = context;

    if (!memcmp((const char *)memory->segments[segment] + offset, data, bytes))
        return 0;
    return fc__fail(error, FC_E_CORRUPT, "other bytes than before");
}

/* Each part of each buffer, as if jobs were cut there, against what whole jobs wrote. */
static void a_part_of_a_buffer_is_that_part_of_the_whole(void **state) {
    struct ArrowSchema *schema = divisible_schema();
    const struct ArrowArray *chunks[] = {array_slice(divisible_chunk(1), 3, 601),
                                         array_slice(divisible_chunk(2), 5, 77),
                                         array_slice(divisible_chunk(9), 0, 650)};
    memory_frame *memory = memory_new();
    fc__sink sink = {memory, compare_write, NULL};
    fc__plan *plan;

    (void)state;
    assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 3, false, NULL), 0);
    memory_write(memory, plan);
    for (uint32_t i = 0; i < plan->order_count; i++)
        for (uint64_t from = 0; from < plan->extents[i]; from += 64)
            for (uint64_t to = from + 64; to <= plan->extents[i]; to += 320) {
                const fc__body_buffer *buffer = &plan->buffers[plan->order[i]];
                plan->jobs[0] =
                    (fc__job){buffer->segment, buffer->offset + from, to - from, false};
                plan->tasks[0] = (fc__task){i, 1, from, to};
                assert_int_equal(fc__plan_run(plan, 0, &sink, NULL), 0);
            }
    memory_release(memory);
    fc__plan_free(plan);
    for (int i = 0; i < 3; i++)
        array_free((struct ArrowArray *)chunks[i]);
    schema_free(schema);
}

typedef struct shared_run {
    fc__plan *plan;
    memory_frame *memory;
    _Atomic size_t next;
    _Atomic int failed;
} shared_run;

static void *run_some(void *context) {
    shared_run *run = context;
    fc__sink sink = {run->memory, compare_write, NULL};
    size_t count = fc__plan_job_count(run->plan);

    for (size_t i = run->next++; i < count; i = run->next++)
        if (fc__plan_run(run->plan, count - 1 - i, &sink, NULL))
            run->failed = 1;
    return NULL;
}

static void several_threads_may_run_the_jobs_of_a_plan(void **state) {
    static const int widths[] = {1500, 1400, 900, 70, 1100, 1030};
    struct ArrowSchema *schema;
    struct ArrowArray *table;
    fc__plan *plan = plan_widths(6, widths, &schema, &table, true);
    memory_frame *memory = memory_new();
    shared_run run = {.plan = plan, .memory = memory};
    pthread_t threads[4];

    (void)state;
    memory_write(memory, plan);
    void *before = encoded(plan), *after;
    assert_true(fc__plan_job_count(plan) > 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_some, &run), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    after = encoded(plan);
    assert_int_equal(run.failed, 0);
    assert_memory_equal(before, after, fc__plan_layout(plan)->body_bytes);
    free(before);
    free(after);
    memory_release(memory);
    free_all(plan, schema, table);
}

static void a_failing_write_ends_the_job_with_its_error(void **state) {
    static const int widths[] = {1500, 70, 3};
    struct ArrowSchema *schema;
    struct ArrowArray *table;

    (void)state;
    for (uint64_t n = 1;; n++) {
        fc__plan *plan = plan_widths(3, widths, &schema, &table, true);
        counted seen = {.fail_at = n};
        fc_error error = {0};
        int code = run_all(plan, &seen, &error);
        free_all(plan, schema, table);
        if (!code)
            break;
        assert_int_equal(code, FC_E_NOSPACE);
        assert_string_equal(error.message, "full");
        assert_int_equal(seen.writes, n);
    }
}

static void thousands_of_tiny_columns_take_few_writes(void **state) {
    enum { columns = 20000 };
    struct ArrowSchema *schema = wide_schema(columns);
    struct ArrowArray *table = array_new(2, 1, &NO_BUFFER);
    counted seen = {0};

    (void)state;
    table->n_children = columns;
    table->children = calloc(columns, sizeof(struct ArrowArray *));
    for (int i = 0; i < columns; i++) {
        schema->children[i] = schema_of("i", "x", 0);
        table->children[i] = ARRAY(2, BUFFER(uint8_t, 1), BUFFER(int32_t, i, 0));
    }
    fc__plan *plan = plan_of(schema, table, false);
    assert_int_equal(fc__plan_layout(plan)->columns, columns);
    assert_int_equal(run_all(plan, &seen, NULL), 0);
    assert_int_equal(seen.bytes, columns * 256);
    assert_in_range(seen.writes, 1, 64);
    free_all(plan, schema, table);
}

/* ---- Tables of few things ---- */

static void rows_without_columns_are_kept(void **state) {
    struct ArrowSchema *schema = schema_of("+s", "", 0);
    const struct ArrowArray *chunks[] = {ARRAY(3, NO_BUFFER), ARRAY(4, NO_BUFFER)};
    fc__plan *plan;

    (void)state;
    assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 2, true, NULL), 0);
    assert_int_equal(fc__plan_layout(plan)->rows, 7);
    assert_int_equal(fc__plan_layout(plan)->columns, 0);
    assert_int_equal(fc__plan_layout(plan)->segment_count, 0);
    assert_int_equal(fc__plan_job_count(plan), 0);
    memory_frame *memory = memory_new();
    memory_write(memory, plan);
    assert_int_equal(memory_open(memory, NULL), 0);
    assert_int_equal(fc__frame_rows(memory->frame), 7);
    assert_int_equal(fc__frame_columns(memory->frame), 0);
    memory_release(memory);
    fc__plan_free(plan);
    array_free((struct ArrowArray *)chunks[0]);
    array_free((struct ArrowArray *)chunks[1]);
    schema_free(schema);
}

static void the_body_keeps_what_the_schema_says(void **state) {
    static const char metadata[] = "\1\0\0\0\x14\0\0\0ARROW:extension:name\6\0\0\0my.ext";
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("i", "x", 0)), out;
    struct ArrowArray *table =
        array_with(ARRAY(1, NO_BUFFER), 1, ARRAY(1, NO_BUFFER, BUFFER(int32_t, 1)));

    (void)state;
    schema->metadata = metadata;
    schema->children[0]->metadata = metadata;
    schema->children[0]->flags = ARROW_FLAG_MAP_KEYS_SORTED;
    fc__plan *plan = plan_of(schema, table, false);
    memory_frame *memory = memory_new();
    memory_write(memory, plan);
    assert_int_equal(memory_open(memory, NULL), 0);
    assert_int_equal(fc_frame_export_schema(memory->frame, &out, NULL), 0);
    assert_memory_equal(out.metadata, metadata, sizeof metadata - 1);
    assert_memory_equal(out.children[0]->metadata, metadata, sizeof metadata - 1);
    assert_int_equal(out.children[0]->flags, ARROW_FLAG_MAP_KEYS_SORTED);
    assert_string_equal(out.children[0]->name, "x");
    out.release(&out);
    memory_release(memory);
    free_all(plan, schema, table);
}

/* ---- Allocations ---- */

static void a_plan_of_one_cell_takes_few_allocations(void **state) {
    struct ArrowSchema *schema = schema_of("+s", "", 1, schema_of("g", "x", 0));
    struct ArrowArray *table =
        array_with(ARRAY(1, NO_BUFFER), 1, ARRAY(1, NO_BUFFER, BUFFER(double, 1)));
    counted seen = {0};

    (void)state;
    fc__fault_set(FC__FAULT_ALLOC, 0);
    fc__plan *plan = plan_of(schema, table, false);
    assert_int_equal(run_all(plan, &seen, NULL), 0);
    assert_in_range(fc__fault_set(FC__FAULT_ALLOC, 0), 1, 3);
    assert_int_equal(seen.writes, 1);
    free_all(plan, schema, table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_64_kib_stand_in_the_manifest),
        cmocka_unit_test(columns_of_a_mebibyte_own_a_segment),
        cmocka_unit_test(a_lone_large_column_is_segment_0),
        cmocka_unit_test(all_bytes_are_written_once_in_any_layout),
        cmocka_unit_test(checksums_are_xxh3_of_the_bytes_alone),
        cmocka_unit_test(big_buffers_go_straight_from_the_producer_in_page_aligned_parts),
        cmocka_unit_test(conversions_divide_into_parts_that_agree),
        cmocka_unit_test(a_part_of_a_buffer_is_that_part_of_the_whole),
        cmocka_unit_test(several_threads_may_run_the_jobs_of_a_plan),
        cmocka_unit_test(a_failing_write_ends_the_job_with_its_error),
        cmocka_unit_test(thousands_of_tiny_columns_take_few_writes),
        cmocka_unit_test(rows_without_columns_are_kept),
        cmocka_unit_test(the_body_keeps_what_the_schema_says),
        cmocka_unit_test(a_plan_of_one_cell_takes_few_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
