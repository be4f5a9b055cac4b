/* Sealing, opening and key generations. */
#include "dataplane/flow/seal.h"

#include "dataplane/aead/tables.h"
#include "tests/unit/toy_aead.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t secret[32] = { 1, 2, 3 };

static bool carries(struct haul_seal *seal, struct haul_open *open, uint64_t number, haul_time now)
{
    struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL, .receiver = 5, .number = number };
    uint8_t datagram[HAUL_WIRE_OVERHEAD + 100];
    uint8_t text[100];
    uint8_t back[100] = { 0 };

    memset(text, (int)number, sizeof text);
    haul_seal_datagram(seal, &head, text, sizeof text, datagram);
    return haul_wire_head_read(datagram, sizeof datagram, &head) &&
           haul_open_datagram(open, &head, datagram, sizeof datagram, back, now) &&
           memcmp(text, back, sizeof text) == 0;
}

static void a_sealed_datagram_opens_and_a_changed_one_does_not(void)
{
    static const struct haul_aead *const tables[] = { &toy_aead, &haul_aead_openssl_aes_128_gcm,
                                                      &haul_aead_openssl_chacha20_poly1305 };

    for (size_t i = 0; i < HAUL_COUNT_OF(tables); i++) {
        struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL, .number = 1ull << 40 };
        uint8_t datagram[HAUL_WIRE_OVERHEAD + 64];
        uint8_t back[64];
        struct haul_seal seal;
        struct haul_open open;

        haul_seal_init(&seal, tables[i], secret, 0);
        haul_open_init(&open, tables[i], secret, 0);
        memset(datagram, 7, sizeof datagram);
        haul_seal_datagram(&seal, &head, datagram + HAUL_WIRE_HEAD_BYTES, 64, datagram);
        CU_ASSERT_TRUE(haul_open_datagram(&open, &head, datagram, sizeof datagram, back, 0));
        CU_ASSERT_EQUAL(back[0], 7);
        CU_ASSERT_EQUAL(back[63], 7);
        for (size_t at = 0; at < sizeof datagram; at++) {
            datagram[at] ^= 1;
            CU_ASSERT_FALSE(haul_open_datagram(&open, &head, datagram, sizeof datagram, back, 0));
            datagram[at] ^= 1;
        }
        head.number++;
        CU_ASSERT_FALSE(haul_open_datagram(&open, &head, datagram, sizeof datagram, back, 0));
        haul_seal_fini(&seal);
        haul_open_fini(&open);
    }
}

static void new_keys_come_by_count_and_by_time_once_the_peer_knows_the_old_ones(void)
{
    struct haul_seal seal;

    haul_seal_init(&seal, &toy_aead, secret, 0);
    CU_ASSERT_FALSE(haul_seal_renew(&seal, 10, 61 * HAUL_SECOND));
    haul_seal_confirm(&seal, 9);
    CU_ASSERT_FALSE(haul_seal_renew(&seal, 10, 59 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_seal_renew(&seal, 10, 61 * HAUL_SECOND));
    haul_seal_confirm(&seal, 9); /* a number of the generation before */
    CU_ASSERT_FALSE(haul_seal_renew(&seal, 20, 200 * HAUL_SECOND));
    haul_seal_confirm(&seal, 10);
    seal.since = 200 * HAUL_SECOND;
    seal.sealed = HAUL_SEAL_DATAGRAMS_MAX - 1;
    CU_ASSERT_FALSE(haul_seal_renew(&seal, 20, 200 * HAUL_SECOND));
    seal.sealed = HAUL_SEAL_DATAGRAMS_MAX;
    CU_ASSERT_TRUE(haul_seal_renew(&seal, 20, 200 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seal.generation, 2);
    CU_ASSERT_FALSE(haul_seal_spent(&seal));
    seal.sealed = HAUL_SEAL_HARD_MAX;
    CU_ASSERT_TRUE(haul_seal_spent(&seal));
    haul_seal_fini(&seal);
}

static void the_receiver_follows_many_generations_and_keeps_the_one_before(void)
{
    struct haul_seal seal;
    struct haul_seal late;
    struct haul_open open;
    haul_time now = 0;

    haul_seal_init(&seal, &haul_aead_openssl_aes_128_gcm, secret, 0);
    haul_seal_init(&late, &haul_aead_openssl_aes_128_gcm, secret, 0);
    haul_open_init(&open, &haul_aead_openssl_aes_128_gcm, secret, 0);
    for (uint64_t number = 1; number < 40; number++) {
        now += HAUL_SEAL_SPAN_MAX;
        haul_seal_confirm(&seal, number);
        CU_ASSERT_TRUE(haul_seal_renew(&seal, number, now));
        CU_ASSERT_TRUE(carries(&seal, &open, number, now));
        CU_ASSERT_EQUAL(open.generation, number);
        CU_ASSERT_TRUE(carries(&late, &open, 1000 + number, now + HAUL_OPEN_KEEP_SPAN));
        CU_ASSERT_FALSE(carries(&late, &open, 1000 + number, now + HAUL_OPEN_KEEP_SPAN + 1));
        CU_ASSERT_TRUE(carries(&seal, &open, number, now));
        haul_seal_confirm(&late, 2000 + number);
        CU_ASSERT_TRUE(haul_seal_renew(&late, number, now));
        CU_ASSERT_EQUAL(open.generation, number);
    }
    haul_seal_fini(&seal);
    haul_seal_fini(&late);
    haul_open_fini(&open);
}

static void two_generations_ahead_does_not_open(void)
{
    struct haul_seal seal;
    struct haul_open open;

    haul_seal_init(&seal, &toy_aead, secret, 0);
    haul_open_init(&open, &toy_aead, secret, 0);
    for (uint64_t i = 1; i <= 2; i++) {
        haul_seal_confirm(&seal, i);
        haul_seal_renew(&seal, i, i * HAUL_SEAL_SPAN_MAX);
    }
    CU_ASSERT_FALSE(carries(&seal, &open, 3, 0));
    CU_ASSERT_EQUAL(open.generation, 0);
    haul_seal_fini(&seal);
    haul_open_fini(&open);
}

static void from_hex(const char *text, uint8_t *to, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char digits[3] = { text[2 * i], text[2 * i + 1], 0 };

        to[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

static void the_example_of_the_specification_holds(void)
{
    static const char *const asker =
        "9ed916dec1620ad178b9d505e5ae79bea7454e5033c8d38f1879fd184e0f9345";
    static const char *const datagram = "280000000d0c0b0a02010000000000000000000000000000"
                                        "00969674c231de5cb9b04c38bb0b0761364323";
    struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL,
                                   .receiver = 0x0a0b0c0d,
                                   .number = 258 };
    static const uint8_t ping[] = { 1, 0, 0 };
    uint8_t traffic[32];
    uint8_t expected[HAUL_WIRE_OVERHEAD + sizeof ping];
    uint8_t sealed[sizeof expected];
    struct haul_seal seal;

    from_hex(asker, traffic, sizeof traffic);
    from_hex(datagram, expected, sizeof expected);
    haul_seal_init(&seal, &haul_aead_openssl_aes_128_gcm, traffic, 0);
    haul_seal_datagram(&seal, &head, ping, sizeof ping, sealed);
    CU_ASSERT_EQUAL(memcmp(sealed, expected, sizeof expected), 0);
    haul_seal_fini(&seal);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a sealed datagram opens and a changed one does not",
          a_sealed_datagram_opens_and_a_changed_one_does_not },
        { "new keys come by count and by time once the peer knows the old ones",
          new_keys_come_by_count_and_by_time_once_the_peer_knows_the_old_ones },
        { "the receiver follows many generations and keeps the one before",
          the_receiver_follows_many_generations_and_keeps_the_one_before },
        { "two generations ahead does not open", two_generations_ahead_does_not_open },
        { "the example of the specification holds", the_example_of_the_specification_holds },
    };

    return unit_main("seal", tests, HAUL_COUNT_OF(tests));
}
