/* DPDK keeps the contract of nets: two ports in one process, joined by shared memory or by a veth
 * pair. And what a port alone can meet: a full queue, and buffers that run out. */
#include "dataplane/net/dpdk/card.h"
#include "dataplane/net/dpdk/dpdk_parts.h"
#include "tests/unit/port_pair.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/haul-unit-XXXXXX";

/* --- the contract --- */

static void contract_on(const struct port_pair *pair, bool (*prepare)(void))
{
    const struct net_rig rig = {
        .name = pair->name,
        .open = port_rig_open,
        .close = port_rig_close,
        .where = pair->stays ? NET_CHILDREN : NET_CHILD,
        .prepare = prepare,
        .oversize = pair->mtu[0] - 4u,
        .largest = pair->mtu[0] < 9080 ? pair->mtu[0] - 48u : 0,
    };

    port_pair_use(pair, directory);
    net_contract_run(&rig);
}

static void memif_keeps_the_contract(void)
{
    contract_on(&port_memif, NULL);
}

static void vhost_and_virtio_user_keep_the_contract(void)
{
    contract_on(&port_vhost, NULL);
}

static bool large_veth(void)
{
    return port_veth_open(port_af_packet.mtu[0]);
}

static void af_packet_keeps_the_contract(void)
{
    contract_on(&port_af_packet, large_veth);
}

static bool small_veth(void)
{
    return port_veth_open(port_af_xdp.mtu[0]);
}

static void af_xdp_keeps_the_contract(void)
{
    contract_on(&port_af_xdp, small_veth);
}

/* --- faults --- */

#define TRAIN_BYTES (8 * 1408u)

static struct net_end from, to;

/* A fresh pair of ports in a process of its own, whose log can be read. */
static bool pair_open(void)
{
    char path[64];

    port_pair_use(&port_memif, directory);
    snprintf(path, sizeof path, "%s/log", directory);
    return freopen(path, "w", stderr) != NULL && port_rig_open(&from, 4, 0, NET_TRAINS) &&
           port_rig_open(&to, 4, 0, NET_TRAINS);
}

static bool log_says_soon(const char *what)
{
    haul_time limit = net_clock() + 10 * HAUL_SECOND;
    char path[64], text[16384];

    snprintf(path, sizeof path, "%s/log", directory);
    while (net_clock() < limit) {
        FILE *file = fopen(path, "r");
        size_t bytes = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;

        if (file != NULL)
            fclose(file);
        text[bytes] = '\0';
        if (strstr(text, what) != NULL)
            return true;
        haul_net_wait(from.net, NULL, 0, 10 * HAUL_MILLISECOND);
    }
    return false;
}

/* What the queue had no room for comes whole and in order; on a machine so busy that we stand still
 * for a second ourselves it is tried again. */
static bool is_held_back(uint32_t *number)
{
    for (unsigned attempt = 0; attempt < 10; attempt++) {
        uint64_t dropped = port_counter(&from, "tx_dropped");
        struct net_arrived arrived = { .next = *number };
        uint32_t end = port_fill_up(&from, &to, *number, 8), count = end - *number;

        if (count < 1000 || end >= 100000 || port_counter(&from, "tx_full") == 0)
            return false;
        port_drain(&from, &to, &arrived, count);
        *number = end;
        if (port_counter(&from, "tx_dropped") == dropped)
            return arrived.datagrams == count && arrived.wrong == 0;
    }
    return false;
}

static int full_queue(void)
{
    struct net_arrived arrived = { 0 };
    uint32_t sent = 0, again;
    uint64_t stalls, dropped;
    haul_time limit;

    if (!pair_open())
        return 1;
    if (!is_held_back(&sent))
        return 3;
    stalls = port_counter(&from, "tx_stalls");
    dropped = port_counter(&from, "tx_dropped");
    again = port_fill_up(&from, &to, sent, 8); /* and now the other end stands still */
    limit = net_clock() + 10 * HAUL_SECOND;
    while (port_counter(&from, "tx_stalls") == stalls && net_clock() < limit)
        haul_net_wait(from.net, NULL, 0, 10 * HAUL_MILLISECOND);
    if (port_counter(&from, "tx_stalls") == stalls || port_counter(&from, "tx_dropped") == dropped)
        return 4;
    if (!log_says_soon("dpdk-queue-stalled"))
        return 5;
    arrived = (struct net_arrived){ .next = sent };
    port_drain(&from, &to, &arrived, again - sent);
    /* What is gone is counted; a question to a neighbour may be among it. */
    if (arrived.wrong != 0 ||
        arrived.datagrams + port_counter(&from, "tx_dropped") - dropped < again - sent)
        return 6;
    arrived = (struct net_arrived){ .next = again }; /* it goes on */
    if (!net_send_one(&from, &to.addr, again, 1408, TRAIN_BYTES))
        return 7;
    port_drain(&from, &to, &arrived, 8);
    return arrived.datagrams == 8 && arrived.wrong == 0 ? 0 : 8;
}

static int no_buffers(void)
{
    struct haul_dpdk *dpdk;
    __typeof__(haul_dpdk_frame(NULL)) *taken, frame;
    struct net_arrived arrived = { 0 };
    struct haul_train train;
    uint32_t count = 0;

    if (!pair_open())
        return 1;
    dpdk = (struct haul_dpdk *)from.net;
    taken = calloc(dpdk->port->frames, sizeof *taken);
    while (taken != NULL && (frame = haul_dpdk_frame(dpdk)) != NULL)
        taken[count++] = frame;
    if (count < 1000 || port_counter(&from, "tx_no_frame") != 1)
        return 2;
    /* Lent trains keep their buffers: what they hold is sent, and then nothing is lent. */
    for (uint32_t i = 0; i < 1000 && haul_net_reserve(from.net, &train, 1) == 1; i++) {
        uint32_t datagrams = train.capacity / haul_net_facts(from.net)->datagram_max;

        if (datagrams == 0) /* what is lent has room for something */
            return 3;
        net_train_fill(&train, &to.addr, arrived.next, 1408, datagrams * 1408);
        haul_net_send(from.net, &train, 1);
        net_receive_some(&to, &arrived, arrived.datagrams + datagrams);
    }
    if (haul_net_reserve(from.net, &train, 1) != 0 || arrived.wrong != 0)
        return 3;
    if (!log_says_soon("dpdk-no-buffer"))
        return 4;
    for (uint32_t i = 0; i < count; i++) { /* the peer has no use for them */
        taken[i]->data_len = 60;
        taken[i]->pkt_len = 60;
        memset((uint8_t *)taken[i]->buf_addr + taken[i]->data_off, 0xff, 60);
        haul_dpdk_push(dpdk, &taken[i], 1);
        if (i % 64 == 0)
            net_receive_some(&to, &(struct net_arrived){ 0 }, 0);
        while (haul_net_receive(to.net, &train, 1) == 1)
            haul_net_release(to.net, &train, 1);
    }
    free(taken);
    arrived = (struct net_arrived){ 0 };
    if (!net_send_one(&from, &to.addr, 0, 1408, TRAIN_BYTES))
        return 5;
    port_drain(&from, &to, &arrived, 8);
    return arrived.datagrams == 8 && arrived.wrong == 0 ? 0 : 6;
}

/* The driver puts it into several buffers; we take frames of one. */
static int longer_than_a_buffer(void)
{
    struct net_arrived arrived = { 0 };

    port_pair_use(&port_uneven, directory);
    if (!port_rig_open(&from, 4, 0, NET_TRAINS) || !port_rig_open(&to, 4, 0, NET_TRAINS))
        return 1;
    for (uint32_t i = 0; i < 100; i++) {
        if (!net_send_one(&from, &to.addr, 77, 9000, 3 * 9000) ||
            !net_send_one(&from, &to.addr, 8 * i, 1408, TRAIN_BYTES))
            return 2;
        net_receive_some(&to, &arrived, 8 * (i + 1));
    }
    if (arrived.datagrams != 800 || arrived.wrong != 0)
        return 3;
    return haul_net_counters(to.net)->rx_truncated == 300 ? 0 : 4;
}

static void a_full_queue_holds_back_and_one_that_stands_still_is_a_loss(void)
{
    port_in_a_child(full_queue);
}

static void without_a_free_buffer_nothing_is_lent_and_then_it_goes_on(void)
{
    port_in_a_child(no_buffers);
}

static void a_datagram_longer_than_a_buffer_is_counted_and_dropped_alone(void)
{
    port_in_a_child(longer_than_a_buffer);
}

/* --- cards --- */

#define CARD "0000:3b:00.0"

/* A card in a sysfs of ours: its driver and group are links, "" for none. */
static void card_make(const char *driver, const char *group)
{
    char command[600];

    snprintf(command, sizeof command,
             "cd %s && rm -rf sys dev && mkdir -p sys/bus/pci/devices/" CARD " dev/vfio && "
             "cd sys/bus/pci/devices/" CARD
             " && { [ -z '%s' ] || ln -s ../drivers/'%s' driver; } && "
             "{ [ -z '%s' ] || ln -s ../../groups/'%s' iommu_group; }",
             directory, driver, driver, group, group);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

static enum haul_error_code card_code(const char *device)
{
    char sys[64], dev[64];
    struct haul_error error = { 0 };

    snprintf(sys, sizeof sys, "%s/sys", directory);
    snprintf(dev, sizeof dev, "%s/dev", directory);
    if (haul_card_check_at(sys, dev, device, &error) == 0)
        return HAUL_OK;
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "3b:00.")); /* says which card */
    return error.code;
}

/* The kernel is told to do without an IOMMU. */
static int unsafe_allow(void)
{
    char command[200];

    snprintf(command, sizeof command,
             "cd %s/sys && mkdir -p module/vfio/parameters && "
             "echo Y >module/vfio/parameters/enable_unsafe_noiommu_mode",
             directory);
    return system(command);
}

static void a_card_that_cannot_be_used_says_why(void)
{
    char path[80];
    FILE *file;

    card_make("ixgbe", "");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_BOUND);
    CU_ASSERT_EQUAL(card_code("3b:00.0,arg=1"), HAUL_E_DPDK_BOUND);
    CU_ASSERT_EQUAL(card_code("0000:3b:00.1"), HAUL_E_DPDK_DEVICE);
    card_make("", "");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_IOMMU);
    CU_ASSERT_EQUAL_FATAL(unsafe_allow(), 0);
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_BOUND);
    card_make("", "7");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_BOUND);
    card_make("vfio-pci", "");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_IOMMU);
    card_make("vfio-pci", "7");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_PERMISSION);
    snprintf(path, sizeof path, "%s/dev/vfio/7", directory);
    file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fclose(file);
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_OK);
    card_make("mlx5_core", "7");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_OK); /* the kernel keeps it, and shares it */
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "memif keeps the contract", memif_keeps_the_contract },
        { "vhost and virtio-user keep the contract", vhost_and_virtio_user_keep_the_contract },
        { "af_packet keeps the contract", af_packet_keeps_the_contract },
        { "af_xdp keeps the contract", af_xdp_keeps_the_contract },
        { "a full queue holds back, and one that stands still is a loss",
          a_full_queue_holds_back_and_one_that_stands_still_is_a_loss },
        { "without a free buffer nothing is lent, and then it goes on",
          without_a_free_buffer_nothing_is_lent_and_then_it_goes_on },
        { "a datagram longer than a buffer is counted and dropped alone",
          a_datagram_longer_than_a_buffer_is_counted_and_dropped_alone },
        { "a card that cannot be used says why", a_card_that_cannot_be_used_says_why },
    };
    char command[64];
    int failed;

    if (mkdtemp(directory) == NULL)
        return 1;
    failed = unit_main("net_dpdk", tests, HAUL_COUNT_OF(tests));
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) == 0 ? failed : 1;
}
