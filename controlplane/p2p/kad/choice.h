/* Which of the records that peers hold under one key is the best, and who does not hold it: what an
 * iterative GET_VALUE comes to. Pure; records come in, the best stays. */
#pragma once

#include "controlplane/p2p/kad/lookup.h"
#include "controlplane/p2p/kad/records.h"

struct haul_kad_choice {
    uint8_t key[HAUL_KAD_KEY_TEXT_BYTES_MAX];
    size_t key_bytes;
    size_t best_bytes; /* 0: none yet */
    uint32_t valid;    /* records that were valid, ours included */
    uint32_t invalid, worse;
    uint32_t holder_count;
    struct haul_kad_key holders[HAUL_KAD_CANDIDATES_MAX]; /* of the best */
    uint8_t best[HAUL_KAD_RECORD_VALUE_MAX];
};

enum haul_kad_offered {
    HAUL_KAD_OFFERED_NOTHING,
    HAUL_KAD_OFFERED_INVALID,
    HAUL_KAD_OFFERED_WORSE,
    HAUL_KAD_OFFERED_SAME,
    HAUL_KAD_OFFERED_BETTER, /* the best from now on, or the first */
};

/* The key is a good one (haul_kad_key_check). */
void haul_kad_choice_init(struct haul_kad_choice *choice, const uint8_t *key, size_t key_bytes);

/* What `from` has answered (NULL: we ourselves); the record is NULL when it has none. */
enum haul_kad_offered haul_kad_choice_offer(struct haul_kad_choice *choice,
                                            const struct haul_kad_key *from,
                                            const struct haul_kad_record *record, uint64_t unix_ns);

/* Those of the contacts that are not known to hold the best, in their order. */
size_t haul_kad_choice_stale(const struct haul_kad_choice *choice,
                             const struct haul_kad_contact *contacts, size_t count,
                             struct haul_kad_contact *stale);
