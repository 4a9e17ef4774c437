/* The policy against others on traces made here, and the real cache against the policy.
 * FC_TRACE names a trace of `key,bytes` lines (.xz too) that is run as well, in a cache
 * of FC_TRACE_BYTES (512 MiB). */
#define main trace_main /* the very runner of fc-evict */
#include "bench/fc_evict.c"
#undef main

#include "support_proc.h"

typedef struct one {
    uint32_t key;
    uint64_t bytes;
} one;

typedef struct trace {
    one *requests;
    uint32_t count, keys;
    uint64_t all_bytes; /* of all keys */
} trace;

/* ---- Traces ---- */

static uint32_t seed;

static uint32_t dice(uint32_t sides) { /* xorshift; Marsaglia 2003 */
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % sides;
}

/* Small keys are asked for more often, about as 1 / rank. */
static uint32_t popular(uint32_t keys) {
    uint32_t bits = 0;
    while (keys >> bits > 1)
        bits++;
    uint32_t octave = dice(bits + 1);
    return (dice(1u << octave) + (1u << octave) - 1) % keys;
}

static uint64_t bytes_of(uint32_t key) {
    uint32_t mixed = key * 2654435761u;
    return 512ull << (mixed >> 29) << (mixed >> 28 & 1) | (mixed & 0x1ff0);
}

static uint32_t pick(const char *kind, uint32_t i, uint32_t keys) {
    switch (*kind) {
    case 's': /* steady */
        return popular(keys);
    case 'd': /* drifting */
        return popular(keys) + i / 20;
    case 'j': /* all new now and then */
        return popular(keys) + i / 8000 * keys;
    case 'c': /* scans between */
        return i % 1000 < 400 ? 1000000 + i : popular(keys);
    case 'l': /* a loop */
        return i % keys;
    default: /* the latest are asked for */
        return 1000000 + i / 4 - dice(keys);
    }
}

static trace make_trace(const char *kind, uint32_t count, uint32_t keys) {
    trace t = {.requests = calloc(count, sizeof *t.requests), .count = count};
    uint8_t *seen = calloc(1, 1 << 22);
    seed = 12345;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = pick(kind, i, keys);
        t.requests[i] = (one){key, bytes_of(key)};
        if (!seen[key])
            t.all_bytes += bytes_of(key), t.keys++;
        seen[key] = 1;
    }
    free(seen);
    return t;
}

/* ---- The policy alone ---- */

static void start(state *s, policy policy, uint64_t bytes) {
    *s = (state){.policy = policy, .bytes = bytes, .shares = fc__shares_prior};
}

static void ask(state *s, uint32_t key, uint64_t bytes) {
    char name[16];
    snprintf(name, sizeof name, "%u", key);
    request(s, name, bytes, 0);
}

static uint64_t finish(state *s) {
    for (uint32_t i = 0; i < s->count; i++)
        free(s->entries[i].key);
    free(s->entries);
    free(s->present);
    free(s->table);
    return s->misses;
}

static uint64_t misses_of(const trace *t, policy policy, uint64_t bytes) {
    state s;
    start(&s, policy, bytes);
    for (uint32_t i = 0; i < t->count; i++)
        ask(&s, t->requests[i].key, t->requests[i].bytes);
    return finish(&s);
}

static void policy_is_nowhere_much_worse_than_gdsf_and_better_in_sum(void **unused) {
    static const char *const kinds[] = {"steady", "drift", "jumps",
                                        "cuts",   "loop",  "recent"};
    uint64_t own = 0, gdsf = 0, lru = 0;
    (void)unused;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        trace t = make_trace(kinds[i], 24000, 3000);
        for (int part = 4; part <= 16; part *= 4) {
            uint64_t bytes = t.all_bytes / (uint64_t)part;
            uint64_t mine = misses_of(&t, OWN, bytes),
                     theirs = misses_of(&t, GDSF, bytes);
            print_message("%s 1/%d: own %llu, gdsf %llu\n", kinds[i], part,
                          (unsigned long long)mine, (unsigned long long)theirs);
            assert_true((double)mine <= 1.04 * (double)theirs);
            own += mine;
            gdsf += theirs;
            lru += misses_of(&t, LRU, bytes);
        }
        free(t.requests);
    }
    assert_true(own < gdsf - gdsf / 50);
    assert_true(own < lru - lru / 10);
}

/* ---- The real cache ---- */

static int64_t now_ns;

static int64_t fake_now(void *unused) {
    (void)unused;
    return now_ns;
}

static int64_t rows_of(uint64_t bytes) {
    return (int64_t)(bytes / 16) + 1;
}

/* `budget` and capacity, one process, no threads; each request comes in a tick of its
 * own; eviction goes no further than it must, as in the policy alone. */
static fc_cache *open_traced(const char *budget, const char *capacity) {
    fc_options options = options_in(private_dir());
    options.budget = budget;
    options.capacity = capacity;
    options.pool = "0";
    options.cold = "off";
    options.clock_ns = fake_now;
    now_ns = 1700000000ll * 1000000000;
    fc_cache *cache = open_with(&options);
    atomic_store(&cache->control->high_percent, 100);
    atomic_store(&cache->control->low_percent, 100);
    return cache;
}

static uint64_t charge_of(fc_cache *cache, const char *key) {
    fc_frame *frame;
    fc_info info = {.size = sizeof info};
    assert_int_equal(fc_get(cache, fc_str(key), FC_GET_PEEK, &frame, NULL), 0);
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    fc_frame_release(frame);
    return atomic_load(&cache->records[info.record].charged) * FC__PAGE;
}

/* True on a miss. */
static bool ask_cache(fc_cache *cache, const char *key, uint64_t bytes) {
    fc_frame *frame;
    int status = fc_get(cache, fc_str(key), 0, &frame, NULL);
    fc_frame_release(frame);
    if (!status)
        return false;
    assert_int_equal(status, FC_E_MISS);
    must_put(cache, key, rows_of(bytes), 1);
    return true;
}

typedef struct contest {
    fc_cache *cache, *scale; /* the second tells what a frame is charged */
    state policy;
    uint64_t misses, requests;
    uint64_t *charges; /* by rows, 0: not known yet */
    size_t most_rows;
} contest;

static void begin(contest *c, uint64_t bytes, const char *capacity) {
    char budget[32];
    *c = (contest){.most_rows = 1 << 22};
    c->charges = calloc(c->most_rows, sizeof *c->charges);
    c->scale = open_traced("64MiB", "64");
    c->cache = open_traced("2GiB", capacity);
    snprintf(budget, sizeof budget, "%llu",
             (unsigned long long)(bytes + c->cache->control_bytes));
    assert_int_equal(fc_cache_set_budget(c->cache, budget, NULL), 0);
    start(&c->policy, OWN, bytes);
}

static uint64_t charged(contest *c, uint64_t bytes) {
    uint64_t *known = &c->charges[rows_of(bytes)];
    assert_true((size_t)rows_of(bytes) < c->most_rows);
    if (!*known) {
        must_put(c->scale, "scale", rows_of(bytes), 1);
        *known = charge_of(c->scale, "scale");
    }
    return *known;
}

static void both(contest *c, uint32_t key, uint64_t bytes) {
    char name[16];
    snprintf(name, sizeof name, "k%u", key);
    now_ns += 1 << 23;
    c->requests++;
    ask(&c->policy, key, charged(c, bytes));
    c->misses += ask_cache(c->cache, name, bytes);
}

static void end(contest *c) {
    uint64_t misses = finish(&c->policy);
    print_message("%llu requests: cache %llu misses, policy %llu\n",
                  (unsigned long long)c->requests, (unsigned long long)c->misses,
                  (unsigned long long)misses);
    assert_true(c->misses > c->requests / 100);
    assert_true((double)c->misses < 1.02 * (double)misses);
    assert_true((double)c->misses > 0.98 * (double)misses);
    assert_true(stats_of(c->cache).evicted > 100);
    must_be_clean(c->cache);
    fc_cache_close(c->cache);
    fc_cache_close(c->scale);
    free(c->charges);
}

static void run_both(const char *kind, uint32_t requests, uint32_t keys, uint32_t part) {
    trace t = make_trace(kind, requests, keys);
    contest c;
    begin(&c, t.all_bytes / part, "8192");
    for (uint32_t i = 0; i < t.count; i++)
        both(&c, t.requests[i].key, t.requests[i].bytes);
    end(&c);
    free(t.requests);
}

static void cache_misses_as_often_as_its_policy(void **unused) {
    (void)unused;
    run_both("steady", 20000, 2000, 4);
    run_both("drift", 20000, 2000, 4);
}

/* So many that victims are taken from a sample, where the policy alone looks at all. */
static void cache_of_many_frames_misses_as_often_as_its_policy(void **unused) {
    (void)unused;
    run_both("steady", 40000, 10000, 2);
}

static void cache_misses_as_often_as_its_policy_on_a_given_trace(void **unused) {
    const char *path = getenv("FC_TRACE"), *bytes = getenv("FC_TRACE_BYTES");
    char line[256];
    contest c;
    (void)unused;

    if (!path)
        skip();
    FILE *file = open_trace(path);
    assert_non_null(file);
    begin(&c, bytes ? strtoull(bytes, NULL, 10) : 512 * MIB, "65536");
    while (fgets(line, sizeof line, file)) {
        unsigned key;
        unsigned long long size;
        if (sscanf(line, "%u,%llu", &key, &size) == 2)
            both(&c, key, size);
    }
    end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_is_nowhere_much_worse_than_gdsf_and_better_in_sum),
        cmocka_unit_test(cache_misses_as_often_as_its_policy),
        cmocka_unit_test(cache_of_many_frames_misses_as_often_as_its_policy),
        cmocka_unit_test(cache_misses_as_often_as_its_policy_on_a_given_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
