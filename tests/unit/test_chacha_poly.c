/* ChaCha20-Poly1305 by libipsec-mb: the published vector, and OpenSSL as the oracle for every
 * length and cut. Where the library is missing there is nothing to test. */
#include "common/chacha_poly.h"
#include "controlplane/p2p/noise_cipher.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define TAG     HAUL_CHACHA_POLY_TAG_BYTES
#define LONGEST 65519u

/* RFC 8439, 2.8.2. */
static void the_published_vector_is_reproduced(void)
{
    static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                               "only one tip for the future, sunscreen would be it.";
    const struct haul_chacha_poly *fast = haul_chacha_poly_ipsec_mb();
    uint8_t key[32], nonce[12], clear[12], sealed[160], made[160], back[160];
    size_t bytes = sizeof text - 1;
    struct haul_chacha_poly_text sealing = {
        clear, sizeof clear, (const uint8_t *)text, (const uint8_t *)text + 50, 50, bytes - 50
    };
    struct haul_chacha_poly_text opening = {
        .clear = clear, .clear_bytes = sizeof clear, .body = made, .body_bytes = bytes
    };

    if (fast == NULL)
        return;
    for (uint8_t i = 0; i < 32; i++)
        key[i] = (uint8_t)(0x80 + i);
    unit_hex("070000004041424344454647", nonce, sizeof nonce);
    unit_hex("50515253c0c1c2c3c4c5c6c7", clear, sizeof clear);
    CU_ASSERT_EQUAL(
        unit_hex(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca967"
            "1282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58"
            "fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e2"
            "6a7e902ecbd0600691",
            sealed, sizeof sealed),
        bytes + TAG);
    fast->seal(key, nonce, &sealing, made);
    CU_ASSERT_EQUAL(memcmp(made, sealed, bytes + TAG), 0);
    CU_ASSERT_TRUE(fast->open(key, nonce, &opening, back));
    CU_ASSERT_EQUAL(memcmp(back, text, bytes), 0);
    clear[3] ^= 1;
    CU_ASSERT_FALSE(fast->open(key, nonce, &opening, back));
}

/* Seals with one and opens with the other, in place; then a bit of it is turned. */
static void exchange(struct haul_noise_cipher *seal, struct haul_noise_cipher *open, size_t head,
                     size_t body, const uint8_t *from, uint8_t *to)
{
    CU_ASSERT_TRUE(
        haul_noise_cipher_seal(seal, NULL, 0, from, head, head > 0 ? from + head : from, body, to));
    CU_ASSERT_TRUE(haul_noise_cipher_open(open, NULL, 0, to, head + body + TAG, to));
    CU_ASSERT_EQUAL(memcmp(to, from, head + body), 0);
    CU_ASSERT_TRUE(haul_noise_cipher_seal(seal, NULL, 0, from, head, from + head, body, to));
    to[(head + body + TAG) / 2] ^= 4;
    CU_ASSERT_FALSE(haul_noise_cipher_open(open, NULL, 0, to, head + body + TAG, to));
    open->counter++;
}

static void it_and_openssl_open_each_others_messages(void)
{
    static const uint8_t key[32] = { 9, 8, 7 };
    static const size_t lengths[] = { 1023, 1024, 1025, 4096, 16383, 65507, LONGEST - 12 };
    const struct haul_chacha_poly *tables[2] = { NULL, haul_chacha_poly_ipsec_mb() };
    uint8_t *from = malloc(LONGEST), *to = malloc(LONGEST + TAG);

    for (uint32_t i = 0; i < LONGEST; i++)
        from[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t way = 0; way < 2 && tables[1] != NULL; way++) {
        struct haul_noise_cipher seal = { 0 }, open = { 0 };

        haul_noise_cipher_init(&seal, tables[way], key);
        haul_noise_cipher_init(&open, tables[1 - way], key);
        for (size_t bytes = 0; bytes < 700; bytes++)
            exchange(&seal, &open, bytes % 29, bytes, from, to);
        for (size_t i = 0; i < HAUL_COUNT_OF(lengths); i++)
            exchange(&seal, &open, 12, lengths[i], from, to);
        haul_noise_cipher_fini(&seal);
        haul_noise_cipher_fini(&open);
    }
    free(from);
    free(to);
}

static void what_is_chosen_is_what_this_build_has(void)
{
    const struct haul_chacha_poly *fast = haul_chacha_poly_fast();

    CU_ASSERT_TRUE(fast == NULL || fast == haul_chacha_poly_ipsec_mb());
    CU_ASSERT_PTR_EQUAL(fast, haul_chacha_poly_fast());
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the published vector is reproduced", the_published_vector_is_reproduced },
        { "it and OpenSSL open each other's messages", it_and_openssl_open_each_others_messages },
        { "what is chosen is what this build has", what_is_chosen_is_what_this_build_has },
    };

    return unit_main("chacha-poly", tests, HAUL_COUNT_OF(tests));
}
