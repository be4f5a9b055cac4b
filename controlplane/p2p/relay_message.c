#include "controlplane/p2p/relay_message.h"

#include "controlplane/p2p/fields.h"

enum { HOP_TYPE = 1, HOP_PEER = 2, HOP_RESERVATION = 3, HOP_LIMIT = 4, HOP_STATUS = 5 };
enum { STOP_TYPE = 1, STOP_PEER = 2, STOP_LIMIT = 3, STOP_STATUS = 4 };
enum { PEER_ID = 1 };
enum { RESERVATION_EXPIRE = 1, RESERVATION_ADDRESS = 2, RESERVATION_VOUCHER = 3 };
enum { LIMIT_DURATION = 1, LIMIT_DATA = 2 };
enum { VOUCHER_RELAY = 1, VOUCHER_PEER = 2, VOUCHER_EXPIRATION = 3 };

#define STATUS_NUMBERS(X)                                                                          \
    X(HAUL_RELAY_UNUSED, "no status")                                                              \
    X(HAUL_RELAY_OK, "ok")                                                                         \
    X(HAUL_RELAY_RESERVATION_REFUSED, "reservation refused")                                       \
    X(HAUL_RELAY_RESOURCE_LIMIT, "a limit of the relay was reached")                               \
    X(HAUL_RELAY_PERMISSION_DENIED, "permission denied")                                           \
    X(HAUL_RELAY_CONNECTION_FAILED, "the relay could not reach the peer")                          \
    X(HAUL_RELAY_NO_RESERVATION, "the peer has no place at the relay")                             \
    X(HAUL_RELAY_MALFORMED, "malformed message")                                                   \
    X(HAUL_RELAY_UNEXPECTED, "unexpected message")

const char *haul_relay_status_name(enum haul_relay_status status)
{
    switch (status) {
#define X(number, name)                                                                            \
    case number:                                                                                   \
        return name;
        STATUS_NUMBERS(X)
#undef X
    }
    return "unknown status";
}

static enum haul_relay_status status_of(uint64_t value)
{
    static const enum haul_relay_status known[] = {
#define X(number, name) number,
        STATUS_NUMBERS(X)
#undef X
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(known); i++) {
        if (value == (uint64_t)known[i])
            return known[i];
    }
    return HAUL_RELAY_UNUSED;
}

/* --- reading --- */

static bool peer_read(const struct haul_field *from, struct haul_relay_message *message)
{
    struct haul_in in = haul_in_from(from->data, from->bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (field.number == PEER_ID && field.is_bytes)
            message->has_peer = haul_peer_id_decode(field.data, field.bytes, &message->peer);
    }
    return !in.bad && message->has_peer;
}

static bool limit_read(const struct haul_field *from, struct haul_relay_message *message)
{
    struct haul_in in = haul_in_from(from->data, from->bytes);
    struct haul_field field;

    message->has_limit = true;
    while (haul_field_next(&in, &field)) {
        if (field.number == LIMIT_DURATION && !field.is_bytes)
            message->limit.seconds = field.value > UINT32_MAX ? UINT32_MAX : (uint32_t)field.value;
        else if (field.number == LIMIT_DATA && !field.is_bytes)
            message->limit.bytes = field.value;
    }
    return !in.bad;
}

static bool reservation_read(const struct haul_field *from, struct haul_relay_message *message)
{
    struct haul_in in = haul_in_from(from->data, from->bytes);
    struct haul_field field;

    message->has_reservation = true;
    while (haul_field_next(&in, &field)) {
        if (field.number == RESERVATION_EXPIRE && !field.is_bytes) {
            message->expires = field.value;
        } else if (field.number == RESERVATION_ADDRESS && field.is_bytes) {
            if (message->address_count < HAUL_RELAY_ADDRESSES_MAX)
                message->address_count += haul_multiaddr_decode(
                    field.data, field.bytes, &message->addresses[message->address_count]);
        } else if (field.number == RESERVATION_VOUCHER && field.is_bytes) {
            message->voucher = field.data;
            message->voucher_bytes = field.bytes;
        }
    }
    return !in.bad;
}

/* Types of the stop protocol have no RESERVE: they begin with CONNECT. */
static bool kind_read(uint64_t value, bool stop, struct haul_relay_message *message)
{
    if (value > (stop ? 1u : 2u))
        return false;
    message->kind = (enum haul_relay_kind)(value + (stop ? 1 : 0));
    return true;
}

bool haul_relay_decode(const uint8_t *data, size_t bytes, bool stop,
                       struct haul_relay_message *message)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field;
    bool typed = false;

    memset(message, 0, sizeof *message);
    while (haul_field_next(&in, &field)) {
        uint32_t number = field.number;
        bool good = true;

        if (number == HOP_TYPE && !field.is_bytes)
            good = typed = kind_read(field.value, stop, message);
        else if (number == HOP_PEER && field.is_bytes)
            good = peer_read(&field, message);
        else if (number == HOP_RESERVATION && field.is_bytes && !stop)
            good = reservation_read(&field, message);
        else if (number == (stop ? STOP_LIMIT : HOP_LIMIT) && field.is_bytes)
            good = limit_read(&field, message);
        else if (number == (stop ? STOP_STATUS : HOP_STATUS) && !field.is_bytes)
            message->status = status_of(field.value);
        if (!good)
            return false;
    }
    return !in.bad && typed;
}

/* --- writing --- */

static void peer_write(const struct haul_relay_message *message, struct haul_out *out)
{
    uint8_t body[HAUL_PEER_ID_BYTES_MAX + 8];
    struct haul_out inner = haul_out_to(body, sizeof body);

    haul_field_write_bytes(&inner, PEER_ID, message->peer.bytes, message->peer.length);
    haul_field_write_bytes(out, HOP_PEER, body, (size_t)(inner.at - body));
}

static void limit_write(const struct haul_relay_message *message, bool stop, struct haul_out *out)
{
    uint8_t body[32];
    struct haul_out inner = haul_out_to(body, sizeof body);

    if (message->limit.seconds != 0)
        haul_field_write_value(&inner, LIMIT_DURATION, message->limit.seconds);
    if (message->limit.bytes != 0)
        haul_field_write_value(&inner, LIMIT_DATA, message->limit.bytes);
    haul_field_write_bytes(out, stop ? STOP_LIMIT : HOP_LIMIT, body, (size_t)(inner.at - body));
}

static void reservation_write(const struct haul_relay_message *message, struct haul_out *out)
{
    uint8_t body[HAUL_RELAY_MESSAGE_MAX];
    struct haul_out inner = haul_out_to(body, sizeof body);

    haul_field_write_value(&inner, RESERVATION_EXPIRE, message->expires);
    for (size_t i = 0; i < message->address_count; i++)
        haul_field_write_bytes(&inner, RESERVATION_ADDRESS, message->addresses[i].bytes,
                               message->addresses[i].length);
    if (message->voucher != NULL)
        haul_field_write_bytes(&inner, RESERVATION_VOUCHER, message->voucher,
                               message->voucher_bytes);
    out->bad |= inner.bad;
    haul_field_write_bytes(out, HOP_RESERVATION, body, (size_t)(inner.at - body));
}

void haul_relay_encode(const struct haul_relay_message *message, bool stop, struct haul_out *out)
{
    haul_assert(!stop || message->kind != HAUL_RELAY_RESERVE);
    /* The type is written also when it is 0: the peers' own messages require it. */
    haul_field_write_value(out, HOP_TYPE, (uint64_t)message->kind - (stop ? 1 : 0));
    if (message->has_peer)
        peer_write(message, out);
    if (message->has_reservation && !stop)
        reservation_write(message, out);
    if (message->has_limit)
        limit_write(message, stop, out);
    if (message->kind == HAUL_RELAY_STATUS)
        haul_field_write_value(out, stop ? STOP_STATUS : HOP_STATUS, (uint64_t)message->status);
}

/* --- the voucher --- */

static const struct haul_envelope_kind voucher_kind = { .domain = "libp2p-relay-rsvp",
                                                        .payload_type = { 0x03, 0x02 } };

void haul_relay_voucher_seal(const struct haul_key *key, const struct haul_relay_voucher *voucher,
                             struct haul_out *out)
{
    uint8_t body[2 * (HAUL_PEER_ID_BYTES_MAX + 8) + 16];
    struct haul_out inner = haul_out_to(body, sizeof body);

    haul_field_write_bytes(&inner, VOUCHER_RELAY, voucher->relay.bytes, voucher->relay.length);
    haul_field_write_bytes(&inner, VOUCHER_PEER, voucher->peer.bytes, voucher->peer.length);
    haul_field_write_value(&inner, VOUCHER_EXPIRATION, voucher->expires);
    haul_assert(!inner.bad);
    haul_envelope_seal(key, &voucher_kind, body, (size_t)(inner.at - body), out);
}

bool haul_relay_voucher_open(const uint8_t *data, size_t bytes, struct haul_relay_voucher *voucher)
{
    struct haul_relay_voucher read = { 0 };
    struct haul_envelope envelope;
    bool relay = false, peer = false;
    struct haul_field field;
    struct haul_in in;

    if (!haul_envelope_open(data, bytes, &voucher_kind, &envelope))
        return false;
    in = haul_in_from(envelope.payload, envelope.payload_bytes);
    while (haul_field_next(&in, &field)) {
        if (field.number == VOUCHER_RELAY && field.is_bytes)
            relay = haul_peer_id_decode(field.data, field.bytes, &read.relay);
        else if (field.number == VOUCHER_PEER && field.is_bytes)
            peer = haul_peer_id_decode(field.data, field.bytes, &read.peer);
        else if (field.number == VOUCHER_EXPIRATION && !field.is_bytes)
            read.expires = field.value;
    }
    if (in.bad || !relay || !peer || !haul_peer_id_equal(&read.relay, &envelope.signer))
        return false;
    *voucher = read;
    return true;
}
