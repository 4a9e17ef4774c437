/* System calls that tell about the machine: file system, memory, cgroup. See os.h. */
#include "os.h"

#include "fault.h"
#include "status.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Magic numbers of linux/magic.h and the drivers' own headers. */
static const struct {
    unsigned long magic;
    const char *name;
    bool refused, memory;
} filesystems[] = {
    {0x01021994, "tmpfs", false, true},     {0xef53, "ext4", false, false},
    {0x58465342, "xfs", false, false},      {0x9123683e, "btrfs", false, false},
    {0xf2f52010, "f2fs", false, false},     {0x2fc12fc1, "zfs", false, false},
    {0x794c7630, "overlayfs", true, false}, {0x6969, "nfs", true, false},
    {0x65735546, "fuse", true, false},      {0x01021997, "9p", true, false},
    {0x6a656a63, "virtiofs", true, false},  {0xff534d42, "cifs", true, false},
    {0xfe534d42, "smb2", true, false},      {0x00c36400, "ceph", true, false},
    {0x5346414f, "afs", true, false},       {0x858458f6, "ramfs", false, true},
};

int fc__os_filesystem(int dir, fc__filesystem *out) {
    struct statfs info;
    *out = (fc__filesystem){.name = "unknown"};
    if (FC__FAULT(SYSCALL)) {
        errno = EIO;
        return -1;
    }
    if (fstatfs(dir, &info) < 0)
        return -1;
    out->size_bytes = (uint64_t)info.f_blocks * (uint64_t)info.f_bsize;
    out->free_bytes = (uint64_t)info.f_bavail * (uint64_t)info.f_bsize;
    for (size_t i = 0; i < sizeof filesystems / sizeof *filesystems; i++)
        if (filesystems[i].magic == ((unsigned long)info.f_type & 0xffffffff)) {
            out->name = filesystems[i].name;
            out->refused = filesystems[i].refused;
            out->memory = filesystems[i].memory;
        }
    return 0;
}

/* A small file as text, NUL-terminated; false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t bytes = read(fd, text, size - 1);
    close(fd);
    if (bytes <= 0)
        return false;
    text[bytes] = 0;
    return true;
}

void fc__os_boot_id(char out[40]) {
    char text[64] = "";
    memset(out, 0, 40);
    if (read_text("/proc/sys/kernel/random/boot_id", text, sizeof text))
        memcpy(out, text, strcspn(text, "\n") < 39 ? strcspn(text, "\n") : 39);
}

uint64_t fc__os_random(void) {
    uint64_t value;
    if (getrandom(&value, sizeof value, 0) == sizeof value)
        return value;
    return (uint64_t)fc__os_realtime_ns() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 32;
}

uint64_t fc__os_memory_available(void) {
    char text[4096];
    unsigned long long kib = 0;
    if (!read_text("/proc/meminfo", text, sizeof text))
        return 0;
    const char *line = strstr(text, "MemAvailable:");
    if (line)
        sscanf(line, "MemAvailable: %llu kB", &kib);
    return kib * 1024;
}

/* The limit in one cgroup directory, or 0. "max", and v1's huge number, mean none. */
static uint64_t limit_of(const char *directory, const char *file) {
    char path[5000], text[64];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    if (!read_text(path, text, sizeof text))
        return 0;
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    return end == text || value >= 1ull << 60 ? 0 : value;
}

/* The least limit from `leaf` up to the mount point. */
static uint64_t least_limit(const char *mount, const char *leaf, const char *file) {
    char path[4608];
    uint64_t least = 0;
    snprintf(path, sizeof path, "%s%s", mount, leaf);
    size_t stop = strlen(mount);
    for (;;) {
        uint64_t limit = limit_of(path, file);
        if (limit && (!least || limit < least))
            least = limit;
        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < stop)
            return least;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup are "id:controllers:path"; v2's is "0::path" (cgroups(7)).
 * In a container the path may be the host's and not be there: the mount itself counts. */
uint64_t fc__os_cgroup_limit(void) {
    char text[8192], *save = NULL;
    uint64_t least = 0;
    if (!read_text("/proc/self/cgroup", text, sizeof text))
        return 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        uint64_t limit = 0;
        if (strcmp(controllers, ":") == 0)
            limit = least_limit("/sys/fs/cgroup", path, "memory.max");
        else if (strstr(controllers, "memory"))
            limit = least_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
        if (limit && (!least || limit < least))
            least = limit;
    }
    return least;
}

/* "7: FLOCK  ADVISORY  READ 5201 00:1b:3564216 0 EOF" (proc_locks(5)). */
static bool parse_lock(const char *line, dev_t device, uint64_t *inode) {
    unsigned major_number, minor_number;
    unsigned long long number;
    long pid;
    if (sscanf(line, "%*s FLOCK %*s %*s %ld %x:%x:%llu", &pid, &major_number, &minor_number,
               &number) != 4)
        return false;
    *inode = number;
    return pid != getpid() && major(device) == major_number &&
           minor(device) == minor_number;
}

static int by_number(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

uint64_t *fc__os_leased_inodes(int dir, size_t *count) {
    uint64_t *inodes = NULL, inode;
    size_t room = 0;
    char line[256];
    struct stat info;
    *count = 0;
    FILE *locks = fstat(dir, &info) == 0 ? fopen("/proc/locks", "re") : NULL;
    if (!locks)
        return NULL;
    while (fgets(line, sizeof line, locks)) {
        if (!parse_lock(line, info.st_dev, &inode))
            continue;
        if (*count == room) {
            room = room ? 2 * room : 64;
            uint64_t *more = fc__realloc(inodes, room * sizeof *more);
            if (!more)
                break;
            inodes = more;
        }
        inodes[(*count)++] = inode;
    }
    fclose(locks);
    if (inodes)
        qsort(inodes, *count, sizeof *inodes, by_number);
    return inodes;
}

uint32_t fc__os_cores(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (uint32_t)cores;
}

uint64_t fc__os_descriptors(void) {
    uint64_t count = 0;
    DIR *entries = opendir("/proc/self/fd");
    if (!entries)
        return 0;
    for (struct dirent *entry; (entry = readdir(entries));)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count - 1;
}
