/* What the control plane orders, one function a kind. */
#include "dataplane/worker_parts.h"

static uint8_t *control_slot(const struct haul_worker *worker, uint32_t number)
{
    if (number >= worker->handoff->slot_count)
        return NULL;
    return worker->handoff->slots + (size_t)number * HAUL_BLOCK_BYTES_MAX;
}

/* READ and WRITE: between a place and one of the control plane's slots. */
static void order_move(struct haul_worker *worker, const struct haul_order *order)
{
    uint8_t *memory = control_slot(worker, order->slot);
    struct haul_job *job = NULL;

    if (memory != NULL && order->length <= HAUL_BLOCK_BYTES_MAX)
        job = haul_job_new(worker, order);
    if (job == NULL) {
        haul_order_done(worker, order, HAUL_STATUS_LIMIT, 0);
        return;
    }
    job->memory = memory;
    if (order->kind == HAUL_ORDER_READ) {
        job->state = HAUL_JOB_READING;
        haul_place_read(worker, job);
    } else {
        job->state = HAUL_JOB_PUTTING;
        haul_place_write(worker, job);
    }
}

static void order_sync(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_job *job = haul_job_new(worker, order);

    if (job == NULL) {
        haul_order_done(worker, order, HAUL_STATUS_LIMIT, 0);
        return;
    }
    job->state = HAUL_JOB_SYNCING;
    haul_place_sync(worker, job);
}

/* A fetch that is being written is past cancelling: its own DONE says how it ended. */
static void order_cancel(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_job *job = NULL;

    for (uint32_t i = 0; i < HAUL_JOBS_MAX && job == NULL; i++) {
        struct haul_job *at = &worker->jobs[i];

        if ((at->state == HAUL_JOB_QUEUED ||
             (at->state == HAUL_JOB_ASKING && order->reason != HAUL_CANCEL_WAITING)) &&
            at->order.kind == HAUL_ORDER_FETCH && at->order.id == order->target)
            job = at;
    }
    if (job != NULL) {
        struct haul_worker_flow *flow = &worker->flows[job->order.flow];

        if (job->state == HAUL_JOB_QUEUED) {
            haul_queue_remove(
                worker, job->order.place.kind == HAUL_PLACE_SLOT ? &flow->own : &flow->fetches,
                job);
            haul_job_done(worker, job, HAUL_STATUS_WITHDRAWN);
        } else {
            job->ended = true;
            haul_flow_withdraw(flow->flow, job->handle, worker->now);
            haul_flows_events(worker, flow);
        }
    }
    haul_order_done(worker, order, HAUL_STATUS_DONE, 0);
}

static void order_do(struct haul_worker *worker, const struct haul_order *order)
{
    switch ((enum haul_order_kind)order->kind) {
    case HAUL_ORDER_OPEN:
        haul_flows_open(worker, order);
        return;
    case HAUL_ORDER_CLOSE:
        haul_flows_close(worker, order);
        return;
    case HAUL_ORDER_FETCH:
        haul_fetch_order(worker, order);
        return;
    case HAUL_ORDER_CANCEL:
        order_cancel(worker, order);
        return;
    case HAUL_ORDER_SERVE:
        haul_serve_order(worker, order);
        return;
    case HAUL_ORDER_REFUSE:
        haul_serve_refuse(worker, order);
        return;
    case HAUL_ORDER_WRITE:
    case HAUL_ORDER_READ:
        order_move(worker, order);
        return;
    case HAUL_ORDER_SYNC:
        order_sync(worker, order);
        return;
    case HAUL_ORDER_KINDS:
        break;
    }
    haul_assert(false); /* the control plane pushed something that is no order */
}

bool haul_orders_take(struct haul_worker *worker)
{
    struct haul_order order;
    bool any = false;

    while (haul_handoff_poll_order(worker->handoff, &order)) {
        order_do(worker, &order);
        any = true;
    }
    return any;
}
