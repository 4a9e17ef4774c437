/* A put of 1 GB into a cache that is full of other frames, against the same put where
 * room was made before: what eviction costs, in time and in processor time of the thread
 * that puts and of the whole process.
 *
 * The cold tier is on, as it is by default. The frames are of random bits, so that they
 * are dropped; or of numbers that are compressed.
 *
 *     make_room DIR MEGABYTES [compress]      of each of the frames that have to go */
#include "bench.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 125 * 1000 * 1000, MB_ROWS = 125 * 1000, FULL_MB = 1920 };

typedef struct contest {
    fc_cache *cache;
    table large, small; /* which is what goes */
    int count;          /* of the small */
} contest;

typedef struct cost {
    double ms, thread_ms, process_ms;
} cost;

/* Of a budget of 2 GiB. */
static void fill(contest *c) {
    char key[16];

    for (int i = 0; i < c->count; i++) {
        snprintf(key, sizeof key, "%d", i);
        bench_put(c->cache, key, &c->small);
    }
}

static void empty(contest *c) {
    fc_error error;
    bench_must(fc_cache_clear(c->cache, NULL, &error), &error, "clear");
    bench_must(fc_cache_tick(c->cache, FC_TICK_FULL, NULL, &error), &error, "tick");
}

static double processor_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static cost put(contest *c) {
    double process = processor_ns(CLOCK_PROCESS_CPUTIME_ID);
    double thread = processor_ns(CLOCK_THREAD_CPUTIME_ID), start = bench_now_ns();
    bench_put(c->cache, "large", &c->large);
    return (cost){(bench_now_ns() - start) / 1e6,
                  (processor_ns(CLOCK_THREAD_CPUTIME_ID) - thread) / 1e6,
                  (processor_ns(CLOCK_PROCESS_CPUTIME_ID) - process) / 1e6};
}

static void report(const char *megabytes, const char *what, rounds *r, size_t first) {
    char name[64];

    snprintf(name, sizeof name, "make_room/1GB/%sMB%s", megabytes, what);
    bench_figure(name, "ms", rounds_median(r, first), rounds_median(r, first + 3),
                 "the same put, where room was made before");
}

static void one_round(contest *c, double out[6]) {
    fill(c);
    cost full = put(c);
    empty(c);
    cost roomy = put(c);
    empty(c);
    out[0] = full.ms;
    out[1] = full.thread_ms;
    out[2] = full.process_ms;
    out[3] = roomy.ms;
    out[4] = roomy.thread_ms;
    out[5] = roomy.process_ms;
}

static void run(contest *c, const char *megabytes, bool compress) {
    rounds r = {.wanted = 5, .most = 9};
    double figures[6];

    one_round(c, figures); /* warms up */
    while (rounds_more(&r)) {
        one_round(c, figures);
        rounds_add(&r, figures, 6);
    }
    rounds_report(&r, "make_room");
    report(megabytes, compress ? "/compressing" : "", &r, 0);
    if (compress)
        return;
    report(megabytes, "/thread", &r, 1);
    report(megabytes, "/process", &r, 2);
}

/* What no codec takes anything off. */
static void randomise(double *values) {
    uint64_t x = 0, mixed;

    for (int64_t row = 0; row < ROWS; row++) {
        mixed = (x += 0x9e3779b97f4a7c15u);
        mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
        memcpy(&values[row], &mixed, sizeof mixed);
    }
}

int main(int argc, char **argv) {
    contest c;
    bool compress = argc == 4 && !strcmp(argv[3], "compress");
    int megabytes = argc > 2 ? atoi(argv[2]) : 0;

    if ((argc != 3 && !compress) || megabytes < 1 || megabytes > 1000)
        return fprintf(stderr, "usage: make_room DIR MEGABYTES [compress]\n"), 2;
    char *dir = bench_path(argv[1], "cache");
    double *values = bench_doubles(ROWS);
    if (!compress)
        randomise(values);
    table_init(&c.large, values, ROWS);
    table_init(&c.small, values, megabytes * MB_ROWS);
    c.count = megabytes == 1000 ? 2 : FULL_MB / megabytes;
    setenv("FRAMECACHE_COLD", "on", 1);
    c.cache = bench_open(dir, "2GiB", "0");
    run(&c, argv[2], compress);
    fc_cache_close(c.cache);
    table_free(&c.small);
    table_free(&c.large);
    free(values);
    free(dir);
    return 0;
}
