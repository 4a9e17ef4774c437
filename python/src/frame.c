/* Frame: one reference to a mapped frame. What is exported from it owns references of its
 * own, so release() only gives up this one. */
#include "core.h"

static core_frame *frame_of(PyObject *self) {
    return (core_frame *)self;
}

PyObject *core_frame_new(core_state *state, fc_frame *frame, int64_t first) {
    core_frame *self = (core_frame *)state->frame_alloc(state->frame_class, 0);

    if (!self) {
        fc_frame_release(frame);
        return NULL;
    }
    self->state = state;
    self->frame = frame;
    self->first = first;
    return (PyObject *)self;
}

static void frame_dealloc(PyObject *op) {
    core_frame *self = frame_of(op);
    PyTypeObject *type = Py_TYPE(op);

    fc_frame_release(self->frame);
    Py_XDECREF(self->memo);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(op);
    Py_DECREF(type);
}

/* The frame, or NULL with ClosedError once it was released. */
fc_frame *core_frame_held(core_frame *self) {
    if (!self->frame)
        core_raise_closed(self->state,
                          "the frame was released: get it from the cache again");
    return self->frame;
}

static PyObject *frame_release(PyObject *op, PyObject *unused) {
    core_frame *self = frame_of(op);
    fc_frame *frame = self->frame;

    (void)unused;
    self->frame = NULL;
    fc_frame_release(frame);
    Py_RETURN_NONE;
}

/* ---- What it is ---- */

static int set(PyObject *dict, const char *name, PyObject *value) {
    int failed = !value || PyDict_SetItemString(dict, name, value);

    Py_XDECREF(value);
    return failed;
}

static PyObject *optional(bool there, double value) {
    return there ? PyFloat_FromDouble(value) : Py_NewRef(Py_None);
}

static PyObject *tags_list(const fc_info *info) {
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list && i < info->tag_count; i++) {
        PyObject *tag = core_key_text(info->tags[i]);

        if (!tag || PyList_Append(list, tag))
            Py_CLEAR(list);
        Py_XDECREF(tag);
    }
    return list;
}

PyObject *core_info_dict(const fc_info *info, PyObject *leased) {
    PyObject *dict = PyDict_New();
    bool expires = info->expires_ns != INT64_MAX;
    bool goes = info->stale_until_ns != INT64_MAX;

    if (!dict)
        return NULL;
    if (set(dict, "key", core_key_text(info->key)) ||
        set(dict, "sequence", PyLong_FromUnsignedLongLong(info->sequence)) ||
        set(dict, "rows", PyLong_FromLongLong(info->rows)) ||
        set(dict, "columns", PyLong_FromLongLong(info->columns)) ||
        set(dict, "bytes", PyLong_FromUnsignedLongLong(info->bytes)) ||
        set(dict, "shared_bytes", PyLong_FromUnsignedLongLong(info->shared_bytes)) ||
        set(dict, "created", PyFloat_FromDouble((double)info->created_ns / 1e9)) ||
        set(dict, "used", PyFloat_FromDouble((double)info->used_ns / 1e9)) ||
        set(dict, "expires", optional(expires, (double)info->expires_ns / 1e9)) ||
        set(dict, "stale_until", optional(goes, (double)info->stale_until_ns / 1e9)) ||
        set(dict, "cost", optional(info->cost_s > 0, info->cost_s)) ||
        set(dict, "uses", PyLong_FromUnsignedLongLong(info->uses)) ||
        set(dict, "stale", PyBool_FromLong(info->stale)) ||
        set(dict, "cold", PyBool_FromLong(info->cold)) ||
        set(dict, "tags", tags_list(info)) || set(dict, "leased", Py_NewRef(leased))) {
        Py_DECREF(dict);
        return NULL;
    }
    return dict;
}

static int info_read(core_frame *self, fc_info *info) {
    fc_error error;

    *info = (fc_info){.size = sizeof *info};
    if (!core_frame_held(self))
        return -1;
    if (!fc_frame_info(self->frame, info, &error))
        return 0;
    core_raise(self->state, &error, NULL);
    return -1;
}

static PyObject *frame_key(PyObject *op, void *unused) {
    fc_info info;

    (void)unused;
    return info_read(frame_of(op), &info) ? NULL : core_key_text(info.key);
}

static PyObject *frame_sequence(PyObject *op, void *unused) {
    fc_info info;

    (void)unused;
    return info_read(frame_of(op), &info) ? NULL
                                          : PyLong_FromUnsignedLongLong(info.sequence);
}

static PyObject *frame_rows(PyObject *op, void *unused) {
    fc_info info;

    (void)unused;
    return info_read(frame_of(op), &info) ? NULL : PyLong_FromLongLong(info.rows);
}

static PyObject *frame_nbytes(PyObject *op, void *unused) {
    fc_info info;

    (void)unused;
    return info_read(frame_of(op), &info) ? NULL
                                          : PyLong_FromUnsignedLongLong(info.bytes);
}

static PyObject *frame_is_stale(PyObject *op, void *unused) {
    fc_info info;

    (void)unused;
    return info_read(frame_of(op), &info) ? NULL : PyBool_FromLong(info.stale);
}

/* What no other frame has, now or later: sequence, time to the nanosecond, record. */
static PyObject *frame_identity(PyObject *op, void *unused) {
    fc_info info;

    (void)unused;
    if (info_read(frame_of(op), &info))
        return NULL;
    return Py_BuildValue("(KLI)", (unsigned long long)info.sequence,
                         (long long)info.created_ns, (unsigned int)info.record);
}

static PyObject *frame_info(PyObject *op, void *leased) {
    fc_info info;

    if (info_read(frame_of(op), &info))
        return NULL;
    return core_info_dict(&info, leased ? Py_True : Py_None);
}

static PyObject *frame_released(PyObject *op, void *unused) {
    (void)unused;
    return PyBool_FromLong(!frame_of(op)->frame);
}

static Py_ssize_t frame_length(PyObject *op) {
    fc_info info;

    return info_read(frame_of(op), &info) ? -1 : (Py_ssize_t)info.rows;
}

/* ---- Frames of it ---- */

static PyObject *derived(core_frame *self, fc_frame *frame, int64_t first) {
    PyObject *result = core_frame_new(self->state, frame, first);

    if (result) {
        frame_of(result)->after = self->after;
        frame_of(result)->is_private = self->is_private;
        frame_of(result)->table = self->table;
    }
    return result;
}

static PyObject *frame_select(PyObject *op, PyObject *list) {
    core_frame *self = frame_of(op);
    PyObject *tuple = PySequence_Tuple(list), *result = NULL;
    Py_ssize_t count = tuple ? PyTuple_Size(tuple) : 0;
    int64_t *indices = tuple ? PyMem_Malloc(sizeof *indices * ((size_t)count + 1)) : NULL;
    fc_frame *frame;
    fc_error error;

    if (!tuple || !core_frame_held(self))
        goto out;
    if (!indices) {
        PyErr_NoMemory();
        goto out;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        indices[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
        if (indices[i] == -1 && PyErr_Occurred())
            goto out;
    }
    if (fc_frame_select(self->frame, indices, (size_t)count, &frame, &error)) {
        core_raise(self->state, &error, NULL);
        goto out;
    }
    result = derived(self, frame, self->first);
out:
    PyMem_Free(indices);
    Py_XDECREF(tuple);
    return result;
}

static PyObject *frame_slice(PyObject *op, PyObject *args) {
    core_frame *self = frame_of(op);
    long long first, rows;
    PyObject *result;
    fc_frame *frame;
    fc_info info;
    fc_error error;

    if (!PyArg_ParseTuple(args, "LL", &first, &rows) || info_read(self, &info))
        return NULL;
    if (fc_frame_slice(self->frame, first, rows, &frame, &error))
        return core_raise(self->state, &error, NULL);
    if ((result = derived(self, frame, self->first + first)))
        frame_of(result)->after += info.rows - first - rows;
    return result;
}

static PyObject *frame_private(PyObject *op, PyObject *unused) {
    core_frame *self = frame_of(op);
    PyObject *result;
    fc_frame *frame;
    fc_error error;

    (void)unused;
    if (!core_frame_held(self))
        return NULL;
    if (fc_frame_private(self->frame, &frame, &error))
        return core_raise(self->state, &error, NULL);
    if ((result = derived(self, frame, self->first)))
        frame_of(result)->is_private = true;
    return result;
}

/* The table in a column of a frame of one row. */
static PyObject *frame_nested(PyObject *op, PyObject *number) {
    core_frame *self = frame_of(op);
    long long index = PyLong_AsLongLong(number);
    PyObject *result;
    fc_frame *frame;
    fc_error error;

    if ((index == -1 && PyErr_Occurred()) || !core_frame_held(self))
        return NULL;
    if (fc_frame_nested(self->frame, index, &frame, &error))
        return core_raise(self->state, &error, NULL);
    if ((result = derived(self, frame, 0))) {
        frame_of(result)->after = 0;
        frame_of(result)->table =
            (int64_t)((uint64_t)self->table * 65536u + (uint64_t)index + 1);
    }
    return result;
}

/* ---- Arrow ---- */

static int export_schema(core_frame *self, struct ArrowSchema *out) {
    fc_error error;

    if (!core_frame_held(self))
        return -1;
    if (!fc_frame_export_schema(self->frame, out, &error))
        return 0;
    core_raise(self->state, &error, NULL);
    return -1;
}

static PyObject *frame_c_schema(PyObject *op, PyObject *unused) {
    struct ArrowSchema schema;

    (void)unused;
    return export_schema(frame_of(op), &schema) ? NULL : core_capsule_schema(&schema);
}

/* NULL for None; *failed tells that from a capsule that is not one. */
static const struct ArrowSchema *requested_of(PyObject *capsule, bool *failed) {
    const struct ArrowSchema *schema = NULL;

    *failed = false;
    if (capsule && capsule != Py_None)
        *failed = !(schema = core_schema_of(capsule));
    return schema;
}

/* A cast copies, so the GIL goes; nobody may take the frame or the schema away then. */
static int export_array(core_frame *self, const struct ArrowSchema *requested,
                        struct ArrowArray *out) {
    fc_frame *frame = core_frame_held(self);
    fc_error error;
    int rc;

    if (!frame)
        return -1;
    if (!requested) {
        rc = fc_frame_export_array(frame, NULL, out, &error);
    } else {
        fc_frame_retain(frame);
        Py_BEGIN_ALLOW_THREADS rc = fc_frame_export_array(frame, requested, out, &error);
        fc_frame_release(frame);
        Py_END_ALLOW_THREADS
    }
    if (rc)
        core_raise(self->state, &error, NULL);
    return rc ? -1 : 0;
}

/* ---- For polars ---- */

/* "d:9,2,32" becomes "d:9,2": 128 bits; a list view becomes a list. False: it is none of
 * these. The schema is a copy of ours. */
static bool fit_polars(struct ArrowSchema *schema) {
    char *format = (char *)schema->format, *bits = NULL;
    bool any = false;

    if (!strncmp(format, "d:", 2) && (bits = strchr(format, ',')))
        bits = strchr(bits + 1, ',');
    if (bits && (!strcmp(bits, ",32") || !strcmp(bits, ",64")))
        any = !(*bits = '\0');
    if (!strcmp(format, "+vl") || !strcmp(format, "+vL"))
        any = memcpy(format, "+L", sizeof "+L") != NULL;
    for (int64_t i = 0; i < schema->n_children; i++)
        any |= fit_polars(schema->children[i]);
    return (schema->dictionary && fit_polars(schema->dictionary)) || any;
}

/* Whether code of polars is what calls. */
static bool is_polars(void) {
    PyObject *globals = PyEval_GetGlobals(); /* borrowed, as is the name */
    PyObject *name = globals ? PyDict_GetItemString(globals, "__name__") : NULL;
    const char *text =
        name && PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;

    return text && (!strcmp(text, "polars") || !strncmp(text, "polars.", 7));
}

/* polars takes decimals of 32 and 64 bits for such of 128, some of them anywhere and all
 * of them in nested columns; so it is given 128. List views (which only extension types
 * come as) it does not have. A new reference, in the place of None, or
 * `requested` itself. */
static PyObject *requested_or_polars(core_frame *self, PyObject *requested, bool polars) {
    struct ArrowSchema schema;

    if ((requested && requested != Py_None) || !polars)
        return Py_NewRef(requested ? requested : Py_None);
    if (export_schema(self, &schema))
        return NULL;
    if (fit_polars(&schema))
        return core_capsule_schema(&schema);
    schema.release(&schema);
    return Py_NewRef(Py_None);
}

/* The schema that goes with an array: what was asked for, or the frame's own. */
static PyObject *schema_beside(core_frame *self, PyObject *requested) {
    struct ArrowSchema schema;

    if (requested && requested != Py_None)
        return Py_NewRef(requested);
    return export_schema(self, &schema) ? NULL : core_capsule_schema(&schema);
}

static PyObject *frame_c_array(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"requested_schema", NULL};
    core_frame *self = frame_of(op);
    PyObject *requested = Py_None, *schema;
    const struct ArrowSchema *wanted;
    struct ArrowArray array;
    bool failed;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:__arrow_c_array__", names,
                                     &requested))
        return NULL;
    if (!(requested = requested_or_polars(self, requested, is_polars())))
        return NULL;
    wanted = requested_of(requested, &failed);
    if (failed || export_array(self, wanted, &array)) {
        Py_DECREF(requested);
        return NULL;
    }
    schema = schema_beside(self, requested);
    Py_DECREF(requested);
    if (!schema) {
        array.release(&array);
        return NULL;
    }
    return Py_BuildValue("(NN)", schema, core_capsule_array(&array));
}

static PyObject *stream(core_frame *self, PyObject *requested, int64_t batch_rows) {
    struct ArrowArrayStream out;
    fc_frame *frame = core_frame_held(self);
    const struct ArrowSchema *wanted;
    fc_error error;
    bool failed;
    int rc;

    wanted = requested_of(requested, &failed);
    if (!frame || failed)
        return NULL;
    fc_frame_retain(frame);
    Py_BEGIN_ALLOW_THREADS rc =
        fc_frame_export_stream(frame, wanted, batch_rows, &out, &error);
    fc_frame_release(frame);
    Py_END_ALLOW_THREADS return rc ? core_raise(self->state, &error, NULL)
                                   : core_capsule_stream(&out);
}

static PyObject *stream_or_polars(core_frame *self, PyObject *requested, bool polars,
                                  int64_t batch_rows) {
    PyObject *wanted = requested_or_polars(self, requested, polars), *result;

    if (!wanted)
        return NULL;
    result = stream(self, wanted, batch_rows);
    Py_DECREF(wanted);
    return result;
}

static PyObject *frame_c_stream(PyObject *op, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"requested_schema", NULL};
    PyObject *requested = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:__arrow_c_stream__", names,
                                     &requested))
        return NULL;
    return stream_or_polars(frame_of(op), requested, is_polars(), 0);
}

/* _batches(rows, requested or None, whether polars asks) */
static PyObject *frame_batches(PyObject *op, PyObject *args) {
    PyObject *requested;
    long long batch_rows;
    int polars;

    if (!PyArg_ParseTuple(args, "LOp", &batch_rows, &requested, &polars))
        return NULL;
    return stream_or_polars(frame_of(op), requested, polars, batch_rows);
}

/* ---- One column of a frame that has only it ---- */

static int only_schema(core_frame *self, struct ArrowSchema *out) {
    struct ArrowSchema schema;

    if (export_schema(self, &schema))
        return -1;
    *out = *schema.children[0]; /* moved out, as the C data interface allows */
    schema.children[0]->release = NULL;
    schema.release(&schema);
    return 0;
}

static PyObject *frame_only_schema(PyObject *op, PyObject *unused) {
    struct ArrowSchema schema;

    (void)unused;
    return only_schema(frame_of(op), &schema) ? NULL : core_capsule_schema(&schema);
}

static PyObject *only_for_polars(core_frame *self) {
    struct ArrowSchema schema;

    if (only_schema(self, &schema))
        return NULL;
    if (fit_polars(&schema))
        return core_capsule_schema(&schema);
    schema.release(&schema);
    return Py_NewRef(Py_None);
}

static void keep(struct ArrowSchema *schema) {
    schema->release = NULL;
}

/* The struct around a column has a length and an offset of its own: the column's rows. */
static void child_take(struct ArrowArray *array, struct ArrowArray *child) {
    *child = *array->children[0];
    array->children[0]->release = NULL;
    if (array->offset || child->length != array->length) {
        child->offset += array->offset;
        child->null_count = child->null_count ? -1 : 0;
        child->length = array->length;
    }
    array->release(array);
}

/* requested may be None */
static PyObject *only_array(core_frame *self, PyObject *requested) {
    struct ArrowArray array, child;
    const struct ArrowSchema *wanted;
    struct ArrowSchema renamed, *children[1] = {&renamed};
    struct ArrowSchema whole = {.format = "+s",
                                .name = "",
                                .n_children = 1,
                                .children = children,
                                .release = keep};
    const fc_column *column = NULL;
    PyObject *schema;
    fc_error error;
    bool failed;

    wanted = requested_of(requested, &failed);
    if (failed || !core_frame_held(self))
        return NULL;
    if (wanted) { /* a consumer asks for a type; the name is ours */
        if (fc_frame_column_at(self->frame, 0, &column, &error))
            return core_raise(self->state, &error, NULL);
        renamed = *wanted;
        renamed.name = column->name;
        renamed.release = keep;
    }
    if (export_array(self, wanted ? &whole : NULL, &array))
        return NULL;
    child_take(&array, &child);
    schema = wanted ? Py_NewRef(requested) : frame_only_schema((PyObject *)self, NULL);
    if (!schema) {
        child.release(&child);
        return NULL;
    }
    return Py_BuildValue("(NN)", schema, core_capsule_array(&child));
}

/* _only_array(requested or None, whether polars asks) */
static PyObject *frame_only_array(PyObject *op, PyObject *args) {
    PyObject *requested, *result;
    int polars;

    if (!PyArg_ParseTuple(args, "Op", &requested, &polars))
        return NULL;
    requested = requested == Py_None && polars ? only_for_polars(frame_of(op))
                                               : Py_NewRef(requested);
    if (!requested)
        return NULL;
    result = only_array(frame_of(op), requested);
    Py_DECREF(requested);
    return result;
}

static PyMethodDef frame_methods[] = {
    {"release", frame_release, METH_NOARGS,
     "release($self, /)\n--\n\nGive up this reference. What was exported stays valid."},
    {"_content_hash", core_frame_hash, METH_NOARGS, NULL},
    {"_layout", core_frame_layout, METH_NOARGS, NULL},
    {"_column", core_frame_column, METH_O, NULL},
    {"_values", core_frame_values, METH_O, NULL},
    {"_range", core_frame_range, METH_O, NULL},
    {"_select", frame_select, METH_O, NULL},
    {"_slice", frame_slice, METH_VARARGS, NULL},
    {"_private", frame_private, METH_NOARGS, NULL},
    {"_nested", frame_nested, METH_O, NULL},
    {"__arrow_c_schema__", frame_c_schema, METH_NOARGS,
     "The schema, as a new `arrow_schema` capsule."},
    {"__arrow_c_array__", (PyCFunction)(void (*)(void))frame_c_array,
     METH_VARARGS | METH_KEYWORDS,
     "The table as one struct array, without a copy: capsules of schema and array."},
    {"__arrow_c_stream__", (PyCFunction)(void (*)(void))frame_c_stream,
     METH_VARARGS | METH_KEYWORDS,
     "The table as a stream of one batch, without a copy; fresh at each call."},
    {"_batches", frame_batches, METH_VARARGS, NULL},
    {"_only_schema", frame_only_schema, METH_NOARGS, NULL},
    {"_only_array", frame_only_array, METH_VARARGS, NULL},
    {0},
};

static PyGetSetDef frame_getset[] = {
    {"key", frame_key, NULL, "The key it was put under.", NULL},
    {"sequence", frame_sequence, NULL,
     "The number of its commit: unique to this frame, grows with every put.", NULL},
    {"rows", frame_rows, NULL, "The number of rows.", NULL},
    {"nbytes", frame_nbytes, NULL, "Bytes as stored, of the whole frame.", NULL},
    {"is_stale", frame_is_stale, NULL, "Whether it is past its expiry.", NULL},
    {"_identity", frame_identity, NULL, NULL, NULL},
    {"info", frame_info, NULL, "What the cache knows of it, as a dict.", "leased"},
    {"_info", frame_info, NULL, NULL, NULL},
    {"_released", frame_released, NULL, NULL, NULL},
    {0},
};

static PyMemberDef frame_members[] = {
    {"_first", T_LONGLONG, offsetof(core_frame, first), READONLY, NULL},
    {"_after", T_LONGLONG, offsetof(core_frame, after), READONLY, NULL},
    {"_table", T_LONGLONG, offsetof(core_frame, table), READONLY, NULL},
    {"_memo", T_OBJECT, offsetof(core_frame, memo), 0, NULL},
    {0},
};

static PyType_Slot frame_slots[] = {
    {Py_tp_dealloc, frame_dealloc}, {Py_tp_methods, frame_methods},
    {Py_tp_getset, frame_getset},   {Py_tp_members, frame_members},
    {Py_mp_length, frame_length},   {0, NULL},
};

PyType_Spec core_frame_spec = {
    .name = "framecache._core.Frame",
    .basicsize = sizeof(core_frame),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = frame_slots,
};
