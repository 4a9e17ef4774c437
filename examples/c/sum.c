/* Puts two columns under a key, gets them back as any other process would, and sums
 * one. */
#include <framecache/framecache.h>
#include <stdio.h>

static int put_flights(fc_cache *cache, fc_error *error) {
    const fc_field fields[] = {{"delay", "g"}, {"carrier", "u"}};
    const double delay[] = {4.5, -2, 11};
    const char *carrier[] = {"UA", "AA", "B6"};
    const fc_put_options options = {.size = sizeof options, .ttl_ms = 3600 * 1000};
    struct ArrowSchema schema;
    fc_build *build;

    int status = fc_schema_init(&schema, fields, 2, error);
    if (status)
        return status;
    status =
        fc_build_begin(cache, fc_str("flights"), &schema, 3, &options, &build, error);
    schema.release(&schema);
    if (status)
        return status;
    memcpy(fc_build_column(build, 0)->values, delay, sizeof delay);
    for (int row = 0; row < 3 && !status; row++)
        status = fc_build_append(build, fc_build_column(build, 1), fc_str(carrier[row]),
                                 error);
    if (!status)
        return fc_build_commit(build, 3, NULL, error);
    fc_build_abort(build);
    return status;
}

static int sum_column(fc_cache *cache, const char *name, double *sum, fc_error *error) {
    fc_frame *frame;
    const fc_column *column;

    *sum = 0;
    int status = fc_get(cache, fc_str("flights"), 0, &frame, error);
    if (status)
        return status;
    status = fc_frame_column(frame, name, FC_TYPE_FLOAT64, &column, error);
    if (!status) {
        const double *values = column->values;
        for (int64_t row = 0; row < column->rows; row++)
            *sum += fc_is_valid(column, row) ? values[row] : 0;
    }
    fc_frame_release(frame);
    return status;
}

int main(void) {
    fc_cache *cache = NULL;
    fc_error error;
    double sum;

    int status = fc_cache_open(&cache, NULL, &error);
    if (!status)
        status = put_flights(cache, &error);
    if (!status)
        status = sum_column(cache, "delay", &sum, &error);
    if (status)
        fprintf(stderr, "%s: %s\n", fc_error_name(status), error.message);
    else
        printf("total delay: %g\n", sum);
    fc_cache_close(cache);
    return status != 0;
}
