/* Exact accounting: charge, uncharge, repair; and the budget as programs see it. */
#include "support_proc.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROWS 131072 /* two columns of 1 MiB */

static fc__record *some_record(fc_cache *cache) {
    return &cache->records[5];
}

static void charge_and_uncharge_move_used_and_the_record_alike(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc__record *record = some_record(cache);
    uint64_t before = fc__used_units(cache);
    (void)state;

    assert_int_equal(before, fc__control_units(cache));
    assert_int_equal(fc__charge(cache, record, 7), 0);
    assert_int_equal(fc__charge(cache, record, 3), 0);
    assert_int_equal(record->charged, 10);
    assert_int_equal(fc__used_units(cache), before + 10);
    fc__uncharge(cache, record, 4);
    assert_int_equal(record->charged, 6);
    assert_int_equal(fc__used_units(cache), before + 6);
    fc__uncharge(cache, record, 6);
    assert_int_equal(fc__used_units(cache), before);
    assert_int_equal(record->intent, 0);
    fc_cache_close(cache);
}

static void charge_beyond_the_budget_changes_nothing(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc__record *record = some_record(cache);
    uint64_t used = cache->control->used;
    uint64_t room = cache->control->budget_units - fc__used_units(cache);
    (void)state;

    assert_int_equal(fc__charge(cache, record, room + 1), FC_E_BUDGET);
    assert_int_equal(cache->control->used, used);
    assert_int_equal(record->charged, 0);
    assert_int_equal(record->intent, 0);
    assert_int_equal(fc__charge(cache, record, room), 0); /* the last page of it fits */
    assert_int_equal(fc__charge(cache, record, 1), FC_E_BUDGET);
    fc__uncharge(cache, record, room);
    fc_cache_close(cache);
}

static void repair_brings_used_to_the_sum_of_the_charges(void **state) {
    fc_cache *cache = open_in(private_dir());
    uint64_t units = fc__used_units(cache);
    (void)state;

    assert_int_equal(fc__budget_repair(cache), 0);
    cache->control->used += 9ull << 24; /* as a kill between the steps leaves it */
    assert_int_equal(fc__budget_repair(cache), 1);
    assert_int_equal(fc__used_units(cache), units);
    assert_int_equal(fc__budget_repair(cache), 0);
    fc_cache_close(cache);
}

static void repair_keeps_off_while_a_charge_is_under_way(void **state) {
    fc_cache *cache = open_in(private_dir());
    uint64_t wrong;
    (void)state;

    cache->control->used += 9ull << 24;
    wrong = cache->control->used;
    some_record(cache)->intent = 3;
    assert_int_equal(fc__budget_repair(cache), FC_E_BUSY);
    assert_int_equal(cache->control->used, wrong);
    some_record(cache)->intent = 0;
    assert_int_equal(fc__budget_repair(cache), 1);
    fc_cache_close(cache);
}

/* ---- As programs see it ---- */

static void used_is_what_lies_on_disk_after_each_step(void **state) {
    fc_cache *cache = open_in(private_dir());
    (void)state;

    must_be_clean(cache);
    must_put(cache, "small", 3, 1);
    must_be_clean(cache);
    must_put(cache, "big", ROWS, 1);
    must_be_clean(cache);
    for (int i = 0; i < 5; i++) {
        must_put(cache, "big", i % 2 ? ROWS : ROWS * 2 / 3, i);
        must_put(cache, "small", i % 2 ? 3 : 3000, i);
    }
    fc_stats stats = stats_of(cache);
    assert_true(stats.pool_bytes > 0);
    assert_int_equal(stats.used_bytes,
                     stats.control_bytes + stats.hot_bytes + stats.pool_bytes);
    must_be_clean(cache);
    assert_int_equal(stats_of(cache).pool_bytes, 0);
    assert_int_equal(fc_delete(cache, fc_str("big"), NULL), 0);
    assert_int_equal(fc_cache_clear(cache, NULL, NULL), 0);
    must_be_clean(cache);
    stats = stats_of(cache);
    assert_int_equal(stats.used_bytes, stats.control_bytes);
    fc_cache_close(cache);
}

static void frame_larger_than_the_budget_is_refused_and_nothing_else_goes(void **state) {
    fc_options options = options_in(private_dir());
    fc_build *build;
    fc_error error;
    (void)state;

    options.budget = "5MiB";
    options.reclaim_wait = "60s"; /* it must not wait, either */
    fc_cache *cache = open_with(&options);
    must_put(cache, "here", ROWS, 1);
    must_put(cache, "too", 10, 2);
    int64_t start = now_ms();
    assert_int_equal(put_numbers(cache, fc_str("huge"), 3 * ROWS, 1, NULL, NULL, &error),
                     FC_E_BUDGET);
    assert_true(error.asked_bytes >= 6 * MIB);
    assert_int_equal(error.budget_bytes, 5 * MIB);
    assert_non_null(strstr(error.message, "FRAMECACHE_BUDGET"));
    assert_int_equal(put_numbers(cache, fc_str("here"), 3 * ROWS, 1, NULL, NULL, &error),
                     FC_E_BUDGET);
    assert_int_equal(
        begin_numbers(cache, fc_str("huge"), 6 * ROWS, 1, NULL, &build, &error),
        FC_E_BUDGET);
    assert_null(build);
    assert_true(now_ms() - start < 50000);
    fc_frame_release(must_get(cache, "here", ROWS, 1));
    fc_frame_release(must_get(cache, "too", 10, 2));
    assert_int_equal(stats_of(cache).evicted, 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* One over half the budget cannot stand beside its old version, yet can be replaced. */
static void frame_over_half_the_budget_is_replaced(void **state) {
    fc_options options = options_in(private_dir());
    (void)state;

    options.budget = "5MiB";
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < 4; i++) {
        must_put(cache, "key", 2 * ROWS, i);
        fc_frame_release(must_get(cache, "key", 2 * ROWS, i));
    }
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void squeezed_budget_evicts_at_once_and_for_all(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_in(dir), *other = open_in(dir);
    char name[16];
    fc_error error;
    (void)state;

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, ROWS, i);
    }
    assert_int_equal(fc_cache_set_budget(cache, "7MiB", &error), 0);
    fc_stats stats = stats_of(other);
    assert_int_equal(stats.budget_bytes, 7 * MIB);
    assert_true(stats.used_bytes <= 7 * MIB && stats.frames >= 2);
    assert_int_equal(put_numbers(other, fc_str("huge"), 4 * ROWS, 1, NULL, NULL, &error),
                     FC_E_BUDGET);
    assert_int_equal(fc_cache_set_budget(cache, "much", &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "much"));
    assert_int_equal(fc_cache_set_budget(cache, "8KiB", &error), FC_E_INVALID);
    assert_int_equal(stats_of(cache).budget_bytes, 7 * MIB);
    must_be_clean(cache);
    fc_cache_close(cache);
    fc_cache_close(other);
}

static void budget_in_percent_is_of_the_file_system(void **state) {
    fc_cache *cache = open_in(private_dir());
    struct statvfs fs;
    (void)state;

    assert_int_equal(fc_cache_set_budget(cache, "25%", NULL), 0);
    assert_int_equal(statvfs("/dev/shm", &fs), 0);
    uint64_t quarter = fs.f_blocks * fs.f_frsize / 4;
    uint64_t budget = stats_of(cache).budget_bytes;
    assert_true(budget <= quarter && budget + 4096 >= quarter);
    assert_string_equal(stats_of(cache).budget_rule, "setting");
    assert_int_equal(fc_cache_set_budget(cache, "auto", NULL), 0);
    fc_stats stats = stats_of(cache);
    assert_true(stats.budget_bytes <= fs.f_blocks * fs.f_frsize / 2);
    assert_string_not_equal(stats.budget_rule, "setting");
    fc_cache_close(cache);
}

static void what_is_there_at_attach_counts_and_is_trimmed(void **state) {
    const char *dir = private_dir();
    fc_options options = options_in(dir);
    fc_cache *cache = open_with(&options);
    char name[16];
    (void)state;

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, ROWS, i);
    }
    fc_cache_close(cache);
    options.budget = "9MiB";
    cache = open_with(&options);
    fc_stats stats = stats_of(cache);
    assert_true(stats.used_bytes <= 9 * MIB && stats.frames > 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void not_ours(struct ArrowArray *array) {
    array->release = NULL;
}

static void array_that_claims_too_many_rows_is_refused_before_it_is_planned(void **state) {
    fc_cache *cache = open_in(private_dir());
    const int64_t rows[] = {(int64_t)1 << 62, (int64_t)1 << 57, (int64_t)1 << 48};
    fc_field field = {"b", "b"};
    struct ArrowSchema schema;
    uint64_t byte = 0;
    const void *buffers[] = {NULL, &byte}, *none[] = {NULL};
    fc_error error;
    (void)state;

    assert_int_equal(fc_schema_init(&schema, &field, 1, NULL), 0);
    for (int i = 0; i < 3; i++) {
        struct ArrowArray column = {.length = rows[i], .n_buffers = 2, .buffers = buffers,
                                    .release = not_ours};
        struct ArrowArray *children[] = {&column};
        struct ArrowArray array = {.length = rows[i], .n_buffers = 1, .buffers = none,
                                   .n_children = 1, .children = children,
                                   .release = not_ours};
        int status = fc_put(cache, fc_str("k"), &schema, &array, NULL, NULL, &error);
        assert_int_equal(status, FC_E_BUDGET);
        assert_non_null(strstr(error.message, "rows"));
    }
    schema.release(&schema);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* It could stand beside its old version, if only others let go of theirs. */
static void put_of_over_half_the_budget_keeps_the_old_value_if_there_is_room(void **state) {
    fc_cache *cache = open_in(private_dir());
    (void)state;

    assert_int_equal(fc_cache_set_budget(cache, "11MiB", NULL), 0);
    must_put(cache, "k", ROWS, 1);
    must_put(cache, "other", ROWS, 2);
    fc_frame *held = must_get(cache, "other", ROWS, 2), *old = must_get(cache, "k", ROWS, 1);
    assert_int_equal(put_numbers(cache, fc_str("k"), 4 * ROWS, 3, NULL, NULL, NULL),
                     FC_E_BUDGET);
    fc_frame_release(old);
    get_and_release(cache, "k", ROWS, 1);
    fc_frame_release(held);
    must_put(cache, "k", 3 * ROWS, 3);
    get_and_release(cache, "k", 3 * ROWS, 3);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* As a process has it whose locks have gone, but not yet its pages. */
static void segment_that_a_dying_process_has_still_keeps_no_pages(void **state) {
    fc_options options = options_in(private_dir());
    fc_info info = {.size = sizeof info};
    struct stat file;
    char name[24];
    (void)state;

    options.pool = "0";
    fc_cache *cache = open_with(&options);
    must_put(cache, "k", ROWS, 1);
    fc_frame *frame = must_get(cache, "k", ROWS, 1);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    fc_frame_release(frame);
    fc__segment_name(name, info.record, 0);
    int fd = openat(cache->frames, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &file) == 0 && file.st_blocks > 0);
    assert_int_equal(fc_delete(cache, fc_str("k"), NULL), 0);
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(fstat(fd, &file), 0);
    assert_int_equal(file.st_nlink, 0);
    assert_int_equal(file.st_blocks, 0);
    close(fd);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static int finds_huge(void *context, const fc_finding *finding) {
    if (finding->level == FC_LEVEL_ERROR && strstr(finding->text, "huge=always"))
        *(bool *)context = true;
    return 0;
}

static void open_on_huge_pages(void *context) {
    const char *dir = context;
    fc_options options = options_in(dir);
    fc_cache *cache;
    fc_error error;
    bool told = false;
    CHECK(mkdir(dir, 0700) == 0);
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", dir, "tmpfs", 0, "huge=always,mode=700,size=64m"))
        return; /* not root, or no huge pages */
    fc_doctor(&options, finds_huge, &told, NULL);
    int status = fc_cache_open(&cache, &options, &error);
    CHECK(!told == !status); /* the kernel's shmem_enabled may be deny */
    if (status) {
        CHECK(status == FC_E_UNSUPPORTED && strstr(error.message, "within_size"));
        CHECK(mount("none", dir, NULL, MS_REMOUNT, "huge=within_size") == 0);
        CHECK(fc_cache_open(&cache, &options, &error) == 0);
    }
    fc_cache_close(cache);
}

static void tmpfs_of_huge_pages_is_refused_with_the_remedy(void **state) {
    (void)state;
    must_end(spawn(open_on_huge_pages, (void *)(uintptr_t)private_dir()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charge_and_uncharge_move_used_and_the_record_alike),
        cmocka_unit_test(charge_beyond_the_budget_changes_nothing),
        cmocka_unit_test(repair_brings_used_to_the_sum_of_the_charges),
        cmocka_unit_test(repair_keeps_off_while_a_charge_is_under_way),
        cmocka_unit_test(used_is_what_lies_on_disk_after_each_step),
        cmocka_unit_test(frame_larger_than_the_budget_is_refused_and_nothing_else_goes),
        cmocka_unit_test(frame_over_half_the_budget_is_replaced),
        cmocka_unit_test(squeezed_budget_evicts_at_once_and_for_all),
        cmocka_unit_test(budget_in_percent_is_of_the_file_system),
        cmocka_unit_test(what_is_there_at_attach_counts_and_is_trimmed),
        cmocka_unit_test(array_that_claims_too_many_rows_is_refused_before_it_is_planned),
        cmocka_unit_test(put_of_over_half_the_budget_keeps_the_old_value_if_there_is_room),
        cmocka_unit_test(segment_that_a_dying_process_has_still_keeps_no_pages),
        cmocka_unit_test(tmpfs_of_huge_pages_is_refused_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
