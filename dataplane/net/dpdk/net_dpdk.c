/* Opening, closing and waiting. A port that can wake us is slept on; any other is looked at again
 * and again, with sleeps that grow while nothing comes: an idle node costs about a hundredth of a
 * core. */
#include "dataplane/net/dpdk/dpdk_parts.h"

#include "common/clock.h"
#include "dataplane/net/dpdk/eal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_FIRST (20 * HAUL_MICROSECOND)
#define SLEEP_BUSY  (80 * HAUL_MICROSECOND) /* a ring of 1024 frames holds 100 Gbit/s so long */
#define SLEEP_IDLE  HAUL_MILLISECOND
#define SLEEP_DEEP  (5 * HAUL_MILLISECOND)
#define LINK_SPAN   HAUL_SECOND              /* a link that came up is noticed so soon */
#define BUSY_SPAN   (200 * HAUL_MILLISECOND) /* after the last datagram: something is going on */
#define DEEP_SPAN   HAUL_SECOND              /* ... and nothing is */

/* --- waiting --- */

/* True when a descriptor became readable. */
static bool sleep_on(struct pollfd *polled, nfds_t count, haul_time span)
{
    struct timespec limit = { .tv_sec = (time_t)(span / HAUL_SECOND),
                              .tv_nsec = (long)(span % HAUL_SECOND) };

    return ppoll(polled, count, span == HAUL_TIME_NEVER ? NULL : &limit, NULL) > 0;
}

/* Left unread it would end every sleep at once. */
static void interrupt_take(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0)
        return; /* somebody was faster */
}

/* How long a look may be away. A first datagram after a long silence is a probe, which can wait. */
static haul_time sleep_most(const struct haul_dpdk *dpdk, haul_time now)
{
    haul_time quiet = haul_time_since(dpdk->quiet_since, now);

    return quiet < BUSY_SPAN ? SLEEP_BUSY : quiet < DEEP_SPAN ? SLEEP_IDLE : SLEEP_DEEP;
}

/* The card wakes us. It may have filled its queue before it was asked to. There are drivers that
 * promise an interrupt which never comes: only one that has woken us, and missed nothing since, is
 * slept on for long. True: something came. */
static bool wait_interrupt(struct haul_dpdk *dpdk, struct pollfd *polled, nfds_t count,
                           haul_time span)
{
    uint16_t port = dpdk->port->id;
    bool woken = true;

    if (rte_eth_dev_rx_intr_enable(port, dpdk->number) != 0) {
        dpdk->interrupt_fd = -1; /* its peer went away: from now on we look ourselves */
        return false;
    }
    if (!dpdk->interrupt_wakes)
        span = haul_time_min(span, sleep_most(dpdk, haul_clock_read()));
    if (!haul_dpdk_peek(dpdk)) {
        bool rung;

        polled[count] = (struct pollfd){ .fd = dpdk->interrupt_fd, .events = POLLIN };
        woken = sleep_on(polled, count + 1, span);
        rung = woken && polled[count].revents != 0;
        if (rung)
            interrupt_take(polled[count].fd);
        if (haul_dpdk_peek(dpdk)) {
            haul_counter_add(&dpdk->counters.wakes, 1);
            if (rung || !woken) /* what woke us otherwise says nothing about it */
                dpdk->interrupt_wakes = rung;
        }
    }
    rte_eth_dev_rx_intr_disable(port, dpdk->number);
    return woken;
}

/* We look. True: something came, or the card took what had waited for it. */
static bool wait_look(struct haul_dpdk *dpdk, struct pollfd *polled, nfds_t count, haul_time end)
{
    haul_time now = haul_clock_read(), step = SLEEP_FIRST;

    while (now < end) {
        uint32_t queued = dpdk->queue_count;
        bool woken = sleep_on(polled, count, haul_time_min(step, end - now));

        if (haul_dpdk_peek(dpdk)) {
            haul_counter_add(&dpdk->counters.wakes, 1);
            return true;
        }
        haul_dpdk_flush(dpdk);
        if (woken || (queued > 0 && dpdk->queue_count == 0))
            return true;
        now = haul_clock_read();
        step = haul_time_min(2 * step, sleep_most(dpdk, now));
    }
    return false;
}

static void dpdk_wait(struct haul_net *net, const int *fds, size_t fd_count, haul_time span)
{
    struct haul_dpdk *dpdk = (struct haul_dpdk *)net;
    struct pollfd polled[HAUL_NET_WAIT_FDS_MAX + 2];
    haul_time now = haul_clock_read(), end = haul_time_add(now, span);
    bool woken = false;

    haul_eal_thread();
    haul_dpdk_flush(dpdk);
    for (size_t i = 0; i < fd_count; i++)
        polled[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    if (dpdk->port->queues > 1)
        polled[fd_count++] =
            (struct pollfd){ .fd = dpdk->port->handover.fds[dpdk->number], .events = POLLIN };
    haul_counter_add(&dpdk->base.counters.waits, span > 0);
    while (true) {
        haul_time until;

        if (now >= dpdk->ether_due || haul_dpdk_link_ups(dpdk) != dpdk->link_ups)
            haul_dpdk_progress(dpdk, now);
        if (woken || now >= end || haul_dpdk_peek(dpdk))
            return;
        if (!haul_handover_rest(&dpdk->port->handover, dpdk->number))
            continue;
        until = haul_time_min(haul_time_min(end, dpdk->ether_due), now + LINK_SPAN);
        if (dpdk->interrupt_fd >= 0 && dpdk->queue_count == 0)
            woken = wait_interrupt(dpdk, polled, (nfds_t)fd_count, haul_time_since(now, until));
        else
            woken = wait_look(dpdk, polled, (nfds_t)fd_count, until);
        haul_handover_rested(&dpdk->port->handover, dpdk->number);
        now = haul_clock_read();
    }
}

static int dpdk_fd(const struct haul_net *net)
{
    (void)net;
    return -1; /* it is the one that waits */
}

static bool dpdk_ready(const struct haul_net *net)
{
    const struct haul_dpdk *dpdk = (const struct haul_dpdk *)net;

    return dpdk->staged_at < dpdk->staged_count;
}

/* --- closing --- */

static void bunches_free(struct haul_bunch *bunches, uint32_t count)
{
    for (uint32_t i = 0; bunches != NULL && i < count; i++)
        rte_pktmbuf_free_bulk(bunches[i].frames, bunches[i].count);
    free(bunches);
}

/* The first of a port goes last. */
static void port_give(struct haul_dpdk *dpdk)
{
    if (dpdk->port == NULL)
        return;
    haul_assert(dpdk->port->users > 0 && (dpdk->first != dpdk || dpdk->port->users == 1));
    if (--dpdk->port->users > 0)
        return;
    haul_port_close(dpdk->port);
    free(dpdk->port);
}

static void dpdk_close(struct haul_net *net)
{
    struct haul_dpdk *dpdk = (struct haul_dpdk *)net;

    haul_dpdk_watch_close(dpdk);
    for (uint32_t i = dpdk->staged_at; i < dpdk->staged_count; i++)
        rte_pktmbuf_free(dpdk->staged[i]);
    for (uint32_t i = 0; i < dpdk->held_count; i++)
        rte_pktmbuf_free(dpdk->held[i].frame);
    for (uint32_t i = 0; i < dpdk->queue_count; i++)
        rte_pktmbuf_free(dpdk->queue[(dpdk->queue_at + i) & dpdk->queue_mask]);
    if (dpdk->answer != NULL)
        rte_pktmbuf_free(dpdk->answer);
    bunches_free(dpdk->lent, dpdk->send_trains);
    free(dpdk->received);
    port_give(dpdk);
    free(dpdk->queue);
    free(dpdk->received_free);
    free(dpdk->lent_free);
    free(dpdk->ether);
    free(dpdk->device);
    free(dpdk);
}

/* --- telling --- */

static void dpdk_each(const struct haul_net *net, haul_net_take_fn *take, void *context)
{
    const struct haul_dpdk *dpdk = (const struct haul_dpdk *)net;
    const struct haul_ether_counters *ether = haul_ether_counters(dpdk->ether);

#define X(name, help) take(context, #name, help, haul_counter_read(&dpdk->counters.name));
    HAUL_DPDK_COUNTERS(X)
#undef X
#define X(name, help) take(context, "ether_" #name, help, haul_counter_read(&ether->name));
    HAUL_ETHER_DROPS(X)
    HAUL_ETHER_COUNTS(X)
#undef X
}

static const struct haul_net_backend backend = {
    .close = dpdk_close,
    .receive = haul_dpdk_receive,
    .release = haul_dpdk_release,
    .reserve = haul_dpdk_reserve,
    .send = haul_dpdk_send,
    .wait = dpdk_wait,
    .fd = dpdk_fd,
    .ready = dpdk_ready,
    .each = dpdk_each,
};

/* --- opening --- */

static uint32_t power_of_two(uint32_t least)
{
    uint32_t power = 1;

    while (power < least)
        power *= 2;
    return power;
}

static int memory_open(struct haul_dpdk *dpdk, const struct haul_net_conf *conf,
                       struct haul_error *error)
{
    uint32_t frames = power_of_two(conf->send_trains * HAUL_PORT_BURST + HAUL_DPDK_HELD_MAX + 64u);

    dpdk->receive_trains = conf->receive_trains;
    dpdk->send_trains = conf->send_trains;
    dpdk->received = calloc(conf->receive_trains, sizeof *dpdk->received);
    dpdk->received_free = calloc(conf->receive_trains, sizeof *dpdk->received_free);
    dpdk->lent = calloc(conf->send_trains, sizeof *dpdk->lent);
    dpdk->lent_free = calloc(conf->send_trains, sizeof *dpdk->lent_free);
    dpdk->queue = calloc(frames, sizeof *dpdk->queue);
    dpdk->queue_mask = frames - 1;
    dpdk->device = strdup(conf->port->device);
    dpdk->ether = aligned_alloc(64, (haul_ether_bytes() + 63) / 64 * 64);
    if (dpdk->received == NULL || dpdk->received_free == NULL || dpdk->lent == NULL ||
        dpdk->lent_free == NULL || dpdk->queue == NULL || dpdk->device == NULL ||
        dpdk->ether == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the net");
    for (uint32_t i = 0; i < conf->receive_trains; i++)
        dpdk->received_free[dpdk->received_free_count++] = (uint16_t)(conf->receive_trains - 1 - i);
    for (uint32_t i = 0; i < conf->send_trains; i++)
        dpdk->lent_free[dpdk->lent_free_count++] = (uint16_t)(conf->send_trains - 1 - i);
    return 0;
}

static int ether_open(struct haul_dpdk *dpdk, const struct haul_net_conf *conf,
                      struct haul_error *error)
{
    const struct haul_net_port *port = conf->port;
    struct haul_ether_conf ether = { .vlan = port->vlan,
                                     .mtu = port->mtu,
                                     .port = (uint16_t)(conf->bind.port + dpdk->number),
                                     .port_first = conf->bind.port,
                                     .port_count = dpdk->port->queues,
                                     .quiet = dpdk->number > 0,
                                     .address_count = port->address_count,
                                     .gateway_ipv4 = port->gateways[0],
                                     .gateway_ipv6 = port->gateways[1] };

    memcpy(ether.mac, dpdk->port->mac, sizeof ether.mac);
    for (size_t i = 0; i < port->address_count; i++) {
        ether.addresses[i].ip = port->addresses[i].ip;
        ether.addresses[i].bits = port->addresses[i].bits;
    }
    if (getrandom(&ether.seed, sizeof ether.seed, 0) != (ssize_t)sizeof ether.seed)
        return haul_fail(error, HAUL_E_SYSTEM, "no random numbers: %s", strerror(errno));
    haul_assert(haul_ether_init(dpdk->ether, &ether, haul_clock_read()) == dpdk->ether);
    return 0;
}

static void facts_fill(struct haul_dpdk *dpdk, const struct haul_net_conf *conf)
{
    struct haul_net_facts *facts = &dpdk->base.facts;

    facts->backend = "dpdk";
    facts->datagram_max = conf->port->mtu - 28u;
    facts->segments_max = HAUL_PORT_BURST;
    facts->train_bytes_max = HAUL_PORT_BURST * facts->datagram_max;
    facts->receive_buffer_bytes = dpdk->port->frames * facts->datagram_max;
    facts->queues = dpdk->port->queues;
    facts->local = conf->port->addresses[0].ip;
    facts->local.port = (uint16_t)(conf->bind.port + dpdk->number);
}

/* The first net of a port opens it, the others find it there. */
static int port_take(struct haul_dpdk *dpdk, const struct haul_net_conf *conf,
                     struct haul_error *error)
{
    uint32_t held = conf->receive_trains * HAUL_PORT_BURST +
                    2 * conf->send_trains * HAUL_PORT_BURST + HAUL_DPDK_HELD_MAX +
                    2 * HAUL_PORT_BURST;
    struct haul_port *port;

    if (conf->beside != NULL) {
        dpdk->first = (struct haul_dpdk *)conf->beside;
        dpdk->port = dpdk->first->port;
        haul_assert(conf->queue > 0 && conf->queue < dpdk->port->queues);
        dpdk->number = (uint16_t)conf->queue;
        dpdk->port->users++;
        return ether_open(dpdk, conf, error);
    }
    port = calloc(1, sizeof *port);
    if (port == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the port");
    port->users = 1;
    dpdk->port = port;
    dpdk->first = dpdk;
    if (haul_port_open(port, conf->port, conf->queues == 0 ? 1 : conf->queues, held, error) < 0 ||
        ether_open(dpdk, conf, error) < 0 ||
        haul_port_start(port, conf->port, dpdk->ether, error) < 0)
        return -1;
    haul_port_steer(port, conf->bind.port);
    return 0;
}

int haul_net_dpdk_open(struct haul_net **net, const struct haul_net_conf *conf,
                       struct haul_error *error)
{
    struct haul_dpdk *dpdk = calloc(1, sizeof *dpdk);

    haul_assert(conf->port != NULL && conf->port->address_count > 0 &&
                conf->port->address_count <= HAUL_ETHER_ADDRESSES_MAX && conf->bind.port != 0);
    if (dpdk == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the net");
    dpdk->base.backend = &backend;
    dpdk->interrupt_fd = -1;
    dpdk->port_first = conf->bind.port;
    dpdk->stuck_since = HAUL_TIME_NEVER;
    if (memory_open(dpdk, conf, error) < 0 || port_take(dpdk, conf, error) < 0 ||
        haul_dpdk_watch_open(dpdk, error) < 0) {
        dpdk_close(&dpdk->base);
        return -1;
    }
    dpdk->interrupt_fd = haul_port_interrupt(dpdk->port, dpdk->number);
    facts_fill(dpdk, conf);
    *net = &dpdk->base;
    return 0;
}
