/* Building in place: targets, and the room they write to. */
#include "build.h"

#define FIRST_APPEND_BYTES 4096u
#define FIRST_APPEND_ROWS  64

/* ---- Room ---- */

static int grow_memory(fc__span *span, uint64_t bytes, fc_error *error) {
    char *start = fc__realloc(span->start, bytes + FC__ALIGN);

    if (!start)
        return fc__fail(error, FC_E_NOMEM, "out of memory for a buffer of %llu bytes",
                        (unsigned long long)bytes);
    memset(start + span->bytes, 0, bytes - span->bytes);
    span->start = start;
    span->bytes = bytes;
    return FC_OK;
}

/* Maps more of the span's segment; one that was in memory moves to a new segment. */
static int grow_segment(fc_build *build, fc__span *span, uint64_t bytes,
                        fc_error *error) {
    uint32_t segment = span->segment ? span->segment : build->segments + 1;
    void *start = NULL;

    int status = build->ground.map(build->ground.context, segment, bytes + FC__ALIGN,
                                   &start, error);
    if (status)
        return status;
    if (!span->segment) {
        if (span->start)
            memcpy(start, span->start, span->bytes);
        fc__free(span->start);
        build->segments = segment;
    }
    span->segment = segment;
    span->start = start;
    span->bytes = bytes;
    return FC_OK;
}

static int grow(fc_build *build, fc__span *span, uint64_t bytes, fc_error *error) {
    if (span->start && bytes <= span->bytes)
        return FC_OK;
    if (bytes > INT64_MAX / 2)
        return fc__fail(error, FC_E_INVALID, "a buffer of %llu bytes is not possible",
                        (unsigned long long)bytes);
    bytes = fc__round_up(bytes ? bytes : 1, FC__ALIGN);
    return span->segment || bytes >= FC__OWN_BYTES
               ? grow_segment(build, span, bytes, error)
               : grow_memory(span, bytes, error);
}

static uint64_t half_more(uint64_t need, uint64_t have) {
    uint64_t more = have + have / 2;
    return need > more ? need : more;
}

/* ---- Targets ---- */

/* Where the spans are now. */
static void show_spans(fc__target *target) {
    fc_target *view = &target->view;

    for (int i = 0; i < target->shape->buffers; i++) {
        void *start = target->spans[i].start;
        switch (target->shape->kinds[i]) {
        case FC__BUFFER_VALIDITY:
            view->validity = start;
            break;
        case FC__BUFFER_OFFSETS64:
            view->offsets = start;
            break;
        case FC__BUFFER_OFFSETS32:
        case FC__BUFFER_PLACES32:
            view->offsets32 = start;
            break;
        case FC__BUFFER_TYPE_IDS:
            view->type_ids = start;
            break;
        default:
            view->values = start;
            view->values_bytes = target->spans[i].bytes;
        }
    }
}

static int grow_validity(fc_build *build, fc__target *target, int64_t rows,
                         fc_error *error) {
    fc__span *span = &target->spans[0];
    uint64_t before = span->bytes, need;

    if (!fc__buffer_need(FC__BUFFER_VALIDITY, 0, rows, &need))
        return fc__field_fail(target->field, error, FC_E_INVALID, "too many rows");
    int status = grow(build, span, need, error);
    if (!status && span->bytes > before)
        memset(span->start + before, 0xff, span->bytes - before);
    return status;
}

static int grow_buffer(fc_build *build, fc__target *target, int index, int64_t rows,
                       fc_error *error) {
    fc__buffer_kind kind = target->shape->kinds[index];
    fc__span *span = &target->spans[index];
    bool fresh = !span->start;
    uint64_t need;

    if (kind == FC__BUFFER_VALIDITY)
        return span->start ? grow_validity(build, target, rows, error) : FC_OK;
    if (kind == FC__BUFFER_BYTES)
        return FC_OK; /* fc_build_reserve() and _append() know how many */
    if (!fc__buffer_need(kind, target->view.width, rows, &need))
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "%lld rows of it are not possible", (long long)rows);
    int status = grow(build, span, need, error);
    if (!status && fresh &&
        (kind == FC__BUFFER_OFFSETS64 || kind == FC__BUFFER_OFFSETS32))
        memset(span->start, 0, sizeof(int64_t)); /* the first offset */
    return status;
}

static int set_rows(fc_build *build, fc__target *target, int64_t rows, fc_error *error);

/* Children whose rows follow from those of their parent. */
static int set_child_rows(fc_build *build, fc__target *target, int64_t rows,
                          fc_error *error) {
    int64_t child_rows = rows;

    if (target->field->stored == FC__SHAPE_FIXED_LIST &&
        __builtin_mul_overflow(rows, (int64_t)target->view.width, &child_rows))
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "%lld lists of %d are not possible", (long long)rows,
                              target->view.width);
    for (int64_t i = 0; i < target->view.child_count; i++) {
        fc__target *child = fc__target_child(target, i);
        int status = child->loose ? FC_OK : set_rows(build, child, child_rows, error);
        if (status)
            return status;
    }
    return FC_OK;
}

/* Room for `rows` rows; never less than there was. */
static int set_rows(fc_build *build, fc__target *target, int64_t rows, fc_error *error) {
    if (rows < target->view.rows)
        return FC_OK;
    for (int i = 0; i < target->shape->buffers; i++) {
        int status = grow_buffer(build, target, i, rows, error);
        if (status) {
            show_spans(target); /* those before it may have moved */
            return status;
        }
    }
    show_spans(target);
    int status = set_child_rows(build, target, rows, error);
    if (!status)
        target->view.rows = rows;
    return status;
}

static bool has_loose_children(fc__shape shape) {
    return shape == FC__SHAPE_LIST64 || shape == FC__SHAPE_LIST32 ||
           shape == FC__SHAPE_DENSE || shape == FC__SHAPE_RUN_END;
}

static fc__target *new_target(fc__arena *arena, const fc__field *field, bool loose) {
    fc__target *target = fc__arena_take(arena, 1, sizeof *target);
    fc_target **links = fc__arena_take(arena, field->child_count, sizeof *links);

    if (!target || !links)
        return NULL;
    target->field = field;
    target->shape = fc__shape_of(field->stored);
    target->loose = loose;
    target->view.type = field->type;
    target->view.width = field->width;
    target->view.children = links;
    target->view.child_count = field->child_count;
    for (uint32_t i = 0; i < field->child_count; i++) {
        fc__target *child =
            new_target(arena, &field->children[i], has_loose_children(field->stored));
        if (!child)
            return NULL;
        links[i] = &child->view;
    }
    if (field->dictionary) {
        fc__target *values = new_target(arena, field->dictionary, true);
        if (!values)
            return NULL;
        target->view.dictionary = &values->view;
    }
    return target;
}

/* First room for a target: `rows` rows, and none yet for what is loose below it. */
static int open_target(fc_build *build, fc__target *target, int64_t rows,
                       fc_error *error) {
    int status = set_rows(build, target, target->loose ? 0 : rows, error);

    for (int64_t i = 0; !status && i < target->view.child_count; i++)
        status = open_target(build, fc__target_child(target, i), 0, error);
    if (!status && target->view.dictionary)
        status = open_target(build, fc__target_dictionary(target), 0, error);
    return status;
}

static void free_target(fc__target *target) {
    for (int i = 0; i < FC__MAX_BUFFERS; i++)
        if (!target->spans[i].segment)
            fc__free(target->spans[i].start);
    for (int64_t i = 0; i < target->view.child_count; i++)
        if (target->view.children[i])
            free_target(fc__target_child(target, i));
    if (target->view.dictionary)
        free_target(fc__target_dictionary(target));
}

/* ---- Begin and end ---- */

static int open_columns(fc_build *build, int64_t rows, fc_error *error) {
    uint32_t count = build->root->child_count;

    build->columns = fc__arena_take(&build->arena, count, sizeof *build->columns);
    for (uint32_t i = 0; build->columns && i < count; i++) {
        fc__target *column = new_target(&build->arena, &build->root->children[i], false);
        build->columns[i] = column;
        if (!column)
            break;
        int status = open_target(build, column, rows, error);
        if (status)
            return status;
    }
    if (!build->columns || (count && !build->columns[count - 1]))
        return fc__fail(error, FC_E_NOMEM, "out of memory for a build");
    return FC_OK;
}

int fc__build_new(fc_build **out, const struct ArrowSchema *schema, int64_t rows,
                  const fc__ground *ground, void *owner, fc_error *error) {
    *out = NULL;
    if (rows < 0)
        return fc__fail(error, FC_E_INVALID,
                        "a build of %lld rows; 0 or more are possible", (long long)rows);
    fc_build *build = fc__calloc(1, sizeof *build);
    if (!build)
        return fc__fail(error, FC_E_NOMEM, "out of memory for a build");
    build->rows = rows;
    build->ground = *ground;
    build->owner = owner;
    int status = fc__schema_read(&build->root, NULL, schema, &build->arena, error);
    if (!status)
        status = open_columns(build, rows, error);
    if (status)
        fc__build_free(build);
    else
        *out = build;
    return status;
}

void *fc__build_owner(const fc_build *build) {
    return build->owner;
}

void fc__build_free(fc_build *build) {
    if (!build)
        return;
    for (uint32_t i = 0; build->columns && i < build->root->child_count; i++)
        if (build->columns[i])
            free_target(build->columns[i]);
    fc__arena_free(&build->arena);
    fc__free(build);
}

/* ---- Public ---- */

fc_target *fc_build_column(fc_build *build, int64_t index) {
    if (index < 0 || index >= (int64_t)build->root->child_count)
        return NULL;
    return &build->columns[index]->view;
}

int fc_build_nulls(fc_build *build, fc_target *target, fc_error *error) {
    fc__target *inner = (fc__target *)target;

    if (!inner->shape->has_validity)
        return fc__field_fail(inner->field, error, FC_E_INVALID,
                              "its type (format '%.40s') has no bitmap of its own: mark "
                              "nulls in its children",
                              inner->field->stored_format);
    if (inner->spans[0].start)
        return FC_OK;
    int status = grow_validity(build, inner, target->rows, error);
    show_spans(inner);
    return status;
}

static fc__span *bytes_span(fc__target *target) {
    return target->field->stored == FC__SHAPE_BYTES64 ? &target->spans[2] : NULL;
}

int fc_build_reserve(fc_build *build, fc_target *target, uint64_t count,
                     fc_error *error) {
    fc__target *inner = (fc__target *)target;
    fc__span *bytes = bytes_span(inner);

    if (bytes) {
        int status = grow(build, bytes, count, error);
        show_spans(inner);
        return status;
    }
    if (!inner->loose)
        return fc__field_fail(
            inner->field, error, FC_E_INVALID,
            "its rows are the frame's or its parent's; room is reserved "
            "for strings, for children of lists and for dictionaries");
    if (count > INT64_MAX)
        return fc__field_fail(inner->field, error, FC_E_INVALID, "too many rows");
    return set_rows(build, inner, (int64_t)count, error);
}

/* Room for one more row; only loose targets may have more than was said at the start. */
static int append_row(fc_build *build, fc__target *target, fc_error *error) {
    int64_t row = target->appended;

    if (row < target->view.rows)
        return FC_OK;
    if (!target->loose)
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "it has room for %lld rows, and all are taken",
                              (long long)target->view.rows);
    return set_rows(build, target,
                    row < FIRST_APPEND_ROWS ? FIRST_APPEND_ROWS : row + row / 2, error);
}

static int append_bytes(fc_build *build, fc__target *target, fc_bytes value,
                        fc_error *error) {
    fc__span *span = bytes_span(target);
    uint64_t from = (uint64_t)target->view.offsets[target->appended], end;

    if (!fc__add(from, value.size, &end) || end > INT64_MAX / 4)
        return fc__field_fail(target->field, error, FC_E_INVALID,
                              "a value of %zu bytes is not possible", value.size);
    if (end > span->bytes || !span->start) {
        uint64_t more = half_more(end, span->bytes);
        int status = grow(build, span,
                          more < FIRST_APPEND_BYTES ? FIRST_APPEND_BYTES : more, error);
        show_spans(target);
        if (status)
            return status;
    }
    if (value.size)
        memcpy(span->start + from, value.data, value.size);
    target->view.offsets[target->appended + 1] = (int64_t)end;
    return FC_OK;
}

int fc_build_append(fc_build *build, fc_target *target, fc_bytes value, fc_error *error) {
    fc__target *inner = (fc__target *)target;
    bool null = !value.data;
    int status;

    if (!bytes_span(inner))
        return fc__field_fail(inner->field, error, FC_E_INVALID,
                              "only strings and binaries are appended to; its format is "
                              "'%.40s'",
                              inner->field->stored_format);
    if (null)
        value.size = 0;
    if (!inner->appending)
        target->offsets[0] = 0;
    if ((status = append_row(build, inner, error)) ||
        (null && (status = fc_build_nulls(build, target, error))) ||
        (status = append_bytes(build, inner, value, error)))
        return status;
    if (null)
        target->validity[inner->appended >> 3] &=
            (uint8_t) ~(1u << (inner->appended & 7));
    inner->appending = true;
    inner->appended++;
    return FC_OK;
}
