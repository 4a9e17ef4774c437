/* Fills a frame in place with two threads: the bytes are never copied.
 *
 *     build [ROWS]        10^8 unless told otherwise: 800 MB */
#include <framecache/framecache.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct part {
    double *values;
    int64_t first, last;
} part;

static void *fill(void *argument) {
    const part *p = argument;
    for (int64_t row = p->first; row < p->last; row++)
        p->values[row] = (double)row * 0.5;
    return NULL;
}

/* The calling thread fills one half, a helper the other. */
static void fill_halves(double *values, int64_t rows) {
    part halves[] = {{values, 0, rows / 2}, {values, rows / 2, rows}};
    pthread_t helper;

    bool helped = !pthread_create(&helper, NULL, fill, &halves[0]);
    fill(&halves[1]);
    if (helped)
        pthread_join(helper, NULL);
    else
        fill(&halves[0]);
}

static int build_frame(fc_cache *cache, int64_t rows, fc_frame **frame, fc_error *error) {
    const fc_field fields[] = {{"x", "g"}};
    struct ArrowSchema schema;
    fc_build *build;

    *frame = NULL;
    int status = fc_schema_init(&schema, fields, 1, error);
    if (status)
        return status;
    status = fc_build_begin(cache, fc_str("x"), &schema, rows, NULL, &build, error);
    schema.release(&schema);
    if (status)
        return status;
    fill_halves(fc_build_column(build, 0)->values, rows);
    return fc_build_commit(build, rows, frame, error);
}

static int fail(const fc_error *error) {
    fprintf(stderr, "%s: %s\n", fc_error_name(error->code), error->message);
    if (error->code == FC_E_BUDGET)
        fprintf(stderr, "readers hold %" PRIu64 " of %" PRIu64 " bytes\n",
                error->leased_bytes, error->budget_bytes);
    return 1;
}

int main(int argc, char **argv) {
    int64_t rows = argc > 1 ? strtoll(argv[1], NULL, 10) : 100 * 1000 * 1000;
    fc_info info = {.size = sizeof info};
    fc_cache *cache;
    fc_frame *frame;
    fc_error error;

    if (rows < 1)
        return fprintf(stderr, "usage: build [ROWS]\n"), 2;
    if (fc_cache_open(&cache, NULL, &error))
        return fail(&error);
    int status = build_frame(cache, rows, &frame, &error);
    if (!status) {
        fc_frame_info(frame, &info, NULL);
        printf("%" PRId64 " rows, %" PRIu64 " bytes\n", info.rows, info.bytes);
        fc_frame_release(frame);
    }
    fc_cache_close(cache);
    return status ? fail(&error) : 0;
}
