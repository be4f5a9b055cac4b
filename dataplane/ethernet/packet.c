/* The readers of Ethernet, VLAN and IP headers. */
#include "dataplane/ethernet/packet.h"

#include "dataplane/ethernet/checksum.h"

#include <string.h>

#define MAC_HEADER_BYTES 14u
#define TAG_BYTES        4u
#define TYPE_STACK       0x88a8u /* IEEE 802.1ad: always an outer tag */
#define TYPE_STACK_OLD   0x9100u
#define VLAN_ID          0x0fffu

#define IPV4_BYTES         20u
#define IPV6_BYTES         40u
#define EXTENSIONS_MAX     4u
#define EXTENSION_BYTES    256u /* all of a packet together */
#define NEXT_HOP_BY_HOP    0u
#define NEXT_FRAGMENT      44u
#define NEXT_DESTINATION   60u
#define OPTION_PAD1        0u
#define OPTION_REFUSE_BITS 0xc0u

static bool is_tag(uint16_t type)
{
    return type == HAUL_ETHER_TYPE_VLAN || type == TYPE_STACK || type == TYPE_STACK_OLD;
}

static enum haul_ether_drop ipv4_read(const uint8_t *at, size_t bytes, bool checked,
                                      struct haul_packet *packet)
{
    size_t total;

    if (bytes < IPV4_BYTES)
        return HAUL_ETHER_DROP_rx_short;
    if (at[0] != 0x45) /* version 4, five words: one compare in the common case */
        return at[0] >> 4 == 4 && (at[0] & 15) > 5 ? HAUL_ETHER_DROP_rx_ip_options
                                                   : HAUL_ETHER_DROP_rx_ip_malformed;
    total = haul_be16(at + 2);
    if (total < IPV4_BYTES)
        return HAUL_ETHER_DROP_rx_ip_malformed;
    if (total > bytes)
        return HAUL_ETHER_DROP_rx_short;
    if (!checked && haul_checksum_fold(haul_checksum_add(0, at, IPV4_BYTES)) != 0xffff)
        return HAUL_ETHER_DROP_rx_ip_checksum;
    if ((haul_be16(at + 6) & 0x3fff) != 0) /* more fragments, or an offset */
        return HAUL_ETHER_DROP_rx_fragment;
    packet->address_bytes = 4;
    packet->protocol = at[9];
    packet->hops = at[8];
    packet->ecn = at[1] & 3;
    packet->source = at + 12;
    packet->target = at + 16;
    packet->body = at + IPV4_BYTES;
    packet->body_bytes = total - IPV4_BYTES;
    return HAUL_ETHER_NO_DROP;
}

/* Options that are unknown but may be ignored have two zero bits in front (RFC 8200 section 4.2);
 * the packet with any other one is refused. */
static bool options_skippable(const uint8_t *at, size_t bytes)
{
    while (bytes > 0) {
        size_t length;

        if (*at == OPTION_PAD1) {
            at++;
            bytes--;
            continue;
        }
        if ((*at & OPTION_REFUSE_BITS) != 0 || bytes < 2)
            return false;
        length = 2u + at[1];
        if (length > bytes)
            return false;
        at += length;
        bytes -= length;
    }
    return true;
}

static enum haul_ether_drop extensions_skip(struct haul_packet *packet)
{
    const uint8_t *begin = packet->body;

    for (unsigned count = 0;; count++) {
        const uint8_t *at = packet->body;
        size_t bytes;

        if (packet->protocol == NEXT_FRAGMENT)
            return HAUL_ETHER_DROP_rx_fragment;
        if (packet->protocol != NEXT_DESTINATION &&
            (packet->protocol != NEXT_HOP_BY_HOP || count > 0))
            break;
        if (packet->body_bytes < 8)
            return HAUL_ETHER_DROP_rx_ip_malformed;
        bytes = 8u * (1u + at[1]);
        if (bytes > packet->body_bytes)
            return HAUL_ETHER_DROP_rx_ip_malformed;
        if (count == EXTENSIONS_MAX || (size_t)(at - begin) + bytes > EXTENSION_BYTES ||
            !options_skippable(at + 2, bytes - 2))
            return HAUL_ETHER_DROP_rx_ipv6_extension;
        packet->protocol = at[0];
        packet->body += bytes;
        packet->body_bytes -= bytes;
        packet->extensions = true;
    }
    if (packet->protocol != HAUL_IP_UDP && packet->protocol != HAUL_IP_ICMPV6)
        return packet->protocol == NEXT_HOP_BY_HOP || packet->protocol == 43 ||
                       packet->protocol == 51
                   ? HAUL_ETHER_DROP_rx_ipv6_extension
                   : HAUL_ETHER_DROP_rx_protocol;
    return HAUL_ETHER_NO_DROP;
}

static enum haul_ether_drop ipv6_read(const uint8_t *at, size_t bytes, struct haul_packet *packet)
{
    size_t payload;

    if (bytes < IPV6_BYTES)
        return HAUL_ETHER_DROP_rx_short;
    if (at[0] >> 4 != 6)
        return HAUL_ETHER_DROP_rx_ip_malformed;
    payload = haul_be16(at + 4);
    if (payload > bytes - IPV6_BYTES)
        return HAUL_ETHER_DROP_rx_short;
    packet->address_bytes = 16;
    packet->protocol = at[6];
    packet->hops = at[7];
    packet->ecn = at[1] >> 4 & 3;
    packet->source = at + 8;
    packet->target = at + 24;
    packet->body = at + IPV6_BYTES;
    packet->body_bytes = payload;
    if (packet->protocol == HAUL_IP_UDP)
        return HAUL_ETHER_NO_DROP;
    return extensions_skip(packet);
}

enum haul_ether_drop haul_packet_read(const uint8_t *frame, size_t bytes, uint16_t vlan,
                                      int stripped, bool ip_checked, struct haul_packet *packet)
{
    size_t at = MAC_HEADER_BYTES;
    uint16_t type;
    int tag = stripped;

    if (bytes < MAC_HEADER_BYTES)
        return HAUL_ETHER_DROP_rx_short;
    type = haul_be16(frame + 12);
    if (is_tag(type)) {
        if (type != HAUL_ETHER_TYPE_VLAN || tag >= 0)
            return HAUL_ETHER_DROP_rx_vlan_stack;
        if (bytes < MAC_HEADER_BYTES + TAG_BYTES)
            return HAUL_ETHER_DROP_rx_short;
        tag = haul_be16(frame + 14);
        type = haul_be16(frame + 16);
        at += TAG_BYTES;
        if (is_tag(type))
            return HAUL_ETHER_DROP_rx_vlan_stack;
    }
    if ((tag < 0 ? 0u : (unsigned)tag & VLAN_ID) != vlan)
        return HAUL_ETHER_DROP_rx_vlan_other;
    *packet = (struct haul_packet){
        .ether_type = type,
        .group = (frame[0] & 1) != 0,
        .target_mac = frame,
        .source_mac = frame + HAUL_MAC_BYTES,
        .body = frame + at,
        .body_bytes = bytes - at,
    };
    if (type == HAUL_ETHER_TYPE_IPV4)
        return ipv4_read(frame + at, bytes - at, ip_checked, packet);
    if (type == HAUL_ETHER_TYPE_IPV6)
        return ipv6_read(frame + at, bytes - at, packet);
    return type == HAUL_ETHER_TYPE_ARP ? HAUL_ETHER_NO_DROP : HAUL_ETHER_DROP_rx_protocol;
}
