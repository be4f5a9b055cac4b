/* A port of DPDK: one device with a pair of queues for each of its nets, the buffers of all of
 * them, and what its driver can do. Opened, counted and closed by the control thread; what is here
 * does not change while the nets run. Internal to dataplane/net/dpdk. */
#pragma once

#include "dataplane/ethernet/ethernet.h"
#include "dataplane/net/dpdk/handover.h"
#include "dataplane/net/net.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define HAUL_PORT_BURST 32u /* frames in one call of the driver, datagrams in one train */

struct haul_port {
    uint16_t id;
    uint16_t queues; /* pairs of them */
    uint32_t users;  /* nets that have it */
    uint32_t rules;  /* by which the card brings datagrams to their queues */
    bool hash_asked; /* the card is to hash under hash_key */
    bool hashes;     /* ... and took the table that goes with it */
    uint8_t hash_key[64];
    bool attached;
    bool started;
    bool shared_memory; /* no wire: no bit turns over on the way */
    struct rte_mempool *pool;
    uint32_t frames;   /* in the pool */
    unsigned sums;     /* enum haul_ether_sums */
    bool checks_sums;  /* the driver says whether those of a frame hold */
    uint64_t flags[2]; /* of mbufs to send, IPv4 and IPv6 */
    uint32_t cut_most; /* datagrams in one packet that the card cuts (cut.h); zero: it does not */
    bool wakes;        /* the driver can wake us */
    uint8_t mac[HAUL_MAC_BYTES];
    char driver[32];
    char interface[16]; /* the kernel's, where the port is an end of one; else "" */
    int interface_fd;   /* a socket to ask about it; -1: none */
    struct haul_handover handover;
};

/* Starts the environment where it does not run, attaches and configures the device, with `queues`
 * or as many as it has. `held` is the number of frames that the trains of one net may hold. On
 * failure close it all the same. */
HAUL_MUST_USE int haul_port_open(struct haul_port *port, const struct haul_net_port *conf,
                                 uint32_t queues, uint32_t held, struct haul_error *error);

/* After the multicast addresses are known: frames flow. */
HAUL_MUST_USE int haul_port_start(struct haul_port *port, const struct haul_net_port *conf,
                                  const struct haul_ether *ether, struct haul_error *error);

/* A descriptor that is readable when frames arrive at that queue and it was asked for; -1: poll. */
int haul_port_interrupt(const struct haul_port *port, uint16_t queue);

/* Asks the card to bring datagrams for UDP port `first` + n to queue n, with rules or by its hash
 * where its driver can. Where it cannot, they come to any queue and are handed over. */
void haul_port_steer(struct haul_port *port, uint16_t first);

/* Whether frames can pass. Any thread. Drivers on interfaces of the kernel (af_packet, af_xdp) say
 * so always: there the kernel is asked. */
bool haul_port_link_is_up(const struct haul_port *port);
void haul_port_close(struct haul_port *port);
