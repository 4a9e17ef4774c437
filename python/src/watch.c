/* Watches: descriptors for event loops, as capsules. They do not keep the cache open: a
 * watch of a closed one is readable. */
#include "core.h"

static const char capsule_name[] = "framecache.watch";

typedef struct held_watch {
    fc_watch *watch; /* NULL once closed */
} held_watch;

static void watch_destroy(PyObject *capsule) {
    held_watch *held = PyCapsule_GetPointer(capsule, capsule_name);

    fc_watch_close(held->watch);
    PyMem_Free(held);
}

/* Takes the watch over, also on failure. */
static PyObject *watch_pair(fc_watch *watch) {
    held_watch *held = PyMem_Malloc(sizeof *held);
    PyObject *capsule;

    if (!held) {
        fc_watch_close(watch);
        return PyErr_NoMemory();
    }
    held->watch = watch;
    if (!(capsule = PyCapsule_New(held, capsule_name, watch_destroy))) {
        fc_watch_close(watch);
        PyMem_Free(held);
        return NULL;
    }
    return Py_BuildValue("(Ni)", capsule, fc_watch_fd(watch));
}

/* _watch_open(key, sequence) -> (watch, descriptor), or None: there can be none. */
PyObject *core_watch_open(PyObject *op, PyObject *args) {
    core_cache *self = (core_cache *)op;
    PyObject *object, *result = NULL;
    unsigned long long sequence;
    fc_watch *watch;
    fc_cache *cache;
    fc_error error;
    core_key key;
    int rc;

    if (!PyArg_ParseTuple(args, "OK", &object, &sequence) || core_key_parse(object, &key))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        rc = fc_watch_open(cache, key.bytes, sequence, &watch, &error);
        if (rc == FC_E_UNSUPPORTED || rc == FC_E_NOMEM)
            result = Py_NewRef(Py_None);
        else
            result = rc ? core_raise(self->state, &error, object) : watch_pair(watch);
        core_cache_leave(self);
    }
    Py_XDECREF(key.owner);
    return result;
}

/* _watch_close(watch): once or more often. */
PyObject *core_watch_close(PyObject *op, PyObject *capsule) {
    held_watch *held = PyCapsule_GetPointer(capsule, capsule_name);
    fc_watch *watch;

    (void)op;
    if (!held)
        return NULL;
    watch = held->watch;
    held->watch = NULL;
    fc_watch_close(watch);
    Py_RETURN_NONE;
}
