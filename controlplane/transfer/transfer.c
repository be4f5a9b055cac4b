/* The life of a transfer. It is freed in one place, by its own timer, when it has ended, its user
 * has closed it, and neither the data plane nor a stream holds anything of it. */
#include "controlplane/transfer/transfer.h"

#include "controlplane/transfer/transfer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCAL_WANTS 32u

static const struct haul_carrier_ops *const carriers[HAUL_CARRIERS] = {
    [HAUL_CARRIER_UDP] = &haul_carrier_udp,
    [HAUL_CARRIER_DPDK] = &haul_carrier_dpdk,
    [HAUL_CARRIER_STREAM] = &haul_carrier_stream,
    [HAUL_CARRIER_LOCAL] = &haul_carrier_local,
};

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
    if ((transfer->state == HAUL_TRANSFER_MEETING ||
         (transfer->state == HAUL_TRANSFER_MOVING &&
          (transfer->seeking || transfer->direct_by != 0))) &&
        now >= transfer->meet_at)
        haul_transfer_meet(transfer);
    if (transfer->state == HAUL_TRANSFER_MOVING && now >= transfer->hear_at)
        haul_transfer_lanes_hear(transfer);
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
        if (haul_catalog_go_on(transfer->parts.catalog, &transfer->target.root, &transfer->build,
                               error) < 0)
            return -1;
        transfer->building = true;
    }
    haul_transfer_look_begin(transfer);
    transfer->wants_max = LOCAL_WANTS;
    transfer->meet_at = haul_loop_now(transfer->parts.loop);
    if (local)
        transfer->carrier = transfer->carriers[HAUL_CARRIER_LOCAL];
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
    made->carriers = carriers;
    made->pump = haul_transfer_pump;
    made->parts = *parts;
    made->ask = *ask;
    made->events = *events;
    made->context = context;
    made->began = haul_loop_now(parts->loop);
    made->deadline = ask->timeout == 0 ? HAUL_TIME_NEVER : haul_time_add(made->began, ask->timeout);
    made->carrier_at = made->hear_at = HAUL_TIME_NEVER;
    made->onward = HAUL_HOST_NO_CONNECTION;
    made->ways.most = parts->ways_max;
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
        haul_transfer_over(transfer, NULL, NULL);
    transfer->due = true;
    haul_transfer_arm(transfer);
}

void haul_transfer_opened(struct haul_transfer *transfer, uint32_t file, int fd, uint64_t held)
{
    if (transfer->state == HAUL_TRANSFER_OVER || file >= HAUL_PLAN_FILES_MAX ||
        !transfer->files[file].open || transfer->files[file].fd >= 0) {
        close(fd);
        return;
    }
    transfer->files[file].fd = fd;
    transfer->files[file].held = held;
    transfer->looks |= held > 0;
    haul_plan_opened(transfer->plan, file);
    haul_transfer_pump(transfer);
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
    for (; list != NULL; list = list->next) {
        if (list->state == HAUL_TRANSFER_OVER)
            continue;
        if (list->connection == connection)
            return true;
        for (size_t i = 0; i < HAUL_WAYS_MAX; i++) {
            if (connection != HAUL_WAYS_NONE && list->ways.all[i].connection == connection)
                return true;
        }
    }
    return false;
}

uint32_t haul_transfers_further(const struct haul_transfer *list)
{
    uint32_t count = 0;

    for (; list != NULL; list = list->next)
        count += haul_ways_further(&list->ways);
    return count;
}
