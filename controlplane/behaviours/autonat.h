/* AutoNAT (libp2p specs, autonat/): whether this node can be dialled from outside. It asks peers to
 * dial it, and, where it serves, dials those that ask.
 *
 * A server must not become a weapon. It dials addresses that have the asker's own IP address; of
 * version 2 also another public one, but only after the asker has sent more bytes than a connection
 * attempt costs its target, and after a random wait. It does so within limits for each peer, each
 * address and all together, never for a peer that came through a relay, and only while it is told
 * to serve: otherwise the protocols are hidden and their streams are reset.
 *
 * A client of version 2 believes in a reach when its own random number has come back over a new
 * connection that came in at the address in question; what a server merely says is a claim.
 * Control thread only. */
#pragma once

#include "controlplane/host/host.h"
#include "controlplane/p2p/nat/ration.h"

#define HAUL_AUTONAT_ASKS_MAX    8u  /* of ours at once */
#define HAUL_AUTONAT_JOBS_MAX    16u /* dials for others at once */
#define HAUL_AUTONAT_STREAMS_MAX 2u  /* of one peer at once */
#define HAUL_AUTONAT_DIAL_MAX    (10 * HAUL_SECOND)
#define HAUL_AUTONAT_READ_MAX    (20 * HAUL_SECOND) /* a request and its payment */
#define HAUL_AUTONAT_ASK_MAX     (45 * HAUL_SECOND)
#define HAUL_AUTONAT_BACK_MAX    (5 * HAUL_SECOND) /* for the number that comes back */
#define HAUL_AUTONAT_PAY_WAIT    (3 * HAUL_SECOND)

struct haul_autonat_conf {
    struct haul_ration_limits limits; /* total 0: the defaults */
    haul_time pay_wait_max;           /* before a paid dial; HAUL_TIME_NEVER: none */
    haul_time read_max;               /* 0: HAUL_AUTONAT_READ_MAX */
    void *context;
    /* A peer has told of itself, and with that what it speaks; may be NULL. */
    void (*identified)(void *context, struct haul_host *host, uint64_t connection,
                       const struct haul_identified *told);
};

#define HAUL_AUTONAT_COUNTERS(X)                                                                   \
    X(autonat_requests, "requests of peers to be dialled")                                         \
    X(autonat_limited, "of these, refused because there were too many")                            \
    X(autonat_refused, "of these, refused because no address was one that we dial")                \
    X(autonat_faulty, "of these, ended because they were malformed or too slow")                   \
    X(autonat_dials, "dials for peers")                                                            \
    X(autonat_reached, "of these, that reached the peer")                                          \
    X(autonat_paid_bytes, "bytes that peers have paid for dials to other addresses")               \
    X(autonat_asked, "times a peer was asked to dial us")                                          \
    X(autonat_answered, "of these, answered")                                                      \
    X(autonat_proofs, "numbers of ours that came back through the address in question")            \
    X(autonat_strays, "numbers that came back and were not ours, or elsewhere")

struct haul_autonat_counters {
#define X(name, help) uint64_t name;
    HAUL_AUTONAT_COUNTERS(X)
#undef X
};

struct haul_autonat;

/* Version 1, version 2, and what comes back of version 2; all with the service. */
extern const struct haul_behaviour haul_autonat_behaviour;
extern const struct haul_behaviour haul_autonat2_behaviour;
extern const struct haul_behaviour haul_autonat_back_behaviour;

/* NULL without memory. Outlives the host that speaks its behaviours; does not serve at first, and
 * haul_autonat_serve has to say so to the host. */
struct haul_autonat *haul_autonat_open(const struct haul_autonat_conf *conf);
void haul_autonat_close(struct haul_autonat *autonat);
const struct haul_autonat_counters *haul_autonat_counters(const struct haul_autonat *autonat);

/* Whether requests of peers are answered from now on. */
void haul_autonat_serve(struct haul_autonat *autonat, struct haul_host *host, bool serve);
bool haul_autonat_serves(const struct haul_autonat *autonat);

enum haul_autonat_outcome {
    HAUL_AUTONAT_PROVEN,     /* our number came back */
    HAUL_AUTONAT_CLAIMED,    /* the server says that it reached us */
    HAUL_AUTONAT_FAILED,     /* the server says that it did not */
    HAUL_AUTONAT_UNANSWERED, /* it would not, could not, or contradicted itself */
};

typedef void haul_autonat_fn(void *context, const struct haul_multiaddr *address,
                             const struct haul_addr *server, enum haul_autonat_outcome outcome);

/* Asks the peer whether it can dial the address (/ip.../tcp/PORT). False when it speaks neither
 * version, or too much is asked already; otherwise `done` is called once. */
HAUL_MUST_USE bool haul_autonat_ask(struct haul_autonat *autonat, struct haul_host *host,
                                    uint64_t connection, const struct haul_multiaddr *address,
                                    haul_autonat_fn *done, void *context);
