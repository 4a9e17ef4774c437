/* Which buffer stands where, and who writes it. The rules are those of body.h; "the bytes
 * of a column" are those of all its buffers with their padding. */
#include "checksum.h"
#include "encode.h"
#include "plan_write.h"
#include "status.h"

#define MOST_BYTES  ((uint64_t)1 << 43) /* more than a machine has */
#define PART_BYTES  (64u << 20) /* what one job copies of a big buffer */
#define GROUP_BYTES (1u << 20)  /* what one job writes of small buffers */
#define PLAIN_BYTES (64u << 10) /* pieces this long on average are worth a write each */

typedef struct layouter {
    fc__plan *plan;
    uint64_t *column_bytes; /* [columns + 1] */
    uint64_t total;
    uint32_t fixed_count;
    fc_error *error;
} layouter;

static bool is_placed_here(const fc__plan *plan, uint32_t buffer) {
    return plan->feeds[buffer].how > FC__HOW_IN_PLACE;
}

/* With the 64 zero bytes behind it, up to where the next may begin. */
static uint64_t padded(uint64_t bytes) {
    return fc__round_up(bytes, FC__ALIGN) + FC__ALIGN;
}

static int too_big(layouter *with) {
    return fc__field_fail(with->plan->root, with->error, FC_E_INVALID,
                          "more than 2^62 bytes in all");
}

/* Before anything is planned for its pieces, whose number grows with it. */
static int beyond_any_budget(layouter *with) {
    return fc__fail(with->error, FC_E_BUDGET,
                    "a frame of %llu bytes does not fit any budget, of which none may have "
                    "more than %llu bytes for one frame: put fewer rows",
                    (unsigned long long)with->total, (unsigned long long)MOST_BYTES);
}

static int no_memory(layouter *with) {
    return fc__fail(with->error, FC_E_NOMEM, "out of memory for planning a frame");
}

/* ---- Places ---- */

static int sum_columns(layouter *with) {
    fc__plan *plan = with->plan;

    with->column_bytes = fc__arena_take(&plan->arena, plan->root->child_count + 1u,
                                        sizeof *with->column_bytes);
    if (!with->column_bytes)
        return no_memory(with);
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const fc__node *node = &plan->nodes[i];
        for (uint32_t k = 0; k < node->buffer_count; k++) {
            uint32_t buffer = node->first_buffer + k;
            if (plan->feeds[buffer].how == FC__HOW_NONE)
                plan->buffers[buffer].segment = FC__NONE;
            if (!is_placed_here(plan, buffer))
                continue;
            uint64_t bytes = plan->buffers[buffer].bytes;
            if (bytes > (uint64_t)1 << 61 || with->total > (uint64_t)1 << 62)
                return too_big(with);
            with->total += padded(bytes);
            with->column_bytes[node->column] += padded(bytes);
            plan->order_count++;
        }
    }
    return with->total > MOST_BYTES ? beyond_any_budget(with) : 0;
}

static bool owns_segment(const layouter *with, uint32_t column) {
    return !with->fixed_count && with->column_bytes[column] >= FC__OWN_BYTES;
}

/* The buffers in `order`, those of a column together, the columns of segment 0 first. A
 * counting sort, since 100,000 columns are possible; nodes stand breadth first. */
static void sort_buffers(layouter *with, uint32_t *starts) {
    fc__plan *plan = with->plan;
    uint32_t columns = plan->root->child_count + 1u, at = 0;

    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i].buffer_count; k++)
            starts[plan->nodes[i].column] +=
                is_placed_here(plan, plan->nodes[i].first_buffer + k);
    for (int own = 0; own < 2; own++)
        for (uint32_t column = 0; column < columns; column++) {
            if (owns_segment(with, column) != own)
                continue;
            uint32_t count = starts[column];
            starts[column] = at;
            at += count;
        }
    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i].buffer_count; k++) {
            uint32_t buffer = plan->nodes[i].first_buffer + k;
            if (is_placed_here(plan, buffer))
                plan->order[starts[plan->nodes[i].column]++] = buffer;
        }
}

static uint32_t column_of(const fc__plan *plan, uint32_t index) {
    return plan->nodes[plan->feeds[plan->order[index]].node].column;
}

/* The bytes of a buffer and its padding: up to the next, or to the end of the segment. */
static void set_extents(fc__plan *plan) {
    for (uint32_t i = 0; i < plan->order_count; i++) {
        const fc__body_buffer *buffer = &plan->buffers[plan->order[i]], *next = NULL;
        if (i + 1 < plan->order_count)
            next = &plan->buffers[plan->order[i + 1]];
        uint64_t end = next && next->segment == buffer->segment
                           ? next->offset
                           : plan->segment_bytes[buffer->segment];
        plan->extents[i] = end - buffer->offset;
    }
}

static void place_buffers(layouter *with) {
    fc__plan *plan = with->plan;
    uint32_t segment = 0;
    uint64_t *end = plan->segment_bytes;

    for (uint32_t i = 0; i < plan->order_count; i++) {
        fc__body_buffer *buffer = &plan->buffers[plan->order[i]];
        uint32_t column = column_of(plan, i);
        bool begins = i == 0 || column_of(plan, i - 1) != column;
        if (begins && owns_segment(with, column) && i)
            segment++;
        if (begins && with->column_bytes[column] >= FC__PAGE_BYTES * 16)
            end[segment] = fc__round_up(end[segment], FC__PAGE_BYTES);
        buffer->segment = segment;
        buffer->offset = end[segment];
        end[segment] += padded(buffer->bytes);
    }
    set_extents(plan);
}

/* At most one a column, and segment 0. */
static uint32_t count_segments(const layouter *with) {
    bool shared = false;
    uint32_t own = 0;

    for (uint32_t i = 0; i <= with->plan->root->child_count; i++) {
        own += owns_segment(with, i);
        shared |= with->column_bytes[i] && !owns_segment(with, i);
    }
    return own + (shared || with->fixed_count) + with->fixed_count;
}

static int place(layouter *with, const uint64_t *fixed_bytes) {
    fc__plan *plan = with->plan;
    fc__arena *arena = &plan->arena;
    uint32_t count = count_segments(with);
    uint32_t *starts =
        fc__arena_take(arena, plan->root->child_count + 1u, sizeof *starts);

    plan->order = fc__arena_take(arena, plan->order_count, sizeof *plan->order);
    plan->extents = fc__arena_take(arena, plan->order_count, sizeof *plan->extents);
    plan->segment_bytes = fc__arena_take(arena, count, sizeof *plan->segment_bytes);
    if (!starts || !plan->order || !plan->extents || !plan->segment_bytes)
        return no_memory(with);
    sort_buffers(with, starts);
    place_buffers(with);
    if (with->fixed_count)
        memcpy(plan->segment_bytes + 1, fixed_bytes,
               with->fixed_count * sizeof *fixed_bytes);
    plan->layout = (fc__layout){.inlined = count && !with->fixed_count &&
                                           with->total <= FC__INLINE_BYTES,
                                .segment_count = count,
                                .segment_bytes = plan->segment_bytes,
                                .rows = plan->nodes[0].rows,
                                .columns = plan->root->child_count};
    return fc__encode_size(plan, with->error);
}

/* ---- Jobs ---- */

static uint64_t segment_offset(const fc__plan *plan, uint32_t index) {
    return plan->buffers[plan->order[index]].offset;
}

/* How many buffers, from `index` on, one job writes. */
static uint32_t group_size(const fc__plan *plan, uint32_t index) {
    uint32_t segment = plan->buffers[plan->order[index]].segment, count = 1;
    uint64_t bytes = plan->extents[index];

    while (index + count < plan->order_count &&
           plan->buffers[plan->order[index + count]].segment == segment &&
           bytes + plan->extents[index + count] <= GROUP_BYTES)
        bytes += plan->extents[index + count++];
    return count;
}

static bool is_plain(const fc__plan *plan, uint32_t buffer) {
    const fc__feed *feed = &plan->feeds[buffer];
    size_t pieces = plan->nodes[feed->node].piece_count;

    return fc__feed_is_copy(plan, feed) &&
           (feed->how == FC__HOW_RAW ||
            plan->buffers[buffer].bytes / (pieces ? pieces : 1) >= PLAIN_BYTES);
}

static void set_job(fc__plan *plan, size_t number, fc__task task) {
    uint32_t last = task.first + task.count - 1;
    uint32_t buffer = plan->order[task.first];
    uint64_t begin = segment_offset(plan, task.first);
    uint64_t bytes = task.count == 1
                         ? task.to - task.from
                         : segment_offset(plan, last) + plan->extents[last] - begin;

    plan->tasks[number] = task;
    plan->jobs[number] = (fc__job){.segment = plan->buffers[buffer].segment,
                                   .offset = begin + task.from,
                                   .bytes = bytes,
                                   .plain = task.count == 1 && is_plain(plan, buffer)};
}

/* Parts end on pages, so that no two threads write to the same one. With a checksum, one
 * job must see all bytes in order. */
static size_t cut_buffer(fc__plan *plan, uint32_t index, size_t number, bool count_only) {
    uint64_t end = plan->extents[index], from = 0, to;
    uint64_t begin = segment_offset(plan, index) % FC__PAGE_BYTES;
    bool parts =
        !plan->checksums && fc__feed_is_divisible(&plan->feeds[plan->order[index]]);

    for (; from < end; from = to, number++) {
        to = from + PART_BYTES - (from ? 0 : begin);
        if (!parts || to + FC__PAGE_BYTES >= end)
            to = end;
        if (!count_only)
            set_job(plan, number, (fc__task){index, 1, from, to});
    }
    return number;
}

static size_t cut(fc__plan *plan, bool count_only) {
    size_t number = 0;

    for (uint32_t i = 0, count; i < plan->order_count; i += count) {
        count = group_size(plan, i);
        if (count == 1)
            number = cut_buffer(plan, i, number, count_only);
        else if (count_only)
            number++;
        else
            set_job(plan, number++, (fc__task){i, count, 0, 0});
    }
    return number;
}

int fc__plan_lay_out(fc__plan *plan, const uint64_t *fixed_bytes, uint32_t fixed_count,
                     fc_error *error) {
    layouter with = {.plan = plan, .fixed_count = fixed_count, .error = error};
    uint64_t nothing = fc__checksum("", 0);
    int code;

    plan->order_count = 0; /* it may have been laid out before */
    if ((code = sum_columns(&with)) || (code = place(&with, fixed_bytes)))
        return code;
    plan->job_count = cut(plan, true);
    plan->jobs = fc__arena_take(&plan->arena, plan->job_count, sizeof *plan->jobs);
    plan->tasks = fc__arena_take(&plan->arena, plan->job_count, sizeof *plan->tasks);
    if (!plan->jobs || !plan->tasks)
        return no_memory(&with);
    cut(plan, false);
    for (uint32_t i = 0; plan->checksums && i < plan->buffer_count; i++)
        if (plan->feeds[i].how == FC__HOW_NONE)
            plan->buffers[i].checksum = nothing;
    return 0;
}
