/* What kind of table was put (polars, a Frame, ...): a pair of the schema's metadata,
 * which the stream is given on its way into the library. */
#include "core.h"

static const char key[] = "framecache.kind";
enum { KEY_BYTES = sizeof key - 1 };

/* A schema that has been given other metadata; the rest is the producer's. */
typedef struct marked_schema {
    struct ArrowSchema inner;
    char metadata[];
} marked_schema;

static int32_t get_length(const char *at) {
    int32_t length;

    memcpy(&length, at, sizeof length);
    return length;
}

static char *put_text(char *at, const char *text, int32_t length) {
    memcpy(at, &length, sizeof length);
    memcpy(at + sizeof length, text, (size_t)length);
    return at + sizeof length + length;
}

/* The end of a pair of Arrow's encoding: length, key, length, value. */
static const char *after_pair(const char *pair) {
    pair += 4 + get_length(pair);
    return pair + 4 + get_length(pair);
}

static bool is_kind(const char *pair) {
    return get_length(pair) == KEY_BYTES && memcmp(pair + 4, key, KEY_BYTES) == 0;
}

static size_t metadata_bytes(const char *metadata) {
    const char *at = metadata;

    if (!metadata)
        return 4;
    at += 4;
    for (int32_t i = get_length(metadata); i > 0; i--)
        at = after_pair(at);
    return (size_t)(at - metadata);
}

/* The metadata without the kind that another frame had, and with this one's. */
static void metadata_write(char *out, const char *metadata, const char *kind) {
    int32_t count = metadata ? get_length(metadata) : 0, kept = 0;
    const char *pair = metadata ? metadata + 4 : NULL, *end;
    char *at = out + 4;

    for (int32_t i = 0; i < count; i++, pair = end) {
        end = after_pair(pair);
        if (is_kind(pair))
            continue;
        memcpy(at, pair, (size_t)(end - pair));
        at += end - pair;
        kept++;
    }
    if (kind) {
        at = put_text(at, key, KEY_BYTES);
        put_text(at, kind, (int32_t)strlen(kind));
        kept++;
    }
    memcpy(out, &kept, sizeof kept);
}

static void schema_release(struct ArrowSchema *schema) {
    marked_schema *marked = schema->private_data;

    marked->inner.release(&marked->inner);
    free(marked);
    schema->release = NULL;
}

/* Of a table only: what else comes in becomes one column, whose metadata this is not. */
static int marked_schema_get(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    core_marked *self = stream->private_data;
    struct ArrowSchema inner;
    marked_schema *marked;
    int rc = self->inner.get_schema(&self->inner, &inner);
    size_t bytes;

    if (rc)
        return rc;
    *out = inner;
    if (strcmp(inner.format, "+s") != 0 || (!self->kind && !inner.metadata))
        return 0;
    bytes = metadata_bytes(inner.metadata) + 8 + KEY_BYTES;
    bytes += self->kind ? strlen(self->kind) : 0;
    if (!(marked = malloc(sizeof *marked + bytes))) {
        inner.release(&inner);
        out->release = NULL;
        return ENOMEM;
    }
    metadata_write(marked->metadata, inner.metadata, self->kind);
    marked->inner = inner;
    out->metadata = marked->metadata;
    out->private_data = marked;
    out->release = schema_release;
    return 0;
}

static int marked_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    core_marked *self = stream->private_data;

    return self->inner.get_next(&self->inner, out);
}

static const char *marked_error(struct ArrowArrayStream *stream) {
    core_marked *self = stream->private_data;

    return self->inner.get_last_error(&self->inner);
}

static void marked_release(struct ArrowArrayStream *stream) {
    core_marked *self = stream->private_data;

    self->inner.release(&self->inner);
    stream->release = NULL;
}

/* Moves the stream into `marked`, which must live until `out` is released. */
void core_mark(core_marked *marked, struct ArrowArrayStream *stream, const char *kind,
               struct ArrowArrayStream *out) {
    marked->inner = *stream;
    marked->kind = kind;
    stream->release = NULL;
    *out = (struct ArrowArrayStream){.get_schema = marked_schema_get,
                                     .get_next = marked_next,
                                     .get_last_error = marked_error,
                                     .release = marked_release,
                                     .private_data = marked};
}
