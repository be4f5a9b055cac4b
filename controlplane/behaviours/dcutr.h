/* Direct connection upgrade through relay (libp2p specs, relay/DCUtR.md). Two peers that have met
 * through a relay tell each other over it where they seem to be, measure how long a word takes, and
 * dial at the same moment, so that each one's first packet opens its own gateway for the other's.
 *
 * Whoever was dialled through the relay begins: first with a plain dial, if the other has said a
 * public address of its own, then with at most three punches, each as long as a packet that is sent
 * once more takes. It answers in the handshake although
 * both dial. When a direct connection is there, the relayed one is closed after a while; when none
 * comes of it, the relayed one stays.
 *
 * A peer can make us knock at addresses of its choice: so these are few, of a scope that the
 * configuration allows, and few peers at once. Control thread only; open it before the host, start
 * it when the host listens, close it after the host. */
#pragma once

#include "controlplane/host/host.h"

#define HAUL_DCUTR_ATTEMPTS_MAX 3u
#define HAUL_DCUTR_MEETINGS_MAX 64u
#define HAUL_DCUTR_PLACES_MAX   8u /* addresses of a peer that are knocked at */

#define HAUL_DCUTR_COUNTERS(X)                                                                     \
    X(began, "peers met through a relay that this node tried to meet directly")                    \
    X(reached, "of these, reached by a plain dial")                                                \
    X(punches, "punches, ours and those that peers asked for")                                     \
    X(punched, "direct connections that came of them")                                             \
    X(failed, "peers that could not be met directly")                                              \
    X(asked, "punches that peers asked for")                                                       \
    X(refused, "of these, refused: not over a relay, or too many at once")                         \
    X(malformed, "messages that could not be understood, or were out of place")                    \
    X(addresses_dropped, "addresses of peers that were not allowed, or too many")                  \
    X(relayed_closed, "relayed connections closed since there is a direct one")

struct haul_dcutr_counters {
#define X(name, help) uint64_t name;
    HAUL_DCUTR_COUNTERS(X)
#undef X
};

struct haul_dcutr_conf {
    struct haul_loop *loop;
    enum haul_addr_scope floor; /* the narrowest scope of addresses that are told and knocked at */
    enum haul_addr_scope plain; /* ... that are dialled before the first punch */
    haul_time grace;            /* of a relayed connection beside a direct one; 0: 10 s */
};

struct haul_dcutr;

extern const struct haul_behaviour haul_dcutr_behaviour;

HAUL_MUST_USE int haul_dcutr_open(struct haul_dcutr **dcutr, const struct haul_dcutr_conf *conf,
                                  struct haul_error *error);
void haul_dcutr_start(struct haul_dcutr *dcutr, struct haul_host *host);
void haul_dcutr_close(struct haul_dcutr *dcutr);
const struct haul_dcutr_counters *haul_dcutr_counters(const struct haul_dcutr *dcutr);

/* Whether nothing more will come of that relayed connection, which we dialled: the peer does not
 * speak this, has not begun, or as many punches as there may be have failed. False while it is not
 * known. */
bool haul_dcutr_over(const struct haul_dcutr *dcutr, uint64_t relayed);

/* Where peers see the TCP port that this node listens on, from the connections that were dialled
 * from it, the newest first; returns how many. */
size_t haul_dcutr_observed(const struct haul_host *host, enum haul_addr_scope floor,
                           struct haul_addr *addresses, size_t capacity);
