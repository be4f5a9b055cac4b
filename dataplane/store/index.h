/* The in-memory table from a block's hash to where it lies: open addressing over 56-byte entries,
 * half to three quarters full, so about 90 bytes a block (90 MB for a store of 1 TB in full
 * blocks).
 *
 * For 10 TB this table moves behind the same four calls into LMDB, keyed by hash, filled in batches
 * as packs are sealed, so that opening reads only the packs that the batch had not reached; the
 * pack format stays, since its footers remain the truth from which the index can be rebuilt.
 *
 * Grows on the owner's thread when it is three quarters full: the one allocation of a running
 * store. The position comes from the digest through a seeded multiplication, so that crafted
 * datasets cannot make long runs. One owner thread. */
#pragma once

#include "common/hash.h"

struct haul_index_entry {
    struct haul_hash hash; /* first byte zero: an empty cell */
    uint32_t pack;
    uint32_t length;
    uint64_t at; /* byte offset in the pack; the memory store keeps its own meaning here */
};

struct haul_index {
    struct haul_index_entry *cells;
    uint64_t mask; /* cells - 1 */
    uint64_t used;
    uint64_t factor; /* odd, random */
    uint64_t salt;
};

HAUL_MUST_USE int haul_index_open(struct haul_index *index); /* 0 or -errno */
void haul_index_close(struct haul_index *index);

/* Valid until the next add or remove; NULL when there is none. */
const struct haul_index_entry *haul_index_find(const struct haul_index *index,
                                               const struct haul_hash *hash);

/* 0, -EEXIST (nothing changed) or -ENOMEM. */
HAUL_MUST_USE int haul_index_add(struct haul_index *index, const struct haul_index_entry *entry);

/* Removes the block if it lies in that pack; true when it did. */
bool haul_index_remove(struct haul_index *index, const struct haul_hash *hash, uint32_t pack);
