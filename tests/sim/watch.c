/* What must hold whatever the faults are: for every datagram that leaves a node, for every flow
 * after every turn, and at the end. These checks look at the outside only, the clear headers and
 * the calls; haul_flow_broken looks inside. */
#include "tests/sim/toy_aead.h"
#include "tests/sim/world.h"

#include "dataplane/flow/wire.h"

#include <inttypes.h>

static struct sim_proof *proof_of(struct sim_flow *flow, uint32_t address)
{
    for (uint32_t i = 0; i < flow->proof_count; i++) {
        if (flow->proofs[i].address == address)
            return &flow->proofs[i];
    }
    if (flow->proof_count == SIM_PROOFS_MAX)
        return NULL;
    flow->proofs[flow->proof_count] = (struct sim_proof){ .address = address };
    return &flow->proofs[flow->proof_count++];
}

/* An address that never answered gets five probes, and one answer of that size at most for each
 * datagram that came from it for the first time: a copy provokes nothing. */
static void watch_address(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                          uint32_t address, uint32_t bytes)
{
    struct sim_proof *proof = proof_of(flow, address);

    if (proof == NULL || proof->proven)
        return;
    proof->probes++;
    if (bytes > SIM_PROBE_BYTES)
        sim_world_fail(world, "node %u sends %u bytes to address %u, which never answered",
                       node->self, bytes, address);
    else if (proof->probes > SIM_PROBES_MAX + proof->fresh)
        sim_world_fail(world, "node %u sends probe %u to address %u, which never answered",
                       node->self, proof->probes, address);
}

static void watch_data(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                       const struct haul_wire_head *head, uint32_t payload)
{
    const struct sim_serve *serve = sim_serving_find(flow, head->handle);
    const struct sim_job *job;
    uint64_t end = (uint64_t)head->unit * HAUL_WIRE_UNIT + payload;

    if (serve == NULL || serve->state != SIM_SERVE_SENDING) {
        sim_world_fail(world, "node %u sends data of handle %08x, which it does not serve (%s)",
                       node->self, head->handle,
                       sim_handles_has(&flow->wanted, head->handle) ? "any more" : "never wanted");
        return;
    }
    job = &world->nodes[flow->peer].plan->jobs[serve->job];
    if (head->unit * HAUL_WIRE_UNIT < job->offset || end > job->block_bytes ||
        (job->asked > 0 && end > job->offset + job->asked))
        sim_world_fail(world, "node %u sends bytes %u..%" PRIu64 " of handle %08x, not asked for",
                       node->self, head->unit * HAUL_WIRE_UNIT, end, head->handle);
}

void sim_watch_train(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                     const struct haul_train *train)
{
    uint32_t address = sim_address_read(&train->peer);
    uint32_t count = 0;

    if (train->segment == 0 || train->bytes == 0 || train->bytes > train->capacity) {
        sim_world_fail(world, "node %u: a train of %u bytes, segment %u, capacity %u", node->self,
                       train->bytes, train->segment, train->capacity);
        return;
    }
    for (uint32_t at = 0; at < train->bytes; at += train->segment, count++) {
        uint32_t bytes = train->bytes - at < train->segment ? train->bytes - at : train->segment;
        struct haul_wire_head head;

        if (!haul_wire_head_read(train->data + at, bytes, &head)) {
            sim_world_fail(world, "node %u sends a malformed datagram of %u bytes", node->self,
                           bytes);
            return;
        }
        if (head.receiver != flow->remote_id)
            sim_world_fail(world, "node %u sends to receiver %08x", node->self, head.receiver);
        if (head.number < flow->next_number)
            sim_world_fail(world, "node %u sends number %" PRIu64 " after %" PRIu64, node->self,
                           head.number, flow->next_number);
        flow->next_number = head.number + 1;
        if (bytes > world->plan.payload_max + HAUL_WIRE_OVERHEAD)
            sim_world_fail(world, "node %u sends %u bytes at once", node->self, bytes);
        if (head.type == HAUL_WIRE_DATA)
            watch_data(world, node, flow, &head, bytes - HAUL_WIRE_OVERHEAD);
        watch_address(world, node, flow, address, bytes);
        sim_world_note(world, head.number << 8 ^ bytes ^ (uint64_t)head.handle << 32);
        if (world->trace)
            sim_world_trace(world,
                            "node %u -> %u %s number %" PRIu64 " handle %08x at %u, %u bytes",
                            node->self, address, head.type == HAUL_WIRE_DATA ? "data" : "control",
                            head.number, head.handle, head.unit * HAUL_WIRE_UNIT, bytes);
    }
    if (count > world->plan.segments_max)
        sim_world_fail(world, "node %u: %u datagrams in a train", node->self, count);
    if (sim_toy_broken() != NULL)
        sim_world_fail(world, "node %u: %s", node->self, sim_toy_broken());
}

/* All bytes of a want are there and its check takes long: what the peer sends again meanwhile is
 * acknowledged, so it stops soon. */
static void watch_needless(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                           uint32_t handle)
{
    struct sim_want *want = sim_asking_find(flow, handle);

    if (want == NULL || want->state != SIM_WANT_FILLED)
        return;
    if (++want->needless > 64 + 4 * (want->length / 1152 + 1))
        sim_world_fail(world, "node %u: %u datagrams of handle %08x came after all was there",
                       node->self, want->needless, handle);
}

/* A datagram that this flow's peer really sealed is handed to the flow, perhaps as a copy that
 * somebody else sent on. Whatever the peer was reached at before is proven by now, at the latest.
 */
void sim_watch_heard(struct sim_world *world, struct sim_node *node, struct sim_flow *flow,
                     const struct sim_datagram *datagram)
{
    struct sim_flow *back = &world->nodes[datagram->sender].flows[node->self];
    struct sim_proof *proof = proof_of(flow, datagram->from);
    struct haul_wire_head head;

    flow->arrived++;
    if (haul_wire_head_read(datagram->data, datagram->bytes, &head) &&
        sim_handles_add(&flow->numbers, (uint32_t)head.number + 1)) {
        if (proof != NULL)
            proof->fresh++;
        if (head.type == HAUL_WIRE_DATA)
            watch_needless(world, node, flow, head.handle);
    }
    for (uint32_t i = 0; i < flow->proof_count; i++)
        flow->proofs[i].proven |= flow->proofs[i].heard;
    if (back->flow != NULL) {
        proof = proof_of(back, datagram->to);
        if (proof != NULL)
            proof->heard = true;
    }
}

/* Every datagram whose bytes were taken was accepted, which is what gets it acknowledged, also
 * where the bytes had been there before. `segment` is the longest datagram of what was handed in.
 */
void sim_watch_taken(struct sim_world *world, struct sim_node *node, const struct sim_flow *flow,
                     const struct haul_flow_stats *before, uint32_t segment)
{
    uint64_t bytes = flow->stats.rx_block_bytes + flow->stats.rx_duplicate_bytes -
                     before->rx_block_bytes - before->rx_duplicate_bytes;
    uint64_t accepted = flow->stats.rx_datagrams - before->rx_datagrams;

    if (bytes > 0 && bytes > accepted * (segment - HAUL_WIRE_OVERHEAD))
        sim_world_fail(world,
                       "node %u took %" PRIu64 " bytes of datagrams and accepted %" PRIu64
                       " of %u bytes",
                       node->self, bytes, accepted, segment);
}

void sim_watch_flow(struct sim_world *world, struct sim_node *node, struct sim_flow *flow)
{
    /* A full check takes a while; long runs have it now and then only. */
    const char *inside =
        world->events < 3000 || world->events % 32 == 0 ? haul_flow_broken(flow->flow) : NULL;

    if (inside != NULL)
        sim_world_fail(world, "node %u: the flow says: %s", node->self, inside);
    if (flow->stats.rx_datagrams > flow->arrived)
        sim_world_fail(world, "node %u accepted %" PRIu64 " datagrams, %" PRIu64 " genuine came",
                       node->self, flow->stats.rx_datagrams, flow->arrived);
    if (sim_toy_broken() != NULL)
        sim_world_fail(world, "node %u: %s", node->self, sim_toy_broken());
}

/* Clean seeds: the link's rate, the round trips that few slots cost, and a factor for the start. */
static void watch_time(struct sim_world *world, const struct sim_node *node)
{
    const struct sim_plan *plan = &world->plan;
    const struct sim_node_plan *peer = &plan->node[(node->self + 1) % plan->nodes];
    uint64_t parallel = node->plan->filling;
    haul_time trip, rounds, most;
    uint64_t bytes = 0;

    if (!plan->clean || plan->congestion != HAUL_CONGESTION_BBR || plan->nodes != 2)
        return;
    parallel = parallel < peer->serving ? parallel : peer->serving;
    parallel = parallel < node->plan->wants_max ? parallel : node->plan->wants_max;
    for (uint32_t i = 0; i < node->plan->job_count; i++)
        bytes += node->plan->jobs[i].block_bytes;
    rounds = node->plan->job_count / parallel + 40;
    trip = 3 * plan->link.delay + 2 * (node->plan->wake_delay + peer->wake_delay) +
           peer->disk_delay + node->plan->check_delay + 25 * HAUL_MILLISECOND;
    most = 3 * (bytes * HAUL_SECOND / plan->link.rate) + rounds * trip + HAUL_SECOND;
    if (node->last_end > world->start + most)
        sim_world_fail(world, "node %u took %" PRIu64 " ms where %" PRIu64 " ms should do",
                       node->self, (node->last_end - world->start) / HAUL_MILLISECOND,
                       most / HAUL_MILLISECOND);
}

void sim_watch_end(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->plan.nodes; i++) {
        struct sim_node *node = &world->nodes[i];
        uint32_t held[2] = { 0, 0 };

        if (node->jobs_left > 0)
            sim_world_fail(world, "node %u: %u blocks have not ended", i, node->jobs_left);
        for (uint32_t side = 0; side < HAUL_SLOT_SIDES; side++)
            held[side] = node->slots.count[side] - node->slots.free_count[side];
        if (!world->failed && held[HAUL_SLOT_FILLING] + held[HAUL_SLOT_SERVING] > 0)
            sim_world_fail(world, "node %u leaks %u filling and %u serving slots", i, held[0],
                           held[1]);
        watch_time(world, node);
    }
}
