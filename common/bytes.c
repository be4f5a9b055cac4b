/* Varints of the byte cursors; everything else is inline in the header. */
#include "common/bytes.h"

#define UVARINT_BYTES_MAX 9u

uint64_t haul_in_uvarint(struct haul_in *in)
{
    uint64_t value = 0;

    for (size_t i = 0; i < UVARINT_BYTES_MAX; i++) {
        const uint8_t *byte = haul_in_bytes(in, 1);

        if (byte == NULL)
            return 0;
        value |= (uint64_t)(*byte & 0x7f) << (7 * i);
        if ((*byte & 0x80) == 0) {
            if (*byte == 0 && i > 0) /* a padded form: two spellings of one number */
                in->bad = true;
            return in->bad ? 0 : value;
        }
    }
    in->bad = true;
    return 0;
}

void haul_out_uvarint(struct haul_out *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;

    haul_assert(value >> 63 == 0);
    do {
        bytes[count] = (uint8_t)(value & 0x7f);
        value >>= 7;
        if (value != 0)
            bytes[count] |= 0x80;
        count++;
    } while (value != 0);
    haul_out_bytes(out, bytes, count);
}

size_t haul_uvarint_bytes(uint64_t value)
{
    size_t count = 1;

    while (value >>= 7)
        count++;
    return count;
}
