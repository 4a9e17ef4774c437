/* framecache holders: which process holds which frame, sorted by key and process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "text.h"

typedef struct holder_list {
    fc_holder *at; /* keys and commands are copies of its own */
    size_t count, capacity;
} holder_list;

static int list_add(void *context, const fc_holder *holder) {
    holder_list *list = context;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->at = need(list->at, list->capacity * sizeof *list->at);
    }
    fc_holder *copy = &list->at[list->count++];
    size_t command_bytes = strlen(holder->command) + 1;
    *copy = *holder;
    copy->command = memcpy(need(NULL, command_bytes), holder->command, command_bytes);
    if (holder->key.data)
        copy->key.data =
            memcpy(need(NULL, holder->key.size), holder->key.data, holder->key.size);
    return 0;
}

static void list_free(holder_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free((void *)list->at[i].key.data);
        free((void *)list->at[i].command);
    }
    free(list->at);
}

/* Frames without a key last. */
static int by_key_and_pid(const void *left, const void *right) {
    const fc_holder *a = left, *b = right;
    if (!a->key.data != !b->key.data)
        return a->key.data ? -1 : 1;
    size_t common = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = common ? memcmp(a->key.data, b->key.data, common) : 0;
    if (!order)
        order = (a->key.size > b->key.size) - (a->key.size < b->key.size);
    if (!order)
        order = (a->record > b->record) - (a->record < b->record);
    return order ? order : (a->pid > b->pid) - (a->pid < b->pid);
}

static void print_json(const holder_list *list, bool all) {
    json_open_object(NULL);
    json_open_array("holders");
    for (size_t i = 0; i < list->count; i++) {
        const fc_holder *holder = &list->at[i];
        json_open_object(NULL);
        if (holder->key.data)
            json_key(holder->key);
        else
            json_null("key");
        json_int("pid", holder->pid);
        json_bytes("command", fc_str(holder->command));
        json_uint("bytes", holder->bytes);
        json_close();
    }
    json_close();
    json_bool("all", all);
    json_close();
}

static void print_text(const holder_list *list, bool all) {
    static const char *const titles[] = {"PID", "SIZE", "KEY", "COMMAND"};
    enum { COLUMNS = sizeof titles / sizeof *titles };
    text_table table = {.columns = COLUMNS, .right = 0x3};
    char text[64];
    for (int i = 0; i < COLUMNS; i++)
        table_add(&table, titles[i]);
    for (size_t i = 0; i < list->count; i++) {
        const fc_holder *holder = &list->at[i];
        snprintf(text, sizeof text, "%lld", (long long)holder->pid);
        table_add(&table, text);
        table_add(&table, format_size(text, sizeof text, holder->bytes));
        if (holder->key.data)
            table_add_escaped(&table, holder->key, 4096);
        else
            table_add(&table, "(replaced or deleted)");
        table_add_escaped(&table, fc_str(holder->command), 120);
    }
    table_print(&table);
    if (!all)
        puts("there may be others: processes of another pid namespace or user are not "
             "shown; run it on the host, as root");
}

int run_holders(const cmd_request *request) {
    holder_list list = {0};
    fc_error error;
    bool all;
    fc_cache *cache = open_to_look(request);
    if (!cache)
        return EXIT_FOUND;
    int status = fc_cache_holders(cache, list_add, &list, &all, &error);
    fc_cache_close(cache);
    if (list.count)
        qsort(list.at, list.count, sizeof *list.at, by_key_and_pid);
    if (status)
        report_error(request, &error);
    else
        (request->json ? print_json : print_text)(&list, all);
    list_free(&list);
    return status ? EXIT_FOUND : EXIT_FINE;
}
