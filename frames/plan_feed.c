/* Where the bytes of a buffer come from: rows copied as they are, bits at any offset, and
 * numbers that change on the way (offsets, codes, run ends). */
#include "bits.h"
#include "integers.h"
#include "missing.h"
#include "normalise.h"
#include "plan_write.h"

struct span {
    const char *data;
    uint64_t bytes;
};

/* ---- Rows as they are ---- */

static struct span bytes_span(const fc__field *field, const fc__piece *piece) {
    bool wide = fc__is_wide(field->given);
    const char *offsets = fc__piece_buffer(piece, 1);

    if (!piece->rows)
        return (struct span){NULL, 0};
    int64_t from = fc__load(offsets, piece->first, wide);
    int64_t to = fc__load(offsets, piece->first + piece->rows, wide);
    return from == to
               ? (struct span){NULL, 0}
               : (struct span){fc__piece_buffer(piece, 2) + from, (uint64_t)(to - from)};
}

static struct span piece_span(const fc__node *node, fc__how how, const fc__piece *piece) {
    bool ids = how == FC__HOW_TYPE_IDS;
    int64_t width = ids ? 1 : node->field->width;

    if (how == FC__HOW_BYTES)
        return bytes_span(node->field, piece);
    if (!piece->rows || !width)
        return (struct span){NULL, 0};
    return (struct span){fc__piece_buffer(piece, ids ? 0 : 1) + piece->first * width,
                         (uint64_t)(piece->rows * width)};
}

static int write_spans(const fc__node *node, fc__how how, uint64_t from, uint64_t to,
                       fc__pen *pen) {
    uint64_t at = 0;
    int code = 0;

    for (size_t i = 0; !code && i < node->piece_count && at < to; i++) {
        struct span span = piece_span(node, how, &node->pieces[i]);
        uint64_t skip = from > at ? from - at : 0;
        uint64_t end = to - at < span.bytes ? to - at : span.bytes;
        if (skip < end)
            code = fc__pen_put(pen, span.data + skip, end - skip);
        at += span.bytes;
    }
    return code;
}

static bool keeps_codes(const fc__node *node) {
    if (node->width != node->field->width)
        return false;
    for (size_t i = 0; i < node->piece_count; i++)
        if (node->pieces[i].codes)
            return false;
    return true;
}

/* ---- Bits ---- */

static const uint8_t *piece_bits(fc__how how, const fc__piece *piece) {
    return how == FC__HOW_VALIDITY ? fc__piece_validity(piece)
                                   : (const uint8_t *)fc__piece_buffer(piece, 1);
}

typedef struct walk { /* over pieces, row by row */
    const fc__node *node;
    size_t piece;
    int64_t row; /* of the node, where the piece begins */
} walk;

/* Rows [from, to) of the node into `out`, which is zero. */
static void fill_bits(walk *at, fc__how how, uint8_t *out, int64_t from, int64_t to) {
    for (; at->piece < at->node->piece_count && at->row < to; at->piece++) {
        const fc__piece *piece = &at->node->pieces[at->piece];
        int64_t end = at->row + piece->rows;
        int64_t low = from > at->row ? from : at->row, high = to < end ? to : end;
        const uint8_t *bits = piece_bits(how, piece);
        if (low < high && bits)
            fc__bits_copy(out, low - from, bits, piece->first + low - at->row,
                          high - low);
        else if (low < high)
            fc__bits_set(out, low - from, high - low);
        if (end > to)
            return;
        at->row = end;
    }
}

/* One piece at a byte's begin: all whole bytes as they are. Returns how many. */
static uint64_t whole_bytes(const fc__node *node, fc__how how, uint64_t from, uint64_t to,
                            const uint8_t **data) {
    const fc__piece *piece = node->pieces;
    uint64_t whole = (uint64_t)node->rows / 8;

    if (node->piece_count != 1 || piece->first % 8 || !piece_bits(how, piece))
        return 0;
    *data = piece_bits(how, piece) + piece->first / 8 + from;
    return (to < whole ? to : whole) - (from < whole ? from : whole);
}

/* Room for bits of the node from byte `from` on, all zero: for *bytes of them or fewer,
 * and for its rows up to *end. NULL: *code says why. */
static uint8_t *bits_room(const fc__node *node, uint64_t from, size_t *bytes, int64_t *end,
                          fc__pen *pen, int *code) {
    size_t room;
    char *out = fc__pen_room(pen, &room, code);

    if (!out)
        return NULL;
    if (*bytes > room)
        *bytes = room;
    *end = (int64_t)(from + *bytes) * 8;
    if (*end > node->rows)
        *end = node->rows;
    return memset(out, 0, *bytes);
}

static int write_bits(const fc__node *node, fc__how how, uint64_t from, uint64_t to,
                      fc__pen *pen) {
    const uint8_t *data = NULL;
    uint64_t whole = whole_bytes(node, how, from, to, &data);
    walk at = {.node = node};
    int code = whole ? fc__pen_put(pen, data, whole) : 0;

    for (from += whole; !code && from < to;) {
        size_t bytes = to - from;
        int64_t end;
        uint8_t *out = bits_room(node, from, &bytes, &end, pen, &code);
        if (!out)
            break;
        fill_bits(&at, how, out, (int64_t)from * 8, end);
        fc__pen_advance(pen, bytes);
        from += bytes;
    }
    return code;
}

/* ---- Numbers that change: `rows` of a piece from its row `row` on, to `out` ---- */

static void store(char *out, int64_t index, int32_t width, int64_t value) {
    switch (width) { /* little-endian: the low bytes */
    case 1:
        memcpy(out + index, &value, 1);
        break;
    case 2:
        memcpy(out + index * 2, &value, 2);
        break;
    case 4:
        memcpy(out + index * 4, &value, 4);
        break;
    default:
        memcpy(out + index * 8, &value, 8);
        break;
    }
}

/* *base: the end of the row before. */
static void turn_offsets(const fc__field *field, const fc__piece *piece, int64_t row,
                         int64_t rows, int32_t width, int64_t base, char *out) {
    bool wide = fc__is_wide(field->given);
    const char *in = fc__piece_buffer(piece, 1) + piece->first * (wide ? 8 : 4);
    int64_t shift = base - fc__load(in, 0, wide);

    if (wide)
        for (int64_t i = 0; i < rows; i++)
            store(out, i, 8, fc__load64(in, row + i + 1) + shift);
    else if (width == 8)
        for (int64_t i = 0; i < rows; i++)
            store(out, i, 8, fc__load32(in, row + i + 1) + shift);
    else
        for (int64_t i = 0; i < rows; i++)
            store(out, i, 4, fc__load32(in, row + i + 1) + shift);
}

static int64_t sum_views(const fc__piece *piece, int64_t row, int64_t rows, int64_t base,
                         char *out) {
    const uint8_t *validity = fc__piece_validity(piece);

    for (int64_t i = 0; i < rows; i++) {
        if (!validity || fc__bit(validity, piece->first + row + i))
            base += fc__view_length(piece, row + i);
        store(out, i, 8, base);
    }
    return base;
}

static int64_t sum_list_views(const fc__field *field, const fc__piece *piece, int64_t row,
                              int64_t rows, int64_t base, char *out) {
    const uint8_t *validity = fc__piece_validity(piece);
    const char *sizes = fc__piece_buffer(piece, 2);
    bool wide = fc__is_wide(field->given);

    for (int64_t i = 0, at = piece->first + row; i < rows; i++, at++) {
        if (!validity || fc__bit(validity, at))
            base += fc__load(sizes, at, wide);
        store(out, i, 8, base);
    }
    return base;
}

/* A code that is in no dictionary stands in a null row; it becomes 0. */
static int64_t new_code(const fc__piece *piece, int64_t code) {
    if ((uint64_t)code >= (uint64_t)piece->array->dictionary->length)
        return 0;
    if (!piece->codes)
        return code;
    return piece->codes->table ? piece->codes->table[code] : code + piece->codes->shift;
}

void fc__turn_codes(const fc__field *field, const fc__piece *piece, int64_t row,
                    int64_t rows, int32_t width, char *out) {
    const char *in = fc__piece_buffer(piece, 1) + (piece->first + row) * field->width;

#define BODY(ctype)                                                                      \
    for (int64_t i = 0; i < rows; i++) {                                                 \
        ctype value;                                                                     \
        memcpy(&value, in + i * (int64_t)sizeof value, sizeof value);                    \
        store(out, i, width, new_code(piece, (int64_t)value));                           \
    }
    FC__EACH_CODE_TYPE(*field->format, BODY)
#undef BODY
}

static void turn_places(const fc__node *node, const fc__piece *piece, int64_t row,
                        int64_t rows, char *out) {
    const char *ids = fc__piece_buffer(piece, 0) + piece->first + row;
    const char *in = fc__piece_buffer(piece, 1) + (piece->first + row) * 4;

    for (int64_t i = 0; i < rows; i++)
        store(out, i, 4, fc__load32(in, i) + piece->places[node->child_of[(int)ids[i]]]);
}

static void turn_run_ends(const fc__field *field, const fc__piece *piece, int64_t row,
                          int64_t rows, int32_t width, char *out) {
    const char *in = fc__piece_buffer(piece, 1);

    for (int64_t i = 0; i < rows; i++) {
        int64_t end = fc__load_run_end(in, piece->first + row + i, field->width) +
                      piece->runs.shift;
        store(out, i, width, end < piece->runs.last ? end : piece->runs.last);
    }
}

/* Returns the end of the last row, for those that sum up. */
static int64_t turn(const fc__node *node, fc__how how, const fc__piece *piece,
                    int64_t row, int64_t rows, int32_t width, int64_t base, char *out) {
    switch (how) {
    case FC__HOW_OFFSETS:
        turn_offsets(node->field, piece, row, rows, width, base, out);
        return base;
    case FC__HOW_VIEW_OFFSETS:
        return sum_views(piece, row, rows, base, out);
    case FC__HOW_LIST_VIEW_OFFSETS:
        return sum_list_views(node->field, piece, row, rows, base, out);
    case FC__HOW_CODES:
        fc__turn_codes(node->field, piece, row, rows, width, out);
        return base;
    case FC__HOW_PLACES:
        turn_places(node, piece, row, rows, out);
        return base;
    default:
        turn_run_ends(node->field, piece, row, rows, width, out);
        return base;
    }
}

static bool has_leading_zero(fc__how how) {
    return how == FC__HOW_OFFSETS || how == FC__HOW_VIEW_OFFSETS ||
           how == FC__HOW_LIST_VIEW_OFFSETS;
}

static int32_t number_width(const fc__node *node, fc__how how) {
    if (how == FC__HOW_CODES || how == FC__HOW_RUN_ENDS)
        return node->width;
    return how == FC__HOW_PLACES || node->field->type == FC_TYPE_MAP ? 4 : 8;
}

/* What a piece adds to the offsets behind it. */
static int64_t piece_sum(const fc__node *node, const fc__piece *piece) {
    bool wide = fc__is_wide(node->field->given);
    const char *offsets = fc__piece_buffer(piece, 1);

    return piece->rows ? fc__load(offsets, piece->first + piece->rows, wide) -
                             fc__load(offsets, piece->first, wide)
                       : 0;
}

/* Rows [low, high) of one piece. *base moves on for those that sum up row by row. */
static int write_turned(const fc__node *node, fc__how how, const fc__piece *piece,
                        int64_t low, int64_t high, int64_t *base, fc__pen *pen) {
    int32_t width = number_width(node, how);
    int code = 0;

    while (!code && low < high) {
        size_t bytes;
        char *out = fc__pen_room(pen, &bytes, &code);
        if (!out)
            break;
        int64_t rows = (int64_t)bytes / width;
        if (rows > high - low)
            rows = high - low;
        *base = turn(node, how, piece, low, rows, width, *base, out);
        fc__pen_advance(pen, (size_t)(rows * width));
        low += rows;
    }
    return code;
}

static int write_numbers(const fc__node *node, fc__how how, uint64_t from, uint64_t to,
                         fc__pen *pen) {
    static const char zero[8];
    int32_t width = number_width(node, how);
    int64_t lead = has_leading_zero(how), base = 0, row = 0;
    int64_t low = (int64_t)(from / (uint64_t)width) - lead;
    int64_t high = (int64_t)(to / (uint64_t)width) - lead;
    int code = low < 0 ? fc__pen_put(pen, zero, (uint64_t)width) : 0;

    if (low < 0)
        low = 0;
    for (size_t i = 0; !code && i < node->piece_count && row < high; i++) {
        const fc__piece *piece = &node->pieces[i];
        int64_t end = row + piece->rows < high ? row + piece->rows : high;
        if (low < end)
            code = write_turned(node, how, piece, (low > row ? low : row) - row,
                                end - row, &base, pen);
        if (how == FC__HOW_OFFSETS)
            base += piece_sum(node, piece);
        row += piece->rows;
    }
    return code;
}

/* ---- The values of views ---- */

static bool is_there(const fc__piece *piece, const uint8_t *validity, int64_t row) {
    return !validity || fc__bit(validity, piece->first + row);
}

/* From *row on, as long as values stand in the views themselves and there is room: always
 * 12 bytes are copied, of which the length counts. */
static int write_short_views(const fc__piece *piece, const uint8_t *validity,
                             int64_t *row, fc__pen *pen) {
    const char *views = fc__piece_buffer(piece, 1) + piece->first * 16;
    size_t room;
    int code;
    char *out = fc__pen_room(pen, &room, &code), *at = out;

    if (!out)
        return code;
    for (; *row < piece->rows && out + room - at >= FC__INLINE_VIEW; ++*row) {
        if (!is_there(piece, validity, *row))
            continue;
        int64_t length = fc__view_length(piece, *row);
        if (length > FC__INLINE_VIEW)
            break;
        memcpy(at, views + *row * 16 + 4, FC__INLINE_VIEW);
        at += length;
    }
    fc__pen_advance(pen, (size_t)(at - out));
    return 0;
}

static int write_views(const fc__node *node, fc__pen *pen) {
    int code = 0;

    for (size_t i = 0; i < node->piece_count; i++) {
        const fc__piece *piece = &node->pieces[i];
        const uint8_t *validity = fc__piece_validity(piece);
        for (int64_t row = 0; !code && row < piece->rows; row++) {
            code = write_short_views(piece, validity, &row, pen);
            if (code || row == piece->rows || !is_there(piece, validity, row))
                continue;
            fc_bytes value = fc__piece_bytes(node->field->given, piece, row);
            code = fc__pen_put(pen, value.data, value.size);
        }
    }
    return code;
}

/* ---- Missing values ---- */

/* Rows [from, to) of the node into `out`, which is zero. */
static int64_t mark(const fc__node *node, uint8_t *out, int64_t from, int64_t to) {
    int64_t row = 0, met = 0;

    for (size_t i = 0; i < node->piece_count && row < to; i++) {
        const fc__piece *piece = &node->pieces[i];
        int64_t end = row + piece->rows;
        int64_t low = from > row ? from : row, high = to < end ? to : end;
        const char *values = fc__piece_buffer(piece, 1);
        if (low < high)
            met += node->missing->mark(
                out, low - from, values + (piece->first + low - row) * node->width,
                high - low);
        row = end;
    }
    return met;
}

static int write_missing(fc__node *node, uint64_t from, uint64_t to, fc__pen *pen) {
    int code = 0;

    while (!code && from < to) {
        size_t bytes = to - from;
        int64_t end;
        uint8_t *out = bits_room(node, from, &bytes, &end, pen, &code);
        if (!out)
            break;
        atomic_fetch_add(&node->met, mark(node, out, (int64_t)from * 8, end));
        fc__pen_advance(pen, bytes);
        from += bytes;
    }
    return code;
}

static int write_values(const fc__plan *plan, const fc__feed *feed, uint64_t from,
                        uint64_t to, fc__pen *pen) {
    fc__node *node = &plan->nodes[feed->node];

    pen->look = fc__feed_looks(plan, feed) ? node : NULL;
    int code = write_spans(node, feed->how, from, to, pen);
    pen->look = NULL;
    return code;
}

/* ---- Any buffer ---- */

bool fc__feed_is_copy(const fc__plan *plan, const fc__feed *feed) {
    const fc__node *node = &plan->nodes[feed->node];

    switch (feed->how) {
    case FC__HOW_RAW:
    case FC__HOW_VALUES:
    case FC__HOW_TYPE_IDS:
    case FC__HOW_BYTES:
        return true;
    case FC__HOW_CODES:
        return keeps_codes(node);
    case FC__HOW_VALIDITY:
    case FC__HOW_BITS:
        return node->piece_count == 1 && node->pieces->first % 8 == 0;
    default:
        return false;
    }
}

bool fc__feed_looks(const fc__plan *plan, const fc__feed *feed) {
    const fc__node *node = &plan->nodes[feed->node];

    return feed->how == FC__HOW_VALUES && node->missing &&
           plan->feeds[node->first_buffer].how != FC__HOW_MISSING;
}

bool fc__feed_is_divisible(const fc__feed *feed) {
    return feed->how != FC__HOW_VIEW_BYTES && feed->how != FC__HOW_VIEW_OFFSETS &&
           feed->how != FC__HOW_LIST_VIEW_OFFSETS;
}

int fc__feed_write(const fc__plan *plan, uint32_t buffer, uint64_t from, uint64_t to,
                   fc__pen *pen) {
    const fc__feed *feed = &plan->feeds[buffer];
    const fc__node *node = &plan->nodes[feed->node];

    switch (feed->how) {
    case FC__HOW_RAW:
        return fc__pen_put(pen, (const char *)feed->data + from, to - from);
    case FC__HOW_VALIDITY:
    case FC__HOW_BITS:
        return write_bits(node, feed->how, from, to, pen);
    case FC__HOW_MISSING:
        return write_missing(&plan->nodes[feed->node], from, to, pen);
    case FC__HOW_VALUES:
        return write_values(plan, feed, from, to, pen);
    case FC__HOW_TYPE_IDS:
    case FC__HOW_BYTES:
        return write_spans(node, feed->how, from, to, pen);
    case FC__HOW_VIEW_BYTES:
        return write_views(node, pen);
    case FC__HOW_CODES:
        if (keeps_codes(node))
            return write_spans(node, FC__HOW_VALUES, from, to, pen);
        /* fall through */
    default:
        return write_numbers(node, feed->how, from, to, pen);
    }
}
