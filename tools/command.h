/* What the commands share: the request as parsed, how they open the cache, how they
 * report. A command returns its exit status. */
#ifndef COMMAND_H
#define COMMAND_H

#include <framecache/framecache.h>

enum {
    EXIT_FINE = 0,
    EXIT_FOUND = 1, /* a finding, a miss or a failure */
    EXIT_USAGE = 2
};

typedef struct cmd_request {
    const char *dir; /* NULL: FRAMECACHE_DIR or the default */
    bool json;
    bool data;    /* verify: read all columns too */
    bool escaped; /* keys are written as ls shows them */
    int64_t rows; /* show: how many of the first */
    int operand_count;
    const fc_bytes *operands; /* keys or a prefix */
} cmd_request;

typedef struct command {
    const char *name, *synopsis, *help;
    int operands_min, operands_max;
    const char *options; /* those of its own, "--data --rows" */
    int (*run)(const cmd_request *request);
} command;

extern const command commands[]; /* ends with a NULL name */
void print_help(void);

/* Fills `out` from the command line and finds the command. Returns it, or NULL when all
 * is done: then *status is the exit status, and what had to be said has been said. */
const command *parse_arguments(cmd_request *out, int count, char **words, int *status);

int run_stat(const cmd_request *request);
int run_holders(const cmd_request *request);
int run_ls(const cmd_request *request);
int run_show(const cmd_request *request);
int run_rm(const cmd_request *request);
int run_clear(const cmd_request *request);
int run_verify(const cmd_request *request);
int run_gc(const cmd_request *request);
int run_doctor(const cmd_request *request);
int run_version(const cmd_request *request);

/* Opens without ever making a cache. To look: writes nothing, and works for whom the
 * group lets read. NULL: reported already, return EXIT_FOUND. */
fc_cache *open_to_look(const cmd_request *request);
fc_cache *open_to_change(const cmd_request *request);

/* The directory that the request means, for display. */
const char *directory_of(const cmd_request *request, char *buffer, size_t bytes);

/* Says what failed, on stderr or as JSON on stdout; returns EXIT_FOUND. */
int report_error(const cmd_request *request, const fc_error *error);

#endif
