#include "support_frame.h"

#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* No cmocka here, since the fuzz targets use this too. */
#define CHECK(condition)                                                                 \
    ((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

_Atomic long memory_alive;

/* ---- Source ---- */

memory_frame *memory_new(void) {
    memory_frame *memory = calloc(1, sizeof *memory);

    CHECK(memory);
    memory->references = 1;
    memory_alive++;
    return memory;
}

void memory_release(memory_frame *memory) {
    if (!memory || --memory->references)
        return;
    fc__frame_free(memory->frame);
    for (uint32_t i = 0; i < MEMORY_SEGMENTS; i++)
        free(memory->segments[i]);
    free(memory->body);
    free(memory);
    memory_alive--;
}

static const void *source_segment(void *context, uint32_t index, uint64_t *bytes,
                                  fc_error *error) {
    memory_frame *memory = context;

    memory->mapped++;
    *bytes = memory->segment_bytes[index];
    if (!memory->segments[index])
        fc__fail_prefix(error, FC_E_CORRUPT, "segment %u is not there", index);
    return memory->segments[index];
}

static void source_retain(void *context) {
    ((memory_frame *)context)->references++;
}

static void source_release(void *context) {
    memory_release(context);
}

static void *copy_of(const void *data, uint64_t bytes) {
    void *copy = NULL;

    CHECK(!posix_memalign(&copy, 64, bytes ? bytes : 1));
    memcpy(copy, data, bytes);
    return copy;
}

static int source_open_private(void *context, void **out, fc_error *error) {
    memory_frame *from = context, *memory = memory_new();

    (void)error;
    memory->segment_count = from->segment_count;
    for (uint32_t i = 0; i < from->segment_count; i++) {
        memory->segment_bytes[i] = from->segment_bytes[i];
        if (from->segments[i])
            memory->segments[i] = copy_of(from->segments[i], from->segment_bytes[i]);
    }
    *out = memory;
    return 0;
}

static const fc__source source = {source_segment, source_retain, source_release,
                                  source_open_private, NULL};

int memory_open(memory_frame *memory, fc_error *error) {
    fc__frame_setup setup = {.source = &source,
                             .context = memory,
                             .body = memory->body,
                             .body_bytes = memory->body_bytes,
                             .segment_count = memory->segment_count,
                             .segment_bytes = memory->segment_bytes,
                             .verify = memory->verify};
    return fc__frame_open(&memory->frame, &setup, error);
}

/* ---- Ground ---- */

/* Moves each time, so that a pointer kept over a call is found. */
static int ground_map(void *context, uint32_t index, uint64_t bytes, void **out,
                      fc_error *error) {
    memory_frame *memory = context;
    void *moved = NULL;

    CHECK(index && index < MEMORY_SEGMENTS);
    if (memory->ground_limit && bytes > memory->ground_limit)
        return fc__fail_prefix(error, FC_E_NOSPACE, "the ground is full");
    uint64_t before = memory->segment_bytes[index];
    CHECK(!posix_memalign(&moved, 64, bytes > before ? bytes : before));
    memset(moved, 0xa5, bytes > before ? bytes : before);
    if (before)
        memcpy(moved, memory->segments[index], before);
    free(memory->segments[index]);
    memory->segments[index] = *out = moved;
    memory->segment_bytes[index] = bytes > before ? bytes : before;
    return 0;
}

fc__ground memory_ground(memory_frame *memory) {
    return (fc__ground){memory, ground_map};
}

/* ---- Writing ---- */

typedef struct written {
    uint32_t count;
    char *segments[MEMORY_SEGMENTS];
    uint64_t bytes[MEMORY_SEGMENTS];
    char *marks[MEMORY_SEGMENTS]; /* how often each byte was written */
} written;

static int sink_write(void *context, uint32_t segment, uint64_t offset, const void *data,
                      size_t bytes, fc_error *error) {
    written *w = context;

    (void)error;
    CHECK(segment < w->count && offset + bytes <= w->bytes[segment]);
    memcpy(w->segments[segment] + offset, data, bytes);
    for (size_t i = 0; i < bytes; i++)
        w->marks[segment][offset + i]++;
    return 0;
}

/* In an allocation of just its length; what is in place already is copied. */
static void begin_segment(written *w, const memory_frame *memory, uint32_t index) {
    uint64_t bytes = w->bytes[index];
    void *exact = NULL;

    CHECK(bytes % 64 == 0);
    w->marks[index] = calloc(1, bytes + 1);
    if (!bytes)
        return;
    CHECK(!posix_memalign(&exact, 64, bytes));
    memset(exact, 0x5a, bytes);
    if (memory->segments[index]) {
        CHECK(bytes <= memory->segment_bytes[index]);
        memcpy(exact, memory->segments[index], bytes);
        memset(w->marks[index], 1, bytes);
    }
    w->segments[index] = exact;
}

static void end_segment(const written *w, memory_frame *memory, uint32_t index) {
    for (uint64_t i = 0; i < w->bytes[index]; i++)
        CHECK(w->marks[index][i] == 1);
    free(w->marks[index]);
    free(memory->segments[index]);
    memory->segments[index] = w->segments[index];
    memory->segment_bytes[index] = w->bytes[index];
}

void memory_write(memory_frame *memory, fc__plan *plan) {
    const fc__layout *layout = fc__plan_layout(plan);
    written w = {.count = layout->segment_count};
    fc__sink sink = {&w, sink_write, NULL};
    fc_error error;

    CHECK(w.count <= MEMORY_SEGMENTS);
    for (uint32_t i = 0; i < w.count; i++) {
        w.bytes[i] = layout->segment_bytes[i];
        begin_segment(&w, memory, i);
    }
    for (size_t i = 0; i < fc__plan_job_count(plan); i++)
        CHECK(!fc__plan_run(plan, i, &sink, &error));
    for (uint32_t i = 0; i < w.count; i++)
        end_segment(&w, memory, i);
    memory->segment_count = w.count;
    memory->body_bytes = layout->body_bytes;
    memory->body = malloc(layout->body_bytes);
    fc__plan_encode(plan, memory->body);
}

static void open_or_fail(memory_frame *memory) {
    fc_error error;

    if (memory_open(memory, &error))
        die("%s", error.message);
}

memory_frame *memory_put(const struct ArrowSchema *schema,
                         const struct ArrowArray *const *chunks, size_t count,
                         bool checksums) {
    memory_frame *memory = memory_new();
    fc__plan *plan;
    fc_error error;

    if (fc__plan_arrow(&plan, schema, chunks, count, checksums, &error))
        die("%s", error.message);
    memory_write(memory, plan);
    fc__plan_free(plan);
    open_or_fail(memory);
    return memory;
}

memory_frame *memory_commit(memory_frame *memory, fc_build *build, int64_t rows,
                            bool checksums) {
    fc__plan *plan;
    fc_error error;

    if (fc__build_finish(build, rows, checksums, &plan, &error))
        die("%s", error.message);
    memory_write(memory, plan);
    fc__plan_free(plan);
    fc__build_free(build);
    open_or_fail(memory);
    return memory;
}

/* ---- Schemas ---- */

static void keep(struct ArrowSchema *schema) {
    (void)schema;
}

struct ArrowSchema *schema_of(const char *format, const char *name, int children, ...) {
    struct ArrowSchema *schema = calloc(1, sizeof *schema);
    va_list arguments;

    schema->format = format;
    schema->name = name;
    schema->flags = ARROW_FLAG_NULLABLE;
    schema->n_children = children;
    schema->children = calloc((size_t)children + 1, sizeof(struct ArrowSchema *));
    schema->release = keep;
    va_start(arguments, children);
    for (int i = 0; i < children; i++)
        schema->children[i] = va_arg(arguments, struct ArrowSchema *);
    va_end(arguments);
    return schema;
}

struct ArrowSchema *schema_dictionary(const char *format, const char *name,
                                      struct ArrowSchema *values) {
    struct ArrowSchema *schema = schema_of(format, name, 0);
    schema->dictionary = values;
    return schema;
}

void schema_free(struct ArrowSchema *schema) {
    if (!schema)
        return;
    for (int64_t i = 0; i < schema->n_children; i++)
        schema_free(schema->children[i]);
    schema_free(schema->dictionary);
    free(schema->children);
    free(schema);
}

/* ---- A column of every kind ---- */

struct ArrowSchema *everything_schema(void) {
    return schema_of(
        "+s", "", 17, schema_of("b", "bool", 0), schema_of("s", "int16", 0),
        schema_of("l", "int64", 0), schema_of("g", "double", 0),
        schema_of("u", "text", 0), schema_of("z", "bytes", 0),
        schema_of("tsu:Europe/Paris", "time", 0), schema_of("w:3", "fixed", 0),
        schema_of("n", "nothing", 0),
        schema_of("+l", "list", 1, schema_of("u", "item", 0)),
        schema_of("+w:2", "pair", 1, schema_of("b", "item", 0)),
        schema_of("+s", "struct", 2, schema_of("i", "a", 0),
                  schema_of("+l", "b", 1, schema_of("c", "item", 0))),
        schema_of("+m", "map", 1,
                  schema_of("+s", "entries", 2, schema_of("u", "key", 0),
                            schema_of("g", "value", 0))),
        schema_of("+us:5,2", "sparse", 2, schema_of("i", "x", 0), schema_of("u", "y", 0)),
        schema_of("+ud:0,7", "dense", 2, schema_of("l", "x", 0), schema_of("u", "y", 0)),
        schema_of("+r", "runs", 2, schema_of("s", "run_ends", 0),
                  schema_of("u", "values", 0)),
        schema_dictionary("c", "coded", schema_of("u", "", 0)));
}

static void check(int status, const fc_error *error) {
    if (status)
        die("%s", error->message);
}

static void set_null(fc_build *build, fc_target *target, int64_t row) {
    fc_error error;

    check(fc_build_nulls(build, target, &error), &error);
    target->validity[row >> 3] &= (uint8_t) ~(1u << (row & 7));
}

static void append(fc_build *build, fc_target *target, int64_t number) {
    char text[32];
    fc_error error;
    int bytes = snprintf(text, sizeof text, "%.*s%lld", (int)(number % 17),
                         "a longish prefix of", (long long)number);
    fc_bytes value = {number % 5 == 3 ? NULL : text, number % 4 ? (size_t)bytes : 0};
    check(fc_build_append(build, target, value, &error), &error);
}

static void append_key(fc_build *build, fc_target *target, int64_t number) {
    char text[32];
    fc_error error;

    snprintf(text, sizeof text, "key %lld", (long long)number);
    check(fc_build_append(build, target, fc_str(text), &error), &error);
}

static void reserve(fc_build *build, fc_target *target, int64_t rows) {
    fc_error error;
    check(fc_build_reserve(build, target, (uint64_t)rows, &error), &error);
}

static void fill_flat(fc_build *build, int64_t rows) {
    for (int64_t i = 0; i < rows; i++) {
        fc_target *column = fc_build_column(build, 0);
        uint8_t *bits = column->values;
        bits[i >> 3] = (uint8_t)((bits[i >> 3] & ~(1u << (i & 7))) |
                                 (unsigned)(i % 3 == 0) << (i & 7));
        if (i % 7 == 2)
            set_null(build, column, i);
        ((int16_t *)fc_build_column(build, 1)->values)[i] = (int16_t)(i * 3 - 50);
        ((int64_t *)fc_build_column(build, 2)->values)[i] = i * i;
        if (i % 11 == 4)
            set_null(build, fc_build_column(build, 2), i);
        ((double *)fc_build_column(build, 3)->values)[i] = (double)i / 8;
        append(build, fc_build_column(build, 4), i);
        append(build, fc_build_column(build, 5), i + 1);
        ((int64_t *)fc_build_column(build, 6)->values)[i] = 1700000000000000 + i;
        memset((char *)fc_build_column(build, 7)->values + 3 * i, (int)(i & 0x7f), 3);
    }
}

static void fill_nested(fc_build *build, int64_t rows) {
    fc_target *list = fc_build_column(build, 9), *pair = fc_build_column(build, 10);
    fc_target *both = fc_build_column(build, 11), *map = fc_build_column(build, 12);
    fc_target *below = both->children[1], *entries = map->children[0];

    reserve(build, below->children[0], rows * 2);
    reserve(build, entries, rows);
    int64_t items = 0, inner = 0, pairs = 0;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < i % 4; k++)
            append(build, list->children[0], items++);
        list->offsets[i + 1] = items;
        if (i % 9 == 5)
            set_null(build, list, i);
        uint8_t *bits = pair->children[0]->values;
        for (int64_t bit = 2 * i; bit < 2 * i + 2; bit++)
            bits[bit >> 3] = (uint8_t)((bits[bit >> 3] & ~(1u << (bit & 7))) |
                                       (unsigned)(bit % 3 == 1) << (bit & 7));
        ((int32_t *)both->children[0]->values)[i] = (int32_t)(1000 - i);
        for (int64_t k = 0; k < i % 3; k++)
            ((int8_t *)below->children[0]->values)[inner++] = (int8_t)(i + k);
        below->offsets[i + 1] = inner;
        if (i % 6 == 1)
            set_null(build, both, i);
        for (int64_t k = 0; k < i % 2; k++) {
            append_key(build, entries->children[0], pairs);
            ((double *)entries->children[1]->values)[pairs++] = (double)i;
        }
        map->offsets32[i + 1] = (int32_t)pairs;
    }
}

static void fill_mixed(fc_build *build, int64_t rows) {
    fc_target *sparse = fc_build_column(build, 13), *dense = fc_build_column(build, 14);
    fc_target *runs = fc_build_column(build, 15), *coded = fc_build_column(build, 16);
    int64_t xs = 0, ys = 0, run = 0;

    reserve(build, dense->children[0], rows);
    reserve(build, runs->children[0], rows);
    for (int64_t i = 0; i < 5; i++)
        append_key(build, coded->dictionary, i);
    for (int64_t i = 0; i < rows; i++) {
        sparse->type_ids[i] = i % 3 ? 5 : 2;
        ((int32_t *)sparse->children[0]->values)[i] = (int32_t)i;
        append(build, sparse->children[1], i);
        dense->type_ids[i] = i % 4 ? 0 : 7;
        dense->offsets32[i] = (int32_t)(i % 4 ? xs : ys);
        if (i % 4)
            ((int64_t *)dense->children[0]->values)[xs++] = -i;
        else
            append(build, dense->children[1], ys++);
        if (i % 5 == 4 || i == rows - 1) {
            ((int16_t *)runs->children[0]->values)[run] = (int16_t)(i + 1);
            append(build, runs->children[1], run++);
        }
        ((int8_t *)coded->values)[i] = (int8_t)(i % 5);
        if (i % 8 == 7)
            set_null(build, coded, i);
    }
}

memory_frame *everything(int64_t rows, bool checksums) {
    struct ArrowSchema *schema = everything_schema();
    memory_frame *memory = memory_new();
    fc__ground ground = memory_ground(memory);
    fc_build *build;
    fc_error error;

    check(fc__build_new(&build, schema, rows, &ground, NULL, &error), &error);
    fill_flat(build, rows);
    fill_nested(build, rows);
    fill_mixed(build, rows);
    schema_free(schema);
    return memory_commit(memory, build, rows, checksums);
}

/* ---- Comparing ---- */

static bool lists_equal(const fc_column *a, int64_t from_a, int64_t to_a,
                        const fc_column *b, int64_t from_b, int64_t to_b) {
    if (to_a - from_a != to_b - from_b)
        return false;
    for (; from_a < to_a; from_a++, from_b++)
        if (!rows_equal(a->children[0], from_a, b->children[0], from_b))
            return false;
    return true;
}

static bool structs_equal(const fc_column *a, int64_t row_a, const fc_column *b,
                          int64_t row_b) {
    for (int64_t i = 0; i < a->child_count; i++)
        if (!rows_equal(a->children[i], row_a, b->children[i], row_b))
            return false;
    return true;
}

static int64_t number_at(const fc_column *column, int64_t row) {
    switch (column->width) {
    case 1:
        return ((const int8_t *)column->values)[row];
    case 2:
        return ((const int16_t *)column->values)[row];
    case 4:
        return ((const int32_t *)column->values)[row];
    default:
        return ((const int64_t *)column->values)[row];
    }
}

static int64_t run_of(const fc_column *column, int64_t row) {
    int64_t run = 0;

    while (number_at(column->children[0], run) <= row)
        run++;
    return run;
}

static int child_of(const fc_column *column, int64_t row) {
    const char *at = strchr(column->format, ':') + 1;

    for (int child = 0;; child++) {
        if (strtol(at, (char **)&at, 10) == column->type_ids[row])
            return child;
        CHECK(*at++ == ',');
    }
}

static bool unions_equal(const fc_column *a, int64_t row_a, const fc_column *b,
                         int64_t row_b) {
    int child = child_of(a, row_a);
    bool dense = a->type == FC_TYPE_DENSE_UNION;

    return a->type_ids[row_a] == b->type_ids[row_b] &&
           rows_equal(a->children[child], dense ? a->offsets32[row_a] : row_a,
                      b->children[child], dense ? b->offsets32[row_b] : row_b);
}

static bool bytes_equal(fc_bytes a, fc_bytes b) {
    return a.size == b.size && !memcmp(a.data, b.data, a.size);
}

bool rows_equal(const fc_column *a, int64_t row_a, const fc_column *b, int64_t row_b) {
    if (a->type != b->type || fc_is_valid(a, row_a) != fc_is_valid(b, row_b))
        return false;
    if (!fc_is_valid(a, row_a))
        return true;
    switch (a->type) {
    case FC_TYPE_NA:
        return true;
    case FC_TYPE_BOOL:
        return fc_bool_at(a, row_a) == fc_bool_at(b, row_b);
    case FC_TYPE_STRING:
    case FC_TYPE_BINARY:
        return bytes_equal(fc_bytes_at(a, row_a), fc_bytes_at(b, row_b));
    case FC_TYPE_LIST:
        return lists_equal(a, a->offsets[row_a], a->offsets[row_a + 1], b,
                           b->offsets[row_b], b->offsets[row_b + 1]);
    case FC_TYPE_MAP:
        return lists_equal(a, a->offsets32[row_a], a->offsets32[row_a + 1], b,
                           b->offsets32[row_b], b->offsets32[row_b + 1]);
    case FC_TYPE_FIXED_LIST:
        return lists_equal(a, row_a * a->width, (row_a + 1) * a->width, b,
                           row_b * b->width, (row_b + 1) * b->width);
    case FC_TYPE_STRUCT:
        return structs_equal(a, row_a, b, row_b);
    case FC_TYPE_SPARSE_UNION:
    case FC_TYPE_DENSE_UNION:
        return unions_equal(a, row_a, b, row_b);
    case FC_TYPE_RUN_END:
        return rows_equal(a->children[1], run_of(a, row_a), b->children[1],
                          run_of(b, row_b));
    case FC_TYPE_DICTIONARY:
        return rows_equal(a->dictionary, number_at(a, row_a), b->dictionary,
                          number_at(b, row_b));
    default:
        return a->width == b->width &&
               !memcmp((const char *)a->values + row_a * a->width,
                       (const char *)b->values + row_b * b->width, (size_t)a->width);
    }
}

/* Every string, binary and list of a schema as another of its forms. */
void change_forms(struct ArrowSchema *schema, const char *string, const char *binary,
                  const char *list) {
    if (!strcmp(schema->format, "u"))
        schema->format = string;
    if (!strcmp(schema->format, "z"))
        schema->format = binary;
    if (!strcmp(schema->format, "+l"))
        schema->format = list;
    for (int64_t i = 0; i < schema->n_children; i++)
        change_forms(schema->children[i], string, binary, list);
    if (schema->dictionary)
        change_forms(schema->dictionary, string, binary, list);
}

/* ---- What must work ---- */

const fc_column *column_at(const fc_frame *frame, int64_t index) {
    const fc_column *column;
    fc_error error;

    check(fc_frame_column_at(frame, index, &column, &error), &error);
    return column;
}

fc_frame *slice(fc_frame *frame, int64_t first, int64_t rows) {
    fc_frame *out;
    fc_error error;

    check(fc_frame_slice(frame, first, rows, &out, &error), &error);
    return out;
}

memory_frame *through_stream(fc_frame *frame, const struct ArrowSchema *requested,
                             int64_t batch_rows) {
    struct ArrowArrayStream stream;
    memory_frame *memory = memory_new();
    fc__plan *plan;
    fc_error error;

    check(fc_frame_export_stream(frame, requested, batch_rows, &stream, &error), &error);
    check(fc__plan_stream(&plan, &stream, false, &error), &error);
    memory_write(memory, plan);
    fc__plan_free(plan);
    check(memory_open(memory, &error), &error);
    check(fc__frame_verify(memory->frame, &error), &error);
    return memory;
}

void expect_same(const fc_frame *back, const fc_frame *frame) {
    CHECK(fc__frame_columns(back) == fc__frame_columns(frame));
    CHECK(fc__frame_rows(back) == fc__frame_rows(frame));
    for (int64_t i = 0; i < fc__frame_columns(frame); i++) {
        const fc_column *a = column_at(back, i), *b = column_at(frame, i);
        CHECK(!strcmp(a->name, b->name));
        for (int64_t row = 0; row < b->rows; row++)
            if (!rows_equal(a, row, b, row))
                die("column %s, row %lld differs", b->name, (long long)row);
    }
}
