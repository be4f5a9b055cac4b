/* The seeded generator: the same numbers for ever, and even where it must be. */
#include "common/rng.h"
#include "tests/unit/unit.h"

static void a_seed_gives_the_same_numbers_for_ever(void)
{
    /* xoshiro256** from splitmix64(0): the state spread from the seed is published with splitmix64,
     * the outputs follow from it. */
    static const uint64_t state[] = { 0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f,
                                      0xf88bb8a8724c81ec };
    static const uint64_t expected[] = { 0x99ec5f36cb75f2b4, 0xbf6e1f784956452a };
    struct haul_rng rng, again;

    haul_rng_init(&rng, 0);
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(rng.state[i], state[i]);
    for (size_t i = 0; i < HAUL_COUNT_OF(expected); i++)
        CU_ASSERT_EQUAL(haul_rng_next(&rng), expected[i]);
    haul_rng_init(&again, 1);
    haul_rng_init(&rng, 1);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(haul_rng_next(&rng), haul_rng_next(&again));
}

static void bounded_numbers_are_even_and_below_the_bound(void)
{
    uint32_t seen[7] = { 0 };
    struct haul_rng rng;

    haul_rng_init(&rng, 2);
    for (int i = 0; i < 70000; i++) {
        uint64_t value = haul_rng_below(&rng, 7);

        CU_ASSERT_TRUE_FATAL(value < 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++)
        CU_ASSERT_TRUE(seen[i] > 9500 && seen[i] < 10500);
    CU_ASSERT_EQUAL(haul_rng_below(&rng, 1), 0);
    CU_ASSERT_TRUE(haul_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void chances_come_true_as_often_as_asked(void)
{
    struct haul_rng rng;
    int hits = 0;

    haul_rng_init(&rng, 3);
    for (int i = 0; i < 100000; i++)
        hits += haul_rng_chance(&rng, 100000);
    CU_ASSERT_TRUE(hits > 9500 && hits < 10500);
    CU_ASSERT_FALSE(haul_rng_chance(&rng, 0));
    CU_ASSERT_TRUE(haul_rng_chance(&rng, 1000000));
}

static void a_filled_buffer_is_little_endian_numbers(void)
{
    uint8_t data[11] = { 0 };
    struct haul_rng rng, same;
    uint64_t first;

    haul_rng_init(&rng, 4);
    haul_rng_init(&same, 4);
    haul_rng_fill(&rng, data, 10);
    first = haul_rng_next(&same);
    for (size_t i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(data[i], (uint8_t)(first >> (8 * i)));
    CU_ASSERT_EQUAL(data[10], 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a seed gives the same numbers for ever", a_seed_gives_the_same_numbers_for_ever },
        { "bounded numbers are even and below the bound",
          bounded_numbers_are_even_and_below_the_bound },
        { "chances come true as often as asked", chances_come_true_as_often_as_asked },
        { "a filled buffer is little-endian numbers", a_filled_buffer_is_little_endian_numbers },
    };

    return unit_main("rng", tests, HAUL_COUNT_OF(tests));
}
