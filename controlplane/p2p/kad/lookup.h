/* One iterative look-up: which peer to ask next, and when it is known who is nearest to the target.
 * Candidates are spread over disjoint paths: a peer is asked by the path that heard of it first, so
 * an answer can lead only its own path astray. A slow peer gives its turn away and may still
 * answer. How many are asked at all, how many may come from one network, and be among the nearest,
 * and how long it may take are bounded. Pure; time and answers come in, contacts to be asked go
 * out.
 *
 * What is asked (FIND_NODE, GET_PROVIDERS, GET_VALUE) is the caller's business, as is ending early
 * when it has what it wanted. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/kad/key.h"

#define HAUL_KAD_CANDIDATES_MAX 128u
#define HAUL_KAD_PATHS_MAX      8u
#define HAUL_KAD_HEARD_MAX      20u /* contacts of one answer that are looked at */

struct haul_kad_lookup_conf {
    uint8_t want;           /* it has ended when so many nearest have answered */
    uint8_t alpha;          /* questions under way, over all paths */
    uint8_t paths;          /* disjoint ones, 1 to HAUL_KAD_PATHS_MAX */
    uint8_t group_max;      /* candidates of one network; 0: no limit */
    uint8_t group_near_max; /* of one network among the nearest: farther ones are passed over */
    uint16_t asked_max;
    haul_time patience; /* after this a peer is slow, and another is asked beside it */
    haul_time duration; /* of the whole */
};

extern const struct haul_kad_lookup_conf haul_kad_lookup_default;

enum haul_kad_candidate_state {
    HAUL_KAD_NEW,
    HAUL_KAD_ASKED,
    HAUL_KAD_SLOW, /* asked, and not waited for any more */
    HAUL_KAD_ANSWERED,
    HAUL_KAD_FAILED,
};

struct haul_kad_candidate {
    struct haul_kad_contact contact;
    uint8_t state; /* enum haul_kad_candidate_state */
    uint8_t path;
    uint8_t hops; /* 1: out of our own table */
    haul_time asked;
};

struct haul_kad_lookup {
    struct haul_kad_lookup_conf conf;
    struct haul_kad_key target;
    haul_time ends;
    uint16_t count, asked, answered, failed, under_way;
    uint16_t path_under_way[HAUL_KAD_PATHS_MAX];
    uint8_t seed_path;
    uint8_t hops; /* of the deepest answer */
    bool over;
    bool late;                                                     /* the time ran out */
    struct haul_kad_candidate candidates[HAUL_KAD_CANDIDATES_MAX]; /* nearest first */
};

void haul_kad_lookup_init(struct haul_kad_lookup *lookup, const struct haul_kad_key *target,
                          const struct haul_kad_lookup_conf *conf, haul_time now);

/* Somebody to begin with. */
void haul_kad_lookup_seed(struct haul_kad_lookup *lookup, const struct haul_kad_contact *contact);

/* The next peer to ask; false when none is to be asked now. Call it until it is false, at first and
 * after each of the calls below. */
bool haul_kad_lookup_next(struct haul_kad_lookup *lookup, haul_time now,
                          struct haul_kad_contact *contact);

/* A peer has answered, with these contacts. The own key is to be left out by the caller. */
void haul_kad_lookup_answered(struct haul_kad_lookup *lookup, const struct haul_kad_key *from,
                              const struct haul_kad_contact *heard, size_t count);
void haul_kad_lookup_failed(struct haul_kad_lookup *lookup, const struct haul_kad_key *key);

/* When haul_kad_lookup_tick has something to do. */
haul_time haul_kad_lookup_deadline(const struct haul_kad_lookup *lookup);
void haul_kad_lookup_tick(struct haul_kad_lookup *lookup, haul_time now);

/* Has it ended? */
bool haul_kad_lookup_done(const struct haul_kad_lookup *lookup);

/* Those that have answered, nearest first. */
size_t haul_kad_lookup_closest(const struct haul_kad_lookup *lookup,
                               struct haul_kad_contact *contacts, size_t capacity);

/* The hops to a peer that has answered; 0 when it has not. */
unsigned haul_kad_lookup_hops(const struct haul_kad_lookup *lookup, const struct haul_kad_key *key);
