/* Drives the eviction policy with a trace, and counts:
 *
 *     fc-evict --trace FILE.csv[.xz] --bytes N [--policy gdsf|lru]
 *
 * FILE has lines `key,bytes[,cost]`; a first line that has no number is a header. Without
 * --policy it is the cache's own policy (src/evict.h), with the batches of src/room.c and
 * a memory of all keys; gdsf is GreedyDual-Size-Frequency (Cherkasova, HP Labs 1998),
 * with cost where the trace has it. A key keeps the size that it had when it came in. */
#include "evict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum policy { OWN, GDSF, LRU } policy;

typedef struct entry {
    char *key;
    uint64_t bytes, heat, last;
    double cost, base;
    uint32_t uses, place; /* of it among the present ones */
    bool present, known, measured;
} entry;

typedef struct state {
    policy policy;
    uint64_t bytes, used, clock, requests, misses, byte_requests, byte_misses;
    double inflation;
    fc__shares shares;
    entry *entries;
    uint32_t *table, table_size, count, capacity;
    uint32_t *present, present_count;
} state;

static void fail(const char *what, const char *which) {
    fprintf(stderr, "fc-evict: %s%s\n", what, which);
    exit(2);
}

static void *need(void *memory) {
    if (!memory)
        fail("no memory", "");
    return memory;
}

/* ---- Keys ---- */

static uint32_t hash_of(const char *key) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t *place_of(const state *s, const char *key) {
    uint32_t at = hash_of(key) & (s->table_size - 1);
    while (s->table[at] && strcmp(s->entries[s->table[at] - 1].key, key))
        at = (at + 1) & (s->table_size - 1);
    return &s->table[at];
}

static void grow(state *s) {
    s->capacity = s->capacity ? s->capacity * 2 : 1024;
    s->entries = need(realloc(s->entries, s->capacity * sizeof *s->entries));
    s->present = need(realloc(s->present, s->capacity * sizeof *s->present));
    s->table_size = s->capacity * 2;
    free(s->table);
    s->table = need(calloc(s->table_size, sizeof *s->table));
    for (uint32_t i = 0; i < s->count; i++)
        *place_of(s, s->entries[i].key) = i + 1;
}

static uint32_t entry_of(state *s, const char *key) {
    if (s->count == s->capacity)
        grow(s);
    uint32_t *place = place_of(s, key);
    if (!*place) {
        s->entries[s->count] = (entry){.key = need(strdup(key))};
        *place = ++s->count;
    }
    return *place - 1;
}

/* ---- Policies ---- */

static double priority_of(const state *s, const entry *e, const fc__shares *weights) {
    double cost = e->measured ? e->cost : fc__evict_default_cost(e->bytes);
    if (s->policy == LRU)
        return (double)e->last;
    if (s->policy == GDSF)
        return e->base + e->uses * (e->measured ? e->cost : 1) / (double)e->bytes;
    return fc__evict_priority(fc__heat_rate(e->heat, s->clock, weights), cost, e->bytes);
}

static void use(state *s, entry *e) {
    e->last = s->requests;
    e->base = s->inflation;
    e->uses++;
    if (e->known) {
        fc__shares_learn(&s->shares, e->heat, s->clock);
        e->heat = fc__heat_use(e->heat, s->clock, e->uses);
    } else
        e->heat = fc__heat_first(s->clock);
    e->known = true;
}

static void leave(state *s, const fc__candidate *victim) {
    entry *e = &s->entries[victim->id];
    uint32_t last = s->present[--s->present_count];
    e->present = false;
    e->uses = 0;
    s->used -= e->bytes;
    s->clock += fc__turnover(e->bytes, s->bytes);
    if (victim->priority > s->inflation)
        s->inflation = victim->priority;
    s->present[e->place] = last;
    s->entries[last].place = e->place;
}

static void make_room(state *s, uint64_t bytes) {
    fc__candidate few[FC__EVICT_BATCH];
    while (s->used + bytes > s->bytes) {
        fc__victims victims = {.heap = few, .limit = FC__EVICT_BATCH};
        fc__shares weights = fc__heat_weights(&s->shares);
        for (uint32_t i = 0; i < s->present_count; i++) {
            uint32_t id = s->present[i];
            fc__candidate candidate = {
                .priority = priority_of(s, &s->entries[id], &weights), .id = id};
            fc__victims_offer(&victims, &candidate);
        }
        fc__victims_sort(&victims);
        for (size_t i = 0; i < victims.count && s->used + bytes > s->bytes; i++)
            leave(s, &few[i]);
    }
}

static void request(state *s, const char *key, uint64_t bytes, double cost) {
    uint32_t id = entry_of(s, key);
    entry *e = &s->entries[id];
    s->requests++;
    s->byte_requests += bytes;
    if (!e->present) {
        s->misses++;
        s->byte_misses += bytes;
        if (bytes > s->bytes)
            return;
        make_room(s, bytes);
        e->bytes = bytes ? bytes : 1;
        e->measured = cost > 0;
        e->cost = cost;
        e->present = true;
        e->place = s->present_count;
        s->present[s->present_count++] = id;
        s->used += e->bytes;
    }
    use(s, e);
}

/* ---- The trace ---- */

static void run(state *s, FILE *trace, const char *path) {
    char line[4096];
    for (uint64_t number = 1; fgets(line, sizeof line, trace); number++) {
        char *comma = strchr(line, ','), *end;
        if (!comma)
            fail("a line has no comma in ", path);
        *comma = 0;
        unsigned long long bytes = strtoull(comma + 1, &end, 10);
        if (end == comma + 1 && number == 1)
            continue;
        if (end == comma + 1)
            fail("a line has no bytes in ", path);
        request(s, line, bytes, *end == ',' ? strtod(end + 1, NULL) : 0);
    }
}

/* xz reads the file as its standard input, so that no name has to be quoted for a shell.
 */
static FILE *open_trace(const char *path) {
    size_t length = strlen(path);
    if (!freopen(path, "r", stdin))
        fail(strerror(errno), path);
    return length > 3 && !strcmp(path + length - 3, ".xz") ? popen("xz -dc", "r") : stdin;
}

static policy policy_named(const char *name) {
    if (!strcmp(name, "gdsf"))
        return GDSF;
    if (strcmp(name, "lru"))
        fail("--policy is gdsf or lru, not ", name);
    return LRU;
}

int main(int count, char **arguments) {
    static const char *const names[] = {"framecache", "gdsf", "lru"};
    const char *path = NULL;
    state s = {.shares = fc__shares_prior};
    for (int i = 1; i < count; i += 2) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (!strcmp(arguments[i], "--trace"))
            path = value;
        else if (!strcmp(arguments[i], "--bytes"))
            s.bytes = strtoull(value, NULL, 10);
        else if (!strcmp(arguments[i], "--policy"))
            s.policy = policy_named(value);
        else
            fail("unknown argument ", arguments[i]);
    }
    if (!path || !s.bytes)
        fail("usage: fc-evict --trace FILE.csv[.xz] --bytes N [--policy gdsf|lru]", "");
    FILE *trace = open_trace(path);
    if (!trace)
        fail("cannot run xz for ", path);
    run(&s, trace, path);
    if (trace != stdin && pclose(trace) != 0)
        fail("xz could not read ", path);
    printf("{\"policy\": \"%s\", \"bytes\": %llu, \"requests\": %llu, \"misses\": %llu, "
           "\"byte_requests\": %llu, \"byte_misses\": %llu, \"keys\": %u}\n",
           names[s.policy], (unsigned long long)s.bytes, (unsigned long long)s.requests,
           (unsigned long long)s.misses, (unsigned long long)s.byte_requests,
           (unsigned long long)s.byte_misses, s.count);
    for (uint32_t i = 0; i < s.count; i++)
        free(s.entries[i].key);
    free(s.entries);
    free(s.present);
    free(s.table);
    return 0;
}
