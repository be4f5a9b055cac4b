/* The seam between the planes: pointer-free orders (control to data) and events (data to control)
 * on single-producer single-consumer rings, one pair a worker. A node has one worker or several;
 * the number of a flow names the worker on which it runs, and orders without a flow are the first
 * one's.
 *
 * The data plane knows blocks (a multihash, a length), places and flows; datasets, names and
 * permissions stay above the seam. Rules that keep it free of deadlock:
 *  - each order gets exactly one final event (DONE, carrying the order's id and kind);
 *  - a worker never waits for a ring: the event ring holds at least HAUL_ORDERS_MAX cells plus one
 *    for every want that live grants allow (the sum of their wants_max is at most HAUL_WANTS_MAX);
 *  - the control thread drains events before it pushes orders, and keeps at most HAUL_ORDERS_MAX
 *    orders outstanding;
 *  - a descriptor or a control slot named by an order belongs to the worker until its DONE. */
#pragma once

#include "common/addr.h"
#include "common/hash.h"
#include "common/ring.h"
#include "common/time.h"

#define HAUL_WORKERS_MAX    8u
#define HAUL_ORDERS_MAX     2048u /* outstanding orders of a node */
#define HAUL_WANTS_MAX      2048u /* sum of wants_max over the live grants of a node */
#define HAUL_FLOWS_MAX      64u   /* live flows of a node */
#define HAUL_CANDIDATES_MAX 8u

/* Where a block comes from or goes to. */
enum haul_place_kind {
    HAUL_PLACE_DISCARD,   /* verified, then dropped (rate tests) */
    HAUL_PLACE_SLOT,      /* `index`: one of the control plane's own slots */
    HAUL_PLACE_STORE,     /* the block store, by hash */
    HAUL_PLACE_FILE,      /* descriptor `index`, at byte `at` */
    HAUL_PLACE_SYNTHETIC, /* generated block number `at` (rate tests); a source only */
};

#define HAUL_PLACE_ALSO_STORE 1u /* flag: the verified block goes to the store as well */
#define HAUL_PLACE_UNVERIFIED 2u /* flag of DISCARD: do not even hash it (rate tests) */
/* flag of SYNTHETIC in a READ: the slot still holds the block of the last such READ */
#define HAUL_PLACE_STAMP 4u

struct haul_place {
    uint8_t kind;
    uint8_t flags;
    uint16_t reserved;
    uint32_t index;
    uint64_t at;
};

enum haul_cipher {
    HAUL_CIPHER_NONE, /* rate tests only, when both configurations allow it */
    HAUL_CIPHER_AES_128_GCM,
    HAUL_CIPHER_CHACHA20_POLY1305,
};

/* Which of a node's nets a flow runs over. */
enum haul_via { HAUL_VIA_KERNEL, HAUL_VIA_DPDK, HAUL_VIAS };

enum haul_congestion { HAUL_CONGESTION_BBR, HAUL_CONGESTION_LEDBAT, HAUL_CONGESTION_FIXED };

/* What an offer and a grant made of a flow: everything the worker needs, nothing that it must ask.
 * The control plane writes grants[flow] before it pushes OPEN, the worker copies and wipes it while
 * handling OPEN. */
struct haul_grant {
    uint32_t local_id;  /* receiver id in datagrams to us; random, unique on this node */
    uint32_t remote_id; /* receiver id in datagrams to the peer */
    uint8_t cipher;     /* enum haul_cipher */
    uint8_t congestion; /* enum haul_congestion */
    uint8_t via;        /* enum haul_via */
    bool asker;         /* we sent the offer; the other side granted */
    uint8_t candidate_count;
    uint16_t wants_max;      /* wants that may be outstanding in each direction */
    uint16_t payload_max;    /* largest payload class that both ends accept */
    uint64_t rate_max;       /* bytes a second, 0 for no ceiling; the rate itself for FIXED */
    haul_time probe_after;   /* from the opening to the first probe; 0: none */
    uint8_t seal_secret[32]; /* traffic secrets; key and nonce base are derived from them, */
    uint8_t open_secret[32]; /* and so is the next key generation (WIRE.md) */
    struct haul_addr candidates[HAUL_CANDIDATES_MAX]; /* where the peer may be reached */
};

/* The DONE of WRITE and SYNC has in `length`, and that of FETCH in `at`, how many packs the store
 * has lost so far: whoever sees that change from its first write to its SYNC has lost blocks. */
enum haul_order_kind {
    HAUL_ORDER_OPEN,   /* flow: start it from grants[flow]; DONE when the flow has ended */
    HAUL_ORDER_CLOSE,  /* flow: end it; wants and serves end first, each with its DONE */
    HAUL_ORDER_FETCH,  /* flow, hash, length (0 unknown), place: get one block, verify, put it */
    HAUL_ORDER_CANCEL, /* target: withdraw that FETCH; its own DONE says how it ended. reason
                          HAUL_CANCEL_WAITING: only if the peer was not asked for it yet */
    HAUL_ORDER_SERVE,  /* id of a WANTED event, place, length: send it. length is the block's; 0
                          (unknown) for STORE and SYNTHETIC: the place says */
    HAUL_ORDER_REFUSE, /* id of a WANTED event, reason, retry_ms when the reason is BUSY */
    HAUL_ORDER_WRITE,  /* slot, length, hash, place: store bytes already verified by hash */
    HAUL_ORDER_READ,   /* place, hash, length (0 unknown), slot: read one block into the slot */
    HAUL_ORDER_SYNC,   /* place: everything written there before is durable at DONE (a descriptor,
                        * or else the store) */
    HAUL_ORDER_KINDS
};

#define HAUL_CANCEL_WAITING 1u

enum haul_refusal {
    HAUL_REFUSAL_UNKNOWN = 1, /* not shared with you, or not there: the same answer */
    HAUL_REFUSAL_BUSY,
    HAUL_REFUSAL_FAILED, /* the seeder's store failed */
};

struct haul_order {
    uint8_t kind; /* enum haul_order_kind */
    uint8_t reason;
    uint16_t retry_ms;
    uint32_t flow;
    uint64_t id;     /* chosen by the control plane; for SERVE and REFUSE the want's id */
    uint64_t target; /* CANCEL: the id of the FETCH */
    uint32_t length;
    uint32_t slot;
    struct haul_place place;
    struct haul_hash hash;
    uint8_t reserved[46];
};
_Static_assert(sizeof(struct haul_order) == 128, "an order is two cache lines");

enum haul_event_kind {
    HAUL_EVENT_DONE,   /* final, for order `id` of kind `order` */
    HAUL_EVENT_UP,     /* flow: a path is proven; length is its payload class, at its rtt in ns */
    HAUL_EVENT_WANTED, /* flow, id, hash, length (0 unknown): answer with SERVE or REFUSE */
    HAUL_EVENT_KINDS
};

enum haul_status {
    HAUL_STATUS_DONE,
    HAUL_STATUS_REFUSED_UNKNOWN, /* FETCH: the peer refused */
    HAUL_STATUS_REFUSED_BUSY,    /* FETCH: ... for now; `at` is when to ask again, in ms from now */
    HAUL_STATUS_REFUSED_FAILED,  /* FETCH: ... as its store failed, or has it in another length */
    HAUL_STATUS_WRONG,           /* FETCH: every byte arrived and the hash does not hold */
    HAUL_STATUS_WITHDRAWN,       /* FETCH: cancelled; SERVE: the peer withdrew */
    HAUL_STATUS_FLOW_ENDED,      /* the flow ended first */
    HAUL_STATUS_UNPROVEN,        /* OPEN: no path answered within 5 s */
    HAUL_STATUS_SILENT,          /* OPEN: the peer stopped answering */
    HAUL_STATUS_CLOSED,          /* OPEN: closed by order, or by the peer */
    HAUL_STATUS_MISSING,         /* READ, SERVE: the place has no such block */
    HAUL_STATUS_IO,              /* `at` is the errno */
    HAUL_STATUS_IO_STORE, /* ... of the store, where a place was to be in the store as well */
    HAUL_STATUS_LIMIT,    /* a table is full */
};

struct haul_event {
    uint8_t kind;    /* enum haul_event_kind */
    uint8_t order;   /* DONE: enum haul_order_kind */
    uint16_t status; /* DONE: enum haul_status */
    uint32_t flow;
    uint64_t id;
    uint64_t at;
    haul_time when; /* worker's clock (CLOCK_MONOTONIC): for FETCH, when the block was verified */
    uint32_t length;
    uint32_t slot;
    struct haul_hash hash;
    uint8_t reserved[54];
};
_Static_assert(sizeof(struct haul_event) == 128, "an event is two cache lines");

/* Written by the worker, read by anyone (common/counters.h); reset at OPEN. */
#define HAUL_FLOW_STATS(X)                                                                         \
    X(tx_datagrams, "datagrams sent")                                                              \
    X(tx_bytes, "UDP payload bytes sent")                                                          \
    X(tx_resent_bytes, "block bytes sent more than once")                                          \
    X(rx_datagrams, "datagrams accepted")                                                          \
    X(rx_bytes, "UDP payload bytes accepted")                                                      \
    X(rx_block_bytes, "block bytes placed for the first time")                                     \
    X(rx_duplicate_bytes, "block bytes that had arrived before")                                   \
    X(rx_forged, "datagrams whose tag did not hold")                                               \
    X(rx_replayed, "datagrams whose number had been seen or is too old")                           \
    X(rx_malformed, "sealed datagrams that could not be parsed")                                   \
    X(rx_unplaced, "data datagrams without a live want or before its accept")                      \
    X(lost_datagrams, "sent datagrams declared lost")                                              \
    X(spurious_losses, "declared lost and then acknowledged")                                      \
    X(probe_timeouts, "probe timeouts that fired")                                                 \
    X(key_updates, "key generations begun")                                                        \
    X(path_challenges, "address challenges sent")                                                  \
    X(path_moves, "changes of the peer's address that were proven")                                \
    X(limited_window_ns, "time with something to send, held by the congestion window")             \
    X(limited_pace_ns, "time with something to send, held by the pacer")                           \
    X(limited_wants_ns, "time with nothing to send because no want was open")                      \
    X(rtt_ns, "smoothed round trip (gauge)")                                                       \
    X(window_bytes, "congestion window (gauge)")                                                   \
    X(pace_bytes_per_second, "pacing rate (gauge)")                                                \
    X(payload_class, "payload bytes of a full data datagram (gauge)")

struct haul_flow_stats {
#define X(name, help) uint64_t name;
    HAUL_FLOW_STATS(X)
#undef X
};

/* The rings of one worker and what they refer to. Made by haul_handoff_open before the worker
 * starts; the control thread holds one end, the worker the other. */
struct haul_handoff {
    struct haul_ring *orders;
    struct haul_ring *events;
    /* eventfds, not blocking: readable when orders (events) wait for a worker (control loop) that
     * sleeps. Whoever was woken drains with haul_handoff_next_* until it returns false, which
     * clears the descriptor. */
    int orders_fd;
    int events_fd;
    uint8_t *slots; /* the control plane's own slots, 1 MiB each; the same at every worker */
    uint32_t slot_count;
    struct haul_handoff *next; /* the next worker's; NULL: there is none */
    struct haul_grant grants[HAUL_FLOWS_MAX];
    struct haul_flow_stats stats[HAUL_FLOWS_MAX];
};

/* `slots` is borrowed and outlives the handoff. 0 or -errno. */
HAUL_MUST_USE int haul_handoff_open(struct haul_handoff *handoff, uint8_t *slots,
                                    uint32_t slot_count);
void haul_handoff_close(struct haul_handoff *handoff);

/* Control thread: pushes, and wakes the worker if it sleeps; false when the ring is full (the
 * caller keeps to HAUL_ORDERS_MAX, so that does not happen). */
HAUL_MUST_USE bool haul_handoff_order(struct haul_handoff *handoff, const struct haul_order *order);

/* Drains: false when there is none, and from then on the next order wakes by orders_fd. */
HAUL_MUST_USE bool haul_handoff_next_order(struct haul_handoff *handoff, struct haul_order *order);

/* The worker, which turns: no system call, and no wake-up while it does not rest. Before it sleeps
 * on orders_fd it says so; false when an order is there, and then it must not sleep. Everything
 * that may rouse it must be looked at again after that. After it slept it says that too. */
HAUL_MUST_USE bool haul_handoff_poll_order(struct haul_handoff *handoff, struct haul_order *order);
HAUL_MUST_USE bool haul_handoff_rest(struct haul_handoff *handoff);
void haul_handoff_rested(struct haul_handoff *handoff);

/* Worker: pushes, and wakes the control thread if it sleeps; or pushes many, and then tells it of
 * all of them at once. False when the ring is full, which the rules above exclude. */
HAUL_MUST_USE bool haul_handoff_event(struct haul_handoff *handoff, const struct haul_event *event);
HAUL_MUST_USE bool haul_handoff_post_event(struct haul_handoff *handoff,
                                           const struct haul_event *event);
void haul_handoff_tell(struct haul_handoff *handoff);
HAUL_MUST_USE bool haul_handoff_next_event(struct haul_handoff *handoff, struct haul_event *event);
