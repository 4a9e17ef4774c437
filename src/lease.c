/* Mapping a frame: open the manifest, lease it, map it, close. The mapping keeps the open file
 * description and so the lease, until it is unmapped or the process dies; it costs no
 * descriptor. What the index said is checked again under the lease, and all that the manifest
 * says is taken from one copy of it: a stray store may change the file at any time. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A stopped evictor may hold a manifest: after this a get is a miss. */
#define BUSY_NS      10000000
#define BUSY_STEP_NS 20000
#define BUSY_POLLS   32 /* at least: on a crowded machine one sleep may take all that time */
/* A word whose manifest is not what it says, seen this often: it is damaged. */
#define MAX_MISMATCHES 64

static uint64_t covered_end(const fc__manifest *m) {
    return m->body_offset + m->body_bytes;
}

uint64_t fc__manifest_checksum(const fc__manifest *manifest) {
    const char *bytes = (const char *)manifest;
    return XXH3_64bits(bytes + FC__MANIFEST_COVERED,
                       covered_end(manifest) - FC__MANIFEST_COVERED);
}

static bool within(uint64_t offset, uint64_t bytes, uint64_t limit) {
    return offset <= limit && bytes <= limit - offset;
}

/* What is used of it without its checksum, too. */
static bool is_envelope(const fc__manifest *m) {
    return m->magic == FC__MANIFEST_MAGIC && m->version == FC__MANIFEST_VERSION &&
           m->header_bytes == sizeof *m && m->key_bytes >= 1 &&
           m->key_bytes <= FC__KEY_BYTES && m->tag_count <= FC__MAX_TAGS;
}

/* What a copy of it has to have room for. */
static bool fits(const fc__manifest *m, uint64_t bytes) {
    return m->segment_count <= FC__MAX_SEGMENTS &&
           within(m->segments_offset, m->segment_count * 8ull, bytes) &&
           within(m->body_offset, m->body_bytes, bytes) && covered_end(m) >= sizeof *m;
}

bool fc__manifest_valid(const fc__manifest *m, uint64_t bytes) {
    return bytes >= sizeof *m && is_envelope(m) && m->committed <= 1 && fits(m, bytes) &&
           m->segments_offset % 8 == 0 &&
           m->segments_offset >= sizeof *m + m->key_bytes &&
           m->body_offset >= m->segments_offset + m->segment_count * 8ull &&
           fc__tags_read((const uint8_t *)(m + 1) + m->key_bytes,
                         m->segments_offset - sizeof *m - m->key_bytes, m->tag_count,
                         NULL) &&
           m->body_offset % 8 == 0 && m->data_offset % 64 == 0 &&
           m->data_offset >= covered_end(m) && within(m->data_offset, m->data_bytes, bytes) &&
           m->checksum == fc__manifest_checksum(m);
}

static bool is_frame_of(const fc_cache *cache, const fc__manifest *m, uint64_t word) {
    /* The lease orders this with the mark, which is written under an exclusive one. */
    return m->committed && !m->dead && m->instance == cache->control->instance &&
           m->record == fc__word_record(word) && m->generation == fc__word_generation(word);
}

static int out_of(int sys_errno) {
    return sys_errno == EMFILE || sys_errno == ENFILE || sys_errno == ENOMEM ||
                   sys_errno == EAGAIN /* locked in memory, beyond its limit */
               ? FC_E_NOMEM
           : sys_errno == EACCES || sys_errno == EPERM ? FC_E_PERMISSION
                                                       : FC_E_SYSTEM;
}

/* One that does not hold: FC_E_CORRUPT, or FC_E_BUSY (another frame's). A half-written
 * manifest of a dead writer is no damage: no slot holds its word. */
static int damage_of(const fc_cache *cache, const fc__manifest *m, uint64_t word,
                     uint32_t slot) {
    return fc__slot(cache, slot) == word && is_frame_of(cache, m, word) ? FC_E_CORRUPT
                                                                        : FC_E_BUSY;
}

/* What a copy of a manifest is, of which all that fits() asks for is there: 0, as damage_of(),
 * or FC_E_MISS for a key of the same hash. */
static int judge(const fc_cache *cache, const fc__manifest *m, uint64_t bytes, uint64_t word,
                 uint32_t slot, fc_bytes key) {
    if (!fc__manifest_valid(m, bytes) || !is_frame_of(cache, m, word))
        return damage_of(cache, m, word, slot);
    if (m->key_bytes != key.size || memcmp(m + 1, key.data, key.size))
        return FC_E_MISS;
    return 0;
}

static void free_new(fc__handle *handle) {
    fc_cache *cache = handle->cache;
    fc__free(handle);
    fc__cache_unref(cache);
}

/* A handle with its own copy of the manifest up to the end of the body, judged. Envelope first,
 * which says what the copy has to have room for. */
static int copy_head(fc_cache *cache, const void *map, uint64_t bytes, fc__hash hash,
                     uint64_t word, uint32_t slot, fc_bytes key, fc__handle **out) {
    fc__manifest start;
    memcpy(&start, map, sizeof start);
    if (!is_envelope(&start) || !fits(&start, bytes))
        return damage_of(cache, &start, word, slot);
    uint64_t head = covered_end(&start);
    uint32_t files = start.flags & FC__MANIFEST_INLINE ? 0 : start.segment_count;
    fc__handle *handle = fc__handle_new(cache, hash, word, slot, key, files, head);
    if (!handle)
        return FC_E_NOMEM;
    fc__manifest *m = fc__handle_head(handle);
    memcpy(m, &start, sizeof start);
    memcpy(m + 1, (const fc__manifest *)map + 1, head - sizeof start);
    int status = judge(cache, m, bytes, word, slot, key);
    handle->manifest = m;
    *out = handle;
    if (status)
        free_new(handle);
    return status;
}

int fc__lease_map(fc_cache *cache, int manifest, fc__hash hash, uint64_t word,
                  uint32_t slot, fc_bytes key, fc__handle **out) {
    fc__handle *handle;
    struct stat info;
    *out = NULL;
    if (fc__os_stat(manifest, &info) < 0)
        return out_of(errno);
    uint64_t bytes = (uint64_t)info.st_size;
    if (bytes < sizeof(fc__manifest))
        return FC_E_BUSY;
    void *map = fc__os_map(manifest, bytes, bytes <= 65536 ? FC__MAP_READ_ALL : FC__MAP_READ);
    if (!map)
        return out_of(errno);
    int status = copy_head(cache, map, bytes, hash, word, slot, key, &handle);
    if (status) {
        fc__os_unmap(map, bytes);
        return status;
    }
    handle->map = map;
    handle->map_bytes = bytes;
    atomic_fetch_add(&cache->mappings, 1);
    status = fc__handle_open_frame(handle);
    if (status) {
        fc__handle_unmap(handle);
        free_new(handle);
        return status;
    }
    *out = handle;
    return 0;
}

/* Inside the gate. *held: another has it exclusively. */
static int open_and_map(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot,
                        fc_bytes key, fc__handle **out, bool *held) {
    char name[16];
    int status;
    *out = NULL;
    *held = false;
    fc__manifest_name(name, fc__word_record(word));
    int fd = fc__os_open_file(cache->frames, name, O_RDONLY, 0, cache->owner, false);
    if (fd < 0) {
        *held = errno == EAGAIN; /* by a write lease, F_SETLEASE */
        return errno == ENOENT || errno == FC__FOREIGN || *held ? FC_E_BUSY : out_of(errno);
    }
    if (fc__os_lease(fd, FC__SHARED) == 0)
        status = fc__lease_map(cache, fd, hash, word, slot, key, out);
    else {
        *held = errno == EWOULDBLOCK;
        status = *held ? FC_E_BUSY : out_of(errno);
    }
    fc__os_close(fd);
    return status;
}

/* One try, inside the gate from opening to the table. */
static int try_lease(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot,
                     fc_bytes key, fc__handle **out, fc__handle **dropped, bool *busy) {
    fc__gate_enter();
    int status = open_and_map(cache, hash, word, slot, key, out, busy);
    int saved = errno;
    if (!status)
        fc__table_insert(*out, dropped);
    fc__gate_leave();
    errno = saved;
    return status;
}

static int fail_miss(fc_cache *cache, fc_miss reason, int64_t when_ns, fc_bytes key,
                     fc_error *error) {
    static const char *const why[] = {
        "there never was one, as far as is remembered", "it has expired",
        "it was evicted to keep within the budget",     "it was deleted",
        "it was invalidated",                           "it was found damaged and dropped"};
    char text[80];
    if (!error)
        return FC_E_MISS;
    fc__fail(error, FC_E_MISS, "no frame under key '%s': %s", fc__key_text(text, key),
             why[reason]);
    error->miss = reason;
    if (reason != FC_MISS_NEVER) {
        int64_t age = fc__span(when_ns, fc__now_ns(cache)) / 1000000;
        error->miss_age_ms = age < 0 ? 0 : age;
    }
    return FC_E_MISS;
}

int fc__miss(fc_cache *cache, fc__hash hash, fc_bytes key, fc_error *error) {
    static const int counter[] = {FC__COUNT_misses_never,   FC__COUNT_misses_expired,
                                  FC__COUNT_misses_evicted, FC__COUNT_misses_deleted,
                                  FC__COUNT_misses_other,   FC__COUNT_misses_other};
    int64_t when = 0;
    fc_miss reason = fc__ghost_find(cache, hash, &when);
    fc__count(cache, counter[reason], 1);
    return fail_miss(cache, reason, when, key, error);
}

static int corrupt(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word,
                   fc_bytes key, fc_error *error) {
    char text[80];
    fc__drop_damaged(cache, hash, slot, word);
    fc__log(cache, FC_LEVEL_ERROR, "frame '%s' is damaged and was dropped",
            fc__key_text(text, key));
    return fc__fail(error, FC_E_CORRUPT,
                    "the frame under key '%s' is damaged (record %06x in %s/frames) and has "
                    "been dropped: put it again",
                    text, fc__word_record(word), cache->settings.dir);
}

static int fail_lease(fc_cache *cache, int status, int sys_errno, fc_bytes key,
                      fc_error *error) {
    char text[80];
    fc__key_text(text, key);
    if (status == FC_E_NOMEM)
        return fc__fail_errno(error, status, sys_errno,
                              "no descriptor, mapping or memory left to map key '%s' (see "
                              "ulimit -n and vm.max_map_count, or hold fewer frames)", text);
    return fc__fail_errno(error, status, sys_errno, "cannot map key '%s' from %s/frames",
                          text, cache->settings.dir);
}

static int fail_cold(fc_bytes key, fc_error *error) {
    char text[80];
    return fc__fail(error, FC_E_BUSY, "the frame under key '%s' is compressed: get it without "
                    "FC_GET_NOWAIT, where waiting is no harm", fc__key_text(text, key));
}

/* Expired: out of the index, unless it may still be asked for as stale. */
int fc__expired(fc_cache *cache, fc__hash hash, uint32_t slot, uint64_t word, fc_bytes key,
                fc_error *error) {
    const fc__record *record = &cache->records[fc__word_record(word)];
    int64_t since = 0;
    bool gone = fc__record_gone(cache, record, &since);
    if (!gone || cache->read_only) {
        fc__count(cache, FC__COUNT_misses_expired, 1);
        return fail_miss(cache, FC_MISS_EXPIRED, since, key, error);
    }
    if (!fc__remove_word(cache, hash, slot, word, FC_MISS_EXPIRED, since))
        return FC_E_BUSY; /* replaced meanwhile: look again */
    fc__count(cache, FC__COUNT_expired, 1);
    return fc__miss(cache, hash, key, error);
}

int fc__lease(fc_cache *cache, fc__hash hash, fc_bytes key, uint32_t flags,
              fc__handle **out, fc_error *error) {
    int64_t busy_since = 0, since = 0;
    uint64_t last = 0;
    int mismatches = 0, polls = 0;
    bool starved = false, cold = false;
    for (;;) {
        uint32_t slot = 0;
        fc__handle *dropped = NULL;
        bool busy = false;
        uint64_t word = fc__index_find(cache, hash, &slot);
        if (!word)
            return fc__miss(cache, hash, key, error);
        fc__record *record = &cache->records[fc__word_record(word)];
        bool late = flags & FC_GET_STALE ? fc__record_gone(cache, record, &since)
                                         : fc__record_expired(cache, record, &since);
        if (late && fc__slot(cache, slot) == word) {
            int missed = fc__expired(cache, hash, slot, word, key, error);
            if (missed == FC_E_BUSY)
                continue;
            return missed;
        }
        if (word != last) /* replaced: not the one that is held, nor the one that is wrong */
            mismatches = 0, busy_since = 0, polls = 0;
        last = word;
        int status, sys_errno;
        if (word & FC__WORD_COLD) {
            bool told = false;
            if (flags & FC_GET_NOWAIT)
                return fail_cold(key, error);
            status = fc__promote(cache, hash, word, slot, key, &busy, &told, error);
            sys_errno = errno;
            cold = true;
            if (told)
                return status;
            if (!status)
                continue;
        } else {
            status = try_lease(cache, hash, word, slot, key, out, &dropped, &busy);
            sys_errno = errno;
            fc__handles_free(dropped);
        }
        if (!status) {
            if (cold && !(flags & FC_GET_PEEK))
                fc__count(cache, FC__COUNT_cold_hits, 1);
            return 0;
        }
        if (status == FC_E_NOMEM && !starved) {
            starved = true;
            fc__table_drop_idle(cache, false);
            continue;
        }
        if (status == FC_E_CORRUPT)
            return corrupt(cache, hash, slot, word, key, error);
        if (status == FC_E_MISS)
            return fc__miss(cache, hash, key, error);
        if (status != FC_E_BUSY)
            return fail_lease(cache, status, sys_errno, key, error);
        if (busy) {
            int64_t now = fc__os_monotonic_ns();
            busy_since = busy_since ? busy_since : now;
            if (++polls > BUSY_POLLS && now - busy_since > BUSY_NS)
                return fc__miss(cache, hash, key, error);
            fc__os_sleep_ns(BUSY_STEP_NS);
        } else if (++mismatches == MAX_MISMATCHES) {
            status = fc__control_present(cache, error);
            return status ? status : corrupt(cache, hash, slot, word, key, error);
        } else if (mismatches > 8)
            fc__os_sleep_ns(BUSY_STEP_NS);
    }
}

int fc__verify_lease(fc_cache *cache, fc__hash hash, fc_bytes key, uint64_t word,
                     uint32_t slot, fc__handle **out, bool *held) {
    fc__gate_enter();
    int status = open_and_map(cache, hash, word, slot, key, out, held);
    int saved = errno;
    if (!status) { /* in no table, so that a child could not know of its lease */
        (*out)->inspected = true;
        fc__os_not_in_children((*out)->map, (*out)->map_bytes);
    }
    fc__gate_leave();
    errno = saved;
    return status;
}

/* Leased and read, not mapped: for walks over many frames. */
int fc__lease_peek(fc_cache *cache, uint64_t word, fc__manifest *out, uint8_t *key,
                   uint8_t *tags, uint64_t *inode) {
    struct {
        fc__manifest manifest;
        uint8_t key[FC__KEY_BYTES];
    } head;
    char name[16];
    fc__manifest_name(name, fc__word_record(word));
    int status = FC_E_BUSY, fd = fc__fd_file(cache, cache->frames, name, O_RDONLY, 0);
    if (fd < 0)
        return errno == ENOENT || errno == EAGAIN || errno == FC__FOREIGN ? FC_E_BUSY
                                                                          : out_of(errno);
    if (fc__os_lease(fd, FC__SHARED) == 0) {
        ssize_t got = fc__os_read(fd, &head, sizeof head, 0);
        const fc__manifest *m = &head.manifest;
        if (got >= (ssize_t)sizeof *m && is_envelope(m) && is_frame_of(cache, m, word) &&
            (size_t)got >= sizeof *m + m->key_bytes) {
            memcpy(out, m, sizeof *m);
            memcpy(key, head.key, m->key_bytes);
            status = 0;
            if (tags && m->tag_count &&
                fc__os_read(fd, tags, FC__TAGS_BYTES, sizeof *m + m->key_bytes) < 1)
                status = FC_E_SYSTEM;
        }
        struct stat info;
        if (inode)
            *inode = fc__os_stat(fd, &info) == 0 ? info.st_ino : 0;
        fc__os_lease(fd, FC__UNLOCK);
    }
    fc__fd_close(fd);
    return status;
}
