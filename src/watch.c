/* Watches: a descriptor that becomes readable when a key changes, for event loops. The
 * helper thread looks at all of its process's watches whenever it wakes; a writer wakes the
 * helpers if somebody watches the key's word ("Watches" in docs/concurrency.md). */
#include "engine.h"

#include <errno.h>

struct fc_watch {
    fc_cache *cache;
    fc__hash hash;
    uint64_t sequence;
    uint32_t seen; /* of the key's word, read before the look */
    int fd;
    uint32_t fork_generation;
    fc_watch *next, **link; /* of the cache's watches; link NULL: in no list */
};

/* Under the lists' mutex. */
static void unlist(fc_watch *watch) {
    if (!watch->link)
        return;
    *watch->link = watch->next;
    if (watch->next)
        watch->next->link = watch->link;
    watch->link = NULL;
}

static void enlist(fc_watch *watch) {
    fc_watch **first = &watch->cache->watches;
    watch->next = *first;
    watch->link = first;
    if (*first)
        (*first)->link = &watch->next;
    *first = watch;
}

static void fire(fc_watch *watch) {
    unlist(watch);
    fc__os_signal(watch->fd);
}

static bool is_due(const fc_watch *watch) {
    return fc__wait_moved(watch->cache, watch->hash, watch->seen) ||
           fc__wait_changed(watch->cache, watch->hash, watch->sequence);
}

void fc__watches_look(fc_cache *cache, bool all) {
    pthread_mutex_lock(&cache->lists_mutex);
    fc__watches_fire(cache, all);
    pthread_mutex_unlock(&cache->lists_mutex);
}

bool fc__watches_any(fc_cache *cache) {
    pthread_mutex_lock(&cache->lists_mutex);
    bool any = cache->watches;
    pthread_mutex_unlock(&cache->lists_mutex);
    return any;
}

void fc__watches_fire(fc_cache *cache, bool all) {
    for (fc_watch *watch = cache->watches, *next; watch; watch = next) {
        next = watch->next;
        if (all || is_due(watch))
            fire(watch);
    }
}

static int check(fc_cache *cache, fc_bytes key, fc_error *error) {
    int status = fc__check_key(cache, key, error);
    if (!status && atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache in %s was closed",
                        cache->settings.dir);
    if (!status && (cache->read_only || !cache->threads_allowed))
        return fc__fail(error, FC_E_UNSUPPORTED, "a watch needs a cache that is attached for "
                        "writing and may have threads: use a timer and fc_wait() with a "
                        "timeout of 0");
    return status;
}

/* In the list first, so that a fork or a close between makes it readable. */
static int arm(fc_watch *watch, fc_error *error) {
    fc_cache *cache = watch->cache;
    pthread_mutex_lock(&cache->lists_mutex);
    enlist(watch);
    watch->seen = fc__watch_prepare(cache, watch->hash);
    if (fc__wait_changed(cache, watch->hash, watch->sequence))
        fire(watch);
    pthread_mutex_unlock(&cache->lists_mutex);
    bool helped = fc__helper_start(cache);
    FC__STEP("watch-helped");
    if (atomic_load(&cache->closed)) /* meanwhile */
        fc__watches_look(cache, true);
    return helped ? 0
                  : fc__fail(error, FC_E_NOMEM, "no thread could be started for a watch");
}

int fc_watch_open(fc_cache *cache, fc_bytes key, uint64_t sequence, fc_watch **out,
                  fc_error *error) {
    *out = NULL;
    int status = check(cache, key, error);
    if (status)
        return status;
    fc_watch *watch = fc__calloc(1, sizeof *watch);
    if (!watch)
        return fc__fail(error, FC_E_NOMEM, "no memory for a watch");
    watch->cache = cache;
    watch->hash = fc__hash_key(cache, key);
    watch->sequence = sequence;
    watch->fork_generation = fc__fork_generation();
    watch->fd = fc__fd_event();
    fc__cache_retain(cache);
    status = watch->fd < 0 ? fc__fail_errno(error, FC_E_NOMEM, errno, "no descriptor left "
                                            "for a watch: see ulimit -n")
                           : arm(watch, error);
    if (status)
        fc_watch_close(watch);
    else
        *out = watch;
    return status;
}

int fc_watch_fd(const fc_watch *watch) {
    return watch->fd;
}

/* The child of a fork has closed the descriptor already, and its list is empty. */
void fc_watch_close(fc_watch *watch) {
    if (!watch)
        return;
    fc_cache *cache = watch->cache;
    if (watch->fork_generation == fc__fork_generation()) {
        pthread_mutex_lock(&cache->lists_mutex);
        unlist(watch);
        pthread_mutex_unlock(&cache->lists_mutex);
        fc__fd_close(watch->fd);
    }
    fc__free(watch);
    fc__cache_unref(cache);
}
