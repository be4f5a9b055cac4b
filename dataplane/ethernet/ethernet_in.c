/* Every frame that arrives comes through here: datagrams for haul go up; questions are answered at
 * a bounded rate; what cannot be understood is dropped and counted. */
#include "dataplane/ethernet/ethernet_parts.h"
#include "dataplane/ethernet/icmp.h"

#include <string.h>

#define DEFEND_GAP        (10 * HAUL_SECOND)      /* RFC 5227 section 2.4 */
#define ANSWER_GAP        (50 * HAUL_MILLISECOND) /* to a neighbour in use */
#define ANNOUNCEMENT_LAST 4u
#define IPV4_MTU_MIN      68u
#define IPV6_MTU_MIN      1280u
#define UDP_HEADER_BYTES  8u

static const size_t drop_at[] = {
#define X(name, help) offsetof(struct haul_ether_counters, name),
    HAUL_ETHER_DROPS(X)
#undef X
};

/* What an input call works on. */
struct arrival {
    const struct haul_ether_found *found;
    haul_time now;
    uint8_t *reply;
    size_t reply_capacity;
    size_t *reply_bytes;
};

static enum haul_ether_verdict dropped(struct haul_ether *ether, enum haul_ether_drop drop)
{
    uint8_t *counters = (uint8_t *)&ether->counters;

    haul_assert(drop < HAUL_ETHER_DROP_COUNT);
    haul_counter_add((uint64_t *)(void *)(counters + drop_at[drop]), 1);
    return HAUL_ETHER_DROPPED;
}

static bool all_zero(const uint8_t *at, size_t bytes)
{
    uint8_t any = 0;

    for (size_t i = 0; i < bytes; i++)
        any |= at[i];
    return any == 0;
}

/* Multicast, broadcast, unspecified and loopback send nothing, nor do IPv4 addresses in the form of
 * IPv6 (RFC 4291 section 2.5.5). */
static bool source_possible(const struct haul_packet *packet)
{
    const uint8_t *ip = packet->source;

    if ((packet->source_mac[0] & 1) != 0)
        return false;
    if (packet->address_bytes == 4)
        return ip[0] != 0 && ip[0] != 127 && ip[0] < 224;
    return ip[0] != 0xff && !all_zero(ip, 10);
}

/* --- UDP --- */

/* Ours, or another worker's of this end. */
static bool is_our_port(const struct haul_ether_conf *conf, uint16_t port)
{
    return port == conf->port || (uint16_t)(port - conf->port_first) < conf->port_count;
}

/* The field holds the checksum, or, from a sender on this very machine whose card was to compute
 * it, the sum of the pseudo header: such a packet has seen no wire. */
static bool udp_sum_holds(struct haul_ether *ether, const struct haul_packet *packet,
                          uint16_t bytes)
{
    const uint8_t *udp = packet->body;
    uint64_t pseudo = haul_checksum_pseudo(packet->source, packet->target, packet->address_bytes,
                                           HAUL_IP_UDP, bytes);
    uint16_t field;

    memcpy(&field, udp + 6, sizeof field);
    if (field == 0)
        return packet->address_bytes == 4;
    if (haul_checksum_fold(haul_checksum_add(pseudo, udp, bytes)) == 0xffff)
        return true;
    if (field != haul_checksum_fold(pseudo))
        return false;
    haul_counter_add(&ether->counters.rx_udp_partial, 1);
    return true;
}

static enum haul_ether_verdict udp_input(struct haul_ether *ether, const struct haul_packet *packet,
                                         const struct haul_ether_found *found,
                                         struct haul_ether_datagram *datagram)
{
    const uint8_t *udp = packet->body;
    uint16_t bytes;

    if (packet->body_bytes < UDP_HEADER_BYTES)
        return dropped(ether, HAUL_ETHER_DROP_rx_udp_malformed);
    bytes = haul_be16(udp + 4);
    if (bytes < UDP_HEADER_BYTES || bytes > packet->body_bytes || haul_be16(udp) == 0)
        return dropped(ether, HAUL_ETHER_DROP_rx_udp_malformed);
    if (!is_our_port(&ether->conf, haul_be16(udp + 2)))
        return dropped(ether, HAUL_ETHER_DROP_rx_udp_port);
    if (!found->udp_checked && !udp_sum_holds(ether, packet, bytes))
        return dropped(ether, HAUL_ETHER_DROP_rx_udp_checksum);
    *datagram = (struct haul_ether_datagram){
        .data = udp + UDP_HEADER_BYTES,
        .bytes = (uint16_t)(bytes - UDP_HEADER_BYTES),
        .port = haul_be16(udp + 2),
        .ecn = packet->ecn,
        .peer = { .family = packet->address_bytes == 4 ? 4 : 6, .port = haul_be16(udp) },
    };
    memcpy(datagram->peer.ip, packet->source, packet->address_bytes);
    return HAUL_ETHER_DATAGRAM;
}

/* --- ARP and neighbour discovery --- */

/* Somebody uses an address of ours. We keep it, say so every ten seconds at most, and tell. */
static void conflict(struct haul_ether *ether, struct own *own, const struct haul_solicit *solicit,
                     haul_time now)
{
    struct haul_ether_event event = { .type = HAUL_ETHER_CONFLICT, .ip = own->ip };

    haul_counter_add(&ether->counters.conflicts, 1);
    if (own->defended != 0 && haul_time_since(own->defended, now) < DEFEND_GAP)
        return;
    own->defended = now;
    memcpy(event.mac, solicit->mac, HAUL_MAC_BYTES);
    haul_ether_tell(ether, &event);
    if (!ether->conf.quiet && own->step > 0) {
        own->step = ANNOUNCEMENT_LAST;
        own->due = now;
    }
}

static void claimed(struct haul_ether *ether, const struct haul_solicit *solicit, bool answer,
                    haul_time now)
{
    struct haul_neighbour *entry = haul_neighbours_find(&ether->neighbours, &solicit->sender);
    struct haul_ether_event event = { .ip = solicit->sender };
    uint64_t *counter = NULL;

    memcpy(event.mac, solicit->mac, HAUL_MAC_BYTES);
    switch (
        haul_neighbours_claim(&ether->neighbours, &solicit->sender, solicit->mac, answer, now)) {
    case HAUL_CLAIM_UNASKED:
        counter = solicit->question ? NULL : &ether->counters.unasked;
        break;
    case HAUL_CLAIM_CONFIRMED:
        counter = &ether->counters.confirmed;
        break;
    case HAUL_CLAIM_MOVED:
        event.type = HAUL_ETHER_MOVED;
        haul_ether_tell(ether, &event);
        counter = &ether->counters.moved;
        break;
    case HAUL_CLAIM_CHALLENGE:
        memcpy(entry->claimant, solicit->mac, HAUL_MAC_BYTES);
        counter = &ether->counters.challenges;
        break;
    case HAUL_CLAIM_REFUSED:
        event.type = HAUL_ETHER_REFUSED;
        memcpy(event.mac, entry->claimant, HAUL_MAC_BYTES);
        haul_ether_tell(ether, &event);
        counter = &ether->counters.refused;
        break;
    }
    if (counter != NULL)
        haul_counter_add(counter, 1);
}

/* Strangers share a rate; a neighbour that we send to has its own, so that a flood of forged
 * questions cannot keep its question from being answered. */
static bool may_answer(struct haul_ether *ether, const struct haul_solicit *solicit, haul_time now)
{
    struct haul_neighbour *entry = haul_neighbours_find(&ether->neighbours, &solicit->sender);

    if (entry != NULL && haul_neighbour_known(entry) &&
        memcmp(entry->mac, solicit->mac, HAUL_MAC_BYTES) == 0 &&
        (entry->answered == 0 || haul_time_since(entry->answered, now) >= ANSWER_GAP)) {
        entry->answered = now;
        return true;
    }
    return haul_allowance_take(&ether->answers, now);
}

static enum haul_ether_verdict answer(struct haul_ether *ether, struct own *own,
                                      const struct haul_solicit *solicit,
                                      const struct arrival *arrival)
{
    struct haul_solicit_text text = {
        .kind = HAUL_SOLICIT_ANSWER,
        .vlan = ether->conf.vlan,
        .own_mac = ether->conf.mac,
        .ip = &own->ip,
        .mac = solicit->mac,
        .asker = &solicit->sender,
    };

    if (!may_answer(ether, solicit, arrival->now))
        return dropped(ether, HAUL_ETHER_DROP_rx_rate);
    if (arrival->reply_capacity < HAUL_SOLICIT_BYTES_MAX)
        return dropped(ether, HAUL_ETHER_DROP_rx_no_room);
    *arrival->reply_bytes = haul_solicit_write(arrival->reply, &text);
    haul_counter_add(
        own->ip.family == 4 ? &ether->counters.arp_answered : &ether->counters.ndp_answered, 1);
    return HAUL_ETHER_REPLY;
}

static enum haul_ether_verdict solicit_input(struct haul_ether *ether,
                                             const struct haul_solicit *solicit,
                                             const struct arrival *arrival)
{
    size_t bytes = solicit->target.family == 4 ? 4 : 16;
    struct own *target = haul_ether_own(ether, solicit->target.ip, bytes);
    struct own *sender =
        solicit->sender.family == 0 ? NULL : haul_ether_own(ether, solicit->sender.ip, bytes);

    if (memcmp(solicit->mac, ether->conf.mac, HAUL_MAC_BYTES) == 0)
        return dropped(ether, HAUL_ETHER_DROP_rx_source); /* our own, come back */
    if (sender != NULL) {
        conflict(ether, sender, solicit, arrival->now);
        return HAUL_ETHER_HANDLED;
    }
    if (solicit->sender.family != 0)
        claimed(ether, solicit, solicit->asked && (solicit->sender.family == 6 || target != NULL),
                arrival->now);
    if (!solicit->question)
        return HAUL_ETHER_HANDLED;
    if (target == NULL)
        return dropped(ether, HAUL_ETHER_DROP_rx_not_for_us);
    if (solicit->probe)
        conflict(ether, target, solicit, arrival->now);
    return answer(ether, target, solicit, arrival);
}

static enum haul_ether_verdict arp_input(struct haul_ether *ether, const struct haul_packet *packet,
                                         const struct arrival *arrival)
{
    struct haul_solicit solicit;
    enum haul_ether_drop drop = haul_arp_read(packet, &solicit);

    if (drop != HAUL_ETHER_NO_DROP)
        return dropped(ether, drop);
    return solicit_input(ether, &solicit, arrival);
}

/* --- ICMP --- */

static enum haul_ether_verdict too_big(struct haul_ether *ether, const struct haul_packet *packet)
{
    struct haul_icmp_quote quote;
    struct haul_ether_event event = { .type = HAUL_ETHER_TOO_BIG };
    enum haul_ether_drop drop = haul_icmp_quote(packet, &quote);
    const struct way *way;

    if (drop != HAUL_ETHER_NO_DROP)
        return dropped(ether, drop);
    if (!is_our_port(&ether->conf, quote.source.port) ||
        haul_ether_own(ether, quote.source.ip, packet->address_bytes) == NULL)
        return dropped(ether, HAUL_ETHER_DROP_rx_quote_foreign);
    if (quote.source.port != ether->conf.port)
        return HAUL_ETHER_HANDLED; /* another worker's, which knows whether it sent that */
    /* Only somebody we have lately sent to: the way to it is still here. */
    way = haul_ether_way_of(ether, &quote.target);
    if (!haul_addr_equal(&way->peer, &quote.target))
        return dropped(ether, HAUL_ETHER_DROP_rx_quote_foreign);
    if (quote.mtu < (packet->address_bytes == 4 ? IPV4_MTU_MIN : IPV6_MTU_MIN) ||
        quote.mtu >= ether->conf.mtu)
        return dropped(ether, HAUL_ETHER_DROP_rx_icmp_malformed);
    event.ip = quote.target;
    event.mtu = (uint16_t)quote.mtu;
    event.quote_bytes =
        (uint8_t)(quote.payload_bytes < HAUL_ETHER_QUOTE_BYTES ? quote.payload_bytes
                                                               : HAUL_ETHER_QUOTE_BYTES);
    memcpy(event.quote, quote.payload, event.quote_bytes);
    haul_ether_tell(ether, &event);
    haul_counter_add(&ether->counters.too_big, 1);
    return HAUL_ETHER_HANDLED;
}

static enum haul_ether_verdict echo(struct haul_ether *ether, const struct haul_packet *packet,
                                    const struct arrival *arrival)
{
    size_t bytes;

    if (packet->group)
        return dropped(ether, HAUL_ETHER_DROP_rx_not_for_us);
    if (!haul_allowance_take(&ether->echoes, arrival->now))
        return dropped(ether, HAUL_ETHER_DROP_rx_rate);
    bytes = haul_icmp_echo(packet, ether->conf.vlan, arrival->reply, arrival->reply_capacity);
    if (bytes == 0)
        return dropped(ether, HAUL_ETHER_DROP_rx_no_room);
    *arrival->reply_bytes = bytes;
    haul_counter_add(&ether->counters.echo_answered, 1);
    return HAUL_ETHER_REPLY;
}

static enum haul_ether_verdict icmp_input(struct haul_ether *ether,
                                          const struct haul_packet *packet,
                                          const struct arrival *arrival)
{
    enum haul_ether_drop drop = haul_icmp_check(packet);
    struct haul_solicit solicit;

    if (drop != HAUL_ETHER_NO_DROP)
        return dropped(ether, drop);
    switch (haul_icmp_kind(packet)) {
    case HAUL_ICMP_OTHER:
        return dropped(ether, HAUL_ETHER_DROP_rx_icmp_other);
    case HAUL_ICMP_ECHO:
        return echo(ether, packet, arrival);
    case HAUL_ICMP_TOO_BIG:
        return too_big(ether, packet);
    case HAUL_ICMP_SOLICIT:
        drop = haul_ndp_read(packet, &solicit);
        if (drop != HAUL_ETHER_NO_DROP)
            return dropped(ether, drop);
        return solicit_input(ether, &solicit, arrival);
    }
    return dropped(ether, HAUL_ETHER_DROP_rx_icmp_other);
}

/* --- all of it --- */

/* Multicast of IPv6 is for us when it is to all nodes, or solicits an address of ours; the message
 * inside says whether it is neighbour discovery. */
static bool group_is_ours(const struct haul_ether *ether, const uint8_t *ip)
{
    static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
    uint8_t group[16];

    if (memcmp(ip, all_nodes, 16) == 0)
        return true;
    for (size_t i = 0; i < ether->own_count; i++) {
        if (ether->own[i].ip.family != 6)
            continue;
        haul_solicited_node(ether->own[i].ip.ip, group);
        if (memcmp(ip, group, 16) == 0)
            return true;
    }
    return false;
}

static enum haul_ether_verdict ip_input(struct haul_ether *ether, const struct haul_packet *packet,
                                        struct haul_ether_datagram *datagram,
                                        const struct arrival *arrival)
{
    struct own *own = haul_ether_own(ether, packet->target, packet->address_bytes);
    bool icmp = packet->protocol == (packet->address_bytes == 4 ? HAUL_IP_ICMP : HAUL_IP_ICMPV6);
    bool probe = icmp && packet->address_bytes == 16 && packet->body_bytes > 0 &&
                 packet->body[0] == HAUL_ICMPV6_SOLICITATION && all_zero(packet->source, 16) &&
                 (packet->source_mac[0] & 1) == 0;

    if (own != NULL)
        ether->own_last = (size_t)(own - ether->own);
    else if (!icmp || packet->address_bytes == 4 || !group_is_ours(ether, packet->target))
        return dropped(ether, HAUL_ETHER_DROP_rx_not_for_us);
    if ((!source_possible(packet) && !probe) ||
        haul_ether_own(ether, packet->source, packet->address_bytes) != NULL)
        return dropped(ether, HAUL_ETHER_DROP_rx_source);
    if (packet->protocol == HAUL_IP_UDP && !packet->group)
        return udp_input(ether, packet, arrival->found, datagram);
    if (icmp)
        return icmp_input(ether, packet, arrival);
    return dropped(ether,
                   packet->group ? HAUL_ETHER_DROP_rx_not_for_us : HAUL_ETHER_DROP_rx_protocol);
}

/* The frame repeats the headers of the last datagram, length and checksums included. What was found
 * out about them depends on nothing else but the addresses and the port, which stay; only a
 * checksum over the payload must be looked at anew. */
static bool repeats(const struct last *last, const uint8_t *frame, size_t bytes,
                    const struct haul_ether_found *found)
{
    return bytes == last->bytes && last->length > 0 &&
           found->vlan_stripped == last->vlan_stripped &&
           (found->udp_checked || last->udp_unchecked) &&
           memcmp(frame, last->headers, last->length) == 0;
}

static void last_keep(struct haul_ether *ether, const uint8_t *frame, size_t bytes,
                      const struct haul_ether_found *found,
                      const struct haul_ether_datagram *datagram)
{
    size_t length = (size_t)(datagram->data - frame);
    struct last *last = &ether->last;

    last->length = 0;
    if (length > sizeof last->headers)
        return; /* IPv6 with extensions */
    memcpy(last->headers, frame, length);
    last->length = (uint8_t)length;
    last->vlan_stripped = found->vlan_stripped;
    last->udp_unchecked = datagram->data[-2] == 0 && datagram->data[-1] == 0;
    last->bytes = bytes;
    last->datagram = *datagram;
}

enum haul_ether_verdict haul_ether_input(struct haul_ether *ether, const uint8_t *frame,
                                         size_t bytes, const struct haul_ether_found *found,
                                         haul_time now, struct haul_ether_datagram *datagram,
                                         uint8_t *reply, size_t reply_capacity, size_t *reply_bytes)
{
    struct arrival arrival = {
        .found = found,
        .now = now,
        .reply = reply,
        .reply_capacity = reply_capacity,
        .reply_bytes = reply_bytes,
    };
    struct haul_packet packet;
    enum haul_ether_verdict verdict;
    enum haul_ether_drop drop;

    if (repeats(&ether->last, frame, bytes, found)) {
        *datagram = ether->last.datagram;
        datagram->data = frame + ether->last.length;
        return HAUL_ETHER_DATAGRAM;
    }
    drop = haul_packet_read(frame, bytes, ether->conf.vlan, found->vlan_stripped, found->ip_checked,
                            &packet);
    if (drop != HAUL_ETHER_NO_DROP)
        return dropped(ether, drop);
    if (!packet.group && memcmp(packet.target_mac, ether->conf.mac, HAUL_MAC_BYTES) != 0)
        return dropped(ether, HAUL_ETHER_DROP_rx_not_for_us);
    if (packet.ether_type == HAUL_ETHER_TYPE_ARP)
        return arp_input(ether, &packet, &arrival);
    verdict = ip_input(ether, &packet, datagram, &arrival);
    if (verdict == HAUL_ETHER_DATAGRAM)
        last_keep(ether, frame, bytes, found, datagram);
    return verdict;
}
