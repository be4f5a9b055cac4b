/* Where the host has put our cores: the time one cache line takes from one core to another and
 * back. On a rented machine it changes within seconds, and every figure that two cores make
 * together changes with it by two or three times, so a measurement is preceded and followed by this
 * one and is compared only within one class. */
#pragma once

#include "common/base.h"

enum haul_placement_class {
    HAUL_PLACEMENT_ALONE, /* only one core to run on */
    HAUL_PLACEMENT_NEAR,  /* hyperthreads of one core, or cores that share a cache */
    HAUL_PLACEMENT_FAR,   /* every shared line crosses a fabric */
};

struct haul_placement {
    enum haul_placement_class class;
    double round_trip_ns;   /* median over short batches; 0 when alone, or nobody answered */
    double both_over_one;   /* work of two cores at once over that of one: 2 is two real cores,
                               about 1 is two hyperthreads of one; 0 when not measured */
    double load_one_minute; /* the machine's load average at that moment */
};

/* Takes about `milliseconds`. Pins two threads of its own to the first two cores this process may
 * use. `compute` also measures both_over_one, which takes as long again. Any thread. */
void haul_placement_measure(struct haul_placement *placement, unsigned milliseconds, bool compute);

const char *haul_placement_name(enum haul_placement_class class);
