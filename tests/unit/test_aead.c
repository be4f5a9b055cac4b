/* The ciphers of the fast path: published vectors, each implementation the oracle of the other over
 * every length, and every changed byte refused. */
#include "dataplane/aead/tables.h"
#include "tests/unit/unit.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

static const struct haul_aead *const tables[] = {
    &haul_aead_openssl_aes_128_gcm,
    &haul_aead_openssl_chacha20_poly1305,
#ifdef HAUL_HAVE_IPSEC_MB
    &haul_aead_ipsec_mb_aes_128_gcm,
    &haul_aead_ipsec_mb_chacha20_poly1305,
#endif
    &haul_aead_none,
};

#define LARGEST 8192u
#define HEADER  24u

struct bench {
    uint8_t clear[HEADER];
    uint8_t block[LARGEST];
    uint8_t sealed[2][LARGEST + HAUL_AEAD_TAG_BYTES];
    uint8_t opened[LARGEST];
    uint8_t key[32];
    uint8_t nonce[HAUL_AEAD_NONCE_BYTES];
};

static struct bench *bench_new(void)
{
    struct bench *bench = calloc(1, sizeof *bench);

    for (size_t i = 0; i < sizeof bench->block; i++)
        bench->block[i] = (uint8_t)(i * 131 + (i >> 8));
    for (size_t i = 0; i < sizeof bench->key; i++)
        bench->key[i] = (uint8_t)(7 * i + 1);
    for (size_t i = 0; i < sizeof bench->clear; i++)
        bench->clear[i] = (uint8_t)(255 - i);
    return bench;
}

static size_t from_hex(const char *text, uint8_t *data)
{
    size_t bytes = strlen(text) / 2;

    for (size_t i = 0; i < bytes; i++) {
        char pair[3] = { text[2 * i], text[2 * i + 1], 0 };

        data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return bytes;
}

static void check_vector(const struct haul_aead *aead, const char *key_text, const char *nonce_text,
                         const char *clear_text, const char *plain_text, const char *sealed_text)
{
    struct haul_aead_context context = { 0 };
    uint8_t key[32], nonce[16], clear[64], plain[256], expected[256], sealed[256], opened[256];
    size_t clear_bytes = from_hex(clear_text, clear), bytes = from_hex(plain_text, plain);

    from_hex(key_text, key);
    from_hex(nonce_text, nonce);
    CU_ASSERT_EQUAL(from_hex(sealed_text, expected), bytes + HAUL_AEAD_TAG_BYTES);
    aead->key(&context, key);
    aead->seal(&context, nonce, clear, clear_bytes, plain, bytes, sealed);
    CU_ASSERT_EQUAL(memcmp(sealed, expected, bytes + HAUL_AEAD_TAG_BYTES), 0);
    CU_ASSERT_TRUE(aead->open(&context, nonce, clear, clear_bytes, expected, bytes, opened));
    CU_ASSERT_EQUAL(memcmp(opened, plain, bytes), 0);
    aead->wipe(&context);
}

/* Test case 4 of the GCM specification (McGrew and Viega). */
static void aes_128_gcm_matches_the_published_vector(void)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(tables); i++) {
        if (tables[i]->cipher != HAUL_CIPHER_AES_128_GCM)
            continue;
        check_vector(tables[i], "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
                     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
                     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
                     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                     "5bc94fbc3221a5db94fae95ae7121a47");
    }
}

/* RFC 8439 2.8.2. */
static void chacha20_poly1305_matches_the_published_vector(void)
{
    check_vector(&haul_aead_openssl_chacha20_poly1305,
                 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
                 "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
                 "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
                 "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
                 "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
                 "637265656e20776f756c642062652069742e",
                 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                 "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                 "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                 "3ff4def08e4b7a9de576d26586cec64b6116"
                 "1ae10b594f09e26a7e902ecbd0600691");
}

/* Seals with one table and opens with another, with one key each. */
static void check_pair(struct bench *bench, const struct haul_aead *left,
                       const struct haul_aead *right)
{
    struct haul_aead_context contexts[2] = { { .space = { 0 } }, { .space = { 0 } } };
    size_t wrong = 0;

    left->key(&contexts[0], bench->key);
    right->key(&contexts[1], bench->key);
    for (size_t step = 0; step <= 1501; step++) {
        size_t bytes = step <= 1500 ? step : LARGEST;

        memcpy(bench->nonce, &bytes, sizeof bytes);
        left->seal(&contexts[0], bench->nonce, bench->clear, HEADER, bench->block, bytes,
                   bench->sealed[0]);
        right->seal(&contexts[1], bench->nonce, bench->clear, HEADER, bench->block, bytes,
                    bench->sealed[1]);
        wrong += memcmp(bench->sealed[0], bench->sealed[1], bytes + HAUL_AEAD_TAG_BYTES) != 0;
        memset(bench->opened, 0, sizeof bench->opened);
        wrong += !right->open(&contexts[1], bench->nonce, bench->clear, HEADER, bench->sealed[0],
                              bytes, bench->opened);
        wrong += memcmp(bench->opened, bench->block, bytes) != 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    left->wipe(&contexts[0]);
    right->wipe(&contexts[1]);
}

static void implementations_agree_over_every_length(void)
{
    struct bench *bench = bench_new();

    for (size_t i = 0; i < HAUL_COUNT_OF(tables); i++) {
        for (size_t k = 0; k < HAUL_COUNT_OF(tables); k++) {
            if (tables[i]->cipher == tables[k]->cipher)
                check_pair(bench, tables[i], tables[k]);
        }
    }
    free(bench);
}

static void every_changed_byte_is_refused(void)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 64, 1408 };
    struct bench *bench = bench_new();

    for (size_t i = 0; i < HAUL_COUNT_OF(tables); i++) {
        struct haul_aead_context context = { 0 };
        const struct haul_aead *aead = tables[i];
        size_t accepted = 0;

        if (aead->cipher == HAUL_CIPHER_NONE)
            continue;
        aead->key(&context, bench->key);
        for (size_t k = 0; k < HAUL_COUNT_OF(sizes); k++) {
            size_t bytes = sizes[k], all = HEADER + bytes + HAUL_AEAD_TAG_BYTES;

            aead->seal(&context, bench->nonce, bench->clear, HEADER, bench->block, bytes,
                       bench->sealed[0]);
            for (size_t at = 0; at < all; at++) {
                uint8_t *byte = at < HEADER ? &bench->clear[at] : &bench->sealed[0][at - HEADER];

                *byte ^= (uint8_t)(1u << (at % 8));
                accepted += aead->open(&context, bench->nonce, bench->clear, HEADER,
                                       bench->sealed[0], bytes, bench->opened);
                *byte ^= (uint8_t)(1u << (at % 8));
            }
            CU_ASSERT_TRUE(aead->open(&context, bench->nonce, bench->clear, HEADER,
                                      bench->sealed[0], bytes, bench->opened));
        }
        bench->nonce[3] ^= 1;
        accepted += aead->open(&context, bench->nonce, bench->clear, HEADER, bench->sealed[0], 1408,
                               bench->opened);
        bench->nonce[3] ^= 1;
        CU_ASSERT_EQUAL(accepted, 0);
        aead->wipe(&context);
    }
    free(bench);
}

static void sealing_in_place_equals_sealing_apart(void)
{
    struct bench *bench = bench_new();

    for (size_t i = 0; i < HAUL_COUNT_OF(tables); i++) {
        struct haul_aead_context context = { 0 };

        tables[i]->key(&context, bench->key);
        tables[i]->seal(&context, bench->nonce, bench->clear, HEADER, bench->block, 1000,
                        bench->sealed[0]);
        memcpy(bench->sealed[1], bench->block, 1000);
        tables[i]->seal(&context, bench->nonce, bench->clear, HEADER, bench->sealed[1], 1000,
                        bench->sealed[1]);
        CU_ASSERT_EQUAL(memcmp(bench->sealed[0], bench->sealed[1], 1016), 0);
        CU_ASSERT_TRUE(tables[i]->open(&context, bench->nonce, bench->clear, HEADER,
                                       bench->sealed[1], 1000, bench->sealed[1]));
        CU_ASSERT_EQUAL(memcmp(bench->sealed[1], bench->block, 1000), 0);
        tables[i]->wipe(&context);
    }
    free(bench);
}

static void a_context_takes_a_new_key_and_wipes_clean(void)
{
    static const struct haul_aead_context zeroed;
    struct bench *bench = bench_new();

    for (size_t i = 0; i < HAUL_COUNT_OF(tables); i++) {
        struct haul_aead_context context = { 0 }, fresh = { 0 };
        const struct haul_aead *aead = tables[i];

        aead->wipe(&context);
        aead->key(&context, bench->key);
        bench->key[0] ^= 1;
        aead->key(&context, bench->key);
        aead->key(&fresh, bench->key);
        bench->key[0] ^= 1;
        aead->seal(&context, bench->nonce, NULL, 0, bench->block, 100, bench->sealed[0]);
        aead->seal(&fresh, bench->nonce, NULL, 0, bench->block, 100, bench->sealed[1]);
        CU_ASSERT_EQUAL(memcmp(bench->sealed[0], bench->sealed[1], 116), 0);
        aead->wipe(&fresh);
        aead->wipe(&context);
        CU_ASSERT_EQUAL(memcmp(&context, &zeroed, sizeof context), 0);
    }
    free(bench);
}

static void check_derivation(const uint8_t secret[32], const char *label, size_t bytes)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    uint8_t info[64] = { 0, (uint8_t)bytes, (uint8_t)(6 + strlen(label)) };
    char digest[] = "SHA256";
    uint8_t key[32], expected[64], derived[64];
    OSSL_PARAM params[5];

    memcpy(key, secret, sizeof key);
    memcpy(info + 3, "haul1 ", 6);
    memcpy(info + 9, label, strlen(label));
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof key);
    params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + strlen(label));
    params[4] = OSSL_PARAM_construct_end();
    CU_ASSERT_EQUAL(EVP_KDF_derive(context, expected, bytes, params), 1);
    haul_aead_derive(secret, label, derived, bytes);
    CU_ASSERT_EQUAL(memcmp(derived, expected, bytes), 0);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static void derivation_is_hkdf_expand_of_the_label(void)
{
    uint8_t secret[32];

    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 5);
    check_derivation(secret, "key", 16);
    check_derivation(secret, "iv", 12);
    check_derivation(secret, "ku", 32);
    check_derivation(secret, "", 33);
    check_derivation(secret, "a label of thirty-two characters", 64);
}

static void no_cipher_refuses_another_number(void)
{
    struct bench *bench = bench_new();
    struct haul_aead_context context = { 0 };

    haul_aead_none.key(&context, bench->key);
    haul_aead_none.seal(&context, bench->nonce, NULL, 0, bench->block, 64, bench->sealed[0]);
    CU_ASSERT_TRUE(
        haul_aead_none.open(&context, bench->nonce, NULL, 0, bench->sealed[0], 64, bench->opened));
    CU_ASSERT_EQUAL(memcmp(bench->opened, bench->block, 64), 0);
    bench->nonce[0] ^= 1;
    CU_ASSERT_FALSE(
        haul_aead_none.open(&context, bench->nonce, NULL, 0, bench->sealed[0], 64, bench->opened));
    free(bench);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "AES-128-GCM matches the published vector", aes_128_gcm_matches_the_published_vector },
        { "ChaCha20-Poly1305 matches the published vector",
          chacha20_poly1305_matches_the_published_vector },
        { "implementations agree over every length", implementations_agree_over_every_length },
        { "every changed byte is refused", every_changed_byte_is_refused },
        { "sealing in place equals sealing apart", sealing_in_place_equals_sealing_apart },
        { "a context takes a new key and wipes clean", a_context_takes_a_new_key_and_wipes_clean },
        { "derivation is HKDF-Expand of the label", derivation_is_hkdf_expand_of_the_label },
        { "no cipher refuses another number", no_cipher_refuses_another_number },
    };

    return unit_main("aead", tests, HAUL_COUNT_OF(tests));
}
