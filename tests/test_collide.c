/* Keys that were made to have one hash under XXH3-128 without a seed, which takes two lanes of
 * input that cancel the hash's secret: what is done to one is not done to the other. */
#include "support_proc.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { BYTES = 256, STRIPE = 64 };

static char a[BYTES], b[BYTES];
static const fc_bytes key_a = {a, BYTES}, key_b = {b, BYTES};

/* A lane whose low half is that of the secret is multiplied by 0; what is then added to its high
 * half is taken off that of the same lane in the next stripe. */
static int make_keys(void **state) {
    uint32_t first, second;
    (void)state;

    for (int i = 0; i < BYTES; i++)
        a[i] = (char)('a' + i % 26);
    memcpy(a, XXH3_kSecret, 4);
    memcpy(a + STRIPE, XXH3_kSecret + 8, 4);
    memcpy(b, a, BYTES);
    memcpy(&first, a + 4, 4);
    memcpy(&second, a + STRIPE + 4, 4);
    first += 1000;
    second -= 1000;
    memcpy(b + 4, &first, 4);
    memcpy(b + STRIPE + 4, &second, 4);
    XXH128_hash_t hash_a = XXH3_128bits(a, BYTES), hash_b = XXH3_128bits(b, BYTES);
    return memcmp(a, b, BYTES) && XXH128_isEqual(hash_a, hash_b) ? 0 : -1;
}

static void put_a(fc_cache *cache, int64_t first) {
    assert_int_equal(put_numbers(cache, key_a, 3, first, NULL, NULL, NULL), 0);
}

static void must_have_a(fc_cache *cache, int64_t first) {
    fc_frame *frame;

    assert_int_equal(fc_get(cache, key_a, 0, &frame, NULL), 0);
    assert_true(are_numbers(frame, 3, first));
    fc_frame_release(frame);
}

static void no_call_for_one_key_reaches_the_frame_of_the_other(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_put_options absent = {.size = sizeof absent, .expect = FC_ABSENT};
    fc_frame *frame;
    (void)state;

    put_a(cache, 7);
    assert_int_equal(fc_get(cache, key_b, 0, &frame, NULL), FC_E_MISS);
    assert_int_equal(fc_contains(cache, key_b, NULL), FC_E_MISS);
    assert_int_equal(fc_touch(cache, key_b, 1, NULL), FC_E_MISS);
    assert_int_equal(fc_delete(cache, key_b, NULL), FC_E_MISS);
    assert_int_equal(fc_wait(cache, key_b, 0, 0, NULL), FC_E_TIMEOUT);
    must_have_a(cache, 7);
    assert_int_equal(put_numbers(cache, key_b, 3, 9, &absent, NULL, NULL), 0);
    must_have_a(cache, 7);
    assert_int_equal(fc_delete(cache, key_b, NULL), 0);
    must_have_a(cache, 7);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static int compute_nine(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                        fc_error *error) {
    (void)context;
    return put_numbers(cache, key, 3, 9, NULL, out, error);
}

static int compute_by_the_other(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                                fc_error *error) {
    int status =
        fc_get_or_compute(cache, key_b, 0, 0, compute_nine, context, out, error);

    if (status)
        return status;
    fc_frame_release(*out);
    return put_numbers(cache, key, 3, 7, NULL, out, error);
}

static void computing_one_key_may_ask_for_the_other(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_frame *frame;
    fc_error error = {0};
    (void)state;

    assert_int_equal(fc_get_or_compute(cache, key_a, 0, 0, compute_by_the_other, NULL, &frame,
                                       &error), 0);
    fc_frame_release(frame);
    must_have_a(cache, 7);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* So that who knows the hashes of one cache knows nothing of another's. */
static void each_cache_hashes_in_its_own_way_and_all_its_processes_alike(void **state) {
    const char *dir = private_dir();
    fc_cache *one = open_in(dir), *same = open_in(dir), *other = open_in(private_dir());
    (void)state;

    for (size_t bytes = 1; bytes <= BYTES; bytes++) {
        fc_bytes key = {a, bytes};
        fc__hash hash = fc__hash_key(one, key), again = fc__hash_key(same, key);
        fc__hash elsewhere = fc__hash_key(other, key);
        assert_true(hash.low == again.low && hash.high == again.high);
        assert_true(hash.low != elsewhere.low && hash.high != elsewhere.high);
    }
    fc_cache_close(other);
    fc_cache_close(same);
    fc_cache_close(one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_call_for_one_key_reaches_the_frame_of_the_other),
        cmocka_unit_test(computing_one_key_may_ask_for_the_other),
        cmocka_unit_test(each_cache_hashes_in_its_own_way_and_all_its_processes_alike),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
