#include "controlplane/p2p/peerid.h"

#include "common/cid.h"
#include "common/multibase.h"

#define IDENTITY         0x00u
#define SHA2_256         0x12u
#define SHA2_256_BYTES   34u
#define CID_PREFIX_BYTES 2u /* version 1, codec libp2p-key: one varint byte each */

bool haul_peer_id_decode(const uint8_t *data, size_t bytes, struct haul_peer_id *id)
{
    if (bytes < 3 || bytes > HAUL_PEER_ID_BYTES_MAX || data[1] != bytes - 2)
        return false;
    if (data[0] != IDENTITY && (data[0] != SHA2_256 || bytes != SHA2_256_BYTES))
        return false;
    memset(id, 0, sizeof *id);
    memcpy(id->bytes, data, bytes);
    id->length = (uint8_t)bytes;
    return true;
}

bool haul_peer_id_parse(const char *text, struct haul_peer_id *id)
{
    uint8_t data[CID_PREFIX_BYTES + HAUL_PEER_ID_BYTES_MAX];
    ptrdiff_t bytes;

    if (text[0] == '1' || (text[0] == 'Q' && text[1] == 'm')) {
        bytes = haul_base58_decode(text, data, sizeof data);
        return bytes > 0 && haul_peer_id_decode(data, (size_t)bytes, id);
    }
    bytes = haul_multibase_decode(text, data, sizeof data);
    if (bytes < (ptrdiff_t)CID_PREFIX_BYTES || data[0] != 1 || data[1] != HAUL_CODEC_LIBP2P_KEY)
        return false;
    return haul_peer_id_decode(data + CID_PREFIX_BYTES, (size_t)bytes - CID_PREFIX_BYTES, id);
}

void haul_peer_id_print(const struct haul_peer_id *id, char text[HAUL_PEER_ID_TEXT_BYTES])
{
    haul_assert(haul_base58_encode(id->bytes, id->length, text, HAUL_PEER_ID_TEXT_BYTES) >= 0);
}

void haul_peer_id_print_cid(const struct haul_peer_id *id, char text[HAUL_PEER_ID_TEXT_BYTES])
{
    uint8_t data[CID_PREFIX_BYTES + HAUL_PEER_ID_BYTES_MAX] = { 1, HAUL_CODEC_LIBP2P_KEY };

    memcpy(data + CID_PREFIX_BYTES, id->bytes, id->length);
    haul_assert(haul_multibase_encode('b', data, CID_PREFIX_BYTES + id->length, text,
                                      HAUL_PEER_ID_TEXT_BYTES) >= 0);
}

bool haul_peer_id_equal(const struct haul_peer_id *a, const struct haul_peer_id *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}
