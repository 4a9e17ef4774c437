/* Buffer: bytes of a frame (kept leased by it) or of a build, by the buffer protocol. It
 * holds a reference of the C library, not of the Python frame, so that frame.release()
 * leaves what was exported valid. */
#include "core.h"

static char empty[64]; /* what a view of no bytes points at */

static core_buffer *buffer_alloc(core_state *state, const void *data, int64_t bytes,
                                 bool writable) {
    allocfunc alloc = (allocfunc)PyType_GetSlot(state->buffer_type, Py_tp_alloc);
    core_buffer *self = (core_buffer *)alloc(state->buffer_type, 0);

    if (!self)
        return NULL;
    self->data = data ? (void *)(uintptr_t)data : empty;
    self->bytes = (Py_ssize_t)bytes;
    self->writable = writable;
    return self;
}

PyObject *core_buffer_of_frame(core_state *state, fc_frame *frame, const void *data,
                               int64_t bytes, bool writable) {
    core_buffer *self = buffer_alloc(state, data, bytes, writable);

    if (self)
        self->frame = fc_frame_retain(frame);
    return (PyObject *)self;
}

PyObject *core_buffer_of_build(core_state *state, core_build *build, void *data,
                               int64_t bytes) {
    core_buffer *self = buffer_alloc(state, data, bytes, true);

    if (self) {
        self->build = (core_build *)Py_NewRef((PyObject *)build);
        self->build_epoch = build->epoch;
    }
    return (PyObject *)self;
}

static int buffer_get(PyObject *op, Py_buffer *view, int flags) {
    core_buffer *self = (core_buffer *)op;

    if (self->build && (!self->build->build || self->build->epoch != self->build_epoch)) {
        PyErr_SetString(PyExc_BufferError,
                        "the build has ended, or this column has moved");
        view->obj = NULL;
        return -1;
    }
    if (PyBuffer_FillInfo(view, op, self->data, self->bytes, !self->writable, flags))
        return -1;
    if (self->build)
        self->build->exports++;
    return 0;
}

static void buffer_put_back(PyObject *op, Py_buffer *view) {
    core_buffer *self = (core_buffer *)op;

    (void)view;
    if (self->build)
        self->build->exports--;
}

static Py_ssize_t buffer_length(PyObject *op) {
    return ((core_buffer *)op)->bytes;
}

static void buffer_dealloc(PyObject *op) {
    core_buffer *self = (core_buffer *)op;
    PyTypeObject *type = Py_TYPE(op);

    fc_frame_release(self->frame);
    Py_XDECREF((PyObject *)self->build);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(op);
    Py_DECREF(type);
}

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, "Bytes of a frame or of a build, by the buffer protocol."},
    {Py_tp_dealloc, buffer_dealloc},
    {Py_sq_length, buffer_length},
    {Py_bf_getbuffer, buffer_get},
    {Py_bf_releasebuffer, buffer_put_back},
    {0, NULL},
};

PyType_Spec core_buffer_spec = {
    .name = "framecache._core.Buffer",
    .basicsize = sizeof(core_buffer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = buffer_slots,
};
