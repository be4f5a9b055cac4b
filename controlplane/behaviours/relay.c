/* The service, and its tables: whose message came, and who goes on with the bytes behind it. */
#include "controlplane/behaviours/relay.h"

#include "controlplane/behaviours/relay_parts.h"

#include <stdlib.h>
#include <string.h>

#define STREAMS_PER_PEER 128u
#define WINDOW_BYTES     (1u << 20)

/* --- messages --- */

static enum haul_relay_errand errand_of(struct haul_stream *stream)
{
    return *(const enum haul_relay_errand *)haul_stream_argument(stream);
}

static bool is_stop(struct haul_stream *stream)
{
    return haul_stream_inbound(stream) ? haul_stream_behaviour(stream) == &haul_relay_stop_behaviour
                                       : errand_of(stream) == HAUL_RELAY_FOR_CIRCUIT;
}

/* The one message that each side sends on such a stream. */
static void take_message(struct haul_stream *stream, const struct haul_relay_message *message)
{
    void *argument = haul_stream_argument(stream);

    if (haul_stream_inbound(stream)) {
        if (is_stop(stream))
            haul_relay_let_in(stream, message);
        else
            haul_relay_serve(stream, message);
        return;
    }
    switch (errand_of(stream)) {
    case HAUL_RELAY_FOR_PLACE:
        haul_relay_place_answer(argument, stream, message);
        break;
    case HAUL_RELAY_FOR_DIAL:
        haul_relay_dial_answer(argument, stream, message);
        break;
    case HAUL_RELAY_FOR_CIRCUIT:
        haul_relay_circuit_answer(argument, message);
        break;
    }
}

static void misread(struct haul_stream *stream)
{
    haul_counter_add(&haul_relay_of(stream)->counters.malformed, 1);
    if (haul_stream_inbound(stream))
        haul_relay_answer(stream, is_stop(stream), HAUL_RELAY_MALFORMED, NULL);
    else
        haul_stream_reset(stream);
}

/* --- streams --- */

static void opened(struct haul_stream *stream, void *argument)
{
    const struct haul_relay_message reserve = { .kind = HAUL_RELAY_RESERVE };
    struct haul_relay_stream *state = haul_stream_state(stream);

    haul_inbox_init(&state->inbox, state->message, sizeof state->message);
    if (haul_stream_inbound(stream))
        return;
    switch (errand_of(stream)) {
    case HAUL_RELAY_FOR_PLACE:
        if (!haul_relay_send(stream, false, &reserve))
            haul_stream_reset(stream);
        break;
    case HAUL_RELAY_FOR_DIAL:
        haul_relay_dial_asks(stream, argument);
        break;
    case HAUL_RELAY_FOR_CIRCUIT:
        haul_relay_circuit_asks(stream, argument);
        break;
    }
}

/* Bytes behind the message belong to the connection inside. */
static size_t inner_input(struct haul_stream *stream, struct haul_relay_stream *state,
                          const uint8_t *data, size_t bytes)
{
    if (state->circuit != NULL)
        return haul_relay_circuit_input(state->circuit, stream, data, bytes);
    if (state->pipe.stream != NULL)
        return haul_relay_pipe_input(&state->pipe, data, bytes);
    return bytes; /* it is over */
}

static size_t input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_relay_stream *state = haul_stream_state(stream);
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_relay_message message;
    enum haul_inbox_result result;

    if (state->answered)
        return inner_input(stream, state, data, bytes);
    result = haul_inbox_take(&state->inbox, &in);
    if (result == HAUL_INBOX_PART)
        return bytes;
    state->answered = true;
    if (result == HAUL_INBOX_BAD ||
        !haul_relay_decode(state->inbox.bytes, state->inbox.length, is_stop(stream), &message)) {
        misread(stream);
        return bytes;
    }
    take_message(stream, &message);
    return (size_t)(in.at - data) + inner_input(stream, state, in.at, haul_in_left(&in));
}

static void ended(struct haul_stream *stream)
{
    struct haul_relay_stream *state = haul_stream_state(stream);

    if (state->circuit != NULL)
        haul_relay_circuit_ended(state->circuit, stream);
    else if (state->pipe.stream != NULL)
        haul_relay_pipe_ended(&state->pipe);
    else
        haul_stream_close(stream);
}

static void writable(struct haul_stream *stream)
{
    struct haul_relay_stream *state = haul_stream_state(stream);

    if (state->circuit != NULL)
        haul_relay_circuit_writable(state->circuit, stream);
    else if (state->pipe.stream != NULL)
        haul_relay_pipe_writable(&state->pipe);
}

static void closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct haul_relay_stream *state = haul_stream_state(stream);
    void *argument = haul_stream_argument(stream);

    haul_relay_pipe_close(&state->pipe);
    if (haul_stream_inbound(stream)) {
        if (state->circuit != NULL)
            haul_relay_circuit_closed(state->circuit, stream, end);
        return;
    }
    switch (errand_of(stream)) {
    case HAUL_RELAY_FOR_PLACE:
        haul_relay_place_closed(argument, stream);
        break;
    case HAUL_RELAY_FOR_DIAL:
        haul_relay_dial_closed(argument);
        break;
    case HAUL_RELAY_FOR_CIRCUIT:
        haul_relay_circuit_closed(argument, stream, end);
        break;
    }
}

static void disconnected(struct haul_host *host, void *service, uint64_t connection,
                         const struct haul_peer_id *peer)
{
    struct haul_relay *relay = service;

    (void)host;
    (void)peer;
    haul_relay_server_disconnected(relay, connection);
    haul_relay_places_disconnected(relay, connection);
}

const struct haul_behaviour haul_relay_hop_behaviour = {
    .protocol = "/libp2p/circuit/relay/0.2.0/hop",
    .state_bytes = sizeof(struct haul_relay_stream),
    .inbound_per_peer_max = STREAMS_PER_PEER,
    .idle_max = HAUL_RELAY_TALK_MAX,
    .window_bytes_max = WINDOW_BYTES,
    .disconnected = disconnected,
    .opened = opened,
    .input = input,
    .ended = ended,
    .writable = writable,
    .closed = closed,
};

const struct haul_behaviour haul_relay_stop_behaviour = {
    .protocol = "/libp2p/circuit/relay/0.2.0/stop",
    .state_bytes = sizeof(struct haul_relay_stream),
    .inbound_per_peer_max = STREAMS_PER_PEER,
    .idle_max = HAUL_RELAY_TALK_MAX,
    .window_bytes_max = WINDOW_BYTES,
    .opened = opened,
    .input = input,
    .ended = ended,
    .writable = writable,
    .closed = closed,
};

/* --- the service --- */

int haul_relay_open(struct haul_relay **relay, const struct haul_relay_conf *conf,
                    struct haul_error *error)
{
    struct haul_relay *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the relay");
    haul_assert(conf->limits.reservations_max <= HAUL_RELAY_RESERVATIONS_MAX);
    made->hop = &haul_relay_hop_behaviour;
    made->stop = &haul_relay_stop_behaviour;
    made->conf = *conf;
    haul_pace_init(&made->reservation_pace, &conf->limits.pace);
    haul_pace_init(&made->circuit_pace, &conf->limits.pace);
    LIST_INIT(&made->reservations);
    LIST_INIT(&made->circuits);
    LIST_INIT(&made->dials);
    if (haul_relay_places_open(made, error) < 0) {
        haul_relay_close(made);
        return -1;
    }
    *relay = made;
    return 0;
}

void haul_relay_start(struct haul_relay *relay, struct haul_host *host)
{
    const struct haul_host_carrier carrier = { .dial = haul_relay_dial, .context = relay };

    relay->host = host;
    haul_host_carry(host, &carrier);
    haul_relay_offer(relay, relay->conf.serve);
    haul_relay_places_start(relay);
}

void haul_relay_offer(struct haul_relay *relay, bool serve)
{
    relay->conf.serve = serve;
    if (relay->host != NULL)
        haul_host_hide(relay->host, &haul_relay_hop_behaviour, !serve);
}

void haul_relay_close(struct haul_relay *relay)
{
    if (relay == NULL)
        return;
    haul_assert(LIST_EMPTY(&relay->circuits) && LIST_EMPTY(&relay->dials));
    haul_relay_server_close(relay);
    haul_relay_places_close(relay);
    free(relay);
}

void haul_relay_usage(const struct haul_relay *relay, struct haul_relay_usage *usage)
{
    *usage = (struct haul_relay_usage){ .serves = relay->conf.serve,
                                        .reservations = relay->reservation_count,
                                        .circuits = relay->circuit_count };
    for (size_t i = 0; i < relay->place_count; i++)
        usage->places += relay->places[i].kept;
}

const struct haul_relay_counters *haul_relay_counters(const struct haul_relay *relay)
{
    return &relay->counters;
}

bool haul_relay_needs(const struct haul_relay *relay, uint64_t connection)
{
    const struct haul_relay_reservation *at;

    LIST_FOREACH(at, &relay->reservations, link)
    {
        if (at->connection == connection)
            return true;
    }
    for (size_t i = 0; i < relay->place_count; i++) {
        if (relay->places[i].connection == connection)
            return true;
    }
    return false;
}
