/* Our identity key and peer ids: the published vectors, both text forms, and what must be refused.
 */
#include "common/bytes.h"
#include "controlplane/p2p/key.h"
#include "controlplane/p2p/peerid.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#define ED_PRIVATE                                                                                 \
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be" \
    "8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
#define ED_PUBLIC "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
#define K1_PUBLIC "08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99"
#define EC_PUBLIC                                                                                  \
    "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004de3d300fa36ae0e8f5d530899d83ab" \
    "ab44abf3161f162a4bc901d8e6ecda020e8b6d5f8da30525e71d6851510c098e5c47c646a597fb4dcec034e9f77c" \
    "409e62"
#define ED_ID     "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define ED_ID_CID "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6"

static void the_published_key_has_the_published_identity(void)
{
    uint8_t private[100], public[36], encoded[HAUL_KEY_PRIVATE_BYTES];
    uint8_t made[HAUL_KEY_PUBLIC_BYTES];
    size_t bytes = unit_hex(ED_PRIVATE, private, sizeof private);
    char text[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_key key, again;

    unit_hex(ED_PUBLIC, public, sizeof public);
    CU_ASSERT_TRUE_FATAL(haul_key_decode(&key, private, bytes));
    haul_key_public(&key, made);
    CU_ASSERT_EQUAL(memcmp(made, public, sizeof public), 0);
    haul_peer_id_print(&key.id, text);
    CU_ASSERT_STRING_EQUAL(text, ED_ID);
    haul_peer_id_print_cid(&key.id, text);
    CU_ASSERT_STRING_EQUAL(text, ED_ID_CID);
    haul_key_encode(&key, encoded);
    CU_ASSERT_EQUAL(memcmp(encoded, private, sizeof encoded), 0);
    haul_key_from_seed(&again, key.seed);
    CU_ASSERT_EQUAL(memcmp(&again, &key, sizeof key), 0);
    haul_key_wipe(&key);
    CU_ASSERT_EQUAL(key.id.length, 0);
}

static void the_legacy_form_is_read_and_a_contradiction_refused(void)
{
    uint8_t private[100];
    struct haul_key key;

    unit_hex(ED_PRIVATE, private, sizeof private);
    memcpy(private + 68, private + 36, 32);
    CU_ASSERT_FALSE(haul_key_decode(&key, private, 100));
    private[3] = 0x60;
    CU_ASSERT_TRUE(haul_key_decode(&key, private, 100));
    private[99] ^= 1;
    CU_ASSERT_FALSE(haul_key_decode(&key, private, 100));
    private[99] ^= 1;
    private[67] ^= 1;
    private[99] ^= 1; /* both agree, and neither belongs to the seed */
    CU_ASSERT_FALSE(haul_key_decode(&key, private, 100));
    for (size_t cut = 0; cut < 100; cut++)
        CU_ASSERT_FALSE(haul_key_decode(&key, private, cut));
}

static void peer_ids_of_all_kinds_print_as_published(void)
{
    static const struct {
        const char *public_key, *text;
    } cases[] = {
        { ED_PUBLIC, ED_ID },
        { K1_PUBLIC, "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY" },
        { "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004bf30511f909414ebdd3242178f"
          "d290f093a551cf75c973155de0bb5a96fedf6cb5d52da7563e794b512f66e60c7f55ba8a3acf3dd72a801980"
          "d205e8a1ad29f2",
          "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE" },
        { "08021220", NULL },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        uint8_t data[128];
        size_t bytes = unit_hex(cases[i].public_key, data, sizeof data);
        char text[HAUL_PEER_ID_TEXT_BYTES];
        struct haul_peer_id id, parsed;

        CU_ASSERT_EQUAL(haul_key_peer_id(data, bytes, &id), cases[i].text != NULL);
        if (cases[i].text == NULL)
            continue;
        haul_peer_id_print(&id, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
        CU_ASSERT_TRUE(haul_peer_id_parse(text, &parsed));
        CU_ASSERT_TRUE(haul_peer_id_equal(&id, &parsed));
        haul_peer_id_print_cid(&id, text);
        CU_ASSERT_TRUE(haul_peer_id_parse(text, &parsed));
        CU_ASSERT_TRUE(haul_peer_id_equal(&id, &parsed));
        for (size_t cut = 0; cut < bytes; cut++)
            CU_ASSERT_FALSE(haul_key_peer_id(data, cut, &id));
    }
}

static void both_texts_of_an_id_are_the_same_id(void)
{
    struct haul_peer_id a, b;

    CU_ASSERT_TRUE(haul_peer_id_parse("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", &a));
    CU_ASSERT_TRUE(
        haul_peer_id_parse("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", &b));
    CU_ASSERT_TRUE(haul_peer_id_equal(&a, &b));
    CU_ASSERT_EQUAL(a.length, 34);
}

static void malformed_ids_are_refused(void)
{
    static const char *const texts[] = {
        "",
        "1",
        "Qm",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pqq",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5",
        "0OIl",
        /* a CID of another codec (raw) is no peer id */
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    };
    uint8_t data[HAUL_PEER_ID_BYTES_MAX + 1] = { 0x00, 41 };
    struct haul_peer_id id;

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        CU_ASSERT_FALSE(haul_peer_id_parse(texts[i], &id));
    CU_ASSERT_FALSE(haul_peer_id_decode(data, 43, &id));
    data[1] = 40;
    CU_ASSERT_TRUE(haul_peer_id_decode(data, 42, &id));
    for (size_t cut = 0; cut < 42; cut++)
        CU_ASSERT_FALSE(haul_peer_id_decode(data, cut, &id));
    data[0] = 0x12;
    CU_ASSERT_FALSE(haul_peer_id_decode(data, 42, &id));
    data[1] = 32;
    CU_ASSERT_TRUE(haul_peer_id_decode(data, 34, &id));
    data[0] = 0x1e;
    CU_ASSERT_FALSE(haul_peer_id_decode(data, 34, &id));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the published key has the published identity",
          the_published_key_has_the_published_identity },
        { "the legacy form is read and a contradiction refused",
          the_legacy_form_is_read_and_a_contradiction_refused },
        { "peer ids of all kinds print as published", peer_ids_of_all_kinds_print_as_published },
        { "both texts of an id are the same id", both_texts_of_an_id_are_the_same_id },
        { "malformed ids are refused", malformed_ids_are_refused },
    };

    return unit_main("key", tests, HAUL_COUNT_OF(tests));
}
