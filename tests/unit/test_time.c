/* Times that peers say, and sums with them. */
#include "common/time.h"

#include "common/base.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

#include <stdint.h>

static void sums_end_at_the_end_of_time(void)
{
    static const haul_time cases[][3] = {
        { 1, 2, 3 },
        { 0, HAUL_TIME_NEVER, HAUL_TIME_NEVER },
        { HAUL_TIME_NEVER, 0, HAUL_TIME_NEVER },
        { HAUL_TIME_NEVER, 1, HAUL_TIME_NEVER },
        { HAUL_TIME_NEVER, HAUL_TIME_NEVER, HAUL_TIME_NEVER },
        { HAUL_TIME_NEVER - 1, 2, HAUL_TIME_NEVER },
        { UINT64_MAX / 2 + 1, UINT64_MAX / 2 + 1, HAUL_TIME_NEVER },
    };

    for (size_t i = 0; i < HAUL_COUNT_OF(cases); i++)
        CU_ASSERT_EQUAL(haul_time_add(cases[i][0], cases[i][1]), cases[i][2]);
}

static void spans_do_not_wrap_when_the_clock_is_behind(void)
{
    CU_ASSERT_EQUAL(haul_time_since(5, 7), 2);
    CU_ASSERT_EQUAL(haul_time_since(7, 5), 0);
    CU_ASSERT_EQUAL(haul_time_since(HAUL_TIME_NEVER, 0), 0);
}

static void the_clock_never_goes_back(void)
{
    haul_time before = haul_clock_read();

    CU_ASSERT(before > 0);
    for (unsigned i = 0; i < 1000; i++) {
        haul_time now = haul_clock_read();

        CU_ASSERT(now >= before);
        before = now;
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        { "sums end at the end of time", sums_end_at_the_end_of_time },
        { "spans do not wrap when the clock is behind",
          spans_do_not_wrap_when_the_clock_is_behind },
        { "the clock never goes back", the_clock_never_goes_back },
    };

    return unit_main("time", tests, HAUL_COUNT_OF(tests));
}
