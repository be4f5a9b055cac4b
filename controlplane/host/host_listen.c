/* Listening sockets: accepting within limits, and what addresses others may dial. */
#include "controlplane/host/host_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64
#define PAUSE          (100 * HAUL_MILLISECOND)

static void on_pause_over(void *context)
{
    struct haul_listener *listener = context;

    haul_loop_interest(listener->watch, HAUL_LOOP_READ);
}

static void on_incoming(void *context, unsigned ready)
{
    struct haul_listener *listener = context;
    struct haul_host *host = listener->host;

    (void)ready;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct haul_addr remote;
        struct haul_connection *connection;
        int fd = haul_socket_accept(listener->fd, &remote);

        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            /* Asking again at once would only spin. */
            haul_loop_interest(listener->watch, 0);
            haul_loop_timer_set(listener->pause, haul_loop_now(host->conf.loop) + PAUSE);
            return;
        }
        if (fd == -ECONNABORTED || fd == -EINTR)
            continue;
        if (fd < 0)
            return;
        haul_counter_add(&host->counters.accepted, 1);
        if (!haul_host_admits_address(host, &remote) || !haul_host_make_room(host)) {
            close(fd);
            continue;
        }
        connection = haul_connection_open(host, fd, true, &remote);
        if (connection == NULL)
            continue;
        haul_dial_expects(connection);
        haul_connection_start(connection);
    }
}

static void listener_close(struct haul_listener *listener)
{
    haul_loop_unwatch(listener->watch);
    haul_loop_timer_free(listener->pause);
    if (listener->fd >= 0)
        close(listener->fd);
    free(listener);
}

int haul_host_listen(struct haul_host *host, const struct haul_addr *address,
                     struct haul_addr *bound, struct haul_error *error)
{
    struct haul_listener *listener = calloc(1, sizeof *listener);
    char text[HAUL_ADDR_TEXT_BYTES];

    if (listener == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for a listening socket");
    listener->host = host;
    listener->fd = haul_socket_listen(address, &listener->bound);
    if (listener->fd < 0) {
        haul_addr_print(address, text);
        haul_fail(error, HAUL_E_SYSTEM, "cannot listen on %s: %s", text, strerror(-listener->fd));
        free(listener);
        return -1;
    }
    listener->pause = haul_loop_timer(host->conf.loop, on_pause_over, listener);
    listener->watch =
        haul_loop_watch(host->conf.loop, listener->fd, HAUL_LOOP_READ, on_incoming, listener);
    if (listener->pause == NULL || listener->watch == NULL) {
        listener_close(listener);
        return haul_fail(error, HAUL_E_SYSTEM, "cannot watch a listening socket");
    }
    LIST_INSERT_HEAD(&host->listeners, listener, link);
    if (bound != NULL)
        *bound = listener->bound;
    return 0;
}

void haul_listeners_close(struct haul_host *host)
{
    struct haul_listener *listener;

    while ((listener = LIST_FIRST(&host->listeners)) != NULL) {
        LIST_REMOVE(listener, link);
        listener_close(listener);
    }
}

bool haul_host_listens(const struct haul_host *host, uint16_t port)
{
    const struct haul_listener *listener;

    LIST_FOREACH(listener, &host->listeners, link)
    {
        if (listener->bound.port == port)
            return true;
    }
    return false;
}

size_t haul_host_addresses(const struct haul_host *host, struct haul_multiaddr *addresses,
                           size_t capacity)
{
    static const uint8_t unspecified[16];
    struct haul_listener *listener;
    size_t count = 0;

    LIST_FOREACH(listener, &host->listeners, link)
    {
        struct haul_addr found[HAUL_HOST_ADDRESSES_MAX] = { listener->bound };
        size_t found_count = 1;

        if (memcmp(listener->bound.ip, unspecified, sizeof unspecified) == 0)
            found_count =
                haul_socket_interfaces(listener->bound.family, found, HAUL_COUNT_OF(found));
        for (size_t i = 0; i < found_count && count < capacity; i++) {
            found[i].port = listener->bound.port;
            haul_multiaddr_from_tcp(&addresses[count++], &found[i]);
        }
    }
    return count;
}
