/* Columns of Python objects of any types: each row as JSON, as docs/format.md has values.
 * Plain values, and lists, tuples and dicts of them, are written here; a row that holds
 * anything else is written by the function that the caller gives. */
#include "core.h"

enum { NULL_NONE = 1, NULL_NAN = 2, NULL_NA = 4, NULL_NAT = 8 };
enum { MOST_LEVELS = 16 }; /* deeper ones are the function's: it says what is too deep */
enum { FAILED = -1, WRITTEN, OTHER };

typedef struct text {
    char *bytes;
    size_t used, room;
} text;

typedef struct missing {
    PyObject *na, *nat; /* pandas.NA, pandas.NaT */
    int null;           /* which of them are null in the column */
} missing;

static int reserve(text *out, size_t more) {
    size_t room = out->room ? out->room : 4096;
    char *bytes;

    if (more <= out->room - out->used)
        return 0;
    while (room - out->used < more)
        room *= 2;
    if (!(bytes = PyMem_Realloc(out->bytes, room))) {
        PyErr_NoMemory();
        return -1;
    }
    out->bytes = bytes;
    out->room = room;
    return 0;
}

static int put_bytes(text *out, const char *bytes, size_t count) {
    if (reserve(out, count))
        return FAILED;
    memcpy(out->bytes + out->used, bytes, count);
    out->used += count;
    return WRITTEN;
}

static int put_text(text *out, const char *letters) {
    return put_bytes(out, letters, strlen(letters));
}

/* ---- Plain values ---- */

static int put_escaped(text *out, unsigned char letter) {
    static const char digits[] = "0123456789abcdef", plain[] = "\"\\\b\f\n\r\t",
                      names[] = "\"\\bfnrt";
    const char *found = letter ? strchr(plain, letter) : NULL;
    char code[] = {'\\', 'u', '0', '0', digits[letter >> 4], digits[letter & 15]};

    if (found)
        return put_bytes(out, (const char[]){'\\', names[found - plain]}, 2);
    return put_bytes(out, code, sizeof code);
}

static int put_string(text *out, PyObject *value) {
    Py_ssize_t count;
    const char *at = PyUnicode_AsUTF8AndSize(value, &count), *end = at + count;

    if (!at) { /* surrogates: the function knows how */
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return FAILED;
        PyErr_Clear();
        return OTHER;
    }
    if (put_text(out, "\""))
        return FAILED;
    while (at < end) {
        const char *from = at;

        while (at < end && (unsigned char)*at >= ' ' && *at != '"' && *at != '\\')
            at++;
        if (put_bytes(out, from, (size_t)(at - from)) ||
            (at < end && put_escaped(out, (unsigned char)*at++)))
            return FAILED;
    }
    return put_text(out, "\"");
}

static int put_int(text *out, PyObject *value) {
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    char digits[24];

    if (number == -1 && !overflow && PyErr_Occurred())
        return FAILED;
    if (overflow || number < -INT64_MAX)
        return OTHER;
    snprintf(digits, sizeof digits, "%lld", number);
    return put_text(out, digits);
}

static int put_float(text *out, PyObject *value) {
    double number = PyFloat_AsDouble(value);
    char *digits;
    int done;

    if (!(number - number == 0)) /* infinite, or no number */
        return OTHER;
    if (!(digits = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL)))
        return FAILED;
    done = put_text(out, digits);
    PyMem_Free(digits);
    return done;
}

/* ---- Containers ---- */

static int put_value(text *out, PyObject *value, int level);

/* Items behind each other; begun: there was one before. */
static int put_item(text *out, PyObject *value, int level, bool begun) {
    if (begun && put_text(out, ","))
        return FAILED;
    return put_value(out, value, level);
}

static int put_list(text *out, PyObject *value, int level) {
    int done = put_text(out, "[");

    for (Py_ssize_t i = 0; !done && i < PyList_Size(value); i++)
        done = put_item(out, PyList_GetItem(value, i), level, i > 0);
    return done ? done : put_text(out, "]");
}

static int put_tuple(text *out, PyObject *value, int level) {
    int done = put_text(out, "{\"tuple\":[");

    for (Py_ssize_t i = 0; !done && i < PyTuple_Size(value); i++)
        done = put_item(out, PyTuple_GetItem(value, i), level, i > 0);
    return done ? done : put_text(out, "]}");
}

/* Whether JSON has the dict as it is: one of one member would look like a tag. */
static bool is_plain(PyObject *dict) {
    PyObject *key;
    Py_ssize_t place = 0;

    if (PyDict_Size(dict) == 1)
        return false;
    while (PyDict_Next(dict, &place, &key, NULL))
        if (!PyUnicode_CheckExact(key))
            return false;
    return true;
}

static int put_object(text *out, PyObject *value, int level) {
    PyObject *key, *item;
    Py_ssize_t place = 0;
    bool begun = false;
    int done = put_text(out, "{");

    while (!done && PyDict_Next(value, &place, &key, &item)) {
        done = put_item(out, key, level, begun);
        if (!done && !(done = put_text(out, ":")))
            done = put_value(out, item, level);
        begun = true;
    }
    return done ? done : put_text(out, "}");
}

static int put_dict(text *out, PyObject *value, int level) {
    PyObject *key, *item;
    Py_ssize_t place = 0;
    bool begun = false;
    int done = put_text(out, "{\"dict\":[");

    while (!done && PyDict_Next(value, &place, &key, &item)) {
        done = put_item(out, key, level, begun);
        if (!done)
            done = put_item(out, item, level, true);
        begun = true;
    }
    return done ? done : put_text(out, "]}");
}

/* No Python code runs in here, so nothing that is walked can change meanwhile. */
static int put_value(text *out, PyObject *value, int level) {
    if (value == Py_None)
        return put_text(out, "null");
    if (value == Py_True || value == Py_False)
        return put_text(out, value == Py_True ? "true" : "false");
    if (PyUnicode_CheckExact(value))
        return put_string(out, value);
    if (PyLong_CheckExact(value))
        return put_int(out, value);
    if (PyFloat_CheckExact(value))
        return put_float(out, value);
    if (level >= MOST_LEVELS)
        return OTHER;
    if (PyList_CheckExact(value))
        return put_list(out, value, level + 1);
    if (PyTuple_CheckExact(value))
        return put_tuple(out, value, level + 1);
    if (PyDict_CheckExact(value))
        return (is_plain(value) ? put_object : put_dict)(out, value, level + 1);
    return OTHER;
}

/* ---- In ---- */

static int kind_of(const missing *missing, PyObject *item) {
    if (item == Py_None)
        return NULL_NONE;
    if (PyFloat_CheckExact(item)) {
        double value = PyFloat_AsDouble(item);

        return value != value ? NULL_NAN : 0;
    }
    if (item == missing->na)
        return NULL_NA;
    return item == missing->nat ? NULL_NAT : 0;
}

static int put_by(text *out, PyObject *function, PyObject *item, Py_ssize_t row) {
    PyObject *bytes = PyObject_CallFunction(function, "On", item, row);
    char *data;
    Py_ssize_t count;
    int done = FAILED;

    if (bytes && !PyBytes_AsStringAndSize(bytes, &data, &count))
        done = put_bytes(out, data, (size_t)count);
    Py_XDECREF(bytes);
    return done;
}

static int put_row(text *out, PyObject *item, PyObject *function, Py_ssize_t row) {
    size_t before = out->used;
    int done;

    Py_INCREF(item); /* the function might take it out of the array */
    done = put_value(out, item, 0);
    if (done == OTHER) {
        out->used = before;
        done = put_by(out, function, item, row);
    }
    Py_DECREF(item);
    return done;
}

static PyObject *encode(const Py_buffer *array, const missing *missing,
                        PyObject *function) {
    PyObject *const *items = array->buf, *result = NULL;
    Py_ssize_t rows = array->len / array->itemsize, nulls = 0;
    PyObject *offsets = PyBytes_FromStringAndSize(NULL, (rows + 1) * 8);
    PyObject *bits = PyBytes_FromStringAndSize(NULL, (rows + 7) / 8);
    int64_t *at = offsets ? (int64_t *)(void *)PyBytes_AsString(offsets) : NULL;
    uint8_t *valid = bits ? (uint8_t *)PyBytes_AsString(bits) : NULL;
    text out = {0};

    if (!at || !valid)
        goto out;
    memset(valid, 0, (size_t)(rows + 7) / 8);
    for (Py_ssize_t row = 0; row < rows; row++) {
        PyObject *item = items[row] ? items[row] : Py_None;

        at[row] = (int64_t)out.used;
        if (kind_of(missing, item) & missing->null) {
            nulls++;
            continue;
        }
        valid[row >> 3] |= (uint8_t)(1 << (row & 7));
        if (put_row(&out, item, function, row))
            goto out;
    }
    at[rows] = (int64_t)out.used;
    result = Py_BuildValue("(OOy#n)", nulls ? bits : Py_None, offsets,
                           out.bytes ? out.bytes : "", (Py_ssize_t)out.used, nulls);
out:
    PyMem_Free(out.bytes);
    Py_XDECREF(bits);
    Py_XDECREF(offsets);
    return result;
}

static int get_objects(PyObject *array, Py_buffer *view) {
    if (PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS))
        return -1;
    if (view->format && strcmp(view->format, "O") == 0 &&
        view->itemsize == sizeof(PyObject *))
        return 0;
    PyErr_SetString(PyExc_TypeError, "a contiguous array of objects is needed");
    PyBuffer_Release(view);
    return -1;
}

/* encode_values(array, NA, NaT, kinds, function) -> (bitmap or None, offsets, data,
 * nulls). What is missing in one of these ways is null: 1 None, 2 NaN, 4 NA, 8 NaT.
 * function(item, row) gives the JSON, as bytes, of what is not written here. */
PyObject *core_encode_values(PyObject *module, PyObject *args) {
    missing missing = {0};
    Py_buffer view;
    PyObject *array, *function, *result;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOOiO", &array, &missing.na, &missing.nat, &missing.null,
                          &function) ||
        get_objects(array, &view))
        return NULL;
    result = encode(&view, &missing, function);
    PyBuffer_Release(&view);
    return result;
}

/* missing_kinds(array, NA, NaT) -> (bits of what is missing, types of all else): in which
 * ways objects are missing, as encode_values has them. */
PyObject *core_missing_kinds(PyObject *module, PyObject *args) {
    missing missing = {0};
    Py_buffer view;
    PyObject *array, *types, *last = NULL;
    int kinds = 0;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOO", &array, &missing.na, &missing.nat) ||
        get_objects(array, &view))
        return NULL;
    types = PySet_New(NULL);
    for (Py_ssize_t row = 0; types && row < view.len / view.itemsize; row++) {
        PyObject *item = ((PyObject *const *)view.buf)[row];
        int kind = kind_of(&missing, item ? item : Py_None);
        PyObject *type = (PyObject *)Py_TYPE(item ? item : Py_None);

        kinds |= kind;
        if (!kind && type != last && PySet_Add(types, last = type)) {
            Py_DECREF(types);
            types = NULL;
        }
    }
    PyBuffer_Release(&view);
    return types ? Py_BuildValue("(iN)", kinds, types) : NULL;
}

/* ---- Out ---- */

typedef struct rows {
    Py_buffer data, offsets, bits;
    long long bit;
    Py_ssize_t count;
} rows;

static int join(text *out, const rows *rows) {
    const int64_t *offsets = rows->offsets.buf;
    const uint8_t *bits = rows->bits.buf;

    for (Py_ssize_t row = 0; row < rows->count; row++) {
        int64_t at = offsets[row], end = offsets[row + 1], place = rows->bit + row;
        bool null = bits && !(bits[place >> 3] >> (place & 7) & 1);

        if (at < 0 || end < at || end > rows->data.len) {
            PyErr_SetString(PyExc_ValueError, "offsets do not hold");
            return -1;
        }
        if (put_bytes(out, row ? "," : "[", 1) ||
            (null ? put_text(out, "null")
                  : put_bytes(out, (const char *)rows->data.buf + at,
                              (size_t)(end - at))))
            return -1;
    }
    return put_text(out, rows->count ? "]" : "[]");
}

/* join_values(data, offsets, bitmap or None, bit, rows) -> the rows as one array of JSON,
 * null where they are null; they are not looked into. */
PyObject *core_join_values(PyObject *module, PyObject *args) {
    rows rows = {0};
    text out = {0};
    PyObject *result = NULL;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*z*Ln", &rows.data, &rows.offsets, &rows.bits,
                          &rows.bit, &rows.count))
        return NULL;
    if (rows.count < 0 || rows.bit < 0 || rows.offsets.len / 8 < rows.count + 1 ||
        (rows.bits.buf && rows.bits.len < (rows.bit + rows.count + 7) / 8))
        PyErr_SetString(PyExc_ValueError, "the buffers are too short for the rows");
    else if (!join(&out, &rows))
        result = PyUnicode_DecodeUTF8(out.bytes, (Py_ssize_t)out.used, NULL);
    PyMem_Free(out.bytes);
    if (rows.bits.buf)
        PyBuffer_Release(&rows.bits);
    PyBuffer_Release(&rows.offsets);
    PyBuffer_Release(&rows.data);
    return result;
}
