/* Our own identity key: Ed25519 by the crypto library. The keys that peers show are in
 * key_verify.c. */
#include "controlplane/p2p/key.h"

#include "common/bytes.h"
#include "controlplane/p2p/key_pair.h"

#include <openssl/crypto.h>

/* PublicKey and PrivateKey messages up to their data: field 1 (type) is Ed25519, field 2 follows.
 */
static const uint8_t public_prefix[4] = { 0x08, 0x01, 0x12, 0x20 };
static const uint8_t private_prefix[4] = { 0x08, 0x01, 0x12, 0x40 };
static const uint8_t legacy_prefix[4] = { 0x08, 0x01, 0x12, 0x60 };

#define LEGACY_BYTES 100u /* the public key written twice */

void haul_key_public(const struct haul_key *key, uint8_t data[HAUL_KEY_PUBLIC_BYTES])
{
    memcpy(data, public_prefix, sizeof public_prefix);
    memcpy(data + sizeof public_prefix, key->public_key, sizeof key->public_key);
}

void haul_key_from_seed(struct haul_key *key, const uint8_t seed[32])
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    uint8_t serialized[HAUL_KEY_PUBLIC_BYTES];
    size_t bytes = sizeof key->public_key;

    haul_assert(pkey != NULL);
    memset(key, 0, sizeof *key);
    memcpy(key->seed, seed, sizeof key->seed);
    haul_assert(EVP_PKEY_get_raw_public_key(pkey, key->public_key, &bytes) == 1);
    haul_assert(bytes == sizeof key->public_key);
    EVP_PKEY_free(pkey);
    haul_key_public(key, serialized);
    haul_assert(haul_key_peer_id(serialized, sizeof serialized, &key->id));
}

bool haul_key_decode(struct haul_key *key, const uint8_t *data, size_t bytes)
{
    struct haul_key read;
    bool good;

    if (bytes == HAUL_KEY_PRIVATE_BYTES)
        good = memcmp(data, private_prefix, sizeof private_prefix) == 0;
    else if (bytes == LEGACY_BYTES)
        good = memcmp(data, legacy_prefix, sizeof legacy_prefix) == 0 &&
               memcmp(data + 36, data + 68, 32) == 0;
    else
        good = false;
    if (!good)
        return false;
    haul_key_from_seed(&read, data + 4);
    good = memcmp(read.public_key, data + 36, sizeof read.public_key) == 0;
    if (good)
        *key = read;
    haul_key_wipe(&read);
    return good;
}

void haul_key_encode(const struct haul_key *key, uint8_t data[HAUL_KEY_PRIVATE_BYTES])
{
    memcpy(data, private_prefix, sizeof private_prefix);
    memcpy(data + 4, key->seed, sizeof key->seed);
    memcpy(data + 36, key->public_key, sizeof key->public_key);
}

void haul_key_wipe(struct haul_key *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

void haul_key_sign(const struct haul_key *key, const void *data, size_t bytes,
                   uint8_t signature[HAUL_KEY_SIGNATURE_BYTES])
{
    EVP_PKEY *pkey = haul_key_pair("ED25519", key->seed, key->public_key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t written = HAUL_KEY_SIGNATURE_BYTES;

    haul_assert(pkey != NULL && context != NULL);
    haul_assert(EVP_DigestSignInit(context, NULL, NULL, NULL, pkey) == 1);
    haul_assert(EVP_DigestSign(context, signature, &written, data, bytes) == 1);
    haul_assert(written == HAUL_KEY_SIGNATURE_BYTES);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
}
