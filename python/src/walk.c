/* Walks of the cache: verify, the cursor over its frames, and its settings. */
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

/* ---- Holders ---- */

typedef struct gathering {
    PyObject *list;
    PyThreadState *released; /* the GIL's, between calls */
} gathering;

static int gather_holder(void *context, const fc_holder *holder) {
    gathering *g = context;
    PyObject *key, *item = NULL;

    PyEval_RestoreThread(g->released);
    key = holder->key.data ? core_key_text(holder->key) : Py_NewRef(Py_None);
    if (key)
        item = Py_BuildValue("{s:N,s:L,s:N,s:K}", "key", key, "pid",
                             (long long)holder->pid, "command",
                             PyUnicode_DecodeFSDefault(holder->command), "bytes",
                             (unsigned long long)holder->bytes);
    int failed = !item || PyList_Append(g->list, item);
    Py_XDECREF(item);
    g->released = PyEval_SaveThread();
    return failed;
}

/* _holders() -> ([{key, pid, command, bytes}], whether these are all) */
PyObject *core_cache_holders(PyObject *op, PyObject *unused) {
    core_cache *self = (core_cache *)op;
    gathering g = {.list = PyList_New(0)};
    fc_cache *cache;
    fc_error error;
    bool all;
    int rc;

    (void)unused;
    if (!g.list || !(cache = core_cache_enter(self))) {
        Py_XDECREF(g.list);
        return NULL;
    }
    g.released = PyEval_SaveThread();
    rc = fc_cache_holders(cache, gather_holder, &g, &all, &error);
    PyEval_RestoreThread(g.released);
    core_cache_leave(self);
    if (!rc && !PyErr_Occurred())
        return Py_BuildValue("(NO)", g.list, all ? Py_True : Py_False);
    Py_DECREF(g.list);
    return PyErr_Occurred() ? NULL : core_raise(self->state, &error, NULL);
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

/* ---- Settings ---- */

static int add_setting(void *context, const char *name, const char *value,
                       const char *origin) {
    PyObject *item = PyUnicode_DecodeFSDefault(value);
    PyObject *pair = item ? Py_BuildValue("(Ns)", item, origin) : NULL;
    int failed = !pair || PyDict_SetItemString(context, name, pair);

    Py_XDECREF(pair);
    return failed;
}

PyObject *core_cache_settings(PyObject *op, PyObject *unused) {
    core_cache *self = (core_cache *)op;
    PyObject *dict = NULL;
    fc_cache *cache = core_cache_enter(self);
    fc_error error;

    (void)unused;
    if (cache && (dict = PyDict_New()) &&
        fc_cache_settings(cache, add_setting, dict, &error)) {
        Py_CLEAR(dict);
        if (!PyErr_Occurred())
            core_raise(self->state, &error, NULL);
    }
    if (cache)
        core_cache_leave(self);
    return dict;
}
