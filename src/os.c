/* System calls. See os.h. */
#include "os.h"

#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Fails on behalf of the kernel when a test says so. */
#define TRY(errno_, result)                                                               \
    do {                                                                                  \
        if (FC__FAULT(SYSCALL)) {                                                         \
            errno = (errno_);                                                             \
            return (result);                                                              \
        }                                                                                 \
    } while (0)

#define RETRY(result, call)                                                               \
    do                                                                                    \
        (result) = (call);                                                                \
    while ((result) < 0 && errno == EINTR)

int fc__os_open(int dir, const char *name, int flags, uint32_t mode) {
    TRY(EMFILE, -1);
    int fd;
    RETRY(fd, openat(dir, name, flags | O_CLOEXEC, (mode_t)mode));
    return fd;
}

static bool is_file(const struct stat *info, uint32_t owner, bool linked) {
    return S_ISREG(info->st_mode) && info->st_uid == owner &&
           (linked || info->st_nlink <= 1); /* 0: unlinked since */
}

/* What cannot be opened is foreign if it is no such file, whatever the kernel said of it. */
int fc__os_open_file(int dir, const char *name, int flags, uint32_t mode, uint32_t owner,
                     bool linked) {
    struct stat info;
    int fd = fc__os_open(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
    if (fd < 0) {
        int saved = errno;
        bool there = saved != ENOENT && saved != EMFILE && saved != ENFILE &&
                     fc__os_stat_at(dir, name, &info) == 0;
        errno = there && !is_file(&info, owner, linked) ? FC__FOREIGN : saved;
        return -1;
    }
    if (fstat(fd, &info) == 0 && is_file(&info, owner, linked))
        return fd;
    fc__os_close(fd);
    errno = FC__FOREIGN;
    return -1;
}

int fc__os_open_dir(int dir, const char *name, uint32_t owner) {
    struct stat info;
    int fd = fc__os_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0) {
        errno = errno == ENOTDIR || errno == ELOOP ? FC__FOREIGN : errno;
        return -1;
    }
    if (fstat(fd, &info) == 0 && info.st_uid == owner && !(info.st_mode & S_IWOTH))
        return fd;
    fc__os_close(fd);
    errno = FC__FOREIGN;
    return -1;
}

void fc__os_close(int fd) {
    int saved = errno;
    close(fd);
    errno = saved;
}

int fc__os_mkdir(int dir, const char *name, uint32_t mode) {
    TRY(ENOSPC, -1);
    return mkdirat(dir, name, (mode_t)mode);
}

int fc__os_unlink(int dir, const char *name) {
    return unlinkat(dir, name, 0);
}

int fc__os_link(int dir, const char *name, const char *other) {
    TRY(EMLINK, -1);
    return linkat(dir, name, dir, other, 0);
}

int fc__os_rmdir(int dir, const char *name) {
    return unlinkat(dir, name, AT_REMOVEDIR);
}

int fc__os_stat(int fd, struct stat *out) {
    TRY(EIO, -1);
    return fstat(fd, out);
}

int fc__os_stat_at(int dir, const char *name, struct stat *out) {
    return fstatat(dir, name, out, AT_SYMLINK_NOFOLLOW);
}

int fc__os_chmod(int fd, uint32_t mode) {
    TRY(EPERM, -1);
    return fchmod(fd, (mode_t)mode);
}

int fc__os_truncate(int fd, uint64_t bytes) {
    TRY(ENOSPC, -1);
    int result;
    RETRY(result, ftruncate(fd, (off_t)bytes));
    return result;
}

/* A chunk at a time: a signal makes fallocate() on tmpfs give back all that it took, so a
 * large one would never end under a timer. */
int fc__os_reserve(int fd, uint64_t offset, uint64_t bytes) {
    const uint64_t chunk = (uint64_t)16 << 20;
    TRY(ENOSPC, -1);
    for (uint64_t end = offset + bytes; offset < end;) {
        uint64_t part = end - offset < chunk ? end - offset : chunk;
        int result;
        RETRY(result, fallocate(fd, 0, (off_t)offset, (off_t)part));
        if (result < 0)
            return -1;
        offset += part;
    }
    return 0;
}

int fc__os_write(int fd, const void *data, size_t bytes, uint64_t offset) {
    const size_t chunk = (size_t)8 << 20;
    const char *from = data;
    TRY(ENOSPC, -1);
    while (bytes) {
        ssize_t done;
        RETRY(done, pwrite(fd, from, bytes < chunk ? bytes : chunk, (off_t)offset));
        if (done < 0)
            return -1;
        if (done == 0) {
            errno = ENOSPC;
            return -1;
        }
        from += done;
        offset += (uint64_t)done;
        bytes -= (size_t)done;
    }
    return 0;
}

ssize_t fc__os_read(int fd, void *data, size_t bytes, uint64_t offset) {
    TRY(EIO, -1);
    ssize_t done;
    RETRY(done, pread(fd, data, bytes, (off_t)offset));
    return done;
}

static int list(int dir, bool hidden, int (*visit)(void *, const char *), void *context) {
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    DIR *entries = fdopendir(fd);
    if (!entries) {
        fc__os_close(fd);
        return -1;
    }
    int status = 0;
    for (struct dirent *entry; !status && (entry = readdir(entries));)
        if (entry->d_name[0] != '.' || (hidden && strcmp(entry->d_name, ".") != 0 &&
                                        strcmp(entry->d_name, "..") != 0))
            status = visit(context, entry->d_name);
    closedir(entries);
    return status;
}

int fc__os_list(int dir, int (*visit)(void *, const char *), void *context) {
    TRY(EMFILE, -1);
    return list(dir, false, visit, context);
}

int fc__os_list_all(int dir, int (*visit)(void *, const char *), void *context) {
    TRY(EMFILE, -1);
    return list(dir, true, visit, context);
}

/* From /proc, since umask() would change it for all threads for a moment. */
uint32_t fc__os_umask(void) {
    char text[1024];
    uint32_t mask = 022;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mask;
    ssize_t bytes = read(fd, text, sizeof text - 1);
    close(fd);
    text[bytes > 0 ? bytes : 0] = 0;
    const char *line = strstr(text, "Umask:");
    if (line)
        sscanf(line, "Umask: %o", &mask);
    return mask;
}

bool fc__os_in_group(uint32_t gid) {
    gid_t groups[256];
    if (geteuid() == 0 || getegid() == gid)
        return true;
    int count = getgroups(256, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

uint32_t fc__os_uid(void) {
    return geteuid();
}

int fc__os_range(int fd, fc__lock_type type, uint64_t offset) {
    static const short kind[] = {F_UNLCK, F_RDLCK, F_WRLCK};
    struct flock range = {.l_type = kind[type],
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)offset,
                          .l_len = 1};
    if (type != FC__UNLOCK)
        TRY(ENOLCK, -1);
    int result;
    RETRY(result, fcntl(fd, F_OFD_SETLK, &range));
    return result;
}

int fc__os_lease(int fd, fc__lock_type type) {
    return fc__os_range(fd, type, 0);
}

bool fc__os_range_held(int fd, uint64_t offset) {
    struct flock range = {.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)offset,
                          .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

/* The names first: while the lease is held nobody can open the file, which of a shared column
 * are the readers of another frame. The signal of a broken lease must be one that is ignored
 * by default: SIGIO would end the process. */
bool fc__os_sole(int fd) {
    struct stat info;
    TRY(EAGAIN, false);
    if (fstat(fd, &info) < 0 || info.st_nlink != 1)
        return false;
    fcntl(fd, F_SETSIG, SIGURG);
    if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
        return false;
    FC__STEP("sole-leased");
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return true;
}

void *fc__os_map(int fd, size_t bytes, fc__map how) {
    static const struct {
        int protection, flags;
    } table[] = {
        [FC__MAP_NONE] = {PROT_NONE, MAP_SHARED},
        [FC__MAP_READ] = {PROT_READ, MAP_SHARED},
        [FC__MAP_READ_ALL] = {PROT_READ, MAP_SHARED | MAP_POPULATE},
        [FC__MAP_WRITE] = {PROT_READ | PROT_WRITE, MAP_SHARED},
        [FC__MAP_SHARED] = {PROT_READ | PROT_WRITE, MAP_SHARED},
        [FC__MAP_PRIVATE] = {PROT_READ | PROT_WRITE, MAP_PRIVATE},
    };
    TRY(ENOMEM, NULL);
    void *start = mmap(NULL, bytes, table[how].protection, table[how].flags, fd, 0);
    if (start == MAP_FAILED)
        return NULL;
    if (how == FC__MAP_WRITE)
        fc__os_not_in_children(start, bytes);
    return start;
}

void fc__os_unmap(const void *start, size_t bytes) {
    if (start)
        munmap((void *)(uintptr_t)start, bytes);
}

int fc__os_populate(const void *start, size_t bytes) {
    return madvise((void *)(uintptr_t)start, bytes, MADV_POPULATE_READ);
}

void fc__os_unfault(const void *start, size_t bytes) {
    madvise((void *)(uintptr_t)start, bytes, MADV_DONTNEED);
}

void fc__os_huge(const void *start, size_t bytes) {
    madvise((void *)(uintptr_t)start, bytes, MADV_HUGEPAGE);
}

void fc__os_not_in_children(const void *start, size_t bytes) {
    madvise((void *)(uintptr_t)start, bytes, MADV_DONTFORK);
}

#define PAGEMAP_READ 8192 /* entries a read: 64 KiB, for 32 MiB of pages */

/* Counts pages of the range that are the process's own, by /proc/self/pagemap (Linux
 * Documentation/admin-guide/mm/pagemap.rst): bit 63 present, 62 swapped, 61 page of a file or
 * shared. False if that cannot be told. */
static bool count_private(const void *start, size_t bytes, uint64_t *pages) {
    uint64_t entries[PAGEMAP_READ], first = (uintptr_t)start / FC__PAGE;
    uint64_t count = (bytes + FC__PAGE - 1) / FC__PAGE, done = 0;
    *pages = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while (done < count) {
        uint64_t want = count - done < PAGEMAP_READ ? count - done : PAGEMAP_READ;
        ssize_t got = pread(fd, entries, want * 8, (off_t)((first + done) * 8));
        if (got < 8)
            break;
        for (ssize_t i = 0; i < got / 8; i++)
            *pages += (entries[i] >> 62 & 1) ||
                      ((entries[i] >> 63) && !(entries[i] >> 61 & 1));
        done += (uint64_t)got / 8;
    }
    close(fd);
    return done == count;
}

uint64_t fc__os_private_bytes(const void *start, size_t bytes) {
    uint64_t pages;
    count_private(start, bytes, &pages);
    return pages * FC__PAGE;
}

bool fc__os_is_untouched(const void *start, size_t bytes) {
    uint64_t pages;
    return count_private(start, bytes, &pages) && !pages;
}

static int64_t clock_now(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t fc__os_realtime_ns(void) {
    return clock_now(CLOCK_REALTIME);
}

int64_t fc__os_monotonic_ns(void) {
    return clock_now(CLOCK_MONOTONIC);
}

int64_t fc__os_coarse_ns(void) {
    return clock_now(CLOCK_MONOTONIC_COARSE);
}

void fc__os_sleep_ns(int64_t duration_ns) {
    struct timespec duration = {.tv_sec = duration_ns / 1000000000,
                                .tv_nsec = duration_ns % 1000000000};
    nanosleep(&duration, NULL);
}

int fc__os_wait(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns, uint32_t bits) {
    struct timespec until, *limit = NULL;
    if (timeout_ns >= 0) {
        int64_t end = fc__os_monotonic_ns() + timeout_ns;
        until = (struct timespec){.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
        limit = &until;
    }
    /* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC. */
    return (int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, limit, NULL, bits);
}

void fc__os_wake(_Atomic uint32_t *word, uint32_t bits) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET, INT32_MAX, NULL, NULL, bits);
    errno = saved;
}

int fc__os_event(void) {
    TRY(EMFILE, -1);
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void fc__os_signal(int fd) {
    uint64_t one = 1;
    int saved = errno;
    ssize_t written;
    RETRY(written, write(fd, &one, sizeof one));
    errno = saved;
}

#define SELFTEST ".selftest."

bool fc__os_is_selftest(const char *name) {
    size_t front = strlen(SELFTEST);
    return strncmp(name, SELFTEST, front) == 0 && name[front] &&
           strspn(name + front, "0123456789abcdef") == strlen(name + front);
}

/* A mapping keeps the open file description and with it the lock: true on tmpfs, ext4, xfs
 * and btrfs; false on overlayfs, whose mapping holds the lower file only. */
int fc__os_lock_selftest(int dir) {
    char own[64];
    int result = -1;
    snprintf(own, sizeof own, SELFTEST "%llx", (unsigned long long)fc__os_random());
    int first = fc__os_open(dir, own, O_CREAT | O_EXCL | O_RDWR, 0600), second = -1;
    void *kept = NULL;
    if (first < 0)
        return -1;
    if (fc__os_truncate(first, FC__PAGE) == 0 && fc__os_lease(first, FC__SHARED) == 0)
        kept = fc__os_map(first, FC__PAGE, FC__MAP_READ);
    fc__os_close(first);
    if (kept) {
        second = fc__os_open(dir, own, O_RDWR, 0);
        if (second >= 0 && fc__os_lease(second, FC__EXCLUSIVE) < 0)
            result = errno == EWOULDBLOCK ? 0 : -1;
        else
            errno = 0;
        fc__os_unmap(kept, FC__PAGE);
    }
    if (second >= 0)
        fc__os_close(second);
    fc__os_unlink(dir, own);
    return result;
}
