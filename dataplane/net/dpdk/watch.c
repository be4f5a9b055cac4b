/* What a worker has no time for: four times a second, on DPDK's own thread, link and card are
 * looked at and what happened goes to the log. */
#include "dataplane/net/dpdk/dpdk_parts.h"

#include "common/log.h"

#include <inttypes.h>
#include <rte_alarm.h>
#include <rte_mempool.h>
#include <string.h>

#define LOOK_MICROSECONDS  250000u
#define AWAIT_MICROSECONDS 20000u /* while the link is down */
#define EVENTS             64u

static void link_look(struct haul_dpdk *dpdk)
{
    bool was_up = haul_counter_read(&dpdk->counters.link_up) != 0;
    bool up = haul_port_link_is_up(dpdk->port);

    if (up == was_up)
        return;
    haul_counter_set(&dpdk->counters.link_up, up);
    haul_counter_add(&dpdk->counters.link_downs, !up);
    haul_counter_add(&dpdk->counters.link_ups, up);
    haul_log(up ? HAUL_LOG_INFO : HAUL_LOG_WARN, up ? "dpdk-link-up" : "dpdk-link-down",
             "device=\"%s\"%s", dpdk->device,
             up ? "" : " what=\"datagrams are dropped until it is back; transfers go on then\"");
}

static void card_look(struct haul_dpdk *dpdk)
{
    struct rte_eth_stats stats;

    if (rte_eth_stats_get(dpdk->port->id, &stats) == 0) {
        haul_counter_set(&dpdk->counters.rx_missed, stats.imissed);
        haul_counter_set(&dpdk->counters.rx_no_frame, stats.rx_nombuf);
        haul_counter_set(&dpdk->counters.rx_errors, stats.ierrors);
        haul_counter_set(&dpdk->counters.tx_failed, stats.oerrors);
    }
    haul_counter_set(&dpdk->counters.rules, dpdk->port->rules);
    haul_counter_set(&dpdk->counters.hashes, dpdk->port->hashes);
    haul_counter_set(&dpdk->counters.tx_sums_ip, (dpdk->port->sums & HAUL_ETHER_SUM_IP_CARD) != 0);
    haul_counter_set(&dpdk->counters.tx_sums_udp,
                     (dpdk->port->sums & HAUL_ETHER_SUM_UDP_CARD) != 0);
    haul_counter_set(&dpdk->counters.tx_segments, dpdk->port->cut_most > 0);
    haul_counter_set(&dpdk->counters.rx_sums, dpdk->port->checks_sums);
    haul_counter_set(&dpdk->counters.frames_free, rte_mempool_avail_count(dpdk->port->pool));
}

static void told(const struct haul_dpdk *dpdk, const struct haul_ether_event *event)
{
    static const struct {
        enum haul_log_level level;
        const char *name;
    } lines[] = {
        [HAUL_ETHER_CONFLICT] = { HAUL_LOG_WARN, "dpdk-address-conflict" },
        [HAUL_ETHER_MOVED] = { HAUL_LOG_INFO, "dpdk-neighbour-moved" },
        [HAUL_ETHER_REFUSED] = { HAUL_LOG_WARN, "dpdk-neighbour-refused" },
        [HAUL_ETHER_LOST] = { HAUL_LOG_INFO, "dpdk-neighbour-lost" },
        [HAUL_ETHER_TOO_BIG] = { HAUL_LOG_INFO, "dpdk-too-big" },
    };
    char text[HAUL_ADDR_TEXT_BYTES];

    haul_addr_print(&event->ip, text);
    haul_log(lines[event->type].level, lines[event->type].name,
             "device=\"%s\" ip=\"%s\" mac=%02x:%02x:%02x:%02x:%02x:%02x mtu=%u", dpdk->device, text,
             event->mac[0], event->mac[1], event->mac[2], event->mac[3], event->mac[4],
             event->mac[5], event->mtu);
}

/* A line when something that should not happen has happened again, at most one a look. */
static void trouble_look(struct haul_dpdk *dpdk)
{
    struct haul_dpdk_seen *seen = &dpdk->seen;
    uint64_t stalls = haul_counter_read(&dpdk->counters.tx_stalls);
    uint64_t frames = haul_counter_read(&dpdk->counters.tx_no_frame) +
                      haul_counter_read(&dpdk->counters.rx_no_frame);

    if (stalls != seen->stalls)
        haul_log(HAUL_LOG_WARN, "dpdk-queue-stalled",
                 "device=\"%s\" queue=%" PRIu16 " stalls=%" PRIu64
                 " what=\"the card took no frame for a second; its peer or driver stands still\"",
                 dpdk->device, dpdk->number, stalls);
    if (frames != seen->frames && ++seen->frames_told % 16 == 1)
        haul_log(HAUL_LOG_WARN, "dpdk-no-buffer",
                 "device=\"%s\" times=%" PRIu64 " what=\"every buffer is held\"", dpdk->device,
                 frames);
    seen->stalls = stalls;
    seen->frames = frames;
}

static void look(void *context)
{
    struct haul_dpdk *dpdk = context;
    struct haul_ether_event event;

    if (dpdk->first == dpdk) { /* the whole port's */
        link_look(dpdk);
        card_look(dpdk);
    }
    trouble_look(dpdk);
    while (haul_ring_pull(dpdk->events, &event))
        told(dpdk, &event);
    rte_eal_alarm_set(haul_counter_read(&dpdk->first->counters.link_up) != 0 ? LOOK_MICROSECONDS
                                                                             : AWAIT_MICROSECONDS,
                      look, dpdk);
}

int haul_dpdk_watch_open(struct haul_dpdk *dpdk, struct haul_error *error)
{
    dpdk->events = haul_ring_open(EVENTS, sizeof(struct haul_ether_event));
    if (dpdk->events == NULL || rte_eal_alarm_set(1, look, dpdk) != 0)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory to watch %s", dpdk->device);
    dpdk->watched = true;
    return 0;
}

void haul_dpdk_watch_close(struct haul_dpdk *dpdk)
{
    if (dpdk->watched)
        rte_eal_alarm_cancel(look, dpdk); /* waits for one that runs */
    haul_ring_close(dpdk->events);
}
