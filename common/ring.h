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

/* For whoever puts a wake-up beside a ring, so that it is written only when somebody sleeps: the
 * consumer, having found the ring empty, dozes and must then look at the ring again before it
 * sleeps. The producer, having pushed, rouses: true when the consumer dozed, and then the wake-up
 * is the caller's to write. A wake-up may come when the consumer has woken by itself: it must be
 * prepared for one that finds nothing. A fresh ring dozes. Any number of threads may rouse. */
void haul_ring_doze(struct haul_ring *ring);
void haul_ring_stir(struct haul_ring *ring); /* the consumer is awake by itself */
HAUL_MUST_USE bool haul_ring_rouse(struct haul_ring *ring);
