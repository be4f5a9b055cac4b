/* Bulk that other threads seal and open: two machines over pipes, where the test plays the threads
 * and brings batches back when and in whatever order it likes. */
#include "controlplane/p2p/conn.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define STREAMS  8u
#define BUFFER   (1u << 20)
#define WIRE_MAX (4u << 20)
#define PERIOD   1000003u
#define SECOND   HAUL_SECOND

static const char *const protocols[] = { "/test/sink/1" };

/* What becomes of a batch once it is handed out. */
enum manner { AT_ONCE, LATER, NEVER_ASKED };

struct side {
    struct haul_conn conn;
    struct haul_key key;
    uint8_t in[BUFFER], out[BUFFER];
    struct haul_conn_stream streams[STREAMS];
    struct haul_yamux_stream muxes[STREAMS];
    struct haul_conn_batch batches[2][HAUL_CONN_BATCHES_MAX];
    struct haul_conn_batch *away[2 * HAUL_CONN_BATCHES_MAX];
    size_t away_count, most_away;
    unsigned sealed, opened; /* batches */
    enum manner manner;
    uint8_t wire[WIRE_MAX];
    size_t wire_bytes;
    uint64_t got; /* bytes of streams */
    bool wrong;   /* one of them was not what it should be */
    unsigned failed, accepted;
};

static struct side *left, *right;
static haul_time now = SECOND;
static uint64_t dice;
static struct haul_tls_identity identities[2];
static enum haul_security security;
static const struct haul_psk network = { { 1 } }, *private;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % sides;
}

/* What every stream carries from its byte `at` on. */
static const uint8_t *bytes_at(uint64_t at)
{
    static uint8_t bytes[PERIOD + BUFFER];

    for (uint32_t i = 0; bytes[1] == 0 && i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % PERIOD * 131 + (i % PERIOD >> 11));
    return bytes + at % PERIOD;
}

static void side_start(struct side *side, bool dialer, enum manner manner)
{
    uint8_t secrets[3][32];
    struct haul_conn_conf conf = {
        .dialer = dialer,
        .defers = manner != NEVER_ASKED,
        .key = &side->key,
        .securities = &security,
        .security_count = 1,
        .tls = &identities[dialer],
        .unix_seconds = 1800000000,
        .psk = private,
        .psk_nonce = secrets[0],
        .protocols = protocols,
        .protocol_count = 1,
        .in = side->in,
        .in_bytes = BUFFER,
        .out = side->out,
        .out_bytes = BUFFER,
        .streams = side->streams,
        .muxes = side->muxes,
        .stream_count = STREAMS,
        .window_spare = 64u << 20,
        .fast = dialer ? haul_chacha_poly_ipsec_mb() : NULL, /* both ways of computing it */
        .static_private = secrets[1],
        .ephemeral_private = secrets[2],
    };

    memset(side, 0, sizeof *side);
    side->manner = manner;
    for (size_t i = 0; i < sizeof secrets; i++)
        secrets[i / 32][i % 32] = (uint8_t)(i * 7 + (dialer ? 1 : 100));
    haul_key_from_seed(&side->key, secrets[0]);
    if (identities[dialer].context == NULL)
        CU_ASSERT_TRUE_FATAL(haul_tls_identity_open(&identities[dialer], &side->key, 1800000000));
    haul_conn_init(&side->conn, &conf, now);
}

/* --- the threads --- */

static void bring_back(struct side *side, size_t which)
{
    struct haul_conn_batch *batch = side->away[which];

    haul_noise_batch_run(&batch->noise);
    side->away[which] = side->away[--side->away_count];
    haul_conn_batch_back(&side->conn, batch);
}

static void hand_out(struct side *side)
{
    struct haul_conn_batch *batch;

    while (side->manner != NEVER_ASKED &&
           ((batch = haul_conn_defer_seal(&side->conn, side->batches[0])) != NULL ||
            (batch = haul_conn_defer_open(&side->conn, side->batches[1])) != NULL)) {
        side->sealed += !batch->noise.opening;
        side->opened += batch->noise.opening;
        side->away[side->away_count++] = batch;
        if (side->away_count > side->most_away)
            side->most_away = side->away_count;
        if (side->manner == AT_ONCE)
            bring_back(side, 0);
    }
}

/* --- the connection --- */

static void side_events(struct side *side)
{
    struct haul_conn_event event;

    hand_out(side);
    while (haul_conn_event(&side->conn, &event)) {
        side->accepted += event.kind == HAUL_CONN_ACCEPTED;
        if (event.kind == HAUL_CONN_ACCEPTED)
            haul_conn_window(&side->conn, event.stream, 16u << 20, 4u << 20);
        side->failed += event.kind == HAUL_CONN_FAILED;
        if (event.kind != HAUL_CONN_DATA)
            continue;
        side->wrong |= memcmp(event.data, bytes_at(side->got), event.bytes) != 0;
        side->got += event.bytes;
        haul_conn_consume(&side->conn, event.stream, event.bytes);
    }
    hand_out(side);
}

/* Sends up to `most` bytes; returns how many. */
static size_t side_send(struct side *side, size_t most)
{
    size_t sent = 0;
    const uint8_t *data;
    size_t bytes;

    hand_out(side);
    while (sent < most && (bytes = haul_conn_output(&side->conn, &data)) > 0) {
        if (bytes > most - sent)
            bytes = most - sent;
        CU_ASSERT_FATAL(side->wire_bytes + bytes <= WIRE_MAX);
        memcpy(side->wire + side->wire_bytes, data, bytes);
        side->wire_bytes += bytes;
        sent += bytes;
        haul_conn_sent(&side->conn, bytes, now);
        side_events(side);
    }
    return sent;
}

static size_t side_receive(struct side *side, struct side *from, size_t most)
{
    size_t took = 0;

    while (took < from->wire_bytes && took < most) {
        uint8_t *space;
        size_t room = haul_conn_room(&side->conn, &space);
        size_t part = from->wire_bytes - took;

        part = part < most - took ? part : most - took;
        part = part < room ? part : room;
        if (part == 0)
            break;
        memcpy(space, from->wire + took, part);
        haul_conn_received(&side->conn, part, now);
        took += part;
        side_events(side);
    }
    memmove(from->wire, from->wire + took, from->wire_bytes - took);
    from->wire_bytes -= took;
    return took;
}

static void settle(void)
{
    size_t moved = 1;

    while (moved > 0) {
        moved = side_send(left, WIRE_MAX) + side_send(right, WIRE_MAX);
        moved += side_receive(right, left, WIRE_MAX) + side_receive(left, right, WIRE_MAX);
        for (struct side *side = left;; side = right) {
            for (; side->away_count > 0; moved++)
                bring_back(side, side->away_count - 1);
            side_events(side);
            if (side == right)
                break;
        }
    }
}

static struct haul_conn_stream *start(enum manner manner_left, enum manner manner_right)
{
    struct haul_conn_stream *stream;

    now = SECOND;
    if (left == NULL) {
        left = calloc(1, sizeof *left);
        right = calloc(1, sizeof *right);
    } else {
        haul_conn_fini(&left->conn);
        haul_conn_fini(&right->conn);
    }
    side_start(right, false, manner_right);
    side_start(left, true, manner_left);
    settle();
    CU_ASSERT_EQUAL_FATAL(left->conn.phase, HAUL_CONN_UP);
    stream = haul_conn_open(&left->conn, protocols[0], NULL, now);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    settle();
    return stream;
}

/* Writes the next bytes of the pattern, at most so many; returns how many were taken. */
static size_t write_some(struct haul_conn_stream *stream, uint64_t at, size_t bytes)
{
    return haul_conn_write(&left->conn, stream, bytes_at(at), bytes);
}

/* --- promises --- */

/* With the same keys and the same writes, whoever seals. */
static void what_is_deferred_is_the_same_on_the_wire(void)
{
    static uint8_t before[WIRE_MAX];
    size_t before_bytes = 0;

    for (enum manner manner = NEVER_ASKED + 1; manner-- > 0;) {
        struct haul_conn_stream *stream = start(manner, NEVER_ASKED);
        uint64_t sent = 0;

        dice = 1;
        for (size_t i = 0; i < 12; i++) {
            sent += write_some(stream, sent, i % 4 == 3 ? 1 + roll(500) : 30000 + roll(120000));
        }
        while (left->conn.sealing.count > 0 || left->conn.laid_bytes > 0 ||
               !haul_conn_drained(&left->conn)) {
            (void)side_send(left, WIRE_MAX);
            while (left->away_count > 0)
                bring_back(left, left->away_count - 1);
        }
        CU_ASSERT(sent > 500000);
        CU_ASSERT_EQUAL(left->sealed > 0, manner != NEVER_ASKED);
        if (manner == NEVER_ASKED) {
            before_bytes = left->wire_bytes;
            memcpy(before, left->wire, before_bytes);
        } else {
            CU_ASSERT_EQUAL_FATAL(left->wire_bytes, before_bytes);
            CU_ASSERT_EQUAL(memcmp(left->wire, before, before_bytes), 0);
        }
    }
}

/* One turn of a rough world; returns what was written. */
static size_t rough_turn(struct haul_conn_stream *stream, uint64_t sent)
{
    size_t wrote = 0;

    switch (roll(8)) {
    case 0:
    case 1:
        wrote = write_some(stream, sent, 1 + roll(roll(3) == 0 ? 300 : 300000));
        break;
    case 2:
        (void)side_send(left, 1 + roll(400000));
        break;
    case 3:
        (void)side_receive(right, left, 1 + roll(400000));
        break;
    case 4:
        (void)side_send(right, WIRE_MAX);
        (void)side_receive(left, right, WIRE_MAX);
        break;
    case 5:
        now += HAUL_YAMUX_PING_EVERY / 64; /* now and then a ping */
        haul_conn_expire(&left->conn, now);
        haul_conn_expire(&right->conn, now);
        break;
    case 6:
        if (left->away_count > 0)
            bring_back(left, roll((uint32_t)left->away_count));
        side_events(left);
        break;
    default:
        if (right->away_count > 0)
            bring_back(right, roll((uint32_t)right->away_count));
        side_events(right);
        break;
    }
    return wrote;
}

static void every_byte_comes_in_order_however_batches_come_back(void)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct haul_conn_stream *stream =
            start(seed % 3 == 0 ? NEVER_ASKED : LATER, seed % 4 == 0 ? NEVER_ASKED : LATER);
        uint64_t sent = 0;

        dice = seed;
        for (int turn = 0; turn < 2500 && left->wire_bytes < WIRE_MAX - BUFFER; turn++)
            sent += rough_turn(stream, sent);
        settle();
        CU_ASSERT_EQUAL(right->got, sent);
        CU_ASSERT_FALSE(right->wrong);
        CU_ASSERT(sent > (2u << 20));
        CU_ASSERT_EQUAL(left->sealed > 0, seed % 3 != 0);
        CU_ASSERT_EQUAL(right->opened > 0, seed % 4 != 0);
        CU_ASSERT_EQUAL(left->conn.phase, HAUL_CONN_UP);
        CU_ASSERT_TRUE(haul_conn_idle(&left->conn) && haul_conn_idle(&right->conn));
    }
}

/* Writes so much that a buffer must be turned while batches are in both of its halves. */
static void buffers_turn_while_batches_are_out(void)
{
    struct haul_conn_stream *stream = start(LATER, LATER);
    bool in_turned = false, out_turned = false;
    uint64_t sent = 0;

    while (sent < (16u << 20)) {
        sent += write_some(stream, sent, 200000);
        (void)side_send(left, 150000);
        (void)side_receive(right, left, 140000);
        (void)side_send(right, WIRE_MAX);
        (void)side_receive(left, right, WIRE_MAX);
        in_turned |= right->conn.in_wrap != 0 && right->conn.opening.count > 1;
        out_turned |= left->conn.out_wrap != 0 && left->conn.sealing.count > 0;
        if (left->away_count > 2 || (left->away_count > 0 && now % 4 == 0))
            bring_back(left, 0);
        if (right->away_count > 2 || (right->away_count > 0 && now % 4 == 0))
            bring_back(right, 0);
        side_events(left);
        side_events(right);
        CU_ASSERT_FATAL(now++ < SECOND + 10000);
    }
    settle();
    CU_ASSERT_TRUE(in_turned);
    CU_ASSERT_TRUE(out_turned);
    CU_ASSERT_EQUAL(right->got, sent);
    CU_ASSERT_FALSE(right->wrong);
}

/* Up to the forged message everything is good, as where nothing is deferred. */
static void a_forged_message_in_a_batch_ends_the_connection_there(void)
{
    const size_t frame = HAUL_YAMUX_BODY_MAX + HAUL_YAMUX_HEADER_BYTES + HAUL_NOISE_OVERHEAD;

    for (size_t which = 0; which < 4; which++) {
        struct haul_conn_stream *stream = start(NEVER_ASKED, which < 2 ? AT_ONCE : LATER);

        CU_ASSERT_EQUAL(write_some(stream, 0, 3 * HAUL_YAMUX_BODY_MAX), 3 * HAUL_YAMUX_BODY_MAX);
        (void)side_send(left, WIRE_MAX);
        CU_ASSERT_FATAL(left->wire_bytes >= 3 * frame);
        left->wire[which * frame + frame / 2] ^= 1;
        (void)side_receive(right, left, WIRE_MAX);
        while (right->away_count > 0)
            bring_back(right, 0);
        side_events(right);
        if (which == 3) { /* nothing lies there */
            CU_ASSERT_EQUAL(right->conn.phase, HAUL_CONN_UP);
            CU_ASSERT_EQUAL(right->got, 3 * HAUL_YAMUX_BODY_MAX);
            continue;
        }
        CU_ASSERT_EQUAL(right->conn.fault, HAUL_CONN_FORGED);
        CU_ASSERT_EQUAL(right->failed, 1);
        CU_ASSERT_EQUAL(right->got, which * HAUL_YAMUX_BODY_MAX);
        CU_ASSERT_FALSE(right->wrong);
        CU_ASSERT_EQUAL(haul_conn_room(&right->conn, &(uint8_t *){ NULL }), 0);
    }
}

static void little_is_sealed_and_opened_at_once(void)
{
    struct haul_conn_stream *stream = start(LATER, LATER);
    uint64_t sent = 0;

    for (size_t bytes = 1; bytes < 60000; bytes += bytes / 3 + 1) {
        sent += write_some(stream, sent, bytes);
        (void)side_send(left, WIRE_MAX);
        (void)side_receive(right, left, WIRE_MAX);
        CU_ASSERT_EQUAL(right->got, sent);
    }
    CU_ASSERT_EQUAL(left->sealed + right->opened, 0);
    CU_ASSERT_FALSE(right->wrong);
}

/* Around the least that makes a batch, and the most. */
static void batches_are_whole_messages_within_their_bounds(void)
{
    for (size_t bytes = 50000; bytes < 700000; bytes += 7919) {
        struct haul_conn_stream *stream = start(LATER, LATER);
        size_t took = 0;

        while (took < bytes) { /* frames of whatever size */
            size_t part = bytes - took < 23456 ? bytes - took : 23456;

            CU_ASSERT_EQUAL_FATAL(write_some(stream, took, part), part);
            took += part;
        }
        hand_out(left);
        for (size_t i = 0; i < left->away_count; i++) {
            const struct haul_noise_batch *batch = &left->away[i]->noise;
            size_t walked = 0;

            for (uint32_t message = 0; message < batch->messages; message++)
                walked += HAUL_NOISE_FRAME_BYTES + haul_noise_frame(batch->at + walked);
            CU_ASSERT_EQUAL(walked, batch->bytes);
            CU_ASSERT(batch->bytes >= HAUL_CONN_BATCH_BYTES_MIN);
            CU_ASSERT(batch->bytes <= HAUL_CONN_BATCH_BYTES_MAX + HAUL_NOISE_MESSAGE_MAX);
        }
        CU_ASSERT_EQUAL(left->away_count > 0, bytes > HAUL_CONN_BATCH_BYTES_MIN);
        CU_ASSERT(left->conn.laid_bytes < HAUL_CONN_BATCH_BYTES_MIN);
        settle();
        CU_ASSERT_EQUAL(right->got, bytes);
        CU_ASSERT_FALSE(right->wrong);
    }
}

/* Nothing overtakes a batch, and once it is back all that is behind it goes. */
static void what_is_behind_a_batch_waits_for_it(void)
{
    struct haul_conn_stream *stream = start(LATER, NEVER_ASKED);
    const uint8_t *data;

    CU_ASSERT_EQUAL(write_some(stream, 0, 100000), 100000);
    hand_out(left);
    CU_ASSERT_EQUAL_FATAL(left->away_count, 1);
    CU_ASSERT_EQUAL(write_some(stream, 100000, 10), 10);
    CU_ASSERT_PTR_NOT_NULL(haul_conn_open(&left->conn, protocols[0], NULL, now));
    CU_ASSERT_EQUAL(haul_conn_output(&left->conn, &data), 0);
    CU_ASSERT_FALSE(haul_conn_drained(&left->conn) || haul_conn_idle(&left->conn));
    CU_ASSERT_EQUAL(haul_conn_deadline(&left->conn), now + HAUL_CONN_NEGOTIATE_MAX);
    bring_back(left, 0);
    (void)side_send(left, WIRE_MAX);
    CU_ASSERT_TRUE(haul_conn_drained(&left->conn));
    (void)side_receive(right, left, WIRE_MAX);
    CU_ASSERT_EQUAL(right->got, 100010);
    CU_ASSERT_EQUAL(right->accepted, 2);
    settle();
}

static void more_batches_than_the_limit_are_not_out(void)
{
    struct haul_conn_stream *stream = start(LATER, LATER);
    uint64_t sent = 0;

    for (int i = 0; i < 200; i++) {
        sent += write_some(stream, sent, 70000);
        hand_out(left);
    }
    CU_ASSERT(left->away_count <= HAUL_CONN_BATCHES_MAX);
    CU_ASSERT(sent < BUFFER);
    while (left->away_count > 0)
        bring_back(left, 0);
    while (side_send(left, 66000) > 0) /* each recv brings one message more */
        (void)side_receive(right, left, WIRE_MAX);
    CU_ASSERT(right->most_away <= HAUL_CONN_BATCHES_MAX);
    CU_ASSERT(right->most_away > HAUL_CONN_BATCHES_MAX / 2);
    settle();
    CU_ASSERT_EQUAL(right->got, sent);
    CU_ASSERT_FALSE(right->wrong);
}

static void a_machine_may_end_while_batches_are_out(void)
{
    struct haul_conn_stream *stream = start(LATER, LATER);

    CU_ASSERT_EQUAL(write_some(stream, 0, 400000), 400000);
    hand_out(left);
    CU_ASSERT(left->away_count > 0);
    haul_conn_fini(&left->conn);
    for (size_t i = 0; i < left->away_count; i++) {
        haul_noise_batch_run(&left->away[i]->noise);
        CU_ASSERT_EQUAL(left->away[i]->noise.good, left->away[i]->noise.messages);
    }
    left->away_count = 0;
}

static void a_machine_that_has_failed_takes_batches_back(void)
{
    struct haul_conn_stream *stream = start(LATER, LATER);
    uint8_t garbage[400] = { 1, 100 };

    CU_ASSERT_EQUAL(write_some(stream, 0, 330000), 330000);
    CU_ASSERT_EQUAL(write_some(stream, 330000, 20000), 20000);
    hand_out(left);
    CU_ASSERT(left->away_count > 0);
    memcpy(right->wire + right->wire_bytes, garbage, sizeof garbage);
    right->wire_bytes += sizeof garbage;
    (void)side_receive(left, right, WIRE_MAX);
    CU_ASSERT_EQUAL(left->conn.fault, HAUL_CONN_FORGED);
    while (left->away_count > 0)
        bring_back(left, left->away_count - 1);
    (void)side_send(left, WIRE_MAX);
    CU_ASSERT_EQUAL(left->failed, 1);
}

static void neither_tls_nor_a_private_network_is_deferred(void)
{
    for (int round = 0; round < 2; round++) {
        struct haul_conn_stream *stream;

        security = round == 0 ? HAUL_SECURITY_TLS : HAUL_SECURITY_NOISE;
        private = round == 0 ? NULL : &network;
        stream = start(LATER, LATER);
        CU_ASSERT(write_some(stream, 0, 200000) == 200000);
        settle();
        CU_ASSERT_EQUAL(left->sealed + right->opened, 0);
        CU_ASSERT_EQUAL(right->got, 200000);
        CU_ASSERT_FALSE(right->wrong);
    }
    security = HAUL_SECURITY_NOISE;
    private = NULL;
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(what_is_deferred_is_the_same_on_the_wire),
        T(every_byte_comes_in_order_however_batches_come_back),
        T(buffers_turn_while_batches_are_out),
        T(a_forged_message_in_a_batch_ends_the_connection_there),
        T(little_is_sealed_and_opened_at_once),
        T(batches_are_whole_messages_within_their_bounds),
        T(what_is_behind_a_batch_waits_for_it),
        T(more_batches_than_the_limit_are_not_out),
        T(a_machine_may_end_while_batches_are_out),
        T(a_machine_that_has_failed_takes_batches_back),
        T(neither_tls_nor_a_private_network_is_deferred),
    };
#undef T
    int status = unit_main("conn_batch", tests, HAUL_COUNT_OF(tests));

    haul_conn_fini(&left->conn);
    haul_conn_fini(&right->conn);
    for (size_t i = 0; i < 2; i++)
        haul_tls_identity_close(&identities[i]);
    free(left);
    free(right);
    return status;
}
