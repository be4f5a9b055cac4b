/* IPNS records: what is written reads back, and every rule of theirs is kept. */
#include "controlplane/p2p/kad/ipns.h"

#include "controlplane/p2p/fields.h"
#include "tests/unit/unit.h"

#define YEAR_2033 (UINT64_C(2000000000) * 1000000000)

static struct haul_key key;
static uint8_t record[HAUL_IPNS_BYTES_MAX + 64];
static size_t record_bytes;

static void record_make(uint64_t sequence, uint64_t ends)
{
    const uint8_t seed[32] = { 1 };
    struct haul_out out = haul_out_to(record, sizeof record);

    haul_key_from_seed(&key, seed);
    haul_ipns_write(&key, "/ipfs/bafkqaaa", 14, sequence, ends, &out);
    CU_ASSERT_FALSE_FATAL(out.bad);
    record_bytes = (size_t)(out.at - record);
}

static enum haul_ipns_fault read_it(struct haul_ipns *ipns)
{
    return haul_ipns_read(&key.id, record, record_bytes, ipns);
}

static void what_is_written_reads_back(void)
{
    static const uint64_t numbers[] = { 0, 23, 24, 255, 256, 65535, 65536, UINT32_MAX, UINT64_MAX };
    struct haul_ipns ipns;

    for (size_t i = 0; i < HAUL_COUNT_OF(numbers); i++) {
        record_make(numbers[i], YEAR_2033 + 7);
        CU_ASSERT_EQUAL_FATAL(read_it(&ipns), HAUL_IPNS_GOOD);
        CU_ASSERT_EQUAL(ipns.sequence, numbers[i]);
        CU_ASSERT_EQUAL(ipns.ends, YEAR_2033 + 7);
        CU_ASSERT_EQUAL(ipns.value_bytes, 14);
        CU_ASSERT_EQUAL(memcmp(ipns.value, "/ipfs/bafkqaaa", 14), 0);
    }
}

static void every_prefix_and_every_changed_byte_is_refused(void)
{
    struct haul_ipns ipns;
    size_t whole;

    record_make(5, YEAR_2033);
    whole = record_bytes;
    for (record_bytes = 0; record_bytes < whole; record_bytes++)
        CU_ASSERT_NOT_EQUAL(read_it(&ipns), HAUL_IPNS_GOOD);
    for (size_t i = 0; i < whole; i++) {
        record[i] ^= 1;
        CU_ASSERT_NOT_EQUAL(read_it(&ipns), HAUL_IPNS_GOOD);
        record[i] ^= 1;
    }
    CU_ASSERT_EQUAL(read_it(&ipns), HAUL_IPNS_GOOD);
}

static void a_record_of_another_key_is_refused(void)
{
    const uint8_t seed[32] = { 2 };
    uint8_t public_key[HAUL_KEY_PUBLIC_BYTES];
    struct haul_ipns ipns;
    struct haul_key other;
    struct haul_out out;

    record_make(5, YEAR_2033);
    haul_key_from_seed(&other, seed);
    CU_ASSERT_EQUAL(haul_ipns_read(&other.id, record, record_bytes, &ipns), HAUL_IPNS_FORGED);
    /* With its key inside, the key is looked at first, and may be the name's own. */
    haul_key_public(&key, public_key);
    out = haul_out_to(record + record_bytes, sizeof record - record_bytes);
    haul_field_write_bytes(&out, 7, public_key, sizeof public_key);
    record_bytes = (size_t)(out.at - record);
    CU_ASSERT_EQUAL(haul_ipns_read(&other.id, record, record_bytes, &ipns), HAUL_IPNS_STRANGER);
    CU_ASSERT_EQUAL(read_it(&ipns), HAUL_IPNS_GOOD);
}

static void what_version_1_says_is_the_same_or_refused(void)
{
    static const struct {
        uint64_t sequence;
        const char *value, *until;
        bool good;
    } cases[] = {
        { 5, "/ipfs/bafkqaaa", "2033-05-18T03:33:20.000000000Z", true },
        { 6, "/ipfs/bafkqaaa", "2033-05-18T03:33:20.000000000Z", false },
        { 5, "/ipfs/bafkqaab", "2033-05-18T03:33:20.000000000Z", false },
        { 5, "/ipfs/bafkqaaa", "2034-05-18T03:33:20.000000000Z", false },
        { 5, "/ipfs/bafkqaaa", "", false },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_ipns ipns;
        struct haul_out out;

        record_make(5, YEAR_2033);
        out = haul_out_to(record + record_bytes, sizeof record - record_bytes);
        haul_field_write_bytes(&out, 1, cases[i].value, strlen(cases[i].value));
        haul_field_write_value(&out, 5, cases[i].sequence);
        if (cases[i].until[0] != '\0')
            haul_field_write_bytes(&out, 4, cases[i].until, strlen(cases[i].until));
        record_bytes = (size_t)(out.at - record);
        CU_ASSERT_EQUAL(read_it(&ipns) == HAUL_IPNS_GOOD, cases[i].good);
    }
}

/* The frame around data that somebody wrote by hand, which the key has signed. */
static enum haul_ipns_fault data_read(const char *data, size_t bytes, struct haul_ipns *ipns)
{
    uint8_t text[512], signature[HAUL_KEY_SIGNATURE_BYTES];
    struct haul_out out = haul_out_to(record, sizeof record);

    memcpy(text, "ipns-signature:", 15);
    memcpy(text + 15, data, bytes);
    haul_key_sign(&key, text, 15 + bytes, signature);
    haul_field_write_bytes(&out, 8, signature, sizeof signature);
    haul_field_write_bytes(&out, 9, data, bytes);
    record_bytes = (size_t)(out.at - record);
    return read_it(ipns);
}

#define VALUE    "\x65Value\x41x"
#define SEQUENCE "\x68Sequence\x07"
#define VALIDITY                                                                                   \
    "\x68Validity\x54"                                                                             \
    "2033-05-18T03:33:20Z"
#define KIND "\x6cValidityType\x00"
#define TTL  "\x63TTL\x19\x0e\x10"

static void signed_data_is_read_by_its_rules(void)
{
#define DATA(text) text, sizeof text - 1
    static const struct {
        const char *data;
        size_t bytes;
        bool good;
    } cases[] = {
        { DATA("\xa5" TTL VALUE SEQUENCE VALIDITY KIND), true },
        { DATA("\xa4" KIND VALIDITY SEQUENCE VALUE), true }, /* in any order, without TTL */
        { DATA("\xa5" VALUE SEQUENCE VALIDITY KIND
               "\x63_me\xa2\x61x\x83\xf5\xf6\x20\x61y\xd8\x2a\x41z"),
          true }, /* more than ours, of any kind */
        { DATA("\xa5" VALUE SEQUENCE VALIDITY KIND "\x62_f\xfb\x3f\xf8\0\0\0\0\0\0"), true },
        { DATA("\xa3" VALUE SEQUENCE VALIDITY), false },
        { DATA("\xa3" VALUE SEQUENCE KIND), false },
        { DATA("\xa3" VALUE VALIDITY KIND), false },
        { DATA("\xa3" SEQUENCE VALIDITY KIND), false },
        { DATA("\xa5" VALUE VALUE SEQUENCE VALIDITY KIND), false },
        { DATA("\xa4" VALUE SEQUENCE VALIDITY KIND "x"), false },
        { DATA("\xa5" VALUE SEQUENCE VALIDITY KIND), false },
        { DATA("\x84" VALUE SEQUENCE VALIDITY KIND), false },
        { DATA("\xbf" VALUE SEQUENCE VALIDITY KIND "\xff"), false }, /* no definite length */
        { DATA("\xb8\x04" VALUE SEQUENCE VALIDITY KIND), false },    /* not the shortest form */
        { DATA("\xa4"
               "\x65Value\x61x" SEQUENCE VALIDITY KIND),
          false },                                                      /* a text */
        { DATA("\xa4" VALUE "\x68Sequence\x20" VALIDITY KIND), false }, /* below zero */
        { DATA("\xa4" VALUE SEQUENCE VALIDITY "\x6cValidityType\x01"), false },
        { DATA("\xa4" VALUE SEQUENCE "\x68Validity\x44"
               "2033" KIND),
          false },
        { DATA("\xa5" VALUE SEQUENCE VALIDITY KIND "\x61x\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
          false },
        { DATA("\xbb\xff\xff\xff\xff\xff\xff\xff\xff" VALUE SEQUENCE VALIDITY KIND), false },
        { DATA("\xa4"
               "\x65Value\x5b\xff\xff\xff\xff\xff\xff\xff\xff" SEQUENCE VALIDITY KIND),
          false },
    };
    struct haul_ipns ipns;

    record_make(0, YEAR_2033);
    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_EQUAL(data_read(cases[i].data, cases[i].bytes, &ipns) == HAUL_IPNS_GOOD,
                        cases[i].good);
    CU_ASSERT_EQUAL(data_read(cases[0].data, cases[0].bytes, &ipns), HAUL_IPNS_GOOD);
    CU_ASSERT_EQUAL(ipns.sequence, 7);
    CU_ASSERT_EQUAL(ipns.ends, YEAR_2033);
}

static void a_record_beyond_10_kib_is_refused(void)
{
    static const uint8_t filler[HAUL_IPNS_BYTES_MAX];
    struct haul_ipns ipns;
    struct haul_out out;

    record_make(5, YEAR_2033);
    out = haul_out_to(record + record_bytes, sizeof record - record_bytes);
    haul_field_write_bytes(&out, 99, filler, HAUL_IPNS_BYTES_MAX - record_bytes - 4);
    record_bytes = (size_t)(out.at - record);
    CU_ASSERT_EQUAL(record_bytes, HAUL_IPNS_BYTES_MAX);
    CU_ASSERT_EQUAL(read_it(&ipns), HAUL_IPNS_GOOD);
    haul_field_write_value(&out, 98, 0);
    record_bytes = (size_t)(out.at - record);
    CU_ASSERT_EQUAL(read_it(&ipns), HAUL_IPNS_MALFORMED);
}

static void times_are_read_as_they_are_written(void)
{
    static const struct {
        const char *text;
        uint64_t seconds;
        bool good;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0, true },
        { "2000-02-29T23:59:59Z", 951868799, true },
        { "2026-11-21T20:15:00+01:30", 1795286700, true },
        { "2026-11-21T20:15:00-00:00", 1795292100, true },
        { "2499-12-31T23:59:59.999999999Z", 16725225599, true },
        { "2500-01-01T00:00:00Z", 0, false },
        { "1969-12-31T23:59:59Z", 0, false },
        { "1970-01-01T00:00:00+00:01", 0, false },
        { "2023-02-29T00:00:00Z", 0, false },
        { "2100-02-29T00:00:00Z", 0, false },
        { "2026-13-01T00:00:00Z", 0, false },
        { "2026-00-01T00:00:00Z", 0, false },
        { "2026-01-00T00:00:00Z", 0, false },
        { "2026-01-01T24:00:00Z", 0, false },
        { "2026-01-01T00:60:00Z", 0, false },
        { "2026-01-01T00:00:60Z", 0, false },
        { "2026-01-01T00:00:00.Z", 0, false },
        { "2026-01-01T00:00:00.1234567890Z", 0, false },
        { "2026-01-01 00:00:00Z", 0, false },
        { "2026-01-01T00:00:00", 0, false },
        { "2026-01-01T00:00:00ZZ", 0, false },
        { "2026-01-01T00:00:00+24:00", 0, false },
        { "", 0, false },
    };
    char text[HAUL_IPNS_TIME_BYTES];
    uint64_t time;

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        bool good =
            haul_ipns_time_read((const uint8_t *)cases[i].text, strlen(cases[i].text), &time);

        CU_ASSERT_EQUAL(good, cases[i].good);
        if (good)
            CU_ASSERT_EQUAL(time / 1000000000, cases[i].seconds);
    }
    for (uint64_t day = 0; day < 530 * 365; day += 13) {
        uint64_t at = (day * 86400 + day % 86400) * 1000000000 + day;

        haul_ipns_time_write(at, text);
        CU_ASSERT_TRUE(haul_ipns_time_read((const uint8_t *)text, sizeof text, &time));
        CU_ASSERT_EQUAL(time, at);
    }
}

static const struct unit_test tests[] = {
    { "what is written reads back", what_is_written_reads_back },
    { "every prefix and every changed byte is refused",
      every_prefix_and_every_changed_byte_is_refused },
    { "a record of another key is refused", a_record_of_another_key_is_refused },
    { "what version 1 says is the same, or refused", what_version_1_says_is_the_same_or_refused },
    { "signed data is read by its rules", signed_data_is_read_by_its_rules },
    { "a record beyond 10 KiB is refused", a_record_beyond_10_kib_is_refused },
    { "times are read as they are written", times_are_read_as_they_are_written },
};

int main(void)
{
    return unit_main("ipns", tests, HAUL_COUNT_OF(tests));
}
