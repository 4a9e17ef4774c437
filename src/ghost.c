/* Ghosts: what went from the cache, why and when, so that a miss can say more than "no"; and
 * how hot it was, so that a frame that comes back need not earn its place anew.
 * In sets of eight chosen by hash, the oldest of the set overwritten: a
 * look-up costs one cache line, where a ring in order of time would have to be searched.
 * Losing one is harmless. */
#include "engine.h"

#define TAG_SHIFT  43
#define TIME_MASK  ((1ull << 40) - 1)

static uint32_t first_of(const fc_cache *cache, fc__hash hash) {
    uint32_t sets = cache->capacity * 2 / FC__GHOST_SET;
    return (uint32_t)(hash.high & (sets - 1)) * FC__GHOST_SET;
}

static uint64_t tag_of(fc__hash hash) {
    return (hash.low ^ hash.high >> 32) & ((1u << 21) - 1);
}

static uint64_t time_of(int64_t when_ns) {
    int64_t ms = when_ns / 1000000 - FC__GHOST_EPOCH_MS;
    return ms < 1 ? 1 : (uint64_t)ms & TIME_MASK;
}

/* The heat of another may stand beside the word for a moment: a guess that is off. */
static _Atomic uint64_t *heat_of(const fc_cache *cache, uint32_t ghost) {
    return &cache->ghosts[2 * (uint64_t)cache->capacity + ghost];
}

void fc__ghost_add(fc_cache *cache, fc__hash hash, fc_miss reason, int64_t when_ns,
                   uint64_t heat) {
    uint32_t first = first_of(cache, hash), oldest = first;
    uint64_t tag = tag_of(hash);
    for (uint32_t i = first; i < first + FC__GHOST_SET; i++) {
        uint64_t seen = atomic_load_explicit(&cache->ghosts[i], memory_order_relaxed);
        if (!seen || seen >> TAG_SHIFT == tag) {
            oldest = i;
            break;
        }
        uint64_t best = atomic_load_explicit(&cache->ghosts[oldest], memory_order_relaxed);
        if ((seen & TIME_MASK) < (best & TIME_MASK))
            oldest = i;
    }
    uint64_t word = tag << TAG_SHIFT | (uint64_t)reason << 40 | time_of(when_ns);
    atomic_store_explicit(heat_of(cache, oldest), heat, memory_order_relaxed);
    atomic_store_explicit(&cache->ghosts[oldest], word, memory_order_relaxed);
}

/* The ghost's word, or 0. */
static uint64_t find(const fc_cache *cache, fc__hash hash, uint32_t *ghost) {
    uint32_t first = first_of(cache, hash);
    uint64_t tag = tag_of(hash);
    for (*ghost = first; *ghost < first + FC__GHOST_SET; ++*ghost) {
        uint64_t seen =
            atomic_load_explicit(&cache->ghosts[*ghost], memory_order_relaxed);
        if (seen && seen >> TAG_SHIFT == tag && (seen >> 40 & 7) <= FC_MISS_CORRUPT)
            return seen;
    }
    return 0;
}

fc_miss fc__ghost_find(const fc_cache *cache, fc__hash hash, int64_t *when_ns) {
    uint32_t ghost;
    uint64_t word = find(cache, hash, &ghost);
    if (!word)
        return FC_MISS_NEVER;
    *when_ns = ((int64_t)(word & TIME_MASK) + FC__GHOST_EPOCH_MS) * 1000000;
    return (fc_miss)(word >> 40 & 7);
}

bool fc__ghost_heat(const fc_cache *cache, fc__hash hash, uint64_t *heat) {
    uint32_t ghost;
    if (!find(cache, hash, &ghost))
        return false;
    *heat = atomic_load_explicit(heat_of(cache, ghost), memory_order_relaxed);
    return true;
}
