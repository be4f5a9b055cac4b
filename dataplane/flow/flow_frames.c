/* What each frame of a control datagram does. The datagram has parsed whole before the first frame
 * acts. Whatever a frame says, its effect stays inside the tables. */
#include "dataplane/flow/flow_state.h"

#include <string.h>

static void on_ack(struct haul_flow *flow, const struct haul_ack *ack, struct haul_sent_news *news,
                   uint64_t *marks, haul_time now)
{
    uint64_t datagrams = 0;
    uint64_t before = flow->sent.delivered;

    haul_sent_ack(&flow->sent, ack, now, news);
    datagrams = (flow->sent.delivered - before) / (flow->class.payload + HAUL_WIRE_OVERHEAD);
    *marks += haul_class_marks(&flow->class, ack->ect, ack->ce, datagrams);
}

static void on_want(struct haul_flow *flow, const struct haul_frame *frame, haul_time now)
{
    struct haul_serve *serve = NULL;

    switch (haul_serve_want(&flow->serves, frame, now, &serve)) {
    case HAUL_WANT_NEW:
        haul_duty_drop(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_ANSWER,
                                                (uint32_t)(serve - flow->serves.serves)));
        haul_flow_tell_serve(flow, serve);
        flow->ping_at = haul_time_min(flow->ping_at, now + HAUL_FLOW_BUSY_PING);
        break;
    case HAUL_WANT_AGAIN:
        break;
    case HAUL_WANT_OVER:
        if (serve->answer != HAUL_FRAME_REFUSE)
            serve->answer = HAUL_FRAME_FINISHED;
        haul_flow_answer(flow, serve);
        break;
    case HAUL_WANT_STALE:
        if (flow->over_count < HAUL_FLOW_OVERS)
            flow->overs[flow->over_count++] = frame->want.handle;
        break;
    case HAUL_WANT_BAD:
        haul_flow_count(&flow->stats->rx_malformed, 1);
        break;
    }
}

static struct haul_fill *open_fill(struct haul_flow *flow, uint32_t handle)
{
    struct haul_fill *fill = haul_fill_find(&flow->fills, handle);

    if (fill == NULL || (fill->state != HAUL_FILL_ASKED && fill->state != HAUL_FILL_OPEN))
        return NULL;
    return fill;
}

/* The want ends without its bytes. */
static void end_fill(struct haul_flow *flow, struct haul_fill *fill, enum haul_refusal refusal,
                     uint32_t retry_ms)
{
    haul_duty_drop(&flow->duties,
                   haul_duty(&flow->duties, HAUL_DUTY_WANT, (uint32_t)(fill - flow->fills.fills)));
    fill->state = HAUL_FILL_ENDED;
    fill->ended = HAUL_FLOW_REFUSED;
    fill->status = HAUL_STATUS_DONE;
    fill->refusal = (uint8_t)refusal;
    fill->retry_ms = retry_ms;
    haul_flow_tell_fill(flow, fill);
}

static void on_accept(struct haul_flow *flow, uint32_t handle, uint32_t length)
{
    struct haul_fill *fill = open_fill(flow, handle);
    uint32_t index;

    if (fill == NULL || fill->state != HAUL_FILL_ASKED)
        return;
    index = (uint32_t)(fill - flow->fills.fills);
    haul_duty_drop(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_WANT, index));
    if (!haul_fill_accept(fill, length)) {
        fill->end_handle = handle;
        fill->end_how = 0;
        end_fill(flow, fill, HAUL_REFUSAL_FAILED, 0);
        haul_duty_owe(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_END, index));
        return;
    }
    if (fill->state == HAUL_FILL_FULL) {
        fill->filled_due = true;
        haul_flow_tell_fill(flow, fill);
    }
}

static void on_refuse(struct haul_flow *flow, uint32_t handle, uint8_t reason, uint32_t retry_ms)
{
    struct haul_fill *fill = open_fill(flow, handle);

    if (fill != NULL)
        end_fill(flow, fill, (enum haul_refusal)reason, retry_ms);
}

/* The asker is through with a want: withdrawn (how is 0), verified or wrong. */
static void on_end(struct haul_flow *flow, uint32_t handle, uint8_t how)
{
    enum haul_status status = how == 0 ? HAUL_STATUS_WITHDRAWN : HAUL_STATUS_DONE;
    struct haul_serve *serve = haul_serve_close(&flow->serves, handle, status);

    if (serve == NULL)
        return;
    haul_duty_drop(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_ANSWER,
                                            (uint32_t)(serve - flow->serves.serves)));
    haul_flow_tell_serve(flow, serve);
}

void haul_flow_frame(struct haul_flow *flow, const struct haul_frame *frame,
                     const struct haul_addr *from, struct haul_sent_news *news, uint64_t *marks,
                     haul_time now)
{
    switch ((enum haul_frame_type)frame->type) {
    case HAUL_FRAME_PADDING:
    case HAUL_FRAME_PING:
        break;
    case HAUL_FRAME_ACK:
        on_ack(flow, &frame->ack, news, marks, now);
        break;
    case HAUL_FRAME_SLOT:
        news->lied |= !haul_serve_window(&flow->serves, &frame->slot, now);
        break;
    case HAUL_FRAME_WANT:
        on_want(flow, frame, now);
        break;
    case HAUL_FRAME_ACCEPT:
        on_accept(flow, frame->accept.handle, frame->accept.length);
        break;
    case HAUL_FRAME_REFUSE:
        on_refuse(flow, frame->refuse.handle, frame->refuse.reason, frame->refuse.retry_ms);
        break;
    case HAUL_FRAME_WITHDRAW:
        on_end(flow, frame->end.handle, 0);
        break;
    case HAUL_FRAME_FINISHED:
        if (frame->end.how == HAUL_FINISH_OVER)
            on_refuse(flow, frame->end.handle, HAUL_REFUSAL_FAILED, 0);
        else
            on_end(flow, frame->end.handle, frame->end.how);
        break;
    case HAUL_FRAME_CHALLENGE:
        haul_path_challenged(&flow->path, from, frame->token, flow->newest, now);
        break;
    case HAUL_FRAME_RESPONSE:
        haul_flow_path_news(flow, haul_path_answered(&flow->path, frame->token, now), now);
        break;
    case HAUL_FRAME_BYE:
        haul_flow_end(flow, HAUL_STATUS_CLOSED);
        break;
    case HAUL_FRAME_TYPES:
        break;
    }
}
