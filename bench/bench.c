/* See bench.h. */
#include "bench.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
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
