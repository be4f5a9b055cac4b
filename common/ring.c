/* Each side owns one index and keeps a copy of the other's, which it looks at again only when the
 * copy says full or empty: in steady flow a push touches no line that the consumer writes. Indices
 * run freely and wrap; their difference is the number of cells in use. */
#include "common/ring.h"

#include <stdlib.h>
#include <string.h>

#define LINE 128u /* two lines: processors fetch neighbours in pairs */

struct haul_ring {
    _Alignas(LINE) uint32_t cells;
    uint32_t cell_bytes;
    uint8_t *data;
    _Alignas(LINE) uint32_t head; /* next to write; the producer's */
    uint32_t tail_seen;
    _Alignas(LINE) uint32_t tail; /* next to read; the consumer's */
    uint32_t head_seen;
    _Alignas(LINE) uint32_t dozing;
};

struct haul_ring *haul_ring_open(uint32_t cells, uint32_t cell_bytes)
{
    struct haul_ring *ring = aligned_alloc(LINE, sizeof *ring);

    haul_assert(cells > 0 && (cells & (cells - 1)) == 0 && cell_bytes > 0);
    if (ring == NULL)
        return NULL;
    memset(ring, 0, sizeof *ring);
    ring->cells = cells;
    ring->dozing = 1;
    ring->cell_bytes = cell_bytes;
    ring->data = aligned_alloc(LINE, ((size_t)cells * cell_bytes + LINE - 1) / LINE * LINE);
    if (ring->data == NULL) {
        free(ring);
        return NULL;
    }
    return ring;
}

void haul_ring_close(struct haul_ring *ring)
{
    if (ring == NULL)
        return;
    free(ring->data);
    free(ring);
}

static uint8_t *ring_cell(const struct haul_ring *ring, uint32_t index)
{
    return ring->data + (size_t)(index & (ring->cells - 1)) * ring->cell_bytes;
}

bool haul_ring_push(struct haul_ring *ring, const void *cell)
{
    uint32_t head = ring->head;

    if (head - ring->tail_seen == ring->cells) {
        ring->tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        if (head - ring->tail_seen == ring->cells)
            return false;
    }
    memcpy(ring_cell(ring, head), cell, ring->cell_bytes);
    __atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
    return true;
}

bool haul_ring_pull(struct haul_ring *ring, void *cell)
{
    uint32_t tail = ring->tail;

    if (tail == ring->head_seen) {
        ring->head_seen = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        if (tail == ring->head_seen)
            return false;
    }
    memcpy(cell, ring_cell(ring, tail), ring->cell_bytes);
    __atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
    return true;
}

uint32_t haul_ring_used(const struct haul_ring *ring)
{
    /* The tail first: read the other way round, the difference could go below zero. */
    uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    uint32_t used = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - tail;

    return used < ring->cells ? used : ring->cells;
}

uint32_t haul_ring_cells(const struct haul_ring *ring)
{
    return ring->cells;
}

void haul_ring_doze(struct haul_ring *ring)
{
    __atomic_store_n(&ring->dozing, 1, __ATOMIC_SEQ_CST);
    /* The look at the ring that follows must not pass this store, as the producer's look at it must
     * not pass its push: one of the two sees the other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void haul_ring_stir(struct haul_ring *ring)
{
    __atomic_store_n(&ring->dozing, 0, __ATOMIC_RELAXED);
}

bool haul_ring_rouse(struct haul_ring *ring)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->dozing, __ATOMIC_RELAXED) == 0)
        return false;
    return __atomic_exchange_n(&ring->dozing, 0, __ATOMIC_SEQ_CST) != 0;
}
