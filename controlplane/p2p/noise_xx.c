#include "controlplane/p2p/noise_xx.h"

#include "controlplane/p2p/kex.h"

#define KEY_BYTES        HAUL_KEX_BYTES
#define SEALED_KEY_BYTES (KEY_BYTES + HAUL_NOISE_TAG_BYTES)

/* What each message carries before its payload. */
static const struct {
    bool ephemeral; /* e, and from the second on ee */
    bool fixed;     /* s, and es or se */
} messages[HAUL_NOISE_XX_MESSAGES] = { { true, false }, { true, true }, { false, true } };

static void mix_hash(struct haul_noise_xx *xx, const void *data, size_t bytes)
{
    haul_kex_hash(xx->hash, sizeof xx->hash, data, bytes, xx->hash);
}

static void mix_key(struct haul_noise_xx *xx, const uint8_t shared[KEY_BYTES])
{
    uint8_t secret[32], made[64];

    haul_hkdf_extract(xx->chain, sizeof xx->chain, shared, KEY_BYTES, secret);
    haul_hkdf_expand(secret, NULL, 0, made, sizeof made);
    memcpy(xx->chain, made, sizeof xx->chain);
    haul_noise_cipher_init(&xx->cipher, NULL, made + 32);
    haul_kex_wipe(secret, sizeof secret);
    haul_kex_wipe(made, sizeof made);
}

static bool mix_shared(struct haul_noise_xx *xx, const uint8_t mine[KEY_BYTES],
                       const uint8_t theirs[KEY_BYTES])
{
    uint8_t shared[KEY_BYTES];

    if (!haul_kex_shared(mine, theirs, shared))
        return false;
    mix_key(xx, shared);
    haul_kex_wipe(shared, sizeof shared);
    return true;
}

/* The tokens es and se: the initiator's ephemeral with the responder's static key, or the other way
 * round. `theirs`: the static key of the token is the peer's. */
static bool mix_static(struct haul_noise_xx *xx, bool theirs)
{
    if (theirs)
        return mix_shared(xx, xx->ephemeral_private, xx->peer_static);
    return mix_shared(xx, xx->static_private, xx->peer_ephemeral);
}

static bool write_hashed(struct haul_noise_xx *xx, const uint8_t *from, size_t bytes,
                         struct haul_out *out)
{
    size_t written = bytes;
    uint8_t *at = out->at;

    if (xx->cipher.context == NULL) {
        haul_out_bytes(out, from, bytes);
    } else {
        written += HAUL_NOISE_TAG_BYTES;
        if (out->bad || haul_out_left(out) < written)
            return false;
        if (!haul_noise_cipher_seal(&xx->cipher, xx->hash, sizeof xx->hash, NULL, 0, from, bytes,
                                    at))
            return false;
        out->at += written;
    }
    if (out->bad)
        return false;
    mix_hash(xx, at, written);
    return true;
}

static bool read_hashed(struct haul_noise_xx *xx, struct haul_in *in, size_t bytes, uint8_t *to)
{
    const uint8_t *at = haul_in_bytes(in, bytes);

    if (at == NULL)
        return false;
    if (xx->cipher.context == NULL)
        memcpy(to, at, bytes);
    else if (!haul_noise_cipher_open(&xx->cipher, xx->hash, sizeof xx->hash, at, bytes, to))
        return false;
    mix_hash(xx, at, bytes);
    return true;
}

void haul_noise_xx_init(struct haul_noise_xx *xx, bool initiator, const uint8_t *prologue,
                        size_t prologue_bytes, const uint8_t static_private[32],
                        const uint8_t ephemeral_private[32])
{
    static const char name[] = "Noise_XX_25519_ChaChaPoly_SHA256"; /* exactly one hash long */

    memset(xx, 0, sizeof *xx);
    xx->initiator = initiator;
    memcpy(xx->static_private, static_private, KEY_BYTES);
    memcpy(xx->ephemeral_private, ephemeral_private, KEY_BYTES);
    haul_kex_public(static_private, xx->static_public);
    haul_kex_public(ephemeral_private, xx->ephemeral_public);
    _Static_assert(sizeof name - 1 == sizeof xx->hash, "a shorter or longer name is hashed");
    memcpy(xx->hash, name, sizeof xx->hash);
    memcpy(xx->chain, xx->hash, sizeof xx->chain);
    mix_hash(xx, prologue, prologue_bytes);
}

void haul_noise_xx_fini(struct haul_noise_xx *xx)
{
    haul_noise_cipher_fini(&xx->cipher);
    haul_kex_wipe(xx, sizeof *xx);
}

size_t haul_noise_xx_overhead(const struct haul_noise_xx *xx)
{
    haul_assert(xx->message < HAUL_NOISE_XX_MESSAGES);
    return (messages[xx->message].ephemeral ? KEY_BYTES : 0) +
           (messages[xx->message].fixed ? SEALED_KEY_BYTES + HAUL_NOISE_TAG_BYTES : 0);
}

bool haul_noise_xx_write(struct haul_noise_xx *xx, const uint8_t *payload, size_t payload_bytes,
                         struct haul_out *out)
{
    haul_assert(xx->message < HAUL_NOISE_XX_MESSAGES && xx->initiator == (xx->message % 2 == 0));
    if (messages[xx->message].ephemeral) {
        haul_out_bytes(out, xx->ephemeral_public, KEY_BYTES);
        mix_hash(xx, xx->ephemeral_public, KEY_BYTES);
        if (xx->message > 0 && !mix_shared(xx, xx->ephemeral_private, xx->peer_ephemeral))
            return false;
    }
    if (messages[xx->message].fixed) {
        if (!write_hashed(xx, xx->static_public, KEY_BYTES, out) || !mix_static(xx, false))
            return false;
    }
    if (!write_hashed(xx, payload, payload_bytes, out))
        return false;
    xx->message++;
    return true;
}

bool haul_noise_xx_read(struct haul_noise_xx *xx, const uint8_t *message, size_t bytes,
                        uint8_t *payload, size_t *payload_bytes)
{
    struct haul_in in = haul_in_from(message, bytes);
    size_t left;

    haul_assert(xx->message < HAUL_NOISE_XX_MESSAGES && xx->initiator == (xx->message % 2 == 1));
    if (messages[xx->message].ephemeral) {
        haul_in_copy(&in, xx->peer_ephemeral, KEY_BYTES);
        if (in.bad)
            return false;
        mix_hash(xx, xx->peer_ephemeral, KEY_BYTES);
        if (xx->message > 0 && !mix_shared(xx, xx->ephemeral_private, xx->peer_ephemeral))
            return false;
    }
    if (messages[xx->message].fixed) {
        if (!read_hashed(xx, &in, SEALED_KEY_BYTES, xx->peer_static) || !mix_static(xx, true))
            return false;
    }
    left = haul_in_left(&in);
    if (!read_hashed(xx, &in, left, payload))
        return false;
    *payload_bytes = xx->cipher.context == NULL ? left : left - HAUL_NOISE_TAG_BYTES;
    xx->message++;
    return true;
}

void haul_noise_xx_split(struct haul_noise_xx *xx, const struct haul_chacha_poly *fast,
                         struct haul_noise_cipher *seal, struct haul_noise_cipher *open)
{
    uint8_t secret[32], made[64];

    haul_assert(xx->message == HAUL_NOISE_XX_MESSAGES);
    haul_hkdf_extract(xx->chain, sizeof xx->chain, NULL, 0, secret);
    haul_hkdf_expand(secret, NULL, 0, made, sizeof made);
    haul_noise_cipher_init(seal, fast, xx->initiator ? made : made + 32);
    haul_noise_cipher_init(open, fast, xx->initiator ? made + 32 : made);
    haul_kex_wipe(secret, sizeof secret);
    haul_kex_wipe(made, sizeof made);
}
