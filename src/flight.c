/* Single flight: of all callers of all processes that miss a key, one computes it.
 *
 * A flight is a byte-range lock on the key's hash, so a dead owner's is free at once.
 * Waiters sleep on the key's futex word, read before they look and try, and try the lock
 * again every 50 ms. A caller that owns a flight already does not wait, or two keys computed
 * crosswise would wait for each other: it takes the key's second lock, or computes without.
 * So does a waiter whose owner has not come back in FLIGHT_MAX (it may be stopped): the one
 * who gets the second lock computes, the others wait as long again. */
#include "engine.h"

#include <errno.h>
#include <string.h>

#define STEP_NS 50000000

struct fc_flight {
    fc_cache *cache;
    fc__hash hash;
    fc__lock lock; /* of either class; fd -1: computing without */
    pthread_t owner;
    uint32_t fork_generation;
    int64_t started_ns;
    fc_flight *next;
};

/* ---- This process's flights ---- */

static void list_add(fc_flight *flight) {
    fc_cache *cache = flight->cache;
    pthread_mutex_lock(&cache->lists_mutex);
    flight->next = atomic_load(&cache->flights);
    atomic_store(&cache->flights, flight);
    pthread_mutex_unlock(&cache->lists_mutex);
}

static void list_remove(fc_flight *flight) {
    fc_cache *cache = flight->cache;
    pthread_mutex_lock(&cache->lists_mutex);
    fc_flight *first = atomic_load(&cache->flights), *at = first;
    if (first == flight)
        atomic_store(&cache->flights, flight->next);
    while (at && at->next != flight)
        at = at->next;
    if (at && first != flight)
        at->next = flight->next;
    pthread_mutex_unlock(&cache->lists_mutex);
}

/* Whether the calling thread owns any flight; its own one of this key, started when. */
static bool owns(fc_cache *cache, fc__hash hash, int64_t *started_ns) {
    bool any = false;
    *started_ns = 0;
    if (!atomic_load_explicit(&cache->flights, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&cache->lists_mutex);
    for (const fc_flight *f = atomic_load(&cache->flights); f; f = f->next)
        if (pthread_equal(f->owner, pthread_self())) {
            any = true;
            if (f->hash.low == hash.low && f->hash.high == hash.high)
                *started_ns = f->started_ns;
        }
    pthread_mutex_unlock(&cache->lists_mutex);
    return any;
}

double fc__flight_elapsed(fc_cache *cache, fc__hash hash) {
    int64_t started;
    owns(cache, hash, &started);
    return started ? (double)(fc__os_monotonic_ns() - started) / 1e9 : 0;
}

static int begin_flight(fc_cache *cache, fc__hash hash, const fc__lock *lock,
                        fc_flight **out, fc_error *error) {
    fc_flight *flight = fc__calloc(1, sizeof *flight);
    *out = flight;
    if (!flight)
        return fc__fail(error, FC_E_NOMEM, "no memory for a flight");
    fc__cache_retain(cache);
    flight->cache = cache;
    flight->hash = hash;
    flight->lock = *lock;
    flight->owner = pthread_self();
    flight->fork_generation = fc__fork_generation();
    flight->started_ns = fc__os_monotonic_ns();
    list_add(flight);
    return 0;
}

void fc_flight_end(fc_flight *flight) {
    if (!flight)
        return;
    fc_cache *cache = flight->cache;
    if (flight->fork_generation == fc__fork_generation()) {
        list_remove(flight);
        fc__lock_release(cache, &flight->lock);
        fc__wait_bump(cache, flight->hash);
    }
    fc__free(flight);
    fc__cache_unref(cache);
}

/* ---- When to compute ---- */

/* An exponential variate: -ln(u), u uniform in (0, 1]. u = m / 2^k with m in [1, 2);
 * ln m = 2 atanh((m - 1) / (m + 1)), four terms of its series: right to 1e-5, without the
 * mathematical library. */
static double exponential(uint64_t random) {
    random |= 1;
    int zeros = __builtin_clzll(random);
    double m = (double)(random << zeros) / 9223372036854775808.0; /* 2^63 */
    double z = (m - 1) / (m + 1), q = z * z;
    double log_m = 2 * z * (1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7))));
    return 0.6931471805599453 * (zeros + 1) - log_m;
}

/* XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede
 * prevention", VLDB 2015): the nearer the expiry, measured in costs of computing, the
 * likelier is one caller to refresh ahead of it. Only where the cost is known. */
static bool wants_refresh(const fc_cache *cache, const fc_frame *frame) {
    const fc__handle *handle = fc__frame_handle(frame);
    const fc__record *record = &cache->records[handle->record];
    int64_t expires = atomic_load_explicit(&record->expires_ns, memory_order_relaxed);
    if (__builtin_expect(expires == FC__EXPIRES_NEVER, 1))
        return false;
    int64_t now = fc__now_ns(cache);
    if (now >= expires)
        return true;
    if (!(atomic_load_explicit(&record->flags, memory_order_relaxed) & FC__RECORD_COST))
        return false;
    double cost = fc__record_cost(record), left = (double)fc__span(now, expires);
    if (left > cost * 40e9) /* less likely than e^-40 */
        return false;
    return left <= exponential(fc__os_random()) * cost * 1e9;
}

static uint64_t sequence_of(const fc_frame *frame) {
    return frame ? fc__frame_handle(frame)->manifest->sequence : 0;
}

static bool missed(int status) {
    return status == FC_E_MISS || status == FC_E_CORRUPT;
}

/* With the lock held, what is there now: another owner may have just put it. Takes the
 * place of *frame. *served: it need not be computed. A frame that could not be had (it is
 * compressed, and FC_GET_NOWAIT) is there: that is the answer, unless an older one serves. */
static int look_again(fc_cache *cache, fc_bytes key, uint32_t flags, fc_frame **frame,
                      bool *served, fc_error *error) {
    fc_frame *now;
    uint64_t before = sequence_of(*frame);
    int status = fc_get(cache, key, flags | FC_GET_PEEK, &now, error);
    *served = status && !missed(status);
    if (*served)
        return *frame ? 0 : status;
    fc_frame_release(*frame);
    *frame = now;
    *served = now && sequence_of(now) != before && !wants_refresh(cache, now);
    return 0;
}

static int take_flight(fc_cache *cache, fc_bytes key, fc__hash hash, uint32_t flags,
                       fc__lock_class class, fc_frame **frame, fc_flight **flight,
                       fc_error *error) {
    fc__lock lock;
    char text[80];
    int status = fc__lock_try(cache, class, hash.low, &lock);
    if (status == FC_E_BUSY)
        return *frame ? 0
                      : fc__fail(error, status, "another caller is computing key '%s': wait "
                                 "and begin again", fc__key_text(text, key));
    if (status && *frame)
        return 0; /* served stale; somebody else may refresh it */
    if (status)
        return fc__fail_errno(error, status, errno, "cannot lock the flight of key '%s'",
                              fc__key_text(text, key));
    FC__STEP("flight-locked");
    bool served;
    status = look_again(cache, key, flags, frame, &served, error);
    if (!served)
        status = begin_flight(cache, hash, &lock, flight, error);
    if (!*flight)
        fc__lock_release(cache, &lock);
    return status && *frame ? 0 : status;
}

static inline bool is_served(const fc_cache *cache, int status, const fc_frame *frame) {
    return !status && !wants_refresh(cache, frame);
}

/* After a get that gave `status`, and *frame if that is 0, but did not serve. */
static int begin_after(int status, fc_cache *cache, fc_bytes key, uint32_t flags,
                       fc__lock_class class, fc_frame **frame, fc_flight **flight,
                       fc_error *error) {
    int64_t started;
    char text[80];
    *flight = NULL;
    if ((status && !missed(status)) || cache->read_only)
        return status;
    fc__hash hash = fc__hash_key(cache, key);
    if (owns(cache, hash, &started) && started)
        return *frame ? 0
                      : fc__fail(error, FC_E_DEADLOCK, "this thread is computing key '%s' "
                                 "already: a compute must not ask for its own key",
                                 fc__key_text(text, key));
    return take_flight(cache, key, hash, flags, class, frame, flight, error);
}

int fc_flight_begin(fc_cache *cache, fc_bytes key, uint32_t flags, fc_frame **frame,
                    fc_flight **flight, fc_error *error) {
    bool second = flags & FC_FLIGHT_SECOND;
    fc__lock_class class = second ? FC__LOCK_FLIGHT_2 : FC__LOCK_FLIGHT;
    *flight = NULL;
    flags &= ~FC_FLIGHT_SECOND;
    int status = fc_get(cache, key, flags, frame, error);
    if (is_served(cache, status, *frame))
        return 0;
    status = begin_after(status, cache, key, flags, class, frame, flight, error);
    if (*flight) {
        fc__count(cache, FC__COUNT_computed, 1);
        fc__count(cache, FC__COUNT_computed_twice, second);
    }
    return status;
}

/* ---- get_or_compute ---- */

typedef struct call {
    fc_cache *cache;
    fc_bytes key;
    fc__hash hash;
    uint32_t flags;
    fc_compute_fn compute;
    void *context;
    bool waited;
} call;

/* What the function says of its failure stands; that it says nothing, or speaks of another
 * error than it returns, is told. */
static int tell_failure(const call *c, int status, fc_error *error) {
    char text[80];
    fc__key_text(text, c->key);
    if (!error || (error->code == status && error->message[0]))
        return status;
    if (error->message[0])
        return fc__fail_prefix(error, status, "the function that computes key '%s' failed with "
                               "%d: ", text, status);
    return fc__fail(error, status, "the function that computes key '%s' failed with %d (%s) "
                    "and gave no reason", text, status, fc_error_name(status));
}

/* What it has put, without saying which frame that is. */
static int look_up(const call *c, fc_frame **out, fc_error *error) {
    char text[80];
    int status = fc_get(c->cache, c->key, FC_GET_PEEK, out, error);
    if (status != FC_E_MISS)
        return status;
    return fc__fail_prefix(error, status, "the function that computes key '%s' returned 0, but "
                           "put nothing, or what it put has gone already (put the key, or "
                           "return an error): ", fc__key_text(text, c->key));
}

static int call_compute(const call *c, fc_frame **out, fc_error *error) {
    if (error) /* it tells of the look-up, not of this */
        *error = (fc_error){.miss_age_ms = -1};
    int status = c->compute(c->context, c->cache, c->key, out, error);
    if (status)
        return tell_failure(c, status, error);
    return *out ? 0 : look_up(c, out, error);
}

/* Computes and ends the flight. A stale frame serves if that fails. */
static int run_compute(const call *c, fc_flight *flight, fc_frame *stale, fc_frame **out,
                       fc_error *error) {
    fc__count(c->cache, FC__COUNT_computed, 1);
    int status = call_compute(c, out, error);
    fc_flight_end(flight);
    if (status) {
        fc_frame_release(*out);
        *out = stale;
        return stale ? 0 : status;
    }
    fc_frame_release(stale);
    return 0;
}

/* Without a lock, but known to this thread: its own key is a deadlock here too. */
static int compute_without(const call *c, fc_frame **out, fc_error *error) {
    fc__lock none = {.fd = -1};
    fc_flight *flight;
    int status = begin_flight(c->cache, c->hash, &none, &flight, error);
    fc__count(c->cache, FC__COUNT_computed_twice, 1);
    return status ? status : run_compute(c, flight, NULL, out, error);
}

/* With what begin_after() has come to. */
static int take_turn(const call *c, fc__lock_class class, int status, fc_frame *frame,
                     fc_flight *flight, fc_frame **out, bool *again, fc_error *error) {
    *again = false;
    if (flight) {
        if (c->waited && !frame) /* the owner died, or ended without a put */
            fc__count(c->cache, FC__COUNT_flights_inherited, 1);
        if (class == FC__LOCK_FLIGHT_2)
            fc__count(c->cache, FC__COUNT_computed_twice, 1);
        return run_compute(c, flight, frame, out, error);
    }
    *out = frame;
    *again = status == FC_E_BUSY;
    return status;
}

/* After a get that gave `status`, and *frame if that is 0, but did not serve. *again: another
 * computes. A frame that only has to be decompressed is computed by nobody. */
static int go_on(const call *c, fc__lock_class class, int status, fc_frame *frame,
                 fc_frame **out, bool *again, fc_error *error) {
    fc_flight *flight;
    *again = false;
    if (status == FC_E_BUSY && (c->flags & FC_GET_NOWAIT))
        return status;
    status = begin_after(status, c->cache, c->key, c->flags, class, &frame, &flight, error);
    return take_turn(c, class, status, frame, flight, out, again, error);
}

static int try_class(const call *c, fc__lock_class class, fc_frame **out, bool *again,
                     fc_error *error) {
    fc_frame *frame;
    int status = fc_get(c->cache, c->key, c->flags, &frame, error);
    if (!is_served(c->cache, status, frame))
        return go_on(c, class, status, frame, out, again, error);
    *again = false;
    *out = frame;
    return 0;
}

static int wait_for_owner(const call *c, int64_t limit_ns, bool owner, fc_frame **out,
                          fc_error *error) {
    int64_t start = fc__os_monotonic_ns();
    bool again = true;
    int status = FC_E_BUSY;
    fc__count(c->cache, FC__COUNT_flight_waits, 1);
    while (again) {
        uint32_t seen = fc__wait_prepare(c->cache, c->hash);
        int64_t waited = fc__os_monotonic_ns() - start;
        status = try_class(c, FC__LOCK_FLIGHT, out, &again, error);
        if (again && (owner || waited >= limit_ns))
            status = try_class(c, FC__LOCK_FLIGHT_2, out, &again, error);
        if (again && (owner || waited >= 2 * limit_ns))
            return compute_without(c, out, error);
        if (again)
            fc__wait_sleep(c->cache, c->hash, seen, STEP_NS);
    }
    fc__count(c->cache, FC__COUNT_flight_wait_ns,
              (uint64_t)(fc__os_monotonic_ns() - start));
    return status;
}

static int compute_or_wait(const call *c, int status, fc_frame *frame, int64_t wait_ms,
                           fc_frame **out, fc_error *error) {
    call waiting = *c;
    int64_t started;
    bool again;
    status = go_on(c, FC__LOCK_FLIGHT, status, frame, out, &again, error);
    if (!again)
        return status;
    waiting.hash = fc__hash_key(c->cache, c->key);
    waiting.waited = true;
    if (wait_ms == 0)
        wait_ms = c->cache->settings.flight_max_ms;
    if (wait_ms > INT64_MAX / 4000000)
        wait_ms = INT64_MAX / 4000000;
    return wait_for_owner(&waiting, wait_ms * 1000000,
                          owns(c->cache, waiting.hash, &started), out, error);
}

int fc_get_or_compute(fc_cache *cache, fc_bytes key, uint32_t flags, int64_t wait_ms,
                      fc_compute_fn compute, void *context, fc_frame **out,
                      fc_error *error) {
    *out = NULL;
    if (!compute || wait_ms < 0)
        return fc__fail(error, FC_E_INVALID, "fc_get_or_compute() takes a function, and a "
                        "wait of 0 ms (the setting) or more");
    int status = fc_get(cache, key, flags, out, error);
    if (__builtin_expect(is_served(cache, status, *out), 1))
        return 0;
    call c = {.cache = cache,
              .key = key,
              .flags = flags,
              .compute = compute,
              .context = context};
    fc_frame *frame = *out; /* stale, or soon to expire */
    *out = NULL;
    return compute_or_wait(&c, status, frame, wait_ms, out, error);
}
