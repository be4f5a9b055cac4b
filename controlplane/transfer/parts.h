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

/* Further connections of transfers over streams. */
#define HAUL_WAY_COUNTERS(X)                                                                       \
    X(opened, "further connections of gets over streams")                                          \
    X(failed, "of these, that could not be had")                                                   \
    X(lost, "connections of gets that ended while others of the same get went on")                 \
    X(blocks, "blocks that came over further ones")

struct haul_way_counters {
#define X(name, help) uint64_t name;
    HAUL_WAY_COUNTERS(X)
#undef X
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
    uint32_t ways_max;                /* connections of the stream carrier; 0 is 1 */
    struct haul_way_counters *ways;   /* NULL: nobody counts */

    /* Processor time of a worker so far, in nanoseconds. */
    uint64_t (*plane_cpu)(void *context, uint32_t worker);
    void *plane_context;
};
