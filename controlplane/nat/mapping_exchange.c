/* The exchange that runs with the gateway: its socket, its time and, over UDP, what is heard. */
#include "controlplane/nat/mapping_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

haul_time mapping_now(const struct haul_mapping *mapping)
{
    return haul_loop_now(mapping->conf.loop);
}

void mapping_wait(struct haul_mapping *mapping, haul_time span)
{
    haul_loop_timer_set(mapping->timer, haul_time_add(mapping_now(mapping), span));
}

union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_to(const struct haul_addr *addr, union place *to)
{
    memset(to, 0, sizeof *to);
    if (addr->family == 4) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(addr->port);
        memcpy(&to->v4.sin_addr, addr->ip, 4);
        return sizeof to->v4;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(addr->port);
    to->v6.sin6_scope_id = addr->scope;
    memcpy(&to->v6.sin6_addr, addr->ip, 16);
    return sizeof to->v6;
}

/* Over IPv4 whatever address the kernel takes towards the gateway is ours; over IPv6 it is known.
 */
static bool call(struct haul_mapping *mapping, const struct haul_addr *to)
{
    union place addr;
    socklen_t bytes;

    if (to->family == 6) {
        bytes = address_to(&mapping->own, &addr);
        if (bind(mapping->fd, &addr.any, bytes) < 0)
            return false;
    }
    bytes = address_to(to, &addr);
    if (connect(mapping->fd, &addr.any, bytes) < 0 && errno != EINPROGRESS)
        return false;
    bytes = sizeof addr;
    if (to->family == 4 && getsockname(mapping->fd, &addr.any, &bytes) == 0) {
        mapping->own = (struct haul_addr){ .family = 4 };
        memcpy(mapping->own.ip, &addr.v4.sin_addr, 4);
    }
    return true;
}

void mapping_hang_up(struct haul_mapping *mapping)
{
    haul_loop_unwatch(mapping->watch);
    mapping->watch = NULL;
    if (mapping->fd >= 0)
        close(mapping->fd);
    mapping->fd = -1;
}

/* A connected socket, of which the kernel takes what comes from there alone; `to` NULL: unbound. */
int mapping_socket(struct haul_mapping *mapping, int kind, const struct haul_addr *to,
                   haul_watch_fn *ready, unsigned interest)
{
    mapping_hang_up(mapping);
    mapping->fd = socket(to != NULL && to->family == 6 ? AF_INET6 : AF_INET,
                         kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (mapping->fd < 0 || (to != NULL && !call(mapping, to)))
        return -1;
    mapping->watch = haul_loop_watch(mapping->conf.loop, mapping->fd, interest, ready, mapping);
    return mapping->watch != NULL ? 0 : -1;
}

bool mapping_heard(struct haul_mapping *mapping, uint8_t *data, size_t capacity, size_t *bytes)
{
    ssize_t got = recv(mapping->fd, data, capacity, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got < 0) { /* nobody listens there */
        mapping->over(mapping, false);
        return false;
    }
    *bytes = (size_t)got;
    return true;
}
