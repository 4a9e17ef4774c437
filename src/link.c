/* Shared columns: a segment whose bytes lie in a frame that this process maps is linked
 * under the new record's name instead of written. Each name is charged, since each keeps the
 * bytes; a file with more than one name is never written again (segment.c looks). The
 * source's lease, which its handle holds, keeps the file as it is. A private mapping may
 * have been stored to: it is linked only if the kernel says that no page of it was. */
#include "engine.h"

#include <string.h>

static bool same_bytes(const fc__handle *handle, const fc__content *content, uint32_t segment,
                       const void *start) {
    return content->is_segment(content->context, segment, start) &&
           (!handle->base ||
            fc__os_is_untouched(start, content->segment_bytes[segment]));
}

static bool link_segment(fc__writer *writer, const fc__content *content, uint32_t segment,
                         const void *start) {
    fc_cache *cache = writer->cache;
    uint64_t bytes = content->segment_bytes[segment];
    uint32_t from;
    char old_name[24], new_name[24];
    bool linked = false;
    fc__handle *handle = fc__table_find_segment(cache, start, bytes, &from);
    if (!handle)
        return false;
    if (same_bytes(handle, content, segment, start)) {
        fc__segment_name(old_name, handle->record, from);
        fc__segment_name(new_name, writer->record, segment);
        fc__os_unlink(cache->frames, new_name); /* of a recycled record */
        linked = fc__pay(writer, fc__units(bytes), NULL) == 0 &&
                 fc__os_link(cache->frames, old_name, new_name) == 0;
    }
    fc__handle_release(handle);
    if (linked) {
        writer->linked_bytes += bytes;
        fc__count(cache, FC__COUNT_linked_columns, 1);
        fc__count(cache, FC__COUNT_linked_bytes, bytes);
    }
    return linked;
}

void fc__link_segments(fc__writer *writer, const fc__content *content, bool *linked) {
    const void **sources;
    memset(linked, 0, content->segment_count);
    if (!content->sources || writer->ground_count)
        return;
    sources = fc__malloc(content->segment_count * sizeof *sources);
    if (!sources)
        return; /* copied then */
    content->sources(content->context, sources);
    for (uint32_t i = 0; i < content->segment_count; i++)
        if (sources[i] && content->segment_bytes[i] >= FC__SHARED_BYTES)
            linked[i] = link_segment(writer, content, i, sources[i]);
    fc__free(sources);
}

uint64_t fc__shared_bytes(const fc_cache *cache, const fc__manifest *manifest,
                          const uint64_t *lengths) {
    char name[24];
    struct stat info;
    uint64_t bytes = 0;
    const _Atomic uint64_t *count = &cache->control->counters[FC__COUNT_linked_columns];
    if ((manifest->flags & FC__MANIFEST_INLINE) ||
        !(atomic_load_explicit(count, memory_order_relaxed) +
          atomic_load_explicit(&cache->counters[FC__COUNT_linked_columns],
                               memory_order_relaxed)))
        return 0; /* the usual case costs nothing */
    for (uint32_t i = 0; i < manifest->segment_count; i++) {
        fc__segment_name(name, manifest->record, i);
        if (lengths[i] >= FC__SHARED_BYTES &&
            fc__os_stat_at(cache->frames, name, &info) == 0 && info.st_nlink > 1)
            bytes += lengths[i];
    }
    return bytes;
}
