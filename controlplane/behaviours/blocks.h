/* /haul/blocks/1: blocks of shared datasets over an ordinary stream (docs/WIRE.md, "Blocks over a
 * stream"). One service a node answers peers and is what clients are opened from. Control thread
 * only.
 *
 * The service stands beside haul_blocks_behaviour in the host's list: open it before the host and
 * close it after the host and after the data plane's last order has come back. */
#pragma once

#include "controlplane/behaviours/blocks_wire.h"
#include "controlplane/datasets/catalog.h"
#include "controlplane/host/host.h"
#include "controlplane/seam/orders.h"

#define HAUL_BLOCKS_PROTOCOL         "/haul/blocks/1"
#define HAUL_BLOCKS_WINDOW_BYTES     (16u << 20)
#define HAUL_BLOCKS_STREAMS_PER_PEER 8u
#define HAUL_BLOCKS_ANSWERS_MAX      16u /* of one stream at a time */
#define HAUL_BLOCKS_FETCHES_MAX      64u /* outstanding of one client */
#define HAUL_BLOCKS_PATIENCE         (30 * HAUL_SECOND)

#define HAUL_BLOCKS_COUNTERS(X)                                                                    \
    X(requests, "requests of peers")                                                               \
    X(answered, "requests answered with bytes")                                                    \
    X(answered_bytes, "bytes of blocks sent")                                                      \
    X(unknown, "requests for what the peer may not have or we do not have")                        \
    X(failed, "requests that failed in the store")                                                 \
    X(malformed, "streams reset because of a malformed request")                                   \
    X(held, "times a stream was held back because it had too many requests in progress")           \
    X(fetched, "blocks or ranges received")                                                        \
    X(fetched_bytes, "bytes of blocks received")                                                   \
    X(broken, "streams reset because an answer contradicted its request")                          \
    X(stalled, "streams reset because no answer came in time")

struct haul_blocks_counters {
#define X(name, help) uint64_t name;
    HAUL_BLOCKS_COUNTERS(X)
#undef X
};

struct haul_blocks;

extern const struct haul_behaviour haul_blocks_behaviour;

HAUL_MUST_USE int haul_blocks_open(struct haul_blocks **blocks, struct haul_orders *orders,
                                   const struct haul_catalog *catalog, struct haul_error *error);
void haul_blocks_close(struct haul_blocks *blocks);
const struct haul_blocks_counters *haul_blocks_counters(const struct haul_blocks *blocks);

/* --- asking: one client a stream --- */

struct haul_blocks_client;

/* The stream is gone; every fetch has been told LOST before. REFUSED: the peer does not speak the
 * protocol; PEER_PROTOCOL: it broke it; TIMEOUT: no byte for HAUL_BLOCKS_PATIENCE while an answer
 * was due; PEER_GONE. Not called after haul_blocks_client_close. */
typedef void haul_blocks_ended_fn(void *context, enum haul_error_code why);

/* `answer` is meaningful for OK (total, offset, count: the bytes are at slot + offset) and BUSY
 * (retry_ms). Called once for each fetch, in order. May fetch, cancel and close. */
typedef void haul_blocks_done_fn(void *context, enum haul_blocks_status status,
                                 const struct haul_blocks_answer *answer);

/* NULL when the connection is gone, or for now at a limit of streams. */
struct haul_blocks_client *haul_blocks_client_open(struct haul_blocks *blocks,
                                                   struct haul_host *host, uint64_t connection,
                                                   haul_blocks_ended_fn *ended, void *context);

/* Asks for a range of a block; its bytes go to slot + their offset in the block (`slot` has room
 * for a whole block and is borrowed until done). The hash is the caller's to check. False when
 * HAUL_BLOCKS_FETCHES_MAX are outstanding or the stream is gone: `done` is not called. */
HAUL_MUST_USE bool haul_blocks_fetch(struct haul_blocks_client *client,
                                     const struct haul_blocks_request *request, uint8_t *slot,
                                     haul_blocks_done_fn *done, void *context);

/* Lets go of the slot at once: what still comes is dropped, and `done` is not called. The place in
 * the line is taken until then. */
void haul_blocks_cancel(struct haul_blocks_client *client, void *context);

/* Fetches end without `done`. NULL is welcome. */
void haul_blocks_client_close(struct haul_blocks_client *client);
