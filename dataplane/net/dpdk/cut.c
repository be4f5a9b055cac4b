/* Packets for cards that cut, and whether a card does. */
#include "dataplane/net/dpdk/cut.h"

#include "dataplane/net/dpdk/port.h"

#include <string.h>

#define BUFFERS_A_DATAGRAM 2u /* that of the headers, and its own */
#define TRIAL_BYTES        1200u

/* Drivers that take the flag, and then cut IP packets by the MTU of the port. */
static bool cuts_otherwise(const char *driver)
{
    return strcmp(driver, "net_zxdh") == 0;
}

uint64_t haul_cut_offloads(const struct rte_eth_dev_info *info)
{
    const uint64_t all = RTE_ETH_TX_OFFLOAD_UDP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |
                         RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;

    if ((info->tx_offload_capa & all) != all || cuts_otherwise(info->driver_name) ||
        haul_cut_most(info) < 2)
        return 0;
    return all;
}

/* A limit of zero is one that the driver does not state. */
uint32_t haul_cut_most(const struct rte_eth_dev_info *info)
{
    const struct rte_eth_desc_lim *limit = &info->tx_desc_lim;

    if (limit->nb_mtu_seg_max != 0 && limit->nb_mtu_seg_max < BUFFERS_A_DATAGRAM)
        return 0;
    return limit->nb_seg_max != 0 && limit->nb_seg_max < HAUL_PORT_BURST ? limit->nb_seg_max
                                                                         : HAUL_PORT_BURST;
}

/* The IP packet has a length of 16 bits, and so has a frame in many drivers. */
uint32_t haul_cut_count(uint32_t most, const struct haul_ether_header *header, uint32_t segment,
                        uint32_t count)
{
    uint32_t room = (UINT16_MAX - header->length) / segment;

    if (segment > header->payload_max) /* as datagrams they are too large, each by itself */
        return 0;
    most = most < room ? most : room;
    return count < most ? count : most;
}

/* The flag for the sum of UDP is left out: with it, DPDK's own preparation (rte_net) of 22.11 puts
 * a sum into the header that counts the length of all datagrams together. Drivers sum what they cut
 * without being told. */
void haul_cut_join(const struct haul_ether_header *header, struct rte_mbuf **frames, uint32_t count,
                   uint32_t bytes, uint16_t segment, uint8_t ecn)
{
    struct rte_mbuf *first = frames[0];
    uint32_t left = bytes;

    for (uint32_t i = 0; i < count; i++) {
        frames[i]->data_off = RTE_PKTMBUF_HEADROOM;
        frames[i]->data_len = (uint16_t)(left < segment ? left : segment);
        frames[i]->next = i + 1 < count ? frames[i + 1] : NULL;
        left -= frames[i]->data_len;
    }
    first->data_off = (uint16_t)(RTE_PKTMBUF_HEADROOM - header->length);
    first->data_len = (uint16_t)(first->data_len + header->length);
    first->pkt_len = bytes + header->length;
    first->nb_segs = (uint16_t)count;
    first->ol_flags =
        RTE_MBUF_F_TX_UDP_SEG |
        (header->family == 4 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6);
    first->tx_offload = 0;
    first->l2_len = (uint64_t)header->ip_at & 0x7f;
    first->l3_len = (uint64_t)(header->udp_at - header->ip_at) & 0x1ff;
    first->l4_len = 8;
    first->tso_segsz = segment;
    haul_ether_header_write(
        header, (uint8_t *)first->buf_addr + first->data_off, (uint16_t)bytes, ecn,
        HAUL_ETHER_SUM_IP_CARD | HAUL_ETHER_SUM_UDP_CARD | HAUL_ETHER_SUM_SEGMENT);
}

void haul_cut_part(struct rte_mbuf **frames, uint32_t count)
{
    frames[0]->nb_segs = 1;
    frames[0]->ol_flags = 0;
    frames[0]->tx_offload = 0;
    for (uint32_t i = 0; i < count; i++)
        frames[i]->next = NULL;
}

static bool try_one(uint16_t port, struct rte_mempool *pool, const struct haul_ether_ends *ends)
{
    struct haul_ether_header header;
    struct rte_mbuf *frames[2];
    bool taken;

    if (rte_pktmbuf_alloc_bulk(pool, frames, HAUL_COUNT_OF(frames)) != 0)
        return false;
    haul_ether_header_init(&header, ends);
    haul_cut_join(&header, frames, HAUL_COUNT_OF(frames), 2 * TRIAL_BYTES, TRIAL_BYTES, 0);
    taken = rte_eth_tx_prepare(port, 0, frames, 1) == 1;
    rte_pktmbuf_free(frames[0]);
    return taken;
}

bool haul_cut_try(uint16_t port, struct rte_mempool *pool, uint16_t vlan, uint16_t mtu)
{
    static const uint8_t mac[HAUL_MAC_BYTES] = { 2 }, ip[16] = { 0x20, 0x01, 0x0d, 0xb8 };
    struct haul_ether_ends ends = {
        .source_mac = mac,
        .target_mac = mac,
        .source_ip = ip,
        .target_ip = ip,
        .family = 4,
        .vlan = vlan,
        .source_port = 1,
        .target_port = 1,
        .mtu = mtu,
    };
    bool taken = try_one(port, pool, &ends);

    ends.family = 6;
    return taken && try_one(port, pool, &ends);
}
