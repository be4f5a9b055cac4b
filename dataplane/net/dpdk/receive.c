/* Receiving: frames from the card become trains of datagrams in the card's own buffers; what is no
 * datagram is answered or dropped. */
#include "dataplane/net/dpdk/dpdk_parts.h"

#include "common/clock.h"
#include <rte_prefetch.h>
#include <string.h>

#define FRAMES_MAX 512u /* looked at in one call: a flood of others does not keep the worker */

static void card_take(struct haul_dpdk *dpdk)
{
    dpdk->staged_count =
        rte_eth_rx_burst(dpdk->port->id, dpdk->number, dpdk->staged, HAUL_PORT_BURST);
    haul_counter_add(&dpdk->counters.rx_frames, dpdk->staged_count);
    for (uint32_t i = 0; i < dpdk->staged_count; i++) {
        rte_prefetch0(rte_pktmbuf_mtod(dpdk->staged[i], void *));
        dpdk->staged_as[i] = HAUL_STAGED_CARD;
    }
}

static void handed_take(struct haul_dpdk *dpdk)
{
    struct haul_handed handed[HAUL_PORT_BURST];

    dpdk->staged_count =
        haul_handover_take(&dpdk->port->handover, dpdk->number, handed, HAUL_PORT_BURST);
    for (uint32_t i = 0; i < dpdk->staged_count; i++) {
        dpdk->staged[i] = handed[i].frame;
        dpdk->staged_as[i] = handed[i].heard != 0 ? HAUL_STAGED_HEARD : HAUL_STAGED_HANDED;
        haul_counter_add(&dpdk->counters.handed_in, handed[i].heard == 0);
    }
}

bool haul_dpdk_peek(struct haul_dpdk *dpdk)
{
    if (dpdk->staged_at < dpdk->staged_count)
        return true;
    dpdk->staged_at = 0;
    if (dpdk->port->queues == 1) {
        card_take(dpdk);
        return dpdk->staged_count > 0;
    }
    dpdk->handed_first = !dpdk->handed_first;
    if (dpdk->handed_first)
        handed_take(dpdk);
    else
        card_take(dpdk);
    if (dpdk->staged_count > 0)
        return true;
    if (dpdk->handed_first)
        card_take(dpdk);
    else
        handed_take(dpdk);
    return dpdk->staged_count > 0;
}

/* What the driver found out. A checksum that was never computed came through shared memory. */
static struct haul_ether_found found_of(const struct haul_port *port, const struct rte_mbuf *frame)
{
    uint64_t ip = frame->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    uint64_t udp = frame->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    bool stripped = (frame->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;

    return (struct haul_ether_found){
        .ip_checked = ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD || ip == RTE_MBUF_F_RX_IP_CKSUM_NONE,
        .udp_checked = udp == RTE_MBUF_F_RX_L4_CKSUM_GOOD || udp == RTE_MBUF_F_RX_L4_CKSUM_NONE,
        .vlan_stripped = stripped ? frame->vlan_tci & 0xfff : -1,
    };
}

static void events_take(struct haul_dpdk *dpdk)
{
    struct haul_ether_event event;

    while (haul_ether_event(dpdk->ether, &event)) {
        if (!haul_ring_push(dpdk->events, &event))
            return; /* the counters tell of it too */
    }
}

/* Whether it holds a datagram. What tells of neighbours or paths is shown to the other workers,
 * unless it was shown to us. */
static bool frame_read(struct haul_dpdk *dpdk, struct rte_mbuf *frame, uint8_t as, haul_time now,
                       struct haul_ether_datagram *datagram)
{
    struct haul_ether_found found = found_of(dpdk->port, frame);
    size_t bytes = 0;

    if (frame->nb_segs != 1) {
        haul_counter_add(&dpdk->base.counters.rx_truncated, 1);
        return false;
    }
    if (dpdk->answer == NULL)
        dpdk->answer = haul_dpdk_frame(dpdk);
    switch (haul_ether_input(
        dpdk->ether, rte_pktmbuf_mtod(frame, const uint8_t *), frame->data_len, &found, now,
        datagram, dpdk->answer == NULL ? NULL : rte_pktmbuf_mtod(dpdk->answer, uint8_t *),
        dpdk->answer == NULL ? 0 : rte_pktmbuf_tailroom(dpdk->answer), &bytes)) {
    case HAUL_ETHER_DATAGRAM:
        return true;
    case HAUL_ETHER_REPLY:
        if (as != HAUL_STAGED_CARD)
            break;
        dpdk->answer->data_len = (uint16_t)bytes;
        dpdk->answer->pkt_len = (uint32_t)bytes;
        haul_dpdk_push(dpdk, &dpdk->answer, 1);
        dpdk->answer = NULL;
        break;
    case HAUL_ETHER_HANDLED:
        events_take(dpdk);
        dpdk->ether_due = now;
        if (as == HAUL_STAGED_CARD && dpdk->port->queues > 1)
            haul_counter_add(&dpdk->counters.handed_lost,
                             haul_handover_show(&dpdk->port->handover, dpdk->number, frame));
        break;
    case HAUL_ETHER_DROPPED:
        break;
    }
    return false;
}

/* True when the frame stays, with a datagram for this worker. Any other is gone: handed to the
 * worker whose it is, or free. */
static bool frame_take(struct haul_dpdk *dpdk, struct rte_mbuf *frame, uint8_t as, haul_time now,
                       struct haul_ether_datagram *datagram)
{
    uint32_t queue;

    if (!frame_read(dpdk, frame, as, now, datagram) || datagram->bytes == 0) {
        rte_pktmbuf_free(frame);
        return false;
    }
    queue = (uint16_t)(datagram->port - dpdk->port_first);
    if (queue == dpdk->number)
        return true;
    if (as == HAUL_STAGED_CARD &&
        haul_handover_give(&dpdk->port->handover, dpdk->number, queue, frame)) {
        haul_counter_add(&dpdk->counters.handed_over, 1);
    } else {
        rte_pktmbuf_free(frame);
        haul_counter_add(&dpdk->counters.handed_lost, 1);
    }
    return false;
}

/* Whether the datagram goes on where the train ends. */
static bool train_goes_on(const struct haul_train *train, const struct haul_bunch *bunch,
                          const struct haul_ether_datagram *datagram)
{
    return bunch->count < HAUL_PORT_BURST && train->bytes == bunch->count * train->segment &&
           datagram->bytes <= train->segment && datagram->ecn == train->ecn &&
           haul_addr_equal(&datagram->peer, &train->peer);
}

static void datagram_add(struct haul_train *train, struct haul_bunch *bunch, struct rte_mbuf *frame,
                         const struct haul_ether_datagram *datagram)
{
    uint8_t *data = rte_pktmbuf_mtod_offset(
        frame, uint8_t *, datagram->data - rte_pktmbuf_mtod(frame, const uint8_t *));

    bunch->frames[bunch->count] = frame;
    bunch->parts[bunch->count++] = data;
    train->bytes += datagram->bytes;
}

static void received_count(struct haul_dpdk *dpdk, const struct haul_train *train, uint32_t count)
{
    haul_counter_add(&dpdk->base.counters.rx_trains, 1);
    haul_counter_add(&dpdk->base.counters.rx_datagrams, count);
    haul_counter_add(&dpdk->base.counters.rx_bytes, train->bytes);
}

/* One train from what is staged; false when there was no datagram among it. A datagram that begins
 * another train stays staged: `waiting` is it. */
static bool train_take(struct haul_dpdk *dpdk, struct haul_train *train, haul_time now,
                       uint32_t *budget)
{
    uint16_t number = dpdk->received_free[dpdk->received_free_count - 1];
    struct haul_bunch *bunch = &dpdk->received[number];
    struct haul_ether_datagram datagram;

    bunch->count = 0;
    for (; *budget > 0 && haul_dpdk_peek(dpdk); dpdk->staged_at++, --*budget) {
        struct rte_mbuf *frame = dpdk->staged[dpdk->staged_at];

        if (!frame_take(dpdk, frame, dpdk->staged_as[dpdk->staged_at], now, &datagram))
            continue;
        if (bunch->count == 0) {
            *train = (struct haul_train){
                .data = (uint8_t *)(uintptr_t)datagram.data,
                .parts = bunch->parts,
                .segment = datagram.bytes,
                .ecn = datagram.ecn,
                .owner = number,
                .peer = datagram.peer,
            };
        } else if (!train_goes_on(train, bunch, &datagram)) {
            break;
        }
        datagram_add(train, bunch, frame, &datagram);
        /* What the card still has may wait until this much was worked on. */
        if (dpdk->staged_at + 1 == dpdk->staged_count) {
            dpdk->staged_at++;
            break;
        }
    }
    if (bunch->count == 0)
        return false;
    dpdk->received_free_count--;
    received_count(dpdk, train, bunch->count);
    return true;
}

size_t haul_dpdk_receive(struct haul_net *net, struct haul_train *trains, size_t capacity)
{
    struct haul_dpdk *dpdk = (struct haul_dpdk *)net;
    uint32_t budget = FRAMES_MAX;
    size_t count = 0;
    haul_time now;

    if (dpdk->queue_count > 0)
        haul_dpdk_flush(dpdk);
    if (haul_dpdk_link_ups(dpdk) != dpdk->link_ups)
        haul_dpdk_progress(dpdk, haul_clock_read());
    if (!haul_dpdk_peek(dpdk))
        return 0;
    now = haul_clock_read();
    while (count < capacity) {
        if (dpdk->received_free_count == 0) {
            haul_counter_add(&dpdk->base.counters.rx_no_buffer, 1);
            break;
        }
        if (!train_take(dpdk, &trains[count], now, &budget))
            break;
        count++;
    }
    if (count > 0) /* other frames, such as neighbours' questions, are no traffic */
        dpdk->quiet_since = now;
    if (now >= dpdk->ether_due)
        haul_dpdk_progress(dpdk, now);
    return count;
}

void haul_dpdk_release(struct haul_net *net, const struct haul_train *trains, size_t count)
{
    struct haul_dpdk *dpdk = (struct haul_dpdk *)net;

    for (size_t i = count; i-- > 0;) {
        struct haul_bunch *bunch = &dpdk->received[trains[i].owner];

        haul_assert(dpdk->received_free_count < dpdk->receive_trains);
        rte_pktmbuf_free_bulk(bunch->frames, bunch->count);
        dpdk->received_free[dpdk->received_free_count++] = (uint16_t)trains[i].owner;
    }
}
