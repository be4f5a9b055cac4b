/* Value records: only what this node can validate itself is taken and told, so nobody can use it as
 * storage for what he likes. Two namespaces are:
 *
 *     /pk/ID     the public key of that peer
 *     /ipns/ID   what the holder of that key says that its name stands for (kad/ipns.h)
 *
 * ID is a peer id in binary. Every other is refused. A better record takes the place of a worse one
 * and never the other way.
 *
 * Bounded: one peer fills at most a share of the store. In a full one what has run out makes room,
 * and where all live, the network that would then hold most gives up its record farthest from our
 * id, which may be the new one itself: so networks share the store evenly, and inside each what is
 * looked for here stays (docs/decisions/0029-values-kept.md). Pure; the memory is the caller's. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/kad/ipns.h"
#include "controlplane/p2p/kad/key.h"
#include "controlplane/p2p/kad/message.h"

#define HAUL_KAD_RECORD_VALUE_MAX HAUL_IPNS_BYTES_MAX
#define HAUL_KAD_PUBLIC_KEY_MAX   800u /* of /pk/: the key of RSA with 4,096 bits takes 560 */
#define HAUL_KAD_RECORD_LIFE      (48 * 3600 * HAUL_SECOND)

enum haul_kad_record_fault {
    HAUL_KAD_RECORD_GOOD,
    HAUL_KAD_RECORD_KEY,       /* no peer id stands behind the namespace, or the key is too long */
    HAUL_KAD_RECORD_NAMESPACE, /* of the key: nobody here can validate it */
    HAUL_KAD_RECORD_SIZE,      /* of the value: none, or too large */
    HAUL_KAD_RECORD_MALFORMED,
    HAUL_KAD_RECORD_STRANGER, /* the value belongs to another key */
    HAUL_KAD_RECORD_FORGED,
    HAUL_KAD_RECORD_OVER, /* its time has run out */
};

struct haul_kad_value {
    haul_time ends;
    struct haul_kad_key place; /* of `key`, in the key space */
    struct haul_peer_id from;  /* who put it first; none: the node itself */
    uint32_t network;          /* in which that peer was seen (haul_address_group) */
    uint16_t value_bytes;
    uint8_t key_bytes;
    uint8_t key[HAUL_KAD_KEY_TEXT_BYTES_MAX];
    uint8_t value[HAUL_KAD_RECORD_VALUE_MAX];
};

#define HAUL_KAD_RECORDS_COUNTERS(X)                                                               \
    X(values_evicted, "value records that made room for others in time")                           \
    X(values_refused, "value records refused because their sender has its share")                  \
    X(values_crowded_out, "value records refused because others are nearer, or of emptier "        \
                          "networks")

struct haul_kad_records_counters {
#define X(name, help) uint64_t name;
    HAUL_KAD_RECORDS_COUNTERS(X)
#undef X
};

struct haul_kad_records {
    struct haul_kad_key own;
    struct haul_kad_value *values;
    uint32_t capacity, count;
    uint32_t per_peer_max;
    uint64_t unix_ahead; /* Unix time in nanoseconds is haul_time and this; the owner's to keep */
    struct haul_kad_records_counters counters;
};

void haul_kad_records_init(struct haul_kad_records *records, const struct haul_kad_key *own,
                           struct haul_kad_value *values, uint32_t capacity);

/* GOOD, KEY or NAMESPACE. */
enum haul_kad_record_fault haul_kad_key_check(const uint8_t *key, size_t key_bytes);

/* Is the key a good one, and does the value belong to it? */
enum haul_kad_record_fault haul_kad_record_check(const uint8_t *key, size_t key_bytes,
                                                 const uint8_t *value, size_t value_bytes,
                                                 uint64_t unix_ns);

/* Of two good records of a key: above zero when the first is the better one, zero when they are the
 * same. Newer is better; of two that are as new, the one that holds for longer. */
int haul_kad_record_order(const uint8_t *key, size_t key_bytes, const uint8_t *one,
                          size_t one_bytes, const uint8_t *other, size_t other_bytes);

/* False when the record is not good, a better one is here, or there is no room for one of its
 * sender (NULL: the node itself) and the network that it was seen in (0: none that is known, which
 * counts as one). Its own time to live can only shorten ours. */
bool haul_kad_records_put(struct haul_kad_records *records, const struct haul_kad_record *record,
                          const struct haul_peer_id *from, uint32_t network, haul_time now);

/* NULL when there is none. */
const struct haul_kad_value *haul_kad_records_get(const struct haul_kad_records *records,
                                                  const uint8_t *key, size_t key_bytes,
                                                  haul_time now);
