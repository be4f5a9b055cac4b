/* Headers are made here once a peer and a route; header.h writes them before each datagram. */
#include "dataplane/ethernet/header.h"

#define TIME_TO_LIVE 64u

static uint8_t *be16_put(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

uint8_t *haul_ether_mac_write(uint8_t *at, const uint8_t *target_mac, const uint8_t *source_mac,
                              uint16_t vlan, uint16_t type)
{
    memcpy(at, target_mac, HAUL_MAC_BYTES);
    memcpy(at + HAUL_MAC_BYTES, source_mac, HAUL_MAC_BYTES);
    at += 2 * HAUL_MAC_BYTES;
    if (vlan != 0)
        at = be16_put(be16_put(at, HAUL_ETHER_TYPE_VLAN), vlan);
    return be16_put(at, type);
}

static uint8_t *ipv4_put(uint8_t *at, const struct haul_ether_ends *ends)
{
    memset(at, 0, 20);
    at[0] = 0x45;
    at[6] = 0x40; /* do not fragment */
    at[8] = TIME_TO_LIVE;
    at[9] = HAUL_IP_UDP;
    memcpy(at + 12, ends->source_ip, 4);
    memcpy(at + 16, ends->target_ip, 4);
    return at + 20;
}

static uint8_t *ipv6_put(uint8_t *at, const struct haul_ether_ends *ends)
{
    memset(at, 0, 40);
    at[0] = 0x60;
    at[1] = ends->flow_label >> 16 & 15;
    be16_put(at + 2, (uint16_t)ends->flow_label);
    at[6] = HAUL_IP_UDP;
    at[7] = TIME_TO_LIVE;
    memcpy(at + 8, ends->source_ip, 16);
    memcpy(at + 24, ends->target_ip, 16);
    return at + 40;
}

void haul_ether_header_init(struct haul_ether_header *header, const struct haul_ether_ends *ends)
{
    size_t address_bytes = ends->family == 4 ? 4 : 16;
    uint8_t *at, *udp;

    haul_assert(ends->family == 4 || ends->family == 6);
    *header = (struct haul_ether_header){ .family = ends->family };
    at = haul_ether_mac_write(header->bytes, ends->target_mac, ends->source_mac, ends->vlan,
                              ends->family == 4 ? HAUL_ETHER_TYPE_IPV4 : HAUL_ETHER_TYPE_IPV6);
    header->ip_at = (uint8_t)(at - header->bytes);
    udp = ends->family == 4 ? ipv4_put(at, ends) : ipv6_put(at, ends);
    header->udp_at = (uint8_t)(udp - header->bytes);
    header->length = (uint8_t)(header->udp_at + 8u);
    be16_put(be16_put(udp, ends->source_port), ends->target_port);
    header->payload_max = (uint16_t)(ends->mtu - (header->length - header->ip_at));
    if (ends->family == 4)
        header->ip_sum = haul_checksum_add(0, at, 20);
    header->udp_sum =
        haul_checksum_pseudo(ends->source_ip, ends->target_ip, address_bytes, HAUL_IP_UDP, 0);
    header->port_sum = haul_checksum_add(0, udp, 4);
}
