/* Two hosts over loopback sockets, a that asks and b that grants, with this test as both data
 * planes. Include it once a test program; what it defines is the test's own. */
#pragma once

#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/behaviours/offer_parts.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct haul_loop *loop;
    struct haul_host *host;
    struct haul_handoff *handoff;
    struct haul_orders *orders;
    struct haul_catalog *catalog;
    struct haul_grants *grants;
    struct haul_offers *offers;
    struct haul_key key;
    struct haul_multiaddr address;
    struct haul_protocol protocols[4];
    char directory[64];
    uint64_t connection;
    bool connected;

    unsigned done, ended;
    struct haul_offer_result result;
};

static struct node a, b; /* a asks, b grants */
static struct haul_cid root;

static void on_connected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                         const struct haul_addr *address, bool inbound)
{
    struct node *node = context;

    (void)address;
    (void)inbound;
    node->connection = connection;
    node->connected = true;
    haul_grants_connected(node->grants, connection, peer);
}

static void on_disconnected(void *context, uint64_t connection, const struct haul_peer_id *peer,
                            enum haul_error_code why)
{
    struct node *node = context;

    (void)why;
    haul_grants_disconnected(node->grants, connection, haul_host_find(node->host, peer));
}

static struct haul_offers_conf offers_conf(struct node *node)
{
    return (struct haul_offers_conf){
        .grants = node->grants,
        .catalog = node->catalog,
        .key = &node->key,
        .ciphers = { HAUL_CIPHER_AES_128_GCM, HAUL_CIPHER_CHACHA20_POLY1305 },
        .cipher_count = 2,
        .payload_max = 8192,
        .wants_max = 64,
        .udp = { .family = 4, .ip = { 127, 0, 0, 1 }, .port = 4999 },
    };
}

static uint32_t workers = 1;                         /* of every node */
static const struct haul_behaviour *extra_behaviour; /* NULL, or one that all nodes speak */

static void node_open(struct node *node, uint8_t seed, void (*adapt)(struct haul_offers_conf *conf))
{
    struct haul_offers_conf conf;
    uint8_t secret[32];

    *node = (struct node){ .loop = pair.loop, .directory = "/tmp/haul-offer-XXXXXX" };
    memset(secret, seed, sizeof secret);
    haul_key_from_seed(&node->key, secret);
    haul_assert(mkdtemp(node->directory) != NULL);
    node->handoff = calloc(workers, sizeof *node->handoff);
    for (uint32_t i = 0; i < workers; i++) {
        haul_assert(haul_handoff_open(&node->handoff[i], NULL, 0) == 0);
        node->handoff[i].next = i + 1 < workers ? &node->handoff[i + 1] : NULL;
    }
    haul_assert(haul_orders_open(&node->orders, pair.loop, node->handoff, NULL) == 0);
    haul_assert(haul_catalog_open(&node->catalog, node->directory, NULL) == 0);
    haul_assert(haul_grants_open(&node->grants,
                                 &(struct haul_grants_conf){ .loop = pair.loop,
                                                             .orders = node->orders,
                                                             .catalog = node->catalog,
                                                             .per_peer_max = 2,
                                                             .per_address_max = 8,
                                                             .confirm = 100 * HAUL_MILLISECOND },
                                 NULL) == 0);
    conf = offers_conf(node);
    if (adapt != NULL)
        adapt(&conf);
    haul_assert(haul_offers_open(&node->offers, &conf, NULL) == 0);
    node->protocols[0].behaviour = &haul_identify_behaviour;
    node->protocols[1].behaviour = &haul_offer_behaviour;
    node->protocols[1].service = node->offers;
    node->protocols[2].behaviour = extra_behaviour;
    host_pair_listen(&node->host, &node->address,
                     &(struct haul_host_conf){ .key = &node->key,
                                               .protocols = node->protocols,
                                               .context = node,
                                               .connected = on_connected,
                                               .disconnected = on_disconnected });
}

static void node_close(struct node *node)
{
    char command[128];

    haul_host_close(node->host);
    haul_offers_close(node->offers);
    haul_orders_close(node->orders);
    haul_grants_close(node->grants);
    haul_catalog_close(node->catalog);
    for (uint32_t i = 0; i < workers; i++)
        haul_handoff_close(&node->handoff[i]);
    free(node->handoff);
    snprintf(command, sizeof command, "rm -r %s", node->directory);
    haul_assert(system(command) == 0);
}

static void share_something(struct node *node)
{
    struct haul_dataset dataset = { .bytes = 1, .blocks = 1, .complete = true };
    uint64_t build;

    haul_hash_of(HAUL_HASH_BLAKE3, "root", 4, &root.hash);
    root.codec = HAUL_CODEC_RAW;
    dataset.root = root;
    haul_assert(haul_catalog_begin(node->catalog, &build, NULL) == 0);
    haul_assert(haul_catalog_note(node->catalog, build, &root.hash, NULL) == 0);
    haul_assert(haul_catalog_commit(node->catalog, build, &dataset, NULL) == 0);
    haul_assert(haul_catalog_share(node->catalog, &root, NULL, true, NULL) == 0);
}

static bool both_connected(void)
{
    return a.connected && b.connected;
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    (void)context;
    (void)connection;
    (void)error;
}

static void start(void (*adapt_a)(struct haul_offers_conf *conf),
                  void (*adapt_b)(struct haul_offers_conf *conf))
{
    haul_assert(haul_loop_open(&pair.loop, NULL) == 0);
    node_open(&a, 1, adapt_a);
    node_open(&b, 2, adapt_b);
    share_something(&b);
    haul_host_dial(a.host, &b.key.id, &b.address, 1, HAUL_TIME_NEVER, on_dialled, NULL);
    CU_ASSERT_TRUE_FATAL(host_pair_run(both_connected, 5 * HAUL_SECOND));
}

static void finish(void)
{
    node_close(&a);
    node_close(&b);
    haul_loop_close(pair.loop);
    workers = 1;
}

static void on_done(void *context, const struct haul_offer_result *result)
{
    struct node *node = context;

    node->done++;
    node->result = *result;
}

static void on_ended(void *context, uint32_t flow, enum haul_status why)
{
    (void)flow;
    (void)why;
    ((struct node *)context)->ended++;
}

static bool is_done(void)
{
    return a.done > 0;
}

static uint8_t asked_via; /* enum haul_via */
static bool asked_beside;

static struct haul_offer_ask *ask_for(const struct haul_cid *cid)
{
    const struct haul_offer_wish wish = { .root = *cid,
                                          .via = asked_via,
                                          .beside = asked_beside,
                                          .done = on_done,
                                          .ended = on_ended,
                                          .context = &a };

    a.done = 0;
    return haul_offer_ask(a.offers, a.host, a.connection, &wish, NULL);
}

static void ask_and_wait(const struct haul_cid *cid)
{
    CU_ASSERT_PTR_NOT_NULL(ask_for(cid));
    CU_ASSERT_EQUAL(a.done, 0);
    CU_ASSERT_TRUE_FATAL(host_pair_run(is_done, 5 * HAUL_SECOND));
}
