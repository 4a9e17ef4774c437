/* Raising: the classes are Python's (framecache/_errors.py), chosen and filled by make().
 */
#include "core.h"

PyObject *core_raise(core_state *state, const fc_error *error, PyObject *key) {
    PyObject *exception;

    if (PyErr_Occurred()) /* a callback of ours has failed already: that is the cause */
        return NULL;
    if (!state->make_error)
        return PyErr_Format(PyExc_RuntimeError, "%s", error->message);
    exception = PyObject_CallFunction(
        state->make_error, "siNiiLKKKKKO", fc_error_name(error->code), error->code,
        PyUnicode_DecodeUTF8(error->message, (Py_ssize_t)strlen(error->message),
                             "replace"),
        error->sys_errno, (int)error->miss, (long long)error->miss_age_ms,
        (unsigned long long)error->asked_bytes, (unsigned long long)error->budget_bytes,
        (unsigned long long)error->used_bytes, (unsigned long long)error->leased_bytes,
        (unsigned long long)error->zombie_bytes, key ? key : Py_None);
    if (!exception)
        return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
    return NULL;
}

PyObject *core_raise_closed(core_state *state, const char *what) {
    fc_error error = {.code = FC_E_CLOSED};

    PyOS_snprintf(error.message, sizeof error.message, "%s", what);
    return core_raise(state, &error, NULL);
}
