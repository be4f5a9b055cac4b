#include "controlplane/p2p/noise_payload.h"

#include "controlplane/p2p/fields.h"
#include "controlplane/p2p/noise.h"

/* Field numbers of NoiseHandshakePayload and NoiseExtensions. */
#define IDENTITY_KEY  1u
#define IDENTITY_SIG  2u
#define EXTENSIONS    4u
#define STREAM_MUXERS 2u

static const char signed_prefix[] = "noise-libp2p-static-key:";

#define SIGNED_BYTES (sizeof signed_prefix - 1 + 32)

static void what_is_signed(const uint8_t static_public[32], uint8_t data[SIGNED_BYTES])
{
    memcpy(data, signed_prefix, sizeof signed_prefix - 1);
    memcpy(data + sizeof signed_prefix - 1, static_public, 32);
}

void haul_noise_payload_write(struct haul_out *out, const struct haul_key *identity,
                              const uint8_t static_public[32], const char *const *muxers,
                              size_t muxer_count)
{
    uint8_t key[HAUL_KEY_PUBLIC_BYTES], said[SIGNED_BYTES], signature[HAUL_KEY_SIGNATURE_BYTES];
    uint8_t data[256];
    struct haul_out extensions = haul_out_to(data, sizeof data);

    haul_key_public(identity, key);
    what_is_signed(static_public, said);
    haul_key_sign(identity, said, sizeof said, signature);
    haul_field_write_bytes(out, IDENTITY_KEY, key, sizeof key);
    haul_field_write_bytes(out, IDENTITY_SIG, signature, sizeof signature);
    for (size_t i = 0; i < muxer_count; i++)
        haul_field_write_bytes(&extensions, STREAM_MUXERS, muxers[i], strlen(muxers[i]));
    haul_assert(!extensions.bad);
    if (muxer_count > 0)
        haul_field_write_bytes(out, EXTENSIONS, data, (size_t)(extensions.at - data));
}

static void note_muxer(struct haul_noise_payload *payload, const struct haul_field *name,
                       const char *const *muxers, size_t muxer_count)
{
    payload->muxers_seen++;
    for (size_t i = 0; i < muxer_count; i++) {
        if (strlen(muxers[i]) != name->bytes || memcmp(muxers[i], name->data, name->bytes) != 0)
            continue;
        payload->muxers_shared |= 1u << i;
        if (payload->muxer_first == SIZE_MAX)
            payload->muxer_first = i;
    }
}

static bool read_extensions(struct haul_noise_payload *payload, const struct haul_field *data,
                            const char *const *muxers, size_t muxer_count)
{
    struct haul_in in = haul_in_from(data->data, data->bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (field.number == STREAM_MUXERS && field.is_bytes)
            note_muxer(payload, &field, muxers, muxer_count);
    }
    return !in.bad && payload->muxers_seen <= HAUL_NOISE_PEER_MUXERS_MAX;
}

bool haul_noise_payload_read(const uint8_t *data, size_t bytes, const char *const *muxers,
                             size_t muxer_count, struct haul_noise_payload *payload)
{
    struct haul_noise_payload read = { .muxer_first = SIZE_MAX };
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field;

    while (haul_field_next(&in, &field)) {
        if (!field.is_bytes)
            continue;
        if (field.number == IDENTITY_KEY) {
            read.identity_key = field.data;
            read.identity_key_bytes = field.bytes;
        } else if (field.number == IDENTITY_SIG) {
            read.signature = field.data;
            read.signature_bytes = field.bytes;
        } else if (field.number == EXTENSIONS) {
            if (!read_extensions(&read, &field, muxers, muxer_count))
                return false;
        }
    }
    if (in.bad)
        return false;
    *payload = read;
    return true;
}

bool haul_noise_payload_verify(const struct haul_noise_payload *payload,
                               const uint8_t static_public[32], struct haul_peer_id *peer)
{
    uint8_t said[SIGNED_BYTES];

    if (payload->identity_key == NULL || payload->signature == NULL)
        return false;
    what_is_signed(static_public, said);
    return haul_key_verify(payload->identity_key, payload->identity_key_bytes, said, sizeof said,
                           payload->signature, payload->signature_bytes) &&
           haul_key_peer_id(payload->identity_key, payload->identity_key_bytes, peer);
}
