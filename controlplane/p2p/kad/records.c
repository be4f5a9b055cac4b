/* A small array, searched from its beginning: values are few. */
#include "controlplane/p2p/kad/records.h"

#include "controlplane/p2p/key.h"

#include <string.h>

#define PK_BYTES   4u
#define IPNS_BYTES 6u

enum space { SPACE_PK, SPACE_IPNS, SPACE_NONE };

void haul_kad_records_init(struct haul_kad_records *records, const struct haul_kad_key *own,
                           struct haul_kad_value *values, uint32_t capacity)
{
    *records = (struct haul_kad_records){ .own = *own, .values = values, .capacity = capacity };
    /* An eighth, and never so little that a small store is of no use. */
    records->per_peer_max = capacity / 8 > 16 ? capacity / 8 : 16;
}

/* The namespace of a key, and the bytes that it takes. */
static enum space space_of(const uint8_t *key, size_t key_bytes, size_t *bytes)
{
    if (key != NULL && key_bytes >= PK_BYTES && memcmp(key, "/pk/", PK_BYTES) == 0) {
        *bytes = PK_BYTES;
        return SPACE_PK;
    }
    if (key != NULL && key_bytes >= IPNS_BYTES && memcmp(key, "/ipns/", IPNS_BYTES) == 0) {
        *bytes = IPNS_BYTES;
        return SPACE_IPNS;
    }
    return SPACE_NONE;
}

static enum haul_kad_record_fault key_read(const uint8_t *key, size_t key_bytes, enum space *space,
                                           struct haul_peer_id *name)
{
    size_t bytes = 0;

    *space = space_of(key, key_bytes, &bytes);
    if (*space == SPACE_NONE)
        return HAUL_KAD_RECORD_NAMESPACE;
    return haul_peer_id_decode(key + bytes, key_bytes - bytes, name) ? HAUL_KAD_RECORD_GOOD
                                                                     : HAUL_KAD_RECORD_KEY;
}

enum haul_kad_record_fault haul_kad_key_check(const uint8_t *key, size_t key_bytes)
{
    struct haul_peer_id name;
    enum space space;

    return key_read(key, key_bytes, &space, &name);
}

static enum haul_kad_record_fault pk_check(const struct haul_peer_id *name, const uint8_t *value,
                                           size_t value_bytes)
{
    struct haul_peer_id owner;

    if (value_bytes > HAUL_KAD_PUBLIC_KEY_MAX)
        return HAUL_KAD_RECORD_SIZE;
    if (!haul_key_peer_id(value, value_bytes, &owner))
        return HAUL_KAD_RECORD_MALFORMED;
    return haul_peer_id_equal(name, &owner) ? HAUL_KAD_RECORD_GOOD : HAUL_KAD_RECORD_STRANGER;
}

/* Everything but whether its time has run out. */
static enum haul_kad_record_fault ipns_check(const struct haul_peer_id *name, const uint8_t *value,
                                             size_t value_bytes, struct haul_ipns *ipns)
{
    switch (haul_ipns_read(name, value, value_bytes, ipns)) {
    case HAUL_IPNS_GOOD:
        return HAUL_KAD_RECORD_GOOD;
    case HAUL_IPNS_MALFORMED:
        return HAUL_KAD_RECORD_MALFORMED;
    case HAUL_IPNS_STRANGER:
        return HAUL_KAD_RECORD_STRANGER;
    case HAUL_IPNS_FORGED:
        break;
    }
    return HAUL_KAD_RECORD_FORGED;
}

/* `ends`: in Unix time. */
static enum haul_kad_record_fault record_read(const uint8_t *key, size_t key_bytes,
                                              const uint8_t *value, size_t value_bytes,
                                              uint64_t unix_ns, uint64_t *ends)
{
    struct haul_ipns ipns = { 0 };
    enum haul_kad_record_fault fault;
    struct haul_peer_id name;
    enum space space;

    *ends = HAUL_TIME_NEVER;
    fault = key_read(key, key_bytes, &space, &name);
    if (fault != HAUL_KAD_RECORD_GOOD)
        return fault;
    if (value == NULL || value_bytes == 0 || value_bytes > HAUL_KAD_RECORD_VALUE_MAX)
        return HAUL_KAD_RECORD_SIZE;
    if (space == SPACE_PK)
        return pk_check(&name, value, value_bytes);
    fault = ipns_check(&name, value, value_bytes, &ipns);
    *ends = ipns.ends;
    return fault == HAUL_KAD_RECORD_GOOD && ipns.ends <= unix_ns ? HAUL_KAD_RECORD_OVER : fault;
}

enum haul_kad_record_fault haul_kad_record_check(const uint8_t *key, size_t key_bytes,
                                                 const uint8_t *value, size_t value_bytes,
                                                 uint64_t unix_ns)
{
    uint64_t ends;

    return record_read(key, key_bytes, value, value_bytes, unix_ns, &ends);
}

int haul_kad_record_order(const uint8_t *key, size_t key_bytes, const uint8_t *one,
                          size_t one_bytes, const uint8_t *other, size_t other_bytes)
{
    size_t shorter = one_bytes < other_bytes ? one_bytes : other_bytes;
    struct haul_ipns a = { 0 }, b = { 0 };
    struct haul_peer_id name;
    enum space space;
    int order;

    if (key_read(key, key_bytes, &space, &name) == HAUL_KAD_RECORD_GOOD && space == SPACE_IPNS) {
        (void)ipns_check(&name, one, one_bytes, &a);
        (void)ipns_check(&name, other, other_bytes, &b);
        if (a.sequence != b.sequence)
            return a.sequence > b.sequence ? 1 : -1;
        if (a.ends != b.ends)
            return a.ends > b.ends ? 1 : -1;
    }
    /* All must agree on one of two that differ in nothing that matters. */
    order = memcmp(one, other, shorter);
    if (order != 0)
        return order;
    return one_bytes == other_bytes ? 0 : one_bytes > other_bytes ? 1 : -1;
}

static bool is_under(const struct haul_kad_value *value, const uint8_t *key, size_t key_bytes)
{
    return value->key_bytes == key_bytes && memcmp(value->key, key, key_bytes) == 0;
}

/* A record that wants a place, and whose it is. */
struct newcomer {
    const struct haul_kad_record *record;
    const struct haul_peer_id *from; /* NULL: the node itself */
    struct haul_kad_key place;
    uint32_t network;
};

/* Where all live: how many are of a network. */
static uint32_t network_count(const struct haul_kad_records *records, uint32_t network)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < records->count; i++)
        count += records->values[i].network == network;
    return count;
}

/* Where all live: of the networks that hold most, the newcomer counted, the farthest record. NULL
 * when that is the newcomer. */
static struct haul_kad_value *crowded_out(const struct haul_kad_records *records,
                                          const struct newcomer *newcomer)
{
    uint32_t most = network_count(records, newcomer->network) + 1;
    const struct haul_kad_key *farthest = &newcomer->place;
    struct haul_kad_value *out = NULL;

    for (uint32_t i = 0; i < records->count; i++) {
        struct haul_kad_value *value = &records->values[i];
        uint32_t count = network_count(records, value->network);

        count += value->network == newcomer->network;
        if (count < most ||
            (count == most && haul_kad_compare(&records->own, &value->place, farthest) <= 0))
            continue;
        most = count;
        farthest = &value->place;
        out = value;
    }
    return out;
}

/* A free place: one whose time has run out, one never used, or one that has to be given up. */
static struct haul_kad_value *room(struct haul_kad_records *records,
                                   const struct newcomer *newcomer, haul_time now)
{
    struct haul_kad_value *place;

    for (uint32_t i = 0; i < records->count; i++) {
        if (records->values[i].ends <= now)
            return &records->values[i];
    }
    if (records->count < records->capacity)
        return &records->values[records->count++];
    place = crowded_out(records, newcomer);
    if (place != NULL)
        records->counters.values_evicted++;
    else
        records->counters.values_crowded_out++;
    return place;
}

/* A record that lives keeps its place and stays with who put it first, whoever puts it again. */
static struct haul_kad_value *place_for(struct haul_kad_records *records,
                                        const struct newcomer *newcomer, haul_time now)
{
    struct haul_kad_value *place;
    uint32_t of_sender = 0;

    for (uint32_t i = 0; i < records->count; i++) {
        struct haul_kad_value *value = &records->values[i];

        if (value->ends <= now)
            continue;
        if (is_under(value, newcomer->record->key, newcomer->record->key_bytes))
            return value;
        of_sender += newcomer->from != NULL && haul_peer_id_equal(&value->from, newcomer->from);
    }
    if (of_sender >= records->per_peer_max) {
        records->counters.values_refused++;
        return NULL;
    }
    place = room(records, newcomer, now);
    if (place == NULL)
        return NULL;
    place->from = newcomer->from != NULL ? *newcomer->from : (struct haul_peer_id){ 0 };
    place->network = newcomer->network;
    place->place = newcomer->place;
    return place;
}

bool haul_kad_records_put(struct haul_kad_records *records, const struct haul_kad_record *record,
                          const struct haul_peer_id *from, uint32_t network, haul_time now)
{
    struct newcomer newcomer = { .record = record, .from = from, .network = network };
    uint64_t ends, unix_ns = haul_time_add(now, records->unix_ahead);
    haul_time life = HAUL_KAD_RECORD_LIFE;
    const struct haul_kad_value *here;
    struct haul_kad_value *place;
    bool again = false;

    if (record_read(record->key, record->key_bytes, record->value, record->value_bytes, unix_ns,
                    &ends) != HAUL_KAD_RECORD_GOOD)
        return false;
    here = haul_kad_records_get(records, record->key, record->key_bytes, now);
    if (here != NULL) {
        int order = haul_kad_record_order(record->key, record->key_bytes, record->value,
                                          record->value_bytes, here->value, here->value_bytes);

        if (order < 0)
            return false;
        again = order == 0;
    }
    life = haul_time_min(life, haul_time_since(unix_ns, ends));
    if (record->ttl_seconds != 0)
        life = haul_time_min(life, record->ttl_seconds * HAUL_SECOND);
    haul_kad_key_of(record->key, record->key_bytes, &newcomer.place);
    place = place_for(records, &newcomer, now);
    if (place == NULL)
        return false;
    /* Anybody may put what is here again: that must not cut its life short. */
    place->ends = haul_time_max(again ? place->ends : now, haul_time_add(now, life));
    place->key_bytes = (uint8_t)record->key_bytes;
    place->value_bytes = (uint16_t)record->value_bytes;
    memcpy(place->key, record->key, record->key_bytes);
    memmove(place->value, record->value, record->value_bytes);
    return true;
}

const struct haul_kad_value *haul_kad_records_get(const struct haul_kad_records *records,
                                                  const uint8_t *key, size_t key_bytes,
                                                  haul_time now)
{
    for (uint32_t i = 0; i < records->count; i++) {
        if (records->values[i].ends > now && is_under(&records->values[i], key, key_bytes))
            return &records->values[i];
    }
    return NULL;
}
