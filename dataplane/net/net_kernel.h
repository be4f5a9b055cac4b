/* Kernel UDP: what io_uring and recvmmsg/sendmmsg implement each, and what net_kernel.c keeps for
 * both: the send buffers, the trains that the kernel could not take yet, and the routes that refuse
 * segmentation. Internal to dataplane/net. */
#pragma once

#include "dataplane/net/net_backend.h"
#include "dataplane/net/net_socket.h"

/* A receive buffer: room for name and control data in front, then one whole train. */
#define HAUL_NET_RECEIVE_FRONT 192u
#ifndef HAUL_NET_RECEIVE_ROOM /* a test makes it smaller than a datagram can be */
#define HAUL_NET_RECEIVE_ROOM 65600u
#endif
#define HAUL_NET_RECEIVE_BYTES (HAUL_NET_RECEIVE_FRONT + HAUL_NET_RECEIVE_ROOM)
#define HAUL_NET_SEND_BYTES    65536u
#define HAUL_NET_REFUSED_MAX   32u /* addresses remembered as refusing segmentation */

struct haul_net_kernel;

struct haul_net_way {
    const char *name;

    /* Sets state. The socket is open, receive memory is assigned. */
    int (*open)(struct haul_net_kernel *net, struct haul_error *error);
    void (*close)(struct haul_net_kernel *net);
    size_t (*receive)(struct haul_net_kernel *net, struct haul_train *trains, size_t capacity);
    void (*release)(struct haul_net_kernel *net, const struct haul_train *trains, size_t count);

    /* Hands messages to the kernel in order, without waiting, until one is refused; returns how
     * many were taken. `*refusal` is the errno of the first that was not, when there is one. A
     * message that was taken is no longer read. */
    size_t (*transmit)(struct haul_net_kernel *net, struct haul_net_envelope *envelopes,
                       size_t count, int *refusal);

    int (*fd)(const struct haul_net_kernel *net);
    bool (*ready)(const struct haul_net_kernel *net);

    /* `writable`: wake up when the socket takes messages again as well. */
    void (*wait)(struct haul_net_kernel *net, const int *fds, size_t fd_count, haul_time span,
                 bool writable);
};

extern const struct haul_net_way haul_net_uring;
extern const struct haul_net_way haul_net_mmsg;

/* A train that waits for room in the socket. */
struct haul_net_waiting {
    struct haul_train train;
    uint32_t at; /* bytes that have left */
    bool singly; /* the rest goes datagram by datagram */
};

struct haul_net_refused {
    struct haul_addr peer; /* its port is not looked at */
    uint32_t trains;       /* sent singly since; segmentation is tried again now and then */
};

struct haul_net_kernel {
    struct haul_net base;
    const struct haul_net_way *way;
    void *state; /* the way's own */
    struct haul_net_socket socket;
    uint8_t *receive_memory;
    uint8_t *send_memory;
    uint32_t receive_trains;
    uint32_t send_trains;

    uint16_t *free_send; /* stack of buffer numbers, the warmest on top */
    uint32_t free_count;
    struct haul_net_waiting *waiting; /* a ring of send_trains */
    uint32_t waiting_first;
    uint32_t waiting_count;
    struct haul_net_refused refused[HAUL_NET_REFUSED_MAX];
    uint32_t refused_count;
    uint32_t refused_next;
};

static inline uint8_t *haul_net_receive_buffer(const struct haul_net_kernel *net, uint32_t number)
{
    return net->receive_memory + (size_t)number * HAUL_NET_RECEIVE_BYTES;
}
