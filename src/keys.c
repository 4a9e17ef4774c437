/* What is done to one key without mapping its frame: contains, delete, touch. */
#include "engine.h"

#include <errno.h>
#include <string.h>

int fc__check_key(fc_cache *cache, fc_bytes key, fc_error *error) {
    if (__builtin_expect(!key.data || !key.size || key.size > FC__KEY_BYTES, 0))
        return fc__fail(error, FC_E_INVALID, "a key has 1 to %u bytes, this one has %zu",
                        FC__KEY_BYTES, key.size);
    if (__builtin_expect(atomic_load_explicit(&cache->closed, memory_order_relaxed) ||
                             atomic_load_explicit(&cache->removed, memory_order_relaxed),
                         0))
        return fc__fail(error, FC_E_CLOSED,
                        "the cache in %s was closed, or its directory removed: open it again",
                        cache->settings.dir);
    return 0;
}

int fc__check_writable(fc_cache *cache, fc_error *error) {
    if (!cache->read_only)
        return 0;
    return fc__fail(error, FC_E_PERMISSION, "the cache in %s is attached read-only",
                    cache->settings.dir);
}

static int check_write(fc_cache *cache, fc_bytes key, fc_error *error) {
    int status = fc__check_key(cache, key, error);
    if (!status)
        status = fc__check_writable(cache, error);
    return status ? status : fc__control_present(cache, error);
}

int fc_contains(fc_cache *cache, fc_bytes key, fc_error *error) {
    uint8_t found[FC__KEY_BYTES];
    fc__manifest m;
    uint32_t slot;
    int64_t since;
    int status = fc__check_key(cache, key, error);
    if (status)
        return status;
    fc__hash hash = fc__hash_key(cache, key);
    for (int i = 0; i < 100; i++) {
        uint64_t word = fc__index_find(cache, hash, &slot);
        if (!word)
            break;
        if (fc__record_expired(cache, &cache->records[fc__word_record(word)], &since)) {
            status = fc__expired(cache, hash, slot, word, key, error);
            if (status == FC_E_BUSY)
                continue;
            return status;
        }
        status = fc__lease_peek(cache, word, &m, found, NULL, NULL);
        if (!status && m.key_bytes == key.size && !memcmp(found, key.data, key.size))
            return 0;
        if (!status)
            break; /* another key of the same hash */
        if (status != FC_E_BUSY)
            return fc__fail_errno(error, status, errno, "cannot read a manifest in "
                                  "%s/frames", cache->settings.dir);
        fc__os_sleep_ns(100000);
    }
    status = fc__control_present(cache, error);
    return status ? status : fc__miss(cache, hash, key, error);
}

int fc_delete(fc_cache *cache, fc_bytes key, fc_error *error) {
    uint32_t slot;
    int64_t since;
    int status = check_write(cache, key, error);
    if (status)
        return status;
    fc__hash hash = fc__hash_key(cache, key);
    for (;;) { /* a CAS that fails: replaced meanwhile, look again */
        uint64_t word = fc__index_find(cache, hash, &slot);
        if (!word)
            return fc__miss(cache, hash, key, error);
        bool expired =
            fc__record_expired(cache, &cache->records[fc__word_record(word)], &since);
        if (!fc__remove_word(cache, hash, slot, word,
                             expired ? FC_MISS_EXPIRED : FC_MISS_DELETED,
                             expired ? since : fc__now_ns(cache)))
            continue;
        fc__count(cache, expired ? FC__COUNT_expired : FC__COUNT_deleted, 1);
        return expired ? fc__miss(cache, hash, key, error) : 0;
    }
}

/* Under the record lock: a record that is recycled meanwhile is another key's. */
static int touch_locked(fc_cache *cache, uint64_t word, uint32_t slot, int64_t ttl_ms) {
    fc__record *record = &cache->records[fc__word_record(word)];
    int64_t expires, since;
    if (fc__slot(cache, slot) != word)
        return FC_E_BUSY;
    if (fc__record_expired(cache, record, &since))
        return FC_E_MISS;
    if (ttl_ms == 0)
        ttl_ms = atomic_load(&record->ttl_ms);
    int64_t stale = atomic_load(&record->stale_until_ns);
    int64_t old = atomic_load(&record->expires_ns);
    expires = fc__expiry(fc__now_ns(cache), ttl_ms);
    if (old == FC__EXPIRES_NEVER) /* put for ever, it was given no stale time */
        atomic_store(&record->stale_until_ns, expires);
    else if (stale > old && stale != FC__EXPIRES_NEVER) /* as long as it had */
        atomic_store(&record->stale_until_ns, fc__moved(expires, old, stale));
    atomic_store(&record->expires_ns, expires);
    return 0;
}

int fc_touch(fc_cache *cache, fc_bytes key, int64_t ttl_ms, fc_error *error) {
    char text[80];
    uint32_t slot;
    fc__lock lock;
    int status = check_write(cache, key, error);
    if (status)
        return status;
    if (ttl_ms < 0 && ttl_ms != FC_NEVER)
        return fc__fail(error, FC_E_INVALID, "ttl of %lld ms: give more than 0, 0 for that "
                        "of the put, or FC_NEVER", (long long)ttl_ms);
    fc__hash hash = fc__hash_key(cache, key);
    for (;;) {
        uint64_t word = fc__index_find(cache, hash, &slot);
        if (!word)
            return fc__miss(cache, hash, key, error);
        status = fc__lock_wait(cache, FC__LOCK_RECORD, fc__word_record(word),
                               cache->settings.reclaim_wait_ms, &lock);
        if (status == FC_E_BUSY)
            return fc__fail(error, status, "the frame under key '%s' is being worked on by "
                            "another process (is it stopped?)", fc__key_text(text, key));
        if (status)
            return fc__fail_errno(error, status, errno, "cannot lock the record of key '%s'",
                                  fc__key_text(text, key));
        status = touch_locked(cache, word, slot, ttl_ms);
        fc__lock_release(cache, &lock);
        /* Only this very frame: one put meanwhile has not expired. */
        if (status == FC_E_MISS)
            status = fc__expired(cache, hash, slot, word, key, error);
        if (status == FC_E_MISS)
            return status;
        if (!status)
            return 0;
    }
}
