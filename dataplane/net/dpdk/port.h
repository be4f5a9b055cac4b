/* A port of DPDK: one device with one pair of queues, its buffers, and what its driver can do.
 * Internal to dataplane/net/dpdk. */
#pragma once

#include "dataplane/ethernet/ethernet.h"
#include "dataplane/net/net.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define HAUL_PORT_BURST 32u /* frames in one call of the driver, datagrams in one train */
#define HAUL_PORT_QUEUE 0u

struct haul_port {
    uint16_t id;
    bool attached;
    bool started;
    bool shared_memory; /* no wire: no bit turns over on the way */
    struct rte_mempool *pool;
    uint32_t frames;   /* in the pool */
    unsigned sums;     /* enum haul_ether_sums */
    uint64_t flags[2]; /* of mbufs to send, IPv4 and IPv6 */
    int interrupt_fd;  /* readable when frames arrive and it was asked for; -1: poll */
    uint8_t mac[HAUL_MAC_BYTES];
    char driver[32];
    char interface[16]; /* the kernel's, where the port is an end of one; else "" */
    int interface_fd;   /* a socket to ask about it; -1: none */
};

/* Starts the environment where it does not run, attaches and configures the device. `held` is the
 * number of frames that trains may hold. On failure close it all the same. */
HAUL_MUST_USE int haul_port_open(struct haul_port *port, const struct haul_net_port *conf,
                                 uint32_t held, struct haul_error *error);

/* After the multicast addresses are known: frames flow. */
HAUL_MUST_USE int haul_port_start(struct haul_port *port, const struct haul_net_port *conf,
                                  const struct haul_ether *ether, struct haul_error *error);

/* Whether frames can pass. Any thread. Drivers on interfaces of the kernel (af_packet, af_xdp) say
 * so always: there the kernel is asked. */
bool haul_port_link_is_up(const struct haul_port *port);
void haul_port_close(struct haul_port *port);
