/* Attaching a process, and its end: fc_cache_open, _close, _set_budget, _settings; the
 * references that let frames outlive the cache; the log. */
#include "engine.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

void fc__log(fc_cache *cache, fc_level level, const char *format, ...) {
    char text[512];
    va_list arguments;
    if (!cache->log)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cache->log(cache->log_context, level, text);
}

static int apply_options(fc_cache *cache, const fc_options *options, fc_error *error) {
    fc_options o = {0};
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (options && options->size < offsetof(fc_options, log))
        return fc__fail(error, FC_E_INVALID, "fc_options.size is %zu: set it to sizeof the "
                        "struct", options->size);
    if (o.flags & ~(FC_RDONLY | FC_NO_CREATE | FC_NO_THREADS))
        return fc__fail(error, FC_E_INVALID, "fc_options.flags 0x%x: only FC_RDONLY, "
                        "FC_NO_CREATE and FC_NO_THREADS are known", o.flags);
    cache->read_only = o.flags & FC_RDONLY;
    cache->no_create = o.flags & FC_NO_CREATE;
    cache->threads_allowed = !(o.flags & FC_NO_THREADS);
    cache->log = o.log;
    cache->log_context = o.log_context;
    cache->clock_ns = o.clock_ns;
    cache->clock_context = o.clock_context;
    return fc__settings_load(&cache->settings, options, error);
}

/* Aligned to a cache line, which the allocator does not promise. A store to each has the
 * kernel bring its page now, and not in the first get that comes by; the helper's first round
 * looks at them all anyway. */
static int make_shards(fc_cache *cache) {
    cache->shards_memory = fc__calloc(1, FC__SHARDS * sizeof(fc__shard) + 64);
    cache->shards = (fc__shard *)(((uintptr_t)cache->shards_memory + 63) & ~(uintptr_t)63);
    if (!cache->shards_memory)
        return FC_E_NOMEM;
    for (uint32_t i = 0; i < FC__SHARDS; i++)
        atomic_store(&cache->shards[i].lock, 0);
    return 0;
}

static void free_cache(fc_cache *cache) {
    if (cache->listed)
        fc__fork_remove(cache);
    fc__lock_close_idle(cache);
    fc__control_detach(cache);
    pthread_mutex_destroy(&cache->locks_mutex);
    pthread_mutex_destroy(&cache->lists_mutex);
    pthread_mutex_destroy(&cache->helper_mutex);
    fc__free(cache->shards_memory);
    fc__free(cache);
}

void fc__cache_retain(fc_cache *cache) {
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
}

void fc__cache_unref(fc_cache *cache) {
    /* acq_rel: the last one sees what all others did before they let go. */
    if (atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) == 1)
        free_cache(cache);
}

static void init(fc_cache *cache) {
    cache->dir = cache->frames = -1;
    cache->janitor.fd = -1;
    atomic_store(&cache->references, 1);
    pthread_mutex_init(&cache->locks_mutex, NULL);
    pthread_mutex_init(&cache->lists_mutex, NULL);
    pthread_mutex_init(&cache->helper_mutex, NULL);
}

int fc_cache_open(fc_cache **out, const fc_options *options, fc_error *error) {
    *out = NULL;
    fc_cache *cache = fc__calloc(1, sizeof *cache);
    if (!cache)
        return fc__fail(error, FC_E_NOMEM, "no memory to attach a cache");
    init(cache);
    int status = apply_options(cache, options, error);
    if (!status && (status = make_shards(cache)))
        fc__fail(error, status, "no memory to attach a cache");
    if (!status) {
        fc__fork_add(cache);
        cache->listed = true;
        status = fc__control_attach(cache, error);
    }
    if (status) {
        fc__cache_unref(cache);
        return status;
    }
    if (!cache->read_only && !fc__budget_fits(cache, 0))
        fc__evict_to_low(cache); /* what was there already, under a smaller budget */
    *out = cache;
    return 0;
}

void fc_cache_close(fc_cache *cache) {
    if (!cache)
        return;
    fc__helper_stop(cache);
    fc__stats_flush(cache);
    atomic_store(&cache->closed, true);
    fc__helper_stop(cache); /* if it was started in between */
    fc__builds_abort(cache);
    fc__watches_look(cache, true); /* who polls them finds the cache closed */
    fc__table_drop_idle(cache, false);
    fc__cache_unref(cache);
}

/* Others may be at what has to go: as long as it becomes less, and some tries longer. */
static void evict_down(fc_cache *cache) {
    fc__shortage left = {0};
    uint64_t used = UINT64_MAX;
    for (int idle = 0; idle < 4 && !fc__budget_fits(cache, 0); idle++) {
        fc__make_room(cache, 0, &left);
        if (fc__used_units(cache) < used)
            idle = 0;
        used = fc__used_units(cache);
    }
    if (!fc__budget_fits(cache, 0))
        fc__log(cache, FC_LEVEL_WARNING,
                "%llu bytes are used still, more than the new budget of %llu: %llu in frames "
                "that are held, %llu in replaced ones. They go when they are released",
                (unsigned long long)(fc__used_units(cache) * FC__PAGE),
                (unsigned long long)(atomic_load(&cache->control->budget_units) * FC__PAGE),
                (unsigned long long)(left.leased_units * FC__PAGE),
                (unsigned long long)(left.zombie_units * FC__PAGE));
}

int fc_cache_set_budget(fc_cache *cache, const char *budget, fc_error *error) {
    fc__amount amount;
    uint64_t units;
    uint32_t rule;
    if (atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    int status = fc__check_writable(cache, error);
    if (!status)
        status = fc__parse_budget(&amount, budget, error);
    if (!status)
        status = fc__budget_resolve(cache, &amount, &units, &rule, error);
    if (status)
        return status;
    fc__budget_apply(cache, units, rule);
    evict_down(cache);
    return 0;
}

int fc_cache_settings(fc_cache *cache, fc_setting_fn report, void *context,
                      fc_error *error) {
    if (!cache || !report)
        return fc__fail(error, FC_E_INVALID, "fc_cache_settings: %s is NULL",
                        cache ? "report" : "cache");
    return fc__ended(error, fc__settings_walk(&cache->settings, report, context),
                     "fc_cache_settings");
}
