/* Builders of datasets: leaves and entries in, encoded blocks out, with the CIDs that every IPFS
 * tool computes for the 2025 UnixFS profile (raw leaves of 1 MiB, at most 1,024 links a node,
 * directories of more than 256 KiB as HAMT). No I/O and no callbacks: after each call that may
 * complete blocks, the caller takes them with haul_*_build_next until false. One owner at a time,
 * any thread. */
#pragma once

#include "common/cid.h"
#include "common/error.h"
#include "controlplane/content/unixfs.h"

#define HAUL_LEAF_BYTES            HAUL_BLOCK_BYTES_MAX
#define HAUL_NODE_LINKS_MAX        1024u
#define HAUL_DIRECTORY_FLAT_BYTES  (256u << 10) /* a flat directory is at most as large */
#define HAUL_DIRECTORY_ENTRIES_MAX (1u << 22)
#define HAUL_SYMLINK_BYTES_MAX     4095u

/* A block to be stored. */
struct haul_block {
    struct haul_cid cid;
    const uint8_t *data; /* in the builder; valid until its next call */
    uint32_t bytes;      /* at most HAUL_BLOCK_BYTES_MAX */
};

/* A finished file, directory or symbolic link, as a directory entry refers to it. */
struct haul_built {
    struct haul_cid cid;
    uint64_t tsize; /* bytes of all its blocks, repeated ones counted each time */
    uint64_t bytes; /* content bytes: file size; 0 for directories and links */
};

/* One file. The caller cuts the content into leaves of HAUL_LEAF_BYTES (the last may be shorter),
 * hashes and stores them (codec raw), and adds them in order:
 *
 *     for each leaf: haul_file_build_add(build, &hash, length);
 *                    while (haul_file_build_next(build, &block)) store(&block);
 *     haul_file_build_end(build);
 *     while (haul_file_build_next(build, &block)) store(&block);
 *     haul_file_build_root(build, &built);
 *
 * A file of one leaf without meta is that leaf; an empty file is one leaf of no bytes, which the
 * caller adds like any other. Meta goes to the root node only. Memory: 64 KiB a level, at most
 * HAUL_FILE_LEVELS_MAX levels, and one encoded node. */
#define HAUL_FILE_LEVELS_MAX 5u

struct haul_file_build;

/* NULL when there is no memory. `meta` may be NULL. `code` is the kind of hash of the inner nodes.
 */
struct haul_file_build *haul_file_build_open(uint8_t code, const struct haul_meta *meta);
void haul_file_build_close(struct haul_file_build *build);

/* Asserts that every due block was taken. -1 with LIMIT when the file is too large or memory is
 * short. */
HAUL_MUST_USE int haul_file_build_add(struct haul_file_build *build, const struct haul_hash *leaf,
                                      uint32_t length, struct haul_error *error);
void haul_file_build_end(struct haul_file_build *build); /* at least one leaf was added */
bool haul_file_build_next(struct haul_file_build *build, struct haul_block *block);

/* After the end and its last block. */
void haul_file_build_root(const struct haul_file_build *build, struct haul_built *built);

/* One directory: entries in any order, each already built. Memory grows with the entries. */
struct haul_dir_build;

struct haul_dir_build *haul_dir_build_open(uint8_t code, const struct haul_meta *meta);
void haul_dir_build_close(struct haul_dir_build *build);

/* -1 with SOURCE_NAME for a name that is not allowed (content/name.h), LIMIT for too many. */
HAUL_MUST_USE int haul_dir_build_add(struct haul_dir_build *build, const char *name,
                                     const struct haul_built *entry, struct haul_error *error);

/* -1 with SOURCE_NAME when two entries have one name, LIMIT when names cannot be told apart by the
 * HAMT's hash or memory is short. */
HAUL_MUST_USE int haul_dir_build_end(struct haul_dir_build *build, struct haul_error *error);
bool haul_dir_build_next(struct haul_dir_build *build, struct haul_block *block);
void haul_dir_build_root(const struct haul_dir_build *build, struct haul_built *built);

/* A symbolic link is one block, encoded into `space`. -1 with SOURCE_NAME for an empty target, one
 * with NUL or one longer than HAUL_SYMLINK_BYTES_MAX. */
#define HAUL_SYMLINK_SPACE (HAUL_SYMLINK_BYTES_MAX + 64u)

HAUL_MUST_USE int haul_symlink_build(uint8_t code, const char *target, size_t bytes,
                                     const struct haul_meta *meta,
                                     uint8_t space[HAUL_SYMLINK_SPACE], struct haul_block *block,
                                     struct haul_built *built, struct haul_error *error);
