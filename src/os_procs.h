/* About other processes; see os_procs.c. */
#ifndef FC_OS_PROCS_H
#define FC_OS_PROCS_H

#include "os.h"

typedef struct fc__mapped {
    const char *path; /* as this process sees it; " (deleted)" may stand behind */
    uint64_t device;  /* as only these tables name it: not always that of fstat() */
    uint64_t inode, bytes;
} fc__mapped;

/* Each mapping of a file, process by process, until `visit` says false. -1: there is no
 * /proc. *all becomes false if a process could not be looked at. */
typedef bool (*fc__mapped_fn)(void *context, int64_t pid, const fc__mapped *map);
int fc__os_each_mapped(fc__mapped_fn visit, void *context, bool *all);

/* The device of the file that this process maps there; false if it cannot be told. */
bool fc__os_device_at(const void *address, uint64_t *device);

/* False in a pid namespace of a container: what runs outside of it is not shown. */
bool fc__os_sees_all_processes(void);

/* Its command line, cut to fit; "" if it is not to be had. */
void fc__os_command(int64_t pid, char *out, size_t bytes);

/* The path that a descriptor was opened by; false if it cannot be told. */
bool fc__os_path_of(int fd, char *out, size_t bytes);

#endif
