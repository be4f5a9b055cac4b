/* The control plane of a node: everything but the data plane, of which it holds one end of the
 * rings. Opened by the composition root (cmd/node.c), which opens both. */
#pragma once

#include "common/conf.h"
#include "common/handoff.h"
#include "controlplane/home.h"
#include "controlplane/node/facts.h"

#define HAUL_CONTROLPLANE_CIPHERS_MAX 4u

struct haul_controlplane_conf {
    const struct haul_conf *conf;
    const struct haul_home *home;
    const struct haul_key *key;
    struct haul_handoff *handoff; /* the first worker's, and by `next` those of the others */
    uint8_t ciphers[HAUL_CONTROLPLANE_CIPHERS_MAX]; /* enum haul_cipher, best first */
    size_t cipher_count;
    struct haul_addr udp; /* where the kernel's net is bound; port 0: there is none */
    uint16_t udp_ports[HAUL_WORKERS_MAX];        /* ... and the port of each worker's */
    struct haul_addr ports[HAUL_CANDIDATES_MAX]; /* addresses of DPDK's net, if there is one */
    size_t port_count;
    uint32_t port_workers; /* the first so many have that net, at the UDP ports after it */
    uint16_t port_payload_max;
    uint8_t congestion; /* enum haul_congestion */
    bool perf;          /* synthetic datasets and no cipher are allowed */

    /* What the data plane says of itself. */
    void (*plane_facts)(void *context, const struct haul_facts *facts);
    uint64_t (*plane_cpu)(void *context, uint32_t worker);
    void *plane_context;
};

struct haul_controlplane;

/* Listens when it returns. Signals SIGTERM and SIGINT, which the caller has blocked, end the run.
 */
HAUL_MUST_USE int haul_controlplane_open(struct haul_controlplane **plane,
                                         const struct haul_controlplane_conf *conf,
                                         struct haul_error *error);
void haul_controlplane_run(struct haul_controlplane *plane);

/* In two steps, because what the data plane holds comes back only while it runs: `stop` ends all
 * work, then the caller closes the data plane, then `close` frees. */
void haul_controlplane_stop(struct haul_controlplane *plane);
void haul_controlplane_close(struct haul_controlplane *plane);

/* Addresses to be dialled, for the ready line; returns the count. */
struct haul_multiaddr;
size_t haul_controlplane_addresses(const struct haul_controlplane *plane,
                                   struct haul_multiaddr *addresses, size_t capacity);
