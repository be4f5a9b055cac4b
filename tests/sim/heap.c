#include "tests/sim/heap.h"

#include <stdlib.h>

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_heap_push(struct sim_heap *heap, haul_time at, uint32_t kind, uint32_t index)
{
    struct sim_event event = { at, heap->order++, kind, index };
    size_t place = heap->count++;

    if (heap->count > heap->capacity) {
        heap->capacity = heap->capacity == 0 ? 1024 : 2 * heap->capacity;
        heap->events = realloc(heap->events, heap->capacity * sizeof *heap->events);
        haul_assert(heap->events != NULL);
    }
    while (place > 0 && earlier(&event, &heap->events[(place - 1) / 2])) {
        heap->events[place] = heap->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    heap->events[place] = event;
}

bool sim_heap_pop(struct sim_heap *heap, struct sim_event *event)
{
    struct sim_event last;
    size_t place = 0;

    if (heap->count == 0)
        return false;
    *event = heap->events[0];
    last = heap->events[--heap->count];
    for (;;) {
        size_t child = 2 * place + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && earlier(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!earlier(&heap->events[child], &last))
            break;
        heap->events[place] = heap->events[child];
        place = child;
    }
    if (heap->count > 0)
        heap->events[place] = last;
    return true;
}

void sim_heap_clear(struct sim_heap *heap)
{
    heap->count = 0;
    heap->order = 0;
}

void sim_heap_fini(struct sim_heap *heap)
{
    free(heap->events);
    *heap = (struct sim_heap){ 0 };
}
