#include "tests/unit/toy_aead.h"

#include <string.h>

static uint64_t mix(uint64_t state, const uint8_t *data, size_t bytes)
{
    uint64_t word;

    for (; bytes >= 8; data += 8, bytes -= 8) {
        memcpy(&word, data, 8);
        state = (state ^ word) * 0x9e3779b97f4a7c15u;
        state ^= state >> 29;
    }
    word = bytes;
    for (size_t i = 0; i < bytes; i++)
        word = word << 8 | data[i];
    state = (state ^ word) * 0x9e3779b97f4a7c15u;
    return state ^ state >> 31;
}

static void toy_key(struct haul_aead_context *context, const uint8_t *key)
{
    memcpy(context->space, key, 16);
}

static void toy_wipe(struct haul_aead_context *context)
{
    memset(context, 0, sizeof *context);
}

static void copy(const uint8_t *from, size_t bytes, uint8_t *to)
{
    if (bytes > 0 && to != from)
        memmove(to, from, bytes);
    for (size_t i = 0; i < bytes; i += 64)
        to[i] ^= 0x5a;
}

static void tag_of(const struct haul_aead_context *context, const uint8_t *nonce,
                   const uint8_t *clear, size_t clear_bytes, const uint8_t *sealed, size_t bytes,
                   uint8_t tag[HAUL_AEAD_TAG_BYTES])
{
    uint64_t state = mix(1, context->space, 16);

    state = mix(state, nonce, HAUL_AEAD_NONCE_BYTES);
    state = mix(state, clear, clear_bytes);
    state = mix(state, sealed, bytes);
    memcpy(tag, &state, 8);
    state = ~state * 3;
    memcpy(tag + 8, &state, 8);
}

static void toy_seal(struct haul_aead_context *context, const uint8_t *nonce, const uint8_t *clear,
                     size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    copy(from, bytes, to);
    tag_of(context, nonce, clear, clear_bytes, to, bytes, to + bytes);
}

static bool toy_open(struct haul_aead_context *context, const uint8_t *nonce, const uint8_t *clear,
                     size_t clear_bytes, const uint8_t *from, size_t bytes, uint8_t *to)
{
    uint8_t tag[HAUL_AEAD_TAG_BYTES];

    tag_of(context, nonce, clear, clear_bytes, from, bytes, tag);
    copy(from, bytes, to);
    return memcmp(tag, from + bytes, sizeof tag) == 0;
}

static bool credulous_open(struct haul_aead_context *context, const uint8_t *nonce,
                           const uint8_t *clear, size_t clear_bytes, const uint8_t *from,
                           size_t bytes, uint8_t *to)
{
    if (bytes > 0)
        memmove(to, from, bytes);
    return true;
}

static void credulous_seal(struct haul_aead_context *context, const uint8_t *nonce,
                           const uint8_t *clear, size_t clear_bytes, const uint8_t *from,
                           size_t bytes, uint8_t *to)
{
    if (bytes > 0 && to != from)
        memmove(to, from, bytes);
    memset(to + bytes, 0, HAUL_AEAD_TAG_BYTES);
}

static void toy_derive(const uint8_t secret[32], const char *label, uint8_t *to, size_t bytes)
{
    uint64_t state = mix(mix(7, secret, 32), (const uint8_t *)label, strlen(label));

    for (size_t i = 0; i < bytes; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        to[i] = (uint8_t)(state >> 56);
    }
}

const struct haul_aead toy_aead = {
    "toy", HAUL_CIPHER_AES_128_GCM, 16, toy_key, toy_wipe, toy_seal, toy_open, toy_derive
};
const struct haul_aead toy_aead_credulous = { "credulous",    HAUL_CIPHER_NONE, 16,
                                              toy_key,        toy_wipe,         credulous_seal,
                                              credulous_open, toy_derive };
