/* Serving slots for wants that wait: free ones, and those that silent peers hold. */
#include "dataplane/worker_parts.h"

#define RECLAIM_SPAN (10 * HAUL_MILLISECOND)

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
