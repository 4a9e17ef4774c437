/* Exporting rows: an ArrowArray whose buffers are those of the frame. */
#include "bounds.h"
#include "cast.h"
#include "export.h"

/* ---- Tables ---- */

static int add_column(fc__table *table, const fc_frame *frame, int64_t index,
                      const fc__field *wanted, fc_error *error) {
    fc__table_column *out = &table->column[index];

    out->first = frame->rows ? frame->first : 0; /* readers mind an offset into nothing */
    int status = fc__frame_whole(frame, index, &out->column, error);
    if (status || !wanted)
        return status;
    const fc__column *whole = out->column;
    status = fc__cast(&out->column, &out->first, whole, &wanted->children[index],
                      out->first, frame->rows, &table->arena, error);
    out->checked = out->column != whole;
    return fc__frame_heed(frame, status);
}

int fc__table_new(fc__table **out, fc_frame *frame, const fc__field *wanted,
                  fc_error *error) {
    size_t columns = (size_t)frame->columns;
    fc__table *table = fc__calloc(1, sizeof *table + columns * sizeof *table->column);

    *out = NULL;
    if (!table)
        return fc__fail(error, FC_E_NOMEM, "out of memory to export %zu columns",
                        columns);
    table->references = 1;
    table->base = fc_frame_retain(frame->base);
    table->rows = frame->rows;
    table->columns = frame->columns;
    for (int64_t i = 0; i < frame->columns; i++) {
        int status = add_column(table, frame, i, wanted, error);
        if (status) {
            fc__table_release(table);
            return status;
        }
    }
    *out = table;
    return FC_OK;
}

void fc__table_release(fc__table *table) {
    if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
        return;
    fc_frame *base = table->base;
    fc__arena_free(&table->arena);
    fc__free(table);
    fc_frame_release(base);
}

/* ---- Arrays ---- */

/* The memory of one batch: all structs but the root, which is the consumer's, and the
 * pointers to them. Each struct, the root too, holds a reference. */
typedef struct batch {
    atomic_long references;
    fc__table *table;
    struct ArrowArray *arrays; /* while filling: the next free ones */
    struct ArrowArray **links;
} batch;

static void release_array(struct ArrowArray *array) {
    batch *memory = array->private_data;

    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release)
            array->children[i]->release(array->children[i]);
    if (array->dictionary && array->dictionary->release)
        array->dictionary->release(array->dictionary);
    array->release = NULL;
    if (atomic_fetch_sub_explicit(&memory->references, 1, memory_order_acq_rel) != 1)
        return;
    fc__table_release(memory->table);
    fc__free(memory);
}

static size_t count_arrays(const fc__column *column) {
    size_t count = 1;

    for (int64_t i = 0; i < column->view.child_count; i++)
        count += count_arrays(fc__child(column, i));
    return count + (column->view.dictionary ? count_arrays(fc__dictionary(column)) : 0);
}

static void own(batch *memory, struct ArrowArray *array) {
    array->release = release_array;
    array->private_data = memory;
    atomic_fetch_add_explicit(&memory->references, 1, memory_order_relaxed);
}

static void take_links(batch *memory, struct ArrowArray *array, int64_t count) {
    array->n_children = count;
    array->children = memory->links;
    memory->links += count;
}

/* Counted for the whole column only; a part of it has none if the whole has none. */
static int64_t nulls_of(const fc__column *column, int64_t rows) {
    if (column->view.type == FC_TYPE_NA)
        return rows;
    return rows == column->view.rows || !column->view.nulls ? column->view.nulls : -1;
}

static struct ArrowArray *fill_array(batch *memory, const fc__column *column,
                                     int64_t first, int64_t rows) {
    struct ArrowArray *array = memory->arrays++;

    *array = (struct ArrowArray){
        .length = rows,
        .null_count = nulls_of(column, rows),
        .offset = column->offset + first,
        .n_buffers = column->buffer_count,
        .buffers = (const void **)column->buffers, /* the frame's, read by all */
    };
    take_links(memory, array, column->view.child_count);
    own(memory, array);
    for (int64_t i = 0; i < array->n_children; i++) {
        const fc__column *child = fc__child(column, i);
        array->children[i] = fill_array(memory, child, 0, child->view.rows);
    }
    if (column->view.dictionary) {
        const fc__column *values = fc__dictionary(column);
        array->dictionary = fill_array(memory, values, 0, values->view.rows);
    }
    return array;
}

static batch *new_batch(fc__table *table) {
    size_t arrays = 0;

    for (int64_t i = 0; i < table->columns; i++)
        arrays += count_arrays(table->column[i].column);
    batch *memory = fc__malloc(sizeof *memory + arrays * (sizeof(struct ArrowArray) +
                                                          sizeof(struct ArrowArray *)));
    if (!memory)
        return NULL;
    *memory = (batch){.table = table, .arrays = (struct ArrowArray *)(memory + 1)};
    memory->links = (struct ArrowArray **)(memory->arrays + arrays);
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return memory;
}

/* The rows that a consumer gets to see, and no others. */
static int check_rows(const fc__table *table, int64_t first, int64_t rows,
                      fc_error *error) {
    for (int64_t i = 0; i < table->columns; i++) {
        const fc__table_column *column = &table->column[i];
        if (column->checked)
            continue;
        int status = fc__check_ends(column->column, column->first + first, rows, error);
        if (status)
            return fc__frame_heed(table->base, status);
    }
    return FC_OK;
}

int fc__table_array(struct ArrowArray *out, fc__table *table, int64_t first, int64_t rows,
                    fc_error *error) {
    static const void *no_validity[1];

    *out = (struct ArrowArray){0};
    int status = check_rows(table, first, rows, error);
    if (status)
        return status;
    batch *memory = new_batch(table);
    if (!memory)
        return fc__fail(error, FC_E_NOMEM, "out of memory to export %lld columns",
                        (long long)table->columns);
    *out = (struct ArrowArray){.length = rows, .n_buffers = 1, .buffers = no_validity};
    take_links(memory, out, table->columns);
    own(memory, out);
    for (int64_t i = 0; i < table->columns; i++) {
        const fc__table_column *column = &table->column[i];
        out->children[i] =
            fill_array(memory, column->column, column->first + first, rows);
    }
    return FC_OK;
}

/* ---- What is asked for ---- */

static void leave(struct ArrowSchema *schema) {
    schema->release = NULL;
}

/* To read a schema, each struct of it must look alive. */
static void enliven(struct ArrowSchema *schema) {
    schema->release = leave;
    for (int64_t i = 0; i < schema->n_children; i++)
        enliven(schema->children[i]);
    if (schema->dictionary)
        enliven(schema->dictionary);
}

static int read_own(const fc__field **out, const fc_frame *frame, fc__arena *arena,
                    fc_error *error) {
    struct ArrowSchema own;
    fc__field *root;
    bool wrapped;

    if (!(frame->base->body.flags & FC__BODY_FORMS))
        return FC_OK;
    int status = fc__schema_describe(&own, frame, NULL, arena, error);
    if (status)
        return fc__frame_heed(frame, status);
    enliven(&own);
    status = fc__schema_read(&root, &wrapped, &own, arena, error);
    *out = root;
    return status == FC_E_INVALID ? fc__frame_heed(frame, FC_E_CORRUPT) : status;
}

int fc__wanted_read(const fc__field **out, const fc_frame *frame,
                    const struct ArrowSchema *requested, fc__arena *arena,
                    fc_error *error) {
    fc__field *root;
    bool wrapped;

    *out = NULL;
    if (!requested)
        return read_own(out, frame, arena, error);
    int status = fc__schema_read(&root, &wrapped, requested, arena, error);
    if (status)
        return fc__fail_prefix(error, status, "the requested schema: ");
    if (wrapped || root->child_count != frame->columns)
        return fc__fail(error, FC_E_TYPE,
                        "the requested schema is no struct (format '+s') of the frame's "
                        "%lld columns",
                        (long long)frame->columns);
    *out = root;
    return FC_OK;
}

int fc_frame_export_array(fc_frame *frame, const struct ArrowSchema *requested,
                          struct ArrowArray *out, fc_error *error) {
    const fc__field *wanted;
    fc__arena arena = {0};
    fc__table *table;

    *out = (struct ArrowArray){0};
    int status = fc__wanted_read(&wanted, frame, requested, &arena, error);
    if (!status)
        status = fc__table_new(&table, frame, wanted, error);
    fc__arena_free(&arena);
    if (status)
        return status;
    status = fc__table_array(out, table, 0, table->rows, error);
    fc__table_release(table);
    return status;
}
