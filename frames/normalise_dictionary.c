/* One dictionary for all chunks that have rows. The first one is taken as it is. Others that
 * are the same memory or the same values need nothing; of those that differ the new values
 * are appended and the codes are translated. Values that are not told apart one by one here
 * (nested types, dictionaries) are appended whole and the codes shifted, unless a dictionary
 * of the same content was there before. The codes widen only if they must. */
#include "bits.h"
#include "checksum.h"
#include "hash.h"
#include "integers.h"
#include "normalise.h"
#include "status.h"

typedef struct entry { /* a value of the unified dictionary; data NULL: null */
    fc_bytes value;
    uint64_t hash;
} entry;

typedef struct values { /* those seen so far, in order, with a hash table over them */
    entry *entries;
    size_t count, room;
    uint32_t *slots; /* number of the entry + 1; 0: empty. Twice `room`, at least */
    size_t slot_count;
} values;

/* ---- The set of values ---- */

static bool is_hashable(const fc__field *field) {
    return !field->dictionary &&
           (field->given == FC__SHAPE_FIXED || field->given == FC__SHAPE_BITS ||
            field->stored == FC__SHAPE_BYTES64);
}

static fc_bytes value_at(const fc__field *field, const fc__piece *piece, int64_t row) {
    const uint8_t *validity = fc__piece_validity(piece);

    if (validity && !fc__bit(validity, piece->first + row))
        return (fc_bytes){NULL, 0};
    if (field->given == FC__SHAPE_BITS)
        return (fc_bytes){
            fc__bit((const uint8_t *)fc__piece_buffer(piece, 1), piece->first + row)
                ? "t"
                : "f",
            1};
    if (field->given != FC__SHAPE_FIXED)
        return fc__piece_bytes(field->given, piece, row);
    if (!field->width)
        return (fc_bytes){"", 0};
    return (fc_bytes){fc__piece_buffer(piece, 1) + (piece->first + row) * field->width,
                      (size_t)field->width};
}

static uint64_t hash_of(fc_bytes value) {
    return value.data ? fc__checksum(value.data, value.size) : 1;
}

static bool same_value(fc_bytes a, fc_bytes b) {
    return !a.data == !b.data && a.size == b.size &&
           (!a.size || !memcmp(a.data, b.data, a.size));
}

/* The slot that has the value, or the empty one where it would stand. */
static uint32_t *find_slot(const values *all, fc_bytes value, uint64_t hash) {
    size_t mask = all->slot_count - 1, at = (size_t)hash & mask;

    for (; all->slots[at]; at = (at + 1) & mask) {
        const entry *there = &all->entries[all->slots[at] - 1];
        if (there->hash == hash && same_value(there->value, value))
            break;
    }
    return &all->slots[at];
}

/* Numbers of entries are 32 bits wide in the table; more values than that are a mistake
 * of whoever made the dictionary. */
static bool make_room(values *all, size_t count) {
    size_t need = all->count + count, slots = 16;

    if (need <= all->room)
        return true;
    if (need < 2 * all->room)
        need = 2 * all->room;
    while (slots < 2 * need)
        slots *= 2;
    entry *entries =
        need < UINT32_MAX ? fc__realloc(all->entries, need * sizeof *entries) : NULL;
    if (!entries)
        return false;
    all->entries = entries;
    all->room = need;
    fc__free(all->slots);
    all->slot_count = slots;
    all->slots = fc__calloc(slots, sizeof *all->slots);
    for (size_t i = 0; all->slots && i < all->count; i++) {
        uint32_t *slot = find_slot(all, entries[i].value, entries[i].hash);
        if (!*slot) /* the first of equal values keeps it */
            *slot = (uint32_t)i + 1;
    }
    return all->slots;
}

/* Appends in any case; the slot stays with the first of equal values. */
static void append_entry(values *all, uint32_t *slot, fc_bytes value, uint64_t hash) {
    all->entries[all->count++] = (entry){value, hash};
    if (!*slot)
        *slot = (uint32_t)all->count;
}

static bool index_piece(values *all, const fc__field *field, const fc__piece *piece) {
    if (!make_room(all, (size_t)piece->rows))
        return false;
    for (int64_t row = 0; row < piece->rows; row++) {
        fc_bytes value = value_at(field, piece, row);
        uint64_t hash = hash_of(value);
        append_entry(all, find_slot(all, value, hash), value, hash);
    }
    return true;
}

static void free_values(values *all) {
    fc__free(all->entries);
    fc__free(all->slots);
}

/* ---- Comparing dictionaries by where they are ---- */

/* The very same memory. Only fields of unchecked arrays are compared, none is followed
 * but children that are there. */
static bool same_memory(const struct ArrowArray *a, const struct ArrowArray *b) {
    if (a == b)
        return true;
    if (!a || !b || a->length != b->length || a->offset != b->offset ||
        a->null_count != b->null_count || a->n_buffers != b->n_buffers ||
        a->n_children != b->n_children || a->n_buffers < 0 || a->n_children < 0 ||
        (a->n_buffers && (!a->buffers || !b->buffers)) ||
        (a->n_children && (!a->children || !b->children)))
        return false;
    for (int64_t i = 0; i < a->n_buffers; i++)
        if (a->buffers[i] != b->buffers[i])
            return false;
    for (int64_t i = 0; i < a->n_children; i++)
        if (!same_memory(a->children[i], b->children[i]))
            return false;
    return same_memory(a->dictionary, b->dictionary);
}

/* ---- Unifying ---- */

typedef struct known { /* a dictionary that was appended whole */
    struct known *next;
    uint8_t digest[FC__DIGEST_BYTES];
    const fc__codes *codes;
} known;

typedef struct unifier {
    fc__plan *plan;
    fc__node *node, *dictionary;
    const fc__piece *first, *before; /* of the pieces that have a dictionary by now */
    values seen;
    known *known;
    fc_error *error;
} unifier;

static int no_memory(const unifier *with) {
    return fc__field_fail(with->node->field, with->error, FC_E_NOMEM,
                          "out of memory for unifying its dictionaries");
}

static int take_whole(unifier *with, const struct ArrowArray *given) {
    return fc__push(with->plan, with->dictionary, given, 0, given->length, with->error);
}

static int check_values(const unifier *with, const fc__piece *piece) {
    const fc__field *field = with->dictionary->field;
    int64_t bytes;

    return field->stored == FC__SHAPE_BYTES64
               ? fc__check_bytes(field, piece, &bytes, with->error)
               : fc__check_buffer(field, piece, 1, with->error);
}

/* What stands in the unified dictionary already, before values are looked up in it. */
static int index_first(unifier *with) {
    const fc__node *node = with->dictionary;
    int code;

    if (with->seen.room)
        return 0;
    for (size_t i = 0; i < node->piece_count; i++) {
        if ((code = check_values(with, &node->pieces[i])))
            return code;
        if (!index_piece(&with->seen, node->field, &node->pieces[i]))
            return no_memory(with);
    }
    return make_room(&with->seen, 1) ? 0 : no_memory(with);
}

/* Looks up each value, appends the new ones, fills `table` with their codes. */
static int translate(unifier *with, const fc__piece *piece, int64_t *table) {
    values *seen = &with->seen;
    int code = 0;

    for (int64_t row = 0; !code && row < piece->rows; row++) {
        fc_bytes value = value_at(with->dictionary->field, piece, row);
        uint64_t hash = hash_of(value);
        uint32_t *slot = find_slot(seen, value, hash);
        if (!*slot) {
            append_entry(seen, slot, value, hash);
            code =
                fc__push(with->plan, with->dictionary, piece->array, row, 1, with->error);
        }
        table[row] = *slot - 1;
    }
    return code;
}

static bool is_identity(const int64_t *table, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (table[i] != i)
            return false;
    return true;
}

/* Also where a value stands in the first one twice. */
static bool equals_first(const unifier *with, const fc__piece *piece) {
    if (piece->rows != with->first->array->dictionary->length)
        return false;
    for (int64_t row = 0; row < piece->rows; row++)
        if (!same_value(value_at(with->dictionary->field, piece, row),
                        with->seen.entries[row].value))
            return false;
    return true;
}

static int take_values(unifier *with, const struct ArrowArray *given,
                       const fc__codes **out) {
    fc__piece piece = {.array = given, .first = given->offset, .rows = given->length};
    int code = check_values(with, &piece);

    if (code || (code = index_first(with)) || equals_first(with, &piece))
        return code;
    int64_t *table =
        fc__arena_take(&with->plan->arena, (size_t)piece.rows, sizeof *table);
    fc__codes *codes = fc__arena_take(&with->plan->arena, 1, sizeof *codes);
    if (!table || !codes || !make_room(&with->seen, (size_t)piece.rows))
        return no_memory(with);
    if ((code = translate(with, &piece, table)))
        return code;
    codes->table = table;
    *out = is_identity(table, piece.rows) ? NULL : codes;
    return 0;
}

static int take_shifted(unifier *with, const struct ArrowArray *given,
                        const fc__codes **out) {
    fc__codes *codes = fc__arena_take(&with->plan->arena, 1, sizeof *codes);

    if (!codes)
        return no_memory(with);
    codes->shift = with->dictionary->rows;
    *out = codes->shift ? codes : NULL;
    return take_whole(with, given);
}

/* The hash of a dictionary's content. A plan of its own checks it through and through
 * before anything is read. */
static int digest_values(unifier *with, const struct ArrowArray *given,
                         uint8_t out[FC__DIGEST_BYTES]) {
    fc__field *values = (fc__field *)with->dictionary->field; /* not changed */
    fc__field root = {.name = "",
                      .format = "+s",
                      .stored_format = "+s",
                      .type = FC_TYPE_STRUCT,
                      .given = FC__SHAPE_STRUCT,
                      .stored = FC__SHAPE_STRUCT,
                      .child_count = 1,
                      .children = values};
    fc__plan *plan = fc__plan_new(0);
    int code;

    if (!plan)
        return no_memory(with);
    plan->root = &root;
    if (!(code = fc__plan_nodes(plan, with->error)) &&
        !(code = fc__normalise(plan, true, &given, 1, with->error)))
        code = fc__hash_node(plan, &plan->nodes[1], out, with->error);
    fc__plan_free(plan);
    return code;
}

static int remember(unifier *with, const uint8_t digest[FC__DIGEST_BYTES],
                    const fc__codes *codes) {
    known *entry = fc__arena_take(&with->plan->arena, 1, sizeof *entry);

    if (!entry)
        return no_memory(with);
    *entry = (known){.next = with->known, .codes = codes};
    memcpy(entry->digest, digest, sizeof entry->digest);
    with->known = entry;
    return 0;
}

static int take_known(unifier *with, const struct ArrowArray *given,
                      const fc__codes **out) {
    uint8_t digest[FC__DIGEST_BYTES];
    int code = 0;

    if (!with->known &&
        ((code = digest_values(with, with->first->array->dictionary, digest)) ||
         (code = remember(with, digest, NULL))))
        return code;
    if ((code = digest_values(with, given, digest)))
        return code;
    for (const known *at = with->known; at; at = at->next)
        if (!memcmp(at->digest, digest, sizeof digest)) {
            *out = at->codes;
            return 0;
        }
    code = take_shifted(with, given, out);
    return code ? code : remember(with, digest, *out);
}

static int take_dictionary(unifier *with, fc__piece *piece) {
    const struct ArrowArray *given = piece->array->dictionary;

    if (with->before && piece->array == with->before->array) {
        piece->codes = with->before->codes;
        return 0;
    }
    int code = fc__check_array(with->dictionary->field, given, with->error);
    if (code)
        return code;
    if (!with->first) {
        with->first = piece;
        return take_whole(with, given);
    }
    if (same_memory(given, with->first->array->dictionary))
        return 0;
    if (same_memory(given, with->before->array->dictionary)) {
        piece->codes = with->before->codes;
        return 0;
    }
    return is_hashable(with->dictionary->field) ? take_values(with, given, &piece->codes)
                                                : take_known(with, given, &piece->codes);
}

/* ---- Codes ---- */

static bool codes_hold(char letter, const char *at, int64_t rows, uint64_t limit) {
    bool bad = false;

#define BODY(ctype)                                                                      \
    for (int64_t i = 0; i < rows; i++) {                                                 \
        ctype value;                                                                     \
        memcpy(&value, at + i * (int64_t)sizeof value, sizeof value);                    \
        bad |= (uint64_t)(int64_t)value >= limit;                                        \
    }
    FC__EACH_CODE_TYPE(letter, BODY)
#undef BODY
    return !bad;
}

/* Codes of null rows may be anything; they are looked at only if not all rows hold. */
static int check_codes(const fc__field *field, const fc__piece *piece, fc_error *error) {
    const char *at = fc__piece_buffer(piece, 1) + piece->first * field->width;
    const uint8_t *validity = fc__piece_validity(piece);
    uint64_t limit = (uint64_t)piece->array->dictionary->length;

    if (!piece->rows || codes_hold(*field->format, at, piece->rows, limit))
        return 0;
    for (int64_t row = 0; row < piece->rows; row++, at += field->width)
        if ((!validity || fc__bit(validity, piece->first + row)) &&
            !codes_hold(*field->format, at, 1, limit))
            return fc__field_fail(field, error, FC_E_INVALID,
                                  "the code at row %lld is not in its dictionary of %llu "
                                  "values",
                                  (long long)row, (unsigned long long)limit);
    return 0;
}

/* Integers of the same sign that hold the greatest code. */
static void widen_codes(fc__node *node, int64_t value_count) {
    bool is_signed = *node->stored_format >= 'a';
    static const char *const signed_formats[] = {"c", "s", "i", "l"};
    static const char *const unsigned_formats[] = {"C", "S", "I", "L"};

    for (int i = 1; i < 4; i++)
        if (1 << i > node->width && value_count > (int64_t)1
                                                      << (8 * node->width - is_signed)) {
            node->width = 1 << i;
            node->stored_format = is_signed ? signed_formats[i] : unsigned_formats[i];
        }
}

int fc__push_dictionary(fc__plan *plan, fc__node *node, fc_error *error) {
    unifier with = {.plan = plan,
                    .node = node,
                    .dictionary = &plan->nodes[node->dictionary],
                    .error = error};
    int code = 0;

    for (size_t i = 0; !code && i < node->piece_count; i++) {
        fc__piece *piece = &node->pieces[i];
        if (!piece->rows && (node->rows || with.first))
            continue; /* of no rows no dictionary counts, but one there must be */
        if (!(code = take_dictionary(&with, piece)))
            code = check_codes(node->field, piece, error);
        with.before = piece;
    }
    free_values(&with.seen);
    if (code)
        return code;
    widen_codes(node, with.dictionary->rows);
    if (node->field->keeps_form && node->width != node->field->width)
        return fc__field_fail(node->field, error, FC_E_INVALID,
                              "codes of format '%s' below an extension name stay as they "
                              "are, and its dictionaries have %lld values in all: too "
                              "many; put fewer chunks a frame",
                              node->field->format, (long long)with.dictionary->rows);
    return FC_OK;
}
