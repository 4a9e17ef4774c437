/* Coding one block, and checking a table of blocks. See codec.h. */
#include "codec.h"

#include "checksum.h"
#include "status.h"

#include <lz4.h>
#include <string.h>

/* Less gain than a sixteenth is not worth the time of decoding. */
static uint32_t worth_bytes(uint32_t raw_bytes) {
    return raw_bytes - raw_bytes / 16;
}

const void *fc__codec_encode(fc__block *block, const void *raw, void *work) {
    char *coded = work, *shuffled = coded + FC__BLOCK_BYTES;
    const void *from = raw, *stored = raw;
    if (block->width > 1) {
        fc__shuffle(shuffled, raw, block->raw_bytes, block->width);
        from = shuffled;
    }
    int bytes = LZ4_compress_default(from, coded, (int)block->raw_bytes,
                                     (int)worth_bytes(block->raw_bytes));
    block->method = bytes > 0 ? FC__BLOCK_LZ4 : FC__BLOCK_RAW;
    block->stored_bytes = bytes > 0 ? (uint32_t)bytes : block->raw_bytes;
    if (bytes > 0)
        stored = coded;
    else
        block->width = 1;
    block->checksum = fc__checksum(stored, block->stored_bytes);
    return stored;
}

int fc__codec_decode(const fc__block *block, const void *stored, void *raw, void *work) {
    void *to = block->width > 1 ? work : raw;
    if (fc__checksum(stored, block->stored_bytes) != block->checksum)
        return FC_E_CORRUPT;
    if (block->method == FC__BLOCK_RAW)
        memcpy(raw, stored, block->raw_bytes);
    else if (LZ4_decompress_safe(stored, to, (int)block->stored_bytes,
                                 (int)block->raw_bytes) != (int)block->raw_bytes)
        return FC_E_CORRUPT;
    else if (block->width > 1)
        fc__unshuffle(raw, work, block->raw_bytes, block->width);
    return 0;
}

static uint64_t checksum_of(const fc__cold_header *header, const fc__block *blocks) {
    fc__hash hash;
    fc__hash_begin(&hash);
    fc__hash_add(&hash, header, offsetof(fc__cold_header, checksum));
    fc__hash_add(&hash, blocks, header->block_count * sizeof *blocks);
    return fc__hash_end(&hash);
}

void fc__codec_seal(fc__cold_header *header, const fc__block *blocks, uint64_t count,
                    const uint64_t identity[2], uint64_t file_bytes) {
    *header = (fc__cold_header){.magic = FC__COLD_MAGIC,
                                .version = FC__COLD_VERSION,
                                .header_bytes = sizeof *header,
                                .identity = {identity[0], identity[1]},
                                .block_count = count,
                                .file_bytes = file_bytes};
    for (uint64_t i = 0; i < count; i++)
        header->raw_bytes += blocks[i].raw_bytes;
    header->checksum = checksum_of(header, blocks);
}

const char *fc__codec_check_header(const fc__cold_header *header, uint64_t file_bytes,
                                   const uint64_t identity[2]) {
    if (header->magic != FC__COLD_MAGIC || header->header_bytes != sizeof *header)
        return "it is no file of compressed blocks";
    if (header->version != FC__COLD_VERSION)
        return "it has another version";
    if (memcmp(header->identity, identity, sizeof header->identity))
        return "it belongs to another frame";
    if (header->file_bytes != file_bytes)
        return "it does not have the length that its header says";
    if (file_bytes < sizeof *header ||
        header->block_count > (file_bytes - sizeof *header) / sizeof(fc__block))
        return "its block table passes its end";
    return NULL;
}

static bool fits(const fc__cold_header *header, const fc__block *block) {
    uint64_t head = fc__codec_head_bytes(header->block_count);
    return block->raw_bytes && block->raw_bytes <= FC__BLOCK_BYTES &&
           block->stored_bytes && block->stored_bytes <= block->raw_bytes &&
           block->place >= head && block->place <= header->file_bytes &&
           block->stored_bytes <= header->file_bytes - block->place && block->width &&
           (block->method == FC__BLOCK_LZ4 ||
            (block->method == FC__BLOCK_RAW && block->stored_bytes == block->raw_bytes &&
             block->width == 1));
}

const char *fc__codec_check_table(const fc__cold_header *header, const fc__block *blocks,
                                  uint32_t segment_count, const uint64_t *segment_bytes) {
    uint32_t segment = 0;
    uint64_t at = 0;
    if (header->checksum != checksum_of(header, blocks))
        return "the checksum of its block table differs";
    for (uint64_t i = 0; i < header->block_count; i++) {
        while (segment < segment_count && at == segment_bytes[segment]) {
            segment++;
            at = 0;
        }
        if (segment >= segment_count || blocks[i].segment != segment ||
            blocks[i].offset != at || !fits(header, &blocks[i]) ||
            blocks[i].raw_bytes > segment_bytes[segment] - at)
            return "its blocks do not cover the segments";
        at += blocks[i].raw_bytes;
    }
    while (segment < segment_count && at == segment_bytes[segment]) {
        segment++;
        at = 0;
    }
    return segment == segment_count ? NULL : "its blocks do not cover the segments";
}
