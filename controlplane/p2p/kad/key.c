/* The metric of the key space, and names for its regions. */
#include "controlplane/p2p/kad/key.h"

#include "common/hash.h"

#include <string.h>

_Static_assert(HAUL_KAD_KEY_BYTES == HAUL_HASH_DIGEST_BYTES, "keys are SHA2-256 digests");

void haul_kad_key_of(const void *data, size_t bytes, struct haul_kad_key *key)
{
    struct haul_hash hash;

    haul_hash_of(HAUL_HASH_SHA2_256, data, bytes, &hash);
    memcpy(key->bytes, hash.bytes + 2, sizeof key->bytes);
}

void haul_kad_key_of_peer(const struct haul_peer_id *id, struct haul_kad_key *key)
{
    haul_kad_key_of(id->bytes, id->length, key);
}

void haul_kad_contact_of(const struct haul_peer_id *id, uint32_t group,
                         struct haul_kad_contact *contact)
{
    contact->id = *id;
    contact->group = group;
    haul_kad_key_of_peer(id, &contact->key);
}

bool haul_kad_key_equal(const struct haul_kad_key *a, const struct haul_kad_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static uint64_t word_of(const struct haul_kad_key *key, size_t word)
{
    uint64_t value;

    memcpy(&value, key->bytes + 8 * word, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

unsigned haul_kad_shared_bits(const struct haul_kad_key *a, const struct haul_kad_key *b)
{
    for (size_t word = 0; word < HAUL_KAD_KEY_BYTES / 8; word++) {
        uint64_t differ = word_of(a, word) ^ word_of(b, word);

        if (differ != 0)
            return (unsigned)(64 * word) + (unsigned)__builtin_clzll(differ);
    }
    return HAUL_KAD_KEY_BITS;
}

int haul_kad_compare(const struct haul_kad_key *target, const struct haul_kad_key *a,
                     const struct haul_kad_key *b)
{
    for (size_t word = 0; word < HAUL_KAD_KEY_BYTES / 8; word++) {
        uint64_t middle = word_of(target, word);
        uint64_t to_a = word_of(a, word) ^ middle;
        uint64_t to_b = word_of(b, word) ^ middle;

        if (to_a != to_b)
            return to_a < to_b ? -1 : 1;
    }
    return 0;
}

uint64_t haul_kad_distance_head(const struct haul_kad_key *a, const struct haul_kad_key *b)
{
    return word_of(a, 0) ^ word_of(b, 0);
}

size_t haul_kad_place_of(const struct haul_kad_key *target, const struct haul_kad_contact *sorted,
                         size_t count, const struct haul_kad_key *key)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (haul_kad_compare(target, &sorted[middle].key, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool haul_kad_key_bit(const struct haul_kad_key *key, unsigned bit)
{
    return (key->bytes[bit / 8] & 0x80u >> bit % 8) != 0;
}

void haul_kad_key_set_bit(struct haul_kad_key *key, unsigned bit, bool value)
{
    uint8_t mask = (uint8_t)(0x80u >> bit % 8);

    if (value)
        key->bytes[bit / 8] |= mask;
    else
        key->bytes[bit / 8] &= (uint8_t)~mask;
}

bool haul_kad_preimage(const struct haul_kad_key *prefix, unsigned bits, uint64_t seed,
                       struct haul_peer_id *id, struct haul_kad_key *key)
{
    struct haul_peer_id trial = { .length = HAUL_HASH_BYTES,
                                  .bytes = { HAUL_HASH_SHA2_256, HAUL_HASH_DIGEST_BYTES } };
    struct haul_kad_key found;

    if (bits > HAUL_KAD_PREIMAGE_BITS_MAX)
        return false;
    memcpy(trial.bytes + 2, &seed, sizeof seed);
    /* 2^bits trials are expected; thirty times as many fail once in 10^13. */
    for (uint64_t i = 0; i < (uint64_t)32 << bits; i++) {
        memcpy(trial.bytes + 2 + sizeof seed, &i, sizeof i);
        haul_kad_key_of_peer(&trial, &found);
        if (haul_kad_shared_bits(&found, prefix) >= bits) {
            *id = trial;
            *key = found;
            return true;
        }
    }
    return false;
}
