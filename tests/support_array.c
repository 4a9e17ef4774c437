#include "support_array.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

long arrays_alive;

static void release_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i] && array->children[i]->release)
            array->children[i]->release(array->children[i]);
        free(array->children[i]);
    }
    if (array->dictionary && array->dictionary->release)
        array->dictionary->release(array->dictionary);
    free(array->dictionary);
    for (int64_t i = 0; i < array->n_buffers; i++)
        free((void *)array->buffers[i]);
    free(array->buffers);
    free(array->children);
    array->release = NULL;
    arrays_alive--;
}

struct ArrowArray *array_new(int64_t rows, size_t count, const array_buffer *buffers) {
    struct ArrowArray *array = calloc(1, sizeof *array);

    array->length = rows;
    array->null_count = -1;
    array->n_buffers = (int64_t)count;
    array->buffers = calloc(count + 1, sizeof *array->buffers);
    for (size_t i = 0; i < count; i++) {
        if (!buffers[i].data)
            continue;
        void *copy = malloc(buffers[i].bytes);
        memcpy(copy, buffers[i].data, buffers[i].bytes);
        array->buffers[i] = copy;
    }
    array->release = release_array;
    arrays_alive++;
    return array;
}

struct ArrowArray *array_with(struct ArrowArray *array, int children, ...) {
    va_list arguments;

    array->n_children = children;
    array->children = calloc((size_t)children + 1, sizeof(struct ArrowArray *));
    va_start(arguments, children);
    for (int i = 0; i < children; i++)
        array->children[i] = va_arg(arguments, struct ArrowArray *);
    va_end(arguments);
    return array;
}

struct ArrowArray *array_coded(struct ArrowArray *array, struct ArrowArray *dictionary) {
    array->dictionary = dictionary;
    return array;
}

struct ArrowArray *array_slice(struct ArrowArray *array, int64_t offset, int64_t rows) {
    array->offset += offset;
    array->length = rows;
    return array;
}

void array_free(struct ArrowArray *array) {
    if (array && array->release)
        array->release(array);
    free(array);
}

/* ---- Streams ---- */

typedef struct chunks {
    struct ArrowSchema *schema;
    struct ArrowArray **of;
    int count, at, calls, fail_at;
} chunks;

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    *out = *((chunks *)stream->private_data)->schema;
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    chunks *from = stream->private_data;

    if (++from->calls == from->fail_at)
        return EIO;
    memset(out, 0, sizeof *out);
    if (from->at == from->count)
        return 0;
    struct ArrowArray *chunk = from->of[from->at++];
    *out = *chunk;
    free(chunk);
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return "the disk is on fire";
}

static void release_stream(struct ArrowArrayStream *stream) {
    chunks *from = stream->private_data;

    for (; from->at < from->count; from->at++)
        array_free(from->of[from->at]);
    free(from->of);
    free(from);
    stream->release = NULL;
}

void stream_of(struct ArrowArrayStream *out, struct ArrowSchema *schema, int count,
               struct ArrowArray **of, int fail_at) {
    chunks *from = calloc(1, sizeof *from);

    from->schema = schema;
    from->of = calloc((size_t)count + 1, sizeof *from->of);
    for (int i = 0; i < count; i++)
        from->of[i] = of[i];
    from->count = count;
    from->fail_at = fail_at;
    *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release_stream,
                                     from};
}
