/* Which segments of a plan are, byte for byte, one that the producer's buffers lie in
 * already: then it can be linked instead of written. Nothing is hashed or compared but the
 * padding: a buffer that is taken as it is has the bytes that stand there. */
#include "bits.h"
#include "integers.h"
#include "missing.h"
#include "normalise.h"
#include "plan_write.h"

/* The start of the buffer in the producer's memory if the stored bytes are those; else
 * NULL. */
static const char *source_of(const fc__plan *plan, uint32_t buffer) {
    const fc__feed *feed = &plan->feeds[buffer];
    const fc__node *node = &plan->nodes[feed->node];
    const fc__piece *piece = node->pieces;
    bool wide = fc__is_wide(node->field->given);

    if (feed->how == FC__HOW_RAW)
        return feed->data;
    if (node->piece_count != 1 || piece->first)
        return NULL;
    switch (feed->how) {
    case FC__HOW_TYPE_IDS:
        return fc__piece_buffer(piece, 0);
    case FC__HOW_VALUES:
    case FC__HOW_BITS:
        return fc__piece_buffer(piece, 1);
    case FC__HOW_CODES:
        return fc__feed_is_copy(plan, feed) ? fc__piece_buffer(piece, 1) : NULL;
    case FC__HOW_VALIDITY:
        return (const char *)fc__piece_validity(piece);
    case FC__HOW_OFFSETS:
        return (wide || node->field->type == FC_TYPE_MAP) &&
                       !fc__load(fc__piece_buffer(piece, 1), 0, wide)
                   ? fc__piece_buffer(piece, 1)
                   : NULL;
    case FC__HOW_BYTES:
        return !fc__load(fc__piece_buffer(piece, 1), 0, wide) ? fc__piece_buffer(piece, 2)
                                                              : NULL;
    default:
        return NULL;
    }
}

void fc__plan_sources(const fc__plan *plan, const void **out) {
    static const char none;

    for (uint32_t i = 0; i < plan->layout.segment_count; i++)
        out[i] = NULL;
    for (uint32_t i = 0; i < plan->order_count; i++) {
        const fc__body_buffer *buffer = &plan->buffers[plan->order[i]];
        const char *source = source_of(plan, plan->order[i]);
        const void **base = &out[buffer->segment];
        if (!buffer->bytes)
            continue;
        const char *start = source ? (const char *)((uintptr_t)source - buffer->offset)
                                   : &none;
        *base = *base && *base != start ? &none : start;
    }
    for (uint32_t i = 0; i < plan->layout.segment_count; i++)
        if (out[i] == &none)
            out[i] = NULL;
}

static bool all_zero(const char *bytes, uint64_t count) {
    while (count && !*bytes)
        bytes++, count--;
    return !count;
}

/* Bits beyond the last row would be written as zero. */
static bool ends_with_zero_bits(const fc__plan *plan, uint32_t buffer, const char *bytes) {
    const fc__feed *feed = &plan->feeds[buffer];
    int64_t rows = plan->nodes[feed->node].rows;

    return (feed->how != FC__HOW_VALIDITY && feed->how != FC__HOW_BITS) || rows % 8 == 0 ||
           (uint8_t)bytes[rows / 8] >> (rows % 8) == 0;
}

/* What is linked is not copied, so that nobody else would look. */
static bool leaves_out_missing(const fc__plan *plan, uint32_t buffer, const char *bytes) {
    return fc__feed_looks(plan, &plan->feeds[buffer]) &&
           plan->nodes[plan->feeds[buffer].node].missing->any(bytes,
                                                              plan->buffers[buffer].bytes);
}

bool fc__plan_is_segment(const fc__plan *plan, uint32_t segment, const void *base) {
    for (uint32_t i = 0; i < plan->order_count; i++) {
        const fc__body_buffer *buffer = &plan->buffers[plan->order[i]];
        if (buffer->segment != segment)
            continue;
        const char *bytes = (const char *)base + buffer->offset;
        if (!all_zero(bytes + buffer->bytes, plan->extents[i] - buffer->bytes) ||
            (buffer->bytes && !ends_with_zero_bits(plan, plan->order[i], bytes)) ||
            leaves_out_missing(plan, plan->order[i], bytes))
            return false;
    }
    return true;
}
