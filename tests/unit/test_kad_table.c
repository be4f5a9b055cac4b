/* The routing table against a list of everybody, its limits and its upkeep. */
#include "controlplane/p2p/kad/table.h"

#include "tests/unit/kad_rig.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define CAPACITY 400u

struct rig {
    struct haul_kad_table table;
    struct haul_kad_entry entries[CAPACITY];
};

static struct rig rig;

static void rig_init(uint8_t group_table_max, uint8_t group_bucket_max)
{
    const struct haul_kad_table_limits limits = { group_table_max, group_bucket_max };
    struct haul_kad_contact own = kad_rig_contact(0);

    haul_kad_table_init(&rig.table, &own.key, rig.entries, CAPACITY, &limits);
}

static const struct haul_kad_key *sort_target;

static int by_distance(const void *a, const void *b)
{
    const struct haul_kad_entry *const *left = a, *const *right = b;

    return haul_kad_compare(sort_target, &(*left)->contact.key, &(*right)->contact.key);
}

static void the_nearest_are_those_that_a_full_search_finds(void)
{
    rig_init(0, 0);
    for (uint64_t n = 1; n < 5000; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);

        (void)haul_kad_table_answered(&rig.table, &contact, n);
    }
    CU_ASSERT(rig.table.count > 150 && rig.table.count < CAPACITY);
    for (uint64_t n = 0; n < 400; n++) {
        struct haul_kad_contact target = kad_rig_contact(n < 100 ? n : 10000 + n);
        const struct haul_kad_entry *all[CAPACITY], *closest[HAUL_KAD_K];
        size_t count, known = 0;

        for (size_t i = 0; i < rig.table.fresh; i++)
            all[known++] = &rig.entries[i];
        sort_target = &target.key;
        qsort(all, known, sizeof all[0], by_distance);
        count = haul_kad_table_closest(&rig.table, &target.key, NULL, closest, HAUL_KAD_K);
        CU_ASSERT_EQUAL_FATAL(count, HAUL_KAD_K);
        CU_ASSERT_EQUAL(memcmp(all, closest, sizeof closest), 0);
    }
}

static void a_bucket_holds_20_and_the_table_never_ourselves(void)
{
    struct haul_kad_contact own = kad_rig_contact(0);

    rig_init(0, 0);
    CU_ASSERT_FALSE(haul_kad_table_answered(&rig.table, &own, 1));
    CU_ASSERT_FALSE(haul_kad_table_wants(&rig.table, &own));
    for (uint64_t n = 1; n < 2000; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);
        bool wanted = haul_kad_table_wants(&rig.table, &contact);

        CU_ASSERT_EQUAL(wanted, haul_kad_table_answered(&rig.table, &contact, n));
    }
    for (size_t i = 0; i < HAUL_KAD_BUCKETS; i++)
        CU_ASSERT(rig.table.counts[i] <= HAUL_KAD_K);
    CU_ASSERT_EQUAL(rig.table.counts[0], HAUL_KAD_K);
}

static void one_that_fails_is_not_told_and_the_second_time_dropped(void)
{
    struct haul_kad_contact contact = kad_rig_contact(1);
    const struct haul_kad_entry *closest[HAUL_KAD_K];

    rig_init(0, 0);
    CU_ASSERT_TRUE(haul_kad_table_answered(&rig.table, &contact, 1));
    haul_kad_table_failed(&rig.table, &contact.key);
    CU_ASSERT_EQUAL(haul_kad_table_closest(&rig.table, &contact.key, NULL, closest, 20), 0);
    CU_ASSERT_TRUE(haul_kad_table_answered(&rig.table, &contact, 2));
    CU_ASSERT_EQUAL(haul_kad_table_closest(&rig.table, &contact.key, NULL, closest, 20), 1);
    CU_ASSERT_EQUAL(haul_kad_table_closest(&rig.table, &contact.key, &contact.key, closest, 20), 0);
    haul_kad_table_failed(&rig.table, &contact.key);
    haul_kad_table_failed(&rig.table, &contact.key);
    haul_kad_table_failed(&rig.table, &contact.key);
    CU_ASSERT_PTR_NULL(haul_kad_table_find(&rig.table, &contact.key));
    CU_ASSERT_EQUAL(rig.table.count, 0);
    CU_ASSERT_EQUAL(rig.table.counters.table_dropped, 1);
}

static void one_that_answers_takes_the_place_of_one_that_failed(void)
{
    struct haul_kad_contact first = { 0 }, contact;
    uint64_t n = 1;

    rig_init(0, 0);
    while (rig.table.counts[0] < HAUL_KAD_K) {
        contact = kad_rig_contact(n++);
        if (haul_kad_shared_bits(&contact.key, &rig.table.own) == 0) {
            CU_ASSERT_TRUE(haul_kad_table_answered(&rig.table, &contact, n));
            first = contact;
        }
    }
    do
        contact = kad_rig_contact(n++);
    while (haul_kad_shared_bits(&contact.key, &rig.table.own) != 0);
    CU_ASSERT_FALSE(haul_kad_table_wants(&rig.table, &contact));
    CU_ASSERT_FALSE(haul_kad_table_answered(&rig.table, &contact, n));
    haul_kad_table_failed(&rig.table, &first.key);
    CU_ASSERT_TRUE(haul_kad_table_wants(&rig.table, &contact));
    CU_ASSERT_TRUE(haul_kad_table_answered(&rig.table, &contact, n));
    CU_ASSERT_PTR_NULL(haul_kad_table_find(&rig.table, &first.key));
    CU_ASSERT_EQUAL(rig.table.counts[0], HAUL_KAD_K);
}

static void one_network_fills_neither_a_bucket_nor_the_table(void)
{
    rig_init(3, 2);
    for (uint64_t n = 1; n < 3000; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);

        contact.group = 7;
        (void)haul_kad_table_answered(&rig.table, &contact, n);
    }
    CU_ASSERT_EQUAL(rig.table.count, 3);
    CU_ASSERT_EQUAL(rig.table.counts[0], 2);
    CU_ASSERT(rig.table.counters.table_crowded > 0);
    for (uint64_t n = 1; n < 3000; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);

        (void)haul_kad_table_answered(&rig.table, &contact, n);
    }
    CU_ASSERT(rig.table.count > 100);
}

static void a_full_memory_is_counted_and_used_again(void)
{
    struct haul_kad_contact own = kad_rig_contact(0), contact;
    const struct haul_kad_table_limits limits = { 0 };
    uint64_t n = 1;

    haul_kad_table_init(&rig.table, &own.key, rig.entries, 10, &limits);
    while (rig.table.counters.table_full == 0) {
        contact = kad_rig_contact(n++);
        (void)haul_kad_table_answered(&rig.table, &contact, n);
    }
    CU_ASSERT_EQUAL(rig.table.count, 10);
    haul_kad_table_remove(&rig.table, &rig.entries[4].contact.key);
    CU_ASSERT_EQUAL(rig.table.count, 9);
    CU_ASSERT_TRUE(haul_kad_table_answered(&rig.table, &contact, n));
    CU_ASSERT_EQUAL(rig.table.count, 10);
}

static void the_longest_silent_is_checked_first_and_not_twice(void)
{
    const struct haul_kad_entry *entry;

    rig_init(0, 0);
    for (uint64_t n = 1; n <= 10; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);

        CU_ASSERT_TRUE(haul_kad_table_answered(&rig.table, &contact, n * HAUL_SECOND));
    }
    CU_ASSERT_PTR_NULL(
        haul_kad_table_check(&rig.table, 50 * HAUL_SECOND, 60 * HAUL_SECOND, HAUL_SECOND));
    entry = haul_kad_table_check(&rig.table, 62 * HAUL_SECOND, 60 * HAUL_SECOND, HAUL_SECOND);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    CU_ASSERT_EQUAL(entry->heard, HAUL_SECOND);
    entry = haul_kad_table_check(&rig.table, 62 * HAUL_SECOND, 60 * HAUL_SECOND, HAUL_SECOND);
    CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
    CU_ASSERT_EQUAL(entry->heard, 2 * HAUL_SECOND);
    CU_ASSERT_PTR_NULL(
        haul_kad_table_check(&rig.table, 62 * HAUL_SECOND, 60 * HAUL_SECOND, HAUL_SECOND));
}

static void every_region_is_due_once_a_period(void)
{
    haul_time now = 100 * HAUL_SECOND;
    unsigned looked = 0;
    int bucket;

    rig_init(0, 0);
    for (uint64_t n = 1; n < 1000; n++) {
        struct haul_kad_contact contact = kad_rig_contact(n);

        (void)haul_kad_table_answered(&rig.table, &contact, now);
    }
    while ((bucket = haul_kad_table_refresh(&rig.table, now, 60 * HAUL_SECOND)) >= 0) {
        struct haul_kad_contact target = kad_rig_contact(7000 + looked);

        haul_kad_table_region(&rig.table, (unsigned)bucket, &target.key);
        CU_ASSERT_EQUAL(haul_kad_shared_bits(&target.key, &rig.table.own), bucket);
        haul_kad_table_looked(&rig.table, &target.key, now);
        CU_ASSERT_FATAL(looked++ < HAUL_KAD_REFRESH_BUCKETS);
    }
    CU_ASSERT(looked >= 5);
    CU_ASSERT_EQUAL(haul_kad_table_refresh(&rig.table, now + 61 * HAUL_SECOND, 60 * HAUL_SECOND),
                    0);
}

static const struct unit_test tests[] = {
    { "the nearest are those that a full search finds",
      the_nearest_are_those_that_a_full_search_finds },
    { "a bucket holds 20 and the table never ourselves",
      a_bucket_holds_20_and_the_table_never_ourselves },
    { "one that fails is not told, and the second time dropped",
      one_that_fails_is_not_told_and_the_second_time_dropped },
    { "one that answers takes the place of one that failed",
      one_that_answers_takes_the_place_of_one_that_failed },
    { "one network fills neither a bucket nor the table",
      one_network_fills_neither_a_bucket_nor_the_table },
    { "a full memory is counted and used again", a_full_memory_is_counted_and_used_again },
    { "the longest silent is checked first and not twice",
      the_longest_silent_is_checked_first_and_not_twice },
    { "every region is due once a period", every_region_is_due_once_a_period },
};

int main(void)
{
    return unit_main("kad table", tests, HAUL_COUNT_OF(tests));
}
