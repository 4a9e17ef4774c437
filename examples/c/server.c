/* A pre-forked server: workers answer questions about one shared frame, line by line.
 *
 *     server [--port N] [--workers N] [--rows N] [--key KEY]
 *
 * The parent attaches and loads the frame once: the one under KEY if it is there, else
 * generated flights. Then it forks; each worker goes on with the parent's cache and gets
 * the frame anew for every question (nanoseconds), so that a frame that somebody puts
 * meanwhile is what the next question is about. Port 0 takes a free one and says which.
 *
 *     mean delay                  ->  12.5
 *     max delay by carrier        ->  AA=90 B6=71 UA=88
 *
 * The verbs are count, sum, mean, min, max. SIGTERM or SIGINT: workers answer what they
 * have read, and go; a worker that dies otherwise is replaced. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <framecache/framecache.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 64, MAX_GROUPS = 64, IDLE_SECONDS = 30 };

typedef struct settings {
    int port, workers;
    int64_t rows;
    const char *key;
} settings;

/* ---- The frame ---- */

/* Made-up flights: every tenth delay is missing. */
static int fill(fc_build *build, int64_t rows, fc_error *error) {
    static const char *const carriers[] = {"UA", "DL", "AA", "B6"};
    fc_target *delay = fc_build_column(build, 0);
    fc_target *distance = fc_build_column(build, 1);
    fc_target *carrier = fc_build_column(build, 2);

    int status = fc_build_nulls(build, delay, error);
    for (int64_t row = 0; row < rows && !status; row++) {
        ((double *)delay->values)[row] = (double)(row % 97) - 20;
        if (row % 10 == 9)
            delay->validity[row / 8] &= (uint8_t) ~(1u << (row % 8));
        ((int64_t *)distance->values)[row] = 100 + row % 2000;
        status = fc_build_append(build, carrier, fc_str(carriers[row % 4]), error);
    }
    return status;
}

static int generate(fc_cache *cache, const settings *set, fc_error *error) {
    const fc_field fields[] = {{"delay", "g"}, {"distance", "l"}, {"carrier", "u"}};
    struct ArrowSchema schema;
    fc_build *build;

    int status = fc_schema_init(&schema, fields, 3, error);
    if (status)
        return status;
    status =
        fc_build_begin(cache, fc_str(set->key), &schema, set->rows, NULL, &build, error);
    schema.release(&schema);
    if (status)
        return status;
    status = fill(build, set->rows, error);
    if (!status)
        return fc_build_commit(build, set->rows, NULL, error);
    fc_build_abort(build);
    return status;
}

static int load(fc_cache *cache, const settings *set, fc_error *error) {
    int status = fc_contains(cache, fc_str(set->key), error);
    return status == FC_E_MISS ? generate(cache, set, error) : status;
}

/* ---- Questions ---- */

typedef struct group {
    fc_bytes name; /* points into the frame */
    int64_t count;
    double sum, min, max;
} group;

typedef struct question {
    char verb[16], column[128], by[128]; /* by: empty if not asked */
} question;

typedef struct answer {
    char text[4096];
    size_t used;
} answer;

static double value_at(const fc_column *column, int64_t row) {
    return column->type == FC_TYPE_FLOAT64
               ? ((const double *)column->values)[row]
               : (double)((const int64_t *)column->values)[row];
}

/* The group of this name, or a new one; NULL: too many. */
static group *find_group(group *groups, int *count, fc_bytes name) {
    for (int i = 0; i < *count; i++)
        if (groups[i].name.size == name.size &&
            !memcmp(groups[i].name.data, name.data, name.size))
            return &groups[i];
    if (*count == MAX_GROUPS)
        return NULL;
    groups[*count] = (group){.name = name};
    return &groups[(*count)++];
}

static void add(group *g, double value) {
    g->min = g->count && g->min < value ? g->min : value;
    g->max = g->count && g->max > value ? g->max : value;
    g->sum += value;
    g->count++;
}

/* False: more groups than fit. */
static bool aggregate(const fc_column *column, const fc_column *by, group *groups,
                      int *count) {
    *count = 0;
    if (!by)
        groups[(*count)++] = (group){.count = 0};
    for (int64_t row = 0; row < column->rows; row++) {
        if (!fc_is_valid(column, row) || (by && !fc_is_valid(by, row)))
            continue;
        group *g = by ? find_group(groups, count, fc_bytes_at(by, row)) : groups;
        if (!g)
            return false;
        add(g, value_at(column, row));
    }
    return true;
}

static int compare_groups(const void *a, const void *b) {
    const group *x = a, *y = b;
    size_t shorter = x->name.size < y->name.size ? x->name.size : y->name.size;
    int order = shorter ? memcmp(x->name.data, y->name.data, shorter) : 0;
    return order ? order : (x->name.size > y->name.size) - (x->name.size < y->name.size);
}

static double result(const group *g, const char *verb) {
    if (!strcmp(verb, "count"))
        return (double)g->count;
    if (!strcmp(verb, "sum"))
        return g->sum;
    if (!strcmp(verb, "min"))
        return g->min;
    if (!strcmp(verb, "max"))
        return g->max;
    return g->count ? g->sum / (double)g->count : 0;
}

static void say(answer *out, const char *name, size_t name_bytes, double value) {
    size_t room = sizeof out->text - out->used;
    int bytes =
        snprintf(out->text + out->used, room, "%s%.*s%s%.15g", out->used ? " " : "",
                 (int)name_bytes, name, name_bytes ? "=" : "", value);
    out->used += (size_t)bytes < room ? (size_t)bytes : room - 1;
}

static int ask_frame(const fc_frame *frame, const question *q, answer *out,
                     fc_error *error) {
    group groups[MAX_GROUPS];
    const fc_column *column, *by = NULL;
    int count;

    int status = fc_frame_column(frame, q->column, FC_TYPE_ANY, &column, error);
    if (!status && q->by[0])
        status = fc_frame_column(frame, q->by, FC_TYPE_STRING, &by, error);
    if (status)
        return status;
    if (column->type != FC_TYPE_FLOAT64 && column->type != FC_TYPE_INT64) {
        snprintf(error->message, sizeof error->message, "column '%s' holds no numbers",
                 q->column);
        return FC_E_TYPE;
    }
    if (!aggregate(column, by, groups, &count)) {
        snprintf(error->message, sizeof error->message, "more than %d groups",
                 MAX_GROUPS);
        return FC_E_INVALID;
    }
    qsort(groups, (size_t)count, sizeof *groups, compare_groups);
    for (int i = 0; i < count; i++)
        say(out, groups[i].name.data, groups[i].name.size, result(&groups[i], q->verb));
    return 0;
}

static bool parse(const char *line, question *q) {
    static const char *const verbs[] = {"count", "sum", "mean", "min", "max"};
    char word[8] = "", rest[2] = "";

    *q = (question){.by = ""};
    int words =
        sscanf(line, "%15s %127s %7s %127s %1s", q->verb, q->column, word, q->by, rest);
    if (words != 2 && (words != 4 || strcmp(word, "by")))
        return false;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(q->verb, verbs[i]))
            return true;
    return false;
}

static void ask(fc_cache *cache, fc_bytes key, const char *line, answer *out) {
    fc_frame *frame;
    fc_error error;
    question q;

    out->used = 0;
    if (!parse(line, &q)) {
        snprintf(out->text, sizeof out->text,
                 "error: count|sum|mean|min|max COLUMN "
                 "[by COLUMN]");
        return;
    }
    int status = fc_get(cache, key, 0, &frame, &error);
    if (!status)
        status = ask_frame(frame, &q, out, &error);
    fc_frame_release(frame); /* NULL after a miss */
    if (status)
        snprintf(out->text, sizeof out->text, "error: %s", error.message);
}

/* ---- Workers ---- */

static volatile sig_atomic_t stopping;

static void stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
}

/* Lines are answered as they come, until the client is silent for long or goes. */
static void serve(fc_cache *cache, fc_bytes key, int client) {
    const struct timeval idle = {.tv_sec = IDLE_SECONDS};
    char line[512];
    answer out;

    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    FILE *stream = fdopen(client, "r");
    if (!stream) {
        close(client);
        return;
    }
    while (!stopping && fgets(line, sizeof line, stream)) {
        ask(cache, key, line, &out);
        if (dprintf(client, "%s\n", out.text) < 0)
            break;
    }
    fclose(stream);
}

/* SIGTERM is let in only while waiting, so that none is missed. A parent that died before
 * prctl() was called sends none. */
static int work(fc_cache *cache, fc_bytes key, int listener, const sigset_t *before,
                pid_t parent) {
    struct sigaction action = {.sa_handler = stop};
    sigset_t waiting = *before;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigaction(SIGTERM, &action, NULL);
    sigdelset(&waiting, SIGTERM);
    while (!stopping && getppid() == parent) {
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        if (ppoll(&wait, 1, NULL, &waiting) <= 0)
            continue;
        int client = accept(listener, NULL, NULL); /* another worker may be faster */
        if (client < 0)
            continue;
        sigprocmask(SIG_SETMASK, &waiting, NULL);
        serve(cache, key, client);
        sigprocmask(SIG_SETMASK, before, NULL);
    }
    fc_cache_close(cache);
    return 0;
}

/* ---- The parent ---- */

static int listen_on(int port, int *bound) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1;

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 64) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        close(listener);
        return -1;
    }
    *bound = ntohs(address.sin_port);
    return listener;
}

/* Keeps `workers` of them running until a signal says stop. */
static int supervise(fc_cache *cache, const settings *set, int listener,
                     const sigset_t *signals) {
    pid_t workers[MAX_WORKERS] = {0}, parent = getpid();
    int signal_number = SIGCHLD;

    while (signal_number == SIGCHLD) {
        for (pid_t gone; (gone = waitpid(-1, NULL, WNOHANG)) > 0;)
            for (int i = 0; i < set->workers; i++)
                workers[i] = workers[i] == gone ? 0 : workers[i];
        for (int i = 0; i < set->workers; i++)
            if (!workers[i] && (workers[i] = fork()) == 0)
                _exit(work(cache, fc_str(set->key), listener, signals, parent));
        sigwait(signals, &signal_number);
    }
    for (int i = 0; i < set->workers; i++)
        if (workers[i] > 0)
            kill(workers[i], SIGTERM);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 0;
}

static bool parse_settings(int argc, char **argv, settings *set) {
    *set = (settings){.port = 7070, .workers = 4, .rows = 1000000, .key = "flights"};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return false;
        if (!strcmp(argv[i], "--port"))
            set->port = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--workers"))
            set->workers = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--rows"))
            set->rows = atoll(argv[i + 1]);
        else if (!strcmp(argv[i], "--key"))
            set->key = argv[i + 1];
        else
            return false;
    }
    return set->port >= 0 && set->port < 65536 && set->workers > 0 &&
           set->workers <= MAX_WORKERS && set->rows >= 0;
}

int main(int argc, char **argv) {
    settings set;
    sigset_t signals;
    fc_cache *cache;
    fc_error error;
    int port;

    if (!parse_settings(argc, argv, &set))
        return fprintf(stderr, "usage: server [--port N] [--workers N] [--rows N] "
                               "[--key KEY]\n"),
               2;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (fc_cache_open(&cache, NULL, &error))
        return fprintf(stderr, "%s\n", error.message), 1;
    int listener = listen_on(set.port, &port);
    if (listener < 0)
        perror("listen");
    int status = listener < 0 ? 1 : load(cache, &set, &error);
    if (!status) {
        printf("listening on 127.0.0.1:%d\n", port);
        fflush(stdout);
        status = supervise(cache, &set, listener, &signals);
    } else if (listener >= 0) {
        fprintf(stderr, "%s\n", error.message);
    }
    fc_cache_close(cache);
    return status != 0;
}
