/* AES-128-GCM and ChaCha20-Poly1305 through OpenSSL: the portable implementation, and the oracle of
 * the faster one. A context keeps one cipher context of the library; a datagram only sets the
 * nonce. The library allocates when a key is expanded for the first time in a context, never for a
 * datagram. */
#include "dataplane/aead/tables.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

struct openssl_context {
    EVP_CIPHER_CTX *cipher;
};
_Static_assert(sizeof(struct openssl_context) <= HAUL_AEAD_CONTEXT_BYTES, "fits");

static EVP_CIPHER_CTX *openssl_cipher(struct haul_aead_context *context)
{
    struct openssl_context own;

    memcpy(&own, context->space, sizeof own);
    return own.cipher;
}

static void openssl_key(struct haul_aead_context *context, const EVP_CIPHER *cipher,
                        const uint8_t *key)
{
    static const uint8_t nonce[HAUL_AEAD_NONCE_BYTES];
    struct openssl_context own = { .cipher = openssl_cipher(context) };

    if (own.cipher == NULL)
        own.cipher = EVP_CIPHER_CTX_new();
    haul_assert(own.cipher != NULL);
    haul_assert(EVP_EncryptInit_ex(own.cipher, cipher, NULL, key, nonce) == 1);
    memcpy(context->space, &own, sizeof own);
}

static void aes_128_gcm_key(struct haul_aead_context *context, const uint8_t *key)
{
    openssl_key(context, EVP_aes_128_gcm(), key);
}

static void chacha20_poly1305_key(struct haul_aead_context *context, const uint8_t *key)
{
    openssl_key(context, EVP_chacha20_poly1305(), key);
}

static void openssl_wipe(struct haul_aead_context *context)
{
    EVP_CIPHER_CTX_free(openssl_cipher(context)); /* clears what it frees */
    OPENSSL_cleanse(context, sizeof *context);
}

/* Lengths of a datagram always fit an int; a failure of the library here is a broken invariant. */
static void openssl_seal(struct haul_aead_context *context, const uint8_t *nonce,
                         const uint8_t *clear, size_t clear_bytes, const uint8_t *from,
                         size_t bytes, uint8_t *to)
{
    EVP_CIPHER_CTX *cipher = openssl_cipher(context);
    bool good = EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce) == 1;
    int done = 0;

    if (clear_bytes > 0)
        good = good && EVP_EncryptUpdate(cipher, NULL, &done, clear, (int)clear_bytes) == 1;
    done = 0;
    if (bytes > 0)
        good = good && EVP_EncryptUpdate(cipher, to, &done, from, (int)bytes) == 1;
    good = good && EVP_EncryptFinal_ex(cipher, to + done, &done) == 1;
    good = good && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, (int)HAUL_AEAD_TAG_BYTES,
                                       to + bytes) == 1;
    haul_assert(good);
}

static bool openssl_open(struct haul_aead_context *context, const uint8_t *nonce,
                         const uint8_t *clear, size_t clear_bytes, const uint8_t *from,
                         size_t bytes, uint8_t *to)
{
    EVP_CIPHER_CTX *cipher = openssl_cipher(context);
    uint8_t tag[HAUL_AEAD_TAG_BYTES];
    uint8_t none[1];
    bool good = EVP_DecryptInit_ex(cipher, NULL, NULL, NULL, nonce) == 1;
    int done = 0;

    memcpy(tag, from + bytes, sizeof tag);
    good = good && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, (int)sizeof tag, tag) == 1;
    if (clear_bytes > 0)
        good = good && EVP_DecryptUpdate(cipher, NULL, &done, clear, (int)clear_bytes) == 1;
    if (bytes > 0)
        good = good && EVP_DecryptUpdate(cipher, to, &done, from, (int)bytes) == 1;
    return good && EVP_DecryptFinal_ex(cipher, none, &done) == 1;
}

const struct haul_aead haul_aead_openssl_aes_128_gcm = {
    .name = "aes-128-gcm/openssl",
    .cipher = HAUL_CIPHER_AES_128_GCM,
    .key_bytes = 16,
    .key = aes_128_gcm_key,
    .wipe = openssl_wipe,
    .seal = openssl_seal,
    .open = openssl_open,
    .derive = haul_aead_derive,
};

const struct haul_aead haul_aead_openssl_chacha20_poly1305 = {
    .name = "chacha20-poly1305/openssl",
    .cipher = HAUL_CIPHER_CHACHA20_POLY1305,
    .key_bytes = 32,
    .key = chacha20_poly1305_key,
    .wipe = openssl_wipe,
    .seal = openssl_seal,
    .open = openssl_open,
    .derive = haul_aead_derive,
};
