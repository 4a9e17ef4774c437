/* framecache ls: the frames, sorted by key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "info.h"
#include "json.h"
#include "text.h"

typedef struct frame_list {
    fc_info *at; /* each key is a copy of its own */
    size_t count, capacity;
} frame_list;

static void list_add(frame_list *list, const fc_info *info) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->at = need(list->at, list->capacity * sizeof *list->at);
    }
    fc_info *copy = &list->at[list->count++];
    *copy = *info;
    copy->key.data = memcpy(need(NULL, info->key.size), info->key.data, info->key.size);
}

static void list_free(frame_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free((void *)list->at[i].key.data);
    free(list->at);
}

static int by_key(const void *left, const void *right) {
    const fc_bytes *a = &((const fc_info *)left)->key,
                   *b = &((const fc_info *)right)->key;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->data, b->data, common);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static int collect(frame_list *list, fc_cache *cache, fc_bytes prefix, fc_error *error) {
    fc_cursor *cursor;
    fc_info info = {.size = sizeof info};
    int status = fc_cursor_open(cache, prefix, &cursor, error);
    if (status)
        return status;
    while ((status = fc_cursor_next(cursor, &info, error)) == 0)
        list_add(list, &info);
    fc_cursor_close(cursor);
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, by_key);
    return status == FC_DONE ? 0 : status;
}

static void print_json(const frame_list *list) {
    json_open_object(NULL);
    json_open_array("frames");
    for (size_t i = 0; i < list->count; i++) {
        json_open_object(NULL);
        json_info(&list->at[i]);
        json_bool("leased", list->at[i].leased);
        json_close();
    }
    json_close();
    json_close();
}

static void print_text(const frame_list *list) {
    static const char *const titles[] = {"ROWS",    "COLUMNS", "SIZE",   "AGE", "USED",
                                         "EXPIRES", "USES",    "LEASED", "KEY"};
    enum { COLUMNS = sizeof titles / sizeof *titles };
    text_table table = {.columns = COLUMNS, .right = 0x7f};
    int64_t now_ns = now();
    char text[64];
    for (int i = 0; i < COLUMNS; i++)
        table_add(&table, titles[i]);
    for (size_t i = 0; i < list->count; i++) {
        const fc_info *info = &list->at[i];
        table_add(&table, format_count(text, sizeof text, (uint64_t)info->rows));
        table_add(&table, format_count(text, sizeof text, (uint64_t)info->columns));
        table_add(&table, format_size(text, sizeof text, info->bytes));
        table_add(&table, format_ago(text, sizeof text, now_ns, info->created_ns));
        table_add(&table, format_ago(text, sizeof text, now_ns, info->used_ns));
        table_add(&table, format_expiry(text, sizeof text, now_ns, info->expires_ns));
        table_add(&table, format_count(text, sizeof text, info->uses));
        table_add(&table, info->leased ? "yes" : "no");
        table_add_escaped(&table, info->key, 4096);
    }
    table_print(&table);
}

int run_ls(const cmd_request *request) {
    fc_bytes prefix = request->operand_count ? request->operands[0] : fc_str("");
    fc_error error;
    frame_list list = {0};
    fc_cache *cache = open_to_look(request);
    if (!cache)
        return EXIT_FOUND;
    int status = collect(&list, cache, prefix, &error);
    fc_cache_close(cache);
    if (status)
        report_error(request, &error);
    else
        (request->json ? print_json : print_text)(&list);
    list_free(&list);
    return status ? EXIT_FOUND : EXIT_FINE;
}
