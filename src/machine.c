/* The budget and the machine: what `auto` comes to, how it follows the rest of the
 * machine, and headroom. Pages of tmpfs that go beyond the limit of a memory cgroup end
 * in a kill, not in ENOSPC, so before pages are taken it is looked whether there are any.
 */
#include "engine.h"

#include <errno.h>

#define MIB         ((uint64_t)1 << 20)
#define FOLLOW_NS   1000000000
#define READING_NS  5000000 /* how long a reading of free memory is believed */
#define SMALL_BYTES MIB     /* small writes are added up to this before it is looked */
#define PRESSED     10.0    /* percent of the time that somebody stalled: shrink */
#define RELAXED     1.0     /* and when it may grow again */

/* ---- What auto comes to ---- */

/* Half of what the file system holds, of the cgroup's limit and of what is free in it,
 * and of the memory that is free; what the cache holds already counts as free. */
static uint64_t automatic(const fc_cache *cache, const fc__filesystem *fs,
                          uint32_t *rule) {
    fc__cgroup cgroup = fc__os_cgroup();
    uint64_t held = cache->control ? fc__used_units(cache) * FC__PAGE : 0;
    uint64_t memory = (fc__os_memory_available() + held) / 2;
    uint64_t least = fs->size_bytes / 2;
    uint64_t group =
        (cgroup.free_bytes + held < cgroup.limit_bytes ? cgroup.free_bytes + held
                                                       : cgroup.limit_bytes) /
        2;
    *rule = FC__RULE_FILESYSTEM;
    if (cgroup.limit_bytes && group < least) {
        least = group;
        *rule = FC__RULE_CGROUP;
    }
    if (fs->memory && memory && memory < least) {
        least = memory;
        *rule = FC__RULE_MEMORY;
    }
    return least;
}

static int fail_small(const fc_cache *cache, const fc__filesystem *fs, uint64_t bytes,
                      fc_error *error) {
    return fc__fail(error, FC_E_INVALID,
                    "budget of %llu bytes is not more than the %llu that the cache's own "
                    "index takes: raise FRAMECACHE_BUDGET or lower FRAMECACHE_CAPACITY%s",
                    (unsigned long long)bytes, (unsigned long long)cache->control_bytes,
                    fs->memory && fs->size_bytes <= 64 * MIB
                        ? " (this memory file system is small: a container has 64 MB of "
                          "/dev/shm unless started with more, e.g. --shm-size=1g)"
                        : "");
}

int fc__budget_resolve(fc_cache *cache, const fc__amount *amount, uint64_t *units,
                       uint32_t *rule, fc_error *error) {
    fc__filesystem fs;
    if (fc__os_filesystem(cache->dir, &fs) < 0)
        return fc__fail_errno(error, FC_E_SYSTEM, errno,
                              "cannot ask the file system of %s", cache->settings.dir);
    uint64_t bytes = amount->value;
    *rule = FC__RULE_SETTING;
    if (amount->unit == FC__PERCENT)
        bytes = (uint64_t)((double)fs.size_bytes * (double)amount->value / 10000.0);
    else if (amount->unit == FC__AUTO)
        bytes = automatic(cache, &fs, rule);
    *units = bytes / FC__PAGE;
    if (*units <= fc__units(cache->control_bytes))
        return fail_small(cache, &fs, bytes, error);
    return 0;
}

void fc__budget_apply(fc_cache *cache, uint64_t units, uint32_t rule) {
    const fc__amount *pool = &cache->settings.pool;
    uint64_t kept = pool->unit == FC__PERCENT
                        ? (uint64_t)((double)units * (double)pool->value / 10000.0)
                        : pool->value / FC__PAGE;
    atomic_store(&cache->control->budget_units, units);
    atomic_store(&cache->control->budget_rule, rule);
    atomic_store(&cache->control->pool_limit_units, kept);
}

/* ---- Following ---- */

/* One process of all, at most once a second. */
static bool its_turn(fc_cache *cache) {
    int64_t now = fc__os_monotonic_ns();
    int64_t last = atomic_load(&cache->control->followed_ns);
    bool due = fc__span(last, now) >= FOLLOW_NS || now < last;
    return due &&
           atomic_compare_exchange_strong(&cache->control->followed_ns, &last, now);
}

/* One step from `now` towards `target`: down at once, or by an eighth a step while
 * processes stall for memory; up by an eighth, and not before they have stopped to. */
static uint64_t step_to(uint64_t target, uint64_t now, double pressure, uint32_t *rule) {
    uint64_t grown = now + target / 8, pressed = now - now / 8;
    if (pressure >= PRESSED && pressed < target) {
        *rule = FC__RULE_PRESSURE;
        return pressed > target / 8 ? pressed : target / 8;
    }
    if (pressure > RELAXED && now < target) {
        *rule = FC__RULE_PRESSURE;
        return now;
    }
    return target < grown ? target : grown;
}

/* What the index takes, and a little. */
static uint64_t least_units(const fc_cache *cache) {
    return fc__control_units(cache) + MIB / FC__PAGE;
}

bool fc__budget_follow(fc_cache *cache) {
    static const fc__amount amount = {.unit = FC__AUTO};
    uint32_t rule, ruled = atomic_load(&cache->control->budget_rule);
    uint64_t units, now = atomic_load(&cache->control->budget_units);
    if (ruled == FC__RULE_SETTING || cache->read_only || !its_turn(cache))
        return false;
    if (fc__budget_resolve(cache, &amount, &units, &rule, NULL))
        units = least_units(cache);
    units = step_to(units, now, fc__os_memory_pressure(), &rule);
    if (units < least_units(cache))
        units = least_units(cache);
    uint64_t apart = units > now ? units - now : now - units;
    if (apart <= now / 64 && rule == ruled)
        return false;
    fc__budget_apply(cache, units, rule);
    if (!fc__budget_fits(cache, 0))
        fc__evict_to_low(cache);
    return true;
}

/* ---- Headroom ---- */

/* Free memory less a margin: others take some between a reading and its use. */
static uint64_t read_room(void) {
    fc__cgroup cgroup = fc__os_cgroup();
    uint64_t available = fc__os_memory_available(), room = UINT64_MAX;
    if (cgroup.limit_bytes) {
        uint64_t margin = cgroup.limit_bytes / 16;
        margin = margin > 256 * MIB ? 256 * MIB : margin;
        room = cgroup.free_bytes > margin ? cgroup.free_bytes - margin : 0;
    }
    if (available) {
        available = available > 64 * MIB ? available - 64 * MIB : 0;
        room = available < room ? available : room;
    }
    return room;
}

/* Takes the bytes off what this process believes to be free. */
static bool take_room(fc_cache *cache, uint64_t bytes, uint64_t *missing) {
    int64_t now = fc__os_monotonic_ns();
    uint64_t room = atomic_load(&cache->room_bytes);
    if (now >= atomic_load(&cache->room_until_ns) || room < bytes) {
        room = read_room();
        atomic_store(&cache->room_bytes, room);
        atomic_store(&cache->room_until_ns, now + READING_NS);
    }
    while (room >= bytes &&
           !atomic_compare_exchange_weak(&cache->room_bytes, &room, room - bytes))
        ;
    *missing = room < bytes ? bytes - room : 0;
    return !*missing;
}

static int fail_headroom(fc_cache *cache, uint64_t bytes, fc_error *error) {
    fc__cgroup cgroup = fc__os_cgroup();
    fc__count(cache, FC__COUNT_refused_nospace, 1);
    if (cgroup.limit_bytes)
        return fc__fail(
            error, FC_E_NOSPACE,
            "no room for %llu bytes in the memory cgroup, whose limit is %llu "
            "bytes with %llu free: beyond it the kernel kills. Raise the limit, "
            "lower FRAMECACHE_BUDGET or release frames",
            (unsigned long long)bytes, (unsigned long long)cgroup.limit_bytes,
            (unsigned long long)cgroup.free_bytes);
    return fc__fail(
        error, FC_E_NOSPACE,
        "no room for %llu bytes in memory, of which %llu are available: lower "
        "FRAMECACHE_BUDGET or release frames",
        (unsigned long long)bytes, (unsigned long long)fc__os_memory_available());
}

bool fc__has_headroom(fc_cache *cache, uint64_t bytes) {
    uint64_t missing;
    return !cache->in_memory || take_room(cache, bytes, &missing);
}

int fc__headroom(fc_cache *cache, uint64_t bytes, fc_error *error) {
    uint64_t missing;
    if (!cache->in_memory)
        return 0;
    if (bytes < SMALL_BYTES) {
        if (atomic_fetch_add(&cache->room_small, bytes) + bytes < SMALL_BYTES)
            return 0;
        bytes = atomic_exchange(&cache->room_small, 0); /* 0: another thread has them */
    }
    if (take_room(cache, bytes, &missing))
        return 0;
    int64_t end = fc__os_monotonic_ns() + cache->settings.reclaim_wait_ms * 1000000;
    do {
        fc__shed(cache, fc__units(missing));
        if (take_room(cache, bytes, &missing))
            return 0;
        fc__os_sleep_ns(2000000); /* freed pages come back late to the counts */
        atomic_store(&cache->room_until_ns, 0);
    } while (fc__os_monotonic_ns() < end);
    return fail_headroom(cache, bytes, error);
}

int fc__reserve(fc_cache *cache, int fd, uint64_t offset, uint64_t bytes,
                fc_error *error) {
    for (uint64_t end = offset + bytes; offset < end;) {
        uint64_t part = end - offset < FC__CHUNK ? end - offset : FC__CHUNK;
        int status = fc__headroom(cache, part, error);
        if (status)
            return status;
        if (fc__os_reserve(fd, offset, part) < 0)
            return fc__fail_write(cache, errno, "reserving memory", error);
        offset += part;
    }
    return 0;
}
