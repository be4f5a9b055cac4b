/* Which worker of the data plane a flow runs on. The number of a flow says it: numbers go round,
 * so that with one worker nothing is different. A flow stays where it is for its life. Pure. */
#pragma once

#include "common/handoff.h"

static inline uint32_t haul_placing_worker(uint32_t flow, uint32_t workers)
{
    return flow % workers;
}

/* Orders of a flow go to its worker. Those that have none (blocks between the store, files and the
 * control plane's own slots) go to the first, whose store it is. */
uint32_t haul_placing_order(const struct haul_order *order, uint32_t workers);

struct haul_placing {
    uint32_t workers;  /* all of the node */
    uint32_t eligible; /* a new flow may run on the first of them: at most so many */
    uint32_t turn;     /* who comes first among equals; goes round with each flow */
    uint64_t taken;    /* a bit for each number in use */
    uint64_t kin;      /* of these, the ones of the same transfer: they come before the fewest */
};

/* A free number for a new flow, of the worker that has the fewest of its kin, and of these the one
 * that has the fewest: its lowest. HAUL_FLOWS_MAX when every number is taken that may be had. */
uint32_t haul_placing_choose(const struct haul_placing *placing);
