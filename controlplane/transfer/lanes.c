#include "controlplane/transfer/lanes.h"

#define CROWDED_MIN   4u /* blocks of one, beside another that has none */
#define UNHEARD_QUIET 3u /* probe timeouts */
#define SILENCE_QUIET 4u /* times in a row that it was listened to */

static bool is_alive(const struct haul_lane *lane)
{
    return lane->open && lane->proven && !lane->dying;
}

static bool is_quiet(const struct haul_lane *lane)
{
    return lane->unheard >= UNHEARD_QUIET && lane->silences >= SILENCE_QUIET;
}

void haul_lane_take(struct haul_lanes *lanes, struct haul_lane *lane, uint32_t flow,
                    uint32_t wants_max, uint32_t flows_max)
{
    haul_assert(!lane->open);
    *lane = (struct haul_lane){ .flow = flow,
                                .serial = ++lanes->last_serial,
                                .wants_max = wants_max,
                                .flows_max = flows_max,
                                .open = true };
}

void haul_lanes_begin(struct haul_lanes *lanes)
{
    lanes->cap = lanes->first.wants_max;
    haul_lanes_proven(lanes, &lanes->first);
}

/* What either was asked for under its old serial says nothing of it any more. */
void haul_lanes_swap(struct haul_lanes *lanes, struct haul_lane *other)
{
    struct haul_lane before = lanes->first;

    lanes->first = *other;
    lanes->first.serial = ++lanes->last_serial;
    lanes->first.asked = 0;
    *other = before;
    lanes->cap = lanes->first.wants_max;
}

struct haul_lane *haul_lanes_find(struct haul_lanes *lanes, uint32_t flow)
{
    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        struct haul_lane *lane = &lanes->all[i];

        if (lane->open && lane->flow == flow)
            return lane;
    }
    return NULL;
}

struct haul_lane *haul_lanes_free(struct haul_lanes *lanes)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(lanes->further); i++) {
        if (!lanes->further[i].open)
            return &lanes->further[i];
    }
    return NULL;
}

static bool is_better(const struct haul_lane *a, const struct haul_lane *b)
{
    bool a_full = a->asked >= a->wants_max, b_full = b->asked >= b->wants_max;

    if (is_quiet(a) != is_quiet(b))
        return is_quiet(b);
    return a_full != b_full ? b_full : a->asked < b->asked;
}

struct haul_lane *haul_lanes_choose(struct haul_lanes *lanes)
{
    struct haul_lane *best = NULL;

    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        struct haul_lane *lane = &lanes->all[i];

        if (is_alive(lane) && (best == NULL || is_better(lane, best)))
            best = lane;
    }
    return best;
}

void haul_lanes_back(struct haul_lanes *lanes, uint32_t serial, bool ended)
{
    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        struct haul_lane *lane = &lanes->all[i];

        if (!lane->open || lane->serial != serial)
            continue;
        lane->asked -= lane->asked > 0;
        lane->dying |= ended;
    }
}

uint32_t haul_lanes_alive(const struct haul_lanes *lanes)
{
    uint32_t alive = 0;

    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++)
        alive += is_alive(&lanes->all[i]);
    return alive;
}

uint32_t haul_lanes_wants(const struct haul_lanes *lanes)
{
    uint32_t wants = 0, quiet = 0;

    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        const struct haul_lane *lane = &lanes->all[i];

        if (is_alive(lane) && is_quiet(lane))
            quiet += lane->wants_max;
        else if (is_alive(lane))
            wants += lane->wants_max;
    }
    if (wants == 0)
        wants = quiet;
    return wants < lanes->cap ? wants : lanes->cap;
}

bool haul_lanes_lack(const struct haul_lanes *lanes, haul_time now)
{
    uint32_t open = 0;

    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++)
        open += lanes->all[i].open;
    return open < lanes->first.flows_max && open < HAUL_WORKERS_MAX && now >= lanes->again;
}

uint32_t haul_lanes_share(const struct haul_lanes *lanes)
{
    uint32_t flows = lanes->first.flows_max > 0 ? lanes->first.flows_max : 1;

    return (lanes->cap + flows - 1) / flows;
}

void haul_lanes_failed(struct haul_lanes *lanes, haul_time now, haul_time wait)
{
    lanes->again = haul_time_add(now, haul_time_max(lanes->pause, wait));
    lanes->pause = haul_time_min(lanes->pause * 2, HAUL_LANES_PAUSE_MAX);
}

void haul_lanes_proven(struct haul_lanes *lanes, struct haul_lane *lane)
{
    lane->proven = true;
    lanes->again = 0;
    lanes->pause = HAUL_LANES_PAUSE_MIN;
}

bool haul_lanes_promote(struct haul_lanes *lanes)
{
    for (size_t i = 0; i < HAUL_COUNT_OF(lanes->further); i++) {
        if (!is_alive(&lanes->further[i]))
            continue;
        lanes->first = lanes->further[i];
        lanes->further[i] = (struct haul_lane){ 0 };
        return true;
    }
    return false;
}

uint32_t haul_lanes_crowded(const struct haul_lanes *lanes)
{
    const struct haul_lane *most = NULL;
    bool idle = false;

    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        const struct haul_lane *lane = &lanes->all[i];

        if (!is_alive(lane))
            continue;
        idle |= lane->asked == 0 && !is_quiet(lane);
        if (most == NULL || lane->asked > most->asked)
            most = lane;
    }
    return idle && most->asked >= CROWDED_MIN ? most->serial : 0;
}

void haul_lane_hear(struct haul_lane *lane, uint64_t datagrams, uint64_t timeouts)
{
    lane->silences++;
    if (datagrams != lane->datagrams) {
        lane->datagrams = datagrams;
        lane->timeouts = timeouts;
        lane->silences = 0;
    }
    lane->unheard = (uint32_t)(timeouts - lane->timeouts);
}

uint32_t haul_lanes_quiet(const struct haul_lanes *lanes)
{
    uint32_t quiet = 0;
    bool heard = false;

    for (size_t i = 0; i < HAUL_WORKERS_MAX; i++) {
        const struct haul_lane *lane = &lanes->all[i];

        if (!is_alive(lane))
            continue;
        heard |= lane->unheard == 0;
        if (is_quiet(lane) && lane->asked > 0)
            quiet = lane->serial;
    }
    return heard ? quiet : 0;
}
