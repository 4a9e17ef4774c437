/* Whether a directory may be a cache's: asked before anything is changed in it, by who
 * attaches and by the doctor. */
#ifndef FC_PLACE_H
#define FC_PLACE_H

#include "os.h"
#include "settings.h"

/* What speaks against a directory; code 0: nothing. */
typedef struct fc__objection {
    int code; /* FC_E_PERMISSION, FC_E_INVALID */
    char text[4608];
    const char *remedy;
} fc__objection;

/* By its path (a stranger's symbolic link), and by mode and owner. */
void fc__place_check_access(const fc__settings *settings, const struct stat *info,
                            bool read_only, fc__objection *out);
/* `/`, system directories, homes. Such a one is refused even when it is empty. */
void fc__place_check_name(const fc__settings *settings, int dir, fc__objection *out);
/* True if it is a cache's: its control file says so, of whatever version; or there is nothing
 * else in it than what a cache makes (*none: nothing at all). Else *out says what there is.
 * Nothing that is not ours is ever removed; but a cache would be lost among it. */
bool fc__place_is_cache(const fc__settings *settings, int dir, bool *none,
                        fc__objection *out);
/* Directories and files of a cache that are something else, links for instance. */
void fc__place_check_parts(const fc__settings *settings, int dir, fc__objection *out);

/* The beginning of a control file, which is the same in all versions. */
typedef struct fc__control_head {
    bool present;
    uint64_t magic; /* 0: not made yet, or not to its end */
    uint32_t version;
} fc__control_head;
void fc__place_read_head(int dir, uint32_t owner, fc__control_head *out);

#endif
