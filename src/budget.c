/* Exact accounting of what lies on disk, safe against a kill at any instruction.
 *
 * `used` is one word, (units 40 | sequence 24), so that a repair can tell whether anything
 * moved while it added up the records. A record under change says so in `intent`. A crash
 * can only leave `used` too high; the repair brings it down. Checked exhaustively in
 * tests/model/budget.pml. */
#include "engine.h"

#define SEQUENCE_BITS 24
#define SEQUENCE_MASK ((1ull << SEQUENCE_BITS) - 1)

static inline uint64_t units_of(uint64_t used) {
    return used >> SEQUENCE_BITS;
}

static inline uint64_t moved(uint64_t used, uint64_t units) {
    return units << SEQUENCE_BITS | ((used + 1) & SEQUENCE_MASK);
}

uint64_t fc__used_units(const fc_cache *cache) {
    return units_of(atomic_load(&cache->control->used));
}

uint64_t fc__control_units(const fc_cache *cache) {
    return fc__units(cache->control_bytes);
}

bool fc__budget_fits(const fc_cache *cache, uint64_t more_units) {
    return fc__used_units(cache) + more_units <= atomic_load(&cache->control->budget_units);
}

int fc__charge(fc_cache *cache, fc__record *record, uint64_t units) {
    if (!units)
        return 0;
    atomic_store(&record->intent, units);
    FC__STEP("charge-intent");
    uint64_t used = atomic_load(&cache->control->used);
    do {
        if (units_of(used) + units > atomic_load(&cache->control->budget_units)) {
            atomic_store(&record->intent, 0);
            return FC_E_BUDGET;
        }
    } while (!atomic_compare_exchange_weak(&cache->control->used, &used,
                                           moved(used, units_of(used) + units)));
    FC__STEP("charge-used");
    atomic_fetch_add(&record->charged, units);
    FC__STEP("charge-charged");
    atomic_store(&record->intent, 0);
    return 0;
}

void fc__uncharge(fc_cache *cache, fc__record *record, uint64_t units) {
    if (!units)
        return;
    atomic_store(&record->intent, units);
    FC__STEP("uncharge-intent");
    atomic_fetch_sub(&record->charged, units);
    FC__STEP("uncharge-charged");
    uint64_t used = atomic_load(&cache->control->used), rest;
    do
        rest = units_of(used) > units ? units_of(used) - units : 0;
    while (!atomic_compare_exchange_weak(&cache->control->used, &used, moved(used, rest)));
    FC__STEP("uncharge-used");
    atomic_store(&record->intent, 0);
}

/* A record's intent is read before and after its charge. One of a dead process is cleared
 * by the sweep that frees its record, so it does not stop repairs for ever. */
int fc__budget_repair(fc_cache *cache) {
    uint64_t used = atomic_load(&cache->control->used), sum = fc__control_units(cache);
    for (uint32_t i = 0; i < cache->capacity; i++) {
        fc__record *record = &cache->records[i];
        if (atomic_load(&record->intent))
            return FC_E_BUSY;
        sum += atomic_load(&record->charged);
        if (atomic_load(&record->intent))
            return FC_E_BUSY;
    }
    if (sum == units_of(used))
        return 0;
    return atomic_compare_exchange_strong(&cache->control->used, &used, moved(used, sum))
               ? 1
               : FC_E_BUSY;
}
