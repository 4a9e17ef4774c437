/* Frames in plain memory, for tests of frames/: a source, a sink and a ground over exact
 * allocations, so that a sanitizer sees every byte too far; a table with a column of
 * every kind; and a comparison of any two rows. */
#ifndef FC_SUPPORT_FRAME_H
#define FC_SUPPORT_FRAME_H

#include "frames/frames.h"

#define MEMORY_SEGMENTS 64

typedef struct memory_frame {
    _Atomic long references;
    void *segments[MEMORY_SEGMENTS];
    uint64_t segment_bytes[MEMORY_SEGMENTS];
    uint32_t segment_count;
    void *body;
    uint64_t body_bytes;
    fc_frame *frame; /* the base, once opened */
    bool verify;
    _Atomic long mapped;   /* calls of the source for a segment */
    uint64_t ground_limit; /* the ground refuses more; 0: none */
} memory_frame;

extern _Atomic long memory_alive; /* contexts that are not yet freed */

memory_frame *memory_new(void); /* one reference */
void memory_release(memory_frame *memory);

fc__ground memory_ground(memory_frame *memory);

/* Runs all jobs of a plan into segments, and encodes. Asserts that the jobs cover each
 * segment that is not in place once, and nothing else. */
void memory_write(memory_frame *memory, fc__plan *plan);

/* Opens what was written; memory->frame on success. */
int memory_open(memory_frame *memory, fc_error *error);

/* All in one; they assert. memory_put borrows the chunks. */
memory_frame *memory_put(const struct ArrowSchema *schema,
                         const struct ArrowArray *const *chunks, size_t count,
                         bool checksums);
memory_frame *memory_commit(memory_frame *memory, fc_build *build, int64_t rows,
                            bool checksums);

/* ---- Schemas written down ---- */

/* A static tree; release does nothing. */
struct ArrowSchema *schema_of(const char *format, const char *name, int children, ...);
struct ArrowSchema *schema_dictionary(const char *format, const char *name,
                                      struct ArrowSchema *values);
void schema_free(struct ArrowSchema *schema);

/* ---- A column of every kind ---- */

struct ArrowSchema *everything_schema(void);
memory_frame *everything(int64_t rows, bool checksums);

/* Every string, binary and list of such a schema in another of its forms. */
void change_forms(struct ArrowSchema *schema, const char *string, const char *binary,
                  const char *list);

/* ---- Comparing ---- */

/* Same value (null equals null), of columns of one type, at any depth. */
bool rows_equal(const fc_column *a, int64_t row_a, const fc_column *b, int64_t row_b);

/* ---- What must work: they end the test if it does not ---- */

const fc_column *column_at(const fc_frame *frame, int64_t index);
fc_frame *slice(fc_frame *frame, int64_t first, int64_t rows);

/* Streams the frame, as `requested`, in batches, and puts that back together. */
memory_frame *through_stream(fc_frame *frame, const struct ArrowSchema *requested,
                             int64_t batch_rows);

/* Same names, same rows. */
void expect_same(const fc_frame *back, const fc_frame *frame);

#endif
