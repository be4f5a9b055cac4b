/* The duty of congestion control on one long path: fill 85 % of 1 Gbit/s at 50 ms although one
 * datagram in 200 is lost, come down within three round trips when the link's rate halves, and
 * leave no standing queue. A fixed window fails: a small one the first, a large one the last. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINK  125000000u /* bytes a second */
#define TRIP  (50 * HAUL_MILLISECOND)
#define STEP1 (1 * HAUL_SECOND) /* measured from here ... */
#define STEP2 (3 * HAUL_SECOND) /* ... to here; then the link halves */

static void draw(struct sim_plan *plan, uint64_t seed)
{
    struct haul_rng rng;

    haul_rng_init(&rng, seed);
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    plan->nodes = 2;
    plan->grant_wants = 32;
    plan->payload_first = 1152;
    plan->payload_max = 1408;
    plan->congestion = HAUL_CONGESTION_BBR;
    plan->segments_max = 32;
    plan->link = (struct sim_link_plan){ .rate = LINK, .delay = TRIP / 2, .mtu = 1452 };
    plan->link.buffer = LINK / 1000 * (TRIP / HAUL_MILLISECOND);
    plan->faults.loss = 5000;
    plan->faults_end = 100 * HAUL_SECOND;
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_node_plan *node = &plan->node[i];

        node->filling = 32;
        node->serving = 32;
        node->wants_max = 32;
        node->wake_delay = 50 * HAUL_MICROSECOND;
        node->disk_delay = HAUL_MICROSECOND;
        node->check_delay = HAUL_MICROSECOND;
    }
    plan->node[1].job_count = SIM_JOBS_MAX;
    for (uint32_t i = 0; i < SIM_JOBS_MAX; i++)
        plan->node[1].jobs[i] =
            (struct sim_job){ .key = haul_rng_next(&rng), .block_bytes = HAUL_BLOCK_BYTES_MAX };
}

static void measure_fill(struct sim_world *world)
{
    const struct haul_flow_stats *stats = &world->nodes[1].flows[0].stats;
    uint64_t before, rate;

    sim_world_advance(world, world->start + STEP1);
    before = stats->rx_block_bytes;
    /* Halved at different places of whatever cycle the control has. */
    sim_world_advance(world, world->start + STEP2 + world->plan.seed % 16 * 37000000);
    rate = (stats->rx_block_bytes - before) /
           ((world->now - world->start - STEP1) / HAUL_MICROSECOND) * 1000000;
    printf("seed %" PRIu64 ": %" PRIu64 " %% of the link filled\n", world->plan.seed,
           rate * 100 / LINK);
    if (rate < LINK / 100 * 85)
        sim_world_fail(world, "%" PRIu64 " bytes a second on a link of %u", rate, LINK);
}

static void measure_halving(struct sim_world *world)
{
    const struct haul_flow_stats *stats = &world->nodes[0].flows[1].stats;
    haul_time changed = world->now;
    uint64_t before, rate;

    world->plan.link.rate = LINK / 2;
    sim_world_advance(world, changed + 3 * TRIP);
    before = stats->tx_bytes;
    sim_world_advance(world, changed + 5 * TRIP);
    rate = (stats->tx_bytes - before) * 1000 / (2 * TRIP / HAUL_MILLISECOND);
    printf("  %" PRIu64 " %% sent after the link halved", rate * 100 / LINK);
    if (rate > LINK / 100 * 55)
        sim_world_fail(world, "%" PRIu64 " bytes a second sent on a link of %u", rate, LINK / 2);
    sim_world_advance(world, changed + 20 * TRIP);
    before = stats->tx_bytes;
    sim_world_advance(world, changed + 40 * TRIP);
    rate = (stats->tx_bytes - before) * 1000 / (20 * TRIP / HAUL_MILLISECOND);
    printf(", then %" PRIu64 " %%, round trip %" PRIu64 " ms\n", rate * 100 / LINK,
           stats->rtt_ns / HAUL_MILLISECOND);
    if (rate < LINK / 100 * 40)
        sim_world_fail(world, "%" PRIu64 " bytes a second sent on a link of %u", rate, LINK / 2);
    if (stats->rtt_ns > TRIP * 3 / 2)
        sim_world_fail(world, "a queue of %" PRIu64 " ms stands",
                       (stats->rtt_ns - TRIP) / HAUL_MILLISECOND);
}

bool sim_congestion_run(struct sim_world *world)
{
    draw(&world->plan, world->plan.seed);
    sim_world_begin(world);
    measure_fill(world);
    if (!world->failed)
        measure_halving(world);
    sim_world_end(world);
    return !world->failed;
}
