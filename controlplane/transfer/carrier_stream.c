/* The libp2p stream: whole blocks come into slots of the control plane, in the order in which they
 * were asked for; a helper checks each hash before a byte is used. Once there is much to move, and
 * where threads can do the work of several connections, further ones are dialled to where the first
 * one leads, each with a stream of its own, and closed with the get. One that ends leaves its
 * blocks to the others; when it was the first, another takes its place. */
#include "common/counters.h"
#include "common/log.h"
#include "controlplane/behaviours/blocks.h"
#include "controlplane/transfer/transfer_parts.h"

#include <inttypes.h>

#define AT_ONCE      HAUL_FETCH_SLOTS_MAX
#define STREAM_RETRY (50 * HAUL_MILLISECOND) /* other transfers have all streams to this peer */
#define WARM_BYTES   (UINT64_C(8) << 20)     /* shorter gets are over before it matters */
#define DIAL_WAIT    (5 * HAUL_SECOND)

static haul_time now_of(const struct haul_transfer *transfer)
{
    return haul_loop_now(transfer->parts.loop);
}

/* --- ways: connections with a stream each --- */

static void way_look(struct haul_way *way)
{
    const struct haul_transfer *transfer = way->owner;
    struct haul_connection_facts facts;

    if (haul_host_facts(transfer->parts.host, way->connection, &facts))
        way->rx = facts.rx_bytes - way->rx_before;
}

/* A further connection is ours alone; the transfer's own one others may use. */
static void way_close(struct haul_way *way)
{
    struct haul_transfer *transfer = way->owner;

    haul_blocks_client_close(way->stream);
    if (way->further) {
        way_look(way);
        if (transfer->state == HAUL_TRANSFER_MOVING)
            transfer->record.wire_bytes += way->rx;
        haul_host_disconnect(transfer->parts.host, way->connection);
    }
    *way = (struct haul_way){ .connection = HAUL_WAYS_NONE };
}

static void stream_close(struct haul_transfer *transfer)
{
    for (size_t i = 0; i < HAUL_WAYS_MAX; i++) {
        if (transfer->ways.all[i].connection != HAUL_WAYS_NONE)
            way_close(&transfer->ways.all[i]);
    }
}

/* What this one had has come back; the others go on with it. */
static void way_lost(struct haul_way *way)
{
    struct haul_transfer *transfer = way->owner;
    struct haul_way_counters *counters = transfer->parts.ways;
    struct haul_way *other = haul_ways_choose(&transfer->ways);

    if (counters != NULL)
        haul_counter_add(way->proven || !way->further ? &counters->lost : &counters->failed, 1);
    haul_log(HAUL_LOG_INFO, "transfer-way", "ended ways=%" PRIu32,
             haul_ways_alive(&transfer->ways));
    haul_ways_failed(&transfer->ways, now_of(transfer));
    if (!way->further) {
        transfer->record.wire_bytes += way->rx;
        transfer->connection = other->connection;
        transfer->connection_rx_before = other->rx_before;
        other->further = false;
    }
    way_close(way);
    haul_transfer_wake(transfer);
    haul_transfer_pump(transfer);
}

static void stream_ended(void *context, enum haul_error_code why)
{
    struct haul_way *way = context;
    struct haul_transfer *transfer = way->owner;

    haul_blocks_client_close(way->stream);
    way->stream = NULL;
    if (why != HAUL_E_REFUSED && why != HAUL_E_PEER_PROTOCOL &&
        haul_ways_alive(&transfer->ways) > 0) {
        way_lost(way);
        haul_transfer_settle(transfer);
        return;
    }
    way_close(way);
    if (why == HAUL_E_REFUSED)
        haul_transfer_lost(transfer, &haul_carrier_stream, HAUL_E_CARRIER_FAILED,
                           "the peer does not serve blocks");
    else if (why == HAUL_E_PEER_PROTOCOL)
        haul_transfer_lost(transfer, &haul_carrier_stream, why,
                           "the peer broke the protocol of blocks");
    else
        haul_transfer_lost(transfer, &haul_carrier_stream, HAUL_E_PEER_GONE,
                           "the stream of blocks ended");
    haul_transfer_settle(transfer);
}

/* False when there is no stream to be had on it now. */
static bool way_open(struct haul_transfer *transfer, uint64_t connection, uint64_t rx_before,
                     bool further)
{
    struct haul_way *way = haul_ways_find(&transfer->ways, HAUL_WAYS_NONE);

    if (way == NULL)
        return false;
    *way = (struct haul_way){
        .owner = transfer, .connection = connection, .rx_before = rx_before, .further = further
    };
    way->stream = haul_blocks_client_open(transfer->parts.blocks, transfer->parts.host, connection,
                                          stream_ended, way);
    if (way->stream == NULL)
        way->connection = HAUL_WAYS_NONE;
    return way->stream != NULL;
}

/* --- further ones --- */

static bool moves_alone(const struct haul_transfer *transfer)
{
    return transfer->state == HAUL_TRANSFER_MOVING && transfer->carrier == &haul_carrier_stream &&
           !transfer->seeking && !transfer->plan_over && transfer->direct_by == 0 &&
           transfer->onward == HAUL_HOST_NO_CONNECTION && haul_ways_alive(&transfer->ways) > 0;
}

static void on_dialled(void *context, uint64_t connection, const struct haul_error *error)
{
    struct haul_transfer *transfer = context;
    struct haul_way_counters *counters = transfer->parts.ways;
    struct haul_connection_facts facts;

    transfer->ways.dialling = false;
    if (connection != HAUL_HOST_NO_CONNECTION && moves_alone(transfer) &&
        haul_host_facts(transfer->parts.host, connection, &facts) &&
        haul_peer_id_equal(&facts.peer, &transfer->target.ticket.peer) && /* still the same */
        way_open(transfer, connection, facts.rx_bytes, true)) {
        if (counters != NULL)
            haul_counter_add(&counters->opened, 1);
        haul_log(HAUL_LOG_INFO, "transfer-way", "up ways=%" PRIu32,
                 haul_ways_alive(&transfer->ways));
        transfer->wants_max = AT_ONCE;
        haul_transfer_pump(transfer);
    } else if (moves_alone(transfer)) {
        if (counters != NULL)
            haul_counter_add(&counters->failed, 1);
        haul_log(HAUL_LOG_INFO, "transfer-way", "failed text=\"%s\"",
                 error != NULL ? error->text : "no stream on it");
        haul_ways_failed(&transfer->ways, now_of(transfer));
    }
    if (connection != HAUL_HOST_NO_CONNECTION &&
        haul_ways_find(&transfer->ways, connection) == NULL)
        haul_host_disconnect(transfer->parts.host, connection);
    haul_transfer_settle(transfer);
}

/* Another one is dialled to where the transfer's own leads, or, when the peer has dialled us, to
 * where its ticket says. Through a relay there is no second. */
static void ways_extend(struct haul_transfer *transfer)
{
    const struct haul_ticket *ticket = &transfer->target.ticket;
    struct haul_connection_facts facts;
    struct haul_multiaddr address;

    if (!moves_alone(transfer) || !haul_ways_lack(&transfer->ways, now_of(transfer)) ||
        transfer->record.bytes_by_carrier[HAUL_CARRIER_STREAM] < WARM_BYTES ||
        !haul_host_facts(transfer->parts.host, transfer->connection, &facts) || facts.relayed)
        return;
    transfer->ways.dialling = true;
    haul_multiaddr_from_tcp(&address, &facts.remote);
    haul_host_dial_anew(
        transfer->parts.host, &facts.peer, facts.inbound ? ticket->addresses : &address,
        facts.inbound ? ticket->address_count : 1,
        haul_time_min(transfer->deadline, haul_time_add(now_of(transfer), DIAL_WAIT)), on_dialled,
        transfer);
}

/* --- the carrier --- */

static bool stream_ready(struct haul_transfer *transfer)
{
    struct haul_connection_facts facts;

    transfer->carrier_at = HAUL_TIME_NEVER;
    if (transfer->onward != HAUL_HOST_NO_CONNECTION && transfer->streaming == 0) {
        stream_close(transfer);
        haul_transfer_move_on(transfer);
    } else if (transfer->onward != HAUL_HOST_NO_CONNECTION) {
        return false; /* what was asked for comes the old way, and with the last of it we go */
    }
    if (haul_ways_alive(&transfer->ways) > 0)
        return true;
    if (haul_ways_ending(&transfer->ways))
        return false; /* which is told in a moment */
    if (!haul_host_facts(transfer->parts.host, transfer->connection, &facts)) {
        if (transfer->carrier != &haul_carrier_stream) { /* for one block that udp spoiled */
            transfer->carrier_at = haul_time_add(now_of(transfer), HAUL_SECOND);
            return false;
        }
        haul_transfer_lost(transfer, &haul_carrier_stream, HAUL_E_PEER_GONE,
                           "the connection ended");
        return false;
    }
    if (way_open(transfer, transfer->connection, transfer->connection_rx_before, false))
        return true;
    transfer->carrier_at = haul_time_add(now_of(transfer), STREAM_RETRY);
    return false;
}

static void fetched(struct haul_fetch *fetch, const struct haul_blocks_answer *answer)
{
    bool whole = answer->offset == 0 && answer->count == answer->total;

    fetch->got = answer->count;
    if (!whole) {
        haul_fetch_done(fetch, HAUL_STATUS_WRONG, 0, 0, 0);
        return;
    }
    if (!haul_fetch_verify(fetch))
        haul_fetch_done(fetch, HAUL_STATUS_LIMIT, 0, 0, 0);
}

/* Where others fetch now, the last answer is the end: the peer takes few streams at a time. */
static void stream_leave(struct haul_transfer *transfer)
{
    if (transfer->streaming == 0 && transfer->carrier != &haul_carrier_stream)
        stream_close(transfer);
}

static void stream_over(struct haul_fetch *fetch)
{
    fetch->way->asked--;
    fetch->way = NULL;
    fetch->transfer->streaming--;
}

static void way_brought(struct haul_way *way)
{
    struct haul_transfer *transfer = way->owner;

    way_look(way);
    way->proven = true;
    if (!way->further)
        return;
    haul_ways_proven(&transfer->ways);
    if (transfer->parts.ways != NULL)
        haul_counter_add(&transfer->parts.ways->blocks, 1);
}

static void stream_done(void *context, enum haul_blocks_status status,
                        const struct haul_blocks_answer *answer)
{
    struct haul_fetch *fetch = context;
    struct haul_transfer *transfer = fetch->transfer;
    struct haul_way *way = fetch->way;

    stream_over(fetch);
    way->lost |= status == HAUL_BLOCKS_LOST;
    switch (status) {
    case HAUL_BLOCKS_OK:
        way_brought(way);
        fetched(fetch, answer);
        break;
    case HAUL_BLOCKS_UNKNOWN:
        haul_fetch_done(fetch, HAUL_STATUS_REFUSED_UNKNOWN, 0, 0, 0);
        break;
    case HAUL_BLOCKS_BUSY:
        haul_fetch_done(fetch, HAUL_STATUS_REFUSED_BUSY, 0, answer->retry_ms, 0);
        break;
    case HAUL_BLOCKS_FAILED:
        haul_fetch_done(fetch, HAUL_STATUS_REFUSED_FAILED, 0, 0, 0);
        break;
    case HAUL_BLOCKS_LOST:
        haul_fetch_done(fetch, HAUL_STATUS_FLOW_ENDED, 0, 0, 0);
        break;
    }
    stream_leave(transfer);
    ways_extend(transfer);
}

static bool stream_fetch(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    const struct haul_blocks_request request = { .root = transfer->target.root,
                                                 .hash = fetch->cid.hash };
    struct haul_way *way = haul_ways_choose(&transfer->ways);

    if (transfer->streaming >= AT_ONCE || way == NULL ||
        !haul_blocks_fetch(way->stream, &request,
                           haul_orders_slot(transfer->parts.orders, fetch->slot), stream_done,
                           fetch))
        return false;
    fetch->way = way;
    way->asked++;
    transfer->streaming++;
    return true;
}

/* A slot that a helper reads comes back when the helper is done; the stream lets go at once. */
static void stream_cancel(struct haul_fetch *fetch)
{
    struct haul_way *way = fetch->way;

    if (way == NULL)
        return;
    stream_over(fetch);
    if (way->stream != NULL)
        haul_blocks_cancel(way->stream, fetch);
    haul_fetch_done(fetch, HAUL_STATUS_WITHDRAWN, 0, 0, 0);
}

const struct haul_carrier_ops haul_carrier_stream = {
    .carrier = HAUL_CARRIER_STREAM,
    .places = false,
    .ready = stream_ready,
    .fetch = stream_fetch,
    .cancel = stream_cancel,
    .leave = stream_leave,
    .close = stream_close,
};
