/* A hash table of chains over one array. Keys are digests, so their own bytes are their hash. */
#include "controlplane/p2p/kad/providers.h"

#include <string.h>

#define NONE        UINT32_MAX
#define EVICT_LOOKS 16u

void haul_kad_providers_init(struct haul_kad_providers *providers, const struct haul_kad_key *own,
                             struct haul_kad_provider *entries, uint32_t capacity, uint32_t *chains,
                             uint32_t chain_count)
{
    haul_assert(chain_count > 0 && (chain_count & (chain_count - 1)) == 0 && capacity < NONE);
    memset(providers, 0, sizeof *providers);
    providers->own = *own;
    providers->entries = entries;
    providers->capacity = capacity;
    providers->chains = chains;
    providers->chain_count = chain_count;
    providers->free = NONE;
    /* An eighth, and never so little that a small store is of no use. */
    providers->per_peer_max = capacity / 8 > 16 ? capacity / 8 : 16;
    for (uint32_t i = 0; i < chain_count; i++)
        chains[i] = NONE;
}

static uint32_t *chain_of(const struct haul_kad_providers *providers,
                          const struct haul_kad_key *key)
{
    uint32_t hash;

    /* The last bytes: those that we store share their first ones with us. */
    memcpy(&hash, key->bytes + HAUL_KAD_KEY_BYTES - sizeof hash, sizeof hash);
    return &providers->chains[hash & (providers->chain_count - 1)];
}

/* The last bytes of an id are those of a key or a digest. */
static uint32_t *peer_slot(struct haul_kad_providers *providers, const struct haul_peer_id *peer)
{
    uint16_t hash;

    memcpy(&hash, peer->bytes + peer->length - sizeof hash, sizeof hash);
    return &providers->per_peer[hash % HAUL_KAD_PROVIDERS_SLOTS];
}

static void drop(struct haul_kad_providers *providers, uint32_t index)
{
    struct haul_kad_provider *entry = &providers->entries[index];
    uint32_t *link = chain_of(providers, &entry->key);

    while (*link != index)
        link = &providers->entries[*link].next;
    *link = entry->next;
    entry->next = providers->free;
    entry->ends = 0; /* free */
    providers->free = index;
    providers->count--;
    --*peer_slot(providers, &entry->peer);
}

void haul_kad_providers_expire(struct haul_kad_providers *providers, haul_time now, uint32_t most)
{
    for (uint32_t i = 0; i < most && i < providers->fresh; i++) {
        uint32_t at = providers->hand;

        providers->hand = at + 1 < providers->fresh ? at + 1 : 0;
        if (providers->entries[at].ends != 0 && providers->entries[at].ends <= now) {
            drop(providers, at);
            providers->counters.providers_expired++;
        }
    }
}

/* Looks at a few entries in turn: one that has expired goes, else the farthest when the newcomer is
 * nearer. */
static void evict(struct haul_kad_providers *providers, const struct haul_kad_key *key,
                  haul_time now)
{
    unsigned newcomer = haul_kad_shared_bits(&providers->own, key);
    unsigned fewest = HAUL_KAD_KEY_BITS;
    uint32_t farthest = NONE;

    for (uint32_t i = 0; i < EVICT_LOOKS && i < providers->fresh; i++) {
        uint32_t at = providers->hand;
        unsigned bits;

        providers->hand = at + 1 < providers->fresh ? at + 1 : 0;
        if (providers->entries[at].ends == 0)
            continue;
        if (providers->entries[at].ends <= now) {
            drop(providers, at);
            providers->counters.providers_expired++;
            return;
        }
        bits = haul_kad_shared_bits(&providers->own, &providers->entries[at].key);
        if (bits < fewest) {
            fewest = bits;
            farthest = at;
        }
    }
    if (farthest != NONE && fewest < newcomer) {
        drop(providers, farthest);
        providers->counters.providers_evicted++;
    }
}

static uint32_t take_free(struct haul_kad_providers *providers)
{
    uint32_t index = providers->free;

    if (index != NONE) {
        providers->free = providers->entries[index].next;
        return index;
    }
    return providers->fresh < providers->capacity ? providers->fresh++ : NONE;
}

/* Drops what has expired of the key's own chain, and finds the peer's entry. */
static uint32_t chain_walk(struct haul_kad_providers *providers, const struct haul_kad_key *key,
                           const struct haul_peer_id *peer, haul_time now, unsigned *same_key)
{
    uint32_t next, found = NONE;

    *same_key = 0;
    for (uint32_t i = *chain_of(providers, key); i != NONE; i = next) {
        const struct haul_kad_provider *entry = &providers->entries[i];

        next = entry->next;
        if (entry->ends <= now) {
            drop(providers, i);
            providers->counters.providers_expired++;
        } else if (haul_kad_key_equal(&entry->key, key)) {
            ++*same_key;
            if (haul_peer_id_equal(&entry->peer, peer))
                found = i;
        }
    }
    return found;
}

bool haul_kad_providers_add(struct haul_kad_providers *providers, const struct haul_kad_key *key,
                            const struct haul_peer_id *peer, haul_time now, haul_time life)
{
    unsigned same_key;
    uint32_t index = chain_walk(providers, key, peer, now, &same_key);
    uint32_t *chain = chain_of(providers, key), *slot = peer_slot(providers, peer);

    if (index != NONE) {
        providers->entries[index].ends = haul_time_add(now, life);
        providers->counters.providers_renewed++;
        return true;
    }
    if (same_key < HAUL_KAD_PROVIDERS_PER_KEY && *slot < providers->per_peer_max) {
        if (providers->count == providers->capacity)
            evict(providers, key, now);
        index = take_free(providers);
    }
    if (index == NONE) {
        providers->counters.providers_refused++;
        return false;
    }
    providers->entries[index] = (struct haul_kad_provider){
        .key = *key, .peer = *peer, .next = *chain, .ends = haul_time_add(now, life)
    };
    *chain = index;
    ++*slot;
    providers->count++;
    providers->counters.providers_stored++;
    return true;
}

size_t haul_kad_providers_get(const struct haul_kad_providers *providers,
                              const struct haul_kad_key *key, haul_time now,
                              struct haul_peer_id *peers, size_t capacity)
{
    size_t count = 0;

    for (uint32_t i = *chain_of(providers, key); i != NONE && count < capacity;
         i = providers->entries[i].next) {
        const struct haul_kad_provider *entry = &providers->entries[i];

        if (entry->ends > now && haul_kad_key_equal(&entry->key, key))
            peers[count++] = entry->peer;
    }
    return count;
}
