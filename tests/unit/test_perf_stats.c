/* Arithmetic of rate tests. */
#include "controlplane/cmd/perf_stats.h"
#include "tests/unit/unit.h"

static void a_spread_has_linear_quartiles(void)
{
    double values[] = { 5, 1, 4, 2, 3 };
    double even[] = { 4, 1, 3, 2 };
    struct haul_perf_spread spread;

    haul_perf_spread(values, 5, &spread);
    CU_ASSERT_EQUAL(spread.count, 5);
    CU_ASSERT_DOUBLE_EQUAL(spread.min, 1, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.q1, 2, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.median, 3, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.q3, 4, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.max, 5, 1e-9);
    haul_perf_spread(even, 4, &spread);
    CU_ASSERT_DOUBLE_EQUAL(spread.median, 2.5, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.q1, 1.75, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.q3, 3.25, 1e-9);
}

static void one_value_is_its_own_spread_and_none_is_zero(void)
{
    struct haul_perf_spread spread;
    double value = 7;

    haul_perf_spread(&value, 1, &spread);
    CU_ASSERT_DOUBLE_EQUAL(spread.min, 7, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.median, 7, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(spread.max, 7, 1e-9);
    haul_perf_spread(&value, 0, &spread);
    CU_ASSERT_EQUAL(spread.count, 0);
    CU_ASSERT_DOUBLE_EQUAL(spread.median, 0, 1e-9);
}

static void a_placement_holds_within_its_class_and_ratio_only(void)
{
    struct haul_placement before = { .class = HAUL_PLACEMENT_FAR, .round_trip_ns = 300 };
    struct haul_placement after = before;

    after.round_trip_ns = 470;
    CU_ASSERT_TRUE(haul_perf_placement_held(&before, &after));
    CU_ASSERT_TRUE(haul_perf_placement_held(&after, &before));
    after.round_trip_ns = 490;
    CU_ASSERT_FALSE(haul_perf_placement_held(&before, &after));
    CU_ASSERT_FALSE(haul_perf_placement_held(&after, &before));
    after = before;
    after.class = HAUL_PLACEMENT_NEAR;
    CU_ASSERT_FALSE(haul_perf_placement_held(&before, &after));
}

static void a_machine_with_one_core_has_one_placement(void)
{
    struct haul_placement alone = { .class = HAUL_PLACEMENT_ALONE };

    CU_ASSERT_TRUE(haul_perf_placement_held(&alone, &alone));
}

static void runs_add_up_to_the_total(void)
{
    CU_ASSERT_EQUAL(haul_perf_runs_for(2, 8), 4);
    CU_ASSERT_EQUAL(haul_perf_runs_for(3, 8), 3);
    CU_ASSERT_EQUAL(haul_perf_runs_for(8, 8), 1);
    CU_ASSERT_EQUAL(haul_perf_runs_for(9, 8), 1);
    CU_ASSERT_EQUAL(haul_perf_runs_for(1, 8), 8);
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "a spread has linear quartiles", a_spread_has_linear_quartiles },
        { "one value is its own spread, and none is zero",
          one_value_is_its_own_spread_and_none_is_zero },
        { "a placement holds within its class and ratio only",
          a_placement_holds_within_its_class_and_ratio_only },
        { "a machine with one core has one placement", a_machine_with_one_core_has_one_placement },
        { "runs add up to the total", runs_add_up_to_the_total },
    };

    return unit_main("perf_stats", tests, sizeof tests / sizeof tests[0]);
}
