/* What an algorithm of congestion control fills in, and the arithmetic they share. Only rate.c and
 * the rate_*.c files include this. Rates are bytes a second, spans nanoseconds. */
#pragma once

#include "dataplane/flow/rate.h"

#define HAUL_RATE_FIRST_DATAGRAMS 64u /* the first window */
#define HAUL_RATE_LEAST_DATAGRAMS 4u  /* no window is smaller */

struct haul_rate_algorithm {
    const char *name;
    void (*init)(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now);
    void (*resize)(struct haul_rate *rate, uint32_t datagram_bytes);
    void (*on_sent)(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                    haul_time now);
    void (*on_sample)(struct haul_rate *rate, const struct haul_rate_sample *sample);
    void (*on_spurious)(struct haul_rate *rate, uint64_t bytes, haul_time now);
    void (*on_silence)(struct haul_rate *rate, haul_time now);
    uint64_t (*window)(const struct haul_rate *rate);
    uint64_t (*pace)(const struct haul_rate *rate);
    bool (*tripped)(const struct haul_rate *rate);
};

extern const struct haul_rate_algorithm haul_rate_bbr;
extern const struct haul_rate_algorithm haul_rate_ledbat;
extern const struct haul_rate_algorithm haul_rate_fixed;

static inline uint64_t haul_rate_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t haul_rate_most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* value * up / down for small factors, without overflow (rounded down in steps when large). */
static inline uint64_t haul_rate_scale(uint64_t value, uint64_t up, uint64_t down)
{
    return value <= UINT64_MAX / up ? value * up / down : value / down * up;
}

/* Bytes that `rate` moves in `span`. Exact while the product fits, else to a microsecond; the
 * result is capped far above any real window. */
static inline uint64_t haul_rate_bytes(uint64_t rate, haul_time span)
{
    uint64_t micro;

    if (rate == 0 || span <= UINT64_MAX / rate)
        return rate * span / HAUL_SECOND;
    micro = span / HAUL_MICROSECOND;
    if (micro > UINT64_MAX / rate)
        return UINT64_MAX / 16;
    return rate * micro / 1000000u;
}

/* The rate of `bytes` in `span`, which is not zero. */
static inline uint64_t haul_rate_over(uint64_t bytes, haul_time span)
{
    if (bytes <= UINT64_MAX / HAUL_SECOND)
        return bytes * HAUL_SECOND / span;
    return haul_rate_least(bytes / span, UINT64_MAX / 16 / HAUL_SECOND) * HAUL_SECOND;
}
