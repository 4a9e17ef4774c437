/* Which directories become a cache, and what is never touched in them: other programs' files,
 * links, things that are no files. */
#include "support_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[128];

static const char *in_base(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s%s%s", base, *name ? "/" : "", name);
    return path;
}

static int make_base(void **state) {
    (void)state;
    snprintf(base, sizeof base, "%s", private_dir());
    return mkdir(base, 0700);
}

static int remove_base(void **state) {
    (void)state;
    remove_tree(base);
    return 0;
}

static void make_dir(const char *name) {
    assert_int_equal(mkdir(in_base(name), 0700), 0);
}

static void make_file(const char *name, const char *text) {
    int fd = open(in_base(name), O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static bool is_there(const char *name) {
    struct stat info;
    return lstat(in_base(name), &info) == 0;
}

static int entries_of(const char *name) {
    int count = 0;
    DIR *dir = opendir(in_base(name));
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static int try_open(const char *dir, fc_error *error) {
    fc_options options = options_in(dir);
    fc_cache *cache;
    int status = fc_cache_open(&cache, &options, error);
    fc_cache_close(cache);
    return status;
}

static int find_error(void *context, const fc_finding *finding) {
    bool *found = context;
    *found |= finding->level == FC_LEVEL_ERROR && strcmp(finding->subject, "directory") == 0 &&
              strstr(finding->text, "refused") && finding->remedy;
    return 0;
}

static bool doctor_refuses(const char *dir) {
    fc_options options = options_in(dir);
    bool found = false;
    assert_int_equal(fc_doctor(&options, find_error, &found, NULL), 0);
    return found;
}

/* The doctor says so beforehand, the open says the same, nothing comes or goes. */
static void must_refuse_as(int code, const char *part) {
    fc_error error = {0};
    int before = entries_of("");
    assert_true(doctor_refuses(base));
    assert_int_equal(try_open(base, &error), code);
    if (!strstr(error.message, part) || !strstr(error.message, "FRAMECACHE_"))
        fail_msg("'%s' lacks '%s' or the remedy", error.message, part);
    assert_int_equal(entries_of(""), before);
}

static void must_refuse(const char *part) {
    must_refuse_as(FC_E_INVALID, part);
}

static void must_take(void) {
    assert_false(doctor_refuses(base));
    fc_cache *cache = open_in(base);
    must_put(cache, "key", 3, 1);
    must_put(cache, "big", 100000, 2);
    fc_frame_release(must_get(cache, "key", 3, 1));
    must_be_clean(cache);
    fc_cache_close(cache);
}

/* ---- Folders of other programs ---- */

static void a_folder_with_frames_of_a_film_is_refused_whole(void **state) {
    (void)state;
    make_dir("frames");
    make_file("frames/0001.png", "png");
    make_dir("cold");
    make_file("cold/notes", "text");
    must_refuse("' in it"); /* whichever is listed first */
    assert_true(is_there("frames/0001.png"));
    assert_true(is_there("cold/notes"));
}

/* A name that a manifest could have, too. */
static void names_like_ours_do_not_make_a_cache(void **state) {
    (void)state;
    make_dir("frames");
    make_file("frames/000001", "picture");
    must_refuse("frames");
    assert_true(is_there("frames/000001"));
    make_file("control", "Source: some package");
    must_refuse("control");
    make_file("locks", "not empty");
    must_refuse("locks");
    assert_true(is_there("frames/000001"));
}

static void any_file_besides_makes_it_another_programs(void **state) {
    static const char *const names[] = {".env", "data.csv", ".git"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        make_file(names[i], "");
        must_refuse(names[i]);
        assert_int_equal(unlink(in_base(names[i])), 0);
    }
    make_dir("src");
    must_refuse("src");
}

static void links_in_place_of_our_directories_are_not_followed(void **state) {
    static const char *const names[] = {"frames", "cold"};
    (void)state;
    make_dir("x");
    make_dir("x/frames");
    snprintf(base + strlen(base), 3, "/x");
    char outside[200];
    snprintf(outside, sizeof outside, "%s/../outside", base);
    assert_int_equal(mkdir(outside, 0700), 0);
    strcat(outside, "/000001");
    close(open(outside, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(rmdir(in_base("frames")), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(symlink("../outside", in_base(names[i])), 0);
        must_refuse(names[i]);
        assert_int_equal(unlink(in_base(names[i])), 0);
        fc_cache_close(open_in(base)); /* now it is a cache, and then one with a link */
        remove_tree(in_base(names[i]));
        assert_int_equal(symlink("../outside", in_base(names[i])), 0);
        must_refuse(names[i]);
        assert_int_equal(truncate(in_base("control"), 100), 0);
        must_refuse(names[i]);
        assert_int_equal(access(outside, F_OK), 0);
        assert_int_equal(unlink(in_base(names[i])), 0);
        remove_tree(base);
        make_dir("");
    }
    *strrchr(base, '/') = 0;
}

static void foreign_files_in_a_cache_outlive_its_making_anew(void **state) {
    static const char *const names[] = {"frames/0001.png", "frames/000001.s", "frames/.keep",
                                        "frames/00001f.s01"};
    (void)state;
    fc_cache_close(open_in(base));
    for (int i = 0; i < 4; i++)
        make_file(names[i], "text");
    make_file("frames/000003", "left over");
    make_file("frames/.selftest.12ab", "");
    assert_int_equal(symlink("../../outside", in_base("frames/000005")), 0);
    make_dir("frames/000006");
    make_dir("cold");
    make_file("cold/readme", "text");
    make_file("cold/000001", "left over");
    int fd = open(in_base("control"), O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, offsetof(fc__control, boot_id)), 1);
    close(fd);
    fc_cache_close(open_in(base));
    for (int i = 0; i < 4; i++)
        assert_true(is_there(names[i]));
    assert_true(is_there("cold/readme"));
    assert_true(is_there("frames/000005"));
    assert_true(is_there("frames/000006"));
    assert_false(is_there("frames/000003"));
    assert_false(is_there("frames/.selftest.12ab"));
    assert_false(is_there("cold/000001"));
}

/* ---- Directories with another meaning ---- */

static void system_directories_and_homes_are_refused(void **state) {
    static const char *const names[] = {"/", "/tmp/", "/usr/lib/..", "/dev/shm", "/etc"};
    fc_error error;
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(doctor_refuses(names[i]));
        assert_true(try_open(names[i], &error) != 0);
        assert_non_null(strstr(error.message, "refused"));
    }
    assert_int_not_equal(access("/frames", F_OK), 0);
    const char *home = getenv("HOME");
    char before[512];
    snprintf(before, sizeof before, "%s", home ? home : "/");
    setenv("HOME", base, 1);
    must_refuse("home");
    setenv("HOME", before, 1);
    must_take();
}

static void a_link_of_a_stranger_is_not_followed(void **state) {
    char path[200];
    fc_error error;
    (void)state;
    snprintf(path, sizeof path, "%s.link", base);
    assert_int_equal(symlink(base, path), 0);
    assert_int_equal(try_open(path, &error), 0); /* one's own is */
    if (lchown(path, 12345, 12345) == 0) {
        assert_true(doctor_refuses(path));
        assert_int_equal(try_open(path, &error), FC_E_PERMISSION);
        strcat(path, "/");
        assert_int_equal(try_open(path, &error), FC_E_PERMISSION);
        path[strlen(path) - 1] = 0;
    }
    unlink(path);
}

static void a_group_may_write_only_if_the_mode_says_so(void **state) {
    static const mode_t modes[] = {0770, 02770, 0720, 0775};
    fc_options options = options_in(base);
    fc_error error;
    fc_cache *cache;
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(chmod(base, modes[i]), 0);
        options.mode = NULL;
        must_refuse_as(FC_E_PERMISSION, "its group");
        options.flags = FC_RDONLY;
        assert_int_equal(fc_cache_open(&cache, &options, &error), FC_E_PERMISSION);
        options.flags = FC_NO_THREADS;
    }
    assert_int_equal(chmod(base, 0770), 0);
    options.mode = "0770";
    assert_int_equal(fc_cache_open(&cache, &options, &error), 0);
    must_put(cache, "key", 3, 1);
    fc_cache_close(cache);
    assert_int_equal(chmod(base, 0700), 0);
}

/* ---- What is taken ---- */

static void an_empty_directory_and_one_that_is_not_there_are_taken(void **state) {
    (void)state;
    must_take();
    must_take();
    remove_tree(base);
    must_take();
}

static void a_file_system_of_its_own_is_taken(void **state) {
    (void)state;
    make_dir("lost+found");
    must_take();
    assert_true(is_there("lost+found"));
}

/* Beside its own files: a note, say. It is a cache by its control file. */
static void a_cache_with_a_file_besides_stays_one(void **state) {
    (void)state;
    must_take();
    make_file("README", "mine");
    must_take();
    assert_true(is_there("README"));
}

static void what_a_killed_creator_leaves_is_taken(void **state) {
    (void)state;
    make_dir("frames");
    must_take();
    remove_tree(base);
    make_dir("");
    make_dir("frames");
    make_file("locks", "");
    must_take();
    remove_tree(base);
    make_dir("");
    make_dir("frames");
    make_file("locks", "");
    make_file("control", "");
    make_file("frames/.selftest.77", "");
    must_take();
}

static void create(void *context) {
    const char *step = context;
    if (step)
        die_at_step(step, 1);
    fc_options options = options_in(base);
    fc_cache *cache;
    CHECK(fc_cache_open(&cache, &options, NULL) == 0);
    CHECK(put_numbers(cache, fc_str("key"), 3, 1, NULL, NULL, NULL) == 0);
    fc_cache_close(cache);
}

static void a_creator_killed_before_the_magic_is_succeeded(void **state) {
    (void)state;
    must_die(spawn(create, "create-magic"));
    must_take();
}

static void creators_at_once_agree(void **state) {
    pid_t pids[6];
    (void)state;
    for (int round = 0; round < 20; round++) {
        remove_tree(base);
        for (int i = 0; i < 6; i++)
            pids[i] = spawn(create, NULL);
        for (int i = 0; i < 6; i++)
            must_end(pids[i]);
    }
    must_take();
}

/* ---- Things that are no files, in place of files ---- */

typedef enum thing { FIFO, DIRECTORY, LINK, HARD_LINK, SOCKET, STRANGERS, THINGS } thing;

static char victim[160];

static void make_victim(void) {
    static const char text[] = "this is another file, outside of it.....\n";
    snprintf(victim, sizeof victim, "%s.outside", base);
    int fd = open(victim, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(write(fd, text, 41), 41);
    close(fd);
}

static void victim_must_be_whole(void) {
    struct stat info;
    char text[8] = "";
    int fd = open(victim, O_RDONLY);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, 20000 * 41);
    assert_int_equal(read(fd, text, 7), 7);
    assert_string_equal(text, "this is");
    close(fd);
    unlink(victim);
}

static bool replace_by(thing what, const char *name) {
    const char *path = in_base(name);
    assert_int_equal(unlink(path), 0);
    switch (what) {
    case FIFO:
        return mkfifo(path, 0600) == 0;
    case DIRECTORY:
        return mkdir(path, 0700) == 0;
    case LINK:
        return symlink(victim, path) == 0;
    case HARD_LINK:
        return link(victim, path) == 0;
    case SOCKET:
        return mknod(path, S_IFSOCK | 0600, 0) == 0;
    default:
        close(open(path, O_CREAT | O_WRONLY, 0644));
        return chown(path, 12345, 12345) == 0;
    }
}

static int say_nothing(void *context, const fc_finding *finding) {
    (void)context, (void)finding;
    return 0;
}

static void use(fc_cache *cache) {
    fc_info info = {.size = sizeof info};
    const fc_column *column;
    fc_error error = {0};
    fc_cursor *cursor;
    fc_frame *frame;
    CHECK(fc_cache_verify(cache, FC_VERIFY_DATA, say_nothing, NULL, &error) <= 0);
    CHECK(fc_cursor_open(cache, fc_str(""), &cursor, &error) == 0);
    while (fc_cursor_next(cursor, &info, &error) == 0)
        ;
    fc_cursor_close(cursor);
    int status = fc_contains(cache, fc_str("key"), &error);
    CHECK(status == 0 || status == FC_E_MISS);
    status = fc_get(cache, fc_str("key"), 0, &frame, &error);
    if (!status)
        status = fc_frame_column_at(frame, 0, &column, &error);
    fc_frame_release(frame);
    CHECK(status == FC_E_CORRUPT || status == FC_E_MISS);
    fc_delete(cache, fc_str("key"), &error);
    fc_cache_tick(cache, FC_TICK_FULL, NULL, &error);
}

typedef struct attack {
    char suffix[8];
    bool cold, again;
} attack;

/* In a child, which ends or is killed. */
static void use_and_put(void *context) {
    const attack *a = context;
    fc_options options = a->cold ? cold_options(base) : options_in(base);
    fc_error error = {0};
    fc_cache *cache;
    alarm(60);
    CHECK(fc_cache_open(&cache, &options, &error) == 0);
    use(cache);
    for (int i = 0; i < 300; i++) { /* each record once at least, recycled ones too */
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        int status = put_numbers(cache, fc_str(key), 9000, i, NULL, NULL, &error);
        CHECK(status == 0 || status == FC_E_SYSTEM);
    }
    fc_cache_close(cache);
}

static void attack_with(thing what, const char *suffix, bool cold) {
    attack a = {.cold = cold};
    fc_cache *cache = cold ? open_cold(base) : open_in(base);
    fc_info info = {.size = sizeof info};
    fc_cursor *cursor;
    char name[40];
    make_victim();
    must_put(cache, "key", 90000, 1);
    if (cold)
        must_demote(cache, "key");
    assert_int_equal(fc_cursor_open(cache, fc_str(""), &cursor, NULL), 0);
    assert_int_equal(fc_cursor_next(cursor, &info, NULL), 0);
    fc_cursor_close(cursor);
    fc_cache_close(cache);
    snprintf(name, sizeof name, "%s/%06x%s", *suffix == 'c' ? "cold" : "frames", info.record,
             *suffix == 'c' ? "" : suffix);
    if (replace_by(what, name))
        must_end(spawn(use_and_put, &a));
    victim_must_be_whole();
    remove_tree(base);
}

static void what_is_no_file_hangs_nobody_and_is_not_followed(void **state) {
    (void)state;
    for (thing what = FIFO; what < THINGS; what++) {
        attack_with(what, "", false);
        if (what != HARD_LINK) /* a name more of a file of ours is what shared columns have */
            attack_with(what, ".s0", false);
        attack_with(what, "c", true);
    }
    make_dir("");
}

static void open_or_fail(void *context) {
    fc_error error = {0};
    (void)context;
    alarm(60);
    fc_options options = options_in(base);
    fc_cache *cache;
    for (int i = 0; i < 2; i++) {
        options.flags = i ? FC_RDONLY : FC_NO_THREADS;
        CHECK(fc_cache_open(&cache, &options, &error) == FC_E_INVALID);
        CHECK(strstr(error.message, "remove it"));
    }
    CHECK(doctor_refuses(base));
}

static void control_and_locks_that_are_no_files_are_refused(void **state) {
    static const char *const names[] = {"control", "locks"};
    (void)state;
    for (int i = 0; i < 2; i++)
        for (thing what = FIFO; what < THINGS; what++) {
            fc_cache_close(open_in(base));
            make_victim();
            bool made = replace_by(what, names[i]);
            if (made && i == 1)
                must_end(spawn(open_or_fail, NULL));
            else if (made)
                must_refuse("control");
            victim_must_be_whole();
            remove_tree(base);
        }
    make_dir("");
}

/* ---- Caches of other versions, and damaged ones ---- */

static void patch_control(off_t at, const void *bytes, size_t count) {
    int fd = open(in_base("control"), O_RDWR);
    assert_int_equal(pwrite(fd, bytes, count, at), count);
    close(fd);
}

typedef struct wanted {
    const char *subject, *part;
    bool found;
} wanted;

static int find_part(void *context, const fc_finding *finding) {
    wanted *w = context;
    w->found |= strcmp(finding->subject, w->subject) == 0 && strstr(finding->text, w->part) &&
                finding->remedy && finding->level <= FC_LEVEL_WARNING;
    return 0;
}

static void doctor_must_say(const char *part) {
    fc_options options = options_in(base);
    wanted w = {"cache", part, false};
    assert_int_equal(fc_doctor(&options, find_part, &w, NULL), 0);
    if (!w.found)
        fail_msg("the doctor does not say '%s'", part);
}

static void look_must_say(int code, const char *part) {
    fc_options options = options_in(base);
    fc_error error = {0};
    fc_cache *cache;
    options.flags = FC_RDONLY | FC_NO_CREATE;
    assert_int_equal(fc_cache_open(&cache, &options, &error), code);
    assert_non_null(strstr(error.message, part));
    assert_null(strstr(error.message, "no cache"));
}

/* As `framecache clear` and `gc` open it. */
static void must_be_mended_by_who_only_changes(void) {
    fc_options options = options_in(base);
    options.flags = FC_NO_CREATE | FC_NO_THREADS;
    fc_cache *cache = open_with(&options);
    must_miss(cache, "key", FC_MISS_NEVER);
    must_be_clean(cache);
    fc_cache_close(cache);
    must_take();
}

static void another_version_is_told_and_an_older_one_is_made_anew(void **state) {
    uint32_t newer = FC__CONTROL_VERSION + 6, older = FC__CONTROL_VERSION - 1;
    fc_error error;
    (void)state;
    must_take();
    patch_control(offsetof(fc__control, version), &newer, 4);
    doctor_must_say("newer");
    look_must_say(FC_E_VERSION, "newer");
    assert_int_equal(try_open(base, &error), FC_E_VERSION);
    assert_int_equal(truncate(in_base("control"), 64), 0); /* it may be of any length */
    doctor_must_say("newer");
    look_must_say(FC_E_VERSION, "newer");
    patch_control(offsetof(fc__control, version), &older, 4);
    doctor_must_say("older");
    look_must_say(FC_E_VERSION, "older");
    must_be_mended_by_who_only_changes();
}

static void an_older_one_in_use_is_left_alone(void **state) {
    uint32_t older = FC__CONTROL_VERSION - 1, now = FC__CONTROL_VERSION;
    fc_error error;
    (void)state;
    fc_cache *cache = open_in(base);
    must_put(cache, "key", 3, 1);
    patch_control(offsetof(fc__control, version), &older, 4);
    doctor_must_say("in use");
    assert_int_equal(try_open(base, &error), FC_E_VERSION);
    look_must_say(FC_E_VERSION, "stop the processes");
    patch_control(offsetof(fc__control, version), &now, 4);
    fc_frame_release(must_get(cache, "key", 3, 1));
    fc_cache_close(cache);
}

static void a_damaged_control_is_told_and_mended(void **state) {
    const struct {
        off_t at;
        size_t bytes;
        bool deep; /* who only reads does not look so far */
    } damage[] = {{0, 8, false},
                  {offsetof(fc__control, capacity), 4, false},
                  {offsetof(fc__control, records_offset), 8, false},
                  {0, 4096, false},
                  {(off_t)sizeof(fc__control) + 4096, 2000, true}};
    char noise[4096];
    (void)state;
    memset(noise, 0x5a, sizeof noise);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        must_take();
        patch_control(damage[i].at, noise, damage[i].bytes);
        doctor_must_say("damaged");
        if (!damage[i].deep)
            look_must_say(FC_E_CORRUPT, "framecache clear");
        must_be_mended_by_who_only_changes();
    }
    assert_int_equal(truncate(in_base("control"), 100), 0);
    doctor_must_say("damaged");
    must_be_mended_by_who_only_changes();
}

/* ---- A uid that may only read ---- */

/* All that it can lock, it locks: shared and exclusively, by fcntl() and by flock(). */
static void lock_all(void *context) {
    static const char *const names[] = {"locks", "writers", "control"};
    gid_t group = 12345;
    char path[300];
    fc_error error;
    fc_cache *cache;
    fc_frame *frame;
    CHECK(setgroups(1, &group) == 0 && setgid(group) == 0 && setuid(12345) == 0);
    fc_options options = options_in(base);
    options.flags = FC_RDONLY;
    CHECK(fc_cache_open(&cache, &options, &error) == 0);
    CHECK(fc_get(cache, fc_str("key"), 0, &frame, &error) == 0);
    CHECK(are_numbers(frame, 300, 1));
    fc_frame_release(frame);
    for (int i = 0; i < 260; i++) {
        if (i < 3)
            snprintf(path, sizeof path, "%s/%s", base, names[i]);
        else
            snprintf(path, sizeof path, "%s/frames/%06x", base, i - 3);
        struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDONLY);
        CHECK(fd >= 0 || i == 1 || i > 2);
        if (fd < 0)
            continue;
        CHECK(fcntl(fd, F_OFD_SETLK, &range) < 0);
        flock(fd, LOCK_EX | LOCK_NB);
        range.l_type = F_RDLCK;
        if (i < 3) /* a shared lease is a reader's right, and keeps the frame */
            fcntl(fd, F_OFD_SETLK, &range);
    }
    raise(SIGSTOP);
    (void)context;
}

static void who_may_only_read_stops_no_writer_and_no_reader(void **state) {
    fc_options options = options_in(base);
    fc_cache *cache;
    fc_error error;
    (void)state;
    if (chown(base, (uid_t)-1, 12345) < 0)
        skip();
    assert_int_equal(chmod(base, 02750), 0);
    char parent[128];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(base, '/') - base), base);
    assert_int_equal(chmod(parent, 0755), 0);
    cache = open_with(&options);
    must_put(cache, "key", 300, 1);
    must_put(cache, "other", 300, 2);
    pid_t pid = spawn(lock_all, NULL);
    must_stop(pid);
    fc__table_drop_idle(cache, false);
    fc_frame_release(must_get(cache, "key", 300, 1));
    for (int i = 0; i < 600; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(put_numbers(cache, fc_str(key), 300, i, NULL, NULL, &error), 0);
    }
    must_put(cache, "key", 300, 7);
    fc_frame_release(must_get(cache, "key", 300, 7));
    assert_int_equal(fc_delete(cache, fc_str("key"), &error), 0);
    fc_cache_close(cache);
    cache = open_with(&options);
    fc_cache_close(cache);
    kill_and_reap(pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_base, remove_base)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_folder_with_frames_of_a_film_is_refused_whole),
        TEST(names_like_ours_do_not_make_a_cache),
        TEST(any_file_besides_makes_it_another_programs),
        TEST(links_in_place_of_our_directories_are_not_followed),
        TEST(foreign_files_in_a_cache_outlive_its_making_anew),
        TEST(system_directories_and_homes_are_refused),
        TEST(a_link_of_a_stranger_is_not_followed),
        TEST(a_group_may_write_only_if_the_mode_says_so),
        TEST(an_empty_directory_and_one_that_is_not_there_are_taken),
        TEST(a_file_system_of_its_own_is_taken),
        TEST(a_cache_with_a_file_besides_stays_one),
        TEST(what_a_killed_creator_leaves_is_taken),
        TEST(a_creator_killed_before_the_magic_is_succeeded),
        TEST(creators_at_once_agree),
        TEST(what_is_no_file_hangs_nobody_and_is_not_followed),
        TEST(control_and_locks_that_are_no_files_are_refused),
        TEST(another_version_is_told_and_an_older_one_is_made_anew),
        TEST(an_older_one_in_use_is_left_alone),
        TEST(a_damaged_control_is_told_and_mended),
        TEST(who_may_only_read_stops_no_writer_and_no_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
