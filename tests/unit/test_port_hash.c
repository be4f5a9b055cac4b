/* A port of DPDK asks a card to hash by the target port: of drivers that refuse a part of what they
 * are told, and of tables of any size. DPDK's null device, behind a driver that this test plays. */
#include "dataplane/ethernet/rss.h"
#include "dataplane/net/dpdk/dpdk_parts.h"
#include "tests/unit/port_pair.h"
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <errno.h>

#define QUEUES 2u
#define PORT   4501u

/* --- the driver: what it refuses, and what it was told --- */

static struct {
    bool no_mtu, no_hash; /* refused */
    uint16_t entries;     /* of its table; 0: as it is */
    bool late;            /* ... which it says only when it is configured */
    bool configured;
    enum rte_eth_rx_mq_mode mode;
    uint32_t mtu;
    uint32_t filled; /* entries of the table that name the right queue */
} driver;

int rte_eth_dev_configure(uint16_t port, uint16_t receive, uint16_t send,
                          const struct rte_eth_conf *conf)
{
    int (*real)(uint16_t, uint16_t, uint16_t, const struct rte_eth_conf *);
    int code;

    *(void **)&real = dlsym(RTLD_NEXT, "rte_eth_dev_configure");
    if ((driver.no_mtu && conf->rxmode.mtu != 0) ||
        (driver.no_hash && conf->rxmode.mq_mode == RTE_ETH_MQ_RX_RSS))
        return -EINVAL;
    code = real(port, receive, send, conf);
    driver.configured = code == 0;
    driver.mode = conf->rxmode.mq_mode;
    driver.mtu = conf->rxmode.mtu;
    return code;
}

int rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
    int (*real)(uint16_t, struct rte_eth_dev_info *);
    int code;

    *(void **)&real = dlsym(RTLD_NEXT, "rte_eth_dev_info_get");
    code = real(port, info);
    if (code == 0 && driver.entries != 0)
        info->reta_size = driver.late && !driver.configured ? 0 : driver.entries;
    return code;
}

int rte_eth_dev_rss_reta_update(uint16_t port, struct rte_eth_rss_reta_entry64 *table,
                                uint16_t entries)
{
    (void)port;
    for (uint32_t i = 0; i < entries; i++) {
        const struct rte_eth_rss_reta_entry64 *group = &table[i / RTE_ETH_RETA_GROUP_SIZE];
        uint32_t at = i % RTE_ETH_RETA_GROUP_SIZE;

        driver.filled +=
            (group->mask >> at & 1) != 0 && group->reta[at] == haul_rss_queue(i, PORT, QUEUES);
    }
    return 0;
}

/* --- the port --- */

/* Opened with what `driver` says; true when it says so of its hash. */
static bool opens(bool hashes)
{
    struct haul_net *net = port_net_open(&(struct port_opening){
        .device = "net_null0,no-rx=1",
        .family = 4,
        .mtu = 1500,
        .trains = NET_TRAINS,
        .queues = QUEUES,
    });
    const struct haul_port *opened;

    if (net == NULL)
        return false;
    opened = ((struct haul_dpdk *)net)->port;
    return opened->queues == QUEUES && opened->hashes == hashes;
}

static int takes_all(void)
{
    if (!opens(true) || driver.mode != RTE_ETH_MQ_RX_RSS || driver.mtu != 1500)
        return 1;
    return driver.filled == 128 ? 0 : 2; /* which is what the null device has */
}

static int takes_no_mtu(void)
{
    driver.no_mtu = true;
    return opens(true) && driver.mode == RTE_ETH_MQ_RX_RSS && driver.mtu == 0 ? 0 : 1;
}

static int takes_no_hash(void)
{
    driver.no_hash = true;
    if (!opens(false) || driver.mode != RTE_ETH_MQ_RX_NONE || driver.mtu != 1500)
        return 1;
    return driver.filled == 0 ? 0 : 2;
}

static int takes_neither(void)
{
    driver.no_mtu = driver.no_hash = true;
    return opens(false) && driver.mode == RTE_ETH_MQ_RX_NONE && driver.mtu == 0 ? 0 : 1;
}

static int has_eight_entries(void)
{
    driver.entries = 8;
    return opens(true) && driver.filled == 8 ? 0 : 1;
}

static int has_many_entries(void)
{
    driver.entries = 2048;
    driver.late = true;
    return opens(true) && driver.filled == 2048 ? 0 : 1;
}

static int has_an_odd_table(void)
{
    driver.entries = 96;
    return opens(false) && driver.mode == RTE_ETH_MQ_RX_NONE && driver.filled == 0 ? 0 : 1;
}

static void a_driver_that_takes_all_hashes_by_our_table(void)
{
    port_in_a_child(takes_all);
}

static void a_driver_that_takes_no_mtu_keeps_the_hash(void)
{
    port_in_a_child(takes_no_mtu);
}

static void a_driver_that_takes_no_hash_keeps_the_mtu(void)
{
    port_in_a_child(takes_no_hash);
    port_in_a_child(takes_neither);
}

static void a_table_of_any_power_of_two_is_filled(void)
{
    port_in_a_child(has_eight_entries);
    port_in_a_child(has_many_entries);
}

static void with_a_table_that_we_cannot_fill_the_hash_is_the_drivers_own(void)
{
    port_in_a_child(has_an_odd_table);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a driver that takes all hashes by our table",
          a_driver_that_takes_all_hashes_by_our_table },
        { "a driver that takes no MTU keeps the hash", a_driver_that_takes_no_mtu_keeps_the_hash },
        { "a driver that takes no hash keeps the MTU", a_driver_that_takes_no_hash_keeps_the_mtu },
        { "a table of any power of two is filled", a_table_of_any_power_of_two_is_filled },
        { "with a table that we cannot fill the hash is the driver's own",
          with_a_table_that_we_cannot_fill_the_hash_is_the_drivers_own },
    };

    return unit_main("port_hash", tests, HAUL_COUNT_OF(tests));
}
