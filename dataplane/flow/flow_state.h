/* The inside of a flow, shared by the flow_*.c files only. Tables lie behind the struct in the
 * memory that the caller handed in. */
#pragma once

#include "common/counters.h"
#include "common/rng.h"
#include "dataplane/flow/class.h"
#include "dataplane/flow/flow.h"
#include "dataplane/flow/pacer.h"
#include "dataplane/flow/path.h"
#include "dataplane/flow/rate.h"
#include "dataplane/flow/seal.h"
#include "dataplane/flow/seen.h"
#include "dataplane/flow/sent.h"

#define HAUL_FLOW_PROOF_SPAN   (5 * HAUL_SECOND)  /* without a proven path: UNPROVEN */
#define HAUL_FLOW_SILENT_SPAN  (10 * HAUL_SECOND) /* of probe timeouts: SILENT, */
#define HAUL_FLOW_SILENT_TRIES 8u                 /* and at least this many of them */
#define HAUL_FLOW_PERSISTENT   3u /* probe timeouts, and everything in flight is lost */
#define HAUL_FLOW_BUSY_PING    (2 * HAUL_SECOND)  /* of silence while a want is open */
#define HAUL_FLOW_IDLE_PING    (15 * HAUL_SECOND) /* of silence otherwise */
#define HAUL_FLOW_IDLE_TRIES   3u
#define HAUL_FLOW_BYES         3u
#define HAUL_FLOW_BYE_SPAN     (20 * HAUL_MILLISECOND)
#define HAUL_FLOW_ACK_EVERY    512u /* datagrams */
#define HAUL_FLOW_ACK_LEAST    (100 * HAUL_MICROSECOND)
#define HAUL_FLOW_OVERS        8u /* stale wants whose answer waits */
#define HAUL_FLOW_SKIP_LEAST   4096u
#define HAUL_FLOW_PROBE_CREDIT 2u /* datagrams past the window after a probe timeout */
#define HAUL_FLOW_BURST_ROOM   (HAUL_BURST_MAX + 8u) /* kept free for control datagrams */

enum haul_flow_life {
    HAUL_FLOW_PROVING, /* no path yet */
    HAUL_FLOW_OPEN,
    HAUL_FLOW_CLOSING, /* saying good-bye */
    HAUL_FLOW_ENDED,
};

/* What holds the sender back, for the limited_* counters. */
enum haul_flow_hold { HAUL_HOLD_NOT, HAUL_HOLD_WINDOW, HAUL_HOLD_PACE, HAUL_HOLD_WANTS };

/* A queue of small numbers, each at most once in it. */
struct haul_queue {
    uint16_t *items;
    uint16_t size;
    uint16_t first;
    uint16_t count;
};

static inline void haul_queue_push(struct haul_queue *queue, uint16_t item)
{
    haul_assert(queue->count < queue->size);
    queue->items[(queue->first + queue->count) % queue->size] = item;
    queue->count++;
}

static inline uint16_t haul_queue_first(const struct haul_queue *queue)
{
    return queue->items[queue->first];
}

static inline void haul_queue_pop(struct haul_queue *queue)
{
    haul_assert(queue->count > 0);
    queue->first = (uint16_t)((queue->first + 1) % queue->size);
    queue->count--;
}

struct haul_flow {
    struct haul_flow_stats *stats;
    uint32_t local_id;
    uint32_t remote_id;
    uint8_t life;   /* enum haul_flow_life */
    uint8_t status; /* of the end */
    uint8_t hold;   /* enum haul_flow_hold, since held_at */
    bool up_due;
    bool down_told;
    bool ping_due;
    bool from_peer;     /* of the train being read: it came from the proven address */
    bool newest;        /* of the datagram being read: its number is above all earlier ones */
    uint16_t wants_max; /* our own */
    haul_time opened;
    haul_time held_at;
    haul_time ping_at;      /* next keep-alive */
    haul_time silent_since; /* the first of the present row of probe timeouts */
    haul_time bye_at;
    uint8_t byes;
    uint8_t probe_credit;
    uint8_t over_count;
    uint32_t overs[HAUL_FLOW_OVERS]; /* the peer's stale handles, to be answered with finished */
    uint64_t forged;
    uint64_t next_skip; /* the number that is left out next */

    uint32_t unacked; /* datagrams since the last acknowledgement */
    bool slots_due;   /* an acknowledgement did not hold every slot that was touched */
    haul_time unacked_since;
    haul_time top_time; /* when the highest number arrived */
    uint64_t ect;
    uint64_t ce;

    struct haul_rng rng;
    struct haul_path path;
    struct haul_class class;
    struct haul_pacer pacer;
    struct haul_rate rate;
    struct haul_duties duties;
    struct haul_fills fills;
    struct haul_serves serves;
    struct haul_queue events;  /* fills, then serves, that have something to tell */
    struct haul_queue touched; /* fills that an acknowledgement must show */
    struct haul_seal seal;
    struct haul_open open;
    struct haul_sent sent;
    struct haul_seen seen;
    struct haul_frame frame; /* being read or written: too large for the stack */
    _Alignas(64) uint8_t scratch[HAUL_WIRE_PAYLOAD_MAX];
};

static inline void haul_flow_count(uint64_t *counter, uint64_t amount)
{
    haul_counter_add(counter, amount);
}

/* flow_event.c: something to tell about a fill or a serve. */
void haul_flow_tell_fill(struct haul_flow *flow, struct haul_fill *fill);
void haul_flow_tell_serve(struct haul_flow *flow, struct haul_serve *serve);

/* flow.c: ends at once, without a word to the peer. */
void haul_flow_end(struct haul_flow *flow, enum haul_status status);
void haul_flow_answer(struct haul_flow *flow, struct haul_serve *serve);

/* flow_learn.c: what acknowledgements, losses and timers taught. */
void haul_flow_learn(struct haul_flow *flow, const struct haul_sent_news *news, uint64_t marks,
                     haul_time now);
void haul_flow_timers(struct haul_flow *flow, haul_time now);
void haul_flow_path_news(struct haul_flow *flow, enum haul_path_news news, haul_time now);
haul_time haul_flow_ack_due(const struct haul_flow *flow);

/* flow_control.c: control datagrams, one a train. */
bool haul_flow_control_due(const struct haul_flow *flow, haul_time now);
bool haul_flow_send_control(struct haul_flow *flow, struct haul_train *train, haul_time now);
bool haul_flow_send_path(struct haul_flow *flow, struct haul_train *train, haul_time now);
bool haul_flow_send_bye(struct haul_flow *flow, struct haul_train *train, haul_time now);
bool haul_flow_send_probe(struct haul_flow *flow, struct haul_train *train, haul_time now);

/* flow_frames.c: acts on one frame of a control datagram that parsed whole. */
void haul_flow_frame(struct haul_flow *flow, const struct haul_frame *frame,
                     const struct haul_addr *from, struct haul_sent_news *news, uint64_t *marks,
                     haul_time now);
