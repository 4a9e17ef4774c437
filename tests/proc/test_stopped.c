/* A process stopped at each named step of put, build, delete, evict and gc: nobody waits
 * for it. What would wait would do so for the setting reclaim_wait, two minutes here, so
 * a bound of 30 s tells waiting from being scheduled late. */
#include "support_proc.h"

#include <signal.h>
#include <time.h>

#define BIG_ROWS 131072 /* two columns of 1 MiB */
#define BOUND_MS 30000

static const char *const steps[] = {
    "charge-intent",    "charge-used",    "charge-charged",   "uncharge-intent",
    "uncharge-charged", "uncharge-used",  "put-writing",      "put-charged",
    "put-manifest",     "put-segment",    "put-key-locked",   "put-committed",
    "put-live",         "put-published",  "delete-unslotted", "evict-leased",
    "evict-unslotted",  "reclaim-marked", "reclaim-unlinked", "reclaim-uncharged",
    "unlink-manifest",  "unlink-segment",   "pool-writing",   "sole-leased"};
#define STEPS ((int)(sizeof steps / sizeof *steps))

static const struct action {
    const char *name, *key; /* that the stopped process is at */
} actions[] = {{"put one row", "fresh"}, {"put, evicting", "fresh"}, {"replace", "same"},
               {"build", "fresh"},       {"evict", "same"},          {"delete", "same"},
               {"delete and gc", "same"}};
enum { PUT_SMALL, PUT_BIG, REPLACE, BUILD, EVICT, DELETE, COLLECT, ACTIONS };

typedef struct stop {
    const char *dir, *step;
    int action;
} stop;

static fc_options tight(const char *dir) {
    fc_options options = options_in(dir);
    options.budget = "7MiB"; /* three big frames and little more */
    options.reclaim_wait = "120s";
    return options;
}

static void act(fc_cache *cache, int action) {
    fc_build *build;

    switch (action) {
    case PUT_SMALL:
        must_put(cache, "fresh", 1, 100);
        break;
    case PUT_BIG:
        must_put(cache, "fresh", BIG_ROWS, 100);
        break;
    case REPLACE:
        must_put(cache, "same", 5, 500);
        break;
    case BUILD:
        CHECK(begin_numbers(cache, fc_str("fresh"), 1000, 100, NULL, &build, NULL) == 0);
        CHECK(fc_build_commit(build, 900, NULL, NULL) == 0);
        break;
    case EVICT:
        CHECK(fc__evict_one(cache, NULL));
        break;
    case COLLECT:
    case DELETE:
        CHECK(fc_delete(cache, fc_str("same"), NULL) == 0);
        if (action == COLLECT)
            CHECK(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL) == 0);
        break;
    }
}

static void stopper(void *context) {
    const stop *s = context;
    fc_options options = tight(s->dir);
    fc_cache *cache = open_with(&options);

    stop_at_step(s->step, 1);
    act(cache, s->action);
    fc_cache_close(cache);
}

static int64_t now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Everything that others do; returns the microseconds that a get of the key took. */
static int64_t others_go_on(fc_cache *cache, const char *key) {
    int64_t start = now_us();
    fc_frame *frame;
    char name[16];
    fc_error error;
    int status = fc_get(cache, fc_str(key), 0, &frame, &error);
    int64_t took = now_us() - start;

    assert_true(status == 0 || status == FC_E_MISS);
    if (!status) /* old or new, but whole */
        assert_true(are_numbers(frame, BIG_ROWS, 300) || are_numbers(frame, 5, 500) ||
                    are_numbers(frame, 1, 100) || are_numbers(frame, BIG_ROWS, 100) ||
                    are_numbers(frame, 900, 100));
    fc_frame_release(frame);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "other-%d", i);
        fc_frame_release(must_get(cache, name, 3, i));
    }
    must_put(cache, "other-3", 3, 3);
    must_put(cache, "another", 7, 7);
    assert_int_equal(fc_delete(cache, fc_str("another"), NULL), 0);
    must_put(cache, "big-another", BIG_ROWS, 9); /* somebody must go for it */
    fc_frame_release(must_get(cache, "big-another", BIG_ROWS, 9));
    if ((now_us() - start) / 1000 >= BOUND_MS)
        fail_msg("somebody waited for the stopped process");
    return took;
}

static void fill(fc_cache *cache) {
    char name[16];

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "other-%d", i);
        must_put(cache, name, 3, i);
    }
    must_put(cache, "same", BIG_ROWS, 300);
    must_put(cache, "big-1", BIG_ROWS, 1);
    must_put(cache, "big-2", BIG_ROWS, 2);
}

/* Which steps each action comes to. */
static bool *reached; /* [ACTIONS][STEPS] */
static int current_action;

static void note_step(const char *step) {
    for (int i = 0; i < STEPS; i++)
        if (!strcmp(step, steps[i]))
            reached[current_action * STEPS + i] = true;
}

static void note_steps(void *context) {
    fc_options options = tight(context);
    fc_cache *cache = open_with(&options);

    fill(cache);
    fc__step_hook = note_step;
    act(cache, current_action);
    fc_cache_close(cache);
}

static void find_steps(void) {
    reached = shared_memory((size_t)ACTIONS * STEPS);
    for (current_action = 0; current_action < ACTIONS; current_action++)
        must_end(spawn(note_steps, (void *)(uintptr_t)private_dir_again()));
    for (int step = 0; step < STEPS; step++) {
        int actions_there = 0;
        for (int action = 0; action < ACTIONS; action++)
            actions_there += reached[action * STEPS + step];
        if (!actions_there)
            fail_msg("no action comes to step %s", steps[step]);
    }
}

static int must_be_beyond_gc(void *context, const fc_finding *finding) {
    (void)context;
    if (finding->remedy && strstr(finding->remedy, "framecache gc"))
        fail_msg("after gc: %s: %s", finding->subject, finding->text);
    return 0;
}

/* gc is not said to mend what the stopped process holds. */
static void gc_must_mend_what_it_is_said_to(fc_cache *cache) {
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(fc_cache_verify(cache, 0, must_be_beyond_gc, NULL, NULL), 0);
}

static int64_t stop_once(const char *step, int action, int signal_number) {
    stop s = {.dir = private_dir_again(), .step = step, .action = action};
    fc_options options = tight(s.dir);
    fc_cache *cache = open_with(&options);

    fill(cache);
    pid_t pid = spawn(stopper, &s);
    must_stop(pid);
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), 0);
    int64_t took = others_go_on(cache, actions[action].key);
    gc_must_mend_what_it_is_said_to(cache);
    kill(pid, signal_number);
    if (signal_number == SIGCONT)
        must_end(pid);
    else
        must_die(pid);
    must_be_clean(cache);
    fc_cache_close(cache);
    return took;
}

static void stop_at_all(int signal_number) {
    int64_t longest = 0;

    find_steps();
    for (int step = 0; step < STEPS; step++)
        for (int action = 0; action < ACTIONS; action++) {
            if (!reached[action * STEPS + step])
                continue;
            int64_t took = stop_once(steps[step], action, signal_number);
            if (took > longest) {
                longest = took;
                printf("a get of the key took %lld us: %s stopped at %s\n",
                       (long long)took, actions[action].name, steps[step]);
            }
        }
}

static void
nobody_waits_for_a_process_stopped_at_any_step_that_goes_on_later(void **state) {
    (void)state;
    stop_at_all(SIGCONT);
}

static void
nobody_waits_for_a_process_stopped_at_any_step_that_is_killed_later(void **state) {
    (void)state;
    stop_at_all(SIGKILL);
}

static void put_of_the_very_key_a_stopped_process_commits_says_busy(void **state) {
    stop s = {.dir = private_dir(), .step = "put-key-locked", .action = PUT_SMALL};
    fc_options options = tight(s.dir);
    fc_error error;
    (void)state;

    options.reclaim_wait = "20ms";
    fc_cache *cache = open_with(&options);
    pid_t pid = spawn(stopper, &s);
    must_stop(pid);
    assert_int_equal(put_numbers(cache, fc_str("fresh"), 1, 7, NULL, NULL, &error),
                     FC_E_BUSY);
    assert_non_null(strstr(error.message, "'fresh'"));
    must_miss(cache, "fresh", FC_MISS_NEVER);
    kill_and_reap(pid);
    must_put(cache, "fresh", 1, 7);
    fc_frame_release(must_get(cache, "fresh", 1, 7));
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            nobody_waits_for_a_process_stopped_at_any_step_that_goes_on_later),
        cmocka_unit_test(
            nobody_waits_for_a_process_stopped_at_any_step_that_is_killed_later),
        cmocka_unit_test(put_of_the_very_key_a_stopped_process_commits_says_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
