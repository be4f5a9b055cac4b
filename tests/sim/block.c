#include "tests/sim/block.h"

#include <string.h>

void sim_block_name(uint64_t key, struct haul_hash *name)
{
    *name = (struct haul_hash){ .bytes = { HAUL_HASH_BLAKE3, HAUL_HASH_DIGEST_BYTES } };
    memcpy(name->bytes + 2, &key, sizeof key);
    memset(name->bytes + 10, 0x5a, 24);
}

uint64_t sim_block_key(const struct haul_hash *name)
{
    uint64_t key;

    memcpy(&key, name->bytes + 2, sizeof key);
    return key;
}

static uint64_t word_at(uint64_t key, size_t index)
{
    uint64_t word = (key + index) * 0x9e3779b97f4a7c15ull;

    return word ^ (word >> 29);
}

void sim_block_fill(uint64_t key, size_t offset, size_t bytes, uint8_t *to)
{
    size_t at = 0;

    haul_assert(offset % 8 == 0);
    for (; at + 8 <= bytes; at += 8) {
        uint64_t word = word_at(key, (offset + at) / 8);

        memcpy(to + at, &word, 8);
    }
    if (at < bytes) {
        uint64_t word = word_at(key, (offset + at) / 8);

        memcpy(to + at, &word, bytes - at);
    }
}

size_t sim_block_check(uint64_t key, size_t offset, size_t bytes, const uint8_t *from)
{
    uint8_t piece[1024];

    haul_assert(offset % 8 == 0);
    for (size_t at = 0; at < bytes; at += sizeof piece) {
        size_t part = bytes - at < sizeof piece ? bytes - at : sizeof piece;

        sim_block_fill(key, offset + at, part, piece);
        if (memcmp(piece, from + at, part) != 0) {
            for (size_t i = 0; i < part; i++)
                if (piece[i] != from[at + i])
                    return at + i;
        }
    }
    return bytes;
}
