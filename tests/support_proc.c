#include "support_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Directories ---- */

#define ROOT "/dev/shm"

static char base[64];
static pid_t base_owner;

static int remove_one(const char *path, const struct stat *info, int type,
                      struct FTW *ftw) {
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path) && errno != ENOENT ? -1 : 0;
}

void remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void remove_base(void) {
    if (getpid() == base_owner)
        remove_tree(base);
}

/* What a program left that could not end in order: its pid stands in the name. */
static void remove_stale(void) {
    DIR *entries = opendir(ROOT);
    int pid;

    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (sscanf(entry->d_name, "fc-test-%d", &pid) == 1 && kill(pid, 0) < 0 &&
            errno == ESRCH) {
            char path[300];
            snprintf(path, sizeof path, ROOT "/%s", entry->d_name);
            remove_tree(path);
        }
    if (entries)
        closedir(entries);
}

const char *private_dir(void) {
    static char paths[512][96];
    static int count;

    if (!count) {
        remove_stale();
        base_owner = getpid();
        snprintf(base, sizeof base, ROOT "/fc-test-%d", (int)base_owner);
        assert_int_equal(mkdir(base, 0755), 0);
        atexit(remove_base);
    }
    assert_in_range(count, 0, 511);
    snprintf(paths[count], sizeof paths[count], "%s/%d", base, count);
    return paths[count++];
}

fc_options options_in(const char *dir) {
    return (fc_options){.size = sizeof(fc_options),
                        .flags = FC_NO_THREADS,
                        .dir = dir,
                        .budget = "64MiB",
                        .capacity = "256",
                        .janitor = "off",
                        .cold = "off"};
}

const char *private_dir_again(void) {
    static const char *path;

    if (!path)
        path = private_dir();
    remove_tree(path);
    return path;
}

/* For children too, so no cmocka here. */
fc_cache *open_with(const fc_options *options) {
    fc_cache *cache;
    fc_error error;

    if (fc_cache_open(&cache, options, &error)) {
        fprintf(stderr, "fc_cache_open: %s\n", error.message);
        CHECK(!"the cache opens");
    }
    return cache;
}

fc_cache *open_in(const char *dir) {
    fc_options options = options_in(dir);
    return open_with(&options);
}

fc_options cold_options(const char *dir) {
    fc_options options = options_in(dir);
    options.cold = "on";
    options.reclaim_wait = "30s"; /* else a slow machine drops what it has no time for */
    return options;
}

fc_cache *open_cold(const char *dir) {
    fc_options options = cold_options(dir);
    return open_with(&options);
}

/* ---- Frames ---- */

static void no_release_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void no_release_array(struct ArrowArray *array) {
    array->release = NULL;
}

int put_values(fc_cache *cache, fc_bytes key, int64_t rows, const int64_t *values,
               const fc_put_options *options, fc_frame **out, fc_error *error) {
    const void *buffers[2][2] = {{NULL, values}, {NULL, values + rows}};
    const void *none[1] = {NULL};
    struct ArrowSchema fields[2] = {
        {.format = "l", .name = "v", .release = no_release_schema},
        {.format = "l", .name = "w", .release = no_release_schema}};
    struct ArrowSchema *field_list[2] = {&fields[0], &fields[1]};
    struct ArrowSchema schema = {.format = "+s",
                                 .name = "",
                                 .n_children = 2,
                                 .children = field_list,
                                 .release = no_release_schema};
    struct ArrowArray columns[2];
    struct ArrowArray *column_list[2] = {&columns[0], &columns[1]};
    struct ArrowArray array = {.length = rows,
                               .n_buffers = 1,
                               .buffers = none,
                               .n_children = 2,
                               .children = column_list,
                               .release = no_release_array};

    for (int i = 0; i < 2; i++)
        columns[i] = (struct ArrowArray){.length = rows,
                                         .n_buffers = 2,
                                         .buffers = buffers[i],
                                         .release = no_release_array};
    return fc_put(cache, key, &schema, &array, options, out, error);
}

ROW_LOOP int put_numbers(fc_cache *cache, fc_bytes key, int64_t rows, int64_t first,
                         const fc_put_options *options, fc_frame **out, fc_error *error) {
    int64_t *numbers = malloc((size_t)rows * 16 + 16);

    for (int64_t i = 0; i < rows; i++) {
        numbers[i] = first + i;
        numbers[rows + i] = -(first + i);
    }
    int status = put_values(cache, key, rows, numbers, options, out, error);
    free(numbers);
    return status;
}

ROW_LOOP int put_doubles(fc_cache *cache, fc_bytes key, int64_t rows, int64_t missing,
                         fc_frame **out, fc_error *error) {
    double *values = malloc((size_t)rows * sizeof *values);
    const void *buffers[2] = {NULL, values};
    struct ArrowSchema schema = {
        .format = "g", .name = "x", .release = no_release_schema};
    struct ArrowArray array = {.length = rows,
                               .null_count = -1,
                               .n_buffers = 2,
                               .buffers = buffers,
                               .release = no_release_array};
    fc_put_options options = {.size = sizeof options, .flags = FC_PUT_MISSING};

    for (int64_t i = 0; i < rows; i++)
        values[i] = i == missing ? __builtin_nan("") : (double)i;
    int status = fc_put(cache, key, &schema, &array, &options, out, error);
    free(values);
    return status;
}

ROW_LOOP bool are_doubles(const fc_frame *frame, int64_t rows, int64_t missing) {
    const fc_column *x;
    bool same = !fc_frame_column(frame, "x", FC_TYPE_FLOAT64, &x, NULL) &&
                x->rows == rows && x->nulls == (missing >= 0 && missing < rows);

    for (int64_t i = 0; same && i < rows; i++)
        same = fc_is_valid(x, i) == (i != missing) &&
               (i == missing || ((const double *)x->values)[i] == (double)i);
    return same;
}

ROW_LOOP int begin_numbers(fc_cache *cache, fc_bytes key, int64_t rows, int64_t first,
                           const fc_put_options *options, fc_build **out,
                           fc_error *error) {
    static const fc_field fields[2] = {{"v", "l"}, {"w", "l"}};
    struct ArrowSchema schema;

    *out = NULL;
    int status = fc_schema_init(&schema, fields, 2, error);
    if (status)
        return status;
    status = fc_build_begin(cache, key, &schema, rows, options, out, error);
    schema.release(&schema);
    for (int column = 0; !status && column < 2; column++) {
        int64_t *values = fc_build_column(*out, column)->values;
        for (int64_t i = 0; i < rows; i++)
            values[i] = column ? -(first + i) : first + i;
    }
    return status;
}

ROW_LOOP bool are_numbers(const fc_frame *frame, int64_t rows, int64_t first) {
    const fc_column *v, *w;

    if (fc_frame_column(frame, "v", FC_TYPE_INT64, &v, NULL) ||
        fc_frame_column(frame, "w", FC_TYPE_INT64, &w, NULL) || v->rows != rows ||
        w->rows != rows)
        return false;
    const int64_t *up = v->values, *down = w->values;
    for (int64_t i = 0; i < rows; i++)
        if (up[i] != first + i || down[i] != -(first + i))
            return false;
    return true;
}

static uint64_t noise(uint64_t seed) { /* splitmix64 */
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int64_t noise_at(int64_t seed, int64_t row) {
    return (int64_t)noise((uint64_t)seed << 32 | (uint64_t)row);
}

ROW_LOOP void put_noise(fc_cache *cache, const char *key, int64_t rows, int64_t seed,
                        double cost_s) {
    fc_put_options options = {.size = sizeof options, .cost_s = cost_s};
    int64_t *values = malloc((size_t)rows * 16);

    CHECK(values != NULL);
    for (int64_t i = 0; i < 2 * rows; i++)
        values[i] = noise_at(seed, i);
    CHECK(put_values(cache, fc_str(key), rows, values, &options, NULL, NULL) == 0);
    free(values);
}

ROW_LOOP bool is_noise(const fc_frame *frame, int64_t rows, int64_t seed) {
    const fc_column *v, *w;

    if (fc_frame_column(frame, "v", FC_TYPE_INT64, &v, NULL) ||
        fc_frame_column(frame, "w", FC_TYPE_INT64, &w, NULL) || v->rows != rows)
        return false;
    for (int64_t i = 0; i < rows; i++)
        if (((const int64_t *)v->values)[i] != noise_at(seed, i) ||
            ((const int64_t *)w->values)[i] != noise_at(seed, rows + i))
            return false;
    return true;
}

void must_put(fc_cache *cache, const char *key, int64_t rows, int64_t first) {
    fc_error error = {0};

    if (put_numbers(cache, fc_str(key), rows, first, NULL, NULL, &error)) {
        fprintf(stderr, "put '%s': %s\n", key, error.message);
        CHECK(!"the put succeeds");
    }
}

fc_frame *must_get(fc_cache *cache, const char *key, int64_t rows, int64_t first) {
    fc_error error = {0};
    fc_frame *frame;

    if (fc_get(cache, fc_str(key), 0, &frame, &error)) {
        fprintf(stderr, "get '%s': %s\n", key, error.message);
        CHECK(!"the get succeeds");
    }
    CHECK(are_numbers(frame, rows, first));
    return frame;
}

void get_and_release(fc_cache *cache, const char *key, int64_t rows, int64_t first) {
    fc_frame_release(must_get(cache, key, rows, first));
}

bool is_cold(fc_cache *cache, const char *key) {
    fc_info info = {.size = sizeof info};
    fc_cursor *cursor;
    bool cold = false;

    CHECK(fc_cursor_open(cache, fc_str(key), &cursor, NULL) == 0);
    while (fc_cursor_next(cursor, &info, NULL) == 0)
        if (info.key.size == strlen(key))
            cold = info.cold;
    fc_cursor_close(cursor);
    return cold;
}

fc__reclaimed demote(fc_cache *cache, const char *key) {
    uint32_t slot;
    fc__hash hash = fc__hash_key(cache, fc_str(key));
    uint64_t word = fc__index_find(cache, hash, &slot);

    if (!word)
        return FC__GONE;
    fc__table_drop_key(cache, hash, word);
    return fc__demote(cache, fc__word_record(word),
                      fc__status(FC__LIVE, fc__word_generation(word)));
}

void must_demote(fc_cache *cache, const char *key) {
    CHECK(demote(cache, key) == FC__DONE);
    CHECK(is_cold(cache, key));
}

int64_t must_miss(fc_cache *cache, const char *key, fc_miss why) {
    fc_error error = {0};
    fc_frame *frame;

    CHECK(fc_get(cache, fc_str(key), 0, &frame, &error) == FC_E_MISS);
    CHECK(frame == NULL);
    if (error.miss != why)
        fprintf(stderr, "miss %d, not %d: %s\n", error.miss, why, error.message);
    CHECK(error.miss == why);
    return error.miss_age_ms;
}

uint64_t sequence_of(const fc_frame *frame) {
    fc_info info = {.size = sizeof info};

    CHECK(fc_frame_info(frame, &info, NULL) == 0);
    return info.sequence;
}

fc_stats stats_of(fc_cache *cache) {
    fc_stats stats = {.size = sizeof stats};

    CHECK(fc_cache_stats(cache, &stats, NULL) == 0);
    return stats;
}

/* ---- The whole cache ---- */

static char faults[4096];

static void __attribute__((format(printf, 1, 2))) fault(const char *format, ...) {
    size_t used = strlen(faults);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(faults + used, sizeof faults - used, format, arguments);
    va_end(arguments);
}

static int note_finding(void *context, const fc_finding *finding) {
    (void)context;
    if (finding->level <= FC_LEVEL_WARNING)
        fault("verify: %s: %s\n", finding->subject, finding->text);
    return 0;
}

static uint64_t files_units(fc_cache *cache, const char *folder) {
    int fd = openat(cache->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    bool cold = !strcmp(folder, "cold");
    uint64_t units = 0;

    if (!entries) {
        if (!cold)
            fault("%s: %s\n", folder, strerror(errno));
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat info;
        if (entry->d_name[0] == '.' || fstatat(dirfd(entries), entry->d_name, &info, 0))
            continue;
        unsigned long record = strtoul(entry->d_name, NULL, 16);
        units += fc__units((uint64_t)info.st_size);
        if (record >= cache->capacity ||
            fc__status_state(atomic_load(&cache->records[record].status)) != FC__LIVE ||
            (cold && !(cache->records[record].flags & FC__RECORD_COLD)))
            fault("left over: %s/%s (%lld bytes)\n", folder, entry->d_name,
                  (long long)info.st_size);
    }
    closedir(entries);
    return units;
}

static void find_twins(fc_cache *cache) {
    for (uint32_t i = 0; i < 2 * cache->capacity; i++)
        for (uint32_t j = 0; j < i; j++) {
            uint64_t a = fc__slot(cache, i), b = fc__slot(cache, j);
            if (!a || !b)
                continue;
            fc__record *x = &cache->records[fc__word_record(a)];
            fc__record *y = &cache->records[fc__word_record(b)];
            if (x == y || (x->hash_low == y->hash_low && x->hash_high == y->hash_high))
                fault("slots %u and %u hold one key\n", i, j);
        }
}

const char *faults_of(fc_cache *cache) {
    fc_error error = {0};

    faults[0] = 0;
    if (fc_cache_verify(cache, FC_VERIFY_DATA, note_finding, NULL, &error))
        fault("%s\n", error.message);
    uint64_t disk = fc__units(cache->control_bytes), sum;
    disk += files_units(cache, "frames") + files_units(cache, "cold");
    uint64_t used = fc__used_units(cache);
    sum = fc__units(cache->control_bytes);
    for (uint32_t i = 0; i < cache->capacity; i++) {
        fc__record *record = &cache->records[i];
        sum += record->charged;
        if (record->intent)
            fault("record %u: a charge under way\n", i);
        if (fc__status_state(record->status) == FC__WRITING)
            fault("record %u is being written\n", i);
    }
    if (used != disk || used != sum)
        fault("used %llu, charged %llu, on disk %llu pages\n", (unsigned long long)used,
              (unsigned long long)sum, (unsigned long long)disk);
    if (cache->capacity <= 1024)
        find_twins(cache);
    return faults;
}

void must_be_clean(fc_cache *cache) {
    faults[0] = 0;
    if (fc_cache_verify(cache, FC_VERIFY_DATA, note_finding, NULL, NULL)) {
        fprintf(stderr, "before gc: %s", faults);
        CHECK(!"the cache is sound");
    }
    must_be_clean_after_gc(cache);
}

void must_be_clean_after_gc(fc_cache *cache) {
    fc_error error = {0};

    if (fc_cache_tick(cache, FC_TICK_FULL, NULL, &error)) {
        fprintf(stderr, "tick: %s\n", error.message);
        CHECK(!"housekeeping works");
    }
    const char *found = faults_of(cache);
    if (*found) {
        fprintf(stderr, "%s", found);
        CHECK(!"the cache is clean");
    }
}

void must_be_clean_in(const char *dir) {
    fc_cache *cache = open_in(dir);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Processes ---- */

void check_failed(const char *file, int line, const char *text) {
    if (base_owner == getpid() || !base_owner)
        _fail(file, line); /* the test's own process: cmocka's way */
    fprintf(stderr, "%s:%d: process %d: %s\n", file, line, (int)getpid(), text);
    _exit(1);
}

pid_t spawn(void (*body)(void *), void *context) {
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    pid_t parent = getpid();

    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        signal(crashes[i], SIG_DFL); /* cmocka would go on with the next test */
    if (getppid() != parent)
        _exit(1);
    body(context);
    _exit(0);
}

static void bounded_wait(pid_t pid, int *state, int flags) {
    int64_t end = now_ms() + 120000;
    pid_t got;

    while ((got = waitpid(pid, state, WNOHANG | flags)) == 0 && now_ms() < end)
        sleep_ms(1);
    if (!got)
        kill(pid, SIGKILL);
    if (got != pid)
        fail_msg("process %d neither ended nor stopped in two minutes", (int)pid);
}

void must_end(pid_t pid) {
    int state = 0;

    bounded_wait(pid, &state, 0);
    if (!WIFEXITED(state) || WEXITSTATUS(state))
        fail_msg("process %d ended with state 0x%x", (int)pid, (unsigned)state);
}

void must_stop(pid_t pid) {
    int state = 0;

    bounded_wait(pid, &state, WUNTRACED);
    if (!WIFSTOPPED(state))
        fail_msg("process %d ended with state 0x%x before it came to stop", (int)pid,
                 (unsigned)state);
}

void must_die(pid_t pid) {
    int state = 0;

    bounded_wait(pid, &state, 0);
    if (!WIFSIGNALED(state) || WTERMSIG(state) != SIGKILL)
        fail_msg("process %d ended by itself, with state 0x%x", (int)pid,
                 (unsigned)state);
}

void kill_and_reap(pid_t pid) {
    kill(pid, SIGKILL);
    must_die(pid);
}

void *shared_memory(size_t bytes) {
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static const char *hooked_step;
static int hooked_signal;
static _Atomic int hooked_left;

static void hook(const char *step) {
    if (!strcmp(step, hooked_step) && --hooked_left == 0)
        kill(getpid(), hooked_signal);
}

static void signal_at_step(const char *step, int nth, int signal_number) {
    hooked_step = step;
    hooked_left = nth;
    hooked_signal = signal_number;
    fc__step_hook = hook;
}

void stop_at_step(const char *step, int nth) {
    signal_at_step(step, nth, SIGSTOP);
}

void die_at_step(const char *step, int nth) {
    signal_at_step(step, nth, SIGKILL);
}

int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int64_t duration_ms) {
    struct timespec duration = {.tv_sec = duration_ms / 1000,
                                .tv_nsec = duration_ms % 1000 * 1000000};
    nanosleep(&duration, NULL);
}

int count_descriptors(void) {
    DIR *entries = opendir("/proc/self/fd");
    int count = -1; /* its own */

    while (readdir(entries))
        count++;
    closedir(entries);
    return count - 2; /* "." and ".." */
}

int torture_seconds(int seconds) {
    const char *text = getenv("FC_TORTURE_SECONDS");
    return text && atoi(text) > 0 ? atoi(text) : seconds;
}
