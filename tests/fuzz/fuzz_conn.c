/* A listener whose dialler is hostile. An even first byte: the rest is sent as it is, so it meets
 * select and Noise. An odd one: a proper handshake is made first, then the rest is a script: slices
 * of it are sealed as the peer would (they meet yamux and the negotiation of streams), output is
 * taken or left, time passes. The owner of the streams echoes what comes. */
#include "common/bytes.h"
#include "controlplane/p2p/conn.h"

#define STREAMS   8u
#define OUT_BYTES HAUL_CONN_OUT_BYTES_MIN

struct end {
    struct haul_conn conn;
    struct haul_key key;
    uint8_t in[HAUL_CONN_IN_BYTES_MIN];
    uint8_t out[OUT_BYTES];
    struct haul_conn_stream streams[STREAMS];
    struct haul_yamux_stream muxes[STREAMS];
    bool mine[STREAMS];
};

static struct end listener, dialler;
static haul_time now;

static void end_open(struct end *end, bool dial)
{
    static const char *const protocols[] = { "/a", "/echo/1" };
    uint8_t secrets[3][32];
    struct haul_conn_conf conf = {
        .dialer = dial,
        .key = &end->key,
        .protocols = protocols,
        .protocol_count = HAUL_COUNT_OF(protocols),
        .in = end->in,
        .in_bytes = sizeof end->in,
        .out = end->out,
        .out_bytes = sizeof end->out,
        .streams = end->streams,
        .muxes = end->muxes,
        .stream_count = STREAMS,
        .window_spare = 1u << 20,
        .static_private = secrets[1],
        .ephemeral_private = secrets[2],
    };

    for (size_t i = 0; i < sizeof secrets; i++)
        secrets[i / 32][i % 32] = (uint8_t)(i + dial);
    memset(end->mine, 0, sizeof end->mine);
    memset(end->streams, 0, sizeof end->streams);
    memset(end->muxes, 0, sizeof end->muxes);
    haul_key_from_seed(&end->key, secrets[0]);
    haul_conn_init(&end->conn, &conf, now);
}

static void end_events(struct end *end)
{
    struct haul_conn_event event;

    while (haul_conn_event(&end->conn, &event)) {
        struct haul_conn_stream *stream = event.stream;
        bool *mine = stream != NULL ? &end->mine[stream->mux->index] : NULL;

        haul_assert(stream == NULL || *mine == (event.kind != HAUL_CONN_ACCEPTED));
        switch (event.kind) {
        case HAUL_CONN_ACCEPTED:
            *mine = true;
            haul_conn_window(&end->conn, stream, 1u << 20, 512u << 10);
            break;
        case HAUL_CONN_DATA:
            (void)haul_conn_write(&end->conn, stream, event.data, event.bytes);
            haul_conn_consume(&end->conn, stream, event.bytes);
            break;
        case HAUL_CONN_ENDED:
            haul_conn_finish(&end->conn, stream);
            *mine = false;
            haul_conn_release(&end->conn, stream);
            break;
        case HAUL_CONN_RESET:
        case HAUL_CONN_REFUSED:
        case HAUL_CONN_EXPIRED:
            *mine = false;
            haul_conn_release(&end->conn, stream);
            break;
        case HAUL_CONN_OPENED:
        case HAUL_CONN_WRITABLE:
        case HAUL_CONN_GOAWAY:
        case HAUL_CONN_FAILED:
            break;
        }
    }
}

/* Gives bytes to an end, as far as it takes them. */
static void end_give(struct end *end, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        uint8_t *space;
        size_t room = haul_conn_room(&end->conn, &space);

        if (room == 0)
            return;
        if (room > bytes)
            room = bytes;
        memcpy(space, data, room);
        haul_conn_received(&end->conn, room, now);
        end_events(end);
        data += room;
        bytes -= room;
    }
}

static void end_output(struct end *end, struct end *to)
{
    const uint8_t *data;
    size_t bytes;

    while ((bytes = haul_conn_output(&end->conn, &data)) > 0) {
        if (to != NULL)
            end_give(to, data, bytes);
        haul_conn_sent(&end->conn, bytes, now);
        end_events(end);
    }
}

static void script(struct haul_in *in)
{
    uint8_t sealed[256 + HAUL_SECURE_OVERHEAD_MAX];

    while (haul_in_left(in) > 0) {
        uint8_t step = (uint8_t)haul_in_be(in, 1);
        const uint8_t *data;

        now += HAUL_MILLISECOND;
        if (step == 255)
            end_output(&listener, NULL);
        if (step == 254) {
            now += 3 * HAUL_SECOND;
            haul_conn_expire(&listener.conn, now);
            end_events(&listener);
        }
        if (step > 253)
            continue;
        data = haul_in_bytes(in, step < haul_in_left(in) ? step : haul_in_left(in));
        end_give(
            &listener, sealed,
            haul_secure_seal(&dialler.conn.secure, data, (size_t)(in->at - data), NULL, 0, sealed));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct haul_in in = haul_in_from(data, size);
    bool proper = (haul_in_be(&in, 1) & 1) != 0;

    now = HAUL_SECOND;
    end_open(&listener, false);
    end_open(&dialler, true);
    if (proper) {
        for (int i = 0; i < 4; i++) {
            end_output(&dialler, &listener);
            end_output(&listener, &dialler);
        }
        haul_assert(listener.conn.phase == HAUL_CONN_UP && dialler.conn.phase == HAUL_CONN_UP);
        script(&in);
    } else {
        end_give(&listener, in.at, haul_in_left(&in));
    }
    end_output(&listener, NULL);
    haul_conn_fini(&listener.conn);
    haul_conn_fini(&dialler.conn);
    return 0;
}
