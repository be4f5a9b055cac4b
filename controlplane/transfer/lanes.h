/* The flows of a transfer's fast path to its peer: a first one and, beside it, as many as both ends
 * have workers for, each a flow with an offer, a grant and a worker of its own. All are fed from
 * the one plan of blocks. Which of them is asked for the next block, when another one is asked for,
 * and what is left when one ends. Pure. */
#pragma once

#include "common/base.h"
#include "common/handoff.h"
#include "common/time.h"

#define HAUL_LANES_PAUSE_MIN HAUL_SECOND /* after one that failed; doubled with each in a row */
#define HAUL_LANES_PAUSE_MAX (64 * HAUL_SECOND)
#define HAUL_LANES_HEAR      (250 * HAUL_MILLISECOND)

struct haul_lane {
    uint32_t flow;      /* while open */
    uint32_t serial;    /* numbers of flows are used again: what came back says which it was */
    uint32_t wants_max; /* granted */
    uint32_t flows_max; /* that there may be in all, as was agreed with it */
    uint32_t asked;     /* blocks that it has */
    bool open;          /* from its grant until its end was told */
    bool proven;
    bool dying;         /* it has ended, or was told to: nothing more is asked of it */
    uint64_t datagrams; /* that had come when something came last, */
    uint64_t timeouts;  /* and its probe timeouts until then */
    uint32_t unheard;   /* probe timeouts since, */
    uint32_t silences;  /* and times in a row that it was listened to */
};

struct haul_lanes {
    union {
        struct {
            struct haul_lane first;
            struct haul_lane further[HAUL_WORKERS_MAX - 1];
        };
        struct haul_lane all[HAUL_WORKERS_MAX]; /* the same, for what is said of each */
    };
    uint32_t last_serial;
    uint32_t cap;    /* blocks asked for at once in all: as many as the first was granted */
    haul_time again; /* when another one may be asked for */
    haul_time pause; /* after the next failure */
};

/* A new flow takes the place of `lane`, which is not open. */
void haul_lane_take(struct haul_lanes *lanes, struct haul_lane *lane, uint32_t flow,
                    uint32_t wants_max, uint32_t flows_max);

void haul_lanes_begin(struct haul_lanes *lanes); /* the first one is proven */
/* Another one, proven, is the first from now on, and that one the other. */
void haul_lanes_swap(struct haul_lanes *lanes, struct haul_lane *other);

/* The open one with that flow, or NULL. */
struct haul_lane *haul_lanes_find(struct haul_lanes *lanes, uint32_t flow);
/* One that is not open, further than the first; NULL: all are. */
struct haul_lane *haul_lanes_free(struct haul_lanes *lanes);

/* Whom to ask for the next block: of those with room the one that has the fewest, so that the
 * faster one gets more; a quiet one only when all are. NULL when none is alive. */
struct haul_lane *haul_lanes_choose(struct haul_lanes *lanes);
/* A block of that flow, asked for under that serial, has come back; `ended`: for the flow has. */
void haul_lanes_back(struct haul_lanes *lanes, uint32_t serial, bool ended);

/* How many are alive, and how many blocks may be asked of them at once. */
uint32_t haul_lanes_alive(const struct haul_lanes *lanes);
uint32_t haul_lanes_wants(const struct haul_lanes *lanes);

/* Whether another one should be asked for now, if none is, and with how many wants. */
bool haul_lanes_lack(const struct haul_lanes *lanes, haul_time now);
uint32_t haul_lanes_share(const struct haul_lanes *lanes);
/* One failed, to be agreed or proven or in mid-transfer: the next is asked for after a pause, of
 * `wait` at least. One that is proven ends the row of failures. */
void haul_lanes_failed(struct haul_lanes *lanes, haul_time now, haul_time wait);
void haul_lanes_proven(struct haul_lanes *lanes, struct haul_lane *lane);

/* The first has ended: one that is alive takes its place. False when none is. */
bool haul_lanes_promote(struct haul_lanes *lanes);

/* When one alive has nothing to do and another has much: that one's serial, or 0. */
uint32_t haul_lanes_crowded(const struct haul_lanes *lanes);

/* It was listened to, HAUL_LANES_HEAR after the last time: what the counters of its flow say of
 * datagrams received and of probe timeouts. A lane is quiet when three timeouts and four times in a
 * row brought nothing: a worker that has no processor for a moment has timeouts, too. */
void haul_lane_hear(struct haul_lane *lane, uint64_t datagrams, uint64_t timeouts);
/* A quiet one that has blocks, while another is heard: its serial, or 0. */
uint32_t haul_lanes_quiet(const struct haul_lanes *lanes);
