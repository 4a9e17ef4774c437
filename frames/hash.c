/* The content hash: a digest for each column, and one of these. A digest is taken over a
 * list of ranges of rows, of one chunk or of many; on the way down, null rows leave the
 * list, so that nothing of what stands in or below them is ever looked at. */
#include "hash.h"

#include "bits.h"
#include "missing.h"
#include "normalise.h"
#include "status.h"

static const char magic[] = "framecache table 1";

typedef struct range { /* rows of one array, as its buffers count them */
    const struct ArrowArray *array;
    int64_t first, count;
} range;

typedef struct ranges {
    range *at;
    size_t count, room;
    int64_t rows; /* of all */
} ranges;

typedef struct hasher {
    const fc__plan *plan;
    fc_error *error;
    bool bare; /* compares rows of one column: what all of them share is left out */
} hasher;

static int digest_column(hasher *h, const fc__node *node, const ranges *rows,
                         uint8_t out[FC__DIGEST_BYTES]);

static const fc__node *child_of(const hasher *h, const fc__node *node, uint32_t index) {
    return &h->plan->nodes[node->first_child + index];
}

/* ---- Ranges ---- */

static int no_memory(hasher *h) {
    return fc__fail(h->error, FC_E_NOMEM, "out of memory to hash a table");
}

static int add_range(hasher *h, ranges *out, const struct ArrowArray *array,
                     int64_t first, int64_t count) {
    range *last = out->count ? &out->at[out->count - 1] : NULL;

    if (!count)
        return FC_OK;
    out->rows += count;
    if (last && last->array == array && last->first + last->count == first) {
        last->count += count;
        return FC_OK;
    }
    if (out->count == out->room) {
        size_t room = out->room ? 2 * out->room : 4;
        range *more = fc__realloc(out->at, room * sizeof *more);
        if (!more)
            return no_memory(h);
        out->at = more;
        out->room = room;
    }
    out->at[out->count++] = (range){array, first, count};
    return FC_OK;
}

/* All rows of a node. */
static int all_rows(hasher *h, ranges *out, const fc__node *node) {
    int status = FC_OK;

    for (size_t i = 0; !status && i < node->piece_count; i++)
        status = add_range(h, out, node->pieces[i].array, node->pieces[i].first,
                           node->pieces[i].rows);
    return status;
}

static fc__piece piece_of(const range *r) {
    return (fc__piece){.array = r->array};
}

/* ---- Bits and numbers, gathered into few calls ---- */

typedef struct gather {
    fc__hash *hash;
    size_t used; /* bits, or numbers */
    uint64_t words[512];
} gather;

#define GATHER_BITS  ((int64_t)sizeof(((gather *)0)->words) * 8)
#define GATHER_WORDS (sizeof(((gather *)0)->words) / sizeof(uint64_t))

static void gather_number(gather *g, uint64_t value) {
    if (g->used == GATHER_WORDS) {
        fc__digest_add(g->hash, g->words, sizeof g->words);
        g->used = 0;
    }
    g->words[g->used++] = value;
}

static void end_numbers(gather *g) {
    fc__digest_add(g->hash, g->words, g->used * sizeof *g->words);
}

/* Of NULL, all are set. */
static void gather_bits(gather *g, const uint8_t *bits, int64_t first, int64_t count) {
    while (count) {
        int64_t room = GATHER_BITS - (int64_t)g->used, part = count < room ? count : room;
        if (bits)
            fc__bits_copy((uint8_t *)g->words, (int64_t)g->used, bits, first, part);
        else
            fc__bits_set((uint8_t *)g->words, (int64_t)g->used, part);
        g->used += (size_t)part;
        first += part;
        count -= part;
        if ((int64_t)g->used < GATHER_BITS)
            return;
        fc__digest_add(g->hash, g->words, sizeof g->words);
        memset(g->words, 0, sizeof g->words);
        g->used = 0;
    }
}

static void end_bits(gather *g) {
    fc__digest_add(g->hash, g->words, (g->used + 7) / 8);
}

/* ---- Which rows are there ---- */

/* The validity of a column's rows: the arrays' own bitmaps, or (made) one of all rows, for
 * values that say themselves that they are missing. */
typedef struct presence {
    const ranges *rows;
    uint8_t *made;
    bool all; /* no array has a bitmap */
} presence;

static const uint8_t *bits_of(const presence *p, const fc__node *node, const range *r,
                              int64_t row, int64_t *bit) {
    *bit = p->made ? row : r->first;
    if (p->made)
        return p->made;
    return fc__shape_of(node->field->given)->has_validity && r->array->null_count
               ? r->array->buffers[0]
               : NULL;
}

static int mark_missing(hasher *h, presence *p, const fc__node *node) {
    int64_t row = 0;

    p->made = fc__calloc((size_t)p->rows->rows / 8 + 1, 1);
    if (!p->made)
        return no_memory(h);
    for (size_t i = 0; i < p->rows->count; i++) {
        const range *r = &p->rows->at[i];
        const char *values = r->array->buffers[1];
        node->missing->mark(p->made, row, values + r->first * node->width, r->count);
        row += r->count;
    }
    return FC_OK;
}

static int find_presence(hasher *h, presence *p, const fc__node *node) {
    int64_t bit;

    if (node->missing)
        return mark_missing(h, p, node);
    p->all = true;
    for (size_t i = 0; p->all && i < p->rows->count; i++)
        p->all = !bits_of(p, node, &p->rows->at[i], 0, &bit);
    return FC_OK;
}

static int add_present(hasher *h, ranges *out, const range *r, const uint8_t *bits,
                       int64_t bit) {
    int status = FC_OK;

    if (!bits)
        return add_range(h, out, r->array, r->first, r->count);
    for (int64_t at = 0, run; !status && at < r->count; at += run) {
        run = fc__bits_run(bits, bit + at, r->count - at);
        if (fc__bit(bits, bit + at))
            status = add_range(h, out, r->array, r->first + at, run);
    }
    return status;
}

static int drop_nulls(hasher *h, ranges *out, const presence *p, const fc__node *node) {
    int64_t row = 0, bit;
    int status = FC_OK;

    for (size_t i = 0; !status && i < p->rows->count; i++) {
        const range *r = &p->rows->at[i];
        const uint8_t *bits = bits_of(p, node, r, row, &bit);
        status = add_present(h, out, r, bits, bit);
        row += r->count;
    }
    return status;
}

static void digest_presence(fc__hash *hash, const presence *p, const fc__node *node) {
    gather g = {.hash = hash};
    int64_t row = 0, bit;

    for (size_t i = 0; i < p->rows->count; i++) {
        const range *r = &p->rows->at[i];
        const uint8_t *bits = bits_of(p, node, r, row, &bit);
        gather_bits(&g, bits, bit, r->count);
        row += r->count;
    }
    end_bits(&g);
}

/* ---- Values ---- */

static void digest_bools(fc__hash *hash, const ranges *rows) {
    gather g = {.hash = hash};

    for (size_t i = 0; i < rows->count; i++)
        gather_bits(&g, rows->at[i].array->buffers[1], rows->at[i].first,
                    rows->at[i].count);
    end_bits(&g);
}

static void digest_fixed(fc__hash *hash, int buffer, int64_t width, const ranges *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        const range *r = &rows->at[i];
        const char *values = r->array->buffers[buffer];
        if (width)
            fc__digest_add(hash, values + r->first * width, (size_t)(r->count * width));
    }
}

/* The piece whose array this is; rows come in the order of the pieces, mostly. */
static const fc__piece *find_piece(const fc__node *node, const struct ArrowArray *array,
                                   size_t *at) {
    for (size_t i = 0; i < node->piece_count; i++, ++*at) {
        if (*at >= node->piece_count)
            *at = 0;
        if (node->pieces[*at].array == array)
            return &node->pieces[*at];
    }
    return NULL;
}

/* The codes as they are stored: of the one dictionary of all chunks. */
static void digest_codes(fc__hash *hash, const fc__node *node, const ranges *rows) {
    enum { MOST = 512 };
    char codes[MOST * sizeof(int64_t)];
    size_t at = 0;

    for (size_t i = 0; i < rows->count; i++) {
        const range *r = &rows->at[i];
        const fc__piece *found = find_piece(node, r->array, &at);
        fc__piece piece = {.array = r->array, .codes = found ? found->codes : NULL};
        for (int64_t row = 0, part; row < r->count; row += part) {
            part = r->count - row < MOST ? r->count - row : MOST;
            fc__turn_codes(node->field, &piece, r->first + row, part, node->width, codes);
            fc__digest_add(hash, codes, (size_t)(part * node->width));
        }
    }
}

/* Of a string, a binary or a list in any form. */
static int64_t length_of(const fc__field *field, const range *r, int64_t row) {
    fc__piece piece = piece_of(r);
    bool wide = fc__is_wide(field->given);
    const char *offsets = fc__piece_buffer(&piece, 1);

    switch (field->given) {
    case FC__SHAPE_BYTE_VIEW:
        return fc__view_length(&piece, row);
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return fc__load(fc__piece_buffer(&piece, 2), row, wide);
    default:
        return fc__load(offsets, row + 1, wide) - fc__load(offsets, row, wide);
    }
}

static void digest_lengths(fc__hash *hash, const fc__field *field, const ranges *rows) {
    gather g = {.hash = hash};

    for (size_t i = 0; i < rows->count; i++) {
        const range *r = &rows->at[i];
        for (int64_t k = 0; k < r->count; k++)
            gather_number(&g, (uint64_t)length_of(field, r, r->first + k));
    }
    end_numbers(&g);
}

static void digest_range_bytes(fc__hash *hash, const fc__field *field, const range *r) {
    bool wide = fc__is_wide(field->given);
    int64_t first = r->first, end = first + r->count;
    fc__piece piece = piece_of(r);
    const char *offsets = fc__piece_buffer(&piece, 1);

    if (field->given == FC__SHAPE_BYTE_VIEW) {
        for (; first < end; first++) {
            fc_bytes value = fc__piece_bytes(field->given, &piece, first);
            fc__digest_add(hash, value.data, value.size);
        }
        return;
    }
    int64_t from = fc__load(offsets, first, wide), to = fc__load(offsets, end, wide);
    if (from < to)
        fc__digest_add(hash, fc__piece_buffer(&piece, 2) + from, (size_t)(to - from));
}

static void digest_bytes(fc__hash *hash, const fc__field *field, const ranges *rows) {
    digest_lengths(hash, field, rows);
    for (size_t i = 0; i < rows->count; i++)
        digest_range_bytes(hash, field, &rows->at[i]);
}

/* ---- What stands below ---- */

/* Takes the ranges over. */
static int digest_below(hasher *h, fc__hash *hash, const fc__node *node, ranges *rows,
                        int status) {
    uint8_t digest[FC__DIGEST_BYTES];

    if (!status && !(status = digest_column(h, node, rows, digest)))
        fc__digest_add(hash, digest, sizeof digest);
    fc__free(rows->at);
    return status;
}

/* Whole, if a row has a value; a stream without batches has lost it. */
static int digest_dictionary(hasher *h, fc__hash *hash, const fc__node *node,
                             const ranges *rows) {
    const fc__node *values = &h->plan->nodes[node->dictionary];
    ranges all = {0};

    return digest_below(h, hash, values, &all, rows->rows ? all_rows(h, &all, values) : 0);
}

/* `scale` rows of each child for one of these. */
static int digest_children(hasher *h, fc__hash *hash, const fc__node *node,
                           const ranges *rows, int64_t scale) {
    int status = FC_OK;

    for (uint32_t c = 0; !status && c < node->field->child_count; c++) {
        ranges below = {0};
        for (size_t i = 0; !status && i < rows->count; i++) {
            const range *r = &rows->at[i];
            const struct ArrowArray *child = r->array->children[c];
            status = add_range(h, &below, child, child->offset + r->first * scale,
                               r->count * scale);
        }
        status = digest_below(h, hash, child_of(h, node, c), &below, status);
    }
    return status;
}

static int add_items(hasher *h, ranges *out, const fc__field *field, const range *r) {
    const struct ArrowArray *child = r->array->children[0];
    bool wide = fc__is_wide(field->given);
    int status = FC_OK;

    for (int64_t row = r->first; !status && row < r->first + r->count; row++) {
        int64_t length = length_of(field, r, row);
        if (length)
            status = add_range(h, out, child,
                               child->offset + fc__load(r->array->buffers[1], row, wide),
                               length);
    }
    return status;
}

static int digest_list(hasher *h, fc__hash *hash, const fc__node *node,
                       const ranges *rows) {
    ranges below = {0};
    int status = FC_OK;

    digest_lengths(hash, node->field, rows);
    for (size_t i = 0; !status && i < rows->count; i++)
        status = add_items(h, &below, node->field, &rows->at[i]);
    return digest_below(h, hash, child_of(h, node, 0), &below, status);
}

/* The rows of child `index` that a union's rows refer to, in their order. */
static int pick_rows(hasher *h, ranges *out, const range *r, uint32_t index, bool dense,
                     int8_t id) {
    const struct ArrowArray *child = r->array->children[index];
    const int8_t *ids = r->array->buffers[0];
    int status = FC_OK;

    for (int64_t row = r->first; !status && row < r->first + r->count; row++) {
        int64_t at = dense && ids[row] == id ? fc__load32(r->array->buffers[1], row) : row;
        if (ids[row] == id)
            status = add_range(h, out, child, child->offset + at, 1);
    }
    return status;
}

static int digest_union(hasher *h, fc__hash *hash, const fc__node *node,
                        const ranges *rows) {
    bool dense = node->field->given == FC__SHAPE_DENSE;
    int8_t ids[FC__UNION_IDS];
    int status = FC_OK;

    digest_fixed(hash, 0, 1, rows);
    fc__union_ids(node->field->format, ids);
    for (uint32_t c = 0; !status && c < node->field->child_count; c++) {
        ranges below = {0};
        for (size_t i = 0; !status && i < rows->count; i++)
            status = pick_rows(h, &below, &rows->at[i], c, dense, ids[c]);
        status = digest_below(h, hash, child_of(h, node, c), &below, status);
    }
    return status;
}

/* ---- Runs ---- */

typedef struct joiner { /* of neighbouring runs with equal values */
    gather *lengths;
    ranges values;
    uint64_t length; /* of the run that is open */
    uint8_t digest[FC__DIGEST_BYTES];
} joiner;

static int add_run(hasher *h, joiner *j, const fc__node *node,
                   const struct ArrowArray *values, int64_t run, int64_t length) {
    hasher bare = {h->plan, h->error, true};
    range one = {values, values->offset + run, 1};
    ranges row = {&one, 1, 1, 1};
    uint8_t digest[FC__DIGEST_BYTES];
    int status = digest_column(&bare, node, &row, digest);

    if (status)
        return status;
    if (j->length && !memcmp(digest, j->digest, sizeof digest)) {
        j->length += (uint64_t)length;
        return FC_OK;
    }
    if (j->length)
        gather_number(j->lengths, j->length);
    j->length = (uint64_t)length;
    memcpy(j->digest, digest, sizeof digest);
    return add_range(h, &j->values, values, one.first, 1);
}

static int join_range(hasher *h, joiner *j, const fc__node *node, const range *r) {
    const struct ArrowArray *ends = r->array->children[0];
    int32_t width = node->field->children[0].width;
    int64_t row = r->first, end = row + r->count;
    int64_t run = fc__find_run(ends, width, row);
    int status = FC_OK;

    for (; !status && row < end; run++) {
        int64_t stop = fc__load_run_end(ends->buffers[1], ends->offset + run, width);
        if (stop > end)
            stop = end;
        status = add_run(h, j, child_of(h, node, 1), r->array->children[1], run,
                         stop - row);
        row = stop;
    }
    return status;
}

static int digest_runs(hasher *h, fc__hash *hash, const fc__node *node,
                       const ranges *rows) {
    gather lengths = {.hash = hash};
    joiner j = {.lengths = &lengths};
    int status = FC_OK;

    if (!h->bare)
        status = fc__digest_field(hash, child_of(h, node, 0), h->error);
    for (size_t i = 0; !status && i < rows->count; i++)
        status = join_range(h, &j, node, &rows->at[i]);
    if (j.length)
        gather_number(&lengths, j.length);
    end_numbers(&lengths);
    return digest_below(h, hash, child_of(h, node, 1), &j.values, status);
}

/* ---- Columns ---- */

static int digest_values(hasher *h, fc__hash *hash, const fc__node *node,
                         const ranges *rows) {
    if (!node->field->dictionary) {
        digest_fixed(hash, 1, node->width, rows);
        return FC_OK;
    }
    digest_codes(hash, node, rows);
    return h->bare ? FC_OK : digest_dictionary(h, hash, node, rows);
}

/* Rows without a null among them. */
static int digest_rows(hasher *h, fc__hash *hash, const fc__node *node,
                       const ranges *rows) {
    switch (node->field->given) {
    case FC__SHAPE_BITS:
        digest_bools(hash, rows);
        return FC_OK;
    case FC__SHAPE_FIXED:
        return digest_values(h, hash, node, rows);
    case FC__SHAPE_BYTES32:
    case FC__SHAPE_BYTES64:
    case FC__SHAPE_BYTE_VIEW:
        digest_bytes(hash, node->field, rows);
        return FC_OK;
    case FC__SHAPE_LIST32:
    case FC__SHAPE_LIST64:
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return digest_list(h, hash, node, rows);
    case FC__SHAPE_FIXED_LIST:
        return digest_children(h, hash, node, rows, node->width);
    case FC__SHAPE_STRUCT:
        return digest_children(h, hash, node, rows, 1);
    case FC__SHAPE_SPARSE:
    case FC__SHAPE_DENSE:
        return digest_union(h, hash, node, rows);
    case FC__SHAPE_RUN_END:
        return digest_runs(h, hash, node, rows);
    default:
        return FC_OK;
    }
}

static int digest_present(hasher *h, fc__hash *hash, const fc__node *node,
                          const presence *p) {
    ranges there = {0};
    int status = p->all ? FC_OK : drop_nulls(h, &there, p, node);
    bool nulls = !p->all && there.rows < p->rows->rows;

    fc__digest_number(hash, (uint64_t)p->rows->rows);
    fc__digest_number(hash, nulls ? (uint64_t)(p->rows->rows - there.rows) : 0);
    if (nulls)
        digest_presence(hash, p, node);
    if (!status)
        status = digest_rows(h, hash, node, nulls ? &there : p->rows);
    fc__free(there.at);
    return status;
}

static int digest_column(hasher *h, const fc__node *node, const ranges *rows,
                         uint8_t out[FC__DIGEST_BYTES]) {
    presence p = {.rows = rows};
    fc__hash hash;

    fc__digest_begin(&hash);
    int status = h->bare ? FC_OK : fc__digest_field(&hash, node, h->error);
    if (!status)
        status = find_presence(h, &p, node);
    if (!status)
        status = digest_present(h, &hash, node, &p);
    fc__free(p.made);
    fc__digest_end(&hash, out);
    return status;
}

int fc__hash_node(const fc__plan *plan, const fc__node *node,
                  uint8_t out[FC__DIGEST_BYTES], fc_error *error) {
    hasher h = {.plan = plan, .error = error};
    ranges rows = {0};
    int status = all_rows(&h, &rows, node);

    if (!status)
        status = digest_column(&h, node, &rows, out);
    fc__free(rows.at);
    return status;
}

int fc__hash_plan(const fc__plan *plan, uint8_t out[FC__DIGEST_BYTES], fc_error *error) {
    const fc__node *root = plan->nodes;
    uint8_t digest[FC__DIGEST_BYTES];
    fc__hash hash;

    fc__digest_begin(&hash);
    fc__digest_add(&hash, magic, sizeof magic - 1);
    int status = fc__digest_metadata(&hash, root->field, error);
    fc__digest_number(&hash, (uint64_t)root->rows);
    fc__digest_number(&hash, root->field->child_count);
    for (uint32_t i = 0; !status && i < root->field->child_count; i++) {
        status = fc__hash_node(plan, &root[root->first_child + i], digest, error);
        fc__digest_add(&hash, digest, sizeof digest);
    }
    fc__digest_end(&hash, out);
    return status;
}
