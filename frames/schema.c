/* Reading an ArrowSchema into a checked tree of fields, and making simple ones. */
#include "schema.h"

#include "body.h"
#include "status.h"

#include <stdio.h>
#include <string.h>

struct reader {
    fc__arena *arena;
    fc_error *error;
};

static int read_field(struct reader *reader, fc__field *field, const fc__field *parent,
                      const struct ArrowSchema *schema, int depth);

/* ---- Naming fields in messages ---- */

static void path_append(const fc__field *field, char *out, size_t bytes) {
    const fc__field *parent = field->parent;
    size_t used;

    if (!parent)
        return;
    path_append(parent, out, bytes);
    used = strlen(out);
    if (used + 1 >= bytes)
        return;
    const char *dot = parent->parent ? "." : "";
    if (field == parent->dictionary)
        snprintf(out + used, bytes - used, "%sdictionary", dot);
    else if (field->name && *field->name)
        snprintf(out + used, bytes - used, "%s%s", dot, field->name);
    else
        snprintf(out + used, bytes - used, "%s#%td", dot, field - parent->children);
}

void fc__field_path(const fc__field *field, char *out, size_t bytes) {
    *out = '\0';
    path_append(field, out, bytes);
}

int fc__field_fail(const fc__field *field, fc_error *error, int code, const char *format,
                   ...) {
    char path[192], text[384];
    va_list arguments;

    if (!error)
        return code;
    fc__field_path(field, path, sizeof path);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return field->parent ? fc__fail(error, code, "column '%s': %s", path, text)
                         : fc__fail(error, code, "table: %s", text);
}

/* ---- Reading ---- */

static bool metadata_int(const char *metadata, uint64_t *at, int32_t *value) {
    memcpy(value, metadata + *at, sizeof *value);
    *at += sizeof *value;
    return *value >= 0 && *at <= INT32_MAX;
}

bool fc__metadata_bytes(const char *metadata, uint32_t *bytes) {
    int32_t pairs, length;
    uint64_t at = 0;

    *bytes = 0;
    if (!metadata_int(metadata, &at, &pairs))
        return false;
    for (int64_t text = 0; text < 2 * (int64_t)pairs; text++) {
        if (!metadata_int(metadata, &at, &length))
            return false;
        at += (uint64_t)length;
        if (at > INT32_MAX)
            return false;
    }
    *bytes = (uint32_t)at;
    return true;
}

static int no_memory(struct reader *reader) {
    return fc__fail(reader->error, FC_E_NOMEM, "out of memory for a schema");
}

/* A text of the schema, kept. Texts of 2 GiB would not fit the manifest. */
static int keep(struct reader *reader, const fc__field *field, const char *text,
                size_t bytes, const char **out, uint32_t *out_bytes) {
    if (bytes > INT32_MAX)
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "its name or format has %zu bytes; 2147483647 are possible",
                              bytes);
    *out = fc__arena_copy(reader->arena, text, bytes);
    *out_bytes = (uint32_t)bytes;
    return *out ? 0 : no_memory(reader);
}

static int read_texts(struct reader *reader, fc__field *field,
                      const struct ArrowSchema *schema) {
    const char *name = schema->name ? schema->name : "";
    int code;

    if ((code =
             keep(reader, field, name, strlen(name), &field->name, &field->name_bytes)) ||
        (code = keep(reader, field, schema->format, strlen(schema->format),
                     &field->format, &field->format_bytes)))
        return code;
    if (!schema->metadata)
        return 0;
    if (!fc__metadata_bytes(schema->metadata, &field->metadata_bytes))
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "its metadata are not in Arrow's encoding: a count or a "
                              "length is negative, or all are more than 2 GiB");
    return keep(reader, field, schema->metadata, field->metadata_bytes, &field->metadata,
                &field->metadata_bytes);
}

static const char *read_counted(const char *at, int32_t *bytes) {
    memcpy(bytes, at, sizeof *bytes);
    return at + sizeof *bytes;
}

/* The length of `metadata` was checked. */
static bool has_key(const char *metadata, const char *key) {
    size_t key_bytes = strlen(key);
    int32_t pairs, bytes;
    const char *at = read_counted(metadata, &pairs);

    for (int32_t i = 0; i < pairs; i++) {
        at = read_counted(at, &bytes);
        if ((size_t)bytes == key_bytes && !memcmp(at, key, key_bytes))
            return true;
        at = read_counted(at + bytes, &bytes) + bytes;
    }
    return false;
}

/* An extension type stands for one storage type, whose form its readers rely on. */
static bool keeps_form(const fc__field *field) {
    return (field->parent && field->parent->keeps_form) ||
           (field->metadata && has_key(field->metadata, "ARROW:extension:name"));
}

int fc__field_reaches(const fc__field *field, int64_t count, fc_error *error) {
    bool narrow = field->given == FC__SHAPE_BYTES32 || field->given == FC__SHAPE_LIST32 ||
                  field->given == FC__SHAPE_LIST_VIEW32;

    if (!field->keeps_form || !narrow || count <= INT32_MAX)
        return FC_OK;
    return fc__field_fail(field, error, FC_E_INVALID,
                          "format '%s' below an extension name stays as it is, and its "
                          "32-bit offsets reach 2147483647, not %lld; put fewer rows a "
                          "frame",
                          field->format, (long long)count);
}

static int read_type(struct reader *reader, fc__field *field,
                     const struct ArrowSchema *schema) {
    fc__type type;
    const char *wrong = fc__type_parse(&type, field->format);

    if (wrong)
        return fc__field_fail(field, reader->error, FC_E_INVALID, "format '%.80s' %s",
                              field->format, wrong);
    if (schema->n_children < 0 || schema->n_children > UINT32_MAX / 2 ||
        (type.children != FC__ANY_CHILDREN && schema->n_children != type.children))
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "format '%.80s' has %lld children where it takes %d",
                              field->format, (long long)schema->n_children,
                              type.children);
    if (schema->dictionary && !fc__type_is_integer(type.type))
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "format '%.80s' cannot be the codes of a dictionary; "
                              "integers can",
                              field->format);
    field->type = schema->dictionary ? FC_TYPE_DICTIONARY : type.type;
    field->given = type.given;
    field->stored = type.stored;
    field->width = type.width;
    field->flags = (uint32_t)schema->flags;
    field->keeps_form = keeps_form(field);
    field->stored_format = type.stored_format && !field->keeps_form ? type.stored_format
                                                                    : field->format;
    field->stored_format_bytes = (uint32_t)strlen(field->stored_format);
    return 0;
}

/* What the table of types cannot say: which types the children of a map and of run ends
 * must have. */
static int check_children(struct reader *reader, const fc__field *field) {
    const fc__field *child = field->children;

    if (field->type == FC_TYPE_MAP &&
        (child->type != FC_TYPE_STRUCT || child->child_count != 2))
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "a map's child must be a struct of keys and values");
    if (field->type == FC_TYPE_RUN_END && child->type != FC_TYPE_INT16 &&
        child->type != FC_TYPE_INT32 && child->type != FC_TYPE_INT64)
        return fc__field_fail(
            field, reader->error, FC_E_INVALID,
            "run ends must be int16, int32 or int64, not format '%.80s'", child->format);
    return 0;
}

static int read_children(struct reader *reader, fc__field *field,
                         const struct ArrowSchema *schema, int depth) {
    int code;

    if (schema->n_children && !schema->children)
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "has %lld children and no pointer to them",
                              (long long)schema->n_children);
    field->children = fc__arena_take(reader->arena, (size_t)schema->n_children,
                                     sizeof *field->children);
    if (!field->children)
        return no_memory(reader);
    field->child_count = (uint32_t)schema->n_children;
    for (uint32_t i = 0; i < field->child_count; i++)
        if ((code = read_field(reader, &field->children[i], field, schema->children[i],
                               depth + 1)))
            return code;
    return check_children(reader, field);
}

static int read_dictionary(struct reader *reader, fc__field *field,
                           const struct ArrowSchema *schema, int depth) {
    if (!schema->dictionary)
        return 0;
    field->dictionary = fc__arena_take(reader->arena, 1, sizeof *field->dictionary);
    if (!field->dictionary)
        return no_memory(reader);
    return read_field(reader, field->dictionary, field, schema->dictionary, depth + 1);
}

static int read_field(struct reader *reader, fc__field *field, const fc__field *parent,
                      const struct ArrowSchema *schema, int depth) {
    int code;

    field->parent = parent;
    if (!schema)
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "its schema is a null pointer");
    if (depth > FC__MAX_DEPTH)
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "nested deeper than %d levels", FC__MAX_DEPTH);
    if (!schema->release)
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "its schema was released, or moved elsewhere");
    if (!schema->format)
        return fc__field_fail(field, reader->error, FC_E_INVALID,
                              "its format is a null pointer");
    if ((code = read_texts(reader, field, schema)) ||
        (code = read_type(reader, field, schema)) ||
        (code = read_children(reader, field, schema, depth)))
        return code;
    return read_dictionary(reader, field, schema, depth);
}

/* An unnamed struct around whatever is not one. */
static int read_wrapped(struct reader *reader, fc__field *root,
                        const struct ArrowSchema *schema) {
    *root = (fc__field){.name = "",
                        .format = "+s",
                        .stored_format = "+s",
                        .format_bytes = 2,
                        .stored_format_bytes = 2,
                        .type = FC_TYPE_STRUCT,
                        .given = FC__SHAPE_STRUCT,
                        .stored = FC__SHAPE_STRUCT,
                        .child_count = 1};
    root->children = fc__arena_take(reader->arena, 1, sizeof *root->children);
    if (!root->children)
        return no_memory(reader);
    return read_field(reader, root->children, root, schema, 1);
}

int fc__schema_read(fc__field **out, bool *wrapped, const struct ArrowSchema *schema,
                    fc__arena *arena, fc_error *error) {
    struct reader reader = {arena, error};
    bool table = !schema || !schema->format || !strcmp(schema->format, "+s");
    fc__field *root = fc__arena_take(arena, 1, sizeof *root);
    int code;

    *out = NULL;
    if (!root)
        return no_memory(&reader);
    code = table ? read_field(&reader, root, NULL, schema, 0)
                 : read_wrapped(&reader, root, schema);
    if (code)
        return code;
    if (wrapped)
        *wrapped = !table;
    *out = root;
    return 0;
}

/* ---- Making a schema ---- */

/* The memory of root and children. A child may be moved out and outlive the root, on
 * another thread too, so each holds a reference. */
typedef struct flat {
    fc__arena arena;
    _Atomic size_t references;
} flat;

static void release_flat(struct ArrowSchema *schema) {
    flat *owned = schema->private_data;

    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release)
            schema->children[i]->release(schema->children[i]);
    schema->release = NULL;
    if (--owned->references)
        return;
    fc__arena_free(&owned->arena);
    fc__free(owned);
}

static int check_flat(const fc_field *field, size_t index, fc_error *error) {
    const char *name = field->name ? field->name : "";
    fc__type type;

    if (!field->format)
        return fc__fail(error, FC_E_INVALID, "column %zu '%.100s': its format is NULL",
                        index, name);
    const char *wrong = fc__type_parse(&type, field->format);
    if (wrong)
        return fc__fail(error, FC_E_INVALID, "column '%.100s': format '%.80s' %s", name,
                        field->format, wrong);
    if (*field->format == '+')
        return fc__fail(error, FC_E_INVALID,
                        "column '%.100s': format '%.80s' has children; fill an "
                        "ArrowSchema for nested types",
                        name, field->format);
    return 0;
}

static bool fill_child(flat *owned, struct ArrowSchema *child, const fc_field *field) {
    const char *name = field->name ? field->name : "";

    child->format = fc__arena_copy(&owned->arena, field->format, strlen(field->format));
    child->name = fc__arena_copy(&owned->arena, name, strlen(name));
    child->flags = ARROW_FLAG_NULLABLE;
    child->private_data = owned;
    child->release = release_flat;
    return child->format && child->name;
}

static bool fill_flat(flat *owned, struct ArrowSchema *out, const fc_field *fields,
                      size_t count) {
    struct ArrowSchema *children = fc__arena_take(&owned->arena, count, sizeof *children);

    out->children = fc__arena_take(&owned->arena, count, sizeof(struct ArrowSchema *));
    if (!children || !out->children)
        return false;
    for (size_t i = 0; i < count; i++) {
        out->children[i] = &children[i];
        if (!fill_child(owned, &children[i], &fields[i]))
            return false;
    }
    owned->references = count + 1;
    out->format = "+s";
    out->name = "";
    out->n_children = (int64_t)count;
    out->private_data = owned;
    out->release = release_flat;
    return true;
}

int fc_schema_init(struct ArrowSchema *out, const fc_field *fields, size_t count,
                   fc_error *error) {
    int code;

    if (!out || (count && !fields))
        return fc__fail(error, FC_E_INVALID, "fc_schema_init: %s is NULL",
                        out ? "fields" : "out");
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < count; i++)
        if ((code = check_flat(&fields[i], i, error)))
            return code;
    flat *owned = fc__calloc(1, sizeof *owned);
    if (owned && fill_flat(owned, out, fields, count))
        return 0;
    if (owned)
        fc__arena_free(&owned->arena);
    fc__free(owned);
    memset(out, 0, sizeof *out);
    return fc__fail(error, FC_E_NOMEM, "out of memory for a schema of %zu columns",
                    count);
}
