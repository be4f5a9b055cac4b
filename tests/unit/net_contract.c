/* The contract, test by test. */
#include "tests/unit/net_contract.h"

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct net_rig *rig; /* of the tests that run now */
static bool in_child;

haul_time net_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (haul_time)now.tv_sec * HAUL_SECOND + (haul_time)now.tv_nsec;
}

void net_end_close(struct net_end *end)
{
    haul_net_close(end->net);
    free(end->memory);
}

void net_train_fill(struct haul_train *train, const struct haul_addr *peer, uint32_t number,
                    uint32_t segment, uint32_t bytes)
{
    train->peer = *peer;
    train->segment = (uint16_t)segment;
    train->bytes = bytes;
    for (uint32_t at = 0; at < bytes; at += segment, number++) {
        uint32_t left = bytes - at < segment ? bytes - at : segment;
        uint8_t *to = haul_train_at(train, at);

        for (uint32_t i = 0; i < left; i += 4)
            memcpy(to + i, &number, left - i < 4 ? left - i : 4);
    }
}

bool net_send_one(struct net_end *from, const struct haul_addr *to, uint32_t number,
                  uint32_t segment, uint32_t bytes)
{
    struct haul_train train;

    if (haul_net_reserve(from->net, &train, 1) != 1)
        return false;
    net_train_fill(&train, to, number, segment, bytes);
    haul_net_send(from->net, &train, 1);
    return true;
}

static void train_check(const struct haul_train *train, struct net_arrived *arrived)
{
    for (uint32_t at = 0; at < train->bytes; at += train->segment) {
        uint32_t left = train->bytes - at;
        uint32_t bytes = left < train->segment ? left : train->segment;

        for (uint32_t i = 0; i + 4 <= bytes; i += 4)
            arrived->wrong += memcmp(haul_train_at(train, at) + i, &arrived->next, 4) != 0;
        arrived->next++;
        arrived->datagrams++;
    }
    arrived->trains++;
    arrived->bytes += train->bytes;
    arrived->ecn = train->ecn;
    arrived->peer = train->peer;
    if (train->bytes > arrived->largest_train)
        arrived->largest_train = train->bytes;
}

void net_receive_some(struct net_end *end, struct net_arrived *arrived, uint32_t datagrams)
{
    haul_time last = net_clock();

    while (arrived->datagrams < datagrams && net_clock() - last < HAUL_SECOND / 2) {
        struct haul_train trains[4];
        size_t count = haul_net_receive(end->net, trains, HAUL_COUNT_OF(trains));

        for (size_t i = 0; i < count; i++)
            train_check(&trains[i], arrived);
        haul_net_release(end->net, trains, count);
        if (count > 0)
            last = net_clock();
        else
            haul_net_wait(end->net, NULL, 0, HAUL_SECOND / 10);
    }
}

static void end_open_with(struct net_end *end, int family, uint32_t trains)
{
    bool opened = rig->open(end, family, 4u << 20, trains);

    if (!opened && in_child) {
        fprintf(stderr, "the %s net does not open\n", rig->name);
        _exit(1);
    }
    CU_ASSERT_TRUE_FATAL(opened);
}

static void end_open(struct net_end *end, int family)
{
    end_open_with(end, family, NET_TRAINS);
}

static void trains_arrive_whole_and_in_order(void)
{
    struct net_end from, to;
    struct net_arrived arrived = { 0 };
    struct haul_net_counters sent_before, got_before;
    uint32_t sent = 0;

    end_open(&from, 4);
    end_open(&to, 4);
    sent_before = *haul_net_counters(from.net);
    got_before = *haul_net_counters(to.net);
    for (uint32_t round = 0; round < 40; round++) {
        struct haul_train trains[4];
        size_t count = haul_net_reserve(from.net, trains, 4);

        CU_ASSERT_EQUAL(count, 4);
        for (size_t i = 0; i < count; i++, sent += 20)
            net_train_fill(&trains[i], &to.addr, sent, 1448, 20 * 1448);
        haul_net_send(from.net, trains, count);
        net_receive_some(&to, &arrived, sent);
    }
    CU_ASSERT_EQUAL(arrived.datagrams, sent);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_TRUE(arrived.peer.family == 4 && arrived.peer.port == from.addr.port);
    CU_ASSERT_TRUE(arrived.trains < sent / 4); /* coalescing was seen */
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_datagrams - sent_before.tx_datagrams, sent);
    CU_ASSERT_EQUAL(haul_net_counters(to.net)->rx_datagrams - got_before.rx_datagrams, sent);
    CU_ASSERT_EQUAL(haul_net_counters(to.net)->rx_bytes - got_before.rx_bytes,
                    (uint64_t)sent * 1448);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 0);
    rig->close(&from);
    rig->close(&to);
}

static void the_largest_train_stays_in_one_piece(void)
{
    static const uint32_t segments[] = { 1448, 1384, 1192, 8232, 64 };
    struct net_end from, to;

    end_open(&from, 4);
    end_open(&to, 4);
    for (size_t i = 0; i < HAUL_COUNT_OF(segments); i++) {
        const struct haul_net_facts *facts = haul_net_facts(from.net);
        struct net_arrived arrived = { 0 };
        uint32_t count = facts->train_bytes_max / segments[i];

        if (rig->largest > 0 && segments[i] > rig->largest)
            continue;
        count = count < facts->segments_max ? count : facts->segments_max;
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 0, segments[i], count * segments[i]));
        net_receive_some(&to, &arrived, count);
        CU_ASSERT_EQUAL(arrived.datagrams, count);
        CU_ASSERT_EQUAL(arrived.wrong, 0);
        if (facts->gro)
            CU_ASSERT_EQUAL(arrived.largest_train, count * segments[i]);
    }
    CU_ASSERT_TRUE(haul_net_facts(from.net)->train_bytes_max >= 32 * 1448);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 0);
    rig->close(&from);
    rig->close(&to);
}

static void a_short_last_datagram_ends_its_train(void)
{
    static const uint32_t tails[] = { 1, 2, 63, 64, 1447 };
    struct net_end from, to;
    struct net_arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    for (uint32_t i = 0; i < HAUL_COUNT_OF(tails); i++) {
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 4 * i, 1448, 3 * 1448 + tails[i]));
        net_receive_some(&to, &arrived, 4 * (i + 1));
    }
    CU_ASSERT_EQUAL(arrived.datagrams, 4 * HAUL_COUNT_OF(tails));
    CU_ASSERT_EQUAL(arrived.bytes, 15 * 1448 + 1 + 2 + 63 + 64 + 1447);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    rig->close(&from);
    rig->close(&to);
}

static void reserve_is_the_point_of_back_pressure(void)
{
    struct net_end from, to;
    struct haul_train trains[2 * NET_TRAINS];
    struct net_arrived arrived = { 0 };
    size_t count;

    end_open(&from, 4);
    end_open(&to, 4);
    count = haul_net_reserve(from.net, trains, HAUL_COUNT_OF(trains));
    CU_ASSERT_EQUAL(count, NET_TRAINS);
    CU_ASSERT_EQUAL(haul_net_reserve(from.net, trains + NET_TRAINS, 1), 0);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(trains[i].capacity, haul_net_facts(from.net)->train_bytes_max);
    net_train_fill(&trains[3], &to.addr, 0, 100, 250);
    haul_net_send(from.net, trains, count); /* the other fifteen come back unused */
    net_receive_some(&to, &arrived, 3);
    CU_ASSERT_EQUAL(arrived.datagrams, 3);
    CU_ASSERT_EQUAL(haul_net_reserve(from.net, trains, HAUL_COUNT_OF(trains)), NET_TRAINS);
    for (size_t i = 0; i < NET_TRAINS; i++)
        trains[i].bytes = 0;
    haul_net_send(from.net, trains, NET_TRAINS);
    rig->close(&from);
    rig->close(&to);
}

static void the_ecn_bits_arrive(void)
{
    static const int families[] = { 4, 6 };

    for (size_t i = 0; i < HAUL_COUNT_OF(families); i++) {
        struct net_end from, to;

        end_open(&from, families[i]);
        end_open(&to, families[i]);
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            struct haul_train train;
            struct net_arrived arrived = { 0 };

            CU_ASSERT_EQUAL(haul_net_reserve(from.net, &train, 1), 1);
            net_train_fill(&train, &to.addr, 0, 1448, 5 * 1448);
            train.ecn = ecn;
            haul_net_send(from.net, &train, 1);
            net_receive_some(&to, &arrived, 5);
            CU_ASSERT_EQUAL(arrived.datagrams, 5);
            CU_ASSERT_EQUAL(arrived.ecn, ecn);
        }
        rig->close(&from);
        rig->close(&to);
    }
}

static void nine_kilobyte_datagrams_pass_or_the_largest_there_are(void)
{
    struct net_end from, to;
    struct net_arrived arrived = { 0 };
    uint32_t bytes = rig->largest > 0 ? rig->largest : 9000;

    end_open(&from, 6);
    end_open(&to, 6);
    CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 0, bytes, bytes));
    CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 1, bytes, 6 * bytes));
    net_receive_some(&to, &arrived, 7);
    CU_ASSERT_EQUAL(arrived.datagrams, 7);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    rig->close(&from);
    rig->close(&to);
}

/* A datagram of more than a packet can carry stands for a probe larger than the path. */
static void a_too_large_datagram_is_dropped_alone(void)
{
    struct net_end from, to;
    struct haul_train trains[3];
    struct net_arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    CU_ASSERT_EQUAL(haul_net_reserve(from.net, trains, 3), 3);
    net_train_fill(&trains[0], &to.addr, 0, 1448, 2 * 1448);
    net_train_fill(&trains[1], &to.addr, 9, rig->oversize, rig->oversize);
    net_train_fill(&trains[2], &to.addr, 2, 1448, 2 * 1448);
    haul_net_send(from.net, trains, 3);
    net_receive_some(&to, &arrived, 4);
    CU_ASSERT_EQUAL(arrived.datagrams, 4);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 1);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 0);
    rig->close(&from);
    rig->close(&to);
}

static void lent_buffers_are_the_limit_of_receiving(void)
{
    struct net_end from, to;
    struct haul_train held[4], more[4];
    size_t count = 0;

    end_open(&from, 4);
    end_open_with(&to, 4, 2);
    for (uint32_t i = 0; i < 6; i++)
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, i, 1000 + i, 1000 + i));
    for (uint32_t i = 0; i < 10 && count < 2; i++) {
        count += haul_net_receive(to.net, held + count, 4 - count);
        haul_net_wait(to.net, NULL, 0, count < 2 ? HAUL_SECOND / 10 : 0);
    }
    CU_ASSERT_EQUAL(count, 2);
    CU_ASSERT_EQUAL(haul_net_receive(to.net, more, 4), 0);
    CU_ASSERT_TRUE(haul_net_counters(to.net)->rx_no_buffer > 0);
    for (uint32_t i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(held[i].bytes, 1000 + i);
    haul_net_release(to.net, held, 2);
    for (uint32_t i = 2; i < 6; i++) { /* the others waited in the socket */
        for (uint32_t tries = 0; haul_net_receive(to.net, more, 1) == 0 && tries < 10; tries++)
            haul_net_wait(to.net, NULL, 0, HAUL_SECOND / 10);
        CU_ASSERT_EQUAL(more[0].bytes, 1000 + i);
        haul_net_release(to.net, more, 1);
    }
    rig->close(&from);
    rig->close(&to);
}

/* It may end early now and then, for what the backend has to do itself. */
static void wait_ends_by_time(void)
{
    struct net_end end;
    haul_time lasted = 0;

    end_open(&end, 4);
    haul_net_wait(end.net, NULL, 0, 0);
    for (uint32_t tries = 0; tries < 20 && lasted < 25 * HAUL_MILLISECOND; tries++) {
        haul_time start = net_clock();

        haul_net_wait(end.net, NULL, 0, 30 * HAUL_MILLISECOND);
        lasted = net_clock() - start;
    }
    CU_ASSERT_TRUE(lasted >= 25 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(haul_net_counters(end.net)->waits > 0);
    rig->close(&end);
}

static void wait_ends_by_data(void)
{
    struct net_end from, to;
    haul_time start = net_clock();
    struct net_arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    haul_net_wait(to.net, NULL, 0, 0);
    CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 0, 100, 100));
    haul_net_wait(to.net, NULL, 0, 10 * HAUL_SECOND);
    CU_ASSERT_TRUE(net_clock() - start < 5 * HAUL_SECOND);
    net_receive_some(&to, &arrived, 1);
    CU_ASSERT_EQUAL(arrived.datagrams, 1);
    rig->close(&from);
    rig->close(&to);
}

static void wait_ends_by_a_descriptor_for_as_long_as_it_is_readable(void)
{
    struct net_end end;
    int fds[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
    haul_time start = net_clock();
    uint64_t one = 1;

    end_open(&end, 4);
    for (uint32_t i = 0; i < 2; i++) {
        haul_net_wait(end.net, fds, 2, 10 * HAUL_MILLISECOND); /* armed, nothing there */
        CU_ASSERT_EQUAL(write(fds[i], &one, sizeof one), sizeof one);
        haul_net_wait(end.net, fds, 2, 10 * HAUL_SECOND);
        haul_net_wait(end.net, fds, 2, 10 * HAUL_SECOND); /* nobody read it: it still wakes */
        CU_ASSERT_EQUAL(read(fds[i], &one, sizeof one), sizeof one);
    }
    CU_ASSERT_TRUE(net_clock() - start < 5 * HAUL_SECOND);
    start = net_clock();
    haul_net_wait(end.net, fds, 2, 30 * HAUL_MILLISECOND);
    haul_net_wait(end.net, fds, 1, 30 * HAUL_MILLISECOND);
    haul_net_wait(end.net, fds, 1, 30 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(net_clock() - start >= 20 * HAUL_MILLISECOND);
    rig->close(&end);
    close(fds[0]);
    close(fds[1]);
}

static const struct unit_test contract[] = {
    { "trains arrive whole and in order", trains_arrive_whole_and_in_order },
    { "the largest train stays in one piece", the_largest_train_stays_in_one_piece },
    { "a short last datagram ends its train", a_short_last_datagram_ends_its_train },
    { "reserve is the point of back-pressure", reserve_is_the_point_of_back_pressure },
    { "the ECN bits arrive", the_ecn_bits_arrive },
    { "nine-kilobyte datagrams pass, or the largest there are",
      nine_kilobyte_datagrams_pass_or_the_largest_there_are },
    { "a too large datagram is dropped alone", a_too_large_datagram_is_dropped_alone },
    { "lent buffers are the limit of receiving", lent_buffers_are_the_limit_of_receiving },
    { "wait ends by time", wait_ends_by_time },
    { "wait ends by data", wait_ends_by_data },
    { "wait ends by a descriptor for as long as it is readable",
      wait_ends_by_a_descriptor_for_as_long_as_it_is_readable },
};

static unsigned failures_of(const struct unit_test *test)
{
    unsigned before = CU_get_number_of_failures();

    test->run();
    return CU_get_number_of_failures() - before;
}

/* Some tests of the contract, and the name of each that broke; the count of those. */
static unsigned tests_run(size_t first, size_t count)
{
    unsigned broken = 0;

    for (size_t i = first; i < first + count; i++) {
        if (failures_of(&contract[i]) == 0)
            continue;
        fprintf(stderr, "\nbroken on %s: %s\n", rig->name, contract[i].name);
        broken++;
    }
    return broken;
}

#define NOT_HERE 77

static void child_run(size_t first, size_t count)
{
    in_child = true;
    if (rig->prepare != NULL && !rig->prepare())
        _exit(NOT_HERE);
    if (tests_run(first, count) == 0)
        _exit(0);
    for (const CU_FailureRecord *record = CU_get_failure_list(); record != NULL;
         record = record->pNext)
        fprintf(stderr, "%s:%u: %s\n", record->strFileName, record->uiLineNumber,
                record->strCondition);
    _exit(1);
}

/* A failure in the child prints what broke there; here it is one failure. False: it cannot run. */
static bool in_a_child(size_t first, size_t count)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        child_run(first, count);
    CU_ASSERT_TRUE_FATAL(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE) {
        fprintf(stderr, "\n%s cannot run here\n", rig->name);
        CU_ASSERT_PTR_NULL(getenv("HAUL_PORTS_REQUIRED"));
        return false;
    }
    if (status != 0)
        fprintf(stderr, "\nbroken on %s, status %#x\n", rig->name, (unsigned)status);
    CU_ASSERT_EQUAL(status, 0);
    return true;
}

/* The first test from `first` on that needs other ends than that one. */
static size_t with_the_same_ends(size_t first)
{
    size_t next = first + 1;

    while (next < HAUL_COUNT_OF(contract) &&
           (contract[next].run == lent_buffers_are_the_limit_of_receiving) ==
               (contract[first].run == lent_buffers_are_the_limit_of_receiving))
        next++;
    return next;
}

void net_contract_run(const struct net_rig *on)
{
    rig = on;
    switch (rig->where) {
    case NET_HERE:
        tests_run(0, HAUL_COUNT_OF(contract));
        break;
    case NET_CHILD:
        (void)in_a_child(0, HAUL_COUNT_OF(contract));
        break;
    case NET_CHILDREN:
        for (size_t at = 0, next; at < HAUL_COUNT_OF(contract); at = next) {
            next = with_the_same_ends(at);
            if (!in_a_child(at, next - at))
                break;
        }
        break;
    }
}
