/* ICMP and ICMPv6 beside neighbour discovery: echo, which is answered (RFC 792, RFC 4443 section
 * 4), and the errors that tell a smaller MTU (RFC 1191, RFC 4443 section 3.2). */
#pragma once

#include "common/addr.h"
#include "dataplane/ethernet/packet.h"

/* Verifies the message's checksum and length. */
HAUL_MUST_USE enum haul_ether_drop haul_icmp_check(const struct haul_packet *packet);

enum haul_icmp_kind {
    HAUL_ICMP_OTHER,
    HAUL_ICMP_ECHO,
    HAUL_ICMP_TOO_BIG,
    HAUL_ICMP_SOLICIT, /* neighbour solicitation or advertisement */
};

enum haul_icmp_kind haul_icmp_kind(const struct haul_packet *packet);

/* Writes the answer to an echo request that came to an address of ours: a whole frame, from the
 * request's target to its source. Returns its length, or zero when it does not fit. */
size_t haul_icmp_echo(const struct haul_packet *packet, uint16_t vlan, uint8_t *to,
                      size_t capacity);

/* What a too-big message says. */
struct haul_icmp_quote {
    uint32_t mtu; /* zero from routers older than RFC 1191 */
    struct haul_addr source;
    struct haul_addr target;
    const uint8_t *payload; /* of the quoted UDP datagram, as much as there is */
    size_t payload_bytes;
};

/* Reads it; only an unfragmented UDP datagram is looked at. */
HAUL_MUST_USE enum haul_ether_drop haul_icmp_quote(const struct haul_packet *packet,
                                                   struct haul_icmp_quote *quote);
