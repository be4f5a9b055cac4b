/* Announcing many keys: they are walked in the order of the key space, and what one look-up taught
 * about a region serves every key in it. A look-up tells the 20 peers nearest to its target; so all
 * peers are known that share more bits with the target than the 20th of them. Where such regions
 * cover a larger one with at least 20 peers, the 20 nearest to any key in it are known without
 * asking. So many keys cost about one look-up for every ten peers of the network, however many they
 * are, and few keys cost one look-up each. Pure; memory is the caller's. */
#pragma once

#include "controlplane/p2p/kad/table.h"

#define HAUL_KAD_SWEEP_COVERS_MAX 256u
#define HAUL_KAD_SWEEP_KNOWN      2048u /* a good size for the memory */
#define HAUL_KAD_SWEEP_WORTH      4u    /* keys in a region that make it worth exploring */

struct haul_kad_cover {
    struct haul_kad_key prefix;
    unsigned bits;
};

struct haul_kad_sweep {
    const struct haul_kad_key *keys; /* sorted */
    size_t count, at;
    struct haul_kad_contact *known; /* sorted by key */
    size_t known_count, known_max;
    struct haul_kad_cover covers[HAUL_KAD_SWEEP_COVERS_MAX];
    size_t cover_count;
    unsigned depth;       /* bits that the 20th nearest shared last; 0: not known yet */
    unsigned region_bits; /* of the region around keys[at] that is being explored */
    unsigned region_bits_min;
    bool exploring, looked; /* a region; the key itself */
    struct haul_kad_contact exact[HAUL_KAD_K];
    size_t exact_count;
    uint64_t lookups;
};

enum haul_kad_sweep_step {
    HAUL_KAD_SWEEP_LOOK,  /* look up `target`, or any key that shares `bits` bits with it */
    HAUL_KAD_SWEEP_READY, /* the nearest of the next `count` keys are known */
    HAUL_KAD_SWEEP_DONE,
};

struct haul_kad_sweep_wish {
    struct haul_kad_key target;
    unsigned bits;
    size_t first, count;
};

void haul_kad_sweep_init(struct haul_kad_sweep *sweep, const struct haul_kad_key *sorted,
                         size_t count, struct haul_kad_contact *memory, size_t memory_count);

/* What is to be done next. The same until haul_kad_sweep_looked or haul_kad_sweep_taken. */
enum haul_kad_sweep_step haul_kad_sweep_next(struct haul_kad_sweep *sweep,
                                             struct haul_kad_sweep_wish *wish);

/* The answer to LOOK: those nearest to the target that was looked up, nearest first; none when it
 * failed. */
void haul_kad_sweep_looked(struct haul_kad_sweep *sweep, const struct haul_kad_key *target,
                           const struct haul_kad_contact *contacts, size_t count);

/* The nearest to a key that is ready. */
size_t haul_kad_sweep_closest(const struct haul_kad_sweep *sweep, size_t key,
                              struct haul_kad_contact closest[HAUL_KAD_K]);

/* The first `count` ready keys have been dealt with. */
void haul_kad_sweep_taken(struct haul_kad_sweep *sweep, size_t count);
