/* CIDs in every spelling that is understood, and what must be refused. */
#include "common/cid.h"
#include "common/multibase.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <string.h>

/* The empty raw leaf and the empty UnixFS directory under sha2-256: known to every IPFS tool. */
static const char raw_empty[] = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
static const char directory_empty[] = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354";
static const char directory_empty_v0[] = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";

static void known_cids_parse_and_print(void)
{
    struct haul_cid cid, old;
    struct haul_hash hash;
    char text[HAUL_CID_TEXT_BYTES];

    haul_hash_of(HAUL_HASH_SHA2_256, "", 0, &hash);
    CU_ASSERT_TRUE_FATAL(haul_cid_parse(raw_empty, &cid));
    CU_ASSERT_EQUAL(cid.codec, HAUL_CODEC_RAW);
    CU_ASSERT_TRUE(haul_hash_equal(&cid.hash, &hash));
    haul_cid_print(&cid, text);
    CU_ASSERT_STRING_EQUAL(text, raw_empty);

    CU_ASSERT_TRUE_FATAL(haul_cid_parse(directory_empty, &cid));
    CU_ASSERT_TRUE_FATAL(haul_cid_parse(directory_empty_v0, &old));
    CU_ASSERT_TRUE(haul_cid_equal(&cid, &old));
    haul_cid_print(&old, text);
    CU_ASSERT_STRING_EQUAL(text, directory_empty);
}

static void every_base_names_the_same_cid(void)
{
    static const char bases[] = "fbkzuFBK";
    uint8_t data[HAUL_CID_BYTES];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_cid cid = { .codec = HAUL_CODEC_DAG_PB };

    haul_hash_of(HAUL_HASH_BLAKE3, "haul", 4, &cid.hash);
    haul_cid_encode(&out, &cid);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_EQUAL(out.at, out.end);
    for (const char *base = bases; *base != 0; base++) {
        char text[128];
        struct haul_cid back;

        CU_ASSERT_TRUE_FATAL(
            haul_multibase_encode((char)tolower(*base), data, sizeof data, text, sizeof text) > 0);
        for (char *at = text; isupper(*base) && *at != 0; at++)
            *at = (char)toupper(*at);
        CU_ASSERT_TRUE(haul_cid_parse(text, &back));
        CU_ASSERT_TRUE(haul_cid_equal(&cid, &back));
    }
}

static void every_prefix_and_every_longer_form_is_refused(void)
{
    uint8_t data[HAUL_CID_BYTES + 1] = { 0 };
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_cid cid = { .codec = HAUL_CODEC_RAW }, back;

    haul_hash_of(HAUL_HASH_SHA2_256, "x", 1, &cid.hash);
    haul_cid_encode(&out, &cid);
    for (size_t cut = 0; cut <= sizeof data; cut++)
        CU_ASSERT_EQUAL(haul_cid_decode(data, cut, &back), cut == HAUL_CID_BYTES);
    /* As CIDv0: the multihash alone. */
    for (size_t cut = 0; cut < HAUL_HASH_BYTES; cut++)
        CU_ASSERT_FALSE(haul_cid_decode(data + 2, cut, &back));
    CU_ASSERT_TRUE(haul_cid_decode(data + 2, HAUL_HASH_BYTES, &back));
    CU_ASSERT_EQUAL(back.codec, HAUL_CODEC_DAG_PB);
}

static void other_versions_codecs_and_hashes_are_refused(void)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = { { 0, 2 }, { 0, 0 }, { 1, 0x71 }, { 1, 0x72 }, { 2, 0x13 }, { 3, 31 } };
    uint8_t data[HAUL_CID_BYTES];
    struct haul_cid cid = { .codec = HAUL_CODEC_RAW }, back;

    haul_hash_of(HAUL_HASH_SHA2_256, "x", 1, &cid.hash);
    for (size_t i = 0; i < HAUL_COUNT_OF(changes); i++) {
        struct haul_out out = haul_out_to(data, sizeof data);

        haul_cid_encode(&out, &cid);
        data[changes[i].at] = changes[i].value;
        CU_ASSERT_FALSE(haul_cid_decode(data, sizeof data, &back));
    }
    /* A CIDv0 with another hash than sha2-256 does not exist. */
    data[2] = HAUL_HASH_BLAKE3;
    data[3] = 32;
    CU_ASSERT_FALSE(haul_cid_decode(data + 2, HAUL_HASH_BYTES, &back));
}

static void other_text_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "b",
        "Qm",
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0",
        "zQmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", /* a CIDv0 has no prefix */
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku ",
        " bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        "/ipfs/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    };
    char longest[300];
    struct haul_cid cid;

    for (size_t i = 0; i < HAUL_COUNT_OF(texts); i++)
        CU_ASSERT_FALSE(haul_cid_parse(texts[i], &cid));
    memset(longest, 'a', sizeof longest);
    longest[0] = 'b';
    longest[sizeof longest - 1] = 0;
    CU_ASSERT_FALSE(haul_cid_parse(longest, &cid));
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "known CIDs parse and print", known_cids_parse_and_print },
        { "every base names the same CID", every_base_names_the_same_cid },
        { "every prefix and every longer form is refused",
          every_prefix_and_every_longer_form_is_refused },
        { "other versions, codecs and hashes are refused",
          other_versions_codecs_and_hashes_are_refused },
        { "other text is refused", other_text_is_refused },
    };

    return unit_main("cid", tests, HAUL_COUNT_OF(tests));
}
