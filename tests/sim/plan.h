/* What a seed means: every size, rate and probability of one run, drawn before it starts. First the
 * seed picks which faults exist at all, then how strong each is, so that many seeds have few faults
 * and some have all. Chances are in parts of a million. */
#pragma once

#include "common/handoff.h"
#include "common/rng.h"
#include "common/time.h"

#define SIM_NODES_MAX 3u
#define SIM_JOBS_MAX  600u /* of one node */

/* One direction between two nodes. */
struct sim_link_plan {
    uint64_t rate;   /* bytes a second */
    uint64_t buffer; /* bytes */
    haul_time delay; /* one way */
    haul_time jitter;
    uint32_t mtu; /* UDP payload bytes; longer ones vanish */
};

/* How the network and the peers misbehave until `faults_end`. */
struct sim_faults {
    uint32_t loss;
    uint32_t duplicate;
    uint32_t corrupt;
    uint32_t truncate;
    uint32_t race; /* a copy overtakes the original, from a foreign address */
    uint32_t ce;   /* marks beside those of a full queue */
    haul_time partition_every, partition_span;
    haul_time freeze_every, freeze_span; /* a node does not run */
    haul_time rebind_every;              /* a node's address changes */
    haul_time adversary_every;           /* forged and replayed datagrams */
    haul_time close_every;
    uint32_t withdraw, refuse, busy, fail, lie, abandon;
    uint32_t stall; /* a check that takes seconds */
};

struct sim_job {
    uint64_t key;
    uint32_t block_bytes;
    uint32_t offset;
    uint32_t asked; /* bytes asked for; 0: all from offset on */
    uint8_t source; /* node */
    uint8_t kind;   /* enum sim_job_kind */
    bool withdraw;  /* once, some time after it was asked for, then asked again */
    haul_time withdraw_after;
};

enum sim_job_kind {
    SIM_JOB_GOOD,
    SIM_JOB_UNKNOWN, /* the source does not have it */
    SIM_JOB_FAILED,  /* the source cannot read it */
    SIM_JOB_WRONG,   /* the source has wrong bytes for it */
    SIM_JOB_ABANDON, /* withdrawn for good */
};

struct sim_node_plan {
    uint32_t filling, serving; /* slots */
    uint16_t wants_max;
    haul_time wake_delay;  /* the worker notices a datagram up to so much later */
    haul_time disk_delay;  /* to read a block */
    haul_time check_delay; /* to hash one */
    uint32_t job_count;
    struct sim_job jobs[SIM_JOBS_MAX];
};

struct sim_plan {
    uint64_t seed;
    uint32_t nodes;
    uint16_t grant_wants; /* wants_max of the grants */
    uint16_t payload_first, payload_max;
    uint8_t congestion;
    uint64_t rate_max;
    uint32_t segments_max;
    uint32_t false_candidates;
    bool clean;                /* no fault of any kind: throughput is checked */
    haul_time faults_end;      /* from the start */
    haul_time bound;           /* of the time that the rest may take after that */
    struct sim_link_plan link; /* both ways, each its own */
    struct sim_faults faults;
    struct sim_node_plan node[SIM_NODES_MAX];
};

void sim_plan_draw(struct sim_plan *plan, uint64_t seed);
void sim_plan_print(const struct sim_plan *plan);
