/* Wants of our own: the blocks that arrive. A handle names an index (its low bits) and a generation
 * of it (the rest); generations only grow, so a handle is never used twice and a late datagram of
 * an old want finds nothing. Arrival is kept in a bitmap of 64-byte units.
 *
 * The rule of placing: a datagram whose whole range is empty is opened straight into the slot, and
 * its units are set only after its tag has held; if any unit is there already it is opened into
 * scratch, and only what is missing is copied. So a forgery can only touch bytes that the genuine
 * datagram writes again. */
#pragma once

#include "common/handoff.h"
#include "dataplane/flow/wire.h"

#define HAUL_HANDLE_INDEX_BITS  11u
#define HAUL_HANDLE_INDEX_MASK  ((1u << HAUL_HANDLE_INDEX_BITS) - 1)
#define HAUL_HANDLE_GENERATIONS (1u << (32 - HAUL_HANDLE_INDEX_BITS))
#define HAUL_FILLING_STEP       (64u << 10) /* bytes of growth worth an event */
#define HAUL_BITMAP_WORDS       (HAUL_WIRE_UNITS / 64)

enum haul_fill_state {
    HAUL_FILL_FREE,
    HAUL_FILL_ASKED, /* no answer yet */
    HAUL_FILL_OPEN,  /* accepted: data may come */
    HAUL_FILL_FULL,  /* all there; the verdict is awaited */
    HAUL_FILL_ENDED, /* refused or withdrawn; free when its event has been taken */
};

struct haul_fill {
    uint32_t generation; /* of the newest handle, zero before the first */
    uint8_t state;
    bool queued;  /* is in the queue of events */
    bool touched; /* is in the queue of slots to acknowledge */
    bool filled_due;
    uint8_t ended; /* 0, or the event kind that is due */
    uint8_t status;
    uint8_t refusal;
    uint8_t end_how; /* what the peer is told of end_handle: 0 withdrawn, else enum haul_finish */
    uint32_t end_handle;
    uint32_t retry_ms;
    uint32_t offset;  /* asked for */
    uint32_t wanted;  /* bytes asked for, 0: all */
    uint32_t length;  /* bytes that will come; known once accepted */
    uint32_t told;    /* bytes of prefix that FILLING has told */
    uint32_t missing; /* units */
    uint16_t first;   /* first unit wanted */
    uint16_t prefix;  /* first unit missing */
    uint16_t end;     /* one past the last unit wanted */
    uint16_t high;    /* one past the highest unit there */
    uint8_t *slot;
    uint64_t tag;
    struct haul_hash hash;
    uint64_t units[HAUL_BITMAP_WORDS];
};

struct haul_fills {
    struct haul_fill *fills;
    uint16_t *free; /* indexes, oldest first */
    uint16_t free_first;
    uint16_t free_count;
    uint16_t size;
    uint16_t live; /* asked, open and full */
};

void haul_fills_init(struct haul_fills *fills, struct haul_fill *memory, uint16_t *free,
                     uint16_t size);

static inline uint32_t haul_fill_index(uint32_t handle)
{
    return handle & HAUL_HANDLE_INDEX_MASK;
}

static inline uint32_t haul_fill_handle(const struct haul_fills *fills,
                                        const struct haul_fill *fill)
{
    return fill->generation << HAUL_HANDLE_INDEX_BITS | (uint32_t)(fill - fills->fills);
}

/* A new want, or NULL when all indexes are taken (or have no generation left). */
struct haul_fill *haul_fill_open(struct haul_fills *fills, const struct haul_hash *hash,
                                 uint32_t offset, uint32_t wanted, uint8_t *slot, uint64_t tag);

/* The want of a handle in any state but free, or NULL when it has ended or never was. */
struct haul_fill *haul_fill_find(struct haul_fills *fills, uint32_t handle);

/* True when the handle was in use once and its want is over: late data of it is acknowledged. */
bool haul_fill_was(const struct haul_fills *fills, uint32_t handle);

/* The block's whole length is known; false when it contradicts what was asked for. An empty want is
 * full at once. */
bool haul_fill_accept(struct haul_fill *fill, uint32_t block_length);

enum haul_target {
    HAUL_TARGET_NONE, /* not a range that this want takes */
    HAUL_TARGET_SLOT,
    HAUL_TARGET_SCRATCH,
};

/* Where to open a datagram of `bytes` at `unit`; sets *to for SLOT. */
enum haul_target haul_fill_target(struct haul_fill *fill, uint32_t unit, uint32_t bytes,
                                  uint8_t **to);

/* Its tag held. `scratch` is NULL when it was opened into the slot. Returns the bytes that were
 * missing; the fill is FULL when that was the last of them. */
uint32_t haul_fill_arrived(struct haul_fill *fill, uint32_t unit, uint32_t bytes,
                           const uint8_t *scratch);

/* How many full datagrams of `class` units may follow in order what is there; 0 when there is
 * something beyond. They go to the slot, one behind the other, from `*to` on. */
uint32_t haul_fill_row_room(const struct haul_fill *fill, uint32_t class, uint8_t **to);

/* So many units of them arrived. */
void haul_fill_row(struct haul_fill *fill, uint32_t units);

/* Bytes from the want's offset on that are there without a gap. */
uint32_t haul_fill_prefix(const struct haul_fill *fill);

/* The window of the bitmap that an acknowledgement shows; `bits` has HAUL_SLOT_BYTES_MAX bytes. */
void haul_fill_window(const struct haul_fill *fill, uint32_t handle, uint8_t *bits, size_t bits_max,
                      struct haul_slot_window *window);

/* Gives the index back. */
void haul_fill_close(struct haul_fills *fills, struct haul_fill *fill);
const char *haul_fills_broken(const struct haul_fills *fills);
