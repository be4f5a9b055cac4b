/* yamux: what the peer sends. A header is collected, checked and acted upon whole; a body is lent
 * as it comes, however it was cut. One frame may tell of an open, of data and of an end, in this
 * order: its flags are kept until each has been told. */
#include "common/bytes.h"
#include "controlplane/p2p/yamux_parts.h"

#define RTT_SHARE 16u /* of what a ping took longer: a path may change */

void haul_yamux_input(struct haul_yamux *yamux, const uint8_t *data, size_t bytes, haul_time now)
{
    haul_assert(yamux->at == yamux->end);
    yamux->at = data;
    yamux->end = data + bytes;
    yamux->now = now;
    if (bytes > 0)
        yamux->heard_at = now;
}

static bool fail(struct haul_yamux *yamux, enum haul_yamux_fault fault)
{
    haul_yamux_fail(yamux, fault);
    return false;
}

/* An open: makes the stream, or queues its refusal when there is no room. False at a violation. */
static bool frame_syn(struct haul_yamux *yamux)
{
    bool odd = yamux->frame_id % 2 == 1;

    if (odd == yamux->client || haul_yamux_stream_find(yamux, yamux->frame_id) != NULL)
        return fail(yamux, HAUL_YAMUX_OPEN_INVALID);
    if (yamux->frame_type == FRAME_DATA && yamux->frame_length > HAUL_YAMUX_WINDOW_BYTES)
        return fail(yamux, HAUL_YAMUX_BODY_TOO_LONG);
    if (!yamux->goaway_wanted && !yamux->goaway_sent)
        yamux->frame_stream = haul_yamux_stream_take(yamux, yamux->frame_id, true);
    if (yamux->frame_stream != NULL) {
        haul_yamux_stream_todo(yamux, yamux->frame_stream, FLAG_ACK);
        return true;
    }
    yamux->frame_flags = 0;
    if (yamux->refusal_count == HAUL_YAMUX_REFUSALS_MAX)
        return fail(yamux, HAUL_YAMUX_FLOOD);
    yamux->refusals[(yamux->refusal_at + yamux->refusal_count++) % HAUL_YAMUX_REFUSALS_MAX] =
        yamux->frame_id;
    return true;
}

static bool frame_ping(struct haul_yamux *yamux)
{
    if (yamux->frame_flags & FLAG_ACK) {
        haul_time took = haul_time_since(yamux->ping_sent, yamux->now);

        if (!yamux->ping_out || yamux->frame_length != yamux->ping_value)
            return fail(yamux, HAUL_YAMUX_PONG_UNASKED);
        yamux->ping_out = false;
        yamux->ping_next = yamux->now + HAUL_YAMUX_PING_EVERY;
        /* The shortest is the path's: a longer one has waited behind data that a window let in. */
        if (yamux->rtt == 0 || took < yamux->rtt)
            yamux->rtt = took;
        else
            yamux->rtt += (took - yamux->rtt) / RTT_SHARE;
        if (yamux->rtt == 0)
            yamux->rtt = 1; /* known, and shorter than the clock can tell */
        return true;
    }
    if (yamux->pong_count == HAUL_YAMUX_PONGS_MAX)
        return fail(yamux, HAUL_YAMUX_FLOOD);
    yamux->pongs[(yamux->pong_at + yamux->pong_count++) % HAUL_YAMUX_PONGS_MAX] =
        yamux->frame_length;
    return true;
}

/* Takes the body off the window. A stream we have given up is served by discarding. */
static bool frame_data(struct haul_yamux *yamux)
{
    struct haul_yamux_stream *stream = yamux->frame_stream;

    if (yamux->frame_length > HAUL_YAMUX_PEER_BODY_MAX)
        return fail(yamux, HAUL_YAMUX_BODY_TOO_LONG);
    yamux->body_left = yamux->frame_length;
    if (stream == NULL || (yamux->frame_flags & FLAG_RST))
        return true;
    if (yamux->frame_length > stream->recv_left)
        return fail(yamux, HAUL_YAMUX_WINDOW_EXCEEDED);
    if (yamux->frame_length > 0 && stream->fin_received)
        return fail(yamux, HAUL_YAMUX_DATA_AFTER_END);
    stream->recv_left -= yamux->frame_length;
    return true;
}

static bool frame_window(struct haul_yamux *yamux)
{
    struct haul_yamux_stream *stream = yamux->frame_stream;

    /* With a reset the length is an error code of the application, never credit. */
    if (stream == NULL || (yamux->frame_flags & FLAG_RST))
        return true;
    if (yamux->frame_length > UINT32_MAX - stream->send_credit)
        return fail(yamux, HAUL_YAMUX_WINDOW_OVERFLOW);
    stream->send_credit += yamux->frame_length;
    return true;
}

/* Decodes the collected header and does everything that tells no event. False at a violation. */
static bool frame_begin(struct haul_yamux *yamux)
{
    struct haul_in in = haul_in_from(yamux->header, HAUL_YAMUX_HEADER_BYTES);
    uint64_t version = haul_in_be(&in, 1);

    yamux->frame_type = (uint8_t)haul_in_be(&in, 1);
    yamux->frame_flags = (uint16_t)haul_in_be(&in, 2);
    yamux->frame_id = (uint32_t)haul_in_be(&in, 4);
    yamux->frame_length = (uint32_t)haul_in_be(&in, 4);
    yamux->frame_stream = NULL;
    yamux->body_left = 0;
    if (version != 0 || yamux->frame_type > FRAME_GOAWAY)
        return fail(yamux, HAUL_YAMUX_BAD_HEADER);
    if ((yamux->frame_id == 0) != (yamux->frame_type >= FRAME_PING))
        return fail(yamux, HAUL_YAMUX_BAD_HEADER);
    if (yamux->frame_type == FRAME_PING)
        return frame_ping(yamux);
    if (yamux->frame_type == FRAME_GOAWAY)
        return true;
    if (yamux->frame_flags & FLAG_SYN) {
        if (!frame_syn(yamux))
            return false;
    } else {
        yamux->frame_stream = haul_yamux_stream_find(yamux, yamux->frame_id);
    }
    if (yamux->frame_stream != NULL && (yamux->frame_flags & FLAG_ACK) &&
        !yamux->frame_stream->inbound && !yamux->frame_stream->acked) {
        yamux->frame_stream->acked = true;
        yamux->unacked--;
    }
    return yamux->frame_type == FRAME_DATA ? frame_data(yamux) : frame_window(yamux);
}

/* Collects a header; true when it is complete. */
static bool header_collect(struct haul_yamux *yamux)
{
    size_t left = (size_t)(yamux->end - yamux->at);
    size_t want = HAUL_YAMUX_HEADER_BYTES - yamux->header_bytes;

    if (want > left)
        want = left;
    memcpy(yamux->header + yamux->header_bytes, yamux->at, want);
    yamux->at += want;
    yamux->header_bytes = (uint8_t)(yamux->header_bytes + want);
    if (yamux->header_bytes < HAUL_YAMUX_HEADER_BYTES)
        return false;
    yamux->header_bytes = 0;
    return true;
}

/* Lends the next part of the body, or discards it; true when there is an event. */
static bool body_next(struct haul_yamux *yamux, struct haul_yamux_event *event)
{
    size_t bytes = (size_t)(yamux->end - yamux->at);
    const uint8_t *data = yamux->at;
    struct haul_yamux_stream *stream = yamux->frame_stream;

    if (bytes > yamux->body_left)
        bytes = yamux->body_left;
    yamux->at += bytes;
    yamux->body_left -= (uint32_t)bytes;
    if (bytes == 0 || stream == NULL || stream->released || stream->reset ||
        (yamux->frame_flags & FLAG_RST))
        return false;
    stream->held += (uint32_t)bytes;
    *event = (struct haul_yamux_event){
        .kind = HAUL_YAMUX_DATA, .stream = stream, .data = data, .bytes = bytes
    };
    return true;
}

static bool tell(struct haul_yamux_event *event, enum haul_yamux_event_kind kind,
                 struct haul_yamux_stream *stream)
{
    *event = (struct haul_yamux_event){ .kind = kind, .stream = stream };
    return true;
}

/* What a frame still has to tell once its body is through; false when it is done with. */
static bool frame_end(struct haul_yamux *yamux, struct haul_yamux_event *event)
{
    struct haul_yamux_stream *stream = yamux->frame_stream;

    if (yamux->frame_type == FRAME_GOAWAY && !yamux->goaway_received) {
        yamux->goaway_received = true;
        tell(event, HAUL_YAMUX_GOAWAY, NULL);
        event->code = yamux->frame_length;
        return true;
    }
    if (stream == NULL || stream->released)
        return false;
    if (yamux->frame_flags & FLAG_RST) {
        yamux->frame_flags = 0;
        if (stream->reset)
            return false;
        stream->reset = true;
        stream->todo = 0;
        return tell(event, HAUL_YAMUX_RESET, stream);
    }
    if (yamux->frame_type == FRAME_WINDOW && yamux->frame_length > 0 && stream->blocked) {
        yamux->frame_length = 0; /* told once a frame, even if the owner is blocked again */
        stream->blocked = false;
        return tell(event, HAUL_YAMUX_WRITABLE, stream);
    }
    if ((yamux->frame_flags & FLAG_FIN) && !stream->fin_received) {
        stream->fin_received = true;
        return tell(event, HAUL_YAMUX_ENDED, stream);
    }
    return false;
}

/* A reset of a stream that its owner has let go still matters: nothing waits for it any more. */
static void frame_close(struct haul_yamux *yamux)
{
    struct haul_yamux_stream *stream = yamux->frame_stream;

    yamux->in_frame = false;
    if (stream != NULL && stream->released && (yamux->frame_flags & FLAG_RST)) {
        stream->reset = true;
        stream->todo = 0;
        haul_yamux_stream_settle(yamux, stream);
    }
    yamux->frame_stream = NULL;
}

static bool frame_next(struct haul_yamux *yamux, struct haul_yamux_event *event)
{
    if (yamux->frame_stream != NULL && (yamux->frame_flags & FLAG_SYN)) {
        yamux->frame_flags &= (uint16_t)~FLAG_SYN;
        return tell(event, HAUL_YAMUX_OPENED, yamux->frame_stream);
    }
    if (yamux->body_left > 0 && body_next(yamux, event))
        return true;
    if (yamux->body_left > 0)
        return false;
    if (frame_end(yamux, event))
        return true;
    frame_close(yamux);
    return false;
}

bool haul_yamux_next(struct haul_yamux *yamux, struct haul_yamux_event *event)
{
    while (yamux->fault == HAUL_YAMUX_SOUND) {
        if (!yamux->in_frame) {
            if (yamux->at == yamux->end || !header_collect(yamux))
                return false;
            yamux->in_frame = true;
            if (!frame_begin(yamux))
                break;
        }
        if (frame_next(yamux, event))
            return true;
        if (yamux->in_frame && yamux->at == yamux->end)
            return false;
    }
    yamux->at = yamux->end;
    if (yamux->fault == HAUL_YAMUX_SOUND || yamux->failed_told)
        return false;
    yamux->failed_told = true;
    tell(event, HAUL_YAMUX_FAILED, NULL);
    event->fault = yamux->fault;
    return true;
}
