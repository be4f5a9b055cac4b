/* Peer ids: the multihash of a serialized libp2p public key (libp2p specs, peer-ids). */
#pragma once

#include "common/base.h"

#define HAUL_PEER_ID_BYTES_MAX  42u
#define HAUL_PEER_ID_TEXT_BYTES 80u

struct haul_peer_id {
    uint8_t length;
    uint8_t bytes[HAUL_PEER_ID_BYTES_MAX]; /* binary multihash; unused bytes are zero */
};

/* Binary form; refuses what is not an identity or sha2-256 multihash of a legal length. */
HAUL_MUST_USE bool haul_peer_id_decode(const uint8_t *data, size_t bytes, struct haul_peer_id *id);

/* Both text forms: base58btc ("12D3KooW...", "Qm...") and a CIDv1 of codec libp2p-key ("bafz...").
 */
HAUL_MUST_USE bool haul_peer_id_parse(const char *text, struct haul_peer_id *id);
void haul_peer_id_print(const struct haul_peer_id *id, char text[HAUL_PEER_ID_TEXT_BYTES]);
void haul_peer_id_print_cid(const struct haul_peer_id *id, char text[HAUL_PEER_ID_TEXT_BYTES]);

bool haul_peer_id_equal(const struct haul_peer_id *a, const struct haul_peer_id *b);
