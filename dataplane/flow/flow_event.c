/* Events: what the caller is told, taken from the state of fills and serves, so that their number
 * is bounded by the tables whatever the peer does. */
#include "dataplane/flow/flow_state.h"

#include <string.h>

void haul_flow_tell_fill(struct haul_flow *flow, struct haul_fill *fill)
{
    if (fill->queued)
        return;
    fill->queued = true;
    haul_queue_push(&flow->events, (uint16_t)(fill - flow->fills.fills));
}

void haul_flow_tell_serve(struct haul_flow *flow, struct haul_serve *serve)
{
    if (serve->queued)
        return;
    serve->queued = true;
    haul_queue_push(&flow->events, (uint16_t)(flow->fills.size + (serve - flow->serves.serves)));
}

/* Takes one event of a fill; false when it has none. */
static bool take_fill(struct haul_flow *flow, struct haul_fill *fill, struct haul_flow_event *event)
{
    event->handle = haul_fill_handle(&flow->fills, fill);
    event->tag = fill->tag;
    event->offset = fill->offset;
    event->length = fill->length;
    event->hash = fill->hash;
    if (fill->state == HAUL_FILL_ENDED) {
        event->kind = (enum haul_flow_event_kind)fill->ended;
        event->status = (enum haul_status)fill->status;
        if (event->kind == HAUL_FLOW_REFUSED) {
            event->refusal = (enum haul_refusal)fill->refusal;
            event->retry_ms = fill->retry_ms;
        }
        haul_fill_close(&flow->fills, fill);
        return true;
    }
    if (fill->state == HAUL_FILL_FULL && fill->filled_due) {
        fill->filled_due = false;
        event->kind = HAUL_FLOW_FILLED;
        return true;
    }
    if (fill->state == HAUL_FILL_OPEN && haul_fill_prefix(fill) - fill->told >= HAUL_FILLING_STEP) {
        fill->told = haul_fill_prefix(fill);
        event->kind = HAUL_FLOW_FILLING;
        event->length = fill->told;
        return true;
    }
    return false;
}

static bool take_serve(struct haul_flow *flow, struct haul_serve *serve,
                       struct haul_flow_event *event)
{
    if (serve->served_due) {
        serve->served_due = false;
        event->kind = HAUL_FLOW_SERVED;
        event->handle = serve->served_handle;
        event->status = (enum haul_status)serve->served_status;
        return true;
    }
    if (serve->wanted_due) {
        serve->wanted_due = false;
        event->kind = HAUL_FLOW_WANTED;
        event->handle = haul_serve_handle(&flow->serves, serve);
        event->offset = serve->offset;
        event->length = serve->wanted;
        event->hash = serve->hash;
        return true;
    }
    return false;
}

bool haul_flow_event(struct haul_flow *flow, struct haul_flow_event *event)
{
    memset(event, 0, sizeof *event);
    if (flow->up_due) {
        flow->up_due = false;
        event->kind = HAUL_FLOW_UP;
        event->length = flow->class.payload;
        return true;
    }
    while (flow->events.count > 0) {
        uint16_t item = haul_queue_first(&flow->events);

        if (item < flow->fills.size) {
            if (take_fill(flow, &flow->fills.fills[item], event))
                return true;
            flow->fills.fills[item].queued = false;
        } else {
            struct haul_serve *serve = &flow->serves.serves[item - flow->fills.size];

            if (take_serve(flow, serve, event))
                return true;
            serve->queued = false;
        }
        haul_queue_pop(&flow->events);
    }
    if (flow->life != HAUL_FLOW_ENDED || flow->down_told)
        return false;
    flow->down_told = true;
    event->kind = HAUL_FLOW_DOWN;
    event->status = (enum haul_status)flow->status;
    return true;
}
