/* The Port Control Protocol, byte by byte. */
#include "controlplane/p2p/nat/pcp.h"

#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

static const struct haul_pcp_map some = {
    .nonce = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 },
    .tcp = true,
    .inside = 4501,
    .outside = { .family = 4, .ip = { 8, 70, 0, 1 }, .port = 5501 },
    .seconds = 3600,
};

/* Written by hand from the figures of RFC 6887, sections 7.1, 7.2 and 11.1. */
static const char *const request4 = "020100000000"
                                    "0e10"
                                    "00000000000000000000ffff0a000002"
                                    "0102030405060708090a0b0c"
                                    "06000000"
                                    "1195157d"
                                    "00000000000000000000ffff08460001";
static const char *const answer4 = "028100000000"
                                   "0e10"
                                   "00000007"
                                   "000000000000000000000000"
                                   "0102030405060708090a0b0c"
                                   "06000000"
                                   "1195157d"
                                   "00000000000000000000ffff08460001";

static void a_request_is_what_the_specification_says(void)
{
    const struct haul_addr client = { .family = 4, .ip = { 10, 0, 0, 2 } };
    struct haul_pcp_map hole = some;
    struct haul_addr client6;
    uint8_t data[64], expected[64];
    struct haul_out out = haul_out_to(data, sizeof data);
    size_t bytes = unit_hex(request4, expected, sizeof expected);

    haul_pcp_write_map(&out, &client, &some);
    CU_ASSERT_FALSE(out.bad);
    CU_ASSERT_EQUAL_FATAL((size_t)(out.at - data), bytes);
    CU_ASSERT_EQUAL(bytes, HAUL_PCP_MAP_BYTES);
    CU_ASSERT_EQUAL(memcmp(data, expected, bytes), 0);
    /* A hole in a firewall: both addresses are the same. */
    CU_ASSERT_TRUE_FATAL(haul_addr_parse("[2a00:70::2]:4501", &client6));
    hole.outside = client6;
    hole.tcp = false;
    out = haul_out_to(data, sizeof data);
    haul_pcp_write_map(&out, &client6, &hole);
    CU_ASSERT_EQUAL((size_t)(out.at - data), HAUL_PCP_MAP_BYTES);
    CU_ASSERT_EQUAL(memcmp(data + 8, data + 44, 16), 0);
    CU_ASSERT_EQUAL(data[36], 17);
    out = haul_out_to(data, HAUL_PCP_MAP_BYTES - 1);
    haul_pcp_write_map(&out, &client6, &hole);
    CU_ASSERT_TRUE(out.bad);
}

static void an_answer_is_read_and_every_prefix_refused(void)
{
    uint8_t data[128] = { 0 };
    size_t bytes = unit_hex(answer4, data, sizeof data);
    struct haul_pcp_answer answer;

    CU_ASSERT_TRUE_FATAL(haul_pcp_decode(data, bytes, &answer));
    CU_ASSERT_EQUAL(answer.result, HAUL_PCP_SUCCESS);
    CU_ASSERT_EQUAL(answer.epoch, 7);
    CU_ASSERT_EQUAL(answer.map.seconds, 3600);
    CU_ASSERT_TRUE(answer.map.tcp);
    CU_ASSERT_EQUAL(answer.map.inside, 4501);
    CU_ASSERT_TRUE(haul_addr_equal(&answer.map.outside, &some.outside));
    CU_ASSERT_EQUAL(memcmp(answer.map.nonce, some.nonce, sizeof some.nonce), 0);
    for (size_t i = 0; i < bytes; i++)
        CU_ASSERT_FALSE(haul_pcp_decode(data, i, &answer));
    /* Options may follow; they come in fours. */
    CU_ASSERT_TRUE(haul_pcp_decode(data, bytes + 8, &answer));
    CU_ASSERT_FALSE(haul_pcp_decode(data, bytes + 7, &answer));
}

static void refusals_are_told_from_another_version(void)
{
    uint8_t data[64], other[8];
    size_t bytes = unit_hex(answer4, data, sizeof data);
    struct haul_pcp_answer answer;

    for (unsigned result = 1; result <= 13; result++) {
        data[3] = (uint8_t)result;
        CU_ASSERT_TRUE(haul_pcp_decode(data, bytes, &answer));
        CU_ASSERT_EQUAL(answer.result,
                        result == 1 ? HAUL_PCP_UNSUPPORTED_VERSION : HAUL_PCP_REFUSED);
    }
    data[3] = 14;
    CU_ASSERT_FALSE(haul_pcp_decode(data, bytes, &answer));
    /* A gateway that speaks NAT-PMP alone, and one that says so for every opcode. */
    CU_ASSERT_EQUAL(unit_hex("0081000100000001", other, sizeof other), 8);
    CU_ASSERT_TRUE(haul_pcp_decode(other, 8, &answer));
    CU_ASSERT_EQUAL(answer.result, HAUL_PCP_UNSUPPORTED_VERSION);
    other[1] = 0x80;
    CU_ASSERT_TRUE(haul_pcp_decode(other, 8, &answer));
    CU_ASSERT_FALSE(haul_pcp_decode(other, 7, &answer));
}

static void what_is_no_answer_to_map_is_refused(void)
{
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {
        { 0, 1 },    /* version 1 was never one */
        { 1, 0x01 }, /* a question */
        { 1, 0x82 }, /* PEER */
        { 36, 0 },   /* all protocols */
        { 36, 132 }, /* SCTP */
    };
    struct haul_pcp_answer answer;

    for (size_t i = 0; i < HAUL_COUNT_OF(wrong); i++) {
        uint8_t data[64];
        size_t bytes = unit_hex(answer4, data, sizeof data);

        data[wrong[i].at] = wrong[i].value;
        CU_ASSERT_FALSE(haul_pcp_decode(data, bytes, &answer));
    }
}

static void an_announcement_tells_the_epoch_and_nothing_else_is_one(void)
{
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = { { 0, 0 }, { 0, 1 }, { 1, 0x00 }, { 1, 0x81 }, { 3, 1 }, { 3, 8 } };
    static const char *const told = "0280000000000000"
                                    "01020304"
                                    "000000000000000000000000";
    uint8_t data[32] = { 0 };
    size_t bytes = unit_hex(told, data, sizeof data);
    uint32_t epoch = 5;

    CU_ASSERT_TRUE(haul_pcp_announce_decode(data, bytes, &epoch));
    CU_ASSERT_EQUAL(epoch, 0x01020304);
    CU_ASSERT_TRUE(haul_pcp_announce_decode(data, bytes + 4, &epoch)); /* with an option */
    CU_ASSERT_FALSE(haul_pcp_announce_decode(data, bytes + 3, &epoch));
    for (size_t i = 0; i < bytes; i++)
        CU_ASSERT_FALSE(haul_pcp_announce_decode(data, i, &epoch));
    for (size_t i = 0; i < HAUL_COUNT_OF(wrong); i++) {
        (void)unit_hex(told, data, sizeof data);
        data[wrong[i].at] = wrong[i].value;
        CU_ASSERT_FALSE(haul_pcp_announce_decode(data, bytes, &epoch));
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a request is what the specification says", a_request_is_what_the_specification_says },
        { "an answer is read, and every prefix refused",
          an_answer_is_read_and_every_prefix_refused },
        { "refusals are told from another version", refusals_are_told_from_another_version },
        { "what is no answer to MAP is refused", what_is_no_answer_to_map_is_refused },
        { "an announcement tells the epoch, and nothing else is one",
          an_announcement_tells_the_epoch_and_nothing_else_is_one },
    };

    return unit_main("pcp", tests, HAUL_COUNT_OF(tests));
}
