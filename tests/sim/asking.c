/* The asking side of a simulated worker: jobs become wants while there are slots, every end of a
 * want is checked against what its job allows, every byte against the block. */
#include "tests/sim/block.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <string.h>

static const struct sim_job *job_of(const struct sim_node *node, uint32_t job)
{
    return &node->plan->jobs[job];
}

static uint32_t job_bytes(const struct sim_job *job)
{
    return job->asked > 0 ? job->asked : job->block_bytes - job->offset;
}

static uint8_t *slot_of(struct sim_node *node, uint32_t slot)
{
    return node->memory + (size_t)slot * HAUL_BLOCK_BYTES_MAX;
}

struct sim_want *sim_asking_find(struct sim_flow *flow, uint32_t handle)
{
    for (uint32_t i = 0; i < SIM_WANTS_MAX; i++) {
        if (flow->wants[i].state != SIM_WANT_NONE && flow->wants[i].handle == handle)
            return &flow->wants[i];
    }
    return NULL;
}

static void end_want(struct sim_node *node, struct sim_want *want)
{
    haul_slots_give(&node->slots, want->slot);
    want->state = SIM_WANT_NONE;
}

static void end_job(struct sim_world *world, struct sim_node *node, uint32_t job, const char *how)
{
    sim_world_trace(world, "node %u job %u ends: %s", node->self, job, how);
    node->jobs[job].state = SIM_JOB_ENDED;
    node->jobs_left--;
    node->last_end = world->now;
}

static void again(struct sim_node *node, uint32_t job, haul_time not_before)
{
    node->jobs[job].state = SIM_JOB_WAITING;
    node->jobs[job].not_before = not_before;
}

/* A source with wrong bytes has one byte wrong, in the middle of what is asked. */
static bool content_right(struct sim_node *node, const struct sim_want *want, uint32_t bytes)
{
    const struct sim_job *job = job_of(node, want->job);
    uint8_t *slot = slot_of(node, want->slot) + job->offset;
    uint32_t lie = job_bytes(job) / 2;
    bool lied = job->kind == SIM_JOB_WRONG && lie < bytes;
    bool right;

    if (lied)
        slot[lie] ^= 0x55;
    right = sim_block_check(job->key, job->offset, bytes, slot) == bytes;
    if (lied)
        slot[lie] ^= 0x55;
    return right;
}

/* False when there is no slot for it. */
static bool ask(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                struct sim_want *want, uint32_t index)
{
    const struct sim_job *job = job_of(node, index);
    uint32_t slot = haul_slots_take(&node->slots, HAUL_SLOT_FILLING);
    struct haul_hash name;
    uint32_t handle;

    if (slot == HAUL_NO_SLOT)
        return false;
    memset(slot_of(node, slot) + job->offset, 0xee, job_bytes(job));
    sim_block_name(job->key, &name);
    handle = haul_flow_want(flow->flow, &name, job->offset, job->asked, slot_of(node, slot), index,
                            world->now);
    sim_world_trace(world, "node %u wants %u+%u of job %u from %u: handle %08x", node->self,
                    job->offset, job->asked, index, flow->peer, handle);
    if (handle == HAUL_FLOW_NO_HANDLE) {
        haul_slots_give(&node->slots, slot);
        again(node, index, world->now + HAUL_MILLISECOND);
        return true;
    }
    if (!sim_handles_add(&flow->asked, handle))
        sim_world_fail(world, "node %u: handle %08x is given a second time", node->self, handle);
    *want = (struct sim_want){ .state = SIM_WANT_ASKED, .handle = handle, .job = index };
    want->slot = slot;
    want->due = HAUL_TIME_NEVER;
    if (job->withdraw && !node->jobs[index].was_withdrawn)
        want->due = world->now + job->withdraw_after;
    node->jobs[index].state = SIM_JOB_ASKED;
    sim_node_drain(world, node, flow);
    return true;
}

static void give_verdict(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                         struct sim_want *want)
{
    const struct sim_job *job = job_of(node, want->job);
    uint32_t handle = want->handle;

    if (!content_right(node, want, want->length))
        sim_world_fail(world, "node %u: block of handle %08x changed after it was filled",
                       node->self, handle);
    node->got_bytes += want->length;
    end_job(world, node, want->job, job->kind == SIM_JOB_WRONG ? "wrong" : "verified");
    end_want(node, want);
    haul_flow_verdict(flow->flow, handle, job->kind != SIM_JOB_WRONG, world->now);
    sim_node_drain(world, node, flow);
}

static struct sim_want *want_free(struct sim_flow *flow, uint16_t most)
{
    struct sim_want *found = NULL;
    uint16_t used = 0;

    for (uint32_t i = 0; i < SIM_WANTS_MAX; i++) {
        if (flow->wants[i].state != SIM_WANT_NONE)
            used++;
        else if (found == NULL)
            found = &flow->wants[i];
    }
    return used < most ? found : NULL;
}

void sim_asking_pump(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    for (uint32_t i = 0; i < SIM_WANTS_MAX && flow->flow != NULL; i++) {
        struct sim_want *want = &flow->wants[i];

        if (want->state == SIM_WANT_NONE || want->due > world->now)
            continue;
        want->due = HAUL_TIME_NEVER;
        if (want->state == SIM_WANT_FILLED) {
            give_verdict(world, node, flow, want);
        } else {
            want->withdrawn = true;
            node->jobs[want->job].was_withdrawn = true;
            sim_world_trace(world, "node %u withdraws %08x", node->self, want->handle);
            haul_flow_withdraw(flow->flow, want->handle, world->now);
            sim_node_drain(world, node, flow);
        }
    }
    for (uint32_t job = 0; job < node->plan->job_count && flow->flow != NULL; job++) {
        struct sim_want *want;

        if (node->jobs[job].state != SIM_JOB_WAITING || node->jobs[job].not_before > world->now ||
            node->plan->jobs[job].source != flow->peer)
            continue;
        want = want_free(flow, node->plan->wants_max);
        if (want == NULL || flow->closing || !ask(world, node, flow, want, job))
            break;
    }
}

haul_time sim_asking_next(const struct sim_world *world, const struct sim_node *node,
                          const struct sim_flow *flow)
{
    haul_time next = HAUL_TIME_NEVER;

    for (uint32_t i = 0; i < SIM_WANTS_MAX; i++) {
        if (flow->wants[i].state != SIM_WANT_NONE)
            next = haul_time_min(next, flow->wants[i].due);
    }
    for (uint32_t job = 0; job < node->plan->job_count; job++) {
        if (node->jobs[job].state == SIM_JOB_WAITING && node->jobs[job].not_before > world->now)
            next = haul_time_min(next, node->jobs[job].not_before);
    }
    return next;
}

static void on_refused(struct sim_world *world, struct sim_node *node, struct sim_want *want,
                       const struct haul_flow_event *event)
{
    const struct sim_job *job = job_of(node, want->job);
    uint32_t index = want->job;

    end_want(node, want);
    if (event->refusal == HAUL_REFUSAL_BUSY) {
        again(node, index, world->now + 1 + event->retry_ms * HAUL_MILLISECOND);
    } else if (event->refusal == HAUL_REFUSAL_UNKNOWN && job->kind == SIM_JOB_UNKNOWN) {
        end_job(world, node, index, "unknown");
    } else if (event->refusal == HAUL_REFUSAL_FAILED && job->kind == SIM_JOB_FAILED) {
        end_job(world, node, index, "failed");
    } else {
        sim_world_fail(world, "node %u: job %u is refused (%d) without a reason", node->self, index,
                       (int)event->refusal);
    }
}

static void on_withdrawn(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                         struct sim_want *want, const struct haul_flow_event *event)
{
    uint32_t index = want->job;
    bool asked_for = want->withdrawn;

    if (!asked_for && event->status == HAUL_STATUS_WITHDRAWN)
        sim_world_fail(world, "node %u: want %08x was withdrawn by nobody", node->self,
                       want->handle);
    end_want(node, want);
    if (asked_for && node->plan->jobs[index].kind == SIM_JOB_ABANDON)
        end_job(world, node, index, "abandoned");
    else
        again(node, index, world->now + HAUL_MILLISECOND);
    (void)flow;
}

static void on_filling(struct sim_world *world, struct sim_node *node, struct sim_want *want,
                       const struct haul_flow_event *event, bool all)
{
    const struct sim_job *job = job_of(node, want->job);
    uint32_t bytes = event->length;

    if (bytes > job_bytes(job) || bytes < want->filled || (all && bytes != job_bytes(job))) {
        sim_world_fail(world, "node %u: %u bytes of handle %08x are said to be there, of %u",
                       node->self, bytes, want->handle, job_bytes(job));
        return;
    }
    want->filled = bytes;
    if (!content_right(node, want, bytes))
        sim_world_fail(world, "node %u: wrong bytes in handle %08x (%s, %u bytes)", node->self,
                       want->handle, all ? "filled" : "filling", bytes);
}

void sim_asking_event(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                      const struct haul_flow_event *event)
{
    struct sim_want *want = sim_asking_find(flow, event->handle);

    if (want == NULL || want->state != SIM_WANT_ASKED || event->tag != want->job) {
        sim_world_fail(world, "node %u: event %d of handle %08x, which is not outstanding",
                       node->self, (int)event->kind, event->handle);
        return;
    }
    if (event->kind == HAUL_FLOW_FILLING) {
        on_filling(world, node, want, event, false);
    } else if (event->kind == HAUL_FLOW_FILLED) {
        on_filling(world, node, want, event, true);
        sim_handles_add(&flow->filled, event->handle);
        want->state = SIM_WANT_FILLED;
        want->length = event->length;
        want->due = world->now + haul_rng_below(&world->node_rng, node->plan->check_delay + 1);
        if (haul_rng_chance(&world->node_rng, world->plan.faults.stall))
            want->due += haul_rng_below(&world->node_rng, 8 * HAUL_SECOND);
    } else if (event->kind == HAUL_FLOW_REFUSED) {
        on_refused(world, node, want, event);
    } else {
        on_withdrawn(world, node, flow, want, event);
    }
}

/* The flow is down: what was filled is still good, everything else has been told. */
void sim_asking_end(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    for (uint32_t i = 0; i < SIM_WANTS_MAX; i++) {
        struct sim_want *want = &flow->wants[i];

        if (want->state == SIM_WANT_ASKED) {
            sim_world_fail(world, "node %u: the flow ended, want %08x did not", node->self,
                           want->handle);
        } else if (want->state == SIM_WANT_FILLED) {
            node->got_bytes += want->length;
            end_job(world, node, want->job, "verified after the flow's end");
            end_want(node, want);
        }
    }
}
