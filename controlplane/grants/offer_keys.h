/* The keys of a flow (docs/WIRE.md, "Key derivation"): X25519 between a fresh key of each side,
 * HKDF over the secret and a hash of everything that was said, and a signature of that hash by each
 * identity, so that any stream can carry an offer. Pure; random bytes come from the caller. */
#pragma once

#include "common/handoff.h"
#include "controlplane/p2p/kex.h"
#include "controlplane/p2p/key.h"

struct haul_offer_transcript {
    const uint8_t *offer; /* the exact bytes of the messages */
    size_t offer_bytes;
    const uint8_t *grant;
    size_t grant_bytes;
    const struct haul_peer_id *asker, *granter;
    uint32_t asker_receiver_id, granter_receiver_id;
    uint8_t cipher;
};

void haul_offer_transcript_hash(const struct haul_offer_transcript *transcript, uint8_t hash[32]);

/* A side signs the hash under the name of its role. */
void haul_offer_sign(const struct haul_key *key, bool asker, const uint8_t hash[32],
                     uint8_t signature[HAUL_KEY_SIGNATURE_BYTES]);

/* False when the signature is not that peer's in that role. The key is in the peer id, as it is for
 * Ed25519 and so for every haul node; an id that is only the hash of a key verifies nothing. */
HAUL_MUST_USE bool haul_offer_verify(const struct haul_peer_id *peer, bool asker,
                                     const uint8_t hash[32],
                                     const uint8_t signature[HAUL_KEY_SIGNATURE_BYTES]);

/* The traffic secrets of both directions; false when the peer's key is a point of small order. */
HAUL_MUST_USE bool haul_offer_secrets(const uint8_t secret_key[HAUL_KEX_BYTES],
                                      const uint8_t peer_key[HAUL_KEX_BYTES],
                                      const uint8_t hash[32], bool asker, uint8_t seal_secret[32],
                                      uint8_t open_secret[32]);
