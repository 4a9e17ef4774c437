/* Watches: the descriptor is readable once fc_wait() would return. */
#include "support_proc.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_MS  20000 /* for what must happen */
#define NEVER_MS 300   /* for what must not */

static fc_cache *open_threaded(const char *dir) {
    fc_options options = options_in(dir);
    options.flags = 0;
    return open_with(&options);
}

static bool readable(const fc_watch *watch, int timeout_ms) {
    struct pollfd one = {fc_watch_fd(watch), POLLIN, 0};
    return poll(&one, 1, timeout_ms) == 1;
}

static fc_watch *watch_of(fc_cache *cache, const char *key, uint64_t sequence) {
    fc_watch *watch;
    fc_error error;
    if (fc_watch_open(cache, fc_str(key), sequence, &watch, &error))
        fail_msg("%s", error.message);
    return watch;
}

static void put_one(void *dir) {
    fc_cache *cache = open_in(dir);
    must_put(cache, "k", 3, 7);
    fc_cache_close(cache);
}

static void a_put_of_another_process_makes_it_readable(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_threaded(dir);
    fc_watch *watch = watch_of(cache, "k", 0);

    (void)state;
    assert_false(readable(watch, NEVER_MS));
    must_end(spawn(put_one, (void *)dir));
    assert_true(readable(watch, LONG_MS));
    fc_watch_close(watch);

    fc_frame *frame = must_get(cache, "k", 3, 7);
    watch = watch_of(cache, "k", sequence_of(frame));
    fc_watch *late = watch_of(cache, "k", 0);
    assert_true(readable(late, 0)); /* it is another already */
    assert_false(readable(watch, 0));
    fc_frame_release(frame);
    must_end(spawn(put_one, (void *)dir));
    assert_true(readable(watch, LONG_MS));
    fc_watch_close(late);
    fc_watch_close(watch);
    fc_cache_close(cache);
}

static void a_delete_and_an_expiry_make_it_readable(void **state) {
    fc_cache *cache = open_threaded(private_dir());
    fc_put_options brief = {.size = sizeof brief, .ttl_ms = 100};
    fc_frame *frame;
    fc_error error;

    (void)state;
    must_put(cache, "k", 3, 7);
    frame = must_get(cache, "k", 3, 7);
    fc_watch *watch = watch_of(cache, "k", sequence_of(frame));
    fc_frame_release(frame);
    assert_int_equal(fc_delete(cache, fc_str("k"), &error), 0);
    assert_true(readable(watch, LONG_MS));
    fc_watch_close(watch);
    assert_int_equal(put_numbers(cache, fc_str("k"), 3, 7, &brief, &frame, &error), 0);
    watch = watch_of(cache, "k", sequence_of(frame));
    fc_frame_release(frame);
    assert_true(readable(watch, LONG_MS));
    fc_watch_close(watch);
    fc_cache_close(cache);
}

static void the_end_of_a_flight_makes_it_readable(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_threaded(dir), *other = open_in(dir);
    fc_flight *flight, *ours;
    fc_frame *frame;
    fc_error error;

    (void)state;
    assert_int_equal(fc_flight_begin(other, fc_str("k"), 0, &frame, &flight, &error), 0);
    assert_non_null(flight);
    fc_watch *watch = watch_of(cache, "k", 0);
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &ours, &error),
                     FC_E_BUSY);
    assert_false(readable(watch, NEVER_MS));
    fc_flight_end(flight);
    assert_true(readable(watch, LONG_MS));
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &ours, &error), 0);
    assert_non_null(ours);
    fc_flight_end(ours);
    fc_watch_close(watch);
    fc_cache_close(other);
    fc_cache_close(cache);
}

static void *wait_for_ever(void *cache) {
    return (void *)(intptr_t)fc_wait(cache, fc_str("k"), 0, FC_NEVER, NULL);
}

static void the_end_of_a_flight_ends_a_wait(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_flight *flight;
    fc_frame *frame;
    pthread_t thread;
    void *result;
    struct timespec end;

    (void)state;
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, cache), 0);
    sleep_ms(NEVER_MS);
    assert_int_equal(pthread_tryjoin_np(thread, &result), EBUSY);
    fc_flight_end(flight);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += LONG_MS / 1000;
    assert_int_equal(pthread_timedjoin_np(thread, &result, &end), 0);
    assert_int_equal((intptr_t)result, 0);
    fc_cache_close(cache);
}

/* A process that begins to put when it is told. */
typedef struct writer {
    const char *dir;
    _Atomic bool go;
} writer;

static writer *new_writer(const char *dir) {
    writer *w = shared_memory(sizeof *w);
    w->dir = dir;
    return w;
}

static void wait_for_go(writer *w) {
    while (!atomic_load(&w->go))
        sleep_ms(1);
}

static void put_one_and_die(void *context) {
    writer *w = context;
    wait_for_go(w);
    fc_cache *cache = open_in(w->dir);
    die_at_step("put-published", 1); /* before it wakes anybody */
    must_put(cache, "k", 3, 7);
}

static void the_put_of_a_killed_process_is_seen_in_an_empty_cache_too(void **state) {
    writer *w = new_writer(private_dir());

    (void)state;
    pid_t child = spawn(put_one_and_die, w); /* first: a fork makes watches readable */
    fc_cache *cache = open_threaded(w->dir);
    fc_watch *watch = watch_of(cache, "k", 0);
    for (int64_t end = now_ms() + LONG_MS; !atomic_load(&cache->helper_idle); sleep_ms(1))
        assert_true(now_ms() < end);
    assert_false(readable(watch, 0));
    atomic_store(&w->go, true);
    must_die(child);
    assert_true(readable(watch, LONG_MS));
    fc_watch_close(watch);
    fc_cache_close(cache);
}

/* ---- Many watches, keys that share words, watches that come and go beside puts ---- */

#define KEYS   40
#define ROUNDS 60

static void put_rounds(void *context) {
    writer *w = context;
    wait_for_go(w);
    fc_cache *cache = open_in(w->dir);
    char key[16];
    for (int round = 1; round <= ROUNDS; round++)
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "k%d", i);
            must_put(cache, key, 3, round);
        }
    fc_cache_close(cache);
}

typedef struct follower {
    fc_cache *cache;
    int key;
} follower;

/* Sees the last value; a lost wake-up would leave it waiting. */
static void *follow(void *argument) {
    const follower *f = argument;
    char key[16];
    uint64_t sequence = 0;
    fc_frame *frame;
    snprintf(key, sizeof key, "k%d", f->key);
    for (bool last = false; !last;) {
        fc_watch *watch;
        if (fc_watch_open(f->cache, fc_str(key), sequence, &watch, NULL))
            return "no watch";
        while (!fc_get(f->cache, fc_str(key), 0, &frame, NULL)) {
            bool same = sequence_of(frame) == sequence;
            sequence = sequence_of(frame);
            last = are_numbers(frame, 3, ROUNDS);
            fc_frame_release(frame);
            if (same || last)
                break;
            fc_watch_close(watch);
            fc_watch_open(f->cache, fc_str(key), sequence, &watch, NULL);
        }
        bool told = last || readable(watch, LONG_MS);
        fc_watch_close(watch);
        if (!told)
            return "nothing came";
    }
    return NULL;
}

static void no_change_is_lost(void **state) {
    writer *w = new_writer(private_dir());
    follower followers[KEYS];
    pthread_t threads[KEYS];
    void *result;

    (void)state;
    /* Before the threads: a sanitizer's allocator may be locked in a child of them. */
    pid_t child = spawn(put_rounds, w);
    fc_cache *cache = open_threaded(w->dir);
    for (int i = 0; i < KEYS; i++) {
        followers[i] = (follower){cache, i};
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i]), 0);
    }
    atomic_store(&w->go, true);
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        if (result)
            fail_msg("%s", (const char *)result);
    }
    must_end(child);
    fc_cache_close(cache);
}

/* ---- Forks, close, refusals ---- */

static void a_fork_fires_the_parents_and_the_childs_close_only_frees(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_threaded(dir);
    fc_watch *watch = watch_of(cache, "k", 0);
    int status;

    (void)state;
    pid_t child = fork();
    if (!child) {
        int before = count_descriptors();
        fc_watch_close(watch);
        CHECK(count_descriptors() == before);
        fc_watch *own;
        CHECK(!fc_watch_open(cache, fc_str("k"), 0, &own, NULL));
        must_put(cache, "k", 3, 7);
        CHECK(readable(own, LONG_MS));
        fc_watch_close(own);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(readable(watch, 0)); /* its helper was stopped: look again */
    fc_watch_close(watch);
    fc_frame_release(must_get(cache, "k", 3, 7));
    fc_cache_close(cache);
}

static fc_cache *opened_in;
static _Atomic bool woken;

/* As another thread that misses a key just before the helper sleeps without end. */
static void count_and_wake(const char *step) {
    if (strcmp(step, "helper-sleeps") != 0 || !atomic_load(&opened_in->helper_idle) ||
        atomic_exchange(&woken, true))
        return;
    fc__count(opened_in, FC__COUNT_misses_never, 1);
    fc__helper_start(opened_in);
}

static void a_helper_that_is_just_about_to_sleep_is_woken(void **state) {
    opened_in = open_threaded(private_dir());
    const _Atomic uint64_t *all = &opened_in->control->counters[FC__COUNT_misses_never];
    (void)state;

    fc__step_hook = count_and_wake;
    fc__helper_start(opened_in);
    for (int64_t end = now_ms() + LONG_MS; !atomic_load(all); sleep_ms(1))
        assert_true(now_ms() < end);
    assert_true(atomic_load(&woken));
    fc__helper_stop(opened_in);
    fc__step_hook = NULL;
    fc_cache_close(opened_in);
}

static void stop_the_helper(const char *step) {
    if (strcmp(step, "watch-helped") == 0)
        fc__helper_stop(opened_in);
}

static void end_at_once(void *context) {
    (void)context;
}

/* A fork of another thread stops the helper first, and makes watches readable last. */
static void a_fork_that_begins_while_one_opens_refuses_nothing(void **state) {
    opened_in = open_threaded(private_dir());
    (void)state;

    fc__step_hook = stop_the_helper;
    fc_watch *watch = watch_of(opened_in, "k", 0);
    fc__step_hook = NULL;
    assert_false(readable(watch, 0));
    must_end(spawn(end_at_once, NULL));
    assert_true(readable(watch, 0));
    fc_watch_close(watch);
    fc_cache_close(opened_in);
}

static void closing_the_cache_makes_it_readable(void **state) {
    fc_cache *cache = open_threaded(private_dir());
    fc_watch *watch = watch_of(cache, "k", 0);
    int before = count_descriptors();

    (void)state;
    fc_cache_close(cache);
    assert_true(readable(watch, 0));
    fc_watch_close(watch);
    assert_true(count_descriptors() < before);
}

static void what_cannot_be_watched_is_refused(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir); /* FC_NO_THREADS */
    fc_watch *watch = (fc_watch *)&watch;
    fc_error error;

    (void)state;
    assert_int_equal(fc_watch_open(cache, fc_str("k"), 0, &watch, &error),
                     FC_E_UNSUPPORTED);
    assert_null(watch);
    assert_non_null(strstr(error.message, "timer"));
    assert_int_equal(fc_watch_open(cache, fc_str(""), 0, &watch, &error), FC_E_INVALID);
    fc_watch_close(NULL);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_put_of_another_process_makes_it_readable),
        cmocka_unit_test(a_delete_and_an_expiry_make_it_readable),
        cmocka_unit_test(the_end_of_a_flight_makes_it_readable),
        cmocka_unit_test(the_end_of_a_flight_ends_a_wait),
        cmocka_unit_test(the_put_of_a_killed_process_is_seen_in_an_empty_cache_too),
        cmocka_unit_test(no_change_is_lost),
        cmocka_unit_test(a_fork_fires_the_parents_and_the_childs_close_only_frees),
        cmocka_unit_test(a_helper_that_is_just_about_to_sleep_is_woken),
        cmocka_unit_test(a_fork_that_begins_while_one_opens_refuses_nothing),
        cmocka_unit_test(closing_the_cache_makes_it_readable),
        cmocka_unit_test(what_cannot_be_watched_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
