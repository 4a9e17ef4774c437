/* Putting: a stream, an array, or columns given as buffers, all borrowed for the call. */
#include "core.h"

static int put_tags(core_put_args *out, PyObject *tags) {
    Py_ssize_t count = PyTuple_Size(tags), size;
    char *data;

    if (count > CORE_TAGS) {
        PyErr_Format(PyExc_ValueError, "%zd tags: a frame has %d at most", count,
                     (int)CORE_TAGS);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(tags, i), &data, &size))
            return -1;
        out->tags[i] = (fc_bytes){data, (size_t)size};
    }
    out->options.tags = out->tags;
    out->options.tag_count = (size_t)count;
    return 0;
}

/* options: (ttl_ms, stale_ms, cost, expect, sliding, (tag as bytes, ...)), which must
 * stay alive; expect -1: the key must be absent. */
int core_put_options(core_put_args *out, PyObject *key, PyObject *options) {
    long long ttl_ms, stale_ms;
    PyObject *expect, *tags;
    int sliding;

    memset(out, 0, sizeof *out);
    out->key_object = key;
    out->options.size = sizeof out->options;
    if (!PyArg_ParseTuple(options, "LLdOpO!", &ttl_ms, &stale_ms, &out->options.cost_s,
                          &expect, &sliding, &PyTuple_Type, &tags))
        return -1;
    out->options.ttl_ms = ttl_ms;
    out->options.stale_ms = stale_ms;
    out->options.flags = sliding ? FC_PUT_SLIDING : 0;
    out->options.expect = PyLong_AsUnsignedLongLongMask(expect);
    if (PyErr_Occurred() || put_tags(out, tags))
        return -1;
    return core_key_parse(key, &out->key);
}

static PyObject *done(core_cache *self, core_put_args *put, int rc, fc_frame *frame,
                      const fc_error *error) {
    Py_XDECREF(put->key.owner);
    if (rc)
        return core_raise(self->state, error, put->key_object);
    return core_frame_new(self->state, frame, 0);
}

/* _put_stream(key, options, capsule, kind or None) -> Frame */
PyObject *core_put_stream(PyObject *op, PyObject *args) {
    core_cache *self = (core_cache *)op;
    PyObject *key, *options, *capsule;
    struct ArrowArrayStream *held, stream;
    const char *kind;
    core_marked marked;
    core_put_args put;
    fc_cache *cache;
    fc_frame *frame = NULL;
    fc_error error;
    int rc;

    if (!PyArg_ParseTuple(args, "OO!Oz", &key, &PyTuple_Type, &options, &capsule,
                          &kind) ||
        !(held = core_stream_of(capsule)) || core_put_options(&put, key, options))
        return NULL;
    if (!(cache = core_cache_enter(self))) {
        Py_XDECREF(put.key.owner);
        return NULL;
    }
    core_mark(&marked, held, kind, &stream); /* moved out: the library releases it */
    Py_BEGIN_ALLOW_THREADS rc =
        fc_put_stream(cache, put.key.bytes, &stream, &put.options, &frame, &error);
    Py_END_ALLOW_THREADS core_cache_leave(self);
    return done(self, &put, rc, frame, &error);
}

static PyObject *put_borrowed(core_cache *self, core_put_args *put,
                              const struct ArrowSchema *schema,
                              const struct ArrowArray *array) {
    fc_cache *cache = core_cache_enter(self);
    fc_frame *frame = NULL;
    fc_error error;
    int rc;

    if (!cache) {
        Py_XDECREF(put->key.owner);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS rc =
        fc_put(cache, put->key.bytes, schema, array, &put->options, &frame, &error);
    Py_END_ALLOW_THREADS core_cache_leave(self);
    return done(self, put, rc, frame, &error);
}

/* _put_array(key, options, schema capsule, array capsule) -> Frame */
PyObject *core_put_array(PyObject *op, PyObject *args) {
    PyObject *key, *options, *schema_capsule, *array_capsule;
    struct ArrowSchema *schema;
    struct ArrowArray *array;
    core_put_args put;

    if (!PyArg_ParseTuple(args, "OO!OO", &key, &PyTuple_Type, &options, &schema_capsule,
                          &array_capsule) ||
        !(schema = core_schema_of(schema_capsule)) ||
        !(array = core_array_of(array_capsule)) || core_put_options(&put, key, options))
        return NULL;
    return put_borrowed((core_cache *)op, &put, schema, array);
}

/* ---- Columns given as buffers ---- */

/* A table under construction: Arrow structs over buffers that Python objects own. All of
 * it lives until table_free(), so nothing needs a release callback of its own. */
typedef struct held_view {
    struct held_view *next;
    Py_buffer buffer;
} held_view;

typedef struct held_block {
    struct held_block *next;
} held_block;

typedef struct put_table {
    held_view *views;
    held_block *blocks;
    struct ArrowSchema schema;
    struct ArrowArray array;
} put_table;

/* Marks a struct as not released; what it borrows goes with the table. */
static void keep_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void keep_array(struct ArrowArray *array) {
    array->release = NULL;
}

static void *table_alloc(put_table *table, size_t count, size_t bytes) {
    held_block *block = PyMem_Calloc(1, sizeof *block + (count ? count : 1) * bytes);

    if (!block)
        return PyErr_NoMemory();
    block->next = table->blocks;
    table->blocks = block;
    return block + 1;
}

static void table_free(put_table *table) {
    while (table->views) {
        held_view *view = table->views;

        table->views = view->next;
        PyBuffer_Release(&view->buffer);
        PyMem_Free(view);
    }
    while (table->blocks) {
        held_block *block = table->blocks;

        table->blocks = block->next;
        PyMem_Free(block);
    }
}

static int table_view(put_table *table, PyObject *object, const void **out) {
    held_view *view;

    *out = NULL;
    if (object == Py_None)
        return 0;
    if (!(view = PyMem_Calloc(1, sizeof *view))) {
        PyErr_NoMemory();
        return -1;
    }
    if (PyObject_GetBuffer(object, &view->buffer, PyBUF_C_CONTIGUOUS)) {
        PyMem_Free(view);
        return -1;
    }
    view->next = table->views;
    table->views = view;
    *out = view->buffer.buf;
    return 0;
}

static int table_column(put_table *table, PyObject *column, struct ArrowSchema *schema,
                        struct ArrowArray *array);

static int table_dictionary(put_table *table, PyObject *column,
                            struct ArrowSchema *schema, struct ArrowArray *array) {
    if (column == Py_None)
        return 0;
    schema->dictionary = table_alloc(table, 1, sizeof *schema);
    array->dictionary = table_alloc(table, 1, sizeof *array);
    if (!schema->dictionary || !array->dictionary)
        return -1;
    return table_column(table, column, schema->dictionary, array->dictionary);
}

/* (name, schema capsule, array capsule): another library's array, under our name. */
static int table_foreign(const char *name, PyObject *column, struct ArrowSchema *schema,
                         struct ArrowArray *array) {
    struct ArrowSchema *its_schema = core_schema_of(PyTuple_GetItem(column, 1));
    struct ArrowArray *its_array =
        its_schema ? core_array_of(PyTuple_GetItem(column, 2)) : NULL;

    if (!its_array)
        return -1;
    *schema = *its_schema; /* borrowed: the capsule still owns it */
    *array = *its_array;
    if (array->null_count == -1 && array->n_buffers && !array->buffers[0])
        array->null_count = 0; /* its NaN are values: no FC_PUT_MISSING */
    schema->name = name;
    schema->release = keep_schema;
    array->release = keep_array;
    return 0;
}

static int table_struct(put_table *table, PyObject *columns, int64_t rows,
                        const char *metadata, struct ArrowSchema *schema,
                        struct ArrowArray *array);

/* The struct in a list: (rows, columns) of our own making, or (schema capsule, array
 * capsule). `metadata`, unless NULL, takes the place of another library's. */
static int table_inner(put_table *table, PyObject *first, PyObject *second,
                       const char *metadata, struct ArrowSchema *schema,
                       struct ArrowArray *array) {
    struct ArrowSchema *its_schema;
    struct ArrowArray *its_array;
    int64_t rows;

    if (PyLong_Check(first)) {
        rows = PyLong_AsLongLong(first);
        if (!PyTuple_Check(second))
            PyErr_SetString(PyExc_TypeError, "columns must be a tuple");
        return PyErr_Occurred()
                   ? -1
                   : table_struct(table, second, rows, metadata, schema, array);
    }
    if (!(its_schema = core_schema_of(first)) || !(its_array = core_array_of(second)))
        return -1;
    if (strcmp(its_schema->format, "+s") != 0 ||
        (its_array->null_count && its_array->buffers[0])) {
        PyErr_SetString(PyExc_TypeError, "a table that is no struct, or has null rows");
        return -1;
    }
    *schema = *its_schema; /* borrowed: the capsule still owns it */
    *array = *its_array;
    schema->release = keep_schema;
    array->release = keep_array;
    if (metadata)
        schema->metadata = metadata;
    return 0;
}

/* (name, metadata or None, and what table_inner() takes): a list of one row, which is a
 * table. */
static int table_nested(put_table *table, PyObject *column, struct ArrowSchema *schema,
                        struct ArrowArray *array) {
    const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(column, 0), NULL);
    PyObject *metadata = PyTuple_GetItem(column, 1);
    struct ArrowSchema *inner_schema = table_alloc(table, 1, sizeof *inner_schema);
    struct ArrowArray *inner = table_alloc(table, 1, sizeof *inner);
    struct ArrowSchema **schema_children = table_alloc(table, 1, sizeof(void *));
    struct ArrowArray **children = table_alloc(table, 1, sizeof(void *));
    int64_t *offsets = table_alloc(table, 2, sizeof *offsets);
    const void **buffers = table_alloc(table, 2, sizeof(void *));

    if (!name || !inner_schema || !inner || !schema_children || !children || !offsets ||
        !buffers ||
        table_inner(table, PyTuple_GetItem(column, 2), PyTuple_GetItem(column, 3),
                    metadata == Py_None ? NULL : PyBytes_AsString(metadata), inner_schema,
                    inner))
        return -1;
    schema_children[0] = inner_schema;
    children[0] = inner;
    offsets[1] = inner->length;
    buffers[1] = offsets;
    *schema = (struct ArrowSchema){.format = "+L",
                                   .name = name,
                                   .n_children = 1,
                                   .children = schema_children,
                                   .release = keep_schema};
    *array = (struct ArrowArray){.length = 1,
                                 .n_buffers = 2,
                                 .buffers = buffers,
                                 .n_children = 1,
                                 .children = children,
                                 .release = keep_array};
    return 0;
}

/* nulls -1, and no bitmap: of floats and times the missing values.
 * (name, format, rows, nulls, flags, (buffer or None, ...), dictionary column or None) */
static int table_own(put_table *table, PyObject *column, struct ArrowSchema *schema,
                     struct ArrowArray *array) {
    const char *name, *format;
    long long rows, nulls, flags;
    PyObject *buffers, *dictionary;
    Py_ssize_t count;

    if (!PyArg_ParseTuple(column, "ssLLLO!O", &name, &format, &rows, &nulls, &flags,
                          &PyTuple_Type, &buffers, &dictionary))
        return -1;
    count = PyTuple_Size(buffers);
    *schema = (struct ArrowSchema){
        .format = format, .name = name, .flags = flags, .release = keep_schema};
    *array = (struct ArrowArray){
        .length = rows, .null_count = nulls, .n_buffers = count, .release = keep_array};
    if (!(array->buffers = table_alloc(table, (size_t)count, sizeof(void *))))
        return -1;
    for (Py_ssize_t i = 0; i < count; i++)
        if (table_view(table, PyTuple_GetItem(buffers, i), &array->buffers[i]))
            return -1;
    return table_dictionary(table, dictionary, schema, array);
}

static int table_column(put_table *table, PyObject *column, struct ArrowSchema *schema,
                        struct ArrowArray *array) {
    if (!PyTuple_Check(column)) {
        PyErr_SetString(PyExc_TypeError, "a column must be a tuple");
        return -1;
    }
    if (PyTuple_Size(column) == 3) {
        const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(column, 0), NULL);
        return name ? table_foreign(name, column, schema, array) : -1;
    }
    if (PyTuple_Size(column) == 4)
        return table_nested(table, column, schema, array);
    return table_own(table, column, schema, array);
}

static int table_struct(put_table *table, PyObject *columns, int64_t rows,
                        const char *metadata, struct ArrowSchema *schema,
                        struct ArrowArray *array) {
    size_t count = (size_t)PyTuple_Size(columns);
    struct ArrowSchema *schemas = table_alloc(table, count, sizeof *schemas);
    struct ArrowArray *arrays = table_alloc(table, count, sizeof *arrays);
    struct ArrowSchema **schema_children = table_alloc(table, count, sizeof(void *));
    struct ArrowArray **array_children = table_alloc(table, count, sizeof(void *));
    static const void *no_bitmap[1];

    if (!schemas || !arrays || !schema_children || !array_children)
        return -1;
    for (size_t i = 0; i < count; i++) {
        schema_children[i] = &schemas[i];
        array_children[i] = &arrays[i];
        if (table_column(table, PyTuple_GetItem(columns, (Py_ssize_t)i), &schemas[i],
                         &arrays[i]))
            return -1;
    }
    *schema = (struct ArrowSchema){.format = "+s",
                                   .name = "",
                                   .metadata = metadata,
                                   .n_children = (int64_t)count,
                                   .children = schema_children,
                                   .release = keep_schema};
    *array = (struct ArrowArray){.length = rows,
                                 .n_buffers = 1,
                                 .buffers = no_bitmap,
                                 .n_children = (int64_t)count,
                                 .children = array_children,
                                 .release = keep_array};
    return 0;
}

/* ---- Hashing what a put would take ---- */

/* A stream of one batch, borrowed from a table. */
typedef struct single {
    const put_table *table;
    bool given;
} single;

static int single_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    *out = ((single *)stream->private_data)->table->schema;
    return 0;
}

static int single_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    single *held = stream->private_data;

    *out = held->given ? (struct ArrowArray){0} : held->table->array;
    held->given = true;
    return 0;
}

static const char *single_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return NULL;
}

static void single_release(struct ArrowArrayStream *stream) {
    stream->release = NULL;
}

static PyObject *hash_table(PyObject *module, const put_table *table) {
    single held = {.table = table};
    struct ArrowArrayStream stream = {single_schema, single_next, single_error,
                                      single_release, &held};
    uint8_t digest[16];
    fc_error error;
    int rc;

    Py_BEGIN_ALLOW_THREADS rc = fc_hash_stream(&stream, FC_PUT_MISSING, digest, &error);
    Py_END_ALLOW_THREADS if (rc) return core_raise(PyModule_GetState(module), &error,
                                                   NULL);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}

/* hash_columns(columns, rows, metadata) -> bytes: the content hash of what _put_columns()
 * would put */
PyObject *core_hash_columns(PyObject *module, PyObject *args) {
    PyObject *list, *columns, *metadata, *result = NULL;
    long long rows;
    put_table table = {0};

    if (!PyArg_ParseTuple(args, "OLS", &list, &rows, &metadata) ||
        !(columns = PySequence_Tuple(list)))
        return NULL;
    if (table_struct(&table, columns, rows, PyBytes_AsString(metadata), &table.schema,
                     &table.array) == 0)
        result = hash_table(module, &table);
    table_free(&table);
    Py_DECREF(columns);
    return result;
}

/* _put_columns(key, options, columns, rows, metadata, marked=False) -> Frame */
PyObject *core_put_columns(PyObject *op, PyObject *args) {
    PyObject *key, *options, *list, *columns, *metadata;
    PyObject *result = NULL;
    long long rows;
    int marked = 0;
    put_table table = {0};
    core_put_args put;

    if (!PyArg_ParseTuple(args, "OO!OLS|p", &key, &PyTuple_Type, &options, &list, &rows,
                          &metadata, &marked))
        return NULL;
    if (!(columns = PySequence_Tuple(list)))
        return NULL;
    if (table_struct(&table, columns, rows, PyBytes_AsString(metadata), &table.schema,
                     &table.array) == 0 &&
        core_put_options(&put, key, options) == 0) {
        put.options.flags |= FC_PUT_MISSING | (marked ? FC_PUT_MARKED : 0);
        result = put_borrowed((core_cache *)op, &put, &table.schema, &table.array);
    }
    table_free(&table);
    Py_DECREF(columns);
    return result;
}
