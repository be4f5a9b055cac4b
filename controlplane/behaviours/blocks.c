/* The service, and its table: a stream that we opened has a client (blocks_client.c), any other is
 * answered (blocks_answer.c). */
#include "controlplane/behaviours/blocks.h"

#include "controlplane/behaviours/blocks_parts.h"

#include <stdlib.h>

static void on_opened(struct haul_stream *stream, void *argument)
{
    if (argument != NULL)
        blocks_client_opened(stream, argument);
    else
        blocks_answer_opened(stream);
}

static size_t on_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct haul_blocks_client *client = haul_stream_argument(stream);

    if (client != NULL)
        return blocks_client_input(client, data, bytes);
    return blocks_answer_input(haul_stream_service(stream), haul_stream_state(stream), data, bytes);
}

static void on_writable(struct haul_stream *stream)
{
    struct haul_blocks_client *client = haul_stream_argument(stream);

    if (client != NULL)
        blocks_client_writable(client);
    else
        blocks_answer_writable(haul_stream_service(stream), haul_stream_state(stream));
}

static void on_ended(struct haul_stream *stream)
{
    struct haul_blocks_client *client = haul_stream_argument(stream);

    if (client != NULL)
        blocks_client_ended(client);
    else
        blocks_answer_ended(haul_stream_service(stream), haul_stream_state(stream));
}

static void on_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct haul_blocks_client *client = haul_stream_argument(stream);

    if (client != NULL)
        blocks_client_closed(client, end);
    else
        blocks_answer_closed(haul_stream_service(stream), haul_stream_state(stream));
}

const struct haul_behaviour haul_blocks_behaviour = {
    .protocol = HAUL_BLOCKS_PROTOCOL,
    .state_bytes = sizeof(struct blocks_stream),
    .inbound_per_peer_max = HAUL_BLOCKS_STREAMS_PER_PEER,
    .outbound_per_peer_max = HAUL_BLOCKS_STREAMS_PER_PEER,
    .idle_max = 60 * HAUL_SECOND,
    .window_bytes_max = HAUL_BLOCKS_WINDOW_BYTES,
    .opened = on_opened,
    .input = on_input,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
};

/* --- the service --- */

int haul_blocks_open(struct haul_blocks **out, struct haul_orders *orders,
                     const struct haul_catalog *catalog, struct haul_error *error)
{
    struct haul_blocks *blocks = calloc(1, sizeof *blocks);

    if (blocks == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for %s", HAUL_BLOCKS_PROTOCOL);
    blocks->behaviour = &haul_blocks_behaviour;
    blocks->orders = orders;
    blocks->patience = HAUL_BLOCKS_PATIENCE;
    blocks->catalog = catalog;
    blocks->slots_max = haul_orders_slot_count(orders) / 2;
    if (blocks->slots_max == 0)
        blocks->slots_max = 1;
    LIST_INIT(&blocks->streams);
    *out = blocks;
    return 0;
}

void haul_blocks_close(struct haul_blocks *blocks)
{
    if (blocks == NULL)
        return;
    haul_orders_forget(blocks->orders, blocks);
    free(blocks);
}

const struct haul_blocks_counters *haul_blocks_counters(const struct haul_blocks *blocks)
{
    return &blocks->counters;
}
