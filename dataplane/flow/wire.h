/* What is on the wire, and nothing else: the 24-byte clear header of every datagram and the frames
 * inside a control datagram (docs/WIRE.md, field by field). Only wire.c knows offsets. Decoders are
 * total: any bytes give a frame or false, and nothing is read beyond them. */
#pragma once

#include "common/bytes.h"
#include "common/hash.h"

#include <string.h>

#define HAUL_WIRE_VERSION     1u
#define HAUL_WIRE_HEAD_BYTES  24u
#define HAUL_WIRE_TAG_BYTES   16u
#define HAUL_WIRE_OVERHEAD    (HAUL_WIRE_HEAD_BYTES + HAUL_WIRE_TAG_BYTES)
#define HAUL_WIRE_UNIT        64u /* grain of offsets and bitmaps */
#define HAUL_WIRE_UNITS       (HAUL_BLOCK_BYTES_MAX / HAUL_WIRE_UNIT) /* of a whole block */
#define HAUL_WIRE_PAYLOAD_MAX 8192u                                   /* the largest class */
#define HAUL_WIRE_PROBE_BYTES 100u                                    /* a path probe, all of it */
#define HAUL_WIRE_PHASES      4u                                      /* key generations, modulo */

enum haul_wire_type { HAUL_WIRE_DATA, HAUL_WIRE_CONTROL };

struct haul_wire_head {
    uint8_t type;   /* enum haul_wire_type */
    uint8_t phase;  /* key generation modulo HAUL_WIRE_PHASES */
    uint16_t class; /* data: units in a full datagram of its sender; control: zero */
    uint32_t receiver;
    uint64_t number;
    uint32_t handle; /* data only, as `unit` */
    uint32_t unit;   /* offset in the block, in units */
};

void haul_wire_head_write(const struct haul_wire_head *head, uint8_t to[HAUL_WIRE_HEAD_BYTES]);

/* False when `bytes` is less than header and tag, or for another version or a broken rule. */
bool haul_wire_head_read(const uint8_t *data, size_t bytes, struct haul_wire_head *head);

/* The header that the next datagram of a row has: as the one before, one number and one full
 * datagram of the block later. */
struct haul_wire_next {
    uint64_t words[HAUL_WIRE_HEAD_BYTES / 8];
    uint64_t step;
};

/* `before` is the header of a data datagram, read and found good as `head`. */
void haul_wire_next_init(struct haul_wire_next *next, const uint8_t before[HAUL_WIRE_HEAD_BYTES],
                         const struct haul_wire_head *head);

static inline bool haul_wire_next_is(const struct haul_wire_next *next,
                                     const uint8_t data[HAUL_WIRE_HEAD_BYTES])
{
    uint64_t words[HAUL_WIRE_HEAD_BYTES / 8];

    memcpy(words, data, sizeof words);
    return words[0] == next->words[0] && words[1] == next->words[1] && words[2] == next->words[2];
}

static inline void haul_wire_next_step(struct haul_wire_next *next)
{
    next->words[1]++;
    next->words[2] += next->step;
}

enum haul_frame_type {
    HAUL_FRAME_PADDING,
    HAUL_FRAME_PING,
    HAUL_FRAME_ACK,
    HAUL_FRAME_SLOT,
    HAUL_FRAME_WANT,
    HAUL_FRAME_ACCEPT,
    HAUL_FRAME_REFUSE,
    HAUL_FRAME_WITHDRAW,
    HAUL_FRAME_FINISHED,
    HAUL_FRAME_CHALLENGE,
    HAUL_FRAME_RESPONSE,
    HAUL_FRAME_BYE,
    HAUL_FRAME_TYPES
};

#define HAUL_FRAME_HEAD_BYTES 3u
#define HAUL_ACK_RANGES_MAX   128u  /* of one frame */
#define HAUL_SLOT_BYTES_MAX   1024u /* of one bitmap window */

/* Numbers first..last, both arrived. */
struct haul_range {
    uint64_t first;
    uint64_t last;
};

struct haul_ack {
    uint32_t delay_us; /* since ranges[0].last arrived */
    uint64_t ect;      /* datagrams that arrived marked ECT(0) or ECT(1), ever */
    uint64_t ce;       /* ... marked CE */
    size_t count;      /* at least one */
    struct haul_range ranges[HAUL_ACK_RANGES_MAX]; /* newest first, with gaps between */
};

struct haul_slot_window {
    uint32_t handle;
    uint16_t from; /* every unit of the want before this one is there */
    uint16_t bytes;
    const uint8_t *bits; /* bit i of byte k: unit from + 8k + i; in the datagram */
};

enum haul_finish {
    HAUL_FINISH_VERIFIED = 1, /* asker: the hash held */
    HAUL_FINISH_WRONG,        /* asker: it did not */
    HAUL_FINISH_OVER,         /* seeder: that want of yours has ended long ago */
};

struct haul_frame {
    uint8_t type; /* enum haul_frame_type */
    union {
        struct haul_ack ack;
        struct haul_slot_window slot;
        struct {
            uint32_t handle;
            uint32_t offset;
            uint32_t length;
            uint16_t class; /* largest payload class the asker takes for it, in units */
            struct haul_hash hash;
        } want;
        struct {
            uint32_t handle;
            uint32_t length;
        } accept;
        struct {
            uint32_t handle;
            uint32_t retry_ms;
            uint8_t reason;
        } refuse;
        struct {
            uint32_t handle;
            uint8_t how;  /* enum haul_finish */
        } end;            /* withdraw (how is not sent) and finished */
        uint64_t token;   /* challenge and response */
        uint32_t padding; /* body bytes */
    };
};

/* Reads the next frame; false at the end and for anything malformed: then `in->bad` tells which. */
bool haul_frame_read(struct haul_in *in, struct haul_frame *frame);

/* Writes a frame whole, or nothing and false. An ack may be cut to its newest ranges to fit. */
bool haul_frame_write(struct haul_out *out, const struct haul_frame *frame);

/* True for frames whose datagram wants to be acknowledged. */
bool haul_frame_eliciting(uint8_t type);
