/* Reading and writing ARP and neighbour discovery. */
#include "dataplane/ethernet/solicit.h"

#include "common/bytes.h"
#include "dataplane/ethernet/checksum.h"
#include "dataplane/ethernet/header.h"

#include <string.h>

#define ARP_BYTES   28u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u

#define MESSAGE_BYTES  24u
#define OPTION_SOURCE  1u
#define OPTION_TARGET  2u
#define FLAG_SOLICITED 0x40u
#define FLAG_OVERRIDE  0x20u
#define HOPS_OF_A_LINK 255u

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
static const uint8_t everybody[HAUL_MAC_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static struct haul_addr addr_of(const uint8_t *ip, size_t bytes)
{
    struct haul_addr addr = { .family = bytes == 4 ? 4 : 6 };

    memcpy(addr.ip, ip, bytes);
    return addr;
}

static bool is_zero(const uint8_t *at, size_t bytes)
{
    uint8_t any = 0;

    for (size_t i = 0; i < bytes; i++)
        any |= at[i];
    return any == 0;
}

static bool mac_usable(const uint8_t *mac)
{
    return (mac[0] & 1) == 0 && !is_zero(mac, HAUL_MAC_BYTES);
}

enum haul_ether_drop haul_arp_read(const struct haul_packet *packet, struct haul_solicit *solicit)
{
    struct haul_in in = haul_in_from(packet->body, packet->body_bytes);
    uint64_t kind = haul_in_be(&in, 6); /* hardware type, protocol type, lengths */
    uint64_t operation = haul_in_be(&in, 2);
    const uint8_t *sender_mac = haul_in_bytes(&in, HAUL_MAC_BYTES);
    const uint8_t *sender = haul_in_bytes(&in, 4);
    const uint8_t *target_mac = haul_in_bytes(&in, HAUL_MAC_BYTES);
    const uint8_t *target = haul_in_bytes(&in, 4);

    if (in.bad || kind != 0x000108000604 || (operation != ARP_REQUEST && operation != ARP_REPLY) ||
        !mac_usable(sender_mac))
        return HAUL_ETHER_DROP_rx_arp_malformed;
    if (sender[0] >= 224 || target[0] >= 224 || (operation == ARP_REPLY && is_zero(sender, 4)))
        return HAUL_ETHER_DROP_rx_arp_malformed;
    *solicit = (struct haul_solicit){
        .question = operation == ARP_REQUEST,
        .probe = operation == ARP_REQUEST && is_zero(sender, 4),
        .target = addr_of(target, 4),
    };
    solicit->asked = operation == ARP_REPLY && !packet->group &&
                     memcmp(target_mac, packet->target_mac, HAUL_MAC_BYTES) == 0;
    if (!solicit->probe)
        solicit->sender = addr_of(sender, 4);
    memcpy(solicit->mac, sender_mac, HAUL_MAC_BYTES);
    return HAUL_ETHER_NO_DROP;
}

/* The link-layer address option of a type, or NULL; false for options that do not fit. */
static bool options_read(struct haul_in *in, unsigned type, const uint8_t **mac)
{
    *mac = NULL;
    while (haul_in_left(in) > 0) {
        uint8_t kind = (uint8_t)haul_in_be(in, 1);
        size_t bytes = 8 * (size_t)haul_in_be(in, 1);
        const uint8_t *value;

        if (bytes == 0)
            return false;
        value = haul_in_bytes(in, bytes - 2);
        if (in->bad)
            return false;
        if (kind == type && bytes == 8)
            *mac = value;
    }
    return true;
}

/* RFC 4861 sections 7.1.1 and 7.1.2. */
enum haul_ether_drop haul_ndp_read(const struct haul_packet *packet, struct haul_solicit *solicit)
{
    struct haul_in in = haul_in_from(packet->body, packet->body_bytes);
    uint8_t type = (uint8_t)haul_in_be(&in, 1);
    uint8_t code = (uint8_t)haul_in_be(&in, 1);
    uint64_t flags = haul_in_be(&in, 6) >> 24 & 0xff; /* behind the checksum */
    const uint8_t *target = haul_in_bytes(&in, 16);
    bool question = type == HAUL_ICMPV6_SOLICITATION;
    bool nobody = is_zero(packet->source, 16), grouped = packet->target[0] == 0xff;
    const uint8_t *mac = NULL;

    if (in.bad || code != 0 || packet->hops != HOPS_OF_A_LINK || target[0] == 0xff ||
        is_zero(target, 16) || packet->extensions ||
        !options_read(&in, question ? OPTION_SOURCE : OPTION_TARGET, &mac))
        return HAUL_ETHER_DROP_rx_icmp_malformed;
    if (question && nobody && (mac != NULL || !grouped))
        return HAUL_ETHER_DROP_rx_icmp_malformed;
    if (!question && (nobody || (grouped && (flags & FLAG_SOLICITED) != 0)))
        return HAUL_ETHER_DROP_rx_icmp_malformed;
    if (mac == NULL)
        mac = packet->source_mac;
    if (!mac_usable(mac))
        return HAUL_ETHER_DROP_rx_icmp_malformed;
    *solicit = (struct haul_solicit){
        .question = question,
        .probe = question && nobody,
        .asked = !question && (flags & FLAG_SOLICITED) != 0,
        .target = addr_of(target, 16),
    };
    if (!question)
        solicit->sender = solicit->target;
    else if (!nobody)
        solicit->sender = addr_of(packet->source, 16);
    memcpy(solicit->mac, mac, HAUL_MAC_BYTES);
    return HAUL_ETHER_NO_DROP;
}

/* --- writing --- */

static size_t padded(uint8_t *frame, struct haul_out *out)
{
    size_t bytes = (size_t)(out->at - frame);

    haul_assert(!out->bad);
    if (bytes < HAUL_FRAME_BYTES_MIN) {
        memset(out->at, 0, HAUL_FRAME_BYTES_MIN - bytes);
        bytes = HAUL_FRAME_BYTES_MIN;
    }
    return bytes;
}

static size_t arp_write(uint8_t *to, const struct haul_solicit_text *text)
{
    static const uint8_t zeros[HAUL_MAC_BYTES];
    bool answer = text->kind == HAUL_SOLICIT_ANSWER;
    const uint8_t *target_mac = text->mac != NULL ? text->mac : everybody;
    const uint8_t *sender = text->ip->ip, *target = text->ip->ip;
    struct haul_out out = haul_out_to(to, HAUL_SOLICIT_BYTES_MAX);

    if (text->kind == HAUL_SOLICIT_ASK)
        sender = text->own->ip;
    if (text->kind == HAUL_SOLICIT_PROBE)
        sender = zeros;
    if (answer)
        target = text->asker->ip; /* zeros for a probe */
    out.at = haul_ether_mac_write(to, target_mac, text->own_mac, text->vlan, HAUL_ETHER_TYPE_ARP);
    haul_out_be(&out, 0x000108000604, 6);
    haul_out_be(&out, answer ? ARP_REPLY : ARP_REQUEST, 2);
    haul_out_bytes(&out, text->own_mac, HAUL_MAC_BYTES);
    haul_out_bytes(&out, sender, 4);
    haul_out_bytes(&out, answer ? text->mac : zeros, HAUL_MAC_BYTES);
    haul_out_bytes(&out, target, 4);
    return padded(to, &out);
}

void haul_solicited_node(const uint8_t ip[16], uint8_t group[16])
{
    static const uint8_t prefix[13] = { 0xff, 2, [11] = 1, [12] = 0xff };

    memcpy(group, prefix, sizeof prefix);
    memcpy(group + 13, ip + 13, 3);
}

void haul_group_mac(const uint8_t group[16], uint8_t mac[HAUL_MAC_BYTES])
{
    mac[0] = 0x33;
    mac[1] = 0x33;
    memcpy(mac + 2, group + 12, 4);
}

/* Where a message of neighbour discovery goes, and from whom. */
static void ndp_ends(const struct haul_solicit_text *text, const uint8_t **source,
                     uint8_t target[16], uint8_t target_mac[HAUL_MAC_BYTES])
{
    static const uint8_t nobody[16];

    *source = text->kind == HAUL_SOLICIT_PROBE ? nobody : text->ip->ip;
    if (text->kind == HAUL_SOLICIT_ASK)
        *source = text->own->ip;
    if (text->kind == HAUL_SOLICIT_ASK && text->mac != NULL)
        memcpy(target, text->ip->ip, 16);
    else if (text->kind == HAUL_SOLICIT_ASK || text->kind == HAUL_SOLICIT_PROBE)
        haul_solicited_node(text->ip->ip, target);
    else if (text->kind == HAUL_SOLICIT_ANSWER && text->asker->family == 6)
        memcpy(target, text->asker->ip, 16);
    else
        memcpy(target, all_nodes, 16);
    if (target[0] == 0xff)
        haul_group_mac(target, target_mac);
    else
        memcpy(target_mac, text->mac, HAUL_MAC_BYTES);
}

static size_t ndp_write(uint8_t *to, const struct haul_solicit_text *text)
{
    bool question = text->kind == HAUL_SOLICIT_ASK || text->kind == HAUL_SOLICIT_PROBE;
    bool option = text->kind != HAUL_SOLICIT_PROBE;
    uint16_t bytes = option ? MESSAGE_BYTES + 8 : MESSAGE_BYTES;
    uint8_t target[16], target_mac[HAUL_MAC_BYTES];
    const uint8_t *source;
    struct haul_out out = haul_out_to(to, HAUL_SOLICIT_BYTES_MAX);
    uint8_t *message;
    uint64_t flags = 0;
    uint16_t check;

    ndp_ends(text, &source, target, target_mac);
    if (!question)
        flags = FLAG_OVERRIDE | (target[0] == 0xff ? 0u : FLAG_SOLICITED);
    out.at = haul_ether_mac_write(to, target_mac, text->own_mac, text->vlan, HAUL_ETHER_TYPE_IPV6);
    haul_out_be(&out, 6u << 28, 4);
    haul_out_be(&out, bytes, 2);
    haul_out_be(&out, HAUL_IP_ICMPV6, 1);
    haul_out_be(&out, HOPS_OF_A_LINK, 1);
    haul_out_bytes(&out, source, 16);
    haul_out_bytes(&out, target, 16);
    message = out.at;
    haul_out_be(&out, question ? HAUL_ICMPV6_SOLICITATION : HAUL_ICMPV6_ADVERTISEMENT, 1);
    haul_out_be(&out, 0, 3);
    haul_out_be(&out, flags << 24, 4);
    haul_out_bytes(&out, text->ip->ip, 16);
    if (option) {
        haul_out_be(&out, question ? OPTION_SOURCE : OPTION_TARGET, 1);
        haul_out_be(&out, 1, 1);
        haul_out_bytes(&out, text->own_mac, HAUL_MAC_BYTES);
    }
    check = (uint16_t)~haul_checksum_fold(haul_checksum_add(
        haul_checksum_pseudo(source, target, 16, HAUL_IP_ICMPV6, bytes), message, bytes));
    memcpy(message + 2, &check, 2);
    return padded(to, &out);
}

size_t haul_solicit_write(uint8_t *to, const struct haul_solicit_text *text)
{
    return text->ip->family == 4 ? arp_write(to, text) : ndp_write(to, text);
}
