/* yamux: the streams and everything that is written. A control frame that waits is a flag of its
 * stream, chained in the order in which streams first had something to say. */
#include "controlplane/p2p/yamux.h"

#include "common/bytes.h"
#include "controlplane/p2p/yamux_parts.h"

/* A window of which half is used up in fewer round trips is too small; a larger one would only let
 * data wait with the sender, in front of what it has to say next. Where the network's round trip is
 * shorter than a busy thread's turn, the turn is what the window must span. */
#define GROW_ROUND_TRIPS 2u
#define GROW_FLOOR       (2 * HAUL_MILLISECOND)

/* In fewer than these it is far too small. One that the path empties at once is announced again a
 * whole round trip later, so below that there is no telling how much too small. */
#define GROW_TWICE(rtt) (3 * (rtt) / 2)

/* What was used up is announced by halves while a window is small, then in smaller parts: what
 * waits to be announced is lost to the sender, and half of a window as large as the path would be
 * half of its rate. */
#define STEP_MIN   (512u << 10)
#define STEP_SHARE 8u

/* Streams that only begin take no more than this part of what is left for windows to grow; one that
 * is alone and takes what an earlier one of its connection had grown to, no more than that part. */
#define FIRST_SHARE 8u
#define AGAIN_SHARE 4u

/* --- streams --- */

static struct haul_yamux_stream *stream_at(const struct haul_yamux *yamux, uint16_t index_1)
{
    return index_1 == 0 ? NULL : &yamux->streams[index_1 - 1];
}

static uint16_t *bucket_of(struct haul_yamux *yamux, uint32_t id)
{
    return &yamux->heads[id / 2 % HAUL_YAMUX_BUCKETS];
}

struct haul_yamux_stream *haul_yamux_stream_find(const struct haul_yamux *yamux, uint32_t id)
{
    struct haul_yamux_stream *stream = stream_at(yamux, yamux->heads[id / 2 % HAUL_YAMUX_BUCKETS]);

    while (stream != NULL && stream->id != id)
        stream = stream_at(yamux, stream->hash_next);
    return stream;
}

struct haul_yamux_stream *haul_yamux_stream_take(struct haul_yamux *yamux, uint32_t id,
                                                 bool inbound)
{
    struct haul_yamux_stream *stream = stream_at(yamux, yamux->free_head);
    uint16_t *head = bucket_of(yamux, id);
    uint16_t index;

    /* A quarter is kept for our own, or a peer could keep us from ever opening one. */
    if ((stream == NULL && yamux->fresh == yamux->capacity) ||
        (inbound && yamux->live - yamux->opened >= yamux->capacity - yamux->capacity / 4))
        return NULL;
    if (stream != NULL) {
        yamux->free_head = stream->hash_next;
        index = stream->index;
    } else {
        index = yamux->fresh++;
        stream = &yamux->streams[index];
    }
    yamux->live++;
    *stream = (struct haul_yamux_stream){
        .window_max = HAUL_YAMUX_WINDOW_BYTES,
        .id = id,
        .index = index,
        .hash_next = *head,
        .in_use = true,
        .inbound = inbound,
        .send_credit = HAUL_YAMUX_WINDOW_BYTES,
        .recv_window = HAUL_YAMUX_WINDOW_BYTES,
        .recv_left = HAUL_YAMUX_WINDOW_BYTES,
        .span_at = yamux->now,
    };
    *head = (uint16_t)(index + 1);
    return stream;
}

static void window_give(struct haul_yamux *yamux, uint64_t bytes)
{
    yamux->window_spare += bytes;
    yamux->window_taken -= bytes;
    if (yamux->window_pool != NULL)
        *yamux->window_pool += bytes;
}

static void stream_free(struct haul_yamux *yamux, struct haul_yamux_stream *stream)
{
    uint16_t *link = bucket_of(yamux, stream->id);

    while (*link != stream->index + 1)
        link = &stream_at(yamux, *link)->hash_next;
    *link = stream->hash_next;
    if (yamux->frame_stream == stream)
        yamux->frame_stream = NULL;
    window_give(yamux, stream->recv_window - HAUL_YAMUX_WINDOW_BYTES);
    yamux->live--;
    if (!stream->inbound) {
        yamux->opened--;
        if (!stream->acked)
            yamux->unacked--;
    }
    stream->in_use = false;
    stream->hash_next = yamux->free_head;
    yamux->free_head = (uint16_t)(stream->index + 1);
}

void haul_yamux_stream_settle(struct haul_yamux *yamux, struct haul_yamux_stream *stream)
{
    if (stream->released && !stream->queued)
        stream_free(yamux, stream);
}

void haul_yamux_stream_todo(struct haul_yamux *yamux, struct haul_yamux_stream *stream,
                            unsigned flags)
{
    stream->todo = (uint8_t)(stream->todo | flags);
    if (stream->queued)
        return;
    stream->queued = true;
    stream->todo_next = 0;
    if (yamux->todo_tail == 0)
        yamux->todo_head = (uint16_t)(stream->index + 1);
    else
        stream_at(yamux, yamux->todo_tail)->todo_next = (uint16_t)(stream->index + 1);
    yamux->todo_tail = (uint16_t)(stream->index + 1);
}

void haul_yamux_fail(struct haul_yamux *yamux, enum haul_yamux_fault fault)
{
    if (yamux->fault != HAUL_YAMUX_SOUND)
        return;
    yamux->fault = fault;
    haul_yamux_goaway(yamux, HAUL_YAMUX_PROTOCOL_ERROR);
}

/* --- life --- */

void haul_yamux_init(struct haul_yamux *yamux, bool client, struct haul_yamux_stream *streams,
                     size_t count, uint64_t window_spare, uint64_t *window_pool, haul_time now)
{
    haul_assert(count > 0 && count <= HAUL_YAMUX_STREAMS_MAX);
    memset(yamux, 0, sizeof *yamux);
    yamux->streams = streams;
    yamux->capacity = (uint16_t)count;
    yamux->window_pool = window_pool;
    yamux->client = client;
    yamux->id_next = client ? 1 : 2;
    yamux->window_spare = window_spare;
    yamux->now = now;
    yamux->heard_at = now;
    yamux->ping_next = now;
}

void haul_yamux_fini(struct haul_yamux *yamux)
{
    window_give(yamux, yamux->window_taken);
}

struct haul_yamux_stream *haul_yamux_open(struct haul_yamux *yamux, haul_time now)
{
    struct haul_yamux_stream *stream;

    yamux->now = now;
    if (yamux->fault != HAUL_YAMUX_SOUND || yamux->goaway_sent || yamux->goaway_wanted ||
        yamux->goaway_received || yamux->id_next == 0 || yamux->opened >= HAUL_YAMUX_OPENS_MAX ||
        yamux->unacked >= HAUL_YAMUX_BACKLOG_MAX)
        return NULL;
    stream = haul_yamux_stream_take(yamux, yamux->id_next, false);
    if (stream == NULL)
        return NULL;
    yamux->opened++;
    yamux->unacked++;
    yamux->id_next = yamux->id_next > UINT32_MAX - 2 ? 0 : yamux->id_next + 2;
    haul_yamux_stream_todo(yamux, stream, FLAG_SYN);
    return stream;
}

void haul_yamux_finish(struct haul_yamux *yamux, struct haul_yamux_stream *stream)
{
    if (stream->fin_sent || stream->reset)
        return;
    stream->fin_sent = true;
    haul_yamux_stream_todo(yamux, stream, FLAG_FIN);
}

void haul_yamux_release(struct haul_yamux *yamux, struct haul_yamux_stream *stream)
{
    haul_assert(stream->in_use && !stream->released);
    stream->released = true;
    stream->owner = NULL;
    stream->blocked = false;
    if (stream->todo & FLAG_SYN) {
        stream->todo = 0; /* the peer never heard of it */
    } else if (!stream->reset && !(stream->fin_sent && stream->fin_received)) {
        stream->reset = true;
        haul_yamux_stream_todo(yamux, stream, FLAG_RST);
    }
    haul_yamux_stream_settle(yamux, stream);
}

void haul_yamux_goaway(struct haul_yamux *yamux, enum haul_yamux_code code)
{
    if (yamux->goaway_sent || yamux->goaway_wanted)
        return;
    yamux->goaway_wanted = true;
    yamux->goaway_code = code;
}

/* --- flow control --- */

/* What the window has room for: neither granted, nor announced in a header, nor held by the owner.
 */
static uint32_t window_due(const struct haul_yamux *yamux, const struct haul_yamux_stream *stream)
{
    uint32_t coming = yamux->frame_stream == stream ? yamux->body_left : 0;

    return stream->recv_window - stream->recv_left - stream->held - coming;
}

/* As far as both the stream's own limit and what the connection and all of them may hold allow. */
static void window_take(struct haul_yamux *yamux, struct haul_yamux_stream *stream, uint64_t more)
{
    if (more > stream->window_max - stream->recv_window)
        more = stream->window_max - stream->recv_window;
    if (more > yamux->window_spare)
        more = yamux->window_spare;
    if (yamux->window_pool != NULL && more > *yamux->window_pool)
        more = *yamux->window_pool;
    stream->recv_window += (uint32_t)more;
    yamux->window_spare -= more;
    yamux->window_taken += more;
    if (yamux->window_pool != NULL)
        *yamux->window_pool -= more;
}

/* Doubles the window when half of it was used up within a few round trips, and doubles it twice
 * when that took about one, as at the beginning of a long path; as far as both the stream's own
 * limit and what the connection may hold together allow. */
static void window_grow(struct haul_yamux *yamux, struct haul_yamux_stream *stream)
{
    haul_time took = haul_time_since(stream->span_at, yamux->now);
    uint64_t more = stream->recv_window;

    stream->span_at = yamux->now;
    stream->span_bytes = 0;
    if (yamux->rtt == 0 || stream->recv_window >= stream->window_max ||
        took >= GROW_ROUND_TRIPS * haul_time_max(yamux->rtt, GROW_FLOOR))
        return;
    if (took < GROW_TWICE(yamux->rtt))
        more *= 3;
    window_take(yamux, stream, more);
    if (stream->recv_window > yamux->window_seen)
        yamux->window_seen = stream->recv_window;
}

void haul_yamux_window(struct haul_yamux *yamux, struct haul_yamux_stream *stream, uint32_t bytes,
                       uint32_t first)
{
    uint32_t before = stream->recv_window;
    uint64_t more = yamux->window_spare;
    bool again = yamux->live == 1 && yamux->window_seen > first;

    stream->window_max = bytes;
    if (first <= before)
        return;
    if (again)
        first = yamux->window_seen < bytes ? yamux->window_seen : bytes;
    if (yamux->window_pool != NULL && *yamux->window_pool < more)
        more = *yamux->window_pool;
    more /= again ? AGAIN_SHARE : FIRST_SHARE;
    window_take(yamux, stream, more < first - before ? more : first - before);
    if (stream->recv_window == before)
        return;
    stream->recv_left += stream->recv_window - before;
    stream->grant += stream->recv_window - before;
    haul_yamux_stream_todo(yamux, stream, TODO_GRANT);
}

static uint32_t window_step(const struct haul_yamux_stream *stream)
{
    uint32_t half = stream->recv_window / 2, part = stream->recv_window / STEP_SHARE;

    part = part > STEP_MIN ? part : STEP_MIN;
    return half < part ? half : part;
}

void haul_yamux_consume(struct haul_yamux *yamux, struct haul_yamux_stream *stream, size_t bytes)
{
    uint32_t due;

    haul_assert(bytes <= stream->held);
    stream->held -= (uint32_t)bytes;
    if (stream->fin_received || stream->reset)
        return;
    due = window_due(yamux, stream);
    if (due < window_step(stream))
        return;
    stream->span_bytes += due;
    if (stream->span_bytes >= stream->recv_window / 2)
        window_grow(yamux, stream);
    due = window_due(yamux, stream);
    stream->recv_left += due;
    stream->grant += due;
    haul_yamux_stream_todo(yamux, stream, TODO_GRANT);
}

bool haul_yamux_sendable(struct haul_yamux_stream *stream, size_t bytes)
{
    if (stream->fin_sent || stream->reset)
        return false;
    if (bytes <= stream->send_credit)
        return true;
    stream->blocked = true;
    return false;
}

/* --- output --- */

static void header_write(uint8_t *header, unsigned type, unsigned flags, uint32_t id,
                         uint32_t length)
{
    struct haul_out out = haul_out_to(header, HAUL_YAMUX_HEADER_BYTES);

    haul_out_be(&out, 0, 1);
    haul_out_be(&out, type, 1);
    haul_out_be(&out, flags, 2);
    haul_out_be(&out, id, 4);
    haul_out_be(&out, length, 4);
    haul_assert(!out.bad);
}

uint32_t haul_yamux_send(struct haul_yamux *yamux, struct haul_yamux_stream *stream, size_t bytes,
                         uint8_t header[HAUL_YAMUX_HEADER_BYTES])
{
    uint32_t body = stream->send_credit;
    unsigned flags;

    if (stream->fin_sent || stream->reset || yamux->fault != HAUL_YAMUX_SOUND || bytes == 0)
        return 0;
    if (bytes > body)
        stream->blocked = true;
    else
        body = (uint32_t)bytes;
    if (body > HAUL_YAMUX_BODY_MAX)
        body = HAUL_YAMUX_BODY_MAX;
    if (body == 0)
        return 0;
    /* An open or an acknowledgement that waits rides along; the stream stays in the chain. */
    flags = stream->todo & (FLAG_SYN | FLAG_ACK);
    stream->todo = (uint8_t)(stream->todo & ~flags);
    stream->send_credit -= body;
    header_write(header, FRAME_DATA, flags, stream->id, body);
    return body;
}

/* One frame of a stream's waiting flags; then the stream leaves the chain. */
static void todo_write(struct haul_yamux *yamux, uint8_t *header)
{
    struct haul_yamux_stream *stream = stream_at(yamux, yamux->todo_head);
    unsigned flags = stream->todo & (FLAG_SYN | FLAG_ACK | FLAG_FIN);

    if (stream->todo & FLAG_RST)
        header_write(header, FRAME_WINDOW, FLAG_RST, stream->id, 0);
    else
        header_write(header, FRAME_WINDOW, flags, stream->id, stream->grant);
    stream->grant = 0;
    stream->todo = 0;
}

/* Takes the first stream off the chain. */
static void todo_pop(struct haul_yamux *yamux)
{
    struct haul_yamux_stream *stream = stream_at(yamux, yamux->todo_head);

    yamux->todo_head = stream->todo_next;
    if (yamux->todo_head == 0)
        yamux->todo_tail = 0;
    stream->queued = false;
    stream->todo_next = 0;
    haul_yamux_stream_settle(yamux, stream);
}

/* The next frame that does not belong to a stream we keep; false when there is none. */
static bool session_write(struct haul_yamux *yamux, uint8_t *header)
{
    if (yamux->pong_count > 0) {
        header_write(header, FRAME_PING, FLAG_ACK, 0, yamux->pongs[yamux->pong_at]);
        yamux->pong_at = (uint8_t)((yamux->pong_at + 1) % HAUL_YAMUX_PONGS_MAX);
        yamux->pong_count--;
        return true;
    }
    if (yamux->ping_wanted) {
        yamux->ping_wanted = false;
        yamux->ping_out = true;
        header_write(header, FRAME_PING, FLAG_SYN, 0, yamux->ping_value);
        return true;
    }
    if (yamux->refusal_count > 0) {
        header_write(header, FRAME_WINDOW, FLAG_RST, yamux->refusals[yamux->refusal_at], 0);
        yamux->refusal_at = (uint8_t)((yamux->refusal_at + 1) % HAUL_YAMUX_REFUSALS_MAX);
        yamux->refusal_count--;
        return true;
    }
    return false;
}

size_t haul_yamux_control(struct haul_yamux *yamux, uint8_t *out, size_t capacity)
{
    size_t bytes = 0;

    while (capacity - bytes >= HAUL_YAMUX_HEADER_BYTES && !yamux->goaway_sent) {
        uint8_t *header = out + bytes;

        if (yamux->fault == HAUL_YAMUX_SOUND && session_write(yamux, header)) {
            bytes += HAUL_YAMUX_HEADER_BYTES;
        } else if (yamux->fault == HAUL_YAMUX_SOUND && yamux->todo_head != 0) {
            /* What waited may have ridden along with data; then there is nothing to write. */
            if (stream_at(yamux, yamux->todo_head)->todo != 0) {
                todo_write(yamux, header);
                bytes += HAUL_YAMUX_HEADER_BYTES;
            }
            todo_pop(yamux);
        } else if (yamux->goaway_wanted) {
            yamux->goaway_sent = true;
            header_write(header, FRAME_GOAWAY, 0, 0, yamux->goaway_code);
            bytes += HAUL_YAMUX_HEADER_BYTES;
        } else {
            break;
        }
    }
    return bytes;
}

bool haul_yamux_control_waits(const struct haul_yamux *yamux)
{
    if (yamux->goaway_sent)
        return false;
    return yamux->goaway_wanted || yamux->pong_count > 0 || yamux->ping_wanted ||
           yamux->refusal_count > 0 || yamux->todo_head != 0;
}

bool haul_yamux_pressed(const struct haul_yamux *yamux)
{
    return yamux->pong_count >= HAUL_YAMUX_PONGS_MAX / 2 ||
           yamux->refusal_count >= HAUL_YAMUX_REFUSALS_MAX / 2;
}

/* --- time --- */

haul_time haul_yamux_deadline(const struct haul_yamux *yamux)
{
    if (yamux->fault != HAUL_YAMUX_SOUND || yamux->goaway_sent)
        return HAUL_TIME_NEVER;
    if (yamux->ping_out || yamux->ping_wanted)
        return haul_time_add(haul_time_max(yamux->ping_sent, yamux->heard_at),
                             HAUL_YAMUX_SILENCE_MAX);
    return yamux->ping_next;
}

void haul_yamux_expire(struct haul_yamux *yamux, haul_time now)
{
    yamux->now = now;
    if (now < haul_yamux_deadline(yamux))
        return;
    if (yamux->ping_out || yamux->ping_wanted) {
        haul_yamux_fail(yamux, HAUL_YAMUX_SILENT);
        return;
    }
    yamux->ping_wanted = true;
    yamux->ping_value++;
    yamux->ping_sent = now;
}

const char *haul_yamux_fault_name(enum haul_yamux_fault fault)
{
    static const char *const names[HAUL_YAMUX_FAULT_COUNT] = {
        [HAUL_YAMUX_SOUND] = "sound",
        [HAUL_YAMUX_BAD_HEADER] = "bad-header",
        [HAUL_YAMUX_BODY_TOO_LONG] = "body-too-long",
        [HAUL_YAMUX_WINDOW_EXCEEDED] = "window-exceeded",
        [HAUL_YAMUX_WINDOW_OVERFLOW] = "window-overflow",
        [HAUL_YAMUX_OPEN_INVALID] = "open-invalid",
        [HAUL_YAMUX_DATA_AFTER_END] = "data-after-end",
        [HAUL_YAMUX_PONG_UNASKED] = "pong-unasked",
        [HAUL_YAMUX_FLOOD] = "flood",
        [HAUL_YAMUX_SILENT] = "silent",
    };

    return names[fault];
}
