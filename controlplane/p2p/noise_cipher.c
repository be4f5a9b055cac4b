#include "controlplane/p2p/noise_cipher.h"

#include "common/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

/* The last counter is reserved by the Noise specification (5.1). */
#define COUNTER_MAX (UINT64_MAX - 1)

void haul_noise_cipher_init(struct haul_noise_cipher *cipher, const struct haul_chacha_poly *fast,
                            const uint8_t key[32])
{
    cipher->counter = 0;
    cipher->fast = fast;
    memcpy(cipher->key, key, sizeof cipher->key);
    if (fast != NULL)
        return;
    if (cipher->context == NULL)
        cipher->context = EVP_CIPHER_CTX_new();
    haul_assert(cipher->context != NULL);
    haul_assert(EVP_CipherInit_ex(cipher->context, EVP_chacha20_poly1305(), NULL, key, NULL, 1) ==
                1);
}

void haul_noise_cipher_fini(struct haul_noise_cipher *cipher)
{
    EVP_CIPHER_CTX_free(cipher->context); /* clears the key */
    OPENSSL_cleanse(cipher, sizeof *cipher);
}

bool haul_noise_cipher_part(struct haul_noise_cipher *cipher, uint64_t messages,
                            struct haul_noise_cipher *part)
{
    if (messages > COUNTER_MAX - cipher->counter)
        return false;
    *part = (struct haul_noise_cipher){ 0 };
    haul_noise_cipher_init(part, cipher->fast, cipher->key);
    part->counter = cipher->counter;
    cipher->counter += messages;
    return true;
}

/* Of this message: four zero bytes and the counter in little-endian order. */
static void nonce_write(const struct haul_noise_cipher *cipher,
                        uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES])
{
    struct haul_out out = haul_out_to(nonce + 4, 8);

    memset(nonce, 0, 4);
    haul_out_le(&out, cipher->counter, 8);
}

static void start(struct haul_noise_cipher *cipher, const uint8_t *clear, size_t clear_bytes,
                  int sealing)
{
    uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES];
    int written;

    nonce_write(cipher, nonce);
    haul_assert(EVP_CipherInit_ex(cipher->context, NULL, NULL, NULL, nonce, sealing) == 1);
    if (clear_bytes > 0)
        haul_assert(EVP_CipherUpdate(cipher->context, NULL, &written, clear, (int)clear_bytes) ==
                    1);
}

static void run(struct haul_noise_cipher *cipher, const uint8_t *from, size_t bytes, uint8_t *to)
{
    int written = 0;

    if (bytes == 0)
        return;
    haul_assert(EVP_CipherUpdate(cipher->context, to, &written, from, (int)bytes) == 1);
    haul_assert((size_t)written == bytes);
}

static void fast_seal(const struct haul_noise_cipher *cipher,
                      const struct haul_chacha_poly_text *text, uint8_t *to)
{
    uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES];

    nonce_write(cipher, nonce);
    cipher->fast->seal(cipher->key, nonce, text, to);
}

static bool fast_open(const struct haul_noise_cipher *cipher,
                      const struct haul_chacha_poly_text *text, uint8_t *to)
{
    uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES];

    nonce_write(cipher, nonce);
    return cipher->fast->open(cipher->key, nonce, text, to);
}

bool haul_noise_cipher_seal(struct haul_noise_cipher *cipher, const uint8_t *clear,
                            size_t clear_bytes, const uint8_t *head, size_t head_bytes,
                            const uint8_t *body, size_t body_bytes, uint8_t *to)
{
    const struct haul_chacha_poly_text text = { clear, clear_bytes, head,
                                                body,  head_bytes,  body_bytes };
    uint8_t *end = to + head_bytes + body_bytes;
    int written = 0;

    if (cipher->counter > COUNTER_MAX - 1)
        return false;
    if (cipher->fast != NULL) {
        fast_seal(cipher, &text, to);
        cipher->counter++;
        return true;
    }
    start(cipher, clear, clear_bytes, 1);
    run(cipher, head, head_bytes, to);
    run(cipher, body, body_bytes, to + head_bytes);
    haul_assert(EVP_CipherFinal_ex(cipher->context, end, &written) == 1);
    haul_assert(EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, HAUL_NOISE_TAG_BYTES,
                                    end) == 1);
    cipher->counter++;
    return true;
}

bool haul_noise_cipher_open(struct haul_noise_cipher *cipher, const uint8_t *clear,
                            size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    uint8_t tag[HAUL_NOISE_TAG_BYTES];
    size_t body;
    int written = 0;

    if (bytes < HAUL_NOISE_TAG_BYTES || cipher->counter > COUNTER_MAX - 1)
        return false;
    body = bytes - HAUL_NOISE_TAG_BYTES;
    if (cipher->fast != NULL) {
        bool good = fast_open(
            cipher, &(struct haul_chacha_poly_text){ clear, clear_bytes, NULL, from, 0, body }, to);

        cipher->counter += good;
        return good;
    }
    memcpy(tag, from + body, sizeof tag);
    start(cipher, clear, clear_bytes, 0);
    haul_assert(EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1);
    run(cipher, from, body, to);
    if (EVP_CipherFinal_ex(cipher->context, tag, &written) != 1)
        return false;
    cipher->counter++;
    return true;
}
