/* The libp2p peer of this node: listening sockets, connections, streams and the protocols spoken on
 * them. It owns the sockets and feeds the pure machines of p2p/. Control thread only.
 *
 * A connection is named by a 64-bit id that is never used twice. */
#pragma once

#include "common/addr.h"
#include "controlplane/host/behaviour.h"
#include "controlplane/host/host_counters.h"
#include "controlplane/p2p/key.h"
#include "controlplane/p2p/multiaddr.h"
#include "controlplane/p2p/psk.h"
#include "controlplane/p2p/secure.h"
#include "controlplane/p2p/select.h"

#define HAUL_HOST_NO_CONNECTION 0u
#define HAUL_HOST_ADDRESSES_MAX 16u
#define HAUL_HOST_PROTOCOLS_MAX 32u

/* At most so many; 0: no limit. What is above is refused and counted. The node's defaults are in
 * conf.h; a protocol's streams of one peer are limited by its table. */
struct haul_host_limits {
    uint32_t inbound_max;               /* connections that peers have opened */
    uint32_t per_peer_max;              /* connections of one peer, either direction */
    uint32_t per_address_max;           /* connections from one address (of IPv6: one /64) */
    uint32_t half_open_per_address_max; /* of these, not yet proven: the oldest goes */
    uint32_t streams_max;               /* streams that peers have opened, of all connections */
    uint64_t held_bytes_max; /* input that behaviours have not taken yet, of all streams */
    uint64_t held_per_connection_max;
    uint64_t window_bytes_max; /* by which the windows of all streams together may grow */
};

struct haul_host_usage {
    uint32_t connections, inbound, half_open, inbound_streams;
    uint64_t held_bytes, window_bytes_left;
};

/* Other threads, which seal and open bulk: `work` is called on one of them, `done` in the loop
 * later on, never from within `run`. False: no room now. Whoever has them keeps the loop until all
 * that was taken is done, which may be after the host was closed. */
struct haul_host_threads {
    bool (*run)(void *context, void (*work)(void *job), void (*done)(void *job), void *job);
    void *context;
};

struct haul_host_conf {
    struct haul_loop *loop;
    const struct haul_key *key; /* borrowed for the host's life */
    const char *agent;          /* "haul/0.1.0" */
    /* What it speaks, identify and ping included; the last one has no behaviour. Copied. */
    const struct haul_protocol *protocols;
    enum haul_security
        securities[HAUL_SECURITY_COUNT]; /* best first; a dial offers one alone, so */
    size_t security_count; /*   that it need not wait, and dials again with the next; 0: Noise */
    const struct haul_psk *psk; /* key of a private network, borrowed likewise; NULL: none */
    uint32_t connections_max;
    uint32_t half_open_max;     /* not yet authenticated, either direction */
    haul_time authenticate_max; /* from the start of a connection to a proven peer; 0: a default */
    uint32_t streams_per_connection_max;
    struct haul_host_threads threads; /* run NULL: the control thread seals and opens all */
    bool hasty; /* closing waits for nobody to read our goodbye: peers in the same loop cannot */
    struct haul_host_limits limits;
    void *context; /* for the calls below and haul_host_context */
    bool (*allowed)(void *context, const struct haul_peer_id *peer); /* NULL: everybody is */
    void (*connected)(void *context, uint64_t connection, const struct haul_peer_id *peer,
                      const struct haul_addr *address, bool inbound); /* authenticated and muxed */
    void (*disconnected)(void *context, uint64_t connection, const struct haul_peer_id *peer,
                         enum haul_error_code why);
};

HAUL_MUST_USE int haul_host_open(struct haul_host **host, const struct haul_host_conf *conf,
                                 struct haul_error *error);
/* GoAway, a wait of at most a quarter of a second for the peers, then close. Every stream and dial
 * hears of its end. Not from inside a callback of the host. */
void haul_host_close(struct haul_host *host);
struct haul_loop *haul_host_loop(const struct haul_host *host);
void *haul_host_context(const struct haul_host *host);
const struct haul_peer_id *haul_host_id(const struct haul_host *host);

/* Listens; port 0 means any. `bound` (may be NULL) gets the address with its port. */
HAUL_MUST_USE int haul_host_listen(struct haul_host *host, const struct haul_addr *address,
                                   struct haul_addr *bound, struct haul_error *error);

/* Addresses others may dial, as multiaddrs without /p2p: listening ones, with an unspecified
 * address replaced by those of the interfaces. Returns the count. */
size_t haul_host_addresses(const struct haul_host *host, struct haul_multiaddr *addresses,
                           size_t capacity);

/* What others are told of where this node is: the addresses it listens on, as long as they are not
 * withheld, and those that a source has found beside them. Each once; returns the count. */
size_t haul_host_told(const struct haul_host *host, struct haul_multiaddr *addresses,
                      size_t capacity);

enum haul_told {
    HAUL_TOLD_MAPPED,   /* ports that a gateway forwards */
    HAUL_TOLD_OBSERVED, /* how enough peers see this node */
    HAUL_TOLD_RELAYED,  /* through relays */
    HAUL_TOLD_COUNT,
};
#define HAUL_HOST_TOLD_MAX 4u /* of one source; more are passed over */

/* All that a source knows, instead of what it said before. Whether anything has changed: then peers
 * may be told (haul_identify_push). */
bool haul_host_tell(struct haul_host *host, enum haul_told source,
                    const struct haul_multiaddr *addresses, size_t count);

/* The addresses that have been proven unreachable, instead of those before: of at most
 * HAUL_HOST_ADDRESSES_MAX nobody is told, whoever knows them. Whether anything has changed. */
bool haul_host_withhold(struct haul_host *host, const struct haul_multiaddr *addresses,
                        size_t count);

/* Called once: with the connection, or HAUL_HOST_NO_CONNECTION and why not (PEER_UNREACHABLE,
 * PEER_MISMATCH, PEER_PROTOCOL, TIMEOUT, LIMIT). A live connection to the peer is reused. */
typedef void haul_dial_fn(void *context, uint64_t connection, const struct haul_error *error);

/* `peer` NULL: whoever answers (interoperability tests and ping by address). Addresses are copied;
 * tried in turn with a short stagger, the first that authenticates wins. */
void haul_host_dial(struct haul_host *host, const struct haul_peer_id *peer,
                    const struct haul_multiaddr *addresses, size_t count, haul_time deadline,
                    haul_dial_fn *done, void *context);

/* The same, but a live connection to the peer is not made use of, and it begins at a port of its
 * own: what a gateway lets through to where we have been dialled from proves nothing. */
void haul_host_dial_anew(struct haul_host *host, const struct haul_peer_id *peer,
                         const struct haul_multiaddr *addresses, size_t count, haul_time deadline,
                         haul_dial_fn *done, void *context);

/* The other half of a punch (DCUtR): all addresses at once, from the port that this node listens
 * on, and no connection through a relay is made use of. As `listener` we answer in the handshake
 * although it is we who dial, since the peer, who dials at the same moment, asks. */
void haul_host_punch(struct haul_host *host, const struct haul_peer_id *peer, bool listener,
                     const struct haul_multiaddr *addresses, size_t count, haul_time deadline,
                     haul_dial_fn *done, void *context);

/* --- connections through relays ---
 *
 * Somebody else carries their bytes: the connection itself has one end of a pair of local sockets,
 * the carrier the other. */

/* Dials through relays, once for each such address. The carrier owns `fd` and says up or down of
 * `attempt`, not from within the call; when the attempt is given up, the pair is closed. */
struct haul_host_carrier {
    void (*dial)(void *context, uint64_t attempt, int fd, const struct haul_multiaddr *where,
                 const struct haul_peer_id *relay, const struct haul_peer_id *target);
    void *context;
};
void haul_host_carry(struct haul_host *host, const struct haul_host_carrier *carrier);

/* The way is open, with what the relay says of its limits: the handshake begins. */
struct haul_host_circuit {
    struct haul_peer_id relay;
    struct haul_addr remote; /* of the relay */
    bool limited;            /* the relay cuts it off after so much or so long */
    uint64_t bytes_max;      /* each way; 0: no limit */
};
void haul_host_circuit_up(struct haul_host *host, uint64_t attempt,
                          const struct haul_host_circuit *circuit);
/* `text` is not copied. */
void haul_host_circuit_down(struct haul_host *host, uint64_t attempt, enum haul_error_code why,
                            const char *text);

/* A peer has come to us through a relay: the handshake begins, in which we answer. Returns the
 * other end of the pair, the caller's, or -1 at a limit. */
HAUL_MUST_USE int haul_host_circuit_accept(struct haul_host *host, const struct haul_peer_id *peer,
                                           const struct haul_host_circuit *circuit);

/* Opens a stream and negotiates the behaviour's protocol; `opened` (with `argument`) and `closed`
 * of the table follow. NULL when the connection is gone, or for now at a limit. A table that is not
 * in the host's list may ask, and nobody can ask it. */
struct haul_stream *haul_host_stream(struct haul_host *host, uint64_t connection,
                                     const struct haul_behaviour *behaviour, void *argument);

/* What is known of a connection; false when it is gone. */
struct haul_connection_facts {
    struct haul_peer_id peer;
    struct haul_addr remote;
    struct haul_addr local;
    bool inbound;
    haul_time since;
    uint64_t rx_bytes, tx_bytes;
    uint32_t streams;
    enum haul_security security;
    bool relayed; /* then remote and local are those of the relay and nobody */
    struct haul_host_circuit circuit;
    char agent[64];            /* from identify, escaped; empty until known */
    struct haul_addr observed; /* how the peer sees us, from identify; family 0 until known */
};
bool haul_host_facts(const struct haul_host *host, uint64_t connection,
                     struct haul_connection_facts *facts);

/* Next live connection after `connection` (0 to begin); 0 at the end. */
uint64_t haul_host_next(const struct haul_host *host, uint64_t connection);
/* The oldest that leads to the peer directly; without one, the oldest through a relay. */
uint64_t haul_host_find(const struct haul_host *host, const struct haul_peer_id *peer);
uint64_t haul_host_find_direct(const struct haul_host *host, const struct haul_peer_id *peer);

/* Whether this node listens on that TCP port: only what peers see of a connection from it tells
 * where the node can be met. */
bool haul_host_listens(const struct haul_host *host, uint16_t port);

void haul_host_disconnect(struct haul_host *host, uint64_t connection);

/* --- what identify tells and learns --- */

const struct haul_key *haul_host_key(const struct haul_host *host); /* for what we sign */
const char *haul_host_agent(const struct haul_host *host);
const char *haul_host_protocol(const struct haul_host *host, size_t index); /* NULL at the end */

/* A hidden protocol is not told, as it is not answered for now: its behaviour refuses by itself. */
void haul_host_hide(struct haul_host *host, const struct haul_behaviour *behaviour, bool hidden);

/* The bit of a protocol for haul_identified.speaks; 0 when we do not speak it ourselves. */
uint32_t haul_host_protocol_bit(const struct haul_host *host, const char *name, size_t bytes);

/* Keeps what a peer said of itself and of us, and tells every behaviour. */
void haul_host_identified(struct haul_host *host, uint64_t connection,
                          const struct haul_identified *identified);

/* Whether the peer has said that it answers this protocol; false until it has said anything. */
bool haul_host_speaks(const struct haul_host *host, uint64_t connection,
                      const struct haul_behaviour *behaviour);

void haul_host_usage(const struct haul_host *host, struct haul_host_usage *usage);
const struct haul_host_counters *haul_host_counters(const struct haul_host *host);

/* Streams that peers opened for a protocol that is not in the list. */
const struct haul_select_unspoken *haul_host_unspoken(const struct haul_host *host);
