/* Blocks that leave: a peer's want crosses to the control plane, comes back as SERVE or REFUSE,
 * waits for a serving slot, is read into it and lent to the flow until the peer has finished. */
#include "dataplane/worker_parts.h"

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
    haul_want_enter(worker, job);
    wanted.id = haul_want_id(worker, job);
    haul_worker_event(worker, &wanted);
}

/* What the control plane answered with a place: read it, or wait for a slot to read it into. */
void haul_serve_order(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_job *job = haul_want_find(worker, order->id);
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
    struct haul_job *job = haul_want_find(worker, order->id);

    if (job == NULL) {
        haul_order_done(worker, order, HAUL_STATUS_WITHDRAWN, 0);
        return;
    }
    haul_flow_refuse(worker->flows[job->order.flow].flow, job->handle,
                     (enum haul_refusal)order->reason, order->retry_ms, worker->now);
    haul_order_done(worker, order, HAUL_STATUS_DONE, 0);
    haul_job_free(worker, job);
}

/* The flow's last word on a peer's want, wherever its job is now. It also comes after a refusal,
 * and then the job is gone already. */
void haul_serve_ended(struct haul_worker *worker, struct haul_worker_flow *flow, uint32_t handle,
                      enum haul_status status)
{
    struct haul_job *job = haul_want_take(worker, haul_flows_number(worker, flow), handle);

    if (job == NULL)
        return;
    haul_want_enter(worker, job);
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
