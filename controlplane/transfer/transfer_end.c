/* How a transfer ends, well or not: said once, and what it holds of the peer is let go. Freed it is
 * by its own timer, when everything has come back (transfer.c). */
#include "common/log.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/dht/dht.h"
#include "controlplane/transfer/transfer_parts.h"
#include "controlplane/transfer/transfer_search.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- the timer, for what is due next --- */

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
    if (transfer->state == HAUL_TRANSFER_MOVING)
        at = haul_time_min(at, transfer->hear_at);
    if (transfer->state == HAUL_TRANSFER_MOVING && (transfer->seeking || transfer->direct_by != 0))
        at = haul_time_min(at, transfer->meet_at);
    if (transfer->due)
        at = haul_loop_now(transfer->parts.loop);
    haul_loop_timer_set(transfer->timer, at);
}

/* --- letting go --- */

static void trial_cancel(struct haul_transfer *transfer)
{
    if (transfer->trial.offer != NULL)
        haul_offer_cancel(transfer->trial.offer);
    transfer->trial.offer = NULL;
    transfer->trial.state = HAUL_TRIAL_OVER;
}

void haul_transfer_seek_end(struct haul_transfer *transfer)
{
    transfer->seeking = false;
    trial_cancel(transfer);
    if (transfer->offer != NULL)
        haul_offer_cancel(transfer->offer);
    if (transfer->lane_offer != NULL)
        haul_offer_cancel(transfer->lane_offer);
    transfer->offer = transfer->lane_offer = NULL;
}

void haul_transfer_search_close(struct haul_transfer *transfer)
{
    if (transfer->search == NULL)
        return;
    if (transfer->search->query != NULL)
        haul_dht_cancel(transfer->search->query);
    free(transfer->search);
    transfer->search = NULL;
}

static void trial_part(struct haul_transfer *transfer)
{
    trial_cancel(transfer);
    if (transfer->trial.lane.open && !transfer->trial.lane.dying)
        haul_grants_end(transfer->parts.grants, transfer->trial.lane.flow);
    transfer->trial.lane.dying = true;
}

static void lane_end(struct haul_transfer *transfer, struct haul_lane *lane)
{
    if (lane->open)
        haul_grants_end(transfer->parts.grants, lane->flow);
    lane->dying = true;
}

void haul_transfer_flows_end(struct haul_transfer *transfer)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(transfer->lanes.all); i++)
        lane_end(transfer, &transfer->lanes.all[i]);
}

bool haul_transfer_has_flow(const struct haul_transfer *transfer)
{
    bool open = false;

    for (size_t i = 0; i < HAUL_COUNT_OF(transfer->lanes.all); i++)
        open |= transfer->lanes.all[i].open;
    return open;
}

void haul_transfer_part(struct haul_transfer *transfer)
{
    haul_transfer_seek_end(transfer);
    haul_transfer_search_close(transfer);
    trial_part(transfer);
    haul_transfer_flows_end(transfer);
    if (transfer->carrier != NULL)
        transfer->carrier->close(transfer);
}

bool haul_transfer_parted(const struct haul_transfer *transfer)
{
    return !transfer->dialling && !transfer->ways.dialling && !haul_transfer_has_flow(transfer) &&
           !transfer->trial.lane.open;
}

/* --- the end --- */

int haul_transfer_commit(struct haul_transfer *transfer, bool complete, struct haul_error *error)
{
    struct haul_dataset dataset = { .root = transfer->target.root,
                                    .bytes = transfer->record.bytes,
                                    .blocks = transfer->blocks,
                                    .complete = complete };
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    dataset.stored_unix = (uint64_t)now.tv_sec;
    transfer->building = false;
    return haul_catalog_commit(transfer->parts.catalog, transfer->build, &dataset, error);
}

/* What came stays noted for the next get of the same, unless it is the dataset that is at fault. */
static void build_end(struct haul_transfer *transfer, const struct haul_error *error)
{
    if (!transfer->building)
        return;
    if (transfer->blocks > 0 && (error == NULL || haul_error_again(error->code)))
        (void)haul_transfer_commit(transfer, false, NULL); /* or it comes again */
    else
        haul_catalog_drop(transfer->parts.catalog, transfer->build);
    transfer->building = false;
}

void haul_transfer_over(struct haul_transfer *transfer, const struct haul_record *record,
                        const struct haul_error *error)
{
    transfer->state = HAUL_TRANSFER_OVER;
    transfer->replacing = false;
    haul_transfer_cancel_all(transfer);
    haul_transfer_part(transfer);
    build_end(transfer, error);
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
    haul_transfer_over(transfer, NULL, error);
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
