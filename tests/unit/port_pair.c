/* Opening the ports, and the wait until both ends have met. */
#include "tests/unit/port_pair.h"

#include "tests/unit/unit.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 4501u

/* Its driver unmaps what it still reads when the other end goes. */
const struct port_pair port_memif = {
    .name = "memif",
    .devices = { "net_memif0,role=server,id=0,socket=%s/memif,socket-abstract=no,bsize=9216",
                 "net_memif1,role=client,id=0,socket=%s/memif,socket-abstract=no,bsize=9216" },
    .mtu = { 9080, 9080 },
    .stays = true,
};

/* The two take a second to meet. */
const struct port_pair port_vhost = {
    .name = "vhost",
    .devices = { "net_vhost0,iface=%s/vhost,client=0",
                 "net_virtio_user0,path=%s/vhost,queues=1,queue_size=1024" },
    .mtu = { 9080, 9080 },
    .stays = true,
};

const struct port_pair port_uneven = {
    .name = "vhost, uneven",
    .devices = { "net_vhost0,iface=%s/uneven,client=0",
                 "net_virtio_user0,path=%s/uneven,queues=1,queue_size=1024" },
    .mtu = { 9080, 1500 },
    .stays = true,
};

const struct port_pair port_af_packet = {
    .name = "af_packet",
    .devices = { "net_af_packet0,iface=v0,framesz=2048,framecnt=1024,blocksz=4096",
                 "net_af_packet1,iface=v1,framesz=2048,framecnt=1024,blocksz=4096" },
    .mtu = { 1500, 1500 }, /* DPDK 22.11 has no larger frames there */
};

/* A frame lies in one page, with what DPDK and the kernel put before it. A second socket in one
 * process does not find its way into the filter of the first. */
const struct port_pair port_af_xdp = {
    .name = "af_xdp",
    .devices = { "net_af_xdp0,iface=v0", "net_af_xdp1,iface=v1" },
    .mtu = { 3000, 3000 },
    .stays = true,
};

static const struct port_pair *joined;
static const char *sockets;
static struct net_end sides[2];
static bool side_used[2];

void port_pair_use(const struct port_pair *of, const char *directory)
{
    joined = of;
    sockets = directory;
}

bool port_veth_open(unsigned mtu)
{
    char command[400];

    /* A wire carries no bursts of 64 KiB, and the kernel has nothing to say on it. */
    snprintf(command, sizeof command,
             "ip link add v0 type veth peer name v1 && ip link set v0 gso_max_segs 1 mtu %u && "
             "ip link set v1 gso_max_segs 1 mtu %u && "
             "sysctl -qw net.ipv6.conf.v0.disable_ipv6=1 net.ipv6.conf.v1.disable_ipv6=1 && "
             "ip link set v0 up && ip link set v1 up",
             mtu, mtu);
    return unshare(CLONE_NEWNET) == 0 && system(command) == 0;
}

static struct haul_addr address(unsigned side, int family)
{
    struct haul_addr addr = { .family = (uint8_t)family, .port = PORT };
    const uint8_t last = (uint8_t)(side + 1);

    if (family == 4)
        memcpy(addr.ip, (uint8_t[]){ 10, 77, 0, last }, 4);
    else
        memcpy(addr.ip, (uint8_t[]){ 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last }, 16);
    return addr;
}

struct haul_net *port_net_open(const struct port_opening *as)
{
    bool four = as->family == 4;
    struct haul_net_port port = {
        .device = as->device,
        .addresses = { { .ip = address(as->side, as->family), .bits = four ? 24 : 64 },
                       { .ip = address(as->side, 10 - as->family), .bits = four ? 64 : 24 } },
        .address_count = 2,
        .mtu = as->mtu,
        .vlan = as->vlan,
        .segmentation_off = as->segmentation_off,
        .pages = HAUL_NET_PAGES_ORDINARY, /* others may take huge ones while we start */
        .memory_mib = 256,
    };
    struct haul_net_conf conf = {
        .kind = HAUL_NET_DPDK,
        .port = &port,
        .bind = { .port = PORT },
        .receive_trains = as->trains,
        .send_trains = as->trains,
        .queues = as->queues,
        .queue = as->queue,
        .beside = as->beside,
    };
    struct haul_error error = { 0 };
    struct haul_net *net = NULL;

    signal(SIGPIPE, SIG_IGN); /* as a node does: vhost writes to a peer that has gone */
    if (haul_net_open(&net, &conf, &error) == 0)
        return net;
    fprintf(stderr, "open: %s: %s\n", haul_error_name(error.code), error.text);
    return NULL;
}

static bool side_open(struct net_end *end, unsigned side, int family, uint32_t trains)
{
    char device[200];
    const struct port_opening opening = {
        .device = device,
        .side = side,
        .family = family,
        .mtu = joined->mtu[side],
        .vlan = joined->vlan,
        .segmentation_off = joined->segmentation_off,
        .trains = trains,
    };
    const char *format = joined->devices[side], *hole = strstr(format, "%s");

    if (hole == NULL)
        snprintf(device, sizeof device, "%s", format);
    else
        snprintf(device, sizeof device, "%.*s%s%s", (int)(hole - format), format, sockets,
                 hole + 2);
    *end = (struct net_end){ .net = port_net_open(&opening) };
    return end->net != NULL;
}

void port_in_a_child(int (*run)(void))
{
    pid_t child = fork();
    int status = 0;

    if (child == 0)
        _exit(run());
    waitpid(child, &status, 0);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        fprintf(stderr, "step %d failed\n", WEXITSTATUS(status));
}

struct wanted {
    const char *name;
    uint64_t value;
};

static void wanted_take(void *context, const char *name, const char *help, uint64_t value)
{
    struct wanted *wanted = context;

    (void)help;
    if (strcmp(name, wanted->name) == 0)
        wanted->value = value;
}

uint64_t port_counter(const struct net_end *end, const char *name)
{
    struct wanted wanted = { .name = name };

    haul_net_each(end->net, wanted_take, &wanted);
    return wanted.value;
}

/* The ends of shared memory meet on a thread of DPDK's. */
static bool is_up_soon(const struct net_end *end)
{
    haul_time limit = net_clock() + 20 * HAUL_SECOND;

    while (port_counter(end, "link_up") == 0 && net_clock() < limit)
        haul_net_wait(end->net, NULL, 0, HAUL_MILLISECOND);
    return port_counter(end, "link_up") == 1;
}

/* A neighbour must answer before datagrams flow, and both ends must look for that. */
static bool meets_soon(struct net_end *from, struct net_end *to, const struct haul_addr *at)
{
    haul_time limit = net_clock() + 20 * HAUL_SECOND;
    uint64_t before = haul_net_counters(to->net)->rx_datagrams;
    bool sent = false;

    while (haul_net_counters(to->net)->rx_datagrams == before && net_clock() < limit) {
        struct haul_train train;

        sent = sent || net_send_one(from, at, 0, 64, 64);
        haul_net_release(from->net, &train, haul_net_receive(from->net, &train, 1));
        haul_net_wait(from->net, NULL, 0, HAUL_MILLISECOND);
        haul_net_wait(to->net, NULL, 0, HAUL_MILLISECOND);
        while (haul_net_receive(to->net, &train, 1) == 1)
            haul_net_release(to->net, &train, 1);
    }
    return haul_net_counters(to->net)->rx_datagrams > before;
}

bool port_rig_open(struct net_end *end, int family, uint32_t buffer, uint32_t trains)
{
    unsigned side = side_used[0] ? 1 : 0;
    struct haul_addr at[2] = { address(0, family), address(1, family) };

    (void)buffer;
    if (sides[side].net == NULL && !side_open(&sides[side], side, family, trains))
        return false;
    side_used[side] = true;
    sides[side].addr = at[side];
    *end = sides[side];
    if (side == 0)
        return true;
    return is_up_soon(&sides[0]) && is_up_soon(&sides[1]) &&
           meets_soon(&sides[0], &sides[1], &at[1]) && meets_soon(&sides[1], &sides[0], &at[0]);
}

void port_rig_close(struct net_end *end)
{
    unsigned side = end->net == sides[1].net;

    side_used[side] = false;
    if (joined->stays)
        return;
    haul_net_close(end->net);
    sides[side] = (struct net_end){ 0 };
}

uint32_t port_fill_up(struct net_end *from, const struct net_end *to, uint32_t number,
                      uint32_t count)
{
    while (number < 100000 && net_send_one(from, &to->addr, number, 1408, count * 1408))
        number += count;
    return number;
}

void port_drain(struct net_end *from, struct net_end *to, struct net_arrived *arrived,
                uint32_t datagrams)
{
    for (unsigned idle = 0; arrived->datagrams < datagrams && idle < 3;) {
        uint32_t before = arrived->datagrams;

        net_receive_some(to, arrived, before + 1);
        haul_net_wait(from->net, NULL, 0, 0);
        idle = arrived->datagrams == before ? idle + 1 : 0;
    }
}
