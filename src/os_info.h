/* What fc_doctor asks the operating system beyond os.h. Nothing here changes anything. */
#ifndef FC_OS_INFO_H
#define FC_OS_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The beginning of a file as text, NUL-terminated; false if it cannot be read. */
bool fc__os_read_text(const char *path, char *text, size_t bytes);

bool fc__os_may_write(int dir); /* make files in it, as the effective user */

typedef enum fc__limit {
    FC__LIMIT_FILES,
    FC__LIMIT_SPACE,
    FC__LIMIT_FILE_BYTES
} fc__limit;
uint64_t fc__os_limit(fc__limit which); /* the soft one; UINT64_MAX: none */

#endif
