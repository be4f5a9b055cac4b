/* haul-placement: how far the two cores are from each other at this moment, as one JSON line, for
 * measurements that are scripts. */
#include "hw/placement.h"

#include <stdio.h>

int main(void)
{
    struct haul_placement placement;

    haul_placement_measure(&placement, 100, false);
    printf("{\"class\":\"%s\",\"round_trip_ns\":%.0f}\n", haul_placement_name(placement.class),
           placement.round_trip_ns);
    return 0;
}
