/* Whether a directory may be a cache's. See place.h. */
#include "place.h"

#include "engine.h"
#include "os_info.h"
#include "os_procs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const elsewhere = "set FRAMECACHE_DIR to a directory of its own, one that "
                                     "does not exist yet or that is empty";

__attribute__((format(printf, 4, 5))) static void object(fc__objection *out, int code,
                                                         const char *remedy,
                                                         const char *format, ...) {
    va_list arguments;
    if (out->code)
        return; /* the first one is told */
    va_start(arguments, format);
    vsnprintf(out->text, sizeof out->text, format, arguments);
    va_end(arguments);
    out->code = code;
    out->remedy = remedy;
}

/* ---- Who may write it ---- */

/* Who may make links in a directory such as /dev/shm could lead others to one of theirs. */
static void check_link(const char *path, fc__objection *out) {
    char name[sizeof((fc__settings *)0)->dir];
    struct stat info;
    snprintf(name, sizeof name, "%s", path);
    for (size_t end = strlen(name); end > 1 && name[end - 1] == '/'; end--)
        name[end - 1] = 0; /* with a slash behind it a link is followed */
    if (fc__os_stat_at(AT_FDCWD, name, &info) < 0 || !S_ISLNK(info.st_mode) ||
        info.st_uid == fc__os_uid() || info.st_uid == 0)
        return;
    object(out, FC_E_PERMISSION, "set FRAMECACHE_DIR to where it should lead",
           "directory %s is a symbolic link of uid %u", path, (unsigned)info.st_uid);
}

static void check_mode(const fc__settings *settings, const struct stat *info,
                       fc__objection *out) {
    unsigned mode = (unsigned)info->st_mode & 07777;
    if (mode & S_IWOTH)
        object(out, FC_E_PERMISSION,
               "chmod o-w it (who may write it can feed every reader), or set "
               "FRAMECACHE_DIR to another",
               "directory %s is writable by the world (mode %04o)", settings->dir, mode);
    if ((mode & S_IWGRP) && !(settings->mode & S_IWGRP))
        object(out, FC_E_PERMISSION,
               "chmod g-w it (who may write it can feed every reader), or set "
               "FRAMECACHE_MODE=0770 if its group is meant to write it",
               "directory %s is writable by its group (mode %04o)", settings->dir, mode);
}

void fc__place_check_access(const fc__settings *settings, const struct stat *info,
                            bool read_only, fc__objection *out) {
    uint32_t uid = fc__os_uid();
    check_link(settings->dir, out);
    check_mode(settings, info, out);
    if (info->st_uid != uid && !(read_only && (uid == 0 || fc__os_in_group(info->st_gid))))
        object(out, FC_E_PERMISSION,
               "set FRAMECACHE_DIR to a directory of yours, or open it with FC_RDONLY and "
               "group access",
               "directory %s (mode %04o) belongs to uid %u, this process runs as uid %u",
               settings->dir, (unsigned)info->st_mode & 07777, (unsigned)info->st_uid, uid);
}

/* ---- Directories that are something else by their name ---- */

static const char *const system_directories[] = {
    "/",     "/bin",  "/boot", "/dev",     "/dev/shm", "/etc",       "/home", "/lib", "/lib64",
    "/media", "/mnt", "/opt",  "/proc",    "/root",    "/run",       "/run/shm", "/run/user",
    "/sbin", "/srv",  "/sys",  "/tmp",     "/usr",     "/usr/local", "/var",  "/var/cache",
    "/var/lib", "/var/log", "/var/tmp"};

static bool is_same(const struct stat *info, const char *path) {
    struct stat other;
    int fd = path && *path == '/' ? fc__os_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0) : -1;
    bool same = fd >= 0 && fc__os_stat(fd, &other) == 0 && other.st_dev == info->st_dev &&
                other.st_ino == info->st_ino;
    if (fd >= 0)
        fc__os_close(fd);
    return same;
}

/* "name:x:1000:1000:text:/home/name:/bin/sh" (passwd(5)); false if it is another uid's. */
static bool home_in(const char *line, uint32_t uid, char *home, size_t bytes) {
    const char *field = line;
    size_t length = strcspn(line, "\n");
    for (int i = 0; i < 5; i++) {
        if (i == 2 && strtoul(field, NULL, 10) != uid)
            return false;
        field = memchr(field, ':', length - (size_t)(field - line));
        if (!field++)
            return false;
    }
    snprintf(home, bytes, "%.*s", (int)strcspn(field, ":\n"), field);
    return true;
}

static bool is_home(const struct stat *info) {
    char text[32768], home[4096];
    const char *line = text;
    if (is_same(info, getenv("HOME")) || is_same(info, getenv("XDG_RUNTIME_DIR")))
        return true;
    if (!fc__os_read_text("/etc/passwd", text, sizeof text))
        return false;
    for (; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (home_in(line, fc__os_uid(), home, sizeof home) && is_same(info, home))
            return true;
    return false;
}

static bool is_system(const struct stat *info, int dir) {
    char path[4096];
    if (!fc__os_path_of(dir, path, sizeof path))
        return is_same(info, "/");
    for (size_t i = 0; i < sizeof system_directories / sizeof *system_directories; i++)
        if (strcmp(path, system_directories[i]) == 0)
            return true;
    return strncmp(path, "/run/user/", 10) == 0 && !strchr(path + 10, '/');
}

void fc__place_check_name(const fc__settings *settings, int dir, fc__objection *out) {
    struct stat info;
    if (fc__os_stat(dir, &info) < 0)
        return;
    if (is_system(&info, dir))
        object(out, FC_E_INVALID, elsewhere, "%s is a directory of the system, not a cache's",
               settings->dir);
    else if (is_home(&info))
        object(out, FC_E_INVALID, elsewhere, "%s is a home directory, not a cache's",
               settings->dir);
}

/* ---- What is in it ---- */

void fc__place_read_head(int dir, uint32_t owner, fc__control_head *out) {
    struct {
        uint64_t magic;
        uint32_t version, byte_order;
    } head = {0};
    int fd = fc__os_open_file(dir, "control", O_RDONLY, 0, owner, false);
    *out = (fc__control_head){.present = fd >= 0};
    if (fd < 0)
        return;
    ssize_t got = fc__os_read(fd, &head, sizeof head, 0);
    fc__os_close(fd);
    out->magic = got >= 8 ? head.magic : got > 0;
    out->version = got == sizeof head ? head.version : 0;
}

typedef struct contents {
    int dir;
    uint32_t owner;
    bool any, locks, control, frames; /* frames: of some frame, or what looks like them */
    const char *within;               /* which directory of it is walked, or NULL */
    char foreign[300];
} contents;

static int call_foreign(contents *c, const char *name) {
    snprintf(c->foreign, sizeof c->foreign, "%s%s%s", c->within ? c->within : "",
             c->within ? "/" : "", name);
    return 1;
}

static bool is_plain(int dir, const char *name, uint32_t owner, off_t most) {
    struct stat info;
    return fc__os_stat_at(dir, name, &info) == 0 && S_ISREG(info.st_mode) &&
           info.st_uid == owner && info.st_size <= most;
}

static int visit_inner(void *context, const char *name) {
    contents *c = context;
    uint32_t record;
    int64_t segment;
    if (fc__os_is_selftest(name))
        return 0;
    if (!fc__parse_name(name, &record, &segment) ||
        !is_plain(c->dir, name, c->owner, INT64_MAX))
        return call_foreign(c, name);
    c->frames = true;
    return 0;
}

static int visit_directory(contents *c, const char *name) {
    int outer = c->dir, fd = fc__os_open_dir(outer, name, c->owner);
    if (fd < 0)
        return call_foreign(c, name);
    c->within = name;
    c->dir = fd;
    int status = fc__os_list_all(fd, visit_inner, c);
    c->within = NULL;
    c->dir = outer;
    fc__os_close(fd);
    return status < 0 ? call_foreign(c, name) : status;
}

/* lost+found is made with a file system. */
static int visit_outer(void *context, const char *name) {
    contents *c = context;
    struct stat info;
    if (fc__os_is_selftest(name) ||
        (strcmp(name, "lost+found") == 0 && fc__os_stat_at(c->dir, name, &info) == 0 &&
         S_ISDIR(info.st_mode)))
        return 0;
    c->any = true;
    if (strcmp(name, "frames") == 0 || strcmp(name, "cold") == 0)
        return visit_directory(c, name);
    bool locks = strcmp(name, "locks") == 0 || strcmp(name, "writers") == 0;
    bool control = strcmp(name, "control") == 0;
    if ((!locks && !control) || !is_plain(c->dir, name, c->owner, locks ? 0 : INT64_MAX))
        return call_foreign(c, name);
    c->locks |= locks;
    c->control |= control;
    return 0;
}

static bool has_magic(int dir, uint32_t owner) {
    fc__control_head head;
    fc__place_read_head(dir, owner, &head);
    return head.magic == FC__CONTROL_MAGIC;
}

/* A cache is made in the order frames/, locks, writers, control, and a frame comes when all that is
 * there. So what a creator leaves that is killed, or whose control was damaged, has `locks`
 * (which is empty) beside `control` or anything in frames/; other programs' folders may be
 * called frames, too. */
bool fc__place_is_cache(const fc__settings *settings, int dir, bool *none,
                        fc__objection *out) {
    struct stat info;
    contents c = {.dir = dir};
    *none = false;
    if (fc__os_stat(dir, &info) < 0)
        return false;
    c.owner = info.st_uid;
    if (has_magic(dir, c.owner))
        return true;
    if (fc__os_list_all(dir, visit_outer, &c) < 0)
        call_foreign(&c, "what cannot be listed");
    if (!c.foreign[0] && !c.locks && (c.control || c.frames))
        call_foreign(&c, c.control ? "control" : "frames");
    *none = !c.any;
    if (!c.foreign[0] || has_magic(dir, c.owner)) /* or it was made meanwhile */
        return true;
    object(out, FC_E_INVALID, elsewhere,
           "directory %s is not empty, and no cache: there is '%s' in it", settings->dir,
           c.foreign);
    return false;
}

void fc__place_check_parts(const fc__settings *settings, int dir, fc__objection *out) {
    static const struct {
        const char *name;
        bool directory;
    } parts[] = {{"frames", true}, {"cold", true}, {"locks", false}, {"writers", false},
                 {"control", false}};
    struct stat here, info;
    if (fc__os_stat(dir, &here) < 0)
        return;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (fc__os_stat_at(dir, parts[i].name, &info) < 0)
            continue;
        bool right = parts[i].directory
                         ? S_ISDIR(info.st_mode) && !(info.st_mode & S_IWOTH)
                         : S_ISREG(info.st_mode) && info.st_nlink <= 1;
        if (!right || info.st_uid != here.st_uid)
            object(out, FC_E_INVALID, "remove it, or set FRAMECACHE_DIR to another directory",
                   "%s/%s is no %s of the directory's owner, or a link", settings->dir,
                   parts[i].name, parts[i].directory ? "directory" : "regular file");
    }
}
