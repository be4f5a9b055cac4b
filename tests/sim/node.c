/* A worker in small: takes what arrived as trains, lets both sides act, sends until nothing is left
 * to send, and sleeps until the next deadline. */
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

#define TRAINS_A_TURN 4096u

void sim_node_wake(struct sim_world *world, struct sim_node *node, haul_time at)
{
    at = haul_time_max(haul_time_max(at, world->now), node->frozen_until);
    if (at >= node->wake_at)
        return;
    node->wake_at = at;
    sim_heap_push(&world->heap, at, SIM_WAKE, node->self);
}

void sim_node_end_flow(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    uint64_t *to = (uint64_t *)(void *)&world->moved;
    const uint64_t *from = (const uint64_t *)(const void *)&flow->stats;

    for (size_t i = 0; i < sizeof flow->stats / sizeof *from; i++)
        to[i] = to[i] > from[i] ? to[i] : from[i];
    haul_flow_fini(flow->flow);
    flow->flow = NULL;
    free(flow->memory);
    flow->memory = NULL;
    sim_handles_fini(&flow->asked);
    sim_handles_fini(&flow->filled);
    sim_handles_fini(&flow->wanted);
    sim_handles_fini(&flow->numbers);
    (void)node;
}

static void on_down(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                    const struct haul_flow_event *event)
{
    struct sim_node *peer = &world->nodes[flow->peer];
    struct haul_flow_event late;

    sim_world_trace(world, "node %u: flow to %u is down (%d)", node->self, flow->peer,
                    (int)event->status);
    if (world->plan.clean)
        sim_world_fail(world, "node %u: a flow ended (%d) on a clean path", node->self,
                       (int)event->status);
    if (haul_flow_event(flow->flow, &late))
        sim_world_fail(world, "node %u: event %d after DOWN", node->self, (int)late.kind);
    sim_asking_end(world, node, flow);
    sim_serving_end(world, node, flow);
    sim_node_end_flow(world, node, flow);
    /* The control planes talk: the other side hangs up too, then there is a new offer. */
    if (peer->flows[node->self].flow != NULL)
        sim_heap_push(&world->heap, world->now + 100 * HAUL_MILLISECOND, SIM_HANG_UP,
                      peer->self * SIM_NODES_MAX + node->self);
    else if (!sim_world_pair(world, node->self, peer->self)->offered)
        sim_heap_push(&world->heap, world->now + 200 * HAUL_MILLISECOND, SIM_OFFER,
                      node->self * SIM_NODES_MAX + peer->self);
}

void sim_node_drain(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    struct haul_flow_event event;

    while (flow->flow != NULL && haul_flow_event(flow->flow, &event)) {
        node->again = true;
        sim_world_note(world, (uint64_t)event.kind << 32 ^ event.handle ^ world->now);
        sim_world_trace(world, "node %u event %d of %08x, status %d refusal %d length %u",
                        node->self, (int)event.kind, event.handle, (int)event.status,
                        (int)event.refusal, event.length);
        switch (event.kind) {
        case HAUL_FLOW_UP:
            flow->up = true;
            break;
        case HAUL_FLOW_DOWN:
            on_down(world, node, flow, &event);
            break;
        case HAUL_FLOW_FILLING:
        case HAUL_FLOW_FILLED:
        case HAUL_FLOW_REFUSED:
        case HAUL_FLOW_WITHDRAWN:
            sim_asking_event(world, node, flow, &event);
            break;
        case HAUL_FLOW_WANTED:
        case HAUL_FLOW_SERVED:
            sim_serving_event(world, node, flow, &event);
            break;
        }
        if (world->failed)
            return;
    }
}

static struct sim_flow *flow_by_id(struct sim_node *node, uint32_t id)
{
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        if (node->flows[i].flow != NULL && node->flows[i].local_id == id)
            return &node->flows[i];
    }
    return NULL;
}

static void input(struct sim_world *world, struct sim_node *node, const struct haul_train *train)
{
    for (size_t at = 0; at < train->bytes && !world->failed;) {
        size_t bytes = train->bytes - at < train->segment ? train->bytes - at : train->segment;
        struct sim_flow *flow = NULL;
        struct haul_flow_stats before;
        uint32_t id;

        if (haul_flow_receiver(train->data + at, bytes, &id))
            flow = flow_by_id(node, id);
        if (flow == NULL) {
            at += bytes;
            continue;
        }
        before = flow->stats;
        bytes = haul_flow_input(flow->flow, train, at, world->now);
        if (bytes == 0 || bytes > train->bytes - at) {
            sim_world_fail(world, "node %u: input took %zu bytes of %zu", node->self, bytes,
                           train->bytes - at);
            return;
        }
        at += bytes;
        sim_watch_taken(world, node, flow, &before, train->segment);
        sim_node_drain(world, node, flow);
    }
}

/* What a backend with receive offload makes of the queue: datagrams of one source and one length,
 * the last may be shorter. */
static void receive(struct sim_world *world, struct sim_node *node)
{
    static uint8_t buffer[SIM_TRAIN_BYTES];

    while (node->rx_first != SIM_NOBODY && !world->failed) {
        struct haul_train train = { .data = buffer, .capacity = sizeof buffer };
        uint32_t from = world->datagrams[node->rx_first].from;
        bool last = false;

        while (node->rx_first != SIM_NOBODY && !last) {
            uint32_t index = node->rx_first;
            struct sim_datagram *datagram = &world->datagrams[index];
            struct sim_flow *flow;
            uint32_t id;

            if (train.bytes > 0 &&
                (datagram->from != from || datagram->ecn != train.ecn || datagram->bytes == 0 ||
                 datagram->bytes > train.segment || train.bytes + datagram->bytes > sizeof buffer ||
                 train.bytes >= world->plan.segments_max * train.segment))
                break;
            if (train.bytes == 0) {
                train.segment = (uint16_t)datagram->bytes;
                train.ecn = datagram->ecn;
            }
            last = datagram->bytes < train.segment;
            memcpy(buffer + train.bytes, datagram->data, datagram->bytes);
            train.bytes += datagram->bytes;
            node->rx_first = datagram->next;
            node->rx_bytes -= datagram->bytes;
            if (datagram->sender != SIM_NOBODY &&
                haul_flow_receiver(datagram->data, datagram->bytes, &id)) {
                flow = flow_by_id(node, id);
                if (flow != NULL)
                    sim_watch_heard(world, node, flow, datagram);
            }
            sim_datagram_drop(world, index);
        }
        if (train.bytes == 0)
            continue;
        sim_address_write(from, &train.peer);
        input(world, node, &train);
    }
}

static void output(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    static uint8_t buffer[SIM_TRAIN_BYTES];

    for (uint32_t trains = 0; flow->flow != NULL && !world->failed; trains++) {
        struct haul_train train = { .data = buffer, .capacity = sizeof buffer };

        if (!haul_flow_output(flow->flow, &train, world->plan.segments_max, world->now)) {
            sim_node_drain(world, node, flow);
            return;
        }
        sim_watch_train(world, node, flow, &train);
        sim_link_send(world, node, &train);
        sim_node_drain(world, node, flow);
        if (trains == TRAINS_A_TURN) {
            sim_world_fail(world, "node %u sends without end", node->self);
            return;
        }
    }
}

static haul_time next_wake(struct sim_world *world, struct sim_node *node)
{
    haul_time next = HAUL_TIME_NEVER;

    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        struct sim_flow *flow = &node->flows[i];
        haul_time deadline;

        if (flow->flow == NULL)
            continue;
        deadline = haul_flow_deadline(flow->flow);
        if (deadline <= world->now)
            sim_world_fail(world, "node %u: the deadline has passed, and there is nothing to send",
                           node->self);
        next = haul_time_min(next, deadline);
        next = haul_time_min(next, sim_asking_next(world, node, flow));
        next = haul_time_min(next, sim_serving_next(node, flow));
    }
    return next;
}

void sim_node_turn(struct sim_world *world, struct sim_node *node)
{
    uint32_t round = 0;

    receive(world, node);
    do {
        node->again = false;
        for (uint32_t i = 0; i < world->plan.nodes && !world->failed; i++) {
            struct sim_flow *flow = &node->flows[i];

            if (flow->flow != NULL)
                sim_serving_pump(world, node, flow);
            if (flow->flow != NULL)
                sim_asking_pump(world, node, flow);
            if (flow->flow != NULL)
                output(world, node, flow);
        }
        /* What one flow did may be what another waits for: a slot that came free. */
    } while (!world->failed && node->again && ++round < 64);
    if (round == 64)
        sim_world_fail(world, "node %u never comes to rest", node->self);
    for (uint32_t i = 0; i < world->plan.nodes && !world->failed; i++) {
        if (node->flows[i].flow != NULL)
            sim_watch_flow(world, node, &node->flows[i]);
    }
    if (!world->failed)
        sim_node_wake(world, node, haul_time_max(next_wake(world, node), world->now + 1));
}
