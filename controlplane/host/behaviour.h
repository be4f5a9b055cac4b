/* How a protocol joins the node: one const table, one file under behaviours/ (docs/BEHAVIOURS.md
 * shows a whole one). The host negotiates the protocol on a stream and then calls the table; all
 * calls come on the control thread.
 *
 * What all streams of a protocol share, its service, is somebody else's memory: it goes into the
 * host's list beside the table, and comes back with every call.
 *
 * A stream ends exactly once, with `closed`. Until then the behaviour may write, close its half or
 * reset. Bytes that `input` does not take stay with the host (bounded by the stream's receive
 * window, so the peer is held back) and are offered again after haul_stream_resume. */
#pragma once

#include "common/addr.h"
#include "common/error.h"
#include "common/time.h"
#include "controlplane/p2p/multiaddr.h"
#include "controlplane/p2p/peerid.h"

struct haul_stream;
struct haul_host;
struct haul_loop;

enum haul_stream_end {
    HAUL_STREAM_DONE,    /* both halves closed in order */
    HAUL_STREAM_RESET,   /* the peer reset it, or did not know the protocol */
    HAUL_STREAM_REFUSED, /* the peer does not speak the protocol (dialled streams only) */
    HAUL_STREAM_LOST,    /* the connection went away */
    HAUL_STREAM_LIMIT,   /* we reset it: a limit or a deadline was reached */
};

/* What a peer has said of itself (identify); views that live as long as the call. All of it is a
 * claim: the peer's key is proven, its addresses are not. */
struct haul_identified {
    const char *agent; /* as it was sent; NULL: nothing */
    size_t agent_bytes;
    const struct haul_addr *observed; /* how the peer sees us; NULL: it did not say */
    const struct haul_multiaddr *addresses;
    size_t address_count;
    const uint8_t *record; /* of the peer, its signature verified (peer_record.h); or NULL */
    size_t record_bytes;
    uint32_t speaks; /* bit n: our protocol number n */
};

struct haul_behaviour {
    const char *protocol;           /* "/ipfs/ping/1.0.0" */
    size_t state_bytes;             /* zeroed memory a stream, see haul_stream_state */
    uint32_t inbound_per_peer_max;  /* streams the peer may have open at once; more are reset */
    uint32_t outbound_per_peer_max; /* what peers take of us at once; 0: no limit of the protocol */
    haul_time idle_max;             /* a stream without a byte for so long is reset; 0: no limit */
    uint32_t window_bytes_max;      /* how far the receive window may grow; 0: the initial one */
    bool takes_at_once; /* `input` never leaves anything: a peer's stream may begin with a larger
                         * window, as one of ours does */

    /* A connection has come up, in either direction; its peer has said what it is, at first or
     * anew; it has gone. Each may be NULL. */
    void (*connected)(struct haul_host *host, void *service, uint64_t connection);
    void (*identified)(struct haul_host *host, void *service, uint64_t connection,
                       const struct haul_identified *identified);
    void (*disconnected)(struct haul_host *host, void *service, uint64_t connection,
                         const struct haul_peer_id *peer);

    /* The protocol is agreed (or, when dialled, optimistically assumed). `argument` is what
     * haul_host_stream was given, NULL on an inbound stream. Any may be NULL. */
    void (*opened)(struct haul_stream *stream, void *argument);
    size_t (*input)(struct haul_stream *stream, const uint8_t *data, size_t bytes); /* taken */
    void (*ended)(struct haul_stream *stream);    /* the peer closed its half; input came first */
    void (*writable)(struct haul_stream *stream); /* there is room again after a short write */
    void (*closed)(struct haul_stream *stream, enum haul_stream_end end);
};

/* One protocol of a host. A table stands at most once in a host's list. */
struct haul_protocol {
    const struct haul_behaviour *behaviour;
    void *service;    /* of this node; may be NULL */
    const char *name; /* instead of the table's, for one with a configured prefix; or NULL */
    bool dial_only;   /* not told to peers, and refused when they open it */
};

/* --- on a stream --- */

void *haul_stream_state(struct haul_stream *stream);
void *haul_stream_argument(struct haul_stream *stream);
/* What stands beside the table in the host's list; NULL when it does not stand there. */
void *haul_stream_service(const struct haul_stream *stream);
const struct haul_behaviour *haul_stream_behaviour(const struct haul_stream *stream);
struct haul_host *haul_stream_host(struct haul_stream *stream);
const struct haul_peer_id *haul_stream_peer(const struct haul_stream *stream);
bool haul_stream_inbound(const struct haul_stream *stream);
uint64_t haul_stream_connection(const struct haul_stream *stream); /* see host.h */

/* Encrypts straight into the connection's send buffer; returns the bytes accepted, fewer when the
 * peer's window or the buffer is full, and then `writable` follows. The write is never dropped. */
size_t haul_stream_write(struct haul_stream *stream, const void *data, size_t bytes);

/* All or nothing, for small messages: false when there is no room now. */
HAUL_MUST_USE bool haul_stream_send(struct haul_stream *stream, const void *data, size_t bytes);

void haul_stream_close(struct haul_stream *stream);  /* our half; what was written arrives first */
void haul_stream_reset(struct haul_stream *stream);  /* both halves; `closed` follows this turn */
void haul_stream_resume(struct haul_stream *stream); /* offer input again */

/* Another limit than the table's for this stream; 0: none. */
void haul_stream_idle_after(struct haul_stream *stream, haul_time idle_max);
