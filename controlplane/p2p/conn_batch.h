/* A connection's bulk, sealed and opened by other threads. The machine stays one thread's: it hands
 * out batches of whole messages that lie in its buffers, and goes on with them when they have come
 * back; what they hold is sent, and fed to the muxer, in the order of the messages, whichever
 * batch came back first.
 *
 * Where a connection defers, bulk to be sent is laid out with room for its tag, one copy more
 * than without. What nobody asks for, as it is too little to be worth a thread, is sealed by
 * haul_conn_output and opened by haul_conn_event, at once unless it is behind a batch. Of TLS and
 * in private networks nothing is deferred. */
#pragma once

#include "controlplane/p2p/noise_batch.h"

#define HAUL_CONN_BATCH_BYTES_MIN (64u << 10)
#define HAUL_CONN_BATCH_BYTES_MAX (256u << 10) /* and one message at most */
#define HAUL_CONN_BATCHES_MAX     8u           /* of one direction at a time */

struct haul_conn;

/* The caller's memory, in which a batch is out; `owner` is the caller's. */
struct haul_conn_batch {
    struct haul_noise_batch noise;
    uint32_t place;
    void *owner;
};

/* Inside of the machine: the batches of one direction, the oldest first. */
struct haul_conn_batches {
    struct haul_conn_place {
        size_t at;         /* in its buffer */
        uint32_t messages; /* opening: that were not fed to the muxer yet */
        uint32_t good;     /* of these, from the first on */
        bool back;
    } places[HAUL_CONN_BATCHES_MAX];
    uint32_t head, count;
};

/* The next batch to be sealed, or opened: filled into one of `batches` (HAUL_CONN_BATCHES_MAX, of
 * this connection and direction alone) that is not out. NULL when too little waits, or too many
 * are out. It must be run (haul_noise_batch_run, on any thread) and then come back unless the
 * machine is no more; batches and buffers live until all have been run. */
struct haul_conn_batch *haul_conn_defer_seal(struct haul_conn *conn,
                                             struct haul_conn_batch *batches);
struct haul_conn_batch *haul_conn_defer_open(struct haul_conn *conn,
                                             struct haul_conn_batch *batches);

/* Whether one of these may be due. */
bool haul_conn_defer_due(const struct haul_conn *conn);

/* In whatever order. Then pull events and output. */
void haul_conn_batch_back(struct haul_conn *conn, const struct haul_conn_batch *batch);
