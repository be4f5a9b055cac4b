#include "controlplane/p2p/envelope.h"

#include "controlplane/p2p/fields.h"

enum {
    FIELD_PUBLIC_KEY = 1,
    FIELD_PAYLOAD_TYPE = 2,
    FIELD_PAYLOAD = 3,
    FIELD_SIGNATURE = 5,
};

#define SIGNED_BYTES_MAX (HAUL_ENVELOPE_PAYLOAD_MAX + 128u)

static void part_write(struct haul_out *out, const void *data, size_t bytes)
{
    haul_out_uvarint(out, bytes);
    haul_out_bytes(out, data, bytes);
}

/* What the signature covers: domain, type and payload, each behind its length. */
static bool signed_write(struct haul_out *out, const struct haul_envelope_kind *kind,
                         const uint8_t *payload, size_t bytes)
{
    part_write(out, kind->domain, strlen(kind->domain));
    part_write(out, kind->payload_type, sizeof kind->payload_type);
    part_write(out, payload, bytes);
    return !out->bad;
}

bool haul_envelope_open(const uint8_t *data, size_t bytes, const struct haul_envelope_kind *kind,
                        struct haul_envelope *envelope)
{
    struct haul_in in = haul_in_from(data, bytes);
    struct haul_field field, key = { 0 }, type = { 0 }, payload = { 0 }, signature = { 0 };
    uint8_t covered[SIGNED_BYTES_MAX];
    struct haul_out out = haul_out_to(covered, sizeof covered);
    struct haul_peer_id signer;

    if (bytes > HAUL_ENVELOPE_BYTES_MAX)
        return false;
    while (haul_field_next(&in, &field)) {
        if (!field.is_bytes)
            continue;
        if (field.number == FIELD_PUBLIC_KEY)
            key = field;
        else if (field.number == FIELD_PAYLOAD_TYPE)
            type = field;
        else if (field.number == FIELD_PAYLOAD)
            payload = field;
        else if (field.number == FIELD_SIGNATURE)
            signature = field;
    }
    if (in.bad || key.data == NULL || type.data == NULL || payload.data == NULL ||
        signature.data == NULL || type.bytes != sizeof kind->payload_type ||
        memcmp(type.data, kind->payload_type, type.bytes) != 0)
        return false;
    if (!signed_write(&out, kind, payload.data, payload.bytes) ||
        !haul_key_peer_id(key.data, key.bytes, &signer) ||
        !haul_key_verify(key.data, key.bytes, covered, (size_t)(out.at - covered), signature.data,
                         signature.bytes))
        return false;
    envelope->signer = signer;
    envelope->payload = payload.data;
    envelope->payload_bytes = payload.bytes;
    return true;
}

void haul_envelope_seal(const struct haul_key *key, const struct haul_envelope_kind *kind,
                        const uint8_t *payload, size_t bytes, struct haul_out *out)
{
    uint8_t covered[SIGNED_BYTES_MAX];
    struct haul_out writer = haul_out_to(covered, sizeof covered);
    uint8_t public_key[HAUL_KEY_PUBLIC_BYTES];
    uint8_t signature[HAUL_KEY_SIGNATURE_BYTES];

    if (bytes > HAUL_ENVELOPE_PAYLOAD_MAX || !signed_write(&writer, kind, payload, bytes)) {
        out->bad = true;
        return;
    }
    haul_key_sign(key, covered, (size_t)(writer.at - covered), signature);
    haul_key_public(key, public_key);
    haul_field_write_bytes(out, FIELD_PUBLIC_KEY, public_key, sizeof public_key);
    haul_field_write_bytes(out, FIELD_PAYLOAD_TYPE, kind->payload_type, sizeof kind->payload_type);
    haul_field_write_bytes(out, FIELD_PAYLOAD, payload, bytes);
    haul_field_write_bytes(out, FIELD_SIGNATURE, signature, sizeof signature);
}
