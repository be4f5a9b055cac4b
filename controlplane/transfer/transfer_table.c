/* The table of a transfer's fetches: taken and given back, with or without a slot of the control
 * plane, and withdrawn, one or all together; and what its flows moved. */
#include "common/counters.h"
#include "controlplane/transfer/transfer_parts.h"

struct haul_fetch *haul_fetch_take(struct haul_transfer *transfer)
{
    struct haul_fetch *fetch = transfer->free_fetch;

    transfer->free_fetch = fetch->next;
    *fetch = (struct haul_fetch){ .transfer = transfer, .slot = HAUL_NO_CONTROL_SLOT };
    transfer->outstanding++;
    return fetch;
}

void haul_fetch_slot_give(struct haul_fetch *fetch)
{
    if (fetch->slot == HAUL_NO_CONTROL_SLOT)
        return;
    haul_orders_slot_give(fetch->transfer->parts.orders, fetch->slot);
    fetch->transfer->slots_held--;
    fetch->slot = HAUL_NO_CONTROL_SLOT;
}

void haul_fetch_free(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;

    haul_fetch_slot_give(fetch);
    fetch->state = HAUL_FETCH_FREE;
    fetch->next = transfer->free_fetch;
    transfer->free_fetch = fetch;
    transfer->outstanding--;
}

bool haul_fetch_slot_take(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;

    if (transfer->slots_held >= HAUL_FETCH_SLOTS_MAX)
        return false;
    fetch->slot = haul_orders_slot_take_filling(transfer->parts.orders);
    if (fetch->slot == HAUL_NO_CONTROL_SLOT)
        return false;
    transfer->slots_held++;
    return true;
}

haul_time haul_transfer_retry_at(const struct haul_transfer *transfer)
{
    haul_time at = HAUL_TIME_NEVER;

    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        const struct haul_fetch *fetch = &transfer->fetches[i];

        /* Zero waits for room, which is announced. */
        if (fetch->state == HAUL_FETCH_RETRY && fetch->retry_at > 0)
            at = haul_time_min(at, fetch->retry_at);
    }
    return at;
}

void haul_transfer_wake(struct haul_transfer *transfer)
{
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state == HAUL_FETCH_RETRY && fetch->retry_at == HAUL_TIME_NEVER)
            fetch->retry_at = 0;
    }
}

void haul_fetch_withdraw(struct haul_fetch *fetch, uint8_t reason)
{
    struct haul_order order = {
        .kind = HAUL_ORDER_CANCEL, .flow = fetch->flow, .reason = reason, .target = fetch->order
    };

    /* Without room for the order the end of the flow ends the fetch. */
    if (fetch->order != 0)
        (void)haul_orders_submit(fetch->transfer->parts.orders, &order, NULL, NULL);
}

void haul_transfer_withdraw_all(struct haul_transfer *transfer)
{
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        fetch->distrusted = false;
        fetch->tries = fetch->failures = 0;
        if (fetch->state == HAUL_FETCH_ASKED)
            fetch->by->cancel(fetch);
    }
}

void haul_transfer_cancel_all(struct haul_transfer *transfer)
{
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state == HAUL_FETCH_ASKED)
            fetch->by->cancel(fetch);
        else if (fetch->state == HAUL_FETCH_RETRY || fetch->state == HAUL_FETCH_READY)
            haul_fetch_free(fetch);
    }
    transfer->ordered = NULL;
    transfer->ordered_end = &transfer->ordered;
}

void haul_transfer_account_flow(struct haul_transfer *transfer, uint32_t flow)
{
    const struct haul_flow_stats *stats = haul_orders_stats(transfer->parts.orders, flow);

    transfer->record.wire_bytes += haul_counter_read(&stats->rx_bytes);
    transfer->record.duplicate_bytes += haul_counter_read(&stats->rx_duplicate_bytes);
    transfer->record.lost_datagrams += haul_counter_read(&stats->lost_datagrams);
}
