/* A seeded generator (xoshiro256**) for everything that must replay from a seed: the simulator,
 * jitter, challenge data in simulation. Not for keys: those come from the crypto library. */
#pragma once

#include "common/base.h"

struct haul_rng {
    uint64_t state[4];
};

void haul_rng_init(struct haul_rng *rng, uint64_t seed);
uint64_t haul_rng_next(struct haul_rng *rng);

/* Uniform in [0, bound); bound is not zero. */
uint64_t haul_rng_below(struct haul_rng *rng, uint64_t bound);

/* True with a probability of parts in a million. */
bool haul_rng_chance(struct haul_rng *rng, uint32_t parts_per_million);
void haul_rng_fill(struct haul_rng *rng, void *data, size_t bytes);
