/* Ranges of bits in a bitmap of 64-bit words: units of a block that arrived, or were lost. Callers
 * keep ranges inside their bitmap. */
#pragma once

#include "common/base.h"

/* The bits of word `word` that lie in [from, to). */
static inline uint64_t haul_bits_mask(uint32_t word, uint32_t from, uint32_t to)
{
    uint64_t mask = UINT64_MAX;

    if (from > word * 64)
        mask &= UINT64_MAX << (from - word * 64);
    if (to < word * 64 + 64)
        mask &= UINT64_MAX >> (word * 64 + 64 - to);
    return mask;
}

static inline bool haul_bits_any(const uint64_t *bits, uint32_t from, uint32_t to)
{
    uint64_t found = 0;

    for (uint32_t word = from / 64; word * 64 < to; word++)
        found |= bits[word] & haul_bits_mask(word, from, to);
    return found != 0;
}

static inline bool haul_bits_all(const uint64_t *bits, uint32_t from, uint32_t to)
{
    uint64_t missing = 0;

    for (uint32_t word = from / 64; word * 64 < to; word++)
        missing |= ~bits[word] & haul_bits_mask(word, from, to);
    return missing == 0;
}

/* Sets them, and returns how many were clear. */
static inline uint32_t haul_bits_set(uint64_t *bits, uint32_t from, uint32_t to)
{
    uint32_t changed = 0;

    for (uint32_t word = from / 64; word * 64 < to; word++) {
        uint64_t mask = haul_bits_mask(word, from, to);

        changed += (uint32_t)__builtin_popcountll(mask & ~bits[word]);
        bits[word] |= mask;
    }
    return changed;
}

/* Sets them. */
static inline void haul_bits_fill(uint64_t *bits, uint32_t from, uint32_t to)
{
    for (uint32_t word = from / 64; word * 64 < to; word++)
        bits[word] |= haul_bits_mask(word, from, to);
}

/* Clears them, and returns how many were set. */
static inline uint32_t haul_bits_clear(uint64_t *bits, uint32_t from, uint32_t to)
{
    uint32_t changed = 0;

    for (uint32_t word = from / 64; word * 64 < to; word++) {
        uint64_t mask = haul_bits_mask(word, from, to);

        changed += (uint32_t)__builtin_popcountll(mask & bits[word]);
        bits[word] &= ~mask;
    }
    return changed;
}

/* The first bit of [from, to) that is set, or clear; `to` when there is none. */
static inline uint32_t haul_bits_next(const uint64_t *bits, uint32_t from, uint32_t to, bool set)
{
    while (from < to) {
        uint64_t word = (set ? bits[from / 64] : ~bits[from / 64]) >> from % 64;

        if (word != 0) {
            from += (uint32_t)__builtin_ctzll(word);
            return from < to ? from : to;
        }
        from = (from / 64 + 1) * 64;
    }
    return to;
}
