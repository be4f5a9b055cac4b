/* Reading datasets, one verified block at a time: what a block is, and where each of its links
 * belongs. The bytes come from strangers (their hash holds, nothing else is known): everything is
 * checked before anything is handed out. Errors: MANIFEST_HOSTILE for names that are not allowed,
 * MANIFEST_BROKEN for everything else. Pure; views into the caller's bytes. */
#pragma once

#include "common/cid.h"
#include "common/error.h"
#include "controlplane/content/dagpb.h"
#include "controlplane/content/hamt.h"
#include "controlplane/content/unixfs.h"

#define HAUL_READ_FILE_DEPTH_MAX      8u /* levels of nodes above a leaf */
#define HAUL_READ_FILE_LINKS_MAX      16384u
#define HAUL_READ_DIRECTORY_DEPTH_MAX 256u /* directories inside directories */
#define HAUL_READ_SIZE_UNKNOWN        UINT64_MAX

/* What is known about a block before it is read: start with haul_expect_root, then hand on the
 * `expect` of the link that led to it. */
struct haul_expect {
    uint64_t offset;                     /* of the file's bytes below this block */
    uint64_t bytes;                      /* so many of them, or HAUL_READ_SIZE_UNKNOWN */
    uint8_t kind;                        /* enum haul_expect_kind */
    uint8_t depth;                       /* of nodes in the file, or of shards in the directory */
    uint16_t directories;                /* how deep in the tree */
    uint8_t prefix[HAUL_HAMT_DEPTH_MAX]; /* the way to a shard */
};

enum haul_expect_kind {
    HAUL_EXPECT_ENTRY, /* a root or an entry of a directory: anything */
    HAUL_EXPECT_PART,  /* a part of a file */
    HAUL_EXPECT_SHARD, /* a deeper shard of a directory */
};

void haul_expect_root(struct haul_expect *expect);

enum haul_node_kind {
    HAUL_NODE_FILE,      /* `data` are its first bytes, links (parts) the rest */
    HAUL_NODE_DIRECTORY, /* links are entries */
    HAUL_NODE_SHARD,     /* links are entries and deeper shards of one directory */
    HAUL_NODE_SYMLINK,   /* `data` is the target: 1 to 4095 bytes without NUL */
};

struct haul_node {
    enum haul_node_kind kind;
    const uint8_t *data;
    size_t data_bytes;
    uint64_t offset; /* FILE: place of `data` in the file */
    uint64_t bytes;  /* FILE: all of it, below and in this block */
    uint32_t link_count;
    struct haul_meta meta; /* of a whole entry only; parts have none that counts */
    /* private to read.c */
    struct haul_expect expect;
    struct haul_dagpb all;     /* every link, for haul_node_find */
    struct haul_dagpb links;   /* those that haul_node_next has not given yet */
    struct haul_unixfs unixfs; /* its cursor over blocksizes moves with the links */
    uint64_t next_offset;
};

/* Reads a block by its CID's codec: a raw block is a file, or a part of one, without links. Checks
 * that sizes add up to what the parent said, names and their order, HAMT positions, all limits. */
HAUL_MUST_USE int haul_node_read(const struct haul_cid *cid, const uint8_t *data, size_t bytes,
                                 const struct haul_expect *expect, struct haul_node *node,
                                 struct haul_error *error);

struct haul_link {
    struct haul_cid cid;
    struct haul_expect expect; /* PART: expect.offset and expect.bytes are its place in the file */
    const char *name;          /* ENTRY: the name, without a shard's prefix; not ended by NUL */
    size_t name_bytes;
    uint64_t tsize; /* a hint for progress and listings, never trusted */
};

/* The next link in order; false after the last. A PART with codec raw is a leaf of exactly
 * expect.bytes bytes (at most 1 MiB) and can be fetched straight to its place. */
bool haul_node_next(struct haul_node *node, struct haul_link *link);

enum haul_find {
    HAUL_FIND_NONE,
    HAUL_FIND_ENTRY, /* `link` is the entry */
    HAUL_FIND_SHARD, /* `link` is the shard in which to look on */
};

/* Looks for a name in a directory or shard; does not move haul_node_next. */
enum haul_find haul_node_find(const struct haul_node *node, const char *name, size_t bytes,
                              struct haul_link *link);
