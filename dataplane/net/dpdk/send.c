/* Sending: headers before datagrams, frames to the card, and what to do when it has no room, when a
 * neighbour has not answered yet, and when the link is down. */
#include "dataplane/net/dpdk/dpdk_parts.h"

#include "common/clock.h"
#include "dataplane/net/dpdk/cut.h"

#include <rte_mempool.h>
#include <string.h>

#define STALL_SPAN HAUL_SECOND /* a queue that takes nothing for so long stands still */

struct rte_mbuf *haul_dpdk_frame(struct haul_dpdk *dpdk)
{
    struct rte_mbuf *frame = rte_pktmbuf_alloc(dpdk->port->pool);

    haul_counter_add(&dpdk->counters.tx_no_frame, frame == NULL);
    return frame;
}

/* --- to the card --- */

/* A train that the card was to cut is as many as it has buffers. */
static void frames_drop(struct haul_dpdk *dpdk, struct rte_mbuf **frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        haul_counter_add(&dpdk->counters.tx_dropped, frames[i]->nb_segs);
    rte_pktmbuf_free_bulk(frames, count);
}

static void queue_drop(struct haul_dpdk *dpdk)
{
    for (; dpdk->queue_count > 0; dpdk->queue_count--)
        frames_drop(dpdk, &dpdk->queue[dpdk->queue_at++ & dpdk->queue_mask], 1);
    dpdk->stuck_since = HAUL_TIME_NEVER;
}

/* A driver with offloads wants to look at frames first; one that it refuses is not sendable. */
static uint32_t frames_prepare(struct haul_dpdk *dpdk, struct rte_mbuf **frames, uint32_t count)
{
    uint32_t ready = 0;

    if (dpdk->port->flags[0] == 0)
        return count;
    while (ready < count) {
        ready += rte_eth_tx_prepare(dpdk->port->id, dpdk->number, frames + ready,
                                    (uint16_t)(count - ready));
        if (ready < count) {
            rte_pktmbuf_free(frames[ready]);
            haul_counter_add(&dpdk->base.counters.tx_errors, 1);
            count--;
            memmove(frames + ready, frames + ready + 1, (count - ready) * sizeof *frames);
        }
    }
    return count;
}

static uint32_t frames_give(struct haul_dpdk *dpdk, struct rte_mbuf **frames, uint32_t count)
{
    uint32_t taken = rte_eth_tx_burst(dpdk->port->id, dpdk->number, frames, (uint16_t)count);

    haul_counter_add(&dpdk->counters.tx_frames, taken);
    return taken;
}

/* The card takes nothing: for a moment that is back-pressure, with the link down or for longer it
 * is a loss, which the flows' timers must see. */
static void queue_stuck(struct haul_dpdk *dpdk)
{
    haul_time now = haul_clock_read();

    if (dpdk->stuck_since == HAUL_TIME_NEVER) {
        dpdk->stuck_since = now;
        haul_counter_add(&dpdk->counters.tx_full, 1);
    }
    if (!haul_port_link_is_up(dpdk->port)) {
        queue_drop(dpdk);
    } else if (haul_time_since(dpdk->stuck_since, now) >= STALL_SPAN) {
        haul_counter_add(&dpdk->counters.tx_stalls, 1);
        queue_drop(dpdk);
    }
}

void haul_dpdk_flush(struct haul_dpdk *dpdk)
{
    while (dpdk->queue_count > 0) {
        uint32_t at = dpdk->queue_at & dpdk->queue_mask;
        uint32_t ahead = dpdk->queue_mask + 1 - at;
        uint32_t count = dpdk->queue_count < ahead ? dpdk->queue_count : ahead;
        uint32_t taken;

        count = count < HAUL_PORT_BURST ? count : HAUL_PORT_BURST;
        taken = frames_give(dpdk, &dpdk->queue[at], count);
        dpdk->queue_at += taken;
        dpdk->queue_count -= taken;
        if (taken > 0)
            dpdk->stuck_since = HAUL_TIME_NEVER;
        if (taken < count) {
            queue_stuck(dpdk);
            return;
        }
    }
}

/* To the card, or behind what waits for it. */
static void frames_pass(struct haul_dpdk *dpdk, struct rte_mbuf **frames, uint32_t count)
{
    uint32_t taken = 0;

    if (dpdk->queue_count == 0)
        taken = frames_give(dpdk, frames, count);
    for (; taken < count; taken++) {
        if (dpdk->queue_count > dpdk->queue_mask) {
            frames_drop(dpdk, frames + taken, count - taken);
            return;
        }
        dpdk->queue[(dpdk->queue_at + dpdk->queue_count++) & dpdk->queue_mask] = frames[taken];
    }
}

void haul_dpdk_push(struct haul_dpdk *dpdk, struct rte_mbuf **frames, uint32_t count)
{
    frames_pass(dpdk, frames, frames_prepare(dpdk, frames, count));
}

/* --- datagrams --- */

/* Writes the headers before a datagram of `bytes`; false when it is larger than the path's first
 * link: then it was a probe, and is dropped alone. */
static bool frame_finish(const struct haul_port *port, const struct haul_ether_header *header,
                         struct rte_mbuf *frame, uint32_t bytes, uint8_t ecn)
{
    if (bytes > header->payload_max)
        return false;
    frame->data_off = (uint16_t)(RTE_PKTMBUF_HEADROOM - header->length);
    frame->data_len = (uint16_t)(bytes + header->length);
    frame->pkt_len = frame->data_len;
    frame->ol_flags = port->flags[header->family == 6];
    frame->l2_len = (uint64_t)header->ip_at & 0x7f;
    frame->l3_len = (uint64_t)(header->udp_at - header->ip_at) & 0x1ff;
    haul_ether_header_write(header, (uint8_t *)frame->buf_addr + frame->data_off, (uint16_t)bytes,
                            ecn, port->sums);
    return true;
}

/* Datagrams to a neighbour that has not answered wait a little, so that the first ones are not
 * lost; until then the frame's length is the datagram's. */
static void datagrams_hold(struct haul_dpdk *dpdk, const struct haul_train *train,
                           struct rte_mbuf **frames, uint32_t count)
{
    uint32_t left = train->bytes;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = left < train->segment ? left : train->segment;

        left -= bytes;
        if (dpdk->held_count == HAUL_DPDK_HELD_MAX || bytes > UINT16_MAX) {
            rte_pktmbuf_free(frames[i]);
            haul_counter_add(&dpdk->counters.tx_unresolved, 1);
            continue;
        }
        frames[i]->data_len = (uint16_t)bytes;
        dpdk->held[dpdk->held_count++] =
            (struct haul_held){ .frame = frames[i], .peer = train->peer, .ecn = train->ecn };
        haul_counter_add(&dpdk->counters.tx_held, 1);
    }
}

static void held_send(struct haul_dpdk *dpdk, haul_time now)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < dpdk->held_count; i++) {
        struct haul_held *held = &dpdk->held[i];
        struct haul_ether_header header;

        switch (haul_ether_resolve(dpdk->ether, &held->peer, now, &header)) {
        case HAUL_ETHER_READY:
            if (frame_finish(dpdk->port, &header, held->frame, held->frame->data_len, held->ecn)) {
                haul_dpdk_push(dpdk, &held->frame, 1);
            } else {
                rte_pktmbuf_free(held->frame);
                haul_counter_add(&dpdk->base.counters.tx_errors, 1);
            }
            break;
        case HAUL_ETHER_PENDING:
            dpdk->held[kept++] = *held;
            break;
        case HAUL_ETHER_NO_WAY:
            rte_pktmbuf_free(held->frame);
            haul_counter_add(&dpdk->counters.tx_unresolved, 1);
            break;
        }
    }
    dpdk->held_count = kept;
}

/* What the neighbours are asked, and what was waiting for their answer. */
void haul_dpdk_progress(struct haul_dpdk *dpdk, haul_time now)
{
    uint64_t link_ups = haul_dpdk_link_ups(dpdk);
    size_t bytes = 1;

    if (dpdk->link_ups != link_ups && dpdk->link_ups > 0) /* at start it announces anyway */
        haul_ether_link_up(dpdk->ether, now);
    dpdk->link_ups = link_ups;
    if (dpdk->held_count > 0)
        held_send(dpdk, now);
    while (bytes > 0) {
        struct rte_mbuf *frame = haul_dpdk_frame(dpdk);

        if (frame == NULL)
            break;
        bytes = haul_ether_poll(dpdk->ether, now, rte_pktmbuf_mtod(frame, uint8_t *));
        frame->data_len = (uint16_t)bytes;
        frame->pkt_len = (uint32_t)bytes;
        if (bytes > 0)
            haul_dpdk_push(dpdk, &frame, 1);
        else
            rte_pktmbuf_free(frame);
    }
    haul_counter_set(&dpdk->counters.neighbours, haul_ether_neighbours(dpdk->ether));
    dpdk->ether_due = haul_ether_deadline(dpdk->ether);
}

static void sent_count(struct haul_dpdk *dpdk, uint32_t datagrams, uint32_t bytes)
{
    haul_counter_add(&dpdk->base.counters.tx_trains, 1);
    haul_counter_add(&dpdk->base.counters.tx_datagrams, datagrams);
    haul_counter_add(&dpdk->base.counters.tx_bytes, bytes);
}

/* Consecutive datagrams of a train, a frame each; returns how many were small enough. */
static uint32_t send_apart(struct haul_dpdk *dpdk, const struct haul_train *train,
                           const struct haul_ether_header *header, struct rte_mbuf **frames,
                           uint32_t count, uint32_t bytes_in_all)
{
    struct rte_mbuf *ready[HAUL_PORT_BURST];
    uint32_t left = bytes_in_all, ready_count = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = left < train->segment ? left : train->segment;

        left -= bytes;
        if (frame_finish(dpdk->port, header, frames[i], bytes, train->ecn)) {
            ready[ready_count++] = frames[i];
        } else {
            rte_pktmbuf_free(frames[i]);
            haul_counter_add(&dpdk->base.counters.tx_errors, 1);
        }
    }
    haul_dpdk_push(dpdk, ready, ready_count);
    return ready_count;
}

/* The same in one packet, which the card cuts. False: its driver does not take this one. */
static bool send_joined(struct haul_dpdk *dpdk, const struct haul_train *train,
                        const struct haul_ether_header *header, struct rte_mbuf **frames,
                        uint32_t count, uint32_t bytes)
{
    haul_cut_join(header, frames, count, bytes, train->segment, train->ecn);
    if (rte_eth_tx_prepare(dpdk->port->id, dpdk->number, frames, 1) != 1) {
        haul_cut_part(frames, count);
        haul_counter_add(&dpdk->base.counters.tx_unsegmented, 1);
        return false;
    }
    haul_counter_add(&dpdk->counters.tx_segmented, 1);
    frames_pass(dpdk, frames, 1);
    return true;
}

static void train_frames(struct haul_dpdk *dpdk, const struct haul_train *train,
                         const struct haul_ether_header *header, struct rte_mbuf **frames,
                         uint32_t count)
{
    const uint32_t most = dpdk->port->cut_most;
    uint32_t left = train->bytes, sent = 0, many;

    for (uint32_t at = 0; at < count; at += many) {
        uint32_t bytes;
        bool joined;

        many = most == 0 ? 0 : haul_cut_count(most, header, train->segment, count - at);
        joined = many > 1;
        many = joined ? many : count - at;
        bytes = many < count - at ? many * train->segment : left;
        left -= bytes;
        if (joined && send_joined(dpdk, train, header, frames + at, many, bytes))
            sent += many;
        else
            sent += send_apart(dpdk, train, header, frames + at, many, bytes);
    }
    sent_count(dpdk, sent, train->bytes);
}

/* The frames that the train filled leave its bunch. */
static void train_send(struct haul_dpdk *dpdk, const struct haul_train *train, haul_time now)
{
    struct haul_bunch *bunch = &dpdk->lent[train->owner];
    uint32_t count = (train->bytes + train->segment - 1u) / train->segment;
    struct haul_ether_header header;

    haul_assert(count <= bunch->count);
    switch (haul_ether_resolve(dpdk->ether, &train->peer, now, &header)) {
    case HAUL_ETHER_READY:
        train_frames(dpdk, train, &header, bunch->frames, count);
        break;
    case HAUL_ETHER_PENDING:
        datagrams_hold(dpdk, train, bunch->frames, count);
        dpdk->ether_due = now;
        break;
    case HAUL_ETHER_NO_WAY:
        rte_pktmbuf_free_bulk(bunch->frames, count);
        haul_counter_add(&dpdk->base.counters.tx_errors, count);
        break;
    }
    bunch->count -= count;
    memmove(bunch->frames, bunch->frames + count, bunch->count * sizeof *bunch->frames);
}

void haul_dpdk_send(struct haul_net *net, const struct haul_train *trains, size_t count)
{
    struct haul_dpdk *dpdk = (struct haul_dpdk *)net;
    haul_time now = haul_clock_read();

    haul_dpdk_flush(dpdk);
    if (dpdk->held_count > 0)
        held_send(dpdk, now);
    for (size_t i = 0; i < count; i++) {
        haul_assert(trains[i].owner < dpdk->send_trains &&
                    dpdk->lent_free_count < dpdk->send_trains);
        if (trains[i].bytes > 0)
            train_send(dpdk, &trains[i], now);
        dpdk->lent_free[dpdk->lent_free_count++] = (uint16_t)trains[i].owner;
    }
    if (now >= dpdk->ether_due)
        haul_dpdk_progress(dpdk, now);
}

/* Fills the bunch up with empty frames. Where too few are free those that it has are lent: kept
 * back, they might be the ones that everybody waits for. False when it has none. */
static bool bunch_fill(struct haul_dpdk *dpdk, struct haul_bunch *bunch)
{
    uint32_t have = bunch->count, lack = HAUL_PORT_BURST - have;

    if (lack > 0 && rte_pktmbuf_alloc_bulk(dpdk->port->pool, bunch->frames + have, lack) != 0) {
        haul_counter_add(&dpdk->counters.tx_no_frame, 1);
        lack = 0;
    }
    bunch->count = have + lack;
    for (uint32_t i = 0; i < bunch->count; i++)
        bunch->parts[i] = (uint8_t *)bunch->frames[i]->buf_addr + RTE_PKTMBUF_HEADROOM;
    return bunch->count > 0;
}

/* While frames wait for the card nothing more is lent. */
size_t haul_dpdk_reserve(struct haul_net *net, struct haul_train *trains, size_t capacity)
{
    struct haul_dpdk *dpdk = (struct haul_dpdk *)net;
    size_t count = 0;

    haul_dpdk_flush(dpdk);
    while (count < capacity && dpdk->lent_free_count > 0 && dpdk->queue_count == 0) {
        uint16_t number = dpdk->lent_free[dpdk->lent_free_count - 1];
        struct haul_bunch *bunch = &dpdk->lent[number];

        if (!bunch_fill(dpdk, bunch))
            break;
        dpdk->lent_free_count--;
        trains[count++] = (struct haul_train){
            .data = bunch->parts[0],
            .parts = bunch->parts,
            .capacity = bunch->count * dpdk->base.facts.datagram_max,
            .owner = number,
        };
    }
    return count;
}
