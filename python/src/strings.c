/* Columns of Python strings to Arrow's large strings and back, without pyarrow. */
#include "core.h"

enum { NULL_NONE = 1, NULL_NAN = 2, NULL_NA = 4 };

typedef struct string_items {
    PyObject *const *items;
    Py_ssize_t rows;
    PyObject *na; /* pandas.NA, or None */
    int64_t bytes, nulls;
    int kinds; /* of nulls met */
    int exact; /* refuse what is derived from str or float: it would come back as those */
} string_items;

/* Which kind of null the item is; 0: none; -1 and an exception: neither string nor null.
 */
static int null_kind(const string_items *encoding, PyObject *item, Py_ssize_t row) {
    if (encoding->exact ? PyUnicode_CheckExact(item) : PyUnicode_Check(item))
        return 0;
    if (item == Py_None)
        return NULL_NONE;
    if (item == encoding->na)
        return NULL_NA;
    if (encoding->exact ? PyFloat_CheckExact(item) : PyFloat_Check(item)) {
        double value = PyFloat_AsDouble(item);
        if (value != value)
            return NULL_NAN;
    }
    PyErr_Format(PyExc_TypeError, "row %zd is %R, neither a str nor a missing value", row,
                 item);
    return -1;
}

static int measure(string_items *encoding) {
    for (Py_ssize_t row = 0; row < encoding->rows; row++) {
        PyObject *item = encoding->items[row] ? encoding->items[row] : Py_None;
        int kind = null_kind(encoding, item, row);
        Py_ssize_t size = 0;

        if (kind < 0 || (!kind && !PyUnicode_AsUTF8AndSize(item, &size)))
            return -1;
        encoding->bytes += size;
        encoding->nulls += kind > 0;
        encoding->kinds |= kind;
    }
    return 0;
}

static int store(const string_items *encoding, int64_t *offsets, char *data,
                 uint8_t *bits) {
    int64_t at = 0;

    for (Py_ssize_t row = 0; row < encoding->rows; row++) {
        PyObject *item = encoding->items[row];
        Py_ssize_t size = 0;

        offsets[row] = at;
        if (item && PyUnicode_Check(item)) {
            const char *text = PyUnicode_AsUTF8AndSize(item, &size);

            if (!text ||
                at + size > encoding->bytes) { /* no other thread ran: cannot be */
                if (!PyErr_Occurred())
                    PyErr_SetString(PyExc_RuntimeError, "the strings changed meanwhile");
                return -1;
            }
            memcpy(data + at, text, (size_t)size);
            bits[row >> 3] |= (uint8_t)(1 << (row & 7));
        }
        at += size;
    }
    offsets[encoding->rows] = at;
    return 0;
}

static PyObject *encode(string_items *encoding) {
    Py_ssize_t bit_bytes = (encoding->rows + 7) / 8;
    PyObject *offsets = NULL, *data = NULL, *bits = NULL, *result = NULL;

    if (measure(encoding))
        return NULL;
    offsets = PyBytes_FromStringAndSize(NULL, (encoding->rows + 1) * 8);
    data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)encoding->bytes);
    bits = PyBytes_FromStringAndSize(NULL, bit_bytes);
    if (!offsets || !data || !bits)
        goto out;
    memset(PyBytes_AsString(bits), 0, (size_t)bit_bytes);
    if (store(encoding, (int64_t *)(void *)PyBytes_AsString(offsets),
              PyBytes_AsString(data), (uint8_t *)PyBytes_AsString(bits)))
        goto out;
    result = Py_BuildValue("(OOOLi)", encoding->nulls ? bits : Py_None, offsets, data,
                           (long long)encoding->nulls, encoding->kinds);
out:
    Py_XDECREF(bits);
    Py_XDECREF(data);
    Py_XDECREF(offsets);
    return result;
}

/* encode_strings(object array, NA, exact) -> (bitmap or None, offsets, data, nulls, kinds
 * of null met: 1 None, 2 NaN, 4 NA). The array must be contiguous; exact: without what is
 * derived from str. TypeError names the row. */
PyObject *core_encode_strings(PyObject *module, PyObject *args) {
    string_items encoding = {0};
    Py_buffer view;
    PyObject *array, *result = NULL;

    (void)module;
    if (!PyArg_ParseTuple(args, "OO|p", &array, &encoding.na, &encoding.exact) ||
        PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS))
        return NULL;
    if (view.format && strcmp(view.format, "O") == 0 &&
        view.itemsize == sizeof(PyObject *)) {
        encoding.items = view.buf;
        encoding.rows = view.len / view.itemsize;
        result = encode(&encoding);
    } else {
        PyErr_SetString(PyExc_TypeError, "an array of objects is needed");
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *decode(const Py_buffer *data, const int64_t *offsets,
                        const uint8_t *bits, int64_t bit, Py_ssize_t rows,
                        PyObject *missing) {
    PyObject *list = PyList_New(rows);

    for (Py_ssize_t row = 0; list && row < rows; row++) {
        int64_t at = offsets[row], end = offsets[row + 1], place = bit + row;
        PyObject *item;

        if (bits && !(bits[place >> 3] >> (place & 7) & 1)) {
            item = Py_NewRef(missing);
        } else if (at < 0 || end < at || end > data->len) {
            item = NULL;
            PyErr_SetString(PyExc_ValueError, "string offsets do not hold");
        } else {
            item = PyUnicode_DecodeUTF8((const char *)data->buf + at,
                                        (Py_ssize_t)(end - at), NULL);
        }
        if (!item || PyList_SetItem(list, row, item)) {
            Py_DECREF(list);
            list = NULL;
        }
    }
    return list;
}

/* decode_strings(data, offsets, bitmap or None, bit, rows, what stands for null) -> list
 */
PyObject *core_decode_strings(PyObject *module, PyObject *args) {
    Py_buffer data, offsets, bits = {0};
    PyObject *missing, *result = NULL;
    long long bit;
    Py_ssize_t rows;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*z*LnO", &data, &offsets, &bits, &bit, &rows,
                          &missing))
        return NULL;
    if (rows < 0 || bit < 0 || offsets.len / 8 < rows + 1 ||
        (bits.buf && bits.len < (bit + rows + 7) / 8))
        PyErr_SetString(PyExc_ValueError, "the buffers are too short for the rows");
    else
        result = decode(&data, offsets.buf, bits.buf, bit, rows, missing);
    if (bits.buf)
        PyBuffer_Release(&bits);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&data);
    return result;
}
