/* Attaching to a directory: who may, what the control file must hold, and making it anew.
 *
 * Everyone attached holds the attach lock shared, by a PROT_NONE mapping of `locks`, so
 * that it lasts as long as the process or its frames. Creating needs it exclusively. Nobody
 * waits for it: a bounded number of tries, then FC_E_BUSY. */
#include "engine.h"
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#define ATTACH_NS      3000000000
#define ATTACH_STEP_NS 500000
#define SMALL_FS_BYTES (1ull << 30)
#define HEAD_BYTES     16 /* of control: magic, version, byte order */

/* ---- The directory ---- */

static int fail_directory(const fc_cache *cache, int sys_errno, const char *what,
                          fc_error *error) {
    int code = sys_errno == EACCES || sys_errno == EPERM ? FC_E_PERMISSION
               : sys_errno == ENOSPC                     ? FC_E_NOSPACE
               : sys_errno == EMFILE || sys_errno == ENFILE || sys_errno == ENOMEM
                   ? FC_E_NOMEM
               : sys_errno == ENOTDIR ? FC_E_INVALID
                                      : FC_E_SYSTEM;
    return fc__fail_errno(error, code, sys_errno, "cannot %s %s (set FRAMECACHE_DIR to a "
                          "directory of yours)", what, cache->settings.dir);
}

static int fail_parent(const fc_cache *cache, fc_error *error) {
    const char *dir = cache->settings.dir;
    return fc__fail_errno(error, FC_E_SYSTEM, ENOENT,
                          "cannot create %s: the directory that it is to stand in is not "
                          "there. Make that one (mkdir -p), or set FRAMECACHE_DIR to a "
                          "directory of yours", dir);
}

static int refuse(const fc__objection *objection, fc_error *error) {
    return objection->code ? fc__fail(error, objection->code, "%s, so it is refused: %s",
                                      objection->text, objection->remedy)
                           : 0;
}

/* Before anything is made or removed in it. */
static int check_place(fc_cache *cache, const struct stat *info, bool create,
                       fc_error *error) {
    fc__objection objection = {0};
    bool none, ours;
    fc__place_check_access(&cache->settings, info, cache->read_only, &objection);
    fc__place_check_name(&cache->settings, cache->dir, &objection);
    if (objection.code)
        return refuse(&objection, error);
    ours = fc__place_is_cache(&cache->settings, cache->dir, &none, &objection);
    if (!create && (none || !ours))
        return fc__fail(error, FC_E_MISS, "there is no cache in %s", cache->settings.dir);
    if (ours)
        fc__place_check_parts(&cache->settings, cache->dir, &objection);
    return refuse(&objection, error);
}

static int check_filesystem(fc_cache *cache, fc__filesystem *fs, fc_error *error) {
    if (fc__os_filesystem(cache->dir, fs) < 0)
        return fail_directory(cache, errno, "ask the file system of", error);
    if (fs->refused)
        return fc__fail(error, FC_E_UNSUPPORTED,
                        "%s is on %s, where a mapping does not keep its lease or locks do "
                        "not hold: set FRAMECACHE_DIR to a directory on tmpfs (/dev/shm) or "
                        "a local ext4 or xfs", cache->settings.dir, fs->name);
    if (fs->huge)
        return fc__fail(error, FC_E_UNSUPPORTED,
                        "%s is on a tmpfs with huge=always (or the kernel's shmem_enabled is "
                        "force), which takes 2 MiB for the smallest file, so no budget holds "
                        "there: mount -o remount,huge=within_size, or set FRAMECACHE_DIR to "
                        "another directory", cache->settings.dir);
    return 0;
}

static int open_directory(fc_cache *cache, bool create, fc_error *error) {
    const char *dir = cache->settings.dir;
    struct stat info;
    bool made = false;
    cache->dir = fc__os_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
    if (cache->dir < 0 && errno == ENOENT && !create)
        return fc__fail(error, FC_E_MISS, "there is no cache in %s", dir);
    if (cache->dir < 0 && errno == ENOENT) {
        made = fc__os_mkdir(AT_FDCWD, dir, cache->settings.mode) == 0;
        if (!made && errno == ENOENT)
            return fail_parent(cache, error);
        if (!made && errno != EEXIST)
            return fail_directory(cache, errno, "create", error);
        cache->dir = fc__os_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
    }
    if (cache->dir < 0)
        return fail_directory(cache, errno, "open", error);
    if (made && fc__os_chmod(cache->dir, cache->settings.mode) < 0)
        return fail_directory(cache, errno, "set the mode of", error);
    if (fc__os_stat(cache->dir, &info) < 0)
        return fail_directory(cache, errno, "look at", error);
    cache->owner = info.st_uid;
    cache->file_mode = info.st_mode & 0666;
    cache->file_chmod = (cache->file_mode & fc__os_umask()) != 0;
    return check_place(cache, &info, create, error);
}

/* The mode of the directory, its set-group-id bit too: so files come to its group. */
static int open_frames(fc_cache *cache, bool create, fc_error *error) {
    struct stat info;
    if (create && fc__os_stat(cache->dir, &info) == 0 &&
        fc__os_mkdir(cache->dir, "frames", info.st_mode & 0777) == 0) {
        cache->frames = fc__os_open_dir(cache->dir, "frames", cache->owner);
        if (cache->frames >= 0 && fc__os_chmod(cache->frames, info.st_mode & 07777) < 0)
            return fail_directory(cache, errno, "set the mode of frames in", error);
    } else
        cache->frames = fc__os_open_dir(cache->dir, "frames", cache->owner);
    if (cache->frames >= 0)
        return 0;
    if (errno == ENOENT)
        return fc__fail(error, FC_E_MISS, "there is no cache in %s", cache->settings.dir);
    return fail_directory(cache, errno, "open frames in", error);
}

/* ---- The control file ---- */

typedef struct extent {
    uint64_t slots, records, ghosts, bytes;
} extent;

static extent extent_of(uint32_t capacity) {
    extent e;
    e.slots = fc__round_up(sizeof(fc__control), FC__PAGE);
    e.records = e.slots + 2ull * capacity * sizeof(uint64_t);
    e.ghosts = e.records + (uint64_t)capacity * sizeof(fc__record);
    e.bytes = fc__round_up(e.ghosts + 4ull * capacity * sizeof(uint64_t), FC__PAGE);
    return e;
}

static void point_into(fc_cache *cache, fc__control *control, uint32_t capacity) {
    extent e = extent_of(capacity);
    char *start = (char *)control;
    cache->control = control;
    cache->control_bytes = e.bytes;
    cache->slots = (_Atomic uint64_t *)(start + e.slots);
    cache->records = (fc__record *)(start + e.records);
    cache->ghosts = (_Atomic uint64_t *)(start + e.ghosts);
    cache->capacity = capacity;
    cache->hash_seed = control->hash_seed;
    cache->bucket_mask = 2 * capacity / FC__BUCKET_SLOTS - 1;
}

static bool valid_capacity(uint32_t capacity) {
    return capacity >= FC__MIN_CAPACITY && capacity <= FC__MAX_CAPACITY &&
           (capacity & (capacity - 1)) == 0;
}

/* Of this version. *capacity: as it was checked. */
static fc__verdict judge_header(const fc__control *c, uint64_t bytes, uint32_t *capacity) {
    char boot[40];
    fc__os_boot_id(boot);
    *capacity = *(const volatile uint32_t *)&c->capacity; /* once: others may store to it */
    if (c->byte_order != FC__BYTE_ORDER || c->page_bytes != FC__PAGE ||
        !valid_capacity(*capacity))
        return FC__DAMAGED;
    extent e = extent_of(*capacity);
    if (c->control_bytes != e.bytes || bytes != e.bytes || c->slots_offset != e.slots ||
        c->records_offset != e.records || c->ghosts_offset != e.ghosts ||
        atomic_load(&c->damaged))
        return FC__DAMAGED;
    return memcmp(c->boot_id, boot, sizeof boot) == 0 ? FC__SOUND : FC__STALE;
}

/* Of any version: the first 16 bytes are the same in all. */
static fc__verdict judge(const fc__control *c, uint64_t bytes, uint32_t *capacity) {
    /* Acquire: pairs with the release in create(), which writes it last. */
    uint64_t magic = atomic_load_explicit(&c->magic, memory_order_acquire);
    if (magic != FC__CONTROL_MAGIC)
        return magic ? FC__DAMAGED : FC__NONE;
    if (c->version != FC__CONTROL_VERSION)
        return c->version > FC__CONTROL_VERSION ? FC__NEWER : FC__OLDER;
    return bytes < sizeof *c ? FC__DAMAGED : judge_header(c, bytes, capacity);
}

static bool shares_sound(const fc__control *c) {
    for (int i = 0; i < FC__DECAYS; i++) {
        double share = fc__double(atomic_load(&c->shares[i]));
        if (!(share >= 0 && share <= 1)) /* nor a NaN */
            return false;
    }
    return true;
}

/* What a wild write may have left in the settings and the gauges; `used` is put right by
 * the sweep that follows. */
static bool values_sound(const fc__control *c) {
    uint32_t high = atomic_load(&c->high_percent), low = atomic_load(&c->low_percent);
    uint64_t budget = atomic_load(&c->budget_units);
    return budget > fc__units(c->control_bytes) && budget < 1ull << 52 &&
           atomic_load(&c->pool_limit_units) < 1ull << 52 && high <= 100 && low >= 1 &&
           low <= high && atomic_load(&c->budget_rule) <= FC__RULE_PRESSURE &&
           atomic_load(&c->copy_method) < 3 && shares_sound(c) &&
           atomic_load(&c->sequence) < 1ull << 56;
}

/* Each word stands for a live record of its generation in one of its own buckets; what the
 * records charge fits the file system. Left-overs of dead processes are no damage. */
bool fc__control_sound(const fc_cache *cache) {
    uint64_t sum = 0, most = 1ull << 40;
    fc__filesystem fs;
    if (!values_sound(cache->control))
        return false;
    if (fc__os_filesystem(cache->dir, &fs) == 0 && fs.size_bytes) /* 0: no limit */
        most = fs.size_bytes / FC__PAGE;
    for (uint32_t slot = 0; slot < 2 * cache->capacity; slot++) {
        uint64_t word = fc__slot(cache, slot);
        uint32_t number = fc__word_record(word), at;
        if (!word)
            continue;
        if (number >= cache->capacity)
            return false;
        const fc__record *r = &cache->records[number];
        fc__hash hash = fc__record_hash(r);
        if (atomic_load(&r->status) != fc__status(FC__LIVE, fc__word_generation(word)) ||
            fc__record_word(r, number, atomic_load(&r->status)) != word ||
            !fc__index_holds(cache, hash, word, &at) || at != slot ||
            fc__index_find(cache, hash, &at) != word)
            return false;
    }
    for (uint32_t i = 0; i < cache->capacity; i++) {
        const fc__record *r = &cache->records[i];
        uint64_t status = atomic_load(&r->status);
        uint64_t charged = atomic_load(&r->charged);
        if (status >> 26 || atomic_load(&r->segments) > FC__MAX_SEGMENTS ||
            charged > most || (fc__status_state(status) == FC__FREE && charged) ||
            atomic_load(&r->sequence) > atomic_load(&cache->control->sequence))
            return false;
        sum += charged;
    }
    return sum <= most;
}

/* Opens, maps and judges; keeps the mapping of one that is sound. */
static int look(fc_cache *cache, fc__verdict *found, fc_error *error) {
    struct stat info;
    uint32_t capacity = 0;
    *found = FC__NONE;
    int fd = fc__os_open_file(cache->dir, "control", cache->read_only ? O_RDONLY : O_RDWR, 0,
                              cache->owner, false);
    if (fd < 0)
        return errno == ENOENT ? 0 : fail_directory(cache, errno, "open control in", error);
    int status = 0;
    fc__control *control = NULL;
    if (fc__os_stat(fd, &info) < 0)
        status = fail_directory(cache, errno, "look at control in", error);
    else if (info.st_size < HEAD_BYTES)
        *found = info.st_size ? FC__DAMAGED : FC__NONE;
    else {
        control = fc__os_map(fd, (size_t)info.st_size,
                             cache->read_only ? FC__MAP_READ : FC__MAP_SHARED);
        if (!control)
            status = fail_directory(cache, errno, "map control in", error);
    }
    fc__os_close(fd);
    if (!control)
        return status;
    *found = judge(control, (uint64_t)info.st_size, &capacity);
    cache->control_version = *found == FC__NONE ? 0 : control->version;
    if (*found == FC__SOUND) {
        point_into(cache, control, capacity);
        cache->control_inode = info.st_ino;
    } else
        fc__os_unmap(control, (size_t)info.st_size);
    return 0;
}

static void forget(fc_cache *cache) {
    fc__os_unmap(cache->control, cache->control_bytes);
    cache->control = NULL;
    cache->control_bytes = 0;
}

static int remove_one(void *context, const char *name) {
    fc_cache *cache = context;
    fc__remove_own(cache, cache->frames, name);
    return 0;
}

static void fill_header(fc_cache *cache, uint32_t capacity) {
    fc__control *c = cache->control;
    extent e = extent_of(capacity);
    c->version = FC__CONTROL_VERSION;
    c->byte_order = FC__BYTE_ORDER;
    c->page_bytes = (uint32_t)FC__PAGE;
    c->capacity = capacity;
    c->instance = fc__os_random();
    c->hash_seed = cache->hash_seed = fc__os_random();
    c->control_bytes = e.bytes;
    c->slots_offset = e.slots;
    c->records_offset = e.records;
    c->ghosts_offset = e.ghosts;
    fc__os_boot_id(c->boot_id);
    c->created_ns = fc__os_realtime_ns();
    atomic_store(&c->high_percent, cache->settings.high_percent);
    atomic_store(&c->low_percent, cache->settings.low_percent);
    atomic_store(&c->used, fc__units(e.bytes) << 24);
    for (int i = 0; i < FC__DECAYS; i++)
        atomic_store(&c->shares[i], fc__double_bits(fc__shares_prior.of[i]));
    for (uint32_t i = 0; i < capacity; i++)
        atomic_store_explicit(&cache->records[i].status, fc__status(FC__FREE, 1),
                              memory_order_relaxed);
}

/* Under the exclusive attach lock: nobody maps the old file. */
static int create(fc_cache *cache, const fc__filesystem *fs, fc_error *error) {
    uint32_t capacity = cache->settings.capacity, rule = 0;
    uint64_t units = 0;
    struct stat info;
    if (!capacity)
        capacity = fs->size_bytes < SMALL_FS_BYTES ? 8192 : 65536;
    cache->control_bytes = extent_of(capacity).bytes;
    int status = fc__budget_resolve(cache, &cache->settings.budget, &units, &rule, error);
    if (status)
        return status;
    if (fc__os_lock_selftest(cache->frames) < 0)
        return errno ? fail_directory(cache, errno, "try locks in", error)
                     : fc__fail(error, FC_E_UNSUPPORTED,
                                "a mapping in %s (%s) does not keep its lease: set "
                                "FRAMECACHE_DIR to a directory on tmpfs (/dev/shm) or a "
                                "local ext4 or xfs", cache->settings.dir, fs->name);
    int fd = fc__os_open_file(cache->dir, "control", O_CREAT | O_RDWR, cache->file_mode,
                              cache->owner, false);
    if (fd < 0)
        return fail_directory(cache, errno, "create control in", error);
    fc__control *control = NULL;
    if (fc__os_truncate(fd, 0) == 0 &&
        (!cache->file_chmod || fc__os_chmod(fd, cache->file_mode) == 0) &&
        fc__os_reserve(fd, 0, cache->control_bytes) == 0 && fc__os_stat(fd, &info) == 0)
        control = fc__os_map(fd, cache->control_bytes, FC__MAP_SHARED);
    if (!control) {
        status = fail_directory(cache, errno, "make control in", error);
        fc__os_truncate(fd, 0);
        fc__os_close(fd);
        return status;
    }
    fc__os_close(fd);
    fc__os_list_all(cache->frames, remove_one, cache);
    point_into(cache, control, capacity);
    cache->control_inode = info.st_ino;
    fill_header(cache, capacity);
    fc__cold_sweep(cache, true);
    fc__budget_apply(cache, units, rule);
    FC__STEP("create-magic");
    /* Release: pairs with the acquire of judge_header(). */
    atomic_store_explicit(&control->magic, FC__CONTROL_MAGIC, memory_order_release);
    fc__log(cache, FC_LEVEL_INFO, "made an empty cache in %s", cache->settings.dir);
    return 0;
}

/* ---- Attaching ---- */

/* Why this control is not to be had as it is. */
static int fail_verdict(const fc_cache *cache, fc__verdict found, fc_error *error) {
    const char *dir = cache->settings.dir;
    switch (found) {
    case FC__NEWER:
        return fc__fail(error, FC_E_VERSION, "the cache in %s was made by a newer version of "
                        "framecache (its format is %u, this one's is %u): upgrade, or set "
                        "FRAMECACHE_DIR to another directory", dir, cache->control_version,
                        FC__CONTROL_VERSION);
    case FC__OLDER:
        return fc__fail(error, FC_E_VERSION, "the cache in %s was made by an older version of "
                        "framecache (its format is %u, this one's is %u): stop the processes "
                        "that use it; then `framecache clear`, or the first that opens it to "
                        "write, makes it anew, empty", dir, cache->control_version,
                        FC__CONTROL_VERSION);
    case FC__DAMAGED:
        return fc__fail(error, FC_E_CORRUPT, "control in %s is damaged: stop the processes "
                        "that use it; then `framecache clear`, or the first that opens it to "
                        "write, makes the cache anew, empty", dir);
    case FC__STALE:
        return fc__fail(error, FC_E_MISS, "there is no cache in %s: what lies there is of an "
                        "earlier boot, and who opens it to write makes it anew", dir);
    default:
        return fc__fail(error, FC_E_MISS, "there is no cache in %s", dir);
    }
}

static bool is_current_file(const fc_cache *cache, int fd) {
    struct stat here, named;
    return fc__os_stat(fd, &here) == 0 && fc__os_stat_at(cache->dir, "locks", &named) == 0 &&
           here.st_ino == named.st_ino;
}

/* Nobody is at any of the records. */
static void start_alone(fc_cache *cache) {
    uint32_t end = 0;
    for (uint32_t i = 0; i < cache->capacity; i++) {
        atomic_store(&cache->records[i].intent, 0);
        if (fc__status_state(atomic_load(&cache->records[i].status)) != FC__FREE)
            end = i + 1;
    }
    atomic_store(&cache->control->records_end, end);
}

/* While alone: two files of the name would be two sets of locks. */
static int make_writers(fc_cache *cache, fc_error *error) {
    int fd = fc__fd_file(cache, cache->dir, "writers", O_CREAT | O_RDWR, 0600);
    int status = fd < 0 ? fail_directory(cache, errno, "open writers in", error) : 0;
    fc__fd_close(fd);
    return status;
}

/* With the lock held exclusively: alone, so all can be looked at, and mended. */
static int attach_alone(fc_cache *cache, const fc__filesystem *fs, bool create_allowed,
                        fc_error *error) {
    fc__verdict found;
    int status = look(cache, &found, error);
    if (status)
        return status;
    if (found == FC__NEWER || (found == FC__NONE && !create_allowed))
        return fail_verdict(cache, found, error);
    if ((status = make_writers(cache, error)))
        return status;
    if (found == FC__SOUND && fc__control_sound(cache)) {
        start_alone(cache);
        fc__sweep(cache);
        fc__cold_sweep(cache, false);
        return 0;
    }
    if (found == FC__SOUND) {
        found = FC__DAMAGED;
        forget(cache);
    }
    if (found == FC__DAMAGED || found == FC__OLDER)
        fc__log(cache, FC_LEVEL_WARNING, "control in %s is %s: the cache is made anew, empty",
                cache->settings.dir, found == FC__OLDER ? "of an older version" : "damaged");
    return create(cache, fs, error);
}

/* One try: 0 attached (lock held shared on `fd`), FC_E_BUSY: again, or an error. *found: what
 * it was that others hold, who may not be attached to it. */
static int attach_once(fc_cache *cache, const fc__filesystem *fs, bool create_allowed,
                       int fd, fc__verdict *found, fc_error *error) {
    uint64_t at = fc__lock_offset(FC__LOCK_ATTACH, 0);
    *found = FC__NONE;
    if (!cache->read_only && fc__os_range(fd, FC__EXCLUSIVE, at) == 0) {
        if (!is_current_file(cache, fd))
            return FC_E_BUSY;
        int status = attach_alone(cache, fs, create_allowed, error);
        return status ? status : fc__os_range(fd, FC__SHARED, at) == 0 ? 0 : FC_E_BUSY;
    }
    if (fc__os_range(fd, FC__SHARED, at) < 0 || !is_current_file(cache, fd))
        return FC_E_BUSY;
    int status = look(cache, found, error);
    if (status || *found == FC__SOUND)
        return status;
    /* Nobody makes it while this lock is held; who only reads has nothing to wait for. */
    return cache->read_only || *found == FC__NEWER ? fail_verdict(cache, *found, error)
                                                   : FC_E_BUSY;
}

static int fail_attach(const fc_cache *cache, fc__verdict found, fc_error *error) {
    if (found == FC__OLDER)
        return fail_verdict(cache, found, error);
    return fc__fail(error, FC_E_BUSY,
                    "control in %s is %s: stop them or try again", cache->settings.dir,
                    found == FC__DAMAGED ? "damaged while others are attached"
                                         : "being made by others, or looked at");
}

static int attach_control(fc_cache *cache, const fc__filesystem *fs, bool create_allowed,
                          fc_error *error) {
    int64_t end = fc__os_monotonic_ns() + ATTACH_NS;
    fc__verdict found;
    int flags = cache->read_only ? O_RDONLY : O_RDWR | (create_allowed ? O_CREAT : 0);
    for (;;) {
        int fd = fc__fd_file(cache, cache->dir, "locks", flags, cache->file_mode);
        if (fd < 0 && errno == ENOENT)
            return fc__fail(error, FC_E_MISS, "there is no cache in %s",
                            cache->settings.dir);
        if (fd < 0)
            return fail_directory(cache, errno, "open locks in", error);
        if (cache->file_chmod && !cache->read_only)
            fc__os_chmod(fd, cache->file_mode);
        int status = attach_once(cache, fs, create_allowed, fd, &found, error);
        if (!status) {
            cache->attached = fc__os_map(fd, FC__PAGE, FC__MAP_NONE);
            if (!cache->attached)
                status = fail_directory(cache, errno, "map locks in", error);
        }
        fc__fd_close(fd);
        if (status != FC_E_BUSY)
            return status;
        if (cache->control)
            forget(cache);
        if (fc__os_monotonic_ns() > end)
            return fail_attach(cache, found, error);
        fc__os_sleep_ns(ATTACH_STEP_NS);
    }
}

/* What was asked for expressly holds for all; what was not leaves the others' choice. */
static int apply_settings(fc_cache *cache, fc_error *error) {
    const fc__settings *s = &cache->settings;
    uint64_t units;
    uint32_t rule;
    if (cache->read_only)
        return 0;
    if (s->origin[FC__SETTING_watermarks] != FC__DEFAULT) {
        atomic_store(&cache->control->high_percent, s->high_percent);
        atomic_store(&cache->control->low_percent, s->low_percent);
    }
    if (s->origin[FC__SETTING_budget] == FC__DEFAULT) {
        if (s->origin[FC__SETTING_pool] != FC__DEFAULT)
            fc__budget_apply(cache, atomic_load(&cache->control->budget_units),
                             atomic_load(&cache->control->budget_rule));
        return 0;
    }
    int status = fc__budget_resolve(cache, &s->budget, &units, &rule, error);
    if (status)
        return status;
    fc__budget_apply(cache, units, rule);
    return 0;
}

int fc__control_attach(fc_cache *cache, fc_error *error) {
    bool create_allowed = !cache->read_only && !cache->no_create;
    fc__filesystem fs;
    int status = open_directory(cache, create_allowed, error);
    if (!status)
        status = check_filesystem(cache, &fs, error);
    if (!status) /* what is damaged is made anew by who may write, and frames/ with it */
        status = open_frames(cache, !cache->read_only, error);
    if (!status)
        status = attach_control(cache, &fs, create_allowed, error);
    if (!status)
        status = apply_settings(cache, error);
    if (status)
        return status;
    fc__checksum how = cache->settings.checksum;
    if (how == FC__CHECKSUM_DEFAULT)
        how = fs.memory ? FC__CHECKSUM_OFF : FC__CHECKSUM_COMMIT;
    cache->checksums = how != FC__CHECKSUM_OFF;
    cache->verify_maps = how == FC__CHECKSUM_MAP;
    cache->epoch = atomic_load(&cache->control->pressure);
    cache->in_memory = fs.memory;
    return 0;
}

void fc__control_detach(fc_cache *cache) {
    if (cache->control)
        forget(cache);
    fc__os_unmap(cache->attached, FC__PAGE);
    if (cache->frames >= 0)
        fc__os_close(cache->frames);
    if (cache->dir >= 0)
        fc__os_close(cache->dir);
}

int fc__control_present(fc_cache *cache, fc_error *error) {
    struct stat info;
    if (!atomic_load(&cache->removed) &&
        fc__os_stat_at(cache->dir, "control", &info) == 0 &&
        info.st_ino == cache->control_inode)
        return 0;
    atomic_store(&cache->removed, true);
    return fc__fail(error, FC_E_CLOSED, "the directory %s was removed under this process: "
                    "open the cache again", cache->settings.dir);
}

/* ---- For who only looks ---- */

static bool is_attached(int dir, uint32_t owner) {
    int fd = fc__os_open_file(dir, "locks", O_RDONLY, 0, owner, false);
    bool attached =
        fd >= 0 && fc__os_range_held(fd, fc__lock_offset(FC__LOCK_ATTACH, 0));
    if (fd >= 0)
        fc__os_close(fd);
    return attached;
}

int fc__control_inspect(int dir, uint32_t owner, fc__inspection *out) {
    fc_cache *cache = fc__calloc(1, sizeof *cache);
    *out = (fc__inspection){0};
    if (!cache)
        return FC_E_NOMEM;
    cache->dir = dir;
    cache->owner = owner;
    cache->read_only = true;
    out->attached = is_attached(dir, owner);
    int status = look(cache, &out->verdict, NULL);
    out->version = cache->control_version;
    if (!status && out->verdict == FC__SOUND) {
        /* Between the words that one process changes, another sees anything. */
        if (!out->attached && !fc__control_sound(cache) && !is_attached(dir, owner))
            out->verdict = FC__DAMAGED;
        forget(cache);
    }
    fc__free(cache);
    return status;
}
