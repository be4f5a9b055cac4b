/* Two ports of DPDK in one process, joined with each other: by memif, by vhost and virtio-user, or
 * by a veth pair of the kernel's in a network namespace. For the contract of nets, and for what a
 * port alone can meet. */
#pragma once

#include "tests/unit/net_contract.h"

struct port_pair {
    const char *name;
    const char *devices[2]; /* one %s: a directory of the test's own */
    uint16_t mtu[2];
    bool stays;    /* ends that are closed stay, and are used again until their process ends */
    uint16_t vlan; /* zero: none */
    bool segmentation_off; /* trains are not the card's to cut */
};

extern const struct port_pair port_memif;
extern const struct port_pair port_vhost;     /* and virtio-user, the second */
extern const struct port_pair port_uneven;    /* the second has buffers for 1500 bytes only */
extern const struct port_pair port_af_packet; /* in a namespace of port_veth_open */
extern const struct port_pair port_af_xdp;

/* What a net on a port is opened with. */
struct port_opening {
    const char *device;
    unsigned side; /* 0: 10.77.0.1 and fd77::1; 1: those that end in two */
    int family;    /* whose address comes first */
    uint16_t mtu;
    uint16_t vlan;
    bool segmentation_off;
    uint32_t trains; /* to receive into, and as many to send from */
    uint32_t queues; /* as in struct haul_net_conf */
    uint32_t queue;
    struct haul_net *beside;
};

/* NULL when it does not open: why is printed. */
struct haul_net *port_net_open(const struct port_opening *opening);

/* Runs it in a process of its own, for DPDK starts once in one, and asserts that it returns zero:
 * anything else is the step that failed. */
void port_in_a_child(int (*run)(void));

/* Which pair the calls below are about, and a directory for its sockets. */
void port_pair_use(const struct port_pair *of, const char *directory);

/* A network namespace for this process alone, with a veth pair v0 and v1 of that MTU. False where
 * there is none to be had. */
bool port_veth_open(unsigned mtu);

/* For struct net_rig: the first end opened is the first device, the second one the other; when both
 * are there each has heard from the other. */
bool port_rig_open(struct net_end *end, int family, uint32_t buffer, uint32_t trains);
void port_rig_close(struct net_end *end);

/* Sends trains of `count` datagrams of 1408 bytes until nothing is lent any more; returns the
 * number of the next datagram. */
uint32_t port_fill_up(struct net_end *from, const struct net_end *to, uint32_t number,
                      uint32_t count);
/* Receives and lets the sender push what waits, until everything is there or nothing comes. */
void port_drain(struct net_end *from, struct net_end *to, struct net_arrived *arrived,
                uint32_t datagrams);

/* A counter of the port by its name. */
uint64_t port_counter(const struct net_end *end, const char *name);
