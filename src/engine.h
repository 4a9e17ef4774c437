/* What the modules of src/ share: the attached cache of this process, and one section for
 * each module with what it offers the others. Nothing here knows what a column means. */
#ifndef FC_ENGINE_H
#define FC_ENGINE_H

#include "evict.h"
#include "fault.h"
#include "layout.h"
#include "os.h"
#include "settings.h"
#include "status.h"

#include <pthread.h>

/* ---- Types ---- */

typedef struct fc__hash {
    uint64_t low, high;
} fc__hash;

/* A frame that this process maps: its lease, and its place in the table. Fields of the
 * first part are guarded by the shard's lock or never change. */
typedef struct fc__handle {
    fc__hash hash;
    uint64_t word;
    uint32_t slot, record;
    uint32_t refs;
    bool in_table, hot;
    bool inspected; /* by verify, which changes nothing: damage is told, not dropped */
    struct fc__handle *next; /* of the bucket, or of a list of private copies */
    fc_frame *frame; /* the base frame of the frame format, freed with the handle */

    fc_cache *cache;
    _Atomic(fc_bytes *) tags; /* made when first asked for */
    struct fc__handle *base; /* a private copy keeps the lease of its base */
    const void *map; /* of the manifest's file: the lease, and inline data */
    uint64_t map_bytes;
    const void *private_map; /* inline data of a private copy */
    /* From the envelope to the end of the body, in memory of the handle's own: what was checked
     * is what is used, whatever is stored to the file. A private copy has that of its base. */
    const fc__manifest *manifest;
    uint32_t segment_count;
    uint32_t key_bytes;
    uint8_t *key;
    _Atomic(void *) segments[]; /* [segment_count], mapped at first use */
} fc__handle;

#define FC__SHARDS        64u
#define FC__SHARD_BUCKETS 256u
#define FC__MAX_MAPPINGS  8192u

typedef struct fc__shard {
    _Alignas(64) _Atomic uint32_t lock;
    uint32_t count, hand;
    uint64_t hits; /* guarded by the lock; gathered by stats */
    fc__handle *buckets[FC__SHARD_BUCKETS];
} fc__shard;

/* Counters of FC_STATS, by their place in the table. */
enum {
#define FC_X(name, kind) FC__COUNT_##name,
    FC_STATS(FC_X)
#undef FC_X
        FC__COUNT_ALL
};
_Static_assert(FC__COUNT_ALL <= FC__COUNTERS, "control has room for them");

typedef enum fc__lock_class {
    FC__LOCK_RECORD = 1, /* any state change of this record */
    FC__LOCK_KEY,        /* commit of this key */
    FC__LOCK_FLIGHT,     /* computing this key */
    FC__LOCK_FLIGHT_2,   /* the same, when the owner is stuck, or by who owns another */
    FC__LOCK_JANITOR,    /* 0: the elected housekeeper; 1: the put that pays as it writes */
    FC__LOCK_ATTACH,     /* shared: attached; exclusive: create anew */
    FC__LOCK_PROMOTE     /* decompressing this record's frame, or reading all its blocks */
} fc__lock_class;

typedef struct fc__lock {
    int fd; /* -1: not held */
    uint64_t offset;
} fc__lock;

typedef struct fc__writer fc__writer;

struct fc_cache {
    fc__control *control;
    _Atomic uint64_t *slots;
    fc__record *records;
    _Atomic uint64_t *ghosts; /* [2 * capacity], and as many heats */
    uint32_t capacity, bucket_mask;
    uint64_t hash_seed;
    uint64_t control_bytes;
    const void *attached; /* PROT_NONE mapping of `locks`: keeps the attach lock */
    int dir, frames;      /* descriptors that a forked child keeps */
    uint64_t control_inode;
    uint32_t control_version;
    uint32_t owner; /* of the directory, and so of all that is in it */
    uint32_t file_mode;
    bool file_chmod; /* the umask takes bits away that the mode has */

    fc__settings settings;
    bool read_only, no_create, threads_allowed, checksums, verify_maps;
    _Atomic int64_t spill_retry_ns; /* the spill directory failed: not before; 0: it works */
    _Atomic uint32_t spill_failures; /* in a row */
    void (*log)(void *context, fc_level level, const char *message);
    void *log_context;
    int64_t (*clock_ns)(void *context);
    void *clock_context;

    fc__shard *shards;
    void *shards_memory;
    bool listed; /* among the caches that the fork handlers know */
    _Atomic uint32_t mappings; /* of frames, by this process */
    _Atomic uint32_t epoch;    /* of pressure, as far as idle mappings have been dropped */
    _Atomic uint32_t references; /* 1 while open, and one per handle or build */
    _Atomic bool closed;         /* by fc_cache_close() */
    _Atomic bool removed;        /* the directory has gone */

    pthread_mutex_t locks_mutex;
    int idle_locks[64]; /* open file descriptions of `locks`, ready for use */
    uint32_t idle_lock_count;

    pthread_mutex_t lists_mutex;
    fc__writer *builds;   /* open builds, aborted by close */
    fc__handle *privates; /* private copies, for stats */
    fc_flight *_Atomic flights; /* this process's, newest first */
    fc_watch *watches;          /* this process's that are not readable yet */

    pthread_mutex_t helper_mutex;
    pthread_t helper;
    _Atomic bool helper_running, helper_stop;
    _Atomic bool helper_idle; /* it sleeps until it is woken */
    uint32_t helper_bit;
    fc__lock janitor; /* held by the elected one */
    /* Of housekeeping, which a tick and the helper may do at once. */
    _Atomic uint32_t housekeepings;
    _Atomic int64_t swept_ns; /* by this process, CLOCK_MONOTONIC */
    _Atomic uint32_t hand;    /* where the next sample of records begins */
    _Atomic uint32_t free_hints[FC__EVICT_BATCH], free_position; /* record + 1, or 0 */
    _Atomic uint32_t pool_position, pool_rounds; /* rounds since it took a big record */
    _Atomic uint64_t seen_sequence;

    bool in_memory; /* the file system is */
    _Atomic int64_t room_until_ns; /* how long the reading of free memory holds */
    _Atomic uint64_t room_bytes, room_small;

    _Atomic uint64_t counters[FC__COUNTERS]; /* not yet added to control */
    fc_cache *next, *previous;               /* all attached caches of this process */
};

/* ---- fork.c: the gate, the registry of descriptors, fork handlers ---- */

/* Held shared around each window in which the process has something that the table or the
 * registry does not show yet. Never nested, never held while waiting. */
void fc__gate_enter(void);
void fc__gate_leave(void);
/* As fc__os_open and _close; the child of a fork closes what is open. Outside the gate. */
int fc__fd_open(int dir, const char *name, int flags, uint32_t mode);
/* By fc__os_open_file(): every open of a file by its name in the directory goes through
 * there. A segment may have other names, those of shared columns. */
int fc__fd_file(const fc_cache *cache, int dir, const char *name, int flags, uint32_t mode);
int fc__fd_segment(const fc_cache *cache, const char *name, int flags);
int fc__fd_dir(const fc_cache *cache, int dir, const char *name); /* fc__os_open_dir() */
int fc__fd_event(void); /* an eventfd */
void fc__fd_close(int fd);
/* How many of this process's caches have this very frame mapped (the hash is under a cache's own
 * seed, so it is of one directory), and whether it is in use in any. Not within the gate, nor
 * in a helper thread, which a fork waits for. */
size_t fc__caches_have(fc__hash hash, uint64_t word, bool *used);
/* Counts the forks that led to this process. */
uint32_t fc__fork_generation(void);
void fc__fork_add(fc_cache *cache);
void fc__fork_remove(fc_cache *cache);

/* ---- lock.c: byte ranges in `locks` ---- */

uint64_t fc__lock_offset(fc__lock_class class, uint64_t id);
/* 0, FC_E_BUSY, or FC_E_NOMEM / FC_E_SYSTEM when no description can be had. Never waits. */
int fc__lock_try(fc_cache *cache, fc__lock_class class, uint64_t id, fc__lock *out);
/* Tries until `wait_ms` have passed. */
int fc__lock_wait(fc_cache *cache, fc__lock_class class, uint64_t id, int64_t wait_ms,
                  fc__lock *out);
void fc__lock_release(fc_cache *cache, fc__lock *lock);
void fc__lock_close_idle(fc_cache *cache);

/* ---- control.c: attach and create ---- */

int fc__control_attach(fc_cache *cache, fc_error *error);
void fc__control_detach(fc_cache *cache);
/* FC_E_CLOSED if the directory or its control file has gone, else 0. */
int fc__control_present(fc_cache *cache, fc_error *error);
typedef enum fc__verdict {
    FC__NONE, /* no control, or one that is not made to its end */
    FC__SOUND,
    FC__STALE, /* of an earlier boot */
    FC__DAMAGED,
    FC__OLDER,
    FC__NEWER
} fc__verdict;
typedef struct fc__inspection {
    fc__verdict verdict;
    uint32_t version; /* of the control; 0: none */
    bool attached;    /* somebody is, by whom it cannot be made anew */
} fc__inspection;
/* What the control in a directory is; for the doctor, who attaches to nothing. */
int fc__control_inspect(int dir, uint32_t owner, fc__inspection *out);
/* True if slots, records and sums fit together; only while nobody else is attached. */
bool fc__control_sound(const fc_cache *cache);

/* ---- names.c ---- */

void fc__manifest_name(char out[16], uint32_t record);
void fc__segment_name(char out[24], uint32_t record, uint32_t segment);
/* False if it is neither; *segment is -1 for a manifest. */
bool fc__parse_name(const char *name, uint32_t *record, int64_t *segment);
/* A key as text for messages: printable, cut. */
const char *fc__key_text(char out[80], fc_bytes key);

/* ---- index.c ---- */

fc__hash fc__hash_key(const fc_cache *cache, fc_bytes key);
/* The two buckets, never the same, that may hold a key's word. */
static inline void fc__index_buckets(const fc_cache *cache, fc__hash hash,
                                     uint32_t out[2]) {
    out[0] = (uint32_t)hash.low & cache->bucket_mask;
    out[1] = (uint32_t)(hash.low >> 32) & cache->bucket_mask;
    if (out[0] == out[1])
        out[1] ^= 1;
}
/* The key's word and slot, or 0. */
uint64_t fc__index_find(const fc_cache *cache, fc__hash hash, uint32_t *slot);
/* True, and the slot, if this word stands in one of the key's buckets. */
bool fc__index_holds(const fc_cache *cache, fc__hash hash, uint64_t word, uint32_t *slot);
/* Under the key lock. Puts `word` in the place of the key's word, or in an empty slot;
 * *old: what stood there. FC_E_BUSY: both buckets are full of other keys. */
int fc__index_publish(fc_cache *cache, fc__hash hash, uint64_t word, uint64_t *old,
                      uint32_t *slot);
/* One CAS; false if another word stands there. Replacing: under the key lock. */
bool fc__index_replace(fc_cache *cache, uint32_t slot, uint64_t word, uint64_t with);
bool fc__index_remove(fc_cache *cache, uint32_t slot, uint64_t word);
static inline uint64_t fc__slot(const fc_cache *cache, uint32_t slot) {
    return atomic_load(&cache->slots[slot]);
}

/* ---- record.c ---- */

/* Takes a free record: FREE -> WRITING under its lock, which stays held. FC_E_BUSY: none, or
 * of more than FC__FEW_RECORDS hardly any. */
int fc__record_allocate(fc_cache *cache, uint32_t *record, uint32_t *generation,
                        fc__lock *lock);
/* The same, and looks at each. */
int fc__record_search(fc_cache *cache, uint32_t *record, uint32_t *generation,
                      fc__lock *lock);
/* This process freed it: where to look first. */
void fc__record_freed(fc_cache *cache, uint32_t record);
/* Records from this one on were never taken. */
uint32_t fc__records_end(const fc_cache *cache);
/* A walk over so many records is nothing beside the rest of a put; more are sampled. */
#define FC__FEW_RECORDS 4096u
/* Counts a use, at most once a coarse tick. */
void fc__record_use(fc_cache *cache, fc__record *record);
/* The heat after one use more, from which the policy learns. */
uint64_t fc__heat_up(fc_cache *cache, uint64_t heat, uint32_t uses);
/* Past its expiry; past that and its stale time too, so that nobody may get it. */
bool fc__record_expired(const fc_cache *cache, const fc__record *record, int64_t *since);
bool fc__record_gone(const fc_cache *cache, const fc__record *record, int64_t *since);
/* A stale time that lies behind the expiry as far as it did behind the old one. */
int64_t fc__moved(int64_t expires, int64_t old, int64_t stale);
/* Now plus a TTL, or never. */
int64_t fc__expiry(int64_t now_ns, int64_t ttl_ms);
static inline fc__hash fc__record_hash(const fc__record *record) {
    return (fc__hash){atomic_load(&record->hash_low), atomic_load(&record->hash_high)};
}
double fc__double(uint64_t bits);
/* Of numbers in shared memory only what they can be: seconds, finite and not below 0; parts. */
double fc__record_cost(const fc__record *record);
fc__shares fc__shares_now(const fc_cache *cache);
/* From one time to the other, as far as it can be told in 64 bits. */
static inline int64_t fc__span(int64_t from, int64_t to) {
    int64_t span;
    return !__builtin_sub_overflow(to, from, &span) ? span
           : to < from                              ? INT64_MIN
                                                    : INT64_MAX;
}
uint64_t fc__double_bits(double value);
int64_t fc__now_ns(const fc_cache *cache); /* wall clock, or the test's */

/* ---- ghost.c ---- */

void fc__ghost_add(fc_cache *cache, fc__hash hash, fc_miss reason, int64_t when_ns,
                   uint64_t heat);
fc_miss fc__ghost_find(const fc_cache *cache, fc__hash hash, int64_t *when_ns);
bool fc__ghost_heat(const fc_cache *cache, fc__hash hash, uint64_t *heat);

/* ---- budget.c: exact accounting, in units of FC__PAGE ---- */

static inline uint64_t fc__units(uint64_t bytes) {
    return (bytes + FC__PAGE - 1) / FC__PAGE;
}
uint64_t fc__used_units(const fc_cache *cache);
uint64_t fc__control_units(const fc_cache *cache);
bool fc__budget_fits(const fc_cache *cache, uint64_t more_units);
/* The owner of the record lock charges and uncharges. FC_E_BUDGET changes nothing. */
int fc__charge(fc_cache *cache, fc__record *record, uint64_t units);
void fc__uncharge(fc_cache *cache, fc__record *record, uint64_t units);
/* 0: right already, 1: put right, FC_E_BUSY: somebody is at it. */
int fc__budget_repair(fc_cache *cache);

/* ---- machine.c: the budget `auto`, headroom ---- */

/* From the setting to units; fills the rule. */
int fc__budget_resolve(fc_cache *cache, const fc__amount *amount, uint64_t *units,
                       uint32_t *rule, fc_error *error);
void fc__budget_apply(fc_cache *cache, uint64_t units, uint32_t rule);
/* Brings a budget that is `auto` a step nearer to what the machine has now, and evicts down
 * to it. At most once a second, whoever calls; true if it has changed. */
bool fc__budget_follow(fc_cache *cache);
/* Before pages are written or reserved: evicts until they are free, waits up to the setting
 * reclaim_wait, or FC_E_NOSPACE. On file systems that are no memory: nothing. */
int fc__headroom(fc_cache *cache, uint64_t bytes, fc_error *error);
bool fc__has_headroom(fc_cache *cache, uint64_t bytes); /* evicts nothing */
/* fc__os_reserve() in chunks, each with its headroom. */
#define FC__CHUNK ((uint64_t)4 << 20)
int fc__reserve(fc_cache *cache, int fd, uint64_t offset, uint64_t bytes,
                fc_error *error);
typedef enum fc__budget_rule {
    FC__RULE_SETTING,
    FC__RULE_FILESYSTEM,
    FC__RULE_CGROUP,
    FC__RULE_MEMORY,
    FC__RULE_PRESSURE
} fc__budget_rule;

/* ---- reclaim.c: a frame's way out ---- */

typedef enum fc__reclaim {
    FC__RECLAIM_POOL, /* unreferenced: keep the files for recycling if the pool takes them */
    FC__RECLAIM_FREE, /* unreferenced, left over or in the pool: files go */
    FC__RECLAIM_EVICT, /* a live frame: out of the index, files go */
    FC__RECLAIM_REUSE  /* the same, but the files are kept for the put that needs the room */
} fc__reclaim;

typedef enum fc__reclaimed {
    FC__DONE,
    FC__GONE,       /* it is not in this status any more */
    FC__BUSY,       /* somebody has the record lock, or no descriptor was to be had */
    FC__LEASED,     /* a reader has it */
    FC__REFERENCED, /* the index has it, and the mode is not EVICT */
} fc__reclaimed;

fc__reclaimed fc__reclaim_record(fc_cache *cache, uint32_t record, uint64_t status,
                                 fc__reclaim mode, fc_miss reason);
/* Frees a live frame's record and files, its other copy `heir` taking its place in the index
 * by a CAS of the exact word, with its expiry, cost and uses. Not done: nothing changed. */
fc__reclaimed fc__reclaim_moved(fc_cache *cache, uint64_t word, uint64_t heir);
/* Takes the word out of the index if it is there still, remembers why, and reclaims. */
bool fc__remove_word(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word,
                     fc_miss reason, int64_t when_ns);
/* The same for a frame that was found damaged; its files are not recycled. */
void fc__drop_damaged(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word);
/* Reclaims what a word stood for; wakes the watchers if it is leased. */
void fc__reclaim_word(fc_cache *cache, fc__hash hash, uint64_t word);
/* One pass over all records; returns how many were freed. */
uint32_t fc__sweep(fc_cache *cache);
/* The same for a put that needs room: where there are many records, once a second. */
void fc__sweep_if_due(fc_cache *cache);
uint32_t fc__expire(fc_cache *cache);

/* ---- files.c: the files of a record in frames/ ---- */

/* How many segments it may have; never more than a frame can. */
static inline uint32_t fc__record_segments(const fc__record *record) {
    uint32_t segments = atomic_load(&record->segments);
    return segments < FC__MAX_SEGMENTS ? segments : FC__MAX_SEGMENTS;
}
/* Calls visit with the names that these segments have; some may not be there. */
void fc__segments_each(fc_cache *cache, uint32_t record, uint32_t first, uint32_t end,
                       void (*visit)(void *context, const char *name), void *context);
void fc__unlink_segments(fc_cache *cache, uint32_t record, uint32_t first, uint32_t end);
void fc__unlink_files(fc_cache *cache, uint32_t record, uint32_t segments);
uint64_t fc__files_units(fc_cache *cache, uint32_t record); /* of all, in cold/ too */

typedef enum fc__file { FC__FILE_OWNED, FC__FILE_ORPHAN, FC__FILE_FOREIGN } fc__file;

/* What a file in frames/ is: of its record, or of none, or none of ours. An orphan goes, if it
 * is to be removed. */
fc__file fc__file_judge(fc_cache *cache, const char *name, uint32_t *record, bool remove);
void fc__files_sweep(fc_cache *cache); /* removes all orphans */
/* Removes a file from frames/ or where compressed frames lie if its name is of our own form,
 * and it is a regular file of the directory's owner. What else is there stays. */
void fc__remove_own(const fc_cache *cache, int dir, const char *name);

/* ---- pool.c: reclaimed records that keep their files ---- */

void fc__pool_add(fc_cache *cache, uint32_t record, uint64_t units);
/* A pool record that fits: WRITING, its lock held. FC_E_BUSY: none. */
int fc__pool_take(fc_cache *cache, uint64_t units, bool inlined, uint32_t *record,
                  uint32_t *generation, fc__lock *lock);
/* Frees pool records until `units` fit the budget, or all. */
void fc__pool_trim(fc_cache *cache, uint64_t units, bool all);
void fc__pool_empty(fc_cache *cache); /* but for what has lost its hint */
void fc__pool_to_limit(fc_cache *cache);
void fc__pool_left(fc_cache *cache, uint64_t units); /* of a record that was in it */
bool fc__pool_accepts(fc_cache *cache, uint64_t units);

/* ---- room.c: making room ---- */

typedef struct fc__shortage {
    uint64_t leased_units, zombie_units;
} fc__shortage;

/* The worth of a frame that takes `units`. */
fc__judge fc__judge_now(const fc_cache *cache);
double fc__record_worth(const fc__judge *judge, const fc__record *record, uint64_t units);
/* Makes `units` fit: pool, zombies, idle mappings, eviction; waits up to the setting
 * reclaim_wait. FC_E_BUDGET: what is left is in use. */
int fc__make_room(fc_cache *cache, uint64_t units, fc__shortage *shortage);
/* The same for a put that pays meanwhile, until all is paid or it is settled. */
typedef struct fc__owed {
    _Atomic uint64_t units;
    _Atomic bool settled;
} fc__owed;
int fc__make_room_for(fc_cache *cache, const fc__owed *what, fc__shortage *shortage);
/* Evicts a frame that has to go for `units` anyway, and that is like the content: into the
 * pool. */
typedef struct fc__content fc__content;
bool fc__evict_to_reuse(fc_cache *cache, const fc__content *content, uint64_t units);
int fc__fail_budget(fc_cache *cache, uint64_t asked_units, const fc__shortage *shortage,
                    fc_error *error);
/* Frees `units` of what is used, as far as nobody holds it. */
void fc__shed(fc_cache *cache, uint64_t units);
/* Evicts from above the high watermark down to the low one. */
void fc__evict_to_low(fc_cache *cache);
/* One victim, so that a record or a slot comes free. `hash`: among this key's buckets. */
bool fc__evict_one(fc_cache *cache, const fc__hash *hash);
/* Victims for the records that they take: a batch, so that most new keys find one free. */
bool fc__evict_records(fc_cache *cache);

/* ---- table.c: what this process has mapped ---- */

/* The handle under the key if it is current, with a reference; NULL if not. */
fc__handle *fc__table_get(fc_cache *cache, fc__hash hash, fc_bytes key, uint32_t flags);
/* Inside the gate. Takes over the handle, which has one reference. Handles that must be
 * freed after the gate come back in *dropped. */
void fc__table_insert(fc__handle *handle, fc__handle **dropped);
void fc__handle_retain(fc__handle *handle);
void fc__handle_release(fc__handle *handle);
/* Idle handles: of one key (true if one was in use), of dead frames, or all. */
bool fc__table_drop_key(fc_cache *cache, fc__hash hash, uint64_t word);
/* Has this very frame mapped, and is it in use or idle? */
bool fc__table_has(fc_cache *cache, fc__hash hash, uint64_t word, bool *used);
uint32_t fc__table_drop_idle(fc_cache *cache, bool stale_only);
/* Outside the gate: frees unmapped handles and reclaims what they were the last to hold. */
void fc__handles_free(fc__handle *list);
/* The handle, with a reference, one of whose segments is mapped just here; or NULL. */
fc__handle *fc__table_find_segment(fc_cache *cache, const void *start, uint64_t bytes,
                                   uint32_t *segment);
/* The same, with the segment that has these bytes anywhere in it. */
fc__handle *fc__table_find_range(fc_cache *cache, const void *start, uint64_t bytes,
                                 uint32_t *segment);
void fc__table_lock_all(fc_cache *cache);
void fc__table_unlock_all(fc_cache *cache, bool in_child);
void fc__table_forget_idle(fc_cache *cache); /* in a forked child */
typedef struct fc__table_stats {
    uint64_t frames, bytes, idle_frames, idle_bytes, private_bytes, hits;
} fc__table_stats;
void fc__table_stat(fc_cache *cache, fc__table_stats *out);
/* With room for `head_bytes` of a manifest, at fc__handle_head(). */
fc__handle *fc__handle_new(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot,
                           fc_bytes key, uint32_t segment_count, size_t head_bytes);
static inline void *fc__handle_head(fc__handle *handle) {
    return &handle->segments[handle->segment_count];
}
void fc__handle_unmap(fc__handle *handle);

/* ---- lease.c: mapping a frame ---- */

/* The frame under the key, mapped and in the table, with a reference. FC_E_MISS with its
 * reason, CORRUPT, NOMEM, CLOSED. */
int fc__lease(fc_cache *cache, fc__hash hash, fc_bytes key, uint32_t flags,
              fc__handle **out, fc_error *error);
/* Inside the gate: a handle, not in the table yet, over an open and leased manifest.
 * FC_E_BUSY: it is another frame's by now, look again. CORRUPT, NOMEM, SYSTEM. */
int fc__lease_map(fc_cache *cache, int manifest, fc__hash hash, uint64_t word,
                  uint32_t slot, fc_bytes key, fc__handle **out);
/* For who looks only: leases and judges like a get, but drops nothing. The handle is not in
 * the table, nor in a forked child. FC_E_BUSY: leased exclusively (*held), or another's. */
int fc__verify_lease(fc_cache *cache, fc__hash hash, fc_bytes key, uint64_t word,
                     uint32_t slot, fc__handle **out, bool *held);
/* Reads envelope and key of a frame under a short lease; `out` has room for both. */
int fc__lease_peek(fc_cache *cache, uint64_t word, fc__manifest *out, uint8_t *key,
                   uint8_t *tags, uint64_t *inode);
/* Room for the key, and for the tags as they stand behind it. */
#define FC__TAGS_BYTES (FC__MAX_TAGS * (1 + FC__TAG_BYTES))
/* ---- tags.c ---- */
int fc__tags_check(const fc_bytes *tags, size_t count, fc_error *error);
size_t fc__tags_bytes(const fc_bytes *tags, size_t count);
void fc__tags_write(uint8_t *out, const fc_bytes *tags, size_t count);
uint64_t fc__tags_filter(const fc_bytes *tags, size_t count);
/* Points `out` into `from`; false if they do not fit `bytes`. */
bool fc__tags_read(const uint8_t *from, size_t bytes, size_t count, fc_bytes *out);
const fc_bytes *fc__handle_tags(fc__handle *handle); /* NULL: none, or no memory */
int fc__miss(fc_cache *cache, fc__hash hash, fc_bytes key, fc_error *error);
/* The miss of an expired frame, which leaves the index unless it may be had as stale.
 * FC_E_BUSY: it was replaced meanwhile, look again. */
int fc__expired(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word, fc_bytes key,
                fc_error *error);
/* What a committed manifest must hold, of `bytes` bytes at `manifest`. */
bool fc__manifest_valid(const fc__manifest *manifest, uint64_t bytes);
uint64_t fc__manifest_checksum(const fc__manifest *manifest);
const void *fc__handle_segment(fc__handle *handle, uint32_t index, uint64_t *bytes,
                               fc_error *error);
int fc__handle_private(fc__handle *handle, fc__handle **out, fc_error *error);
void fc__private_forget(fc__handle *handle); /* before its base is released */
uint64_t fc__private_bytes(fc_cache *cache); /* dirtied pages of all private copies */
/* Of its segments, as its manifest says. */
const uint64_t *fc__handle_lengths(const fc__handle *handle);
bool fc__handle_maps(const fc__handle *handle, const void *start, uint64_t bytes,
                     uint32_t *segment);
bool fc__handle_has(const fc__handle *handle, const void *start, uint64_t bytes,
                    uint32_t *segment);
uint64_t fc__handle_bytes(const fc__handle *handle); /* mapped */
int fc__handle_populate(fc__handle *handle);

/* ---- cold.c: compressed frames, which demotion makes and a get promotes ---- */

/* Compresses a live frame that nobody leases into a record of its own, and frees it.
 * FC__BUSY: it is not worth it, or there is no room: drop it. */
fc__reclaimed fc__demote(fc_cache *cache, uint32_t record, uint64_t status);
/* FC__DONE: it is not worth compressing a frame that nobody leases. FC__BUSY: it may be.
 * Takes a sample of each frame once. */
fc__reclaimed fc__not_worth(fc_cache *cache, uint32_t record, uint64_t status);
/* Decompresses the frame that a cold word stands for. 0: done, or done by another: look
 * again. Else as fc__lease_map(); FC_E_BUSY and *busy: somebody is at it, so that it says
 * nothing of damage; *told: with its message in *error already. */
int fc__promote(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot, fc_bytes key,
                bool *busy, bool *told, fc_error *error);

/* ---- cold_file.c: where compressed frames lie ---- */

/* Makes or opens the file of a cold record, by its flags; -1 with errno. */
int fc__cold_open(fc_cache *cache, uint32_t record, bool create);
/* Unlinks it, and gives back what it took of the spill budget. Under the record lock. */
void fc__cold_drop(fc_cache *cache, uint32_t record);
uint64_t fc__cold_units(fc_cache *cache, uint32_t record); /* of it on disk */
/* Whether a file lies under the record's name, whatever its flags say. */
bool fc__cold_present(const fc_cache *cache, uint32_t record, bool spilled);
/* True if compressed frames go to the spill directory, and it works. */
bool fc__spill_ready(fc_cache *cache);
/* One more failure of the spill directory: nothing goes there for a while. */
void fc__spill_failed(fc_cache *cache, int sys_errno, const char *what);
/* Takes units of the spill budget for the record, dropping what is worth less. */
bool fc__spill_charge(fc_cache *cache, uint32_t record, uint64_t units);
void fc__spill_uncharge(fc_cache *cache, uint32_t record, uint64_t units);
static inline uint64_t fc__spilled_units(const fc__record *record) {
    return atomic_load(&record->flags) & FC__RECORD_SPILLED
               ? atomic_load(&record->linked) & 0xffffffffu
               : 0;
}
/* What a file that fc__cold_list() finds is. */
fc__file fc__cold_judge(fc_cache *cache, uint32_t record, bool spilled);
/* Files that no record has; `anew`: all of them, and those of this directory's former
 * caches in the spill directory. */
void fc__cold_sweep(fc_cache *cache, bool anew);
/* Each file in the cold and spill directories: its record, or UINT32_MAX. */
void fc__cold_list(fc_cache *cache, void (*visit)(void *context, const char *name,
                                                  uint32_t record, bool spilled),
                   void *context);

/* ---- cache_cold.c: between the files and the frame format ---- */

typedef struct fc__packing fc__packing;

/* Looks at a leased frame; *worth: it gets a quarter smaller at least, by a sample. */
int fc__pack_begin(fc__packing **out, fc__handle *handle, bool *worth, fc_error *error);
/* The content of a cold record: body and key as they are, blocks instead of segments. */
void fc__pack_content(fc__packing *packing, fc__content *out);
void fc__pack_end(fc__packing *packing);

typedef struct fc__unpacking fc__unpacking;

/* Opens and checks the file of a cold record under its lease. FC_E_CORRUPT; FC_E_SYSTEM
 * with errno: it is not to be had. */
int fc__unpack_begin(fc__unpacking **out, fc__handle *handle, fc_error *error);
void fc__unpack_content(fc__unpacking *unpacking, fc__content *out);
/* Decodes all blocks, and keeps nothing. */
int fc__unpack_verify(fc__unpacking *unpacking, fc_error *error);
void fc__unpack_end(fc__unpacking *unpacking);

/* ---- wait.c ---- */

void fc__wait_bump(fc_cache *cache, fc__hash hash);
/* Before looking at what one waits for, and after: until the word moves. */
uint32_t fc__wait_prepare(fc_cache *cache, fc__hash hash);
void fc__wait_sleep(fc_cache *cache, fc__hash hash, uint32_t seen, int64_t timeout_ns);
bool fc__wait_moved(const fc_cache *cache, fc__hash hash, uint32_t seen);
uint32_t fc__watch_prepare(fc_cache *cache, fc__hash hash); /* for who does not sleep on it */
/* The key's frame is another than that of `sequence`; 0: none. */
bool fc__wait_changed(const fc_cache *cache, fc__hash hash, uint64_t sequence);
void fc__notice(fc_cache *cache); /* wakes the watchers of all processes */

/* ---- watch.c ---- */

/* Makes readable the descriptors of watches whose key has changed, or of all. fire: under
 * the mutex of the lists. */
void fc__watches_look(fc_cache *cache, bool all);
void fc__watches_fire(fc_cache *cache, bool all);
bool fc__watches_any(fc_cache *cache); /* that are not readable yet */

/* ---- flight.c ---- */

/* Seconds since this thread began to compute the key; 0 if it does not. */
double fc__flight_elapsed(fc_cache *cache, fc__hash hash);

/* ---- helper.c: the helper thread: watcher and, if elected, janitor ---- */

/* If threads are allowed and none runs; false: it could not be started. One that runs may be
 * about to end, for a fork or a close, which then make all watches readable. */
bool fc__helper_start(fc_cache *cache);
void fc__helper_stop(fc_cache *cache);
/* True in the helper thread when somebody waits for its end: a fork, perhaps. */
bool fc__helper_stopping(fc_cache *cache);
/* Wakes helpers that sleep because there was no frame; to be called when there is one. */
void fc__rouse(fc_cache *cache);
/* One round of the janitor's work. */
void fc__housekeep(fc_cache *cache, bool full);
/* Drops what the pressure epoch or replaced frames make useless here. */
void fc__watch(fc_cache *cache);

/* ---- stats.c ---- */

static inline void fc__count(fc_cache *cache, int counter, uint64_t amount) {
    atomic_fetch_add_explicit(&cache->counters[counter], amount, memory_order_relaxed);
}
bool fc__stats_flush(fc_cache *cache); /* true if there was anything to add */
/* Fills what fits in out->size. */
void fc__fill_info(const fc_cache *cache, const fc__manifest *manifest, fc_bytes key,
                   const uint64_t *lengths, const fc_bytes *tags, bool leased, fc_info *out);
int fc__check_key(fc_cache *cache, fc_bytes key, fc_error *error);
int fc__check_writable(fc_cache *cache, fc_error *error); /* attached so; keys.c */

/* ---- cache.c ---- */

fc__handle *fc__frame_handle(const fc_frame *frame);
/* Structure and checksums of a leased frame. */
int fc__handle_verify(fc__handle *handle, fc_error *error);
bool fc__handle_has_checksums(const fc__handle *handle);
void fc__builds_abort(fc_cache *cache);
/* The base frame of a handle: made when it is mapped, freed with it. */
int fc__handle_open_frame(fc__handle *handle);
void fc__handle_free_frame(fc__handle *handle);
void fc__cache_retain(fc_cache *cache);
void fc__cache_unref(fc_cache *cache); /* the last one frees it */
void fc__log(fc_cache *cache, fc_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#include "writing.h"

#endif
