/* BBR-like: a model of the path instead of a reaction to single losses. Bandwidth is the largest
 * delivery rate over the last rounds, the least round trip is the path without queues; their
 * product bounds what is in flight and the bandwidth paces it. STARTUP grows until the bandwidth
 * stops growing, DRAIN empties the queue that made, PROBE_BW cycles: a round a quarter faster, a
 * round to see what came of it (and again if it grew), a slower one, five at the estimate.
 * PROBE_RTT, when the least round trip has grown old, lets the queue run empty to see it again.
 *
 * Two things tell that the path has become slower before the filter forgets: more than 2 % lost in
 * a round, or delivery well below the estimate while the round trips grow. Both cut the estimate to
 * what is being delivered, drain, and start the filter anew. Random loss below the ceiling changes
 * nothing. A round lasts at least a millisecond, so that the moods of a scheduler on a path of
 * microseconds do not pass for the network's. */
#include "dataplane/flow/rate_algorithm.h"

#define BBR_ROUNDS         10u  /* of the bandwidth filter */
#define BBR_UNIT           256u /* gains are in 256ths */
#define BBR_ROUND_LEAST    HAUL_MILLISECOND
#define BBR_RTT_LIFE       (10 * HAUL_SECOND)
#define BBR_HEADROOM       (2 * HAUL_MILLISECOND) /* of bandwidth: acknowledgements clump */
#define BBR_LOSS_PART      50u                    /* one in 50 lost is the ceiling ... */
#define BBR_LOSS_DATAGRAMS 4u                     /* ... and not fewer than these */
#define BBR_FULL_ROUNDS    3u
#define BBR_CRUISE_ROUNDS  5u
#define BBR_DOWN_ROUNDS    4u
#define BBR_CLEAN_ROUNDS   8u /* without excess loss, and the window is wide again */

enum bbr_mode {
    BBR_STARTUP,
    BBR_DRAIN,
    BBR_UP,
    BBR_HOLD,
    BBR_DOWN,
    BBR_CRUISE,
    BBR_PROBE_RTT,
    BBR_MODES
};

/* [1]: for a while after excess loss. */
struct bbr_gains {
    uint16_t pace[2];
    uint16_t window[2];
};

static const struct bbr_gains gains[BBR_MODES] = {
    [BBR_STARTUP] = { { 709, 709 }, { 640, 640 } }, /* 2.77 and 2.5 */
    [BBR_DRAIN] = { { 92, 92 }, { 512, 512 } },     /* 0.36 and 2 */
    [BBR_UP] = { { 320, 288 }, { 576, 384 } },      /* 1.25, 1.125 */
    [BBR_HOLD] = { { 256, 256 }, { 576, 384 } },
    [BBR_DOWN] = { { 192, 192 }, { 512, 320 } }, /* 0.75 */
    [BBR_CRUISE] = { { 256, 256 }, { 512, 320 } },
    [BBR_PROBE_RTT] = { { 256, 256 }, { 128, 128 } },
};

struct bbr {
    uint32_t datagram;
    enum bbr_mode mode;
    uint64_t rate_max;

    uint64_t bandwidth[BBR_ROUNDS]; /* largest sample of each of the last rounds */
    uint32_t newest;
    uint64_t best;  /* largest of them */
    uint64_t last;  /* newest sample */
    uint64_t bound; /* lower bandwidth that a cut imposed; 0 for none */
    uint64_t bound_least;
    uint64_t before_cut; /* the estimate, should the loss prove spurious */
    uint64_t lost_at_cut;
    uint64_t spurious;

    haul_time rtt_least;
    haul_time rtt_least_at;
    haul_time rtt_fresh;     /* least of this PROBE_RTT */
    haul_time probe_rtt_end; /* HAUL_TIME_NEVER until the queue is empty */

    uint64_t round;
    uint64_t round_end; /* `delivered` at which the round is over */
    haul_time round_started;
    haul_time round_rtt; /* least of the round; 0: none yet */
    uint64_t round_acked, round_lost, round_marked;
    bool round_full;   /* it had a sample that was not limited by the application */
    bool round_excess; /* its loss was over the ceiling, and has been acted on */

    uint64_t mode_round; /* the round in which the mode began */
    uint64_t cut_round;
    haul_time follow_until; /* until then samples lower the bound of a cut */
    uint64_t excess_round;
    uint64_t full_best;
    uint32_t full_rounds;
    uint64_t up_best;     /* the estimate when UP began */
    haul_time slow_since; /* 0: delivery is as estimated */
    /* `delivered` when DRAIN or PROBE_RTT ended: what left before that left slowly by our own will,
     * or overshot in STARTUP. */
    uint64_t steady_from;
    uint64_t sample_from; /* `delivered_at_send` of the newest sample that has one */
    bool bounded;
};

_Static_assert(sizeof(struct bbr) <= sizeof((struct haul_rate *)0)->space, "fits its space");

static struct bbr *state(struct haul_rate *rate)
{
    return (struct bbr *)(void *)rate->space;
}

static const struct bbr *view(const struct haul_rate *rate)
{
    return (const struct bbr *)(const void *)rate->space;
}

static void enter(struct bbr *bbr, enum bbr_mode mode)
{
    bbr->mode = mode;
    bbr->mode_round = bbr->round;
    if (mode == BBR_UP)
        bbr->up_best = bbr->best;
}

static bool in_cycle(const struct bbr *bbr)
{
    return bbr->mode == BBR_UP || bbr->mode == BBR_HOLD || bbr->mode == BBR_DOWN ||
           bbr->mode == BBR_CRUISE;
}

static uint64_t estimate(const struct bbr *bbr)
{
    uint64_t rate = bbr->bound > 0 ? haul_rate_least(bbr->bound, bbr->best) : bbr->best;

    return bbr->rate_max > 0 ? haul_rate_least(rate, bbr->rate_max) : rate;
}

static uint64_t first_window(const struct bbr *bbr)
{
    return (uint64_t)HAUL_RATE_FIRST_DATAGRAMS * bbr->datagram;
}

/* What the path holds at `gain` times the estimate, and what burstiness adds. */
static uint64_t inflight_at(const struct bbr *bbr, uint32_t gain)
{
    uint64_t rate = estimate(bbr);
    uint64_t product = haul_rate_bytes(rate, bbr->rtt_least);

    return haul_rate_scale(product, gain, BBR_UNIT) + haul_rate_bytes(rate, BBR_HEADROOM) +
           (uint64_t)HAUL_RATE_LEAST_DATAGRAMS * bbr->datagram;
}

static void set_filter(struct bbr *bbr, uint64_t rate)
{
    for (uint32_t i = 0; i < BBR_ROUNDS; i++)
        bbr->bandwidth[i] = rate;
    bbr->best = rate;
}

static void restart(struct bbr *bbr, haul_time now)
{
    set_filter(bbr, 0);
    bbr->last = 0;
    bbr->bound = 0;
    bbr->before_cut = 0;
    bbr->full_best = 0;
    bbr->full_rounds = 0;
    bbr->slow_since = 0;
    bbr->bounded = false;
    bbr->round_started = now;
    enter(bbr, BBR_STARTUP);
}

static void bbr_init(struct haul_rate *rate, const struct haul_rate_conf *conf, haul_time now)
{
    struct bbr *bbr = state(rate);

    *bbr = (struct bbr){
        .datagram = conf->datagram_bytes,
        .rate_max = conf->rate_max,
        .rtt_least_at = now,
    };
    restart(bbr, now);
}

static void bbr_resize(struct haul_rate *rate, uint32_t datagram_bytes)
{
    state(rate)->datagram = datagram_bytes;
}

static void bbr_on_sent(struct haul_rate *rate, uint64_t bytes, uint64_t in_flight_before,
                        haul_time now)
{
}

static void learn_rtt(struct bbr *bbr, haul_time rtt, haul_time now)
{
    if (bbr->rtt_least == 0 || rtt <= bbr->rtt_least) {
        bbr->rtt_least = rtt;
        bbr->rtt_least_at = now;
    }
    bbr->round_rtt = bbr->round_rtt == 0 ? rtt : haul_time_min(bbr->round_rtt, rtt);
    if (bbr->mode == BBR_PROBE_RTT)
        bbr->rtt_fresh = bbr->rtt_fresh == 0 ? rtt : haul_time_min(bbr->rtt_fresh, rtt);
}

static bool queue_grew(const struct bbr *bbr, haul_time rtt)
{
    return rtt > bbr->rtt_least + bbr->rtt_least / 4 + HAUL_MILLISECOND;
}

/* The newest sample tells of the path and not of our own holding back. */
static bool steady(const struct bbr *bbr)
{
    return in_cycle(bbr) && bbr->sample_from >= bbr->steady_from;
}

/* The path delivers less than the estimate: go down to what it delivers, at most by 3/5 at once. */
static void cut(struct bbr *bbr, uint64_t rate, haul_time rtt, haul_time now)
{
    bbr->before_cut = bbr->best;
    bbr->lost_at_cut = bbr->round_lost;
    bbr->spurious = 0;
    bbr->bound_least = bbr->best * 2 / 5;
    bbr->bound = haul_rate_most(haul_rate_least(rate, bbr->best), bbr->bound_least);
    bbr->cut_round = bbr->round;
    bbr->follow_until = now + rtt;
    bbr->slow_since = 0;
    enter(bbr, BBR_DOWN);
}

/* While the queue of a cut drains, the link is busy and every sample is its rate. */
static void follow_cut(struct bbr *bbr, uint64_t in_flight, haul_time now)
{
    if (bbr->bound == 0)
        return;
    if (bbr->last > 0 && now <= bbr->follow_until)
        bbr->bound = haul_rate_most(haul_rate_least(bbr->bound, bbr->last), bbr->bound_least);
    if (bbr->mode == BBR_DOWN && in_flight > inflight_at(bbr, BBR_UNIT) &&
        bbr->round <= bbr->cut_round + BBR_DOWN_ROUNDS)
        return;
    set_filter(bbr, haul_rate_least(bbr->bound, bbr->best));
    bbr->bound = 0;
}

static void learn_bandwidth(struct bbr *bbr, const struct haul_rate_sample *sample)
{
    uint64_t rate;

    bbr->last = 0;
    if (sample->interval == 0 || sample->interval < bbr->rtt_least ||
        sample->delivered <= sample->delivered_at_send)
        return;
    rate = haul_rate_over(sample->delivered - sample->delivered_at_send, sample->interval);
    if (!sample->app_limited) {
        bbr->last = rate;
        bbr->round_full = true;
    } else if (rate <= bbr->best) {
        return;
    }
    bbr->bandwidth[bbr->newest] = haul_rate_most(bbr->bandwidth[bbr->newest], rate);
    bbr->best = haul_rate_most(bbr->best, rate);
}

static void watch_slowness(struct bbr *bbr, const struct haul_rate_sample *sample)
{
    haul_time span = haul_time_max(bbr->rtt_least / 2, 5 * HAUL_MILLISECOND);
    /* A slower phase of our own makes smaller samples. */
    uint64_t most = bbr->mode == BBR_DOWN ? bbr->best / 25 * 18 : bbr->best / 4 * 3;

    if (bbr->last == 0 || sample->rtt == 0 || bbr->bound > 0)
        return;
    if (!steady(bbr) || bbr->last >= most || !queue_grew(bbr, sample->rtt)) {
        bbr->slow_since = 0;
    } else if (bbr->slow_since == 0) {
        bbr->slow_since = sample->now;
    } else if (haul_time_since(bbr->slow_since, sample->now) >= span) {
        cut(bbr, bbr->last, sample->rtt, sample->now);
    }
}

/* The ceiling: act as soon as the round is over it even if all that is in flight arrives. STARTUP
 * is only stopped by a clear excess: its early rounds are few datagrams. */
static void watch_loss(struct bbr *bbr, const struct haul_rate_sample *sample, bool round_over)
{
    uint64_t total = bbr->round_acked + bbr->round_lost + (round_over ? 0 : sample->in_flight);
    uint64_t least = (uint64_t)BBR_LOSS_DATAGRAMS * bbr->datagram;
    bool excess = bbr->round_lost > total / BBR_LOSS_PART && bbr->round_lost >= least;
    bool marked = bbr->round_marked > total / 2 && bbr->round_marked >= least;

    if (bbr->round_excess || (!excess && !marked))
        return;
    if (bbr->mode == BBR_STARTUP) {
        if (!marked && (bbr->round_lost < 4 * least || bbr->round_lost < total / 10))
            return;
        enter(bbr, BBR_DRAIN);
    } else if (steady(bbr) && bbr->bound == 0) {
        cut(bbr, bbr->last > 0 ? bbr->last : bbr->best, sample->rtt, sample->now);
    }
    bbr->round_excess = true;
    bbr->bounded = true;
    bbr->excess_round = bbr->round;
}

static void check_full(struct bbr *bbr)
{
    if (!bbr->round_full || bbr->best == 0)
        return;
    if (bbr->best >= bbr->full_best + bbr->full_best / 4) {
        bbr->full_best = bbr->best;
        bbr->full_rounds = 0;
        return;
    }
    /* No growth and a queue: that is what a full path looks like, no need to see it again. */
    bbr->full_rounds += queue_grew(bbr, bbr->round_rtt) ? BBR_FULL_ROUNDS : 1;
    if (bbr->full_rounds >= BBR_FULL_ROUNDS)
        enter(bbr, BBR_DRAIN);
}

static void advance_filter(struct bbr *bbr)
{
    if (!bbr->round_full)
        return; /* nothing was learnt: the estimate stays as old as it is */
    bbr->newest = (bbr->newest + 1) % BBR_ROUNDS;
    bbr->bandwidth[bbr->newest] = 0;
    bbr->best = 0;
    for (uint32_t i = 0; i < BBR_ROUNDS; i++)
        bbr->best = haul_rate_most(bbr->best, bbr->bandwidth[i]);
}

static void start_round(struct bbr *bbr, const struct haul_rate_sample *sample)
{
    if (bbr->mode == BBR_STARTUP)
        check_full(bbr);
    advance_filter(bbr);
    if (bbr->bounded && bbr->round >= bbr->excess_round + BBR_CLEAN_ROUNDS)
        bbr->bounded = false;
    bbr->round++;
    bbr->round_end = sample->delivered;
    bbr->round_started = sample->now;
    bbr->round_rtt = 0;
    bbr->round_acked = 0;
    bbr->round_lost = 0;
    bbr->round_marked = 0;
    bbr->round_full = false;
    bbr->round_excess = false;
}

static void probe_rtt(struct bbr *bbr, const struct haul_rate_sample *sample)
{
    haul_time now = sample->now;
    haul_time stay = haul_time_max(4 * bbr->rtt_least, 20 * HAUL_MILLISECOND);

    if (bbr->mode != BBR_PROBE_RTT) {
        if (!in_cycle(bbr) || bbr->bound > 0 ||
            haul_time_since(bbr->rtt_least_at, now) < BBR_RTT_LIFE)
            return;
        enter(bbr, BBR_PROBE_RTT);
        bbr->rtt_fresh = 0;
        bbr->probe_rtt_end = HAUL_TIME_NEVER;
    }
    if (bbr->probe_rtt_end == HAUL_TIME_NEVER &&
        sample->in_flight <= inflight_at(bbr, BBR_UNIT / 2))
        bbr->probe_rtt_end = now + haul_time_min(stay, 200 * HAUL_MILLISECOND);
    if (bbr->probe_rtt_end == HAUL_TIME_NEVER || now < bbr->probe_rtt_end)
        return;
    if (bbr->rtt_fresh > 0)
        bbr->rtt_least = bbr->rtt_fresh;
    bbr->rtt_least_at = now;
    bbr->steady_from = sample->delivered;
    enter(bbr, BBR_CRUISE);
}

static void step_mode(struct bbr *bbr, uint64_t in_flight, uint64_t delivered)
{
    uint64_t rounds = bbr->round - bbr->mode_round;

    switch (bbr->mode) {
    case BBR_STARTUP:
    case BBR_PROBE_RTT:
    case BBR_MODES:
        break;
    case BBR_DRAIN:
        bbr->steady_from = delivered;
        __attribute__((fallthrough));
    case BBR_DOWN:
        if (in_flight <= inflight_at(bbr, BBR_UNIT) || rounds >= BBR_DOWN_ROUNDS)
            enter(bbr, BBR_CRUISE);
        break;
    case BBR_UP:
        if (rounds >= 1)
            enter(bbr, BBR_HOLD);
        break;
    case BBR_HOLD:
        if (rounds >= 1)
            enter(bbr, bbr->best > bbr->up_best + bbr->up_best / 16 ? BBR_UP : BBR_DOWN);
        break;
    case BBR_CRUISE:
        if (rounds >= BBR_CRUISE_ROUNDS)
            enter(bbr, BBR_UP);
        break;
    }
}

static void bbr_on_sample(struct haul_rate *rate, const struct haul_rate_sample *sample)
{
    struct bbr *bbr = state(rate);
    bool round_over = sample->acked_bytes > 0 && sample->delivered_at_send >= bbr->round_end &&
                      haul_time_since(bbr->round_started, sample->now) >= BBR_ROUND_LEAST;

    if (sample->rtt > 0)
        learn_rtt(bbr, sample->rtt, sample->now);
    if (sample->acked_bytes > 0)
        bbr->sample_from = sample->delivered_at_send;
    bbr->round_acked += sample->acked_bytes;
    bbr->round_lost += sample->lost_bytes;
    bbr->round_marked += sample->ce_datagrams * bbr->datagram;
    learn_bandwidth(bbr, sample);
    watch_slowness(bbr, sample);
    watch_loss(bbr, sample, round_over);
    follow_cut(bbr, sample->in_flight, sample->now);
    if (round_over)
        start_round(bbr, sample);
    step_mode(bbr, sample->in_flight, sample->delivered);
    probe_rtt(bbr, sample);
}

/* Most of what a cut was made for arrived after all: take the cut back. */
static void bbr_on_spurious(struct haul_rate *rate, uint64_t bytes, haul_time now)
{
    struct bbr *bbr = state(rate);

    bbr->round_lost -= haul_rate_least(bbr->round_lost, bytes);
    if (bbr->before_cut == 0 || bbr->lost_at_cut == 0)
        return;
    bbr->spurious += bytes;
    if (bbr->spurious < bbr->lost_at_cut / 4 * 3)
        return;
    if (bbr->best < bbr->before_cut)
        set_filter(bbr, bbr->before_cut);
    bbr->bound = 0;
    bbr->bounded = false;
    bbr->before_cut = 0;
}

static void bbr_on_silence(struct haul_rate *rate, haul_time now)
{
    restart(state(rate), now);
}

static uint64_t bbr_window(const struct haul_rate *rate)
{
    const struct bbr *bbr = view(rate);
    const struct bbr_gains *gain = &gains[bbr->mode];
    uint64_t window;

    if (bbr->best == 0 || bbr->rtt_least == 0)
        return first_window(bbr);
    window = inflight_at(bbr, gain->window[bbr->bounded]);
    return bbr->mode == BBR_STARTUP ? haul_rate_most(window, first_window(bbr)) : window;
}

/* Before the first round trip is known, the first window leaves over 5 ms. Never slower than the
 * least window a round trip. */
static uint64_t bbr_pace(const struct haul_rate *rate)
{
    const struct bbr *bbr = view(rate);
    haul_time rtt =
        bbr->rtt_least > 0 ? haul_time_max(bbr->rtt_least, BBR_ROUND_LEAST) : 5 * HAUL_MILLISECOND;
    uint64_t pace = haul_rate_scale(estimate(bbr), gains[bbr->mode].pace[bbr->bounded], BBR_UNIT);
    uint64_t least = bbr->mode == BBR_STARTUP ? first_window(bbr)
                                              : (uint64_t)HAUL_RATE_LEAST_DATAGRAMS * bbr->datagram;

    pace = haul_rate_most(pace, haul_rate_most(haul_rate_over(least, rtt), 1));
    return bbr->rate_max > 0 ? haul_rate_least(pace, bbr->rate_max) : pace;
}

static bool bbr_tripped(const struct haul_rate *rate)
{
    return false;
}

const struct haul_rate_algorithm haul_rate_bbr = {
    .name = "bbr",
    .init = bbr_init,
    .resize = bbr_resize,
    .on_sent = bbr_on_sent,
    .on_sample = bbr_on_sample,
    .on_spurious = bbr_on_spurious,
    .on_silence = bbr_on_silence,
    .window = bbr_window,
    .pace = bbr_pace,
    .tripped = bbr_tripped,
};
