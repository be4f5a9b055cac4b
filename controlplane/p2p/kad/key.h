/* Keys of the Kademlia DHT (libp2p specs, kad-dht): SHA2-256 of what is named, 256 bits. The
 * distance of two keys is their exclusive or, as a big-endian number. Pure. */
#pragma once

#include "controlplane/p2p/peerid.h"

#define HAUL_KAD_KEY_BYTES 32u
#define HAUL_KAD_KEY_BITS  256u

struct haul_kad_key {
    uint8_t bytes[HAUL_KAD_KEY_BYTES];
};

/* Somebody in the key space. The group stands for the network that the address lies in, so that no
 * one network can be all of a neighbourhood; 0: not limited. */
struct haul_kad_contact {
    struct haul_kad_key key; /* of the id */
    uint32_t group;
    struct haul_peer_id id;
};

void haul_kad_key_of(const void *data, size_t bytes, struct haul_kad_key *key);
void haul_kad_key_of_peer(const struct haul_peer_id *id, struct haul_kad_key *key);
void haul_kad_contact_of(const struct haul_peer_id *id, uint32_t group,
                         struct haul_kad_contact *contact);

bool haul_kad_key_equal(const struct haul_kad_key *a, const struct haul_kad_key *b);

/* How many bits both begin with: 0 to 256. */
unsigned haul_kad_shared_bits(const struct haul_kad_key *a, const struct haul_kad_key *b);

/* Below zero when `a` is nearer to the target than `b`, above when `b` is, else zero. */
int haul_kad_compare(const struct haul_kad_key *target, const struct haul_kad_key *a,
                     const struct haul_kad_key *b);

/* The first 64 bits of the distance: orders most pairs at the price of one comparison. */
uint64_t haul_kad_distance_head(const struct haul_kad_key *a, const struct haul_kad_key *b);

/* Where a contact belongs among those sorted by their distance to the target: the first place whose
 * contact is farther. */
size_t haul_kad_place_of(const struct haul_kad_key *target, const struct haul_kad_contact *sorted,
                         size_t count, const struct haul_kad_key *key);

bool haul_kad_key_bit(const struct haul_kad_key *key, unsigned bit);
void haul_kad_key_set_bit(struct haul_kad_key *key, unsigned bit, bool value);

/* Bytes of the shape of a peer id whose key begins with `bits` bits of `prefix`: what FIND_NODE can
 * ask for to learn about a region. `seed` makes the trials differ; with more than
 * HAUL_KAD_PREIMAGE_BITS_MAX bits the trials would take too long and it fails. */
#define HAUL_KAD_PREIMAGE_BITS_MAX 16u
HAUL_MUST_USE bool haul_kad_preimage(const struct haul_kad_key *prefix, unsigned bits,
                                     uint64_t seed, struct haul_peer_id *id,
                                     struct haul_kad_key *key);
