/* The index: a hash table of 64-bit words in buckets of one cache line, two candidate
 * buckets a key (Azar et al., "Balanced allocations", 1994). Readers take no lock and
 * write nothing. A word is published and removed by one CAS; its bits do not come back
 * while anyone can hold them, so a CAS of the exact word seen is safe. Only one writer of a
 * key is at its slots at a time (the key lock), so a key cannot stand twice. */
#include "engine.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Each cache has a seed of its own, or keys could be made that have one hash (XXH3 is no
 * cryptographic hash), and what is done to one would be done to the other. */
fc__hash fc__hash_key(const fc_cache *cache, fc_bytes key) {
    XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.size, cache->hash_seed);
    return (fc__hash){.low = hash.low64, .high = hash.high64};
}

typedef enum match { OTHER, SAME, MOVED } match;

/* Whether the word of a slot stands for this key. The record's hash is stable while the
 * slot holds the word, so it is read, then the slot is read again. */
static match compare(const fc_cache *cache, uint32_t slot, uint64_t word, fc__hash hash) {
    uint32_t record = fc__word_record(word);
    if (!word || fc__word_tag(word) != hash.high >> 49 || record >= cache->capacity)
        return OTHER;
    const fc__record *r = &cache->records[record];
    uint64_t low = atomic_load_explicit(&r->hash_low, memory_order_relaxed);
    uint64_t high = atomic_load_explicit(&r->hash_high, memory_order_relaxed);
    /* Pairs with the release of fc__index_publish(): if the slot still holds the word,
     * what was read belongs to it. */
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&cache->slots[slot], memory_order_relaxed) != word)
        return MOVED;
    return low == hash.low && high == hash.high ? SAME : OTHER;
}

uint64_t fc__index_find(const fc_cache *cache, fc__hash hash, uint32_t *slot) {
    uint32_t buckets[2];
    fc__index_buckets(cache, hash, buckets);
    __builtin_prefetch((const void *)&cache->slots[buckets[1] * FC__BUCKET_SLOTS]);
    for (int bucket = 0; bucket < 2; bucket++)
        for (uint32_t i = 0; i < FC__BUCKET_SLOTS; i++) {
            uint32_t at = buckets[bucket] * FC__BUCKET_SLOTS + i;
            uint64_t word;
            match found;
            /* A slot changes under us only by a publish or remove, so this ends. */
            do {
                /* Pairs with the CAS of fc__index_publish(): the record's fields. */
                word = atomic_load_explicit(&cache->slots[at], memory_order_acquire);
                found = compare(cache, at, word, hash);
            } while (found == MOVED);
            if (found == SAME) {
                *slot = at;
                return word;
            }
        }
    return 0;
}

bool fc__index_holds(const fc_cache *cache, fc__hash hash, uint64_t word, uint32_t *slot) {
    uint32_t buckets[2];
    fc__index_buckets(cache, hash, buckets);
    for (int bucket = 0; bucket < 2; bucket++)
        for (uint32_t i = 0; i < FC__BUCKET_SLOTS; i++) {
            uint32_t at = buckets[bucket] * FC__BUCKET_SLOTS + i;
            if (fc__slot(cache, at) == word) {
                *slot = at;
                return true;
            }
        }
    return false;
}

/* An empty slot of the emptier bucket; false if there is none. */
static bool empty_slot(const fc_cache *cache, fc__hash hash, uint32_t *slot) {
    uint32_t buckets[2], best = 0;
    fc__index_buckets(cache, hash, buckets);
    for (int bucket = 0; bucket < 2; bucket++) {
        uint32_t empty = 0, last = 0;
        for (uint32_t i = 0; i < FC__BUCKET_SLOTS; i++) {
            uint32_t at = buckets[bucket] * FC__BUCKET_SLOTS + i;
            if (!fc__slot(cache, at)) {
                empty++;
                last = at;
            }
        }
        if (empty > best) {
            best = empty;
            *slot = last;
        }
    }
    return best > 0;
}

int fc__index_publish(fc_cache *cache, fc__hash hash, uint64_t word, uint64_t *old,
                      uint32_t *slot) {
    for (;;) {
        uint64_t seen = fc__index_find(cache, hash, slot);
        if (!seen && !empty_slot(cache, hash, slot))
            return FC_E_BUSY;
        *old = seen;
        /* seq_cst; its release pairs with the acquire of fc__index_find(). */
        if (atomic_compare_exchange_strong(&cache->slots[*slot], &seen, word))
            return 0;
    }
}

bool fc__index_replace(fc_cache *cache, uint32_t slot, uint64_t word, uint64_t with) {
    return atomic_compare_exchange_strong(&cache->slots[slot], &word, with);
}

bool fc__index_remove(fc_cache *cache, uint32_t slot, uint64_t word) {
    return fc__index_replace(cache, slot, word, 0);
}
