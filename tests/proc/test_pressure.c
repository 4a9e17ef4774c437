/* Memory that runs out, zombies, and the janitor's life. */
#include "support_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS  131072 /* two columns of 1 MiB */
#define BYTES (2 * MIB)

static fc_options threaded(const char *dir) {
    fc_options options = options_in(dir);
    options.flags = 0;
    options.janitor = "on";
    options.pool = "0";
    return options;
}

/* ---- A memory cgroup of our own ---- */

typedef struct group {
    char path[128];
    bool version2;
} group;

static bool write_to(const char *directory, const char *file, const char *format, ...) {
    char path[256];
    va_list arguments;
    snprintf(path, sizeof path, "%s/%s", directory, file);
    FILE *stream = fopen(path, "w");
    if (!stream)
        return false;
    va_start(arguments, format);
    vfprintf(stream, format, arguments);
    va_end(arguments);
    return fclose(stream) == 0;
}

static unsigned long long read_from(const group *g, const char *file, const char *field) {
    char path[256], line[256];
    unsigned long long value = 0;
    snprintf(path, sizeof path, "%s/%s", g->path, file);
    FILE *stream = fopen(path, "r");
    if (!stream)
        return 0;
    while (fgets(line, sizeof line, stream))
        if (strncmp(line, field, strlen(field)) == 0)
            value = strtoull(line + strlen(field), NULL, 10);
    fclose(stream);
    return value;
}

/* False, and why, where this may not be done. */
static bool make_group(group *g, uint64_t limit) {
    static const char *const roots[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    for (int i = 0; i < 2; i++) {
        const char *file = i ? "memory.max" : "memory.limit_in_bytes";
        g->version2 = i == 1;
        snprintf(g->path, sizeof g->path, "%s/framecache-test-%d", roots[i],
                 (int)getpid());
        if (mkdir(g->path, 0755))
            continue;
        if (write_to(g->path, file, "%llu", (unsigned long long)limit))
            return true;
        rmdir(g->path);
    }
    print_message("skipped: no memory cgroup can be made here (%s)\n", strerror(errno));
    return false;
}

static void remove_group(const group *g) {
    for (int i = 0; i < 100 && rmdir(g->path) && errno == EBUSY; i++)
        sleep_ms(20);
}

static unsigned long long kills_in(const group *g) {
    return g->version2 ? read_from(g, "memory.events", "oom_kill ")
                       : read_from(g, "memory.oom_control", "oom_kill ");
}

static unsigned long long peak_of(const group *g) {
    return g->version2 ? read_from(g, "memory.peak", "")
                       : read_from(g, "memory.max_usage_in_bytes", "");
}

/* ---- Four processes that put and read more than there is ---- */

typedef struct load {
    group g;
    const char *dir, *budget;
    int seconds, keys;
    uint64_t most_rows, least_peak;
    _Atomic uint64_t put_bytes, read_bytes, gets, hits, refused;
} load;

static int64_t rows_of(const load *l, int key) {
    uint64_t rows = l->most_rows >> (key % 12);
    return (int64_t)(rows ? rows + (uint64_t)key : 1);
}

static void request(load *l, fc_cache *cache, int number) {
    char key[16];
    fc_frame *frame;
    int64_t rows = rows_of(l, number);
    snprintf(key, sizeof key, "%d", number);
    atomic_fetch_add(&l->gets, 1);
    int status = fc_get(cache, fc_str(key), 0, &frame, NULL);
    if (!status) {
        CHECK(are_numbers(frame, rows, number * 1000));
        fc_frame_release(frame);
        atomic_fetch_add(&l->hits, 1);
        atomic_fetch_add(&l->read_bytes, (uint64_t)rows * 16);
        return;
    }
    CHECK(status == FC_E_MISS);
    status = put_numbers(cache, fc_str(key), rows, number * 1000, NULL, NULL, NULL);
    if (!status)
        atomic_fetch_add(&l->put_bytes, (uint64_t)rows * 16);
    else
        atomic_fetch_add(&l->refused, 1);
    CHECK(!status || status == FC_E_BUDGET || status == FC_E_NOSPACE ||
          status == FC_E_BUSY);
}

static void work(void *context) {
    load *l = context;
    unsigned seed = (unsigned)getpid();
    CHECK(write_to(l->g.path, "cgroup.procs", "%d", (int)getpid()));
    fc_options options = threaded(l->dir);
    options.budget = l->budget;
    options.capacity = "8192";
    fc_cache *cache = open_with(&options);
    for (int64_t end = now_ms() + l->seconds * 1000; now_ms() < end;)
        request(l, cache, rand_r(&seed) % l->keys);
    fc_cache_close(cache);
}

static void run_load(load *l) {
    pid_t workers[4];
    for (int i = 0; i < 4; i++)
        workers[i] = spawn(work, l);
    for (int i = 0; i < 4; i++)
        must_end(workers[i]);
    unsigned long long peak = peak_of(&l->g);
    print_message(
        "budget %s: put %llu MiB, read %llu MiB, %llu of %llu hits, %llu refused, "
        "peak %llu MiB\n",
        l->budget, (unsigned long long)(atomic_load(&l->put_bytes) / MIB),
        (unsigned long long)(atomic_load(&l->read_bytes) / MIB),
        (unsigned long long)atomic_load(&l->hits),
        (unsigned long long)atomic_load(&l->gets),
        (unsigned long long)atomic_load(&l->refused), peak / MIB);
    assert_int_equal(kills_in(&l->g), 0);
    assert_true(atomic_load(&l->hits) > 0);
    assert_true(atomic_load(&l->put_bytes) > 512 * MIB);
    assert_true(atomic_load(&l->refused) * 10 < atomic_load(&l->gets));
    if (peak)
        assert_in_range(peak, l->least_peak, 1023 * MIB);
    must_be_clean_in(l->dir);
}

static void nothing_is_killed(load with) {
    load *l = shared_memory(sizeof *l);
    if (SANITIZED) /* whose shadow memory is in the cgroup too */
        skip();
    *l = with;
    l->dir = private_dir();
    if (!make_group(&l->g, 1024 * MIB))
        skip();
    run_load(l);
    remove_tree(l->dir);
    remove_group(&l->g);
}

static void nothing_is_killed_in_a_cgroup_with_the_budget_auto(void **state) {
    (void)state;
    nothing_is_killed((load){.budget = "auto",
                             .seconds = torture_seconds(15),
                             .keys = 600,
                             .most_rows = 48 * MIB / 16});
}

static void nothing_is_killed_in_a_cgroup_by_a_budget_beyond_its_limit(void **state) {
    (void)state;
    nothing_is_killed((load){.budget = "8GiB",
                             .seconds = torture_seconds(8),
                             .keys = 6000,
                             .most_rows = 8 * MIB / 16,
                             .least_peak = 768 * MIB});
}

/* ---- Zombies ---- */

typedef struct audience {
    const char *dir;
    _Atomic int stop;
    _Atomic uint64_t reads;
} audience;

static void read_on(void *context) {
    audience *a = context;
    fc_options options = threaded(a->dir);
    options.budget = NULL;
    fc_cache *cache = open_with(&options);
    while (!atomic_load(&a->stop)) {
        fc_frame *frame;
        const fc_column *v;
        CHECK(fc_get(cache, fc_str("key"), 0, &frame, NULL) == 0);
        CHECK(fc_frame_column(frame, "v", FC_TYPE_INT64, &v, NULL) == 0);
        CHECK(are_numbers(frame, ROWS, *(const int64_t *)v->values));
        fc_frame_release(frame);
        atomic_fetch_add(&a->reads, 1);
        sleep_ms(10); /* so that there are moments at which all sleep */
    }
    fc_cache_close(cache);
}

/* Whether each thread of these processes sleeps: none waits for a core, or is at work. */
static bool all_sleep(const pid_t *pids, int count) {
    char path[300], line[512];
    bool asleep = true;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/proc/%d/task", (int)pids[i]);
        DIR *tasks = opendir(path);
        CHECK(tasks);
        for (struct dirent *task; asleep && (task = readdir(tasks));) {
            if (task->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pids[i], task->d_name);
            FILE *file = fopen(path, "r");
            const char *name_end = file && fgets(line, sizeof line, file)
                                       ? strrchr(line, ')')
                                       : NULL;
            asleep = name_end && name_end[2] == 'S';
            if (file)
                fclose(file);
        }
        closedir(tasks);
    }
    return asleep;
}

/* Of replaced frames, at a moment when every reader and watcher has done what it was woken
 * for: one without a core holds on for as long as it has none, which is no fault of ours.
 * False if there was no such moment in time. */
static bool zombies_at_rest(fc_cache *cache, const pid_t *pids, int count, int64_t wait_ms,
                            uint64_t *zombies) {
    for (int64_t end = now_ms() + wait_ms; now_ms() < end; sleep_ms(1)) {
        if (!all_sleep(pids, count))
            continue;
        *zombies = stats_of(cache).zombie_bytes;
        if (*zombies < 3 * BYTES || all_sleep(pids, count))
            return true;
    }
    return false;
}

static void a_key_replaced_all_the_time_under_readers_leaves_few_zombies(void **state) {
    audience *a = shared_memory(sizeof *a);
    pid_t readers[8];
    uint64_t most = 0, most_at_rest = 0, zombies;
    int samples = 0;
    (void)state;
    a->dir = private_dir();
    fc_options options = threaded(a->dir);
    fc_cache *cache = open_with(&options);
    must_put(cache, "key", ROWS, 0);
    for (int i = 0; i < 8; i++)
        readers[i] = spawn(read_on, a);
    for (int64_t i = 1, end = now_ms() + torture_seconds(10) * 1000; now_ms() < end;
         i++) {
        must_put(cache, "key", ROWS, i);
        sleep_ms(100);
        zombies = stats_of(cache).zombie_bytes;
        most = zombies > most ? zombies : most;
        if (!zombies_at_rest(cache, readers, 8, 50, &zombies))
            continue; /* a crowded machine: the next time */
        samples++;
        most_at_rest = zombies > most_at_rest ? zombies : most_at_rest;
        assert_true(zombies < 3 * BYTES);
    }
    assert_true(zombies_at_rest(cache, readers, 8, 60000, &zombies));
    assert_true(zombies < 3 * BYTES);
    atomic_store(&a->stop, 1);
    for (int i = 0; i < 8; i++)
        must_end(readers[i]);
    print_message("%llu reads, most zombie bytes %llu; at %d moments with nobody at work "
                  "%llu\n", (unsigned long long)atomic_load(&a->reads),
                  (unsigned long long)most, samples, (unsigned long long)most_at_rest);
    assert_true(atomic_load(&a->reads) > 100);
    must_be_clean(cache);
    assert_int_equal(stats_of(cache).zombie_bytes, 0);
    fc_cache_close(cache);
}

/* ---- The budget below what is leased ---- */

static void a_budget_below_what_is_leased_refuses_puts_and_harms_no_reader(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc_error error;
    char budget[32];
    (void)state;
    must_put(cache, "held", 2 * ROWS, 7);
    fc_frame *frame = must_get(cache, "held", 2 * ROWS, 7);
    snprintf(budget, sizeof budget, "%llu",
             (unsigned long long)(cache->control_bytes + 2 * MIB));
    assert_int_equal(fc_cache_set_budget(cache, budget, NULL), 0);
    assert_int_equal(put_numbers(cache, fc_str("new"), ROWS / 2, 1, NULL, NULL, &error),
                     FC_E_BUDGET);
    assert_true(error.leased_bytes >= 2 * BYTES);
    assert_true(error.used_bytes > error.budget_bytes);
    assert_int_equal(error.zombie_bytes, 0);
    assert_true(are_numbers(frame, 2 * ROWS, 7));
    fc_frame_release(frame);
    must_put(cache, "new", ROWS / 2, 1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- The janitor ---- */

typedef struct house {
    const char *dir;
    _Atomic int janitor[2], stop, phase;
} house;

/* Looks at what is the helper's own, from outside. */
__attribute__((no_sanitize("thread"))) static bool keeps_house(fc_cache *cache) {
    fc__lock lock;
    /* Held by this process's helper or by nobody: only then the process itself is asked.
     */
    if (fc__lock_try(cache, FC__LOCK_JANITOR, 0, &lock) == 0) {
        fc__lock_release(cache, &lock);
        return false;
    }
    return *(volatile int *)&cache->janitor.fd >= 0;
}

static void live(house *h, int self) {
    fc_options options = threaded(h->dir);
    fc_cache *cache = open_with(&options);
    fc_frame_release(must_get(cache, "k", 3, 1)); /* starts the helper */
    while (!atomic_load(&h->stop)) {
        atomic_store(&h->janitor[self], keeps_house(cache));
        sleep_ms(20);
    }
    fc_cache_close(cache);
}

static void live_0(void *context) {
    live(context, 0);
}

static void live_1(void *context) {
    live(context, 1);
}

static int wait_for_janitor(house *h, int but) {
    for (int64_t end = now_ms() + 60000; now_ms() < end; sleep_ms(5))
        for (int i = 0; i < 2; i++)
            if (i != but && atomic_load(&h->janitor[i]))
                return i;
    fail_msg("no janitor was elected");
    return -1;
}

static void a_janitor_that_is_killed_is_replaced(void **state) {
    house *h = shared_memory(sizeof *h);
    pid_t pids[2];
    (void)state;
    h->dir = private_dir();
    fc_cache *cache = open_in(h->dir);
    must_put(cache, "k", 3, 1);
    pids[0] = spawn(live_0, h);
    pids[1] = spawn(live_1, h);
    int first = wait_for_janitor(h, -1);
    kill_and_reap(pids[first]);
    int64_t start = now_ms();
    assert_int_equal(wait_for_janitor(h, first), 1 - first);
    print_message("replaced after %lld ms\n", (long long)(now_ms() - start));
    atomic_store(&h->stop, 1);
    must_end(pids[1 - first]);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* Voluntary context switches of the one other thread of this process; -1: there is none.
 */
static long switches(void) {
    char path[300], line[128];
    long count = -1;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        if (task->d_name[0] == '.' || atoi(task->d_name) == (int)getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1)
                break;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return count;
}

/* Until it has not moved for 1.6 s. */
static void wait_for_sleep(void) {
    long seen = -2;
    for (int64_t end = now_ms() + 60000;; sleep_ms(1600)) {
        long now = switches();
        if (now >= 0 && now == seen)
            return;
        CHECK(now_ms() < end);
        seen = now;
    }
}

static void sleep_and_wake(void *context) {
    house *h = context;
    fc_options options = threaded(h->dir);
    options.budget = NULL;
    fc_cache *cache = open_with(&options);
    fc_frame *frame;
    CHECK(fc_get(cache, fc_str("k"), 0, &frame, NULL) ==
          FC_E_MISS); /* starts the helper */
    wait_for_sleep();
    long before = switches();
    sleep_ms(3000);
    CHECK(switches() == before); /* an empty cache: no wake-up at all */
    CHECK(!keeps_house(cache));
    atomic_store(&h->phase, 1); /* the parent puts */
    for (int64_t end = now_ms() + 60000; !keeps_house(cache); sleep_ms(5))
        CHECK(now_ms() < end);
    sleep_ms(1000);
    before = switches();
    sleep_ms(4000);
    long woken = switches() - before;
    CHECK(woken >= 1 &&
          woken <= 8); /* about one a second; a wake-up may block once more */
    CHECK(fc_delete(cache, fc_str("k"), NULL) == 0);
    wait_for_sleep();
    fc_cache_close(cache);
}

static void a_helper_sleeps_while_the_cache_is_empty_and_a_put_wakes_it(void **state) {
    house *h = shared_memory(sizeof *h);
    (void)state;
    h->dir = private_dir();
    fc_options options = options_in(h->dir);
    options.pool = "0";
    fc_cache *cache = open_with(&options);
    pid_t pid = spawn(sleep_and_wake, h);
    for (int64_t end = now_ms() + 120000; !atomic_load(&h->phase); sleep_ms(5))
        assert_true(now_ms() < end);
    must_put(cache, "k", 3, 1);
    must_end(pid);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_below_what_is_leased_refuses_puts_and_harms_no_reader),
        cmocka_unit_test(a_janitor_that_is_killed_is_replaced),
        cmocka_unit_test(a_helper_sleeps_while_the_cache_is_empty_and_a_put_wakes_it),
        cmocka_unit_test(a_key_replaced_all_the_time_under_readers_leaves_few_zombies),
        cmocka_unit_test(nothing_is_killed_in_a_cgroup_with_the_budget_auto),
        cmocka_unit_test(nothing_is_killed_in_a_cgroup_by_a_budget_beyond_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
