/* Whether our addresses can be reached from outside: what other peers found when they tried, each
 * network with one vote an address, until the vote is too old. Pure.
 *
 * A reach that was proven (AutoNAT v2: our own random number came back through the address) counts
 * four; one that a server only claims (AutoNAT v1) counts one, and a failure, which is always only
 * claimed, counts one against it. So a server alone can prove an address, but it takes several
 * networks to talk one down. Pure. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_VERDICT_ADDRESSES_MAX 16u
#define HAUL_VERDICT_VOTES_MAX     8u
#define HAUL_VERDICT_DECIDED       3 /* points either way */
#define HAUL_VERDICT_PROVEN        4 /* points of a proof */
#define HAUL_VERDICT_LIFE          (60 * 60 * HAUL_SECOND)
#define HAUL_VERDICT_AGAIN         (20 * 60 * HAUL_SECOND) /* before a network is asked again */

enum haul_reach { HAUL_REACH_UNKNOWN, HAUL_REACH_REACHABLE, HAUL_REACH_UNREACHABLE };
const char *haul_reach_name(enum haul_reach reach);

struct haul_verdict_vote {
    uint64_t voter;  /* haul_verdict_voter; 0: free */
    int8_t points;   /* 0: no answer yet */
    haul_time at;    /* of the answer */
    haul_time asked; /* at last */
};

struct haul_verdict {
    struct haul_multiaddr address;
    struct haul_verdict_vote votes[HAUL_VERDICT_VOTES_MAX];
};

struct haul_verdicts {
    struct haul_verdict entries[HAUL_VERDICT_ADDRESSES_MAX];
    size_t count;
};

/* Who votes: a public peer's network, or the address of another. */
uint64_t haul_verdict_voter(const struct haul_addr *server);

/* The addresses in question from now on; votes on those that stay are kept. */
void haul_verdicts_about(struct haul_verdicts *verdicts, const struct haul_multiaddr *addresses,
                         size_t count);

/* NULL when it is not in question. */
struct haul_verdict *haul_verdict_find(struct haul_verdicts *verdicts,
                                       const struct haul_multiaddr *address);

/* May this voter be asked now? It is being asked. It has answered, which is worth so many points.
 */
bool haul_verdict_open(const struct haul_verdict *verdict, uint64_t voter, haul_time now);
void haul_verdict_ask(struct haul_verdict *verdict, uint64_t voter, haul_time now);
void haul_verdict_vote(struct haul_verdict *verdict, uint64_t voter, int8_t points, haul_time now);

/* The sum of the live votes, and what it says. */
int haul_verdict_points(const struct haul_verdict *verdict, haul_time now);
enum haul_reach haul_verdict_of(const struct haul_verdict *verdict, haul_time now);
