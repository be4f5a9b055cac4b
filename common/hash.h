/* Block hashes. A block is named by a binary multihash with a digest of 32 bytes; haul makes and
 * verifies two kinds, and refuses every other when it parses one. Pure computation, any thread. */
#pragma once

#include "common/base.h"

/* Multihash codes (multicodec table); both fit one varint byte. */
#define HAUL_HASH_SHA2_256 0x12u
#define HAUL_HASH_BLAKE3   0x1eu

#define HAUL_HASH_DIGEST_BYTES 32u
#define HAUL_HASH_BYTES        34u /* code, digest length, digest */

/* The binary multihash itself: bytes[0] code, bytes[1] 32, then the digest. All zero: no hash. */
struct haul_hash {
    uint8_t bytes[HAUL_HASH_BYTES];
};

/* A running hash; the space is large enough for either kind and owned by the caller. */
struct haul_hasher {
    uint8_t code;
    _Alignas(16) uint8_t space[2048];
};

void haul_hasher_init(struct haul_hasher *hasher, uint8_t code);
void haul_hasher_update(struct haul_hasher *hasher, const void *data, size_t bytes);
void haul_hasher_final(struct haul_hasher *hasher, struct haul_hash *hash);

/* One call over a whole block. */
void haul_hash_of(uint8_t code, const void *data, size_t bytes, struct haul_hash *hash);

bool haul_hash_equal(const struct haul_hash *a, const struct haul_hash *b);

/* Known code and a length byte of 32. */
bool haul_hash_valid(const struct haul_hash *hash);

/* "blake3" or "sha2-256"; 0 for any other name. And the name of a code. */
uint8_t haul_hash_code(const char *name);
const char *haul_hash_name(uint8_t code);
