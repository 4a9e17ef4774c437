/* The body of a manifest: what a frame is, as bytes. Written by frames/encode.c, read by
 * frames/decode.c, described in docs/format.md. Everything is little-endian; offsets are
 * from the start of the body. The body holds no file names and no pointers: a buffer is a
 * place in a numbered segment. Around it stands the manifest's envelope (src/layout.h),
 * whose checksum covers it. */
#ifndef FC_BODY_H
#define FC_BODY_H

#include <stdint.h>

#define FC__BODY_MAGIC   0x31444243u /* "FCBD" */
#define FC__BODY_VERSION 1u
#define FC__NONE         0xffffffffu
#define FC__MAX_DEPTH    64

/* Layout rules. A column whose buffers reach FC__OWN_BYTES gets a segment of its own. When
 * all buffers together fit FC__INLINE_BYTES they stand in the manifest file, as segment 0
 * with FC__BODY_INLINE set. Otherwise the smaller columns share segment 0. Each buffer
 * begins at a multiple of 64 and is followed by at least 64 zero bytes (within its
 * segment). In the shared segment a column of FC__PAGE_BYTES * 16 or more begins on a page. */
#define FC__OWN_BYTES    (1u << 20)
#define FC__INLINE_BYTES (64u << 10)
#define FC__PAGE_BYTES   4096u
#define FC__ALIGN        64u

#define FC__BODY_INLINE    1u /* segment 0 is the data region of the manifest file */
#define FC__BODY_CHECKSUMS 2u /* every fc__body_buffer.checksum stands */
#define FC__BODY_FORMS     4u /* a format may be another form than the stored one */

typedef struct fc__body_header {
    uint32_t magic, version;
    uint64_t body_bytes;
    int64_t rows;
    uint32_t flags;
    uint32_t segment_count;
    uint32_t node_count; /* node 0 is the root struct; columns are nodes 1..child_count */
    uint32_t buffer_count;
    uint32_t nodes_offset, buffers_offset; /* multiples of 8 */
    uint64_t strings_offset, strings_bytes;
    uint64_t reserved;
} fc__body_header;
_Static_assert(sizeof(fc__body_header) == 72, "fc__body_header");

/* A field with its array: breadth first, so that the children of a node are neighbours. */
typedef struct fc__body_node {
    uint32_t name, name_bytes;         /* in strings; NUL behind, not counted */
    uint32_t format, format_bytes;     /* Arrow's; NUL behind, not counted */
    uint32_t metadata, metadata_bytes; /* Arrow's encoding; FC__NONE: none */
    uint32_t flags;                    /* ARROW_FLAG_* */
    uint32_t type;                     /* fc_type as stored */
    uint32_t first_child, child_count; /* child_count 0: first_child is 0 */
    uint32_t dictionary;               /* node of the dictionary's values, or 0 */
    uint32_t first_buffer, buffer_count;
    uint32_t has_range; /* min and max stand */
    int64_t length, null_count;
    uint8_t min[8], max[8]; /* as in the values buffer, for values of up to 8 bytes */
} fc__body_node;
_Static_assert(sizeof(fc__body_node) == 88, "fc__body_node");

/* A buffer of the Arrow columnar format, in the order of the specification. One that is
 * not there (a bitmap without nulls) has 0 bytes and FC__NONE as segment; one that is
 * there but has nothing in it has 0 bytes and a valid place. */
typedef struct fc__body_buffer {
    uint32_t segment, reserved;
    uint64_t offset, bytes;
    uint64_t checksum; /* XXH3-64 of the bytes; FC__BODY_CHECKSUMS */
} fc__body_buffer;
_Static_assert(sizeof(fc__body_buffer) == 32, "fc__body_buffer");

#endif
