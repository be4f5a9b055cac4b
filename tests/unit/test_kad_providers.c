/* The store of provider records: expiry, limits, and who makes room for whom. */
#include "controlplane/p2p/kad/providers.h"

#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#define CAPACITY 256u
#define CHAINS   64u
#define HOUR     (3600 * HAUL_SECOND)

static struct haul_kad_providers store;
static struct haul_kad_provider entries[CAPACITY];
static uint32_t chains[CHAINS];

static void store_init(void)
{
    struct haul_kad_contact own = kad_rig_contact(0);

    haul_kad_providers_init(&store, &own.key, entries, CAPACITY, chains, CHAINS);
}

static bool add(uint64_t key, uint64_t peer, haul_time now)
{
    struct haul_kad_contact content = kad_rig_contact(1000000 + key);
    struct haul_peer_id id = kad_rig_peer(peer);

    return haul_kad_providers_add(&store, &content.key, &id, now, HAUL_KAD_PROVIDER_LIFE);
}

static size_t get(uint64_t key, haul_time now)
{
    struct haul_kad_contact content = kad_rig_contact(1000000 + key);
    struct haul_peer_id peers[HAUL_KAD_PROVIDERS_PER_KEY + 1];

    return haul_kad_providers_get(&store, &content.key, now, peers, HAUL_COUNT_OF(peers));
}

static void a_record_lives_48_hours_from_when_it_was_last_told(void)
{
    store_init();
    CU_ASSERT_TRUE(add(1, 1, HOUR));
    CU_ASSERT_EQUAL(get(1, 48 * HOUR), 1);
    CU_ASSERT_EQUAL(get(1, 49 * HOUR), 0);
    CU_ASSERT_TRUE(add(1, 1, 22 * HOUR));
    CU_ASSERT_EQUAL(store.count, 1);
    CU_ASSERT_EQUAL(get(1, 69 * HOUR), 1);
    CU_ASSERT_EQUAL(get(1, 70 * HOUR), 0);
    haul_kad_providers_expire(&store, 70 * HOUR, 10);
    CU_ASSERT_EQUAL(store.count, 0);
    CU_ASSERT_EQUAL(store.counters.providers_expired, 1);
}

static void a_key_names_at_most_32_providers(void)
{
    store_init();
    for (uint64_t peer = 1; peer <= 40; peer++)
        CU_ASSERT_EQUAL(add(1, peer, 1), peer <= HAUL_KAD_PROVIDERS_PER_KEY);
    CU_ASSERT_EQUAL(get(1, 2), HAUL_KAD_PROVIDERS_PER_KEY);
    CU_ASSERT_EQUAL(store.counters.providers_refused, 8);
}

static void one_peer_fills_an_eighth(void)
{
    unsigned taken = 0;

    store_init();
    for (uint64_t key = 0; key < 200; key++)
        taken += add(key, 1, 1);
    CU_ASSERT_EQUAL(taken, CAPACITY / 8);
}

static void a_full_store_keeps_the_nearer_ones(void)
{
    unsigned first = 0, last = 0;

    store_init();
    for (uint64_t key = 0; key < 4000; key++)
        (void)add(key, key, 1);
    CU_ASSERT_EQUAL(store.count, CAPACITY);
    CU_ASSERT(store.counters.providers_evicted > 0);
    for (uint64_t key = 0; key < 4000; key++) {
        struct haul_kad_contact content = kad_rig_contact(1000000 + key);

        if (haul_kad_shared_bits(&content.key, &store.own) >= 5)
            first += get(key, 2) == 1;
        else if (haul_kad_shared_bits(&content.key, &store.own) == 0)
            last += get(key, 2) == 1;
    }
    CU_ASSERT(first > 80);
    CU_ASSERT(last < 30);
}

static void an_expired_record_makes_room_for_any_living_one(void)
{
    store_init();
    for (uint64_t key = 0; key < CAPACITY; key++)
        CU_ASSERT_TRUE(add(key, key, 1));
    CU_ASSERT_TRUE(add(1000, 1000, 49 * HOUR));
    haul_kad_providers_expire(&store, 49 * HOUR, CAPACITY);
    CU_ASSERT_EQUAL(store.count, 1);
    for (uint64_t key = 1001; key < 1000 + CAPACITY; key++)
        CU_ASSERT_TRUE(add(key, key, 49 * HOUR));
    CU_ASSERT_EQUAL(store.counters.providers_evicted, 0);
    CU_ASSERT_EQUAL(store.counters.providers_expired, CAPACITY);
}

static void the_end_of_time_is_no_time_to_live(void)
{
    struct haul_kad_contact content = kad_rig_contact(1);

    store_init();
    CU_ASSERT_TRUE(
        haul_kad_providers_add(&store, &content.key, &content.id, HOUR, HAUL_TIME_NEVER));
    CU_ASSERT_EQUAL(entries[0].ends, HAUL_TIME_NEVER); /* not wrapped into the past */
}

static const struct unit_test tests[] = {
    { "a record lives 48 hours from when it was last told",
      a_record_lives_48_hours_from_when_it_was_last_told },
    { "a key names at most 32 providers", a_key_names_at_most_32_providers },
    { "one peer fills an eighth", one_peer_fills_an_eighth },
    { "a full store keeps the nearer ones", a_full_store_keeps_the_nearer_ones },
    { "an expired record makes room for any living one",
      an_expired_record_makes_room_for_any_living_one },
    { "the end of time does not wrap", the_end_of_time_is_no_time_to_live },
};

int main(void)
{
    return unit_main("kad providers", tests, HAUL_COUNT_OF(tests));
}
