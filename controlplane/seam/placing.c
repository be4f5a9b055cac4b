#include "controlplane/seam/placing.h"

_Static_assert(HAUL_FLOWS_MAX <= 64, "a flow is a bit");

uint32_t haul_placing_order(const struct haul_order *order, uint32_t workers)
{
    switch ((enum haul_order_kind)order->kind) {
    case HAUL_ORDER_OPEN:
    case HAUL_ORDER_CLOSE:
    case HAUL_ORDER_FETCH:
    case HAUL_ORDER_CANCEL:
    case HAUL_ORDER_SERVE:
    case HAUL_ORDER_REFUSE:
        return haul_placing_worker(order->flow, workers);
    case HAUL_ORDER_WRITE:
    case HAUL_ORDER_READ:
    case HAUL_ORDER_SYNC:
    case HAUL_ORDER_KINDS:
        break;
    }
    return 0;
}

/* How many flows a worker has, each of the kin for more than all others together, and its lowest
 * free number. */
static uint32_t flows_of(const struct haul_placing *placing, uint32_t worker, uint32_t *lowest)
{
    uint32_t count = 0;

    *lowest = HAUL_FLOWS_MAX;
    for (uint32_t flow = worker; flow < HAUL_FLOWS_MAX; flow += placing->workers) {
        if ((placing->taken >> flow & 1) != 0)
            count += (placing->kin >> flow & 1) != 0 ? HAUL_FLOWS_MAX : 1;
        else if (*lowest == HAUL_FLOWS_MAX)
            *lowest = flow;
    }
    return count;
}

uint32_t haul_placing_choose(const struct haul_placing *placing)
{
    uint32_t best = HAUL_FLOWS_MAX, fewest = UINT32_MAX;

    haul_assert(placing->eligible > 0 && placing->eligible <= placing->workers);
    for (uint32_t i = 0; i < placing->eligible; i++) {
        uint32_t lowest;
        uint32_t count = flows_of(placing, (placing->turn + i) % placing->eligible, &lowest);

        if (lowest == HAUL_FLOWS_MAX || count >= fewest)
            continue;
        fewest = count;
        best = lowest;
    }
    return best;
}
