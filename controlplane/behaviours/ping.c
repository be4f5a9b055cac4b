#include "controlplane/behaviours/ping.h"

#include "controlplane/host/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Who asked for a ping; owned by its stream. */
struct ping {
    haul_ping_fn *done;
    void *context;
    uint8_t sent[HAUL_PING_BYTES];
    uint8_t received[HAUL_PING_BYTES];
    size_t bytes;
    haul_time sent_at, round_trip;
};

static void ping_opened(struct haul_stream *stream, void *argument)
{
    struct ping *ping = argument;

    if (ping == NULL)
        return;
    ping->sent_at = haul_loop_now(haul_host_loop(haul_stream_host(stream)));
    if (getrandom(ping->sent, sizeof ping->sent, 0) != (ssize_t)sizeof ping->sent ||
        !haul_stream_send(stream, ping->sent, sizeof ping->sent))
        haul_stream_reset(stream);
}

/* Echoes as much as can be written; what cannot stays with the host. */
static size_t ping_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct ping *ping = haul_stream_argument(stream);

    if (ping == NULL)
        return haul_stream_write(stream, data, bytes);
    if (bytes > HAUL_PING_BYTES - ping->bytes) {
        haul_stream_reset(stream); /* more than was asked for */
        return bytes;
    }
    memcpy(ping->received + ping->bytes, data, bytes);
    ping->bytes += bytes;
    if (ping->bytes < HAUL_PING_BYTES)
        return bytes;
    if (memcmp(ping->received, ping->sent, HAUL_PING_BYTES) == 0)
        ping->round_trip =
            haul_time_since(ping->sent_at, haul_loop_now(haul_host_loop(haul_stream_host(stream))));
    haul_stream_close(stream);
    return bytes;
}

static void ping_writable(struct haul_stream *stream)
{
    haul_stream_resume(stream);
}

static void ping_ended(struct haul_stream *stream)
{
    haul_stream_close(stream);
}

static void ping_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct ping *ping = haul_stream_argument(stream);

    (void)end;
    if (ping == NULL)
        return;
    ping->done(ping->context, ping->round_trip);
    free(ping);
}

const struct haul_behaviour haul_ping_behaviour = {
    .protocol = "/ipfs/ping/1.0.0",
    /* rust-libp2p keeps one open on every connection, and after a punch there are several. */
    .inbound_per_peer_max = 8,
    .idle_max = 60 * HAUL_SECOND,
    .opened = ping_opened,
    .input = ping_input,
    .ended = ping_ended,
    .writable = ping_writable,
    .closed = ping_closed,
};

bool haul_ping(struct haul_host *host, uint64_t connection, haul_ping_fn *done, void *context)
{
    struct ping *ping = calloc(1, sizeof *ping);

    if (ping == NULL)
        return false;
    ping->done = done;
    ping->context = context;
    ping->round_trip = HAUL_TIME_NEVER;
    if (haul_host_stream(host, connection, &haul_ping_behaviour, ping) == NULL) {
        free(ping);
        return false;
    }
    return true;
}
