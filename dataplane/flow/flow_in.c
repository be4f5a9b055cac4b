/* Datagrams in. A data datagram is placed by its header: window, handle, bitmap, then the cipher
 * writes the slot. A control datagram is opened into scratch, parsed whole, and acted on. To anyone
 * without a valid tag there is no answer of any kind. */
#include "dataplane/flow/flow_state.h"
#include "dataplane/flow/plant.h"

#include <string.h>

#define ECN_ECT1 1u
#define ECN_ECT0 2u
#define ECN_CE   3u

struct arrival {
    const struct haul_train *train;
    const uint8_t *data; /* the datagram */
    uint32_t bytes;
    haul_time now;
    struct haul_fill *placed; /* where the datagram went, all of it new; or NULL */
    uint64_t datagrams;       /* of the whole train so far, for the counters, as what follows */
    uint64_t all_bytes;
    uint64_t placed_bytes;
    uint64_t duplicate_bytes;
};

/* A datagram opened: it is the peer's. */
static void accepted(struct haul_flow *flow, struct arrival *in, uint64_t number, bool control,
                     bool eliciting)
{
    bool newest = (!control && haul_seen_next(&flow->seen, number)) ||
                  haul_seen_add(&flow->seen, number, control);
    uint8_t ecn = in->train->ecn & 3u;

    flow->newest = newest;
    in->datagrams++;
    in->all_bytes += in->bytes;
    flow->ect += ecn == ECN_ECT0 || ecn == ECN_ECT1;
    flow->ce += ecn == ECN_CE;
    if (newest) {
        flow->top_time = in->now;
        if (!flow->from_peer)
            haul_path_heard(&flow->path, &in->train->peer, 3 * haul_sent_probe_span(&flow->sent),
                            in->now);
    }
    if (!eliciting)
        return;
    if (flow->unacked++ == 0)
        flow->unacked_since = in->now;
}

static bool open_to(struct haul_flow *flow, const struct arrival *in,
                    const struct haul_wire_head *head, uint8_t *to)
{
    if (haul_open_datagram(&flow->open, head, in->data, in->bytes, to, in->now))
        return true;
    haul_flow_count(&flow->stats->rx_forged, 1);
    if (++flow->forged >= HAUL_OPEN_FORGED_MAX)
        haul_flow_end(flow, HAUL_STATUS_CLOSED);
    return false;
}

static void touch(struct haul_flow *flow, struct haul_fill *fill)
{
    if (fill->touched)
        return;
    fill->touched = true;
    haul_queue_push(&flow->touched, (uint16_t)(fill - flow->fills.fills));
}

/* More of it is there. */
static void grown(struct haul_flow *flow, struct haul_fill *fill)
{
    if (fill->state == HAUL_FILL_FULL)
        fill->filled_due = true;
    else if (haul_fill_prefix(fill) - fill->told < HAUL_FILLING_STEP)
        return;
    haul_flow_tell_fill(flow, fill);
}

/* Data of a want that is over: it was in flight then. It is acknowledged, so that the peer does not
 * take it for lost, and dropped. */
static void take_late(struct haul_flow *flow, struct arrival *in, const struct haul_wire_head *head)
{
    if (!open_to(flow, in, head, flow->scratch))
        return;
    haul_flow_count(&flow->stats->rx_unplaced, 1);
    accepted(flow, in, head->number, false, true);
}

static void place(struct haul_flow *flow, struct arrival *in, const struct haul_wire_head *head,
                  struct haul_fill *fill)
{
    uint32_t payload = in->bytes - HAUL_WIRE_OVERHEAD;
    uint8_t *to = flow->scratch;
    enum haul_target target = haul_fill_target(fill, head->unit, payload, &to);
    uint32_t placed;

    if (target == HAUL_TARGET_NONE) {
        haul_flow_count(&flow->stats->rx_unplaced, 1);
        return;
    }
    if (!open_to(flow, in, head, to))
        return;
    placed = haul_fill_arrived(fill, head->unit, payload,
                               target == HAUL_TARGET_SLOT ? NULL : flow->scratch);
    in->placed_bytes += placed;
    in->duplicate_bytes += payload - placed;
    if (haul_planted(DUPLICATE_UNACKED) && placed == 0)
        return;
    accepted(flow, in, head->number, false, true);
    touch(flow, fill);
    if (placed == 0)
        return;
    grown(flow, fill);
    if (target == HAUL_TARGET_SLOT)
        in->placed = fill;
}

/* The key for what follows in the train, when it is the sender's next and at its next place. */
static struct haul_key *row_key(struct haul_flow *flow, const struct arrival *in,
                                const struct haul_wire_head *head)
{
    if (!flow->from_peer || !flow->newest || in->placed->prefix != head->unit + head->class ||
        in->bytes != in->train->segment ||
        in->bytes != head->class * HAUL_WIRE_UNIT + HAUL_WIRE_OVERHEAD)
        return NULL;
    return haul_open_present(&flow->open, head->phase);
}

/* What follows the datagram just placed: nearly always the next datagrams of the same block, in
 * order and full. Each is opened by itself; what they change in the flow is written once, at the
 * end of the row. The first that differs, or does not open, ends it and is looked at anew. Returns
 * the bytes of the train that were taken. */
static size_t take_row(struct haul_flow *flow, struct arrival *in,
                       const struct haul_wire_head *head, size_t at)
{
    const struct haul_train *train = in->train;
    struct haul_key *key = row_key(flow, in, head);
    uint32_t payload = head->class * HAUL_WIRE_UNIT, ecn = train->ecn & 3u, count = 0, room;
    struct haul_wire_next next;
    uint8_t *to;

    if (key == NULL)
        return 0;
    room = haul_fill_row_room(in->placed, head->class, &to);
    if (room > (train->bytes - at) / train->segment)
        room = (uint32_t)((train->bytes - at) / train->segment);
    haul_wire_next_init(&next, in->data, head);
    for (size_t index = at / train->segment; count < room; count++, index++) {
        const uint8_t *data =
            train->parts != NULL ? train->parts[index] : train->data + index * train->segment;

        if (!haul_wire_next_is(&next, data) ||
            !haul_open_next(&flow->open, key, head->number + 1 + count, data, train->segment, to))
            break;
        to += payload;
        haul_wire_next_step(&next);
    }
    if (count == 0)
        return 0;
    haul_seen_row(&flow->seen, count);
    haul_fill_row(in->placed, count * head->class);
    in->datagrams += count;
    in->all_bytes += (uint64_t)count * train->segment;
    in->placed_bytes += (uint64_t)count * payload;
    flow->ect += ecn == ECN_ECT0 || ecn == ECN_ECT1 ? count : 0;
    flow->ce += ecn == ECN_CE ? count : 0;
    flow->unacked += count;
    grown(flow, in->placed);
    return (size_t)count * train->segment;
}

static void take_data(struct haul_flow *flow, struct arrival *in, const struct haul_wire_head *head)
{
    struct haul_fill *fill;

    if (haul_seen_old(&flow->seen, head->number)) {
        haul_flow_count(&flow->stats->rx_replayed, 1);
        return;
    }
    fill = haul_fill_find(&flow->fills, head->handle);
    if (fill != NULL && (fill->state == HAUL_FILL_OPEN || fill->state == HAUL_FILL_FULL))
        place(flow, in, head, fill);
    else if ((fill == NULL || fill->state == HAUL_FILL_ENDED) &&
             haul_fill_was(&flow->fills, head->handle))
        take_late(flow, in, head);
    else
        haul_flow_count(&flow->stats->rx_unplaced, 1);
}

/* Parses every frame; false when one is malformed, there are two acknowledgements, or a challenge
 * in what is not as long as its answers. */
static bool parse(struct haul_flow *flow, size_t bytes, bool *eliciting)
{
    struct haul_in in = haul_in_from(flow->scratch, bytes);
    unsigned acks = 0, challenges = 0;

    *eliciting = false;
    while (haul_frame_read(&in, &flow->frame)) {
        *eliciting |= haul_frame_eliciting(flow->frame.type);
        acks += flow->frame.type == HAUL_FRAME_ACK;
        challenges += flow->frame.type == HAUL_FRAME_CHALLENGE;
    }
    return !in.bad && acks <= 1 &&
           (challenges == 0 ||
            (challenges == 1 && bytes + HAUL_WIRE_OVERHEAD == HAUL_WIRE_PROBE_BYTES));
}

static void take_control(struct haul_flow *flow, struct arrival *in,
                         const struct haul_wire_head *head)
{
    size_t bytes = in->bytes - HAUL_WIRE_OVERHEAD;
    struct haul_sent_news news = { 0 };
    struct haul_in frames;
    uint64_t marks = 0;
    bool eliciting;

    if (haul_seen_replayed(&flow->seen, head->number)) {
        haul_flow_count(&flow->stats->rx_replayed, 1);
        return;
    }
    if (!open_to(flow, in, head, flow->scratch))
        return;
    if (!parse(flow, bytes, &eliciting)) {
        haul_flow_count(&flow->stats->rx_malformed, 1);
        return;
    }
    accepted(flow, in, head->number, true, eliciting);
    frames = haul_in_from(flow->scratch, bytes);
    while (flow->life != HAUL_FLOW_ENDED && haul_frame_read(&frames, &flow->frame)) {
        if (flow->life != HAUL_FLOW_CLOSING || flow->frame.type == HAUL_FRAME_BYE)
            haul_flow_frame(flow, &flow->frame, &in->train->peer, &news, &marks, in->now);
    }
    if (flow->life != HAUL_FLOW_PROVING && flow->life != HAUL_FLOW_OPEN)
        return;
    haul_sent_late(&flow->sent, in->now, &news);
    haul_flow_learn(flow, &news, marks, in->now);
}

static void count(struct haul_flow *flow, const struct arrival *in)
{
    haul_flow_count(&flow->stats->rx_datagrams, in->datagrams);
    haul_flow_count(&flow->stats->rx_bytes, in->all_bytes);
    haul_flow_count(&flow->stats->rx_block_bytes, in->placed_bytes);
    haul_flow_count(&flow->stats->rx_duplicate_bytes, in->duplicate_bytes);
}

size_t haul_flow_input(struct haul_flow *flow, const struct haul_train *train, size_t at,
                       haul_time now)
{
    struct arrival in = { .train = train, .now = now };
    size_t start = at;

    flow->from_peer = flow->path.proven && haul_addr_equal(&train->peer, &flow->path.peer);
    while (at < train->bytes) {
        size_t left = train->bytes - at;
        size_t bytes = train->segment > 0 && train->segment < left ? train->segment : left;
        struct haul_wire_head head;
        const uint8_t *data = haul_train_at(train, at);
        bool valid = haul_wire_head_read(data, bytes, &head);
        bool ours = valid && head.receiver == flow->local_id;

        if (!ours && at > start)
            break;
        in.data = data;
        in.bytes = (uint32_t)bytes;
        in.placed = NULL;
        at += bytes;
        if (flow->life == HAUL_FLOW_ENDED)
            continue;
        if (!ours)
            haul_flow_count(&flow->stats->rx_malformed, 1);
        else if (head.type == HAUL_WIRE_DATA)
            take_data(flow, &in, &head);
        else
            take_control(flow, &in, &head);
        if (in.placed != NULL && at < train->bytes)
            at += take_row(flow, &in, &head, at);
    }
    count(flow, &in);
    if (flow->ping_at != HAUL_TIME_NEVER && flow->top_time == now)
        flow->ping_at = now + (flow->fills.live + flow->serves.live > 0 ? HAUL_FLOW_BUSY_PING
                                                                        : HAUL_FLOW_IDLE_PING);
    return at - start;
}
