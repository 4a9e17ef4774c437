/* A spill directory: what lies there, what it may hold, and that one that is full, read-only
 * or gone only means that frames are dropped. */
#include "support_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS ((int64_t)65536) /* 1 MiB of numbers that compress well */

static void make_dir(const char *path) {
    assert_int_equal(mkdir(path, 0700), 0);
}

static int files_below(const char *path) {
    char command[400], text[32] = "";
    snprintf(command, sizeof command, "find %s -type f ! -name owner | wc -l", path);
    FILE *out = popen(command, "r");
    assert_non_null(fgets(text, sizeof text, out));
    pclose(out);
    return atoi(text);
}

static void spilled_frames_lie_elsewhere_and_count_apart(void **state) {
    const char *dir = private_dir(), *spill = private_dir();
    fc_options options = cold_options(dir), blind = cold_options(dir);
    char key[16];
    (void)state;

    options.spill_dir = spill;
    options.spill_budget = "256KiB";
    fc_cache *cache = open_with(&options);
    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    fc_stats stats = stats_of(cache);
    assert_true(stats.spill_bytes > 0);
    assert_int_equal(stats.cold_bytes, 4096); /* the manifest */
    assert_int_equal(files_below(spill), 1);
    fc_cache *other = open_with(&blind); /* which does not know where */
    must_miss(other, "k", FC_MISS_NEVER);
    assert_true(is_cold(cache, "k"));
    fc_cache_close(other);
    get_and_release(cache, "k", ROWS, 1);
    assert_int_equal(files_below(spill), 0);
    assert_int_equal(stats_of(cache).spill_bytes, 0);
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "k-%d", i);
        must_put(cache, key, ROWS, i);
        must_demote(cache, key);
    }
    stats = stats_of(cache);
    assert_true(stats.spill_bytes <= 256 * KIB && stats.spill_bytes > 128 * KIB);
    assert_true(stats.evicted > 0 && stats.frames < 60);
    must_be_clean(cache);
    fc_cache_close(cache);

    cache = open_with(&options); /* alone: what is there stays */
    assert_int_equal(stats_of(cache).frames, stats.frames);
    get_and_release(cache, "k-59", ROWS, 59);
    fc_cache_close(cache);
    char control[4200];
    snprintf(control, sizeof control, "%s/control", dir);
    assert_int_equal(unlink(control), 0);
    cache = open_with(&options); /* made anew: what its former one spilled goes */
    assert_int_equal(files_below(spill), 0);
    fc_cache_close(cache);
}

static void a_file_that_others_left_in_the_spill_directory_goes_by_gc(void **state) {
    const char *dir = private_dir(), *spill = private_dir();
    fc_options options = cold_options(dir), blind = cold_options(dir);
    (void)state;

    options.spill_dir = spill;
    fc_cache *cache = open_with(&options), *other = open_with(&blind);
    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    must_put(cache, "stays", ROWS, 2);
    must_demote(cache, "stays");
    assert_int_equal(fc_delete(other, fc_str("k"), NULL), 0); /* it cannot reach the file */
    assert_int_equal(fc_cache_tick(other, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(files_below(spill), 2);
    must_be_clean(cache); /* it is no fault, and gone after gc */
    assert_int_equal(files_below(spill), 1);
    get_and_release(cache, "stays", ROWS, 2);
    fc_cache_close(other);
    fc_cache_close(cache);
}

/* However it fails: what does not fit is dropped, and puts go on. */
static void put_under_pressure(fc_cache *cache) {
    char key[16];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "p-%d", i);
        must_put(cache, key, ROWS, i);
    }
    fc_stats stats = stats_of(cache);
    assert_true(stats.spill_errors >= 1 && stats.spill_errors < 10);
    assert_true(stats.evicted > 0);
    get_and_release(cache, "p-99", ROWS, 99);
    must_be_clean(cache);
}

static _Atomic int warnings;

static void count_warnings(void *context, fc_level level, const char *message) {
    (void)context;
    warnings += level == FC_LEVEL_WARNING && strstr(message, "spill") != NULL;
}

static void a_full_spill_directory_means_dropping(void **state) {
    const char *spill = private_dir();
    fc_options options = cold_options(private_dir());
    (void)state;

    make_dir(spill);
    if (mount("tmpfs", spill, "tmpfs", 0, "size=64k")) {
        print_message("cannot mount a small tmpfs: %s\n", strerror(errno));
        skip();
    }
    options.spill_dir = spill;
    options.log = count_warnings;
    warnings = 0;
    fc_cache *cache = open_with(&options);
    put_under_pressure(cache);
    assert_int_equal(warnings, 1);
    fc_cache_close(cache);
    assert_int_equal(umount(spill), 0);
}

static void a_read_only_spill_directory_means_dropping(void **state) {
    const char *spill = private_dir();
    fc_options options = cold_options(private_dir());
    (void)state;

    make_dir(spill);
    if (mount("tmpfs", spill, "tmpfs", MS_RDONLY, "size=64k")) {
        print_message("cannot mount a small tmpfs: %s\n", strerror(errno));
        skip();
    }
    options.spill_dir = spill;
    fc_cache *cache = open_with(&options);
    put_under_pressure(cache);
    fc_cache_close(cache);
    assert_int_equal(umount(spill), 0);
}

static void what_a_removed_spill_directory_held_is_a_miss(void **state) {
    const char *spill = private_dir();
    fc_options options = cold_options(private_dir());
    (void)state;

    options.spill_dir = spill;
    fc_cache *cache = open_with(&options);
    must_put(cache, "k", ROWS, 1);
    must_demote(cache, "k");
    remove_tree(spill);
    must_miss(cache, "k", FC_MISS_EVICTED);
    assert_int_equal(stats_of(cache).spill_errors, 1);
    must_be_clean(cache);
    must_put(cache, "k", ROWS, 2);
    get_and_release(cache, "k", ROWS, 2);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spilled_frames_lie_elsewhere_and_count_apart),
        cmocka_unit_test(a_file_that_others_left_in_the_spill_directory_goes_by_gc),
        cmocka_unit_test(a_full_spill_directory_means_dropping),
        cmocka_unit_test(a_read_only_spill_directory_means_dropping),
        cmocka_unit_test(what_a_removed_spill_directory_held_is_a_miss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
