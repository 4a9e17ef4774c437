/* Running a job: its buffers one behind the other, each with its padding, gathered in a
 * scratch so that 100,000 tiny columns are a few hundred writes. */
#include "plan_write.h"

#include "status.h"

#include <string.h>

#define DIRECT_BYTES (16u << 10) /* from here on data are not worth gathering */

static int flush(fc__pen *writer) {
    size_t bytes = writer->used;
    uint64_t offset = writer->offset;

    if (!bytes)
        return 0;
    writer->offset += bytes;
    writer->used = 0;
    return writer->sink->write(writer->sink->context, writer->segment, offset,
                               writer->scratch, bytes, writer->error);
}

/* A job of a few rows lives on the stack. */
static int grow(fc__pen *writer) {
    size_t bytes = writer->job_bytes < FC__SCRATCH_BYTES ? (size_t)writer->job_bytes
                                                         : FC__SCRATCH_BYTES;

    if (writer->taken || bytes <= writer->room)
        return 0;
    writer->taken = fc__malloc(bytes);
    if (!writer->taken)
        return fc__fail(writer->error, FC_E_NOMEM, "out of memory for copying a frame");
    memcpy(writer->taken, writer->scratch, writer->used);
    writer->scratch = writer->taken;
    writer->room = bytes;
    return 0;
}

char *fc__pen_room(fc__pen *writer, size_t *bytes, int *code) {
    *code = grow(writer);
    if (!*code && writer->job_bytes > writer->room &&
        writer->room - writer->used < FC__SMALL_BYTES)
        *code = flush(writer);
    *bytes = writer->room - writer->used;
    return *code ? NULL : writer->scratch + writer->used;
}

void fc__pen_advance(fc__pen *writer, size_t bytes) {
    if (writer->hash)
        fc__hash_add(writer->hash, writer->scratch + writer->used, bytes);
    writer->used += bytes;
}

/* All but what lies in the last page goes straight; that goes with what follows. */
static int put_direct(fc__pen *writer, const char *data, uint64_t bytes) {
    int code = flush(writer);
    uint64_t tail = (writer->offset + bytes) % FC__PAGE_BYTES;
    uint64_t head = bytes - tail;

    if (!code)
        code = writer->sink->write(writer->sink->context, writer->segment, writer->offset,
                                   data, head, writer->error);
    writer->offset += head;
    memcpy(writer->scratch, data + head, tail);
    writer->used = tail;
    return code;
}

static int gather(fc__pen *writer, const char *data, uint64_t bytes) {
    int code = 0;

    while (!code && bytes) {
        size_t free_bytes = writer->room - writer->used;
        size_t now = bytes < free_bytes ? bytes : free_bytes;
        memcpy(writer->scratch + writer->used, data, now);
        writer->used += now;
        data += now;
        bytes -= now;
        if (writer->used == writer->room)
            code = flush(writer);
    }
    return code;
}

int fc__pen_put(fc__pen *writer, const void *data, uint64_t bytes) {
    if (!bytes)
        return 0;
    if (writer->hash)
        fc__hash_add(writer->hash, data, bytes);
    return bytes >= DIRECT_BYTES ? put_direct(writer, data, bytes)
                                 : gather(writer, data, bytes);
}

static int put_zeros(fc__pen *writer, uint64_t bytes) {
    int code = 0;

    while (!code && bytes) {
        size_t free_bytes = writer->room - writer->used;
        size_t now = bytes < free_bytes ? bytes : free_bytes;
        memset(writer->scratch + writer->used, 0, now);
        writer->used += now;
        bytes -= now;
        if (writer->used == writer->room)
            code = flush(writer);
    }
    return code;
}

/* Bytes [from, to) of a buffer and the padding behind it. */
static int write_part(const fc__plan *plan, uint32_t buffer, uint64_t from, uint64_t to,
                      fc__pen *writer) {
    uint64_t bytes = plan->buffers[buffer].bytes;
    uint64_t data_end = to < bytes ? to : bytes;
    int code = 0;

    if (from < data_end)
        code = fc__feed_write(plan, buffer, from, data_end, writer);
    fc__hash *hash = writer->hash;
    writer->hash = NULL; /* padding is no part of the buffer */
    if (!code)
        code = put_zeros(writer, to - (from < data_end ? data_end : from));
    writer->hash = hash;
    return code;
}

static int write_hashed(fc__plan *plan, uint32_t buffer, uint64_t bytes,
                        fc__pen *writer) {
    fc__hash hash;
    int code;

    fc__hash_begin(&hash);
    writer->hash = &hash;
    code = write_part(plan, buffer, 0, bytes, writer);
    writer->hash = NULL;
    plan->buffers[buffer].checksum = fc__hash_end(&hash);
    return code;
}

static int write_task(fc__plan *plan, const fc__task *task, fc__pen *writer) {
    int code = 0;

    for (uint32_t i = task->first; !code && i < task->first + task->count; i++) {
        uint32_t buffer = plan->order[i];
        uint64_t to = task->count == 1 ? task->to : plan->extents[i];
        if (plan->checksums)
            code = write_hashed(plan, buffer, to, writer);
        else
            code = write_part(plan, buffer, task->from, to, writer);
    }
    return code;
}

int fc__plan_run(fc__plan *plan, size_t index, const fc__sink *sink, fc_error *error) {
    const fc__job *job = &plan->jobs[index];
    fc__pen writer;
    int code = 0;

    writer.sink = sink;
    writer.error = error;
    writer.segment = job->segment;
    writer.offset = job->offset;
    writer.job_bytes = job->bytes;
    writer.scratch = writer.small;
    writer.room = sizeof writer.small;
    writer.used = 0;
    writer.taken = NULL;
    writer.hash = NULL;
    if (plan->tasks[index].count > 1)
        code = grow(&writer);
    if (!code)
        code = write_task(plan, &plan->tasks[index], &writer);
    if (!code)
        code = flush(&writer);
    fc__free(writer.taken);
    return code;
}
