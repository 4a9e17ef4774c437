/* The size of a body, which stands as soon as the nodes do. */
#ifndef FC_ENCODE_H
#define FC_ENCODE_H

#include "plan.h"

/* Sets layout.body_bytes. Errors: INVALID if names and metadata pass 4 GiB. */
int fc__encode_size(fc__plan *plan, fc_error *error);

#endif
