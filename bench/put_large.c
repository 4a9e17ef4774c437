/* A put of 10^8 doubles, 800 MB.
 *
 *     put_large DIR fresh       against a plain pwrite of the same bytes, in pieces
 *     put_large DIR recycled    over the pages of a replaced frame, against memcpy */
#include "bench.h"
#include "raw.h"
#include <stdlib.h>

enum { ROWS = 100 * 1000 * 1000, ROUNDS = 5 };
#define BYTES ((uint64_t)ROWS * 8)

static double gigabytes_a_second(double start_ns) {
    return (double)BYTES / (bench_now_ns() - start_ns);
}

/* Every put takes new pages: nothing is pooled, and what was put goes first. */
static double fresh(fc_cache *cache, table *t) {
    fc_error error;
    int status = fc_delete(cache, fc_str("x"), &error);

    bench_must(status == FC_E_MISS ? 0 : status, &error, "delete");
    double start = bench_now_ns();
    bench_put(cache, "x", t);
    return gigabytes_a_second(start);
}

static double plain(const raw *r, const double *values) {
    double start = bench_now_ns();
    raw_write(r, "plain", values, BYTES);
    double speed = gigabytes_a_second(start);
    raw_remove(r, "plain");
    return speed;
}

static void run_fresh(const char *cache_dir, const char *raw_dir, double *values) {
    samples a = {0}, b = {0};
    fc_error error;
    table t;
    raw r;

    fc_cache *cache = bench_open(cache_dir, "2GiB", "0");
    raw_open(&r, raw_dir);
    table_init(&t, values, ROWS);
    for (int round = -1; round < ROUNDS; round++) {
        double x = fresh(cache, &t);
        bench_must(fc_delete(cache, fc_str("x"), &error), &error, "delete");
        double y = plain(&r, values);
        if (round < 0)
            continue;
        samples_add(&a, x);
        samples_add(&b, y);
    }
    bench_figure("put_800MB/fresh", "GB/s", samples_median(&a), samples_median(&b),
                 "pwrite in pieces of 8 MiB");
    table_free(&t);
    fc_cache_close(cache);
    raw_close(&r);
}

static void run_recycled(const char *cache_dir, double *values) {
    double *copy = bench_doubles(ROWS);
    samples a = {0}, b = {0};
    table t;

    fc_cache *cache = bench_open(cache_dir, "3GiB", "50%");
    table_init(&t, values, ROWS);
    for (int round = -2; round < ROUNDS; round++) { /* two frames take turns */
        double start = bench_now_ns();
        bench_put(cache, "x", &t);
        double x = gigabytes_a_second(start);
        start = bench_now_ns();
        memcpy(copy, values, BYTES);
        double y = gigabytes_a_second(start);
        bench_must_sys(copy[ROWS - 1] == values[ROWS - 1], "the copy");
        if (round < 0)
            continue;
        samples_add(&a, x);
        samples_add(&b, y);
    }
    bench_figure("put_800MB/recycled", "GB/s", samples_median(&a), samples_median(&b),
                 "memcpy, one thread");
    table_free(&t);
    fc_cache_close(cache);
    free(copy);
}

int main(int argc, char **argv) {
    if (argc != 3 || (strcmp(argv[2], "fresh") && strcmp(argv[2], "recycled")))
        return fprintf(stderr, "usage: put_large DIR fresh|recycled\n"), 2;
    char *cache_dir = bench_path(argv[1], "cache"), *raw_dir = bench_path(argv[1], "raw");
    double *values = bench_doubles(ROWS);
    if (!strcmp(argv[2], "fresh"))
        run_fresh(cache_dir, raw_dir, values);
    else
        run_recycled(cache_dir, values);
    free(values);
    free(cache_dir);
    free(raw_dir);
    return 0;
}
