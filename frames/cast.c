/* Casts on the way out. A cast column begins at a multiple of 64 rows at or before what
 * was asked for, so that bitmaps are shared and not shifted. Offsets of the body are
 * compared with their neighbours as they are read. */
#include "cast.h"

#include "bounds.h"

#include <stdio.h>

#define MAX_VIEW_INLINE 12

typedef struct caster {
    fc__arena *arena;
    fc_error *error;
    const fc__column *path[FC__MAX_DEPTH + 2]; /* from the column downwards */
    int depth;
} caster;

/* Rows of a column: `rows` from `first` on, a multiple of 64. The first `lead` of them
 * are there for the bitmaps only; what is made for them is empty. */
typedef struct range {
    int64_t first, lead, rows;
} range;

static int cast_range(caster *c, const fc__column *in, const fc__field *wanted, range r,
                      const fc__column **out);

/* ---- Failing ---- */

static int fail(caster *c, int code, const char *what) {
    char path[200] = "";
    size_t used = 0;

    for (int i = 0; i < c->depth && used < sizeof path - 1; i++) {
        int bytes = snprintf(path + used, sizeof path - used, "%s%.80s", i ? "." : "",
                             c->path[i]->view.name);
        used += bytes > 0 ? (size_t)bytes : 0;
    }
    return fc__fail(c->error, code, "column '%s': %s", path, what);
}

static int no_memory(caster *c) {
    return fail(c, FC_E_NOMEM, "out of memory for a cast");
}

static int backward(caster *c) {
    return fail(c, FC_E_CORRUPT, "its offsets do not hold: the frame is damaged");
}

static int too_long(caster *c, const fc__column *in, const fc__field *wanted) {
    char what[200];

    snprintf(
        what, sizeof what,
        "stored as '%s' with more than 2147483647 bytes or rows, which '%.40s' cannot "
        "count: ask for '%s', or for fewer rows",
        in->view.format, wanted->format, in->view.format);
    return fail(c, FC_E_TYPE, what);
}

static int no_cast(caster *c, const fc__column *in, const fc__field *wanted) {
    char what[320];

    snprintf(
        what, sizeof what,
        "stored as '%.80s', asked for as '%.80s'; there are casts from U to u and vu, "
        "from Z to z and vz, from +L to +l, +vl and +vL, and of decimals to more bits only",
        in->view.format, wanted->format);
    return fail(c, FC_E_TYPE, what);
}

/* ---- What can be done ---- */

static bool same_shape(const fc__column *in, const fc__field *wanted) {
    return !strcmp(in->view.format, wanted->format) &&
           (int64_t)wanted->child_count == in->view.child_count &&
           !wanted->dictionary == !in->view.dictionary;
}

static bool same(const fc__column *in, const fc__field *wanted) {
    if (!same_shape(in, wanted))
        return false;
    for (int64_t i = 0; i < in->view.child_count; i++)
        if (!same(fc__child(in, i), &wanted->children[i]))
            return false;
    return !in->view.dictionary || same(fc__dictionary(in), wanted->dictionary);
}

/* The same decimals in more bits: "d:9,2,32" as "d:9,2". */
static bool widens_decimal(const fc__column *in, const fc__field *wanted) {
    int precision, scale, wanted_precision, wanted_scale;

    return in->view.type == FC_TYPE_DECIMAL && wanted->type == FC_TYPE_DECIMAL &&
           wanted->width > in->view.width &&
           sscanf(in->view.format, "d:%d,%d", &precision, &scale) == 2 &&
           sscanf(wanted->format, "d:%d,%d", &wanted_precision, &wanted_scale) == 2 &&
           precision == wanted_precision && scale == wanted_scale;
}

static bool castable(const fc__column *in, const fc__field *wanted) {
    if (in->view.type == FC_TYPE_STRING || in->view.type == FC_TYPE_BINARY ||
        in->view.type == FC_TYPE_LIST)
        return wanted->type == in->view.type;
    return same_shape(in, wanted) || widens_decimal(in, wanted);
}

/* Fields are matched by position; their names must not say that another was meant. */
static int check_name(caster *c, const fc__column *in, const fc__field *wanted) {
    char what[300];

    if (!strcmp(in->view.name, wanted->name))
        return FC_OK;
    snprintf(what, sizeof what,
             "the requested schema calls it '%.80s'; fields are matched by position",
             wanted->name);
    return fail(c, FC_E_TYPE, what);
}

/* ---- Pieces ---- */

static int64_t part_nulls(const fc__column *in, int64_t rows) {
    if (in->view.type == FC_TYPE_NA)
        return rows;
    return rows == in->view.rows || !in->view.nulls ? in->view.nulls : -1;
}

/* A copy of `in` that shows the range, with buffers of its own: `count` of them, the
 * first the validity. */
static fc__column *new_column(caster *c, const fc__column *in, range r, int32_t count,
                              const void ***buffers) {
    fc__column *out = fc__arena_take(c->arena, 1, sizeof *out);

    *buffers = fc__arena_take(c->arena, (size_t)count, sizeof **buffers);
    if (!out || !*buffers)
        return NULL;
    *out = *in;
    out->offset = 0;
    out->view.rows = r.rows;
    out->view.nulls = part_nulls(in, r.rows);
    out->buffers = *buffers;
    out->buffer_count = count;
    if (count && in->view.validity)
        (*buffers)[0] = in->view.validity + r.first / 8;
    return out;
}

/* The same buffers, from the range on: what the array's offset is for. */
static int pass(caster *c, const fc__column *in, range r, fc__column **out) {
    *out = fc__arena_take(c->arena, 1, sizeof **out);
    if (!*out)
        return no_memory(c);
    **out = *in;
    (*out)->offset = in->offset + r.first;
    (*out)->view.rows = r.rows;
    (*out)->view.nulls = part_nulls(in, r.rows);
    return fc__check_each(in, r.first, r.rows, c->error);
}

static int cast_child(caster *c, const fc__column *child, const fc__field *wanted,
                      range r, const fc_column **out) {
    const fc__column *column;

    int status = cast_range(c, child, wanted, r, &column);
    if (!status)
        *out = &column->view;
    return status;
}

/* ---- Strings and binaries ---- */

/* The offsets of the range less `base`, of 32 or 64 bits; none may pass `limit`. */
static int copy_offsets(caster *c, const int64_t *offsets, range r, int64_t base,
                        int64_t limit, bool narrow, const void **out) {
    size_t each = narrow ? sizeof(int32_t) : sizeof(int64_t);
    void *copy = fc__arena_take(c->arena, (size_t)r.rows + 1, each);
    int64_t before = base;

    if (!copy)
        return no_memory(c);
    for (int64_t i = 0; i <= r.rows; i++) {
        int64_t offset = offsets[i < r.lead ? r.lead : i];
        if (offset < before || offset > limit)
            return backward(c);
        before = offset;
        if (narrow)
            ((int32_t *)copy)[i] = (int32_t)(offset - base);
        else
            ((int64_t *)copy)[i] = offset - base;
    }
    *out = copy;
    return FC_OK;
}

static int cast_bytes32(caster *c, const fc__column *in, const fc__field *wanted, range r,
                        fc__column **out) {
    const int64_t *offsets = in->view.offsets + r.first;
    int64_t base = offsets[r.lead], end = offsets[r.rows];
    int64_t limit = in->view.offsets[in->view.rows];
    const void **buffers;

    if (base < 0 || end < base || end > limit)
        return backward(c);
    if (end - base > INT32_MAX)
        return too_long(c, in, wanted);
    *out = new_column(c, in, r, 3, &buffers);
    if (!*out)
        return no_memory(c);
    buffers[2] = (const char *)in->view.values + base;
    return copy_offsets(c, offsets, r, base, limit, true, &buffers[1]);
}

typedef struct view { /* Arrow's: inlined up to 12 bytes, else a prefix and a place */
    int32_t bytes;
    union {
        char inlined[MAX_VIEW_INLINE];
        struct {
            char prefix[4];
            int32_t buffer, offset;
        } far;
    };
} view;
_Static_assert(sizeof(view) == 16, "view");

typedef struct view_buffers { /* stretches of the stored bytes, below 2 GiB each */
    const char *values;
    const void **data;
    int64_t *sizes;
    int64_t base;
    int32_t count;
} view_buffers;

static void set_view(view *out, view_buffers *b, int64_t from, int64_t to) {
    *out = (view){.bytes = (int32_t)(to - from)};
    if (to - from <= MAX_VIEW_INLINE) {
        memcpy(out->inlined, b->values + from, (size_t)(to - from));
        return;
    }
    if (!b->count || to - b->base > INT32_MAX) {
        b->base = from;
        b->data[b->count++] = b->values + from;
    }
    b->sizes[b->count - 1] = to - b->base;
    memcpy(out->far.prefix, b->values + from, sizeof out->far.prefix);
    out->far.buffer = b->count - 1;
    out->far.offset = (int32_t)(from - b->base);
}

static int fill_views(caster *c, const fc__column *in, const fc__field *wanted, range r,
                      view *views, view_buffers *b) {
    const int64_t *offsets = in->view.offsets + r.first;
    int64_t limit = in->view.offsets[in->view.rows];

    for (int64_t i = r.lead; i < r.rows; i++) {
        if (offsets[i] < 0 || offsets[i + 1] < offsets[i] || offsets[i + 1] > limit)
            return backward(c);
        if (offsets[i + 1] - offsets[i] > INT32_MAX)
            return too_long(c, in, wanted);
        set_view(&views[i], b, offsets[i], offsets[i + 1]);
    }
    return FC_OK;
}

/* Any two neighbouring stretches hold more than 2^31 bytes together. */
static int64_t most_stretches(const fc__column *in) {
    return in->view.offsets[in->view.rows] / (INT32_MAX / 2) + 2;
}

static int cast_view(caster *c, const fc__column *in, const fc__field *wanted, range r,
                     fc__column **out) {
    int64_t most = most_stretches(in);
    const void **buffers;
    view_buffers b = {.values = in->view.values};

    *out = new_column(c, in, r, (int32_t)(most + 3), &buffers);
    view *views = fc__arena_take(c->arena, (size_t)r.rows, sizeof *views);
    b.sizes = fc__arena_take(c->arena, (size_t)most, sizeof *b.sizes);
    if (!*out || !views || !b.sizes)
        return no_memory(c);
    b.data = buffers + 2;
    int status = fill_views(c, in, wanted, r, views, &b);
    buffers[1] = views;
    buffers[2 + b.count] = b.sizes;
    (*out)->buffer_count = 3 + b.count;
    return status;
}

/* ---- Decimals ---- */

static int cast_decimal(caster *c, const fc__column *in, const fc__field *wanted, range r,
                        fc__column **out) {
    size_t from = (size_t)in->view.width, to = (size_t)wanted->width;
    const char *values = (const char *)in->view.values + r.first * (int64_t)from;
    char *wide = fc__arena_take(c->arena, (size_t)r.rows, to);
    const void **buffers;

    *out = new_column(c, in, r, 2, &buffers);
    if (!*out || !wide)
        return no_memory(c);
    for (int64_t i = r.lead; i < r.rows; i++) { /* little-endian: the sign is behind */
        const char *value = values + i * (int64_t)from;
        char *at = wide + i * (int64_t)to;
        memcpy(at, value, from);
        memset(at + from, value[from - 1] < 0 ? 0xff : 0, to - from);
    }
    buffers[1] = wide;
    return FC_OK;
}

/* ---- Lists ---- */

/* Sizes beside the offsets, which list views have. */
static int make_sizes(caster *c, const int64_t *offsets, range r, bool narrow,
                      const void **out) {
    size_t each = narrow ? sizeof(int32_t) : sizeof(int64_t);
    void *sizes = fc__arena_take(c->arena, (size_t)r.rows, each);

    if (!sizes)
        return no_memory(c);
    for (int64_t i = r.lead; i < r.rows; i++) {
        if (narrow)
            ((int32_t *)sizes)[i] = (int32_t)(offsets[i + 1] - offsets[i]);
        else
            ((int64_t *)sizes)[i] = offsets[i + 1] - offsets[i];
    }
    *out = sizes;
    return FC_OK;
}

static range aligned(int64_t first, int64_t end) {
    int64_t from = first & ~(int64_t)63;
    return (range){from, first - from, end - from};
}

static bool is_narrow(fc__shape shape) {
    return shape == FC__SHAPE_LIST32 || shape == FC__SHAPE_LIST_VIEW32;
}

static bool has_sizes(fc__shape shape) {
    return shape == FC__SHAPE_LIST_VIEW32 || shape == FC__SHAPE_LIST_VIEW64;
}

static int cast_list(caster *c, const fc__column *in, const fc__field *wanted, range r,
                     fc__column **out) {
    const int64_t *offsets = in->view.offsets + r.first;
    const fc__column *child = fc__child(in, 0);
    bool narrow = is_narrow(wanted->given), sizes = has_sizes(wanted->given);
    const fc_column **links = fc__arena_take(c->arena, 1, sizeof *links);
    int64_t first = offsets[r.lead], end = offsets[r.rows];
    range items = aligned(first, end);
    const void **buffers;

    if (first < 0 || end < first || end > child->view.rows)
        return backward(c);
    if (narrow && items.rows > INT32_MAX)
        return too_long(c, in, wanted);
    *out = new_column(c, in, r, sizes ? 3 : 2, &buffers);
    if (!*out || !links)
        return no_memory(c);
    int status = copy_offsets(c, offsets, r, items.first, end, narrow, &buffers[1]);
    if (!status && sizes)
        status = make_sizes(c, offsets, r, narrow, &buffers[2]);
    if (!status)
        status = cast_child(c, child, wanted->children, items, links);
    (*out)->view.children = links;
    return status;
}

/* ---- Types whose format stays while one below it changes ---- */

/* Whether the children's rows move with their parent's, so that its own buffers must be
 * moved and its array's offset be 0. */
static bool moves_children(fc__shape shape) {
    return shape == FC__SHAPE_STRUCT || shape == FC__SHAPE_SPARSE ||
           shape == FC__SHAPE_FIXED_LIST;
}

static range child_range(const fc__column *in, int64_t index, range r) {
    int64_t each = in->shape == FC__SHAPE_FIXED_LIST ? in->view.width : 1;

    if (!moves_children(
            in->shape)) /* offsets or run ends that count in the whole child */
        return (range){0, 0, in->view.children[index]->rows};
    return (range){r.first * each, r.lead * each, r.rows * each};
}

static int cast_children(caster *c, const fc__column *in, const fc__field *wanted,
                         range r, fc__column *out) {
    size_t count = (size_t)in->view.child_count;
    const fc_column **links = fc__arena_take(c->arena, count, sizeof *links);

    if (!links)
        return no_memory(c);
    out->view.children = links;
    for (int64_t i = 0; i < in->view.child_count; i++) {
        int status = cast_child(c, fc__child(in, i), &wanted->children[i],
                                child_range(in, i, r), &links[i]);
        if (status)
            return status;
    }
    return FC_OK;
}

static int move_buffers(caster *c, const fc__column *in, range r, fc__column **out) {
    const void **buffers;

    *out = new_column(c, in, r, in->buffer_count, &buffers);
    if (!*out)
        return no_memory(c);
    if (in->shape == FC__SHAPE_SPARSE)
        buffers[0] = in->view.type_ids + r.first;
    return FC_OK;
}

static int cast_below(caster *c, const fc__column *in, const fc__field *wanted, range r,
                      fc__column **out) {
    const fc__column *values = fc__dictionary(in);

    int status =
        moves_children(in->shape) ? move_buffers(c, in, r, out) : pass(c, in, r, out);
    if (status || (status = cast_children(c, in, wanted, r, *out)) || !values)
        return status;
    return cast_child(c, values, wanted->dictionary, (range){0, 0, values->view.rows},
                      &(*out)->view.dictionary);
}

/* ---- The tree ---- */

static int cast_shape(caster *c, const fc__column *in, const fc__field *wanted, range r,
                      fc__column **out) {
    if (widens_decimal(in, wanted))
        return cast_decimal(c, in, wanted, r, out);
    switch (wanted->given) {
    case FC__SHAPE_BYTES32:
        return cast_bytes32(c, in, wanted, r, out);
    case FC__SHAPE_BYTE_VIEW:
        return cast_view(c, in, wanted, r, out);
    case FC__SHAPE_LIST64:
    case FC__SHAPE_LIST_VIEW32:
    case FC__SHAPE_LIST_VIEW64:
        return cast_list(c, in, wanted, r, out);
    case FC__SHAPE_LIST32:
        if (in->view.type == FC_TYPE_LIST)
            return cast_list(c, in, wanted, r, out);
        return cast_below(c, in, wanted, r, out); /* a map */
    default:
        return cast_below(c, in, wanted, r, out);
    }
}

static int cast_range(caster *c, const fc__column *in, const fc__field *wanted, range r,
                      const fc__column **out) {
    fc__column *made = NULL;
    int status = FC_OK;

    c->path[c->depth++] = in;
    if (same(in, wanted))
        status = pass(c, in, r, &made);
    else if (!castable(in, wanted))
        status = no_cast(c, in, wanted);
    else
        status = cast_shape(c, in, wanted, r, &made);
    *out = made;
    c->depth -= !status; /* on failure the path has been told already */
    return status;
}

/* The names of the fields of structs; those of lists, maps and the like are no names. */
static int check_names(caster *c, const fc__column *in, const fc__field *wanted,
                       bool named) {
    int status = FC_OK;

    c->path[c->depth++] = in;
    if (named)
        status = check_name(c, in, wanted);
    named = in->shape == FC__SHAPE_STRUCT;
    if (named && c->depth > 1 && c->path[c->depth - 2]->view.type == FC_TYPE_MAP)
        named = false;
    for (int64_t i = 0; !status && i < in->view.child_count && i < wanted->child_count;
         i++)
        status = check_names(c, fc__child(in, i), &wanted->children[i], named);
    c->depth -= !status;
    return status;
}

int fc__cast(const fc__column **out, int64_t *start, const fc__column *column,
             const fc__field *wanted, int64_t first, int64_t rows, fc__arena *arena,
             fc_error *error) {
    caster c = {.arena = arena, .error = error};
    range r = aligned(first, first + rows);

    *out = NULL;
    *start = 0;
    int status = check_names(&c, column, wanted, true);
    if (status)
        return status;
    if (same(column, wanted)) {
        *out = column;
        *start = first;
        return FC_OK;
    }
    *start = r.lead;
    return cast_range(&c, column, wanted, r, out);
}
