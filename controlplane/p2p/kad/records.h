/* Value records: only what this node can validate itself is taken and told, so nobody can use it as
 * storage. One namespace is: "/pk/" and a peer id, whose value is the public key of that id. Every
 * other is refused. Bounded; the oldest makes room. Pure; the memory is the caller's. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/kad/message.h"

#define HAUL_KAD_RECORD_VALUE_MAX 800u /* the key of RSA with 4,096 bits takes 560 */
#define HAUL_KAD_RECORD_LIFE      (48 * 3600 * HAUL_SECOND)

struct haul_kad_value {
    struct haul_peer_id name; /* behind "/pk/" */
    uint16_t value_bytes;
    haul_time stored, ends; /* ends 0: free */
    uint8_t value[HAUL_KAD_RECORD_VALUE_MAX];
};

struct haul_kad_records {
    struct haul_kad_value *values;
    uint32_t capacity, count;
};

void haul_kad_records_init(struct haul_kad_records *records, struct haul_kad_value *values,
                           uint32_t capacity);

/* Does the key lie in a namespace that we validate, and does the value belong to it? */
bool haul_kad_record_valid(const uint8_t *key, size_t key_bytes, const uint8_t *value,
                           size_t value_bytes);

/* False when the record is not valid. Its own time to live can only shorten ours. */
bool haul_kad_records_put(struct haul_kad_records *records, const struct haul_kad_record *record,
                          haul_time now);

/* NULL when there is none. */
const struct haul_kad_value *haul_kad_records_get(const struct haul_kad_records *records,
                                                  const uint8_t *key, size_t key_bytes,
                                                  haul_time now);
