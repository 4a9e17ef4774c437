/* What comes between two steps of a call: a delete before the CAS of a compare-and-put, a
 * put before an expired frame is dropped, other processes' idle mappings of a full index,
 * a smaller manifest in a recycled file with larger segments, the cold tier's moves. */
#include "support_proc.h"

#include <unistd.h>

static fc_cache *between; /* of the hooks */
static int deletes;

static void delete_before_publishing(const char *step) {
    if (strcmp(step, "put-live") == 0 && deletes-- > 0)
        assert_int_equal(fc_delete(between, fc_str("key"), NULL), 0);
}

static void delete_before_the_cas_makes_an_expecting_put_conflict(void **state) {
    (void)state;
    fc_put_options options = {.size = sizeof options};
    fc_error error;
    between = open_in(private_dir());
    must_put(between, "key", 10, 1);
    fc_frame *frame = must_get(between, "key", 10, 1);
    options.expect = sequence_of(frame);
    fc_frame_release(frame);

    deletes = 1;
    fc__step_hook = delete_before_publishing;
    int status = put_numbers(between, fc_str("key"), 10, 2, &options, NULL, &error);
    fc__step_hook = NULL;

    assert_int_equal(status, FC_E_CONFLICT);
    must_miss(between, "key", FC_MISS_DELETED);
    must_be_clean(between);
    fc_cache_close(between);
}

/* The clock is asked by a touch between finding the frame and dropping it as expired. */
static int64_t clock_now = 1000000000000000000;
static int puts_by_clock;

static int64_t clock_that_puts(void *context) {
    (void)context;
    if (puts_by_clock > 0 && puts_by_clock-- == 1) {
        fc_put_options options = {.size = sizeof options, .ttl_ms = FC_NEVER};
        assert_int_equal(
            put_numbers(between, fc_str("key"), 10, 2, &options, NULL, NULL), 0);
    }
    return clock_now;
}

static void touch_of_an_expired_frame_leaves_one_put_meanwhile(void **state) {
    (void)state;
    fc_options options = options_in(private_dir());
    fc_put_options put = {.size = sizeof put, .ttl_ms = 1000};
    options.clock_ns = clock_that_puts;
    between = open_with(&options);
    assert_int_equal(put_numbers(between, fc_str("key"), 10, 1, &put, NULL, NULL), 0);

    clock_now += 2000000000;
    puts_by_clock = 1;
    fc_touch(between, fc_str("key"), 1000, NULL);

    fc_frame *frame;
    assert_int_equal(fc_get(between, fc_str("key"), 0, &frame, NULL), 0);
    assert_true(are_numbers(frame, 10, 2));
    fc_frame_release(frame);
    fc_cache_close(between);
}

/* ---- A full index that only idle mappings hold ---- */

enum { CAPACITY = 64 };

typedef struct mapper {
    fc_options options;
    _Atomic bool mapped, end;
} mapper;

static void map_all_and_idle(void *context) {
    mapper *m = context;
    char key[16];
    m->options.flags &= ~FC_NO_THREADS; /* a watcher gives them up when asked */
    fc_cache *cache = open_with(&m->options);
    for (int i = 0; i < CAPACITY; i++) {
        fc_frame *frame;
        snprintf(key, sizeof key, "%d", i);
        CHECK(fc_get(cache, fc_str(key), 0, &frame, NULL) == 0);
        fc_frame_release(frame);
    }
    atomic_store(&m->mapped, true);
    while (!atomic_load(&m->end))
        sleep_ms(1);
    fc_cache_close(cache);
}

static void full_index_of_idle_mappings_elsewhere_takes_a_new_key(void **state) {
    (void)state;
    char key[16];
    mapper *m = shared_memory(sizeof *m);
    m->options = options_in(private_dir());
    m->options.capacity = "64";
    fc_cache *cache = open_with(&m->options);
    for (int i = 0; i < CAPACITY; i++) {
        snprintf(key, sizeof key, "%d", i);
        must_put(cache, key, 10, i);
    }
    pid_t pid = spawn(map_all_and_idle, m);
    while (!atomic_load(&m->mapped))
        sleep_ms(1);

    must_put(cache, "new", 10, 1);

    atomic_store(&m->end, true);
    must_end(pid);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Recycling a long manifest for a frame of larger segments ---- */

static void put_columns(fc_cache *cache, const char *key, int count, int64_t rows) {
    enum { MOST = 300 };
    struct ArrowSchema schema;
    fc_field fields[MOST];
    char names[MOST][64];
    fc_build *build;
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "a column whose name is rather long: %d", i);
        fields[i] = (fc_field){names[i], "g"};
    }
    assert_int_equal(fc_schema_init(&schema, fields, (size_t)count, NULL), 0);
    assert_int_equal(fc_build_begin(cache, fc_str(key), &schema, rows, NULL, &build, NULL),
                     0);
    for (int i = 0; i < count; i++)
        memset(fc_build_column(build, i)->values, 0, (size_t)rows * 8);
    assert_int_equal(fc_build_commit(build, rows, NULL, NULL), 0);
    schema.release(&schema);
}

static void recycled_manifest_is_cut_though_the_segments_grow(void **state) {
    (void)state;
    fc_cache *cache = open_in(private_dir());
    put_columns(cache, "wide", 300, 1000);
    assert_int_equal(fc_delete(cache, fc_str("wide"), NULL), 0);
    assert_true(stats_of(cache).pool_bytes > 0);

    must_put(cache, "long", 160000, 1);

    assert_true(stats_of(cache).recycled_bytes > 0);
    assert_string_equal(faults_of(cache), "");
    fc_cache_close(cache);
}

/* The pool's ring for large frames may still name a record that has become small since. */
static void recycled_inline_manifest_is_cut_when_the_frame_has_segments(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_frame *frame;
    fc_info info = {.size = sizeof info};
    (void)state;

    must_put(cache, "small", 3700, 1); /* inline, 16 pages */
    frame = must_get(cache, "small", 3700, 1);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    fc_frame_release(frame);
    assert_int_equal(fc_delete(cache, fc_str("small"), NULL), 0);
    assert_int_equal(fc__status_state(cache->records[info.record].status), FC__POOL);
    atomic_store(&cache->control->hints_big[7], info.record + 1);
    must_put(cache, "more", 4480, 1); /* 18 pages of segments, and a manifest of one */
    frame = must_get(cache, "more", 4480, 1);
    uint32_t record = info.record;
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    fc_frame_release(frame);
    assert_int_equal(info.record, record);
    assert_string_equal(faults_of(cache), "");
    fc_cache_close(cache);
}

/* ---- The cold tier takes frames from record to record beside a walk ---- */

static void put_tagged(fc_cache *cache, const char *key) {
    fc_bytes tag = fc_str("t");
    fc_put_options options = {
        .size = sizeof options, .cost_s = 5, .tags = &tag, .tag_count = 1};
    assert_int_equal(put_numbers(cache, fc_str(key), 65536, 1, &options, NULL, NULL), 0);
}

static int listed(fc_cursor *cursor) {
    fc_info info = {.size = sizeof info};
    int count = 0, status;
    while ((status = fc_cursor_next(cursor, &info, NULL)) == 0)
        count++;
    assert_int_equal(status, FC_DONE);
    fc_cursor_close(cursor);
    return count;
}

static void a_cursor_tells_of_a_frame_that_moved_and_of_no_later_put(void **state) {
    fc_cache *cache = open_cold(private_dir());
    fc_cursor *before, *between_moves;
    (void)state;

    put_tagged(cache, "k");
    assert_int_equal(fc_cursor_open(cache, fc_str("k"), &before, NULL), 0);
    must_demote(cache, "k");
    assert_int_equal(fc_cursor_open(cache, fc_str("k"), &between_moves, NULL), 0);
    assert_int_equal(listed(before), 1);
    assert_int_equal(fc_cursor_open(cache, fc_str("k"), &before, NULL), 0);
    get_and_release(cache, "k", 65536, 1);
    assert_int_equal(listed(between_moves), 1);
    put_tagged(cache, "k"); /* in the place of the old one */
    assert_int_equal(listed(before), 0);
    fc_cache_close(cache);
}

/* As soon as one of two is deleted the other one moves. */
static void demote_both(const char *step) {
    if (strcmp(step, "delete-unslotted") != 0)
        return;
    fc__step_hook = NULL;
    demote(between, "a");
    demote(between, "b");
}

static void deletes_of_many_take_a_frame_that_moved_before_its_turn(void **state) {
    uint64_t count;
    (void)state;

    between = open_cold(private_dir());
    for (int how = 0; how < 3; how++) {
        put_tagged(between, "a");
        put_tagged(between, "b");
        fc__step_hook = demote_both;
        int status = how == 0   ? fc_delete_tag(between, fc_str("t"), &count, NULL)
                     : how == 1 ? fc_delete_prefix(between, fc_str(""), &count, NULL)
                                : fc_cache_clear(between, &count, NULL);
        assert_null(fc__step_hook);
        assert_int_equal(status, 0);
        assert_int_equal(count, 2);
        assert_int_equal(stats_of(between).frames, 0);
    }
    assert_int_equal(stats_of(between).demoted, 3);
    must_be_clean(between);
    fc_cache_close(between);
}

/* The clock is asked last before the CAS that deletes. */
static int moves_by_clock;

static int64_t clock_that_demotes(void *context) {
    (void)context;
    if (moves_by_clock > 0 && moves_by_clock-- == 1)
        must_demote(between, "a");
    return clock_now;
}

static void deletes_of_many_take_a_frame_that_moves_before_the_cas(void **state) {
    fc_options options = cold_options(private_dir());
    uint64_t count;
    (void)state;

    options.clock_ns = clock_that_demotes;
    between = open_with(&options);
    for (int how = 0; how < 3; how++) {
        put_tagged(between, "a");
        moves_by_clock = 1;
        int status = how == 0   ? fc_delete_tag(between, fc_str("t"), &count, NULL)
                     : how == 1 ? fc_delete_prefix(between, fc_str(""), &count, NULL)
                                : fc_cache_clear(between, &count, NULL);
        assert_int_equal(status, 0);
        assert_int_equal(count, 1);
        assert_int_equal(stats_of(between).frames, 0);
    }
    assert_int_equal(stats_of(between).demoted, 3);
    must_be_clean(between);
    fc_cache_close(between);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delete_before_the_cas_makes_an_expecting_put_conflict),
        cmocka_unit_test(touch_of_an_expired_frame_leaves_one_put_meanwhile),
        cmocka_unit_test(full_index_of_idle_mappings_elsewhere_takes_a_new_key),
        cmocka_unit_test(recycled_manifest_is_cut_though_the_segments_grow),
        cmocka_unit_test(recycled_inline_manifest_is_cut_when_the_frame_has_segments),
        cmocka_unit_test(a_cursor_tells_of_a_frame_that_moved_and_of_no_later_put),
        cmocka_unit_test(deletes_of_many_take_a_frame_that_moved_before_its_turn),
        cmocka_unit_test(deletes_of_many_take_a_frame_that_moves_before_the_cas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
