/* The connection's output. The out buffer is written at its end and sent from its front; when more
 * is free before the front than behind the end, writing goes on at the start, so a sealed message
 * is always in one piece and nothing is ever moved. */
#include "controlplane/p2p/conn.h"
#include "controlplane/p2p/conn_parts.h"

#define PRESSED_BYTES (8u << 10)  /* what the answers to one message may need */
#define DATA_MIN      (16u << 10) /* less room than this is not worth a message of its own */
#define LAY_MIN       (8u << 10)  /* messages from here on are left to a batch */

bool haul_conn_out_empty(const struct haul_conn *conn)
{
    return conn->out_at == conn->out_end && conn->out_wrap == 0;
}

size_t haul_conn_out_room(struct haul_conn *conn)
{
    if (conn->out_wrap != 0)
        return conn->out_at - conn->out_end;
    if (conn->out_at > conn->out_bytes - conn->out_end) {
        conn->out_wrap = conn->out_end;
        conn->out_end = 0;
        return conn->out_at;
    }
    return conn->out_bytes - conn->out_end;
}

void haul_conn_out_wrote(struct haul_conn *conn, size_t bytes)
{
    if (haul_conn_out_empty(conn))
        conn->moved_at = conn->now;
    if (conn->psk_out.psk != NULL)
        haul_psk_apply(&conn->psk_out, conn->out + conn->out_end, bytes);
    conn->out_end += bytes;
}

bool haul_conn_pressed(struct haul_conn *conn)
{
    return haul_conn_out_room(conn) < PRESSED_BYTES + conn->clear_bytes;
}

/* --- sealing --- */

/* Leaves a message to be sealed later. What is behind one that was left is left as well: their
 * counters are given in order. */
static bool lay(struct haul_conn *conn, const uint8_t *body, size_t bytes)
{
    size_t wrote;

    if (conn->laid_bytes == 0 && (!haul_conn_defers(conn) || conn->clear_bytes + bytes < LAY_MIN))
        return false;
    if (conn->laid_bytes == 0)
        conn->out_laid = conn->out_end;
    wrote = haul_noise_lay(conn->clear, conn->clear_bytes, body, bytes, conn->out + conn->out_end);
    conn->clear_bytes = 0;
    conn->laid_bytes += wrote;
    haul_conn_out_wrote(conn, wrote);
    return true;
}

static bool seal(struct haul_conn *conn, const uint8_t *body, size_t bytes)
{
    size_t wrote;

    if (lay(conn, body, bytes))
        return true;
    wrote = haul_secure_seal(&conn->secure, conn->clear, conn->clear_bytes, body, bytes,
                             conn->out + conn->out_end);

    conn->clear_bytes = 0;
    if (wrote == 0) /* 2^64 messages: it will not be seen, but must not wrap */
        return haul_conn_fail(conn, HAUL_CONN_STALLED);
    haul_conn_out_wrote(conn, wrote);
    return true;
}

bool haul_conn_flush(struct haul_conn *conn)
{
    if (conn->clear_bytes == 0)
        return true;
    if (haul_conn_out_room(conn) < conn->clear_bytes + HAUL_SECURE_OVERHEAD_MAX)
        return false;
    return seal(conn, NULL, 0);
}

void haul_conn_collect_control(struct haul_conn *conn)
{
    size_t keep = HAUL_CONN_SMALL_BYTES + HAUL_YAMUX_HEADER_BYTES;

    if (conn->clear_bytes + keep < sizeof conn->clear)
        conn->clear_bytes += haul_yamux_control(&conn->yamux, conn->clear + conn->clear_bytes,
                                                sizeof conn->clear - keep - conn->clear_bytes);
}

bool haul_conn_flush_control(struct haul_conn *conn)
{
    while (conn->muxed && haul_yamux_control_waits(&conn->yamux)) {
        haul_conn_collect_control(conn);
        if (!haul_conn_flush(conn))
            return false;
    }
    return haul_conn_flush(conn);
}

/* --- frames --- */

/* One frame of few bytes, collected; returns what the window let through. */
static size_t collect(struct haul_conn *conn, struct haul_conn_stream *stream, const uint8_t *data,
                      size_t bytes)
{
    uint8_t *at = conn->clear + conn->clear_bytes;
    uint32_t body;

    haul_assert(conn->clear_bytes + HAUL_YAMUX_HEADER_BYTES + bytes <= sizeof conn->clear);
    body = haul_yamux_send(&conn->yamux, stream->mux, bytes, at);
    if (body == 0)
        return 0;
    memcpy(at + HAUL_YAMUX_HEADER_BYTES, data, body);
    conn->clear_bytes += HAUL_YAMUX_HEADER_BYTES + body;
    return body;
}

bool haul_conn_put(struct haul_conn *conn, struct haul_conn_stream *stream, const uint8_t *data,
                   size_t bytes)
{
    if (bytes == 0)
        return true;
    if (conn->clear_bytes + HAUL_YAMUX_HEADER_BYTES + bytes > sizeof conn->clear &&
        !haul_conn_flush(conn))
        return false;
    return collect(conn, stream, data, bytes) == bytes;
}

/* Room for data now, beyond the reserve and what has been collected. */
static size_t data_room(struct haul_conn *conn)
{
    size_t used = HAUL_CONN_RESERVE_BYTES + conn->clear_bytes + HAUL_YAMUX_HEADER_BYTES +
                  HAUL_SECURE_OVERHEAD_MAX;
    size_t room = haul_conn_out_room(conn);

    return room > used ? room - used : 0;
}

/* One frame of bulk: what was collected and the header go in front, into the same message. */
static size_t seal_bulk(struct haul_conn *conn, struct haul_conn_stream *stream,
                        const uint8_t *data, size_t bytes, size_t room)
{
    size_t fits = HAUL_SECURE_CLEAR_MAX - HAUL_YAMUX_HEADER_BYTES - conn->clear_bytes;
    uint32_t body;

    if (bytes > fits)
        bytes = fits;
    if (bytes > room)
        bytes = room;
    body = haul_yamux_send(&conn->yamux, stream->mux, bytes, conn->clear + conn->clear_bytes);
    if (body == 0)
        return 0;
    conn->clear_bytes += HAUL_YAMUX_HEADER_BYTES;
    return seal(conn, data, body) ? body : 0;
}

size_t haul_conn_write(struct haul_conn *conn, struct haul_conn_stream *stream, const void *data,
                       size_t bytes)
{
    const uint8_t *at = data;
    size_t done = 0;

    while (done < bytes && conn->phase != HAUL_CONN_OVER) {
        size_t left = bytes - done;
        size_t took;
        size_t room;

        haul_conn_collect_control(conn);
        if (conn->clear_bytes >
                sizeof conn->clear - HAUL_CONN_SMALL_BYTES - HAUL_YAMUX_HEADER_BYTES &&
            !haul_conn_flush(conn))
            break;
        room = data_room(conn);
        if (room < left && room < DATA_MIN) {
            haul_conn_tell(conn, stream, TELL_WRITABLE);
            break;
        }
        if (left <= HAUL_CONN_SMALL_BYTES)
            took = collect(conn, stream, at + done, left);
        else
            took = seal_bulk(conn, stream, at + done, left, room);
        if (took == 0)
            break; /* the window is closed: yamux tells when it opens */
        done += took;
    }
    return done;
}

bool haul_conn_send(struct haul_conn *conn, struct haul_conn_stream *stream, const void *data,
                    size_t bytes)
{
    haul_assert(bytes <= HAUL_CONN_SEND_MAX);
    if (conn->phase == HAUL_CONN_OVER || !haul_yamux_sendable(stream->mux, bytes))
        return false;
    /* Collected frames and control may need a message of their own before it. */
    if (data_room(conn) < bytes + sizeof conn->clear + HAUL_SECURE_OVERHEAD_MAX) {
        haul_conn_tell(conn, stream, TELL_WRITABLE);
        return false;
    }
    haul_assert(haul_conn_write(conn, stream, data, bytes) == bytes || conn->fault != 0);
    return true;
}

/* --- sending --- */

size_t haul_conn_output(struct haul_conn *conn, const uint8_t **data)
{
    if (conn->secure.state == HAUL_SECURE_DONE)
        haul_conn_flush_control(conn);
    (void)haul_conn_seal_laid(conn);
    *data = conn->out + conn->out_at;
    return haul_conn_sendable(conn);
}

void haul_conn_sent(struct haul_conn *conn, size_t bytes, haul_time now)
{
    conn->now = now;
    conn->moved_at = now;
    conn->tx_bytes += bytes;
    conn->out_at += bytes;
    if (conn->out_wrap != 0 && conn->out_at == conn->out_wrap) {
        conn->out_at = 0;
        conn->out_wrap = 0;
    }
    if (haul_conn_out_empty(conn)) {
        conn->out_at = 0;
        conn->out_end = 0;
    }
}
