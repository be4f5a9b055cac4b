/* What the files of the Ethernet end share: its state. */
#pragma once

#include "common/counters.h"
#include "dataplane/ethernet/ethernet.h"
#include "dataplane/ethernet/header.h"
#include "dataplane/ethernet/neighbour.h"
#include "dataplane/ethernet/solicit.h"

#define OWN_MAX    (HAUL_ETHER_ADDRESSES_MAX + 1u) /* and the link-local one */
#define EVENTS_MAX 32u
#define WAYS_MAX   64u

/* How often something may be done: as many times at once, then once a gap. */
struct allowance {
    haul_time at; /* when the bucket is full again */
    haul_time gap;
};

/* An address of ours, and where its announcement stands. */
struct own {
    struct haul_addr ip;
    uint8_t bits;
    uint8_t step; /* of the announcement */
    haul_time due;
    haul_time defended; /* when it was last defended */
};

/* The way to a peer, kept for the next burst. */
struct way {
    struct haul_addr peer;
    uint16_t neighbour;
    uint32_t generation;
    struct haul_ether_header header;
};

/* The last datagram: most frames begin with exactly its headers. */
struct last {
    uint8_t headers[HAUL_ETHER_HEADER_BYTES_MAX];
    uint8_t length; /* of all headers; zero: there is none */
    int vlan_stripped;
    bool udp_unchecked; /* it has no checksum, and needs none */
    size_t bytes;
    struct haul_ether_datagram datagram;
};

struct haul_ether {
    struct haul_ether_conf conf;
    struct own own[OWN_MAX];
    size_t own_count;
    size_t own_last;          /* the address of the last datagram */
    struct allowance asks;    /* questions of ours */
    struct allowance answers; /* to strangers */
    struct allowance echoes;
    struct haul_ether_event events[EVENTS_MAX];
    size_t event_first;
    size_t event_count;
    struct haul_ether_counters counters;
    struct haul_neighbours neighbours;
    struct way ways[WAYS_MAX];
    struct last last;
    uint64_t seed;
};

/* Takes one; false when there is none left. */
bool haul_allowance_take(struct allowance *allowance, haul_time now);

/* When there will be one. */
haul_time haul_allowance_due(const struct allowance *allowance);

void haul_ether_tell(struct haul_ether *ether, const struct haul_ether_event *event);

/* The address of ours that these bytes are; NULL when they are none. */
struct own *haul_ether_own(struct haul_ether *ether, const uint8_t *ip, size_t bytes);

/* Where the way to a peer is kept, if it is. */
struct way *haul_ether_way_of(struct haul_ether *ether, const struct haul_addr *peer);
