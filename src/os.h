/* The one file that talks to the kernel. Each call retries EINTR, opens with O_CLOEXEC and
 * can be made to fail by tests (fault.h). Results are -1 or NULL with errno, as in libc,
 * unless said otherwise. Linux only: this is the seam for a port. */
#ifndef FC_OS_H
#define FC_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FC__PAGE ((uint64_t)4096)

/* ---- Files; `dir` is a directory descriptor or AT_FDCWD ---- */

int fc__os_open(int dir, const char *name, int flags, uint32_t mode);
/* A file of a cache's directory, which somebody may have put another thing in place of: no
 * link is followed, nothing waits for a FIFO, and it is a regular file of this owner, under
 * this name alone unless `linked`. Else -1 with FC__FOREIGN. */
#define FC__FOREIGN EUCLEAN
int fc__os_open_file(int dir, const char *name, int flags, uint32_t mode, uint32_t owner,
                     bool linked);
/* The same for a directory in it, that the world may not write. */
int fc__os_open_dir(int dir, const char *name, uint32_t owner);
void fc__os_close(int fd); /* keeps errno */
int fc__os_mkdir(int dir, const char *name, uint32_t mode);
int fc__os_unlink(int dir, const char *name);
int fc__os_rmdir(int dir, const char *name);
int fc__os_link(int dir, const char *name, const char *other);
int fc__os_stat(int fd, struct stat *out);
int fc__os_stat_at(int dir, const char *name, struct stat *out);
int fc__os_chmod(int fd, uint32_t mode);
int fc__os_truncate(int fd, uint64_t bytes);
int fc__os_reserve(int fd, uint64_t offset, uint64_t bytes); /* in chunks, ENOSPC early */
int fc__os_write(int fd, const void *data, size_t bytes, uint64_t offset); /* all, or -1 */
ssize_t fc__os_read(int fd, void *data, size_t bytes, uint64_t offset);
/* Calls visit for each entry but those that begin with a dot; visit < 0 ends the walk. */
int fc__os_list(int dir, int (*visit)(void *context, const char *name), void *context);
int fc__os_list_all(int dir, int (*visit)(void *context, const char *name), void *context);
uint32_t fc__os_umask(void);
bool fc__os_in_group(uint32_t gid);
uint32_t fc__os_uid(void); /* the effective one */

/* ---- Locks: never wait. -1 with EAGAIN or EWOULDBLOCK: somebody has it ---- */

typedef enum fc__lock_type { FC__UNLOCK, FC__SHARED, FC__EXCLUSIVE } fc__lock_type;

/* Of the first byte: whoever takes it exclusively must have opened the file to write, so a
 * process that may only read keeps nobody out (with flock() it could). */
int fc__os_lease(int fd, fc__lock_type type);
int fc__os_range(int fd, fc__lock_type type, uint64_t offset); /* one byte, OFD */
bool fc__os_range_held(int fd, uint64_t offset); /* by anyone; takes nothing */
/* True if the file has one name, this descriptor is the only open one and nobody maps it: a
 * write lease (fcntl F_SETLEASE) is granted, and dropped again. Meanwhile an open with
 * O_NONBLOCK fails with EAGAIN. */
bool fc__os_sole(int fd);

/* ---- Mappings ---- */

typedef enum fc__map {
    FC__MAP_NONE,    /* PROT_NONE: keeps the open file description, nothing else */
    FC__MAP_READ,    /* shared, read-only */
    FC__MAP_READ_ALL, /* the same, with its pages at once */
    FC__MAP_WRITE,   /* shared, writable, not inherited by fork */
    FC__MAP_SHARED,  /* shared, writable, inherited by fork: control */
    FC__MAP_PRIVATE  /* copy on write */
} fc__map;

void *fc__os_map(int fd, size_t bytes, fc__map how); /* NULL on failure */
void fc__os_unmap(const void *start, size_t bytes);
int fc__os_populate(const void *start, size_t bytes); /* maps all pages that exist, now */
/* Of a shared mapping of a file, which keeps its bytes: unmaps these pages until touched. */
void fc__os_unfault(const void *start, size_t bytes);
void fc__os_huge(const void *start, size_t bytes);
void fc__os_not_in_children(const void *start, size_t bytes); /* forked later */
/* Pages of a private mapping that are the process's own; 0 where that is not told. */
/* True only if it is known that no page of the range is the process's own. */
bool fc__os_is_untouched(const void *start, size_t bytes);
uint64_t fc__os_private_bytes(const void *start, size_t bytes);

/* ---- Time ---- */

int64_t fc__os_realtime_ns(void);
int64_t fc__os_monotonic_ns(void);
int64_t fc__os_coarse_ns(void); /* monotonic, some ms apart, a few ns to read */
void fc__os_sleep_ns(int64_t duration_ns);

/* ---- Futexes in shared memory ---- */

#define FC__WAKE_ALL 0xffffffffu

/* Until woken with one of `bits`, *word differs from `seen`, or the time is up (< 0:
 * never). -1 with ETIMEDOUT, EAGAIN or EINTR. */
int fc__os_wait(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns, uint32_t bits);
void fc__os_wake(_Atomic uint32_t *word, uint32_t bits);

/* ---- Events ---- */

int fc__os_event(void); /* a descriptor that is not readable yet */
void fc__os_signal(int fd);

/* ---- About the machine ---- */

typedef struct fc__filesystem {
    const char *name; /* "tmpfs", "ext4", "overlayfs", ...; "unknown" */
    bool refused;     /* by type: leases do not hold there, or not between hosts */
    bool memory;      /* tmpfs */
    bool huge;        /* it takes 2 MiB for each page of a new file */
    uint64_t size_bytes, free_bytes;
} fc__filesystem;

int fc__os_filesystem(int dir, fc__filesystem *out);
void fc__os_boot_id(char out[40]); /* all zero where there is none */
uint64_t fc__os_random(void);
uint64_t fc__os_memory_available(void); /* MemAvailable; 0 if not told */
uint64_t fc__os_cgroup_limit(void);     /* the least memory limit above us; 0: none */
typedef struct fc__cgroup {
    uint64_t limit_bytes; /* the least memory limit above us; 0: none */
    uint64_t free_bytes;  /* the least that is free within any of them */
} fc__cgroup;
fc__cgroup fc__os_cgroup(void);
/* Percent of the last ten seconds in which some process stalled for memory (PSI), here or
 * in our cgroup; 0 where that is not told. */
double fc__os_memory_pressure(void);
#ifdef FC_FAULTS
extern const char *fc__os_machine_root; /* for tests: in front of /proc and /sys/fs/cgroup */
#endif
uint32_t fc__os_cores(void);
uint64_t fc__os_descriptors(void); /* open in this process; 0 if not told */

/* Inodes, ascending, on this directory's file system that are leased, each as often as it is,
 * as far as /proc/locks tells; freed by fc__free(). NULL: none, or it cannot be told. A look at
 * the locks that, unlike trying to take them, is in nobody's way. */
uint64_t *fc__os_leased_inodes(int dir, size_t *count);
size_t fc__os_count_among(const uint64_t *inodes, size_t count, uint64_t inode);

/* The oracle that everything rests on: a mapping must keep its lease after close().
 * 0: it does. -1: it does not, or (errno) it could not be tried. `dir` must be writable. */
int fc__os_lock_selftest(int dir);
/* Of the file that it makes for a moment, and a kill leaves. */
bool fc__os_is_selftest(const char *name);

#endif
