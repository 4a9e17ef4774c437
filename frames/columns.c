/* The columns of a frame: found by number or name, decoded once. */
#include <stdio.h>

#include "bounds.h"
#include "decode.h"

#define LINEAR_COLUMNS 8 /* up to so many names are compared one by one */
#define LISTED_COLUMNS 8 /* so many names are in the message for one that is not there */

/* Names to columns, for wide frames: open addressing, linear steps, 0 for empty. */
struct fc__names {
    uint64_t mask;
    uint32_t entries[]; /* column + 1, with TWICE if another has its name too */
};

#define TWICE 0x80000000u

static int64_t base_index(const fc_frame *frame, int64_t index) {
    return frame->indices ? frame->indices[index] : index;
}

const fc__body_node *fc__frame_node(const fc_frame *frame, int64_t index) {
    const fc__body *body = &frame->base->body;
    return body->nodes + body->nodes[body->root].first_child + base_index(frame, index);
}

/* ---- Decoded once ---- */

/* The table of a frame's columns, made when the first is asked for. */
static fc__slot *frame_slots(fc_frame *frame) {
    fc__slot *slots = atomic_load(&frame->slots), *expected = NULL;

    if (slots)
        return slots;
    slots = fc__calloc((size_t)frame->columns, sizeof *slots);
    if (!slots || atomic_compare_exchange_strong(&frame->slots, &expected, slots))
        return slots;
    fc__free(slots);
    return expected;
}

/* Puts the column there unless another thread has; either way what is there comes out. */
static const fc__column *publish(fc__slot *slot, fc__column *column) {
    fc__column *expected = NULL;

    if (atomic_compare_exchange_strong(slot, &expected, column))
        return column;
    fc__free(column);
    return expected;
}

/* Frames are const to those who read them; what was decoded is kept all the same. */
static int find_slot(const fc_frame *frame, int64_t index, fc__slot **out,
                     fc_error *error) {
    fc__slot *slots = frame_slots((fc_frame *)frame);

    *out = slots ? slots + index : NULL;
    return slots ? FC_OK
                 : fc__fail(error, FC_E_NOMEM, "out of memory for %lld columns",
                            (long long)frame->columns);
}

int fc__frame_heed(const fc_frame *frame, int status) {
    const fc__frame_setup *setup = &frame->base->setup;

    if (status == FC_E_CORRUPT && setup->source->damaged)
        setup->source->damaged(setup->context);
    return status;
}

static int base_column(const fc_frame *base, int64_t index, const fc__column **out,
                       fc_error *error) {
    fc__column *decoded;
    fc__slot *slot;

    int status = find_slot(base, index, &slot, error);
    if (status || (*out = atomic_load_explicit(slot, memory_order_acquire)))
        return status; /* the acquire pairs with the CAS in publish() */
    status = fc__frame_heed(base, fc__decode(&decoded, base, index, error));
    if (status)
        return status;
    *out = publish(slot, decoded);
    return FC_OK;
}

int fc__frame_whole(const fc_frame *frame, int64_t index, const fc__column **out,
                    fc_error *error) {
    *out = NULL;
    return base_column(frame->base, base_index(frame, index), out, error);
}

int fc__frame_view(const fc_frame *frame, int64_t index, const fc__column **out,
                   fc_error *error) {
    const fc__column *whole;
    fc__column *slice;
    fc__slot *slot;

    if (!frame->sliced)
        return fc__frame_whole(frame, index, out, error);
    *out = NULL;
    int status = find_slot(frame, index, &slot, error);
    if (status || (*out = atomic_load_explicit(slot, memory_order_acquire)))
        return status;
    if ((status = fc__frame_whole(frame, index, &whole, error)) ||
        (status = fc__frame_heed(
             frame, fc__check_ends(whole, frame->first, frame->rows, error))) ||
        (status = fc__column_slice(&slice, whole, frame->first, frame->rows, error)))
        return status;
    *out = publish(slot, slice);
    return FC_OK;
}

void fc__frame_free_columns(fc_frame *frame) {
    fc__slot *slots = atomic_load(&frame->slots);

    for (int64_t i = 0; slots && i < frame->columns; i++)
        fc__free(atomic_load(&slots[i]));
    fc__free(slots);
    fc__free(atomic_load(&frame->names));
    fc__free(atomic_load(&frame->hash));
}

/* ---- Names ---- */

static int name_of(const fc_frame *frame, int64_t index, const char **name,
                   fc_error *error) {
    const fc__body *body = &frame->base->body;
    return fc__body_name(body, (uint32_t)(fc__frame_node(frame, index) - body->nodes),
                         name, error);
}

static uint64_t hash_name(const char *name) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The entry of this name, or the empty one where it would stand. */
static int find_entry(const fc_frame *frame, fc__names *names, const char *name,
                      uint32_t **out, fc_error *error) {
    for (uint64_t at = hash_name(name);; at++) {
        uint32_t *entry = &names->entries[at & names->mask];
        const char *other;

        *out = entry;
        if (!*entry)
            return FC_OK;
        int status = name_of(frame, (*entry & ~TWICE) - 1, &other, error);
        if (status || !strcmp(name, other))
            return status;
    }
}

static int fill_names(const fc_frame *frame, fc__names *names, fc_error *error) {
    for (int64_t i = 0; i < frame->columns; i++) {
        uint32_t *entry;
        const char *name;

        int status = name_of(frame, i, &name, error);
        if (status || (status = find_entry(frame, names, name, &entry, error)))
            return status;
        *entry = *entry ? *entry | TWICE : (uint32_t)i + 1;
    }
    return FC_OK;
}

static int make_names(fc_frame *frame, fc__names **out, fc_error *error) {
    fc__names *expected = NULL;
    uint64_t entries = 16;

    while (entries < 2 * (uint64_t)frame->columns)
        entries *= 2;
    fc__names *names = fc__calloc(1, sizeof *names + entries * sizeof *names->entries);
    if (!names)
        return fc__fail(error, FC_E_NOMEM, "out of memory for the names of %lld columns",
                        (long long)frame->columns);
    names->mask = entries - 1;
    int status = fill_names(frame, names, error);
    if (!status && atomic_compare_exchange_strong(&frame->names, &expected, names)) {
        *out = names;
        return FC_OK;
    }
    fc__free(names);
    *out = expected;
    return status;
}

/* The first of them, as Python lists them; what is damaged ends the list. */
static void list_names(const fc_frame *frame, char *out, size_t bytes) {
    const char *name;
    size_t used = 0;
    int64_t i;

    for (i = 0; i < frame->columns && i < LISTED_COLUMNS; i++) {
        if (name_of(frame, i, &name, NULL))
            break;
        used += (size_t)snprintf(out + used, bytes - used, "%s'%.30s'", i ? ", " : "",
                                 name);
    }
    snprintf(out + used, bytes - used, "%s",
             i < frame->columns ? i ? ", ..." : "names that are damaged"
             : i                ? ""
                                : "none");
}

static int no_column(const fc_frame *frame, const char *name, fc_error *error) {
    char names[LISTED_COLUMNS * 34 + 8];

    list_names(frame, names, sizeof names);
    return fc__fail(error, FC_E_COLUMN, "no column '%.160s'; there are %s", name, names);
}

static int several_columns(const char *name, fc_error *error) {
    return fc__fail(error, FC_E_COLUMN,
                    "several columns are called '%.200s': ask by number", name);
}

static int find_linear(const fc_frame *frame, const char *name, int64_t *index,
                       fc_error *error) {
    *index = -1;
    for (int64_t i = 0; i < frame->columns; i++) {
        const char *other;

        int status = name_of(frame, i, &other, error);
        if (status)
            return status;
        if (strcmp(name, other))
            continue;
        if (*index >= 0)
            return several_columns(name, error);
        *index = i;
    }
    return *index < 0 ? no_column(frame, name, error) : FC_OK;
}

static int find_hashed(const fc_frame *frame, const char *name, int64_t *index,
                       fc_error *error) {
    fc__names *names = atomic_load_explicit(&frame->names, memory_order_acquire);
    uint32_t *entry;
    int status = FC_OK;

    if (!names)
        status = make_names((fc_frame *)frame, &names, error);
    if (status || (status = find_entry(frame, names, name, &entry, error)))
        return status;
    if (!*entry)
        return no_column(frame, name, error);
    if (*entry & TWICE)
        return several_columns(name, error);
    *index = (int64_t)*entry - 1;
    return FC_OK;
}

/* ---- Public ---- */

static const char *type_name(fc_type type) {
    switch (type) {
#define FC_X(name, format, values)                                                       \
    case FC_TYPE_##name:                                                                 \
        return #name;
        FC_TYPES(FC_X)
#undef FC_X
    default:
        return "unknown";
    }
}

int fc_frame_column(const fc_frame *frame, const char *name, fc_type type,
                    const fc_column **out, fc_error *error) {
    const fc__column *column;
    int64_t index = 0;

    *out = NULL;
    if (!name)
        return fc__fail(error, FC_E_INVALID, "the column's name is NULL");
    int status = frame->columns <= LINEAR_COLUMNS
                     ? find_linear(frame, name, &index, error)
                     : find_hashed(frame, name, &index, error);
    if (status || (status = fc__frame_view(frame, index, &column, error)))
        return status;
    if (type != FC_TYPE_ANY && type != column->view.type)
        return fc__fail(error, FC_E_TYPE,
                        "column '%.200s' has type %s (format '%.40s'), asked for was %s",
                        name, type_name(column->view.type), column->view.format,
                        type_name(type));
    *out = &column->view;
    return FC_OK;
}

int fc__frame_check_column(const fc_frame *frame, int64_t index, fc_error *error) {
    if (index >= 0 && index < frame->columns)
        return FC_OK;
    return fc__fail(error, FC_E_COLUMN,
                    "no column %lld: the frame has %lld, counted from 0",
                    (long long)index, (long long)frame->columns);
}

int fc_frame_column_at(const fc_frame *frame, int64_t index, const fc_column **out,
                       fc_error *error) {
    const fc__column *column;

    *out = NULL;
    int status = fc__frame_check_column(frame, index, error);
    if (!status)
        status = fc__frame_view(frame, index, &column, error);
    if (!status)
        *out = &column->view;
    return status;
}

void *fc_writable(const fc_column *column) {
    return ((const fc__column *)column)->writable ? (void *)column->values : NULL;
}
