#include "controlplane/p2p/der.h"

struct haul_in haul_der_read(struct haul_in *in, enum haul_der_tag tag)
{
    size_t bytes;
    const uint8_t *at;

    if (haul_in_be(in, 1) != tag)
        in->bad = true;
    bytes = haul_in_be(in, 1);
    if (bytes == 0x81) {
        bytes = haul_in_be(in, 1);
        in->bad |= bytes < 0x80;
    } else if (bytes == 0x82) {
        bytes = haul_in_be(in, 2);
        in->bad |= bytes < 0x100;
    } else if (bytes >= 0x80) {
        in->bad = true;
    }
    at = haul_in_bytes(in, bytes);
    return at == NULL ? (struct haul_in){ .bad = true } : haul_in_from(at, bytes);
}
