/* /perf/1.0.0 between two hosts in one loop, and its limits. */
#include "controlplane/behaviours/perf.h"
#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"
#include "tests/unit/unit.h"

#include <string.h>

struct node {
    struct haul_host *host;
    struct haul_key key;
    struct haul_multiaddr address;
    struct haul_protocol spoken[2];
};

static struct haul_loop *loop;
static struct node a, b;
static struct haul_perf *answers;
static uint64_t connection;
static bool allow;

static struct haul_perf_result last;
static uint32_t results, complete;
static uint64_t up, down;

static bool allowed(void *context, const struct haul_peer_id *peer)
{
    (void)context;
    CU_ASSERT_TRUE(haul_peer_id_equal(peer, &a.key.id));
    return allow;
}

static void on_dialled(void *context, uint64_t made, const struct haul_error *error)
{
    (void)context;
    CU_ASSERT_PTR_NULL(error);
    connection = made;
    haul_loop_stop(loop);
}

static void on_result(void *context, const struct haul_perf_result *result)
{
    uint32_t *wanted = context;

    last = *result;
    results++;
    complete += result->complete;
    up += result->up;
    down += result->down;
    if (results == *wanted)
        haul_loop_stop(loop);
}

static void on_patience_over(void *context)
{
    (void)context;
    CU_FAIL("took too long");
    haul_loop_stop(loop);
}

static void run(void)
{
    struct haul_timer *timer = haul_loop_timer(loop, on_patience_over, NULL);

    haul_loop_timer_set(timer, haul_loop_now(loop) + 60 * HAUL_SECOND);
    haul_loop_run(loop, NULL, NULL);
    haul_loop_timer_free(timer);
}

static void node_open(struct node *node, uint8_t seed, const struct haul_behaviour *behaviour,
                      void *service)
{
    struct haul_host_conf conf = {
        .loop = loop,
        .key = &node->key,
        .agent = "test/1",
        .protocols = node->spoken,
        .connections_max = 4,
        .half_open_max = 4,
        .hasty = true,
        .streams_per_connection_max = 256,
    };
    struct haul_addr address = { .family = 4, .ip = { 127, 0, 0, 1 } };
    struct haul_error error;
    uint8_t secret[32];

    memset(secret, seed, sizeof secret);
    haul_key_from_seed(&node->key, secret);
    node->spoken[0].behaviour = behaviour;
    node->spoken[0].service = service;
    CU_ASSERT_EQUAL_FATAL(haul_host_open(&node->host, &conf, &error), 0);
    CU_ASSERT_EQUAL_FATAL(haul_host_listen(node->host, &address, NULL, &error), 0);
    CU_ASSERT_EQUAL(haul_host_addresses(node->host, &node->address, 1), 1);
}

static void start(uint64_t bytes_max, haul_time time_max)
{
    const struct haul_perf_conf conf = { .bytes_max = bytes_max,
                                         .time_max = time_max,
                                         .allowed = allowed };
    static const struct haul_behaviour nothing = { .protocol = "/test/nothing/1" };
    struct haul_error error;

    allow = true;
    results = complete = 0;
    up = down = 0;
    memset(&last, 0, sizeof last);
    CU_ASSERT_EQUAL_FATAL(haul_loop_open(&loop, &error), 0);
    answers = haul_perf_open(&conf);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answers);
    node_open(&a, 1, &nothing, NULL);
    node_open(&b, 2, &haul_perf_behaviour, answers);
    haul_host_dial(a.host, &b.key.id, &b.address, 1, HAUL_TIME_NEVER, on_dialled, NULL);
    run();
    CU_ASSERT_NOT_EQUAL_FATAL(connection, HAUL_HOST_NO_CONNECTION);
}

static void finish(void)
{
    haul_host_close(a.host);
    haul_host_close(b.host);
    haul_perf_close(answers);
    haul_loop_close(loop);
}

static void ask(uint32_t streams, uint64_t up_each, uint64_t down_each)
{
    for (uint32_t i = 0; i < streams; i++)
        CU_ASSERT_TRUE_FATAL(
            haul_perf_ask(a.host, connection, up_each, down_each, on_result, &streams));
    run();
}

/* --- promises --- */

static void exactly_so_many_bytes_go_up_and_come_down(void)
{
    static const uint64_t sizes[] = { 0, 1, 7, 65507, 1000003 };

    start(0, 0);
    for (size_t i = 0; i < 25; i++) {
        results = 0;
        ask(1, sizes[i / 5], sizes[i % 5]);
        CU_ASSERT_TRUE(last.complete);
        CU_ASSERT_EQUAL(last.up, sizes[i / 5]);
        CU_ASSERT_EQUAL(last.down, sizes[i % 5]);
        CU_ASSERT(last.opened <= last.turned && last.turned <= last.ended);
    }
    CU_ASSERT_EQUAL(haul_perf_counters(answers)->streams, 25);
    finish();
}

static void a_hundred_streams_at_once_all_complete(void)
{
    start(0, 0);
    ask(100, 300000, 300000);
    CU_ASSERT_EQUAL(complete, 100);
    CU_ASSERT_EQUAL(up, 100 * 300000);
    CU_ASSERT_EQUAL(down, 100 * 300000);
    CU_ASSERT_EQUAL(haul_perf_counters(answers)->cut, 0);
    finish();
}

static void a_request_of_all_bytes_there_are_ends_at_the_limit(void)
{
    start(10u << 20, 0);
    ask(1, 0, UINT64_MAX);
    CU_ASSERT_FALSE(last.complete);
    CU_ASSERT(last.down <= (10u << 20) + 1);
    CU_ASSERT_EQUAL(haul_perf_counters(answers)->cut, 1);
    CU_ASSERT(haul_perf_counters(answers)->tx_bytes <= (10u << 20) + 1);
    finish();
}

static void an_upload_without_end_ends_at_the_limit(void)
{
    start(10u << 20, 0);
    ask(1, UINT64_MAX, 0);
    CU_ASSERT_FALSE(last.complete);
    CU_ASSERT_EQUAL(haul_perf_counters(answers)->cut, 1);
    finish();
}

static void a_test_without_end_ends_when_its_time_is_over(void)
{
    start(0, 100 * HAUL_MILLISECOND);
    ask(1, 0, UINT64_MAX);
    CU_ASSERT_FALSE(last.complete);
    CU_ASSERT_EQUAL(haul_perf_counters(answers)->cut, 1);
    finish();
}

static void a_peer_that_may_not_is_reset_before_a_byte_moves(void)
{
    start(0, 0);
    allow = false;
    ask(1, 1, 1000);
    CU_ASSERT_FALSE(last.complete);
    CU_ASSERT_EQUAL(last.down, 0);
    CU_ASSERT_EQUAL(haul_perf_counters(answers)->refused, 1);
    finish();
}

static void a_peer_that_does_not_speak_it_is_told_apart(void)
{
    uint32_t one = 1;
    uint64_t back = 0;

    start(0, 0);
    ask(1, 0, 0); /* so that the other side is up as well */
    results = 0;
    back = haul_host_find(b.host, &a.key.id);
    CU_ASSERT_TRUE_FATAL(haul_perf_ask(b.host, back, 10, 10, on_result, &one));
    run();
    CU_ASSERT_TRUE(last.refused);
    finish();
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(exactly_so_many_bytes_go_up_and_come_down),
        T(a_hundred_streams_at_once_all_complete),
        T(a_request_of_all_bytes_there_are_ends_at_the_limit),
        T(an_upload_without_end_ends_at_the_limit),
        T(a_test_without_end_ends_when_its_time_is_over),
        T(a_peer_that_may_not_is_reset_before_a_byte_moves),
        T(a_peer_that_does_not_speak_it_is_told_apart),
    };
#undef T

    return unit_main("perf", tests, HAUL_COUNT_OF(tests));
}
