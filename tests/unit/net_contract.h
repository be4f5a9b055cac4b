/* The contract of dataplane/net as tests that run on any backend, and what its other tests share:
 * an end, trains of numbered datagrams, and what arrived of them. */
#pragma once

#include "dataplane/net/net.h"

#define NET_TRAINS 16u

struct net_end {
    struct haul_net *net;
    uint8_t *memory;
    struct haul_addr addr; /* how the other end reaches it */
};

struct net_arrived {
    uint32_t datagrams;
    uint32_t trains;
    uint64_t bytes;
    uint32_t next; /* the number expected */
    uint32_t wrong;
    uint32_t largest_train;
    uint8_t ecn;
    struct haul_addr peer;
};

/* In which process a contract runs. */
enum net_where {
    NET_HERE,
    NET_CHILD,    /* in one of its own */
    NET_CHILDREN, /* in some: where a test needs other ends, the old ones are left to the end of
                   * theirs
                   */
};

/* How a backend is opened for the contract. */
struct net_rig {
    const char *name;
    bool (*open)(struct net_end *end, int family, uint32_t buffer, uint32_t trains);
    void (*close)(struct net_end *end);
    enum net_where where;
    bool (*prepare)(void); /* in a process of its own; false: it cannot run here. May be NULL */
    uint32_t oversize;     /* bytes of a datagram that fits a train, and no packet */
    uint32_t largest;      /* bytes of a datagram that passes, where not nine kilobytes do */
};

/* Runs the whole contract, and says on standard error which test broke. */
void net_contract_run(const struct net_rig *rig);

haul_time net_clock(void);
void net_end_close(struct net_end *end);

/* Fills one reserved train with datagrams that carry their number in every 4 bytes. */
void net_train_fill(struct haul_train *train, const struct haul_addr *peer, uint32_t number,
                    uint32_t segment, uint32_t bytes);
bool net_send_one(struct net_end *from, const struct haul_addr *to, uint32_t number,
                  uint32_t segment, uint32_t bytes);

/* Receives until `datagrams` are there or half a second brings nothing. */
void net_receive_some(struct net_end *end, struct net_arrived *arrived, uint32_t datagrams);
