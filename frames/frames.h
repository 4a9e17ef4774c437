/* The frame format, as src/cache.c uses it. This half knows Arrow types, buffers, segments
 * and the body of a manifest; it knows nothing of files, processes, locks or the index.
 * It reads through an fc__source and writes through an fc__sink, both given by the cache.
 *
 * Public functions that live here: fc_schema_init; fc_frame_retain, _release, _column,
 * _column_at, _select, _slice, _private, fc_writable, fc_frame_export_*, fc_frame_hash;
 * fc_hash, fc_hash_stream; fc_build_column, _nulls, _reserve, _append. All others live in src/. */
#ifndef FC_FRAMES_H
#define FC_FRAMES_H

#include "codec.h"
#include "framecache/framecache.h"

/* ---- Writing: plan, then write, then encode ---- */

typedef struct fc__plan fc__plan;

typedef struct fc__layout {
    bool inlined;                  /* segment 0 stands in the manifest file */
    uint32_t segment_count;        /* at least 1 if there is any byte of data */
    const uint64_t *segment_bytes; /* [segment_count], multiples of 64, tails included */
    uint64_t body_bytes;           /* exactly what fc__plan_encode() will write */
    int64_t rows, columns;
} fc__layout;

/* One independent piece of work: it writes every byte of its range of one segment, padding
 * included, so that segments with old bytes in them need no clearing. The jobs of a plan
 * cover each segment that is not in place, whole. Different threads may run different
 * jobs of one plan at once. */
typedef struct fc__job {
    uint32_t segment;
    uint64_t offset, bytes;
    bool plain; /* copies the producer's memory as it is (worth a straight write) */
} fc__job;

/* Where a plan writes to. `data` is read before it returns. place: where these bytes can be
 * stored at once, in the place of a write, or NULL. Thread-safe. */
typedef struct fc__sink {
    void *context;
    int (*write)(void *context, uint32_t segment, uint64_t offset, const void *data,
                 size_t bytes, fc_error *error);
    void *(*place)(void *context, uint32_t segment, uint64_t offset, size_t bytes);
} fc__sink;

enum {
    FC__PLAN_CHECKSUMS = 1, /* store XXH3-64 of each buffer */
    FC__PLAN_MISSING = 2    /* find the nulls of columns that leave it to us: missing.h */
};

/* Checks and plans a table given as `count` chunks of one schema, all borrowed until
 * fc__plan_free(). A struct is a table; any other type becomes a table of one column. No
 * chunk: zero rows. Errors: INVALID, TYPE (naming the column), NOMEM. */
int fc__plan_arrow(fc__plan **out, const struct ArrowSchema *schema,
                   const struct ArrowArray *const *chunks, size_t count, uint32_t flags,
                   fc_error *error);

/* Reads the stream to its end and plans that; the plan owns the chunks. The stream is
 * released, on failure too. */
int fc__plan_stream(fc__plan **out, struct ArrowArrayStream *stream, uint32_t flags,
                    fc_error *error);

const fc__layout *fc__plan_layout(const fc__plan *plan);
size_t fc__plan_job_count(const fc__plan *plan);
const fc__job *fc__plan_job(const fc__plan *plan, size_t index);
int fc__plan_run(fc__plan *plan, size_t index, const fc__sink *sink, fc_error *error);

/* After all jobs have run: false if they met missing values that the plan has no place for.
 * fc__plan_again() then gives it new sizes and jobs, all of which must run. */
bool fc__plan_stands(const fc__plan *plan);
int fc__plan_again(fc__plan *plan, fc_error *error);

/* For sharing columns. sources: per segment, the address at which its bytes, padding
 * included, would begin in the producer's memory, or NULL when they are not taken from one
 * run of it as they are. is_segment: whether the bytes at `base`, readable to the segment's
 * length, are what the jobs would write. */
void fc__plan_sources(const fc__plan *plan, const void **out);
bool fc__plan_is_segment(const fc__plan *plan, uint32_t segment, const void *base);

/* After all jobs have run: writes layout->body_bytes bytes to `body` (8-byte aligned). */
void fc__plan_encode(const fc__plan *plan, void *body);
void fc__plan_free(fc__plan *plan); /* NULL is fine */

/* ---- Reading ---- */

/* How a frame gets at its bytes. The functions are thread-safe. */
typedef struct fc__source {
    /* The start of segment `index`, mapped at the first call, valid while the context is
     * retained. *bytes: its length. NULL with *error: could not be mapped, or too short. */
    const void *(*segment)(void *context, uint32_t index, uint64_t *bytes,
                           fc_error *error);
    /* References to the lease. release may unmap everything, the body included. */
    void (*retain)(void *context);
    void (*release)(void *context);
    /* A context of its own (one reference) of this very source, whose segments are private
     * copy-on-write mappings; all else alike. */
    int (*open_private)(void *context, void **out, fc_error *error);
    /* Told of each FC_E_CORRUPT that a column gives, so that nobody else meets it. NULL:
     * nobody wants to know. */
    void (*damaged)(void *context);
} fc__source;

typedef struct fc__frame_setup {
    const fc__source *source;
    void *context;    /* of the source; the base frame does not count as a reference */
    const void *body; /* stays where it is until the context's last release */
    uint64_t body_bytes;
    uint32_t segment_count;         /* as the envelope says; the body must agree */
    const uint64_t *segment_bytes;  /* as the envelope says: readable lengths */
    bool writable; /* a private mapping: fc_writable() may be used */
    bool verify;   /* compare a column's checksums when it is first used */
    const uint8_t *hash; /* its 16 bytes, where they are known; stays like the body */
} fc__frame_setup;

/* The base frame of a context: cheap, O(1), checks the body's header only and copies
 * `setup`'s pointers. retain and release of a base frame go to the source, so it lives
 * with its context: whoever owns the context frees it with fc__frame_free() after the
 * last release. Structure is checked when columns are first used; a body or a buffer that
 * does not hold is FC_E_CORRUPT, never a crash. */
int fc__frame_open(fc_frame **out, const fc__frame_setup *setup, fc_error *error);
void fc__frame_free(fc_frame *frame); /* NULL is fine */

/* The source's context of any frame (a select or slice has its base's). */
void *fc__frame_context(const fc_frame *frame);
int64_t fc__frame_rows(const fc_frame *frame);
int64_t fc__frame_columns(const fc_frame *frame);

/* Walks the whole structure and, where they stand, the checksums of all buffers. */
int fc__frame_verify(fc_frame *frame, fc_error *error);
bool fc__frame_has_checksums(const fc_frame *frame); /* of its buffers, to verify by */

/* ---- Building in place ---- */

/* Memory for what is being built. map: makes segment `index` at least `bytes` long,
 * writable, reserved (a store never fails) and charged, its contents kept; it may move. */
typedef struct fc__ground {
    void *context;
    int (*map)(void *context, uint32_t index, uint64_t bytes, void **out,
               fc_error *error);
} fc__ground;

/* Buffers that reach FC__OWN_BYTES lie in segments of their own from the start (numbered
 * from 1; 0 is kept for the small ones), smaller ones in memory until the end, moving to a
 * segment when they outgrow it. `owner` is what the public functions of the cache need to
 * get back at their side. Dictionary and nested types are built through children. */
int fc__build_new(fc_build **out, const struct ArrowSchema *schema, int64_t rows,
                  const fc__ground *ground, void *owner, fc_error *error);
void *fc__build_owner(const fc_build *build);

/* Checks offsets, codes and lengths and makes the plan: its jobs are the small buffers
 * (segment 0 or inline), all other segments are in place already, at the lengths that its
 * layout says (a segment of length 0 has no file). The plan borrows from the build. */
int fc__build_finish(fc_build *build, int64_t rows, bool checksums, fc__plan **plan,
                     fc_error *error);
void fc__build_free(fc_build *build);

#endif
