/* A get of what this process has mapped, against LMDB's get of a small value.
 *
 *     warm_get DIR KEYS PROCESSES    the same keys in both, all processes at once
 *     warm_get DIR beside            40 keys, alone and beside a loop of 800 MB puts
 *
 * A get is fc_get and fc_frame_release; warm_get_value also finds the column by its name
 * and reads a value. LMDB's get is of the newest snapshot (begin, get, abort) and reads
 * the value; warm_get_held is against one in a snapshot that is kept open meanwhile. */
#include "bench.h"
#include "lmdb.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUDGET "4GiB" /* two large frames, and room */
#define POOL   "30%"

enum { ROUNDS = 15, GETS = 200000, ORDER = 4096, MAX_KEYS = 6000, MAX_PROCESSES = 8 };

typedef struct result {
    double ours, value, fresh, renewed, held; /* ns a get */
} result;

typedef struct shared { /* by all processes of a contest */
    pthread_barrier_t barrier;
    result results[MAX_PROCESSES];
    _Atomic bool putting, stopping;
    _Atomic int puts;
} shared;

static char keys[MAX_KEYS][16];
static int order[ORDER]; /* keys in no order, the same for both */
static int key_count;

static shared *share(int processes) {
    shared *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attributes;

    bench_must_sys(s != MAP_FAILED, "shared memory");
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&s->barrier, &attributes, (unsigned)processes);
    return s;
}

static void name_keys(int count) {
    key_count = count;
    for (int i = 0; i < count; i++)
        snprintf(keys[i], sizeof keys[i], "key-%06d", i);
    srand(1);
    for (int i = 0; i < ORDER; i++)
        order[i] = rand() % count;
}

/* In a process of its own, so that the contestants find everything made by another. */
static void fill(const char *cache_dir, const char *lmdb_dir) {
    pid_t child = bench_fork();
    int status;

    if (child == 0) {
        fc_cache *cache = bench_open(cache_dir, BUDGET, POOL);
        for (int i = 0; i < key_count; i++) {
            double value = i;
            table t;
            table_init(&t, &value, 1);
            bench_put(cache, keys[i], &t);
            table_free(&t);
        }
        fc_cache_close(cache);
        lmdb_fill(lmdb_dir, keys, key_count);
        exit(0);
    }
    bench_must_sys(waitpid(child, &status, 0) == child && status == 0, "fill");
}

static inline void get_ours(fc_cache *cache, const char *key) {
    fc_frame *frame;
    fc_error error;

    int status = fc_get(cache, fc_str(key), 0, &frame, &error);
    if (status)
        bench_must(status, &error, key);
    fc_frame_release(frame);
}

static double get_value(fc_cache *cache, const char *key) {
    fc_frame *frame;
    fc_error error;

    bench_must(fc_get(cache, fc_str(key), 0, &frame, &error), &error, key);
    double value = bench_first_value(frame);
    fc_frame_release(frame);
    return value;
}

/* ---- KEYS PROCESSES ---- */

static void check(double sum, double expected) {
    if (sum == expected)
        return;
    fprintf(stderr, "wrong values: %g, not %g\n", sum, expected);
    exit(1);
}

static double expected_sum(void) {
    double sum = 0;
    for (int i = 0; i < GETS; i++)
        sum += order[i % ORDER];
    return sum;
}

static double round_ours(fc_cache *cache) {
    double start = bench_now_ns();
    for (int i = 0; i < GETS; i++)
        get_ours(cache, keys[order[i % ORDER]]);
    return (bench_now_ns() - start) / GETS;
}

static double round_value(fc_cache *cache) {
    double sum = 0, start = bench_now_ns();
    for (int i = 0; i < GETS; i++)
        sum += get_value(cache, keys[order[i % ORDER]]);
    double end = bench_now_ns();
    check(sum, expected_sum());
    return (end - start) / GETS;
}

static double round_lmdb(lmdb *db, double (*get)(lmdb *, const char *)) {
    double sum = 0, start = bench_now_ns();
    for (int i = 0; i < GETS; i++)
        sum += get(db, keys[order[i % ORDER]]);
    double end = bench_now_ns();
    check(sum, expected_sum());
    return (end - start) / GETS;
}

static void contest(const char *cache_dir, const char *lmdb_dir, shared *s, int self) {
    samples ours = {0}, value = {0}, fresh = {0}, renewed = {0}, held = {0};
    fc_cache *cache = bench_open(cache_dir, BUDGET, POOL);
    lmdb db;

    lmdb_open(&db, lmdb_dir);
    for (int round = -1; round < ROUNDS; round++) { /* round -1 warms up */
        pthread_barrier_wait(&s->barrier);
        double a = round_ours(cache);
        pthread_barrier_wait(&s->barrier);
        double v = round_value(cache);
        pthread_barrier_wait(&s->barrier);
        lmdb_plain(&db, true);
        double b = round_lmdb(&db, lmdb_get);
        lmdb_plain(&db, false);
        pthread_barrier_wait(&s->barrier);
        double r = round_lmdb(&db, lmdb_get_renewed);
        pthread_barrier_wait(&s->barrier);
        lmdb_hold(&db);
        double c = round_lmdb(&db, lmdb_get_held);
        lmdb_let_go(&db);
        if (round < 0)
            continue;
        samples_add(&ours, a);
        samples_add(&value, v);
        samples_add(&fresh, b);
        samples_add(&renewed, r);
        samples_add(&held, c);
    }
    s->results[self] = (result){samples_median(&ours), samples_median(&value),
                                samples_median(&fresh), samples_median(&renewed),
                                samples_median(&held)};
    fc_cache_close(cache);
}

static void report(const char *figure, int processes, double ours, double theirs,
                   const char *against) {
    char name[64];
    snprintf(name, sizeof name, "%s/%d_keys/%d_processes", figure, key_count, processes);
    bench_figure(name, "ns", ours, theirs, against);
}

static void run_contest(const char *cache_dir, const char *lmdb_dir, int processes) {
    shared *s = share(processes);
    result worst = {0};
    int status;

    for (int i = 0; i < processes; i++)
        if (bench_fork() == 0) {
            contest(cache_dir, lmdb_dir, s, i);
            exit(0);
        }
    while (wait(&status) > 0)
        bench_must_sys(status == 0, "a contestant");
    for (int i = 0; i < processes; i++)
        if (s->results[i].ours > worst.ours)
            worst = s->results[i];
    report("warm_get", processes, worst.ours, worst.fresh, "LMDB begin, get, abort");
    report("warm_get_value", processes, worst.value, worst.fresh,
           "LMDB begin, get, abort");
    report("warm_get_renewed", processes, worst.ours, worst.renewed,
           "LMDB renew, get, reset");
    report("warm_get_held", processes, worst.ours, worst.held,
           "LMDB get in a snapshot kept open");
}

/* ---- Beside a loop of large puts ---- */

enum { BATCH = 8, PHASES = 5, LARGE_ROWS = 100 * 1000 * 1000 };
#define PHASE_NS 1e9

static void put_loop(const char *cache_dir, shared *s) {
    double *values = bench_doubles(LARGE_ROWS);
    fc_cache *cache = bench_open(cache_dir, BUDGET, POOL);
    table t;

    table_init(&t, values, LARGE_ROWS);
    bench_put(cache, "large", &t); /* two of them: afterwards one is written */
    bench_put(cache, "large", &t); /* while the other one stands */
    atomic_store(&s->puts, 1);
    while (!atomic_load(&s->stopping))
        if (atomic_load(&s->putting)) {
            bench_put(cache, "large", &t);
            atomic_fetch_add(&s->puts, 1);
        } else {
            usleep(1000);
        }
    table_free(&t);
    fc_cache_close(cache);
    free(values);
}

/* The p99 over batches of a phase, in ns a get. */
static double phase(fc_cache *cache) {
    double end = bench_now_ns() + PHASE_NS, p99;
    samples s = {0};

    for (int at = 0;; at = (at + BATCH) % ORDER) {
        double start = bench_now_ns();
        for (int i = 0; i < BATCH; i++)
            get_ours(cache, keys[order[at + i]]);
        double now = bench_now_ns();
        samples_add(&s, (now - start) / BATCH);
        if (now > end)
            break;
    }
    p99 = samples_percentile(&s, 99);
    samples_free(&s);
    return p99;
}

static void run_beside(const char *cache_dir) {
    samples alone = {0}, beside = {0};
    shared *s = share(1);
    int status;

    pid_t putter = bench_fork();
    if (putter == 0) {
        put_loop(cache_dir, s);
        exit(0);
    }
    fc_cache *cache = bench_open(cache_dir, BUDGET, POOL);
    while (!atomic_load(&s->puts)) {
        bench_must_sys(waitpid(putter, &status, WNOHANG) == 0, "the loop of puts");
        usleep(10000);
    }
    phase(cache);
    for (int i = 0; i < PHASES; i++) {
        samples_add(&alone, phase(cache));
        atomic_store(&s->putting, true);
        samples_add(&beside, phase(cache));
        atomic_store(&s->putting, false);
        for (int puts = -1; puts != atomic_load(&s->puts);) { /* until it rests */
            puts = atomic_load(&s->puts);
            usleep(500000);
        }
    }
    atomic_store(&s->stopping, true);
    bench_must_sys(waitpid(putter, &status, 0) == putter && status == 0,
                   "the loop of puts");
    bench_figure("warm_get_p99/beside_puts", "ns", samples_median(&beside),
                 samples_median(&alone), "p99 of the same gets alone");
    fc_cache_close(cache);
}

int main(int argc, char **argv) {
    bool beside = argc == 3 && !strcmp(argv[2], "beside");
    int count = argc > 2 ? atoi(argv[2]) : 0, processes = argc > 3 ? atoi(argv[3]) : 1;

    if (!beside &&
        (count < 1 || count > MAX_KEYS || processes < 1 || processes > MAX_PROCESSES))
        return fprintf(stderr, "usage: warm_get DIR KEYS PROCESSES | DIR beside\n"), 2;
    char *cache_dir = bench_path(argv[1], "cache"),
         *lmdb_dir = bench_path(argv[1], "lmdb");
    bench_make_dir(lmdb_dir);
    name_keys(beside ? 40 : count);
    fill(cache_dir, lmdb_dir);
    if (beside)
        run_beside(cache_dir);
    else
        run_contest(cache_dir, lmdb_dir, processes);
    free(cache_dir);
    free(lmdb_dir);
    return 0;
}
