/* Null slots: pandas marks a missing value inside the values (NaN, NaT, code -1) or by a
 * byte a row, Arrow by a bit a row. Each kind is a letter, as in Arrow's formats: e f g
 * floats, t 64-bit times, c s i l category codes, m a mask of bytes (not zero: null). */
#include "core.h"

#include <pthread.h>
#include <unistd.h>

typedef struct null_slots {
    const void *values;
    int64_t rows;
    const uint8_t *bits; /* of validity */
    int64_t bit;         /* of row 0 */
} null_slots;

typedef struct null_kind {
    char letter;
    int width;
    int64_t (*count)(const void *values, int64_t rows);
    void (*mark)(const void *values, int64_t rows, uint8_t *bits);
    bool (*holds)(const null_slots *span);
    void (*fill)(void *values, const null_slots *span);
} null_kind;

static bool valid_at(const null_slots *span, int64_t row) {
    int64_t bit = span->bit + row;
    return span->bits[bit >> 3] >> (bit & 7) & 1;
}

/* The first null row at or after `row`; steps over whole bytes of valid rows. */
static int64_t next_null(const null_slots *span, int64_t row) {
    while (row < span->rows) {
        if ((span->bit + row) % 8 == 0 && span->bits[(span->bit + row) >> 3] == 0xff)
            row += 8;
        else if (valid_at(span, row))
            row++;
        else
            return row;
    }
    return span->rows;
}

#define KIND(name, type, is_null, sentinel)                                              \
    static int64_t name##_count(const void *from, int64_t rows) {                        \
        const type *values = from;                                                       \
        int64_t nulls = 0;                                                               \
        for (int64_t row = 0; row < rows; row++) {                                       \
            type value = values[row];                                                    \
            nulls += (is_null);                                                          \
        }                                                                                \
        return nulls;                                                                    \
    }                                                                                    \
    static void name##_mark(const void *from, int64_t rows, uint8_t *bits) {             \
        const type *values = from;                                                       \
        for (int64_t row = 0; row < rows; row += 8, bits++) {                            \
            int64_t end = rows - row < 8 ? rows - row : 8;                               \
            unsigned int byte = 0;                                                       \
            for (int64_t i = 0; i < end; i++) {                                          \
                type value = values[row + i];                                            \
                byte |= (unsigned int)!(is_null) << i;                                   \
            }                                                                            \
            *bits = (uint8_t)byte;                                                       \
        }                                                                                \
    }                                                                                    \
    static bool name##_holds(const null_slots *span) {                                   \
        const type *values = span->values;                                               \
        for (int64_t row = next_null(span, 0); row < span->rows;                         \
             row = next_null(span, row + 1)) {                                           \
            type value = values[row];                                                    \
            if (!(is_null))                                                              \
                return false;                                                            \
        }                                                                                \
        return true;                                                                     \
    }                                                                                    \
    static void name##_fill(void *to, const null_slots *span) {                          \
        type *values = to;                                                               \
        for (int64_t row = next_null(span, 0); row < span->rows;                         \
             row = next_null(span, row + 1))                                             \
            values[row] = (sentinel);                                                    \
    }

KIND(half, uint16_t, (value & 0x7fff) > 0x7c00, 0x7e00)
KIND(single, float, value != value, __builtin_nanf(""))
KIND(real, double, value != value, __builtin_nan(""))
KIND(time, int64_t, value == INT64_MIN, INT64_MIN)
KIND(code8, int8_t, value < 0, -1)
KIND(code16, int16_t, value < 0, -1)
KIND(code32, int32_t, value < 0, -1)
KIND(code64, int64_t, value < 0, -1)
KIND(mask, uint8_t, value != 0, 1)

#define ROW(letter, name, width)                                                         \
    { letter, width, name##_count, name##_mark, name##_holds, name##_fill }
static const null_kind kinds[] = {
    ROW('e', half, 2),   ROW('f', single, 4), ROW('g', real, 8),
    ROW('t', time, 8),   ROW('c', code8, 1),  ROW('s', code16, 2),
    ROW('i', code32, 4), ROW('l', code64, 8), ROW('m', mask, 1),
};

static const null_kind *kind_of(int letter) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].letter == letter)
            return &kinds[i];
    PyErr_Format(PyExc_ValueError, "no kind of null slot '%c'", letter);
    return NULL;
}

/* ---- Large columns: by several threads, each with a piece of whole bytes of bits ----
 */

enum { MOST_THREADS = 4, PIECE_BYTES = 2 << 20 /* at least, to be worth a thread */ };

typedef struct piece {
    const null_kind *kind;
    const void *values;
    int64_t rows, nulls;
    uint8_t *bits; /* to mark; NULL: to count */
} piece;

static void *piece_run(void *argument) {
    piece *self = argument;

    if (self->bits)
        self->kind->mark(self->values, self->rows, self->bits);
    else
        self->nulls = self->kind->count(self->values, self->rows);
    return NULL;
}

static int64_t piece_count(int64_t bytes) {
    int64_t most;

    if (bytes < PIECE_BYTES) /* without asking for the cores: that reads a file */
        return 1;
    most = sysconf(_SC_NPROCESSORS_ONLN);
    most = most < 1 ? 1 : most > MOST_THREADS ? MOST_THREADS : most;
    return bytes / PIECE_BYTES < most ? bytes / PIECE_BYTES + 1 : most;
}

/* Counts the nulls (bits is NULL), or marks them; without the GIL. */
static int64_t in_pieces(const null_kind *kind, const void *values, int64_t rows,
                         uint8_t *bits) {
    piece pieces[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    bool started[MOST_THREADS] = {false};
    int64_t count = piece_count(rows * kind->width), nulls = 0;
    int64_t each = (rows / count + 7) / 8 * 8;

    for (int64_t i = 0; i < count; i++) {
        int64_t first = each * i < rows ? each * i : rows;
        int64_t left = rows - first;

        pieces[i] = (piece){kind, (const char *)values + first * kind->width,
                            left < each || i == count - 1 ? left : each, 0,
                            bits ? bits + first / 8 : NULL};
        started[i] =
            i > 0 && pthread_create(&threads[i], NULL, piece_run, &pieces[i]) == 0;
    }
    for (int64_t i = 0; i < count; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            piece_run(&pieces[i]);
        nulls += pieces[i].nulls;
    }
    return nulls;
}

/* (bitmap or None, null count), by looking at all values. */
static PyObject *scan(const Py_buffer *values, const null_kind *kind) {
    PyObject *bits = NULL;
    int64_t rows = values->len / kind->width, nulls;

    Py_BEGIN_ALLOW_THREADS nulls = in_pieces(kind, values->buf, rows, NULL);
    Py_END_ALLOW_THREADS if (!nulls) {
        bits = Py_NewRef(Py_None);
    }
    else if ((bits = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((rows + 7) / 8)))) {
        uint8_t *at = (uint8_t *)PyBytes_AsString(bits);

        Py_BEGIN_ALLOW_THREADS in_pieces(kind, values->buf, rows, at);
        Py_END_ALLOW_THREADS
    }
    return bits ? Py_BuildValue("(NL)", bits, (long long)nulls) : NULL;
}

/* valid_bits(values, kind) -> (bitmap or None, null count) */
PyObject *core_valid_bits(PyObject *module, PyObject *args) {
    Py_buffer values;
    const null_kind *kind;
    PyObject *result = NULL;
    int letter;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*C", &values, &letter))
        return NULL;
    if ((kind = kind_of(letter)))
        result = scan(&values, kind);
    PyBuffer_Release(&values);
    return result;
}

/* The same of a column of a frame, if these bytes are one of this Arrow format; else
 * (None, -1). The bitmap lies beside the values, whose owner keeps both. */
static PyObject *known_bits(core_cache *self, const Py_buffer *values,
                            const char *format) {
    fc_cache *cache = core_cache_enter(self);
    const fc_column *column;
    const uint8_t *validity;
    PyObject *bits = NULL;
    fc_frame *frame;
    int64_t nulls;
    int rc;

    if (!cache)
        return NULL;
    Py_BEGIN_ALLOW_THREADS rc = fc_find_column(cache, values->buf, (uint64_t)values->len,
                                               &frame, &column, &validity);
    Py_END_ALLOW_THREADS core_cache_leave(self);
    if (rc)
        return Py_BuildValue("(Oi)", Py_None, -1);
    nulls = strcmp(column->format, format) == 0 ? column->nulls : -1;
    bits = validity && nulls > 0 ? core_buffer_of_frame(self->state, frame, validity,
                                                        (column->rows + 7) / 8, false)
                                 : Py_NewRef(Py_None);
    fc_frame_release(frame);
    return bits ? Py_BuildValue("(NL)", bits, (long long)nulls) : NULL;
}

/* _valid_bits(values, kind, format) -> (bitmap or None, null count); -1: the put finds out */
PyObject *core_cache_valid_bits(PyObject *op, PyObject *args) {
    Py_buffer values;
    PyObject *result = NULL;
    const char *format;
    int letter;

    if (!PyArg_ParseTuple(args, "y*Cs", &values, &letter, &format))
        return NULL;
    if (kind_of(letter))
        result = known_bits((core_cache *)op, &values, format);
    PyBuffer_Release(&values);
    return result;
}

static int span_check(const Py_buffer *values, const Py_buffer *bits,
                      const null_kind *kind, const null_slots *span) {
    if (span->rows >= 0 && span->bit >= 0 && values->len / kind->width >= span->rows &&
        bits->len >= (span->bit + span->rows + 7) / 8)
        return 0;
    PyErr_SetString(PyExc_ValueError, "the buffers are too short for the rows");
    return -1;
}

static PyObject *over_nulls(PyObject *args, const char *format, bool fill) {
    Py_buffer values, bits;
    const null_kind *kind;
    null_slots span = {0};
    long long bit, rows;
    PyObject *result = NULL;
    bool held = true;
    int letter;

    if (!PyArg_ParseTuple(args, format, &values, &bits, &bit, &rows, &letter))
        return NULL;
    span.values = values.buf, span.bits = bits.buf, span.bit = bit, span.rows = rows;
    if (!(kind = kind_of(letter)) || span_check(&values, &bits, kind, &span))
        goto out;
    Py_BEGIN_ALLOW_THREADS if (fill) kind->fill(values.buf, &span);
    else held = kind->holds(&span);
    Py_END_ALLOW_THREADS result = PyBool_FromLong(held);
out:
    PyBuffer_Release(&bits);
    PyBuffer_Release(&values);
    return result;
}

/* nulls_hold(values, bitmap, bit, rows, kind) -> does every null slot say so itself? */
PyObject *core_nulls_hold(PyObject *module, PyObject *args) {
    (void)module;
    return over_nulls(args, "y*y*LLC", false);
}

/* fill_nulls(values, bitmap, bit, rows, kind): makes it so */
PyObject *core_fill_nulls(PyObject *module, PyObject *args) {
    (void)module;
    return over_nulls(args, "w*y*LLC", true);
}
