/* Single flight between processes and threads: who computes, who waits, and what becomes of
 * both when the owner fails, dies or stands still. */
#include "support_proc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct scene {
    const char *dir;
    const char *flight_max; /* or NULL */
    int threads;            /* a process */
    int64_t compute_ms;
    int fail_first; /* so many computes fail */
    _Atomic int computes, served, failed, ready, go;
    _Atomic int die, stop; /* the first compute dies or stops */
    _Atomic pid_t owner;
} scene;

static int compute(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                   fc_error *error) {
    scene *s = context;
    int number = atomic_fetch_add(&s->computes, 1) + 1;
    s->owner = getpid();
    sleep_ms(s->compute_ms);
    if (number == 1 && s->die)
        raise(SIGKILL);
    if (number == 1 && s->stop)
        raise(SIGSTOP);
    if (number <= s->fail_first)
        return -EIO;
    return put_numbers(cache, key, 100, number, NULL, out, error);
}

static fc_cache *open_scene(const scene *s) {
    fc_options options = options_in(s->dir);
    options.flight_max = s->flight_max;
    return open_with(&options);
}

typedef struct caller {
    scene *s;
    fc_cache *cache;
} caller;

static void *call(void *argument) {
    caller *c = argument;
    fc_frame *frame;
    atomic_fetch_add(&c->s->ready, 1);
    while (!atomic_load(&c->s->go))
        sleep_ms(1);
    int status = fc_get_or_compute(c->cache, fc_str("k"), 0, 0, compute, c->s, &frame, NULL);
    if (status) {
        CHECK(status == -EIO && !frame);
        atomic_fetch_add(&c->s->failed, 1);
        return NULL;
    }
    fc_info info = {.size = sizeof info};
    CHECK(fc_frame_info(frame, &info, NULL) == 0 && info.rows == 100);
    fc_frame_release(frame);
    atomic_fetch_add(&c->s->served, 1);
    return NULL;
}

static void caller_process(void *context) {
    scene *s = context;
    pthread_t threads[64];
    caller c = {s, open_scene(s)};
    for (int i = 0; i < s->threads; i++)
        CHECK(pthread_create(&threads[i], NULL, call, &c) == 0);
    for (int i = 0; i < s->threads; i++)
        pthread_join(threads[i], NULL);
    fc_cache_close(c.cache);
}

enum { PROCESSES = 5 };

static scene *new_scene(int threads) {
    scene *s = shared_memory(sizeof *s);
    s->dir = private_dir();
    s->threads = threads;
    s->compute_ms = 20;
    return s;
}

static void start(scene *s, pid_t *pids) {
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = spawn(caller_process, s);
    while (s->ready < PROCESSES * s->threads)
        sleep_ms(1);
    s->go = 1;
}

static void all_callers_of_all_processes_compute_once(void **state) {
    scene *s = new_scene(10);
    pid_t pids[PROCESSES];
    (void)state;

    start(s, pids);
    for (int i = 0; i < PROCESSES; i++)
        must_end(pids[i]);
    assert_int_equal(s->computes, 1);
    assert_int_equal(s->served, PROCESSES * 10);
    must_be_clean_in(s->dir);
}

/* The owner's whole process goes, with its other callers. */
static void a_killed_owner_is_replaced_once(void **state) {
    scene *s = new_scene(4);
    pid_t pids[PROCESSES];
    int ended = 0;
    (void)state;

    s->die = 1;
    start(s, pids);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        if (WIFSIGNALED(status))
            assert_int_equal(WTERMSIG(status), SIGKILL);
        else
            ended++;
    }
    assert_int_equal(ended, PROCESSES - 1);
    assert_int_equal(s->computes, 2);
    assert_int_equal(s->served, (PROCESSES - 1) * 4);
    must_be_clean_in(s->dir);
}

static void a_stopped_owner_costs_one_more_compute(void **state) {
    scene *s = new_scene(10);
    pid_t pids[PROCESSES], stopped;
    (void)state;

    s->stop = 1;
    s->compute_ms = 5;
    s->flight_max = "300ms";
    start(s, pids);
    while (s->served < (PROCESSES - 1) * 10)
        sleep_ms(1);
    assert_int_equal(s->computes, 2);
    stopped = 0;
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        if (waitpid(pids[i], &status, WUNTRACED) == pids[i] && WIFSTOPPED(status))
            stopped = pids[i];
    }
    assert_true(stopped != 0);
    kill(stopped, SIGCONT);
    must_end(stopped);
    assert_int_equal(s->served, PROCESSES * 10);
    must_be_clean_in(s->dir);
}

static void a_failure_goes_to_its_own_caller_and_the_next_takes_over(void **state) {
    scene *s = new_scene(4);
    pid_t pids[PROCESSES];
    (void)state;

    s->fail_first = 3;
    s->compute_ms = 2;
    start(s, pids);
    for (int i = 0; i < PROCESSES; i++)
        must_end(pids[i]);
    assert_int_equal(s->failed, 3);
    assert_int_equal(s->computes, 4);
    assert_int_equal(s->served, PROCESSES * 4 - 3);
}

/* ---- One process ---- */

static int compute_own_key(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                           fc_error *error) {
    int *depth = context;
    (*depth)++;
    return fc_get_or_compute(cache, key, 0, 0, compute_own_key, context, out, error);
}

static void a_compute_that_asks_for_its_own_key_is_a_deadlock(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_frame *frame;
    fc_error error;
    int depth = 0;
    (void)state;

    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, 0, compute_own_key, &depth,
                                       &frame, &error),
                     FC_E_DEADLOCK);
    assert_null(frame);
    assert_int_equal(depth, 1);
    assert_non_null(strstr(error.message, "'k'"));
    must_be_clean(cache);
    fc_cache_close(cache);
}

typedef struct crossing {
    fc_cache *cache;
    const char *own, *other;
    pthread_barrier_t *inside;
    int computes;
} crossing;

static int compute_plain(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                         fc_error *error) {
    crossing *c = context;
    c->computes++;
    return put_numbers(cache, key, 1, 1, NULL, out, error);
}

static int compute_crosswise(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                             fc_error *error) {
    crossing *c = context;
    fc_frame *other;
    pthread_barrier_wait(c->inside); /* both hold their own flight now */
    int status = fc_get_or_compute(cache, fc_str(c->other), 0, 0, compute_plain, c, &other,
                                   error);
    fc_frame_release(other);
    return status ? status : put_numbers(cache, key, 1, 2, NULL, out, error);
}

static void *cross(void *argument) {
    crossing *c = argument;
    fc_frame *frame;
    CHECK(fc_get_or_compute(c->cache, fc_str(c->own), 0, 0, compute_crosswise, c, &frame,
                            NULL) == 0);
    fc_frame_release(frame);
    return NULL;
}

static void two_keys_computed_crosswise_both_come(void **state) {
    fc_cache *cache = open_in(private_dir());
    pthread_barrier_t inside;
    crossing a = {cache, "a", "b", &inside, 0}, b = {cache, "b", "a", &inside, 0};
    pthread_t thread;
    (void)state;

    pthread_barrier_init(&inside, NULL, 2);
    pthread_create(&thread, NULL, cross, &a);
    cross(&b);
    pthread_join(thread, NULL);
    assert_true(a.computes <= 1 && b.computes <= 1); /* 0: the other was done already */
    for (int i = 0; i < 2; i++) {
        fc_frame *frame;
        assert_int_equal(fc_get(cache, fc_str(i ? "a" : "b"), 0, &frame, NULL), 0);
        assert_true(are_numbers(frame, 1, 1) || are_numbers(frame, 1, 2));
        fc_frame_release(frame);
    }
    pthread_barrier_destroy(&inside);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void the_steps_give_frame_flight_or_busy(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir), *other = open_in(dir);
    fc_frame *frame;
    fc_flight *flight, *second;
    (void)state;

    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, NULL), 0);
    assert_null(frame);
    assert_non_null(flight);
    assert_int_equal(fc_flight_begin(other, fc_str("k"), 0, &frame, &second, NULL),
                     FC_E_BUSY);
    assert_true(!frame && !second);
    assert_int_equal(fc_wait(other, fc_str("k"), 0, 0, NULL), FC_E_TIMEOUT);
    must_put(cache, "k", 3, 7);
    fc_flight_end(flight);
    assert_int_equal(fc_flight_begin(other, fc_str("k"), 0, &frame, &second, NULL), 0);
    assert_true(frame && !second);
    assert_true(are_numbers(frame, 3, 7));
    fc_frame_release(frame);
    fc_cache_close(other);
    fc_cache_close(cache);
}

static void a_key_has_one_second_flight(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir), *other = open_in(dir), *third = open_in(dir);
    fc_frame *frame;
    fc_flight *flight, *second, *more;
    (void)state;

    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, NULL), 0);
    assert_int_equal(fc_flight_begin(other, fc_str("k"), FC_FLIGHT_SECOND, &frame, &second,
                                     NULL), 0);
    assert_true(flight && second && !frame);
    assert_int_equal(fc_flight_begin(third, fc_str("k"), FC_FLIGHT_SECOND, &frame, &more,
                                     NULL), FC_E_BUSY);
    assert_int_equal(stats_of(other).computed_twice, 1);
    fc_flight_end(second);
    fc_flight_end(flight);
    fc_cache_close(third);
    fc_cache_close(other);
    fc_cache_close(cache);
}

static int64_t fake_now(void *context) {
    return *(int64_t *)context;
}

enum { SECOND_NS = 1000000000 };

static fc_cache *open_clocked(const char *dir, int64_t *now) {
    fc_options options = options_in(dir);
    options.clock_ns = fake_now;
    options.clock_context = now;
    return open_with(&options);
}

static void put_stale(fc_cache *cache, int64_t ttl_ms, int64_t stale_ms, double cost_s) {
    fc_put_options options = {
        .size = sizeof options, .ttl_ms = ttl_ms, .stale_ms = stale_ms, .cost_s = cost_s};
    assert_int_equal(put_numbers(cache, fc_str("k"), 2, 1, &options, NULL, NULL), 0);
}

static int fail_compute(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                        fc_error *error) {
    (void)cache;
    (void)key;
    (void)out;
    (void)error;
    ++*(int *)context;
    return -EIO;
}

static void stale_is_served_while_one_refreshes_and_if_that_fails(void **state) {
    const char *dir = private_dir();
    int64_t now = 1700000000ll * SECOND_NS;
    fc_cache *cache = open_clocked(dir, &now), *other = open_clocked(dir, &now);
    fc_frame *frame;
    fc_flight *flight, *second;
    int computes = 0;
    (void)state;

    put_stale(cache, 10000, 60000, 0);
    now += 11ll * SECOND_NS;
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, NULL), FC_E_MISS);
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), FC_GET_STALE, &frame, &flight, NULL),
                     0);
    assert_true(frame && flight);
    fc_frame_release(frame);
    assert_int_equal(fc_flight_begin(other, fc_str("k"), FC_GET_STALE, &frame, &second, NULL),
                     0);
    assert_true(frame && !second);
    fc_frame_release(frame);
    fc_flight_end(flight);
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), FC_GET_STALE, 0, fail_compute,
                                       &computes, &frame, NULL),
                     0);
    assert_int_equal(computes, 1);
    assert_true(are_numbers(frame, 2, 1));
    fc_frame_release(frame);
    now += 60ll * SECOND_NS;
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), FC_GET_STALE, 0, fail_compute,
                                       &computes, &frame, NULL),
                     -EIO);
    assert_null(frame);
    fc_cache_close(other);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* At one cost before the expiry a caller refreshes with a chance of 1/e; far from it, never;
 * without a measured cost, never. */
static void a_dear_frame_is_refreshed_ahead_by_chance(void **state) {
    int64_t now = 1700000000ll * SECOND_NS;
    fc_cache *cache = open_clocked(private_dir(), &now);
    int early = 0, far = 0;
    (void)state;

    put_stale(cache, 1000000, 0, 10);
    for (int i = 0; i < 2000; i++) {
        fc_frame *frame;
        fc_flight *flight;
        if (i == 1000)
            now += 990ll * SECOND_NS;
        assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, NULL), 0);
        assert_non_null(frame);
        *(i < 1000 ? &far : &early) += flight != NULL;
        fc_frame_release(frame);
        fc_flight_end(flight);
    }
    assert_int_equal(far, 0);
    assert_in_range(early, 250, 500);
    fc_cache_close(cache);
}

static int slow_compute(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                        fc_error *error) {
    (void)context;
    sleep_ms(30);
    return put_numbers(cache, key, 1, 1, NULL, out, error);
}

static void the_time_of_a_compute_becomes_its_cost(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_info info = {.size = sizeof info};
    fc_frame *frame;
    (void)state;

    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, 0, slow_compute, NULL, &frame,
                                       NULL),
                     0);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    assert_true(info.cost_s >= 0.03);
    fc_frame_release(frame);
    fc_cache_close(cache);
}

static void a_forked_child_leaves_its_parents_flight_alone(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir), *other = open_in(dir);
    fc_frame *frame;
    fc_flight *flight, *second;
    (void)state;

    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, NULL), 0);
    pid_t child = fork();
    if (!child) {
        fc_flight_end(flight);
        _exit(0);
    }
    must_end(child);
    assert_int_equal(fc_flight_begin(other, fc_str("k"), 0, &frame, &second, NULL),
                     FC_E_BUSY);
    fc_flight_end(flight);
    assert_int_equal(fc_flight_begin(other, fc_str("k"), 0, &frame, &second, NULL), 0);
    assert_non_null(second);
    fc_flight_end(second);
    fc_cache_close(other);
    fc_cache_close(cache);
}

static void wrong_arguments_are_refused(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_frame *frame;
    fc_error error;
    (void)state;

    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, 0, NULL, NULL, &frame, &error),
                     FC_E_INVALID);
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, -1, slow_compute, NULL, &frame,
                                       &error),
                     FC_E_INVALID);
    assert_int_equal(fc_get_or_compute(cache, (fc_bytes){0}, 0, 0, slow_compute, NULL, &frame,
                                       &error),
                     FC_E_INVALID);
    fc_cache_close(cache);
}

static int count_calls(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                       fc_error *error) {
    (void)cache, (void)key, (void)out, (void)error;
    ++*(int *)context;
    return FC_E_INVALID;
}

static void nobody_computes_or_waits_for_what_only_has_to_be_decompressed(void **state) {
    fc_cache *cache = open_cold(private_dir());
    fc_frame *frame;
    fc_error error;
    int calls = 0;
    (void)state;

    must_put(cache, "k", 65536, 7);
    must_demote(cache, "k");
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), FC_GET_NOWAIT, 1, count_calls,
                                       &calls, &frame, &error),
                     FC_E_BUSY);
    assert_non_null(strstr(error.message, "compressed"));
    assert_int_equal(calls, 0);
    assert_int_equal(stats_of(cache).flight_waits, 0);
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, 1, count_calls, &calls,
                                       &frame, &error),
                     0);
    assert_true(are_numbers(frame, 65536, 7));
    assert_int_equal(calls, 0);
    fc_frame_release(frame);
    fc_cache_close(cache);
}

/* Of a function that fails, puts or does neither, as its context says. */
typedef struct behaviour {
    int status;
    const char *message; /* or NULL: *error is left alone */
    int code;            /* that goes with it */
    const char *other;   /* key that it looks up first, and misses */
} behaviour;

static int behave(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                  fc_error *error) {
    const behaviour *b = context;
    fc_frame *frame;
    (void)key, (void)out;

    if (b->other)
        assert_int_equal(fc_get(cache, fc_str(b->other), 0, &frame, error), FC_E_MISS);
    if (b->message && error) {
        error->code = b->code;
        snprintf(error->message, sizeof error->message, "%s", b->message);
    }
    return b->status;
}

static void must_fail_with(fc_cache *cache, const behaviour *b, const char *says) {
    fc_error error = {.code = 5, .message = "of an earlier call"};
    fc_frame *frame;

    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, 0, behave, (void *)(uintptr_t)b,
                                       &frame, &error), b->status ? b->status : FC_E_MISS);
    assert_null(frame);
    assert_int_equal(error.code, b->status ? b->status : FC_E_MISS);
    if (!strstr(error.message, says) || !strstr(error.message, "'k'"))
        fail_msg("%s", error.message);
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), 0, 0, behave, (void *)(uintptr_t)b,
                                       &frame, NULL), error.code);
}

static void a_compute_that_fails_or_puts_nothing_is_told_as_such(void **state) {
    static const behaviour own = {.status = -7}, system = {.status = -5}, positive = {.status = 3},
                           ours = {.status = FC_E_BUDGET}, nothing = {.status = 0},
                           another = {.status = -7, .other = "elsewhere"},
                           said = {-7, "no table for 'k' upstream", -7, NULL},
                           unlike = {-7, "no table upstream", -9, NULL},
                           looked = {.status = 0, .other = "elsewhere"};
    fc_cache *cache = open_in(private_dir());
    (void)state;

    must_fail_with(cache, &own, "failed with -7");
    must_fail_with(cache, &system, "failed with -5");
    must_fail_with(cache, &positive, "failed with 3");
    must_fail_with(cache, &ours, "FC_E_BUDGET");
    must_fail_with(cache, &another, "failed with -7");
    must_fail_with(cache, &said, "no table for 'k' upstream");
    must_fail_with(cache, &unlike, "failed with -7: no table upstream");
    must_fail_with(cache, &nothing, "returned 0, but put nothing");
    must_fail_with(cache, &looked, "returned 0, but put nothing");
    must_put(cache, "k", 3, 1);
    assert_int_equal(fc_delete(cache, fc_str("k"), NULL), 0);
    must_fail_with(cache, &own, "failed with -7"); /* not: it was deleted */
    fc_cache_close(cache);
}

static fc_cache *demoting; /* of the hook */

static void put_and_demote(const char *step) {
    if (strcmp(step, "flight-locked"))
        return;
    fc__step_hook = NULL;
    must_put(demoting, "k", 65536, 7);
    must_demote(demoting, "k");
}

/* The first look missed it; the second, with the flight, finds it compressed. */
static void what_was_compressed_since_the_first_look_is_not_computed(void **state) {
    fc_cache *cache = demoting = open_cold(private_dir());
    fc_flight *flight;
    fc_frame *frame;
    fc_error error;
    int calls = 0;
    (void)state;

    fc__step_hook = put_and_demote;
    assert_int_equal(fc_get_or_compute(cache, fc_str("k"), FC_GET_NOWAIT, 1, count_calls,
                                       &calls, &frame, &error), FC_E_BUSY);
    assert_non_null(strstr(error.message, "compressed"));
    assert_int_equal(calls, 0);
    assert_int_equal(fc_delete(cache, fc_str("k"), NULL), 0);
    fc__step_hook = put_and_demote;
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), FC_GET_NOWAIT, &frame, &flight,
                                     &error), FC_E_BUSY);
    assert_null(flight);
    assert_null(frame);
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, &error), 0);
    assert_null(flight); /* the lock was given back, and nobody computes */
    assert_true(are_numbers(frame, 65536, 7));
    fc_frame_release(frame);
    assert_int_equal(fc_delete(cache, fc_str("k"), NULL), 0);
    assert_int_equal(fc_flight_begin(cache, fc_str("k"), 0, &frame, &flight, &error), 0);
    assert_non_null(flight);
    fc_flight_end(flight);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_computes_or_waits_for_what_only_has_to_be_decompressed),
        cmocka_unit_test(a_compute_that_fails_or_puts_nothing_is_told_as_such),
        cmocka_unit_test(what_was_compressed_since_the_first_look_is_not_computed),
        cmocka_unit_test(all_callers_of_all_processes_compute_once),
        cmocka_unit_test(a_killed_owner_is_replaced_once),
        cmocka_unit_test(a_stopped_owner_costs_one_more_compute),
        cmocka_unit_test(a_failure_goes_to_its_own_caller_and_the_next_takes_over),
        cmocka_unit_test(a_compute_that_asks_for_its_own_key_is_a_deadlock),
        cmocka_unit_test(two_keys_computed_crosswise_both_come),
        cmocka_unit_test(the_steps_give_frame_flight_or_busy),
        cmocka_unit_test(a_key_has_one_second_flight),
        cmocka_unit_test(stale_is_served_while_one_refreshes_and_if_that_fails),
        cmocka_unit_test(a_dear_frame_is_refreshed_ahead_by_chance),
        cmocka_unit_test(the_time_of_a_compute_becomes_its_cost),
        cmocka_unit_test(a_forked_child_leaves_its_parents_flight_alone),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
