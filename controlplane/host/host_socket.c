/* TCP sockets as the host needs them: non-blocking, without delay, and addresses as plain bytes. */
#include "controlplane/host/host_parts.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

static socklen_t address_to(const struct haul_addr *address, struct sockaddr_storage *storage)
{
    struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(address->port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                .sin6_port = htons(address->port),
                                .sin6_scope_id = address->scope };

    memset(storage, 0, sizeof *storage);
    if (address->family == 4) {
        memcpy(&in4.sin_addr, address->ip, 4);
        memcpy(storage, &in4, sizeof in4);
        return sizeof in4;
    }
    memcpy(&in6.sin6_addr, address->ip, 16);
    memcpy(storage, &in6, sizeof in6);
    return sizeof in6;
}

static void address_from(const void *storage, struct haul_addr *address)
{
    struct sockaddr generic;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    *address = (struct haul_addr){ 0 };
    memcpy(&generic, storage, sizeof generic);
    if (generic.sa_family == AF_INET) {
        memcpy(&in4, storage, sizeof in4);
        address->family = 4;
        address->port = ntohs(in4.sin_port);
        memcpy(address->ip, &in4.sin_addr, 4);
    } else if (generic.sa_family == AF_INET6) {
        memcpy(&in6, storage, sizeof in6);
        address->family = 6;
        address->port = ntohs(in6.sin6_port);
        address->scope = in6.sin6_scope_id;
        memcpy(address->ip, &in6.sin6_addr, 16);
    }
}

static int socket_open(const struct haul_addr *address)
{
    int one = 1;
    int fd = socket(address->family == 6 ? AF_INET6 : AF_INET,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int haul_socket_listen(const struct haul_addr *address, struct haul_addr *bound)
{
    struct sockaddr_storage storage;
    socklen_t bytes = address_to(address, &storage);
    int fd = socket_open(address);
    int one = 1;
    int err = 0;

    if (fd < 0)
        return fd;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        (address->family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0) ||
        bind(fd, (const struct sockaddr *)&storage, bytes) < 0 || listen(fd, BACKLOG) < 0)
        err = -errno;
    if (err < 0) {
        close(fd);
        return err;
    }
    /* Only now: before bind it would let two nodes share a port, after it our own dials. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    haul_socket_local(fd, bound);
    return fd;
}

/* One attempt, from `from` or from anywhere. */
static int connect_from(const struct haul_addr *address, const struct haul_addr *from,
                        bool *at_once)
{
    struct sockaddr_storage to, source;
    socklen_t bytes = address_to(address, &to);
    int fd = socket_open(address);
    int one = 1;
    int err;

    if (fd < 0)
        return fd;
    if (from == NULL ||
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0 &&
         bind(fd, (const struct sockaddr *)&source, address_to(from, &source)) == 0)) {
        *at_once = connect(fd, (const struct sockaddr *)&to, bytes) == 0;
        if (*at_once || errno == EINPROGRESS)
            return fd;
    }
    err = -errno;
    close(fd);
    return err;
}

int haul_socket_connect(const struct haul_addr *address, const struct haul_addr *from, bool must,
                        bool *at_once)
{
    int fd = connect_from(address, from, at_once);

    /* The same two ends may be connected already, or the source not lead there. */
    if (fd < 0 && from != NULL && !must)
        fd = connect_from(address, NULL, at_once);
    return fd;
}

int haul_socket_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0 ? 0
                                                                                        : -errno;
}

int haul_socket_accept(int fd, struct haul_addr *remote)
{
    struct sockaddr_storage storage;
    socklen_t bytes = sizeof storage;
    int one = 1;
    int accepted = accept4(fd, (struct sockaddr *)&storage, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (accepted < 0)
        return -errno;
    (void)setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    address_from(&storage, remote);
    return accepted;
}

int haul_socket_error(int fd)
{
    int err = 0;
    socklen_t bytes = sizeof err;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &bytes) < 0)
        return errno;
    return err;
}

void haul_socket_local(int fd, struct haul_addr *local)
{
    struct sockaddr_storage storage;
    socklen_t bytes = sizeof storage;

    *local = (struct haul_addr){ 0 };
    if (getsockname(fd, (struct sockaddr *)&storage, &bytes) == 0)
        address_from(&storage, local);
}

size_t haul_socket_interfaces(uint8_t family, struct haul_addr *addresses, size_t capacity)
{
    struct ifaddrs *list = NULL;
    size_t count = 0;

    if (getifaddrs(&list) < 0)
        return 0;
    for (struct ifaddrs *at = list; at != NULL && count < capacity; at = at->ifa_next) {
        struct haul_addr address;

        if (at->ifa_addr == NULL || !(at->ifa_flags & IFF_UP))
            continue;
        if (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6)
            address_from(at->ifa_addr, &address);
        else
            continue;
        /* A link-local address means nothing to another machine without its interface. */
        if (address.family == family && haul_addr_scope(&address) != HAUL_ADDR_LINK)
            addresses[count++] = address;
    }
    freeifaddrs(list);
    return count;
}
