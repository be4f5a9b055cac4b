/* One pattern, made once from a fixed seed, and stamps. */
#include "common/synthetic.h"

#include "common/rng.h"

#include <pthread.h>
#include <string.h>

#define PAGE_BYTES 4096u
/* The same on every machine: CIDs of generated data are comparable. */
#define SEED 0x6861756cu

static uint8_t pattern[HAUL_BLOCK_BYTES_MAX]; /* written once, then only read */

static void pattern_make(void)
{
    struct haul_rng rng;

    haul_rng_init(&rng, SEED);
    haul_rng_fill(&rng, pattern, sizeof pattern);
}

void haul_synthetic_stamp(uint8_t *block, size_t bytes, uint64_t number)
{
    uint8_t stamp[8];

    for (size_t i = 0; i < sizeof stamp; i++)
        stamp[i] = (uint8_t)(number >> (8 * i));
    for (size_t at = 0; at < bytes; at += PAGE_BYTES)
        memcpy(block + at, stamp, bytes - at < sizeof stamp ? bytes - at : sizeof stamp);
}

void haul_synthetic_fill(uint8_t *block, size_t bytes, uint64_t number)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    haul_assert(bytes <= sizeof pattern);
    pthread_once(&once, pattern_make);
    memcpy(block, pattern, bytes);
    haul_synthetic_stamp(block, bytes, number);
}
