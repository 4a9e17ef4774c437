/* Casts on the way out: the 64-bit forms in which strings, binaries and lists are stored
 * back into those that a consumer asks for, at any depth. All other types pass, equal. */
#ifndef FC_CAST_H
#define FC_CAST_H

#include "frame_internal.h"
#include "schema.h"

/* Rows `first` to `first + rows` of a column of a base as `wanted`: *start is the row of
 * *out that they begin at. Equal types come out as they are, without a copy; what is made
 * lies in `arena`. Errors: TYPE (naming column and formats), CORRUPT, NOMEM. */
int fc__cast(const fc__column **out, int64_t *start, const fc__column *column,
             const fc__field *wanted, int64_t first, int64_t rows, fc__arena *arena,
             fc_error *error);

#endif
