#include "controlplane/grants/offer_keys.h"

#include "common/bytes.h"
#include "common/hash.h"

static const char transcript_label[] = "haul offer 1 transcript";
static const char asker_role[] = "haul-offer-1-asker:";
static const char granter_role[] = "haul-offer-1-granter:";
static const char asker_label[] = "haul offer 1 asker to granter";
static const char granter_label[] = "haul offer 1 granter to asker";

#define ROLE_BYTES_MAX        32u
#define IDENTITY_PREFIX_BYTES 2u /* multihash code and length of a key that is its own id */

/* A length in four little-endian bytes, then the bytes: no two transcripts read alike. */
static void update_string(struct haul_hasher *hasher, const void *data, size_t bytes)
{
    uint8_t length[4];
    struct haul_out out = haul_out_to(length, sizeof length);

    haul_out_le(&out, bytes, sizeof length);
    haul_hasher_update(hasher, length, sizeof length);
    haul_hasher_update(hasher, data, bytes);
}

void haul_offer_transcript_hash(const struct haul_offer_transcript *transcript, uint8_t hash[32])
{
    uint8_t numbers[9];
    struct haul_out out = haul_out_to(numbers, sizeof numbers);
    struct haul_hasher hasher;
    struct haul_hash made;

    haul_hasher_init(&hasher, HAUL_HASH_SHA2_256);
    update_string(&hasher, transcript_label, sizeof transcript_label - 1);
    update_string(&hasher, transcript->offer, transcript->offer_bytes);
    update_string(&hasher, transcript->grant, transcript->grant_bytes);
    update_string(&hasher, transcript->asker->bytes, transcript->asker->length);
    update_string(&hasher, transcript->granter->bytes, transcript->granter->length);
    haul_out_le(&out, transcript->asker_receiver_id, 4);
    haul_out_le(&out, transcript->granter_receiver_id, 4);
    haul_out_le(&out, transcript->cipher, 1);
    haul_hasher_update(&hasher, numbers, sizeof numbers);
    haul_hasher_final(&hasher, &made);
    memcpy(hash, made.bytes + HAUL_HASH_BYTES - HAUL_HASH_DIGEST_BYTES, 32);
}

static size_t what_is_signed(bool asker, const uint8_t hash[32], uint8_t data[ROLE_BYTES_MAX + 32])
{
    struct haul_out out = haul_out_to(data, ROLE_BYTES_MAX + 32);

    if (asker)
        haul_out_bytes(&out, asker_role, sizeof asker_role - 1);
    else
        haul_out_bytes(&out, granter_role, sizeof granter_role - 1);
    haul_out_bytes(&out, hash, 32);
    haul_assert(!out.bad);
    return (size_t)(out.at - data);
}

void haul_offer_sign(const struct haul_key *key, bool asker, const uint8_t hash[32],
                     uint8_t signature[HAUL_KEY_SIGNATURE_BYTES])
{
    uint8_t data[ROLE_BYTES_MAX + 32];
    size_t bytes = what_is_signed(asker, hash, data);

    haul_key_sign(key, data, bytes, signature);
}

bool haul_offer_verify(const struct haul_peer_id *peer, bool asker, const uint8_t hash[32],
                       const uint8_t signature[HAUL_KEY_SIGNATURE_BYTES])
{
    uint8_t data[ROLE_BYTES_MAX + 32];
    size_t bytes = what_is_signed(asker, hash, data);

    if (peer->length <= IDENTITY_PREFIX_BYTES || peer->bytes[0] != 0)
        return false; /* an id that is only a hash of its key */
    return haul_key_verify(peer->bytes + IDENTITY_PREFIX_BYTES,
                           peer->length - IDENTITY_PREFIX_BYTES, data, bytes, signature,
                           HAUL_KEY_SIGNATURE_BYTES);
}

bool haul_offer_secrets(const uint8_t secret_key[HAUL_KEX_BYTES],
                        const uint8_t peer_key[HAUL_KEX_BYTES], const uint8_t hash[32], bool asker,
                        uint8_t seal_secret[32], uint8_t open_secret[32])
{
    uint8_t shared[HAUL_KEX_BYTES], key[32];

    if (!haul_kex_shared(secret_key, peer_key, shared))
        return false;
    haul_hkdf_extract(hash, 32, shared, sizeof shared, key);
    haul_hkdf_expand(key, asker_label, sizeof asker_label - 1, asker ? seal_secret : open_secret,
                     32);
    haul_hkdf_expand(key, granter_label, sizeof granter_label - 1,
                     asker ? open_secret : seal_secret, 32);
    haul_kex_wipe(shared, sizeof shared);
    haul_kex_wipe(key, sizeof key);
    return true;
}
