/* Nodes of a DHT over loopback in one loop: joining, searching, announcing; and a peer that sends
 * what it should not. The advisories about endless requests on one stream and about oversized ones
 * are tests here. */
#include "controlplane/dht/dht.h"

#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/kad.h"
#include "controlplane/host/loop.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define NODES 6u
#define KEYS  50u

struct node {
    struct haul_key key;
    struct haul_host *host;
    struct haul_dht *dht;
    struct haul_multiaddr address; /* with the peer */
};

static struct haul_loop *loop;
static struct node nodes[NODES];
static size_t node_count;

static struct {
    uint32_t found, done, hops, taken;
    struct haul_peer_id peer;
    haul_time took;
    uint64_t connection;
    uint64_t raw_bytes;
    uint32_t raw_closed, raw_reset;
    bool dialled;
} seen;

static haul_time stop_at;
static bool (*until)(void);

static void on_tick(void *context)
{
    haul_loop_timer_set(*(struct haul_timer **)context, haul_loop_now(loop) + 2 * HAUL_MILLISECOND);
}

static void on_turn(void *context)
{
    (void)context;
    if ((until != NULL && until()) || haul_loop_now(loop) >= stop_at)
        haul_loop_stop(loop);
}

static bool run(bool (*condition)(void), haul_time limit)
{
    struct haul_timer *timer = NULL;

    timer = haul_loop_timer(loop, on_tick, &timer);
    until = condition;
    stop_at = haul_loop_now(loop) + limit;
    haul_loop_timer_set(timer, haul_loop_now(loop));
    haul_loop_run(loop, on_turn, NULL);
    haul_loop_timer_free(timer);
    return condition != NULL && condition();
}

/* --- nodes --- */

static bool changes; /* of the node opened next: it may become a server */

static struct node *node_open(bool server, const struct haul_multiaddr *bootstrap)
{
    struct node *node = &nodes[node_count++];
    struct haul_dht_conf conf = { .loop = loop,
                                  .key = &node->key,
                                  .server = server,
                                  .floor = HAUL_ADDR_LOOPBACK,
                                  .lookup = haul_kad_lookup_default,
                                  .bootstrap = bootstrap,
                                  .bootstrap_count = bootstrap != NULL,
                                  .republish = HAUL_KAD_REPUBLISH_EVERY,
                                  .tick = 10 * HAUL_MILLISECOND };
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_protocol protocols[4] = { { .behaviour = &haul_identify_behaviour },
                                          { .behaviour = &haul_identify_push_behaviour } };
    struct haul_host_conf host = { .loop = loop,
                                   .key = &node->key,
                                   .agent = "test/1",
                                   .protocols = protocols,
                                   .connections_max = 64,
                                   .half_open_max = 32,
                                   .hasty = true,
                                   .streams_per_connection_max = 64 };
    uint8_t secret[32] = { (uint8_t)node_count };

    haul_key_from_seed(&node->key, secret);
    CU_ASSERT_EQUAL_FATAL(haul_dht_open(&node->dht, &conf, NULL), 0);
    protocols[2] = (struct haul_protocol){ .behaviour = &haul_kad_behaviour,
                                           .service = haul_dht_kad(node->dht),
                                           .dial_only = !server && !changes };
    CU_ASSERT_EQUAL_FATAL(haul_host_open(&node->host, &host, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(haul_host_listen(node->host, &address, &address, NULL), 0);
    haul_multiaddr_from_tcp(&node->address, &address);
    CU_ASSERT_TRUE(haul_multiaddr_add_peer(&node->address, &node->key.id));
    haul_dht_start(node->dht, node->host);
    return node;
}

static uint32_t known(const struct node *node)
{
    return haul_dht_server(node->dht)->table->count;
}

static bool all_know_all(void)
{
    for (size_t i = 0; i < node_count; i++) {
        if (haul_dht_serves(nodes[i].dht) && known(&nodes[i]) < NODES - 1)
            return false;
    }
    return true;
}

static void start(size_t count)
{
    memset(&seen, 0, sizeof seen);
    memset(nodes, 0, sizeof nodes);
    node_count = 0;
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, NULL), 0);
    for (size_t i = 0; i < count; i++)
        (void)node_open(true, i == 0 ? NULL : &nodes[0].address);
}

static void finish(void)
{
    for (size_t i = 0; i < node_count; i++) {
        haul_dht_stop(nodes[i].dht);
        haul_host_close(nodes[i].host);
        haul_dht_close(nodes[i].dht);
    }
    haul_loop_close(loop);
}

static void on_found(void *context, const struct haul_peer_id *peer,
                     const struct haul_multiaddr *addresses, size_t count)
{
    (void)context;
    (void)addresses;
    CU_ASSERT(count > 0);
    seen.found++;
    seen.peer = *peer;
}

static void on_done(void *context, const struct haul_dht_result *result)
{
    (void)context;
    seen.done++;
    seen.hops = result->hops;
    seen.took = result->took;
}

static void on_provided(void *context, const uint16_t *taken, size_t count)
{
    (void)context;
    seen.done++;
    for (size_t i = 0; i < count; i++)
        seen.taken += taken[i];
}

static bool is_done(void)
{
    return seen.done > 0;
}

static struct haul_hash hash_of(uint32_t n)
{
    struct haul_hash hash;

    haul_hash_of(HAUL_HASH_BLAKE3, &n, sizeof n, &hash);
    return hash;
}

static struct haul_dht_query *search(struct node *node, enum haul_dht_kind kind, const uint8_t *key,
                                     size_t key_bytes, haul_time timeout)
{
    const struct haul_dht_search wish = { .kind = kind,
                                          .key = key,
                                          .key_bytes = key_bytes,
                                          .timeout = timeout,
                                          .found = on_found,
                                          .done = on_done };
    struct haul_dht_query *query = NULL;

    seen.found = seen.done = 0;
    CU_ASSERT_EQUAL_FATAL(haul_dht_search(node->dht, &wish, &query, NULL), 0);
    return query;
}

/* --- promises --- */

static void nodes_that_are_told_of_one_find_all(void)
{
    start(NODES);
    CU_ASSERT_TRUE(run(all_know_all, 20 * HAUL_SECOND));
    search(&nodes[4], HAUL_DHT_PEER, nodes[2].key.id.bytes, nodes[2].key.id.length, 0);
    CU_ASSERT_TRUE(run(is_done, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.found, 1);
    CU_ASSERT_TRUE(haul_peer_id_equal(&seen.peer, &nodes[2].key.id));
    finish();
}

static void many_keys_reach_every_peer_over_one_stream_each(void)
{
    struct haul_hash hashes[KEYS], nobody = hash_of(9999);
    struct haul_dht_run *made;

    start(NODES);
    CU_ASSERT_TRUE(run(all_know_all, 20 * HAUL_SECOND));
    for (uint32_t i = 0; i < KEYS; i++)
        hashes[i] = hash_of(i);
    CU_ASSERT_EQUAL_FATAL(
        haul_dht_provide(nodes[1].dht, hashes, KEYS, on_provided, NULL, &made, NULL), 0);
    CU_ASSERT_TRUE(run(is_done, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.taken, KEYS * (NODES - 1));
    CU_ASSERT(haul_dht_counters(nodes[1].dht)->announce_streams <= 2 * (NODES - 1));
    CU_ASSERT(haul_dht_counters(nodes[1].dht)->announce_lookups <= 3);
    for (size_t i = 0; i < NODES; i++)
        CU_ASSERT_EQUAL(haul_dht_server(nodes[i].dht)->providers->count, i == 1 ? 0 : KEYS);
    search(&nodes[3], HAUL_DHT_PROVIDERS, hashes[7].bytes, HAUL_HASH_BYTES, 0);
    CU_ASSERT_TRUE(run(is_done, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.found, 1);
    CU_ASSERT_TRUE(haul_peer_id_equal(&seen.peer, &nodes[1].key.id));
    search(&nodes[3], HAUL_DHT_PROVIDERS, nobody.bytes, HAUL_HASH_BYTES, 0);
    CU_ASSERT_TRUE(run(is_done, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.found, 0);
    finish();
}

static void a_client_asks_and_stands_in_no_table(void)
{
    struct haul_hash key = hash_of(1);
    struct node *client;

    start(NODES - 1);
    client = node_open(false, &nodes[0].address);
    search(client, HAUL_DHT_PROVIDERS, key.bytes, HAUL_HASH_BYTES, 0);
    CU_ASSERT_TRUE(run(is_done, 20 * HAUL_SECOND));
    CU_ASSERT(known(client) > 0);
    for (size_t i = 0; i < NODES - 1; i++) {
        struct haul_kad_key own;

        haul_kad_key_of_peer(&client->key.id, &own);
        CU_ASSERT_PTR_NULL(haul_kad_table_find(haul_dht_server(nodes[i].dht)->table, &own));
    }
    finish();
}

static void a_search_ends_when_nobody_can_be_reached(void)
{
    struct haul_hash key = hash_of(1);
    struct haul_multiaddr nowhere = { 0 };

    start(1);
    CU_ASSERT_TRUE(haul_multiaddr_parse(
        "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq", &nowhere));
    search(&nodes[0], HAUL_DHT_PROVIDERS, key.bytes, HAUL_HASH_BYTES, 0);
    CU_ASSERT_TRUE(run(is_done, 5 * HAUL_SECOND)); /* without a bootstrap: at once */
    (void)node_open(true, &nowhere);
    search(&nodes[1], HAUL_DHT_PROVIDERS, key.bytes, HAUL_HASH_BYTES, 100 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(run(is_done, 10 * HAUL_SECOND));
    CU_ASSERT(seen.took >= 100 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(seen.found, 0);
    finish();
}

static void searches_are_limited_and_a_cancelled_one_says_nothing(void)
{
    static struct haul_dht_query *queries[HAUL_DHT_QUERIES_MAX];
    const struct haul_dht_search wish = {
        .kind = HAUL_DHT_NEAREST, .key = (const uint8_t *)"x", .key_bytes = 1, .done = on_done
    };
    struct haul_dht_query *more;
    struct haul_error error;

    start(2);
    for (size_t i = 0; i < HAUL_DHT_QUERIES_MAX; i++)
        CU_ASSERT_EQUAL_FATAL(haul_dht_search(nodes[0].dht, &wish, &queries[i], NULL), 0);
    CU_ASSERT_EQUAL(haul_dht_search(nodes[0].dht, &wish, &more, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_LIMIT);
    for (size_t i = 0; i < HAUL_DHT_QUERIES_MAX; i++)
        haul_dht_cancel(queries[i]);
    CU_ASSERT_FALSE(run(is_done, 100 * HAUL_MILLISECOND));
    CU_ASSERT_EQUAL(haul_dht_search(nodes[0].dht, &wish, &more, NULL), 0);
    finish();
}

/* --- values --- */

struct ipns {
    uint8_t key[64], value[512];
    struct haul_kad_record record;
};

/* A record of a key that no node has. */
static void ipns_make(struct ipns *made, uint64_t sequence)
{
    const uint8_t secret[32] = { 99 };
    struct haul_out out = haul_out_to(made->value, sizeof made->value);
    struct haul_key key;

    haul_key_from_seed(&key, secret);
    haul_ipns_write(&key, "/ipfs/x", 7, sequence, UINT64_C(4000000000) * HAUL_SECOND, &out);
    memcpy(made->key, "/ipns/", 6);
    memcpy(made->key + 6, key.id.bytes, key.id.length);
    made->record = (struct haul_kad_record){ .key = made->key,
                                             .key_bytes = 6u + key.id.length,
                                             .value = made->value,
                                             .value_bytes = (size_t)(out.at - made->value) };
}

static struct haul_dht_value_result told;
static uint8_t told_value[HAUL_KAD_RECORD_VALUE_MAX];

static void on_value(void *context, const struct haul_dht_value_result *result)
{
    (void)context;
    told = *result;
    memcpy(told_value, result->value, result->value_bytes);
    seen.done++;
}

static int value_begin(struct node *node, const struct ipns *made, bool put,
                       struct haul_dht_value **value, struct haul_error *error)
{
    const struct haul_dht_value_wish wish = { .key = made->key,
                                              .key_bytes = made->record.key_bytes,
                                              .value = put ? made->value : NULL,
                                              .value_bytes = made->record.value_bytes,
                                              .done = on_value };

    seen.done = 0;
    return haul_dht_value_begin(node->dht, &wish, value, error);
}

static bool value_run(struct node *node, const struct ipns *made, bool put)
{
    struct haul_dht_value *value;

    CU_ASSERT_EQUAL_FATAL(value_begin(node, made, put, &value, NULL), 0);
    return run(is_done, 10 * HAUL_SECOND);
}

static bool holds(const struct node *node, const struct ipns *made)
{
    const struct haul_kad_value *here =
        haul_kad_records_get(haul_dht_server(node->dht)->records, made->key, made->record.key_bytes,
                             haul_loop_now(loop));

    return here != NULL && here->value_bytes == made->record.value_bytes &&
           memcmp(here->value, made->value, here->value_bytes) == 0;
}

static void a_value_that_one_puts_all_keep_and_another_gets(void)
{
    struct ipns made;

    start(NODES);
    CU_ASSERT_TRUE_FATAL(run(all_know_all, 20 * HAUL_SECOND));
    ipns_make(&made, 5);
    CU_ASSERT_TRUE(value_run(&nodes[1], &made, true));
    CU_ASSERT_EQUAL(told.taken, NODES - 1);
    CU_ASSERT_FALSE(told.newer);
    for (size_t i = 0; i < NODES; i++)
        CU_ASSERT_TRUE(holds(&nodes[i], &made));
    CU_ASSERT_TRUE(value_run(&nodes[4], &made, false));
    CU_ASSERT_EQUAL(told.value_bytes, made.record.value_bytes);
    CU_ASSERT_EQUAL(memcmp(told_value, made.value, told.value_bytes), 0);
    CU_ASSERT_EQUAL(told.holders, NODES - 1);
    CU_ASSERT_EQUAL(told.told, 0);
    finish();
}

static struct ipns newest;

static bool all_hold_the_newest(void)
{
    for (size_t i = 0; i < node_count; i++) {
        if (!holds(&nodes[i], &newest))
            return false;
    }
    return true;
}

static void who_holds_a_worse_value_or_none_is_told_the_best_behind_a_get(void)
{
    struct ipns old;

    start(NODES);
    CU_ASSERT_TRUE_FATAL(run(all_know_all, 20 * HAUL_SECOND));
    ipns_make(&old, 5);
    ipns_make(&newest, 6);
    for (size_t i = 1; i < 4; i++)
        CU_ASSERT_TRUE(haul_kad_records_put(haul_dht_server(nodes[i].dht)->records,
                                            i == 2 ? &newest.record : &old.record, NULL, 0,
                                            haul_loop_now(loop)));
    CU_ASSERT_TRUE(value_run(&nodes[0], &old, false));
    CU_ASSERT_EQUAL(told.value_bytes, newest.record.value_bytes);
    CU_ASSERT_EQUAL(memcmp(told_value, newest.value, told.value_bytes), 0);
    CU_ASSERT_EQUAL(told.holders, 1);
    CU_ASSERT_EQUAL(told.worse, 2);
    CU_ASSERT_EQUAL(told.told, NODES - 2);
    CU_ASSERT_TRUE(run(all_hold_the_newest, 10 * HAUL_SECOND));
    finish();
}

static void an_older_value_is_put_nowhere(void)
{
    struct haul_dht_value *value;
    struct haul_error error;
    struct ipns old;

    start(NODES);
    CU_ASSERT_TRUE_FATAL(run(all_know_all, 20 * HAUL_SECOND));
    ipns_make(&old, 5);
    ipns_make(&newest, 6);
    CU_ASSERT_TRUE(haul_kad_records_put(haul_dht_server(nodes[2].dht)->records, &newest.record,
                                        NULL, 0, haul_loop_now(loop)));
    CU_ASSERT_TRUE(value_run(&nodes[0], &old, true));
    CU_ASSERT_TRUE(told.newer);
    CU_ASSERT_EQUAL(told.taken, 0);
    for (size_t i = 0; i < NODES; i++)
        CU_ASSERT_FALSE(holds(&nodes[i], &old));
    CU_ASSERT_EQUAL(value_begin(&nodes[2], &old, true, &value, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_VALUE_OLD);
    finish();
}

static struct ipns expected; /* what whoever makes a value is to be told of */

static void on_make(void *context, const uint8_t *best, size_t best_bytes, uint64_t unix_ns,
                    struct haul_out *out)
{
    const struct ipns *made = context;

    CU_ASSERT_EQUAL_FATAL(best_bytes, expected.record.value_bytes);
    CU_ASSERT_EQUAL(memcmp(best, expected.value, best_bytes), 0);
    CU_ASSERT_EQUAL(unix_ns,
                    haul_loop_now(loop) + haul_dht_server(nodes[0].dht)->records->unix_ahead);
    haul_out_bytes(out, made->value, made->record.value_bytes);
}

static bool make_run(struct ipns *made)
{
    const struct haul_dht_value_wish wish = { .key = made->key,
                                              .key_bytes = made->record.key_bytes,
                                              .make = on_make,
                                              .done = on_value,
                                              .context = made };
    struct haul_dht_value *value;

    seen.done = 0;
    CU_ASSERT_EQUAL_FATAL(haul_dht_value_begin(nodes[0].dht, &wish, &value, NULL), 0);
    return run(is_done, 10 * HAUL_SECOND);
}

static void a_value_that_is_made_of_the_best_is_put_when_it_is_better(void)
{
    struct ipns nothing;

    start(NODES);
    CU_ASSERT_TRUE_FATAL(run(all_know_all, 20 * HAUL_SECOND));
    ipns_make(&expected, 5);
    ipns_make(&newest, 6);
    CU_ASSERT_TRUE(haul_kad_records_put(haul_dht_server(nodes[2].dht)->records, &expected.record,
                                        NULL, 0, haul_loop_now(loop)));
    CU_ASSERT_TRUE(make_run(&newest));
    CU_ASSERT_FALSE(told.newer);
    CU_ASSERT_EQUAL(told.taken, NODES - 1);
    CU_ASSERT_EQUAL(told.worse, 1);
    CU_ASSERT_TRUE(all_hold_the_newest());
    /* One that is older, and none at all. */
    nothing = expected;
    expected = newest;
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(make_run(&nothing));
        CU_ASSERT_TRUE(told.newer);
        CU_ASSERT_EQUAL(told.told, 0);
        nothing.record.value_bytes = 0;
    }
    CU_ASSERT_TRUE(all_hold_the_newest());
    finish();
}

static void what_is_no_value_is_refused_before_anybody_is_asked(void)
{
    struct haul_dht_value *value;
    struct haul_error error;
    struct ipns made;

    start(2);
    ipns_make(&made, 5);
    made.value[20] ^= 1;
    CU_ASSERT_EQUAL(value_begin(&nodes[0], &made, true, &value, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_VALUE_INVALID);
    made.record.key_bytes--;
    CU_ASSERT_EQUAL(value_begin(&nodes[0], &made, false, &value, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_VALUE_KEY);
    ipns_make(&made, 5);
    memcpy(made.key, "/ipnx/", 6);
    CU_ASSERT_EQUAL(value_begin(&nodes[0], &made, false, &value, &error), -1);
    CU_ASSERT_EQUAL(error.code, HAUL_E_VALUE_KEY);
    CU_ASSERT_EQUAL(haul_dht_counters(nodes[0].dht)->values_told, 0);
    /* One that is cancelled says nothing, nor one that is under way when the node stops. */
    ipns_make(&made, 5);
    CU_ASSERT_EQUAL(value_begin(&nodes[0], &made, true, &value, NULL), 0);
    haul_dht_value_cancel(value);
    CU_ASSERT_EQUAL(value_begin(&nodes[1], &made, true, &value, NULL), 0);
    haul_dht_stop(nodes[1].dht);
    CU_ASSERT_FALSE(run(is_done, 50 * HAUL_MILLISECOND));
    finish();
}

/* --- a peer that sends what it likes --- */

static struct {
    uint8_t bytes[65536];
    size_t at, count;
    bool close;
} raw;

static void raw_write(struct haul_stream *stream)
{
    raw.at += haul_stream_write(stream, raw.bytes + raw.at, raw.count - raw.at);
    if (raw.at == raw.count && raw.close)
        haul_stream_close(stream);
}

static void raw_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    raw_write(stream);
}

static size_t raw_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    (void)data;
    seen.raw_bytes += bytes;
    return bytes;
}

static void raw_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    (void)stream;
    seen.raw_closed++;
    seen.raw_reset += end == HAUL_STREAM_RESET;
}

static const struct haul_behaviour raw_behaviour = {
    .protocol = HAUL_KAD_PROTOCOL,
    .opened = raw_opened,
    .input = raw_input,
    .writable = raw_write,
    .closed = raw_closed,
};

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    (void)context;
    (void)error;
    seen.connection = connection;
    seen.dialled = true;
}

static bool is_dialled(void)
{
    return seen.dialled;
}

static bool raw_has_ended(void)
{
    return seen.raw_closed > 0;
}

/* One server, and a host that speaks by hand. */
static struct haul_host *raw_start(struct haul_key *key)
{
    const struct haul_protocol protocols[] = { { .behaviour = &haul_identify_behaviour },
                                               { .behaviour = &raw_behaviour, .dial_only = true },
                                               { 0 } };
    const struct haul_host_conf conf = { .loop = loop,
                                         .key = key,
                                         .agent = "raw/1",
                                         .protocols = protocols,
                                         .connections_max = 8,
                                         .half_open_max = 8,
                                         .hasty = true,
                                         .streams_per_connection_max = 64 };
    struct haul_multiaddr address = nodes[0].address;
    struct haul_host *host;
    uint8_t secret[32] = { 77 };

    memset(&raw, 0, sizeof raw);
    haul_key_from_seed(key, secret);
    CU_ASSERT_EQUAL_FATAL(haul_host_open(&host, &conf, NULL), 0);
    haul_multiaddr_strip_peer(&address);
    haul_host_dial(host, &nodes[0].key.id, &address, 1, HAUL_TIME_NEVER, on_dialled, NULL);
    CU_ASSERT_TRUE_FATAL(run(is_dialled, 5 * HAUL_SECOND));
    CU_ASSERT_NOT_EQUAL_FATAL(seen.connection, HAUL_HOST_NO_CONNECTION);
    return host;
}

static void requests_on_one_stream_are_answered_at_a_bounded_rate(void)
{
    const uint32_t requests = HAUL_KAD_BURST + HAUL_KAD_RATE / 4;
    struct haul_key key;
    struct haul_host *host;

    start(1);
    host = raw_start(&key);
    for (uint32_t i = 0; i < requests; i++) {
        memcpy(raw.bytes + raw.count, "\x05\x08\x04\x12\x01x", 6); /* FIND_NODE of "x" */
        raw.count += 6;
    }
    raw.close = true;
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(host, seen.connection, &raw_behaviour, NULL));
    CU_ASSERT_FALSE(run(raw_has_ended, 30 * HAUL_MILLISECOND));
    CU_ASSERT(haul_kad_counters(haul_dht_kad(nodes[0].dht))->throttled > 0);
    CU_ASSERT_TRUE(run(raw_has_ended, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.raw_reset, 0);
    CU_ASSERT_EQUAL(seen.raw_bytes, requests * 3); /* each got its (empty) answer */
    CU_ASSERT_EQUAL(haul_kad_counters(haul_dht_kad(nodes[0].dht))->requests, requests);
    haul_host_close(host);
    finish();
}

static void what_is_no_request_resets_the_stream(void)
{
    static const struct {
        const char *bytes;
        size_t count;
    } cases[] = {
        { "\x81\x80\x04", 3 },             /* 65,537 bytes */
        { "\xff\xff\xff\xff\xff\xff", 6 }, /* a length without end */
        { "\x80\x00", 2 },                 /* a padded length */
        { "\x00", 1 },                     /* nothing: PUT_VALUE without a record */
        { "\x03\x08\x06\x00", 4 },         /* no such type */
        { "\x02\x08\x04", 3 },             /* FIND_NODE of nothing */
        { "\x09\x08\x00\x12\x05/x/yz", 10 },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        struct haul_key key;
        struct haul_host *host;

        start(1);
        host = raw_start(&key);
        memcpy(raw.bytes, cases[i].bytes, cases[i].count);
        raw.count = cases[i].count;
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(host, seen.connection, &raw_behaviour, NULL));
        CU_ASSERT_TRUE(run(raw_has_ended, 5 * HAUL_SECOND));
        CU_ASSERT_EQUAL(seen.raw_reset, 1);
        CU_ASSERT_EQUAL(seen.raw_bytes, 0);
        haul_host_close(host);
        finish();
    }
}

static bool raw_was_answered(void)
{
    return seen.raw_bytes > 0;
}

static void a_server_that_becomes_a_client_answers_no_more_until_it_is_one_again(void)
{
    struct haul_stream *stream;
    struct haul_key key;
    struct haul_host *host;

    start(1);
    host = raw_start(&key);
    memcpy(raw.bytes, "\x05\x08\x04\x12\x01x", 6);
    raw.count = 6;
    stream = haul_host_stream(host, seen.connection, &raw_behaviour, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    CU_ASSERT_TRUE_FATAL(run(raw_was_answered, 5 * HAUL_SECOND));
    haul_dht_serve(nodes[0].dht, false);
    CU_ASSERT_FALSE(haul_dht_serves(nodes[0].dht));
    raw.at = 0; /* once more on the stream that is open */
    raw_write(stream);
    CU_ASSERT_TRUE(run(raw_has_ended, 5 * HAUL_SECOND));
    seen.raw_closed = 0;
    raw.at = 0;
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(host, seen.connection, &raw_behaviour, NULL));
    CU_ASSERT_TRUE(run(raw_has_ended, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.raw_reset, 2);
    haul_dht_serve(nodes[0].dht, true);
    seen.raw_closed = 0;
    seen.raw_bytes = 0;
    raw.at = 0;
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(host, seen.connection, &raw_behaviour, NULL));
    CU_ASSERT_TRUE(run(raw_was_answered, 5 * HAUL_SECOND));
    haul_host_close(host);
    finish();
}

static struct node *other_node;

static bool other_knows_one(void)
{
    return known(other_node) == 1;
}

static bool first_knows_one(void)
{
    return known(&nodes[0]) == 1;
}

static bool first_knows_none(void)
{
    return known(&nodes[0]) == 0;
}

/* Of peers that push: the table holds who serves now. */
static void who_begins_to_serve_enters_the_tables_and_leaves_them_with_it(void)
{
    struct node *other;

    start(1);
    changes = true;
    other = node_open(false, &nodes[0].address);
    changes = false;
    CU_ASSERT_FALSE(run(first_knows_one, 100 * HAUL_MILLISECOND));
    other_node = other;
    CU_ASSERT_TRUE_FATAL(run(other_knows_one, 10 * HAUL_SECOND)); /* they are connected */
    haul_dht_serve(other->dht, true);
    haul_identify_push(other->host);
    CU_ASSERT_TRUE(run(first_knows_one, 10 * HAUL_SECOND));
    haul_dht_serve(other->dht, false);
    haul_identify_push(other->host);
    CU_ASSERT_TRUE(run(first_knows_none, 10 * HAUL_SECOND));
    finish();
}

static bool some_reset(void)
{
    return seen.raw_reset >= 4;
}

static void one_peer_has_at_most_16_streams(void)
{
    struct haul_key key;
    struct haul_host *host;

    start(1);
    host = raw_start(&key);
    for (size_t i = 0; i < HAUL_KAD_STREAMS_PER_PEER + 4; i++)
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(host, seen.connection, &raw_behaviour, NULL));
    CU_ASSERT_TRUE(run(some_reset, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.raw_reset, 4);
    haul_host_close(host);
    finish();
}

static const struct unit_test tests[] = {
    { "nodes that are told of one find all", nodes_that_are_told_of_one_find_all },
    { "many keys reach every peer over one stream each",
      many_keys_reach_every_peer_over_one_stream_each },
    { "a client asks and stands in no table", a_client_asks_and_stands_in_no_table },
    { "a search ends when nobody can be reached", a_search_ends_when_nobody_can_be_reached },
    { "searches are limited, and a cancelled one says nothing",
      searches_are_limited_and_a_cancelled_one_says_nothing },
    { "a value that one puts, all keep and another gets",
      a_value_that_one_puts_all_keep_and_another_gets },
    { "who holds a worse value or none is told the best behind a get",
      who_holds_a_worse_value_or_none_is_told_the_best_behind_a_get },
    { "an older value is put nowhere", an_older_value_is_put_nowhere },
    { "a value that is made of the best is put when it is better",
      a_value_that_is_made_of_the_best_is_put_when_it_is_better },
    { "what is no value is refused before anybody is asked",
      what_is_no_value_is_refused_before_anybody_is_asked },
    { "requests on one stream are answered at a bounded rate",
      requests_on_one_stream_are_answered_at_a_bounded_rate },
    { "what is no request resets the stream", what_is_no_request_resets_the_stream },
    { "a server that becomes a client answers no more, until it is one again",
      a_server_that_becomes_a_client_answers_no_more_until_it_is_one_again },
    { "who begins to serve enters the tables, and leaves them with it",
      who_begins_to_serve_enters_the_tables_and_leaves_them_with_it },
    { "one peer has at most 16 streams", one_peer_has_at_most_16_streams },
};

int main(void)
{
    return unit_main("dht", tests, HAUL_COUNT_OF(tests));
}
