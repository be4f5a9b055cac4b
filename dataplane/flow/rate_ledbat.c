/* LEDBAT (RFC 6817 with the corrections of LEDBAT++): a scavenger that leaves when others queue.
 * Queueing delay is the round trip above the least one seen in the last minutes. Below the target
 * the window grows by at most a datagram a round trip, above it the window shrinks in proportion,
 * at most by half a round trip; loss halves it once a round trip. Now and then it stands back for
 * two round trips, so that a standing queue of its own is not taken for the path's length. */
#include "dataplane/flow/rate_algorithm.h"

#define LEDBAT_TARGET          (60 * HAUL_MILLISECOND)
#define LEDBAT_BASES           4u /* history of least round trips, one of each span */
#define LEDBAT_BASE_SPAN       (60 * HAUL_SECOND)
#define LEDBAT_SLOWDOWN_FACTOR 9u /* nine parts at work, one standing back */

enum ledbat_mode { LEDBAT_START, LEDBAT_STEADY, LEDBAT_STAND_BACK };

struct ledbat {
    uint32_t datagram;
    enum ledbat_mode mode;
    uint64_t rate_max;
    uint64_t window;
    uint64_t window_before; /* what the stand-back left, and grows back to at once */
    haul_time rtt;          /* smoothed */
    haul_time base[LEDBAT_BASES];
    haul_time base_since;
    uint32_t base_at;
    haul_time cut_at; /* last halving */
    haul_time mode_since;
    haul_time next_stand_back;
};

_Static_assert(sizeof(struct ledbat) <= sizeof((struct haul_rate *)0)->space, "fits its space");

static struct ledbat *state(struct haul_rate *rate)
{
    return (struct ledbat *)(void *)rate->space;
}

static const struct ledbat *view(const struct haul_rate *rate)
{
    return (const struct ledbat *)(const void *)rate->space;
}

static void restart(struct ledbat *ledbat, haul_time now)
{
    ledbat->mode = LEDBAT_START;
    ledbat->window = (uint64_t)HAUL_RATE_FIRST_DATAGRAMS * ledbat->datagram;
    ledbat->window_before = 0;
    ledbat->mode_since = now;
    ledbat->next_stand_back = HAUL_TIME_NEVER;
}

static void ledbat_init(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now)
{
    struct ledbat *ledbat = state(rate);

    *ledbat = (struct ledbat){
        .datagram = conf->datagram_bytes,
        .rate_max = conf->rate_max,
        .base_since = now,
    };
    for (uint32_t i = 0; i < LEDBAT_BASES; i++)
        ledbat->base[i] = HAUL_TIME_NEVER;
    restart(ledbat, now);
}

static void ledbat_resize(struct haul_rate *rate, uint32_t datagram_bytes)
{
    state(rate)->datagram = datagram_bytes;
}

static void ledbat_on_sent(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                           haul_time now)
{
}

static haul_time base_rtt(const struct ledbat *ledbat)
{
    haul_time least = HAUL_TIME_NEVER;

    for (uint32_t i = 0; i < LEDBAT_BASES; i++)
        least = haul_time_min(least, ledbat->base[i]);
    return least;
}

static void learn_rtt(struct ledbat *ledbat, haul_time rtt, haul_time now)
{
    if (haul_time_since(ledbat->base_since, now) >= LEDBAT_BASE_SPAN) {
        ledbat->base_since = now;
        ledbat->base_at = (ledbat->base_at + 1) % LEDBAT_BASES;
        ledbat->base[ledbat->base_at] = rtt;
    }
    ledbat->base[ledbat->base_at] = haul_time_min(ledbat->base[ledbat->base_at], rtt);
    ledbat->rtt = ledbat->rtt == 0 ? rtt : (7 * ledbat->rtt + rtt) / 8;
}

static uint64_t least_window(const struct ledbat *ledbat)
{
    return (uint64_t)HAUL_RATE_LEAST_DATAGRAMS * ledbat->datagram;
}

static void enter_steady(struct ledbat *ledbat, haul_time now)
{
    haul_time worked = haul_time_since(ledbat->mode_since, now);

    ledbat->mode = LEDBAT_STEADY;
    ledbat->mode_since = now;
    ledbat->next_stand_back =
        haul_time_add(now, haul_time_max(LEDBAT_SLOWDOWN_FACTOR * worked, 10 * ledbat->rtt));
}

static void halve(struct ledbat *ledbat, haul_time now)
{
    if (haul_time_since(ledbat->cut_at, now) < ledbat->rtt)
        return;
    ledbat->cut_at = now;
    ledbat->window = haul_rate_most(ledbat->window / 2, least_window(ledbat));
    if (ledbat->mode == LEDBAT_START)
        enter_steady(ledbat, now);
}

/* One acknowledgement's share of the change that a whole window's would make. */
static void steer(struct ledbat *ledbat, haul_time queueing, uint64_t acked, haul_time now)
{
    uint64_t share = haul_rate_least(acked, ledbat->window);

    if (ledbat->mode == LEDBAT_START) {
        ledbat->window += share;
        if (ledbat->window_before > 0 && ledbat->window >= ledbat->window_before)
            enter_steady(ledbat, now);
        else if (queueing > LEDBAT_TARGET * 3 / 4)
            enter_steady(ledbat, now);
    } else if (queueing <= LEDBAT_TARGET) {
        uint64_t part = (LEDBAT_TARGET - queueing) * 256 / LEDBAT_TARGET;

        ledbat->window += haul_rate_most(
            haul_rate_scale(share, ledbat->datagram, ledbat->window) * part / 256, 1);
    } else {
        uint64_t over =
            haul_rate_least((queueing - LEDBAT_TARGET) * 256 / LEDBAT_TARGET, 128); /* half */

        ledbat->window -= haul_rate_scale(share, over, 256);
    }
    ledbat->window = haul_rate_most(ledbat->window, least_window(ledbat));
}

static void stand_back(struct ledbat *ledbat, haul_time now)
{
    if (ledbat->mode == LEDBAT_STEADY && now >= ledbat->next_stand_back) {
        ledbat->mode = LEDBAT_STAND_BACK;
        ledbat->mode_since = now;
        ledbat->window_before = ledbat->window;
        ledbat->window = least_window(ledbat);
    } else if (ledbat->mode == LEDBAT_STAND_BACK &&
               haul_time_since(ledbat->mode_since, now) >= 2 * ledbat->rtt) {
        ledbat->mode = LEDBAT_START;
    }
}

static void ledbat_on_sample(struct haul_rate *rate, const struct haul_rate_sample *sample)
{
    struct ledbat *ledbat = state(rate);
    haul_time queueing = 0;

    if (sample->rtt > 0) {
        learn_rtt(ledbat, sample->rtt, sample->now);
        queueing = haul_time_since(base_rtt(ledbat), sample->rtt);
    }
    stand_back(ledbat, sample->now);
    if (ledbat->mode == LEDBAT_STAND_BACK)
        return;
    if (sample->lost_bytes > 0 || sample->ce_datagrams > 0)
        halve(ledbat, sample->now);
    /* A window that is not used is not tested, and does not grow. */
    if (sample->acked_bytes > 0 && !sample->app_limited)
        steer(ledbat, queueing, sample->acked_bytes, sample->now);
}

static void ledbat_on_spurious(struct haul_rate *rate, uint64_t bytes, haul_time now)
{
}

static void ledbat_on_silence(struct haul_rate *rate, haul_time now)
{
    restart(state(rate), now);
}

static uint64_t ledbat_window(const struct haul_rate *rate)
{
    const struct ledbat *ledbat = view(rate);

    return haul_rate_most(ledbat->window, least_window(ledbat));
}

/* A little faster than a window a round trip, so that the window is what limits. */
static uint64_t ledbat_pace(const struct haul_rate *rate)
{
    const struct ledbat *ledbat = view(rate);
    haul_time rtt = haul_time_max(ledbat->rtt > 0 ? ledbat->rtt : 5 * HAUL_MILLISECOND, 1000);
    uint64_t pace = haul_rate_most(haul_rate_scale(haul_rate_over(ledbat->window, rtt), 5, 4), 1);

    return ledbat->rate_max > 0 ? haul_rate_least(pace, ledbat->rate_max) : pace;
}

static bool ledbat_tripped(const struct haul_rate *rate)
{
    return false;
}

const struct haul_rate_algorithm haul_rate_ledbat = {
    .name = "ledbat",
    .init = ledbat_init,
    .resize = ledbat_resize,
    .on_sent = ledbat_on_sent,
    .on_sample = ledbat_on_sample,
    .on_spurious = ledbat_on_spurious,
    .on_silence = ledbat_on_silence,
    .window = ledbat_window,
    .pace = ledbat_pace,
    .tripped = ledbat_tripped,
};
