/* Questions to the operating system. See os_info.h. */
#include "os_info.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

bool fc__os_read_text(const char *path, char *text, size_t bytes) {
    text[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, bytes - 1);
    close(fd);
    if (length < 0)
        return false;
    text[length] = '\0';
    return true;
}

bool fc__os_may_write(int dir) {
    return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

uint64_t fc__os_limit(fc__limit which) {
    static const int resources[] = {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_FSIZE};
    struct rlimit limit;
    if (getrlimit(resources[which], &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}
