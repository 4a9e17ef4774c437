/* Times of a frame as people say them, and all of it as JSON. */
#include "info.h"

#include <stdio.h>
#include <time.h>

#include "json.h"
#include "text.h"

int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

const char *format_ago(char *out, size_t bytes, int64_t now_ns, int64_t then_ns) {
    /* Unsigned: a damaged cache may tell any time. */
    uint64_t ago_ns = then_ns < now_ns ? (uint64_t)now_ns - (uint64_t)then_ns : 0;
    if (then_ns == 0)
        snprintf(out, bytes, "-");
    else
        format_span(out, bytes, (int64_t)(ago_ns / 1000000));
    return out;
}

const char *format_expiry(char *out, size_t bytes, int64_t now_ns, int64_t expires_ns) {
    if (expires_ns == INT64_MAX)
        snprintf(out, bytes, "never");
    else if (expires_ns <= now_ns)
        snprintf(out, bytes, "expired");
    else
        format_span(out, bytes, (expires_ns - now_ns) / 1000000);
    return out;
}

void json_info(const fc_info *info) {
    char file[32];
    json_key(info->key);
    json_uint("sequence", info->sequence);
    json_int("rows", info->rows);
    json_int("columns", info->columns);
    json_uint("bytes", info->bytes);
    json_int("created_ns", info->created_ns);
    json_int("used_ns", info->used_ns);
    if (info->expires_ns == INT64_MAX)
        json_null("expires_ns");
    else
        json_int("expires_ns", info->expires_ns);
    if (info->cost_s > 0)
        json_double("cost_s", info->cost_s);
    else
        json_null("cost_s");
    json_uint("uses", info->uses);
    snprintf(file, sizeof file, "frames/%06x", (unsigned)info->record);
    json_text("file", file);
}
