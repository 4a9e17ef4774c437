/* The pool: reclaimed records that keep files and charge, to be written again in place.
 * Two rings of hints say where to look, one for small frames (a manifest only) and one for
 * those with segments. A hint is verified under the record lock; whoever overwrites one
 * frees its record, so the rings bound the pool. */
#include "engine.h"

static bool is_pool(fc_cache *cache, uint32_t hint) {
    return hint && hint <= cache->capacity &&
           fc__status_state(atomic_load(&cache->records[hint - 1].status)) == FC__POOL;
}

static void free_hinted(fc_cache *cache, uint32_t hint) {
    if (is_pool(cache, hint))
        fc__reclaim_record(cache, hint - 1, atomic_load(&cache->records[hint - 1].status),
                           FC__RECLAIM_FREE, FC_MISS_DELETED);
}

/* Beyond its limit the pool takes one record, if it is empty: a frame of any size that is
 * replaced again and again is then recycled. Making room frees the pool first, and the
 * janitor brings it back to its limit when nothing has used it for a while. */
bool fc__pool_accepts(fc_cache *cache, uint64_t units) {
    uint64_t limit = atomic_load(&cache->control->pool_limit_units);
    uint64_t pooled = atomic_load(&cache->control->pool_units);
    return limit && (!pooled || pooled + units <= limit);
}

void fc__pool_to_limit(fc_cache *cache) {
    uint64_t limit = atomic_load(&cache->control->pool_limit_units);
    for (uint32_t i = 0;
         i < FC__HINTS_BIG && atomic_load(&cache->control->pool_units) > limit; i++)
        free_hinted(cache, atomic_load(&cache->control->hints_big[i]));
}

void fc__pool_add(fc_cache *cache, uint32_t record, uint64_t units) {
    fc__control *control = cache->control;
    bool small = atomic_load(&cache->records[record].segments) == 0;
    _Atomic uint32_t *position = small ? &control->small_position : &control->big_position;
    _Atomic uint32_t *ring = small ? control->hints_small : control->hints_big;
    uint32_t count = small ? FC__HINTS_SMALL : FC__HINTS_BIG;
    atomic_fetch_add(&control->pool_units, units);
    uint32_t at = atomic_fetch_add(position, 1) % count;
    uint32_t before = atomic_exchange(&ring[at], record + 1);
    if (before != record + 1)
        free_hinted(cache, before);
}

/* The gauge is a sweep's sum, which may have missed this record: it stops at nothing. */
void fc__pool_left(fc_cache *cache, uint64_t units) {
    uint64_t pooled = atomic_load(&cache->control->pool_units);
    while (!atomic_compare_exchange_weak(&cache->control->pool_units, &pooled,
                                         pooled > units ? pooled - units : 0))
        ;
}

static int take(fc_cache *cache, _Atomic uint32_t *place, uint32_t hint,
                uint64_t exact_units, uint32_t *generation, fc__lock *lock) {
    fc__record *record = &cache->records[hint - 1];
    if (fc__lock_try(cache, FC__LOCK_RECORD, hint - 1, lock))
        return FC_E_BUSY;
    uint64_t status = atomic_load(&record->status);
    uint64_t units = atomic_load(&record->charged);
    *generation = fc__next_generation(fc__status_generation(status));
    if (fc__status_state(status) == FC__POOL && (!exact_units || units == exact_units) &&
        atomic_compare_exchange_strong(&record->status, &status,
                                       fc__status(FC__WRITING, *generation))) {
        fc__pool_left(cache, units);
        atomic_compare_exchange_strong(place, &hint, 0);
        return 0;
    }
    fc__lock_release(cache, lock);
    return FC_E_BUSY;
}

/* The youngest of the same size: its pages are the likeliest to be in a cache. */
static int take_small(fc_cache *cache, uint64_t units, uint32_t *record,
                      uint32_t *generation, fc__lock *lock) {
    uint32_t newest = atomic_load(&cache->control->small_position);
    for (uint32_t i = 1; i <= FC__EVICT_BATCH; i++) {
        _Atomic uint32_t *place =
            &cache->control->hints_small[(newest - i) % FC__HINTS_SMALL];
        uint32_t hint = atomic_load(place);
        if (!is_pool(cache, hint) ||
            atomic_load(&cache->records[hint - 1].charged) != units)
            continue;
        if (take(cache, place, hint, units, generation, lock) == 0) {
            *record = hint - 1;
            return 0;
        }
    }
    return FC_E_BUSY;
}

/* The nearest in size, off by half at most. */
static int take_big(fc_cache *cache, uint64_t units, uint32_t *record,
                    uint32_t *generation, fc__lock *lock) {
    _Atomic uint32_t *best = NULL;
    uint32_t best_hint = 0;
    uint64_t best_off = units / 2 + 1;
    for (uint32_t i = 0; i < FC__HINTS_BIG; i++) {
        _Atomic uint32_t *place = &cache->control->hints_big[i];
        uint32_t hint = atomic_load(place);
        if (!is_pool(cache, hint))
            continue;
        uint64_t has = atomic_load(&cache->records[hint - 1].charged);
        uint64_t off = has > units ? has - units : units - has;
        if (off < best_off) {
            best_off = off;
            best = place;
            best_hint = hint;
        }
    }
    if (!best || take(cache, best, best_hint, 0, generation, lock))
        return FC_E_BUSY;
    *record = best_hint - 1;
    return 0;
}

int fc__pool_take(fc_cache *cache, uint64_t units, bool inlined, uint32_t *record,
                  uint32_t *generation, fc__lock *lock) {
    lock->fd = -1;
    return inlined ? take_small(cache, units, record, generation, lock)
                   : take_big(cache, units, record, generation, lock);
}

static void trim_ring(fc_cache *cache, _Atomic uint32_t *ring, uint32_t count,
                      uint64_t units, bool all) {
    for (uint32_t i = 0; i < count && (all || !fc__budget_fits(cache, units)); i++)
        free_hinted(cache, atomic_load(&ring[i]));
}

void fc__pool_empty(fc_cache *cache) {
    trim_ring(cache, cache->control->hints_big, FC__HINTS_BIG, 0, true);
    trim_ring(cache, cache->control->hints_small, FC__HINTS_SMALL, 0, true);
}

void fc__pool_trim(fc_cache *cache, uint64_t units, bool all) {
    if (!all && fc__budget_fits(cache, units))
        return;
    trim_ring(cache, cache->control->hints_big, FC__HINTS_BIG, units, all);
    trim_ring(cache, cache->control->hints_small, FC__HINTS_SMALL, units, all);
    if (!all && !atomic_load(&cache->control->pool_units))
        return;
    uint32_t end = all ? cache->capacity : fc__records_end(cache);
    for (uint32_t i = 0; i < end; i++) { /* those that lost their hint */
        if (!all && fc__budget_fits(cache, units))
            return;
        if (fc__status_state(atomic_load(&cache->records[i].status)) == FC__POOL)
            free_hinted(cache, i + 1);
    }
}
