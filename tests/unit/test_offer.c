/* An offer between two hosts over loopback sockets, with this test as both data planes: what is
 * agreed fits together, every refusal and limit is reached, and nothing is kept that failed. */
#include "controlplane/host/host_parts.h"
#include "tests/unit/offer_rig.h"

/* --- bulk: a protocol of which both sides write whatever the connection takes --- */

static void bulk_writable(struct haul_stream *stream)
{
    static const uint8_t zero[64 << 10];

    while (haul_stream_write(stream, zero, sizeof zero) == sizeof zero)
        ;
}

static void bulk_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    bulk_writable(stream);
}

static size_t bulk_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)data;
    bulk_writable(stream);
    return bytes;
}

static void bulk_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    (void)stream;
    (void)end;
}

static const struct haul_behaviour bulk_behaviour = {
    .protocol = "/test/bulk/1",
    .inbound_per_peer_max = 8,
    .window_bytes_max = 4u << 20,
    .opened = bulk_opened,
    .input = bulk_input,
    .writable = bulk_writable,
    .closed = bulk_closed,
};

static bool four_are_done(void)
{
    return a.done == 4;
}

static bool b_confirmed(void)
{
    const struct haul_grants_counters *counters = haul_grants_counters(b.grants);

    return counters->granted == 0 || counters->ended_unconfirmed > 0;
}

static void what_is_agreed_fits_together(void)
{
    const struct haul_grant *mine, *theirs;
    struct haul_grant_facts facts;

    start(NULL, NULL);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL_FATAL(a.result.code, HAUL_OK);
    mine = &a.handoff->grants[a.result.flow];
    theirs = &b.handoff->grants[0];
    CU_ASSERT_TRUE(mine->asker && !theirs->asker);
    CU_ASSERT_EQUAL(mine->local_id, theirs->remote_id);
    CU_ASSERT_EQUAL(mine->remote_id, theirs->local_id);
    CU_ASSERT_NOT_EQUAL(mine->local_id, mine->remote_id);
    CU_ASSERT_EQUAL(memcmp(mine->seal_secret, theirs->open_secret, 32), 0);
    CU_ASSERT_EQUAL(memcmp(mine->open_secret, theirs->seal_secret, 32), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(mine->open_secret, mine->seal_secret, 32), 0);
    CU_ASSERT_EQUAL(mine->cipher, HAUL_CIPHER_AES_128_GCM);
    CU_ASSERT_EQUAL(theirs->cipher, mine->cipher);
    CU_ASSERT_EQUAL(mine->wants_max, 64);
    CU_ASSERT_EQUAL(theirs->wants_max, 64);
    CU_ASSERT_EQUAL(mine->payload_max, 8192);
    CU_ASSERT_EQUAL(mine->candidate_count, 1);
    CU_ASSERT_EQUAL(mine->candidates[0].port, 4999);
    CU_ASSERT_EQUAL(theirs->candidate_count, 1);
    /* Confirmed: the grant outlives the time in which it had to be. */
    host_pair_run(b_confirmed, 300 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(haul_grants_counters(b.grants)->ended_unconfirmed, 0);
    CU_ASSERT_TRUE(haul_grants_facts(b.grants, 0, &facts));
    CU_ASSERT_TRUE(haul_peer_id_equal(&facts.peer, &a.key.id));
    CU_ASSERT_TRUE(haul_cid_equal(&facts.root, &root));
    finish();
}

static void two_grants_share_no_secret(void)
{
    uint8_t first[32];

    start(NULL, NULL);
    ask_and_wait(&root);
    memcpy(first, a.handoff->grants[a.result.flow].seal_secret, 32);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.flow, 1);
    CU_ASSERT_NOT_EQUAL(memcmp(first, a.handoff->grants[1].seal_secret, 32), 0);
    finish();
}

static void what_is_not_there_and_what_is_not_shared_are_refused_alike(void)
{
    struct haul_offer_result absent;
    struct haul_cid other = root;

    start(NULL, NULL);
    other.codec = HAUL_CODEC_RAW;
    haul_hash_of(HAUL_HASH_BLAKE3, "other", 5, &other.hash);
    ask_and_wait(&other);
    absent = a.result;
    CU_ASSERT_EQUAL(absent.code, HAUL_E_REFUSED);
    CU_ASSERT_EQUAL(absent.reason, HAUL_OFFER_UNKNOWN);
    CU_ASSERT_EQUAL(haul_catalog_share(b.catalog, &root, NULL, false, NULL), 0);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(memcmp(&absent, &a.result, sizeof absent), 0);
    CU_ASSERT_EQUAL(haul_catalog_share(b.catalog, &root, &b.key.id, true, NULL), 0);
    ask_and_wait(&root); /* shared, but with somebody else */
    CU_ASSERT_EQUAL(memcmp(&absent, &a.result, sizeof absent), 0);
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->refused_unknown, 3);
    CU_ASSERT_EQUAL(haul_catalog_share(b.catalog, &root, &a.key.id, true, NULL), 0);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.code, HAUL_OK);
    finish();
}

static void a_peer_at_its_limit_is_told_when_to_come_back(void)
{
    start(NULL, NULL);
    ask_and_wait(&root);
    ask_and_wait(&root);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.code, HAUL_E_REFUSED);
    CU_ASSERT_EQUAL(a.result.reason, HAUL_OFFER_BUSY);
    CU_ASSERT_EQUAL(a.result.retry_ms, HAUL_GRANTS_RETRY_MS);
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->refused_busy, 1);
    finish();
}

static void only_chacha(struct haul_offers_conf *conf)
{
    conf->ciphers[0] = HAUL_CIPHER_CHACHA20_POLY1305;
    conf->cipher_count = 1;
    conf->payload_max = 1408;
    conf->wants_max = 8;
    conf->rate_max = 1000000;
}

static void only_no_cipher(struct haul_offers_conf *conf)
{
    conf->ciphers[0] = HAUL_CIPHER_NONE;
    conf->cipher_count = 1;
}

static void no_fast_path(struct haul_offers_conf *conf)
{
    conf->udp.port = 0;
}

static void small_datagrams(struct haul_offers_conf *conf)
{
    conf->payload_max = 1088;
}

static void the_lower_of_both_limits_holds(void)
{
    const struct haul_grant *mine, *theirs;

    start(NULL, only_chacha);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL_FATAL(a.result.code, HAUL_OK);
    mine = &a.handoff->grants[a.result.flow];
    theirs = &b.handoff->grants[0];
    CU_ASSERT_EQUAL(a.result.cipher, HAUL_CIPHER_CHACHA20_POLY1305);
    CU_ASSERT_EQUAL(mine->cipher, theirs->cipher);
    CU_ASSERT_EQUAL(mine->payload_max, 1408);
    CU_ASSERT_EQUAL(theirs->payload_max, 1408);
    CU_ASSERT_EQUAL(mine->wants_max, 8);
    CU_ASSERT_EQUAL(theirs->wants_max, 8);
    CU_ASSERT_EQUAL(mine->rate_max, 1000000);
    CU_ASSERT_EQUAL(theirs->rate_max, 1000000);
    finish();
}

static void incompatible_nodes_are_told_so(void)
{
    static void (*const adaptions[])(struct haul_offers_conf *) = { only_no_cipher,
                                                                    small_datagrams };

    for (size_t i = 0; i < HAUL_COUNT_OF(adaptions); i++) {
        start(NULL, adaptions[i]);
        ask_and_wait(&root);
        CU_ASSERT_EQUAL(a.result.code, HAUL_E_REFUSED);
        CU_ASSERT_EQUAL(a.result.reason, HAUL_OFFER_INCOMPATIBLE);
        CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->refused_incompatible, 1);
        CU_ASSERT_EQUAL(haul_offers_counters(a.offers)->ask_refused, 1);
        finish();
    }
    start(NULL, no_fast_path);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.reason, HAUL_OFFER_UNAVAILABLE);
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->refused_unavailable, 1);
    finish();
    start(no_fast_path, NULL);
    CU_ASSERT_PTR_NULL(ask_for(&root)); /* an asker without one does not even ask */
    finish();
}

static void a_cancelled_ask_leaves_nothing_behind(void)
{
    struct haul_grant_facts facts;
    struct haul_offer_ask *ask;

    start(NULL, NULL);
    ask = ask_for(&root);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ask);
    haul_offer_cancel(ask);
    host_pair_run(NULL, 50 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(a.done, 0);
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.flow, 0); /* its seat is free again */
    CU_ASSERT_TRUE(haul_grants_facts(a.grants, 0, &facts));
    finish();
}

static void an_ask_ends_with_its_connection(void)
{
    start(NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL(ask_for(&root));
    haul_host_disconnect(a.host, a.connection);
    CU_ASSERT_TRUE(host_pair_run(is_done, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(a.result.code, HAUL_E_PEER_GONE);
    CU_ASSERT_PTR_NULL(ask_for(&root));
    finish();
}

/* Both sides' messages and refusals find the connection full, again and again. */
static void messages_wait_while_the_connection_is_full(void)
{
    haul_time limit;

    start(NULL, NULL);
    limit = haul_loop_now(pair.loop) + 20 * HAUL_SECOND;
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &bulk_behaviour, NULL));
    do {
        ask_and_wait(&root);
        if (a.result.code == HAUL_OK) {
            haul_grants_end(a.grants, a.result.flow);
        } else {
            CU_ASSERT_EQUAL(a.result.code, HAUL_E_REFUSED);
            CU_ASSERT_EQUAL(a.result.reason, HAUL_OFFER_BUSY);
        }
    } while ((haul_offers_counters(a.offers)->waited < 2 ||
              haul_offers_counters(b.offers)->waited < 2) &&
             haul_loop_now(pair.loop) < limit);
    CU_ASSERT_TRUE(haul_offers_counters(a.offers)->waited >= 2);
    CU_ASSERT_TRUE(haul_offers_counters(b.offers)->waited >= 2);
    CU_ASSERT_TRUE(haul_offers_counters(b.offers)->given >= 2);
    CU_ASSERT_TRUE(haul_offers_counters(b.offers)->refused_busy >= 1);
    CU_ASSERT_EQUAL(haul_offers_counters(a.offers)->malformed, 0);
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->malformed, 0);
    finish();
}

/* --- peers that break the protocol: a stream of the test's own --- */

static struct {
    uint8_t said[2 * HAUL_OFFER_BYTES_MAX];
    size_t said_bytes;
    uint8_t heard[HAUL_OFFER_BYTES_MAX];
    size_t heard_bytes;
    unsigned closed;
    enum haul_stream_end end;
    struct haul_stream *stream;
} rogue;

static void rogue_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    rogue.stream = stream;
    CU_ASSERT_TRUE(haul_stream_send(stream, rogue.said, rogue.said_bytes));
}

static size_t rogue_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    haul_assert(bytes <= sizeof rogue.heard - rogue.heard_bytes);
    memcpy(rogue.heard + rogue.heard_bytes, data, bytes);
    rogue.heard_bytes += bytes;
    return bytes;
}

static void rogue_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    (void)stream;
    rogue.closed++;
    rogue.end = end;
}

static const struct haul_behaviour rogue_behaviour = {
    .protocol = HAUL_OFFER_PROTOCOL,
    .opened = rogue_opened,
    .input = rogue_input,
    .closed = rogue_closed,
};

static bool rogue_is_over(void)
{
    return rogue.closed > 0;
}

static bool rogue_was_answered(void)
{
    return rogue.heard_bytes > 0 || rogue.closed > 0;
}

static void rogue_says(const void *data, size_t bytes)
{
    memset(&rogue, 0, sizeof rogue);
    memcpy(rogue.said, data, bytes);
    rogue.said_bytes = bytes;
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &rogue_behaviour, NULL));
}

/* A sound offer, its length in front; `key` is the asker's public key. */
static size_t sound_offer(uint8_t message[2 + HAUL_OFFER_BYTES_MAX], const uint8_t key[32])
{
    struct haul_offer offer = { .version = 1,
                                .root = root,
                                .wire_version_count = 1,
                                .wire_versions = { 1 },
                                .cipher_count = 1,
                                .ciphers = { HAUL_CIPHER_AES_128_GCM },
                                .side = { .receiver_id = 7,
                                          .payload_max = 1408,
                                          .wants_max = 4,
                                          .candidate_count = 2,
                                          .candidates = {
                                              { .family = 4, .ip = { 8, 8, 8, 8 }, .port = 53 },
                                              { .family = 4, .ip = { 127, 0, 0, 1 }, .port = 9 },
                                          } } };
    uint8_t data[HAUL_OFFER_BYTES_MAX];
    struct haul_out out = haul_out_to(data, sizeof data);
    size_t bytes;

    memcpy(offer.side.key, key, 32);
    haul_offer_write(&out, &offer);
    bytes = (size_t)(out.at - data);
    out = haul_out_to(message, 2 + HAUL_OFFER_BYTES_MAX);
    haul_out_uvarint(&out, bytes);
    haul_out_bytes(&out, data, bytes);
    return (size_t)(out.at - message);
}

static void what_cannot_be_understood_is_reset(void)
{
    static const struct {
        const char *data;
        size_t bytes;
    } cases[] = { { "\x00", 1 },
                  { "\x05hello", 6 },
                  { "\x81\x20", 2 }, /* 4097 bytes */
                  { "\xff\xff\x7f", 3 },
                  { "\x80\x00", 2 } };
    uint8_t message[2 + HAUL_OFFER_BYTES_MAX], zero[32] = { 0 };
    struct haul_grant_facts facts;

    start(NULL, NULL);
    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++) {
        rogue_says(cases[i].data, cases[i].bytes);
        CU_ASSERT_TRUE(host_pair_run(rogue_is_over, 5 * HAUL_SECOND));
        CU_ASSERT_EQUAL(rogue.end, HAUL_STREAM_RESET);
    }
    rogue_says(message, sound_offer(message, zero)); /* a key of small order */
    CU_ASSERT_TRUE(host_pair_run(rogue_is_over, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(rogue.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->malformed, HAUL_COUNT_OF(cases) + 1);
    CU_ASSERT_FALSE(haul_grants_facts(b.grants, 0, &facts));
    ask_and_wait(&root);
    CU_ASSERT_EQUAL(a.result.code, HAUL_OK);
    finish();
}

static unsigned b_closed_flows;

static bool b_closes_a_flow(void)
{
    struct haul_order order;

    while (haul_handoff_next_order(b.handoff, &order))
        b_closed_flows += order.kind == HAUL_ORDER_CLOSE;
    return b_closed_flows > 0;
}

static void short_patience(struct haul_offers_conf *conf)
{
    conf->idle_max = 100 * HAUL_MILLISECOND;
}

static void a_stream_on_which_nothing_is_said_is_reset(void)
{
    start(NULL, short_patience);
    rogue_says("\x05", 1);
    CU_ASSERT_TRUE(host_pair_run(rogue_is_over, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(rogue.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->streams_idle, 1);
    finish();
}

static void a_peer_has_few_streams_and_keeps_to_that(void)
{
    struct haul_offer_ask *asks[HAUL_OFFER_STREAMS_PER_PEER];
    struct haul_error error;

    start(NULL, NULL); /* nothing is done before the loop runs */
    /* Ours: the fifth ask is told to wait, and may come when one of the others is over. */
    for (size_t i = 0; i < HAUL_COUNT_OF(asks); i++) {
        asks[i] = ask_for(&root);
        CU_ASSERT_PTR_NOT_NULL_FATAL(asks[i]);
    }
    CU_ASSERT_PTR_NULL(haul_offer_ask(a.offers, a.host, a.connection,
                                      &(struct haul_offer_wish){ .root = root, .done = on_done },
                                      &error));
    CU_ASSERT_EQUAL(error.code, HAUL_E_LIMIT);
    haul_offer_cancel(asks[0]);
    CU_ASSERT_PTR_NOT_NULL(ask_for(&root));
    CU_ASSERT_TRUE(host_pair_run(four_are_done, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->streams_over_limit, 0);
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->malformed, 0);
    /* Of a peer that does not keep to it, the fifth is reset. */
    for (size_t i = 0; i < HAUL_COUNT_OF(asks); i++)
        rogue_says("\x05", 1);
    host_pair_run(NULL, 20 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(rogue.closed, 0);
    rogue_says("\x05", 1);
    CU_ASSERT_TRUE(host_pair_run(rogue_is_over, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(rogue.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->streams_over_limit, 1);
    finish();
}

static void a_wrong_or_missing_confirmation_ends_the_grant(void)
{
    uint8_t message[2 + HAUL_OFFER_BYTES_MAX], secret[32] = { 9 }, key[32], confirm[128];
    size_t bytes;

    for (unsigned way = 0; way < 3; way++) {
        b_closed_flows = 0;
        start(NULL, NULL);
        haul_kex_public(secret, key);
        bytes = sound_offer(message, key);
        rogue_says(message, bytes);
        CU_ASSERT_TRUE_FATAL(host_pair_run(rogue_was_answered, 5 * HAUL_SECOND));
        CU_ASSERT_EQUAL(rogue.closed, 0);
        CU_ASSERT_EQUAL(b.handoff->grants[0].candidate_count, 1); /* the public one was dropped */
        CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->candidates_dropped, 1);
        if (way == 0) { /* a signature over something else */
            uint8_t signature[64] = { 0 };
            struct haul_out out = haul_out_to(confirm, sizeof confirm);

            haul_out_be(&out, 66, 1);
            haul_offer_confirm_write(&out, signature);
            CU_ASSERT_TRUE(haul_stream_send(rogue.stream, confirm, 67));
        } else if (way == 1) { /* the stream ends instead */
            haul_stream_close(rogue.stream);
        } /* else: silence */
        CU_ASSERT_TRUE(host_pair_run(b_closes_a_flow, 5 * HAUL_SECOND));
        CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->bad_signatures, way == 0);
        CU_ASSERT_EQUAL(haul_grants_counters(b.grants)->ended_unconfirmed, way == 2);
        finish();
    }
}

/* b takes the connection for one through a relay, or not. */
static void b_relayed(bool relayed)
{
    haul_host_connection(b.host, b.connection)->relayed = relayed;
}

/* A byte every now and then of what would be a confirmation, and never the last of it. */
static bool rogue_trickles(void)
{
    static haul_time next;
    haul_time now = haul_loop_now(pair.loop);

    if (rogue.closed == 0 && now >= next && rogue.said_bytes < 66) {
        uint8_t byte = rogue.said_bytes++ == 0 ? 66 : 1; /* the length, and then the message */

        next = now + 5 * HAUL_MILLISECOND;
        (void)haul_stream_write(rogue.stream, &byte, 1); /* b may be through with it */
    }
    return rogue.closed > 0;
}

static void through_a_relay_what_trickles_in_keeps_no_seat(void)
{
    uint8_t message[2 + HAUL_OFFER_BYTES_MAX], secret[32] = { 9 }, key[32];
    struct haul_order order;

    start(NULL, NULL);
    b_relayed(true);
    haul_kex_public(secret, key);
    rogue_says(message, sound_offer(message, key));
    CU_ASSERT_TRUE_FATAL(host_pair_run(rogue_was_answered, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_offers_counters(b.offers)->given, 1);
    rogue.said_bytes = 0;
    CU_ASSERT_TRUE(host_pair_run(rogue_trickles, 5 * HAUL_SECOND));
    CU_ASSERT_EQUAL(rogue.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(haul_grants_counters(b.grants)->ended_unconfirmed, 1);
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->streams_idle, 0);
    CU_ASSERT_FALSE(haul_handoff_next_order(b.handoff, &order)); /* it was never opened */
    for (unsigned i = 0; i < 2; i++) { /* as many as a peer has: its seat is free again */
        ask_and_wait(&root);
        CU_ASSERT_EQUAL(a.result.code, HAUL_OK);
    }
    b_relayed(false);
    finish();
}

static void payload_classes_are_cut_to_what_both_take(void)
{
    CU_ASSERT_EQUAL(haul_offer_payload(8192, 8192), 8192);
    CU_ASSERT_EQUAL(haul_offer_payload(8192, 100000), 8192);
    CU_ASSERT_EQUAL(haul_offer_payload(1450, 8192), 1408);
    CU_ASSERT_EQUAL(haul_offer_payload(1152, 1408), 1152);
    CU_ASSERT_EQUAL(haul_offer_payload(1151, 1408), 0);
    CU_ASSERT_EQUAL(haul_offer_payload(8192, 0), 0);
    CU_ASSERT_EQUAL(haul_offer_payload(100000, UINT32_MAX), 8192);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "what is agreed fits together", what_is_agreed_fits_together },
        { "two grants share no secret", two_grants_share_no_secret },
        { "what is not there and what is not shared are refused alike",
          what_is_not_there_and_what_is_not_shared_are_refused_alike },
        { "a peer at its limit is told when to come back",
          a_peer_at_its_limit_is_told_when_to_come_back },
        { "the lower of both limits holds", the_lower_of_both_limits_holds },
        { "incompatible nodes are told so", incompatible_nodes_are_told_so },
        { "a cancelled ask leaves nothing behind", a_cancelled_ask_leaves_nothing_behind },
        { "an ask ends with its connection", an_ask_ends_with_its_connection },
        { "messages wait while the connection is full, and none is lost",
          messages_wait_while_the_connection_is_full },
        { "what cannot be understood is reset", what_cannot_be_understood_is_reset },
        { "a stream on which nothing is said is reset",
          a_stream_on_which_nothing_is_said_is_reset },
        { "a peer has few streams at a time, and keeps to that",
          a_peer_has_few_streams_and_keeps_to_that },
        { "a wrong or missing confirmation ends the grant",
          a_wrong_or_missing_confirmation_ends_the_grant },
        { "through a relay what trickles in keeps no seat",
          through_a_relay_what_trickles_in_keeps_no_seat },
        { "payload classes are cut to what both take", payload_classes_are_cut_to_what_both_take },
    };

    extra_behaviour = &bulk_behaviour;
    return unit_main("offer", tests, HAUL_COUNT_OF(tests));
}
