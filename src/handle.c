/* The mappings of one handle: its manifest, and its segments as they are first used. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>

#define HELD_STEP_NS 200000 /* between two looks at a file that another has a lease on */

static const _Alignas(64) uint8_t nothing[128];

static const uint64_t *lengths(const fc__handle *handle) {
    return (const uint64_t *)((const char *)handle->manifest +
                              handle->manifest->segments_offset);
}

static const void *inline_data(const fc__handle *handle) {
    const char *base = handle->private_map ? handle->private_map : handle->map;
    return base + handle->manifest->data_offset;
}

/* Inside the gate; -1 with errno. ENODATA: the file is shorter than the manifest says; EBUSY:
 * another process has a write lease on it (fc__os_sole(), or no program of ours). */
static int map_segment(fc__handle *handle, uint32_t index, uint64_t bytes) {
    fc_cache *cache = handle->cache;
    char name[24];
    struct stat info;
    void *map = NULL, *none = NULL;
    fc__segment_name(name, handle->record, index);
    int fd = fc__os_open_file(cache->frames, name, O_RDONLY, 0, cache->owner, true);
    if (fd < 0) {
        errno = errno == ENOENT || errno == FC__FOREIGN ? ENODATA
                : errno == EAGAIN                       ? EBUSY
                                                        : errno;
        return -1;
    }
    if (fc__os_stat(fd, &info) == 0) {
        if ((uint64_t)info.st_size >= bytes)
            map = fc__os_map(fd, bytes, handle->base ? FC__MAP_PRIVATE : FC__MAP_READ);
        else
            errno = ENODATA;
    }
    fc__os_close(fd);
    if (!map)
        return -1;
    if (cache->settings.huge)
        fc__os_huge(map, bytes);
    if (handle->inspected)
        fc__os_not_in_children(map, bytes);
    /* Release: pairs with the acquire of fc__handle_segment(). */
    if (!atomic_compare_exchange_strong(&handle->segments[index], &none, map))
        fc__os_unmap(map, bytes);
    else
        atomic_fetch_add(&cache->mappings, 1);
    return 0;
}

static int fail_segment(fc__handle *handle, uint32_t index, int sys_errno,
                        fc_error *error) {
    char text[80];
    fc_bytes key = {handle->key, handle->key_bytes};
    fc__key_text(text, key);
    if (sys_errno == ENODATA) {
        if (!handle->inspected)
            fc__drop_damaged(handle->cache, handle->hash, handle->slot, handle->word);
        return fc__fail(error, FC_E_CORRUPT,
                        "segment %u of the frame under key '%s' is missing or too short%s",
                        index, text, handle->inspected
                                         ? ""
                                         : "; the frame has been dropped: put it again");
    }
    if (sys_errno == EMFILE || sys_errno == ENFILE || sys_errno == ENOMEM ||
        sys_errno == EAGAIN) /* locked in memory, beyond its limit */
        return fc__fail_errno(error, FC_E_NOMEM, sys_errno,
                              "no descriptor or mapping left for segment %u of key '%s' (see "
                              "ulimit -n and vm.max_map_count)", index, text);
    if (sys_errno == EBUSY)
        return fc__fail(error, FC_E_BUSY, "the file of segment %u of key '%s' is held by "
                        "another process (is it stopped?): try again", index, text);
    return fc__fail_errno(error, FC_E_SYSTEM, sys_errno, "cannot map segment %u of key '%s'",
                          index, text);
}

/* 0, or errno. Who has a write lease on the file gives it back at once, unless it is stopped. */
static int map_patiently(fc__handle *handle, uint32_t index, uint64_t bytes) {
    int64_t end = 0;
    for (;;) {
        fc__gate_enter();
        int sys_errno = map_segment(handle, index, bytes) < 0 ? errno : 0;
        fc__gate_leave();
        int64_t now = sys_errno == EBUSY ? fc__os_monotonic_ns() : 0;
        if (!end)
            end = now + handle->cache->settings.reclaim_wait_ms * 1000000;
        if (sys_errno != EBUSY || now >= end)
            return sys_errno;
        fc__os_sleep_ns(HELD_STEP_NS);
    }
}

const void *fc__handle_segment(fc__handle *handle, uint32_t index, uint64_t *bytes,
                               fc_error *error) {
    const fc__manifest *m = handle->manifest;
    *bytes = 0;
    if (index >= m->segment_count) {
        fail_segment(handle, index, ENODATA, error);
        return NULL;
    }
    *bytes = m->flags & FC__MANIFEST_INLINE ? m->data_bytes : lengths(handle)[index];
    if (!*bytes)
        return nothing;
    if (m->flags & FC__MANIFEST_INLINE)
        return inline_data(handle);
    void *map = atomic_load_explicit(&handle->segments[index], memory_order_acquire);
    if (map)
        return map;
    int sys_errno = map_patiently(handle, index, *bytes);
    if (sys_errno && sys_errno != ENODATA && sys_errno != EBUSY) {
        fc__table_drop_idle(handle->cache, false); /* perhaps our idle mappings are too many */
        sys_errno = map_patiently(handle, index, *bytes);
    }
    if (sys_errno) {
        fail_segment(handle, index, sys_errno, error);
        return NULL;
    }
    return atomic_load_explicit(&handle->segments[index], memory_order_acquire);
}

/* Segments first, the manifest with its lease last: no file of a frame is ever mapped
 * without the lease. */
void fc__handle_unmap(fc__handle *handle) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < handle->segment_count; i++) {
        void *map = atomic_exchange(&handle->segments[i], NULL);
        if (map) {
            fc__os_unmap(map, lengths(handle)[i]);
            count++;
        }
    }
    if (handle->private_map) {
        fc__os_unmap(handle->private_map, handle->map_bytes);
        count++;
    }
    if (!handle->base) {
        fc__os_unmap(handle->map, handle->map_bytes);
        count++;
    }
    atomic_fetch_sub(&handle->cache->mappings, count);
}

/* The file cannot have changed: the base holds its lease. */
static int map_private_manifest(fc__handle *handle) {
    char name[16];
    fc__manifest_name(name, handle->record);
    fc__gate_enter();
    int fd = fc__os_open_file(handle->cache->frames, name, O_RDONLY, 0,
                              handle->cache->owner, false);
    if (fd >= 0) {
        handle->private_map = fc__os_map(fd, handle->map_bytes, FC__MAP_PRIVATE);
        fc__os_close(fd);
    }
    int sys_errno = errno;
    fc__gate_leave();
    errno = sys_errno;
    if (!handle->private_map)
        return -1;
    atomic_fetch_add(&handle->cache->mappings, 1);
    return 0;
}

int fc__handle_private(fc__handle *handle, fc__handle **out, fc_error *error) {
    fc_bytes key = {handle->key, handle->key_bytes};
    fc__handle *base = handle->base ? handle->base : handle;
    fc__handle *copy = fc__handle_new(handle->cache, handle->hash, handle->word,
                                      handle->slot, key, handle->segment_count, 0);
    *out = NULL;
    if (!copy)
        return fc__fail(error, FC_E_NOMEM, "no memory for a private frame");
    copy->manifest = base->manifest;
    copy->map = base->map;
    copy->map_bytes = base->map_bytes;
    copy->base = base;
    fc__handle_retain(base);
    int status = 0;
    if ((base->manifest->flags & FC__MANIFEST_INLINE) && map_private_manifest(copy) < 0)
        status = fail_segment(copy, 0, errno, error);
    if (status) {
        fc__handle_release(copy);
        return status;
    }
    pthread_mutex_lock(&handle->cache->lists_mutex);
    copy->next = handle->cache->privates;
    handle->cache->privates = copy;
    pthread_mutex_unlock(&handle->cache->lists_mutex);
    *out = copy;
    return 0;
}

void fc__private_forget(fc__handle *handle) {
    fc_cache *cache = handle->cache;
    pthread_mutex_lock(&cache->lists_mutex);
    fc__handle **at = &cache->privates;
    while (*at && *at != handle)
        at = &(*at)->next;
    if (*at)
        *at = handle->next;
    handle->next = NULL;
    pthread_mutex_unlock(&cache->lists_mutex);
}

static uint64_t private_bytes(const fc__handle *handle) {
    uint64_t bytes = 0;
    if (handle->private_map)
        bytes += fc__os_private_bytes(handle->private_map, handle->map_bytes);
    for (uint32_t i = 0; i < handle->segment_count; i++) {
        const void *map = atomic_load(&handle->segments[i]);
        if (map)
            bytes += fc__os_private_bytes(map, lengths(handle)[i]);
    }
    return bytes;
}

uint64_t fc__private_bytes(fc_cache *cache) {
    uint64_t bytes = 0;
    pthread_mutex_lock(&cache->lists_mutex);
    for (const fc__handle *h = cache->privates; h; h = h->next)
        bytes += private_bytes(h);
    pthread_mutex_unlock(&cache->lists_mutex);
    return bytes;
}

const uint64_t *fc__handle_lengths(const fc__handle *handle) {
    return lengths(handle);
}

bool fc__handle_maps(const fc__handle *handle, const void *start, uint64_t bytes,
                     uint32_t *segment) {
    for (uint32_t i = 0; i < handle->segment_count; i++)
        if (atomic_load_explicit(&handle->segments[i], memory_order_relaxed) == start &&
            lengths(handle)[i] == bytes) {
            *segment = i;
            return true;
        }
    return false;
}

bool fc__handle_has(const fc__handle *handle, const void *start, uint64_t bytes,
                    uint32_t *segment) {
    for (uint32_t i = 0; i < handle->segment_count; i++) {
        const char *map = atomic_load_explicit(&handle->segments[i], memory_order_relaxed);
        uint64_t offset = (uintptr_t)start - (uintptr_t)map;
        if (map && offset <= lengths(handle)[i] && bytes <= lengths(handle)[i] - offset) {
            *segment = i;
            return true;
        }
    }
    return false;
}

uint64_t fc__handle_bytes(const fc__handle *handle) {
    uint64_t bytes = handle->base ? 0 : handle->map_bytes;
    for (uint32_t i = 0; i < handle->segment_count; i++)
        if (atomic_load_explicit(&handle->segments[i], memory_order_relaxed))
            bytes += lengths(handle)[i];
    return bytes;
}

int fc__handle_populate(fc__handle *handle) {
    for (uint32_t i = 0; i < handle->segment_count; i++) {
        uint64_t bytes;
        const void *start = fc__handle_segment(handle, i, &bytes, NULL);
        if (!start)
            return FC_E_NOMEM;
        if (bytes)
            fc__os_populate(start, bytes);
    }
    return 0;
}
