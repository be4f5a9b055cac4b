/* How the node looks from outside: what peers see of it, and whether they can dial it. */
#include "common/counters.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/behaviours/relay.h"
#include "controlplane/dht/dht.h"
#include "controlplane/nat/mapping.h"
#include "controlplane/nat/neighbours.h"
#include "controlplane/nat/reachability.h"
#include "controlplane/node/controlplane_parts.h"

#include <stdio.h>
#include <string.h>

/* Who cannot be dialled is of no use to others: what the configuration leaves open follows from how
 * peers elsewhere see this node. */
static void on_reach(void *context, enum haul_reach reach)
{
    struct haul_controlplane *plane = context;
    bool serve = reach == HAUL_REACH_REACHABLE;

    if (plane->parts.dht != NULL && haul_conf_is(plane->conf.conf, HAUL_CONF_DHT_MODE, "auto"))
        haul_dht_serve(plane->parts.dht, serve);
    if (haul_conf_is(plane->conf.conf, HAUL_CONF_RELAY_SERVE, "auto"))
        haul_relay_offer(plane->relay, serve);
}

int haul_node_nat_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    const struct haul_reachability_conf reach = {
        .loop = plane->parts.loop,
        .serve = haul_conf_is(conf, HAUL_CONF_NAT_SERVE, "on")    ? HAUL_SERVE_ON
                 : haul_conf_is(conf, HAUL_CONF_NAT_SERVE, "off") ? HAUL_SERVE_OFF
                                                                  : HAUL_SERVE_AUTO,
        .floor = HAUL_ADDR_PRIVATE,
        .context = plane,
        .changed = on_reach,
    };

    plane->reach = haul_reachability_open(&reach);
    return plane->reach != NULL ? 0 : haul_fail(error, HAUL_E_SYSTEM, "no memory for reachability");
}

/* What the gateway forwards now is asked about, told, and offered to the fast path. */
static void on_mapped(void *context)
{
    struct haul_controlplane *plane = context;
    struct haul_multiaddr addresses[HAUL_COUNT_OF(plane->mappings)];
    struct haul_addr external, udp[HAUL_COUNT_OF(plane->mappings)];
    size_t tcp_count = 0, udp_count = 0;

    memset(addresses, 0, sizeof addresses);
    for (size_t i = 0; i < HAUL_COUNT_OF(plane->mappings); i++) {
        if (plane->mappings[i] == NULL)
            continue;
        if (haul_mapping_external(plane->mappings[i], true, &external))
            haul_multiaddr_from_tcp(&addresses[tcp_count++], &external);
        udp_count += haul_mapping_external(plane->mappings[i], false, &udp[udp_count]);
    }
    haul_reachability_mapped(plane->reach, addresses, tcp_count);
    haul_offers_mapped(plane->parts.offers, udp, udp_count);
}

/* The port on which other machines can dial us over this family; 0: there is none. */
static uint16_t tcp_port(const struct haul_controlplane *plane, uint8_t family)
{
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t count = haul_host_addresses(plane->parts.host, addresses, HAUL_COUNT_OF(addresses));
    struct haul_addr addr;

    for (size_t i = 0; i < count; i++) {
        if (haul_multiaddr_tcp(&addresses[i], &addr) && addr.family == family &&
            haul_addr_scope(&addr) >= HAUL_ADDR_PRIVATE)
            return addr.port;
    }
    return 0;
}

/* A socket bound to any address of IPv6 (SPECIAL) takes IPv4 as well. */
static uint16_t udp_port(const struct haul_controlplane *plane, uint8_t family)
{
    const struct haul_addr *udp = &plane->conf.udp;
    enum haul_addr_scope scope = haul_addr_scope(udp);
    bool serves = udp->family == family || (udp->family == 6 && scope == HAUL_ADDR_SPECIAL);

    return serves && scope >= HAUL_ADDR_PRIVATE ? udp->port : 0;
}

static void mapping_start(struct haul_controlplane *plane)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(plane->mappings); i++) {
        const uint8_t family = i == 0 ? 4 : 6;
        const struct haul_mapping_conf conf = { .loop = plane->parts.loop,
                                                .family = family,
                                                .tcp = tcp_port(plane, family),
                                                .udp = udp_port(plane, family),
                                                .context = plane,
                                                .changed = on_mapped };

        if (haul_conf_is(plane->conf.conf, HAUL_CONF_NAT_MAP, "auto") &&
            (conf.tcp != 0 || conf.udp != 0))
            plane->mappings[i] = haul_mapping_open(&conf);
    }
}

int haul_node_nat_start(struct haul_controlplane *plane, struct haul_error *error)
{
    haul_reachability_start(plane->reach, plane->parts.host);
    mapping_start(plane);
    return haul_conf_is(plane->conf.conf, HAUL_CONF_PEERS_MDNS, "on")
               ? haul_neighbours_open(&plane->neighbours, plane->parts.host, error)
               : 0;
}

bool haul_node_nat_release(struct haul_controlplane *plane)
{
    bool released = true;

    for (size_t i = 0; i < HAUL_COUNT_OF(plane->mappings); i++) {
        if (plane->mappings[i] != NULL && !haul_mapping_release(plane->mappings[i]))
            released = false;
    }
    return released;
}

bool haul_node_nat_released(const struct haul_controlplane *plane)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(plane->mappings); i++) {
        if (plane->mappings[i] != NULL && !haul_mapping_released(plane->mappings[i]))
            return false;
    }
    return true;
}

void haul_node_nat_stop(struct haul_controlplane *plane)
{
    haul_neighbours_stop(plane->neighbours);
    for (size_t i = 0; i < HAUL_COUNT_OF(plane->mappings); i++) {
        haul_mapping_close(plane->mappings[i]);
        plane->mappings[i] = NULL;
    }
    haul_reachability_stop(plane->reach);
}

void haul_node_nat_close(struct haul_controlplane *plane)
{
    haul_neighbours_close(plane->neighbours);
    plane->neighbours = NULL;
    haul_reachability_close(plane->reach);
    plane->reach = NULL;
}

static void neighbour_facts(const struct haul_neighbours *neighbours,
                            const struct haul_facts *facts)
{
    const struct haul_neighbours_counters *counters;
    char text[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_peer_id peer;

    if (neighbours == NULL)
        return;
    counters = haul_neighbours_counters(neighbours);
    for (size_t i = 0; haul_neighbours_peer(neighbours, i, &peer); i++) {
        haul_peer_id_print(&peer, text);
        haul_facts_text(facts, "neighbours", "peer", text, "");
    }
#define X(name, help)                                                                              \
    haul_facts_number(facts, "neighbours", #name, haul_counter_read(&counters->name), help);
    HAUL_NEIGHBOURS_COUNTERS(X)
#undef X
}

static void mapping_facts(const struct haul_mapping *mapping, const char *section,
                          const struct haul_facts *facts)
{
    const struct haul_mapping_counters *counters;
    char text[HAUL_ADDR_TEXT_BYTES];
    struct haul_addr addr;

    if (mapping == NULL)
        return;
    counters = haul_mapping_counters(mapping);
    haul_facts_text(facts, section, "method", haul_mapping_method(mapping), "");
    for (unsigned tcp = 0; tcp < 2; tcp++) {
        if (!haul_mapping_external(mapping, tcp == 1, &addr))
            continue;
        haul_addr_print(&addr, text);
        haul_facts_text(facts, section, tcp == 1 ? "tcp" : "udp", text, "forwarded to this node");
    }
#define X(name, help)                                                                              \
    haul_facts_number(facts, section, #name, haul_counter_read(&counters->name), help);
    HAUL_MAPPING_COUNTERS(X)
#undef X
}

void haul_node_nat_facts(const struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_autonat *autonat = haul_reachability_autonat(plane->reach);
    const struct haul_autonat_counters *counters = haul_autonat_counters(autonat);
    const struct haul_observed *observed = haul_reachability_observed(plane->reach);
    struct haul_reachability_fact fact;

    haul_facts_text(facts, "reachability", "node",
                    haul_reach_name(haul_reachability_of(plane->reach)), "by peers elsewhere");
    haul_facts_flag(facts, "reachability", "serves", haul_autonat_serves(autonat),
                    "dials peers that ask whether they can be reached");
    for (size_t i = 0; haul_reachability_fact(plane->reach, i, &fact); i++) {
        char address[HAUL_MULTIADDR_TEXT_BYTES];
        char text[HAUL_MULTIADDR_TEXT_BYTES + 64];

        haul_multiaddr_print(&fact.address, address);
        snprintf(text, sizeof text, "%s %s confidence=%d source=%s", address,
                 haul_reach_name(fact.reach), fact.points, fact.source);
        haul_facts_text(facts, "reachability", "address", text, "");
    }
#define X(name, help)                                                                              \
    haul_facts_number(facts, "reachability", #name, observed->counters.name, help);
    HAUL_OBSERVED_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    haul_facts_number(facts, "reachability", #name, haul_counter_read(&counters->name), help);
    HAUL_AUTONAT_COUNTERS(X)
#undef X
    mapping_facts(plane->mappings[0], "mapping", facts);
    mapping_facts(plane->mappings[1], "mapping_ipv6", facts);
    neighbour_facts(plane->neighbours, facts);
}
