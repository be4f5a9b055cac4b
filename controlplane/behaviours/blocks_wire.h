/* Messages of /haul/blocks/1 (docs/WIRE.md, "Blocks over a stream"): fixed sizes, little-endian.
 * Pure. */
#pragma once

#include "common/bytes.h"
#include "common/cid.h"

#define HAUL_BLOCKS_REQUEST_BYTES 80u
#define HAUL_BLOCKS_ANSWER_BYTES  16u

enum haul_blocks_status {
    HAUL_BLOCKS_OK,
    HAUL_BLOCKS_UNKNOWN, /* not shared with us, not in the dataset, or not there */
    HAUL_BLOCKS_BUSY,
    HAUL_BLOCKS_FAILED, /* the answerer's store */
    HAUL_BLOCKS_LOST,   /* never on the wire: the stream ended first */
};

struct haul_blocks_request {
    struct haul_cid root;
    struct haul_hash hash;
    uint32_t offset;
    uint32_t length; /* 0: all from the offset on */
};

struct haul_blocks_answer {
    enum haul_blocks_status status;
    uint16_t retry_ms;
    uint32_t total; /* of the whole block; this and the next two are zero unless OK */
    uint32_t offset;
    uint32_t count; /* bytes that follow */
};

void haul_blocks_request_encode(const struct haul_blocks_request *request,
                                uint8_t data[HAUL_BLOCKS_REQUEST_BYTES]);
HAUL_MUST_USE bool haul_blocks_request_decode(const uint8_t *data, size_t bytes,
                                              struct haul_blocks_request *request);

void haul_blocks_answer_encode(const struct haul_blocks_answer *answer,
                               uint8_t data[HAUL_BLOCKS_ANSWER_BYTES]);
HAUL_MUST_USE bool haul_blocks_answer_decode(const uint8_t *data, size_t bytes,
                                             struct haul_blocks_answer *answer);

/* The range that answers a request out of a block of `total` bytes: what an answerer sends, and
 * what an asker checks. */
void haul_blocks_range(const struct haul_blocks_request *request, uint32_t total, uint32_t *offset,
                       uint32_t *count);
