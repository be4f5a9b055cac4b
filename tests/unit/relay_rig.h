/* Three nodes in one loop over loopback: a relay r, and a and b that have only the relay's address.
 * Include it once a test program; what it defines is the test's own. */
#pragma once

#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/behaviours/relay.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <string.h>

#define RIG_EXTRA_MAX 4u /* protocols that a test adds */

struct rig_node {
    struct haul_host *host;
    struct haul_key key;
    struct haul_relay *relay;
    struct haul_multiaddr address; /* of its listening socket */
    struct haul_protocol protocols[8 + RIG_EXTRA_MAX];
    int dials, failures, connected, disconnected;
    uint64_t connection; /* the last that came up, dialled or not */
    struct haul_error error;
};

static struct rig_node r, a, b;

static void rig_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                          const struct haul_addr *address, bool inbound)
{
    struct rig_node *node = context;

    (void)peer;
    (void)address;
    (void)inbound;
    node->connected++;
    node->connection = connection;
}

static void rig_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                             enum haul_error_code why)
{
    struct rig_node *node = context;

    (void)connection;
    (void)peer;
    (void)why;
    node->disconnected++;
}

static void rig_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct rig_node *node = context;

    node->dials++;
    node->failures += error != NULL;
    node->error = error != NULL ? *error : (struct haul_error){ 0 };
    if (error == NULL)
        node->connection = connection;
}

static const struct haul_relay_limits rig_limits = {
    .reservations_max = 8,
    .reservations_per_address_max = 8,
    .circuits_max = 8,
    .circuits_per_peer_max = 4,
    .pace = { .per_peer = 1000, .per_network = 1000 },
    .reservation_life = 3600 * HAUL_SECOND,
    .circuit = { .seconds = 120, .bytes = 128u << 10 },
};

/* `place` NULL: keeps no place. `extra` ends with an empty entry; NULL: none. */
static void rig_open(struct rig_node *node, uint8_t seed, const struct haul_relay_limits *serve,
                     const struct rig_node *place, const struct haul_protocol *extra)
{
    struct haul_multiaddr at;
    struct haul_relay_conf conf = {
        .loop = pair.loop, .key = &node->key, .serve = serve != NULL, .retry = 50 * HAUL_MILLISECOND
    };
    struct haul_host_conf host = { .key = &node->key,
                                   .protocols = node->protocols,
                                   .context = node,
                                   .connected = rig_connected,
                                   .disconnected = rig_disconnected };
    uint8_t secret[32];
    size_t count = 5;

    memset(node, 0, sizeof *node);
    memset(secret, seed, sizeof secret);
    haul_key_from_seed(&node->key, secret);
    if (serve != NULL)
        conf.limits = *serve;
    if (place != NULL) {
        at = place->address;
        CU_ASSERT_TRUE_FATAL(haul_multiaddr_add_peer(&at, &place->key.id));
        conf.relays = &at;
        conf.relay_count = 1;
    }
    CU_ASSERT_EQUAL_FATAL(haul_relay_open(&node->relay, &conf, NULL), 0);
    node->protocols[0].behaviour = &haul_identify_behaviour;
    node->protocols[1].behaviour = &haul_identify_push_behaviour;
    node->protocols[2].behaviour = &haul_ping_behaviour;
    node->protocols[3] =
        (struct haul_protocol){ .behaviour = &haul_relay_hop_behaviour, .service = node->relay };
    node->protocols[4] =
        (struct haul_protocol){ .behaviour = &haul_relay_stop_behaviour, .service = node->relay };
    for (; extra != NULL && extra->behaviour != NULL; extra++)
        node->protocols[count++] = *extra;
    host_pair_listen(&node->host, &node->address, &host);
    haul_relay_start(node->relay, node->host);
}

static uint32_t rig_connections(struct haul_host *host)
{
    struct haul_host_usage usage;

    haul_host_usage(host, &usage);
    return usage.connections;
}

static bool rig_all_gone(void)
{
    return rig_connections(r.host) + rig_connections(a.host) + rig_connections(b.host) == 0;
}

/* Ends all connections while the loop runs: a host that is closed waits for peers that cannot
 * answer. */
static void rig_part(void)
{
    struct rig_node *const nodes[] = { &r, &a, &b };

    for (size_t i = 0; i < HAUL_COUNT_OF(nodes); i++) {
        uint64_t connection = 0;

        while ((connection = haul_host_next(nodes[i]->host, connection)) != 0)
            haul_host_disconnect(nodes[i]->host, connection);
    }
    (void)host_pair_run(rig_all_gone, HAUL_SECOND);
}

static void rig_close(struct rig_node *node)
{
    haul_host_close(node->host);
    haul_relay_close(node->relay);
    node->host = NULL;
}

static void rig_begin(void)
{
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&pair.loop, NULL), 0);
}

static void rig_end(void)
{
    haul_loop_close(pair.loop);
}

static uint32_t rig_places(const struct rig_node *node)
{
    struct haul_relay_usage usage;

    haul_relay_usage(node->relay, &usage);
    return usage.places;
}

static bool b_has_place(void)
{
    return rig_places(&b) == 1;
}

static bool a_dialled(void)
{
    return a.dials > 0;
}

/* The address of b through r. */
static struct haul_multiaddr rig_circuit(void)
{
    struct haul_multiaddr address = r.address;

    CU_ASSERT_TRUE_FATAL(haul_multiaddr_add_circuit(&address, &r.key.id));
    return address;
}

static bool rig_dial(void)
{
    struct haul_multiaddr address = rig_circuit();

    a.dials = 0;
    haul_host_dial(a.host, &b.key.id, &address, 1, haul_loop_now(pair.loop) + 20 * HAUL_SECOND,
                   rig_dialled, &a);
    return host_pair_run(a_dialled, 30 * HAUL_SECOND) && a.failures == 0;
}
