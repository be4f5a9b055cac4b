/* Datagrams out. Control comes before data; data fills whole trains of equal datagrams from the
 * wants that have something to send, held by the congestion window and the pace. */
#include "dataplane/flow/flow_state.h"

#include <string.h>

#define ECN_ECT0 2u

/* How much data may leave now. */
struct allowance {
    uint16_t class; /* units in a datagram; 0: nothing to send */
    uint32_t count; /* datagrams; 0: held */
    enum haul_flow_hold hold;
};

static void allow(const struct haul_flow *flow, uint32_t most, haul_time now,
                  struct allowance *allowance)
{
    uint64_t window = haul_rate_window(&flow->rate);
    uint32_t datagram, train;
    uint64_t room, least;

    allowance->count = 0;
    allowance->class = haul_serve_peek(&flow->serves, flow->class.payload / HAUL_WIRE_UNIT);
    allowance->hold = flow->serves.live > 0 ? HAUL_HOLD_NOT : HAUL_HOLD_WANTS;
    if (allowance->class == 0 || !haul_sent_room(&flow->sent, HAUL_FLOW_BURST_ROOM))
        return;
    datagram = allowance->class * HAUL_WIRE_UNIT + HAUL_WIRE_OVERHEAD;
    train = haul_pacer_train(haul_rate_pace(&flow->rate), datagram, most);
    room = window > flow->sent.in_flight ? (window - flow->sent.in_flight) / datagram : 0;
    least = window / datagram / 4 + 1; /* smaller trains would only follow each other */
    if (least > train)
        least = train;
    if (room < least && flow->sent.in_flight > 0)
        room = 0;
    if (room == 0 && flow->sent.in_flight == 0)
        room = 1; /* a window below one datagram must not be the end */
    if (room < flow->probe_credit)
        room = flow->probe_credit;
    if (room == 0) {
        allowance->hold = HAUL_HOLD_WINDOW;
        return;
    }
    if (!haul_pacer_free(&flow->pacer, now)) {
        allowance->hold = HAUL_HOLD_PACE;
        return;
    }
    allowance->hold = HAUL_HOLD_NOT;
    allowance->count = room < train ? (uint32_t)room : train;
}

/* Seals the datagrams of one chunk behind those that the train has. */
static void seal_chunk(struct haul_flow *flow, const struct haul_chunk *chunk, uint64_t number,
                       struct haul_train *train)
{
    uint32_t full = chunk->class * HAUL_WIRE_UNIT;
    const uint8_t *from = chunk->serve->slot + (size_t)chunk->unit * HAUL_WIRE_UNIT;
    struct haul_wire_head head = { .type = HAUL_WIRE_DATA,
                                   .class = chunk->class,
                                   .receiver = flow->remote_id,
                                   .handle = haul_serve_handle(&flow->serves, chunk->serve),
                                   .unit = chunk->unit };

    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t bytes = i + 1u == chunk->count ? chunk->last_bytes : full;

        head.number = number + i;
        haul_seal_datagram(&flow->seal, &head, from, bytes, haul_train_at(train, train->bytes));
        head.unit += chunk->class;
        from += full;
        train->bytes += bytes + HAUL_WIRE_OVERHEAD;
    }
}

static uint32_t payload_of(const struct haul_chunk *chunk)
{
    return (chunk->count - 1u) * chunk->class * HAUL_WIRE_UNIT + chunk->last_bytes;
}

/* Puts chunks of one class behind each other until the train is full, a short datagram ends it, or
 * there is nothing more; returns the datagrams. */
static uint32_t fill_train(struct haul_flow *flow, struct haul_train *train, uint16_t class,
                           uint32_t count, haul_time now)
{
    bool app_limited = flow->sent.delivered < flow->sent.app_limited_until;
    uint32_t done = 0;

    while (done < count && haul_sent_room(&flow->sent, HAUL_FLOW_BURST_ROOM)) {
        struct haul_chunk chunk;
        uint64_t number = flow->sent.next;

        if (haul_serve_peek(&flow->serves, flow->class.payload / HAUL_WIRE_UNIT) != class ||
            !haul_serve_next(&flow->serves, class, (uint16_t)(count - done), &chunk))
            break;
        haul_sent_chunk(&flow->sent, &chunk, app_limited, now);
        seal_chunk(flow, &chunk, number, train);
        if (chunk.again)
            haul_flow_count(&flow->stats->tx_resent_bytes, payload_of(&chunk));
        done += chunk.count;
        if (chunk.last_bytes < class * HAUL_WIRE_UNIT)
            break;
    }
    return done;
}

static bool send_data(struct haul_flow *flow, struct haul_train *train, uint32_t segments_max,
                      haul_time now)
{
    uint64_t before = flow->sent.in_flight;
    struct allowance allowance;
    uint32_t datagram, most, sent;

    datagram = flow->class.payload + HAUL_WIRE_OVERHEAD;
    most = train->capacity / datagram;
    most = most < segments_max ? most : segments_max;
    most = most < HAUL_BURST_MAX ? most : HAUL_BURST_MAX;
    allow(flow, most, now, &allowance);
    flow->hold = (uint8_t)allowance.hold;
    if (allowance.count == 0)
        return false;
    train->bytes = 0;
    train->segment = (uint16_t)(allowance.class * HAUL_WIRE_UNIT + HAUL_WIRE_OVERHEAD);
    train->ecn = flow->class.ecn ? ECN_ECT0 : 0;
    train->peer = flow->path.peer;
    sent = fill_train(flow, train, allowance.class, allowance.count, now);
    if (sent == 0)
        return false;
    if (flow->probe_credit > 0)
        flow->probe_credit = (uint8_t)(sent < flow->probe_credit ? flow->probe_credit - sent : 0);
    haul_rate_on_sent(&flow->rate, train->bytes, before, now);
    haul_pacer_sent(&flow->pacer, train->bytes, haul_rate_pace(&flow->rate), now);
    haul_flow_count(&flow->stats->tx_datagrams, sent);
    haul_flow_count(&flow->stats->tx_bytes, train->bytes);
    if (flow->serves.first == HAUL_NO_SERVE && flow->sent.in_flight < haul_rate_window(&flow->rate))
        flow->sent.app_limited_until = flow->sent.delivered + flow->sent.in_flight;
    return true;
}

/* Adds the time since the last call to the counter of what held the sender then. */
static void account(struct haul_flow *flow, haul_time now)
{
    haul_time span = haul_time_since(flow->held_at, now);

    flow->held_at = now;
    if (flow->life != HAUL_FLOW_OPEN || span == 0)
        return;
    switch ((enum haul_flow_hold)flow->hold) {
    case HAUL_HOLD_NOT:
        break;
    case HAUL_HOLD_WINDOW:
        haul_flow_count(&flow->stats->limited_window_ns, span);
        break;
    case HAUL_HOLD_PACE:
        haul_flow_count(&flow->stats->limited_pace_ns, span);
        break;
    case HAUL_HOLD_WANTS:
        haul_flow_count(&flow->stats->limited_wants_ns, span);
        break;
    }
}

/* New keys when they are due, and now and then a number that is left out. */
static void before_sending(struct haul_flow *flow, haul_time now)
{
    if (haul_seal_renew(&flow->seal, flow->sent.next, now))
        haul_flow_count(&flow->stats->key_updates, 1);
    if (haul_seal_spent(&flow->seal))
        haul_flow_end(flow, HAUL_STATUS_CLOSED);
    if (flow->sent.next < flow->next_skip)
        return;
    haul_sent_skip(&flow->sent);
    flow->next_skip =
        flow->sent.next + HAUL_FLOW_SKIP_LEAST + haul_rng_below(&flow->rng, HAUL_FLOW_SKIP_LEAST);
}

bool haul_flow_output(struct haul_flow *flow, struct haul_train *train, uint32_t segments_max,
                      haul_time now)
{
    train->bytes = 0;
    account(flow, now);
    haul_flow_timers(flow, now);
    if (flow->life == HAUL_FLOW_ENDED)
        return false;
    before_sending(flow, now);
    switch ((enum haul_flow_life)flow->life) {
    case HAUL_FLOW_PROVING:
        return haul_flow_send_path(flow, train, now);
    case HAUL_FLOW_OPEN:
        return haul_flow_send_path(flow, train, now) || haul_flow_send_control(flow, train, now) ||
               haul_flow_send_probe(flow, train, now) || send_data(flow, train, segments_max, now);
    case HAUL_FLOW_CLOSING:
        return haul_flow_send_bye(flow, train, now);
    case HAUL_FLOW_ENDED:
        break;
    }
    return false;
}

bool haul_flow_ready(const struct haul_flow *flow, haul_time now)
{
    struct allowance allowance;

    if (flow->life == HAUL_FLOW_CLOSING)
        return flow->bye_at <= now;
    if (flow->life != HAUL_FLOW_OPEN)
        return flow->life == HAUL_FLOW_PROVING && haul_path_due(&flow->path) <= now;
    if (haul_path_due(&flow->path) <= now || haul_flow_control_due(flow, now))
        return true;
    allow(flow, HAUL_BURST_MAX, now, &allowance);
    return allowance.count > 0;
}

haul_time haul_flow_deadline(const struct haul_flow *flow)
{
    struct allowance allowance;
    haul_time due;

    switch ((enum haul_flow_life)flow->life) {
    case HAUL_FLOW_PROVING:
        return haul_time_min(haul_path_due(&flow->path), flow->opened + HAUL_FLOW_PROOF_SPAN);
    case HAUL_FLOW_CLOSING:
        return flow->bye_at;
    case HAUL_FLOW_ENDED:
        return HAUL_TIME_NEVER;
    case HAUL_FLOW_OPEN:
        break;
    }
    if (haul_flow_control_due(flow, 0))
        return 0;
    due = haul_time_min(haul_path_due(&flow->path), haul_flow_ack_due(flow));
    due = haul_time_min(due, flow->sent.loss_due);
    due = haul_time_min(due, haul_sent_probe_due(&flow->sent));
    due = haul_time_min(due, flow->ping_at);
    if (flow->class.probing == 0 && flow->class.payload < flow->class.most)
        due = haul_time_min(due, flow->class.due);
    allow(flow, HAUL_BURST_MAX, HAUL_TIME_NEVER, &allowance);
    return allowance.count > 0 ? haul_time_min(due, flow->pacer.next) : due;
}
