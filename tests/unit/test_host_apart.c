/* Two hosts whose bulk other threads seal and open: that it arrives, and every way in which a
 * connection may end while threads have something of it. */
#include "controlplane/seam/helpers.h"
#include "tests/unit/host_rig.h"

#include <unistd.h>

#define STREAMS 3u
#define PERIOD  1000003u
#define PIECE   (1u << 20)
#define TOTAL   (UINT64_C(10) << 20) /* of each stream, each way */
#define SOON    (60 * HAUL_SECOND)

static struct haul_helpers *helpers;
static uint32_t over;  /* streams whose every byte has come, at either end */
static uint32_t wrong; /* pieces of input */
static uint32_t gates; /* threads that were let through */
static int gate[2];
static bool crowded;

struct both_ways {
    uint64_t wrote, got;
};

/* What every stream carries from its byte `at` on. */
static const uint8_t *bytes_at(uint64_t at)
{
    static uint8_t bytes[PERIOD + PIECE];

    for (uint32_t i = 0; bytes[1] == 0 && i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % PERIOD * 131 + (i % PERIOD >> 11));
    return bytes + at % PERIOD;
}

static void write_on(struct haul_stream *stream)
{
    struct both_ways *state = haul_stream_state(stream);
    size_t took;

    do {
        size_t bytes = TOTAL - state->wrote < PIECE ? (size_t)(TOTAL - state->wrote) : PIECE;

        took = haul_stream_write(stream, bytes_at(state->wrote), bytes);
        state->wrote += took;
    } while (took > 0);
}

static void on_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    write_on(stream);
}

static size_t on_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct both_ways *state = haul_stream_state(stream);

    wrong += memcmp(data, bytes_at(state->got), bytes) != 0;
    state->got += bytes;
    over += state->got == TOTAL;
    return bytes;
}

static const struct haul_behaviour both_ways = {
    .protocol = "/test/both-ways/1",
    .state_bytes = sizeof(struct both_ways),
    .inbound_per_peer_max = STREAMS,
    .window_bytes_max = 4u << 20,
    .takes_at_once = true,
    .opened = on_opened,
    .input = on_input,
    .writable = write_on,
};

static const struct haul_protocol protocols[] = {
    { .behaviour = &haul_identify_behaviour },
    { .behaviour = &haul_ping_behaviour },
    { .behaviour = &both_ways },
    { .behaviour = NULL },
};

static bool run(void *context, void (*work)(void *job), void (*done)(void *job), void *job)
{
    (void)context;
    return !crowded && haul_helpers_run(helpers, haul_helpers_idlest(helpers), work, done, job);
}

static void helpers_end(void)
{
    haul_helpers_close(helpers);
    close(gate[0]);
    close(gate[1]);
}

static void begin(void)
{
    struct haul_error error;

    over = wrong = gates = 0;
    crowded = false;
    pair_prepare(protocols);
    a.conf.threads.run = b.conf.threads.run = run;
    pair_start();
    CU_ASSERT_EQUAL_FATAL(haul_helpers_open(&helpers, pair_loop, 2, &error), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(gate), 0);
    pair_closed = helpers_end;
    CU_ASSERT_TRUE_FATAL(pair_connect());
}

static void streams_open(void)
{
    for (uint32_t i = 0; i < STREAMS; i++)
        CU_ASSERT_PTR_NOT_NULL(haul_host_stream(a.host, a.connection, &both_ways, NULL));
}

static bool all_over(void)
{
    return over == 2 * STREAMS;
}

/* --- threads that are held up --- */

static void wait_for_gate(void *context)
{
    char byte;

    CU_ASSERT_EQUAL(read(*(int *)context, &byte, 1), 1);
}

static void passed(void *context)
{
    (void)context;
    gates++;
}

static void gate_close(void)
{
    for (uint32_t i = 0; i < 2; i++)
        CU_ASSERT_TRUE(haul_helpers_run(helpers, i, wait_for_gate, passed, &gate[0]));
}

static void gate_open(void)
{
    CU_ASSERT_EQUAL(write(gate[1], "xx", 2), 2);
}

static bool batch_is_out(void)
{
    return haul_host_counters(a.host)->sealed_apart > 0;
}

static bool nobody_is_connected(void)
{
    struct haul_host_usage left, right;

    haul_host_usage(a.host, &left);
    haul_host_usage(b.host, &right);
    return left.connections + right.connections == 0;
}

static bool gates_passed(void)
{
    return gates == 2;
}

static void hold_up(void)
{
    gate_close();
    streams_open();
    CU_ASSERT_TRUE_FATAL(pair_run(batch_is_out, SOON));
}

/* --- promises --- */

static void bulk_arrives_both_ways_through_threads(void)
{
    const struct haul_host_counters *counters;

    begin();
    streams_open();
    CU_ASSERT_TRUE(pair_run(all_over, SOON));
    CU_ASSERT_EQUAL(wrong, 0);
    for (int i = 0; i < 2; i++) {
        counters = haul_host_counters(i == 0 ? a.host : b.host);
        CU_ASSERT(counters->sealed_apart > 0 && counters->opened_apart > 0);
        CU_ASSERT(counters->sealed_apart_bytes > STREAMS * TOTAL / 2);
        CU_ASSERT(counters->opened_apart_bytes > STREAMS * TOTAL / 2);
    }
    pair_finish();
}

static void where_no_thread_has_room_it_is_done_at_once(void)
{
    begin();
    crowded = true;
    streams_open();
    CU_ASSERT_TRUE(pair_run(all_over, SOON));
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(haul_host_counters(a.host)->sealed_apart, 0);
    pair_finish();
}

static void what_threads_have_goes_on_when_they_do(void)
{
    begin();
    hold_up();
    (void)pair_run(NULL, 20 * HAUL_MILLISECOND);
    CU_ASSERT_EQUAL(over, 0);
    gate_open();
    CU_ASSERT_TRUE(pair_run(all_over, SOON));
    CU_ASSERT_EQUAL(wrong, 0);
    pair_finish();
}

/* The goodbye is behind what threads have: the connection lingers, then it goes without. */
static void a_connection_may_end_while_threads_have_something_of_it(void)
{
    begin();
    hold_up();
    haul_host_disconnect(a.host, a.connection);
    CU_ASSERT_TRUE(pair_run(nobody_is_connected, SOON));
    gate_open();
    CU_ASSERT_TRUE(pair_run(gates_passed, SOON));
    CU_ASSERT_TRUE(pair_connect()); /* and the host is as it was */
    pair_finish();
}

static void a_goodbye_goes_out_behind_what_threads_had(void)
{
    begin();
    hold_up();
    haul_host_disconnect(a.host, a.connection);
    gate_open();
    CU_ASSERT_TRUE(pair_run(nobody_is_connected, SOON));
    CU_ASSERT_TRUE(pair_run(gates_passed, SOON));
    pair_finish();
}

static void a_host_may_close_while_threads_have_something_of_it(void)
{
    begin();
    hold_up();
    haul_host_close(a.host);
    a.host = NULL;
    (void)pair_run(NULL, 20 * HAUL_MILLISECOND);
    gate_open();
    pair_finish();
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(bulk_arrives_both_ways_through_threads),
        T(where_no_thread_has_room_it_is_done_at_once),
        T(what_threads_have_goes_on_when_they_do),
        T(a_connection_may_end_while_threads_have_something_of_it),
        T(a_goodbye_goes_out_behind_what_threads_had),
        T(a_host_may_close_while_threads_have_something_of_it),
    };
#undef T

    return unit_main("host_apart", tests, HAUL_COUNT_OF(tests));
}
