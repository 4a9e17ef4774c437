/* A put that meets missing values late writes its frame again: killed anywhere, or
 * without room for the bitmap, it leaves the old frame and exact accounts. */
#include "support_proc.h"

enum { ROWS = 1 << 18, LATE = 200001 }; /* 2 MiB */

static const char *const steps[] = {
    "put-writing", "put-charged",    "put-again",      "charge-intent", "charge-used",
    "put-segment", "charge-charged", "put-key-locked", "put-committed", "put-live"};
#define STEPS (sizeof steps / sizeof *steps)

static int came[STEPS], again; /* in the second writing; how often it came to one */

static void note(const char *step) {
    again += !strcmp(step, "put-again");
    for (size_t i = 0; again && i < STEPS; i++)
        came[i] += !strcmp(step, steps[i]);
}

static fc_cache *filled(const char *dir, bool recycled) {
    fc_cache *cache = open_in(dir);
    fc_error error;
    for (int i = 0; i < (recycled ? 3 : 1); i++)
        assert_int_equal(put_doubles(cache, fc_str("k"), ROWS, -1, NULL, &error), 0);
    return cache;
}

typedef struct doom {
    const char *dir;
    size_t step;
    int skip; /* times that the step comes in the first writing */
} doom;

static void die_in_put(void *context) {
    const doom *d = context;
    fc_cache *cache = open_in(d->dir);
    fc_error error;
    die_at_step(steps[d->step], d->skip + 1);
    put_doubles(cache, fc_str("k"), ROWS, LATE, NULL, &error);
}

static int total[STEPS];

static void note_all(const char *step) {
    note(step);
    for (size_t i = 0; i < STEPS; i++)
        total[i] += !strcmp(step, steps[i]);
}

static void count_steps(bool recycled) {
    fc_cache *cache = filled(private_dir_again(), recycled);
    fc_error error;
    memset(came, 0, sizeof came);
    memset(total, 0, sizeof total);
    again = 0;
    fc__step_hook = note_all;
    assert_int_equal(put_doubles(cache, fc_str("k"), ROWS, LATE, NULL, &error), 0);
    fc__step_hook = NULL;
    assert_int_equal(again, 1);
    fc_cache_close(cache);
}

static void is_as_before(fc_cache *cache) {
    fc_frame *frame;
    fc_error error;
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, &error), 0);
    assert_true(are_doubles(frame, ROWS, -1));
    fc_frame_release(frame);
    must_be_clean(cache);
}

static void die_once(size_t step, bool recycled) {
    doom d = {private_dir_again(), step, total[step] - came[step]};
    fc_cache *cache = filled(d.dir, recycled);
    fc_error error;
    fc_frame *frame;
    must_die(spawn(die_in_put, &d));
    is_as_before(cache);
    assert_int_equal(put_doubles(cache, fc_str("k"), ROWS, LATE, &frame, &error), 0);
    assert_true(are_doubles(frame, ROWS, LATE));
    fc_frame_release(frame);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_kill_while_it_is_written_again_leaves_the_old_frame(void **state) {
    int tried = 0;
    (void)state;
    for (int recycled = 0; recycled < 2; recycled++) {
        count_steps(recycled);
        for (size_t i = 0; i < STEPS; i++)
            if (came[i] && ++tried)
                die_once(i, recycled);
    }
    assert_true(tried > 8);
}

/* Two frames fit, as they are; the second does not with its bitmap of 8 pages. */
static void without_room_for_the_bitmap_nothing_has_changed(void **state) {
    uint64_t frame = (uint64_t)ROWS * 8 + 2 * FC__PAGE;
    char budget[32];
    (void)state;
    for (int recycled = 0; recycled < 2; recycled++) {
        fc_cache *cache = filled(private_dir_again(), false);
        fc_frame *held, *out = NULL;
        fc_error error;
        if (recycled) {
            assert_int_equal(put_doubles(cache, fc_str("other"), ROWS, -1, NULL, &error),
                             0);
            assert_int_equal(fc_delete(cache, fc_str("other"), &error), 0);
        }
        snprintf(budget, sizeof budget, "%llu",
                 (unsigned long long)(fc__control_units(cache) * FC__PAGE + 2 * frame +
                                      2 * FC__PAGE));
        assert_int_equal(fc_cache_set_budget(cache, budget, &error), 0);
        assert_int_equal(fc_get(cache, fc_str("k"), 0, &held, &error), 0);
        again = 0;
        fc__step_hook = note;
        assert_int_equal(put_doubles(cache, fc_str("new"), ROWS, LATE, &out, &error),
                         FC_E_BUDGET);
        fc__step_hook = NULL;
        assert_int_equal(again, 1);
        assert_null(out);
        must_miss(cache, "new", FC_MISS_NEVER);
        is_as_before(cache);
        fc_frame_release(held);
        fc_cache_close(cache);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_while_it_is_written_again_leaves_the_old_frame),
        cmocka_unit_test(without_room_for_the_bitmap_nothing_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
