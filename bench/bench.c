/* See bench.h. */
#include "bench.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void samples_add(samples *s, double value) {
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->values = realloc(s->values, s->room * sizeof *s->values);
        bench_must_sys(s->values, "room for samples");
    }
    s->values[s->count++] = value;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double samples_percentile(samples *s, double percent) {
    if (!s->count)
        return 0;
    qsort(s->values, s->count, sizeof *s->values, compare);
    return s->values[(size_t)((double)(s->count - 1) * percent / 100)];
}

double samples_median(samples *s) {
    return samples_percentile(s, 50);
}

void samples_free(samples *s) {
    free(s->values);
    *s = (samples){0};
}

/* What all but this process had of the processors: in ticks of 10 ms, so over a round. */
static double others_ns(void) {
    double ticks[8] = {0}, sum = 0, tick_ns = 1e9 / (double)sysconf(_SC_CLK_TCK);
    FILE *file = fopen("/proc/stat", "r");
    struct rusage own;

    bench_must_sys(file && fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0],
                                  &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5],
                                  &ticks[6], &ticks[7]) == 8, "/proc/stat");
    fclose(file);
    bench_must_sys(getrusage(RUSAGE_SELF, &own) == 0, "getrusage");
    for (int i = 0; i < 8; i++)
        sum += i == 3 || i == 4 ? 0 : ticks[i]; /* idle, or waiting for a disk */
    return sum * tick_ns -
           1e9 * (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) -
           1e3 * (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec);
}

#define UNDISTURBED 0.05

bool rounds_more(rounds *r) {
    size_t most = sizeof r->of / sizeof *r->of, fine = 0;

    for (size_t i = 0; i < r->count; i++)
        fine += r->of[i].disturbed <= UNDISTURBED;
    if (fine >= r->wanted || r->count >= r->most || r->count >= most)
        return false;
    r->others_ns = others_ns();
    r->start_ns = bench_now_ns();
    return true;
}

void rounds_add(rounds *r, const double *values, size_t count) {
    double part = (others_ns() - r->others_ns) / (bench_now_ns() - r->start_ns);

    r->of[r->count].disturbed = part > 0 ? part : 0;
    memcpy(r->of[r->count++].values, values, count * sizeof *values);
}

static double limit_of(const rounds *r) {
    double sorted[32];

    for (size_t i = 0; i < r->count; i++)
        sorted[i] = r->of[i].disturbed;
    qsort(sorted, r->count, sizeof *sorted, compare);
    return r->count ? sorted[(r->count < r->wanted ? r->count : r->wanted) - 1] : 0;
}

double rounds_median(rounds *r, size_t value) {
    double limit = limit_of(r), median;
    samples s = {0};

    limit = limit > UNDISTURBED ? limit : UNDISTURBED;
    for (size_t i = 0; i < r->count; i++)
        if (r->of[i].disturbed <= limit)
            samples_add(&s, r->of[i].values[value]);
    median = samples_median(&s);
    samples_free(&s);
    return median;
}

void rounds_report(const rounds *r, const char *name) {
    if (limit_of(r) > UNDISTURBED)
        fprintf(stderr, "%s: others had %.0f%% of a core in the %zu least disturbed of %zu "
                "rounds\n", name, 100 * limit_of(r), r->wanted, r->count);
}

void bench_figure(const char *name, const char *unit, double ours, double theirs,
                  const char *against) {
    printf("{\"figure\": \"%s\", \"unit\": \"%s\", \"framecache\": %.6g, "
           "\"baseline\": %.6g, \"against\": \"%s\"}\n",
           name, unit, ours, theirs, against);
    fflush(stdout);
}

void bench_must(int status, const fc_error *error, const char *what) {
    if (!status)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, fc_error_name(status), error->message);
    exit(1);
}

void bench_must_sys(bool fine, const char *what) {
    if (fine)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

int bench_fork(void) {
    pid_t child = fork();

    bench_must_sys(child >= 0, "fork");
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

fc_cache *bench_open(const char *dir, const char *budget, const char *pool) {
    const fc_options options = {
        .size = sizeof options, .dir = dir, .budget = budget, .pool = pool};
    fc_cache *cache;
    fc_error error;

    bench_must(fc_cache_open(&cache, &options, &error), &error, dir);
    return cache;
}

char *bench_path(const char *dir, const char *name) {
    char *path;
    bench_must_sys(asprintf(&path, "%s/%s", dir, name) > 0, "a path");
    return path;
}

void bench_make_dir(const char *path) {
    bench_must_sys(!mkdir(path, 0700) || errno == EEXIST, path);
}

/* The tables borrow everything: there is nothing to release. */
static void release_nothing(struct ArrowArray *array) {
    array->release = NULL;
}

void table_init(table *t, const double *values, int64_t rows) {
    const fc_field field = {"x", "g"};
    fc_error error;

    *t = (table){.buffers = {NULL, values}, .children = {&t->column}};
    bench_must(fc_schema_init(&t->schema, &field, 1, &error), &error, "a schema");
    t->column = (struct ArrowArray){.length = rows,
                                    .n_buffers = 2,
                                    .buffers = t->buffers,
                                    .release = release_nothing};
    t->array = (struct ArrowArray){.length = rows,
                                   .n_buffers = 1,
                                   .buffers = t->no_buffers,
                                   .n_children = 1,
                                   .children = t->children,
                                   .release = release_nothing};
}

void table_free(table *t) {
    t->schema.release(&t->schema);
}

void bench_put(fc_cache *cache, const char *key, table *t) {
    fc_error error;
    bench_must(fc_put(cache, fc_str(key), &t->schema, &t->array, NULL, NULL, &error),
               &error, "put");
}

double *bench_doubles(int64_t rows) {
    double *values = malloc((size_t)rows * sizeof *values);

    bench_must_sys(values, "memory for a column");
    for (int64_t row = 0; row < rows; row++)
        values[row] = (double)row;
    return values;
}

static const fc_column *column_x(const fc_frame *frame) {
    const fc_column *column;
    fc_error error;

    bench_must(fc_frame_column(frame, "x", FC_TYPE_FLOAT64, &column, &error), &error,
               "column x");
    return column;
}

double bench_first_value(const fc_frame *frame) {
    return *(const double *)column_x(frame)->values;
}

double bench_sum(const fc_frame *frame) {
    const fc_column *column = column_x(frame);
    const double *values = column->values;
    double sums[4] = {0};
    int64_t row = 0;

    for (; row + 4 <= column->rows; row += 4) /* four chains: as fast as memory is */
        for (int i = 0; i < 4; i++)
            sums[i] += values[row + i];
    for (; row < column->rows; row++)
        sums[0] += values[row];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

memory bench_memory(void) {
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    memory found = {0};
    char line[256], name[64];
    double kilobytes;

    bench_must_sys(file, "/proc/self/smaps_rollup");
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%63[^:]: %lf kB", name, &kilobytes) != 2)
            continue;
        if (!strcmp(name, "Private_Clean") || !strcmp(name, "Private_Dirty"))
            found.private_bytes += kilobytes * 1024;
        if (!strcmp(name, "Pss"))
            found.pss_bytes = kilobytes * 1024;
    }
    fclose(file);
    return found;
}
