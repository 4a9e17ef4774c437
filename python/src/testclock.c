/* framecache.testing: a cache whose time a test sets. */
#include "core.h"

#include <time.h>

#define REAL_TIME INT64_MIN

static int64_t test_clock(void *context) {
    int64_t now_ns = atomic_load((_Atomic int64_t *)context);
    struct timespec now;

    if (now_ns != REAL_TIME)
        return now_ns;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Puts `fresh` in the place of the cache that the caller has entered, and leaves; the one
 * that is to be closed stands in `fresh` then. False: others are in the old one. */
static bool exchange(core_cache *self, fc_cache **fresh) {
    fc_cache *old = self->cache;

    if (self->users != 1 || self->closed) {
        core_cache_leave(self);
        return false;
    }
    self->users = 0;
    self->cache = *fresh;
    *fresh = old;
    return true;
}

/* _attach_for_tests(flags, settings): attaches anew, with a clock that _set_test_clock()
 * sets. Nothing may go on meanwhile: it was begun under the real one. Frames stay. */
PyObject *core_attach_for_tests(PyObject *op, PyObject *args) {
    core_cache *self = (core_cache *)op;
    _Atomic int64_t *clock;
    PyObject *settings;
    fc_cache *fresh;
    fc_options options;
    fc_error error;
    unsigned int flags;
    int rc;

    if (!PyArg_ParseTuple(args, "IO!", &flags, &PyDict_Type, &settings) ||
        core_options_fill(&options, flags, settings) || !core_cache_enter(self))
        return NULL;
    /* Never freed, once in use: frames ask for the time until the last is released. */
    if (!(clock = PyMem_Malloc(sizeof *clock))) {
        core_cache_leave(self);
        return PyErr_NoMemory();
    }
    atomic_init(clock, REAL_TIME);
    options.clock_ns = test_clock;
    options.clock_context = clock;
    Py_BEGIN_ALLOW_THREADS rc = fc_cache_open(&fresh, &options, &error);
    Py_END_ALLOW_THREADS if (rc) {
        PyMem_Free(clock);
        core_cache_leave(self);
        return core_raise(self->state, &error, NULL);
    }
    bool done = exchange(self, &fresh);
    if (done)
        self->test_clock_ns = clock;
    Py_BEGIN_ALLOW_THREADS fc_cache_close(fresh);
    Py_END_ALLOW_THREADS if (!done) {
        PyMem_Free(clock);
        PyErr_SetString(PyExc_RuntimeError,
                        "the clock cannot change while calls, builds, flights or "
                        "iterations of this Cache go on");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* _set_test_clock(ns since 1970, or None: the real time): False without such a clock. */
PyObject *core_set_test_clock(PyObject *op, PyObject *now) {
    core_cache *self = (core_cache *)op;
    long long now_ns = now == Py_None ? REAL_TIME : PyLong_AsLongLong(now);

    if (PyErr_Occurred())
        return NULL;
    if (self->test_clock_ns)
        atomic_store(self->test_clock_ns, now_ns);
    return PyBool_FromLong(self->test_clock_ns != NULL);
}
