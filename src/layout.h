/* Everything that several processes see: the control file and the envelope of a manifest.
 * Fixed-width types, explicit padding, offsets instead of pointers, little-endian. A field
 * that two processes can touch at once is _Atomic. docs/format.md describes both files,
 * docs/concurrency.md says who may change what, and when. */
#ifndef FC_LAYOUT_H
#define FC_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define FC__CONTROL_MAGIC   0x314c525443434601u /* \1FCCTRL1 */
#define FC__CONTROL_VERSION 3u
#define FC__MANIFEST_MAGIC   0x3154534e4d434601u /* \1FCMNST1 */
#define FC__MANIFEST_VERSION 1u
#define FC__BYTE_ORDER       0x01020304u

#define FC__MIN_CAPACITY 64u
#define FC__MAX_CAPACITY (1u << 24)
#define FC__KEY_BYTES    1024u /* the longest key */
#define FC__MAX_TAGS     64u
#define FC__TAG_BYTES    255u
#define FC__MAX_SEGMENTS (1u << 20)

/* ---- Index ---- */

/* A slot is 0 or a word: tag 15 | generation 24 | record 24 | cold 1. */
#define FC__WORD_COLD       1u
#define FC__BUCKET_SLOTS    8u
#define FC__GENERATION_MASK 0xffffffu

static inline uint64_t fc__word(uint64_t hash_high, uint32_t generation, uint32_t record) {
    return hash_high >> 49 << 49 | (uint64_t)(generation & FC__GENERATION_MASK) << 25 |
           (uint64_t)record << 1;
}

/* Never 0, so that no word of record 0 is 0, which is an empty slot. */
static inline uint32_t fc__next_generation(uint32_t generation) {
    uint32_t next = (generation + 1) & FC__GENERATION_MASK;
    return next ? next : 1;
}

static inline uint32_t fc__word_record(uint64_t word) {
    return (uint32_t)(word >> 1) & FC__GENERATION_MASK;
}

static inline uint32_t fc__word_generation(uint64_t word) {
    return (uint32_t)(word >> 25) & FC__GENERATION_MASK;
}

static inline uint32_t fc__word_tag(uint64_t word) {
    return (uint32_t)(word >> 49);
}

/* ---- Records ---- */

typedef enum fc__state { FC__FREE, FC__WRITING, FC__LIVE, FC__POOL } fc__state;

/* State and generation are one word and change together, by CAS, under the record lock. */
static inline uint64_t fc__status(fc__state state, uint32_t generation) {
    return (uint64_t)(generation & FC__GENERATION_MASK) << 2 | (uint64_t)state;
}

static inline fc__state fc__status_state(uint64_t status) {
    return (fc__state)(status & 3);
}

static inline uint32_t fc__status_generation(uint64_t status) {
    return (uint32_t)(status >> 2) & FC__GENERATION_MASK;
}

#define FC__EXPIRES_NEVER INT64_MAX

/* fc__record.flags */
#define FC__RECORD_COST    1u /* somebody measured the cost */
#define FC__RECORD_SLIDING 4u /* every counted use renews the TTL */
#define FC__RECORD_DAMAGED 2u /* its files are not what they should be: not for the pool */
#define FC__RECORD_COLD    8u /* its segments are compressed, in one file */
#define FC__RECORD_SPILLED 16u /* which lies in the spill directory */
#define FC__RECORD_DENSE   32u /* a sample says that it does not compress */
#define FC__RECORD_SHRINKS 64u /* ... that it does */

/* The first line is all that a get touches. Fields but `status` are relaxed atomics: who
 * needs them consistent re-reads the slot word or holds the record lock. */
typedef struct fc__record {
    _Atomic uint64_t status;
    _Atomic uint64_t hash_low, hash_high;
    _Atomic int64_t expires_ns;
    _Atomic uint32_t tick; /* of the last counted use */
    _Atomic uint32_t uses; /* counted at most once a tick */
    _Atomic uint64_t heat; /* how often it is used, and when it was: evict.h */
    _Atomic uint64_t cost; /* seconds: bits of a double */
    _Atomic int64_t used_ns;

    _Atomic uint64_t charged; /* units of FC__PAGE on disk that `used` counts for it */
    _Atomic uint64_t intent;  /* not 0 while `charged` and `used` are out of step */
    _Atomic uint64_t sequence;
    _Atomic int64_t ttl_ms;
    _Atomic uint32_t segments; /* files <record>.s0 ... that may exist */
    _Atomic uint32_t flags;
    _Atomic int64_t stale_until_ns; /* served stale until then; 0: not past the expiry */
    _Atomic uint64_t tags;          /* filter: one bit of each tag's hash */
    /* Hot: units that were linked from another frame at the put. Cold: units of the file in
     * the spill directory 32, units of the segments when decompressed 32. */
    _Atomic uint64_t linked;
} fc__record;
_Static_assert(sizeof(fc__record) == 128, "two cache lines");

/* The word that a slot holds for a live record of this status. */
static inline uint64_t fc__record_word(const fc__record *record, uint32_t number,
                                       uint64_t status) {
    uint32_t cold = atomic_load(&record->flags) & FC__RECORD_COLD ? FC__WORD_COLD : 0;
    return fc__word(atomic_load(&record->hash_high), fc__status_generation(status), number) |
           cold;
}

/* ---- Ghosts: what went, and why ---- */

/* Two words each: 0 or tag 21 | reason 3 | milliseconds since 2020 40, in sets of eight by
 * hash; and, behind all of these, the heats that the frames had. */
#define FC__GHOST_EPOCH_MS 1577836800000
#define FC__GHOST_SET      8u

/* ---- The control file ---- */

#define FC__HINTS_BIG   64u
#define FC__HINTS_SMALL 256u
#define FC__WAIT_WORDS  256u
#define FC__COUNTERS    64u /* of the whole cache; fewer are used */

typedef struct fc__control {
    /* Written once, magic last. */
    _Atomic uint64_t magic;
    uint32_t version, byte_order;
    uint32_t page_bytes, capacity;
    uint64_t instance; /* in every manifest too */
    uint64_t control_bytes;
    uint64_t slots_offset, records_offset, ghosts_offset;
    char boot_id[40];
    int64_t created_ns;
    uint64_t hash_seed; /* of the keys; random, and nobody's but who may read this file */
    uint64_t reserved_identity;

    /* Settings that all share; changed now and then. */
    _Alignas(64) _Atomic uint64_t budget_units;
    _Atomic uint32_t budget_rule; /* fc__budget_rule */
    _Atomic uint32_t high_percent, low_percent; /* watermarks */
    _Atomic uint32_t copy_method;               /* fc__copy_method, measured once */
    _Atomic uint64_t pool_limit_units;
    _Atomic uint32_t damaged; /* somebody saw that it does not hold: make it anew */
    _Atomic uint32_t reserved_setting[5];

    /* Read by every get, seldom written. */
    _Alignas(64) _Atomic uint32_t pressure; /* epoch: idle mappings of older ones go */
    _Atomic uint32_t notice;                /* futex of the watchers */

    _Alignas(64) _Atomic uint64_t used; /* units 40 | sequence 24 */
    _Alignas(64) _Atomic uint64_t sequence;
    _Alignas(64) _Atomic uint32_t allocate_hint;
    _Atomic uint32_t big_position, small_position; /* of the hint rings */
    _Alignas(64) _Atomic uint64_t turnover; /* bytes evicted over the budget: 32.32 */
    _Atomic uint64_t pool_units;            /* a gauge, put right by each sweep */
    _Atomic uint64_t shares[3]; /* what the policy has learnt: bits of doubles */
    _Atomic int64_t followed_ns; /* when `auto` was last looked at, CLOCK_MONOTONIC */
    _Atomic uint32_t asleep; /* a helper sleeps until there are frames */
    _Atomic uint32_t records_end; /* records from here on were never taken */

    _Alignas(64) _Atomic uint32_t hints_big[FC__HINTS_BIG]; /* record + 1, or 0 */
    _Atomic uint32_t hints_small[FC__HINTS_SMALL];
    _Alignas(64) _Atomic uint32_t wait_words[FC__WAIT_WORDS]; /* bumped by each change */
    _Atomic uint32_t waiting[FC__WAIT_WORDS]; /* 1: somebody may sleep on it; 2: watches it */
    _Alignas(64) _Atomic uint32_t flight_words[FC__WAIT_WORDS]; /* reserved */
    _Atomic uint64_t spill_units;    /* a gauge, put right by each sweep */
    _Atomic uint64_t tag_epochs[63]; /* reserved */
    _Alignas(64) _Atomic uint64_t counters[FC__COUNTERS];
} fc__control;
_Static_assert(sizeof(fc__control) % 64 == 0, "whole cache lines");

/* ---- The envelope of a manifest: FILE = envelope, key, lengths, body, data ---- */

#define FC__MANIFEST_INLINE 1u /* segment 0 stands in this file */
#define FC__MANIFEST_COLD   2u /* the segments stand compressed in one file */
#define FC__MANIFEST_HASHED 4u /* content_hash stands */
#define FC__MANIFEST_MARKED 8u /* put with FC_PUT_MARKED */

typedef struct fc__manifest {
    uint64_t magic;
    uint32_t version, header_bytes;
    _Atomic uint32_t committed; /* written with the rest, by one write */
    _Atomic uint32_t dead;      /* under an exclusive lease */
    uint64_t checksum;          /* XXH3-64 from `instance` to the end of the body */

    uint64_t instance;
    uint64_t sequence;
    uint32_t generation, record;
    int64_t created_ns;
    uint32_t flags;
    uint32_t key_bytes;
    uint32_t segment_count;
    uint32_t tag_count;       /* behind the key: length byte and bytes of each */
    uint64_t segments_offset; /* uint64_t[segment_count]: bytes of each */
    uint64_t body_offset, body_bytes;
    uint64_t data_offset, data_bytes; /* of segment 0 when it is inline */
    int64_t rows;
    int64_t columns;
    uint64_t stored_bytes; /* of all segments */
    uint8_t content_hash[16]; /* of the table, as fc_frame_hash() gives it */
    uint64_t reserved[4];
} fc__manifest;
_Static_assert(sizeof(fc__manifest) == 192, "fc__manifest");

#define FC__MANIFEST_COVERED offsetof(fc__manifest, instance)

#endif
