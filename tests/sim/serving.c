/* The serving side of a simulated worker: a want waits for a slot, is read, served, and its slot
 * comes back with SERVED. A serving slot is asked back from a silent peer when others wait. */
#include "tests/sim/block.h"
#include "tests/sim/world.h"

#include <string.h>

static const struct sim_job *job_of(const struct sim_world *world, const struct sim_flow *flow,
                                    const struct sim_serve *serve)
{
    return &world->nodes[flow->peer].plan->jobs[serve->job];
}

struct sim_serve *sim_serving_find(struct sim_flow *flow, uint32_t handle)
{
    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves); i++) {
        if (flow->serves[i].state != SIM_SERVE_NONE && flow->serves[i].handle == handle)
            return &flow->serves[i];
    }
    return NULL;
}

static void end_serve(struct sim_node *node, struct sim_serve *serve)
{
    if (serve->slot != HAUL_NO_SLOT)
        haul_slots_give(&node->slots, serve->slot);
    serve->state = SIM_SERVE_NONE;
}

static void refuse(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                   struct sim_serve *serve, enum haul_refusal reason, uint32_t retry_ms)
{
    uint32_t handle = serve->handle;

    sim_world_trace(world, "node %u refuses %08x: %d", node->self, handle, (int)reason);
    haul_flow_refuse(flow->flow, handle, reason, retry_ms, world->now);
    sim_node_drain(world, node, flow);
    if (flow->flow != NULL && sim_serving_find(flow, handle) != NULL)
        sim_world_fail(world, "node %u: refused %08x, and no SERVED came", node->self, handle);
}

static void begin(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                  struct sim_serve *serve)
{
    const struct sim_job *job = job_of(world, flow, serve);

    if (job->kind == SIM_JOB_UNKNOWN) {
        refuse(world, node, flow, serve, HAUL_REFUSAL_UNKNOWN, 0);
        return;
    }
    if (!world->healed && haul_rng_chance(&world->node_rng, world->plan.faults.busy)) {
        refuse(world, node, flow, serve, HAUL_REFUSAL_BUSY,
               (uint32_t)haul_rng_below(&world->node_rng, 200));
        return;
    }
    serve->slot = haul_slots_take(&node->slots, HAUL_SLOT_SERVING);
    if (serve->slot == HAUL_NO_SLOT)
        return;
    serve->state = SIM_SERVE_READING;
    serve->due = world->now + haul_rng_below(&world->node_rng, node->plan->disk_delay + 1);
}

static void finish_read(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                        struct sim_serve *serve)
{
    const struct sim_job *job = job_of(world, flow, serve);
    uint8_t *slot = node->memory + (size_t)serve->slot * HAUL_BLOCK_BYTES_MAX;
    uint32_t asked = job->asked > 0 ? job->asked : job->block_bytes - job->offset;

    if (serve->over) {
        /* The answer comes too late: the flow ignores it. */
        haul_flow_serve(flow->flow, serve->handle, slot, job->block_bytes, world->now);
        end_serve(node, serve);
        sim_node_drain(world, node, flow);
        return;
    }
    if (job->kind == SIM_JOB_FAILED) {
        refuse(world, node, flow, serve, HAUL_REFUSAL_FAILED, 0);
        return;
    }
    sim_block_fill(job->key, 0, job->block_bytes, slot);
    if (job->kind == SIM_JOB_WRONG)
        slot[job->offset + asked / 2] ^= 0x55;
    serve->state = SIM_SERVE_SENDING;
    serve->due = HAUL_TIME_NEVER;
    sim_world_trace(world, "node %u serves %08x, %u bytes", node->self, serve->handle,
                    job->block_bytes);
    haul_flow_serve(flow->flow, serve->handle, slot, job->block_bytes, world->now);
    sim_node_drain(world, node, flow);
}

static struct sim_serve *oldest_waiting(struct sim_flow *flow)
{
    struct sim_serve *oldest = NULL;

    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves); i++) {
        struct sim_serve *serve = &flow->serves[i];

        if (serve->state == SIM_SERVE_WAITING && (oldest == NULL || serve->order < oldest->order))
            oldest = serve;
    }
    return oldest;
}

/* Somebody waits and there is no slot: whoever has been silent gives one back. */
static void reclaim(struct sim_world *world, struct sim_node *node)
{
    for (uint32_t peer = 0; peer < world->plan.nodes; peer++) {
        struct sim_flow *flow = &node->flows[peer];

        for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves) && flow->flow != NULL; i++) {
            struct sim_serve *serve = &flow->serves[i];
            uint32_t handle = serve->handle;

            if (serve->state != SIM_SERVE_SENDING ||
                !haul_flow_reclaim(flow->flow, handle, world->now))
                continue;
            sim_world_trace(world, "node %u takes the slot of %08x back", node->self, handle);
            sim_node_drain(world, node, flow);
            if (flow->flow != NULL && sim_serving_find(flow, handle) != NULL)
                sim_world_fail(world, "node %u: let go of %08x, and no SERVED came", node->self,
                               handle);
            return;
        }
    }
}

void sim_serving_pump(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    struct sim_serve *waiting;

    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves) && flow->flow != NULL; i++) {
        struct sim_serve *serve = &flow->serves[i];

        if (serve->state == SIM_SERVE_READING && serve->due <= world->now)
            finish_read(world, node, flow, serve);
    }
    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves) && flow->flow != NULL; i++) {
        waiting = oldest_waiting(flow);
        if (waiting == NULL)
            return;
        begin(world, node, flow, waiting);
        if (waiting->state == SIM_SERVE_WAITING) {
            reclaim(world, node);
            return;
        }
    }
}

haul_time sim_serving_next(const struct sim_node *node, const struct sim_flow *flow)
{
    haul_time next = HAUL_TIME_NEVER;

    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves); i++) {
        if (flow->serves[i].state == SIM_SERVE_READING)
            next = haul_time_min(next, flow->serves[i].due);
    }
    (void)node;
    return next;
}

/* Which of the peer's jobs a want is for, by the peer's own books. */
static bool know_want(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                      const struct haul_flow_event *event, uint32_t *index)
{
    struct sim_node *peer = &world->nodes[flow->peer];
    struct sim_flow *back = &peer->flows[node->self];
    uint64_t key = sim_block_key(&event->hash);

    for (uint32_t i = 0; i < peer->plan->job_count; i++) {
        const struct sim_job *job = &peer->plan->jobs[i];

        if (job->key != key)
            continue;
        *index = i;
        return job->source == node->self && job->offset == event->offset &&
               job->asked == event->length &&
               (back->flow == NULL || sim_handles_has(&back->asked, event->handle));
    }
    return false;
}

static void on_wanted(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                      const struct haul_flow_event *event)
{
    struct sim_serve *serve = NULL;
    uint32_t job;

    if (!sim_handles_add(&flow->wanted, event->handle)) {
        sim_world_fail(world, "node %u: handle %08x is wanted a second time", node->self,
                       event->handle);
        return;
    }
    if (!know_want(world, node, flow, event, &job)) {
        sim_world_fail(world, "node %u: nobody asked for handle %08x like that", node->self,
                       event->handle);
        return;
    }
    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves); i++) {
        if (flow->serves[i].state == SIM_SERVE_NONE)
            serve = &flow->serves[i];
    }
    if (serve == NULL) {
        sim_world_fail(world, "node %u: more wants than the grant allows", node->self);
        return;
    }
    *serve = (struct sim_serve){ .state = SIM_SERVE_WAITING, .handle = event->handle, .job = job };
    serve->slot = HAUL_NO_SLOT;
    serve->due = HAUL_TIME_NEVER;
    serve->order = node->serve_order++;
}

void sim_serving_event(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                       const struct haul_flow_event *event)
{
    struct sim_flow *back = &world->nodes[flow->peer].flows[node->self];
    struct sim_serve *serve;

    if (event->kind == HAUL_FLOW_WANTED) {
        on_wanted(world, node, flow, event);
        return;
    }
    serve = sim_serving_find(flow, event->handle);
    if (serve == NULL || serve->over) {
        sim_world_fail(world, "node %u: SERVED for handle %08x, which is not served", node->self,
                       event->handle);
        return;
    }
    if (event->status == HAUL_STATUS_DONE && serve->state == SIM_SERVE_SENDING &&
        back->flow != NULL && !sim_handles_has(&back->filled, event->handle))
        sim_world_fail(world, "node %u: %08x is said to be done, its asker does not have it",
                       node->self, event->handle);
    if (serve->state == SIM_SERVE_READING && flow->flow != NULL && serve->due > world->now)
        serve->over = true;
    else
        end_serve(node, serve);
}

void sim_serving_end(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    for (uint32_t i = 0; i < HAUL_COUNT_OF(flow->serves); i++) {
        struct sim_serve *serve = &flow->serves[i];

        if (serve->state == SIM_SERVE_NONE)
            continue;
        if (!serve->over)
            sim_world_fail(world, "node %u: the flow ended, serving %08x did not", node->self,
                           serve->handle);
        end_serve(node, serve);
    }
}
