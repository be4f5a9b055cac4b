/* Two ports of DPDK with two queue pairs each, in one process, joined by vhost and virtio-user:
 * what comes to a queue whose worker it is not for. One thread plays all four workers but where a
 * worker sleeps. */
#include "dataplane/net/dpdk/handover.h"
#include "tests/unit/net_contract.h"
#include "tests/unit/port_pair.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUES      2u
#define PORT        4501u
#define TRAIN       8u /* datagrams */
#define TRAIN_BYTES (TRAIN * 1408u)

static char directory[] = "/tmp/haul-unit-XXXXXX";
static struct net_end ends[2][QUEUES]; /* of vhost, which does not wake us; of virtio-user */

static bool port_open(unsigned side)
{
    char device[200];
    struct port_opening opening = {
        .device = device,
        .side = side,
        .family = 4,
        .mtu = 1500,
        .trains = NET_TRAINS,
        .queues = QUEUES,
    };

    snprintf(device, sizeof device,
             side == 0 ? "net_vhost0,iface=%s/vhost,client=0,queues=2"
                       : "net_virtio_user0,path=%s/vhost,queues=2,queue_size=1024",
             directory);
    for (opening.queue = 0; opening.queue < QUEUES; opening.queue++) {
        struct net_end *end = &ends[side][opening.queue];

        end->net = port_net_open(&opening);
        if (end->net == NULL)
            return false;
        opening.beside = ends[side][0].net;
        end->addr = haul_net_facts(end->net)->local;
        if (haul_net_facts(end->net)->queues != QUEUES || end->addr.port != PORT + opening.queue)
            return false;
    }
    return true;
}

/* A turn of all four, which takes whatever came. */
static void turn(void)
{
    for (unsigned i = 0; i < 2 * QUEUES; i++) {
        struct haul_net *net = ends[i / QUEUES][i % QUEUES].net;
        struct haul_train train;

        haul_net_wait(net, NULL, 0, HAUL_MILLISECOND / 4);
        while (haul_net_receive(net, &train, 1) == 1)
            haul_net_release(net, &train, 1);
    }
}

/* Until a neighbour has answered and datagrams flow. */
static bool meet(struct net_end *from, struct net_end *to)
{
    haul_time limit = net_clock() + 20 * HAUL_SECOND;
    uint64_t before = haul_net_counters(to->net)->rx_datagrams;
    bool sent = false;

    while (haul_net_counters(to->net)->rx_datagrams == before && net_clock() < limit) {
        sent = sent || net_send_one(from, &to->addr, 0, 64, 64);
        turn();
    }
    return haul_net_counters(to->net)->rx_datagrams > before;
}

/* Every worker of either port sends to every one of the other. */
static bool all_meet(void)
{
    haul_time limit = net_clock() + 20 * HAUL_SECOND;
    bool met = true;

    if (!port_open(0) || !port_open(1))
        return false;
    while (port_counter(&ends[0][0], "link_up") + port_counter(&ends[1][0], "link_up") < 2 &&
           net_clock() < limit)
        turn();
    for (unsigned i = 0; i < QUEUES * QUEUES; i++) {
        met = met && meet(&ends[0][i / QUEUES], &ends[1][i % QUEUES]);
        met = met && meet(&ends[1][i / QUEUES], &ends[0][i % QUEUES]);
    }
    return met;
}

/* Lets one worker look until it has handed over, or lost, so many. */
static bool passes_on(struct net_end *end, uint64_t count)
{
    haul_time limit = net_clock() + 10 * HAUL_SECOND;

    while (port_counter(end, "handed_over") + port_counter(end, "handed_lost") < count &&
           net_clock() < limit) {
        struct haul_train train;

        if (haul_net_receive(end->net, &train, 1) == 1) {
            haul_net_release(end->net, &train, 1);
            return false; /* none of it was its own */
        }
    }
    return port_counter(end, "handed_over") + port_counter(end, "handed_lost") == count;
}

static int right_and_wrong_queue(void)
{
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < QUEUES * QUEUES; i++) {
            struct net_end *from = &ends[1 - side][i / QUEUES], *to = &ends[side][i % QUEUES];
            struct net_end *first = &ends[side][i / QUEUES]; /* the sender's queue is the other's */
            uint64_t before = port_counter(first, "handed_over"),
                     taken = port_counter(to, "handed_in");
            struct net_arrived arrived = { 0 };

            for (uint32_t n = 0; n < 10 * TRAIN; n += TRAIN) {
                if (!net_send_one(from, &to->addr, n, 1408, TRAIN_BYTES))
                    return 2;
            }
            if (first != to && !passes_on(first, before + port_counter(first, "handed_lost") + 80))
                return 3;
            net_receive_some(to, &arrived, 10 * TRAIN);
            if (arrived.datagrams != 10 * TRAIN || arrived.wrong != 0 ||
                arrived.peer.port != from->addr.port)
                return 4;
            if (port_counter(first, "handed_over") - before != (first != to ? 10 * TRAIN : 0) ||
                port_counter(to, "handed_in") - taken != (first != to ? 10 * TRAIN : 0))
                return 5;
        }
    }
    return 0;
}

static int no_room(void)
{
    struct net_end *from = &ends[0][0], *first = &ends[1][0], *to = &ends[1][1];
    struct net_arrived arrived = { 0 };
    uint64_t over, lost, most = haul_handed_max(QUEUES);

    turn();
    over = port_counter(first, "handed_over");
    lost = port_counter(first, "handed_lost");
    for (uint32_t n = 0; n < 150 * TRAIN; n += TRAIN) {
        if (!net_send_one(from, &to->addr, n, 1408, TRAIN_BYTES))
            return 2;
        if (!passes_on(first, over + lost + n + TRAIN))
            return 3;
    }
    over = port_counter(first, "handed_over") - over;
    lost = port_counter(first, "handed_lost") - lost;
    if (over > most || over < most - TRAIN || over + lost != 150 * TRAIN)
        return 4;
    net_receive_some(to, &arrived, (uint32_t)over); /* what there was room for, in order */
    if (arrived.datagrams != over || arrived.wrong != 0)
        return 5;
    arrived = (struct net_arrived){ 0 }; /* and it goes on */
    if (!net_send_one(from, &to->addr, 0, 1408, TRAIN_BYTES) ||
        !passes_on(first,
                   port_counter(first, "handed_over") + port_counter(first, "handed_lost") + TRAIN))
        return 6;
    net_receive_some(to, &arrived, TRAIN);
    return arrived.datagrams == TRAIN ? 0 : 7;
}

static void *sleeps(void *context)
{
    static haul_time woken;

    haul_net_wait(((struct net_end *)context)->net, NULL, 0, 10 * HAUL_SECOND);
    woken = net_clock();
    return &woken;
}

/* virtio-user's worker sleeps on descriptors, and looks for itself once a second. What wakes it
 * here is no interrupt of its queue. The machine may be busy: the best of some attempts counts. */
static int asleep(void)
{
    struct net_end *from = &ends[0][0], *first = &ends[1][0], *to = &ends[1][1];
    haul_time best = HAUL_TIME_NEVER;

    for (unsigned attempt = 0; attempt < 10 && best > HAUL_SECOND / 10; attempt++) {
        uint64_t before = port_counter(first, "handed_over") + port_counter(first, "handed_lost");
        struct net_arrived arrived = { 0 };
        haul_time handed;
        pthread_t thread;
        void *woken;

        if (pthread_create(&thread, NULL, sleeps, to) != 0)
            return 1;
        poll(NULL, 0, 50); /* it falls asleep, or else the attempt says nothing */
        handed = net_clock();
        if (!net_send_one(from, &to->addr, 0, 1408, TRAIN_BYTES) ||
            !passes_on(first, before + TRAIN))
            return 2;
        pthread_join(thread, &woken);
        if (*(haul_time *)woken >= handed)
            best = haul_time_min(best, *(haul_time *)woken - handed);
        net_receive_some(to, &arrived, TRAIN);
        if (arrived.datagrams != TRAIN || arrived.wrong != 0)
            return 3;
    }
    return best <= HAUL_SECOND / 10 ? 0 : 4;
}

/* EAL runs once a process: all promises are about the same two ports. */
static void check(int step)
{
    CU_ASSERT_EQUAL(step, 0);
    if (step != 0)
        fprintf(stderr, "step %d failed\n", step);
}

static void workers_of_two_ports_meet_whatever_the_queue(void)
{
    CU_ASSERT_TRUE_FATAL(all_meet());
}

static void what_comes_to_the_wrong_queue_reaches_its_worker_whole(void)
{
    check(right_and_wrong_queue());
}

static void what_finds_no_room_is_dropped_and_counted(void)
{
    check(no_room());
}

static void a_worker_that_sleeps_is_woken(void)
{
    check(asleep());
}

static void the_first_net_of_a_port_is_closed_last(void)
{
    for (unsigned i = 2 * QUEUES; i-- > 0;) {
        haul_net_close(ends[i / QUEUES][i % QUEUES].net);
        if (i % QUEUES > 0) /* it still looks after link and neighbours */
            haul_net_wait(ends[i / QUEUES][0].net, NULL, 0, HAUL_MILLISECOND);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "the workers of two ports meet, whatever queue their frames come to",
          workers_of_two_ports_meet_whatever_the_queue },
        { "what comes to the wrong queue reaches its worker, whole and in order",
          what_comes_to_the_wrong_queue_reaches_its_worker_whole },
        { "what finds no room is dropped and counted", what_finds_no_room_is_dropped_and_counted },
        { "a worker that sleeps is woken by what is handed to it", a_worker_that_sleeps_is_woken },
        { "the first net of a port is closed last", the_first_net_of_a_port_is_closed_last },
    };
    char command[64];
    int failed;

    if (mkdtemp(directory) == NULL)
        return 1;
    failed = unit_main("net_queues", tests, HAUL_COUNT_OF(tests));
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? failed : 1;
}
