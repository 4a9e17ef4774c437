/* Everything that a reader may do with a frame, damaged or not. Nothing here may crash;
 * and a frame that fc__frame_verify() passes may be read to its last value. */
#ifndef FC_FUZZ_EXERCISE_H
#define FC_FUZZ_EXERCISE_H

#include <stdlib.h>
#include <string.h>

#include "support_frame.h"

/* ---- Reading every value of what was verified ---- */

static uint64_t sum_bytes(const void *data, int64_t bytes) {
    uint64_t sum = 0;

    for (int64_t i = 0; i < bytes; i++)
        sum = sum * 31 + ((const uint8_t *)data)[i];
    return sum;
}

static uint64_t sum_row(const fc_column *column, int64_t row) {
    switch (column->type) {
    case FC_TYPE_STRING:
    case FC_TYPE_BINARY: {
        fc_bytes bytes = fc_bytes_at(column, row);
        return sum_bytes(bytes.data, (int64_t)bytes.size);
    }
    case FC_TYPE_BOOL:
        return fc_bool_at(column, row);
    case FC_TYPE_DENSE_UNION:
    case FC_TYPE_SPARSE_UNION:
        return (uint64_t)column->type_ids[row];
    default:
        return column->values
                   ? sum_bytes((const char *)column->values + row * column->width,
                               column->width)
                   : 0;
    }
}

static uint64_t sum_column(const fc_column *column) {
    uint64_t sum = sum_bytes(column->name, (int64_t)strlen(column->name)) +
                   sum_bytes(column->format, (int64_t)strlen(column->format));

    for (int64_t row = 0; row < column->rows; row++)
        sum += fc_is_valid(column, row) ? sum_row(column, row) : 1;
    for (int64_t i = 0; i < column->child_count; i++)
        sum += sum_column(column->children[i]);
    if (column->min)
        sum +=
            sum_bytes(column->min, column->width) + sum_bytes(column->max, column->width);
    return sum + (column->dictionary ? sum_column(column->dictionary) : 0);
}

static uint64_t sum_frame(const fc_frame *frame) {
    const fc_column *column;
    uint64_t sum = 0;

    for (int64_t i = 0; i < fc__frame_columns(frame); i++)
        if (!fc_frame_column_at(frame, i, &column, NULL))
            sum += sum_column(column);
    return sum;
}

/* ---- Touching what may be damaged ---- */

static int64_t touch_columns(const fc_frame *frame) {
    int64_t columns = fc__frame_columns(frame), rows = 0;
    const fc_column *column;
    fc_error error;

    for (int64_t i = 0; i < columns && i < 100; i++)
        if (!fc_frame_column_at(frame, i, &column, &error))
            rows += column->rows + column->nulls + column->child_count;
    for (int64_t i = 0; i < columns && i < 20; i += 3)
        if (!fc_frame_column_at(frame, i, &column, &error) &&
            !fc_frame_column(frame, column->name, column->type, &column, &error))
            rows++;
    return rows;
}

static void touch_slices(fc_frame *frame) {
    int64_t rows = fc__frame_rows(frame);
    int64_t firsts[] = {0, 1, 9, rows / 2, rows - 1, rows, INT64_MAX};
    fc_frame *part;

    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        if (fc_frame_slice(frame, firsts[i], i % 2 ? 7 : INT64_MAX, &part, NULL))
            continue;
        touch_columns(part);
        if (i == 1) { /* all columns at once */
            uint8_t digest[16];
            fc_frame_hash(part, digest, NULL);
        }
        fc_frame_release(part);
    }
}

/* What a put, or a hash, of an export follows. */
static void take_in(const struct ArrowSchema *schema, const struct ArrowArray *array) {
    uint8_t digest[16];
    fc__plan *plan;

    fc_hash(schema, array, digest, NULL);
    if (fc__plan_arrow(&plan, schema, &array, 1, 0, NULL))
        return;
    memory_frame *copy = memory_new();
    memory_write(copy, plan);
    fc__plan_free(plan);
    memory_release(copy);
}

static void touch_stream(fc_frame *frame, const struct ArrowSchema *requested,
                         int64_t batch_rows) {
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray array;
    fc_error error;

    if (fc_frame_export_stream(frame, requested, batch_rows, &stream, &error))
        return;
    if (stream.get_schema(&stream, &schema))
        abort();
    for (int batch = 0; batch < 5 && !stream.get_next(&stream, &array) && array.release;
         batch++) {
        take_in(&schema, &array);
        array.release(&array);
    }
    schema.release(&schema);
    stream.release(&stream);
}

/* The exported schema with its strings, binaries and lists in other forms. */
static void change_stored(struct ArrowSchema *schema, bool views) {
    if (!strcmp(schema->format, "U"))
        schema->format = views ? "vu" : "u";
    if (!strcmp(schema->format, "Z"))
        schema->format = views ? "vz" : "z";
    if (!strcmp(schema->format, "+L"))
        schema->format = views ? "+vl" : "+l";
    for (int64_t i = 0; i < schema->n_children; i++)
        change_stored(schema->children[i], views);
    if (schema->dictionary)
        change_stored(schema->dictionary, views);
}

static void touch_one(fc_frame *frame, int64_t index) {
    struct ArrowSchema schema;
    fc_frame *one, *part;

    if (fc_frame_select(frame, &index, 1, &one, NULL))
        return;
    touch_stream(one, NULL, 0);
    touch_stream(one, NULL, 10);
    for (int views = 0; views < 2; views++) {
        if (fc_frame_export_schema(one, &schema, NULL))
            continue;
        change_stored(&schema, views);
        touch_stream(one, &schema, 10);
        if (!fc_frame_slice(one, fc__frame_rows(one) / 2, 5, &part, NULL)) {
            uint8_t digest[16];
            touch_stream(part, NULL, 0);
            touch_stream(part, &schema, 0);
            fc_frame_hash(part, digest, NULL);
            fc_frame_release(part);
        }
        schema.release(&schema);
    }
    fc_frame_release(one);
}

/* `only`: -1, or the one column to go into. */
static int exercise_frame(fc_frame *frame, int64_t only) {
    int64_t columns = fc__frame_columns(frame);

    touch_columns(frame);
    touch_slices(frame);
    for (int64_t i = 0; i < columns && i < 40; i++)
        if (only < 0 || i == only)
            touch_one(frame, i);
    int status = fc__frame_verify(frame, NULL);
    if (!status)
        sum_frame(frame);
    return status;
}

/* Opens a frame over copies of these bytes; the copies end where they end. */
static memory_frame *memory_of(const void *body, uint64_t body_bytes, const void *segment,
                               uint64_t segment_bytes) {
    memory_frame *memory = memory_new();

    if (posix_memalign(&memory->body, 8, body_bytes ? body_bytes : 1))
        abort();
    memcpy(memory->body, body, body_bytes);
    memory->body_bytes = body_bytes;
    memory->segment_count = 1;
    memory->segment_bytes[0] = segment_bytes;
    if (posix_memalign(&memory->segments[0], 64, segment_bytes ? segment_bytes : 1))
        abort();
    memcpy(memory->segments[0], segment, segment_bytes);
    return memory;
}

#endif
