/* Blocks that are here already, read into a slot: those of a whole dataset from the store, and
 * those that an earlier get left behind from where they may be (transfer_look.c). The store checks
 * what it reads only by length, and a file nobody checks, so the hash is checked here before a byte
 * is used.
 */
#include "controlplane/transfer/transfer_parts.h"

static void read_done(void *context, const struct haul_event *event)
{
    struct haul_fetch *fetch = context;
    struct haul_transfer *transfer = fetch->transfer;

    fetch->got = event->length;
    if (event->status != HAUL_STATUS_DONE || transfer->state == HAUL_TRANSFER_OVER ||
        !haul_fetch_verify(fetch)) {
        enum haul_status status =
            event->status == HAUL_STATUS_DONE ? HAUL_STATUS_LIMIT : (enum haul_status)event->status;

        haul_fetch_done(fetch, status, 0, event->at, event->when);
    }
}

static bool local_fetch(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    struct haul_order order = { .kind = HAUL_ORDER_READ,
                                .length = fetch->length,
                                .slot = fetch->slot,
                                .hash = fetch->cid.hash };

    if (fetch->look != HAUL_LOOK_NOWHERE)
        haul_fetch_look_place(fetch, &order.place);
    /* A block of a dataset that is not in the catalog's list is not there. */
    else if (!haul_catalog_place(transfer->parts.catalog, &transfer->target.root, &fetch->cid.hash,
                                 &order.place))
        order.place.kind = HAUL_PLACE_STORE;
    fetch->order = haul_orders_submit(transfer->parts.orders, &order, read_done, fetch);
    return fetch->order != 0;
}

static void local_cancel(struct haul_fetch *fetch)
{
    (void)fetch; /* a read ends by itself */
}

static void local_close(struct haul_transfer *transfer)
{
    (void)transfer;
}

const struct haul_carrier_ops haul_carrier_local = {
    .carrier = HAUL_CARRIER_LOCAL,
    .places = false,
    .fetch = local_fetch,
    .cancel = local_cancel,
    .close = local_close,
};
