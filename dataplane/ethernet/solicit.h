/* The messages by which MAC addresses are asked for and told: ARP for IPv4 (RFC 826, probes and
 * announcements of RFC 5227) and neighbour solicitation and advertisement for IPv6 (RFC 4861
 * sections 4.3, 4.4, 7.1). Both read into one form. */
#pragma once

#include "common/addr.h"
#include "dataplane/ethernet/packet.h"

#define HAUL_SOLICIT_BYTES_MAX 90u /* 18 Ethernet with a tag, 40 IPv6, 24 message, 8 option */
#define HAUL_FRAME_BYTES_MIN   60u /* shorter frames are padded with zeros */

struct haul_solicit {
    bool question; /* asks who has `target`; otherwise says that `sender` is at `mac` */
    bool probe;    /* a question that names no sender: somebody is about to use `target` */
    bool asked;    /* an answer that says it is one, to an address of its receiver */
    struct haul_addr sender;     /* of the mapping that it tells; family 0 when it tells none */
    uint8_t mac[HAUL_MAC_BYTES]; /* of the sender; where an answer to a question goes */
    struct haul_addr target;     /* question: who is asked for; answer (ARP): who it is for */
};

/* Read an ARP message, or the ICMPv6 message (checksum verified by the caller) of a packet. */
HAUL_MUST_USE enum haul_ether_drop haul_arp_read(const struct haul_packet *packet,
                                                 struct haul_solicit *solicit);
HAUL_MUST_USE enum haul_ether_drop haul_ndp_read(const struct haul_packet *packet,
                                                 struct haul_solicit *solicit);

#define HAUL_ICMPV6_SOLICITATION  135u
#define HAUL_ICMPV6_ADVERTISEMENT 136u

/* What to write: every message of ours is one of these, whatever the family. */
enum haul_solicit_kind {
    HAUL_SOLICIT_ASK,      /* who has ip? */
    HAUL_SOLICIT_PROBE,    /* does anybody use ip, which we are about to use? */
    HAUL_SOLICIT_ANNOUNCE, /* ip is ours */
    HAUL_SOLICIT_ANSWER,   /* ip is ours, you asked */
};

struct haul_solicit_text {
    enum haul_solicit_kind kind;
    uint16_t vlan;
    const uint8_t *own_mac;
    const struct haul_addr *own; /* ASK: who asks; not read otherwise */
    const struct haul_addr *ip;
    const uint8_t *mac;            /* ASK: whom alone, or NULL for all; ANSWER: the asker */
    const struct haul_addr *asker; /* ANSWER: family 0 for one without an address */
};

/* Writes a whole frame, padded; `to` has room for HAUL_SOLICIT_BYTES_MAX. */
size_t haul_solicit_write(uint8_t *to, const struct haul_solicit_text *text);

/* ff02::1:ffXX:XXXX of an IPv6 address, and the MAC address of a multicast IPv6 address. */
void haul_solicited_node(const uint8_t ip[16], uint8_t group[16]);
void haul_group_mac(const uint8_t group[16], uint8_t mac[HAUL_MAC_BYTES]);
