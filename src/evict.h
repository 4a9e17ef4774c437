/* The eviction policy: pure arithmetic, no clock, no files, so that a trace can drive it.
 *
 * GreedyDual-Size-Frequency (Cherkasova, "Improving WWW proxies performance with
 * Greedy-Dual-Size-Frequency caching policy", HP Labs 1998): a frame's priority is
 * H = L + uses * cost / bytes; the least goes; L, the inflation, becomes the victim's H, so
 * that what has not been used for long sinks below what is used now. */
#ifndef FC_EVICT_H
#define FC_EVICT_H

#include <stddef.h>
#include <stdint.h>

typedef struct fc__candidate {
    double priority;
    uint32_t id;
    uint64_t status;
    uint64_t units;
} fc__candidate;

/* Seconds to bring a frame of this size back, when nobody has measured it. */
static inline double fc__evict_default_cost(uint64_t bytes) {
    return 0.010 + (double)bytes / 200e6;
}

static inline double fc__evict_priority(double inflation_at_use, uint32_t uses,
                                        double cost_s, uint64_t bytes) {
    return inflation_at_use + (double)(uses ? uses : 1) * cost_s / (double)(bytes ? bytes : 1);
}

/* Keeps the `limit` candidates of the least priority: offer all, then sort. */
typedef struct fc__victims {
    fc__candidate *heap; /* [limit], a max-heap while offering */
    size_t count, limit;
} fc__victims;

void fc__victims_offer(fc__victims *victims, const fc__candidate *candidate);
void fc__victims_sort(fc__victims *victims); /* least first */

#endif
