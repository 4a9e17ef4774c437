/* The budget and the machine: what `auto` comes to and how it follows, and headroom. The
 * machine is a directory with the files that the kernel would have. */
#include "support_proc.h"

#include <sys/stat.h>

#define GIB (1024 * MIB)

static char root[128];

static void say(const char *path, const char *format, ...) {
    char full[300];
    va_list arguments;
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/'));
         *slash++ = '/') {
        *slash = 0;
        mkdir(full, 0755);
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

static void set_memory(uint64_t available) {
    say("/proc/meminfo", "MemTotal: 99 kB\nMemAvailable:   %llu kB\n",
        (unsigned long long)(available / KIB));
}

static void set_pressure(double percent) {
    say("/proc/pressure/memory", "some avg10=%.2f avg60=0.00 avg300=0.00 total=0\n",
        percent);
}

static void set_group2(uint64_t limit, uint64_t usage, uint64_t files) {
    say("/proc/self/cgroup", "0::/a/b\n");
    say("/sys/fs/cgroup/a/b/memory.max", "max\n");
    say("/sys/fs/cgroup/a/memory.max", "%llu\n", (unsigned long long)limit);
    say("/sys/fs/cgroup/a/memory.current", "%llu\n", (unsigned long long)usage);
    say("/sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file %llu\nactive_file 0\n",
        (unsigned long long)files);
}

static void set_group1(uint64_t limit, uint64_t usage) {
    say("/proc/self/cgroup", "3:cpu:/\n4:memory:/box\n0::/\n");
    say("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "%llu\n",
        (unsigned long long)limit);
    say("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "%llu\n",
        (unsigned long long)usage);
    say("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
}

/* Plenty of everything, no cgroup. */
static int set_up(void **state) {
    char id[64] = "";
    (void)state;
    snprintf(root, sizeof root, "%s", private_dir());
    mkdir(root, 0755);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    assert_non_null(file);
    assert_non_null(fgets(id, sizeof id, file));
    fclose(file);
    say("/proc/sys/kernel/random/boot_id", "%s", id);
    say("/proc/self/cgroup", "0::/\n");
    set_memory(1024 * GIB);
    set_pressure(0);
    fc__os_machine_root = root;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fc__os_machine_root = "";
    return 0;
}

static fc_cache *open_auto(void) {
    fc_options options = options_in(private_dir());
    options.budget = "auto";
    options.cold = "off";
    return open_with(&options);
}

static bool follow(fc_cache *cache) {
    atomic_store(&cache->control->followed_ns, 0); /* a second later */
    return fc__budget_follow(cache);
}

static void settle(fc_cache *cache) {
    for (int i = 0; i < 20 && follow(cache); i++)
        ;
}

static void must_have(fc_cache *cache, uint64_t bytes, const char *rule) {
    fc_stats stats = stats_of(cache);
    assert_string_equal(stats.budget_rule, rule);
    assert_in_range(stats.budget_bytes, bytes - bytes / 32, bytes + bytes / 32);
}

static void auto_is_the_least_limit_and_says_which(void **state) {
    (void)state;
    fc_cache *cache = open_auto();
    assert_string_equal(stats_of(cache).budget_rule, "filesystem");
    fc_cache_close(cache);

    set_memory(200 * MIB);
    cache = open_auto();
    must_have(cache, 100 * MIB, "memory");
    fc_cache_close(cache);

    set_group2(120 * MIB, 10 * MIB, 10 * MIB); /* used, but files that the kernel drops */
    cache = open_auto();
    must_have(cache, 60 * MIB, "cgroup");
    fc_cache_close(cache);

    set_group2(120 * MIB, 90 * MIB, 10 * MIB); /* what others use there counts */
    cache = open_auto();
    must_have(cache, 20 * MIB, "cgroup");
    fc_cache_close(cache);

    set_group1(100 * MIB, 20 * MIB);
    cache = open_auto();
    must_have(cache, 40 * MIB, "cgroup");
    fc_cache_close(cache);
}

static void auto_shrinks_and_evicts_when_the_machine_fills_and_grows_back(void **state) {
    char key[16];
    (void)state;
    set_memory(128 * MIB);
    fc_cache *cache = open_auto();
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "%d", i);
        must_put(cache, key, 64 * 1024, i); /* 1 MiB */
    }
    uint64_t held = stats_of(cache).used_bytes;
    assert_true(held > 40 * MIB);
    set_memory(1 * MIB);
    assert_true(follow(cache));
    assert_true(stats_of(cache).used_bytes <= held / 2 + 2 * MIB);
    assert_true(stats_of(cache).budget_bytes < 24 * MIB);
    assert_string_equal(stats_of(cache).budget_rule, "memory");
    must_be_clean(cache);

    set_memory(256 * MIB);
    assert_true(follow(cache));
    uint64_t first = stats_of(cache).budget_bytes;
    assert_true(first < 64 * MIB); /* not all at once */
    settle(cache);
    assert_true(stats_of(cache).budget_bytes > 120 * MIB);
    fc_cache_close(cache);
}

static void stalls_shrink_it_by_steps_and_hold_it_until_they_end(void **state) {
    (void)state;
    set_memory(400 * MIB);
    fc_cache *cache = open_auto();
    uint64_t full = stats_of(cache).budget_bytes;
    set_pressure(30);
    assert_true(follow(cache));
    must_have(cache, full - full / 8, "pressure");
    for (int i = 0; i < 50; i++)
        follow(cache);
    uint64_t least = stats_of(cache).budget_bytes;
    assert_in_range(least, full / 16, full / 4);
    set_pressure(5);
    follow(cache);
    assert_int_equal(stats_of(cache).budget_bytes, least);
    assert_string_equal(stats_of(cache).budget_rule, "pressure");
    set_pressure(0.5);
    settle(cache);
    must_have(cache, full, "memory");
    fc_cache_close(cache);
}

static void stalls_of_our_own_cgroup_count(void **state) {
    (void)state;
    set_group2(1024 * MIB, 0, 0);
    fc_cache *cache = open_auto();
    say("/sys/fs/cgroup/a/memory.pressure", "some avg10=50.00 avg60=0.00\n");
    assert_true(follow(cache));
    assert_string_equal(stats_of(cache).budget_rule, "pressure");
    fc_cache_close(cache);
}

static void a_budget_that_was_set_is_left_alone(void **state) {
    (void)state;
    fc_cache *cache = open_in(private_dir());
    uint64_t before = stats_of(cache).budget_bytes;
    set_memory(80 * MIB);
    set_pressure(90);
    assert_false(follow(cache));
    assert_int_equal(stats_of(cache).budget_bytes, before);
    assert_int_equal(fc_cache_set_budget(cache, "auto", NULL), 0);
    assert_string_equal(stats_of(cache).budget_rule, "memory");
    assert_true(follow(cache));
    assert_true(stats_of(cache).budget_bytes < before);
    fc_cache_close(cache);
}

static void only_one_caller_a_second_looks_at_the_machine(void **state) {
    (void)state;
    set_memory(400 * MIB);
    fc_cache *cache = open_auto();
    assert_false(follow(cache));
    set_memory(100 * MIB);
    assert_false(fc__budget_follow(cache));
    assert_true(follow(cache));
    fc_cache_close(cache);
}

static void a_put_follows_where_no_janitor_does(void **state) {
    (void)state;
    set_memory(400 * MIB);
    fc_cache *cache = open_auto();
    set_memory(100 * MIB);
    atomic_store(&cache->control->followed_ns, 0);
    must_put(cache, "k", 3, 1);
    must_have(cache, 50 * MIB, "memory");
    fc_cache_close(cache);
}

static void a_build_follows_too(void **state) {
    fc_build *build;
    (void)state;
    set_memory(400 * MIB);
    fc_cache *cache = open_auto();
    set_memory(100 * MIB);
    atomic_store(&cache->control->followed_ns, 0);
    assert_int_equal(begin_numbers(cache, fc_str("b"), 3, 1, NULL, &build, NULL), 0);
    must_have(cache, 50 * MIB, "memory");
    fc_build_abort(build);
    fc_cache_close(cache);
}

/* The files stay as they are whatever is evicted, so in the end the put is refused. */
static void without_headroom_frames_go_and_then_the_put_fails_cleanly(void **state) {
    fc_options options = options_in(private_dir());
    fc_error error;
    (void)state;
    options.cold = "off";
    options.reclaim_wait = "20ms";
    fc_cache *cache = open_with(&options);
    must_put(cache, "old", 256 * 1024, 1); /* 4 MiB */
    set_group2(100 * MIB, 98 * MIB, 0);
    atomic_store(&cache->room_until_ns, 0); /* some milliseconds later */
    assert_int_equal(put_numbers(cache, fc_str("new"), 256 * 1024, 1, NULL, NULL, &error),
                     FC_E_NOSPACE);
    assert_non_null(strstr(error.message, "cgroup"));
    assert_non_null(strstr(error.message, "104857600"));
    must_miss(cache, "old", FC_MISS_EVICTED);
    must_miss(cache, "new", FC_MISS_NEVER);
    assert_int_equal(stats_of(cache).refused_nospace, 1);
    must_be_clean(cache);
    set_group2(100 * MIB, 50 * MIB, 0);
    atomic_store(&cache->room_until_ns, 0);
    must_put(cache, "new", 256 * 1024, 1);
    fc_cache_close(cache);
}

/* Its pages are there, so that they need no room; those behind them do. */
static void a_recycled_file_grows_only_where_there_is_headroom(void **state) {
    fc_options options = options_in(private_dir());
    const int64_t rows = 256 * 1024; /* 4 MiB in two segments */
    (void)state;
    options.cold = "off";
    options.reclaim_wait = "5ms";
    for (int more = 0; more < 2; more++) {
        options.dir = private_dir();
        set_up(NULL);
        fc_cache *cache = open_with(&options);
        must_put(cache, "old", rows, 1);
        assert_int_equal(fc_delete(cache, fc_str("old"), NULL), 0);
        uint64_t fresh = stats_of(cache).fresh_bytes;
        set_group2(100 * MIB, 98 * MIB, 0);
        atomic_store(&cache->room_until_ns, 0);
        int status = put_numbers(cache, fc_str("new"), rows + more * (rows / 2), 1, NULL,
                                 NULL, NULL);
        assert_int_equal(status, more ? FC_E_NOSPACE : 0);
        assert_int_equal(stats_of(cache).fresh_bytes, fresh);
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

static void small_puts_add_up_to_a_look(void **state) {
    fc_options options = options_in(private_dir());
    int failed = 0;
    (void)state;
    options.reclaim_wait = "5ms";
    fc_cache *cache = open_with(&options);
    set_group2(100 * MIB, 99 * MIB, 0);
    for (int i = 0; i < 100 && !failed; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        failed = put_numbers(cache, fc_str(key), 2048, 1, NULL, NULL, NULL);
    }
    assert_int_equal(failed, FC_E_NOSPACE);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_build_takes_no_page_that_is_not_there(void **state) {
    fc_options options = options_in(private_dir());
    fc_build *build;
    fc_error error;
    (void)state;
    options.reclaim_wait = "5ms";
    fc_cache *cache = open_with(&options);
    set_group2(100 * MIB, 99 * MIB, 0);
    assert_int_equal(begin_numbers(cache, fc_str("b"), 1 << 20, 1, NULL, &build, &error),
                     FC_E_NOSPACE);
    assert_null(build);
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(auto_is_the_least_limit_and_says_which),
        TEST(auto_shrinks_and_evicts_when_the_machine_fills_and_grows_back),
        TEST(stalls_shrink_it_by_steps_and_hold_it_until_they_end),
        TEST(stalls_of_our_own_cgroup_count),
        TEST(a_budget_that_was_set_is_left_alone),
        TEST(only_one_caller_a_second_looks_at_the_machine),
        TEST(a_put_follows_where_no_janitor_does),
        TEST(a_build_follows_too),
        TEST(without_headroom_frames_go_and_then_the_put_fails_cleanly),
        TEST(a_recycled_file_grows_only_where_there_is_headroom),
        TEST(small_puts_add_up_to_a_look),
        TEST(a_build_takes_no_page_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
