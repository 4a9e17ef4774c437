/* Opening the cache, and saying what failed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "json.h"
#include "text.h"

static const char *const miss_names[] = {"never there", "expired",     "evicted",
                                         "deleted",     "invalidated", "corrupt"};

const char *directory_of(const cmd_request *request, char *buffer, size_t bytes) {
    const char *variable = getenv("FRAMECACHE_DIR");
    if (request->dir)
        return request->dir;
    if (variable && *variable)
        return variable;
    snprintf(buffer, bytes, "/dev/shm/framecache-%u", (unsigned)geteuid());
    return buffer;
}

static void report_json(const fc_error *error) {
    json_open_object(NULL);
    json_open_object("error");
    json_text("code", fc_error_name(error->code));
    json_text("message", error->message);
    if (error->sys_errno)
        json_int("errno", error->sys_errno);
    if (error->code == FC_E_MISS &&
        (size_t)error->miss < sizeof miss_names / sizeof *miss_names) {
        json_text("miss", miss_names[error->miss]);
        if (error->miss_age_ms < 0)
            json_null("miss_age_ms");
        else
            json_int("miss_age_ms", error->miss_age_ms);
    }
    json_close();
    json_close();
}

int report_error(const cmd_request *request, const fc_error *error) {
    if (request->json)
        report_json(error);
    else {
        char *message = escape(fc_str(error->message), sizeof error->message);
        fprintf(stderr, "framecache: %s\n", message);
        free(message);
    }
    return EXIT_FOUND;
}

static void print_log(void *context, fc_level level, const char *message) {
    (void)context;
    if (level <= FC_LEVEL_WARNING)
        fprintf(stderr, "framecache: %s\n", message);
}

static fc_cache *open_with(const cmd_request *request, uint32_t flags) {
    fc_cache *cache;
    fc_error error;
    fc_options options = {.size = sizeof options, .flags = flags, .dir = request->dir};
    if (!(flags & FC_RDONLY) && !request->json)
        options.log = print_log; /* that it was made anew */
    if (fc_cache_open(&cache, &options, &error) == 0)
        return cache;
    report_error(request, &error);
    return NULL;
}

fc_cache *open_to_look(const cmd_request *request) {
    return open_with(request, FC_NO_CREATE | FC_NO_THREADS | FC_RDONLY);
}

fc_cache *open_to_change(const cmd_request *request) {
    return open_with(request, FC_NO_CREATE | FC_NO_THREADS);
}
