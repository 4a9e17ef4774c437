/* fc_cache_verify: accounting against the disk, orphans, manifests, checksums; beside
 * running readers and writers. A record that somebody works on is passed over; what a
 * killed process left, and the next sweep frees, is told as a warning. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

typedef struct check {
    fc_cache *cache;
    fc_report_fn report;
    void *context;
    uint32_t flags;
    uint64_t errors, frames, charged;
    int stopped;        /* by the callback */
    uint64_t *on_disk;  /* [capacity] units of the files of each record */
    uint8_t *seen;      /* [capacity] 1: has files */
} check;

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
    int64_t segment;
    struct stat info;
    if (fc__os_stat_at(c->cache->frames, name, &info) < 0)
        return 0; /* gone meanwhile */
    if (!fc__parse_name(name, &record, &segment) || record >= c->cache->capacity) {
        report(c, FC_LEVEL_ERROR, name, "remove the file", "is no file of this cache");
        return c->stopped;
    }
    c->on_disk[record] += fc__units((uint64_t)info.st_size);
    c->seen[record] = 1;
    return 0;
}

static void visit_cold(void *context, const char *name, uint32_t record, bool spilled) {
    check *c = context;
    struct stat info;
    char path[32];
    if (record >= c->cache->capacity) {
        report(c, FC_LEVEL_ERROR, name, "run: framecache gc",
               "is no file of this cache, in its %s", spilled ? "spill directory" : "cold");
        return;
    }
    c->seen[record] = 1;
    snprintf(path, sizeof path, "cold/%s", name);
    if (!spilled && fc__os_stat_at(c->cache->dir, path, &info) == 0)
        c->on_disk[record] += fc__units((uint64_t)info.st_size);
}

static uint64_t files_of(fc_cache *cache, uint32_t record, uint32_t segments) {
    uint32_t flags = atomic_load(&cache->records[record].flags);
    char name[24];
    struct stat info;
    uint64_t units = 0;
    if ((flags & FC__RECORD_COLD) && !(flags & FC__RECORD_SPILLED))
        units += fc__cold_units(cache, record);
    fc__manifest_name(name, record);
    if (fc__os_stat_at(cache->frames, name, &info) == 0)
        units += fc__units((uint64_t)info.st_size);
    for (uint32_t i = 0; i < segments; i++) {
        fc__segment_name(name, record, i);
        if (fc__os_stat_at(cache->frames, name, &info) == 0)
            units += fc__units((uint64_t)info.st_size);
    }
    return units;
}

/* ---- Records, each under its lock ---- */

static const char *const gc = "run: framecache gc";

static void check_settled(check *c, uint32_t number, uint64_t status, const char *name) {
    fc_cache *cache = c->cache;
    const fc__record *record = &cache->records[number];
    uint64_t charged = atomic_load(&record->charged);
    uint64_t units = files_of(cache, number, atomic_load(&record->segments));
    fc__hash hash = fc__record_hash(record);
    uint32_t slot;
    if (charged != units && atomic_load(&record->status) == status) /* unlocked: may move */
        report(c, FC_LEVEL_ERROR, name, "delete the key, or clear the cache",
               "is charged %llu bytes, its files have %llu",
               (unsigned long long)(charged * FC__PAGE),
               (unsigned long long)(units * FC__PAGE));
    if (fc__status_state(status) == FC__LIVE &&
        !fc__index_holds(cache, hash,
                         fc__record_word(record, number, status), &slot))
        report(c, FC_LEVEL_INFO, name, gc,
               "holds a replaced frame, still leased or not yet swept (%llu bytes)",
               (unsigned long long)(charged * FC__PAGE));
}

static void check_record(check *c, uint32_t number) {
    fc_cache *cache = c->cache;
    char name[16];
    fc__lock lock;
    const fc__record *record = &cache->records[number];
    uint64_t status = atomic_load(&record->status);
    if (fc__status_state(status) == FC__FREE && !c->seen[number] &&
        !atomic_load(&record->charged))
        return;
    bool locked =
        !cache->read_only && fc__lock_try(cache, FC__LOCK_RECORD, number, &lock) == 0;
    if (!locked && !cache->read_only)
        return; /* being worked on */
    status = atomic_load(&record->status);
    fc__manifest_name(name, number);
    switch (fc__status_state(status)) {
    case FC__FREE:
        if ((files_of(cache, number, 16) || fc__cold_present(cache, number, false) ||
             fc__cold_present(cache, number, true)) &&
            atomic_load(&record->status) == status)
            report(c, FC_LEVEL_ERROR, name, "clear the cache",
                   "an orphan: files of a free record");
        if (atomic_load(&record->charged) && atomic_load(&record->status) == status)
            report(c, FC_LEVEL_ERROR, name, "clear the cache", "is free, but charged");
        break;
    case FC__WRITING:
        if (locked)
            report(c, FC_LEVEL_WARNING, name, gc, "left by a writer that was killed");
        break;
    default:
        check_settled(c, number, status, name);
    }
    if (locked)
        fc__lock_release(cache, &lock);
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
            report(c, FC_LEVEL_WARNING, "budget", gc, "%llu charges are under way, or were "
                   "when their process was killed", (unsigned long long)intents);
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
        report(c, FC_LEVEL_ERROR, key, "delete the key and put it again", "%s", error.message);
    else if (spilled && spilled != units && fc__slot(c->cache, handle->slot) == handle->word)
        report(c, FC_LEVEL_ERROR, key, "delete the key and put it again",
               "takes %llu bytes of the spill budget, its file has %llu",
               (unsigned long long)(spilled * FC__PAGE),
               (unsigned long long)(units * FC__PAGE));
    fc__unpack_end(unpacking);
    fc__lock_release(c->cache, &lock);
}

static void check_frame(check *c, fc__hash hash, uint64_t word, uint32_t slot) {
    fc_cache *cache = c->cache;
    uint8_t key[FC__KEY_BYTES];
    char text[80], name[16];
    fc__manifest m;
    fc_error error = {0};
    fc__handle *handle = NULL;
    int64_t since;
    bool held;
    fc__manifest_name(name, fc__word_record(word));
    int status = FC_E_BUSY;
    for (int i = 0; i < 20 && status == FC_E_BUSY && fc__slot(cache, slot) == word; i++) {
        if (i)
            fc__os_sleep_ns(1000000);
        status = fc__lease_peek(cache, word, &m, key, NULL, NULL);
    }
    if (fc__slot(cache, slot) != word)
        return;
    if (status) {
        report(c, FC_LEVEL_ERROR, name, "delete the key, or clear the cache",
               "is in the index, but its manifest is missing, damaged or held");
        return;
    }
    fc_bytes bytes = {key, m.key_bytes};
    c->frames++;
    if (fc__record_expired(cache, &cache->records[fc__word_record(word)], &since))
        return;
    status = fc__verify_lease(cache, hash, bytes, word, slot, &handle, &held);
    if (status == FC_E_CORRUPT)
        report(c, FC_LEVEL_ERROR, fc__key_text(text, bytes), "delete the key and put it "
               "again", "its manifest (record %s) does not hold", name);
    if (status || !handle)
        return;
    if (word & FC__WORD_COLD)
        check_cold(c, handle, fc__key_text(text, bytes));
    else if ((c->flags & FC_VERIFY_DATA) && (status = fc__handle_verify(handle, &error)))
        report(c, status == FC_E_BUSY ? FC_LEVEL_INFO : FC_LEVEL_ERROR,
               fc__key_text(text, bytes), status == FC_E_BUSY ? NULL : "delete the key and "
               "put it again", "%s", error.message);
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
    uint64_t disk = fc__control_units(cache);
    for (uint32_t i = 0; i < cache->capacity; i++)
        disk += c->on_disk[i];
    if (atomic_load(&cache->control->used) == before && disk != before >> 24)
        report(c, disk > before >> 24 ? FC_LEVEL_ERROR : FC_LEVEL_WARNING, "budget", gc,
               "%llu bytes are counted as used, the files have %llu",
               (unsigned long long)((before >> 24) * FC__PAGE),
               (unsigned long long)(disk * FC__PAGE));
    if (c->stopped)
        return c->stopped;
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
    c.on_disk = fc__calloc(cache->capacity, sizeof *c.on_disk);
    c.seen = fc__calloc(cache->capacity, 1);
    status = c.on_disk && c.seen ? run(&c, error)
                                 : fc__fail(error, FC_E_NOMEM, "no memory to verify");
    fc__free(c.on_disk);
    fc__free(c.seen);
    return status;
}
