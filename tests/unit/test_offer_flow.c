/* The whole way of the fast path in one process: two hosts over loopback TCP agree on a flow, their
 * data planes prove a path over loopback UDP, blocks of a shared dataset cross, and the flow ends
 * with its control connection. */
#include "common/synthetic.h"
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/offer.h"
#include "dataplane/dataplane.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES 24u

struct node {
    struct haul_dataplane *plane;
    struct haul_orders *orders;
    struct haul_catalog *catalog;
    struct haul_grants *grants;
    struct haul_offers *offers;
    struct haul_host *host;
    struct haul_key key;
    struct haul_multiaddr address;
    struct haul_protocol protocols[3];
    char directory[64], store[64];
    uint64_t connection;
    struct haul_error error;

    struct haul_offer_result result;
    unsigned granted, up, ended;
    enum haul_status why;
    unsigned fetched, refused, failed;
};

static struct node a, b; /* a asks, b grants */
static struct haul_cid root;
static struct haul_hash leaves[LEAVES];

static void on_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                         const struct haul_addr *address, bool inbound)
{
    struct node *node = context;

    (void)address;
    (void)inbound;
    node->connection = connection;
    haul_grants_connected(node->grants, connection, peer);
}

static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                            enum haul_error_code why)
{
    struct node *node = context;

    (void)why;
    node->connection = 0;
    haul_grants_disconnected(node->grants, connection, haul_host_find(node->host, peer));
}

static void plane_open(struct node *node, struct haul_offers_conf *offers)
{
    struct haul_dataplane_conf conf = {
        .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
        .store_kind = HAUL_STORE_FILE,
        .store_directory = node->store,
        .filling_slots = 8,
        .serving_slots = 8,
        .control_slots = 2,
        .receive_buffer_bytes = 4u << 20,
        .aead = "auto",
        .cpu = -1,
        .synthetic = true,
    };
    struct haul_dataplane_facts facts;

    haul_assert(haul_dataplane_open(&node->plane, &conf, &node->error) == 0);
    haul_dataplane_facts(node->plane, &facts);
    offers->udp = facts.net.local;
    offers->cipher_count =
        (uint8_t)haul_dataplane_ciphers(node->plane, offers->ciphers, HAUL_OFFER_LIST_MAX);
}

static void node_open(struct node *node, uint8_t seed)
{
    struct haul_offers_conf conf = { .key = &node->key, .payload_max = 8192, .wants_max = 16 };
    struct haul_error *error = &node->error;
    uint8_t secret[32];

    *node = (struct node){ .directory = "/tmp/haul-flow-XXXXXX", .store = "/tmp/haul-flow-XXXXXX" };
    memset(secret, seed, sizeof secret);
    haul_key_from_seed(&node->key, secret);
    haul_assert(mkdtemp(node->directory) != NULL && mkdtemp(node->store) != NULL);
    plane_open(node, &conf);
    haul_assert(haul_orders_open(&node->orders, pair.loop, haul_dataplane_handoff(node->plane),
                                 error) == 0);
    haul_assert(haul_catalog_open(&node->catalog, node->directory, error) == 0);
    haul_assert(haul_grants_open(&node->grants,
                                 &(struct haul_grants_conf){ .loop = pair.loop,
                                                             .orders = node->orders,
                                                             .catalog = node->catalog,
                                                             .per_peer_max = 4,
                                                             .per_address_max = 4,
                                                             .lease = 100 * HAUL_MILLISECOND },
                                 error) == 0);
    conf.grants = node->grants;
    conf.catalog = node->catalog;
    haul_assert(haul_offers_open(&node->offers, &conf, error) == 0);
    node->protocols[0].behaviour = &haul_identify_behaviour;
    node->protocols[1].behaviour = &haul_offer_behaviour;
    node->protocols[1].service = node->offers;
    host_pair_listen(&node->host, &node->address,
                     &(struct haul_host_conf){ .key = &node->key,
                                               .protocols = node->protocols,
                                               .context = node,
                                               .connected = on_connected,
                                               .disconnected = on_disconnected });
}

static void node_close(struct node *node)
{
    char command[160];

    haul_host_close(node->host);
    haul_offers_close(node->offers);
    haul_dataplane_close(node->plane);
    snprintf(command, sizeof command, "rm -r %s %s", node->directory, node->store);
    haul_assert(system(command) == 0);
}

/* What must outlive the data plane's handoff is closed before it, what holds its events after. */
static void node_close_orders(struct node *node)
{
    haul_orders_close(node->orders);
    haul_grants_close(node->grants);
    haul_catalog_close(node->catalog);
}

static void share_generated_blocks(struct node *node)
{
    uint8_t *block = malloc(HAUL_BLOCK_BYTES_MAX);
    struct haul_dataset dataset = { .blocks = LEAVES, .complete = true };
    uint64_t build;

    for (uint64_t i = 0; i < LEAVES; i++) {
        haul_synthetic_fill(block, HAUL_BLOCK_BYTES_MAX, i);
        haul_hash_of(HAUL_HASH_BLAKE3, block, HAUL_BLOCK_BYTES_MAX, &leaves[i]);
    }
    free(block);
    root.codec = HAUL_CODEC_DAG_PB;
    haul_hash_of(HAUL_HASH_BLAKE3, "root", 4, &root.hash);
    dataset.root = root;
    haul_assert(haul_catalog_begin(node->catalog, &build, NULL) == 0);
    haul_assert(haul_catalog_add_synthetic(node->catalog, build, &dataset, leaves, LEAVES, NULL) ==
                0);
    haul_assert(haul_catalog_share(node->catalog, &root, &a.key.id, true, NULL) == 0);
}

static bool both_connected(void)
{
    return a.connection != 0 && b.connection != 0;
}

static bool is_up(void)
{
    return a.up > 0 || a.ended > 0;
}

static bool all_fetched(void)
{
    return a.fetched + a.refused + a.failed == LEAVES + 1;
}

static bool both_ended(void)
{
    return a.ended > 0 && haul_grants_counters(b.grants)->ended_closed +
                                  haul_grants_counters(b.grants)->ended_silent >
                              0;
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    (void)context;
    (void)connection;
    (void)error;
}

static void on_granted(void *context, const struct haul_offer_result *result)
{
    struct node *node = context;

    node->granted++;
    node->result = *result;
}

static void on_up(void *context, uint32_t flow, uint32_t payload, haul_time rtt)
{
    struct node *node = context;

    (void)rtt;
    node->up++;
    CU_ASSERT_EQUAL(node->granted, 1);
    CU_ASSERT_EQUAL(flow, node->result.flow);
    CU_ASSERT_TRUE(payload >= HAUL_OFFER_PAYLOAD_MIN);
}

static void on_ended(void *context, uint32_t flow, enum haul_status why)
{
    struct node *node = context;

    (void)flow;
    node->ended++;
    node->why = why;
}

static void on_fetched(void *context, const struct haul_event *event)
{
    struct node *node = context;

    if (event->status == HAUL_STATUS_DONE)
        node->fetched++;
    else if (event->status == HAUL_STATUS_REFUSED_UNKNOWN)
        node->refused++;
    else
        node->failed++;
}

static void fetch(const struct haul_hash *hash, uint32_t length)
{
    struct haul_order order = { .kind = HAUL_ORDER_FETCH,
                                .flow = a.result.flow,
                                .length = length,
                                .place = { .kind = HAUL_PLACE_DISCARD },
                                .hash = *hash };

    CU_ASSERT_NOT_EQUAL(haul_orders_submit(a.orders, &order, on_fetched, &a), 0);
}

static void blocks_cross_a_flow_that_two_hosts_agreed_on(void)
{
    struct haul_hash foreign;

    haul_assert(haul_loop_open(&pair.loop, NULL) == 0);
    node_open(&a, 1);
    node_open(&b, 2);
    share_generated_blocks(&b);
    haul_host_dial(a.host, &b.key.id, &b.address, 1, HAUL_TIME_NEVER, on_dialled, NULL);
    CU_ASSERT_TRUE_FATAL(host_pair_run(both_connected, 20 * HAUL_SECOND));
    CU_ASSERT_PTR_NOT_NULL_FATAL(haul_offer_ask(
        a.offers, a.host, a.connection,
        &(struct haul_offer_wish){
            .root = root, .done = on_granted, .up = on_up, .ended = on_ended, .context = &a },
        NULL));
    CU_ASSERT_TRUE_FATAL(host_pair_run(is_up, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL_FATAL(a.up, 1);
    haul_hash_of(HAUL_HASH_BLAKE3, "elsewhere", 9, &foreign);
    for (uint32_t i = 0; i < LEAVES; i++)
        fetch(&leaves[i], i % 2 == 0 ? HAUL_BLOCK_BYTES_MAX : 0);
    fetch(&foreign, 0);
    CU_ASSERT_TRUE(host_pair_run(all_fetched, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(a.fetched, LEAVES);
    CU_ASSERT_EQUAL(a.refused, 1);
    CU_ASSERT_EQUAL(haul_grants_counters(b.grants)->wants_unknown, 1);
    haul_host_disconnect(a.host, a.connection); /* the lifeline: the lease is short here */
    CU_ASSERT_TRUE(host_pair_run(both_ended, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(a.why, HAUL_STATUS_CLOSED);
    node_close(&a);
    node_close(&b);
    node_close_orders(&a);
    node_close_orders(&b);
    haul_loop_close(pair.loop);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "blocks cross a flow that two hosts agreed on",
          blocks_cross_a_flow_that_two_hosts_agreed_on },
    };

    return unit_main("offer_flow", tests, HAUL_COUNT_OF(tests));
}
