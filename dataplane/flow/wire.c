/* Headers and frames to bytes and back. */
#include "dataplane/flow/wire.h"

#include "common/handoff.h"

#define VERSION_SHIFT 5
#define TYPE_SHIFT    3
#define TYPE_MASK     3u
#define ZERO_BIT      4u
#define PHASE_MASK    3u

static void put16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, (uint16_t)value);
    put16(to + 2, (uint16_t)(value >> 16));
}

static uint16_t get16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)get16(from) | (uint32_t)get16(from + 2) << 16;
}

void haul_wire_head_write(const struct haul_wire_head *head, uint8_t to[HAUL_WIRE_HEAD_BYTES])
{
    to[0] = (uint8_t)(HAUL_WIRE_VERSION << VERSION_SHIFT | (unsigned)head->type << TYPE_SHIFT |
                      (head->phase & PHASE_MASK));
    to[1] = 0;
    put16(to + 2, head->class);
    put32(to + 4, head->receiver);
    put32(to + 8, (uint32_t)head->number);
    put32(to + 12, (uint32_t)(head->number >> 32));
    put32(to + 16, head->handle);
    put32(to + 20, head->unit);
}

bool haul_wire_head_read(const uint8_t *data, size_t bytes, struct haul_wire_head *head)
{
    if (bytes < HAUL_WIRE_OVERHEAD || data[0] >> VERSION_SHIFT != HAUL_WIRE_VERSION ||
        (data[0] & ZERO_BIT) != 0 || data[1] != 0)
        return false;
    head->type = data[0] >> TYPE_SHIFT & TYPE_MASK;
    head->phase = data[0] & PHASE_MASK;
    head->class = get16(data + 2);
    head->receiver = get32(data + 4);
    head->number = (uint64_t)get32(data + 8) | (uint64_t)get32(data + 12) << 32;
    head->handle = get32(data + 16);
    head->unit = get32(data + 20);
    if (head->type == HAUL_WIRE_DATA) {
        size_t payload = bytes - HAUL_WIRE_OVERHEAD;

        return payload > 0 && payload <= (size_t)head->class * HAUL_WIRE_UNIT &&
               head->class <= HAUL_WIRE_PAYLOAD_MAX / HAUL_WIRE_UNIT &&
               head->unit < HAUL_WIRE_UNITS;
    }
    return head->type == HAUL_WIRE_CONTROL && head->class == 0 && head->handle == 0 &&
           head->unit == 0 && bytes - HAUL_WIRE_OVERHEAD <= HAUL_WIRE_PAYLOAD_MAX;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are added to as they lie");

void haul_wire_next_init(struct haul_wire_next *next, const uint8_t before[HAUL_WIRE_HEAD_BYTES],
                         const struct haul_wire_head *head)
{
    memcpy(next->words, before, sizeof next->words);
    next->step = (uint64_t)head->class << 32; /* the unit is the last field */
    haul_wire_next_step(next);
}

static void read_ack(struct haul_in *in, struct haul_ack *ack)
{
    uint64_t top = haul_in_le(in, 8);
    uint64_t span;

    ack->delay_us = (uint32_t)haul_in_le(in, 4);
    ack->ect = haul_in_le(in, 8);
    ack->ce = haul_in_le(in, 8);
    ack->count = 0;
    span = haul_in_uvarint(in);
    for (;;) {
        uint64_t gap;

        if (in->bad || span > top || ack->count == HAUL_ACK_RANGES_MAX) {
            in->bad = true;
            return;
        }
        ack->ranges[ack->count++] = (struct haul_range){ .first = top - span, .last = top };
        if (haul_in_left(in) == 0)
            return;
        top -= span;
        gap = haul_in_uvarint(in);
        if (in->bad || top < 2 || gap > top - 2) {
            in->bad = true;
            return;
        }
        top -= gap + 2;
        span = haul_in_uvarint(in);
    }
}

static void read_slot(struct haul_in *in, struct haul_slot_window *slot)
{
    slot->handle = (uint32_t)haul_in_le(in, 4);
    slot->from = (uint16_t)haul_in_le(in, 2);
    slot->bytes = (uint16_t)haul_in_left(in);
    slot->bits = haul_in_bytes(in, haul_in_left(in));
    if (slot->bytes > HAUL_SLOT_BYTES_MAX || slot->from > HAUL_WIRE_UNITS)
        in->bad = true;
}

static void read_want(struct haul_in *in, struct haul_frame *frame)
{
    uint64_t end;

    frame->want.handle = (uint32_t)haul_in_le(in, 4);
    frame->want.offset = (uint32_t)haul_in_le(in, 4);
    frame->want.length = (uint32_t)haul_in_le(in, 4);
    frame->want.class = (uint16_t)haul_in_le(in, 2);
    haul_in_copy(in, frame->want.hash.bytes, HAUL_HASH_BYTES);
    end = (uint64_t)frame->want.offset + frame->want.length;
    if (frame->want.handle == 0 || frame->want.offset % HAUL_WIRE_UNIT != 0 ||
        frame->want.offset > HAUL_BLOCK_BYTES_MAX || end > HAUL_BLOCK_BYTES_MAX ||
        frame->want.class == 0 || frame->want.class > HAUL_WIRE_PAYLOAD_MAX / HAUL_WIRE_UNIT ||
        !haul_hash_valid(&frame->want.hash))
        in->bad = true;
}

static void read_refuse(struct haul_in *in, struct haul_frame *frame)
{
    frame->refuse.handle = (uint32_t)haul_in_le(in, 4);
    frame->refuse.reason = (uint8_t)haul_in_le(in, 1);
    frame->refuse.retry_ms = (uint32_t)haul_in_le(in, 4);
    if (frame->refuse.reason < HAUL_REFUSAL_UNKNOWN || frame->refuse.reason > HAUL_REFUSAL_FAILED)
        in->bad = true;
}

static void read_end(struct haul_in *in, struct haul_frame *frame)
{
    frame->end.handle = (uint32_t)haul_in_le(in, 4);
    frame->end.how = 0;
    if (frame->type == HAUL_FRAME_WITHDRAW)
        return;
    frame->end.how = (uint8_t)haul_in_le(in, 1);
    if (frame->end.how < HAUL_FINISH_VERIFIED || frame->end.how > HAUL_FINISH_OVER)
        in->bad = true;
}

static void read_body(struct haul_in *in, struct haul_frame *frame)
{
    switch ((enum haul_frame_type)frame->type) {
    case HAUL_FRAME_PADDING:
        frame->padding = (uint32_t)haul_in_left(in);
        haul_in_bytes(in, haul_in_left(in));
        break;
    case HAUL_FRAME_ACK:
        read_ack(in, &frame->ack);
        break;
    case HAUL_FRAME_SLOT:
        read_slot(in, &frame->slot);
        break;
    case HAUL_FRAME_WANT:
        read_want(in, frame);
        break;
    case HAUL_FRAME_ACCEPT:
        frame->accept.handle = (uint32_t)haul_in_le(in, 4);
        frame->accept.length = (uint32_t)haul_in_le(in, 4);
        in->bad |= frame->accept.length > HAUL_BLOCK_BYTES_MAX;
        break;
    case HAUL_FRAME_REFUSE:
        read_refuse(in, frame);
        break;
    case HAUL_FRAME_WITHDRAW:
    case HAUL_FRAME_FINISHED:
        read_end(in, frame);
        break;
    case HAUL_FRAME_CHALLENGE:
    case HAUL_FRAME_RESPONSE:
        frame->token = haul_in_le(in, 8);
        break;
    case HAUL_FRAME_PING:
    case HAUL_FRAME_BYE:
        break;
    case HAUL_FRAME_TYPES:
        in->bad = true;
        break;
    }
}

bool haul_frame_read(struct haul_in *in, struct haul_frame *frame)
{
    struct haul_in body;
    size_t bytes;
    const uint8_t *at;

    if (in->bad || haul_in_left(in) == 0)
        return false;
    frame->type = (uint8_t)haul_in_le(in, 1);
    bytes = (size_t)haul_in_le(in, 2);
    at = haul_in_bytes(in, bytes);
    if (in->bad || frame->type >= HAUL_FRAME_TYPES) {
        in->bad = true;
        return false;
    }
    body = haul_in_from(at, bytes);
    read_body(&body, frame);
    if (!haul_in_done(&body))
        in->bad = true;
    return !in->bad;
}

/* As many of the newest ranges as fit before `out` ends. */
static void write_ack(struct haul_out *out, const struct haul_ack *ack)
{
    haul_out_le(out, ack->ranges[0].last, 8);
    haul_out_le(out, ack->delay_us, 4);
    haul_out_le(out, ack->ect, 8);
    haul_out_le(out, ack->ce, 8);
    haul_out_uvarint(out, ack->ranges[0].last - ack->ranges[0].first);
    for (size_t i = 1; i < ack->count && !out->bad; i++) {
        uint64_t gap = ack->ranges[i - 1].first - ack->ranges[i].last - 2;
        uint64_t span = ack->ranges[i].last - ack->ranges[i].first;

        if (haul_uvarint_bytes(gap) + haul_uvarint_bytes(span) > haul_out_left(out))
            break;
        haul_out_uvarint(out, gap);
        haul_out_uvarint(out, span);
    }
}

static void write_want(struct haul_out *out, const struct haul_frame *frame)
{
    haul_out_le(out, frame->want.handle, 4);
    haul_out_le(out, frame->want.offset, 4);
    haul_out_le(out, frame->want.length, 4);
    haul_out_le(out, frame->want.class, 2);
    haul_out_bytes(out, frame->want.hash.bytes, HAUL_HASH_BYTES);
}

static void write_padding(struct haul_out *out, uint32_t bytes)
{
    if (haul_out_left(out) < bytes) {
        out->bad = true;
        return;
    }
    memset(out->at, 0, bytes);
    out->at += bytes;
}

static void write_body(struct haul_out *out, const struct haul_frame *frame)
{
    switch ((enum haul_frame_type)frame->type) {
    case HAUL_FRAME_PADDING:
        write_padding(out, frame->padding);
        break;
    case HAUL_FRAME_ACK:
        write_ack(out, &frame->ack);
        break;
    case HAUL_FRAME_SLOT:
        haul_out_le(out, frame->slot.handle, 4);
        haul_out_le(out, frame->slot.from, 2);
        haul_out_bytes(out, frame->slot.bits, frame->slot.bytes);
        break;
    case HAUL_FRAME_WANT:
        write_want(out, frame);
        break;
    case HAUL_FRAME_ACCEPT:
        haul_out_le(out, frame->accept.handle, 4);
        haul_out_le(out, frame->accept.length, 4);
        break;
    case HAUL_FRAME_REFUSE:
        haul_out_le(out, frame->refuse.handle, 4);
        haul_out_le(out, frame->refuse.reason, 1);
        haul_out_le(out, frame->refuse.retry_ms, 4);
        break;
    case HAUL_FRAME_WITHDRAW:
        haul_out_le(out, frame->end.handle, 4);
        break;
    case HAUL_FRAME_FINISHED:
        haul_out_le(out, frame->end.handle, 4);
        haul_out_le(out, frame->end.how, 1);
        break;
    case HAUL_FRAME_CHALLENGE:
    case HAUL_FRAME_RESPONSE:
        haul_out_le(out, frame->token, 8);
        break;
    case HAUL_FRAME_PING:
    case HAUL_FRAME_BYE:
        break;
    case HAUL_FRAME_TYPES:
        out->bad = true;
        break;
    }
}

bool haul_frame_write(struct haul_out *out, const struct haul_frame *frame)
{
    struct haul_out body = *out;
    uint8_t *head = out->at;

    haul_out_le(&body, frame->type, 1);
    haul_out_le(&body, 0, 2);
    write_body(&body, frame);
    if (body.bad)
        return false;
    put16(head + 1, (uint16_t)(body.at - head - HAUL_FRAME_HEAD_BYTES));
    *out = body;
    return true;
}

bool haul_frame_eliciting(uint8_t type)
{
    switch ((enum haul_frame_type)type) {
    case HAUL_FRAME_PING:
    case HAUL_FRAME_WANT:
    case HAUL_FRAME_ACCEPT:
    case HAUL_FRAME_REFUSE:
    case HAUL_FRAME_WITHDRAW:
    case HAUL_FRAME_FINISHED:
        return true;
    case HAUL_FRAME_PADDING:
    case HAUL_FRAME_ACK:
    case HAUL_FRAME_SLOT:
    case HAUL_FRAME_CHALLENGE:
    case HAUL_FRAME_RESPONSE:
    case HAUL_FRAME_BYE:
    case HAUL_FRAME_TYPES:
        return false;
    }
    return false;
}
