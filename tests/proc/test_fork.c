/* fork() while threads put and get: parent and child both go on, the child keeps the
 * frames that it inherits and nothing else. */
#include "support_proc.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The thread sanitizer gives up when a child of a process with threads starts threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) {
    return "die_after_fork=0";
}

enum { KEYS = 12, FORKERS = 2, BIG = 131072 };

static fc_cache *open_threaded(const char *dir) {
    fc_options options = options_in(dir);
    options.flags = 0;
    options.janitor = "on";
    return open_with(&options);
}

/* ---- What a process has of the cache ---- */

typedef struct holdings {
    int directories, locks, others; /* descriptors */
    int frames, segments;           /* mappings of frames/ */
} holdings;

static void count_open(const char *dir, holdings *h) {
    DIR *entries = opendir("/proc/self/fd");
    char link[64], target[300];

    for (struct dirent *entry; (entry = readdir(entries));) {
        snprintf(link, sizeof link, "/proc/self/fd/%.20s", entry->d_name);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = 0;
        if (strncmp(target, dir, strlen(dir)))
            continue;
        const char *rest = target + strlen(dir);
        if (!*rest || !strcmp(rest, "/frames"))
            h->directories++;
        else if (!strcmp(rest, "/locks") || !strcmp(rest, "/writers"))
            h->locks++;
        else
            h->others++;
    }
    closedir(entries);
}

static void count_mapped(const char *dir, holdings *h) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], prefix[200];

    snprintf(prefix, sizeof prefix, "%s/frames/", dir);
    while (fgets(line, sizeof line, maps)) {
        if (!strstr(line, prefix))
            continue;
        if (strstr(line, ".s"))
            h->segments++;
        else
            h->frames++;
    }
    fclose(maps);
}

static holdings holdings_of(const char *dir) {
    holdings h = {0};
    count_open(dir, &h);
    count_mapped(dir, &h);
    return h;
}

/* ---- Children in order ---- */

typedef struct family {
    fc_cache *cache;
    const char *dir;
    fc_frame *held;
    fc_build *build;
    fc_cursor *cursor;
} family;

static void child_has_only_what_it_uses(void *context) {
    family *f = context;
    holdings h = holdings_of(f->dir);

    CHECK(h.directories == 2);
    CHECK(h.locks == 0);
    CHECK(h.others == 0);
    CHECK(h.frames == 1);
    CHECK(h.segments == 2);
    CHECK(are_numbers(f->held, BIG, 7));
    fc_frame_release(f->held);
    must_put(f->cache, "from the child", 2, 5);
    fc_frame_release(must_get(f->cache, "from the child", 2, 5));
    fc_frame_release(must_get(f->cache, "idle", 3, 3));
    CHECK(fc_delete(f->cache, fc_str("deleted by the child"), NULL) == 0);
    fc_cache_close(f->cache);
    h = holdings_of(f->dir);
    CHECK(h.directories + h.locks + h.others + h.frames + h.segments == 0);
}

static void child_keeps_held_frames_and_no_descriptor(void **state) {
    family f = {.dir = private_dir()};
    (void)state;

    for (int threads = 0; threads < 2; threads++) {
        f.cache = threads ? open_threaded(f.dir) : open_in(f.dir);
        must_put(f.cache, "held", BIG, 7);
        must_put(f.cache, "idle", 3, 3);
        must_put(f.cache, "deleted by the child", 1, 1);
        fc_frame_release(must_get(f.cache, "idle", 3, 3));
        f.held = must_get(f.cache, "held", BIG, 7);
        holdings before = holdings_of(f.dir);
        pid_t pid = spawn(child_has_only_what_it_uses, &f);
        must_end(pid);
        assert_true(are_numbers(f.held, BIG, 7));
        fc_frame_release(must_get(f.cache, "from the child", 2, 5));
        must_miss(f.cache, "deleted by the child", FC_MISS_DELETED);
        assert_int_equal(holdings_of(f.dir).directories, before.directories);
        fc_frame_release(f.held);
        must_be_clean(f.cache);
        fc_cache_close(f.cache);
    }
}

/* The lease belongs to whoever still maps the frame. */
static void child_holds_until_told(void *context) {
    family *f = context;

    raise(SIGSTOP);
    CHECK(are_numbers(f->held, BIG, 7));
}

static void frame_that_only_the_child_still_holds_is_not_reclaimed(void **state) {
    family f = {.dir = private_dir()};
    (void)state;

    f.cache = open_in(f.dir);
    must_put(f.cache, "held", BIG, 7);
    f.held = must_get(f.cache, "held", BIG, 7);
    pid_t pid = spawn(child_holds_until_told, &f);
    must_stop(pid);
    fc_frame_release(f.held);
    assert_int_equal(fc_delete(f.cache, fc_str("held"), NULL), 0);
    for (int i = 0; i < 6; i++)
        must_put(f.cache, "filler", BIG, i);
    assert_int_equal(fc_cache_tick(f.cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(stats_of(f.cache).zombie_frames, 1);
    kill(pid, SIGCONT);
    must_end(pid);
    must_be_clean(f.cache);
    fc_cache_close(f.cache);
}

static void child_cannot_use_the_parents_build(void *context) {
    family *f = context;
    fc_info info = {.size = sizeof info};
    fc_error error;

    CHECK(fc_cursor_next(f->cursor, &info, &error) == FC_E_INVALID);
    fc_cursor_close(f->cursor);
    CHECK(fc_build_commit(f->build, BIG, NULL, &error) == FC_E_INVALID);
    CHECK(error.message[0]);
    must_put(f->cache, "child", 1, 1);
    fc_cache_close(f->cache);
}

static void child_aborts_the_parents_build(void *context) {
    family *f = context;

    fc_cursor_close(f->cursor);
    fc_build_abort(f->build);
    fc_cache_close(f->cache);
}

static void child_closes_with_the_build_open(void *context) {
    family *f = context;

    fc_cache_close(f->cache);
    fc_build_abort(f->build);
    fc_cursor_close(f->cursor);
}

static void builds_and_cursors_stay_the_parents(void **state) {
    void (*const children[])(void *) = {child_cannot_use_the_parents_build,
                                        child_aborts_the_parents_build,
                                        child_closes_with_the_build_open};
    fc_info info = {.size = sizeof info};
    (void)state;

    for (int i = 0; i < 3; i++) {
        family f = {.dir = private_dir()};
        f.cache = open_in(f.dir);
        must_put(f.cache, "key", 1, 1);
        assert_int_equal(fc_cursor_open(f.cache, fc_str("k"), &f.cursor, NULL), 0);
        assert_int_equal(
            begin_numbers(f.cache, fc_str("built"), BIG, 9, NULL, &f.build, NULL), 0);
        must_end(spawn(children[i], &f));
        assert_int_equal(fc_cache_tick(f.cache, FC_TICK_FULL, NULL, NULL), 0);
        assert_int_equal(fc_cursor_next(f.cursor, &info, NULL), 0);
        fc_cursor_close(f.cursor);
        assert_int_equal(fc_build_commit(f.build, BIG, NULL, NULL), 0);
        fc_frame_release(must_get(f.cache, "built", BIG, 9));
        must_be_clean(f.cache);
        fc_cache_close(f.cache);
    }
}

/* ---- Threads ---- */

typedef struct crowd {
    fc_cache *cache;
    const char *dir;
    _Atomic bool stop;
    _Atomic int rounds;
    int number;
} crowd;

static int64_t rows_of(int key) {
    return key % 4 ? 10 + key : 70000;
}

static void put_or_get(fc_cache *cache, int key, int round) {
    char name[16];
    fc_frame *frame;

    snprintf(name, sizeof name, "key-%d", key);
    if (round % 3 == 0)
        must_put(cache, name, rows_of(key), key);
    else if (fc_get(cache, fc_str(name), 0, &frame, NULL) == 0) {
        CHECK(are_numbers(frame, rows_of(key), key));
        fc_frame_release(frame);
    }
}

static void *go_on(void *argument) {
    crowd *c = argument;

    for (int i = 0; !atomic_load(&c->stop); i++) {
        put_or_get(c->cache, i * 7 % KEYS, i);
        atomic_fetch_add(&c->rounds, 1);
    }
    return NULL;
}

static void child_of_a_crowd(void *context) {
    crowd *c = context;
    holdings h = holdings_of(c->dir);
    pthread_t thread;
    char name[16];

    CHECK(h.directories == 2);
    CHECK(h.locks == 0 && h.others == 0);
    /* At most what the other threads were using at that moment. */
    CHECK(h.frames <= FORKERS + 2);
    atomic_store(&c->stop, false);
    CHECK(pthread_create(&thread, NULL, go_on, c) == 0); /* threads work here too */
    for (int i = 0; i < 10; i++)
        put_or_get(c->cache, i % KEYS, i);
    snprintf(name, sizeof name, "child-%d", (int)getpid());
    must_put(c->cache, name, 1, 1);
    fc_frame_release(must_get(c->cache, name, 1, 1));
    CHECK(fc_delete(c->cache, fc_str(name), NULL) == 0);
    atomic_store(&c->stop, true);
    pthread_join(thread, NULL);
    CHECK(holdings_of(c->dir).others == 0);
    fc_cache_close(c->cache);
}

/* spawn() asks cmocka to fail in threads; here the child's end is counted instead. */
static void *fork_and_fork(void *argument) {
    crowd *c = argument;
    intptr_t failures = 0;

    for (int i = 0; i < 25; i++) {
        int state = 0;
        pid_t pid = spawn(child_of_a_crowd, c);
        if (waitpid(pid, &state, 0) != pid || !WIFEXITED(state) || WEXITSTATUS(state))
            failures++;
    }
    return (void *)failures;
}

static void fork_while_threads_put_and_get_leaves_both_sides_whole(void **state) {
    crowd c = {.dir = private_dir()};
    pthread_t workers[2], forkers[FORKERS];
    void *failures;
    (void)state;

#ifdef __SANITIZE_THREAD__
    skip(); /* it ends a child that starts a thread where the parent had one */
#endif
#ifdef __SANITIZE_ADDRESS__
    print_message(
        "the address sanitizer's allocator is not safe over fork with threads\n");
    skip(); /* gcc 12: a child inherits its locks as they are */
#endif
    c.cache = open_threaded(c.dir);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&workers[i], NULL, go_on, &c), 0);
    for (int i = 0; i < FORKERS; i++)
        assert_int_equal(pthread_create(&forkers[i], NULL, fork_and_fork, &c), 0);
    for (int i = 0; i < FORKERS; i++) {
        pthread_join(forkers[i], &failures);
        assert_int_equal((intptr_t)failures, 0);
    }
    int before = atomic_load(&c.rounds);
    for (int64_t end = now_ms() + 60000; atomic_load(&c.rounds) < before + 10;
         sleep_ms(1))
        assert_true(now_ms() < end); /* the parent's threads go on */
    atomic_store(&c.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(workers[i], NULL);
    must_be_clean(c.cache);
    holdings h = holdings_of(c.dir);
    assert_int_equal(h.directories, 2);
    assert_int_equal(h.others, 0);
    fc_cache_close(c.cache);
    h = holdings_of(c.dir);
    assert_int_equal(h.directories + h.locks + h.others + h.frames + h.segments, 0);
}

/* ---- The helper thread ---- */

static int count_threads(void) {
    DIR *entries = opendir("/proc/self/task");
    int count = -2;

    while (readdir(entries))
        count++;
    closedir(entries);
    return count;
}

static void child_starts_its_own_helper(void *context) {
    family *f = context;

    CHECK(count_threads() == 1);
    must_put(f->cache, "key", 1, 2);
    CHECK(count_threads() == 2);
    fc_cache_close(f->cache);
    CHECK(count_threads() == 1);
}

static void helper_thread_starts_again_on_both_sides(void **state) {
    family f = {.dir = private_dir()};
    int extra = count_threads() - 1; /* the thread sanitizer has one of its own */
    (void)state;

    if (extra)
        skip();
    f.cache = open_threaded(f.dir);
    assert_int_equal(count_threads(), 1);
    must_put(f.cache, "key", 1, 1);
    assert_int_equal(count_threads(), 2);
    pid_t pid = spawn(child_starts_its_own_helper, &f);
    assert_int_equal(count_threads(),
                     1); /* stopped, so that the child has no half of it */
    must_end(pid);
    must_put(f.cache, "key", 1, 3);
    assert_int_equal(count_threads(), 2);
    fc_cache_close(f.cache);
    assert_int_equal(count_threads(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_keeps_held_frames_and_no_descriptor),
        cmocka_unit_test(frame_that_only_the_child_still_holds_is_not_reclaimed),
        cmocka_unit_test(builds_and_cursors_stay_the_parents),
        cmocka_unit_test(fork_while_threads_put_and_get_leaves_both_sides_whole),
        cmocka_unit_test(helper_thread_starts_again_on_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
