/* System calls that tell about other processes: what files they map, and what they are
 * called. As far as /proc shows them: those of this pid namespace, of this user. */
#include "os_procs.h"

#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_PID_NAMESPACE 0xEFFFFFFCull /* its inode, the same on every Linux */

/* "7f00-7f10 r--s 00000000 00:1b 3564216    /dev/shm/a b/frames/17" (proc_pid_maps(5)). */
static bool parse_map(char *line, uint64_t *start, fc__mapped *out) {
    unsigned long long first, end, inode;
    unsigned major_number, minor_number;
    int place = 0;
    if (sscanf(line, "%llx-%llx %*s %*s %x:%x %llu %n", &first, &end, &major_number,
               &minor_number, &inode, &place) != 5 ||
        !place || line[place] != '/')
        return false;
    line[strcspn(line, "\n")] = 0;
    *start = first;
    *out = (fc__mapped){.path = line + place,
                        .device = (uint64_t)major_number << 32 | minor_number,
                        .inode = inode,
                        .bytes = end - first};
    return true;
}

/* False: `visit` said so. A process that has ended meanwhile has no maps. */
static bool each_map(int64_t pid, fc__mapped_fn visit, void *context, bool *all) {
    char name[64], line[5200];
    fc__mapped map;
    uint64_t start;
    bool go_on = true;
    snprintf(name, sizeof name, "/proc/%lld/maps", (long long)pid);
    FILE *file = fopen(name, "re");
    if (!file) {
        *all = *all && (errno == ENOENT || errno == ESRCH);
        return true;
    }
    while (go_on && fgets(line, sizeof line, file))
        if (parse_map(line, &start, &map))
            go_on = visit(context, pid, &map);
    if (ferror(file) && errno != ESRCH) /* a process that may not be looked at */
        *all = false;
    fclose(file);
    return go_on;
}

bool fc__os_device_at(const void *address, uint64_t *device) {
    char line[5200];
    fc__mapped map;
    uint64_t start;
    bool found = false;
    FILE *file = fopen("/proc/self/maps", "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        found = parse_map(line, &start, &map) && (uintptr_t)address - start < map.bytes;
    fclose(file);
    *device = found ? map.device : 0;
    return found;
}

bool fc__os_sees_all_processes(void) {
    struct stat info;
    return stat("/proc/self/ns/pid", &info) == 0 && info.st_ino == FIRST_PID_NAMESPACE;
}

int fc__os_each_mapped(fc__mapped_fn visit, void *context, bool *all) {
    bool go_on = true;
    if (FC__FAULT(SYSCALL)) {
        errno = EMFILE;
        return -1;
    }
    DIR *entries = opendir("/proc");
    if (!entries)
        return -1;
    for (struct dirent *entry; go_on && (entry = readdir(entries));) {
        char *end;
        long long pid = strtoll(entry->d_name, &end, 10);
        if (pid > 0 && !*end)
            go_on = each_map(pid, visit, context, all);
    }
    closedir(entries);
    return 0;
}

void fc__os_command(int64_t pid, char *out, size_t bytes) {
    char name[64];
    out[0] = 0;
    snprintf(name, sizeof name, "/proc/%lld/cmdline", (long long)pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : read(fd, out, bytes - 1);
    if (fd >= 0)
        close(fd);
    while (count > 0 && !out[count - 1])
        count--;
    out[count > 0 ? count : 0] = 0;
    for (ssize_t i = 0; i < count; i++)
        if (!out[i])
            out[i] = ' ';
}

bool fc__os_path_of(int fd, char *out, size_t bytes) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(name, out, bytes - 1);
    out[count > 0 ? count : 0] = 0;
    return count > 0;
}
