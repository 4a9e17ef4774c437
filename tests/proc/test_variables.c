/* Each FRAMECACHE_ variable has the effect that the table of settings says. */
#include "support_proc.h"

#include "frames/frames.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROWS 131072 /* two segments of 1 MiB */

/* Nothing from the environment but what the test sets. */
static int clear_variables(void **state) {
    char variable[64];
    (void)state;

    for (int i = 0; i < FC__SETTING_COUNT; i++) {
        fc__setting_variable(variable, sizeof variable, i);
        unsetenv(variable);
    }
    setenv("FRAMECACHE_DIR", private_dir(), 1);
    setenv("FRAMECACHE_BUDGET", "64MiB", 1);
    setenv("FRAMECACHE_CAPACITY", "256", 1);
    setenv("FRAMECACHE_JANITOR", "off", 1);
    fc__step_hook = NULL;
    return 0;
}

static fc_cache *open_by(const char *variable, const char *value) {
    fc_options options = {.size = sizeof options, .flags = FC_NO_THREADS};

    if (variable)
        setenv(variable, value, 1);
    return open_with(&options);
}

static fc_cache *open_with_threads_by(const char *variable, const char *value) {
    setenv(variable, value, 1);
    return open_with(NULL);
}

/* ---- dir, mode, capacity, budget ---- */

static void dir_is_where_the_cache_lies(void **state) {
    const char *dir = private_dir();
    struct stat info;
    char path[120];
    (void)state;

    fc_cache *cache = open_by("FRAMECACHE_DIR", dir);
    must_put(cache, "key", 1, 1);
    snprintf(path, sizeof path, "%s/control", dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, stats_of(cache).control_bytes);
    fc_cache_close(cache);
}

static mode_t mode_of(const char *dir, const char *name) {
    struct stat info;
    char path[4200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void mode_is_that_of_directory_and_files_whatever_the_umask(void **state) {
    static const struct {
        const char *text;
        mode_t directory, file;
    } cases[] = {{NULL, 0700, 0600}, {"0750", 0750, 0640}, {"0770", 0770, 0660}};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        clear_variables(NULL);
        mode_t before = umask(077);
        fc_cache *cache =
            open_by(cases[i].text ? "FRAMECACHE_MODE" : NULL, cases[i].text);
        must_put(cache, "key", ROWS, 1);
        umask(before);
        char name[24], path[40];
        fc_frame *frame = must_get(cache, "key", ROWS, 1);
        fc_info info = {.size = sizeof info};
        fc_frame_info(frame, &info, NULL);
        fc__segment_name(name, info.record, 1);
        snprintf(path, sizeof path, "frames/%s", name);
        const char *dir = cache->settings.dir;
        assert_int_equal(mode_of(dir, ""), cases[i].directory);
        assert_int_equal(mode_of(dir, "frames"), cases[i].directory);
        assert_int_equal(mode_of(dir, "control"), cases[i].file);
        assert_int_equal(mode_of(dir, "locks"), cases[i].file);
        assert_int_equal(mode_of(dir, path), cases[i].file);
        fc_frame_release(frame);
        fc_cache_close(cache);
    }
}

static void capacity_is_the_number_of_records_and_stays(void **state) {
    (void)state;
    fc_cache *cache = open_by("FRAMECACHE_CAPACITY", "1024");
    assert_int_equal(stats_of(cache).capacity_frames, 1024);
    fc_cache *second = open_by("FRAMECACHE_CAPACITY", "64"); /* it is made already */
    assert_int_equal(stats_of(second).capacity_frames, 1024);
    fc_cache_close(cache);
    fc_cache_close(second);
}

static void budget_is_what_used_stays_below(void **state) {
    char name[16];
    (void)state;

    fc_cache *cache = open_by("FRAMECACHE_BUDGET", "9MiB");
    assert_int_equal(stats_of(cache).budget_bytes, 9 * MIB);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, ROWS, i);
        assert_true(stats_of(cache).used_bytes <= 9 * MIB);
    }
    assert_int_equal(put_numbers(cache, fc_str("k"), 5 * ROWS, 1, NULL, NULL, NULL),
                     FC_E_BUDGET);
    fc_cache_close(cache);
}

static void arguments_win_over_variables(void **state) {
    fc_options options = {
        .size = sizeof options, .flags = FC_NO_THREADS, .budget = "17MiB"};
    (void)state;

    setenv("FRAMECACHE_BUDGET", "9MiB", 1);
    fc_cache *cache = open_with(&options);
    assert_int_equal(stats_of(cache).budget_bytes, 17 * MIB);
    fc_cache_close(cache);
}

/* ---- watermarks, pool, reclaim_wait, ttl ---- */

static void watermarks_say_when_a_tick_evicts_and_how_far(void **state) {
    char name[16];
    (void)state;

    setenv("FRAMECACHE_BUDGET", "10MiB", 1);
    fc_cache *cache = open_by("FRAMECACHE_WATERMARKS", "50:30");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, ROWS, i);
    }
    assert_int_equal(stats_of(cache).evicted, 0);
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_true(stats_of(cache).used_bytes <= 3 * MIB);
    fc_cache_close(cache);
    setenv("FRAMECACHE_DIR", private_dir(), 1);
    cache = open_by("FRAMECACHE_WATERMARKS", "95:90");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        must_put(cache, name, ROWS, i);
    }
    assert_int_equal(fc_cache_tick(cache, 0, NULL, NULL), 0);
    assert_int_equal(stats_of(cache).evicted, 0);
    fc_cache_close(cache);
}

static void pool_keeps_files_for_recycling_or_none(void **state) {
    char name[16];
    (void)state;

    for (int on = 0; on < 2; on++) {
        clear_variables(NULL);
        fc_cache *cache = open_by("FRAMECACHE_POOL", on ? "8MiB" : "0");
        for (int i = 0; i < 8; i++) {
            snprintf(name, sizeof name, "key-%d", i);
            must_put(cache, name, ROWS, i);
        }
        assert_int_equal(fc_cache_clear(cache, NULL, NULL), 0);
        for (int i = 0; i < 8; i++)
            must_put(cache, "key", ROWS, i);
        fc_stats stats = stats_of(cache);
        assert_true(stats.pool_bytes <= (on ? 8 * MIB : 0));
        assert_int_equal(stats.pool_bytes > 0, on);
        assert_int_equal(stats.recycled_bytes > 0, on);
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

typedef struct holding {
    _Atomic int phase;
    _Atomic uint32_t epoch; /* of pressure, before the put that waits */
} holding;

static void hold_until_somebody_needs_room(void *context) {
    holding *h = context;
    fc_options options = {.size = sizeof options, .flags = FC_NO_THREADS};
    unsetenv("FRAMECACHE_BUDGET");
    fc_cache *cache = open_with(&options);
    fc_frame *a = must_get(cache, "a", ROWS, 1), *b = must_get(cache, "b", ROWS, 2);

    atomic_store(&h->phase, 1);
    while (atomic_load(&h->phase) < 2 ||
           atomic_load(&cache->control->pressure) == h->epoch)
        sleep_ms(1);
    fc_frame_release(a);
    fc_frame_release(b);
    fc_cache_close(cache);
}

static void reclaim_wait_is_how_long_a_put_waits_for_room(void **state) {
    holding *h = shared_memory(sizeof *h);
    (void)state;

    setenv("FRAMECACHE_BUDGET", "5MiB", 1); /* two frames */
    fc_cache *cache = open_by("FRAMECACHE_RECLAIM_WAIT", "0ms");
    fc_cache *patient = open_by("FRAMECACHE_RECLAIM_WAIT", "100s");
    must_put(cache, "a", ROWS, 1);
    must_put(cache, "b", ROWS, 2);
    pid_t pid = spawn(hold_until_somebody_needs_room, h);
    while (atomic_load(&h->phase) < 1)
        sleep_ms(1);
    assert_int_equal(put_numbers(cache, fc_str("c"), ROWS, 1, NULL, NULL, NULL),
                     FC_E_BUDGET);
    atomic_store(&h->epoch, atomic_load(&cache->control->pressure));
    atomic_store(&h->phase, 2);
    must_put(patient, "c", ROWS, 3); /* both frames are held when it begins */
    must_end(pid);
    fc_cache_close(cache);
    fc_cache_close(patient);
}

static void ttl_is_that_of_puts_that_name_none(void **state) {
    fc_info info = {.size = sizeof info};
    (void)state;

    fc_cache *cache = open_by("FRAMECACHE_TTL", "10m");
    must_put(cache, "key", 1, 1);
    fc_frame *frame = must_get(cache, "key", 1, 1);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    assert_int_equal(info.expires_ns - info.created_ns, 600000000000);
    fc_frame_release(frame);
    fc_cache_close(cache);
}

/* ---- checksum ---- */

/* Changes a value on disk; what verify says, and what the first use of the column says.
 */
static void change_and_look(const char *checksum, int *verified, int *used) {
    fc_info info = {.size = sizeof info};
    const fc_column *column;
    fc_frame *frame;
    int64_t number = -77;
    char name[24];

    clear_variables(NULL);
    fc_cache *cache = open_by(checksum ? "FRAMECACHE_CHECKSUM" : NULL, checksum);
    must_put(cache, "key", ROWS, 1);
    assert_int_equal(fc_get(cache, fc_str("key"), 0, &frame, NULL), 0);
    fc_frame_info(frame, &info, NULL);
    fc_frame_release(frame);
    fc__table_drop_idle(cache, false);
    fc__segment_name(name, info.record, 1);
    int fd = openat(cache->frames, name, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &number, 8, 8 * 1000), 8);
    close(fd);
    *verified = fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL);
    assert_int_equal(fc_get(cache, fc_str("key"), 0, &frame, NULL), 0);
    *used = fc_frame_column(frame, "w", FC_TYPE_INT64, &column, NULL);
    fc_frame_release(frame);
    fc_cache_close(cache);
}

static void checksum_says_when_changed_data_is_found_out(void **state) {
    int verified, used;
    (void)state;

    change_and_look(NULL, &verified, &used); /* off on tmpfs */
    assert_int_equal(verified, 0);
    assert_int_equal(used, 0);
    change_and_look("off", &verified, &used);
    assert_int_equal(verified, 0);
    assert_int_equal(used, 0);
    change_and_look("commit", &verified, &used);
    assert_int_equal(verified, FC_E_CORRUPT);
    assert_int_equal(used, 0);
    change_and_look("map", &verified, &used);
    assert_int_equal(verified, FC_E_CORRUPT);
    assert_int_equal(used, FC_E_CORRUPT);
}

/* ---- threads ---- */

static _Atomic int writers; /* steps of put-segment so far */
static _Atomic long first_thread;
static _Atomic bool two_threads;

/* The first waits here for a second, which comes only if there is another thread. */
static void meet(const char *step) {
    long expected = 0, self = syscall(SYS_gettid);

    if (strcmp(step, "put-segment"))
        return;
    if (!atomic_compare_exchange_strong(&first_thread, &expected, self) &&
        expected != self)
        atomic_store(&two_threads, true);
    int mine = atomic_fetch_add(&writers, 1);
    for (int i = 0; mine == 0 && i < 300 && !atomic_load(&two_threads); i++)
        sleep_ms(10);
}

static void threads_copy_the_columns_of_one_put(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        char text[4];
        snprintf(text, sizeof text, "%d", threads);
        clear_variables(NULL);
        fc_cache *cache = open_with_threads_by("FRAMECACHE_THREADS", text);
        writers = 0;
        first_thread = 0;
        two_threads = false;
        fc__step_hook = meet;
        must_put(cache, "key", 1200000, 1); /* 18 MiB: worth a second thread */
        fc__step_hook = NULL;
        assert_int_equal(writers, 2); /* segments */
        assert_int_equal(two_threads, threads > 1);
        fc_frame_release(must_get(cache, "key", 1200000, 1));
        fc_cache_close(cache);
    }
}

/* ---- populate, huge ---- */

static bool is_present(const void *address) {
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, &entry, 8, (off_t)((uintptr_t)address / 4096 * 8)), 8);
    close(fd);
    return entry >> 63;
}

static void populate_maps_all_pages_at_get(void **state) {
    fc_error error;
    (void)state;

    for (int on = 0; on < 2; on++) {
        const fc_column *column;
        fc_frame *frame;
        clear_variables(NULL);
        fc_cache *cache = open_by("FRAMECACHE_POPULATE", on ? "on" : "off");
        must_put(cache, "key", ROWS, 1);
        fc__table_drop_idle(cache, false);
        assert_int_equal(fc_get(cache, fc_str("key"), 0, &frame, &error), 0);
        fc__handle *handle = fc__frame_context(frame);
        assert_int_equal(handle->segments[1] != NULL, on);
        assert_int_equal(fc_frame_column(frame, "w", FC_TYPE_INT64, &column, NULL), 0);
        assert_int_equal(is_present((const char *)column->values + 777 * KIB), on);
        fc_frame_release(frame);
        fc_cache_close(cache);
    }
}

/* The flags of the mapping that begins at this address. */
static void flags_of(const void *address, char *out, size_t bytes) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false;

    *out = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = start == (uintptr_t)address;
        if (here && !strncmp(line, "VmFlags:", 8))
            snprintf(out, bytes, "%s", line);
    }
    fclose(maps);
}

static void huge_advises_huge_pages(void **state) {
    char flags[512];
    (void)state;

    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK))
        skip(); /* a kernel without them */
    for (int on = 0; on < 2; on++) {
        clear_variables(NULL);
        fc_cache *cache = open_by("FRAMECACHE_HUGE", on ? "advise" : "off");
        must_put(cache, "key", 2 * ROWS, 1);
        fc_frame *frame = must_get(cache, "key", 2 * ROWS, 1);
        fc__handle *handle = fc__frame_context(frame);
        flags_of(handle->segments[0], flags, sizeof flags);
        assert_true(flags[0]);
        assert_int_equal(strstr(flags, " hg") != NULL, on);
        fc_frame_release(frame);
        fc_cache_close(cache);
    }
}

/* ---- janitor ---- */

static void janitor_is_elected_and_expires_by_itself_or_not_at_all(void **state) {
    fc_put_options put = {.size = sizeof put, .ttl_ms = 1};
    fc__lock lock;
    (void)state;

    fc_cache *off = open_with_threads_by("FRAMECACHE_JANITOR", "off");
    assert_int_equal(put_numbers(off, fc_str("key"), 1, 1, &put, NULL, NULL), 0);
    assert_true(atomic_load(&off->helper_running)); /* it watches, that is all */
    assert_int_equal(fc__lock_try(off, FC__LOCK_JANITOR, 0, &lock), 0);
    fc__lock_release(off, &lock);
    fc_cache *on = open_with_threads_by("FRAMECACHE_JANITOR", "on");
    must_put(on, "start", 1, 1);
    for (int64_t end = now_ms() + 60000; stats_of(off).frames > 1; sleep_ms(5))
        assert_true(now_ms() < end); /* gone, and nobody asked for it */
    assert_int_equal(fc__lock_try(off, FC__LOCK_JANITOR, 0, &lock), FC_E_BUSY);
    fc_cache_close(on);
    assert_int_equal(fc__lock_try(off, FC__LOCK_JANITOR, 0, &lock), 0);
    fc__lock_release(off, &lock);
    fc_cache_close(off);
}

#define SET(test) cmocka_unit_test_setup(test, clear_variables)

int main(void) {
    const struct CMUnitTest tests[] = {
        SET(dir_is_where_the_cache_lies),
        SET(mode_is_that_of_directory_and_files_whatever_the_umask),
        SET(capacity_is_the_number_of_records_and_stays),
        SET(budget_is_what_used_stays_below),
        SET(arguments_win_over_variables),
        SET(watermarks_say_when_a_tick_evicts_and_how_far),
        SET(pool_keeps_files_for_recycling_or_none),
        SET(reclaim_wait_is_how_long_a_put_waits_for_room),
        SET(ttl_is_that_of_puts_that_name_none),
        SET(checksum_says_when_changed_data_is_found_out),
        SET(threads_copy_the_columns_of_one_put),
        SET(populate_maps_all_pages_at_get),
        SET(huge_advises_huge_pages),
        SET(janitor_is_elected_and_expires_by_itself_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
