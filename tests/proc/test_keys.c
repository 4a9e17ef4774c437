/* Several processes at the same keys: compare-and-put, waiting, walking, creating. */
#include "support_proc.h"

#include <signal.h>
#include <unistd.h>

/* ---- Compare and put ---- */

typedef struct counter {
    const char *dir;
    int64_t increments;
    _Atomic int ready, conflicts;
} counter;

enum { COUNTERS = 4, INCREMENTS = 50 };

/* Reads a number, puts the next one if nobody came between. */
static void increment(void *context) {
    counter *c = context;
    fc_cache *cache = open_in(c->dir);
    int done = 0;

    for (atomic_fetch_add(&c->ready, 1); atomic_load(&c->ready) < COUNTERS;)
        sleep_ms(1);
    while (done < INCREMENTS) {
        fc_put_options options = {.size = sizeof options, .expect = FC_ABSENT};
        fc_frame *frame;
        const fc_column *column;
        int64_t value = 0;
        if (fc_get(cache, fc_str("n"), 0, &frame, NULL) == 0) {
            CHECK(fc_frame_column(frame, "v", FC_TYPE_INT64, &column, NULL) == 0);
            value = *(const int64_t *)column->values;
            options.expect = sequence_of(frame);
            fc_frame_release(frame);
        }
        int status = put_numbers(cache, fc_str("n"), 1, value + 1, &options, NULL, NULL);
        CHECK(status == 0 || status == FC_E_CONFLICT);
        done += status == 0;
        c->conflicts += status == FC_E_CONFLICT;
    }
    fc_cache_close(cache);
}

static void compare_and_put_raced_by_processes_loses_no_update(void **state) {
    counter *c = shared_memory(sizeof *c);
    pid_t pids[COUNTERS];
    (void)state;

    c->dir = private_dir();
    for (int i = 0; i < COUNTERS; i++)
        pids[i] = spawn(increment, c);
    for (int i = 0; i < COUNTERS; i++)
        must_end(pids[i]);
    fc_cache *cache = open_in(c->dir);
    fc_frame_release(must_get(cache, "n", 1, COUNTERS * INCREMENTS));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void claim(void *context) {
    counter *c = context;
    fc_cache *cache = open_in(c->dir);
    fc_put_options options = {.size = sizeof options, .expect = FC_ABSENT};
    char name[16];

    for (atomic_fetch_add(&c->ready, 1); atomic_load(&c->ready) < COUNTERS;)
        sleep_ms(1);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "claim-%d", i);
        int status = put_numbers(cache, fc_str(name), 1, i, &options, NULL, NULL);
        CHECK(status == 0 || status == FC_E_CONFLICT);
        c->conflicts += status == FC_E_CONFLICT;
    }
    fc_cache_close(cache);
}

static void one_of_many_processes_puts_an_absent_key(void **state) {
    counter *c = shared_memory(sizeof *c);
    pid_t pids[COUNTERS];
    (void)state;

    c->dir = private_dir();
    for (int i = 0; i < COUNTERS; i++)
        pids[i] = spawn(claim, c);
    for (int i = 0; i < COUNTERS; i++)
        must_end(pids[i]);
    assert_int_equal(c->conflicts, (COUNTERS - 1) * 40);
    must_be_clean_in(c->dir);
}

/* ---- Waiting ---- */

typedef struct meeting {
    const char *dir, *step;
    _Atomic int phase;
    _Atomic uint64_t sequence;
} meeting;

static void wait_for_key(void *context) {
    meeting *m = context;
    fc_cache *cache = open_in(m->dir);
    fc_frame *frame;

    atomic_store(&m->phase, 1);
    while (fc_get(cache, fc_str("key"), 0, &frame, NULL))
        CHECK(fc_wait(cache, fc_str("key"), 0, 60000, NULL) == 0);
    CHECK(are_numbers(frame, 3, 5));
    uint64_t sequence = sequence_of(frame);
    fc_frame_release(frame);
    atomic_store(&m->phase, 2);
    while (fc_get(cache, fc_str("key"), 0, &frame, NULL) == 0) {
        fc_frame_release(frame);
        CHECK(fc_wait(cache, fc_str("key"), sequence, FC_NEVER, NULL) == 0);
    }
    fc_cache_close(cache);
}

static void waiter_is_woken_by_put_and_by_delete_of_another_process(void **state) {
    meeting *m = shared_memory(sizeof *m);
    (void)state;

    m->dir = private_dir();
    fc_cache *cache = open_in(m->dir);
    pid_t pid = spawn(wait_for_key, m);
    while (atomic_load(&m->phase) < 1)
        sleep_ms(1);
    sleep_ms(20);
    must_put(cache, "key", 3, 5);
    for (int64_t end = now_ms() + 60000; atomic_load(&m->phase) < 2; sleep_ms(1))
        assert_true(now_ms() < end);
    sleep_ms(20);
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    must_end(pid);
    fc_cache_close(cache);
}

static void put_and_die(void *context) {
    meeting *m = context;
    fc_cache *cache = open_in(m->dir);

    die_at_step(m->step, 1);
    must_put(cache, "key", 3, 5);
}

/* Killed between its commit and the wake, or before it: the waiter sees what there is. */
static void waiter_outlives_a_putter_that_is_killed(void **state) {
    (void)state;
    for (int published = 0; published < 2; published++) {
        meeting m = {.dir = private_dir(),
                     .step = published ? "put-published" : "put-live"};
        fc_cache *cache = open_in(m.dir);
        fc_error error;
        pid_t pid = spawn(put_and_die, &m);
        if (!published) {
            must_die(pid);
            assert_int_equal(fc_wait(cache, fc_str("key"), 0, 30, &error), FC_E_TIMEOUT);
            assert_non_null(strstr(error.message, "'key'"));
            must_miss(cache, "key", FC_MISS_NEVER);
        } else {
            assert_int_equal(fc_wait(cache, fc_str("key"), 0, 60000, &error), 0);
            must_die(pid);
            fc_frame_release(must_get(cache, "key", 3, 5));
        }
        must_put(cache, "key", 3, 6);
        fc_frame_release(must_get(cache, "key", 3, 6));
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

static void wait_of_zero_only_asks(void **state) {
    fc_cache *cache = open_in(private_dir());
    (void)state;

    assert_int_equal(fc_wait(cache, fc_str("key"), 0, 0, NULL), FC_E_TIMEOUT);
    must_put(cache, "key", 1, 1);
    assert_int_equal(fc_wait(cache, fc_str("key"), 0, 0, NULL), 0);
    fc_frame *frame = must_get(cache, "key", 1, 1);
    assert_int_equal(fc_wait(cache, fc_str("key"), sequence_of(frame), 0, NULL),
                     FC_E_TIMEOUT);
    assert_int_equal(fc_wait(cache, fc_str("key"), 0, -7, NULL), FC_E_INVALID);
    fc_frame_release(frame);
    fc_cache_close(cache);
}

/* ---- Walking while others put ---- */

typedef struct churn {
    const char *dir;
    _Atomic bool stop;
    _Atomic int rounds;
} churn;

static void put_and_delete(void *context) {
    churn *c = context;
    fc_cache *cache = open_in(c->dir);
    char name[16];

    for (int i = 0; !atomic_load(&c->stop); i++) {
        snprintf(name, sizeof name, "moving-%d", i % 60);
        must_put(cache, name, 1 + i % 5, i);
        must_put(cache, "replaced", 4, i);
        snprintf(name, sizeof name, "moving-%d", (i + 30) % 60);
        int status = fc_delete(cache, fc_str(name), NULL);
        CHECK(status == 0 || status == FC_E_MISS);
        atomic_store(&c->rounds, i);
    }
    fc_cache_close(cache);
}

/* What stands all the time is met once; later puts are not; nothing is met twice. */
static void walk_once(fc_cache *cache) {
    bool met[20] = {false};
    uint64_t moving = 0;
    fc_cursor *cursor;
    fc_info info = {.size = sizeof info};
    int status;

    assert_int_equal(fc_cursor_open(cache, fc_str(""), &cursor, NULL), 0);
    uint64_t opened = stats_of(cache).sequence;
    must_put(cache, "later", 1, 1);
    while ((status = fc_cursor_next(cursor, &info, NULL)) == 0) {
        char key[32] = "";
        int number;
        memcpy(key, info.key.data, info.key.size < 31 ? info.key.size : 31);
        assert_string_not_equal(key, "later");
        assert_true(info.sequence <= opened);
        if (sscanf(key, "still-%d", &number) == 1) {
            assert_false(met[number]);
            met[number] = true;
            assert_int_equal(info.rows, number + 1);
            assert_int_equal(info.columns, 2);
        } else if (sscanf(key, "moving-%d", &number) == 1) {
            assert_false(moving >> number & 1);
            moving |= 1ull << number;
        }
    }
    assert_int_equal(status, FC_DONE);
    for (int i = 0; i < 20; i++)
        assert_true(met[i]);
    fc_cursor_close(cursor);
    assert_int_equal(fc_delete(cache, fc_str("later"), NULL), 0);
}

static void cursor_is_a_snapshot_while_others_put_and_delete(void **state) {
    churn *c = shared_memory(sizeof *c);
    char name[16];
    (void)state;

    c->dir = private_dir();
    fc_cache *cache = open_in(c->dir);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "still-%d", i);
        must_put(cache, name, i + 1, i);
    }
    pid_t pid = spawn(put_and_delete, c);
    while (atomic_load(&c->rounds) < 100)
        sleep_ms(1);
    for (int i = 0; i < 50; i++)
        walk_once(cache);
    atomic_store(&c->stop, true);
    must_end(pid);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Creating ---- */

static void open_and_put(void *context) {
    counter *c = context;
    int number = atomic_fetch_add(&c->ready, 1);
    char name[16];

    while (atomic_load(&c->ready) < 8)
        sleep_ms(1);
    fc_cache *cache = open_in(c->dir);
    snprintf(name, sizeof name, "from-%d", number);
    must_put(cache, name, 1, number);
    atomic_fetch_add(&c->conflicts, 1);
    while (atomic_load(&c->conflicts) < 8) /* all are attached to one cache at once */
        sleep_ms(1);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "from-%d", i);
        fc_frame_release(must_get(cache, name, 1, i));
    }
    fc_cache_close(cache);
}

static void processes_that_open_at_once_make_one_cache(void **state) {
    (void)state;
    for (int round = 0; round < 10; round++) {
        counter *c = shared_memory(sizeof *c);
        pid_t pids[8];
        c->dir = private_dir();
        for (int i = 0; i < 8; i++)
            pids[i] = spawn(open_and_put, c);
        for (int i = 0; i < 8; i++)
            must_end(pids[i]);
        must_be_clean_in(c->dir);
    }
}

static void create_and_die(void *dir) {
    die_at_step("create-magic", 1);
    open_in(dir);
}

static void creator_that_is_killed_leaves_a_directory_that_opens(void **state) {
    const char *dir = private_dir();
    (void)state;

    must_die(spawn(create_and_die, (void *)(uintptr_t)dir));
    fc_cache *cache = open_in(dir);
    must_put(cache, "key", 1, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_and_put_raced_by_processes_loses_no_update),
        cmocka_unit_test(one_of_many_processes_puts_an_absent_key),
        cmocka_unit_test(waiter_is_woken_by_put_and_by_delete_of_another_process),
        cmocka_unit_test(waiter_outlives_a_putter_that_is_killed),
        cmocka_unit_test(wait_of_zero_only_asks),
        cmocka_unit_test(cursor_is_a_snapshot_while_others_put_and_delete),
        cmocka_unit_test(processes_that_open_at_once_make_one_cache),
        cmocka_unit_test(creator_that_is_killed_leaves_a_directory_that_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
