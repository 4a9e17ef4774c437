/* The eviction policy: pure arithmetic, no clock, no files, so that a trace can drive it.
 *
 * A frame is worth the seconds that it saves for each byte that it takes: its rate of
 * use, times its cost, over its bytes; the least goes. The rate is estimated as that of a
 * self-exciting process (Hawkes, "Spectra of some self-exciting and mutually exciting
 * point processes", Biometrika 1971): each use makes further ones likelier, by an amount
 * that decays. Three decays stand beside each other, with half-lives of a quarter, 2 and
 * 16 *turnovers*; a turnover is the time in which the cache evicts as many bytes as its
 * budget has. How much each decay counts is learnt from the uses themselves (expectation
 * maximisation, online): what one short memory explains makes the cache behave like LRU,
 * a long one like frequency counting. The counts of a frame outlive it as a ghost.
 *
 * What a frame has of this is one word, its heat: clock at the last use 22 | three
 * decayed counts 14. The clock has 1,024 steps a turnover and comes round after 4,096
 * turnovers. A count is at least 1, so it is kept as exponent 5 | mantissa 9. */
#ifndef FC_EVICT_H
#define FC_EVICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC__DECAYS 3

/* ---- Heat ---- */

/* How many of the uses each decay explains; they add up to about 1. */
typedef struct fc__shares {
    double of[FC__DECAYS];
} fc__shares;

extern const fc__shares fc__shares_prior;

/* Bytes evicted over the budget, in 2^-32 turnovers, as it stands in control. */
static inline uint64_t fc__turnover(uint64_t bytes, uint64_t budget_bytes) {
    double part = (double)bytes / (double)(budget_bytes ? budget_bytes : 1) * 4294967296.0;
    return part < 1e18 ? (uint64_t)part : (uint64_t)1e18; /* one that is damaged, too */
}

/* All of these take the clock in 2^-32 turnovers. */
uint64_t fc__heat_first(uint64_t clock); /* one use, now */
/* One use more. `dither`: anything that varies, so that counts too large to be counted
 * one by one grow in the mean. */
uint64_t fc__heat_use(uint64_t heat, uint64_t clock, uint32_t dither);
/* Learns from a use that comes now; before fc__heat_use(). False: nothing to learn. */
bool fc__shares_learn(fc__shares *shares, uint64_t heat, uint64_t clock);
/* What fc__heat_rate() multiplies the decayed counts with. */
fc__shares fc__heat_weights(const fc__shares *shares);
/* Uses a turnover to be expected now. */
double fc__heat_rate(uint64_t heat, uint64_t clock, const fc__shares *weights);

/* ---- Priority ---- */

/* What frames are judged by, taken once a scan. */
typedef struct fc__judge {
    uint64_t clock;
    fc__shares weights;
} fc__judge;

/* Seconds to bring a frame of this size back, when nobody has measured it. */
static inline double fc__evict_default_cost(uint64_t bytes) {
    return 0.010 + (double)bytes / 200e6;
}

static inline double fc__evict_priority(double rate, double cost_s, uint64_t bytes) {
    return rate * cost_s / (double)(bytes ? bytes : 1);
}

/* ---- Victims ---- */

typedef struct fc__candidate {
    double priority;
    uint32_t id;
    uint64_t status;
    uint64_t units;
} fc__candidate;

/* Frames are evicted in the order of one scan, this many at most before the next. */
#define FC__EVICT_BATCH 64u

/* Keeps the `limit` candidates of the least priority: offer all, then sort. */
typedef struct fc__victims {
    fc__candidate *heap; /* [limit], a max-heap while offering */
    size_t count, limit;
} fc__victims;

void fc__victims_offer(fc__victims *victims, const fc__candidate *candidate);
void fc__victims_sort(fc__victims *victims); /* least first */

#endif
