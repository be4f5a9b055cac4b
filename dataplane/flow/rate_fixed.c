/* FIXED: the rate that both configurations agreed on, whatever the network says, for rate tests.
 * A circuit breaker (RFC 8084) ends it: more than a fifth lost in each of three intervals in a row,
 * an interval being the longer of a second and five round trips. Silence counts as such an
 * interval. */
#include "dataplane/flow/rate_algorithm.h"

#define FIXED_BAD_INTERVALS 3u
#define FIXED_RTT_UNKNOWN   (250 * HAUL_MILLISECOND)

struct fixed {
    uint64_t rate;
    uint32_t datagram;
    uint32_t bad_intervals;
    bool tripped;
    haul_time rtt; /* largest of this interval and the one before */
    haul_time interval_rtt;
    haul_time interval_start;
    uint64_t acked, lost; /* in this interval */
};

_Static_assert(sizeof(struct fixed) <= sizeof((struct haul_rate *)0)->space, "fits its space");

static struct fixed *state(struct haul_rate *rate)
{
    return (struct fixed *)(void *)rate->space;
}

static const struct fixed *view(const struct haul_rate *rate)
{
    return (const struct fixed *)(const void *)rate->space;
}

static void fixed_init(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now)
{
    *state(rate) = (struct fixed){
        .rate = conf->rate_max,
        .datagram = conf->datagram_bytes,
        .interval_start = now,
    };
}

static void fixed_resize(struct haul_rate *rate, uint32_t datagram_bytes)
{
    state(rate)->datagram = datagram_bytes;
}

static void fixed_on_sent(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                          haul_time now)
{
    struct fixed *fixed = state(rate);

    /* Idle time is no evidence either way. */
    if (in_flight_before == 0 && fixed->acked == 0 && fixed->lost == 0)
        fixed->interval_start = now;
}

static void close_interval(struct fixed *fixed, bool bad, haul_time now)
{
    fixed->bad_intervals = bad ? fixed->bad_intervals + 1 : 0;
    if (fixed->bad_intervals >= FIXED_BAD_INTERVALS)
        fixed->tripped = true;
    fixed->rtt = fixed->interval_rtt > 0 ? fixed->interval_rtt : fixed->rtt;
    fixed->interval_rtt = 0;
    fixed->interval_start = now;
    fixed->acked = 0;
    fixed->lost = 0;
}

static void fixed_on_sample(struct haul_rate *rate, const struct haul_rate_sample *sample)
{
    struct fixed *fixed = state(rate);

    fixed->acked += sample->acked_bytes;
    fixed->lost += sample->lost_bytes;
    fixed->interval_rtt = haul_time_max(fixed->interval_rtt, sample->rtt);
    fixed->rtt = haul_time_max(fixed->rtt, sample->rtt);
    if (haul_time_since(fixed->interval_start, sample->now) <
        haul_time_max(HAUL_SECOND, 5 * fixed->rtt))
        return;
    close_interval(fixed, fixed->lost > (fixed->acked + fixed->lost) / 5, sample->now);
}

static void fixed_on_spurious(struct haul_rate *rate, uint64_t bytes, haul_time now)
{
    struct fixed *fixed = state(rate);

    fixed->lost -= haul_rate_least(fixed->lost, bytes);
}

static void fixed_on_silence(struct haul_rate *rate, haul_time now)
{
    close_interval(state(rate), true, now);
}

/* The window only bounds memory: twice what the rate keeps in flight, and a burst. */
static uint64_t fixed_window(const struct haul_rate *rate)
{
    const struct fixed *fixed = view(rate);
    haul_time rtt = fixed->rtt > 0 ? fixed->rtt : FIXED_RTT_UNKNOWN;

    return haul_rate_most(haul_rate_bytes(fixed->rate, 2 * rtt + 10 * HAUL_MILLISECOND),
                          (uint64_t)HAUL_RATE_FIRST_DATAGRAMS * fixed->datagram);
}

static uint64_t fixed_pace(const struct haul_rate *rate)
{
    return haul_rate_most(view(rate)->rate, 1);
}

static bool fixed_tripped(const struct haul_rate *rate)
{
    return view(rate)->tripped;
}

const struct haul_rate_algorithm haul_rate_fixed = {
    .name = "fixed",
    .init = fixed_init,
    .resize = fixed_resize,
    .on_sent = fixed_on_sent,
    .on_sample = fixed_on_sample,
    .on_spurious = fixed_on_spurious,
    .on_silence = fixed_on_silence,
    .window = fixed_window,
    .pace = fixed_pace,
    .tripped = fixed_tripped,
};
