/* The flow's side of congestion control: picks the table of the algorithm and calls it. */
#include "dataplane/flow/rate.h"

#include "dataplane/flow/rate_algorithm.h"

static const struct haul_rate_algorithm *const algorithms[] = {
    [HAUL_CONGESTION_BBR] = &haul_rate_bbr,
    [HAUL_CONGESTION_LEDBAT] = &haul_rate_ledbat,
    [HAUL_CONGESTION_FIXED] = &haul_rate_fixed,
};

static const struct haul_rate_algorithm *algorithm(enum haul_congestion kind)
{
    haul_assert((size_t)kind < HAUL_COUNT_OF(algorithms));
    return algorithms[kind];
}

void haul_rate_init(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now)
{
    haul_assert(conf->datagram_bytes > 0);
    *rate = (struct haul_rate){ .kind = conf->kind };
    algorithm(rate->kind)->init(rate, conf, now);
}

void haul_rate_resize(struct haul_rate *rate, uint32_t datagram_bytes)
{
    haul_assert(datagram_bytes > 0);
    algorithm(rate->kind)->resize(rate, datagram_bytes);
}

void haul_rate_on_sent(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                       haul_time now)
{
    algorithm(rate->kind)->on_sent(rate, bytes, in_flight_before, now);
}

void haul_rate_on_sample(struct haul_rate *rate, const struct haul_rate_sample *sample)
{
    algorithm(rate->kind)->on_sample(rate, sample);
}

void haul_rate_on_spurious(struct haul_rate *rate, uint64_t bytes, haul_time now)
{
    algorithm(rate->kind)->on_spurious(rate, bytes, now);
}

void haul_rate_on_silence(struct haul_rate *rate, haul_time now)
{
    algorithm(rate->kind)->on_silence(rate, now);
}

uint64_t haul_rate_window(const struct haul_rate *rate)
{
    return algorithm(rate->kind)->window(rate);
}

uint64_t haul_rate_pace(const struct haul_rate *rate)
{
    return algorithm(rate->kind)->pace(rate);
}

bool haul_rate_tripped(const struct haul_rate *rate)
{
    return algorithm(rate->kind)->tripped(rate);
}

const char *haul_rate_name(enum haul_congestion kind)
{
    return algorithm(kind)->name;
}
