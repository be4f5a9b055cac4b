/* Two hosts over loopback in one loop, for tests of what a host does as a whole. Include it once a
 * test program; what it defines is the test's own. */
#pragma once

#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

struct pair_node {
    struct haul_host_conf conf; /* changed by a test between pair_prepare and pair_start */
    struct haul_host *host;
    struct haul_key key;
    struct haul_multiaddr address;
    struct haul_addr bound;
    uint32_t connected, disconnected, dials, failures;
    enum haul_error_code why;
    uint64_t connection;
    struct haul_error error;
};

static struct haul_loop *pair_loop;
static struct pair_node a, b;
static haul_time pair_stop_at;
static bool (*pair_until)(void);
static void (*pair_closed)(void); /* NULL, or: the hosts are closed and the loop is not */

static void pair_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                           const struct haul_addr *address, bool inbound)
{
    struct pair_node *node = context;

    (void)peer;
    (void)address;
    node->connected++;
    if (inbound)
        node->connection = connection;
}

static void pair_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                              enum haul_error_code why)
{
    struct pair_node *node = context;

    (void)connection;
    (void)peer;
    node->disconnected++;
    node->why = why;
}

static void pair_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct pair_node *node = context;

    node->dials++;
    if (error == NULL)
        node->connection = connection;
    else
        node->failures++;
    node->error = error != NULL ? *error : (struct haul_error){ 0 };
}

/* Both with the same defaults; then a test changes what it is about. */
static void pair_prepare(const struct haul_protocol *protocols)
{
    struct pair_node *const nodes[] = { &a, &b };

    for (uint8_t i = 0; i < 2; i++) {
        uint8_t secret[32];

        memset(nodes[i], 0, sizeof *nodes[i]);
        memset(secret, i + 1, sizeof secret);
        haul_key_from_seed(&nodes[i]->key, secret);
        nodes[i]->conf = (struct haul_host_conf){
            .key = &nodes[i]->key,
            .agent = "test/1",
            .protocols = protocols,
            .connections_max = 64,
            .half_open_max = 32,
            .hasty = true,
            .streams_per_connection_max = 64,
            .context = nodes[i],
            .connected = pair_connected,
            .disconnected = pair_disconnected,
        };
    }
}

static void pair_start(void)
{
    struct pair_node *const nodes[] = { &a, &b };
    const struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_error error;

    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&pair_loop, &error), 0);
    for (size_t i = 0; i < 2; i++) {
        nodes[i]->conf.loop = pair_loop;
        CU_ASSERT_EQUAL_FATAL(haul_host_open(&nodes[i]->host, &nodes[i]->conf, &error), 0);
        CU_ASSERT_EQUAL_FATAL(haul_host_listen(nodes[i]->host, &address, &nodes[i]->bound, &error),
                              0);
        CU_ASSERT_EQUAL(haul_host_addresses(nodes[i]->host, &nodes[i]->address, 1), 1);
    }
}

static void pair_finish(void)
{
    haul_host_close(a.host);
    haul_host_close(b.host);
    if (pair_closed != NULL)
        pair_closed();
    haul_loop_close(pair_loop);
}

static void pair_turn(void *context)
{
    (void)context;
    if ((pair_until != NULL && pair_until()) || haul_loop_now(pair_loop) >= pair_stop_at)
        haul_loop_stop(pair_loop);
}

static void pair_tick(void *context)
{
    (void)context;
}

/* Runs until the condition holds, or for so long; returns whether it does. */
static bool pair_run(bool (*condition)(void), haul_time limit)
{
    struct haul_timer *timer = haul_loop_timer(pair_loop, pair_tick, NULL);

    pair_until = condition;
    pair_stop_at = haul_loop_now(pair_loop) + limit;
    haul_loop_timer_set(timer, pair_stop_at);
    if (condition == NULL || !condition())
        haul_loop_run(pair_loop, pair_turn, NULL);
    haul_loop_timer_free(timer);
    return condition != NULL && condition();
}

static void pair_dial(void)
{
    haul_host_dial(a.host, &b.key.id, &b.address, 1, HAUL_TIME_NEVER, pair_dialled, &a);
}

static bool pair_met(void)
{
    return a.dials > 0 && (a.failures > 0 || b.connected > 0);
}

/* Dials and waits; true when both are connected. */
static bool pair_connect(void)
{
    a.dials = a.failures = b.connected = 0;
    pair_dial();
    return pair_run(pair_met, 20 * HAUL_SECOND) && a.failures == 0;
}
