/* The framecache command: looks into a cache and tidies it up. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "json.h"

const command commands[] = {
    {"stat", "", "memory, frames and counters of the cache", 0, 0, "", run_stat},
    {"ls", "[PREFIX]", "the frames whose key begins so, sorted by key", 0, 1, "--escaped",
     run_ls},
    {"show", "KEY", "a frame: columns and first rows (--rows N, 5)", 1, 1,
     "--escaped --rows", run_show},
    {"holders", "", "which process holds which frame", 0, 0, "", run_holders},
    {"rm", "KEY...", "delete frames; readers keep what they hold", 1, INT_MAX,
     "--escaped", run_rm},
    {"clear", "", "delete all frames", 0, 0, "", run_clear},
    {"verify", "[--data]", "check everything on disk; --data: checksums too", 0, 0,
     "--data", run_verify},
    {"gc", "", "sweep, expire, evict, empty the pool: all there is to do", 0, 0, "",
     run_gc},
    {"doctor", "", "settings, and what is wrong with this machine", 0, 0, "", run_doctor},
    {"version", "", "the version of the library", 0, 0, "", run_version},
    {NULL, NULL, NULL, 0, 0, NULL, NULL},
};

void print_help(void) {
    puts(
        "framecache: data frames in shared memory, read by every process without a copy\n"
        "\n"
        "    framecache [--dir DIR] [--json] COMMAND\n");
    for (const command *each = commands; each->name; each++) {
        char form[64];
        snprintf(form, sizeof form, "%s %s", each->name, each->synopsis);
        printf("    %-18s %s\n", form, each->help);
    }
    puts(
        "\n"
        "Options stand before or after the command. They are:\n"
        "    --dir DIR      the cache; or else FRAMECACHE_DIR, or else\n"
        "                   /dev/shm/framecache-<uid>\n"
        "    --json         one JSON object on standard output, also for an error\n"
        "    -e, --escaped  KEY and PREFIX are written as ls shows them: \\xff is a "
        "byte,\n"
        "                   \\\\ a backslash\n"
        "    --             what follows are keys, even if they begin with a dash\n"
        "\n"
        "In JSON a frame has \"key\" if its key is UTF-8, or else \"key_base64\". Sizes "
        "are\n"
        "in bytes, times in nanoseconds since 1970 (UTC), null: never or not known. NaN\n"
        "and infinities are text.\n"
        "\n"
        "No command creates a cache. Only rm, clear and gc change one.\n"
        "\n"
        "Exit status: 0 fine; 1 not found, damaged, a problem (doctor: of level error) "
        "or\n"
        "a failure; 2 the command line is wrong.");
}

int run_version(const cmd_request *request) {
    if (request->json) {
        json_open_object(NULL);
        json_text("version", fc_version());
        json_close();
    } else {
        printf("framecache %s\n", fc_version());
    }
    return EXIT_FINE;
}

int main(int count, char **words) {
    cmd_request request;
    int status;
    const command *found = parse_arguments(&request, count - 1, words + 1, &status);
    if (found)
        status = found->run(&request);
    free((void *)request.operands);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("framecache: standard output");
        return EXIT_FOUND;
    }
    return status;
}
