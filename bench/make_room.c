/* A put of 1 GB into a cache that is full of small frames, against the same put where
 * room was made before: what eviction costs.
 *
 *     make_room DIR */
#include "bench.h"
#include <stdlib.h>

enum { ROWS = 125 * 1000 * 1000, SMALL_ROWS = 1000 * 1000, SMALL = 240, ROUNDS = 5 };

/* Of 8 MB each, 1.9 GB in all: most of a budget of 2 GiB. */
static void fill(fc_cache *cache, const double *values) {
    char key[16];
    table t;

    table_init(&t, values, SMALL_ROWS);
    for (int i = 0; i < SMALL; i++) {
        snprintf(key, sizeof key, "%d", i);
        bench_put(cache, key, &t);
    }
    table_free(&t);
}

static void empty(fc_cache *cache) {
    fc_error error;
    bench_must(fc_cache_clear(cache, NULL, &error), &error, "clear");
    bench_must(fc_cache_tick(cache, FC_TICK_FULL, NULL, &error), &error, "tick");
}

static double put(fc_cache *cache, table *t) {
    double start = bench_now_ns();
    bench_put(cache, "large", t);
    return (bench_now_ns() - start) / 1e6;
}

static void run(const char *dir, table *t, const double *values, const char *cold,
                const char *figure) {
    samples with = {0}, without = {0};

    setenv("FRAMECACHE_COLD", cold, 1);
    fc_cache *cache = bench_open(dir, "2GiB", "0");
    for (int round = -1; round < ROUNDS; round++) {
        fill(cache, values);
        double full = put(cache, t);
        empty(cache);
        fill(cache, values); /* so that the same pages have been used */
        empty(cache);
        double roomy = put(cache, t);
        empty(cache);
        if (round < 0)
            continue;
        samples_add(&with, full);
        samples_add(&without, roomy);
    }
    bench_figure(figure, "ms", samples_median(&with), samples_median(&without),
                 "the same put, where room was made before");
    fc_cache_close(cache);
}

int main(int argc, char **argv) {
    table t;

    if (argc != 2)
        return fprintf(stderr, "usage: make_room DIR\n"), 2;
    char *dir = bench_path(argv[1], "cache");
    double *values = bench_doubles(ROWS);
    table_init(&t, values, ROWS);
    run(dir, &t, values, "off", "make_room/1GB");
    run(dir, &t, values, "on", "make_room/1GB_compressing");
    table_free(&t);
    free(values);
    free(dir);
    return 0;
}
