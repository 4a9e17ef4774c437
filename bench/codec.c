/* A table like the flights out of New York in 2013, ten times: how small the cold tier makes
 * each column, and how fast it does.
 *
 *     codec DIR
 *
 * Ratios per column stand against LZ4 without shuffling. Demotion, from a mapped frame to a
 * published file with the frame's memory given back, stands against two threads of
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

enum { ROWS = 3367760, ROUNDS = 7, COLUMNS = 14, BLOCK = 256 << 10 };

static const fc_field fields[COLUMNS] = {
    {"month", "i"},     {"day", "i"},     {"dep_time", "g"}, {"sched_dep_time", "i"},
    {"dep_delay", "g"}, {"arr_delay", "g"}, {"carrier", "s"},  {"flight", "i"},
    {"tailnum", "U"},   {"origin", "c"},  {"air_time", "g"}, {"distance", "g"},
    {"hour", "g"},      {"time_hour", "tsn:"}};

/* ---- The table: sorted by time, delays skewed, routes few ---- */

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * limit >> 32);
}

static double skewed_delay(void) {
    int base = (int)random_below(12) - 9;
    for (int i = 0; i < 4 && random_below(4) == 0; i++)
        base += (int)random_below(40 << i);
    return base;
}

static void put_row(fc_build *build, int64_t row) {
    static const double distances[] = {1400, 1416, 1089, 1576, 762, 719, 1065, 229,
                                       944,  733,  1028, 2475, 2586, 187, 944,  2227};
    int64_t minute = row * 525600 / ROWS;
    int scheduled = 300 + (int)(minute % 1140), route = (int)random_below(16);
    double delay = skewed_delay(), air = (double)(int)(distances[route] / 7.9) +
                                         (double)random_below(21) - 10;
    int departure = scheduled + (int)delay;
    char tail[8];
#define COLUMN(i, type) ((type *)fc_build_column(build, i)->values)[row]
    COLUMN(0, int32_t) = (int32_t)(1 + minute / 43800);
    COLUMN(1, int32_t) = (int32_t)(1 + minute / 1440 % 30);
    COLUMN(2, double) = departure / 60 % 24 * 100 + departure % 60;
    COLUMN(3, int32_t) = scheduled / 60 % 24 * 100 + scheduled % 60;
    COLUMN(4, double) = delay;
    COLUMN(5, double) = delay + (double)random_below(30) - 20;
    COLUMN(6, int16_t) = (int16_t)(random_below(3) ? route % 5 : (int)random_below(16));
    COLUMN(7, int32_t) = (int32_t)(1 + route * 137 + (int)random_below(40) * 11);
    COLUMN(9, int8_t) = (int8_t)random_below(3);
    COLUMN(10, double) = air;
    COLUMN(11, double) = distances[route];
    COLUMN(12, double) = scheduled / 60 % 24;
    COLUMN(13, int64_t) = (1356998400 + minute / 60 * 3600) * 1000000000ll;
#undef COLUMN
    int length = snprintf(tail, sizeof tail, "N%u%c%c", 100 + random_below(900),
                          'A' + (int)random_below(6), 'A' + (int)random_below(8));
    fc_error error;
    bench_must(fc_build_append(build, fc_build_column(build, 8),
                               (fc_bytes){tail, (size_t)length}, &error), &error, "append");
}

static void put_flights(fc_cache *cache) {
    struct ArrowSchema schema;
    fc_build *build;
    fc_error error;

    bench_must(fc_schema_init(&schema, fields, COLUMNS, &error), &error, "a schema");
    bench_must(fc_build_begin(cache, fc_str("flights"), &schema, ROWS, NULL, &build, &error),
               &error, "a build");
    schema.release(&schema);
    for (int64_t row = 0; row < ROWS; row++)
        put_row(build, row);
    bench_must(fc_build_commit(build, ROWS, NULL, &error), &error, "the commit");
}

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
    int fds[64];    /* of new files, one a segment */
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
    for (uint64_t i = 0, at = 0; i < f->count; at += f->blocks[i++].raw_bytes)
        f->at[i] = at;
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
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "new.%d", i);
        char *path = bench_path(dir, name);
        f->fds[i] = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
        bench_must_sys(f->fds[i] >= 0 && unlink(path) == 0, path);
        free(path);
    }
    double speed = two_threads(f, decode_to_file);
    for (int i = 0; i < 64; i++)
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

static double demote(fc_cache *cache, uint64_t bytes) {
    uint64_t before = counter(cache, false);
    fc_error error;
    double start = bench_now_ns();
    bench_must(fc_cache_tick(cache, 0, NULL, &error), &error, "a tick");
    double speed = (double)bytes / (bench_now_ns() - start);
    bench_must_sys(counter(cache, false) == before + 1, "the demotion");
    return speed;
}

static double promote(fc_cache *cache, uint64_t bytes) {
    uint64_t before = counter(cache, true);
    fc_frame *frame;
    fc_error error;
    double start = bench_now_ns();
    bench_must(fc_get(cache, fc_str("flights"), 0, &frame, &error), &error, "get");
    double speed = (double)bytes / (bench_now_ns() - start);
    fc_frame_release(frame);
    bench_must_sys(counter(cache, true) == before + 1, "the promotion");
    return speed;
}

/* What LZ4 makes of a column's own bytes. */
static uint64_t plain_bytes(const fc_frame *frame, int64_t index, uint64_t *raw) {
    const fc_column *column;
    fc_error error;
    char *room = malloc(LZ4_COMPRESSBOUND(BLOCK));
    uint64_t sum = 0;
    bench_must(fc_frame_column_at(frame, index, &column, &error), &error, "a column");
    const struct { const void *data; uint64_t bytes; } buffers[2] = {
        {column->offsets, column->offsets ? 8 * ((uint64_t)column->rows + 1) : 0},
        {column->values, column->offsets ? (uint64_t)column->offsets[column->rows]
                                         : (uint64_t)column->width * (uint64_t)column->rows}};
    *raw = 0;
    for (int b = 0; b < 2; b++)
        for (uint64_t at = 0; at < buffers[b].bytes; at += BLOCK) {
            uint64_t rest = buffers[b].bytes - at, bytes = rest < BLOCK ? rest : BLOCK;
            sum += (uint64_t)LZ4_compress_default((const char *)buffers[b].data + at, room,
                                                  (int)bytes, LZ4_COMPRESSBOUND(BLOCK));
            *raw += bytes;
        }
    free(room);
    return sum;
}

/* A build has one segment a buffer of 1 MiB or more, from 1 on, in the order of columns; the
 * bytes of strings come last, when they outgrow memory. */
static void report_columns(const cold_file *f, const fc_frame *frame) {
    uint32_t segment = 1;
    for (int i = 0; i < COLUMNS; i++) {
        uint64_t stored = 0, raw = 0, plain_raw;
        char name[64];
        bool text = fields[i].format[0] == 'U';
        for (uint64_t b = 0; b < f->count; b++)
            if (f->blocks[b].segment == segment ||
                (text && f->blocks[b].segment == COLUMNS + 1)) {
                stored += f->blocks[b].stored_bytes;
                raw += f->blocks[b].raw_bytes;
            }
        uint64_t plain = plain_bytes(frame, i, &plain_raw);
        segment++;
        snprintf(name, sizeof name, "codec/%s", fields[i].name);
        bench_figure(name, "times smaller", (double)raw / (double)stored,
                     (double)plain_raw / (double)plain, "LZ4, not shuffled");
    }
}

int main(int argc, char **argv) {
    if (argc != 2)
        return fprintf(stderr, "usage: codec DIR\n"), 2;
    char *dir = bench_path(argv[1], "cache");
    fc_options options = {.size = sizeof options, .dir = dir, .budget = "450MiB", .cold = "on",
                          .watermarks = "50:40", .janitor = "off", .threads = "2"};
    samples ours[2] = {0}, theirs[4] = {0};
    cold_file file = {0};
    fc_cache *cache;
    fc_frame *frame;
    fc_error error;

    bench_must(fc_cache_open(&cache, &options, &error), &error, dir);
    put_flights(cache);
    demote(cache, 1);
    read_cold(&file, dir);
    two_threads(&file, decode_block);
    unshuffle_all(&file);
    for (int round = -1; round < ROUNDS; round++) {
        double figures[6] = {promote(cache, file.raw_bytes),
                             two_threads(&file, decode_block),
                             demote(cache, file.raw_bytes), two_threads(&file, code_block),
                             to_new_files(&file, argv[1]), two_threads(&file, code_plain)};
        if (round < 0)
            continue;
        samples_add(&ours[0], figures[0]);
        samples_add(&theirs[0], figures[1]);
        samples_add(&ours[1], figures[2]);
        samples_add(&theirs[1], figures[3]);
        samples_add(&theirs[2], figures[4]);
        samples_add(&theirs[3], figures[5]);
    }
    bench_must(fc_get(cache, fc_str("flights"), 0, &frame, &error), &error, "get");
    report_columns(&file, frame);
    fc_frame_release(frame);
    bench_figure("codec/all", "times smaller",
                 (double)file.raw_bytes / (double)file.stored_bytes, 1, "not compressed");
    bench_figure("codec/demote", "GB/s", samples_median(&ours[1]), samples_median(&theirs[3]),
                 "LZ4_compress_default, two threads");
    bench_figure("codec/demote/shuffled", "GB/s", samples_median(&ours[1]),
                 samples_median(&theirs[1]), "the same of the shuffled bytes");
    bench_figure("codec/promote", "GB/s", samples_median(&ours[0]),
                 samples_median(&theirs[2]), "LZ4_decompress_safe, two threads, to new files");
    bench_figure("codec/promote/warm", "GB/s", samples_median(&ours[0]),
                 samples_median(&theirs[0]), "the same to memory that is there");
    fc_cache_close(cache);
    return 0;
}
