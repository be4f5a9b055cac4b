/* The life of a transfer. It is freed in one place, by its own timer, when it has ended, its user
 * has closed it, and neither the data plane nor a stream holds anything of it. */
#include "controlplane/xfer/transfer.h"

#include "common/counters.h"
#include "common/log.h"
#include "controlplane/xfer/transfer_parts.h"
#include "controlplane/xfer/usage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOCAL_WANTS 32u

static void transfer_free(struct haul_transfer *transfer)
{
    struct haul_transfer **link = transfer->parts.transfers;

    while (*link != NULL && *link != transfer)
        link = &(*link)->next;
    if (*link != NULL)
        *link = transfer->next;
    haul_orders_forget(transfer->parts.orders, transfer);
    haul_transfer_search_close(transfer);
    haul_loop_timer_free(transfer->timer);
    haul_plan_close(transfer->plan);
    for (size_t i = 0; i < HAUL_PLAN_FILES_MAX; i++) {
        if (transfer->files[i].open && transfer->files[i].fd >= 0)
            close(transfer->files[i].fd);
    }
    free(transfer);
}

void haul_transfer_arm(struct haul_transfer *transfer)
{
    haul_time at = transfer->deadline;

    if (transfer->state == HAUL_TRANSFER_OVER)
        at = HAUL_TIME_NEVER;
    if (transfer->state == HAUL_TRANSFER_MEETING)
        at = haul_time_min(at, transfer->meet_at);
    if (transfer->state == HAUL_TRANSFER_MOVING)
        at = haul_time_min(at,
                           haul_time_min(transfer->carrier_at, haul_transfer_retry_at(transfer)));
    if (transfer->state == HAUL_TRANSFER_MOVING && transfer->seeking)
        at = haul_time_min(at, transfer->meet_at);
    if (transfer->due)
        at = haul_loop_now(transfer->parts.loop);
    haul_loop_timer_set(transfer->timer, at);
}

static void build_drop(struct haul_transfer *transfer)
{
    if (transfer->building)
        haul_catalog_drop(transfer->parts.catalog, transfer->build);
    transfer->building = false;
}

static void over(struct haul_transfer *transfer, const struct haul_record *record,
                 const struct haul_error *error)
{
    transfer->state = HAUL_TRANSFER_OVER;
    transfer->replacing = false;
    haul_transfer_cancel_all(transfer);
    haul_transfer_part(transfer);
    build_drop(transfer);
    if (!transfer->detached)
        transfer->events.ended(transfer->context, record, error);
    transfer->due = true;
    haul_transfer_arm(transfer);
}

void haul_transfer_fail(struct haul_transfer *transfer, const struct haul_error *error)
{
    if (transfer->state == HAUL_TRANSFER_OVER)
        return;
    haul_log(HAUL_LOG_INFO, "transfer-failed", "code=%s text=\"%s\"", haul_error_name(error->code),
             error->text);
    over(transfer, NULL, error);
}

void haul_transfer_fail_text(struct haul_transfer *transfer, enum haul_error_code code,
                             const char *format, ...)
{
    char text[sizeof((struct haul_error *)NULL)->text];
    struct haul_error error;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    haul_fail(&error, code, "%s", text);
    haul_transfer_fail(transfer, &error);
}

void haul_transfer_move(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier)
{
    const struct haul_carrier_ops *before = transfer->carrier;
    haul_time now = haul_loop_now(transfer->parts.loop);

    transfer->carrier = carrier;
    if (before != NULL && before != carrier && before->leave != NULL)
        before->leave(transfer);
    transfer->state = HAUL_TRANSFER_MOVING;
    if (transfer->met == 0) {
        transfer->met = now;
        transfer->cpu_before = haul_usage_cpu();
        transfer->plane_cpu_before = transfer->parts.plane_cpu(transfer->parts.plane_context);
    }
    /* What a carrier that went away had not brought is asked for again. */
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        if (transfer->fetches[i].state == HAUL_FETCH_RETRY)
            transfer->fetches[i].retry_at = 0;
    }
    haul_transfer_pump(transfer);
}

/* An honest guess from what the receiving side can see; a rate test, which sees both sides,
 * replaces it. */
static enum haul_limit limit_of(const struct haul_transfer *transfer, haul_time plane_cpu)
{
    const struct haul_record *record = &transfer->record;
    haul_time moving = haul_time_since(transfer->met, transfer->began + record->t100);
    haul_time control_cpu = record->cpu > plane_cpu ? record->cpu - plane_cpu : 0;

    if (moving < 50 * HAUL_MILLISECOND)
        return HAUL_LIMIT_NONE;
    if (record->durable > record->t100 && record->durable - record->t100 > record->durable / 3)
        return HAUL_LIMIT_DISK;
    if (plane_cpu > moving / 10 * 9 || control_cpu > moving / 10 * 9)
        return HAUL_LIMIT_RECEIVER_CPU;
    if (transfer->wants_short > transfer->blocks / 2)
        return HAUL_LIMIT_WANTS;
    return HAUL_LIMIT_PEER;
}

static void record_wire(struct haul_transfer *transfer)
{
    struct haul_record *record = &transfer->record;
    struct haul_connection_facts facts;

    if (transfer->has_flow) {
        const struct haul_flow_stats *stats =
            &haul_orders_handoff(transfer->parts.orders)->stats[transfer->flow];

        record->wire_bytes += haul_counter_read(&stats->rx_bytes);
        record->duplicate_bytes = haul_counter_read(&stats->rx_duplicate_bytes);
        record->lost_datagrams = haul_counter_read(&stats->lost_datagrams);
    }
    if (transfer->connection != HAUL_HOST_NO_CONNECTION &&
        haul_host_facts(transfer->parts.host, transfer->connection, &facts))
        record->wire_bytes += facts.rx_bytes - transfer->connection_rx_before;
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
    haul_time plane = transfer->parts.plane_cpu(transfer->parts.plane_context);
    char *json;

    record->durable = record->total = haul_time_since(transfer->began, now);
    record->cpu = haul_usage_cpu() - transfer->cpu_before;
    record->peak_rss_bytes = haul_usage_peak_bytes();
    record->limited_by = limit_of(transfer, plane - transfer->plane_cpu_before);
    haul_cid_print(&transfer->target.root, record->cid);
    json = haul_record_json(record);
    if (json != NULL && transfer->ask.sink != HAUL_SINK_LIST)
        haul_log(HAUL_LOG_INFO, "transfer", "record=%s", json);
    free(json);
    over(transfer, record, NULL);
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

static int commit(struct haul_transfer *transfer, struct haul_error *error)
{
    struct haul_dataset dataset = { .root = transfer->target.root,
                                    .bytes = transfer->record.bytes,
                                    .blocks = transfer->blocks,
                                    .complete = true };
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    dataset.stored_unix = (uint64_t)now.tv_sec;
    transfer->building = false;
    return haul_catalog_commit(transfer->parts.catalog, transfer->build, &dataset, error);
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
        else if (commit(transfer, &error) < 0)
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

static void timer_due(void *context)
{
    struct haul_transfer *transfer = context;
    haul_time now = haul_loop_now(transfer->parts.loop);
    char peer[HAUL_PEER_ID_TEXT_BYTES] = "the store";

    transfer->due = false;
    if (transfer->state == HAUL_TRANSFER_OVER) {
        if (transfer->detached && transfer->outstanding == 0 && transfer->sync_order == 0 &&
            haul_transfer_parted(transfer))
            transfer_free(transfer);
        return;
    }
    if (now >= transfer->deadline) {
        if (transfer->target.has_ticket)
            haul_peer_id_print(&transfer->target.ticket.peer, peer);
        haul_transfer_fail_text(transfer, HAUL_E_TIMEOUT, "%s did not deliver in the time given",
                                peer);
        return;
    }
    if ((transfer->state == HAUL_TRANSFER_MEETING || transfer->seeking) && now >= transfer->meet_at)
        haul_transfer_meet(transfer);
    if (transfer->state == HAUL_TRANSFER_MOVING)
        haul_transfer_pump(transfer);
    else
        haul_transfer_settle(transfer);
    haul_transfer_arm(transfer);
}

static enum haul_plan_mode mode_of(enum haul_sink sink)
{
    return sink == HAUL_SINK_STREAM ? HAUL_PLAN_ORDERED
           : sink == HAUL_SINK_LIST ? HAUL_PLAN_LIST
                                    : HAUL_PLAN_EXTRACT;
}

/* What is here already needs no peer. */
static bool is_local(const struct haul_transfer *transfer)
{
    struct haul_dataset dataset;

    return transfer->ask.carrier == HAUL_CHOOSE_AUTO &&
           haul_catalog_find(transfer->parts.catalog, &transfer->target.root, &dataset) &&
           dataset.complete;
}

static int begin(struct haul_transfer *transfer, struct haul_error *error)
{
    bool local;

    if (haul_target_parse(transfer->what, &transfer->target, error) < 0 ||
        haul_plan_open(&transfer->plan, mode_of(transfer->ask.sink), &transfer->target.root,
                       transfer->target.path, error) < 0)
        return -1;
    local = is_local(transfer);
    if (!local && !transfer->target.has_ticket && transfer->parts.dht == NULL)
        return haul_fail(error, HAUL_E_CID_UNKNOWN,
                         "the dataset is not stored here, and a CID does not say who has it: "
                         "that takes a ticket, or a DHT to ask (dht.mode)");
    if (!local && (transfer->ask.keep || transfer->ask.sink == HAUL_SINK_STORE)) {
        /* A part of a dataset is not a dataset: its blocks would belong to a root that is not
         * complete. */
        if (transfer->target.path[0] != '\0')
            return haul_fail(error, HAUL_E_USAGE, "only a whole dataset can be stored");
        if (haul_catalog_begin(transfer->parts.catalog, &transfer->build, error) < 0)
            return -1;
        transfer->building = true;
    }
    transfer->wants_max = LOCAL_WANTS;
    transfer->meet_at = haul_loop_now(transfer->parts.loop);
    if (local)
        transfer->carrier = &haul_carrier_local;
    return 0;
}

int haul_transfer_open(struct haul_transfer **transfer, const struct haul_parts *parts,
                       const struct haul_transfer_ask *ask,
                       const struct haul_transfer_events *events, void *context,
                       struct haul_error *error)
{
    struct haul_transfer *made = calloc(1, sizeof *made);

    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a transfer");
    made->parts = *parts;
    made->ask = *ask;
    made->events = *events;
    made->context = context;
    made->began = haul_loop_now(parts->loop);
    made->deadline = ask->timeout == 0 ? HAUL_TIME_NEVER : haul_time_add(made->began, ask->timeout);
    made->carrier_at = HAUL_TIME_NEVER;
    made->ordered_end = &made->ordered;
    for (size_t i = 0; i < HAUL_PLAN_FILES_MAX; i++)
        made->files[i].fd = -1;
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        made->fetches[i].next = made->free_fetch;
        made->free_fetch = &made->fetches[i];
    }
    haul_timeline_init(&made->timeline);
    made->timer = haul_loop_timer(parts->loop, timer_due, made);
    made->next = *parts->transfers;
    *parts->transfers = made;
    if (made->timer == NULL ||
        (size_t)snprintf(made->what, sizeof made->what, "%s", ask->what) >= sizeof made->what) {
        transfer_free(made);
        return haul_fail(error, HAUL_E_TICKET_MALFORMED, "the ticket or path is too long");
    }
    made->ask.what = made->what;
    if (begin(made, error) < 0) {
        transfer_free(made);
        return -1;
    }
    haul_transfer_arm(made);
    *transfer = made;
    return 0;
}

void haul_transfer_close(struct haul_transfer *transfer)
{
    if (transfer == NULL)
        return;
    transfer->detached = true;
    if (transfer->state != HAUL_TRANSFER_OVER)
        over(transfer, NULL, NULL);
    transfer->due = true;
    haul_transfer_arm(transfer);
}

void haul_transfer_opened(struct haul_transfer *transfer, uint32_t file, int fd)
{
    if (transfer->state == HAUL_TRANSFER_OVER || file >= HAUL_PLAN_FILES_MAX ||
        !transfer->files[file].open || transfer->files[file].fd >= 0) {
        close(fd);
        return;
    }
    transfer->files[file].fd = fd;
    haul_plan_opened(transfer->plan, file);
    haul_transfer_pump(transfer);
}

void haul_transfer_flushed(struct haul_transfer *transfer)
{
    if (transfer->state == HAUL_TRANSFER_FLUSHING)
        finish(transfer);
}

void haul_transfer_drained(struct haul_transfer *transfer)
{
    haul_transfer_pump(transfer);
}

uint64_t haul_transfer_bytes(const struct haul_transfer *transfer)
{
    return transfer->record.bytes;
}

uint64_t haul_transfer_total(const struct haul_transfer *transfer)
{
    return haul_plan_total(transfer->plan);
}

uint64_t haul_transfer_files(const struct haul_transfer *transfer)
{
    return transfer->files_done;
}

const char *haul_transfer_carrier(const struct haul_transfer *transfer)
{
    return transfer->carrier == NULL ? "" : haul_carrier_name(transfer->carrier->carrier);
}

void haul_transfers_abandon(struct haul_transfer **list)
{
    while (*list != NULL)
        transfer_free(*list);
}

bool haul_transfers_use(const struct haul_transfer *list, uint64_t connection)
{
    while (list != NULL && (list->connection != connection || list->state == HAUL_TRANSFER_OVER))
        list = list->next;
    return list != NULL;
}
