/* The helper thread of a process: a watcher, which gives up idle mappings when the
 * pressure epoch moves or frames are replaced under leases, and, in one process of all,
 * the janitor. It sleeps on the notice word. Nothing depends on it: without it puts do
 * the same. */
#include "engine.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define ROUND_NS    1000000000
#define FIRST_NS    20000000   /* a process that has just begun maps its first frames */
#define IDLE_NS     2000000000 /* of one that only looks whether the janitor lives */
#define POOL_ROUNDS 120

void fc__watch(fc_cache *cache) {
    uint32_t epoch = atomic_load(&cache->control->pressure);
    bool moved = atomic_exchange(&cache->epoch, epoch) != epoch;
    fc__table_drop_idle(cache, !moved);
}

/* A pool that takes nothing for this many seconds comes down to its limit. */
static void settle_pool(fc_cache *cache) {
    uint32_t position = atomic_load(&cache->control->big_position);
    cache->pool_rounds = position == cache->pool_position ? cache->pool_rounds + 1 : 0;
    cache->pool_position = position;
    if (cache->pool_rounds == POOL_ROUNDS)
        fc__pool_to_limit(cache);
}

/* `full`: all there is to do, and an empty pool: `framecache gc`. */
void fc__housekeep(fc_cache *cache, bool full) {
    uint64_t sequence = atomic_load(&cache->control->sequence);
    if (cache->read_only)
        return;
    fc__budget_follow(cache);
    fc__expire(cache);
    fc__evict_to_low(cache);
    settle_pool(cache);
    if (full) {
        fc__table_drop_idle(cache, false);
        fc__pool_trim(cache, 0, true);
    }
    if (full || sequence != cache->seen_sequence || cache->housekeepings++ % 10 == 0)
        fc__sweep(cache);
    if (full) {
        fc__files_sweep(cache);
        fc__cold_sweep(cache, false);
    }
    cache->seen_sequence = sequence;
}

static bool elected(fc_cache *cache) {
    if (cache->read_only || !cache->settings.janitor)
        return false;
    return cache->janitor.fd >= 0 ||
           fc__lock_try(cache, FC__LOCK_JANITOR, 0, &cache->janitor) == 0;
}

static bool any_frames(const fc_cache *cache) {
    return fc__used_units(cache) > fc__control_units(cache);
}

void fc__rouse(fc_cache *cache) {
    if (atomic_load(&cache->control->asleep) &&
        atomic_exchange(&cache->control->asleep, 0))
        fc__notice(cache);
}

/* Once a second, however often watchers are woken: a key that is replaced all the time
 * under readers would otherwise have its janitor sweep all the time. Nobody wakes this
 * thread when the janitor of all has died, so it looks, but without frames nothing needs
 * one. Returns how long it may sleep, -1: until it is woken. */
static int64_t one_round(fc_cache *cache) {
    bool flushed = fc__stats_flush(cache);
    if (fc__control_present(cache, NULL))
        return -1;
    bool frames = any_frames(cache), janitor = frames && elected(cache);
    if (janitor)
        fc__housekeep(cache, false);
    else if (!frames)
        fc__lock_release(cache, &cache->janitor); /* to whoever is awake */
    return janitor || flushed ? ROUND_NS : frames ? IDLE_NS : -1;
}

/* Says first that it sleeps, then looks once more: either it sees the frame of a put, or
 * the put sees that it sleeps. But a put that is killed wakes nobody, and who watches its
 * key is to learn of it. */
static bool may_sleep(fc_cache *cache) {
    atomic_store(&cache->helper_idle, true);
    if (cache->read_only)
        return true;
    atomic_store(&cache->control->asleep, 1);
    return !any_frames(cache) && !fc__watches_any(cache);
}

static void *helper_main(void *argument) {
    fc_cache *cache = argument;
    uint32_t watched = atomic_load(&cache->control->notice) - 1;
    int64_t last_ns = fc__os_monotonic_ns(), pause_ns = FIRST_NS; /* of the last round */
    while (!atomic_load(&cache->helper_stop)) {
        uint32_t notice = atomic_load(&cache->control->notice);
        fc__watches_look(cache, false); /* first: somebody waits for it */
        if (notice != watched)
            fc__watch(cache);
        watched = notice;
        int64_t left_ns = last_ns + pause_ns - fc__os_monotonic_ns();
        if (left_ns <= 0) {
            last_ns = fc__os_monotonic_ns();
            pause_ns = left_ns = one_round(cache);
        }
        if (pause_ns < 0 && !may_sleep(cache))
            left_ns = ROUND_NS;
        FC__STEP("helper-sleeps");
        if (!atomic_load(&cache->helper_stop))
            fc__os_wait(&cache->control->notice, notice, left_ns, 1u | cache->helper_bit);
        atomic_store(&cache->helper_idle, false);
        if (pause_ns < 0) /* woken for a reason: the next round is due */
            pause_ns = ROUND_NS;
    }
    fc__lock_release(cache, &cache->janitor);
    return NULL;
}

bool fc__helper_start(fc_cache *cache) {
    if (atomic_load_explicit(&cache->helper_running, memory_order_relaxed)) {
        /* It may sleep for ever, and the caller is about to count something. */
        if (atomic_load_explicit(&cache->helper_idle, memory_order_relaxed) &&
            atomic_exchange(&cache->helper_idle, false)) {
            if (!cache->read_only) /* it may be just about to sleep */
                atomic_fetch_add(&cache->control->notice, 1);
            fc__os_wake(&cache->control->notice, cache->helper_bit);
        }
        return true;
    }
    if (!cache->threads_allowed || atomic_load(&cache->closed))
        return true;
    pthread_mutex_lock(&cache->helper_mutex);
    if (!atomic_load(&cache->helper_running)) {
        sigset_t all, before;
        sigfillset(&all);
        cache->helper_bit = 2u << ((unsigned)fc__os_random() % 31);
        atomic_store(&cache->helper_stop, false);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's */
        if (pthread_create(&cache->helper, NULL, helper_main, cache) == 0)
            atomic_store(&cache->helper_running, true);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    bool runs = atomic_load(&cache->helper_running);
    pthread_mutex_unlock(&cache->helper_mutex);
    return runs;
}

bool fc__helper_stopping(fc_cache *cache) {
    return atomic_load(&cache->helper_stop) && atomic_load(&cache->helper_running) &&
           pthread_equal(pthread_self(), cache->helper);
}

/* Woken again and again until it is gone: it may be just about to sleep. */
void fc__helper_stop(fc_cache *cache) {
    pthread_mutex_lock(&cache->helper_mutex);
    if (atomic_load(&cache->helper_running)) {
        atomic_store(&cache->helper_stop, true);
        for (int i = 0;; i++) {
            fc__os_wake(&cache->control->notice, cache->helper_bit);
            if (pthread_tryjoin_np(cache->helper, NULL) == 0)
                break;
            fc__os_sleep_ns(i < 20 ? 10000 : 500000);
        }
        atomic_store(&cache->helper_running, false);
    }
    pthread_mutex_unlock(&cache->helper_mutex);
}

int fc_cache_tick(fc_cache *cache, uint32_t flags, int64_t *next_ms, fc_error *error) {
    if (next_ms)
        *next_ms = 1000;
    if (flags & ~FC_TICK_FULL)
        return fc__fail(error, FC_E_INVALID,
                        "fc_cache_tick() flags 0x%x: only FC_TICK_FULL "
                        "is known",
                        flags);
    if (atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    int status = fc__control_present(cache, error);
    if (status)
        return status;
    fc__watch(cache);
    fc__housekeep(cache, flags & FC_TICK_FULL);
    fc__stats_flush(cache);
    if (next_ms && !any_frames(cache))
        *next_ms = 10000;
    return 0;
}
