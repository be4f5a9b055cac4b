/* Who has which MAC address: a bounded table that only our own sending fills. An entry is asked for
 * by everybody's address, confirmed by its own while it is in use, and forgotten when it is not.
 *
 * What nobody asked for changes nothing at once. A claim to a known neighbour's address from
 * another MAC address is a challenge: the old MAC address is asked first; if it answers, the claim
 * is refused (and no other is listened to for a second); if it does not, everybody is asked, and
 * the first answer counts. Meanwhile the old MAC address stays in use. So a flood of forged
 * messages costs at most three questions per neighbour and second, and moves nobody who is alive.
 */
#pragma once

#include "common/addr.h"
#include "common/rng.h"
#include "common/time.h"
#include "dataplane/ethernet/packet.h"

#define HAUL_NEIGHBOURS_MAX 256u
#define HAUL_NEIGHBOUR_NONE UINT16_MAX

enum haul_neighbour_state {
    HAUL_NEIGHBOUR_FREE,
    HAUL_NEIGHBOUR_ASKING,     /* everybody is asked; no MAC address yet */
    HAUL_NEIGHBOUR_LIVE,       /* MAC address known */
    HAUL_NEIGHBOUR_CONFIRMING, /* known, and asked whether it still is */
    HAUL_NEIGHBOUR_CHALLENGED, /* the same, since somebody else claimed its address */
    HAUL_NEIGHBOUR_SEEKING,    /* known but silent: everybody is asked again */
    HAUL_NEIGHBOUR_FAILED,     /* nobody answered; not asked for again for a while */
};

struct haul_neighbour {
    struct haul_addr ip; /* port and scope zero */
    uint8_t mac[HAUL_MAC_BYTES];
    uint8_t claimant[HAUL_MAC_BYTES]; /* CHALLENGED: by whom; kept for the caller */
    uint8_t state;                    /* enum haul_neighbour_state */
    uint8_t tries;
    uint16_t next;       /* of its chain */
    haul_time due;       /* next question or end of a state; NEVER when nothing is */
    haul_time stale;     /* LIVE: to be confirmed when used after this */
    haul_time used;      /* last sent to */
    haul_time listen;    /* claims before this are ignored */
    haul_time answered;  /* when we last answered a question of it, outside the common rate */
    uint32_t generation; /* changes with the MAC address and when it is lost */
};

struct haul_neighbours {
    struct haul_neighbour entries[HAUL_NEIGHBOURS_MAX];
    uint16_t heads[HAUL_NEIGHBOURS_MAX];
    uint32_t count;
    uint32_t generation;
    haul_time due; /* not after the first of the entries */
    uint64_t seed;
    struct haul_rng rng;
};

void haul_neighbours_init(struct haul_neighbours *table, uint64_t seed);

struct haul_neighbour *haul_neighbours_find(struct haul_neighbours *table,
                                            const struct haul_addr *ip);

/* The entry of a neighbour to be sent to, made if need be. NULL when the table is full of entries
 * that are in use. */
struct haul_neighbour *haul_neighbours_use(struct haul_neighbours *table,
                                           const struct haul_addr *ip, haul_time now);

/* Whether its MAC address may be used. */
static inline bool haul_neighbour_known(const struct haul_neighbour *entry)
{
    return entry->state >= HAUL_NEIGHBOUR_LIVE && entry->state <= HAUL_NEIGHBOUR_SEEKING;
}

/* Called with every use of a known entry: begins to confirm it when it is stale. */
void haul_neighbour_touch(struct haul_neighbours *table, struct haul_neighbour *entry,
                          haul_time now);

enum haul_claim {
    HAUL_CLAIM_UNASKED,   /* no such neighbour, or nothing new */
    HAUL_CLAIM_CONFIRMED, /* the answer to a question of ours */
    HAUL_CLAIM_MOVED,     /* the same, with another MAC address than before */
    HAUL_CLAIM_CHALLENGE, /* another MAC address: the old one will be asked */
    HAUL_CLAIM_REFUSED,   /* the old one answered a challenge */
};

/* Somebody says that `ip` is at `mac`; `answer`: as an answer to us. */
enum haul_claim haul_neighbours_claim(struct haul_neighbours *table, const struct haul_addr *ip,
                                      const uint8_t mac[HAUL_MAC_BYTES], bool answer,
                                      haul_time now);

enum haul_neighbour_step {
    HAUL_STEP_NONE,
    HAUL_STEP_ASK_ALL, /* ask everybody for *ip */
    HAUL_STEP_ASK_ONE, /* ask mac alone */
    HAUL_STEP_LOST,    /* *ip has stopped answering, or never did */
};

/* The next thing that is due; call it until it says NONE. */
enum haul_neighbour_step haul_neighbours_step(struct haul_neighbours *table, haul_time now,
                                              struct haul_addr *ip, uint8_t mac[HAUL_MAC_BYTES]);

/* Everybody known is to be confirmed now. */
void haul_neighbours_doubt(struct haul_neighbours *table, haul_time now);

/* What must hold, in words, or NULL. For tests. */
const char *haul_neighbours_broken(const struct haul_neighbours *table);
