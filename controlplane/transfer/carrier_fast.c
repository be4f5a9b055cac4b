/* The fast path: the worker fetches, verifies and places. Over the kernel's net it is called udp,
 * over DPDK's dpdk. */
#include "controlplane/transfer/transfer_parts.h"

static void fetch_done(void *context, const struct haul_event *event)
{
    struct haul_fetch *fetch = context;

    haul_lanes_back(&fetch->transfer->lanes, fetch->lane, event->status == HAUL_STATUS_FLOW_ENDED);
    haul_fetch_done(fetch, (enum haul_status)event->status, event->length, event->at, event->when);
}

static bool fast_fetch(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    struct haul_lane *lane = haul_lanes_choose(&transfer->lanes);
    struct haul_order order = { .kind = HAUL_ORDER_FETCH,
                                .length = fetch->measuring ? 0 : fetch->length,
                                .slot = fetch->slot,
                                .hash = fetch->cid.hash };

    if (lane == NULL)
        return false; /* the end of the last one is about to be told */
    order.flow = fetch->flow = lane->flow;
    haul_fetch_place(fetch, &order.place);
    fetch->order = haul_orders_submit(transfer->parts.orders, &order, fetch_done, fetch);
    if (fetch->order == 0)
        return false;
    fetch->lane = lane->serial;
    fetch->levelled = false;
    lane->asked++;
    return true;
}

static void fast_cancel(struct haul_fetch *fetch)
{
    haul_fetch_withdraw(fetch, 0);
}

/* What the peer was asked for still comes this way; what waits goes the other. */
static void fast_leave(struct haul_transfer *transfer)
{
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state == HAUL_FETCH_ASKED && fetch->by != transfer->carrier &&
            haul_carrier_is_fast(fetch->by))
            haul_fetch_withdraw(fetch, HAUL_CANCEL_WAITING);
    }
}

static void fast_close(struct haul_transfer *transfer)
{
    (void)transfer;
}

const struct haul_carrier_ops haul_carrier_udp = {
    .carrier = HAUL_CARRIER_UDP,
    .places = true,
    .fetch = fast_fetch,
    .cancel = fast_cancel,
    .leave = fast_leave,
    .close = fast_close,
};

const struct haul_carrier_ops haul_carrier_dpdk = {
    .carrier = HAUL_CARRIER_DPDK,
    .places = true,
    .fetch = fast_fetch,
    .cancel = fast_cancel,
    .leave = fast_leave,
    .close = fast_close,
};
