/* Kernel UDP keeps the contract of nets: each test runs on io_uring and on recvmmsg/sendmmsg, over
 * loopback. And what the kernel alone can refuse, io_uring among it. */
#include "tests/lib/refuse_call.h"
#include "tests/unit/net_contract.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static enum haul_net_kind kind; /* of the tests that run now */

static struct haul_addr loopback(int family)
{
    struct haul_addr addr = { .family = (uint8_t)family };

    if (family == 4)
        addr.ip[0] = 127;
    addr.ip[family == 4 ? 3 : 15] = 1;
    return addr;
}

static bool end_open_as(struct net_end *end, enum haul_net_kind as, struct haul_addr bind_to,
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

static void end_open(struct net_end *end, int family)
{
    CU_ASSERT_TRUE_FATAL(end_open_as(end, kind, loopback(family), 4u << 20, NET_TRAINS));
}

static void both_families_reach_one_socket(void)
{
    struct net_end both, v4, v6;
    struct net_arrived arrived = { 0 };
    struct haul_addr any = { .family = 6 }, target;

    CU_ASSERT_TRUE_FATAL(end_open_as(&both, kind, any, 1u << 20, NET_TRAINS));
    end_open(&v4, 4);
    end_open(&v6, 6);
    target = loopback(4);
    target.port = both.addr.port;
    CU_ASSERT_TRUE(net_send_one(&v4, &target, 0, 1448, 4 * 1448));
    net_receive_some(&both, &arrived, 4);
    CU_ASSERT_TRUE(arrived.peer.family == 4 && arrived.peer.port == v4.addr.port);
    CU_ASSERT_TRUE(arrived.peer.ip[0] == 127 && arrived.peer.ip[3] == 1);
    target = loopback(6);
    target.port = both.addr.port;
    CU_ASSERT_TRUE(net_send_one(&v6, &target, 4, 1448, 4 * 1448));
    net_receive_some(&both, &arrived, 8);
    CU_ASSERT_TRUE(arrived.peer.family == 6 && arrived.peer.port == v6.addr.port);
    CU_ASSERT_EQUAL(arrived.datagrams, 8);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    arrived = (struct net_arrived){ 0 };
    CU_ASSERT_TRUE(net_send_one(&both, &v4.addr, 0, 1448, 2 * 1448));
    net_receive_some(&v4, &arrived, 2);
    CU_ASSERT_EQUAL(arrived.datagrams, 2);
    arrived = (struct net_arrived){ 0 };
    CU_ASSERT_TRUE(net_send_one(&both, &v6.addr, 0, 1448, 2 * 1448));
    net_receive_some(&v6, &arrived, 2);
    CU_ASSERT_EQUAL(arrived.datagrams, 2);
    net_end_close(&both);
    net_end_close(&v4);
    net_end_close(&v6);
}

/* Broadcast is refused to a socket that did not ask for it: an error the kernel reports at once. */
static void a_send_error_is_a_counter(void)
{
    struct net_end from, to;
    struct haul_addr broadcast = { .family = 4, .ip = { 255, 255, 255, 255 }, .port = 9 };
    struct haul_addr closed;
    struct net_arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    CU_ASSERT_TRUE(net_send_one(&from, &broadcast, 0, 100, 250));
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 3);
    closed = to.addr;
    net_end_close(&to);
    end_open(&to, 4);
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_TRUE(net_send_one(&from, &closed, i, 1448, 1448)); /* nobody listens there */
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, i, 1448, 1448));
    }
    net_receive_some(&to, &arrived, 4);
    CU_ASSERT_EQUAL(arrived.datagrams, 4);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 3);
    net_end_close(&from);
    net_end_close(&to);
}

/* More segments than the kernel takes in one send: it says EINVAL, as a route without segmentation
 * does. The burst must arrive all the same, and the route be remembered. */
static void a_burst_the_kernel_refuses_is_sent_singly_and_remembered(void)
{
    struct net_end from, to;
    struct net_arrived arrived = { 0 };

    end_open(&from, 4);
    end_open(&to, 4);
    CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 0, 64, 500 * 64 + 32));
    net_receive_some(&to, &arrived, 501);
    CU_ASSERT_EQUAL(arrived.datagrams, 501);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 1);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_errors, 0);
    CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 501, 1448, 10 * 1448));
    net_receive_some(&to, &arrived, 511);
    CU_ASSERT_EQUAL(arrived.datagrams, 511);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(haul_net_counters(from.net)->tx_unsegmented, 2);
    net_end_close(&from);
    net_end_close(&to);
}

static void an_overflow_of_the_socket_buffer_is_counted(void)
{
    struct net_end from, to;
    struct net_arrived arrived = { 0 };
    uint32_t sent = 0;

    end_open(&from, 4);
    CU_ASSERT_TRUE_FATAL(end_open_as(&to, kind, loopback(4), 65536, 2));
    haul_net_wait(to.net, NULL, 0, 0);
    for (; sent < 3000; sent += 30)
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, sent, 1448, 30 * 1448));
    for (uint32_t round = 0; round < 3; round++) { /* drains what is there, then one more train */
        arrived.datagrams = 0;
        net_receive_some(&to, &arrived, UINT32_MAX);
        CU_ASSERT_TRUE(net_send_one(&from, &to.addr, 0, 1448, 1448));
    }
    CU_ASSERT_TRUE(haul_net_counters(to.net)->rx_kernel_dropped > 0);
    CU_ASSERT_TRUE(haul_net_counters(to.net)->rx_datagrams < sent);
    net_end_close(&from);
    net_end_close(&to);
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
    struct net_end from;
    uint32_t sent = 0;
    haul_time start;

    if (unshare(CLONE_NEWNET) != 0 || system(set_up) != 0)
        return 77;
    if (!end_open_as(&from, kind, any, 65536, 1))
        return 1;
    for (; haul_net_reserve(from.net, &train, 1) == 1 && sent < 64; sent++) {
        net_train_fill(&train, &to, 0, 1448, 40 * 1448);
        haul_net_send(from.net, &train, 1);
    }
    if (sent == 64 || haul_net_counters(from.net)->tx_trains != sent - 1)
        return 2; /* the last one waits, and nothing more is lent */
    start = net_clock();
    haul_net_wait(from.net, NULL, 0, 20 * HAUL_MILLISECOND);
    if (net_clock() - start < 15 * HAUL_MILLISECOND || haul_net_reserve(from.net, &train, 1) != 0)
        return 3;
    if (system(resolve) != 0)
        return 77;
    haul_net_wait(from.net, NULL, 0, 10 * HAUL_SECOND);
    if (net_clock() - start > 5 * HAUL_SECOND || haul_net_reserve(from.net, &train, 1) != 1)
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
    struct net_end end;
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
    net_end_close(&end);
}

static void a_port_in_use_is_an_error_with_its_number(void)
{
    struct net_end end;
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
    net_end_close(&end);
}

/* In a child process, where io_uring_setup fails with `code`. Returns the exit status: 0 good. */
static int without_io_uring(int code)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct net_end from, to;
        struct net_arrived arrived = { 0 };
        bool good;

        if (refuse_io_uring(code) < 0)
            _exit(2);
        good = end_open_as(&from, HAUL_NET_AUTO, loopback(4), 1u << 20, NET_TRAINS) &&
               end_open_as(&to, HAUL_NET_AUTO, loopback(4), 1u << 20, NET_TRAINS) &&
               strcmp(haul_net_facts(to.net)->backend, "mmsg") == 0 &&
               strstr(haul_net_facts(to.net)->refused, strerror(code)) != NULL &&
               net_send_one(&from, &to.addr, 0, 1448, 40 * 1448);
        if (good)
            net_receive_some(&to, &arrived, 40);
        good = good && arrived.datagrams == 40 && arrived.wrong == 0;
        good = good && !end_open_as(&to, HAUL_NET_URING, loopback(4), 1u << 20, NET_TRAINS);
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

/* Trains go and come without it, and the facts say so; 0: good. */
static int without_option(uint32_t option)
{
    const struct haul_net_facts *facts;
    struct net_arrived arrived = { 0 };
    struct net_end from, to;

    if (refuse_udp_option(option) < 0 ||
        !end_open_as(&from, kind, loopback(4), 4u << 20, NET_TRAINS) ||
        !end_open_as(&to, kind, loopback(4), 4u << 20, NET_TRAINS))
        return 1;
    facts = haul_net_facts(to.net);
    if (facts->gro != (option != UDP_GRO) || facts->gso != (option != UDP_SEGMENT))
        return 2;
    for (uint32_t sent = 0; sent < 400; sent += 40) {
        if (!net_send_one(&from, &to.addr, sent, 1448, 40 * 1448))
            return 3;
        net_receive_some(&to, &arrived, sent + 40);
    }
    if (arrived.datagrams != 400 || arrived.wrong != 0)
        return 4;
    return arrived.largest_train == 1448 && arrived.trains == 400 ? 0 : 5;
}

static void without_joining_or_cutting_by_the_kernel_every_datagram_goes_alone(void)
{
    static const uint32_t options[] = { UDP_GRO, UDP_SEGMENT };

    for (size_t i = 0; i < HAUL_COUNT_OF(options); i++) {
        pid_t child = fork();
        int status = 0;

        if (child == 0)
            _exit(without_option(options[i]));
        waitpid(child, &status, 0);
        CU_ASSERT_TRUE(WIFEXITED(status));
        CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
    }
}

/* They are no trains: buffers go back to the kernel at once. */
static void empty_datagrams_take_no_buffer(void)
{
    const struct haul_net_counters *counters;
    struct net_arrived arrived = { 0 };
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct net_end to;

    end_open(&to, 4);
    counters = haul_net_counters(to.net);
    name.sin_port = htons(to.addr.port);
    for (uint32_t i = 0; i < 3 * NET_TRAINS; i++) {
        CU_ASSERT_EQUAL(
            sendto(fd, "", 0, 0, (const struct sockaddr *)(const void *)&name, sizeof name), 0);
        CU_ASSERT_EQUAL(
            sendto(fd, &i, sizeof i, 0, (const struct sockaddr *)(const void *)&name, sizeof name),
            sizeof i);
        net_receive_some(&to, &arrived, i + 1);
    }
    CU_ASSERT_EQUAL(arrived.datagrams, 3 * NET_TRAINS);
    CU_ASSERT_EQUAL(arrived.wrong, 0);
    CU_ASSERT_EQUAL(counters->rx_datagrams, 3 * NET_TRAINS);
    CU_ASSERT_EQUAL(counters->rx_truncated, 0);
    close(fd);
    net_end_close(&to);
}

static const struct unit_test kernel[] = {
    { "both families reach one socket", both_families_reach_one_socket },
    { "a send error is a counter", a_send_error_is_a_counter },
    { "a burst the kernel refuses is sent singly and remembered",
      a_burst_the_kernel_refuses_is_sent_singly_and_remembered },
    { "an overflow of the socket buffer is counted", an_overflow_of_the_socket_buffer_is_counted },
    { "a full socket holds trains back and loses none",
      a_full_socket_holds_trains_back_and_loses_none },
    { "facts say what is in use", facts_say_what_is_in_use },
    { "a port in use is an error with its number", a_port_in_use_is_an_error_with_its_number },
    { "without joining or cutting by the kernel every datagram goes alone",
      without_joining_or_cutting_by_the_kernel_every_datagram_goes_alone },
    { "empty datagrams take no buffer", empty_datagrams_take_no_buffer },
};

static bool rig_open(struct net_end *end, int family, uint32_t buffer, uint32_t trains)
{
    return end_open_as(end, kind, loopback(family), buffer, trains);
}

/* The contract and the kernel's own table on each backend. */
static void run_contract(enum haul_net_kind on)
{
    const struct net_rig rig = { .name = on == HAUL_NET_URING ? "uring" : "mmsg",
                                 .open = rig_open,
                                 .close = net_end_close,
                                 .oversize = 65520 };

    kind = on;
    net_contract_run(&rig);
    for (size_t i = 0; i < HAUL_COUNT_OF(kernel); i++) {
        unsigned before = CU_get_number_of_failures();

        kernel[i].run();
        if (CU_get_number_of_failures() != before)
            fprintf(stderr, "\nbroken on %s: %s\n", rig.name, kernel[i].name);
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
