/* Where compressed frames lie: cold/<record> in the cache's directory, or, with a spill
 * directory, <spill>/framecache-<instance>/<record>. The record's flags say which, so that
 * processes with other settings find it, if they know the spill directory at all.
 *
 * A spill directory that fails (full, read-only, gone) is left alone for a while, twice as
 * long each time; meanwhile frames are dropped as if there were no cold tier. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define RETRY_NS    1000000000
#define MAX_DOUBLED 6u
#define SPILL_TRIES 64
#define UNFINISHED_S 60 /* an empty file `owner` of this age stays so */

static bool is_spilled(const fc_cache *cache, uint32_t record) {
    return atomic_load(&cache->records[record].flags) & FC__RECORD_SPILLED;
}

/* ---- Directories: each is opened by its name, and files in it by theirs ---- */

static void spill_name(const fc_cache *cache, char out[64]) {
    snprintf(out, 64, "framecache-%016llx", (unsigned long long)cache->control->instance);
}

/* -1 with errno. */
static int open_spill(const fc_cache *cache) {
    if (cache->settings.spill_dir[0])
        return fc__fd_open(AT_FDCWD, cache->settings.spill_dir, O_RDONLY | O_DIRECTORY, 0);
    errno = ENODEV;
    return -1;
}

static int open_place(const fc_cache *cache, bool spilled) {
    char name[64];
    if (!spilled)
        return fc__fd_dir(cache, cache->dir, "cold");
    int spill = open_spill(cache);
    if (spill < 0)
        return -1;
    spill_name(cache, name);
    int dir = fc__fd_dir(cache, spill, name);
    fc__fd_close(spill);
    return dir;
}

/* Who put it there, and in which boot: a later cache of the same directory, or of the next
 * boot, may remove it. */
static int write_owner(const fc_cache *cache, int dir) {
    char text[4096 + 64];
    int fd = fc__fd_file(cache, dir, "owner", O_CREAT | O_RDWR, 0600);
    if (fd < 0)
        return -1;
    int bytes = snprintf(text, sizeof text, "%.39s\n%s\n", cache->control->boot_id,
                         cache->settings.dir);
    int status = fc__os_truncate(fd, 0);
    if (!status)
        status = fc__os_write(fd, text, (size_t)bytes, 0);
    int sys_errno = errno;
    fc__fd_close(fd);
    if (status < 0) /* half of it would say that the directory is nobody's */
        fc__os_unlink(dir, "owner");
    errno = sys_errno;
    return status;
}

/* Nobody else may have made it: what is read from it is trusted like the cache itself. */
static int make_spill_in(const fc_cache *cache, int spill) {
    char name[64];
    struct stat info;
    spill_name(cache, name);
    if (fc__os_mkdir(spill, name, 0700) < 0 && errno != EEXIST)
        return -1;
    int dir = fc__fd_dir(cache, spill, name), status = -1;
    if (dir >= 0 && fc__os_stat(dir, &info) == 0) {
        errno = EPERM;
        status = info.st_mode & 022 ? -1 : write_owner(cache, dir);
    }
    int sys_errno = errno;
    fc__fd_close(dir);
    if (status < 0)
        fc__os_rmdir(spill, name); /* unless another process is quicker */
    errno = sys_errno;
    return status;
}

static int make_spill(const fc_cache *cache) {
    fc__os_mkdir(AT_FDCWD, cache->settings.spill_dir, 0700);
    int spill = open_spill(cache);
    int status = spill < 0 ? -1 : make_spill_in(cache, spill);
    fc__fd_close(spill);
    return status;
}

static int make_cold(const fc_cache *cache) {
    struct stat info;
    if (fc__os_stat(cache->dir, &info) < 0 ||
        (fc__os_mkdir(cache->dir, "cold", info.st_mode & 0777) < 0 && errno != EEXIST))
        return -1;
    int fd = fc__fd_dir(cache, cache->dir, "cold");
    if (fd < 0)
        return -1;
    int status = fc__os_chmod(fd, info.st_mode & 0777);
    fc__fd_close(fd);
    return status;
}

/* ---- Files ---- */

static int create_in(const fc_cache *cache, int dir, const char *name, bool spilled) {
    const int flags = O_CREAT | O_EXCL | O_RDWR;
    uint32_t mode = spilled ? 0600 : cache->file_mode;
    int fd = fc__fd_file(cache, dir, name, flags, mode);
    if (fd < 0 && (errno == EEXIST || errno == FC__FOREIGN)) {
        fc__os_unlink(dir, name);
        fd = fc__fd_file(cache, dir, name, flags, mode);
    }
    if (fd >= 0 && !spilled && cache->file_chmod && fc__os_chmod(fd, mode) < 0) {
        fc__fd_close(fd);
        return -1;
    }
    return fd;
}

int fc__cold_open(fc_cache *cache, uint32_t record, bool make) {
    bool spilled = is_spilled(cache, record);
    char name[16];
    fc__manifest_name(name, record);
    int dir = open_place(cache, spilled);
    if (dir < 0 && make && errno == ENOENT &&
        (spilled ? make_spill(cache) : make_cold(cache)) == 0)
        dir = open_place(cache, spilled);
    if (dir < 0)
        return -1;
    int fd = make ? create_in(cache, dir, name, spilled)
                  : fc__fd_file(cache, dir, name, O_RDONLY, 0);
    fc__fd_close(dir);
    return fd;
}

static bool look_at(const fc_cache *cache, uint32_t record, bool spilled, struct stat *out) {
    char name[16];
    fc__manifest_name(name, record);
    int dir = open_place(cache, spilled);
    bool there = dir >= 0 && fc__os_stat_at(dir, name, out) == 0;
    fc__fd_close(dir);
    return there;
}

uint64_t fc__cold_units(fc_cache *cache, uint32_t record) {
    bool spilled = is_spilled(cache, record);
    struct stat info;
    if (spilled && !cache->settings.spill_dir[0])
        return fc__spilled_units(&cache->records[record]);
    return look_at(cache, record, spilled, &info) ? fc__units((uint64_t)info.st_size) : 0;
}

bool fc__cold_present(const fc_cache *cache, uint32_t record, bool spilled) {
    struct stat info;
    return look_at(cache, record, spilled, &info);
}

void fc__cold_drop(fc_cache *cache, uint32_t record) {
    fc__record *r = &cache->records[record];
    char name[16];
    fc__manifest_name(name, record);
    int dir = open_place(cache, is_spilled(cache, record));
    if (dir >= 0)
        fc__os_unlink(dir, name);
    fc__fd_close(dir);
    FC__STEP("cold-unlinked");
    fc__spill_uncharge(cache, record, fc__spilled_units(r));
    atomic_store(&r->linked, 0);
    atomic_fetch_and(&r->flags, ~(FC__RECORD_COLD | FC__RECORD_SPILLED));
}

/* ---- The spill directory's health and budget ---- */

bool fc__spill_ready(fc_cache *cache) {
    int64_t retry = atomic_load(&cache->spill_retry_ns);
    return cache->settings.spill_dir[0] && (!retry || fc__os_monotonic_ns() >= retry);
}

void fc__spill_failed(fc_cache *cache, int sys_errno, const char *what) {
    uint32_t failures = atomic_fetch_add(&cache->spill_failures, 1);
    uint32_t doubled = failures < MAX_DOUBLED ? failures : MAX_DOUBLED;
    atomic_store(&cache->spill_retry_ns,
                 fc__os_monotonic_ns() + ((int64_t)RETRY_NS << doubled));
    fc__count(cache, FC__COUNT_spill_errors, 1);
    if (!failures)
        fc__log(cache, FC_LEVEL_WARNING,
                "the spill directory %s fails (%s: errno %d): frames are dropped instead of "
                "compressed, and it is tried again later", cache->settings.spill_dir, what,
                sys_errno);
}

/* The least valuable spilled frame, by what it takes there; false if none can go. */
static bool drop_one(fc_cache *cache, uint32_t but) {
    uint64_t least_status = 0;
    uint32_t least = UINT32_MAX;
    double least_priority = 0;
    fc__judge judge = fc__judge_now(cache);
    for (uint32_t i = 0; i < cache->capacity; i++) {
        const fc__record *r = &cache->records[i];
        uint64_t status = atomic_load(&r->status), units;
        if (fc__status_state(status) != FC__LIVE || i == but ||
            !(units = fc__spilled_units(r)))
            continue;
        double priority = fc__record_worth(&judge, r, units);
        if (least == UINT32_MAX || priority < least_priority) {
            least = i;
            least_status = status;
            least_priority = priority;
        }
    }
    if (least == UINT32_MAX)
        return false;
    fc__table_drop_key(cache, fc__record_hash(&cache->records[least]),
                       fc__record_word(&cache->records[least], least, least_status));
    return fc__reclaim_record(cache, least, least_status, FC__RECLAIM_EVICT,
                              FC_MISS_EVICTED) == FC__DONE;
}

/* The word first: a process killed in between leaves it too high, until the next sweep. */
bool fc__spill_charge(fc_cache *cache, uint32_t record, uint64_t units) {
    uint64_t limit = cache->settings.spill_budget_bytes / FC__PAGE;
    uint64_t used = atomic_load(&cache->control->spill_units);
    for (int i = 0; i < SPILL_TRIES;) {
        if (used + units > limit) {
            if (units > limit || !drop_one(cache, record))
                return false;
            used = atomic_load(&cache->control->spill_units);
            i++;
        } else if (atomic_compare_exchange_weak(&cache->control->spill_units, &used,
                                                used + units)) {
            atomic_fetch_add(&cache->records[record].linked, units);
            return true;
        }
    }
    return false;
}

void fc__spill_uncharge(fc_cache *cache, uint32_t record, uint64_t units) {
    uint64_t used = atomic_load(&cache->control->spill_units);
    if (!units)
        return;
    atomic_fetch_sub(&cache->records[record].linked, units);
    while (!atomic_compare_exchange_weak(&cache->control->spill_units, &used,
                                         used > units ? used - units : 0))
        ;
}

/* ---- Sweeping ---- */

typedef struct walk {
    fc_cache *cache;
    int dir;
    bool spilled;
    void (*visit)(void *context, const char *name, uint32_t record, bool spilled);
    void *context;
    bool anew;
} walk;

static int visit_one(void *context, const char *name) {
    walk *w = context;
    uint32_t record;
    int64_t segment;
    if (w->spilled && strcmp(name, "owner") == 0)
        return 0;
    if (!fc__parse_name(name, &record, &segment) || segment >= 0)
        record = UINT32_MAX;
    w->visit(w->context, name, record, w->spilled);
    return 0;
}

static void list_in(fc_cache *cache, bool spilled,
                    int (*each)(void *context, const char *name), walk *w) {
    w->dir = open_place(cache, spilled);
    if (w->dir < 0)
        return;
    w->spilled = spilled;
    fc__os_list(w->dir, each, w);
    fc__fd_close(w->dir);
}

void fc__cold_list(fc_cache *cache, void (*visit)(void *context, const char *name,
                                                  uint32_t record, bool spilled),
                   void *context) {
    walk w = {.cache = cache, .visit = visit, .context = context};
    list_in(cache, false, visit_one, &w);
    if (cache->settings.spill_dir[0])
        list_in(cache, true, visit_one, &w);
}

/* Under the record lock, so that nobody is just about to make it. */
static bool is_orphan(fc_cache *cache, uint32_t number, bool spilled) {
    fc__lock lock;
    if (number >= cache->capacity)
        return true;
    if (fc__lock_try(cache, FC__LOCK_RECORD, number, &lock))
        return false;
    const fc__record *r = &cache->records[number];
    fc__state state = fc__status_state(atomic_load(&r->status));
    uint32_t flags = atomic_load(&r->flags);
    bool has = (state == FC__LIVE || state == FC__WRITING) && (flags & FC__RECORD_COLD) &&
               !(flags & FC__RECORD_SPILLED) == !spilled;
    bool orphan = !has && fc__cold_present(cache, number, spilled);
    fc__lock_release(cache, &lock);
    return orphan;
}

fc__file fc__cold_judge(fc_cache *cache, uint32_t record, bool spilled) {
    return record == UINT32_MAX                  ? FC__FILE_FOREIGN
           : is_orphan(cache, record, spilled) ? FC__FILE_ORPHAN
                                                 : FC__FILE_OWNED;
}

static int sweep_one(void *context, const char *name) {
    walk *w = context;
    uint32_t record;
    int64_t segment;
    if (fc__parse_name(name, &record, &segment) && segment < 0 &&
        (w->anew || is_orphan(w->cache, record, w->spilled)))
        fc__remove_own(w->cache, w->dir, name);
    return 0;
}

/* Of this directory's former caches, or of another boot, when every cache is made anew. */
static bool is_stale(const fc_cache *cache, int dir) {
    char expected[4096 + 64], text[4096 + 64];
    struct stat info;
    int fd = fc__fd_file(cache, dir, "owner", O_RDONLY, 0);
    if (fd < 0)
        return false;
    int64_t written = fc__os_stat(fd, &info) == 0 ? info.st_mtime : INT64_MAX;
    ssize_t got = fc__os_read(fd, text, sizeof text - 1, 0);
    fc__fd_close(fd);
    text[got > 0 ? got : 0] = 0;
    const char *line = strchr(text, '\n');
    if (!line) /* being written, or by a process that was killed there */
        return got == 0 && fc__os_realtime_ns() / 1000000000 - written > UNFINISHED_S;
    snprintf(expected, sizeof expected, "%s\n", cache->settings.dir);
    size_t boot = strnlen(cache->control->boot_id, 39);
    return (size_t)(line - text) != boot || memcmp(text, cache->control->boot_id, boot) ||
           strcmp(line + 1, expected) == 0;
}

static int sweep_former(void *context, const char *name) {
    walk *w = context;
    fc_cache *cache = w->cache;
    char own[64];
    spill_name(cache, own);
    if (strncmp(name, "framecache-", 11) || strlen(name) != strlen(own) ||
        strcmp(name, own) == 0)
        return 0;
    walk former = {.cache = cache, .anew = true, .spilled = true};
    former.dir = fc__fd_dir(cache, w->dir, name);
    if (former.dir < 0)
        return 0;
    if (is_stale(cache, former.dir) &&
        fc__os_list(former.dir, sweep_one, &former) == 0) { /* else the next one does it */
        fc__os_unlink(former.dir, "owner");
        fc__os_rmdir(w->dir, name);
    }
    fc__fd_close(former.dir);
    return 0;
}

void fc__cold_sweep(fc_cache *cache, bool anew) {
    walk w = {.cache = cache, .anew = anew};
    if (cache->read_only)
        return;
    list_in(cache, false, sweep_one, &w);
    if (!cache->settings.spill_dir[0])
        return;
    list_in(cache, true, sweep_one, &w);
    w.dir = open_spill(cache);
    if (w.dir < 0)
        return;
    fc__os_list(w.dir, sweep_former, &w);
    fc__fd_close(w.dir);
}
