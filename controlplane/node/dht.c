/* From the configuration to the DHT that the node joins, and what it announces there. */
#include "controlplane/dht/dht.h"
#include "common/conf_value.h"
#include "common/log.h"
#include "controlplane/behaviours/relay.h"
#include "controlplane/grants/grants.h"
#include "controlplane/node/controlplane_parts.h"
#include "controlplane/transfer/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PER_BUCKET 2u /* contacts of one network in a bucket, where networks count */

/* Every entry must name whom it leads to: nobody else is to answer there. */
static int bootstrap_read(const struct haul_conf *conf, struct haul_multiaddr *addresses,
                          size_t *count, struct haul_error *error)
{
    const char *cursor = haul_conf_text(conf, HAUL_CONF_DHT_BOOTSTRAP), *item;
    struct haul_peer_id peer;
    size_t bytes;

    *count = 0;
    while (haul_conf_item_next(&cursor, &item, &bytes)) {
        char text[HAUL_CONF_TEXT_BYTES];

        snprintf(text, sizeof text, "%.*s", (int)bytes, item);
        if (*count == HAUL_DHT_BOOTSTRAP_MAX || !haul_multiaddr_parse(text, &addresses[*count]))
            return haul_fail(error, HAUL_E_CONFIG_KEY, "dht.bootstrap: '%.120s' is no multiaddr",
                             text);
        if (!haul_multiaddr_peer(&addresses[*count], &peer))
            return haul_fail(error, HAUL_E_CONFIG_KEY, "dht.bootstrap: '%.120s' names no peer",
                             text);
        ++*count;
    }
    return 0;
}

/* A connection without a stream may carry a flow, or belong to a transfer. */
static bool connection_needed(void *context, uint64_t connection)
{
    struct haul_controlplane *plane = context;
    struct haul_connection_facts known;
    struct haul_grant_facts grant;

    if (!haul_host_facts(plane->parts.host, connection, &known))
        return false;
    for (uint32_t flow = 0; flow < HAUL_FLOWS_MAX; flow++) {
        if (haul_grants_facts(plane->parts.grants, flow, &grant) &&
            haul_peer_id_equal(&grant.peer, &known.peer))
            return true;
    }
    return haul_transfers_use(plane->transfers, connection) ||
           haul_relay_needs(plane->relay, connection);
}

/* "/haul" and "/kad/1.0.0"; a prefix that ends in the latter is taken as it is. */
static void protocol_name(struct haul_controlplane *plane)
{
    const char *prefix = haul_conf_text(plane->conf.conf, HAUL_CONF_DHT_PREFIX);

    snprintf(plane->dht_protocol, sizeof plane->dht_protocol, "%.*s/kad/1.0.0",
             (int)sizeof plane->dht_protocol - 16, prefix);
}

int haul_node_dht_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    uint64_t per_network = haul_conf_number(conf, HAUL_CONF_DHT_PER_NETWORK);
    struct haul_multiaddr bootstrap[HAUL_DHT_BOOTSTRAP_MAX];
    struct haul_dht_conf dht = {
        .loop = plane->parts.loop,
        .key = plane->conf.key,
        .server = haul_conf_is(conf, HAUL_CONF_DHT_MODE, "server"),
        .floor = haul_conf_is(conf, HAUL_CONF_DHT_ADDRESSES, "any") ? HAUL_ADDR_LOOPBACK
                                                                    : HAUL_ADDR_PUBLIC,
        .lookup = haul_kad_lookup_default,
        .bootstrap = bootstrap,
        .dns_servers = haul_conf_text(conf, HAUL_CONF_DNS_SERVERS),
        .republish = haul_conf_number(conf, HAUL_CONF_DHT_REPUBLISH),
        .context = plane,
        .needed = connection_needed,
    };

    if (haul_conf_is(conf, HAUL_CONF_DHT_MODE, "off"))
        return 0;
    if (bootstrap_read(conf, bootstrap, &dht.bootstrap_count, error) < 0)
        return -1;
    if (per_network != HAUL_CONF_NONE) {
        dht.limits.group_table_max = (uint8_t)(per_network < 255 ? per_network : 255);
        dht.limits.group_bucket_max =
            (uint8_t)(per_network < PER_BUCKET ? per_network : PER_BUCKET);
        dht.lookup.group_max = (uint8_t)(per_network < 127 ? 2 * per_network : 255);
        dht.lookup.group_near_max = dht.limits.group_bucket_max;
    }
    protocol_name(plane);
    return haul_dht_open(&plane->parts.dht, &dht, error);
}

void haul_node_dht_start(struct haul_controlplane *plane)
{
    struct haul_dataset *dataset;
    uint64_t cursor = 0;

    if (plane->parts.dht == NULL)
        return;
    haul_dht_start(plane->parts.dht, plane->parts.host);
    dataset = calloc(1, sizeof *dataset);
    while (dataset != NULL && haul_catalog_next(plane->parts.catalog, &cursor, dataset)) {
        if (dataset->announced && dataset->shared_to_all &&
            haul_dht_announce(plane->parts.dht, &dataset->root.hash, NULL) < 0)
            haul_log(HAUL_LOG_WARN, "announce-limit", "datasets=%zu",
                     haul_dht_announced_count(plane->parts.dht));
    }
    free(dataset);
}

void haul_node_dht_facts(const struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_dht *dht = plane->parts.dht;
    const struct haul_kad_server *server;
    const struct haul_dht_counters *counters;
    const struct haul_kad_counters *streams;

    if (dht == NULL)
        return;
    server = haul_dht_server(dht);
    counters = haul_dht_counters(dht);
    streams = haul_kad_counters(haul_dht_kad(dht));
    haul_facts_text(facts, "dht", "mode", haul_dht_serves(dht) ? "server" : "client", "");
    haul_facts_text(facts, "dht", "protocol", plane->dht_protocol, "");
    haul_facts_number(facts, "dht", "peers", server->table->count, "in the routing table");
    haul_facts_number(facts, "dht", "provider_records", server->providers->count,
                      "kept for others");
    haul_facts_number(facts, "dht", "address_book", server->book->count,
                      "peers whose addresses are known");
    haul_facts_number(facts, "dht", "announced_datasets", haul_dht_announced_count(dht), "");
#define X(name, help) haul_facts_number(facts, "dht", #name, counters->name, help);
    HAUL_DHT_COUNTERS(X)
#undef X
#define X(name, help) haul_facts_number(facts, "dht", #name, streams->name, help);
    HAUL_KAD_COUNTERS(X)
#undef X
#define X(name, help) haul_facts_number(facts, "dht", #name, server->counters.name, help);
    HAUL_KAD_SERVER_COUNTERS(X)
#undef X
#define X(name, help) haul_facts_number(facts, "dht", #name, server->table->counters.name, help);
    HAUL_KAD_TABLE_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    haul_facts_number(facts, "dht", #name, server->providers->counters.name, help);
    HAUL_KAD_PROVIDERS_COUNTERS(X)
#undef X
#define X(name, help) haul_facts_number(facts, "dht", #name, server->records->counters.name, help);
    HAUL_KAD_RECORDS_COUNTERS(X)
#undef X
#define X(name, help) haul_facts_number(facts, "dht", #name, server->book->counters.name, help);
    HAUL_ADDRESS_BOOK_COUNTERS(X)
#undef X
}
