/* The certificate of libp2p's TLS (libp2p specs, tls/tls.md): self-signed by a key of its own, with
 * an extension in which the identity key vouches for that key. */
#pragma once

#include "controlplane/p2p/key.h"

struct x509_st;
struct evp_pkey_st;

#define HAUL_TLS_CERTIFICATE_MAX 8192u /* bytes of a peer's that are looked at */

/* A fresh key and a certificate for it, from an hour ago for a hundred years; NULLs without memory.
 */
void haul_tls_certificate_make(const struct haul_key *identity, uint64_t unix_seconds,
                               struct evp_pkey_st **key, struct x509_st **certificate);

/* Whose it is. False unless every check of the specification holds: one certificate and nothing
 * behind it, valid at this time, signed by its own key with no weak algorithm, no critical
 * extension that is not understood, the extension exactly once, its signature by the identity key.
 */
HAUL_MUST_USE bool haul_tls_certificate_verify(const uint8_t *der, size_t bytes,
                                               uint64_t unix_seconds, struct haul_peer_id *peer);
