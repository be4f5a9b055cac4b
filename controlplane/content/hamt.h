/* Where a name belongs in a sharded directory: a HAMT of 256 children a node, walked by the bytes
 * of a 64-bit murmur3 hash of the name, most significant first. A child's link name is two
 * hexadecimal capitals (its index), followed by the entry's name, or by nothing for a deeper shard.
 */
#pragma once

#include "common/base.h"

#define HAUL_HAMT_FANOUT       256u
#define HAUL_HAMT_HASH_MURMUR3 0x22u
#define HAUL_HAMT_DEPTH_MAX    8u /* the hash has no more bytes */
#define HAUL_HAMT_PREFIX_BYTES 2u

/* The first half of murmur3-x64-128 with seed 0. */
uint64_t haul_hamt_hash(const char *name, size_t bytes);

static inline uint8_t haul_hamt_index(uint64_t hash, unsigned depth)
{
    return (uint8_t)(hash >> (56 - 8 * depth));
}
