/* The calls of framecache.h that act on keys, in one process with a clock of its own:
 * TTL, typed misses, touch, contains, delete, prefix, clear, compare-and-put, several
 * caches. */
#include "support_proc.h"

#include <sys/stat.h>

#define SECOND ((int64_t)1000000000)

static int64_t clock_now;

static int64_t our_clock(void *context) {
    (void)context;
    return clock_now;
}

static fc_options clocked(const char *dir) {
    fc_options options = options_in(dir);
    clock_now = 1700000000 * SECOND;
    options.clock_ns = our_clock;
    return options;
}

static fc_cache *open_clocked(void) {
    fc_options options = clocked(private_dir());
    return open_with(&options);
}

static int put_ttl(fc_cache *cache, const char *key, int64_t ttl_ms) {
    fc_put_options options = {.size = sizeof options, .ttl_ms = ttl_ms};
    return put_numbers(cache, fc_str(key), 3, 1, &options, NULL, NULL);
}

static fc_info info_of(fc_cache *cache, const char *key) {
    fc_info info = {.size = sizeof info};
    fc_frame *frame;
    CHECK(fc_get(cache, fc_str(key), FC_GET_PEEK, &frame, NULL) == 0);
    CHECK(fc_frame_info(frame, &info, NULL) == 0);
    fc_frame_release(frame);
    return info;
}

/* ---- Expiry ---- */

static void frame_expires_to_the_millisecond_and_says_how_long_ago(void **state) {
    fc_cache *cache = open_clocked();
    (void)state;

    assert_int_equal(put_ttl(cache, "key", 2000), 0);
    assert_int_equal(info_of(cache, "key").expires_ns, clock_now + 2 * SECOND);
    clock_now += 2 * SECOND - 1;
    fc_frame *held = must_get(cache, "key", 3, 1);
    assert_int_equal(fc_contains(cache, fc_str("key"), NULL), 0);
    clock_now += 1;
    assert_int_equal(fc_contains(cache, fc_str("key"), NULL), FC_E_MISS);
    clock_now += 5 * SECOND;
    assert_int_equal(must_miss(cache, "key", FC_MISS_EXPIRED), 5000);
    clock_now += SECOND;
    assert_int_equal(must_miss(cache, "key", FC_MISS_EXPIRED), 6000);
    assert_true(are_numbers(held, 3, 1)); /* who holds it keeps it */
    fc_frame_release(held);
    assert_int_equal(stats_of(cache).expired, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void cold_frame_expires_too(void **state) {
    fc_cache *cache = open_clocked();
    fc_error error;
    (void)state;

    assert_int_equal(put_ttl(cache, "got", 1000), 0);
    assert_int_equal(put_ttl(cache, "deleted", 1000), 0);
    assert_int_equal(put_ttl(cache, "touched", 1000), 0);
    assert_int_equal(put_ttl(cache, "ticked", 1000), 0);
    clock_now += 3 * SECOND;
    assert_int_equal(must_miss(cache, "got", FC_MISS_EXPIRED), 2000);
    assert_int_equal(fc_delete(cache, fc_str("deleted"), &error), FC_E_MISS);
    assert_int_equal(error.miss, FC_MISS_EXPIRED);
    assert_int_equal(fc_touch(cache, fc_str("touched"), 1000, &error), FC_E_MISS);
    assert_int_equal(error.miss, FC_MISS_EXPIRED);
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).frames, 0);
    assert_int_equal(must_miss(cache, "ticked", FC_MISS_EXPIRED), 2000);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void ttl_of_the_put_wins_over_that_of_the_cache(void **state) {
    fc_options options = clocked(private_dir());
    (void)state;

    options.ttl = "10s";
    fc_cache *cache = open_with(&options);
    assert_int_equal(put_ttl(cache, "default", 0), 0);
    assert_int_equal(put_ttl(cache, "short", 1000), 0);
    assert_int_equal(put_ttl(cache, "never", FC_NEVER), 0);
    assert_int_equal(put_ttl(cache, "endless", INT64_MAX), 0);
    assert_int_equal(info_of(cache, "never").expires_ns, INT64_MAX);
    assert_int_equal(info_of(cache, "endless").expires_ns, INT64_MAX);
    clock_now += 5 * SECOND;
    must_miss(cache, "short", FC_MISS_EXPIRED);
    fc_frame_release(must_get(cache, "default", 3, 1));
    clock_now += 6 * SECOND;
    must_miss(cache, "default", FC_MISS_EXPIRED);
    clock_now += 1000000 * SECOND;
    fc_frame_release(must_get(cache, "never", 3, 1));
    fc_frame_release(must_get(cache, "endless", 3, 1));
    fc_cache_close(cache);
}

static void touch_sets_the_expiry_from_now(void **state) {
    fc_cache *cache = open_clocked();
    (void)state;

    assert_int_equal(put_ttl(cache, "key", 10000), 0);
    clock_now += 9 * SECOND;
    assert_int_equal(fc_touch(cache, fc_str("key"), 0, NULL), 0); /* as put */
    assert_int_equal(info_of(cache, "key").expires_ns, clock_now + 10 * SECOND);
    assert_int_equal(fc_touch(cache, fc_str("key"), 3000, NULL), 0);
    clock_now += 2 * SECOND;
    fc_frame_release(must_get(cache, "key", 3, 1));
    assert_int_equal(fc_touch(cache, fc_str("key"), FC_NEVER, NULL), 0);
    clock_now += 1000 * SECOND;
    fc_frame_release(must_get(cache, "key", 3, 1));
    assert_int_equal(fc_touch(cache, fc_str("key"), -9, NULL), FC_E_INVALID);
    assert_int_equal(fc_touch(cache, fc_str("none"), 1000, NULL), FC_E_MISS);
    fc_cache_close(cache);
}

static void frame_put_for_ever_goes_when_it_was_touched(void **state) {
    fc_cache *cache = open_clocked();
    (void)state;

    assert_int_equal(put_ttl(cache, "key", FC_NEVER), 0);
    assert_int_equal(fc_touch(cache, fc_str("key"), 1000, NULL), 0);
    assert_int_equal(info_of(cache, "key").stale_until_ns, clock_now + SECOND);
    clock_now += SECOND - 1;
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).frames, 1);
    clock_now += 1;
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).frames, 0); /* and its bytes are free */
    assert_int_equal(must_miss(cache, "key", FC_MISS_EXPIRED), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void clock_set_back_lets_frames_live_longer(void **state) {
    fc_cache *cache = open_clocked();
    (void)state;

    assert_int_equal(put_ttl(cache, "key", 1000), 0);
    clock_now -= 3600 * SECOND;
    fc_frame_release(must_get(cache, "key", 3, 1));
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    clock_now -= 3600 * SECOND;
    assert_int_equal(must_miss(cache, "key", FC_MISS_DELETED), 0); /* never negative */
    fc_cache_close(cache);
}

/* ---- Misses ---- */

static void miss_says_why_and_since_when(void **state) {
    fc_options options = clocked(private_dir());
    fc_error error;
    fc_frame *frame;
    (void)state;

    options.budget = "5MiB";
    fc_cache *cache = open_with(&options);
    assert_int_equal(fc_get(cache, fc_str("never"), 0, &frame, &error), FC_E_MISS);
    assert_int_equal(error.miss, FC_MISS_NEVER);
    assert_int_equal(error.miss_age_ms, -1);
    must_put(cache, "deleted", 3, 1);
    assert_int_equal(fc_delete(cache, fc_str("deleted"), NULL), 0);
    clock_now += 4 * SECOND;
    assert_int_equal(must_miss(cache, "deleted", FC_MISS_DELETED), 4000);
    must_put(cache, "evicted", 131072, 1);
    must_put(cache, "b", 131072, 1);
    must_put(cache, "c", 131072, 1);
    must_put(cache, "d", 131072, 1);
    clock_now += 7 * SECOND;
    assert_int_equal(must_miss(cache, "evicted", FC_MISS_EVICTED), 7000);
    must_put(cache, "deleted", 3, 2);
    fc_frame_release(must_get(cache, "deleted", 3, 2));
    fc_stats stats = stats_of(cache);
    assert_int_equal(stats.misses_never, 1);
    assert_int_equal(stats.misses_deleted, 1);
    assert_int_equal(stats.misses_evicted, 1);
    fc_cache_close(cache);
}

static void cleared_frames_were_deleted(void **state) {
    fc_cache *cache = open_clocked();
    uint64_t count = 9;
    (void)state;

    must_put(cache, "a", 1, 1);
    must_put(cache, "b", 1, 1);
    assert_int_equal(fc_cache_clear(cache, &count, NULL), 0);
    assert_int_equal(count, 2);
    must_miss(cache, "a", FC_MISS_DELETED);
    assert_int_equal(fc_cache_clear(cache, &count, NULL), 0);
    assert_int_equal(count, 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Keys ---- */

static void delete_prefix_takes_all_that_begin_so_and_no_other(void **state) {
    fc_cache *cache = open_clocked();
    uint64_t count;
    char name[24];
    (void)state;

    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "%s/%d", i % 3 ? "user" : "users", i);
        must_put(cache, name, 2, i);
    }
    assert_int_equal(fc_delete_prefix(cache, fc_str("user/"), &count, NULL), 0);
    assert_int_equal(count, 20);
    fc_frame_release(must_get(cache, "users/0", 2, 0));
    must_miss(cache, "user/1", FC_MISS_DELETED);
    assert_int_equal(fc_delete_prefix(cache, fc_str("nobody"), &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(fc_delete_prefix(cache, fc_str(""), &count, NULL), 0);
    assert_int_equal(count, 10);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void keys_are_bytes_and_differ_in_each(void **state) {
    fc_cache *cache = open_clocked();
    char key[1024];
    fc_frame *frame;
    (void)state;

    memset(key, 0, sizeof key);
    for (size_t size = 1; size <= 1024; size *= 2)
        assert_int_equal(
            put_numbers(cache, (fc_bytes){key, size}, 1, (int64_t)size, NULL, NULL, NULL),
            0);
    for (size_t size = 1; size <= 1024; size *= 2) {
        assert_int_equal(fc_get(cache, (fc_bytes){key, size}, 0, &frame, NULL), 0);
        assert_true(are_numbers(frame, 1, (int64_t)size));
        fc_frame_release(frame);
    }
    key[1023] = 1;
    assert_int_equal(fc_contains(cache, (fc_bytes){key, 1024}, NULL), FC_E_MISS);
    fc_cache_close(cache);
}

static void compare_and_put_takes_the_sequence_or_nothing(void **state) {
    fc_cache *cache = open_clocked();
    fc_put_options put = {.size = sizeof put, .expect = FC_ABSENT};
    fc_frame *frame;
    fc_error error;
    (void)state;

    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &put, &frame, NULL), 0);
    uint64_t first = sequence_of(frame);
    fc_frame_release(frame);
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 2, &put, &frame, &error),
                     FC_E_CONFLICT);
    assert_null(frame);
    assert_non_null(strstr(error.message, "'k'"));
    put.expect = first + 1;
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 2, &put, NULL, NULL),
                     FC_E_CONFLICT);
    fc_frame_release(must_get(cache, "k", 1, 1));
    put.expect = first;
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 3, &put, &frame, NULL), 0);
    assert_true(sequence_of(frame) > first);
    fc_frame_release(frame);
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 4, &put, NULL, NULL),
                     FC_E_CONFLICT);
    assert_int_equal(fc_delete(cache, fc_str("k"), NULL), 0);
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 5, &put, NULL, NULL),
                     FC_E_CONFLICT);
    put.expect = FC_ABSENT;
    put.ttl_ms = 1000;
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 6, &put, NULL, NULL), 0);
    clock_now += 2 * SECOND; /* what has expired is absent */
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 7, &put, NULL, NULL), 0);
    fc_frame_release(must_get(cache, "k", 1, 7));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void build_compares_too(void **state) {
    fc_cache *cache = open_clocked();
    fc_put_options put = {.size = sizeof put, .expect = FC_ABSENT};
    fc_build *build;
    (void)state;

    assert_int_equal(begin_numbers(cache, fc_str("k"), 5, 1, &put, &build, NULL), 0);
    must_put(cache, "k", 1, 9);
    assert_int_equal(fc_build_commit(build, 5, NULL, NULL), FC_E_CONFLICT);
    fc_frame_release(must_get(cache, "k", 1, 9));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void info_tells_what_was_put(void **state) {
    fc_cache *cache = open_clocked();
    fc_put_options put = {.size = sizeof put, .cost_s = 2.5, .ttl_ms = 4000};
    (void)state;

    assert_int_equal(put_numbers(cache, fc_str("key"), 70, 1, &put, NULL, NULL), 0);
    clock_now += SECOND;
    for (int i = 0; i < 4; i++) {
        clock_now += SECOND / 100;
        fc_frame_release(must_get(cache, "key", 70, 1));
    }
    fc_info info = info_of(cache, "key");
    assert_int_equal(info.rows, 70);
    assert_int_equal(info.columns, 2);
    assert_true(info.bytes >= 70 * 16 && info.bytes < 70 * 16 + 1024);
    assert_int_equal(info.created_ns, 1700000000 * SECOND);
    assert_int_equal(info.used_ns, clock_now);
    assert_int_equal(info.uses, 5); /* the put counts as one */
    assert_true(info.cost_s == 2.5);
    assert_true(info.leased);
    fc_cache_close(cache);
}

/* ---- Several caches ---- */

static void caches_in_one_process_do_not_disturb_each_other(void **state) {
    const char *one = private_dir(), *two = private_dir();
    fc_cache *a = open_in(one), *b = open_in(one), *c = open_in(two);
    (void)state;

    must_put(a, "key", 3, 1);
    must_put(c, "key", 4, 2);
    fc_frame *through_b = must_get(b, "key", 3, 1);
    fc_frame_release(must_get(c, "key", 4, 2));
    must_put(b, "key", 5, 3); /* replaced through b: a's idle handle is no answer */
    fc_frame_release(must_get(a, "key", 5, 3));
    assert_int_equal(fc_delete(a, fc_str("key"), NULL), 0);
    must_miss(b, "key", FC_MISS_DELETED);
    fc_cache_close(a);
    must_put(b, "after", 1, 1);
    fc_frame_release(must_get(b, "after", 1, 1));
    assert_true(are_numbers(through_b, 3, 1));
    fc_frame_release(through_b);
    must_be_clean(b);
    must_be_clean(c);
    fc_cache_close(b);
    fc_cache_close(c);
}

static void what_was_put_is_there_after_all_have_left(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    (void)state;

    must_put(cache, "small", 3, 1);
    must_put(cache, "big", 131072, 2);
    fc_cache_close(cache);
    cache = open_in(dir);
    fc_frame_release(must_get(cache, "small", 3, 1));
    fc_frame_release(must_get(cache, "big", 131072, 2));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void frames_of_every_size_come_back_whole(void **state) {
    fc_cache *cache = open_in(private_dir());
    (void)state;

    for (int64_t rows = 0; rows < 300000; rows = rows * 3 / 2 + 1) {
        must_put(cache, "key", rows, rows);
        fc_frame_release(must_get(cache, "key", rows, rows));
        fc__table_drop_idle(cache, false);
        fc_frame_release(must_get(cache, "key", rows, rows));
    }
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void recycled_files_are_written_again(void **state) {
    fc_cache *cache = open_in(private_dir());
    struct stat before, after;
    char name[24];
    (void)state;

    for (int i = 0; i < 3; i++)
        must_put(cache, "key", 131072, i);
    uint32_t record = info_of(cache, "key").record;
    fc__table_drop_idle(cache, false);
    fc__segment_name(name, record, 0);
    assert_int_equal(fstatat(cache->frames, name, &before, 0), 0);
    must_put(cache, "key", 131072, 8);
    must_put(cache, "key", 131072, 9);
    assert_int_equal(info_of(cache, "key").record, record);
    assert_int_equal(fstatat(cache->frames, name, &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_true(stats_of(cache).recycled_bytes >= 4 * MIB);
    fc_frame_release(must_get(cache, "key", 131072, 9));
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_expires_to_the_millisecond_and_says_how_long_ago),
        cmocka_unit_test(cold_frame_expires_too),
        cmocka_unit_test(ttl_of_the_put_wins_over_that_of_the_cache),
        cmocka_unit_test(touch_sets_the_expiry_from_now),
        cmocka_unit_test(frame_put_for_ever_goes_when_it_was_touched),
        cmocka_unit_test(clock_set_back_lets_frames_live_longer),
        cmocka_unit_test(miss_says_why_and_since_when),
        cmocka_unit_test(cleared_frames_were_deleted),
        cmocka_unit_test(delete_prefix_takes_all_that_begin_so_and_no_other),
        cmocka_unit_test(keys_are_bytes_and_differ_in_each),
        cmocka_unit_test(compare_and_put_takes_the_sequence_or_nothing),
        cmocka_unit_test(build_compares_too),
        cmocka_unit_test(info_tells_what_was_put),
        cmocka_unit_test(caches_in_one_process_do_not_disturb_each_other),
        cmocka_unit_test(what_was_put_is_there_after_all_have_left),
        cmocka_unit_test(frames_of_every_size_come_back_whole),
        cmocka_unit_test(recycled_files_are_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
