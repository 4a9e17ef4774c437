/* Columns that leave their nulls to the plan: the frame is, byte for byte, the one of the
 * same values with a bitmap that was made before. */
#include "support_array.h"
#include "support_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    SEGMENTS = 4,
    LONG = 300 * 1000 + 5
}; /* several looks, parts of a page, a last byte */

typedef struct kind {
    const char *format;
    int width;
    uint64_t missing[4]; /* as stored; the last is 0 where there are fewer */
    uint64_t present[4];
} kind;

static const kind kinds[] = {
    {"g",
     8,
     {0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0xffffffffffffffff},
     {0x7ff0000000000000, 0xfff0000000000000, 0x8000000000000000, 0x3ff0000000000000}},
    {"f",
     4,
     {0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff},
     {0x7f800000, 0xff800000, 0x80000000, 0x3f800000}},
    {"e", 2, {0x7e00, 0xfe00, 0x7c01, 0xffff}, {0x7c00, 0xfc00, 0x8000, 0x3c00}},
    {"tsn:",
     8,
     {0x8000000000000000, 0x8000000000000000, 0x8000000000000000, 0x8000000000000000},
     {0x7fffffffffffffff, 0xffffffffffffffff, 0x8000000000000001, 0x80000000}},
    {"tDs",
     8,
     {0x8000000000000000, 0x8000000000000000, 0x8000000000000000, 0x8000000000000000},
     {0x0000000080000000, 0x8000000080000000, 0x1, 0}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- Arrays ---- */

typedef struct column {
    const kind *kind;
    int64_t rows, nulls;
    char *values;
    uint8_t *bits;
} column;

static column column_new(const kind *of, int64_t rows) {
    column c = {of, rows, 0, malloc((size_t)(rows * of->width) + 1),
                calloc((size_t)(rows / 8 + 1), 1)};
    for (int64_t row = 0; row < rows; row++) {
        memcpy(c.values + row * of->width, &of->present[row & 3], (size_t)of->width);
        c.bits[row / 8] |= (uint8_t)(1 << row % 8);
    }
    return c;
}

static void drop(column *c, int64_t row) {
    uint8_t bit = (uint8_t)(1 << row % 8);
    memcpy(c->values + row * c->kind->width, &c->kind->missing[row & 3],
           (size_t)c->kind->width);
    c->nulls += (c->bits[row / 8] & bit) != 0;
    c->bits[row / 8] &= (uint8_t)~bit;
}

static void column_free(column *c) {
    free(c->values);
    free(c->bits);
}

/* Rows [from, to), with the bitmap or left to the plan. */
static struct ArrowArray *array_of(const column *c, int64_t from, int64_t to,
                                   bool given) {
    array_buffer bits = {c->bits, (size_t)(c->rows + 7) / 8}, none = NO_BUFFER;
    array_buffer values = {c->values, (size_t)(c->rows * c->kind->width)};
    array_buffer both[2] = {given && c->nulls ? bits : none, values};
    struct ArrowArray *array = array_new(c->rows, 2, both);
    array->offset = from;
    array->length = to - from;
    array->null_count = given && !c->nulls ? 0 : -1;
    return array;
}

/* ---- Running a plan ---- */

typedef struct store {
    char *segments[SEGMENTS];
    uint64_t bytes[SEGMENTS];
    bool places;
    void *body;
    uint64_t body_bytes;
    int times;
} store;

static int store_write(void *context, uint32_t segment, uint64_t offset, const void *data,
                       size_t bytes, fc_error *error) {
    store *s = context;
    (void)error;
    assert_true(offset + bytes <= s->bytes[segment]);
    memcpy(s->segments[segment] + offset, data, bytes);
    return 0;
}

static void *store_place(void *context, uint32_t segment, uint64_t offset, size_t bytes) {
    store *s = context;
    assert_true(offset + bytes <= s->bytes[segment]);
    return s->places ? s->segments[segment] + offset : NULL;
}

static void make_room(store *s, const fc__layout *layout) {
    assert_true(layout->segment_count <= SEGMENTS);
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        free(s->segments[i]);
        s->bytes[i] = layout->segment_bytes[i];
        s->segments[i] = aligned_alloc(64, s->bytes[i]);
        memset(s->segments[i], 0xa5, s->bytes[i]);
    }
}

static store run(fc__plan *plan, bool places) {
    store s = {.places = places};
    fc__sink sink = {&s, store_write, store_place};
    fc_error error;
    do {
        if (s.times++)
            assert_int_equal(fc__plan_again(plan, &error), 0);
        make_room(&s, fc__plan_layout(plan));
        for (size_t i = 0; i < fc__plan_job_count(plan); i++)
            assert_int_equal(fc__plan_run(plan, i, &sink, &error), 0);
    } while (!fc__plan_stands(plan));
    s.body_bytes = fc__plan_layout(plan)->body_bytes;
    s.body = malloc(s.body_bytes);
    fc__plan_encode(plan, s.body);
    fc__plan_free(plan);
    return s;
}

static void store_free(store *s) {
    for (int i = 0; i < SEGMENTS; i++)
        free(s->segments[i]);
    free(s->body);
}

static store put(const column *c, int64_t cut, uint32_t flags, bool places) {
    struct ArrowSchema *schema = schema_of(c->kind->format, "x", 0);
    struct ArrowArray *parts[2] = {
        array_of(c, 0, cut, !(flags & FC__PLAN_MISSING)),
        array_of(c, cut, c->rows, !(flags & FC__PLAN_MISSING))};
    const struct ArrowArray *chunks[2] = {parts[0], parts[1]};
    fc__plan *plan;
    fc_error error;
    assert_int_equal(fc__plan_arrow(&plan, schema, chunks, 2, flags, &error), 0);
    store s = run(plan, places);
    array_free(parts[0]);
    array_free(parts[1]);
    schema_free(schema);
    return s;
}

static void assert_same(const store *a, const store *b) {
    assert_int_equal(a->body_bytes, b->body_bytes);
    assert_memory_equal(a->body, b->body, a->body_bytes);
    for (int i = 0; i < SEGMENTS; i++) {
        assert_int_equal(a->bytes[i], b->bytes[i]);
        if (a->bytes[i])
            assert_memory_equal(a->segments[i], b->segments[i], a->bytes[i]);
    }
}

/* Returns how often the plan was run when it could store in place. */
static int check_cut(const column *c, int64_t cut) {
    int times = 0;
    for (uint32_t flags = 0; flags <= FC__PLAN_CHECKSUMS; flags++) {
        store given = put(c, cut, flags, false);
        for (int places = 0; places < 2; places++) {
            store found = put(c, cut, flags | FC__PLAN_MISSING, places);
            assert_same(&given, &found);
            times = found.times;
            store_free(&found);
        }
        store_free(&given);
    }
    return times;
}

static int check(const column *c) {
    return check_cut(c, 0);
}

/* ---- Tests ---- */

static void for_each_kind(int64_t rows, void (*test)(column *c)) {
    for (int i = 0; i < KINDS; i++) {
        column c = column_new(&kinds[i], rows);
        test(&c);
        column_free(&c);
    }
}

static void has_none(column *c) {
    assert_int_equal(check(c), 1);
}

static void columns_without_missing_values_are_written_once(void **state) {
    (void)state;
    for_each_kind(LONG, has_none);
    for_each_kind(1000, has_none);
    for_each_kind(0, has_none);
}

static void at_the_ends(column *c) {
    drop(c, 0);
    assert_int_equal(check(c), 1);
    drop(c, c->rows - 1);
    assert_int_equal(check(c), 1);
}

static void at_the_last(column *c) {
    drop(c, c->rows - 1);
    assert_int_equal(check(c), 1);
}

static void missing_at_the_ends_are_seen_before_writing(void **state) {
    (void)state;
    for_each_kind(LONG, at_the_ends);
    for_each_kind(LONG, at_the_last);
}

/* One alone in a long column: hardly any of these rows is in the sample. */
static void one_alone(column *c) {
    int again = 0, tried = 0;
    for (int64_t row = 70000; row < c->rows - 100; row += 45677, tried++) {
        column other = column_new(c->kind, c->rows);
        drop(&other, row);
        again += check(&other) == 2;
        column_free(&other);
    }
    assert_true(again > tried / 2);
}

static void one_missing_beyond_the_sample_is_found_while_copying(void **state) {
    (void)state;
    for_each_kind(LONG, one_alone);
}

static void in_short(column *c) {
    for (int64_t row = 0; row < c->rows; row += c->rows / 3) {
        drop(c, row);
        assert_int_equal(check(c), 1);
    }
}

static void short_columns_are_looked_through_before(void **state) {
    (void)state;
    for_each_kind(1, at_the_last);
    for_each_kind(9, in_short);
    for_each_kind(4099, in_short);
    for_each_kind(65536, in_short);
}

static void many(column *c) {
    for (int64_t row = 0; row < c->rows; row += 1 + row % 7)
        drop(c, row);
    assert_int_equal(check(c), 1);
    for (int64_t row = 0; row < c->rows; row++)
        drop(c, row);
    assert_int_equal(check(c), 1);
}

static void columns_of_many_and_of_all_missing(void **state) {
    (void)state;
    for_each_kind(LONG, many);
}

/* Each of the forms that a missing value has, at an odd and an even place. */
static void each_form(column *c) {
    for (int64_t row = 200; row < 208; row++) {
        column other = column_new(c->kind, c->rows);
        drop(&other, row);
        check(&other);
        column_free(&other);
    }
}

static void each_form_of_nan_is_missing_and_infinity_is_not(void **state) {
    (void)state;
    for_each_kind(LONG, each_form);
    for_each_kind(300, each_form);
}

/* Chunks of odd lengths: bits begin within a byte, values at odd places of a segment. */
static void in_chunks(column *c) {
    for (int64_t cut = 3; cut < 200 * 1000; cut = cut * 41 + 2) {
        check_cut(c, cut);
        column other = column_new(c->kind, c->rows);
        drop(&other, cut);
        drop(&other, cut - 1);
        drop(&other, c->rows - 70001);
        check_cut(&other, cut);
        column_free(&other);
    }
}

static void chunks_are_one_column(void **state) {
    (void)state;
    for_each_kind(LONG, in_chunks);
}

static void as_given(column *c) {
    drop(c, c->rows / 2);
    struct ArrowSchema *schema = schema_of(c->kind->format, "x", 0);
    struct ArrowArray *array = array_of(c, 0, c->rows, false);
    const struct ArrowArray *chunk = array;
    for (int counted = 0; counted < 2; counted++) {
        fc__plan *plan, *plain;
        fc_error error;
        array->null_count = counted ? 0 : -1;
        assert_int_equal(fc__plan_arrow(&plan, schema, &chunk, 1,
                                        counted ? FC__PLAN_MISSING : 0, &error),
                         0);
        array->null_count = 0;
        assert_int_equal(fc__plan_arrow(&plain, schema, &chunk, 1, 0, &error), 0);
        store a = run(plan, true), b = run(plain, true);
        assert_same(&a, &b);
        store_free(&a);
        store_free(&b);
    }
    array_free(array);
    schema_free(schema);
}

static void without_the_flag_or_with_a_count_nan_is_a_value(void **state) {
    (void)state;
    for_each_kind(LONG, as_given);
    for_each_kind(1000, as_given);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_without_missing_values_are_written_once),
        cmocka_unit_test(missing_at_the_ends_are_seen_before_writing),
        cmocka_unit_test(one_missing_beyond_the_sample_is_found_while_copying),
        cmocka_unit_test(short_columns_are_looked_through_before),
        cmocka_unit_test(columns_of_many_and_of_all_missing),
        cmocka_unit_test(each_form_of_nan_is_missing_and_infinity_is_not),
        cmocka_unit_test(chunks_are_one_column),
        cmocka_unit_test(without_the_flag_or_with_a_count_nan_is_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
