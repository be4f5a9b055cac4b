/* A small array, searched from its beginning: public keys of ids that do not hold them are rare. */
#include "controlplane/p2p/kad/records.h"

#include "controlplane/p2p/key.h"

#include <string.h>

#define PREFIX       "/pk/"
#define PREFIX_BYTES 4u

void haul_kad_records_init(struct haul_kad_records *records, struct haul_kad_value *values,
                           uint32_t capacity)
{
    *records = (struct haul_kad_records){ .values = values, .capacity = capacity };
}

static bool name_of(const uint8_t *key, size_t key_bytes, struct haul_peer_id *name)
{
    return key != NULL && key_bytes > PREFIX_BYTES && memcmp(key, PREFIX, PREFIX_BYTES) == 0 &&
           haul_peer_id_decode(key + PREFIX_BYTES, key_bytes - PREFIX_BYTES, name);
}

bool haul_kad_record_valid(const uint8_t *key, size_t key_bytes, const uint8_t *value,
                           size_t value_bytes)
{
    struct haul_peer_id name, owner;

    return name_of(key, key_bytes, &name) && value != NULL &&
           value_bytes <= HAUL_KAD_RECORD_VALUE_MAX &&
           haul_key_peer_id(value, value_bytes, &owner) && haul_peer_id_equal(&name, &owner);
}

static struct haul_kad_value *place_for(struct haul_kad_records *records,
                                        const struct haul_peer_id *name, haul_time now)
{
    struct haul_kad_value *place = NULL;

    for (uint32_t i = 0; i < records->count; i++) {
        struct haul_kad_value *value = &records->values[i];

        if (haul_peer_id_equal(&value->name, name))
            return value;
        if (place == NULL || value->ends <= now || value->stored < place->stored)
            place = value;
    }
    if (records->count < records->capacity)
        return &records->values[records->count++];
    return place;
}

bool haul_kad_records_put(struct haul_kad_records *records, const struct haul_kad_record *record,
                          haul_time now)
{
    haul_time life = HAUL_KAD_RECORD_LIFE;
    struct haul_kad_value *place;
    struct haul_peer_id name;

    if (!haul_kad_record_valid(record->key, record->key_bytes, record->value,
                               record->value_bytes) ||
        !name_of(record->key, record->key_bytes, &name))
        return false;
    if (record->ttl_seconds != 0)
        life = haul_time_min(life, record->ttl_seconds * HAUL_SECOND);
    place = place_for(records, &name, now);
    if (place == NULL)
        return false;
    *place = (struct haul_kad_value){ .name = name,
                                      .value_bytes = (uint16_t)record->value_bytes,
                                      .stored = now,
                                      .ends = haul_time_add(now, life) };
    memcpy(place->value, record->value, record->value_bytes);
    return true;
}

const struct haul_kad_value *haul_kad_records_get(const struct haul_kad_records *records,
                                                  const uint8_t *key, size_t key_bytes,
                                                  haul_time now)
{
    struct haul_peer_id name;

    if (!name_of(key, key_bytes, &name))
        return NULL;
    for (uint32_t i = 0; i < records->count; i++) {
        if (records->values[i].ends > now && haul_peer_id_equal(&records->values[i].name, &name))
            return &records->values[i];
    }
    return NULL;
}
