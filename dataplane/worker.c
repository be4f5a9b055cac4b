/* The worker's loop, one line a step. A turn that moved nothing ends in a sleep. */
#include "dataplane/worker_parts.h"

#include "common/clock.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RECEIVE_BATCH 8u  /* trains between two looks at everything else */
#define SEND_BATCH    4u  /* trains sealed, then sent: they stay in the second-level cache */
#define SEND_TURN     16u /* trains that a turn may send before it receives again */
#define POLL_SPAN     (20 * HAUL_MICROSECOND) /* shorter than a sleep takes to wake from */
#define BLOCKED_SPAN  (10 * HAUL_MILLISECOND)
#define GAUGES_TURNS  64u               /* turns between two looks at the gauges, while busy */
#define END_SPAN      (5 * HAUL_SECOND) /* for what the disk still does at the end */

/* Hands a train to the flows that its datagrams name: nearly always one flow, one call. */
static void train_input(struct haul_worker *worker, const struct haul_train *train, uint8_t via)
{
    size_t at = 0;

    while (at < train->bytes) {
        struct haul_worker_flow *flow = NULL;
        size_t left = train->bytes - at;
        uint32_t receiver;

        if (haul_flow_receiver(haul_train_at(train, at),
                               left < train->segment ? left : train->segment, &receiver))
            flow = haul_flows_find(worker, receiver);
        if (flow == NULL || flow->via != via) {
            haul_counter_add(&worker->counters.rx_unknown, 1);
            at += train->segment;
            continue;
        }
        at += haul_flow_input(flow->flow, train, at, worker->now);
        haul_flows_events(worker, flow);
    }
}

static bool net_receive(struct haul_worker *worker, uint8_t via)
{
    struct haul_train trains[RECEIVE_BATCH];
    size_t count = haul_net_receive(worker->nets[via], trains, RECEIVE_BATCH);

    for (size_t i = 0; i < count; i++) {
        worker->now = haul_clock_read();
        train_input(worker, &trains[i], via);
    }
    haul_net_release(worker->nets[via], trains, count);
    return count > 0;
}

static bool worker_receive(struct haul_worker *worker)
{
    bool some = false;

    for (uint8_t via = 0; via < HAUL_VIAS; via++) {
        if (worker->nets[via] != NULL)
            some |= net_receive(worker, via);
    }
    return some;
}

/* Fills trains from the flows of one net in turn, one train each. */
static size_t trains_fill(struct haul_worker *worker, uint8_t via, struct haul_train *trains,
                          size_t count)
{
    uint32_t segments = haul_net_facts(worker->nets[via])->segments_max;
    size_t used = 0;
    uint32_t quiet = 0;

    while (used < count && quiet < worker->open_count) {
        struct haul_worker_flow *flow =
            &worker->flows[worker->open[worker->send_next++ % worker->open_count]];

        if (flow->flow != NULL && flow->via == via &&
            haul_flow_output(flow->flow, &trains[used], segments, worker->now)) {
            used++;
            quiet = 0;
        } else {
            trains[used].bytes = 0;
            quiet++;
        }
    }
    return used;
}

static size_t net_send(struct haul_worker *worker, uint8_t via)
{
    struct haul_train trains[SEND_BATCH];
    size_t sent = 0, used = SEND_BATCH;

    while (sent < SEND_TURN && used == SEND_BATCH) {
        size_t count = haul_net_reserve(worker->nets[via], trains, SEND_BATCH);

        if (count == 0) {
            worker->blocked = true;
            break;
        }
        worker->now = haul_clock_read();
        used = trains_fill(worker, via, trains, count);
        haul_net_send(worker->nets[via], trains, count);
        sent += used;
    }
    return sent;
}

static bool flows_over(const struct haul_worker *worker, uint8_t via)
{
    for (uint32_t i = 0; i < worker->open_count; i++) {
        if (worker->flows[worker->open[i]].via == via)
            return true;
    }
    return false;
}

/* What is due goes out: data, acknowledgements, timers. */
static bool worker_send(struct haul_worker *worker)
{
    size_t sent = 0;

    worker->blocked = false;
    for (uint8_t via = 0; via < HAUL_VIAS; via++) {
        if (flows_over(worker, via))
            sent += net_send(worker, via);
    }
    for (uint32_t i = 0; i < worker->open_count; i++)
        haul_flows_events(worker, &worker->flows[worker->open[i]]);
    return sent > 0;
}

static void worker_report(struct haul_worker *worker)
{
    struct haul_store_facts facts;

    haul_store_facts(worker->store, &facts);
    haul_counter_set(&worker->store_facts.blocks, facts.blocks);
    haul_counter_set(&worker->store_facts.bytes, facts.bytes);
    haul_counter_set(&worker->store_facts.failed_packs, facts.failed_packs);
    haul_counter_set(&worker->store_facts.damaged_packs, facts.damaged_packs);
    haul_counter_set(&worker->counters.filling_free, worker->slots.free_count[HAUL_SLOT_FILLING]);
    haul_counter_set(&worker->counters.serving_free, worker->slots.free_count[HAUL_SLOT_SERVING]);
}

static bool serves_wait(const struct haul_worker *worker)
{
    for (uint32_t i = 0; i < worker->open_count; i++) {
        if (worker->flows[worker->open[i]].serves.count > 0)
            return true;
    }
    return false;
}

/* How long nothing will be due. */
static haul_time worker_span(const struct haul_worker *worker)
{
    haul_time due = HAUL_TIME_NEVER;

    for (uint32_t i = 0; i < worker->open_count; i++) {
        const struct haul_worker_flow *flow = &worker->flows[worker->open[i]];

        if (flow->flow != NULL)
            due = haul_time_min(due, haul_flow_deadline(flow->flow));
    }
    if (serves_wait(worker))
        due = haul_time_min(due, worker->reclaim_at);
    if (due == HAUL_TIME_NEVER)
        return HAUL_TIME_NEVER;
    return haul_time_since(haul_clock_read(), due);
}

/* Once a turn: on a shared core each wake-up puts the control thread in our place. */
static void worker_tell(struct haul_worker *worker)
{
    if (worker->posted)
        haul_handoff_tell(worker->handoff);
    worker->posted = false;
}

/* Sleeps on one net; what arrives at the other one wakes it too. */
static void nets_wait(struct haul_worker *worker, int *fds, size_t count, haul_time span)
{
    struct haul_net *kernel = worker->nets[HAUL_VIA_KERNEL], *dpdk = worker->nets[HAUL_VIA_DPDK];

    if (dpdk == NULL) {
        haul_net_wait(kernel, fds, count, span);
        return;
    }
    if (kernel != NULL) {
        haul_net_wait(kernel, NULL, 0, 0);
        if (haul_net_ready(kernel))
            return;
        fds[count++] = haul_net_fd(kernel);
    }
    haul_net_wait(dpdk, fds, count, span);
}

static void posts_stir(struct haul_worker *worker)
{
    if (worker->post != NULL)
        haul_post_rested(worker->post, HAUL_POST_CLIENT);
    for (uint32_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        if (worker->posts[i] != NULL)
            haul_post_rested(worker->posts[i], HAUL_POST_OWNER);
    }
}

/* Tells everybody who can wake it that it sleeps; false when one of them has something already. */
static bool worker_dozes(struct haul_worker *worker)
{
    bool quiet = true;

    if (!haul_handoff_rest(worker->handoff))
        return false;
    if (worker->post != NULL)
        quiet = haul_post_rest(worker->post, HAUL_POST_CLIENT);
    for (uint32_t i = 0; i < HAUL_WORKERS_MAX && quiet; i++)
        quiet = worker->posts[i] == NULL || haul_post_rest(worker->posts[i], HAUL_POST_OWNER);
    if (quiet)
        return true;
    posts_stir(worker);
    haul_handoff_rested(worker->handoff);
    return false;
}

static void worker_rest(struct haul_worker *worker)
{
    int fds[3] = { worker->handoff->orders_fd, haul_io_fd(worker->io) };
    haul_time span = worker_span(worker);

    worker_report(worker);
    if (worker->blocked)
        span = haul_time_min(haul_time_max(span, HAUL_MILLISECOND), BLOCKED_SPAN);
    else if (worker->spin || span < POLL_SPAN)
        span = 0;
    if (span > 0 && !worker_dozes(worker))
        return;
    nets_wait(worker, fds, fds[1] >= 0 ? 2 : 1, span);
    if (span > 0) {
        haul_handoff_rested(worker->handoff);
        posts_stir(worker);
    }
}

static void worker_turn(struct haul_worker *worker)
{
    bool busy;

    worker->now = haul_clock_read();
    worker->submitted = false;
    haul_counter_add(&worker->counters.turns, 1);
    busy = haul_orders_take(worker);
    busy |= worker_receive(worker);
    busy |= haul_place_reap(worker);
    busy |= haul_fetch_checked(worker);
    haul_fetch_pump(worker);
    haul_serve_pump(worker);
    busy |= worker_send(worker);
    haul_io_kick(worker->io);
    worker_tell(worker);
    if (!busy && !worker->submitted)
        worker_rest(worker);
    else if (worker->counters.turns % GAUGES_TURNS == 0)
        worker_report(worker);
}

static bool worker_has_io(const struct haul_worker *worker)
{
    for (uint32_t i = 0; i < HAUL_JOBS_MAX; i++) {
        if (worker->jobs[i].running != 0)
            return true;
    }
    return false;
}

/* Says good-bye to the peers, then waits for the disk: it must not write to slots that are gone. */
static void worker_end(struct haul_worker *worker)
{
    haul_time limit = haul_time_add(haul_clock_read(), END_SPAN);

    worker->now = haul_clock_read();
    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        struct haul_worker_flow *flow = &worker->flows[i];

        if (flow->flow != NULL && !flow->closing) {
            flow->closing = true;
            haul_flow_close(flow->flow, worker->now);
        }
    }
    worker_send(worker);
    worker_tell(worker);
    while (worker_has_io(worker) && haul_clock_read() < limit) {
        int fds[2] = { haul_io_fd(worker->io) };

        if (!haul_place_reap(worker))
            nets_wait(worker, fds, fds[0] >= 0 ? 1 : 0, HAUL_MILLISECOND);
    }
    worker_tell(worker);
    for (uint32_t i = 0; i < HAUL_FLOWS_MAX; i++) {
        if (worker->flows[i].flow != NULL)
            haul_flow_fini(worker->flows[i].flow);
        worker->flows[i].flow = NULL;
    }
}

void *haul_worker_run(void *context)
{
    struct haul_worker *worker = context;
    char name[16] = "haul-worker";

    if (worker->number > 0)
        snprintf(name, sizeof name, "haul-worker-%u", worker->number % 10);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* a pacer's deadlines are microseconds away */
    for (uint8_t via = 0; via < HAUL_VIAS; via++) {
        if (worker->nets[via] != NULL)
            haul_net_wait(worker->nets[via], NULL, 0, 0); /* ties the net to this thread */
    }
    haul_assert(sem_post(&worker->started) == 0);
    while (haul_counter_read(&worker->stop) == 0)
        worker_turn(worker);
    worker_end(worker);
    return NULL;
}
