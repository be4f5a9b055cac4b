/* The placement of the cores: a plausible figure on any machine, in the time that was allowed. */
#include "hw/placement.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <time.h>

/* In the time that was allowed; other load may stretch it, never without a bound. */
static void measure(struct haul_placement *placement)
{
    struct timespec begin, end;
    double seconds;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    haul_placement_measure(placement, 20, true);
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    CU_ASSERT_TRUE(seconds < 10);
}

static bool is_plausible(const struct haul_placement *placement)
{
    return placement->round_trip_ns > 5 && placement->both_over_one > 0.1 &&
           placement->both_over_one < 10;
}

/* Whoever takes a core in the middle of it, for a time as long as the measurement, makes any figure
 * of it: then it is measured again. */
static void a_measurement_is_plausible_and_short(void)
{
    struct haul_placement placement;

    measure(&placement);
    if (placement.class == HAUL_PLACEMENT_ALONE) {
        CU_ASSERT_EQUAL(placement.round_trip_ns, 0);
        return;
    }
    for (unsigned tries = 0; tries < 20 && !is_plausible(&placement); tries++)
        measure(&placement);
    CU_ASSERT_TRUE(placement.round_trip_ns > 5);
    CU_ASSERT_TRUE(placement.both_over_one > 0.1);
    CU_ASSERT_TRUE(placement.both_over_one < 10);
}

static void every_class_has_a_name(void)
{
    CU_ASSERT_EQUAL(strcmp(haul_placement_name(HAUL_PLACEMENT_ALONE), "alone"), 0);
    CU_ASSERT_EQUAL(strcmp(haul_placement_name(HAUL_PLACEMENT_NEAR), "near"), 0);
    CU_ASSERT_EQUAL(strcmp(haul_placement_name(HAUL_PLACEMENT_FAR), "far"), 0);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a measurement is plausible and short", a_measurement_is_plausible_and_short },
        { "every class has a name", every_class_has_a_name },
    };

    return unit_main("placement", tests, HAUL_COUNT_OF(tests));
}
