/* The two nodes of a rate test: processes of their own, each with its own key, sockets and store in
 * a temporary home, on free ports of the loopback address. Whatever happens they are ended and
 * their homes removed by close; a process that dies takes them along (PR_SET_PDEATHSIG). */
#pragma once

#include "controlplane/ctl/client.h"
#include "controlplane/ticket.h"

#include <sys/types.h>

#define HAUL_PERF_PATH_BYTES 512u

struct haul_perf_node {
    char home[HAUL_PERF_PATH_BYTES + 8]; /* "" while there is none */
    pid_t pid;                           /* 0 while it does not run */
    int output;
};

/* How the ports of DPDK of the two are joined. */
struct haul_perf_port {
    bool vhost;     /* virtio-user at the seeder to vhost at the getter */
    bool af_xdp;    /* af_xdp on haul0 and haul1, which are joined; else memif */
    bool zero_copy; /* memif: the seeder lends its buffers; huge pages must be there */
    uint32_t mtu;
};

struct haul_perf_nodes {
    char directory[HAUL_PERF_PATH_BYTES]; /* in TMPDIR or /var/tmp */
    struct haul_perf_node seeder;
    struct haul_perf_node getter;
    const char *const *settings;       /* key=value, a NULL at the end; borrowed */
    const struct haul_perf_port *port; /* each has a port of DPDK too; NULL: none; borrowed */
};

/* NOT_POSSIBLE where there is no loopback or no room for `disk_bytes`. */
HAUL_MUST_USE int haul_perf_nodes_open(struct haul_perf_nodes *nodes, const char *const *settings,
                                       const struct haul_perf_port *port, uint64_t disk_bytes,
                                       struct haul_error *error);
void haul_perf_nodes_close(struct haul_perf_nodes *nodes);

/* The getter again, with an empty home: for a run that stores what it gets. */
HAUL_MUST_USE int haul_perf_getter_renew(struct haul_perf_nodes *nodes, struct haul_error *error);

/* A dataset of `bytes` at the seeder, shared with everybody: generated as it is asked for, or
 * generated once and stored. `hash` is a multihash code. */
HAUL_MUST_USE int haul_perf_seed(struct haul_perf_nodes *nodes, uint64_t bytes, uint8_t hash,
                                 bool stored, char ticket[HAUL_TICKET_TEXT_BYTES],
                                 struct haul_error *error);

/* What a node's flows say of themselves, all together, since the newest began (common/handoff.h).
 */
struct haul_perf_flows {
    uint64_t limited_window_ns, limited_pace_ns, limited_wants_ns; /* sums of all flows */
    uint64_t count;                                                /* of flows */
    uint64_t lost_datagrams;
    uint64_t payload_class; /* bytes of a full datagram; the largest of the flows */
};

HAUL_MUST_USE int haul_perf_flows(const struct haul_perf_node *node, struct haul_perf_flows *flows,
                                  struct haul_error *error);

struct haul_perf_get {
    const char *ticket;
    const char *carrier;
    const char *cipher; /* "" for any */
    bool stored;        /* into the store; else verified and dropped */
    bool unverified;    /* ... and not even that */
};

/* One get. The record is JSON, to be freed. */
HAUL_MUST_USE int haul_perf_get(struct haul_perf_nodes *nodes, const struct haul_perf_get *get,
                                char **record, struct haul_error *error);
