/* Provider records: who said that it has what. Bounded and expiring: an entry lives for as long as
 * the caller says (48 hours by the specification), a key names at most so many providers, one peer
 * fills at most a share of the store, and when it is full the entry that is farthest from us makes
 * room for one that is nearer, because others look for the nearer one here. Pure; the memory is the
 * caller's, and of entries never used it is not touched. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/kad/key.h"

#define HAUL_KAD_PROVIDERS_PER_KEY 32u
#define HAUL_KAD_PROVIDERS_SLOTS   1024u /* peers are counted by a hash of their id */
#define HAUL_KAD_PROVIDER_LIFE     (48 * 3600 * HAUL_SECOND)
#define HAUL_KAD_REPUBLISH_EVERY   (22 * 3600 * HAUL_SECOND)

struct haul_kad_provider {
    struct haul_kad_key key; /* of the multihash */
    struct haul_peer_id peer;
    uint32_t next; /* in its chain, or among the free ones */
    haul_time ends;
};

#define HAUL_KAD_PROVIDERS_COUNTERS(X)                                                             \
    X(providers_stored, "provider records stored")                                                 \
    X(providers_renewed, "provider records told again in time")                                    \
    X(providers_expired, "provider records that ran out")                                          \
    X(providers_evicted, "provider records that made room for nearer ones")                        \
    X(providers_refused, "provider records refused by a limit")

struct haul_kad_providers_counters {
#define X(name, help) uint64_t name;
    HAUL_KAD_PROVIDERS_COUNTERS(X)
#undef X
};

struct haul_kad_providers {
    struct haul_kad_key own;
    struct haul_kad_provider *entries;
    uint32_t *chains; /* chain_count of them, a power of two */
    uint32_t capacity, chain_count, count, fresh, free, hand;
    uint32_t per_peer_max;
    uint32_t per_peer[HAUL_KAD_PROVIDERS_SLOTS];
    struct haul_kad_providers_counters counters;
};

void haul_kad_providers_init(struct haul_kad_providers *providers, const struct haul_kad_key *own,
                             struct haul_kad_provider *entries, uint32_t capacity, uint32_t *chains,
                             uint32_t chain_count);

/* False when a limit refuses it. */
bool haul_kad_providers_add(struct haul_kad_providers *providers, const struct haul_kad_key *key,
                            const struct haul_peer_id *peer, haul_time now, haul_time life);

/* The providers of a key that have not expired, newest first. Returns how many were written. */
size_t haul_kad_providers_get(const struct haul_kad_providers *providers,
                              const struct haul_kad_key *key, haul_time now,
                              struct haul_peer_id *peers, size_t capacity);

/* Frees what has expired, looking at `most` entries and going on from there the next time. */
void haul_kad_providers_expire(struct haul_kad_providers *providers, haul_time now, uint32_t most);
