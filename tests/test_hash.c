/* The content hash: of frames, slices and arrays in every form, and in the manifest.
 * Which changes it tells is tested over all types in python/tests/test_hash.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support_frame.h"
#include "support_proc.h"

#define ROWS 150

typedef struct digest {
    uint8_t bytes[16];
} digest;

static digest hash_of(const fc_frame *frame) {
    digest out;
    fc_error error;

    if (fc_frame_hash(frame, out.bytes, &error))
        fail_msg("%s", error.message);
    return out;
}

static digest hash_as(fc_frame *frame, const struct ArrowSchema *schema) {
    struct ArrowArray array;
    digest out = {0};
    fc_error error;

    if (fc_frame_export_array(frame, schema, &array, &error) ||
        fc_hash(schema, &array, out.bytes, &error))
        fail_msg("%s", error.message);
    array.release(&array);
    return out;
}

static bool same(digest a, digest b) {
    return !memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

static void a_slice_hashes_as_a_table_of_its_rows(void **state) {
    static const int64_t firsts[] = {0, 1, 63, 64, 70};
    memory_frame *memory = everything(ROWS, false);

    (void)state;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        fc_frame *part = slice(memory->frame, firsts[i], 75);
        memory_frame *fresh = through_stream(part, NULL, 0);
        memory_frame *joined = through_stream(part, NULL, 21);
        assert_true(same(hash_of(part), hash_of(fresh->frame)));
        assert_true(same(hash_of(part), hash_of(joined->frame)));
        assert_false(same(hash_of(part), hash_of(memory->frame)));
        memory_release(fresh);
        memory_release(joined);
        fc_frame_release(part);
    }
    memory_release(memory);
}

static void the_form_of_strings_and_lists_is_no_content(void **state) {
    static const char *const forms[][3] = {
        {"u", "z", "+l"}, {"vu", "vz", "+vl"}, {"U", "Z", "+vL"}, {"vu", "Z", "+L"}};
    memory_frame *memory = everything(ROWS, false);
    digest whole = hash_of(memory->frame);

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct ArrowSchema *schema = everything_schema();
        change_forms(schema, forms[i][0], forms[i][1], forms[i][2]);
        assert_true(same(hash_as(memory->frame, schema), whole));
        schema_free(schema);
    }
    memory_release(memory);
}

/* Without a copy: the batches are read as they lie. */
static void a_stream_hashes_as_the_frame_of_it(void **state) {
    static const int64_t batches[] = {0, 1, 21, 64};
    memory_frame *memory = everything(ROWS, false);
    struct ArrowArrayStream stream;
    fc_error error;
    digest out;

    (void)state;
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        assert_int_equal(
            fc_frame_export_stream(memory->frame, NULL, batches[i], &stream, &error), 0);
        assert_int_equal(fc_hash_stream(&stream, 0, out.bytes, &error), 0);
        assert_null(stream.release);
        assert_true(same(out, hash_of(memory->frame)));
    }
    assert_int_equal(fc_frame_export_stream(memory->frame, NULL, 0, &stream, &error), 0);
    assert_int_equal(fc_hash_stream(&stream, FC_PUT_SLIDING, out.bytes, &error),
                     FC_E_INVALID);
    assert_null(stream.release);
    memory_release(memory);
}

static void
a_view_of_all_hashes_as_its_base_and_a_private_frame_as_it_is_now(void **state) {
    memory_frame *memory = everything(ROWS, false);
    digest whole = hash_of(memory->frame);
    fc_frame *all = slice(memory->frame, 0, ROWS), *own;
    fc_error error;

    (void)state;
    assert_true(same(hash_of(all), whole));
    assert_int_equal(fc_frame_private(memory->frame, &own, &error), 0);
    assert_true(same(hash_of(own), whole));
    int64_t *values = fc_writable(column_at(own, 2));
    values[0]++;
    assert_false(same(hash_of(own), whole));
    values[0]--;
    assert_true(same(hash_of(own), whole));
    values[4]++; /* of a null */
    assert_true(same(hash_of(own), whole));
    fc_frame_release(own);
    fc_frame_release(all);
    memory_release(memory);
}

static void damage_is_told(void **state) {
    memory_frame *memory = everything(ROWS, false);
    uint8_t digest[16], zero[16] = {0};
    fc_error error;

    (void)state;
    ((int64_t *)column_at(memory->frame, 4)->offsets)[3] = (int64_t)1 << 40;
    assert_int_equal(fc_frame_hash(memory->frame, digest, &error), FC_E_CORRUPT);
    assert_non_null(strstr(error.message, "damaged"));
    assert_memory_equal(digest, zero, 16);
    assert_int_equal(fc_hash(NULL, NULL, digest, &error), FC_E_INVALID);
    memory_release(memory);
}

/* ---- In the manifest ---- */

static void expect_stored(const fc_frame *frame, bool stored, int64_t rows) {
    const fc__manifest *m = fc__frame_handle(frame)->manifest;
    memory_frame *again = through_stream((fc_frame *)frame, NULL, 0);
    digest fresh = hash_of(again->frame);

    assert_int_equal(!!(m->flags & FC__MANIFEST_HASHED), stored);
    if (stored)
        assert_memory_equal(m->content_hash, fresh.bytes, 16);
    assert_true(same(hash_of(frame), fresh));
    assert_true(are_numbers(frame, rows, 5));
    memory_release(again);
}

static void checksums_on_store_it(void **state) {
    static const int64_t rows[] = {3, 20000, 200000};
    fc_options options = options_in(private_dir());
    fc_frame *frame;
    fc_build *build;
    fc_error error;

    (void)state;
    for (int on = 0; on < 2; on++) {
        options.checksum = on ? "commit" : "off";
        fc_cache *cache = open_with(&options);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            assert_int_equal(
                put_numbers(cache, fc_str("k"), rows[i], 5, NULL, &frame, &error), 0);
            expect_stored(frame, on, rows[i]);
            fc_frame_release(frame);
            assert_int_equal(
                begin_numbers(cache, fc_str("b"), rows[i], 5, NULL, &build, &error), 0);
            assert_int_equal(fc_build_commit(build, rows[i], &frame, &error), 0);
            expect_stored(frame, on, rows[i]);
            fc_frame_release(frame);
        }
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_hashes_as_a_table_of_its_rows),
        cmocka_unit_test(the_form_of_strings_and_lists_is_no_content),
        cmocka_unit_test(a_stream_hashes_as_the_frame_of_it),
        cmocka_unit_test(
            a_view_of_all_hashes_as_its_base_and_a_private_frame_as_it_is_now),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(checksums_on_store_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
