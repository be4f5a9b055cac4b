/* Peers on the same link, found by multicast DNS: we ask for them and answer when asked, and dial
 * those that we find, so that whoever asks connected peers (the DHT) finds them too. Off unless the
 * configuration says otherwise: it tells everybody on the link who we are.
 *
 * What is heard on a link is anybody's word: it counts only when it comes from an address of a
 * network that we are in, for addresses of private networks or of the sender itself, so that nobody
 * makes us dial third parties; the table and the dials are bounded. IPv4. Control thread only. */
#pragma once

#include "controlplane/host/host.h"

#define HAUL_NEIGHBOURS_MAX       32u
#define HAUL_NEIGHBOURS_LINKS_MAX 16u
#define HAUL_NEIGHBOURS_DIALS_MAX 4u                 /* at once */
#define HAUL_NEIGHBOURS_REDIAL    (30 * HAUL_SECOND) /* before one is dialled again */

#define HAUL_NEIGHBOURS_COUNTERS(X)                                                                \
    X(questions, "questions for peers of this link")                                               \
    X(answers, "answers to such questions")                                                        \
    X(found, "peers found")                                                                        \
    X(passed_over, "addresses that were told and do not count")                                    \
    X(malformed, "messages that were none, or came from elsewhere")                                \
    X(crowded, "peers that found no place")

struct haul_neighbours_counters {
#define X(name, help) uint64_t name;
    HAUL_NEIGHBOURS_COUNTERS(X)
#undef X
};

struct haul_neighbours;

/* Begins at once. The host must have been closed, or dials be over, before it is closed. */
HAUL_MUST_USE int haul_neighbours_open(struct haul_neighbours **neighbours, struct haul_host *host,
                                       struct haul_error *error);
void haul_neighbours_stop(struct haul_neighbours *neighbours); /* before the host is closed */
void haul_neighbours_close(struct haul_neighbours *neighbours);
const struct haul_neighbours_counters *haul_neighbours_counters(
    const struct haul_neighbours *neighbours);

/* One peer after the other; false at the end. */
bool haul_neighbours_peer(const struct haul_neighbours *neighbours, size_t index,
                          struct haul_peer_id *peer);
