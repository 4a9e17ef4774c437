/* Build: a frame that is being filled in place. Memory handed out is dead once the build
 * ends or a column grows, so both are refused while somebody views it. */
#include "core.h"

static core_build *build_of(PyObject *self) {
    return (core_build *)self;
}

static void build_end(core_build *self) {
    fc_build *build = self->build;

    self->build = NULL;
    self->epoch++;
    if (build)
        fc_build_abort(build);
    if (self->owner) {
        core_cache *owner = self->owner;

        self->owner = NULL;
        core_cache_leave(owner);
        Py_DECREF((PyObject *)owner);
    }
}

static void build_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);

    build_end(build_of(op));
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(op);
    Py_DECREF(type);
}

/* _build(key, options, schema capsule, rows) -> Build */
PyObject *core_build_begin(PyObject *op, PyObject *args) {
    core_cache *cache_object = (core_cache *)op;
    core_state *state = cache_object->state;
    PyObject *key, *options, *capsule;
    struct ArrowSchema *schema;
    core_build *self = NULL;
    core_put_args put;
    fc_cache *cache;
    fc_build *build = NULL;
    fc_error error;
    long long rows;
    int rc;

    if (!PyArg_ParseTuple(args, "OO!OL", &key, &PyTuple_Type, &options, &capsule, &rows) ||
        !(schema = core_schema_of(capsule)) || core_put_options(&put, key, options))
        return NULL;
    if (!(cache = core_cache_enter(cache_object))) {
        Py_XDECREF(put.key.owner);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS rc =
        fc_build_begin(cache, put.key.bytes, schema, rows, &put.options, &build, &error);
    Py_END_ALLOW_THREADS Py_XDECREF(put.key.owner);
    if (rc) {
        core_raise(state, &error, key);
        goto failed;
    }
    self = (core_build *)((allocfunc)PyType_GetSlot(state->build_type, Py_tp_alloc))(
        state->build_type, 0);
    if (!self)
        goto failed;
    self->state = state;
    self->owner = (core_cache *)Py_NewRef(op); /* and the use, until the build ends */
    self->build = build;
    self->rows = rows;
    return (PyObject *)self;
failed:
    if (build)
        fc_build_abort(build);
    core_cache_leave(cache_object);
    return NULL;
}

static bool ended(core_build *self) {
    if (!self->build)
        core_raise_closed(self->state, "the build has ended: begin another");
    return !self->build;
}

static fc_target *target_of(core_build *self, long long index) {
    fc_target *target;

    if (ended(self))
        return NULL;
    if (!(target = fc_build_column(self->build, index)))
        PyErr_Format(PyExc_IndexError, "no column %lld in the build", index);
    return target;
}

/* True if somebody views the memory, which `what` would take away. */
static bool viewed(core_build *self, const char *what) {
    if (!self->exports)
        return false;
    PyErr_Format(PyExc_BufferError,
                 "%s: %zd array(s) over the build's columns are alive; delete them first",
                 what, self->exports);
    return true;
}

/* _target(index) -> (type, width, rows, values or None, bitmap or None) */
static PyObject *build_target(PyObject *op, PyObject *args) {
    static const char *const names[] = {"ANY",
#define FC_X(name, format, values) #name,
                                        FC_TYPES(FC_X)
#undef FC_X
    };
    core_build *self = build_of(op);
    fc_target *target;
    long long index;

    if (!PyArg_ParseTuple(args, "L", &index) || !(target = target_of(self, index)))
        return NULL;
    return Py_BuildValue(
        "(siLNN)", names[target->type], (int)target->width, (long long)target->rows,
        target->values && !target->offsets
            ? core_buffer_of_build(self->state, self, target->values,
                                   (int64_t)target->values_bytes)
            : Py_NewRef(Py_None),
        target->validity ? core_buffer_of_build(self->state, self, target->validity,
                                                (target->rows + 7) / 8)
                         : Py_NewRef(Py_None));
}

static PyObject *build_nulls(PyObject *op, PyObject *args) {
    core_build *self = build_of(op);
    fc_target *target;
    fc_error error;
    long long index;
    int rc;

    if (!PyArg_ParseTuple(args, "L", &index) || !(target = target_of(self, index)))
        return NULL;
    Py_BEGIN_ALLOW_THREADS rc = fc_build_nulls(self->build, target, &error);
    Py_END_ALLOW_THREADS if (rc) return core_raise(self->state, &error, NULL);
    Py_RETURN_NONE;
}

static PyObject *build_reserve(PyObject *op, PyObject *args) {
    core_build *self = build_of(op);
    fc_target *target;
    fc_error error;
    long long index;
    unsigned long long count;
    int rc;

    if (!PyArg_ParseTuple(args, "LK", &index, &count) ||
        !(target = target_of(self, index)) || viewed(self, "reserve"))
        return NULL;
    self->epoch++;
    Py_BEGIN_ALLOW_THREADS rc = fc_build_reserve(self->build, target, count, &error);
    Py_END_ALLOW_THREADS if (rc) return core_raise(self->state, &error, NULL);
    Py_RETURN_NONE;
}

static int append_one(core_build *self, fc_target *target, PyObject *item) {
    fc_bytes value = {0};
    Py_ssize_t size = 0;
    fc_error error;

    if (item == Py_None) {
        value.data = NULL;
    } else if (PyUnicode_Check(item)) {
        if (!(value.data = PyUnicode_AsUTF8AndSize(item, &size)))
            return -1;
    } else {
        char *data;

        if (PyBytes_AsStringAndSize(item, &data, &size))
            return -1;
        value.data = data;
    }
    value.size = (size_t)size;
    if (!fc_build_append(self->build, target, value, &error))
        return 0;
    core_raise(self->state, &error, NULL);
    return -1;
}

static PyObject *build_extend(PyObject *op, PyObject *args) {
    core_build *self = build_of(op);
    PyObject *values, *iterator, *item;
    fc_target *target;
    long long index;

    if (!PyArg_ParseTuple(args, "LO", &index, &values) || viewed(self, "extend") ||
        !(iterator = PyObject_GetIter(values)))
        return NULL;
    self->epoch++;
    while ((item = PyIter_Next(iterator))) {
        /* The iterator is Python: it may have ended the build, or viewed a column. */
        bool failed = viewed(self, "extend") || !(target = target_of(self, index)) ||
                      append_one(self, target, item);

        Py_DECREF(item);
        if (failed)
            break;
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *build_commit(PyObject *op, PyObject *args) {
    core_build *self = build_of(op);
    fc_build *build;
    fc_frame *frame = NULL;
    fc_error error;
    long long rows;
    int rc;

    if (!PyArg_ParseTuple(args, "L", &rows) || ended(self) || viewed(self, "commit"))
        return NULL;
    build = self->build;
    self->build = NULL; /* ended by the commit, on failure too */
    Py_BEGIN_ALLOW_THREADS rc = fc_build_commit(build, rows, &frame, &error);
    Py_END_ALLOW_THREADS build_end(self);
    return rc ? core_raise(self->state, &error, NULL)
              : core_frame_new(self->state, frame, 0);
}

static PyObject *build_abort(PyObject *op, PyObject *unused) {
    (void)unused;
    if (viewed(build_of(op), "abort"))
        return NULL;
    build_end(build_of(op));
    Py_RETURN_NONE;
}

/* ---- Schemas of flat columns ---- */

/* schema_make([(name, format), ...]) -> capsule */
PyObject *core_schema_make(PyObject *module, PyObject *list) {
    core_state *state = PyModule_GetState(module);
    PyObject *tuple = PySequence_Tuple(list), *result = NULL;
    Py_ssize_t count = tuple ? PyTuple_Size(tuple) : 0;
    fc_field *fields = tuple ? PyMem_Calloc((size_t)count + 1, sizeof *fields) : NULL;
    struct ArrowSchema schema;
    fc_error error;

    if (!tuple)
        return NULL;
    if (!fields) {
        PyErr_NoMemory();
        goto out;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(tuple, i), "ss", &fields[i].name,
                              &fields[i].format))
            goto out;
    if (fc_schema_init(&schema, fields, (size_t)count, &error))
        core_raise(state, &error, NULL);
    else
        result = core_capsule_schema(&schema);
out:
    PyMem_Free(fields);
    Py_DECREF(tuple);
    return result;
}

static PyMethodDef build_methods[] = {
    {"target", build_target, METH_VARARGS, NULL},
    {"nulls", build_nulls, METH_VARARGS, NULL},
    {"reserve", build_reserve, METH_VARARGS, NULL},
    {"extend", build_extend, METH_VARARGS, NULL},
    {"commit", build_commit, METH_VARARGS, NULL},
    {"abort", build_abort, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef build_members[] = {
    {"rows", T_LONGLONG, offsetof(core_build, rows), READONLY, NULL},
    {"exports", T_PYSSIZET, offsetof(core_build, exports), READONLY, NULL},
    {0},
};

static PyType_Slot build_slots[] = {
    {Py_tp_dealloc, build_dealloc},
    {Py_tp_methods, build_methods},
    {Py_tp_members, build_members},
    {0, NULL},
};

PyType_Spec core_build_spec = {
    .name = "framecache._core.Build",
    .basicsize = sizeof(core_build),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = build_slots,
};
