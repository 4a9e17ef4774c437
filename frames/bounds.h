/* Whether rows of a column stay within what they point into. Decoding looks at the first
 * and the last offset of a whole column only; whoever shows less of it has other ends, and
 * a damaged file may say anything there. */
#ifndef FC_BOUNDS_H
#define FC_BOUNDS_H

#include "frame_internal.h"

/* Of `rows` rows from `first` on, and of all that they hold below: the ends of every run of
 * offsets lie in what the offsets count, so that who finds them growing in between may
 * follow each. In the time of the number of fields; but each row of a dense union is looked
 * at that has strings, lists or runs below. FC_E_CORRUPT names the field. */
int fc__check_ends(const fc__column *column, int64_t first, int64_t rows,
                   fc_error *error);

/* The same for each offset in between as well: any part of these rows holds, too. */
int fc__check_each(const fc__column *column, int64_t first, int64_t rows,
                   fc_error *error);

#endif
