/* Receive side scaling by the target port alone. A card hashes addresses and ports of each datagram
 * (Toeplitz) under a key, and looks up the queue in a table by the low bits of the hash. The key is
 * ours to choose: under this one the hash of a datagram over IPv4 is made of the last bits of its
 * target port and of nothing else, so that the table brings the port of each worker to its queue,
 * whoever sends. For cards that have a hash and no rules. Over IPv6 the input is longer and the one
 * key cannot serve both: those datagrams are not to be hashed. */
#pragma once

#include "common/bytes.h"

#define HAUL_RSS_KEY_BYTES  40u
#define HAUL_RSS_QUEUES_MAX 8u /* and as many ports in a row */

/* `bytes`: HAUL_RSS_KEY_BYTES, or more where the card wants a longer key. */
void haul_rss_key(uint8_t *key, size_t bytes);

/* The queue that entry `entry` of the card's table is to name, so that port `first` + n comes to
 * queue n of `queues`; for tables of eight entries or more, a power of two. */
uint16_t haul_rss_queue(uint32_t entry, uint16_t first, uint16_t queues);
