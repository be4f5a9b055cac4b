/* Datagram backends. Eight operations, one contract, the same test for every backend:
 *
 *  - one net has one owner thread; nothing here is called from two;
 *  - receive lends trains until release, in the order of arrival within one peer address;
 *  - reserve lends empty trains; send takes all of them back, those with bytes == 0 unused. Send
 *    never refuses and never blocks: reserve is the point of back-pressure (it lends fewer);
 *  - a backend does not interpret payload, does not reorder within one peer address, and keeps no
 *    memory of a train after release or after its send has completed;
 *  - a burst that the route cannot segment is sent again datagram by datagram, never dropped;
 *  - a send error of the network (unreachable, refused) is a counter: the flow's timers decide. */
#pragma once

#include "common/error.h"
#include "common/time.h"
#include "common/train.h"

struct haul_net;

#define HAUL_NET_QUEUES_MAX 8u

enum haul_net_kind { HAUL_NET_AUTO, HAUL_NET_URING, HAUL_NET_MMSG, HAUL_NET_DPDK, HAUL_NET_KINDS };

#define HAUL_NET_ADDRESSES_MAX 8u
#define HAUL_NET_TRAINS_MAX    1024u

/* Whether DPDK's memory lies in huge pages: the drivers of cards need them, virtual devices do not.
 */
enum haul_net_pages { HAUL_NET_PAGES_AUTO, HAUL_NET_PAGES_HUGE, HAUL_NET_PAGES_ORDINARY };

/* A port of DPDK, which the kernel does not see: it has IP addresses of its own. */
struct haul_net_port {
    const char *device; /* a PCI address, or a virtual device with its arguments */
    struct {
        struct haul_addr ip; /* its port is not looked at */
        uint8_t bits;        /* of its prefix */
    } addresses[HAUL_NET_ADDRESSES_MAX];
    size_t address_count;
    struct haul_addr gateways[2]; /* one a family; family 0: none */
    uint16_t mtu;                 /* the largest IP packet */
    uint16_t vlan;                /* 1..4094; zero: untagged */
    bool segmentation_off;        /* trains are cut here even where the card would */
    enum haul_net_pages pages;
    uint32_t memory_mib;   /* for DPDK; zero: what the queues need */
    uint32_t buffers;      /* frames; zero: as many as queues and trains hold */
    const char *directory; /* private, for what DPDK may want to keep on disk while it runs */
};

struct haul_net_conf {
    enum haul_net_kind kind; /* AUTO: io_uring, and sendmmsg/recvmmsg where it is refused */
    const struct haul_net_port *port; /* DPDK alone */
    /* DPDK alone: several nets share a port, each with a queue pair and a UDP port of its own. The
     * first is opened for `queues` of them, and gets as many as the device has (facts.queues); the
     * others are opened `beside` it, with their number as `queue` and the same `bind`, and closed
     * before it, when no net of the port is used any more. */
    uint32_t queues; /* 0: one */
    uint32_t queue;
    struct haul_net *beside;
    struct haul_addr bind;         /* family 6 and a zero address: both families; port 0: any */
    uint32_t receive_trains;       /* buffers to receive into, 64 KiB each */
    uint32_t send_trains;          /* buffers to send from, 64 KiB each */
    uint32_t receive_buffer_bytes; /* socket buffer asked for; the kernel's limit is probed */
    uint8_t *memory;               /* haul_net_bytes of it, 4096-aligned, borrowed until close */
};

size_t haul_net_bytes(const struct haul_net_conf *conf);

/* What is in use, for status and tests. Stable while the net is open but for the counters. */
struct haul_net_facts {
    const char *backend;      /* "uring", "mmsg", "dpdk" */
    bool multishot;           /* one receive request stays armed */
    bool gro;                 /* UDP_GRO is on */
    bool gso;                 /* UDP_SEGMENT is on for this socket (routes are learnt one by one) */
    uint32_t datagram_max;    /* most bytes in one datagram */
    uint32_t segments_max;    /* most datagrams in one send train */
    uint32_t train_bytes_max; /* most bytes in one send train: n x segment never passes the device's
                                 gso_max_size with its headers */
    uint32_t receive_buffer_bytes; /* what the kernel gave */
    uint32_t queues; /* DPDK: queue pairs of the port, and so how many nets it has room for */
    struct haul_addr local;
    char refused[96]; /* AUTO: why it is not io_uring; empty otherwise */
};

#define HAUL_NET_COUNTERS(X)                                                                       \
    X(rx_trains, "receive completions with data")                                                  \
    X(rx_datagrams, "datagrams received")                                                          \
    X(rx_bytes, "UDP payload bytes received")                                                      \
    X(rx_no_buffer, "times the receive ran out of buffers")                                        \
    X(rx_truncated, "receives that were cut short and dropped")                                    \
    X(rx_kernel_dropped, "datagrams the kernel dropped because the socket buffer was full")        \
    X(tx_trains, "send requests")                                                                  \
    X(tx_datagrams, "datagrams given to the kernel")                                               \
    X(tx_bytes, "UDP payload bytes given to the kernel")                                           \
    X(tx_unsegmented, "trains sent datagram by datagram since the route, or the card's driver, "   \
                      "refused to cut one")                                                        \
    X(tx_errors, "datagrams the kernel refused")                                                   \
    X(waits, "times the worker went to sleep")

struct haul_net_counters {
#define X(name, help) uint64_t name;
    HAUL_NET_COUNTERS(X)
#undef X
};

HAUL_MUST_USE int haul_net_open(struct haul_net **net, const struct haul_net_conf *conf,
                                struct haul_error *error);
size_t haul_net_receive(struct haul_net *net, struct haul_train *trains, size_t capacity);
void haul_net_release(struct haul_net *net, const struct haul_train *trains, size_t count);
size_t haul_net_reserve(struct haul_net *net, struct haul_train *trains, size_t capacity);
void haul_net_send(struct haul_net *net, const struct haul_train *trains, size_t count);

#define HAUL_NET_WAIT_FDS_MAX 6u

/* Sleeps until something arrived, a send train came back that reserve lacked, one of `fds` is
 * readable or `span` has passed (HAUL_TIME_NEVER: no limit); it may also return early. A span of
 * zero only polls. A descriptor of `fds` stays open until the net is closed or was given other
 * `fds`. */
void haul_net_wait(struct haul_net *net, const int *fds, size_t fd_count, haul_time span);
/* A descriptor that is readable when something arrived, to be waited for elsewhere; -1: there is
 * none. */
int haul_net_fd(const struct haul_net *net);

/* Whether receive has something that it took from the kernel or the card already, so that the
 * descriptor above says nothing of it. */
bool haul_net_ready(const struct haul_net *net);

/* What this backend counts beside the counters above. Any thread. */
typedef void haul_net_take_fn(void *context, const char *name, const char *help, uint64_t value);
void haul_net_each(const struct haul_net *net, haul_net_take_fn *take, void *context);
void haul_net_close(struct haul_net *net); /* NULL is welcome */

const struct haul_net_facts *haul_net_facts(const struct haul_net *net);
const struct haul_net_counters *haul_net_counters(const struct haul_net *net);
