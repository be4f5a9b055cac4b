#include "controlplane/p2p/dcutr_message.h"

#include "controlplane/p2p/fields.h"

enum { FIELD_TYPE = 1, FIELD_ADDRESS = 2 };

bool haul_dcutr_decode(const uint8_t *data, size_t bytes, struct haul_dcutr_message *message)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field;
    bool typed = false;

    message->address_count = 0;
    while (haul_field_next(&in, &field)) {
        if (field.number == FIELD_TYPE && !field.is_bytes) {
            typed = field.value == HAUL_DCUTR_CONNECT || field.value == HAUL_DCUTR_SYNC;
            if (!typed)
                return false;
            message->kind = (enum haul_dcutr_kind)field.value;
        } else if (field.number == FIELD_ADDRESS && field.is_bytes &&
                   message->address_count < HAUL_DCUTR_ADDRESSES_MAX) {
            struct haul_multiaddr *address = &message->addresses[message->address_count];

            message->address_count += haul_multiaddr_decode(field.data, field.bytes, address) &&
                                      address->length > 0 && !haul_multiaddr_relayed(address);
        }
    }
    return !in.bad && typed;
}

void haul_dcutr_encode(const struct haul_dcutr_message *message, struct haul_out *out)
{
    haul_field_write_value(out, FIELD_TYPE, (uint64_t)message->kind);
    for (size_t i = 0; i < message->address_count; i++)
        haul_field_write_bytes(out, FIELD_ADDRESS, message->addresses[i].bytes,
                               message->addresses[i].length);
}
