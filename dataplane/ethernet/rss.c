/* The Toeplitz hash, bit by bit: it runs once a peer, not once a datagram. */
#include "dataplane/ethernet/rss.h"

#include <string.h>

#define INPUT_BYTES_MAX 36u

static uint32_t toeplitz(const uint8_t *key, const uint8_t *input, size_t bytes)
{
    uint64_t window = 0;
    uint32_t hash = 0;

    for (size_t i = 0; i < 8; i++)
        window = window << 8 | key[i];
    for (size_t i = 0; i < bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if ((input[i] >> (7 - bit) & 1) != 0)
                hash ^= (uint32_t)(window >> (32 - bit));
        }
        window = window << 8 | (i + 8 < HAUL_RSS_KEY_BYTES ? key[i + 8] : 0);
    }
    return hash;
}

uint32_t haul_rss_hash(const uint8_t *key, const struct haul_addr *source,
                       const struct haul_addr *target)
{
    size_t ip_bytes = source->family == 4 ? 4 : 16;
    uint8_t input[INPUT_BYTES_MAX];
    uint8_t *at = input;

    haul_assert(source->family == target->family);
    memcpy(at, source->ip, ip_bytes);
    memcpy(at + ip_bytes, target->ip, ip_bytes);
    at += 2 * ip_bytes;
    at[0] = (uint8_t)(source->port >> 8);
    at[1] = (uint8_t)source->port;
    at[2] = (uint8_t)(target->port >> 8);
    at[3] = (uint8_t)target->port;
    return toeplitz(key, input, 2 * ip_bytes + 4);
}

uint16_t haul_rss_port(const struct haul_rss *rss, const struct haul_addr *local,
                       const struct haul_addr *peer, uint16_t count, uint16_t queue)
{
    struct haul_addr candidate = *local;

    haul_assert((rss->entries & (rss->entries - 1)) == 0 && rss->entries > 0);
    for (uint32_t i = 0; i < count && local->port + i <= UINT16_MAX; i++) {
        candidate.port = (uint16_t)(local->port + i);
        if (rss->table[haul_rss_hash(rss->key, peer, &candidate) & (rss->entries - 1)] == queue)
            return candidate.port;
    }
    return 0;
}
