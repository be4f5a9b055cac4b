/* The UnixFS message inside a dag-pb node (protobuf `Data` of the UnixFS specification): what kind
 * of entry a node is, its size, and its optional mode and time. Pure; views into the caller's
 * bytes. */
#pragma once

#include "common/bytes.h"

enum haul_unixfs_type {
    HAUL_UNIXFS_RAW,
    HAUL_UNIXFS_DIRECTORY,
    HAUL_UNIXFS_FILE,
    HAUL_UNIXFS_METADATA,
    HAUL_UNIXFS_SYMLINK,
    HAUL_UNIXFS_SHARD, /* a piece of a HAMT directory */
};

/* Mode and modification time, each optional. Of a mode only 0777 is ever written or given out. */
struct haul_meta {
    bool has_mode;
    bool has_mtime;
    uint16_t mode;
    uint32_t nanoseconds;
    int64_t seconds; /* since 1970, may be negative */
};

struct haul_unixfs {
    enum haul_unixfs_type type;
    const uint8_t *data; /* NULL when there is none */
    size_t data_bytes;
    bool has_filesize;
    uint64_t filesize;
    uint32_t block_count;  /* how many blocksizes there are */
    struct haul_in blocks; /* cursor for haul_unixfs_next_block */
    uint64_t hash_type;    /* 0 when absent */
    uint64_t fanout;       /* 0 when absent */
    struct haul_meta meta;
};

/* Decodes a whole message. Refuses unknown fields, fields twice, nanoseconds of a second or more
 * and types beyond the table; a mode is cut to 0777. */
HAUL_MUST_USE bool haul_unixfs_decode(const uint8_t *data, size_t bytes,
                                      struct haul_unixfs *unixfs);

/* The next blocksize in order; zero and no move after the last. */
uint64_t haul_unixfs_next_block(struct haul_unixfs *unixfs);

/* Writes the fields in ascending order: type, data when there are bytes, filesize when
 * has_filesize, `sizes` as blocksizes, hash_type and fanout when not zero, mode unless it is the
 * kind's default (0644; directories 0755), mtime. Ignores the cursor and block_count of `unixfs`.
 */
void haul_unixfs_encode(struct haul_out *out, const struct haul_unixfs *unixfs,
                        const uint64_t *sizes, uint32_t size_count);
