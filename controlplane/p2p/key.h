/* Identity keys (libp2p specs, peer-ids): ours is Ed25519; peers may show Ed25519, secp256k1, ECDSA
 * P-256 or RSA. Serialized forms are libp2p's deterministic PublicKey and PrivateKey messages. */
#pragma once

#include "controlplane/p2p/peerid.h"

#define HAUL_KEY_PUBLIC_BYTES_MAX 1200u /* an RSA key of 8192 bits with its wrapping */
#define HAUL_KEY_PRIVATE_BYTES    68u   /* PrivateKey message of an Ed25519 key */
#define HAUL_KEY_SIGNATURE_BYTES  64u

/* Our own identity. Wiped by haul_key_wipe. */
struct haul_key {
    uint8_t seed[32];
    uint8_t public_key[32];
    struct haul_peer_id id;
};

/* From 32 bytes of fresh randomness, or a serialized PrivateKey (64-byte and legacy 96-byte data).
 */
void haul_key_from_seed(struct haul_key *key, const uint8_t seed[32]);
HAUL_MUST_USE bool haul_key_decode(struct haul_key *key, const uint8_t *data, size_t bytes);
void haul_key_encode(const struct haul_key *key, uint8_t data[HAUL_KEY_PRIVATE_BYTES]);
void haul_key_wipe(struct haul_key *key);

/* Our serialized PublicKey message: 36 bytes. */
#define HAUL_KEY_PUBLIC_BYTES 36u
void haul_key_public(const struct haul_key *key, uint8_t data[HAUL_KEY_PUBLIC_BYTES]);

void haul_key_sign(const struct haul_key *key, const void *data, size_t bytes,
                   uint8_t signature[HAUL_KEY_SIGNATURE_BYTES]);

/* Verifies a signature under a peer's serialized PublicKey; false also for malformed, unsupported,
 * too small (RSA below 2048 bits) or too large (RSA above 8192 bits) keys. */
HAUL_MUST_USE bool haul_key_verify(const uint8_t *public_key, size_t public_bytes, const void *data,
                                   size_t bytes, const uint8_t *signature, size_t signature_bytes);

/* The peer id of a serialized PublicKey; false when it is malformed. */
HAUL_MUST_USE bool haul_key_peer_id(const uint8_t *public_key, size_t public_bytes,
                                    struct haul_peer_id *id);
