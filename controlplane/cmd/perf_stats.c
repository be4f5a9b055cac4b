#include "controlplane/cmd/perf_stats.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value below which `share` of the sorted values lie. */
static double quantile(const double *values, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t below = (size_t)at;
    double rest = at - (double)below;

    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + rest * (values[below + 1] - values[below]);
}

void haul_perf_spread(double *values, size_t count, struct haul_perf_spread *spread)
{
    *spread = (struct haul_perf_spread){ .count = count };
    if (count == 0)
        return;
    qsort(values, count, sizeof *values, by_value);
    spread->min = values[0];
    spread->q1 = quantile(values, count, 0.25);
    spread->median = quantile(values, count, 0.5);
    spread->q3 = quantile(values, count, 0.75);
    spread->max = values[count - 1];
}

bool haul_perf_placement_held(const struct haul_placement *before,
                              const struct haul_placement *after)
{
    if (before->class != after->class)
        return false;
    return before->round_trip_ns <= after->round_trip_ns * HAUL_PERF_PLACEMENT_RATIO &&
           after->round_trip_ns <= before->round_trip_ns * HAUL_PERF_PLACEMENT_RATIO;
}

uint64_t haul_perf_runs_for(uint64_t size, uint64_t total)
{
    return size == 0 || size >= total ? 1 : (total - 1) / size + 1;
}
