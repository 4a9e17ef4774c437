/* The index alone: words, two buckets a key, publish, find, remove; records and names. */
#include "support_proc.h"

#include <pthread.h>

/* As a put leaves record and word, without files. */
static uint64_t publish(fc_cache *cache, fc__hash hash, uint32_t record, uint64_t *old) {
    fc__record *r = &cache->records[record];
    uint64_t word = fc__word(hash.high, 5, record);
    uint32_t slot;

    r->hash_low = hash.low;
    r->hash_high = hash.high;
    r->status = fc__status(FC__LIVE, 5);
    assert_int_equal(fc__index_publish(cache, hash, word, old, &slot), 0);
    assert_int_equal(fc__slot(cache, slot), word);
    return word;
}

static void word_keeps_its_parts(void **state) {
    uint64_t word = fc__word(0xfedcba9876543210u, 0xabcdef, 0x123456);
    (void)state;

    assert_int_equal(fc__word_record(word), 0x123456);
    assert_int_equal(fc__word_generation(word), 0xabcdef);
    assert_int_equal(fc__word_tag(word), 0xfedcba9876543210u >> 49);
    assert_int_equal(word & 1, 0);
    assert_int_equal(fc__word_generation(fc__word(0, 0x1000005, 1)), 5); /* it wraps */
    assert_int_equal(fc__status_state(fc__status(FC__POOL, 77)), FC__POOL);
    assert_int_equal(fc__status_generation(fc__status(FC__POOL, 77)), 77);
}

static void published_is_found_and_removed_is_not(void **state) {
    fc_cache *cache = open_in(private_dir());
    uint64_t words[100], old;
    uint32_t slot;
    char name[16];
    (void)state;

    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        words[i] = publish(cache, fc__hash_key(cache, fc_str(name)), i, &old);
        assert_int_equal(old, 0);
    }
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        fc__hash hash = fc__hash_key(cache, fc_str(name));
        assert_int_equal(fc__index_find(cache, hash, &slot), words[i]);
        assert_true(fc__index_holds(cache, hash, words[i], &slot));
        assert_false(fc__index_remove(cache, slot, words[i] ^ 1u << 25));
        assert_true(fc__index_remove(cache, slot, words[i]));
        assert_false(fc__index_remove(cache, slot, words[i]));
        assert_int_equal(fc__index_find(cache, hash, &slot), 0);
    }
    assert_int_equal(fc__index_find(cache, fc__hash_key(cache, fc_str("other")), &slot), 0);
    fc_cache_close(cache);
}

static void publish_of_a_present_key_replaces_in_place(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc__hash hash = fc__hash_key(cache, fc_str("key"));
    uint32_t before, after, filled = 0;
    uint64_t old, first = publish(cache, hash, 3, &old);
    (void)state;

    fc__index_find(cache, hash, &before);
    uint64_t second = publish(cache, hash, 4, &old);
    assert_int_equal(old, first);
    assert_int_equal(fc__index_find(cache, hash, &after), second);
    assert_int_equal(before, after);
    for (uint32_t i = 0; i < 2 * cache->capacity; i++)
        filled += fc__slot(cache, i) != 0;
    assert_int_equal(filled, 1);
    fc_cache_close(cache);
}

static void keys_with_one_tag_and_bucket_are_told_apart_by_their_hash(void **state) {
    fc_cache *cache = open_in(private_dir());
    fc__hash a = {.low = 7, .high = 1ull << 60}, b = a, c = a;
    uint64_t old, word_a, word_b;
    uint32_t slot;
    (void)state;

    b.high += 1; /* the tag is the same */
    c.low += (uint64_t)1 << 63;
    word_a = publish(cache, a, 1, &old);
    word_b = publish(cache, b, 2, &old);
    assert_int_equal(old, 0);
    assert_int_equal(fc__index_find(cache, a, &slot), word_a);
    assert_int_equal(fc__index_find(cache, b, &slot), word_b);
    assert_int_equal(fc__index_find(cache, c, &slot), 0);
    fc_cache_close(cache);
}

static void full_buckets_say_so(void **state) {
    fc_cache *cache = open_in(private_dir());
    uint32_t slot, record = 0;
    uint64_t old;
    fc__hash hash = {.low = 3 | (uint64_t)9 << 32, .high = 0};
    (void)state;

    for (; record < 16; record++) { /* two buckets of eight */
        hash.high = (uint64_t)(record + 1) << 49;
        publish(cache, hash, record, &old);
    }
    hash.high = (uint64_t)99 << 49;
    assert_int_equal(
        fc__index_publish(cache, hash, fc__word(hash.high, 1, record), &old, &slot),
        FC_E_BUSY);
    hash.high = (uint64_t)1 << 49; /* of a present key there is always room */
    publish(cache, hash, record, &old);
    assert_int_equal(fc__word_record(old), 0);
    fc_cache_close(cache);
}

/* Keys whose hash names the bucket twice have its neighbour as their second one. */
static void name_twice(fc_cache *cache, uint32_t bucket, uint32_t *from, char key[16]) {
    for (;; ++*from) {
        snprintf(key, 16, "key-%u", *from);
        fc__hash hash = fc__hash_key(cache, fc_str(key));
        if (((uint32_t)hash.low & cache->bucket_mask) == bucket &&
            ((uint32_t)(hash.low >> 32) & cache->bucket_mask) == bucket)
            break;
    }
    ++*from;
}

/* Fills both buckets, holds what stands in one, and puts another key. */
static void evicts_from_the_one_that_is_not_held(uint32_t bucket, uint32_t held) {
    fc_options options = options_in(private_dir());
    fc_frame *frames[16];
    uint32_t slots[16], from = 0;
    char key[16];

    options.capacity = "64";
    fc_cache *cache = open_with(&options);
    for (int i = 0; i < 16; i++) {
        name_twice(cache, bucket, &from, key);
        must_put(cache, key, 10, i);
        frames[i] = must_get(cache, key, 10, i);
        assert_int_not_equal(fc__index_find(cache, fc__hash_key(cache, fc_str(key)), &slots[i]),
                             0);
    }
    for (int i = 0; i < 16; i++)
        if (slots[i] / FC__BUCKET_SLOTS != held)
            fc_frame_release(frames[i]);
    name_twice(cache, bucket, &from, key);
    must_put(cache, key, 10, 99);
    get_and_release(cache, key, 10, 99);
    for (int i = 0; i < 16; i++)
        if (slots[i] / FC__BUCKET_SLOTS == held)
            fc_frame_release(frames[i]);
    fc_cache_close(cache);
}

static void key_whose_buckets_coincide_evicts_from_both(void **state) {
    (void)state;
    for (uint32_t bucket = 0; bucket < 16; bucket += 5) {
        evicts_from_the_one_that_is_not_held(bucket, bucket);
        evicts_from_the_one_that_is_not_held(bucket, bucket ^ 1);
    }
}

static void all_records_fit_the_index(void **state) {
    fc_options options = options_in(private_dir());
    char name[16];
    uint64_t old;
    (void)state;

    options.capacity = "65536";
    fc_cache *cache = open_with(&options);
    for (uint32_t i = 0; i < cache->capacity; i++) {
        snprintf(name, sizeof name, "key-%u", i);
        publish(cache, fc__hash_key(cache, fc_str(name)), i, &old); /* asserts that it fits */
    }
    for (uint32_t i = 0; i < cache->capacity; i++) {
        uint32_t slot;
        snprintf(name, sizeof name, "key-%u", i);
        uint64_t word = fc__index_find(cache, fc__hash_key(cache, fc_str(name)), &slot);
        assert_int_equal(fc__word_record(word), i);
    }
    fc_cache_close(cache);
}

/* ---- Records and locks ---- */

static void record_is_given_to_one_at_a_time(void **state) {
    fc_cache *cache = open_in(private_dir());
    bool taken[256] = {false};
    fc__lock locks[256], more;
    uint32_t record, generation;
    (void)state;

    for (int i = 0; i < 256; i++) {
        assert_int_equal(fc__record_allocate(cache, &record, &generation, &locks[i]), 0);
        assert_false(taken[record]);
        taken[record] = true;
        assert_int_equal(fc__status_state(cache->records[record].status), FC__WRITING);
    }
    assert_int_equal(fc__record_allocate(cache, &record, &generation, &more), FC_E_BUSY);
    for (int i = 0; i < 256; i++)
        fc__lock_release(cache, &locks[i]);
    assert_int_equal(fc__sweep(cache), 256); /* as if their writers had died */
    assert_int_equal(fc__record_allocate(cache, &record, &generation, &more), 0);
    fc__lock_release(cache, &more);
    must_be_clean(cache);
    fc_cache_close(cache);
}

static void *try_lock(void *argument) {
    fc_cache *cache = argument;
    fc__lock lock;
    intptr_t result = 0;

    if (fc__lock_try(cache, FC__LOCK_RECORD, 17, &lock) != FC_E_BUSY)
        result |= 1; /* another thread has it */
    if (fc__lock_try(cache, FC__LOCK_RECORD, 18, &lock))
        result |= 2;
    fc__lock_release(cache, &lock);
    if (fc__lock_try(cache, FC__LOCK_KEY, 17, &lock)) /* another class */
        result |= 4;
    fc__lock_release(cache, &lock);
    if (fc__lock_wait(cache, FC__LOCK_RECORD, 17, 5, &lock) != FC_E_BUSY)
        result |= 8;
    return (void *)result;
}

static void locks_exclude_threads_of_one_process(void **state) {
    fc_cache *cache = open_in(private_dir());
    pthread_t thread;
    fc__lock lock;
    void *result;
    (void)state;

    assert_int_equal(fc__lock_try(cache, FC__LOCK_RECORD, 17, &lock), 0);
    assert_int_equal(pthread_create(&thread, NULL, try_lock, cache), 0);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, 0);
    fc__lock_release(cache, &lock);
    assert_int_equal(fc__lock_try(cache, FC__LOCK_RECORD, 17, &lock), 0);
    fc__lock_release(cache, &lock);
    fc_cache_close(cache);
}

static void names_are_parsed_as_they_are_written(void **state) {
    static const char *const bad[] = {"",          "12345",    "1234567",
                                      "00000G",    "00000a.s", "00000a.s01",
                                      "00000a.t1", "00000A",   "00000a.s1x"};
    char name[24], manifest[16];
    uint32_t record;
    int64_t segment;
    (void)state;

    fc__manifest_name(manifest, 0xabcdef);
    assert_string_equal(manifest, "abcdef");
    assert_true(fc__parse_name(manifest, &record, &segment));
    assert_int_equal(record, 0xabcdef);
    assert_int_equal(segment, -1);
    for (uint32_t i = 0; i < FC__MAX_SEGMENTS; i = i * 3 + 1) {
        fc__segment_name(name, 10, i);
        assert_true(fc__parse_name(name, &record, &segment));
        assert_int_equal(record, 10);
        assert_int_equal(segment, i);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(fc__parse_name(bad[i], &record, &segment));
}

static void key_text_is_printable_and_cut(void **state) {
    char text[80], key[1024];
    (void)state;

    assert_string_equal(fc__key_text(text, fc_str("plain key")), "plain key");
    assert_string_equal(fc__key_text(text, (fc_bytes){"a\n\0\\b", 5}),
                        "a\\x0a\\x00\\x5cb");
    for (int fill = 0; fill < 256; fill += 85) {
        memset(key, fill, sizeof key);
        fc__key_text(text, (fc_bytes){key, sizeof key});
        assert_true(strlen(text) < 80);
        assert_string_equal(text + strlen(text) - 3, "...");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(word_keeps_its_parts),
        cmocka_unit_test(published_is_found_and_removed_is_not),
        cmocka_unit_test(publish_of_a_present_key_replaces_in_place),
        cmocka_unit_test(keys_with_one_tag_and_bucket_are_told_apart_by_their_hash),
        cmocka_unit_test(full_buckets_say_so),
        cmocka_unit_test(key_whose_buckets_coincide_evicts_from_both),
        cmocka_unit_test(all_records_fit_the_index),
        cmocka_unit_test(record_is_given_to_one_at_a_time),
        cmocka_unit_test(locks_exclude_threads_of_one_process),
        cmocka_unit_test(names_are_parsed_as_they_are_written),
        cmocka_unit_test(key_text_is_printable_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
