#include "controlplane/p2p/kex.h"

#include "controlplane/p2p/key_pair.h"

#include <openssl/crypto.h>
#include <string.h>

#define SHA256_BYTES   32u
#define INFO_BYTES_MAX 255u

void haul_kex_public(const uint8_t secret_key[HAUL_KEX_BYTES], uint8_t public_key[HAUL_KEX_BYTES])
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret_key, HAUL_KEX_BYTES);
    size_t bytes = HAUL_KEX_BYTES;

    haul_assert(pkey != NULL);
    haul_assert(EVP_PKEY_get_raw_public_key(pkey, public_key, &bytes) == 1);
    EVP_PKEY_free(pkey);
}

/* The exchange does not read our own public key, and computing it takes as long as the exchange:
 * any bytes stand in its place. */
bool haul_kex_shared(const uint8_t secret_key[HAUL_KEX_BYTES],
                     const uint8_t peer_key[HAUL_KEX_BYTES], uint8_t shared[HAUL_KEX_BYTES])
{
    static const uint8_t zero[HAUL_KEX_BYTES];
    EVP_PKEY *mine = haul_key_pair("X25519", secret_key, zero);
    EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer_key, HAUL_KEX_BYTES);
    EVP_PKEY_CTX *context = mine == NULL ? NULL : EVP_PKEY_CTX_new(mine, NULL);
    uint8_t made[HAUL_KEX_BYTES] = { 0 };
    size_t bytes = sizeof made;
    bool good;

    good = context != NULL && theirs != NULL && EVP_PKEY_derive_init(context) == 1 &&
           EVP_PKEY_derive_set_peer(context, theirs) == 1 &&
           EVP_PKEY_derive(context, made, &bytes) == 1 && bytes == sizeof made &&
           CRYPTO_memcmp(made, zero, sizeof made) != 0;
    if (good)
        memcpy(shared, made, sizeof made);
    OPENSSL_cleanse(made, sizeof made);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(mine);
    return good;
}

static void hmac(const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes,
                 uint8_t mac[SHA256_BYTES])
{
    static const uint8_t none[1];
    size_t written = 0;

    haul_assert(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_bytes,
                          data == NULL ? none : data, bytes, mac, SHA256_BYTES, &written) != NULL);
    haul_assert(written == SHA256_BYTES);
}

void haul_hkdf_extract(const uint8_t *salt, size_t salt_bytes, const uint8_t *secret,
                       size_t secret_bytes, uint8_t key[32])
{
    hmac(salt, salt_bytes, secret, secret_bytes, key);
}

void haul_hkdf_expand(const uint8_t key[32], const void *info, size_t info_bytes, uint8_t *to,
                      size_t bytes)
{
    uint8_t data[SHA256_BYTES + INFO_BYTES_MAX + 1];
    uint8_t block[SHA256_BYTES];
    size_t kept = 0;

    haul_assert(info_bytes <= INFO_BYTES_MAX && bytes <= 255 * SHA256_BYTES);
    for (uint8_t count = 1; bytes > 0; count++) {
        size_t taken = bytes < sizeof block ? bytes : sizeof block;

        memcpy(data, block, kept);
        if (info_bytes > 0)
            memcpy(data + kept, info, info_bytes);
        data[kept + info_bytes] = count;
        hmac(key, SHA256_BYTES, data, kept + info_bytes + 1, block);
        memcpy(to, block, taken);
        to += taken;
        bytes -= taken;
        kept = sizeof block;
    }
    OPENSSL_cleanse(data, sizeof data);
    OPENSSL_cleanse(block, sizeof block);
}

void haul_kex_hash(const void *a, size_t a_bytes, const void *b, size_t b_bytes, uint8_t hash[32])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    haul_assert(context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    haul_assert(a_bytes == 0 || EVP_DigestUpdate(context, a, a_bytes) == 1);
    haul_assert(b_bytes == 0 || EVP_DigestUpdate(context, b, b_bytes) == 1);
    haul_assert(EVP_DigestFinal_ex(context, hash, NULL) == 1);
    EVP_MD_CTX_free(context);
}

void haul_kex_wipe(void *secret, size_t bytes)
{
    OPENSSL_cleanse(secret, bytes);
}
