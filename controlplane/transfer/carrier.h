/* A carrier: how the blocks of a transfer are fetched, and what it is given for each. One table a
 * carrier; inside of a transfer, as transfer_parts.h is. */
#pragma once

#include "common/cid.h"
#include "common/time.h"
#include "controlplane/transfer/record.h"

struct haul_awaited;
struct haul_transfer;
struct haul_way;

enum haul_fetch_state {
    HAUL_FETCH_FREE,
    HAUL_FETCH_ASKED,   /* the carrier has it */
    HAUL_FETCH_RETRY,   /* waits for its time, room, or another carrier */
    HAUL_FETCH_PUTTING, /* verified, on its way from the slot to its place */
    HAUL_FETCH_READY,   /* in order: verified, waits for those before it */
};

/* Where a block of a get that begins again is looked for before anybody is asked for it. */
enum haul_look {
    HAUL_LOOK_NOWHERE,
    HAUL_LOOK_FILE,  /* where it belongs */
    HAUL_LOOK_STORE, /* it was noted for this dataset by an earlier get */
};

/* One block on its way, node or leaf; or inline bytes on their way from a slot to a file. */
struct haul_fetch {
    struct haul_transfer *transfer;
    struct haul_fetch *next; /* free ones; in order: those that were asked for later */
    enum haul_fetch_state state;
    struct haul_awaited *awaited; /* a node, or NULL */
    struct haul_cid cid;
    uint32_t file;
    uint64_t offset;
    uint32_t length; /* expected; 0: unknown */
    uint32_t got;
    uint32_t slot;
    uint64_t order;       /* udp, local: outstanding order, 0 for none */
    uint32_t flow;        /* udp: that it was asked of, */
    uint32_t lane;        /* and the serial of its lane */
    bool levelled;        /* udp: was called back from a lane that had too many */
    struct haul_way *way; /* stream: from where the answer is still due; NULL: none is */
    haul_time when;       /* verified */
    haul_time retry_at;
    uint32_t tries;
    uint32_t failures; /* of the peer to read it */
    uint8_t look;      /* enum haul_look: it is looked for there now, or was found there */
    bool measuring;    /* asked for in whatever length it has, to be dropped; see unreadable() */
    const struct haul_carrier_ops *by; /* the one carrier that has it, or had it last */
    bool distrusted;                   /* the fast path brought wrong bytes: the stream it is */
    bool inline_data;                  /* the bytes came inside a node */
};

/* How a carrier fetches. It calls haul_fetch_done once for each fetch it took, also after a
 * cancel. */
struct haul_carrier_ops {
    enum haul_carrier carrier;
    bool places; /* puts leaves to their place itself; otherwise they come into a slot */
    bool (*ready)(struct haul_transfer *transfer); /* may fetch; false: see carrier_at */
    bool (*fetch)(struct haul_fetch *fetch);       /* false: no room now */
    void (*cancel)(struct haul_fetch *fetch);
    void (*leave)(struct haul_transfer *transfer); /* others fetch from now on; may be NULL */
    void (*close)(struct haul_transfer *transfer); /* nothing is outstanding */
};

extern const struct haul_carrier_ops haul_carrier_udp;
extern const struct haul_carrier_ops haul_carrier_dpdk; /* the same over the other net */
extern const struct haul_carrier_ops haul_carrier_stream;
extern const struct haul_carrier_ops haul_carrier_local;
