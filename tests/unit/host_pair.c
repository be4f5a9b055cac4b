#include "tests/unit/host_pair.h"

#include "tests/unit/unit.h"

#include <string.h>

struct host_pair pair;

static bool (*condition)(void);
static haul_time stop_at;

static void on_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                         const struct haul_addr *address, bool inbound)
{
    struct host_node *node = context;

    (void)peer;
    (void)address;
    node->connected++;
    if (inbound)
        node->connection = connection;
}

static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                            enum haul_error_code why)
{
    struct host_node *node = context;

    (void)connection;
    (void)peer;
    node->disconnected++;
    node->why = why;
}

void host_pair_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct host_node *node = context;

    node->dials++;
    node->connection = connection;
    node->error = error != NULL ? *error : (struct haul_error){ 0 };
}

void host_pair_listen(struct haul_host **host, struct haul_multiaddr *address,
                      struct haul_host_conf *conf)
{
    struct haul_addr any = { .family = 4, .ip = { 127, 0, 0, 1 } };

    conf->loop = pair.loop;
    conf->agent = "test/1";
    conf->connections_max = 8;
    conf->half_open_max = 8;
    conf->hasty = true;
    conf->streams_per_connection_max = 32;
    CU_ASSERT_EQUAL_FATAL(haul_host_open(host, conf, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(haul_host_listen(*host, &any, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(haul_host_addresses(*host, address, 1), 1);
}

static void node_open(struct host_node *node, uint8_t seed, const struct haul_protocol *protocols)
{
    struct haul_host_conf conf = {
        .loop = pair.loop,
        .key = &node->key,
        .agent = seed == 1 ? "test a/1" : "test-b/1",
        .protocols = protocols,
        .connections_max = HOST_PAIR_CONNECTIONS_MAX,
        .half_open_max = HOST_PAIR_HALF_OPEN_MAX,
        .hasty = true,
        .streams_per_connection_max = 32,
        .context = node,
        .connected = on_connected,
        .disconnected = on_disconnected,
    };
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_error error;
    uint8_t secret[32];

    memset(node, 0, sizeof *node);
    memset(secret, seed, sizeof secret);
    haul_key_from_seed(&node->key, secret);
    CU_ASSERT_EQUAL_FATAL(haul_host_open(&node->host, &conf, &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_host_listen(node->host, &address, &node->bound, &error), 0);
    CU_ASSERT_NOT_EQUAL(node->bound.port, 0);
    CU_ASSERT_EQUAL(haul_host_addresses(node->host, &node->address, 1), 1);
}

void host_pair_open(const struct haul_protocol *a, const struct haul_protocol *b)
{
    struct haul_loop *loop;
    struct haul_error error;

    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, &error), 0);
    host_pair_open_in(loop, a, b);
}

void host_pair_open_in(struct haul_loop *loop, const struct haul_protocol *a,
                       const struct haul_protocol *b)
{
    pair.loop = loop;
    node_open(&pair.a, 1, a);
    node_open(&pair.b, 2, b);
}

void host_pair_close(void)
{
    haul_host_close(pair.a.host);
    haul_host_close(pair.b.host);
    haul_loop_close(pair.loop);
}

static void on_turn(void *context)
{
    (void)context;
    if ((condition != NULL && condition()) || haul_loop_now(pair.loop) >= stop_at)
        haul_loop_stop(pair.loop);
}

static void on_tick(void *context)
{
    (void)context;
}

bool host_pair_run(bool (*until)(void), haul_time limit)
{
    struct haul_timer *timer = haul_loop_timer(pair.loop, on_tick, NULL);

    condition = until;
    stop_at = haul_loop_now(pair.loop) + limit;
    haul_loop_timer_set(timer, stop_at);
    if (until == NULL || !until())
        haul_loop_run(pair.loop, on_turn, NULL);
    haul_loop_timer_free(timer);
    return until != NULL && until();
}

static bool both_connected(void)
{
    return pair.a.dials > 0 && pair.b.connected > 0;
}

bool host_pair_connect(void)
{
    haul_host_dial(pair.a.host, &pair.b.key.id, &pair.b.address, 1, HAUL_TIME_NEVER,
                   host_pair_dialled, &pair.a);
    return host_pair_run(both_connected, HOST_PAIR_SOON) &&
           pair.a.connection != HAUL_HOST_NO_CONNECTION;
}
