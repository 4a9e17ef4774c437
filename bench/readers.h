/* Processes that read one frame and hold it, and what that costs them in memory. */
#ifndef FC_BENCH_READERS_H
#define FC_BENCH_READERS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAX_READERS = 16 };

/* What is asked of `count` processes: the sum of column "x" under `key`, which must be
 * `sum`; all at once, or one after the other. */
typedef struct readers_task {
    const char *dir, *key;
    int count;
    bool at_once;
    double sum;
} readers_task;

typedef struct readers_result {
    double private_bytes; /* the most that one process had grown when all hold the frame:
                             Private_Clean + Private_Dirty */
    double pss_bytes;     /* the most that the summed PSS grew by one process more, the
                             first one left out (it counts the frame); not if at_once */
    double seconds;       /* of the slowest: get and sum */
} readers_result;

/* Each is this program again, run as `PROGRAM reader DIR KEY`; all hold the frame until
 * the last one has been measured. */
readers_result readers_run(const readers_task *task);

/* What main() does when argv[1] is "reader". */
int readers_main(int argc, char **argv);

#endif
