/* Frames read down to what IP carries: foreign ones, their every prefix, and their damaged forms.
 */
#include "dataplane/ethernet/packet.h"

#include "tests/unit/ethernet_vectors.h"
#include "tests/unit/hex.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static enum haul_ether_drop read_hex(const char *text, uint16_t vlan, struct haul_packet *packet,
                                     uint8_t *frame)
{
    size_t bytes = unit_hex(text, frame, 512);

    return haul_packet_read(frame, bytes, vlan, -1, false, packet);
}

static enum haul_ether_drop drop_of(const char *text)
{
    struct haul_packet packet;
    uint8_t frame[512];

    return read_hex(text, 0, &packet, frame);
}

static void what_ip_carries_is_found(void)
{
    struct haul_packet packet;
    uint8_t frame[512];

    CU_ASSERT_EQUAL(read_hex(vector_udp4, 0, &packet, frame), HAUL_ETHER_NO_DROP);
    CU_ASSERT_EQUAL(packet.protocol, HAUL_IP_UDP);
    CU_ASSERT_EQUAL(packet.ecn, 2);
    CU_ASSERT_PTR_EQUAL(packet.body, frame + 34);
    CU_ASSERT_EQUAL(packet.body_bytes, 15);
    CU_ASSERT_FALSE(packet.group);
    CU_ASSERT_EQUAL(read_hex(vector_udp6, 0, &packet, frame), HAUL_ETHER_NO_DROP);
    CU_ASSERT_EQUAL(packet.ecn, 2);
    CU_ASSERT_PTR_EQUAL(packet.body, frame + 54);
    CU_ASSERT_EQUAL(packet.body_bytes, 15);
    CU_ASSERT_EQUAL(read_hex(vector_arp_ask, 0, &packet, frame), HAUL_ETHER_NO_DROP);
    CU_ASSERT_TRUE(packet.group);
    CU_ASSERT_EQUAL(packet.body_bytes, 28);
}

/* In memory of exactly its size, so that the sanitizers see a byte too far. */
static void every_prefix_is_refused(void)
{
    static const char *vectors[] = { vector_udp4,     vector_udp4_vlan, vector_udp6,
                                     vector_udp6_ext, vector_echo4,     vector_ns };

    for (size_t i = 0; i < HAUL_COUNT_OF(vectors); i++) {
        uint8_t frame[512];
        size_t whole = unit_hex(vectors[i], frame, sizeof frame);
        uint16_t vlan = vectors[i] == vector_udp4_vlan ? 7 : 0;

        for (size_t bytes = 0; bytes <= whole; bytes++) {
            struct haul_packet packet;
            uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
            enum haul_ether_drop drop;

            CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
            memcpy(copy, frame, bytes);
            drop = haul_packet_read(copy, bytes, vlan, -1, false, &packet);
            free(copy);
            CU_ASSERT_EQUAL(drop, bytes < whole ? HAUL_ETHER_DROP_rx_short : HAUL_ETHER_NO_DROP);
        }
    }
}

static void the_padding_of_short_frames_is_left_out(void)
{
    struct haul_packet packet;
    uint8_t frame[64] = { 0 };

    unit_hex(vector_udp4, frame, sizeof frame);
    CU_ASSERT_EQUAL(haul_packet_read(frame, 60, 0, -1, false, &packet), HAUL_ETHER_NO_DROP);
    CU_ASSERT_EQUAL(packet.body_bytes, 15);
}

static void one_configured_tag_is_taken_and_no_other(void)
{
    struct haul_packet packet;
    uint8_t frame[512];
    size_t bytes = unit_hex(vector_udp4_vlan, frame, sizeof frame);
    uint8_t plain[512];
    size_t plain_bytes = unit_hex(vector_udp4, plain, sizeof plain);

    CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 7, -1, false, &packet), HAUL_ETHER_NO_DROP);
    CU_ASSERT_PTR_EQUAL(packet.body, frame + 38);
    CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 0, -1, false, &packet),
                    HAUL_ETHER_DROP_rx_vlan_other);
    CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 8, -1, false, &packet),
                    HAUL_ETHER_DROP_rx_vlan_other);
    CU_ASSERT_EQUAL(haul_packet_read(plain, plain_bytes, 7, -1, false, &packet),
                    HAUL_ETHER_DROP_rx_vlan_other);
    /* A priority tag names no VLAN. */
    frame[15] = 0;
    frame[14] = 0xe0;
    CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 0, -1, false, &packet), HAUL_ETHER_NO_DROP);
    /* A tag that the card took off counts as one; with another it is a stack. */
    CU_ASSERT_EQUAL(haul_packet_read(plain, plain_bytes, 7, 0x6007, false, &packet),
                    HAUL_ETHER_NO_DROP);
    CU_ASSERT_EQUAL(haul_packet_read(plain, plain_bytes, 7, 8, false, &packet),
                    HAUL_ETHER_DROP_rx_vlan_other);
    CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 0, 7, false, &packet),
                    HAUL_ETHER_DROP_rx_vlan_stack);
}

static void stacks_of_tags_are_refused(void)
{
    static const uint16_t types[] = { 0x8100, 0x88a8, 0x9100 };
    struct haul_packet packet;
    uint8_t frame[512];
    size_t bytes = unit_hex(vector_udp4_vlan, frame, sizeof frame);

    for (size_t i = 0; i < HAUL_COUNT_OF(types); i++) {
        frame[16] = (uint8_t)(types[i] >> 8);
        frame[17] = (uint8_t)types[i];
        CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 7, -1, false, &packet),
                        HAUL_ETHER_DROP_rx_vlan_stack);
    }
    frame[12] = 0x88;
    frame[13] = 0xa8;
    CU_ASSERT_EQUAL(haul_packet_read(frame, bytes, 7, -1, false, &packet),
                    HAUL_ETHER_DROP_rx_vlan_stack);
}

static void options_and_fragments_are_refused(void)
{
    CU_ASSERT_EQUAL(drop_of(vector_udp4_opts), HAUL_ETHER_DROP_rx_ip_options);
    CU_ASSERT_EQUAL(drop_of(vector_udp4_frag), HAUL_ETHER_DROP_rx_fragment);
    CU_ASSERT_EQUAL(drop_of(vector_udp6_frag), HAUL_ETHER_DROP_rx_fragment);
    CU_ASSERT_EQUAL(drop_of(vector_udp6_routing), HAUL_ETHER_DROP_rx_ipv6_extension);
    CU_ASSERT_EQUAL(drop_of(vector_udp6_opt_refuse), HAUL_ETHER_DROP_rx_ipv6_extension);
}

static void extension_headers_that_may_be_ignored_are_skipped(void)
{
    struct haul_packet packet;
    uint8_t frame[512];

    CU_ASSERT_EQUAL(read_hex(vector_udp6_ext, 0, &packet, frame), HAUL_ETHER_NO_DROP);
    CU_ASSERT_TRUE(packet.extensions);
    CU_ASSERT_EQUAL(packet.protocol, HAUL_IP_UDP);
    CU_ASSERT_PTR_EQUAL(packet.body, frame + 70);
    CU_ASSERT_EQUAL(packet.body_bytes, 15);
}

/* An IPv6 packet of `count` destination options of eight bytes each. */
static enum haul_ether_drop with_extensions(size_t count)
{
    static const uint8_t option[8] = { 60, 0, 1, 4, 0, 0, 0, 0 };
    struct haul_packet packet;
    uint8_t frame[1024];
    uint8_t udp[15];
    size_t at = 54;

    unit_hex(vector_udp6, frame, sizeof frame);
    memcpy(udp, frame + 54, sizeof udp);
    frame[20] = 60;
    for (size_t i = 0; i < count; i++, at += 8)
        memcpy(frame + at, option, 8);
    frame[at - 8] = HAUL_IP_UDP;
    memcpy(frame + at, udp, sizeof udp);
    at += sizeof udp;
    frame[19] = (uint8_t)(at - 54);
    return haul_packet_read(frame, at, 0, -1, false, &packet);
}

static void a_chain_of_extension_headers_has_an_end(void)
{
    CU_ASSERT_EQUAL(with_extensions(4), HAUL_ETHER_NO_DROP);
    CU_ASSERT_EQUAL(with_extensions(5), HAUL_ETHER_DROP_rx_ipv6_extension);
    CU_ASSERT_EQUAL(with_extensions(20), HAUL_ETHER_DROP_rx_ipv6_extension);
}

/* Sets a byte of a vector and says what is made of it. */
static enum haul_ether_drop changed(const char *text, size_t at, uint8_t value, bool ip_checked)
{
    struct haul_packet packet;
    uint8_t frame[512];
    size_t bytes = unit_hex(text, frame, sizeof frame);

    frame[at] = value;
    return haul_packet_read(frame, bytes, 0, -1, ip_checked, &packet);
}

static void headers_that_contradict_themselves_are_refused(void)
{
    CU_ASSERT_EQUAL(changed(vector_udp4, 14, 0x55, false), HAUL_ETHER_DROP_rx_ip_malformed);
    CU_ASSERT_EQUAL(changed(vector_udp4, 14, 0x44, false), HAUL_ETHER_DROP_rx_ip_malformed);
    CU_ASSERT_EQUAL(changed(vector_udp4, 17, 19, true), HAUL_ETHER_DROP_rx_ip_malformed);
    CU_ASSERT_EQUAL(changed(vector_udp4, 17, 36, true), HAUL_ETHER_DROP_rx_short);
    CU_ASSERT_EQUAL(changed(vector_udp6, 14, 0x40, false), HAUL_ETHER_DROP_rx_ip_malformed);
    CU_ASSERT_EQUAL(changed(vector_udp6, 19, 16, false), HAUL_ETHER_DROP_rx_short);
    CU_ASSERT_EQUAL(changed(vector_udp6_ext, 55, 9, false), HAUL_ETHER_DROP_rx_ip_malformed);
    CU_ASSERT_EQUAL(changed(vector_udp6_ext, 57, 9, false), HAUL_ETHER_DROP_rx_ipv6_extension);
    CU_ASSERT_EQUAL(changed(vector_udp4, 13, 1, false), HAUL_ETHER_DROP_rx_protocol);
    CU_ASSERT_EQUAL(changed(vector_udp6, 20, 59, false), HAUL_ETHER_DROP_rx_protocol);
}

static void every_wrong_bit_of_an_ipv4_header_is_seen(void)
{
    for (size_t bit = 8 * 15; bit < 8 * 34; bit++) {
        uint8_t frame[512];
        struct haul_packet packet;
        size_t bytes = unit_hex(vector_udp4, frame, sizeof frame);

        frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 1 << bit % 8);
        CU_ASSERT_NOT_EQUAL(haul_packet_read(frame, bytes, 0, -1, false, &packet),
                            HAUL_ETHER_NO_DROP);
    }
    CU_ASSERT_EQUAL(changed(vector_udp4, 22, 63, false), HAUL_ETHER_DROP_rx_ip_checksum);
    CU_ASSERT_EQUAL(changed(vector_udp4, 22, 63, true), HAUL_ETHER_NO_DROP);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what IP carries is found", what_ip_carries_is_found },
        { "every prefix of a frame is refused", every_prefix_is_refused },
        { "the padding of short frames is left out", the_padding_of_short_frames_is_left_out },
        { "one configured tag is taken and no other", one_configured_tag_is_taken_and_no_other },
        { "stacks of tags are refused", stacks_of_tags_are_refused },
        { "options and fragments are refused", options_and_fragments_are_refused },
        { "extension headers that may be ignored are skipped",
          extension_headers_that_may_be_ignored_are_skipped },
        { "a chain of extension headers has an end", a_chain_of_extension_headers_has_an_end },
        { "headers that contradict themselves are refused",
          headers_that_contradict_themselves_are_refused },
        { "every wrong bit of an IPv4 header is seen", every_wrong_bit_of_an_ipv4_header_is_seen },
    };

    return unit_main("packet", tests, HAUL_COUNT_OF(tests));
}
