/* What is remembered of frames that have gone. */
#include "support_proc.h"

static int64_t now_ns;

static int64_t fake_now(void *context) {
    (void)context;
    return now_ns;
}

static fc_cache *open_clocked(void) {
    fc_options options = options_in(private_dir());
    options.clock_ns = fake_now;
    options.capacity = "64";
    now_ns = 1700000000ll * 1000000000;
    return open_with(&options);
}

static fc__record *record_of(fc_cache *cache, const char *key) {
    uint32_t slot;
    uint64_t word = fc__index_find(cache, fc__hash_key(cache, fc_str(key)), &slot);
    assert_true(word != 0);
    return &cache->records[fc__word_record(word)];
}

static double rate_of(fc_cache *cache, const char *key) {
    fc__judge judge = fc__judge_now(cache);
    return fc__heat_rate(atomic_load(&record_of(cache, key)->heat), judge.clock,
                         &judge.weights);
}

static void use(fc_cache *cache, const char *key, int times) {
    for (int i = 0; i < times; i++) {
        now_ns += 1 << 23; /* the next tick: uses are counted once a tick */
        fc_frame_release(must_get(cache, key, 3, 1));
    }
}

static void a_key_that_was_used_much_comes_back_hot(void **state) {
    fc_cache *cache = open_clocked();
    (void)state;

    must_put(cache, "hot", 3, 1);
    must_put(cache, "cool", 3, 1);
    use(cache, "hot", 20);
    double before = rate_of(cache, "hot"), cool = rate_of(cache, "cool");
    assert_true(before > 15 * cool);
    assert_int_equal(fc_delete(cache, fc_str("hot"), NULL), 0);
    assert_int_equal(fc_delete(cache, fc_str("cool"), NULL), 0);
    must_put(cache, "hot", 3, 1);
    must_put(cache, "cool", 3, 1);
    assert_true(rate_of(cache, "hot") > before); /* and that was one use more */
    assert_true(rate_of(cache, "cool") < 3 * cool);
    fc_cache_close(cache);
}

static void a_replaced_key_keeps_its_heat_and_that_is_no_use(void **state) {
    fc_cache *cache = open_clocked();
    (void)state;

    must_put(cache, "k", 3, 1);
    use(cache, "k", 10);
    uint64_t heat = atomic_load(&record_of(cache, "k")->heat);
    must_put(cache, "k", 3, 1);
    assert_true(atomic_load(&record_of(cache, "k")->heat) == heat);
    fc_cache_close(cache);
}

static void a_set_forgets_the_oldest_and_others_keep_reason_age_and_heat(void **state) {
    fc_cache *cache = open_clocked();
    uint64_t heat;
    int64_t when;
    (void)state;

    for (uint64_t i = 1; i <= FC__GHOST_SET + 1; i++) { /* one set, other tags */
        fc__hash hash = {.low = i, .high = 0};
        fc__ghost_add(cache, hash, FC_MISS_EVICTED, now_ns + (int64_t)i * 1000000, i * 7);
    }
    fc__hash first = {.low = 1, .high = 0}, second = {.low = 2, .high = 0};
    assert_int_equal(fc__ghost_find(cache, first, &when), FC_MISS_NEVER);
    assert_false(fc__ghost_heat(cache, first, &heat));
    assert_int_equal(fc__ghost_find(cache, second, &when), FC_MISS_EVICTED);
    assert_int_equal(when, now_ns + 2000000);
    assert_true(fc__ghost_heat(cache, second, &heat));
    assert_int_equal(heat, 14);
    fc__ghost_add(cache, second, FC_MISS_DELETED, now_ns, 99); /* in its own place */
    assert_int_equal(fc__ghost_find(cache, second, &when), FC_MISS_DELETED);
    assert_true(fc__ghost_heat(cache, second, &heat) && heat == 99);
    fc_cache_close(cache);
}

static void the_last_ghosts_lie_within_the_control_file(void **state) {
    fc_cache *cache = open_clocked();
    const char *end = (const char *)cache->control + cache->control_bytes;
    uint64_t heat;
    (void)state;

    for (uint64_t i = 0; i < 64; i++) {
        fc__hash hash = {.low = 5, .high = i};
        fc__ghost_add(cache, hash, FC_MISS_EVICTED, now_ns, i + 1);
        assert_true(fc__ghost_heat(cache, hash, &heat) && heat == i + 1);
    }
    assert_true((const char *)&cache->ghosts[4 * cache->capacity] <= end);
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_was_used_much_comes_back_hot),
        cmocka_unit_test(a_replaced_key_keeps_its_heat_and_that_is_no_use),
        cmocka_unit_test(a_set_forgets_the_oldest_and_others_keep_reason_age_and_heat),
        cmocka_unit_test(the_last_ghosts_lie_within_the_control_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
