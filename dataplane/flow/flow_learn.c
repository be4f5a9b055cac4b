/* What a flow learns: acknowledgements and losses go to congestion control and to the search for
 * the datagram size; timers fire. */
#include "dataplane/flow/flow_state.h"

#include <string.h>

static void gauge(struct haul_flow *flow)
{
    haul_counter_set(&flow->stats->rtt_ns, flow->sent.rtt_smoothed);
    haul_counter_set(&flow->stats->window_bytes, haul_rate_window(&flow->rate));
    haul_counter_set(&flow->stats->pace_bytes_per_second, haul_rate_pace(&flow->rate));
    haul_counter_set(&flow->stats->payload_class, flow->class.payload);
}

static void resize(struct haul_flow *flow)
{
    flow->sent.full_class = (uint16_t)(flow->class.payload / HAUL_WIRE_UNIT);
    haul_rate_resize(&flow->rate, flow->class.payload + HAUL_WIRE_OVERHEAD);
}

static void learn_size(struct haul_flow *flow, const struct haul_sent_news *news, haul_time now)
{
    bool changed = false;

    if (news->probe_acked)
        changed = haul_class_probe_acked(&flow->class,
                                         (uint16_t)(news->probe_class * HAUL_WIRE_UNIT), now);
    else if (news->probe_lost)
        haul_class_probe_lost(&flow->class, now);
    changed |=
        haul_class_learn(&flow->class, news->full_acked, news->full_lost, news->control, now);
    if (changed)
        resize(flow);
}

static void learn_rate(struct haul_flow *flow, const struct haul_sent_news *news, uint64_t marks,
                       haul_time now)
{
    struct haul_rate_sample sample = { .now = now,
                                       .rtt = news->rtt,
                                       .acked_bytes = news->acked_bytes,
                                       .lost_bytes = news->lost_bytes,
                                       .in_flight = flow->sent.in_flight,
                                       .delivered = flow->sent.delivered,
                                       .delivered_at_send = news->delivered_at_send,
                                       .interval = news->interval,
                                       .ce_datagrams = marks,
                                       .app_limited = news->app_limited };

    if (news->spurious_bytes > 0)
        haul_rate_on_spurious(&flow->rate, news->spurious_bytes, now);
    if (news->acked_bytes > 0 || news->lost_bytes > 0)
        haul_rate_on_sample(&flow->rate, &sample);
}

void haul_flow_learn(struct haul_flow *flow, const struct haul_sent_news *news, uint64_t marks,
                     haul_time now)
{
    if (news->lied) {
        haul_flow_end(flow, HAUL_STATUS_CLOSED);
        return;
    }
    haul_flow_count(&flow->stats->lost_datagrams, news->lost_datagrams);
    haul_flow_count(&flow->stats->spurious_losses, news->spurious_datagrams);
    if (news->any) {
        haul_seal_confirm(&flow->seal, flow->sent.largest);
        flow->probe_credit = 0;
    }
    learn_size(flow, news, now);
    learn_rate(flow, news, marks, now);
    gauge(flow);
    if (haul_rate_tripped(&flow->rate))
        haul_flow_close(flow, now);
}

/* True while anything is asked for, on either side, or the peer must yet be told of something: it
 * holds a slot until it learns that its work is done. */
static bool busy(const struct haul_flow *flow)
{
    return flow->fills.live > 0 || flow->serves.live > 0 || flow->duties.owed > 0;
}

static void probe_timeout(struct haul_flow *flow, haul_time now)
{
    struct haul_sent_news news = { 0 };

    if (!busy(flow) && flow->sent.probes >= HAUL_FLOW_IDLE_TRIES) {
        haul_sent_forget(&flow->sent);
        flow->sent.probes = 0;
        flow->ping_at = now + HAUL_FLOW_IDLE_PING;
        return;
    }
    if (flow->sent.probes == 0)
        flow->silent_since = now;
    haul_flow_count(&flow->stats->probe_timeouts, 1);
    haul_sent_probe(&flow->sent, HAUL_FLOW_PERSISTENT, now, &news);
    flow->probe_credit = HAUL_FLOW_PROBE_CREDIT;
    flow->ping_due = true;
    if (flow->sent.probes == HAUL_FLOW_PERSISTENT)
        haul_rate_on_silence(&flow->rate, now);
    haul_flow_learn(flow, &news, 0, now);
    if (busy(flow) && flow->sent.probes >= HAUL_FLOW_SILENT_TRIES &&
        haul_time_since(flow->silent_since, now) >= HAUL_FLOW_SILENT_SPAN)
        haul_flow_end(flow, HAUL_STATUS_SILENT);
}

void haul_flow_path_news(struct haul_flow *flow, enum haul_path_news news, haul_time now)
{
    switch (news) {
    case HAUL_PATH_SAME:
        break;
    case HAUL_PATH_PROVEN:
        if (flow->life != HAUL_FLOW_PROVING)
            break;
        flow->life = HAUL_FLOW_OPEN;
        flow->up_due = true;
        flow->ping_at = now; /* the first one measures the round trip */
        flow->class.due = now;
        gauge(flow);
        break;
    case HAUL_PATH_MOVED:
        haul_flow_count(&flow->stats->path_moves, 1);
        haul_rate_on_silence(&flow->rate, now);
        flow->sent.rtt_min = HAUL_TIME_NEVER;
        flow->ping_due = true;
        break;
    }
}

void haul_flow_timers(struct haul_flow *flow, haul_time now)
{
    struct haul_sent_news news = { 0 };

    if (flow->life == HAUL_FLOW_PROVING &&
        haul_time_since(flow->opened, now) >= HAUL_FLOW_PROOF_SPAN)
        haul_flow_end(flow, HAUL_STATUS_UNPROVEN);
    if (flow->life != HAUL_FLOW_OPEN)
        return;
    haul_flow_path_news(flow, haul_path_tick(&flow->path, now), now);
    if (flow->sent.loss_due <= now) {
        haul_sent_late(&flow->sent, now, &news);
        haul_flow_learn(flow, &news, 0, now);
    }
    if (haul_sent_probe_due(&flow->sent) <= now)
        probe_timeout(flow, now);
    if (flow->ping_at <= now) {
        if (flow->sent.open_first == HAUL_NO_BURST)
            flow->ping_due = true;
        flow->ping_at = now + (busy(flow) ? HAUL_FLOW_BUSY_PING : HAUL_FLOW_IDLE_PING);
    }
}

haul_time haul_flow_ack_due(const struct haul_flow *flow)
{
    haul_time span = haul_time_max(flow->sent.rtt_smoothed / 4, HAUL_FLOW_ACK_LEAST);

    if (flow->unacked == 0)
        return flow->slots_due ? 0 : HAUL_TIME_NEVER;
    if (flow->slots_due || flow->unacked >= HAUL_FLOW_ACK_EVERY)
        return 0;
    return flow->unacked_since + haul_time_min(span, HAUL_ACK_SPAN_MAX);
}
