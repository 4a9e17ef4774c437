/* A frame's way out: evicted, replaced, deleted, or left behind by a process that died.
 *
 * Under the record lock, then an exclusive lease on the manifest (both by try), in this
 * order: out of its slot, dead mark, files, charge, status. Killed in between, it leaves a
 * WRITING record with a free lock or a LIVE record that no slot holds, and the sweep, which
 * takes the same locks, does the rest. Model: tests/model/lifecycle.pml. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#define PIECE    FC__LARGE_BYTES /* of a file, that is freed at once */
#define SWEEP_NS 1000000000      /* a put does not sweep many records more often */

typedef struct removal {
    fc_cache *cache;
    fc__record *record;
    uint32_t number;
    uint64_t status;
    fc__reclaim mode;
    fc_miss reason;
    fc__hash hash;
    bool referenced;
    uint32_t slot;
    int manifest;
    uint64_t word, heir; /* heir: that takes its place, or 0 */
} removal;

static bool mark_dead(int manifest) {
    uint32_t mark = 1;
    return fc__os_write(manifest, &mark, sizeof mark, offsetof(fc__manifest, dead)) == 0;
}

/* Takes the manifest exclusively. A file that is not there, or not ours, is no obstacle. */
static fc__reclaimed take_manifest(removal *r) {
    char name[16];
    fc__manifest_name(name, r->number);
    r->manifest = fc__fd_file(r->cache, r->cache->frames, name, O_RDWR, 0);
    if (r->manifest < 0)
        return errno == ENOENT || errno == FC__FOREIGN ? FC__DONE : FC__BUSY;
    if (fc__os_lease(r->manifest, FC__EXCLUSIVE) == 0)
        return FC__DONE;
    return errno == EWOULDBLOCK ? FC__LEASED : FC__BUSY;
}

static void count_eviction(removal *r) {
    uint64_t units = atomic_load(&r->record->charged);
    double cost = fc__record_cost(r->record);
    fc__count(r->cache, FC__COUNT_evicted, 1);
    fc__count(r->cache, FC__COUNT_evicted_bytes, units * FC__PAGE);
    fc__count(r->cache, FC__COUNT_evicted_cost_ms, (uint64_t)(cost * 1000));
}

/* The CAS failing is no matter: somebody replaced the frame, and the word cannot come
 * back. */
static void leave_index(removal *r) {
    if (!r->referenced)
        return;
    fc__ghost_add(r->cache, r->hash, r->reason, fc__now_ns(r->cache),
                  atomic_load(&r->record->heat));
    if (fc__index_remove(r->cache, r->slot, r->word)) {
        if (r->reason == FC_MISS_EVICTED)
            count_eviction(r);
        fc__wait_bump(r->cache, r->hash);
    }
    FC__STEP("evict-unslotted");
}

/* What gets and touches have written meanwhile goes along: touches hold the record lock, and
 * a use that is counted in between is one use less. Nobody knows of the heir yet. */
static bool bequeath(removal *r) {
    const fc__record *from = r->record;
    fc__record *to = &r->cache->records[fc__word_record(r->heir)];
    atomic_store(&to->expires_ns, atomic_load(&from->expires_ns));
    atomic_store(&to->stale_until_ns, atomic_load(&from->stale_until_ns));
    atomic_store(&to->ttl_ms, atomic_load(&from->ttl_ms));
    atomic_store(&to->tick, atomic_load(&from->tick));
    atomic_store(&to->uses, atomic_load(&from->uses));
    atomic_store(&to->heat, atomic_load(&from->heat));
    atomic_store(&to->cost, atomic_load(&from->cost));
    atomic_store(&to->used_ns, atomic_load(&from->used_ns));
    atomic_fetch_or(&to->flags, atomic_load(&from->flags) &
                                    (FC__RECORD_COST | FC__RECORD_SLIDING));
    bool moved = fc__index_replace(r->cache, r->slot, r->word, r->heir);
    FC__STEP("move-replaced");
    return moved;
}

static void set_status(removal *r, fc__state state) {
    atomic_store(&r->record->status,
                 fc__status(state, fc__next_generation(fc__status_generation(r->status))));
}

static void to_pool(removal *r) {
    uint64_t units = atomic_load(&r->record->charged);
    set_status(r, FC__POOL);
    fc__pool_add(r->cache, r->number, units);
}

/* A put that waits for the pages gets them piece by piece. Only of a complete frame, whose
 * files have no holes, and only where nobody else has the file. One that is longer than what
 * is charged for it is damaged, and goes as it is. */
static void cut_segment(void *context, const char *name) {
    removal *r = context;
    fc_cache *cache = r->cache;
    struct stat info;
    if (fc__os_stat_at(cache->frames, name, &info) < 0 || (uint64_t)info.st_size < 2 * PIECE)
        return;
    int fd = fc__fd_segment(cache, name, O_RDWR);
    if (fd >= 0 && fc__os_sole(fd) && fc__os_stat(fd, &info) == 0 &&
        fc__units((uint64_t)info.st_size) <= atomic_load(&r->record->charged)) {
        uint64_t bytes = (uint64_t)info.st_size;
        while (bytes > PIECE) {
            uint64_t rest = (bytes - 1) / PIECE * PIECE;
            if (fc__os_truncate(fd, rest) < 0)
                break;
            FC__STEP("reclaim-cut");
            fc__uncharge(cache, r->record, fc__units(bytes) - fc__units(rest));
            bytes = rest;
        }
    }
    fc__fd_close(fd);
}

static void cut_segments(removal *r) {
    if (fc__status_state(r->status) == FC__WRITING ||
        atomic_load(&r->record->charged) < 2 * PIECE / FC__PAGE ||
        atomic_load(&r->record->flags) & FC__RECORD_COLD)
        return;
    fc__segments_each(r->cache, r->number, 0, fc__record_segments(r->record), cut_segment, r);
}

/* A process that dies lets go of its locks before it lets go of its pages, and those of a file
 * that is only unlinked stay until then, charged to nobody. */
static void empty_segment(void *context, const char *name) {
    const removal *r = context;
    struct stat info;
    int fd = fc__fd_segment(r->cache, name, O_RDWR);
    if (fd >= 0 && fc__os_stat(fd, &info) == 0 && info.st_nlink == 1)
        fc__os_truncate(fd, 0);
    FC__STEP("reclaim-emptied");
    fc__fd_close(fd);
}

/* Only with the manifest held exclusively: then no reader maps them. */
static void empty_segments(removal *r) {
    if (r->manifest >= 0 && !(atomic_load(&r->record->flags) & FC__RECORD_COLD))
        fc__segments_each(r->cache, r->number, 0, fc__record_segments(r->record),
                          empty_segment, r);
}

static void to_free(removal *r) {
    atomic_store(&r->record->intent, 0); /* of a dead process, if any */
    cut_segments(r);
    empty_segments(r);
    fc__unlink_files(r->cache, r->number, fc__record_segments(r->record));
    FC__STEP("reclaim-unlinked");
    fc__uncharge(r->cache, r->record, atomic_load(&r->record->charged));
    FC__STEP("reclaim-uncharged");
    atomic_store(&r->record->segments, 0);
    atomic_store(&r->record->linked, 0);
    set_status(r, FC__FREE);
    fc__record_freed(r->cache, r->number);
}

static bool keeps_files(const removal *r) {
    uint32_t flags = atomic_load(&r->record->flags);
    if (r->manifest < 0 || flags & (FC__RECORD_DAMAGED | FC__RECORD_COLD) ||
        atomic_load(&r->record->segments) > FC__MAX_SEGMENTS)
        return false;
    return r->mode == FC__RECLAIM_REUSE ||
           (r->mode == FC__RECLAIM_POOL &&
            fc__pool_accepts(r->cache, atomic_load(&r->record->charged)));
}

static fc__reclaimed reclaim_live(removal *r) {
    r->hash = fc__record_hash(r->record);
    r->word = fc__record_word(r->record, r->number, r->status);
    r->referenced = fc__index_holds(r->cache, r->hash, r->word, &r->slot);
    if (r->heir && !r->referenced)
        return FC__GONE;
    if (r->referenced && r->mode != FC__RECLAIM_EVICT && r->mode != FC__RECLAIM_REUSE)
        return FC__REFERENCED;
    fc__reclaimed taken = take_manifest(r);
    if (taken != FC__DONE)
        return taken;
    FC__STEP("evict-leased");
    if (r->heir && !bequeath(r))
        return FC__GONE;
    if (!r->heir)
        leave_index(r);
    if (r->manifest >= 0 && !mark_dead(r->manifest))
        return FC__BUSY; /* unreferenced now: the next sweep tries again */
    FC__STEP("reclaim-marked");
    if (keeps_files(r))
        to_pool(r);
    else
        to_free(r);
    return FC__DONE;
}

/* POOL -> WRITING before a file is touched, so that a kill leaves a shape that the sweep
 * knows. */
static fc__reclaimed reclaim_pool(removal *r) {
    uint64_t seen = r->status;
    uint32_t generation = fc__status_generation(seen);
    if (!atomic_compare_exchange_strong(&r->record->status, &seen,
                                        fc__status(FC__WRITING, generation)))
        return FC__GONE;
    fc__pool_left(r->cache, atomic_load(&r->record->charged));
    FC__STEP("pool-writing");
    to_free(r);
    return FC__DONE;
}

static fc__reclaimed reclaim_writing(removal *r) {
    fc__reclaimed taken = take_manifest(r);
    if (taken != FC__DONE)
        return taken;
    to_free(r);
    fc__count(r->cache, FC__COUNT_repaired, 1);
    return FC__DONE;
}

static fc__reclaimed reclaim_locked(removal *r) {
    if (atomic_load(&r->record->status) != r->status)
        return FC__GONE;
    switch (fc__status_state(r->status)) {
    case FC__LIVE:
        return reclaim_live(r);
    case FC__POOL:
        return r->mode == FC__RECLAIM_FREE ? reclaim_pool(r) : FC__GONE;
    case FC__WRITING:
        return r->mode == FC__RECLAIM_FREE ? reclaim_writing(r) : FC__GONE;
    default:
        return FC__GONE;
    }
}

static fc__reclaimed reclaim(removal *r) {
    fc__lock lock;
    r->record = &r->cache->records[r->number];
    r->manifest = -1;
    if (r->cache->read_only)
        return FC__BUSY;
    if (atomic_load(&r->record->status) != r->status)
        return FC__GONE;
    if (fc__lock_try(r->cache, FC__LOCK_RECORD, r->number, &lock))
        return FC__BUSY;
    fc__reclaimed result = reclaim_locked(r);
    if (r->manifest >= 0) {
        fc__os_lease(r->manifest, FC__UNLOCK);
        fc__fd_close(r->manifest);
    }
    fc__lock_release(r->cache, &lock);
    return result;
}

fc__reclaimed fc__reclaim_record(fc_cache *cache, uint32_t record, uint64_t status,
                                 fc__reclaim mode, fc_miss reason) {
    removal r = {.cache = cache,
                 .number = record,
                 .status = status,
                 .mode = mode,
                 .reason = reason};
    return reclaim(&r);
}

fc__reclaimed fc__reclaim_moved(fc_cache *cache, uint64_t word, uint64_t heir) {
    removal r = {.cache = cache,
                 .number = fc__word_record(word),
                 .status = fc__status(FC__LIVE, fc__word_generation(word)),
                 .mode = FC__RECLAIM_EVICT,
                 .heir = heir};
    return reclaim(&r);
}

void fc__reclaim_word(fc_cache *cache, fc__hash hash, uint64_t word) {
    uint32_t record = fc__word_record(word);
    uint64_t status = fc__status(FC__LIVE, fc__word_generation(word));
    if (record >= cache->capacity)
        return;
    bool in_use = fc__table_drop_key(cache, hash, word);
    if (in_use)
        return; /* the last release here reclaims it */
    if (fc__reclaim_record(cache, record, status, FC__RECLAIM_POOL, FC_MISS_DELETED) ==
        FC__LEASED)
        fc__notice(cache);
}

bool fc__remove_word(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word,
                     fc_miss reason, int64_t when_ns) {
    uint64_t heat = atomic_load(&cache->records[fc__word_record(word)].heat);
    if (!fc__index_remove(cache, slot, word))
        return false;
    FC__STEP("delete-unslotted");
    fc__ghost_add(cache, hash, reason, when_ns, heat);
    fc__wait_bump(cache, hash);
    fc__reclaim_word(cache, hash, word);
    return true;
}

void fc__drop_damaged(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word) {
    fc__count(cache, FC__COUNT_corrupt, 1);
    if (cache->read_only || fc__slot(cache, slot) != word)
        return;
    /* If another frame takes the record just now, that one is not pooled once. */
    atomic_fetch_or(&cache->records[fc__word_record(word)].flags, FC__RECORD_DAMAGED);
    fc__remove_word(cache, hash, slot, word, FC_MISS_CORRUPT, fc__now_ns(cache));
}

/* What a record needs, seen from outside; the truth is looked at again under its lock. */
static bool left_over(fc_cache *cache, uint32_t number, uint64_t status) {
    fc__record *record = &cache->records[number];
    fc__hash hash;
    uint32_t slot;
    switch (fc__status_state(status)) {
    case FC__WRITING:
        return true;
    case FC__POOL:
        return atomic_load(&record->intent) != 0;
    case FC__LIVE:
        hash = fc__record_hash(record);
        return !fc__index_holds(cache, hash, fc__record_word(record, number, status), &slot);
    default:
        return false;
    }
}

static bool is_unsettled(const fc__record *record) {
    return atomic_load(&record->intent) ||
           (fc__status_state(atomic_load(&record->status)) == FC__FREE &&
            atomic_load(&record->charged));
}

/* Who charges has the record lock: what stands there while nobody has it is damage, or would
 * keep the sum from being put right for ever. */
static void settle(fc_cache *cache, uint32_t number) {
    fc__record *record = &cache->records[number];
    fc__lock lock;
    if (fc__lock_try(cache, FC__LOCK_RECORD, number, &lock))
        return;
    if (fc__status_state(atomic_load(&record->status)) == FC__FREE)
        atomic_store(&record->charged, 0);
    atomic_store(&record->intent, 0);
    fc__lock_release(cache, &lock);
}

uint32_t fc__sweep(fc_cache *cache) {
    atomic_store(&cache->swept_ns, fc__os_monotonic_ns());
    uint32_t freed = 0;
    uint64_t pool = 0, spilled = 0, spill = atomic_load(&cache->control->spill_units);
    bool zombies = false;
    for (uint32_t i = 0; i < cache->capacity; i++) {
        uint64_t status = atomic_load(&cache->records[i].status);
        if (left_over(cache, i, status)) {
            fc__reclaimed result = fc__reclaim_record(cache, i, status, FC__RECLAIM_FREE,
                                                      FC_MISS_DELETED);
            freed += result == FC__DONE;
            zombies |= result == FC__LEASED;
        } else if (is_unsettled(&cache->records[i]))
            settle(cache, i);
        else if (fc__status_state(status) == FC__POOL)
            pool += atomic_load(&cache->records[i].charged);
        if (fc__status_state(status) != FC__FREE)
            spilled += fc__spilled_units(&cache->records[i]);
    }
    if (spilled != spill) /* unless it moves */
        atomic_compare_exchange_strong(&cache->control->spill_units, &spill, spilled);
    atomic_store(&cache->control->pool_units, pool);
    if (fc__budget_repair(cache) == 1)
        fc__count(cache, FC__COUNT_repaired, 1);
    fc__count(cache, FC__COUNT_sweeps, 1);
    if (zombies)
        fc__notice(cache);
    return freed;
}

void fc__sweep_if_due(fc_cache *cache) {
    int64_t now = fc__os_monotonic_ns(), last = atomic_load(&cache->swept_ns);
    if (fc__records_end(cache) <= FC__FEW_RECORDS || fc__span(last, now) >= SWEEP_NS)
        fc__sweep(cache);
}

uint32_t fc__expire(fc_cache *cache) {
    uint32_t gone = 0, slots = cache->capacity * 2;
    for (uint32_t slot = 0; slot < slots; slot++) {
        uint64_t word = fc__slot(cache, slot);
        uint32_t number = fc__word_record(word);
        int64_t since;
        if (!word || number >= cache->capacity)
            continue;
        fc__record *record = &cache->records[number];
        if (!fc__record_gone(cache, record, &since))
            continue;
        fc__hash hash = fc__record_hash(record);
        if (fc__slot(cache, slot) == word && /* the record was this word's */
            fc__remove_word(cache, hash, slot, word, FC_MISS_EXPIRED, since)) {
            fc__count(cache, FC__COUNT_expired, 1);
            gone++;
        }
    }
    return gone;
}
