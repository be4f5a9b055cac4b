/* Congestion control of one path: how much may be in flight, and how fast it may leave. Pure
 * arithmetic on integers, so that a seed gives the same trace with any compiler. One const table an
 * algorithm; the flow knows only the functions below. */
#pragma once

#include "common/handoff.h"
#include "common/time.h"

struct haul_rate {
    enum haul_congestion kind;
    _Alignas(16) uint8_t space[1024]; /* the algorithm's own state */
};

struct haul_rate_conf {
    enum haul_congestion kind;
    uint32_t datagram_bytes; /* a full datagram on the wire, may change with haul_rate_resize */
    uint64_t rate_max;       /* bytes a second, 0 for none; the rate itself for FIXED */
};

/* What one acknowledgement (or a declaration of loss without one) taught. */
struct haul_rate_sample {
    haul_time now;
    haul_time rtt;              /* of the newest datagram acknowledged; 0 when there is none */
    uint64_t acked_bytes;       /* newly acknowledged */
    uint64_t lost_bytes;        /* newly declared lost */
    uint64_t in_flight;         /* bytes in flight after both */
    uint64_t delivered;         /* total acknowledged so far, this sample included */
    uint64_t delivered_at_send; /* that total when the newest acknowledged datagram left */
    haul_time interval;         /* over which delivered - delivered_at_send came: the longer of the
                                   time between the two acknowledgements and the time between the
                                   sendings of the datagrams that they were for; 0: none */
    uint64_t ce_datagrams;      /* newly reported congestion marks */
    bool app_limited; /* the newest acknowledged datagram left when there was nothing more */
};

void haul_rate_init(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now);
void haul_rate_resize(struct haul_rate *rate, uint32_t datagram_bytes);
void haul_rate_on_sent(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                       haul_time now);
void haul_rate_on_sample(struct haul_rate *rate, const struct haul_rate_sample *sample);
void haul_rate_on_spurious(struct haul_rate *rate, uint64_t bytes, haul_time now);

/* Nothing was acknowledged over several probe timeouts: start again from the first window. */
void haul_rate_on_silence(struct haul_rate *rate, haul_time now);

/* Bytes that may be in flight, and bytes a second (UINT64_MAX: not paced). */
uint64_t haul_rate_window(const struct haul_rate *rate);
uint64_t haul_rate_pace(const struct haul_rate *rate);

/* FIXED only: loss passed the circuit breaker, the transfer must stop. */
bool haul_rate_tripped(const struct haul_rate *rate);
const char *haul_rate_name(enum haul_congestion kind);
