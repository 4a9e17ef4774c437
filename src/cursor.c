/* Walks over the frames, and what is done to many of them: a snapshot of the words at
 * open, each looked at again when its turn comes. A frame that was compressed or
 * decompressed meanwhile has another word in the same slot, and its old sequence. */
#include "engine.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    uint32_t slot;
    uint64_t word;
} place;

struct fc_cursor {
    fc_cache *cache;
    uint32_t fork_generation;
    place *places;
    size_t count, next;
    uint64_t sequence; /* of the last put that is in the snapshot */
    uint64_t *leased;  /* inodes, as of the first step that tells of them */
    bool looked;       /* for them */
    size_t leased_count;
    size_t prefix_bytes;
    uint8_t prefix[FC__KEY_BYTES];
    uint8_t key[FC__KEY_BYTES];
    uint8_t tags[FC__TAGS_BYTES];
    fc_bytes tag[FC__MAX_TAGS];
};

static int check_prefix(fc_cache *cache, fc_bytes prefix, fc_error *error) {
    if (atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    if (prefix.size > FC__KEY_BYTES || (prefix.size && !prefix.data))
        return fc__fail(error, FC_E_INVALID,
                        "a prefix has at most %u bytes, this one has "
                        "%zu",
                        FC__KEY_BYTES, prefix.size);
    return 0;
}

int fc_cursor_open(fc_cache *cache, fc_bytes prefix, fc_cursor **out, fc_error *error) {
    uint32_t slots = cache->capacity * 2;
    size_t count = 0;
    *out = NULL;
    int status = check_prefix(cache, prefix, error);
    if (status)
        return status;
    for (uint32_t i = 0; i < slots; i++)
        count += fc__slot(cache, i) != 0;
    count += count / 8 + 16; /* some may come meanwhile */
    fc_cursor *cursor = fc__calloc(1, sizeof *cursor);
    place *places = fc__malloc(count * sizeof *places);
    if (!cursor || !places) {
        fc__free(cursor);
        fc__free(places);
        return fc__fail(error, FC_E_NOMEM, "no memory to list %zu frames", count);
    }
    for (uint32_t i = 0; i < slots && cursor->count < count; i++) {
        uint64_t word = fc__slot(cache, i);
        if (word && fc__word_record(word) < cache->capacity)
            places[cursor->count++] = (place){i, word};
    }
    cursor->sequence = atomic_load(&cache->control->sequence);
    fc__cache_retain(cache);
    cursor->cache = cache;
    cursor->fork_generation = fc__fork_generation();
    cursor->places = places;
    cursor->prefix_bytes = prefix.size;
    if (prefix.size)
        memcpy(cursor->prefix, prefix.data, prefix.size);
    *out = cursor;
    return 0;
}

static bool is_leased(fc_cursor *cursor, fc__hash hash, uint64_t word, uint64_t inode) {
    bool used;
    size_t own = fc__caches_have(hash, word, &used);
    size_t leases = fc__os_count_among(cursor->leased, cursor->leased_count, inode);
    return used || leases > own;
}

/* The slot's word as it is now; false: none. */
static bool look(const fc_cache *cache, place *at) {
    at->word = fc__slot(cache, at->slot);
    return at->word && fc__word_record(at->word) < cache->capacity;
}

/* Reads what stands at the place now, which may be the snapshot's frame in another
 * record. */
static int peek(fc_cursor *cursor, place *at, fc__manifest *m, bool *leased) {
    fc_cache *cache = cursor->cache;
    uint64_t snapshot = at->word, inode = 0;
    fc__hash hash = {0};
    int64_t since;
    int status = FC_E_BUSY;
    for (int i = 0; i < 100 && status == FC_E_BUSY; i++) {
        if (i)
            fc__os_sleep_ns(100000);
        if (!look(cache, at))
            return FC_E_MISS;
        const fc__record *record = &cache->records[fc__word_record(at->word)];
        hash = fc__record_hash(record);
        bool gone = fc__record_gone(cache, record, &since);
        if (fc__slot(cache, at->slot) != at->word)
            continue;
        if (gone)
            return FC_E_MISS;
        status = fc__lease_peek(cache, at->word, m, cursor->key, cursor->tags, &inode);
    }
    if (status == FC_E_BUSY ||
        (!status && at->word != snapshot && m->sequence > cursor->sequence))
        return FC_E_MISS;
    if (leased)
        *leased = is_leased(cursor, hash, at->word, inode);
    return status;
}

static int next_match(fc_cursor *cursor, place *at, fc__manifest *m, bool *leased) {
    while (cursor->next < cursor->count) {
        *at = cursor->places[cursor->next++];
        int status = peek(cursor, at, m, leased);
        if (status == FC_E_MISS ||
            (!status && (m->key_bytes < cursor->prefix_bytes ||
                         memcmp(cursor->key, cursor->prefix, cursor->prefix_bytes))))
            continue;
        return status;
    }
    return FC_DONE;
}

static int fail_peek(fc_cursor *cursor, int status, fc_error *error) {
    return fc__fail_errno(error, status, errno, "cannot read a manifest in %s/frames",
                          cursor->cache->settings.dir);
}

int fc_cursor_next(fc_cursor *cursor, fc_info *info, fc_error *error) {
    fc__manifest m;
    bool leased = false;
    place at;
    if (!info || info->size < offsetof(fc_info, sequence))
        return fc__fail(error, FC_E_INVALID, "fc_info.size: set it to sizeof the struct");
    if (cursor->fork_generation != fc__fork_generation())
        return fc__fail(error, FC_E_INVALID,
                        "a cursor belongs to the process that opened "
                        "it");
    if (atomic_load(&cursor->cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    bool asked = info->size > offsetof(fc_info, leased);
    if (asked && !cursor->looked) {
        cursor->leased =
            fc__os_leased_inodes(cursor->cache->frames, &cursor->leased_count);
        cursor->looked = true;
    }
    int status = next_match(cursor, &at, &m, asked ? &leased : NULL);
    if (status < 0)
        return fail_peek(cursor, status, error);
    if (!status) {
        bool tagged =
            fc__tags_read(cursor->tags, sizeof cursor->tags, m.tag_count, cursor->tag);
        fc__fill_info(cursor->cache, &m, (fc_bytes){cursor->key, m.key_bytes}, NULL,
                      tagged ? cursor->tag : NULL, leased, info);
    }
    return status;
}

void fc_cursor_close(fc_cursor *cursor) {
    if (!cursor)
        return;
    fc__cache_unref(cursor->cache);
    fc__free(cursor->leased);
    fc__free(cursor->places);
    fc__free(cursor);
}

static int check_writable(fc_cache *cache, fc_error *error) {
    int status = fc__check_writable(cache, error);
    return status ? status : fc__control_present(cache, error);
}

/* False: the word has left its slot, and perhaps the frame stands there by another. */
static bool delete_at(fc_cache *cache, place at, fc_miss reason) {
    fc__hash hash = fc__record_hash(&cache->records[fc__word_record(at.word)]);
    bool gone = fc__slot(cache, at.slot) == at.word &&
                fc__remove_word(cache, hash, at.slot, at.word, reason, fc__now_ns(cache));
    fc__count(cache, FC__COUNT_deleted, gone);
    return gone;
}

int fc_delete_prefix(fc_cache *cache, fc_bytes prefix, uint64_t *count, fc_error *error) {
    fc_cursor *cursor;
    fc__manifest m;
    uint64_t gone = 0;
    place at;
    if (count)
        *count = 0;
    int status = check_prefix(cache, prefix, error);
    if (!status)
        status = check_writable(cache, error);
    if (!status)
        status = fc_cursor_open(cache, prefix, &cursor, error);
    if (status)
        return status;
    while ((status = next_match(cursor, &at, &m, NULL)) == 0)
        if (delete_at(cache, at, FC_MISS_DELETED))
            gone++;
        else
            cursor->next--; /* look again */
    if (status < 0)
        fail_peek(cursor, status, error);
    fc_cursor_close(cursor);
    if (count)
        *count = gone;
    return status < 0 ? status : 0;
}

static bool has_tag(const fc_cursor *cursor, const fc__manifest *m, fc_bytes tag) {
    fc_bytes tags[FC__MAX_TAGS];
    if (!fc__tags_read(cursor->tags, sizeof cursor->tags, m->tag_count, tags))
        return false;
    for (uint32_t i = 0; i < m->tag_count; i++)
        if (tags[i].size == tag.size && !memcmp(tags[i].data, tag.data, tag.size))
            return true;
    return false;
}

/* By the filter of the record, which is that of the slot's frame. */
static bool may_have(const fc_cache *cache, place at, uint64_t bit) {
    uint64_t tags;
    do {
        if (!look(cache, &at))
            return false;
        tags = atomic_load(&cache->records[fc__word_record(at.word)].tags);
    } while (fc__slot(cache, at.slot) != at.word);
    return tags & bit;
}

/* Only manifests that may have the tag are read. */
static int delete_tagged(fc_cursor *cursor, fc_bytes tag, uint64_t *gone) {
    uint64_t bit = fc__tags_filter(&tag, 1);
    while (cursor->next < cursor->count) {
        place at = cursor->places[cursor->next++];
        fc__manifest m;
        if (!may_have(cursor->cache, at, bit))
            continue;
        int status = peek(cursor, &at, &m, NULL);
        if (status && status != FC_E_MISS)
            return status;
        if (status || !has_tag(cursor, &m, tag))
            continue;
        if (delete_at(cursor->cache, at, FC_MISS_INVALIDATED))
            (*gone)++;
        else
            cursor->next--; /* look again */
    }
    return 0;
}

int fc_delete_tag(fc_cache *cache, fc_bytes tag, uint64_t *count, fc_error *error) {
    fc_cursor *cursor;
    uint64_t gone = 0;
    if (count)
        *count = 0;
    int status = fc__tags_check(&tag, 1, error);
    if (!status)
        status = check_prefix(cache, (fc_bytes){0}, error);
    if (!status)
        status = check_writable(cache, error);
    if (!status)
        status = fc_cursor_open(cache, (fc_bytes){0}, &cursor, error);
    if (status)
        return status;
    status = delete_tagged(cursor, tag, &gone);
    if (status)
        fail_peek(cursor, status, error);
    fc_cursor_close(cursor);
    if (count)
        *count = gone;
    return status;
}

int fc_cache_clear(fc_cache *cache, uint64_t *count, fc_error *error) {
    uint64_t gone = 0;
    if (count)
        *count = 0;
    if (atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    int status = check_writable(cache, error);
    if (status)
        return status;
    for (place at = {0}; at.slot < cache->capacity * 2; at.slot++) {
        bool done = false;
        while (!done && look(cache, &at))
            done = delete_at(cache, at, FC_MISS_DELETED);
        gone += done;
    }
    fc__pool_trim(cache, 0, true);
    if (count)
        *count = gone;
    return 0;
}
