#include "controlplane/behaviours/perf.h"

#include "common/bytes.h"
#include "common/counters.h"
#include "controlplane/host/loop.h"

#include <stdlib.h>
#include <string.h>

#define PROTOCOL     "/perf/1.0.0"
#define HEADER_BYTES 8u
#define PART_BYTES   (256u << 10)

/* What is sent: nobody looks at it. */
static const uint8_t filler[PART_BYTES];

static haul_time now_of(struct haul_stream *stream)
{
    return haul_loop_now(haul_host_loop(haul_stream_host(stream)));
}

/* Writes filler until `left` is used up or the stream takes no more; returns what it took. */
static uint64_t pour(struct haul_stream *stream, uint64_t left)
{
    uint64_t poured = 0;
    size_t took = 1;

    while (poured < left && took > 0) {
        took = haul_stream_write(stream, filler,
                                 left - poured < PART_BYTES ? (size_t)(left - poured) : PART_BYTES);
        poured += took;
    }
    return poured;
}

/* --- answering --- */

struct haul_perf {
    struct haul_perf_conf conf;
    struct haul_perf_counters counters;
};

struct answering {
    uint8_t header[HEADER_BYTES];
    uint8_t header_bytes;
    bool pouring; /* the peer has ended its half */
    uint64_t left;
    uint64_t moved; /* both directions together */
    haul_time ends_at;
};

static struct haul_perf *perf_of(struct haul_stream *stream)
{
    return haul_stream_service(stream);
}

static void answer_opened(struct haul_stream *stream, void *argument)
{
    struct haul_perf *perf = perf_of(stream);
    struct answering *answering = haul_stream_state(stream);

    (void)argument;
    haul_counter_add(&perf->counters.streams, 1);
    answering->ends_at = haul_time_add(now_of(stream), perf->conf.time_max);
    if (perf->conf.allowed != NULL &&
        !perf->conf.allowed(perf->conf.context, haul_stream_peer(stream))) {
        haul_counter_add(&perf->counters.refused, 1);
        haul_stream_reset(stream);
    }
}

/* False when a limit was reached: the stream has been reset. */
static bool account(struct haul_stream *stream, uint64_t bytes)
{
    struct haul_perf *perf = perf_of(stream);
    struct answering *answering = haul_stream_state(stream);

    answering->moved += bytes;
    if (answering->moved <= perf->conf.bytes_max && now_of(stream) < answering->ends_at)
        return true;
    haul_counter_add(&perf->counters.cut, 1);
    haul_stream_reset(stream);
    return false;
}

static size_t answer_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct answering *answering = haul_stream_state(stream);
    size_t want = HEADER_BYTES - answering->header_bytes;

    if (want > bytes)
        want = bytes;
    memcpy(answering->header + answering->header_bytes, data, want);
    answering->header_bytes = (uint8_t)(answering->header_bytes + want);
    haul_counter_add(&perf_of(stream)->counters.rx_bytes, bytes - want);
    (void)account(stream, bytes - want);
    return bytes;
}

static void answer_pour(struct haul_stream *stream)
{
    struct haul_perf *perf = perf_of(stream);
    struct answering *answering = haul_stream_state(stream);
    /* One byte beyond the limit: that one tells that it was reached. */
    uint64_t most = perf->conf.bytes_max - answering->moved + 1;
    uint64_t poured;

    if (!answering->pouring)
        return;
    poured = pour(stream, answering->left < most ? answering->left : most);
    answering->left -= poured;
    haul_counter_add(&perf->counters.tx_bytes, poured);
    if (account(stream, poured) && answering->left == 0)
        haul_stream_close(stream);
}

static void answer_ended(struct haul_stream *stream)
{
    struct answering *answering = haul_stream_state(stream);
    struct haul_in in = haul_in_from(answering->header, HEADER_BYTES);

    if (answering->header_bytes < HEADER_BYTES) {
        haul_stream_reset(stream);
        return;
    }
    answering->left = haul_in_be(&in, HEADER_BYTES);
    answering->pouring = true;
    answer_pour(stream);
}

const struct haul_behaviour haul_perf_behaviour = {
    .protocol = PROTOCOL,
    .state_bytes = sizeof(struct answering),
    .inbound_per_peer_max = HAUL_PERF_STREAMS_MAX,
    .idle_max = HAUL_PERF_IDLE_MAX,
    .window_bytes_max = HAUL_PERF_WINDOW_MAX,
    .takes_at_once = true,
    .opened = answer_opened,
    .input = answer_input,
    .ended = answer_ended,
    .writable = answer_pour,
};

struct haul_perf *haul_perf_open(const struct haul_perf_conf *conf)
{
    struct haul_perf *perf = calloc(1, sizeof *perf);

    if (perf == NULL)
        return NULL;
    perf->conf = *conf;
    if (perf->conf.bytes_max == 0 || perf->conf.bytes_max == UINT64_MAX)
        perf->conf.bytes_max = HAUL_PERF_BYTES_MAX;
    if (perf->conf.time_max == 0)
        perf->conf.time_max = HAUL_PERF_TIME_MAX;
    return perf;
}

void haul_perf_close(struct haul_perf *perf)
{
    free(perf);
}

const struct haul_perf_counters *haul_perf_counters(const struct haul_perf *perf)
{
    return &perf->counters;
}

/* --- asking --- */

struct asking {
    struct haul_perf_result result;
    uint64_t up, down;
    bool headed;
    haul_perf_fn *done;
    void *context;
};

/* The header goes first; where many streams begin at once there may be no room for it yet. */
static void ask_pour(struct haul_stream *stream)
{
    struct asking *asking = haul_stream_argument(stream);

    if (!asking->headed) {
        uint8_t header[HEADER_BYTES];
        struct haul_out out = haul_out_to(header, sizeof header);

        haul_out_be(&out, asking->down, sizeof header);
        asking->headed = haul_stream_send(stream, header, sizeof header);
        if (!asking->headed)
            return;
    }
    asking->result.up += pour(stream, asking->up - asking->result.up);
    if (asking->result.up == asking->up)
        haul_stream_close(stream);
}

static void ask_opened(struct haul_stream *stream, void *argument)
{
    struct asking *asking = argument;

    asking->result.opened = now_of(stream);
    ask_pour(stream);
}

static size_t ask_input(struct haul_stream *stream, const uint8_t *data, size_t bytes)
{
    struct asking *asking = haul_stream_argument(stream);
    struct haul_perf_result *result = &asking->result;

    (void)data;
    if (result->turned == 0)
        result->turned = now_of(stream);
    result->down += bytes;
    if (result->down > asking->down)
        haul_stream_reset(stream); /* more than was asked for */
    return bytes;
}

static void ask_ended(struct haul_stream *stream)
{
    struct haul_perf_result *result = &((struct asking *)haul_stream_argument(stream))->result;

    result->ended = now_of(stream);
    if (result->turned == 0)
        result->turned = result->ended;
    haul_stream_close(stream);
}

static void ask_closed(struct haul_stream *stream, enum haul_stream_end end)
{
    struct asking *asking = haul_stream_argument(stream);
    struct haul_perf_result *result = &asking->result;

    result->complete =
        end == HAUL_STREAM_DONE && result->up == asking->up && result->down == asking->down;
    result->refused = end == HAUL_STREAM_REFUSED;
    asking->done(asking->context, result);
    free(asking);
}

static const struct haul_behaviour ask_behaviour = {
    .protocol = PROTOCOL,
    .idle_max = HAUL_PERF_IDLE_MAX,
    .window_bytes_max = HAUL_PERF_WINDOW_MAX,
    .opened = ask_opened,
    .input = ask_input,
    .ended = ask_ended,
    .writable = ask_pour,
    .closed = ask_closed,
};

bool haul_perf_ask(struct haul_host *host, uint64_t connection, uint64_t up, uint64_t down,
                   haul_perf_fn *done, void *context)
{
    struct asking *asking = calloc(1, sizeof *asking);

    if (asking == NULL)
        return false;
    *asking = (struct asking){ .up = up, .down = down, .done = done, .context = context };
    if (haul_host_stream(host, connection, &ask_behaviour, asking) == NULL) {
        free(asking);
        return false;
    }
    return true;
}
