/* The headers before every datagram to one peer: Ethernet, a VLAN tag where one is configured, IPv4
 * or IPv6, UDP. They are made once, and written before each datagram with what differs: lengths,
 * ECN and checksums. Packets are never fragmented: IPv4 says so (and its identification is zero,
 * RFC 6864 section 4.1), IPv6 knows it of itself. */
#pragma once

#include "dataplane/ethernet/checksum.h"
#include "dataplane/ethernet/packet.h"

#include <string.h>

#define HAUL_ETHER_HEADER_BYTES_MAX 66u /* 14 Ethernet, 4 VLAN, 40 IPv6, 8 UDP */

struct haul_ether_header {
    uint8_t bytes[HAUL_ETHER_HEADER_BYTES_MAX];
    uint8_t length; /* of all headers: 42 to 66 */
    uint8_t ip_at;  /* where the IP header begins: 14 or 18 */
    uint8_t udp_at; /* where the UDP header begins */
    uint8_t family; /* 4 or 6 */
    uint16_t payload_max;
    uint64_t ip_sum;  /* of the IPv4 header without length and ECN */
    uint64_t udp_sum; /* of the pseudo header without the length */
    uint64_t port_sum;
};

struct haul_ether_ends {
    const uint8_t *source_mac;
    const uint8_t *target_mac;
    const uint8_t *source_ip; /* 4 or 16 bytes, as the family says */
    const uint8_t *target_ip;
    uint8_t family;
    uint16_t vlan; /* zero: no tag */
    uint16_t source_port;
    uint16_t target_port;
    uint16_t mtu; /* of an IP packet */
    uint32_t flow_label;
};

/* Writes MAC addresses, tag and type: 14 or 18 bytes; returns where the packet begins. */
uint8_t *haul_ether_mac_write(uint8_t *at, const uint8_t *target_mac, const uint8_t *source_mac,
                              uint16_t vlan, uint16_t type);

void haul_ether_header_init(struct haul_ether_header *header, const struct haul_ether_ends *ends);

/* Who computes the checksums. The card's bits follow what a driver offers; what is not given to the
 * card is computed here. */
enum haul_ether_sums {
    HAUL_ETHER_SUM_IP_CARD = 1,  /* the IPv4 field stays zero */
    HAUL_ETHER_SUM_UDP_CARD = 2, /* the UDP field holds the pseudo header's sum */
    HAUL_ETHER_SUM_SEGMENT = 4,  /* with UDP_CARD: that sum leaves the length out, for a card that
                                    cuts one buffer into datagrams */
    HAUL_ETHER_SUM_UDP_NONE = 8, /* IPv4 only: no UDP checksum (RFC 768). For shared memory, where
                                    no bit turns over and every payload is authenticated */
};

/* Writes `header->length` bytes to `frame`; the payload lies behind them already. */
static inline void haul_ether_header_write(const struct haul_ether_header *header, uint8_t *frame,
                                           uint16_t payload_bytes, uint8_t ecn, unsigned sums)
{
    uint16_t udp_bytes = (uint16_t)(payload_bytes + 8u), check;
    uint16_t length = __builtin_bswap16(udp_bytes);
    uint8_t *ip = frame + header->ip_at, *udp = frame + header->udp_at;
    uint64_t sum = header->udp_sum;

    memcpy(frame, header->bytes, header->length);
    memcpy(udp + 4, &length, 2);
    if (header->family == 4) {
        uint16_t total = __builtin_bswap16((uint16_t)(udp_bytes + 20u));

        ip[1] = ecn;
        memcpy(ip + 2, &total, 2);
        if ((sums & HAUL_ETHER_SUM_IP_CARD) == 0) {
            check =
                (uint16_t)~haul_checksum_fold(haul_checksum_add_be16(header->ip_sum + total, ecn));
            memcpy(ip + 10, &check, 2);
        }
        if ((sums & HAUL_ETHER_SUM_UDP_NONE) != 0)
            return;
    } else {
        ip[1] = (uint8_t)(ip[1] | ecn << 4);
        memcpy(ip + 4, &length, 2);
    }
    if ((sums & HAUL_ETHER_SUM_UDP_CARD) != 0) {
        check = haul_checksum_fold((sums & HAUL_ETHER_SUM_SEGMENT) != 0 ? sum : sum + length);
    } else {
        sum += header->port_sum + length + length;
        sum = haul_checksum_add(sum, udp + 8, payload_bytes);
        check = (uint16_t)~haul_checksum_fold(sum);
        check = check == 0 ? 0xffff : check; /* zero would say "none" */
    }
    memcpy(udp + 6, &check, 2);
}
