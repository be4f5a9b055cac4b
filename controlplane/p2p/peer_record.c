#include "controlplane/p2p/peer_record.h"

#include "controlplane/p2p/fields.h"

enum {
    FIELD_PEER = 1,
    FIELD_SEQUENCE = 2,
    FIELD_ADDRESS = 3,
    FIELD_ADDRESS_MULTIADDR = 1,
};

/* The type is these two bytes, not a varint; RFC 0003 still prints older values. */
static const struct haul_envelope_kind kind = { .domain = "libp2p-peer-record",
                                                .payload_type = { 0x03, 0x01 } };

/* One AddressInfo; false when it is malformed. */
static bool address_read(const struct haul_field *info, struct haul_peer_record *record)
{
    struct haul_in in = haul_in_from(info->data, info->bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (field.number == FIELD_ADDRESS_MULTIADDR && field.is_bytes &&
            record->address_count < HAUL_PEER_RECORD_ADDRESSES_MAX)
            record->address_count += haul_multiaddr_decode(
                field.data, field.bytes, &record->addresses[record->address_count]);
    }
    return !in.bad;
}

bool haul_peer_record_open(const uint8_t *data, size_t bytes, struct haul_peer_record *record)
{
    struct haul_envelope envelope;
    struct haul_field field;
    struct haul_in in;
    bool named = false;

    if (!haul_envelope_open(data, bytes, &kind, &envelope))
        return false;
    in = haul_in_from(envelope.payload, envelope.payload_bytes);
    record->peer = envelope.signer;
    record->sequence = 0;
    record->address_count = 0;
    while (haul_field_next(&in, &field)) {
        if (field.number == FIELD_PEER && field.is_bytes) {
            named = field.bytes == envelope.signer.length &&
                    memcmp(field.data, envelope.signer.bytes, field.bytes) == 0;
            if (!named)
                return false;
        } else if (field.number == FIELD_SEQUENCE && !field.is_bytes) {
            record->sequence = field.value;
        } else if (field.number == FIELD_ADDRESS && field.is_bytes &&
                   !address_read(&field, record)) {
            return false;
        }
    }
    return named && !in.bad;
}

void haul_peer_record_seal(const struct haul_key *key, uint64_t sequence,
                           const struct haul_multiaddr *addresses, size_t count,
                           struct haul_out *out)
{
    uint8_t payload[HAUL_ENVELOPE_PAYLOAD_MAX];
    struct haul_out writer = haul_out_to(payload, sizeof payload);

    haul_field_write_bytes(&writer, FIELD_PEER, key->id.bytes, key->id.length);
    haul_field_write_value(&writer, FIELD_SEQUENCE, sequence);
    for (size_t i = 0; i < count; i++) {
        uint8_t info[HAUL_MULTIADDR_BYTES_MAX + 4];
        struct haul_out inner = haul_out_to(info, sizeof info);

        haul_field_write_bytes(&inner, FIELD_ADDRESS_MULTIADDR, addresses[i].bytes,
                               addresses[i].length);
        haul_assert(!inner.bad);
        haul_field_write_bytes(&writer, FIELD_ADDRESS, info, (size_t)(inner.at - info));
    }
    if (writer.bad)
        out->bad = true;
    else
        haul_envelope_seal(key, &kind, payload, (size_t)(writer.at - payload), out);
}
