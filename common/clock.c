#include "common/clock.h"

#include <time.h>

haul_time haul_clock_read(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (haul_time)now.tv_sec * HAUL_SECOND + (haul_time)now.tv_nsec;
}
