#include "controlplane/datasets/catalog_record.h"

#include <string.h>

#define VERSION       1u
#define VERSION_DENY  2u
#define FLAG_COMPLETE 1u
#define FLAG_ALL      2u
#define FLAG_ANNOUNCE 4u

static void encode_peers(struct haul_out *out, const struct haul_peer_id *peers, uint32_t count)
{
    haul_out_le(out, count, 2);
    for (uint32_t i = 0; i < count; i++) {
        haul_out_le(out, peers[i].length, 1);
        haul_out_bytes(out, peers[i].bytes, peers[i].length);
    }
}

size_t haul_catalog_record_encode(const struct haul_dataset *dataset, uint64_t id,
                                  uint8_t data[HAUL_CATALOG_RECORD_BYTES_MAX])
{
    struct haul_out out = haul_out_to(data, HAUL_CATALOG_RECORD_BYTES_MAX);
    size_t name = strnlen(dataset->name, sizeof dataset->name - 1);

    haul_out_le(&out, dataset->denied_count > 0 ? VERSION_DENY : VERSION, 1);
    haul_out_le(&out, id, 8);
    haul_out_le(&out, dataset->bytes, 8);
    haul_out_le(&out, dataset->blocks, 8);
    haul_out_le(&out, dataset->stored_unix, 8);
    haul_out_le(&out,
                (dataset->complete ? FLAG_COMPLETE : 0) | (dataset->shared_to_all ? FLAG_ALL : 0) |
                    (dataset->announced ? FLAG_ANNOUNCE : 0),
                1);
    encode_peers(&out, dataset->peers, dataset->peer_count);
    haul_out_le(&out, name, 2);
    haul_out_bytes(&out, dataset->name, name);
    if (dataset->denied_count > 0)
        encode_peers(&out, dataset->denied, dataset->denied_count);
    haul_assert(!out.bad);
    return (size_t)(out.at - data);
}

static uint32_t decode_peers(struct haul_in *in, struct haul_peer_id peers[HAUL_CATALOG_PEERS_MAX])
{
    uint32_t count = (uint32_t)haul_in_le(in, 2);

    for (uint32_t i = 0; i < count && i < HAUL_CATALOG_PEERS_MAX; i++) {
        size_t length = (size_t)haul_in_le(in, 1);
        const uint8_t *bytes = haul_in_bytes(in, length);

        if (bytes == NULL || !haul_peer_id_decode(bytes, length, &peers[i]))
            in->bad = true;
    }
    in->bad = in->bad || count > HAUL_CATALOG_PEERS_MAX;
    return count;
}

bool haul_catalog_record_decode(const uint8_t *data, size_t bytes, struct haul_dataset *dataset,
                                uint64_t *id)
{
    struct haul_in in = haul_in_from(data, bytes);
    uint64_t version = haul_in_le(&in, 1);
    uint64_t flags;
    size_t name;

    memset(dataset, 0, sizeof *dataset);
    *id = haul_in_le(&in, 8);
    dataset->bytes = haul_in_le(&in, 8);
    dataset->blocks = haul_in_le(&in, 8);
    dataset->stored_unix = haul_in_le(&in, 8);
    flags = haul_in_le(&in, 1);
    dataset->complete = (flags & FLAG_COMPLETE) != 0;
    dataset->shared_to_all = (flags & FLAG_ALL) != 0;
    dataset->announced = (flags & FLAG_ANNOUNCE) != 0;
    dataset->peer_count = decode_peers(&in, dataset->peers);
    name = (size_t)haul_in_le(&in, 2);
    if (name >= sizeof dataset->name)
        return false;
    haul_in_copy(&in, dataset->name, name);
    if (version == VERSION_DENY)
        dataset->denied_count = decode_peers(&in, dataset->denied);
    return (version == VERSION || dataset->denied_count > 0) && haul_in_done(&in);
}
