/* Pipes: what two cores of this machine carry between two processes when nothing but the carrying
 * is left: no acknowledgements, no congestion control, no protocol. Each is the ceiling that a
 * carrier of haul is held against, so a pipe uses none of haul's nets, slots or flow code: it takes
 * the ciphers and hashes of haul, and calls the kernel (or another driver) itself.
 *
 * A run is two processes made by fork, one on each of the first two cores this process may use,
 * with a source and a sink larger than the last-level cache. The parent measures: it reads the
 * receiver's count twice and stops both. A new kind of pipe is one file that defines a struct
 * haul_pipe, and a row in the table of ceiling.c. */
#pragma once

#include "common/counters.h"
#include "common/error.h"
#include "common/handoff.h"
#include "common/hash.h"
#include "dataplane/aead/aead.h"

#define HAUL_PIPE_HEADER_BYTES  24u /* as in a datagram of haul: number, offset, the rest zero */
#define HAUL_PIPE_OVERHEAD      (HAUL_PIPE_HEADER_BYTES + HAUL_AEAD_TAG_BYTES)
#define HAUL_PIPE_PAYLOAD_MAX   65536u
#define HAUL_PIPE_DIRECTORY_MAX 80u /* a socket's path in it has 28 more */

/* What is carried, and how. */
struct haul_pipe_shape {
    uint32_t payload; /* bytes of a datagram or a frame, without header and tag */
    uint8_t cipher;   /* enum haul_cipher; NONE: the bytes are copied, no tag is checked */
    uint8_t hash;     /* multihash code with which the receiving core verifies; 0: it does not */
    bool raw;         /* the receiver does not even copy: what the carrier alone can do */
    const char *arguments; /* a pipe's own words, or NULL */
};

/* One mapping that both processes see. Each line has one writer. */
struct haul_pipe_shared {
    _Alignas(64) uint64_t received; /* the receiver: payload bytes opened (and verified) */
    uint64_t lost;                  /* ... datagrams that never came */
    uint64_t wrong;                 /* ... tags or hashes that did not hold */
    _Alignas(64) uint64_t sent;     /* the sender: payload bytes */
    _Alignas(64) uint64_t phase;    /* the parent: enum haul_pipe_phase */
    _Alignas(64) uint64_t ready[2]; /* each end: it has set up */
    _Alignas(64) struct haul_error error[2];
};

enum haul_pipe_phase {
    HAUL_PIPE_WAIT,
    HAUL_PIPE_RUN,
    HAUL_PIPE_STOP,
};

enum haul_pipe_role {
    HAUL_PIPE_RECEIVER, /* started first */
    HAUL_PIPE_SENDER,
};

/* What an end has in its hands. */
struct haul_pipe_end {
    enum haul_pipe_role role;
    struct haul_pipe_shape shape;
    const struct haul_aead *aead;
    struct haul_pipe_shared *shared;
    int fds[2];                              /* by role; made by `prepare`, -1 when it made none */
    uint64_t window;                         /* bytes that may be under way, for `prepare` to say */
    char directory[HAUL_PIPE_DIRECTORY_MAX]; /* private to this run, removed after it */
    int cpu;                                 /* this process runs there alone; -1: anywhere */

    /* The source or the sink: whole blocks of HAUL_BLOCK_BYTES_MAX with equal content, then room
     * for a payload. Made in the child. */
    uint8_t *area;
    size_t area_bytes; /* without that room */

    /* Where the end stands (pipe_end.c). */
    struct haul_aead_context key;
    uint64_t number; /* of the next datagram: nonce */
    size_t at;       /* offset in the area of the next payload */
    size_t hashed;   /* ... of the next byte to be hashed */
    struct haul_hasher hasher;
    struct haul_hash expected;
};

/* A kind of pipe. Every function returns 0, or -1 with an error. */
struct haul_pipe {
    const char *name;

    /* In the parent, before the fork: what both ends inherit (`fds`). May be NULL. */
    int (*prepare)(struct haul_pipe_end *end, struct haul_error *error);

    /* In a process of its own, whose memory is gone afterwards. Sets up, calls haul_pipe_ready and
     * returns some time after haul_pipe_running has become false. The receiver keeps `received`,
     * `lost` and `wrong` current, at least once a burst. */
    int (*receive)(struct haul_pipe_end *end, struct haul_error *error);
    int (*send)(struct haul_pipe_end *end, struct haul_error *error);
};

extern const struct haul_pipe haul_pipe_udp;
extern const struct haul_pipe haul_pipe_stream;

/* Over devices of DPDK. Huge pages are used where enough are free; then memif's sender hands over
 * its buffers instead of copying them. NOT_POSSIBLE where DPDK or its driver is not installed. */
extern const struct haul_pipe haul_pipe_memif;
extern const struct haul_pipe haul_pipe_vhost; /* virtio-user to vhost */

/* --- for the ends of a pipe (pipe_end.c) --- */

/* Tells the parent that this end is set up and waits for the start. False when the run is over
 * before it began. */
bool haul_pipe_ready(struct haul_pipe_end *end);

static inline bool haul_pipe_running(const struct haul_pipe_end *end)
{
    return haul_counter_read(&end->shared->phase) == HAUL_PIPE_RUN;
}

/* Writes the next datagram, header, payload and tag, to `to`; returns its bytes: payload +
 * HAUL_PIPE_OVERHEAD, always the same. Adds nothing to `sent`. */
size_t haul_pipe_seal(struct haul_pipe_end *end, uint8_t *to);

/* Opens one datagram to its place in the sink, and hashes what has come together in groups. Returns
 * the payload bytes; 0 when it is damaged, counted as `wrong`. */
size_t haul_pipe_open(struct haul_pipe_end *end, const uint8_t *datagram, size_t bytes);

/* --- for whoever measures --- */

struct haul_pipe_result {
    double bytes_per_second; /* of payload, opened and, if the shape says so, verified */
    uint64_t bytes;
    uint64_t lost;
    uint64_t wrong;
};

/* One run of about `span_ns` after a warm-up. `area_bytes` is rounded up to whole blocks; `aead`
 * must be of the shape's cipher. Forks: the caller has no other thread. SIGINT ends it early when
 * the caller's handler sets `*stop` (may be NULL): CANCELLED. */
HAUL_MUST_USE int haul_pipe_measure(const struct haul_pipe *pipe,
                                    const struct haul_pipe_shape *shape,
                                    const struct haul_aead *aead, size_t area_bytes,
                                    uint64_t span_ns, const volatile int *stop,
                                    struct haul_pipe_result *result, struct haul_error *error);
