/* Exporting a stream: batches of one table. */
#include <errno.h>

#include "export.h"

typedef struct stream {
    fc__table *table;
    struct ArrowSchema schema;
    int64_t batch_rows, next;
    bool ended;
    fc_error error;
} stream;

/* The stream interface speaks errno. */
static int as_errno(int status) {
    return !status ? 0 : status == FC_E_NOMEM ? ENOMEM : EINVAL;
}

static int get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
    stream *s = self->private_data;
    return as_errno(fc__schema_copy(out, &s->schema, &s->error));
}

/* A frame without rows is one batch without rows: consumers see its dictionaries. */
static int get_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
    stream *s = self->private_data;
    int64_t left = s->table->rows - s->next;
    int64_t rows = left < s->batch_rows ? left : s->batch_rows;

    *out = (struct ArrowArray){0};
    if (s->ended)
        return 0;
    int status = fc__table_array(out, s->table, s->next, rows, &s->error);
    if (status)
        return as_errno(status);
    s->next += rows;
    s->ended = s->next >= s->table->rows;
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *self) {
    const stream *s = self->private_data;
    return s->error.code ? s->error.message : NULL;
}

static void free_stream(stream *s) {
    if (s->table)
        fc__table_release(s->table);
    if (s->schema.release)
        s->schema.release(&s->schema);
    fc__free(s);
}

static void release_stream(struct ArrowArrayStream *self) {
    free_stream(self->private_data);
    self->release = NULL;
}

static int fill_stream(stream *s, fc_frame *frame, const struct ArrowSchema *requested,
                       fc_error *error) {
    struct ArrowSchema described;
    const fc__field *wanted;
    fc__arena arena = {0};

    int status = fc__wanted_read(&wanted, frame, requested, &arena, error);
    if (!status && !(status = fc__table_new(&s->table, frame, wanted, error)) &&
        !(status = fc__schema_describe(&described, frame, wanted, &arena, error)))
        status = fc__schema_copy(&s->schema, &described, error);
    fc__arena_free(&arena);
    return status;
}

int fc_frame_export_stream(fc_frame *frame, const struct ArrowSchema *requested,
                           int64_t batch_rows, struct ArrowArrayStream *out,
                           fc_error *error) {
    *out = (struct ArrowArrayStream){0};
    if (batch_rows < 0)
        return fc__fail(error, FC_E_INVALID, "batch_rows is %lld; 0 means one batch",
                        (long long)batch_rows);
    stream *s = fc__calloc(1, sizeof *s);
    if (!s)
        return fc__fail(error, FC_E_NOMEM, "out of memory for a stream");
    s->batch_rows = batch_rows ? batch_rows : INT64_MAX;
    int status = fill_stream(s, frame, requested, error);
    if (status) {
        free_stream(s);
        return status;
    }
    *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release_stream,
                                     s};
    return FC_OK;
}
