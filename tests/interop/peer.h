/* The bare peer of the interoperability runs: its host, and the one command that is under way. */
#pragma once

#include "controlplane/host/host.h"
#include "controlplane/host/loop.h"

#define PEER_LINE_BYTES 2048u
#define PEER_WORDS_MAX  8u
#define PEER_PINGS_MAX  16u

struct peer {
    struct haul_loop *loop;
    struct haul_host *host;
    struct haul_key key;
    struct haul_watch *input_watch;
    struct haul_timer *clock; /* ticks while a command waits for something that no call tells */
    char input[PEER_LINE_BYTES];
    size_t input_bytes;
    bool input_ended;

    char verb[16]; /* of the command under way; empty when there is none */
    haul_time since, deadline;
    struct haul_peer_id id; /* whom it is about */
    uint64_t connection;
    uint32_t pings, pings_wanted;
    haul_time round_trips[PEER_PINGS_MAX];
    uint64_t up, down;        /* of each stream of a rate test */
    uint32_t streams, closed; /* how many were asked for, and have ended */
    bool torn;                /* one of them did not move everything */
    struct haul_perf *perf;   /* answers rate tests of peers */

    struct haul_relay *relay;
    struct haul_dcutr *dcutr;
    bool serves, punches;        /* --relay, --dcutr */
    struct haul_multiaddr place; /* --place: a relay; length 0: none */
    struct haul_multiaddr address;
    bool told; /* where it listens, when its place is kept */
};

/* Begins a command; it answers with one line now or later. */
void peer_obey(struct peer *peer, char *line);
/* Looks whether what a command waits for has come. */
void peer_poll(struct peer *peer);
void peer_tick(void *peer);

/* Tells every connected peer of a protocol that it has not heard of. */
void peer_push(struct peer *peer);
