/* Flights: the right to compute a key, for all processes, as a capsule that keeps the
 * cache open. The waiting is Python's (_flight.py), so that it suits threads, event loops
 * and greenlets alike. */
#include "core.h"

static const char capsule_name[] = "framecache.flight";

typedef struct held_flight {
    core_cache *owner;
    fc_flight *flight; /* NULL once ended */
} held_flight;

static void end(held_flight *held) {
    fc_flight *flight = held->flight;

    if (!flight)
        return;
    held->flight = NULL;
    fc_flight_end(flight);
    core_cache_leave(held->owner);
}

static void flight_destroy(PyObject *capsule) {
    held_flight *held = PyCapsule_GetPointer(capsule, capsule_name);

    end(held);
    Py_DECREF((PyObject *)held->owner);
    PyMem_Free(held);
}

/* Takes the flight over, also on failure. */
static PyObject *flight_capsule(core_cache *self, fc_flight *flight) {
    held_flight *held = PyMem_Malloc(sizeof *held);
    PyObject *capsule = NULL;

    if (held) {
        held->owner = (core_cache *)Py_NewRef((PyObject *)self);
        held->flight = flight;
        capsule = PyCapsule_New(held, capsule_name, flight_destroy);
    } else {
        PyErr_NoMemory();
    }
    if (capsule) {
        self->users++; /* until end() */
        return capsule;
    }
    if (held)
        Py_DECREF((PyObject *)self);
    PyMem_Free(held);
    fc_flight_end(flight);
    return NULL;
}

/* Frame: a hit. (flight, Frame or None): compute, and serve the frame meanwhile. */
static PyObject *outcome(core_cache *self, fc_frame *frame, fc_flight *flight) {
    PyObject *served = NULL, *capsule;

    if (flight && !(capsule = flight_capsule(self, flight))) {
        fc_frame_release(frame);
        return NULL;
    }
    if (frame)
        served = core_frame_new(self->state, frame, 0);
    if (!flight)
        return served;
    if (frame && !served) {
        Py_DECREF(capsule);
        return NULL;
    }
    return Py_BuildValue("(NN)", capsule, served ? served : Py_NewRef(Py_None));
}

/* A cold frame under the key is decompressed, for which the GIL goes; with FC_GET_NOWAIT,
 * FC_E_BUSY then, as when another computes. */
static int begin(fc_cache *cache, fc_bytes key, unsigned int flags, fc_frame **frame,
                 fc_flight **flight, fc_error *error) {
    int rc = fc_flight_begin(cache, key, flags | FC_GET_NOWAIT, frame, flight, error);

    if (rc != FC_E_BUSY || (flags & FC_GET_NOWAIT))
        return rc;
    Py_BEGIN_ALLOW_THREADS rc = fc_flight_begin(cache, key, flags, frame, flight, error);
    Py_END_ALLOW_THREADS return rc;
}

/* _flight_begin(key, flags): as outcome(), or None: another computes. False: it does so
 * in this thread. The library calls that a deadlock; here it may be another coroutine or
 * greenlet, which _flight.py knows. */
PyObject *core_flight_begin(PyObject *op, PyObject *args) {
    core_cache *self = (core_cache *)op;
    PyObject *object, *result = NULL;
    fc_flight *flight;
    fc_frame *frame;
    unsigned int flags;
    core_key key;
    fc_cache *cache;
    fc_error error;
    int rc;

    if (!PyArg_ParseTuple(args, "OI", &object, &flags) || core_key_parse(object, &key))
        return NULL;
    if ((cache = core_cache_enter(self))) {
        rc = begin(cache, key.bytes, flags, &frame, &flight, &error);
        if (rc == FC_E_BUSY || rc == FC_E_DEADLOCK)
            result = Py_NewRef(rc == FC_E_BUSY ? Py_None : Py_False);
        else
            result = rc ? core_raise(self->state, &error, object)
                        : outcome(self, frame, flight);
        core_cache_leave(self);
    }
    Py_XDECREF(key.owner);
    return result;
}

/* _flight_end(flight): once or more often. */
PyObject *core_flight_end(PyObject *op, PyObject *capsule) {
    held_flight *held = PyCapsule_GetPointer(capsule, capsule_name);

    (void)op;
    if (!held)
        return NULL;
    end(held);
    Py_RETURN_NONE;
}
