#include "tests/sim/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t between(struct haul_rng *rng, uint64_t least, uint64_t most)
{
    return least + haul_rng_below(rng, most - least + 1);
}

/* Even over the powers of two between the two bounds, then even within one. */
static uint64_t spread(struct haul_rng *rng, uint64_t least, uint64_t most)
{
    uint64_t low = least;
    unsigned powers = 0;

    while (low <= most / 2) {
        low *= 2;
        powers++;
    }
    low = least << haul_rng_below(rng, powers + 1);
    return between(rng, low, low <= most / 2 ? 2 * low : most);
}

static bool one_in(struct haul_rng *rng, uint64_t count)
{
    return haul_rng_below(rng, count) == 0;
}

/* Nothing in two seeds of three. */
static uint32_t maybe(struct haul_rng *rng, uint32_t least, uint32_t most)
{
    return one_in(rng, 3) ? (uint32_t)spread(rng, least, most) : 0;
}

static haul_time maybe_every(struct haul_rng *rng, uint64_t one_of, haul_time least, haul_time most)
{
    return one_in(rng, one_of) ? spread(rng, least, most) : 0;
}

static void draw_link(struct haul_rng *rng, struct sim_link_plan *link)
{
    uint64_t product;

    link->rate = spread(rng, 64u << 10, 1250000000);
    link->delay = spread(rng, 20 * HAUL_MICROSECOND, 150 * HAUL_MILLISECOND);
    product = link->rate / 1000 * (2 * link->delay / HAUL_MICROSECOND) / 1000;
    link->buffer = 32768 + spread(rng, product / 8 + 1, 4 * product + 65536);
    link->jitter = one_in(rng, 3) ? spread(rng, 1000, 2 * link->delay) : 0;
    link->mtu = one_in(rng, 2) ? 8952 : one_in(rng, 2) ? 1452 : 1252;
}

static void draw_faults(struct haul_rng *rng, struct sim_plan *plan)
{
    struct sim_faults *faults = &plan->faults;

    faults->loss = maybe(rng, 100, 200000);
    faults->duplicate = maybe(rng, 1000, 200000);
    faults->corrupt = maybe(rng, 1000, 100000);
    faults->truncate = maybe(rng, 1000, 50000);
    faults->race = maybe(rng, 1000, 100000);
    faults->ce = maybe(rng, 1000, 100000);
    faults->partition_every = maybe_every(rng, 5, 200 * HAUL_MILLISECOND, 10 * HAUL_SECOND);
    faults->partition_span = spread(rng, 20 * HAUL_MILLISECOND, 4 * HAUL_SECOND);
    faults->freeze_every = maybe_every(rng, 5, 200 * HAUL_MILLISECOND, 5 * HAUL_SECOND);
    faults->freeze_span = spread(rng, 10 * HAUL_MILLISECOND, 2 * HAUL_SECOND);
    faults->rebind_every = maybe_every(rng, 4, 500 * HAUL_MILLISECOND, 10 * HAUL_SECOND);
    faults->adversary_every = maybe_every(rng, 3, HAUL_MILLISECOND, 200 * HAUL_MILLISECOND);
    faults->close_every = maybe_every(rng, 6, 500 * HAUL_MILLISECOND, 10 * HAUL_SECOND);
    faults->withdraw = maybe(rng, 5000, 300000);
    faults->refuse = maybe(rng, 5000, 200000);
    faults->busy = maybe(rng, 5000, 300000);
    faults->fail = maybe(rng, 5000, 100000);
    faults->lie = maybe(rng, 5000, 100000);
    faults->abandon = maybe(rng, 5000, 100000);
    faults->stall = maybe(rng, 5000, 300000);
}

static uint32_t draw_length(struct haul_rng *rng, uint64_t budget)
{
    uint64_t most = budget < HAUL_BLOCK_BYTES_MAX ? budget : HAUL_BLOCK_BYTES_MAX;

    switch (haul_rng_below(rng, 8)) {
    case 0:
        return (uint32_t)most;
    case 1:
        return (uint32_t)between(rng, 1, 64);
    case 2:
        return (uint32_t)between(rng, most < 60000 ? 1 : 60000, most);
    default:
        return (uint32_t)spread(rng, 1, most);
    }
}

static void draw_job(struct haul_rng *rng, const struct sim_plan *plan, struct sim_job *job,
                     uint64_t budget)
{
    const struct sim_faults *faults = &plan->faults;

    *job = (struct sim_job){ .key = haul_rng_next(rng), .kind = SIM_JOB_GOOD };
    job->block_bytes = draw_length(rng, budget);
    if (one_in(rng, 6)) {
        job->offset = (uint32_t)haul_rng_below(rng, job->block_bytes) / 64 * 64;
        if (one_in(rng, 2))
            job->asked = (uint32_t)between(rng, 1, job->block_bytes - job->offset);
    } else if (!one_in(rng, 3)) {
        job->asked = job->block_bytes;
    }
    if (haul_rng_chance(rng, faults->refuse))
        job->kind = SIM_JOB_UNKNOWN;
    else if (haul_rng_chance(rng, faults->fail))
        job->kind = SIM_JOB_FAILED;
    else if (haul_rng_chance(rng, faults->lie))
        job->kind = SIM_JOB_WRONG;
    else if (haul_rng_chance(rng, faults->abandon))
        job->kind = SIM_JOB_ABANDON;
    job->withdraw = job->kind == SIM_JOB_ABANDON || haul_rng_chance(rng, faults->withdraw);
    job->withdraw_after = spread(rng, 1000, 4 * plan->link.delay + 100 * HAUL_MILLISECOND);
}

static uint64_t draw_work(struct haul_rng *rng, struct sim_plan *plan, uint32_t self)
{
    struct sim_node_plan *node = &plan->node[self];
    uint64_t budget = spread(rng, 1000, 3u << 20);
    uint64_t total = 0;

    if (self > 0 && one_in(rng, 3))
        return 0;
    node->job_count = 0;
    while (total < budget && node->job_count < SIM_JOBS_MAX) {
        struct sim_job *job = &node->jobs[node->job_count++];

        draw_job(rng, plan, job, budget - total);
        job->source = (uint8_t)((self + 1 + haul_rng_below(rng, plan->nodes - 1)) % plan->nodes);
        total += job->block_bytes;
    }
    return total;
}

static void draw_node(struct haul_rng *rng, struct sim_plan *plan, struct sim_node_plan *node)
{
    node->filling = (uint32_t)spread(rng, 1, 16);
    node->serving = (uint32_t)spread(rng, 1, 16);
    node->wants_max = (uint16_t)spread(rng, 1, plan->grant_wants);
    node->wake_delay = one_in(rng, 3) ? spread(rng, 1000, 20 * HAUL_MILLISECOND)
                                      : spread(rng, 1000, 100 * HAUL_MICROSECOND);
    node->disk_delay = one_in(rng, 3) ? spread(rng, 1000, 50 * HAUL_MILLISECOND) : 1000;
    node->check_delay = one_in(rng, 3) ? spread(rng, 1000, 20 * HAUL_MILLISECOND) : 1000;
}

void sim_plan_draw(struct sim_plan *plan, uint64_t seed)
{
    struct haul_rng rng;
    uint64_t total = 0;
    haul_time busy;

    memset(plan, 0, sizeof *plan);
    haul_rng_init(&rng, seed);
    plan->seed = seed;
    plan->nodes = one_in(&rng, 6) ? 3 : 2;
    plan->grant_wants = (uint16_t)spread(&rng, 1, 64);
    plan->payload_max = (uint16_t)(one_in(&rng, 3) ? 8192 : one_in(&rng, 2) ? 1408 : 1344);
    plan->congestion = one_in(&rng, 5) ? HAUL_CONGESTION_LEDBAT : HAUL_CONGESTION_BBR;
    plan->segments_max = (uint32_t)spread(&rng, 1, 45);
    draw_link(&rng, &plan->link);
    plan->payload_first = plan->link.mtu < 1448 || one_in(&rng, 3) ? 1152 : 1344;
    if (one_in(&rng, 12)) {
        plan->congestion = HAUL_CONGESTION_FIXED;
        plan->rate_max = plan->link.rate / 2;
    }
    plan->clean = one_in(&rng, 8);
    if (plan->clean)
        plan->link.jitter = 0;
    else
        draw_faults(&rng, plan);
    plan->false_candidates = one_in(&rng, 3) ? (uint32_t)between(&rng, 1, 4) : 0;
    for (uint32_t i = 0; i < plan->nodes; i++)
        draw_node(&rng, plan, &plan->node[i]);
    for (uint32_t i = 0; i < plan->nodes; i++)
        total += draw_work(&rng, plan, i);
    /* Faults last from a part of the time that the work needs to several times of it. */
    busy = total * HAUL_SECOND / plan->link.rate + 20 * plan->link.delay;
    plan->faults_end = spread(&rng, busy / 4 + 1, 4 * busy + HAUL_SECOND);
    if (plan->clean)
        plan->faults_end = 0;
    plan->bound = 240 * HAUL_SECOND + 40 * busy;
}

void sim_plan_print(const struct sim_plan *plan)
{
    const struct sim_faults *faults = &plan->faults;

    printf("seed %" PRIu64 ": %u nodes, %s, payload %u..%u, %u segments, %u false candidates%s\n",
           plan->seed, plan->nodes,
           plan->congestion == HAUL_CONGESTION_BBR      ? "bbr"
           : plan->congestion == HAUL_CONGESTION_LEDBAT ? "ledbat"
                                                        : "fixed",
           plan->payload_first, plan->payload_max, plan->segments_max, plan->false_candidates,
           plan->clean ? ", clean" : "");
    printf("link: %" PRIu64 " B/s, buffer %" PRIu64 ", delay %" PRIu64 " us, jitter %" PRIu64
           " us, mtu %u\n",
           plan->link.rate, plan->link.buffer, plan->link.delay / 1000, plan->link.jitter / 1000,
           plan->link.mtu);
    printf("faults until %" PRIu64 " ms: loss %u, duplicate %u, corrupt %u, truncate %u, race %u, "
           "ce %u, partition %" PRIu64 "/%" PRIu64 " ms, freeze %" PRIu64 "/%" PRIu64
           " ms, rebind %" PRIu64 " ms, adversary %" PRIu64 " us, close %" PRIu64 " ms\n",
           plan->faults_end / HAUL_MILLISECOND, faults->loss, faults->duplicate, faults->corrupt,
           faults->truncate, faults->race, faults->ce, faults->partition_every / HAUL_MILLISECOND,
           faults->partition_span / HAUL_MILLISECOND, faults->freeze_every / HAUL_MILLISECOND,
           faults->freeze_span / HAUL_MILLISECOND, faults->rebind_every / HAUL_MILLISECOND,
           faults->adversary_every / 1000, faults->close_every / HAUL_MILLISECOND);
    printf("work: withdraw %u, refuse %u, busy %u, fail %u, lie %u, abandon %u\n", faults->withdraw,
           faults->refuse, faults->busy, faults->fail, faults->lie, faults->abandon);
    for (uint32_t i = 0; i < plan->nodes; i++) {
        const struct sim_node_plan *node = &plan->node[i];
        uint64_t bytes = 0;

        for (uint32_t j = 0; j < node->job_count; j++)
            bytes += node->jobs[j].block_bytes;
        printf("node %u: slots %u+%u, wants %u, %u jobs of %" PRIu64 " bytes\n", i, node->filling,
               node->serving, node->wants_max, node->job_count, bytes);
    }
}
