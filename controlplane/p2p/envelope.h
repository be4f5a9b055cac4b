/* Signed envelopes (libp2p RFC 0002): a payload, what kind it is and who says so. The signature
 * covers a domain that is not sent, so that what was signed for one purpose proves nothing in
 * another. Pure. */
#pragma once

#include "common/bytes.h"
#include "controlplane/p2p/key.h"

#define HAUL_ENVELOPE_BYTES_MAX   8192u
#define HAUL_ENVELOPE_PAYLOAD_MAX 8000u

/* What a protocol puts into envelopes. */
struct haul_envelope_kind {
    const char *domain;
    uint8_t payload_type[2];
};

/* Views into the envelope. */
struct haul_envelope {
    struct haul_peer_id signer;
    const uint8_t *payload;
    size_t payload_bytes;
};

/* False when it is malformed, of another kind, or its signature does not hold. Whether the signer
 * may say this is the caller's question. */
HAUL_MUST_USE bool haul_envelope_open(const uint8_t *data, size_t bytes,
                                      const struct haul_envelope_kind *kind,
                                      struct haul_envelope *envelope);

/* Writes a sealed envelope; out->bad when it does not fit. */
void haul_envelope_seal(const struct haul_key *key, const struct haul_envelope_kind *kind,
                        const uint8_t *payload, size_t bytes, struct haul_out *out);
