/* Where peers may be dialled: a bounded table of addresses that expire. What a peer says of itself
 * over its own authenticated connection replaces what others said of it, and others cannot displace
 * it; so the book of a node cannot be filled or falsified with the addresses of third parties. When
 * it is full, the entry among a few that would expire first makes room. Pure; the memory is the
 * caller's, and of entries never used it is not touched. */
#pragma once

#include "common/time.h"
#include "controlplane/p2p/multiaddr.h"

#define HAUL_ADDRESS_BOOK_BYTES         256u /* of addresses, each with a length byte */
#define HAUL_ADDRESS_BOOK_ADDRESSES_MAX 16u  /* of one peer */

struct haul_address_book_entry {
    struct haul_peer_id peer;
    bool told; /* by the peer itself */
    uint16_t bytes;
    uint32_t next;  /* in its chain, or among the free ones */
    haul_time ends; /* 0: free */
    uint8_t addresses[HAUL_ADDRESS_BOOK_BYTES];
};

#define HAUL_ADDRESS_BOOK_COUNTERS(X)                                                              \
    X(addresses_learned, "peers whose addresses were learned")                                     \
    X(addresses_expired, "peers whose addresses ran out")                                          \
    X(addresses_evicted, "peers whose addresses made room for others")

struct haul_address_book_counters {
#define X(name, help) uint64_t name;
    HAUL_ADDRESS_BOOK_COUNTERS(X)
#undef X
};

struct haul_address_book {
    struct haul_address_book_entry *entries;
    uint32_t *chains; /* chain_count of them, a power of two */
    uint32_t capacity, chain_count, count, fresh, free, hand;
    struct haul_address_book_counters counters;
};

void haul_address_book_init(struct haul_address_book *book, struct haul_address_book_entry *entries,
                            uint32_t capacity, uint32_t *chains, uint32_t chain_count);

/* Somebody said where the peer is. Kept beside what is known, the newest first. */
void haul_address_book_hear(struct haul_address_book *book, const struct haul_peer_id *peer,
                            const struct haul_multiaddr *addresses, size_t count, haul_time now,
                            haul_time life);

/* The peer said so itself: instead of everything before. */
void haul_address_book_tell(struct haul_address_book *book, const struct haul_peer_id *peer,
                            const struct haul_multiaddr *addresses, size_t count, haul_time now,
                            haul_time life);

/* Writes its addresses; returns how many. */
size_t haul_address_book_find(const struct haul_address_book *book, const struct haul_peer_id *peer,
                              haul_time now, struct haul_multiaddr *addresses, size_t capacity);

void haul_address_book_forget(struct haul_address_book *book, const struct haul_peer_id *peer);

/* From where an address can be reached: that of the IP it begins with, PUBLIC for a name, SPECIAL
 * for what means nothing to another machine. */
enum haul_addr_scope haul_address_reach(const struct haul_multiaddr *address);

/* May this address be told to, or believed from, a peer that we see at `scope`? A public peer has
 * no business with our private network, nor a neighbour with our loopback; `floor` is the narrowest
 * scope that the configuration allows at all. */
bool haul_address_fits(const struct haul_multiaddr *address, enum haul_addr_scope scope,
                       enum haul_addr_scope floor);

/* Keeps those that fit, in their order; returns how many. */
size_t haul_addresses_filter(struct haul_multiaddr *addresses, size_t count,
                             enum haul_addr_scope scope, enum haul_addr_scope floor);

/* The network of an address as a number that is not 0: /16 of IPv4, /32 of IPv6; 0 for what is not
 * public, where one network is all there is. */
uint32_t haul_address_group(const struct haul_addr *ip);
