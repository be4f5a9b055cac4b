/* The simulated world: nodes, the links between them, an adversary and a virtual clock. Everything
 * runs in one thread, in the order of the agenda; time passes only from event to event. */
#pragma once

#include "dataplane/flow/flow.h"
#include "dataplane/flow/slots.h"
#include "tests/sim/handles.h"
#include "tests/sim/heap.h"
#include "tests/sim/plan.h"

#define SIM_NOBODY        UINT32_MAX /* owner of an address: the adversary, or nobody */
#define SIM_ADDRESSES_MAX 1024u
#define SIM_PROOFS_MAX    64u
#define SIM_WANTS_MAX     64u
#define SIM_CAPTURED_MAX  32u
#define SIM_TRAIN_BYTES   65536u
#define SIM_PROBES_MAX    5u   /* to an address that never answered */
#define SIM_PROBE_BYTES   100u /* each */

enum sim_kind {
    SIM_ARRIVE,  /* datagram index */
    SIM_WAKE,    /* node index */
    SIM_OFFER,   /* pair index: both sides get a new flow */
    SIM_OPEN,    /* pair * 2 + side */
    SIM_HANG_UP, /* node * SIM_NODES_MAX + peer: the control connection said that the flow ended */
    SIM_PARTITION, /* pair */
    SIM_FREEZE,    /* node */
    SIM_REBIND,    /* node */
    SIM_ADVERSARY,
    SIM_CLOSE, /* node closes a flow in the middle of things */
    SIM_HEAL,  /* faults end */

};

struct sim_datagram {
    uint8_t *data;
    uint32_t capacity;
    uint32_t bytes;
    uint32_t from, to; /* addresses */
    uint32_t sender;   /* node that sealed it, or SIM_NOBODY for one that was tampered with */
    uint8_t ecn;
    uint32_t next; /* in a queue or the list of free ones */
};

struct sim_address {
    uint32_t node;
    bool live; /* datagrams to it arrive */
};

struct sim_link {
    haul_time busy_until;
    haul_time cut_until; /* partition */
    uint64_t overflowed;
};

/* What one flow knows, by the world's own observation, of an address. */
struct sim_proof {
    uint32_t address;
    uint32_t probes;
    uint32_t fresh; /* datagrams that came from there before any other copy of them */
    bool heard;     /* the peer received something that was sent there */
    bool proven;    /* ... and something of the peer's arrived after that */
};

enum sim_want_state { SIM_WANT_NONE, SIM_WANT_ASKED, SIM_WANT_FILLED };

struct sim_want {
    uint8_t state;
    bool withdrawn; /* withdraw has been called */
    uint32_t handle;
    uint32_t job;
    uint32_t slot;
    uint32_t filled;   /* bytes that FILLING has told of */
    uint32_t length;   /* as FILLED said */
    uint32_t needless; /* datagrams that came after that */
    haul_time due;     /* the verdict, or the withdrawal; HAUL_TIME_NEVER for neither */
};

enum sim_serve_state { SIM_SERVE_NONE, SIM_SERVE_WAITING, SIM_SERVE_READING, SIM_SERVE_SENDING };

struct sim_serve {
    uint8_t state;
    bool over; /* SERVED came while it was being read */
    uint32_t handle;
    uint32_t job; /* of the peer */
    uint32_t slot;
    uint64_t order; /* of arrival */
    haul_time due;
};

struct sim_flow {
    struct haul_flow *flow; /* NULL: none */
    void *memory;
    struct haul_flow_stats stats;
    uint32_t peer;
    uint32_t local_id, remote_id;
    bool up;
    bool closing;
    uint64_t arrived; /* genuine datagrams handed in */
    uint64_t next_number;
    struct sim_handles asked, filled, wanted; /* handles ever seen */
    struct sim_handles numbers;               /* of datagrams that arrived, plus one */
    struct sim_want wants[SIM_WANTS_MAX];
    struct sim_serve serves[2 * SIM_WANTS_MAX];
    struct sim_proof proofs[SIM_PROOFS_MAX];
    uint32_t proof_count;
};

enum sim_job_state { SIM_JOB_WAITING, SIM_JOB_ASKED, SIM_JOB_ENDED };

struct sim_progress {
    uint8_t state;
    bool was_withdrawn;
    haul_time not_before;
};

struct sim_node {
    uint32_t self;
    const struct sim_node_plan *plan;
    uint32_t address;
    struct haul_slots slots;
    uint8_t *memory; /* of the slots */
    haul_time wake_at;
    haul_time frozen_until;
    uint32_t rx_first, rx_last; /* queue of datagrams */
    uint64_t rx_bytes;
    struct sim_flow flows[SIM_NODES_MAX];
    struct sim_progress jobs[SIM_JOBS_MAX];
    uint32_t jobs_left;
    uint64_t serve_order;
    uint64_t got_bytes;
    haul_time last_end; /* when the last job ended */
    bool again;         /* something happened in this turn that the other flows must see */
};

struct sim_pair {
    bool offered; /* an OFFER is on the agenda */
    uint32_t epochs;
    struct haul_grant grant[2];
};

struct sim_world {
    struct sim_plan plan;
    struct sim_heap heap;
    haul_time now, start;
    bool healed;
    bool trace;
    bool failed;
    char failure[256];
    uint64_t events;
    uint64_t digest; /* of everything that happened: equal for equal seeds */
    struct haul_rng net_rng, node_rng, evil_rng;
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_link links[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
    struct sim_pair pairs[SIM_NODES_MAX][SIM_NODES_MAX]; /* lower, higher */
    struct sim_address addresses[SIM_ADDRESSES_MAX];
    uint32_t address_count;
    struct sim_datagram *datagrams;
    uint32_t datagram_count, datagram_capacity, datagram_free, datagrams_out;
    uint32_t captured[SIM_CAPTURED_MAX];
    uint32_t captured_count, captured_at;
    struct haul_flow_stats moved; /* the largest of each counter, over all runs */
    uint64_t sent_datagrams;
};

/* congestion.c: 1 Gbit/s at 50 ms; false when the control does not do its duty there. */
bool sim_congestion_run(struct sim_world *world);

/* world.c */
void sim_world_init(struct sim_world *world);
void sim_world_fini(struct sim_world *world);
/* Runs the plan in world->plan to its end; false when something broke (world->failure says what).
 */
bool sim_world_run(struct sim_world *world);
/* The same in steps: begin, advance to points in time, end. */
void sim_world_begin(struct sim_world *world);
void sim_world_advance(struct sim_world *world, haul_time until);
void sim_world_end(struct sim_world *world);
void sim_world_fail(struct sim_world *world, const char *format, ...) HAUL_PRINTF(2, 3);
void sim_world_trace(struct sim_world *world, const char *format, ...) HAUL_PRINTF(2, 3);
void sim_world_note(struct sim_world *world, uint64_t what); /* into the digest */
struct sim_pair *sim_world_pair(struct sim_world *world, uint32_t a, uint32_t b);

/* link.c: the network and the adversary */
uint32_t sim_address_add(struct sim_world *world, uint32_t node);
void sim_address_write(uint32_t address, struct haul_addr *addr);
uint32_t sim_address_read(const struct haul_addr *addr);
void sim_link_send(struct sim_world *world, struct sim_node *node, const struct haul_train *train);
void sim_link_arrive(struct sim_world *world, uint32_t index);
void sim_datagram_drop(struct sim_world *world, uint32_t index);
void sim_adversary_act(struct sim_world *world);
void sim_link_reset(struct sim_world *world);

/* node.c: a worker in small */
void sim_node_turn(struct sim_world *world, struct sim_node *node);
void sim_node_wake(struct sim_world *world, struct sim_node *node, haul_time at);
void sim_node_end_flow(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);

/* asking.c and serving.c: the two sides of a worker */
void sim_asking_pump(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);
struct sim_want *sim_asking_find(struct sim_flow *flow, uint32_t handle);
haul_time sim_asking_next(const struct sim_world *world, const struct sim_node *node,
                          const struct sim_flow *flow);
void sim_asking_event(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                      const struct haul_flow_event *event);
void sim_asking_end(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);
void sim_serving_pump(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);
haul_time sim_serving_next(const struct sim_node *node, const struct sim_flow *flow);
void sim_serving_event(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                       const struct haul_flow_event *event);
void sim_serving_end(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);
struct sim_serve *sim_serving_find(struct sim_flow *flow, uint32_t handle);

/* Takes all events of a flow; call after every call into it. */
void sim_node_drain(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);

/* watch.c: what must hold for every datagram that leaves, and at the end */
void sim_watch_train(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                     const struct haul_train *train);
void sim_watch_heard(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                     const struct sim_datagram *datagram);
void sim_watch_taken(struct sim_world *world, struct sim_node *node, const struct sim_flow *flow,
                     const struct haul_flow_stats *before, uint32_t segment);
void sim_watch_flow(struct sim_world *world, struct sim_node *node, struct sim_flow *flow);
void sim_watch_end(struct sim_world *world);
