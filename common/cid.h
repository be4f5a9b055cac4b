/* Content identifiers (CIDv1, and CIDv0 on input): a codec and a multihash. Text is multibase. */
#pragma once

#include "common/bytes.h"
#include "common/hash.h"

#define HAUL_CODEC_RAW        0x55u
#define HAUL_CODEC_DAG_PB     0x70u
#define HAUL_CODEC_LIBP2P_KEY 0x72u

#define HAUL_CID_BYTES      36u /* 01, codec (one varint byte for both of ours), multihash */
#define HAUL_CID_TEXT_BYTES 64u /* base32 text with its end mark, rounded up */

struct haul_cid {
    uint8_t codec; /* HAUL_CODEC_RAW or HAUL_CODEC_DAG_PB */
    struct haul_hash hash;
};

/* Binary CIDv1, or a bare sha2-256 multihash (CIDv0, dag-pb). Refuses other versions, codecs,
 * hash kinds and trailing bytes. */
HAUL_MUST_USE bool haul_cid_decode(const uint8_t *data, size_t bytes, struct haul_cid *cid);
void haul_cid_encode(struct haul_out *out, const struct haul_cid *cid);

/* Text in base32 (b, any case of B), base58btc (z), base16 (f), base36 (k), base64url (u), or
 * "Qm...". Prints base32. At most 128 characters are looked at. */
HAUL_MUST_USE bool haul_cid_parse(const char *text, struct haul_cid *cid);
void haul_cid_print(const struct haul_cid *cid, char text[HAUL_CID_TEXT_BYTES]);

bool haul_cid_equal(const struct haul_cid *a, const struct haul_cid *b);
