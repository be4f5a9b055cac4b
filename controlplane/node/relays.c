/* Through others: the relay that this node is, if the configuration says so, the relays at which it
 * keeps a place, and the direct ways that it looks for to peers whom it met through them. */
#include "common/conf_value.h"
#include "common/counters.h"
#include "controlplane/behaviours/dcutr.h"
#include "controlplane/behaviours/relay.h"
#include "controlplane/node/controlplane_parts.h"

#include <stdio.h>

static uint64_t number_or_none(const struct haul_conf *conf, enum haul_conf_key key)
{
    uint64_t number = haul_conf_number(conf, key);

    return number == HAUL_CONF_NONE ? 0 : number;
}

static int relays_read(const struct haul_conf *conf, struct haul_multiaddr *relays, size_t *count,
                       struct haul_error *error)
{
    const char *cursor = haul_conf_text(conf, HAUL_CONF_RELAY_USE), *item;
    size_t bytes;

    *count = 0;
    while (haul_conf_item_next(&cursor, &item, &bytes)) {
        char text[HAUL_CONF_TEXT_BYTES];

        snprintf(text, sizeof text, "%.*s", (int)bytes, item);
        if (*count == HAUL_RELAY_PLACES_MAX)
            return haul_fail(error, HAUL_E_CONFIG_KEY, "relay.use: more than %u relays",
                             HAUL_RELAY_PLACES_MAX);
        if (!haul_multiaddr_parse(text, &relays[*count]))
            return haul_fail(error, HAUL_E_CONFIG_KEY, "relay.use: '%.120s' is no multiaddr", text);
        ++*count;
    }
    return 0;
}

int haul_node_relays_open(struct haul_controlplane *plane, struct haul_error *error)
{
    const struct haul_conf *conf = plane->conf.conf;
    struct haul_multiaddr relays[HAUL_RELAY_PLACES_MAX];
    struct haul_relay_conf relay = {
        .loop = plane->parts.loop,
        .key = plane->conf.key,
        .serve = haul_conf_is(conf, HAUL_CONF_RELAY_SERVE, "true"),
        .limits = {
            .reservations_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_RELAY_PLACES),
            .reservations_per_address_max =
                (uint32_t)haul_conf_number(conf, HAUL_CONF_RELAY_PLACES_PER_ADDRESS),
            .circuits_max = (uint32_t)haul_conf_number(conf, HAUL_CONF_RELAY_CIRCUITS),
            .circuits_per_peer_max =
                (uint32_t)haul_conf_number(conf, HAUL_CONF_RELAY_CIRCUITS_PER_PEER),
            .pace = { .per_peer = (uint32_t)haul_conf_number(conf, HAUL_CONF_RELAY_PACE_PER_PEER),
                      .per_network =
                          (uint32_t)haul_conf_number(conf, HAUL_CONF_RELAY_PACE_PER_NETWORK) },
            .reservation_life = haul_conf_number(conf, HAUL_CONF_RELAY_PLACE_TIME),
            .circuit = { .seconds = (uint32_t)(number_or_none(conf, HAUL_CONF_RELAY_CIRCUIT_TIME) /
                                               HAUL_SECOND),
                         .bytes = number_or_none(conf, HAUL_CONF_RELAY_CIRCUIT_BYTES) },
        },
        .relays = relays,
    };

    const struct haul_dcutr_conf dcutr = {
        .loop = plane->parts.loop,
        .floor = haul_conf_is(conf, HAUL_CONF_PUNCH_ADDRESSES, "any") ? HAUL_ADDR_LOOPBACK
                                                                      : HAUL_ADDR_PUBLIC,
        .plain = HAUL_ADDR_PUBLIC,
    };

    if (relays_read(conf, relays, &relay.relay_count, error) < 0 ||
        haul_dcutr_open(&plane->dcutr, &dcutr, error) < 0)
        return -1;
    return haul_relay_open(&plane->relay, &relay, error);
}

void haul_node_relays_start(struct haul_controlplane *plane)
{
    haul_relay_start(plane->relay, plane->parts.host);
    if (haul_conf_bool(plane->conf.conf, HAUL_CONF_PUNCH_ENABLED))
        haul_dcutr_start(plane->dcutr, plane->parts.host);
    plane->parts.dcutr = plane->dcutr;
}

void haul_node_relays_facts(const struct haul_controlplane *plane, const struct haul_facts *facts)
{
    const struct haul_relay_counters *counters = haul_relay_counters(plane->relay);
    const struct haul_dcutr_counters *dcutr = haul_dcutr_counters(plane->dcutr);
    struct haul_relay_usage usage;

    haul_relay_usage(plane->relay, &usage);
    haul_facts_flag(facts, "relay", "serves", usage.serves, "keeps places for peers");
    haul_facts_number(facts, "relay", "places", usage.places, "that relays keep for this node");
    haul_facts_number(facts, "relay", "places_given", usage.reservations,
                      "that this node keeps for peers");
    haul_facts_number(facts, "relay", "circuits_now", usage.circuits, "passed on now");
#define X(name, help)                                                                              \
    haul_facts_number(facts, "relay", #name, haul_counter_read(&counters->name), help);
    HAUL_RELAY_COUNTERS(X)
#undef X
#define X(name, help)                                                                              \
    haul_facts_number(facts, "punch", #name, haul_counter_read(&dcutr->name), help);
    HAUL_DCUTR_COUNTERS(X)
#undef X
}
