/* The connection machine: two of them over pipes, and one against peers that misbehave. */
#include "controlplane/p2p/conn.h"
#include "controlplane/p2p/secure.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STREAMS   32u
#define IN_BYTES  (256u << 10)
#define OUT_BYTES (256u << 10)
#define WIRE_MAX  (1u << 20)

enum { ECHO, SINK };
static const char *const protocols[] = { "/test/echo/1", "/test/sink/1" };

struct side {
    struct haul_conn conn;
    struct haul_key key;
    uint8_t in[IN_BYTES], out[OUT_BYTES];
    struct haul_conn_stream streams[STREAMS];
    struct haul_yamux_stream muxes[STREAMS];
    uint8_t wire[WIRE_MAX]; /* sent by this side and not yet received */
    size_t wire_bytes;
    unsigned seen[16]; /* events by kind */
    uint64_t bytes;
    uint8_t last[64]; /* the first bytes of the last data */
    struct haul_conn_stream *stream;
    bool echo_owner[STREAMS];
};

static struct side *left, *right; /* dialer and listener */
static haul_time now;
static struct haul_tls_identity identities[2];

static const struct haul_psk psks[2] = { { { 1 } }, { { 2 } } };
static const struct haul_psk *networks[2]; /* of each side, dialer first */

/* What each side offers, dialer first. */
static struct {
    enum haul_security list[2];
    size_t count;
} offers[2] = { { .count = 1 }, { .count = 1 } };

static void offer(enum haul_security security)
{
    for (size_t i = 0; i < 2; i++) {
        offers[i].list[0] = security;
        offers[i].count = 1;
    }
}

static void side_start(struct side *side, bool dialer, const struct haul_peer_id *expected,
                       bool late_muxer)
{
    uint8_t secrets[3][32];
    struct haul_conn_conf conf = {
        .dialer = dialer,
        .late_muxer = late_muxer,
        .key = &side->key,
        .securities = offers[!dialer].list,
        .security_count = offers[!dialer].count,
        .tls = &identities[!dialer],
        .unix_seconds = 1800000000,
        .psk = networks[!dialer],
        .psk_nonce = secrets[0],
        .expected = expected,
        .protocols = protocols,
        .protocol_count = HAUL_COUNT_OF(protocols),
        .in = side->in,
        .in_bytes = IN_BYTES,
        .out = side->out,
        .out_bytes = OUT_BYTES,
        .streams = side->streams,
        .muxes = side->muxes,
        .stream_count = STREAMS,
        .window_spare = 64u << 20,
        .static_private = secrets[1],
        .ephemeral_private = secrets[2],
    };

    memset(side, 0, sizeof *side);
    for (size_t i = 0; i < sizeof secrets; i++)
        secrets[i / 32][i % 32] = (uint8_t)(i * 7 + (dialer ? 1 : 100));
    haul_key_from_seed(&side->key, secrets[0]);
    if (identities[!dialer].context == NULL)
        CU_ASSERT_TRUE_FATAL(haul_tls_identity_open(&identities[!dialer], &side->key, 1800000000));
    haul_conn_init(&side->conn, &conf, now);
}

static void start(bool late_left, bool late_right)
{
    now = HAUL_SECOND;
    if (left == NULL) {
        left = calloc(1, sizeof *left);
        right = calloc(1, sizeof *right);
    } else {
        haul_conn_fini(&left->conn);
        haul_conn_fini(&right->conn);
    }
    side_start(right, false, NULL, late_right);
    side_start(left, true, &right->key.id, late_left);
}

static void side_event(struct side *side, const struct haul_conn_event *event)
{
    struct haul_conn *conn = &side->conn;

    side->seen[event->kind]++;
    switch (event->kind) {
    case HAUL_CONN_ACCEPTED:
        side->stream = event->stream;
        side->echo_owner[event->stream->mux->index] = event->index == ECHO;
        haul_conn_window(conn, event->stream, 16u << 20, 0);
        break;
    case HAUL_CONN_DATA:
        side->bytes += event->bytes;
        memcpy(side->last, event->data,
               event->bytes < sizeof side->last ? event->bytes : sizeof side->last);
        if (side->echo_owner[event->stream->mux->index])
            CU_ASSERT_EQUAL(haul_conn_write(conn, event->stream, event->data, event->bytes),
                            event->bytes);
        haul_conn_consume(conn, event->stream, event->bytes);
        break;
    case HAUL_CONN_RESET:
    case HAUL_CONN_REFUSED:
    case HAUL_CONN_EXPIRED:
        haul_conn_release(conn, event->stream);
        break;
    case HAUL_CONN_OPENED:
    case HAUL_CONN_ENDED:
    case HAUL_CONN_WRITABLE:
    case HAUL_CONN_GOAWAY:
    case HAUL_CONN_FAILED:
        break;
    }
}

static void side_events(struct side *side)
{
    struct haul_conn_event event;

    while (haul_conn_event(&side->conn, &event))
        side_event(side, &event);
}

static void side_send(struct side *side)
{
    const uint8_t *data;
    size_t bytes;

    while ((bytes = haul_conn_output(&side->conn, &data)) > 0 && side->wire_bytes < WIRE_MAX) {
        if (bytes > WIRE_MAX - side->wire_bytes)
            bytes = WIRE_MAX - side->wire_bytes;
        memcpy(side->wire + side->wire_bytes, data, bytes);
        side->wire_bytes += bytes;
        haul_conn_sent(&side->conn, bytes, now);
        side_events(side);
    }
}

/* Gives `bytes` at `data` to the side in slices; returns what it took. */
static size_t side_receive(struct side *side, const uint8_t *data, size_t bytes, size_t cut)
{
    size_t at = 0;

    while (at < bytes) {
        uint8_t *space;
        size_t room = haul_conn_room(&side->conn, &space);
        size_t part = bytes - at < cut ? bytes - at : cut;

        if (room == 0)
            break;
        if (part > room)
            part = room;
        memcpy(space, data + at, part);
        haul_conn_received(&side->conn, part, now);
        side_events(side);
        at += part;
    }
    return at;
}

static size_t carry(struct side *from, struct side *to, size_t cut)
{
    size_t took;

    side_send(from);
    took = side_receive(to, from->wire, from->wire_bytes, cut);
    memmove(from->wire, from->wire + took, from->wire_bytes - took);
    from->wire_bytes -= took;
    return took;
}

static void settle(size_t cut)
{
    while (carry(left, right, cut) + carry(right, left, cut) > 0)
        ;
}

/* --- promises --- */

static void both_sides_are_proven_however_the_bytes_are_cut(void)
{
    static const size_t cuts[] = { 1, 7, 100, WIRE_MAX };

    for (size_t i = 0; i < 8 * HAUL_COUNT_OF(cuts); i++) {
        offer(i & 4 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE);
        start(i & 1, i & 2);
        settle(cuts[i / 8]);
        CU_ASSERT_EQUAL(left->conn.phase, HAUL_CONN_UP);
        CU_ASSERT_EQUAL(right->conn.phase, HAUL_CONN_UP);
        CU_ASSERT_EQUAL(left->seen[HAUL_CONN_OPENED], 1);
        CU_ASSERT_EQUAL(right->seen[HAUL_CONN_OPENED], 1);
        CU_ASSERT_TRUE(haul_peer_id_equal(&left->conn.peer, &right->key.id));
        CU_ASSERT_TRUE(haul_peer_id_equal(&right->conn.peer, &left->key.id));
        CU_ASSERT_EQUAL(left->conn.secure.security, right->conn.secure.security);
        CU_ASSERT_EQUAL(left->conn.secure.security,
                        i & 4 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE);
    }
    offer(HAUL_SECURITY_NOISE);
}

/* Two in order: the second is taken where the first is not spoken, on the same connection. */
static void the_first_security_that_both_speak_is_taken(void)
{
    for (size_t i = 0; i < 8; i++) {
        offers[0].count = 2;
        offers[0].list[0] = i & 1 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE;
        offers[0].list[1] = i & 1 ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS;
        offers[1].count = i & 2 ? 2 : 1;
        offers[1].list[0] = i & 4 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE;
        offers[1].list[1] = i & 4 ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS;
        start(false, false);
        settle(WIRE_MAX);
        CU_ASSERT_EQUAL(left->conn.phase, HAUL_CONN_UP);
        CU_ASSERT_EQUAL(right->conn.phase, HAUL_CONN_UP);
        CU_ASSERT_EQUAL(left->conn.secure.security,
                        offers[1].count == 2 ? offers[0].list[0] : offers[1].list[0]);
    }
    offer(HAUL_SECURITY_NOISE);
}

static void members_of_a_private_network_meet(void)
{
    static const size_t cuts[] = { 1, 7, 100, WIRE_MAX };

    networks[0] = networks[1] = &psks[0];
    for (size_t i = 0; i < 2 * HAUL_COUNT_OF(cuts); i++) {
        struct haul_conn_stream *stream;

        offer(i & 1 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE);
        start(i & 2, false);
        settle(cuts[i / 2]);
        CU_ASSERT_EQUAL_FATAL(left->conn.phase, HAUL_CONN_UP);
        stream = haul_conn_open(&left->conn, protocols[ECHO], NULL, now);
        CU_ASSERT_TRUE(haul_conn_send(&left->conn, stream, "hello", 5));
        settle(cuts[i / 2]);
        CU_ASSERT_EQUAL(left->bytes, 5);
    }
    networks[0] = networks[1] = NULL;
    offer(HAUL_SECURITY_NOISE);
}

/* With another key, or none: nobody hears a word, and a member says why it hung up. */
static void strangers_to_a_private_network_are_shown_the_door(void)
{
    static const struct haul_psk *const pairs[][2] = { { &psks[0], &psks[1] },
                                                       { &psks[0], NULL },
                                                       { NULL, &psks[0] } };

    for (size_t i = 0; i < HAUL_COUNT_OF(pairs); i++) {
        networks[0] = pairs[i][0];
        networks[1] = pairs[i][1];
        start(false, false);
        settle(WIRE_MAX);
        if (networks[0] != NULL)
            CU_ASSERT_EQUAL(left->conn.fault, HAUL_CONN_OTHER_NETWORK);
        if (networks[1] != NULL)
            CU_ASSERT_EQUAL(right->conn.fault, HAUL_CONN_OTHER_NETWORK);
        CU_ASSERT_EQUAL(left->seen[HAUL_CONN_OPENED] + right->seen[HAUL_CONN_OPENED], 0);
    }
    networks[0] = networks[1] = NULL;
}

static void a_security_that_the_peer_does_not_speak_is_told_as_that(void)
{
    offers[0].list[0] = HAUL_SECURITY_TLS;
    start(false, false);
    settle(WIRE_MAX);
    CU_ASSERT_EQUAL(left->conn.fault, HAUL_CONN_NO_SECURITY);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_OPENED] + right->seen[HAUL_CONN_OPENED], 0);
    offer(HAUL_SECURITY_NOISE);
}

/* With TCP's own round trip: connected, proven and the first byte of an answer after three. */
static void streams_ride_in_the_second_flight(void)
{
    for (int i = 0; i < 4; i++) {
        struct haul_conn_stream *stream;
        bool late = i & 1;

        offer(i & 2 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE);
        start(late, late);
        carry(left, right, WIRE_MAX);
        carry(right, left, WIRE_MAX);
        CU_ASSERT_EQUAL(left->seen[HAUL_CONN_OPENED], 1);
        stream = haul_conn_open(&left->conn, protocols[ECHO], NULL, now);
        CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
        CU_ASSERT_TRUE(haul_conn_send(&left->conn, stream, "hello", 5));
        carry(left, right, WIRE_MAX);
        CU_ASSERT_EQUAL(right->bytes, 5);
        carry(right, left, WIRE_MAX);
        CU_ASSERT_EQUAL(left->bytes, 5);
        CU_ASSERT_EQUAL(memcmp(left->last, "hello", 5), 0);
    }
    offer(HAUL_SECURITY_NOISE);
}

static void an_answer_comes_even_when_the_opener_has_ended(void)
{
    struct haul_conn_stream *stream;

    start(false, false);
    settle(WIRE_MAX);
    stream = haul_conn_open(&left->conn, protocols[SINK], NULL, now);
    CU_ASSERT_TRUE(haul_conn_send(&left->conn, stream, "abc", 3));
    haul_conn_finish(&left->conn, stream);
    settle(WIRE_MAX);
    CU_ASSERT_FALSE(stream->negotiating);
    CU_ASSERT_EQUAL(right->seen[HAUL_CONN_ACCEPTED], 1);
    CU_ASSERT_EQUAL(right->bytes, 3);
    CU_ASSERT_EQUAL(right->seen[HAUL_CONN_ENDED], 1);
}

static void an_unknown_protocol_is_refused_and_forgotten(void)
{
    start(false, false);
    settle(WIRE_MAX);
    CU_ASSERT_PTR_NOT_NULL(haul_conn_open(&left->conn, "/test/unknown/1", NULL, now));
    settle(WIRE_MAX);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_REFUSED], 1);
    settle(WIRE_MAX);
    CU_ASSERT_EQUAL(left->conn.yamux.live + right->conn.yamux.live, 0);
    CU_ASSERT_EQUAL(right->seen[HAUL_CONN_ACCEPTED], 0);
    CU_ASSERT_EQUAL(left->conn.phase, HAUL_CONN_UP);
}

static void a_stream_that_is_not_negotiated_in_time_is_given_up(void)
{
    start(false, false);
    settle(WIRE_MAX);
    CU_ASSERT_PTR_NOT_NULL(haul_conn_open(&left->conn, protocols[ECHO], NULL, now));
    now += HAUL_CONN_NEGOTIATE_MAX;
    CU_ASSERT(haul_conn_deadline(&left->conn) <= now);
    haul_conn_expire(&left->conn, now);
    side_events(left);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_EXPIRED], 1);
    CU_ASSERT_EQUAL(left->conn.negotiating, 0);
}

/* A connection tells the time with what it carries, and nothing may have come for 15 s. */
static void a_stream_on_a_quiet_connection_has_all_its_time(void)
{
    start(false, false);
    settle(WIRE_MAX);
    now += HAUL_CONN_NEGOTIATE_MAX + HAUL_SECOND;
    CU_ASSERT_PTR_NOT_NULL(haul_conn_open(&left->conn, protocols[ECHO], NULL, now));
    CU_ASSERT(haul_conn_deadline(&left->conn) > now);
    haul_conn_expire(&left->conn, now + HAUL_CONN_NEGOTIATE_MAX - 1);
    side_events(left);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_EXPIRED], 0);
    CU_ASSERT_EQUAL(left->conn.negotiating, 1);
}

static void another_peer_is_refused(void)
{
    struct haul_peer_id wrong;

    start(false, false);
    wrong = left->key.id;
    haul_conn_fini(&left->conn);
    side_start(left, true, &wrong, false);
    settle(WIRE_MAX);
    CU_ASSERT_EQUAL(left->conn.fault, HAUL_CONN_OTHER_PEER);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_FAILED], 1);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_OPENED] + right->seen[HAUL_CONN_OPENED], 0);
}

static void another_peer_than_expected_is_refused(void)
{
    another_peer_is_refused();
    offer(HAUL_SECURITY_TLS);
    another_peer_is_refused();
    offer(HAUL_SECURITY_NOISE);
}

static void garbage_ends_the_connection_in_every_phase(void)
{
    uint8_t garbage[3000];

    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)(i * i * 31 + 17);
    for (int round = 0; round < 12; round++) {
        int flights = round % 6;

        offer(round < 6 ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS);
        start(flights & 1, false);
        for (int i = 0; i < flights; i++)
            carry(i % 2 == 0 ? left : right, i % 2 == 0 ? right : left, WIRE_MAX);
        side_receive(right, garbage, sizeof garbage, 100);
        for (int i = 0; i < 30; i++)
            side_receive(right, garbage, sizeof garbage, sizeof garbage);
        CU_ASSERT_EQUAL(right->conn.phase, HAUL_CONN_OVER);
        CU_ASSERT_EQUAL(right->seen[HAUL_CONN_FAILED], 1);
    }
    offer(HAUL_SECURITY_NOISE);
}

/* What the peer made us answer must not be sealed by what no longer opens. */
static void a_forged_message_behind_a_ping_ends_the_connection_alone(void)
{
    for (int round = 0; round < 2; round++) {
        uint8_t forged[64] = { 0, 62 };
        const uint8_t *data;

        if (round == 1) {
            offer(HAUL_SECURITY_TLS);
            memcpy(forged, (uint8_t[]){ 23, 3, 3, 0, 59 }, 5);
        }
        start(false, false);
        settle(WIRE_MAX);
        now += HAUL_YAMUX_PING_EVERY;
        haul_conn_expire(&left->conn, now);
        side_send(left);
        memcpy(left->wire + left->wire_bytes, forged, sizeof forged);
        left->wire_bytes += sizeof forged;
        (void)side_receive(right, left->wire, left->wire_bytes, WIRE_MAX);
        CU_ASSERT_EQUAL(right->conn.fault, HAUL_CONN_FORGED);
        CU_ASSERT_EQUAL(right->seen[HAUL_CONN_FAILED], 1);
        (void)haul_conn_output(&right->conn, &data);
        CU_ASSERT_EQUAL(right->conn.fault, HAUL_CONN_FORGED);
    }
    offer(HAUL_SECURITY_NOISE);
}

static void a_peer_that_stalls_in_mid_handshake_is_given_up(void)
{
    for (int round = 0; round < 6; round++) {
        int flights = round % 3;
        struct side *side = flights == 2 ? right : left;

        offer(round < 3 ? HAUL_SECURITY_NOISE : HAUL_SECURITY_TLS);
        start(false, false);
        side = flights % 2 == 0 ? right : left;
        for (int i = 0; i < flights; i++)
            carry(i % 2 == 0 ? left : right, i % 2 == 0 ? right : left, WIRE_MAX);
        side_send(side);
        if (side->conn.muxed)
            continue;
        CU_ASSERT_EQUAL(haul_conn_deadline(&side->conn), now + HAUL_CONN_AUTHENTICATE_MAX);
        now += HAUL_CONN_AUTHENTICATE_MAX - 1;
        side_receive(side, (const uint8_t *)"\x13", 1, 1); /* a drop keeps nobody alive */
        haul_conn_expire(&side->conn, now);
        CU_ASSERT_NOT_EQUAL(side->conn.phase, HAUL_CONN_OVER);
        now += 1;
        haul_conn_expire(&side->conn, now);
        CU_ASSERT_EQUAL(side->conn.fault, HAUL_CONN_LATE);
    }
    offer(HAUL_SECURITY_NOISE);
}

static void a_peer_that_never_selects_a_muxer_is_given_up(void)
{
    start(true, true);
    carry(left, right, WIRE_MAX);
    carry(right, left, WIRE_MAX);
    side_send(left);
    CU_ASSERT_EQUAL(left->conn.phase, HAUL_CONN_MUXING);
    now += HAUL_CONN_NEGOTIATE_MAX;
    haul_conn_expire(&left->conn, now);
    CU_ASSERT_EQUAL(left->conn.fault, HAUL_CONN_LATE);
}

static void output_that_does_not_move_ends_the_connection(void)
{
    struct haul_conn_stream *stream;
    const uint8_t *data;

    start(false, false);
    settle(WIRE_MAX);
    stream = haul_conn_open(&left->conn, protocols[SINK], NULL, now);
    CU_ASSERT_TRUE(haul_conn_send(&left->conn, stream, "abc", 3));
    CU_ASSERT(haul_conn_output(&left->conn, &data) > 0);
    now += HAUL_CONN_STALL_MAX;
    haul_conn_expire(&left->conn, now);
    CU_ASSERT_EQUAL(left->conn.fault, HAUL_CONN_STALLED);
}

static void a_writer_is_held_back_and_told_when_there_is_room(void)
{
    static uint8_t data[1u << 20];
    struct haul_conn_stream *stream;
    size_t took;

    start(false, false);
    settle(WIRE_MAX);
    stream = haul_conn_open(&left->conn, protocols[SINK], NULL, now);
    took = haul_conn_write(&left->conn, stream, data, sizeof data);
    CU_ASSERT(took > 0 && took < OUT_BYTES);
    CU_ASSERT_EQUAL(haul_conn_write(&left->conn, stream, data, sizeof data), 0);
    CU_ASSERT_FALSE(haul_conn_send(&left->conn, stream, data, HAUL_CONN_SEND_MAX));
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_WRITABLE], 0);
    settle(WIRE_MAX);
    CU_ASSERT(left->seen[HAUL_CONN_WRITABLE] > 0);
    CU_ASSERT_EQUAL(right->bytes, took);
}

/* A peer that makes us answer and never reads: input stops being taken, memory stays as it is. */
static void a_peer_that_asks_and_never_reads_is_held_back(void)
{
    size_t opened = 0;

    start(false, false);
    settle(WIRE_MAX);
    for (int round = 0; round < 20000 && right->conn.phase != HAUL_CONN_OVER; round++) {
        struct haul_conn_stream *stream = haul_conn_open(&left->conn, protocols[ECHO], NULL, now);

        if (stream != NULL) {
            opened++;
            haul_conn_release(&left->conn, stream);
        }
        side_send(left);
        if (side_receive(right, left->wire, left->wire_bytes, WIRE_MAX) < left->wire_bytes)
            break;
        left->wire_bytes = 0;
    }
    CU_ASSERT(opened > 100);
    CU_ASSERT(right->conn.yamux.live <= STREAMS);
    now += HAUL_CONN_STALL_MAX;
    haul_conn_expire(&right->conn, now);
    CU_ASSERT_EQUAL(right->conn.phase, HAUL_CONN_OVER);
}

/* The deadlock that muxers are known for: a side whose writes are stuck must go on reading, and
 * what it has to answer must not wait behind its writers. */
static void a_side_that_cannot_write_still_reads_and_answers(void)
{
    static uint8_t data[1u << 20];
    struct haul_conn_stream *stream;

    start(false, false);
    settle(WIRE_MAX);
    stream = haul_conn_open(&left->conn, protocols[SINK], NULL, now);
    while (haul_conn_write(&left->conn, stream, data, sizeof data) > 0)
        ;
    stream = haul_conn_open(&right->conn, protocols[SINK], NULL, now);
    CU_ASSERT_TRUE(haul_conn_send(&right->conn, stream, data, 1000));
    now += HAUL_YAMUX_PING_EVERY;
    haul_conn_expire(&right->conn, now);
    side_send(right);
    CU_ASSERT_EQUAL(side_receive(left, right->wire, right->wire_bytes, WIRE_MAX),
                    right->wire_bytes);
    right->wire_bytes = 0;
    CU_ASSERT_EQUAL(left->bytes, 1000);
    CU_ASSERT_TRUE(right->conn.yamux.ping_out);
    settle(WIRE_MAX);
    CU_ASSERT_FALSE(right->conn.yamux.ping_out);
    CU_ASSERT_EQUAL(left->conn.phase, HAUL_CONN_UP);
}

static void goaway_is_told_and_ends_opening(void)
{
    start(false, false);
    settle(WIRE_MAX);
    haul_conn_goaway(&right->conn);
    settle(WIRE_MAX);
    CU_ASSERT_EQUAL(left->seen[HAUL_CONN_GOAWAY], 1);
    CU_ASSERT_PTR_NULL(haul_conn_open(&left->conn, protocols[ECHO], NULL, now));
    CU_ASSERT_PTR_NULL(haul_conn_open(&right->conn, protocols[ECHO], NULL, now));
}

static void bulk(const char *name)
{
    static uint8_t data[1u << 20];
    uint64_t total = 64u << 20;
    uint64_t sent = 0;
    struct haul_conn_stream *stream;
    clock_t began = clock();
    double seconds;

    start(false, false);
    settle(WIRE_MAX);
    stream = haul_conn_open(&left->conn, protocols[SINK], NULL, now);
    while (right->bytes < total) {
        uint64_t before = sent + right->bytes;

        for (size_t part = 1; part > 0 && sent < total; sent += part) {
            size_t want = total - sent < sizeof data ? (size_t)(total - sent) : sizeof data;

            part = haul_conn_write(&left->conn, stream, data, want);
        }
        carry(left, right, WIRE_MAX);
        carry(right, left, WIRE_MAX);
        CU_ASSERT_FATAL(sent + right->bytes > before);
        now += HAUL_MICROSECOND;
    }
    CU_ASSERT_EQUAL(right->bytes, total);
    seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    printf("\n  bulk over %s, both ends on one core: %.2f GB/s", name,
           (double)total / 1e9 / seconds);
}

static void bulk_flows_and_costs_little_beside_the_cipher(void)
{
    bulk("noise");
    offer(HAUL_SECURITY_TLS);
    bulk("tls");
    offer(HAUL_SECURITY_NOISE);
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(both_sides_are_proven_however_the_bytes_are_cut),
        T(the_first_security_that_both_speak_is_taken),
        T(members_of_a_private_network_meet),
        T(strangers_to_a_private_network_are_shown_the_door),
        T(a_security_that_the_peer_does_not_speak_is_told_as_that),
        T(streams_ride_in_the_second_flight),
        T(an_answer_comes_even_when_the_opener_has_ended),
        T(an_unknown_protocol_is_refused_and_forgotten),
        T(a_stream_that_is_not_negotiated_in_time_is_given_up),
        T(a_stream_on_a_quiet_connection_has_all_its_time),
        T(another_peer_than_expected_is_refused),
        T(garbage_ends_the_connection_in_every_phase),
        T(a_forged_message_behind_a_ping_ends_the_connection_alone),
        T(a_peer_that_stalls_in_mid_handshake_is_given_up),
        T(a_peer_that_never_selects_a_muxer_is_given_up),
        T(output_that_does_not_move_ends_the_connection),
        T(a_writer_is_held_back_and_told_when_there_is_room),
        T(a_peer_that_asks_and_never_reads_is_held_back),
        T(a_side_that_cannot_write_still_reads_and_answers),
        T(goaway_is_told_and_ends_opening),
        T(bulk_flows_and_costs_little_beside_the_cipher),
    };
#undef T
    int status = unit_main("conn", tests, HAUL_COUNT_OF(tests));

    if (left != NULL) {
        haul_conn_fini(&left->conn);
        haul_conn_fini(&right->conn);
    }
    free(left);
    free(right);
    return status;
}
