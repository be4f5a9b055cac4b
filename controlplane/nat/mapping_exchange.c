/* The exchange that runs with the gateway: its socket and its time. */
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

static void address_to(const struct haul_addr *addr, struct sockaddr_in *to)
{
    *to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(addr->port) };
    memcpy(&to->sin_addr, addr->ip, 4);
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
    struct sockaddr_in addr, own;
    socklen_t bytes = sizeof own;

    mapping_hang_up(mapping);
    mapping->fd = socket(AF_INET, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (mapping->fd < 0)
        return -1;
    if (to != NULL) {
        address_to(to, &addr);
        if (connect(mapping->fd, (const struct sockaddr *)&addr, sizeof addr) < 0 &&
            errno != EINPROGRESS)
            return -1;
        if (getsockname(mapping->fd, (struct sockaddr *)&own, &bytes) == 0) {
            mapping->own = (struct haul_addr){ .family = 4 };
            memcpy(mapping->own.ip, &own.sin_addr, 4);
        }
    }
    mapping->watch = haul_loop_watch(mapping->conf.loop, mapping->fd, interest, ready, mapping);
    return mapping->watch != NULL ? 0 : -1;
}
