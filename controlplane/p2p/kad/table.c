/* The routing table. Contacts of one bucket are a list; those nearest to any target are found by
 * whole groups of buckets that cannot overlap in distance, so that few are compared. */
#include "controlplane/p2p/kad/table.h"

#include <string.h>

#define NONE HAUL_KAD_NO_ENTRY

void haul_kad_table_init(struct haul_kad_table *table, const struct haul_kad_key *own,
                         struct haul_kad_entry *entries, uint16_t capacity,
                         const struct haul_kad_table_limits *limits)
{
    haul_assert(capacity < NONE);
    memset(table, 0, sizeof *table);
    table->own = *own;
    table->entries = entries;
    table->capacity = capacity;
    table->free = NONE;
    table->limits = *limits;
    for (size_t i = 0; i < HAUL_KAD_BUCKETS; i++)
        table->heads[i] = NONE;
}

/* HAUL_KAD_BUCKETS for ourselves. */
static unsigned bucket_of(const struct haul_kad_table *table, const struct haul_kad_key *key)
{
    return haul_kad_shared_bits(&table->own, key);
}

static struct haul_kad_entry *find(const struct haul_kad_table *table,
                                   const struct haul_kad_key *key)
{
    unsigned bucket = bucket_of(table, key);

    if (bucket == HAUL_KAD_BUCKETS)
        return NULL;
    for (uint16_t i = table->heads[bucket]; i != NONE; i = table->entries[i].next) {
        if (haul_kad_key_equal(&table->entries[i].contact.key, key))
            return &table->entries[i];
    }
    return NULL;
}

const struct haul_kad_entry *haul_kad_table_find(const struct haul_kad_table *table,
                                                 const struct haul_kad_key *key)
{
    return find(table, key);
}

static unsigned group_count(const struct haul_kad_table *table, unsigned bucket, uint32_t group)
{
    unsigned count = 0;

    for (uint16_t i = table->heads[bucket]; i != NONE; i = table->entries[i].next)
        count += table->entries[i].contact.group == group;
    return count;
}

/* Would one more of this group be too many? */
static bool crowded(const struct haul_kad_table *table, unsigned bucket, uint32_t group)
{
    unsigned count = 0;

    if (group == 0)
        return false;
    if (table->limits.group_bucket_max != 0 &&
        group_count(table, bucket, group) >= table->limits.group_bucket_max)
        return true;
    if (table->limits.group_table_max == 0)
        return false;
    for (unsigned i = 0; i < HAUL_KAD_BUCKETS; i++)
        count += group_count(table, i, group);
    return count >= table->limits.group_table_max;
}

static bool has_failed(const struct haul_kad_table *table, unsigned bucket)
{
    for (uint16_t i = table->heads[bucket]; i != NONE; i = table->entries[i].next) {
        if (table->entries[i].failures > 0)
            return true;
    }
    return false;
}

bool haul_kad_table_wants(const struct haul_kad_table *table,
                          const struct haul_kad_contact *contact)
{
    unsigned bucket = bucket_of(table, &contact->key);

    if (bucket == HAUL_KAD_BUCKETS || find(table, &contact->key) != NULL ||
        crowded(table, bucket, contact->group))
        return false;
    return table->counts[bucket] < HAUL_KAD_K ? table->count < table->capacity
                                              : has_failed(table, bucket);
}

static void unlink_entry(struct haul_kad_table *table, unsigned bucket, uint16_t index)
{
    uint16_t *link = &table->heads[bucket];

    while (*link != index)
        link = &table->entries[*link].next;
    *link = table->entries[index].next;
    table->entries[index].next = table->free;
    table->free = index;
    table->counts[bucket]--;
    table->count--;
}

static void drop_failed(struct haul_kad_table *table, unsigned bucket)
{
    for (uint16_t i = table->heads[bucket]; i != NONE; i = table->entries[i].next) {
        if (table->entries[i].failures > 0) {
            unlink_entry(table, bucket, i);
            table->counters.table_dropped++;
            return;
        }
    }
}

static uint16_t take_free(struct haul_kad_table *table)
{
    uint16_t index = table->free;

    if (index != NONE) {
        table->free = table->entries[index].next;
        return index;
    }
    return table->fresh < table->capacity ? table->fresh++ : NONE;
}

static bool add(struct haul_kad_table *table, const struct haul_kad_contact *contact, haul_time now)
{
    unsigned bucket = bucket_of(table, &contact->key);
    struct haul_kad_entry *entry;
    uint16_t index;

    if (bucket == HAUL_KAD_BUCKETS)
        return false;
    if (crowded(table, bucket, contact->group)) {
        table->counters.table_crowded++;
        return false;
    }
    if (table->counts[bucket] == HAUL_KAD_K)
        drop_failed(table, bucket);
    if (table->counts[bucket] == HAUL_KAD_K)
        return false;
    index = take_free(table);
    if (index == NONE) {
        table->counters.table_full++;
        return false;
    }
    entry = &table->entries[index];
    *entry = (struct haul_kad_entry){ .contact = *contact, .heard = now, .asked = now };
    entry->next = table->heads[bucket];
    table->heads[bucket] = index;
    table->counts[bucket]++;
    table->count++;
    table->counters.table_added++;
    return true;
}

bool haul_kad_table_answered(struct haul_kad_table *table, const struct haul_kad_contact *contact,
                             haul_time now)
{
    struct haul_kad_entry *entry = find(table, &contact->key);

    if (entry == NULL)
        return add(table, contact, now);
    entry->heard = now;
    entry->failures = 0;
    return true;
}

void haul_kad_table_remove(struct haul_kad_table *table, const struct haul_kad_key *key)
{
    const struct haul_kad_entry *entry = find(table, key);

    if (entry != NULL)
        unlink_entry(table, bucket_of(table, key), (uint16_t)(entry - table->entries));
}

void haul_kad_table_failed(struct haul_kad_table *table, const struct haul_kad_key *key)
{
    struct haul_kad_entry *entry = find(table, key);

    if (entry == NULL)
        return;
    entry->failures++;
    if (entry->failures >= HAUL_KAD_FAILURES_MAX) {
        haul_kad_table_remove(table, key);
        table->counters.table_dropped++;
    }
}

/* --- the nearest --- */

struct nearest {
    const struct haul_kad_table *table;
    const struct haul_kad_key *target, *except;
    const struct haul_kad_entry **list;
    uint64_t heads[HAUL_KAD_K]; /* the first bits of each distance */
    size_t count, capacity;
    size_t settled; /* those of earlier groups, which nothing later can come before */
};

static void nearest_offer(struct nearest *nearest, const struct haul_kad_entry *entry)
{
    uint64_t head = haul_kad_distance_head(&entry->contact.key, nearest->target);
    size_t at = nearest->count;

    if (entry->failures > 0 ||
        (nearest->except != NULL && haul_kad_key_equal(&entry->contact.key, nearest->except)))
        return;
    while (at > nearest->settled && (head < nearest->heads[at - 1] ||
                                     (head == nearest->heads[at - 1] &&
                                      haul_kad_compare(nearest->target, &entry->contact.key,
                                                       &nearest->list[at - 1]->contact.key) < 0)))
        at--;
    if (at == nearest->capacity)
        return;
    if (nearest->count < nearest->capacity)
        nearest->count++;
    for (size_t i = nearest->count - 1; i > at; i--) {
        nearest->list[i] = nearest->list[i - 1];
        nearest->heads[i] = nearest->heads[i - 1];
    }
    nearest->list[at] = entry;
    nearest->heads[at] = head;
}

static void nearest_bucket(struct nearest *nearest, unsigned bucket)
{
    const struct haul_kad_table *table = nearest->table;

    for (uint16_t i = table->heads[bucket]; i != NONE; i = table->entries[i].next)
        nearest_offer(nearest, &table->entries[i]);
}

size_t haul_kad_table_closest(const struct haul_kad_table *table, const struct haul_kad_key *target,
                              const struct haul_kad_key *except,
                              const struct haul_kad_entry **closest, size_t capacity)
{
    unsigned shared = bucket_of(table, target);
    struct nearest nearest = { .table = table,
                               .target = target,
                               .except = except,
                               .list = closest,
                               .capacity = capacity < HAUL_KAD_K ? capacity : HAUL_KAD_K };

    /* A contact of the target's own bucket shares more bits with the target than we do; all of the
     * deeper buckets share exactly as many as we; those of a bucket above share its number. */
    if (shared < HAUL_KAD_BUCKETS)
        nearest_bucket(&nearest, shared);
    nearest.settled = nearest.count;
    for (unsigned i = shared + 1; i < HAUL_KAD_BUCKETS && nearest.settled < nearest.capacity; i++)
        nearest_bucket(&nearest, i);
    nearest.settled = nearest.count;
    for (unsigned i = shared; i-- > 0 && nearest.settled < nearest.capacity;) {
        nearest_bucket(&nearest, i);
        nearest.settled = nearest.count;
    }
    return nearest.count;
}

/* --- upkeep --- */

const struct haul_kad_entry *haul_kad_table_check(struct haul_kad_table *table, haul_time now,
                                                  haul_time age, haul_time pause)
{
    struct haul_kad_entry *oldest = NULL;

    for (unsigned bucket = 0; bucket < HAUL_KAD_BUCKETS; bucket++) {
        for (uint16_t i = table->heads[bucket]; i != NONE; i = table->entries[i].next) {
            struct haul_kad_entry *entry = &table->entries[i];

            if ((entry->failures == 0 && haul_time_since(entry->heard, now) < age) ||
                haul_time_since(entry->asked, now) < pause)
                continue;
            if (oldest == NULL || entry->heard < oldest->heard)
                oldest = entry;
        }
    }
    if (oldest != NULL)
        oldest->asked = now;
    return oldest;
}

int haul_kad_table_refresh(const struct haul_kad_table *table, haul_time now, haul_time period)
{
    unsigned depth = 0;

    for (unsigned i = 0; i < HAUL_KAD_REFRESH_BUCKETS; i++) {
        if (table->counts[i] >= HAUL_KAD_K / 2)
            depth = i + 1;
    }
    if (depth == HAUL_KAD_REFRESH_BUCKETS)
        depth--;
    for (unsigned i = 0; i <= depth; i++) {
        if (haul_time_since(table->refreshed[i], now) >= period)
            return (int)i;
    }
    return -1;
}

void haul_kad_table_looked(struct haul_kad_table *table, const struct haul_kad_key *target,
                           haul_time now)
{
    unsigned bucket = bucket_of(table, target);

    if (bucket < HAUL_KAD_REFRESH_BUCKETS)
        table->refreshed[bucket] = now;
    if (bucket < HAUL_KAD_BUCKETS)
        return;
    /* Looking for ourselves ends in our own neighbourhood, which is all of the deep buckets. */
    for (unsigned i = HAUL_KAD_REFRESH_BUCKETS; i-- > 0 && table->counts[i] < HAUL_KAD_K;)
        table->refreshed[i] = now;
}

void haul_kad_table_region(const struct haul_kad_table *table, unsigned bucket,
                           struct haul_kad_key *random)
{
    haul_assert(bucket < HAUL_KAD_BUCKETS);
    for (unsigned bit = 0; bit < bucket; bit++)
        haul_kad_key_set_bit(random, bit, haul_kad_key_bit(&table->own, bit));
    haul_kad_key_set_bit(random, bucket, !haul_kad_key_bit(&table->own, bucket));
}
