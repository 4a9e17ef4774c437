/* Six processes of two threads each put, replace, build, get, hold, delete, expire, evict,
 * compress and list the same 50 keys, while one of them is killed every 50 ms: half of the
 * time at any instant, half at the next pass of a step of the protocol. The model stands in
 * shared memory: every frame says which put it came from, so that a reader knows whether it
 * is whole; the highest sequence anybody has seen of a key, and the lowest that may still be
 * seen after a delete, say whether it is stale; a frame is never served past its expiry; a
 * key that nobody may drop is always there. */
#include "support_proc.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 6
#define THREADS   2
#define KEYS      50
#define KEPT      10 /* keys that nobody deletes */
#define HELD      3  /* frames that a thread holds at once */
#define KILL_MS   50

/* All that src/ has but that of creation; a killed process dies at one, or anywhere. */
static const char *const steps[] = {
    "charge-intent",    "charge-used",      "charge-charged",     "uncharge-intent",
    "uncharge-charged", "uncharge-used",    "put-writing",        "put-charged",
    "put-manifest",     "put-segment",      "put-key-locked",     "put-committed",
    "put-live",         "put-published",    "delete-unslotted",   "evict-leased",
    "evict-unslotted",  "reclaim-marked",   "reclaim-unlinked",   "reclaim-uncharged",
    "unlink-manifest",  "pool-writing",     "cold-flagged",       "cold-file",
    "cold-blocks",      "cold-unlinked",    "move-live",          "move-replaced",
    "promote-leased",   "pay-charged",      "reclaim-cut",        "cold-sampled"};
#define STEPS ((int)(sizeof steps / sizeof *steps))

typedef struct counts {
    _Atomic uint64_t gets, misses, puts, deletes, conflicts, no_room, builds, walks;
    _Atomic uint64_t demotes, evicts, shortened, expired, busy;
    _Atomic uint64_t torn, stale, undead, lost, outlived, errors;
} counts;

typedef struct shared {
    _Atomic uint64_t version;
    _Atomic uint64_t seen[KEYS];  /* the highest sequence of the key */
    _Atomic uint64_t floor[KEYS]; /* what was deleted lies below */
    _Atomic bool ever[KEYS];
    _Atomic int doom[PROCESSES]; /* 1 + the step to die at; 0: none */
    _Atomic uint64_t died_at[STEPS];
    _Atomic bool stop;
    counts count;
} shared;

static shared *all;
static const char *dir, *budget, *spill;
static bool may_vanish; /* by eviction */
static int self;        /* this process's number */

static void complain(const char *what, int key, uint64_t a, uint64_t b) {
    fprintf(stderr, "torture: %s: key %d (%llu, %llu)\n", what, key,
            (unsigned long long)a, (unsigned long long)b);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void raise_to(_Atomic uint64_t *word, uint64_t value) {
    uint64_t seen = atomic_load(word);
    while (seen < value && !atomic_compare_exchange_weak(word, &seen, value))
        ;
}

static fc_bytes name_of(char out[16], int key) {
    snprintf(out, 16, "key-%02d", key);
    return fc_str(out);
}

/* ---- Values: version and key are in the first row, and say how many rows there are ----
 */

static int64_t first_of(uint64_t version, int key) {
    return (int64_t)(version << 26 | (uint64_t)key << 20);
}

static int64_t rows_of(uint64_t version, int key) {
    uint64_t z = (version * 0x9e3779b97f4a7c15u) ^ (uint64_t)key;
    z ^= z >> 29;
    if (z % 3 == 0)
        return 1;
    if (key % 4 == 0 && z % 3 == 1)
        return (int64_t)(20000 + z % 200000);
    return (int64_t)(1 + z % 9000);
}

static bool is_whole(const fc_frame *frame, int key) {
    const fc_column *v;

    if (fc_frame_column(frame, "v", FC_TYPE_INT64, &v, NULL) || v->rows < 1)
        return false;
    int64_t first = ((const int64_t *)v->values)[0];
    uint64_t version = (uint64_t)first >> 26;
    return first == first_of(version, key) && version <= atomic_load(&all->version) &&
           are_numbers(frame, rows_of(version, key), first);
}

/* ---- What a thread does ---- */

typedef struct worker {
    fc_cache *cache;
    uint64_t random;
    struct {
        fc_frame *frame;
        int key;
    } held[HELD];
} worker;

static void let_go(worker *w, int place) {
    if (w->held[place].frame && !is_whole(w->held[place].frame, w->held[place].key)) {
        all->count.torn++;
        complain("a held frame changed", w->held[place].key, 0, 0);
    }
    fc_frame_release(w->held[place].frame);
    w->held[place].frame = NULL;
}

/* No frame: of a key that may go, or one that was never there. Damage there is none. */
static void judge_miss(int key, bool ever, const fc_error *error) {
    all->count.misses++;
    all->count.expired += error->miss == FC_MISS_EXPIRED;
    if ((!may_vanish && key < KEPT && ever) || error->miss == FC_MISS_CORRUPT ||
        (!may_vanish && error->miss == FC_MISS_EVICTED)) {
        all->count.lost++;
        complain(error->message, key, (uint64_t)error->miss, 0);
    }
}

/* A frame that is decompressed needs room like a put, and one getter of the machine. */
static void judge_get(int status, int key, bool ever, const fc_error *error) {
    if (status == FC_E_MISS)
        judge_miss(key, ever, error);
    else if (status == FC_E_BUDGET)
        all->count.no_room++;
    else if (status == FC_E_BUSY)
        all->count.busy++;
    else {
        all->count.errors++;
        complain(error->message, key, (uint64_t)-status, 0);
    }
}

static void get(worker *w, int key) {
    char name[16];
    fc_frame *frame;
    fc_error error = {0};
    fc_info info = {.size = sizeof info};
    uint64_t seen = atomic_load(&all->seen[key]), floor = atomic_load(&all->floor[key]);
    bool ever = atomic_load(&all->ever[key]);
    int64_t now = fc__now_ns(w->cache);
    int status = fc_get(w->cache, name_of(name, key), 0, &frame, &error);

    all->count.gets++;
    if (status) {
        judge_get(status, key, ever, &error);
        return;
    }
    uint64_t sequence = sequence_of(frame);
    if (fc_frame_info(frame, &info, NULL) || info.expires_ns <= now) {
        all->count.outlived++;
        complain("expired, but served", key, (uint64_t)info.expires_ns, (uint64_t)now);
    }
    if (sequence < seen) {
        all->count.stale++;
        complain("stale", key, sequence, seen);
    }
    if (sequence < floor) {
        all->count.undead++;
        complain("deleted, but back", key, sequence, floor);
    }
    raise_to(&all->seen[key], sequence);
    if (!is_whole(frame, key)) {
        all->count.torn++;
        complain("torn", key, sequence, 0);
    }
    int place = (int)(next_random(&w->random) % HELD);
    let_go(w, place);
    w->held[place].frame = frame;
    w->held[place].key = key;
    if (next_random(&w->random) % 4)
        let_go(w, place);
}

static void judge_put(int status, int key, fc_frame *frame, const fc_error *error) {
    switch (status) {
    case 0:
        all->count.puts++;
        if (frame)
            raise_to(&all->seen[key], sequence_of(frame));
        atomic_store(&all->ever[key], true);
        fc_frame_release(frame);
        break;
    case FC_E_BUDGET:
        all->count.no_room++;
        break;
    case FC_E_CONFLICT:
        all->count.conflicts++;
        break;
    default:
        all->count.errors++;
        complain(error->message, key, (uint64_t)-status, 0);
    }
}

static void put(worker *w, int key) {
    char name[16];
    fc_frame *frame = NULL;
    fc_error error = {0};
    uint64_t version = ++all->version, kind = next_random(&w->random) % 8;
    fc_put_options options = {.size = sizeof options};

    if (kind == 0)
        options.expect = FC_ABSENT;
    else if (kind == 1)
        options.expect = atomic_load(&all->seen[key]);
    int status =
        put_numbers(w->cache, name_of(name, key), rows_of(version, key),
                    first_of(version, key), &options, kind > 3 ? &frame : NULL, &error);
    judge_put(status, key, frame, &error);
}

static void build(worker *w, int key) {
    char name[16];
    fc_build *builder;
    fc_frame *frame = NULL;
    fc_error error = {0};
    uint64_t version = ++all->version;
    int64_t rows = rows_of(version, key);
    /* More room than rows: what is over is given back. */
    int64_t room = rows + (int64_t)(next_random(&w->random) % 1000);
    int status = begin_numbers(w->cache, name_of(name, key), room, first_of(version, key),
                               NULL, &builder, &error);

    all->count.builds++;
    if (!status && next_random(&w->random) % 8 == 0) {
        fc_build_abort(builder);
        return;
    }
    if (!status)
        status = fc_build_commit(builder, rows, &frame, &error);
    else if (builder)
        fc_build_abort(builder);
    judge_put(status, key, frame, &error);
}

static void delete_one(worker *w, int key) {
    char name[16];
    fc_error error = {0};

    if (key < KEPT)
        return;
    uint64_t seen = atomic_load(&all->seen[key]);
    int status = fc_delete(w->cache, name_of(name, key), &error);
    if (status && status != FC_E_MISS) {
        all->count.errors++;
        complain(error.message, key, 0, 0);
        return;
    }
    all->count.deletes++;
    raise_to(&all->floor[key], seen + 1);
}

static void compress_one(worker *w, int key) {
    char name[16];

    name_of(name, key);
    if (demote(w->cache, name) == FC__DONE)
        all->count.demotes++;
}

/* Whichever is worth least; all go in time. */
static void evict_one(worker *w) {
    if (may_vanish && fc__evict_one(w->cache, NULL))
        all->count.evicts++;
}

/* Of any key that may go: it ends while others get, replace or compress it. */
static void shorten_one(worker *w, int key) {
    char name[16];
    fc_error error = {0};

    if (key < KEPT)
        return;
    int status =
        fc_touch(w->cache, name_of(name, key), 1 + (int64_t)(w->random % 30), &error);
    if (status && status != FC_E_MISS) {
        all->count.errors++;
        complain(error.message, key, 0, 0);
    } else if (!status)
        all->count.shortened++;
}

static void walk(worker *w) {
    fc_cursor *cursor;
    fc_error error = {0};
    fc_info info = {.size = sizeof info};
    uint64_t met = 0;
    int status = fc_cursor_open(w->cache, fc_str("key-"), &cursor, &error);

    all->count.walks++;
    while (!status && (status = fc_cursor_next(cursor, &info, &error)) == 0) {
        int key = info.key.size == 6 ? atoi((const char *)info.key.data + 4) : KEYS;
        if (key >= KEYS || met >> key & 1) {
            all->count.errors++;
            complain("a cursor gave a key twice, or none of ours", key, met, 0);
        } else
            met |= 1ull << key;
    }
    if (status != FC_DONE) {
        all->count.errors++;
        complain(error.message, -1, 0, 0);
    }
    fc_cursor_close(cursor);
}

static void keep_house(worker *w, uint64_t choice) {
    char name[16];
    fc_error error = {0};
    int status = 0, key = KEPT + (int)(next_random(&w->random) % (KEYS - KEPT));

    if (choice == 0)
        status = fc_cache_tick(w->cache, 0, NULL, &error);
    else if (choice == 1)
        status = fc_cache_tick(w->cache, FC_TICK_FULL, NULL, &error);
    else if (choice == 2)
        status = fc_touch(w->cache, name_of(name, key), FC_NEVER, &error);
    else if (choice == 3)
        status = fc_contains(w->cache, name_of(name, key), &error);
    else
        walk(w);
    if (status && status != FC_E_MISS) {
        all->count.errors++;
        complain(error.message, key, choice, 0);
    }
}

static void *work(void *argument) {
    worker *w = argument;

    while (!atomic_load(&all->stop)) {
        uint64_t choice = next_random(&w->random) % 230;
        int key = (int)(next_random(&w->random) % KEYS);
        if (choice < 100)
            get(w, key);
        else if (choice < 165)
            put(w, key);
        else if (choice < 175)
            build(w, key);
        else if (choice < 192)
            delete_one(w, key);
        else if (choice < 200)
            keep_house(w, choice - 192);
        else if (choice < 220)
            compress_one(w, key);
        else if (choice < 228)
            shorten_one(w, key);
        else
            evict_one(w);
    }
    for (int i = 0; i < HELD; i++)
        let_go(w, i);
    return NULL;
}

/* ---- Processes ---- */

static void die_if_doomed(const char *step) {
    int doom = atomic_load_explicit(&all->doom[self], memory_order_relaxed);

    if (!doom || strcmp(step, steps[doom - 1]))
        return;
    atomic_fetch_add(&all->died_at[doom - 1], 1);
    kill(getpid(), SIGKILL);
}

static fc_options options_of_all(void) {
    return (fc_options){.size = sizeof(fc_options),
                        .dir = dir,
                        .budget = budget,
                        .capacity = "256",
                        .cold = "on",
                        .spill_dir = spill,
                        .spill_budget = "3MiB",
                        .reclaim_wait = "2s"};
}

static void live(void *seed) {
    worker workers[THREADS] = {{0}};
    pthread_t threads[THREADS];
    fc_options options = options_of_all();

    fc__step_hook = die_if_doomed;
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < THREADS; i++) {
        workers[i].cache = cache;
        workers[i].random = *(uint64_t *)seed * 7919 + (uint64_t)i + 1;
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fc_cache_close(cache);
}

static pid_t start(int number, uint64_t *random) {
    uint64_t seed = next_random(random);

    self = number;
    atomic_store(&all->doom[number], 0);
    return spawn(live, &seed);
}

/* Kills at once, or dooms. Who died at its step is started again in passing. */
static void kill_some(pid_t pids[PROCESSES], uint64_t *random, uint64_t *kills) {
    int victim = (int)(next_random(random) % PROCESSES), state;

    for (int i = 0; i < PROCESSES; i++)
        if (waitpid(pids[i], &state, WNOHANG) == pids[i]) {
            if (!WIFSIGNALED(state) || WTERMSIG(state) != SIGKILL) {
                all->count.errors++;
                complain("a process ended by itself", i, (uint64_t)state, 0);
            }
            ++*kills;
            pids[i] = start(i, random);
        }
    if (next_random(random) % 2) {
        int doom = 1 + (int)(next_random(random) % STEPS);
        atomic_store(&all->doom[victim], doom);
        return;
    }
    kill_and_reap(pids[victim]);
    ++*kills;
    pids[victim] = start(victim, random);
}

/* By itself, or at a step that it met before it was spared. */
static void await_end(pid_t pid) {
    int state = 0;
    pid_t got;

    for (int64_t end = now_ms() + 120000; (got = waitpid(pid, &state, WNOHANG)) == 0;) {
        assert_true(now_ms() < end);
        sleep_ms(1);
    }
    assert_int_equal(got, pid);
    assert_true((WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL) || state == 0);
}

static void report(uint64_t kills) {
    const counts *c = &all->count;

    printf(
        "torture: %llu gets (%llu misses), %llu puts (%llu builds, %llu conflicts, %llu "
        "without room, %llu busy), %llu deletes, %llu walks, %llu demotes, %llu evicts, "
        "%llu shortened (%llu met as expired), %llu kills; at steps:",
        (unsigned long long)c->gets, (unsigned long long)c->misses,
        (unsigned long long)c->puts, (unsigned long long)c->builds,
        (unsigned long long)c->conflicts, (unsigned long long)c->no_room,
        (unsigned long long)c->busy, (unsigned long long)c->deletes,
        (unsigned long long)c->walks, (unsigned long long)c->demotes,
        (unsigned long long)c->evicts, (unsigned long long)c->shortened,
        (unsigned long long)c->expired, (unsigned long long)kills);
    for (int i = 0; i < STEPS; i++)
        printf(" %s %llu", steps[i], (unsigned long long)all->died_at[i]);
    printf("\n");
}

/* A history without one of its operations shows nothing of it. */
static void check_that_all_happened(fc_cache *cache) {
    const counts *c = &all->count;
    fc_stats stats = stats_of(cache);

    printf("torture: %llu demoted, %llu promoted, %llu evicted, %llu expired, %llu replaced, "
           "%llu spill errors\n",
           (unsigned long long)stats.demoted, (unsigned long long)stats.promoted,
           (unsigned long long)stats.evicted, (unsigned long long)stats.expired,
           (unsigned long long)stats.replaced, (unsigned long long)stats.spill_errors);
    assert_true(c->puts > 0 && c->builds > 0 && c->gets > c->misses && c->walks > 0);
    assert_true(c->deletes > 0 && stats.replaced > 0);
    assert_true(c->demotes > 0 && stats.demoted > 0 && stats.promoted > 0);
    assert_true(c->shortened > 0 && c->expired > 0 && stats.expired > 0);
    assert_true(!may_vanish || (c->evicts > 0 && stats.evicted > 0));
    assert_true(c->busy * 50 < c->gets);
    assert_int_equal(stats.spill_errors, 0);
}

static void check_what_is_left(void) {
    fc_options options = options_of_all();

    options.flags = FC_NO_THREADS;
    options.janitor = "off";
    worker w = {.cache = open_with(&options), .random = 1};
    must_be_clean(w.cache);
    check_that_all_happened(w.cache);
    for (int key = 0; key < KEYS; key++)
        get(&w, key);
    for (int i = 0; i < HELD; i++)
        let_go(&w, i);
    fc_cache_close(w.cache);
}

static void torture(int seconds) {
    pid_t pids[PROCESSES];
    uint64_t random = (uint64_t)now_ms() * 88172645463325252u + 1, kills = 0;

    dir = private_dir();
    all = shared_memory(sizeof *all);
    printf("torture: seed %llu\n", (unsigned long long)random);
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start(i, &random);
    for (int64_t end = now_ms() + seconds * 1000; now_ms() < end;) {
        sleep_ms(KILL_MS);
        kill_some(pids, &random, &kills);
    }
    for (int i = 0; i < PROCESSES; i++)
        atomic_store(&all->doom[i], 0);
    atomic_store(&all->stop, true);
    for (int i = 0; i < PROCESSES; i++)
        await_end(pids[i]);
    report(kills);
    check_what_is_left();
    assert_int_equal(all->count.torn, 0);
    assert_int_equal(all->count.stale, 0);
    assert_int_equal(all->count.undead, 0);
    assert_int_equal(all->count.lost, 0);
    assert_int_equal(all->count.outlived, 0);
    assert_int_equal(all->count.errors, 0);
    assert_true(kills > 0);
}

static void
killed_processes_leave_whole_frames_and_exact_accounts_while_evicting(void **state) {
    (void)state;
    budget = "12MiB";
    spill = NULL;
    may_vanish = true;
    torture(torture_seconds(20));
}

static void killed_processes_leave_nothing_in_a_spill_directory(void **state) {
    (void)state;
    budget = "12MiB";
    spill = private_dir();
    may_vanish = true;
    torture(torture_seconds(8));
}

/* With room enough, a key that was put and never deleted must always be there. */
static void killed_processes_lose_no_frame_when_there_is_room(void **state) {
    (void)state;
    budget = "512MiB";
    spill = NULL;
    may_vanish = false;
    torture(torture_seconds(6));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            killed_processes_leave_whole_frames_and_exact_accounts_while_evicting),
        cmocka_unit_test(killed_processes_leave_nothing_in_a_spill_directory),
        cmocka_unit_test(killed_processes_lose_no_frame_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
