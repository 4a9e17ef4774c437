/* The policy's arithmetic: heat, what is learnt, and who is chosen. */
#include "support_proc.h"

#include <math.h>

static const uint64_t turnover = 1ull << 32;

static double rate(uint64_t heat, uint64_t clock) {
    fc__shares weights = fc__heat_weights(&fc__shares_prior);
    return fc__heat_rate(heat, clock, &weights);
}

static void each_use_raises_the_rate_and_time_lowers_it(void **state) {
    uint64_t heat = fc__heat_first(0), more = fc__heat_use(heat, 0, 1);
    (void)state;

    assert_true(fabs(rate(more, 0) / rate(heat, 0) - 2) < 0.01);
    for (int i = 1; i < 100; i++)
        assert_true(rate(heat, (uint64_t)i * turnover) <
                    rate(heat, (uint64_t)(i - 1) * turnover));
    assert_true(rate(heat, 1000 * turnover) >= 0);
    assert_true(rate(fc__heat_use(heat, 3 * turnover, 1), 3 * turnover) > rate(heat, 0));
}

/* Of a count with half-life 16, the only one that is left after 40 turnovers. */
static void the_slow_count_halves_in_sixteen_turnovers(void **state) {
    uint64_t heat = fc__heat_first(0);
    (void)state;

    for (int i = 0; i < 999; i++)
        heat = fc__heat_use(heat, 0, (uint32_t)i);
    double early = rate(heat, 40 * turnover), late = rate(heat, 56 * turnover);
    assert_true(fabs(late / early - 0.5) < 0.001);
}

/* 14 bits a count: beyond 1,024 uses one more is less than a step. */
static void counts_grow_in_the_mean_when_a_use_is_less_than_a_step(void **state) {
    uint64_t heat = fc__heat_first(0);
    (void)state;

    for (uint32_t i = 1; i < 100000; i++)
        heat = fc__heat_use(heat, 0, i);
    double uses = rate(heat, 0) / rate(fc__heat_first(0), 0);
    assert_true(uses > 90000 && uses < 110000);
    for (uint32_t i = 0; i < 100; i++) /* and the largest of all does not come round */
        assert_true(rate(fc__heat_use(0xffffffffffff >> 6, 0, i * 12345), 0) > 1e6);
}

static void the_clock_comes_round_without_harm(void **state) {
    uint64_t before = 4095 * turnover, after = 4097 * turnover;
    (void)state;

    assert_true(
        fabs(rate(fc__heat_first(before), after) / rate(fc__heat_first(0), 2 * turnover) -
             1) < 1e-9);
    assert_true(rate(fc__heat_first(after), before) ==
                rate(fc__heat_first(after), after)); /* a racing clock: no age */
}

static fc__shares learnt(uint64_t period) {
    fc__shares shares = fc__shares_prior;
    uint64_t heat = fc__heat_first(0), clock = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        clock += period;
        fc__shares_learn(&shares, heat, clock);
        heat = i % 2 ? fc__heat_use(heat, clock, i) : fc__heat_first(clock);
    }
    return shares;
}

static void the_decay_that_explains_the_uses_gets_their_share(void **state) {
    fc__shares quick = learnt(turnover / 3), slow = learnt(30 * turnover);
    (void)state;

    assert_true(quick.of[0] > 0.3 && quick.of[0] > 10 * slow.of[0]);
    assert_true(slow.of[2] > 0.9);
    for (int i = 0; i < FC__DECAYS; i++)
        assert_true(quick.of[i] > 0 && slow.of[i] > 0);
}

static void nothing_is_learnt_from_a_use_that_follows_at_once(void **state) {
    fc__shares shares = fc__shares_prior;
    (void)state;

    assert_false(fc__shares_learn(&shares, fc__heat_first(0), turnover / 5));
    assert_memory_equal(&shares, &fc__shares_prior, sizeof shares);
    assert_true(fc__shares_learn(&shares, fc__heat_first(0), turnover / 3));
}

static void worth_is_seconds_saved_for_each_byte(void **state) {
    (void)state;
    assert_true(fc__evict_priority(2, 3, 100) == 2 * fc__evict_priority(1, 3, 100));
    assert_true(fc__evict_priority(2, 3, 100) == 3 * fc__evict_priority(2, 1, 100));
    assert_true(fc__evict_priority(2, 3, 100) == 4 * fc__evict_priority(2, 3, 400));
    assert_true(isfinite(fc__evict_priority(1, 1, 0)));
}

static void the_least_are_chosen_in_order(void **state) {
    fc__candidate few[64];
    (void)state;

    for (uint32_t count = 1; count < 300; count += 7) {
        fc__victims victims = {.heap = few, .limit = 64};
        for (uint32_t i = 0; i < count; i++) {
            uint32_t rank = i * 101 % count; /* each once, if 101 and count are coprime */
            if (count % 101 == 0)
                rank = i;
            fc__candidate one = {.priority = rank, .id = rank};
            fc__victims_offer(&victims, &one);
        }
        fc__victims_sort(&victims);
        assert_int_equal(victims.count, count < 64 ? count : 64);
        for (uint32_t i = 0; i < victims.count; i++)
            assert_int_equal(few[i].id, i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_use_raises_the_rate_and_time_lowers_it),
        cmocka_unit_test(the_slow_count_halves_in_sixteen_turnovers),
        cmocka_unit_test(counts_grow_in_the_mean_when_a_use_is_less_than_a_step),
        cmocka_unit_test(the_clock_comes_round_without_harm),
        cmocka_unit_test(the_decay_that_explains_the_uses_gets_their_share),
        cmocka_unit_test(nothing_is_learnt_from_a_use_that_follows_at_once),
        cmocka_unit_test(worth_is_seconds_saved_for_each_byte),
        cmocka_unit_test(the_least_are_chosen_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
