/* Heat, and the k least of a stream by a bounded max-heap. See evict.h. */
#include "evict.h"

#include <stdlib.h>
#include <string.h>

#define CLOCK_BITS    22
#define CLOCK_MASK    ((1u << CLOCK_BITS) - 1)
#define CLOCK_SHIFT   22 /* from 2^-32 turnovers to steps */
#define COUNT_BITS    14
#define MANTISSA_BITS 9
#define COUNT_MOST    ((1u << COUNT_BITS) - 1)

/* Uses that follow within a quarter of a turnover tell nothing: no frame goes so soon. */
#define LEARN_STEPS 256u
#define LEARN_RATE  0.001
#define LEAST_SHARE 0.005

/* Beside what is learnt the prior keeps a quarter, so that a change of habits is noticed.
 */
#define PRIOR_PART 0.25

const fc__shares fc__shares_prior = {{0.02, 0.28, 0.70}};

/* Turnovers that one use counts for in all, beyond those that tell nothing: half-life
 * over ln 2, times 2^(-0.25 / half-life). Half-lives 0.25, 2, 16. */
static const double mass[FC__DECAYS] = {0.25 / 0.6931471805599453 * 0.5,
                                        2 / 0.6931471805599453 * 0.9170040432046712,
                                        16 / 0.6931471805599453 * 0.9892280131939755};

static uint32_t steps_of(uint64_t clock) {
    return (uint32_t)(clock >> CLOCK_SHIFT) & CLOCK_MASK;
}

static uint32_t age_of(uint64_t heat, uint64_t clock) {
    uint32_t age = (steps_of(clock) - (uint32_t)(heat >> 3 * COUNT_BITS)) & CLOCK_MASK;
    return age > CLOCK_MASK / 2 ? 0 : age; /* a racing clock: not the future */
}

/* 2^-x, to five digits: the fraction by the Taylor series of exp, the rest by exponent.
 */
static double half_to(double x) {
    uint64_t whole = (uint64_t)x;
    double f = (x - (double)whole) * -0.6931471805599453;
    double part = 1 + f * (1 + f * (0.5 + f * (1 / 6. + f * (1 / 24. + f * (1 / 120.)))));
    uint64_t bits = whole > 1000 ? 0 : (1023 - whole) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return part * power;
}

/* The half-lives are eight times each other, so the decays are powers of each other. */
static void decays_of(uint32_t age, double out[FC__DECAYS]) {
    double slow = half_to((double)age / (16 * 1024.0));
    double two = slow * slow, four = two * two, middle = four * four;
    two = middle * middle;
    four = two * two;
    out[0] = four * four;
    out[1] = middle;
    out[2] = slow;
}

/* `code` is what stands behind the point of a double, but for 43 bits of the mantissa. */
static double count_of(uint64_t heat, int decay) {
    uint64_t code = heat >> (2 - decay) * COUNT_BITS & COUNT_MOST;
    uint64_t bits = (code << (52 - MANTISSA_BITS)) + (1023ull << 52);
    double count;
    memcpy(&count, &bits, sizeof count);
    return count;
}

static uint64_t code_of(double count, uint32_t dither) {
    uint64_t bits;
    memcpy(&bits, &count, sizeof bits);
    bits += (uint64_t)dither << (52 - MANTISSA_BITS - 32);
    uint64_t code = (bits - (1023ull << 52)) >> (52 - MANTISSA_BITS);
    return count < 1 ? 0 : code > COUNT_MOST ? COUNT_MOST : code;
}

uint64_t fc__heat_first(uint64_t clock) {
    return (uint64_t)steps_of(clock) << 3 * COUNT_BITS;
}

uint64_t fc__heat_use(uint64_t heat, uint64_t clock, uint32_t dither) {
    uint64_t next = fc__heat_first(clock);
    double decays[FC__DECAYS];
    decays_of(age_of(heat, clock), decays);
    dither *= 0x9e3779b9u;
    for (int i = 0; i < FC__DECAYS; i++)
        next |= code_of(count_of(heat, i) * decays[i] + 1, dither)
                << (2 - i) * COUNT_BITS;
    return next;
}

fc__shares fc__heat_weights(const fc__shares *shares) {
    fc__shares weights;
    for (int i = 0; i < FC__DECAYS; i++)
        weights.of[i] =
            ((1 - PRIOR_PART) * shares->of[i] + PRIOR_PART * fc__shares_prior.of[i]) /
            mass[i];
    return weights;
}

double fc__heat_rate(uint64_t heat, uint64_t clock, const fc__shares *weights) {
    double decays[FC__DECAYS], rate = 0;
    decays_of(age_of(heat, clock), decays);
    for (int i = 0; i < FC__DECAYS; i++)
        rate += weights->of[i] * decays[i] * count_of(heat, i);
    return rate;
}

bool fc__shares_learn(fc__shares *shares, uint64_t heat, uint64_t clock) {
    fc__shares weights = fc__heat_weights(shares);
    double decays[FC__DECAYS], parts[FC__DECAYS], sum = 0;
    uint32_t age = age_of(heat, clock);
    if (age < LEARN_STEPS)
        return false;
    decays_of(age, decays);
    for (int i = 0; i < FC__DECAYS; i++)
        sum += parts[i] = weights.of[i] * decays[i] * count_of(heat, i);
    for (int i = 0; i < FC__DECAYS && sum > 0; i++) {
        double share = shares->of[i] + LEARN_RATE * (parts[i] / sum - shares->of[i]);
        shares->of[i] = share > LEAST_SHARE ? share : LEAST_SHARE;
    }
    return sum > 0;
}

static void sift_down(fc__candidate *heap, size_t count, size_t at) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1].priority > heap[child].priority)
            child++;
        if (heap[at].priority >= heap[child].priority)
            return;
        fc__candidate swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
        at = child;
    }
}

void fc__victims_offer(fc__victims *victims, const fc__candidate *candidate) {
    fc__candidate *heap = victims->heap;
    if (victims->count < victims->limit) {
        heap[victims->count++] = *candidate;
        if (victims->count == victims->limit)
            for (size_t i = victims->count / 2; i-- > 0;)
                sift_down(heap, victims->count, i);
    } else if (candidate->priority < heap[0].priority) {
        heap[0] = *candidate;
        sift_down(heap, victims->count, 0);
    }
}

static int by_priority(const void *a, const void *b) {
    double left = ((const fc__candidate *)a)->priority;
    double right = ((const fc__candidate *)b)->priority;
    return (left > right) - (left < right);
}

void fc__victims_sort(fc__victims *victims) {
    qsort(victims->heap, victims->count, sizeof *victims->heap, by_priority);
}
