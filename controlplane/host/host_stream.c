/* Streams as behaviours see them. What a behaviour does not take of its input is kept here, at most
 * the receive window, as credit goes back only for what was taken. */
#include "controlplane/host/host_parts.h"

#include <stdlib.h>
#include <string.h>

static void stream_mark(struct haul_stream *stream)
{
    stream->connection->stream_work = true;
    haul_connection_touch(stream->connection);
}

/* Lets the machine's stream go; `closed` is due. */
static void stream_end(struct haul_stream *stream, enum haul_stream_end end)
{
    if (stream->over)
        return;
    stream->over = true;
    stream->end = end;
    if (stream->mux != NULL)
        haul_conn_release(&stream->connection->conn, stream->mux);
    stream->mux = NULL;
    stream_mark(stream);
}

static void stream_check_done(struct haul_stream *stream)
{
    if (stream->finished && stream->ended_told)
        stream_end(stream, HAUL_STREAM_DONE);
}

/* --- birth --- */

static struct haul_stream *stream_open(struct haul_connection *connection,
                                       const struct haul_behaviour *behaviour, void *service)
{
    struct haul_stream *stream = calloc(1, sizeof *stream + behaviour->state_bytes);

    if (stream == NULL)
        return NULL;
    stream->connection = connection;
    stream->behaviour = behaviour;
    stream->service = service;
    stream->active_at = haul_loop_now(connection->host->conf.loop);
    haul_stream_idle_after(stream, behaviour->idle_max);
    return stream;
}

static void stream_bind(struct haul_stream *stream, struct haul_conn_stream *mux)
{
    struct haul_connection *connection = stream->connection;
    uint32_t most = stream->behaviour->window_bytes_max, first = 0;

    stream->mux = mux;
    mux->owner = stream;
    if (!stream->inbound || stream->behaviour->takes_at_once)
        first = most < HAUL_YAMUX_WINDOW_FIRST ? most : HAUL_YAMUX_WINDOW_FIRST;
    if (most != 0)
        haul_conn_window(&connection->conn, mux, most, first);
    LIST_INSERT_HEAD(&connection->streams, stream, link);
    connection->stream_count++;
}

/* How many streams of a behaviour the peer, or we to it, have open, on all its connections. */
static uint32_t count_streams(const struct haul_connection *connection,
                              const struct haul_behaviour *behaviour, bool inbound)
{
    const struct haul_connection *at;
    const struct haul_stream *stream;
    uint32_t count = 0;

    LIST_FOREACH(at, haul_host_peers(connection->host, &connection->conn.peer), peer_link)
    {
        if (at->state != HAUL_CONNECTION_UP ||
            !haul_peer_id_equal(&at->conn.peer, &connection->conn.peer))
            continue;
        LIST_FOREACH(stream, &at->streams, link)
        count += stream->inbound == inbound && !stream->over && stream->behaviour == behaviour;
    }
    return count;
}

void haul_stream_accept(struct haul_connection *connection, const struct haul_conn_event *event)
{
    const struct haul_protocol *protocol = &connection->host->protocols[event->index];
    const struct haul_behaviour *behaviour = protocol->behaviour;
    struct haul_host_counters *counters = &connection->host->counters;
    struct haul_stream *stream = NULL;

    if (haul_host_admits_stream(connection->host) &&
        count_streams(connection, behaviour, true) < behaviour->inbound_per_peer_max)
        stream = stream_open(connection, behaviour, protocol->service);
    if (stream == NULL) {
        haul_counter_add(&counters->streams_over_limit, 1);
        haul_conn_release(&connection->conn, event->stream);
        return;
    }
    haul_counter_add(&counters->streams_accepted, 1);
    stream->inbound = true;
    connection->host->inbound_streams++;
    stream_bind(stream, event->stream);
    if (behaviour->opened != NULL)
        behaviour->opened(stream, NULL);
}

struct haul_stream *haul_host_stream(struct haul_host *host, uint64_t connection,
                                     const struct haul_behaviour *behaviour, void *argument)
{
    struct haul_connection *found = haul_host_connection(host, connection);
    const struct haul_protocol *protocol = haul_host_find_protocol(host, behaviour);
    struct haul_conn_stream *mux;
    struct haul_stream *stream;

    if (found == NULL ||
        (behaviour->outbound_per_peer_max != 0 &&
         count_streams(found, behaviour, false) >= behaviour->outbound_per_peer_max))
        return NULL;
    stream = stream_open(found, behaviour, protocol != NULL ? protocol->service : NULL);
    if (stream == NULL)
        return NULL;
    mux = haul_conn_open(&found->conn, protocol != NULL ? protocol->name : behaviour->protocol,
                         stream, haul_loop_now(host->conf.loop));
    if (mux == NULL) {
        free(stream);
        return NULL;
    }
    haul_counter_add(&host->counters.streams_opened, 1);
    stream->argument = argument;
    stream->opened_due = true;
    stream_bind(stream, mux);
    stream_mark(stream);
    return stream;
}

/* --- input --- */

static void rest_free(struct haul_stream *stream)
{
    haul_host_unhold(stream->connection, stream->rest_capacity);
    free(stream->rest);
    stream->rest = NULL;
    stream->rest_at = 0;
    stream->rest_capacity = 0;
}

static bool rest_append(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    size_t need = stream->rest_bytes + bytes;

    if (bytes == 0)
        return true;
    if (stream->rest_at > 0 && stream->rest_at + need > stream->rest_capacity) {
        memmove(stream->rest, stream->rest + stream->rest_at, stream->rest_bytes);
        stream->rest_at = 0;
    }
    if (need > stream->rest_capacity) {
        size_t capacity = need < 4096 ? 4096 : need + need / 2;
        uint8_t *grown;

        if (!haul_host_hold(stream->connection, capacity - stream->rest_capacity))
            return false;
        grown = realloc(stream->rest, capacity);
        if (grown == NULL) {
            haul_host_unhold(stream->connection, capacity - stream->rest_capacity);
            return false;
        }
        stream->rest = grown;
        stream->rest_capacity = capacity;
    }
    memcpy(stream->rest + stream->rest_at + stream->rest_bytes, data, bytes);
    stream->rest_bytes += bytes;
    return true;
}

/* Offers bytes; returns how many were taken and gives their credit back. */
static size_t stream_offer(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    size_t taken = bytes;

    if (stream->behaviour->input != NULL)
        taken = stream->behaviour->input(stream, data, bytes);
    haul_assert(taken <= bytes);
    if (stream->mux != NULL && taken > 0)
        haul_conn_consume(&stream->connection->conn, stream->mux, taken);
    return taken;
}

static void stream_tell_end(struct haul_stream *stream)
{
    if (!stream->ended || stream->ended_told || stream->rest_bytes > 0 || stream->over)
        return;
    stream->ended_told = true;
    if (stream->behaviour->ended != NULL)
        stream->behaviour->ended(stream);
    stream_check_done(stream);
}

/* Offers what was left until the behaviour takes no more. */
static void stream_offer_rest(struct haul_stream *stream)
{
    while (stream->rest_bytes > 0 && !stream->over) {
        size_t taken = stream_offer(stream, stream->rest + stream->rest_at, stream->rest_bytes);

        if (taken == 0)
            break;
        stream->rest_at += taken;
        stream->rest_bytes -= taken;
    }
    if (stream->rest_bytes == 0)
        rest_free(stream);
    stream_tell_end(stream);
}

/* `opened` comes before anything else but the end. */
static void stream_tell_opened(struct haul_stream *stream)
{
    if (!stream->opened_due || stream->over)
        return;
    stream->opened_due = false;
    if (stream->behaviour->opened != NULL)
        stream->behaviour->opened(stream, stream->argument);
}

static void stream_data(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    size_t taken = 0;

    stream->active_at = haul_loop_now(stream->connection->host->conf.loop);
    if (stream->rest_bytes == 0)
        taken = stream_offer(stream, data, bytes);
    if (!stream->over && !rest_append(stream, data + taken, bytes - taken))
        stream_end(stream, HAUL_STREAM_LIMIT);
}

void haul_stream_event(struct haul_connection *connection, const struct haul_conn_event *event)
{
    struct haul_stream *stream = event->stream->owner;

    (void)connection;
    if (event->kind == HAUL_CONN_DATA || event->kind == HAUL_CONN_ENDED ||
        event->kind == HAUL_CONN_WRITABLE)
        stream_tell_opened(stream);
    if (stream->over)
        return;
    switch (event->kind) {
    case HAUL_CONN_DATA:
        stream_data(stream, event->data, event->bytes);
        break;
    case HAUL_CONN_ENDED:
        stream->ended = true;
        stream_tell_end(stream);
        break;
    case HAUL_CONN_RESET:
        stream_end(stream, HAUL_STREAM_RESET);
        break;
    case HAUL_CONN_REFUSED:
        stream_end(stream, HAUL_STREAM_REFUSED);
        break;
    case HAUL_CONN_EXPIRED:
        stream_end(stream, HAUL_STREAM_LIMIT);
        break;
    case HAUL_CONN_WRITABLE:
        if (stream->behaviour->writable != NULL && !stream->finished)
            stream->behaviour->writable(stream);
        break;
    case HAUL_CONN_OPENED:
    case HAUL_CONN_ACCEPTED:
    case HAUL_CONN_GOAWAY:
    case HAUL_CONN_FAILED:
        break;
    }
}

/* --- what is due --- */

static void stream_free(struct haul_stream *stream)
{
    LIST_REMOVE(stream, link);
    stream->connection->stream_count--;
    stream->connection->host->inbound_streams -= stream->inbound;
    if (stream->behaviour->closed != NULL)
        stream->behaviour->closed(stream, stream->end);
    rest_free(stream);
    free(stream);
}

/* Callbacks may add streams in front and mark any, but only this frees them. */
void haul_streams_work(struct haul_connection *connection)
{
    struct haul_stream *stream;
    struct haul_stream *next;

    while (connection->stream_work) {
        connection->stream_work = false;
        for (stream = LIST_FIRST(&connection->streams); stream != NULL; stream = next) {
            stream_tell_opened(stream);
            if (stream->resume_due && !stream->over) {
                stream->resume_due = false;
                stream_offer_rest(stream);
            }
            next = LIST_NEXT(stream, link);
            if (stream->over)
                stream_free(stream);
        }
    }
}

void haul_streams_lose(struct haul_connection *connection, enum haul_stream_end end)
{
    struct haul_stream *stream;

    LIST_FOREACH(stream, &connection->streams, link)
    stream_end(stream, end);
}

void haul_streams_idle(struct haul_connection *connection)
{
    haul_time now = haul_loop_now(connection->host->conf.loop);
    struct haul_stream *stream;

    if (now < connection->idle_next)
        return;
    connection->idle_next = HAUL_TIME_NEVER;
    LIST_FOREACH(stream, &connection->streams, link)
    {
        haul_time limit = stream->idle_max;

        if (limit == 0 || stream->over)
            continue;
        if (now < stream->active_at + limit) {
            connection->idle_next = haul_time_min(connection->idle_next, stream->active_at + limit);
            continue;
        }
        haul_counter_add(&connection->host->counters.streams_idle, 1);
        stream_end(stream, HAUL_STREAM_LIMIT);
    }
}

/* --- for behaviours --- */

void *haul_stream_state(struct haul_stream *stream)
{
    return stream->state;
}

void *haul_stream_argument(struct haul_stream *stream)
{
    return stream->argument;
}

void *haul_stream_service(const struct haul_stream *stream)
{
    return stream->service;
}

const struct haul_behaviour *haul_stream_behaviour(const struct haul_stream *stream)
{
    return stream->behaviour;
}

struct haul_host *haul_stream_host(struct haul_stream *stream)
{
    return stream->connection->host;
}

const struct haul_peer_id *haul_stream_peer(const struct haul_stream *stream)
{
    return &stream->connection->conn.peer;
}

bool haul_stream_inbound(const struct haul_stream *stream)
{
    return stream->inbound;
}

uint64_t haul_stream_connection(const struct haul_stream *stream)
{
    return stream->connection->id;
}

static void stream_wrote(struct haul_stream *stream)
{
    stream->active_at = haul_loop_now(stream->connection->host->conf.loop);
    haul_connection_touch(stream->connection);
}

size_t haul_stream_write(struct haul_stream *stream, const void *data, size_t bytes)
{
    size_t took;

    if (stream->mux == NULL || stream->finished)
        return 0;
    took = haul_conn_write(&stream->connection->conn, stream->mux, data, bytes);
    if (took > 0)
        stream_wrote(stream);
    return took;
}

bool haul_stream_send(struct haul_stream *stream, const void *data, size_t bytes)
{
    if (stream->mux == NULL || stream->finished ||
        !haul_conn_send(&stream->connection->conn, stream->mux, data, bytes))
        return false;
    stream_wrote(stream);
    return true;
}

void haul_stream_close(struct haul_stream *stream)
{
    if (stream->finished || stream->mux == NULL)
        return;
    stream->finished = true;
    haul_conn_finish(&stream->connection->conn, stream->mux);
    haul_connection_touch(stream->connection);
    stream_check_done(stream);
}

void haul_stream_reset(struct haul_stream *stream)
{
    stream_end(stream, HAUL_STREAM_LIMIT);
}

void haul_stream_idle_after(struct haul_stream *stream, haul_time idle_max)
{
    struct haul_connection *connection = stream->connection;

    stream->idle_max = idle_max;
    if (idle_max != 0)
        connection->idle_next = haul_time_min(connection->idle_next, stream->active_at + idle_max);
}

void haul_stream_resume(struct haul_stream *stream)
{
    stream->resume_due = true;
    stream_mark(stream);
}
