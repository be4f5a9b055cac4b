/* Stateful: the input is a script that drives two flows and the datagrams between them. Steps carry
 * trains across whole, change or drop them, put hostile frames and data of the script's own making
 * into a flow, move the clock, and act as the owner. Tags always hold (the credulous cipher), so
 * that what lies behind them is reached. Judged by the flow's invariants, its assertions, the
 * sanitizers (slots are exactly as large as a block), and by the promise that every want and every
 * WANTED ends exactly once. */
#include "dataplane/flow/flow.h"
#include "dataplane/flow/wire.h"
#include "tests/unit/toy_aead.h"

#include <stdlib.h>
#include <string.h>

#define WANTS 4u
#define TRAIN 65000u

struct side {
    struct haul_flow *flow;
    struct haul_flow_stats stats;
    uint8_t *slots[WANTS];
    uint32_t handles[WANTS];
    uint32_t wanted[64]; /* handles of the peer that were told of and have not ended */
    size_t wanted_count;
    struct haul_addr addr;
    uint64_t number; /* of hostile datagrams to this side */
    bool down;
};

struct bench {
    struct side side[2];
    haul_time now;
    uint32_t steps;
    uint8_t mood; /* how the owner answers */
};

/* Made once, by the first input; slots are blocks of their own, so that one byte too far shows. */
static uint8_t *block;
static void *memory[2];
static uint8_t *slots[2][WANTS];
static uint8_t buffer[TRAIN];

static void open_side(struct bench *bench, unsigned index)
{
    struct side *side = &bench->side[index];
    struct haul_grant grant = { .local_id = 1 + index,
                                .remote_id = 2 - index,
                                .candidate_count = 1,
                                .wants_max = WANTS,
                                .payload_max = 8192 };
    struct haul_flow_conf conf = { .grant = &grant,
                                   .aead = &toy_aead_credulous,
                                   .stats = &side->stats,
                                   .seed = index,
                                   .wants_max = WANTS,
                                   .payload_first = 1408 };

    side->addr = (struct haul_addr){ .family = 4, .ip = { 10, 0, 0, (uint8_t)index }, .port = 1 };
    grant.candidates[0] =
        (struct haul_addr){ .family = 4, .ip = { 10, 0, 0, (uint8_t)(1 - index) }, .port = 1 };
    if (memory[index] == NULL) {
        memory[index] = aligned_alloc(64, haul_flow_bytes(WANTS));
        for (unsigned i = 0; i < WANTS; i++)
            slots[index][i] = malloc(HAUL_BLOCK_BYTES_MAX);
    }
    side->flow = haul_flow_init(memory[index], &conf, bench->now);
    for (unsigned i = 0; i < WANTS; i++)
        side->slots[i] = slots[index][i];
}

static void forget(struct side *side, uint32_t handle)
{
    for (size_t i = 0; i < side->wanted_count; i++) {
        if (side->wanted[i] == handle) {
            side->wanted[i] = side->wanted[--side->wanted_count];
            return;
        }
    }
    haul_assert(false);
}

static void on_wanted(struct bench *bench, struct side *side, uint32_t handle)
{
    uint32_t length = bench->mood % 3 == 0 ? HAUL_BLOCK_BYTES_MAX : 5000u * (bench->mood & 15u);

    haul_assert(side->wanted_count < HAUL_COUNT_OF(side->wanted));
    side->wanted[side->wanted_count++] = handle;
    if (bench->mood % 5 == 1)
        haul_flow_refuse(side->flow, handle, HAUL_REFUSAL_BUSY, 1, bench->now);
    else if (bench->mood % 5 != 2)
        haul_flow_serve(side->flow, handle, block, length, bench->now);
}

static void take_events(struct bench *bench, struct side *side)
{
    struct haul_flow_event event;

    while (haul_flow_event(side->flow, &event)) {
        haul_assert(!side->down);
        switch (event.kind) {
        case HAUL_FLOW_UP:
            break;
        case HAUL_FLOW_DOWN:
            side->down = true;
            break;
        case HAUL_FLOW_FILLING:
            haul_assert(side->handles[event.tag] == event.handle);
            break;
        case HAUL_FLOW_FILLED:
            haul_assert(side->handles[event.tag] == event.handle);
            if (bench->mood % 7 == 3)
                break; /* the verdict comes later, by a step */
            haul_flow_verdict(side->flow, event.handle, bench->mood % 2 == 0, bench->now);
            side->handles[event.tag] = 0;
            break;
        case HAUL_FLOW_REFUSED:
        case HAUL_FLOW_WITHDRAWN:
            haul_assert(side->handles[event.tag] == event.handle);
            side->handles[event.tag] = 0;
            break;
        case HAUL_FLOW_WANTED:
            on_wanted(bench, side, event.handle);
            break;
        case HAUL_FLOW_SERVED:
            forget(side, event.handle);
            break;
        }
    }
}

/* One train from a side to the other: whole, dropped, or with a byte changed. */
static void carry(struct bench *bench, unsigned from, uint8_t how)
{
    struct haul_train train = { .data = buffer, .capacity = TRAIN, .ecn = how & 3 };

    if (!haul_flow_output(bench->side[from].flow, &train, 1 + how % 44, bench->now))
        return;
    haul_assert(train.bytes > 0 && train.bytes <= TRAIN && train.segment > 0);
    if (how % 8 == 7)
        return;
    if (how % 8 == 6)
        train.data[how * 131u % train.bytes] ^= how;
    train.peer = bench->side[from].addr;
    train.peer.port = how % 16 == 5 ? 2 : 1;
    for (size_t at = 0; at < train.bytes;)
        at += haul_flow_input(bench->side[1 - from].flow, &train, at, bench->now);
}

/* A datagram of the script's own making. */
static void hostile(struct bench *bench, unsigned to, struct haul_in *in, bool control)
{
    struct side *side = &bench->side[to];
    struct haul_wire_head head = { .type = control ? HAUL_WIRE_CONTROL : HAUL_WIRE_DATA,
                                   .receiver = 1 + to,
                                   .number = side->number };
    size_t bytes = haul_in_le(in, control ? 1 : 2) % (HAUL_WIRE_PAYLOAD_MAX + 1);
    struct haul_train train = { .data = buffer };
    const uint8_t *body;

    side->number += 1 + haul_in_le(in, 1) % 4;
    if (!control) {
        uint32_t index = (uint32_t)haul_in_le(in, 1);

        head.class = (uint16_t)(1 + index / 4 * 2);
        head.handle = index % 16 == 15 ? (uint32_t)haul_in_le(in, 4) : side->handles[index % WANTS];
        head.unit = (uint32_t)haul_in_le(in, 2);
        bytes = bytes % ((size_t)head.class * HAUL_WIRE_UNIT) + 1;
        memset(buffer + HAUL_WIRE_HEAD_BYTES, (int)index, bytes);
    } else {
        bytes = bytes < haul_in_left(in) ? bytes : haul_in_left(in);
        body = haul_in_bytes(in, bytes);
        if (bytes > 0)
            memcpy(buffer + HAUL_WIRE_HEAD_BYTES, body, bytes);
    }
    haul_wire_head_write(&head, buffer);
    train.bytes = (uint32_t)(bytes + HAUL_WIRE_OVERHEAD);
    train.segment = (uint16_t)train.bytes;
    train.peer = bench->side[1 - to].addr;
    haul_flow_input(side->flow, &train, 0, bench->now);
}

static void want(struct bench *bench, struct side *side, uint8_t which)
{
    struct haul_hash hash = { { HAUL_HASH_BLAKE3, 32, which } };
    unsigned slot = which % WANTS;
    uint32_t offset = which % 3 == 0 ? 64u * which : 0;

    if (side->handles[slot] == 0)
        side->handles[slot] = haul_flow_want(side->flow, &hash, offset, which % 4 == 1 ? 1000 : 0,
                                             side->slots[slot], slot, bench->now);
}

static void own(struct bench *bench, struct side *side, uint8_t which)
{
    uint32_t handle = side->handles[which % WANTS];
    uint32_t theirs = side->wanted_count > 0 ? side->wanted[which % side->wanted_count] : which;

    switch (which / 32) {
    case 0:
    case 1:
        want(bench, side, which);
        break;
    case 2:
        haul_flow_withdraw(side->flow, handle, bench->now);
        break;
    case 3:
        /* Ends the want only if it was full: a verdict out of turn is ignored. */
        break;
    case 4:
        haul_flow_serve(side->flow, theirs, block, HAUL_BLOCK_BYTES_MAX, bench->now);
        break;
    case 5:
        haul_flow_refuse(side->flow, theirs, HAUL_REFUSAL_UNKNOWN, 0, bench->now);
        break;
    case 6:
        haul_flow_reclaim(side->flow, theirs, bench->now);
        break;
    case 7:
        if (which == 255)
            haul_flow_close(side->flow, bench->now);
        break;
    }
}

static void step(struct bench *bench, struct haul_in *in)
{
    uint8_t what = (uint8_t)haul_in_le(in, 1);
    uint8_t with = (uint8_t)haul_in_le(in, 1);
    unsigned to = what >> 3 & 1;

    switch (what & 7) {
    case 0:
    case 1:
        carry(bench, to, with);
        break;
    case 2:
        for (unsigned i = 0; i < 16; i++)
            carry(bench, (to + i) % 2, 0);
        break;
    case 3:
        hostile(bench, to, in, true);
        break;
    case 4:
        hostile(bench, to, in, false);
        break;
    case 5:
        bench->now += (haul_time)1 << with % 36;
        break;
    case 6:
        own(bench, &bench->side[to], with);
        break;
    case 7:
        bench->mood = with;
        break;
    }
    for (unsigned i = 0; i < 2; i++) {
        take_events(bench, &bench->side[i]);
        haul_assert(bench->steps % 16 != 0 || haul_flow_broken(bench->side[i].flow) == NULL);
        haul_flow_deadline(bench->side[i].flow);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    struct haul_in in = haul_in_from(data, size);

    if (block == NULL)
        block = calloc(1, HAUL_BLOCK_BYTES_MAX);
    memset(&bench, 0, sizeof bench);
    bench.now = HAUL_SECOND;
    for (unsigned i = 0; i < 2; i++)
        open_side(&bench, i);
    for (; bench.steps < 2000 && haul_in_left(&in) > 0 && !in.bad; bench.steps++)
        step(&bench, &in);
    for (unsigned i = 0; i < 2; i++) {
        haul_assert(haul_flow_broken(bench.side[i].flow) == NULL);
        haul_flow_close(bench.side[i].flow, bench.now);
        for (unsigned k = 0; k < 16; k++) {
            bench.now += 30 * HAUL_MILLISECOND;
            carry(&bench, i, 7);
        }
        take_events(&bench, &bench.side[i]);
        haul_assert(bench.side[i].down && bench.side[i].wanted_count == 0);
        haul_flow_fini(bench.side[i].flow);
    }
    return 0;
}
