/* Stateful: the input is a script of steps. Some feed raw bytes of the peer, some feed well-formed
 * headers made of script bytes, some act as the owner. The owner obeys the contract; the machine's
 * own assertions and the sanitizers judge, and here: no event for a stream that was let go, never
 * more lent than was granted, and control frames that stay bounded. */
#include "common/bytes.h"
#include "controlplane/p2p/yamux.h"

#define STREAMS 8u

struct bench {
    struct haul_yamux yamux;
    struct haul_yamux_stream streams[STREAMS];
    bool mine[STREAMS]; /* held by us: opened or told, and not released */
    uint32_t lent[STREAMS];
    haul_time now;
};

static void release(struct bench *bench, size_t index)
{
    bench->mine[index] = false;
    bench->lent[index] = 0;
    haul_yamux_release(&bench->yamux, &bench->streams[index]);
}

static void feed(struct bench *bench, const uint8_t *data, size_t bytes)
{
    struct haul_yamux_event event;

    haul_yamux_input(&bench->yamux, data, bytes, bench->now);
    while (haul_yamux_next(&bench->yamux, &event)) {
        size_t index = event.stream != NULL ? event.stream->index : 0;

        haul_assert(event.stream == NULL || event.kind == HAUL_YAMUX_OPENED || bench->mine[index]);
        if (event.kind == HAUL_YAMUX_OPENED) {
            haul_assert(!bench->mine[index]);
            bench->mine[index] = true;
            if (bench->now % 7 == 0)
                release(bench, index);
            else
                event.stream->window_max = 1u << 20;
        }
        if (event.kind == HAUL_YAMUX_DATA) {
            haul_assert(event.data >= data && event.data + event.bytes <= data + bytes);
            bench->lent[index] += (uint32_t)event.bytes;
            haul_assert(bench->lent[index] <= event.stream->recv_window);
        }
        if (event.kind == HAUL_YAMUX_RESET)
            release(bench, index);
    }
}

static void act(struct bench *bench, uint8_t what, uint8_t which)
{
    struct haul_yamux_stream *stream = &bench->streams[which % STREAMS];
    size_t index = which % STREAMS;
    uint8_t header[HAUL_YAMUX_HEADER_BYTES];
    uint8_t control[64 * HAUL_YAMUX_HEADER_BYTES];

    if (what == 0 && (stream = haul_yamux_open(&bench->yamux, bench->now)) != NULL)
        bench->mine[stream->index] = true;
    if (what == 1)
        haul_assert(haul_yamux_control(&bench->yamux, control, sizeof control) <= sizeof control);
    if (what == 2)
        haul_yamux_expire(&bench->yamux, bench->now);
    if (what < 3 || !bench->mine[index])
        return;
    if (what == 3) {
        uint32_t part = bench->lent[index] / (1u + which % 3u);

        bench->lent[index] -= part;
        haul_yamux_consume(&bench->yamux, stream, part);
    }
    if (what == 4)
        haul_assert(haul_yamux_send(&bench->yamux, stream, (size_t)which << 10, header) <=
                    HAUL_YAMUX_BODY_MAX);
    if (what == 5)
        haul_yamux_finish(&bench->yamux, stream);
    if (what == 6)
        release(bench, index);
    if (what == 7)
        (void)haul_yamux_sendable(stream, (size_t)which << 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    static const uint8_t zeros[4096];
    struct haul_in in = haul_in_from(data, size);

    memset(&bench, 0, sizeof bench);
    bench.now = 1;
    haul_yamux_init(&bench.yamux, size % 2 == 0, bench.streams, STREAMS, 4u << 20, NULL, bench.now);
    while (!in.bad && haul_in_left(&in) > 0) {
        uint8_t step = (uint8_t)haul_in_be(&in, 1);

        bench.now += (haul_time)step * HAUL_MILLISECOND;
        if (step < 64) { /* so many raw bytes */
            const uint8_t *raw = haul_in_bytes(&in, step);

            if (raw != NULL)
                feed(&bench, raw, step);
        } else if (step < 128) { /* a header with small numbers, and part of its body */
            uint8_t pick[4];
            uint8_t header[HAUL_YAMUX_HEADER_BYTES] = { 0 };

            haul_in_copy(&in, pick, sizeof pick);
            header[1] = step % 4;
            header[3] = pick[0] % 16;
            header[7] = pick[1] % 20;
            header[9] = pick[2];
            header[10] = pick[3];
            feed(&bench, header, sizeof header);
            if (header[1] == 0 && header[9] == 0)
                feed(&bench, zeros, (size_t)pick[3] * 16);
        } else {
            act(&bench, step % 8, (uint8_t)haul_in_be(&in, 1));
        }
    }
    return 0;
}
