/* How orders, jobs and flows end: each with one final event. */
#include "dataplane/worker_parts.h"

/* The ring holds at least as many cells as final events and wants can be outstanding. */
void haul_worker_event(struct haul_worker *worker, const struct haul_event *event)
{
    haul_assert(haul_handoff_post_event(worker->handoff, event));
    worker->posted = true;
}

/* The final event of an order that never became a job. */
void haul_order_done(struct haul_worker *worker, const struct haul_order *order,
                     enum haul_status status, uint64_t at)
{
    struct haul_event event = {
        .kind = HAUL_EVENT_DONE,
        .order = order->kind,
        .status = (uint16_t)status,
        .flow = order->flow,
        .id = order->id,
        .at = at,
        .when = worker->now,
        .length = order->length,
        .slot = order->slot,
        .hash = order->hash,
    };

    haul_worker_event(worker, &event);
}

/* OPEN and CLOSE are done when the flow is down and everything that was its own has ended. */
void haul_flows_ended(struct haul_worker *worker, struct haul_worker_flow *flow)
{
    struct haul_order order = { .kind = HAUL_ORDER_OPEN,
                                .flow = haul_flows_number(worker, flow),
                                .id = flow->open_id };

    if (!flow->taken || flow->flow != NULL || flow->jobs > 0)
        return;
    flow->taken = false;
    worker->wants_granted -= flow->wants_max;
    for (uint32_t i = 0; i < worker->open_count; i++) {
        if (worker->open[i] != order.flow)
            continue;
        worker->open[i] = worker->open[--worker->open_count];
        break;
    }
    haul_order_done(worker, &order, (enum haul_status)flow->status, 0);
    if (flow->closing) {
        order.kind = HAUL_ORDER_CLOSE;
        order.id = flow->close_id;
        haul_order_done(worker, &order, HAUL_STATUS_DONE, 0);
    }
}

static bool job_has_flow(const struct haul_job *job)
{
    return job->order.kind == HAUL_ORDER_FETCH || job->order.kind == HAUL_ORDER_SERVE;
}

void haul_job_free(struct haul_worker *worker, struct haul_job *job)
{
    struct haul_worker_flow *flow = job_has_flow(job) ? &worker->flows[job->order.flow] : NULL;

    haul_assert(job->state != HAUL_JOB_FREE && job->unsent == 0 && job->running == 0);
    haul_job_slot_give(worker, job);
    if (job->order.kind == HAUL_ORDER_SERVE)
        haul_want_forget(worker, job);
    job->state = HAUL_JOB_FREE;
    job->next = worker->free_job;
    worker->free_job = haul_job_number(worker, job);
    if (flow != NULL) {
        haul_assert(flow->jobs > 0);
        flow->jobs--;
        haul_flows_ended(worker, flow);
    }
}

void haul_job_done(struct haul_worker *worker, struct haul_job *job, enum haul_status status)
{
    bool writes = job->order.kind == HAUL_ORDER_WRITE || job->order.kind == HAUL_ORDER_SYNC;
    struct haul_event event = {
        .kind = HAUL_EVENT_DONE,
        .order = job->order.kind,
        .status = (uint16_t)status,
        .flow = job->order.flow,
        .id = job->order.id,
        .at = job->fault != 0 ? (uint64_t)job->fault : worker->failed_packs,
        .when = job->when != 0 ? job->when : worker->now,
        .length = writes ? worker->failed_packs : job->length,
        .slot = job->order.slot,
        .hash = job->order.hash,
    };

    haul_worker_event(worker, &event);
    haul_job_free(worker, job);
}
