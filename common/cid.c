/* CIDs: https://github.com/multiformats/cid. Both codecs and both hash kinds fit one varint byte,
 * so a binary CIDv1 of ours is always 36 bytes. */
#include "common/cid.h"

#include "common/multibase.h"

#define CID_TEXT_MAX 128u
#define CID_V0_TEXT  46u /* "Qm" and 44 more digits of base58 */

static bool codec_known(uint64_t codec)
{
    return codec == HAUL_CODEC_RAW || codec == HAUL_CODEC_DAG_PB;
}

bool haul_cid_decode(const uint8_t *data, size_t bytes, struct haul_cid *cid)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_cid found = { 0 };
    uint64_t codec = HAUL_CODEC_DAG_PB;

    if (bytes != HAUL_HASH_BYTES || data[0] != HAUL_HASH_SHA2_256) {
        if (haul_in_uvarint(&in) != 1)
            return false;
        codec = haul_in_uvarint(&in);
    }
    haul_in_copy(&in, found.hash.bytes, HAUL_HASH_BYTES);
    if (!haul_in_done(&in) || !codec_known(codec) || !haul_hash_valid(&found.hash))
        return false;
    found.codec = (uint8_t)codec;
    *cid = found;
    return true;
}

void haul_cid_encode(struct haul_out *out, const struct haul_cid *cid)
{
    haul_out_uvarint(out, 1);
    haul_out_uvarint(out, cid->codec);
    haul_out_bytes(out, cid->hash.bytes, HAUL_HASH_BYTES);
}

bool haul_cid_parse(const char *text, struct haul_cid *cid)
{
    uint8_t data[HAUL_CID_BYTES];
    size_t length = strnlen(text, CID_TEXT_MAX + 1);
    ptrdiff_t bytes;

    if (length > CID_TEXT_MAX)
        return false;
    if (length == CID_V0_TEXT && text[0] == 'Q' && text[1] == 'm')
        bytes = haul_base58_decode(text, data, sizeof data);
    else
        bytes = haul_multibase_decode(text, data, sizeof data);
    if (bytes < 0)
        return false;
    /* A bare multihash has no multibase prefix, and what has one is not a CIDv0. */
    if ((bytes == HAUL_HASH_BYTES) != (text[0] == 'Q'))
        return false;
    return haul_cid_decode(data, (size_t)bytes, cid);
}

void haul_cid_print(const struct haul_cid *cid, char text[HAUL_CID_TEXT_BYTES])
{
    uint8_t data[HAUL_CID_BYTES];
    struct haul_out out = haul_out_to(data, sizeof data);
    ptrdiff_t length;

    haul_cid_encode(&out, cid);
    haul_assert(!out.bad);
    length = haul_multibase_encode('b', data, (size_t)(out.at - data), text, HAUL_CID_TEXT_BYTES);
    haul_assert(length > 0);
}

bool haul_cid_equal(const struct haul_cid *a, const struct haul_cid *b)
{
    return a->codec == b->codec && haul_hash_equal(&a->hash, &b->hash);
}
