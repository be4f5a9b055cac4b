#include "controlplane/behaviours/identify.h"

#include "common/bytes.h"
#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/inbox.h"
#include "controlplane/p2p/peer_record.h"

#include <time.h>

enum {
    FIELD_PUBLIC_KEY = 1,
    FIELD_LISTEN = 2,
    FIELD_PROTOCOL = 3,
    FIELD_OBSERVED = 4,
    FIELD_VERSION = 5,
    FIELD_AGENT = 6,
    FIELD_RECORD = 8,
};

#define VERSION "ipfs/0.1.0"

/* What is being read: message after message. */
struct reading {
    struct haul_inbox inbox;
    uint32_t messages;
    uint8_t message[HAUL_IDENTIFY_MESSAGE_MAX];
};

static void listen_add(struct haul_identify *found, const struct haul_field *field)
{
    if (found->address_count < HAUL_IDENTIFY_ADDRESSES_MAX)
        found->address_count += haul_multiaddr_decode(field->data, field->bytes,
                                                      &found->addresses[found->address_count]);
}

static void protocol_add(struct haul_identify *found, const struct haul_field *field)
{
    if (found->protocol_count == HAUL_IDENTIFY_PROTOCOLS_MAX)
        return;
    found->protocols[found->protocol_count].name = (const char *)field->data;
    found->protocols[found->protocol_count++].bytes = field->bytes;
}

bool haul_identify_decode(const uint8_t *data, size_t bytes, struct haul_identify *found)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_multiaddr address;
    struct haul_field field;

    memset(found, 0, sizeof *found);

    while (haul_field_next(&in, &field)) {
        if (!field.is_bytes)
            continue;
        if (field.number == FIELD_PUBLIC_KEY) {
            found->public_key = field.data;
            found->public_key_bytes = field.bytes;
        } else if (field.number == FIELD_AGENT) {
            found->agent = (const char *)field.data;
            found->agent_bytes = field.bytes;
        } else if (field.number == FIELD_OBSERVED) {
            found->observed_known = haul_multiaddr_decode(field.data, field.bytes, &address) &&
                                    haul_multiaddr_tcp(&address, &found->observed);
        } else if (field.number == FIELD_RECORD) {
            found->record = field.data;
            found->record_bytes = field.bytes;
        } else if (field.number == FIELD_LISTEN) {
            listen_add(found, &field);
        } else if (field.number == FIELD_PROTOCOL) {
            protocol_add(found, &field);
        }
    }
    return !in.bad;
}

/* --- telling --- */

/* Our signed record, where there is room for it; later ones have higher numbers, also after a
 * restart. */
static void record_write(struct haul_host *host, const struct haul_multiaddr *addresses,
                         size_t count, struct haul_out *message)
{
    uint8_t record[HAUL_IDENTIFY_SENT_MAX];
    struct haul_out out = haul_out_to(record, sizeof record);
    struct timespec now;
    size_t bytes;

    clock_gettime(CLOCK_REALTIME, &now);
    haul_peer_record_seal(haul_host_key(host),
                          (uint64_t)now.tv_sec * HAUL_SECOND + (uint64_t)now.tv_nsec, addresses,
                          count, &out);
    bytes = (size_t)(out.at - record);
    if (!out.bad && haul_field_bytes(FIELD_RECORD, bytes) <= haul_out_left(message))
        haul_field_write_bytes(message, FIELD_RECORD, record, bytes);
}

/* Our message with its length; as many protocols as keep it within what everybody reads. */
static size_t message_write(struct haul_stream *stream, uint8_t *data, size_t capacity)
{
    struct haul_host *host = haul_stream_host(stream);
    struct haul_multiaddr addresses[HAUL_HOST_ADDRESSES_MAX];
    size_t address_count = haul_host_told(host, addresses, HAUL_COUNT_OF(addresses));
    struct haul_connection_facts facts;
    uint8_t key[HAUL_KEY_PUBLIC_BYTES];
    uint8_t body[HAUL_IDENTIFY_SENT_MAX];
    struct haul_out out = haul_out_to(body, sizeof body - 2);
    struct haul_out framed = haul_out_to(data, capacity);
    const char *name;

    haul_key_public(haul_host_key(host), key);
    haul_field_write_bytes(&out, FIELD_PUBLIC_KEY, key, sizeof key);
    if (haul_host_facts(host, haul_stream_connection(stream), &facts)) {
        struct haul_multiaddr observed;

        haul_multiaddr_from_tcp(&observed, &facts.remote);
        haul_field_write_bytes(&out, FIELD_OBSERVED, observed.bytes, observed.length);
    }
    haul_field_write_bytes(&out, FIELD_VERSION, VERSION, strlen(VERSION));
    haul_field_write_bytes(&out, FIELD_AGENT, haul_host_agent(host), strlen(haul_host_agent(host)));
    for (size_t i = 0; i < address_count; i++)
        haul_field_write_bytes(&out, FIELD_LISTEN, addresses[i].bytes, addresses[i].length);
    for (size_t i = 0; (name = haul_host_protocol(host, i)) != NULL; i++) {
        if (haul_field_bytes(FIELD_PROTOCOL, strlen(name)) <= haul_out_left(&out))
            haul_field_write_bytes(&out, FIELD_PROTOCOL, name, strlen(name));
    }
    record_write(host, addresses, address_count, &out);
    haul_assert(!out.bad);
    haul_out_uvarint(&framed, (uint64_t)(out.at - body));
    haul_out_bytes(&framed, body, (size_t)(out.at - body));
    haul_assert(!framed.bad);
    return (size_t)(framed.at - data);
}

static void tell(struct haul_stream *stream)
{
    uint8_t data[HAUL_IDENTIFY_SENT_MAX + 4];
    size_t bytes = message_write(stream, data, sizeof data);

    if (haul_stream_send(stream, data, bytes))
        haul_stream_close(stream);
    else
        haul_stream_reset(stream); /* a connection so full at its start is not worth waiting for */
}

/* --- learning --- */

/* Takes one message over; false when it is malformed or speaks for somebody else. A record that is
 * forged or another's is passed over: what the message says beside it is as good. */
static bool learn(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_host *host = haul_stream_host(stream);
    struct haul_identified told = { 0 };
    struct haul_peer_record record;
    struct haul_identify identify;
    struct haul_peer_id claimed;

    if (!haul_identify_decode(data, bytes, &identify))
        return false;
    if (identify.public_key != NULL &&
        (!haul_key_peer_id(identify.public_key, identify.public_key_bytes, &claimed) ||
         !haul_peer_id_equal(&claimed, haul_stream_peer(stream))))
        return false;
    told.agent = identify.agent;
    told.agent_bytes = identify.agent_bytes;
    told.observed = identify.observed_known ? &identify.observed : NULL;
    told.addresses = identify.addresses;
    told.address_count = identify.address_count;
    if (identify.record != NULL &&
        haul_peer_record_open(identify.record, identify.record_bytes, &record) &&
        haul_peer_id_equal(&record.peer, haul_stream_peer(stream))) {
        told.record = identify.record;
        told.record_bytes = identify.record_bytes;
        told.addresses = record.addresses;
        told.address_count = record.address_count;
    }
    for (size_t i = 0; i < identify.protocol_count; i++)
        told.speaks |=
            haul_host_protocol_bit(host, identify.protocols[i].name, identify.protocols[i].bytes);
    haul_host_identified(host, haul_stream_connection(stream), &told);
    return true;
}

static void opened_to_read(struct haul_stream *stream)
{
    struct reading *reading = haul_stream_state(stream);

    haul_inbox_init(&reading->inbox, reading->message, sizeof reading->message);
}

static size_t identify_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct reading *reading = haul_stream_state(stream);
    struct haul_in in = haul_in_from(data, bytes);
    enum haul_inbox_result result;

    while ((result = haul_inbox_take(&reading->inbox, &in)) != HAUL_INBOX_PART) {
        if (result == HAUL_INBOX_BAD || reading->messages++ == HAUL_IDENTIFY_MESSAGES_MAX ||
            !learn(stream, reading->inbox.bytes, reading->inbox.length)) {
            haul_stream_reset(stream);
            break;
        }
    }
    return bytes;
}

/* --- the two protocols --- */

static void identify_connected(struct haul_host *host, void *service, uint64_t connection)
{
    (void)service;
    (void)haul_host_stream(host, connection, &haul_identify_behaviour, NULL);
}

static void identify_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    if (haul_stream_inbound(stream))
        tell(stream);
    else
        opened_to_read(stream);
}

static void push_opened(struct haul_stream *stream, void *argument)
{
    (void)argument;
    if (haul_stream_inbound(stream))
        opened_to_read(stream);
    else
        tell(stream);
}

static void identify_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

const struct haul_behaviour haul_identify_behaviour = {
    .protocol = "/ipfs/id/1.0.0",
    .state_bytes = sizeof(struct reading),
    .inbound_per_peer_max = 16,
    .idle_max = 10 * HAUL_SECOND,
    .connected = identify_connected,
    .opened = identify_opened,
    .input = identify_input,
    .ended = identify_ended,
};

const struct haul_behaviour haul_identify_push_behaviour = {
    .protocol = "/ipfs/id/push/1.0.0",
    .state_bytes = sizeof(struct reading),
    .inbound_per_peer_max = 4,
    .idle_max = 10 * HAUL_SECOND,
    .opened = push_opened,
    .input = identify_input,
    .ended = identify_ended,
};

void haul_identify_push(struct haul_host *host)
{
    uint64_t connection = HAUL_HOST_NO_CONNECTION;

    while ((connection = haul_host_next(host, connection)) != HAUL_HOST_NO_CONNECTION)
        (void)haul_host_stream(host, connection, &haul_identify_push_behaviour, NULL);
}
