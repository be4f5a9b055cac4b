/* The codec. Lists are walked where they lie: decoding walks them once to know that they are well
 * formed, so that whoever reads them later meets no fault. */
#include "controlplane/p2p/kad/message.h"

#include "controlplane/p2p/fields.h"

enum { MESSAGE_TYPE = 1, MESSAGE_KEY = 2, MESSAGE_RECORD = 3 };
enum { PEER_ID = 1, PEER_ADDRESS = 2, PEER_CONNECTION = 3 };
enum { RECORD_KEY = 1, RECORD_VALUE = 2, RECORD_TTL = 777 };

static bool record_decode(const uint8_t *data, size_t bytes, struct haul_kad_record *record)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_kad_record read = { 0 };
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (field.number == RECORD_KEY && field.is_bytes) {
            read.key = field.data;
            read.key_bytes = field.bytes;
        } else if (field.number == RECORD_VALUE && field.is_bytes) {
            read.value = field.data;
            read.value_bytes = field.bytes;
        } else if (field.number == RECORD_TTL && !field.is_bytes) {
            read.ttl_seconds = field.value > UINT32_MAX ? UINT32_MAX : (uint32_t)field.value;
        }
    }
    if (in.bad)
        return false;
    *record = read;
    return true;
}

static bool peer_decode(const uint8_t *data, size_t bytes, struct haul_kad_peer *peer)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_kad_peer read = { .data = data, .bytes = bytes };
    struct haul_field field;
    bool named = false;

    while (haul_field_next(&in, &field)) {
        if (field.number == PEER_ID && field.is_bytes) {
            named = haul_peer_id_decode(field.data, field.bytes, &read.id);
            if (!named)
                return false;
        } else if (field.number == PEER_CONNECTION && !field.is_bytes) {
            read.connection = field.value <= HAUL_KAD_CANNOT_CONNECT
                                  ? (enum haul_kad_connection)field.value
                                  : HAUL_KAD_NOT_CONNECTED;
        }
    }
    if (in.bad || !named)
        return false;
    *peer = read;
    return true;
}

static bool field_take(struct haul_kad_message *message, const struct haul_field *field)
{
    struct haul_kad_peer peer;

    if (field->number == MESSAGE_TYPE && !field->is_bytes) {
        if (field->value >= HAUL_KAD_TYPES)
            return false;
        message->type = (enum haul_kad_type)field->value;
    } else if (field->number == MESSAGE_KEY && field->is_bytes) {
        message->key = field->data;
        message->key_bytes = field->bytes;
    } else if (field->number == MESSAGE_RECORD && field->is_bytes) {
        message->has_record = true;
        return record_decode(field->data, field->bytes, &message->record);
    } else if ((field->number == HAUL_KAD_CLOSER || field->number == HAUL_KAD_PROVIDERS) &&
               field->is_bytes) {
        return peer_decode(field->data, field->bytes, &peer);
    }
    return true;
}

bool haul_kad_message_decode(const uint8_t *data, size_t bytes, struct haul_kad_message *message)
{
    struct haul_in in = haul_in_from(data, bytes);
    /* A type of 0 may be left out (proto3). */
    struct haul_kad_message read = { .type = HAUL_KAD_PUT_VALUE, .data = data, .bytes = bytes };
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (!field_take(&read, &field))
            return false;
    }
    if (in.bad)
        return false;
    *message = read;
    return true;
}

struct haul_kad_peers haul_kad_peers_of(const struct haul_kad_message *message,
                                        enum haul_kad_list list)
{
    return (struct haul_kad_peers){ .in = haul_in_from(message->data, message->bytes),
                                    .list = list };
}

bool haul_kad_peers_next(struct haul_kad_peers *peers, struct haul_kad_peer *peer)
{
    struct haul_field field;

    while (peers->read < HAUL_KAD_PEERS_READ_MAX && haul_field_next(&peers->in, &field)) {
        if (field.number != (uint32_t)peers->list || !field.is_bytes)
            continue;
        peers->read++;
        return peer_decode(field.data, field.bytes, peer);
    }
    return false;
}

size_t haul_kad_peer_addresses(const struct haul_kad_peer *peer, struct haul_multiaddr *addresses,
                               size_t capacity)
{
    struct haul_in in = haul_in_from(peer->data, peer->bytes);
    struct haul_field field;
    uint32_t read = 0;
    size_t count = 0;

    while (count < capacity && read < HAUL_KAD_ADDRESSES_READ_MAX && haul_field_next(&in, &field)) {
        struct haul_multiaddr *address = &addresses[count];
        struct haul_peer_id named;

        if (field.number != PEER_ADDRESS || !field.is_bytes)
            continue;
        read++;
        if (!haul_multiaddr_decode(field.data, field.bytes, address) || address->length == 0)
            continue;
        if (haul_multiaddr_peer(address, &named)) {
            /* Of a relayed address the last name is the peer's, or there is none of it: the relay's
             * own name is followed by more. */
            if (haul_peer_id_equal(&named, &peer->id))
                haul_multiaddr_strip_peer(address);
            else if (!haul_multiaddr_relayed(address))
                continue;
        }
        if (address->length > 0)
            count++;
    }
    return count;
}

void haul_kad_write(struct haul_out *out, enum haul_kad_type type, const void *key,
                    size_t key_bytes)
{
    haul_field_write_value(out, MESSAGE_TYPE, (uint64_t)type);
    if (key_bytes > 0)
        haul_field_write_bytes(out, MESSAGE_KEY, key, key_bytes);
}

void haul_kad_write_record(struct haul_out *out, const struct haul_kad_record *record)
{
    size_t bytes = haul_field_bytes(RECORD_KEY, record->key_bytes) +
                   haul_field_bytes(RECORD_VALUE, record->value_bytes);

    haul_out_uvarint(out, (uint64_t)MESSAGE_RECORD << 3 | 2);
    haul_out_uvarint(out, bytes);
    haul_field_write_bytes(out, RECORD_KEY, record->key, record->key_bytes);
    haul_field_write_bytes(out, RECORD_VALUE, record->value, record->value_bytes);
}

bool haul_kad_write_peer(struct haul_out *out, enum haul_kad_list list,
                         const struct haul_peer_id *id, const struct haul_multiaddr *addresses,
                         size_t count, enum haul_kad_connection connection)
{
    size_t bytes = haul_field_bytes(PEER_ID, id->length);

    for (size_t i = 0; i < count; i++)
        bytes += haul_field_bytes(PEER_ADDRESS, addresses[i].length);
    if (connection != HAUL_KAD_NOT_CONNECTED)
        bytes += 2;
    if (out->bad || haul_field_bytes((uint32_t)list, bytes) > haul_out_left(out))
        return false;
    haul_out_uvarint(out, (uint64_t)list << 3 | 2);
    haul_out_uvarint(out, bytes);
    haul_field_write_bytes(out, PEER_ID, id->bytes, id->length);
    for (size_t i = 0; i < count; i++)
        haul_field_write_bytes(out, PEER_ADDRESS, addresses[i].bytes, addresses[i].length);
    if (connection != HAUL_KAD_NOT_CONNECTED)
        haul_field_write_value(out, PEER_CONNECTION, (uint64_t)connection);
    return !out->bad;
}

uint8_t *haul_kad_frame(uint8_t *frame, size_t message_bytes)
{
    size_t length_bytes = haul_uvarint_bytes(message_bytes);
    struct haul_out out;

    haul_assert(length_bytes <= HAUL_KAD_LENGTH_BYTES_MAX);
    out = haul_out_to(frame + HAUL_KAD_LENGTH_BYTES_MAX - length_bytes, length_bytes);
    haul_out_uvarint(&out, message_bytes);
    haul_assert(!out.bad);
    return frame + HAUL_KAD_LENGTH_BYTES_MAX - length_bytes;
}
