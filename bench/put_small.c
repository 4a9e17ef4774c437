/* A put of one row, against the bare system calls it needs.
 *
 *     put_small DIR new|replace */
#include "bench.h"
#include "raw.h"
#include <stdlib.h>

enum {
    ROUNDS = 15,
    PUTS = 300,
    MANIFEST_BYTES = 704
}; /* as long as a frame's of one row */

static const char bytes[MANIFEST_BYTES];

static double ours(fc_cache *cache, table *t, bool replace, int round) {
    char key[32];

    double start = bench_now_ns();
    for (int i = 0; i < PUTS; i++) {
        snprintf(key, sizeof key, "key-%d", replace ? 0 : round * PUTS + i);
        bench_put(cache, key, t);
    }
    return (bench_now_ns() - start) / PUTS;
}

static double bare(const raw *r, bool replace, int round) {
    char name[32];

    double start = bench_now_ns();
    for (int i = 0; i < PUTS; i++) {
        snprintf(name, sizeof name, "file-%d", replace ? i & 1 : round * PUTS + i);
        if (replace)
            raw_put_replace(r, name, i & 1 ? "file-0" : "file-1", bytes, sizeof bytes);
        else
            raw_put_new(r, name, bytes, sizeof bytes);
    }
    return (bench_now_ns() - start) / PUTS;
}

int main(int argc, char **argv) {
    bool replace = argc == 3 && !strcmp(argv[2], "replace");
    samples a = {0}, b = {0};
    const double value = 1;
    table t;
    raw r;

    if (argc != 3 || (!replace && strcmp(argv[2], "new")))
        return fprintf(stderr, "usage: put_small DIR new|replace\n"), 2;
    char *cache_dir = bench_path(argv[1], "cache"), *raw_dir = bench_path(argv[1], "raw");
    fc_cache *cache = bench_open(cache_dir, "1GiB", NULL);
    raw_open(&r, raw_dir);
    raw_make(&r, "file-0", replace ? MANIFEST_BYTES : 0);
    raw_make(&r, "file-1", replace ? MANIFEST_BYTES : 0);
    if (!replace) {
        raw_remove(&r, "file-0");
        raw_remove(&r, "file-1");
    }
    table_init(&t, &value, 1);
    for (int round = 0; round <= ROUNDS; round++) {
        double x = ours(cache, &t, replace, round), y = bare(&r, replace, round);
        if (round == 0) /* warms up */
            continue;
        samples_add(&a, x);
        samples_add(&b, y);
    }
    bench_figure(replace ? "put_one_row/replace" : "put_one_row/new", "ns",
                 samples_median(&a), samples_median(&b),
                 replace ? "the locks, openat, flock, pwrite; the old file's mark"
                         : "the locks, openat(O_CREAT), flock, pwrite, close");
    table_free(&t);
    fc_cache_close(cache);
    raw_close(&r);
    free(cache_dir);
    free(raw_dir);
    return 0;
}
