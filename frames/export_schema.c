/* Exporting the schema: first a tree that borrows from the body, then a copy that owns
 * its texts. So a schema holds no lease, however long its consumer keeps it. */
#include "decode.h"
#include "export.h"

/* ---- Describing ---- */

typedef struct describer {
    const fc__body *body;
    fc__arena *arena;
    fc_error *error;
} describer;

static int no_memory(fc_error *error) {
    return fc__fail(error, FC_E_NOMEM, "out of memory for a schema");
}

/* Room for `count` children of `out`, all zero. */
static bool take_children(struct ArrowSchema *out, size_t count, fc__arena *arena) {
    struct ArrowSchema *children = fc__arena_take(arena, count, sizeof *children);

    out->children = fc__arena_take(arena, count, sizeof(struct ArrowSchema *));
    if (!children || !out->children)
        return false;
    for (size_t i = 0; i < count; i++)
        out->children[i] = &children[i];
    out->n_children = (int64_t)count;
    return true;
}

static int describe_field(const describer *d, uint32_t index, const fc__field *wanted,
                          struct ArrowSchema *out, fc__body_field *field) {
    int status = fc__body_field_at(d->body, index, field, d->error);

    if (status)
        return status;
    out->format = wanted ? wanted->format : field->format;
    out->name = field->name;
    out->metadata = field->metadata;
    out->flags = field->flags;
    return FC_OK;
}

static int describe_node(const describer *d, uint32_t index, const fc__field *wanted,
                         struct ArrowSchema *out) {
    fc__body_field field;

    int status = describe_field(d, index, wanted, out, &field);
    if (status)
        return status;
    if (field.child_count && !take_children(out, field.child_count, d->arena))
        return no_memory(d->error);
    for (uint32_t i = 0; i < field.child_count; i++) {
        status = describe_node(d, field.first_child + i,
                               wanted ? &wanted->children[i] : NULL, out->children[i]);
        if (status)
            return status;
    }
    if (!field.dictionary)
        return FC_OK;
    out->dictionary = fc__arena_take(d->arena, 1, sizeof *out->dictionary);
    if (!out->dictionary)
        return no_memory(d->error);
    return describe_node(d, field.dictionary, wanted ? wanted->dictionary : NULL,
                         out->dictionary);
}

static int describe_columns(const describer *d, const fc_frame *frame,
                            const fc__field *wanted, struct ArrowSchema *out) {
    for (int64_t i = 0; i < frame->columns; i++) {
        uint32_t node = (uint32_t)(fc__frame_node(frame, i) - d->body->nodes), count;

        int status = fc__body_count(d->body, node, &count, d->error);
        if (!status)
            status = describe_node(d, node, wanted ? &wanted->children[i] : NULL,
                                   out->children[i]);
        if (status)
            return fc__fail_prefix(d->error, status, "column %lld: ", (long long)i);
    }
    return FC_OK;
}

int fc__schema_describe(struct ArrowSchema *out, const fc_frame *frame,
                        const fc__field *wanted, fc__arena *arena, fc_error *error) {
    describer d = {&frame->base->body, arena, error};
    fc__body_field root;

    *out = (struct ArrowSchema){0};
    int status = describe_field(&d, d.body->root, NULL, out, &root);
    if (status)
        return status;
    if (!take_children(out, (size_t)frame->columns, arena))
        return no_memory(error);
    return describe_columns(&d, frame, wanted, out);
}

/* ---- Copying ---- */

/* The memory of a whole schema. Each struct in it holds a reference, since a child may be
 * moved out and released later than its parent. */
typedef struct owned {
    fc__arena arena;
    atomic_long references;
} owned;

static void drop(owned *memory) {
    if (atomic_fetch_sub_explicit(&memory->references, 1, memory_order_acq_rel) != 1)
        return;
    fc__arena_free(&memory->arena);
    fc__free(memory);
}

static void release_schema(struct ArrowSchema *schema) {
    owned *memory = schema->private_data;

    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release)
            schema->children[i]->release(schema->children[i]);
    if (schema->dictionary && schema->dictionary->release)
        schema->dictionary->release(schema->dictionary);
    schema->release = NULL;
    drop(memory);
}

static bool copy_text(owned *memory, const char *text, const char **out) {
    if (text)
        *out = fc__arena_copy(&memory->arena, text, strlen(text));
    return !text || *out;
}

/* Aligned, since consumers read its counts. */
static bool copy_metadata(owned *memory, const char *metadata, const char **out) {
    uint32_t bytes;

    if (!metadata)
        return true;
    if (!fc__metadata_bytes(metadata, &bytes))
        return false; /* it was checked when it was read */
    char *copy = fc__arena_take(&memory->arena, 1, bytes);
    if (copy)
        memcpy(copy, metadata, bytes);
    *out = copy;
    return copy;
}

static bool copy_schema(owned *memory, struct ArrowSchema *out,
                        const struct ArrowSchema *schema) {
    if (!copy_text(memory, schema->format, &out->format) ||
        !copy_text(memory, schema->name, &out->name) ||
        !copy_metadata(memory, schema->metadata, &out->metadata) ||
        !take_children(out, (size_t)schema->n_children, &memory->arena))
        return false;
    out->flags = schema->flags;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (!copy_schema(memory, out->children[i], schema->children[i]))
            return false;
    if (schema->dictionary) {
        out->dictionary = fc__arena_take(&memory->arena, 1, sizeof *out->dictionary);
        if (!out->dictionary || !copy_schema(memory, out->dictionary, schema->dictionary))
            return false;
    }
    out->private_data = memory;
    out->release = release_schema;
    memory->references++;
    return true;
}

int fc__schema_copy(struct ArrowSchema *out, const struct ArrowSchema *schema,
                    fc_error *error) {
    owned *memory = fc__calloc(1, sizeof *memory);

    *out = (struct ArrowSchema){0};
    if (memory && copy_schema(memory, out, schema))
        return FC_OK;
    *out = (struct ArrowSchema){0};
    if (memory)
        fc__arena_free(&memory->arena);
    fc__free(memory);
    return no_memory(error);
}

int fc_frame_export_schema(const fc_frame *frame, struct ArrowSchema *out,
                           fc_error *error) {
    struct ArrowSchema described;
    fc__arena arena = {0};

    *out = (struct ArrowSchema){0};
    int status = fc__schema_describe(&described, frame, NULL, &arena, error);
    if (!status)
        status = fc__schema_copy(out, &described, error);
    fc__arena_free(&arena);
    return status;
}
