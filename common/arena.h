/* One mapped region, carved at start and unmapped as a whole at the end: slots, train buffers.
 * Prefers huge pages (MAP_HUGETLB when the machine has free ones, else madvise), and never swaps
 * pages of another process out to get them. Not thread-safe: carve first, then start threads. */
#pragma once

#include "common/base.h"

struct haul_arena {
    uint8_t *base;
    size_t bytes;
    size_t used;
    bool huge; /* backed by explicit huge pages */
};

HAUL_MUST_USE int haul_arena_open(struct haul_arena *arena, size_t bytes); /* 0 or -errno */
void haul_arena_close(struct haul_arena *arena);

/* Zeroed memory at a power-of-two alignment; NULL when the arena is exhausted. */
void *haul_arena_take(struct haul_arena *arena, size_t bytes, size_t alignment);
