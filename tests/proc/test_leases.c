/* What a reader holds stays as it is, whatever others do, and goes when the reader dies.
 */
#include "support_proc.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS  131072 /* two columns of 1 MiB */
#define BYTES (2 * MIB)

/* ---- A reader in another process that holds a frame until it is told ---- */

typedef struct reader {
    const char *dir, *key;
    int64_t rows, first;
    _Atomic int phase; /* 1: holds, 2: look again and let go, 3: has let go */
} reader;

static void wait_phase(reader *r, int phase) {
    for (int64_t end = now_ms() + 60000; atomic_load(&r->phase) < phase; sleep_ms(1))
        CHECK(now_ms() < end);
}

/* A budget given expressly would hold for all. */
static fc_cache *open_as_reader(const char *dir, uint32_t flags) {
    fc_options options = options_in(dir);

    options.flags = flags;
    options.budget = NULL;
    return open_with(&options);
}

static void hold(void *context) {
    reader *r = context;
    fc_cache *cache = open_as_reader(r->dir, FC_NO_THREADS);
    fc_frame *frame = must_get(cache, r->key, r->rows, r->first);

    atomic_store(&r->phase, 1);
    wait_phase(r, 2);
    CHECK(are_numbers(frame, r->rows, r->first));
    fc_frame_release(frame);
    atomic_store(&r->phase, 3);
    fc_cache_close(cache);
}

static pid_t start_reader(reader *r, const char *dir, const char *key, int64_t rows,
                          int64_t first) {
    r->dir = dir;
    r->key = key;
    r->rows = rows;
    r->first = first;
    atomic_store(&r->phase, 0);
    pid_t pid = spawn(hold, r);
    wait_phase(r, 1);
    return pid;
}

static void replaced_frame_stays_as_it_was_for_who_maps_it(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    reader *r = shared_memory(sizeof *r);
    (void)state;

    must_put(cache, "key", ROWS, 1000);
    pid_t pid = start_reader(r, dir, "key", ROWS, 1000);
    fc_frame *own = must_get(cache, "key", ROWS, 1000);
    for (int i = 0; i < 20; i++) {
        must_put(cache, "key", ROWS, 2000 + i);
        must_put(cache, "filler", ROWS, i);
    }
    assert_true(are_numbers(own, ROWS, 1000));
    fc_frame_release(own);
    fc_stats stats = stats_of(cache);
    assert_int_equal(stats.zombie_frames, 1); /* only the reader's; ours went */
    assert_true(stats.zombie_bytes >= BYTES && stats.zombie_bytes < BYTES + 16 * KIB);
    atomic_store(&r->phase, 2);
    must_end(pid);
    must_be_clean(cache);
    assert_int_equal(stats_of(cache).zombie_frames, 0);
    fc_cache_close(cache);
}

static void deleted_and_cleared_frames_stay_for_who_maps_them(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    reader *r = shared_memory(2 * sizeof *r);
    uint64_t gone;
    (void)state;

    must_put(cache, "deleted", ROWS, 1);
    must_put(cache, "cleared", 3, 2);
    pid_t first = start_reader(&r[0], dir, "deleted", ROWS, 1);
    pid_t second = start_reader(&r[1], dir, "cleared", 3, 2);
    assert_int_equal(fc_delete(cache, fc_str("deleted"), NULL), 0);
    assert_int_equal(fc_cache_clear(cache, &gone, NULL), 0);
    assert_int_equal(gone, 1);
    for (int i = 0; i < 8; i++)
        must_put(cache, "filler", i % 2 ? ROWS : 3, i);
    must_miss(cache, "cleared", FC_MISS_DELETED);
    atomic_store(&r[0].phase, 2);
    atomic_store(&r[1].phase, 2);
    must_end(first);
    must_end(second);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void eviction_never_touches_a_leased_frame(void **state) {
    const char *dir = private_dir();
    fc_options options = options_in(dir);
    reader *r = shared_memory(sizeof *r);
    char name[16];
    (void)state;

    options.budget = "12MiB"; /* five of these frames */
    fc_cache *cache = open_with(&options);
    must_put(cache, "held", ROWS, 77);
    pid_t pid = start_reader(r, dir, "held", ROWS, 77);
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "other-%d", i);
        must_put(cache, name, ROWS, i);
    }
    fc_stats stats = stats_of(cache);
    assert_true(stats.evicted >= 25);
    fc_frame_release(must_get(cache, "held", ROWS, 77));
    must_miss(cache, "other-0", FC_MISS_EVICTED);
    atomic_store(&r->phase, 2);
    must_end(pid);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void reader_that_is_killed_gives_up_its_lease(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    reader *r = shared_memory(sizeof *r);
    (void)state;

    must_put(cache, "key", ROWS, 5);
    pid_t pid = start_reader(r, dir, "key", ROWS, 5);
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).zombie_frames, 1);
    kill_and_reap(pid);
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    fc_stats stats = stats_of(cache);
    assert_int_equal(stats.zombie_frames, 0);
    assert_int_equal(stats.used_bytes, stats.control_bytes);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void budget_error_tells_what_was_asked_held_and_replaced(void **state) {
    const char *dir = private_dir();
    fc_options options = options_in(dir);
    reader *r = shared_memory(5 * sizeof *r);
    pid_t pids[5];
    char names[5][8];
    fc_error error;
    (void)state;

    options.budget = "11MiB"; /* five frames, and the index */
    options.reclaim_wait = "10ms";
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < 5; i++) {
        snprintf(names[i], sizeof names[i], "held-%d", i);
        must_put(cache, names[i], ROWS, i);
        pids[i] = start_reader(&r[i], dir, names[i], ROWS, i);
    }
    assert_int_equal(fc_delete(cache, fc_str("held-4"), NULL), 0);
    assert_int_equal(put_numbers(cache, fc_str("one more"), ROWS, 9, NULL, NULL, &error),
                     FC_E_BUDGET);
    assert_in_range(error.asked_bytes, BYTES, BYTES + 16 * KIB);
    assert_int_equal(error.budget_bytes, 11 * MIB);
    assert_in_range(error.leased_bytes, 4 * BYTES, 4 * BYTES + 64 * KIB);
    assert_in_range(error.zombie_bytes, BYTES, BYTES + 16 * KIB);
    assert_int_equal(error.used_bytes, stats_of(cache).used_bytes);
    assert_non_null(strstr(error.message, "FRAMECACHE_BUDGET"));
    for (int i = 0; i < 4; i++)
        fc_frame_release(must_get(cache, names[i], ROWS, i));
    kill_and_reap(pids[0]);
    must_put(cache, "one more", ROWS, 9);
    for (int i = 1; i < 5; i++) {
        atomic_store(&r[i].phase, 2);
        must_end(pids[i]);
    }
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* Mapped, but not in use: the watcher of that process gives it up by itself. */
static void hold_idle(void *context) {
    reader *r = context;
    fc_cache *cache = open_as_reader(r->dir, 0);

    fc_frame_release(must_get(cache, r->key, r->rows, r->first));
    atomic_store(&r->phase, 1);
    wait_phase(r, 2);
    atomic_store(&r->phase, 3);
    fc_cache_close(cache);
}

static void idle_mappings_of_another_process_go_when_room_is_needed(void **state) {
    const char *dir = private_dir();
    fc_options options = options_in(dir);
    reader *r = shared_memory(sizeof *r);
    (void)state;

    options.budget = "5MiB"; /* two frames */
    options.reclaim_wait = "60s";
    fc_cache *cache = open_with(&options);
    must_put(cache, "idle", ROWS, 1);
    *r = (reader){.dir = dir, .key = "idle", .rows = ROWS, .first = 1};
    pid_t pid = spawn(hold_idle, r);
    wait_phase(r, 1);
    for (char name[] = "a"; *name < 'i'; ++*name) /* used once each, "idle" twice */
        must_put(cache, name, ROWS, 2);
    must_miss(cache, "idle", FC_MISS_EVICTED);
    assert_true(stats_of(cache).pressure_epochs > 0);
    atomic_store(&r->phase, 2);
    must_end(pid);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void idle_mapping_of_a_replaced_frame_leaves_no_zombie(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    reader *r = shared_memory(sizeof *r);
    (void)state;

    must_put(cache, "key", ROWS, 1);
    *r = (reader){.dir = dir, .key = "key", .rows = ROWS, .first = 1};
    pid_t pid = spawn(hold_idle, r);
    wait_phase(r, 1);
    must_put(cache, "key", ROWS, 2);
    for (int64_t end = now_ms() + 60000; stats_of(cache).zombie_frames; sleep_ms(2))
        assert_true(now_ms() < end);
    atomic_store(&r->phase, 2);
    must_end(pid);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Frames in one process ---- */

static void frames_outlive_the_cache_they_came_from(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    const fc_column *late;
    fc_frame *slice;
    (void)state;

    must_put(cache, "key", ROWS, 42);
    fc_frame *frame = must_get(cache, "key", ROWS, 42);
    fc_frame *unmapped;
    must_put(cache, "second", ROWS, 43);
    assert_int_equal(fc_get(cache, fc_str("second"), 0, &unmapped, NULL), 0);
    assert_int_equal(fc_frame_slice(frame, 10, 5, &slice, NULL), 0);
    fc_cache_close(cache);
    assert_true(are_numbers(frame, ROWS, 42));
    assert_true(are_numbers(slice, 5, 52));
    /* its segments are mapped only now */
    assert_int_equal(fc_frame_column_at(unmapped, 1, &late, NULL), 0);
    assert_int_equal(((const int64_t *)late->values)[1], -44);
    cache = open_in(dir);
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).zombie_frames, 1);
    fc_frame_release(frame);
    assert_true(are_numbers(slice, 5, 52));
    fc_frame_release(slice);
    fc_frame_release(unmapped);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void private_frame_is_changed_by_its_owner_only(void **state) {
    fc_cache *cache = open_in(private_dir());
    (void)state;

    for (int i = 0; i < 2; i++) {
        int64_t rows = i ? ROWS : 10;
        const fc_column *column;
        fc_frame *copy;
        must_put(cache, "key", rows, 1);
        fc_frame *frame = must_get(cache, "key", rows, 1);
        assert_int_equal(fc_frame_private(frame, &copy, NULL), 0);
        assert_int_equal(fc_frame_column(copy, "v", FC_TYPE_INT64, &column, NULL), 0);
        ((int64_t *)fc_writable(column))[3] = 99;
        assert_int_equal(((const int64_t *)column->values)[3], 99);
        assert_true(stats_of(cache).private_bytes >= 4096);
        fc_frame_release(frame);
        must_put(cache, "key", rows, 5);
        assert_int_equal(((const int64_t *)column->values)[4], 5);
        fc_frame_release(copy);
        assert_int_equal(stats_of(cache).private_bytes, 0);
        must_be_clean(cache);
    }
    fc_cache_close(cache);
}

/* ---- Build in place ---- */

static void build_appears_at_commit_and_never_after_abort(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_build *build;
    fc_frame *frame;
    (void)state;

    for (int big = 0; big < 2; big++) {
        int64_t rows = big ? ROWS : 10;
        assert_int_equal(begin_numbers(cache, fc_str("key"), rows, 3, NULL, &build, NULL),
                         0);
        must_miss(cache, "key", big ? FC_MISS_DELETED : FC_MISS_NEVER);
        fc_build_abort(build);
        must_miss(cache, "key", big ? FC_MISS_DELETED : FC_MISS_NEVER);
        assert_int_equal(begin_numbers(cache, fc_str("key"), rows, 3, NULL, &build, NULL),
                         0);
        assert_int_equal(fc_build_commit(build, rows - 1, &frame, NULL), 0);
        assert_true(are_numbers(frame, rows - 1, 3));
        fc_frame_release(frame);
        fc_frame_release(must_get(cache, "key", rows - 1, 3));
        must_be_clean(cache);
        assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    }
    fc_cache_close(cache);
}

static void build_and_die(void *context) {
    fc_cache *cache = open_in(context);
    fc_build *build;

    CHECK(begin_numbers(cache, fc_str("key"), ROWS, 3, NULL, &build, NULL) == 0);
    raise(SIGSTOP);
}

static void killed_builder_leaves_nothing(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    (void)state;

    pid_t pid = spawn(build_and_die, (void *)(uintptr_t)dir);
    must_stop(pid);
    assert_true(stats_of(cache).writing_bytes >= BYTES);
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_true(stats_of(cache).writing_bytes >= BYTES); /* it is alive */
    kill_and_reap(pid);
    must_be_clean(cache);
    assert_int_equal(stats_of(cache).used_bytes, stats_of(cache).control_bytes);
    must_miss(cache, "key", FC_MISS_NEVER);
    fc_cache_close(cache);
}

static void close_aborts_open_builds(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir);
    fc_build *committed, *aborted;
    fc_error error;
    (void)state;

    assert_int_equal(begin_numbers(cache, fc_str("a"), ROWS, 3, NULL, &committed, NULL),
                     0);
    assert_int_equal(begin_numbers(cache, fc_str("b"), 10, 3, NULL, &aborted, NULL), 0);
    fc_cache_close(cache);
    assert_int_equal(fc_build_commit(committed, ROWS, NULL, &error), FC_E_CLOSED);
    fc_build_abort(aborted);
    must_be_clean_in(dir);
}

/* ---- Who holds what ---- */

typedef struct found {
    int calls, status; /* status: what the callback returns */
    int64_t pid;       /* of the last one */
} found;

static int count_holder(void *context, const fc_holder *holder) {
    found *f = context;
    f->calls++;
    f->pid = holder->pid;
    return f->status;
}

static void the_callback_ends_the_walk_over_holders_with_its_result(void **state) {
    fc_cache *cache = open_in(private_dir());
    bool all;
    (void)state;

    must_put(cache, "a", 3, 1);
    must_put(cache, "b", 3, 2);
    fc_frame *a = must_get(cache, "a", 3, 1), *b = must_get(cache, "b", 3, 2);
    for (int status = -2; status <= 2; status++) {
        found f = {.status = status};
        assert_int_equal(fc_cache_holders(cache, count_holder, &f, &all, NULL), status);
        assert_int_equal(f.calls, status ? 1 : 2);
        assert_int_equal(f.pid, getpid());
    }
    fc_frame_release(a);
    fc_frame_release(b);
    fc_cache_close(cache);
}

typedef struct elsewhere {
    const char *dir;
    _Atomic bool ready, refused, end;
} elsewhere;

/* A cache at the same path, on another file system that only this process sees. */
static void hold_in_another_place(void *context) {
    elsewhere *e = context;
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("fc-test", e->dir, "tmpfs", 0, "mode=0700")) {
        atomic_store(&e->refused, true);
        return;
    }
    fc_cache *cache = open_in(e->dir);
    must_put(cache, "a", 3, 1);
    fc_frame *frame = must_get(cache, "a", 3, 1);
    atomic_store(&e->ready, true);
    while (!atomic_load(&e->end))
        sleep_ms(1);
    fc_frame_release(frame);
    fc_cache_close(cache);
}

static void a_holder_in_a_cache_of_the_same_path_elsewhere_is_none(void **state) {
    elsewhere *e = shared_memory(sizeof *e);
    found f = {0};
    (void)state;

    e->dir = private_dir();
    fc_cache *cache = open_in(e->dir);
    must_put(cache, "a", 3, 1);
    pid_t pid = spawn(hold_in_another_place, e);
    for (int64_t end = now_ms() + 60000; !atomic_load(&e->ready); sleep_ms(1))
        if (atomic_load(&e->refused) || now_ms() > end)
            break;
    int status = fc_cache_holders(cache, count_holder, &f, NULL, NULL);
    atomic_store(&e->end, true);
    must_end(pid);
    fc_cache_close(cache);
    if (atomic_load(&e->refused))
        skip(); /* it takes the right to mount */
    assert_int_equal(status, 0);
    assert_int_equal(f.calls, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_frame_stays_as_it_was_for_who_maps_it),
        cmocka_unit_test(deleted_and_cleared_frames_stay_for_who_maps_them),
        cmocka_unit_test(eviction_never_touches_a_leased_frame),
        cmocka_unit_test(reader_that_is_killed_gives_up_its_lease),
        cmocka_unit_test(budget_error_tells_what_was_asked_held_and_replaced),
        cmocka_unit_test(idle_mappings_of_another_process_go_when_room_is_needed),
        cmocka_unit_test(idle_mapping_of_a_replaced_frame_leaves_no_zombie),
        cmocka_unit_test(frames_outlive_the_cache_they_came_from),
        cmocka_unit_test(private_frame_is_changed_by_its_owner_only),
        cmocka_unit_test(build_appears_at_commit_and_never_after_abort),
        cmocka_unit_test(killed_builder_leaves_nothing),
        cmocka_unit_test(close_aborts_open_builds),
        cmocka_unit_test(the_callback_ends_the_walk_over_holders_with_its_result),
        cmocka_unit_test(a_holder_in_a_cache_of_the_same_path_elsewhere_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
