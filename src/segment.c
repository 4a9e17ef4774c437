/* Writing the segment files of a frame.
 *
 * Fresh pages are written by pwrite, which does not read them first; one file does not
 * scale with threads, so each thread takes a segment. Recycled pages exist already: by
 * pwrite too, but one big segment is written by several threads through a mapping (a read
 * every few pages, then memcpy) where that is faster on this host, which is measured once, in
 * the first put that can tell, and noted in control. */
#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BIG_BYTES     ((uint64_t)32 << 20) /* worth a mapping */
#define THREAD_BYTES  ((uint64_t)16 << 20) /* worth a second thread */
#define MAX_THREADS   64u
#define SPREAD        8 /* a segment of more than this part is shared by threads */
#define GATHER_BYTES  ((size_t)128 << 10)
#define AROUND_BYTES  ((uint64_t)64 << 10)

enum { METHOD_UNKNOWN, METHOD_WRITE, METHOD_MAP };

/* A run of jobs that one thread does: a segment by pwrite, or a job of a mapped one. */
typedef struct unit {
    uint32_t segment;
    size_t first, count;
    void *map;
    uint64_t map_bytes;
    bool linked; /* its jobs run for the checksums only */
    int fd;      /* of a segment that several units write, or -1 */
    uint64_t has; /* of that file: what is behind takes new pages */
} unit;

typedef struct copy {
    fc__writer *writer;
    const fc__content *content;
    const bool *linked; /* [segment_count] */
    unit *units;
    size_t unit_count;
    _Atomic size_t next;
    _Atomic bool failed;
    pthread_mutex_t mutex;
    int status;
    fc_error error;
} copy;

/* Small writes of one run are gathered, so that packed columns cost few calls. */
typedef struct output {
    copy *copy;
    int fd;
    char *map; /* or NULL */
    uint64_t has; /* bytes of the file; what is behind takes new pages */
    char *gathered;
    uint64_t at;
    size_t count;
} output;

static int write_chunks(output *o, const char *data, size_t bytes, uint64_t offset,
                        fc_error *error) {
    fc_cache *cache = o->copy->writer->cache;
    for (size_t part; bytes; bytes -= part, data += part, offset += part) {
        part = bytes < FC__CHUNK ? bytes : FC__CHUNK;
        uint64_t pages = fc__units(offset + part) - offset / FC__PAGE;
        int status = fc__pay(o->copy->writer, pages, error);
        uint64_t old = offset < o->has ? o->has - offset : 0;
        if (!status && old < part)
            status = fc__headroom(cache, part - old, error);
        if (status)
            return status;
        if (fc__os_write(o->fd, data, part, offset) < 0)
            return fc__fail_write(cache, errno, "a segment", error);
    }
    return 0;
}

static int flush(output *o, fc_error *error) {
    size_t count = o->count;
    o->count = 0;
    return write_chunks(o, o->gathered, count, o->at, error);
}

#define STREAM_BYTES ((size_t)1 << 20)
#define PLACE_BYTES  ((size_t)4 << 10) /* the last of many pieces may be short */

/* Stores past the caches: what is overwritten need not be read first, and a segment larger
 * than the caches would only push out what others use. libc's memcpy does so too, but only
 * from a threshold on that it takes from the size of the last cache, hundreds of MiB on some
 * machines. */
#ifdef __SSE2__
static void copy_past_caches(char *to, const char *from, size_t bytes) {
    size_t head = -(uintptr_t)to & 15;
    memcpy(to, from, head);
    to += head;
    from += head;
    bytes -= head;
    for (; bytes >= 64; to += 64, from += 64, bytes -= 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)from);
        __m128i b = _mm_loadu_si128((const __m128i *)(from + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(from + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(from + 48));
        _mm_stream_si128((__m128i *)to, a);
        _mm_stream_si128((__m128i *)(to + 16), b);
        _mm_stream_si128((__m128i *)(to + 32), c);
        _mm_stream_si128((__m128i *)(to + 48), d);
    }
    memcpy(to, from, bytes);
    _mm_sfence(); /* before the frame is published */
}
#else
static void copy_past_caches(char *to, const char *from, size_t bytes) {
    memcpy(to, from, bytes);
}
#endif

static int write_segment(void *context, uint32_t segment, uint64_t offset, const void *data,
                         size_t bytes, fc_error *error) {
    output *o = context;
    (void)segment;
    if (o->map) {
        if (bytes >= STREAM_BYTES)
            copy_past_caches(o->map + offset, data, bytes);
        else
            memcpy(o->map + offset, data, bytes);
        return 0;
    }
    bool follows = o->count && offset == o->at + o->count;
    bool direct = bytes > GATHER_BYTES / 2 || !o->gathered;
    int status = 0;
    if (!follows || direct || o->count + bytes > GATHER_BYTES)
        status = flush(o, error);
    if (status)
        return status;
    if (direct)
        return write_chunks(o, data, bytes, offset, error);
    if (!o->count)
        o->at = offset;
    memcpy(o->gathered + o->count, data, bytes);
    o->count += bytes;
    return 0;
}

/* The file of a segment, at most as long as it will be: recycled if the record has one that
 * nobody else has open or mapped, else new. *has: how long it is. */
static int open_segment(fc__writer *writer, uint32_t segment, uint64_t bytes,
                        uint64_t *has) {
    fc_cache *cache = writer->cache;
    struct stat info;
    char name[24];
    int fd = -1;
    *has = 0;
    fc__segment_name(name, writer->record, segment);
    if (segment < writer->old_segments)
        fd = fc__fd_segment(cache, name, O_RDWR);
    if (fd >= 0 && fc__os_sole(fd) && fc__os_stat(fd, &info) == 0 &&
        ((uint64_t)info.st_size <= bytes || fc__os_truncate(fd, bytes) == 0)) {
        *has = (uint64_t)info.st_size < bytes ? (uint64_t)info.st_size : bytes;
        fc__count(cache, FC__COUNT_recycled_bytes, bytes);
        return fd;
    }
    if (fd >= 0) {
        fc__fd_close(fd);
        fc__os_unlink(cache->frames, name);
    }
    fc__count(cache, FC__COUNT_fresh_bytes, bytes);
    return fc__create_file(cache, name);
}

static int write_nothing(void *context, uint32_t segment, uint64_t offset, const void *data,
                         size_t bytes, fc_error *error) {
    (void)context, (void)segment, (void)offset, (void)data, (void)bytes, (void)error;
    return 0;
}

static void *place(void *context, uint32_t segment, uint64_t offset, size_t bytes) {
    output *o = context;
    (void)segment;
    return o->map && bytes >= PLACE_BYTES ? o->map + offset : NULL;
}

static int run_jobs(copy *c, const unit *u, output *o, fc_error *error) {
    fc__output to = {o, u->linked ? write_nothing : write_segment, u->linked ? NULL : place};
    int status = 0;
    for (size_t i = 0; i < u->count && !status; i++)
        status = c->content->run(c->content->context, u->first + i, &to, error);
    return status ? status : flush(o, error);
}

/* A read maps the pages around it too (fault_around_bytes, 64 KiB unless told otherwise), a
 * store would map its own only; and it takes no lock that other threads wait for. */
static void touch(const volatile char *bytes, uint64_t count) {
    for (uint64_t at = 0; at < count; at += AROUND_BYTES)
        (void)bytes[at];
}

/* The pages leave the mapping by the thread that had them, whose caches know their page
 * structs and tables: at the end one thread alone would unmap them all. */
static int run_mapped(copy *c, const unit *u, output *o, fc_error *error) {
    uint64_t offset = c->content->job_offset(c->content->context, u->first);
    uint64_t bytes = c->content->job_bytes(c->content->context, u->first);
    uint64_t start = offset & ~(FC__PAGE - 1);
    touch((char *)u->map + offset, bytes);
    int status = run_jobs(c, u, o, error);
    fc__os_unfault((char *)u->map + start, offset + bytes - start);
    return status;
}

static int run_unit(copy *c, const unit *u, char *gathered, fc_error *error) {
    output o = {.copy = c, .fd = -1, .map = u->map, .gathered = gathered};
    if (u->linked)
        return run_jobs(c, u, &o, error);
    if (u->map)
        return run_mapped(c, u, &o, error);
    o.fd = u->fd;
    o.has = u->has;
    if (o.fd >= 0)
        return run_jobs(c, u, &o, error);
    o.fd = open_segment(c->writer, u->segment, c->content->segment_bytes[u->segment],
                        &o.has);
    if (o.fd < 0)
        return fc__fail_write(c->writer->cache, errno, "a segment", error);
    FC__STEP("put-segment");
    int status = run_jobs(c, u, &o, error);
    fc__fd_close(o.fd);
    return status;
}

static void *work(void *argument) {
    copy *c = argument;
    char *gathered = fc__malloc(GATHER_BYTES);
    fc_error error;
    size_t at;
    while (!atomic_load(&c->failed) && (at = atomic_fetch_add(&c->next, 1)) < c->unit_count) {
        int status = run_unit(c, &c->units[at], gathered, &error);
        if (!status)
            continue;
        pthread_mutex_lock(&c->mutex);
        if (!c->status) {
            c->status = status;
            c->error = error;
        }
        pthread_mutex_unlock(&c->mutex);
        atomic_store(&c->failed, true);
    }
    fc__free(gathered);
    return NULL;
}

void fc__in_threads(fc_cache *cache, uint64_t worth, void *(*run)(void *), void *context) {
    pthread_t helpers[MAX_THREADS];
    uint32_t started = 0, threads = cache->settings.threads;
    if (!cache->threads_allowed)
        threads = 1;
    threads = threads > MAX_THREADS ? MAX_THREADS : threads;
    threads = threads > worth ? (uint32_t)worth : threads;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's */
    while (started + 1 < threads &&
           pthread_create(&helpers[started], NULL, run, context) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    run(context);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(helpers[i], NULL);
}

static void run_units(copy *c, uint64_t bytes) {
    uint64_t worth = 1 + bytes / THREAD_BYTES;
    fc__in_threads(c->writer->cache, worth < c->unit_count ? worth : c->unit_count, work, c);
}

/* ---- One big recycled segment ---- */

/* Maps it, populated by page tables only: half of the pages at least are there. NULL: by
 * pwrite then. */
static void *map_recycled(fc__writer *writer, uint32_t segment, uint64_t bytes) {
    uint64_t has;
    void *map = NULL;
    int fd = open_segment(writer, segment, bytes, &has);
    if (fd >= 0 && has >= bytes / 2 &&
        (has == bytes || fc__reserve(writer->cache, fd, has, bytes - has, NULL) == 0))
        map = fc__os_map(fd, bytes, FC__MAP_WRITE);
    fc__fd_close(fd);
    return map;
}

/* Times the first two jobs of a mapped segment, one by pwrite and one by memcpy, and takes
 * them off the list. Two threads share a mapping well and a file badly. */
static int measure(copy *c, unit *write, unit *copy_unit, char *gathered, fc_error *error) {
    fc_cache *cache = c->writer->cache;
    unit by_write = *write;
    char name[24];
    uint64_t write_bytes = c->content->job_bytes(c->content->context, write->first);
    uint64_t copy_bytes = c->content->job_bytes(c->content->context, copy_unit->first);
    fc__segment_name(name, c->writer->record, write->segment);
    output o = {.copy = c, .gathered = gathered, .has = UINT64_MAX,
                .fd = fc__fd_segment(cache, name, O_RDWR)};
    if (o.fd < 0)
        return fc__fail_write(cache, errno, "a segment", error);
    int64_t start = fc__os_monotonic_ns();
    int status = run_jobs(c, &by_write, &o, error);
    int64_t middle = fc__os_monotonic_ns();
    fc__fd_close(o.fd);
    if (status || (status = run_unit(c, copy_unit, gathered, error)))
        return status;
    int64_t end = fc__os_monotonic_ns();
    double rate_write = (double)write_bytes / (double)(middle - start + 1);
    double rate_copy = (double)copy_bytes / (double)(end - middle + 1);
    double gain = cache->threads_allowed && cache->settings.threads > 1 ? 1.5 : 1.0;
    atomic_store(&cache->control->copy_method,
                 rate_copy * gain > rate_write ? METHOD_MAP : METHOD_WRITE);
    return 0;
}

/* ---- The plan of the work ---- */

static bool wants_map(const fc__writer *writer, uint64_t bytes, uint64_t total) {
    return writer->old_segments && bytes >= BIG_BYTES && bytes > total / 2 &&
           atomic_load(&writer->cache->control->copy_method) != METHOD_WRITE;
}

static void plan_units(copy *c, uint64_t total) {
    const fc__content *content = c->content;
    unit *last = NULL;
    for (size_t job = 0; job < content->job_count; job++) {
        uint32_t segment = content->job_segment(content->context, job);
        if (c->linked[segment] && !c->writer->cache->checksums)
            continue;
        if (last && last->segment == segment) {
            if (!last->map && last->fd < 0) {
                last->count++;
                continue;
            }
            unit *next = &c->units[c->unit_count++];
            *next = *last;
            next->first = job;
            last = next;
            continue;
        }
        last = &c->units[c->unit_count++];
        *last = (unit){.segment = segment, .first = job, .count = 1,
                       .linked = c->linked[segment], .fd = -1};
        if (last->linked)
            continue;
        uint64_t bytes = content->segment_bytes[segment];
        if (wants_map(c->writer, bytes, total)) {
            last->map = map_recycled(c->writer, segment, bytes);
            last->map_bytes = last->map ? bytes : 0;
        }
        if (!last->map && content->spread && bytes > total / SPREAD)
            last->fd = open_segment(c->writer, segment, bytes, &last->has);
    }
}

/* A recycled file that is too long is cut, or goes, before another one grows: else the files
 * would take more than the charge for a while. */
static void cut_recycled(fc_cache *cache, const char *name, uint64_t bytes) {
    struct stat info;
    if (fc__os_stat_at(cache->frames, name, &info) < 0 || (uint64_t)info.st_size <= bytes)
        return;
    int fd = fc__fd_segment(cache, name, O_RDWR);
    if (fd < 0 || !fc__os_sole(fd) || fc__os_truncate(fd, bytes) < 0)
        fc__os_unlink(cache->frames, name);
    fc__fd_close(fd);
}

bool fc__segments_fit(fc_cache *cache, uint32_t record, const fc__content *content) {
    uint32_t count = fc__record_segments(&cache->records[record]);
    uint64_t total = 0, serve = 0;
    struct stat info;
    char name[24];
    for (uint32_t i = 0; i < content->segment_count; i++) {
        uint64_t bytes = content->segment_bytes[i];
        total += bytes;
        fc__segment_name(name, record, i);
        if (i < count && fc__os_stat_at(cache->frames, name, &info) == 0 &&
            info.st_nlink == 1)
            serve += (uint64_t)info.st_size < bytes ? (uint64_t)info.st_size : bytes;
    }
    return serve >= total / 2;
}

static int fit_built(fc__writer *writer, const char *name, uint64_t bytes, fc_error *error) {
    int fd = fc__fd_segment(writer->cache, name, O_RDWR), status = 0;
    if (fd < 0 || fc__os_truncate(fd, bytes) < 0)
        status = fc__fail_write(writer->cache, errno, "a segment", error);
    fc__fd_close(fd);
    return status;
}

/* Files that the new frame does not have, and builds' files at their final lengths. */
static int fit_files(fc__writer *writer, const fc__content *content, fc_error *error) {
    uint32_t count = content->inlined ? 0 : content->segment_count;
    uint32_t most = writer->old_segments > writer->ground_count ? writer->old_segments
                                                                : writer->ground_count;
    int status = 0;
    char name[24];
    fc__unlink_segments(writer->cache, writer->record, count, most);
    for (uint32_t i = 0; i < count && i < most && !status; i++) {
        uint64_t bytes = content->segment_bytes[i];
        fc__segment_name(name, writer->record, i);
        if (!bytes)
            fc__os_unlink(writer->cache->frames, name);
        else if (i < writer->ground_count && writer->grounds[i].start)
            status = fit_built(writer, name, bytes, error);
        else if (count >= 2)
            cut_recycled(writer->cache, name, bytes);
    }
    return status;
}

static void unmap_units(copy *c) {
    for (size_t i = 0; i < c->unit_count; i++)
        if (c->units[i].map && (i == 0 || c->units[i - 1].map != c->units[i].map))
            fc__os_unmap(c->units[i].map, c->units[i].map_bytes);
    for (size_t i = 0; i < c->unit_count; i++)
        if (c->units[i].fd >= 0 && (i == 0 || c->units[i - 1].fd != c->units[i].fd))
            fc__fd_close(c->units[i].fd);
}

static int write_units(copy *c, uint64_t total, fc_error *error) {
    int status = 0;
    plan_units(c, total);
    if (c->unit_count > 2 && c->units[0].map && c->units[0].map == c->units[1].map &&
        atomic_load(&c->writer->cache->control->copy_method) == METHOD_UNKNOWN) {
        char *gathered = fc__malloc(GATHER_BYTES);
        status = measure(c, &c->units[0], &c->units[1], gathered, error);
        fc__free(gathered);
        atomic_store(&c->next, 2);
    }
    if (!status)
        run_units(c, total);
    unmap_units(c);
    if (!status && c->status) {
        status = c->status;
        if (error)
            *error = c->error;
    }
    return status;
}

int fc__segments_write(fc__writer *writer, const fc__content *content, fc_error *error) {
    fc__record *record = &writer->cache->records[writer->record];
    uint32_t count = content->inlined ? 0 : content->segment_count;
    uint64_t total = 0;
    copy c = {.writer = writer, .content = content};
    if (atomic_load(&record->segments) < count) /* before the first file appears */
        atomic_store(&record->segments, count);
    int status = fit_files(writer, content, error);
    if (status)
        return status;
    if (!content->inlined && content->job_count) {
        bool *linked = fc__malloc(count);
        c.linked = linked;
        c.units = fc__malloc(content->job_count * sizeof *c.units);
        if (c.units && linked) {
            fc__link_segments(writer, content, linked);
            for (uint32_t i = 0; i < count; i++)
                total += linked[i] ? 0 : content->segment_bytes[i];
            pthread_mutex_init(&c.mutex, NULL);
            status = write_units(&c, total, error);
            pthread_mutex_destroy(&c.mutex);
        } else
            status = fc__fail(error, FC_E_NOMEM, "no memory for %zu jobs",
                              content->job_count);
        fc__free(c.units);
        fc__free(linked);
    }
    if (!status)
        atomic_store(&record->segments, count);
    return status;
}
