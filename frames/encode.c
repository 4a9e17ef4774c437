/* Writing the body of a manifest, as body.h lays it down: header, nodes, buffers,
 * strings, each section at a multiple of 8. */
#include "encode.h"

#include "status.h"

#include <string.h>

static uint64_t padded(uint64_t bytes) {
    return fc__round_up(bytes, 8);
}

static uint64_t strings_bytes(const fc__plan *plan) {
    uint64_t total = 0;

    for (uint32_t i = 0; i < plan->node_count; i++) {
        const fc__node *node = &plan->nodes[i];
        total += node->field->name_bytes + 1 + strlen(node->stored_format) + 1;
        if (node->field->metadata)
            total = padded(total) + node->field->metadata_bytes + 1;
    }
    return total;
}

static uint64_t nodes_offset(void) {
    return padded(sizeof(fc__body_header));
}

static uint64_t buffers_offset(const fc__plan *plan) {
    return nodes_offset() + padded(plan->node_count * sizeof(fc__body_node));
}

static uint64_t strings_offset(const fc__plan *plan) {
    return buffers_offset(plan) + padded(plan->buffer_count * sizeof(fc__body_buffer));
}

int fc__encode_size(fc__plan *plan, fc_error *error) {
    uint64_t strings = strings_bytes(plan);

    if (strings >= UINT32_MAX)
        return fc__field_fail(
            plan->root, error, FC_E_INVALID,
            "its names and metadata have %llu bytes; 4 GiB are possible",
            (unsigned long long)strings);
    plan->layout.body_bytes = strings_offset(plan) + padded(strings);
    return 0;
}

/* Appends a text and a NUL; the strings section is zero already. */
static uint32_t put_text(char *strings, uint64_t *at, const char *text, uint32_t bytes) {
    uint32_t place = (uint32_t)*at;

    memcpy(strings + place, text, bytes);
    *at += bytes + 1u;
    return place;
}

static void put_texts(fc__body_node *out, const fc__node *node, char *strings,
                      uint64_t *at) {
    const fc__field *field = node->field;

    out->name_bytes = field->name_bytes;
    out->name = put_text(strings, at, field->name, field->name_bytes);
    out->format_bytes = (uint32_t)strlen(node->stored_format);
    out->format = put_text(strings, at, node->stored_format, out->format_bytes);
    out->metadata = FC__NONE;
    if (!field->metadata)
        return;
    *at = padded(*at); /* so that its integers are aligned */
    out->metadata_bytes = field->metadata_bytes;
    out->metadata = put_text(strings, at, field->metadata, field->metadata_bytes);
}

static void put_node(fc__body_node *out, const fc__node *node, char *strings,
                     uint64_t *at) {
    put_texts(out, node, strings, at);
    out->flags = node->field->flags;
    out->type = (uint32_t)node->type;
    out->first_child = node->first_child;
    out->child_count = node->field->child_count;
    out->dictionary = node->dictionary;
    out->first_buffer = node->first_buffer;
    out->buffer_count = node->buffer_count;
    out->has_range = node->has_range;
    out->length = node->rows;
    out->null_count = node->nulls + atomic_load(&node->met); /* 0 unless it marks them */
    memcpy(out->min, node->min, sizeof out->min);
    memcpy(out->max, node->max, sizeof out->max);
}

static bool has_forms(const fc__plan *plan) {
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const fc__field *field = plan->nodes[i].field;
        if (field->keeps_form && field->given != field->stored)
            return true;
    }
    return false;
}

void fc__plan_encode(const fc__plan *plan, void *body) {
    fc__body_header *header = body;
    uint64_t at = 0;

    memset(body, 0, plan->layout.body_bytes);
    header->magic = FC__BODY_MAGIC;
    header->version = FC__BODY_VERSION;
    header->body_bytes = plan->layout.body_bytes;
    header->rows = plan->layout.rows;
    header->flags = (plan->layout.inlined ? FC__BODY_INLINE : 0) |
                    (plan->checksums ? FC__BODY_CHECKSUMS : 0) |
                    (has_forms(plan) ? FC__BODY_FORMS : 0);
    header->segment_count = plan->layout.segment_count;
    header->node_count = plan->node_count;
    header->buffer_count = plan->buffer_count;
    header->nodes_offset = (uint32_t)nodes_offset();
    header->buffers_offset = (uint32_t)buffers_offset(plan);
    header->strings_offset = strings_offset(plan);
    fc__body_node *nodes = (fc__body_node *)((char *)body + header->nodes_offset);
    char *strings = (char *)body + header->strings_offset;
    for (uint32_t i = 0; i < plan->node_count; i++)
        put_node(&nodes[i], &plan->nodes[i], strings, &at);
    header->strings_bytes = at;
    if (plan->buffer_count)
        memcpy((char *)body + header->buffers_offset, plan->buffers,
               plan->buffer_count * sizeof *plan->buffers);
}
