/* Where the peer is: which candidate answers, and how its address changes. An address is proven
 * when the answer to a challenge that went there came back; bulk goes to a proven address only.
 *
 * Limits: to a candidate that never answered go at most HAUL_PATH_TRIES challenges, and one more a
 * second for as long as sealed datagrams numbered above every earlier one come from it: the peer is
 * there, and only ours were lost (while its neighbour was being found, say). A change of address is
 * started only by a datagram numbered above every earlier one; there is one challenge at a time,
 * one a second, the old address is challenged too and kept if it answers. A challenge and an answer
 * are exactly HAUL_WIRE_PROBE_BYTES long, one of each in a datagram, and a source that was not a
 * candidate begins with HAUL_PATH_STRANGER_TRIES: to one that is not proven goes at most three
 * times what came from it. Only to what the peer named over its connection the first go unasked. */
#pragma once

#include "common/addr.h"
#include "common/handoff.h"
#include "common/rng.h"
#include "common/time.h"

#define HAUL_PATH_TRIES          5u
#define HAUL_PATH_STRANGER_TRIES 2u
#define HAUL_PATH_RETRY_FIRST    (250 * HAUL_MILLISECOND) /* to the second challenge */
#define HAUL_PATH_RETRY          HAUL_SECOND              /* to every later one */
#define HAUL_PATH_REPLIES        4u
#define HAUL_PATH_KEEP           (30 * HAUL_SECOND) /* an old address that answered stays */

/* Candidates, and sources that were not among them. */
#define HAUL_PATH_ADDRESSES (HAUL_CANDIDATES_MAX + 2u)

struct haul_candidate {
    struct haul_addr addr;
    uint64_t token;
    haul_time due;  /* next challenge, or never */
    haul_time last; /* challenge */
    uint8_t tries;
};

struct haul_reply {
    struct haul_addr addr;
    uint64_t token;
};

struct haul_path {
    bool proven;
    struct haul_addr peer; /* where everything goes once proven */
    uint8_t count;
    struct haul_candidate candidates[HAUL_PATH_ADDRESSES];
    uint8_t reply_first;
    uint8_t reply_count;
    struct haul_reply replies[HAUL_PATH_REPLIES];
    bool moving;
    bool new_answered;
    uint8_t to_challenge; /* bit 0: the new address, bit 1: the old one */
    struct haul_addr to;
    uint64_t token_new;
    uint64_t token_old;
    haul_time challenged;
    haul_time decide_at;
    haul_time next_move; /* no change of address is started before */
    struct haul_rng *rng;
};

void haul_path_init(struct haul_path *path, const struct haul_addr *candidates, size_t count,
                    struct haul_rng *rng, haul_time now);

/* A datagram of this path to one address: an answer, a challenge, or both. */
struct haul_path_send {
    struct haul_addr addr;
    bool challenge;
    bool response;
    uint64_t challenge_token;
    uint64_t response_token;
};

/* The next one that is due; false when there is none. It is taken: the caller sends it. */
bool haul_path_next(struct haul_path *path, haul_time now, struct haul_path_send *send);
haul_time haul_path_due(const struct haul_path *path);

/* A challenge arrived, `newest` in a datagram numbered above every earlier one: it will be answered
 * to where it came from. Once the peer's address is proven an older one is answered only there:
 * what was never opened (it came before our end was open, say) may be a copy in anybody's hands. */
void haul_path_challenged(struct haul_path *path, const struct haul_addr *from, uint64_t token,
                          bool newest, haul_time now);

enum haul_path_news { HAUL_PATH_SAME, HAUL_PATH_PROVEN, HAUL_PATH_MOVED };

/* An answer arrived. */
enum haul_path_news haul_path_answered(struct haul_path *path, uint64_t token, haul_time now);

/* A datagram numbered above every earlier one came from `from`, which is not path->peer (nobody is,
 * until it is proven). `patience` is how long the old address has to answer. */
void haul_path_heard(struct haul_path *path, const struct haul_addr *from, haul_time patience,
                     haul_time now);

/* The end of a wait may have come. */
enum haul_path_news haul_path_tick(struct haul_path *path, haul_time now);
const char *haul_path_broken(const struct haul_path *path);
