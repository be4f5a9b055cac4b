/* The routing table, a look-up and the store of providers under any order of calls: two bytes are
 * one call. Their invariants hold after each. */
#include "controlplane/p2p/kad/lookup.h"
#include "controlplane/p2p/kad/providers.h"
#include "controlplane/p2p/kad/table.h"

#include <string.h>

#define ENTRIES  48u
#define CAPACITY 32u

static struct haul_kad_table table;
static struct haul_kad_entry entries[ENTRIES];
static struct haul_kad_lookup lookup;
static struct haul_kad_providers providers;
static struct haul_kad_provider provider_entries[CAPACITY];
static uint32_t chains[4];
static haul_time now;

/* 256 peers; half of their keys crowd around the own one, so that deep buckets fill. */
static struct haul_kad_contact contact_of(uint8_t n)
{
    struct haul_kad_contact contact = { .group = n % 5u };

    contact.id.length = 38;
    contact.id.bytes[6] = n;
    contact.id.bytes[37] = n;
    contact.key.bytes[0] = n & 1 ? 0 : n;
    contact.key.bytes[1] = (uint8_t)(n >> (n & 7));
    contact.key.bytes[31] = n;
    return contact;
}

static void check_table(void)
{
    unsigned count = 0, per_group[5] = { 0 };

    for (unsigned bucket = 0; bucket < HAUL_KAD_BUCKETS; bucket++) {
        unsigned here = 0;

        for (uint16_t i = table.heads[bucket]; i != HAUL_KAD_NO_ENTRY; i = entries[i].next) {
            haul_assert(haul_kad_shared_bits(&table.own, &entries[i].contact.key) == bucket);
            haul_assert(entries[i].failures < HAUL_KAD_FAILURES_MAX);
            per_group[entries[i].contact.group]++;
            haul_assert(++here <= HAUL_KAD_K);
        }
        haul_assert(here == table.counts[bucket]);
        count += here;
    }
    haul_assert(count == table.count && count <= ENTRIES);
    for (unsigned group = 1; group < 5; group++)
        haul_assert(per_group[group] <= table.limits.group_table_max);
}

static void check_closest(const struct haul_kad_key *target)
{
    const struct haul_kad_entry *closest[HAUL_KAD_K];
    size_t count = haul_kad_table_closest(&table, target, NULL, closest, HAUL_KAD_K);

    for (size_t i = 0; i + 1 < count; i++)
        haul_assert(
            haul_kad_compare(target, &closest[i]->contact.key, &closest[i + 1]->contact.key) < 0);
}

static void check_lookup(void)
{
    unsigned under_way = 0, groups[5] = { 0 };

    haul_assert(lookup.count <= HAUL_KAD_CANDIDATES_MAX);
    for (size_t i = 0; i < lookup.count; i++) {
        under_way += lookup.candidates[i].state == HAUL_KAD_ASKED;
        groups[lookup.candidates[i].contact.group]++;
        haul_assert(i == 0 ||
                    haul_kad_compare(&lookup.target, &lookup.candidates[i - 1].contact.key,
                                     &lookup.candidates[i].contact.key) < 0);
    }
    haul_assert(under_way == lookup.under_way && under_way <= lookup.conf.alpha);
    haul_assert(lookup.asked <= lookup.conf.asked_max);
    for (unsigned group = 1; group < 5; group++)
        haul_assert(groups[group] <= lookup.conf.group_max);
}

static void check_providers(void)
{
    unsigned count = 0;

    for (size_t chain = 0; chain < HAUL_COUNT_OF(chains); chain++) {
        for (uint32_t i = chains[chain]; i != UINT32_MAX; i = provider_entries[i].next)
            haul_assert(++count <= CAPACITY);
    }
    haul_assert(count == providers.count);
}

static void call_table(uint8_t what, const struct haul_kad_contact *contact)
{
    if (what == 0)
        (void)haul_kad_table_answered(&table, contact, now);
    else if (what == 1)
        haul_kad_table_failed(&table, &contact->key);
    else if (what == 2)
        haul_kad_table_remove(&table, &contact->key);
    else if (what == 3)
        (void)haul_kad_table_check(&table, now, HAUL_SECOND, HAUL_SECOND);
    else if (haul_kad_table_wants(&table, contact))
        haul_assert(haul_kad_table_answered(&table, contact, now));
    check_table();
    check_closest(&contact->key);
}

static void call_lookup(uint8_t what, uint8_t n)
{
    struct haul_kad_contact contact = contact_of(n), heard[HAUL_KAD_K + 4];

    for (size_t i = 0; i < HAUL_COUNT_OF(heard); i++)
        heard[i] = contact_of((uint8_t)(n * 7u + i * 11u));
    if (what == 0)
        haul_kad_lookup_seed(&lookup, &contact);
    else if (what == 1)
        (void)haul_kad_lookup_next(&lookup, now, &contact);
    else if (what == 2)
        haul_kad_lookup_answered(&lookup, &contact.key, heard, n % HAUL_COUNT_OF(heard));
    else if (what == 3)
        haul_kad_lookup_failed(&lookup, &contact.key);
    else
        haul_kad_lookup_tick(&lookup, now);
    check_lookup();
    /* One that is not over can go on, or waits for something. */
    haul_assert(haul_kad_lookup_done(&lookup) || haul_kad_lookup_deadline(&lookup) > 0);
}

static void call_providers(uint8_t what, const struct haul_kad_contact *contact, uint8_t n)
{
    struct haul_kad_contact content = contact_of(n % 16);
    struct haul_peer_id peers[HAUL_KAD_PROVIDERS_PER_KEY];

    if (what == 0)
        (void)haul_kad_providers_add(&providers, &content.key, &contact->id, now, HAUL_SECOND);
    else if (what == 1)
        haul_kad_providers_expire(&providers, now, n);
    else
        haul_assert(haul_kad_providers_get(&providers, &content.key, now, peers,
                                           HAUL_COUNT_OF(peers)) <= CAPACITY);
    check_providers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct haul_kad_table_limits limits = { 6, 4 };
    struct haul_kad_lookup_conf conf = haul_kad_lookup_default;
    struct haul_kad_key own = { { 0 } };
    struct haul_kad_contact target = contact_of(size > 0 ? data[0] : 0);

    conf.alpha = 4;
    conf.paths = 3;
    conf.group_max = 5;
    conf.asked_max = 40;
    now = HAUL_SECOND;
    haul_kad_table_init(&table, &own, entries, ENTRIES, &limits);
    haul_kad_lookup_init(&lookup, &target.key, &conf, now);
    haul_kad_providers_init(&providers, &own, provider_entries, CAPACITY, chains,
                            HAUL_COUNT_OF(chains));
    for (size_t i = 1; i + 1 < size && i < 1024; i += 2) {
        struct haul_kad_contact contact = contact_of(data[i + 1]);
        uint8_t what = data[i] % 16;

        now += (haul_time)(data[i] / 16) * (HAUL_SECOND / 8);
        if (what < 5)
            call_table(what, &contact);
        else if (what < 11)
            call_lookup((uint8_t)(what - 5), data[i + 1]);
        else
            call_providers((uint8_t)(what - 11), &contact, data[i + 1]);
    }
    return 0;
}
