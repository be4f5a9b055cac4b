/* Perf (libp2p specs, perf/perf.md): the opener writes how many bytes it wants, as eight bytes
 * big-endian, then any number of bytes, and closes its half; the other reads to that end and only
 * then writes so many bytes and closes.
 *
 * A peer that may ask for 2^64-1 bytes costs processor and line, never memory: the answer is
 * written as the window takes it, from one page. A node answers only when it was told to
 * (haul_perf_open), and only within its limits: a stream that reaches one is reset, and counted.
 * Control thread only. */
#pragma once

#include "controlplane/host/host.h"

#define HAUL_PERF_STREAMS_MAX 128u                          /* of one peer at once */
#define HAUL_PERF_WINDOW_MAX  (uint32_t)(256u << 20)        /* of one stream */
#define HAUL_PERF_IDLE_MAX    (30 * HAUL_SECOND)            /* without a byte */
#define HAUL_PERF_BYTES_MAX   (uint64_t)(UINT64_C(1) << 40) /* default limits of one stream, both */
#define HAUL_PERF_TIME_MAX    (600 * HAUL_SECOND)           /*   directions together */

/* --- answering --- */

struct haul_perf_conf {
    uint64_t bytes_max; /* 0: the default */
    haul_time time_max; /* 0: the default */
    void *context;
    bool (*allowed)(void *context, const struct haul_peer_id *peer); /* NULL: everybody */
};

#define HAUL_PERF_COUNTERS(X)                                                                      \
    X(streams, "rate tests begun by peers")                                                        \
    X(refused, "rate tests of peers that may not")                                                 \
    X(cut, "rate tests ended because they reached the limit of bytes or time")                     \
    X(rx_bytes, "bytes received in rate tests of peers")                                           \
    X(tx_bytes, "bytes sent in rate tests of peers")

struct haul_perf_counters {
#define X(name, help) uint64_t name;
    HAUL_PERF_COUNTERS(X)
#undef X
};

struct haul_perf;

extern const struct haul_behaviour haul_perf_behaviour; /* with its service: who answers */

/* NULL without memory. Outlives the host that speaks its behaviour. */
struct haul_perf *haul_perf_open(const struct haul_perf_conf *conf);
void haul_perf_close(struct haul_perf *perf);
const struct haul_perf_counters *haul_perf_counters(const struct haul_perf *perf);

/* --- asking --- */

struct haul_perf_result {
    bool complete;     /* all went up, and exactly what was asked for came down */
    bool refused;      /* the peer does not speak it */
    uint64_t up, down; /* bytes that went */
    haul_time opened;  /* when the first byte was written */
    haul_time turned;  /* the peer's first byte, or its end when nothing was asked for */
    haul_time ended;
};

typedef void haul_perf_fn(void *context, const struct haul_perf_result *result);

/* One stream: sends `up` bytes and asks for `down`. False when no stream could be opened; then
 * `done` is not called, otherwise once. Several may run at once. */
HAUL_MUST_USE bool haul_perf_ask(struct haul_host *host, uint64_t connection, uint64_t up,
                                 uint64_t down, haul_perf_fn *done, void *context);
