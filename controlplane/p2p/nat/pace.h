/* How often strangers may ask: so many times a minute one peer, so many all peers of one network
 * (IPv4 /16, IPv6 /32; of private addresses one address, or one /64), as many of them at once. A
 * table of those who have asked lately, of fixed size: when it is full, whoever is not in it waits.
 * Pure. */
#pragma once

#include "common/addr.h"
#include "common/time.h"
#include "controlplane/p2p/peerid.h"

#define HAUL_PACE_ENTRIES 512u
#define HAUL_PACE_SPAN    (60 * HAUL_SECOND)

struct haul_pace_limits {
    uint32_t per_peer, per_network; /* a minute; 0: none may */
};

struct haul_pace_entry {
    struct haul_peer_id peer; /* length 0: a network */
    uint64_t network;
    haul_time rested_at; /* when it may ask as often as a newcomer; in the past: free */
};

struct haul_pace {
    struct haul_pace_limits limits;
    struct haul_pace_entry entries[HAUL_PACE_ENTRIES];
};

void haul_pace_init(struct haul_pace *pace, const struct haul_pace_limits *limits);

/* True when the peer at this address may ask now, and then it is written down. */
HAUL_MUST_USE bool haul_pace_take(struct haul_pace *pace, const struct haul_peer_id *peer,
                                  const struct haul_addr *address, haul_time now);
