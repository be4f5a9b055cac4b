/* Trains that the card cuts into datagrams (UDP segmentation). The buffers of a train become one
 * packet: headers before the first datagram, the others behind it as they lie. The card writes the
 * headers before each datagram anew, with its lengths and sums. Nothing is copied, and no buffer is
 * needed beside those of the datagrams. docs/decisions/0028-segmentation.md has what drivers make
 * of it. Internal to dataplane/net/dpdk. */
#pragma once

#include "dataplane/ethernet/header.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

/* What the driver is to be asked for; zero where it does not offer all of that, or is known to cut
 * otherwise than it was told. */
uint64_t haul_cut_offloads(const struct rte_eth_dev_info *info);

/* How many buffers, and so datagrams, one packet may have, by what the driver states: fewer than
 * two is none. */
uint32_t haul_cut_most(const struct rte_eth_dev_info *info);

/* Whether the driver takes such packets, of either family; there are drivers that offer it and
 * refuse each. The port runs, and nobody sends on it yet. */
bool haul_cut_try(uint16_t port, struct rte_mempool *pool, uint16_t vlan, uint16_t mtu);

/* How many of `count` datagrams of `segment` bytes, the last perhaps shorter, make the next packet.
 * Fewer than two: none, they go a frame each. */
uint32_t haul_cut_count(uint32_t most, const struct haul_ether_header *header, uint32_t segment,
                        uint32_t count);

/* Makes one packet of `count` frames with a datagram each, `bytes` in all; frames[0] is what is
 * sent. */
void haul_cut_join(const struct haul_ether_header *header, struct rte_mbuf **frames, uint32_t count,
                   uint32_t bytes, uint16_t segment, uint8_t ecn);
/* The packet is frames again, without headers. */
void haul_cut_part(struct rte_mbuf **frames, uint32_t count);
