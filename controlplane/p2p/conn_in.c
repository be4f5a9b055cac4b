/* Input: the handshake in order of its phases, then one message after the other. */
#include "controlplane/p2p/conn_parts.h"

const char *const haul_conn_muxers[HAUL_CONN_MUXERS] = { "/yamux/1.0.0" };

/* --- the handshake --- */

/* Runs a machine's step over the bytes in `in`, its output going straight to the out buffer. */
static enum haul_select_state select_step(struct haul_conn *conn, struct haul_in *in)
{
    size_t room = haul_conn_out_room(conn);
    struct haul_out out = haul_out_to(conn->out + conn->out_end, room);
    enum haul_select_state state;

    haul_assert(room >= HAUL_SELECT_OUT_BYTES); /* the handshake's whole output fits at once */
    state = haul_select_step(&conn->select, in, &out);
    haul_conn_out_wrote(conn, (size_t)(out.at - (conn->out + conn->out_end)));
    return state;
}

static enum haul_secure_state secure_step(struct haul_conn *conn, struct haul_in *in)
{
    size_t room = haul_conn_out_room(conn);
    struct haul_out out = haul_out_to(conn->out + conn->out_end, room);
    enum haul_secure_state state;

    haul_assert(room >= HAUL_SECURE_OUT_BYTES);
    if (!conn->secure.begun)
        haul_secure_begin(&conn->secure, conn->securities[conn->select.index]);
    state = haul_secure_step(&conn->secure, in, &out);
    haul_conn_out_wrote(conn, (size_t)(out.at - (conn->out + conn->out_end)));
    return state;
}

/* True when the security protocol is agreed on. A dialer with one candidate left starts the
 * handshake behind its proposal. */
static bool step_selecting(struct haul_conn *conn, struct haul_in *in)
{
    struct haul_in nothing = haul_in_from(conn->in, 0);

    switch (select_step(conn, in)) {
    case HAUL_SELECT_AGREED:
        conn->phase = HAUL_CONN_PROVING;
        return true;
    case HAUL_SELECT_REFUSED:
        return haul_conn_fail(conn, HAUL_CONN_NO_SECURITY);
    case HAUL_SELECT_BROKEN:
        return haul_conn_fail(conn, conn->psk_in.psk != NULL && !conn->select.met
                                        ? HAUL_CONN_OTHER_NETWORK
                                        : HAUL_CONN_NOT_LIBP2P);
    case HAUL_SELECT_RUNNING:
        break;
    }
    if (haul_select_early(&conn->select) && !conn->secure.begun)
        (void)secure_step(conn, &nothing);
    return false;
}

static bool secure_failed(struct haul_conn *conn)
{
    static const enum haul_conn_fault faults[] = {
        [HAUL_SECURE_SOUND] = HAUL_CONN_MALFORMED,
        [HAUL_SECURE_MALFORMED] = HAUL_CONN_MALFORMED,
        [HAUL_SECURE_FORGED] = HAUL_CONN_FORGED,
        [HAUL_SECURE_IDENTITY] = HAUL_CONN_IDENTITY,
        [HAUL_SECURE_OTHER_PEER] = HAUL_CONN_OTHER_PEER,
        [HAUL_SECURE_MUXER] = HAUL_CONN_NO_MUXER,
    };

    return haul_conn_fail(conn, faults[conn->secure.fault]);
}

static void mux_start(struct haul_conn *conn)
{
    conn->muxed = true;
    haul_yamux_init(&conn->yamux, conn->dialer, conn->muxes, conn->stream_count, conn->window_spare,
                    conn->window_pool, conn->now);
    haul_yamux_expire(&conn->yamux, conn->now); /* the first ping rides with the first frames */
}

/* Selects the muxer over opened bytes; what is left in `in` is the muxer's own. */
static void step_muxing(struct haul_conn *conn, struct haul_in *in)
{
    uint8_t answer[HAUL_SELECT_OUT_BYTES];
    struct haul_out out = haul_out_to(answer, sizeof answer);
    enum haul_select_state state = haul_select_step(&conn->select, in, &out);
    size_t bytes = (size_t)(out.at - answer);

    /* A dialer proposes once and first, a listener answers before it has a muxer that could have
     * collected anything: there is always room. */
    haul_assert(bytes <= sizeof conn->clear - conn->clear_bytes);
    memcpy(conn->clear + conn->clear_bytes, answer, bytes);
    conn->clear_bytes += bytes;
    switch (state) {
    case HAUL_SELECT_AGREED:
        conn->phase = HAUL_CONN_UP;
        break;
    case HAUL_SELECT_REFUSED:
        haul_conn_fail(conn, HAUL_CONN_NO_MUXER);
        return;
    case HAUL_SELECT_BROKEN:
        haul_conn_fail(conn, HAUL_CONN_NOT_LIBP2P);
        return;
    case HAUL_SELECT_RUNNING:
        if (!conn->muxed)
            haul_conn_flush(conn);
        break;
    }
    if (haul_select_early(&conn->select) && !conn->muxed)
        mux_start(conn);
}

/* The peer is proven: go on with the muxer of the handshake, or select one. */
static void secure_done(struct haul_conn *conn)
{
    struct haul_in nothing = haul_in_from(conn->in, 0);

    conn->proven_at = conn->now;
    conn->peer = conn->secure.peer;
    if (conn->secure.muxer != HAUL_SECURE_NO_MUXER) {
        conn->phase = HAUL_CONN_UP;
        mux_start(conn);
        return;
    }
    conn->phase = HAUL_CONN_MUXING;
    if (conn->dialer)
        haul_select_dial(&conn->select, haul_conn_muxers, HAUL_COUNT_OF(haul_conn_muxers));
    else
        haul_select_listen(&conn->select, haul_conn_muxers, HAUL_COUNT_OF(haul_conn_muxers));
    step_muxing(conn, &nothing);
}

/* The clear phases, as far as the bytes that have arrived go. */
static void conn_handshake(struct haul_conn *conn)
{
    struct haul_in in = haul_in_from(conn->in + conn->in_at, conn->in_end - conn->in_at);

    if (conn->phase == HAUL_CONN_SELECTING)
        (void)step_selecting(conn, &in);
    if (conn->phase == HAUL_CONN_PROVING) {
        switch (secure_step(conn, &in)) {
        case HAUL_SECURE_DONE:
            secure_done(conn);
            break;
        case HAUL_SECURE_FAILED:
            (void)secure_failed(conn);
            break;
        case HAUL_SECURE_RUNNING:
            break;
        }
    }
    if (conn->phase != HAUL_CONN_OVER)
        conn->in_at = (size_t)(in.at - conn->in);
}

/* --- input --- */

/* The message in progress would not fit: to the front with what there is of it. */
static void room_turn(struct haul_conn *conn)
{
    if (conn->in_at == conn->in_end) {
        conn->in_at = 0;
        conn->in_end = 0;
    } else if (conn->in_bytes - conn->in_at < HAUL_SECURE_WIRE_MAX) {
        memmove(conn->in, conn->in + conn->in_at, conn->in_end - conn->in_at);
        conn->in_end -= conn->in_at;
        conn->in_at = 0;
    }
}

/* The same while batches are opened, which stay where they are: as soon as a message fits before
 * them. */
static void room_turn_behind(struct haul_conn *conn)
{
    size_t left = conn->in_end - conn->in_given;

    if (conn->in_wrap != 0 || conn->in_bytes - conn->in_given >= HAUL_SECURE_WIRE_MAX ||
        conn->in_at < HAUL_SECURE_WIRE_MAX || conn->in_at < left)
        return;
    memcpy(conn->in, conn->in + conn->in_given, left);
    conn->in_wrap = conn->in_given;
    conn->in_given = 0;
    conn->in_end = left;
}

size_t haul_conn_room(struct haul_conn *conn, uint8_t **space)
{
    *space = conn->in + conn->in_end;
    if (conn->phase == HAUL_CONN_OVER || conn->rest_bytes > 0 ||
        (conn->muxed && conn->yamux.at != conn->yamux.end))
        return 0; /* what was lent is still being worked through */
    if (conn->opening.count == 0)
        room_turn(conn);
    else
        room_turn_behind(conn);
    *space = conn->in + conn->in_end;
    return (conn->in_wrap != 0 ? conn->in_at : conn->in_bytes) - conn->in_end;
}

/* No nonce begins like that, but every connection without a key does. */
static bool speaks_openly(const struct haul_psk_stream *stream)
{
    static const char greeting[] = "\x13/multistream/1.0.0\n";

    return stream->nonce_bytes >= sizeof greeting - 1 &&
           memcmp(stream->nonce, greeting, sizeof greeting - 1) == 0;
}

/* Takes the peer's nonce off and opens what is behind it. Whoever has another key cannot even say
 * the first byte of multistream-select. */
static size_t private_open(struct haul_conn *conn, size_t bytes)
{
    uint8_t *data = conn->in + conn->in_end;
    size_t nonce = haul_psk_nonce(&conn->psk_in, data, bytes);

    if (nonce > 0 && speaks_openly(&conn->psk_in)) {
        haul_conn_fail(conn, HAUL_CONN_OTHER_NETWORK);
        return 0;
    }
    bytes -= nonce;
    if (bytes == 0)
        return 0;
    if (nonce > 0)
        memmove(data, data + nonce, bytes);
    haul_psk_apply(&conn->psk_in, data, bytes);
    if (conn->psk_in.at == bytes && data[0] != HAUL_SELECT_FIRST_BYTE)
        haul_conn_fail(conn, HAUL_CONN_OTHER_NETWORK);
    return bytes;
}

void haul_conn_received(struct haul_conn *conn, size_t bytes, haul_time now)
{
    haul_assert(bytes <= (conn->in_wrap != 0 ? conn->in_at : conn->in_bytes) - conn->in_end);
    conn->now = now;
    conn->rx_bytes += bytes;
    if (conn->psk_in.psk != NULL)
        bytes = private_open(conn, bytes);
    conn->in_end += bytes;
    if (conn->phase == HAUL_CONN_SELECTING || conn->phase == HAUL_CONN_PROVING)
        conn_handshake(conn);
}

/* The next message of those that no batch has taken. */
static enum haul_conn_opened open_here(struct haul_conn *conn, uint8_t **data, size_t *bytes)
{
    size_t left = conn->in_end - conn->in_at;
    uint8_t *message = conn->in + conn->in_at;

    if (!haul_secure_length(&conn->secure, message, left, bytes)) {
        haul_conn_fail(conn, HAUL_CONN_MALFORMED);
        return HAUL_CONN_OPENED_LATER;
    }
    if (*bytes == 0 || left < *bytes)
        return HAUL_CONN_OPENED_LATER;
    conn->in_at += *bytes;
    return haul_secure_open(&conn->secure, message, *bytes, data, bytes) ? HAUL_CONN_OPENED_DATA
                                                                         : HAUL_CONN_OPENED_FORGED;
}

bool haul_conn_next_message(struct haul_conn *conn)
{
    struct haul_in in;
    uint8_t *data;
    size_t bytes;

    if (conn->phase != HAUL_CONN_UP && conn->phase != HAUL_CONN_MUXING)
        return false;
    if (haul_conn_pressed(conn))
        return false;
    switch (conn->opening.count > 0 ? haul_conn_next_opened(conn, &data, &bytes)
                                    : open_here(conn, &data, &bytes)) {
    case HAUL_CONN_OPENED_LATER:
        return false;
    case HAUL_CONN_OPENED_FORGED:
        return haul_conn_fail(conn, HAUL_CONN_FORGED);
    case HAUL_CONN_OPENED_DATA:
        break;
    }
    in = haul_in_from(data, bytes);
    if (conn->phase == HAUL_CONN_MUXING)
        step_muxing(conn, &in);
    if (conn->phase == HAUL_CONN_UP)
        haul_yamux_input(&conn->yamux, in.at, haul_in_left(&in), conn->now);
    return conn->phase != HAUL_CONN_OVER;
}
