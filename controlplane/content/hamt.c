/* murmur3-x64-128 (Appleby), of which UnixFS keeps the first 64 bits. */
#include "controlplane/content/hamt.h"

#define C1 0x87c37b91114253d5u
#define C2 0x4cf5ad432745937fu

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* Up to eight bytes, little-endian, the missing ones zero. */
static uint64_t load(const char *at, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes && i < 8; i++)
        value |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return value;
}

static uint64_t mix_first(uint64_t k)
{
    return rotate(k * C1, 31) * C2;
}

static uint64_t mix_second(uint64_t k)
{
    return rotate(k * C2, 33) * C1;
}

static uint64_t finish(uint64_t k)
{
    k = (k ^ k >> 33) * 0xff51afd7ed558ccdu;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53u;
    return k ^ k >> 33;
}

uint64_t haul_hamt_hash(const char *name, size_t bytes)
{
    uint64_t h1 = 0, h2 = 0;
    size_t left = bytes;

    for (; left >= 16; left -= 16, name += 16) {
        h1 ^= mix_first(load(name, 8));
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729u;
        h2 ^= mix_second(load(name + 8, 8));
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5u;
    }
    /* Mixing zero gives zero, so a short tail needs no case of its own. */
    if (left > 8)
        h2 ^= mix_second(load(name + 8, left - 8));
    h1 ^= mix_first(load(name, left));
    h1 ^= bytes;
    h2 ^= bytes;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    return h1 + h2;
}
