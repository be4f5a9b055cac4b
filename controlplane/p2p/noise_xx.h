/* The Noise handshake XX with 25519, ChaChaPoly and SHA256 (Noise specification, revision 34), with
 * any payload. What libp2p puts into the payloads is in noise.h. Message numbers are 0, 1 and 2;
 * the initiator writes 0 and 2, the responder 1. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/noise_cipher.h"

#define HAUL_NOISE_XX_MESSAGES 3u

struct haul_noise_xx {
    bool initiator;
    uint8_t message; /* number of the next message; HAUL_NOISE_XX_MESSAGES when all are done */
    uint8_t static_private[32], static_public[32];
    uint8_t ephemeral_private[32], ephemeral_public[32];
    uint8_t peer_static[32], peer_ephemeral[32];
    uint8_t chain[32]; /* chaining key */
    uint8_t hash[32];  /* of all that was said; at the end the handshake hash */
    struct haul_noise_cipher cipher;
};

void haul_noise_xx_init(struct haul_noise_xx *xx, bool initiator, const uint8_t *prologue,
                        size_t prologue_bytes, const uint8_t static_private[32],
                        const uint8_t ephemeral_private[32]);
void haul_noise_xx_fini(struct haul_noise_xx *xx); /* wipes */

/* How many bytes a message adds to its payload. */
size_t haul_noise_xx_overhead(const struct haul_noise_xx *xx);

/* Writes the next message, which is ours. False when it cannot be made: the peer's key was weak. */
HAUL_MUST_USE bool haul_noise_xx_write(struct haul_noise_xx *xx, const uint8_t *payload,
                                       size_t payload_bytes, struct haul_out *out);

/* Reads the next message, which is the peer's; `payload` has room for `bytes`. False when it is too
 * short, forged or carries a weak key: the handshake has failed for good. */
HAUL_MUST_USE bool haul_noise_xx_read(struct haul_noise_xx *xx, const uint8_t *message,
                                      size_t bytes, uint8_t *payload, size_t *payload_bytes);

/* After the last message: the ciphers of both directions, which run with `fast` (or NULL). */
void haul_noise_xx_split(struct haul_noise_xx *xx, const struct haul_chacha_poly *fast,
                         struct haul_noise_cipher *seal, struct haul_noise_cipher *open);
