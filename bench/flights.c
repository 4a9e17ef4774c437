/* Single flight.
 *
 *     flights DIR hit        what fc_get_or_compute costs more than fc_get on a hit
 *     flights DIR waiters    200 threads of 8 processes wait for one key: when the last
 * of them has its frame, after the commit began
 *
 * Both are against what is promised: 50 ns, 5 ms. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 40, GETS = 20000, TURNS = 201, ROUNDS = 25 };
enum { PROCESSES = 8, THREADS = 25, WAITERS = PROCESSES * THREADS };

#define HIT_NS    50.0
#define SERVED_NS 5e6

static int never(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                 fc_error *error) {
    (void)context, (void)cache, (void)key, (void)out, (void)error;
    fprintf(stderr, "computed what another computes, or what is there\n");
    exit(1);
}

/* ---- A hit ---- */

static double get_all(fc_cache *cache, char names[KEYS][16], bool compute) {
    double start = bench_now_ns();
    fc_frame *frame;
    fc_error error;

    for (int i = 0; i < GETS; i++) {
        fc_bytes key = fc_str(names[i * 7 % KEYS]);
        int status =
            compute ? fc_get_or_compute(cache, key, 0, 0, never, NULL, &frame, &error)
                    : fc_get(cache, key, 0, &frame, &error);
        bench_must(status, &error, "a hit");
        fc_frame_release(frame);
    }
    return (bench_now_ns() - start) / GETS;
}

static void hit(const char *dir) {
    fc_cache *cache = bench_open(dir, "64MiB", "0%");
    samples more = {0};
    char names[KEYS][16];
    double value = 1;
    table t;

    table_init(&t, &value, 1);
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "key-%06d", i);
        bench_put(cache, names[i], &t);
    }
    for (int i = 0; i < TURNS; i++) {
        double get = get_all(cache, names, false);
        samples_add(&more, get_all(cache, names, true) - get);
    }
    bench_figure("flight/hit", "ns", samples_median(&more), HIT_NS, "the promise");
    samples_free(&more);
    table_free(&t);
    fc_cache_close(cache);
}

/* ---- Waiters ---- */

typedef struct shared {
    _Atomic int waiting, served, round; /* the round that may begin */
    double served_ns[WAITERS];
} shared;

static shared *all;
static fc_cache *cache;
static int process;

static void *wait_and_wait(void *argument) {
    int self = process * THREADS + (int)(intptr_t)argument;
    char key[16];
    fc_frame *frame;
    fc_error error;

    for (int round = 0; round < ROUNDS; round++) {
        while (atomic_load(&all->round) <= round)
            usleep(1000);
        snprintf(key, sizeof key, "key-%d", round);
        atomic_fetch_add(&all->waiting, 1);
        bench_must(
            fc_get_or_compute(cache, fc_str(key), 0, 60000, never, NULL, &frame, &error),
            &error, "a wait");
        all->served_ns[self] = bench_now_ns();
        fc_frame_release(frame);
        atomic_fetch_add(&all->served, 1);
    }
    return NULL;
}

static void wait_in_process(const char *dir, int number) {
    pthread_t threads[THREADS];

    process = number;
    cache = bench_open(dir, "64MiB", "0%");
    for (intptr_t i = 0; i < THREADS; i++)
        bench_must(pthread_create(&threads[i], NULL, wait_and_wait, (void *)i), NULL,
                   "a thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fc_cache_close(cache);
    exit(0);
}

/* Until the last one is served, from just before the put. */
static double one_round(int round, table *t) {
    fc_flight *flight;
    fc_frame *frame;
    fc_error error;
    double last = 0;
    char key[16];

    snprintf(key, sizeof key, "key-%d", round);
    bench_must(fc_flight_begin(cache, fc_str(key), 0, &frame, &flight, &error), &error,
               "a flight");
    atomic_store(&all->waiting, 0);
    atomic_store(&all->served, 0);
    atomic_store(&all->round, round + 1);
    while (atomic_load(&all->waiting) < WAITERS)
        usleep(1000);
    usleep(120000); /* they sleep, and have looked for a dead owner */
    double start = bench_now_ns();
    bench_put(cache, key, t);
    fc_flight_end(flight);
    while (atomic_load(&all->served) < WAITERS)
        usleep(1000);
    for (int i = 0; i < WAITERS; i++)
        last = all->served_ns[i] > last ? all->served_ns[i] : last;
    return last - start;
}

static void waiters(const char *dir) {
    samples last = {0};
    double value = 1;
    table t;

    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
               0);
    bench_must_sys(all != MAP_FAILED, "shared memory");
    for (int i = 0; i < PROCESSES; i++)
        if (bench_fork() == 0)
            wait_in_process(dir, i);
    cache = bench_open(dir, "64MiB", "0%");
    table_init(&t, &value, 1);
    for (int round = 0; round < ROUNDS; round++)
        samples_add(&last, one_round(round, &t));
    bench_figure("flight/waiters", "ns", samples_median(&last), SERVED_NS, "the promise");
    bench_figure("flight/waiters/worst", "ns", samples_percentile(&last, 100), SERVED_NS,
                 "the promise");
    for (int i = 0; i < PROCESSES; i++)
        bench_must_sys(wait(NULL) > 0, "a process");
    samples_free(&last);
    table_free(&t);
    fc_cache_close(cache);
}

int main(int argc, char **argv) {
    bool is_hit = argc == 3 && !strcmp(argv[2], "hit");

    if (!is_hit && (argc != 3 || strcmp(argv[2], "waiters"))) {
        fprintf(stderr, "usage: flights DIR hit|waiters\n");
        return 2;
    }
    if (is_hit)
        hit(argv[1]);
    else
        waiters(argv[1]);
    return 0;
}
