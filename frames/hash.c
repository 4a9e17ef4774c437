/* The content hash: a digest for each column, and one of these. A digest is taken over a
 * list of ranges of rows; on the way down, null rows leave the list, so that nothing of
 * what stands in or below them is ever looked at. */
#include "hash.h"

#include "bits.h"
#include "normalise.h"
#include "status.h"

static const char magic[] = "framecache table 1";

typedef struct range { /* rows as the array's buffers count them */
    int64_t first, count;
} range;

typedef struct ranges {
    range *at;
    size_t count, room;
    int64_t rows; /* of all */
} ranges;

typedef struct hasher {
    fc_error *error;
    bool bare; /* compares rows of one column: what all of them share is left out */
} hasher;

static int digest_column(hasher *h, const fc__field *field,
                         const struct ArrowArray *array, const ranges *rows,
                         uint8_t out[FC__DIGEST_BYTES]);

/* ---- Ranges ---- */

static int no_memory(hasher *h) {
    return fc__fail(h->error, FC_E_NOMEM, "out of memory to hash a table");
}

static int add_range(hasher *h, ranges *out, int64_t first, int64_t count) {
    range *last = out->count ? &out->at[out->count - 1] : NULL;

    if (!count)
        return FC_OK;
    out->rows += count;
    if (last && last->first + last->count == first) {
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
    out->at[out->count++] = (range){first, count};
    return FC_OK;
}

static const uint8_t *validity_of(const fc__field *field,
                                  const struct ArrowArray *array) {
    return fc__shape_of(field->given)->has_validity && array->null_count
               ? array->buffers[0]
               : NULL;
}

static int drop_nulls(hasher *h, ranges *out, const ranges *rows,
                      const uint8_t *validity) {
    int status = FC_OK;

    for (size_t i = 0; i < rows->count; i++) {
        int64_t at = rows->at[i].first, end = at + rows->at[i].count;
        while (!status && at < end) {
            int64_t run = fc__bits_run(validity, at, end - at);
            if (fc__bit(validity, at))
                status = add_range(h, out, at, run);
            at += run;
        }
    }
    return status;
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

static void gather_bits(gather *g, const uint8_t *bits, int64_t first, int64_t count) {
    while (count) {
        int64_t room = GATHER_BITS - (int64_t)g->used, part = count < room ? count : room;
        fc__bits_copy((uint8_t *)g->words, (int64_t)g->used, bits, first, part);
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

static void digest_bits(fc__hash *hash, const uint8_t *bits, const ranges *rows) {
    gather g = {.hash = hash};

    for (size_t i = 0; i < rows->count; i++)
        gather_bits(&g, bits, rows->at[i].first, rows->at[i].count);
    fc__digest_add(hash, g.words, (g.used + 7) / 8);
}

/* ---- Values ---- */

static void digest_fixed(fc__hash *hash, const char *values, int64_t width,
                         const ranges *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        const range *r = &rows->at[i];
        if (width)
            fc__digest_add(hash, values + r->first * width, (size_t)(r->count * width));
    }
}

/* Of a string, a binary or a list in any form. */
static int64_t length_of(const fc__field *field, const fc__piece *piece, int64_t row) {
    bool wide = fc__is_wide(field->given);
    const char *offsets = fc__piece_buffer(piece, 1);

    switch (field->given) {
    case FC__SHAPE_BYTE_VIEW:
        return fc__view_length(piece, row);
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return fc__load(fc__piece_buffer(piece, 2), row, wide);
    default:
        return fc__load(offsets, row + 1, wide) - fc__load(offsets, row, wide);
    }
}

static void digest_lengths(fc__hash *hash, const fc__field *field, const fc__piece *piece,
                           const ranges *rows) {
    gather g = {.hash = hash};

    for (size_t i = 0; i < rows->count; i++)
        for (int64_t k = 0; k < rows->at[i].count; k++)
            gather_number(&g, (uint64_t)length_of(field, piece, rows->at[i].first + k));
    end_numbers(&g);
}

static void digest_bytes(fc__hash *hash, const fc__field *field, const fc__piece *piece,
                         const ranges *rows) {
    bool wide = fc__is_wide(field->given);
    const char *offsets = fc__piece_buffer(piece, 1);

    digest_lengths(hash, field, piece, rows);
    for (size_t i = 0; i < rows->count; i++) {
        int64_t first = rows->at[i].first, end = first + rows->at[i].count;
        if (field->given == FC__SHAPE_BYTE_VIEW) {
            for (; first < end; first++) {
                fc_bytes value = fc__piece_bytes(field->given, piece, first);
                fc__digest_add(hash, value.data, value.size);
            }
            continue;
        }
        int64_t from = fc__load(offsets, first, wide), to = fc__load(offsets, end, wide);
        if (from < to)
            fc__digest_add(hash, fc__piece_buffer(piece, 2) + from, (size_t)(to - from));
    }
}

/* ---- What stands below ---- */

static int digest_below(hasher *h, fc__hash *hash, const fc__field *field,
                        const struct ArrowArray *array, const ranges *rows) {
    uint8_t digest[FC__DIGEST_BYTES];
    int status = digest_column(h, field, array, rows, digest);

    fc__digest_add(hash, digest, sizeof digest);
    return status;
}

/* Whole, if a row has a value; a stream without batches has lost it. */
static int digest_dictionary(hasher *h, fc__hash *hash, const fc__field *field,
                             const struct ArrowArray *array, const ranges *rows) {
    const struct ArrowArray *values = array->dictionary;
    range all = {values->offset, rows->rows ? values->length : 0};
    ranges whole = {&all, all.count > 0, 1, all.count};

    return digest_below(h, hash, field->dictionary, values, &whole);
}

/* `scale` rows of each child for one of these. */
static int digest_children(hasher *h, fc__hash *hash, const fc__field *field,
                           const struct ArrowArray *array, const ranges *rows,
                           int64_t scale) {
    int status = FC_OK;

    for (uint32_t c = 0; !status && c < field->child_count; c++) {
        const struct ArrowArray *child = array->children[c];
        ranges below = {0};
        for (size_t i = 0; !status && i < rows->count; i++)
            status = add_range(h, &below, child->offset + rows->at[i].first * scale,
                               rows->at[i].count * scale);
        if (!status)
            status = digest_below(h, hash, &field->children[c], child, &below);
        fc__free(below.at);
    }
    return status;
}

static int digest_list(hasher *h, fc__hash *hash, const fc__field *field,
                       const fc__piece *piece, const ranges *rows) {
    const struct ArrowArray *child = piece->array->children[0];
    bool wide = fc__is_wide(field->given);
    ranges below = {0};
    int status = FC_OK;

    digest_lengths(hash, field, piece, rows);
    for (size_t i = 0; i < rows->count; i++)
        for (int64_t k = 0; !status && k < rows->at[i].count; k++) {
            int64_t row = rows->at[i].first + k;
            int64_t length = length_of(field, piece, row);
            if (length)
                status = add_range(h, &below,
                                   child->offset +
                                       fc__load(fc__piece_buffer(piece, 1), row, wide),
                                   length);
        }
    if (!status)
        status = digest_below(h, hash, field->children, child, &below);
    fc__free(below.at);
    return status;
}

/* The rows of child `id` that the union's rows refer to, in their order. */
static int pick_rows(hasher *h, ranges *out, const struct ArrowArray *array,
                     const struct ArrowArray *child, bool dense, int8_t id,
                     const ranges *rows) {
    const int8_t *ids = array->buffers[0];
    int status = FC_OK;

    for (size_t i = 0; i < rows->count; i++)
        for (int64_t k = 0; !status && k < rows->at[i].count; k++) {
            int64_t row = rows->at[i].first + k;
            if (ids[row] == id)
                status = add_range(h, out,
                                   child->offset +
                                       (dense ? fc__load32(array->buffers[1], row) : row),
                                   1);
        }
    return status;
}

static int digest_union(hasher *h, fc__hash *hash, const fc__field *field,
                        const struct ArrowArray *array, const ranges *rows) {
    int8_t ids[FC__UNION_IDS];
    int status = FC_OK;

    digest_fixed(hash, array->buffers[0], 1, rows);
    fc__union_ids(field->format, ids);
    for (uint32_t c = 0; !status && c < field->child_count; c++) {
        const struct ArrowArray *child = array->children[c];
        ranges below = {0};
        status = pick_rows(h, &below, array, child, field->given == FC__SHAPE_DENSE,
                           ids[c], rows);
        if (!status)
            status = digest_below(h, hash, &field->children[c], child, &below);
        fc__free(below.at);
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

static int add_run(hasher *h, joiner *j, const fc__field *field,
                   const struct ArrowArray *values, int64_t run, int64_t length) {
    hasher bare = {h->error, true};
    range one = {values->offset + run, 1};
    ranges row = {&one, 1, 1, 1};
    uint8_t digest[FC__DIGEST_BYTES];
    int status = digest_column(&bare, field, values, &row, digest);

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
    return add_range(h, &j->values, one.first, 1);
}

static int join_runs(hasher *h, joiner *j, const fc__field *field,
                     const struct ArrowArray *array, const ranges *rows) {
    const struct ArrowArray *ends = array->children[0];
    int32_t width = field->children[0].width;
    int status = FC_OK;

    for (size_t i = 0; i < rows->count; i++) {
        int64_t row = rows->at[i].first, end = row + rows->at[i].count;
        int64_t run = fc__find_run(ends, width, row);
        for (; !status && row < end; run++) {
            int64_t stop = fc__load_run_end(ends->buffers[1], ends->offset + run, width);
            if (stop > end)
                stop = end;
            status =
                add_run(h, j, &field->children[1], array->children[1], run, stop - row);
            row = stop;
        }
    }
    return status;
}

static int digest_runs(hasher *h, fc__hash *hash, const fc__field *field,
                       const struct ArrowArray *array, const ranges *rows) {
    gather lengths = {.hash = hash};
    joiner j = {.lengths = &lengths};
    int status = FC_OK;

    if (!h->bare)
        status = fc__digest_field(hash, &field->children[0], h->error);
    if (!status)
        status = join_runs(h, &j, field, array, rows);
    if (j.length)
        gather_number(&lengths, j.length);
    end_numbers(&lengths);
    if (!status)
        status =
            digest_below(h, hash, &field->children[1], array->children[1], &j.values);
    fc__free(j.values.at);
    return status;
}

/* ---- Columns ---- */

/* Rows without a null among them. */
static int digest_rows(hasher *h, fc__hash *hash, const fc__field *field,
                       const struct ArrowArray *array, const ranges *rows) {
    fc__piece piece = {.array = array};

    switch (field->given) {
    case FC__SHAPE_BITS:
        digest_bits(hash, array->buffers[1], rows);
        return FC_OK;
    case FC__SHAPE_FIXED:
        digest_fixed(hash, array->buffers[1], field->width, rows);
        return field->dictionary && !h->bare
                   ? digest_dictionary(h, hash, field, array, rows)
                   : FC_OK;
    case FC__SHAPE_BYTES32:
    case FC__SHAPE_BYTES64:
    case FC__SHAPE_BYTE_VIEW:
        digest_bytes(hash, field, &piece, rows);
        return FC_OK;
    case FC__SHAPE_LIST32:
    case FC__SHAPE_LIST64:
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return digest_list(h, hash, field, &piece, rows);
    case FC__SHAPE_FIXED_LIST:
        return digest_children(h, hash, field, array, rows, field->width);
    case FC__SHAPE_STRUCT:
        return digest_children(h, hash, field, array, rows, 1);
    case FC__SHAPE_SPARSE:
    case FC__SHAPE_DENSE:
        return digest_union(h, hash, field, array, rows);
    case FC__SHAPE_RUN_END:
        return digest_runs(h, hash, field, array, rows);
    default:
        return FC_OK;
    }
}

static int digest_column(hasher *h, const fc__field *field,
                         const struct ArrowArray *array, const ranges *rows,
                         uint8_t out[FC__DIGEST_BYTES]) {
    const uint8_t *validity = validity_of(field, array);
    ranges there = {0};
    fc__hash hash;

    fc__digest_begin(&hash);
    int status = h->bare ? FC_OK : fc__digest_field(&hash, field, h->error);
    if (!status && validity)
        status = drop_nulls(h, &there, rows, validity);
    bool nulls = validity && there.rows < rows->rows;
    fc__digest_number(&hash, (uint64_t)rows->rows);
    fc__digest_number(&hash, nulls ? (uint64_t)(rows->rows - there.rows) : 0);
    if (nulls)
        digest_bits(&hash, validity, rows);
    if (!status)
        status = digest_rows(h, &hash, field, array, nulls ? &there : rows);
    fc__free(there.at);
    fc__digest_end(&hash, out);
    return status;
}

int fc__hash_table(const fc__field *root, bool wrapped, const struct ArrowArray *array,
                   uint8_t out[FC__DIGEST_BYTES], fc_error *error) {
    hasher h = {.error = error};
    range all = {array->offset, array->length};
    ranges rows = {&all, all.count > 0, 1, all.count};
    fc__hash hash;

    fc__digest_begin(&hash);
    fc__digest_add(&hash, magic, sizeof magic - 1);
    int status = fc__digest_metadata(&hash, root, error);
    fc__digest_number(&hash, (uint64_t)array->length);
    fc__digest_number(&hash, root->child_count);
    if (!status)
        status = wrapped ? digest_below(&h, &hash, root->children, array, &rows)
                         : digest_children(&h, &hash, root, array, &rows, 1);
    fc__digest_end(&hash, out);
    return status;
}
