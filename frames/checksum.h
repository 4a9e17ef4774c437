/* XXH3: 64 bits, in one go and in pieces; 128 bits, in pieces. */
#ifndef FC_CHECKSUM_H
#define FC_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

typedef struct fc__hash {
    _Alignas(64) unsigned char state[640];
} fc__hash;

uint64_t fc__checksum(const void *data, size_t bytes);

void fc__hash_begin(fc__hash *hash);
void fc__hash_add(fc__hash *hash, const void *data, size_t bytes);
uint64_t fc__hash_end(const fc__hash *hash);

#define FC__DIGEST_BYTES 16

void fc__digest_begin(fc__hash *hash);
void fc__digest_add(fc__hash *hash, const void *data, size_t bytes);
void fc__digest_end(const fc__hash *hash, uint8_t out[FC__DIGEST_BYTES]);

#endif
