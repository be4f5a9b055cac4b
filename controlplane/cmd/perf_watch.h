/* What every rate test watches while it measures: whether it was interrupted, and where the host
 * has put the cores. */
#pragma once

#include "hw/placement.h"

#include <signal.h>

/* Set by SIGINT, SIGTERM and SIGHUP once they are watched; everything that waits looks at it. */
extern volatile sig_atomic_t haul_perf_interrupted;
void haul_perf_signals_watch(void);

/* The quickest of a few short measurements: load only adds. Some milliseconds. */
void haul_perf_placement_take(struct haul_placement *placement);

/* How often a measurement is made again because its placement did not hold. */
#define HAUL_PERF_REPEATS_MAX 8u
