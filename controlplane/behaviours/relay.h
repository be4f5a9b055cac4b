/* Circuit relay v2 (libp2p specs, relay/circuit-v2.md), both ends of it. As a server this node
 * keeps places for peers that nobody can dial and passes on the bytes of those who want to reach
 * them, within limits that it says beforehand; it is off unless the configuration says otherwise.
 * As a client it keeps a place at each relay that it was given, tells its addresses there
 * (/p2p-circuit), dials such addresses of others, and lets in who comes that way. The connection
 * inside is the end peers' own: a relay sees who meets whom and how much, and nothing else.
 *
 * One service for both protocols: open it before the host, start it when the host listens, close it
 * after the host. Control thread only. */
#pragma once

#include "controlplane/host/host.h"
#include "controlplane/p2p/nat/pace.h"
#include "controlplane/p2p/relay_message.h"

#define HAUL_RELAY_PLACES_MAX       4u /* relays at which this node keeps a place */
#define HAUL_RELAY_RESERVATIONS_MAX 4096u

#define HAUL_RELAY_COUNTERS(X)                                                                     \
    X(reserved, "places given to peers, or given again")                                           \
    X(reservations_refused, "places refused because of a limit")                                   \
    X(reservations_expired, "places that ran out")                                                 \
    X(reservations_paced, "places refused because a peer or a network asked too often")            \
    X(connects, "peers that asked to be connected through this node")                              \
    X(connects_refused, "of these, refused")                                                       \
    X(connects_paced, "connections refused because a peer or a network asked too often")           \
    X(circuits, "connections passed on")                                                           \
    X(circuits_cut, "of these, cut off at their limit of bytes or time")                           \
    X(relayed_bytes, "bytes passed on, both ways")                                                 \
    X(malformed, "messages that could not be understood, or were out of place")                    \
    X(places_kept, "places that relays gave to this node, or gave again")                          \
    X(places_failed, "attempts to get a place that failed")                                        \
    X(places_lost, "places that were lost before their time")                                      \
    X(dialled, "connections dialled through relays")                                               \
    X(dialled_up, "of these, that the relay opened")                                               \
    X(accepted, "connections of peers that came through relays")                                   \
    X(not_expected, "of these, refused: no place at that relay, or a limit")

struct haul_relay_counters {
#define X(name, help) uint64_t name;
    HAUL_RELAY_COUNTERS(X)
#undef X
};

/* Of the server; 0 in a number: none may. */
struct haul_relay_limits {
    uint32_t reservations_max; /* at most HAUL_RELAY_RESERVATIONS_MAX */
    uint32_t reservations_per_address_max;
    uint32_t circuits_max;
    uint32_t circuits_per_peer_max;
    struct haul_pace_limits pace; /* of asking for places, and likewise for circuits */
    haul_time reservation_life;
    struct haul_relay_limit circuit; /* here 0 is no limit, and none is told */
};

struct haul_relay_conf {
    struct haul_loop *loop;
    const struct haul_key *key; /* borrowed */
    bool serve;                 /* from the start */
    struct haul_relay_limits limits;
    const struct haul_multiaddr *relays; /* copied; each with the relay's id at its end */
    size_t relay_count;
    haul_time retry; /* the first pause before a relay that failed is asked again; 0: 1 s */
};

struct haul_relay;

extern const struct haul_behaviour haul_relay_hop_behaviour;  /* hidden unless it serves */
extern const struct haul_behaviour haul_relay_stop_behaviour; /* from relay to target */

HAUL_MUST_USE int haul_relay_open(struct haul_relay **relay, const struct haul_relay_conf *conf,
                                  struct haul_error *error);
/* Dials the relays, and is there for the host's dials through them. */
void haul_relay_start(struct haul_relay *relay, struct haul_host *host);
/* Serves from now on, or no more: places that were given last until they run out, and are not given
 * again. Peers hear of it with the next push. */
void haul_relay_offer(struct haul_relay *relay, bool serve);
void haul_relay_close(struct haul_relay *relay);

struct haul_relay_usage {
    bool serves;
    uint32_t reservations, circuits; /* of the server, now */
    uint32_t places;                 /* of the client, now */
};
void haul_relay_usage(const struct haul_relay *relay, struct haul_relay_usage *usage);
const struct haul_relay_counters *haul_relay_counters(const struct haul_relay *relay);

/* Whether a place of this node, or a circuit, hangs on that connection. */
bool haul_relay_needs(const struct haul_relay *relay, uint64_t connection);
