/* ChaCha20-Poly1305 through libipsec-mb: the same functions that the streams' Noise takes. A
 * context holds nothing but the key. */
#include "common/chacha_poly.h"
#include "dataplane/aead/tables.h"

#include <openssl/crypto.h>
#include <string.h>

static void chacha_key(struct haul_aead_context *context, const uint8_t *key)
{
    haul_assert(haul_chacha_poly_ipsec_mb() != NULL);
    memcpy(context->space, key, HAUL_CHACHA_POLY_KEY_BYTES);
}

static void chacha_wipe(struct haul_aead_context *context)
{
    OPENSSL_cleanse(context, sizeof *context);
}

static void chacha_seal(struct haul_aead_context *context, const uint8_t *nonce,
                        const uint8_t *clear, size_t clear_bytes, const uint8_t *from, size_t bytes,
                        uint8_t *to)
{
    struct haul_chacha_poly_text text = {
        .clear = clear, .clear_bytes = clear_bytes, .body = from, .body_bytes = bytes
    };

    haul_chacha_poly_ipsec_mb()->seal(context->space, nonce, &text, to);
}

static bool chacha_open(struct haul_aead_context *context, const uint8_t *nonce,
                        const uint8_t *clear, size_t clear_bytes, const uint8_t *from, size_t bytes,
                        uint8_t *to)
{
    struct haul_chacha_poly_text text = {
        .clear = clear, .clear_bytes = clear_bytes, .body = from, .body_bytes = bytes
    };

    return haul_chacha_poly_ipsec_mb()->open(context->space, nonce, &text, to);
}

const struct haul_aead haul_aead_ipsec_mb_chacha20_poly1305 = {
    .name = "chacha20-poly1305/ipsec-mb",
    .cipher = HAUL_CIPHER_CHACHA20_POLY1305,
    .key_bytes = 32,
    .key = chacha_key,
    .wipe = chacha_wipe,
    .seal = chacha_seal,
    .open = chacha_open,
    .derive = haul_aead_derive,
};
