/* The catalog: which datasets this node holds, which blocks belong to each, and with whom each is
 * shared. Kept in LMDB under the home directory; synthetic datasets of rate tests live in memory
 * only. A stored dataset is private until it is shared. Control thread only. */
#pragma once

#include "common/cid.h"
#include "common/error.h"
#include "common/handoff.h"
#include "controlplane/p2p/peerid.h"

struct haul_catalog;

#define HAUL_CATALOG_PEERS_MAX 64u /* peers a dataset may be shared with, and denied to */

struct haul_dataset {
    struct haul_cid root;
    uint64_t bytes; /* content bytes of all files */
    uint64_t blocks;
    uint64_t stored_unix; /* seconds */
    bool complete;        /* every block was stored and synced */
    bool shared_to_all;
    bool announced;      /* in the DHT, as long as it is shared with all */
    uint32_t peer_count; /* shared with these, when not with all */
    struct haul_peer_id peers[HAUL_CATALOG_PEERS_MAX];
    uint32_t denied_count; /* never for these, whoever else may have it */
    struct haul_peer_id denied[HAUL_CATALOG_PEERS_MAX];
    char name[256]; /* what it was put from, for listings; escaped, may be empty */
};

HAUL_MUST_USE int haul_catalog_open(struct haul_catalog **catalog, const char *directory,
                                    struct haul_error *error);
void haul_catalog_close(struct haul_catalog *catalog);

/* Building: begin, note each block once or more, then commit with `complete`, or drop. Blocks are
 * written in batches; a dataset that was never committed is dropped at the next open. The commit
 * is durable when it returns; a commit of a root that is there and complete keeps what is there,
 * with whom it is shared, and when. `build` is used up by commit, also by one that fails. */
HAUL_MUST_USE int haul_catalog_begin(struct haul_catalog *catalog, uint64_t *build,
                                     struct haul_error *error);
/* A build of what an earlier one left incomplete of this root, if nobody else goes on with that;
 * what was noted then counts, and stays when this one is dropped. */
HAUL_MUST_USE int haul_catalog_go_on(struct haul_catalog *catalog, const struct haul_cid *root,
                                     uint64_t *build, struct haul_error *error);
HAUL_MUST_USE int haul_catalog_note(struct haul_catalog *catalog, uint64_t build,
                                    const struct haul_hash *hash, struct haul_error *error);
HAUL_MUST_USE int haul_catalog_commit(struct haul_catalog *catalog, uint64_t build,
                                      const struct haul_dataset *dataset, struct haul_error *error);
void haul_catalog_drop(struct haul_catalog *catalog, uint64_t build);

/* Was this block committed with this dataset, complete or not? Whether it is stored is another
 * question: nobody flushes the store for a dataset that is not complete. */
bool haul_catalog_noted(const struct haul_catalog *catalog, const struct haul_cid *root,
                        const struct haul_hash *hash);

/* A dataset whose leaves are generated: leaf n is synthetic block n. Its inner nodes were written
 * to the store and noted in `build`, which this call takes over instead of a commit. In memory
 * only: gone after the next open. */
HAUL_MUST_USE int haul_catalog_add_synthetic(struct haul_catalog *catalog, uint64_t build,
                                             const struct haul_dataset *dataset,
                                             const struct haul_hash *leaves, uint64_t leaf_count,
                                             struct haul_error *error);

bool haul_catalog_find(const struct haul_catalog *catalog, const struct haul_cid *root,
                       struct haul_dataset *dataset);

/* Datasets in the order in which they were stored; false at the end. The cursor starts at 0. */
bool haul_catalog_next(const struct haul_catalog *catalog, uint64_t *cursor,
                       struct haul_dataset *dataset);

/* Who may have a dataset from now on. */
struct haul_catalog_sharing {
    bool off;                          /* takes back what is named here */
    bool all;                          /* everybody who is not denied it; then no peers */
    bool announce;                     /* in the DHT too: only what all may have, and complete */
    const struct haul_peer_id *peers;  /* these too; of one that all may have only these */
    const struct haul_peer_id *denied; /* never these, until that is taken back */
    size_t peer_count, denied_count;
};

/* The whole wish at once, or nothing of it. Off for all: nobody may have it. A denial, made or
 * taken back, shares the dataset with nobody. What not all may have any more is not announced any
 * more. CID_UNKNOWN when no such dataset is stored, LIMIT beyond HAUL_CATALOG_PEERS_MAX, REFUSED
 * for a peer it is denied to, also in the same wish, and for what is not to be announced. Durable
 * when it returns. */
HAUL_MUST_USE int haul_catalog_change(struct haul_catalog *catalog, const struct haul_cid *root,
                                      const struct haul_catalog_sharing *wish,
                                      struct haul_error *error);

/* The same for one peer, or for all. */
HAUL_MUST_USE int haul_catalog_share(struct haul_catalog *catalog, const struct haul_cid *root,
                                     const struct haul_peer_id *peer /* NULL: all */, bool on,
                                     struct haul_error *error);

/* May this peer have this dataset? No for what is not shared, not complete or not there. And where
 * is this block of it? No when the dataset is not complete or not there, or has no such block; to a
 * peer it matters only after `allows`. A caller gives the peer one answer for every no. */
bool haul_catalog_allows(const struct haul_catalog *catalog, const struct haul_cid *root,
                         const struct haul_peer_id *peer);
bool haul_catalog_place(const struct haul_catalog *catalog, const struct haul_cid *root,
                        const struct haul_hash *hash, struct haul_place *place);
