/* The host itself: opened with its protocols, and closed with everything that hangs on it. */
#include "controlplane/host/host.h"

#include "controlplane/host/host_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Serves what was touched from outside its own events. */
static void on_work(void *context)
{
    struct haul_host *host = context;
    struct haul_connection *connection;
    size_t count = 0;

    TAILQ_FOREACH(connection, &host->work, work)
    count++;
    /* One that is not done queues itself again, for the next turn. */
    while (count-- > 0 && (connection = TAILQ_FIRST(&host->work)) != NULL) {
        TAILQ_REMOVE(&host->work, connection, work);
        connection->working = false;
        haul_connection_serve(connection);
    }
}

/* Those that peers may open come first, so that they alone are told. */
static void protocols_take(struct haul_host *host, const struct haul_protocol *protocols)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (const struct haul_protocol *at = protocols; at->behaviour != NULL; at++) {
            size_t index = host->protocol_count;

            if (at->dial_only != (pass == 1))
                continue;
            haul_assert(index < HAUL_HOST_PROTOCOLS_MAX);
            haul_assert(haul_host_find_protocol(host, at->behaviour) == NULL);
            host->protocol_count++;
            host->told_count += pass == 0;
            host->protocols[index] = *at;
            if (at->name == NULL)
                host->protocols[index].name = at->behaviour->protocol;
            host->names[index] = host->protocols[index].name;
        }
    }
    haul_assert(host->told_count > 0);
    host->conf.protocols = NULL; /* copied */
}

/* A certificate of its own for as long as this process lives. */
static bool tls_open(struct haul_host *host)
{
    for (size_t i = 0; i < host->conf.security_count; i++) {
        if (host->conf.securities[i] == HAUL_SECURITY_TLS && host->tls.context == NULL &&
            !haul_tls_identity_open(&host->tls, host->conf.key, (uint64_t)time(NULL)))
            return false;
    }
    return true;
}

int haul_host_open(struct haul_host **host, const struct haul_host_conf *conf,
                   struct haul_error *error)
{
    struct haul_host *made = calloc(1, sizeof *made);

    haul_assert(conf->connections_max > 0 && conf->half_open_max > 0);
    haul_assert(conf->streams_per_connection_max > 0 &&
                conf->streams_per_connection_max <= HAUL_YAMUX_STREAMS_MAX);
    if (made == NULL)
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the host");
    made->conf = *conf;
    protocols_take(made, conf->protocols);
    TAILQ_INIT(&made->connections);
    TAILQ_INIT(&made->work);
    LIST_INIT(&made->listeners);
    LIST_INIT(&made->dials);
    made->id_next = 1;
    made->window_pool = made->conf.limits.window_bytes_max != 0 ? made->conf.limits.window_bytes_max
                                                                : UINT64_MAX / 2;
    if (made->conf.security_count == 0) {
        made->conf.securities[0] = HAUL_SECURITY_NOISE;
        made->conf.security_count = 1;
    }
    made->work_timer = haul_loop_timer(conf->loop, on_work, made);
    if (made->work_timer == NULL || !tls_open(made)) {
        haul_loop_timer_free(made->work_timer);
        free(made);
        return haul_fail(error, HAUL_E_SYSTEM, "no memory for the host");
    }
    *host = made;
    return 0;
}

/* Waits, shortly and outside the loop, until the peers have read our goodbye and closed. */
static void wait_for_peers(struct haul_host *host)
{
    uint8_t scrap[4096];
    int rounds = 25;

    while (!TAILQ_EMPTY(&host->connections) && rounds-- > 0) {
        struct haul_connection *connection = TAILQ_FIRST(&host->connections);
        struct pollfd wait = { .fd = connection->fd, .events = POLLIN };
        ssize_t got;

        while (poll(&wait, 1, 0) == 0 && rounds-- > 0)
            (void)poll(NULL, 0, 10);
        do
            got = recv(connection->fd, scrap, sizeof scrap, MSG_DONTWAIT);
        while (got > 0);
        if (got == 0 || errno != EAGAIN)
            haul_connection_free(connection);
    }
}

void haul_host_close(struct haul_host *host)
{
    struct haul_connection *connection;
    struct haul_connection *next;

    if (host == NULL)
        return;
    host->closing = true;
    haul_listeners_close(host);
    haul_dials_close(host);
    for (connection = TAILQ_FIRST(&host->connections); connection != NULL; connection = next) {
        next = TAILQ_NEXT(connection, link);
        /* What is carried through a relay moves no more: the loop does not run. */
        haul_connection_end(connection, HAUL_E_CANCELLED, !connection->relayed);
        haul_connection_serve(connection);
    }
    if (!host->conf.hasty)
        wait_for_peers(host);
    while ((connection = TAILQ_FIRST(&host->connections)) != NULL)
        haul_connection_free(connection);
    haul_loop_timer_free(host->work_timer);
    haul_tls_identity_close(&host->tls);
    free(host);
}

/* --- facts --- */

struct haul_loop *haul_host_loop(const struct haul_host *host)
{
    return host->conf.loop;
}

void *haul_host_context(const struct haul_host *host)
{
    return host->conf.context;
}

const struct haul_peer_id *haul_host_id(const struct haul_host *host)
{
    return &host->conf.key->id;
}

const struct haul_key *haul_host_key(const struct haul_host *host)
{
    return host->conf.key;
}

const char *haul_host_agent(const struct haul_host *host)
{
    return host->conf.agent;
}

const char *haul_host_protocol(const struct haul_host *host, size_t index)
{
    for (size_t i = 0; i < host->told_count; i++) {
        if ((host->hidden >> i & 1) == 0 && index-- == 0)
            return host->names[i];
    }
    return NULL;
}

void haul_host_hide(struct haul_host *host, const struct haul_behaviour *behaviour, bool hidden)
{
    const struct haul_protocol *protocol = haul_host_find_protocol(host, behaviour);
    uint32_t bit;

    haul_assert(protocol != NULL);
    bit = 1u << (protocol - host->protocols);
    host->hidden = hidden ? host->hidden | bit : host->hidden & ~bit;
}

uint32_t haul_host_protocol_bit(const struct haul_host *host, const char *name, size_t bytes)
{
    for (size_t i = 0; i < host->protocol_count; i++) {
        if (strlen(host->names[i]) == bytes && memcmp(host->names[i], name, bytes) == 0)
            return 1u << i;
    }
    return 0;
}

const struct haul_host_counters *haul_host_counters(const struct haul_host *host)
{
    return &host->counters;
}

const struct haul_select_unspoken *haul_host_unspoken(const struct haul_host *host)
{
    return &host->unspoken;
}

void haul_host_disconnect(struct haul_host *host, uint64_t connection)
{
    struct haul_connection *found = haul_host_connection(host, connection);

    if (found != NULL)
        haul_connection_end(found, HAUL_E_CANCELLED, true);
}
