/* A get of a frame that this process has not mapped, against the bare system calls.
 *
 *     first_get DIR ROWS
 *
 * Small frames: many of them, in each round a process that has just attached gets each
 * once. Frames of their own segment: one, and more rounds. Both sides read the first
 * value; unmapping is timed on neither. */
#include "bench.h"
#include "raw.h"
#include <stdlib.h>

enum { SMALL_ROWS = 1000, SMALL_FRAMES = 500, ROUNDS = 9, LARGE_ROUNDS = 300 };
#define PAGE 4096

typedef struct contest {
    const char *cache_dir;
    raw files;
    int64_t rows;
    int frames;
    bool large;
    samples ours, bare;
} contest;

static void name(char out[32], const char *prefix, int i) {
    snprintf(out, 32, "%s-%d", prefix, i);
}

static void build(fc_cache *cache, const char *key, int64_t rows) {
    const fc_field field = {"x", "g"};
    struct ArrowSchema schema;
    fc_build *build;
    fc_error error;

    bench_must(fc_schema_init(&schema, &field, 1, &error), &error, "schema");
    bench_must(fc_build_begin(cache, fc_str(key), &schema, rows, NULL, &build, &error),
               &error, "build");
    memset(fc_build_column(build, 0)->values, 0, (size_t)rows * 8);
    bench_must(fc_build_commit(build, rows, NULL, &error), &error, "commit");
    schema.release(&schema);
}

static void make(contest *c) {
    fc_cache *cache = bench_open(c->cache_dir, "2GiB", NULL);
    char text[32];

    build(cache, "warm", 1);
    for (int i = 0; i < c->frames; i++) {
        name(text, "frame", i);
        build(cache, text, c->rows);
        name(text, "manifest", i);
        raw_make(&c->files, text, PAGE);
        name(text, "segment", i);
        if (c->large)
            raw_make(&c->files, text, (uint64_t)c->rows * 8);
    }
    fc_cache_close(cache);
}

static double get_ours(fc_cache *cache, const char *key) {
    fc_frame *frame;
    fc_error error;

    double start = bench_now_ns();
    bench_must(fc_get(cache, fc_str(key), 0, &frame, &error), &error, key);
    double value = bench_first_value(frame), end = bench_now_ns();
    fc_frame_release(frame);
    bench_must_sys(value == 0, "the value");
    return end - start;
}

static double get_bare(const contest *c, int i) {
    char manifest[32], segment[32];
    raw_frame frame;

    name(manifest, "manifest", i);
    name(segment, "segment", i);
    double start = bench_now_ns();
    raw_get(&c->files, manifest, c->large ? segment : NULL, &frame);
    double end = bench_now_ns();
    raw_unmap(&frame);
    return end - start;
}

static void run_round(contest *c, bool count) {
    fc_cache *cache = bench_open(c->cache_dir, "2GiB", NULL);
    char key[32];

    get_ours(cache, "warm"); /* what a process does at its very first get */
    for (int i = 0; i < c->frames; i++) {
        name(key, "frame", i);
        double ours = get_ours(cache, key), bare = get_bare(c, i);
        if (!count)
            continue;
        samples_add(&c->ours, ours);
        samples_add(&c->bare, bare);
    }
    fc_cache_close(cache);
}

int main(int argc, char **argv) {
    contest c = {.rows = argc == 3 ? atoll(argv[2]) : 0};
    char figure[64];

    if (c.rows < 1)
        return fprintf(stderr, "usage: first_get DIR ROWS\n"), 2;
    c.large = c.rows > SMALL_ROWS;
    c.frames = c.large ? 1 : SMALL_FRAMES;
    char *cache_dir = bench_path(argv[1], "cache"), *raw_dir = bench_path(argv[1], "raw");
    c.cache_dir = cache_dir;
    raw_open(&c.files, raw_dir);
    make(&c);
    for (int round = -1; round < (c.large ? LARGE_ROUNDS : ROUNDS); round++)
        run_round(&c, round >= 0);
    snprintf(figure, sizeof figure, "first_get/%lld_rows", (long long)c.rows);
    bench_figure(figure, "ns", samples_median(&c.ours), samples_median(&c.bare),
                 c.large ? "openat, fcntl, fstat, mmap, close; openat, fstat, mmap, close"
                         : "openat, fcntl, fstat, mmap, close");
    raw_close(&c.files);
    free(cache_dir);
    free(raw_dir);
    samples_free(&c.ours);
    samples_free(&c.bare);
    return 0;
}
