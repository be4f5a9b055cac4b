/* What key agreement is made of: X25519 (RFC 7748) and HKDF with SHA-256 (RFC 5869). Both Noise and
 * the offer are built on these. Random bytes come from the caller, so that vectors and seeds
 * replay. */
#pragma once

#include "common/base.h"

#define HAUL_KEX_BYTES 32u

/* The public key of 32 random bytes. */
void haul_kex_public(const uint8_t secret_key[HAUL_KEX_BYTES], uint8_t public_key[HAUL_KEX_BYTES]);

/* The shared secret; false when it is all zero (the peer sent a point of small order). */
HAUL_MUST_USE bool haul_kex_shared(const uint8_t secret_key[HAUL_KEX_BYTES],
                                   const uint8_t peer_key[HAUL_KEX_BYTES],
                                   uint8_t shared[HAUL_KEX_BYTES]);

void haul_hkdf_extract(const uint8_t *salt, size_t salt_bytes, const uint8_t *secret,
                       size_t secret_bytes, uint8_t key[32]);

/* `info` has at most 255 bytes, `bytes` is at most 255 * 32. */
void haul_hkdf_expand(const uint8_t key[32], const void *info, size_t info_bytes, uint8_t *to,
                      size_t bytes);

/* SHA-256 of up to two pieces. */
void haul_kex_hash(const void *a, size_t a_bytes, const void *b, size_t b_bytes, uint8_t hash[32]);

/* Overwrites a secret in a way that the compiler keeps. */
void haul_kex_wipe(void *secret, size_t bytes);
