/* Where the cache and the frame format meet: the one file that knows both. A handle is the
 * source that a frame reads through; a plan is the content that a writer writes. */
#include "engine.h"
#include "frames/frames.h"

#include <stddef.h>
#include <string.h>

/* ---- Reading: a handle as a source ---- */

static const void *source_segment(void *context, uint32_t index, uint64_t *bytes,
                                  fc_error *error) {
    return fc__handle_segment(context, index, bytes, error);
}

static void source_retain(void *context) {
    fc__handle_retain(context);
}

static void source_release(void *context) {
    fc__handle_release(context);
}

static int source_open_private(void *context, void **out, fc_error *error) {
    fc__handle *copy;
    int status = fc__handle_private(context, &copy, error);
    *out = copy;
    return status;
}

static void source_damaged(void *context) {
    const fc__handle *handle = context;
    if (!handle->inspected)
        fc__drop_damaged(handle->cache, handle->hash, handle->slot, handle->word);
}

static const fc__source source = {source_segment, source_retain, source_release,
                                  source_open_private, source_damaged};

int fc__handle_open_frame(fc__handle *handle) {
    const fc__manifest *m = handle->manifest;
    const char *base = (const char *)m;
    fc__frame_setup setup = {
        .source = &source,
        .context = handle,
        .body = base + m->body_offset,
        .body_bytes = m->body_bytes,
        .segment_count = m->segment_count,
        .segment_bytes = (const uint64_t *)(base + m->segments_offset),
        .verify = handle->cache->verify_maps,
        .hash = m->flags & FC__MANIFEST_HASHED ? m->content_hash : NULL};
    return fc__frame_open(&handle->frame, &setup, NULL);
}

void fc__handle_free_frame(fc__handle *handle) {
    fc__frame_free(handle->frame);
    fc__free(atomic_load(&handle->tags));
    handle->frame = NULL;
}

fc__handle *fc__frame_handle(const fc_frame *frame) {
    return fc__frame_context(frame);
}

int fc__handle_verify(fc__handle *handle, fc_error *error) {
    return fc__frame_verify(handle->frame, error);
}

bool fc__handle_has_checksums(const fc__handle *handle) {
    return fc__frame_has_checksums(handle->frame);
}

/* ---- Get ---- */

/* Without a watcher thread, whoever passes by gives up what the pressure epoch asks for. */
static void follow_epoch(fc_cache *cache) {
    uint32_t epoch =
        atomic_load_explicit(&cache->control->pressure, memory_order_relaxed);
    if (__builtin_expect(epoch != atomic_load_explicit(&cache->epoch, memory_order_relaxed) &&
                             !atomic_load(&cache->helper_running),
                         0))
        fc__watch(cache);
}

static int get_cold(fc_cache *cache, fc__hash hash, fc_bytes key, uint32_t flags,
                    fc__handle **handle, fc_error *error) {
    fc__helper_start(cache);
    int status = fc__lease(cache, hash, key, flags, handle, error);
    if (!status && !(flags & FC_GET_PEEK)) {
        fc__count(cache, FC__COUNT_hits, 1);
        fc__record_use(cache, &cache->records[(*handle)->record]);
    }
    return status;
}

static void count_stale(fc_cache *cache, const fc__handle *handle, uint32_t flags) {
    int64_t since;
    if (!(flags & FC_GET_PEEK) &&
        fc__record_expired(cache, &cache->records[handle->record], &since))
        fc__count(cache, FC__COUNT_stale_hits, 1);
}

int fc_get(fc_cache *cache, fc_bytes key, uint32_t flags, fc_frame **out,
           fc_error *error) {
    *out = NULL;
    int status = fc__check_key(cache, key, error);
    if (status)
        return status;
    if (__builtin_expect(
            flags & ~(FC_GET_STALE | FC_GET_PEEK | FC_GET_NOWAIT | FC_GET_MAP), 0))
        return fc__fail(error, FC_E_INVALID, "fc_get() flags 0x%x: only FC_GET_STALE, "
                        "FC_GET_PEEK, FC_GET_NOWAIT and FC_GET_MAP are known", flags);
    follow_epoch(cache);
    fc__hash hash = fc__hash_key(cache, key);
    fc__handle *handle = fc__table_get(cache, hash, key, flags);
    if (__builtin_expect(!handle, 0)) {
        status = get_cold(cache, hash, key, flags, &handle, error);
        if (status)
            return status;
        if (cache->settings.populate)
            flags |= FC_GET_MAP;
    }
    if (__builtin_expect(flags & FC_GET_MAP, 0))
        fc__handle_populate(handle);
    if (__builtin_expect(flags & FC_GET_STALE, 0))
        count_stale(cache, handle, flags);
    *out = handle->frame;
    return 0;
}

int fc_frame_info(const fc_frame *frame, fc_info *info, fc_error *error) {
    fc__handle *handle = fc__frame_context(frame);
    if (!info || info->size < offsetof(fc_info, sequence))
        return fc__fail(error, FC_E_INVALID, "fc_info.size: set it to sizeof the struct");
    fc__fill_info(handle->cache, handle->manifest,
                  (fc_bytes){handle->key, handle->key_bytes}, fc__handle_lengths(handle),
                  fc__handle_tags(handle), true, info);
    if (info->size >= offsetof(fc_info, bytes)) {
        info->rows = fc__frame_rows(frame);
        info->columns = fc__frame_columns(frame);
    }
    return 0;
}

/* ---- Put: a plan as content ---- */

static uint32_t plan_job_segment(void *context, size_t job) {
    return fc__plan_job(context, job)->segment;
}

static uint64_t plan_job_offset(void *context, size_t job) {
    return fc__plan_job(context, job)->offset;
}

static uint64_t plan_job_bytes(void *context, size_t job) {
    return fc__plan_job(context, job)->bytes;
}

static int plan_run(void *context, size_t job, const fc__output *output, fc_error *error) {
    fc__sink sink = {output->context, output->write, output->place};
    return fc__plan_run(context, job, &sink, error);
}

static void plan_encode(void *context, void *body) {
    fc__plan_encode(context, body);
}

static void plan_sources(void *context, const void **out) {
    fc__plan_sources(context, out);
}

static bool plan_is_segment(void *context, uint32_t segment, const void *base) {
    return fc__plan_is_segment(context, segment, base);
}

static fc__content content_of(fc__plan *plan, bool hashed) {
    const fc__layout *layout = fc__plan_layout(plan);
    return (fc__content){.inlined = layout->inlined || !layout->segment_count,
                         .segment_count = layout->segment_count,
                         .segment_bytes = layout->segment_bytes,
                         .body_bytes = layout->body_bytes,
                         .rows = layout->rows,
                         .columns = layout->columns,
                         .job_count = fc__plan_job_count(plan),
                         .context = plan,
                         .job_segment = plan_job_segment,
                         .job_offset = plan_job_offset,
                         .job_bytes = plan_job_bytes,
                         .run = plan_run,
                         .encode = plan_encode,
                         .hashed = hashed,
                         .sources = plan_sources,
                         .is_segment = plan_is_segment};
}

static fc__content put_content(fc__plan *plan, bool hashed);

static bool plan_stands(void *context) {
    return fc__plan_stands(context);
}

static int plan_again(void *context, fc__content *out, fc_error *error) {
    int status = fc__plan_again(context, error);
    if (!status)
        *out = put_content(context, out->hashed);
    return status;
}

static fc__content put_content(fc__plan *plan, bool hashed) {
    fc__content content = content_of(plan, hashed);
    content.stands = plan_stands;
    content.again = plan_again;
    return content;
}

static uint32_t plan_flags(const fc__writer *writer) {
    return (writer->cache->checksums ? FC__PLAN_CHECKSUMS : 0) |
           (writer->options.flags & FC_PUT_MISSING ? FC__PLAN_MISSING : 0);
}

static int put_plan(fc__writer *writer, fc__plan *plan, fc_frame **out, fc_error *error) {
    fc__content content = put_content(plan, writer->cache->checksums);
    fc__handle *handle = NULL;
    fc__helper_start(writer->cache);
    int status = fc__writer_put(writer, &content, out ? &handle : NULL, error);
    fc__plan_free(plan);
    if (!status && out)
        *out = handle->frame;
    return status;
}

int fc_put(fc_cache *cache, fc_bytes key, const struct ArrowSchema *schema,
           const struct ArrowArray *array, const fc_put_options *options, fc_frame **out,
           fc_error *error) {
    fc__writer writer;
    fc__plan *plan;
    if (out)
        *out = NULL;
    int status = fc__writer_begin(&writer, cache, key, options, error);
    if (!status && (!schema || !array))
        status = fc__fail(error, FC_E_INVALID, "fc_put() takes a schema and an array");
    if (!status)
        status = fc__plan_arrow(&plan, schema, &array, 1, plan_flags(&writer), error);
    return status ? status : put_plan(&writer, plan, out, error);
}

int fc_put_stream(fc_cache *cache, fc_bytes key, struct ArrowArrayStream *stream,
                  const fc_put_options *options, fc_frame **out, fc_error *error) {
    fc__writer writer;
    fc__plan *plan;
    if (out)
        *out = NULL;
    if (!stream || !stream->release)
        return fc__fail(error, FC_E_INVALID, "fc_put_stream() takes a stream that has not "
                        "been released");
    int status = fc__writer_begin(&writer, cache, key, options, error);
    if (status) {
        stream->release(stream);
        return status;
    }
    status = fc__plan_stream(&plan, stream, plan_flags(&writer), error);
    return status ? status : put_plan(&writer, plan, out, error);
}

/* ---- Build in place ---- */

/* What the cache keeps of a build; the frame format keeps the rest. */
typedef struct building {
    fc__writer writer; /* first: the cache's list of builds leads here */
    fc_cache *cache;
    bool open; /* false once the cache was closed */
} building;

static int ground_map(void *context, uint32_t segment, uint64_t bytes, void **out,
                      fc_error *error) {
    building *b = context;
    *out = NULL;
    if (!b->open)
        return fc__fail(error, FC_E_CLOSED, "the cache was closed, and the build aborted");
    return fc__writer_map(&b->writer, segment, bytes, out, error);
}

static void list_build(building *b) {
    fc_cache *cache = b->cache;
    pthread_mutex_lock(&cache->lists_mutex);
    b->writer.next = cache->builds;
    b->writer.link = &cache->builds;
    if (cache->builds)
        cache->builds->link = &b->writer.next;
    cache->builds = &b->writer;
    pthread_mutex_unlock(&cache->lists_mutex);
}

static void unlist_build(building *b) {
    bool own = b->writer.fork_generation == fc__fork_generation();
    pthread_mutex_lock(&b->cache->lists_mutex);
    if (b->writer.link && own) { /* a forked child's list was emptied */
        *b->writer.link = b->writer.next;
        if (b->writer.next)
            b->writer.next->link = b->writer.link;
    }
    b->writer.link = NULL;
    pthread_mutex_unlock(&b->cache->lists_mutex);
}

static void free_building(building *b) {
    fc_cache *cache = b->cache;
    fc__free(b);
    fc__cache_unref(cache);
}

static int begin(building *b, fc_bytes key, const struct ArrowSchema *schema, int64_t rows,
                 const fc_put_options *options, fc_build **out, fc_error *error) {
    fc__ground ground = {.context = b, .map = ground_map};
    int status = fc__writer_begin(&b->writer, b->cache, key, options, error);
    if (!status && !schema)
        status = fc__fail(error, FC_E_INVALID, "fc_build_begin() takes a schema");
    if (!status)
        status = fc__writer_open(&b->writer, error);
    if (status)
        return status;
    b->open = true;
    status = fc__build_new(out, schema, rows, &ground, b, error);
    if (status)
        fc__writer_abort(&b->writer);
    return status;
}

int fc_build_begin(fc_cache *cache, fc_bytes key, const struct ArrowSchema *schema,
                   int64_t rows, const fc_put_options *options, fc_build **out,
                   fc_error *error) {
    *out = NULL;
    building *b = fc__calloc(1, sizeof *b);
    if (!b)
        return fc__fail(error, FC_E_NOMEM, "no memory for a build");
    b->cache = cache;
    fc__cache_retain(cache);
    fc__helper_start(cache);
    int status = begin(b, key, schema, rows, options, out, error);
    if (status)
        free_building(b);
    else
        list_build(b);
    return status;
}

static int commit(building *b, fc_build *build, int64_t rows, fc_frame **out,
                  fc_error *error) {
    fc__plan *plan = NULL;
    fc__handle *handle = NULL;
    if (!b->open)
        return fc__fail(error, FC_E_CLOSED, "the cache was closed, and the build aborted");
    if (b->writer.fork_generation != fc__fork_generation()) {
        fc__writer_abort(&b->writer); /* a child has not inherited what was built */
        return fc__fail(error, FC_E_INVALID, "a build belongs to the process that began it");
    }
    int status = fc__build_finish(build, rows, b->cache->checksums, &plan, error);
    if (status) {
        fc__writer_abort(&b->writer);
        return status;
    }
    fc__content content = content_of(plan, b->cache->checksums);
    status = fc__writer_commit(&b->writer, &content, out ? &handle : NULL, error);
    fc__plan_free(plan);
    if (!status && out)
        *out = handle->frame;
    return status;
}

int fc_build_commit(fc_build *build, int64_t rows, fc_frame **out, fc_error *error) {
    building *b = fc__build_owner(build);
    if (out)
        *out = NULL;
    unlist_build(b);
    int status = commit(b, build, rows, out, error);
    fc__build_free(build);
    free_building(b);
    return status;
}

void fc_build_abort(fc_build *build) {
    if (!build)
        return;
    building *b = fc__build_owner(build);
    unlist_build(b);
    if (b->open)
        fc__writer_abort(&b->writer);
    fc__build_free(build);
    free_building(b);
}

/* At close. The builds' memory stays until their owners end them. */
void fc__builds_abort(fc_cache *cache) {
    pthread_mutex_lock(&cache->lists_mutex);
    fc__writer *writer = cache->builds;
    cache->builds = NULL;
    pthread_mutex_unlock(&cache->lists_mutex);
    while (writer) {
        building *b = (building *)writer;
        writer = writer->next;
        b->writer.link = NULL;
        b->open = false;
        fc__writer_abort(&b->writer);
    }
}
