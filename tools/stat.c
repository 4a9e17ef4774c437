/* framecache stat: what the cache holds and what has happened to it. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "text.h"

static const struct {
    const char *name;
    const char *kind; /* C counter, G gauge of the cache, P gauge of a process */
    size_t offset;
} fields[] = {
#define FC_X(name, kind) {#name, #kind, offsetof(fc_stats, name)},
    FC_STATS(FC_X)
#undef FC_X
};

static uint64_t field_of(const fc_stats *stats, size_t index) {
    uint64_t value;
    memcpy(&value, (const char *)stats + fields[index].offset, sizeof value);
    return value;
}

/* Gauges of a process would be those of this command, which are nobody's business. */
static void print_json(const char *directory, const fc_stats *stats) {
    json_open_object(NULL);
    json_text("directory", directory);
    json_text("budget_rule", stats->budget_rule);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].kind[0] != 'P')
            json_uint(fields[i].name, field_of(stats, i));
    json_close();
}

static void line(text_table *table, const char *name, const char *text) {
    table_add(table, name);
    table_add(table, text);
}

static void size_line(text_table *table, const char *name, uint64_t size) {
    char text[32];
    line(table, name, format_size(text, sizeof text, size));
}

static void add_gauges(text_table *table, const fc_stats *stats) {
    char text[160], a[32], b[32];
    double percent = stats->budget_bytes
                         ? 100.0 * (double)stats->used_bytes / (double)stats->budget_bytes
                         : 0;
    snprintf(text, sizeof text, "%s of at most %s",
             format_count(a, sizeof a, stats->frames),
             format_count(b, sizeof b, stats->capacity_frames));
    line(table, "frames", text);
    snprintf(text, sizeof text, "%s of %s (%.1f%%), limited by: %s",
             format_size(a, sizeof a, stats->used_bytes),
             format_size(b, sizeof b, stats->budget_bytes), percent, stats->budget_rule);
    line(table, "used", text);
    size_line(table, "  live", stats->hot_bytes);
    snprintf(text, sizeof text,
             "%s in %s frames that are replaced or deleted, but in use",
             format_size(a, sizeof a, stats->zombie_bytes),
             format_count(b, sizeof b, stats->zombie_frames));
    line(table, "  zombies", text);
    size_line(table, "  pool", stats->pool_bytes);
    size_line(table, "  being written", stats->writing_bytes);
    size_line(table, "  control", stats->control_bytes);
}

/* Counters as they are named; sizes and times with their unit. */
static void add_counter(text_table *table, const char *name, uint64_t value) {
    char text[32];
    size_t length = strlen(name);
    if (length > 6 && strcmp(name + length - 6, "_bytes") == 0)
        format_size(text, sizeof text, value);
    else if (length > 3 && strcmp(name + length - 3, "_ns") == 0)
        format_span_ns(text, sizeof text, value);
    else if (length > 3 && strcmp(name + length - 3, "_ms") == 0)
        format_span(text, sizeof text, (int64_t)value);
    else
        format_count(text, sizeof text, value);
    line(table, name, text);
}

static void print_text(const char *directory, const fc_stats *stats) {
    text_table table = {.columns = 2};
    table_add(&table, "directory");
    table_add_escaped(&table, fc_str(directory), 4096);
    add_gauges(&table, stats);
    line(&table, "", "");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].kind[0] == 'C')
            add_counter(&table, fields[i].name, field_of(stats, i));
    table_print(&table);
}

int run_stat(const cmd_request *request) {
    char buffer[64];
    const char *directory = directory_of(request, buffer, sizeof buffer);
    fc_error error;
    fc_stats stats = {.size = sizeof stats};
    fc_cache *cache = open_to_look(request);
    if (!cache)
        return EXIT_FOUND;
    int status = fc_cache_stats(cache, &stats, &error);
    fc_cache_close(cache);
    if (status)
        return report_error(request, &error);
    (request->json ? print_json : print_text)(directory, &stats);
    return EXIT_FINE;
}
