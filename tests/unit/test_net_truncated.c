/* Kernel UDP with receive buffers smaller than a datagram can be, which those of a node are not:
 * what is cut short is counted and dropped, its buffer is used again, and the rest arrives. */
#include "dataplane/net/net_kernel.h"
#include "tests/unit/net_contract.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

_Static_assert(HAUL_NET_RECEIVE_ROOM < 9000, "the build of this test makes it small");

static void end_open(struct net_end *end, enum haul_net_kind kind)
{
    struct haul_net_conf conf = {
        .kind = kind,
        .bind = { .family = 4, .ip = { 127, 0, 0, 1 } },
        .receive_trains = NET_TRAINS,
        .send_trains = NET_TRAINS,
        .receive_buffer_bytes = 1u << 20,
    };
    struct haul_error error = { 0 };

    conf.memory = aligned_alloc(4096, (haul_net_bytes(&conf) + 4095) / 4096 * 4096);
    *end = (struct net_end){ .memory = conf.memory };
    CU_ASSERT_EQUAL_FATAL(haul_net_open(&end->net, &conf, &error), 0);
    end->addr = haul_net_facts(end->net)->local;
}

static void a_longer_datagram_is_dropped_alone(enum haul_net_kind kind)
{
    const struct haul_net_counters *counters;
    struct net_arrived arrived = { 0 };
    struct net_end from, to;
    uint32_t cut = 0;

    end_open(&from, kind);
    end_open(&to, kind);
    counters = haul_net_counters(to.net);
    for (uint32_t i = 0; i < 3 * NET_TRAINS; i++) { /* more often than there are buffers */
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 77, 9000, 9000));
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 2 * i, 1000, 1000));
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 77, HAUL_NET_RECEIVE_ROOM + 1,
                                    HAUL_NET_RECEIVE_ROOM + 1));
        CU_ASSERT_TRUE(
            net_send_one(&from, &to.addr, 2 * i + 1, HAUL_NET_RECEIVE_ROOM, HAUL_NET_RECEIVE_ROOM));
        cut += 2;
        net_receive_some(&to, &arrived, 2 * (i + 1));
    }
    CU_ASSERT_EQUAL(arrived.datagrams, 6 * NET_TRAINS);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(counters->rx_truncated, cut);
    CU_ASSERT_EQUAL(counters->rx_datagrams, 6 * NET_TRAINS);
    CU_ASSERT_EQUAL(counters->rx_bytes, 3 * NET_TRAINS * (uint64_t)(1000 + HAUL_NET_RECEIVE_ROOM));
    net_end_close(&from);
    net_end_close(&to);
}

static void io_uring_drops_a_longer_datagram_alone(void)
{
    a_longer_datagram_is_dropped_alone(HAUL_NET_URING);
}

static void recvmmsg_drops_a_longer_datagram_alone(void)
{
    a_longer_datagram_is_dropped_alone(HAUL_NET_MMSG);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "io_uring drops a longer datagram alone", io_uring_drops_a_longer_datagram_alone },
        { "recvmmsg drops a longer datagram alone", recvmmsg_drops_a_longer_datagram_alone },
    };

    return unit_main("net_truncated", tests, HAUL_COUNT_OF(tests));
}
