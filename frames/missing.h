/* Values that say themselves that they are missing: NaN among floats, INT64_MIN among
 * times (what numpy and pandas write for NaT). In a plan of FC__PLAN_MISSING they are the
 * nulls of a column that comes without a bitmap and without a count.
 *
 * Most such columns have none, and to look for one before copying takes as long as the
 * copy. So a few values are looked at when the plan is made (all of them, of a short
 * column): if one is missing, a job makes the bitmap. If none is, the jobs that copy look
 * on the way, and if one meets a missing value after all, the plan is laid out again,
 * with a bitmap. */
#ifndef FC_MISSING_H
#define FC_MISSING_H

#include "plan.h"

struct fc__missing {
    /* `from` holds whole values; true if any is missing. */
    bool (*any)(const void *from, size_t bytes);
    /* The same while they are copied, past the caches; `to` is aligned to 16. What is
     * stored is what was looked at, whatever another thread does to it. */
    bool (*copy)(void *to, const void *from, size_t bytes);
    /* Sets the bits of those that are not missing, in bits that are zero; returns how
     * many are. */
    int64_t (*mark)(uint8_t *bits, int64_t bit, const void *from, int64_t rows);
};

/* NULL: values of this field do not say so. */
const fc__missing *fc__missing_of(const fc__field *field);

/* Decides how the nulls of a column are found, if its arrays leave it to us: its pieces
 * stand. True: it gets a bitmap. */
bool fc__plan_missing(fc__node *node);

#endif
