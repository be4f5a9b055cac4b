/* Windows of numbers against a plain set. */
#include "dataplane/flow/seen.h"

#include "common/rng.h"
#include "tests/unit/unit.h"

#include <string.h>

#define NUMBERS 600000u

static uint8_t model[NUMBERS]; /* bit 0: arrived, bit 1: as control */
static struct haul_seen seen;

static void numbers_in_order_are_one_range(void)
{
    haul_seen_init(&seen);
    for (uint64_t i = 5; i < 1000; i++)
        CU_ASSERT_TRUE(haul_seen_add(&seen, i, false));
    CU_ASSERT_EQUAL(seen.range_count, 1);
    CU_ASSERT_EQUAL(seen.ranges[0].first, 5);
    CU_ASSERT_EQUAL(seen.ranges[0].last, 999);
    CU_ASSERT_FALSE(haul_seen_add(&seen, 7, false));
    CU_ASSERT_EQUAL(seen.range_count, 1);
}

static void holes_close_from_both_sides(void)
{
    static const uint64_t order[] = { 1, 3, 5, 7, 4, 2, 6 };

    haul_seen_init(&seen);
    for (size_t i = 0; i < HAUL_COUNT_OF(order); i++) {
        haul_seen_add(&seen, order[i], false);
        CU_ASSERT_PTR_NULL(haul_seen_broken(&seen));
    }
    CU_ASSERT_EQUAL(seen.range_count, 1);
    CU_ASSERT_EQUAL(seen.ranges[0].first, 1);
    CU_ASSERT_EQUAL(seen.ranges[0].last, 7);
}

static void too_many_ranges_forget_the_oldest(void)
{
    haul_seen_init(&seen);
    for (uint64_t i = 0; i < 2 * HAUL_SEEN_RANGES_MAX; i++)
        haul_seen_add(&seen, 2 * i, false);
    CU_ASSERT_EQUAL(seen.range_count, HAUL_SEEN_RANGES_MAX);
    CU_ASSERT_EQUAL(seen.ranges[0].last, 4 * HAUL_SEEN_RANGES_MAX - 2);
    CU_ASSERT_EQUAL(seen.ranges[HAUL_SEEN_RANGES_MAX - 1].first, 2 * HAUL_SEEN_RANGES_MAX);
    haul_seen_add(&seen, 1, false);
    CU_ASSERT_EQUAL(seen.range_count, HAUL_SEEN_RANGES_MAX);
    CU_ASSERT_PTR_NULL(haul_seen_broken(&seen));
}

/* Every control number is taken once and never again, in any order and across any jump; what is
 * told of in ranges is a subset of what arrived. */
static void no_control_number_is_taken_twice(void)
{
    struct haul_rng rng;
    uint64_t top = 0;

    haul_rng_init(&rng, 9);
    haul_seen_init(&seen);
    memset(model, 0, sizeof model);
    for (unsigned i = 0; i < 400000; i++) {
        uint64_t back = haul_rng_below(&rng, haul_rng_chance(&rng, 1000) ? 200000 : 200);
        uint64_t number = top + 4 > back ? top + 4 - back : 0;
        bool control = haul_rng_chance(&rng, 300000);

        if (haul_rng_chance(&rng, 5))
            number = top + haul_rng_below(&rng, 140000);
        if (number >= NUMBERS)
            break;
        if (haul_seen_old(&seen, number)) {
            CU_ASSERT_TRUE(top - number >= HAUL_SEEN_WINDOW);
            continue;
        }
        if (control) {
            bool before = (model[number] & 2) != 0;

            if (haul_seen_replayed(&seen, number) != before)
                CU_FAIL("a control number was taken twice, or a fresh one refused");
            if (before)
                continue;
            model[number] |= 2;
        }
        model[number] |= 1;
        haul_seen_add(&seen, number, control);
        top = number > top ? number : top;
    }
    CU_ASSERT_PTR_NULL(haul_seen_broken(&seen));
    for (size_t i = 0; i < seen.range_count; i++) {
        for (uint64_t number = seen.ranges[i].first; number <= seen.ranges[i].last; number++) {
            if (model[number] == 0)
                CU_FAIL("a number is told of that did not arrive");
        }
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "numbers in order are one range", numbers_in_order_are_one_range },
        { "holes close from both sides", holes_close_from_both_sides },
        { "too many ranges forget the oldest", too_many_ranges_forget_the_oldest },
        { "no control number is taken twice", no_control_number_is_taken_twice },
    };

    return unit_main("seen", tests, HAUL_COUNT_OF(tests));
}
