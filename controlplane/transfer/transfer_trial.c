/* Which of two nets is the faster one: a node may have the kernel's and a port of DPDK. With auto a
 * transfer begins over one of them; once that has shown its rate, the peer is asked for a flow over
 * the other, which then moves as much; the faster one has the rest. What the loser was asked for it
 * still brings, so that no byte is fetched twice, and the verdict holds for this peer for a while.
 * Short transfers are over before it matters. */
#include "common/log.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/transfer/transfer_parts.h"

#include <inttypes.h>
#include <string.h>

#define WARM_BYTES   (UINT64_C(8) << 20) /* windows open, neighbours are found */
#define MEASURE      (UINT64_C(32) << 20)
#define LONGEST      HAUL_SECOND /* of warming, and of measuring: then what is there counts */
#define KNOWN_SPAN   (600 * HAUL_SECOND)
#define LEAD_PERCENT 5u /* a change must be worth it: what differs less is noise */

static haul_time now_of(const struct haul_transfer *transfer)
{
    return haul_loop_now(transfer->parts.loop);
}

/* --- what is known of a peer --- */

bool haul_trial_known(const struct haul_transfer *transfer, uint8_t *via)
{
    const struct haul_faster *faster = transfer->parts.faster;

    for (size_t i = 0; faster != NULL && i < HAUL_FASTER_PEERS; i++) {
        if (faster->of[i].until > now_of(transfer) &&
            haul_peer_id_equal(&faster->of[i].peer, &transfer->target.ticket.peer)) {
            *via = faster->of[i].via;
            return true;
        }
    }
    return false;
}

static void remember(struct haul_transfer *transfer, uint8_t via, haul_time until)
{
    struct haul_faster *faster = transfer->parts.faster;
    size_t at = 0;

    if (faster == NULL)
        return;
    for (size_t i = 0; i < HAUL_FASTER_PEERS; i++) { /* its own place, or the one that ends first */
        if (haul_peer_id_equal(&faster->of[i].peer, &transfer->target.ticket.peer)) {
            at = i;
            break;
        }
        if (faster->of[i].until < faster->of[at].until)
            at = i;
    }
    faster->of[at].peer = transfer->target.ticket.peer;
    faster->of[at].via = via;
    faster->of[at].until = until;
}

void haul_trial_forget(struct haul_transfer *transfer)
{
    uint8_t via;

    if (haul_trial_known(transfer, &via))
        remember(transfer, via, 0);
}

/* --- two flows --- */

/* The other flow is the one in use from now on. */
static void change(struct haul_transfer *transfer)
{
    struct haul_trial *trial = &transfer->trial;
    uint8_t via = trial->via;

    trial->via = transfer->via;
    transfer->via = via;
    haul_lanes_swap(&transfer->lanes, &trial->lane);
    transfer->wants_max = transfer->lanes.first.wants_max;
    haul_transfer_move(transfer, haul_carrier_over(transfer, transfer->via));
}

static void measure_from(struct haul_transfer *transfer, enum haul_trial_state state)
{
    struct haul_trial *trial = &transfer->trial;

    trial->state = state;
    trial->warm = false;
    trial->since = now_of(transfer);
    trial->bytes =
        transfer->record.bytes_by_carrier[haul_carrier_over(transfer, transfer->via)->carrier];
}

static void on_trial_up(void *context, uint32_t flow, uint32_t payload, haul_time rtt)
{
    struct haul_transfer *transfer = context;
    struct haul_trial *trial = &transfer->trial;

    (void)payload;
    (void)rtt;
    if (!trial->lane.open || flow != trial->lane.flow || trial->lane.proven ||
        transfer->state != HAUL_TRANSFER_MOVING)
        return;
    trial->lane.proven = true;
    if (trial->state != HAUL_TRIAL_ASKING)
        return;
    trial->state = HAUL_TRIAL_OVER; /* move may end the transfer */
    if (haul_carrier_is_fast(transfer->carrier)) {
        change(transfer);
        measure_from(transfer, HAUL_TRIAL_SECOND);
    } else { /* the first one has died meanwhile */
        change(transfer);
    }
}

static void on_trial_offered(void *context, const struct haul_offer_result *result)
{
    struct haul_transfer *transfer = context;
    struct haul_trial *trial = &transfer->trial;

    trial->offer = NULL;
    if (result->code == HAUL_OK) {
        trial->lane.dying = false;
        haul_lane_take(&transfer->lanes, &trial->lane, result->flow,
                       result->wants_max < HAUL_FETCHES_MAX ? result->wants_max : HAUL_FETCHES_MAX,
                       result->flows_max);
    } else {
        trial->state = HAUL_TRIAL_OVER;
    }
    haul_transfer_settle(transfer);
}

static void ask(struct haul_transfer *transfer)
{
    struct haul_trial *trial = &transfer->trial;
    const struct haul_offer_wish wish = {
        .root = transfer->target.root,
        .wants_max = HAUL_FETCHES_MAX,
        .via = transfer->via == HAUL_VIA_DPDK ? HAUL_VIA_KERNEL : HAUL_VIA_DPDK,
        .one_cipher = !transfer->ask.any_cipher,
        .cipher = transfer->ask.cipher,
        .done = on_trial_offered,
        .up = on_trial_up,
        .ended = transfer->flow_ended,
        .context = transfer,
    };
    struct haul_error error;

    trial->state = HAUL_TRIAL_ASKING;
    trial->via = wish.via;
    trial->offer = haul_offer_ask(transfer->parts.offers, transfer->parts.host,
                                  transfer->connection, &wish, &error);
    if (trial->offer == NULL)
        trial->state = HAUL_TRIAL_OVER;
}

/* --- the measurement --- */

/* True when the flow in use has shown its rate, in bytes a second. */
static bool is_measured(struct haul_transfer *transfer, uint64_t *rate)
{
    struct haul_trial *trial = &transfer->trial;
    uint64_t bytes =
        transfer->record.bytes_by_carrier[haul_carrier_over(transfer, transfer->via)->carrier];
    uint64_t moved = bytes - trial->bytes;
    haul_time span = haul_time_since(trial->since, now_of(transfer));

    if (moved < (trial->warm ? MEASURE : WARM_BYTES) && span < LONGEST)
        return false;
    if (trial->warm) {
        *rate = moved * HAUL_SECOND / (span > 0 ? span : 1);
        return true;
    }
    trial->warm = true;
    trial->since = now_of(transfer);
    trial->bytes = bytes;
    return false;
}

static void decide(struct haul_transfer *transfer, uint64_t rate)
{
    struct haul_trial *trial = &transfer->trial;
    uint64_t before = trial->rate;
    uint8_t first = trial->via;
    bool better = rate / 100 * (100 - LEAD_PERCENT) > before;

    trial->state = HAUL_TRIAL_OVER;
    remember(transfer, better ? transfer->via : first, haul_time_add(now_of(transfer), KNOWN_SPAN));
    haul_log(
        HAUL_LOG_INFO, "transfer-way",
        "chosen=%s %s_bytes_per_second=%" PRIu64 " %s_bytes_per_second=%" PRIu64,
        haul_carrier_name(haul_carrier_over(transfer, better ? transfer->via : first)->carrier),
        haul_carrier_name(haul_carrier_over(transfer, first)->carrier), before,
        haul_carrier_name(haul_carrier_over(transfer, transfer->via)->carrier), rate);
    if (!better && trial->lane.open)
        change(transfer);
}

/* The loser goes when it has brought what it was asked for. */
static void loser_end(struct haul_transfer *transfer)
{
    struct haul_trial *trial = &transfer->trial;

    if (!trial->lane.open || trial->lane.dying)
        return;
    for (size_t i = 0; i < HAUL_FETCHES_MAX; i++) {
        const struct haul_fetch *fetch = &transfer->fetches[i];

        if (fetch->state == HAUL_FETCH_ASKED &&
            fetch->by == haul_carrier_over(transfer, trial->via))
            return;
    }
    trial->lane.dying = true;
    haul_grants_end(transfer->parts.grants, trial->lane.flow);
}

void haul_trial_moved(struct haul_transfer *transfer)
{
    struct haul_trial *trial = &transfer->trial;
    uint64_t rate;

    if (transfer->state != HAUL_TRANSFER_MOVING)
        return;
    switch ((enum haul_trial_state)trial->state) {
    case HAUL_TRIAL_NONE:
    case HAUL_TRIAL_ASKING:
        break;
    case HAUL_TRIAL_FIRST:
        if (is_measured(transfer, &trial->rate))
            ask(transfer);
        break;
    case HAUL_TRIAL_SECOND:
        if (is_measured(transfer, &rate))
            decide(transfer, rate);
        break;
    case HAUL_TRIAL_OVER:
        loser_end(transfer);
        break;
    }
}

/* --- its life --- */

bool haul_trial_runs(const struct haul_transfer *transfer)
{
    return transfer->trial.state != HAUL_TRIAL_NONE && transfer->trial.state != HAUL_TRIAL_OVER;
}

void haul_trial_begin(struct haul_transfer *transfer)
{
    uint8_t via;

    if (transfer->trial.state == HAUL_TRIAL_NONE && transfer->ask.carrier == HAUL_CHOOSE_AUTO &&
        haul_offers_has(transfer->parts.offers, HAUL_VIA_KERNEL) &&
        haul_offers_has(transfer->parts.offers, HAUL_VIA_DPDK) && !haul_trial_known(transfer, &via))
        measure_from(transfer, HAUL_TRIAL_FIRST);
}

bool haul_trial_ended(struct haul_transfer *transfer, uint32_t flow)
{
    struct haul_trial *trial = &transfer->trial;
    bool other = trial->lane.open && flow == trial->lane.flow;

    if (!other &&
        !(trial->lane.open && trial->lane.proven && !trial->lane.dying &&
          transfer->state == HAUL_TRANSFER_MOVING && haul_carrier_is_fast(transfer->carrier)))
        return false;
    if (transfer->state == HAUL_TRANSFER_MOVING)
        haul_transfer_account_flow(transfer, flow);
    trial->state = HAUL_TRIAL_OVER;
    if (other) {
        trial->lane.open = false;
    } else { /* the one in use died, and the other lives */
        transfer->lanes.first.open = false;
        change(transfer);
    }
    haul_transfer_settle(transfer);
    return true;
}
