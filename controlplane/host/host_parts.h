/* What the files of the host share, from the top: host.c opens and closes it, host_listen.c
 * accepts, host_dial.c connects, host_circuit.c does both through relays, host_room.c makes room
 * for them, host_connection.c feeds one machine and its socket, host_stream.c offers streams to
 * behaviours, host_limits.c says who may join, host_apart.c has bulk sealed and opened by other
 * threads, host_table.c is the table of connections, host_socket.c calls the kernel. For these
 * files only.
 *
 * Nothing is freed while one of its callbacks runs: connections and streams are marked and swept by
 * connection_serve, which runs after their own events and, through the host's work timer, when
 * something else has touched them. */
#pragma once

#include "common/counters.h"
#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/conn.h"

#include <sys/queue.h>

#define HAUL_HOST_BUFFER_BYTES (256u << 10)           /* in and out, of each connection */
#define HAUL_HOST_APART_BYTES  (1u << 20)             /* the same where other threads seal */
#define HAUL_HOST_WINDOW_SPARE (uint64_t)(256u << 20) /* growth of windows, of each connection */
#define HAUL_HOST_CONNECT_MAX  (10 * HAUL_SECOND)
#define HAUL_HOST_LINGER_MAX   (500 * HAUL_MILLISECOND) /* for the peer to read our last bytes */
#define HAUL_HOST_GOAWAY_MAX   (2 * HAUL_SECOND)        /* a connection whose peer says goodbye */
#define HAUL_HOST_STAGGER      (250 * HAUL_MILLISECOND)

struct haul_stream {
    struct haul_connection *connection;
    const struct haul_behaviour *behaviour;
    void *service;
    struct haul_conn_stream *mux; /* NULL once released */
    void *argument;
    bool inbound;
    bool opened_due; /* `opened` is still to be called */
    bool resume_due; /* the behaviour wants what it has left */
    bool ended, ended_told, finished;
    bool over; /* `closed` is due, with `end` */
    enum haul_stream_end end;
    haul_time active_at, idle_max;
    uint8_t *rest; /* what the behaviour has not taken: rest_bytes from rest_at */
    size_t rest_at, rest_bytes, rest_capacity;
    LIST_ENTRY(haul_stream) link;
    _Alignas(16) uint8_t state[];
};

enum haul_connection_state {
    HAUL_CONNECTION_CONNECTING, /* TCP */
    HAUL_CONNECTION_PROVING,    /* the machine runs, the peer is not proven */
    HAUL_CONNECTION_UP,
    HAUL_CONNECTION_LINGERING, /* our last bytes go out; what comes is discarded */
    HAUL_CONNECTION_DEAD,      /* to be swept */
};

struct haul_dial;

/* What an attempt tells whoever dials, once: the peer is proven, or it came to nothing. */
struct haul_attempt_ops {
    void (*proven)(struct haul_connection *connection);
    void (*failed)(struct haul_connection *connection, enum haul_error_code why, const char *text);
};

struct haul_apart;

struct haul_connection {
    struct haul_host *host;
    uint64_t id;
    enum haul_connection_state state;
    int fd;
    bool inbound, machine; /* the machine was started */
    bool serving, working; /* in connection_serve; on the host's work list */
    bool shut;             /* our half of the socket is closed */
    bool full;             /* the socket takes no more: wait until it does */
    bool was_up, end_told;
    bool listed;  /* by its peer */
    bool answers; /* the handshake's listener, whoever dialled */
    bool relayed;
    bool thorough;    /* offers every security: too dear, or too timed, to be made twice */
    const char *said; /* by the carrier, of why there is no way; or NULL */
    struct haul_watch *watch;
    struct haul_timer *timer;
    struct haul_addr remote, local;
    struct haul_dial *dial;                 /* whose attempt this is, until it is proven or fails */
    const struct haul_attempt_ops *attempt; /* of that dial */
    haul_time since, ends_at, idle_next;
    enum haul_error_code why;
    struct haul_peer_id expected;
    size_t security; /* outbound: which of the host's is offered */
    LIST_HEAD(, haul_stream) streams;
    uint32_t stream_count;
    bool stream_work; /* some stream has something due */
    char agent[64];
    struct haul_addr observed;
    struct haul_host_circuit circuit;      /* when relayed */
    uint32_t speaks;                       /* haul_identified.speaks */
    uint64_t held_bytes;                   /* of its streams' rests */
    uint64_t trimmed_at;                   /* bytes moved when the buffers were last given back */
    TAILQ_ENTRY(haul_connection) link;     /* by age */
    LIST_ENTRY(haul_connection) dial_link; /* while it has a dial */
    LIST_ENTRY(haul_connection) id_link;
    LIST_ENTRY(haul_connection) peer_link; /* while it is up */
    TAILQ_ENTRY(haul_connection) work;
    struct haul_conn conn;
    struct haul_conn_stream *mux_streams;
    struct haul_yamux_stream *muxes;
    uint8_t *in, *out;
    size_t buffer_bytes; /* of each */
    void *memory;        /* all of these; pages that were never touched cost nothing */
    size_t memory_bytes;
    struct haul_apart *apart; /* what other threads do for it; NULL: they never did */
};

struct haul_listener {
    struct haul_host *host;
    int fd;
    struct haul_watch *watch;
    struct haul_timer *pause; /* after the system ran out of descriptors */
    struct haul_addr bound;
    LIST_ENTRY(haul_listener) link;
};

TAILQ_HEAD(haul_connections, haul_connection);
LIST_HEAD(haul_connection_list, haul_connection);

#define HAUL_HOST_BUCKETS 1024u

struct haul_host {
    struct haul_host_conf conf;
    struct haul_protocol protocols[HAUL_HOST_PROTOCOLS_MAX]; /* with their names */
    const char *names[HAUL_HOST_PROTOCOLS_MAX + 1];          /* the same, for the machines */
    struct haul_tls_identity tls;                            /* absent where TLS is not spoken */
    size_t protocol_count, told_count;
    struct haul_host_carrier carrier; /* dial NULL: none */
    uint32_t hidden;                  /* bit n: protocol n is not told */
    struct haul_multiaddr told[HAUL_TOLD_COUNT][HAUL_HOST_TOLD_MAX];
    size_t told_counts[HAUL_TOLD_COUNT];
    struct haul_multiaddr withheld[HAUL_HOST_ADDRESSES_MAX];
    size_t withheld_count;
    struct haul_connections connections;
    struct haul_connections work;
    struct haul_timer *work_timer;
    struct haul_connection_list by_id[HAUL_HOST_BUCKETS];
    struct haul_connection_list by_peer[HAUL_HOST_BUCKETS];
    uint32_t connection_count, half_open, inbound_count, inbound_streams;
    uint64_t held_bytes, window_pool;
    uint64_t id_next;
    bool closing;
    LIST_HEAD(, haul_listener) listeners;
    LIST_HEAD(, haul_dial) dials;
    struct haul_host_counters counters;
    struct haul_select_unspoken unspoken;
};

/* --- host_table.c --- */

struct haul_connection *haul_host_connection(const struct haul_host *host, uint64_t id);

/* The entry of a table, or NULL. */
const struct haul_protocol *haul_host_find_protocol(const struct haul_host *host,
                                                    const struct haul_behaviour *behaviour);

/* Those of which one may be the peer's; up, and maybe already about to end. */
struct haul_connection_list *haul_host_peers(const struct haul_host *host,
                                             const struct haul_peer_id *peer);

bool haul_connection_half_open(const struct haul_connection *connection);
/* Has it served soon: something was written or marked from outside. */
void haul_connection_touch(struct haul_connection *connection);
void haul_connection_queue(struct haul_connection *connection); /* the same while it is served */

/* --- host_limits.c: each counts what it refuses --- */

static inline bool haul_host_beyond(uint32_t count, uint32_t limit)
{
    return limit != 0 && count >= limit;
}
bool haul_host_allows(const struct haul_host *host, const struct haul_peer_id *peer);
enum haul_error_code haul_host_admits_peer(struct haul_connection *connection);
bool haul_host_admits_stream(struct haul_host *host);
bool haul_host_hold(struct haul_connection *connection, size_t bytes);
void haul_host_unhold(struct haul_connection *connection, size_t bytes);

/* --- host_connection.c --- */

/* Makes the record of a socket, which it takes over (also when it fails, with NULL). */
struct haul_connection *haul_connection_open(struct haul_host *host, int fd, bool inbound,
                                             const struct haul_addr *remote);
/* Gives one that is not connected yet its time to be. */
void haul_connection_await(struct haul_connection *connection);
/* Starts the machine: TCP is connected. */
void haul_connection_start(struct haul_connection *connection);

/* Ends it: streams are lost, the host and the dialler are told. Swept later. */
void haul_connection_end(struct haul_connection *connection, enum haul_error_code why,
                         bool politely);
void haul_connection_serve(struct haul_connection *connection);
void haul_connection_free(struct haul_connection *connection);

/* --- host_apart.c --- */

/* Gives other threads what is worth it, of what is to be sealed and of what arrived. */
void haul_apart_give(struct haul_connection *connection);
/* The connection's end: batches that are out keep its memory until they are back. */
void haul_apart_free(struct haul_connection *connection);

/* --- host_room.c --- */

bool haul_host_admits_address(struct haul_host *host, const struct haul_addr *remote);
/* Room for one more unauthenticated connection; closes the oldest one when there are too many. */
bool haul_host_make_room(struct haul_host *host);

/* --- host_dial.c --- */

void haul_dials_close(struct haul_host *host);
/* A connection that a peer has opened, from where we punch: it is that punch's, and its roles are.
 */
void haul_dial_expects(struct haul_connection *connection);

/* --- host_listen.c --- */

void haul_listeners_close(struct haul_host *host);

/* --- host_circuit.c --- */

/* A connection that waits for the carrier to open a way; NULL when that is not possible. */
struct haul_connection *haul_circuit_begin(struct haul_host *host,
                                           const struct haul_multiaddr *where,
                                           const struct haul_peer_id *relay,
                                           const struct haul_peer_id *target);

/* --- host_stream.c --- */

void haul_stream_event(struct haul_connection *connection, const struct haul_conn_event *event);
void haul_stream_accept(struct haul_connection *connection, const struct haul_conn_event *event);
void haul_streams_work(struct haul_connection *connection);
void haul_streams_lose(struct haul_connection *connection, enum haul_stream_end end);
void haul_streams_idle(struct haul_connection *connection);

/* --- host_socket.c --- */

int haul_socket_listen(const struct haul_addr *address, struct haul_addr *bound);
/* `from` may be NULL; when it cannot be bound, the kernel chooses unless it `must`. */
int haul_socket_connect(const struct haul_addr *address, const struct haul_addr *from, bool must,
                        bool *at_once);
int haul_socket_pair(int fds[2]);
int haul_socket_accept(int fd, struct haul_addr *remote);
int haul_socket_error(int fd); /* of a connect that ended; 0 when it worked */
void haul_socket_local(int fd, struct haul_addr *local);
size_t haul_socket_interfaces(uint8_t family, struct haul_addr *addresses, size_t capacity);
