/* The cipher of Noise's ChaChaPoly: ChaCha20-Poly1305 (RFC 8439) under a key and a counter that is
 * the nonce. One direction of one connection, one thread. The counter moves only when a message was
 * sealed or opened. */
#pragma once

#include "common/chacha_poly.h"

#define HAUL_NOISE_TAG_BYTES HAUL_CHACHA_POLY_TAG_BYTES

struct evp_cipher_ctx_st;

struct haul_noise_cipher {
    const struct haul_chacha_poly *fast; /* NULL: OpenSSL, with the next */
    struct evp_cipher_ctx_st *context;   /* holds the expanded key; NULL when there is none here */
    uint8_t key[HAUL_CHACHA_POLY_KEY_BYTES];
    uint64_t counter;
};

/* `init` replaces the key of a zeroed or earlier cipher and starts the counter at zero; `fast` (or
 * NULL) is what it is to run with. */
void haul_noise_cipher_init(struct haul_noise_cipher *cipher, const struct haul_chacha_poly *fast,
                            const uint8_t key[32]);
void haul_noise_cipher_fini(struct haul_noise_cipher *cipher);

/* Gives the next `messages` counters to `part`, a cipher of its own with the same key, which may be
 * another thread's. False when there are not as many left. */
HAUL_MUST_USE bool haul_noise_cipher_part(struct haul_noise_cipher *cipher, uint64_t messages,
                                          struct haul_noise_cipher *part);

/* Seals two pieces, one behind the other, as one message; writes head_bytes + body_bytes of
 * ciphertext and the tag. False when the counter has run out. */
HAUL_MUST_USE bool haul_noise_cipher_seal(struct haul_noise_cipher *cipher, const uint8_t *clear,
                                          size_t clear_bytes, const uint8_t *head,
                                          size_t head_bytes, const uint8_t *body, size_t body_bytes,
                                          uint8_t *to);

/* Opens `bytes` (ciphertext and tag) to `to`, which may equal `from`; false when the tag does not
 * hold, and then `to` holds anything. */
HAUL_MUST_USE bool haul_noise_cipher_open(struct haul_noise_cipher *cipher, const uint8_t *clear,
                                          size_t clear_bytes, const uint8_t *from, size_t bytes,
                                          uint8_t *to);
