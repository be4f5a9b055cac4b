/* Counters that one thread writes and any thread reads: aligned 64-bit values that only grow,
 * relaxed on both sides. A reader may see one counter ahead of another, never half of one. With the
 * ring, the only place where atomics are used. Each module declares its counters once, as a table
 * X(name, help), and expands it into a struct of uint64_t and into its listing. */
#pragma once

#include "common/base.h"

static inline void haul_counter_add(uint64_t *counter, uint64_t amount)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + amount,
                     __ATOMIC_RELAXED);
}

static inline void haul_counter_set(uint64_t *gauge, uint64_t value)
{
    __atomic_store_n(gauge, value, __ATOMIC_RELAXED);
}

static inline uint64_t haul_counter_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* One line of a listing: tables of these are what status, metrics and the docs loop over. */
struct haul_counter_info {
    const char *name;
    const char *help;
    size_t at; /* offset of the value in its struct */
};
