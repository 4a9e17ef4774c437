/* The n-th system call or allocation fails, for every n until none is left, in all that a
 * program does with a cache. Each time: what failed says so with a code and a message;
 * the cache verifies clean; the same works when tried again; no descriptor stays open. */
#include "support_proc.h"

#include <dirent.h>

#define BIG 131072 /* rows: two segments of 1 MiB */

typedef struct fixture {
    fc_cache *cache; /* NULL: the scenario opens it */
    const char *dir;
    bool cold, spills;
} fixture;

typedef int (*scenario)(fixture *f, fc_error *error);

static const char *spill_dir(void) {
    static const char *path;
    if (!path)
        path = private_dir();
    return path;
}

static int spill_entries(void) {
    int count = 0;
    DIR *entries = opendir(spill_dir());
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    if (entries)
        closedir(entries);
    return count;
}

static fc_options options_of(const fixture *f) {
    fc_options options = options_in(f->dir);
    options.checksum = "commit";
    options.cold = f->cold ? "on" : "off";
    options.spill_dir = f->spills ? spill_dir() : NULL;
    options.reclaim_wait = f->cold ? "30s" : NULL; /* else a slow machine drops frames */
    return options;
}

static fc_cache *open_plain(const fixture *f) {
    fc_options options = options_of(f);
    return open_with(&options);
}

/* ---- What may fail ---- */

static int put_and_get(fixture *f, const char *key, int64_t rows, fc_error *error) {
    fc_frame *frame = NULL;
    int status = put_numbers(f->cache, fc_str(key), rows, 5, NULL, &frame, error);

    if (status) {
        assert_null(frame);
        return status;
    }
    assert_true(sequence_of(frame) > 0);
    fc_frame_release(frame);
    fc__table_drop_idle(f->cache, false); /* so that the get maps it anew */
    status = fc_get(f->cache, fc_str(key), FC_GET_MAP, &frame, error);
    if (status) {
        assert_null(frame);
        return status;
    }
    const fc_column *v = NULL, *w = NULL;
    if (!(status = fc_frame_column(frame, "v", FC_TYPE_INT64, &v, error)) &&
        !(status = fc_frame_column(frame, "w", FC_TYPE_INT64, &w, error)))
        assert_true(are_numbers(frame, rows, 5));
    fc_frame_release(frame);
    return status;
}

static int open_put_get(fixture *f, fc_error *error) {
    fc_options options = options_in(f->dir);
    int status = fc_cache_open(&f->cache, &options, error);

    if (status) {
        assert_null(f->cache);
        return status;
    }
    status = put_and_get(f, "key", 10, error);
    fc_cache_close(f->cache);
    f->cache = NULL;
    return status;
}

static int put_small(fixture *f, fc_error *error) {
    return put_and_get(f, "small", 3, error);
}

static int put_big(fixture *f, fc_error *error) {
    return put_and_get(f, "big", BIG, error);
}

/* The second replaces the first, the third writes into its files. */
static int put_again(fixture *f, int64_t rows, fc_error *error) {
    int status = 0;
    for (int i = 0; i < 3 && !status; i++)
        status = put_and_get(f, "again", rows, error);
    return status;
}

static int replace_small(fixture *f, fc_error *error) {
    return put_again(f, 3, error);
}

static int replace_big(fixture *f, fc_error *error) {
    return put_again(f, BIG, error);
}

static int met; /* how often a frame was written again */

static void count_again(const char *step) {
    met += !strcmp(step, "put-again");
}

/* Missing values that are met late, in a new file and in a recycled one. */
static int put_missing(fixture *f, fc_error *error) {
    int status = 0;
    fc__step_hook = count_again;
    for (int i = 0; i < 3 && !status; i++) {
        fc_frame *frame = NULL;
        met = 0;
        status = put_doubles(f->cache, fc_str("missing"), BIG, 77777, &frame, error);
        if (!status)
            assert_int_equal(met, 1);
        const fc_column *x;
        if (!status && !(status = fc_frame_column(frame, "x", FC_TYPE_FLOAT64, &x, error)))
            assert_true(are_doubles(frame, BIG, 77777));
        fc_frame_release(frame);
    }
    fc__step_hook = NULL;
    return status;
}

/* Segments of other sizes in the files of a bigger frame, and back. */
static int replace_by_other_sizes(fixture *f, fc_error *error) {
    static const int64_t rows[] = {BIG, BIG * 3 / 4, BIG, 100, BIG, BIG * 5 / 4};
    int status = 0;
    for (int i = 0; i < 6 && !status; i++)
        status = put_and_get(f, "sizes", rows[i], error);
    return status;
}

static int evicting_put(fixture *f, fc_error *error) {
    char name[16];
    int status = fc_cache_set_budget(f->cache, "5MiB", error); /* two frames */
    for (int i = 0; i < 4 && !status; i++) {
        snprintf(name, sizeof name, "evicting-%d", i);
        status = put_and_get(f, name, BIG, error);
    }
    if (!status)
        assert_true(stats_of(f->cache).evicted >= 2);
    return status;
}

static int delete_key(fixture *f, fc_error *error) {
    int status = put_and_get(f, "deleted", BIG, error);
    if (!status)
        status = fc_contains(f->cache, fc_str("deleted"), error);
    if (!status)
        status = fc_touch(f->cache, fc_str("deleted"), 100000, error);
    return status ? status : fc_delete(f->cache, fc_str("deleted"), error);
}

static int clear_all(fixture *f, fc_error *error) {
    uint64_t count;
    int status = put_and_get(f, "clear-1", BIG, error);
    if (!status)
        status = put_and_get(f, "clear-2", 3, error);
    if (!status)
        status = fc_delete_prefix(f->cache, fc_str("clear-2"), &count, error);
    return status ? status : fc_cache_clear(f->cache, &count, error);
}

static int build_rows(fixture *f, int64_t rows, fc_error *error) {
    fc_build *build;
    fc_frame *frame = NULL;
    int status = begin_numbers(f->cache, fc_str("built"), rows, 5, NULL, &build, error);

    if (status) {
        assert_null(build);
        return status;
    }
    status = fc_build_commit(build, rows * 3 / 4, &frame, error);
    if (status)
        assert_null(frame);
    fc_frame_release(frame);
    return status;
}

static int build_small(fixture *f, fc_error *error) {
    return build_rows(f, 40, error);
}

static int build_big(fixture *f, fc_error *error) {
    return build_rows(f, BIG, error);
}

/* Strings grow in memory, then move to a segment, which grows on. */
static int build_strings(fixture *f, fc_error *error) {
    static const fc_field field = {"text", "u"};
    static char text[100000];
    struct ArrowSchema schema;
    fc_build *build = NULL;
    int status = fc_schema_init(&schema, &field, 1, error);

    if (status)
        return status;
    status =
        fc_build_begin(f->cache, fc_str("strings"), &schema, 40, NULL, &build, error);
    schema.release(&schema);
    if (status) {
        assert_null(build);
        return status;
    }
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 40 && !status; i++)
        status = fc_build_append(build, fc_build_column(build, 0),
                                 (fc_bytes){text, sizeof text}, error);
    if (!status)
        return fc_build_commit(build, 40, NULL, error);
    fc_build_abort(build);
    return status;
}

static int walk(fixture *f, fc_error *error) {
    fc_info info = {.size = sizeof info};
    fc_cursor *cursor;
    int status = put_and_get(f, "walked", 3, error);

    if (!status)
        status = fc_cursor_open(f->cache, fc_str("w"), &cursor, error);
    if (status)
        return status;
    int met = 0;
    while ((status = fc_cursor_next(cursor, &info, error)) == 0)
        met++;
    fc_cursor_close(cursor);
    if (status == FC_DONE)
        assert_int_equal(met, 1);
    return status == FC_DONE ? 0 : status;
}

static int private_copy(fixture *f, fc_error *error) {
    int status = 0;
    for (int big = 0; big < 2 && !status; big++) {
        fc_frame *frame, *copy;
        const fc_column *column;
        status = put_numbers(f->cache, fc_str("private"), big ? BIG : 3, 5, NULL, &frame,
                             error);
        if (status)
            break;
        status = fc_frame_private(frame, &copy, error);
        fc_frame_release(frame);
        if (status)
            break;
        status = fc_frame_column(copy, "w", FC_TYPE_INT64, &column, error);
        if (!status)
            ((int64_t *)fc_writable(column))[1] = 1;
        fc_frame_release(copy);
    }
    return status;
}

static int keep_house(fixture *f, fc_error *error) {
    int status = put_and_get(f, "house", BIG, error);
    if (!status)
        status = put_and_get(f, "house", BIG, error);
    return status ? status : fc_cache_tick(f->cache, FC_TICK_FULL, NULL, error);
}

/* ---- The cold tier ---- */

#define COLD_ROWS ((int64_t)12000) /* 192,000 bytes, of which most can go */

static int get_big(fixture *f, const char *key, fc_error *error) {
    fc_frame *frame;
    const fc_column *v = NULL, *w = NULL;
    int status = fc_get(f->cache, fc_str(key), 0, &frame, error);

    if (status)
        return status;
    if (!(status = fc_frame_column(frame, "v", FC_TYPE_INT64, &v, error)) &&
        !(status = fc_frame_column(frame, "w", FC_TYPE_INT64, &w, error)))
        assert_true(are_numbers(frame, COLD_ROWS, 5));
    fc_frame_release(frame);
    return status;
}

static long moves; /* demotions that came to their end */

/* A demotion that fails is no error, and leaves the frame as it was. */
static int there_and_back(fixture *f, fc_error *error) {
    int status = put_numbers(f->cache, fc_str("cold"), COLD_ROWS, 5, NULL, NULL, error);

    for (int i = 0; i < 2 && !status; i++) { /* the second into recycled files */
        moves += demote(f->cache, "cold") == FC__DONE;
        status = get_big(f, "cold", error);
    }
    moves += !status && demote(f->cache, "cold") == FC__DONE;
    return status ? status : fc_delete(f->cache, fc_str("cold"), error);
}

static int with_cold(fixture *f, int (*run)(fixture *, fc_error *), fc_error *error) {
    fc_options options = options_of(f);
    int status = fc_cache_open(&f->cache, &options, error);

    if (status)
        return status;
    status = run(f, error);
    fc_cache_close(f->cache);
    f->cache = NULL;
    return status;
}

static int move_cold(fixture *f, fc_error *error) {
    f->cold = true;
    return with_cold(f, there_and_back, error);
}

static int move_spilled(fixture *f, fc_error *error) {
    f->cold = f->spills = true;
    return with_cold(f, there_and_back, error);
}

/* Each put compresses what was put before. */
static int put_where_others_compress(fixture *f, fc_error *error) {
    char name[16], budget[32];
    snprintf(budget, sizeof budget, "%llu",
             (unsigned long long)(f->cache->control_bytes + 3 * COLD_ROWS * 16));
    int status = fc_cache_set_budget(f->cache, budget, error);

    for (int i = 0; i < 4 && !status; i++) {
        snprintf(name, sizeof name, "room-%d", i);
        status = put_numbers(f->cache, fc_str(name), COLD_ROWS, 5, NULL, NULL, error);
    }
    for (int i = 0; i < 4 && !status; i++) {
        snprintf(name, sizeof name, "room-%d", i);
        if (fc_contains(f->cache, fc_str(name), error) == 0)
            status = get_big(f, name, error);
    }
    moves += (long)stats_of(f->cache).demoted;
    uint64_t count;
    return status ? status : fc_cache_clear(f->cache, &count, error);
}

static int compressing_put(fixture *f, fc_error *error) {
    f->cold = true;
    return with_cold(f, put_where_others_compress, error);
}

/* ---- One failure at a time ---- */

static void check_error(const char *kind, long n, int status, const fc_error *error) {
    if (!status)
        return;
    if (status < FC_E_SYSTEM || status > FC_E_MISS || error->code != status ||
        strlen(error->message) < 10)
        fail_msg("%s %ld: status %d (%s), code %d, message '%s'", kind, n, status,
                 fc_error_name(status), error->code, error->message);
}

static void must_work_again(const char *kind, long n, scenario run, fixture *f) {
    long before = moves;
    fc_error error = {0};
    fc_cache *cache = f->cache ? f->cache : open_plain(f);
    const char *found;

    if (fc_cache_tick(cache, FC_TICK_FULL, NULL, &error))
        fail_msg("%s %ld: tick: %s", kind, n, error.message);
    found = faults_of(cache);
    if (*found)
        fail_msg("%s %ld leaves: %s", kind, n, found);
    if (!f->cache)
        fc_cache_close(cache);
    if (run(f, &error))
        fail_msg("%s %ld: does not work again: %s", kind, n, error.message);
    if (f->spills && spill_entries() > 1)
        fail_msg("%s %ld: a former cache's spill directory stays", kind, n);
    if (f->cold && moves == before)
        fail_msg("%s %ld: nothing is compressed any more", kind, n);
}

/* A failure that the engine gets round (another record, no recycling) is no error. */
static long fail_each(int kind, scenario run, bool opens) {
    const char *name = kind == FC__FAULT_ALLOC ? "allocation" : "system call";
    long errors = 0, n, step = THREAD_SANITIZED ? 7 : 1; /* one thread, and slow */

    for (n = 1; n < 20000; n += step) {
        fixture f = {.dir = private_dir_again()};
        fc_error error = {0};
        int before = count_descriptors();
        if (!opens)
            f.cache = open_plain(&f);
        fc__fault_set(kind, n);
        int status = run(&f, &error);
        long passed = fc__fault_set(kind, 0);
        check_error(name, n, status, &error);
        errors += status != 0;
        must_work_again(name, n, run, &f);
        fc_cache_close(f.cache);
        if (count_descriptors() != before)
            fail_msg("%s %ld: %d descriptors, %d before", name, n, count_descriptors(),
                     before);
        if (passed < n)
            break;
    }
    assert_true(n > 1);
    return errors;
}

#define SCENARIO(name, opens)                                                            \
    static void name##_survives_each_failing_system_call(void **state) {                 \
        (void)state;                                                                     \
        assert_true(fail_each(FC__FAULT_SYSCALL, name, opens) > 0);                      \
    }                                                                                    \
    static void name##_survives_each_failing_allocation(void **state) {                  \
        (void)state;                                                                     \
        assert_true(fail_each(FC__FAULT_ALLOC, name, opens) > 0);                        \
    }

SCENARIO(open_put_get, true)
SCENARIO(put_small, false)
SCENARIO(put_big, false)
SCENARIO(replace_small, false)
SCENARIO(replace_big, false)
SCENARIO(put_missing, false)
SCENARIO(replace_by_other_sizes, false)
SCENARIO(evicting_put, false)
SCENARIO(delete_key, false)
SCENARIO(clear_all, false)
SCENARIO(build_small, false)
SCENARIO(build_big, false)
SCENARIO(build_strings, false)
SCENARIO(walk, false)
SCENARIO(private_copy, false)
SCENARIO(keep_house, false)
SCENARIO(move_cold, true)
SCENARIO(move_spilled, true)
SCENARIO(compressing_put, true)

#define BOTH(name)                                                                       \
    cmocka_unit_test(name##_survives_each_failing_system_call),                          \
        cmocka_unit_test(name##_survives_each_failing_allocation)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(open_put_get),  BOTH(put_small),    BOTH(put_big),
        BOTH(replace_small), BOTH(replace_big),  BOTH(replace_by_other_sizes),
        BOTH(put_missing),
        BOTH(evicting_put),  BOTH(delete_key),   BOTH(clear_all),
        BOTH(build_small),   BOTH(build_big),    BOTH(build_strings),
        BOTH(walk),          BOTH(private_copy), BOTH(keep_house),
        BOTH(move_cold),     BOTH(move_spilled), BOTH(compressing_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
