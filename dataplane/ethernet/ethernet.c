/* The Ethernet end but for its input: addresses, ways to peers, questions and announcements. */
#include "dataplane/ethernet/ethernet_parts.h"

#include <string.h>

#define ASK_GAP    (5 * HAUL_MILLISECOND) /* 200 questions a second */
#define ANSWER_GAP (2 * HAUL_MILLISECOND) /* 500 answers to strangers a second */
#define ECHO_GAP   HAUL_MILLISECOND
#define BURST      64u

#define PROBES        3u /* RFC 5227: probes, then announcements */
#define ANNOUNCEMENTS 2u
#define PROBE_GAP     HAUL_SECOND
#define ANNOUNCE_GAP  (2 * HAUL_SECOND)
#define PROBE_SPREAD                                                                               \
    (200 * HAUL_MILLISECOND) /* of the first one of all hosts that start at once                   \
                              */

bool haul_allowance_take(struct allowance *allowance, haul_time now)
{
    allowance->at = haul_time_max(allowance->at, now);
    if (allowance->at + allowance->gap > now + BURST * allowance->gap)
        return false;
    allowance->at += allowance->gap;
    return true;
}

haul_time haul_allowance_due(const struct allowance *allowance)
{
    return haul_time_since((BURST - 1) * allowance->gap, allowance->at);
}

size_t haul_ether_bytes(void)
{
    return sizeof(struct haul_ether);
}

/* The address that every interface with IPv6 has: others solicit us from theirs (RFC 4291 section
 * 2.5.6, with the identifier of appendix A). */
static void link_local_add(struct haul_ether *ether)
{
    const uint8_t *mac = ether->conf.mac;
    struct own *own = &ether->own[ether->own_count];

    for (size_t i = 0; i < ether->own_count; i++) {
        if (ether->own[i].ip.family == 6) {
            own->ip.family = 6;
            own->bits = 64;
            own->ip.ip[0] = 0xfe;
            own->ip.ip[1] = 0x80;
            memcpy(own->ip.ip + 8, mac, 3);
            own->ip.ip[8] ^= 2;
            own->ip.ip[11] = 0xff;
            own->ip.ip[12] = 0xfe;
            memcpy(own->ip.ip + 13, mac + 3, 3);
            if (haul_ether_own(ether, own->ip.ip, 16) == NULL)
                ether->own_count++;
            return;
        }
    }
}

struct haul_ether *haul_ether_init(void *memory, const struct haul_ether_conf *conf, haul_time now)
{
    struct haul_ether *ether = memory;

    haul_assert(conf->address_count > 0 && conf->address_count <= HAUL_ETHER_ADDRESSES_MAX);
    haul_assert(conf->mtu >= 1280 && conf->vlan < 4095 && conf->port > 0);
    memset(ether, 0, sizeof *ether);
    ether->conf = *conf;
    haul_neighbours_init(&ether->neighbours, conf->seed);
    ether->seed = haul_rng_next(&ether->neighbours.rng);
    for (size_t i = 0; i < conf->address_count; i++) {
        struct own *own = &ether->own[ether->own_count++];

        haul_assert(conf->addresses[i].ip.family == 4 || conf->addresses[i].ip.family == 6);
        own->ip = conf->addresses[i].ip;
        own->ip.port = 0;
        own->ip.scope = 0;
        own->bits = conf->addresses[i].bits;
    }
    link_local_add(ether);
    ether->asks = (struct allowance){ .at = now, .gap = ASK_GAP };
    ether->answers = (struct allowance){ .at = now, .gap = ANSWER_GAP };
    ether->echoes = (struct allowance){ .at = now, .gap = ECHO_GAP };
    haul_ether_link_up(ether, now);
    return ether;
}

void haul_ether_link_up(struct haul_ether *ether, haul_time now)
{
    haul_neighbours_doubt(&ether->neighbours, now);
    for (size_t i = 0; i < ether->own_count; i++) {
        ether->own[i].step = 0;
        ether->own[i].due =
            ether->conf.quiet
                ? HAUL_TIME_NEVER
                : haul_time_add(now, haul_rng_below(&ether->neighbours.rng, PROBE_SPREAD));
    }
}

struct own *haul_ether_own(struct haul_ether *ether, const uint8_t *ip, size_t bytes)
{
    uint8_t family = bytes == 4 ? 4 : 6;
    struct own *last = &ether->own[ether->own_last];

    if (last->ip.family == family && memcmp(last->ip.ip, ip, bytes) == 0)
        return last;
    for (size_t i = 0; i < ether->own_count; i++) {
        if (ether->own[i].ip.family == family && memcmp(ether->own[i].ip.ip, ip, bytes) == 0)
            return &ether->own[i];
    }
    return NULL;
}

/* --- ways --- */

static bool prefix_holds(const struct own *own, const struct haul_addr *addr)
{
    struct haul_prefix prefix = { .family = own->ip.family, .bits = own->bits };
    size_t whole = own->bits / 8;

    memcpy(prefix.ip, own->ip.ip, whole);
    if (own->bits % 8 != 0)
        prefix.ip[whole] = (uint8_t)(own->ip.ip[whole] & 0xff << (8 - own->bits % 8));
    return haul_prefix_holds(&prefix, addr);
}

/* Whom to hand a packet for the peer to, and which address of ours it comes from: directly where a
 * prefix of ours holds the peer, by the gateway elsewhere. NULL without a route. */
static const struct haul_addr *next_hop(const struct haul_ether *ether,
                                        const struct haul_addr *peer, const struct own **own)
{
    const struct haul_addr *gateway =
        peer->family == 4 ? &ether->conf.gateway_ipv4 : &ether->conf.gateway_ipv6;
    const struct own *first = NULL;

    for (size_t i = 0; i < ether->own_count; i++) {
        const struct own *candidate = &ether->own[i];

        if (candidate->ip.family != peer->family)
            continue;
        if (prefix_holds(candidate, peer)) {
            *own = candidate;
            return peer;
        }
        if (first == NULL)
            first = candidate;
    }
    if (gateway->family != peer->family || first == NULL || haul_addr_scope(peer) == HAUL_ADDR_LINK)
        return NULL;
    *own = first;
    return gateway;
}

struct way *haul_ether_way_of(struct haul_ether *ether, const struct haul_addr *peer)
{
    uint64_t halves[2], hash;

    memcpy(halves, peer->ip, sizeof halves);
    hash = (halves[0] ^ ether->seed) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ hash >> 29 ^ halves[1] ^ peer->port) * (ether->seed | 1);
    return &ether->ways[(hash >> 40) % WAYS_MAX];
}

static void way_make(struct haul_ether *ether, struct way *way, const struct haul_addr *peer,
                     const struct own *own, const struct haul_neighbour *neighbour)
{
    struct haul_ether_ends ends = {
        .source_mac = ether->conf.mac,
        .target_mac = neighbour->mac,
        .source_ip = own->ip.ip,
        .target_ip = peer->ip,
        .family = peer->family,
        .vlan = ether->conf.vlan,
        .source_port = ether->conf.port,
        .target_port = peer->port,
        .mtu = ether->conf.mtu,
        .flow_label = (uint32_t)((size_t)(way - ether->ways) * 0x9e3779b1u >> 12 & 0xfffff),
    };

    way->peer = *peer;
    way->neighbour = (uint16_t)(neighbour - ether->neighbours.entries);
    way->generation = neighbour->generation;
    haul_ether_header_init(&way->header, &ends);
}

/* An address that nobody has: neither a peer nor a next hop can be there. */
static bool sendable(struct haul_ether *ether, const struct haul_addr *peer)
{
    enum haul_addr_scope scope = haul_addr_scope(peer);
    bool multicast = peer->family == 4 ? peer->ip[0] >= 224 : peer->ip[0] == 0xff;

    return (peer->family == 4 || peer->family == 6) && peer->port != 0 && !multicast &&
           scope != HAUL_ADDR_LOOPBACK &&
           haul_ether_own(ether, peer->ip, peer->family == 4 ? 4 : 16) == NULL;
}

enum haul_ether_way haul_ether_resolve(struct haul_ether *ether, const struct haul_addr *peer,
                                       haul_time now, struct haul_ether_header *header)
{
    struct way *way = haul_ether_way_of(ether, peer);
    struct haul_neighbour *neighbour = &ether->neighbours.entries[way->neighbour];
    const struct haul_addr *hop = NULL;
    const struct own *own = NULL;

    if (way->generation == neighbour->generation && haul_neighbour_known(neighbour) &&
        haul_addr_equal(&way->peer, peer)) {
        haul_neighbour_touch(&ether->neighbours, neighbour, now);
        *header = way->header;
        return HAUL_ETHER_READY;
    }
    if (sendable(ether, peer))
        hop = next_hop(ether, peer, &own);
    if (hop == NULL) {
        haul_counter_add(&ether->counters.no_route, 1);
        return HAUL_ETHER_NO_WAY;
    }
    neighbour = haul_neighbours_use(&ether->neighbours, hop, now);
    if (neighbour == NULL) {
        haul_counter_add(&ether->counters.table_full, 1);
        return HAUL_ETHER_NO_WAY;
    }
    if (!haul_neighbour_known(neighbour))
        return neighbour->state == HAUL_NEIGHBOUR_FAILED ? HAUL_ETHER_NO_WAY : HAUL_ETHER_PENDING;
    way_make(ether, way, peer, own, neighbour);
    *header = way->header;
    return HAUL_ETHER_READY;
}

/* --- questions and announcements --- */

static size_t announce(struct haul_ether *ether, struct own *own, haul_time now, uint8_t *frame)
{
    struct haul_solicit_text text = {
        .kind = own->step < PROBES ? HAUL_SOLICIT_PROBE : HAUL_SOLICIT_ANNOUNCE,
        .vlan = ether->conf.vlan,
        .own_mac = ether->conf.mac,
        .own = &own->ip,
        .ip = &own->ip,
    };

    own->step++;
    if (own->step < PROBES)
        own->due = haul_time_add(now, PROBE_GAP);
    else if (own->step < PROBES + ANNOUNCEMENTS)
        own->due = haul_time_add(now, ANNOUNCE_GAP);
    else
        own->due = HAUL_TIME_NEVER;
    haul_counter_add(&ether->counters.announced, 1);
    return haul_solicit_write(frame, &text);
}

static size_t ask(struct haul_ether *ether, const struct haul_addr *ip, const uint8_t *mac,
                  uint8_t *frame)
{
    struct haul_solicit_text text = {
        .kind = HAUL_SOLICIT_ASK,
        .vlan = ether->conf.vlan,
        .own_mac = ether->conf.mac,
        .ip = ip,
        .mac = mac,
    };

    for (size_t i = ether->own_count; i > 0; i--) {
        const struct own *own = &ether->own[i - 1];

        if (own->ip.family == ip->family && (text.own == NULL || prefix_holds(own, ip)))
            text.own = &own->ip;
    }
    haul_assert(text.own != NULL);
    haul_counter_add(&ether->counters.asked, 1);
    return haul_solicit_write(frame, &text);
}

size_t haul_ether_poll(struct haul_ether *ether, haul_time now, uint8_t *frame)
{
    struct haul_addr ip;
    uint8_t mac[HAUL_MAC_BYTES];

    for (size_t i = 0; i < ether->own_count; i++) {
        if (now >= ether->own[i].due)
            return announce(ether, &ether->own[i], now, frame);
    }
    while (now >= ether->neighbours.due) {
        enum haul_neighbour_step step;

        if (!haul_allowance_take(&ether->asks, now))
            return 0;
        step = haul_neighbours_step(&ether->neighbours, now, &ip, mac);
        if (step == HAUL_STEP_ASK_ALL || step == HAUL_STEP_ASK_ONE)
            return ask(ether, &ip, step == HAUL_STEP_ASK_ONE ? mac : NULL, frame);
        if (step == HAUL_STEP_LOST) {
            struct haul_ether_event event = { .type = HAUL_ETHER_LOST, .ip = ip };

            memcpy(event.mac, mac, HAUL_MAC_BYTES);
            haul_counter_add(&ether->counters.lost, 1);
            haul_ether_tell(ether, &event);
        }
    }
    return 0;
}

haul_time haul_ether_deadline(const struct haul_ether *ether)
{
    haul_time due = ether->neighbours.due;

    if (due != HAUL_TIME_NEVER)
        due = haul_time_max(due, haul_allowance_due(&ether->asks));
    for (size_t i = 0; i < ether->own_count; i++)
        due = haul_time_min(due, ether->own[i].due);
    return due;
}

/* --- events, counters, gauges --- */

void haul_ether_tell(struct haul_ether *ether, const struct haul_ether_event *event)
{
    if (ether->event_count == EVENTS_MAX) {
        haul_counter_add(&ether->counters.events_lost, 1);
        return;
    }
    ether->events[(ether->event_first + ether->event_count++) % EVENTS_MAX] = *event;
}

bool haul_ether_event(struct haul_ether *ether, struct haul_ether_event *event)
{
    if (ether->event_count == 0)
        return false;
    *event = ether->events[ether->event_first];
    ether->event_first = (ether->event_first + 1) % EVENTS_MAX;
    ether->event_count--;
    return true;
}

const struct haul_ether_counters *haul_ether_counters(const struct haul_ether *ether)
{
    return &ether->counters;
}

size_t haul_ether_groups(const struct haul_ether *ether,
                         uint8_t macs[HAUL_ETHER_GROUPS_MAX][HAUL_MAC_BYTES])
{
    static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
    size_t count = 0;

    for (size_t i = 0; i < ether->own_count; i++) {
        uint8_t group[16];

        if (ether->own[i].ip.family != 6)
            continue;
        if (count == 0)
            haul_group_mac(all_nodes, macs[count++]);
        haul_solicited_node(ether->own[i].ip.ip, group);
        haul_group_mac(group, macs[count++]);
    }
    return count;
}

uint32_t haul_ether_neighbours(const struct haul_ether *ether)
{
    return ether->neighbours.count;
}
