/* A put of one row, against the bare system calls it needs; and one of a new key into a
 * cache that has as many frames as it can, against one that has room.
 *
 *     put_small DIR new|replace|capacity */
#include "bench.h"
#include "raw.h"
#include <stdlib.h>

enum {
    ROUNDS = 15,
    PUTS = 300,
    CAPACITY = 65536,
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

/* ---- At capacity ---- */

static double new_keys(fc_cache *cache, table *t, int *number) {
    char key[32];

    double start = bench_now_ns();
    for (int i = 0; i < PUTS; i++) {
        snprintf(key, sizeof key, "key-%d", (*number)++);
        bench_put(cache, key, t);
    }
    return (bench_now_ns() - start) / PUTS;
}

static int at_capacity(const char *dir) {
    char *full_dir = bench_path(dir, "full"), *room_dir = bench_path(dir, "room");
    samples full = {0}, room = {0};
    int in_full = 0, in_room = 0;
    const double value = 1;
    table t;

    setenv("FRAMECACHE_CAPACITY", "65536", 1);
    fc_cache *a = bench_open(full_dir, "1GiB", NULL);
    fc_cache *b = bench_open(room_dir, "1GiB", NULL);
    table_init(&t, &value, 1);
    while (in_full < CAPACITY)
        new_keys(a, &t, &in_full);
    for (int round = 0; round <= ROUNDS; round++) {
        double x = new_keys(a, &t, &in_full), y = new_keys(b, &t, &in_room);
        if (round == 0) /* warms up */
            continue;
        samples_add(&full, x);
        samples_add(&room, y);
    }
    bench_figure("put_one_row/at_capacity", "ns", samples_median(&full),
                 samples_median(&room), "the same in a cache with room");
    table_free(&t);
    fc_cache_close(a);
    fc_cache_close(b);
    free(full_dir);
    free(room_dir);
    return 0;
}

int main(int argc, char **argv) {
    bool replace = argc == 3 && !strcmp(argv[2], "replace");
    samples a = {0}, b = {0};
    const double value = 1;
    table t;
    raw r;

    if (argc == 3 && !strcmp(argv[2], "capacity"))
        return at_capacity(argv[1]);
    if (argc != 3 || (!replace && strcmp(argv[2], "new")))
        return fprintf(stderr, "usage: put_small DIR new|replace|capacity\n"), 2;
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
                 replace ? "the locks, openat, fcntl, pwrite; the old file's mark"
                         : "the locks, openat(O_CREAT), fcntl, pwrite, close");
    table_free(&t);
    fc_cache_close(cache);
    raw_close(&r);
    free(cache_dir);
    free(raw_dir);
    return 0;
}
