/* How a large put gets its room: by the files of a victim, or charged while it writes.
 * What is leased stays, what is used is what the disk has, and a kill at any step leaves
 * it so. */
#include "support_proc.h"

#include <signal.h>
#include <unistd.h>

/* 16 bytes a row: a frame of 1, 2, 4 and 6 MiB; tests call 512 KiB large. */
enum { MIB_ROWS = 65536, SMALL = 4096 };

static fc_options roomy(const char *dir) {
    fc_options options = options_in(dir);
    options.flags = 0; /* threads: who pays while it writes needs one */
    options.threads = "2";
    options.budget = "16MiB";
    options.pool = "0";
    return options;
}

static fc_options roomy_cold(const char *dir) {
    fc_options options = roomy(dir);
    options.cold = "on";
    options.reclaim_wait = "30s"; /* else a slow machine drops what it has no time for */
    return options;
}

static void fill(fc_cache *cache, int count, int64_t rows) {
    char key[16];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "old-%d", i);
        must_put(cache, key, rows, i);
    }
}

static int count_present(fc_cache *cache, int count) {
    char key[16];
    int found = 0;
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "old-%d", i);
        found += fc_contains(cache, fc_str(key), NULL) == 0;
    }
    return found;
}

static void a_victim_of_the_same_shape_gives_its_files_to_the_put(void **state) {
    fc_options options = roomy(private_dir());
    fc_cache *cache = open_with(&options);
    (void)state;

    fill(cache, 3, 4 * MIB_ROWS);
    fc_stats before = stats_of(cache);
    must_put(cache, "new", 4 * MIB_ROWS, 77);
    fc_stats after = stats_of(cache);
    assert_int_equal(after.fresh_bytes, before.fresh_bytes);
    assert_true(after.recycled_bytes - before.recycled_bytes >= 4 * MIB);
    assert_int_equal(count_present(cache, 3), 2);
    assert_string_equal(faults_of(cache), "");
    fc_frame_release(must_get(cache, "new", 4 * MIB_ROWS, 77));
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* Longer or shorter, as long as half of it serves. */
static void files_that_are_too_long_or_too_short_serve_too(void **state) {
    static const int64_t rows[] = {3 * MIB_ROWS, 5 * MIB_ROWS, 4 * MIB_ROWS - 1};
    (void)state;
    for (int i = 0; i < 3; i++) {
        fc_options options = roomy(private_dir());
        fc_cache *cache = open_with(&options);
        fill(cache, 3, 4 * MIB_ROWS);
        must_put(cache, "filler", 2 * MIB_ROWS, 5);
        fc_stats before = stats_of(cache);
        must_put(cache, "new", rows[i], 77);
        assert_true(stats_of(cache).recycled_bytes - before.recycled_bytes >=
                    3 * MIB / 2);
        assert_string_equal(faults_of(cache), "");
        fc_frame_release(must_get(cache, "new", rows[i], 77));
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

static void what_a_reader_holds_is_never_given_to_a_put(void **state) {
    fc_options options = roomy(private_dir());
    fc_cache *cache = open_with(&options);
    fc_frame *held[2];
    fc_error error;
    (void)state;

    fill(cache, 3, 4 * MIB_ROWS);
    held[0] = must_get(cache, "old-0", 4 * MIB_ROWS, 0);
    held[1] = must_get(cache, "old-1", 4 * MIB_ROWS, 1);
    must_put(cache, "new", 4 * MIB_ROWS, 77);
    fc_frame *frame = must_get(cache, "new", 4 * MIB_ROWS, 77);
    assert_int_equal(
        put_numbers(cache, fc_str("more"), 4 * MIB_ROWS, 5, NULL, NULL, &error),
        FC_E_BUDGET);
    assert_true(are_numbers(held[0], 4 * MIB_ROWS, 0));
    assert_true(are_numbers(held[1], 4 * MIB_ROWS, 1));
    assert_true(are_numbers(frame, 4 * MIB_ROWS, 77));
    assert_string_equal(faults_of(cache), "");
    for (int i = 0; i < 2; i++)
        fc_frame_release(held[i]);
    fc_frame_release(frame);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static _Atomic int paid; /* steps */

static void count_paid(const char *step) {
    if (!strcmp(step, "pay-charged"))
        atomic_fetch_add(&paid, 1);
}

static void victims_of_another_shape_go_while_the_put_writes(void **state) {
    fc_options options = roomy(private_dir());
    fc_cache *cache = open_with(&options);
    (void)state;

    fill(cache, 14, MIB_ROWS);
    paid = 0;
    fc__step_hook = count_paid;
    must_put(cache, "new", 8 * MIB_ROWS, 77);
    fc__step_hook = NULL;
    assert_true(paid >= 8 * 4); /* in steps of 256 KiB */
    assert_in_range(count_present(cache, 14), 5, 7);
    assert_string_equal(faults_of(cache), "");
    fc_frame_release(must_get(cache, "new", 8 * MIB_ROWS, 77));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_large_victim_is_cut_in_pieces(void **state) {
    fc_options options = roomy(private_dir());
    fc_cache *cache = open_with(&options);
    (void)state;

    must_put(cache, "old-0", 13 * MIB_ROWS, 0);
    stats_of(cache);
    must_put(cache, "new", 4 * MIB_ROWS, 77);
    assert_int_equal(count_present(cache, 1), 0);
    assert_string_equal(faults_of(cache), "");
    fc_frame_release(must_get(cache, "new", 4 * MIB_ROWS, 77));
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* A column that two frames share is not cut under the other, nor written again. */
static void shared_columns_outlive_the_victim(void **state) {
    fc_options options = roomy(private_dir());
    fc_cache *cache = open_with(&options);
    struct ArrowSchema schema;
    struct ArrowArray array;
    (void)state;

    must_put(cache, "old-0", 6 * MIB_ROWS, 3);
    fc_frame *frame = must_get(cache, "old-0", 6 * MIB_ROWS, 3);
    assert_int_equal(fc_frame_export_schema(frame, &schema, NULL), 0);
    assert_int_equal(fc_frame_export_array(frame, NULL, &array, NULL), 0);
    assert_int_equal(fc_put(cache, fc_str("twin"), &schema, &array, NULL, NULL, NULL), 0);
    array.release(&array);
    schema.release(&schema);
    fc_frame_release(frame);
    assert_int_equal(stats_of(cache).linked_columns, 2);
    frame = must_get(cache, "twin", 6 * MIB_ROWS, 3);
    must_put(cache, "new", 6 * MIB_ROWS, 77);
    assert_int_equal(count_present(cache, 1), 0);
    assert_true(are_numbers(frame, 6 * MIB_ROWS, 3));
    fc_frame_release(frame);
    fc_frame_release(must_get(cache, "new", 6 * MIB_ROWS, 77));
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* One that is mapped and has to go is waited for; none that is dearer goes instead of it.
 */
static void a_leased_victim_is_no_reason_to_take_a_dearer_one(void **state) {
    fc_options options = roomy(private_dir());
    fc_cache *cache = open_with(&options);
    (void)state;

    fill(cache, 3, 4 * MIB_ROWS);
    fc_frame *held;
    assert_int_equal(fc_get(cache, fc_str("old-0"), FC_GET_PEEK, &held, NULL), 0);
    uint64_t recycled = stats_of(cache).recycled_bytes;
    must_put(cache, "new", 4 * MIB_ROWS, 77);
    assert_int_equal(stats_of(cache).recycled_bytes, recycled);
    assert_true(stats_of(cache).pressure_epochs > 0);
    fc_frame_release(held);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* It has evicted and written some when it finds that the rest is leased. */
static void a_put_that_cannot_pay_gives_everything_back(void **state) {
    fc_options options = roomy(private_dir());
    fc_frame *held[9];
    char key[16];
    fc_error error;
    (void)state;

    options.reclaim_wait = "20ms";
    fc_cache *cache = open_with(&options);
    fill(cache, 14, MIB_ROWS);
    for (int i = 0; i < 9; i++) {
        snprintf(key, sizeof key, "old-%d", i);
        held[i] = must_get(cache, key, MIB_ROWS, i);
    }
    paid = 0;
    fc__step_hook = count_paid;
    assert_int_equal(
        put_numbers(cache, fc_str("new"), 8 * MIB_ROWS, 77, NULL, NULL, &error),
        FC_E_BUDGET);
    fc__step_hook = NULL;
    assert_true(paid > 0);
    assert_true(error.asked_bytes >= 8 * MIB);
    assert_true(error.leased_bytes >= 9 * MIB);
    must_miss(cache, "new", FC_MISS_NEVER);
    assert_int_equal(count_present(cache, 9), 9);
    for (int i = 0; i < 9; i++) {
        assert_true(are_numbers(held[i], MIB_ROWS, i));
        fc_frame_release(held[i]);
    }
    assert_string_equal(faults_of(cache), "");
    must_be_clean(cache);
    must_put(cache, "new", 8 * MIB_ROWS, 77);
    fc_cache_close(cache);
}

/* ---- Beside the cold tier ---- */

static void must_hold_noise(fc_cache *cache, const char *key, int64_t rows,
                            int64_t seed) {
    fc_frame *frame;
    assert_int_equal(fc_get(cache, fc_str(key), 0, &frame, NULL), 0);
    assert_true(is_noise(frame, rows, seed));
    fc_frame_release(frame);
}

/* The first is worth least. */
static void fill_with_noise(fc_cache *cache, int count, int64_t rows) {
    char key[16];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "old-%d", i);
        put_noise(cache, key, rows, i, 1 + i);
    }
}

static uint32_t flags_of(fc_cache *cache, const char *key) {
    uint32_t slot;
    uint64_t word = fc__index_find(cache, fc__hash_key(cache, fc_str(key)), &slot);
    assert_true(word != 0);
    return atomic_load(&cache->records[fc__word_record(word)].flags);
}

static void a_victim_that_does_not_compress_gives_its_files(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    (void)state;

    fill_with_noise(cache, 3, 4 * MIB_ROWS);
    fc_stats before = stats_of(cache);
    put_noise(cache, "new", 4 * MIB_ROWS, 77, 50);
    fc_stats after = stats_of(cache);
    assert_int_equal(after.fresh_bytes, before.fresh_bytes);
    assert_true(after.recycled_bytes - before.recycled_bytes >= 4 * MIB);
    assert_int_equal(after.demoted, 0);
    assert_int_equal(after.evicted - before.evicted, 1);
    must_miss(cache, "old-0", FC_MISS_EVICTED);
    assert_false(flags_of(cache, "new") & FC__RECORD_DENSE); /* nobody has looked */
    must_hold_noise(cache, "old-1", 4 * MIB_ROWS, 1);
    must_hold_noise(cache, "old-2", 4 * MIB_ROWS, 2);
    must_hold_noise(cache, "new", 4 * MIB_ROWS, 77);
    assert_string_equal(faults_of(cache), "");
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* Cheaper to compute again than to decompress: no sample is needed to drop it. */
static void a_victim_that_is_too_cheap_to_compress_gives_its_files(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    fc_put_options cheap = {.size = sizeof cheap, .cost_s = 1e-6};
    char key[16];
    (void)state;

    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "old-%d", i);
        assert_int_equal(
            put_numbers(cache, fc_str(key), 4 * MIB_ROWS, i, &cheap, NULL, NULL), 0);
    }
    fc_stats before = stats_of(cache);
    must_put(cache, "new", 4 * MIB_ROWS, 77);
    fc_stats after = stats_of(cache);
    assert_int_equal(after.fresh_bytes, before.fresh_bytes);
    assert_int_equal(after.demoted, 0);
    assert_int_equal(count_present(cache, 3), 2);
    fc_frame_release(must_get(cache, "new", 4 * MIB_ROWS, 77));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_victim_that_compresses_is_compressed_not_lost(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    char key[16];
    (void)state;

    fill(cache, 3, 4 * MIB_ROWS);
    fc_stats before = stats_of(cache);
    must_put(cache, "new", 4 * MIB_ROWS, 77);
    fc_stats after = stats_of(cache);
    assert_int_equal(after.recycled_bytes, before.recycled_bytes);
    assert_true(after.demoted > 0);
    assert_int_equal(after.evicted, before.evicted);
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "old-%d", i);
        get_and_release(cache, key, 4 * MIB_ROWS, i);
    }
    get_and_release(cache, "new", 4 * MIB_ROWS, 77);
    assert_string_equal(faults_of(cache), "");
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* The verdict of the sample stands in the record as long as the frame does: what is
 * written into its files since, unleased, changes nothing. */
static void a_sample_of_a_frame_is_taken_once(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    static const char *const keys[] = {"old-0", "numbers"};
    static const fc__reclaimed verdicts[] = {FC__DONE, FC__BUSY};
    (void)state;

    put_noise(cache, keys[0], 4 * MIB_ROWS, 0, 1);
    must_put(cache, keys[1], 4 * MIB_ROWS, 0);
    for (int i = 0; i < 2; i++) {
        uint32_t slot;
        fc__hash hash = fc__hash_key(cache, fc_str(keys[i]));
        uint64_t word = fc__index_find(cache, hash, &slot);
        uint64_t status = fc__status(FC__LIVE, fc__word_generation(word));
        uint32_t number = fc__word_record(word);
        fc__record *record = &cache->records[number];
        fc__table_drop_key(cache, hash, word);
        assert_int_equal(fc__not_worth(cache, number, status), verdicts[i]);
        assert_int_equal(atomic_load(&record->flags) &
                             (FC__RECORD_DENSE | FC__RECORD_SHRINKS),
                         i == 0 ? FC__RECORD_DENSE : FC__RECORD_SHRINKS);
        /* With the other verdict in the record, no sample says otherwise. */
        atomic_fetch_xor(&record->flags, FC__RECORD_DENSE | FC__RECORD_SHRINKS);
        assert_int_equal(fc__not_worth(cache, number, status), verdicts[1 - i]);
    }
    assert_int_equal(demote(cache, keys[1]), FC__BUSY); /* DENSE, it says */
    must_put(cache, keys[1], 4 * MIB_ROWS, 0);
    must_demote(cache, keys[1]); /* a new frame, that nobody has looked at */
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void
what_a_reader_holds_is_not_sampled_or_taken_beside_the_cold_tier(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    fc_frame *held;
    (void)state;

    fill_with_noise(cache, 3, 4 * MIB_ROWS);
    assert_int_equal(fc_get(cache, fc_str("old-0"), FC_GET_PEEK, &held, NULL), 0);
    put_noise(cache, "new", 4 * MIB_ROWS, 77, 50);
    assert_true(is_noise(held, 4 * MIB_ROWS, 0));
    assert_false(flags_of(cache, "old-0") & (FC__RECORD_DENSE | FC__RECORD_SHRINKS));
    fc_frame_release(held);
    must_hold_noise(cache, "old-0", 4 * MIB_ROWS, 0);
    must_hold_noise(cache, "new", 4 * MIB_ROWS, 77);
    assert_string_equal(faults_of(cache), "");
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* What the next victim is compressed to must fit: a put that took the files and left the
 * cache full would make it be dropped. */
static void a_full_cache_keeps_room_to_compress_rather_than_reuse(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    fc_stats stats;
    char key[24];
    (void)state;

    fill_with_noise(cache, 3, 4 * MIB_ROWS);
    stats = stats_of(cache);
    uint64_t most = stats.budget_bytes - stats.budget_bytes / 32;
    for (int i = 0; stats.used_bytes <= most; i++) {
        snprintf(key, sizeof key, "small-%d", i);
        put_noise(cache, key, MIB_ROWS / 8, 100 + i, 50);
        stats = stats_of(cache);
    }
    assert_int_equal(stats.evicted, 0);
    put_noise(cache, "new", 4 * MIB_ROWS, 77, 50);
    assert_int_equal(stats_of(cache).recycled_bytes, stats.recycled_bytes);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* Cold frames decompress into a victim's files as well. */
static void a_promotion_takes_the_files_of_a_victim(void **state) {
    fc_options options = roomy_cold(private_dir());
    fc_cache *cache = open_with(&options);
    (void)state;

    must_put(cache, "numbers", 4 * MIB_ROWS, 5);
    must_demote(cache, "numbers");
    fill_with_noise(cache, 3, 4 * MIB_ROWS);
    fc_stats before = stats_of(cache);
    get_and_release(cache, "numbers", 4 * MIB_ROWS, 5);
    fc_stats after = stats_of(cache);
    assert_true(after.recycled_bytes - before.recycled_bytes >= 4 * MIB);
    assert_int_equal(after.promoted - before.promoted, 1);
    must_miss(cache, "old-0", FC_MISS_EVICTED);
    must_hold_noise(cache, "old-1", 4 * MIB_ROWS, 1);
    assert_string_equal(faults_of(cache), "");
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Several that pay ---- */

typedef struct rival {
    const char *dir;
    int number;
    _Atomic int *done;
} rival;

static void put_large(void *context) {
    const rival *r = context;
    fc_options options = roomy(r->dir);
    fc_cache *cache = open_with(&options);
    char key[16];
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "large-%d-%d", r->number, i);
        int status = put_numbers(cache, fc_str(key), 8 * MIB_ROWS, i, NULL, NULL, NULL);
        CHECK(status == 0 || status == FC_E_BUDGET);
        atomic_fetch_add(r->done, status == 0);
    }
    fc_cache_close(cache);
}

/* Each of them leaves no room for another one: whoever holds a part must not wait for who
 * holds the rest. */
static void of_puts_that_fit_one_at_a_time_some_always_end(void **state) {
    rival rivals[3];
    pid_t pids[3];
    (void)state;
    rivals[0] = (rival){.dir = private_dir(), .done = shared_memory(sizeof(int))};
    fc_options options = roomy(rivals[0].dir);
    fc_cache *cache = open_with(&options);
    fill(cache, 14, MIB_ROWS);
    for (int i = 0; i < 3; i++) {
        rivals[i] = rivals[0];
        rivals[i].number = i;
        pids[i] = spawn(put_large, &rivals[i]);
    }
    for (int i = 0; i < 3; i++)
        must_end(pids[i]);
    assert_true(atomic_load(rivals[0].done) >= 10);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Kills ---- */

typedef struct doom {
    const char *dir, *step;
    int nth, how;
} doom;

enum { REUSE, REUSE_LONGER, PAY, CUT, REUSE_DENSE, HOWS };

static void large_put(fc_cache *cache, int how) {
    static const int64_t rows[] = {4 * MIB_ROWS, 5 * MIB_ROWS, 12 * MIB_ROWS, MIB_ROWS,
                                   4 * MIB_ROWS};
    must_put(cache, "new", rows[how], 77);
}

static void fill_for(fc_cache *cache, int how) {
    must_put(cache, "leased", SMALL, 9);
    if (how == PAY)
        fill(cache, 13, MIB_ROWS);
    else if (how == CUT)
        must_put(cache, "old-0", 14 * MIB_ROWS, 0);
    else if (how == REUSE_DENSE)
        fill_with_noise(cache, 3, 4 * MIB_ROWS);
    else
        fill(cache, 3, 4 * MIB_ROWS);
    if (how == REUSE_LONGER)
        must_put(cache, "filler", MIB_ROWS, 0);
}

static fc_options options_for(const char *dir, int how) {
    return how == REUSE_DENSE ? roomy_cold(dir) : roomy(dir);
}

static void die_in_put(void *context) {
    const doom *d = context;
    fc_options options = options_for(d->dir, d->how);
    fc_cache *cache = open_with(&options);
    die_at_step(d->step, d->nth);
    large_put(cache, d->how);
    /* How often a step comes hangs on which thread is ahead: it came less often this time. */
    kill(getpid(), SIGKILL);
}

static const char *const steps[] = {
    "cold-sampled",     "evict-leased",     "evict-unslotted",   "reclaim-marked",
    "reclaim-cut",      "reclaim-unlinked", "reclaim-uncharged", "uncharge-intent",
    "uncharge-charged", "uncharge-used",    "put-writing",       "charge-intent",
    "charge-used",      "charge-charged",   "pay-charged",       "put-charged",
    "put-segment",      "put-committed",    "put-published"};
#define STEPS (sizeof steps / sizeof *steps)

static _Atomic int came[STEPS];

static void note(const char *step) {
    for (size_t i = 0; i < STEPS; i++)
        if (!strcmp(step, steps[i]))
            atomic_fetch_add(&came[i], 1);
}

static void count_steps(int how) {
    fc_options options = options_for(private_dir_again(), how);
    fc_cache *cache = open_with(&options);
    fill_for(cache, how);
    for (size_t i = 0; i < STEPS; i++)
        came[i] = 0;
    fc__step_hook = note;
    large_put(cache, how);
    fc__step_hook = NULL;
    fc_cache_close(cache);
}

static void die_once(int how, size_t step, int nth) {
    doom d = {private_dir_again(), steps[step], nth, how};
    fc_options options = options_for(d.dir, how);
    fc_cache *cache = open_with(&options);
    fill_for(cache, how);
    fc_frame *held = must_get(cache, "leased", SMALL, 9);
    must_die(spawn(die_in_put, &d));
    assert_true(are_numbers(held, SMALL, 9));
    must_be_clean(cache);
    must_put(cache, "new", 4 * MIB_ROWS, 78); /* nothing is in its way */
    assert_true(are_numbers(held, SMALL, 9));
    fc_frame_release(held);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* The first time of each step, and one in the middle. */
static void a_kill_at_any_step_leaves_exact_accounts(void **state) {
    bool met[STEPS] = {false};
    (void)state;
    for (int how = 0; how < HOWS; how++) {
        count_steps(how);
        for (size_t i = 0; i < STEPS; i++) {
            int times = came[i];
            met[i] |= times > 0;
            if (times)
                die_once(how, i, 1);
            if (times > 2)
                die_once(how, i, times / 2);
        }
    }
    for (size_t i = 0; i < STEPS; i++)
        if (!met[i])
            fail_msg("no put comes to step %s", steps[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_victim_of_the_same_shape_gives_its_files_to_the_put),
        cmocka_unit_test(files_that_are_too_long_or_too_short_serve_too),
        cmocka_unit_test(what_a_reader_holds_is_never_given_to_a_put),
        cmocka_unit_test(victims_of_another_shape_go_while_the_put_writes),
        cmocka_unit_test(a_large_victim_is_cut_in_pieces),
        cmocka_unit_test(shared_columns_outlive_the_victim),
        cmocka_unit_test(a_leased_victim_is_no_reason_to_take_a_dearer_one),
        cmocka_unit_test(a_put_that_cannot_pay_gives_everything_back),
        cmocka_unit_test(a_victim_that_does_not_compress_gives_its_files),
        cmocka_unit_test(a_victim_that_is_too_cheap_to_compress_gives_its_files),
        cmocka_unit_test(a_victim_that_compresses_is_compressed_not_lost),
        cmocka_unit_test(a_sample_of_a_frame_is_taken_once),
        cmocka_unit_test(
            what_a_reader_holds_is_not_sampled_or_taken_beside_the_cold_tier),
        cmocka_unit_test(a_full_cache_keeps_room_to_compress_rather_than_reuse),
        cmocka_unit_test(a_promotion_takes_the_files_of_a_victim),
        cmocka_unit_test(of_puts_that_fit_one_at_a_time_some_always_end),
        cmocka_unit_test(a_kill_at_any_step_leaves_exact_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
