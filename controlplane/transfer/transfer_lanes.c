/* Several flows with one peer: once the first has shown that there is much to move, and it is known
 * which net is the faster one, further ones are agreed beside it, one after the other, as many as
 * both ends have workers for. One that ends leaves its blocks to the others and is asked for again
 * after a while; when it was the first, another takes its place. One that is not heard any more
 * lends its blocks to the others before it is given up. */
#include "common/counters.h"
#include "common/log.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/transfer/transfer_parts.h"

#include <inttypes.h>

#define WARM_BYTES (UINT64_C(8) << 20) /* shorter transfers are over before it matters */

static haul_time now_of(const struct haul_transfer *transfer)
{
    return haul_loop_now(transfer->parts.loop);
}

static bool moves(const struct haul_transfer *transfer)
{
    return transfer->state == HAUL_TRANSFER_MOVING && haul_carrier_is_fast(transfer->carrier);
}

static void say(const struct haul_transfer *transfer, const char *what, uint32_t flow)
{
    haul_log(HAUL_LOG_INFO, "transfer-lane", "%s flow=%" PRIu32 " lanes=%" PRIu32, what, flow,
             haul_lanes_alive(&transfer->lanes));
}

static void on_lane_up(void *context, uint32_t flow, uint32_t payload, haul_time rtt)
{
    struct haul_transfer *transfer = context;
    struct haul_lane *lane = haul_lanes_find(&transfer->lanes, flow);

    (void)payload;
    (void)rtt;
    if (lane == NULL || lane->proven || lane->dying || !moves(transfer))
        return;
    haul_lanes_proven(&transfer->lanes, lane);
    transfer->wants_max = haul_lanes_wants(&transfer->lanes);
    transfer->hear_at = haul_time_add(now_of(transfer), HAUL_LANES_HEAR);
    say(transfer, "up", flow);
    haul_transfer_wake(transfer); /* what another one let go of */
    haul_transfer_pump(transfer);
}

static void on_lane_offered(void *context, const struct haul_offer_result *result)
{
    struct haul_transfer *transfer = context;
    struct haul_lane *lane = haul_lanes_free(&transfer->lanes);

    transfer->lane_offer = NULL;
    if (result->code == HAUL_OK)
        haul_lane_take(&transfer->lanes, lane, result->flow, result->wants_max, result->flows_max);
    else
        haul_lanes_failed(&transfer->lanes, now_of(transfer), result->retry_ms * HAUL_MILLISECOND);
    haul_transfer_settle(transfer);
}

static void ask(struct haul_transfer *transfer)
{
    const struct haul_offer_wish wish = {
        .root = transfer->target.root,
        .wants_max = (uint16_t)haul_lanes_share(&transfer->lanes),
        .via = transfer->via,
        .beside = true,
        .one_cipher = !transfer->ask.any_cipher,
        .cipher = transfer->ask.cipher,
        .done = on_lane_offered,
        .up = on_lane_up,
        .ended = transfer->flow_ended,
        .context = transfer,
    };
    struct haul_error error;

    transfer->lane_offer = haul_offer_ask(
        transfer->parts.offers, transfer->parts.host,
        haul_host_find(transfer->parts.host, &transfer->target.ticket.peer), &wish, &error);
    if (transfer->lane_offer == NULL)
        haul_lanes_failed(&transfer->lanes, now_of(transfer), 0);
}

/* One lane has nothing to do, as when it is new or all that is left was asked for, and another has
 * much: what of that the peer was not asked for yet comes back, and is divided anew. */
static void level(struct haul_transfer *transfer)
{
    uint32_t crowded = haul_lanes_crowded(&transfer->lanes);

    for (size_t i = 0; i < HAUL_FETCHES_MAX && crowded != 0; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state != HAUL_FETCH_ASKED || !haul_carrier_is_fast(fetch->by) ||
            fetch->lane != crowded || fetch->levelled)
            continue;
        fetch->levelled = true;
        haul_fetch_withdraw(fetch, HAUL_CANCEL_WAITING);
    }
}

/* What a quiet lane was asked for comes back, and others are asked: when it is heard again, what it
 * sends of that is dropped. */
static void lend(struct haul_transfer *transfer, uint32_t quiet)
{
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state == HAUL_FETCH_ASKED && haul_carrier_is_fast(fetch->by) &&
            fetch->lane == quiet)
            haul_fetch_withdraw(fetch, 0);
    }
}

void haul_transfer_lanes_hear(struct haul_transfer *transfer)
{
    struct haul_lanes *lanes = &transfer->lanes;
    uint32_t quiet;

    transfer->hear_at = HAUL_TIME_NEVER;
    if (!moves(transfer) || haul_lanes_alive(lanes) < 2)
        return;
    transfer->hear_at = haul_time_add(now_of(transfer), HAUL_LANES_HEAR);
    for (size_t i = 0; i < HAUL_COUNT_OF(lanes->all); i++) {
        struct haul_lane *lane = &lanes->all[i];
        const struct haul_flow_stats *stats;

        if (!lane->open)
            continue;
        stats = haul_orders_stats(transfer->parts.orders, lane->flow);
        haul_lane_hear(lane, haul_counter_read(&stats->rx_datagrams),
                       haul_counter_read(&stats->probe_timeouts));
    }
    transfer->wants_max = haul_lanes_wants(lanes);
    quiet = haul_lanes_quiet(lanes);
    for (size_t i = 0; i < HAUL_COUNT_OF(lanes->all) && quiet != 0; i++) {
        if (lanes->all[i].open && lanes->all[i].serial == quiet)
            say(transfer, "quiet", lanes->all[i].flow);
    }
    if (quiet != 0)
        lend(transfer, quiet);
}

static void lanes_moved(struct haul_transfer *transfer)
{
    haul_trial_moved(transfer);
    if (!moves(transfer) || haul_trial_runs(transfer))
        return;
    level(transfer);
    if (transfer->lane_offer == NULL && !transfer->plan_over &&
        haul_lanes_lack(&transfer->lanes, now_of(transfer)) &&
        transfer->record.bytes_by_carrier[transfer->carrier->carrier] >= WARM_BYTES)
        ask(transfer);
}

void haul_transfer_lanes_begin(struct haul_transfer *transfer)
{
    haul_lanes_begin(&transfer->lanes);
    transfer->wants_max = haul_lanes_wants(&transfer->lanes);
    transfer->progress = lanes_moved;
}

/* The first is gone, and none of the others is proven: whatever moves from now on, they do not. */
static void others_end(struct haul_transfer *transfer)
{
    if (transfer->lane_offer != NULL)
        haul_offer_cancel(transfer->lane_offer);
    transfer->lane_offer = NULL;
    haul_transfer_flows_end(transfer);
}

bool haul_transfer_lane_ended(struct haul_transfer *transfer, uint32_t flow)
{
    struct haul_lane *lane = haul_lanes_find(&transfer->lanes, flow);

    if (lane == NULL)
        return false;
    lane->dying = true;
    lane->open = false;
    if (lane == &transfer->lanes.first &&
        (!moves(transfer) || !haul_lanes_promote(&transfer->lanes))) {
        others_end(transfer);
        return false;
    }
    if (transfer->state == HAUL_TRANSFER_MEETING || transfer->state == HAUL_TRANSFER_MOVING)
        haul_transfer_account_flow(transfer, flow);
    if (moves(transfer)) {
        haul_lanes_failed(&transfer->lanes, now_of(transfer), 0);
        transfer->wants_max = haul_lanes_wants(&transfer->lanes);
        say(transfer, "ended", flow);
        haul_transfer_wake(transfer);
        haul_transfer_pump(transfer);
    }
    haul_transfer_settle(transfer);
    return true;
}
