/* fc_doctor: what it reports of settings, and each thing that it finds wrong. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "framecache/framecache.h"

enum { MOST = 64 };

typedef struct findings {
    int count, stop_at; /* stop_at: the callback returns 77 there */
    struct {
        fc_level level;
        char subject[64], text[512], remedy[512];
    } at[MOST];
} findings;

static char base[64]; /* a directory of this test, on /dev/shm */

static int collect(void *context, const fc_finding *finding) {
    findings *all = context;
    assert_true(all->count < MOST);
    snprintf(all->at[all->count].subject, 64, "%s", finding->subject);
    snprintf(all->at[all->count].text, 512, "%s", finding->text);
    snprintf(all->at[all->count].remedy, 512, "%s",
             finding->remedy ? finding->remedy : "");
    all->at[all->count++].level = finding->level;
    return all->count == all->stop_at ? 77 : 0;
}

static int examine(findings *all, const char *dir) {
    fc_error error = {0};
    fc_options options = {.size = sizeof options, .dir = dir};
    memset(all, 0, sizeof *all);
    return fc_doctor(&options, collect, all, &error);
}

/* The index of the finding of this level and subject, whose text or remedy has `part`. */
static int find(const findings *all, fc_level level, const char *subject,
                const char *part) {
    for (int i = 0; i < all->count; i++)
        if (all->at[i].level == level && strcmp(all->at[i].subject, subject) == 0 &&
            (strstr(all->at[i].text, part) || strstr(all->at[i].remedy, part)))
            return i;
    return -1;
}

#define FOUND(all, level, subject, part)                                                 \
    assert_int_not_equal(find(all, level, subject, part), -1)

static int worst(const findings *all) {
    int level = FC_LEVEL_DEBUG;
    for (int i = 0; i < all->count; i++)
        if ((int)all->at[i].level < level)
            level = (int)all->at[i].level;
    return level;
}

static int entries_of(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count - 2;
}

static int make_base(void **state) {
    (void)state;
    snprintf(base, sizeof base, "/dev/shm/fc-doctor-XXXXXX");
    unsetenv("FRAMECACHE_DIR");
    unsetenv("FRAMECACHE_BUDGET");
    return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state) {
    (void)state;
    return rmdir(base);
}

/* ---- Settings ---- */

static void every_setting_is_told_with_its_origin(void **state) {
    (void)state;
    findings all;
    setenv("FRAMECACHE_TTL", "10m", 1);
    assert_int_equal(examine(&all, base), 0);
    unsetenv("FRAMECACHE_TTL");
    FOUND(&all, FC_LEVEL_INFO, "dir", ", from an argument");
    FOUND(&all, FC_LEVEL_INFO, "dir", base);
    FOUND(&all, FC_LEVEL_INFO, "ttl", "10m, from FRAMECACHE_TTL");
    FOUND(&all, FC_LEVEL_INFO, "watermarks", "95:85, the default");
#define FC_X(name, syntax, value) FOUND(&all, FC_LEVEL_INFO, #name, "");
    FC_SETTINGS(FC_X)
#undef FC_X
}

static void a_setting_that_does_not_parse_is_an_error_that_names_it(void **state) {
    (void)state;
    findings all;
    setenv("FRAMECACHE_CAPACITY", "many", 1);
    assert_int_equal(examine(&all, base), 0);
    unsetenv("FRAMECACHE_CAPACITY");
    FOUND(&all, FC_LEVEL_ERROR, "settings", "FRAMECACHE_CAPACITY is \"many\"");
}

static void the_callback_ends_the_walk_with_its_result(void **state) {
    (void)state;
    findings all = {.stop_at = 3};
    fc_options options = {.size = sizeof options, .dir = base};
    assert_int_equal(fc_doctor(&options, collect, &all, NULL), 77);
    assert_int_equal(all.count, 3);
}

static void without_a_callback_there_is_nothing_to_do(void **state) {
    (void)state;
    fc_error error;
    assert_int_equal(fc_doctor(NULL, NULL, NULL, &error), FC_E_INVALID);
}

/* ---- Directories ---- */

static void a_directory_on_tmpfs_is_fine_and_stays_empty(void **state) {
    (void)state;
    findings all;
    assert_int_equal(examine(&all, base), 0);
    assert_int_not_equal(worst(&all), FC_LEVEL_ERROR);
    FOUND(&all, FC_LEVEL_INFO, "file system", "tmpfs");
    FOUND(&all, FC_LEVEL_INFO, "locks", "they hold");
    assert_int_equal(entries_of(base), 0);
}

static void a_directory_that_is_not_there_yet_is_judged_by_its_parent(void **state) {
    (void)state;
    findings all;
    char path[128];
    struct stat info;
    snprintf(path, sizeof path, "%s/cache/", base);
    assert_int_equal(examine(&all, path), 0);
    FOUND(&all, FC_LEVEL_INFO, "directory", "does not exist yet");
    FOUND(&all, FC_LEVEL_INFO, "locks", "they hold");
    assert_int_not_equal(worst(&all), FC_LEVEL_ERROR);
    assert_int_equal(stat(path, &info), -1);
    snprintf(path, sizeof path, "%s/no/cache", base);
    assert_int_equal(examine(&all, path), 0);
    FOUND(&all, FC_LEVEL_ERROR, "directory", "No such file or directory");
    FOUND(&all, FC_LEVEL_ERROR, "directory", "make it, or set FRAMECACHE_DIR");
}

static void a_file_is_no_directory(void **state) {
    (void)state;
    findings all;
    assert_int_equal(examine(&all, "/proc/version"), 0);
    FOUND(&all, FC_LEVEL_ERROR, "directory", "set FRAMECACHE_DIR to a directory");
}

static void a_directory_that_the_world_may_write_is_an_error(void **state) {
    (void)state;
    findings all;
    assert_int_equal(chmod(base, 0777), 0);
    assert_int_equal(examine(&all, base), 0);
    FOUND(&all, FC_LEVEL_ERROR, "directory", "writable by the world (mode 0777)");
    FOUND(&all, FC_LEVEL_ERROR, "directory", "chmod o-w");
    assert_int_equal(chmod(base, 0700), 0);
    assert_int_equal(examine(&all, base), 0);
    assert_int_not_equal(worst(&all), FC_LEVEL_ERROR);
}

static void the_directory_of_a_stranger_is_told(void **state) {
    (void)state;
    findings all;
    if (chown(base, 12345, 12345) < 0)
        skip();
    int status = examine(&all, base);
    assert_int_equal(chown(base, 0, 0), 0);
    assert_int_equal(status, 0);
    FOUND(&all, FC_LEVEL_WARNING, "directory", "belongs to uid 12345");
}

static void proc_is_no_place_for_a_cache(void **state) {
    (void)state;
    findings all;
    assert_int_equal(examine(&all, "/proc/self"), 0);
    assert_int_equal(worst(&all), FC_LEVEL_ERROR);
}

/* ---- File systems, mounted for the purpose where that may be ---- */

static void mount_or_skip(const char *type, const char *options) {
    static bool apart;
    if (!apart) {
        if (unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            skip();
        apart = true;
    }
    if (mount(type, base, type, 0, options) < 0)
        skip();
}

static void shared_memory_of_64_mb_names_the_option_of_containers(void **state) {
    (void)state;
    findings all;
    mount_or_skip("tmpfs", "size=64m,mode=0700");
    int status = examine(&all, base);
    assert_int_equal(umount(base), 0);
    assert_int_equal(status, 0);
    FOUND(&all, FC_LEVEL_WARNING, "space", "has 64 MiB");
    FOUND(&all, FC_LEVEL_WARNING, "space", "--shm-size");
}

static void a_budget_larger_than_the_file_system_is_told(void **state) {
    (void)state;
    findings all;
    mount_or_skip("tmpfs", "size=128m,mode=0700");
    setenv("FRAMECACHE_BUDGET", "1GiB", 1);
    int status = examine(&all, base);
    unsetenv("FRAMECACHE_BUDGET");
    assert_int_equal(umount(base), 0);
    assert_int_equal(status, 0);
    FOUND(&all, FC_LEVEL_WARNING, "budget", "1024 MiB, but the file system has 128 MiB");
}

static void a_file_system_that_is_full_is_told(void **state) {
    (void)state;
    findings all;
    char path[128];
    mount_or_skip("tmpfs", "size=128m,mode=0700");
    snprintf(path, sizeof path, "%s/ballast", base);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    int filled = posix_fallocate(fd, 0, 127 << 20);
    close(fd);
    int status = examine(&all, base);
    unlink(path);
    assert_int_equal(umount(base), 0);
    assert_int_equal(filled, 0);
    assert_int_equal(status, 0);
    FOUND(&all, FC_LEVEL_WARNING, "space", "of 128 MiB are free");
}

static void overlayfs_is_refused_with_a_way_out(void **state) {
    (void)state;
    findings all;
    char tree[64], lower[80], upper[80], work[80], options[300];
    snprintf(tree, sizeof tree, "/dev/shm/fc-overlay-XXXXXX");
    assert_non_null(mkdtemp(tree));
    snprintf(lower, sizeof lower, "%s/l", tree);
    snprintf(upper, sizeof upper, "%s/u", tree);
    snprintf(work, sizeof work, "%s/w", tree);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper,
             work);
    bool made =
        mkdir(lower, 0700) == 0 && mkdir(upper, 0700) == 0 && mkdir(work, 0700) == 0;
    bool mounted = made && mount("overlay", base, "overlay", 0, options) == 0;
    int status = mounted ? examine(&all, base) : 0;
    if (mounted)
        umount(base);
    snprintf(options, sizeof options, "rm -rf %s", tree);
    assert_int_equal(system(options), 0);
    if (!mounted)
        skip();
    assert_int_equal(status, 0);
    FOUND(&all, FC_LEVEL_ERROR, "file system", "overlayfs, where leases do not hold");
    FOUND(&all, FC_LEVEL_ERROR, "file system", "/dev/shm");
}

/* ---- Limits ---- */

static void tight(int resource, rlim_t value, const char *subject, const char *part) {
    findings all;
    struct rlimit before, after;
    assert_int_equal(getrlimit(resource, &before), 0);
    after = before;
    after.rlim_cur = value;
    assert_int_equal(setrlimit(resource, &after), 0);
    int status = examine(&all, base);
    assert_int_equal(setrlimit(resource, &before), 0);
    assert_int_equal(status, 0);
    FOUND(&all, FC_LEVEL_WARNING, subject, part);
}

static void tight_limits_of_the_process_are_told(void **state) {
    (void)state;
    tight(RLIMIT_NOFILE, 64, "descriptors", "RLIMIT_NOFILE is 64");
    tight(RLIMIT_FSIZE, 512 << 20, "file size", "RLIMIT_FSIZE is 512 MiB");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_base, remove_base)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_setting_is_told_with_its_origin),
        TEST(a_setting_that_does_not_parse_is_an_error_that_names_it),
        TEST(the_callback_ends_the_walk_with_its_result),
        TEST(without_a_callback_there_is_nothing_to_do),
        TEST(a_directory_on_tmpfs_is_fine_and_stays_empty),
        TEST(a_directory_that_is_not_there_yet_is_judged_by_its_parent),
        TEST(a_file_is_no_directory),
        TEST(a_directory_that_the_world_may_write_is_an_error),
        TEST(the_directory_of_a_stranger_is_told),
        TEST(proc_is_no_place_for_a_cache),
        TEST(shared_memory_of_64_mb_names_the_option_of_containers),
        TEST(a_budget_larger_than_the_file_system_is_told),
        TEST(a_file_system_that_is_full_is_told),
        TEST(overlayfs_is_refused_with_a_way_out),
        TEST(tight_limits_of_the_process_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
