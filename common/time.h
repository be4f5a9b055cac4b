/* Points in time and spans of it, both in nanoseconds. There is no clock in here: whoever owns a
 * loop reads the clock (common/clock.h) once a turn and hands the value down. */
#pragma once

#include <stdint.h>

typedef uint64_t haul_time;

#define HAUL_TIME_NEVER  UINT64_MAX
#define HAUL_MICROSECOND ((haul_time)1000)
#define HAUL_MILLISECOND ((haul_time)1000000)
#define HAUL_SECOND      ((haul_time)1000000000)

static inline haul_time haul_time_min(haul_time a, haul_time b)
{
    return a < b ? a : b;
}

static inline haul_time haul_time_max(haul_time a, haul_time b)
{
    return a > b ? a : b;
}

/* The sum, or HAUL_TIME_NEVER where it would pass the end of time. */
static inline haul_time haul_time_add(haul_time at, haul_time span)
{
    return span > HAUL_TIME_NEVER - at ? HAUL_TIME_NEVER : at + span;
}

/* How long after `from` is `to`; zero when it is not after. */
static inline haul_time haul_time_since(haul_time from, haul_time to)
{
    return to > from ? to - from : 0;
}
