#include "controlplane/datasets/catalog_record.h"

#include <string.h>

#define VERSION       1u
#define FLAG_COMPLETE 1u
#define FLAG_ALL      2u
#define FLAG_ANNOUNCE 4u

size_t haul_catalog_record_encode(const struct haul_dataset *dataset, uint64_t id,
                                  uint8_t data[HAUL_CATALOG_RECORD_BYTES_MAX])
{
    struct haul_out out = haul_out_to(data, HAUL_CATALOG_RECORD_BYTES_MAX);
    size_t name = strnlen(dataset->name, sizeof dataset->name - 1);

    haul_out_le(&out, VERSION, 1);
    haul_out_le(&out, id, 8);
    haul_out_le(&out, dataset->bytes, 8);
    haul_out_le(&out, dataset->blocks, 8);
    haul_out_le(&out, dataset->stored_unix, 8);
    haul_out_le(&out,
                (dataset->complete ? FLAG_COMPLETE : 0) | (dataset->shared_to_all ? FLAG_ALL : 0) |
                    (dataset->announced ? FLAG_ANNOUNCE : 0),
                1);
    haul_out_le(&out, dataset->peer_count, 2);
    for (uint32_t i = 0; i < dataset->peer_count; i++) {
        haul_out_le(&out, dataset->peers[i].length, 1);
        haul_out_bytes(&out, dataset->peers[i].bytes, dataset->peers[i].length);
    }
    haul_out_le(&out, name, 2);
    haul_out_bytes(&out, dataset->name, name);
    haul_assert(!out.bad);
    return (size_t)(out.at - data);
}

static void decode_peers(struct haul_in *in, struct haul_dataset *dataset)
{
    dataset->peer_count = (uint32_t)haul_in_le(in, 2);
    if (dataset->peer_count > HAUL_CATALOG_PEERS_MAX) {
        in->bad = true;
        return;
    }
    for (uint32_t i = 0; i < dataset->peer_count; i++) {
        size_t length = (size_t)haul_in_le(in, 1);
        const uint8_t *bytes = haul_in_bytes(in, length);

        if (bytes == NULL || !haul_peer_id_decode(bytes, length, &dataset->peers[i])) {
            in->bad = true;
            return;
        }
    }
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
    decode_peers(&in, dataset);
    name = (size_t)haul_in_le(&in, 2);
    if (name >= sizeof dataset->name)
        return false;
    haul_in_copy(&in, dataset->name, name);
    return version == VERSION && haul_in_done(&in);
}
