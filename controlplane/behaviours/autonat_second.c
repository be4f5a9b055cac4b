/* Streams of version 2: the request and its payment, and the number that comes back. */
#include "controlplane/behaviours/autonat_parts.h"

#include <string.h>
#include <sys/random.h>

static uint64_t random_below(uint64_t bound)
{
    uint64_t value = 0;

    /* Where there is no randomness the least is taken: it is no key. */
    if (bound == 0 || getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        return 0;
    return value % bound;
}

static void opened(struct haul_stream *stream, void *argument)
{
    struct autonat_ask *ask = argument;
    uint8_t data[HAUL_MULTIADDR_BYTES_MAX + 64];
    struct haul_out out = haul_out_to(data, sizeof data);

    autonat_begin(stream);
    if (ask == NULL)
        return;
    haul_autonat2_write_dial(&out, &ask->address, 1, ask->nonce);
    (void)autonat_send(stream, data, &out);
}

static void refuse(struct haul_stream *stream, uint32_t status)
{
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_autonat2_write_response(&out, status, 0, HAUL_AUTONAT2_DIAL_UNUSED);
    if (autonat_send(stream, data, &out))
        haul_stream_close(stream);
}

static void fault(struct haul_stream *stream)
{
    struct haul_autonat *autonat = haul_stream_service(stream);

    haul_counter_add(&autonat->counters.autonat_faulty, 1);
    haul_stream_reset(stream);
}

/* Asks for the payment; the dial waits until it has come. */
static void demand(struct haul_stream *stream, uint32_t index)
{
    struct autonat_reading *reading = haul_stream_state(stream);
    uint8_t data[64];
    struct haul_out out = haul_out_to(data, sizeof data);

    reading->paying = true;
    reading->pay_left =
        HAUL_AUTONAT_PAY_MIN + random_below(HAUL_AUTONAT_PAY_MAX - HAUL_AUTONAT_PAY_MIN + 1);
    haul_autonat2_write_pay(&out, index, reading->pay_left);
    (void)autonat_send(stream, data, &out);
}

static void requested(struct haul_stream *stream, const struct haul_autonat_message *message)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);
    const struct haul_peer_id *peer = haul_stream_peer(stream);
    struct haul_connection_facts facts = { .relayed = true };
    bool own = false;
    size_t index = 0;

    haul_counter_add(&autonat->counters.autonat_requests, 1);
    if (message->kind != HAUL_AUTONAT_DIAL) {
        fault(stream);
        return;
    }
    (void)haul_host_facts(haul_stream_host(stream), haul_stream_connection(stream), &facts);
    while (index < message->address_count &&
           !autonat_may_dial(&message->addresses[index], peer, &facts, &own))
        index++;
    if (index == message->address_count) {
        haul_counter_add(&autonat->counters.autonat_refused, 1);
        refuse(stream, HAUL_AUTONAT2_DIAL_REFUSED);
        return;
    }
    if (!haul_ration_take(&autonat->ration, peer, &facts.remote, !own,
                          autonat_now(haul_stream_host(stream))) ||
        (reading->job = autonat_job_open(autonat, stream)) == NULL) {
        haul_counter_add(&autonat->counters.autonat_limited, 1);
        refuse(stream, HAUL_AUTONAT2_REQUEST_REJECTED);
        return;
    }
    reading->job->second = true;
    reading->job->index = (uint32_t)index;
    reading->job->nonce = message->nonce;
    reading->job->addresses[0] = message->addresses[index];
    reading->job->count = 1;
    if (own)
        autonat_job_dial(reading->job, 0);
    else
        demand(stream, (uint32_t)index);
}

/* A part of the payment; parts of next to nothing would only make work. */
static void paid(struct haul_stream *stream, const struct haul_autonat_message *message)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_reading *reading = haul_stream_state(stream);

    if (message->kind != HAUL_AUTONAT_PAID || message->bytes > HAUL_AUTONAT_PAY_PART_MAX ||
        (message->bytes < HAUL_AUTONAT_PAY_PART_MIN && message->bytes < reading->pay_left)) {
        fault(stream);
        return;
    }
    haul_counter_add(&autonat->counters.autonat_paid_bytes, message->bytes);
    reading->pay_left -= message->bytes < reading->pay_left ? message->bytes : reading->pay_left;
    if (reading->pay_left > 0)
        return;
    reading->paying = false;
    autonat_job_dial(reading->job, random_below(autonat->conf.pay_wait_max));
}

static size_t input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct autonat_reading *reading = haul_stream_state(stream);
    struct autonat_ask *ask = haul_stream_argument(stream);
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_autonat_message message;

    while ((ask != NULL || !reading->asked || reading->paying) &&
           autonat_next(stream, &in) == HAUL_INBOX_WHOLE) {
        bool sound = haul_autonat2_decode(reading->inbox.bytes, reading->inbox.length, &message);

        if (!sound)
            message.kind = HAUL_AUTONAT_NOTHING;
        if (ask != NULL) {
            autonat_ask_answered(ask, &message);
        } else if (reading->paying) {
            paid(stream, &message);
        } else {
            reading->asked = true;
            requested(stream, &message);
        }
        if (haul_in_left(&in) == 0)
            break;
    }
    return bytes;
}

/* A client may end its half behind its request or its payment, but not before. */
static void ended(struct haul_stream *stream)
{
    const struct autonat_reading *reading = haul_stream_state(stream);

    if (haul_stream_inbound(stream) && (!reading->asked || reading->paying))
        fault(stream);
    else if (reading->job == NULL)
        haul_stream_close(stream);
}

static void writable(struct haul_stream *stream)
{
    struct autonat_ask *ask = haul_stream_argument(stream);

    if (ask != NULL)
        autonat_ask_writable(ask);
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

const struct haul_behaviour haul_autonat2_behaviour = {
    .protocol = "/libp2p/autonat/2/dial-request",
    .state_bytes = sizeof(struct autonat_reading),
    .inbound_per_peer_max = HAUL_AUTONAT_STREAMS_MAX,
    .idle_max = HAUL_AUTONAT_ASK_MAX,
    .opened = opened,
    .input = input,
    .ended = ended,
    .writable = writable,
    .closed = closed,
};

/* --- what comes back --- */

struct back {
    struct haul_inbox inbox;
    uint8_t message[64];
};

static void back_opened(struct haul_stream *stream, void *argument)
{
    const struct autonat_job *job = argument;
    struct back *back = haul_stream_state(stream);
    uint8_t data[16];
    struct haul_out out = haul_out_to(data, sizeof data);

    haul_inbox_init(&back->inbox, back->message, sizeof back->message);
    if (job == NULL)
        return;
    haul_autonat_back_write(&out, job->nonce);
    (void)autonat_send(stream, data, &out); /* our half stays open until there is an answer */
}

static size_t back_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_autonat *autonat = haul_stream_service(stream);
    struct autonat_job *job = haul_stream_argument(stream);
    struct back *back = haul_stream_state(stream);
    struct haul_in in = haul_in_from(data, bytes);
    uint8_t answer[16];
    struct haul_out out = haul_out_to(answer, sizeof answer);
    enum haul_inbox_result result;
    uint64_t nonce;

    if (job != NULL) {
        job->back_arrived = true; /* whatever it says: it has the number */
        haul_stream_close(stream);
        return bytes;
    }
    result = haul_inbox_take(&back->inbox, &in);
    if (result == HAUL_INBOX_PART)
        return bytes;
    if (result == HAUL_INBOX_BAD ||
        !haul_autonat_back_decode(back->inbox.bytes, back->inbox.length, &nonce) ||
        !autonat_ask_proven(autonat, haul_stream_host(stream), haul_stream_connection(stream),
                            nonce)) {
        haul_counter_add(&autonat->counters.autonat_strays, 1);
        haul_stream_reset(stream);
        return bytes;
    }
    haul_autonat_back_write_response(&out);
    if (autonat_send(stream, answer, &out))
        haul_stream_close(stream);
    return bytes;
}

static void back_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void back_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct autonat_job *job = haul_stream_argument(stream);

    if (job == NULL)
        return;
    job->back_arrived |= end == HAUL_STREAM_DONE;
    autonat_job_back_closed(job);
}

static void identified(struct haul_host *host, void *service, uint64_t connection,
                       const struct haul_identified *told)
{
    const struct haul_autonat *autonat = service;

    if (autonat->conf.identified != NULL)
        autonat->conf.identified(autonat->conf.context, host, connection, told);
}

const struct haul_behaviour haul_autonat_back_behaviour = {
    .protocol = "/libp2p/autonat/2/dial-back",
    .state_bytes = sizeof(struct back),
    .inbound_per_peer_max = HAUL_AUTONAT_STREAMS_MAX,
    .idle_max = HAUL_AUTONAT_BACK_MAX,
    .identified = identified,
    .opened = back_opened,
    .input = back_input,
    .ended = back_ended,
    .closed = back_closed,
};
