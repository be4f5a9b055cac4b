/* The machines of a node that transfers and puts are made of; all borrowed. */
#pragma once

#include "controlplane/datasets/catalog.h"
#include "controlplane/host/host.h"
#include "controlplane/seam/helpers.h"
#include "controlplane/seam/orders.h"

struct haul_grants;
struct haul_offers;
struct haul_blocks;
struct haul_dcutr;
struct haul_dht;
struct haul_transfer;

/* Which net a peer was met faster over, of late. */
#define HAUL_FASTER_PEERS 16u

struct haul_faster {
    struct {
        struct haul_peer_id peer;
        haul_time until;
        uint8_t via; /* enum haul_via */
    } of[HAUL_FASTER_PEERS];
};

struct haul_parts {
    struct haul_loop *loop;
    struct haul_host *host;
    struct haul_orders *orders;
    struct haul_helpers *helpers;
    struct haul_catalog *catalog;
    struct haul_grants *grants;
    struct haul_offers *offers;
    struct haul_blocks *blocks;
    struct haul_dht *dht;             /* NULL: none is joined */
    struct haul_dcutr *dcutr;         /* NULL: nobody looks for direct ways */
    struct haul_transfer **transfers; /* all that are alive, for the node's end */
    struct haul_faster *faster;       /* NULL: every transfer begins as if nothing were known */

    /* Processor time of a worker so far, in nanoseconds. */
    uint64_t (*plane_cpu)(void *context, uint32_t worker);
    void *plane_context;
};
