/* Blocks that leave: a peer's want crosses to the control plane, comes back as SERVE or REFUSE,
 * waits for a serving slot, is read into it and lent to the flow until the peer has finished. */
#include "dataplane/worker.h"

#include <errno.h>

#define RECLAIM_SPAN (10 * HAUL_MILLISECOND)

/* --- which job a want of a peer is --- */

static uint16_t *want_bucket(struct haul_worker *worker, uint32_t flow, uint32_t handle)
{
    uint64_t key = (uint64_t)flow << 32 | handle;

    return &worker->wants[(key * 0x9e3779b97f4a7c15u) >> 52];
}

static void want_enter(struct haul_worker *worker, struct haul_job *job)
{
    uint16_t *bucket = want_bucket(worker, job->order.flow, job->handle);

    job->chain = *bucket;
    *bucket = haul_job_number(worker, job);
}

/* Takes the job of a want out of its bucket; NULL when there is none. */
static struct haul_job *want_take(struct haul_worker *worker, uint32_t flow, uint32_t handle)
{
    uint16_t *link = want_bucket(worker, flow, handle);

    while (*link != HAUL_NO_JOB) {
        struct haul_job *job = &worker->jobs[*link];

        if (job->order.flow == flow && job->handle == handle) {
            *link = job->chain;
            return job;
        }
        link = &job->chain;
    }
    return NULL;
}

void haul_serve_forget(struct haul_worker *worker, struct haul_job *job)
{
    haul_assert(want_take(worker, job->order.flow, job->handle) == job);
}

/* A want's id names its worker, its job and this use of it, so that an answer that comes too late
 * finds nothing, and no two workers give the same. */
static uint64_t want_id(const struct haul_worker *worker, const struct haul_job *job)
{
    return (uint64_t)worker->number << 56 | (uint64_t)job->reuse << 16 |
           haul_job_number(worker, job);
}

static struct haul_job *want_find(struct haul_worker *worker, uint64_t id)
{
    struct haul_job *job = &worker->jobs[(id & 0xffff) % HAUL_JOBS_MAX];

    return job->state == HAUL_JOB_ASKED && want_id(worker, job) == id ? job : NULL;
}

void haul_serve_wanted(struct haul_worker *worker, struct haul_worker_flow *flow,
                       const struct haul_flow_event *event)
{
    struct haul_order order = {
        .kind = HAUL_ORDER_SERVE,
        .flow = haul_flows_number(worker, flow),
        .length = event->length,
        .hash = event->hash,
    };
    struct haul_job *job = haul_job_new(worker, &order);
    struct haul_event wanted = {
        .kind = HAUL_EVENT_WANTED,
        .flow = order.flow,
        .when = worker->now,
        .length = event->length,
        .hash = event->hash,
    };

    if (job == NULL) {
        haul_counter_add(&worker->counters.wants_refused, 1);
        haul_flow_refuse(flow->flow, event->handle, HAUL_REFUSAL_BUSY, 100, worker->now);
        return;
    }
    flow->jobs++;
    job->state = HAUL_JOB_ASKED;
    job->handle = event->handle;
    want_enter(worker, job);
    wanted.id = want_id(worker, job);
    haul_worker_event(worker, &wanted);
}

/* What the control plane answered with a place: read it, or wait for a slot to read it into. */
void haul_serve_order(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_job *job = want_find(worker, order->id);
    struct haul_worker_flow *flow;
    uint32_t number;

    if (job == NULL) {
        haul_order_done(worker, order, HAUL_STATUS_WITHDRAWN, 0);
        return;
    }
    number = job->order.flow;
    flow = &worker->flows[number];
    job->order = *order;
    job->order.flow = number;
    job->length = order->length;
    if ((order->length == 0 && order->place.kind != HAUL_PLACE_STORE &&
         order->place.kind != HAUL_PLACE_SYNTHETIC) ||
        order->length > HAUL_BLOCK_BYTES_MAX ||
        (order->place.kind == HAUL_PLACE_SLOT &&
         order->place.index >= worker->handoff->slot_count)) {
        haul_flow_refuse(flow->flow, job->handle, HAUL_REFUSAL_FAILED, 0, worker->now);
        haul_job_done(worker, job, HAUL_STATUS_LIMIT);
        return;
    }
    job->state = HAUL_JOB_QUEUED;
    haul_queue_push(worker, &flow->serves, job);
    if (worker->slots.free_count[HAUL_SLOT_SERVING] == 0)
        haul_counter_add(&worker->counters.slot_waits, 1);
}

void haul_serve_refuse(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_job *job = want_find(worker, order->id);

    if (job == NULL) {
        haul_order_done(worker, order, HAUL_STATUS_WITHDRAWN, 0);
        return;
    }
    haul_flow_refuse(worker->flows[job->order.flow].flow, job->handle,
                     (enum haul_refusal)order->reason, order->retry_ms, worker->now);
    haul_order_done(worker, order, HAUL_STATUS_DONE, 0);
    haul_job_free(worker, job);
}

/* Takes slots back from peers that have acknowledged nothing for long, while others wait. The flow
 * reports each as served, which frees the slot. */
static void slots_reclaim(struct haul_worker *worker)
{
    if (worker->now < worker->reclaim_at)
        return;
    worker->reclaim_at = haul_time_add(worker->now, RECLAIM_SPAN);
    for (uint32_t i = 0; i < HAUL_JOBS_MAX; i++) {
        struct haul_job *job = &worker->jobs[i];
        struct haul_worker_flow *flow;

        if (job->state != HAUL_JOB_SENDING || job->slot == HAUL_NO_SLOT)
            continue;
        flow = &worker->flows[job->order.flow];
        if (haul_flow_reclaim(flow->flow, job->handle, worker->now)) {
            haul_counter_add(&worker->counters.reclaimed_slots, 1);
            haul_flows_events(worker, flow);
        }
    }
}

static void serve_begin(struct haul_worker *worker, struct haul_worker_flow *flow,
                        struct haul_job *job)
{
    haul_queue_remove(worker, &flow->serves, job);
    job->state = HAUL_JOB_READING;
    haul_place_read(worker, job);
}

static struct haul_worker_flow *serve_poorest(struct haul_worker *worker)
{
    struct haul_worker_flow *best = NULL;

    for (uint32_t i = 0; i < worker->open_count; i++) {
        struct haul_worker_flow *flow = &worker->flows[worker->open[i]];

        if (flow->flow != NULL && flow->serves.count > 0 &&
            (best == NULL || flow->held[HAUL_SLOT_SERVING] < best->held[HAUL_SLOT_SERVING]))
            best = flow;
    }
    return best;
}

/* Free slots go, one by one, to the flow that holds the fewest. */
void haul_serve_pump(struct haul_worker *worker)
{
    struct haul_worker_flow *flow;

    while ((flow = serve_poorest(worker)) != NULL) {
        struct haul_job *job = haul_queue_first(worker, &flow->serves);

        if (job->order.place.kind == HAUL_PLACE_SLOT) {
            job->memory =
                worker->handoff->slots + (size_t)job->order.place.index * HAUL_BLOCK_BYTES_MAX;
        } else if (!haul_job_slot_take(worker, job, HAUL_SLOT_SERVING)) {
            slots_reclaim(worker);
            if (worker->slots.free_count[HAUL_SLOT_SERVING] == 0)
                return;
            continue;
        }
        serve_begin(worker, flow, job);
    }
}

void haul_serve_read(struct haul_worker *worker, struct haul_job *job)
{
    struct haul_flow *flow = worker->flows[job->order.flow].flow;
    bool missing = job->fault == ENOENT ||
                   (job->fault == 0 && job->order.length != 0 && job->length != job->order.length);

    if (job->ended) {
        haul_job_done(worker, job, (enum haul_status)job->status);
    } else if (job->fault != 0 || missing) {
        haul_flow_refuse(flow, job->handle, HAUL_REFUSAL_FAILED, 0, worker->now);
        haul_job_done(worker, job, missing ? HAUL_STATUS_MISSING : HAUL_STATUS_IO);
    } else {
        job->state = HAUL_JOB_SENDING;
        haul_counter_add(&worker->counters.serves, 1);
        haul_flow_serve(flow, job->handle, job->memory, job->length, worker->now);
    }
}

/* The flow's last word on a peer's want, wherever its job is now. It also comes after a refusal,
 * and then the job is gone already. */
void haul_serve_ended(struct haul_worker *worker, struct haul_worker_flow *flow, uint32_t handle,
                      enum haul_status status)
{
    struct haul_job *job = want_take(worker, haul_flows_number(worker, flow), handle);

    if (job == NULL)
        return;
    want_enter(worker, job);
    switch ((enum haul_job_state)job->state) {
    case HAUL_JOB_ASKED:
        haul_job_free(worker, job); /* its answer, when it comes, finds nothing */
        return;
    case HAUL_JOB_QUEUED:
        haul_queue_remove(worker, &flow->serves, job);
        haul_job_done(worker, job, status);
        return;
    case HAUL_JOB_READING:
        job->ended = true;
        job->status = (uint8_t)status;
        return;
    case HAUL_JOB_SENDING:
        if (status == HAUL_STATUS_DONE)
            haul_counter_add(&worker->counters.served_bytes, job->length);
        haul_job_done(worker, job, status);
        return;
    case HAUL_JOB_FREE:
    case HAUL_JOB_CHECKING:
    case HAUL_JOB_ASKING:
    case HAUL_JOB_PUTTING:
    case HAUL_JOB_SYNCING:
        break;
    }
    haul_assert(false);
}
