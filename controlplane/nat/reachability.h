/* How this node is seen, and what follows from it. It collects what peers say of our address, asks
 * them to dial the addresses that we may have, and decides what is told to others: nothing that has
 * been proven unreachable, and what was merely guessed only once it has been proven. Where the
 * configuration leaves it open, the node dials for others as soon as it is itself reachable.
 *
 * It hears of peers through AutoNAT's behaviours, so these must stand in the host's list with the
 * service that it opens. Control thread only. */
#pragma once

#include "controlplane/behaviours/autonat.h"
#include "controlplane/p2p/nat/observed.h"
#include "controlplane/p2p/nat/verdict.h"

enum haul_reachability_serve { HAUL_SERVE_AUTO, HAUL_SERVE_ON, HAUL_SERVE_OFF };

struct haul_reachability_conf {
    struct haul_loop *loop;
    enum haul_reachability_serve serve;
    enum haul_addr_scope floor; /* narrower addresses are not asked about */
    void *context;
    /* The node can be reached from elsewhere from now on, or no more, or it is not known any more;
     * what it then begins or ceases to speak is told to peers right after. May be NULL. */
    void (*changed)(void *context, enum haul_reach reach);
};

struct haul_reachability;

/* NULL without memory. Opened before the host, started when it listens, closed after it. */
struct haul_reachability *haul_reachability_open(const struct haul_reachability_conf *conf);
void haul_reachability_start(struct haul_reachability *reach, struct haul_host *host);
void haul_reachability_stop(struct haul_reachability *reach); /* before the host is closed */
void haul_reachability_close(struct haul_reachability *reach);
struct haul_autonat *haul_reachability_autonat(struct haul_reachability *reach);

/* Addresses that a gateway forwards to us, instead of those before. */
void haul_reachability_mapped(struct haul_reachability *reach,
                              const struct haul_multiaddr *addresses, size_t count);

/* Whether peers elsewhere can dial us: any public address that can be reached is enough, and it
 * takes all of them to say no. */
enum haul_reach haul_reachability_of(const struct haul_reachability *reach);

/* One address after the other; false at the end. */
struct haul_reachability_fact {
    struct haul_multiaddr address;
    enum haul_reach reach;
    int points;         /* how sure: see verdict.h */
    const char *source; /* "listening", "mapped", "observed", "guessed" */
};
bool haul_reachability_fact(const struct haul_reachability *reach, size_t index,
                            struct haul_reachability_fact *fact);
const struct haul_observed *haul_reachability_observed(const struct haul_reachability *reach);
