/* /haul/offer/1: how two nodes agree on a flow of the fast path (docs/WIRE.md, "Offer and grant").
 * The asker sends an offer; the granter looks into the catalog and at its limits, opens the flow
 * and answers with a grant or a refusal; the asker verifies, confirms with its signature and opens
 * its own end. Control thread only.
 *
 * The service stands beside haul_offer_behaviour in the host's list: open it before the host and
 * close it after the host. */
#pragma once

#include "controlplane/grants/candidates.h"
#include "controlplane/grants/grants.h"
#include "controlplane/grants/offer_message.h"
#include "controlplane/host/host.h"

#define HAUL_OFFER_PROTOCOL         "/haul/offer/1"
#define HAUL_OFFER_STREAMS_PER_PEER 4u
#define HAUL_OFFER_PAYLOAD_MIN      1152u
#define HAUL_OFFER_PAYLOAD_MAX      8192u

#define HAUL_OFFERS_COUNTERS(X)                                                                    \
    X(received, "offers received")                                                                 \
    X(given, "offers answered with a grant")                                                       \
    X(refused_unknown, "offers refused: not shared with the asker, or not there")                  \
    X(refused_busy, "offers refused: a limit was reached")                                         \
    X(refused_incompatible, "offers refused: no common version, cipher or payload class")          \
    X(refused_unavailable, "offers refused: no fast path here")                                    \
    X(malformed, "offers, answers and confirmations that could not be understood")                 \
    X(bad_signatures, "grants and confirmations whose signature did not hold")                     \
    X(candidates_dropped, "candidate addresses that were not allowed, or too many")                \
    X(waited, "messages that waited for room on their connection")                                 \
    X(asked, "offers sent")                                                                        \
    X(ask_granted, "offers sent and granted")                                                      \
    X(ask_refused, "offers sent and refused")

struct haul_offers_counters {
#define X(name, help) uint64_t name;
    HAUL_OFFERS_COUNTERS(X)
#undef X
};

struct haul_offers_conf {
    struct haul_grants *grants;
    const struct haul_catalog *catalog;
    const struct haul_key *key; /* borrowed */

    /* enum haul_cipher, best first; NONE only where rate tests without a cipher are allowed. */
    uint8_t ciphers[HAUL_OFFER_LIST_MAX];
    uint8_t cipher_count;
    uint8_t congestion;   /* enum haul_congestion, of what this node sends */
    uint16_t payload_max; /* largest payload class of this node's net */
    uint16_t wants_max;   /* under one grant */
    uint64_t rate_max;    /* bytes a second a flow may send and is sent; 0: no ceiling */

    haul_time idle_max;   /* a stream on which nothing is said; 0: 10 s */
    struct haul_addr udp; /* the kernel net's bound address; port 0: there is none */
    uint16_t udp_ports[HAUL_WORKERS_MAX]; /* the port of each worker's net; 0: that of `udp` */
    /* Addresses of DPDK's net, if there is one: the first worker's, the others have the ports
     * after. */
    struct haul_addr ports[HAUL_CANDIDATES_MAX];
    size_t port_count;
    uint32_t port_workers;     /* the first so many have it; 0: one */
    uint32_t flows_max;        /* of one transfer with one peer, a worker each; 0: one */
    uint16_t port_payload_max; /* largest payload class of DPDK's net */
    struct haul_network networks[HAUL_NETWORKS_MAX]; /* fast.networks */
    size_t network_count;
    haul_random_fn *random; /* NULL: the kernel's */
    void *random_context;
};

struct haul_offers;

extern const struct haul_behaviour haul_offer_behaviour;

HAUL_MUST_USE int haul_offers_open(struct haul_offers **offers, const struct haul_offers_conf *conf,
                                   struct haul_error *error);
void haul_offers_close(struct haul_offers *offers);
const struct haul_offers_counters *haul_offers_counters(const struct haul_offers *offers);

/* Where a gateway forwards to the fast path's port, instead of where it did: at most
 * HAUL_OFFERS_MAPPED_MAX, one a family of addresses. */
#define HAUL_OFFERS_MAPPED_MAX 2u
void haul_offers_mapped(struct haul_offers *offers, const struct haul_addr *udp, size_t count);

/* Whether this node has that net. */
bool haul_offers_has(const struct haul_offers *offers, enum haul_via via);

/* How an ask ended. OK: the flow was ordered open; its `up` and `ended` follow. REFUSED: with the
 * reason, and when to come back. Else PEER_GONE, PEER_PROTOCOL, CARRIER_FAILED (the peer does not
 * speak the protocol), TIMEOUT, LIMIT (of ours). */
struct haul_offer_result {
    enum haul_error_code code;
    enum haul_offer_reason reason;
    uint32_t retry_ms;
    uint32_t flow;
    uint32_t flows_max; /* that this transfer may have with the peer, a worker each at both ends */
    uint16_t wants_max;
    uint16_t payload_max;
    uint8_t cipher;
};

typedef void haul_offer_done_fn(void *context, const struct haul_offer_result *result);

struct haul_offer_wish {
    struct haul_cid root;
    uint16_t wants_max; /* 0: as configured */
    uint64_t rate_max;  /* bytes a second that we want to be sent; 0: as configured */
    uint8_t via;        /* enum haul_via: over which of our nets */
    bool beside;        /* a further flow of a transfer that has one */
    bool one_cipher;    /* only `cipher`, instead of all that are configured */
    uint8_t cipher;

    haul_offer_done_fn *done; /* once, unless the ask is cancelled; not from within the call */
    void (*up)(void *context, uint32_t flow, uint32_t payload, haul_time rtt);
    void (*ended)(void *context, uint32_t flow, enum haul_status why);
    void *context; /* of all three */
};

struct haul_offer_ask;

/* Asks over a live connection. NULL with *error when that is not possible (PEER_GONE,
 * CARRIER_FAILED without a fast path here) or not now (LIMIT); `done` is not called then. */
struct haul_offer_ask *haul_offer_ask(struct haul_offers *offers, struct haul_host *host,
                                      uint64_t connection, const struct haul_offer_wish *wish,
                                      struct haul_error *error);

/* Before `done` was called: gives the ask up; nothing is called any more. */
void haul_offer_cancel(struct haul_offer_ask *ask);
