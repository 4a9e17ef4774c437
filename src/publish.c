/* The commit of a frame, once its segments are written: the key's lock, what was expected of
 * the key, the manifest, LIVE, and one CAS that puts the word into the index. */
#include "engine.h"
#include "evict.h"

#include <errno.h>
#include <string.h>

static fc_bytes key_of(const fc__writer *writer) {
    return (fc_bytes){writer->key, writer->key_bytes};
}

static fc__record *record_of(const fc__writer *writer) {
    return &writer->cache->records[writer->record];
}

typedef struct published {
    uint64_t expected; /* the word that must go, or 0 */
    uint32_t slot;     /* of it */
    uint64_t old;
    fc__handle *handle, *dropped;
} published;

static int check_expected(fc__writer *writer, published *p, fc_error *error) {
    uint64_t expect = writer->options.expect, found = 0;
    char text[80];
    int64_t since;
    bool fresh = false;
    if (!expect)
        return 0;
    uint64_t word = fc__index_find(writer->cache, writer->hash, &p->slot);
    fc__record *record = &writer->cache->records[fc__word_record(word)];
    if (word && !fc__record_gone(writer->cache, record, &since)) {
        found = atomic_load(&record->sequence);
        fresh = !fc__record_expired(writer->cache, record, &since);
    }
    if (expect == FC_ABSENT && !fresh)
        return 0; /* under the key lock it can only stay so */
    if (found == expect) {
        p->expected = word;
        return 0;
    }
    fc__key_text(text, key_of(writer));
    if (expect == FC_ABSENT)
        return fc__fail(error, FC_E_CONFLICT, "key '%s' has a frame already (sequence %llu)",
                        text, (unsigned long long)found);
    return fc__fail(error, FC_E_CONFLICT,
                    "key '%s' has sequence %llu, not %llu: get it again (0: no frame)", text,
                    (unsigned long long)found, (unsigned long long)expect);
}

/* A key keeps its heat when it is replaced, which is no use, and over its absence, which a
 * use has ended. */
static uint64_t heat_at_put(const fc__writer *writer) {
    fc_cache *cache = writer->cache;
    uint32_t slot;
    uint64_t heat, word = fc__index_find(cache, writer->hash, &slot);
    if (word)
        return atomic_load_explicit(&cache->records[fc__word_record(word)].heat,
                                    memory_order_relaxed);
    if (fc__ghost_heat(cache, writer->hash, &heat))
        return fc__heat_up(cache, heat, (uint32_t)writer->started_ns);
    return fc__heat_first(atomic_load(&cache->control->turnover));
}

static void fill_record(fc__writer *writer, const fc__manifest *m, uint64_t units) {
    fc_cache *cache = writer->cache;
    fc__record *r = record_of(writer);
    const fc_put_options *options = &writer->options;
    int64_t ttl = options->ttl_ms ? options->ttl_ms : cache->settings.ttl_ms;
    int64_t expires = fc__expiry(m->created_ns, ttl);
    int64_t stale = expires == FC__EXPIRES_NEVER ? expires
                                                 : fc__expiry(expires, options->stale_ms);
    double cost = options->cost_s > 0 ? options->cost_s
                                      : fc__evict_default_cost(units * FC__PAGE);
    /* Pairs with the fence of fc__index_find(): who reads a field of ours while looking for
     * the record's former frame finds the slot of that one empty. */
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&r->hash_low, writer->hash.low, memory_order_relaxed);
    atomic_store_explicit(&r->hash_high, writer->hash.high, memory_order_relaxed);
    atomic_store_explicit(&r->expires_ns, expires, memory_order_relaxed);
    atomic_store_explicit(&r->stale_until_ns, stale, memory_order_relaxed);
    atomic_store_explicit(&r->tags, fc__tags_filter(options->tags, options->tag_count),
                          memory_order_relaxed);
    atomic_store_explicit(&r->ttl_ms, ttl, memory_order_relaxed);
    atomic_store_explicit(&r->tick, 0, memory_order_relaxed);
    atomic_store_explicit(&r->uses, 1, memory_order_relaxed);
    atomic_store_explicit(&r->heat, heat_at_put(writer), memory_order_relaxed);
    atomic_store_explicit(&r->cost, fc__double_bits(cost), memory_order_relaxed);
    atomic_store_explicit(&r->used_ns, m->created_ns, memory_order_relaxed);
    atomic_store_explicit(&r->sequence, m->sequence, memory_order_relaxed);
    if (!writer->cold) /* which has its own use of it, and flags already */
        atomic_store_explicit(&r->linked, fc__units(writer->linked_bytes),
                              memory_order_relaxed);
    uint32_t flags = (options->cost_s > 0 ? FC__RECORD_COST : 0) |
                     (options->flags & FC_PUT_SLIDING ? FC__RECORD_SLIDING : 0);
    if (!writer->cold)
        atomic_store_explicit(&r->flags, flags, memory_order_relaxed);
    /* seq_cst: the sweep that sees LIVE sees the fields. */
    atomic_store(&r->status, fc__status(FC__LIVE, writer->generation));
}

/* A frame that was expected must be there still at the very CAS: a delete may have come
 * between, and nobody may see the key come back after it. */
static int enter_index(fc__writer *writer, uint64_t word, published *p, uint32_t *slot) {
    if (!p->expected)
        return fc__index_publish(writer->cache, writer->hash, word, &p->old, slot);
    p->old = p->expected;
    *slot = p->slot;
    return fc__index_replace(writer->cache, p->slot, p->expected, word) ? 0
                                                                        : FC_E_CONFLICT;
}

/* Maps first, so that nothing can fail after the CAS; all inside the gate. */
static int map_and_publish(fc__writer *writer, uint64_t word, bool map, published *p) {
    fc_cache *cache = writer->cache;
    uint32_t slot = 0;
    int status = 0;
    fc__gate_enter();
    if (map)
        status = fc__lease_map(cache, writer->manifest, writer->hash, word, 0,
                               key_of(writer), &p->handle);
    if (!status)
        status = enter_index(writer, word, p, &slot);
    if (!status && p->handle) {
        p->handle->slot = slot;
        fc__table_insert(p->handle, &p->dropped);
    } else if (p->handle)
        fc__handle_unmap(p->handle);
    fc__gate_leave();
    if (status && p->handle) {
        fc__handle_free_frame(p->handle);
        fc__free(p->handle);
        fc__cache_unref(cache);
        p->handle = NULL;
    }
    return status;
}

static int publish_word(fc__writer *writer, bool map, published *p, fc_error *error) {
    fc_cache *cache = writer->cache;
    uint64_t word = fc__word(writer->hash.high, writer->generation, writer->record);
    char text[80];
    bool starved = false;
    for (int attempt = 0; attempt < 4; attempt++) {
        int status = map_and_publish(writer, word, map, p);
        if (!status)
            return 0;
        if (status == FC_E_CONFLICT)
            return fc__fail(error, status, "key '%s' lost the frame that was expected: get "
                            "it again", fc__key_text(text, key_of(writer)));
        if (status == FC_E_NOMEM && !starved) { /* perhaps our idle mappings are too many */
            starved = true;
            fc__table_drop_idle(cache, false);
            continue;
        }
        if (status != FC_E_BUSY)
            return fc__fail_write(cache, status == FC_E_NOMEM ? ENOMEM : errno,
                                  "mapping the new frame", error);
        if (!fc__evict_one(cache, &writer->hash))
            break;
    }
    return fc__fail(error, FC_E_BUDGET, "the index has no slot for this key and its "
                    "neighbours are in use: raise FRAMECACHE_CAPACITY");
}

/* Of the frame's other record, whose lease goes first: that record is taken exclusively. */
static int take_place(fc__writer *writer, fc_error *error) {
    uint64_t word = fc__word(writer->hash.high, writer->generation, writer->record) |
                    (writer->cold ? FC__WORD_COLD : 0);
    fc__handle_release(writer->source);
    writer->source = NULL;
    FC__STEP("move-live");
    fc__reclaimed moved = fc__reclaim_moved(writer->cache, writer->source_word, word);
    /* Who looks at a cold frame (a cursor, verify) has it for microseconds. */
    for (int i = 0; i < 100 && !writer->cold && (moved == FC__LEASED || moved == FC__BUSY);
         i++) {
        fc__os_sleep_ns(100000);
        moved = fc__reclaim_moved(writer->cache, writer->source_word, word);
    }
    return moved == FC__DONE
               ? 0
               : fc__fail(error, FC_E_BUSY, "the frame was taken or replaced meanwhile");
}

/* From the key lock to the CAS. The manifest is complete in `buffer` but for sequence and
 * checksum. */
static int commit_locked(fc__writer *writer, char *buffer, uint64_t bytes, uint64_t units,
                         bool map, published *p, fc_error *error) {
    fc_cache *cache = writer->cache;
    fc__manifest *m = (fc__manifest *)buffer;
    int status = check_expected(writer, p, error);
    if (status)
        return status;
    m->sequence = writer->source ? writer->sequence
                                 : atomic_fetch_add(&cache->control->sequence, 1) + 1;
    m->checksum = fc__manifest_checksum(m);
    if (fc__os_write(writer->manifest, buffer, bytes, 0) < 0)
        return fc__fail_write(cache, errno, "a manifest", error);
    FC__STEP("put-committed");
    fill_record(writer, m, units);
    FC__STEP("put-live");
    /* Not atomic in the kernel, but who takes it exclusively needs the record lock. */
    if (fc__os_lease(writer->manifest, FC__SHARED) < 0)
        return fc__fail_write(cache, errno, "a lease", error);
    status = writer->source ? take_place(writer, error) : publish_word(writer, map, p, error);
    FC__STEP("put-published");
    return status;
}

int fc__publish(fc__writer *writer, char *buffer, uint64_t bytes, uint64_t units,
                fc__handle **out, fc_error *error) {
    fc_cache *cache = writer->cache;
    published p = {0};
    fc__lock key_lock;
    char text[80];
    int status = fc__lock_wait(cache, FC__LOCK_KEY, writer->hash.low,
                               writer->cold ? 0 : cache->settings.reclaim_wait_ms, &key_lock);
    if (status == FC_E_BUSY)
        return fc__fail(error, FC_E_BUSY, "another process is committing key '%s' and has "
                        "not finished in %lld ms (is it stopped?)",
                        fc__key_text(text, key_of(writer)),
                        (long long)cache->settings.reclaim_wait_ms);
    if (status)
        return fc__fail_write(cache, errno, "a lock", error);
    FC__STEP("put-key-locked");
    status = commit_locked(writer, buffer, bytes, units, out != NULL, &p, error);
    fc__lock_release(cache, &key_lock);
    if (status)
        return status;
    fc__lock_release(cache, &writer->lock);
    fc__rouse(cache);
    if (!p.handle)
        fc__os_lease(writer->manifest, FC__UNLOCK);
    fc__fd_close(writer->manifest);
    fc__wait_bump(cache, writer->hash);
    fc__handles_free(p.dropped);
    if (p.old)
        fc__reclaim_word(cache, writer->hash, p.old);
    if (writer->source_word)
        return 0;
    fc__count(cache, FC__COUNT_puts, 1);
    fc__count(cache, FC__COUNT_replaced, p.old != 0);
    fc__count(cache, FC__COUNT_put_bytes,
              ((const fc__manifest *)buffer)->stored_bytes);
    fc__count(cache, FC__COUNT_put_ns,
              (uint64_t)(fc__os_monotonic_ns() - writer->started_ns));
    if (out)
        *out = p.handle;
    return 0;
}
