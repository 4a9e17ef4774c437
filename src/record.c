/* Records: allocation, counting uses, expiry. State and generation change by CAS and only
 * under the record's lock; there are no lists, so no crash can break one. */
#include "engine.h"

#include <string.h>

double fc__double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t fc__double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

double fc__record_cost(const fc__record *record) {
    double cost = fc__double(atomic_load_explicit(&record->cost, memory_order_relaxed));
    return cost > 1e15 ? 1e15 : cost >= 0 ? cost : 0; /* a NaN: 0 */
}

fc__shares fc__shares_now(const fc_cache *cache) {
    fc__shares shares;
    for (int i = 0; i < FC__DECAYS; i++) {
        shares.of[i] = fc__double(
            atomic_load_explicit(&cache->control->shares[i], memory_order_relaxed));
        if (!(shares.of[i] >= 0 && shares.of[i] <= 1))
            return fc__shares_prior;
    }
    return shares;
}

int64_t fc__now_ns(const fc_cache *cache) {
    return cache->clock_ns ? cache->clock_ns(cache->clock_context) : fc__os_realtime_ns();
}

#define STRETCH 64u /* of records that is looked through before new ones are taken */

/* FREE -> WRITING. The generation was moved on when the record became free. */
static bool try_take(fc_cache *cache, uint32_t record, uint32_t *generation,
                     fc__lock *lock, int *status) {
    _Atomic uint64_t *word = &cache->records[record].status;
    if (fc__status_state(atomic_load(word)) != FC__FREE)
        return false;
    *status = fc__lock_try(cache, FC__LOCK_RECORD, record, lock);
    if (*status)
        return false;
    uint64_t seen = atomic_load(word);
    *generation = fc__status_generation(seen);
    if (fc__status_state(seen) == FC__FREE &&
        atomic_compare_exchange_strong(word, &seen, fc__status(FC__WRITING, *generation)))
        return true;
    fc__lock_release(cache, lock);
    return false;
}

static int take_one(fc_cache *cache, uint32_t candidate, uint32_t *record,
                    uint32_t *generation, fc__lock *lock) {
    int status = 0;
    if (try_take(cache, candidate, generation, lock, &status)) {
        *record = candidate;
        return 0;
    }
    return status ? status : FC_E_BUSY;
}

/* What this process freed last. */
static int take_freed(fc_cache *cache, uint32_t *record, uint32_t *generation,
                      fc__lock *lock) {
    uint32_t newest = atomic_load(&cache->free_position);
    int status = FC_E_BUSY;
    for (uint32_t i = 1; i <= FC__EVICT_BATCH && status == FC_E_BUSY; i++) {
        _Atomic uint32_t *place = &cache->free_hints[(newest - i) % FC__EVICT_BATCH];
        uint32_t hint = atomic_load_explicit(place, memory_order_relaxed);
        if (hint && atomic_compare_exchange_strong(place, &hint, 0))
            status = take_one(cache, hint - 1, record, generation, lock);
    }
    return status;
}

void fc__record_freed(fc_cache *cache, uint32_t record) {
    uint32_t at = atomic_fetch_add(&cache->free_position, 1) % FC__EVICT_BATCH;
    atomic_store(&cache->free_hints[at], record + 1);
}

/* Of those that were taken before, a stretch: where that is full, the end moves. So records
 * stay close together, and who walks over them need not walk over all that there could be. */
static int take_from(fc_cache *cache, uint32_t end, uint32_t start, uint32_t most,
                     uint32_t *record, uint32_t *generation, fc__lock *lock) {
    int status = FC_E_BUSY;
    for (uint32_t i = 0; i < end && i < most && status == FC_E_BUSY; i++) {
        uint32_t candidate = (uint32_t)(((uint64_t)start + i) % end);
        status = take_one(cache, candidate, record, generation, lock);
        if (i > 8 && (status != FC_E_BUSY || i + 1 == most)) /* begin behind it next time */
            atomic_store(&cache->control->allocate_hint, candidate + 1);
    }
    return status;
}

/* Before the record is taken: who walks up to the end meets it. */
static void raise_end(fc_cache *cache, uint32_t end) {
    uint32_t seen = atomic_load(&cache->control->records_end);
    while (seen < end && !atomic_compare_exchange_weak(&cache->control->records_end, &seen, end))
        ;
}

/* In shared memory, so it may say anything. */
uint32_t fc__records_end(const fc_cache *cache) {
    uint32_t end = atomic_load(&cache->control->records_end);
    return end < cache->capacity ? end : cache->capacity;
}

int fc__record_allocate(fc_cache *cache, uint32_t *record, uint32_t *generation,
                        fc__lock *lock) {
    uint32_t start = atomic_fetch_add(&cache->control->allocate_hint, 1);
    uint32_t end = fc__records_end(cache), behind = cache->capacity - end;
    lock->fd = -1;
    int status = take_freed(cache, record, generation, lock);
    if (status == FC_E_BUSY)
        status = take_from(cache, end, start, behind ? STRETCH : FC__FEW_RECORDS, record,
                           generation, lock);
    for (uint32_t i = 0; i < behind && status == FC_E_BUSY; i++) {
        raise_end(cache, end + i + 1);
        status = take_one(cache, end + i, record, generation, lock);
    }
    return status;
}

int fc__record_search(fc_cache *cache, uint32_t *record, uint32_t *generation,
                      fc__lock *lock) {
    lock->fd = -1;
    raise_end(cache, cache->capacity);
    return take_from(cache, cache->capacity, 0, cache->capacity, record, generation, lock);
}

/* 4 ms, the coarse clock's usual step. With a test's clock a tick is what it says. */
static inline uint32_t current_tick(const fc_cache *cache) {
    int64_t now = cache->clock_ns ? cache->clock_ns(cache->clock_context)
                                  : fc__os_coarse_ns();
    return (uint32_t)(now >> 22);
}

/* What is learnt is shared by all, but a frame teaches only a few times in a turnover: a
 * get writes nothing that others write often. Of two who learn at once one may be lost. */
uint64_t fc__heat_up(fc_cache *cache, uint64_t heat, uint32_t uses) {
    fc__control *c = cache->control;
    uint64_t clock = atomic_load_explicit(&c->turnover, memory_order_relaxed);
    fc__shares shares = fc__shares_now(cache);
    if (fc__shares_learn(&shares, heat, clock))
        for (int i = 0; i < FC__DECAYS; i++)
            atomic_store_explicit(&c->shares[i], fc__double_bits(shares.of[i]),
                                  memory_order_relaxed);
    return fc__heat_use(heat, clock, uses);
}

int64_t fc__moved(int64_t expires, int64_t old, int64_t stale) {
    int64_t until;
    return __builtin_add_overflow(expires, fc__span(old, stale), &until) ? FC__EXPIRES_NEVER
                                                                         : until;
}

/* The user holds a lease, so the record is this frame's. The stale time moves along. */
static void slide(fc__record *record, int64_t now) {
    int64_t old = atomic_load_explicit(&record->expires_ns, memory_order_relaxed);
    int64_t stale = atomic_load_explicit(&record->stale_until_ns, memory_order_relaxed);
    int64_t ttl = atomic_load_explicit(&record->ttl_ms, memory_order_relaxed);
    int64_t expires = fc__expiry(now, ttl);
    if (now >= old) /* served stale: it stays expired until it is put again */
        return;
    if (stale > old && stale != FC__EXPIRES_NEVER)
        atomic_store_explicit(&record->stale_until_ns,
                              fc__moved(expires, old, stale),
                              memory_order_relaxed);
    atomic_store_explicit(&record->expires_ns, expires, memory_order_relaxed);
}

void fc__record_use(fc_cache *cache, fc__record *record) {
    uint32_t tick = current_tick(cache);
    if (cache->read_only ||
        atomic_load_explicit(&record->tick, memory_order_relaxed) == tick)
        return;
    atomic_store_explicit(&record->tick, tick, memory_order_relaxed);
    uint32_t uses = atomic_load_explicit(&record->uses, memory_order_relaxed);
    if (uses < UINT32_MAX)
        atomic_store_explicit(&record->uses, uses + 1, memory_order_relaxed);
    uint64_t heat = atomic_load_explicit(&record->heat, memory_order_relaxed);
    atomic_store_explicit(&record->heat, fc__heat_up(cache, heat, uses),
                          memory_order_relaxed);
    int64_t now = fc__now_ns(cache);
    atomic_store_explicit(&record->used_ns, now, memory_order_relaxed);
    if (atomic_load_explicit(&record->flags, memory_order_relaxed) & FC__RECORD_SLIDING)
        slide(record, now);
}

int64_t fc__expiry(int64_t now_ns, int64_t ttl_ms) {
    int64_t expires;
    if (ttl_ms == FC_NEVER || __builtin_mul_overflow(ttl_ms, 1000000, &expires) ||
        __builtin_add_overflow(expires, now_ns, &expires))
        return FC__EXPIRES_NEVER;
    return expires;
}

bool fc__record_gone(const fc_cache *cache, const fc__record *record, int64_t *since) {
    int64_t until = atomic_load_explicit(&record->stale_until_ns, memory_order_relaxed);
    return fc__record_expired(cache, record, since) &&
           (until <= *since || fc__now_ns(cache) >= until);
}

bool fc__record_expired(const fc_cache *cache, const fc__record *record, int64_t *since) {
    int64_t expires = atomic_load_explicit(&record->expires_ns, memory_order_relaxed);
    if (__builtin_expect(expires == FC__EXPIRES_NEVER, 1))
        return false;
    *since = expires;
    return fc__now_ns(cache) >= expires;
}
