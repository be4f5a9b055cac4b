/* Authenticated encryption of one datagram, handed to the pure flow code as a table of functions.
 * The cipher is the only copy of payload in our code: seal reads the slot and writes the datagram,
 * open reads the datagram and writes the slot.
 *
 * A context holds one expanded key and is never shared between threads. */
#pragma once

#include "common/handoff.h"

#define HAUL_AEAD_TAG_BYTES     16u
#define HAUL_AEAD_NONCE_BYTES   12u
#define HAUL_AEAD_CONTEXT_BYTES 1024u /* room for any implementation's expanded key */

struct haul_aead_context {
    _Alignas(64) uint8_t space[HAUL_AEAD_CONTEXT_BYTES];
};

struct haul_aead {
    const char *name; /* "aes-128-gcm/ipsec-mb", "aes-128-gcm/openssl", ... */
    enum haul_cipher cipher;
    uint8_t key_bytes;

    /* Expands a key into a context that is zeroed or holds an earlier key of the same table. `wipe`
     * releases what it holds and clears it; a zeroed context may be wiped. */
    void (*key)(struct haul_aead_context *context, const uint8_t *key);
    void (*wipe)(struct haul_aead_context *context);

    /* Writes `bytes` of ciphertext to `to` and the tag behind it. `to` and `from` do not overlap
     * unless they are equal. */
    void (*seal)(struct haul_aead_context *context, const uint8_t nonce[HAUL_AEAD_NONCE_BYTES],
                 const uint8_t *clear, size_t clear_bytes, const uint8_t *from, size_t bytes,
                 uint8_t *to);

    /* Reads `bytes` of ciphertext with its tag behind it; false when the tag does not hold, and
     * then `to` may have been overwritten with anything. */
    bool (*open)(struct haul_aead_context *context, const uint8_t nonce[HAUL_AEAD_NONCE_BYTES],
                 const uint8_t *clear, size_t clear_bytes, const uint8_t *from, size_t bytes,
                 uint8_t *to);

    /* HKDF-Expand-Label style derivation of `bytes` (at most 64) from a 32-byte secret under a
     * short label: traffic keys, nonce bases and the next secret of a key update. */
    void (*derive)(const uint8_t secret[32], const char *label, uint8_t *to, size_t bytes);
};
