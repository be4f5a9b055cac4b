/* Two hosts in one loop, over loopback: for tests of the host and of behaviours. */
#pragma once

#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"

#define HOST_PAIR_CONNECTIONS_MAX 24u
#define HOST_PAIR_HALF_OPEN_MAX   20u

/* A limit for what must come: it ends the wait, so that only a failure takes so long, and a machine
 * with other work on it does not make one. */
#define HOST_PAIR_SOON (20 * HAUL_SECOND)

struct host_node {
    struct haul_host *host;
    struct haul_key key;
    struct haul_addr bound;
    struct haul_multiaddr address;
    int connected, disconnected;
    enum haul_error_code why; /* of the last disconnect */
    int dials;
    uint64_t connection; /* the last that came up */
    struct haul_error error;
};

struct host_pair {
    struct haul_loop *loop;
    struct host_node a, b;
};
extern struct host_pair pair;

/* For tests whose nodes hold more than a host: one host in the pair's loop, listening on loopback,
 * with room for a few connections; the conf brings key, protocols, context and its two calls. */
void host_pair_listen(struct haul_host **host, struct haul_multiaddr *address,
                      struct haul_host_conf *conf);

/* Opens the loop and both hosts, each listening on a free port. */
void host_pair_open(const struct haul_protocol *a, const struct haul_protocol *b);
/* The same in a loop that the test has opened, and closes with the hosts itself. */
void host_pair_open_in(struct haul_loop *loop, const struct haul_protocol *a,
                       const struct haul_protocol *b);
void host_pair_close(void);

/* a dials b; whether both are connected. */
bool host_pair_connect(void);

/* Runs until the condition (may be NULL) holds, or for so long; returns whether it does. */
bool host_pair_run(bool (*until)(void), haul_time limit);

/* A dial of a's that ends in a->dials, a->connection and a->error: for haul_host_dial. */
void host_pair_dialled(void *node, uint64_t connection, const struct haul_error *error);
