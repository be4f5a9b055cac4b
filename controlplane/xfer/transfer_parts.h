/* Inside of a transfer: shared by transfer.c (its life), transfer_fetch.c (blocks), transfer_meet.c
 * (the peer) and the carriers. Nobody else looks in here. */
#pragma once

#include "controlplane/ticket.h"
#include "controlplane/xfer/transfer.h"

#define HAUL_FETCHES_MAX        128u
#define HAUL_FETCH_SLOTS_MAX    24u /* control slots that one transfer holds at most */
#define HAUL_FETCH_TRIES_MAX    100u
#define HAUL_FETCH_FAILURES_MAX 3u
#define HAUL_NO_CONTROL_SLOT    UINT32_MAX
#define HAUL_BACKLOG_BYTES_MAX  (4u << 20) /* said to the command and not yet taken by it */

enum haul_fetch_state {
    HAUL_FETCH_FREE,
    HAUL_FETCH_ASKED,   /* the carrier has it */
    HAUL_FETCH_RETRY,   /* waits for its time, room, or another carrier */
    HAUL_FETCH_PUTTING, /* verified, on its way from the slot to its place */
    HAUL_FETCH_READY,   /* in order: verified, waits for those before it */
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
    uint64_t order; /* udp, local: outstanding order, 0 for none */
    uint32_t flow;  /* udp: that it was asked of */
    bool on_stream; /* stream: the answer is still due */
    bool checking;  /* a helper reads the slot */
    haul_time when; /* verified */
    haul_time retry_at;
    uint32_t tries;
    uint32_t failures; /* of the peer to read it */
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
extern const struct haul_carrier_ops haul_carrier_dpdk;            /* the same over the other net */
bool haul_carrier_is_fast(const struct haul_carrier_ops *carrier); /* udp or dpdk */
extern const struct haul_carrier_ops haul_carrier_stream;
extern const struct haul_carrier_ops haul_carrier_local;

enum haul_transfer_state {
    HAUL_TRANSFER_MEETING, /* dial, offer, proof of the path */
    HAUL_TRANSFER_MOVING,
    HAUL_TRANSFER_SYNCING,  /* the store */
    HAUL_TRANSFER_FLUSHING, /* the command */
    HAUL_TRANSFER_OVER,     /* said how it ended; what is outstanding comes back */
};

struct haul_offer_ask;
struct haul_blocks_client;

struct haul_offer_ask;
struct haul_blocks_client;

struct haul_transfer_file {
    int fd; /* -1 until it was handed in */
    bool open;
};

/* auto, where this node has two nets: which one is faster (transfer_trial.c). */
enum haul_trial_state {
    HAUL_TRIAL_NONE,
    HAUL_TRIAL_FIRST,  /* the flow that came first is measured */
    HAUL_TRIAL_ASKING, /* the peer was asked for one over the other net */
    HAUL_TRIAL_SECOND, /* which is in use now, and measured */
    HAUL_TRIAL_OVER,
};

struct haul_trial {
    uint8_t state; /* enum haul_trial_state */
    uint8_t via;   /* of the flow that is not in use */
    bool has_flow;
    bool proven;
    bool ending;
    bool warm;
    uint32_t flow;
    uint32_t wants_max;
    struct haul_offer_ask *offer; /* until it is answered */
    haul_time since;              /* of what is measured */
    uint64_t bytes;               /* at that time, over the flow in use */
    uint64_t rate;                /* of the first, bytes a second */
};

struct haul_transfer {
    struct haul_transfer *next; /* in parts.transfers */
    struct haul_parts parts;
    struct haul_transfer_ask ask;
    struct haul_transfer_events events;
    void *context;
    bool detached; /* nothing is said any more */

    enum haul_transfer_state state;
    char what[1024];
    struct haul_target target;
    struct haul_plan *plan;
    bool plan_over;
    struct haul_timer *timer; /* deadlines and retries */

    const struct haul_carrier_ops *carrier;
    uint64_t connection;
    haul_time deadline;           /* of --timeout */
    haul_time meet_at;            /* when to go on with meeting; NEVER */
    haul_time carrier_at;         /* when to ask the carrier again whether it is ready; NEVER */
    bool due;                     /* settle at the end of the turn */
    struct haul_offer_ask *offer; /* until it is answered */
    bool dialling;
    haul_time direct_by; /* met through a relay: so long a direct way is waited for; 0: not */
    unsigned dials;
    struct haul_search *search; /* for providers; NULL: a ticket says who */
    bool replacing;             /* MEETING: the provider before has not given everything back */
    struct haul_blocks_client *stream; /* stream carrier */
    uint32_t streaming;                /* fetches that the stream has */
    bool seeking;                      /* auto: the stream moves while the fast path is sought */
    uint32_t flow;                     /* udp: while has_flow */
    uint32_t flow_wants_max;
    uint32_t wants_max;
    bool has_flow;
    uint8_t via; /* enum haul_via: of the flow */
    struct haul_trial trial;
    uint64_t connection_rx_before;

    struct haul_fetch fetches[HAUL_FETCHES_MAX];
    struct haul_fetch *free_fetch;
    struct haul_fetch *ordered; /* STREAM sink: oldest first */
    struct haul_fetch **ordered_end;
    uint32_t outstanding; /* fetches that are not free */
    uint32_t asked;       /* of which a carrier has */
    uint32_t slots_held;
    uint64_t sync_order;
    struct haul_transfer_file files[HAUL_PLAN_FILES_MAX];

    uint64_t build; /* catalog, while `building` */
    bool building;
    uint64_t blocks;
    uint64_t packs_lost; /* by the store, when we first wrote to it */
    bool packs_known;
    uint64_t files_done;
    uint64_t wants_short; /* pumps that could have asked for more and had nothing to ask */

    struct haul_record record;
    struct haul_timeline timeline;
    haul_time began;
    haul_time met;
    haul_time moved; /* the first fetch was asked for */
    haul_time cpu_before;
    haul_time plane_cpu_before;
};

/* transfer.c */
void haul_transfer_fail(struct haul_transfer *transfer, const struct haul_error *error);
void haul_transfer_fail_text(struct haul_transfer *transfer, enum haul_error_code code,
                             const char *format, ...) HAUL_PRINTF(3, 4);
void haul_transfer_move(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier);
void haul_transfer_settle(struct haul_transfer *transfer); /* what follows from its state */
void haul_transfer_arm(struct haul_transfer *transfer);    /* the timer, for what is due next */

/* transfer_fetch.c */
void haul_transfer_pump(struct haul_transfer *transfer);
void haul_fetch_done(struct haul_fetch *fetch, enum haul_status status, uint32_t length,
                     uint64_t at, haul_time when);
void haul_transfer_cancel_all(struct haul_transfer *transfer);
void haul_transfer_withdraw_all(struct haul_transfer *transfer); /* to ask somebody else for it */
void haul_fetch_place(const struct haul_fetch *fetch, struct haul_place *place);
haul_time haul_transfer_retry_at(const struct haul_transfer *transfer);

/* transfer_search.c: without a ticket, whom to dial is asked of the DHT. */
/* Puts the next provider into the target; false when there is none now: transfer_meet is called
 * again when there is, or at meet_at. */
bool haul_transfer_next_provider(struct haul_transfer *transfer);
/* A provider that failed in mid-transfer: the next one goes on from there, and when there is none
 * the transfer fails with this reason. False when a ticket named the peer: nobody else is known. */
bool haul_transfer_replace(struct haul_transfer *transfer, const struct haul_error *why);
void haul_transfer_replaced(struct haul_transfer *transfer); /* the old one may have let go */
void haul_transfer_search_close(struct haul_transfer *transfer);

/* transfer_meet.c */
void haul_transfer_meet(struct haul_transfer *transfer);
void haul_transfer_part(struct haul_transfer *transfer);     /* lets go of flow and streams */
void haul_transfer_seek_end(struct haul_transfer *transfer); /* nothing is left to move */
bool haul_transfer_parted(const struct haul_transfer *transfer);
/* A carrier is gone in mid-transfer: another one goes on, or it is the end. */
void haul_transfer_lost(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier,
                        enum haul_error_code code, const char *why);

/* The flow has ended, whichever of two it was. */
void haul_transfer_flow_ended(void *context, uint32_t flow, enum haul_status why);

/* transfer_trial.c */
void haul_trial_begin(struct haul_transfer *transfer);  /* a fast path is proven and moves */
void haul_trial_moved(struct haul_transfer *transfer);  /* verified bytes were accounted for */
void haul_trial_cancel(struct haul_transfer *transfer); /* nothing is left to move */
void haul_trial_part(struct haul_transfer *transfer);
/* True when the end of this flow is no end for the transfer: nothing more is to be done. */
bool haul_trial_ended(struct haul_transfer *transfer, uint32_t flow);
/* Which net was faster with this peer of late; false when that is not known. */
bool haul_trial_known(const struct haul_transfer *transfer, uint8_t *via);
void haul_trial_forget(struct haul_transfer *transfer);
