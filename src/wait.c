/* Futex words in control: one of 256 for whoever waits for a key to change, and one notice
 * for the watchers of all processes. */
#include "engine.h"

static uint32_t word_of(fc__hash hash) {
    return (uint32_t)(hash.high >> 8) % FC__WAIT_WORDS;
}

/* `waiting` is taken before the word moves, and a waiter reads the word before it sets
 * `waiting` and looks. So whose flag is taken has read a word that is about to move: it is
 * woken, or its futex sees another word. The other way round the flag could be that of a
 * waiter with the moved word, who then sleeps with no flag up (tests/model/wait.pml). */
#define SLEEPER 1u /* in `waiting`: somebody may sleep on the word */
#define WATCHER 2u /* some process's helper looks at it when it is woken */

void fc__wait_bump(fc_cache *cache, fc__hash hash) {
    uint32_t i = word_of(hash);
    uint32_t waiting = atomic_exchange(&cache->control->waiting[i], 0);
    atomic_fetch_add(&cache->control->wait_words[i], 1);
    if (waiting & SLEEPER)
        fc__os_wake(&cache->control->wait_words[i], FC__WAKE_ALL);
    if (waiting & WATCHER)
        fc__notice(cache);
}

void fc__notice(fc_cache *cache) {
    atomic_fetch_add(&cache->control->notice, 1);
    fc__os_wake(&cache->control->notice, FC__WAKE_ALL);
}

/* A flag that is up already does: whoever takes it has yet to move the word. Many who wait
 * for one key then do not write the line in turns. */
static uint32_t prepare(fc_cache *cache, fc__hash hash, uint32_t flag) {
    uint32_t i = word_of(hash), seen = atomic_load(&cache->control->wait_words[i]);
    if (!cache->read_only && !(atomic_load(&cache->control->waiting[i]) & flag))
        atomic_fetch_or(&cache->control->waiting[i], flag);
    return seen;
}

uint32_t fc__wait_prepare(fc_cache *cache, fc__hash hash) {
    return prepare(cache, hash, SLEEPER);
}

uint32_t fc__watch_prepare(fc_cache *cache, fc__hash hash) {
    return prepare(cache, hash, WATCHER);
}

bool fc__wait_moved(const fc_cache *cache, fc__hash hash, uint32_t seen) {
    return atomic_load(&cache->control->wait_words[word_of(hash)]) != seen;
}

void fc__wait_sleep(fc_cache *cache, fc__hash hash, uint32_t seen, int64_t timeout_ns) {
    fc__os_wait(&cache->control->wait_words[word_of(hash)], seen, timeout_ns, FC__WAKE_ALL);
}

bool fc__wait_changed(const fc_cache *cache, fc__hash hash, uint64_t sequence) {
    uint32_t slot;
    int64_t since;
    uint64_t word = fc__index_find(cache, hash, &slot);
    if (!word)
        return sequence != 0;
    const fc__record *record = &cache->records[fc__word_record(word)];
    uint64_t now = atomic_load(&record->sequence);
    if (fc__record_expired(cache, record, &since))
        return sequence != 0;
    return now != sequence;
}

/* In steps of 50 ms at most: a process killed between its commit and the wake is no reason
 * to sleep for ever. Read-only attached, nothing says that we wait: shorter steps. */
int fc_wait(fc_cache *cache, fc_bytes key, uint64_t sequence, int64_t timeout_ms,
            fc_error *error) {
    char text[80];
    int status = fc__check_key(cache, key, error);
    if (status)
        return status;
    if (timeout_ms < 0 && timeout_ms != FC_NEVER)
        return fc__fail(error, FC_E_INVALID, "timeout of %lld ms: give 0 or more, or "
                        "FC_NEVER", (long long)timeout_ms);
    fc__hash hash = fc__hash_key(cache, key);
    int64_t end = timeout_ms == FC_NEVER || timeout_ms > INT64_MAX / 2000000
                      ? INT64_MAX
                      : fc__os_monotonic_ns() + timeout_ms * 1000000;
    for (;;) {
        uint32_t seen = fc__wait_prepare(cache, hash);
        if (fc__wait_changed(cache, hash, sequence))
            return 0;
        int64_t left = end - fc__os_monotonic_ns(), step = cache->read_only ? 5000000
                                                                            : 50000000;
        if (left <= 0)
            return fc__fail(error, FC_E_TIMEOUT, "key '%s' did not change in %lld ms",
                            fc__key_text(text, key), (long long)timeout_ms);
        if (atomic_load(&cache->closed))
            return fc__fail(error, FC_E_CLOSED, "the cache in %s was closed",
                            cache->settings.dir);
        if ((status = fc__control_present(cache, error)))
            return status;
        fc__wait_sleep(cache, hash, seen, left < step ? left : step);
        /* A flight has ended, of this key or of one that shares its word. */
        if (fc__wait_moved(cache, hash, seen))
            return 0;
    }
}
