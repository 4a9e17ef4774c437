/* A column of very many doubles, built in place by two threads; four processes sum it.
 *
 *     rows DIR ROWS */
#include "bench.h"
#include "readers.h"
#include <pthread.h>
#include <stdlib.h>

enum { READERS = 4, PERIOD = 1024 };

typedef struct part {
    double *values;
    int64_t first, last;
} part;

/* Whole numbers below 1,024: their sum is exact in any order, to 2^53. */
static void *fill(void *argument) {
    const part *p = argument;
    for (int64_t row = p->first; row < p->last; row++)
        p->values[row] = (double)(row % PERIOD);
    return NULL;
}

static double expected_sum(int64_t rows) {
    double whole = (double)(rows / PERIOD), rest = (double)(rows % PERIOD);
    return whole * (PERIOD - 1.0) * PERIOD / 2 + rest * (rest - 1) / 2;
}

static void build(const char *dir, const char *budget, int64_t rows) {
    const fc_field field = {"x", "g"};
    fc_cache *cache = bench_open(dir, budget, "0");
    struct ArrowSchema schema;
    fc_build *build;
    fc_error error;
    pthread_t helper;

    bench_must(fc_schema_init(&schema, &field, 1, &error), &error, "schema");
    bench_must(fc_build_begin(cache, fc_str("x"), &schema, rows, NULL, &build, &error),
               &error, "build");
    double *values = fc_build_column(build, 0)->values;
    part halves[] = {{values, 0, rows / 2}, {values, rows / 2, rows}};
    bench_must_sys(!pthread_create(&helper, NULL, fill, &halves[0]), "a thread");
    fill(&halves[1]);
    pthread_join(helper, NULL);
    bench_must(fc_build_commit(build, rows, NULL, &error), &error, "commit");
    schema.release(&schema);
    fc_cache_close(cache);
}

int main(int argc, char **argv) {
    int64_t rows = argc == 3 ? atoll(argv[2]) : 0;
    char figure[64], budget[32];

    if (argc > 1 && !strcmp(argv[1], "reader"))
        return readers_main(argc, argv);
    if (rows < 1)
        return fprintf(stderr, "usage: rows DIR ROWS\n"), 2;
    char *dir = bench_path(argv[1], "cache");
    snprintf(budget, sizeof budget, "%lld", (long long)rows * 10 + (64 << 20));
    double start = bench_now_ns();
    build(dir, budget, rows);
    double built = (bench_now_ns() - start) / 1e9;
    const readers_task task = {.dir = dir,
                               .key = "x",
                               .count = READERS,
                               .at_once = true,
                               .sum = expected_sum(rows)};
    readers_result found = readers_run(&task);
    snprintf(figure, sizeof figure, "rows_%lld/private", (long long)rows);
    bench_figure(figure, "bytes", found.private_bytes, (double)rows * 8, "the column");
    snprintf(figure, sizeof figure, "rows_%lld/build", (long long)rows);
    bench_figure(figure, "GB/s", (double)rows * 8 / 1e9 / built, 0, "");
    snprintf(figure, sizeof figure, "rows_%lld/sum_by_4", (long long)rows);
    bench_figure(figure, "GB/s", READERS * (double)rows * 8 / 1e9 / found.seconds, 0, "");
    free(dir);
    return 0;
}
