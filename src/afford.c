/* How a large put gets its room without waiting until pages are freed: it is charged
 * while it writes, and a thread evicts ahead of it. One put of all at a time, by a lock,
 * so that no two wait for each other's charge: docs/concurrency.md, "Making room". */
#include "engine.h"

#include <signal.h>

#define STEP_UNITS  (FC__LARGE_UNITS / 2)
#define PAYING      1 /* beside the janitor's lock */
#define PAUSE_NS    100000
#define MAX_RETRIES 64

struct fc__payment {
    fc_cache *cache;
    fc__lock lock;
    fc__owed owed;
    uint64_t total;
    _Atomic uint64_t claimed; /* pages that may be written once as many are paid */
    _Atomic uint64_t paid;
    pthread_mutex_t mutex; /* who pays: a record has one intent */
    pthread_t thread;
    _Atomic bool finished; /* the thread; what follows is its result */
    int status;
    fc__shortage shortage;
};

static void *evict_ahead(void *argument) {
    fc__payment *p = argument;
    p->status = fc__make_room_for(p->cache, &p->owed, &p->shortage);
    atomic_store(&p->finished, true);
    return NULL;
}

static bool start(fc__payment *p) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's */
    bool started = pthread_create(&p->thread, NULL, evict_ahead, p) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void release(fc__writer *writer) {
    fc__payment *p = writer->payment;
    writer->payment = NULL;
    fc__lock_release(writer->cache, &p->lock);
    pthread_mutex_destroy(&p->mutex);
    fc__free(p);
}

bool fc__pay_begin(fc__writer *writer, uint64_t units) {
    fc_cache *cache = writer->cache;
    if (units < FC__LARGE_UNITS || fc__budget_fits(cache, units) ||
        !cache->threads_allowed || cache->settings.threads < 2)
        return false;
    fc__payment *p = fc__malloc(sizeof *p);
    if (!p)
        return false;
    *p = (fc__payment){.cache = cache, .owed = {.units = units}, .total = units};
    if (fc__lock_try(cache, FC__LOCK_JANITOR, PAYING, &p->lock)) {
        fc__free(p);
        return false;
    }
    pthread_mutex_init(&p->mutex, NULL);
    writer->payment = p;
    if (start(p))
        return true;
    release(writer);
    return false;
}

/* Under the mutex. What is used goes up before what is owed comes down: see room.c. While
 * the thread is at it, the room is about to be there; after that it is made here, as it
 * is for any put, if others have taken it. */
static int pay_step(fc__writer *writer, uint64_t units, fc_error *error) {
    fc__payment *p = writer->payment;
    fc_cache *cache = writer->cache;
    int status = 0;
    for (int retries = 0; !status && retries < MAX_RETRIES;) {
        bool finished = atomic_load(&p->finished); /* before it is tried once more */
        if (fc__charge(cache, &cache->records[writer->record], units) == 0) {
            atomic_fetch_add(&p->paid, units);
            atomic_fetch_sub(&p->owed.units, units);
            FC__STEP("pay-charged");
            return 0;
        }
        if (!finished)
            fc__os_sleep_ns(PAUSE_NS);
        else if ((status = p->status) == 0) {
            status = fc__make_room_for(cache, &p->owed, &p->shortage);
            retries++;
        }
    }
    return fc__fail_budget(cache, p->total, &p->shortage, error);
}

static int pay_until(fc__writer *writer, uint64_t units, fc_error *error) {
    fc__payment *p = writer->payment;
    int status = 0;
    pthread_mutex_lock(&p->mutex);
    units = units < p->total ? units : p->total; /* pages at a border are claimed twice */
    while (!status && atomic_load(&p->paid) < units) {
        uint64_t left = p->total - atomic_load(&p->paid);
        status = pay_step(writer, left < STEP_UNITS ? left : STEP_UNITS, error);
    }
    pthread_mutex_unlock(&p->mutex);
    return status;
}

int fc__pay(fc__writer *writer, uint64_t units, fc_error *error) {
    fc__payment *p = writer->payment;
    if (!p)
        return 0;
    uint64_t claimed = atomic_fetch_add(&p->claimed, units) + units;
    return claimed <= atomic_load(&p->paid) ? 0 : pay_until(writer, claimed, error);
}

int fc__pay_rest(fc__writer *writer, fc_error *error) {
    return writer->payment ? pay_until(writer, writer->payment->total, error) : 0;
}

void fc__pay_end(fc__writer *writer) {
    fc__payment *p = writer->payment;
    if (!p)
        return;
    atomic_store(&p->owed.settled, true);
    pthread_join(p->thread, NULL);
    release(writer);
}
