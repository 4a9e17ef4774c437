/* fc_doctor: the settings and where they come from, then whatever on this machine keeps a
 * cache from working, each with its remedy. Needs no cache; the lock self-test makes a
 * file in the directory (or where it would be) and removes it again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "os.h"
#include "os_info.h"
#include "place.h"
#include "settings.h"
#include "status.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

typedef struct examination {
    fc_report_fn report;
    void *context;
    int stopped; /* what the callback returned, if not 0: no more calls */
    fc__settings settings;
    char place[sizeof((fc__settings *)0)->dir]; /* the directory, or its parent */
    int dir;                                    /* descriptor of `place` */
    bool exists;                                /* the directory itself does */
    bool refused; /* something speaks against this directory */
    bool writable;
    fc__filesystem fs;
} examination;

__attribute__((format(printf, 5, 6))) static void say(examination *doctor, fc_level level,
                                                      const char *subject,
                                                      const char *remedy,
                                                      const char *format, ...) {
    char text[4608];
    va_list arguments;
    if (doctor->stopped)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fc_finding finding = {level, subject, text, remedy};
    doctor->stopped = doctor->report(doctor->context, &finding);
}

/* ---- Settings ---- */

static void report_setting(examination *doctor, int index) {
    const fc__settings *settings = &doctor->settings;
    const char *name = fc__setting_name(index);
    const char *value = index == FC__SETTING_dir ? settings->dir : settings->text[index];
    char variable[64];
    switch (settings->origin[index]) {
    case FC__ARGUMENT:
        say(doctor, FC_LEVEL_INFO, name, NULL, "%s, from an argument", value);
        break;
    case FC__ENVIRONMENT:
        fc__setting_variable(variable, sizeof variable, index);
        say(doctor, FC_LEVEL_INFO, name, NULL, "%s, from %s", value, variable);
        break;
    default:
        if (index == FC__SETTING_threads)
            say(doctor, FC_LEVEL_INFO, name, NULL, "%u (%s), the default",
                settings->threads, value);
        else
            say(doctor, FC_LEVEL_INFO, name, NULL, "%s, the default", value);
    }
}

/* ---- The directory ---- */

/* The part in front of the last slash; "." if there is none. */
static void parent_of(char *out, size_t bytes, const char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    snprintf(out, bytes, "%.*s", length ? (int)length : 1, length ? path : ".");
}

/* Opens the directory or, if it is not there yet, the one that it will be made in. */
static bool find_place(examination *doctor) {
    const char *dir = doctor->settings.dir;
    const int flags = O_RDONLY | O_DIRECTORY;
    snprintf(doctor->place, sizeof doctor->place, "%s", dir);
    doctor->dir = fc__os_open(AT_FDCWD, dir, flags, 0);
    doctor->exists = doctor->dir >= 0;
    if (doctor->exists)
        return true;
    if (errno == ENOENT) {
        parent_of(doctor->place, sizeof doctor->place, dir);
        doctor->dir = fc__os_open(AT_FDCWD, doctor->place, flags, 0);
        if (doctor->dir >= 0)
            return true;
    }
    const char *remedy = errno == ENOENT    ? "make it, or set FRAMECACHE_DIR"
                         : errno == ENOTDIR ? "set FRAMECACHE_DIR to a directory"
                         : errno == EACCES  ? "ask its owner for access, or set "
                                              "FRAMECACHE_DIR to a directory of your own"
                                            : "set FRAMECACHE_DIR to another directory";
    char reason[128];
    say(doctor, FC_LEVEL_ERROR, "directory", remedy, "%s cannot be opened: %s",
        doctor->place, fc__errno_text(errno, reason, sizeof reason));
    return false;
}

/* Who may write the directory above may put another in the place of this one. */
static void check_parent(examination *doctor) {
    struct stat info;
    const char *name = doctor->exists ? ".." : ".";
    int parent = fc__os_open(doctor->dir, name, O_PATH | O_DIRECTORY, 0);
    bool open = parent >= 0 && fc__os_stat(parent, &info) == 0 &&
                (info.st_mode & S_IWOTH) && !(info.st_mode & S_ISVTX);
    if (parent >= 0)
        fc__os_close(parent);
    if (open)
        say(doctor, FC_LEVEL_WARNING, "directory",
            "chmod +t it, or set FRAMECACHE_DIR to a directory below one of your own",
            "the directory above %s may be written by the world (mode %04o): anyone may move "
            "the cache away", doctor->settings.dir, (unsigned)info.st_mode & 07777);
}

/* What an open would refuse, by the same questions. */
static void check_place(examination *doctor) {
    const fc__settings *settings = &doctor->settings;
    fc__objection found = {0};
    struct stat info;
    bool none;
    check_parent(doctor);
    if (!doctor->exists || fc__os_stat(doctor->dir, &info) < 0)
        return;
    fc__place_check_access(settings, &info, true, &found);
    fc__place_check_name(settings, doctor->dir, &found);
    if (!found.code && fc__place_is_cache(settings, doctor->dir, &none, &found))
        fc__place_check_parts(settings, doctor->dir, &found);
    doctor->refused = found.code;
    if (found.code)
        say(doctor, FC_LEVEL_ERROR, "directory", found.remedy, "%s, so it is refused",
            found.text);
    else {
        fc__place_check_access(settings, &info, false, &found);
        if (found.code)
            say(doctor, FC_LEVEL_WARNING, "directory", found.remedy,
                "%s, so it is refused unless it is opened with FC_RDONLY", found.text);
    }
}

/* The control, by what an open would make of it. */
static void check_control(examination *doctor) {
    fc__inspection found;
    struct stat info;
    if (!doctor->exists || doctor->refused || fc__os_stat(doctor->dir, &info) < 0 ||
        fc__control_inspect(doctor->dir, info.st_uid, &found))
        return;
    const char *anew = found.attached
                           ? "stop the processes that use it, then run: framecache clear"
                           : "run: framecache clear (it is made anew, empty)";
    if (found.verdict == FC__NEWER)
        say(doctor, FC_LEVEL_ERROR, "cache",
            "upgrade this one, or set FRAMECACHE_DIR to another directory",
            "in %s is of a newer version of framecache (format %u, this one's is %u): it is "
            "refused", doctor->place, found.version, FC__CONTROL_VERSION);
    if (found.verdict == FC__OLDER)
        say(doctor, found.attached ? FC_LEVEL_ERROR : FC_LEVEL_WARNING, "cache", anew,
            "in %s is of an older version of framecache (format %u, this one's is %u)%s",
            doctor->place, found.version, FC__CONTROL_VERSION,
            found.attached ? ", and in use" : ": the next open makes it anew, empty");
    if (found.verdict == FC__DAMAGED)
        say(doctor, FC_LEVEL_ERROR, "cache", anew, "control in %s is damaged%s", doctor->place,
            found.attached ? ", and in use" : "");
    if (found.verdict == FC__STALE)
        say(doctor, FC_LEVEL_INFO, "cache", NULL,
            "in %s is of an earlier boot: the next open makes it anew, empty", doctor->place);
}

static void check_permission(examination *doctor) {
    doctor->writable = fc__os_may_write(doctor->dir);
    if (!doctor->writable)
        say(doctor, FC_LEVEL_ERROR, "directory",
            "set FRAMECACHE_DIR to a directory that you may write, or attach read-only",
            "%s is not writable for uid %u: %s", doctor->place, fc__os_uid(),
            doctor->exists ? "nothing can be put" : "the cache cannot be made there");
    else if (!doctor->exists)
        say(doctor, FC_LEVEL_INFO, "directory", NULL,
            "does not exist yet; the first open makes it in %s", doctor->place);
}

static void check_filesystem(examination *doctor) {
    const char *remedy = "set FRAMECACHE_DIR to a directory on tmpfs (/dev/shm) or on a "
                         "local disk (ext4, xfs); in a container mount such a volume";
    if (fc__os_filesystem(doctor->dir, &doctor->fs) < 0) {
        say(doctor, FC_LEVEL_ERROR, "file system", NULL, "%s: its type cannot be asked",
            doctor->place);
        return;
    }
    if (doctor->fs.refused)
        say(doctor, FC_LEVEL_ERROR, "file system", remedy,
            "%s is %s, where leases do not hold: it is refused", doctor->place,
            doctor->fs.name);
    else if (doctor->fs.huge)
        say(doctor, FC_LEVEL_ERROR, "file system",
            "mount -o remount,huge=within_size, or set FRAMECACHE_DIR to another directory",
            "%s is on a tmpfs with huge=always (or the kernel's shmem_enabled is force), which "
            "takes 2 MiB for the smallest file: no budget holds there, so it is refused",
            doctor->place);
    else if (strcmp(doctor->fs.name, "unknown") == 0)
        say(doctor, FC_LEVEL_WARNING, "file system", remedy,
            "%s is of a type that was never tried", doctor->place);
    else
        say(doctor, FC_LEVEL_INFO, "file system", NULL,
            "%s, %" PRIu64 " MiB, %" PRIu64 " MiB free%s", doctor->fs.name,
            doctor->fs.size_bytes / MIB, doctor->fs.free_bytes / MIB,
            doctor->fs.memory ? ""
                              : "; frames are written back to disk, tmpfs is faster");
}

static void check_locks(examination *doctor) {
    if (doctor->fs.refused || doctor->refused || !doctor->writable)
        return;
    if (fc__os_lock_selftest(doctor->dir) == 0)
        say(doctor, FC_LEVEL_INFO, "locks", NULL, "a mapping keeps its lease: they hold");
    else
        say(doctor, FC_LEVEL_ERROR, "locks",
            "set FRAMECACHE_DIR to a directory on tmpfs (/dev/shm) or on a local disk",
            "in %s a mapping does not keep its lease: the directory is refused",
            doctor->place);
}

/* ---- Room ---- */

static void check_space(examination *doctor) {
    const fc__filesystem *fs = &doctor->fs;
    const fc__amount *budget = &doctor->settings.budget;
    if (fs->memory && fs->size_bytes <= 64 * MIB)
        say(doctor, FC_LEVEL_WARNING, "space",
            "docker run --shm-size=8g, or shm_size in compose; in Kubernetes an emptyDir "
            "with medium Memory at /dev/shm",
            "%s has %" PRIu64 " MiB: containers get 64 MB of shared memory unless told "
            "otherwise",
            doctor->place, fs->size_bytes / MIB);
    else if (fs->size_bytes && fs->free_bytes < fs->size_bytes / 20)
        say(doctor, FC_LEVEL_WARNING, "space", "remove files, or enlarge the file system",
            "%" PRIu64 " of %" PRIu64 " MiB are free in %s", fs->free_bytes / MIB,
            fs->size_bytes / MIB, doctor->place);
    if (budget->unit == FC__BYTES && fs->size_bytes && budget->value > fs->size_bytes)
        say(doctor, FC_LEVEL_WARNING, "budget",
            "a smaller FRAMECACHE_BUDGET, a share such as 50%, or a larger file system",
            "%" PRIu64 " MiB, but the file system has %" PRIu64 " MiB: puts will fail "
            "before anything is evicted",
            budget->value / MIB, fs->size_bytes / MIB);
}

/* Pages of tmpfs are charged to the cgroup that touches them first, and one too many is a
 * kill; on a disk they are cache that the kernel may drop. */
static void check_cgroup(examination *doctor) {
    uint64_t limit = fc__os_cgroup_limit();
    const fc__amount *budget = &doctor->settings.budget;
    uint64_t wanted = budget->unit == FC__BYTES ? budget->value
                      : budget->unit == FC__PERCENT
                          ? doctor->fs.size_bytes / 10000 * budget->value
                          : 0;
    if (!limit)
        return;
    say(doctor, FC_LEVEL_INFO, "cgroup", NULL, "memory limit of %" PRIu64 " MiB",
        limit / MIB);
    if (doctor->fs.memory && wanted > limit / 10 * 9)
        say(doctor, FC_LEVEL_WARNING, "cgroup",
            "FRAMECACHE_BUDGET=auto or smaller, or a higher memory limit",
            "the budget of %" PRIu64 " MiB leaves no room in the memory limit of %" PRIu64
            " MiB: the kernel would kill processes",
            wanted / MIB, limit / MIB);
}

static void check_memory(examination *doctor) {
    char text[4096];
    uint64_t available = fc__os_memory_available();
    const fc__amount *budget = &doctor->settings.budget;
    if (!doctor->fs.memory)
        return;
    if (budget->unit == FC__BYTES && available && budget->value > available &&
        budget->value > doctor->fs.size_bytes - doctor->fs.free_bytes + available)
        say(doctor, FC_LEVEL_WARNING, "memory", "a smaller FRAMECACHE_BUDGET, or auto",
            "the budget is %" PRIu64 " MiB, but %" PRIu64 " MiB of memory are available",
            budget->value / MIB, available / MIB);
    if (fc__os_read_text("/proc/swaps", text, sizeof text) && strchr(text, '\n') &&
        strchr(text, '\n')[1] != '\0')
        say(doctor, FC_LEVEL_INFO, "swap", NULL,
            "is on: under pressure the kernel may write frames on tmpfs to it");
}

/* ---- Limits of processes ---- */

static void check_limits(examination *doctor) {
    char text[64];
    uint64_t files = fc__os_limit(FC__LIMIT_FILES);
    uint64_t space = fc__os_limit(FC__LIMIT_SPACE);
    uint64_t file_bytes = fc__os_limit(FC__LIMIT_FILE_BYTES);
    if (files < 256)
        say(doctor, FC_LEVEL_WARNING, "descriptors", "ulimit -n 1024",
            "RLIMIT_NOFILE is %" PRIu64 ": puts hold a few each", files);
    if (space != UINT64_MAX)
        say(doctor, FC_LEVEL_WARNING, "address space", "ulimit -v unlimited",
            "RLIMIT_AS is %" PRIu64 " MiB: larger frames cannot be mapped", space / MIB);
    if (file_bytes != UINT64_MAX)
        say(doctor, FC_LEVEL_WARNING, "file size", "ulimit -f unlimited",
            "RLIMIT_FSIZE is %" PRIu64 " MiB: a process that puts a larger column is "
            "killed (SIGXFSZ)",
            file_bytes / MIB);
    if (fc__os_read_text("/proc/sys/vm/max_map_count", text, sizeof text) &&
        strtoull(text, NULL, 10) < 32768)
        say(doctor, FC_LEVEL_WARNING, "mappings", "sysctl vm.max_map_count=65530",
            "vm.max_map_count is %llu: a process may map few frames at once",
            strtoull(text, NULL, 10));
}

static void check_huge(examination *doctor) {
    char text[128];
    if (!doctor->settings.huge || !doctor->fs.memory ||
        !fc__os_read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text,
                          sizeof text))
        return;
    if (strstr(text, "[never]") || strstr(text, "[deny]"))
        say(doctor, FC_LEVEL_WARNING, "huge",
            "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled, or a tmpfs "
            "mounted with huge=within_size",
            "advise has no effect unless the mount was made with huge=: the kernel's "
            "shmem_enabled is never");
}

/* ---- systemd ---- */

/* The last RemoveIPC= in a file of logind's; `before` if there is none. */
static bool remove_ipc_in(const char *path, bool before) {
    char text[8192];
    if (!fc__os_read_text(path, text, sizeof text))
        return before;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        line += strspn(line, " \t");
        if (strncmp(line, "RemoveIPC=", 10) == 0)
            before = strncmp(line + 10, "no", 2) && strncmp(line + 10, "false", 5) &&
                     line[10] != '0' && strncmp(line + 10, "off", 3);
    }
    return before;
}

typedef struct drop_ins {
    const char *directory;
    bool remove_ipc;
} drop_ins;

static int visit_drop_in(void *context, const char *name) {
    drop_ins *found = context;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", found->directory, name);
    found->remove_ipc = remove_ipc_in(path, found->remove_ipc);
    return 0;
}

/* logind removes a user's files of /dev/shm when the last session ends; not those of
 * system users, and not if RemoveIPC=no (logind.conf(5)). */
static void check_remove_ipc(examination *doctor) {
    drop_ins found = {"/etc/systemd/logind.conf.d", true};
    struct stat info;
    if (strncmp(doctor->settings.dir, "/dev/shm/", 9) != 0 || fc__os_uid() < 1000 ||
        fc__os_stat_at(AT_FDCWD, "/run/systemd/system", &info) < 0)
        return;
    found.remove_ipc = remove_ipc_in("/etc/systemd/logind.conf", found.remove_ipc);
    int dir = fc__os_open(AT_FDCWD, found.directory, O_RDONLY | O_DIRECTORY, 0);
    if (dir >= 0) {
        fc__os_list(dir, visit_drop_in, &found);
        fc__os_close(dir);
    }
    if (found.remove_ipc)
        say(doctor, FC_LEVEL_WARNING, "systemd",
            "RemoveIPC=no in /etc/systemd/logind.conf, or loginctl enable-linger, or a "
            "FRAMECACHE_DIR elsewhere",
            "removes this user's files from /dev/shm when the last session ends");
}

int fc_doctor(const fc_options *options, fc_report_fn report, void *context,
              fc_error *error) {
    fc_error wrong;
    if (!report)
        return fc__fail(error, FC_E_INVALID, "fc_doctor: report is NULL");
    examination *doctor = fc__calloc(1, sizeof *doctor);
    if (!doctor)
        return fc__fail(error, FC_E_NOMEM, "fc_doctor: out of memory");
    doctor->report = report;
    doctor->context = context;
    if (fc__settings_load(&doctor->settings, options, &wrong)) {
        say(doctor, FC_LEVEL_ERROR, "settings", "correct it, or leave it unset", "%s",
            wrong.message);
        goto done;
    }
    for (int i = 0; i < FC__SETTING_COUNT; i++)
        report_setting(doctor, i);
    if (find_place(doctor)) {
        check_place(doctor);
        check_control(doctor);
        check_permission(doctor);
        check_filesystem(doctor);
        check_locks(doctor);
        check_space(doctor);
        check_cgroup(doctor);
        check_memory(doctor);
        check_huge(doctor);
        fc__os_close(doctor->dir);
    }
    check_limits(doctor);
    check_remove_ipc(doctor);

done:;
    int stopped = doctor->stopped;
    fc__free(doctor);
    return fc__ended(error, stopped, "fc_doctor");
}
