/* The connection: its life and its deadlines. */
#include "controlplane/p2p/conn.h"

#include "controlplane/p2p/conn_parts.h"

#include <openssl/crypto.h>

static void select_security(struct haul_conn *conn, const struct haul_conn_conf *conf)
{
    haul_assert(conf->security_count <= HAUL_SECURITY_COUNT);
    conn->security_count = conf->security_count > 0 ? conf->security_count : 1;
    for (size_t i = 0; i < conn->security_count; i++) {
        conn->securities[i] = conf->security_count > 0 ? conf->securities[i] : HAUL_SECURITY_NOISE;
        conn->security_names[i] = haul_security_protocol(conn->securities[i]);
        haul_assert(conn->securities[i] != HAUL_SECURITY_TLS || conf->tls != NULL);
    }
    if (conn->dialer)
        haul_select_dial(&conn->select, conn->security_names, conn->security_count);
    else
        haul_select_listen(&conn->select, conn->security_names, conn->security_count);
}

/* Our nonce goes out first, as it is; everything behind it is under the network's key. */
static void private_begin(struct haul_conn *conn, const struct haul_conn_conf *conf)
{
    if (conf->psk == NULL)
        return;
    memcpy(conn->out, conf->psk_nonce, HAUL_PSK_NONCE_BYTES);
    haul_conn_out_wrote(conn, HAUL_PSK_NONCE_BYTES);
    haul_psk_begin(&conn->psk_in, conf->psk);
    haul_psk_begin(&conn->psk_out, conf->psk);
    haul_psk_nonce(&conn->psk_out, conf->psk_nonce, HAUL_PSK_NONCE_BYTES);
}

void haul_conn_init(struct haul_conn *conn, const struct haul_conn_conf *conf, haul_time now)
{
    struct haul_secure_conf secure = {
        .dialer = conf->dialer,
        .key = conf->key,
        .muxers = haul_conn_muxers,
        .muxer_count = conf->late_muxer ? 0 : HAUL_COUNT_OF(haul_conn_muxers),
        .tls = conf->tls,
        .unix_seconds = conf->unix_seconds,
        .static_private = conf->static_private,
        .ephemeral_private = conf->ephemeral_private,
        .fast = conf->fast,
    };

    haul_assert(conf->in_bytes >= HAUL_CONN_IN_BYTES_MIN);
    haul_assert(conf->out_bytes >= HAUL_CONN_OUT_BYTES_MIN);
    memset(conn, 0, sizeof *conn);
    conn->dialer = conf->dialer;
    conn->defers = conf->defers;
    conn->protocols = conf->protocols;
    conn->protocol_count = conf->protocol_count;
    conn->in = conf->in;
    conn->in_bytes = conf->in_bytes;
    conn->out = conf->out;
    conn->out_bytes = conf->out_bytes;
    conn->streams = conf->streams;
    conn->muxes = conf->muxes;
    conn->stream_count = conf->stream_count;
    conn->window_spare = conf->window_spare;
    conn->window_pool = conf->window_pool;
    conn->unspoken = conf->unspoken;
    conn->now = now;
    conn->born = now;
    conn->prove_by = haul_time_add(now, conf->authenticate_max != 0 ? conf->authenticate_max
                                                                    : HAUL_CONN_AUTHENTICATE_MAX);
    conn->moved_at = now;
    conn->streams_deadline = HAUL_TIME_NEVER;
    if (conf->expected != NULL) {
        conn->expected = *conf->expected;
        secure.expected = &conn->expected;
    }
    haul_secure_init(&conn->secure, &secure);
    select_security(conn, conf);
    private_begin(conn, conf);
    haul_conn_received(conn, 0, now); /* both sides speak at once */
}

void haul_conn_fini(struct haul_conn *conn)
{
    if (conn->muxed)
        haul_yamux_fini(&conn->yamux);
    conn->muxed = false;
    haul_secure_fini(&conn->secure);
    OPENSSL_cleanse(conn->clear, sizeof conn->clear);
    conn->phase = HAUL_CONN_OVER;
}

/* --- time --- */

haul_time haul_conn_deadline(const struct haul_conn *conn)
{
    haul_time when = conn->streams_deadline;

    if (conn->phase == HAUL_CONN_OVER)
        return HAUL_TIME_NEVER;
    if (conn->phase < HAUL_CONN_MUXING)
        when = haul_time_min(when, conn->prove_by);
    if (conn->phase == HAUL_CONN_MUXING)
        when = haul_time_min(when, conn->proven_at + HAUL_CONN_NEGOTIATE_MAX);
    if (conn->muxed)
        when = haul_time_min(when, haul_yamux_deadline(&conn->yamux));
    if (!haul_conn_out_empty(conn))
        when = haul_time_min(when, conn->moved_at + HAUL_CONN_STALL_MAX);
    return when;
}

void haul_conn_expire(struct haul_conn *conn, haul_time now)
{
    conn->now = now;
    if (now < haul_conn_deadline(conn))
        return;
    if (conn->phase < HAUL_CONN_MUXING && now >= conn->prove_by)
        haul_conn_fail(conn, HAUL_CONN_LATE);
    else if (conn->phase == HAUL_CONN_MUXING && now >= conn->proven_at + HAUL_CONN_NEGOTIATE_MAX)
        haul_conn_fail(conn, HAUL_CONN_LATE);
    else if (!haul_conn_out_empty(conn) && now >= conn->moved_at + HAUL_CONN_STALL_MAX)
        haul_conn_fail(conn, HAUL_CONN_STALLED);
    if (conn->phase == HAUL_CONN_OVER)
        return;
    haul_conn_streams_expire(conn);
    if (conn->muxed)
        haul_yamux_expire(&conn->yamux, now);
}

bool haul_conn_idle(const struct haul_conn *conn)
{
    return conn->in_at == conn->in_end && conn->opening.count == 0 && conn->clear_bytes == 0 &&
           conn->rest_bytes == 0 && haul_conn_out_empty(conn);
}

bool haul_conn_drained(const struct haul_conn *conn)
{
    return haul_conn_out_empty(conn);
}

void haul_conn_goaway(struct haul_conn *conn)
{
    if (conn->muxed)
        haul_yamux_goaway(&conn->yamux, HAUL_YAMUX_NORMAL);
}
