/* framecache verify and doctor: findings, each with its remedy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "text.h"

typedef struct finding_report {
    const cmd_request *request;
    uint64_t errors, warnings;
    bool unchecked; /* verify passed over data without checksums */
} finding_report;

static const char *level_name(fc_level level) {
    static const char *const names[] = {"", "error", "warning", "info", "debug"};
    return level >= FC_LEVEL_ERROR && level <= FC_LEVEL_DEBUG ? names[level] : "unknown";
}

static void print_escaped(const char *before, const char *text) {
    char *line = escape(fc_str(text), 4096);
    printf("%s%s", before, line);
    free(line);
}

/* Settings in a column; what is wrong with its level, and the remedy below. */
static void print_finding(const fc_finding *finding) {
    const char *subject = finding->subject ? finding->subject : "";
    if (finding->level >= FC_LEVEL_INFO) {
        char *line = escape(fc_str(subject), 4096);
        printf("%-14s", line);
        free(line);
        print_escaped(" ", finding->text);
    } else {
        printf("%s: ", level_name(finding->level));
        print_escaped("", subject);
        print_escaped(*subject ? ": " : "", finding->text);
    }
    putchar('\n');
    if (finding->remedy)
        print_escaped("    remedy: ", finding->remedy), putchar('\n');
}

static int add_finding(void *context, const fc_finding *finding) {
    finding_report *report = context;
    report->errors += finding->level == FC_LEVEL_ERROR;
    report->warnings += finding->level == FC_LEVEL_WARNING;
    report->unchecked |= finding->level == FC_LEVEL_INFO && finding->subject &&
                         strcmp(finding->subject, "data") == 0;
    if (!report->request->json) {
        print_finding(finding);
        return 0;
    }
    json_open_object(NULL);
    json_text("level", level_name(finding->level));
    json_text("subject", finding->subject);
    json_text("text", finding->text);
    json_text("remedy", finding->remedy);
    json_close();
    return 0;
}

static void begin_findings(const cmd_request *request) {
    if (request->json) {
        json_open_object(NULL);
        json_open_array("findings");
    }
}

/* `status` is of the call that reported; an error of its own ends the JSON too. */
static int end_findings(const finding_report *report, int status, const fc_error *error) {
    bool failed = status && status != FC_E_CORRUPT;
    if (report->request->json) {
        json_close();
        json_uint("errors", report->errors);
        json_uint("warnings", report->warnings);
        if (status) {
            json_open_object("error");
            json_text("code", fc_error_name(status));
            json_text("message", error->message);
            json_close();
        }
        json_close();
    } else if (failed) {
        return report_error(report->request, error);
    } else if (report->errors || report->warnings) {
        printf("%llu error%s, %llu warning%s\n", (unsigned long long)report->errors,
               report->errors == 1 ? "" : "s", (unsigned long long)report->warnings,
               report->warnings == 1 ? "" : "s");
    }
    return status || report->errors ? EXIT_FOUND : EXIT_FINE;
}

int run_verify(const cmd_request *request) {
    finding_report report = {.request = request};
    fc_error error = {0};
    fc_cache *cache = open_to_look(request);
    if (!cache)
        return EXIT_FOUND;
    begin_findings(request);
    int status = fc_cache_verify(cache, request->data ? FC_VERIFY_DATA : 0, add_finding,
                                 &report, &error);
    fc_cache_close(cache);
    int result = end_findings(&report, status, &error);
    if (result == EXIT_FINE && !request->json && !report.warnings)
        puts(!request->data      ? "clean: accounting, files and manifests"
             : report.unchecked ? "no fault found, but not all data were checked"
                                : "clean: accounting, files, manifests and data");
    return result;
}

int run_doctor(const cmd_request *request) {
    fc_options options = {.size = sizeof options, .dir = request->dir};
    finding_report report = {.request = request};
    fc_error error = {0};
    begin_findings(request);
    int status = fc_doctor(&options, add_finding, &report, &error);
    int result = end_findings(&report, status, &error);
    if (result == EXIT_FINE && !request->json && !report.warnings)
        puts("no problem found");
    return result;
}
