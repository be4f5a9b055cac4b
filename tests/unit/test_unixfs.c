/* Names, dag-pb, UnixFS messages and the HAMT's hash: round trips, every prefix, hostile input. */
#include "controlplane/content/dagpb.h"
#include "controlplane/content/hamt.h"
#include "controlplane/content/name.h"
#include "controlplane/content/unixfs.h"
#include "tests/unit/unit.h"

#include <string.h>

static void hostile_names_are_refused(void)
{
    static const struct {
        const char *name;
        size_t bytes;
    } cases[] = {
        { "", 0 },
        { ".", 1 },
        { "..", 2 },
        { "/", 1 },
        { "a/b", 3 },
        { "/etc", 4 },
        { "a\0b", 3 },
        { "\0", 1 },
        { "\x80", 1 },
        { "\xc0\xaf", 2 },         /* '/' in two bytes */
        { "\xc1\x81", 2 },         /* overlong */
        { "\xe0\x80\xaf", 3 },     /* '/' in three bytes */
        { "\xed\xa0\x80", 3 },     /* a surrogate */
        { "\xf0\x80\x80\xaf", 4 }, /* '/' in four bytes */
        { "\xf4\x90\x80\x80", 4 }, /* beyond U+10FFFF */
        { "\xf5\x80\x80\x80", 4 },
        { "\xff", 1 },
        { "a\xc3", 2 }, /* cut */
        { "\xe2\x82", 2 },
        { "\xe2\x28\xa1", 3 },
    };
    char longest[HAUL_NAME_BYTES_MAX + 1];

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_FALSE(haul_name_allowed(cases[i].name, cases[i].bytes));
    memset(longest, 'a', sizeof longest);
    CU_ASSERT_TRUE(haul_name_allowed(longest, sizeof longest - 1));
    CU_ASSERT_FALSE(haul_name_allowed(longest, sizeof longest));
}

static void ordinary_names_are_allowed(void)
{
    static const char *const names[] = { "a",
                                         "...",
                                         ".a",
                                         "..a",
                                         " ",
                                         "\\",
                                         "a b",
                                         "-rf",
                                         "日本語",
                                         "\x7f\n",
                                         "😀",
                                         "é",
                                         "\xf4\x8f\xbf\xbf" };

    for (size_t i = 0; i < HAUL_COUNT_OF(names); i++)
        CU_ASSERT_TRUE(haul_name_allowed(names[i], strlen(names[i])));
}

static void names_are_printed_without_harm(void)
{
    char text[HAUL_NAME_TEXT_BYTES], longest[300];

    haul_name_print("a\x1b[2J\n\"\\\xc3", 9, text);
    CU_ASSERT_STRING_EQUAL(text, "a\\x1b[2J\\x0a\"\\x5c\\xc3");
    memset(longest, 1, sizeof longest);
    haul_name_print(longest, sizeof longest, text);
    CU_ASSERT_TRUE(strlen(text) < sizeof text);
    CU_ASSERT_STRING_EQUAL(text + strlen(text) - 3, "...");
}

static struct haul_cid cid_of(const char *text)
{
    struct haul_cid cid = { .codec = HAUL_CODEC_RAW };

    haul_hash_of(HAUL_HASH_BLAKE3, text, strlen(text), &cid.hash);
    return cid;
}

static void nodes_round_trip_and_every_prefix_fails(void)
{
    static const char *const names[] = { "", "a", "b" };
    uint8_t data[512];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_dagpb node;
    struct haul_dagpb_link link;
    size_t bytes, sum = haul_dagpb_data_bytes(4);

    for (size_t i = 0; i < HAUL_COUNT_OF(names); i++) {
        link = (struct haul_dagpb_link){
            .cid = cid_of(names[i]),
            .name = names[i],
            .name_bytes = strlen(names[i]),
            .tsize = 1000 * i,
        };
        haul_dagpb_put_link(&out, &link);
        sum += haul_dagpb_link_bytes(&link);
    }
    haul_dagpb_put_data(&out, (const uint8_t *)"data", 4);
    CU_ASSERT_FALSE_FATAL(out.bad);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_EQUAL(bytes, sum);
    CU_ASSERT_TRUE_FATAL(haul_dagpb_decode(data, bytes, &node));
    CU_ASSERT_EQUAL(node.link_count, 3);
    CU_ASSERT_EQUAL(node.data_bytes, 4);
    for (size_t i = 0; i < HAUL_COUNT_OF(names); i++) {
        struct haul_cid cid = cid_of(names[i]);

        CU_ASSERT_TRUE(haul_dagpb_next(&node, &link));
        CU_ASSERT_TRUE(haul_cid_equal(&link.cid, &cid));
        CU_ASSERT_EQUAL(link.name_bytes, strlen(names[i]));
        CU_ASSERT_EQUAL(memcmp(link.name, names[i], link.name_bytes), 0);
        CU_ASSERT_EQUAL(link.tsize, 1000 * i);
    }
    CU_ASSERT_FALSE(haul_dagpb_next(&node, &link));
    /* A prefix is a node of its own only where a link ends. */
    for (size_t cut = 1; cut < bytes; cut++) {
        if (haul_dagpb_decode(data, cut, &node))
            CU_ASSERT_TRUE(node.data == NULL && node.link_count <= 3 && cut <= bytes - 6);
    }
}

static void other_forms_of_nodes_are_refused(void)
{
    uint8_t data[256], changed[256];
    struct haul_out out = haul_out_to(data, sizeof data);
    struct haul_dagpb_link link = { .cid = cid_of("a"), .name = "name", .name_bytes = 4 };
    struct haul_dagpb node;
    size_t bytes;

    haul_dagpb_put_link(&out, &link);
    bytes = (size_t)(out.at - data);
    CU_ASSERT_TRUE(haul_dagpb_decode(data, bytes, &node));
    CU_ASSERT_TRUE(haul_dagpb_decode(data, 0, &node)); /* the empty node */
    /* Data, links, data: twice, and around. */
    out = haul_out_to(changed, sizeof changed);
    haul_dagpb_put_data(&out, data, 2);
    haul_dagpb_put_link(&out, &link);
    CU_ASSERT_TRUE(haul_dagpb_decode(changed, (size_t)(out.at - changed), &node));
    haul_dagpb_put_data(&out, data, 2);
    CU_ASSERT_FALSE(haul_dagpb_decode(changed, (size_t)(out.at - changed), &node));
    /* A link between data and data, an unknown field behind. */
    out = haul_out_to(changed, sizeof changed);
    haul_dagpb_put_link(&out, &link);
    haul_out_be(&out, 0x1801, 2);
    CU_ASSERT_FALSE(haul_dagpb_decode(changed, (size_t)(out.at - changed), &node));
    /* Every other value of every byte of the link's frame: refused, or still one link. */
    for (size_t at = 0; at < bytes; at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(changed, data, bytes);
            changed[at] = (uint8_t)value;
            if (haul_dagpb_decode(changed, bytes, &node))
                CU_ASSERT_TRUE(node.link_count <= 1);
        }
    }
}

static const struct haul_unixfs samples[] = {
    { .type = HAUL_UNIXFS_DIRECTORY },
    { .type = HAUL_UNIXFS_RAW,
      .data = (const uint8_t *)"abc",
      .data_bytes = 3,
      .has_filesize = true,
      .filesize = 3 },
    { .type = HAUL_UNIXFS_FILE,
      .has_filesize = true,
      .filesize = (uint64_t)1 << 40,
      .meta = { .has_mode = true, .mode = 0600 } },
    { .type = HAUL_UNIXFS_SHARD,
      .data = (const uint8_t *)"\1",
      .data_bytes = 1,
      .hash_type = 0x22,
      .fanout = 256 },
    { .type = HAUL_UNIXFS_SYMLINK,
      .data = (const uint8_t *)"..",
      .data_bytes = 2,
      .meta = { .has_mtime = true, .seconds = -1, .nanoseconds = 999999999 } },
    { .type = HAUL_UNIXFS_FILE,
      .has_filesize = true,
      .meta = { .has_mode = true, .mode = 0755, .has_mtime = true, .seconds = INT64_MIN } },
};

static void messages_round_trip_and_no_prefix_says_the_same(void)
{
    static const uint64_t sizes[] = { 1, 300, (uint64_t)1 << 40 };

    for (size_t i = 0; i < HAUL_COUNT_OF(samples); i++) {
        uint8_t data[128], again[128];
        struct haul_out out = haul_out_to(data, sizeof data), back;
        struct haul_unixfs unixfs, prefix;
        size_t bytes;

        haul_unixfs_encode(&out, &samples[i], sizes, (uint32_t)(i % 4));
        CU_ASSERT_FALSE_FATAL(out.bad);
        bytes = (size_t)(out.at - data);
        CU_ASSERT_TRUE_FATAL(haul_unixfs_decode(data, bytes, &unixfs));
        CU_ASSERT_EQUAL(unixfs.type, samples[i].type);
        CU_ASSERT_EQUAL(unixfs.filesize, samples[i].filesize);
        CU_ASSERT_EQUAL(unixfs.meta.seconds, samples[i].meta.seconds);
        CU_ASSERT_EQUAL(unixfs.meta.nanoseconds, samples[i].meta.nanoseconds);
        CU_ASSERT_EQUAL(unixfs.meta.mode, samples[i].meta.mode);
        CU_ASSERT_EQUAL(unixfs.block_count, i % 4);
        for (size_t n = 0; n < i % 4; n++)
            CU_ASSERT_EQUAL(haul_unixfs_next_block(&unixfs), sizes[n]);
        CU_ASSERT_EQUAL(haul_unixfs_next_block(&unixfs), 0);
        back = haul_out_to(again, sizeof again);
        haul_unixfs_encode(&back, &unixfs, sizes, (uint32_t)(i % 4));
        CU_ASSERT_EQUAL((size_t)(back.at - again), bytes);
        CU_ASSERT_EQUAL(memcmp(data, again, bytes), 0);
        CU_ASSERT_FALSE(haul_unixfs_decode(data, 0, &prefix));
        CU_ASSERT_FALSE(haul_unixfs_decode(data, 1, &prefix));
        data[bytes] = 0x08; /* the type once more */
        CU_ASSERT_FALSE(haul_unixfs_decode(data, bytes + 1, &prefix));
    }
}

static void malformed_messages_are_refused(void)
{
    static const struct {
        const char *data;
        size_t bytes;
    } cases[] = {
        { "\x08\x06", 2 },     /* a type beyond the table */
        { "\x18\x00", 2 },     /* no type */
        { "\x08\x82\x00", 3 }, /* a padded type */
        { "\x08\x02\x12\x05"   /* data beyond the end */
          "abc",
          7 },
        { "\x08\x02\x18\x01\x18\x01", 6 },                      /* two sizes */
        { "\x08\x02\x20\x01\x18\x01", 6 },                      /* out of order */
        { "\x08\x02\x42\x00", 4 },                              /* a time without seconds */
        { "\x08\x02\x42\x07\x08\x01\x15\x00\xca\x9a\x3b", 11 }, /* a whole second of them */
        { "\x08\x02\x42\x05\x08\x01", 6 },                      /* a time beyond the end */
        { "\x08\x02\x42\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 15 }, /* 65 bits */
        { "\x08\x02\x4a\x00", 4 }, /* an unknown field */
    };
    struct haul_unixfs unixfs;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_FALSE(
            haul_unixfs_decode((const uint8_t *)cases[i].data, cases[i].bytes, &unixfs));
}

static void a_mode_never_carries_more_than_permissions(void)
{
    static const uint8_t setuid[] = { 0x08, 0x02, 0x38, 0xed, 0x93, 0x02 }; /* 0104755 */
    struct haul_unixfs unixfs;

    CU_ASSERT_TRUE_FATAL(haul_unixfs_decode(setuid, sizeof setuid, &unixfs));
    CU_ASSERT_EQUAL(unixfs.meta.mode, 0755);
}

static void names_hash_as_the_reference_implementations_do(void)
{
    /* The first half of @multiformats/murmur3 2.x `murmur3128`. */
    static const struct {
        const char *name;
        uint64_t hash;
    } cases[] = {
        { "", 0 },
        { "a", 0x85555565f6597889 },
        { "entry-0", 0x87b6801324e5a58b },
        { "0123456789abcdef", 0x4be06d94cf4ad1a7 },
        { "0123456789abcdefg", 0x8e32612daa45f9de },
        { "日本語日本語日本語", 0xe521ff88b114a697 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_EQUAL(haul_hamt_hash(cases[i].name, strlen(cases[i].name)), cases[i].hash);
    CU_ASSERT_EQUAL(haul_hamt_index(0x0102030405060708, 0), 1);
    CU_ASSERT_EQUAL(haul_hamt_index(0x0102030405060708, 7), 8);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "hostile names are refused", hostile_names_are_refused },
        { "ordinary names are allowed", ordinary_names_are_allowed },
        { "names are printed without harm", names_are_printed_without_harm },
        { "nodes round-trip and every prefix fails", nodes_round_trip_and_every_prefix_fails },
        { "other forms of nodes are refused", other_forms_of_nodes_are_refused },
        { "messages round-trip and no prefix says the same",
          messages_round_trip_and_no_prefix_says_the_same },
        { "malformed messages are refused", malformed_messages_are_refused },
        { "a mode never carries more than permissions",
          a_mode_never_carries_more_than_permissions },
        { "names hash as the reference implementations do",
          names_hash_as_the_reference_implementations_do },
    };

    return unit_main("unixfs", tests, HAUL_COUNT_OF(tests));
}
