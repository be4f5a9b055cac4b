/* Set-up of the UDP socket, and the translation between trains and messages of the kernel. */
#include "dataplane/net/net_socket.h"

#include "common/counters.h"

#include <errno.h>
#include <linux/udp.h>
#include <string.h>
#include <unistd.h>

#define ECN_MASK 3

/* Link, IPv6 and UDP headers with some room for tags: a train with them must fit the device's
 * largest burst, or the kernel cuts it in software. */
#define BURST_HEADERS 96u
#define BURST_DEFAULT 65000u /* where the devices' limits are unknown */
#define BURST_MAX     65536u /* of IP without jumbograms, and of our train buffers */

static int option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

static socklen_t name_write(union haul_net_name *name, const struct haul_addr *addr, bool v6)
{
    memset(name, 0, sizeof *name);
    if (!v6) {
        name->v4.sin_family = AF_INET;
        name->v4.sin_port = htons(addr->port);
        memcpy(&name->v4.sin_addr, addr->ip, 4);
        return sizeof name->v4;
    }
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = htons(addr->port);
    name->v6.sin6_scope_id = addr->scope;
    if (addr->family == 4) {
        name->v6.sin6_addr.s6_addr[10] = 0xff;
        name->v6.sin6_addr.s6_addr[11] = 0xff;
        memcpy(name->v6.sin6_addr.s6_addr + 12, addr->ip, 4);
    } else {
        memcpy(name->v6.sin6_addr.s6_addr, addr->ip, 16);
    }
    return sizeof name->v6;
}

static bool name_read(const union haul_net_name *name, size_t bytes, struct haul_addr *addr)
{
    *addr = (struct haul_addr){ 0 };
    if (bytes >= sizeof name->v4 && name->any.sa_family == AF_INET) {
        addr->family = 4;
        addr->port = ntohs(name->v4.sin_port);
        memcpy(addr->ip, &name->v4.sin_addr, 4);
        return true;
    }
    if (bytes < sizeof name->v6 || name->any.sa_family != AF_INET6)
        return false;
    addr->port = ntohs(name->v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&name->v6.sin6_addr)) {
        addr->family = 4;
        memcpy(addr->ip, name->v6.sin6_addr.s6_addr + 12, 4);
        return true;
    }
    addr->family = 6;
    memcpy(addr->ip, name->v6.sin6_addr.s6_addr, 16);
    if (IN6_IS_ADDR_LINKLOCAL(&name->v6.sin6_addr))
        addr->scope = name->v6.sin6_scope_id;
    return true;
}

static bool addr_is_any(const struct haul_addr *addr)
{
    static const uint8_t zero[16];

    return memcmp(addr->ip, zero, sizeof zero) == 0;
}

/* Family 6 with a zero address means both families; where the kernel has no IPv6, IPv4 alone. */
static int socket_create(struct haul_net_socket *udp, struct haul_addr *bind_to)
{
    int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

    udp->v6 = bind_to->family == 6;
    udp->fd = socket(udp->v6 ? AF_INET6 : AF_INET, type, IPPROTO_UDP);
    if (udp->fd < 0 && udp->v6 && errno == EAFNOSUPPORT && addr_is_any(bind_to)) {
        udp->v6 = false;
        bind_to->family = 4;
        udp->fd = socket(AF_INET, type, IPPROTO_UDP);
    }
    return udp->fd;
}

/* Path MTU is found by our own probes (RFC 8899): DF is set and the kernel's cache ignored, so that
 * a datagram is either sent whole or refused. */
static int socket_shape(const struct haul_net_socket *udp, const struct haul_addr *bind_to)
{
    int fd = udp->fd;

    if (udp->v6) {
        if (option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, addr_is_any(bind_to) ? 0 : 1) < 0 ||
            option_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) < 0)
            return -1;
        option_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    }
    if (option_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) < 0 && !udp->v6)
        return -1;
    option_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
    option_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    return 0;
}

static uint32_t buffer_grow(int fd, int forced, int plain, uint32_t bytes)
{
    int value = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
    socklen_t size = sizeof value;

    if (option_set(fd, SOL_SOCKET, forced, value) < 0)
        option_set(fd, SOL_SOCKET, plain, value);
    value = 0;
    getsockopt(fd, SOL_SOCKET, plain, &value, &size);
    return value > 0 ? (uint32_t)value : 0;
}

static void facts_fill(const struct haul_net_socket *udp, const struct haul_net_conf *conf,
                       struct haul_net_facts *facts)
{
    uint32_t burst = 0, segments = 0;

    facts->gso = option_set(udp->fd, IPPROTO_UDP, UDP_SEGMENT, 0) == 0;
    facts->gro = option_set(udp->fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
    if (!haul_net_device_limits(&burst, &segments)) {
        burst = BURST_DEFAULT + BURST_HEADERS;
        segments = HAUL_NET_SEGMENTS_MAX;
    }
    burst = burst < BURST_MAX ? burst : BURST_MAX;
    facts->train_bytes_max = burst - BURST_HEADERS;
    facts->segments_max = segments < HAUL_NET_SEGMENTS_MAX ? segments : HAUL_NET_SEGMENTS_MAX;
    facts->receive_buffer_bytes =
        buffer_grow(udp->fd, SO_RCVBUFFORCE, SO_RCVBUF, conf->receive_buffer_bytes);
    buffer_grow(udp->fd, SO_SNDBUFFORCE, SO_SNDBUF, conf->send_trains * BURST_MAX);
}

int haul_net_socket_open(struct haul_net_socket *socket, const struct haul_net_conf *conf,
                         struct haul_net_facts *facts, struct haul_error *error)
{
    struct haul_addr bind_to = conf->bind;
    union haul_net_name name;
    socklen_t bytes;

    *socket = (struct haul_net_socket){ .fd = -1 };
    if (socket_create(socket, &bind_to) < 0)
        return haul_fail(error, HAUL_E_SYSTEM, "a UDP socket: %s", strerror(errno));
    if (socket_shape(socket, &bind_to) < 0) {
        haul_fail(error, HAUL_E_SYSTEM, "options of the UDP socket: %s", strerror(errno));
        goto fail;
    }
    bytes = name_write(&name, &bind_to, socket->v6);
    if (bind(socket->fd, &name.any, bytes) < 0) {
        haul_fail(error, HAUL_E_SYSTEM, "UDP port %u: %s", bind_to.port, strerror(errno));
        goto fail;
    }
    bytes = sizeof name;
    if (getsockname(socket->fd, &name.any, &bytes) < 0 || !name_read(&name, bytes, &facts->local)) {
        haul_fail(error, HAUL_E_SYSTEM, "the name of the UDP socket: %s", strerror(errno));
        goto fail;
    }
    facts_fill(socket, conf, facts);
    return 0;

fail:
    haul_net_socket_close(socket);
    return -1;
}

void haul_net_socket_close(struct haul_net_socket *socket)
{
    if (socket->fd >= 0)
        close(socket->fd);
    socket->fd = -1;
}

static void control_add(struct msghdr *message, int level, int type, const void *data, size_t bytes)
{
    struct cmsghdr *next =
        (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);

    haul_assert(message->msg_controllen + CMSG_SPACE(bytes) <= HAUL_NET_CONTROL_BYTES);
    next->cmsg_level = level;
    next->cmsg_type = type;
    next->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(next), data, bytes);
    message->msg_controllen += CMSG_SPACE(bytes);
}

void haul_net_envelope_write(struct haul_net_envelope *envelope,
                             const struct haul_net_socket *socket, const struct haul_train *train,
                             uint32_t at, uint32_t bytes, bool segmented)
{
    struct msghdr *message = &envelope->message;
    int ecn = train->ecn & ECN_MASK;

    envelope->span = (struct iovec){ .iov_base = train->data + at, .iov_len = bytes };
    *message = (struct msghdr){
        .msg_name = &envelope->peer,
        .msg_namelen = name_write(&envelope->peer, &train->peer, socket->v6),
        .msg_iov = &envelope->span,
        .msg_iovlen = 1,
        .msg_control = envelope->control,
    };
    if (segmented)
        control_add(message, IPPROTO_UDP, UDP_SEGMENT, &train->segment, sizeof train->segment);
    if (ecn != 0 && train->peer.family == 4)
        control_add(message, IPPROTO_IP, IP_TOS, &ecn, sizeof ecn);
    else if (ecn != 0)
        control_add(message, IPPROTO_IPV6, IPV6_TCLASS, &ecn, sizeof ecn);
    if (message->msg_controllen == 0)
        message->msg_control = NULL;
}

static void control_read(struct haul_net_socket *socket, const struct cmsghdr *control,
                         struct haul_train *train, struct haul_net_counters *counters)
{
    const uint8_t *data = CMSG_DATA(control);
    size_t bytes = control->cmsg_len - CMSG_LEN(0);
    int value = 0;

    memcpy(&value, data, bytes < sizeof value ? bytes : sizeof value);
    if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
        if (value > 0 && (uint32_t)value < train->bytes)
            train->segment = (uint16_t)value;
    } else if ((control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) ||
               (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS)) {
        train->ecn = (uint8_t)(value & ECN_MASK);
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
        uint32_t dropped = (uint32_t)value;

        haul_counter_add(&counters->rx_kernel_dropped, dropped - socket->kernel_dropped);
        socket->kernel_dropped = dropped;
    }
}

bool haul_net_message_read(struct haul_net_socket *socket, struct msghdr *message, uint32_t bytes,
                           struct haul_train *train, struct haul_net_counters *counters)
{
    train->bytes = bytes;
    train->segment = (uint16_t)bytes;
    train->ecn = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at))
        control_read(socket, at, train, counters);
    if ((message->msg_flags & MSG_TRUNC) != 0 || bytes > UINT16_MAX ||
        !name_read(message->msg_name, message->msg_namelen, &train->peer)) {
        haul_counter_add(&counters->rx_truncated, 1);
        return false;
    }
    haul_counter_add(&counters->rx_trains, 1);
    haul_counter_add(&counters->rx_bytes, bytes);
    if (bytes > 0)
        haul_counter_add(&counters->rx_datagrams, (bytes + train->segment - 1u) / train->segment);
    return bytes > 0; /* an empty datagram carries nothing for anyone */
}
