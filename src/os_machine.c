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

static bool read_text(const char *path, char *text, size_t size);

/* A line of mountinfo: numbers, the device as major:minor, ...; the options of the file system
 * stand last. */
static bool is_huge_mount(const char *line, dev_t device) {
    unsigned major_number, minor_number;
    const char *options = strstr(line, " - ");
    return sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) == 2 &&
           makedev(major_number, minor_number) == device && options &&
           strstr(options, "huge=always");
}

static bool mounted_huge(dev_t device) {
    char text[16384];
    size_t held = 0;
    ssize_t more;
    bool huge = false;
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !huge && (more = read(fd, text + held, sizeof text - 1 - held)) > 0) {
        char *line = text, *end;
        text[held += (size_t)more] = 0;
        for (; !huge && (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            huge = is_huge_mount(line, device);
        }
        held -= (size_t)(line - text);
        memmove(text, line, held);
    }
    if (fd >= 0)
        close(fd);
    return huge;
}

static bool takes_huge_pages(int dir) {
    char text[128] = "";
    struct stat info;
    read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text, sizeof text);
    if (strstr(text, "[deny]") || fstat(dir, &info) < 0)
        return false;
    return strstr(text, "[force]") || mounted_huge(info.st_dev);
}

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
    out->huge = strcmp(out->name, "tmpfs") == 0 && takes_huge_pages(dir);
    return 0;
}

#ifdef FC_FAULTS
const char *fc__os_machine_root = "";
#define ROOT fc__os_machine_root
#else
#define ROOT ""
#endif

/* A small file as text, NUL-terminated; false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t size) {
    char full[5200];
    snprintf(full, sizeof full, "%s%s", ROOT, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
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

/* ---- Memory cgroups, v1 and v2 ---- */

/* The names that the two versions have for the same. */
typedef struct hierarchy {
    const char *mount, *limit, *usage, *inactive, *active;
} hierarchy;

static const hierarchy version1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                   "memory.usage_in_bytes", "\ntotal_inactive_file ",
                                   "\ntotal_active_file "};
static const hierarchy version2 = {"/sys/fs/cgroup", "memory.max", "memory.current",
                                   "\ninactive_file ", "\nactive_file "};

/* The number in a file of a cgroup's directory, or 0. "max", and v1's huge number, mean
 * none. */
static uint64_t number_in(const char *directory, const char *file) {
    char path[5000], text[64], *end;
    snprintf(path, sizeof path, "%s/%s", directory, file);
    if (!read_text(path, text, sizeof text))
        return 0;
    unsigned long long value = strtoull(text, &end, 10);
    return end == text || value >= 1ull << 60 ? 0 : value;
}

static uint64_t field_of(const char *text, const char *name) {
    const char *found = strstr(text, name);
    return found ? strtoull(found + strlen(name), NULL, 10) : 0;
}

/* What is not used, and pages of files on disk, which the kernel drops before it kills: all
 * that were used once, half of the others. Pages of tmpfs are not among them. */
static uint64_t free_in(const char *directory, const hierarchy *h, uint64_t limit) {
    char path[5000], text[8192];
    uint64_t usage = number_in(directory, h->usage), files = 0;
    snprintf(path, sizeof path, "%s/memory.stat", directory);
    if (read_text(path, text, sizeof text))
        files = field_of(text, h->inactive) + field_of(text, h->active) / 2;
    usage = usage > files ? usage - files : 0;
    return limit > usage ? limit - usage : 0;
}

/* Calls visit for each directory from `leaf` up to the mount point. */
static void walk_up(const hierarchy *h, const char *leaf, void *context,
                    void (*visit)(void *, const hierarchy *, const char *)) {
    char path[4608];
    snprintf(path, sizeof path, "%s%s", h->mount, leaf);
    size_t stop = strlen(h->mount);
    for (;;) {
        visit(context, h, path);
        char *slash = strrchr(path, '/');
        if (!slash || (size_t)(slash - path) < stop)
            return;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup are "id:controllers:path"; v2's is "0::path" (cgroups(7)).
 * In a container the path may be the host's and not be there: the mount itself counts. */
static void each_cgroup(void *context,
                        void (*visit)(void *, const hierarchy *, const char *)) {
    char text[8192], *save = NULL;
    if (!read_text("/proc/self/cgroup", text, sizeof text))
        return;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        if (strcmp(controllers, ":") == 0)
            walk_up(&version2, path, context, visit);
        else if (strstr(controllers, "memory"))
            walk_up(&version1, path, context, visit);
    }
}

static void visit_limit(void *context, const hierarchy *h, const char *directory) {
    fc__cgroup *out = context;
    uint64_t limit = number_in(directory, h->limit);
    if (!limit)
        return;
    uint64_t left = free_in(directory, h, limit);
    if (!out->limit_bytes || left < out->free_bytes)
        out->free_bytes = left;
    if (!out->limit_bytes || limit < out->limit_bytes)
        out->limit_bytes = limit;
}

fc__cgroup fc__os_cgroup(void) {
    fc__cgroup out = {0};
    each_cgroup(&out, visit_limit);
    return out;
}

uint64_t fc__os_cgroup_limit(void) {
    return fc__os_cgroup().limit_bytes;
}

/* "some avg10=0.00 avg60=..." (Documentation/accounting/psi.rst). */
static double pressure_in(const char *path) {
    char text[512];
    double percent = 0;
    if (read_text(path, text, sizeof text))
        sscanf(text, "some avg10=%lf", &percent);
    return percent;
}

static void visit_pressure(void *context, const hierarchy *h, const char *directory) {
    double *most = context;
    char path[5000];
    snprintf(path, sizeof path, "%s/memory.pressure", directory);
    double percent = h == &version2 ? pressure_in(path) : 0;
    if (percent > *most)
        *most = percent;
}

double fc__os_memory_pressure(void) {
    double most = pressure_in("/proc/pressure/memory");
    each_cgroup(&most, visit_pressure);
    return most;
}

/* "7: OFDLCK ADVISORY  READ -1 00:1b:3564216 0 0" (proc_locks(5)): whose it is, is not told. */
static bool parse_lock(const char *line, dev_t device, uint64_t *inode) {
    unsigned major_number, minor_number;
    unsigned long long number;
    if (sscanf(line, "%*s OFDLCK %*s %*s %*d %x:%x:%llu", &major_number, &minor_number,
               &number) != 3)
        return false;
    *inode = number;
    return device == makedev(major_number, minor_number);
}

static int by_number(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static uint64_t *scan_locks(dev_t device, size_t *count) {
    uint64_t *inodes = NULL, inode;
    size_t room = 0;
    char line[256];
    *count = 0;
    FILE *locks = fopen("/proc/locks", "re");
    if (!locks)
        return NULL;
    while (fgets(line, sizeof line, locks)) {
        if (!parse_lock(line, device, &inode))
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

/* Of the first, ascending, what the second has too, each as often; how many these are. */
static size_t common(uint64_t *one, size_t count, const uint64_t *other, size_t others) {
    size_t kept = 0;
    for (size_t i = 0, j = 0; i < count && j < others;) {
        if (one[i] == other[j]) {
            one[kept++] = one[i++];
            j++;
        } else if (one[i] < other[j])
            i++;
        else
            j++;
    }
    return kept;
}

/* The kernel gives the list a page at a time. A lock that anybody takes or drops between two
 * pages moves the rest, and one may be told twice: what counts is told by each of three. */
uint64_t *fc__os_leased_inodes(int dir, size_t *count) {
    struct stat info;
    *count = 0;
    if (fstat(dir, &info) < 0)
        return NULL;
    uint64_t *inodes = scan_locks(info.st_dev, count);
    for (int i = 0; i < 2 && *count; i++) {
        size_t others;
        uint64_t *again = scan_locks(info.st_dev, &others);
        *count = common(inodes, *count, again, others);
        fc__free(again);
    }
    return inodes;
}

size_t fc__os_count_among(const uint64_t *inodes, size_t count, uint64_t inode) {
    const uint64_t *at = count ? bsearch(&inode, inodes, count, sizeof inode, by_number) : NULL;
    if (!at)
        return 0;
    const uint64_t *first = at, *end = at + 1;
    while (first > inodes && first[-1] == inode)
        first--;
    while (end < inodes + count && *end == inode)
        end++;
    return (size_t)(end - first);
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
