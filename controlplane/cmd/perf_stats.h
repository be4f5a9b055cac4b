/* Arithmetic of rate tests: how values spread, and whether two placements may be compared. Pure. */
#pragma once

#include "hw/placement.h"

struct haul_perf_spread {
    size_t count;
    double min, q1, median, q3, max; /* quartiles between values are linear */
};

/* Sorts the values in place. Without values everything is zero. */
void haul_perf_spread(double *values, size_t count, struct haul_perf_spread *spread);

/* How much a round trip may change before the cores must have been moved. */
#define HAUL_PERF_PLACEMENT_RATIO 1.6

/* What was measured between these two placements had one placement throughout. */
bool haul_perf_placement_held(const struct haul_placement *before,
                              const struct haul_placement *after);

/* Runs of `size` bytes that move `total` or more; at least one. */
uint64_t haul_perf_runs_for(uint64_t size, uint64_t total);
