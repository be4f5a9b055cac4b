/* Circuit relay v2: two nodes meet through a third, within its limits and not beyond. */
#include "tests/unit/relay_rig.h"

/* What comes back: the opener sends bytes, the other returns them. */
struct rig_echo {
    size_t sent, back, want;
    bool over;
    enum haul_stream_end end;
};
static uint8_t rig_noise[64u << 10];

static void echo_pour(struct haul_stream *stream)
{
    struct rig_echo *echo = haul_stream_argument(stream);

    while (echo != NULL && echo->sent < echo->want) {
        size_t left = echo->want - echo->sent;
        size_t took =
            haul_stream_write(stream, rig_noise, left < sizeof rig_noise ? left : sizeof rig_noise);

        echo->sent += took;
        if (took == 0)
            return;
    }
    if (echo != NULL)
        haul_stream_close(stream);
}

static void echo_opened(struct haul_stream *stream, void *argument)
{
    if (argument != NULL)
        echo_pour(stream);
}

static size_t echo_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct rig_echo *echo = haul_stream_argument(stream);

    if (echo == NULL)
        return haul_stream_write(stream, data, bytes);
    echo->back += bytes;
    return bytes;
}

static void echo_writable(struct haul_stream *stream)
{
    if (haul_stream_inbound(stream))
        haul_stream_resume(stream);
    else
        echo_pour(stream);
}

static void echo_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void echo_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct rig_echo *echo = haul_stream_argument(stream);

    if (echo == NULL)
        return;
    echo->over = true;
    echo->end = end;
}

static const struct haul_behaviour rig_echo_behaviour = {
    .protocol = "/test/echo/1",
    .inbound_per_peer_max = 16,
    .opened = echo_opened,
    .input = echo_input,
    .writable = echo_writable,
    .ended = echo_ended,
    .closed = echo_closed,
};

static const struct haul_protocol echoing[] = { { .behaviour = &rig_echo_behaviour }, { 0 } };

static void begin(const struct haul_relay_limits *limits)
{
    rig_begin();
    rig_open(&r, 1, limits, NULL, NULL);
    rig_open(&b, 2, NULL, &r, echoing);
    rig_open(&a, 3, NULL, NULL, echoing);
}

static void end(void)
{
    rig_part();
    rig_close(&a);
    rig_close(&b);
    rig_close(&r);
    rig_end();
}

static struct rig_echo echo;

static bool echo_over(void)
{
    return echo.over;
}

static bool echoes(size_t bytes)
{
    memset(&echo, 0, sizeof echo);
    echo.want = bytes;
    CU_ASSERT_PTR_NOT_NULL_FATAL(
        haul_host_stream(a.host, a.connection, &rig_echo_behaviour, &echo));
    return host_pair_run(echo_over, 20 * HAUL_SECOND) && echo.end == HAUL_STREAM_DONE &&
           echo.back == bytes;
}

static void a_full_connection_runs_through_the_relay(void)
{
    struct haul_connection_facts facts;

    begin(&rig_limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE_FATAL(haul_host_facts(a.host, a.connection, &facts));
    CU_ASSERT_TRUE(haul_peer_id_equal(&facts.peer, &b.key.id));
    CU_ASSERT_TRUE(facts.relayed);
    CU_ASSERT_TRUE(facts.circuit.limited);
    CU_ASSERT_EQUAL(facts.circuit.bytes_max, 128u << 10);
    CU_ASSERT_TRUE(haul_peer_id_equal(&facts.circuit.relay, &r.key.id));
    CU_ASSERT_FALSE(facts.inbound);
    CU_ASSERT_TRUE(echoes(20000));
    CU_ASSERT_TRUE_FATAL(haul_host_facts(b.host, haul_host_find(b.host, &a.key.id), &facts));
    CU_ASSERT_TRUE(facts.relayed && facts.inbound && facts.circuit.limited);
    CU_ASSERT_EQUAL(haul_host_find_direct(b.host, &a.key.id), HAUL_HOST_NO_CONNECTION);
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->circuits, 1);
    CU_ASSERT_TRUE(haul_relay_counters(r.relay)->relayed_bytes > 40000);
    CU_ASSERT_EQUAL(haul_relay_counters(b.relay)->accepted, 1);
    end();
}

static bool r_is_free(void)
{
    struct haul_relay_usage usage;

    haul_relay_usage(r.relay, &usage);
    return usage.circuits == 0;
}

static bool a_is_alone(void)
{
    return haul_host_find(a.host, &b.key.id) == HAUL_HOST_NO_CONNECTION;
}

static void what_the_ends_let_go_of_the_relay_forgets(void)
{
    begin(&rig_limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    for (int i = 0; i < 6; i++) { /* more than a peer may have at once */
        CU_ASSERT_TRUE_FATAL(rig_dial());
        haul_host_disconnect(a.host, a.connection);
        CU_ASSERT_TRUE_FATAL(host_pair_run(r_is_free, 10 * HAUL_SECOND));
        CU_ASSERT_TRUE_FATAL(host_pair_run(a_is_alone, 10 * HAUL_SECOND));
    }
    end();
}

static void a_circuit_is_cut_at_its_limit_of_bytes(void)
{
    begin(&rig_limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_FALSE(echoes(300000));
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->circuits_cut, 1);
    CU_ASSERT_TRUE(haul_relay_counters(r.relay)->relayed_bytes <= 2 * (128u << 10));
    CU_ASSERT_TRUE(host_pair_run(r_is_free, 10 * HAUL_SECOND));
    end();
}

static void without_a_limit_bulk_passes_and_nobody_is_told_of_one(void)
{
    struct haul_relay_limits limits = rig_limits;
    struct haul_connection_facts facts;

    limits.circuit = (struct haul_relay_limit){ 0 };
    begin(&limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE_FATAL(haul_host_facts(a.host, a.connection, &facts));
    CU_ASSERT_FALSE(facts.circuit.limited);
    CU_ASSERT_TRUE(echoes(8u << 20));
    end();
}

static void who_has_no_place_is_not_reached(void)
{
    rig_begin();
    rig_open(&r, 1, &rig_limits, NULL, NULL);
    rig_open(&b, 2, NULL, NULL, NULL);
    rig_open(&a, 3, NULL, NULL, NULL);
    /* b is connected to the relay and has not asked for a place */
    haul_host_dial(b.host, &r.key.id, &r.address, 1, HAUL_TIME_NEVER, rig_dialled, &b);
    CU_ASSERT_FALSE(rig_dial());
    CU_ASSERT_EQUAL(a.error.code, HAUL_E_PEER_UNREACHABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.error.text, "has no place"));
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->connects_refused, 1);
    end();
}

static void a_node_that_does_not_serve_is_no_relay(void)
{
    begin(NULL);
    CU_ASSERT_FALSE(rig_dial());
    CU_ASSERT_EQUAL(rig_places(&b), 0);
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->reserved, 0);
    end();
}

static bool b_failed(void)
{
    return haul_relay_counters(b.relay)->places_failed > 0;
}

static void places_are_limited(void)
{
    struct haul_relay_limits limits = rig_limits;
    struct haul_relay_usage usage;

    limits.reservations_per_address_max = 0;
    begin(&limits);
    CU_ASSERT_TRUE(host_pair_run(b_failed, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_relay_counters(r.relay)->reservations_refused > 0);
    haul_relay_usage(r.relay, &usage);
    CU_ASSERT_EQUAL(usage.reservations, 0);
    end();
    limits = rig_limits;
    limits.circuits_max = 0;
    begin(&limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_FALSE(rig_dial());
    CU_ASSERT_PTR_NOT_NULL(strstr(a.error.text, "limit"));
    end();
}

static bool a_was_cut_and_b_renewed(void)
{
    return haul_relay_counters(r.relay)->circuits_cut == 1 && a_is_alone() &&
           haul_relay_counters(b.relay)->places_kept >= 2;
}

/* Both in the one second that the shortest times are long. */
static void a_circuit_is_cut_at_its_limit_of_time_and_a_place_renewed_before_its_end(void)
{
    struct haul_relay_limits limits = rig_limits;

    limits.circuit.seconds = 1;
    limits.reservation_life = 2 * HAUL_SECOND;
    begin(&limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE_FATAL(rig_dial());
    CU_ASSERT_TRUE(host_pair_run(a_was_cut_and_b_renewed, 20 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_relay_counters(r.relay)->reserved >= 2);
    CU_ASSERT_EQUAL(haul_relay_counters(b.relay)->places_lost, 0);
    end();
}

static bool r_reserved(void)
{
    struct haul_relay_usage usage;

    haul_relay_usage(r.relay, &usage);
    return usage.reservations == 1;
}

static bool b_told(void)
{
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];
    size_t count = haul_host_told(b.host, told, HAUL_COUNT_OF(told));

    return count == 2 && haul_multiaddr_relayed(&told[1]);
}

static bool b_silent(void)
{
    struct haul_multiaddr told[HAUL_HOST_ADDRESSES_MAX];

    return haul_host_told(b.host, told, HAUL_COUNT_OF(told)) == 1;
}

static void a_place_that_is_lost_is_no_longer_told_and_taken_again(void)
{
    begin(&rig_limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_told, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE(r_reserved());
    haul_host_disconnect(r.host, r.connection);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_silent, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_relay_counters(b.relay)->places_lost, 1);
    CU_ASSERT_TRUE(host_pair_run(b_told, 20 * HAUL_SECOND));
    CU_ASSERT_TRUE(r_reserved());
    end();
}

/* --- peers that break the rules --- */

static struct script {
    uint8_t say[64];
    size_t bytes;
    bool over;
    uint8_t heard[HAUL_RELAY_MESSAGE_MAX];
    size_t heard_bytes;
} script;

static void script_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    CU_ASSERT_TRUE(haul_stream_send(stream, script.say, script.bytes));
}

static size_t script_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    if (bytes <= sizeof script.heard - script.heard_bytes) {
        memcpy(script.heard + script.heard_bytes, data, bytes);
        script.heard_bytes += bytes;
    }
    return bytes;
}

static void script_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void script_closed(struct haul_stream *stream, enum haul_stream_end end_)
{
    (void)stream;
    (void)end_;
    script.over = true;
}

static const struct haul_behaviour hop_script = { .protocol = "/libp2p/circuit/relay/0.2.0/hop",
                                                  .opened = script_opened,
                                                  .input = script_input,
                                                  .ended = script_ended,
                                                  .closed = script_closed };
static const struct haul_behaviour stop_script = { .protocol = "/libp2p/circuit/relay/0.2.0/stop",
                                                   .opened = script_opened,
                                                   .input = script_input,
                                                   .ended = script_ended,
                                                   .closed = script_closed };

static bool script_over(void)
{
    return script.over;
}

/* What a node answers to these bytes; UNUSED: nothing that is one. */
static enum haul_relay_status answer_to(struct rig_node *node, const struct haul_behaviour *by,
                                        const void *say, size_t bytes)
{
    static struct haul_relay_message message;

    memset(&script, 0, sizeof script);
    memcpy(script.say, say, bytes);
    script.bytes = bytes;
    a.dials = 0;
    haul_host_dial(a.host, &node->key.id, &node->address, 1, HAUL_TIME_NEVER, rig_dialled, &a);
    CU_ASSERT_TRUE_FATAL(host_pair_run(a_dialled, 10 * HAUL_SECOND) && a.failures == 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(haul_host_stream(a.host, a.connection, by, NULL));
    CU_ASSERT_TRUE(host_pair_run(script_over, 10 * HAUL_SECOND));
    if (script.heard_bytes < 2 || script.heard[0] != script.heard_bytes - 1 ||
        !haul_relay_decode(script.heard + 1, script.heard_bytes - 1, by == &stop_script, &message))
        return HAUL_RELAY_UNUSED;
    return message.status;
}

static void malformed_messages_are_answered_as_such(void)
{
    begin(&rig_limits);
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\x02\x08\x07", 3), HAUL_RELAY_MALFORMED);
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\xff\xff\xff\xff\x0f", 5), HAUL_RELAY_MALFORMED);
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\x00", 1), HAUL_RELAY_MALFORMED);
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\x02\x08\x01", 3), HAUL_RELAY_MALFORMED);
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\x02\x08\x02", 3), HAUL_RELAY_UNEXPECTED);
    CU_ASSERT_EQUAL(answer_to(&r, &stop_script, "\x02\x08\x01", 3), HAUL_RELAY_UNEXPECTED);
    CU_ASSERT_EQUAL(answer_to(&r, &stop_script, "\x02\x08\x00", 3), HAUL_RELAY_MALFORMED);
    CU_ASSERT_TRUE(haul_relay_counters(r.relay)->malformed >= 7);
    end();
}

/* Somebody who is no relay of ours says that a peer is waiting. */
static void nobody_comes_in_through_a_stranger(void)
{
    uint8_t say[48] = { 44, 0x08, 0x00, 0x12, 40, 0x0a, 38 };

    begin(&rig_limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    memcpy(say + 7, r.key.id.bytes, 38);
    CU_ASSERT_EQUAL(answer_to(&b, &stop_script, say, 45), HAUL_RELAY_PERMISSION_DENIED);
    CU_ASSERT_EQUAL(haul_relay_counters(b.relay)->not_expected, 1);
    CU_ASSERT_EQUAL(haul_relay_counters(b.relay)->accepted, 0);
    end();
}

static struct haul_relay_limits paced(uint32_t per_peer, uint32_t per_network)
{
    struct haul_relay_limits limits = rig_limits;

    limits.pace = (struct haul_pace_limits){ per_peer, per_network };
    return limits;
}

/* Three peers, of one machine: so of one network as well. */
static void how_often_peers_ask_is_limited(void)
{
    struct haul_relay_limits limits = paced(3, 100);

    begin(&limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(rig_dial(), i < 3);
        if (i < 3)
            haul_host_disconnect(a.host, a.connection);
        CU_ASSERT_TRUE_FATAL(host_pair_run(a_is_alone, 10 * HAUL_SECOND));
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(a.error.text, "limit"));
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->connects, 3); /* the others are not looked at */
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->connects_paced, 2);
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->reservations_paced, 0);
    end();
    limits = paced(100, 1);
    begin(&limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\x02\x08\x00", 3), HAUL_RELAY_RESERVATION_REFUSED);
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->reservations_paced, 1);
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->reserved, 1);
    end();
}

static void who_offers_no_more_is_no_relay_until_it_offers_again(void)
{
    begin(&rig_limits);
    CU_ASSERT_TRUE_FATAL(host_pair_run(b_has_place, 10 * HAUL_SECOND));
    CU_ASSERT_TRUE(haul_host_speaks(b.host, b.connection, &haul_relay_hop_behaviour));
    haul_relay_offer(r.relay, false);
    CU_ASSERT_EQUAL(answer_to(&r, &hop_script, "\x02\x08\x00", 3), HAUL_RELAY_PERMISSION_DENIED);
    haul_relay_offer(r.relay, true);
    (void)answer_to(&r, &hop_script, "\x02\x08\x00", 3);
    CU_ASSERT_EQUAL(haul_relay_counters(r.relay)->reserved, 2);
    end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a full connection runs through the relay", a_full_connection_runs_through_the_relay },
        { "what the ends let go of the relay forgets", what_the_ends_let_go_of_the_relay_forgets },
        { "a circuit is cut at its limit of bytes", a_circuit_is_cut_at_its_limit_of_bytes },
        { "a circuit is cut at its limit of time, and a place renewed before its end",
          a_circuit_is_cut_at_its_limit_of_time_and_a_place_renewed_before_its_end },
        { "without a limit bulk passes, and nobody is told of one",
          without_a_limit_bulk_passes_and_nobody_is_told_of_one },
        { "who has no place is not reached, connected or not", who_has_no_place_is_not_reached },
        { "a node that does not serve is no relay", a_node_that_does_not_serve_is_no_relay },
        { "places and circuits are limited", places_are_limited },
        { "how often peers ask is limited, for each and for a network",
          how_often_peers_ask_is_limited },
        { "a place that is lost is no longer told, and taken again",
          a_place_that_is_lost_is_no_longer_told_and_taken_again },
        { "who offers no more is no relay, until it offers again",
          who_offers_no_more_is_no_relay_until_it_offers_again },
        { "malformed messages are answered as such", malformed_messages_are_answered_as_such },
        { "nobody comes in through a stranger", nobody_comes_in_through_a_stranger },
    };

    return unit_main("relay", tests, HAUL_COUNT_OF(tests));
}
