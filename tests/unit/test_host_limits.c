/* Every limit of a host, reached: connections, addresses, peers, streams, memory; half-open floods
 * and slow peers in each part of the handshake. */
#include "controlplane/p2p/conn.h"
#include "tests/unit/host_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKETS_MAX 64

static struct haul_stream *inbound[64];
static uint32_t inbound_count, closed, reset;
static uint64_t input_bytes;
static bool hold;

static void sink_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    if (haul_stream_inbound(stream) && inbound_count < HAUL_COUNT_OF(inbound))
        inbound[inbound_count++] = stream;
}

static size_t sink_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    (void)stream;
    (void)data;
    if (hold)
        return 0;
    input_bytes += bytes;
    return bytes;
}

static void sink_write(struct haul_stream *stream)
{
    static const uint8_t data[65536];

    if (!haul_stream_inbound(stream) && haul_stream_argument(stream) != NULL)
        while (haul_stream_write(stream, data, sizeof data) > 0)
            ;
}

static void sink_start(struct haul_stream *stream, void *argument)
{
    sink_opened(stream, argument);
    sink_write(stream);
}

static void sink_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    (void)stream;
    closed++;
    reset += end == HAUL_STREAM_RESET || end == HAUL_STREAM_LIMIT;
}

static const struct haul_behaviour sink = {
    .protocol = "/test/sink/1",
    .inbound_per_peer_max = 32,
    .window_bytes_max = 16u << 20,
    .opened = sink_start,
    .input = sink_input,
    .writable = sink_write,
    .closed = sink_closed,
};

static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_identify_push_behaviour },
    { .behaviour = &haul_ping_behaviour },
    { .behaviour = &sink },
    { 0 },
};

static void prepare(void)
{
    inbound_count = closed = reset = 0;
    input_bytes = 0;
    hold = false;
    pair_prepare(protocols);
}

/* --- raw sockets --- */

static int sockets[SOCKETS_MAX];

static int dial_raw(const struct haul_addr *to)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(to->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(&address.sin_addr, to->ip, 4);
    CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    CU_ASSERT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* What a listener wrote last; -1 while it is silent, 0 when it has hung up. */
static ssize_t last_read(int fd)
{
    uint8_t scrap[4096];
    ssize_t got, seen = -1;

    while ((got = recv(fd, scrap, sizeof scrap, 0)) > 0)
        seen = got;
    return got == 0 || (got < 0 && errno != EAGAIN) ? 0 : seen;
}

static void sockets_close(size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(sockets[i]);
}

/* --- connections --- */

static uint32_t wanted;

static bool all_dialled(void)
{
    return a.dials == wanted;
}

/* Dials that do not say whom they want are not served by a connection that is there. */
static void dial_nameless(uint32_t count)
{
    wanted = a.dials + count;
    for (uint32_t i = 0; i < count; i++)
        haul_host_dial(a.host, NULL, &b.address, 1, HAUL_TIME_NEVER, pair_dialled, &a);
    CU_ASSERT_TRUE(pair_run(all_dialled, 20 * HAUL_SECOND));
}

static bool over_peer(void)
{
    return haul_host_counters(b.host)->over_peer >= 2 && b.connected == 3;
}

static void connections_of_one_peer_are_limited(void)
{
    prepare();
    b.conf.limits.per_peer_max = 3;
    pair_start();
    dial_nameless(5);
    CU_ASSERT_TRUE(pair_run(over_peer, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->over_peer, 2);
    pair_finish();
}

static void connections_to_one_peer_are_limited(void)
{
    prepare();
    a.conf.limits.per_peer_max = 2;
    pair_start();
    dial_nameless(4);
    CU_ASSERT_EQUAL(a.failures, 2);
    CU_ASSERT_EQUAL(a.connected, 2);
    CU_ASSERT_EQUAL(haul_host_counters(a.host)->over_peer, 2);
    pair_finish();
}

static bool inbound_refused(void)
{
    return haul_host_counters(b.host)->over_inbound >= 6;
}

static bool address_refused(void)
{
    return haul_host_counters(b.host)->over_address >= 6;
}

static bool oldest_dropped(void)
{
    return haul_host_counters(b.host)->half_open_dropped >= 6;
}

static void connections_of_peers_leave_room_for_our_own(void)
{
    struct haul_host_usage usage;

    prepare();
    b.conf.limits.inbound_max = 4;
    pair_start();
    for (size_t i = 0; i < 10; i++)
        sockets[i] = dial_raw(&b.bound);
    CU_ASSERT_TRUE(pair_run(inbound_refused, 20 * HAUL_SECOND));
    haul_host_usage(b.host, &usage);
    CU_ASSERT_EQUAL(usage.inbound, 4);
    haul_host_dial(b.host, &a.key.id, &a.address, 1, HAUL_TIME_NEVER, pair_dialled, &a);
    wanted = 1;
    CU_ASSERT_TRUE(pair_run(all_dialled, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(a.failures, 0);
    sockets_close(10);
    pair_finish();
}

static void connections_from_one_address_are_limited(void)
{
    prepare();
    b.conf.limits.per_address_max = 4;
    pair_start();
    for (size_t i = 0; i < 10; i++)
        sockets[i] = dial_raw(&b.bound);
    CU_ASSERT_TRUE(pair_run(address_refused, 20 * HAUL_SECOND));
    sockets_close(10);
    pair_finish();

    prepare();
    b.conf.limits.half_open_per_address_max = 4;
    pair_start();
    for (size_t i = 0; i < 10; i++)
        sockets[i] = dial_raw(&b.bound);
    CU_ASSERT_TRUE(pair_run(oldest_dropped, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->over_address, 0);
    pair_dial(); /* an honest peer of that address finds room */
    CU_ASSERT_TRUE(pair_run(pair_met, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(b.connected, 1);
    sockets_close(10);
    pair_finish();
}

/* --- who may --- */

static bool nobody(void *context, const struct haul_peer_id *peer)
{
    (void)context;
    (void)peer;
    return false;
}

static bool forbidden_in(void)
{
    return haul_host_counters(b.host)->forbidden == 1;
}

static void a_peer_that_is_not_allowed_is_ended_before_anybody_hears_of_it(void)
{
    prepare();
    b.conf.allowed = nobody;
    pair_start();
    pair_dial();
    CU_ASSERT_TRUE(pair_run(forbidden_in, 20 * HAUL_SECOND));
    CU_ASSERT_EQUAL(b.connected + b.disconnected, 0);
    pair_finish();
}

static void a_peer_that_is_not_allowed_is_not_dialled(void)
{
    prepare();
    a.conf.allowed = nobody;
    pair_start();
    CU_ASSERT_FALSE(pair_connect());
    CU_ASSERT_EQUAL(a.error.code, HAUL_E_PEER_FORBIDDEN);
    CU_ASSERT_EQUAL(haul_host_counters(a.host)->dialled, 0);
    a.dials = a.failures = 0; /* nor kept when it turns out to be it */
    dial_nameless(1);
    CU_ASSERT_EQUAL(a.error.code, HAUL_E_PEER_FORBIDDEN);
    CU_ASSERT_EQUAL(a.connected, 0);
    pair_finish();
}

/* --- streams and memory --- */

static bool streams_refused(void)
{
    return haul_host_counters(b.host)->streams_over_total >= 4 && closed >= 4;
}

static void streams_of_all_peers_together_are_limited(void)
{
    prepare();
    b.conf.limits.streams_max = 8;
    pair_start();
    CU_ASSERT_TRUE_FATAL(pair_connect());
    for (int i = 0; i < 12; i++)
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &sink, NULL));
    CU_ASSERT_TRUE(pair_run(streams_refused, 20 * HAUL_SECOND));
    CU_ASSERT(inbound_count <= 8);
    pair_finish();
}

static bool memory_refused(void)
{
    return haul_host_counters(b.host)->over_memory > 0;
}

static void input_that_nobody_takes_is_bounded_over_all_streams(void)
{
    for (int kind = 0; kind < 2; kind++) {
        struct haul_host_usage usage;

        prepare();
        hold = true;
        if (kind == 0)
            b.conf.limits.held_bytes_max = 1u << 20;
        else
            b.conf.limits.held_per_connection_max = 1u << 20;
        pair_start();
        CU_ASSERT_TRUE_FATAL(pair_connect());
        for (int i = 0; i < 16; i++)
            CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &sink, &a));
        CU_ASSERT_TRUE(pair_run(memory_refused, 20 * HAUL_SECOND));
        haul_host_usage(b.host, &usage);
        CU_ASSERT(usage.held_bytes <= 1u << 20);
        CU_ASSERT_EQUAL(b.disconnected, 0); /* the stream goes, the connection stays */
        haul_host_disconnect(a.host, a.connection);
        pair_run(NULL, 100 * HAUL_MILLISECOND);
        haul_host_usage(b.host, &usage);
        CU_ASSERT_EQUAL(usage.held_bytes, 0);
        pair_finish();
    }
}

static bool much_arrived(void)
{
    return input_bytes > 64u << 20;
}

static void windows_of_all_streams_grow_from_one_pool_and_give_back(void)
{
    struct haul_host_usage usage;

    prepare();
    b.conf.limits.window_bytes_max = 1u << 20;
    pair_start();
    CU_ASSERT_TRUE_FATAL(pair_connect());
    for (int i = 0; i < 4; i++)
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &sink, &a));
    CU_ASSERT_TRUE(pair_run(much_arrived, 30 * HAUL_SECOND));
    haul_host_usage(b.host, &usage);
    CU_ASSERT(usage.window_bytes_left < 1u << 20);
    haul_host_disconnect(a.host, a.connection);
    pair_run(NULL, 800 * HAUL_MILLISECOND);
    haul_host_usage(b.host, &usage);
    CU_ASSERT_EQUAL(usage.window_bytes_left, 1u << 20);
    pair_finish();
}

/* --- floods --- */

static uint32_t flood_count;

static bool flood_accepted(void)
{
    return haul_host_counters(b.host)->accepted >= flood_count;
}

/* As many as a peer likes: what is kept is the newest few, and a good peer still gets through. */
static void ten_thousand_half_open_connections_are_bounded(void)
{
    enum { ROUND = 50, ROUNDS = 200 };
    struct haul_host_usage usage;
    struct rusage before, after;

    prepare();
    b.conf.half_open_max = 16;
    b.conf.connections_max = 24;
    pair_start();
    getrusage(RUSAGE_SELF, &before);
    flood_count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ROUND; i++)
            sockets[i] = dial_raw(&b.bound);
        flood_count += ROUND;
        CU_ASSERT_TRUE_FATAL(pair_run(flood_accepted, 20 * HAUL_SECOND));
        haul_host_usage(b.host, &usage);
        CU_ASSERT(usage.half_open <= 16);
        if (round + 1 < ROUNDS)
            sockets_close(ROUND);
    }
    CU_ASSERT_TRUE(pair_connect());
    getrusage(RUSAGE_SELF, &after);
#ifndef __SANITIZE_ADDRESS__                                  /* which keeps what was freed */
    CU_ASSERT(after.ru_maxrss - before.ru_maxrss < 32 << 10); /* KiB */
#endif
    CU_ASSERT(haul_host_counters(b.host)->half_open_dropped > 0);
    sockets_close(ROUND);
    pair_finish();
}

static size_t open_sockets;

static bool all_hung_up(void)
{
    for (size_t i = 0; i < open_sockets; i++) {
        if (sockets[i] >= 0 && last_read(sockets[i]) == 0) {
            close(sockets[i]);
            sockets[i] = -1;
        }
    }
    for (size_t i = 0; i < open_sockets; i++) {
        if (sockets[i] >= 0)
            return false;
    }
    return true;
}

/* Sends one byte of what lasts longer than the handshake may. */
static void trickle(int fd, size_t sent)
{
    static const char start[] = "\x13/multistream/1.0.0\n\x07/noise\n\x02";
    const char *byte = sent < sizeof start - 1 ? &start[sent] : "";

    (void)send(fd, byte, 1, MSG_NOSIGNAL);
}

/* A peer that stops in any part of the handshake, and three that go on a byte at a time. */
static void slow_peers_are_cut_off_in_every_part_of_the_handshake(void)
{
    static const char *const starts[] = {
        "", /* the first three trickle on */
        "",
        "",
        "",
        "\x13",
        "\x13/multistream/1.0.0\n",
        "\x13/multistream/1.0.0\n\x07/no",
        "\x13/multistream/1.0.0\n\x07/noise\n",
        "\x13/multistream/1.0.0\n\x07/noise\n#",
        "\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n",
        "\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n\x16\x03\x01\x01",
        "\x13/multistream/1.0.0\n\x03ls\n",
        "\x13/multistream/1.0.0\n\x09/foo/bar\n",
    };
    const size_t trickling = 3;
    size_t trickled = 0;
    haul_time began;

    prepare();
    b.conf.security_count = 2;
    b.conf.securities[1] = HAUL_SECURITY_TLS;
    b.conf.authenticate_max = 400 * HAUL_MILLISECOND;
    pair_start();
    began = haul_loop_now(pair_loop);
    open_sockets = HAUL_COUNT_OF(starts);
    for (size_t i = 0; i < open_sockets; i++) {
        sockets[i] = dial_raw(&b.bound);
        if (starts[i][0] != '\0')
            CU_ASSERT_EQUAL(send(sockets[i], starts[i], strlen(starts[i]), MSG_NOSIGNAL),
                            (ssize_t)strlen(starts[i]));
    }
    while (!all_hung_up() && haul_time_since(began, haul_loop_now(pair_loop)) < 30 * HAUL_SECOND) {
        for (size_t i = 0; i < trickling; i++) {
            if (sockets[i] >= 0)
                trickle(sockets[i], trickled);
        }
        trickled++;
        pair_run(all_hung_up, 50 * HAUL_MILLISECOND);
    }
    CU_ASSERT_TRUE(all_hung_up());
    CU_ASSERT(trickled > 3);
    CU_ASSERT_EQUAL(haul_host_counters(b.host)->late + haul_host_counters(b.host)->faulty,
                    open_sockets);
    pair_finish();
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(connections_of_one_peer_are_limited),
        T(connections_to_one_peer_are_limited),
        T(connections_of_peers_leave_room_for_our_own),
        T(connections_from_one_address_are_limited),
        T(a_peer_that_is_not_allowed_is_ended_before_anybody_hears_of_it),
        T(a_peer_that_is_not_allowed_is_not_dialled),
        T(streams_of_all_peers_together_are_limited),
        T(input_that_nobody_takes_is_bounded_over_all_streams),
        T(windows_of_all_streams_grow_from_one_pool_and_give_back),
        T(ten_thousand_half_open_connections_are_bounded),
        T(slow_peers_are_cut_off_in_every_part_of_the_handshake),
    };
#undef T

    return unit_main("host_limits", tests, HAUL_COUNT_OF(tests));
}
