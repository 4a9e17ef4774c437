/* Arrow arrays made by hand: every buffer is an allocation of just its length, so that a
 * sanitizer sees a byte too far; every part may be bent before use. */
#ifndef SUPPORT_ARRAY_H
#define SUPPORT_ARRAY_H

#include "frames/frames.h"

typedef struct array_buffer {
    const void *data; /* NULL: no buffer */
    size_t bytes;
} array_buffer;

/* A buffer of these values: BUFFER(int32_t, 0, 2, 5). */
#define BUFFER(type, ...)                                                                \
    ((array_buffer){(const type[]){__VA_ARGS__}, sizeof(const type[]){__VA_ARGS__}})
#define TEXT(text) ((array_buffer){text, sizeof(text) - 1})
#define NO_BUFFER  ((array_buffer){NULL, 0})

/* `rows` rows, not counted nulls, offset 0; the buffers are copied. ARRAY(3, NO_BUFFER,
 * BUFFER(int8_t, 1, 2, 3)). */
struct ArrowArray *array_new(int64_t rows, size_t count, const array_buffer *buffers);
#define ARRAY(rows, ...)                                                                 \
    array_new(rows, sizeof((array_buffer[]){__VA_ARGS__}) / sizeof(array_buffer),        \
              (array_buffer[]){__VA_ARGS__})
#define ARRAY_BARE(rows) array_new(rows, 0, NULL)

/* Adds children, or the dictionary; returns `array`. */
struct ArrowArray *array_with(struct ArrowArray *array, int children, ...);
struct ArrowArray *array_coded(struct ArrowArray *array, struct ArrowArray *dictionary);

/* Rows [offset, offset + rows) of it, by its own offset and length. */
struct ArrowArray *array_slice(struct ArrowArray *array, int64_t offset, int64_t rows);

/* Through release(), children too, if it was not released. */
void array_free(struct ArrowArray *array);

/* How many arrays are not yet released. */
extern long arrays_alive;

/* A stream of these chunks, which it owns; `fail_at`: the n-th get_next fails with EIO
 * and "the disk is on fire". The schema is borrowed. */
void stream_of(struct ArrowArrayStream *out, struct ArrowSchema *schema, int count,
               struct ArrowArray **chunks, int fail_at);

#endif
