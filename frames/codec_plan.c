/* Which blocks a frame is cut into, and which of them are shuffled: decided for each large
 * buffer from samples of it, by what LZ4 makes of them. */
#include "codec.h"
#include "frame_internal.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#define OWN_BYTES    (32u << 10) /* a buffer of this size gets blocks of its own */
#define GAP_BYTES    (8u << 10)  /* padding behind it that goes with it */
#define SAMPLE_BYTES (8u << 10)
#define SAMPLE_EACH  (512u << 10)
#define SAMPLES      6u
/* Shuffling takes time on the way back too: this much smaller, or it is left. */
#define WORTH(bytes) ((bytes) - (bytes) / 32)

/* A buffer that has a width, where it is stored. */
typedef struct range {
    uint32_t segment, width;
    uint64_t offset, bytes;
} range;

typedef struct planner {
    fc__codec_plan *plan;
    size_t room;
    range *ranges;
    size_t range_count, range_room;
    char *work; /* for samples: shuffled, coded */
    fc_error *error;
} planner;

static int no_memory(planner *p) {
    return fc__fail(p->error, FC_E_NOMEM, "no memory to compress a frame");
}

/* ---- Blocks ---- */

static uint64_t sampled(planner *p, const char *data, uint64_t bytes, uint32_t width) {
    char *shuffled = p->work, *coded = shuffled + SAMPLE_BYTES;
    uint64_t parts = bytes / SAMPLE_EACH + 1, sum = 0, of = 0;
    parts = parts > SAMPLES ? SAMPLES : parts;
    for (uint64_t i = 0; i < parts; i++) {
        uint64_t size = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
        uint64_t at = (bytes - size) / (parts + 1) * (i + 1);
        const char *from = data + at - at % width;
        if (width > 1) {
            fc__shuffle(shuffled, from, size, width);
            from = shuffled;
        }
        int coded_bytes = LZ4_compress_default(from, coded, (int)size, SAMPLE_BYTES);
        sum += coded_bytes > 0 ? (uint64_t)coded_bytes : size;
        of += size;
    }
    return (uint64_t)((double)bytes * (double)sum / (double)of);
}

static int add_block(planner *p, const fc__block *block) {
    fc__codec_plan *plan = p->plan;
    if (plan->count == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        fc__block *more = fc__realloc(plan->blocks, room * sizeof *more);
        if (!more)
            return no_memory(p);
        plan->blocks = more;
        p->room = room;
    }
    plan->blocks[plan->count++] = *block;
    return 0;
}

/* Bytes of one kind, as blocks. */
static int add_span(planner *p, uint32_t segment, const char *base, uint64_t offset,
                    uint64_t bytes, uint32_t width) {
    if (!bytes)
        return 0;
    uint64_t plain = sampled(p, base + offset, bytes, 1), best = plain;
    if (width > 1) {
        uint64_t shuffled = sampled(p, base + offset, bytes, width);
        if (shuffled < WORTH(plain))
            best = shuffled;
        else
            width = 1;
    }
    p->plan->raw_bytes += bytes;
    p->plan->estimated_bytes += best;
    for (uint64_t at = 0; at < bytes; at += FC__BLOCK_BYTES) {
        uint64_t rest = bytes - at;
        fc__block block = {
            .segment = segment,
            .offset = offset + at,
            .raw_bytes = (uint32_t)(rest < FC__BLOCK_BYTES ? rest : FC__BLOCK_BYTES),
            .width = (uint8_t)width};
        int status = add_block(p, &block);
        if (status)
            return status;
    }
    return 0;
}

/* The large buffers of a segment each for itself, the rest as it comes. */
static int add_segment(planner *p, uint32_t segment, const char *base, uint64_t bytes,
                       const range *ranges, size_t count) {
    uint64_t at = 0;
    int status = 0;
    for (size_t i = 0; i < count && !status; i++) {
        uint64_t next = i + 1 < count ? ranges[i + 1].offset : bytes;
        uint64_t end = ranges[i].offset + ranges[i].bytes;
        if (ranges[i].offset < at || end > bytes) /* overlaps, which no writer of ours makes */
            continue;
        end = next >= end && next - end <= GAP_BYTES ? next : end;
        status = add_span(p, segment, base, at, ranges[i].offset - at, 1);
        if (!status)
            status = add_span(p, segment, base, ranges[i].offset, end - ranges[i].offset,
                              ranges[i].width);
        at = end;
    }
    return status ? status : add_span(p, segment, base, at, bytes - at, 1);
}

/* ---- Buffers of a frame ---- */

static uint32_t width_of(const fc__column *column, fc__buffer_kind kind) {
    switch (kind) {
    case FC__BUFFER_VALUES:
        return column->view.width > 0 && column->view.width <= 32
                   ? (uint32_t)column->view.width
                   : 1;
    case FC__BUFFER_OFFSETS32:
    case FC__BUFFER_PLACES32:
        return 4;
    case FC__BUFFER_OFFSETS64:
    case FC__BUFFER_PLACES64:
        return 8;
    default:
        return 1;
    }
}

static int add_range(planner *p, const range *r) {
    if (p->range_count == p->range_room) {
        size_t room = p->range_room ? 2 * p->range_room : 64;
        range *more = fc__realloc(p->ranges, room * sizeof *more);
        if (!more)
            return no_memory(p);
        p->ranges = more;
        p->range_room = room;
    }
    p->ranges[p->range_count++] = *r;
    return 0;
}

/* Decoding has checked where the buffers lie, and that the columns form a tree. */
static int add_column(planner *p, const fc__body *body, const fc__column *column) {
    const fc__shape_info *info = fc__shape_of(column->shape);
    const fc__body_buffer *buffer = body->buffers + body->nodes[column->node].first_buffer;
    int status = 0;
    for (int i = 0; i < column->buffer_count && !status; i++, buffer++)
        if (column->own[i] && buffer->bytes >= OWN_BYTES) {
            range r = {.segment = buffer->segment,
                       .width = width_of(column, info->kinds[i]),
                       .offset = buffer->offset,
                       .bytes = buffer->bytes};
            status = add_range(p, &r);
        }
    for (int64_t i = 0; i < column->view.child_count && !status; i++)
        status = add_column(p, body, fc__child(column, i));
    if (!status && column->view.dictionary)
        status = add_column(p, body, fc__dictionary(column));
    return status;
}

static int by_place(const void *a, const void *b) {
    const range *left = a, *right = b;
    if (left->segment != right->segment)
        return left->segment < right->segment ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static int add_columns(planner *p, const fc_frame *base) {
    int status = 0;
    for (int64_t i = 0; i < base->body.column_count && !status; i++) {
        const fc__column *column;
        status = fc__frame_whole(base, i, &column, p->error);
        if (!status)
            status = add_column(p, &base->body, column);
    }
    if (p->range_count)
        qsort(p->ranges, p->range_count, sizeof *p->ranges, by_place);
    return status;
}

static int add_segments(planner *p, const fc_frame *base) {
    const fc__frame_setup *setup = &base->setup;
    size_t first = 0;
    int status = 0;
    for (uint32_t i = 0; i < setup->segment_count && !status; i++) {
        size_t count = 0;
        uint64_t bytes;
        if (!setup->segment_bytes[i])
            continue;
        while (first + count < p->range_count && p->ranges[first + count].segment == i)
            count++;
        const char *start = setup->source->segment(setup->context, i, &bytes, p->error);
        if (!start)
            return FC_E_CORRUPT;
        status = add_segment(p, i, start, bytes, p->ranges + first, count);
        first += count;
    }
    return status;
}

static int begin(planner *p) {
    *p->plan = (fc__codec_plan){0};
    p->work = fc__malloc(2 * SAMPLE_BYTES);
    return p->work ? 0 : no_memory(p);
}

int fc__codec_plan_frame(fc__codec_plan *out, const fc_frame *frame, fc_error *error) {
    planner p = {.plan = out, .error = error};
    int status = begin(&p);
    if (!status)
        status = add_columns(&p, frame->base);
    if (!status)
        status = add_segments(&p, frame->base);
    fc__free(p.work);
    fc__free(p.ranges);
    return status;
}

int fc__codec_plan_bytes(fc__codec_plan *out, const void *data, uint64_t bytes,
                         uint32_t width, fc_error *error) {
    planner p = {.plan = out, .error = error};
    int status = begin(&p);
    if (!status)
        status = add_span(&p, 0, data, 0, bytes, width);
    fc__free(p.work);
    return status;
}

void fc__codec_plan_free(fc__codec_plan *plan) {
    fc__free(plan->blocks);
    plan->blocks = NULL;
    plan->count = 0;
}
