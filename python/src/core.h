/* framecache._core: what the C files of the extension share. The extension is thin: it
 * turns Python arguments into calls of the public C API and results into objects; all
 * that knows pandas, numpy or polars is Python. It is built against the limited API of
 * CPython 3.11, so one binary serves all later versions. */
#ifndef FC_PYTHON_CORE_H
#define FC_PYTHON_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h> /* Python.h brings fewer of these with each version */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "framecache/framecache.h"

typedef struct core_state {
    PyTypeObject *cache_type, *frame_type, *buffer_type, *build_type;
    PyTypeObject *frame_class; /* what get() makes: framecache.Frame, or frame_type */
    allocfunc frame_alloc;
    PyObject *make_error; /* framecache._errors.make */
} core_state;

/* Everything below is guarded by the GIL. */
typedef struct core_cache {
    PyObject_HEAD core_state *state;
    fc_cache *cache;
    Py_ssize_t users; /* calls without the GIL, cursors, builds: close() waits for them */
    bool closed;
    _Atomic int64_t *test_clock_ns; /* framecache.testing.fake_clock(), or NULL */
} core_cache;

typedef struct core_frame {
    PyObject_HEAD core_state *state;
    fc_frame *frame;
    int64_t first;   /* row 0 is this row of the frame as it was put */
    int64_t after;   /* and so many rows of that are behind the last one */
    int64_t table;   /* 0, or which table inside of a value this is */
    bool is_private; /* its columns may be written to */
    PyObject *memo;  /* of the Python half: what it has read from the schema */
} core_frame;

/* Bytes that numpy and others may view. They belong to a frame, or to a build. */
typedef struct core_build core_build;
typedef struct core_buffer {
    PyObject_HEAD fc_frame *frame;
    core_build *build;
    uint64_t build_epoch; /* the build's when this was made */
    void *data;
    Py_ssize_t bytes;
    bool writable;
} core_buffer;

struct core_build {
    PyObject_HEAD core_state *state;
    core_cache *owner;
    fc_build *build;
    int64_t rows;
    uint64_t epoch;     /* grows when memory handed out before may have moved */
    Py_ssize_t exports; /* views of its memory that are alive */
};

/* A key argument; `owner` keeps `bytes` alive. */
typedef struct core_key {
    fc_bytes bytes;
    PyObject *owner;
} core_key;

/* error.c: sets the exception for `error`; `key` (or NULL) names it. Returns NULL. */
PyObject *core_raise(core_state *state, const fc_error *error, PyObject *key);
PyObject *core_raise_closed(core_state *state, const char *what);

/* cache.c */
extern PyType_Spec core_cache_spec;
int core_key_parse(PyObject *object, core_key *out);
PyObject *core_key_text(fc_bytes key);
fc_cache *core_cache_enter(core_cache *self); /* NULL: the exception is set */
void core_cache_leave(core_cache *self);
PyObject *core_info_dict(const fc_info *info, PyObject *leased);
int core_findings_run(int (*call)(void *argument, fc_report_fn report, void *context,
                                  fc_error *error),
                      void *argument, PyObject *list, fc_error *error);

int core_options_fill(fc_options *options, unsigned int flags, PyObject *settings);

/* testclock.c: methods of the cache, for framecache.testing */
PyObject *core_attach_for_tests(PyObject *self, PyObject *args);
PyObject *core_set_test_clock(PyObject *self, PyObject *now_ns);

/* walk.c: methods of the cache that go over all frames */
PyObject *core_cache_verify(PyObject *self, PyObject *data);
PyObject *core_cache_settings(PyObject *self, PyObject *unused);
PyObject *core_cache_holders(PyObject *self, PyObject *unused);
PyObject *core_cache_cursor(PyObject *self, PyObject *prefix);
PyObject *core_cache_next(PyObject *self, PyObject *cursor);

/* put.c: methods of the cache that take data */
PyObject *core_put_stream(PyObject *self, PyObject *args);
PyObject *core_put_array(PyObject *self, PyObject *args);
PyObject *core_put_columns(PyObject *self, PyObject *args);
enum { CORE_TAGS = 64 }; /* as many as the library takes */
typedef struct core_put_args {
    PyObject *key_object;
    core_key key;
    fc_put_options options; /* its tags are the array below: do not copy this struct */
    fc_bytes tags[CORE_TAGS];
} core_put_args;
int core_put_options(core_put_args *out, PyObject *key, PyObject *options);

/* kind.c: a stream whose schema says what kind of table was put */
typedef struct core_marked {
    struct ArrowArrayStream inner;
    const char *kind; /* or NULL: none */
} core_marked;
void core_mark(core_marked *marked, struct ArrowArrayStream *stream, const char *kind,
               struct ArrowArrayStream *out);

/* flight.c: methods of the cache */
PyObject *core_flight_begin(PyObject *self, PyObject *args);
PyObject *core_flight_end(PyObject *self, PyObject *flight);

/* watch.c: methods of the cache */
PyObject *core_watch_open(PyObject *self, PyObject *args);
PyObject *core_watch_close(PyObject *self, PyObject *watch);

/* frame.c */
extern PyType_Spec core_frame_spec;
PyObject *core_frame_new(core_state *state, fc_frame *frame, int64_t first); /* steals */
fc_frame *core_frame_held(core_frame *self); /* NULL: released, the exception is set */

/* columns.c: methods of the frame */
PyObject *core_frame_layout(PyObject *self, PyObject *unused);
PyObject *core_frame_values(PyObject *self, PyObject *indices);
PyObject *core_frame_column(PyObject *self, PyObject *index);
PyObject *core_frame_range(PyObject *self, PyObject *index);

/* hash.c */
PyObject *core_frame_hash(PyObject *self, PyObject *unused); /* a method of the frame */
PyObject *core_hash_array(PyObject *module, PyObject *args);
PyObject *core_hash_stream(PyObject *module, PyObject *capsule);
PyObject *core_hash_columns(PyObject *module, PyObject *args); /* put.c */

/* buffer.c */
extern PyType_Spec core_buffer_spec;
PyObject *core_buffer_of_frame(core_state *state, fc_frame *frame, const void *data,
                               int64_t bytes, bool writable);
PyObject *core_buffer_of_build(core_state *state, core_build *build, void *data,
                               int64_t bytes);

/* build.c */
extern PyType_Spec core_build_spec;
PyObject *core_build_begin(PyObject *self, PyObject *args); /* a method of the cache */
PyObject *core_schema_make(PyObject *module, PyObject *fields);

/* capsule.c */
PyObject *core_capsule_schema(struct ArrowSchema *schema); /* moves; NULL on failure */
PyObject *core_capsule_array(struct ArrowArray *array);
PyObject *core_capsule_stream(struct ArrowArrayStream *stream);
struct ArrowSchema *core_schema_of(PyObject *capsule);
struct ArrowArray *core_array_of(PyObject *capsule);
struct ArrowArrayStream *core_stream_of(PyObject *capsule);
PyObject *core_schema_fields(PyObject *module, PyObject *capsule);
PyObject *core_stream_batches(PyObject *module, PyObject *capsule);
PyObject *core_metadata_list(const char *metadata);

/* bits.c, strings.c, values.c: functions of the module */
PyObject *core_valid_bits(PyObject *module, PyObject *args);
PyObject *core_cache_valid_bits(PyObject *self, PyObject *args); /* of the cache */
PyObject *core_nulls_hold(PyObject *module, PyObject *args);
PyObject *core_fill_nulls(PyObject *module, PyObject *args);
PyObject *core_encode_strings(PyObject *module, PyObject *args);
PyObject *core_decode_strings(PyObject *module, PyObject *args);
PyObject *core_encode_values(PyObject *module, PyObject *args);
PyObject *core_missing_kinds(PyObject *module, PyObject *args);
PyObject *core_join_values(PyObject *module, PyObject *args);

#endif
