/* Through a relay, both ways: the host's dials of /p2p-circuit addresses, and peers that a relay at
 * which we have a place announces. */
#include "controlplane/behaviours/relay_parts.h"

#include <stdlib.h>
#include <unistd.h>

#define DIAL_MAX (9 * HAUL_SECOND)

struct haul_relay_dial {
    enum haul_relay_errand errand;
    struct haul_relay *relay;
    uint64_t attempt;
    int fd; /* -1: the pipe has it */
    struct haul_peer_id id, target;
    LIST_ENTRY(haul_relay_dial) link;
};

static void dial_free(struct haul_relay_dial *dial)
{
    LIST_REMOVE(dial, link);
    if (dial->fd >= 0)
        close(dial->fd);
    free(dial);
}

static void down(struct haul_relay_dial *dial, enum haul_error_code why, const char *text)
{
    haul_host_circuit_down(dial->relay->host, dial->attempt, why, text);
}

static void on_connected(void *context, uint64_t connection, const struct haul_error *error)
{
    struct haul_relay_dial *dial = context;
    struct haul_connection_facts facts;

    if (connection == HAUL_HOST_NO_CONNECTION) {
        down(dial, error->code == HAUL_E_CANCELLED ? HAUL_E_CANCELLED : HAUL_E_PEER_UNREACHABLE,
             "the relay cannot be reached");
    } else if (!haul_host_facts(dial->relay->host, connection, &facts) || facts.relayed) {
        down(dial, HAUL_E_PEER_UNREACHABLE, "the relay is itself behind a relay");
    } else if (haul_host_stream(dial->relay->host, connection, dial->relay->hop, dial) == NULL) {
        down(dial, HAUL_E_LIMIT, "too many streams to the relay");
    } else {
        return;
    }
    dial_free(dial);
}

void haul_relay_dial(void *context, uint64_t attempt, int fd, const struct haul_multiaddr *where,
                     const struct haul_peer_id *relay, const struct haul_peer_id *target)
{
    struct haul_relay *service = context;
    struct haul_relay_dial *dial = calloc(1, sizeof *dial);

    if (dial == NULL) {
        close(fd); /* which ends the attempt */
        return;
    }
    dial->errand = HAUL_RELAY_FOR_DIAL;
    dial->relay = service;
    dial->attempt = attempt;
    dial->fd = fd;
    dial->id = *relay;
    dial->target = *target;
    LIST_INSERT_HEAD(&service->dials, dial, link);
    haul_counter_add(&service->counters.dialled, 1);
    haul_host_dial(service->host, relay, where, where->length > 0 ? 1 : 0,
                   haul_time_add(haul_loop_now(service->conf.loop), DIAL_MAX), on_connected, dial);
}

void haul_relay_dial_asks(struct haul_stream *stream, struct haul_relay_dial *dial)
{
    const struct haul_relay_message ask = { .kind = HAUL_RELAY_CONNECT,
                                            .has_peer = true,
                                            .peer = dial->target };

    if (!haul_relay_send(stream, false, &ask))
        haul_stream_reset(stream);
}

/* What the relay says of its limits, and where it is. */
static bool circuit_of(struct haul_stream *stream, const struct haul_relay_message *message,
                       struct haul_host_circuit *circuit)
{
    struct haul_connection_facts facts;

    if (!haul_host_facts(haul_stream_host(stream), haul_stream_connection(stream), &facts))
        return false;
    *circuit = (struct haul_host_circuit){
        .relay = *haul_stream_peer(stream),
        .remote = facts.remote,
        .limited = message->has_limit && (message->limit.seconds != 0 || message->limit.bytes != 0),
        .bytes_max = message->limit.bytes,
    };
    return true;
}

void haul_relay_dial_answer(struct haul_relay_dial *dial, struct haul_stream *stream,
                            const struct haul_relay_message *message)
{
    struct haul_relay_stream *state = haul_stream_state(stream);
    struct haul_host_circuit circuit;
    int fd = dial->fd;

    if (message->kind != HAUL_RELAY_STATUS) {
        down(dial, HAUL_E_PEER_PROTOCOL, "the relay broke its protocol");
        haul_stream_reset(stream);
        return;
    }
    if (message->status != HAUL_RELAY_OK) {
        down(dial, HAUL_E_PEER_UNREACHABLE, haul_relay_status_name(message->status));
        haul_stream_close(stream);
        return;
    }
    dial->fd = -1;
    if (!circuit_of(stream, message, &circuit) || !haul_relay_pipe_open(&state->pipe, stream, fd)) {
        haul_stream_reset(stream);
        return;
    }
    haul_counter_add(&dial->relay->counters.dialled_up, 1);
    haul_host_circuit_up(dial->relay->host, dial->attempt, &circuit);
}

void haul_relay_dial_closed(struct haul_relay_dial *dial)
{
    down(dial, HAUL_E_PEER_UNREACHABLE, "the relay does not answer, or is none");
    dial_free(dial);
}

/* --- the other way --- */

void haul_relay_let_in(struct haul_stream *stream, const struct haul_relay_message *message)
{
    struct haul_relay_stream *state = haul_stream_state(stream);
    struct haul_relay *relay = haul_relay_of(stream);
    struct haul_host_circuit circuit;
    int fd;

    if (message->kind != HAUL_RELAY_CONNECT || !message->has_peer) {
        haul_counter_add(&relay->counters.malformed, 1);
        haul_relay_answer(stream, true,
                          message->kind == HAUL_RELAY_CONNECT ? HAUL_RELAY_MALFORMED
                                                              : HAUL_RELAY_UNEXPECTED,
                          NULL);
        return;
    }
    if (!haul_relay_has_place(relay, haul_stream_peer(stream)) ||
        !circuit_of(stream, message, &circuit)) {
        haul_counter_add(&relay->counters.not_expected, 1);
        haul_relay_answer(stream, true, HAUL_RELAY_PERMISSION_DENIED, NULL);
        return;
    }
    fd = haul_host_circuit_accept(relay->host, &message->peer, &circuit);
    if (fd < 0) {
        haul_counter_add(&relay->counters.not_expected, 1);
        haul_relay_answer(stream, true, HAUL_RELAY_RESOURCE_LIMIT, NULL);
        return;
    }
    if (!haul_relay_pipe_open(&state->pipe, stream, fd)) {
        haul_stream_reset(stream);
        return;
    }
    haul_counter_add(&relay->counters.accepted, 1);
    haul_relay_answer(stream, true, HAUL_RELAY_OK, NULL);
}
