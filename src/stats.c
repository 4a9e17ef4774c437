/* Counters and gauges. A process counts for itself and adds to control about once a second,
 * so that hot paths of different processes do not share a line. */
#include "engine.h"

#include <stddef.h>
#include <string.h>

bool fc__stats_flush(fc_cache *cache) {
    fc__table_stats table;
    bool any = false;
    if (cache->read_only)
        return false;
    fc__table_stat(cache, &table);
    fc__count(cache, FC__COUNT_hits, table.hits);
    for (int i = 0; i < FC__COUNT_ALL; i++) {
        uint64_t mine = atomic_load_explicit(&cache->counters[i], memory_order_relaxed);
        if (!mine)
            continue;
        mine = atomic_exchange(&cache->counters[i], 0);
        atomic_fetch_add_explicit(&cache->control->counters[i], mine, memory_order_relaxed);
        any = true;
    }
    return any;
}

static void add_record(const fc_cache *cache, uint32_t i, fc_stats *out) {
    const fc__record *record = &cache->records[i];
    uint64_t status = atomic_load(&record->status);
    uint64_t bytes = atomic_load(&record->charged) * FC__PAGE;
    fc__hash hash = fc__record_hash(record);
    uint32_t slot;
    switch (fc__status_state(status)) {
    case FC__LIVE:
        out->spill_bytes += fc__spilled_units(record) * FC__PAGE;
        if (!fc__index_holds(cache, hash, fc__record_word(record, i, status), &slot))
            out->zombie_frames++, out->zombie_bytes += bytes;
        else if (atomic_load(&record->flags) & FC__RECORD_COLD)
            out->frames++, out->cold_bytes += bytes,
                out->cold_raw_bytes += (atomic_load(&record->linked) >> 32) * FC__PAGE;
        else
            out->frames++, out->hot_bytes += bytes,
                out->shared_bytes += atomic_load(&record->linked) * FC__PAGE;
        break;
    case FC__POOL:
        out->pool_bytes += bytes;
        break;
    case FC__WRITING:
        out->writing_bytes += bytes;
        break;
    default:
        break;
    }
}

int fc_cache_stats(fc_cache *cache, fc_stats *stats, fc_error *error) {
    static const char *const rules[] = {"setting", "filesystem", "cgroup", "memory",
                                        "pressure"};
    fc_stats out = {.size = stats ? stats->size : 0};
    fc__table_stats table;
    if (!stats || stats->size < offsetof(fc_stats, frames))
        return fc__fail(error, FC_E_INVALID, "fc_stats.size: set it to sizeof the struct");
    if (atomic_load(&cache->closed))
        return fc__fail(error, FC_E_CLOSED, "the cache was closed");
    fc__stats_flush(cache);
    fc__control *c = cache->control;
#define FC_X(name, kind)                                                                  \
    out.name = atomic_load_explicit(&c->counters[FC__COUNT_##name], memory_order_relaxed);
    FC_STATS(FC_X)
#undef FC_X
    for (uint32_t i = 0; i < cache->capacity; i++)
        add_record(cache, i, &out);
    uint32_t rule = atomic_load(&c->budget_rule);
    strcpy(out.budget_rule, rules[rule <= FC__RULE_PRESSURE ? rule : 0]);
    out.capacity_frames = cache->capacity;
    out.budget_bytes = atomic_load(&c->budget_units) * FC__PAGE;
    out.used_bytes = fc__used_units(cache) * FC__PAGE;
    out.control_bytes = cache->control_bytes;
    out.sequence = atomic_load(&c->sequence);
    fc__table_stat(cache, &table);
    fc__count(cache, FC__COUNT_hits, table.hits);
    out.mapped_frames = table.frames;
    out.mapped_bytes = table.bytes;
    out.idle_frames = table.idle_frames;
    out.idle_bytes = table.idle_bytes;
    out.private_bytes = fc__private_bytes(cache);
    out.descriptors = fc__os_descriptors();
    memcpy(stats, &out, out.size < sizeof out ? out.size : sizeof out);
    return 0;
}

void fc__fill_info(const fc_cache *cache, const fc__manifest *m, fc_bytes key,
                   const uint64_t *lengths, const fc_bytes *tags, bool leased, fc_info *out) {
    const fc__record *record = &cache->records[m->record];
    fc_info info = {.size = out->size,
                    .key = key,
                    .sequence = m->sequence,
                    .rows = m->rows,
                    .columns = m->columns,
                    .bytes = m->stored_bytes,
                    .shared_bytes = lengths ? fc__shared_bytes(cache, m, lengths) : 0,
                    .created_ns = m->created_ns,
                    .used_ns = m->created_ns,
                    .expires_ns = FC__EXPIRES_NEVER,
                    .stale_until_ns = FC__EXPIRES_NEVER,
                    .record = m->record,
                    .cold = m->flags & FC__MANIFEST_COLD,
                    .leased = leased,
                    .tag_count = tags ? m->tag_count : 0,
                    .tags = tags};
    int64_t since;
    /* A frame that has left the index keeps its record while it is leased. */
    if (atomic_load(&record->sequence) == m->sequence) {
        info.used_ns = atomic_load(&record->used_ns);
        info.expires_ns = atomic_load(&record->expires_ns);
        info.stale_until_ns = atomic_load(&record->stale_until_ns);
        if (info.stale_until_ns < info.expires_ns)
            info.stale_until_ns = info.expires_ns;
        info.stale = fc__record_expired(cache, record, &since);
        info.uses = atomic_load(&record->uses);
        if (atomic_load(&record->flags) & FC__RECORD_COST)
            info.cost_s = fc__record_cost(record);
    }
    memcpy(out, &info, info.size < sizeof info ? info.size : sizeof info);
}
