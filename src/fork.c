/* Fork safety: the gate, the registry of descriptors, and the fork handlers.
 *
 * A child inherits descriptors and mappings, and with them locks and leases of its parent.
 * It closes what is registered (never unlocks: the lock belongs to both) and unmaps idle
 * handles. For that to be complete, each window between opening and registering, mapping
 * and entering the table, holds the gate shared; fork holds it exclusively. Order: helper
 * threads, gate, table, lists (the other way round deadlocks with a helper at the gate). */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>

#define MAX_DESCRIPTORS (1u << 20)

/* Readers that come and come would keep a fork waiting for ever where the lock prefers them,
 * as musl's does: once a fork waits, who enters waits for its turn behind it. */
static pthread_rwlock_t gate;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool fork_waits;
static pthread_mutex_t caches_mutex = PTHREAD_MUTEX_INITIALIZER;
static fc_cache *caches;
static _Atomic uint32_t generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* One bit a descriptor; [highest word in use] bounds the child's scan. */
static _Atomic uint64_t open_bits[MAX_DESCRIPTORS / 64];
static _Atomic uint32_t open_words;

void fc__gate_enter(void) {
    if (atomic_load_explicit(&fork_waits, memory_order_relaxed)) { /* a hint, no more */
        pthread_mutex_lock(&turn);
        pthread_mutex_unlock(&turn);
    }
    pthread_rwlock_rdlock(&gate);
}

/* For the thread that forks: there is one at a time, which holds caches_mutex. */
static void gate_close(void) {
    pthread_mutex_lock(&turn);
    atomic_store(&fork_waits, true);
    pthread_rwlock_wrlock(&gate);
}

static void gate_open(void) {
    atomic_store(&fork_waits, false);
    pthread_mutex_unlock(&turn);
}

void fc__gate_leave(void) {
    pthread_rwlock_unlock(&gate);
}

uint32_t fc__fork_generation(void) {
    return atomic_load_explicit(&generation, memory_order_relaxed);
}

static void registry_add(int fd) {
    uint32_t word = (uint32_t)fd / 64, seen = atomic_load(&open_words);
    atomic_fetch_or(&open_bits[word], 1ull << (fd % 64));
    while (seen < word + 1 && !atomic_compare_exchange_weak(&open_words, &seen, word + 1))
        ;
}

/* Within the gate. */
static int register_fd(int fd) {
    if (fd >= (int)MAX_DESCRIPTORS) {
        fc__os_close(fd);
        fd = -1;
        errno = EMFILE;
    }
    if (fd >= 0)
        registry_add(fd);
    return fd;
}

int fc__fd_open(int dir, const char *name, int flags, uint32_t mode) {
    fc__gate_enter();
    int fd = register_fd(fc__os_open(dir, name, flags, mode));
    fc__gate_leave();
    return fd;
}

int fc__fd_file(const fc_cache *cache, int dir, const char *name, int flags,
                uint32_t mode) {
    fc__gate_enter();
    int fd = register_fd(fc__os_open_file(dir, name, flags, mode, cache->owner, false));
    fc__gate_leave();
    return fd;
}

int fc__fd_segment(const fc_cache *cache, const char *name, int flags) {
    fc__gate_enter();
    int fd = register_fd(
        fc__os_open_file(cache->frames, name, flags, 0, cache->owner, true));
    fc__gate_leave();
    return fd;
}

int fc__fd_dir(const fc_cache *cache, int dir, const char *name) {
    fc__gate_enter();
    int fd = register_fd(fc__os_open_dir(dir, name, cache->owner));
    fc__gate_leave();
    return fd;
}

int fc__fd_event(void) {
    fc__gate_enter();
    int fd = register_fd(fc__os_event());
    fc__gate_leave();
    return fd;
}

void fc__fd_close(int fd) {
    if (fd < 0)
        return;
    int saved = errno;
    fc__gate_enter();
    atomic_fetch_and(&open_bits[fd / 64], ~(1ull << (fd % 64)));
    fc__os_close(fd);
    fc__gate_leave();
    errno = saved;
}

static void close_registered(void) {
    uint32_t words = atomic_load(&open_words);
    for (uint32_t word = 0; word < words; word++) {
        uint64_t bits = atomic_exchange(&open_bits[word], 0);
        for (; bits; bits &= bits - 1)
            fc__os_close((int)(word * 64 + (uint32_t)__builtin_ctzll(bits)));
    }
}

size_t fc__caches_have(fc__hash hash, uint64_t word, bool *used) {
    size_t count = 0;
    bool in_use;
    *used = false;
    pthread_mutex_lock(&caches_mutex);
    for (fc_cache *cache = caches; cache; cache = cache->next) {
        count += fc__table_has(cache, hash, word, &in_use);
        *used |= in_use;
    }
    pthread_mutex_unlock(&caches_mutex);
    return count;
}

static void before_fork(void) {
    pthread_mutex_lock(&caches_mutex);
    for (fc_cache *cache = caches; cache; cache = cache->next) {
        fc__helper_stop(cache);
        pthread_mutex_lock(&cache->helper_mutex);
        while (atomic_load(&cache->helper_running)) { /* started again meanwhile */
            pthread_mutex_unlock(&cache->helper_mutex);
            fc__helper_stop(cache);
            pthread_mutex_lock(&cache->helper_mutex);
        }
    }
    gate_close();
    for (fc_cache *cache = caches; cache; cache = cache->next) {
        fc__table_lock_all(cache);
        pthread_mutex_lock(&cache->lists_mutex);
        pthread_mutex_lock(&cache->locks_mutex);
    }
}

static void after_fork_in_parent(void) {
    for (fc_cache *cache = caches; cache; cache = cache->next) {
        pthread_mutex_unlock(&cache->locks_mutex);
        /* The helper does not run until a call needs it, so that who waits has to look. */
        fc__watches_fire(cache, true);
        pthread_mutex_unlock(&cache->lists_mutex);
        fc__table_unlock_all(cache, false);
        pthread_mutex_unlock(&cache->helper_mutex);
    }
    pthread_rwlock_unlock(&gate);
    gate_open();
    pthread_mutex_unlock(&caches_mutex);
}

#ifdef __SANITIZE_THREAD__
void __tsan_mutex_pre_unlock(void *lock, unsigned flags);
void __tsan_mutex_post_unlock(void *lock, unsigned flags);
#endif

/* glibc's unlock looks for its writer by a thread id that the child does not have, so the
 * gate is made anew; the thread sanitizer would go on thinking of it as locked. */
static void gate_renew(void) {
#ifdef __SANITIZE_THREAD__
    __tsan_mutex_pre_unlock(&gate, 0);
    __tsan_mutex_post_unlock(&gate, 0);
#endif
    pthread_rwlock_init(&gate, NULL);
    gate_open();
}

/* The only thread of the child. The builds stay the parent's: their mappings were not
 * inherited, their descriptors are closed, and fork_generation tells them. */
static void after_fork_in_child(void) {
    atomic_fetch_add(&generation, 1);
    gate_renew();
    pthread_mutex_unlock(&caches_mutex);
    close_registered();
    for (fc_cache *cache = caches; cache; cache = cache->next) {
        pthread_mutex_unlock(&cache->locks_mutex);
        pthread_mutex_unlock(&cache->lists_mutex);
        pthread_mutex_unlock(&cache->helper_mutex);
        cache->idle_lock_count = 0;
        cache->builds = NULL;
        cache->watches = NULL;
        atomic_store(&cache->flights, NULL);
        cache->janitor.fd = -1;
        atomic_store(&cache->helper_running, false);
        for (int i = 0; i < FC__COUNT_ALL; i++) /* the parent adds what it has counted */
            atomic_store(&cache->counters[i], 0);
        fc__table_unlock_all(cache, true);
        fc__table_forget_idle(cache);
    }
}

static void start(void) {
    pthread_rwlock_init(&gate, NULL);
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void fc__fork_add(fc_cache *cache) {
    pthread_once(&once, start);
    pthread_mutex_lock(&caches_mutex);
    cache->previous = NULL;
    cache->next = caches;
    if (caches)
        caches->previous = cache;
    caches = cache;
    pthread_mutex_unlock(&caches_mutex);
}

void fc__fork_remove(fc_cache *cache) {
    pthread_mutex_lock(&caches_mutex);
    if (cache->next)
        cache->next->previous = cache->previous;
    if (cache->previous)
        cache->previous->next = cache->next;
    else
        caches = cache->next;
    pthread_mutex_unlock(&caches_mutex);
}
