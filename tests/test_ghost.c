/* Ghosts: what went, why and when; the oldest of a set makes room. */
#include "support_proc.h"

#define NOW 1700000000123000000 /* of whole milliseconds */

static void ghost_remembers_reason_and_time(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc__hash hash = fc__hash_key(cache, fc_str("key"));
    int64_t when = 0;
    (void)state;

    assert_int_equal(fc__ghost_find(cache, hash, &when), FC_MISS_NEVER);
    for (fc_miss why = FC_MISS_EXPIRED; why <= FC_MISS_CORRUPT; why++) {
        fc__ghost_add(cache, hash, why, NOW + (int64_t)why * 1000000, 0);
        assert_int_equal(fc__ghost_find(cache, hash, &when), why);
        assert_int_equal(when, NOW + (int64_t)why * 1000000);
    }
    assert_int_equal(fc__ghost_find(cache, fc__hash_key(cache, fc_str("other")), &when),
                     FC_MISS_NEVER);
    fc_cache_close(cache);
}

static void ghost_of_a_key_stands_once(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc__hash hash = fc__hash_key(cache, fc_str("key"));
    int words = 0;
    (void)state;

    for (int i = 0; i < 20; i++)
        fc__ghost_add(cache, hash, FC_MISS_DELETED, NOW + i * 1000000, 0);
    for (uint32_t i = 0; i < 2 * cache->capacity; i++)
        words += cache->ghosts[i] != 0;
    assert_int_equal(words, 1);
    fc_cache_close(cache);
}

static void oldest_of_a_full_set_makes_room(void **state) {
    fc_cache *cache = open_in(private_dir());
    int64_t when;
    (void)state;

    for (uint64_t i = 0; i < 9; i++) /* one set, nine tags; the third is the oldest */
        fc__ghost_add(cache, (fc__hash){.low = i + 1, .high = 4}, FC_MISS_EVICTED,
                      NOW + (int64_t)(i == 2 ? 0 : i + 1) * 1000000, 0);
    for (uint64_t i = 0; i < 9; i++)
        assert_int_equal(
            fc__ghost_find(cache, (fc__hash){.low = i + 1, .high = 4}, &when),
            i == 2 ? FC_MISS_NEVER : FC_MISS_EVICTED);
    fc_cache_close(cache);
}

static void most_of_the_last_that_went_are_remembered(void **state) {
    fc_cache *cache = open_in(private_dir());
    char name[16];
    int known = 0;
    int64_t when;
    (void)state;

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        fc__ghost_add(cache, fc__hash_key(cache, fc_str(name)), FC_MISS_EVICTED,
                      NOW + i * 1000000, 0);
    }
    for (int i = 744; i < 1000; i++) { /* as many as there are records */
        snprintf(name, sizeof name, "key-%d", i);
        known +=
            fc__ghost_find(cache, fc__hash_key(cache, fc_str(name)), &when) == FC_MISS_EVICTED;
    }
    assert_true(known > 240);
    fc_cache_close(cache);
}

static void damaged_ghosts_are_no_answer(void **state) {
    fc_cache *cache = open_in(private_dir());
    int64_t when;
    (void)state;

    for (uint32_t i = 0; i < 2 * cache->capacity; i++)
        cache->ghosts[i] = UINT64_MAX; /* reason 7 */
    assert_int_equal(fc__ghost_find(cache, (fc__hash){UINT64_MAX, 0}, &when),
                     FC_MISS_NEVER);
    fc__ghost_add(cache, (fc__hash){1, 0}, FC_MISS_DELETED, -5, 0); /* before 2020 */
    assert_int_equal(fc__ghost_find(cache, (fc__hash){1, 0}, &when), FC_MISS_DELETED);
    fc_cache_close(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ghost_remembers_reason_and_time),
        cmocka_unit_test(ghost_of_a_key_stands_once),
        cmocka_unit_test(oldest_of_a_full_set_makes_room),
        cmocka_unit_test(most_of_the_last_that_went_are_remembered),
        cmocka_unit_test(damaged_ghosts_are_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
