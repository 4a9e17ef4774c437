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
static bool parse_map(char *line, fc__mapped *out) {
    unsigned long long start, end, inode;
    int place = 0;
    if (sscanf(line, "%llx-%llx %*s %*s %*s %llu %n", &start, &end, &inode, &place) != 3 ||
        !place || line[place] != '/')
        return false;
    line[strcspn(line, "\n")] = 0;
    *out = (fc__mapped){.path = line + place, .inode = inode, .bytes = end - start};
    return true;
}

static int each_map(int64_t pid, fc__mapped_fn visit, void *context, bool *all) {
    char name[64], line[5200];
    fc__mapped map;
    int status = 0;
    snprintf(name, sizeof name, "/proc/%lld/maps", (long long)pid);
    FILE *file = fopen(name, "re");
    if (!file) {
        *all = *all && errno == ENOENT; /* it has ended meanwhile */
        return 0;
    }
    while (!status && fgets(line, sizeof line, file))
        if (parse_map(line, &map))
            status = visit(context, pid, &map);
    if (ferror(file) && errno != ESRCH) /* a process that may not be looked at */
        *all = false;
    fclose(file);
    return status;
}

bool fc__os_sees_all_processes(void) {
    struct stat info;
    return stat("/proc/self/ns/pid", &info) == 0 && info.st_ino == FIRST_PID_NAMESPACE;
}

int fc__os_each_mapped(fc__mapped_fn visit, void *context, bool *all) {
    int status = 0;
    if (FC__FAULT(SYSCALL)) {
        errno = EMFILE;
        return -1;
    }
    DIR *entries = opendir("/proc");
    if (!entries)
        return -1;
    for (struct dirent *entry; !status && (entry = readdir(entries));) {
        char *end;
        long long pid = strtoll(entry->d_name, &end, 10);
        if (pid > 0 && !*end)
            status = each_map(pid, visit, context, all);
    }
    closedir(entries);
    return status;
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
