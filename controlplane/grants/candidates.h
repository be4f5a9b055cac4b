/* Which addresses a fast path may be tried on. A peer says where it may be reached, and we send
 * probes there: so an address must lie in the same kind of network as the control connection, or in
 * a network that this node's own configuration names (`fast.networks`), and never in a special or
 * multicast range. Otherwise a peer could make us knock at doors inside our own network. Pure. */
#pragma once

#include "common/handoff.h"

#define HAUL_NETWORKS_MAX 16u

struct haul_network {
    struct haul_addr base; /* its port does not matter */
    uint8_t bits;
};

/* "10.0.0.0/8", "fd00::/8"; bits of the address behind the prefix must be zero. */
HAUL_MUST_USE bool haul_network_parse(const char *text, struct haul_network *network);
bool haul_network_holds(const struct haul_network *network, const struct haul_addr *addr);

struct haul_candidate_rule {
    struct haul_addr control; /* the other end of the control connection */
    bool relayed;             /* ... which runs through a relay: public addresses only */
    const struct haul_network *networks;
    size_t network_count;
};

bool haul_candidate_allowed(const struct haul_candidate_rule *rule, const struct haul_addr *addr);

/* The allowed ones among the first HAUL_CANDIDATES_MAX, each once, in their order. A link-local
 * address takes the interface of the control connection, for a peer's numbers mean nothing here.
 * Returns how many; `dropped` counts the others. */
size_t haul_candidates_choose(const struct haul_candidate_rule *rule,
                              const struct haul_addr *offered, size_t count,
                              struct haul_addr chosen[HAUL_CANDIDATES_MAX], size_t *dropped);
