/* A frame of 1 GB and the processes that read it: what one more of them costs.
 *
 *     readers DIR */
#include "readers.h"
#include "bench.h"
#include <stdlib.h>

enum { ROWS = 125 * 1000 * 1000, READERS = 4 };

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "reader"))
        return readers_main(argc, argv);
    if (argc != 2)
        return fprintf(stderr, "usage: readers DIR\n"), 2;
    char *dir = bench_path(argv[1], "cache");
    double *values = bench_doubles(ROWS);
    fc_cache *cache = bench_open(dir, "2GiB", NULL);
    table t;

    table_init(&t, values, ROWS);
    bench_put(cache, "x", &t);
    table_free(&t);
    free(values);
    fc_cache_close(cache); /* this process maps nothing any more */

    const readers_task task = {
        .dir = dir, .key = "x", .count = READERS, .sum = (ROWS - 1.0) * ROWS / 2};
    readers_result found = readers_run(&task);
    bench_figure("1GB_reader/private", "bytes", found.private_bytes, ROWS * 8.0,
                 "the frame");
    bench_figure("1GB_reader/summed_pss", "bytes", found.pss_bytes, ROWS * 8.0,
                 "the frame");
    free(dir);
    return 0;
}
