/* What becomes of verified blocks: nodes go to the plan, leaves to their places, in order where the
 * command reads a stream; and the account of what was verified when. */
#include "controlplane/transfer/transfer_parts.h"

#include <errno.h>
#include <string.h>

bool haul_transfer_keeps(const struct haul_transfer *transfer)
{
    return transfer->ask.keep || transfer->ask.sink == HAUL_SINK_STORE;
}

/* Where the carrier's own verified bytes go. */
void haul_fetch_place(const struct haul_fetch *fetch, struct haul_place *place)
{
    const struct haul_transfer *transfer = fetch->transfer;

    *place = (struct haul_place){ 0 };
    if (fetch->measuring) {
        place->kind = HAUL_PLACE_DISCARD;
        return;
    }
    if (fetch->look == HAUL_LOOK_FILE) { /* it is where it belongs */
        place->kind = HAUL_PLACE_STORE;
        return;
    }
    if (fetch->awaited != NULL || transfer->ask.sink == HAUL_SINK_STREAM) {
        place->kind = HAUL_PLACE_SLOT;
        place->index = fetch->slot;
    } else if (transfer->ask.sink == HAUL_SINK_FILES) {
        place->kind = HAUL_PLACE_FILE;
        place->index = (uint32_t)transfer->files[fetch->file].fd;
        place->at = fetch->offset;
    } else if (transfer->ask.sink == HAUL_SINK_STORE) {
        place->kind = HAUL_PLACE_STORE;
    } else {
        place->kind = HAUL_PLACE_DISCARD;
        place->flags = transfer->ask.unverified ? HAUL_PLACE_UNVERIFIED : 0;
    }
    if (haul_transfer_keeps(transfer) && place->kind != HAUL_PLACE_STORE)
        place->flags |= HAUL_PLACE_ALSO_STORE;
}

static void leaf_over(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    uint32_t file = fetch->file;

    haul_fetch_free(fetch);
    haul_plan_leaf(transfer->plan, file);
}

/* The first verified byte that the application can read, and every one after it. */
static void account(struct haul_transfer *transfer, const struct haul_fetch *fetch, uint64_t bytes)
{
    transfer->record.bytes += bytes;
    transfer->record.bytes_by_carrier[fetch->by->carrier] += bytes;
    haul_timeline_add(&transfer->timeline, haul_time_since(transfer->began, fetch->when), bytes);
}

/* In order: everything at the head that is ready goes out, as far as the command takes it. */
void haul_transfer_hand_out(struct haul_transfer *transfer)
{
    while (transfer->ordered != NULL && transfer->ordered->state == HAUL_FETCH_READY &&
           transfer->events.backlog(transfer->context) < HAUL_BACKLOG_BYTES_MAX) {
        struct haul_fetch *fetch = transfer->ordered;

        transfer->ordered = fetch->next;
        if (transfer->ordered == NULL)
            transfer->ordered_end = &transfer->ordered;
        transfer->events.data(transfer->context,
                              haul_orders_slot(transfer->parts.orders, fetch->slot), fetch->got);
        leaf_over(fetch);
    }
}

static bool note_block(struct haul_transfer *transfer, const struct haul_hash *hash)
{
    struct haul_error error;

    transfer->blocks++;
    if (!haul_transfer_keeps(transfer) || !transfer->building)
        return true;
    if (haul_catalog_note(transfer->parts.catalog, transfer->build, hash, &error) == 0)
        return true;
    haul_transfer_fail(transfer, &error);
    return false;
}

void haul_fetch_leaf_verified(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;

    account(transfer, fetch, fetch->got);
    if (!fetch->inline_data && !note_block(transfer, &fetch->cid.hash)) {
        haul_fetch_free(fetch);
        return;
    }
    if (transfer->ask.sink == HAUL_SINK_STREAM) {
        fetch->state = HAUL_FETCH_READY;
        haul_transfer_hand_out(transfer);
    } else {
        leaf_over(fetch);
    }
}

void haul_transfer_io_failed(struct haul_transfer *transfer, enum haul_status status, int number)
{
    if (transfer->ask.sink == HAUL_SINK_FILES && status != HAUL_STATUS_IO_STORE)
        haul_transfer_fail_text(transfer, HAUL_E_TARGET_UNWRITABLE, "cannot write the target: %s",
                                strerror(number));
    else
        haul_transfer_fail_text(transfer, HAUL_E_STORE_FAILED, "cannot write the store: %s",
                                strerror(number));
}

/* How many packs the store had lost when this transfer first wrote to it. With several workers the
 * events of an earlier write may come after those of a later one: the number only grows. */
void haul_transfer_packs_note(struct haul_transfer *transfer, uint64_t lost)
{
    if (!transfer->packs_known || lost < transfer->packs_lost)
        transfer->packs_lost = lost;
    transfer->packs_known = true;
}

static void node_verified(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    struct haul_error error;
    int failed;

    if (!note_block(transfer, &fetch->cid.hash)) {
        haul_fetch_free(fetch);
        return;
    }
    failed =
        haul_plan_node(transfer->plan, fetch->awaited,
                       haul_orders_slot(transfer->parts.orders, fetch->slot), fetch->got, &error);
    haul_fetch_free(fetch);
    if (failed < 0)
        haul_transfer_fail(transfer, &error);
}

static void put_done(void *context, const struct haul_event *event)
{
    struct haul_fetch *fetch = context;
    struct haul_transfer *transfer = fetch->transfer;
    bool node = fetch->awaited != NULL;

    fetch->order = 0;
    if (transfer->state == HAUL_TRANSFER_OVER) {
        haul_fetch_free(fetch);
    } else if (event->status == HAUL_STATUS_DONE) {
        haul_transfer_packs_note(transfer, event->length);
        if (node)
            node_verified(fetch);
        else
            haul_fetch_leaf_verified(fetch);
    } else {
        enum haul_status status = (enum haul_status)event->status;
        bool told = status == HAUL_STATUS_IO || status == HAUL_STATUS_IO_STORE;

        haul_fetch_free(fetch);
        /* A node is written to the store alone. */
        haul_transfer_io_failed(transfer, node ? HAUL_STATUS_IO_STORE : status,
                                told ? (int)event->at : EIO);
    }
    transfer->pump(transfer);
}

/* From the slot to where it belongs; false when there is no room for the order now. */
static bool leaf_submit(struct haul_fetch *fetch)
{
    struct haul_order order = {
        .kind = HAUL_ORDER_WRITE, .length = fetch->got, .slot = fetch->slot, .hash = fetch->cid.hash
    };

    haul_fetch_place(fetch, &order.place);
    if (fetch->inline_data)
        order.place.flags &= (uint8_t)~HAUL_PLACE_ALSO_STORE;
    fetch->order = haul_orders_submit(fetch->transfer->parts.orders, &order, put_done, fetch);
    fetch->state = fetch->order != 0 ? HAUL_FETCH_PUTTING : HAUL_FETCH_RETRY;
    return fetch->order != 0;
}

/* Of a whole dataset that is stored here; not what an earlier get left of this one, which is put as
 * if it came from a peer, so that the store says whether it keeps it. */
static bool is_stored(const struct haul_fetch *fetch)
{
    return fetch->by->carrier == HAUL_CARRIER_LOCAL && fetch->look == HAUL_LOOK_NOWHERE;
}

/* A verified leaf in a slot whose carrier does not place it. */
static void leaf_put(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    enum haul_sink sink = transfer->ask.sink;
    bool write = (sink == HAUL_SINK_FILES && fetch->look != HAUL_LOOK_FILE) ||
                 sink == HAUL_SINK_STORE || (haul_transfer_keeps(transfer) && !fetch->inline_data);

    if (is_stored(fetch) && sink != HAUL_SINK_FILES)
        write = false;
    if (write)
        leaf_submit(fetch);
    else
        haul_fetch_leaf_verified(fetch);
}

/* A node that came by a carrier that does not place, on its way to the store. */
static void node_submit(struct haul_fetch *fetch)
{
    struct haul_order order = { .kind = HAUL_ORDER_WRITE,
                                .length = fetch->got,
                                .slot = fetch->slot,
                                .hash = fetch->cid.hash,
                                .place.kind = HAUL_PLACE_STORE };

    fetch->order = haul_orders_submit(fetch->transfer->parts.orders, &order, put_done, fetch);
    fetch->state = fetch->order != 0 ? HAUL_FETCH_PUTTING : HAUL_FETCH_RETRY;
}

void haul_fetch_verified(struct haul_fetch *fetch)
{
    const struct haul_carrier_ops *carrier = fetch->by;

    if (fetch->awaited != NULL) {
        if (!carrier->places && haul_transfer_keeps(fetch->transfer) && !is_stored(fetch))
            node_submit(fetch);
        else
            node_verified(fetch);
    } else if (carrier->places) {
        haul_fetch_leaf_verified(fetch);
    } else {
        leaf_put(fetch);
    }
}

bool haul_fetch_put(struct haul_fetch *fetch)
{
    if (fetch->awaited != NULL)
        node_submit(fetch);
    else
        leaf_submit(fetch);
    return fetch->order != 0;
}
