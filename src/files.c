/* The files of a record in frames/: going through them, removing them, and those that are
 * nobody's. A record says how many segments it may have; one that is damaged may say anything,
 * so that a number which is not small is not counted up to: the directory is read instead. */
#include "engine.h"

#define MANY 1024u

typedef struct walk {
    fc_cache *cache;
    uint32_t record, first, end; /* segments */
    void (*visit)(void *context, const char *name);
    void *context;
} walk;

static int visit_own(void *context, const char *name) {
    const walk *w = context;
    uint32_t record;
    int64_t segment;
    if (fc__parse_name(name, &record, &segment) && record == w->record &&
        segment >= (int64_t)w->first && segment < (int64_t)w->end)
        w->visit(w->context, name);
    return 0;
}

void fc__segments_each(fc_cache *cache, uint32_t record, uint32_t first, uint32_t end,
                       void (*visit)(void *context, const char *name), void *context) {
    walk w = {cache, record, first, end, visit, context};
    char name[24];
    if (end > first && end - first > MANY) {
        fc__os_list(cache->frames, visit_own, &w);
        return;
    }
    for (uint32_t i = first; i < end; i++) {
        fc__segment_name(name, record, i);
        visit(context, name);
    }
}

static void unlink_one(void *context, const char *name) {
    fc_cache *cache = context;
    fc__os_unlink(cache->frames, name);
    FC__STEP("unlink-segment");
}

void fc__unlink_segments(fc_cache *cache, uint32_t record, uint32_t first, uint32_t end) {
    fc__segments_each(cache, record, first, end, unlink_one, cache);
}

void fc__unlink_files(fc_cache *cache, uint32_t record, uint32_t segments) {
    char name[24];
    fc__manifest_name(name, record);
    fc__os_unlink(cache->frames, name);
    FC__STEP("unlink-manifest");
    if (atomic_load(&cache->records[record].flags) & FC__RECORD_COLD)
        fc__cold_drop(cache, record);
    fc__unlink_segments(cache, record, 0, segments);
}

/* ---- How much they are ---- */

typedef struct sum {
    fc_cache *cache;
    uint64_t units;
} sum;

static void add_one(void *context, const char *name) {
    sum *s = context;
    struct stat info;
    if (fc__os_stat_at(s->cache->frames, name, &info) == 0)
        s->units += fc__units((uint64_t)info.st_size);
}

uint64_t fc__files_units(fc_cache *cache, uint32_t record) {
    uint32_t flags = atomic_load(&cache->records[record].flags);
    sum s = {.cache = cache};
    char name[24];
    if ((flags & FC__RECORD_COLD) && !(flags & FC__RECORD_SPILLED))
        s.units += fc__cold_units(cache, record);
    fc__manifest_name(name, record);
    add_one(&s, name);
    fc__segments_each(cache, record, 0, fc__record_segments(&cache->records[record]), add_one,
                      &s);
    return s.units;
}

/* ---- Files that are no record's ---- */

/* By the record as it is now: who makes a file has its lock, and has said so before. */
static bool has_file(const fc_cache *cache, uint32_t record, int64_t segment) {
    const fc__record *r = &cache->records[record];
    return fc__status_state(atomic_load(&r->status)) != FC__FREE &&
           segment < (int64_t)fc__record_segments(r);
}

/* A file of the owner of the directory: who else could not have put it. */
static bool is_ours(const fc_cache *cache, const struct stat *file) {
    return S_ISREG(file->st_mode) && file->st_uid == cache->owner;
}

void fc__remove_own(const fc_cache *cache, int dir, const char *name) {
    uint32_t record;
    int64_t segment;
    struct stat info;
    if ((fc__parse_name(name, &record, &segment) || fc__os_is_selftest(name)) &&
        fc__os_stat_at(dir, name, &info) == 0 && is_ours(cache, &info))
        fc__os_unlink(dir, name);
}

/* Under the record's lock, as far as it can be had. */
static fc__file judge_orphan(fc_cache *cache, const char *name, uint32_t record,
                             int64_t segment, bool remove) {
    struct stat info;
    if ((record < cache->capacity && has_file(cache, record, segment)) ||
        fc__os_stat_at(cache->frames, name, &info) < 0)
        return FC__FILE_OWNED; /* or gone */
    if (!is_ours(cache, &info))
        return FC__FILE_FOREIGN;
    if (remove)
        fc__os_unlink(cache->frames, name);
    return FC__FILE_ORPHAN;
}

fc__file fc__file_judge(fc_cache *cache, const char *name, uint32_t *record, bool remove) {
    fc__lock lock = {.fd = -1};
    int64_t segment;
    if (!fc__parse_name(name, record, &segment))
        return FC__FILE_FOREIGN;
    bool known = *record < cache->capacity;
    if (known && has_file(cache, *record, segment))
        return FC__FILE_OWNED;
    if (known && !cache->read_only && fc__lock_try(cache, FC__LOCK_RECORD, *record, &lock))
        return FC__FILE_OWNED; /* being worked on */
    fc__file found = judge_orphan(cache, name, *record, segment, remove);
    fc__lock_release(cache, &lock);
    return found;
}

static int sweep_one(void *context, const char *name) {
    fc_cache *cache = context;
    uint32_t record;
    if (fc__file_judge(cache, name, &record, true) == FC__FILE_ORPHAN)
        fc__count(cache, FC__COUNT_repaired, 1);
    return 0;
}

void fc__files_sweep(fc_cache *cache) {
    fc__os_list(cache->frames, sweep_one, cache);
}
