/* The UDP socket that every kernel backend uses: how it is set up, and how trains become messages
 * with control data and back. Internal to dataplane/net. */
#pragma once

#include "dataplane/net/net.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define HAUL_NET_CONTROL_BYTES 128u /* room for UDP_GRO, the ECN bits and SO_RXQ_OVFL */
#define HAUL_NET_SEGMENTS_MAX  64u  /* the kernel's limit on segments in one send before 6.12 */

struct haul_net_socket {
    int fd;
    bool v6;                 /* an IPv6 socket: IPv4 peers have mapped addresses */
    uint32_t kernel_dropped; /* SO_RXQ_OVFL as last seen; it only grows, modulo 2^32 */
};

union haul_net_name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* One message to the kernel. It points into itself: it is written where it stays. */
struct haul_net_envelope {
    struct msghdr message;
    struct iovec span;
    union haul_net_name peer;
    _Alignas(struct cmsghdr) uint8_t control[HAUL_NET_CONTROL_BYTES];
};

/* Opens and binds, and fills gro, gso, segments_max, train_bytes_max, receive_buffer_bytes and
 * local of the facts. 0, or -1 and the error. */
HAUL_MUST_USE int haul_net_socket_open(struct haul_net_socket *socket,
                                       const struct haul_net_conf *conf,
                                       struct haul_net_facts *facts, struct haul_error *error);
void haul_net_socket_close(struct haul_net_socket *socket);

/* `bytes` of the train from `at` on. `segmented`: more than one datagram, cut by the kernel. */
void haul_net_envelope_write(struct haul_net_envelope *envelope,
                             const struct haul_net_socket *socket, const struct haul_train *train,
                             uint32_t at, uint32_t bytes, bool segmented);

/* Reads name and control data of a received message of `bytes` into the train's peer, segment and
 * ecn, and counts what the kernel dropped. False when it cannot be used (cut short, or no UDP
 * address): counted as truncated. */
HAUL_MUST_USE bool haul_net_message_read(struct haul_net_socket *socket, struct msghdr *message,
                                         uint32_t bytes, struct haul_train *train,
                                         struct haul_net_counters *counters);

/* The smallest largest burst (gso_max_size, gso_max_segs) of the devices that are up, by netlink;
 * false where the kernel does not say, and then both are untouched. */
HAUL_MUST_USE bool haul_net_device_limits(uint32_t *bytes, uint32_t *segments);
