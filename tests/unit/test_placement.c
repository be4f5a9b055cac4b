/* The placement of the cores: a plausible figure on any machine, in the time that was allowed. */
#include "hw/placement.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <time.h>

static void a_measurement_is_plausible_and_short(void)
{
    struct haul_placement placement;
    struct timespec begin, end;
    double seconds;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    haul_placement_measure(&placement, 20, true);
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    CU_ASSERT_TRUE(seconds < 10); /* other load may stretch it, never without a bound */
    if (placement.class == HAUL_PLACEMENT_ALONE) {
        CU_ASSERT_EQUAL(placement.round_trip_ns, 0);
        return;
    }
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
