/* Generated blocks for rate tests: block n is one fixed pseudo-random MiB with n stamped into every
 * 4 KiB, so that no two blocks, and no two pages of a dataset, are equal. Any thread. */
#pragma once

#include "common/base.h"

/* Writes the first `bytes` (at most 1 MiB) of block `number`. Costs one copy from a cached MiB. */
void haul_synthetic_fill(uint8_t *block, size_t bytes, uint64_t number);

/* Only the stamps: enough where `block` still holds `bytes` of another generated block. */
void haul_synthetic_stamp(uint8_t *block, size_t bytes, uint64_t number);
