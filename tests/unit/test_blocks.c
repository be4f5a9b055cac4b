/* /haul/blocks/1 between two hosts over loopback: what is shared arrives, what is not is unknown,
 * and a peer that lies, stalls or floods is cut off with bounded memory. */
#include "controlplane/behaviours/blocks.h"

#include "controlplane/behaviours/blocks_parts.h"
#include "controlplane/behaviours/identify.h"
#include "tests/unit/worker_rig.h"

#include <stdio.h>

#define BLOCKS 40u
#define SLOTS  6u

enum lie {
    LIE_NONE,
    LIE_TOO_LONG, /* a block of 2 MiB */
    LIE_OTHER_RANGE,
    LIE_MORE, /* bytes after the last answer */
    LIE_STATUS,
    LIE_STALL, /* never answers */
    LIE_HALF,  /* stops in the middle of the bytes and closes */
    LIE_LIES
};

struct node {
    struct haul_key key;
    struct haul_host *host;
    struct haul_addr bound;
    struct haul_multiaddr address;
    struct haul_blocks *blocks;
    struct haul_behaviour liar;
    struct haul_protocol protocols[3];
};

static struct haul_loop *loop;
static struct worker_rig rig;
static struct haul_catalog *catalog;
static char directory[UNIT_PATH_BYTES];
static struct node a; /* asks */
static struct node b; /* answers */
static uint64_t connection;
static enum lie lie;
static struct haul_cid root;
static struct haul_hash hashes[BLOCKS];
static uint32_t lengths[BLOCKS];
static uint8_t *slots; /* of the asker: one a block */

static struct {
    uint32_t done;
    uint32_t by_status[HAUL_BLOCKS_LOST + 1];
    uint32_t total, offset, count;
    uint32_t ended;
    enum haul_error_code why;
    uint32_t closed; /* raw streams */
    enum haul_stream_end end;
    uint64_t raw_bytes;
    bool raw_hold;
} seen;

/* --- a peer that lies --- */

static void lie_answer(struct haul_stream *stream)
{
    static uint8_t body[4096];
    struct haul_blocks_answer answer = { .status = HAUL_BLOCKS_OK, .total = 1000, .count = 1000 };
    uint8_t data[HAUL_BLOCKS_ANSWER_BYTES];
    uint32_t body_bytes = 1000;

    if (lie == LIE_TOO_LONG)
        answer.total = answer.count = 2u << 20;
    if (lie == LIE_OTHER_RANGE)
        answer.count = 999;
    if (lie == LIE_MORE)
        body_bytes = 1001;
    if (lie == LIE_HALF)
        body_bytes = 500;
    haul_blocks_answer_encode(&answer, data);
    if (lie == LIE_STATUS)
        data[0] = 9;
    if (lie == LIE_STALL)
        return;
    (void)haul_stream_write(stream, data, sizeof data);
    (void)haul_stream_write(stream, body, body_bytes);
    if (lie == LIE_HALF)
        haul_stream_close(stream);
}

static size_t liar_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    if (haul_stream_inbound(stream)) {
        lie_answer(stream);
        return bytes;
    }
    if (seen.raw_hold)
        return 0;
    seen.raw_bytes += bytes;
    return bytes;
}

static void liar_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void liar_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    if (!haul_stream_inbound(stream)) {
        seen.closed++;
        seen.end = end;
    }
}

/* --- nodes --- */

static void on_dialled(void *context, uint64_t made, const struct haul_error *error)
{
    connection = made;
    haul_loop_stop(loop);
}

static void node_open(struct node *node, uint8_t seed)
{
    struct haul_host_conf conf = { .loop = loop,
                                   .key = &node->key,
                                   .agent = "test/1",
                                   .connections_max = 8,
                                   .half_open_max = 8,
                                   .hasty = true,
                                   .streams_per_connection_max = 32 };
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    uint8_t secret[32] = { seed };

    memset(node, 0, sizeof *node);
    haul_key_from_seed(&node->key, secret);
    CU_ASSERT_EQUAL_FATAL(haul_blocks_open(&node->blocks, rig.orders, catalog, NULL), 0);
    node->liar = (struct haul_behaviour){ .protocol = HAUL_BLOCKS_PROTOCOL,
                                          .inbound_per_peer_max = 100,
                                          .input = liar_input,
                                          .ended = liar_ended,
                                          .closed = liar_closed };
    node->protocols[0].behaviour = &haul_identify_behaviour;
    node->protocols[1].behaviour = lie == LIE_NONE ? &haul_blocks_behaviour : &node->liar;
    node->protocols[1].service = node->blocks;
    conf.key = &node->key;
    conf.protocols = node->protocols;
    CU_ASSERT_EQUAL_FATAL(haul_host_open(&node->host, &conf, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(haul_host_listen(node->host, &address, &node->bound, NULL), 0);
    haul_multiaddr_from_tcp(&node->address, &node->bound);
}

/* Until the counter reaches a value, 10 s at most. */
static void run_until(const uint32_t *counter, uint32_t value)
{
    for (unsigned i = 0; i < 2000 && *counter < value; i++)
        worker_rig_run(&rig, 5);
    CU_ASSERT_TRUE(*counter >= value);
}

static uint8_t *slot_of(uint32_t block)
{
    return slots + (size_t)block * HAUL_BLOCK_BYTES_MAX;
}

/* A dataset of BLOCKS blocks; the first is the root. */
static void make_dataset(void)
{
    struct haul_dataset dataset = { .complete = true };
    uint64_t build;

    CU_ASSERT_EQUAL_FATAL(haul_catalog_begin(catalog, &build, NULL), 0);
    for (uint32_t n = 0; n < BLOCKS; n++) {
        uint8_t *data = slot_of(n);

        lengths[n] = n == 0 ? 100 : n % 5 == 0 ? 77 * n : HAUL_BLOCK_BYTES_MAX - n % 3;
        memset(data, (int)n, lengths[n]);
        memcpy(data, "block", 5);
        haul_hash_of(HAUL_HASH_BLAKE3, data, lengths[n], &hashes[n]);
        worker_rig_keep(&rig, &hashes[n], data, lengths[n]);
        CU_ASSERT_EQUAL(haul_catalog_note(catalog, build, &hashes[n], NULL), 0);
    }
    root = (struct haul_cid){ .codec = HAUL_CODEC_DAG_PB, .hash = hashes[0] };
    dataset.root = root;
    CU_ASSERT_EQUAL_FATAL(haul_catalog_commit(catalog, build, &dataset, NULL), 0);
    memset(slots, 0, (size_t)BLOCKS * HAUL_BLOCK_BYTES_MAX);
}

static void start(enum lie how, bool share)
{
    memset(&seen, 0, sizeof seen);
    lie = how;
    CU_ASSERT_TRUE_FATAL(unit_directory(directory, "blocks"));
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, NULL), 0);
    worker_rig_open_in(&rig, loop, SLOTS, 0);
    CU_ASSERT_EQUAL_FATAL(haul_catalog_open(&catalog, directory, NULL), 0);
    slots = aligned_alloc(HAUL_BLOCK_BYTES_MAX, (size_t)BLOCKS * HAUL_BLOCK_BYTES_MAX);
    make_dataset();
    if (share)
        CU_ASSERT_EQUAL(haul_catalog_share(catalog, &root, NULL, true, NULL), 0);
    node_open(&a, 1);
    node_open(&b, 2);
    connection = HAUL_HOST_NO_CONNECTION;
    haul_host_dial(a.host, &b.key.id, &b.address, 1, HAUL_TIME_NEVER, on_dialled, NULL);
    worker_rig_run(&rig, 5000);
    CU_ASSERT_NOT_EQUAL_FATAL(connection, HAUL_HOST_NO_CONNECTION);
}

static void finish(void)
{
    char path[128];

    haul_host_close(a.host);
    haul_host_close(b.host);
    worker_rig_run(&rig, 20);
    for (uint32_t i = 0; i < SLOTS; i++) /* nobody kept a slot */
        CU_ASSERT_NOT_EQUAL(haul_orders_slot_take(rig.orders), UINT32_MAX);
    haul_blocks_close(a.blocks);
    haul_blocks_close(b.blocks);
    worker_rig_close(&rig);
    haul_catalog_close(catalog);
    haul_loop_close(loop);
    free(slots);
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", directory);
    (void)unlink(path);
    (void)rmdir(directory);
}

/* --- asking --- */

static void on_done(void *context, enum haul_blocks_status status,
                    const struct haul_blocks_answer *answer)
{
    seen.done++;
    seen.by_status[status]++;
    seen.total = answer->total;
    seen.offset = answer->offset;
    seen.count = answer->count;
}

static void on_ended(void *context, enum haul_error_code why)
{
    seen.ended++;
    seen.why = why;
}

static struct haul_blocks_client *client_open(void)
{
    struct haul_blocks_client *client =
        haul_blocks_client_open(a.blocks, a.host, connection, on_ended, NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(client);
    return client;
}

static void ask(struct haul_blocks_client *client, uint32_t block, uint32_t offset, uint32_t length)
{
    struct haul_blocks_request request = { root, hashes[block], offset, length };

    CU_ASSERT_TRUE(haul_blocks_fetch(client, &request, slot_of(block), on_done, slot_of(block)));
}

static bool arrived(uint32_t block)
{
    struct haul_hash hash;

    haul_hash_of(HAUL_HASH_BLAKE3, slot_of(block), lengths[block], &hash);
    return haul_hash_equal(&hash, &hashes[block]);
}

static void every_block_of_a_shared_dataset_arrives_pipelined(void)
{
    struct haul_blocks_client *client;

    start(LIE_NONE, true);
    client = client_open();
    for (uint32_t n = 0; n < BLOCKS; n++)
        ask(client, n, 0, 0);
    run_until(&seen.done, BLOCKS);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_OK], BLOCKS);
    for (uint32_t n = 0; n < BLOCKS; n++)
        CU_ASSERT_TRUE(arrived(n));
    CU_ASSERT_EQUAL(haul_blocks_counters(b.blocks)->answered, BLOCKS);
    haul_blocks_client_close(client);
    finish();
    CU_ASSERT_EQUAL(seen.ended, 0);
}

static void a_block_in_ranges_is_the_block(void)
{
    struct haul_blocks_client *client;

    start(LIE_NONE, true);
    client = client_open();
    for (uint32_t at = 0; at < lengths[1]; at += 100000)
        ask(client, 1, at, 100000);
    run_until(&seen.done, 11);
    CU_ASSERT_TRUE(arrived(1));
    CU_ASSERT_EQUAL(seen.count, lengths[1] - 1000000);
    ask(client, 1, lengths[1] + 5, 3); /* beyond the end: nothing, and the length is told */
    run_until(&seen.done, 12);
    CU_ASSERT_TRUE(seen.total == lengths[1] && seen.offset == lengths[1] && seen.count == 0);
    haul_blocks_client_close(client);
    finish();
}

static void stored_and_not_shared_is_unknown_like_what_is_not_there(void)
{
    struct haul_blocks_client *client;

    start(LIE_NONE, false);
    client = client_open();
    ask(client, 0, 0, 0);
    root.hash.bytes[9] ^= 1;
    ask(client, 0, 0, 0);
    run_until(&seen.done, 2);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_UNKNOWN], 2);
    CU_ASSERT_EQUAL(rig.reads, 0);
    root.hash.bytes[9] ^= 1;
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &root, &b.key.id, true, NULL), 0);
    ask(client, 0, 0, 0); /* shared with another */
    run_until(&seen.done, 3);
    CU_ASSERT_EQUAL(haul_catalog_share(catalog, &root, &a.key.id, true, NULL), 0);
    ask(client, 0, 0, 0);
    run_until(&seen.done, 4);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_UNKNOWN], 3);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_OK], 1);
    hashes[1].bytes[9] ^= 1; /* a block outside the dataset */
    ask(client, 1, 0, 0);
    run_until(&seen.done, 5);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_UNKNOWN], 4);
    haul_blocks_client_close(client);
    finish();
}

static void a_store_that_fails_is_told_and_the_stream_goes_on(void)
{
    struct haul_blocks_client *client;

    start(LIE_NONE, true);
    client = client_open();
    rig.fail_reads = true;
    ask(client, 1, 0, 0);
    run_until(&seen.done, 1);
    rig.fail_reads = false;
    ask(client, 1, 0, 0);
    run_until(&seen.done, 2);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_FAILED], 1);
    CU_ASSERT_TRUE(arrived(1));
    haul_blocks_client_close(client);
    finish();
}

static void the_fetch_beyond_the_limit_is_refused(void)
{
    struct haul_blocks_request request = { .length = 1 };
    struct haul_blocks_client *client;

    start(LIE_NONE, true);
    client = client_open();
    request.root = root;
    request.hash = hashes[1];
    for (uint32_t i = 0; i < HAUL_BLOCKS_FETCHES_MAX; i++)
        CU_ASSERT_TRUE(haul_blocks_fetch(client, &request, slot_of(1), on_done, NULL));
    CU_ASSERT_FALSE(haul_blocks_fetch(client, &request, slot_of(1), on_done, NULL));
    run_until(&seen.done, HAUL_BLOCKS_FETCHES_MAX);
    haul_blocks_client_close(client);
    finish();
}

static void a_cancelled_fetch_touches_its_slot_no_more(void)
{
    struct haul_blocks_client *client;

    start(LIE_NONE, true);
    client = client_open();
    ask(client, 1, 0, 0);
    ask(client, 2, 0, 0);
    haul_blocks_cancel(client, slot_of(1));
    run_until(&seen.done, 1);
    CU_ASSERT_TRUE(arrived(2));
    CU_ASSERT_EQUAL(slot_of(1)[0], 0);
    worker_rig_run(&rig, 20);
    CU_ASSERT_EQUAL(seen.done, 1);
    haul_blocks_client_close(client);
    finish();
}

static void closing_in_mid_air_leaves_nothing_behind(void)
{
    for (unsigned ms = 0; ms < 6; ms++) {
        struct haul_blocks_client *client;

        start(LIE_NONE, true);
        client = client_open();
        for (uint32_t n = 0; n < BLOCKS; n++)
            ask(client, n, 0, 0);
        worker_rig_run(&rig, ms);
        haul_blocks_client_close(client);
        worker_rig_run(&rig, 20);
        CU_ASSERT_EQUAL(seen.ended, 0);
        finish();
    }
}

static void a_lost_connection_loses_every_fetch(void)
{
    struct haul_blocks_client *client;

    start(LIE_NONE, true);
    client = client_open();
    rig.stalled = true;
    for (uint32_t n = 0; n < 10; n++)
        ask(client, n, 0, 0);
    worker_rig_run(&rig, 50);
    haul_host_disconnect(a.host, connection);
    run_until(&seen.ended, 1);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_LOST], 10);
    CU_ASSERT_EQUAL(seen.why, HAUL_E_PEER_GONE);
    haul_blocks_client_close(client);
    rig.stalled = false;
    worker_rig_orders(&rig, 0);
    worker_rig_run(&rig, 20);
    finish();
}

/* --- peers that lie --- */

static void answers_that_contradict_the_request_end_the_stream(void)
{
    static const enum lie lies[] = { LIE_TOO_LONG, LIE_OTHER_RANGE, LIE_MORE, LIE_STATUS };

    for (size_t i = 0; i < HAUL_COUNT_OF(lies); i++) {
        struct haul_blocks_client *client;

        start(lies[i], true);
        client = client_open();
        ask(client, 1, 0, 0);
        run_until(&seen.ended, 1);
        CU_ASSERT_EQUAL(seen.why, HAUL_E_PEER_PROTOCOL);
        CU_ASSERT_EQUAL(seen.done, 1);
        CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_OK], lies[i] == LIE_MORE);
        CU_ASSERT_EQUAL(slot_of(1)[1000], 0);
        haul_blocks_client_close(client);
        finish();
    }
}

static void a_stream_that_ends_in_mid_block_loses_the_fetch(void)
{
    struct haul_blocks_client *client;

    start(LIE_HALF, true);
    client = client_open();
    ask(client, 1, 0, 0);
    run_until(&seen.ended, 1);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_LOST], 1);
    haul_blocks_client_close(client);
    finish();
}

static void a_peer_that_never_answers_is_left(void)
{
    struct haul_blocks_client *client;

    start(LIE_STALL, true);
    a.blocks->patience = 50 * HAUL_MILLISECOND;
    client = client_open();
    ask(client, 1, 0, 0);
    run_until(&seen.ended, 1);
    CU_ASSERT_EQUAL(seen.why, HAUL_E_TIMEOUT);
    CU_ASSERT_EQUAL(seen.by_status[HAUL_BLOCKS_LOST], 1);
    CU_ASSERT_EQUAL(haul_blocks_counters(a.blocks)->stalled, 1);
    haul_blocks_client_close(client);
    finish();
}

/* The other side of a lie: a raw stream to an honest answerer. */
static struct haul_stream *raw_stream(void)
{
    struct haul_stream *stream = haul_host_stream(a.host, connection, &a.liar, NULL);

    CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    worker_rig_run(&rig, 20);
    return stream;
}

static void a_malformed_request_resets_the_stream(void)
{
    static const uint8_t garbage[HAUL_BLOCKS_REQUEST_BYTES] = { 0xff };
    struct haul_stream *stream;

    start(LIE_NONE, true);
    stream = raw_stream();
    CU_ASSERT_TRUE(haul_stream_send(stream, garbage, sizeof garbage));
    run_until(&seen.closed, 1);
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
    stream = raw_stream();
    CU_ASSERT_TRUE(haul_stream_send(stream, garbage, 79)); /* and ends inside it */
    haul_stream_close(stream);
    run_until(&seen.closed, 2);
    CU_ASSERT_EQUAL(haul_blocks_counters(b.blocks)->malformed, 2);
    finish();
}

static void after_the_askers_end_what_is_due_is_answered(void)
{
    struct haul_blocks_request request = { .length = 10 };
    uint8_t data[HAUL_BLOCKS_REQUEST_BYTES];
    struct haul_stream *stream;

    start(LIE_NONE, true);
    request.root = root;
    request.hash = hashes[1];
    haul_blocks_request_encode(&request, data);
    stream = raw_stream();
    for (int i = 0; i < 40; i++)
        CU_ASSERT_TRUE(haul_stream_send(stream, data, sizeof data));
    haul_stream_close(stream);
    run_until(&seen.closed, 1);
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_DONE);
    CU_ASSERT_EQUAL(seen.raw_bytes, 40 * (HAUL_BLOCKS_ANSWER_BYTES + 10));
    finish();
}

/* It asks for a thousand blocks and takes nothing: a few slots and 16 requests are all it gets. */
static void a_peer_that_floods_and_takes_nothing_is_held_back(void)
{
    struct haul_blocks_request request = { .length = 0 };
    uint8_t data[HAUL_BLOCKS_REQUEST_BYTES];
    struct haul_blocks_client *client;
    struct haul_stream *stream;

    start(LIE_NONE, true);
    request.root = root;
    request.hash = hashes[1];
    haul_blocks_request_encode(&request, data);
    stream = raw_stream();
    seen.raw_hold = true;
    for (int i = 0; i < 1000; i++)
        (void)!haul_stream_send(stream, data, sizeof data);
    worker_rig_run(&rig, 200);
    CU_ASSERT_TRUE(haul_blocks_counters(b.blocks)->held > 0);
    CU_ASSERT_TRUE(b.blocks->slots_held <= SLOTS / 2);
    CU_ASSERT_TRUE(haul_blocks_counters(b.blocks)->requests < 200);
    haul_stream_reset(stream);
    worker_rig_run(&rig, 50);
    client = client_open(); /* and others are served as before */
    ask(client, 2, 0, 0);
    run_until(&seen.done, 1);
    CU_ASSERT_TRUE(arrived(2));
    haul_blocks_client_close(client);
    finish();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "every block of a shared dataset arrives, pipelined",
          every_block_of_a_shared_dataset_arrives_pipelined },
        { "a block in ranges is the block", a_block_in_ranges_is_the_block },
        { "stored and not shared is unknown, like what is not there",
          stored_and_not_shared_is_unknown_like_what_is_not_there },
        { "a store that fails is told and the stream goes on",
          a_store_that_fails_is_told_and_the_stream_goes_on },
        { "the fetch beyond the limit is refused", the_fetch_beyond_the_limit_is_refused },
        { "a cancelled fetch touches its slot no more",
          a_cancelled_fetch_touches_its_slot_no_more },
        { "closing in mid-air leaves nothing behind", closing_in_mid_air_leaves_nothing_behind },
        { "a lost connection loses every fetch", a_lost_connection_loses_every_fetch },
        { "answers that contradict the request end the stream",
          answers_that_contradict_the_request_end_the_stream },
        { "a stream that ends in mid-block loses the fetch",
          a_stream_that_ends_in_mid_block_loses_the_fetch },
        { "a peer that never answers is left", a_peer_that_never_answers_is_left },
        { "a malformed request resets the stream", a_malformed_request_resets_the_stream },
        { "after the asker's end, what is due is answered",
          after_the_askers_end_what_is_due_is_answered },
        { "a peer that floods and takes nothing is held back",
          a_peer_that_floods_and_takes_nothing_is_held_back },
    };

    return unit_main("blocks", tests, HAUL_COUNT_OF(tests));
}
