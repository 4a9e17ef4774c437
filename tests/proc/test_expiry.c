/* Stale time, sliding expiry and tags, by a clock that the test moves. */
#include "support_proc.h"

#include <unistd.h>

enum { SECOND_MS = 1000 };
static const int64_t second_ns = 1000000000;
static int64_t now_ns;

static int64_t fake_now(void *context) {
    (void)context;
    return now_ns;
}

static fc_cache *open_clocked(const char *dir) {
    fc_options options = options_in(dir);
    options.clock_ns = fake_now;
    now_ns = 1700000000ll * second_ns;
    return open_with(&options);
}

static void put_with(fc_cache *cache, const char *key, fc_put_options options) {
    options.size = sizeof options;
    assert_int_equal(put_numbers(cache, fc_str(key), 3, 5, &options, NULL, NULL), 0);
}

static int get_status(fc_cache *cache, const char *key, uint32_t flags) {
    fc_frame *frame;
    int status = fc_get(cache, fc_str(key), flags, &frame, NULL);
    fc_frame_release(frame);
    return status;
}

static void a_stale_frame_is_had_only_by_who_asks_until_its_stale_time(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_clocked(dir), *fresh;
    fc_info info = {.size = sizeof info};
    fc_frame *frame;
    (void)state;

    put_with(cache, "k", (fc_put_options){.ttl_ms = 10 * SECOND_MS, .stale_ms = 20 * SECOND_MS});
    assert_int_equal(get_status(cache, "k", 0), 0);
    now_ns += 10 * second_ns;
    assert_int_equal(must_miss(cache, "k", FC_MISS_EXPIRED), 0);
    assert_int_equal(fc_contains(cache, fc_str("k"), NULL), FC_E_MISS);
    assert_int_equal(fc_get(cache, fc_str("k"), FC_GET_STALE, &frame, NULL), 0);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    assert_true(info.stale);
    assert_int_equal(info.stale_until_ns - info.expires_ns, 20 * second_ns);
    assert_true(are_numbers(frame, 3, 5));
    fc_frame_release(frame);
    assert_int_equal(stats_of(cache).stale_hits, 1);
    int64_t then = now_ns;
    fresh = open_clocked(dir);
    now_ns = then;
    now_ns += 15 * second_ns;
    assert_int_equal(get_status(fresh, "k", FC_GET_STALE), 0);
    now_ns += 5 * second_ns;
    assert_int_equal(get_status(fresh, "k", FC_GET_STALE), FC_E_MISS);
    assert_int_equal(must_miss(cache, "k", FC_MISS_EXPIRED), 20 * SECOND_MS);
    fc_cache_close(fresh);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_stale_frame_counts_as_absent_for_a_put_but_has_its_sequence(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    fc_frame *frame;
    (void)state;

    put_with(cache, "k", (fc_put_options){.ttl_ms = SECOND_MS, .stale_ms = FC_NEVER});
    now_ns += 2 * second_ns;
    assert_int_equal(fc_get(cache, fc_str("k"), FC_GET_STALE, &frame, NULL), 0);
    put_with(cache, "k", (fc_put_options){.expect = sequence_of(frame), .ttl_ms = SECOND_MS,
                                          .stale_ms = SECOND_MS});
    fc_frame_release(frame);
    now_ns += 1 * second_ns;
    put_with(cache, "k", (fc_put_options){.expect = FC_ABSENT});
    assert_int_equal(get_status(cache, "k", 0), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void sliding_frames_live_while_they_are_used(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    (void)state;

    put_with(cache, "k", (fc_put_options){.ttl_ms = 10 * SECOND_MS, .flags = FC_PUT_SLIDING});
    put_with(cache, "plain", (fc_put_options){.ttl_ms = 10 * SECOND_MS});
    for (int i = 0; i < 5; i++) {
        now_ns += 6 * second_ns;
        assert_int_equal(get_status(cache, "k", 0), 0);
    }
    must_miss(cache, "plain", FC_MISS_EXPIRED);
    now_ns += 6 * second_ns;
    assert_int_equal(get_status(cache, "k", FC_GET_PEEK), 0); /* does not renew */
    now_ns += 5 * second_ns;
    must_miss(cache, "k", FC_MISS_EXPIRED);
    fc_cache_close(cache);
}

static void a_touch_keeps_the_stale_time(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    (void)state;

    put_with(cache, "k", (fc_put_options){.ttl_ms = 10 * SECOND_MS, .stale_ms = 5 * SECOND_MS});
    assert_int_equal(fc_touch(cache, fc_str("k"), 60 * SECOND_MS, NULL), 0);
    now_ns += 61 * second_ns;
    assert_int_equal(get_status(cache, "k", FC_GET_STALE), 0);
    assert_int_equal(fc_touch(cache, fc_str("k"), 60 * SECOND_MS, NULL), FC_E_MISS);
    now_ns += 5 * second_ns;
    assert_int_equal(get_status(cache, "k", FC_GET_STALE), FC_E_MISS);
    fc_cache_close(cache);
}

static void housekeeping_leaves_stale_frames_and_takes_gone_ones(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    (void)state;

    put_with(cache, "stale", (fc_put_options){.ttl_ms = SECOND_MS, .stale_ms = FC_NEVER});
    put_with(cache, "gone", (fc_put_options){.ttl_ms = SECOND_MS});
    now_ns += 2 * second_ns;
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).frames, 1);
    assert_int_equal(get_status(cache, "stale", FC_GET_STALE), 0);
    must_miss(cache, "gone", FC_MISS_EXPIRED);
    fc_cache_close(cache);
}

/* ---- Tags ---- */

static void put_tagged(fc_cache *cache, const char *key, const char *one, const char *two) {
    fc_bytes tags[2] = {fc_str(one), fc_str(two ? two : "")};
    put_with(cache, key, (fc_put_options){.tags = tags, .tag_count = two ? 2 : 1});
}

static void a_tag_takes_its_frames_and_no_others(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_clocked(dir), *other = open_clocked(dir);
    uint64_t count;
    char key[32], tag[32];
    (void)state;

    for (int i = 0; i < 100; i++) { /* more tags than the filter has bits */
        snprintf(key, sizeof key, "k-%d", i);
        snprintf(tag, sizeof tag, "tag-%d", i);
        put_tagged(cache, key, tag, i % 10 == 0 ? "ten" : NULL);
    }
    assert_int_equal(fc_delete_tag(other, fc_str("tag-33"), &count, NULL), 0);
    assert_int_equal(count, 1);
    must_miss(other, "k-33", FC_MISS_INVALIDATED);
    assert_int_equal(fc_delete_tag(other, fc_str("ten"), &count, NULL), 0);
    assert_int_equal(count, 10);
    must_miss(cache, "k-90", FC_MISS_INVALIDATED);
    assert_int_equal(fc_delete_tag(other, fc_str("nobody"), &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(stats_of(cache).frames, 89);
    fc_cache_close(other);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void check_tags(const fc_info *info) {
    assert_int_equal(info->tag_count, 2);
    assert_true(info->tags[0].size == 3 && !memcmp(info->tags[0].data, "sql", 3));
    assert_true(info->tags[1].size == 5 && !memcmp(info->tags[1].data, "daily", 5));
}

static void frames_and_cursors_tell_the_tags(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    fc_info info = {.size = sizeof info};
    fc_cursor *cursor;
    fc_frame *frame;
    (void)state;

    put_tagged(cache, "k", "sql", "daily");
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, NULL), 0);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    check_tags(&info);
    fc_frame_release(frame);
    assert_int_equal(fc_cursor_open(cache, fc_str(""), &cursor, NULL), 0);
    assert_int_equal(fc_cursor_next(cursor, &info, NULL), 0);
    check_tags(&info);
    fc_cursor_close(cursor);
    fc_cache_close(cache);
}

static void a_build_keeps_tags_that_its_caller_has_let_go(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    char text[] = "sql";
    fc_bytes tags[] = {{text, 3}};
    fc_put_options options = {.size = sizeof options, .tags = tags, .tag_count = 1};
    fc_build *build;
    uint64_t count;
    (void)state;

    assert_int_equal(begin_numbers(cache, fc_str("k"), 4, 1, &options, &build, NULL), 0);
    memset(text, 'x', 3);
    tags[0] = (fc_bytes){0};
    assert_int_equal(fc_build_commit(build, 4, NULL, NULL), 0);
    assert_int_equal(fc_delete_tag(cache, fc_str("sql"), &count, NULL), 0);
    assert_int_equal(count, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void wrong_tags_and_times_are_refused(void **state) {
    fc_cache *cache = open_clocked(private_dir());
    char text[256] = {0};
    fc_bytes tags[65];
    fc_error error;
    (void)state;

    for (int i = 0; i < 65; i++)
        tags[i] = fc_str("t");
    fc_put_options options = {.size = sizeof options, .tags = tags, .tag_count = 65};
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &options, NULL, &error),
                     FC_E_INVALID);
    options.tag_count = 64;
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &options, NULL, &error), 0);
    tags[1] = (fc_bytes){text, 256};
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &options, NULL, &error),
                     FC_E_INVALID);
    assert_non_null(strstr(error.message, "255"));
    options = (fc_put_options){.size = sizeof options, .stale_ms = -7};
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &options, NULL, &error),
                     FC_E_INVALID);
    assert_int_equal(fc_delete_tag(cache, (fc_bytes){0}, NULL, &error), FC_E_INVALID);
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stale_frame_is_had_only_by_who_asks_until_its_stale_time),
        cmocka_unit_test(a_stale_frame_counts_as_absent_for_a_put_but_has_its_sequence),
        cmocka_unit_test(sliding_frames_live_while_they_are_used),
        cmocka_unit_test(a_touch_keeps_the_stale_time),
        cmocka_unit_test(housekeeping_leaves_stale_frames_and_takes_gone_ones),
        cmocka_unit_test(a_tag_takes_its_frames_and_no_others),
        cmocka_unit_test(frames_and_cursors_tell_the_tags),
        cmocka_unit_test(a_build_keeps_tags_that_its_caller_has_let_go),
        cmocka_unit_test(wrong_tags_and_times_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
