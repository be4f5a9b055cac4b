/* Blocks that arrive: an order waits for a filling slot and for the flow, the flow fills the slot,
 * the hash runs over what has arrived while it is warm, and a block whose hash holds goes to its
 * place. */
#include "dataplane/worker_parts.h"

#include "common/clock.h"

#define HASH_GROUP 65536u /* bytes that one call of the hash takes at least, while more come */

/* No flow holds more filling slots than this, however many wait: one stalled disk or peer must
 * leave some to the others. */
static uint32_t filling_quota(const struct haul_worker *worker)
{
    uint32_t all = worker->slots.count[HAUL_SLOT_FILLING];

    return all - all / 4;
}

static bool place_takes_blocks(const struct haul_worker *worker, const struct haul_order *order)
{
    if ((order->place.flags & HAUL_PLACE_UNVERIFIED) != 0 && !worker->synthetic)
        return false;
    switch ((enum haul_place_kind)order->place.kind) {
    case HAUL_PLACE_DISCARD:
        return true;
    case HAUL_PLACE_STORE:
    case HAUL_PLACE_FILE:
        return (order->place.flags & HAUL_PLACE_UNVERIFIED) == 0;
    case HAUL_PLACE_SLOT:
        return (order->place.flags & HAUL_PLACE_UNVERIFIED) == 0 &&
               order->place.index < worker->handoff->slot_count;
    case HAUL_PLACE_SYNTHETIC:
        return false;
    }
    return false;
}

void haul_fetch_order(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_worker_flow *flow = &worker->flows[order->flow % HAUL_FLOWS_MAX];
    struct haul_job *job;

    if (order->flow >= HAUL_FLOWS_MAX || flow->flow == NULL || flow->closing) {
        haul_order_done(worker, order, HAUL_STATUS_FLOW_ENDED, 0);
        return;
    }
    job = !place_takes_blocks(worker, order) || order->length > HAUL_BLOCK_BYTES_MAX ||
                  !haul_hash_valid(&order->hash)
              ? NULL
              : haul_job_new(worker, order);
    if (job == NULL) {
        haul_order_done(worker, order, HAUL_STATUS_LIMIT, 0);
        return;
    }
    flow->jobs++;
    job->state = HAUL_JOB_QUEUED;
    if (order->place.kind == HAUL_PLACE_SLOT)
        haul_queue_push(worker, &flow->own, job);
    else
        haul_queue_push(worker, &flow->fetches, job);
    if (worker->slots.free_count[HAUL_SLOT_FILLING] == 0)
        haul_counter_add(&worker->counters.slot_waits, 1);
}

/* Asks the flow; false when it takes no more wants now. */
static bool fetch_ask(struct haul_worker *worker, struct haul_worker_flow *flow,
                      struct haul_job *job)
{
    uint32_t hasher = job->slot != HAUL_NO_SLOT
                          ? job->slot
                          : worker->slots.count[HAUL_SLOT_FILLING] + job->order.place.index;
    uint32_t handle = haul_flow_want(flow->flow, &job->order.hash, 0, job->order.length,
                                     job->memory, haul_job_number(worker, job), worker->now);

    if (handle == HAUL_FLOW_NO_HANDLE)
        return false;
    job->handle = handle;
    job->state = HAUL_JOB_ASKING;
    job->hasher = &worker->hashers[hasher];
    job->hashed = 0;
    haul_hasher_init(job->hasher, job->order.hash.bytes[0]);
    haul_counter_add(&worker->counters.fetches, 1);
    return true;
}

/* Fetches that bring a slot of the control plane (manifests) pass those that wait for one of ours.
 */
static void own_pump(struct haul_worker *worker, struct haul_worker_flow *flow)
{
    struct haul_job *job;

    while ((job = haul_queue_first(worker, &flow->own)) != NULL) {
        job->memory =
            worker->handoff->slots + (size_t)job->order.place.index * HAUL_BLOCK_BYTES_MAX;
        if (!fetch_ask(worker, flow, job))
            return;
        haul_queue_remove(worker, &flow->own, job);
    }
}

/* One slot to the flow; false when it cannot use one now. */
static bool fetch_pump_one(struct haul_worker *worker, struct haul_worker_flow *flow)
{
    struct haul_job *job = haul_queue_first(worker, &flow->fetches);

    /* The slot stays with the first in the queue while the flow has no room for its want. */
    if (job->slot == HAUL_NO_SLOT && !haul_job_slot_take(worker, job, HAUL_SLOT_FILLING))
        return false;
    if (!fetch_ask(worker, flow, job))
        return false;
    haul_queue_remove(worker, &flow->fetches, job);
    return true;
}

static bool fetch_may_have(const struct haul_worker *worker, const struct haul_worker_flow *flow,
                           uint64_t tried, uint32_t number)
{
    const struct haul_queue *queue = &flow->fetches;

    if (flow->flow == NULL || queue->first == HAUL_NO_JOB || (tried >> number & 1) != 0)
        return false;
    return worker->jobs[queue->first].slot != HAUL_NO_SLOT ||
           (worker->slots.free_count[HAUL_SLOT_FILLING] > 0 &&
            flow->held[HAUL_SLOT_FILLING] < filling_quota(worker));
}

/* Free slots go, one by one, to the flow that holds the fewest. */
void haul_fetch_pump(struct haul_worker *worker)
{
    uint64_t tried = 0; /* flows that can use no more in this turn */

    _Static_assert(HAUL_FLOWS_MAX <= 64, "a flow is a bit");
    for (uint32_t i = 0; i < worker->open_count; i++) {
        if (worker->flows[worker->open[i]].flow != NULL)
            own_pump(worker, &worker->flows[worker->open[i]]);
    }
    for (;;) {
        struct haul_worker_flow *best = NULL;

        for (uint32_t i = 0; i < worker->open_count; i++) {
            struct haul_worker_flow *flow = &worker->flows[worker->open[i]];

            if (fetch_may_have(worker, flow, tried, worker->open[i]) &&
                (best == NULL || flow->held[HAUL_SLOT_FILLING] < best->held[HAUL_SLOT_FILLING]))
                best = flow;
        }
        if (best == NULL)
            return;
        if (!fetch_pump_one(worker, best))
            tried |= UINT64_C(1) << haul_flows_number(worker, best);
    }
}

/* Hashes up to `length`: whole groups while more bytes come, everything at the end. */
static void fetch_hash(struct haul_job *job, uint32_t length, bool last)
{
    uint32_t to = last ? length : length / HASH_GROUP * HASH_GROUP;

    if (to <= job->hashed || (job->order.place.flags & HAUL_PLACE_UNVERIFIED) != 0)
        return;
    haul_hasher_update(job->hasher, job->memory + job->hashed, to - job->hashed);
    job->hashed = to;
}

/* The block is whole and its hash known. The flow may have ended meanwhile: the block counts. */
static void fetch_judge(struct haul_worker *worker, struct haul_job *job,
                        const struct haul_hash *hash)
{
    struct haul_flow *flow = worker->flows[job->order.flow].flow;
    bool holds = haul_hash_equal(hash, &job->order.hash) ||
                 (job->order.place.flags & HAUL_PLACE_UNVERIFIED) != 0;

    job->when = haul_clock_read();
    if (flow != NULL)
        haul_flow_verdict(flow, job->handle, holds, worker->now);
    if (!holds) {
        haul_counter_add(&worker->counters.wrong_blocks, 1);
        haul_job_done(worker, job, HAUL_STATUS_WRONG);
        return;
    }
    haul_counter_add(&worker->counters.fetched_bytes, job->length);
    job->state = HAUL_JOB_PUTTING;
    haul_place_write(worker, job);
}

/* Large blocks of which nothing has been hashed yet go to the hashing thread while that has room;
 * the others are hashed here. */
static void fetch_filled(struct haul_worker *worker, struct haul_job *job, uint32_t length)
{
    const struct haul_verify_block block = { .memory = job->memory,
                                             .length = length,
                                             .job = haul_job_number(worker, job),
                                             .code = job->order.hash.bytes[0] };
    struct haul_hash hash;

    job->length = length;
    if (job->hashed == 0 && length >= HAUL_VERIFY_BYTES_MIN &&
        (job->order.place.flags & HAUL_PLACE_UNVERIFIED) == 0 &&
        haul_verify_give(worker->verify, &block)) {
        job->state = HAUL_JOB_CHECKING;
        return;
    }
    fetch_hash(job, length, true);
    haul_hasher_final(job->hasher, &hash);
    fetch_judge(worker, job, &hash);
}

bool haul_fetch_checked(struct haul_worker *worker)
{
    struct haul_verify_block block;
    bool any = false;

    while (haul_verify_take(worker->verify, &block)) {
        struct haul_job *job = &worker->jobs[block.job];

        haul_assert(job->state == HAUL_JOB_CHECKING);
        haul_counter_add(&worker->counters.blocks_hashed_aside, 1);
        fetch_judge(worker, job, &block.hash);
        any = true;
    }
    return any;
}

void haul_fetch_event(struct haul_worker *worker, struct haul_worker_flow *flow,
                      const struct haul_flow_event *event)
{
    struct haul_job *job;

    haul_assert(event->tag < HAUL_JOBS_MAX);
    job = &worker->jobs[event->tag];
    if (job->state == HAUL_JOB_CHECKING)
        return; /* the block is whole, whatever the flow says of it */
    haul_assert(job->state == HAUL_JOB_ASKING && job->handle == event->handle);
    if (event->kind == HAUL_FLOW_FILLING) {
        if (job->hashed > 0 || !haul_verify_room(worker->verify))
            fetch_hash(job, event->length, false);
    } else if (event->kind == HAUL_FLOW_FILLED) {
        fetch_filled(worker, job, event->length);
    } else if (event->kind == HAUL_FLOW_REFUSED) {
        job->fault = event->retry_ms;
        haul_job_done(worker, job, haul_flow_refusal_status(event->refusal));
    } else {
        haul_job_done(worker, job, job->ended ? HAUL_STATUS_WITHDRAWN : HAUL_STATUS_FLOW_ENDED);
    }
}
