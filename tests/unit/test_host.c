/* Hosts over loopback: two in one pair.loop, and one against sockets that misbehave. */
#include "controlplane/behaviours/identify.h"
#include "controlplane/behaviours/ping.h"
#include "controlplane/p2p/conn.h"
#include "tests/unit/host_pair.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PART (256u << 10)

/* What the test protocols saw, of all streams together. */
static struct {
    int opened, ended, closed;
    enum haul_stream_end end;
    uint64_t bytes;
    bool wrong;
    uint64_t to_send, sent;
    struct haul_stream *stream;
    bool hold; /* take nothing */
} seen;

/* --- test protocols --- */

static void test_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    seen.opened++;
    if (haul_stream_inbound(stream))
        seen.stream = stream;
}

/* PART bytes of what the sink carries, from a place in it. */
static const uint8_t *pattern(uint64_t from)
{
    static uint8_t bytes[PART + 256];

    if (bytes[1] == 0) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(i * 7);
    }
    return bytes + from % 256;
}

static size_t sink_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    if (seen.hold)
        return 0;
    for (size_t at = 0; at < bytes;) {
        size_t part = bytes - at < PART ? bytes - at : PART;

        seen.wrong |= memcmp(data + at, pattern(seen.bytes + at), part) != 0;
        at += part;
    }
    seen.bytes += bytes;
    return bytes;
}

static void test_ended(struct haul_stream *stream)
{
    seen.ended++;
    haul_stream_close(stream);
}

static void test_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    seen.closed++;
    seen.end = end;
    if (seen.stream == stream)
        seen.stream = NULL;
}

static void sink_write(struct haul_stream *stream)
{
    size_t took = 1;

    while (seen.sent < seen.to_send && took > 0) {
        size_t bytes = PART;

        if (bytes > seen.to_send - seen.sent)
            bytes = (size_t)(seen.to_send - seen.sent);
        took = haul_stream_write(stream, pattern(seen.sent), bytes);
        seen.sent += took;
    }
    if (seen.sent == seen.to_send)
        haul_stream_close(stream);
}

static void sink_opened(struct haul_stream *stream, void *argument)
{
    test_opened(stream, argument);
    if (!haul_stream_inbound(stream))
        sink_write(stream);
}

static const struct haul_behaviour sink = {
    .protocol = "/test/sink/1",
    .inbound_per_peer_max = 3,
    .window_bytes_max = 16u << 20,
    .opened = sink_opened,
    .input = sink_input,
    .ended = test_ended,
    .writable = sink_write,
    .closed = test_closed,
};

static const struct haul_behaviour idle = {
    .protocol = "/test/idle/1",
    .inbound_per_peer_max = 8,
    .idle_max = 50 * HAUL_MILLISECOND,
    .opened = test_opened,
    .closed = test_closed,
};

static const struct haul_behaviour unknown = {
    .protocol = "/test/unknown/1",
    .closed = test_closed,
};

/* An identify that says what `lie` holds. */
static struct {
    uint8_t bytes[64];
    size_t count;
} lie;

static void liar_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    if (haul_stream_inbound(stream))
        CU_ASSERT_TRUE(haul_stream_send(stream, lie.bytes, lie.count));
}

static const struct haul_behaviour liar = {
    .protocol = "/ipfs/id/1.0.0",
    .inbound_per_peer_max = 8,
    .opened = liar_opened,
    .closed = test_closed,
};

static const struct haul_protocol lying_protocols[] = { { .behaviour = &liar }, { 0 } };
static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_identify_push_behaviour },
    { .behaviour = &haul_ping_behaviour },
    { .behaviour = &sink },
    { .behaviour = &idle },
    { 0 },
};

/* --- the pair --- */

static void start(void)
{
    memset(&seen, 0, sizeof seen);
    host_pair_open(protocols, protocols);
}

static bool dial_ended(void)
{
    return pair.a.dials > 0;
}

/* --- promises: two hosts --- */

static bool agents_known(void)
{
    struct haul_connection_facts facts[2];

    return haul_host_facts(pair.a.host, pair.a.connection, &facts[0]) &&
           haul_host_facts(pair.b.host, pair.b.connection, &facts[1]) && facts[0].agent[0] != 0 &&
           facts[1].agent[0] != 0;
}

static void peers_prove_and_identify_themselves(void)
{
    struct haul_connection_facts facts;

    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_TRUE(host_pair_run(agents_known, HOST_PAIR_SOON));
    CU_ASSERT_TRUE(haul_host_facts(pair.a.host, pair.a.connection, &facts));
    CU_ASSERT_STRING_EQUAL(facts.agent, "test-b/1");
    CU_ASSERT_TRUE(haul_peer_id_equal(&facts.peer, &pair.b.key.id));
    CU_ASSERT_TRUE(haul_addr_equal(&facts.observed, &facts.local));
    CU_ASSERT_FALSE(facts.inbound);
    CU_ASSERT_TRUE(haul_host_facts(pair.b.host, pair.b.connection, &facts));
    CU_ASSERT_STRING_EQUAL(facts.agent, "test?a/1");
    CU_ASSERT_TRUE(facts.inbound);
    CU_ASSERT_EQUAL(haul_host_find(pair.a.host, &pair.b.key.id), pair.a.connection);
    CU_ASSERT_EQUAL(haul_host_next(pair.a.host, 0), pair.a.connection);
    CU_ASSERT_EQUAL(haul_host_next(pair.a.host, pair.a.connection), HAUL_HOST_NO_CONNECTION);
    haul_identify_push(pair.a.host);
    host_pair_run(NULL, 20 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(pair.a.disconnected + pair.b.disconnected, 0);
    host_pair_close();
}

static haul_time round_trip;

static void on_ping(void *context, haul_time took)
{
    (void)context;
    round_trip = took;
}

static bool pinged(void)
{
    return round_trip != 0;
}

static void a_ping_comes_back_with_its_round_trip(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    for (int i = 0; i < 10; i++) {
        haul_time began = haul_loop_now(pair.loop);

        round_trip = 0;
        CU_ASSERT_TRUE(haul_ping(pair.a.host, pair.a.connection, on_ping, NULL));
        CU_ASSERT_TRUE(host_pair_run(pinged, HOST_PAIR_SOON));
        CU_ASSERT(round_trip <= haul_loop_now(pair.loop) - began);
    }
    host_pair_close();
}

static bool sink_done(void)
{
    return seen.closed == 2;
}

static void bulk_arrives_whole_and_in_order(void)
{
    clock_t began;

    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    seen.to_send = 64u << 20;
    began = clock();
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &sink, NULL));
    CU_ASSERT_TRUE(host_pair_run(sink_done, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(seen.bytes, seen.to_send);
    CU_ASSERT_FALSE(seen.wrong);
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_DONE);
    printf("\n  bulk over loopback, both hosts: %.2f GB a second of one core",
           (double)seen.bytes / 1e9 / ((double)(clock() - began) / CLOCKS_PER_SEC));
    host_pair_close();
}

static bool sender_stuck(void)
{
    return seen.sent > HAUL_YAMUX_WINDOW_BYTES - 100; /* the negotiation took some of it */
}

static void an_owner_that_takes_nothing_holds_the_sender(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    seen.to_send = 8u << 20;
    seen.hold = true;
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &sink, NULL));
    CU_ASSERT_TRUE(host_pair_run(sender_stuck, HOST_PAIR_SOON));
    host_pair_run(NULL, 50 * HAUL_MILLISECOND);
    CU_ASSERT(seen.sent <= HAUL_YAMUX_WINDOW_BYTES);
    seen.hold = false;
    CU_ASSERT_PTR_NOT_NULL_FATAL(seen.stream);
    haul_stream_resume(seen.stream);
    CU_ASSERT_TRUE(host_pair_run(sink_done, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(seen.bytes, seen.to_send);
    CU_ASSERT_FALSE(seen.wrong);
    host_pair_close();
}

static bool one_closed(void)
{
    return seen.closed >= 1;
}

static void a_protocol_the_peer_does_not_speak_is_refused(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &unknown, NULL));
    CU_ASSERT_TRUE(host_pair_run(one_closed, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_REFUSED);
    host_pair_close();
}

static bool four_opened(void)
{
    return seen.closed >= 1 && haul_host_counters(pair.b.host)->streams_over_limit > 0;
}

static void streams_of_a_peer_beyond_the_limit_are_reset(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    seen.to_send = UINT64_MAX; /* they stay open */
    seen.hold = true;
    for (int i = 0; i < 4; i++)
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &sink, NULL));
    CU_ASSERT_TRUE(host_pair_run(four_opened, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(seen.closed, 1);
    CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
    CU_ASSERT_EQUAL(haul_host_counters(pair.b.host)->streams_over_limit, 1);
    host_pair_close();
    CU_ASSERT_EQUAL(seen.closed, 7);
}

static bool idle_closed(void)
{
    return seen.closed == 2;
}

static void a_stream_on_which_nothing_moves_is_reset(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &idle, NULL));
    CU_ASSERT_TRUE(host_pair_run(idle_closed, HOST_PAIR_SOON));
    CU_ASSERT(haul_host_counters(pair.a.host)->streams_idle +
                  haul_host_counters(pair.b.host)->streams_idle >
              0);
    host_pair_close();
}

static bool both_gone(void)
{
    return pair.a.disconnected == 1 && pair.b.disconnected == 1;
}

static void a_disconnect_is_told_once_on_both_sides(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    seen.hold = true;
    seen.to_send = UINT64_MAX;
    CU_ASSERT_PTR_NOT_NULL(haul_host_stream(pair.a.host, pair.a.connection, &sink, NULL));
    CU_ASSERT_TRUE(host_pair_run(sender_stuck, HOST_PAIR_SOON));
    haul_host_disconnect(pair.a.host, pair.a.connection);
    CU_ASSERT_TRUE(host_pair_run(both_gone, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.a.why, HAUL_E_CANCELLED);
    CU_ASSERT_EQUAL(pair.b.why, HAUL_E_PEER_GONE);
    CU_ASSERT_EQUAL(seen.closed, 2);
    CU_ASSERT(seen.end == HAUL_STREAM_LOST || seen.end == HAUL_STREAM_RESET);
    host_pair_close();
    CU_ASSERT_EQUAL(pair.a.disconnected + pair.b.disconnected, 2);
}

static bool b_gone(void)
{
    return pair.b.disconnected == 1;
}

static void closing_a_host_says_goodbye(void)
{
    start();
    CU_ASSERT_TRUE_FATAL(host_pair_connect());
    haul_host_close(pair.a.host);
    CU_ASSERT_EQUAL(pair.a.disconnected, 1);
    CU_ASSERT_TRUE(host_pair_run(b_gone, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.b.why, HAUL_E_PEER_GONE);
    pair.a.host = NULL;
    host_pair_close();
}

/* --- promises: dialling --- */

static void another_peer_at_the_address_is_a_mismatch(void)
{
    start();
    haul_host_dial(pair.a.host, &pair.a.key.id, &pair.b.address, 1, HAUL_TIME_NEVER,
                   host_pair_dialled, &pair.a);
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.a.connection, HAUL_HOST_NO_CONNECTION);
    CU_ASSERT_EQUAL(pair.a.error.code, HAUL_E_PEER_MISMATCH);
    CU_ASSERT_EQUAL(pair.a.connected, 0);
    host_pair_close();
}

static void a_closed_port_is_unreachable_and_the_next_address_is_tried(void)
{
    struct haul_multiaddr addresses[2];

    start();
    CU_ASSERT_TRUE(haul_multiaddr_parse("/ip4/127.0.0.1/tcp/1", &addresses[0]));
    addresses[1] = pair.b.address;
    haul_host_dial(pair.a.host, &pair.b.key.id, addresses, 1, HAUL_TIME_NEVER, host_pair_dialled,
                   &pair.a);
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.a.error.code, HAUL_E_PEER_UNREACHABLE);
    pair.a.dials = 0;
    haul_host_dial(pair.a.host, &pair.b.key.id, addresses, 2, HAUL_TIME_NEVER, host_pair_dialled,
                   &pair.a);
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_NOT_EQUAL(pair.a.connection, HAUL_HOST_NO_CONNECTION);
    pair.a.dials = 0; /* and a live connection is used again */
    haul_host_dial(pair.a.host, &pair.b.key.id, addresses, 0, HAUL_TIME_NEVER, host_pair_dialled,
                   &pair.a);
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.a.connection, haul_host_find(pair.a.host, &pair.b.key.id));
    CU_ASSERT_EQUAL(pair.a.connected, 1);
    host_pair_close();
}

static void a_dial_with_no_address_and_one_with_no_time_end(void)
{
    start();
    haul_host_dial(pair.a.host, &pair.b.key.id, NULL, 0, HAUL_TIME_NEVER, host_pair_dialled,
                   &pair.a);
    CU_ASSERT_EQUAL(pair.a.dials, 0); /* not before the call returns */
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.a.error.code, HAUL_E_PEER_UNREACHABLE);
    pair.a.dials = 0;
    haul_host_dial(pair.a.host, &pair.b.key.id, &pair.b.address, 1, 0, host_pair_dialled, &pair.a);
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_EQUAL(pair.a.error.code, HAUL_E_TIMEOUT);
    pair.a.dials = 0; /* a host that closes answers what is still asked */
    haul_host_dial(pair.a.host, &pair.b.key.id, &pair.b.address, 1, HAUL_TIME_NEVER,
                   host_pair_dialled, &pair.a);
    host_pair_close();
    CU_ASSERT_EQUAL(pair.a.dials, 1);
    CU_ASSERT_EQUAL(pair.a.error.code, HAUL_E_CANCELLED);
}

/* --- promises: bad peers --- */

static int raw_connect(const struct host_node *node)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(node->bound.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Whether the other side has closed; reads and forgets what it sent. */
static bool raw_closed(int fd)
{
    uint8_t data[65536];
    ssize_t got;

    do
        got = recv(fd, data, sizeof data, 0);
    while (got > 0);
    return got == 0 || errno != EAGAIN;
}

static int raw_fd;

static bool raw_is_closed(void)
{
    return raw_closed(raw_fd);
}

static void garbage_is_cut_off_at_once(void)
{
    static const char *const openings[] = {
        "GET / HTTP/1.1\r\nHost: pair.a.host.that.is.more.than.long.enough.to.make.a.frame\r\n\r\n",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",          /* an endless length */
        "\x81\x08",                                          /* a frame of 1025 */
        "\x13/multistream/1.0.0\n\x07/noise\n\xff\xff",      /* a handshake message of 65535 */
        "\x13/multistream/1.0.0\n\x07/noise\n\x80\x01 long", /* of 32769 */
        "\x13/multistream/1.0.1\n",                          /* another multistream */
    };

    start();
    for (size_t i = 0; i < HAUL_COUNT_OF(openings); i++) {
        raw_fd = raw_connect(&pair.a);
        CU_ASSERT(send(raw_fd, openings[i], strlen(openings[i]), MSG_NOSIGNAL) > 0);
        CU_ASSERT_TRUE(host_pair_run(raw_is_closed, HOST_PAIR_SOON));
        close(raw_fd);
    }
    CU_ASSERT_EQUAL(haul_host_counters(pair.a.host)->faulty, HAUL_COUNT_OF(openings));
    CU_ASSERT_EQUAL(pair.a.connected, 0);
    host_pair_close();
}

static void on_drip(void *context)
{
    static const char opening[] = "\x13/multistream/1.0.0\n\x07/noise\n\x00\x20";
    int *at = context;

    (void)!send(raw_fd, opening + *at % (int)(sizeof opening - 1), 1, MSG_NOSIGNAL);
    *at = *at + 1;
}

/* A peer that stalls, and one that drips a byte now and then, are given the same five seconds. */
static void a_slow_handshake_is_cut_off_in_time(void)
{
    struct haul_timer *drips[10];
    haul_time began;
    int at = 0;
    int silent;

    start();
    silent = raw_connect(&pair.a);
    raw_fd = raw_connect(&pair.a);
    began = haul_loop_now(pair.loop);
    for (size_t i = 0; i < HAUL_COUNT_OF(drips); i++) {
        drips[i] = haul_loop_timer(pair.loop, on_drip, &at);
        haul_loop_timer_set(drips[i], began + i * 400 * HAUL_MILLISECOND);
    }
    CU_ASSERT_TRUE(host_pair_run(raw_is_closed, HOST_PAIR_SOON));
    CU_ASSERT(haul_loop_now(pair.loop) - began >= 49 * HAUL_CONN_AUTHENTICATE_MAX / 50);
    /* Five seconds after its last byte would be more than eight. */
    CU_ASSERT(haul_loop_now(pair.loop) - began < 8 * HAUL_SECOND);
    CU_ASSERT_TRUE(raw_closed(silent));
    CU_ASSERT_EQUAL(haul_host_counters(pair.a.host)->late, 2);
    for (size_t i = 0; i < HAUL_COUNT_OF(drips); i++)
        haul_loop_timer_free(drips[i]);
    close(raw_fd);
    close(silent);
    host_pair_close();
}

static bool flood_accepted(void)
{
    return haul_host_counters(pair.a.host)->accepted >= 200;
}

static void a_flood_of_half_open_connections_is_bounded(void)
{
    int fds[200];
    struct rusage before;
    struct rusage after;
    size_t open = 0;

    start();
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < HAUL_COUNT_OF(fds); i++) {
        fds[i] = raw_connect(&pair.a);
        if (i % 50 == 49)
            host_pair_run(NULL, 20 * HAUL_MILLISECOND);
    }
    CU_ASSERT_TRUE(host_pair_run(flood_accepted, HOST_PAIR_SOON));
    host_pair_run(NULL, 50 * HAUL_MILLISECOND);
    for (size_t i = 0; i < HAUL_COUNT_OF(fds); i++)
        open += !raw_closed(fds[i]);
    CU_ASSERT_EQUAL(open, HOST_PAIR_HALF_OPEN_MAX);
    CU_ASSERT_EQUAL(haul_host_counters(pair.a.host)->half_open_dropped,
                    200 - HOST_PAIR_HALF_OPEN_MAX);
    getrusage(RUSAGE_SELF, &after);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
    CU_ASSERT(after.ru_maxrss - before.ru_maxrss < 16 * 1024);
#endif
    /* The oldest give way, so an honest peer gets in all the same. */
    haul_host_dial(pair.b.host, &pair.a.key.id, &pair.a.address, 1, HAUL_TIME_NEVER,
                   host_pair_dialled, &pair.a);
    CU_ASSERT_TRUE(host_pair_run(dial_ended, HOST_PAIR_SOON));
    CU_ASSERT_NOT_EQUAL(pair.a.connection, HAUL_HOST_NO_CONNECTION);
    for (size_t i = 0; i < HAUL_COUNT_OF(fds); i++)
        close(fds[i]);
    host_pair_close();
}

/* --- promises: identify --- */

static bool liar_cut(void)
{
    return seen.closed == 1;
}

static void an_identify_that_is_too_long_or_of_another_peer_is_not_believed(void)
{
    static const uint8_t too_long[] = { 0x81, 0x40 };                  /* 8193 */
    static const uint8_t endless[] = { 0xff, 0xff, 0xff, 0xff };       /* a length of many bytes */
    static const uint8_t broken[] = { 2, 0x0a, 0x7f };                 /* a field beyond the end */
    static const uint8_t many[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }; /* an eleventh message */
    uint8_t of_another[4 + HAUL_KEY_PUBLIC_BYTES + 3] = { 2 + HAUL_KEY_PUBLIC_BYTES + 3, 0x0a,
                                                          HAUL_KEY_PUBLIC_BYTES };
    const struct {
        const uint8_t *bytes;
        size_t count;
    } lies[] = { { too_long, sizeof too_long },
                 { endless, sizeof endless },
                 { broken, sizeof broken },
                 { many, sizeof many },
                 { of_another, 3 + HAUL_KEY_PUBLIC_BYTES + 3 } };

    for (size_t i = 0; i < HAUL_COUNT_OF(lies); i++) {
        struct haul_connection_facts facts;

        memset(&seen, 0, sizeof seen);
        host_pair_open(protocols, lying_protocols);
        haul_key_public(&pair.a.key, of_another + 3); /* b claims to be a */
        memcpy(of_another + 3 + HAUL_KEY_PUBLIC_BYTES, "\x32\x01x", 3);
        memcpy(lie.bytes, lies[i].bytes, lies[i].count);
        lie.count = lies[i].count;
        CU_ASSERT_TRUE_FATAL(host_pair_connect());
        CU_ASSERT_TRUE(host_pair_run(liar_cut, HOST_PAIR_SOON));
        CU_ASSERT_EQUAL(seen.end, HAUL_STREAM_RESET);
        CU_ASSERT_TRUE(haul_host_facts(pair.a.host, pair.a.connection, &facts));
        CU_ASSERT_EQUAL(facts.agent[0], 0);
        host_pair_close();
    }
}

static void identify_messages_are_decoded_whole_or_not_at_all(void)
{
    static const uint8_t message[] = { 0x32, 5, 'a', 'g', 'e',  'n',  't',  0x22, 8,   4,   127,
                                       0,    0, 1,   6,   0x11, 0x95, 0x1a, 3,    '/', 'x', '/' };
    struct haul_identify identify;

    CU_ASSERT_TRUE(haul_identify_decode(message, sizeof message, &identify));
    CU_ASSERT_EQUAL(identify.agent_bytes, 5);
    CU_ASSERT_TRUE(identify.observed_known);
    CU_ASSERT_EQUAL(identify.observed.port, 4501);
    CU_ASSERT_EQUAL(identify.protocol_count, 1);
    CU_ASSERT_NSTRING_EQUAL(identify.protocols[0].name, "/x/", 3);
    for (size_t cut = 1; cut < sizeof message; cut++) {
        bool whole = cut == 7 || cut == 17;

        CU_ASSERT_EQUAL(haul_identify_decode(message, cut, &identify), whole);
    }
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(peers_prove_and_identify_themselves),
        T(a_ping_comes_back_with_its_round_trip),
        T(bulk_arrives_whole_and_in_order),
        T(an_owner_that_takes_nothing_holds_the_sender),
        T(a_protocol_the_peer_does_not_speak_is_refused),
        T(streams_of_a_peer_beyond_the_limit_are_reset),
        T(a_stream_on_which_nothing_moves_is_reset),
        T(a_disconnect_is_told_once_on_both_sides),
        T(closing_a_host_says_goodbye),
        T(another_peer_at_the_address_is_a_mismatch),
        T(a_closed_port_is_unreachable_and_the_next_address_is_tried),
        T(a_dial_with_no_address_and_one_with_no_time_end),
        T(garbage_is_cut_off_at_once),
        T(a_slow_handshake_is_cut_off_in_time),
        T(a_flood_of_half_open_connections_is_bounded),
        T(an_identify_that_is_too_long_or_of_another_peer_is_not_believed),
        T(identify_messages_are_decoded_whole_or_not_at_all),
    };
#undef T

    return unit_main("host", tests, HAUL_COUNT_OF(tests));
}
