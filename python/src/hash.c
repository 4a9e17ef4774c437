/* Content hashes: of a frame, of an array. */
#include "core.h"

/* content_hash() -> bytes */
PyObject *core_frame_hash(PyObject *op, PyObject *unused) {
    core_frame *self = (core_frame *)op;
    fc_frame *frame;
    uint8_t digest[16];
    fc_error error;
    int rc;

    (void)unused;
    if (!self->frame)
        return core_raise_closed(self->state,
                                 "the frame was released: get it from the cache again");
    frame = fc_frame_retain(self->frame); /* another thread may release it */
    Py_BEGIN_ALLOW_THREADS rc = fc_frame_hash(frame, digest, &error);
    fc_frame_release(frame);
    Py_END_ALLOW_THREADS if (rc) return core_raise(self->state, &error, NULL);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}

/* hash_stream(capsule) -> bytes */
PyObject *core_hash_stream(PyObject *module, PyObject *capsule) {
    struct ArrowArrayStream *held = core_stream_of(capsule), stream;
    uint8_t digest[16];
    fc_error error;
    int rc;

    if (!held)
        return NULL;
    stream = *held; /* moved out: the library releases it */
    held->release = NULL;
    Py_BEGIN_ALLOW_THREADS rc = fc_hash_stream(&stream, 0, digest, &error);
    Py_END_ALLOW_THREADS if (rc) return core_raise(PyModule_GetState(module), &error,
                                                   NULL);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}

/* hash_array(schema capsule, array capsule) -> bytes */
PyObject *core_hash_array(PyObject *module, PyObject *args) {
    PyObject *schema_capsule, *array_capsule;
    struct ArrowSchema *schema;
    struct ArrowArray *array;
    uint8_t digest[16];
    fc_error error;
    int rc;

    if (!PyArg_ParseTuple(args, "OO", &schema_capsule, &array_capsule) ||
        !(schema = core_schema_of(schema_capsule)) ||
        !(array = core_array_of(array_capsule)))
        return NULL;
    Py_BEGIN_ALLOW_THREADS rc = fc_hash(schema, array, digest, &error);
    Py_END_ALLOW_THREADS if (rc) return core_raise(PyModule_GetState(module), &error,
                                                   NULL);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}
