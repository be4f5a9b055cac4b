/* Whom the DHT told to have the dataset, and how far we have tried: for transfer_search.c, and for
 * who lets go of it. */
#pragma once

#include "common/error.h"
#include "common/time.h"
#include "controlplane/ticket.h"

#define HAUL_PROVIDERS_MAX 16u

struct haul_provider {
    struct haul_peer_id peer;
    size_t count;
    struct haul_multiaddr addresses[HAUL_TICKET_ADDRESSES_MAX];
};

struct haul_search {
    struct haul_dht_query *query; /* NULL: none runs */
    haul_time again, pause;
    uint32_t rounds;
    size_t count, next;
    bool failed; /* a provider did in mid-transfer; `why` is told when nobody else is found */
    struct haul_error why;
    struct haul_provider providers[HAUL_PROVIDERS_MAX];
};
