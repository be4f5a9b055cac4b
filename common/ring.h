/* A single-producer single-consumer ring of fixed-size cells: the only way data crosses between
 * two threads. Push and pull never wait and never allocate. The one place, with counters, where
 * atomics are used. */
#pragma once

#include "common/base.h"

struct haul_ring; /* opaque; made at start, freed at the end */

/* `cells` is a power of two; memory is allocated here. NULL when there is none. */
struct haul_ring *haul_ring_open(uint32_t cells, uint32_t cell_bytes);
void haul_ring_close(struct haul_ring *ring);

/* Producer's side. False when the ring is full: nothing was taken. */
HAUL_MUST_USE bool haul_ring_push(struct haul_ring *ring, const void *cell);

/* Consumer's side. False when the ring is empty. */
HAUL_MUST_USE bool haul_ring_pull(struct haul_ring *ring, void *cell);

/* Cells in use, from either side; exact for the caller's own side, a bound for the other. */
uint32_t haul_ring_used(const struct haul_ring *ring);
uint32_t haul_ring_cells(const struct haul_ring *ring);

/* A mark for whoever puts a wake-up beside a ring: the producer raises it after each wake-up, the
 * consumer lowers it before it takes the wake-up away and pulls once more. So a consumer that finds
 * the ring empty knows whether there is a wake-up to take, without asking the kernel. */
void haul_ring_raise(struct haul_ring *ring);
bool haul_ring_raised(const struct haul_ring *ring);
void haul_ring_lower(struct haul_ring *ring);
