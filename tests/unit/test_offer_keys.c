/* The keys of a flow: a fixed vector that WIRE.md prints, both sides alike, and nothing that
 * differs in a single byte. */
#include "controlplane/grants/offer_keys.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <string.h>

static const char offer_bytes[] = "the offer";
static const char grant_bytes[] = "the grant";

struct pair {
    struct haul_key keys[2]; /* asker, granter */
    uint8_t secret[2][32], public[2][32];
    struct haul_offer_transcript transcript;
    uint8_t hash[32];
};

static void pair_init(struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        uint8_t seed[32];

        memset(seed, (int)i + 1, sizeof seed);
        haul_key_from_seed(&pair->keys[i], seed);
        memset(pair->secret[i], (int)i + 3, 32);
        haul_kex_public(pair->secret[i], pair->public[i]);
    }
    pair->transcript = (struct haul_offer_transcript){
        .offer = (const uint8_t *)offer_bytes,
        .offer_bytes = sizeof offer_bytes - 1,
        .grant = (const uint8_t *)grant_bytes,
        .grant_bytes = sizeof grant_bytes - 1,
        .asker = &pair->keys[0].id,
        .granter = &pair->keys[1].id,
        .asker_receiver_id = 0x01020304,
        .granter_receiver_id = 0x0a0b0c0d,
        .cipher = HAUL_CIPHER_AES_128_GCM,
    };
    haul_offer_transcript_hash(&pair->transcript, pair->hash);
}

static bool is_hex(const uint8_t *data, size_t bytes, const char *hex)
{
    uint8_t expected[64];

    return unit_hex(hex, expected, sizeof expected) == bytes && memcmp(data, expected, bytes) == 0;
}

static void the_vector_of_the_specification_holds(void)
{
    uint8_t seal[32], open[32], signature[64];
    struct pair pair;

    pair_init(&pair);
    CU_ASSERT_TRUE(
        is_hex(pair.hash, 32, "3584a2700957b8fea4628ceb45c80ffd71020c7c9411dc65a00ff7ce44efa0e6"));
    CU_ASSERT_TRUE(haul_offer_secrets(pair.secret[0], pair.public[1], pair.hash, true, seal, open));
    CU_ASSERT_TRUE(
        is_hex(seal, 32, "9ed916dec1620ad178b9d505e5ae79bea7454e5033c8d38f1879fd184e0f9345"));
    CU_ASSERT_TRUE(
        is_hex(open, 32, "729454b616cf87d881dcca54e1b35fc181451ab5c55d2af1e9e784c42c3939d1"));
    haul_offer_sign(&pair.keys[0], true, pair.hash, signature);
    CU_ASSERT_TRUE(is_hex(signature, 64,
                          "abcc73689dcd4131f9a30ffbd1a4bd8c3c6b57e8322482ffe125d981b8eab29f"
                          "69268f36d49cea8ccf32bd78b075828c10cb9ca7cb62677e2dba278b48db8900"));
}

static void both_sides_make_the_same_two_secrets(void)
{
    uint8_t seal[2][32], open[2][32];
    struct pair pair;

    pair_init(&pair);
    for (size_t i = 0; i < 2; i++)
        CU_ASSERT_TRUE(haul_offer_secrets(pair.secret[i], pair.public[1 - i], pair.hash, i == 0,
                                          seal[i], open[i]));
    CU_ASSERT_EQUAL(memcmp(seal[0], open[1], 32), 0);
    CU_ASSERT_EQUAL(memcmp(seal[1], open[0], 32), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(seal[0], seal[1], 32), 0);
}

static void every_part_of_the_transcript_counts(void)
{
    for (unsigned i = 0; i < 9; i++) {
        uint8_t hash[32], seal[2][32], open[2][32];
        struct pair pair;
        struct haul_offer_transcript *t = &pair.transcript;

        pair_init(&pair);
        if (i == 0)
            t->offer = (const uint8_t *)"the 0ffer";
        else if (i == 1)
            t->grant = (const uint8_t *)"the grunt";
        else if (i == 2)
            t->offer_bytes--;
        else if (i == 3)
            t->grant_bytes--;
        else if (i == 4)
            t->asker = &pair.keys[1].id;
        else if (i == 5)
            t->granter = &pair.keys[0].id;
        else if (i == 6)
            t->asker_receiver_id++;
        else if (i == 7)
            t->granter_receiver_id++;
        else
            t->cipher++;
        haul_offer_transcript_hash(t, hash);
        CU_ASSERT_NOT_EQUAL(memcmp(hash, pair.hash, 32), 0);
        CU_ASSERT_TRUE(
            haul_offer_secrets(pair.secret[0], pair.public[1], hash, true, seal[0], open[0]));
        CU_ASSERT_TRUE(
            haul_offer_secrets(pair.secret[1], pair.public[0], pair.hash, false, seal[1], open[1]));
        CU_ASSERT_NOT_EQUAL(memcmp(seal[0], open[1], 32), 0);
    }
}

static void bytes_cannot_move_between_offer_and_grant(void)
{
    uint8_t hash[32];
    struct pair pair;

    pair_init(&pair);
    pair.transcript.offer = (const uint8_t *)"the offert";
    pair.transcript.offer_bytes++;
    pair.transcript.grant = (const uint8_t *)"he grant";
    pair.transcript.grant_bytes--;
    haul_offer_transcript_hash(&pair.transcript, hash);
    CU_ASSERT_NOT_EQUAL(memcmp(hash, pair.hash, 32), 0);
}

static void a_signature_holds_for_its_role_key_and_hash_alone(void)
{
    uint8_t signature[64];
    struct haul_peer_id hashed = { .length = 34, .bytes = { 0x12, 0x20 } };
    struct pair pair;

    pair_init(&pair);
    haul_offer_sign(&pair.keys[0], true, pair.hash, signature);
    CU_ASSERT_TRUE(haul_offer_verify(&pair.keys[0].id, true, pair.hash, signature));
    CU_ASSERT_FALSE(haul_offer_verify(&pair.keys[0].id, false, pair.hash, signature));
    CU_ASSERT_FALSE(haul_offer_verify(&pair.keys[1].id, true, pair.hash, signature));
    CU_ASSERT_FALSE(haul_offer_verify(&hashed, true, pair.hash, signature));
    pair.hash[31] ^= 1;
    CU_ASSERT_FALSE(haul_offer_verify(&pair.keys[0].id, true, pair.hash, signature));
    pair.hash[31] ^= 1;
    signature[0] ^= 1;
    CU_ASSERT_FALSE(haul_offer_verify(&pair.keys[0].id, true, pair.hash, signature));
}

static void a_point_of_small_order_gives_no_keys(void)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t point[32], seal[32] = { 5 }, open[32] = { 6 };
    struct pair pair;

    pair_init(&pair);
    for (size_t i = 0; i < HAUL_COUNT_OF(points); i++) {
        unit_hex(points[i], point, sizeof point);
        CU_ASSERT_FALSE(haul_offer_secrets(pair.secret[0], point, pair.hash, true, seal, open));
        CU_ASSERT_TRUE(seal[0] == 5 && open[0] == 6);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the vector of the specification holds", the_vector_of_the_specification_holds },
        { "both sides make the same two secrets", both_sides_make_the_same_two_secrets },
        { "every part of the transcript counts", every_part_of_the_transcript_counts },
        { "bytes cannot move between offer and grant", bytes_cannot_move_between_offer_and_grant },
        { "a signature holds for its role, key and hash alone",
          a_signature_holds_for_its_role_key_and_hash_alone },
        { "a point of small order gives no keys", a_point_of_small_order_gives_no_keys },
    };

    return unit_main("offer_keys", tests, HAUL_COUNT_OF(tests));
}
