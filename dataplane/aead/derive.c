/* Key derivation of the fast path: HKDF-Expand with SHA-256, one implementation for every table. */
#include "dataplane/aead/tables.h"

#include "common/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define DIGEST_BYTES    32u
#define LABEL_BYTES_MAX 32u

static const char prefix[] = "haul1 ";

/* T(n) = HMAC(secret, T(n-1) || info || n), RFC 5869 2.3. */
static void expand_block(const uint8_t secret[32], const uint8_t *previous, const uint8_t *info,
                         size_t info_bytes, uint8_t number, uint8_t block[DIGEST_BYTES])
{
    uint8_t message[DIGEST_BYTES + 2 + 1 + sizeof prefix + LABEL_BYTES_MAX + 1 + 1];
    struct haul_out out = haul_out_to(message, sizeof message);

    if (previous != NULL)
        haul_out_bytes(&out, previous, DIGEST_BYTES);
    haul_out_bytes(&out, info, info_bytes);
    haul_out_be(&out, number, 1);
    haul_assert(!out.bad);
    haul_assert(HMAC(EVP_sha256(), secret, 32, message, (size_t)(out.at - message), block, NULL) !=
                NULL);
    OPENSSL_cleanse(message, sizeof message);
}

void haul_aead_derive(const uint8_t secret[32], const char *label, uint8_t *to, size_t bytes)
{
    uint8_t info[2 + 1 + sizeof prefix + LABEL_BYTES_MAX + 1];
    uint8_t blocks[2][DIGEST_BYTES];
    struct haul_out out = haul_out_to(info, sizeof info);
    size_t label_bytes = strlen(label);

    haul_assert(bytes <= sizeof blocks && label_bytes <= LABEL_BYTES_MAX);
    haul_out_be(&out, bytes, 2);
    haul_out_be(&out, sizeof prefix - 1 + label_bytes, 1);
    haul_out_bytes(&out, prefix, sizeof prefix - 1);
    haul_out_bytes(&out, label, label_bytes);
    haul_out_be(&out, 0, 1);
    haul_assert(!out.bad);

    expand_block(secret, NULL, info, (size_t)(out.at - info), 1, blocks[0]);
    if (bytes > DIGEST_BYTES)
        expand_block(secret, blocks[0], info, (size_t)(out.at - info), 2, blocks[1]);
    memcpy(to, blocks, bytes);
    OPENSSL_cleanse(blocks, sizeof blocks);
}
