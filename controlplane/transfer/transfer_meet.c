/* From a ticket to a carrier: dial the peer, offer, wait for the proof of the path. With auto the
 * stream moves meanwhile, with few blocks at a time, and again when the fast path has died. Through
 * a relay that cuts connections off no data goes unless it is forced to: a direct connection is
 * waited for, or a fast path whose hole the offer has punched. A relay without limits carries after
 * a while, and until there is a direct connection, to which the stream moves between two blocks. */
#include "common/log.h"
#include "controlplane/behaviours/dcutr.h"
#include "controlplane/behaviours/offer.h"
#include "controlplane/transfer/transfer_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DIAL_WAIT    (15 * HAUL_SECOND)
#define REDIAL_MIN   (250 * HAUL_MILLISECOND)
#define REDIAL_MAX   (5 * HAUL_SECOND)
#define PROOF_WAIT   (1500 * HAUL_MILLISECOND) /* auto: then the stream takes all it can */
#define STREAM_FIRST 4u                        /* until then: little to wait for when moving on */
#define STREAM_WANTS 16u
#define DIRECT_WAIT  (14 * HAUL_SECOND) /* if we do not hear before that nothing will come */
#define CARRY_WAIT   (2 * HAUL_SECOND)  /* mostly there is a direct way by then */
#define DIRECT_LOOK  (100 * HAUL_MILLISECOND)
#define OFFER_RETRY  (50 * HAUL_MILLISECOND) /* a limit of ours: other transfers have the rest */
#define OFFER_MAX    (5 * HAUL_SECOND)       /* to the next offer, whatever a busy peer says */

static haul_time now_of(const struct haul_transfer *transfer)
{
    return haul_loop_now(transfer->parts.loop);
}

static void peer_text(const struct haul_transfer *transfer, char text[HAUL_PEER_ID_TEXT_BYTES])
{
    haul_peer_id_print(&transfer->target.ticket.peer, text);
}

static void stream_begin(struct haul_transfer *transfer)
{
    if (transfer->record.negotiate == 0)
        transfer->record.negotiate =
            haul_time_since(transfer->began + transfer->record.dial, now_of(transfer));
    transfer->wants_max = transfer->seeking ? STREAM_FIRST : STREAM_WANTS;
    haul_transfer_move(transfer, transfer->carriers[HAUL_CARRIER_STREAM]);
}

/* The stream does not hold back any more. */
static void stream_widen(struct haul_transfer *transfer)
{
    if (transfer->carrier != transfer->carriers[HAUL_CARRIER_STREAM])
        return;
    transfer->wants_max = STREAM_WANTS;
    haul_transfer_pump(transfer);
}

static bool seeks(const struct haul_transfer *transfer)
{
    return transfer->state == HAUL_TRANSFER_MEETING ||
           (transfer->state == HAUL_TRANSFER_MOVING && transfer->seeking);
}

/* The fast path is not to be had: with auto that is no failure, the stream is moving. */
static void fast_path_failed(struct haul_transfer *transfer, const char *why)
{
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    char text[200];

    if (!seeks(transfer))
        return;
    if (transfer->direct_by != 0) { /* tried again over the direct connection, if one comes */
        transfer->seeking = false;
        stream_widen(transfer);
        return;
    }
    haul_trial_forget(transfer);
    peer_text(transfer, peer);
    if (transfer->state == HAUL_TRANSFER_MOVING || transfer->ask.carrier == HAUL_CHOOSE_AUTO) {
        transfer->seeking = false;
        snprintf(text, sizeof text, "no fast path to %s: %s; using the stream", peer, why);
        if (!transfer->detached)
            transfer->events.note(transfer->context, text);
        if (transfer->state == HAUL_TRANSFER_MOVING)
            stream_widen(transfer);
        else
            stream_begin(transfer);
    } else {
        haul_transfer_fail_text(transfer, HAUL_E_CARRIER_FAILED, "no fast path to %s: %s", peer,
                                why);
    }
}

/* A flow has ended, whichever it was. */
static void flow_ended(void *context, uint32_t flow, enum haul_status why)
{
    struct haul_transfer *transfer = context;

    if (haul_transfer_lane_ended(transfer, flow) || haul_trial_ended(transfer, flow))
        return;
    if (transfer->state == HAUL_TRANSFER_MEETING || transfer->state == HAUL_TRANSFER_MOVING)
        haul_transfer_account_flow(transfer, flow);
    transfer->lanes.first.open = false;
    if (transfer->replacing)
        haul_transfer_replaced(transfer);
    else if (seeks(transfer))
        fast_path_failed(transfer, why == HAUL_STATUS_UNPROVEN ? "no UDP path answered"
                                                               : "the peer closed the flow");
    else if (transfer->state == HAUL_TRANSFER_MOVING && haul_carrier_is_fast(transfer->carrier))
        haul_transfer_lost(transfer, transfer->carrier, HAUL_E_PEER_GONE,
                           why == HAUL_STATUS_SILENT ? "the peer stopped answering"
                                                     : "the flow was closed");
    haul_transfer_settle(transfer);
}

static void on_up(void *context, uint32_t flow, uint32_t payload, haul_time rtt)
{
    struct haul_transfer *transfer = context;

    (void)flow;
    (void)payload;
    (void)rtt;
    if (!seeks(transfer) || transfer->replacing)
        return;
    if (transfer->record.negotiate == 0)
        transfer->record.negotiate =
            haul_time_since(transfer->began + transfer->record.dial, now_of(transfer));
    transfer->seeking = false;
    transfer->direct_by = 0;
    haul_transfer_lanes_begin(transfer);
    haul_transfer_move(transfer, haul_carrier_over(transfer, transfer->via));
    haul_trial_begin(transfer);
}

/* Before anything moved, another provider is tried; when all have failed, they are looked for again
 * after a while. */
static bool provider_failed(struct haul_transfer *transfer)
{
    if (transfer->search == NULL || transfer->state != HAUL_TRANSFER_MEETING)
        return false;
    transfer->connection = HAUL_HOST_NO_CONNECTION;
    transfer->meet_at = now_of(transfer);
    haul_transfer_arm(transfer);
    return true;
}

/* Through a relay, of whose bytes an offer takes some, the pauses grow, and looking for a direct
 * way goes on meanwhile. */
static void offer_again(struct haul_transfer *transfer, haul_time pause)
{
    if (transfer->direct_by == 0) {
        transfer->meet_at = haul_time_add(now_of(transfer), haul_time_min(pause, OFFER_MAX));
        return;
    }
    pause = haul_time_min(pause, OFFER_MAX) << (transfer->refusals < 4 ? transfer->refusals : 4);
    transfer->refusals++;
    transfer->offer_at = haul_time_add(now_of(transfer), haul_time_min(pause, OFFER_MAX));
}

static void refused(struct haul_transfer *transfer, const struct haul_offer_result *result)
{
    char cid[HAUL_CID_TEXT_BYTES];
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_error error;

    peer_text(transfer, peer);
    haul_cid_print(&transfer->target.root, cid);
    switch (result->reason) {
    case HAUL_OFFER_UNKNOWN:
        (void)haul_fail(&error, HAUL_E_CID_UNKNOWN, "%s does not share %s with us", peer, cid);
        if (!provider_failed(transfer) && !haul_transfer_replace(transfer, &error))
            haul_transfer_fail(transfer, &error);
        break;
    case HAUL_OFFER_BUSY:
        offer_again(transfer, haul_time_max(result->retry_ms, 50) * HAUL_MILLISECOND);
        stream_widen(transfer);
        break;
    case HAUL_OFFER_INCOMPATIBLE:
        fast_path_failed(transfer, "no common version, cipher or datagram size");
        break;
    case HAUL_OFFER_UNAVAILABLE:
        fast_path_failed(transfer, "the peer has none");
        break;
    }
    haul_transfer_arm(transfer);
}

static void offer_failed(struct haul_transfer *transfer, enum haul_error_code code, const char *why)
{
    if (code == HAUL_E_LIMIT)
        offer_again(transfer, OFFER_RETRY);
    else
        fast_path_failed(transfer, why);
}

static void on_offered(void *context, const struct haul_offer_result *result)
{
    struct haul_transfer *transfer = context;

    transfer->offer = NULL;
    if (result->code == HAUL_OK) {
        haul_lane_take(&transfer->lanes, &transfer->lanes.first, result->flow,
                       result->wants_max < HAUL_FETCHES_MAX ? result->wants_max : HAUL_FETCHES_MAX,
                       result->flows_max);
        if (transfer->seeking && transfer->direct_by == 0)
            transfer->meet_at = haul_time_add(now_of(transfer), PROOF_WAIT);
        haul_transfer_arm(transfer);
    } else if (result->code == HAUL_E_REFUSED) {
        refused(transfer, result);
    } else if (result->code == HAUL_E_PEER_GONE && provider_failed(transfer)) {
        /* somebody else may be there */
    } else if (result->code == HAUL_E_PEER_GONE) {
        haul_transfer_fail_text(transfer, HAUL_E_PEER_GONE, "the peer went away during the offer");
    } else {
        offer_failed(transfer, result->code, haul_error_meaning(result->code));
    }
    haul_transfer_settle(transfer);
}

/* Over which net to ask first: as told, or the one that is left, or the one that was faster. */
static uint8_t via_choose(const struct haul_transfer *transfer)
{
    uint8_t via = HAUL_VIA_KERNEL;

    if (transfer->ask.carrier == HAUL_CHOOSE_DPDK)
        return HAUL_VIA_DPDK;
    if (transfer->ask.carrier != HAUL_CHOOSE_AUTO)
        return HAUL_VIA_KERNEL;
    if (!haul_offers_has(transfer->parts.offers, HAUL_VIA_KERNEL))
        return HAUL_VIA_DPDK;
    haul_trial_known(transfer, &via);
    return via;
}

static void offer_begin(struct haul_transfer *transfer)
{
    uint8_t via = via_choose(transfer);
    const struct haul_offer_wish wish = {
        .root = transfer->target.root,
        .wants_max = HAUL_FETCHES_MAX,
        .via = via,
        .one_cipher = !transfer->ask.any_cipher,
        .cipher = transfer->ask.cipher,
        .done = on_offered,
        .up = on_up,
        .ended = flow_ended,
        .context = transfer,
    };
    struct haul_error error;

    transfer->meet_at = HAUL_TIME_NEVER;
    transfer->via = via;
    transfer->flow_ended = flow_ended;
    transfer->offer = haul_offer_ask(transfer->parts.offers, transfer->parts.host,
                                     transfer->connection, &wish, &error);
    if (transfer->offer == NULL)
        offer_failed(transfer, error.code, error.text);
    haul_transfer_arm(transfer);
}

/* A peer that is not there yet may come: the command waits, and says for whom. */
static void dial_failed(struct haul_transfer *transfer, const struct haul_error *error)
{
    haul_time wait =
        haul_time_min(REDIAL_MIN << (transfer->dials > 5 ? 5 : transfer->dials), REDIAL_MAX);
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    char text[400];

    if (provider_failed(transfer))
        return;
    if (error->code == HAUL_E_PEER_MISMATCH || error->code == HAUL_E_PEER_PROTOCOL) {
        haul_transfer_fail(transfer, error);
        return;
    }
    if (transfer->dials == 1 && !transfer->detached) {
        peer_text(transfer, peer);
        snprintf(text, sizeof text, "waiting for %s: %s", peer, error->text);
        transfer->events.note(transfer->context, text);
    }
    transfer->meet_at = haul_time_add(now_of(transfer), wait);
    haul_transfer_arm(transfer);
}

static void carriers_begin(struct haul_transfer *transfer)
{
    transfer->seeking = transfer->ask.carrier == HAUL_CHOOSE_AUTO;
    if (transfer->ask.carrier != HAUL_CHOOSE_STREAM && !transfer->lanes.first.open &&
        transfer->offer == NULL)
        offer_begin(transfer);
    if ((transfer->ask.carrier == HAUL_CHOOSE_AUTO ||
         transfer->ask.carrier == HAUL_CHOOSE_STREAM) &&
        transfer->state == HAUL_TRANSFER_MEETING)
        stream_begin(transfer);
}

static void connection_take(struct haul_transfer *transfer, uint64_t connection,
                            struct haul_connection_facts *facts)
{
    transfer->connection = connection;
    if (haul_host_facts(transfer->parts.host, connection, facts))
        transfer->connection_rx_before = facts->rx_bytes;
    else
        facts->relayed = false;
}

/* Nothing direct has come of it. */
static void relayed_settle(struct haul_transfer *transfer)
{
    struct haul_connection_facts facts;
    char peer[HAUL_PEER_ID_TEXT_BYTES];

    transfer->direct_by = HAUL_TIME_NEVER;
    peer_text(transfer, peer);
    if (!haul_host_facts(transfer->parts.host, transfer->connection, &facts)) {
        transfer->direct_by = 0;
        transfer->connection = HAUL_HOST_NO_CONNECTION; /* dial once more */
        transfer->meet_at = now_of(transfer);
        haul_transfer_arm(transfer);
    } else if (transfer->ask.carrier == HAUL_CHOOSE_STREAM ||
               (transfer->ask.carrier == HAUL_CHOOSE_AUTO && !facts.circuit.limited)) {
        transfer->meet_at = haul_time_add(now_of(transfer), DIRECT_LOOK);
        stream_begin(transfer);
    } else {
        haul_transfer_fail_text(transfer, HAUL_E_CARRIER_FAILED,
                                "no direct way to %s was found, and the relay between cuts "
                                "connections off%s: no data is sent through it unless --carrier "
                                "stream says so",
                                peer, facts.circuit.limited ? "" : " from the fast path");
    }
}

/* Nothing more can come of waiting, or the relay may carry meanwhile. */
static bool waited_enough(const struct haul_transfer *transfer)
{
    struct haul_connection_facts facts;

    if (!haul_host_facts(transfer->parts.host, transfer->connection, &facts))
        return true;
    if (now_of(transfer) >= transfer->carry_at && !facts.circuit.limited &&
        (transfer->ask.carrier == HAUL_CHOOSE_AUTO || transfer->ask.carrier == HAUL_CHOOSE_STREAM))
        return true;
    if (transfer->offer_at != HAUL_TIME_NEVER) /* a busy peer, as over a direct connection */
        return false;
    if (now_of(transfer) >= transfer->direct_by)
        return true;
    /* The proof of a flow, or its end, comes first. */
    return !transfer->lanes.first.open &&
           haul_dcutr_over(transfer->parts.dcutr, transfer->connection);
}

/* Met through a relay: looks whether there is a direct way by now. */
static void relayed_look(struct haul_transfer *transfer)
{
    uint64_t direct = haul_host_find_direct(transfer->parts.host, &transfer->target.ticket.peer);
    struct haul_connection_facts facts;

    if (transfer->offer_at <= now_of(transfer)) {
        transfer->offer_at = HAUL_TIME_NEVER;
        if (seeks(transfer) && direct == HAUL_HOST_NO_CONNECTION)
            offer_begin(transfer);
    }
    if (transfer->state == HAUL_TRANSFER_MOVING) {
        transfer->meet_at = haul_time_add(now_of(transfer), DIRECT_LOOK);
        if (direct != HAUL_HOST_NO_CONNECTION) {
            transfer->direct_by = 0;
            transfer->meet_at = HAUL_TIME_NEVER;
            transfer->onward = direct;
            haul_transfer_pump(transfer);
        }
    } else if (direct != HAUL_HOST_NO_CONNECTION) {
        transfer->direct_by = 0;
        transfer->meet_at = transfer->lanes.first.open ? haul_time_add(now_of(transfer), PROOF_WAIT)
                                                       : HAUL_TIME_NEVER;
        connection_take(transfer, direct, &facts);
        carriers_begin(transfer);
    } else if (transfer->offer == NULL && waited_enough(transfer)) {
        relayed_settle(transfer);
    } else {
        transfer->meet_at = haul_time_add(now_of(transfer), DIRECT_LOOK);
    }
    haul_transfer_arm(transfer);
}

void haul_transfer_move_on(struct haul_transfer *transfer)
{
    struct haul_connection_facts facts;

    if (haul_host_facts(transfer->parts.host, transfer->connection, &facts))
        transfer->record.wire_bytes += facts.rx_bytes - transfer->connection_rx_before;
    connection_take(transfer, transfer->onward, &facts);
    transfer->onward = HAUL_HOST_NO_CONNECTION;
    haul_log(HAUL_LOG_INFO, "transfer-direct", "blocks=%" PRIu64, transfer->blocks);
    carriers_begin(transfer);
}

static void relayed_begin(struct haul_transfer *transfer)
{
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    char text[200];

    transfer->direct_by = haul_time_add(now_of(transfer), DIRECT_WAIT);
    transfer->carry_at = haul_time_add(now_of(transfer), CARRY_WAIT);
    transfer->offer_at = HAUL_TIME_NEVER;
    transfer->refusals = 0;
    transfer->seeking = transfer->ask.carrier == HAUL_CHOOSE_AUTO;
    peer_text(transfer, peer);
    snprintf(text, sizeof text, "met %s through a relay; looking for a direct way", peer);
    if (!transfer->detached)
        transfer->events.note(transfer->context, text);
    if (transfer->ask.carrier != HAUL_CHOOSE_STREAM)
        offer_begin(transfer);
    transfer->meet_at = haul_time_add(now_of(transfer), DIRECT_LOOK);
    haul_transfer_arm(transfer);
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct haul_transfer *transfer = context;
    struct haul_connection_facts facts;

    transfer->dialling = false;
    if (transfer->state != HAUL_TRANSFER_MEETING) {
        haul_transfer_settle(transfer);
        return;
    }
    if (connection == HAUL_HOST_NO_CONNECTION) {
        dial_failed(transfer, error);
        return;
    }
    transfer->record.dial = haul_time_since(transfer->began, now_of(transfer));
    connection_take(transfer, connection, &facts);
    if (facts.relayed)
        relayed_begin(transfer);
    else
        carriers_begin(transfer);
}

static void dial_begin(struct haul_transfer *transfer)
{
    const struct haul_ticket *ticket = &transfer->target.ticket;
    haul_time deadline =
        haul_time_min(transfer->deadline, haul_time_add(now_of(transfer), DIAL_WAIT));

    transfer->dialling = true;
    transfer->dials++;
    transfer->meet_at = HAUL_TIME_NEVER;
    haul_host_dial(transfer->parts.host, &ticket->peer, ticket->addresses, ticket->address_count,
                   deadline, on_dialled, transfer);
}

void haul_transfer_meet(struct haul_transfer *transfer)
{
    if (transfer->carrier == transfer->carriers[HAUL_CARRIER_LOCAL]) {
        haul_transfer_move(transfer, transfer->carriers[HAUL_CARRIER_LOCAL]);
    } else if (transfer->direct_by != 0) {
        relayed_look(transfer);
    } else if (!transfer->dialling && transfer->connection == HAUL_HOST_NO_CONNECTION &&
               !transfer->target.has_ticket && !haul_transfer_next_provider(transfer)) {
        return;
    } else if (transfer->dialling || transfer->offer != NULL) {
        transfer->meet_at = HAUL_TIME_NEVER;
    } else if (transfer->connection == HAUL_HOST_NO_CONNECTION) {
        dial_begin(transfer);
    } else if (transfer->lanes.first.open) {
        transfer->meet_at = HAUL_TIME_NEVER; /* its proof, or its end, is told */
        stream_widen(transfer);
    } else {
        offer_begin(transfer);
    }
}

void haul_transfer_lost(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier,
                        enum haul_error_code code, const char *why)
{
    struct haul_connection_facts facts;
    char peer[HAUL_PEER_ID_TEXT_BYTES];
    struct haul_error error;

    if (transfer->state != HAUL_TRANSFER_MOVING)
        return;
    if (carrier != transfer->carrier) { /* what it had comes back and goes to the other */
        haul_transfer_pump(transfer);
        return;
    }
    peer_text(transfer, peer);
    /* The connection that it began with may have been a relayed one, which is gone by now. */
    if (haul_carrier_is_fast(carrier))
        connection_take(
            transfer, haul_host_find(transfer->parts.host, &transfer->target.ticket.peer), &facts);
    if (haul_carrier_is_fast(carrier) && transfer->ask.carrier == HAUL_CHOOSE_AUTO &&
        haul_host_facts(transfer->parts.host, transfer->connection, &facts) &&
        !facts.circuit.limited) {
        stream_begin(transfer);
        return;
    }
    (void)haul_fail(&error, code, "%s: %s", peer, why);
    if (!haul_transfer_replace(transfer, &error))
        haul_transfer_fail(transfer, &error);
}
