/* Writing a frame: a record, its charge, its files, then one CAS that publishes it.
 *
 * FREE or POOL -> WRITING -> LIVE under the record lock; the manifest is held exclusively
 * until it is complete. LIVE is set before the slot's CAS, so a kill leaves a WRITING record
 * or a LIVE one that no slot holds: the sweep knows both. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#define MAX_CHARGE_TRIES 64

static int check_options(fc_put_options *out, const fc_put_options *options,
                         fc_error *error) {
    memset(out, 0, sizeof *out);
    if (!options)
        return 0;
    memcpy(out, options, options->size < sizeof *out ? options->size : sizeof *out);
    if (options->size < offsetof(fc_put_options, ttl_ms))
        return fc__fail(error, FC_E_INVALID, "fc_put_options.size is %zu: set it to sizeof "
                        "the struct", options->size);
    if (out->flags & ~(FC_PUT_SLIDING | FC_PUT_MARKED | FC_PUT_MISSING))
        return fc__fail(error, FC_E_INVALID, "fc_put_options.flags 0x%x: only FC_PUT_SLIDING, "
                        "FC_PUT_MARKED and FC_PUT_MISSING are known", out->flags);
    if (out->stale_ms < 0 && out->stale_ms != FC_NEVER)
        return fc__fail(error, FC_E_INVALID, "stale time of %lld ms: give 0 or more, or "
                        "FC_NEVER", (long long)out->stale_ms);
    if (out->ttl_ms < 0 && out->ttl_ms != FC_NEVER)
        return fc__fail(error, FC_E_INVALID, "ttl of %lld ms: give more than 0, 0 for the "
                        "cache's own, or FC_NEVER", (long long)out->ttl_ms);
    if (isnan(out->cost_s) || out->cost_s < 0 || isinf(out->cost_s))
        return fc__fail(error, FC_E_INVALID, "cost of %g s: give 0 or more", out->cost_s);
    return fc__tags_check(out->tags, out->tag_count, error);
}

int fc__writer_begin(fc__writer *writer, fc_cache *cache, fc_bytes key,
                     const fc_put_options *options, fc_error *error) {
    memset(writer, 0, offsetof(fc__writer, key));
    writer->cache = cache;
    writer->lock.fd = -1;
    writer->manifest = -1;
    writer->fork_generation = fc__fork_generation();
    writer->started_ns = fc__os_monotonic_ns();
    int status = fc__check_key(cache, key, error);
    if (!status)
        status = fc__check_writable(cache, error);
    if (status)
        return status;
    writer->key_bytes = (uint32_t)key.size;
    memcpy(writer->key, key.data, key.size);
    writer->hash = fc__hash_key(cache, key);
    status = check_options(&writer->options, options, error);
    writer->tag_bytes = fc__tags_bytes(writer->options.tags, writer->options.tag_count);
    if (!status && writer->options.cost_s == 0)
        writer->options.cost_s = fc__flight_elapsed(cache, writer->hash);
    return status;
}

static fc__record *record_of(const fc__writer *writer) {
    return &writer->cache->records[writer->record];
}

int fc__fail_write(fc_cache *cache, int sys_errno, const char *what, fc_error *error) {
    if (sys_errno == ENOSPC || sys_errno == EDQUOT || sys_errno == EFBIG) {
        fc__count(cache, FC__COUNT_refused_nospace, 1);
        return fc__fail_errno(error, FC_E_NOSPACE, sys_errno,
                              "the file system of %s is full (%s): free space there, or set "
                              "FRAMECACHE_BUDGET below what it can hold",
                              cache->settings.dir, what);
    }
    if (sys_errno == EMFILE || sys_errno == ENFILE || sys_errno == ENOMEM)
        return fc__fail_errno(error, FC_E_NOMEM, sys_errno, "no descriptor, mapping or "
                              "memory left (%s): see ulimit -n", what);
    if (sys_errno == ENOENT && fc__control_present(cache, error))
        return FC_E_CLOSED;
    if (sys_errno == FC__FOREIGN || sys_errno == EEXIST)
        return fc__fail_errno(error, FC_E_SYSTEM, sys_errno, "something that is no file of a "
                              "cache is in the place of %s in %s: remove it (framecache "
                              "verify names it)", what, cache->settings.dir);
    return fc__fail_errno(error, FC_E_SYSTEM, sys_errno, "cannot write in %s (%s)",
                          cache->settings.dir, what);
}

/* ---- Layout of the manifest file ---- */

typedef struct shape {
    uint64_t segments_offset, body_offset, data_offset, data_bytes;
    uint64_t file_bytes, units, stored_bytes;
} shape;

static shape shape_of(const fc__writer *writer, const fc__content *content) {
    shape s;
    s.segments_offset =
        fc__round_up(sizeof(fc__manifest) + writer->key_bytes + writer->tag_bytes, 8);
    s.body_offset = s.segments_offset + 8ull * content->segment_count;
    s.data_offset = fc__round_up(s.body_offset + content->body_bytes, 64);
    s.data_bytes = content->inlined && content->segment_count ? content->segment_bytes[0] : 0;
    s.file_bytes = s.data_offset + s.data_bytes;
    s.units = fc__units(s.file_bytes);
    s.stored_bytes = 0;
    for (uint32_t i = 0; i < content->segment_count; i++) {
        s.stored_bytes += content->segment_bytes[i];
        s.units += content->inlined || content->store ? 0
                                                      : fc__units(content->segment_bytes[i]);
    }
    return s;
}

static void fill_manifest(const fc__writer *writer, const fc__content *content,
                          const shape *s, char *buffer) {
    fc__manifest *m = (fc__manifest *)buffer;
    memset(buffer, 0, s->segments_offset);
    m->magic = FC__MANIFEST_MAGIC;
    m->version = FC__MANIFEST_VERSION;
    m->header_bytes = sizeof *m;
    m->committed = 1;
    m->instance = writer->cache->control->instance;
    m->generation = writer->generation;
    m->record = writer->record;
    m->created_ns = writer->source ? writer->created_ns : fc__now_ns(writer->cache);
    m->flags = (content->inlined ? FC__MANIFEST_INLINE : 0) |
               (writer->cold ? FC__MANIFEST_COLD : 0) |
               (content->marked || writer->options.flags & FC_PUT_MARKED ? FC__MANIFEST_MARKED
                                                                         : 0);
    m->key_bytes = writer->key_bytes;
    m->segment_count = content->segment_count;
    m->segments_offset = s->segments_offset;
    m->body_offset = s->body_offset;
    m->body_bytes = content->body_bytes;
    m->data_offset = s->data_offset;
    m->data_bytes = s->data_bytes;
    m->rows = content->rows;
    m->columns = content->columns;
    m->stored_bytes = s->stored_bytes;
    m->tag_count = (uint32_t)writer->options.tag_count;
    memcpy(m + 1, writer->key, writer->key_bytes);
    fc__tags_write((uint8_t *)(m + 1) + writer->key_bytes, writer->options.tags,
                   writer->options.tag_count);
    memcpy(buffer + s->segments_offset, content->segment_bytes,
           8ull * content->segment_count);
    content->encode(content->context, buffer + s->body_offset);
    memset(buffer + s->body_offset + content->body_bytes, 0,
           s->data_offset - s->body_offset - content->body_bytes);
}

/* After the data and the rest of the manifest. */
static void hash_content(const fc__writer *writer, const fc__content *content,
                         const shape *s, char *buffer) {
    fc__manifest *m = (fc__manifest *)buffer;
    bool known = content->hashed;
    if (known && content->hash)
        memcpy(m->content_hash, content->hash, sizeof m->content_hash);
    else if (known)
        known = fc__hash_written(writer, content, buffer + s->body_offset,
                                 buffer + s->data_offset, m->content_hash);
    if (known)
        m->flags |= FC__MANIFEST_HASHED;
}

/* ---- Taking a record and its charge ---- */

static int fail_capacity(fc_cache *cache, fc_error *error) {
    return fc__fail(error, FC_E_BUDGET,
                    "all %u records are in use by readers or writers: raise "
                    "FRAMECACHE_CAPACITY (the cache must be made anew) or release frames",
                    cache->capacity);
}

static int allocate_record(fc__writer *writer, fc_error *error) {
    fc_cache *cache = writer->cache;
    int status = FC_E_BUSY;
    for (int attempt = 0; attempt < 8; attempt++) {
        status = fc__record_allocate(cache, &writer->record, &writer->generation,
                                     &writer->lock);
        if (status != FC_E_BUSY)
            break;
        if (attempt == 0)
            fc__pool_empty(cache);
        else if (attempt == 1)
            fc__sweep_if_due(cache);
        else if (!fc__evict_records(cache))
            break;
    }
    if (status == FC_E_BUSY) { /* nobody can go: whatever is free or left over, anywhere */
        fc__pool_trim(cache, 0, true);
        fc__sweep(cache);
        status = fc__record_search(cache, &writer->record, &writer->generation,
                                   &writer->lock);
    }
    if (status == FC_E_BUSY)
        return fail_capacity(cache, error);
    return status ? fc__fail_write(cache, errno, "a lock", error) : 0;
}

/* Of the pool; or of a victim that a large put is the reason for. */
static bool take_recycled(fc__writer *writer, const fc__content *content, uint64_t units) {
    fc_cache *cache = writer->cache;
    if (writer->cold)
        return false;
    if (fc__pool_take(cache, units, content->inlined, &writer->record, &writer->generation,
                      &writer->lock) == 0)
        return true;
    return units >= FC__LARGE_UNITS && fc__evict_to_reuse(cache, content, units) &&
           fc__pool_take(cache, units, false, &writer->record, &writer->generation,
                         &writer->lock) == 0;
}

static int take_record(fc__writer *writer, const fc__content *content, uint64_t units,
                       fc_error *error) {
    int status = 0;
    writer->recycled = take_recycled(writer, content, units);
    if (writer->cold)
        status = fc__record_allocate(writer->cache, &writer->record, &writer->generation,
                                     &writer->lock);
    else if (!writer->recycled)
        status = allocate_record(writer, error);
    if (status)
        return status;
    fc__record *record = record_of(writer);
    writer->old_segments = writer->recycled ? fc__record_segments(record) : 0;
    FC__STEP("put-writing");
    return 0;
}

/* A frame that cannot stand beside its old version whatever else goes: that goes first, and
 * is lost if the put fails after this. Any other stays until it is replaced, or has to go as
 * the least valuable. */
static void evict_own_old(fc__writer *writer, uint64_t units) {
    fc_cache *cache = writer->cache;
    uint32_t slot;
    uint64_t word = fc__index_find(cache, writer->hash, &slot);
    uint64_t budget = atomic_load(&cache->control->budget_units);
    if (!word || writer->source || writer->options.expect ||
        fc__word_record(word) >= cache->capacity)
        return;
    uint64_t old = atomic_load(&cache->records[fc__word_record(word)].charged);
    if (fc__control_units(cache) + old + units <= budget)
        return;
    uint64_t status = fc__status(FC__LIVE, fc__word_generation(word));
    fc__table_drop_key(cache, writer->hash, word);
    fc__reclaim_record(cache, fc__word_record(word), status, FC__RECLAIM_REUSE,
                       FC_MISS_EVICTED);
}

static int charge(fc__writer *writer, uint64_t units, fc_error *error) {
    fc_cache *cache = writer->cache;
    fc__shortage shortage = {0};
    for (int attempt = 0; attempt < MAX_CHARGE_TRIES; attempt++) {
        if (fc__charge(cache, record_of(writer), units) == 0)
            return 0;
        if (writer->cold)
            return fc__fail(error, FC_E_BUDGET, "no room for a compressed frame");
        if (fc__make_room(cache, units, &shortage))
            break;
    }
    return fc__fail_budget(cache, units, &shortage, error);
}

/* What a recycled record has is charged; a new one may be charged while it is written. */
static int charge_frame(fc__writer *writer, const fc__content *content, const shape *s,
                        fc_error *error) {
    uint64_t has = atomic_load(&record_of(writer)->charged);
    if (s->units <= has)
        return 0;
    if (!writer->cold) /* which is the making of room already */
        fc__budget_follow(writer->cache);
    if (writer->recycled || writer->cold || content->inlined ||
        !fc__pay_begin(writer, s->units - has))
        return charge(writer, s->units - has, error);
    return fc__pay(writer, fc__units(s->file_bytes), error);
}

static int check_size(fc_cache *cache, uint64_t units, fc_error *error) {
    if (fc__control_units(cache) + units > atomic_load(&cache->control->budget_units))
        return fc__fail_budget(cache, units, NULL, error);
    return 0;
}

/* ---- Files ---- */

/* What stands under the name of a record that is free, or recycled but not fit, is nobody's. */
int fc__create_file(fc_cache *cache, const char *name) {
    const int flags = O_CREAT | O_EXCL | O_RDWR;
    int fd = fc__fd_file(cache, cache->frames, name, flags, cache->file_mode);
    if (fd < 0 && (errno == EEXIST || errno == FC__FOREIGN)) {
        fc__os_unlink(cache->frames, name);
        fd = fc__fd_file(cache, cache->frames, name, flags, cache->file_mode);
    }
    if (fd >= 0 && cache->file_chmod && fc__os_chmod(fd, cache->file_mode) < 0) {
        fc__fd_close(fd);
        return -1;
    }
    return fd;
}

/* The old manifest of a recycled record if nobody leases it, else a new one. A late reader
 * of the old frame may still come to lease the file: it finds it held, or another
 * generation in it. */
static int open_manifest(fc__writer *writer, fc_error *error) {
    fc_cache *cache = writer->cache;
    char name[16];
    fc__manifest_name(name, writer->record);
    if (writer->recycled)
        writer->manifest = fc__fd_file(cache, cache->frames, name, O_RDWR, 0);
    if (writer->manifest >= 0 && fc__os_lease(writer->manifest, FC__EXCLUSIVE) < 0) {
        fc__fd_close(writer->manifest);
        writer->manifest = -1;
        fc__os_unlink(cache->frames, name);
    }
    if (writer->manifest >= 0)
        return 0;
    writer->manifest = fc__create_file(cache, name);
    if (writer->manifest < 0)
        return fc__fail_write(cache, errno, "a manifest", error);
    if (fc__os_lease(writer->manifest, FC__EXCLUSIVE) < 0)
        return fc__fail_write(cache, errno, "a lease", error);
    FC__STEP("put-manifest");
    return 0;
}

/* ---- The three ways to write ---- */

/* Gives everything back: as a reclaim, by the holder of the record lock. */
static void abandon(fc__writer *writer) {
    fc_cache *cache = writer->cache;
    fc__record *record = record_of(writer);
    if (writer->lock.fd < 0)
        return;
    fc__unlink_files(cache, writer->record, fc__record_segments(record));
    if (writer->manifest >= 0) {
        fc__os_lease(writer->manifest, FC__UNLOCK);
        fc__fd_close(writer->manifest);
    }
    fc__uncharge(cache, record, atomic_load(&record->charged));
    atomic_store(&record->segments, 0);
    atomic_store(&record->status,
                 fc__status(FC__FREE, fc__next_generation(writer->generation)));
    fc__lock_release(cache, &writer->lock);
}

static int write_to_memory(void *context, uint32_t segment, uint64_t offset,
                           const void *data, size_t bytes, fc_error *error) {
    (void)segment;
    (void)error;
    memcpy((char *)context + offset, data, bytes);
    return 0;
}

/* A recycled manifest may have more pages than the new one: of a frame whose segments grew
 * the charge does not tell, nor of one that was inline and is not any more (a hint of the
 * pool may be old). From inline to inline the number of pages is the same. */
static int fit_manifest(fc__writer *writer, const fc__content *content, const shape *s,
                        fc_error *error) {
    struct stat info;
    if (!writer->recycled || (content->inlined && !writer->old_segments))
        return 0;
    if (fc__os_stat(writer->manifest, &info) < 0 ||
        (fc__units((uint64_t)info.st_size) > fc__units(s->file_bytes) &&
         fc__os_truncate(writer->manifest, s->file_bytes) < 0))
        return fc__fail_write(writer->cache, errno, "a manifest", error);
    return 0;
}

/* The segments; with the whole frame inline, the data's place in the manifest. */
static int write_data(fc__writer *writer, const fc__content *content, const shape *s,
                      char *buffer, fc_error *error) {
    int status = fit_manifest(writer, content, s, error);
    if (status)
        return status;
    if (content->store)
        status = content->store(content->context, writer, error);
    else if (!content->inlined || writer->old_segments || writer->ground_count)
        status = fc__segments_write(writer, content, error);
    fc__output memory = {buffer + s->data_offset, write_to_memory, NULL};
    for (size_t i = 0; content->inlined && !status && i < content->job_count; i++)
        status = content->run(content->context, i, &memory, error);
    if (!status)
        status = fc__pay_rest(writer, error);
    fc__pay_end(writer); /* or what goes next might be this frame */
    return status;
}

#define AGAIN 1 /* the data are to be written again, from other content */

/* The data, then the manifest with what it knows of them. */
static int write_all(fc__writer *writer, const fc__content *content, const shape *s,
                     fc__handle **out, fc_error *error) {
    fc__record *record = record_of(writer);
    char *buffer = fc__malloc(s->file_bytes);
    if (!buffer)
        return fc__fail(error, FC_E_NOMEM, "no memory for a manifest of %llu bytes",
                        (unsigned long long)s->file_bytes);
    int status = write_data(writer, content, s, buffer, error);
    if (!status && content->stands && !content->stands(content->context))
        status = AGAIN;
    uint64_t charged = atomic_load(&record->charged);
    if (!status && charged > s->units && !content->store) /* recycled, or reserved */
        fc__uncharge(writer->cache, record, charged - s->units);
    if (!status) {
        fill_manifest(writer, content, s, buffer);
        hash_content(writer, content, s, buffer);
        status = fc__publish(writer, buffer, s->file_bytes, s->units, out, error);
    }
    fc__free(buffer);
    return status;
}

/* Over the files that are there, as with those of a recycled record: all of them whole and
 * charged. */
static int write_again(fc__writer *writer, const fc__content *before, fc__handle **out,
                       fc_error *error) {
    fc__content content = *before;
    int status = AGAIN;
    while (status == AGAIN) { /* the producer may have changed the values meanwhile */
        FC__STEP("put-again");
        status = before->again(before->context, &content, error);
        shape s = shape_of(writer, &content);
        writer->recycled = true;
        writer->old_segments = fc__record_segments(record_of(writer));
        writer->linked_bytes = 0;
        if (!status)
            status = check_size(writer->cache, s.units, error);
        if (!status)
            status = charge_frame(writer, &content, &s, error);
        if (!status)
            status = write_all(writer, &content, &s, out, error);
    }
    return status;
}

int fc__writer_put(fc__writer *writer, const fc__content *content, fc__handle **out,
                   fc_error *error) {
    shape s = shape_of(writer, content);
    int status = check_size(writer->cache, s.units, error);
    if (status)
        return status;
    evict_own_old(writer, s.units);
    status = take_record(writer, content, s.units, error);
    if (status)
        return status;
    if (writer->cold)
        atomic_store(&record_of(writer)->flags, FC__RECORD_COLD);
    status = charge_frame(writer, content, &s, error);
    FC__STEP("put-charged");
    if (!status && !writer->recycled && !writer->cold)
        status = fc__headroom(writer->cache, s.file_bytes, error);
    if (!status)
        status = open_manifest(writer, error);
    if (!status)
        status = write_all(writer, content, &s, out, error);
    fc__pay_end(writer);
    if (status == AGAIN)
        status = write_again(writer, content, out, error);
    if (status)
        abandon(writer);
    return status;
}

/* A build outlives the call that its options were given to. */
static int keep_tags(fc__writer *writer, fc_error *error) {
    size_t count = writer->options.tag_count, head = count * sizeof(fc_bytes);
    if (!count)
        return 0;
    writer->own_tags = fc__malloc(head + writer->tag_bytes);
    if (!writer->own_tags)
        return fc__fail(error, FC_E_NOMEM, "no memory for %zu tags", count);
    uint8_t *text = (uint8_t *)writer->own_tags + head;
    fc__tags_write(text, writer->options.tags, count);
    fc__tags_read(text, writer->tag_bytes, count, writer->own_tags);
    writer->options.tags = writer->own_tags;
    return 0;
}

int fc__writer_open(fc__writer *writer, fc_error *error) {
    fc__budget_follow(writer->cache);
    int status = keep_tags(writer, error);
    if (!status)
        status = allocate_record(writer, error);
    if (!status)
        status = charge(writer, 1, error); /* the least that a manifest takes */
    if (!status)
        status = open_manifest(writer, error);
    if (status)
        fc__writer_abort(writer);
    return status;
}

static int grow_grounds(fc__writer *writer, uint32_t segment, fc_error *error) {
    uint32_t count = writer->ground_count ? writer->ground_count : 8;
    if (segment < writer->ground_count)
        return 0;
    while (count <= segment)
        count *= 2;
    fc__ground_map *more = fc__realloc(writer->grounds, count * sizeof *more);
    if (!more)
        return fc__fail(error, FC_E_NOMEM, "no memory for %u segments", segment);
    memset(more + writer->ground_count, 0,
           (count - writer->ground_count) * sizeof *more);
    writer->grounds = more;
    writer->ground_count = count;
    return 0;
}

/* Charged, then reserved, then mapped: a store can neither exceed the budget nor meet a
 * full file system. */
int fc__writer_map(fc__writer *writer, uint32_t segment, uint64_t bytes, void **out,
                   fc_error *error) {
    fc_cache *cache = writer->cache;
    fc__record *record = record_of(writer);
    char name[24];
    *out = NULL;
    if (writer->fork_generation != fc__fork_generation())
        return fc__fail(error, FC_E_INVALID, "a build belongs to the process that began it");
    if (bytes > UINT64_MAX / 2) /* what follows rounds up */
        return fc__fail_budget(cache, bytes / FC__PAGE, NULL, error);
    if (segment >= FC__MAX_SEGMENTS)
        return fc__fail(error, FC_E_INVALID, "more than %u segments", FC__MAX_SEGMENTS);
    int status = grow_grounds(writer, segment, error);
    if (status)
        return status;
    fc__ground_map *ground = &writer->grounds[segment];
    uint64_t want = fc__round_up(bytes ? bytes : 1, FC__PAGE), more = want - ground->bytes;
    if (want <= ground->bytes) {
        *out = ground->start;
        return 0;
    }
    if ((status = check_size(cache, fc__units(want), error)) ||
        (status = charge(writer, fc__units(more), error)))
        return status;
    if (atomic_load(&record->segments) < segment + 1)
        atomic_store(&record->segments, segment + 1);
    fc__segment_name(name, writer->record, segment);
    int fd = ground->start ? fc__fd_segment(cache, name, O_RDWR)
                           : fc__create_file(cache, name);
    void *start = NULL;
    if (fd >= 0 && (status = fc__reserve(cache, fd, ground->bytes, more, error)) == 0) {
        start = fc__os_map(fd, want, FC__MAP_WRITE);
        if (start && cache->settings.huge)
            fc__os_huge(start, want);
    }
    if (!start) {
        if (!status)
            status = fc__fail_write(cache, errno, "reserving memory for a build", error);
        if (fd >= 0) /* back to what it was, so that the charge fits the disk */
            fc__os_truncate(fd, ground->bytes);
        fc__fd_close(fd);
        fc__uncharge(cache, record, fc__units(more));
        return status;
    }
    fc__fd_close(fd);
    fc__os_unmap(ground->start, ground->bytes);
    *ground = (fc__ground_map){start, want};
    *out = start;
    return 0;
}

static void release_grounds(fc__writer *writer, bool unmap) {
    for (uint32_t i = 0; unmap && i < writer->ground_count; i++)
        fc__os_unmap(writer->grounds[i].start, writer->grounds[i].bytes);
    fc__free(writer->grounds);
    fc__free(writer->own_tags);
    writer->own_tags = NULL;
    writer->grounds = NULL;
    writer->ground_count = 0;
}

int fc__writer_commit(fc__writer *writer, const fc__content *content, fc__handle **out,
                      fc_error *error) {
    shape s = shape_of(writer, content);
    int status = check_size(writer->cache, s.units, error);
    /* Segments that are in place are charged already, the rest is not. */
    uint64_t more = fc__units(s.file_bytes) - 1;
    if (!content->inlined && content->segment_count)
        more += fc__units(content->segment_bytes[0]);
    if (!status && more)
        status = charge(writer, more, error);
    if (!status)
        status = write_all(writer, content, &s, out, error);
    release_grounds(writer, true); /* before the charge goes: it holds the pages */
    if (status)
        abandon(writer);
    return status;
}

/* In a forked child there is nothing to give back: the mappings were not inherited, the
 * descriptors are closed, the record is the parent's. */
void fc__writer_abort(fc__writer *writer) {
    bool own = writer->fork_generation == fc__fork_generation();
    release_grounds(writer, own);
    if (own)
        abandon(writer);
}
