/* The cold tier: a frame that would be dropped is compressed instead, and decompressed by
 * the next get.
 *
 * Both ways the frame gets a second record, complete and LIVE but in no slot, and then takes
 * its own place by one CAS of the exact word, under the key lock, the first record's lock and
 * an exclusive lease on its manifest (fc__reclaim_moved). So whoever is killed leaves one of
 * the two shapes that the sweep knows, and a reader either has the first record's lease, so
 * that nothing moves, or finds the second word. The cold bit of a word says that a get must
 * come here; what is mapped is always hot. */
#include "engine.h"
#include <fcntl.h>

#include <errno.h>
#include <string.h>

#define MIN_UNITS 16u /* 64 KiB */
/* Compressing and decompressing takes this long at worst: not for what is computed as fast. */
#define CODEC_BYTES_S 250e6
/* How long a getter waits for another one that decompresses: on top of RECLAIM_WAIT. */
#define PROMOTE_BYTES_MS 100000u

static void begin_move(fc__writer *writer, fc__handle *handle, uint64_t word) {
    const fc__manifest *m = handle->manifest;
    writer->source = handle;
    writer->source_word = word;
    writer->sequence = m->sequence;
    writer->created_ns = m->created_ns;
    writer->options.cost_s = 0; /* its own goes along */
    writer->options.tags = fc__handle_tags(handle);
    writer->options.tag_count = writer->options.tags ? m->tag_count : 0;
    writer->tag_bytes = fc__tags_bytes(writer->options.tags, writer->options.tag_count);
}

static bool has_tags(const fc__handle *handle, const fc__writer *writer) {
    return writer->options.tag_count == handle->manifest->tag_count;
}

/* ---- Demotion ---- */

static bool worth_a_look(fc_cache *cache, const fc__record *record) {
    uint64_t bytes = atomic_load(&record->charged) * FC__PAGE;
    double cost = fc__record_cost(record);
    return cache->settings.cold && !cache->read_only &&
           !(atomic_load(&record->flags) &
             (FC__RECORD_COLD | FC__RECORD_DAMAGED | FC__RECORD_DENSE)) &&
           bytes >= MIN_UNITS * FC__PAGE && atomic_load(&record->segments) &&
           cost >= (double)bytes / CODEC_BYTES_S &&
           (!cache->settings.spill_dir[0] || fc__spill_ready(cache));
}

/* Takes the sample, whose verdict stays with the record. Under the lease: it is no other
 * frame's meanwhile. */
static int begin_packing(fc__packing **out, fc__handle *handle, bool *worth,
                         fc_error *error) {
    fc__record *record = &handle->cache->records[handle->record];
    int status = fc__pack_begin(out, handle, worth, error);
    if (!status)
        atomic_fetch_or(&record->flags, *worth ? FC__RECORD_SHRINKS : FC__RECORD_DENSE);
    FC__STEP("cold-sampled");
    return status;
}

/* The frame stays leased by `handle`, which the writer lets go at the very end. */
static int compress(fc_cache *cache, fc__handle *handle, uint64_t word, fc_error *error) {
    fc__writer writer;
    fc__content content;
    fc__packing *packing;
    bool worth = false;
    fc_bytes key = {handle->key, handle->key_bytes};
    int status = fc__writer_begin(&writer, cache, key, NULL, error);
    if (!status)
        status = begin_packing(&packing, handle, &worth, error);
    if (status) {
        fc__handle_release(handle);
        return status;
    }
    begin_move(&writer, handle, word);
    writer.cold = true;
    fc__pack_content(packing, &content);
    status = worth && has_tags(handle, &writer)
                 ? fc__writer_put(&writer, &content, NULL, error)
                 : fc__fail(error, FC_E_BUSY, "not worth compressing");
    if (writer.source)
        fc__handle_release(writer.source);
    fc__pack_end(packing);
    return status;
}

/* Before the work of compressing. Under the record lock, where an exclusive lease meets no
 * put whose own is let go and taken again as it becomes shared. */
static bool is_leased(fc_cache *cache, uint32_t number) {
    char name[16];
    fc__lock lock;
    if (fc__lock_try(cache, FC__LOCK_RECORD, number, &lock))
        return true;
    fc__manifest_name(name, number);
    int fd = fc__fd_file(cache, cache->frames, name, O_RDWR, 0);
    bool leased = fd < 0 || fc__os_lease(fd, FC__EXCLUSIVE) < 0;
    if (!leased)
        fc__os_lease(fd, FC__UNLOCK);
    fc__fd_close(fd);
    fc__lock_release(cache, &lock);
    return leased;
}

/* Leases a frame that nobody else does, by a handle that is in no table. */
static fc__reclaimed inspect(fc_cache *cache, uint32_t number, uint64_t word,
                             fc__handle **out) {
    fc__hash hash = fc__record_hash(&cache->records[number]);
    uint8_t key[FC__KEY_BYTES];
    fc__manifest m;
    uint32_t slot;
    bool held;
    if (!fc__index_holds(cache, hash, word, &slot))
        return FC__GONE;
    if (is_leased(cache, number))
        return FC__LEASED;
    if (fc__lease_peek(cache, word, &m, key, NULL, NULL) ||
        (m.flags & FC__MANIFEST_INLINE) ||
        fc__verify_lease(cache, hash, (fc_bytes){key, m.key_bytes}, word, slot, out,
                         &held))
        return FC__BUSY;
    return FC__DONE;
}

fc__reclaimed fc__demote(fc_cache *cache, uint32_t number, uint64_t status) {
    const fc__record *record = &cache->records[number];
    uint64_t word = fc__record_word(record, number, status);
    fc__handle *handle;
    fc_error error;
    if (!worth_a_look(cache, record))
        return FC__BUSY;
    fc__reclaimed found = inspect(cache, number, word, &handle);
    if (found != FC__DONE)
        return found;
    int result = compress(cache, handle, word, &error);
    if (result && fc__helper_stopping(cache))
        return FC__LEASED; /* not now */
    if (result) {
        fc__log(cache, FC_LEVEL_DEBUG, "record %06x is dropped, not compressed: %s", number,
                error.message);
        return FC__BUSY;
    }
    fc__count(cache, FC__COUNT_demoted, 1);
    return FC__DONE;
}

fc__reclaimed fc__not_worth(fc_cache *cache, uint32_t number, uint64_t status) {
    const fc__record *record = &cache->records[number];
    fc__packing *packing;
    fc__handle *handle;
    bool worth = true;
    fc_error error;
    if (!worth_a_look(cache, record))
        return FC__DONE;
    if (atomic_load(&record->flags) & FC__RECORD_SHRINKS)
        return FC__BUSY;
    fc__reclaimed found =
        inspect(cache, number, fc__record_word(record, number, status), &handle);
    if (found != FC__DONE)
        return found;
    if (!begin_packing(&packing, handle, &worth, &error))
        fc__pack_end(packing);
    fc__handle_release(handle);
    return worth ? FC__BUSY : FC__DONE;
}

/* ---- Promotion ---- */

static int decompress(fc_cache *cache, fc__handle *handle, uint64_t word, fc_error *error) {
    fc__writer writer;
    fc__content content;
    fc__unpacking *unpacking = NULL;
    fc_bytes key = {handle->key, handle->key_bytes};
    int status = fc__writer_begin(&writer, cache, key, NULL, error);
    if (!status)
        status = fc__unpack_begin(&unpacking, handle, error);
    int sys_errno = errno;
    if (status) {
        fc__handle_release(handle);
        errno = sys_errno;
        return status;
    }
    begin_move(&writer, handle, word);
    fc__unpack_content(unpacking, &content);
    status = has_tags(handle, &writer)
                 ? fc__writer_put(&writer, &content, NULL, error)
                 : fc__fail(error, FC_E_NOMEM, "no memory for the tags of a frame");
    sys_errno = errno;
    if (writer.source)
        fc__handle_release(writer.source);
    fc__unpack_end(unpacking);
    errno = sys_errno;
    return status;
}

/* Compressed blocks that do not hold, or cannot be had: the frame goes. In the spill
 * directory of another process's settings it stays: a miss for this one. */
static int lost(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot, fc_bytes key,
                bool damaged, int sys_errno, fc_error *error) {
    const fc__record *record = &cache->records[fc__word_record(word)];
    char text[80];
    if (damaged || !(atomic_load(&record->flags) & FC__RECORD_SPILLED)) {
        fc__drop_damaged(cache, hash, slot, word);
        fc__log(cache, FC_LEVEL_ERROR, "the compressed frame '%s' is damaged and was dropped",
                fc__key_text(text, key));
        return damaged ? fc__fail_prefix(error, FC_E_CORRUPT, "the compressed frame under "
                                         "key '%s' has been dropped: put it again; ", text)
                       : fc__fail_errno(error, FC_E_CORRUPT, sys_errno,
                                        "the file of the compressed frame under key '%s' "
                                        "(cold/%06x in %s) cannot be read; the frame has been "
                                        "dropped: put it again",
                                        text, fc__word_record(word), cache->settings.dir);
    }
    if (cache->settings.spill_dir[0]) {
        fc__spill_failed(cache, sys_errno, "reading");
        fc__remove_word(cache, hash, slot, word, FC_MISS_EVICTED, fc__now_ns(cache));
    }
    return fc__miss(cache, hash, key, error);
}

/* With the right to decompress this record. */
static int promote(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot,
                   fc_bytes key, bool *busy, bool *told, fc_error *error) {
    fc__handle *handle;
    char text[80];
    if (fc__slot(cache, slot) != word)
        return 0; /* somebody has done it */
    int status = fc__verify_lease(cache, hash, key, word, slot, &handle, busy);
    if (status)
        return status;
    FC__STEP("promote-leased");
    fc_error own;
    status = decompress(cache, handle, word, &own);
    if (!status) {
        fc__count(cache, FC__COUNT_promoted, 1);
        return 0;
    }
    int sys_errno = errno;
    *busy = status == FC_E_BUSY || fc__slot(cache, slot) != word;
    if (*busy)
        return FC_E_BUSY; /* replaced, deleted or dropped meanwhile: look again */
    *told = true;
    if (error)
        *error = own;
    if (status == FC_E_CORRUPT || status == FC_E_UNSUPPORTED)
        return lost(cache, hash, word, slot, key, status == FC_E_CORRUPT, sys_errno, error);
    return fc__fail_prefix(error, status, "decompressing key '%s': ",
                           fc__key_text(text, key));
}

/* Another one is at it: until it is done, or has taken too long (stopped, perhaps). */
static int wait_for_other(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot,
                          fc_bytes key, int64_t end_ns, bool *told, fc_error *error) {
    char text[80];
    uint32_t seen = fc__wait_prepare(cache, hash);
    if (fc__slot(cache, slot) != word)
        return 0;
    if (fc__os_monotonic_ns() >= end_ns) {
        *told = true;
        return fc__fail(error, FC_E_BUSY, "another process is decompressing key '%s' and has "
                        "not finished (is it stopped?)", fc__key_text(text, key));
    }
    fc__wait_sleep(cache, hash, seen, 5000000);
    return FC_E_BUSY;
}

int fc__promote(fc_cache *cache, fc__hash hash, uint64_t word, uint32_t slot, fc_bytes key,
                bool *busy, bool *told, fc_error *error) {
    const fc__record *record = &cache->records[fc__word_record(word)];
    uint64_t bytes = (atomic_load(&record->linked) >> 32) * FC__PAGE;
    int64_t end = fc__os_monotonic_ns() +
                  (cache->settings.reclaim_wait_ms + (int64_t)(bytes / PROMOTE_BYTES_MS)) *
                      1000000;
    char text[80];
    fc__lock lock;
    *busy = *told = false;
    if (cache->read_only) {
        *told = true;
        return fc__fail(error, FC_E_BUSY, "the frame under key '%s' is compressed, and this "
                        "process is attached read-only: let one that may write get it first",
                        fc__key_text(text, key));
    }
    for (;;) {
        int status = fc__lock_try(cache, FC__LOCK_PROMOTE, fc__word_record(word), &lock);
        if (!status) {
            status = promote(cache, hash, word, slot, key, busy, told, error);
            int sys_errno = errno;
            fc__lock_release(cache, &lock);
            errno = sys_errno;
            return status;
        }
        if (status == FC_E_BUSY)
            status = wait_for_other(cache, hash, word, slot, key, end, told, error);
        if (status != FC_E_BUSY || *told)
            return status;
    }
}
