/* yamux: two machines over a pipe, and one machine against hand-made frames of a hostile peer. */
#include "common/bytes.h"
#include "controlplane/p2p/yamux.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define PIPE_BYTES (4u << 20)
#define STREAMS    64u

struct side {
    struct haul_yamux yamux;
    struct haul_yamux_stream streams[STREAMS];
    uint8_t out[PIPE_BYTES];
    size_t out_bytes;
    uint64_t seen[8]; /* events by kind */
    uint64_t bytes;
    struct haul_yamux_stream *last;
    enum haul_yamux_fault fault;
    bool hold; /* do not consume what is lent */
};

static struct side *left, *right; /* the client and the server */
static uint64_t *pool;            /* what both draw from for their windows, or NULL */
static haul_time now;

static void side_start(struct side **side, bool client, uint64_t spare)
{
    free(*side);
    *side = calloc(1, sizeof **side);
    haul_yamux_init(&(*side)->yamux, client, (*side)->streams, STREAMS, spare, pool, now);
}

static void start(uint64_t spare)
{
    now = HAUL_SECOND;
    side_start(&left, true, spare);
    side_start(&right, false, spare);
}

static bool pattern_matches(const uint8_t *data, size_t bytes, uint64_t from)
{
    uint8_t wrong = 0;

    for (size_t i = 0; i < bytes; i++)
        wrong |= data[i] ^ (uint8_t)(from + i);
    return wrong == 0;
}

static void side_event(struct side *side, const struct haul_yamux_event *event)
{
    side->seen[event->kind]++;
    if (event->stream != NULL)
        side->last = event->stream;
    switch (event->kind) {
    case HAUL_YAMUX_DATA:
        CU_ASSERT_TRUE(pattern_matches(event->data, event->bytes, side->bytes));
        side->bytes += event->bytes;
        if (!side->hold)
            haul_yamux_consume(&side->yamux, event->stream, event->bytes);
        break;
    case HAUL_YAMUX_RESET:
        haul_yamux_release(&side->yamux, event->stream);
        break;
    case HAUL_YAMUX_FAILED:
        side->fault = event->fault;
        break;
    case HAUL_YAMUX_OPENED:
    case HAUL_YAMUX_ENDED:
    case HAUL_YAMUX_WRITABLE:
    case HAUL_YAMUX_GOAWAY:
        break;
    }
}

static void side_input(struct side *side, const uint8_t *data, size_t bytes, size_t cut)
{
    for (size_t at = 0; at < bytes; at += cut) {
        struct haul_yamux_event event;

        haul_yamux_input(&side->yamux, data + at, bytes - at < cut ? bytes - at : cut, now);
        while (haul_yamux_next(&side->yamux, &event))
            side_event(side, &event);
    }
}

static void side_control(struct side *side)
{
    side->out_bytes +=
        haul_yamux_control(&side->yamux, side->out + side->out_bytes, PIPE_BYTES - side->out_bytes);
}

/* Carries everything across, both ways, in slices of `cut`, until nothing moves. */
static void settle(size_t cut)
{
    for (;;) {
        size_t moved;

        side_control(left);
        side_control(right);
        moved = left->out_bytes + right->out_bytes;
        side_input(right, left->out, left->out_bytes, cut);
        left->out_bytes = 0;
        side_input(left, right->out, right->out_bytes, cut);
        right->out_bytes = 0;
        if (moved == 0)
            return;
    }
}

/* Sends up to `bytes` of the counting pattern that starts at `from`; returns how many went. */
static size_t side_send(struct side *side, struct haul_yamux_stream *stream, uint64_t from,
                        size_t bytes)
{
    size_t sent = 0;

    while (sent < bytes && PIPE_BYTES - side->out_bytes > 2 * HAUL_YAMUX_BODY_MAX) {
        uint8_t *at = side->out + side->out_bytes;
        uint32_t body = haul_yamux_send(&side->yamux, stream, bytes - sent, at);

        if (body == 0)
            break;
        for (uint32_t i = 0; i < body; i++)
            at[HAUL_YAMUX_HEADER_BYTES + i] = (uint8_t)(from + sent + i);
        side->out_bytes += HAUL_YAMUX_HEADER_BYTES + body;
        sent += body;
    }
    return sent;
}

static void frame(struct side *to, unsigned type, unsigned flags, uint32_t id, uint32_t length)
{
    uint8_t header[HAUL_YAMUX_HEADER_BYTES];
    struct haul_out out = haul_out_to(header, sizeof header);

    haul_out_be(&out, 0, 1);
    haul_out_be(&out, type, 1);
    haul_out_be(&out, flags, 2);
    haul_out_be(&out, id, 4);
    haul_out_be(&out, length, 4);
    side_input(to, header, sizeof header, sizeof header);
}

static void body(struct side *to, size_t bytes)
{
    uint8_t *data = malloc(bytes);

    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(to->bytes + i);
    side_input(to, data, bytes, bytes);
    free(data);
}

/* Expects one control frame of `side` and removes it. */
static void expect(struct side *side, const char *hex)
{
    char text[2 * HAUL_YAMUX_HEADER_BYTES + 1] = { 0 };
    uint8_t header[HAUL_YAMUX_HEADER_BYTES];

    CU_ASSERT_EQUAL(haul_yamux_control(&side->yamux, header, sizeof header), sizeof header);
    for (size_t i = 0; i < sizeof header; i++) {
        text[2 * i] = "0123456789abcdef"[header[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[header[i] & 15];
    }
    CU_ASSERT_STRING_EQUAL(text, hex);
}

/* --- promises --- */

static void frames_equal_the_published_ones(void)
{
    struct haul_yamux_stream *stream;
    uint8_t header[HAUL_YAMUX_HEADER_BYTES];

    start(0);
    stream = haul_yamux_open(&left->yamux, now);
    expect(left, "000100010000000100000000");
    frame(right, 1, 1, 1, 0);
    expect(right, "000100020000000100000000");
    CU_ASSERT_EQUAL(haul_yamux_send(&left->yamux, stream, 5, header), 5);
    CU_ASSERT_EQUAL(memcmp(header, "\0\0\0\0\0\0\0\1\0\0\0\5", sizeof header), 0);
    haul_yamux_finish(&left->yamux, stream);
    expect(left, "000100040000000100000000");
    haul_yamux_release(&left->yamux, stream);
    expect(left, "000100080000000100000000");
    frame(right, 2, 1, 0, 7);
    expect(right, "000200020000000000000007");
    haul_yamux_goaway(&right->yamux, HAUL_YAMUX_NORMAL);
    expect(right, "000300000000000000000000");
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));
}

static void a_stream_carries_bytes_both_ways_however_they_are_cut(void)
{
    static const size_t cuts[] = { 1, 5, 12, 13, 4096, 65536 };

    for (size_t i = 0; i < HAUL_COUNT_OF(cuts); i++) {
        struct haul_yamux_stream *stream;

        start(0);
        stream = haul_yamux_open(&left->yamux, now);
        CU_ASSERT_EQUAL(side_send(left, stream, 0, 100000), 100000);
        haul_yamux_finish(&left->yamux, stream);
        settle(cuts[i]);
        CU_ASSERT_EQUAL(right->bytes, 100000);
        CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_OPENED], 1);
        CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_ENDED], 1);
        CU_ASSERT_EQUAL(side_send(right, right->last, 0, 200000), 200000);
        haul_yamux_finish(&right->yamux, right->last);
        settle(cuts[i]);
        CU_ASSERT_EQUAL(left->bytes, 200000);
        CU_ASSERT_EQUAL(left->seen[HAUL_YAMUX_ENDED], 1);
        haul_yamux_release(&left->yamux, stream);
        haul_yamux_release(&right->yamux, right->last);
        CU_ASSERT_EQUAL(left->yamux.live + right->yamux.live, 0);
        CU_ASSERT_EQUAL(left->yamux.unacked, 0);
    }
}

static void the_open_rides_with_the_first_data(void)
{
    struct haul_yamux_stream *stream;

    start(0);
    stream = haul_yamux_open(&left->yamux, now);
    side_send(left, stream, 0, 3);
    CU_ASSERT_EQUAL(left->out[3], 1);
    side_control(left);
    CU_ASSERT_EQUAL(left->out_bytes, HAUL_YAMUX_HEADER_BYTES + 3);
    settle(1000);
    CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_OPENED], 1);
    CU_ASSERT_EQUAL(left->yamux.unacked, 0);
}

static void a_full_window_holds_the_sender_until_the_owner_consumes(void)
{
    struct haul_yamux_stream *stream;

    start(0);
    right->hold = true;
    stream = haul_yamux_open(&left->yamux, now);
    CU_ASSERT_EQUAL(side_send(left, stream, 0, 300000), HAUL_YAMUX_WINDOW_BYTES);
    settle(65536);
    CU_ASSERT_EQUAL(left->seen[HAUL_YAMUX_WRITABLE], 0);
    haul_yamux_consume(&right->yamux, right->last, HAUL_YAMUX_WINDOW_BYTES / 2 - 1);
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));
    haul_yamux_consume(&right->yamux, right->last, 1);
    settle(65536);
    CU_ASSERT_EQUAL(left->seen[HAUL_YAMUX_WRITABLE], 1);
    CU_ASSERT_EQUAL(side_send(left, stream, HAUL_YAMUX_WINDOW_BYTES, 300000),
                    HAUL_YAMUX_WINDOW_BYTES / 2);
    settle(65536);
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
}

/* Streams as fast as the window allows over a link of `rtt`; returns the final window. */
static uint32_t run_link(haul_time rtt, uint32_t window_max, uint64_t spare)
{
    struct haul_yamux_stream *stream;
    uint64_t sent = 0;

    start(spare);
    haul_yamux_expire(&right->yamux, now);
    stream = haul_yamux_open(&left->yamux, now);
    stream->window_max = window_max;
    settle(65536);
    right->last->window_max = window_max;
    right->yamux.rtt = rtt;
    for (int i = 0; i < 200; i++) {
        sent += side_send(left, stream, sent, 2u << 20);
        now += rtt / 2;
        settle(65536);
    }
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
    CU_ASSERT_EQUAL(right->bytes, sent);
    return right->last->recv_window;
}

/* A link in steps of a millisecond: what enters it now leaves it 30 later, and no more than the
 * rate allows enters it. Only headers are made: bodies are counted. */
#define LINK_STEPS 30u

struct link {
    uint64_t body[LINK_STEPS]; /* to the receiver */
    uint32_t credit[LINK_STEPS];
};

/* One stream with an endless supply of bytes over the link: how many arrive in the second and last
 * second. The window begins as every window does. */
static uint64_t run_rate(uint64_t bytes_per_second, uint32_t window_max)
{
    struct link link = { 0 };
    struct haul_yamux_stream *from, *to;
    uint64_t room = 0, arrived = 0, half = 0;

    start(UINT64_MAX / 2);
    from = haul_yamux_open(&left->yamux, now);
    settle(65536);
    to = right->last;
    to->window_max = window_max;
    right->yamux.rtt = 2 * LINK_STEPS * HAUL_MILLISECOND;
    for (uint32_t i = 0; i < 2000; i++) {
        uint64_t *body = &link.body[i % LINK_STEPS];
        uint32_t *credit = &link.credit[i % LINK_STEPS];
        uint8_t header[HAUL_YAMUX_HEADER_BYTES];

        now += HAUL_MILLISECOND;
        from->send_credit += *credit;
        right->yamux.now = now;
        to->recv_left -= (uint32_t)*body;
        to->held += (uint32_t)*body;
        haul_yamux_consume(&right->yamux, to, to->held);
        *credit = to->grant;
        to->grant = 0;
        arrived += *body;
        half = i == 999 ? arrived : half;
        room += bytes_per_second / 1000;
        for (*body = 0; room >= HAUL_YAMUX_BODY_MAX;) {
            uint32_t sent = haul_yamux_send(&left->yamux, from, HAUL_YAMUX_BODY_MAX, header);

            if (sent == 0)
                break;
            *body += sent;
            room -= sent;
        }
        if (room > bytes_per_second / 1000)
            room = bytes_per_second / 1000; /* what the link did not carry is lost to it */
    }
    return arrived - half;
}

static void one_stream_fills_a_long_path(void)
{
    /* 90 % of 10 Gbit/s and of 1 Gbit/s at 60 ms, by the second second. */
    CU_ASSERT_TRUE(run_rate(UINT64_C(1250000000), 256u << 20) >= UINT64_C(1125000000));
    CU_ASSERT_TRUE(run_rate(UINT64_C(125000000), 16u << 20) >= UINT64_C(112500000));
}

static void a_window_is_nearly_all_under_way(void)
{
    /* Of 32 MiB an eighth at most waits to be announced, of 256 KiB a half: without a rate that is
     * what a window carries in a round trip. */
    CU_ASSERT_TRUE(run_rate(UINT64_C(10000000000), 32u << 20) >=
                   (UINT64_C(32) << 20) * 1000 / 60 * 85 / 100);
    CU_ASSERT_TRUE(run_rate(UINT64_C(10000000000), HAUL_YAMUX_WINDOW_BYTES) >=
                   (uint64_t)HAUL_YAMUX_WINDOW_BYTES * 1000 / 60 * 85 / 100);
}

static void windows_grow_by_doubling_to_their_limit(void)
{
    CU_ASSERT_EQUAL(run_link(50 * HAUL_MILLISECOND, 16u << 20, UINT64_MAX / 2), 16u << 20);
    CU_ASSERT_EQUAL(run_link(50 * HAUL_MILLISECOND, 3u << 20, UINT64_MAX / 2), 3u << 20);
    CU_ASSERT_EQUAL(run_link(50 * HAUL_MILLISECOND, 0, UINT64_MAX / 2), HAUL_YAMUX_WINDOW_BYTES);
}

static void windows_do_not_outgrow_the_path(void)
{
    /* 4 MiB a round trip: eight of them at most. */
    CU_ASSERT_TRUE(run_link(50 * HAUL_MILLISECOND, 256u << 20, UINT64_MAX / 2) <= 32u << 20);
}

static void the_first_window_is_announced_at_once_and_leaves_most_to_others(void)
{
    struct haul_yamux_stream *stream;

    start(256u << 20);
    stream = haul_yamux_open(&left->yamux, now);
    haul_yamux_window(&left->yamux, stream, 16u << 20, HAUL_YAMUX_WINDOW_FIRST);
    settle(65536);
    CU_ASSERT_EQUAL(right->last->send_credit, HAUL_YAMUX_WINDOW_FIRST);
    haul_yamux_window(&right->yamux, right->last, 2u << 20, 1u << 20);
    settle(65536);
    CU_ASSERT_EQUAL(stream->send_credit, 1u << 20);
    haul_yamux_window(&right->yamux, right->last, 2u << 20, 0);
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));

    start(8u << 20);
    stream = haul_yamux_open(&left->yamux, now);
    haul_yamux_window(&left->yamux, stream, 16u << 20, HAUL_YAMUX_WINDOW_FIRST);
    CU_ASSERT_EQUAL(stream->recv_window, HAUL_YAMUX_WINDOW_BYTES + (1u << 20));
    CU_ASSERT_EQUAL(left->yamux.window_spare, 7u << 20);
}

/* Opens a stream on both sides and gives its receiver a window as a behaviour does. */
static struct haul_yamux_stream *open_with_window(uint32_t most, uint32_t first)
{
    struct haul_yamux_stream *stream = haul_yamux_open(&left->yamux, now);

    settle(65536);
    haul_yamux_window(&right->yamux, right->last, most, first);
    settle(65536);
    return stream;
}

/* The other side lets go when it hears of the reset. */
static void let_go(struct haul_yamux_stream *stream)
{
    haul_yamux_release(&right->yamux, stream);
    settle(65536);
}

static void a_stream_alone_begins_with_what_the_one_before_had_grown_to(void)
{
    struct haul_yamux_stream *next;

    CU_ASSERT_EQUAL(run_link(50 * HAUL_MILLISECOND, 16u << 20, 256u << 20), 16u << 20);
    /* Beside another one it begins as all do. */
    next = open_with_window(64u << 20, HAUL_YAMUX_WINDOW_FIRST);
    CU_ASSERT_EQUAL(next->send_credit, HAUL_YAMUX_WINDOW_FIRST);
    let_go(right->last);
    let_go(&right->streams[0]);
    CU_ASSERT_EQUAL(right->yamux.window_spare, 256u << 20);

    next = open_with_window(64u << 20, HAUL_YAMUX_WINDOW_FIRST);
    CU_ASSERT_EQUAL(next->send_credit, 16u << 20);
    let_go(right->last);
    /* No further than its own limit, a quarter of what is left, and never for who did not ask. */
    next = open_with_window(8u << 20, HAUL_YAMUX_WINDOW_FIRST);
    CU_ASSERT_EQUAL(next->send_credit, 8u << 20);
    let_go(right->last);
    right->yamux.window_spare = 8u << 20;
    next = open_with_window(64u << 20, HAUL_YAMUX_WINDOW_FIRST);
    CU_ASSERT_EQUAL(next->send_credit, HAUL_YAMUX_WINDOW_BYTES + (2u << 20));
    let_go(right->last);
    next = open_with_window(64u << 20, 0);
    CU_ASSERT_EQUAL(next->send_credit, HAUL_YAMUX_WINDOW_BYTES);
}

static void windows_share_what_the_connection_may_hold(void)
{
    CU_ASSERT_EQUAL(run_link(50 * HAUL_MILLISECOND, 16u << 20, 1u << 20),
                    HAUL_YAMUX_WINDOW_BYTES + (1u << 20));
    CU_ASSERT_EQUAL(right->yamux.window_spare, 0);
    haul_yamux_release(&right->yamux, right->last);
    settle(65536);
    CU_ASSERT_EQUAL(right->yamux.window_spare, 1u << 20);
}

static void a_ping_measures_the_round_trip_and_is_answered_once(void)
{
    start(0);
    haul_yamux_expire(&left->yamux, now);
    side_control(left);
    now += 30 * HAUL_MILLISECOND;
    settle(12);
    CU_ASSERT_EQUAL(left->yamux.rtt, 30 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(haul_yamux_deadline(&left->yamux), now + HAUL_YAMUX_PING_EVERY);
    CU_ASSERT_EQUAL(left->fault, HAUL_YAMUX_SOUND);
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));
    /* A long one has waited behind data, and changes little; a shorter one counts. */
    now += HAUL_YAMUX_PING_EVERY;
    haul_yamux_expire(&left->yamux, now);
    side_control(left);
    now += 190 * HAUL_MILLISECOND;
    settle(12);
    CU_ASSERT_EQUAL(left->yamux.rtt, 40 * HAUL_MILLISECOND);
    now += HAUL_YAMUX_PING_EVERY;
    haul_yamux_expire(&left->yamux, now);
    side_control(left);
    now += 20 * HAUL_MILLISECOND;
    settle(12);
    CU_ASSERT_EQUAL(left->yamux.rtt, 20 * HAUL_MILLISECOND);
}

static void silence_after_a_ping_ends_the_connection(void)
{
    start(0);
    haul_yamux_expire(&left->yamux, now);
    side_control(left);
    now += 10 * HAUL_SECOND;
    frame(left, 1, 0, 99, 0); /* a sign of life */
    CU_ASSERT_EQUAL(haul_yamux_deadline(&left->yamux), now + HAUL_YAMUX_SILENCE_MAX);
    now += HAUL_YAMUX_SILENCE_MAX;
    haul_yamux_expire(&left->yamux, now);
    side_input(left, NULL, 1, 1); /* nothing is read any more */
    CU_ASSERT_EQUAL(left->fault, HAUL_YAMUX_SILENT);
}

static void pongs_go_first_and_in_order(void)
{
    start(0);
    (void)!haul_yamux_open(&right->yamux, now);
    frame(right, 2, 1, 0, 5);
    frame(right, 2, 1, 0, 6);
    expect(right, "000200020000000000000005");
    expect(right, "000200020000000000000006");
    expect(right, "000100010000000200000000");
}

/* Whatever a hostile peer does, the answer is one GoAway with code 1 and nothing more. */
static void expect_fault(enum haul_yamux_fault fault)
{
    CU_ASSERT_EQUAL(right->fault, fault);
    expect(right, "000300000000000000000001");
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));
    CU_ASSERT_PTR_NULL(haul_yamux_open(&right->yamux, now));
    frame(right, 2, 1, 0, 1);
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));
    CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_FAILED], 1);
}

static void malformed_headers_are_fatal(void)
{
    static const uint8_t version[12] = { 1 };

    start(0);
    side_input(right, version, sizeof version, sizeof version);
    expect_fault(HAUL_YAMUX_BAD_HEADER);
    start(0);
    frame(right, 4, 0, 0, 0);
    expect_fault(HAUL_YAMUX_BAD_HEADER);
    start(0);
    frame(right, 0, 0, 0, 5);
    expect_fault(HAUL_YAMUX_BAD_HEADER);
    start(0);
    frame(right, 2, 1, 3, 5);
    expect_fault(HAUL_YAMUX_BAD_HEADER);
}

static void too_long_bodies_are_fatal_before_any_state(void)
{
    start(0);
    frame(right, 0, 1, 1, HAUL_YAMUX_WINDOW_BYTES + 1);
    expect_fault(HAUL_YAMUX_BODY_TOO_LONG);
    CU_ASSERT_EQUAL(right->yamux.live, 0);
    start(0);
    frame(right, 0, 0, 1, HAUL_YAMUX_PEER_BODY_MAX + 1);
    expect_fault(HAUL_YAMUX_BODY_TOO_LONG);
}

/* js-libp2p puts all that it may send into one frame. */
static void a_body_may_be_as_long_as_the_window(void)
{
    start(0);
    right->hold = true;
    frame(right, 1, 1, 1, 0);
    (void)haul_yamux_control(&right->yamux, right->out, PIPE_BYTES);
    right->last->recv_left = 3u << 20;
    frame(right, 0, 0, 1, 3u << 20);
    body(right, 3u << 20);
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
    CU_ASSERT_EQUAL(right->last->recv_left, 0);
    frame(right, 0, 0, 1, 1);
    expect_fault(HAUL_YAMUX_WINDOW_EXCEEDED);
}

static void data_beyond_the_window_is_fatal(void)
{
    start(0);
    right->hold = true;
    frame(right, 0, 1, 1, HAUL_YAMUX_WINDOW_BYTES);
    body(right, HAUL_YAMUX_WINDOW_BYTES);
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
    (void)haul_yamux_control(&right->yamux, right->out, PIPE_BYTES);
    frame(right, 0, 0, 1, 1);
    expect_fault(HAUL_YAMUX_WINDOW_EXCEEDED);
}

static void a_window_that_overflows_is_fatal(void)
{
    start(0);
    frame(right, 1, 1, 1, UINT32_MAX);
    expect_fault(HAUL_YAMUX_WINDOW_OVERFLOW);
    start(0);
    frame(right, 1, 1, 1, UINT32_MAX - HAUL_YAMUX_WINDOW_BYTES);
    CU_ASSERT_EQUAL(right->last->send_credit, UINT32_MAX);
    (void)haul_yamux_control(&right->yamux, right->out, PIPE_BYTES);
    frame(right, 1, 0, 1, 1);
    expect_fault(HAUL_YAMUX_WINDOW_OVERFLOW);
}

static void an_open_of_a_live_id_or_the_wrong_parity_is_fatal(void)
{
    start(0);
    frame(right, 1, 1, 2, 0);
    expect_fault(HAUL_YAMUX_OPEN_INVALID);
    start(0);
    frame(right, 1, 1, 1, 0);
    expect(right, "000100020000000100000000");
    frame(right, 1, 1, 1, 0);
    expect_fault(HAUL_YAMUX_OPEN_INVALID);
}

static void data_after_an_end_is_fatal(void)
{
    start(0);
    frame(right, 1, 1 | 4, 1, 0);
    expect(right, "000100020000000100000000");
    frame(right, 0, 4, 1, 0); /* ending twice is harmless */
    CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_ENDED], 1);
    frame(right, 0, 0, 1, 1);
    expect_fault(HAUL_YAMUX_DATA_AFTER_END);
}

static void an_unasked_or_wrong_pong_is_fatal(void)
{
    start(0);
    frame(right, 2, 2, 0, 0);
    expect_fault(HAUL_YAMUX_PONG_UNASKED);
    start(0);
    haul_yamux_expire(&right->yamux, now);
    expect(right, "000200010000000000000001");
    frame(right, 2, 2, 0, 2);
    expect_fault(HAUL_YAMUX_PONG_UNASKED);
}

static void unanswered_floods_are_fatal_and_answered_ones_are_not(void)
{
    start(0);
    for (uint32_t i = 0; i < HAUL_YAMUX_PONGS_MAX; i++)
        frame(right, 2, 1, 0, i);
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
    CU_ASSERT_TRUE(haul_yamux_pressed(&right->yamux));
    frame(right, 2, 1, 0, 99);
    expect_fault(HAUL_YAMUX_FLOOD);
    start(0);
    for (uint32_t i = 0; i < STREAMS * 3 / 4 + HAUL_YAMUX_REFUSALS_MAX; i++)
        frame(right, 1, 1, 2 * i + 1, 0);
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
    CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_OPENED], STREAMS * 3 / 4);
    frame(right, 1, 1, 9999, 0);
    expect_fault(HAUL_YAMUX_FLOOD);
    start(0);
    for (uint32_t i = 0; i < 10000; i++) {
        frame(right, 1, 1, 2 * i + 1, 0);
        (void)haul_yamux_control(&right->yamux, right->out, PIPE_BYTES);
    }
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
    CU_ASSERT_EQUAL(right->yamux.live, STREAMS * 3 / 4);
    CU_ASSERT_PTR_NOT_NULL(haul_yamux_open(&right->yamux, now)); /* some are kept for us */
}

static void window_updates_of_an_unread_connection_are_coalesced(void)
{
    start(0);
    frame(right, 1, 1, 1, 0);
    for (int i = 0; i < 100; i++) {
        frame(right, 0, 0, 1, HAUL_YAMUX_WINDOW_BYTES / 2);
        body(right, HAUL_YAMUX_WINDOW_BYTES / 2);
    }
    /* The acknowledgement and 100 updates are one frame. */
    expect(right, "000100020000000100c80000");
    CU_ASSERT_FALSE(haul_yamux_control_waits(&right->yamux));
}

static void frames_of_unknown_streams_are_skipped(void)
{
    start(0);
    frame(right, 1, 0, 7, 1000);
    frame(right, 1, 8, 7, 0);
    frame(right, 0, 0, 7, 1000);
    body(right, 1000);
    frame(right, 2, 1, 0, 3);
    expect(right, "000200020000000000000003");
    CU_ASSERT_EQUAL(right->bytes, 0);
    CU_ASSERT_EQUAL(right->fault, HAUL_YAMUX_SOUND);
}

static void a_reset_ends_both_halves_and_its_length_is_no_credit(void)
{
    struct haul_yamux_stream *stream;

    start(0);
    stream = haul_yamux_open(&left->yamux, now);
    settle(100);
    CU_ASSERT_EQUAL(side_send(right, right->last, 0, 50000), 50000);
    frame(right, 1, 8, 1, UINT32_MAX);
    CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_RESET], 1);
    CU_ASSERT_EQUAL(right->yamux.live, 0);
    haul_yamux_release(&left->yamux, stream);
    settle(100); /* what was under way is discarded */
    CU_ASSERT_EQUAL(left->bytes, 0);
    CU_ASSERT_EQUAL(left->yamux.live, 0);
    CU_ASSERT_EQUAL(left->fault, HAUL_YAMUX_SOUND);
}

static void opens_stop_at_the_limits(void)
{
    size_t count = 0;

    start(0);
    while (haul_yamux_open(&left->yamux, now) != NULL)
        count++;
    CU_ASSERT_EQUAL(count, STREAMS);
    settle(1000);
    CU_ASSERT_EQUAL(right->seen[HAUL_YAMUX_OPENED], STREAMS * 3 / 4);
    CU_ASSERT_EQUAL(left->seen[HAUL_YAMUX_RESET], STREAMS / 4);
    CU_ASSERT_EQUAL(left->yamux.live, STREAMS * 3 / 4);
    frame(left, 3, 0, 0, 0);
    CU_ASSERT_EQUAL(left->seen[HAUL_YAMUX_GOAWAY], 1);
    CU_ASSERT_PTR_NULL(haul_yamux_open(&left->yamux, now));
}

static void the_backlog_of_unacknowledged_opens_is_bounded(void)
{
    static struct haul_yamux yamux;
    static struct haul_yamux_stream streams[HAUL_YAMUX_STREAMS_MAX];
    size_t count = 0;

    haul_yamux_init(&yamux, true, streams, HAUL_YAMUX_STREAMS_MAX, 0, NULL, 0);
    while (haul_yamux_open(&yamux, now) != NULL)
        count++;
    CU_ASSERT_EQUAL(count, HAUL_YAMUX_BACKLOG_MAX);
}

static void a_stream_released_before_its_open_was_sent_is_never_heard_of(void)
{
    start(0);
    haul_yamux_release(&left->yamux, haul_yamux_open(&left->yamux, now));
    side_control(left);
    CU_ASSERT_EQUAL(left->out_bytes, 0);
    CU_ASSERT_EQUAL(left->yamux.live, 0);
    CU_ASSERT_EQUAL(left->yamux.unacked, 0);
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(frames_equal_the_published_ones),
        T(a_stream_carries_bytes_both_ways_however_they_are_cut),
        T(the_open_rides_with_the_first_data),
        T(a_full_window_holds_the_sender_until_the_owner_consumes),
        T(one_stream_fills_a_long_path),
        T(a_stream_alone_begins_with_what_the_one_before_had_grown_to),
        T(a_window_is_nearly_all_under_way),
        T(windows_grow_by_doubling_to_their_limit),
        T(windows_do_not_outgrow_the_path),
        T(the_first_window_is_announced_at_once_and_leaves_most_to_others),
        T(windows_share_what_the_connection_may_hold),
        T(a_ping_measures_the_round_trip_and_is_answered_once),
        T(silence_after_a_ping_ends_the_connection),
        T(pongs_go_first_and_in_order),
        T(malformed_headers_are_fatal),
        T(too_long_bodies_are_fatal_before_any_state),
        T(a_body_may_be_as_long_as_the_window),
        T(data_beyond_the_window_is_fatal),
        T(a_window_that_overflows_is_fatal),
        T(an_open_of_a_live_id_or_the_wrong_parity_is_fatal),
        T(data_after_an_end_is_fatal),
        T(an_unasked_or_wrong_pong_is_fatal),
        T(unanswered_floods_are_fatal_and_answered_ones_are_not),
        T(window_updates_of_an_unread_connection_are_coalesced),
        T(frames_of_unknown_streams_are_skipped),
        T(a_reset_ends_both_halves_and_its_length_is_no_credit),
        T(opens_stop_at_the_limits),
        T(the_backlog_of_unacknowledged_opens_is_bounded),
        T(a_stream_released_before_its_open_was_sent_is_never_heard_of),
    };
#undef T
    int status = unit_main("yamux", tests, HAUL_COUNT_OF(tests));

    free(left);
    free(right);
    return status;
}
