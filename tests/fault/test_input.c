/* Bad directories, bad settings, bad keys, exhausted limits: each gives its error, naming
 * what and the remedy, and leaves a cache that verifies clean. Damaged files:
 * test_damage.c. */
#include "support_proc.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 54321 /* a uid and gid that nobody has */

static void must_refuse(const fc_options *options, int code, const char *part) {
    fc_error error = {0};
    fc_cache *cache;
    int status = fc_cache_open(&cache, options, &error);

    if (status != code || !strstr(error.message, part))
        fprintf(stderr, "%s, not %s: %s\n", fc_error_name(status), fc_error_name(code),
                error.message);
    CHECK(status == code && error.code == code);
    CHECK(cache == NULL);
    CHECK(strstr(error.message, part));
}

/* ---- Directories ---- */

static bool private_mounts(void) {
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool may_mount(void) {
    if (geteuid() == 0)
        return true;
    print_message("not root: no file system can be mounted\n");
    return false;
}

static void try_overlay(void *context) {
    const char *dir = context;
    char data[400], lower[110], upper[110], work[110], merged[110];

    snprintf(lower, sizeof lower, "%s/lower", dir);
    snprintf(upper, sizeof upper, "%s/upper", dir);
    snprintf(work, sizeof work, "%s/work", dir);
    snprintf(merged, sizeof merged, "%s/merged", dir);
    CHECK(mkdir(dir, 0700) == 0 && mkdir(lower, 0700) == 0 && mkdir(upper, 0700) == 0 &&
          mkdir(work, 0700) == 0 && mkdir(merged, 0700) == 0);
    fc_options options = options_in(merged);
    snprintf(data, sizeof data, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
    if (!private_mounts() || mount("overlay", merged, "overlay", 0, data)) {
        fprintf(stderr, "no overlayfs can be mounted here\n");
        return;
    }
    must_refuse(&options, FC_E_UNSUPPORTED, "overlayfs");
    must_refuse(&options, FC_E_UNSUPPORTED, "FRAMECACHE_DIR");
}

static void overlayfs_is_refused_with_the_reason(void **state) {
    (void)state;
    if (!may_mount())
        skip();
    must_end(spawn(try_overlay, (void *)(uintptr_t)private_dir()));
}

static void world_writable_directory_is_refused(void **state) {
    fc_options options = options_in(private_dir());
    (void)state;

    assert_int_equal(mkdir(options.dir, 0700), 0);
    assert_int_equal(chmod(options.dir, 0777), 0);
    must_refuse(&options, FC_E_PERMISSION, "chmod o-w");
    assert_int_equal(chmod(options.dir, 0700), 0);
    must_be_clean_in(options.dir);
}

static void become_stranger(gid_t group) {
    CHECK(setgroups(0, NULL) == 0);
    CHECK(setresgid(group, group, group) == 0);
    CHECK(setresuid(STRANGER, STRANGER, STRANGER) == 0);
}

static void try_strangers(void *context) {
    fc_options options = options_in(context);

    become_stranger(STRANGER);
    must_refuse(&options, FC_E_PERMISSION, "belongs to uid 0");
    options.flags |= FC_RDONLY; /* not in its group */
    must_refuse(&options, FC_E_PERMISSION, "FC_RDONLY");
}

static void strangers_directory_is_refused(void **state) {
    const char *dir = private_dir();
    (void)state;

    if (geteuid())
        skip();
    must_be_clean_in(dir);
    assert_int_equal(chmod(dir, 0755), 0);
    must_end(spawn(try_strangers, (void *)(uintptr_t)dir));
    must_be_clean_in(dir);
}

static void what_is_no_directory_is_refused(void **state) {
    fc_options options = options_in(private_dir());
    char below[120];
    (void)state;

    fclose(fopen(options.dir, "w"));
    must_refuse(&options, FC_E_INVALID, "FRAMECACHE_DIR");
    snprintf(below, sizeof below, "%s-missing/below", options.dir);
    options.dir = below;
    must_refuse(&options, FC_E_SYSTEM, "FRAMECACHE_DIR");
    options.flags |= FC_NO_CREATE;
    must_refuse(&options, FC_E_MISS, "no cache");
}

/* ---- Read-only, by a group ---- */

typedef struct reading {
    const char *dir;
    gid_t group;
    _Atomic int phase; /* even: the reader's turn */
} reading;

static void wait_phase(reading *r, int phase) {
    for (int64_t end = now_ms() + 60000; atomic_load(&r->phase) < phase; sleep_ms(1))
        CHECK(now_ms() < end);
}

static void writes_must_fail(fc_cache *cache) {
    fc_error error;
    fc_build *build;
    uint64_t count;

    CHECK(put_numbers(cache, fc_str("key"), 1, 1, NULL, NULL, &error) == FC_E_PERMISSION);
    CHECK(strstr(error.message, "read-only"));
    CHECK(begin_numbers(cache, fc_str("k"), 1, 1, NULL, &build, NULL) == FC_E_PERMISSION);
    CHECK(fc_delete(cache, fc_str("key"), NULL) == FC_E_PERMISSION);
    CHECK(fc_touch(cache, fc_str("key"), 1, NULL) == FC_E_PERMISSION);
    CHECK(fc_cache_clear(cache, &count, NULL) == FC_E_PERMISSION);
    CHECK(fc_delete_prefix(cache, fc_str("k"), &count, NULL) == FC_E_PERMISSION);
    CHECK(fc_cache_set_budget(cache, "1GiB", NULL) == FC_E_PERMISSION);
}

static void read_as_group(void *context) {
    reading *r = context;
    fc_options options = {.size = sizeof options, .flags = FC_RDONLY, .dir = r->dir};
    fc_info info = {.size = sizeof info};
    fc_stats stats = {.size = sizeof stats};
    fc_cursor *cursor;

    become_stranger(r->group);
    fc_cache *cache = open_with(&options);
    fc_frame *big = must_get(cache, "big", 131072, 7);
    fc_frame_release(must_get(cache, "small", 3, 5));
    must_miss(cache, "missing", FC_MISS_NEVER);
    CHECK(fc_contains(cache, fc_str("small"), NULL) == 0);
    CHECK(fc_wait(cache, fc_str("missing"), 0, 5, NULL) == FC_E_TIMEOUT);
    CHECK(fc_cursor_open(cache, fc_str("s"), &cursor, NULL) == 0);
    CHECK(fc_cursor_next(cursor, &info, NULL) == 0 && info.rows == 3);
    CHECK(fc_cursor_next(cursor, &info, NULL) == FC_DONE);
    fc_cursor_close(cursor);
    CHECK(fc_cache_stats(cache, &stats, NULL) == 0 && stats.frames == 2);
    CHECK(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL) == 0);
    CHECK(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL) == 0);
    writes_must_fail(cache);
    atomic_store(&r->phase, 1);
    wait_phase(r, 2);
    CHECK(are_numbers(big, 131072, 7)); /* deleted meanwhile: the lease held */
    must_miss(cache, "big", FC_MISS_DELETED);
    fc_frame_release(big);
    fc_frame_release(must_get(cache, "small", 4, 6)); /* replaced meanwhile */
    fc_cache_close(cache);
}

/* With the owner's group, and with another by a set-group-id directory. */
static void group_member_reads_and_holds_leases_but_cannot_write(void **state) {
    (void)state;
    if (geteuid())
        skip();
    for (int foreign = 0; foreign < 2; foreign++) {
        reading *r = shared_memory(sizeof *r);
        r->dir = private_dir();
        r->group = foreign ? STRANGER : getegid();
        fc_options options = options_in(r->dir);
        options.mode = "0750";
        if (foreign) {
            assert_int_equal(mkdir(r->dir, 0750), 0);
            assert_int_equal(chown(r->dir, 0, STRANGER), 0);
            assert_int_equal(chmod(r->dir, 02750), 0);
        }
        fc_cache *cache = open_with(&options);
        must_put(cache, "big", 131072, 7);
        must_put(cache, "small", 3, 5);
        pid_t pid = spawn(read_as_group, r);
        wait_phase(r, 1);
        assert_int_equal(fc_delete(cache, fc_str("big"), NULL), 0);
        must_put(cache, "small", 4, 6);
        for (int i = 0; i < 4; i++)
            must_put(cache, "filler", 131072, i);
        assert_true(stats_of(cache).zombie_frames >= 1);
        atomic_store(&r->phase, 2);
        must_end(pid);
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

static void read_only_attach_makes_no_cache(void **state) {
    fc_options options = options_in(private_dir());
    struct stat info;
    (void)state;

    options.flags |= FC_RDONLY;
    must_refuse(&options, FC_E_MISS, "no cache");
    assert_int_equal(stat(options.dir, &info), -1);
}

/* ---- Settings and keys ---- */

static void unparsable_variable_is_quoted_with_its_syntax(void **state) {
    (void)state;
    for (int i = 0; i < FC__SETTING_COUNT; i++) {
        char variable[64];
        fc_options options = {.size = sizeof options};
        if (i == FC__SETTING_dir) /* any text is a path */
            continue;
        fc__setting_variable(variable, sizeof variable, i);
        setenv(variable, "7 bananas", 1);
        if (i != FC__SETTING_dir)
            options.dir = private_dir();
        must_refuse(&options, FC_E_INVALID, "\"7 bananas\"");
        must_refuse(&options, FC_E_INVALID, variable);
        must_refuse(&options, FC_E_INVALID, fc__setting_syntax(i));
        unsetenv(variable);
    }
}

static void key_of_no_byte_or_too_many_is_refused_everywhere(void **state) {
    static char long_key[1025];
    const fc_bytes bad[] = {{"", 0}, {NULL, 0}, {NULL, 5}, {long_key, 1025}};
    fc_cache *cache = open_in(private_dir());
    (void)state;

    memset(long_key, 'k', sizeof long_key);
    for (size_t i = 0; i < 4; i++) {
        fc_frame *frame;
        fc_build *build;
        fc_error error;
        assert_int_equal(fc_get(cache, bad[i], 0, &frame, &error), FC_E_INVALID);
        assert_non_null(strstr(error.message, "1024"));
        assert_int_equal(put_numbers(cache, bad[i], 1, 1, NULL, &frame, &error),
                         FC_E_INVALID);
        assert_null(frame);
        assert_int_equal(begin_numbers(cache, bad[i], 1, 1, NULL, &build, &error),
                         FC_E_INVALID);
        assert_int_equal(fc_delete(cache, bad[i], &error), FC_E_INVALID);
        assert_int_equal(fc_touch(cache, bad[i], 0, &error), FC_E_INVALID);
        assert_int_equal(fc_contains(cache, bad[i], &error), FC_E_INVALID);
        assert_int_equal(fc_wait(cache, bad[i], 0, 0, &error), FC_E_INVALID);
    }
    fc_bytes longest = {long_key, 1024}, zero = {"\0", 1};
    assert_int_equal(put_numbers(cache, longest, 2, 1, NULL, NULL, NULL), 0);
    assert_int_equal(put_numbers(cache, zero, 2, 2, NULL, NULL, NULL), 0);
    assert_int_equal(fc_contains(cache, longest, NULL), 0);
    assert_int_equal(fc_contains(cache, zero, NULL), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void unknown_flags_and_sizes_are_refused(void **state) {
    fc_options options = options_in(private_dir());
    fc_cache *cache = open_with(&options);
    fc_put_options put = {.size = sizeof put, .flags = 8};
    fc_frame *frame;
    fc_error error;
    (void)state;

    assert_int_equal(fc_get(cache, fc_str("k"), 0x100, &frame, &error), FC_E_INVALID);
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &put, NULL, &error),
                     FC_E_INVALID);
    put = (fc_put_options){.size = sizeof put, .ttl_ms = -2};
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &put, NULL, &error),
                     FC_E_INVALID);
    put = (fc_put_options){.size = sizeof put, .cost_s = -1};
    assert_int_equal(put_numbers(cache, fc_str("k"), 1, 1, &put, NULL, &error),
                     FC_E_INVALID);
    assert_int_equal(fc_cache_tick(cache, 64, NULL, &error), FC_E_INVALID);
    assert_int_equal(fc_cache_verify(cache, 64, NULL, NULL, &error), FC_E_INVALID);
    fc_cache_close(cache);
    options.flags = 1024;
    must_refuse(&options, FC_E_INVALID, "0x400");
    options = (fc_options){.size = 3};
    must_refuse(&options, FC_E_INVALID, "size");
}

/* ---- Limits ---- */

static void fill_a_small_file_system(void *context) {
    const char *dir = context;
    fc_options options = options_in(dir);
    fc_error error = {0};
    fc_build *build;
    char name[16];
    int status = 0, i;

    CHECK(mkdir(dir, 0700) == 0);
    if (!private_mounts() || mount("fc-test", dir, "tmpfs", 0, "size=16m,mode=0700")) {
        fprintf(stderr, "no tmpfs can be mounted here\n");
        return;
    }
    options.budget = "64MiB"; /* more than there is */
    fc_cache *cache = open_with(&options);
    for (i = 0; i < 100 && !status; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        status = put_numbers(cache, fc_str(name), 131072, i, NULL, NULL, &error);
    }
    CHECK(i > 3 && status == FC_E_NOSPACE);
    CHECK(strstr(error.message, "FRAMECACHE_BUDGET"));
    CHECK(begin_numbers(cache, fc_str("b"), 1000000, 1, NULL, &build, &error) ==
          FC_E_NOSPACE);
    CHECK(build == NULL);
    fc_frame_release(must_get(cache, "key-0", 131072, 0));
    must_be_clean(cache);
    CHECK(fc_delete(cache, fc_str("key-0"), NULL) == 0);
    must_put(cache, "again", 131072, 9);
    fc_frame_release(must_get(cache, "again", 131072, 9));
    must_be_clean(cache);
    fc_cache_close(cache);
    CHECK(umount(dir) == 0); /* nothing is held */
}

static void full_file_system_is_an_error_and_no_signal(void **state) {
    (void)state;
    if (!may_mount())
        skip();
    must_end(spawn(fill_a_small_file_system, (void *)(uintptr_t)private_dir()));
}

static void use_without_descriptors(void *context) {
    fc_cache *cache = open_in(context);
    struct rlimit none = {0, 0}, before;
    fc_frame *frame;
    fc_build *build;
    fc_error error;

    must_put(cache, "small", 3, 1);
    must_put(cache, "big", 131072, 1);
    fc__table_drop_idle(cache, false);
    fc__lock_close_idle(cache);
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(fc_get(cache, fc_str("small"), 0, &frame, &error) == FC_E_NOMEM);
    CHECK(frame == NULL && strstr(error.message, "ulimit -n"));
    CHECK(put_numbers(cache, fc_str("new"), 3, 1, NULL, NULL, &error) == FC_E_NOMEM);
    CHECK(strstr(error.message, "ulimit -n"));
    CHECK(put_numbers(cache, fc_str("big"), 131072, 1, NULL, NULL, &error) == FC_E_NOMEM);
    CHECK(begin_numbers(cache, fc_str("b"), 10, 1, NULL, &build, &error) == FC_E_NOMEM);
    CHECK(fc_contains(cache, fc_str("small"), &error) == FC_E_NOMEM);
    fc_options options = options_in(context);
    fc_cache *second;
    CHECK(fc_cache_open(&second, &options, &error) == FC_E_NOMEM);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    fc_frame_release(must_get(cache, "small", 3, 1));
    fc_frame_release(must_get(cache, "big", 131072, 1));
    must_put(cache, "new", 3, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void no_descriptor_left_is_an_error_that_passes(void **state) {
    (void)state;
    must_end(spawn(use_without_descriptors, (void *)(uintptr_t)private_dir()));
}

static uint64_t address_space(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

static void use_without_mappings(void *context) {
    fc_cache *cache = open_in(context);
    struct rlimit limit, before;
    fc_frame *frame = NULL;
    const fc_column *column;
    fc_build *build;
    fc_error error;

    must_put(cache, "big", 4 * 131072, 1);
    fc__table_drop_idle(cache, false);
    getrlimit(RLIMIT_AS, &before);
    limit = (struct rlimit){address_space() + 2 * MIB, before.rlim_max};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    int status = fc_get(cache, fc_str("big"), 0, &frame, &error);
    if (!status) { /* its manifest is small; its segments of 4 MiB are not */
        CHECK(fc_frame_column_at(frame, 0, &column, &error) == FC_E_NOMEM);
        CHECK(strstr(error.message, "max_map_count"));
        fc_frame_release(frame);
    } else
        CHECK(status == FC_E_NOMEM);
    static const fc_field field = {"v", "l"};
    struct ArrowSchema schema;
    CHECK(fc_schema_init(&schema, &field, 1, NULL) == 0);
    CHECK(fc_build_begin(cache, fc_str("b"), &schema, 4 * 131072, NULL, &build, &error) ==
          FC_E_NOMEM);
    schema.release(&schema);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    fc_frame_release(must_get(cache, "big", 4 * 131072, 1));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void no_mapping_left_is_an_error_that_passes(void **state) {
    (void)state;
    if (SANITIZED) /* a sanitizer's shadow takes all address space there is */
        skip();
    must_end(spawn(use_without_mappings, (void *)(uintptr_t)private_dir()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlayfs_is_refused_with_the_reason),
        cmocka_unit_test(world_writable_directory_is_refused),
        cmocka_unit_test(strangers_directory_is_refused),
        cmocka_unit_test(what_is_no_directory_is_refused),
        cmocka_unit_test(group_member_reads_and_holds_leases_but_cannot_write),
        cmocka_unit_test(read_only_attach_makes_no_cache),
        cmocka_unit_test(unparsable_variable_is_quoted_with_its_syntax),
        cmocka_unit_test(key_of_no_byte_or_too_many_is_refused_everywhere),
        cmocka_unit_test(unknown_flags_and_sizes_are_refused),
        cmocka_unit_test(full_file_system_is_an_error_and_no_signal),
        cmocka_unit_test(no_descriptor_left_is_an_error_that_passes),
        cmocka_unit_test(no_mapping_left_is_an_error_that_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
