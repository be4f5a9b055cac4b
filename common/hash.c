/* BLAKE3 through its own library, SHA2-256 through libcrypto. A hasher is a plain value in the
 * caller's memory: it may be dropped half-way and allocates nothing. libcrypto's EVP contexts live
 * on the heap and must be freed, so the older one-struct interface is used for SHA2-256; it runs
 * the same code underneath. */
#define OPENSSL_SUPPRESS_DEPRECATED 1

#include "common/hash.h"

#include <blake3.h>
#include <openssl/sha.h>
#include <string.h>

_Static_assert(sizeof(blake3_hasher) <= sizeof((struct haul_hasher *)0)->space, "space too small");
_Static_assert(sizeof(SHA256_CTX) <= sizeof((struct haul_hasher *)0)->space, "space too small");
_Static_assert(_Alignof(blake3_hasher) <= 16 && _Alignof(SHA256_CTX) <= 16, "space misaligned");

static blake3_hasher *hasher_blake3(struct haul_hasher *hasher)
{
    return (blake3_hasher *)(void *)hasher->space;
}

static SHA256_CTX *hasher_sha2(struct haul_hasher *hasher)
{
    return (SHA256_CTX *)(void *)hasher->space;
}

void haul_hasher_init(struct haul_hasher *hasher, uint8_t code)
{
    haul_assert(code == HAUL_HASH_BLAKE3 || code == HAUL_HASH_SHA2_256);
    hasher->code = code;
    if (code == HAUL_HASH_BLAKE3)
        blake3_hasher_init(hasher_blake3(hasher));
    else
        haul_assert(SHA256_Init(hasher_sha2(hasher)) == 1);
}

void haul_hasher_update(struct haul_hasher *hasher, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    if (hasher->code == HAUL_HASH_BLAKE3)
        blake3_hasher_update(hasher_blake3(hasher), data, bytes);
    else
        haul_assert(SHA256_Update(hasher_sha2(hasher), data, bytes) == 1);
}

void haul_hasher_final(struct haul_hasher *hasher, struct haul_hash *hash)
{
    hash->bytes[0] = hasher->code;
    hash->bytes[1] = HAUL_HASH_DIGEST_BYTES;
    if (hasher->code == HAUL_HASH_BLAKE3)
        blake3_hasher_finalize(hasher_blake3(hasher), hash->bytes + 2, HAUL_HASH_DIGEST_BYTES);
    else
        haul_assert(SHA256_Final(hash->bytes + 2, hasher_sha2(hasher)) == 1);
}

void haul_hash_of(uint8_t code, const void *data, size_t bytes, struct haul_hash *hash)
{
    struct haul_hasher hasher;

    haul_hasher_init(&hasher, code);
    haul_hasher_update(&hasher, data, bytes);
    haul_hasher_final(&hasher, hash);
}

bool haul_hash_equal(const struct haul_hash *a, const struct haul_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool haul_hash_valid(const struct haul_hash *hash)
{
    return (hash->bytes[0] == HAUL_HASH_BLAKE3 || hash->bytes[0] == HAUL_HASH_SHA2_256) &&
           hash->bytes[1] == HAUL_HASH_DIGEST_BYTES;
}

uint8_t haul_hash_code(const char *name)
{
    if (strcmp(name, "blake3") == 0)
        return HAUL_HASH_BLAKE3;
    if (strcmp(name, "sha2-256") == 0)
        return HAUL_HASH_SHA2_256;
    return 0;
}

const char *haul_hash_name(uint8_t code)
{
    if (code == HAUL_HASH_BLAKE3)
        return "blake3";
    return code == HAUL_HASH_SHA2_256 ? "sha2-256" : "unknown";
}
