/* The flights out of New York in 2013, ten times: how small the cold tier makes them, as a
 * whole and each column as a frame of its own, and how fast it does. codec_table.py puts the
 * table, as `make demo` reads it, into a cache beside.
 *
 *     codec DIR       with the frame "flights" in the cache DIR/table
 *
 * How small stands against LZ4 without shuffling. Demotion, from a mapped frame to a published
 * file with the frame's memory given back, stands against two threads of
 * LZ4_compress_default() over the same blocks in warm memory, as they are and shuffled
 * before. Promotion, from a cold key to a mapped frame, stands against two threads of
 * LZ4_decompress_safe() of the same blocks to new files and to memory that is there. The
 * file is read as docs/format.md describes it. */
#include "bench.h"

#include <fcntl.h>
#include <glob.h>
#include <lz4.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, FILES = 64 };

/* ---- The cold file ---- */

typedef struct block {
    uint64_t offset, place, checksum;
    uint32_t segment, raw_bytes, stored_bytes;
    uint8_t method, width;
    uint16_t reserved;
} block;

typedef struct cold_file {
    char *bytes; /* a copy, warm */
    const block *blocks;
    uint64_t count, raw_bytes, stored_bytes;
    char *raw;      /* decoded, as LZ4 was given it */
    char *plain;    /* not shuffled */
    int fds[FILES]; /* new, one a segment */
    uint64_t *at;   /* [count] of each block in raw */
} cold_file;

static void read_cold(cold_file *f, const char *dir) {
    char *pattern = bench_path(dir, "cold/*");
    struct stat info;
    glob_t found;
    bench_must_sys(glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == 1, pattern);
    int fd = open(found.gl_pathv[0], O_RDONLY);
    bench_must_sys(fd >= 0 && fstat(fd, &info) == 0, found.gl_pathv[0]);
    f->bytes = malloc((size_t)info.st_size);
    bench_must_sys(read(fd, f->bytes, (size_t)info.st_size) == info.st_size, "the file");
    close(fd);
    globfree(&found);
    free(pattern);
    f->stored_bytes = (uint64_t)info.st_size;
    memcpy(&f->count, f->bytes + 32, 8);
    memcpy(&f->raw_bytes, f->bytes + 40, 8);
    f->blocks = (const block *)(f->bytes + 64);
    f->raw = malloc(f->raw_bytes);
    f->at = malloc(f->count * sizeof *f->at);
    for (uint64_t i = 0, at = 0; i < f->count; at += f->blocks[i++].raw_bytes) {
        f->at[i] = at;
        bench_must_sys(f->blocks[i].segment < FILES, "a file for each segment");
    }
}

static void free_cold(cold_file *f) {
    free(f->bytes);
    free(f->raw);
    free(f->plain);
    free(f->at);
}

static void decode_block(cold_file *f, uint64_t i, char *unused) {
    const block *b = &f->blocks[i];
    (void)unused;
    if (b->method == 0)
        memcpy(f->raw + f->at[i], f->bytes + b->place, b->raw_bytes);
    else
        LZ4_decompress_safe(f->bytes + b->place, f->raw + f->at[i], (int)b->stored_bytes,
                            (int)b->raw_bytes);
}

/* The same into new files, as a program would keep it in shared memory. */
static void decode_to_file(cold_file *f, uint64_t i, char *room) {
    const block *b = &f->blocks[i];
    const char *from = room;
    if (b->method == 0)
        from = f->bytes + b->place;
    else
        LZ4_decompress_safe(f->bytes + b->place, room, (int)b->stored_bytes,
                            (int)b->raw_bytes);
    bench_must_sys(pwrite(f->fds[b->segment], from, b->raw_bytes, (off_t)b->offset) ==
                       (ssize_t)b->raw_bytes, "pwrite");
}

static void code_plain(cold_file *f, uint64_t i, char *room) {
    LZ4_compress_default(f->plain + f->at[i], room, (int)f->blocks[i].raw_bytes,
                         LZ4_COMPRESSBOUND(BLOCK));
}

static void code_block(cold_file *f, uint64_t i, char *room) {
    LZ4_compress_default(f->raw + f->at[i], room, (int)f->blocks[i].raw_bytes,
                         LZ4_COMPRESSBOUND(BLOCK));
}

typedef struct job {
    cold_file *file;
    void (*run)(cold_file *f, uint64_t i, char *room);
    _Atomic uint64_t next;
} job;

static void *work(void *argument) {
    job *j = argument;
    char *room = malloc(LZ4_COMPRESSBOUND(BLOCK));
    uint64_t i;
    while ((i = atomic_fetch_add(&j->next, 1)) < j->file->count)
        j->run(j->file, i, room);
    free(room);
    return NULL;
}

static double two_threads(cold_file *f, void (*run)(cold_file *, uint64_t, char *)) {
    job j = {.file = f, .run = run};
    pthread_t other;
    double start = bench_now_ns();
    bench_must_sys(pthread_create(&other, NULL, work, &j) == 0, "a thread");
    work(&j);
    pthread_join(other, NULL);
    return (double)f->raw_bytes / (bench_now_ns() - start);
}

static double to_new_files(cold_file *f, const char *dir) {
    char name[64];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "new.%d", i);
        char *path = bench_path(dir, name);
        f->fds[i] = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
        bench_must_sys(f->fds[i] >= 0 && unlink(path) == 0, path);
        free(path);
    }
    double speed = two_threads(f, decode_to_file);
    for (int i = 0; i < FILES; i++)
        close(f->fds[i]);
    return speed;
}

static void unshuffle_all(cold_file *f) {
    f->plain = malloc(f->raw_bytes);
    for (uint64_t i = 0; i < f->count; i++) {
        uint64_t width = f->blocks[i].width, count = f->blocks[i].raw_bytes / width;
        const char *from = f->raw + f->at[i];
        char *to = f->plain + f->at[i];
        memcpy(to, from, f->blocks[i].raw_bytes);
        for (uint64_t v = 0; v < count; v++)
            for (uint64_t k = 0; k < width; k++)
                to[v * width + k] = from[k * count + v];
    }
}

/* ---- Figures ---- */

static uint64_t counter(fc_cache *cache, bool promoted) {
    fc_stats stats = {.size = sizeof stats};
    fc_error error;
    bench_must(fc_cache_stats(cache, &stats, &error), &error, "stats");
    return promoted ? stats.promoted : stats.demoted;
}

/* False: the cache found it not worth compressing, and dropped it. */
static bool demote(fc_cache *cache, double *ns) {
    uint64_t before = counter(cache, false);
    fc_error error;
    double start = bench_now_ns();
    bench_must(fc_cache_tick(cache, 0, NULL, &error), &error, "a tick");
    *ns = bench_now_ns() - start;
    return counter(cache, false) == before + 1;
}

static double promote(fc_cache *cache) {
    uint64_t before = counter(cache, true);
    fc_frame *frame;
    fc_error error;
    double start = bench_now_ns();
    bench_must(fc_get(cache, fc_str("x"), 0, &frame, &error), &error, "get");
    double ns = bench_now_ns() - start;
    fc_frame_release(frame);
    bench_must_sys(counter(cache, true) == before + 1, "the promotion");
    return ns;
}

static uint64_t plain_bytes(const cold_file *f) {
    char *room = malloc(LZ4_COMPRESSBOUND(BLOCK));
    uint64_t sum = 0;
    for (uint64_t i = 0; i < f->count; i++)
        sum += (uint64_t)LZ4_compress_default(f->plain + f->at[i], room,
                                              (int)f->blocks[i].raw_bytes,
                                              LZ4_COMPRESSBOUND(BLOCK));
    free(room);
    return sum;
}

enum { PROMOTED, DECODED, DEMOTED, CODED, TO_FILES, CODED_PLAIN, SPEEDS };

static void time_both_ways(fc_cache *cache, cold_file *file, const char *dir, rounds *r) {
    double speeds[SPEEDS], ns, bytes = (double)file->raw_bytes;
    for (bool warm = false; !warm || rounds_more(r);) {
        speeds[PROMOTED] = bytes / promote(cache);
        speeds[DECODED] = two_threads(file, decode_block);
        bench_must_sys(demote(cache, &ns), "the demotion");
        speeds[DEMOTED] = bytes / ns;
        speeds[CODED] = two_threads(file, code_block);
        speeds[TO_FILES] = to_new_files(file, dir);
        speeds[CODED_PLAIN] = two_threads(file, code_plain);
        if (warm)
            rounds_add(r, speeds, SPEEDS);
        warm = true;
    }
}

static void figure(const char *name, const char *what, rounds *r, int ours, int theirs,
                   const char *against) {
    char text[96];
    snprintf(text, sizeof text, "codec/%s/%s", name, what);
    bench_figure(text, "GB/s", rounds_median(r, (size_t)ours),
                 rounds_median(r, (size_t)theirs), against);
}

/* A cache in which the frame alone is above the high watermark, and compressed below the
 * low one, with room for both. */
static fc_cache *open_around(const char *path, fc_frame *frame) {
    fc_options options = {.size = sizeof options, .dir = path, .budget = "2GiB", .cold = "on",
                          .capacity = "1024", .watermarks = "55:54", .janitor = "off",
                          .threads = "2"};
    fc_stats stats = {.size = sizeof stats};
    struct ArrowSchema schema;
    struct ArrowArray array;
    fc_cache *cache;
    char budget[32];
    fc_error error;

    bench_must(fc_cache_open(&cache, &options, &error), &error, path);
    bench_must(fc_frame_export_schema(frame, &schema, &error), &error, "the schema");
    bench_must(fc_frame_export_array(frame, NULL, &array, &error), &error, "the array");
    bench_must(fc_put(cache, fc_str("x"), &schema, &array, NULL, NULL, &error), &error, "put");
    schema.release(&schema);
    array.release(&array);
    bench_must(fc_cache_stats(cache, &stats, &error), &error, "stats");
    snprintf(budget, sizeof budget, "%llu",
             (unsigned long long)((double)stats.used_bytes * 1.8));
    bench_must(fc_cache_set_budget(cache, budget, &error), &error, "the budget");
    return cache;
}

static void contest(const char *dir, const char *name, fc_frame *frame, bool whole) {
    rounds r = {.wanted = whole ? 7 : 3, .most = whole ? 14 : 6};
    char *path = bench_path(dir, name), text[96];
    fc_cache *cache = open_around(path, frame);
    cold_file file = {0};
    fc_error error;
    double ns;

    snprintf(text, sizeof text, "codec/%s", name);
    if (!demote(cache, &ns))
        bench_figure(text, "times smaller", 1, 1, "dropped: not worth compressing");
    else {
        read_cold(&file, path);
        two_threads(&file, decode_block);
        unshuffle_all(&file);
        bench_figure(text, "times smaller", (double)file.raw_bytes / (double)file.stored_bytes,
                     (double)file.raw_bytes / (double)plain_bytes(&file),
                     "LZ4, not shuffled");
        time_both_ways(cache, &file, dir, &r);
        rounds_report(&r, text);
        figure(name, "demote", &r, DEMOTED, CODED_PLAIN, "LZ4_compress_default, two threads");
        figure(name, "promote", &r, PROMOTED, TO_FILES,
               "LZ4_decompress_safe, two threads, to new files");
        if (whole) {
            figure(name, "demote/shuffled", &r, DEMOTED, CODED, "the same of shuffled bytes");
            figure(name, "promote/warm", &r, PROMOTED, DECODED,
                   "the same to memory that is there");
        }
    }
    free_cold(&file);
    bench_must(fc_cache_clear(cache, NULL, &error), &error, "clear");
    bench_must(fc_cache_tick(cache, FC_TICK_FULL, NULL, &error), &error, "tick");
    fc_cache_close(cache);
    free(path);
}

int main(int argc, char **argv) {
    fc_info info = {.size = sizeof info};
    fc_frame *flights, *column;
    fc_error error;

    if (argc != 2)
        return fprintf(stderr, "usage: codec DIR\n"), 2;
    char *path = bench_path(argv[1], "table");
    fc_cache *table = bench_open(path, "2GiB", NULL);
    bench_must(fc_get(table, fc_str("flights"), 0, &flights, &error), &error, "flights");
    bench_must(fc_frame_info(flights, &info, &error), &error, "its columns");
    contest(argv[1], "all", flights, true);
    for (int64_t i = 0; i < info.columns; i++) {
        const fc_column *c;
        bench_must(fc_frame_select(flights, &i, 1, &column, &error), &error, "a column");
        bench_must(fc_frame_column_at(column, 0, &c, &error), &error, "a column");
        contest(argv[1], c->name, column, false);
        fc_frame_release(column);
    }
    fc_frame_release(flights);
    fc_cache_close(table);
    free(path);
    return 0;
}
