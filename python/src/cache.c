/* Cache: an attached directory. A get holds the GIL, since it is microseconds at most and
 * giving it up costs more; whatever may copy, write or wait gives it up, between
 * core_cache_enter() and core_cache_leave(), so that close() in another thread waits. */
#include "core.h"

static core_cache *cache_of(PyObject *self) {
    return (core_cache *)self;
}

/* ---- Keys ---- */

/* Keys come back with surrogate escapes where they were not UTF-8, so they go in so too.
 */
int core_key_parse(PyObject *object, core_key *out) {
    Py_ssize_t size;
    char *data;

    memset(out, 0, sizeof *out);
    if (PyUnicode_Check(object)) {
        out->bytes.data = PyUnicode_AsUTF8AndSize(object, &size);
        out->bytes.size = (size_t)size;
        if (out->bytes.data)
            return 0;
        PyErr_Clear();
        out->owner = PyUnicode_AsEncodedString(object, "utf-8", "surrogateescape");
    } else if (PyBytes_Check(object)) {
        out->owner = Py_NewRef(object);
    } else {
        PyErr_Format(PyExc_TypeError, "a key is str or bytes, and comes first; this is %R",
                     Py_TYPE(object));
    }
    if (!out->owner || PyBytes_AsStringAndSize(out->owner, &data, &size)) {
        Py_CLEAR(out->owner);
        return -1;
    }
    out->bytes.data = data;
    out->bytes.size = (size_t)size;
    return 0;
}

PyObject *core_key_text(fc_bytes key) {
    return PyUnicode_DecodeUTF8(key.data, (Py_ssize_t)key.size, "surrogateescape");
}

/* ---- Open, close ---- */

fc_cache *core_cache_enter(core_cache *self) {
    if (self->closed || !self->cache) {
        core_raise_closed(self->state, "the cache is closed: open another Cache()");
        return NULL;
    }
    self->users++;
    return self->cache;
}

void core_cache_leave(core_cache *self) {
    fc_cache *cache = self->cache;

    if (--self->users || !self->closed || !cache)
        return;
    self->cache = NULL;
    Py_BEGIN_ALLOW_THREADS fc_cache_close(cache);
    Py_END_ALLOW_THREADS
}

static PyObject *cache_close(PyObject *op, PyObject *unused) {
    core_cache *self = cache_of(op);

    (void)unused;
    if (!self->closed) {
        self->closed = true;
        self->users++;
        core_cache_leave(self);
    }
    Py_RETURN_NONE;
}

static PyObject *cache_closed(PyObject *op, void *unused) {
    (void)unused;
    return PyBool_FromLong(cache_of(op)->closed || !cache_of(op)->cache);
}

/* The module's state, also for a Python class derived from a type of ours. */
static core_state *state_of(PyTypeObject *type, PyTypeObject *(*ours)(core_state *)) {
    while (type) {
        core_state *state = PyType_GetModuleState(type);

        if (state && ours(state) == type)
            return state;
        PyErr_Clear();
        type = PyType_GetSlot(type, Py_tp_base);
    }
    PyErr_SetString(PyExc_TypeError, "not a type of framecache");
    return NULL;
}

static PyTypeObject *the_cache_type(core_state *state) {
    return state->cache_type;
}

static PyObject *cache_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    core_state *state = state_of(type, the_cache_type);
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    core_cache *self;

    (void)args, (void)kwargs;
    if (!state || !(self = (core_cache *)alloc(type, 0)))
        return NULL;
    self->state = state;
    return (PyObject *)self;
}

static void cache_dealloc(PyObject *op) {
    core_cache *self = cache_of(op);
    PyTypeObject *type = Py_TYPE(op);

    if (self->cache) {
        fc_cache *cache = self->cache;

        self->cache = NULL;
        Py_BEGIN_ALLOW_THREADS fc_cache_close(cache);
        Py_END_ALLOW_THREADS
    }
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(op);
    Py_DECREF(type);
}

static int option(PyObject *settings, const char *name, const char **out) {
    PyObject *value = PyDict_GetItemString(settings, name);

    *out = NULL;
    if (!value || value == Py_None)
        return 0;
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be text", name);
        return -1;
    }
    return (*out = PyUnicode_AsUTF8AndSize(value, NULL)) ? 0 : -1;
}

int core_options_fill(fc_options *options, unsigned int flags, PyObject *settings) {
    *options = (fc_options){.size = sizeof *options, .flags = flags};
#define FC_X(name, syntax, value)                                                        \
    if (option(settings, #name, &options->name))                                         \
        return -1;
    FC_SETTINGS(FC_X)
#undef FC_X
    return 0;
}

static PyObject *cache_open(PyObject *op, PyObject *args) {
    core_cache *self = cache_of(op);
    PyObject *settings;
    fc_options options;
    fc_cache *cache;
    fc_error error;
    unsigned int flags;
    int rc;

    if (!PyArg_ParseTuple(args, "IO!", &flags, &PyDict_Type, &settings) ||
        core_options_fill(&options, flags, settings))
        return NULL;
    if (self->cache || self->closed) {
        PyErr_SetString(PyExc_RuntimeError, "this Cache has been opened already");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS rc = fc_cache_open(&cache, &options, &error);
    Py_END_ALLOW_THREADS if (rc) return core_raise(self->state, &error, NULL);
    self->cache = cache;
    Py_RETURN_NONE;
}

/* ---- Get ---- */

/* Decompresses, so the GIL goes. */
static int get_cold(core_cache *self, fc_bytes key, uint32_t flags, fc_frame **frame,
                    fc_error *error) {
    fc_cache *cache = core_cache_enter(self);
    int rc;

    Py_BEGIN_ALLOW_THREADS rc = fc_get(cache, key, flags, frame, error);
    Py_END_ALLOW_THREADS core_cache_leave(self);
    return rc;
}

static int get(core_cache *self, PyObject *object, uint32_t flags, fc_frame **frame,
               fc_error *error) {
    core_key key;
    int rc;

    if (self->closed || !self->cache) {
        core_raise_closed(self->state, "the cache is closed: open another Cache()");
        return -1;
    }
    if (core_key_parse(object, &key))
        return -1;
    rc = fc_get(self->cache, key.bytes, flags | FC_GET_NOWAIT, frame, error);
    if (rc == FC_E_BUSY) /* a cold frame */
        rc = get_cold(self, key.bytes, flags, frame, error);
    Py_XDECREF(key.owner);
    return rc;
}

static PyObject *cache_subscript(PyObject *op, PyObject *key) {
    core_cache *self = cache_of(op);
    fc_frame *frame;
    fc_error error;
    int rc = get(self, key, 0, &frame, &error);

    if (rc)
        return rc == -1 ? NULL : core_raise(self->state, &error, key);
    return core_frame_new(self->state, frame, 0);
}

/* get(key, default=None, *, stale=False): anything but a miss is raised. */
static PyObject *cache_get(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"key", "default", "stale", NULL};
    core_cache *self = cache_of(op);
    PyObject *key, *missing = Py_None;
    fc_frame *frame;
    fc_error error;
    int rc, stale = 0;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$p:get", names, &key, &missing,
                                     &stale))
        return NULL;
    rc = get(self, key, stale ? FC_GET_STALE : 0, &frame, &error);
    if (rc == FC_E_MISS)
        return Py_NewRef(missing);
    if (rc)
        return rc == -1 ? NULL : core_raise(self->state, &error, key);
    return core_frame_new(self->state, frame, 0);
}

static PyObject *cache_peek(PyObject *op, PyObject *key) {
    core_cache *self = cache_of(op);
    fc_frame *frame;
    fc_error error;
    int rc = get(self, key, FC_GET_PEEK, &frame, &error);

    if (rc)
        return rc == -1 ? NULL : core_raise(self->state, &error, key);
    return core_frame_new(self->state, frame, 0);
}

static int cache_contains(PyObject *op, PyObject *object) {
    core_cache *self = cache_of(op);
    core_key key;
    fc_error error;
    int rc;

    if (self->closed || !self->cache) {
        core_raise_closed(self->state, "the cache is closed: open another Cache()");
        return -1;
    }
    if (core_key_parse(object, &key))
        return -1;
    rc = fc_contains(self->cache, key.bytes, &error);
    Py_XDECREF(key.owner);
    if (rc == 0 || rc == FC_E_MISS)
        return rc == 0;
    core_raise(self->state, &error, object);
    return -1;
}

static int read_stats(core_cache *self, fc_stats *stats) {
    fc_cache *cache = core_cache_enter(self);
    fc_error error;
    int rc;

    if (!cache)
        return -1;
    memset(stats, 0, sizeof *stats);
    stats->size = sizeof *stats;
    rc = fc_cache_stats(cache, stats, &error);
    if (rc)
        core_raise(self->state, &error, NULL);
    core_cache_leave(self);
    return rc ? -1 : 0;
}

static Py_ssize_t cache_length(PyObject *op) {
    fc_stats stats;

    return read_stats(cache_of(op), &stats) ? -1 : (Py_ssize_t)stats.frames;
}

static int set_stat(PyObject *dict, const char *name, PyObject *value) {
    int failed = !value || PyDict_SetItemString(dict, name, value);

    Py_XDECREF(value);
    return failed ? -1 : 0;
}

static PyObject *cache_stats(PyObject *op, PyObject *unused) {
    fc_stats stats;
    PyObject *dict;

    (void)unused;
    if (read_stats(cache_of(op), &stats) || !(dict = PyDict_New()))
        return NULL;
    if (set_stat(dict, "budget_rule", PyUnicode_FromString(stats.budget_rule)))
        goto failed;
#define FC_X(name, kind)                                                                 \
    if (set_stat(dict, #name, PyLong_FromUnsignedLongLong(stats.name)))                  \
        goto failed;
    FC_STATS(FC_X)
#undef FC_X
    return dict;
failed:
    Py_DECREF(dict);
    return NULL;
}

/* ---- Remove, expire ---- */

/* Runs `code`, which sets rc and error, without the GIL on a cache that stays open. */
#define WITH_CACHE(self, code)                                                           \
    do {                                                                                 \
        Py_BEGIN_ALLOW_THREADS code;                                                     \
        Py_END_ALLOW_THREADS core_cache_leave(self);                                     \
    } while (0)

/* _delete(key, strict): whether it was there; strict: a miss is raised. */
static PyObject *cache_delete(PyObject *op, PyObject *args) {
    core_cache *self = cache_of(op);
    PyObject *object, *result = NULL;
    core_key key = {0};
    fc_cache *cache;
    fc_error error;
    int strict, rc;

    if (!PyArg_ParseTuple(args, "Op", &object, &strict) || core_key_parse(object, &key))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        WITH_CACHE(self, rc = fc_delete(cache, key.bytes, &error));
        if (rc == 0 || (rc == FC_E_MISS && !strict))
            result = PyBool_FromLong(rc == 0);
        else
            core_raise(self->state, &error, object);
    }
    Py_XDECREF(key.owner);
    return result;
}

static PyObject *cache_touch(PyObject *op, PyObject *args) {
    core_cache *self = cache_of(op);
    PyObject *object, *result = NULL;
    core_key key = {0};
    fc_cache *cache;
    fc_error error;
    long long ttl_ms;
    int rc;

    if (!PyArg_ParseTuple(args, "OL", &object, &ttl_ms) || core_key_parse(object, &key))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        WITH_CACHE(self, rc = fc_touch(cache, key.bytes, ttl_ms, &error));
        if (rc == 0 || rc == FC_E_MISS)
            result = PyBool_FromLong(rc == 0);
        else
            core_raise(self->state, &error, object);
    }
    Py_XDECREF(key.owner);
    return result;
}

static PyObject *cache_delete_prefix(PyObject *op, PyObject *prefix) {
    core_cache *self = cache_of(op);
    PyObject *result = NULL;
    core_key key = {0};
    uint64_t count = 0;
    fc_cache *cache;
    fc_error error;
    int rc;

    if (core_key_parse(prefix, &key))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        WITH_CACHE(self, rc = fc_delete_prefix(cache, key.bytes, &count, &error));
        result = rc ? core_raise(self->state, &error, NULL)
                    : PyLong_FromUnsignedLongLong(count);
    }
    Py_XDECREF(key.owner);
    return result;
}

static PyObject *cache_delete_tag(PyObject *op, PyObject *tag) {
    core_cache *self = cache_of(op);
    PyObject *result = NULL;
    core_key bytes = {0};
    uint64_t count = 0;
    fc_cache *cache;
    fc_error error;
    int rc;

    if (core_key_parse(tag, &bytes))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        WITH_CACHE(self, rc = fc_delete_tag(cache, bytes.bytes, &count, &error));
        result = rc ? core_raise(self->state, &error, NULL)
                    : PyLong_FromUnsignedLongLong(count);
    }
    Py_XDECREF(bytes.owner);
    return result;
}

static PyObject *cache_clear(PyObject *op, PyObject *unused) {
    core_cache *self = cache_of(op);
    fc_cache *cache = core_cache_enter(self);
    uint64_t count = 0;
    fc_error error;
    int rc;

    (void)unused;
    if (!cache)
        return NULL;
    WITH_CACHE(self, rc = fc_cache_clear(cache, &count, &error));
    return rc ? core_raise(self->state, &error, NULL)
              : PyLong_FromUnsignedLongLong(count);
}

/* ---- Housekeeping ---- */

static PyObject *cache_tick(PyObject *op, PyObject *full) {
    core_cache *self = cache_of(op);
    uint32_t flags = PyObject_IsTrue(full) > 0 ? FC_TICK_FULL : 0;
    fc_cache *cache = core_cache_enter(self);
    int64_t next_ms = 0;
    fc_error error;
    int rc;

    if (!cache)
        return NULL;
    WITH_CACHE(self, rc = fc_cache_tick(cache, flags, &next_ms, &error));
    return rc ? core_raise(self->state, &error, NULL) : PyLong_FromLongLong(next_ms);
}

static PyObject *cache_set_budget(PyObject *op, PyObject *text) {
    core_cache *self = cache_of(op);
    const char *budget = PyUnicode_AsUTF8AndSize(text, NULL);
    fc_cache *cache = budget ? core_cache_enter(self) : NULL;
    fc_error error;
    int rc;

    if (!cache)
        return NULL;
    WITH_CACHE(self, rc = fc_cache_set_budget(cache, budget, &error));
    if (rc)
        return core_raise(self->state, &error, NULL);
    Py_RETURN_NONE;
}

/* _wait(key, sequence, timeout_ms): False when nothing happened in time. */
static PyObject *cache_wait(PyObject *op, PyObject *args) {
    core_cache *self = cache_of(op);
    PyObject *object, *result = NULL;
    core_key key = {0};
    fc_cache *cache;
    fc_error error;
    unsigned long long sequence;
    long long timeout_ms;
    int rc;

    if (!PyArg_ParseTuple(args, "OKL", &object, &sequence, &timeout_ms) ||
        core_key_parse(object, &key))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        WITH_CACHE(self, rc = fc_wait(cache, key.bytes, sequence, timeout_ms, &error));
        if (rc == 0 || rc == FC_E_TIMEOUT)
            result = PyBool_FromLong(rc == 0);
        else
            core_raise(self->state, &error, object);
    }
    Py_XDECREF(key.owner);
    return result;
}

static PyMethodDef cache_methods[] = {
    {"_open", cache_open, METH_VARARGS, "_open(flags, settings)"},
    {"_attach_for_tests", core_attach_for_tests, METH_VARARGS, NULL},
    {"_set_test_clock", core_set_test_clock, METH_O, NULL},
    {"close", cache_close, METH_NOARGS,
     "close($self, /)\n--\n\nLeave the cache. Frames, and what was made from them, stay "
     "valid; "
     "any other call\nraises `ClosedError`. Threads that are in a call finish it first."},
    {"get", (PyCFunction)(void (*)(void))cache_get, METH_VARARGS | METH_KEYWORDS,
     "get($self, key, default=None, *, stale=False)\n--\n\n"
     "The frame under a key, or else a default.\n\n"
     "Parameters\n----------\n"
     "key : str or bytes\n"
     "default : object\n"
     "    What to give if there is none.\n"
     "stale : bool\n"
     "    Also one past its expiry, within its stale time.\n\n"
     "Returns\n-------\n"
     "Frame, or `default`\n"},
    {"_peek", cache_peek, METH_O, "The frame, not counted as a use."},
    {"_delete", cache_delete, METH_VARARGS, "_delete(key, strict) -> bool"},
    {"_touch", cache_touch, METH_VARARGS, "_touch(key, ttl_ms) -> bool"},
    {"_delete_tag", cache_delete_tag, METH_O, "_delete_tag(tag) -> int"},
    {"_flight_begin", core_flight_begin, METH_VARARGS, NULL},
    {"_flight_end", core_flight_end, METH_O, NULL},
    {"_watch_open", core_watch_open, METH_VARARGS, NULL},
    {"_watch_close", core_watch_close, METH_O, NULL},
    {"_delete_prefix", cache_delete_prefix, METH_O, "_delete_prefix(prefix) -> int"},
    {"clear", cache_clear, METH_NOARGS,
     "clear($self, /)\n--\n\nDelete all frames; readers keep what they hold.\n\n"
     "Returns\n-------\n"
     "int\n    How many went.\n"},
    {"stats", cache_stats, METH_NOARGS,
     "stats($self, /)\n--\n\nThe counters and gauges of the cache, and of this "
     "process.\n\n"
     "Returns\n-------\n"
     "dict\n    The fields of fc_stats (framecache_tables.h), all int but "
     "`budget_rule`.\n"},
    {"settings", core_cache_settings, METH_NOARGS,
     "settings($self, /)\n--\n\nThe settings that this process attached with.\n\n"
     "Returns\n-------\n"
     "dict\n    Name to value and where it came from, both text: \"argument\", the "
     "variable's\n    name or \"default\". What all processes share may have changed "
     "since: `budget`.\n"},
    {"_tick", cache_tick, METH_O, "_tick(full) -> ms until the next"},
    {"_set_budget", cache_set_budget, METH_O, "_set_budget(text)"},
    {"_wait", cache_wait, METH_VARARGS, "_wait(key, sequence, timeout_ms) -> bool"},
    {"_verify", core_cache_verify, METH_O, "_verify(data) -> findings"},
    {"_holders", core_cache_holders, METH_NOARGS, "_holders() -> (holders, all)"},
    {"_cursor", core_cache_cursor, METH_O, "_cursor(prefix)"},
    {"_next", core_cache_next, METH_O, "_next(cursor) -> info or None"},
    {"_put_stream", core_put_stream, METH_VARARGS, NULL},
    {"_put_array", core_put_array, METH_VARARGS, NULL},
    {"_put_columns", core_put_columns, METH_VARARGS, NULL},
    {"_valid_bits", core_cache_valid_bits, METH_VARARGS, NULL},
    {"_build", core_build_begin, METH_VARARGS, NULL},
    {0},
};

static PyGetSetDef cache_getset[] = {
    {"closed", cache_closed, NULL, "Whether `close()` was called.", NULL},
    {0},
};

static PyType_Slot cache_slots[] = {
    {Py_tp_new, cache_new},
    {Py_tp_dealloc, cache_dealloc},
    {Py_tp_methods, cache_methods},
    {Py_tp_getset, cache_getset},
    {Py_mp_subscript, cache_subscript},
    {Py_mp_length, cache_length},
    {Py_sq_contains, cache_contains},
    {0, NULL},
};

PyType_Spec core_cache_spec = {
    .name = "framecache._core.Cache",
    .basicsize = sizeof(core_cache),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = cache_slots,
};
