/* How a frame is written: content, writer, segments, links, and what a large put pays. Part of
 * engine.h, which includes it. */
#ifndef FC_WRITING_H
#define FC_WRITING_H

#include "engine.h"

/* ---- put.c, segment.c: writing a frame ---- */

/* A frame as its writer sees it: sizes, jobs that write, and the body. */
typedef struct fc__output { /* where the jobs write to; place: NULL, or as in frames.h */
    void *context;
    int (*write)(void *context, uint32_t segment, uint64_t offset, const void *data,
                 size_t bytes, fc_error *error);
    void *(*place)(void *context, uint32_t segment, uint64_t offset, size_t bytes);
} fc__output;

struct fc__content {
    bool inlined;
    uint32_t segment_count;
    const uint64_t *segment_bytes;
    uint64_t body_bytes;
    int64_t rows, columns;
    size_t job_count;
    void *context;
    uint32_t (*job_segment)(void *context, size_t job);
    uint64_t (*job_offset)(void *context, size_t job);
    uint64_t (*job_bytes)(void *context, size_t job);
    int (*run)(void *context, size_t job, const fc__output *output, fc_error *error);
    /* NULL, or whether what the jobs wrote is the frame. If not, `again` makes the content
     * that is. */
    bool (*stands)(void *context);
    int (*again)(void *context, fc__content *out, fc_error *error);
    void (*encode)(void *context, void *body);
    void (*sources)(void *context, const void **out); /* NULL: nothing can be linked */
    bool (*is_segment)(void *context, uint32_t segment, const void *base);
    /* NULL, or writes the data in the place of fc__segments_write(), and charges for it. */
    int (*store)(void *context, fc__writer *writer, fc_error *error);
    bool spread; /* jobs take the processor's time: threads share a segment */
    bool marked; /* FC_PUT_MARKED of the frame that this is a copy of */
    bool hashed; /* the manifest gets the content hash: */
    const uint8_t *hash; /* this one, or NULL: that of what was written */
};

/* ---- afford.c: a large put for which there is no room yet ---- */

typedef struct fc__payment fc__payment;

/* Begins to evict ahead of a put that is then charged while it writes. False: it is not
 * worth it, or somebody else does: charge it whole. */
bool fc__pay_begin(fc__writer *writer, uint64_t units);
/* Before these pages are written; without a payment nothing. FC_E_BUDGET. */
int fc__pay(fc__writer *writer, uint64_t units, fc_error *error);
/* What is left to pay, once all is written. */
int fc__pay_rest(fc__writer *writer, fc_error *error);
void fc__pay_end(fc__writer *writer);
/* A put of so many bytes is worth a thread, or a look for files like its own. */
#ifdef FC_FAULTS /* tests have small frames */
#define FC__LARGE_BYTES ((uint64_t)512 << 10)
#else
#define FC__LARGE_BYTES ((uint64_t)32 << 20)
#endif
#define FC__LARGE_UNITS (FC__LARGE_BYTES / FC__PAGE)

/* A segment that a build has mapped for writing. */
typedef struct fc__ground_map {
    void *start;    /* or NULL */
    uint64_t bytes; /* whole pages: reserved and charged */
} fc__ground_map;

struct fc__writer {
    fc_cache *cache;
    uint32_t fork_generation;
    fc_put_options options;
    fc__hash hash;
    uint32_t record, generation;
    fc__lock lock; /* of the record; fd -1: none taken */
    int manifest;  /* descriptor, leased exclusively */
    bool recycled;
    uint32_t old_segments; /* that a recycled record may have */
    fc__ground_map *grounds;
    uint32_t ground_count;
    int64_t started_ns;
    fc__writer *next, **link; /* of the cache's builds */
    fc__payment *payment; /* or NULL: it is charged already */
    fc_bytes *own_tags; /* of a build: copied from its options */
    uint64_t linked_bytes; /* of segments that are shared with another frame */
    fc__handle *source; /* a second record of this frame, which gives up its place; or NULL */
    uint64_t source_word, sequence;
    int64_t created_ns;
    bool cold; /* compressed: makes no room for itself */
    size_t tag_bytes;
    uint32_t key_bytes;
    uint8_t key[FC__KEY_BYTES];
};

/* Checks key and options and hashes; takes nothing yet. */
int fc__writer_begin(fc__writer *writer, fc_cache *cache, fc_bytes key,
                     const fc_put_options *options, fc_error *error);
/* Writes and publishes. The writer is done for, on failure too. */
int fc__writer_put(fc__writer *writer, const fc__content *content, fc__handle **out,
                   fc_error *error);
/* For builds: a record at once; then each segment as it grows. */
int fc__writer_open(fc__writer *writer, fc_error *error);
int fc__writer_map(fc__writer *writer, uint32_t segment, uint64_t bytes, void **out,
                   fc_error *error);
/* The last two end the writer, commit on failure too. */
int fc__writer_commit(fc__writer *writer, const fc__content *content, fc__handle **out,
                      fc_error *error);
void fc__writer_abort(fc__writer *writer);

/* From the key lock to the CAS, with the manifest of `bytes` bytes complete in `buffer` but
 * for sequence and checksum. On failure the record is still the writer's. */
int fc__publish(fc__writer *writer, char *buffer, uint64_t bytes, uint64_t units,
                fc__handle **out, fc_error *error);

/* ---- cache_hash.c ---- */

/* The content hash of what a writer has written, whose body and inline data are in memory;
 * false if it could not be had, and the frame is none the worse. */
bool fc__hash_written(const fc__writer *writer, const fc__content *content,
                      const void *body, const void *data, uint8_t out[16]);

/* ---- link.c: a segment that a frame has already ---- */

/* Segments of the content that lie in this process's mappings of frames, linked instead of
 * copied: sets linked[i]. */
#define FC__SHARED_BYTES ((uint64_t)1 << 20) /* a segment of its own: worth a link */
void fc__link_segments(fc__writer *writer, const fc__content *content, bool *linked);
uint64_t fc__shared_bytes(const fc_cache *cache, const fc__manifest *manifest,
                          const uint64_t *lengths);

/* Writes all segments that have jobs, and brings the files to their lengths. */
int fc__segments_write(fc__writer *writer, const fc__content *content, fc_error *error);
/* Runs it in this thread and in as many others as the settings allow, `worth` in all. */
void fc__in_threads(fc_cache *cache, uint64_t worth, void *(*run)(void *), void *context);
/* True if the files of the record hold half of the content's pages at least. */
bool fc__segments_fit(fc_cache *cache, uint32_t record, const fc__content *content);
/* A new file for this segment; one left over under its name goes first. */
int fc__create_file(fc_cache *cache, const char *name);
int fc__fail_write(fc_cache *cache, int sys_errno, const char *what, fc_error *error);

#endif
