/* Control datagrams out: acknowledgements and slots, frames that are owed, pings; challenges and
 * answers; good-bye; padded probes. Each is a train of one datagram, sealed where it was written.
 */
#include "dataplane/flow/flow_state.h"

#include <string.h>

#define ACK_RANGES_MAX   64u  /* of one datagram; older losses are left to the bitmaps */
#define ACK_FRAME_MAX    600u /* its bytes, at most */
#define DUTY_FRAME_MAX   64u  /* the longest frame that a duty writes, with its head */
#define SLOT_FRAME_LEAST 9u   /* head, handle and unit, without bits */

/* A control datagram being written. */
struct letter {
    struct haul_train *train;
    struct haul_out out;
    uint16_t burst; /* place in the ring of bursts, once a frame wants to be acknowledged */
    haul_time now;
};

static void letter_open(struct letter *letter, struct haul_train *train, size_t payload_max,
                        haul_time now)
{
    size_t room = train->capacity < HAUL_WIRE_OVERHEAD ? 0 : train->capacity - HAUL_WIRE_OVERHEAD;

    letter->train = train;
    letter->out =
        haul_out_to(train->data + HAUL_WIRE_HEAD_BYTES, room < payload_max ? room : payload_max);
    letter->burst = HAUL_NO_BURST;
    letter->now = now;
}

static size_t letter_bytes(const struct letter *letter)
{
    return (size_t)(letter->out.at - letter->train->data) - HAUL_WIRE_HEAD_BYTES;
}

/* Seals it under `number` and addresses it. */
static void letter_seal(struct haul_flow *flow, struct letter *letter, uint64_t number,
                        const struct haul_addr *to)
{
    struct haul_train *train = letter->train;
    size_t bytes = letter_bytes(letter);
    struct haul_wire_head head = { .type = HAUL_WIRE_CONTROL,
                                   .receiver = flow->remote_id,
                                   .number = number };

    haul_seal_datagram(&flow->seal, &head, train->data + HAUL_WIRE_HEAD_BYTES, bytes, train->data);
    train->bytes = (uint32_t)(bytes + HAUL_WIRE_OVERHEAD);
    train->segment = (uint16_t)train->bytes;
    train->ecn = 0;
    train->peer = *to;
    haul_flow_count(&flow->stats->tx_datagrams, 1);
    haul_flow_count(&flow->stats->tx_bytes, train->bytes);
}

static bool write_frame(struct haul_flow *flow, struct letter *letter)
{
    return haul_frame_write(&letter->out, &flow->frame);
}

static bool write_token(struct haul_flow *flow, struct letter *letter, enum haul_frame_type type,
                        uint64_t token)
{
    flow->frame.type = (uint8_t)type;
    flow->frame.token = token;
    return write_frame(flow, letter);
}

static void pad(struct haul_flow *flow, struct letter *letter)
{
    size_t left = haul_out_left(&letter->out);

    if (left < HAUL_FRAME_HEAD_BYTES)
        return;
    flow->frame.type = HAUL_FRAME_PADDING;
    flow->frame.padding = (uint32_t)left - HAUL_FRAME_HEAD_BYTES;
    write_frame(flow, letter);
}

bool haul_flow_send_path(struct haul_flow *flow, struct haul_train *train, haul_time now)
{
    struct haul_path_send send;
    struct letter letter;

    if (!haul_path_next(&flow->path, now, &send))
        return false;
    letter_open(&letter, train, HAUL_WIRE_PROBE_BYTES - HAUL_WIRE_OVERHEAD, now);
    if (send.response)
        write_token(flow, &letter, HAUL_FRAME_RESPONSE, send.response_token);
    if (send.challenge) {
        write_token(flow, &letter, HAUL_FRAME_CHALLENGE, send.challenge_token);
        haul_flow_count(&flow->stats->path_challenges, 1);
    }
    pad(flow, &letter);
    letter_seal(flow, &letter, haul_sent_plain(&flow->sent), &send.addr);
    return true;
}

bool haul_flow_send_probe(struct haul_flow *flow, struct haul_train *train, haul_time now)
{
    struct letter letter;
    uint16_t payload;

    if (!haul_sent_room(&flow->sent, HAUL_FLOW_BURST_ROOM))
        return false;
    payload = haul_class_probe(&flow->class, now);
    if (payload == 0)
        return false;
    if ((size_t)payload + HAUL_WIRE_OVERHEAD > train->capacity) {
        flow->class.most = flow->class.payload;
        flow->class.probing = 0;
        return false;
    }
    letter_open(&letter, train, payload, now);
    flow->frame.type = HAUL_FRAME_PING;
    write_frame(flow, &letter);
    pad(flow, &letter);
    letter.burst =
        haul_sent_control(&flow->sent, HAUL_BURST_PROBE, (uint8_t)(payload / HAUL_WIRE_UNIT), now);
    letter_seal(flow, &letter, flow->sent.next - 1, &flow->path.peer);
    return true;
}

static void write_ack(struct haul_flow *flow, struct letter *letter)
{
    struct haul_ack *ack = &flow->frame.ack;
    struct haul_out whole = letter->out;

    flow->frame.type = HAUL_FRAME_ACK;
    ack->delay_us =
        (uint32_t)(haul_time_min(haul_time_since(flow->top_time, letter->now), HAUL_SECOND) /
                   HAUL_MICROSECOND);
    ack->ect = flow->ect;
    ack->ce = flow->ce;
    ack->count = haul_seen_ranges(&flow->seen, ack->ranges, ACK_RANGES_MAX);
    if (ack->count == 0)
        return;
    if (haul_out_left(&letter->out) > ACK_FRAME_MAX)
        letter->out.end = letter->out.at + ACK_FRAME_MAX;
    if (write_frame(flow, letter)) {
        flow->unacked = 0;
        flow->slots_due = false;
    }
    letter->out.end = whole.end;
}

/* Windows of the slots touched since they were shown last, as many as fit. */
static void write_slots(struct haul_flow *flow, struct letter *letter)
{
    uint8_t bits[HAUL_SLOT_BYTES_MAX];

    while (flow->touched.count > 0) {
        struct haul_fill *fill = &flow->fills.fills[haul_queue_first(&flow->touched)];
        size_t left = haul_out_left(&letter->out);

        if (fill->state == HAUL_FILL_OPEN || fill->state == HAUL_FILL_FULL) {
            size_t need =
                fill->high > fill->prefix ? (size_t)(fill->high - fill->prefix + 7) / 8 : 0;
            size_t most = need < sizeof bits ? need : sizeof bits;

            if (left < SLOT_FRAME_LEAST + most && letter_bytes(letter) > ACK_FRAME_MAX)
                break;
            if (left < SLOT_FRAME_LEAST + 1)
                break;
            if (left - SLOT_FRAME_LEAST < most)
                most = left - SLOT_FRAME_LEAST;
            flow->frame.type = HAUL_FRAME_SLOT;
            haul_fill_window(fill, haul_fill_handle(&flow->fills, fill), bits, most,
                             &flow->frame.slot);
            write_frame(flow, letter);
        }
        fill->touched = false;
        haul_queue_pop(&flow->touched);
    }
    flow->slots_due = flow->touched.count > 0;
}

static void write_overs(struct haul_flow *flow, struct letter *letter)
{
    while (flow->over_count > 0) {
        flow->frame.type = HAUL_FRAME_FINISHED;
        flow->frame.end.handle = flow->overs[flow->over_count - 1];
        flow->frame.end.how = HAUL_FINISH_OVER;
        if (!write_frame(flow, letter))
            return;
        flow->over_count--;
    }
}

/* Fills in the frame of a duty from the present state; false when there is nothing to say. */
static bool state_duty(struct haul_flow *flow, uint16_t duty)
{
    uint16_t index = haul_duty_index(&flow->duties, duty);
    const struct haul_fill *fill = &flow->fills.fills[index];
    const struct haul_serve *serve = &flow->serves.serves[index];
    struct haul_frame *frame = &flow->frame;

    switch (haul_duty_kind(&flow->duties, duty)) {
    case HAUL_DUTY_WANT:
        frame->type = HAUL_FRAME_WANT;
        frame->want.handle = haul_fill_handle(&flow->fills, fill);
        frame->want.offset = fill->offset;
        frame->want.length = fill->wanted;
        frame->want.class = flow->class.most / HAUL_WIRE_UNIT;
        frame->want.hash = fill->hash;
        return fill->state == HAUL_FILL_ASKED;
    case HAUL_DUTY_END:
        frame->type = fill->end_how == 0 ? HAUL_FRAME_WITHDRAW : HAUL_FRAME_FINISHED;
        frame->end.handle = fill->end_handle;
        frame->end.how = fill->end_how;
        return fill->end_handle != 0;
    case HAUL_DUTY_ANSWER:
        frame->type = serve->answer;
        if (serve->answer == HAUL_FRAME_ACCEPT) {
            frame->accept.handle = haul_serve_handle(&flow->serves, serve);
            frame->accept.length = serve->length;
        } else if (serve->answer == HAUL_FRAME_REFUSE) {
            frame->refuse.handle = haul_serve_handle(&flow->serves, serve);
            frame->refuse.reason = serve->reason;
            frame->refuse.retry_ms = serve->retry_ms;
        } else {
            frame->end.handle = haul_serve_handle(&flow->serves, serve);
            frame->end.how = HAUL_FINISH_OVER;
        }
        return serve->answer != 0;
    case HAUL_DUTY_KINDS:
        break;
    }
    return false;
}

/* Ends that the peer has not acknowledged, as many as fit; each good-bye says them again. */
static void write_ends(struct haul_flow *flow, struct letter *letter)
{
    for (uint32_t i = 0; i < flow->fills.size; i++) {
        uint16_t duty = haul_duty(&flow->duties, HAUL_DUTY_END, i);

        if (haul_out_left(&letter->out) < 2 * DUTY_FRAME_MAX)
            return;
        if (haul_duty_pending(&flow->duties, duty) && state_duty(flow, duty))
            write_frame(flow, letter);
    }
}

bool haul_flow_send_bye(struct haul_flow *flow, struct haul_train *train, haul_time now)
{
    struct letter letter;

    if (flow->bye_at > now)
        return false;
    letter_open(&letter, train, HAUL_CLASS_LEAST, now);
    write_ends(flow, &letter);
    flow->frame.type = HAUL_FRAME_BYE;
    write_frame(flow, &letter);
    letter_seal(flow, &letter, haul_sent_plain(&flow->sent), &flow->path.peer);
    flow->bye_at = now + HAUL_FLOW_BYE_SPAN;
    if (--flow->byes == 0)
        haul_flow_end(flow, HAUL_STATUS_CLOSED);
    return true;
}

/* The datagram gets a place in the ring of bursts: it is to be acknowledged. */
static void want_ack(struct haul_flow *flow, struct letter *letter)
{
    if (letter->burst == HAUL_NO_BURST)
        letter->burst = haul_sent_control(&flow->sent, HAUL_BURST_CONTROL, 0, letter->now);
}

static void write_duties(struct haul_flow *flow, struct letter *letter)
{
    uint16_t duty;

    while ((duty = haul_duty_first(&flow->duties)) != HAUL_NO_DUTY) {
        if (haul_out_left(&letter->out) < DUTY_FRAME_MAX)
            return;
        if (!state_duty(flow, duty)) {
            haul_duty_drop(&flow->duties, duty);
            continue;
        }
        write_frame(flow, letter);
        want_ack(flow, letter);
        haul_duty_fly(&flow->duties, duty, letter->burst);
    }
}

bool haul_flow_control_due(const struct haul_flow *flow, haul_time now)
{
    if (flow->ping_due || flow->over_count > 0 || haul_flow_ack_due(flow) <= now)
        return true;
    return haul_duty_first(&flow->duties) != HAUL_NO_DUTY && haul_sent_room(&flow->sent, 1);
}

bool haul_flow_send_control(struct haul_flow *flow, struct haul_train *train, haul_time now)
{
    struct letter letter;

    if (!haul_flow_control_due(flow, now))
        return false;
    letter_open(&letter, train, flow->class.payload, now);
    if (flow->unacked > 0 || flow->slots_due)
        write_ack(flow, &letter);
    write_slots(flow, &letter);
    write_overs(flow, &letter);
    if (haul_sent_room(&flow->sent, 1)) {
        write_duties(flow, &letter);
        if (flow->ping_due && haul_out_left(&letter.out) >= HAUL_FRAME_HEAD_BYTES) {
            flow->frame.type = HAUL_FRAME_PING;
            write_frame(flow, &letter);
            want_ack(flow, &letter);
        }
    }
    flow->ping_due = false;
    if (letter_bytes(&letter) == 0)
        return false;
    letter_seal(flow, &letter,
                letter.burst != HAUL_NO_BURST ? flow->sent.next - 1 : haul_sent_plain(&flow->sent),
                &flow->path.peer);
    return true;
}
