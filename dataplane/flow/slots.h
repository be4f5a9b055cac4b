/* Who holds which slot. Slots are divided at start into filling (blocks that arrive) and serving
 * (blocks that leave); neither side takes the other's, or two nodes that fetch from each other stop
 * for ever. Pure bookkeeping over indices: the memory is the caller's. */
#pragma once

#include "common/base.h"

#define HAUL_SLOTS_MAX 1024u
#define HAUL_NO_SLOT   UINT32_MAX

enum haul_slot_side { HAUL_SLOT_FILLING, HAUL_SLOT_SERVING, HAUL_SLOT_SIDES };

struct haul_slots {
    uint32_t count[HAUL_SLOT_SIDES]; /* slots of each side: filling are 0 .. count[0]-1 */
    uint32_t free_count[HAUL_SLOT_SIDES];
    uint16_t free_stack[HAUL_SLOT_SIDES][HAUL_SLOTS_MAX]; /* most recently freed on top: warm */
    uint8_t held[HAUL_SLOTS_MAX];
};

void haul_slots_init(struct haul_slots *slots, uint32_t filling, uint32_t serving);

/* HAUL_NO_SLOT when that side has none left. */
uint32_t haul_slots_take(struct haul_slots *slots, enum haul_slot_side side);
void haul_slots_give(struct haul_slots *slots, uint32_t slot);
