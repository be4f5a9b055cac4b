#include "controlplane/p2p/fields.h"

#define WIRE_VARINT      0u
#define WIRE_FIXED64     1u
#define WIRE_BYTES       2u
#define WIRE_FIXED32     5u
#define VARINT_BYTES_MAX 10u
#define NUMBER_MAX       ((1u << 29) - 1)

/* A protobuf varint: up to ten bytes, padding tolerated, unlike haul_in_uvarint. */
static uint64_t read_varint(struct haul_in *in)
{
    uint64_t value = 0;

    for (size_t i = 0; i < VARINT_BYTES_MAX; i++) {
        const uint8_t *byte = haul_in_bytes(in, 1);

        if (byte == NULL)
            return 0;
        value |= (uint64_t)(*byte & 0x7f) << (7 * i);
        if ((*byte & 0x80) == 0)
            return value;
    }
    in->bad = true;
    return 0;
}

bool haul_field_next(struct haul_in *in, struct haul_field *field)
{
    struct haul_field read = { 0 };
    uint64_t tag;

    if (in->bad || haul_in_left(in) == 0)
        return false;
    tag = read_varint(in);
    if (tag >> 3 == 0 || tag >> 3 > NUMBER_MAX)
        in->bad = true;
    read.number = (uint32_t)(tag >> 3);
    if ((tag & 7) == WIRE_VARINT) {
        read.value = read_varint(in);
    } else if ((tag & 7) == WIRE_FIXED64) {
        read.value = haul_in_le(in, 8);
    } else if ((tag & 7) == WIRE_FIXED32) {
        read.value = haul_in_le(in, 4);
    } else if ((tag & 7) == WIRE_BYTES) {
        uint64_t bytes = read_varint(in);

        read.is_bytes = true;
        read.bytes = bytes > haul_in_left(in) ? SIZE_MAX : (size_t)bytes;
        read.data = haul_in_bytes(in, read.bytes);
    } else {
        in->bad = true;
    }
    if (in->bad)
        return false;
    *field = read;
    return true;
}

static void write_varint(struct haul_out *out, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    size_t count = 0;

    do {
        bytes[count] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        count++;
    } while (value != 0);
    haul_out_bytes(out, bytes, count);
}

void haul_field_write_bytes(struct haul_out *out, uint32_t number, const void *data, size_t bytes)
{
    write_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
    write_varint(out, bytes);
    haul_out_bytes(out, data, bytes);
}

void haul_field_write_value(struct haul_out *out, uint32_t number, uint64_t value)
{
    write_varint(out, (uint64_t)number << 3 | WIRE_VARINT);
    write_varint(out, value);
}

void haul_field_write_fixed64(struct haul_out *out, uint32_t number, uint64_t value)
{
    write_varint(out, (uint64_t)number << 3 | WIRE_FIXED64);
    haul_out_le(out, value, 8);
}

size_t haul_field_bytes(uint32_t number, size_t bytes)
{
    return haul_uvarint_bytes((uint64_t)number << 3) + haul_uvarint_bytes(bytes) + bytes;
}
