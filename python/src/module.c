/* framecache._core: the module, its functions and its state. */
#include "core.h"

static core_state *state_of_module(PyObject *module) {
    return PyModule_GetState(module);
}

/* ---- Findings ---- */

typedef struct finding_sink {
    PyObject *list;
    PyThreadState *thread; /* while the library runs without the GIL */
} finding_sink;

static int gather(void *context, const fc_finding *finding) {
    static const char *const levels[] = {"info", "error", "warning", "info", "info"};
    finding_sink *gathering = context;
    PyObject *item;
    int failed;

    PyEval_RestoreThread(gathering->thread);
    item = Py_BuildValue("{s:s,s:s,s:s,s:z}", "level",
                         levels[finding->level <= FC_LEVEL_DEBUG ? finding->level : 0],
                         "subject", finding->subject, "text", finding->text, "remedy",
                         finding->remedy);
    failed = !item || PyList_Append(gathering->list, item);
    Py_XDECREF(item);
    gathering->thread = PyEval_SaveThread();
    return failed;
}

/* Runs a call that reports, without the GIL, and appends each finding to the list. A
 * failure of the list itself is a Python exception; look at that first. */
int core_findings_run(int (*call)(void *argument, fc_report_fn report, void *context,
                                  fc_error *error),
                      void *argument, PyObject *list, fc_error *error) {
    finding_sink gathering = {.list = list};
    int rc;

    error->code = FC_E_INVALID; /* a walk that a callback ended writes no error */
    PyOS_snprintf(error->message, sizeof error->message, "the walk was ended");
    gathering.thread = PyEval_SaveThread();
    rc = call(argument, gather, &gathering, error);
    PyEval_RestoreThread(gathering.thread);
    return rc;
}

static int doctor_run(void *argument, fc_report_fn report, void *context,
                      fc_error *error) {
    return fc_doctor(argument, report, context, error);
}

static PyObject *core_doctor(PyObject *module, PyObject *dir) {
    fc_options options = {.size = sizeof options};
    PyObject *list;
    fc_error error;
    int rc;

    if (dir != Py_None && !(options.dir = PyUnicode_AsUTF8AndSize(dir, NULL)))
        return NULL;
    if (!(list = PyList_New(0)))
        return NULL;
    rc = core_findings_run(doctor_run, &options, list, &error);
    if (rc == 0 && !PyErr_Occurred())
        return list;
    Py_DECREF(list);
    return core_raise(state_of_module(module), &error, NULL);
}

/* Of each of Cache.stats(): C counter, G gauge of the cache, P gauge of the process. */
static int add_stat_kinds(PyObject *module) {
    PyObject *kinds = PyDict_New();
    int failed = !kinds;

#define FC_X(name, kind)                                                                 \
    if (!failed) {                                                                       \
        PyObject *text = PyUnicode_FromString(#kind);                                    \
        failed = !text || PyDict_SetItemString(kinds, #name, text);                      \
        Py_XDECREF(text);                                                                \
    }
    FC_STATS(FC_X)
#undef FC_X
    failed = failed || PyModule_AddObjectRef(module, "stat_kinds", kinds);
    Py_XDECREF(kinds);
    return failed ? -1 : 0;
}

/* ---- The Python half ---- */

/* configure(Frame, make_error): which class frames have, and who makes exceptions. */
static PyObject *core_configure(PyObject *module, PyObject *args) {
    core_state *state = state_of_module(module);
    PyObject *frame_class, *make_error;

    if (!PyArg_ParseTuple(args, "OO", &frame_class, &make_error))
        return NULL;
    if (!PyType_Check(frame_class) ||
        !PyType_IsSubtype((PyTypeObject *)frame_class, state->frame_type)) {
        PyErr_SetString(PyExc_TypeError, "Frame must derive from _core.Frame");
        return NULL;
    }
    Py_XDECREF(state->make_error);
    Py_XDECREF((PyObject *)state->frame_class);
    state->make_error = Py_NewRef(make_error);
    state->frame_class = (PyTypeObject *)Py_NewRef(frame_class);
    state->frame_alloc = (allocfunc)PyType_GetSlot(state->frame_class, Py_tp_alloc);
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"configure", core_configure, METH_VARARGS, "configure(Frame, make_error)"},
    {"doctor", core_doctor, METH_O, "doctor(dir or None) -> findings"},
    {"schema_make", core_schema_make, METH_O, "schema_make([(name, format)]) -> capsule"},
    {"stream_batches", core_stream_batches, METH_O,
     "stream_batches(capsule) -> (schema capsule, [array capsule])"},
    {"schema_fields", core_schema_fields, METH_O,
     "schema_fields(capsule) -> ([(name, format, flags, metadata, dictionary?)], "
     "metadata)"},
    {"hash_array", core_hash_array, METH_VARARGS, "hash_array(schema, array) -> bytes"},
    {"hash_stream", core_hash_stream, METH_O, "hash_stream(stream) -> bytes"},
    {"hash_columns", core_hash_columns, METH_VARARGS,
     "hash_columns(columns, rows, metadata) -> bytes"},
    {"valid_bits", core_valid_bits, METH_VARARGS,
     "valid_bits(values, kind) -> (bitmap or None, nulls)"},
    {"nulls_hold", core_nulls_hold, METH_VARARGS,
     "nulls_hold(values, bitmap, bit, rows, kind) -> bool"},
    {"fill_nulls", core_fill_nulls, METH_VARARGS,
     "fill_nulls(values, bitmap, bit, rows, kind)"},
    {"encode_strings", core_encode_strings, METH_VARARGS,
     "encode_strings(array, NA, exact=False) -> (bitmap or None, offsets, data, nulls, kinds)"},
    {"decode_strings", core_decode_strings, METH_VARARGS,
     "decode_strings(data, offsets, bitmap or None, bit, rows, null) -> list"},
    {"encode_values", core_encode_values, METH_VARARGS,
     "encode_values(array, NA, NaT, kinds, function) -> (bitmap or None, offsets, data, nulls)"},
    {"missing_kinds", core_missing_kinds, METH_VARARGS,
     "missing_kinds(array, NA, NaT) -> (kinds, types)"},
    {"join_values", core_join_values, METH_VARARGS,
     "join_values(data, offsets, bitmap or None, bit, rows) -> str"},
    {0},
};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

    if (!type || PyModule_AddType(module, (PyTypeObject *)type)) {
        Py_XDECREF(type);
        return NULL;
    }
    return (PyTypeObject *)type;
}

static int module_exec(PyObject *module) {
    core_state *state = state_of_module(module);

    if (!(state->cache_type = add_type(module, &core_cache_spec)) ||
        !(state->frame_type = add_type(module, &core_frame_spec)) ||
        !(state->buffer_type = add_type(module, &core_buffer_spec)) ||
        !(state->build_type = add_type(module, &core_build_spec)))
        return -1;
    state->frame_class = (PyTypeObject *)Py_NewRef((PyObject *)state->frame_type);
    state->frame_alloc = (allocfunc)PyType_GetSlot(state->frame_type, Py_tp_alloc);
    if (add_stat_kinds(module))
        return -1;
    return PyModule_AddStringConstant(module, "version", fc_version());
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    core_state *state = state_of_module(module);

    Py_VISIT(state->cache_type);
    Py_VISIT(state->frame_type);
    Py_VISIT(state->buffer_type);
    Py_VISIT(state->build_type);
    Py_VISIT(state->frame_class);
    Py_VISIT(state->make_error);
    return 0;
}

/* The types themselves stay: objects of theirs may outlive this, and read the state. */
static int module_clear(PyObject *module) {
    core_state *state = state_of_module(module);

    Py_CLEAR(state->make_error);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "framecache._core",
    .m_doc = "The C half of framecache. Use the package, not this.",
    .m_size = sizeof(core_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&module_def);
}
