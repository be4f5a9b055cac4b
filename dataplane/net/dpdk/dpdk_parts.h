/* A net over one queue pair of a port of DPDK. Datagrams lie in the card's own buffers: sealing
 * writes them there, opening reads them there. Frames of other kinds (neighbours, echo) are
 * answered here. One worker owns it; a look at link and card runs beside it (watch.c). The nets of
 * one port share its buffers and what lies between its queues (handover.h). Internal to
 * dataplane/net/dpdk. */
#pragma once

#include "common/counters.h"
#include "common/ring.h"
#include "dataplane/net/dpdk/port.h"
#include "dataplane/net/net_backend.h"

#define HAUL_DPDK_HELD_MAX 64u /* datagrams that wait until a neighbour answers */

/* The frames of one train. A lent send train keeps those that were not used. */
struct haul_bunch {
    struct rte_mbuf *frames[HAUL_PORT_BURST];
    uint8_t *parts[HAUL_PORT_BURST]; /* where each datagram lies */
    uint32_t count;
};

struct haul_held {
    struct rte_mbuf *frame;
    struct haul_addr peer;
    uint8_t ecn;
};

#define HAUL_DPDK_COUNTERS(X)                                                                      \
    X(rx_frames, "frames taken from the card")                                                     \
    X(rx_missed, "frames the card dropped because nobody took them in time")                       \
    X(rx_no_frame, "frames the driver dropped because no buffer was free")                         \
    X(rx_errors, "frames that arrived broken")                                                     \
    X(tx_frames, "frames given to the card; a train that it cuts is one")                          \
    X(tx_segmented, "trains given to the card in one piece, which it cuts into datagrams")         \
    X(tx_full, "times the card's queue had no room")                                               \
    X(tx_no_frame, "times no buffer was free to send from")                                        \
    X(tx_held, "datagrams that waited until a neighbour answered")                                 \
    X(tx_unresolved, "datagrams dropped since nobody answered for their address")                  \
    X(tx_dropped, "frames dropped since the link was down or the queue stood still")               \
    X(tx_failed, "frames that the card could not send")                                            \
    X(tx_stalls, "times the card's queue stood still for a second")                                \
    X(handed_over, "datagrams for another worker that came here, and were handed to it")           \
    X(handed_in, "datagrams that came to another queue, taken from there")                         \
    X(handed_lost, "frames for other workers dropped since as many waited as may")                 \
    X(rules, "rules by which the card brings datagrams to their queues (gauge)")                   \
    X(hashes, "1 where the card's hash brings datagrams over IPv4 to their queues (gauge)")        \
    X(tx_sums_ip, "1 where the card sums headers of IPv4 (gauge)")                                 \
    X(tx_sums_udp, "1 where the card sums UDP datagrams (gauge)")                                  \
    X(tx_segments, "1 where the card cuts trains into datagrams (gauge)")                          \
    X(rx_sums, "1 where the card checks the sums of what arrives (gauge)")                         \
    X(link_up, "1 while the link is up (gauge)")                                                   \
    X(link_ups, "times the link came up")                                                          \
    X(link_downs, "times the link went down")                                                      \
    X(neighbours, "neighbours that frames are sent to, or asked for, of 256 a worker (gauge)")     \
    X(wakes, "times a frame or its interrupt ended a sleep")                                       \
    X(frames_free, "buffers that nobody holds (gauge)")

struct haul_dpdk_counters {
#define X(name, help) uint64_t name;
    HAUL_DPDK_COUNTERS(X)
#undef X
};

/* What the watch has told already. */
struct haul_dpdk_seen {
    uint64_t stalls;
    uint64_t frames;
    uint32_t frames_told;
};

/* How a staged frame came here. */
enum haul_staged { HAUL_STAGED_CARD, HAUL_STAGED_HANDED, HAUL_STAGED_HEARD };

struct haul_dpdk {
    struct haul_net base;
    struct haul_port *port;
    struct haul_dpdk *first; /* of the port: it knows of the link */
    uint16_t number;         /* of its queue pair */
    uint16_t port_first;     /* UDP port of the first queue's worker */
    int interrupt_fd;        /* readable when frames arrive and it was asked for; -1: poll */
    bool interrupt_wakes;    /* the last frames came with it */
    struct haul_ether *ether;
    char *device; /* as configured, for the log */
    haul_time ether_due;
    haul_time quiet_since; /* when the last datagram came */
    struct haul_dpdk_counters counters;

    /* receiving */
    struct rte_mbuf *staged[HAUL_PORT_BURST]; /* taken from the card, not looked at */
    uint8_t staged_as[HAUL_PORT_BURST];       /* enum haul_staged */
    bool handed_first;                        /* what others hand over and the card take turns */
    uint32_t staged_at;
    uint32_t staged_count;
    struct haul_bunch *received; /* receive_trains */
    uint16_t *received_free;
    uint32_t received_free_count;

    /* sending */
    struct haul_bunch *lent; /* send_trains */
    uint16_t *lent_free;
    uint32_t lent_free_count;
    uint32_t receive_trains;
    uint32_t send_trains;
    struct rte_mbuf **queue; /* what the card had no room for, in order; a ring */
    uint32_t queue_mask;
    uint32_t queue_at;
    uint32_t queue_count;
    haul_time stuck_since; /* the card has taken nothing since then; NEVER */
    struct haul_held held[HAUL_DPDK_HELD_MAX];
    uint32_t held_count;
    struct rte_mbuf *answer; /* the next answer is made in it */

    struct haul_ring *events; /* struct haul_ether_event, to the watch */
    struct haul_dpdk_seen seen;
    uint64_t link_ups; /* of which the neighbours were told */
    bool watched;
};

/* How often the link came up; any net of the port. */
static inline uint64_t haul_dpdk_link_ups(const struct haul_dpdk *dpdk)
{
    return haul_counter_read(&dpdk->first->counters.link_ups);
}

/* send.c */
size_t haul_dpdk_reserve(struct haul_net *net, struct haul_train *trains, size_t capacity);
void haul_dpdk_send(struct haul_net *net, const struct haul_train *trains, size_t count);
void haul_dpdk_flush(struct haul_dpdk *dpdk); /* what waits for the card, as far as it takes it */
void haul_dpdk_progress(struct haul_dpdk *dpdk, haul_time now); /* neighbours, held datagrams */
void haul_dpdk_push(struct haul_dpdk *dpdk, struct rte_mbuf **frames, uint32_t count);
struct rte_mbuf *haul_dpdk_frame(struct haul_dpdk *dpdk); /* NULL: none is free */

/* receive.c */
size_t haul_dpdk_receive(struct haul_net *net, struct haul_train *trains, size_t capacity);
void haul_dpdk_release(struct haul_net *net, const struct haul_train *trains, size_t count);
bool haul_dpdk_peek(struct haul_dpdk *dpdk); /* true: a frame is there */

/* watch.c: on a thread of DPDK's, four times a second. */
HAUL_MUST_USE int haul_dpdk_watch_open(struct haul_dpdk *dpdk, struct haul_error *error);
void haul_dpdk_watch_close(struct haul_dpdk *dpdk);
