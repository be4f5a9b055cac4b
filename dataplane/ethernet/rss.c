/* A key with one bit set: the hash is then the last bits of the target port, turned round. */
#include "dataplane/ethernet/rss.h"

#include <string.h>

/* The input over IPv4 is 4 + 4 + 2 + 2 bytes, the target port last. Bit b of the key counts for bit
 * i of the input at place i + 31 - b of the hash: this one puts the last three bits of the port at
 * places 0 to 2, and no other bit of the input anywhere. */
#define INPUT_BITS 96u
#define PORT_BITS  3u
#define KEY_BIT    (INPUT_BITS - PORT_BITS + 31u)

void haul_rss_key(uint8_t *key, size_t bytes)
{
    haul_assert(bytes >= HAUL_RSS_KEY_BYTES && 1u << PORT_BITS == HAUL_RSS_QUEUES_MAX);
    memset(key, 0, bytes);
    key[KEY_BIT / 8] = (uint8_t)(0x80u >> KEY_BIT % 8);
}

uint16_t haul_rss_queue(uint32_t entry, uint16_t first, uint16_t queues)
{
    uint32_t port = (entry & 1) << 2 | (entry & 2) | (entry & 4) >> 2;
    uint16_t queue = (uint16_t)((port - first) & (HAUL_RSS_QUEUES_MAX - 1));

    haul_assert(queues > 0 && queues <= HAUL_RSS_QUEUES_MAX);
    return queue < queues ? queue : 0;
}
