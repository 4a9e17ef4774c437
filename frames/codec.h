/* A frame's segments as compressed blocks: a block table, and blocks that are coded and
 * decoded each by itself, so that any number of threads may. A block is up to 256 KiB of one
 * segment, its bytes shuffled by the width of its values where a sample says that this
 * helps, then LZ4, or as it is where that gains nothing. docs/format.md describes the file;
 * what stands in one is input, and is checked before it is followed. */
#ifndef FC_CODEC_H
#define FC_CODEC_H

#include "framecache/framecache.h"

#define FC__COLD_MAGIC   0x3144424c4f434601u /* \1FCOLBD1 */
#define FC__COLD_VERSION 1u
#define FC__BLOCK_BYTES  (256u << 10)

typedef enum fc__block_method { FC__BLOCK_RAW, FC__BLOCK_LZ4 } fc__block_method;

/* The file: header, table, blocks. Identity is the cache's: which frame this is. */
typedef struct fc__cold_header {
    uint64_t magic;
    uint32_t version, header_bytes;
    uint64_t identity[2];
    uint64_t block_count;
    uint64_t raw_bytes;  /* of all segments */
    uint64_t file_bytes; /* of all of the file */
    uint64_t checksum;   /* XXH3-64 of the 56 bytes before it, and of the table */
} fc__cold_header;
_Static_assert(sizeof(fc__cold_header) == 64, "fc__cold_header");

/* In the order of segments and offsets; together they cover each segment once. */
typedef struct fc__block {
    uint64_t offset; /* in the segment */
    uint64_t place;  /* in the file */
    uint64_t checksum; /* XXH3-64 of the stored bytes */
    uint32_t segment;
    uint32_t raw_bytes, stored_bytes;
    uint8_t method, width; /* width: 1 is not shuffled */
    uint16_t reserved;
} fc__block;
_Static_assert(sizeof(fc__block) == 40, "fc__block");

typedef struct fc__codec_plan {
    fc__block *blocks; /* place, checksum, stored_bytes, method: not known yet */
    size_t count;
    uint64_t raw_bytes;
    uint64_t estimated_bytes; /* by a sample */
} fc__codec_plan;

/* Cuts the segments into blocks, at the borders of large buffers, and samples them. All
 * segments are read a little. Freed with fc__codec_plan_free(), on failure too. */
int fc__codec_plan_frame(fc__codec_plan *out, const fc_frame *frame, fc_error *error);
void fc__codec_plan_free(fc__codec_plan *plan);

/* The same for bytes of one width, for who has no frame. */
int fc__codec_plan_bytes(fc__codec_plan *out, const void *data, uint64_t bytes,
                         uint32_t width, fc_error *error);

static inline uint64_t fc__codec_head_bytes(uint64_t block_count) {
    return sizeof(fc__cold_header) + block_count * sizeof(fc__block);
}

/* Codes one block: fills all but `place`, and returns the bytes to store, which are in
 * `work` or are `raw` itself. work: FC__CODEC_WORK_BYTES. */
#define FC__CODEC_WORK_BYTES (2 * FC__BLOCK_BYTES)
const void *fc__codec_encode(fc__block *block, const void *raw, void *work);

/* The other way. FC_E_CORRUPT: the stored bytes are not what the table says. Never writes
 * beyond block->raw_bytes. work: FC__BLOCK_BYTES. */
int fc__codec_decode(const fc__block *block, const void *stored, void *raw, void *work);

/* Fills the header of a table whose blocks are complete. */
void fc__codec_seal(fc__cold_header *header, const fc__block *blocks, uint64_t count,
                    const uint64_t identity[2], uint64_t file_bytes);

/* NULL, or what is wrong with a header and, separately, with the table that it announces:
 * in a file of this length, for segments of these lengths. */
const char *fc__codec_check_header(const fc__cold_header *header, uint64_t file_bytes,
                                   const uint64_t identity[2]);
const char *fc__codec_check_table(const fc__cold_header *header, const fc__block *blocks,
                                  uint32_t segment_count, const uint64_t *segment_bytes);

/* Byte k of value i to place k * count + i, and back; the tail that fills no value follows.
 * Any width from 1 to 255. */
void fc__shuffle(void *out, const void *in, size_t bytes, uint32_t width);
void fc__unshuffle(void *out, const void *in, size_t bytes, uint32_t width);

#endif
