/* ChaCha20-Poly1305 (RFC 8439) by libipsec-mb, as a table of functions, where this build and this
 * processor have it: about a quarter less time a byte than OpenSSL 3.0 takes with AVX-512. OpenSSL
 * is what everybody has, so there is no table for it here: who gets NULL uses it directly.
 *
 * The functions keep no state but what is handed in: any thread may call them. */
#pragma once

#include "common/base.h"

#define HAUL_CHACHA_POLY_KEY_BYTES   32u
#define HAUL_CHACHA_POLY_NONCE_BYTES 12u
#define HAUL_CHACHA_POLY_TAG_BYTES   16u

/* What is sealed: two pieces, one behind the other, either of them maybe empty. */
struct haul_chacha_poly_text {
    const uint8_t *clear; /* authenticated only */
    size_t clear_bytes;
    const uint8_t *head, *body;
    size_t head_bytes, body_bytes;
};

struct haul_chacha_poly {
    const char *name;

    /* Writes head_bytes + body_bytes of ciphertext to `to` and the tag behind it. A piece and its
     * place in `to` are the same or do not overlap. */
    void (*seal)(const uint8_t key[HAUL_CHACHA_POLY_KEY_BYTES],
                 const uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES],
                 const struct haul_chacha_poly_text *text, uint8_t *to);

    /* Opens `text.body` (`text.head` is empty), which has its tag behind it, to `to`, which may
     * equal it; false when the tag does not hold, and then `to` holds anything. */
    bool (*open)(const uint8_t key[HAUL_CHACHA_POLY_KEY_BYTES],
                 const uint8_t nonce[HAUL_CHACHA_POLY_NONCE_BYTES],
                 const struct haul_chacha_poly_text *text, uint8_t *to);
};

/* NULL where the library is missing, or not faster for bulk: that is measured by the first call, in
 * less than a millisecond, and then known. */
const struct haul_chacha_poly *haul_chacha_poly_fast(void);

/* The table without a measurement, for tests; NULL where the library is missing. */
const struct haul_chacha_poly *haul_chacha_poly_ipsec_mb(void);
