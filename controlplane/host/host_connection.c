/* One connection: its socket feeds the machine, the machine's events go to streams and to the host.
 * Serving is one loop: what streams have due, events, output; until nothing moves or the turn's
 * share is used up. Only here are connections freed. */
#include "controlplane/host/host_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READS_A_TURN  4
#define ROUNDS_A_TURN 8
#define READ_BYTES    (256u << 10) /* at once, or less */
#define KEEP_BYTES    4096u

static haul_time now_of(const struct haul_connection *connection)
{
    return haul_loop_now(connection->host->conf.loop);
}

static bool runs(const struct haul_connection *connection)
{
    return connection->state == HAUL_CONNECTION_PROVING || connection->state == HAUL_CONNECTION_UP;
}

static void connection_become(struct haul_connection *connection, enum haul_connection_state state)
{
    bool was_half_open = haul_connection_half_open(connection);

    connection->state = state;
    if (was_half_open && !haul_connection_half_open(connection))
        connection->host->half_open--;
}

/* --- the end --- */

void haul_connection_end(struct haul_connection *connection, enum haul_error_code why,
                         bool politely)
{
    if (connection->state >= HAUL_CONNECTION_LINGERING)
        return;
    connection->why = why;
    connection->was_up = connection->state == HAUL_CONNECTION_UP;
    haul_streams_lose(connection, HAUL_STREAM_LOST);
    if (politely && connection->was_up) {
        haul_conn_goaway(&connection->conn);
        connection->ends_at = now_of(connection) + HAUL_HOST_LINGER_MAX;
        connection_become(connection, HAUL_CONNECTION_LINGERING);
    } else {
        connection_become(connection, HAUL_CONNECTION_DEAD);
    }
    haul_connection_touch(connection);
}

static const char *why_text(const struct haul_connection *connection)
{
    if (connection->said != NULL)
        return connection->said;
    if (connection->machine && connection->conn.fault == HAUL_CONN_MUXER_BROKEN)
        return haul_yamux_fault_name(connection->conn.yamux.fault);
    if (connection->machine && connection->conn.fault != HAUL_CONN_SOUND)
        return haul_conn_fault_name(connection->conn.fault);
    return haul_error_meaning(connection->why);
}

/* Streams first, then the host, then whoever dialled: each hears of the end once. */
static void tell_end(struct haul_connection *connection)
{
    struct haul_host *host = connection->host;
    const struct haul_host_conf *conf = &host->conf;

    if (connection->end_told)
        return;
    connection->end_told = true;
    for (size_t i = 0; i < host->protocol_count && connection->was_up; i++) {
        const struct haul_protocol *protocol = &host->protocols[i];

        if (protocol->behaviour->disconnected != NULL)
            protocol->behaviour->disconnected(host, protocol->service, connection->id,
                                              &connection->conn.peer);
    }
    if (connection->was_up && conf->disconnected != NULL)
        conf->disconnected(conf->context, connection->id, &connection->conn.peer, connection->why);
    if (connection->dial != NULL)
        connection->attempt->failed(connection, connection->why, why_text(connection));
}

void haul_connection_free(struct haul_connection *connection)
{
    struct haul_host *host = connection->host;

    haul_connection_end(connection, HAUL_E_CANCELLED, false);
    haul_streams_work(connection);
    tell_end(connection);
    haul_assert(LIST_EMPTY(&connection->streams));
    if (connection->working)
        TAILQ_REMOVE(&host->work, connection, work);
    TAILQ_REMOVE(&host->connections, connection, link);
    LIST_REMOVE(connection, id_link);
    if (connection->listed)
        LIST_REMOVE(connection, peer_link);
    host->inbound_count -= connection->inbound;
    host->connection_count--;
    haul_loop_unwatch(connection->watch);
    haul_loop_timer_free(connection->timer);
    if (connection->machine)
        haul_conn_fini(&connection->conn);
    haul_apart_free(connection);
    close(connection->fd);
    free(connection);
}

/* --- events --- */

static enum haul_error_code code_of(enum haul_conn_fault fault)
{
    switch (fault) {
    case HAUL_CONN_OTHER_PEER:
        return HAUL_E_PEER_MISMATCH;
    case HAUL_CONN_OTHER_NETWORK:
        return HAUL_E_PEER_NETWORK;
    case HAUL_CONN_LATE:
        return HAUL_E_TIMEOUT;
    case HAUL_CONN_STALLED:
        return HAUL_E_PEER_GONE;
    case HAUL_CONN_SOUND:
    case HAUL_CONN_NOT_LIBP2P:
    case HAUL_CONN_NO_SECURITY:
    case HAUL_CONN_MALFORMED:
    case HAUL_CONN_FORGED:
    case HAUL_CONN_IDENTITY:
    case HAUL_CONN_NO_MUXER:
    case HAUL_CONN_MUXER_BROKEN:
    case HAUL_CONN_FAULT_COUNT:
        break;
    }
    return HAUL_E_PEER_PROTOCOL;
}

static void on_opened(struct haul_connection *connection)
{
    struct haul_host *host = connection->host;
    const struct haul_host_conf *conf = &host->conf;

    enum haul_error_code refused = haul_host_admits_peer(connection);

    if (refused != HAUL_OK) {
        haul_connection_end(connection, refused, false);
        return;
    }
    connection_become(connection, HAUL_CONNECTION_UP);
    LIST_INSERT_HEAD(haul_host_peers(host, &connection->conn.peer), connection, peer_link);
    connection->listed = true;
    connection->since = now_of(connection);
    haul_counter_add(&host->counters.connected, 1);
    if (conf->connected != NULL)
        conf->connected(conf->context, connection->id, &connection->conn.peer, &connection->remote,
                        connection->inbound);
    for (size_t i = 0; i < host->protocol_count; i++) {
        const struct haul_protocol *protocol = &host->protocols[i];

        if (protocol->behaviour->connected != NULL)
            protocol->behaviour->connected(host, protocol->service, connection->id);
    }
    if (connection->dial != NULL)
        connection->attempt->proven(connection);
}

static size_t connection_send(struct haul_connection *connection);
static void connection_lost(struct haul_connection *connection);

static void on_failed(struct haul_connection *connection)
{
    struct haul_host_counters *counters = &connection->host->counters;
    enum haul_error_code code = code_of(connection->conn.fault);

    if (code == HAUL_E_PEER_NETWORK)
        haul_counter_add(&counters->foreign_network, 1);
    else
        haul_counter_add(code == HAUL_E_PEER_PROTOCOL ? &counters->faulty : &counters->late, 1);
    connection_send(connection); /* a GoAway that says why, if the socket takes it */
    haul_connection_end(connection, code, false);
}

static void connection_events(struct haul_connection *connection)
{
    struct haul_conn_event event;

    haul_apart_give(connection);
    while (runs(connection) && haul_conn_event(&connection->conn, &event)) {
        switch (event.kind) {
        case HAUL_CONN_OPENED:
            on_opened(connection);
            break;
        case HAUL_CONN_ACCEPTED:
            haul_stream_accept(connection, &event);
            break;
        case HAUL_CONN_DATA:
        case HAUL_CONN_ENDED:
        case HAUL_CONN_RESET:
        case HAUL_CONN_REFUSED:
        case HAUL_CONN_EXPIRED:
        case HAUL_CONN_WRITABLE:
            haul_stream_event(connection, &event);
            break;
        case HAUL_CONN_GOAWAY:
            connection->ends_at = now_of(connection) + HAUL_HOST_GOAWAY_MAX;
            break;
        case HAUL_CONN_FAILED:
            on_failed(connection);
            break;
        }
    }
}

/* --- the socket --- */

/* Sends what the kernel takes; returns how much. */
static size_t connection_send(struct haul_connection *connection)
{
    size_t total = 0;
    const uint8_t *data;
    size_t bytes;

    haul_apart_give(connection);
    while (!connection->full && (bytes = haul_conn_output(&connection->conn, &data)) > 0) {
        ssize_t sent = send(connection->fd, data, bytes, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            if (errno != EAGAIN)
                connection_lost(connection);
            connection->full = true;
            break;
        }
        haul_conn_sent(&connection->conn, (size_t)sent, now_of(connection));
        total += (size_t)sent;
        connection->full = (size_t)sent < bytes;
    }
    haul_counter_add(&connection->host->counters.tx_bytes, total);
    return total;
}

/* Whoever hangs up on the first bytes of a private network had better be told apart. */
static void connection_lost(struct haul_connection *connection)
{
    bool stranger = connection->host->conf.psk != NULL && connection->conn.psk_in.at == 0;

    if (stranger)
        haul_counter_add(&connection->host->counters.foreign_network, 1);
    haul_connection_end(connection, stranger ? HAUL_E_PEER_NETWORK : HAUL_E_PEER_GONE, false);
}

static void connection_receive(struct haul_connection *connection)
{
    for (int i = 0; i < READS_A_TURN && runs(connection); i++) {
        uint8_t *space;
        size_t room = haul_conn_room(&connection->conn, &space);
        ssize_t got;

        if (room == 0)
            return;
        if (room > READ_BYTES)
            room = READ_BYTES;
        got = recv(connection->fd, space, room, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            connection_lost(connection);
            return;
        }
        haul_counter_add(&connection->host->counters.rx_bytes, (uint64_t)got);
        haul_conn_received(&connection->conn, (size_t)got, now_of(connection));
        connection_events(connection);
        if ((size_t)got < room)
            return;
    }
}

/* What still comes is of no use, but must be read, or the kernel answers our close with a reset
 * that may overtake our last bytes. */
static void linger_receive(struct haul_connection *connection)
{
    uint8_t scrap[16384];

    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t got = recv(connection->fd, scrap, sizeof scrap, 0);

        if (got > 0)
            continue;
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            connection_become(connection, HAUL_CONNECTION_DEAD);
        return;
    }
}

static void linger_serve(struct haul_connection *connection)
{
    if (connection->shut)
        return;
    (void)connection_send(connection);
    if (!haul_conn_drained(&connection->conn))
        return;
    connection->shut = true;
    (void)shutdown(connection->fd, SHUT_WR);
}

/* --- serving --- */

static void arm(struct haul_connection *connection)
{
    haul_time when = haul_time_min(connection->ends_at, connection->idle_next);
    unsigned interest = 0;
    uint8_t *space;

    if (connection->state == HAUL_CONNECTION_CONNECTING) {
        interest = connection->relayed ? HAUL_LOOP_READ : HAUL_LOOP_WRITE;
    } else if (connection->state == HAUL_CONNECTION_LINGERING) {
        interest = HAUL_LOOP_READ | (connection->shut ? 0 : HAUL_LOOP_WRITE);
    } else {
        if (haul_conn_room(&connection->conn, &space) > 0)
            interest |= HAUL_LOOP_READ;
        if (connection->full)
            interest |= HAUL_LOOP_WRITE;
        when = haul_time_min(when, haul_conn_deadline(&connection->conn));
    }
    haul_loop_interest(connection->watch, interest);
    haul_loop_timer_set(connection->timer, when);
}

static void serve_rounds(struct haul_connection *connection)
{
    for (int i = 0; i < ROUNDS_A_TURN && runs(connection); i++) {
        size_t sent;

        haul_streams_work(connection);
        connection_events(connection);
        if (!runs(connection))
            return;
        sent = connection_send(connection);
        connection_events(connection);
        if (sent == 0 && !connection->stream_work)
            break;
        if (i == ROUNDS_A_TURN - 1)
            haul_connection_queue(connection); /* others' turn; then ours again */
    }
    /* A peer that said goodbye is left as soon as nothing is left to do with it. */
    if (connection->state == HAUL_CONNECTION_UP && connection->conn.yamux.goaway_received &&
        connection->stream_count == 0)
        haul_connection_end(connection, HAUL_E_PEER_GONE, true);
}

void haul_connection_serve(struct haul_connection *connection)
{
    if (connection->serving)
        return;
    connection->serving = true;
    serve_rounds(connection);
    if (connection->state >= HAUL_CONNECTION_LINGERING) {
        haul_streams_work(connection);
        tell_end(connection);
    }
    if (connection->state == HAUL_CONNECTION_LINGERING)
        linger_serve(connection);
    connection->serving = false;
    if (connection->state == HAUL_CONNECTION_DEAD)
        haul_connection_free(connection);
    else
        arm(connection);
}

static void on_ready(void *context, unsigned ready)
{
    struct haul_connection *connection = context;

    if (connection->state == HAUL_CONNECTION_CONNECTING) {
        if (connection->relayed) /* nothing comes before the way is open, but its end */
            haul_connection_end(connection, HAUL_E_PEER_UNREACHABLE, false);
        else if (haul_socket_error(connection->fd) != 0)
            haul_connection_end(connection, HAUL_E_PEER_UNREACHABLE, false);
        else
            haul_connection_start(connection);
    } else if (connection->state == HAUL_CONNECTION_LINGERING) {
        connection->full = false;
        if (ready & HAUL_LOOP_READ)
            linger_receive(connection);
    } else {
        connection->full = false;
        connection->serving = true; /* it is served right behind this */
        if (ready & HAUL_LOOP_READ)
            connection_receive(connection);
        connection->serving = false;
    }
    haul_connection_serve(connection);
}

/* --- memory --- */

/* Two buffers and the streams' arrays in one mapping: of ten thousand idle connections each keeps
 * the few pages that it has touched. */
static bool memory_open(struct haul_connection *connection)
{
    size_t streams = connection->host->conf.streams_per_connection_max;
    size_t mux_bytes = streams * sizeof *connection->muxes;
    size_t buffer =
        connection->host->conf.threads.run != NULL ? HAUL_HOST_APART_BYTES : HAUL_HOST_BUFFER_BYTES;
    uint8_t *at;

    mux_bytes = (mux_bytes + 63) / 64 * 64;
    connection->buffer_bytes = buffer;
    connection->memory_bytes = 2 * buffer + mux_bytes + streams * sizeof *connection->mux_streams;
    at = mmap(NULL, connection->memory_bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return false;
    connection->memory = at;
    connection->in = at;
    connection->out = at + buffer;
    connection->muxes = (struct haul_yamux_stream *)(void *)(connection->out + buffer);
    connection->mux_streams =
        (struct haul_conn_stream *)(void *)((uint8_t *)connection->muxes + mux_bytes);
    return true;
}

/* Gives the buffers' pages back when nothing is in them: all but the first of each, which the next
 * keep-alive would only ask for again. */
static void memory_trim(struct haul_connection *connection)
{
    uint64_t moved = connection->conn.rx_bytes + connection->conn.tx_bytes;

    if (moved - connection->trimmed_at < KEEP_BYTES || !haul_conn_idle(&connection->conn))
        return;
    connection->trimmed_at = moved;
    (void)madvise(connection->in + KEEP_BYTES, connection->buffer_bytes - KEEP_BYTES,
                  MADV_DONTNEED);
    (void)madvise(connection->out + KEEP_BYTES, connection->buffer_bytes - KEEP_BYTES,
                  MADV_DONTNEED);
}

static void on_timer(void *context)
{
    struct haul_connection *connection = context;
    haul_time now = now_of(connection);

    if (now >= connection->ends_at) {
        connection->ends_at = HAUL_TIME_NEVER;
        if (connection->state == HAUL_CONNECTION_LINGERING)
            connection_become(connection, HAUL_CONNECTION_DEAD);
        else if (connection->state == HAUL_CONNECTION_CONNECTING)
            haul_connection_end(connection, HAUL_E_TIMEOUT, false);
        else
            haul_connection_end(connection, HAUL_E_PEER_GONE, true);
    }
    if (runs(connection)) {
        haul_conn_expire(&connection->conn, now);
        haul_streams_idle(connection);
        memory_trim(connection);
    }
    haul_connection_serve(connection);
}

/* --- the beginning --- */

struct haul_connection *haul_connection_open(struct haul_host *host, int fd, bool inbound,
                                             const struct haul_addr *remote)
{
    struct haul_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL) {
        close(fd);
        return NULL;
    }
    connection->host = host;
    connection->fd = fd;
    connection->inbound = inbound;
    connection->answers = inbound;
    connection->remote = *remote;
    connection->ends_at = HAUL_TIME_NEVER;
    connection->idle_next = HAUL_TIME_NEVER;
    LIST_INIT(&connection->streams);
    connection->timer = haul_loop_timer(host->conf.loop, on_timer, connection);
    connection->watch = haul_loop_watch(host->conf.loop, fd, 0, on_ready, connection);
    connection->id = host->id_next++;
    TAILQ_INSERT_TAIL(&host->connections, connection, link);
    LIST_INSERT_HEAD(&host->by_id[connection->id % HAUL_HOST_BUCKETS], connection, id_link);
    host->connection_count++;
    host->inbound_count += inbound;
    host->half_open++;
    if (!memory_open(connection) || connection->timer == NULL || connection->watch == NULL) {
        haul_connection_free(connection);
        return NULL;
    }
    return connection;
}

void haul_connection_await(struct haul_connection *connection)
{
    connection->ends_at = now_of(connection) + HAUL_HOST_CONNECT_MAX;
    arm(connection);
}

void haul_connection_start(struct haul_connection *connection)
{
    struct haul_host *host = connection->host;
    uint8_t secrets[2][32];
    uint8_t nonce[HAUL_PSK_NONCE_BYTES];
    bool all = connection->answers || connection->thorough;
    struct haul_conn_conf conf = {
        .dialer = !connection->answers,
        .key = host->conf.key,
        .securities = all ? host->conf.securities : &host->conf.securities[connection->security],
        .security_count = all ? host->conf.security_count : 1,
        .tls = &host->tls,
        .unix_seconds = (uint64_t)time(NULL),
        .authenticate_max = host->conf.authenticate_max,
        .psk = host->conf.psk,
        .psk_nonce = nonce,
        .expected = connection->expected.length > 0 ? &connection->expected : NULL,
        .protocols = host->names,
        .protocol_count = host->told_count,
        .in = connection->in,
        .in_bytes = connection->buffer_bytes,
        .out = connection->out,
        .out_bytes = connection->buffer_bytes,
        .defers = host->conf.threads.run != NULL,
        .streams = connection->mux_streams,
        .muxes = connection->muxes,
        .stream_count = host->conf.streams_per_connection_max,
        .window_spare = HAUL_HOST_WINDOW_SPARE,
        .window_pool = &host->window_pool,
        .unspoken = &host->unspoken,
        .static_private = secrets[0],
        .ephemeral_private = secrets[1],
        .fast = haul_chacha_poly_fast(),
    };

    if (getrandom(secrets, sizeof secrets, 0) != (ssize_t)sizeof secrets ||
        getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) {
        haul_connection_end(connection, HAUL_E_SYSTEM, false);
        return;
    }
    connection->ends_at = HAUL_TIME_NEVER;
    if (!connection->relayed)
        haul_socket_local(connection->fd, &connection->local);
    haul_conn_init(&connection->conn, &conf, now_of(connection));
    explicit_bzero(secrets, sizeof secrets);
    connection->machine = true;
    connection_become(connection, HAUL_CONNECTION_PROVING);
    haul_connection_touch(connection);
}
