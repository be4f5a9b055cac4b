/* Reading an Ethernet frame down to what an IP packet carries: one VLAN tag where one is expected,
 * IPv4 without options (RFC 791), IPv6 with the extension headers that may be skipped (RFC 8200).
 * Whatever else is refused with its cause, and each cause is a counter. Nothing is copied: a packet
 * points into the frame. */
#pragma once

#include "common/base.h"

#define HAUL_MAC_BYTES 6u

/* X(name, help): why a frame was dropped. */
#define HAUL_ETHER_DROPS(X)                                                                        \
    X(rx_short, "frames that end before their headers, or before the length that these state")     \
    X(rx_not_for_us, "frames and packets to somebody else's address")                              \
    X(rx_source, "frames and packets from an address that nobody may send from, or from our own")  \
    X(rx_vlan_other, "frames of another VLAN than the configured one")                             \
    X(rx_vlan_stack, "frames with more than one VLAN tag")                                         \
    X(rx_protocol, "frames of a protocol that haul does not speak")                                \
    X(rx_ip_malformed, "IP headers that contradict themselves")                                    \
    X(rx_ip_checksum, "IPv4 headers with a wrong checksum")                                        \
    X(rx_ip_options, "IPv4 packets with options")                                                  \
    X(rx_fragment, "fragments of IPv4 and IPv6 packets")                                           \
    X(rx_ipv6_extension, "IPv6 packets with extension headers that are not skipped")               \
    X(rx_udp_malformed, "UDP headers that contradict themselves")                                  \
    X(rx_udp_checksum, "UDP datagrams with a wrong checksum")                                      \
    X(rx_udp_port, "UDP datagrams to a port that is not ours")                                     \
    X(rx_arp_malformed, "ARP messages that are malformed or of another kind of network")           \
    X(rx_icmp_malformed, "ICMP messages that are malformed")                                       \
    X(rx_icmp_checksum, "ICMP messages with a wrong checksum")                                     \
    X(rx_icmp_other, "ICMP messages that haul does not act on, router messages among them")        \
    X(rx_quote_foreign, "ICMP errors that quote a packet that we did not send")                    \
    X(rx_rate, "questions and echo requests beyond the rate that is answered")                     \
    X(rx_no_room, "answers that did not fit the caller's buffer")

enum haul_ether_drop {
#define X(name, help) HAUL_ETHER_DROP_##name,
    HAUL_ETHER_DROPS(X)
#undef X
        HAUL_ETHER_DROP_COUNT
};

/* HAUL_ETHER_DROP_COUNT stands for "none". */
#define HAUL_ETHER_NO_DROP HAUL_ETHER_DROP_COUNT

#define HAUL_ETHER_TYPE_IPV4 0x0800u
#define HAUL_ETHER_TYPE_ARP  0x0806u
#define HAUL_ETHER_TYPE_VLAN 0x8100u
#define HAUL_ETHER_TYPE_IPV6 0x86ddu

#define HAUL_IP_ICMP   1u
#define HAUL_IP_UDP    17u
#define HAUL_IP_ICMPV6 58u

struct haul_packet {
    uint16_t ether_type; /* IPv4, IPv6 or ARP */
    bool group;          /* the frame came to a multicast or broadcast MAC address */
    bool extensions;     /* IPv6 extension headers were skipped */
    const uint8_t *target_mac;
    const uint8_t *source_mac;
    uint8_t address_bytes; /* 4, 16, or 0 for ARP */
    uint8_t protocol;      /* of IP */
    uint8_t hops;          /* time to live, hop limit */
    uint8_t ecn;
    const uint8_t *source; /* IP addresses; NULL for ARP */
    const uint8_t *target;
    const uint8_t *body; /* what IP carries, or the ARP message */
    size_t body_bytes;   /* without the padding of short frames */
};

static inline uint16_t haul_be16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* Reads the frame's headers. `vlan` is the identifier that frames must bear, zero for none (a
 * priority tag of identifier zero may be there); `stripped` is the tag that the card took off, or a
 * negative number; `ip_checked`: the card has verified the IPv4 header's checksum. */
HAUL_MUST_USE enum haul_ether_drop haul_packet_read(const uint8_t *frame, size_t bytes,
                                                    uint16_t vlan, int stripped, bool ip_checked,
                                                    struct haul_packet *packet);
