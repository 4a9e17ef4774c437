/* framecache show: one frame, its columns and first rows. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "info.h"
#include "json.h"
#include "text.h"
#include "value.h"

enum { COLUMNS_WIDE = 8 }; /* as many stand beside each other for people */

typedef struct frame_view {
    fc_info info;
    const fc_column **columns; /* all of the frame's */
    int64_t rows;              /* as many are shown */
} frame_view;

static int open_view(frame_view *view, fc_frame *frame, int64_t rows, fc_error *error) {
    view->info = (fc_info){.size = sizeof view->info};
    view->columns = NULL;
    int status = fc_frame_info(frame, &view->info, error);
    if (status)
        return status;
    view->rows = rows < view->info.rows ? rows : view->info.rows;
    size_t count = (size_t)view->info.columns;
    view->columns = need(NULL, count * sizeof *view->columns);
    for (size_t i = 0; i < count; i++)
        if ((status = fc_frame_column_at(frame, (int64_t)i, &view->columns[i], error)))
            return status;
    return 0;
}

/* ---- JSON ---- */

static void json_bounds(const fc_column *column) {
    cell_value bound;
    if (read_min(&bound, column))
        json_value("min", &bound);
    else
        json_null("min");
    if (read_max(&bound, column))
        json_value("max", &bound);
    else
        json_null("max");
}

static void json_columns(const frame_view *view) {
    json_open_array("schema");
    for (int64_t i = 0; i < view->info.columns; i++) {
        const fc_column *column = view->columns[i];
        json_open_object(NULL);
        json_text("name", column->name);
        json_text("type", type_name(column->type));
        json_text("format", column->format);
        json_int("nulls", column->nulls);
        json_bounds(column);
        json_close();
    }
    json_close();
}

/* Columns of nested types are left out; names may stand twice, so rows are arrays. */
static void json_rows(const frame_view *view) {
    json_open_object("first_rows");
    json_open_array("columns");
    for (int64_t i = 0; i < view->info.columns; i++)
        if (!is_nested(view->columns[i]))
            json_text(NULL, view->columns[i]->name);
    json_close();
    json_open_array("rows");
    for (int64_t row = 0; row < view->rows; row++) {
        json_open_array(NULL);
        for (int64_t i = 0; i < view->info.columns; i++)
            if (!is_nested(view->columns[i])) {
                cell_value cell;
                read_value(&cell, view->columns[i], row);
                json_value(NULL, &cell);
            }
        json_close();
    }
    json_close();
    json_close();
}

static void print_json(const frame_view *view) {
    json_open_object(NULL);
    json_info(&view->info);
    json_columns(view);
    json_rows(view);
    json_close();
}

/* ---- Text ---- */

static void add_line(text_table *table, const char *name, const char *text) {
    table_add(table, name);
    table_add(table, text);
}

static void print_info(const fc_info *info) {
    text_table table = {.columns = 2};
    int64_t now_ns = now();
    char text[64], number[32];
    table_add(&table, "key");
    table_add_escaped(&table, info->key, 4096);
    add_line(&table, "rows", format_count(text, sizeof text, (uint64_t)info->rows));
    add_line(&table, "columns", format_count(text, sizeof text, (uint64_t)info->columns));
    add_line(&table, "size", format_size(text, sizeof text, info->bytes));
    add_line(&table, "age", format_ago(text, sizeof text, now_ns, info->created_ns));
    add_line(&table, "last used", format_ago(text, sizeof text, now_ns, info->used_ns));
    add_line(&table, "expires in",
             format_expiry(text, sizeof text, now_ns, info->expires_ns));
    snprintf(text, sizeof text, "%s s",
             format_double(number, sizeof number, info->cost_s));
    add_line(&table, "cost", info->cost_s > 0 ? text : "not known");
    snprintf(text, sizeof text, "%llu", (unsigned long long)info->sequence);
    add_line(&table, "sequence", text);
    snprintf(text, sizeof text, "frames/%06x", (unsigned)info->record);
    add_line(&table, "file", text);
    table_print(&table);
}

static void add_value(text_table *table, const cell_value *value) {
    char *line = value_line(value);
    table_add(table, line);
    free(line);
}

static void add_bound(text_table *table, const fc_column *column,
                      bool (*read)(cell_value *, const fc_column *)) {
    cell_value bound;
    if (read(&bound, column))
        add_value(table, &bound);
    else
        table_add(table, "");
}

static void print_columns(const frame_view *view) {
    text_table table = {.columns = 6, .right = 1u << 3};
    static const char *const titles[] = {"COLUMN", "TYPE", "FORMAT",
                                         "NULLS",  "MIN",  "MAX"};
    char text[32];
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        table_add(&table, titles[i]);
    for (int64_t i = 0; i < view->info.columns; i++) {
        const fc_column *column = view->columns[i];
        table_add_escaped(&table, fc_str(column->name), 60);
        table_add(&table, type_name(column->type));
        table_add_escaped(&table, fc_str(column->format), 40);
        table_add(&table, column->nulls < 0
                              ? "?"
                              : format_count(text, sizeof text, (uint64_t)column->nulls));
        add_bound(&table, column, read_min);
        add_bound(&table, column, read_max);
    }
    table_print(&table);
}

static void print_rows(const frame_view *view) {
    int wide = view->info.columns < COLUMNS_WIDE ? (int)view->info.columns : COLUMNS_WIDE;
    text_table table = {.columns = wide};
    cell_value cell;
    if (wide == 0 || view->rows == 0)
        return;
    printf("\nfirst %lld rows", (long long)view->rows);
    if (wide < view->info.columns)
        printf(", first %d columns", wide);
    puts(":");
    for (int i = 0; i < wide; i++)
        table_add_escaped(&table, fc_str(view->columns[i]->name), 32);
    for (int64_t row = 0; row < view->rows; row++)
        for (int i = 0; i < wide; i++) {
            read_value(&cell, view->columns[i], row);
            add_value(&table, &cell);
        }
    table_print(&table);
}

static void print_text(const frame_view *view) {
    print_info(&view->info);
    putchar('\n');
    print_columns(view);
    print_rows(view);
}

int run_show(const cmd_request *request) {
    fc_frame *frame = NULL;
    frame_view view = {.columns = NULL};
    fc_error error;
    fc_cache *cache = open_to_look(request);
    if (!cache)
        return EXIT_FOUND;
    int status = fc_get(cache, request->operands[0], FC_GET_PEEK, &frame, &error);
    if (!status)
        status = open_view(&view, frame, request->rows, &error);
    if (!status)
        (request->json ? print_json : print_text)(&view);
    free(view.columns);
    fc_frame_release(frame);
    fc_cache_close(cache);
    return status ? report_error(request, &error) : EXIT_FINE;
}
