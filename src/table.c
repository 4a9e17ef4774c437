/* The frames that this process has mapped, by key. A hit re-reads the slot's word and takes
 * a reference: no system call. Handles without references stay mapped, so that their page
 * tables stay warm, until the table is full (the clock algorithm, Corbato 1968) or the
 * pressure epoch moves. Shards are locked by a word each; the lock is held for some tens of
 * instructions. Whoever takes a handle out of the table unmaps it before it leaves the gate,
 * so that a forked child never inherits a mapping that it does not know of. */
#include "engine.h"

#include <sched.h>
#include <string.h>

#define RECLAIM_TRIES    20
#define RECLAIM_PAUSE_NS 50000

static inline fc__shard *shard_of(const fc_cache *cache, fc__hash hash) {
    return &cache->shards[hash.low >> 20 & (FC__SHARDS - 1)];
}

static inline fc__handle **bucket_of(fc__shard *shard, fc__hash hash) {
    return &shard->buckets[hash.low >> 26 & (FC__SHARD_BUCKETS - 1)];
}

static inline void lock(fc__shard *shard) {
    uint32_t open = 0;
    /* Acquire: pairs with the release of unlock(). */
    while (!atomic_compare_exchange_weak_explicit(&shard->lock, &open, 1,
                                                  memory_order_acquire,
                                                  memory_order_relaxed)) {
        open = 0;
        sched_yield();
    }
}

static inline void unlock(fc__shard *shard) {
    atomic_store_explicit(&shard->lock, 0, memory_order_release);
}

/* Whether the index still holds this handle's frame. Pairs, when it does, with the CAS that
 * published it; a stale answer only means that the get came before the replacement. */
static inline bool current(const fc__handle *handle) {
    return atomic_load_explicit(&handle->cache->slots[handle->slot],
                                memory_order_acquire) == handle->word;
}

static void unlink_handle(fc__shard *shard, fc__handle *handle) {
    fc__handle **at = bucket_of(shard, handle->hash);
    while (*at != handle)
        at = &(*at)->next;
    *at = handle->next;
    handle->next = NULL;
    handle->in_table = false;
    shard->count--;
}

static inline bool same_key(const fc__handle *handle, fc__hash hash, fc_bytes key) {
    return handle->hash.low == hash.low && handle->hash.high == hash.high &&
           handle->key_bytes == key.size && !memcmp(handle->key, key.data, key.size);
}

/* Fresh, or stale and asked for. */
static inline bool wanted(const fc_cache *cache, const fc__handle *handle, uint32_t flags) {
    const fc__record *record = &cache->records[handle->record];
    int64_t since;
    return flags & FC_GET_STALE ? !fc__record_gone(cache, record, &since)
                                : !fc__record_expired(cache, record, &since);
}

fc__handle *fc__table_get(fc_cache *cache, fc__hash hash, fc_bytes key, uint32_t flags) {
    fc__shard *shard = shard_of(cache, hash);
    bool use = !(flags & FC_GET_PEEK);
    lock(shard);
    fc__handle *handle = *bucket_of(shard, hash);
    while (handle && !same_key(handle, hash, key))
        handle = handle->next;
    if (handle && (!current(handle) || !wanted(cache, handle, flags)))
        handle = NULL;
    if (handle) {
        handle->refs++;
        handle->hot = true;
        shard->hits += use;
    }
    unlock(shard);
    if (handle && use)
        fc__record_use(cache, &cache->records[handle->record]);
    return handle;
}

/* An idle handle that was not used since the hand last passed; NULL if all are in use. */
static fc__handle *clock_victim(fc__shard *shard) {
    for (uint32_t i = 0; i < 2 * FC__SHARD_BUCKETS; i++) {
        shard->hand = (shard->hand + 1) & (FC__SHARD_BUCKETS - 1);
        for (fc__handle *h = shard->buckets[shard->hand]; h; h = h->next) {
            if (h->refs)
                continue;
            if (!h->hot)
                return h;
            h->hot = false;
        }
    }
    return NULL;
}

static void drop(fc__shard *shard, fc__handle *handle, fc__handle **dropped) {
    unlink_handle(shard, handle);
    handle->next = *dropped;
    *dropped = handle;
}

static bool full(const fc_cache *cache, const fc__shard *shard) {
    return shard->count >= FC__MAX_MAPPINGS / FC__SHARDS ||
           atomic_load_explicit(&cache->mappings, memory_order_relaxed) >= FC__MAX_MAPPINGS;
}

void fc__table_insert(fc__handle *handle, fc__handle **dropped) {
    fc_cache *cache = handle->cache;
    fc__shard *shard = shard_of(cache, handle->hash);
    fc__handle *old, *victim, *list = NULL;
    lock(shard);
    for (old = *bucket_of(shard, handle->hash); old; old = old->next)
        if (old->hash.low == handle->hash.low && old->hash.high == handle->hash.high)
            break;
    if (old && old->refs)
        unlink_handle(shard, old); /* freed by its last release */
    else if (old)
        drop(shard, old, &list);
    if (full(cache, shard) && (victim = clock_victim(shard)))
        drop(shard, victim, &list);
    fc__handle **bucket = bucket_of(shard, handle->hash);
    handle->next = *bucket;
    *bucket = handle;
    handle->in_table = true;
    handle->hot = true;
    shard->count++;
    unlock(shard);
    for (fc__handle *h = list; h; h = h->next)
        fc__handle_unmap(h);
    *dropped = list;
}

void fc__handle_retain(fc__handle *handle) {
    fc__shard *shard = shard_of(handle->cache, handle->hash);
    lock(shard);
    handle->refs++;
    unlock(shard);
}

static inline bool stays(const fc__handle *handle) {
    return handle->in_table && current(handle) &&
           !atomic_load_explicit(&handle->cache->closed, memory_order_relaxed);
}

/* The last reference of a handle that does not stay. Gate before shard, so all is looked
 * at again. */
static void release_last(fc__handle *handle, fc__shard *shard) {
    fc__gate_enter();
    lock(shard);
    bool gone = --handle->refs == 0 && !stays(handle);
    if (gone && handle->in_table)
        unlink_handle(shard, handle);
    unlock(shard);
    if (gone)
        fc__handle_unmap(handle);
    fc__gate_leave();
    if (gone)
        fc__handles_free(handle);
}

void fc__handle_release(fc__handle *handle) {
    fc__shard *shard = shard_of(handle->cache, handle->hash);
    lock(shard);
    bool simple = handle->refs > 1 || stays(handle);
    if (simple)
        handle->refs--;
    unlock(shard);
    if (!simple)
        release_last(handle, shard);
}

bool fc__table_drop_key(fc_cache *cache, fc__hash hash, uint64_t word) {
    fc__shard *shard = shard_of(cache, hash);
    fc__handle *dropped = NULL;
    bool in_use = false;
    fc__gate_enter();
    lock(shard);
    fc__handle *handle = *bucket_of(shard, hash);
    while (handle && (handle->word != word || handle->hash.high != hash.high))
        handle = handle->next;
    if (handle && handle->refs)
        in_use = true;
    else if (handle)
        drop(shard, handle, &dropped);
    unlock(shard);
    if (dropped)
        fc__handle_unmap(dropped);
    fc__gate_leave();
    if (dropped) { /* the caller reclaims the record */
        fc__handle_free_frame(dropped);
        fc__free(dropped);
        fc__cache_unref(cache);
    }
    return in_use;
}

bool fc__table_has(fc_cache *cache, fc__hash hash, uint64_t word, bool *used) {
    fc__shard *shard = shard_of(cache, hash);
    bool found = false;
    *used = false;
    lock(shard);
    for (const fc__handle *h = *bucket_of(shard, hash); h && !found; h = h->next)
        if (h->word == word && h->hash.high == hash.high) {
            found = true;
            *used = h->refs;
        }
    unlock(shard);
    return found;
}

static void collect_idle(fc__shard *shard, bool stale_only, fc__handle **list) {
    for (uint32_t b = 0; b < FC__SHARD_BUCKETS; b++)
        for (fc__handle **at = &shard->buckets[b]; *at;) {
            fc__handle *handle = *at;
            if (handle->refs || (stale_only && current(handle))) {
                at = &handle->next;
                continue;
            }
            *at = handle->next;
            handle->in_table = false;
            handle->next = *list;
            *list = handle;
            shard->count--;
        }
}

/* A shard at a time, so that a fork or a get never waits for thousands of unmaps. */
uint32_t fc__table_drop_idle(fc_cache *cache, bool stale_only) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < FC__SHARDS; i++) {
        fc__shard *shard = &cache->shards[i];
        fc__handle *list = NULL;
        fc__gate_enter();
        lock(shard);
        if (shard->count)
            collect_idle(shard, stale_only, &list);
        unlock(shard);
        for (fc__handle *h = list; h; h = h->next, count++)
            fc__handle_unmap(h);
        fc__gate_leave();
        fc__handles_free(list);
    }
    return count;
}

/* Two that let go of a dead frame at once: who comes first to its record finds the other's
 * lease, so the other, whose lease has gone, must not be put off by that one's lock. */
static fc__reclaimed reclaim_dead(const fc__handle *handle) {
    uint64_t status = fc__status(FC__LIVE, fc__word_generation(handle->word));
    fc__reclaimed result;
    int tries = 0;
    while ((result = fc__reclaim_record(handle->cache, handle->record, status,
                                        FC__RECLAIM_POOL, FC_MISS_DELETED)) == FC__BUSY &&
           !handle->cache->read_only && ++tries < RECLAIM_TRIES)
        fc__os_sleep_ns(RECLAIM_PAUSE_NS);
    return result;
}

void fc__handles_free(fc__handle *list) {
    while (list) {
        fc__handle *handle = list;
        fc_cache *cache = handle->cache;
        list = handle->base ? NULL : handle->next; /* private copies go one by one */
        if (handle->base) {
            fc__private_forget(handle);
            fc__handle_release(handle->base);
        } else if (!current(handle) && reclaim_dead(handle) == FC__LEASED)
            fc__notice(cache); /* idle elsewhere, perhaps */
        fc__handle_free_frame(handle);
        fc__free(handle);
        fc__cache_unref(cache);
    }
}

typedef bool (*maps_fn)(const fc__handle *handle, const void *start, uint64_t bytes,
                        uint32_t *segment);

static fc__handle *find_in_shard(fc__shard *shard, maps_fn maps, const void *start,
                                 uint64_t bytes, uint32_t *segment) {
    fc__handle *found = NULL;
    lock(shard);
    for (uint32_t b = 0; shard->count && !found && b < FC__SHARD_BUCKETS; b++)
        for (fc__handle *h = shard->buckets[b]; h && !found; h = h->next)
            if (maps(h, start, bytes, segment)) {
                found = h;
                h->refs++;
            }
    unlock(shard);
    return found;
}

/* Frames that were replaced are not in the table, but handles of such that are in use are
 * rare; private copies are in a list. Inside the gate, since fork takes the locks the other
 * way round. */
static fc__handle *find(fc_cache *cache, maps_fn maps, const void *start, uint64_t bytes,
                        uint32_t *segment) {
    fc__handle *found = NULL;
    fc__gate_enter();
    for (uint32_t i = 0; i < FC__SHARDS && !found; i++)
        found = find_in_shard(&cache->shards[i], maps, start, bytes, segment);
    pthread_mutex_lock(&cache->lists_mutex);
    for (fc__handle *h = cache->privates; h && !found; h = h->next) {
        fc__shard *shard = shard_of(cache, h->hash);
        lock(shard);
        if (h->refs && maps(h, start, bytes, segment)) {
            found = h;
            h->refs++;
        }
        unlock(shard);
    }
    pthread_mutex_unlock(&cache->lists_mutex);
    fc__gate_leave();
    return found;
}

fc__handle *fc__table_find_segment(fc_cache *cache, const void *start, uint64_t bytes,
                                   uint32_t *segment) {
    return find(cache, fc__handle_maps, start, bytes, segment);
}

fc__handle *fc__table_find_range(fc_cache *cache, const void *start, uint64_t bytes,
                                 uint32_t *segment) {
    return find(cache, fc__handle_has, start, bytes, segment);
}

void fc__table_lock_all(fc_cache *cache) {
    for (uint32_t i = 0; i < FC__SHARDS; i++)
        lock(&cache->shards[i]);
}

void fc__table_unlock_all(fc_cache *cache, bool in_child) {
    for (uint32_t i = 0; i < FC__SHARDS; i++) {
        if (in_child)
            cache->shards[i].hits = 0; /* the parent's */
        unlock(&cache->shards[i]); /* a plain word: the child's copy is its own */
    }
}

/* In a forked child: the parent keeps its leases, the child gives up what it does not use.
 * Nothing is reclaimed here: the parent does that. */
void fc__table_forget_idle(fc_cache *cache) {
    for (uint32_t i = 0; i < FC__SHARDS; i++) {
        fc__handle *list = NULL;
        collect_idle(&cache->shards[i], false, &list);
        while (list) {
            fc__handle *handle = list;
            list = handle->next;
            fc__handle_unmap(handle);
            fc__handle_free_frame(handle);
            fc__free(handle);
            atomic_fetch_sub(&cache->references, 1);
        }
    }
}

void fc__table_stat(fc_cache *cache, fc__table_stats *out) {
    *out = (fc__table_stats){0};
    for (uint32_t i = 0; i < FC__SHARDS; i++) {
        fc__shard *shard = &cache->shards[i];
        lock(shard);
        out->hits += shard->hits;
        shard->hits = 0;
        for (uint32_t b = 0; b < FC__SHARD_BUCKETS; b++)
            for (fc__handle *h = shard->buckets[b]; h; h = h->next) {
                uint64_t bytes = fc__handle_bytes(h);
                out->frames++;
                out->bytes += bytes;
                out->idle_frames += h->refs == 0;
                out->idle_bytes += h->refs ? 0 : bytes;
            }
        unlock(shard);
    }
}

fc__handle *fc__handle_new(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot,
                           fc_bytes key, uint32_t segment_count, size_t head_bytes) {
    size_t fixed = sizeof(fc__handle) + segment_count * sizeof(_Atomic(void *));
    fc__handle *handle = fc__malloc(fixed + head_bytes + key.size);
    if (!handle)
        return NULL;
    memset(handle, 0, fixed);
    handle->hash = hash;
    handle->word = word;
    handle->slot = slot;
    handle->record = fc__word_record(word);
    handle->refs = 1;
    handle->cache = cache;
    handle->segment_count = segment_count;
    handle->key_bytes = (uint32_t)key.size;
    handle->key = (uint8_t *)handle + fixed + head_bytes;
    memcpy(handle->key, key.data, key.size);
    fc__cache_retain(cache);
    return handle;
}
