/* The content that the simulated nodes move: the bytes of a block follow from its key, so nothing
 * is stored and any range can be checked. Its name is a well-formed multihash that holds the key.
 */
#pragma once

#include "common/hash.h"

void sim_block_name(uint64_t key, struct haul_hash *name);
uint64_t sim_block_key(const struct haul_hash *name);
void sim_block_fill(uint64_t key, size_t offset, size_t bytes, uint8_t *to);

/* The first byte that differs, or `bytes` when all are right. */
size_t sim_block_check(uint64_t key, size_t offset, size_t bytes, const uint8_t *from);
