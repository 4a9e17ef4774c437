/* The one file of frames/ that includes xxHash: inlined, so that the compiler's target
 * decides which instructions it uses. */
#include "checksum.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <xxhash.h>

_Static_assert(sizeof(XXH3_state_t) <= sizeof(fc__hash), "fc__hash holds a state");

uint64_t fc__checksum(const void *data, size_t bytes) {
    return XXH3_64bits(data, bytes);
}

void fc__hash_begin(fc__hash *hash) {
    XXH3_64bits_reset((XXH3_state_t *)hash);
}

void fc__hash_add(fc__hash *hash, const void *data, size_t bytes) {
    if (bytes)
        XXH3_64bits_update((XXH3_state_t *)hash, data, bytes);
}

uint64_t fc__hash_end(const fc__hash *hash) {
    return XXH3_64bits_digest((const XXH3_state_t *)hash);
}

void fc__digest_begin(fc__hash *hash) {
    XXH3_128bits_reset((XXH3_state_t *)hash);
}

void fc__digest_add(fc__hash *hash, const void *data, size_t bytes) {
    if (bytes)
        XXH3_128bits_update((XXH3_state_t *)hash, data, bytes);
}

void fc__digest_end(const fc__hash *hash, uint8_t out[FC__DIGEST_BYTES]) {
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest((const XXH3_state_t *)hash));
    memcpy(out, canonical.digest, FC__DIGEST_BYTES);
}
