/* A frame's columns: what its schema says, as a key that equal schemas share; the values
 * of all plain columns at one call; and one column with all there is of it. */
#include "core.h"

/* ---- The schema ---- */

/* The size of metadata in Arrow's encoding: int32 pairs, each int32 size and bytes,
 * twice. */
static size_t metadata_bytes(const char *metadata) {
    const char *at = metadata;
    int32_t pairs, size;

    memcpy(&pairs, at, sizeof pairs);
    at += sizeof pairs;
    for (int32_t i = 0; i < 2 * pairs; i++) {
        memcpy(&size, at, sizeof size);
        at += sizeof size + size;
    }
    return (size_t)(at - metadata);
}

static PyObject *metadata_object(const char *metadata) {
    if (!metadata)
        return PyBytes_FromStringAndSize(NULL, 0);
    return PyBytes_FromStringAndSize(metadata, (Py_ssize_t)metadata_bytes(metadata));
}

/* (name, format, flags, metadata of the field) */
static PyObject *field_object(const struct ArrowSchema *field) {
    const char *name = field->name ? field->name : "";

    return Py_BuildValue(
        "(NsLN)", PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "surrogateescape"),
        field->format, (long long)field->flags, metadata_object(field->metadata));
}

/* _layout() -> ((field, ...), metadata) */
PyObject *core_frame_layout(PyObject *op, PyObject *unused) {
    core_frame *self = (core_frame *)op;
    struct ArrowSchema schema;
    PyObject *fields;
    fc_error error;

    (void)unused;
    if (!core_frame_held(self))
        return NULL;
    if (fc_frame_export_schema(self->frame, &schema, &error))
        return core_raise(self->state, &error, NULL);
    fields = PyTuple_New((Py_ssize_t)schema.n_children);
    for (int64_t i = 0; fields && i < schema.n_children; i++) {
        PyObject *field = field_object(schema.children[i]);

        if (!field || PyTuple_SetItem(fields, (Py_ssize_t)i, field))
            Py_CLEAR(fields);
    }
    if (fields)
        fields = Py_BuildValue("(NN)", fields, metadata_object(schema.metadata));
    schema.release(&schema);
    return fields;
}

/* ---- Plain columns ---- */

static PyObject *values_object(core_frame *self, const fc_column *column) {
    if ((column->validity && column->nulls) || column->dictionary || !column->values ||
        column->rows == 0)
        return Py_NewRef(Py_None);
    return core_buffer_of_frame(self->state, self->frame, column->values,
                                column->rows * column->width, self->is_private);
}

/* _values((index or -1, ...)) -> [values of a column of fixed width, or None: where nulls
 * are marked, there is a dictionary, or nothing at all] */
PyObject *core_frame_values(PyObject *op, PyObject *indices) {
    core_frame *self = (core_frame *)op;
    PyObject *list;
    Py_ssize_t count;
    fc_error error;

    if (!PyTuple_Check(indices)) {
        PyErr_SetString(PyExc_TypeError, "indices must be a tuple");
        return NULL;
    }
    if (!core_frame_held(self))
        return NULL;
    count = PyTuple_Size(indices);
    list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        long long index = PyLong_AsLongLong(PyTuple_GetItem(indices, i));
        const fc_column *column;
        PyObject *values;

        if (index == -1) {
            values = PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
        } else if (fc_frame_column_at(self->frame, index, &column, &error)) {
            values = core_raise(self->state, &error, NULL);
        } else {
            values = values_object(self, column);
        }
        if (!values || PyList_SetItem(list, i, values))
            Py_CLEAR(list);
    }
    return list;
}

/* ---- One column ---- */

static const char *const type_names[] = {"ANY",
#define FC_X(name, format, values) #name,
                                         FC_TYPES(FC_X)
#undef FC_X
};

static int64_t values_bytes(const fc_column *column) {
    if (!column->values || column->rows == 0)
        return 0;
    if (column->type == FC_TYPE_BOOL)
        return (column->bit + column->rows + 7) / 8;
    if (column->type == FC_TYPE_STRING || column->type == FC_TYPE_BINARY)
        return column->offsets[column->rows];
    return column->rows * column->width;
}

static PyObject *buffer_or_none(core_frame *self, const void *data, int64_t bytes,
                                bool writable) {
    if (!data)
        return Py_NewRef(Py_None);
    return core_buffer_of_frame(self->state, self->frame, data, bytes, writable);
}

static PyObject *value_or_none(const fc_column *column, const void *value) {
    if (!value)
        return Py_NewRef(Py_None);
    return PyBytes_FromStringAndSize(value, column->width);
}

/* (name, format, type, width, rows, nulls, bit, values, validity, offsets, dictionary) */
static PyObject *column_tuple(core_frame *self, const fc_column *column) {
    bool fixed = column->type != FC_TYPE_STRING && column->type != FC_TYPE_BINARY;
    PyObject *dictionary = Py_NewRef(Py_None);

    if (column->dictionary) {
        Py_DECREF(dictionary);
        if (!(dictionary = column_tuple(self, column->dictionary)))
            return NULL;
    }
    return Py_BuildValue(
        "(NssiLLLNNNN)",
        PyUnicode_DecodeUTF8(column->name, (Py_ssize_t)strlen(column->name),
                             "surrogateescape"),
        column->format, type_names[column->type], (int)column->width,
        (long long)column->rows, (long long)column->nulls, (long long)column->bit,
        buffer_or_none(self, column->values, values_bytes(column),
                       self->is_private && fixed),
        buffer_or_none(self, column->validity, (column->bit + column->rows + 7) / 8,
                       false),
        buffer_or_none(self, column->offsets, (column->rows + 1) * 8, false), dictionary);
}

static const fc_column *column_at(core_frame *self, PyObject *index, fc_error *error) {
    const fc_column *column;
    long long at = PyLong_AsLongLong(index);

    if ((at == -1 && PyErr_Occurred()) || !core_frame_held(self))
        return NULL;
    if (!fc_frame_column_at(self->frame, at, &column, error))
        return column;
    core_raise(self->state, error, NULL);
    return NULL;
}

PyObject *core_frame_column(PyObject *op, PyObject *index) {
    fc_error error;
    const fc_column *column = column_at((core_frame *)op, index, &error);

    return column ? column_tuple((core_frame *)op, column) : NULL;
}

/* _range(index) -> (min, max), each the bytes of a value or None */
PyObject *core_frame_range(PyObject *op, PyObject *index) {
    fc_error error;
    const fc_column *column = column_at((core_frame *)op, index, &error);

    if (!column)
        return NULL;
    return Py_BuildValue("(NN)", value_or_none(column, column->min),
                         value_or_none(column, column->max));
}
