/* Damaged, foreign and vanished files: a cache may forget, it may not lie nor crash. */
#include "support_proc.h"

#include "frames/frames.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 131072 /* two segments of 1 MiB */

static int open_file(const char *dir, const char *name, int flags) {
    char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void fill(const char *dir) {
    fc_cache *cache = open_in(dir);
    must_put(cache, "small", 3, 1);
    must_put(cache, "big", ROWS, 2);
    fc_cache_close(cache);
}

static int count_files(const char *dir) {
    char path[200];
    int count = -2;

    snprintf(path, sizeof path, "%s/frames", dir);
    DIR *entries = opendir(path);
    while (readdir(entries))
        count++;
    closedir(entries);
    return count;
}

/* Empty, and in working order. */
static void must_be_made_anew(const char *dir) {
    fc_cache *cache = open_in(dir);

    must_miss(cache, "small", FC_MISS_NEVER);
    must_miss(cache, "big", FC_MISS_NEVER);
    assert_int_equal(count_files(dir), 0);
    must_put(cache, "small", 3, 9);
    fc_frame_release(must_get(cache, "small", 3, 9));
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- control ---- */

static void truncated_control_means_an_empty_cache(void **state) {
    const char *dir = private_dir_again();
    struct stat info;
    (void)state;

    fill(dir);
    int fd = open_file(dir, "control", O_RDWR);
    assert_int_equal(fstat(fd, &info), 0);
    close(fd);
    const off_t lengths[] = {
        0, 1, 63, 4096, info.st_size / 2, info.st_size - 1, info.st_size + 4096};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        dir = private_dir_again();
        fill(dir);
        fd = open_file(dir, "control", O_RDWR);
        assert_int_equal(ftruncate(fd, lengths[i]), 0);
        close(fd);
        must_be_made_anew(dir);
    }
}

static void missing_control_means_an_empty_cache(void **state) {
    const char *dir = private_dir_again();
    char path[200];
    (void)state;

    fill(dir);
    snprintf(path, sizeof path, "%s/control", dir);
    assert_int_equal(unlink(path), 0);
    must_be_made_anew(dir);
}

static void overwrite(const char *dir, off_t from, size_t bytes, uint64_t seed) {
    uint8_t *noise = malloc(bytes);
    int fd = open_file(dir, "control", O_RDWR);

    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        noise[i] = (uint8_t)(seed >> 56);
    }
    assert_int_equal(pwrite(fd, noise, bytes, from), bytes);
    close(fd);
    free(noise);
}

static void control_of_random_bytes_means_an_empty_cache(void **state) {
    struct stat info;
    (void)state;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        const char *dir = private_dir_again();
        fill(dir);
        int fd = open_file(dir, "control", O_RDWR);
        assert_int_equal(fstat(fd, &info), 0);
        close(fd);
        overwrite(dir, 0, (size_t)info.st_size, seed);
        must_be_made_anew(dir);
    }
}

/* Any 200 bytes behind the identity: forgotten or not, nothing false is told. */
static void control_with_random_patches_lies_to_nobody(void **state) {
    uint64_t kept = 0, seed = 77;
    (void)state;

    for (int i = 0; i < 150; i++) {
        const char *dir = private_dir_again();
        fc_error error = {0};
        fc_frame *frame;
        fc_cache *cache;
        struct stat info;
        fill(dir);
        int fd = open_file(dir, "control", O_RDWR);
        assert_int_equal(fstat(fd, &info), 0);
        close(fd);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        off_t at = (off_t)((seed >> 20) % (uint64_t)(info.st_size - 200));
        overwrite(dir, at, 200, seed);
        fc_options options = options_in(dir);
        int status = fc_cache_open(&cache, &options, &error);
        if (status == FC_E_VERSION)
            continue;
        assert_int_equal(status, 0);
        status = fc_get(cache, fc_str("big"), 0, &frame, &error);
        assert_true(status == 0 || status == FC_E_MISS || status == FC_E_CORRUPT);
        if (!status)
            assert_true(are_numbers(frame, ROWS, 2));
        kept += status == 0;
        fc_frame_release(frame);
        status = put_numbers(cache, fc_str("new"), 5, 5, NULL, NULL, &error);
        assert_true(status == 0 || status == FC_E_BUDGET);
        if (!status)
            fc_frame_release(must_get(cache, "new", 5, 5));
        fc_cache_close(cache);
        cache = open_in(dir); /* alone again: what does not hold is made anew */
        must_be_clean(cache);
        fc_cache_close(cache);
    }
    assert_true(kept > 0); /* patches of ghosts or counters cost no frame */
}

static void control_of_another_boot_means_an_empty_cache(void **state) {
    const char *dir = private_dir_again();
    (void)state;

    fill(dir);
    int fd = open_file(dir, "control", O_RDWR);
    assert_int_equal(pwrite(fd, "1", 1, offsetof(fc__control, boot_id) + 3), 1);
    assert_int_equal(pwrite(fd, "2", 1, offsetof(fc__control, boot_id) + 4), 1);
    close(fd);
    must_be_made_anew(dir);
}

static void newer_format_is_refused_and_nothing_is_touched(void **state) {
    const char *dir = private_dir_again();
    fc_options options = options_in(dir);
    uint32_t version = FC__CONTROL_VERSION + 1, found;
    struct stat before, after;
    fc_cache *cache;
    fc_error error;
    (void)state;

    fill(dir);
    int files = count_files(dir);
    int fd = open_file(dir, "control", O_RDWR);
    assert_int_equal(pwrite(fd, &version, 4, offsetof(fc__control, version)), 4);
    assert_int_equal(fstat(fd, &before), 0);
    for (uint32_t flags = 0; flags < 2; flags++) {
        options.flags = flags ? FC_RDONLY : FC_NO_THREADS;
        assert_int_equal(fc_cache_open(&cache, &options, &error), FC_E_VERSION);
        assert_null(cache);
        assert_non_null(strstr(error.message, "upgrade"));
    }
    assert_int_equal(count_files(dir), files);
    assert_int_equal(pread(fd, &found, 4, offsetof(fc__control, version)), 4);
    assert_int_equal(found, version);
    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    close(fd);
}

static void damaged_control_is_not_made_anew_under_others(void **state) {
    const char *dir = private_dir_again();
    fc_options options = options_in(dir);
    fc_cache *second;
    fc_error error;
    (void)state;

    fc_cache *first = open_in(dir);
    must_put(first, "key", 3, 1);
    fc_frame *frame = must_get(first, "key", 3, 1);
    uint64_t magic = first->control->magic;
    first->control->magic = 5;
    assert_int_equal(fc_cache_open(&second, &options, &error), FC_E_BUSY);
    assert_true(are_numbers(frame, 3, 1));
    first->control->magic = magic;
    second = open_with(&options);
    fc_frame_release(must_get(second, "key", 3, 1));
    fc_cache_close(second);
    fc_frame_release(frame);
    must_be_clean(first);
    fc_cache_close(first);
}

/* ---- Manifests and segments ---- */

static void name_of(fc_cache *cache, const char *key, char out[24], int segment) {
    char name[16];
    uint32_t slot;
    uint64_t word = fc__index_find(cache, fc__hash_key(cache, fc_str(key)), &slot);

    assert_true(word != 0);
    fc__manifest_name(name, fc__word_record(word));
    snprintf(out, 24, segment < 0 ? "%s" : "%s.s%d", name, segment);
}

static int open_frame_file(fc_cache *cache, const char *key, int segment) {
    char name[24];

    name_of(cache, key, name, segment);
    fc__table_drop_idle(cache, false);
    int fd = openat(cache->frames, name, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* A get of a frame whose manifest was changed: it says so once, or misses; then misses.
 */
static void must_be_dropped(fc_cache *cache, const char *key, long at) {
    fc_error error = {0};
    fc_frame *frame;
    int status = fc_get(cache, fc_str(key), 0, &frame, &error);

    if (status != FC_E_CORRUPT && status != FC_E_MISS)
        fail_msg("byte %ld: %s %s", at, fc_error_name(status), error.message);
    assert_null(frame);
    if (status == FC_E_CORRUPT)
        assert_non_null(strstr(error.message, "put it again"));
    status = fc_get(cache, fc_str(key), 0, &frame, &error);
    if (status != FC_E_MISS || error.miss != FC_MISS_CORRUPT)
        fail_msg("byte %ld, once more: %s %s", at, fc_error_name(status), error.message);
}

static void flip_each_byte(int64_t rows, size_t from, size_t limit, size_t step) {
    fc_cache *cache = open_in(private_dir_again());
    uint8_t byte;

    must_put(cache, "key", rows, 1);
    /* Behind the body lies the data, which the manifest's own checksum does not cover. */
    fc_frame *frame = must_get(cache, "key", rows, 1);
    const fc__manifest *m = ((fc__handle *)fc__frame_context(frame))->manifest;
    size_t end = (size_t)(m->body_offset + m->body_bytes);
    fc_frame_release(frame);
    for (size_t at = from; at < end && at < limit; at += step) {
        if (at >= offsetof(fc__manifest, dead) && at < offsetof(fc__manifest, dead) + 4)
            continue; /* a mark, not damage: below */
        must_put(cache, "key", rows, 1);
        int fd = open_frame_file(cache, "key", -1);
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        byte ^= (uint8_t)(1u << at % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        close(fd);
        must_be_dropped(cache, "key", (long)at);
    }
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void every_flipped_byte_of_a_manifest_is_found_out(void **state) {
    (void)state;
    flip_each_byte(3, 0, 100000, 1);
}

static void every_flipped_byte_of_a_big_frames_manifest_is_found_out(void **state) {
    (void)state;
    flip_each_byte(ROWS, 0, sizeof(fc__manifest) + 64, 1);
}

/* A walk reads envelope, key and tags without the checksum. */
static void a_walk_over_a_damaged_envelope_skips_it(void **state) {
    static const struct {
        size_t at;
        uint32_t value;
    } damage[] = {{offsetof(fc__manifest, tag_count), 6000},
                  {offsetof(fc__manifest, tag_count), FC__MAX_TAGS + 1},
                  {offsetof(fc__manifest, key_bytes), 0},
                  {offsetof(fc__manifest, key_bytes), FC__KEY_BYTES + 1},
                  {offsetof(fc__manifest, version), FC__MANIFEST_VERSION + 1}};
    char ones[FC__TAGS_BYTES];
    fc_info info = {.size = sizeof info};
    fc_cursor *cursor;
    uint64_t count;
    (void)state;

    memset(ones, 1, sizeof ones); /* as tags: one of a byte in each two */
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        fc_cache *cache = open_in(private_dir_again());
        must_put(cache, "key", 3700, 1);
        int fd = open_frame_file(cache, "key", -1);
        assert_true(pwrite(fd, ones, sizeof ones, sizeof(fc__manifest) + 3) > 0);
        assert_int_equal(
            pwrite(fd, &damage[i].value, sizeof(uint32_t), (off_t)damage[i].at), 4);
        close(fd);
        assert_int_equal(fc_cursor_open(cache, fc_str(""), &cursor, NULL), 0);
        assert_int_equal(fc_cursor_next(cursor, &info, NULL), FC_DONE);
        fc_cursor_close(cursor);
        assert_int_equal(fc_delete_tag(cache, fc_str("\x01"), &count, NULL), 0);
        assert_int_equal(count, 0);
        must_be_dropped(cache, "key", (long)damage[i].at);
        fc_cache_close(cache);
    }
}

/* A thread stores another number into the file, again and again. */
typedef struct flicker {
    _Atomic uint32_t *place;
    uint32_t values[2];
    _Atomic bool stop;
} flicker;

static void *flicker_main(void *context) {
    flicker *f = context;
    for (int i = 0; !atomic_load(&f->stop); i++) {
        atomic_store(f->place, f->values[i & 1]);
        for (volatile int wait = 0; wait < 60; wait++)
            ;
    }
    return NULL;
}

/* What is wrong is told, and nothing is read but what was checked; whatever was mapped before
 * the first store is as it was. */
static void read_beside_stores_to(fc_cache *cache, fc_frame *frame, size_t at, uint32_t other) {
    const fc__handle *handle = fc__frame_context(frame);
    fc__handle *again = NULL;
    const fc_column *column;
    pthread_t thread;
    bool held;
    int fd = open_frame_file(cache, "key", -1);
    char *file =
        mmap(NULL, handle->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(file != MAP_FAILED);
    close(fd);
    flicker f = {.place = (_Atomic uint32_t *)(file + at)};
    f.values[0] = *f.place;
    f.values[1] = other;
    pthread_create(&thread, NULL, flicker_main, &f);
    for (int i = 0; i < 3000; i++) {
        fc_frame *view;
        assert_int_equal(fc_frame_private(frame, &view, NULL), 0);
        assert_int_equal(fc_frame_column_at(view, 0, &column, NULL), 0);
        fc_frame_release(view);
        int status = fc__verify_lease(cache, handle->hash, fc_str("key"), handle->word,
                                      handle->slot, &again, &held);
        assert_true(!status || status == FC_E_CORRUPT || status == FC_E_BUSY);
        if (!status)
            assert_true(are_numbers(again->frame, 3, 1));
        if (!status)
            fc__handle_release(again);
    }
    atomic_store(&f.stop, true);
    pthread_join(thread, NULL);
    atomic_store(f.place, f.values[0]);
    munmap(file, handle->map_bytes);
    assert_true(are_numbers(frame, 3, 1));
}

static void a_manifest_that_changes_while_it_is_read_misleads_nobody(void **state) {
    static const size_t envelope[] = {
        offsetof(fc__manifest, key_bytes),       offsetof(fc__manifest, segment_count),
        offsetof(fc__manifest, tag_count),       offsetof(fc__manifest, segments_offset),
        offsetof(fc__manifest, body_offset),     offsetof(fc__manifest, body_bytes),
        offsetof(fc__manifest, data_offset),     offsetof(fc__manifest, data_bytes)};
    static const size_t body[] = {/* of the header; then of the root and of its first column */
                                  24, 28, 32, 36, 40, 44, 48, 56, 72 + 32, 72 + 36,
                                  72 + 88, 72 + 88 + 4, 72 + 88 + 32, 72 + 88 + 36,
                                  72 + 88 + 40, 72 + 88 + 44, 72 + 88 + 48, 72 + 88 + 56};
    fc_cache *cache = open_in(private_dir_again());
    (void)state;

    must_put(cache, "key", 3, 1);
    fc_frame *frame = must_get(cache, "key", 3, 1);
    const fc__manifest *m = ((fc__handle *)fc__frame_context(frame))->manifest;
    for (size_t i = 0; i < sizeof envelope / sizeof *envelope; i++)
        read_beside_stores_to(cache, frame, envelope[i], 0x7fffff);
    for (size_t i = 0; i < sizeof body / sizeof *body; i++)
        read_beside_stores_to(cache, frame, (size_t)m->body_offset + body[i], 40);
    fc_frame_release(frame);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void frame_marked_dead_is_never_served(void **state) {
    fc_cache *cache = open_in(private_dir_again());
    uint32_t mark = 1;
    fc_frame *frame;
    (void)state;

    must_put(cache, "key", 3, 1);
    int fd = open_frame_file(cache, "key", -1);
    assert_int_equal(pwrite(fd, &mark, 4, offsetof(fc__manifest, dead)), 4);
    close(fd);
    int status = fc_get(cache, fc_str("key"), 0, &frame, NULL);
    assert_true(status == FC_E_MISS || status == FC_E_CORRUPT);
    must_miss(cache, "key", FC_MISS_CORRUPT);
    must_put(cache, "key", 3, 2);
    fc_frame_release(must_get(cache, "key", 3, 2));
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void truncated_manifest_is_found_out(void **state) {
    fc_cache *cache = open_in(private_dir_again());
    struct stat info;
    (void)state;

    must_put(cache, "key", 3, 1);
    int fd = open_frame_file(cache, "key", -1);
    assert_int_equal(fstat(fd, &info), 0);
    close(fd);
    for (off_t length = 0; length < info.st_size; length += 97) {
        must_put(cache, "key", 3, 1);
        fd = open_frame_file(cache, "key", -1);
        assert_int_equal(ftruncate(fd, length), 0);
        close(fd);
        must_be_dropped(cache, "key", (long)length);
    }
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void missing_manifest_is_found_out(void **state) {
    fc_cache *cache = open_in(private_dir_again());
    char name[24];
    (void)state;

    must_put(cache, "key", ROWS, 1);
    name_of(cache, "key", name, -1);
    fc__table_drop_idle(cache, false);
    assert_int_equal(unlinkat(cache->frames, name, 0), 0);
    must_be_dropped(cache, "key", -1);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void missing_or_short_segment_is_corrupt_and_no_signal(void **state) {
    (void)state;
    for (int missing = 0; missing < 2; missing++) {
        fc_cache *cache = open_in(private_dir_again());
        fc_frame *frame;
        const fc_column *column = NULL;
        fc_error error = {0};
        char name[24];
        must_put(cache, "key", ROWS, 1);
        name_of(cache, "key", name, 1);
        int fd = open_frame_file(cache, "key", 1);
        if (missing)
            assert_int_equal(unlinkat(cache->frames, name, 0), 0);
        else
            assert_int_equal(ftruncate(fd, 4096), 0);
        close(fd);
        assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL),
                         FC_E_CORRUPT);
        int status = fc_get(cache, fc_str("key"), 0, &frame, &error);
        if (!status) {
            status = fc_frame_column(frame, "w", FC_TYPE_INT64, &column, &error);
            assert_null(column);
        }
        assert_int_equal(status, FC_E_CORRUPT);
        assert_non_null(strstr(error.message, "segment"));
        fc_frame_release(frame);
        must_miss(cache, "key", FC_MISS_CORRUPT);
        must_be_clean(cache);
        fc_cache_close(cache);
    }
}

/* ---- Offsets ---- */

#define TEXTS 100

static void leave_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void leave_array(struct ArrowArray *array) {
    array->release = NULL;
}

/* A column of strings of 8 bytes, small enough for the manifest file; its middle offset has
 * a bit flipped in the file, which no checksum covers. */
static void put_damaged_texts(fc_cache *cache, int bit) {
    int64_t offsets[TEXTS + 1];
    char text[TEXTS * 8], file[8192];
    struct ArrowSchema texts = {.format = "U", .name = "s", .release = leave_schema};
    struct ArrowSchema *columns = &texts;
    struct ArrowSchema schema = {.format = "+s",
                                 .name = "",
                                 .n_children = 1,
                                 .children = &columns,
                                 .release = leave_schema};
    const void *buffers[] = {NULL, offsets, text}, *none[] = {NULL};
    struct ArrowArray values = {
        .length = TEXTS, .n_buffers = 3, .buffers = buffers, .release = leave_array};
    struct ArrowArray *children = &values;
    struct ArrowArray array = {.length = TEXTS,
                               .n_buffers = 1,
                               .buffers = none,
                               .n_children = 1,
                               .children = &children,
                               .release = leave_array};

    for (int i = 0; i <= TEXTS; i++)
        offsets[i] = i * 8;
    memset(text, 'x', sizeof text);
    assert_int_equal(fc_put(cache, fc_str("key"), &schema, &array, NULL, NULL, NULL), 0);
    int fd = open_frame_file(cache, "key", -1);
    ssize_t bytes = pread(fd, file, sizeof file, 0), at = 0;
    while (at + (ssize_t)sizeof offsets <= bytes &&
           memcmp(file + at, offsets, sizeof offsets) != 0)
        at += 8;
    int64_t damaged = offsets[TEXTS / 2] ^ (int64_t)((uint64_t)1 << bit);
    assert_int_equal(pwrite(fd, &damaged, 8, at + TEXTS / 2 * 8), 8);
    close(fd);
}

static int put_again(fc_cache *cache, fc_frame *part, const char *format,
                     fc_error *error) {
    struct ArrowSchema schema;
    struct ArrowArray array;

    assert_int_equal(fc_frame_export_schema(part, &schema, NULL), 0);
    schema.children[0]->format = format;
    int status = fc_frame_export_array(part, &schema, &array, error);
    if (!status) {
        status = fc_put(cache, fc_str("copy"), &schema, &array, NULL, NULL, error);
        array.release(&array);
    }
    schema.release(&schema);
    return status;
}

/* Half of the rows, up to the damage or from it. */
static int reach(fc_cache *cache, fc_frame *frame, int64_t first, int way,
                 fc_error *error) {
    const fc_column *column;
    uint8_t digest[16];
    fc_frame *part;

    assert_int_equal(fc_frame_slice(frame, first, TEXTS / 2, &part, NULL), 0);
    int status = way == 0   ? fc_frame_hash(part, digest, error)
                 : way == 1 ? fc_frame_column(part, "s", FC_TYPE_STRING, &column, error)
                 : way == 2 ? put_again(cache, part, "U", error)
                 : way == 3 ? put_again(cache, part, "u", error)
                            : put_again(cache, part, "vu", error);
    fc_frame_release(part);
    return status;
}

static void a_slice_that_ends_at_a_damaged_offset_is_corrupt_however_reached(
    void **state) {
    static const int bits[] = {12, 40, 63};
    fc_cache *cache = open_in(private_dir_again());
    fc_error error;
    fc_frame *frame;
    (void)state;

    for (int way = 0; way < 5; way++)
        for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
            for (int64_t first = 0; first < TEXTS; first += TEXTS / 2) {
                put_damaged_texts(cache, bits[i]);
                assert_int_equal(fc_get(cache, fc_str("key"), 0, &frame, NULL), 0);
                int status = reach(cache, frame, first, way, &error);
                if (status != FC_E_CORRUPT)
                    fail_msg("way %d, bit %d, from %d: %s", way, bits[i], (int)first,
                             fc_error_name(status));
                fc_frame_release(frame);
                must_miss(cache, "key", FC_MISS_CORRUPT);
            }
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Verify finds what is wrong ---- */

static int any_error(void *context, const fc_finding *finding) {
    if (finding->level == FC_LEVEL_ERROR && strstr(finding->subject, context))
        return 42;
    return 0;
}

/* What goes is uncharged what it was charged, whatever its files say. */
static void a_segment_of_a_wrong_length_does_not_upset_the_accounts(void **state) {
    fc_cache *cache = open_in(private_dir_again());
    (void)state;

    uint64_t empty = stats_of(cache).used_bytes;
    must_put(cache, "other", ROWS, 1);
    uint64_t other = stats_of(cache).used_bytes;
    must_put(cache, "key", ROWS, 1);
    int fd = open_frame_file(cache, "key", 0);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    close(fd);
    uint32_t slot;
    uint64_t word = fc__index_find(cache, fc__hash_key(cache, fc_str("key")), &slot);
    assert_int_equal(fc__reclaim_record(cache, fc__word_record(word),
                                        fc__status(FC__LIVE, fc__word_generation(word)),
                                        FC__RECLAIM_EVICT, FC_MISS_EVICTED),
                     FC__DONE);
    assert_int_equal(stats_of(cache).used_bytes, other);
    assert_int_equal(fc_delete(cache, fc_str("other"), NULL), 0);
    must_be_clean(cache);
    assert_int_equal(stats_of(cache).used_bytes, empty);
    fc_cache_close(cache);
}

static void must_find(fc_cache *cache, const char *subject) {
    fc_error error = {0};

    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, any_error,
                                     (void *)(uintptr_t)subject, &error),
                     42);
    assert_int_equal(error.code, 42);
    assert_non_null(strstr(error.message, "42"));
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL),
                     FC_E_CORRUPT);
}

static void verify_finds_orphans_wrong_charges_and_changed_data(void **state) {
    fc_options options = options_in(private_dir_again());
    char name[24];
    int64_t number = 5;
    (void)state;

    options.checksum = "commit";
    fc_cache *cache = open_with(&options);
    must_put(cache, "key", ROWS, 1);
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), 0);

    close(open_file(options.dir, "frames/0000fe", O_CREAT | O_RDWR));
    close(open_file(options.dir, "frames/stranger", O_CREAT | O_RDWR));
    must_find(cache, "stranger");
    assert_int_equal(unlinkat(cache->frames, "stranger", 0), 0);
    assert_int_equal(unlinkat(cache->frames, "0000fe", 0), 0);

    name_of(cache, "key", name, -1);
    fc__record *record = &cache->records[strtoul(name, NULL, 16)];
    record->charged += 3;
    must_find(cache, "key");
    record->charged -= 3;
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), 0);

    cache->control->used -= 2ull << 24;
    must_find(cache, "budget");
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(fc_cache_verify(cache, FC_VERIFY_DATA, NULL, NULL, NULL), 0);

    int fd = open_frame_file(cache, "key", 1);
    assert_int_equal(pwrite(fd, &number, 8, 800), 8);
    close(fd);
    assert_int_equal(fc_cache_verify(cache, 0, NULL, NULL, NULL), 0);
    must_find(cache, "key");
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- What verify says that gc mends, and other remedies ---- */

typedef struct findings {
    int errors, warnings, collected; /* collected: that gc is said to mend */
    char text[400];
} findings;

static int add_finding(void *context, const fc_finding *finding) {
    findings *f = context;
    f->errors += finding->level == FC_LEVEL_ERROR;
    f->warnings += finding->level == FC_LEVEL_WARNING;
    f->collected += finding->remedy && strstr(finding->remedy, "framecache gc") != NULL;
    snprintf(f->text, sizeof f->text, "%s: %s", finding->subject, finding->text);
    return 0;
}

static findings verify(fc_cache *cache, uint32_t flags) {
    findings found = {0};
    int status = fc_cache_verify(cache, flags, add_finding, &found, NULL);
    assert_int_equal(status, found.errors ? FC_E_CORRUPT : 0);
    return found;
}

static void make_file(fc_cache *cache, const char *name) {
    int fd = openat(cache->dir, name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 5000), 0);
    close(fd);
}

static fc__record *free_record(fc_cache *cache) {
    fc__record *record = &cache->records[200];
    assert_int_equal(fc__status_state(record->status), FC__FREE);
    return record;
}

static fc__record *live_record(fc_cache *cache) {
    uint32_t slot;
    return &cache->records[fc__word_record(
        fc__index_find(cache, fc__hash_key(cache, fc_str("key")), &slot))];
}

static void orphan_manifest(fc_cache *cache) {
    make_file(cache, "frames/0000fe");
}

static void orphan_segments(fc_cache *cache) {
    make_file(cache, "frames/0000fe.s0");
    make_file(cache, "frames/0000fe.s77777");
}

static void orphan_beyond_capacity(fc_cache *cache) {
    make_file(cache, "frames/fffffe");
}

static void segment_that_a_live_frame_has_not(fc_cache *cache) {
    char name[40];
    snprintf(name, sizeof name, "frames/%06x.s9",
             (unsigned)(live_record(cache) - cache->records));
    make_file(cache, name);
}

static void orphan_in_cold(fc_cache *cache) {
    mkdirat(cache->dir, "cold", 0700);
    make_file(cache, "cold/0000fe");
}

static void charge_of_a_free_record(fc_cache *cache) {
    free_record(cache)->charged = 7;
}

static void intent_of_a_free_record(fc_cache *cache) {
    free_record(cache)->intent = 7;
}

static void intent_of_a_live_record(fc_cache *cache) {
    live_record(cache)->intent = 7;
    cache->control->used += 1ull << 24;
}

static void too_much_used(fc_cache *cache) {
    cache->control->used += 5ull << 24;
}

static void too_little_used(fc_cache *cache) {
    cache->control->used -= 1ull << 24;
}

static void wrong_charge_in_the_pool(fc_cache *cache) {
    live_record(cache)->charged += 3;
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    assert_true(stats_of(cache).pool_bytes > 0);
}

static void what_gc_is_said_to_mend_it_mends(void **state) {
    static void (*const damages[])(fc_cache *) = {
        orphan_manifest,         orphan_segments,
        orphan_beyond_capacity,  segment_that_a_live_frame_has_not,
        orphan_in_cold,          charge_of_a_free_record,
        intent_of_a_free_record, intent_of_a_live_record,
        too_much_used,           too_little_used,
        wrong_charge_in_the_pool};
    (void)state;

    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        fc_cache *cache = open_in(private_dir_again());
        must_put(cache, "other", 3, 5);
        must_put(cache, "key", ROWS, 1);
        assert_int_equal(verify(cache, 0).errors, 0);
        damages[i](cache);
        findings found = verify(cache, 0);
        if (!found.collected || found.collected != found.errors + found.warnings)
            fail_msg("damage %zu: %d of %d: %s", i, found.collected,
                     found.errors + found.warnings, found.text);
        must_be_clean_after_gc(cache);
        fc_frame_release(must_get(cache, "other", 3, 5));
        fc_cache_close(cache);
    }
}

static void other_remedies_work_too(void **state) {
    static const char stranger[] = "frames/stranger";
    fc_cache *cache = open_in(private_dir_again());
    char name[24];
    fc_frame *frame;
    (void)state;

    must_put(cache, "other", 3, 5);
    must_put(cache, "key", ROWS, 1);
    live_record(cache)->charged += 3; /* delete the key, then gc */
    assert_true(verify(cache, 0).errors > 0);
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    must_be_clean_after_gc(cache);

    must_put(cache, "key", ROWS, 1);
    live_record(cache)->segments = 0; /* the same: its segments stay behind */
    assert_true(verify(cache, 0).errors > 0);
    assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
    must_be_clean_after_gc(cache);

    must_put(cache, "key", ROWS, 1);
    name_of(cache, "key", name, -1); /* get the key */
    fc__table_drop_idle(cache, false);
    assert_int_equal(unlinkat(cache->frames, name, 0), 0);
    assert_true(verify(cache, 0).errors > 0);
    assert_int_equal(fc_get(cache, fc_str("key"), 0, &frame, NULL), FC_E_CORRUPT);
    must_be_clean_after_gc(cache);

    assert_int_equal(symlinkat("../control", cache->frames, "0000fc"), 0); /* not ours: stay */
    assert_int_equal(mkfifoat(cache->frames, "0000fd", 0600), 0);
    assert_int_equal(mkdirat(cache->frames, "0000fd.s1", 0700), 0);
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    findings found = verify(cache, 0);
    assert_int_equal(found.errors, 3);
    assert_int_equal(found.collected, 0);
    assert_int_equal(unlinkat(cache->frames, "0000fc", 0), 0);
    assert_int_equal(unlinkat(cache->frames, "0000fd", 0), 0);
    assert_int_equal(unlinkat(cache->frames, "0000fd.s1", AT_REMOVEDIR), 0);

    make_file(cache, stranger); /* remove the file: gc does not */
    assert_int_equal(fc_cache_tick(cache, FC_TICK_FULL, NULL, NULL), 0);
    assert_int_equal(verify(cache, 0).errors, 1);
    assert_int_equal(unlinkat(cache->dir, stranger, 0), 0);
    must_be_clean(cache);
    fc_frame_release(must_get(cache, "other", 3, 5));
    fc_cache_close(cache);
}

/* A number that a stray store left, in each count of a record and of control. */
static void a_damaged_segment_count_takes_no_time(void **state) {
    static const uint32_t counts[] = {2, 0, 1u << 20, (1u << 20) + 1, 1u << 31, UINT32_MAX};
    (void)state;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (int way = 0; way < 4; way++) {
            fc_cache *cache = open_in(private_dir_again());
            must_put(cache, "key", ROWS, 1);
            live_record(cache)->segments = counts[i];
            alarm(60); /* counted up to, the largest takes hours */
            assert_int_equal(verify(cache, FC_VERIFY_DATA).errors > 0, counts[i] != 2);
            fc_frame_release(must_get(cache, "key", ROWS, 1));
            if (way == 0)
                assert_int_equal(fc_delete(cache, fc_str("key"), NULL), 0);
            else if (way == 1)
                must_put(cache, "key", ROWS, 2);
            else if (way == 2)
                assert_true(fc__evict_one(cache, NULL));
            must_put(cache, "more", ROWS, 3); /* perhaps over its files */
            fc_frame_release(must_get(cache, "more", ROWS, 3));
            assert_int_equal(fc_cache_clear(cache, NULL, NULL), 0);
            must_be_clean_after_gc(cache);
            alarm(0);
            fc_cache_close(cache);
        }
    }
}

static int never(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                 fc_error *error) {
    (void)context, (void)cache, (void)key, (void)out, (void)error;
    return -7;
}

/* All that follows a record's numbers, whatever they are; the sanitizers look on. */
static void use_all(fc_cache *cache) {
    fc_info info = {.size = sizeof info};
    fc_frame *frame;
    fc_error error;
    int status = fc_get_or_compute(cache, fc_str("key"), FC_GET_STALE, 0, never, NULL, &frame,
                                   &error);

    assert_true(status == 0 || status == -7);
    if (!status)
        assert_int_equal(fc_frame_info(frame, &info, NULL), 0);
    fc_frame_release(frame);
    status = fc_touch(cache, fc_str("key"), 0, &error);
    assert_true(status == 0 || status == FC_E_MISS);
    status = fc_contains(cache, fc_str("key"), &error);
    assert_true(status == 0 || status == FC_E_MISS);
    stats_of(cache);
    must_put(cache, "more", ROWS, 3);
    fc__evict_one(cache, NULL);
    fc__evict_one(cache, NULL);
    fc_get(cache, fc_str("key"), 0, &frame, &error);
    fc_frame_release(frame);
}

static void numbers_of_a_damaged_record_upset_nothing(void **state) {
    static const size_t places[] = {
        offsetof(fc__record, expires_ns), offsetof(fc__record, stale_until_ns),
        offsetof(fc__record, ttl_ms),     offsetof(fc__record, used_ns),
        offsetof(fc__record, cost),       offsetof(fc__record, heat),
        offsetof(fc__record, tick),       offsetof(fc__record, tags),
        offsetof(fc__record, linked)};
    static const uint64_t values[] = {0,
                                      1,
                                      (uint64_t)INT64_MIN,
                                      (uint64_t)INT64_MIN + 1,
                                      (uint64_t)INT64_MAX - 1,
                                      (uint64_t)INT64_MAX,
                                      UINT64_MAX,
                                      0x7ff0000000000000u,  /* infinity */
                                      0x7ff8000000000000u,  /* NaN */
                                      0xffefffffffffffffu}; /* the least double */
    fc_put_options options = {.size = sizeof options, .flags = FC_PUT_SLIDING,
                              .ttl_ms = 100000, .stale_ms = 100000, .cost_s = 1};
    (void)state;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            fc_cache *cache = open_in(private_dir_again());
            assert_int_equal(put_numbers(cache, fc_str("key"), 3, 1, &options, NULL, NULL), 0);
            memcpy((char *)live_record(cache) + places[i], &values[j], 8);
            use_all(cache);
            fc_cache_close(cache);
        }
}

static void put_with_checksum(const char *dir, const char *key, const char *checksum) {
    fc_options options = options_in(dir);
    options.checksum = checksum;
    fc_cache *cache = open_with(&options);
    must_put(cache, key, ROWS, 1);
    fc_cache_close(cache);
}

static void verify_of_data_tells_how_many_frames_have_no_checksums(void **state) {
    const char *dir = private_dir_again();
    (void)state;

    put_with_checksum(dir, "a", "commit");
    fc_cache *cache = open_in(dir);
    assert_string_equal(verify(cache, FC_VERIFY_DATA).text, "");
    put_with_checksum(dir, "b", "off");
    put_with_checksum(dir, "c", "off");
    assert_string_equal(verify(cache, 0).text, "");
    findings found = verify(cache, FC_VERIFY_DATA);
    assert_int_equal(found.errors + found.warnings, 0);
    assert_string_equal(found.text, "data: 2 of 3 frames have no checksums: their values "
                                    "were not checked");
    fc_cache_close(cache);
}

/* ---- The directory goes ---- */

static void removed_directory_closes_the_cache_for_who_has_it(void **state) {
    const char *dir = private_dir_again();
    fc_cache *cache = open_in(dir);
    fc_frame *frame, *none;
    fc_error error;
    (void)state;

    must_put(cache, "held", ROWS, 1);
    must_put(cache, "cold", 3, 2);
    fc__table_drop_idle(cache, false);
    frame = must_get(cache, "held", ROWS, 1);
    remove_tree(dir);
    assert_true(are_numbers(frame, ROWS, 1));
    assert_int_equal(fc_get(cache, fc_str("cold"), 0, &none, &error), FC_E_CLOSED);
    assert_non_null(strstr(error.message, "open"));
    assert_int_equal(put_numbers(cache, fc_str("new"), 3, 1, NULL, NULL, &error),
                     FC_E_CLOSED);
    assert_int_equal(put_numbers(cache, fc_str("new"), ROWS, 1, NULL, NULL, &error),
                     FC_E_CLOSED);
    assert_int_equal(fc_delete(cache, fc_str("held"), &error), FC_E_CLOSED);
    assert_int_equal(fc_cache_tick(cache, 0, NULL, &error), FC_E_CLOSED);
    fc_cache *fresh = open_in(dir); /* under the same name, another cache */
    must_miss(fresh, "held", FC_MISS_NEVER);
    must_put(fresh, "new", 3, 7);
    assert_int_equal(fc_get(cache, fc_str("new"), 0, &none, &error), FC_E_CLOSED);
    must_be_clean(fresh);
    fc_cache_close(fresh);
    fc_frame_release(frame);
    fc_cache_close(cache);
    must_be_clean_in(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated_control_means_an_empty_cache),
        cmocka_unit_test(missing_control_means_an_empty_cache),
        cmocka_unit_test(control_of_random_bytes_means_an_empty_cache),
        cmocka_unit_test(control_with_random_patches_lies_to_nobody),
        cmocka_unit_test(control_of_another_boot_means_an_empty_cache),
        cmocka_unit_test(newer_format_is_refused_and_nothing_is_touched),
        cmocka_unit_test(damaged_control_is_not_made_anew_under_others),
        cmocka_unit_test(every_flipped_byte_of_a_manifest_is_found_out),
        cmocka_unit_test(every_flipped_byte_of_a_big_frames_manifest_is_found_out),
        cmocka_unit_test(a_walk_over_a_damaged_envelope_skips_it),
        cmocka_unit_test(a_manifest_that_changes_while_it_is_read_misleads_nobody),
        cmocka_unit_test(frame_marked_dead_is_never_served),
        cmocka_unit_test(truncated_manifest_is_found_out),
        cmocka_unit_test(missing_manifest_is_found_out),
        cmocka_unit_test(a_segment_of_a_wrong_length_does_not_upset_the_accounts),
        cmocka_unit_test(missing_or_short_segment_is_corrupt_and_no_signal),
        cmocka_unit_test(a_slice_that_ends_at_a_damaged_offset_is_corrupt_however_reached),
        cmocka_unit_test(verify_finds_orphans_wrong_charges_and_changed_data),
        cmocka_unit_test(what_gc_is_said_to_mend_it_mends),
        cmocka_unit_test(other_remedies_work_too),
        cmocka_unit_test(a_damaged_segment_count_takes_no_time),
        cmocka_unit_test(numbers_of_a_damaged_record_upset_nothing),
        cmocka_unit_test(verify_of_data_tells_how_many_frames_have_no_checksums),
        cmocka_unit_test(removed_directory_closes_the_cache_for_who_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
