/* The data plane's only door: opens nets, store and slots, starts the workers, and gives the
 * control plane its end of the rings. The node keeps one for its life. */
#pragma once

#include "common/error.h"
#include "common/handoff.h"
#include "dataplane/net/net.h"
#include "dataplane/store/store.h"

struct haul_dataplane;

struct haul_dataplane_conf {
    struct haul_addr bind; /* UDP port of the fast path; port 0: any free one; family 0: the kernel
                              is not used */
    const struct haul_net_port *port; /* DPDK's, beside the kernel's or alone; NULL: none */
    uint16_t port_udp;                /* the UDP port on it, of the first worker; as below */
    enum haul_net_kind net_kind;
    enum haul_io_kind io_kind;
    enum haul_store_kind store_kind;
    const char *store_directory;
    uint32_t workers; /* at most HAUL_WORKERS_MAX; 0 here and below: the default (one worker). The
                         first has `bind`; the port of worker n is n more, or any that is free */
    uint32_t filling_slots; /* 1 MiB each, of all workers together */
    uint32_t serving_slots;
    uint32_t control_slots;
    uint32_t receive_buffer_bytes;
    const char *aead; /* "auto", "ipsec-mb", "openssl" */
    bool spin;        /* poll instead of sleeping */
    int cpu;          /* pin the worker there, further ones to the next; -1: do not */
    bool synthetic;   /* allow SYNTHETIC places and no cipher: rate tests */
};

/* When it returns, everything that needs privileges has been done. */
HAUL_MUST_USE int haul_dataplane_open(struct haul_dataplane **plane,
                                      const struct haul_dataplane_conf *conf,
                                      struct haul_error *error);

/* The first worker's; those of the others follow it by `next`. */
struct haul_handoff *haul_dataplane_handoff(struct haul_dataplane *plane);
uint32_t haul_dataplane_workers(const struct haul_dataplane *plane);

/* Ciphers this node can use, best first by its own measurement at start; returns the count. */
size_t haul_dataplane_ciphers(const struct haul_dataplane *plane, uint8_t *ciphers,
                              size_t capacity);

#define HAUL_WORKER_COUNTERS(X)                                                                    \
    X(rx_unknown, "datagrams with a receiver id that names no flow: dropped in silence")           \
    X(turns, "turns of the worker's loop")                                                         \
    X(fetches, "blocks asked for")                                                                 \
    X(fetched_bytes, "bytes of verified blocks")                                                   \
    X(wrong_blocks, "blocks whose hash did not hold")                                              \
    X(blocks_hashed_aside, "blocks hashed by the hashing thread")                                  \
    X(serves, "blocks given to flows to be sent")                                                  \
    X(served_bytes, "bytes of blocks that peers finished")                                         \
    X(slot_waits, "times a job had to wait for a slot")                                            \
    X(disk_waits, "times a job had to wait because the queue of the disk was full")                \
    X(reclaimed_slots, "serving slots taken back from silent peers")                               \
    X(wants_refused, "wants refused because the table of jobs was full")                           \
    X(filling_free, "filling slots that are free (gauge)")                                         \
    X(serving_free, "serving slots that are free (gauge)")

struct haul_worker_counters {
#define X(name, help) uint64_t name;
    HAUL_WORKER_COUNTERS(X)
#undef X
};

/* How one worker fares. Any thread. */
struct haul_worker_facts {
    struct haul_addr local;      /* of its kernel net; family 0: it has none */
    struct haul_addr port_local; /* likewise of its queue pair of DPDK's port */
    uint64_t cpu_ns;
    struct haul_net_counters net;  /* the kernel's */
    struct haul_net_counters port; /* of DPDK */
    struct haul_worker_counters counters;
};
void haul_dataplane_worker_facts(struct haul_dataplane *plane, uint32_t number,
                                 struct haul_worker_facts *facts);

/* What is in use, of the first worker, and the counters of all of them together, for status. Any
 * thread. */
struct haul_dataplane_facts {
    struct haul_net_facts net; /* the kernel's; without one, DPDK's */
    bool kernel;
    bool dpdk;
    struct haul_net_facts port; /* of DPDK */
    struct haul_net_counters port_counters;
    struct haul_store_facts store;
    struct haul_net_counters net_counters;
    struct haul_worker_counters worker;
    const char *aead;               /* "aes-128-gcm/ipsec-mb" */
    double aead_ns_per_datagram[2]; /* measured at start: ipsec-mb, openssl; 0 when absent */
    uint64_t arena_bytes;
    bool arena_huge;
    uint64_t rx_unknown; /* datagrams with a receiver id that names no flow: dropped in silence */
    uint64_t worker_cpu_ns;
    uint32_t filling_free, serving_free;
};
void haul_dataplane_facts(struct haul_dataplane *plane, struct haul_dataplane_facts *facts);

/* What DPDK's nets count beside the counters of every net, added up; and one worker's alone. Any
 * thread. */
void haul_dataplane_port_each(struct haul_dataplane *plane, haul_net_take_fn *take, void *context);
void haul_dataplane_queue_each(struct haul_dataplane *plane, uint32_t number,
                               haul_net_take_fn *take, void *context);
void haul_dataplane_close(struct haul_dataplane *plane);
