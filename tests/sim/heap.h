/* The simulator's agenda: a binary heap of events ordered by time, then by when they were pushed,
 * so that one seed has one order. */
#pragma once

#include "common/base.h"
#include "common/time.h"

struct sim_event {
    haul_time at;
    uint64_t order;
    uint32_t kind;
    uint32_t index;
};

struct sim_heap {
    struct sim_event *events;
    size_t count;
    size_t capacity;
    uint64_t order;
};

void sim_heap_push(struct sim_heap *heap, haul_time at, uint32_t kind, uint32_t index);
bool sim_heap_pop(struct sim_heap *heap, struct sim_event *event);
void sim_heap_clear(struct sim_heap *heap); /* keeps the memory */
void sim_heap_fini(struct sim_heap *heap);
