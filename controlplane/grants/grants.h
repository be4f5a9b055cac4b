/* The live grants of this node, in both roles: which flow index each has, how many wants, whose it
 * is and for how long. It orders the data plane to open and close flows, and answers the wants of
 * peers from the catalog. Control thread only; callbacks may call back into it.
 *
 *   reserve -> start -> (UP, wants) -> ended        release gives a reserved seat back
 *   reserve -> hold -> start -> ...                 where the start waits for the confirmation
 *
 * A grant under which no datagram has opened within 5 s ends (the data plane says UNPROVEN); one
 * that we gave and the asker never confirmed ends after 5 s too; any other lives until its control
 * connection has been gone for 15 s. A new control connection of the same peer adopts it. */
#pragma once

#include "common/counters.h"
#include "controlplane/datasets/catalog.h"
#include "controlplane/host/loop.h"
#include "controlplane/seam/orders.h"

#define HAUL_GRANTS_LEASE    (15 * HAUL_SECOND)
#define HAUL_GRANTS_CONFIRM  (5 * HAUL_SECOND)
#define HAUL_GRANTS_RETRY_MS 1000u /* when to come back after a limit was reached */

#define HAUL_GRANTS_COUNTERS(X)                                                                    \
    X(granted, "grants given")                                                                     \
    X(asked, "grants received")                                                                    \
    X(refused_flows, "reservations refused: every flow is taken")                                  \
    X(refused_wants, "reservations refused: live grants allow as many wants as there may be")      \
    X(refused_peer, "reservations refused: the peer holds as many grants as it may")               \
    X(refused_address, "reservations refused: the address holds as many grants as it may")         \
    X(refused_orders, "grants not opened: too many orders were outstanding")                       \
    X(proven, "grants under which a path was proven")                                              \
    X(ended_unproven, "grants that ended because no path answered")                                \
    X(ended_unconfirmed, "grants that ended because the asker did not confirm them")               \
    X(ended_lease, "grants that ended after their control connection had gone")                    \
    X(ended_silent, "grants that ended because the peer stopped answering")                        \
    X(ended_closed, "grants that either side closed")                                              \
    X(adopted, "grants taken over by a new control connection")                                    \
    X(wants_served, "wants of peers that were answered with a block")                              \
    X(wants_unknown, "wants refused: outside what is shared with the peer")                        \
    X(wants_busy, "wants refused: the grant was not confirmed yet")                                \
    X(wants_failed, "wants whose block could not be read")                                         \
    X(wants_waited, "wants that waited for room among the orders")                                 \
    X(wants_dropped, "wants beyond what live grants allow")

struct haul_grants_counters {
#define X(name, help) uint64_t name;
    HAUL_GRANTS_COUNTERS(X)
#undef X
};

/* Fills with random bytes; NULL stands for the kernel's. */
typedef void haul_random_fn(void *context, void *data, size_t bytes);
void haul_random(haul_random_fn *function, void *context, void *data, size_t bytes);

struct haul_grants_conf {
    struct haul_loop *loop;
    struct haul_orders *orders;
    const struct haul_catalog *catalog;
    uint32_t per_peer_max;    /* live grants given to one peer */
    uint32_t per_address_max; /* ... to one IPv4 address or one IPv6 /64 */
    haul_time lease;          /* 0: HAUL_GRANTS_LEASE */
    haul_time confirm;        /* 0: HAUL_GRANTS_CONFIRM */
    haul_random_fn *random;
    void *random_context;
};

struct haul_grants;

HAUL_MUST_USE int haul_grants_open(struct haul_grants **grants, const struct haul_grants_conf *conf,
                                   struct haul_error *error);

/* After haul_orders_close and before haul_loop_close: nothing calls back any more. */
void haul_grants_close(struct haul_grants *grants);

/* Whose grant it is, and who is told about it. `up`: a path is proven. `ended`: once, for every
 * grant that was started or held; the flow index is free again when it returns. Both may be NULL.
 */
struct haul_grant_holder {
    struct haul_peer_id peer;
    struct haul_addr remote; /* of the control connection */
    uint64_t connection;
    struct haul_cid root;
    bool asker;         /* we ask, the peer grants */
    bool beside;        /* a further flow of a transfer that has one */
    uint16_t wants_max; /* wished */
    uint32_t workers;   /* of the node: it may run on the first so many; 0: on any */
    void (*up)(void *context, uint32_t flow, uint32_t payload, haul_time rtt);
    void (*ended)(void *context, uint32_t flow, enum haul_status why);
    void *context;
};

struct haul_grant_seat {
    uint32_t flow;
    uint32_t worker;    /* on which it runs: its net is the one to be told of */
    uint32_t local_id;  /* receiver id in datagrams to us: random, not zero, unique here */
    uint16_t wants_max; /* reserved; at most what was wished */
};

enum haul_seat_refusal {
    HAUL_SEAT_GIVEN,
    HAUL_SEAT_FLOWS,
    HAUL_SEAT_WANTS,
    HAUL_SEAT_PEER,
    HAUL_SEAT_ADDRESS,
};

enum haul_seat_refusal haul_grants_reserve(struct haul_grants *grants,
                                           const struct haul_grant_holder *holder,
                                           struct haul_grant_seat *seat);
void haul_grants_release(struct haul_grants *grants, uint32_t flow);

/* The seat was promised to a peer and is started when that confirms: until `confirm` is over, or
 * else it is released here and `ended` told (CLOSED). */
void haul_grants_hold(struct haul_grants *grants, uint32_t flow);

/* How many flows a transfer of that peer may have at most: none but the first may be among more
 * than half of the grants that the peer, and that its address, may hold. */
uint32_t haul_grants_of_transfer(const struct haul_grants *grants);
uint32_t haul_grants_workers(const struct haul_grants *grants); /* of the node */

/* Orders the data plane to open the flow; grant->wants_max is at most what was reserved. False when
 * too many orders are outstanding: the seat is still reserved. The secrets in `grant` are copied.
 */
HAUL_MUST_USE bool haul_grants_start(struct haul_grants *grants, uint32_t flow,
                                     const struct haul_grant *grant);

/* The asker's signature held: from now on its wants are answered. */
void haul_grants_confirm(struct haul_grants *grants, uint32_t flow);

/* Ends a started grant; `ended` follows. The holder may be made to hear nothing more. */
void haul_grants_end(struct haul_grants *grants, uint32_t flow);
void haul_grants_forget(struct haul_grants *grants, uint32_t flow);

/* From the host's callbacks. `other`: another live connection of the same peer, or 0. */
void haul_grants_connected(struct haul_grants *grants, uint64_t connection,
                           const struct haul_peer_id *peer);
void haul_grants_disconnected(struct haul_grants *grants, uint64_t connection, uint64_t other);

const struct haul_grants_counters *haul_grants_counters(const struct haul_grants *grants);

/* For status: false when this flow index has no started grant. */
struct haul_grant_facts {
    struct haul_peer_id peer;
    struct haul_cid root;
    bool asker;
    bool proven;
    bool orphaned; /* its control connection is gone */
    uint8_t via;   /* enum haul_via */
    uint16_t wants_max;
    haul_time since;
};
bool haul_grants_facts(const struct haul_grants *grants, uint32_t flow,
                       struct haul_grant_facts *facts);
