/* yamux ("/yamux/1.0.0", hashicorp's specification as libp2p/specs yamux states it): many streams
 * over one reliable connection, as a pure machine. Bytes of the peer go in with
 * haul_yamux_input and come out as events that lend the payload in place; what we send is a header
 * that the caller writes in front of the payload it holds, so no payload is ever copied here.
 *
 * Memory: the caller hands in the streams' array, and nothing else is needed: control frames wait
 * as flags of their stream (so an unread window update only grows), in a ring of pongs and a ring
 * of refused opens; a peer that overflows a ring, by not reading what it makes us answer, is cut.
 *
 * Peers' strictness is kept in both directions. What rust-yamux and js-libp2p end a connection for
 * we never do and do not accept: data beyond the window, an open of a live id or of the wrong
 * parity, an unasked or wrong pong, a window that overflows 32 bits. Bodies are another matter:
 * ours stay far below the 1 MiB that rust-yamux takes, but js-libp2p sends all that the window
 * allows in one, so the window is their limit here. */
#pragma once

#include "common/base.h"
#include "common/time.h"

#define HAUL_YAMUX_HEADER_BYTES  12u
#define HAUL_YAMUX_BODY_MAX      65507u     /* header and body fill one Noise message, 65519 */
#define HAUL_YAMUX_WINDOW_BYTES  262144u    /* both ways, of every new stream, by specification */
#define HAUL_YAMUX_PEER_BODY_MAX (1u << 26) /* discarded of a stream that is no more */
#define HAUL_YAMUX_STREAMS_MAX   512u       /* rust-yamux ends a connection that has more */
#define HAUL_YAMUX_OPENS_MAX     256u       /* opened by us at once */
#define HAUL_YAMUX_BACKLOG_MAX   256u       /* opened by us and not yet acknowledged */
#define HAUL_YAMUX_PONGS_MAX     16u
#define HAUL_YAMUX_REFUSALS_MAX  64u
#define HAUL_YAMUX_BUCKETS       64u
#define HAUL_YAMUX_PING_EVERY    (15 * HAUL_SECOND)
#define HAUL_YAMUX_SILENCE_MAX   (20 * HAUL_SECOND) /* without a byte while a ping is out */

/* Codes of GoAway on the wire. */
enum haul_yamux_code {
    HAUL_YAMUX_NORMAL = 0,
    HAUL_YAMUX_PROTOCOL_ERROR = 1,
    HAUL_YAMUX_INTERNAL_ERROR = 2,
};

/* Why the connection has failed, for tests, counters and the log. */
enum haul_yamux_fault {
    HAUL_YAMUX_SOUND = 0,
    HAUL_YAMUX_BAD_HEADER,    /* version, type, or a stream id where none or one belongs */
    HAUL_YAMUX_BODY_TOO_LONG, /* above 64 MiB, or above 256 KiB with an open */
    HAUL_YAMUX_WINDOW_EXCEEDED,
    HAUL_YAMUX_WINDOW_OVERFLOW,
    HAUL_YAMUX_OPEN_INVALID, /* a live id or the wrong parity */
    HAUL_YAMUX_DATA_AFTER_END,
    HAUL_YAMUX_PONG_UNASKED,
    HAUL_YAMUX_FLOOD,  /* pings or refused opens faster than the peer reads our answers */
    HAUL_YAMUX_SILENT, /* a ping was not answered and nothing else came */
    HAUL_YAMUX_FAULT_COUNT
};

/* One stream. The owner reads and writes `owner`; the rest is the machine's. */
struct haul_yamux_stream {
    void *owner;
    uint32_t window_max; /* how far the receive window may grow; from 256 KiB up */

    uint32_t id;
    uint16_t index;
    uint16_t hash_next; /* index + 1, or 0 */
    uint16_t todo_next; /* index + 1, or 0 */
    uint8_t todo;       /* flags yet to send; see yamux.c */
    bool in_use, queued;
    bool inbound, acked;
    bool fin_sent, fin_received, reset, released;
    bool blocked;         /* a send was cut short by the window: tell when it opens */
    uint32_t send_credit; /* bytes we may still send */
    uint32_t recv_window; /* the size we grant now */
    uint32_t recv_left;   /* bytes the peer may still send */
    uint32_t held;        /* bytes lent to the owner and not consumed */
    uint32_t grant;       /* window to announce with the next frame */
    uint32_t span_bytes;  /* announced since `span_at`: half a window's worth tells its speed */
    haul_time span_at;
};

enum haul_yamux_event_kind {
    HAUL_YAMUX_OPENED,   /* the peer opened `stream`; set its owner, or release it to refuse */
    HAUL_YAMUX_DATA,     /* `bytes` at `data`, on loan until the next call of haul_yamux_input */
    HAUL_YAMUX_ENDED,    /* the peer closed its half */
    HAUL_YAMUX_RESET,    /* the peer reset the stream; release it */
    HAUL_YAMUX_WRITABLE, /* the window of a stream that was blocked has opened */
    HAUL_YAMUX_GOAWAY,   /* the peer will close the connection; `code` says why */
    HAUL_YAMUX_FAILED,   /* the connection is over; `fault` says why */
};

struct haul_yamux_event {
    enum haul_yamux_event_kind kind;
    struct haul_yamux_stream *stream;
    const uint8_t *data;
    size_t bytes;
    uint32_t code;
    enum haul_yamux_fault fault;
};

struct haul_yamux {
    struct haul_yamux_stream *streams;
    uint16_t capacity;
    uint16_t free_head; /* index + 1; chained by hash_next */
    uint16_t live;      /* slots in use, both directions */
    uint16_t opened;    /* of these, by us */
    uint16_t unacked;   /* of these, not yet acknowledged */
    uint16_t heads[HAUL_YAMUX_BUCKETS];
    uint16_t todo_head, todo_tail;
    bool client;
    bool goaway_sent, goaway_received, goaway_wanted;
    bool failed_told;
    enum haul_yamux_fault fault;
    enum haul_yamux_code goaway_code;
    uint32_t id_next;      /* 0 when the ids have run out */
    uint16_t fresh;        /* slots from here on were never used */
    uint64_t window_spare; /* bytes by which all windows together may still grow */
    uint64_t window_taken; /* bytes by which they have grown */
    uint32_t window_seen;  /* the largest to which use has made one grow */
    uint64_t *window_pool; /* what other connections draw from as well; NULL: none */

    /* Input: the view being read, the header in progress, the frame in progress. */
    const uint8_t *at, *end;
    uint8_t header[HAUL_YAMUX_HEADER_BYTES];
    uint8_t header_bytes;
    bool in_frame;
    uint8_t frame_type;
    uint16_t frame_flags; /* not yet acted upon */
    uint32_t frame_id, frame_length;
    uint32_t body_left;
    struct haul_yamux_stream *frame_stream; /* NULL: the body is discarded */

    /* Liveness and round trip. */
    haul_time now, heard_at;
    haul_time ping_next, ping_sent;
    haul_time rtt; /* the shortest, slowly forgotten; 0 until known */
    uint32_t ping_value;
    bool ping_wanted, ping_out;

    uint32_t pongs[HAUL_YAMUX_PONGS_MAX];
    uint32_t refusals[HAUL_YAMUX_REFUSALS_MAX];
    uint8_t pong_at, pong_count;
    uint8_t refusal_at, refusal_count;
};

/* `streams` (zeroed by the caller, and touched only as far as they are used) limits both directions
 * together, at most HAUL_YAMUX_STREAMS_MAX; a quarter of it is kept for our own opens.
 * `window_spare` is how many bytes all windows together may grow beyond the initial ones,
 * `window_pool` (may be NULL) how many those of all connections that share it. The first ping,
 * which measures the round trip, is due at once. */
void haul_yamux_init(struct haul_yamux *yamux, bool client, struct haul_yamux_stream *streams,
                     size_t count, uint64_t window_spare, uint64_t *window_pool, haul_time now);
void haul_yamux_fini(struct haul_yamux *yamux); /* gives back to the pool */

/* Lends bytes of the peer; call haul_yamux_next until it returns false before lending more. */
void haul_yamux_input(struct haul_yamux *yamux, const uint8_t *data, size_t bytes, haul_time now);
bool haul_yamux_next(struct haul_yamux *yamux, struct haul_yamux_event *event);

/* Opens a stream; NULL at a limit, after a GoAway or a failure. */
struct haul_yamux_stream *haul_yamux_open(struct haul_yamux *yamux, haul_time now);

/* How many bytes a frame may carry now, at most `bytes` and HAUL_YAMUX_BODY_MAX; 0 when the window
 * is closed (WRITABLE follows) or our half is. When it is not 0 the header is written and counted
 * as sent: the caller must send header and exactly that many bytes. */
uint32_t haul_yamux_send(struct haul_yamux *yamux, struct haul_yamux_stream *stream, size_t bytes,
                         uint8_t header[HAUL_YAMUX_HEADER_BYTES]);

/* What haul_yamux_send would allow: for all-or-nothing writers. Marks the stream as blocked if
 * less. */
bool haul_yamux_sendable(struct haul_yamux_stream *stream, size_t bytes);

/* How far the receive window may grow. The first part of it (0: what every stream has) is announced
 * with the next frame, as far as an eighth of what windows may still grow goes: on a long path the
 * first round trips are then not spent on finding out. A stream that is alone on its connection
 * begins with what an earlier one had grown to, as far as a quarter goes: the path is the same. For
 * owners who take what comes at once. */
#define HAUL_YAMUX_WINDOW_FIRST (4u << 20)
void haul_yamux_window(struct haul_yamux *yamux, struct haul_yamux_stream *stream, uint32_t bytes,
                       uint32_t first);

/* The owner has used `bytes` of the data lent: credit goes back, and the window may grow. */
void haul_yamux_consume(struct haul_yamux *yamux, struct haul_yamux_stream *stream, size_t bytes);

void haul_yamux_finish(struct haul_yamux *yamux, struct haul_yamux_stream *stream); /* our half */

/* The owner forgets the stream; unless both halves have ended, it is reset. No event follows. */
void haul_yamux_release(struct haul_yamux *yamux, struct haul_yamux_stream *stream);

/* Writes the control frames that wait, in order of urgency, as many as fit; returns the bytes. They
 * go before any data that has not been given a header yet. */
size_t haul_yamux_control(struct haul_yamux *yamux, uint8_t *out, size_t capacity);
bool haul_yamux_control_waits(const struct haul_yamux *yamux);

/* True when refusals or pongs should be written out before more input is read. */
bool haul_yamux_pressed(const struct haul_yamux *yamux);

void haul_yamux_goaway(struct haul_yamux *yamux, enum haul_yamux_code code);

/* When haul_yamux_expire is next due; and what is due now: pings, and silence, which is a fault. */
haul_time haul_yamux_deadline(const struct haul_yamux *yamux);
void haul_yamux_expire(struct haul_yamux *yamux, haul_time now);

const char *haul_yamux_fault_name(enum haul_yamux_fault fault);
