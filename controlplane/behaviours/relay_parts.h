/* What the files of the relay share, from the top: relay.c is the service, reads messages and has
 * the tables; relay_server.c keeps places and passes bytes on, relay_dial.c is the way through a
 * relay in both directions, relay_client.c keeps our places; relay_stream.c writes messages,
 * relay_pipe.c moves bytes between a stream and the connection inside it. */
#pragma once

#include "common/counters.h"
#include "controlplane/behaviours/relay.h"
#include "controlplane/host/loop.h"
#include "controlplane/p2p/inbox.h"

#include <sys/queue.h>

#define HAUL_RELAY_TALK_MAX (30 * HAUL_SECOND) /* a stream on which messages are still due */

/* --- relay_pipe.c --- */

/* Between a stream and one end of a pair of sockets. */
struct haul_relay_pipe {
    struct haul_stream *stream; /* NULL: not open */
    struct haul_watch *watch;
    int fd;
    bool blocked;    /* the socket takes no more: input waits */
    bool over;       /* the connection has closed its end */
    uint8_t *buffer; /* what the stream did not take: bytes from at */
    size_t at, bytes;
};
/* Takes the descriptor over, also when it fails. */
HAUL_MUST_USE bool haul_relay_pipe_open(struct haul_relay_pipe *pipe, struct haul_stream *stream,
                                        int fd);
size_t haul_relay_pipe_input(struct haul_relay_pipe *pipe, const uint8_t *data, size_t bytes);
void haul_relay_pipe_ended(struct haul_relay_pipe *pipe);
void haul_relay_pipe_writable(struct haul_relay_pipe *pipe);
void haul_relay_pipe_close(struct haul_relay_pipe *pipe);

/* --- streams --- */

struct haul_relay_circuit;
struct haul_relay_dial;
struct haul_relay_place;

struct haul_relay_stream {
    struct haul_inbox inbox;
    bool answered;                      /* one message is all we expect on it */
    struct haul_relay_circuit *circuit; /* server: what it is an end of */
    struct haul_relay_pipe pipe;        /* client */
    uint8_t message[HAUL_RELAY_MESSAGE_MAX];
};

/* What an outbound stream is for, handed to haul_host_stream; the first member says which. */
enum haul_relay_errand {
    HAUL_RELAY_FOR_PLACE,
    HAUL_RELAY_FOR_DIAL,
    HAUL_RELAY_FOR_CIRCUIT,
};

/* --- the service --- */

struct haul_relay_reservation {
    struct haul_peer_id peer;
    uint64_t connection;
    struct haul_addr remote;
    haul_time ends;
    LIST_ENTRY(haul_relay_reservation) link;
};

struct haul_relay_place {
    enum haul_relay_errand errand;
    struct haul_relay *relay;
    struct haul_multiaddr where;
    struct haul_peer_id id;
    struct haul_timer *timer;
    uint64_t connection; /* on which it is kept, or asked for */
    bool dialling, kept;
    struct haul_stream *asking; /* until it is answered */
    uint32_t failures;          /* in a row */
    size_t address_count;
    struct haul_multiaddr addresses[HAUL_HOST_TOLD_MAX]; /* ours, through the relay */
};

struct haul_relay {
    const struct haul_behaviour *hop, *stop; /* whose streams the parts open */
    struct haul_relay_conf conf;
    struct haul_host *host; /* NULL before the start */
    struct haul_relay_counters counters;
    LIST_HEAD(, haul_relay_reservation) reservations;
    LIST_HEAD(, haul_relay_circuit) circuits;
    LIST_HEAD(, haul_relay_dial) dials;
    uint32_t reservation_count, circuit_count;
    struct haul_pace reservation_pace, circuit_pace;
    struct haul_relay_place places[HAUL_RELAY_PLACES_MAX];
    size_t place_count;
};

/* --- relay_stream.c --- */

struct haul_relay *haul_relay_of(struct haul_stream *stream);
HAUL_MUST_USE bool haul_relay_send(struct haul_stream *stream, bool stop,
                                   const struct haul_relay_message *message);
/* A STATUS, behind which our half is closed unless it is OK. */
void haul_relay_answer(struct haul_stream *stream, bool stop, enum haul_relay_status status,
                       const struct haul_relay_limit *limit);

/* --- relay_server.c --- */

void haul_relay_serve(struct haul_stream *stream, const struct haul_relay_message *message);
void haul_relay_circuit_asks(struct haul_stream *stream, struct haul_relay_circuit *circuit);
void haul_relay_circuit_answer(struct haul_relay_circuit *circuit,
                               const struct haul_relay_message *message);
size_t haul_relay_circuit_input(struct haul_relay_circuit *circuit, struct haul_stream *from,
                                const uint8_t *data, size_t bytes);
void haul_relay_circuit_ended(struct haul_relay_circuit *circuit, struct haul_stream *stream);
void haul_relay_circuit_writable(struct haul_relay_circuit *circuit, struct haul_stream *stream);
void haul_relay_circuit_closed(struct haul_relay_circuit *circuit, struct haul_stream *stream,
                               enum haul_stream_end end);
void haul_relay_server_disconnected(struct haul_relay *relay, uint64_t connection);
void haul_relay_server_close(struct haul_relay *relay);

/* --- relay_client.c --- */

HAUL_MUST_USE int haul_relay_places_open(struct haul_relay *relay, struct haul_error *error);
void haul_relay_places_start(struct haul_relay *relay);
void haul_relay_places_close(struct haul_relay *relay);
void haul_relay_place_answer(struct haul_relay_place *place, struct haul_stream *stream,
                             const struct haul_relay_message *message);
void haul_relay_place_closed(struct haul_relay_place *place, const struct haul_stream *stream);
void haul_relay_places_disconnected(struct haul_relay *relay, uint64_t connection);
bool haul_relay_has_place(const struct haul_relay *relay, const struct haul_peer_id *id);

/* --- relay_dial.c --- */

/* The host's carrier. */
void haul_relay_dial(void *context, uint64_t attempt, int fd, const struct haul_multiaddr *where,
                     const struct haul_peer_id *relay, const struct haul_peer_id *target);
void haul_relay_dial_asks(struct haul_stream *stream, struct haul_relay_dial *dial);
void haul_relay_dial_answer(struct haul_relay_dial *dial, struct haul_stream *stream,
                            const struct haul_relay_message *message);
void haul_relay_dial_closed(struct haul_relay_dial *dial);
/* A relay says that somebody is there. */
void haul_relay_let_in(struct haul_stream *stream, const struct haul_relay_message *message);
