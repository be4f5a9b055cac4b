/* The connection's streams: negotiation of each, and the muxer's events turned into the owner's. */
#include "controlplane/p2p/conn.h"
#include "controlplane/p2p/conn_parts.h"

static bool tell(struct haul_conn_event *event, enum haul_conn_event_kind kind,
                 struct haul_conn_stream *stream)
{
    *event = (struct haul_conn_event){ .kind = kind, .stream = stream };
    return true;
}

static void tell_nothing(struct haul_conn *conn, struct haul_conn_stream *stream)
{
    if (stream->tell != 0)
        conn->telling--;
    if ((stream->tell & TELL_EXPIRED) != 0)
        conn->expiring--;
    stream->tell = 0;
}

static void negotiation_begin(struct haul_conn *conn, struct haul_conn_stream *stream)
{
    stream->negotiating = true;
    stream->deadline = conn->now + HAUL_CONN_NEGOTIATE_MAX;
    conn->negotiating++;
    conn->streams_deadline = haul_time_min(conn->streams_deadline, stream->deadline);
}

static void negotiation_end(struct haul_conn *conn, struct haul_conn_stream *stream)
{
    if (!stream->negotiating)
        return;
    stream->negotiating = false;
    if (--conn->negotiating == 0)
        conn->streams_deadline = HAUL_TIME_NEVER;
}

void haul_conn_release(struct haul_conn *conn, struct haul_conn_stream *stream)
{
    haul_assert(stream->mux != NULL);
    negotiation_end(conn, stream);
    tell_nothing(conn, stream);
    if (conn->rest_stream == stream) {
        conn->rest_stream = NULL;
        conn->rest_bytes = 0;
    }
    haul_yamux_release(&conn->yamux, stream->mux);
    stream->mux = NULL;
    stream->owner = NULL;
}

/* Feeds a negotiation and sends its answer. */
static enum haul_select_state negotiate(struct haul_conn *conn, struct haul_conn_stream *stream,
                                        struct haul_in *in)
{
    uint8_t answer[HAUL_SELECT_OUT_BYTES];
    struct haul_out out = haul_out_to(answer, sizeof answer);
    enum haul_select_state state = haul_select_step(&stream->select, in, &out);

    if (!haul_conn_put(conn, stream, answer, (size_t)(out.at - answer)))
        return HAUL_SELECT_BROKEN;
    return state;
}

struct haul_conn_stream *haul_conn_open(struct haul_conn *conn, const char *name, void *owner,
                                        haul_time now)
{
    struct haul_in nothing = haul_in_from(conn->in, 0);
    struct haul_yamux_stream *mux;
    struct haul_conn_stream *stream;

    if (!conn->muxed || conn->phase == HAUL_CONN_OVER || haul_conn_pressed(conn))
        return NULL;
    conn->now = now;
    /* The ends of earlier streams go first: the peer counts how many are open. */
    haul_conn_collect_control(conn);
    mux = haul_yamux_open(&conn->yamux, now);
    if (mux == NULL)
        return NULL;
    stream = &conn->streams[mux->index];
    *stream = (struct haul_conn_stream){ .owner = owner, .mux = mux, .name = name };
    mux->owner = stream;
    stream->announced = true;
    haul_select_dial(&stream->select, &stream->name, 1);
    negotiation_begin(conn, stream);
    if (negotiate(conn, stream, &nothing) == HAUL_SELECT_BROKEN) {
        haul_conn_release(conn, stream);
        return NULL;
    }
    return stream;
}

void haul_conn_window(struct haul_conn *conn, struct haul_conn_stream *stream, uint32_t bytes,
                      uint32_t first)
{
    haul_yamux_window(&conn->yamux, stream->mux, bytes, first);
}

void haul_conn_consume(struct haul_conn *conn, struct haul_conn_stream *stream, size_t bytes)
{
    haul_yamux_consume(&conn->yamux, stream->mux, bytes);
}

void haul_conn_finish(struct haul_conn *conn, struct haul_conn_stream *stream)
{
    haul_yamux_finish(&conn->yamux, stream->mux);
}

void haul_conn_streams_expire(struct haul_conn *conn)
{
    if (conn->now < conn->streams_deadline)
        return;
    conn->streams_deadline = HAUL_TIME_NEVER;
    for (size_t i = 0; i < conn->yamux.fresh; i++) {
        struct haul_conn_stream *stream = &conn->streams[i];

        if (stream->mux == NULL || !stream->negotiating)
            continue;
        if (conn->now < stream->deadline)
            conn->streams_deadline = haul_time_min(conn->streams_deadline, stream->deadline);
        else if (stream->announced)
            haul_conn_tell(conn, stream, TELL_EXPIRED);
        else
            haul_conn_release(conn, stream);
    }
}

/* --- the muxer's events --- */

static void on_opened(struct haul_conn *conn, struct haul_yamux_stream *mux)
{
    struct haul_in nothing = haul_in_from(conn->in, 0);
    struct haul_conn_stream *stream = &conn->streams[mux->index];

    *stream = (struct haul_conn_stream){ .mux = mux };
    mux->owner = stream;
    haul_select_listen(&stream->select, conn->protocols, conn->protocol_count);
    stream->select.unspoken = conn->unspoken;
    negotiation_begin(conn, stream);
    if (negotiate(conn, stream, &nothing) != HAUL_SELECT_RUNNING)
        haul_conn_release(conn, stream);
}

/* Bytes of a stream that is being negotiated; what is behind the agreement is kept for the owner.
 */
static bool on_negotiation(struct haul_conn *conn, struct haul_conn_stream *stream,
                           const struct haul_yamux_event *muxed, struct haul_conn_event *event)
{
    struct haul_in in = haul_in_from(muxed->data, muxed->bytes);
    enum haul_select_state state = negotiate(conn, stream, &in);

    if (state == HAUL_SELECT_REFUSED || state == HAUL_SELECT_BROKEN) {
        if (stream->announced)
            return tell(event, state == HAUL_SELECT_REFUSED ? HAUL_CONN_REFUSED : HAUL_CONN_RESET,
                        stream);
        haul_conn_release(conn, stream);
        return false;
    }
    haul_yamux_consume(&conn->yamux, stream->mux, muxed->bytes - haul_in_left(&in));
    if (state != HAUL_SELECT_AGREED)
        return false;
    negotiation_end(conn, stream);
    conn->rest_stream = stream;
    conn->rest = in.at;
    conn->rest_bytes = haul_in_left(&in);
    if (stream->announced)
        return false;
    stream->announced = true;
    tell(event, HAUL_CONN_ACCEPTED, stream);
    event->index = stream->select.index;
    return true;
}

/* False when the event concerns nobody outside. */
static bool on_muxer(struct haul_conn *conn, const struct haul_yamux_event *muxed,
                     struct haul_conn_event *event)
{
    struct haul_conn_stream *stream = muxed->stream != NULL ? muxed->stream->owner : NULL;

    switch (muxed->kind) {
    case HAUL_YAMUX_OPENED:
        on_opened(conn, muxed->stream);
        return false;
    case HAUL_YAMUX_DATA:
        if (stream->negotiating)
            return on_negotiation(conn, stream, muxed, event);
        tell(event, HAUL_CONN_DATA, stream);
        event->data = muxed->data;
        event->bytes = muxed->bytes;
        return true;
    case HAUL_YAMUX_ENDED:
    case HAUL_YAMUX_RESET:
        if (!stream->announced) {
            haul_conn_release(conn, stream);
            return false;
        }
        if (muxed->kind == HAUL_YAMUX_ENDED && !stream->negotiating)
            return tell(event, HAUL_CONN_ENDED, stream);
        return tell(event, HAUL_CONN_RESET, stream);
    case HAUL_YAMUX_WRITABLE:
        return stream->announced && tell(event, HAUL_CONN_WRITABLE, stream);
    case HAUL_YAMUX_GOAWAY:
        return tell(event, HAUL_CONN_GOAWAY, NULL);
    case HAUL_YAMUX_FAILED:
        haul_conn_flush_control(conn); /* the GoAway */
        haul_conn_fail(conn, HAUL_CONN_MUXER_BROKEN);
        return false;
    }
    return false;
}

/* --- events --- */

/* What streams have waited to be told, in turn. Room for writers is told of while there is some, so
 * the first to be told cannot keep it all from the others for ever. While a writer waits for room
 * this is asked after every message, so it looks at the streams only when one can be told. */
static bool next_told(struct haul_conn *conn, struct haul_conn_event *event)
{
    bool room = conn->telling > 0 && haul_conn_out_room(conn) >= conn->out_bytes / 4;
    uint16_t used = conn->yamux.fresh; /* the slots behind these never had a stream */

    if (!room && conn->expiring == 0)
        return false;
    for (size_t i = 0; conn->telling > 0 && i < used; i++) {
        struct haul_conn_stream *stream = &conn->streams[conn->tell_at];

        conn->tell_at = (uint16_t)((conn->tell_at + 1u) % used);
        if (stream->mux == NULL || stream->tell == 0)
            continue;
        if (stream->tell & TELL_EXPIRED) {
            tell_nothing(conn, stream);
            negotiation_end(conn, stream);
            return tell(event, HAUL_CONN_EXPIRED, stream);
        }
        if (room) {
            tell_nothing(conn, stream);
            return tell(event, HAUL_CONN_WRITABLE, stream);
        }
    }
    return false;
}

static bool next_of_muxer(struct haul_conn *conn, struct haul_conn_event *event)
{
    struct haul_yamux_event muxed;

    while (conn->phase != HAUL_CONN_OVER) {
        if (conn->muxed && haul_yamux_pressed(&conn->yamux))
            haul_conn_flush_control(conn);
        if (haul_conn_pressed(conn))
            return false; /* until some output has been sent */
        if (conn->muxed && haul_yamux_next(&conn->yamux, &muxed)) {
            if (on_muxer(conn, &muxed, event))
                return true;
            if (conn->rest_bytes > 0)
                return false;
        } else if (!haul_conn_next_message(conn)) {
            return false;
        }
    }
    return false;
}

static bool next_rest(struct haul_conn *conn, struct haul_conn_event *event)
{
    if (conn->rest_bytes == 0)
        return false;
    tell(event, HAUL_CONN_DATA, conn->rest_stream);
    event->data = conn->rest;
    event->bytes = conn->rest_bytes;
    conn->rest_stream = NULL;
    conn->rest_bytes = 0;
    return true;
}

bool haul_conn_event(struct haul_conn *conn, struct haul_conn_event *event)
{
    if (conn->muxed && !conn->opened_told && conn->fault == HAUL_CONN_SOUND) {
        conn->opened_told = true;
        return tell(event, HAUL_CONN_OPENED, NULL);
    }
    if (conn->phase != HAUL_CONN_OVER) {
        if (next_rest(conn, event) || next_told(conn, event) || next_of_muxer(conn, event) ||
            next_rest(conn, event))
            return true;
    }
    if (conn->fault == HAUL_CONN_SOUND || conn->failed_told)
        return false;
    conn->failed_told = true;
    return tell(event, HAUL_CONN_FAILED, NULL);
}
