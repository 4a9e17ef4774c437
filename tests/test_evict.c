/* Who goes first: the policy as arithmetic, then in a cache. */
#include "support_proc.h"

#include "evict.h"

#define ROWS 131072 /* two columns of 1 MiB */

/* ---- Arithmetic ---- */

static void priority_grows_with_cost_and_uses_and_falls_with_size(void **state) {
    double base = fc__evict_priority(1, 1.0, MIB);
    (void)state;

    assert_true(fc__evict_priority(1, 2.0, MIB) > base);
    assert_true(fc__evict_priority(2, 1.0, MIB) > base);
    assert_true(fc__evict_priority(1, 1.0, 2 * MIB) < base);
    assert_true(fc__evict_priority(1, 1.0, 0) > 0); /* no division by zero */
}

static void default_cost_is_ten_ms_and_two_hundred_mb_a_second(void **state) {
    (void)state;
    assert_true(fc__evict_default_cost(0) == 0.010);
    assert_true(fc__evict_default_cost(200000000) == 1.010);
}

static void victims_are_the_least_in_order(void **state) {
    fc__candidate heap[5];
    fc__victims victims = {.heap = heap, .limit = 5};
    (void)state;

    for (uint32_t i = 0; i < 1000; i++) { /* 7 and 1000 have no common factor */
        fc__candidate c = {.priority = (double)(i * 7 % 1000), .id = i};
        fc__victims_offer(&victims, &c);
    }
    fc__victims_sort(&victims);
    assert_int_equal(victims.count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(heap[i].priority == (double)i);
        assert_int_equal(heap[i].id * 7 % 1000, i);
    }
}

static void victims_may_be_fewer_than_the_limit(void **state) {
    fc__candidate heap[8];
    fc__victims victims = {.heap = heap, .limit = 8};
    (void)state;

    fc__victims_sort(&victims);
    assert_int_equal(victims.count, 0);
    for (uint32_t i = 0; i < 3; i++)
        fc__victims_offer(&victims, &(fc__candidate){.priority = 3 - i, .id = i});
    fc__victims_sort(&victims);
    assert_int_equal(victims.count, 3);
    assert_int_equal(heap[0].id, 2);
    assert_int_equal(heap[2].id, 0);
}

/* ---- In a cache, with a clock of our own ---- */

static int64_t clock_now;

static int64_t our_clock(void *context) {
    (void)context;
    return clock_now;
}

static fc_cache *open_small(const char *budget) {
    fc_options options = options_in(private_dir());

    clock_now = 1700000000000000000;
    options.clock_ns = our_clock;
    options.budget = budget;
    options.reclaim_wait = "10ms";
    return open_with(&options);
}

static void put_at(fc_cache *cache, const char *key, int64_t rows, double cost_s) {
    fc_put_options options = {.size = sizeof options, .cost_s = cost_s};
    fc_error error;

    clock_now += 10000000;
    if (put_numbers(cache, fc_str(key), rows, 1, &options, NULL, &error))
        fail_msg("put %s: %s", key, error.message);
}

static bool there(fc_cache *cache, const char *key) {
    return fc_contains(cache, fc_str(key), NULL) == 0;
}

static void use(fc_cache *cache, const char *key, int times) {
    fc_frame *frame;

    for (int i = 0; i < times; i++) {
        clock_now += 10000000; /* a use is counted once a tick of 4 ms */
        assert_int_equal(fc_get(cache, fc_str(key), 0, &frame, NULL), 0);
        fc_frame_release(frame);
    }
}

static void cheap_and_big_goes_before_dear_and_small(void **state) {
    fc_cache *cache = open_small("7MiB"); /* three frames of 2 MiB */
    (void)state;

    put_at(cache, "dear", ROWS, 10.0);
    put_at(cache, "small and cheap", 10, 0.05);
    put_at(cache, "cheap", ROWS, 0.01);
    put_at(cache, "middling", ROWS, 1.0);
    put_at(cache, "new", ROWS, 5.0);
    assert_false(there(cache, "cheap"));
    assert_true(there(cache, "dear") && there(cache, "middling"));
    assert_true(there(cache, "small and cheap") && there(cache, "new"));
    put_at(cache, "newer", ROWS, 5.0);
    assert_false(there(cache, "middling"));
    assert_true(there(cache, "dear") && there(cache, "small and cheap"));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void frames_that_are_used_survive_those_that_are_not(void **state) {
    fc_cache *cache = open_small("9MiB"); /* four */
    char name[16];
    (void)state;

    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        put_at(cache, name, ROWS, 1.0);
    }
    use(cache, "key-1", 5);
    use(cache, "key-3", 5);
    put_at(cache, "a", ROWS, 1.0);
    put_at(cache, "b", ROWS, 1.0);
    assert_true(there(cache, "key-1") && there(cache, "key-3"));
    assert_false(there(cache, "key-0") || there(cache, "key-2"));
    fc_cache_close(cache);
}

static void peeks_do_not_count_as_uses(void **state) {
    fc_cache *cache = open_small("5MiB"); /* two */
    fc_frame *frame;
    (void)state;

    put_at(cache, "peeked", ROWS, 1.0);
    put_at(cache, "used", ROWS, 1.0);
    for (int i = 0; i < 20; i++) {
        clock_now += 10000000;
        assert_int_equal(fc_get(cache, fc_str("peeked"), FC_GET_PEEK, &frame, NULL), 0);
        fc_frame_release(frame);
    }
    use(cache, "used", 2);
    put_at(cache, "new", ROWS, 1.0);
    assert_true(there(cache, "used"));
    assert_false(there(cache, "peeked"));
    fc_cache_close(cache);
}

/* Its rate falls with each turnover of the cache, so what was used often, long ago, sinks
 * at last: after some tens of turnovers, since the long memory counts most. */
static void frames_used_long_ago_age(void **state) {
    fc_cache *cache = open_small("7MiB"); /* three */
    char name[16];
    (void)state;

    put_at(cache, "famous", ROWS, 1.0);
    use(cache, "famous", 6);
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "fresh-%d", i);
        put_at(cache, name, ROWS, 1.0);
        if (i == 20)
            assert_true(there(cache, "famous"));
    }
    assert_false(there(cache, "famous"));
    fc_cache_close(cache);
}

/* A big frame is not made room for beyond the need, nor do small ones go in its stead. */
static void one_big_frame_does_not_cost_all_small_ones(void **state) {
    fc_cache *cache = open_small("13MiB");
    char name[16];
    (void)state;

    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "small-%d", i);
        put_at(cache, name, 10, 0);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "big-%d", i);
        put_at(cache, name, 2 * ROWS, 0);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "small-%d", i);
        assert_true(there(cache, name));
    }
    assert_true(there(cache, "big-3"));
    assert_int_equal(stats_of(cache).evicted, 1);
    fc_cache_close(cache);
}

static void small_puts_evict_in_batches_down_to_the_low_watermark(void **state) {
    fc_options options = options_in(private_dir());
    char name[16];
    (void)state;

    options.budget = "1MiB";
    options.watermarks = "90:50";
    options.pool = "0";
    fc_cache *cache = open_with(&options);
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, 400, i);
        uint64_t used = stats_of(cache).used_bytes;
        most = used > most ? used : most;
        if (i > 200)
            least = used < least ? used : least;
    }
    assert_true(most <= MIB && most > MIB * 9 / 10);
    assert_true(least <= MIB / 2 + 16 * KIB && least > MIB * 4 / 10);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void tick_evicts_from_above_the_high_watermark_to_the_low_one(void **state) {
    fc_options options = options_in(private_dir());
    char name[16];
    (void)state;

    options.budget = "1MiB";
    options.watermarks = "80:60";
    options.pool = "0";
    fc_cache *cache = open_with(&options);
    int i = 0;
    for (; stats_of(cache).used_bytes + 12 * KIB < MIB * 8 / 10; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, 400, i);
    }
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).evicted, 0);
    for (int more = 0; more < 5; more++) {
        snprintf(name, sizeof name, "more-%d", more);
        must_put(cache, name, 400, more);
    }
    assert_true(stats_of(cache).used_bytes > MIB * 8 / 10);
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_in_range(stats_of(cache).used_bytes, MIB / 2, MIB * 6 / 10);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void full_index_evicts_instead_of_failing(void **state) {
    fc_options options = options_in(private_dir());
    char name[16];
    (void)state;

    options.capacity = "64";
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, 1, i);
        fc_frame_release(must_get(cache, name, 1, i));
    }
    assert_true(stats_of(cache).frames >= 32 && stats_of(cache).frames <= 64);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* The walk that finds one victim finds a batch, and the puts that follow use it up. */
static void new_keys_at_capacity_use_up_what_a_batch_left(const char *pool) {
    fc_options options = options_in(private_dir());
    char name[16];

    options.capacity = "2048";
    options.pool = pool;
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < 2048; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, 1, i);
    }
    uint64_t before = stats_of(cache).evicted; /* of keys whose buckets were full, perhaps */
    for (int i = 0; i < 320; i++) {
        snprintf(name, sizeof name, "new-%d", i);
        must_put(cache, name, 1, i);
        get_and_release(cache, name, 1, i);
        fc_stats stats = stats_of(cache);
        assert_in_range(stats.frames, 2048 - 64, 2048);
        assert_in_range(stats.evicted - before, (uint64_t)i / 2, (uint64_t)i + 64);
    }
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void new_keys_at_capacity_use_up_what_a_batch_left_of_records(void **state) {
    (void)state;
    new_keys_at_capacity_use_up_what_a_batch_left("0");
}

static void new_keys_at_capacity_use_up_what_a_batch_left_in_the_pool(void **state) {
    (void)state;
    new_keys_at_capacity_use_up_what_a_batch_left("10%");
}

static void put_of_one_page_evicts_one_batch_and_the_tick_the_rest(void **state) {
    fc_options options = options_in(private_dir());
    char name[16];
    (void)state;

    options.capacity = "8192";
    options.budget = "16MiB";
    options.watermarks = "90:30";
    options.pool = "0";
    fc_cache *cache = open_with(&options);
    int i = 0;
    for (; !stats_of(cache).evicted; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, 1, i);
        assert_in_range(stats_of(cache).evicted, 0, FC__EVICT_BATCH);
    }
    assert_true(i > 1000 && stats_of(cache).frames > 1000);
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_in_range(stats_of(cache).used_bytes, MIB, 16 * MIB * 3 / 10);
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priority_grows_with_cost_and_uses_and_falls_with_size),
        cmocka_unit_test(default_cost_is_ten_ms_and_two_hundred_mb_a_second),
        cmocka_unit_test(victims_are_the_least_in_order),
        cmocka_unit_test(victims_may_be_fewer_than_the_limit),
        cmocka_unit_test(cheap_and_big_goes_before_dear_and_small),
        cmocka_unit_test(frames_that_are_used_survive_those_that_are_not),
        cmocka_unit_test(peeks_do_not_count_as_uses),
        cmocka_unit_test(frames_used_long_ago_age),
        cmocka_unit_test(one_big_frame_does_not_cost_all_small_ones),
        cmocka_unit_test(small_puts_evict_in_batches_down_to_the_low_watermark),
        cmocka_unit_test(tick_evicts_from_above_the_high_watermark_to_the_low_one),
        cmocka_unit_test(full_index_evicts_instead_of_failing),
        cmocka_unit_test(new_keys_at_capacity_use_up_what_a_batch_left_of_records),
        cmocka_unit_test(new_keys_at_capacity_use_up_what_a_batch_left_in_the_pool),
        cmocka_unit_test(put_of_one_page_evicts_one_batch_and_the_tick_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
