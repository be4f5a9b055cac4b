/* The flows of a worker: opening them from grants, finding them by receiver id, what they report.
 */
#include "dataplane/worker_parts.h"

#include "dataplane/flow/wire.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PAYLOAD_FIRST 1152u /* fits every IPv6 path; larger classes are probed */

/* A handful of flows at a time: a walk over the open ones is cheaper than a table. */
struct haul_worker_flow *haul_flows_find(struct haul_worker *worker, uint32_t receiver_id)
{
    for (uint32_t i = 0; i < worker->open_count; i++) {
        struct haul_worker_flow *flow = &worker->flows[worker->open[i]];

        if (flow->local_id == receiver_id && flow->flow != NULL)
            return flow;
    }
    return NULL;
}

/* Whether the grant is one that this worker can honour; the control plane made it, but a limit may
 * have been reached since. */
static bool grant_fits(struct haul_worker *worker, const struct haul_grant *grant)
{
    return grant->wants_max > 0 && grant->wants_max <= HAUL_WANTS_MAX - worker->wants_granted &&
           grant->via < HAUL_VIAS && worker->nets[grant->via] != NULL &&
           grant->cipher < HAUL_AEAD_CIPHERS && worker->aead->of[grant->cipher] != NULL &&
           grant->candidate_count <= HAUL_CANDIDATES_MAX && grant->payload_max >= PAYLOAD_FIRST &&
           haul_flows_find(worker, grant->local_id) == NULL;
}

/* No class of which the net cannot send a datagram. */
static void payload_limit(const struct haul_worker *worker, struct haul_grant *grant)
{
    uint32_t most = haul_net_facts(worker->nets[grant->via])->datagram_max - HAUL_WIRE_OVERHEAD;

    if (grant->payload_max > most)
        grant->payload_max = (uint16_t)(most / HAUL_WIRE_UNIT * HAUL_WIRE_UNIT);
}

static void stats_reset(struct haul_flow_stats *stats)
{
#define X(name, help) haul_counter_set(&stats->name, 0);
    HAUL_FLOW_STATS(X)
#undef X
}

void haul_flows_open(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_flow_conf conf = { .payload_first = PAYLOAD_FIRST };
    struct haul_worker_flow *flow = &worker->flows[order->flow % HAUL_FLOWS_MAX];
    struct haul_grant grant;

    if (order->flow >= HAUL_FLOWS_MAX || flow->taken) {
        haul_order_done(worker, order, HAUL_STATUS_LIMIT, 0);
        return;
    }
    grant = worker->handoff->grants[order->flow];
    explicit_bzero(&worker->handoff->grants[order->flow], sizeof grant);
    if (!grant_fits(worker, &grant)) {
        explicit_bzero(&grant, sizeof grant);
        haul_order_done(worker, order, HAUL_STATUS_LIMIT, 0);
        return;
    }
    *flow = (struct haul_worker_flow){
        .taken = true,
        .via = grant.via,
        .wants_max = grant.wants_max,
        .local_id = grant.local_id,
        .open_id = order->id,
        .memory = worker->flow_memory + order->flow * worker->flow_bytes,
    };
    haul_queue_init(&flow->fetches);
    haul_queue_init(&flow->own);
    haul_queue_init(&flow->serves);
    worker->wants_granted += grant.wants_max;
    stats_reset(&worker->handoff->stats[order->flow]);
    payload_limit(worker, &grant);
    conf.grant = &grant;
    conf.aead = worker->aead->of[grant.cipher];
    conf.stats = &worker->handoff->stats[order->flow];
    conf.wants_max = grant.wants_max;
    haul_assert(getrandom(&conf.seed, sizeof conf.seed, 0) == (ssize_t)sizeof conf.seed);
    flow->flow = haul_flow_init(flow->memory, &conf, worker->now);
    explicit_bzero(&grant, sizeof grant);
    worker->open[worker->open_count++] = (uint8_t)order->flow;
    haul_flows_events(worker, flow);
}

void haul_flows_close(struct haul_worker *worker, const struct haul_order *order)
{
    struct haul_worker_flow *flow = &worker->flows[order->flow % HAUL_FLOWS_MAX];

    if (order->flow >= HAUL_FLOWS_MAX || !flow->taken || flow->closing) {
        haul_order_done(worker, order, HAUL_STATUS_FLOW_ENDED, 0);
        return;
    }
    flow->closing = true;
    flow->close_id = order->id;
    if (flow->flow != NULL) {
        haul_flow_close(flow->flow, worker->now);
        haul_flows_events(worker, flow);
    }
}

/* The flow reported its end: no want of either side touches a slot any more. */
static void flow_down(struct haul_worker *worker, struct haul_worker_flow *flow,
                      enum haul_status status)
{
    uint32_t number = haul_flows_number(worker, flow);

    haul_flow_fini(flow->flow);
    madvise(flow->memory, worker->flow_bytes, MADV_DONTNEED);
    flow->flow = NULL;
    flow->status = (uint8_t)status;
    flow->jobs++; /* keeps the flow while its jobs end one by one */
    haul_queue_init(&flow->fetches);
    haul_queue_init(&flow->own);
    haul_queue_init(&flow->serves);
    for (uint32_t i = 0; i < HAUL_JOBS_MAX; i++) {
        struct haul_job *job = &worker->jobs[i];

        if (job->state == HAUL_JOB_FREE || job->order.flow != number ||
            (job->order.kind != HAUL_ORDER_FETCH && job->order.kind != HAUL_ORDER_SERVE))
            continue;
        if (job->state == HAUL_JOB_ASKED)
            haul_job_free(worker, job); /* its answer, if one comes, finds nothing */
        else if (job->state == HAUL_JOB_QUEUED || job->state == HAUL_JOB_ASKING ||
                 job->state == HAUL_JOB_SENDING)
            haul_job_done(worker, job, HAUL_STATUS_FLOW_ENDED);
        else if (job->state == HAUL_JOB_READING && !job->ended) {
            job->ended = true;
            job->status = HAUL_STATUS_FLOW_ENDED;
        }
    }
    flow->jobs--;
    haul_flows_ended(worker, flow);
}

static void flow_up(struct haul_worker *worker, struct haul_worker_flow *flow, uint32_t payload)
{
    uint32_t number = haul_flows_number(worker, flow);
    struct haul_event event = {
        .kind = HAUL_EVENT_UP,
        .flow = number,
        .id = flow->open_id,
        .at = haul_counter_read(&worker->handoff->stats[number].rtt_ns),
        .when = worker->now,
        .length = payload,
    };

    haul_worker_event(worker, &event);
}

void haul_flows_events(struct haul_worker *worker, struct haul_worker_flow *flow)
{
    struct haul_flow_event event;

    while (flow->flow != NULL && haul_flow_event(flow->flow, &event)) {
        switch (event.kind) {
        case HAUL_FLOW_UP:
            flow_up(worker, flow, event.length);
            break;
        case HAUL_FLOW_DOWN:
            flow_down(worker, flow, event.status);
            break;
        case HAUL_FLOW_FILLING:
        case HAUL_FLOW_FILLED:
        case HAUL_FLOW_REFUSED:
        case HAUL_FLOW_WITHDRAWN:
            haul_fetch_event(worker, flow, &event);
            break;
        case HAUL_FLOW_WANTED:
            haul_serve_wanted(worker, flow, &event);
            break;
        case HAUL_FLOW_SERVED:
            haul_serve_ended(worker, flow, event.handle, event.status);
            break;
        }
    }
}
