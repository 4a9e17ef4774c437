/* Byte-range locks in the file `writers`, which only its owner may open: a lock that readers
 * could take would keep writers out. They are owned by an open file description, so that threads
 * exclude each other too, and released by the kernel however the process ends. The range's
 * offset is three bits of class and sixty of identity, so nothing is created or unlinked.
 * A free list of descriptions saves opening one each time. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>

#define MAX_IDLE 64u

uint64_t fc__lock_offset(fc__lock_class class, uint64_t id) {
    return (uint64_t) class << 60 | (id & ((1ull << 60) - 1));
}

static int take_description(fc_cache *cache) {
    int fd = -1;
    pthread_mutex_lock(&cache->locks_mutex);
    if (cache->idle_lock_count)
        fd = cache->idle_locks[--cache->idle_lock_count];
    pthread_mutex_unlock(&cache->locks_mutex);
    return fd >= 0 ? fd : fc__fd_file(cache, cache->dir, "writers", O_RDWR, 0);
}

static void give_description(fc_cache *cache, int fd) {
    pthread_mutex_lock(&cache->locks_mutex);
    if (cache->idle_lock_count < MAX_IDLE) {
        cache->idle_locks[cache->idle_lock_count++] = fd;
        fd = -1;
    }
    pthread_mutex_unlock(&cache->locks_mutex);
    fc__fd_close(fd);
}

int fc__lock_try(fc_cache *cache, fc__lock_class class, uint64_t id, fc__lock *out) {
    *out = (fc__lock){.fd = -1, .offset = fc__lock_offset(class, id)};
    int fd = take_description(cache);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE ? FC_E_NOMEM : FC_E_SYSTEM;
    if (fc__os_range(fd, FC__EXCLUSIVE, out->offset) < 0) {
        int status = errno == EAGAIN || errno == EACCES ? FC_E_BUSY : FC_E_SYSTEM;
        int saved = errno;
        give_description(cache, fd);
        errno = saved;
        return status;
    }
    out->fd = fd;
    return 0;
}

int fc__lock_wait(fc_cache *cache, fc__lock_class class, uint64_t id, int64_t wait_ms,
                  fc__lock *out) {
    int64_t end = fc__os_monotonic_ns() + wait_ms * 1000000, pause = 10000;
    for (;;) {
        int status = fc__lock_try(cache, class, id, out);
        if (status != FC_E_BUSY || fc__os_monotonic_ns() >= end)
            return status;
        fc__os_sleep_ns(pause);
        pause = pause < 500000 ? pause * 2 : pause;
    }
}

void fc__lock_release(fc_cache *cache, fc__lock *lock) {
    if (lock->fd < 0)
        return;
    fc__os_range(lock->fd, FC__UNLOCK, lock->offset);
    give_description(cache, lock->fd);
    lock->fd = -1;
}

void fc__lock_close_idle(fc_cache *cache) {
    pthread_mutex_lock(&cache->locks_mutex);
    uint32_t count = cache->idle_lock_count;
    cache->idle_lock_count = 0;
    pthread_mutex_unlock(&cache->locks_mutex);
    for (uint32_t i = 0; i < count; i++)
        fc__fd_close(cache->idle_locks[i]);
}
