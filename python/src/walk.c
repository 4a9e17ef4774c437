/* Walks of the cache: verify, and the cursor over its frames. */
#include "core.h"

typedef struct verify_call {
    fc_cache *cache;
    uint32_t flags;
} verify_call;

static int verify_run(void *argument, fc_report_fn report, void *context,
                      fc_error *error) {
    verify_call *call = argument;
    return fc_cache_verify(call->cache, call->flags, report, context, error);
}

PyObject *core_cache_verify(PyObject *op, PyObject *data) {
    core_cache *self = (core_cache *)op;
    verify_call call = {.flags = PyObject_IsTrue(data) > 0 ? FC_VERIFY_DATA : 0};
    PyObject *list = PyList_New(0);
    fc_error error;
    int rc;

    if (!list || !(call.cache = core_cache_enter(self))) {
        Py_XDECREF(list);
        return NULL;
    }
    rc = core_findings_run(verify_run, &call, list, &error);
    core_cache_leave(self);
    if (!PyErr_Occurred() && (rc == 0 || rc == FC_E_CORRUPT))
        return list;
    Py_DECREF(list);
    return core_raise(self->state, &error, NULL);
}

/* ---- The walk over all frames ---- */

typedef struct frame_walk {
    fc_cursor *cursor;
    core_cache *owner;
} frame_walk;

static void walk_destroy(PyObject *capsule) {
    frame_walk *walk = PyCapsule_GetPointer(capsule, "framecache.cursor");

    fc_cursor_close(walk->cursor);
    core_cache_leave(walk->owner);
    Py_DECREF((PyObject *)walk->owner);
    PyMem_Free(walk);
}

PyObject *core_cache_cursor(PyObject *op, PyObject *prefix) {
    core_cache *self = (core_cache *)op;
    frame_walk *walk = NULL;
    PyObject *capsule = NULL;
    core_key key = {0};
    fc_cursor *cursor = NULL;
    fc_cache *cache;
    fc_error error;
    int rc;

    if (core_key_parse(prefix, &key) || !(cache = core_cache_enter(self))) {
        Py_XDECREF(key.owner);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS rc = fc_cursor_open(cache, key.bytes, &cursor, &error);
    Py_END_ALLOW_THREADS Py_XDECREF(key.owner);
    if (rc)
        core_raise(self->state, &error, NULL);
    else if (!(walk = PyMem_Malloc(sizeof *walk)))
        PyErr_NoMemory();
    else {
        walk->cursor = cursor;
        walk->owner = self;
        capsule = PyCapsule_New(walk, "framecache.cursor", walk_destroy);
    }
    if (capsule) {
        Py_INCREF(op);
        return capsule;
    }
    PyMem_Free(walk);
    fc_cursor_close(cursor);
    core_cache_leave(self);
    return NULL;
}

/* _next(cursor) -> info, or None at the end. One file at most is opened: GIL kept. */
PyObject *core_cache_next(PyObject *op, PyObject *capsule) {
    core_cache *self = (core_cache *)op;
    frame_walk *walk = PyCapsule_GetPointer(capsule, "framecache.cursor");
    fc_info info = {.size = sizeof info};
    fc_error error;
    int rc;

    if (!walk)
        return NULL;
    if (self->closed)
        return core_raise_closed(self->state,
                                 "the cache is closed: open another Cache()");
    rc = fc_cursor_next(walk->cursor, &info, &error);
    if (rc == FC_DONE)
        Py_RETURN_NONE;
    if (rc)
        return core_raise(self->state, &error, NULL);
    return core_info_dict(&info, info.leased ? Py_True : Py_False);
}
