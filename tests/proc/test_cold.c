/* The cold tier with real processes and files: frames that make room by being compressed come
 * back the same, and kills at any step leave nothing. */
#include "support_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS ((int64_t)65536) /* 1 MiB of numbers that compress well */

static void fork_and_end(void *context) {
    (void)context;
}

/* ---- There and back ---- */

static void a_frame_that_was_compressed_comes_back_the_same(void **state) {
    fc_cache *cache = open_cold(private_dir());
    fc_bytes tags[] = {fc_str("sql"), fc_str("daily")};
    fc_put_options options = {.size = sizeof options, .ttl_ms = 3600000, .stale_ms = 60000,
                              .cost_s = 3.5, .tags = tags, .tag_count = 2};
    fc_info before = {.size = sizeof before}, after = {.size = sizeof after};
    fc_frame *frame;
    uint64_t count;
    (void)state;

    assert_int_equal(put_numbers(cache, fc_str("k"), ROWS, 7, &options, &frame, NULL), 0);
    assert_int_equal(fc_frame_info(frame, &before, NULL), 0);
    fc_frame_release(frame);
    uint64_t hot = stats_of(cache).used_bytes;
    must_demote(cache, "k");
    fc_stats stats = stats_of(cache);
    assert_true(stats.used_bytes < hot - ROWS * 16 / 2);
    assert_int_equal(stats.demoted, 1);
    assert_int_equal(stats.frames, 1);
    assert_true(stats.cold_bytes > 0 && stats.cold_bytes < stats.cold_raw_bytes);
    assert_true(stats.cold_raw_bytes >= (uint64_t)ROWS * 16);
    assert_int_equal(stats.evicted, 0);
    must_be_clean(cache);

    frame = must_get(cache, "k", ROWS, 7);
    assert_int_equal(fc_frame_info(frame, &after, NULL), 0);
    assert_int_equal(after.sequence, before.sequence);
    assert_int_equal(after.created_ns, before.created_ns);
    assert_int_equal(after.expires_ns, before.expires_ns);
    assert_int_equal(after.stale_until_ns - after.expires_ns, 60000ll * 1000000);
    assert_true(after.cost_s == 3.5);
    assert_int_equal(after.tag_count, 2);
    assert_true(after.uses >= before.uses);
    assert_false(after.cold);
    fc_frame_release(frame);
    stats = stats_of(cache);
    assert_int_equal(stats.promoted, 1);
    assert_int_equal(stats.cold_hits, 1);
    assert_int_equal(stats.cold_bytes + stats.cold_raw_bytes, 0);
    assert_int_equal(stats.used_bytes, hot);
    must_demote(cache, "k");
    assert_int_equal(fc_delete_tag(cache, fc_str("daily"), &count, NULL), 0);
    assert_int_equal(count, 1);
    must_miss(cache, "k", FC_MISS_INVALIDATED);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void frames_compress_before_they_are_dropped(void **state) {
    fc_cache *cache = open_cold(private_dir());
    char key[16];
    (void)state;

    for (int i = 0; i < 100; i++) { /* 100 MiB in a budget of 64 */
        snprintf(key, sizeof key, "k-%d", i);
        must_put(cache, key, ROWS, i);
    }
    fc_stats stats = stats_of(cache);
    assert_true(stats.frames >= 98); /* the first leaves room for the next's blocks */
    assert_int_equal(stats.frames + stats.evicted, 100);
    assert_true(stats.demoted >= 36);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k-%d", i);
        if (fc_contains(cache, fc_str(key), NULL) == 0)
            get_and_release(cache, key, ROWS, i);
    }
    assert_true(stats_of(cache).promoted >= 36);
    assert_true(stats_of(cache).used_bytes <= 64 * MIB);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void get_if_there(fc_cache *cache, const char *key, int64_t rows, int64_t first) {
    fc_frame *frame;
    int status = fc_get(cache, fc_str(key), 0, &frame, NULL);
    if (status == FC_E_MISS)
        return;
    assert_int_equal(status, 0);
    assert_true(are_numbers(frame, rows, first));
    fc_frame_release(frame);
}

/* Threads code one frame together, and the janitor begins above the high watermark. */
static void a_janitor_compresses_with_threads_beside_gets_and_forks(void **state) {
    const char *dir = private_dir();
    fc_options options = cold_options(dir);
    char key[16];
    (void)state;

#ifdef __SANITIZE_THREAD__
    skip(); /* gcc's thread sanitizer ends a child that is forked among threads */
#endif
    options.flags = 0;
    options.janitor = "on";
    options.threads = "3";
    options.watermarks = "50:30";
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "k-%d", i);
        must_put(cache, key, 4 * ROWS, i);
    }
    int64_t end = now_ms() + 60000;
    for (int i = 0; stats_of(cache).demoted < 3 && now_ms() < end; i++) {
        if (i < 10) {
            pid_t child = spawn(fork_and_end, NULL);
            must_end(child);
        }
        must_put(cache, "small", 1, 1); /* starts the helper again */
        sleep_ms(50);
    }
    fc_stats stats = stats_of(cache);
    assert_true(stats.demoted >= 3); /* which brings it below the high watermark */
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "k-%d", i);
        get_if_there(cache, key, 4 * ROWS, i);
    }
    /* Where threads wait long for a processor, some are dropped rather than compressed. Counted
     * record by record: one that moves meanwhile may be in neither. */
    for (end = now_ms() + 60000; now_ms() < end; sleep_ms(10)) {
        stats = stats_of(cache);
        if (stats.frames + stats.evicted == 11)
            break;
    }
    assert_int_equal(stats.frames + stats.evicted, 11);
    fc_cache_close(cache); /* its janitor may be at the next one */
    must_be_clean_in(dir);
}

static void what_does_not_pay_is_dropped(void **state) {
    fc_cache *cache = open_cold(private_dir());
    fc_put_options cheap = {.size = sizeof cheap, .cost_s = 1e-6};
    (void)state;

    must_put(cache, "small", 100, 1);
    assert_int_equal(demote(cache, "small"), FC__BUSY);
    assert_int_equal(put_numbers(cache, fc_str("cheap"), ROWS, 1, &cheap, NULL, NULL), 0);
    assert_int_equal(demote(cache, "cheap"), FC__BUSY);
    must_put(cache, "twice", ROWS, 1);
    must_demote(cache, "twice");
    assert_int_equal(demote(cache, "twice"), FC__BUSY);
    fc_frame *held = must_get(cache, "twice", ROWS, 1);
    assert_int_equal(demote(cache, "twice"), FC__LEASED);
    fc_frame_release(held);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void noise_is_dropped_as_it_does_not_compress(void **state) {
    fc_cache *cache = open_cold(private_dir());
    static const fc_field field = {"x", "l"};
    struct ArrowSchema schema;
    fc_build *build;
    uint64_t random = 88172645463325252u;
    (void)state;

    assert_int_equal(fc_schema_init(&schema, &field, 1, NULL), 0);
    assert_int_equal(fc_build_begin(cache, fc_str("k"), &schema, ROWS, NULL, &build, NULL), 0);
    schema.release(&schema);
    for (int64_t i = 0; i < ROWS; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        ((uint64_t *)fc_build_column(build, 0)->values)[i] = random;
    }
    assert_int_equal(fc_build_commit(build, ROWS, NULL, NULL), 0);
    assert_int_equal(demote(cache, "k"), FC__BUSY);
    assert_int_equal(stats_of(cache).demoted, 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_cold_frame_is_replaced_deleted_touched_and_expires(void **state) {
    fc_cache *cache = open_cold(private_dir());
    (void)state;

    must_put(cache, "replaced", ROWS, 1);
    must_demote(cache, "replaced");
    must_put(cache, "replaced", 10, 2);
    get_and_release(cache, "replaced", 10, 2);
    must_put(cache, "deleted", ROWS, 1);
    must_demote(cache, "deleted");
    assert_int_equal(fc_delete(cache, fc_str("deleted"), NULL), 0);
    must_miss(cache, "deleted", FC_MISS_DELETED);
    must_put(cache, "touched", ROWS, 1);
    must_demote(cache, "touched");
    assert_int_equal(fc_contains(cache, fc_str("touched"), NULL), 0);
    assert_int_equal(fc_touch(cache, fc_str("touched"), 3600000, NULL), 0);
    fc_info info = {.size = sizeof info};
    fc_frame *frame = must_get(cache, "touched", ROWS, 1);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    assert_true(info.expires_ns < INT64_MAX);
    fc_frame_release(frame);
    assert_int_equal(put_numbers(cache, fc_str("expired"), ROWS, 1, NULL, NULL, NULL), 0);
    must_demote(cache, "expired");
    assert_int_equal(fc_touch(cache, fc_str("expired"), 1, NULL), 0);
    sleep_ms(3);
    must_miss(cache, "expired", FC_MISS_EXPIRED);
    fc_put_options same = {.size = sizeof same};
    must_put(cache, "expected", ROWS, 1);
    frame = must_get(cache, "expected", ROWS, 1);
    same.expect = sequence_of(frame);
    fc_frame_release(frame);
    must_demote(cache, "expected");
    assert_int_equal(put_numbers(cache, fc_str("expected"), 5, 3, &same, NULL, NULL), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void nowait_and_read_only_do_not_decompress(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_cold(dir), *reader;
    fc_options options = cold_options(dir);
    fc_frame *frame;
    (void)state;

    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    assert_int_equal(fc_get(cache, fc_str("k"), FC_GET_NOWAIT, &frame, NULL), FC_E_BUSY);
    assert_null(frame);
    options.flags |= FC_RDONLY;
    reader = open_with(&options);
    assert_int_equal(fc_get(reader, fc_str("k"), 0, &frame, NULL), FC_E_BUSY);
    assert_true(is_cold(cache, "k"));
    get_and_release(cache, "k", ROWS, 1);
    assert_int_equal(fc_get(cache, fc_str("k"), FC_GET_NOWAIT, &frame, NULL), 0);
    fc_frame_release(frame);
    get_and_release(reader, "k", ROWS, 1);
    fc_cache_close(reader);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Several processes ---- */

typedef struct crowd {
    const char *dir;
    _Atomic int ready;
    _Atomic bool go;
} crowd;

static void get_together(void *context) {
    crowd *c = context;
    fc_cache *cache = open_cold(c->dir);

    atomic_fetch_add(&c->ready, 1);
    while (!atomic_load(&c->go))
        sleep_ms(1);
    get_and_release(cache, "k", 16 * ROWS, 5);
    fc_cache_close(cache);
}

static void many_getters_decompress_once(void **state) {
    crowd *c = shared_memory(sizeof *c);
    pid_t children[6];
    (void)state;

    c->dir = private_dir();
    fc_cache *cache = open_cold(c->dir);
    must_put(cache, "k", 16 * ROWS, 5);
    must_demote(cache, "k");
    for (int i = 0; i < 6; i++)
        children[i] = spawn(get_together, c);
    while (atomic_load(&c->ready) < 6)
        sleep_ms(1);
    atomic_store(&c->go, true);
    for (int i = 0; i < 6; i++)
        must_end(children[i]);
    assert_int_equal(stats_of(cache).promoted, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static const char *const steps[] = {
    "charge-intent", "charge-used",     "charge-charged",   "put-writing",
    "put-charged",   "put-manifest",    "put-segment",      "cold-flagged",
    "cold-file",     "cold-blocks",     "put-key-locked",   "put-committed",
    "put-live",      "move-live",       "evict-leased",     "move-replaced",
    "reclaim-marked", "unlink-manifest", "cold-unlinked",   "reclaim-unlinked",
    "reclaim-uncharged", "put-published", "promote-leased"};

typedef struct victim {
    fc_options options;
    const char *step;
    bool promote;
} victim;

static void move_and_die(void *context) {
    victim *v = context;
    fc_cache *cache = open_with(&v->options);

    die_at_step(v->step, 1);
    if (v->promote)
        get_and_release(cache, "k", ROWS, 1);
    else
        demote(cache, "k");
    _exit(77); /* it never came to the step */
}

static int kill_at_each_step(const char *spill, bool promote) {
    int killed = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        victim v = {.options = cold_options(private_dir()), .step = steps[i],
                    .promote = promote};
        v.options.spill_dir = spill;
        fc_cache *cache = open_with(&v.options);
        must_put(cache, "k", ROWS, 1);
        must_put(cache, "other", ROWS, 9);
        if (promote)
            must_demote(cache, "k");
        fc_frame *held = must_get(cache, "other", ROWS, 9);
        fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL); /* no pool: all steps are passed */
        pid_t child = spawn(move_and_die, &v);
        int state = 0;
        assert_int_equal(waitpid(child, &state, 0), child);
        killed += WIFSIGNALED(state);
        if (!WIFSIGNALED(state))
            assert_int_equal(WEXITSTATUS(state), 77);
        get_and_release(cache, "k", ROWS, 1); /* a move never loses the frame */
        fc_frame_release(held);
        must_be_clean(cache);
        must_demote(cache, "k");
        get_and_release(cache, "k", ROWS, 1);
        must_be_clean(cache);
        fc_cache_close(cache);
    }
    return killed;
}

static void killed_at_any_step_of_demotion_the_frame_is_there_and_nothing_is_left(
    void **state) {
    (void)state;
    assert_true(kill_at_each_step(NULL, false) >= 18);
}

static void killed_at_any_step_of_promotion_the_frame_is_there_and_nothing_is_left(
    void **state) {
    (void)state;
    assert_true(kill_at_each_step(NULL, true) >= 18);
}

static void killed_at_any_step_with_a_spill_directory_nothing_is_left(void **state) {
    const char *spill = private_dir();
    (void)state;
    assert_int_equal(mkdir(spill, 0700), 0);
    assert_true(kill_at_each_step(spill, false) >= 18);
    assert_true(kill_at_each_step(spill, true) >= 18);
}

static void stop_promoting(void *context) {
    fc_cache *cache = open_cold(context);

    stop_at_step("promote-leased", 1);
    get_and_release(cache, "k", ROWS, 1);
    fc_cache_close(cache);
}

static void a_stopped_promoter_makes_others_busy_and_a_killed_one_is_replaced(void **state) {
    const char *dir = private_dir();
    fc_options options = cold_options(dir);
    fc_frame *frame;
    (void)state;

    options.reclaim_wait = "20ms";
    fc_cache *cache = open_with(&options);
    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    pid_t child = spawn(stop_promoting, (void *)dir);
    must_stop(child);
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, NULL), FC_E_BUSY);
    kill_and_reap(child);
    get_and_release(cache, "k", ROWS, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Damage ---- */

static void cold_file_of(fc_cache *cache, const char *key, char path[4200]) {
    uint32_t slot;
    uint64_t word = fc__index_find(cache, fc__hash_key(cache, fc_str(key)), &slot);
    snprintf(path, 4200, "%s/cold/%06x", cache->settings.dir, fc__word_record(word));
}

static void flip_byte(const char *path, off_t at) {
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0xff;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void must_be_corrupt(fc_cache *cache, const char *names) {
    fc_error error;
    fc_frame *frame;

    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, &error), FC_E_CORRUPT);
    if (!strstr(error.message, names))
        fail_msg("%s", error.message);
    must_miss(cache, "k", FC_MISS_CORRUPT);
    must_be_clean(cache);
    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
}

static void a_damaged_block_is_named_once_and_then_a_miss(void **state) {
    fc_cache *cache = open_cold(private_dir());
    char path[4200];
    struct stat info;
    (void)state;

    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    cold_file_of(cache, "k", path);
    assert_int_equal(stat(path, &info), 0);
    flip_byte(path, info.st_size - 1);
    assert_int_equal(fc_cache_verify(cache, 0, NULL, NULL, NULL), 0);
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), FC_E_CORRUPT);
    must_be_corrupt(cache, "block ");
    cold_file_of(cache, "k", path);
    flip_byte(path, 70); /* the table */
    assert_int_equal(fc_cache_verify(cache, 0, NULL, NULL, NULL), FC_E_CORRUPT);
    must_be_corrupt(cache, "block table");
    cold_file_of(cache, "k", path);
    assert_int_equal(truncate(path, 10), 0);
    fc_error error;
    fc_frame *frame;
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, &error), FC_E_CORRUPT);
    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    cold_file_of(cache, "k", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, &error), FC_E_CORRUPT);
    must_miss(cache, "k", FC_MISS_CORRUPT);
    fc_cache_close(cache);
}

static void a_missing_manifest_is_damage_and_a_held_one_is_not(void **state) {
    fc_cache *cache = open_cold(private_dir());
    char path[4200], *name;
    fc_error error;
    fc_frame *frame;
    (void)state;

    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    cold_file_of(cache, "k", path);
    name = strstr(path, "/cold/");
    memmove(name + 8, name + 5, strlen(name + 5) + 1);
    memcpy(name, "/frames/", 8);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fc__os_lease(fd, FC__EXCLUSIVE), 0); /* an evictor that is stopped */
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, &error), FC_E_MISS);
    close(fd);
    get_and_release(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    cold_file_of(cache, "k", path);
    name = strstr(path, "/cold/");
    memmove(name + 8, name + 5, strlen(name + 5) + 1);
    memcpy(name, "/frames/", 8);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, &error), FC_E_CORRUPT);
    must_miss(cache, "k", FC_MISS_CORRUPT);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_cold_key_of_a_removed_directory_says_so(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_cold(dir);
    fc_frame *frame;
    (void)state;

    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    remove_tree(dir);
    assert_int_equal(fc_get(cache, fc_str("k"), 0, &frame, NULL), FC_E_CLOSED);
    fc_cache_close(cache);
}

/* ---- Forks ---- */

static const char *fork_step;
static pid_t forked;

static void fork_at_step(const char *step) {
    if (!strcmp(step, fork_step) && !forked) {
        forked = fork();
        if (!forked)
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (!forked)
            pause();
    }
}

/* A child that lives on has no lease on what its parent compresses or decompresses. */
static void a_child_forked_in_a_move_holds_nothing(void **state) {
    static const char *const where[] = {"cold-blocks", "promote-leased"};
    fc_cache *cache = open_cold(private_dir());
    (void)state;

#ifdef __SANITIZE_THREAD__
    skip(); /* gcc's thread sanitizer ends a child that is forked among threads */
#endif
    for (int i = 0; i < 2; i++) {
        must_put(cache, "k", ROWS, 1);
        if (i)
            must_demote(cache, "k");
        forked = 0;
        fork_step = where[i];
        fc__step_hook = fork_at_step;
        if (i)
            get_and_release(cache, "k", ROWS, 1);
        else
            must_demote(cache, "k");
        fc__step_hook = NULL;
        assert_true(forked > 0);
        assert_int_equal(stats_of(cache).zombie_bytes, 0);
        must_be_clean(cache);
        kill_and_reap(forked);
    }
    fc_cache_close(cache);
}

static void orphans_in_cold_are_swept(void **state) {
    fc_cache *cache = open_cold(private_dir());
    char path[4200];
    (void)state;

    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    snprintf(path, sizeof path, "%s/cold/0000ff", cache->settings.dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(fc_cache_verify(cache, 0, NULL, NULL, NULL), FC_E_CORRUPT);
    must_be_clean_after_gc(cache);
    assert_int_equal(access(path, F_OK), -1);
    get_and_release(cache, "k", ROWS, 1);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_that_was_compressed_comes_back_the_same),
        cmocka_unit_test(frames_compress_before_they_are_dropped),
        cmocka_unit_test(a_janitor_compresses_with_threads_beside_gets_and_forks),
        cmocka_unit_test(what_does_not_pay_is_dropped),
        cmocka_unit_test(noise_is_dropped_as_it_does_not_compress),
        cmocka_unit_test(a_cold_frame_is_replaced_deleted_touched_and_expires),
        cmocka_unit_test(nowait_and_read_only_do_not_decompress),
        cmocka_unit_test(many_getters_decompress_once),
        cmocka_unit_test(
            killed_at_any_step_of_demotion_the_frame_is_there_and_nothing_is_left),
        cmocka_unit_test(
            killed_at_any_step_of_promotion_the_frame_is_there_and_nothing_is_left),
        cmocka_unit_test(a_stopped_promoter_makes_others_busy_and_a_killed_one_is_replaced),
        cmocka_unit_test(a_damaged_block_is_named_once_and_then_a_miss),
        cmocka_unit_test(a_missing_manifest_is_damage_and_a_held_one_is_not),
        cmocka_unit_test(a_cold_key_of_a_removed_directory_says_so),
        cmocka_unit_test(a_child_forked_in_a_move_holds_nothing),
        cmocka_unit_test(orphans_in_cold_are_swept),
        cmocka_unit_test(killed_at_any_step_with_a_spill_directory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
