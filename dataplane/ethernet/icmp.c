/* Echo and too-big, both families. */
#include "dataplane/ethernet/icmp.h"

#include "dataplane/ethernet/checksum.h"
#include "dataplane/ethernet/header.h"
#include "dataplane/ethernet/solicit.h"

#include <string.h>

#define HEAD_BYTES 8u

#define ECHO_REQUEST      8u
#define ECHO_REPLY        0u
#define UNREACHABLE       3u
#define FRAGMENT_NEEDED   4u
#define ECHO_REQUEST_V6   128u
#define ECHO_REPLY_V6     129u
#define PACKET_TOO_BIG_V6 2u
#define TIME_TO_LIVE      64u

static uint64_t pseudo(const struct haul_packet *packet)
{
    return packet->address_bytes == 4
               ? 0
               : haul_checksum_pseudo(packet->source, packet->target, 16, HAUL_IP_ICMPV6,
                                      (uint32_t)packet->body_bytes);
}

enum haul_ether_drop haul_icmp_check(const struct haul_packet *packet)
{
    if (packet->body_bytes < HEAD_BYTES)
        return HAUL_ETHER_DROP_rx_icmp_malformed;
    if (haul_checksum_fold(haul_checksum_add(pseudo(packet), packet->body, packet->body_bytes)) !=
        0xffff)
        return HAUL_ETHER_DROP_rx_icmp_checksum;
    return HAUL_ETHER_NO_DROP;
}

enum haul_icmp_kind haul_icmp_kind(const struct haul_packet *packet)
{
    uint8_t type = packet->body[0], code = packet->body[1];

    if (packet->address_bytes == 4) {
        if (type == ECHO_REQUEST && code == 0)
            return HAUL_ICMP_ECHO;
        return type == UNREACHABLE && code == FRAGMENT_NEEDED ? HAUL_ICMP_TOO_BIG : HAUL_ICMP_OTHER;
    }
    if (type == ECHO_REQUEST_V6 && code == 0)
        return HAUL_ICMP_ECHO;
    if (type == PACKET_TOO_BIG_V6)
        return HAUL_ICMP_TOO_BIG;
    return type == HAUL_ICMPV6_SOLICITATION || type == HAUL_ICMPV6_ADVERTISEMENT ? HAUL_ICMP_SOLICIT
                                                                                 : HAUL_ICMP_OTHER;
}

size_t haul_icmp_echo(const struct haul_packet *packet, uint16_t vlan, uint8_t *to, size_t capacity)
{
    bool old = packet->address_bytes == 4;
    size_t ip_bytes = old ? 20 : 40;
    size_t bytes = (vlan != 0 ? 18u : 14u) + ip_bytes + packet->body_bytes;
    size_t whole = bytes < HAUL_FRAME_BYTES_MIN ? HAUL_FRAME_BYTES_MIN : bytes;
    uint8_t *ip, *message;
    uint16_t check;

    if (whole > capacity)
        return 0;
    ip = haul_ether_mac_write(to, packet->source_mac, packet->target_mac, vlan,
                              old ? HAUL_ETHER_TYPE_IPV4 : HAUL_ETHER_TYPE_IPV6);
    message = ip + ip_bytes;
    memset(ip, 0, ip_bytes);
    if (old) {
        uint16_t total = (uint16_t)(20u + packet->body_bytes);

        ip[0] = 0x45;
        ip[2] = (uint8_t)(total >> 8);
        ip[3] = (uint8_t)total;
        ip[6] = 0x40;
        ip[8] = TIME_TO_LIVE;
        ip[9] = HAUL_IP_ICMP;
        memcpy(ip + 12, packet->target, 4);
        memcpy(ip + 16, packet->source, 4);
        check = (uint16_t)~haul_checksum_fold(haul_checksum_add(0, ip, 20));
        memcpy(ip + 10, &check, 2);
    } else {
        ip[0] = 0x60;
        ip[4] = (uint8_t)(packet->body_bytes >> 8);
        ip[5] = (uint8_t)packet->body_bytes;
        ip[6] = HAUL_IP_ICMPV6;
        ip[7] = TIME_TO_LIVE;
        memcpy(ip + 8, packet->target, 16);
        memcpy(ip + 24, packet->source, 16);
    }
    memcpy(message, packet->body, packet->body_bytes);
    message[0] = old ? ECHO_REPLY : ECHO_REPLY_V6;
    memset(message + 2, 0, 2);
    check = (uint16_t)~haul_checksum_fold(
        haul_checksum_add(pseudo(packet), message, packet->body_bytes));
    memcpy(message + 2, &check, 2);
    memset(to + bytes, 0, whole - bytes);
    return whole;
}

/* The IP header of the quoted packet; returns its length, zero when it is not one to look at. */
static size_t quoted_ip(const uint8_t *at, size_t bytes, bool old, struct haul_icmp_quote *quote)
{
    size_t head = old ? 20 : 40, address_bytes = old ? 4 : 16;
    const uint8_t *source = at + (old ? 12 : 8);

    if (bytes < head || at[0] >> 4 != (old ? 4 : 6) || (old && at[0] != 0x45) ||
        (old && (haul_be16(at + 6) & 0x3fff) != 0) || at[old ? 9 : 6] != HAUL_IP_UDP)
        return 0;
    quote->source.family = quote->target.family = old ? 4 : 6;
    memcpy(quote->source.ip, source, address_bytes);
    memcpy(quote->target.ip, source + address_bytes, address_bytes);
    return head;
}

enum haul_ether_drop haul_icmp_quote(const struct haul_packet *packet,
                                     struct haul_icmp_quote *quote)
{
    bool old = packet->address_bytes == 4;
    const uint8_t *at = packet->body;
    size_t bytes = packet->body_bytes, head;
    struct haul_icmp_quote read = { 0 };

    if (bytes < HEAD_BYTES)
        return HAUL_ETHER_DROP_rx_icmp_malformed;
    read.mtu = old ? haul_be16(at + 6) : (uint32_t)haul_be16(at + 4) << 16 | haul_be16(at + 6);
    at += HEAD_BYTES;
    bytes -= HEAD_BYTES;
    head = quoted_ip(at, bytes, old, &read);
    if (head == 0 || bytes < head + 8)
        return HAUL_ETHER_DROP_rx_quote_foreign;
    at += head;
    read.source.port = haul_be16(at);
    read.target.port = haul_be16(at + 2);
    read.payload = at + 8;
    read.payload_bytes = bytes - head - 8;
    *quote = read;
    return HAUL_ETHER_NO_DROP;
}
