/* The bytes of buffers: what makes them from pieces (plan_feed.c), and the pen that
 * gathers them into few calls of the sink (plan_write.c). */
#ifndef FC_PLAN_WRITE_H
#define FC_PLAN_WRITE_H

#include "checksum.h"
#include "plan.h"

#define FC__SCRATCH_BYTES (256u << 10)
#define FC__SMALL_BYTES   4096u

typedef struct fc__pen {
    const fc__sink *sink;
    fc_error *error;
    uint32_t segment;
    uint64_t offset; /* in the segment, of the scratch's first byte */
    uint64_t job_bytes;
    char *scratch;
    size_t used, room;
    char *taken;    /* the scratch, if it was allocated */
    fc__hash *hash; /* of the buffer being written; NULL: none */
    fc__node *look; /* what is put are its values, to be looked at; NULL: not to be */
    char small[FC__SMALL_BYTES];
} fc__pen;

/* Free bytes in the scratch: *bytes says how many; 4 KiB, or all that the job still has
 * to write. NULL when out of memory or the sink failed: *code. */
char *fc__pen_room(fc__pen *pen, size_t *bytes, int *code);
void fc__pen_advance(fc__pen *pen, size_t bytes);

/* Data of the buffer from anywhere: large ones straight to the sink. */
int fc__pen_put(fc__pen *pen, const void *data, uint64_t bytes);

/* True if the buffer is rows of the given arrays as they stand. */
bool fc__feed_is_copy(const fc__plan *plan, const fc__feed *feed);

/* True if its jobs look for missing values: if nothing makes a bitmap of them. */
bool fc__feed_looks(const fc__plan *plan, const fc__feed *feed);

/* True if a part of it can be made without what stands before. */
bool fc__feed_is_divisible(const fc__feed *feed);

/* Writes bytes [from, to) of the buffer; if it is not divisible, all of them. */
int fc__feed_write(const fc__plan *plan, uint32_t buffer, uint64_t from, uint64_t to,
                   fc__pen *pen);

#endif
