/* Peers for the tests of the DHT: peer n of a seed is always the same. */
#pragma once

#include "common/rng.h"
#include "controlplane/p2p/kad/key.h"

#include <string.h>

static inline struct haul_peer_id kad_rig_peer(uint64_t n)
{
    struct haul_peer_id id = { .length = 38, .bytes = { 0x00, 0x24, 0x08, 0x01, 0x12, 0x20 } };
    struct haul_rng rng;

    haul_rng_init(&rng, n);
    haul_rng_fill(&rng, id.bytes + 6, 32);
    return id;
}

static inline struct haul_kad_contact kad_rig_contact(uint64_t n)
{
    struct haul_kad_contact contact;
    struct haul_peer_id id = kad_rig_peer(n);

    haul_kad_contact_of(&id, 0, &contact);
    return contact;
}
