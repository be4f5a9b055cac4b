/* What `haul status` shows. Counters come from their tables, so that a new one shows by itself. */
#include "common/counters.h"
#include "controlplane/behaviours/blocks.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/behaviours/perf.h"
#include "controlplane/grants/grants.h"
#include "controlplane/node/controlplane_parts.h"
#include "controlplane/seam/placing.h"
#include "controlplane/transfer/transfer.h"
#include "controlplane/usage.h"

#include <stdio.h>
#include <unistd.h>

static void own_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    char text[HAUL_MULTIADDR_TEXT_BYTES];
    size_t count;

    haul_peer_id_print(&plane->conf.key->id, text);
    haul_facts_text(facts, "node", "peer", text, "");
    if (plane->is_private) {
        haul_psk_print(&plane->psk, text);
        haul_facts_text(facts, "node", "network", text, "private; the same on all members");
    }
    haul_facts_text(facts, "node", "version", HAUL_VERSION, "");
    haul_facts_text(facts, "node", "home", plane->conf.home->path, "");
    haul_facts_number(facts, "node", "pid", (uint64_t)getpid(), "");
    haul_facts_real(facts, "node", "uptime_s",
                    (double)haul_time_since(plane->started, haul_loop_now(plane->parts.loop)) / 1e9,
                    "");
    haul_facts_real(facts, "node", "cpu_s", (double)haul_usage_cpu() / 1e9, "");
    haul_facts_number(facts, "node", "peak_rss_bytes", haul_usage_peak_bytes(getpid()),
                      "huge pages included");
    count = haul_host_addresses(plane->parts.host, addresses, HAUL_COUNT_OF(addresses));
    for (size_t i = 0; i < count; i++) {
        haul_multiaddr_print(&addresses[i], text);
        haul_facts_text(facts, "node", "address", text, "");
    }
    count = haul_host_told(plane->parts.host, addresses, HAUL_COUNT_OF(addresses));
    for (size_t i = 0; i < count; i++) {
        haul_multiaddr_print(&addresses[i], text);
        haul_facts_text(facts, "node", "announced_address", text, "");
    }
}

static void perf_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_perf_counters *counters;

    if (plane->perf == NULL)
        return;
    counters = haul_perf_counters(plane->perf);
#define X(name, help)                                                                              \
    haul_facts_number(facts, "perf", #name, haul_counter_read(&counters->name), help);
    HAUL_PERF_COUNTERS(X)
#undef X
}

static void host_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_host_counters *counters = haul_host_counters(plane->parts.host);
    const struct haul_select_unspoken *unspoken = haul_host_unspoken(plane->parts.host);
    struct haul_host_usage usage;

    haul_host_usage(plane->parts.host, &usage);
    haul_facts_number(facts, "host", "connections", usage.connections, "now");
    haul_facts_number(facts, "host", "inbound", usage.inbound, "of these, opened by peers");
    haul_facts_number(facts, "host", "half_open", usage.half_open, "of these, not yet proven");
    haul_facts_number(facts, "host", "inbound_streams", usage.inbound_streams, "now");
    haul_facts_number(facts, "host", "held_bytes", usage.held_bytes, "received and not yet taken");
    haul_facts_number(facts, "host", "window_bytes_left", usage.window_bytes_left,
                      "by which windows may still grow");
    haul_facts_number(facts, "host", "seal_threads", plane->seal_threads,
                      "that seal and open bulk of streams");
    haul_facts_number(facts, "host", "peers_allowed", haul_gate_allow_count(plane->gate),
                      "entries of peers.allow");
    haul_facts_number(facts, "host", "peers_denied", haul_gate_deny_count(plane->gate),
                      "entries of peers.deny");

#define X(name, help)                                                                              \
    haul_facts_number(facts, "host", #name, haul_counter_read(&counters->name), help);
    HAUL_HOST_COUNTERS(X)
#undef X
    haul_facts_number(facts, "host", "protocols_refused", unspoken->count,
                      "times a peer asked for a protocol that this node does not speak");
    haul_facts_text(facts, "host", "protocol_refused_last", unspoken->last, "the last of these");
}

static void protocol_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_offers_counters *offers = haul_offers_counters(plane->parts.offers);
    const struct haul_grants_counters *grants = haul_grants_counters(plane->parts.grants);
    const struct haul_blocks_counters *blocks = haul_blocks_counters(plane->parts.blocks);

#define X(name, help)                                                                              \
    haul_facts_number(facts, "offers", #name, haul_counter_read(&offers->name), help);
    HAUL_OFFERS_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    haul_facts_number(facts, "grants", #name, haul_counter_read(&grants->name), help);
    HAUL_GRANTS_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    haul_facts_number(facts, "blocks", #name, haul_counter_read(&blocks->name), help);
    HAUL_BLOCKS_COUNTERS(X)
#undef X
}

static void way_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    haul_facts_number(facts, "ways", "most", plane->parts.ways_max > 1 ? plane->parts.ways_max : 1,
                      "connections of a get over streams");
    haul_facts_number(facts, "ways", "further", haul_transfers_further(plane->transfers),
                      "further ones, now");
#define X(name, help)                                                                              \
    haul_facts_number(facts, "ways", #name, haul_counter_read(&plane->ways.name), help);
    HAUL_WAY_COUNTERS(X)
#undef X
}

static void connection_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    uint64_t connection = 0;

    while ((connection = haul_host_next(plane->parts.host, connection)) != 0) {
        struct haul_connection_facts known;
        char peer[HAUL_PEER_ID_TEXT_BYTES];
        char address[HAUL_ADDR_TEXT_BYTES];
        char text[256];

        if (!haul_host_facts(plane->parts.host, connection, &known))
            continue;
        haul_peer_id_print(&known.peer, peer);
        haul_addr_print(&known.remote, address);
        if (known.relayed)
            snprintf(address, sizeof address, "relayed");
        snprintf(text, sizeof text, "%s %s %s %s %s", peer, address, known.inbound ? "in" : "out",
                 haul_security_name(known.security), known.agent);
        haul_facts_text(facts, "connections", "connection", text, "");
    }
}

/* What a flow is for: it joins the counters of a net to those of a transfer. */
static void grant_facts(struct haul_controlplane *plane, const struct haul_facts *facts,
                        const char *group, uint32_t flow)
{
    struct haul_grant_facts grant;
    char peer[HAUL_PEER_ID_TEXT_BYTES], cid[HAUL_CID_TEXT_BYTES];

    if (!haul_grants_facts(plane->parts.grants, flow, &grant))
        return;
    haul_peer_id_print(&grant.peer, peer);
    haul_cid_print(&grant.root, cid);
    haul_facts_text(facts, group, "carrier", grant.via == HAUL_VIA_DPDK ? "dpdk" : "udp", "");
    haul_facts_text(facts, group, "peer", peer, "");
    haul_facts_text(facts, group, "cid", cid, "");
    haul_facts_text(facts, group, "role", grant.asker ? "gets" : "gives", "");
}

/* Flows that have ever moved a byte, with the counters that matter. */
static void flow_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        const struct haul_flow_stats *stats = haul_orders_stats(plane->parts.orders, i);
        char group[16];

        if (haul_counter_read(&stats->tx_datagrams) + haul_counter_read(&stats->rx_datagrams) == 0)
            continue;
        snprintf(group, sizeof group, "flow-%u", i);
        grant_facts(plane, facts, group, i);
        if (haul_orders_workers(plane->parts.orders) > 1)
            haul_facts_number(facts, group, "worker",
                              haul_placing_worker(i, haul_orders_workers(plane->parts.orders)),
                              "on which it runs");
#define X(name, help) haul_facts_number(facts, group, #name, haul_counter_read(&stats->name), help);
        HAUL_FLOW_STATS(X)
#undef X
    }
}

void haul_controlplane_facts(struct haul_controlplane *plane, const struct haul_facts *facts)
{
    own_facts(plane, facts);
    plane->conf.plane_facts(plane->conf.plane_context, facts);
    haul_node_dht_facts(plane, facts);
    haul_node_nat_facts(plane, facts);
    haul_node_relays_facts(plane, facts);
    connection_facts(plane, facts);
    host_facts(plane, facts);
    protocol_facts(plane, facts);
    way_facts(plane, facts);
    perf_facts(plane, facts);
    flow_facts(plane, facts);
}
