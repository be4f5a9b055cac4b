/* Sums against the plainest loop, and the headers that carry them against foreign frames. */
#include "dataplane/ethernet/checksum.h"

#include "common/rng.h"
#include "dataplane/ethernet/header.h"
#include "tests/unit/ethernet_vectors.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <string.h>

#define PAYLOAD "sealed!"

/* RFC 1071 section 4.1, word by word. */
static uint16_t sum_plainly(const uint8_t *data, size_t bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum += i % 2 == 0 ? (uint64_t)data[i] << 8 : data[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static void the_example_of_the_rfc_sums_to_ddf2(void)
{
    static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

    CU_ASSERT_EQUAL(haul_checksum_fold(haul_checksum_add(0, data, 8)), 0xf2dd); /* as in memory */
}

static void every_length_and_alignment_sums_as_word_by_word(void)
{
    static uint8_t data[9200];
    struct haul_rng rng;

    haul_rng_init(&rng, 1);
    for (unsigned fill = 0; fill < 2; fill++) {
        if (fill == 0)
            memset(data, 0xff, sizeof data);
        else
            haul_rng_fill(&rng, data, sizeof data);
        for (size_t bytes = 0; bytes < 9100; bytes += bytes < 300 ? 1 : 61) {
            size_t skew = bytes % 17;
            uint16_t sum = haul_checksum_fold(haul_checksum_add(0, data + skew, bytes));
            uint16_t parts = haul_checksum_fold(
                haul_checksum_add(haul_checksum_add(0, data + skew, bytes / 4 * 2),
                                  data + skew + bytes / 4 * 2, bytes - bytes / 4 * 2));

            if (__builtin_bswap16(sum) != sum_plainly(data + skew, bytes) || parts != sum)
                CU_FAIL("a sum is wrong");
        }
    }
}

static void a_full_sum_comes_round(void)
{
    static const uint8_t one[2] = { 1, 0 };

    CU_ASSERT_EQUAL(haul_checksum_fold(haul_checksum_add(UINT64_MAX, one, 2)), 1);
}

static size_t written(uint8_t *frame, uint8_t family, uint16_t vlan, unsigned sums,
                      struct haul_ether_header *header)
{
    static const uint8_t macs[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
    static const uint8_t ips4[2][16] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 } };
    static const uint8_t ips6[2][16] = { { 0xfd, [15] = 1 }, { 0xfd, [15] = 2 } };
    struct haul_ether_ends ends = {
        .source_mac = macs[0],
        .target_mac = macs[1],
        .source_ip = family == 4 ? ips4[0] : ips6[0],
        .target_ip = family == 4 ? ips4[1] : ips6[1],
        .family = family,
        .vlan = vlan,
        .source_port = 4501,
        .target_port = 4501,
        .mtu = 1500,
    };

    haul_ether_header_init(header, &ends);
    memcpy(frame + header->length, PAYLOAD, 7);
    haul_ether_header_write(header, frame, 7, 2, sums);
    return header->length + 7u;
}

static void compare(const char *vector, uint8_t family, uint16_t vlan)
{
    struct haul_ether_header header;
    uint8_t frame[128], expected[128];
    size_t bytes = unit_hex(vector, expected, sizeof expected);

    CU_ASSERT_EQUAL(written(frame, family, vlan, 0, &header), bytes);
    CU_ASSERT_EQUAL(memcmp(frame, expected, bytes), 0);
    CU_ASSERT_EQUAL(header.length, bytes - 7);
    CU_ASSERT_EQUAL(header.payload_max, family == 4 ? 1472 : 1452);
}

static void headers_are_written_as_others_write_them(void)
{
    compare(vector_udp4, 4, 0);
    compare(vector_udp4_vlan, 4, 7);
    compare(vector_udp6, 6, 0);
}

static void a_card_gets_the_sum_of_the_pseudo_header(void)
{
    for (uint8_t family = 4; family <= 6; family = (uint8_t)(family + 2)) {
        struct haul_ether_header header;
        uint8_t frame[128], whole[128];
        uint16_t partial, segment, check;
        uint64_t sum;

        written(whole, family, 0, 0, &header);
        written(frame, family, 0, HAUL_ETHER_SUM_UDP_CARD | HAUL_ETHER_SUM_IP_CARD, &header);
        memcpy(&partial, frame + header.udp_at + 6, 2);
        if (family == 4)
            CU_ASSERT_EQUAL(haul_be16(frame + header.ip_at + 10), 0);
        /* What a card does: it sums from the UDP header on, the field included, and inverts. */
        sum = haul_checksum_add(0, frame + header.udp_at, 15);
        check = (uint16_t)~haul_checksum_fold(sum);
        CU_ASSERT_EQUAL(memcmp(&check, whole + header.udp_at + 6, 2), 0);
        written(frame, family, 0, HAUL_ETHER_SUM_UDP_CARD | HAUL_ETHER_SUM_SEGMENT, &header);
        memcpy(&segment, frame + header.udp_at + 6, 2);
        CU_ASSERT_EQUAL(haul_checksum_fold(haul_checksum_add_be16(segment, 15)), partial);
    }
}

static void ipv4_alone_goes_without_a_sum(void)
{
    struct haul_ether_header header;
    uint8_t frame[128];

    written(frame, 4, 0, HAUL_ETHER_SUM_UDP_NONE, &header);
    CU_ASSERT_EQUAL(haul_be16(frame + header.udp_at + 6), 0);
    CU_ASSERT_NOT_EQUAL(haul_be16(frame + header.ip_at + 10), 0);
    written(frame, 6, 0, HAUL_ETHER_SUM_UDP_NONE, &header);
    CU_ASSERT_NOT_EQUAL(haul_be16(frame + header.udp_at + 6), 0);
}

/* Zero says "no checksum": a sum of zero is sent as ones (RFC 768). */
static void a_sum_of_zero_is_sent_as_ones(void)
{
    struct haul_ether_header header;
    uint8_t frame[128];
    uint16_t check;

    written(frame, 6, 0, 0, &header);
    memcpy(&check, frame + header.udp_at + 6, 2);
    /* What is in the field now, in the payload instead, makes the sum zero. */
    memset(frame + header.length, 0, 8);
    haul_ether_header_write(&header, frame, 8, 0, 0);
    memcpy(frame + header.length, frame + header.udp_at + 6, 2);
    haul_ether_header_write(&header, frame, 8, 0, 0);
    CU_ASSERT_EQUAL(haul_be16(frame + header.udp_at + 6), 0xffff);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the example of the RFC sums to ddf2", the_example_of_the_rfc_sums_to_ddf2 },
        { "every length and alignment sums as word by word does",
          every_length_and_alignment_sums_as_word_by_word },
        { "a full sum comes round", a_full_sum_comes_round },
        { "headers are written as others write them", headers_are_written_as_others_write_them },
        { "a card gets the sum of the pseudo header", a_card_gets_the_sum_of_the_pseudo_header },
        { "IPv4 alone goes without a sum", ipv4_alone_goes_without_a_sum },
        { "a sum of zero is sent as ones", a_sum_of_zero_is_sent_as_ones },
    };

    return unit_main("checksum", tests, HAUL_COUNT_OF(tests));
}
