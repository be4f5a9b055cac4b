/* The network between the nodes, and who else is on it. A link has a rate, a buffer, a delay and
 * faults; every datagram goes its own way, so jitter reorders. */
#include "tests/sim/world.h"

#include "dataplane/flow/seal.h"
#include "tests/sim/toy_aead.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_PORT 4501u

uint32_t sim_address_add(struct sim_world *world, uint32_t node)
{
    haul_assert(world->address_count < SIM_ADDRESSES_MAX);
    world->addresses[world->address_count] = (struct sim_address){ node, true };
    return world->address_count++;
}

void sim_address_write(uint32_t address, struct haul_addr *addr)
{
    *addr = (struct haul_addr){ .family = 4, .port = ADDRESS_PORT };
    addr->ip[0] = 10;
    addr->ip[2] = (uint8_t)(address >> 8);
    addr->ip[3] = (uint8_t)address;
}

uint32_t sim_address_read(const struct haul_addr *addr)
{
    struct haul_addr same;
    uint32_t address = (uint32_t)addr->ip[2] << 8 | addr->ip[3];

    sim_address_write(address, &same);
    return haul_addr_equal(addr, &same) ? address : SIM_ADDRESSES_MAX;
}

static uint32_t datagram_new(struct sim_world *world, const uint8_t *data, uint32_t bytes)
{
    uint32_t index = world->datagram_free;
    struct sim_datagram *datagram;

    if (index == SIM_NOBODY) {
        if (world->datagram_count == world->datagram_capacity) {
            world->datagram_capacity =
                world->datagram_capacity == 0 ? 1024 : 2 * world->datagram_capacity;
            world->datagrams =
                realloc(world->datagrams, world->datagram_capacity * sizeof *world->datagrams);
            haul_assert(world->datagrams != NULL);
        }
        index = world->datagram_count++;
        world->datagrams[index] = (struct sim_datagram){ .next = SIM_NOBODY };
    } else {
        world->datagram_free = world->datagrams[index].next;
    }
    datagram = &world->datagrams[index];
    if (datagram->capacity < bytes) {
        free(datagram->data);
        datagram->capacity = bytes < 1536 ? 1536 : bytes;
        datagram->data = malloc(datagram->capacity);
        haul_assert(datagram->data != NULL);
    }
    memcpy(datagram->data, data, bytes);
    datagram->bytes = bytes;
    datagram->next = SIM_NOBODY;
    world->datagrams_out++;
    return index;
}

void sim_datagram_drop(struct sim_world *world, uint32_t index)
{
    world->datagrams[index].next = world->datagram_free;
    world->datagram_free = index;
    world->datagrams_out--;
}

static uint32_t datagram_copy(struct sim_world *world, uint32_t index)
{
    struct sim_datagram from = world->datagrams[index];
    uint32_t copy = datagram_new(world, from.data, from.bytes);
    struct sim_datagram *to = &world->datagrams[copy];

    to->from = from.from;
    to->to = from.to;
    to->sender = from.sender;
    to->ecn = from.ecn;
    return copy;
}

/* Changes one byte; half the time where it hurts, in the header. */
static void flip(struct haul_rng *rng, struct sim_datagram *datagram)
{
    uint64_t at = haul_rng_below(rng, datagram->bytes);

    if (haul_rng_below(rng, 2) == 0 && datagram->bytes >= 24)
        at = haul_rng_below(rng, 24);
    datagram->sender = SIM_NOBODY;
    datagram->data[at] ^= (uint8_t)(1 + haul_rng_below(rng, 255));
}

static void shorten(struct haul_rng *rng, struct sim_datagram *datagram)
{
    datagram->sender = SIM_NOBODY;
    datagram->bytes = (uint32_t)haul_rng_below(rng, datagram->bytes);
}

static void capture(struct sim_world *world, uint32_t index)
{
    uint32_t copy;

    if (world->plan.faults.adversary_every == 0 || world->healed ||
        haul_rng_below(&world->evil_rng, 16) != 0)
        return;
    copy = datagram_copy(world, index);
    if (world->captured_count < SIM_CAPTURED_MAX) {
        world->captured[world->captured_count++] = copy;
        return;
    }
    sim_datagram_drop(world, world->captured[world->captured_at]);
    world->captured[world->captured_at] = copy;
    world->captured_at = (world->captured_at + 1) % SIM_CAPTURED_MAX;
}

/* Makes an address of nobody the source. */
static void spoof(struct sim_world *world, struct sim_datagram *datagram)
{
    uint32_t some = 1 + (uint32_t)haul_rng_below(&world->evil_rng, 8);

    for (uint32_t i = 0; i < world->address_count; i++) {
        if (world->addresses[i].node == SIM_NOBODY && --some == 0) {
            datagram->from = i;
            return;
        }
    }
    if (world->address_count < SIM_ADDRESSES_MAX / 2)
        datagram->from = sim_address_add(world, SIM_NOBODY);
}

static haul_time travel(struct sim_world *world)
{
    const struct sim_link_plan *plan = &world->plan.link;

    return plan->delay + (plan->jitter > 0 ? haul_rng_below(&world->net_rng, plan->jitter) : 0);
}

/* The faults of the way, for a datagram that left the queue at `left`. */
static void fly(struct sim_world *world, uint32_t index, haul_time left)
{
    const struct sim_faults *faults = &world->plan.faults;
    struct haul_rng *rng = &world->net_rng;
    bool quiet = world->healed || world->plan.clean;

    if (!quiet && haul_rng_chance(rng, faults->duplicate))
        sim_heap_push(&world->heap, left + travel(world) + haul_rng_below(rng, HAUL_SECOND / 4),
                      SIM_ARRIVE, datagram_copy(world, index));
    if (!quiet && haul_rng_chance(rng, faults->race)) {
        uint32_t copy = datagram_copy(world, index);

        spoof(world, &world->datagrams[copy]);
        sim_heap_push(&world->heap, world->now + world->plan.link.delay / 2, SIM_ARRIVE, copy);
    }
    if (!quiet && haul_rng_chance(rng, faults->loss)) {
        sim_datagram_drop(world, index);
        return;
    }
    if (!quiet && haul_rng_chance(rng, faults->corrupt))
        flip(rng, &world->datagrams[index]);
    if (!quiet && haul_rng_chance(rng, faults->truncate))
        shorten(rng, &world->datagrams[index]);
    sim_heap_push(&world->heap, left + travel(world), SIM_ARRIVE, index);
}

static void send_one(struct sim_world *world, struct sim_node *node, uint32_t index)
{
    const struct sim_link_plan *plan = &world->plan.link;
    struct sim_datagram *datagram = &world->datagrams[index];
    const struct sim_address *to =
        datagram->to < world->address_count ? &world->addresses[datagram->to] : NULL;
    struct sim_link *link;
    haul_time start;
    uint64_t queued;

    capture(world, index);
    datagram = &world->datagrams[index];
    if (to == NULL || to->node == SIM_NOBODY || !to->live || datagram->bytes > plan->mtu) {
        sim_datagram_drop(world, index);
        return;
    }
    link = &world->links[node->self][to->node];
    start = haul_time_max(link->busy_until, world->now);
    queued = (start - world->now) / 1000 * plan->rate / 1000000;
    if (queued > plan->buffer || world->now < link->cut_until) {
        link->overflowed += queued > plan->buffer;
        sim_datagram_drop(world, index);
        return;
    }
    if (datagram->ecn != 0 && world->plan.faults.ce > 0 && !world->healed &&
        (queued > plan->buffer / 2 || haul_rng_chance(&world->net_rng, world->plan.faults.ce)))
        datagram->ecn = 3;
    link->busy_until = start + (datagram->bytes + 28) * HAUL_SECOND / plan->rate;
    fly(world, index, link->busy_until);
}

void sim_link_send(struct sim_world *world, struct sim_node *node, const struct haul_train *train)
{
    for (uint32_t at = 0; at < train->bytes;) {
        uint32_t bytes = train->bytes - at < train->segment ? train->bytes - at : train->segment;
        uint32_t index = datagram_new(world, train->data + at, bytes);
        struct sim_datagram *datagram = &world->datagrams[index];

        datagram->from = node->address;
        datagram->to = sim_address_read(&train->peer);
        datagram->sender = node->self;
        datagram->ecn = train->ecn;
        world->sent_datagrams++;
        send_one(world, node, index);
        at += bytes;
    }
}

void sim_link_arrive(struct sim_world *world, uint32_t index)
{
    struct sim_datagram *datagram = &world->datagrams[index];
    const struct sim_address *to = &world->addresses[datagram->to];
    struct sim_node *node;

    if (!to->live) {
        sim_datagram_drop(world, index);
        return;
    }
    node = &world->nodes[to->node];
    if (node->rx_bytes + datagram->bytes > (8u << 20)) { /* the socket's buffer */
        sim_datagram_drop(world, index);
        return;
    }
    node->rx_bytes += datagram->bytes;
    datagram->next = SIM_NOBODY;
    if (node->rx_first == SIM_NOBODY)
        node->rx_first = index;
    else
        world->datagrams[node->rx_last].next = index;
    node->rx_last = index;
    sim_node_wake(world, node,
                  world->now + haul_rng_below(&world->node_rng, node->plan->wake_delay + 1));
}

/* Rubbish with a header that looks right. */
static void invent(struct sim_world *world, struct sim_datagram *datagram)
{
    struct haul_rng *rng = &world->evil_rng;
    uint32_t keep = haul_rng_below(rng, 2) == 0 ? 24 : 8;

    datagram->sender = SIM_NOBODY;
    if (datagram->bytes > keep)
        haul_rng_fill(rng, datagram->data + keep, datagram->bytes - keep);
    if (datagram->bytes >= 16 && haul_rng_below(rng, 2) == 0) /* a number not seen yet */
        datagram->data[9] = (uint8_t)(datagram->data[9] + 1 + haul_rng_below(rng, 200));
}

/* A peer with the keys that speaks nonsense: a control datagram that opens and does not parse. */
static bool insider(struct sim_world *world)
{
    struct sim_node *node = &world->nodes[haul_rng_below(&world->evil_rng, world->plan.nodes)];
    struct sim_flow *flow = &node->flows[haul_rng_below(&world->evil_rng, world->plan.nodes)];
    uint8_t data[HAUL_WIRE_OVERHEAD + 8] = { 0 };
    uint8_t body[8] = { HAUL_FRAME_ACK, 200, 0, 1, 2, 3, 4, 5 };
    struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL };
    const struct sim_pair *pair;
    struct haul_seal seal;
    uint32_t index;

    if (flow->flow == NULL)
        return false;
    pair = sim_world_pair(world, node->self, flow->peer);
    head.receiver = flow->remote_id;
    head.number = flow->next_number + haul_rng_below(&world->evil_rng, 8);
    haul_seal_init(&seal, &sim_toy_aead, pair->grant[node->self < flow->peer ? 0 : 1].seal_secret,
                   world->now);
    haul_seal_datagram(&seal, &head, body, sizeof body, data);
    haul_seal_fini(&seal);
    index = datagram_new(world, data, sizeof data);
    world->datagrams[index].from = node->address;
    world->datagrams[index].to = world->nodes[flow->peer].address;
    world->datagrams[index].sender = SIM_NOBODY;
    world->datagrams[index].ecn = 0;
    sim_heap_push(&world->heap, world->now + world->plan.link.delay, SIM_ARRIVE, index);
    return true;
}

void sim_adversary_act(struct sim_world *world)
{
    struct haul_rng *rng = &world->evil_rng;
    uint32_t index;

    if (world->captured_count == 0 || (haul_rng_below(rng, 8) == 0 && insider(world)))
        return;
    index = datagram_copy(world, world->captured[haul_rng_below(rng, world->captured_count)]);
    switch (haul_rng_below(rng, 6)) {
    case 0: /* replayed as it was */
        break;
    case 1:
        flip(rng, &world->datagrams[index]);
        break;
    case 2:
        invent(world, &world->datagrams[index]);
        break;
    case 3:
        shorten(rng, &world->datagrams[index]);
        break;
    case 4: /* forged, and from elsewhere */
        flip(rng, &world->datagrams[index]);
        spoof(world, &world->datagrams[index]);
        break;
    default: /* genuine bytes from elsewhere */
        spoof(world, &world->datagrams[index]);
        break;
    }
    if (world->datagrams[index].to >= world->address_count ||
        world->addresses[world->datagrams[index].to].node == SIM_NOBODY) {
        sim_datagram_drop(world, index);
        return;
    }
    sim_heap_push(&world->heap, world->now + haul_rng_below(rng, world->plan.link.delay + 1),
                  SIM_ARRIVE, index);
}

void sim_link_reset(struct sim_world *world)
{
    memset(world->links, 0, sizeof world->links);
    memset(world->addresses, 0, sizeof world->addresses);
    world->address_count = 0;
    world->captured_count = 0;
    world->captured_at = 0;
    world->datagrams_out = 0;
    world->datagram_free = SIM_NOBODY;
    for (uint32_t i = world->datagram_count; i-- > 0;) {
        world->datagrams[i].next = world->datagram_free;
        world->datagram_free = i;
    }
}
