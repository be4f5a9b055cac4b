/* The libp2p stream: whole blocks come into slots of the control plane, in the order in which they
 * were asked for; a helper checks each hash before a byte is used. */
#include "controlplane/behaviours/blocks.h"
#include "controlplane/transfer/transfer_parts.h"

#define AT_ONCE      HAUL_FETCH_SLOTS_MAX
#define STREAM_RETRY (50 * HAUL_MILLISECOND) /* other transfers have all streams to this peer */

static void stream_close(struct haul_transfer *transfer)
{
    haul_blocks_client_close(transfer->stream);
    transfer->stream = NULL;
}

static void stream_ended(void *context, enum haul_error_code why)
{
    struct haul_transfer *transfer = context;

    haul_blocks_client_close(transfer->stream);
    transfer->stream = NULL;
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
    if (transfer->stream != NULL)
        return true;
    if (!haul_host_facts(transfer->parts.host, transfer->connection, &facts)) {
        if (transfer->carrier != &haul_carrier_stream) { /* for one block that udp spoiled */
            transfer->carrier_at = haul_time_add(haul_loop_now(transfer->parts.loop), HAUL_SECOND);
            return false;
        }
        haul_transfer_lost(transfer, &haul_carrier_stream, HAUL_E_PEER_GONE,
                           "the connection ended");
        return false;
    }
    transfer->stream = haul_blocks_client_open(transfer->parts.blocks, transfer->parts.host,
                                               transfer->connection, stream_ended, transfer);
    if (transfer->stream == NULL)
        transfer->carrier_at = haul_time_add(haul_loop_now(transfer->parts.loop), STREAM_RETRY);
    return transfer->stream != NULL;
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
    fetch->on_stream = false;
    fetch->transfer->streaming--;
}

static void stream_done(void *context, enum haul_blocks_status status,
                        const struct haul_blocks_answer *answer)
{
    struct haul_fetch *fetch = context;
    struct haul_transfer *transfer = fetch->transfer;

    stream_over(fetch);
    switch (status) {
    case HAUL_BLOCKS_OK:
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
}

static bool stream_fetch(struct haul_fetch *fetch)
{
    struct haul_transfer *transfer = fetch->transfer;
    const struct haul_blocks_request request = { .root = transfer->target.root,
                                                 .hash = fetch->cid.hash };

    if (transfer->streaming >= AT_ONCE || transfer->stream == NULL)
        return false;
    fetch->on_stream = haul_blocks_fetch(transfer->stream, &request,
                                         haul_orders_slot(transfer->parts.orders, fetch->slot),
                                         stream_done, fetch);
    transfer->streaming += fetch->on_stream;
    return fetch->on_stream;
}

/* A slot that a helper reads comes back when the helper is done; the stream lets go at once. */
static void stream_cancel(struct haul_fetch *fetch)
{
    if (!fetch->on_stream)
        return;
    stream_over(fetch);
    if (fetch->transfer->stream != NULL)
        haul_blocks_cancel(fetch->transfer->stream, fetch);
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
