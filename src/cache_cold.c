/* Packing a frame into one file of compressed blocks, and unpacking it: where the cold tier
 * and the codec of the frame format meet. Blocks are coded by several threads, and stand in
 * the file in the order in which they were done; decoding is the writing of a frame whose
 * bytes come from blocks, so that it uses what a put uses. */
#include "engine.h"
#include "frames/frames.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define CHARGE_UNITS 64u

static void identity_of(const fc_cache *cache, uint32_t record, uint32_t generation,
                        uint64_t out[2]) {
    out[0] = cache->control->instance;
    out[1] = (uint64_t)generation << 32 | record;
}

static void encode_body(void *context, void *body) {
    fc__handle *const *handle = context; /* the first member of both structs */
    const fc__manifest *m = (*handle)->manifest;
    memcpy(body, (const char *)m + m->body_offset, m->body_bytes);
}

static fc__content content_of(fc__handle *handle, void *context) {
    const fc__manifest *m = handle->manifest;
    return (fc__content){.segment_count = m->segment_count,
                         .segment_bytes = fc__handle_lengths(handle),
                         .body_bytes = m->body_bytes,
                         .rows = m->rows,
                         .columns = m->columns,
                         .marked = m->flags & FC__MANIFEST_MARKED,
                         .hashed = m->flags & FC__MANIFEST_HASHED,
                         .hash = m->content_hash,
                         .context = context,
                         .encode = encode_body};
}

/* ---- Packing ---- */

struct fc__packing {
    fc__handle *handle;
    fc__codec_plan plan;
    fc__writer *writer;
    int fd;
    bool spilled;
    _Atomic size_t next;
    _Atomic bool failed;
    pthread_mutex_t mutex; /* of what follows, and of the charge */
    uint64_t end, charged_units;
    int status;
    fc_error error;
};

int fc__pack_begin(fc__packing **out, fc__handle *handle, bool *worth, fc_error *error) {
    fc__packing *p = fc__calloc(1, sizeof *p);
    *out = p;
    if (!p)
        return fc__fail(error, FC_E_NOMEM, "no memory to compress a frame");
    p->handle = handle;
    p->fd = -1;
    pthread_mutex_init(&p->mutex, NULL);
    int status = fc__codec_plan_frame(&p->plan, handle->frame, error);
    *worth = !status && p->plan.estimated_bytes <= p->plan.raw_bytes / 4 * 3;
    if (status) {
        fc__pack_end(p);
        *out = NULL;
    }
    return status;
}

void fc__pack_end(fc__packing *packing) {
    if (!packing)
        return;
    fc__codec_plan_free(&packing->plan);
    pthread_mutex_destroy(&packing->mutex);
    fc__free(packing);
}

static void fail_pack(fc__packing *p, int status, const fc_error *error) {
    if (!p->status) {
        p->status = status;
        p->error = *error;
    }
    atomic_store(&p->failed, true);
}

/* Charges before the file grows; in steps, so that threads seldom meet here. */
static bool charge_to(fc__packing *p, uint64_t end) {
    fc__record *record = &p->writer->cache->records[p->writer->record];
    uint64_t need = fc__units(end);
    if (need <= p->charged_units)
        return true;
    uint64_t least = need - p->charged_units;
    uint64_t more = least < CHARGE_UNITS ? CHARGE_UNITS : least;
    if (p->spilled) { /* exactly: what is charged there drops others */
        more = least;
        if (!fc__spill_charge(p->writer->cache, p->writer->record, more))
            return false;
    } else if (fc__charge(p->writer->cache, record, more)) {
        more = least;
        if (fc__charge(p->writer->cache, record, more))
            return false;
    }
    p->charged_units += more;
    return true;
}

/* A place in the file, in the order of arrival. */
static int take_place(fc__packing *p, fc__block *block, fc_error *error) {
    int status = 0;
    pthread_mutex_lock(&p->mutex);
    uint64_t end = p->end + block->stored_bytes;
    if (end > p->plan.raw_bytes / 4 * 3)
        status = fc__fail(error, FC_E_BUSY, "not worth compressing");
    else if (!charge_to(p, end))
        status = fc__fail(error, FC_E_BUDGET, "no room for the compressed frame");
    else {
        block->place = p->end;
        p->end = end;
    }
    if (status)
        fail_pack(p, status, error);
    pthread_mutex_unlock(&p->mutex);
    return status;
}

static void write_failed(fc__packing *p, fc_error *error) {
    int sys_errno = errno;
    int status = fc__fail_errno(error, FC_E_NOSPACE, sys_errno, "cannot write a compressed "
                                "frame");
    if (p->spilled && !atomic_load(&p->failed))
        fc__spill_failed(p->writer->cache, sys_errno, "writing");
    pthread_mutex_lock(&p->mutex);
    fail_pack(p, status, error);
    pthread_mutex_unlock(&p->mutex);
}

static void pack_block(fc__packing *p, fc__block *block, void *work) {
    fc_error error;
    uint64_t bytes;
    const char *base = fc__handle_segment(p->handle, block->segment, &bytes, &error);
    if (!base) {
        pthread_mutex_lock(&p->mutex);
        fail_pack(p, error.code, &error);
        pthread_mutex_unlock(&p->mutex);
        return;
    }
    uint64_t start = block->offset & ~(FC__PAGE - 1); /* one fault instead of many */
    fc__os_populate(base + start, block->offset + block->raw_bytes - start);
    const void *stored = fc__codec_encode(block, base + block->offset, work);
    if (take_place(p, block, &error))
        return;
    if (fc__os_write(p->fd, stored, block->stored_bytes, block->place) < 0)
        write_failed(p, &error);
}

static void *pack_work(void *argument) {
    fc__packing *p = argument;
    void *work = fc__malloc(FC__CODEC_WORK_BYTES);
    fc_error error;
    size_t at;
    if (!work) {
        pthread_mutex_lock(&p->mutex);
        fail_pack(p, fc__fail(&error, FC_E_NOMEM, "no memory to compress a frame"), &error);
        pthread_mutex_unlock(&p->mutex);
    }
    while (work && !atomic_load(&p->failed) &&
           (at = atomic_fetch_add(&p->next, 1)) < p->plan.count) {
        pack_block(p, &p->plan.blocks[at], work);
        if (fc__helper_stopping(p->writer->cache)) { /* nobody waits for a janitor's work */
            pthread_mutex_lock(&p->mutex);
            fail_pack(p, fc__fail(&error, FC_E_BUSY, "the process forks or ends"), &error);
            pthread_mutex_unlock(&p->mutex);
        }
    }
    fc__free(work);
    return NULL;
}

/* The header comes last: a file without it holds nothing. */
static int write_head(fc__packing *p, fc_error *error) {
    const fc__writer *writer = p->writer;
    fc__cold_header header;
    uint64_t identity[2];
    identity_of(writer->cache, writer->record, writer->generation, identity);
    fc__codec_seal(&header, p->plan.blocks, p->plan.count, identity, p->end);
    if (fc__os_write(p->fd, p->plan.blocks, p->plan.count * sizeof *p->plan.blocks,
                     sizeof header) < 0 ||
        fc__os_write(p->fd, &header, sizeof header, 0) < 0)
        write_failed(p, error);
    return p->status;
}

static void settle_charge(fc__packing *p) {
    fc_cache *cache = p->writer->cache;
    fc__record *record = &cache->records[p->writer->record];
    uint64_t excess = p->charged_units - fc__units(p->end);
    if (p->spilled)
        fc__spill_uncharge(cache, p->writer->record, excess);
    else
        fc__uncharge(cache, record, excess);
    atomic_fetch_add(&record->linked, fc__units(p->plan.raw_bytes) << 32);
}

static int pack_store(void *context, fc__writer *writer, fc_error *error) {
    fc__packing *p = context;
    fc_cache *cache = writer->cache;
    fc__record *record = &cache->records[writer->record];
    p->writer = writer;
    p->end = fc__codec_head_bytes(p->plan.count);
    p->spilled = cache->settings.spill_dir[0];
    atomic_store(&record->linked, 0);
    if (p->spilled)
        atomic_fetch_or(&record->flags, FC__RECORD_SPILLED);
    FC__STEP("cold-flagged");
    if (!charge_to(p, p->end))
        return fc__fail(error, FC_E_BUDGET, "no room for the compressed frame");
    p->fd = fc__cold_open(cache, writer->record, true);
    FC__STEP("cold-file");
    if (p->fd < 0) {
        write_failed(p, error);
        return p->status;
    }
    fc__in_threads(cache, p->plan.count, pack_work, p);
    FC__STEP("cold-blocks");
    if (!p->status)
        write_head(p, error);
    fc__fd_close(p->fd);
    if (p->status && error)
        *error = p->error;
    if (!p->status) {
        settle_charge(p);
        if (p->spilled)
            atomic_store(&cache->spill_failures, 0), atomic_store(&cache->spill_retry_ns, 0);
    }
    return p->status;
}

void fc__pack_content(fc__packing *packing, fc__content *out) {
    *out = content_of(packing->handle, packing);
    out->store = pack_store;
}

/* ---- Unpacking ---- */

typedef struct buffers {
    struct buffers *next;
    char bytes[3 * FC__BLOCK_BYTES]; /* stored, unshuffled, shuffled */
} buffers;

struct fc__unpacking {
    fc__handle *handle;
    fc__cold_header header;
    fc__block *blocks;
    int fd;
    pthread_mutex_t mutex;
    buffers *idle;
};

static int damaged(fc__handle *handle, const char *what, fc_error *error) {
    return fc__fail(error, FC_E_CORRUPT, "the file of its blocks (record %06x) does not hold: "
                    "%s", handle->record, what);
}

/* FC_E_UNSUPPORTED with errno: it cannot be read. */
static int read_head(fc__unpacking *u, fc_error *error) {
    fc__handle *handle = u->handle;
    fc_cache *cache = handle->cache;
    struct stat info;
    uint64_t identity[2];
    identity_of(cache, handle->record, handle->manifest->generation, identity);
    u->fd = fc__cold_open(cache, handle->record, false);
    if (u->fd < 0 || fc__os_stat(u->fd, &info) < 0)
        return fc__fail_errno(error, errno == EMFILE || errno == ENFILE ? FC_E_NOMEM
                              : errno == EAGAIN /* a write lease, F_SETLEASE */ ? FC_E_BUSY
                                                                         : FC_E_UNSUPPORTED,
                              errno, "cannot open a compressed frame");
    ssize_t got = fc__os_read(u->fd, &u->header, sizeof u->header, 0);
    if (got < 0)
        return fc__fail_errno(error, FC_E_UNSUPPORTED, errno, "cannot read a compressed "
                              "frame");
    const char *wrong = got == sizeof u->header
                            ? fc__codec_check_header(&u->header, (uint64_t)info.st_size,
                                                     identity)
                            : "it is too short";
    return wrong ? damaged(handle, wrong, error) : 0;
}

static int read_table(fc__unpacking *u, fc_error *error) {
    size_t bytes = u->header.block_count * sizeof *u->blocks;
    u->blocks = fc__malloc(bytes);
    if (!u->blocks)
        return fc__fail(error, FC_E_NOMEM, "no memory to decompress a frame");
    ssize_t got = fc__os_read(u->fd, u->blocks, bytes, sizeof u->header);
    if (got < 0)
        return fc__fail_errno(error, FC_E_UNSUPPORTED, errno, "cannot read a compressed "
                              "frame");
    const char *wrong = (size_t)got == bytes
                            ? fc__codec_check_table(&u->header, u->blocks,
                                                    u->handle->manifest->segment_count,
                                                    fc__handle_lengths(u->handle))
                            : "it is too short";
    return wrong ? damaged(u->handle, wrong, error) : 0;
}

int fc__unpack_begin(fc__unpacking **out, fc__handle *handle, fc_error *error) {
    fc__unpacking *u = fc__calloc(1, sizeof *u);
    *out = NULL;
    if (!u)
        return fc__fail(error, FC_E_NOMEM, "no memory to decompress a frame");
    u->handle = handle;
    u->fd = -1;
    pthread_mutex_init(&u->mutex, NULL);
    int status = read_head(u, error);
    if (!status)
        status = read_table(u, error);
    if (status) {
        int sys_errno = errno;
        fc__unpack_end(u);
        errno = sys_errno;
    } else
        *out = u;
    return status;
}

void fc__unpack_end(fc__unpacking *u) {
    if (!u)
        return;
    while (u->idle) {
        buffers *next = u->idle->next;
        fc__free(u->idle);
        u->idle = next;
    }
    if (u->fd >= 0)
        fc__fd_close(u->fd);
    pthread_mutex_destroy(&u->mutex);
    fc__free(u->blocks);
    fc__free(u);
}

static buffers *take_buffers(fc__unpacking *u) {
    pthread_mutex_lock(&u->mutex);
    buffers *b = u->idle;
    if (b)
        u->idle = b->next;
    pthread_mutex_unlock(&u->mutex);
    return b ? b : fc__malloc(sizeof *b);
}

static void give_buffers(fc__unpacking *u, buffers *b) {
    pthread_mutex_lock(&u->mutex);
    b->next = u->idle;
    u->idle = b;
    pthread_mutex_unlock(&u->mutex);
}

static int decode(fc__unpacking *u, size_t index, buffers *b, fc_error *error) {
    const fc__block *block = &u->blocks[index];
    char *stored = b->bytes, *raw = stored + FC__BLOCK_BYTES;
    ssize_t got = fc__os_read(u->fd, stored, block->stored_bytes, block->place);
    if (got < 0)
        return fc__fail_errno(error, FC_E_UNSUPPORTED, errno, "cannot read a compressed "
                              "frame");
    if ((size_t)got == block->stored_bytes &&
        !fc__codec_decode(block, stored, raw, raw + FC__BLOCK_BYTES))
        return 0;
    return fc__fail(error, FC_E_CORRUPT, "block %zu (segment %u, bytes %llu to %llu) of record "
                    "%06x does not hold", index, block->segment,
                    (unsigned long long)block->offset,
                    (unsigned long long)block->offset + block->raw_bytes, u->handle->record);
}

static uint32_t job_segment(void *context, size_t job) {
    return ((fc__unpacking *)context)->blocks[job].segment;
}

static uint64_t job_offset(void *context, size_t job) {
    return ((fc__unpacking *)context)->blocks[job].offset;
}

static uint64_t job_bytes(void *context, size_t job) {
    return ((fc__unpacking *)context)->blocks[job].raw_bytes;
}

static int run_job(void *context, size_t job, const fc__output *output, fc_error *error) {
    fc__unpacking *u = context;
    const fc__block *block = &u->blocks[job];
    buffers *b = take_buffers(u);
    if (!b)
        return fc__fail(error, FC_E_NOMEM, "no memory to decompress a frame");
    int status = decode(u, job, b, error);
    if (!status)
        status = output->write(output->context, block->segment, block->offset,
                               b->bytes + FC__BLOCK_BYTES, block->raw_bytes, error);
    give_buffers(u, b);
    return status;
}

void fc__unpack_content(fc__unpacking *unpacking, fc__content *out) {
    *out = content_of(unpacking->handle, unpacking);
    out->job_count = unpacking->header.block_count;
    out->job_segment = job_segment;
    out->job_offset = job_offset;
    out->job_bytes = job_bytes;
    out->run = run_job;
    out->spread = true;
}

int fc__unpack_verify(fc__unpacking *u, fc_error *error) {
    buffers *b = take_buffers(u);
    int status = b ? 0 : fc__fail(error, FC_E_NOMEM, "no memory to decompress a frame");
    for (size_t i = 0; i < u->header.block_count && !status; i++)
        status = decode(u, i, b, error);
    if (b)
        give_buffers(u, b);
    return status;
}
