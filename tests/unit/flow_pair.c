#include "tests/unit/flow_pair.h"

#include <stdlib.h>
#include <string.h>

static void heap_swap(struct pair *pair, uint32_t a, uint32_t b)
{
    uint32_t held = pair->heap[a];

    pair->heap[a] = pair->heap[b];
    pair->heap[b] = held;
}

static bool earlier(const struct pair *pair, uint32_t a, uint32_t b)
{
    const struct pair_packet *left = &pair->packets[pair->heap[a]];
    const struct pair_packet *right = &pair->packets[pair->heap[b]];

    return left->at != right->at ? left->at < right->at : left->order < right->order;
}

static void heap_push(struct pair *pair, uint32_t packet)
{
    uint32_t at = pair->heap_count++;

    pair->heap[at] = packet;
    for (; at > 0 && earlier(pair, at, (at - 1) / 2); at = (at - 1) / 2)
        heap_swap(pair, at, (at - 1) / 2);
}

static uint32_t heap_pop(struct pair *pair)
{
    uint32_t top = pair->heap[0];
    uint32_t at = 0;

    pair->heap[0] = pair->heap[--pair->heap_count];
    for (;;) {
        uint32_t least = at;

        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < pair->heap_count && earlier(pair, child, least))
                least = child;
        }
        if (least == at)
            return top;
        heap_swap(pair, at, least);
        at = least;
    }
}

static void link_packet(struct pair *pair, unsigned to, const struct haul_addr *from,
                        const uint8_t *data, uint32_t bytes, haul_time delay, uint8_t ecn,
                        bool fault)
{
    struct pair_packet *packet;

    if (pair->free_count == 0 || bytes > PAIR_PACKET_MAX) {
        pair->overflowed++;
        return;
    }
    packet = &pair->packets[pair->free_packets[--pair->free_count]];
    packet->at = pair->now + delay;
    packet->order = pair->order++;
    packet->bytes = bytes;
    packet->to = (uint8_t)to;
    packet->ecn = ecn;
    packet->from = *from;
    memcpy(packet->data, data, bytes);
    if (fault && pair->fault != NULL && !pair->fault(pair, packet)) {
        pair->free_packets[pair->free_count++] = (uint32_t)(packet - pair->packets);
        return;
    }
    heap_push(pair, (uint32_t)(packet - pair->packets));
}

void pair_inject(struct pair *pair, unsigned to, const struct haul_addr *from, const uint8_t *data,
                 uint32_t bytes)
{
    link_packet(pair, to, from, data, bytes, pair->inject_delay, 0, false);
}

static const uint8_t *block_bytes(const struct pair *pair, uint32_t number)
{
    return pair->source + number % 4096 * 64;
}

static void block_hash(uint32_t number, struct haul_hash *hash)
{
    memset(hash, 0, sizeof *hash);
    hash->bytes[0] = HAUL_HASH_BLAKE3;
    hash->bytes[1] = 32;
    memcpy(hash->bytes + 2, &number, sizeof number);
}

static uint32_t block_number(const struct haul_hash *hash)
{
    uint32_t number;

    memcpy(&number, hash->bytes + 2, sizeof number);
    return number;
}

static void ask(struct pair *pair, struct pair_side *side)
{
    for (unsigned i = 0; i < PAIR_SLOTS && side->to_ask > 0 && !side->down; i++) {
        struct pair_job *job = &side->jobs[i];
        struct haul_hash hash;

        if (job->busy)
            continue;
        block_hash(side->asked, &hash);
        job->handle = haul_flow_want(side->flow, &hash, pair->want_offset, pair->want_length,
                                     job->slot, (uint64_t)side->asked << 8 | i, pair->now);
        if (job->handle == HAUL_FLOW_NO_HANDLE)
            return;
        memset(job->slot, 0xee, HAUL_BLOCK_BYTES_MAX);
        job->busy = true;
        side->asked++;
        side->to_ask--;
    }
}

static void on_filled(struct pair *pair, struct pair_side *side,
                      const struct haul_flow_event *event)
{
    struct pair_job *job = &side->jobs[event->tag & 0xff];
    const uint8_t *want = block_bytes(pair, (uint32_t)(event->tag >> 8));
    uint32_t length =
        pair->want_length > 0 ? pair->want_length : pair->block_bytes - pair->want_offset;
    bool right = event->length == length && event->offset == pair->want_offset &&
                 memcmp(job->slot + event->offset, want + event->offset, length) == 0;

    side->done += right;
    side->wrong += !right;
    if (side->hold_verdicts)
        return;
    haul_flow_verdict(side->flow, event->handle, right, pair->now);
    job->busy = false;
}

static void on_wanted(struct pair *pair, struct pair_side *side,
                      const struct haul_flow_event *event)
{
    side->wanted++;
    if (side->hold_serves)
        return;
    if (side->refuse_all)
        haul_flow_refuse(side->flow, event->handle,
                         side->refuse_with != 0 ? side->refuse_with : HAUL_REFUSAL_BUSY, 250,
                         pair->now);
    else
        haul_flow_serve(side->flow, event->handle, block_bytes(pair, block_number(&event->hash)),
                        pair->block_bytes, pair->now);
}

static void take_events(struct pair *pair, struct pair_side *side)
{
    struct haul_flow_event event;

    while (haul_flow_event(side->flow, &event)) {
        switch (event.kind) {
        case HAUL_FLOW_UP:
            side->up = true;
            break;
        case HAUL_FLOW_DOWN:
            side->down = true;
            side->down_status = event.status;
            break;
        case HAUL_FLOW_FILLING:
            break;
        case HAUL_FLOW_FILLED:
            on_filled(pair, side, &event);
            break;
        case HAUL_FLOW_REFUSED:
            side->refused++;
            side->refusal = event.refusal;
            side->retry_ms = event.retry_ms;
            side->jobs[event.tag & 0xff].busy = false;
            break;
        case HAUL_FLOW_WITHDRAWN:
            side->withdrawn++;
            side->jobs[event.tag & 0xff].busy = false;
            break;
        case HAUL_FLOW_WANTED:
            on_wanted(pair, side, &event);
            break;
        case HAUL_FLOW_SERVED:
            side->served++;
            side->serve_status = event.status;
            break;
        }
    }
    ask(pair, side);
}

static void let_send(struct pair *pair, unsigned from)
{
    struct pair_side *side = &pair->side[from];
    static uint8_t buffer[PAIR_TRAIN_BYTES];
    unsigned trains = 0;
    struct haul_train train = { .data = buffer, .capacity = sizeof buffer };

    while (trains++ < 1000 && haul_flow_output(side->flow, &train, 44, pair->now)) {
        unsigned to = haul_addr_equal(&train.peer, &pair->side[1 - from].addr) ? 1 - from : 2;

        for (uint32_t at = 0; at < train.bytes; at += train.segment) {
            uint32_t left = train.bytes - at;

            pair->sent++;
            link_packet(pair, to, &side->addr, buffer + at,
                        left < train.segment ? left : train.segment, pair->delay, train.ecn, true);
        }
        train.bytes = 0;
    }
    if (trains >= 1000)
        pair->broken = "output does not end";
    take_events(pair, side);
}

/* Whether the packet goes on where the train ends, as a kernel or a card would join them. */
static bool train_goes_on(const struct haul_train *train, const struct pair_packet *first,
                          const struct pair_packet *packet)
{
    return packet->to == first->to && haul_addr_equal(&packet->from, &first->from) &&
           packet->ecn == first->ecn && packet->bytes <= train->segment &&
           train->bytes % train->segment == 0 && train->bytes + packet->bytes <= PAIR_TRAIN_BYTES;
}

static void arrive(struct pair *pair)
{
    static uint8_t buffer[PAIR_TRAIN_BYTES];

    while (pair->heap_count > 0 && pair->packets[pair->heap[0]].at <= pair->now) {
        uint32_t index = heap_pop(pair);
        struct pair_packet *first = &pair->packets[index], *packet = first;
        struct haul_train train = { .data = buffer,
                                    .segment = (uint16_t)first->bytes,
                                    .ecn = first->ecn,
                                    .peer = first->from };

        for (;;) {
            memcpy(buffer + train.bytes, packet->data, packet->bytes);
            train.bytes += packet->bytes;
            pair->free_packets[pair->free_count++] = index;
            if (pair->heap_count == 0 || pair->packets[pair->heap[0]].at > pair->now ||
                !train_goes_on(&train, first, &pair->packets[pair->heap[0]]))
                break;
            index = heap_pop(pair);
            packet = &pair->packets[index];
        }
        if (first->to >= 2)
            continue;
        for (size_t at = 0; at < train.bytes;)
            at += haul_flow_input(pair->side[first->to].flow, &train, at, pair->now);
        take_events(pair, &pair->side[first->to]);
    }
}

void pair_step(struct pair *pair)
{
    haul_time next = HAUL_TIME_NEVER;

    pair->steps++;
    arrive(pair);
    for (unsigned i = 0; i < 2; i++)
        let_send(pair, i);
    for (unsigned i = 0; i < 2 && pair->broken == NULL; i++) {
        if (pair->steps % 16 == 0)
            pair->broken = haul_flow_broken(pair->side[i].flow);
        next = haul_time_min(next, haul_flow_deadline(pair->side[i].flow));
    }
    if (pair->heap_count > 0)
        next = haul_time_min(next, pair->packets[pair->heap[0]].at);
    if (next == HAUL_TIME_NEVER)
        next = pair->now + HAUL_SECOND;
    pair->now = haul_time_max(pair->now + HAUL_MICROSECOND, next);
}

static bool finished(const struct pair_side *side)
{
    if (side->to_ask > 0)
        return false;
    for (unsigned i = 0; i < PAIR_SLOTS; i++) {
        if (side->jobs[i].busy)
            return false;
    }
    return true;
}

bool pair_run(struct pair *pair, haul_time span)
{
    haul_time end = pair->now + span;

    take_events(pair, &pair->side[0]);
    take_events(pair, &pair->side[1]);
    while (pair->now < end && pair->broken == NULL) {
        pair_step(pair);
        if (finished(&pair->side[0]) && finished(&pair->side[1]))
            return true;
    }
    return false;
}

static void side_open(struct pair *pair, unsigned index, const struct haul_aead *aead,
                      uint64_t seed, uint16_t wants_max, uint16_t payload_max)
{
    struct pair_side *side = &pair->side[index];
    struct haul_grant *grant = &side->grant;
    struct haul_flow_conf conf = { .grant = grant,
                                   .aead = aead,
                                   .stats = &side->stats,
                                   .seed = seed * 2 + index,
                                   .wants_max = wants_max,
                                   .payload_first = 1408 };

    side->addr =
        (struct haul_addr){ .family = 4, .ip = { 127, 0, 0, (uint8_t)(1 + index) }, .port = 4501 };
    *grant = (struct haul_grant){ .local_id = 0x1000 + index,
                                  .remote_id = 0x1001 - index,
                                  .cipher = (uint8_t)aead->cipher,
                                  .congestion = HAUL_CONGESTION_BBR,
                                  .asker = index == 0,
                                  .candidate_count = 1,
                                  .wants_max = wants_max,
                                  .payload_max = payload_max };
    memset(grant->seal_secret, (int)(7 + index), sizeof grant->seal_secret);
    memset(grant->open_secret, (int)(8 - index), sizeof grant->open_secret);
    grant->candidates[0] =
        (struct haul_addr){ .family = 4, .ip = { 127, 0, 0, (uint8_t)(2 - index) }, .port = 4501 };
    side->memory = aligned_alloc(64, haul_flow_bytes(wants_max));
    memset(side->memory, 0xa5, haul_flow_bytes(wants_max));
    side->flow = haul_flow_init(side->memory, &conf, pair->now);
    for (unsigned i = 0; i < PAIR_SLOTS; i++)
        side->jobs[i].slot = malloc(HAUL_BLOCK_BYTES_MAX);
}

struct pair *pair_open(const struct haul_aead *aead, uint64_t seed, uint16_t wants_max,
                       uint16_t payload_max)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair->now = HAUL_SECOND;
    pair->delay = 5 * HAUL_MILLISECOND;
    pair->block_bytes = HAUL_BLOCK_BYTES_MAX;
    haul_rng_init(&pair->rng, seed);
    pair->source = malloc(HAUL_BLOCK_BYTES_MAX + 4096 * 64);
    haul_rng_fill(&pair->rng, pair->source, HAUL_BLOCK_BYTES_MAX + 4096 * 64);
    pair->packets = malloc(PAIR_PACKETS * sizeof *pair->packets);
    for (uint32_t i = 0; i < PAIR_PACKETS; i++)
        pair->free_packets[pair->free_count++] = i;
    for (unsigned i = 0; i < 2; i++)
        side_open(pair, i, aead, seed, wants_max, payload_max);
    return pair;
}

void pair_close(struct pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        haul_flow_fini(pair->side[i].flow);
        free(pair->side[i].memory);
        for (unsigned k = 0; k < PAIR_SLOTS; k++)
            free(pair->side[i].jobs[k].slot);
    }
    free(pair->packets);
    free(pair->source);
    free(pair);
}
