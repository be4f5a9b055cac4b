/* No cipher, for rate tests on which both ends agreed: a copy, and a tag made of the nonce that
 * anyone can make. It keeps datagrams of another flow out and nothing else. */
#include "dataplane/aead/tables.h"

#include <string.h>

static void none_key(struct haul_aead_context *context, const uint8_t *key)
{
    memset(context, 0, sizeof *context);
}

static void none_wipe(struct haul_aead_context *context)
{
    memset(context, 0, sizeof *context);
}

static void none_tag(const uint8_t *nonce, uint8_t tag[HAUL_AEAD_TAG_BYTES])
{
    memcpy(tag, nonce, HAUL_AEAD_NONCE_BYTES);
    memset(tag + HAUL_AEAD_NONCE_BYTES, 0, HAUL_AEAD_TAG_BYTES - HAUL_AEAD_NONCE_BYTES);
}

static void none_copy(const uint8_t *from, size_t bytes, uint8_t *to)
{
    if (bytes > 0 && to != from)
        memcpy(to, from, bytes);
}

static void none_seal(struct haul_aead_context *context, const uint8_t *nonce, const uint8_t *clear,
                      size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    none_copy(from, bytes, to);
    none_tag(nonce, to + bytes);
}

static bool none_open(struct haul_aead_context *context, const uint8_t *nonce, const uint8_t *clear,
                      size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    uint8_t tag[HAUL_AEAD_TAG_BYTES];

    none_tag(nonce, tag);
    if (memcmp(tag, from + bytes, sizeof tag) != 0)
        return false;
    none_copy(from, bytes, to);
    return true;
}

const struct haul_aead haul_aead_none = {
    .name = "none",
    .cipher = HAUL_CIPHER_NONE,
    .key_bytes = 16,
    .key = none_key,
    .wipe = none_wipe,
    .seal = none_seal,
    .open = none_open,
    .derive = haul_aead_derive,
};
