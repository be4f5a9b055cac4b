/* One libp2p connection over a reliable byte stream, as a pure machine: multistream-select, Noise
 * or TLS, the muxer (early in the handshake, or selected inside), yamux, and multistream-select on
 * every stream. Bytes of the peer are put into haul_conn_room's space and announced; events are
 * pulled until there are none; haul_conn_output lends what must be sent.
 *
 *   dialer    select+noise 1 ->         <- select, noise 2     noise 3 [select muxer] streams ->
 *             select+hello ->           <- select, server's    client's [select muxer] streams ->
 *
 * The dialer never waits for an answer that can only be one (optimistic negotiation): its second
 * flight already carries streams. Payload on the way out is read once, by the cipher; on the way in
 * it is opened where it arrived and lent from there. Small frames are collected and share a
 * message.
 *
 * Bounded: the two buffers and the streams' array are the caller's; writers of data stop short of a
 * reserve that answers and window updates may use; when that is used up, input waits, so a peer
 * that does not read is held back and then cut. Deadlines are absolute: authentication, muxer, each
 * stream's negotiation, output that does not move.
 *
 * One thread; but where the caller has others, they may seal and open bulk: see conn_batch.h. */
#pragma once

#include "controlplane/p2p/conn_batch.h"
#include "controlplane/p2p/psk.h"
#include "controlplane/p2p/secure.h"
#include "controlplane/p2p/select.h"
#include "controlplane/p2p/yamux.h"

#define HAUL_CONN_AUTHENTICATE_MAX (5 * HAUL_SECOND)  /* by default; from the start to proof */
#define HAUL_CONN_NEGOTIATE_MAX    (10 * HAUL_SECOND) /* of the muxer, of a stream */
#define HAUL_CONN_STALL_MAX        (15 * HAUL_SECOND) /* output of which the peer takes nothing */

#define HAUL_CONN_IN_BYTES_MIN  (80u << 10)  /* holds a whole sealed message */
#define HAUL_CONN_OUT_BYTES_MIN (160u << 10) /* holds one while another is being sent */
#define HAUL_CONN_RESERVE_BYTES (16u << 10)  /* of the out buffer, not for data */
#define HAUL_CONN_CLEAR_BYTES   4096u
#define HAUL_CONN_SMALL_BYTES   1024u /* writes up to this size are collected */

enum haul_conn_phase {
    HAUL_CONN_SELECTING, /* the security protocol */
    HAUL_CONN_PROVING,   /* Noise or TLS */
    HAUL_CONN_MUXING,    /* selecting the muxer inside it */
    HAUL_CONN_UP,
    HAUL_CONN_OVER,
};

enum haul_conn_fault {
    HAUL_CONN_SOUND = 0,
    HAUL_CONN_NOT_LIBP2P,    /* no multistream-select, or out of its rules */
    HAUL_CONN_OTHER_NETWORK, /* this is a private network, and the peer has not its key */
    HAUL_CONN_NO_SECURITY,   /* the peer speaks none of the security protocols offered */
    HAUL_CONN_MALFORMED,     /* a handshake out of its rules */
    HAUL_CONN_FORGED,
    HAUL_CONN_IDENTITY,     /* identity key, signature or certificate not good */
    HAUL_CONN_OTHER_PEER,   /* proven, but not who was asked for */
    HAUL_CONN_NO_MUXER,     /* the peer does not speak yamux */
    HAUL_CONN_MUXER_BROKEN, /* see yamux.fault */
    HAUL_CONN_LATE,         /* authentication or muxer took too long */
    HAUL_CONN_STALLED,      /* the peer reads nothing */
    HAUL_CONN_FAULT_COUNT
};

/* One stream. `owner` is the caller's; the rest is the machine's. */
struct haul_conn_stream {
    void *owner;
    struct haul_yamux_stream *mux; /* NULL when the slot is free */
    const char *name;              /* outbound: the protocol proposed; borrowed */
    haul_time deadline;            /* of the negotiation */
    bool negotiating;
    bool announced; /* the owner knows of it: events may name it */
    uint8_t tell;   /* events that wait; see conn_stream.c */
    struct haul_select select;
};

enum haul_conn_event_kind {
    HAUL_CONN_OPENED,   /* the connection: `peer` is proven, streams may be opened */
    HAUL_CONN_ACCEPTED, /* the peer opened `stream` and both agreed on protocols[index] */
    HAUL_CONN_DATA,     /* `bytes` at `data`, on loan until the next haul_conn_room */
    HAUL_CONN_ENDED,    /* the peer closed its half of `stream` */
    HAUL_CONN_RESET,    /* the peer reset it; release it, as after the next two */
    HAUL_CONN_REFUSED,  /* the peer does not speak its protocol */
    HAUL_CONN_EXPIRED,  /* the peer did not answer the proposal in time */
    HAUL_CONN_WRITABLE, /* there is room again after a short write */
    HAUL_CONN_GOAWAY,   /* the peer is about to close; no new streams */
    HAUL_CONN_FAILED,   /* the connection: send what output holds, then close; see fault */
};

struct haul_conn_event {
    enum haul_conn_event_kind kind;
    struct haul_conn_stream *stream;
    uint16_t index;
    const uint8_t *data;
    size_t bytes;
};

struct haul_conn_conf {
    bool dialer;
    bool defers;     /* bulk is laid out for other threads: see conn_batch.h */
    bool late_muxer; /* no muxers in the handshake, as rust-libp2p does: select it inside */
    const struct haul_key *key; /* borrowed for the machine's life */
    const enum haul_security
        *securities;                     /* best first; copied. None: Noise. A dialer that offers */
    size_t security_count;               /*   one alone does not wait for the answer */
    const struct haul_tls_identity *tls; /* borrowed likewise; needed where TLS is offered */
    haul_time authenticate_max;          /* 0: the default */
    uint64_t unix_seconds;               /* now, for certificates */
    const struct haul_psk *psk;          /* borrowed likewise; NULL: no private network */
    const uint8_t *psk_nonce;            /* fresh; read by init only */
    const struct haul_peer_id *expected; /* copied; NULL: whoever it is */
    const char *const *protocols;        /* borrowed; what an inbound stream may ask for */
    size_t protocol_count;
    uint8_t *in, *out; /* lent for the machine's life */
    size_t in_bytes, out_bytes;
    struct haul_conn_stream
        *streams;                    /* zeroed, as the next; touched only as far as they are used */
    struct haul_yamux_stream *muxes; /* as many as streams */
    size_t stream_count;
    uint64_t window_spare;                 /* see haul_yamux_init */
    uint64_t *window_pool;                 /* likewise */
    struct haul_select_unspoken *unspoken; /* of streams, shared likewise; NULL: not noted */
    const uint8_t *static_private;         /* 32 bytes each, fresh, read by init only */
    const uint8_t *ephemeral_private;
    const struct haul_chacha_poly *fast; /* for Noise's messages; NULL: OpenSSL */
};

struct haul_conn {
    enum haul_conn_phase phase;
    enum haul_conn_fault fault;
    struct haul_peer_id peer; /* once OPENED */
    struct haul_secure secure;
    struct haul_yamux yamux;
    uint64_t rx_bytes, tx_bytes; /* on the wire */

    /* The rest is the machine's. */
    struct haul_psk_stream psk_in, psk_out; /* without a key: not used */
    struct haul_select select;
    enum haul_security securities[HAUL_SECURITY_COUNT];
    const char *security_names[HAUL_SECURITY_COUNT];
    size_t security_count;
    struct haul_peer_id expected;
    struct haul_conn_stream *streams;
    struct haul_yamux_stream *muxes;
    const char *const *protocols;
    size_t stream_count, protocol_count;
    uint64_t window_spare;
    uint64_t *window_pool;
    struct haul_select_unspoken *unspoken;
    bool dialer, muxed; /* streams may be written */
    bool opened_told, failed_told;
    haul_time now, born, prove_by, proven_at, moved_at, streams_deadline;
    uint16_t negotiating, telling, expiring, tell_at; /* expiring: of those that are told of */

    uint8_t *in, *out;
    size_t in_bytes, in_at, in_end;
    size_t out_bytes, out_at, out_end;
    size_t in_wrap;  /* not 0: what batches open goes on at the start of the buffer */
    size_t in_given; /* while a batch is opened: behind the last one */
    size_t out_wrap; /* not 0: what is to be sent goes on at the start of the buffer */
    size_t out_laid; /* while laid_bytes is not 0: where what is yet to be sealed begins */
    size_t laid_bytes;
    bool defers;
    struct haul_conn_batches sealing, opening;
    size_t clear_bytes;
    uint8_t clear[HAUL_CONN_CLEAR_BYTES]; /* frames that wait to be sealed */

    struct haul_conn_stream *rest_stream; /* data that came behind a negotiation */
    const uint8_t *rest;
    size_t rest_bytes;
};

void haul_conn_init(struct haul_conn *conn, const struct haul_conn_conf *conf, haul_time now);
void haul_conn_fini(
    struct haul_conn *conn); /* wipes the keys; buffers and streams are free again */

/* Where the peer's bytes go, and how many fit; 0 while input waits for output to be sent. Ends the
 * loan of all data. Then: so many arrived. Pull events afterwards. */
size_t haul_conn_room(struct haul_conn *conn, uint8_t **space);
void haul_conn_received(struct haul_conn *conn, size_t bytes, haul_time now);
bool haul_conn_event(struct haul_conn *conn, struct haul_conn_event *event);

/* What to send now, valid until the next call; then: so much was sent. Pull events afterwards, as
 * writers and input may have waited for this. */
size_t haul_conn_output(struct haul_conn *conn, const uint8_t **data);
void haul_conn_sent(struct haul_conn *conn, size_t bytes, haul_time now);

haul_time haul_conn_deadline(const struct haul_conn *conn);
void haul_conn_expire(struct haul_conn *conn, haul_time now); /* events may follow */

/* True when the buffers are empty; when nothing is left to be sent. */
bool haul_conn_idle(const struct haul_conn *conn);
bool haul_conn_drained(const struct haul_conn *conn);

/* Tells the peer that the connection ends; output must still be sent. */
void haul_conn_goaway(struct haul_conn *conn);

/* --- streams --- */

/* Opens a stream and proposes `name` (borrowed until it is released); data may be written at once.
 * NULL before OPENED, at a limit, after GOAWAY. `now`: on a quiet connection nothing else has told
 * the time for as long as there is between two keep-alives. */
struct haul_conn_stream *haul_conn_open(struct haul_conn *conn, const char *name, void *owner,
                                        haul_time now);

/* As haul_yamux_window. */
void haul_conn_window(struct haul_conn *conn, struct haul_conn_stream *stream, uint32_t bytes,
                      uint32_t first);

/* Seals data into the out buffer and returns how much was taken; WRITABLE follows a short write. */
size_t haul_conn_write(struct haul_conn *conn, struct haul_conn_stream *stream, const void *data,
                       size_t bytes);

/* All (at most HAUL_CONN_SEND_MAX) or nothing; WRITABLE follows a false. */
#define HAUL_CONN_SEND_MAX (60u << 10)
HAUL_MUST_USE bool haul_conn_send(struct haul_conn *conn, struct haul_conn_stream *stream,
                                  const void *data, size_t bytes);

void haul_conn_consume(struct haul_conn *conn, struct haul_conn_stream *stream, size_t bytes);
void haul_conn_finish(struct haul_conn *conn, struct haul_conn_stream *stream);

/* The owner forgets the stream; it is reset unless both halves have ended. No event follows. */
void haul_conn_release(struct haul_conn *conn, struct haul_conn_stream *stream);

const char *haul_conn_fault_name(enum haul_conn_fault fault);
