/* A flow: one association with one peer on the fast path (docs/WIRE.md). It is a machine of bytes
 * and time: no I/O, no clock, no allocation, no callbacks. Both ends may ask and serve at once.
 *
 * Drive it: give it whatever arrived (input), take trains until it has none (output), sleep until
 * its deadline, take its events after every call. Calls come in time order. Memory is handed in
 * once, `haul_flow_bytes` of it. Slots belong to the caller; a slot given with want or serve is
 * used by the flow until the event that ends it.
 *
 *   asker    want -> (FILLING ...) -> FILLED -> verdict            | REFUSED | WITHDRAWN
 *   seeder   WANTED -> serve | refuse -> SERVED
 *
 * Each want ends with exactly one of FILLED, REFUSED and WITHDRAWN. Each WANTED is followed by
 * exactly one SERVED, at once after refuse; it may also come before serve or refuse were called
 * (the peer withdrew, or the flow ended), and then the answer given later is ignored and its slot
 * was never touched. When the flow ends, unfilled wants get WITHDRAWN with the status of the end.
 *
 * Peer input is never asserted on: what cannot be understood is dropped and counted. */
#pragma once

#include "common/handoff.h"
#include "common/time.h"
#include "common/train.h"
#include "dataplane/aead/aead.h"

struct haul_flow;

struct haul_flow_conf {
    const struct haul_grant *grant; /* copied */
    const struct haul_aead *aead;   /* borrowed for the flow's life */
    struct haul_flow_stats *stats;  /* borrowed; written by the flow only */
    uint64_t seed;                  /* for challenges, gaps and jitter */
    uint16_t wants_max;             /* our own outstanding wants; at most the grant's */
    uint16_t payload_first;         /* payload class before the path is measured (1152 or 1408) */
};

/* Bytes of memory, aligned to 64, that a flow under a grant with this wants_max needs. */
size_t haul_flow_bytes(uint16_t wants_max);

/* `memory` is borrowed until fini, which wipes the keys in it. */
struct haul_flow *haul_flow_init(void *memory, const struct haul_flow_conf *conf, haul_time now);
void haul_flow_fini(struct haul_flow *flow);

/* The receiver id of the datagram at `data`; false when it is too short or of another version. */
bool haul_flow_receiver(const uint8_t *data, size_t bytes, uint32_t *receiver_id);

/* Takes the datagrams of a train from byte `at` on, as long as they carry this flow's receiver id;
 * returns the bytes taken (at least one datagram). The train's memory is read, never kept. */
size_t haul_flow_input(struct haul_flow *flow, const struct haul_train *train, size_t at,
                       haul_time now);

/* Fills one reserved train (data, capacity given; at most segments_max datagrams in it); false when
 * there is nothing to send now. */
bool haul_flow_output(struct haul_flow *flow, struct haul_train *train, uint32_t segments_max,
                      haul_time now);

/* When output (or a timer) is due next; HAUL_TIME_NEVER when only input can change anything. */
haul_time haul_flow_deadline(const struct haul_flow *flow);

/* --- asking --- */

#define HAUL_FLOW_NO_HANDLE 0u

/* Asks for `length` bytes (0: all from there on, the block's length being unknown) of a block at
 * `offset`, a multiple of 64, to be placed in `slot` at the same offset. `tag` comes back in
 * events. Returns the handle, never zero and never used twice in a flow, or HAUL_FLOW_NO_HANDLE
 * when wants_max are outstanding or the flow has ended. */
uint32_t haul_flow_want(struct haul_flow *flow, const struct haul_hash *hash, uint32_t offset,
                        uint32_t length, uint8_t *slot, uint64_t tag, haul_time now);

/* After FILLED: the hash held, or it did not. Ends the want; the peer is told it is finished. */
void haul_flow_verdict(struct haul_flow *flow, uint32_t handle, bool holds, haul_time now);

/* Gives a want up; WITHDRAWN follows when no datagram can touch the slot any more (at once, since
 * look-ups are by handle, or FILLED if that came first). */
void haul_flow_withdraw(struct haul_flow *flow, uint32_t handle, haul_time now);

/* --- serving --- */

/* Answers WANTED. `slot` holds the whole block of `length` bytes until SERVED. */
void haul_flow_serve(struct haul_flow *flow, uint32_t handle, const uint8_t *slot, uint32_t length,
                     haul_time now);
void haul_flow_refuse(struct haul_flow *flow, uint32_t handle, enum haul_refusal reason,
                      uint32_t retry_ms, haul_time now);

/* What is told to the control plane of a want that was refused, at either end. */
enum haul_status haul_flow_refusal_status(enum haul_refusal reason);

/* Takes a serving slot back from a peer that acknowledged nothing for 3 probe timeouts: true when
 * the flow let go (SERVED follows); the want is answered busy. */
bool haul_flow_reclaim(struct haul_flow *flow, uint32_t handle, haul_time now);

/* Says good-bye (sent a few times, never acknowledged) and ends: DOWN follows. */
void haul_flow_close(struct haul_flow *flow, haul_time now);

/* True when the flow has something to send now and is held by neither pace nor window. */
bool haul_flow_ready(const struct haul_flow *flow, haul_time now);

enum haul_flow_event_kind {
    HAUL_FLOW_UP,        /* a path is proven; length is the payload class */
    HAUL_FLOW_DOWN,      /* status: UNPROVEN, SILENT or CLOSED; last event, after every want's */
    HAUL_FLOW_FILLING,   /* handle, tag: the first `length` bytes (from offset on) are there. Given
                            when it grew by 64 KiB or more, so that the hash runs on warm bytes */
    HAUL_FLOW_FILLED,    /* handle, tag: all `length` bytes are there; give the verdict */
    HAUL_FLOW_REFUSED,   /* handle, tag, refusal, retry_ms; the want has ended */
    HAUL_FLOW_WITHDRAWN, /* handle, tag; the want has ended */
    HAUL_FLOW_WANTED,    /* handle (the peer's), hash, offset, length: serve or refuse it */
    HAUL_FLOW_SERVED, /* handle (the peer's), status: DONE, WITHDRAWN or SILENT; the slot is free */
};

struct haul_flow_event {
    enum haul_flow_event_kind kind;
    enum haul_status status;
    enum haul_refusal refusal;
    uint32_t handle;
    uint32_t offset;
    uint32_t length;
    uint32_t retry_ms;
    uint64_t tag;
    struct haul_hash hash;
};

/* Takes the next event; false when there is none. Events are bounded by wants and serves. */
bool haul_flow_event(struct haul_flow *flow, struct haul_flow_event *event);

/* Checks every invariant; for tests and the simulator. Returns NULL or what is broken. */
const char *haul_flow_broken(const struct haul_flow *flow);
