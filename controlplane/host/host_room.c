/* Room for those who come: what is half-open and has been so for longest makes way. */
#include "controlplane/host/host_parts.h"

#include <string.h>

#define ADDRESS_BYTES_4 4u
#define ADDRESS_BYTES_6 8u /* a whole /64 belongs to one */

static bool same_place(const struct haul_addr *a, const struct haul_addr *b)
{
    return a->family == b->family &&
           memcmp(a->ip, b->ip, a->family == 4 ? ADDRESS_BYTES_4 : ADDRESS_BYTES_6) == 0;
}

static void drop(struct haul_connection *connection)
{
    haul_counter_add(&connection->host->counters.half_open_dropped, 1);
    haul_connection_end(connection, HAUL_E_LIMIT, false);
    if (!connection->serving)
        haul_connection_serve(connection);
}

bool haul_host_make_room(struct haul_host *host)
{
    struct haul_connection *connection;
    struct haul_connection *oldest = NULL;

    if (host->half_open >= host->conf.half_open_max) {
        TAILQ_FOREACH(connection, &host->connections, link)
        {
            if (connection->inbound && haul_connection_half_open(connection)) {
                oldest = connection;
                break;
            }
        }
        if (oldest == NULL)
            return false;
        drop(oldest);
    }
    if (host->connection_count < host->conf.connections_max)
        return true;
    haul_counter_add(&host->counters.over_limit, 1);
    return false;
}

bool haul_host_admits_address(struct haul_host *host, const struct haul_addr *remote)
{
    const struct haul_host_limits *limits = &host->conf.limits;
    struct haul_connection *at, *oldest = NULL;
    uint32_t there = 0, half_open = 0;

    if (haul_host_beyond(host->inbound_count, limits->inbound_max)) {
        haul_counter_add(&host->counters.over_inbound, 1);
        return false;
    }
    if (limits->per_address_max == 0 && limits->half_open_per_address_max == 0)
        return true;
    TAILQ_FOREACH(at, &host->connections, link)
    {
        if (!at->inbound || !same_place(&at->remote, remote))
            continue;
        there++;
        if (!haul_connection_half_open(at))
            continue;
        half_open++;
        if (oldest == NULL)
            oldest = at;
    }
    if (haul_host_beyond(half_open, limits->half_open_per_address_max)) {
        drop(oldest);
        there--;
    }
    if (!haul_host_beyond(there, limits->per_address_max))
        return true;
    haul_counter_add(&host->counters.over_address, 1);
    return false;
}
