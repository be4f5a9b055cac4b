/* The payload of a libp2p Noise handshake message (noise/README.md, "libp2p Data in Handshake
 * Messages"): identity key, its signature over the static Noise key, and the muxers. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/key.h"

#define HAUL_NOISE_PAYLOAD_BYTES_MAX 512u /* of ours */

struct haul_noise_payload {
    const uint8_t *identity_key; /* serialized PublicKey; NULL when absent */
    size_t identity_key_bytes;
    const uint8_t *signature;
    size_t signature_bytes;
    uint32_t muxers_seen;   /* how many the peer listed */
    uint32_t muxers_shared; /* bit i: it listed the i-th of ours */
    size_t muxer_first;     /* the first of its list that we speak; SIZE_MAX: none */
};

void haul_noise_payload_write(struct haul_out *out, const struct haul_key *identity,
                              const uint8_t static_public[32], const char *const *muxers,
                              size_t muxer_count);

/* Views into `data`. False when it is malformed or lists too many muxers. */
HAUL_MUST_USE bool haul_noise_payload_read(const uint8_t *data, size_t bytes,
                                           const char *const *muxers, size_t muxer_count,
                                           struct haul_noise_payload *payload);

/* True when the identity key signed the static key; yields whose it is. */
HAUL_MUST_USE bool haul_noise_payload_verify(const struct haul_noise_payload *payload,
                                             const uint8_t static_public[32],
                                             struct haul_peer_id *peer);
