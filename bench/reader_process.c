/* See readers.h. A reader is driven through its standard input and output: "m" measures
 * its memory, "r" gets and sums; each answers with one `report`. */
#include "bench.h"
#include "readers.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct report {
    double private_bytes, pss_bytes, sum, seconds;
} report;

typedef struct reader {
    pid_t process;
    int to, from;
} reader;

/* ---- The reader's side ---- */

static report measure(void) {
    memory now = bench_memory();
    return (report){.private_bytes = now.private_bytes, .pss_bytes = now.pss_bytes};
}

int readers_main(int argc, char **argv) {
    fc_frame *frame = NULL;
    fc_error error;
    char command;

    if (argc != 4)
        return 2;
    fc_cache *cache = bench_open(argv[2], NULL, NULL);
    while (read(0, &command, 1) == 1) {
        double start = bench_now_ns(), sum = 0;
        if (command == 'r') {
            bench_must(fc_get(cache, fc_str(argv[3]), 0, &frame, &error), &error, "get");
            sum = bench_sum(frame);
        }
        double seconds = (bench_now_ns() - start) / 1e9;
        report answer = measure();
        answer.sum = sum;
        answer.seconds = seconds;
        bench_must_sys(write(1, &answer, sizeof answer) == sizeof answer, "answer");
    }
    fc_frame_release(frame);
    fc_cache_close(cache);
    return 0;
}

/* ---- The side that asks ---- */

static reader start(const readers_task *task) {
    int to[2], from[2];

    bench_must_sys(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC), "pipe");
    pid_t process = bench_fork();
    if (process == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl("/proc/self/exe", "reader", "reader", task->dir, task->key, NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    return (reader){process, to[1], from[0]};
}

static void tell(const reader *r, char command) {
    bench_must_sys(write(r->to, &command, 1) == 1, "a reader went");
}

static report hear(const reader *r) {
    report answer;
    bench_must_sys(read(r->from, &answer, sizeof answer) == sizeof answer,
                   "a reader went");
    return answer;
}

static report ask(const reader *r, char command) {
    tell(r, command);
    return hear(r);
}

static double total_pss(const reader *readers, int count) {
    double total = 0;
    for (int i = 0; i < count; i++)
        total += ask(&readers[i], 'm').pss_bytes;
    return total;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static void take(readers_result *result, const report *after, double sum) {
    if (after->sum != sum) {
        fprintf(stderr, "a reader found %.17g, not %.17g\n", after->sum, sum);
        exit(1);
    }
    result->seconds = larger(result->seconds, after->seconds);
}

static void run_in_turn(const readers_task *task, const reader *readers,
                        readers_result *result) {
    for (int i = 0; i < task->count; i++) {
        double pss = total_pss(readers, i + 1);
        report after = ask(&readers[i], 'r');
        take(result, &after, task->sum);
        if (i)
            result->pss_bytes =
                larger(result->pss_bytes, total_pss(readers, i + 1) - pss);
    }
}

static void run_at_once(const readers_task *task, const reader *readers,
                        readers_result *result) {
    for (int i = 0; i < task->count; i++)
        tell(&readers[i], 'r');
    for (int i = 0; i < task->count; i++) {
        report after = hear(&readers[i]);
        take(result, &after, task->sum);
    }
}

readers_result readers_run(const readers_task *task) {
    reader readers[MAX_READERS];
    double before[MAX_READERS];
    readers_result result = {0};
    int status;

    for (int i = 0; i < task->count; i++) {
        readers[i] = start(task);
        before[i] = ask(&readers[i], 'm').private_bytes;
    }
    if (task->at_once)
        run_at_once(task, readers, &result);
    else
        run_in_turn(task, readers, &result);
    /* What one process alone maps is private to it, of whatever kind: so at the end. */
    for (int i = 0; i < task->count; i++)
        result.private_bytes =
            larger(result.private_bytes, ask(&readers[i], 'm').private_bytes - before[i]);
    for (int i = 0; i < task->count; i++) {
        close(readers[i].to);
        close(readers[i].from);
    }
    for (int i = 0; i < task->count; i++)
        bench_must_sys(waitpid(readers[i].process, &status, 0) > 0 && status == 0,
                       "a reader");
    return result;
}
