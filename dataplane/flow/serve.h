/* Wants of the peer: the blocks that leave. For each index the newest generation is remembered, so
 * that a want which comes late or again after its end is answered with finished, never with data.
 * What the peer acknowledged and what was lost are bitmaps of 64-byte units; what was never sent is
 * everything from `next` on. */
#pragma once

#include "common/handoff.h"
#include "dataplane/flow/fill.h"
#include "dataplane/flow/wire.h"

enum haul_serve_state {
    HAUL_SERVE_NONE,    /* the index has not been used */
    HAUL_SERVE_ASKED,   /* the caller owes an answer */
    HAUL_SERVE_SENDING, /* accepted */
    HAUL_SERVE_OVER,    /* the newest want has ended */
};

#define HAUL_NO_SERVE UINT16_MAX

struct haul_serve {
    uint32_t generation; /* the newest; zero before the first */
    uint8_t state;
    bool queued;     /* is in the queue of events */
    bool wanted_due; /* WANTED has not been taken yet */
    bool served_due; /* SERVED, for served_handle */
    uint8_t served_status;
    uint8_t answer; /* enum haul_frame_type: ACCEPT, REFUSE or FINISHED; 0: none yet */
    uint8_t reason;
    bool ready; /* in the list of serves with something to send */
    bool sure;  /* the peer is known to have the accept */
    uint32_t retry_ms;
    uint32_t served_handle;
    uint32_t offset; /* wanted from here */
    uint32_t wanted; /* bytes, 0: all */
    uint32_t length; /* of the whole block */
    uint32_t stop;   /* one past the last byte to send */
    uint32_t lost_count;
    uint16_t class; /* most units in one datagram */
    uint16_t first; /* units: first wanted, one past the last, never sent from here on */
    uint16_t end;
    uint16_t next;
    uint16_t solid; /* everything before this unit is acknowledged */
    uint16_t newer; /* neighbours in the ready list */
    uint16_t older;
    haul_time progress; /* when the peer last acknowledged something new */
    const uint8_t *slot;
    struct haul_hash hash;
    uint64_t have[HAUL_BITMAP_WORDS]; /* acknowledged */
    uint64_t lost[HAUL_BITMAP_WORDS]; /* to be sent again */
};

struct haul_serves {
    struct haul_serve *serves;
    uint16_t size;
    uint16_t live;  /* asked and sending */
    uint16_t first; /* the ready list: losses, then accepts that arrived, then the others */
    uint16_t last;
};

void haul_serves_init(struct haul_serves *serves, struct haul_serve *memory, uint16_t size);

static inline uint32_t haul_serve_handle(const struct haul_serves *serves,
                                         const struct haul_serve *serve)
{
    return serve->generation << HAUL_HANDLE_INDEX_BITS | (uint32_t)(serve - serves->serves);
}

enum haul_want_news {
    HAUL_WANT_NEW,   /* *serve is asked for; what was there before has ended (WITHDRAWN) */
    HAUL_WANT_AGAIN, /* known, and its answer is on its way */
    HAUL_WANT_OVER,  /* known and over: *serve's answer is to be sent again */
    HAUL_WANT_STALE, /* older than the newest: answered with finished */
    HAUL_WANT_BAD,   /* no such index */
};
enum haul_want_news haul_serve_want(struct haul_serves *serves, const struct haul_frame *frame,
                                    haul_time now, struct haul_serve **serve);

/* The live want of a handle, or NULL. */
struct haul_serve *haul_serve_find(const struct haul_serves *serves, uint32_t handle);

/* Starts sending; false when the block is shorter than what was asked for. */
bool haul_serve_start(struct haul_serves *serves, struct haul_serve *serve, const uint8_t *slot,
                      uint32_t length, haul_time now);

/* The accept of an index is known to have arrived. Data that overtakes its accept is dropped, so
 * what is sure goes first. */
void haul_serve_sure(struct haul_serves *serves, uint16_t index);

/* Ends a live want: SERVED becomes due if WANTED was taken, else neither. */
void haul_serve_finish(struct haul_serves *serves, struct haul_serve *serve,
                       enum haul_status status);

/* The asker says that it is through with a handle. One that is newer than any want seen is
 * remembered, so that its want, should it come late, is not served. Returns the serve that ended
 * something, or NULL. */
struct haul_serve *haul_serve_close(struct haul_serves *serves, uint32_t handle,
                                    enum haul_status status);

/* A run of datagrams to send: `count` of `class` units each from `unit` on, the last of
 * `last_bytes` payload bytes. */
struct haul_chunk {
    struct haul_serve *serve;
    uint16_t unit;
    uint16_t class;
    uint16_t count;
    uint16_t last_bytes;
    bool again; /* these bytes were sent before */
};

/* The next run, of at most `count` datagrams of at most `class` units; false when there is nothing
 * to send. It is taken: the caller sends it. */
bool haul_serve_next(struct haul_serves *serves, uint16_t class, uint16_t count,
                     struct haul_chunk *chunk);

/* What would be the class of the next run; 0 when there is none. */
uint16_t haul_serve_peek(const struct haul_serves *serves, uint16_t class);

/* The peer has units, or they were lost, or everything of them is acknowledged. Handles whose want
 * is over are ignored, and count as acknowledged. */
void haul_serve_acked(struct haul_serves *serves, uint32_t handle, uint32_t unit, uint32_t units,
                      haul_time now);
void haul_serve_lost(struct haul_serves *serves, uint32_t handle, uint32_t unit, uint32_t units);
bool haul_serve_holds(const struct haul_serves *serves, uint32_t handle, uint32_t unit,
                      uint32_t units);

/* A bitmap window from an acknowledgement; false when it claims units that were never sent. */
bool haul_serve_window(struct haul_serves *serves, const struct haul_slot_window *window,
                       haul_time now);
const char *haul_serves_broken(const struct haul_serves *serves);
