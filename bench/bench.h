/* What the contests share: time, samples, tables of doubles, memory of a process, and one
 * JSON line a figure. Whatever fails ends the program: a figure is right or absent.
 *
 * A contest measures the library and its baseline in one process, in turns, on memory
 * that was touched before, and reports medians: hosts differ by half, ratios do not. */
#ifndef FC_BENCH_H
#define FC_BENCH_H

#include <framecache/framecache.h>
#include <stdio.h>

/* ---- Time and samples ---- */

double bench_now_ns(void);

typedef struct samples {
    double *values;
    size_t count, room;
} samples;

void samples_add(samples *s, double value);
double samples_percentile(samples *s, double percent); /* sorts; 0 if there are none */
double samples_median(samples *s);
void samples_free(samples *s);

/* ---- Rounds that others may disturb ---- */

/* A contest that needs both cores goes on until it has as many rounds as it wants in which
 * other processes (and other guests of the host) had hardly any of the processors' time, or
 * until it has had its most. Then the least disturbed count. */
typedef struct rounds {
    size_t wanted, most; /* set by the contest */
    size_t count;
    double others_ns, start_ns; /* when the round began */
    struct {
        double disturbed; /* what others had, of one core */
        double values[8];
    } of[32];
} rounds;

bool rounds_more(rounds *r); /* and begins the next one */
void rounds_add(rounds *r, const double *values, size_t count);
double rounds_median(rounds *r, size_t value);
void rounds_report(const rounds *r, const char *name); /* to stderr, if they were disturbed */

/* ---- Figures ---- */

/* Prints {"figure": name, "unit": unit, "framecache": ours, "baseline": theirs,
 * "against": what the baseline is}. */
void bench_figure(const char *name, const char *unit, double ours, double theirs,
                  const char *against);

/* ---- Failures ---- */

/* Ends the program, saying what was tried, if `status` is not 0. */
void bench_must(int status, const fc_error *error, const char *what);
void bench_must_sys(bool fine, const char *what); /* with errno */

/* fork(); the child goes when this process does, however that ends. */
int bench_fork(void);

/* ---- Caches and tables ---- */

fc_cache *bench_open(const char *dir, const char *budget, const char *pool);
char *bench_path(const char *dir, const char *name); /* malloc'd "dir/name" */
void bench_make_dir(const char *path);

typedef struct table { /* one column "x" of doubles, borrowed */
    struct ArrowSchema schema;
    struct ArrowArray array, column, *children[1];
    const void *buffers[2], *no_buffers[1];
} table;

void table_init(table *t, const double *values, int64_t rows);
void table_free(table *t);
void bench_put(fc_cache *cache, const char *key, table *t);
double *bench_doubles(int64_t rows); /* touched: value i is i */

/* Reads the first value of column "x": proof that the frame is there. */
double bench_first_value(const fc_frame *frame);
double bench_sum(const fc_frame *frame);

/* ---- Memory of this process ---- */

typedef struct memory {
    double private_bytes, pss_bytes; /* of /proc/self/smaps_rollup */
} memory;

memory bench_memory(void);

#endif
