/* Opening and configuring a device. */
#include "dataplane/net/dpdk/port.h"

#include "common/log.h"
#include "dataplane/ethernet/rss.h"
#include "dataplane/net/dpdk/cut.h"
#include "dataplane/net/dpdk/eal.h"
#include "dataplane/net/dpdk/refusal.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <rte_flow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_FRAMES  1024u
#define POOL_CACHE    256u
#define BUFFERS_LEAST 512u
#define FRAME_EXTRA   64u  /* Ethernet header, tags, and room to round up */
#define XDP_FRONT     256u /* the kernel keeps so much before a frame for its filters */

/* Drivers whose other end shares memory with us. */
static bool is_shared_memory(const char *device)
{
    return strncmp(device, "net_memif", 9) == 0 || strncmp(device, "net_vhost", 9) == 0 ||
           strncmp(device, "net_virtio_user", 15) == 0 || strncmp(device, "net_ring", 8) == 0;
}

static uint32_t frame_bytes(const struct haul_net_port *conf)
{
    bool af_xdp = strncmp(conf->device, "net_af_xdp", 10) == 0;
    uint32_t bytes = conf->mtu + FRAME_EXTRA + (af_xdp ? XDP_FRONT : 0);

    bytes = bytes < 2048u ? 2048u : bytes;
    return RTE_PKTMBUF_HEADROOM + (bytes + 63u) / 64u * 64u;
}

static int pool_open(struct haul_port *port, const struct haul_net_port *conf,
                     struct haul_error *error)
{
    uint32_t cache = port->frames / 16 < POOL_CACHE ? port->frames / 16 : POOL_CACHE;
    char name[RTE_MEMPOOL_NAMESIZE];

    snprintf(name, sizeof name, "haul-%" PRIu16, port->id);
    port->pool = rte_pktmbuf_pool_create(name, port->frames, cache, 0, (uint16_t)frame_bytes(conf),
                                         SOCKET_ID_ANY);
    if (port->pool != NULL)
        return 0;
    return haul_fail(error, HAUL_E_DPDK_MEMORY,
                     "%" PRIu32 " buffers of %" PRIu32 " bytes: %s; raise dpdk.memory",
                     port->frames, frame_bytes(conf), rte_strerror(rte_errno));
}

/* What the card computes we do not. Buffers are given back fast only where none has another behind
 * it: drivers then do not look. */
static void offloads_choose(struct haul_port *port, const struct haul_net_port *asked,
                            const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
    uint64_t ip = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, udp = RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    uint64_t cut = asked->segmentation_off ? 0 : haul_cut_offloads(info);

    conf->txmode.offloads =
        info->tx_offload_capa & (ip | udp | (cut != 0 ? cut : RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE));
    port->cut_most = cut != 0 ? haul_cut_most(info) : 0;
    conf->rxmode.offloads =
        info->rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
    port->checks_sums = (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
    if (port->shared_memory &&
        cut == 0) { /* summing over an authenticated payload protects nothing */
        conf->txmode.offloads &= ~udp;
        port->sums |= HAUL_ETHER_SUM_UDP_NONE;
    }
    port->flags[0] = RTE_MBUF_F_TX_IPV4;
    port->flags[1] = RTE_MBUF_F_TX_IPV6;
    if ((conf->txmode.offloads & ip) != 0) {
        port->sums |= HAUL_ETHER_SUM_IP_CARD;
        port->flags[0] |= RTE_MBUF_F_TX_IP_CKSUM;
    }
    if ((conf->txmode.offloads & udp) != 0) {
        port->sums |= HAUL_ETHER_SUM_UDP_CARD;
        port->flags[0] |= RTE_MBUF_F_TX_UDP_CKSUM;
        port->flags[1] |= RTE_MBUF_F_TX_UDP_CKSUM;
    }
    if ((port->sums & (HAUL_ETHER_SUM_IP_CARD | HAUL_ETHER_SUM_UDP_CARD)) == 0)
        port->flags[0] = port->flags[1] = 0;
}

/* Half of the buffers may lie in the rings; with less than the other half trains would wait for
 * each other. */
static int buffers_check(const struct haul_port *port, const struct haul_net_port *conf,
                         uint32_t ring_frames, struct haul_error *error)
{
    uint32_t pair = 2 * ring_frames < BUFFERS_LEAST ? BUFFERS_LEAST : 2 * ring_frames;

    if (conf->buffers == 0 || port->frames >= pair * port->queues)
        return 0;
    return haul_fail(error, HAUL_E_CONFIG_KEY,
                     "dpdk.buffers: %s needs %" PRIu32 " with %" PRIu16 " pairs of queues",
                     conf->device, pair * port->queues, port->queues);
}

static int queues_open(struct haul_port *port, const struct haul_net_port *conf,
                       struct haul_error *error)
{
    /* Of few buffers the rings leave half to the trains, or nothing would ever move. */
    uint32_t share = port->frames / port->queues / 4;
    uint16_t receive =
        share < QUEUE_FRAMES ? (uint16_t)rte_align32prevpow2(share) : (uint16_t)QUEUE_FRAMES;
    uint16_t send = receive;
    const char *queues = conf->buffers == 0 ? "its queues" : "its queues (dpdk.buffers is set)";
    int code = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &receive, &send);

    if (buffers_check(port, conf, (uint32_t)receive + send, error) < 0)
        return -1;
    if (port->cut_most > send / 4u) /* of so few descriptors one packet may not take most */
        port->cut_most = send / 4u;
    for (uint16_t queue = 0; queue < port->queues && code == 0; queue++) {
        code = rte_eth_rx_queue_setup(port->id, queue, receive, (unsigned)SOCKET_ID_ANY, NULL,
                                      port->pool);
        if (code == 0)
            code = rte_eth_tx_queue_setup(port->id, queue, send, (unsigned)SOCKET_ID_ANY, NULL);
    }
    return code == 0 ? 0 : haul_port_refused(port, conf, queues, code, error);
}

/* As many pairs as are wanted and the device has. memif's driver writes through rings that were
 * never agreed on when the other end has fewer, so it has one. */
static void queues_choose(struct haul_port *port, const char *device, uint32_t wanted,
                          const struct rte_eth_dev_info *info)
{
    uint32_t most =
        info->max_rx_queues < info->max_tx_queues ? info->max_rx_queues : info->max_tx_queues;

    if (strncmp(device, "net_memif", 9) == 0)
        most = 1;
    wanted = wanted < most ? wanted : most;
    port->queues = (uint16_t)(wanted > 0 ? wanted : 1);
}

/* Whether a table of so many entries can tell the queues. */
static bool table_fits(uint32_t entries)
{
    return entries >= HAUL_RSS_QUEUES_MAX && (entries & (entries - 1)) == 0;
}

/* Before it is configured: a hash by which its table can tell the queues; false where its driver
 * has none, or a table that is not to be filled: what it hashes by is its own then. Some drivers
 * know the size of their table only later. */
static bool hash_ask(struct haul_port *port, const struct rte_eth_dev_info *info,
                     struct rte_eth_conf *conf)
{
    uint8_t bytes = info->hash_key_size == 0 ? HAUL_RSS_KEY_BYTES : info->hash_key_size;

    if (port->queues < 2 || port->queues > HAUL_RSS_QUEUES_MAX ||
        (info->flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_UDP) == 0 ||
        bytes < HAUL_RSS_KEY_BYTES || bytes > sizeof port->hash_key ||
        (info->reta_size != 0 && !table_fits(info->reta_size)))
        return false;
    haul_rss_key(port->hash_key, bytes);
    conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
        .rss_key = port->hash_key, .rss_key_len = bytes, .rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_UDP
    };
    return true;
}

/* Not every driver can wake us. */
static int configure_waking(const struct haul_port *port, struct rte_eth_conf *settings)
{
    int code;

    settings->intr_conf.rxq = 1;
    code = rte_eth_dev_configure(port->id, port->queues, port->queues, settings);
    if (code != 0) {
        settings->intr_conf.rxq = 0;
        code = rte_eth_dev_configure(port->id, port->queues, port->queues, settings);
    }
    return code;
}

/* Nor is every driver told how long frames may be; the ordinary length all of them take. memif
 * states a maximum that it does not keep to, and refuses to be told another. */
static int configure_try(const struct haul_port *port, const struct haul_net_port *conf,
                         struct rte_eth_conf *settings)
{
    int code;

    settings->rxmode.mtu = strncmp(conf->device, "net_memif", 9) == 0 ? 0 : conf->mtu;
    code = configure_waking(port, settings);
    if (code != 0 && settings->rxmode.mtu != 0 && conf->mtu <= 1500) {
        settings->rxmode.mtu = 0;
        code = configure_waking(port, settings);
    }
    return code;
}

static int configure(struct haul_port *port, const struct haul_net_port *conf, uint32_t queues,
                     struct haul_error *error)
{
    struct rte_eth_conf settings = { 0 };
    struct rte_eth_dev_info info;
    int code = rte_eth_dev_info_get(port->id, &info);

    if (code != 0)
        return haul_port_refused(port, conf, "what it can do", code, error);
    snprintf(port->driver, sizeof port->driver, "%s", info.driver_name);
    queues_choose(port, conf->device, queues, &info);
    offloads_choose(port, conf, &info, &settings);
    port->hash_asked = hash_ask(port, &info, &settings);
    code = configure_try(port, conf, &settings);
    if (code != 0 && port->hash_asked) { /* nor takes every driver any key */
        port->hash_asked = false;
        settings.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
        settings.rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){ 0 };
        code = configure_try(port, conf, &settings);
    }
    if (code != 0)
        return haul_port_refused(port, conf, "its configuration", code, error);
    /* To be asked for when it runs. What wakes vhost changes with each peer that comes. */
    if (settings.intr_conf.rxq != 0 && strncmp(conf->device, "net_vhost", 9) != 0)
        port->wakes = true;
    return 0;
}

static void interface_open(struct haul_port *port, const char *device)
{
    if (strncmp(device, "net_af_", 7) == 0 &&
        haul_eal_argument(device, "iface", port->interface, sizeof port->interface))
        port->interface_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

bool haul_port_link_is_up(const struct haul_port *port)
{
    struct rte_eth_link link = { .link_status = RTE_ETH_LINK_UP };
    struct ifreq ask;

    if (port->interface_fd >= 0) {
        memset(&ask, 0, sizeof ask);
        memcpy(ask.ifr_name, port->interface, sizeof ask.ifr_name);
        if (ioctl(port->interface_fd, SIOCGIFFLAGS, &ask) != 0) /* it is gone */
            return false;
        return (ask.ifr_flags & IFF_UP) != 0 && (ask.ifr_flags & IFF_RUNNING) != 0;
    }
    return rte_eth_link_get_nowait(port->id, &link) != 0 || link.link_status == RTE_ETH_LINK_UP;
}

/* What trains hold, what the card holds, what lies in the caches of threads, and what is on its way
 * between queues. */
static uint32_t frames_of(uint32_t queues, uint32_t held)
{
    return queues * (held + 2 * QUEUE_FRAMES) + (queues + 1) * POOL_CACHE +
           queues * (queues - 1) * haul_handed_max(queues);
}

int haul_port_open(struct haul_port *port, const struct haul_net_port *conf, uint32_t queues,
                   uint32_t held, struct haul_error *error)
{
    struct rte_ether_addr mac;

    *port = (struct haul_port){ .users = port->users,
                                .interface_fd = -1,
                                .shared_memory = is_shared_memory(conf->device) };
    interface_open(port, conf->device);
    port->frames = conf->buffers != 0 ? conf->buffers : frames_of(queues, held);
    if (haul_eal_start(conf, (size_t)port->frames * (frame_bytes(conf) + 256u), error) < 0 ||
        haul_eal_attach(conf->device, &port->id, error) < 0)
        return -1;
    port->attached = true;
    if (configure(port, conf, queues, error) < 0)
        return -1;
    port->frames = conf->buffers != 0 ? conf->buffers : frames_of(port->queues, held);
    if (pool_open(port, conf, error) < 0 || queues_open(port, conf, error) < 0 ||
        haul_handover_open(&port->handover, port->queues, error) < 0)
        return -1;
    if (rte_eth_macaddr_get(port->id, &mac) != 0)
        return haul_fail(error, HAUL_E_DPDK_DEVICE, "%s has no MAC address", conf->device);
    memcpy(port->mac, mac.addr_bytes, sizeof port->mac);
    return 0;
}

/* Frames to the groups that our addresses belong to; where the driver cannot choose, all groups. */
static void groups_join(const struct haul_port *port, const struct haul_ether *ether)
{
    uint8_t macs[HAUL_ETHER_GROUPS_MAX][HAUL_MAC_BYTES];
    struct rte_ether_addr groups[HAUL_ETHER_GROUPS_MAX];
    size_t count = haul_ether_groups(ether, macs);

    for (size_t i = 0; i < count; i++)
        memcpy(groups[i].addr_bytes, macs[i], HAUL_MAC_BYTES);
    if (count > 0 && rte_eth_dev_set_mc_addr_list(port->id, groups, (uint32_t)count) != 0 &&
        rte_eth_allmulticast_enable(port->id) != 0)
        rte_eth_promiscuous_enable(port->id); /* shared memory filters nothing anyway */
}

/* A driver may offer to cut and then refuse it. */
static void cut_try(struct haul_port *port, const struct haul_net_port *conf)
{
    bool taken;

    if (port->cut_most == 0)
        return;
    taken = port->cut_most > 1 && haul_cut_try(port->id, port->pool, conf->vlan, conf->mtu);
    haul_log(HAUL_LOG_INFO, "dpdk-segmentation", "driver=\"%s\" datagrams=%" PRIu32 " used=%s%s",
             port->driver, port->cut_most, taken ? "yes" : "no",
             taken ? "" : " what=\"it offers to cut trains into datagrams, and refuses one\"");
    if (!taken)
        port->cut_most = 0;
}

int haul_port_start(struct haul_port *port, const struct haul_net_port *conf,
                    const struct haul_ether *ether, struct haul_error *error)
{
    int code = rte_eth_dev_start(port->id);

    if (code != 0)
        return haul_port_refused(port, conf, "it did not start", code, error);
    port->started = true;
    cut_try(port, conf);
    groups_join(port, ether);
    return 0;
}

int haul_port_interrupt(const struct haul_port *port, uint16_t queue)
{
    int fd = port->wakes ? rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, queue) : -1;

    if (fd < 0 || rte_eth_dev_rx_intr_enable(port->id, queue) != 0)
        return -1;
    rte_eth_dev_rx_intr_disable(port->id, queue);
    return fd;
}

/* --- which UDP port comes to which queue --- */

/* True when the card took the table. */
static bool hash_set(const struct haul_port *port, uint16_t first)
{
    struct rte_eth_rss_reta_entry64 *table;
    struct rte_eth_dev_info info;
    uint32_t entries;
    bool taken;

    if (!port->hash_asked || rte_eth_dev_info_get(port->id, &info) != 0)
        return false;
    entries = info.reta_size; /* eight on some cards, thousands on others */
    table =
        table_fits(entries) ? calloc(entries / RTE_ETH_RETA_GROUP_SIZE + 1, sizeof *table) : NULL;
    if (table == NULL)
        return false;
    for (uint32_t i = 0; i < entries; i++) {
        table[i / RTE_ETH_RETA_GROUP_SIZE].mask |= UINT64_C(1) << i % RTE_ETH_RETA_GROUP_SIZE;
        table[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
            haul_rss_queue(i, first, port->queues);
    }
    taken = rte_eth_dev_rss_reta_update(port->id, table, (uint16_t)entries) == 0;
    free(table);
    return taken;
}

/* Whether the driver took it. Those that know no rules say so at once. */
static bool rule_make(const struct haul_port *port, enum rte_flow_item_type ip, uint16_t udp,
                      uint16_t queue)
{
    const struct rte_flow_attr attributes = { .ingress = 1 };
    const struct rte_flow_item_udp wanted = { .hdr.dst_port = rte_cpu_to_be_16(udp) };
    const struct rte_flow_item_udp mask = { .hdr.dst_port = RTE_BE16(0xffff) };
    const struct rte_flow_action_queue target = { .index = queue };
    const struct rte_flow_item pattern[] = {
        { .type = RTE_FLOW_ITEM_TYPE_ETH },
        { .type = ip },
        { .type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &wanted, .mask = &mask },
        { .type = RTE_FLOW_ITEM_TYPE_END },
    };
    const struct rte_flow_action actions[] = {
        { .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &target },
        { .type = RTE_FLOW_ACTION_TYPE_END },
    };
    struct rte_flow_error error;

    return rte_flow_validate(port->id, &attributes, pattern, actions, &error) == 0 &&
           rte_flow_create(port->id, &attributes, pattern, actions, &error) != NULL;
}

/* For the first queue too: most cards bring there what no rule names, but not all. They go when the
 * port stops. */
void haul_port_steer(struct haul_port *port, uint16_t first)
{
    if (port->queues < 2)
        return;
    for (uint16_t queue = 0; queue < port->queues; queue++) {
        uint16_t udp = (uint16_t)(first + queue);

        port->rules += rule_make(port, RTE_FLOW_ITEM_TYPE_IPV4, udp, queue);
        port->rules += rule_make(port, RTE_FLOW_ITEM_TYPE_IPV6, udp, queue);
    }
    port->hashes = hash_set(port, first);
    haul_log(HAUL_LOG_INFO, "dpdk-queues", "queues=%" PRIu16 " rules=%" PRIu32 " hash=%s",
             port->queues, port->rules, port->hashes ? "yes" : "no");
}

void haul_port_close(struct haul_port *port)
{
    if (port->started)
        rte_eth_dev_stop(port->id);
    if (port->attached)
        haul_eal_detach(port->id);
    haul_handover_close(&port->handover);
    rte_mempool_free(port->pool);
    if (port->interface_fd >= 0)
        close(port->interface_fd);
    *port = (struct haul_port){ .interface_fd = -1 };
}
