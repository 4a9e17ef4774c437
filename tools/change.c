/* framecache rm, clear, gc: the commands that change a cache. */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "json.h"
#include "text.h"

/* Deletes one after the other; a key without a frame does not keep the rest. */
int run_rm(const cmd_request *request) {
    fc_error error, first = {0};
    int deleted = 0, missed = 0;
    fc_cache *cache = open_to_change(request);
    if (!cache)
        return EXIT_FOUND;
    for (int i = 0; i < request->operand_count; i++) {
        if (fc_delete(cache, request->operands[i], &error) == 0) {
            deleted++;
        } else if (missed++ == 0 || !request->json) {
            first = error;
            if (!request->json)
                report_error(request, &error);
        }
    }
    fc_cache_close(cache);
    if (request->json && missed)
        return report_error(request, &first);
    if (request->json) {
        json_open_object(NULL);
        json_int("deleted", deleted);
        json_close();
    }
    return missed ? EXIT_FOUND : EXIT_FINE;
}

int run_clear(const cmd_request *request) {
    uint64_t count;
    char text[32];
    fc_error error;
    fc_cache *cache = open_to_change(request);
    if (!cache)
        return EXIT_FOUND;
    int status = fc_cache_clear(cache, &count, &error);
    fc_cache_close(cache);
    if (status)
        return report_error(request, &error);
    if (request->json) {
        json_open_object(NULL);
        json_uint("deleted", count);
        json_close();
    } else {
        printf("deleted %s frame%s\n", format_count(text, sizeof text, count),
               count == 1 ? "" : "s");
    }
    return EXIT_FINE;
}

static int tick_between(fc_cache *cache, fc_stats *before, fc_stats *after,
                        fc_error *error) {
    int status = fc_cache_stats(cache, before, error);
    if (!status)
        status = fc_cache_tick(cache, FC_TICK_FULL, NULL, error);
    return status ? status : fc_cache_stats(cache, after, error);
}

int run_gc(const cmd_request *request) {
    fc_stats before = {.size = sizeof before}, after = before;
    char text[32];
    fc_error error;
    fc_cache *cache = open_to_change(request);
    if (!cache)
        return EXIT_FOUND;
    int status = tick_between(cache, &before, &after, &error);
    fc_cache_close(cache);
    if (status)
        return report_error(request, &error);
    uint64_t freed =
        before.used_bytes > after.used_bytes ? before.used_bytes - after.used_bytes : 0;
    if (request->json) {
        json_open_object(NULL);
        json_uint("freed_bytes", freed);
        json_uint("repaired", after.repaired - before.repaired);
        json_uint("expired", after.expired - before.expired);
        json_uint("used_bytes", after.used_bytes);
        json_close();
    } else {
        uint64_t repaired = after.repaired - before.repaired;
        printf("freed %s", format_size(text, sizeof text, freed));
        if (repaired)
            printf(", put right or removed %s left-over%s",
                   format_count(text, sizeof text, repaired), repaired == 1 ? "" : "s");
        putchar('\n');
    }
    return EXIT_FINE;
}
