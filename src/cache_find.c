/* Finding the column that bytes of this process are of. */
#include "engine.h"
#include "frames/frames.h"

typedef struct place {
    const fc__handle *handle;
    uint32_t segment;
    const char *start; /* of the segment, as the caller's bytes lie in it */
} place;

/* The validity of the column as the caller's segment has it; false: it lies elsewhere. */
static bool beside(const place *p, const char *base_start, const fc_column *column,
                   const uint8_t **out) {
    uint64_t offset = (uintptr_t)column->validity - (uintptr_t)base_start;
    *out = NULL;
    if (!column->validity)
        return true;
    if (offset >= fc__handle_lengths(p->handle)[p->segment])
        return false;
    *out = (const uint8_t *)p->start + offset;
    return true;
}

static bool is_here(const fc_column *column, const char *values, uint64_t bytes) {
    return column->values == values && column->width > 0 && !column->dictionary &&
           (uint64_t)column->rows * (uint64_t)column->width == bytes;
}

/* Columns have their segments in their order, so that it is found at once, mostly. */
static const fc_column *column_at(const fc_frame *frame, uint32_t segment,
                                  const char *values, uint64_t bytes) {
    int64_t count = fc__frame_columns(frame);
    const fc_column *column;
    for (int64_t i = 0; i < count; i++) {
        if (fc_frame_column_at(frame, (segment + i) % count, &column, NULL))
            return NULL;
        if (is_here(column, values, bytes))
            return column;
    }
    return NULL;
}

/* The base's column, and the caller's validity. */
static const fc_column *find(const place *p, fc__handle *base, uint64_t offset,
                             uint64_t bytes, const uint8_t **validity) {
    uint64_t length;
    const char *start = fc__handle_segment(base, p->segment, &length, NULL);
    const fc_column *column =
        start ? column_at(base->frame, p->segment, start + offset, bytes) : NULL;
    return column && beside(p, start, column, validity) ? column : NULL;
}

int fc_find_column(fc_cache *cache, const void *values, uint64_t bytes, fc_frame **frame,
                   const fc_column **column, const uint8_t **validity) {
    place p;
    *frame = NULL;
    *column = NULL;
    *validity = NULL;
    fc__handle *handle =
        bytes < FC__SHARED_BYTES ? NULL
                                 : fc__table_find_range(cache, values, bytes, &p.segment);
    if (!handle)
        return FC_E_MISS;
    fc__handle *base = handle->base ? handle->base : handle;
    p.handle = handle;
    p.start = atomic_load(&handle->segments[p.segment]);
    if (base->manifest->flags & FC__MANIFEST_MARKED &&
        (!handle->base ||
         fc__os_is_untouched(p.start, fc__handle_lengths(handle)[p.segment])))
        *column = find(&p, base, (uint64_t)((const char *)values - p.start), bytes, validity);
    if (*column)
        *frame = fc_frame_retain(base->frame);
    fc__handle_release(handle);
    return *column ? 0 : FC_E_MISS;
}
