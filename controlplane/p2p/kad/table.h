/* The routing table of a DHT node: 256 buckets of at most 20 contacts, by how many bits their key
 * shares with ours. It holds only peers that have answered us, drops those that stop, limits how
 * many may come from one network, and says which are to be asked again and which region to look at
 * again. Pure; the memory of the entries is the caller's. Pointers to entries hold until the next
 * call that changes the table. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/kad/key.h"

#define HAUL_KAD_K               20u
#define HAUL_KAD_BUCKETS         256u
#define HAUL_KAD_FAILURES_MAX    2u  /* unanswered questions in a row until a contact is dropped */
#define HAUL_KAD_REFRESH_BUCKETS 16u /* deeper ones are covered by looking for ourselves */
#define HAUL_KAD_NO_ENTRY        UINT16_MAX

struct haul_kad_entry {
    struct haul_kad_contact contact;
    uint16_t next; /* in its bucket, or among the free ones */
    uint8_t failures;
    haul_time heard; /* its last answer */
    haul_time asked; /* when it was last given out to be asked again */
};

struct haul_kad_table_limits {
    uint8_t group_table_max; /* contacts of one group in the table; 0: no limit */
    uint8_t group_bucket_max;
};

#define HAUL_KAD_TABLE_COUNTERS(X)                                                                 \
    X(table_added, "contacts taken into the routing table")                                        \
    X(table_dropped, "contacts dropped because they stopped answering")                            \
    X(table_full, "contacts not taken because the table's memory was full")                        \
    X(table_crowded, "contacts not taken because too many came from their network")

struct haul_kad_table_counters {
#define X(name, help) uint64_t name;
    HAUL_KAD_TABLE_COUNTERS(X)
#undef X
};

struct haul_kad_table {
    struct haul_kad_key own;
    struct haul_kad_entry *entries;
    uint16_t capacity, count, free, fresh; /* entries from `fresh` on were never used */
    uint16_t heads[HAUL_KAD_BUCKETS];
    uint8_t counts[HAUL_KAD_BUCKETS];
    haul_time refreshed[HAUL_KAD_REFRESH_BUCKETS];
    struct haul_kad_table_limits limits;
    struct haul_kad_table_counters counters;
};

void haul_kad_table_init(struct haul_kad_table *table, const struct haul_kad_key *own,
                         struct haul_kad_entry *entries, uint16_t capacity,
                         const struct haul_kad_table_limits *limits);

/* NULL when it is not there. */
const struct haul_kad_entry *haul_kad_table_find(const struct haul_kad_table *table,
                                                 const struct haul_kad_key *key);

/* Is it worth asking this peer whether it lives, because there would be a place for it? */
bool haul_kad_table_wants(const struct haul_kad_table *table,
                          const struct haul_kad_contact *contact);

/* A peer has answered: it is taken in, where there is a place, or known to live. True when it is in
 * the table afterwards. The place of one that has failed is given to one that answers. */
bool haul_kad_table_answered(struct haul_kad_table *table, const struct haul_kad_contact *contact,
                             haul_time now);

/* A peer has not answered: it is not told to anybody until it does, and dropped the second time. */
void haul_kad_table_failed(struct haul_kad_table *table, const struct haul_kad_key *key);

/* It does not serve the DHT (any more). */
void haul_kad_table_remove(struct haul_kad_table *table, const struct haul_kad_key *key);

/* The nearest to the target that have not failed, nearest first, without the one of key `except`
 * (may be NULL). Returns how many, at most `capacity` and at most HAUL_KAD_K. */
size_t haul_kad_table_closest(const struct haul_kad_table *table, const struct haul_kad_key *target,
                              const struct haul_kad_key *except,
                              const struct haul_kad_entry **closest, size_t capacity);

/* The contact that has been silent for longest, when that is longer than `age`, or has failed; it
 * is not given again for `pause`. NULL when there is none. */
const struct haul_kad_entry *haul_kad_table_check(struct haul_kad_table *table, haul_time now,
                                                  haul_time age, haul_time pause);

/* The bucket whose region has not been looked at for `period`, or -1. Only as deep as the network
 * is: buckets up to the deepest that is full, and one more. */
int haul_kad_table_refresh(const struct haul_kad_table *table, haul_time now, haul_time period);

/* A look-up of this target has ended. */
void haul_kad_table_looked(struct haul_kad_table *table, const struct haul_kad_key *target,
                           haul_time now);

/* A key in the region of a bucket: `random` with the first bits made to fit. */
void haul_kad_table_region(const struct haul_kad_table *table, unsigned bucket,
                           struct haul_kad_key *random);
