/* Congestion control that is none: a window of fixed size, in place of dataplane/flow/rate.c in one
 * build of the simulator, to show that the congestion test tells the difference. */
#include "dataplane/flow/rate.h"

uint64_t sim_window_bytes = 64 * 1448;

void haul_rate_init(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now)
{
    rate->kind = conf->kind;
}

void haul_rate_resize(struct haul_rate *rate, uint32_t datagram_bytes)
{
}

void haul_rate_on_sent(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                       haul_time now)
{
}

void haul_rate_on_sample(struct haul_rate *rate, const struct haul_rate_sample *sample)
{
}

void haul_rate_on_spurious(struct haul_rate *rate, uint64_t bytes, haul_time now)
{
}

void haul_rate_on_silence(struct haul_rate *rate, haul_time now)
{
}

uint64_t haul_rate_window(const struct haul_rate *rate)
{
    return sim_window_bytes;
}

uint64_t haul_rate_pace(const struct haul_rate *rate)
{
    return UINT64_MAX;
}

bool haul_rate_tripped(const struct haul_rate *rate)
{
    return false;
}

const char *haul_rate_name(enum haul_congestion kind)
{
    return "window";
}
