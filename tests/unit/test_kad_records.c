/* The store of value records: how long they live, and which of them stay when there are too many.
 * The flushing of a store by peers that somebody makes himself is a test here. */
#include "controlplane/p2p/kad/records.h"

#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#define HOUR  (3600 * HAUL_SECOND)
#define STORE 128u /* as many places as that of a node */
#define OURS  1u   /* whose store it is, among the peers of kad_rig.h */

static struct haul_kad_records records;
static struct haul_kad_value values[STORE];
static struct haul_kad_key own;

static void store_init(void)
{
    own = kad_rig_contact(OURS).key;
    memset(values, 0, sizeof values);
    haul_kad_records_init(&records, &own, values, STORE);
}

/* The public key of peer n, which stands in its id, under its name. */
static size_t key_of(uint64_t n, uint8_t key[64])
{
    struct haul_peer_id id = kad_rig_peer(n);

    memcpy(key, "/pk/", 4);
    memcpy(key + 4, id.bytes, id.length);
    return 4u + id.length;
}

static bool put_for(uint64_t n, uint64_t from, uint32_t network, uint32_t seconds, haul_time now)
{
    struct haul_peer_id of = kad_rig_peer(n), sender = kad_rig_peer(from);
    uint8_t key[64];
    struct haul_kad_record record = { .key = key,
                                      .key_bytes = key_of(n, key),
                                      .value = of.bytes + 2,
                                      .value_bytes = of.length - 2u,
                                      .ttl_seconds = seconds };

    return haul_kad_records_put(&records, &record, &sender, network, now);
}

static bool put(uint64_t n, uint64_t from, uint32_t network)
{
    return put_for(n, from, network, 0, HOUR);
}

static bool has_at(uint64_t n, haul_time now)
{
    uint8_t key[64];
    size_t bytes = key_of(n, key);

    return haul_kad_records_get(&records, key, bytes, now) != NULL;
}

static bool has(uint64_t n)
{
    return has_at(n, HOUR);
}

/* The next number whose record shares at least so many bits with our id: what an attacker finds
 * with 2^bits trials, and what an honest record in a network of 20 * 2^bits nodes has anyway. */
static uint64_t near_us(uint64_t n, unsigned bits)
{
    struct haul_kad_key place;
    uint8_t key[64];

    for (;; n++) {
        haul_kad_key_of(key, key_of(n, key), &place);
        if (haul_kad_shared_bits(&own, &place) >= bits)
            return n;
    }
}

static uint32_t count_of(uint32_t network)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < records.count; i++)
        count += values[i].network == network;
    return count;
}

#define HONEST 100u

static uint64_t honest[HONEST];

/* Records that belong here, each told by a peer of its own; two from each network, or all from one
 * that nobody knows. */
static void honest_put(bool networks)
{
    uint64_t n = 1u << 20;

    store_init();
    for (uint32_t i = 0; i < HONEST; i++, n++) {
        honest[i] = n = near_us(n, 5);
        CU_ASSERT_TRUE(put(n, 1000 + i, networks ? 1 + i / 2 : 0));
    }
}

static uint32_t honest_left(void)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < HONEST; i++)
        left += has(honest[i]);
    return left;
}

#define CROWD 900u /* the first of an attacker's networks */

/* So many peers in so many networks put more than there is room for, and nearer to us than nearly
 * all that belongs here. Returns how much was taken. */
static uint32_t flush(uint32_t peers, uint32_t networks)
{
    uint64_t n = 1u << 30;
    uint32_t taken = 0;

    for (uint32_t i = 0; i < 3 * STORE; i++, n++) {
        n = near_us(n, 7);
        taken += put(n, 5000 + i % peers, CROWD + i % peers % networks);
    }
    return taken;
}

static void a_time_to_live_only_shortens_and_never_wraps(void)
{
    store_init();
    CU_ASSERT_TRUE(put_for(5, 1, 1, 5, HOUR));
    CU_ASSERT_EQUAL(values[0].ends, HOUR + 5 * HAUL_SECOND);
    CU_ASSERT_TRUE(has_at(5, HOUR));
    CU_ASSERT_FALSE(has_at(5, 2 * HOUR));
    CU_ASSERT_TRUE(put_for(5, 1, 1, UINT32_MAX, HOUR));
    CU_ASSERT_EQUAL(values[0].ends, HOUR + HAUL_KAD_RECORD_LIFE);
    CU_ASSERT_TRUE(put_for(5, 1, 1, UINT32_MAX, HAUL_TIME_NEVER - 1));
    CU_ASSERT_EQUAL(values[0].ends, HAUL_TIME_NEVER);
}

static void who_puts_a_value_again_does_not_cut_its_life_short(void)
{
    haul_time soon = HOUR + 2 * HAUL_SECOND;

    store_init();
    CU_ASSERT_TRUE(put_for(5, 1, 1, 0, HOUR));
    CU_ASSERT_TRUE(put_for(5, 2, 2, 1, HOUR));
    CU_ASSERT_TRUE(has_at(5, 2 * HOUR));
    CU_ASSERT_TRUE(put_for(6, 2, 2, 1, HOUR));
    CU_ASSERT_FALSE(has_at(6, soon));
    CU_ASSERT_TRUE(put_for(6, 2, 2, 1, soon));
    CU_ASSERT_TRUE(put_for(6, 3, 3, 0, soon));
    CU_ASSERT_TRUE(has_at(6, 2 * HOUR));
}

static void one_peer_fills_an_eighth_of_the_values(void)
{
    haul_time now = HOUR;
    uint32_t taken = 0;

    store_init();
    for (uint64_t n = 100; n < 100 + STORE; n++)
        taken += put(n, 1, 1);
    CU_ASSERT_EQUAL(taken, STORE / 8);
    CU_ASSERT_EQUAL(records.counters.values_refused, STORE - STORE / 8);
    /* What it has it may tell again, and somebody else has a share of his own. */
    CU_ASSERT_TRUE(put(100, 1, 1));
    CU_ASSERT_TRUE(put(5000, 2, 1));
    /* It takes nothing over by telling it again, and lives of a second give it no more. */
    CU_ASSERT_TRUE(put(5000, 1, 1));
    CU_ASSERT_TRUE(put(5001, 2, 1));
    for (uint64_t n = 6000; n < 6000 + 4 * STORE; n++) {
        now += n % 16 == 0 ? 2 * HAUL_SECOND : 0;
        (void)put_for(n, 3, 1, 1, now);
    }
    CU_ASSERT_EQUAL(records.count, STORE / 8 + 2 + STORE / 8);
}

static void a_full_store_gives_up_what_is_over_and_then_the_farthest(void)
{
    haul_time later = HOUR + 2 * HAUL_SECOND;
    uint64_t n = 1u << 20, far = near_us(1u << 21, 0);

    store_init();
    for (uint32_t i = 0; i < STORE - 2; i++, n++) {
        n = near_us(n, 4);
        CU_ASSERT_TRUE(put_for(n, 1000 + i, 1, 0, HOUR));
    }
    CU_ASSERT_TRUE(put_for(far, 2, 1, 0, HOUR));
    CU_ASSERT_TRUE(put_for(10, 3, 1, 1, HOUR));
    n = near_us(n, 4);
    CU_ASSERT_TRUE(put_for(n, 4, 1, 0, later)); /* in the place of what is over */
    CU_ASSERT_EQUAL(records.counters.values_evicted, 0);
    CU_ASSERT_TRUE(has_at(far, later));
    n = near_us(n + 1, 4);
    CU_ASSERT_TRUE(put_for(n, 5, 1, 0, later)); /* in that of the farthest */
    CU_ASSERT_FALSE(has_at(far, later));
    CU_ASSERT_TRUE(has_at(n, later));
    CU_ASSERT_EQUAL(records.counters.values_evicted, 1);
    CU_ASSERT_FALSE(put_for(far, 6, 1, 0, later)); /* which does not come back */
    CU_ASSERT_EQUAL(records.counters.values_crowded_out, 1);
    CU_ASSERT_EQUAL(records.count, STORE);
}

/* However near to us their records lie. */
static void peers_of_one_network_flush_no_value_of_others(void)
{
    static const uint32_t crowds[] = { 8, 100 };

    for (size_t i = 0; i < HAUL_COUNT_OF(crowds); i++) {
        honest_put(true);
        CU_ASSERT(flush(crowds[i], 1) >= STORE - HONEST);
        CU_ASSERT_EQUAL(honest_left(), HONEST);
        CU_ASSERT_EQUAL(count_of(CROWD), STORE - HONEST);
        CU_ASSERT(records.counters.values_evicted + records.counters.values_crowded_out > 0);
        /* Whoever comes from elsewhere has the place of one of theirs, also from farther away. */
        CU_ASSERT_TRUE(put(near_us(1u << 22, 0), 7000, 800));
        CU_ASSERT_EQUAL(honest_left(), HONEST);
        CU_ASSERT_EQUAL(count_of(CROWD), STORE - HONEST - 1);
    }
}

/* Those that hold no more than others give up nothing, as long as some hold more. */
static void peers_of_several_networks_share_what_is_left(void)
{
    static const uint32_t networks[] = { 2, 8, 14 };

    for (size_t i = 0; i < HAUL_COUNT_OF(networks); i++) {
        honest_put(true);
        CU_ASSERT(flush(100, networks[i]) >= STORE - HONEST);
        CU_ASSERT_EQUAL(honest_left(), HONEST);
        for (uint32_t network = 0; network < networks[i]; network++) {
            uint32_t count = count_of(CROWD + network), even = (STORE - HONEST) / networks[i];

            CU_ASSERT(count == even || count == even + 1);
        }
    }
}

/* Where addresses say nothing (a network of private ones, or one of the attacker's own), being
 * there first or last is of no use, and being many is not: he has to find records near to us. */
static void without_networks_what_lies_near_us_stays(void)
{
    for (uint32_t crowd = 8; crowd <= 100; crowd += 92) {
        uint32_t nearer = 0, lost;

        honest_put(false);
        for (uint64_t n = 1u << 30; n < (1u << 30) + crowd * STORE / 8; n++) {
            nearer += near_us(n, 5) == n; /* by chance, as one in 32 */
            (void)put(n, 5000 + n % crowd, 0);
        }
        lost = nearer > STORE - HONEST ? nearer - (STORE - HONEST) : 0;
        CU_ASSERT(honest_left() >= HONEST - lost);
        CU_ASSERT(lost <= 30); /* of 100, to 1,600 records */
    }
}

static const struct unit_test tests[] = {
    { "a time to live only shortens and never wraps",
      a_time_to_live_only_shortens_and_never_wraps },
    { "who puts a value again does not cut its life short",
      who_puts_a_value_again_does_not_cut_its_life_short },
    { "one peer fills an eighth of the values", one_peer_fills_an_eighth_of_the_values },
    { "a full store gives up what is over and then the farthest",
      a_full_store_gives_up_what_is_over_and_then_the_farthest },
    { "peers of one network flush no value of others",
      peers_of_one_network_flush_no_value_of_others },
    { "peers of several networks share what is left",
      peers_of_several_networks_share_what_is_left },
    { "without networks what lies near us stays", without_networks_what_lies_near_us_stays },
};

int main(void)
{
    return unit_main("kad records", tests, HAUL_COUNT_OF(tests));
}
