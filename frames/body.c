/* The bounds-checked reader of a body: header, texts, fields and the tree they form. */
#include "decode.h"

#define REMEDY "the frame is damaged, put it again"

/* True if `count` entries of `each` bytes lie at `offset`, a multiple of 8. */
static bool holds(uint64_t body_bytes, uint64_t offset, uint64_t count, uint64_t each) {
    uint64_t bytes, end;

    return offset % 8 == 0 && fc__mul(count, each, &bytes) &&
           fc__add(offset, bytes, &end) && end <= body_bytes;
}

static int check_header(const fc__body_header *header, const fc__frame_setup *setup,
                        fc_error *error) {
    uint64_t strings_end;

    if (header->magic != FC__BODY_MAGIC)
        return fc__fail(error, FC_E_CORRUPT,
                        "the body of the manifest has no magic: " REMEDY);
    if (header->version > FC__BODY_VERSION)
        return fc__fail(error, FC_E_VERSION,
                        "the frame has body version %u, this library reads up to %u: "
                        "update framecache",
                        header->version, FC__BODY_VERSION);
    if (header->version != FC__BODY_VERSION || header->body_bytes != setup->body_bytes ||
        header->rows < 0 || header->segment_count != setup->segment_count ||
        header->node_count < 1)
        return fc__fail(error, FC_E_CORRUPT,
                        "the body's header contradicts its manifest: " REMEDY);
    if (!holds(header->body_bytes, header->nodes_offset, header->node_count,
               sizeof(fc__body_node)) ||
        !holds(header->body_bytes, header->buffers_offset, header->buffer_count,
               sizeof(fc__body_buffer)) ||
        !fc__add(header->strings_offset, header->strings_bytes, &strings_end) ||
        strings_end > header->body_bytes)
        return fc__fail(error, FC_E_CORRUPT,
                        "the body's tables do not fit its %llu bytes: " REMEDY,
                        (unsigned long long)header->body_bytes);
    return FC_OK;
}

int fc__body_open(fc__body *out, const fc__frame_setup *setup, fc_error *error) {
    const char *start = setup->body;
    fc__body_header header;

    *out = (fc__body){0};
    if (setup->body_bytes < sizeof header || (uintptr_t)start % 8)
        return fc__fail(error, FC_E_CORRUPT,
                        "the body of the manifest is cut short or not aligned: " REMEDY);
    memcpy(&header, start, sizeof header); /* checked and used must be the same */
    int status = check_header(&header, setup, error);
    if (status)
        return status;
    *out = (fc__body){
        .nodes = (const void *)(start + header.nodes_offset),
        .buffers = (const void *)(start + header.buffers_offset),
        .strings = start + header.strings_offset,
        .strings_bytes = header.strings_bytes,
        .rows = header.rows,
        .node_count = header.node_count,
        .buffer_count = header.buffer_count,
        .flags = header.flags,
    };
    const fc__body_node *root = out->nodes;
    if (root->type != FC_TYPE_STRUCT || root->length != header.rows || root->dictionary ||
        root->child_count >= header.node_count ||
        root->first_child != (root->child_count ? 1 : 0))
        return fc__fail(error, FC_E_CORRUPT, "the body's root is not a table: " REMEDY);
    out->column_count = root->child_count;
    return FC_OK;
}

static bool text_at(const fc__body *body, uint32_t at, uint32_t bytes, const char **out) {
    uint64_t end = (uint64_t)at + bytes;

    if (end >= body->strings_bytes || body->strings[end])
        return false;
    *out = body->strings + at;
    return true;
}

int fc__body_name(const fc__body *body, uint32_t index, const char **name,
                  fc_error *error) {
    const fc__body_node *node = body->nodes + index;

    *name = NULL;
    if (!text_at(body, node->name, node->name_bytes, name))
        return fc__fail(error, FC_E_CORRUPT,
                        "node %u: its name lies outside of the body: " REMEDY, index);
    return FC_OK;
}

/* Takes a length and so many bytes from the front of what is left. */
static bool skip_counted(const char **at, uint64_t *left) {
    int32_t bytes;

    if (*left < sizeof bytes)
        return false;
    memcpy(&bytes, *at, sizeof bytes);
    if (bytes < 0 || (uint64_t)bytes > *left - sizeof bytes)
        return false;
    *at += sizeof bytes + (size_t)bytes;
    *left -= sizeof bytes + (uint64_t)bytes;
    return true;
}

/* A consumer follows the counts in it, so they must stay within it. */
static bool metadata_holds(const char *metadata, uint64_t bytes) {
    int32_t pairs;

    if (bytes < sizeof pairs)
        return false;
    memcpy(&pairs, metadata, sizeof pairs);
    metadata += sizeof pairs;
    bytes -= sizeof pairs;
    if (pairs < 0)
        return false;
    for (int32_t i = 0; i < pairs; i++)
        if (!skip_counted(&metadata, &bytes) || !skip_counted(&metadata, &bytes))
            return false;
    return true;
}

static bool metadata_at(const fc__body *body, const fc__body_node *node,
                        fc__body_field *out) {
    uint64_t end = (uint64_t)node->metadata + node->metadata_bytes;

    if (node->metadata == FC__NONE)
        return true;
    if (end > body->strings_bytes ||
        !metadata_holds(body->strings + node->metadata, node->metadata_bytes))
        return false;
    out->metadata = body->strings + node->metadata;
    out->metadata_bytes = node->metadata_bytes;
    return true;
}

/* That the type which stands in the node is the one that the format tells; as stored,
 * unless the frame keeps forms. */
static bool type_holds(const fc__body *body, const fc__body_node *node, fc__type *type,
                       const char *format) {
    if (fc__type_parse(type, format) ||
        (type->given != type->stored && !(body->flags & FC__BODY_FORMS)))
        return false;
    if (node->dictionary)
        return node->type == FC_TYPE_DICTIONARY && fc__type_is_integer(type->type) &&
               !node->child_count;
    return node->type == (uint32_t)type->type &&
           (type->children == FC__ANY_CHILDREN ||
            (uint32_t)type->children == node->child_count);
}

/* Children and dictionary stand behind their parent, which rules out cycles. */
static bool links_hold(const fc__body *body, uint32_t index, const fc__body_node *node) {
    if (node->dictionary &&
        (node->dictionary <= index || node->dictionary >= body->node_count))
        return false;
    return !node->child_count ||
           (node->first_child > index && node->first_child < body->node_count &&
            node->child_count <= body->node_count - node->first_child);
}

int fc__body_field_at(const fc__body *body, uint32_t index, fc__body_field *out,
                      fc_error *error) {
    const fc__body_node *node = body->nodes + index;

    *out = (fc__body_field){
        .name_bytes = node->name_bytes,
        .format_bytes = node->format_bytes,
        .flags = node->flags,
        .first_child = node->first_child,
        .child_count = node->child_count,
        .dictionary = node->dictionary,
    };
    if (!text_at(body, node->name, node->name_bytes, &out->name) ||
        !text_at(body, node->format, node->format_bytes, &out->format) ||
        !metadata_at(body, node, out))
        return fc__fail(
            error, FC_E_CORRUPT,
            "node %u: its name, format or metadata lies outside of the body or "
            "does not hold: " REMEDY,
            index);
    if (!type_holds(body, node, &out->type, out->format))
        return fc__fail(
            error, FC_E_CORRUPT,
            "node %u: its format '%.40s' contradicts its type %u, children or "
            "dictionary: " REMEDY,
            index, out->format, node->type);
    if (!links_hold(body, index, node))
        return fc__fail(error, FC_E_CORRUPT,
                        "node %u: its children or dictionary are not behind it: " REMEDY,
                        index);
    return FC_OK;
}

static int count_below(const fc__body *body, uint32_t index, int depth, uint32_t *count,
                       fc_error *error) {
    const fc__body_node *node = body->nodes + index;

    if (++*count > body->node_count || depth > FC__MAX_DEPTH ||
        !links_hold(body, index, node))
        return fc__fail(error, FC_E_CORRUPT,
                        "node %u: the fields are no tree of at most %d levels: " REMEDY,
                        index, FC__MAX_DEPTH);
    for (uint32_t i = 0; i < node->child_count; i++) {
        int status = count_below(body, node->first_child + i, depth + 1, count, error);
        if (status)
            return status;
    }
    return node->dictionary ? count_below(body, node->dictionary, depth + 1, count, error)
                            : FC_OK;
}

int fc__body_count(const fc__body *body, uint32_t index, uint32_t *count,
                   fc_error *error) {
    *count = 0;
    return count_below(body, index, index ? 1 : 0, count, error);
}
