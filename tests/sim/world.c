/* The clock and the agenda: who acts when, what the control planes would do, and when a run is
 * over. First faults, then a healed network in which everything must come to an end. */
#include "tests/sim/world.h"

#include "tests/sim/toy_aead.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START      (1000 * HAUL_SECOND)
#define EVENTS_MAX 20000000u

void sim_world_fail(struct sim_world *world, const char *format, ...)
{
    va_list list;

    if (world->failed)
        return;
    world->failed = true;
    va_start(list, format);
    vsnprintf(world->failure, sizeof world->failure, format, list);
    va_end(list);
    sim_world_trace(world, "FAILED: %s", world->failure);
}

void sim_world_trace(struct sim_world *world, const char *format, ...)
{
    va_list list;

    if (!world->trace)
        return;
    printf("%12" PRIu64 ".%03" PRIu64 " us  ", (world->now - world->start) / 1000,
           (world->now - world->start) % 1000);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

void sim_world_note(struct sim_world *world, uint64_t what)
{
    world->digest = (world->digest ^ what) * 0x9e3779b97f4a7c15ull;
    world->digest ^= world->digest >> 29;
}

struct sim_pair *sim_world_pair(struct sim_world *world, uint32_t a, uint32_t b)
{
    return a < b ? &world->pairs[a][b] : &world->pairs[b][a];
}

void sim_world_init(struct sim_world *world)
{
    memset(world, 0, sizeof *world);
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++) {
        world->nodes[i].memory = malloc((size_t)64 * HAUL_BLOCK_BYTES_MAX);
        haul_assert(world->nodes[i].memory != NULL);
    }
    world->datagram_free = SIM_NOBODY;
}

void sim_world_fini(struct sim_world *world)
{
    for (uint32_t i = 0; i < SIM_NODES_MAX; i++)
        free(world->nodes[i].memory);
    for (uint32_t i = 0; i < world->datagram_count; i++)
        free(world->datagrams[i].data);
    free(world->datagrams);
    sim_heap_fini(&world->heap);
}

static void draw_grant(struct sim_world *world, uint32_t lower, uint32_t higher)
{
    struct sim_pair *pair = sim_world_pair(world, lower, higher);
    const struct sim_plan *plan = &world->plan;
    uint32_t ids[2] = { (uint32_t)haul_rng_next(&world->node_rng),
                        (uint32_t)haul_rng_next(&world->node_rng) };
    uint8_t secrets[2][32];

    haul_rng_fill(&world->node_rng, secrets, sizeof secrets);
    for (uint32_t side = 0; side < 2; side++) {
        struct haul_grant *grant = &pair->grant[side];
        const struct sim_node *peer = &world->nodes[side == 0 ? higher : lower];

        *grant = (struct haul_grant){
            .local_id = ids[side],
            .remote_id = ids[1 - side],
            .cipher = HAUL_CIPHER_AES_128_GCM,
            .congestion = plan->congestion,
            .asker = side == pair->epochs % 2,
            .wants_max = plan->grant_wants,
            .payload_max = plan->payload_max,
            .rate_max = plan->rate_max,
        };
        memcpy(grant->seal_secret, secrets[side], 32);
        memcpy(grant->open_secret, secrets[1 - side], 32);
        for (uint32_t i = 0; i <= plan->false_candidates; i++) {
            uint32_t address = peer->address;

            /* False candidates come first: the true one must still be found. */
            if (i < plan->false_candidates)
                address = world->address_count < SIM_ADDRESSES_MAX / 2
                              ? sim_address_add(world, SIM_NOBODY)
                              : peer->address;
            sim_address_write(address, &grant->candidates[grant->candidate_count++]);
        }
    }
}

/* Both sides will open: the granter at once, the asker when it has read the grant. */
static void offer(struct sim_world *world, uint32_t a, uint32_t b)
{
    uint32_t lower = a < b ? a : b, higher = a < b ? b : a;
    struct sim_pair *pair = sim_world_pair(world, a, b);

    if (pair->offered || world->nodes[lower].flows[higher].flow != NULL ||
        world->nodes[higher].flows[lower].flow != NULL)
        return;
    pair->offered = true;
    draw_grant(world, lower, higher);
    pair->epochs++;
    for (uint32_t side = 0; side < 2; side++) {
        haul_time wait = pair->grant[side].asker
                             ? world->plan.link.delay + haul_rng_below(&world->node_rng, 20000000)
                             : 0;
        uint32_t self = side == 0 ? lower : higher, peer = side == 0 ? higher : lower;

        sim_heap_push(&world->heap, world->now + wait, SIM_OPEN, self * SIM_NODES_MAX + peer);
    }
}

static void open_flow(struct sim_world *world, struct sim_node *node, uint32_t peer)
{
    struct sim_pair *pair = sim_world_pair(world, node->self, peer);
    struct sim_flow *flow = &node->flows[peer];
    const struct haul_grant *grant = &pair->grant[node->self < peer ? 0 : 1];
    struct haul_flow_conf conf = {
        .grant = grant,
        .aead = &sim_toy_aead,
        .stats = &flow->stats,
        .seed = haul_rng_next(&world->node_rng),
        .wants_max = node->plan->wants_max,
        .payload_first = world->plan.payload_first,
    };
    size_t bytes = (haul_flow_bytes(grant->wants_max) + 63) / 64 * 64;

    if (grant->asker)
        pair->offered = false; /* the asker opens last */
    memset(flow, 0, sizeof *flow);
    flow->memory = aligned_alloc(64, bytes);
    haul_assert(flow->memory != NULL);
    memset(flow->memory, 0xa5, bytes);
    flow->peer = peer;
    flow->local_id = grant->local_id;
    flow->remote_id = grant->remote_id;
    flow->flow = haul_flow_init(flow->memory, &conf, world->now);
    sim_world_trace(world, "node %u opens a flow to %u", node->self, peer);
    sim_node_drain(world, node, flow);
    sim_node_wake(world, node, world->now);
}

static void close_flow(struct sim_world *world, struct sim_node *node, uint32_t peer)
{
    struct sim_flow *flow = &node->flows[peer];

    if (flow->flow == NULL || flow->closing)
        return;
    sim_world_trace(world, "node %u closes its flow to %u", node->self, peer);
    flow->closing = true;
    haul_flow_close(flow->flow, world->now);
    sim_node_drain(world, node, flow);
    sim_node_wake(world, node, world->now);
}

static void heal(struct sim_world *world)
{
    sim_world_trace(world, "the faults are over");
    world->healed = true;
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        world->nodes[i].frozen_until = 0;
        sim_node_wake(world, &world->nodes[i], world->now);
        for (uint32_t j = 0; j < world->plan.nodes; j++)
            world->links[i][j].cut_until = 0;
    }
}

/* The address that a translator gives a node changes; the old one leads nowhere. */
static void rebind(struct sim_world *world, struct sim_node *node)
{
    if (world->address_count >= SIM_ADDRESSES_MAX - 64)
        return;
    world->addresses[node->address].live = false;
    node->address = sim_address_add(world, node->self);
    sim_world_trace(world, "node %u is at address %u now", node->self, node->address);
}

static uint32_t some_node(struct sim_world *world)
{
    return (uint32_t)haul_rng_below(&world->evil_rng, world->plan.nodes);
}

static haul_time soon(struct sim_world *world, haul_time every)
{
    return world->now + every / 2 + haul_rng_below(&world->evil_rng, every + 1);
}

static void act(struct sim_world *world, const struct sim_event *event)
{
    const struct sim_faults *faults = &world->plan.faults;
    struct sim_node *node = &world->nodes[some_node(world)];
    uint32_t other =
        (node->self + 1 + (uint32_t)haul_rng_below(&world->evil_rng, world->plan.nodes - 1)) %
        world->plan.nodes;

    if (world->healed)
        return;
    switch (event->kind) {
    case SIM_PARTITION:
        sim_world_trace(world, "no way from %u to %u", node->self, other);
        world->links[node->self][other].cut_until =
            world->now + haul_rng_below(&world->evil_rng, faults->partition_span);
        if (haul_rng_below(&world->evil_rng, 2) == 0)
            world->links[other][node->self].cut_until = world->links[node->self][other].cut_until;
        sim_heap_push(&world->heap, soon(world, faults->partition_every), event->kind, 0);
        break;
    case SIM_FREEZE:
        sim_world_trace(world, "node %u freezes", node->self);
        node->frozen_until = world->now + haul_rng_below(&world->evil_rng, faults->freeze_span);
        sim_heap_push(&world->heap, soon(world, faults->freeze_every), event->kind, 0);
        break;
    case SIM_REBIND:
        rebind(world, node);
        sim_heap_push(&world->heap, soon(world, faults->rebind_every), event->kind, 0);
        break;
    case SIM_ADVERSARY:
        sim_adversary_act(world);
        sim_heap_push(&world->heap, soon(world, faults->adversary_every), event->kind, 0);
        break;
    case SIM_CLOSE:
        close_flow(world, node, other);
        sim_heap_push(&world->heap, soon(world, faults->close_every), event->kind, 0);
        break;
    default:
        break;
    }
}

static void wake(struct sim_world *world, struct sim_node *node, haul_time at)
{
    if (at != node->wake_at)
        return; /* an earlier wake took its place */
    node->wake_at = HAUL_TIME_NEVER;
    if (world->now < node->frozen_until)
        sim_node_wake(world, node, node->frozen_until);
    else
        sim_node_turn(world, node);
}

static void happen(struct sim_world *world, const struct sim_event *event)
{
    uint32_t a = event->index / SIM_NODES_MAX, b = event->index % SIM_NODES_MAX;

    switch ((enum sim_kind)event->kind) {
    case SIM_ARRIVE:
        sim_link_arrive(world, event->index);
        break;
    case SIM_WAKE:
        wake(world, &world->nodes[event->index], event->at);
        break;
    case SIM_OFFER:
        offer(world, a, b);
        break;
    case SIM_OPEN:
        open_flow(world, &world->nodes[a], b);
        break;
    case SIM_HANG_UP:
        close_flow(world, &world->nodes[a], b);
        break;
    case SIM_HEAL:
        heal(world);
        break;
    case SIM_PARTITION:
    case SIM_FREEZE:
    case SIM_REBIND:
    case SIM_ADVERSARY:
    case SIM_CLOSE:
        act(world, event);
        break;
    }
}

static void begin_node(struct sim_world *world, uint32_t self)
{
    struct sim_node *node = &world->nodes[self];
    uint8_t *memory = node->memory;

    memset(node, 0, sizeof *node);
    node->self = self;
    node->memory = memory;
    node->plan = &world->plan.node[self];
    node->address = sim_address_add(world, self);
    node->wake_at = HAUL_TIME_NEVER;
    node->rx_first = SIM_NOBODY;
    node->jobs_left = node->plan->job_count;
    haul_assert(node->plan->filling + node->plan->serving <= 64);
    haul_slots_init(&node->slots, node->plan->filling, node->plan->serving);
}

static void begin_faults(struct sim_world *world)
{
    const struct sim_faults *faults = &world->plan.faults;
    const struct {
        haul_time every;
        enum sim_kind kind;
    } list[] = {
        { faults->partition_every, SIM_PARTITION }, { faults->freeze_every, SIM_FREEZE },
        { faults->rebind_every, SIM_REBIND },       { faults->adversary_every, SIM_ADVERSARY },
        { faults->close_every, SIM_CLOSE },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(list); i++) {
        if (list[i].every > 0)
            sim_heap_push(&world->heap, soon(world, list[i].every), list[i].kind, 0);
    }
    sim_heap_push(&world->heap, world->start + world->plan.faults_end, SIM_HEAL, 0);
}

void sim_world_begin(struct sim_world *world)
{
    sim_heap_clear(&world->heap);
    sim_link_reset(world);
    sim_toy_reset();
    haul_rng_init(&world->net_rng, world->plan.seed * 4 + 1);
    haul_rng_init(&world->node_rng, world->plan.seed * 4 + 2);
    haul_rng_init(&world->evil_rng, world->plan.seed * 4 + 3);
    memset(world->pairs, 0, sizeof world->pairs);
    world->now = world->start = START;
    world->healed = false;
    world->failed = false;
    world->events = 0;
    world->digest = world->plan.seed;
    for (uint32_t i = 0; i < world->plan.nodes; i++)
        begin_node(world, i);
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        for (uint32_t j = i + 1; j < world->plan.nodes; j++)
            sim_heap_push(&world->heap, world->now, SIM_OFFER, i * SIM_NODES_MAX + j);
    }
    begin_faults(world);
}

/* All work has ended, and every slot is back. */
static bool settled(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        const struct sim_node *node = &world->nodes[i];

        if (node->jobs_left > 0)
            return false;
        for (uint32_t side = 0; side < HAUL_SLOT_SIDES; side++) {
            if (node->slots.free_count[side] != node->slots.count[side])
                return false;
        }
    }
    return world->healed;
}

void sim_world_end(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        for (uint32_t j = 0; j < world->plan.nodes; j++) {
            if (world->nodes[i].flows[j].flow != NULL)
                sim_node_end_flow(world, &world->nodes[i], &world->nodes[i].flows[j]);
        }
    }
}

void sim_world_advance(struct sim_world *world, haul_time until)
{
    struct sim_event event;

    while (!world->failed && world->heap.count > 0 && world->heap.events[0].at <= until &&
           sim_heap_pop(&world->heap, &event)) {
        world->now = event.at;
        world->events++;
        sim_world_note(world, event.at ^ (uint64_t)event.kind << 56 ^ event.index);
        happen(world, &event);
        if (world->events > EVENTS_MAX)
            sim_world_fail(world, "%u events and no end", EVENTS_MAX);
        if (settled(world))
            return;
    }
}

bool sim_world_run(struct sim_world *world)
{
    sim_world_begin(world);
    sim_world_advance(world, world->start + world->plan.faults_end + world->plan.bound);
    if (!world->failed)
        sim_watch_end(world);
    sim_world_end(world);
    return !world->failed;
}
