/* The service, and streams of version 1: one request, one answer. */
#include "controlplane/behaviours/autonat.h"

#include "controlplane/behaviours/autonat_parts.h"

#include <stdlib.h>
#include <string.h>

static const struct haul_ration_limits usual = {
    .total = 60, .per_peer = 12, .per_address = 24, .foreign = 12
};

struct haul_autonat *haul_autonat_open(const struct haul_autonat_conf *conf)
{
    struct haul_autonat *autonat = calloc(1, sizeof *autonat);

    if (autonat == NULL)
        return NULL;
    autonat->conf = *conf;
    if (autonat->conf.pay_wait_max == 0)
        autonat->conf.pay_wait_max = HAUL_AUTONAT_PAY_WAIT;
    else if (autonat->conf.pay_wait_max == HAUL_TIME_NEVER)
        autonat->conf.pay_wait_max = 0;
    haul_ration_init(&autonat->ration, conf->limits.total > 0 ? &conf->limits : &usual);
    LIST_INIT(&autonat->ask_list);
    LIST_INIT(&autonat->job_list);
    return autonat;
}

void haul_autonat_close(struct haul_autonat *autonat)
{
    if (autonat == NULL)
        return;
    /* The streams and dials went with the host; what waits for its time is left. */
    while (!LIST_EMPTY(&autonat->job_list))
        autonat_job_free(LIST_FIRST(&autonat->job_list));
    while (!LIST_EMPTY(&autonat->ask_list))
        autonat_ask_free(LIST_FIRST(&autonat->ask_list));
    free(autonat);
}

const struct haul_autonat_counters *haul_autonat_counters(const struct haul_autonat *autonat)
{
    return &autonat->counters;
}

void haul_autonat_serve(struct haul_autonat *autonat, struct haul_host *host, bool serve)
{
    autonat->serves = serve;
    haul_host_hide(host, &haul_autonat_behaviour, !serve);
    haul_host_hide(host, &haul_autonat2_behaviour, !serve);
}

bool haul_autonat_serves(const struct haul_autonat *autonat)
{
    return autonat->serves;
}

/* --- what both versions do --- */

haul_time autonat_now(const struct haul_host *host)
{
    return haul_loop_now(haul_host_loop(host));
}

bool autonat_send(struct haul_stream *stream, const uint8_t *data, const struct haul_out *out)
{
    if (!out->bad && haul_stream_send(stream, data, (size_t)(out->at - data)))
        return true;
    haul_stream_reset(stream);
    return false;
}

enum haul_inbox_result autonat_next(struct haul_stream *stream, struct haul_in *in)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);
    bool late =
        haul_stream_inbound(stream) && autonat_now(haul_stream_host(stream)) > reading->ends_at;
    enum haul_inbox_result result = late ? HAUL_INBOX_BAD : haul_inbox_take(&reading->inbox, in);

    if (result == HAUL_INBOX_BAD) {
        if (haul_stream_inbound(stream))
            haul_counter_add(&autonat->counters.autonat_faulty, 1);
        haul_stream_reset(stream);
        return HAUL_INBOX_PART;
    }
    return result;
}

bool autonat_may_dial(const struct haul_multiaddr *address, const struct haul_peer_id *peer,
                      const struct haul_connection_facts *asker, bool *own)
{
    struct haul_peer_id named;
    struct haul_addr to;

    if (!haul_multiaddr_tcp(address, &to) || to.port == 0 || asker->relayed ||
        (haul_multiaddr_peer(address, &named) && !haul_peer_id_equal(&named, peer)))
        return false;
    *own = to.family == asker->remote.family && memcmp(to.ip, asker->remote.ip, sizeof to.ip) == 0;
    return *own || haul_addr_scope(&to) == HAUL_ADDR_PUBLIC;
}

/* --- streams of version 1 --- */

static void v1_opened(struct haul_stream *stream, void *argument)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);
    struct autonat_ask *ask = argument;
    uint8_t data[HAUL_MULTIADDR_BYTES_MAX + 128];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_inbox_init(&reading->inbox, reading->message, sizeof reading->message);
    if (ask != NULL) {
        haul_autonat_write_dial(&out, haul_host_id(haul_stream_host(stream)), &ask->address, 1);
        if (autonat_send(stream, data, &out))
            haul_stream_close(stream);
        return;
    }
    reading->ends_at = haul_time_add(autonat_now(haul_stream_host(stream)), HAUL_AUTONAT_READ_MAX);
    if (!autonat->serves)
        haul_stream_reset(stream);
}

static void v1_refuse(struct haul_stream *stream, uint32_t status)
{
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_autonat_write_response(&out, status, NULL);
    if (autonat_send(stream, data, &out))
        haul_stream_close(stream);
}

static void v1_requested(struct haul_stream *stream, const struct haul_autonat_message *message)
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
        v1_refuse(stream, HAUL_AUTONAT_BAD_REQUEST);
        return;
    }
    (void)haul_host_facts(haul_stream_host(stream), haul_stream_connection(stream), &facts);
    if (!haul_ration_take(&autonat->ration, peer, &facts.remote, false,
                          autonat_now(haul_stream_host(stream))) ||
        (reading->job = autonat_job_open(autonat, stream)) == NULL) {
        haul_counter_add(&autonat->counters.autonat_limited, 1);
        v1_refuse(stream, HAUL_AUTONAT_DIAL_REFUSED);
        return;
    }
    for (size_t i = 0; i < message->address_count; i++) {
        if (autonat_may_dial(&message->addresses[i], peer, &facts, &own) && own)
            reading->job->addresses[reading->job->count++] = message->addresses[i];
    }
    if (reading->job->count == 0) {
        haul_counter_add(&autonat->counters.autonat_refused, 1);
        v1_refuse(stream, HAUL_AUTONAT_DIAL_REFUSED);
        autonat_job_free(reading->job);
        reading->job = NULL;
        return;
    }
    autonat_job_dial(reading->job, 0);
}

static size_t v1_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
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
        v1_requested(stream, &message);
    return bytes;
}

/* The peer's end before its request is whole: nothing will come of it. */
static void v1_ended(struct haul_stream *stream)
{
    const struct autonat_reading *reading = haul_stream_state(stream);

    if (!reading->asked)
        haul_stream_reset(stream);
    else if (reading->job == NULL)
        haul_stream_close(stream);
}

static void any_closed(struct haul_stream *stream, enum haul_stream_end end)
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
    .opened = v1_opened,
    .input = v1_input,
    .ended = v1_ended,
    .closed = any_closed,
};
