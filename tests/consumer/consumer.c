/* A program of a user's: it has the installed headers and library, and nothing else of
 * this repository. Puts a column, gets it and prints its sum. */
#include <framecache/framecache.h>

#include <stdio.h>

static int fail(const fc_error *error) {
    fprintf(stderr, "%s: %s\n", fc_error_name(error->code), error->message);
    return 1;
}

static int put(fc_cache *cache, int64_t rows, fc_error *error) {
    static const fc_field fields[] = {{"x", "l"}};
    struct ArrowSchema schema;
    fc_build *build;
    int status = fc_schema_init(&schema, fields, 1, error);
    if (status)
        return status;
    status = fc_build_begin(cache, fc_str("numbers"), &schema, rows, NULL, &build, error);
    schema.release(&schema);
    if (status)
        return status;
    int64_t *values = fc_build_column(build, 0)->values;
    for (int64_t row = 0; row < rows; row++)
        values[row] = row;
    return fc_build_commit(build, rows, NULL, error);
}

int main(void) {
    fc_cache *cache;
    fc_frame *frame;
    const fc_column *column;
    fc_error error;
    int64_t sum = 0;
    if (fc_cache_open(&cache, NULL, &error))
        return fail(&error);
    if (put(cache, 1000, &error) ||
        fc_get(cache, fc_str("numbers"), 0, &frame, &error))
        return fail(&error);
    if (fc_frame_column(frame, "x", FC_TYPE_INT64, &column, &error))
        return fail(&error);
    for (int64_t row = 0; row < column->rows; row++)
        sum += ((const int64_t *)column->values)[row];
    printf("%s %lld\n", fc_version(), (long long)sum);
    fc_frame_release(frame);
    fc_cache_close(cache);
    return 0;
}
