/* Two stacks of free slots, one a side. A slot belongs to the side that its index says, for ever:
 * there is no way for a take on one side to be answered from the other. */
#include "dataplane/flow/slots.h"

#include "dataplane/flow/plant.h"

static enum haul_slot_side side_of(const struct haul_slots *slots, uint32_t slot)
{
    return slot < slots->count[HAUL_SLOT_FILLING] ? HAUL_SLOT_FILLING : HAUL_SLOT_SERVING;
}

void haul_slots_init(struct haul_slots *slots, uint32_t filling, uint32_t serving)
{
    haul_assert(filling <= HAUL_SLOTS_MAX && serving <= HAUL_SLOTS_MAX - filling);
    *slots = (struct haul_slots){ .count = { filling, serving } };
    /* Pushed from the highest down, so that the first takes come out in order. */
    for (uint32_t slot = filling + serving; slot-- > 0;) {
        enum haul_slot_side side = side_of(slots, slot);

        slots->free_stack[side][slots->free_count[side]++] = (uint16_t)slot;
    }
}

uint32_t haul_slots_take(struct haul_slots *slots, enum haul_slot_side side)
{
    uint32_t slot;

    haul_assert(side < HAUL_SLOT_SIDES);
    if (haul_planted(ONE_POOL) && slots->free_count[side] == 0)
        side = side == HAUL_SLOT_FILLING ? HAUL_SLOT_SERVING : HAUL_SLOT_FILLING;
    if (slots->free_count[side] == 0)
        return HAUL_NO_SLOT;
    slot = slots->free_stack[side][--slots->free_count[side]];
    haul_assert(slots->held[slot] == 0);
    slots->held[slot] = 1;
    return slot;
}

void haul_slots_give(struct haul_slots *slots, uint32_t slot)
{
    enum haul_slot_side side = side_of(slots, slot);

    haul_assert(slot < slots->count[HAUL_SLOT_FILLING] + slots->count[HAUL_SLOT_SERVING]);
    haul_assert(slots->held[slot] == 1);
    slots->held[slot] = 0;
    slots->free_stack[side][slots->free_count[side]++] = (uint16_t)slot;
}
