/* Every implementation of struct haul_aead that this build has. Constant tables; the contexts are
 * the caller's. Which of them a node uses is decided by dataplane/aead/choose.h. */
#pragma once

#include "dataplane/aead/aead.h"

extern const struct haul_aead haul_aead_openssl_aes_128_gcm;
extern const struct haul_aead haul_aead_openssl_chacha20_poly1305;
extern const struct haul_aead haul_aead_none; /* rate tests: a copy, and a tag anyone can make */

#ifdef HAUL_HAVE_IPSEC_MB
extern const struct haul_aead haul_aead_ipsec_mb_aes_128_gcm;
extern const struct haul_aead haul_aead_ipsec_mb_chacha20_poly1305;

/* False when the library cannot run on this machine. Any thread. */
bool haul_aead_ipsec_mb_usable(void);
#endif

/* The derivation that every table shares: HKDF-Expand (RFC 5869) with SHA-256, whose info is
 * laid out like TLS 1.3's HkdfLabel (RFC 8446 7.1) with the prefix "haul1 " and an empty context:
 * length (2, big-endian), 6 + strlen(label) (1), "haul1 ", label, 0. `bytes` is at most 64 and the
 * label at most 32 characters. */
void haul_aead_derive(const uint8_t secret[32], const char *label, uint8_t *to, size_t bytes);
