/* A flow's life, and what its owner asks of it. */
#include "dataplane/flow/flow.h"

#include "dataplane/flow/flow_state.h"

#include <string.h>

#define ALIGNMENT 64u

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The tables behind the struct, in order. */
struct layout {
    size_t fills, serves, bursts, links, free, events, touched, bytes;
};

static struct layout layout_of(uint16_t wants_max)
{
    struct layout at;
    size_t links = haul_duties_links(wants_max, HAUL_BURSTS);

    at.fills = rounded(sizeof(struct haul_flow));
    at.serves = at.fills + rounded(wants_max * sizeof(struct haul_fill));
    at.bursts = at.serves + rounded(wants_max * sizeof(struct haul_serve));
    at.links = at.bursts + rounded(HAUL_BURSTS * sizeof(struct haul_burst));
    at.free = at.links + rounded(links * sizeof(struct haul_link));
    at.events = at.free + rounded(wants_max * sizeof(uint16_t));
    at.touched = at.events + rounded(2 * (size_t)wants_max * sizeof(uint16_t));
    at.bytes = at.touched + rounded(wants_max * sizeof(uint16_t));
    return at;
}

size_t haul_flow_bytes(uint16_t wants_max)
{
    return layout_of(wants_max).bytes;
}

static void make_tables(struct haul_flow *flow, uint8_t *memory, uint16_t wants_max)
{
    struct layout at = layout_of(wants_max);

    haul_fills_init(&flow->fills, (struct haul_fill *)(void *)(memory + at.fills),
                    (uint16_t *)(void *)(memory + at.free), wants_max);
    haul_serves_init(&flow->serves, (struct haul_serve *)(void *)(memory + at.serves), wants_max);
    haul_duties_init(&flow->duties, (struct haul_link *)(void *)(memory + at.links), wants_max,
                     HAUL_BURSTS);
    haul_sent_init(&flow->sent, (struct haul_burst *)(void *)(memory + at.bursts), &flow->serves,
                   &flow->duties);
    flow->events = (struct haul_queue){ .items = (uint16_t *)(void *)(memory + at.events),
                                        .size = (uint16_t)(2 * wants_max) };
    flow->touched = (struct haul_queue){ .items = (uint16_t *)(void *)(memory + at.touched),
                                         .size = wants_max };
}

struct haul_flow *haul_flow_init(void *memory, const struct haul_flow_conf *conf, haul_time now)
{
    struct haul_flow *flow = memory;
    const struct haul_grant *grant = conf->grant;
    struct haul_rate_conf rate = { .kind = (enum haul_congestion)grant->congestion,
                                   .rate_max = grant->rate_max };

    haul_assert((uintptr_t)memory % ALIGNMENT == 0 && conf->wants_max <= grant->wants_max &&
                grant->wants_max > 0 && grant->wants_max <= HAUL_WANTS_MAX);
    memset(flow, 0, sizeof *flow);
    flow->stats = conf->stats;
    flow->local_id = grant->local_id;
    flow->remote_id = grant->remote_id;
    flow->wants_max = conf->wants_max;
    flow->opened = now;
    flow->held_at = now;
    flow->ping_at = HAUL_TIME_NEVER;
    make_tables(flow, memory, grant->wants_max);
    haul_rng_init(&flow->rng, conf->seed);
    haul_path_init(&flow->path, grant->candidates, grant->candidate_count, &flow->rng,
                   haul_time_add(now, grant->probe_after));
    haul_class_init(&flow->class, conf->payload_first, grant->payload_max, now);
    rate.datagram_bytes = flow->class.payload + HAUL_WIRE_OVERHEAD;
    haul_rate_init(&flow->rate, &rate, now);
    haul_seal_init(&flow->seal, conf->aead, grant->seal_secret, now);
    haul_open_init(&flow->open, conf->aead, grant->open_secret, now);
    haul_seen_init(&flow->seen);
    flow->sent.full_class = (uint16_t)(flow->class.payload / HAUL_WIRE_UNIT);
    flow->next_skip = HAUL_FLOW_SKIP_LEAST + haul_rng_below(&flow->rng, HAUL_FLOW_SKIP_LEAST);
    haul_counter_set(&flow->stats->payload_class, flow->class.payload);
    return flow;
}

void haul_flow_fini(struct haul_flow *flow)
{
    haul_seal_fini(&flow->seal);
    haul_open_fini(&flow->open);
}

static void end_wants(struct haul_flow *flow, enum haul_status status)
{
    for (size_t i = 0; i < flow->fills.size; i++) {
        struct haul_fill *fill = &flow->fills.fills[i];

        if (fill->state != HAUL_FILL_ASKED && fill->state != HAUL_FILL_OPEN)
            continue;
        fill->state = HAUL_FILL_ENDED;
        fill->ended = HAUL_FLOW_WITHDRAWN;
        fill->status = (uint8_t)status;
        haul_flow_tell_fill(flow, fill);
    }
    for (size_t i = 0; i < flow->serves.size; i++) {
        struct haul_serve *serve = &flow->serves.serves[i];

        if (serve->state != HAUL_SERVE_ASKED && serve->state != HAUL_SERVE_SENDING)
            continue;
        haul_serve_finish(&flow->serves, serve, HAUL_STATUS_FLOW_ENDED);
        haul_flow_tell_serve(flow, serve);
    }
}

void haul_flow_end(struct haul_flow *flow, enum haul_status status)
{
    if (flow->life == HAUL_FLOW_ENDED)
        return;
    if (flow->life != HAUL_FLOW_CLOSING)
        flow->status = (uint8_t)status;
    flow->life = HAUL_FLOW_ENDED;
    end_wants(flow, status);
    haul_sent_forget(&flow->sent);
}

/* Ends that were not acknowledged go with the good-bye (those in flight, too, which are forgotten
 * otherwise): without them the peer cannot count the last blocks. */
static void keep_ends(struct haul_flow *flow)
{
    for (uint32_t i = 0; i < flow->fills.size; i++) {
        uint16_t duty = haul_duty(&flow->duties, HAUL_DUTY_END, i);

        if (haul_duty_pending(&flow->duties, duty))
            haul_duty_owe(&flow->duties, duty);
    }
}

void haul_flow_close(struct haul_flow *flow, haul_time now)
{
    if (flow->life == HAUL_FLOW_PROVING)
        haul_flow_end(flow, HAUL_STATUS_CLOSED);
    if (flow->life != HAUL_FLOW_OPEN)
        return;
    flow->life = HAUL_FLOW_CLOSING;
    flow->status = HAUL_STATUS_CLOSED;
    flow->byes = HAUL_FLOW_BYES;
    flow->bye_at = now;
    end_wants(flow, HAUL_STATUS_CLOSED);
    keep_ends(flow);
    haul_sent_forget(&flow->sent);
}

static bool ending(const struct haul_flow *flow)
{
    return flow->life == HAUL_FLOW_CLOSING || flow->life == HAUL_FLOW_ENDED;
}

uint32_t haul_flow_want(struct haul_flow *flow, const struct haul_hash *hash, uint32_t offset,
                        uint32_t length, uint8_t *slot, uint64_t tag, haul_time now)
{
    struct haul_fill *fill;

    haul_assert(offset % HAUL_WIRE_UNIT == 0 && offset <= HAUL_BLOCK_BYTES_MAX &&
                length <= HAUL_BLOCK_BYTES_MAX - offset && haul_hash_valid(hash));
    if (ending(flow) || flow->fills.live >= flow->wants_max)
        return HAUL_FLOW_NO_HANDLE;
    fill = haul_fill_open(&flow->fills, hash, offset, length, slot, tag);
    if (fill == NULL)
        return HAUL_FLOW_NO_HANDLE;
    haul_duty_owe(&flow->duties,
                  haul_duty(&flow->duties, HAUL_DUTY_WANT, (uint32_t)(fill - flow->fills.fills)));
    flow->ping_at = haul_time_min(flow->ping_at, now + HAUL_FLOW_BUSY_PING);
    return haul_fill_handle(&flow->fills, fill);
}

/* The peer is told that a want is over, and how: 0 for withdrawn. */
static void owe_end(struct haul_flow *flow, struct haul_fill *fill, uint8_t how)
{
    uint32_t index = (uint32_t)(fill - flow->fills.fills);

    fill->end_handle = haul_fill_handle(&flow->fills, fill);
    fill->end_how = how;
    haul_duty_drop(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_WANT, index));
    if (!ending(flow))
        haul_duty_owe(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_END, index));
}

void haul_flow_verdict(struct haul_flow *flow, uint32_t handle, bool holds, haul_time now)
{
    struct haul_fill *fill = haul_fill_find(&flow->fills, handle);

    if (fill == NULL || fill->state != HAUL_FILL_FULL)
        return;
    owe_end(flow, fill, holds ? HAUL_FINISH_VERIFIED : HAUL_FINISH_WRONG);
    haul_fill_close(&flow->fills, fill);
}

void haul_flow_withdraw(struct haul_flow *flow, uint32_t handle, haul_time now)
{
    struct haul_fill *fill = haul_fill_find(&flow->fills, handle);

    if (fill == NULL || (fill->state != HAUL_FILL_ASKED && fill->state != HAUL_FILL_OPEN))
        return;
    owe_end(flow, fill, 0);
    fill->state = HAUL_FILL_ENDED;
    fill->ended = HAUL_FLOW_WITHDRAWN;
    fill->status = HAUL_STATUS_WITHDRAWN;
    haul_flow_tell_fill(flow, fill);
}

void haul_flow_answer(struct haul_flow *flow, struct haul_serve *serve)
{
    haul_duty_owe(&flow->duties, haul_duty(&flow->duties, HAUL_DUTY_ANSWER,
                                           (uint32_t)(serve - flow->serves.serves)));
}

enum haul_status haul_flow_refusal_status(enum haul_refusal reason)
{
    switch (reason) {
    case HAUL_REFUSAL_BUSY:
        return HAUL_STATUS_REFUSED_BUSY;
    case HAUL_REFUSAL_FAILED:
        return HAUL_STATUS_REFUSED_FAILED;
    case HAUL_REFUSAL_UNKNOWN:
        break;
    }
    return HAUL_STATUS_REFUSED_UNKNOWN;
}

static void refuse(struct haul_flow *flow, struct haul_serve *serve, enum haul_refusal reason,
                   uint32_t retry_ms)
{
    serve->answer = HAUL_FRAME_REFUSE;
    serve->reason = (uint8_t)reason;
    serve->retry_ms = retry_ms;
    haul_serve_finish(&flow->serves, serve, haul_flow_refusal_status(reason));
    haul_flow_tell_serve(flow, serve);
    haul_flow_answer(flow, serve);
}

/* The want of a handle that the caller was told of and has not answered, or NULL. */
static struct haul_serve *unanswered(struct haul_flow *flow, uint32_t handle)
{
    struct haul_serve *serve = haul_serve_find(&flow->serves, handle);

    if (serve == NULL || serve->state != HAUL_SERVE_ASKED || serve->wanted_due)
        return NULL;
    return serve;
}

void haul_flow_serve(struct haul_flow *flow, uint32_t handle, const uint8_t *slot, uint32_t length,
                     haul_time now)
{
    struct haul_serve *serve = unanswered(flow, handle);

    if (serve == NULL)
        return;
    if (haul_serve_start(&flow->serves, serve, slot, length, now))
        haul_flow_answer(flow, serve);
    else
        refuse(flow, serve, HAUL_REFUSAL_FAILED, 0);
}

void haul_flow_refuse(struct haul_flow *flow, uint32_t handle, enum haul_refusal reason,
                      uint32_t retry_ms, haul_time now)
{
    struct haul_serve *serve = unanswered(flow, handle);

    if (serve != NULL)
        refuse(flow, serve, reason, retry_ms);
}

bool haul_flow_reclaim(struct haul_flow *flow, uint32_t handle, haul_time now)
{
    struct haul_serve *serve = haul_serve_find(&flow->serves, handle);
    haul_time heard;

    if (serve == NULL || serve->state != HAUL_SERVE_SENDING)
        return false;
    heard = haul_time_max(serve->progress, flow->sent.delivered_time);
    if (haul_time_since(heard, now) < 3 * haul_sent_probe_span(&flow->sent))
        return false;
    refuse(flow, serve, HAUL_REFUSAL_BUSY, 1000);
    return true;
}

bool haul_flow_receiver(const uint8_t *data, size_t bytes, uint32_t *receiver_id)
{
    struct haul_wire_head head;

    if (!haul_wire_head_read(data, bytes, &head))
        return false;
    *receiver_id = head.receiver;
    return true;
}
