/* Inside of a transfer; nobody else looks in here. Its files from the top, each calling only those
 * below it: transfer.c (its life: it names the carriers), the carriers, transfer_meet.c (the peer),
 * transfer_lanes.c (several flows with it), transfer_trial.c (which of two nets), transfer_fetch.c
 * (blocks that are asked for), transfer_look.c (what is here already), transfer_place.c (what
 * becomes of those that came), transfer_search.c (whom to ask), transfer_finish.c (when the last
 * block has come), transfer_end.c (how it ends), transfer_table.c (fetches and their slots). */
#pragma once

#include "controlplane/ticket.h"
#include "controlplane/transfer/carrier.h"
#include "controlplane/transfer/lanes.h"
#include "controlplane/transfer/transfer.h"
#include "controlplane/transfer/ways.h"

#define HAUL_FETCHES_MAX        128u
#define HAUL_FETCH_SLOTS_MAX    24u /* control slots that one transfer holds at most */
#define HAUL_FETCH_TRIES_MAX    100u
#define HAUL_FETCH_FAILURES_MAX 3u
#define HAUL_NO_CONTROL_SLOT    UINT32_MAX
#define HAUL_BACKLOG_BYTES_MAX  (4u << 20) /* said to the command and not yet taken by it */

enum haul_transfer_state {
    HAUL_TRANSFER_MEETING, /* dial, offer, proof of the path */
    HAUL_TRANSFER_MOVING,
    HAUL_TRANSFER_SYNCING,  /* the store */
    HAUL_TRANSFER_FLUSHING, /* the command */
    HAUL_TRANSFER_OVER,     /* said how it ended; what is outstanding comes back */
};

struct haul_offer_ask;

struct haul_transfer_file {
    int fd; /* -1 until it was handed in */
    bool open;
    uint64_t held; /* so many bytes of an earlier get are in it */
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
    bool warm;
    struct haul_lane lane;        /* the flow that is not in use */
    struct haul_offer_ask *offer; /* until it is answered */
    haul_time since;              /* of what is measured */
    uint64_t bytes;               /* at that time, over the flow in use */
    uint64_t rate;                /* of the first, bytes a second */
};

struct haul_search;

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
    bool noted;               /* the catalog has blocks of an earlier get of this dataset */
    bool looks;               /* leaves may be here: each takes a slot to be looked at */
    struct haul_timer *timer; /* deadlines and retries */
    void (*pump)(struct haul_transfer *transfer); /* haul_transfer_pump: something came back */

    const struct haul_carrier_ops *const *carriers; /* by enum haul_carrier */
    const struct haul_carrier_ops *carrier;         /* of these, the one in use */
    uint64_t connection;
    haul_time deadline;           /* of --timeout */
    haul_time meet_at;            /* when to go on with meeting; NEVER */
    haul_time carrier_at;         /* when to ask the carrier again whether it is ready; NEVER */
    bool due;                     /* settle at the end of the turn */
    struct haul_offer_ask *offer; /* until it is answered */
    bool dialling;
    haul_time direct_by; /* met through a relay: so long a direct way is waited for, and NEVER once
                          * the relay carries; 0: not, or found */
    haul_time carry_at;  /* when a relay without limits carries meanwhile */
    haul_time offer_at;  /* met through a relay and busy: when it is asked again; NEVER: not */
    unsigned refusals;   /* as it was busy, through this relay */
    uint64_t onward;     /* the direct connection that the stream moves to; none: it stays */
    unsigned dials;
    struct haul_search *search; /* for providers; NULL: a ticket says who */
    bool replacing;             /* MEETING: the provider before has not given everything back */
    struct haul_ways ways;      /* of the stream carrier */
    uint32_t streaming;         /* fetches that they have */
    bool seeking;               /* auto: the stream moves while the fast path is sought */
    uint32_t wants_max;
    struct haul_lanes lanes;                          /* of the fast path */
    struct haul_offer_ask *lane_offer;                /* for a further one, until it is answered */
    haul_time hear_at;                                /* when to see which are quiet; NEVER */
    uint8_t via;                                      /* enum haul_via: of the lanes */
    void (*progress)(struct haul_transfer *transfer); /* NULL, or: a fetch has come back */
    void (*flow_ended)(void *context, uint32_t flow, enum haul_status why); /* any of its flows */
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
    haul_time plane_cpu_before[HAUL_WORKERS_MAX];
};

/* udp or dpdk */
static inline bool haul_carrier_is_fast(const struct haul_carrier_ops *carrier)
{
    return carrier != NULL &&
           (carrier->carrier == HAUL_CARRIER_UDP || carrier->carrier == HAUL_CARRIER_DPDK);
}

/* The fast one over that net (enum haul_via). */
static inline const struct haul_carrier_ops *haul_carrier_over(const struct haul_transfer *transfer,
                                                               uint8_t via)
{
    return transfer->carriers[via == HAUL_VIA_DPDK ? HAUL_CARRIER_DPDK : HAUL_CARRIER_UDP];
}

/* transfer_table.c */
struct haul_fetch *haul_fetch_take(struct haul_transfer *transfer); /* there is a free one */
void haul_fetch_free(struct haul_fetch *fetch);
bool haul_fetch_slot_take(struct haul_fetch *fetch); /* false: none now */
void haul_fetch_slot_give(struct haul_fetch *fetch);
haul_time haul_transfer_retry_at(const struct haul_transfer *transfer);
/* What waits for a carrier may be asked for; what waits for a time, as a busy peer said, not yet.
 */
void haul_transfer_wake(struct haul_transfer *transfer);
void haul_transfer_withdraw_all(struct haul_transfer *transfer); /* to ask somebody else for it */
void haul_transfer_cancel_all(struct haul_transfer *transfer);
/* A fetch that the worker has comes back; with HAUL_CANCEL_WAITING only if nobody was asked. */
void haul_fetch_withdraw(struct haul_fetch *fetch, uint8_t reason);
/* What a flow moved goes into the record, once. */
void haul_transfer_account_flow(struct haul_transfer *transfer, uint32_t flow);

/* transfer_end.c */
void haul_transfer_arm(struct haul_transfer *transfer); /* the timer, for what is due next */
void haul_transfer_fail(struct haul_transfer *transfer, const struct haul_error *error);
void haul_transfer_fail_text(struct haul_transfer *transfer, enum haul_error_code code,
                             const char *format, ...) HAUL_PRINTF(3, 4);
/* Well with a record, badly with an error, closed with neither. */
void haul_transfer_over(struct haul_transfer *transfer, const struct haul_record *record,
                        const struct haul_error *error);
/* What was noted becomes a dataset of the catalog. */
int haul_transfer_commit(struct haul_transfer *transfer, bool complete, struct haul_error *error);
bool haul_transfer_has_flow(const struct haul_transfer *transfer); /* of its lanes */
void haul_transfer_flows_end(struct haul_transfer *transfer);      /* of its lanes; each is told */
void haul_transfer_part(struct haul_transfer *transfer);           /* lets go of flow and streams */
bool haul_transfer_parted(const struct haul_transfer *transfer);
void haul_transfer_seek_end(struct haul_transfer *transfer); /* nothing is left to move */
void haul_transfer_search_close(struct haul_transfer *transfer);

/* transfer_finish.c */
void haul_transfer_settle(struct haul_transfer *transfer);   /* what follows from its state */
void haul_transfer_replaced(struct haul_transfer *transfer); /* the old peer may have let go */

/* transfer_search.c: without a ticket, whom to dial is asked of the DHT. */
/* Puts the next provider into the target; false when there is none now: transfer_meet is called
 * again when there is, or at meet_at. */
bool haul_transfer_next_provider(struct haul_transfer *transfer);
/* A provider that failed in mid-transfer: the next one goes on from there, and when there is none
 * the transfer fails with this reason. False when a ticket named the peer: nobody else is known. */
bool haul_transfer_replace(struct haul_transfer *transfer, const struct haul_error *why);

/* transfer_place.c */
bool haul_transfer_keeps(const struct haul_transfer *transfer); /* in the store as well */
void haul_transfer_packs_note(struct haul_transfer *transfer, uint64_t lost);
void haul_transfer_io_failed(struct haul_transfer *transfer, enum haul_status status, int number);
void haul_transfer_hand_out(struct haul_transfer *transfer); /* what is ready, in order */
void haul_fetch_place(const struct haul_fetch *fetch, struct haul_place *place);
void haul_fetch_verified(struct haul_fetch *fetch);
void haul_fetch_leaf_verified(struct haul_fetch *fetch); /* and where it belongs */
/* From the slot to where it belongs; false when there is no room for the order now. */
bool haul_fetch_put(struct haul_fetch *fetch);

/* transfer_fetch.c */
void haul_transfer_pump(struct haul_transfer *transfer);
void haul_transfer_move(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier);
void haul_fetch_done(struct haul_fetch *fetch, enum haul_status status, uint32_t length,
                     uint64_t at, haul_time when);
/* A helper hashes what is in the slot, `got` bytes, and then it is done; false: no helper now. */
HAUL_MUST_USE bool haul_fetch_verify(struct haul_fetch *fetch);

/* transfer_look.c */
void haul_transfer_look_begin(struct haul_transfer *transfer);
/* Where the fetch is looked for next, if anywhere; and that was in vain. */
void haul_fetch_look(struct haul_fetch *fetch);
void haul_fetch_look_failed(struct haul_fetch *fetch, enum haul_status status);
void haul_transfer_look_over(struct haul_transfer *transfer, uint32_t file);
void haul_fetch_look_place(const struct haul_fetch *fetch, struct haul_place *place);

/* transfer_trial.c */
void haul_trial_begin(struct haul_transfer *transfer); /* a fast path is proven and moves */
void haul_trial_moved(struct haul_transfer *transfer);
bool haul_trial_runs(const struct haul_transfer *transfer);
/* True when the end of this flow is no end for the transfer: nothing more is to be done. */
bool haul_trial_ended(struct haul_transfer *transfer, uint32_t flow);
/* Which net was faster with this peer of late; false when that is not known. */
bool haul_trial_known(const struct haul_transfer *transfer, uint8_t *via);
void haul_trial_forget(struct haul_transfer *transfer);

/* transfer_lanes.c */
void haul_transfer_lanes_begin(struct haul_transfer *transfer); /* the first is proven and moves */
void haul_transfer_lanes_hear(struct haul_transfer *transfer);  /* at hear_at */
/* True when the end of this flow is no end for the transfer: nothing more is to be done. */
bool haul_transfer_lane_ended(struct haul_transfer *transfer, uint32_t flow);

/* transfer_meet.c */
void haul_transfer_meet(struct haul_transfer *transfer);
/* The stream holds nothing any more of the relayed connection: the direct one is the transfer's. */
void haul_transfer_move_on(struct haul_transfer *transfer);
/* A carrier is gone in mid-transfer: another one goes on, or it is the end. */
void haul_transfer_lost(struct haul_transfer *transfer, const struct haul_carrier_ops *carrier,
                        enum haul_error_code code, const char *why);
