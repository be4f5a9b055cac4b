/* xoshiro256** 1.0 (Blackman and Vigna), its state spread from the seed by splitmix64, which cannot
 * give the one forbidden state of all zeros. The same numbers with every compiler and byte order.
 */
#include "common/rng.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

void haul_rng_init(struct haul_rng *rng, uint64_t seed)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(rng->state); i++)
        rng->state[i] = splitmix(&seed);
}

uint64_t haul_rng_next(struct haul_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t mixed = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= mixed;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t haul_rng_below(struct haul_rng *rng, uint64_t bound)
{
    uint64_t excess, value;

    haul_assert(bound > 0);
    excess =
        (0 - bound) % bound; /* 2^64 modulo bound: so many lowest values would come too often */
    do {
        value = haul_rng_next(rng);
    } while (value < excess);
    return value % bound;
}

bool haul_rng_chance(struct haul_rng *rng, uint32_t parts_per_million)
{
    return haul_rng_below(rng, 1000000) < parts_per_million;
}

void haul_rng_fill(struct haul_rng *rng, void *data, size_t bytes)
{
    uint8_t *at = data;
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (i % 8 == 0)
            value = haul_rng_next(rng);
        at[i] = (uint8_t)value;
        value >>= 8;
    }
}
