/* The contract of dataplane/net, kept by every backend: each test runs on io_uring and on
 * recvmmsg/sendmmsg, over loopback. And what happens where io_uring is refused. */
#include "dataplane/net/net.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRAINS 16u

struct end {
    struct haul_net *net;
    uint8_t *memory;
    struct haul_addr addr; /* how the other end reaches it */
};

static enum haul_net_kind kind; /* of the tests that run now */

static haul_time clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (haul_time)now.tv_sec * HAUL_SECOND + (haul_time)now.tv_nsec;
}

static struct haul_addr loopback(int family)
{
    struct haul_addr addr = { .family = (uint8_t)family };

    if (family == 4)
        addr.ip[0] = 127;
    addr.ip[family == 4 ? 3 : 15] = 1;
    return addr;
}

static bool end_open_as(struct end *end, enum haul_net_kind as, struct haul_addr bind_to,
                        uint32_t buffer, uint32_t trains)
{
    struct haul_net_conf conf = {
        .kind = as,
        .bind = bind_to,
        .receive_trains = trains,
        .send_trains = trains,
        .receive_buffer_bytes = buffer,
    };
    struct haul_error error = { 0 };

    conf.memory = aligned_alloc(4096, (haul_net_bytes(&conf) + 4095) / 4096 * 4096);
    end->memory = conf.memory;
    end->net = NULL;
    if (haul_net_open(&end->net, &conf, &error) < 0) {
        fprintf(stderr, "open: %s\n", error.text);
        return false;
    }
    end->addr = haul_net_facts(end->net)->local;
    return true;
}

static void end_open(struct end *end, int family)
{
    CU_ASSERT_TRUE_FATAL(end_open_as(end, kind, loopback(family), 4u << 20, TRAINS));
}

static void end_close(struct end *end)
{
    haul_net_close(end->net);
    free(end->memory);
}

/* Fills one reserved train with datagrams that carry their number in every 4 bytes. */
static void train_fill(struct haul_train *train, const struct haul_addr *peer, uint32_t number,
                       uint32_t segment, uint32_t bytes)
{
    train->peer = *peer;
    train->segment = (uint16_t)segment;
    train->bytes = bytes;
    for (uint32_t at = 0; at < bytes; at += 4) {
        uint32_t value = number + at / segment;

        memcpy(train->data + at, &value, bytes - at < 4 ? bytes - at : 4);
    }
}

static bool send_one(struct end *from, const struct haul_addr *to, uint32_t number,
                     uint32_t segment, uint32_t bytes)
{
    struct haul_train train;

    if (haul_net_reserve(from->net, &train, 1) != 1)
        return false;
    train_fill(&train, to, number, segment, bytes);
    haul_net_send(from->net, &train, 1);
    return true;
}

struct arrived {
    uint32_t datagrams;
    uint32_t trains;
    uint64_t bytes;
    uint32_t next; /* the number expected */
    uint32_t wrong;
    uint32_t largest_train;
    uint8_t ecn;
    struct haul_addr peer;
};

static void train_check(const struct haul_train *train, struct arrived *arrived)
{
    for (uint32_t at = 0; at < train->bytes; at += train->segment) {
        uint32_t left = train->bytes - at;
        uint32_t bytes = left < train->segment ? left : train->segment;

        for (uint32_t i = 0; i + 4 <= bytes; i += 4)
            arrived->wrong += memcmp(train->data + at + i, &arrived->next, 4) != 0;
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

/* Receives until `datagrams` are there or half a second brings nothing. */
static void receive_some(struct end *end, struct arrived *arrived, uint32_t datagrams)
{
    haul_time last = clock_now();

    while (arrived->datagrams < datagrams && clock_now() - last < HAUL_SECOND / 2) {
        struct haul_train trains[4];
        size_t count = haul_net_receive(end->net, trains, HAUL_COUNT_OF(trains));

        for (size_t i = 0; i < count; i++)
            train_check(&trains[i], arrived);
        haul_net_release(end->net, trains, count);
        if (count > 0)
            last = clock_now();
        else
            haul_net_wait(end->net, NULL, 0, HAUL_SECOND / 10);
    }
}

static void trains_arrive_whole_and_in_order(void)
{
    struct end from, to;
    struct arrived arrived = { 0 };
    uint32_t sent = 0;

    end_open(&from, 4);
    end_open(&to, 4);
    for (uint32_t round = 0; round < 40; round++) {
        struct haul_train trains[4];
        size_t count = haul_net_reserve(from.net, trains, 4);

        CU_ASSERT_EQUAL(count, 4);
        for (size_t i = 0; i < count; i++, sent += 20)
            train_fill(&trains[i], &to.addr, sent, 1448, 20 * 1448);
        haul_net_send(from.net, trains, count);
        receive_some(&to, &arrived, sent);
    }
    CU_ASSERT_EQUAL(arrived.datagrams, sent);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_TRUE(arrived.peer.family == 4 && arrived.peer.port == from.addr.port);
    CU_ASSERT_TRUE(arrived.trains < sent / 4); /* coalescing was seen */
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_datagrams, sent);
    CU_ASSERT_EQUAL(haul_net_counters(to.net)->rx_datagrams, sent);
    CU_ASSERT_EQUAL(haul_net_counters(to.net)->rx_bytes, (uint64_t)sent * 1448);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 0);
    end_close(&from);
    end_close(&to);
}

static void the_largest_train_stays_in_one_piece(void)
{
    static const uint32_t segments[] = { 1448, 1384, 1192, 8232, 64 };
    struct end from, to;

    end_open(&from, 4);
    end_open(&to, 4);
    for (size_t i = 0; i < HAUL_COUNT_OF(segments); i++) {
        const struct haul_net_facts *facts = haul_net_facts(from.net);
        struct arrived arrived = { 0 };
        uint32_t count = facts->train_bytes_max / segments[i];

        count = count < facts->segments_max ? count : facts->segments_max;
        CU_ASSERT_TRUE(send_one(&from, &to.addr, 0, segments[i], count * segments[i]));
        receive_some(&to, &arrived, count);
        CU_ASSERT_EQUAL(arrived.datagrams, count);
        CU_ASSERT_EQUAL(arrived.wrong, 0);
        CU_ASSERT_EQUAL(arrived.largest_train, count * segments[i]);
    }
    CU_ASSERT_TRUE(haul_net_facts(from.net)->train_bytes_max >= 44 * 1448);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 0);
    end_close(&from);
    end_close(&to);
}

static void a_short_last_datagram_ends_its_train(void)
{
    static const uint32_t tails[] = { 1, 2, 63, 64, 1447 };
    struct end from, to;
    struct arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    for (uint32_t i = 0; i < HAUL_COUNT_OF(tails); i++) {
        CU_ASSERT_TRUE(send_one(&from, &to.addr, 4 * i, 1448, 3 * 1448 + tails[i]));
        receive_some(&to, &arrived, 4 * (i + 1));
    }
    CU_ASSERT_EQUAL(arrived.datagrams, 4 * HAUL_COUNT_OF(tails));
    CU_ASSERT_EQUAL(arrived.bytes, 15 * 1448 + 1 + 2 + 63 + 64 + 1447);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    end_close(&from);
    end_close(&to);
}

static void reserve_is_the_point_of_back_pressure(void)
{
    struct end from, to;
    struct haul_train trains[2 * TRAINS];
    struct arrived arrived = { 0 };
    size_t count;

    end_open(&from, 4);
    end_open(&to, 4);
    count = haul_net_reserve(from.net, trains, HAUL_COUNT_OF(trains));
    CU_ASSERT_EQUAL(count, TRAINS);
    CU_ASSERT_EQUAL(haul_net_reserve(from.net, trains + TRAINS, 1), 0);
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(trains[i].capacity, haul_net_facts(from.net)->train_bytes_max);
    train_fill(&trains[3], &to.addr, 0, 100, 250);
    haul_net_send(from.net, trains, count); /* the other fifteen come back unused */
    receive_some(&to, &arrived, 3);
    CU_ASSERT_EQUAL(arrived.datagrams, 3);
    CU_ASSERT_EQUAL(haul_net_reserve(from.net, trains, HAUL_COUNT_OF(trains)), TRAINS);
    for (size_t i = 0; i < TRAINS; i++)
        trains[i].bytes = 0;
    haul_net_send(from.net, trains, TRAINS);
    end_close(&from);
    end_close(&to);
}

static void both_families_reach_one_socket(void)
{
    struct end both, v4, v6;
    struct arrived arrived = { 0 };
    struct haul_addr any = { .family = 6 }, target;

    CU_ASSERT_TRUE_FATAL(end_open_as(&both, kind, any, 1u << 20, TRAINS));
    end_open(&v4, 4);
    end_open(&v6, 6);
    target = loopback(4);
    target.port = both.addr.port;
    CU_ASSERT_TRUE(send_one(&v4, &target, 0, 1448, 4 * 1448));
    receive_some(&both, &arrived, 4);
    CU_ASSERT_TRUE(arrived.peer.family == 4 && arrived.peer.port == v4.addr.port);
    CU_ASSERT_TRUE(arrived.peer.ip[0] == 127 && arrived.peer.ip[3] == 1);
    target = loopback(6);
    target.port = both.addr.port;
    CU_ASSERT_TRUE(send_one(&v6, &target, 4, 1448, 4 * 1448));
    receive_some(&both, &arrived, 8);
    CU_ASSERT_TRUE(arrived.peer.family == 6 && arrived.peer.port == v6.addr.port);
    CU_ASSERT_EQUAL(arrived.datagrams, 8);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    arrived = (struct arrived){ 0 };
    CU_ASSERT_TRUE(send_one(&both, &v4.addr, 0, 1448, 2 * 1448));
    receive_some(&v4, &arrived, 2);
    CU_ASSERT_EQUAL(arrived.datagrams, 2);
    arrived = (struct arrived){ 0 };
    CU_ASSERT_TRUE(send_one(&both, &v6.addr, 0, 1448, 2 * 1448));
    receive_some(&v6, &arrived, 2);
    CU_ASSERT_EQUAL(arrived.datagrams, 2);
    end_close(&both);
    end_close(&v4);
    end_close(&v6);
}

static void the_ecn_bits_arrive(void)
{
    static const int families[] = { 4, 6 };

    for (size_t i = 0; i < HAUL_COUNT_OF(families); i++) {
        struct end from, to;

        end_open(&from, families[i]);
        end_open(&to, families[i]);
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            struct haul_train train;
            struct arrived arrived = { 0 };

            CU_ASSERT_EQUAL(haul_net_reserve(from.net, &train, 1), 1);
            train_fill(&train, &to.addr, 0, 1448, 5 * 1448);
            train.ecn = ecn;
            haul_net_send(from.net, &train, 1);
            receive_some(&to, &arrived, 5);
            CU_ASSERT_EQUAL(arrived.datagrams, 5);
            CU_ASSERT_EQUAL(arrived.ecn, ecn);
        }
        end_close(&from);
        end_close(&to);
    }
}

static void nine_kilobyte_datagrams_pass_loopback(void)
{
    struct end from, to;
    struct arrived arrived = { 0 };

    end_open(&from, 6);
    end_open(&to, 6);
    CU_ASSERT_TRUE(send_one(&from, &to.addr, 0, 9000, 9000));
    CU_ASSERT_TRUE(send_one(&from, &to.addr, 1, 9000, 6 * 9000));
    receive_some(&to, &arrived, 7);
    CU_ASSERT_EQUAL(arrived.datagrams, 7);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    end_close(&from);
    end_close(&to);
}

/* Broadcast is refused to a socket that did not ask for it: an error the kernel reports at once. */
static void a_send_error_is_a_counter(void)
{
    struct end from, to;
    struct haul_addr broadcast = { .family = 4, .ip = { 255, 255, 255, 255 }, .port = 9 };
    struct haul_addr closed;
    struct arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    CU_ASSERT_TRUE(send_one(&from, &broadcast, 0, 100, 250));
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 3);
    closed = to.addr;
    end_close(&to);
    end_open(&to, 4);
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_TRUE(send_one(&from, &closed, i, 1448, 1448)); /* nobody listens there */
        CU_ASSERT_TRUE(send_one(&from, &to.addr, i, 1448, 1448));
    }
    receive_some(&to, &arrived, 4);
    CU_ASSERT_EQUAL(arrived.datagrams, 4);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 3);
    end_close(&from);
    end_close(&to);
}

/* One message of more than IPv4 can carry stands for a probe larger than the path. */
static void a_too_large_datagram_is_dropped_alone(void)
{
    struct end from, to;
    struct haul_train trains[3];
    struct arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    CU_ASSERT_EQUAL(haul_net_reserve(from.net, trains, 3), 3);
    train_fill(&trains[0], &to.addr, 0, 1448, 2 * 1448);
    train_fill(&trains[1], &to.addr, 9, 65520, 65520);
    train_fill(&trains[2], &to.addr, 2, 1448, 2 * 1448);
    haul_net_send(from.net, trains, 3);
    receive_some(&to, &arrived, 4);
    CU_ASSERT_EQUAL(arrived.datagrams, 4);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 1);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 0);
    end_close(&from);
    end_close(&to);
}

/* More segments than the kernel takes in one send: it says EINVAL, as a route without segmentation
 * does. The burst must arrive all the same, and the route be remembered. */
static void a_burst_the_kernel_refuses_is_sent_singly_and_remembered(void)
{
    struct end from, to;
    struct arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    CU_ASSERT_TRUE(send_one(&from, &to.addr, 0, 64, 500 * 64 + 32));
    receive_some(&to, &arrived, 501);
    CU_ASSERT_EQUAL(arrived.datagrams, 501);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 1);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 0);
    CU_ASSERT_TRUE(send_one(&from, &to.addr, 501, 1448, 10 * 1448));
    receive_some(&to, &arrived, 511);
    CU_ASSERT_EQUAL(arrived.datagrams, 511);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 2);
    end_close(&from);
    end_close(&to);
}

static void an_overflow_of_the_socket_buffer_is_counted(void)
{
    struct end from, to;
    struct arrived arrived = { 0 };
    uint32_t sent = 0;

    end_open(&from, 4);
    CU_ASSERT_TRUE_FATAL(end_open_as(&to, kind, loopback(4), 65536, 2));
    haul_net_wait(to.net, NULL, 0, 0);
    for (; sent < 3000; sent += 30)
        CU_ASSERT_TRUE(send_one(&from, &to.addr, sent, 1448, 30 * 1448));
    for (uint32_t round = 0; round < 3; round++) { /* drains what is there, then one more train */
        arrived.datagrams = 0;
        receive_some(&to, &arrived, UINT32_MAX);
        CU_ASSERT_TRUE(send_one(&from, &to.addr, 0, 1448, 1448));
    }
    CU_ASSERT_TRUE(haul_net_counters(to.net)->rx_kernel_dropped > 0);
    CU_ASSERT_TRUE(haul_net_counters(to.net)->rx_datagrams < sent);
    end_close(&from);
    end_close(&to);
}

static void lent_buffers_are_the_limit_of_receiving(void)
{
    struct end from, to;
    struct haul_train held[4], more[4];
    size_t count = 0;

    end_open(&from, 4);
    CU_ASSERT_TRUE_FATAL(end_open_as(&to, kind, loopback(4), 4u << 20, 2));
    for (uint32_t i = 0; i < 6; i++)
        CU_ASSERT_TRUE(send_one(&from, &to.addr, i, 1000 + i, 1000 + i));
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
    end_close(&from);
    end_close(&to);
}

static void wait_ends_by_time(void)
{
    struct end end;
    haul_time start;

    end_open(&end, 4);
    haul_net_wait(end.net, NULL, 0, 0);
    start = clock_now();
    haul_net_wait(end.net, NULL, 0, 30 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(clock_now() - start >= 25 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(haul_net_counters(end.net)->waits > 0);
    end_close(&end);
}

static void wait_ends_by_data(void)
{
    struct end from, to;
    haul_time start = clock_now();
    struct arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    haul_net_wait(to.net, NULL, 0, 0);
    CU_ASSERT_TRUE(send_one(&from, &to.addr, 0, 100, 100));
    haul_net_wait(to.net, NULL, 0, 10 * HAUL_SECOND);
    CU_ASSERT_TRUE(clock_now() - start < 5 * HAUL_SECOND);
    receive_some(&to, &arrived, 1);
    CU_ASSERT_EQUAL(arrived.datagrams, 1);
    end_close(&from);
    end_close(&to);
}

static void wait_ends_by_a_descriptor_for_as_long_as_it_is_readable(void)
{
    struct end end;
    int fds[2] = { eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK) };
    haul_time start = clock_now();
    uint64_t one = 1;

    end_open(&end, 4);
    for (uint32_t i = 0; i < 2; i++) {
        haul_net_wait(end.net, fds, 2, 10 * HAUL_MILLISECOND); /* armed, nothing there */
        CU_ASSERT_EQUAL(write(fds[i], &one, sizeof one), sizeof one);
        haul_net_wait(end.net, fds, 2, 10 * HAUL_SECOND);
        haul_net_wait(end.net, fds, 2, 10 * HAUL_SECOND); /* nobody read it: it still wakes */
        CU_ASSERT_EQUAL(read(fds[i], &one, sizeof one), sizeof one);
    }
    CU_ASSERT_TRUE(clock_now() - start < 5 * HAUL_SECOND);
    start = clock_now();
    haul_net_wait(end.net, fds, 2, 30 * HAUL_MILLISECOND);
    haul_net_wait(end.net, fds, 1, 30 * HAUL_MILLISECOND);
    haul_net_wait(end.net, fds, 1, 30 * HAUL_MILLISECOND);
    CU_ASSERT_TRUE(clock_now() - start >= 20 * HAUL_MILLISECOND);
    end_close(&end);
    close(fds[0]);
    close(fds[1]);
}

/* Packets for a neighbour that does not answer wait in the kernel and fill the socket's send
 * buffer; they leave when the neighbour becomes known. Needs a network namespace of its own;
 * returns 77 where there is none to be had. */
static int full_socket(void)
{
    static const char *const set_up =
        "ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
        "ip link set v0 up && ip link set v1 up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1";
    static const char *const resolve =
        "(sleep 0.1; ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:01 dev v0 nud permanent) &";
    struct haul_addr any = { .family = 4 };
    struct haul_addr to = { .family = 4, .ip = { 10, 9, 0, 2 }, .port = 9 };
    struct haul_train train;
    struct end from;
    uint32_t sent = 0;
    haul_time start;

    if (unshare(CLONE_NEWNET) != 0 || system(set_up) != 0)
        return 77;
    if (!end_open_as(&from, kind, any, 65536, 1))
        return 1;
    for (; haul_net_reserve(from.net, &train, 1) == 1 && sent < 64; sent++) {
        train_fill(&train, &to, 0, 1448, 40 * 1448);
        haul_net_send(from.net, &train, 1);
    }
    if (sent == 64 || haul_net_counters(from.net)->tx_trains != sent - 1)
        return 2; /* the last one waits, and nothing more is lent */
    start = clock_now();
    haul_net_wait(from.net, NULL, 0, 20 * HAUL_MILLISECOND);
    if (clock_now() - start < 15 * HAUL_MILLISECOND || haul_net_reserve(from.net, &train, 1) != 0)
        return 3;
    if (system(resolve) != 0)
        return 77;
    haul_net_wait(from.net, NULL, 0, 10 * HAUL_SECOND);
    if (clock_now() - start > 5 * HAUL_SECOND || haul_net_reserve(from.net, &train, 1) != 1)
        return 4;
    return haul_net_counters(from.net)->tx_trains == sent &&
                   haul_net_counters(from.net)->tx_errors == 0
               ? 0
               : 5;
}

static void a_full_socket_holds_trains_back_and_loses_none(void)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0)
        _exit(full_socket());
    waitpid(child, &status, 0);
    CU_ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 77)
        fprintf(stderr, "a full socket: step %d failed\n", WEXITSTATUS(status));
    CU_ASSERT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

static void facts_say_what_is_in_use(void)
{
    struct end end;
    const struct haul_net_facts *facts;

    end_open(&end, 4);
    facts = haul_net_facts(end.net);
    CU_ASSERT_STRING_EQUAL(facts->backend, kind == HAUL_NET_URING ? "uring" : "mmsg");
    CU_ASSERT_EQUAL(facts->multishot, kind == HAUL_NET_URING);
    CU_ASSERT_TRUE(facts->gso && facts->gro);
    CU_ASSERT_EQUAL(facts->segments_max, 64);
    CU_ASSERT_TRUE(facts->train_bytes_max > 60000 && facts->train_bytes_max <= 65440);
    CU_ASSERT_TRUE(facts->receive_buffer_bytes >= 1u << 16);
    CU_ASSERT_TRUE(facts->local.family == 4 && facts->local.port != 0);
    CU_ASSERT_EQUAL(facts->refused[0], 0);
    end_close(&end);
}

static void a_port_in_use_is_an_error_with_its_number(void)
{
    struct end end;
    struct haul_net_conf conf = { .kind = kind, .receive_trains = 1, .send_trains = 1 };
    struct haul_net *second = NULL;
    struct haul_error error = { 0 };
    char port[16];

    end_open(&end, 4);
    conf.bind = end.addr;
    conf.memory = aligned_alloc(4096, (haul_net_bytes(&conf) + 4095) / 4096 * 4096);
    CU_ASSERT_EQUAL(haul_net_open(&second, &conf, &error), -1);
    snprintf(port, sizeof port, "port %u", end.addr.port);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, port));
    CU_ASSERT_PTR_NULL(second);
    haul_net_close(NULL);
    free(conf.memory);
    end_close(&end);
}

/* In a child process, where io_uring_setup fails with `code`. Returns the exit status: 0 good. */
static int without_io_uring(int code)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)code & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = HAUL_COUNT_OF(rules), .filter = rules };
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct end from, to;
        struct arrived arrived = { 0 };
        bool good;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(2);
        good = end_open_as(&from, HAUL_NET_AUTO, loopback(4), 1u << 20, TRAINS) &&
               end_open_as(&to, HAUL_NET_AUTO, loopback(4), 1u << 20, TRAINS) &&
               strcmp(haul_net_facts(to.net)->backend, "mmsg") == 0 &&
               strstr(haul_net_facts(to.net)->refused, strerror(code)) != NULL &&
               send_one(&from, &to.addr, 0, 1448, 40 * 1448);
        if (good)
            receive_some(&to, &arrived, 40);
        good = good && arrived.datagrams == 40 && arrived.wrong == 0;
        good = good && !end_open_as(&to, HAUL_NET_URING, loopback(4), 1u << 20, TRAINS);
        _exit(good ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_refused_io_uring_falls_back(void)
{
    CU_ASSERT_EQUAL(without_io_uring(EPERM), 0);
    CU_ASSERT_EQUAL(without_io_uring(ENOSYS), 0);
    CU_ASSERT_EQUAL(without_io_uring(EINVAL), 0);
}

static const struct unit_test contract[] = {
    { "trains arrive whole and in order", trains_arrive_whole_and_in_order },
    { "the largest train stays in one piece", the_largest_train_stays_in_one_piece },
    { "a short last datagram ends its train", a_short_last_datagram_ends_its_train },
    { "reserve is the point of back-pressure", reserve_is_the_point_of_back_pressure },
    { "both families reach one socket", both_families_reach_one_socket },
    { "the ECN bits arrive", the_ecn_bits_arrive },
    { "nine-kilobyte datagrams pass loopback", nine_kilobyte_datagrams_pass_loopback },
    { "a send error is a counter", a_send_error_is_a_counter },
    { "a too large datagram is dropped alone", a_too_large_datagram_is_dropped_alone },
    { "a burst the kernel refuses is sent singly and remembered",
      a_burst_the_kernel_refuses_is_sent_singly_and_remembered },
    { "an overflow of the socket buffer is counted", an_overflow_of_the_socket_buffer_is_counted },
    { "lent buffers are the limit of receiving", lent_buffers_are_the_limit_of_receiving },
    { "a full socket holds trains back and loses none",
      a_full_socket_holds_trains_back_and_loses_none },
    { "wait ends by time", wait_ends_by_time },
    { "wait ends by data", wait_ends_by_data },
    { "wait ends by a descriptor for as long as it is readable",
      wait_ends_by_a_descriptor_for_as_long_as_it_is_readable },
    { "facts say what is in use", facts_say_what_is_in_use },
    { "a port in use is an error with its number", a_port_in_use_is_an_error_with_its_number },
};

/* The same table on each backend. */
static void run_contract(enum haul_net_kind on)
{
    kind = on;
    for (size_t i = 0; i < HAUL_COUNT_OF(contract); i++) {
        unsigned before = CU_get_number_of_failures();

        contract[i].run();
        if (CU_get_number_of_failures() != before)
            fprintf(stderr, "\nbroken on %s: %s\n", on == HAUL_NET_URING ? "uring" : "mmsg",
                    contract[i].name);
    }
}

static void io_uring_keeps_the_contract(void)
{
    run_contract(HAUL_NET_URING);
}

static void recvmmsg_and_sendmmsg_keep_the_contract(void)
{
    run_contract(HAUL_NET_MMSG);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "io_uring keeps the contract", io_uring_keeps_the_contract },
        { "recvmmsg and sendmmsg keep the contract", recvmmsg_and_sendmmsg_keep_the_contract },
        { "a refused io_uring falls back", a_refused_io_uring_falls_back },
    };

    return unit_main("net", tests, HAUL_COUNT_OF(tests));
}
