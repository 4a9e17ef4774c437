/* Tags: short byte strings in the manifest, behind the key; a filter of one bit each in the
 * record says which manifests are worth a look. */
#include "engine.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int fc__tags_check(const fc_bytes *tags, size_t count, fc_error *error) {
    if (count > FC__MAX_TAGS || (count && !tags))
        return fc__fail(error, FC_E_INVALID, "%zu tags: a frame has at most %u", count,
                        FC__MAX_TAGS);
    for (size_t i = 0; i < count; i++)
        if (!tags[i].data || !tags[i].size || tags[i].size > FC__TAG_BYTES)
            return fc__fail(error, FC_E_INVALID, "a tag has 1 to %u bytes, tag %zu has %zu",
                            FC__TAG_BYTES, i, tags[i].size);
    return 0;
}

size_t fc__tags_bytes(const fc_bytes *tags, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += 1 + tags[i].size;
    return bytes;
}

void fc__tags_write(uint8_t *out, const fc_bytes *tags, size_t count) {
    for (size_t i = 0; i < count; i++) {
        *out++ = (uint8_t)tags[i].size;
        memcpy(out, tags[i].data, tags[i].size);
        out += tags[i].size;
    }
}

uint64_t fc__tags_filter(const fc_bytes *tags, size_t count) {
    uint64_t filter = 0;
    for (size_t i = 0; i < count; i++)
        filter |= 1ull << (XXH3_64bits(tags[i].data, tags[i].size) & 63);
    return filter;
}

bool fc__tags_read(const uint8_t *from, size_t bytes, size_t count, fc_bytes *out) {
    for (size_t i = 0; i < count; i++) {
        if (bytes < 1 || bytes - 1 < from[0] || !from[0])
            return false;
        if (out)
            out[i] = (fc_bytes){from + 1, from[0]};
        bytes -= 1u + from[0];
        from += 1 + from[0];
    }
    return true;
}

const fc_bytes *fc__handle_tags(fc__handle *handle) {
    const fc__manifest *m = handle->manifest;
    fc_bytes *made, *seen = atomic_load_explicit(&handle->tags, memory_order_acquire);
    if (seen || !m->tag_count)
        return seen;
    made = fc__malloc(m->tag_count * sizeof *made);
    if (!made)
        return NULL;
    fc__tags_read((const uint8_t *)(m + 1) + m->key_bytes, FC__TAGS_BYTES, m->tag_count,
                  made);
    /* Release: pairs with the acquire above, in another thread. */
    if (atomic_compare_exchange_strong(&handle->tags, &seen, made))
        return made;
    fc__free(made);
    return seen;
}
