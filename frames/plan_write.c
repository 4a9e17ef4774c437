/* Running a job: its buffers one behind the other, each with its padding, gathered in a
 * scratch so that 100,000 tiny columns are a few hundred writes. */
#include "plan_write.h"

#include "missing.h"
#include "status.h"

#include <string.h>

#define DIRECT_BYTES (16u << 10) /* from here on data are not worth gathering */

static int flush(fc__pen *pen) {
    size_t bytes = pen->used;
    uint64_t offset = pen->offset;

    if (!bytes)
        return 0;
    pen->offset += bytes;
    pen->used = 0;
    return pen->sink->write(pen->sink->context, pen->segment, offset, pen->scratch, bytes,
                            pen->error);
}

/* A job of a few rows lives on the stack. */
static int grow(fc__pen *pen) {
    size_t bytes =
        pen->job_bytes < FC__SCRATCH_BYTES ? (size_t)pen->job_bytes : FC__SCRATCH_BYTES;

    if (pen->taken || bytes <= pen->room)
        return 0;
    pen->taken = fc__malloc(bytes);
    if (!pen->taken)
        return fc__fail(pen->error, FC_E_NOMEM, "out of memory for copying a frame");
    memcpy(pen->taken, pen->scratch, pen->used);
    pen->scratch = pen->taken;
    pen->room = bytes;
    return 0;
}

char *fc__pen_room(fc__pen *pen, size_t *bytes, int *code) {
    *code = grow(pen);
    if (!*code && pen->job_bytes > pen->room && pen->room - pen->used < FC__SMALL_BYTES)
        *code = flush(pen);
    *bytes = pen->room - pen->used;
    return *code ? NULL : pen->scratch + pen->used;
}

void fc__pen_advance(fc__pen *pen, size_t bytes) {
    if (pen->hash)
        fc__hash_add(pen->hash, pen->scratch + pen->used, bytes);
    pen->used += bytes;
}

static void look(fc__pen *pen, const char *data, uint64_t bytes) {
    if (pen->look && pen->look->missing->any(data, bytes))
        atomic_store(&pen->look->met, 1);
}

/* Odd pieces before may leave it at an odd place. */
static void *place(const fc__pen *pen, uint64_t offset, uint64_t bytes) {
    const fc__sink *sink = pen->sink;
    void *to = sink->place ? sink->place(sink->context, pen->segment, offset, bytes) : NULL;

    return (uintptr_t)to % 16 ? NULL : to;
}

/* Looked at and written in turns, while the bytes are in the processor's cache; or in one.
 * Where a value has been met, all will be written again: what is in place already (pages of
 * a recycled file) need not be now. */
static int write_looking(fc__pen *pen, const char *data, uint64_t bytes) {
    int code = 0;

    for (uint64_t at = 0, part; !code && at < bytes; at += part) {
        uint64_t offset = pen->offset + at;
        part = bytes - at < FC__SCRATCH_BYTES ? bytes - at : FC__SCRATCH_BYTES;
        void *to = place(pen, offset, part);
        if (!to) {
            look(pen, data + at, part);
            code = pen->sink->write(pen->sink->context, pen->segment, offset, data + at,
                                    part, pen->error);
        } else if (atomic_load(&pen->look->met))
            return 0;
        else if (pen->look->missing->copy(to, data + at, part))
            atomic_store(&pen->look->met, 1);
    }
    return code;
}

static int write_out(fc__pen *pen, const char *data, uint64_t bytes) {
    return pen->look ? write_looking(pen, data, bytes)
                     : pen->sink->write(pen->sink->context, pen->segment, pen->offset,
                                        data, bytes, pen->error);
}

/* All but what lies in the last page goes straight; that goes with what follows. */
static int put_direct(fc__pen *pen, const char *data, uint64_t bytes) {
    int code = flush(pen);
    uint64_t tail = (pen->offset + bytes) % FC__PAGE_BYTES;
    uint64_t head = bytes - tail;

    if (!code)
        code = write_out(pen, data, head);
    pen->offset += head;
    memcpy(pen->scratch, data + head, tail);
    look(pen, pen->scratch, tail);
    pen->used = tail;
    return code;
}

static int gather(fc__pen *pen, const char *data, uint64_t bytes) {
    int code = 0;

    look(pen, data, bytes);
    while (!code && bytes) {
        size_t free_bytes = pen->room - pen->used;
        size_t now = bytes < free_bytes ? bytes : free_bytes;
        memcpy(pen->scratch + pen->used, data, now);
        pen->used += now;
        data += now;
        bytes -= now;
        if (pen->used == pen->room)
            code = flush(pen);
    }
    return code;
}

static int put(fc__pen *pen, const char *data, uint64_t bytes) {
    return bytes >= DIRECT_BYTES ? put_direct(pen, data, bytes)
                                 : gather(pen, data, bytes);
}

/* Hashed and written in turns, while the bytes are in the processor's cache. Each turn
 * ends on a page, so that nothing is left over for a write of its own. */
int fc__pen_put(fc__pen *pen, const void *data, uint64_t bytes) {
    const char *at = data;
    int code = 0;

    while (pen->hash && !code && bytes > 2 * FC__SCRATCH_BYTES) {
        uint64_t now = FC__SCRATCH_BYTES - (pen->offset + pen->used) % FC__PAGE_BYTES;
        fc__hash_add(pen->hash, at, now);
        code = put(pen, at, now);
        at += now;
        bytes -= now;
    }
    if (pen->hash)
        fc__hash_add(pen->hash, at, bytes);
    return code || !bytes ? code : put(pen, at, bytes);
}

/* Padding: no part of the buffer, nor of its checksum. */
static int put_zeros(fc__pen *pen, uint64_t bytes) {
    int code = 0;

    while (!code && bytes) {
        size_t free_bytes = pen->room - pen->used;
        size_t now = bytes < free_bytes ? bytes : free_bytes;
        memset(pen->scratch + pen->used, 0, now);
        pen->used += now;
        bytes -= now;
        if (pen->used == pen->room)
            code = flush(pen);
    }
    return code;
}

/* Bytes [from, to) of a buffer and the padding behind it. */
static int write_part(const fc__plan *plan, uint32_t buffer, uint64_t from, uint64_t to,
                      fc__pen *pen) {
    uint64_t bytes = plan->buffers[buffer].bytes;
    uint64_t data_end = to < bytes ? to : bytes;
    int code = 0;

    if (from < data_end)
        code = fc__feed_write(plan, buffer, from, data_end, pen);
    if (!code)
        code = put_zeros(pen, to - (from < data_end ? data_end : from));
    return code;
}

static int write_hashed(fc__plan *plan, uint32_t buffer, uint64_t bytes, fc__pen *pen) {
    fc__hash hash;
    int code;

    fc__hash_begin(&hash);
    pen->hash = &hash;
    code = write_part(plan, buffer, 0, bytes, pen);
    pen->hash = NULL;
    plan->buffers[buffer].checksum = fc__hash_end(&hash);
    return code;
}

static int write_task(fc__plan *plan, const fc__task *task, fc__pen *pen) {
    int code = 0;

    for (uint32_t i = task->first; !code && i < task->first + task->count; i++) {
        uint32_t buffer = plan->order[i];
        uint64_t to = task->count == 1 ? task->to : plan->extents[i];
        if (plan->checksums)
            code = write_hashed(plan, buffer, to, pen);
        else
            code = write_part(plan, buffer, task->from, to, pen);
    }
    return code;
}

int fc__plan_run(fc__plan *plan, size_t index, const fc__sink *sink, fc_error *error) {
    const fc__job *job = &plan->jobs[index];
    fc__pen pen;
    int code = 0;

    pen.sink = sink;
    pen.error = error;
    pen.segment = job->segment;
    pen.offset = job->offset;
    pen.job_bytes = job->bytes;
    pen.scratch = pen.small;
    pen.room = sizeof pen.small;
    pen.used = 0;
    pen.taken = NULL;
    pen.hash = NULL;
    pen.look = NULL;
    if (plan->tasks[index].count > 1)
        code = grow(&pen);
    if (!code)
        code = write_task(plan, &plan->tasks[index], &pen);
    if (!code)
        code = flush(&pen);
    fc__free(pen.taken);
    return code;
}
