/* fc_cache_verify: accounting against the disk, orphans, manifests, checksums; beside
 * running readers and writers. A record that somebody works on is passed over; what a
 * killed process left, and the next sweep frees, is told as a warning. What is told to be
 * mended by `framecache gc` is, by its sweeps (reclaim.c, files.c, cold_file.c). */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>

#include <stdio.h>
#include <string.h>

typedef struct check {
    fc_cache *cache;
    fc_report_fn report;
    void *context;
    uint32_t flags;
    uint64_t errors, frames;
    uint64_t unchecked; /* of these, whose data have no checksums */
    uint64_t disk;      /* units of the files that are ours */
    bool unsettled;     /* a record was told of, so that sums may differ */
    int stopped;        /* by the callback */
} check;

static const char *const gc = "run: framecache gc";

static void report(check *c, fc_level level, const char *subject, const char *remedy,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

static void report(check *c, fc_level level, const char *subject, const char *remedy,
                   const char *format, ...) {
    char text[400];
    va_list arguments;
    if (c->stopped)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->errors += level == FC_LEVEL_ERROR;
    fc_finding finding = {.level = level, .subject = subject, .text = text, .remedy = remedy};
    if (c->report)
        c->stopped = c->report(c->context, &finding);
}

/* ---- Files ---- */

static int visit_file(void *context, const char *name) {
    check *c = context;
    uint32_t record;
    struct stat info;
    switch (fc__file_judge(c->cache, name, &record, false)) {
    case FC__FILE_FOREIGN:
        report(c, FC_LEVEL_ERROR, name, "remove the file", "is no file of this cache");
        break;
    case FC__FILE_ORPHAN:
        report(c, FC_LEVEL_ERROR, name, gc, "an orphan: a file of no frame");
        break;
    default:
        if (fc__os_stat_at(c->cache->frames, name, &info) == 0)
            c->disk += fc__units((uint64_t)info.st_size);
    }
    return c->stopped;
}

static void visit_cold(void *context, const char *name, uint32_t record, bool spilled) {
    check *c = context;
    const char *where = spilled ? "spill directory" : "cold";
    struct stat info;
    char path[300];
    switch (fc__cold_judge(c->cache, record, spilled)) {
    case FC__FILE_FOREIGN:
        report(c, FC_LEVEL_ERROR, name, "remove the file", "is no file of this cache, in its "
               "%s", where);
        break;
    case FC__FILE_ORPHAN:
        /* Who does not know the spill directory frees the record, and leaves the file there. */
        report(c, spilled ? FC_LEVEL_WARNING : FC_LEVEL_ERROR, name, gc,
               "an orphan: a file of no frame, in its %s", where);
        break;
    default:
        snprintf(path, sizeof path, "cold/%s", name);
        if (!spilled && fc__os_stat_at(c->cache->dir, path, &info) == 0)
            c->disk += fc__units((uint64_t)info.st_size);
    }
}

/* ---- Records, each under its lock ---- */

static bool is_leased(fc_cache *cache, const char *name) {
    int fd = fc__fd_file(cache, cache->frames, name, O_RDWR, 0);
    bool leased = fd >= 0 && fc__os_lease(fd, FC__EXCLUSIVE) < 0 && errno == EWOULDBLOCK;
    if (fd >= 0 && !leased)
        fc__os_lease(fd, FC__UNLOCK);
    fc__fd_close(fd);
    return leased;
}

/* A frame that has left the index. Who is killed while he removes it leaves some of its files
 * and all of its charge; who has the lock is not killed. */
static void check_left(check *c, const char *name, bool locked, uint64_t charged,
                       uint64_t units) {
    c->unsettled |= charged != units;
    if (!locked)
        report(c, FC_LEVEL_INFO, name, NULL,
               "holds a replaced frame, still leased or not yet swept (%llu bytes)",
               (unsigned long long)(charged * FC__PAGE));
    else if (is_leased(c->cache, name))
        report(c, FC_LEVEL_INFO, name, "release the frame: framecache holders tells by whom",
               "holds a replaced frame that is leased still (%llu bytes)",
               (unsigned long long)(charged * FC__PAGE));
    else
        report(c, charged == units ? FC_LEVEL_INFO : FC_LEVEL_WARNING, name, gc,
               "holds a frame that has left the index, %s (%llu bytes)",
               charged == units ? "not yet swept" : "of a process that was killed meanwhile",
               (unsigned long long)(charged * FC__PAGE));
}

/* The key, if the manifest tells it, else the record. */
static const char *subject_of(check *c, char text[80], uint64_t word, const char *name) {
    uint8_t key[FC__KEY_BYTES];
    fc__manifest m;
    return fc__lease_peek(c->cache, word, &m, key, NULL, NULL)
               ? name
               : fc__key_text(text, (fc_bytes){key, m.key_bytes});
}

/* Charge and files of a live record in the index, or of one of the pool, do not fit. */
static void report_charge(check *c, uint64_t word, bool live, const char *name,
                          uint64_t charged, uint64_t units) {
    char text[80];
    c->unsettled = true;
    report(c, FC_LEVEL_ERROR, live ? subject_of(c, text, word, name) : name,
           live ? "delete the key, or clear the cache, then run: framecache gc" : gc,
           "record %s is charged %llu bytes, its files have %llu", name,
           (unsigned long long)(charged * FC__PAGE), (unsigned long long)(units * FC__PAGE));
}

static void check_settled(check *c, uint32_t number, uint64_t status, const char *name,
                          bool locked) {
    fc_cache *cache = c->cache;
    const fc__record *record = &cache->records[number];
    uint64_t units = fc__files_units(cache, number);
    uint64_t charged = atomic_load(&record->charged);
    uint64_t word = fc__record_word(record, number, status);
    bool live = fc__status_state(status) == FC__LIVE;
    uint32_t slot;
    bool holds = live && fc__index_holds(cache, fc__record_hash(record), word, &slot);
    if (atomic_load(&record->status) != status) /* unlocked: may move */
        return;
    if (live && !holds)
        check_left(c, name, locked, charged, units);
    else if (charged != units)
        report_charge(c, word, live, name, charged, units);
}

static void check_record(check *c, uint32_t number) {
    fc_cache *cache = c->cache;
    char name[16];
    fc__lock lock;
    const fc__record *record = &cache->records[number];
    uint64_t status = atomic_load(&record->status);
    if (fc__status_state(status) == FC__FREE && !atomic_load(&record->charged))
        return;
    bool locked =
        !cache->read_only && fc__lock_try(cache, FC__LOCK_RECORD, number, &lock) == 0;
    if (!locked && !cache->read_only) { /* being worked on */
        c->unsettled = true;
        return;
    }
    status = atomic_load(&record->status);
    fc__manifest_name(name, number);
    switch (fc__status_state(status)) {
    case FC__FREE:
        if (atomic_load(&record->charged) && atomic_load(&record->status) == status) {
            report(c, FC_LEVEL_ERROR, name, gc, "is free, but charged");
            c->unsettled = true;
        }
        break;
    case FC__WRITING:
        if (locked)
            report(c, FC_LEVEL_WARNING, name, gc, "left by a writer that was killed");
        c->unsettled = true;
        break;
    default:
        check_settled(c, number, status, name, locked);
    }
    if (locked)
        fc__lock_release(cache, &lock);
}

/* Charges that were under way when their process was killed; one that is stopped, or goes on,
 * has the lock of its record. */
static void report_intents(check *c) {
    fc_cache *cache = c->cache;
    unsigned long long left = 0;
    fc__lock lock;
    for (uint32_t i = 0; i < cache->capacity && !cache->read_only; i++) {
        if (!atomic_load(&cache->records[i].intent) ||
            fc__lock_try(cache, FC__LOCK_RECORD, i, &lock))
            continue;
        left += atomic_load(&cache->records[i].intent) != 0;
        fc__lock_release(cache, &lock);
    }
    if (left)
        report(c, FC_LEVEL_WARNING, "budget", gc, "%llu charges were under way when their "
               "process was killed", left);
    else
        report(c, FC_LEVEL_INFO, "budget", NULL, "charges are under way, so they were not added "
               "up");
}

/* The sum of charges against `used`: only told when nothing moved meanwhile. */
static void check_budget(check *c) {
    fc_cache *cache = c->cache;
    for (int attempt = 0; attempt < 50; attempt++) {
        uint64_t word = atomic_load(&cache->control->used);
        uint64_t sum = fc__control_units(cache), intents = 0;
        for (uint32_t i = 0; i < cache->capacity; i++) {
            intents += atomic_load(&cache->records[i].intent) != 0;
            sum += atomic_load(&cache->records[i].charged);
        }
        if (atomic_load(&cache->control->used) != word) {
            fc__os_sleep_ns(1000000);
            continue;
        }
        if (intents)
            report_intents(c);
        else if (sum != word >> 24)
            report(c, sum > word >> 24 ? FC_LEVEL_ERROR : FC_LEVEL_WARNING, "budget", gc,
                   "%llu bytes are counted as used, the records charge %llu",
                   (unsigned long long)((word >> 24) * FC__PAGE),
                   (unsigned long long)(sum * FC__PAGE));
        return;
    }
    report(c, FC_LEVEL_INFO, "budget", NULL, "changes too fast to be added up");
}

/* ---- The index and its frames ---- */

/* That something could not be had just now is no damage. */
static void report_data(check *c, int status, const char *key, const fc_error *error) {
    if (status == FC_E_BUSY || status == FC_E_NOMEM)
        report(c, FC_LEVEL_WARNING, key, NULL, "could not be looked at: %s", error->message);
    else
        report(c, FC_LEVEL_ERROR, key, "delete the key and put it again", "%s",
               error->message);
}

/* Header and table of its blocks, and with FC_VERIFY_DATA the blocks. */
static void check_cold(check *c, fc__handle *handle, const char *key) {
    const fc__record *record = &c->cache->records[handle->record];
    fc__unpacking *unpacking = NULL;
    fc__lock lock = {.fd = -1};
    fc_error error = {0};
    if (fc__spilled_units(record) && !c->cache->settings.spill_dir[0])
        return; /* where another process's settings say */
    /* So that a getter waits for this reader, instead of decompressing in vain. */
    if (!c->cache->read_only &&
        fc__lock_try(c->cache, FC__LOCK_PROMOTE, handle->record, &lock) == FC_E_BUSY)
        return; /* somebody reads it just now */
    int status = fc__unpack_begin(&unpacking, handle, &error);
    if (!status && (c->flags & FC_VERIFY_DATA))
        status = fc__unpack_verify(unpacking, &error);
    uint64_t spilled = fc__spilled_units(record), units = fc__cold_units(c->cache, handle->record);
    if (status)
        report_data(c, status, key, &error);
    else if (spilled && spilled != units && fc__slot(c->cache, handle->slot) == handle->word)
        report(c, FC_LEVEL_ERROR, key, "delete the key and put it again",
               "takes %llu bytes of the spill budget, its file has %llu",
               (unsigned long long)(spilled * FC__PAGE),
               (unsigned long long)(units * FC__PAGE));
    fc__unpack_end(unpacking);
    fc__lock_release(c->cache, &lock);
}

/* FC_E_BUSY: another frame's, or damaged; *held: by another process, which may be stopped. */
static int peek(check *c, uint64_t word, uint32_t slot, fc__manifest *m, uint8_t *key,
                bool *held) {
    int status = FC_E_BUSY;
    for (int i = 0; i < 20 && status == FC_E_BUSY && fc__slot(c->cache, slot) == word; i++) {
        if (i)
            fc__os_sleep_ns(1000000);
        errno = 0;
        status = fc__lease_peek(c->cache, word, m, key, NULL, NULL);
        *held = status == FC_E_BUSY && errno == EWOULDBLOCK;
    }
    return status;
}

static void report_unread(check *c, uint64_t word, bool held) {
    char name[16];
    fc__manifest_name(name, fc__word_record(word));
    if (held)
        report(c, FC_LEVEL_WARNING, name, "let that process go on, or end it",
               "is held by another process (is it stopped?), so it was not looked at");
    else
        report(c, FC_LEVEL_ERROR, name, "get the key, which drops it, or clear the cache",
               "is in the index, but its manifest is missing or damaged");
}

static void check_data(check *c, fc__handle *handle, const char *key) {
    fc_error error = {0};
    int status = fc__handle_verify(handle, &error);
    c->unchecked += !fc__handle_has_checksums(handle);
    if (status)
        report_data(c, status, key, &error);
}

/* What the record says it has, by which its files go when the frame does. */
static void check_segments(check *c, const fc__handle *handle, const char *key) {
    uint32_t says = atomic_load(&c->cache->records[handle->record].segments);
    uint32_t has = handle->manifest->flags & (FC__MANIFEST_INLINE | FC__MANIFEST_COLD)
                       ? 0
                       : handle->manifest->segment_count;
    if (says != has && fc__slot(c->cache, handle->slot) == handle->word)
        report(c, FC_LEVEL_ERROR, key, "delete the key, then run: framecache gc",
               "has %u segments, its record (%06x) says %u", has, handle->record, says);
}

static void check_frame(check *c, fc__hash hash, uint64_t word, uint32_t slot) {
    fc_cache *cache = c->cache;
    uint8_t key[FC__KEY_BYTES];
    char text[80], name[16];
    fc__manifest m;
    fc__handle *handle = NULL;
    int64_t since;
    bool held;
    int status = peek(c, word, slot, &m, key, &held);
    if (fc__slot(cache, slot) != word)
        return;
    if (status) {
        report_unread(c, word, held);
        return;
    }
    fc_bytes bytes = {key, m.key_bytes};
    c->frames++;
    if (fc__record_expired(cache, &cache->records[fc__word_record(word)], &since))
        return;
    status = fc__verify_lease(cache, hash, bytes, word, slot, &handle, &held);
    fc__manifest_name(name, fc__word_record(word));
    if (status == FC_E_CORRUPT)
        report(c, FC_LEVEL_ERROR, fc__key_text(text, bytes), "delete the key and put it "
               "again", "its manifest (record %s) does not hold", name);
    if (status || !handle)
        return;
    check_segments(c, handle, fc__key_text(text, bytes));
    if (word & FC__WORD_COLD)
        check_cold(c, handle, fc__key_text(text, bytes));
    else if (c->flags & FC_VERIFY_DATA)
        check_data(c, handle, fc__key_text(text, bytes));
    fc__handle_release(handle);
}

static void check_slot(check *c, uint32_t slot) {
    fc_cache *cache = c->cache;
    char name[40];
    uint64_t word = fc__slot(cache, slot);
    uint32_t number = fc__word_record(word), at;
    if (!word)
        return;
    snprintf(name, sizeof name, "slot %u", slot);
    if (number >= cache->capacity) {
        report(c, FC_LEVEL_ERROR, name, "stop all processes and open the cache again",
               "holds a word of record %u, there are %u", number, cache->capacity);
        return;
    }
    const fc__record *record = &cache->records[number];
    fc__hash hash = fc__record_hash(record);
    uint64_t status = atomic_load(&record->status);
    bool holds = fc__index_holds(cache, hash, word, &at) && at == slot;
    if (fc__slot(cache, slot) != word) /* last: all that was read is of this word */
        return;
    if (status != fc__status(FC__LIVE, fc__word_generation(word)) || !holds)
        report(c, FC_LEVEL_ERROR, name, "stop all processes and open the cache again",
               "does not fit the record it leads to");
    else
        check_frame(c, hash, word, slot);
}

/* What each record has was compared already: this finds what none of them has. */
static void check_disk(check *c, uint64_t before) {
    uint64_t disk = c->disk + fc__control_units(c->cache), used = before >> 24;
    if (c->errors || c->unsettled || atomic_load(&c->cache->control->used) != before)
        return;
    if (disk != used)
        report(c, disk > used ? FC_LEVEL_ERROR : FC_LEVEL_WARNING, "budget", gc,
               "%llu bytes are counted as used, the files have %llu",
               (unsigned long long)(used * FC__PAGE), (unsigned long long)(disk * FC__PAGE));
}

static void tell_unchecked(check *c) {
    if (c->unchecked)
        report(c, FC_LEVEL_INFO, "data", "set FRAMECACHE_CHECKSUM=commit before frames are put",
               "%llu of %llu frames have no checksums: their values were not checked",
               (unsigned long long)c->unchecked, (unsigned long long)c->frames);
}

static int run(check *c, fc_error *error) {
    fc_cache *cache = c->cache;
    uint64_t before = atomic_load(&cache->control->used);
    fc__os_list(cache->frames, visit_file, c);
    fc__cold_list(cache, visit_cold, c);
    for (uint32_t i = 0; i < cache->capacity && !c->stopped; i++)
        check_record(c, i);
    check_budget(c);
    for (uint32_t i = 0; i < cache->capacity * 2 && !c->stopped; i++)
        check_slot(c, i);
    check_disk(c, before);
    tell_unchecked(c);
    if (c->stopped)
        return fc__ended(error, c->stopped, "fc_cache_verify");
    if (c->errors)
        return fc__fail(error, FC_E_CORRUPT, "%llu faults found in %s",
                        (unsigned long long)c->errors, cache->settings.dir);
    return 0;
}

int fc_cache_verify(fc_cache *cache, uint32_t flags, fc_report_fn report_fn, void *context,
                    fc_error *error) {
    check c = {.cache = cache, .report = report_fn, .context = context, .flags = flags};
    if (flags & ~FC_VERIFY_DATA)
        return fc__fail(error, FC_E_INVALID, "fc_cache_verify() flags 0x%x: only "
                        "FC_VERIFY_DATA is known", flags);
    if (atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    int status = fc__control_present(cache, error);
    if (status)
        return status;
    return run(&c, error);
}
