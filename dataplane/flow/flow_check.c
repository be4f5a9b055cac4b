/* Every invariant of a flow, for tests and the simulator. */
#include "dataplane/flow/flow_state.h"

static const char *queue_broken(const struct haul_flow *flow)
{
    uint32_t queued = 0;
    uint32_t touched = 0;

    for (size_t i = 0; i < flow->fills.size; i++) {
        const struct haul_fill *fill = &flow->fills.fills[i];

        queued += fill->queued;
        touched += fill->touched;
        if (fill->state == HAUL_FILL_ENDED && !fill->queued)
            return "flow: a want has ended and nobody will be told";
        if (fill->filled_due && fill->state == HAUL_FILL_FULL && !fill->queued)
            return "flow: a want is full and nobody will be told";
    }
    for (size_t i = 0; i < flow->serves.size; i++) {
        const struct haul_serve *serve = &flow->serves.serves[i];

        queued += serve->queued;
        if ((serve->wanted_due || serve->served_due) && !serve->queued)
            return "flow: a want of the peer changed and nobody will be told";
    }
    if (queued != flow->events.count)
        return "flow: the queue of events and its members disagree";
    if (touched != flow->touched.count)
        return "flow: the queue of touched slots and its members disagree";
    return NULL;
}

static const char *life_broken(const struct haul_flow *flow)
{
    if (flow->life == HAUL_FLOW_OPEN && !flow->path.proven)
        return "flow: open without a proven path";
    if (flow->life == HAUL_FLOW_PROVING && flow->sent.in_flight > 0)
        return "flow: data left before a path was proven";
    if (flow->life == HAUL_FLOW_ENDED || flow->life == HAUL_FLOW_CLOSING) {
        if (flow->serves.live > 0)
            return "flow: a want of the peer outlives the flow";
        for (size_t i = 0; i < flow->fills.size; i++) {
            if (flow->fills.fills[i].state == HAUL_FILL_ASKED ||
                flow->fills.fills[i].state == HAUL_FILL_OPEN)
                return "flow: a want outlives the flow";
        }
    }
    if (flow->fills.live > flow->wants_max)
        return "flow: more wants than the grant allows";
    if (flow->seal.sealed > HAUL_SEAL_HARD_MAX + HAUL_BURST_MAX)
        return "flow: a key is used beyond its limit";
    if (flow->class.payload > flow->class.most)
        return "flow: the payload class is above the grant's";
    return NULL;
}

const char *haul_flow_broken(const struct haul_flow *flow)
{
    const char *broken = life_broken(flow);

    if (broken == NULL)
        broken = queue_broken(flow);
    if (broken == NULL)
        broken = haul_fills_broken(&flow->fills);
    if (broken == NULL)
        broken = haul_serves_broken(&flow->serves);
    if (broken == NULL)
        broken = haul_seen_broken(&flow->seen);
    if (broken == NULL)
        broken = haul_sent_broken(&flow->sent);
    if (broken == NULL)
        broken = haul_duties_broken(&flow->duties);
    if (broken == NULL)
        broken = haul_path_broken(&flow->path);
    return broken;
}
