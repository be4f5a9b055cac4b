/* What peers say of where we are: believed when enough networks agree, bounded, and for a time. */
#include "controlplane/p2p/nat/observed.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct haul_observed observed;

static struct haul_addr addr(uint8_t a, uint8_t b, uint8_t d, uint16_t port)
{
    return (struct haul_addr){ .family = 4, .ip = { a, b, 0, d }, .port = port };
}

static void note(const struct haul_addr *seen, bool exact, uint8_t network, haul_time now)
{
    struct haul_addr observer = addr(8, network, 7, 4001);

    haul_observed_note(&observed, seen, exact, &observer, now);
}

static size_t confirmed(haul_time now, bool *exact)
{
    struct haul_observed_address found[HAUL_OBSERVED_ADDRESSES_MAX];
    size_t count = haul_observed_confirmed(&observed, now, found, HAUL_COUNT_OF(found));

    if (count > 0 && exact != NULL)
        *exact = found[0].exact;
    return count;
}

static void an_address_counts_when_three_networks_have_seen_it(void)
{
    struct haul_addr seen = addr(9, 9, 9, 4501);
    bool exact = false;

    haul_observed_init(&observed);
    for (uint8_t i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(confirmed(1, NULL), 0);
        note(&seen, true, i, 1);
    }
    CU_ASSERT_EQUAL(confirmed(1, &exact), 1);
    CU_ASSERT_TRUE(exact);
}

static void many_peers_of_one_network_have_one_voice(void)
{
    struct haul_addr seen = addr(9, 9, 9, 4501);

    haul_observed_init(&observed);
    for (uint8_t i = 0; i < 200; i++) {
        struct haul_addr observer = addr(8, 1, i, 4001);

        haul_observed_note(&observed, &seen, true, &observer, 1);
    }
    CU_ASSERT_EQUAL(confirmed(1, NULL), 0);
}

static void guessed_ports_are_told_apart_and_do_not_blur_seen_ones(void)
{
    struct haul_addr seen = addr(9, 9, 9, 4501);
    bool exact = true;

    haul_observed_init(&observed);
    for (uint8_t i = 1; i <= 3; i++)
        note(&seen, i > 1, i, 1);
    CU_ASSERT_EQUAL(confirmed(1, &exact), 1);
    CU_ASSERT_FALSE(exact);
    note(&seen, true, 1, 2);
    note(&seen, false, 1, 3);
    CU_ASSERT_EQUAL(confirmed(3, &exact), 1);
    CU_ASSERT_TRUE(exact);
}

static void sights_expire(void)
{
    struct haul_addr seen = addr(9, 9, 9, 4501);

    haul_observed_init(&observed);
    for (uint8_t i = 1; i <= 3; i++)
        note(&seen, true, i, i);
    CU_ASSERT_EQUAL(confirmed(HAUL_OBSERVED_LIFE, NULL), 1);
    CU_ASSERT_EQUAL(confirmed(HAUL_OBSERVED_LIFE + 1, NULL), 0);
    note(&seen, true, 1, HAUL_OBSERVED_LIFE + 1);
    CU_ASSERT_EQUAL(confirmed(HAUL_OBSERVED_LIFE + 1, NULL), 1);
    CU_ASSERT_EQUAL(confirmed(HAUL_TIME_NEVER, NULL), 0);
}

static void private_addresses_and_private_observers_do_not_count(void)
{
    struct haul_addr seen = addr(9, 9, 9, 4501), inside = addr(10, 0, 1, 4501);
    struct haul_addr none = addr(9, 9, 9, 0);

    haul_observed_init(&observed);
    for (uint8_t i = 1; i <= 4; i++) {
        struct haul_addr neighbour = addr(10, i, 1, 4001);

        haul_observed_note(&observed, &seen, true, &neighbour, 1);
        note(&inside, true, i, 1);
        note(&none, true, i, 1);
    }
    CU_ASSERT_EQUAL(confirmed(1, NULL), 0);
    CU_ASSERT_EQUAL(observed.counters.observed_passed_over, 12);
    CU_ASSERT_EQUAL(observed.counters.observed_noted, 0);
}

/* A network that names a thousand addresses pushes out neither a confirmed nor a growing one. */
static void one_network_cannot_push_out_what_others_say(void)
{
    struct haul_addr seen = addr(9, 9, 9, 4501), growing = addr(9, 9, 8, 4501);

    haul_observed_init(&observed);
    for (uint8_t i = 1; i <= 3; i++)
        note(&seen, true, i, 1);
    note(&growing, true, 1, 1);
    for (uint16_t i = 1; i < 1000; i++) {
        struct haul_addr lie = addr(9, 8, 1, i);

        note(&lie, true, 200, 2);
    }
    CU_ASSERT_EQUAL(confirmed(2, NULL), 1);
    note(&growing, true, 2, 3);
    note(&growing, true, 3, 3);
    CU_ASSERT_EQUAL(confirmed(3, NULL), 2);
}

static void the_table_is_bounded_whatever_many_networks_say(void)
{
    haul_observed_init(&observed);
    for (uint16_t i = 1; i < 2000; i++) {
        struct haul_addr lie = addr(9, 8, 1, i);

        note(&lie, true, (uint8_t)i, i);
    }
    CU_ASSERT_EQUAL(confirmed(2000, NULL), 0);
    CU_ASSERT_TRUE(observed.counters.observed_evicted > 1000);
}

int main(void)
{
#define T(name)                                                                                    \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct unit_test tests[] = {
        T(an_address_counts_when_three_networks_have_seen_it),
        T(many_peers_of_one_network_have_one_voice),
        T(guessed_ports_are_told_apart_and_do_not_blur_seen_ones),
        T(sights_expire),
        T(private_addresses_and_private_observers_do_not_count),
        T(one_network_cannot_push_out_what_others_say),
        T(the_table_is_bounded_whatever_many_networks_say),
    };
#undef T

    return unit_main("observed", tests, HAUL_COUNT_OF(tests));
}
