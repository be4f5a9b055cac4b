/* What follows when the last block has come: the store is flushed, the dataset committed, the
 * command flushes, and the record says how it went. */
#include "common/log.h"
#include "controlplane/transfer/transfer_parts.h"
#include "controlplane/usage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An honest guess from what the receiving side can see; a rate test, which sees both sides,
 * replaces it. */
static enum haul_limit limit_of(const struct haul_transfer *transfer)
{
    const struct haul_record *record = &transfer->record;
    haul_time moving = haul_time_since(transfer->met, transfer->began + record->t100);
    haul_time busiest = 0, workers_cpu = 0, control_cpu;

    for (uint32_t i = 0; i < haul_orders_workers(transfer->parts.orders); i++) {
        haul_time used = transfer->parts.plane_cpu(transfer->parts.plane_context, i) -
                         transfer->plane_cpu_before[i];

        busiest = haul_time_max(busiest, used);
        workers_cpu += used;
    }
    control_cpu = record->cpu > workers_cpu ? record->cpu - workers_cpu : 0;

    if (moving < 50 * HAUL_MILLISECOND)
        return HAUL_LIMIT_NONE;
    if (record->durable > record->t100 && record->durable - record->t100 > record->durable / 3)
        return HAUL_LIMIT_DISK;
    if (busiest > moving / 10 * 9 || control_cpu > moving / 10 * 9)
        return HAUL_LIMIT_RECEIVER_CPU;
    if (transfer->wants_short > transfer->blocks / 2)
        return HAUL_LIMIT_WANTS;
    return HAUL_LIMIT_PEER;
}

static void record_wire(struct haul_transfer *transfer)
{
    struct haul_record *record = &transfer->record;
    struct haul_connection_facts facts;

    for (size_t i = 0; i < HAUL_COUNT_OF(transfer->lanes.all); i++) {
        if (transfer->lanes.all[i].open)
            haul_transfer_account_flow(transfer, transfer->lanes.all[i].flow);
    }
    if (transfer->trial.lane.open)
        haul_transfer_account_flow(transfer, transfer->trial.lane.flow);
    if (transfer->connection != HAUL_HOST_NO_CONNECTION &&
        haul_host_facts(transfer->parts.host, transfer->connection, &facts))
        record->wire_bytes += facts.rx_bytes - transfer->connection_rx_before;
    for (size_t i = 0; i < HAUL_WAYS_MAX; i++) {
        const struct haul_way *way = &transfer->ways.all[i];

        if (way->connection != HAUL_WAYS_NONE && way->further)
            record->wire_bytes += way->rx;
    }
}

/* The moment of the last verified byte: what is measured of the moving ends here. */
static void moved_over(struct haul_transfer *transfer)
{
    struct haul_record *record = &transfer->record;
    haul_time now = haul_loop_now(transfer->parts.loop);

    haul_transfer_seek_end(transfer);
    record->ttfb = transfer->timeline.first;
    record->t50 = haul_timeline_when(&transfer->timeline, (record->bytes + 1) / 2);
    record->t90 = haul_timeline_when(&transfer->timeline, record->bytes - record->bytes / 10);
    record->t100 = record->bytes > 0 ? haul_timeline_when(&transfer->timeline, record->bytes)
                                     : haul_time_since(transfer->began, now);
    record->verified = !transfer->ask.unverified;
    record_wire(transfer);
}

static void finish(struct haul_transfer *transfer)
{
    struct haul_record *record = &transfer->record;
    haul_time now = haul_loop_now(transfer->parts.loop);
    char *json;

    record->durable = record->total = haul_time_since(transfer->began, now);
    record->cpu = haul_usage_cpu() - transfer->cpu_before;
    record->peak_rss_bytes = haul_usage_peak_bytes(getpid());
    record->limited_by = limit_of(transfer);
    haul_cid_print(&transfer->target.root, record->cid);
    json = haul_record_json(record);
    if (json != NULL && transfer->ask.sink != HAUL_SINK_LIST)
        haul_log(HAUL_LOG_INFO, "transfer", "record=%s", json);
    free(json);
    haul_transfer_over(transfer, record, NULL);
}

static void flush_ask(struct haul_transfer *transfer)
{
    if (transfer->ask.sink != HAUL_SINK_FILES) {
        finish(transfer);
        return;
    }
    transfer->state = HAUL_TRANSFER_FLUSHING;
    transfer->events.flush(transfer->context);
}

static void sync_done(void *context, const struct haul_event *event)
{
    struct haul_transfer *transfer = context;
    struct haul_error error;

    transfer->sync_order = 0;
    if (transfer->state != HAUL_TRANSFER_OVER) {
        if (event->status != HAUL_STATUS_DONE)
            haul_transfer_fail_text(transfer, HAUL_E_STORE_FAILED, "the store cannot flush: %s",
                                    strerror((int)event->at));
        else if (transfer->packs_known && event->length != transfer->packs_lost)
            haul_transfer_fail_text(transfer, HAUL_E_STORE_FAILED,
                                    "the store lost blocks while it wrote");
        else if (haul_transfer_commit(transfer, true, &error) < 0)
            haul_transfer_fail(transfer, &error);
        else
            flush_ask(transfer);
    }
    haul_transfer_settle(transfer);
}

static void sync_ask(struct haul_transfer *transfer)
{
    struct haul_order order = { .kind = HAUL_ORDER_SYNC, .place.kind = HAUL_PLACE_STORE };

    if (transfer->state == HAUL_TRANSFER_MOVING)
        moved_over(transfer);
    if (!transfer->building) {
        flush_ask(transfer);
        return;
    }
    transfer->state = HAUL_TRANSFER_SYNCING;
    transfer->sync_order = haul_orders_submit(transfer->parts.orders, &order, sync_done, transfer);
    if (transfer->sync_order == 0) {
        transfer->due = true; /* the orders of others end soon */
        haul_transfer_arm(transfer);
    }
}

void haul_transfer_replaced(struct haul_transfer *transfer)
{
    if (!transfer->replacing || haul_transfer_has_flow(transfer) || transfer->asked > 0)
        return;
    transfer->replacing = false;
    transfer->carriers[HAUL_CARRIER_STREAM]->close(transfer);
    transfer->connection = HAUL_HOST_NO_CONNECTION;
    transfer->meet_at = haul_loop_now(transfer->parts.loop);
    haul_transfer_arm(transfer);
}

void haul_transfer_settle(struct haul_transfer *transfer)
{
    if (transfer->state == HAUL_TRANSFER_MOVING && transfer->plan_over &&
        transfer->outstanding == 0)
        sync_ask(transfer);
    else if (transfer->state == HAUL_TRANSFER_SYNCING && transfer->sync_order == 0)
        sync_ask(transfer);
    haul_transfer_replaced(transfer);
    if (transfer->state == HAUL_TRANSFER_OVER) {
        transfer->due = true;
        haul_transfer_arm(transfer);
    }
}

void haul_transfer_flushed(struct haul_transfer *transfer)
{
    if (transfer->state == HAUL_TRANSFER_FLUSHING)
        finish(transfer);
}
