/* Making room: the pool, zombies, idle mappings, then eviction in order of priority. What a
 * reader holds is never touched: its lease refuses the exclusive one. */
#include "engine.h"

#include <stdio.h>

/* How long a put waits, once, for the watchers of other processes to give up idle mappings
 * before it evicts what is dearer instead. */
#define GRACE_NS 10000000

#define SAMPLE 2048u /* live frames, of which a batch is taken */
#define BLOCK  8u    /* records, side by side in memory */

typedef struct eviction {
    fc_cache *cache;
    const fc__owed *owed; /* that must fit */
    uint64_t goal;        /* used + owed is to come down to this */
    uint64_t big_units;   /* victims above this go only while what is owed does not fit */
    uint64_t spare_units; /* and these, where the next victim is compressed to */
    uint64_t freed;       /* records */
    uint64_t beyond;      /* so many at most for the goal, once what is owed fits */
    int64_t end_ns;       /* of what brings nothing; 0: no end */
    bool drop;          /* rather than compress: there is no memory to do that in */
    int64_t compress_until_ns; /* a put does not wait longer for that; 0: no end */
    bool leased, busy;  /* met on the way */
    bool epoch_moved;
} eviction;

static const fc__owed nothing;

/* Before `used` is: who pays adds to that first, so the sum may be too high, never too low. */
static uint64_t owed(const eviction *e) {
    return atomic_load(&e->owed->units);
}

static bool reached(const eviction *e) {
    uint64_t units = owed(e);
    return atomic_load(&e->owed->settled) ||
           fc__used_units(e->cache) + units <= e->goal;
}

static bool fits(const eviction *e) {
    uint64_t units = owed(e);
    return fc__budget_fits(e->cache, units);
}

fc__judge fc__judge_now(const fc_cache *cache) {
    fc__shares shares = fc__shares_now(cache);
    return (fc__judge){atomic_load(&cache->control->turnover), fc__heat_weights(&shares)};
}

double fc__record_worth(const fc__judge *judge, const fc__record *record,
                        uint64_t units) {
    uint64_t heat = atomic_load_explicit(&record->heat, memory_order_relaxed);
    double cost = fc__record_cost(record);
    double rate = fc__heat_rate(heat, judge->clock, &judge->weights);
    return fc__evict_priority(rate, cost, units * FC__PAGE);
}

static fc__candidate candidate_of(const fc__judge *judge, const fc__record *record,
                                  uint32_t id, uint64_t status) {
    uint64_t units = atomic_load_explicit(&record->charged, memory_order_relaxed);
    return (fc__candidate){
        .priority = fc__record_worth(judge, record, units),
        .id = id,
        .status = status,
        .units = units};
}

static bool offer(const fc_cache *cache, const fc__judge *judge, uint32_t number,
                  fc__victims *victims) {
    const fc__record *record = &cache->records[number];
    uint64_t status = atomic_load_explicit(&record->status, memory_order_relaxed);
    if (fc__status_state(status) != FC__LIVE)
        return false;
    fc__candidate candidate = candidate_of(judge, record, number, status);
    fc__victims_offer(victims, &candidate);
    return true;
}

/* The least valuable live frames, least first: all of them. */
static void gather_all(const fc_cache *cache, fc__victims *victims) {
    fc__judge judge = fc__judge_now(cache);
    victims->count = 0;
    for (uint32_t i = 0; i < cache->capacity; i++)
        offer(cache, &judge, i, victims);
    fc__victims_sort(victims);
}

/* The least valuable of a sample, which are nearly those of all: SAMPLE live frames, from
 * where the last sample ended. Records that were taken one after the other are not looked at
 * one after the other, since they are alike: blocks of them, in an order like that of chance.
 * True if all there are were looked at. */
static bool gather(fc_cache *cache, fc__victims *victims) {
    uint32_t end = fc__records_end(cache), mask = ~0u >> __builtin_clz((end / BLOCK) | 1);
    uint32_t hand = atomic_load(&cache->hand), live = 0, i = 0;
    fc__judge judge = fc__judge_now(cache);
    victims->count = 0;
    for (; i <= mask && live < SAMPLE; i++) {
        uint32_t first = ((hand + i) * 0x9e3779b1u & mask) * BLOCK; /* odd: each comes once */
        for (uint32_t j = first; j < first + BLOCK && j < end; j++)
            live += offer(cache, &judge, j, victims);
    }
    atomic_store(&cache->hand, hand + i);
    fc__victims_sort(victims);
    return i > mask;
}

/* What goes moves the policy's clock. */
static void move_clock(fc_cache *cache, const fc__candidate *victim) {
    uint64_t budget = atomic_load(&cache->control->budget_units);
    atomic_fetch_add(&cache->control->turnover, fc__turnover(victim->units, budget));
}

static void drop_mapping(fc_cache *cache, const fc__candidate *victim) {
    const fc__record *record = &cache->records[victim->id];
    fc__table_drop_key(cache, fc__record_hash(record),
                       fc__record_word(record, victim->id, victim->status));
}

static fc__reclaimed evict_as(fc_cache *cache, const fc__candidate *victim,
                              fc__reclaim mode) {
    drop_mapping(cache, victim);
    fc__reclaimed result =
        fc__reclaim_record(cache, victim->id, victim->status, mode, FC_MISS_EVICTED);
    if (result == FC__DONE)
        move_clock(cache, victim);
    return result;
}

static fc__reclaimed evict(fc_cache *cache, const fc__candidate *victim) {
    return evict_as(cache, victim, FC__RECLAIM_EVICT);
}

/* Compressed if that pays, else dropped. */
static fc__reclaimed retire(const eviction *e, const fc__candidate *victim) {
    fc_cache *cache = e->cache;
    bool late = e->compress_until_ns && fc__os_monotonic_ns() >= e->compress_until_ns;
    if (e->drop || late || !fc__has_headroom(cache, victim->units * FC__PAGE))
        return evict(cache, victim);
    drop_mapping(cache, victim);
    fc__reclaimed result = fc__demote(cache, victim->id, victim->status);
    if (result == FC__DONE)
        move_clock(cache, victim);
    return result == FC__BUSY ? evict(cache, victim) : result;
}

static void move_epoch(eviction *e) {
    if (e->epoch_moved)
        return;
    e->epoch_moved = true;
    atomic_fetch_add(&e->cache->control->pressure, 1);
    fc__count(e->cache, FC__COUNT_pressure_epochs, 1);
    fc__notice(e->cache);
    fc__table_drop_idle(e->cache, false);
}

/* A victim that somebody maps: idly, so that the epoch frees it within milliseconds, or in
 * use, which counts as a use, so that it does not come first again. */
static void evict_leased(eviction *e, const fc__candidate *victim) {
    int64_t end = fc__os_monotonic_ns() + GRACE_NS;
    fc__reclaimed result;
    move_epoch(e);
    while ((result = retire(e, victim)) == FC__LEASED &&
           fc__os_monotonic_ns() < end && !fc__helper_stopping(e->cache))
        fc__os_sleep_ns(200000);
    if (result == FC__DONE)
        e->freed++;
    else if (result == FC__LEASED) {
        e->leased = true;
        fc__record *record = &e->cache->records[victim->id];
        uint64_t heat = atomic_load(&record->heat);
        atomic_store(&record->heat, fc__heat_up(e->cache, heat, 0));
    }
}

static bool late(const eviction *e) {
    return e->end_ns && fc__os_monotonic_ns() >= e->end_ns;
}

/* A put goes on for those that come after it, but not for long: the janitor does the rest. */
static bool enough(const eviction *e) {
    return reached(e) || (fits(e) && (e->freed >= e->beyond || late(e)));
}

/* Whether so many in a row that could not go are no reason to give up. */
static bool may_go_on(const eviction *e, uint32_t fruitless) {
    return !enough(e) && !fc__helper_stopping(e->cache) &&
           (fruitless < FC__EVICT_BATCH || !late(e));
}

static void evict_batch(eviction *e, const fc__victims *victims) {
    uint32_t waited = 0, fruitless = 0;
    for (size_t i = 0; i < victims->count && may_go_on(e, fruitless); i++) {
        const fc__candidate *victim = &victims->heap[i];
        uint64_t units = owed(e) + e->spare_units;
        if (fc__budget_fits(e->cache, units) && victim->units > e->big_units)
            return; /* beyond the need; what follows is worth more than this one */
        fc__reclaimed result = retire(e, victim);
        fruitless = result == FC__DONE ? 0 : fruitless + 1;
        if (result == FC__LEASED && (!e->epoch_moved || waited++ < 1))
            evict_leased(e, victim);
        else if (result == FC__LEASED)
            e->leased = true;
        else if (result == FC__BUSY)
            e->busy = true;
        else if (result == FC__DONE)
            e->freed++;
    }
}

/* Batches of the least valuable; when a whole batch cannot go, all there is. */
static void evict_until(eviction *e) {
    fc__candidate few[FC__EVICT_BATCH];
    fc__victims victims = {.heap = few, .limit = FC__EVICT_BATCH};
    uint64_t before;
    bool all;
    do {
        before = e->freed;
        all = gather(e->cache, &victims);
        evict_batch(e, &victims);
    } while (!enough(e) && e->freed > before);
    if (fits(e) || (all && victims.count < FC__EVICT_BATCH))
        return;
    victims.limit = e->cache->capacity;
    victims.heap = fc__malloc(victims.limit * sizeof *victims.heap);
    if (victims.heap) {
        gather_all(e->cache, &victims);
        evict_batch(e, &victims);
    }
    fc__free(victims.heap);
}

static eviction eviction_for(fc_cache *cache, const fc__owed *owed) {
    uint64_t units = atomic_load(&owed->units);
    uint64_t budget = atomic_load(&cache->control->budget_units);
    uint64_t low = budget * atomic_load(&cache->control->low_percent) / 100;
    return (eviction){.cache = cache,
                      .owed = owed,
                      .goal = units <= low / 2 ? low : budget,
                      .beyond = UINT64_MAX,
                      .big_units = budget / 64,
                      .spare_units = cache->settings.cold ? budget / 32 : 0};
}

static void measure_shortage(fc_cache *cache, fc__shortage *shortage) {
    *shortage = (fc__shortage){0};
    for (uint32_t i = 0; i < cache->capacity; i++) {
        fc__record *record = &cache->records[i];
        uint64_t status = atomic_load(&record->status), units;
        uint32_t slot;
        if (fc__status_state(status) != FC__LIVE)
            continue;
        fc__hash hash = fc__record_hash(record);
        units = atomic_load(&record->charged);
        if (fc__index_holds(cache, hash,
                            fc__record_word(record, i, status), &slot))
            shortage->leased_units += units;
        else
            shortage->zombie_units += units;
    }
}

int fc__make_room(fc_cache *cache, uint64_t units, fc__shortage *shortage) {
    fc__owed whole = {.units = units};
    return fc__make_room_for(cache, &whole, shortage);
}

int fc__make_room_for(fc_cache *cache, const fc__owed *what, fc__shortage *shortage) {
    int64_t start = fc__os_monotonic_ns();
    int64_t end = start + cache->settings.reclaim_wait_ms * 1000000;
    eviction e = eviction_for(cache, what);
    bool waited = false;
    e.compress_until_ns = owed(&e) ? end : 0;
    e.end_ns = end;
    e.beyond = FC__EVICT_BATCH;
    fc__pool_trim(cache, owed(&e), false);
    if (fits(&e))
        return 0;
    fc__table_drop_idle(cache, true);
    fc__sweep_if_due(cache);
    for (;;) {
        e.leased = e.busy = false;
        evict_until(&e);
        fc__pool_trim(cache, owed(&e), false);
        if (fits(&e) || atomic_load(&what->settled) || fc__os_monotonic_ns() >= end)
            break;
        waited = true;
        move_epoch(&e);
        fc__os_sleep_ns(500000);
        fc__sweep(cache);
    }
    if (waited) {
        fc__count(cache, FC__COUNT_reclaim_waits, 1);
        fc__count(cache, FC__COUNT_reclaim_wait_ns,
                  (uint64_t)(fc__os_monotonic_ns() - start));
    }
    if (fits(&e))
        return 0;
    measure_shortage(cache, shortage);
    return FC_E_BUDGET;
}

int fc__fail_budget(fc_cache *cache, uint64_t asked_units, const fc__shortage *shortage,
                    fc_error *error) {
    uint64_t asked = asked_units * FC__PAGE;
    uint64_t budget = atomic_load(&cache->control->budget_units) * FC__PAGE;
    uint64_t used = fc__used_units(cache) * FC__PAGE;
    fc__count(cache, FC__COUNT_refused_budget, 1);
    if (!shortage)
        fc__fail(error, FC_E_BUDGET,
                 "a frame of %llu bytes does not fit the whole budget of %llu bytes (the "
                 "index takes %llu of it): raise FRAMECACHE_BUDGET or put fewer rows",
                 (unsigned long long)asked, (unsigned long long)budget,
                 (unsigned long long)cache->control_bytes);
    else
        fc__fail(error, FC_E_BUDGET,
                 "no room for %llu bytes in the budget of %llu bytes: %llu are used, %llu of "
                 "these in frames that readers hold and %llu in replaced frames that readers "
                 "hold still; release frames earlier or raise FRAMECACHE_BUDGET",
                 (unsigned long long)asked, (unsigned long long)budget,
                 (unsigned long long)used,
                 (unsigned long long)(shortage->leased_units * FC__PAGE),
                 (unsigned long long)(shortage->zombie_units * FC__PAGE));
    if (error) {
        error->asked_bytes = asked;
        error->budget_bytes = budget;
        error->used_bytes = used;
        error->leased_bytes = shortage ? shortage->leased_units * FC__PAGE : 0;
        error->zombie_bytes = shortage ? shortage->zombie_units * FC__PAGE : 0;
    }
    return FC_E_BUDGET;
}

void fc__evict_to_low(fc_cache *cache) {
    uint64_t budget = atomic_load(&cache->control->budget_units);
    uint64_t high = budget * atomic_load(&cache->control->high_percent) / 100;
    if (fc__used_units(cache) <= high)
        return;
    eviction e = eviction_for(cache, &nothing);
    e.big_units = budget; /* the low mark is the goal, whatever the size */
    fc__pool_trim(cache, budget - high, false);
    if (!reached(&e))
        evict_until(&e);
}

void fc__shed(fc_cache *cache, uint64_t units) {
    uint64_t budget = atomic_load(&cache->control->budget_units);
    uint64_t used = fc__used_units(cache), least = fc__control_units(cache);
    eviction e = eviction_for(cache, &nothing);
    e.goal = used > units + least ? used - units : least;
    e.big_units = budget;
    e.drop = true;
    fc__table_drop_idle(cache, true);
    fc__pool_trim(cache, budget > e.goal ? budget - e.goal : 0, false);
    if (!reached(&e))
        evict_until(&e);
}

/* Of the victims that have to go for `units`, the nearest in size, by half at most. */
static fc__candidate *nearest(const fc__victims *victims, uint64_t units, uint64_t missing) {
    fc__candidate *best = NULL;
    uint64_t freed = 0, best_off = units / 2 + 1;
    for (size_t i = 0; i < victims->count && freed < missing; i++) {
        fc__candidate *victim = &victims->heap[i];
        uint64_t off = victim->units > units ? victim->units - units : units - victim->units;
        freed += victim->units;
        if (victim->status && off < best_off) {
            best_off = off;
            best = victim;
        }
    }
    return best;
}

/* Dropped, where making room would drop it too; one that it would compress stays. */
static bool drop_to_reuse(fc_cache *cache, const fc__candidate *victim) {
    if (cache->settings.cold && fc__has_headroom(cache, victim->units * FC__PAGE)) {
        drop_mapping(cache, victim);
        if (fc__not_worth(cache, victim->id, victim->status) != FC__DONE)
            return false;
    }
    return evict_as(cache, victim, FC__RECLAIM_REUSE) == FC__DONE;
}

bool fc__evict_to_reuse(fc_cache *cache, const fc__content *content, uint64_t units) {
    uint64_t budget = atomic_load(&cache->control->budget_units);
    uint64_t used = fc__used_units(cache);
    uint64_t pooled = atomic_load(&cache->control->pool_units);
    fc__candidate few[FC__EVICT_BATCH], *victim;
    fc__victims victims = {.heap = few, .limit = FC__EVICT_BATCH};
    fc__owed whole = {.units = units};
    eviction e = eviction_for(cache, &whole);
    uint64_t spare = e.goal < budget ? e.spare_units : 0; /* which other victims need */
    uint64_t kept = used > pooled ? used - pooled : 0;    /* when the pool has gone */
    if (kept + units <= budget)
        return false;
    gather(cache, &victims);
    while ((victim = nearest(&victims, units, kept + units - budget)) != NULL) {
        if (kept + units + spare <= budget + victim->units &&
            fc__segments_fit(cache, victim->id, content) && drop_to_reuse(cache, victim))
            return true;
        victim->status = 0; /* leased, or of another shape; one that is dearer stays */
    }
    return false;
}

/* The frames in one key's buckets. */
static void gather_buckets(const fc_cache *cache, const fc__hash *hash,
                           fc__victims *victims) {
    uint32_t buckets[2];
    fc__index_buckets(cache, *hash, buckets);
    fc__judge judge = fc__judge_now(cache);
    victims->count = 0;
    for (uint32_t i = 0; i < 2 * FC__BUCKET_SLOTS; i++) {
        uint32_t at = buckets[i / FC__BUCKET_SLOTS] * FC__BUCKET_SLOTS;
        uint64_t word = fc__slot(cache, at + i % FC__BUCKET_SLOTS);
        uint32_t number = fc__word_record(word);
        if (!word || number >= cache->capacity)
            continue;
        fc__candidate candidate =
            candidate_of(&judge, &cache->records[number], number,
                         fc__status(FC__LIVE, fc__word_generation(word)));
        fc__victims_offer(victims, &candidate);
    }
    fc__victims_sort(victims);
}

/* A small victim's file serves the next put of a new key: it is likely to be like it. */
static bool pools(const fc_cache *cache, const fc__candidate *victim) {
    return victim->units == 1 && atomic_load(&cache->control->pool_limit_units) > 0;
}

/* The first gives its record up, for the put that needs one. */
static bool evict_first(fc_cache *cache, const fc__victims *victims, uint32_t count,
                        int64_t end_ns) {
    uint32_t gone = 0;
    for (size_t i = 0; i < victims->count && gone < count; i++) {
        fc__reclaim mode = gone && pools(cache, &victims->heap[i]) ? FC__RECLAIM_REUSE
                                                                   : FC__RECLAIM_EVICT;
        gone += evict_as(cache, &victims->heap[i], mode) == FC__DONE;
        if (!gone && i >= FC__EVICT_BATCH && fc__os_monotonic_ns() >= end_ns)
            break;
    }
    return gone > 0;
}

/* The least valuable may all be leased, so the rest has its turn; and idle mappings of
 * other processes may be all that holds them, so these are asked for and waited for. */
static bool evict_some(fc_cache *cache, const fc__hash *hash, uint32_t count) {
    fc__candidate few[FC__EVICT_BATCH];
    fc__victims victims = {.heap = few, .limit = FC__EVICT_BATCH};
    eviction e = eviction_for(cache, &nothing);
    int64_t end = fc__os_monotonic_ns() + cache->settings.reclaim_wait_ms * 1000000;
    fc__candidate *all = NULL;
    bool done;
    for (;;) {
        if (hash)
            gather_buckets(cache, hash, &victims);
        else if (all)
            gather_all(cache, &victims);
        else
            gather(cache, &victims);
        done = evict_first(cache, &victims, count, end);
        if (done || (e.epoch_moved && fc__os_monotonic_ns() >= end))
            break;
        if (!all && !hash &&
            (all = fc__malloc(cache->capacity * sizeof *all)) != NULL)
            victims = (fc__victims){.heap = all, .limit = cache->capacity};
        else
            fc__os_sleep_ns(500000);
        move_epoch(&e);
    }
    fc__free(all);
    return done;
}

bool fc__evict_one(fc_cache *cache, const fc__hash *hash) {
    return evict_some(cache, hash, 1);
}

bool fc__evict_records(fc_cache *cache) {
    uint32_t part = cache->capacity / FC__EVICT_BATCH;
    return evict_some(cache, NULL, part < FC__EVICT_BATCH ? part : FC__EVICT_BATCH);
}
