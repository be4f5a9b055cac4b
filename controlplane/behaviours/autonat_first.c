/* Streams of version 1: one request, one answer. */
#include "controlplane/behaviours/autonat_parts.h"

static void opened(struct haul_stream *stream, void *argument)
{
    struct autonat_ask *ask = argument;
    uint8_t data[HAUL_MULTIADDR_BYTES_MAX + 128];
    struct haul_out out = haul_out_to(data, sizeof data);

    autonat_begin(stream);
    if (ask == NULL)
        return;
    haul_autonat_write_dial(&out, haul_host_id(haul_stream_host(stream)), &ask->address, 1);
    if (autonat_send(stream, data, &out))
        haul_stream_close(stream);
}

static void refuse(struct haul_stream *stream, uint32_t status)
{
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_autonat_write_response(&out, status, NULL);
    if (autonat_send(stream, data, &out))
        haul_stream_close(stream);
}

static void requested(struct haul_stream *stream, const struct haul_autonat_message *message)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);
    const struct haul_peer_id *peer = haul_stream_peer(stream);
    struct haul_connection_facts facts = { .relayed = true };
    bool own = false;

    haul_counter_add(&autonat->counters.autonat_requests, 1);
    if (message->kind != HAUL_AUTONAT_DIAL || !message->peer_named ||
        !haul_peer_id_equal(&message->peer, peer)) {
        haul_counter_add(&autonat->counters.autonat_faulty, 1);
        refuse(stream, HAUL_AUTONAT_BAD_REQUEST);
        return;
    }
    (void)haul_host_facts(haul_stream_host(stream), haul_stream_connection(stream), &facts);
    if (!haul_ration_take(&autonat->ration, peer, &facts.remote, false,
                          autonat_now(haul_stream_host(stream))) ||
        (reading->job = autonat_job_open(autonat, stream)) == NULL) {
        haul_counter_add(&autonat->counters.autonat_limited, 1);
        refuse(stream, HAUL_AUTONAT_DIAL_REFUSED);
        return;
    }
    for (size_t i = 0; i < message->address_count; i++) {
        if (autonat_may_dial(&message->addresses[i], peer, &facts, &own) && own)
            reading->job->addresses[reading->job->count++] = message->addresses[i];
    }
    if (reading->job->count == 0) {
        haul_counter_add(&autonat->counters.autonat_refused, 1);
        refuse(stream, HAUL_AUTONAT_DIAL_REFUSED);
        autonat_job_free(reading->job);
        reading->job = NULL;
        return;
    }
    autonat_job_dial(reading->job, 0);
}

static size_t input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct autonat_reading *reading = haul_stream_state(stream);
    struct autonat_ask *ask = haul_stream_argument(stream);
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_autonat_message message;

    if (reading->asked || autonat_next(stream, &in) != HAUL_INBOX_WHOLE)
        return bytes;
    reading->asked = true; /* what comes behind it is not looked at */
    if (!haul_autonat_decode(reading->inbox.bytes, reading->inbox.length, &message))
        message.kind = HAUL_AUTONAT_NOTHING;
    if (ask != NULL)
        autonat_ask_answered(ask, &message);
    else
        requested(stream, &message);
    return bytes;
}

/* The peer's end before its request is whole: nothing will come of it. */
static void ended(struct haul_stream *stream)
{
    const struct autonat_reading *reading = haul_stream_state(stream);

    if (!reading->asked)
        haul_stream_reset(stream);
    else if (reading->job == NULL)
        haul_stream_close(stream);
}

static void closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct autonat_reading *reading = haul_stream_state(stream);
    struct autonat_ask *ask = haul_stream_argument(stream);

    (void)end;
    if (ask != NULL)
        autonat_ask_closed(ask);
    else if (reading->job != NULL)
        autonat_job_closed(reading->job);
}

const struct haul_behaviour haul_autonat_behaviour = {
    .protocol = "/libp2p/autonat/1.0.0",
    .state_bytes = sizeof(struct autonat_reading),
    .inbound_per_peer_max = HAUL_AUTONAT_STREAMS_MAX,
    .idle_max = HAUL_AUTONAT_ASK_MAX,
    .opened = opened,
    .input = input,
    .ended = ended,
    .closed = closed,
};
