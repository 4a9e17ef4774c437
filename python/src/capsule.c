/* The Arrow PyCapsule interface: structs in capsules whose destructor releases them if no
 * consumer has moved them out, and reading the fields of a schema. */
#include "core.h"

#define CAPSULE(kind, Struct, capsule_name)                                              \
    static void kind##_destroy(PyObject *capsule) {                                      \
        struct Struct *held = PyCapsule_GetPointer(capsule, capsule_name);               \
        if (held && held->release)                                                       \
            held->release(held);                                                         \
        PyMem_Free(held);                                                                \
    }                                                                                    \
    PyObject *core_capsule_##kind(struct Struct *from) {                                 \
        struct Struct *held = PyMem_Malloc(sizeof *held);                                \
        PyObject *capsule = NULL;                                                        \
        if (held) {                                                                      \
            *held = *from;                                                               \
            capsule = PyCapsule_New(held, capsule_name, kind##_destroy);                 \
        } else {                                                                         \
            PyErr_NoMemory();                                                            \
        }                                                                                \
        if (!capsule) {                                                                  \
            PyMem_Free(held);                                                            \
            from->release(from);                                                         \
        }                                                                                \
        return capsule;                                                                  \
    }                                                                                    \
    struct Struct *core_##kind##_of(PyObject *capsule) {                                 \
        struct Struct *held;                                                             \
        if (!PyCapsule_IsValid(capsule, capsule_name)) {                                 \
            PyErr_Format(PyExc_TypeError, "expected a capsule named '%s', got %R",       \
                         capsule_name, capsule);                                         \
            return NULL;                                                                 \
        }                                                                                \
        held = PyCapsule_GetPointer(capsule, capsule_name);                              \
        if (held && !held->release) {                                                    \
            PyErr_Format(PyExc_ValueError, "the capsule '%s' has been used already",     \
                         capsule_name);                                                  \
            return NULL;                                                                 \
        }                                                                                \
        return held;                                                                     \
    }

CAPSULE(schema, ArrowSchema, "arrow_schema")
CAPSULE(array, ArrowArray, "arrow_array")
CAPSULE(stream, ArrowArrayStream, "arrow_array_stream")

/* Arrow's encoding: int32 pairs, then for each int32 size, key, int32 size, value. */
PyObject *core_metadata_list(const char *metadata) {
    PyObject *list = PyList_New(0);
    int32_t pairs = 0;

    if (!list || !metadata)
        return list;
    memcpy(&pairs, metadata, sizeof pairs);
    metadata += sizeof pairs;
    for (int32_t i = 0; i < pairs; i++) {
        PyObject *item;
        int32_t size[2];
        const char *text[2];
        int failed;

        for (int side = 0; side < 2; side++) {
            memcpy(&size[side], metadata, sizeof size[side]);
            text[side] = metadata + sizeof size[side];
            metadata = text[side] + size[side];
        }
        item = Py_BuildValue("(y#y#)", text[0], (Py_ssize_t)size[0], text[1],
                             (Py_ssize_t)size[1]);
        failed = !item || PyList_Append(list, item);
        Py_XDECREF(item);
        if (failed) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *field_tuple(const struct ArrowSchema *field) {
    const char *name = field->name ? field->name : "";
    PyObject *metadata = core_metadata_list(field->metadata);

    if (!metadata)
        return NULL;
    return Py_BuildValue(
        "(NsLNi)",
        PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "surrogateescape"),
        field->format, (long long)field->flags, metadata, field->dictionary != NULL);
}

/* schema_fields(capsule) -> ([(name, format, flags, metadata, dictionary?)], metadata) */
PyObject *core_schema_fields(PyObject *module, PyObject *capsule) {
    const struct ArrowSchema *schema = core_schema_of(capsule);
    PyObject *fields;

    (void)module;
    if (!schema)
        return NULL;
    fields = PyList_New((Py_ssize_t)schema->n_children);
    for (int64_t i = 0; fields && i < schema->n_children; i++) {
        PyObject *field = field_tuple(schema->children[i]);

        if (!field || PyList_SetItem(fields, (Py_ssize_t)i, field)) {
            Py_DECREF(fields);
            return NULL;
        }
    }
    if (!fields)
        return NULL;
    return Py_BuildValue("(NN)", fields, core_metadata_list(schema->metadata));
}

static PyObject *stream_failed(PyObject *module, struct ArrowArrayStream *stream,
                               int code) {
    const char *why = stream->get_last_error(stream);
    fc_error error = {.code = code};

    snprintf(error.message, sizeof error.message, "the table's stream failed: %s",
             why ? why : "it does not say why");
    return core_raise(PyModule_GetState(module), &error, NULL);
}

/* stream_batches(capsule) -> (schema capsule, [array capsule]); the stream is used up. */
PyObject *core_stream_batches(PyObject *module, PyObject *capsule) {
    struct ArrowArrayStream *stream = core_stream_of(capsule);
    PyObject *list = stream ? PyList_New(0) : NULL, *schema_capsule;
    struct ArrowSchema schema;
    int rc;

    if (!list)
        return NULL;
    if ((rc = stream->get_schema(stream, &schema))) {
        Py_DECREF(list);
        return stream_failed(module, stream, rc);
    }
    schema_capsule = core_capsule_schema(&schema);
    while (schema_capsule) {
        PyObject *batch = NULL;
        struct ArrowArray array;

        Py_BEGIN_ALLOW_THREADS rc = stream->get_next(stream, &array);
        Py_END_ALLOW_THREADS if (!rc && !array.release) return Py_BuildValue(
            "(NN)", schema_capsule, list);
        if (rc)
            stream_failed(module, stream, rc);
        if (rc || !(batch = core_capsule_array(&array)) || PyList_Append(list, batch))
            Py_CLEAR(schema_capsule);
        Py_XDECREF(batch);
    }
    Py_DECREF(list);
    return NULL;
}
