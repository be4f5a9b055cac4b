/* Which receive queue a card chooses for a datagram: the Toeplitz hash of addresses and ports under
 * the card's key, whose low bits index its redirection table. A worker that sends from a well
 * chosen port gets the answers on its own queue. */
#pragma once

#include "common/addr.h"

#define HAUL_RSS_KEY_BYTES 40u

/* The hash over source and target address and ports as they stand in a received packet. `key` is
 * HAUL_RSS_KEY_BYTES long or longer. Both ends are of one family. */
uint32_t haul_rss_hash(const uint8_t *key, const struct haul_addr *source,
                       const struct haul_addr *target);

/* What a card is set to: `table[hash % entries]` is the queue; entries is a power of two. */
struct haul_rss {
    const uint8_t *key;
    const uint16_t *table;
    uint32_t entries;
};

/* The first of `count` ports from `local->port` on that brings packets from `peer` to `queue`; zero
 * when none of them does. */
uint16_t haul_rss_port(const struct haul_rss *rss, const struct haul_addr *local,
                       const struct haul_addr *peer, uint16_t count, uint16_t queue);
