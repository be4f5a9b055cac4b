/* DPDK keeps the contract of nets: two ports in this process, joined by memif. And what a port
 * alone can meet: a full queue, buffers that run out, a link that goes, a neighbour that does not
 * answer.
 */
#include "dataplane/net/dpdk/card.h"
#include "tests/unit/net_contract.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT 4501u

static char directory[] = "/tmp/haul-unit-XXXXXX";

static struct haul_addr address(unsigned side, int family)
{
    struct haul_addr addr = { .family = (uint8_t)family, .port = PORT };

    if (family == 4)
        memcpy(addr.ip, (uint8_t[]){ 10, 77, 0, (uint8_t)(side + 1) }, 4);
    else
        memcpy(
            addr.ip,
            (uint8_t[]){ 0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(side + 1) },
            16);
    return addr;
}

static bool side_open_as(struct net_end *end, unsigned side, int family, uint32_t trains)
{
    char device[200];
    struct haul_net_port port = {
        .device = device,
        .addresses = { { .ip = address(side, family), .bits = family == 4 ? 24 : 64 },
                       { .ip = address(side, 10 - family), .bits = family == 4 ? 64 : 24 } },
        .address_count = 2,
        .mtu = 9080,
        .memory_mib = 256,
    };
    struct haul_net_conf conf = {
        .kind = HAUL_NET_DPDK,
        .port = &port,
        .bind = { .port = PORT },
        .receive_trains = trains,
        .send_trains = trains,
    };
    struct haul_error error = { 0 };

    snprintf(device, sizeof device,
             "net_memif%u,role=%s,id=0,socket=%s/memif,socket-abstract=no,bsize=9216", side,
             side == 0 ? "server" : "client", directory);
    *end = (struct net_end){ 0 };
    if (haul_net_open(&end->net, &conf, &error) < 0) {
        fprintf(stderr, "open: %s: %s\n", haul_error_name(error.code), error.text);
        return false;
    }
    end->addr = haul_net_facts(end->net)->local;
    return true;
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

static uint64_t counter(const struct net_end *end, const char *name)
{
    struct wanted wanted = { .name = name };

    haul_net_each(end->net, wanted_take, &wanted);
    return wanted.value;
}

/* memif's ends meet on a thread of DPDK's. */
static bool is_up_soon(const struct net_end *end)
{
    haul_time limit = net_clock() + 10 * HAUL_SECOND;

    while (counter(end, "link_up") == 0 && net_clock() < limit)
        haul_net_wait(end->net, NULL, 0, HAUL_MILLISECOND);
    return counter(end, "link_up") == 1;
}

/* A neighbour must answer before datagrams flow, and both ends must look for that. */
static bool meets_soon(struct net_end *from, struct net_end *to, const struct haul_addr *at)
{
    haul_time limit = net_clock() + 10 * HAUL_SECOND;
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

/* memif's driver does not survive that its peer in the same process goes: ends are kept, and used
 * again. */
static struct net_end sides[2];
static bool side_used[2];

static bool rig_open(struct net_end *end, int family, uint32_t buffer, uint32_t trains)
{
    unsigned side = side_used[0] ? 1 : 0;
    struct haul_addr at[2] = { address(0, family), address(1, family) };

    (void)buffer;
    if (sides[side].net == NULL && !side_open_as(&sides[side], side, family, trains))
        return false;
    side_used[side] = true;
    sides[side].addr = at[side];
    *end = sides[side];
    if (side == 0)
        return true;
    return is_up_soon(&sides[0]) && is_up_soon(&sides[1]) &&
           meets_soon(&sides[0], &sides[1], &at[1]) && meets_soon(&sides[1], &sides[0], &at[0]);
}

static void side_leave(struct net_end *end)
{
    side_used[end->net == sides[1].net] = false;
}

static void dpdk_keeps_the_contract(void)
{
    const struct net_rig rig = {
        .name = "dpdk", .open = rig_open, .close = side_leave, .alone = true, .oversize = 9076
    };

    net_contract_run(&rig);
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

static void a_card_that_cannot_be_used_says_why(void)
{
    char path[80];
    FILE *file;

    card_make("ixgbe", "");
    CU_ASSERT_EQUAL(card_code(CARD), HAUL_E_DPDK_BOUND);
    CU_ASSERT_EQUAL(card_code("3b:00.0,arg=1"), HAUL_E_DPDK_BOUND);
    CU_ASSERT_EQUAL(card_code("0000:3b:00.1"), HAUL_E_DPDK_DEVICE);
    card_make("", "");
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
        { "DPDK keeps the contract", dpdk_keeps_the_contract },
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
