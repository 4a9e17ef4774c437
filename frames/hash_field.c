/* The part of the content hash that says what a column is. */
#include "hash.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

/* The mark that tells a reader which library's table was put; it is no part of the table.
 */
static const char kind[] = "framecache.kind";

typedef struct pair {
    const char *key, *value;
    uint32_t key_bytes, value_bytes;
} pair;

static void digest_text(fc__hash *hash, const void *text, uint64_t bytes) {
    fc__digest_number(hash, bytes);
    fc__digest_add(hash, text, bytes);
}

/* ---- Metadata ---- */

static int compare_texts(const char *a, uint32_t a_bytes, const char *b,
                         uint32_t b_bytes) {
    uint32_t least = a_bytes < b_bytes ? a_bytes : b_bytes;
    int order = least ? memcmp(a, b, least) : 0;

    return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int compare_pairs(const void *one, const void *other) {
    const pair *a = one, *b = other;
    int order = compare_texts(a->key, a->key_bytes, b->key, b->key_bytes);

    return order ? order
                 : compare_texts(a->value, a->value_bytes, b->value, b->value_bytes);
}

static const char *take_text(const char *at, const char **text, uint32_t *bytes) {
    memcpy(bytes, at, sizeof *bytes);
    *text = at + sizeof *bytes;
    return *text + *bytes;
}

/* Its length was checked when the schema was read. Returns how many pairs count. */
static size_t read_pairs(const char *metadata, uint32_t count, pair *pairs) {
    const char *at = metadata + sizeof count;
    size_t used = 0;

    for (uint32_t i = 0; i < count; i++) {
        pair *next = &pairs[used];
        at = take_text(at, &next->key, &next->key_bytes);
        at = take_text(at, &next->value, &next->value_bytes);
        used += compare_texts(next->key, next->key_bytes, kind, sizeof kind - 1) != 0;
    }
    return used;
}

int fc__digest_metadata(fc__hash *hash, const fc__field *field, fc_error *error) {
    uint32_t count = 0;

    if (field->metadata)
        memcpy(&count, field->metadata, sizeof count);
    pair *pairs = fc__calloc((size_t)count + 1, sizeof *pairs);
    if (!pairs)
        return fc__fail(error, FC_E_NOMEM, "out of memory to hash metadata of %u keys",
                        count);
    size_t used = count ? read_pairs(field->metadata, count, pairs) : 0;
    qsort(pairs, used, sizeof *pairs, compare_pairs);
    fc__digest_number(hash, used);
    for (size_t i = 0; i < used; i++) {
        digest_text(hash, pairs[i].key, pairs[i].key_bytes);
        digest_text(hash, pairs[i].value, pairs[i].value_bytes);
    }
    fc__free(pairs);
    return FC_OK;
}

/* ---- Fields ---- */

static bool is_entries(const fc__field *field) {
    return field->parent && field->parent->type == FC_TYPE_MAP;
}

/* Whether what stands below `parent` is told apart by name. What libraries call the items
 * of a list or the entries of a map is their own affair. */
static bool has_names(const fc__field *parent) {
    switch (parent->stored) {
    case FC__SHAPE_STRUCT:
        return !is_entries(parent);
    case FC__SHAPE_SPARSE:
    case FC__SHAPE_DENSE:
        return true;
    default:
        return false;
    }
}

int fc__digest_field(fc__hash *hash, const fc__node *node, fc_error *error) {
    const fc__field *field = node->field, *parent = field->parent;
    bool is_values = field == parent->dictionary;
    bool named = !is_values && !parent->dictionary && has_names(parent);

    digest_text(hash, node->stored_format, strlen(node->stored_format));
    digest_text(hash, field->name, named ? field->name_bytes : 0);
    fc__digest_number(hash, is_values ? 0 : field->flags);
    return fc__digest_metadata(hash, field, error);
}
