/* Shared columns: what is linked instead of copied, what is not, and that nobody's bytes
 * change by it. */
#include "support_proc.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 200 * 1000 }; /* two columns of 1.6 MB, each a segment of its own */

static fc_frame *put_base(fc_cache *cache) {
    must_put(cache, "base", ROWS, 7);
    fc_frame *frame = must_get(cache, "base", ROWS, 7);
    return frame;
}

static void put_again(fc_cache *cache, const char *key, fc_frame *frame) {
    struct ArrowSchema schema;
    struct ArrowArray array;
    fc_error error;

    assert_int_equal(fc_frame_export_schema(frame, &schema, &error), 0);
    assert_int_equal(fc_frame_export_array(frame, NULL, &array, &error), 0);
    assert_int_equal(fc_put(cache, fc_str(key), &schema, &array, NULL, NULL, &error), 0);
    array.release(&array);
    schema.release(&schema);
}

static fc_cache *open_big(const char *dir, const char *checksum) {
    fc_options options = options_in(dir);
    options.budget = "64MiB";
    options.checksum = checksum;
    return open_with(&options);
}

static uint64_t shared_bytes(fc_frame *frame) {
    fc_info info = {.size = sizeof info};
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    return info.shared_bytes;
}

static void columns_of_a_mapped_frame_are_linked(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_big(dir, NULL);
    fc_frame *base = put_base(cache);
    uint64_t fresh = stats_of(cache).fresh_bytes;
    (void)state;

    assert_int_equal(shared_bytes(base), 0);
    put_again(cache, "copy", base);
    fc_stats stats = stats_of(cache);
    assert_int_equal(stats.linked_columns, 2);
    assert_int_equal(stats.fresh_bytes, fresh);
    assert_true(stats.shared_bytes >= 2 * ROWS * 8);
    assert_int_equal(shared_bytes(base), stats.linked_bytes);
    fc_frame *copy = must_get(cache, "copy", ROWS, 7);
    assert_int_equal(shared_bytes(copy), stats.linked_bytes);
    assert_string_equal(faults_of(cache), "");
    fc_frame_release(base);
    assert_int_equal(fc_delete(cache, fc_str("base"), NULL), 0);
    assert_true(are_numbers(copy, ROWS, 7));
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(shared_bytes(copy), 0);
    fc_frame_release(copy);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void only_the_new_column_of_a_wider_frame_is_written(void **state) {
    fc_cache *cache = open_big(private_dir(), NULL);
    fc_frame *base = put_base(cache), *one;
    int64_t twice[] = {0, 1, 0};
    (void)state;

    assert_int_equal(fc_frame_select(base, twice, 2, &one, NULL), 0);
    uint64_t fresh = stats_of(cache).fresh_bytes;
    put_again(cache, "two", one);
    assert_int_equal(stats_of(cache).fresh_bytes, fresh);
    fc_frame_release(one);
    assert_int_equal(fc_frame_select(base, twice + 1, 1, &one, NULL), 0);
    put_again(cache, "w", one);
    assert_int_equal(stats_of(cache).linked_columns, 3);
    fc_frame_release(one);
    fc_frame_release(base);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* The last rows of a slice stand where the padding of a shorter column would. */
static void slices_are_copied(void **state) {
    fc_cache *cache = open_big(private_dir(), NULL);
    fc_frame *base = put_base(cache), *slice;
    const int64_t cuts[][2] = {{0, ROWS - 1}, {0, ROWS - 8}, {1, ROWS - 1}, {512, ROWS - 512}};
    (void)state;

    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(fc_frame_slice(base, cuts[i][0], cuts[i][1], &slice, NULL), 0);
        put_again(cache, "slice", slice);
        fc_frame_release(slice);
        fc_frame_release(must_get(cache, "slice", cuts[i][1], 7 + cuts[i][0]));
    }
    assert_int_equal(stats_of(cache).linked_columns, 0);
    fc_frame_release(base);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void a_stored_to_private_column_is_copied_and_its_neighbour_linked(void **state) {
    fc_cache *cache = open_big(private_dir(), NULL);
    fc_frame *base = put_base(cache), *private;
    const fc_column *column;
    (void)state;

    assert_int_equal(fc_frame_private(base, &private, NULL), 0);
    put_again(cache, "clean", private);
    assert_int_equal(stats_of(cache).linked_columns, 2);
    assert_int_equal(fc_frame_column(private, "v", FC_TYPE_INT64, &column, NULL), 0);
    ((int64_t *)fc_writable(column))[ROWS / 2] = -1;
    put_again(cache, "stored", private);
    assert_int_equal(stats_of(cache).linked_columns, 3);
    fc_frame_release(private);
    fc_frame_release(must_get(cache, "clean", ROWS, 7));
    assert_true(are_numbers(base, ROWS, 7));
    assert_int_equal(fc_get(cache, fc_str("stored"), 0, &private, NULL), 0);
    assert_int_equal(fc_frame_column(private, "v", FC_TYPE_INT64, &column, NULL), 0);
    assert_int_equal(((const int64_t *)column->values)[ROWS / 2], -1);
    fc_frame_release(private);
    fc_frame_release(base);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void put_with_flags(fc_cache *cache, const char *key, fc_frame *frame,
                           uint32_t flags) {
    fc_put_options options = {.size = sizeof options, .flags = flags};
    struct ArrowSchema schema;
    struct ArrowArray array;
    fc_error error;

    assert_int_equal(fc_frame_export_schema(frame, &schema, &error), 0);
    assert_int_equal(fc_frame_export_array(frame, NULL, &array, &error), 0);
    assert_int_equal(fc_put(cache, fc_str(key), &schema, &array, &options, NULL, &error), 0);
    array.release(&array);
    schema.release(&schema);
}

/* FC_E_MISS, or 0 if it is column `name`, of which these are the first values. */
static int find(fc_cache *cache, const void *values, uint64_t bytes, const char *name) {
    const fc_column *column;
    const uint8_t *validity;
    fc_frame *frame;
    int status = fc_find_column(cache, values, bytes, &frame, &column, &validity);

    if (status) {
        assert_null(frame);
        assert_null(column);
        return status;
    }
    assert_string_equal(column->name, name);
    assert_memory_equal(column->values, values, bytes);
    assert_null(validity);
    fc_frame_release(frame);
    return 0;
}

static void only_whole_untouched_columns_of_marked_frames_are_found(void **state) {
    fc_cache *cache = open_big(private_dir(), NULL);
    fc_frame *base = put_base(cache), *marked, *private;
    const fc_column *v, *w;
    const uint64_t bytes = ROWS * 8;
    static const int64_t elsewhere[ROWS];
    (void)state;

    assert_int_equal(fc_frame_column(base, "v", FC_TYPE_INT64, &v, NULL), 0);
    assert_int_equal(find(cache, v->values, bytes, "v"), FC_E_MISS); /* not marked */
    put_with_flags(cache, "marked", base, FC_PUT_MARKED);
    marked = must_get(cache, "marked", ROWS, 7);
    assert_int_equal(fc_frame_column(marked, "v", FC_TYPE_INT64, &v, NULL), 0);
    assert_int_equal(find(cache, v->values, bytes, "v"), 0);
    assert_int_equal(find(cache, v->values, bytes - 8, "v"), FC_E_MISS);
    assert_int_equal(find(cache, (const int64_t *)v->values + 1, bytes - 8, "v"), FC_E_MISS);
    assert_int_equal(find(cache, elsewhere, bytes, "v"), FC_E_MISS);
    assert_int_equal(fc_frame_private(marked, &private, NULL), 0);
    fc_frame_release(marked);
    assert_int_equal(fc_delete(cache, fc_str("marked"), NULL), 0); /* its copy is alive */
    assert_int_equal(fc_frame_column_at(private, 0, &v, NULL), 0);
    assert_int_equal(fc_frame_column_at(private, 1, &w, NULL), 0);
    assert_int_equal(find(cache, v->values, bytes, v->name), 0);
    ((int64_t *)fc_writable(v))[ROWS - 1] = -1;
    assert_int_equal(find(cache, v->values, bytes, v->name), FC_E_MISS);
    assert_int_equal(find(cache, w->values, bytes, w->name), 0);
    fc_frame_release(private);
    fc_frame_release(base);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* A file with two names is never written again, whoever of the two goes first. */
static void recycling_spares_what_another_frame_holds(void **state) {
    fc_cache *cache = open_big(private_dir(), NULL);
    fc_frame *base = put_base(cache);
    (void)state;

    put_again(cache, "copy", base);
    fc_frame_release(base);
    for (int i = 0; i < 5; i++) {
        must_put(cache, "base", ROWS, 1000 + i); /* the replaced ones go to the pool */
        fc_frame_release(must_get(cache, "copy", ROWS, 7));
        fc_frame_release(must_get(cache, "base", ROWS, 1000 + i));
    }
    assert_true(stats_of(cache).recycled_bytes > 0);
    fc_frame_release(must_get(cache, "copy", ROWS, 7));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void recycle(void *context) {
    fc_cache *cache = open_big(context, NULL);
    stop_at_step("sole-leased", 1);
    must_put(cache, "new", ROWS, 9); /* finds the files of "copy" in the pool */
    fc_frame_release(must_get(cache, "new", ROWS, 9));
}

/* While a process has a write lease on a file, nobody can open it. */
static void no_writer_takes_a_lease_on_a_file_that_another_frame_has(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_big(dir, NULL);
    fc_frame *base = put_base(cache);
    (void)state;

    put_again(cache, "copy", base);
    fc_frame_release(base);
    fc__table_drop_idle(cache, false);
    assert_int_equal(fc_delete(cache, fc_str("copy"), NULL), 0);
    assert_true(stats_of(cache).pool_bytes > 0);
    must_end(spawn(recycle, (void *)dir));
    fc_frame_release(must_get(cache, "base", ROWS, 7));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void hold_file(void *context) {
    int fd = open(context, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
    raise(SIGSTOP);
}

static void a_file_that_another_process_holds_is_busy_and_no_damage(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_big(dir, NULL);
    const fc_column *column;
    fc_error error;
    char path[300];
    (void)state;

    must_put(cache, "base", ROWS, 7);
    fc_frame *frame = NULL;
    assert_int_equal(fc_get(cache, fc_str("base"), 0, &frame, NULL), 0);
    fc_info info = {.size = sizeof info};
    assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    snprintf(path, sizeof path, "%s/frames/%06x.s0", dir, info.record);
    pid_t pid = spawn(hold_file, path);
    must_stop(pid);
    assert_int_equal(fc_frame_column_at(frame, 0, &column, &error), FC_E_BUSY);
    assert_non_null(strstr(error.message, "'base'"));
    assert_non_null(strstr(error.message, "try again"));
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), 0);
    kill_and_reap(pid);
    assert_true(are_numbers(frame, ROWS, 7));
    fc_frame_release(frame);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void checksums_of_linked_columns_stand(void **state) {
    fc_cache *cache = open_big(private_dir(), "map");
    fc_frame *base = put_base(cache);
    (void)state;

    put_again(cache, "copy", base);
    assert_int_equal(stats_of(cache).linked_columns, 2);
    fc_frame_release(base);
    fc_frame_release(must_get(cache, "copy", ROWS, 7));
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void use_copy(void *context) {
    fc_cache *cache = open_big(context, NULL);
    fc_frame *base = must_get(cache, "base", ROWS, 7);
    die_at_step("put-committed", 1);
    put_again(cache, "copy", base);
}

static void a_kill_while_linking_leaves_nothing(void **state) {
    const char *dir = private_dir();
    fc_cache *cache = open_big(dir, NULL);
    fc_frame *base = put_base(cache);
    (void)state;

    must_die(spawn(use_copy, (void *)dir));
    assert_true(are_numbers(base, ROWS, 7));
    must_miss(cache, "copy", FC_MISS_NEVER);
    fc_frame_release(base);
    must_be_clean(cache);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_a_mapped_frame_are_linked),
        cmocka_unit_test(only_the_new_column_of_a_wider_frame_is_written),
        cmocka_unit_test(slices_are_copied),
        cmocka_unit_test(a_stored_to_private_column_is_copied_and_its_neighbour_linked),
        cmocka_unit_test(only_whole_untouched_columns_of_marked_frames_are_found),
        cmocka_unit_test(recycling_spares_what_another_frame_holds),
        cmocka_unit_test(no_writer_takes_a_lease_on_a_file_that_another_frame_has),
        cmocka_unit_test(a_file_that_another_process_holds_is_busy_and_no_damage),
        cmocka_unit_test(checksums_of_linked_columns_stand),
        cmocka_unit_test(a_kill_while_linking_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
