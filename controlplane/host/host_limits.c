/* Who may connect, how many at once, and how much memory they may hold. The scopes are those of
 * go's resource manager: the whole node, what is not yet proven, an address, a peer, a protocol (in
 * its own table), a stream (its window). Nothing is allocated before its scope has room. */
#include "controlplane/host/host_parts.h"

bool haul_host_allows(const struct haul_host *host, const struct haul_peer_id *peer)
{
    return host->conf.allowed == NULL || host->conf.allowed(host->conf.context, peer);
}

enum haul_error_code haul_host_admits_peer(struct haul_connection *connection)
{
    struct haul_host *host = connection->host;
    const struct haul_connection *at;
    uint32_t count = 0;

    if (!haul_host_allows(host, &connection->conn.peer)) {
        haul_counter_add(&host->counters.forbidden, 1);
        return HAUL_E_PEER_FORBIDDEN;
    }
    LIST_FOREACH(at, haul_host_peers(host, &connection->conn.peer), peer_link)
    count += haul_peer_id_equal(&at->conn.peer, &connection->conn.peer);
    if (!haul_host_beyond(count, host->conf.limits.per_peer_max))
        return HAUL_OK;
    haul_counter_add(&host->counters.over_peer, 1);
    return HAUL_E_LIMIT;
}

bool haul_host_admits_stream(struct haul_host *host)
{
    if (!haul_host_beyond(host->inbound_streams, host->conf.limits.streams_max))
        return true;
    haul_counter_add(&host->counters.streams_over_total, 1);
    return false;
}

/* --- memory --- */

bool haul_host_hold(struct haul_connection *connection, size_t bytes)
{
    struct haul_host *host = connection->host;
    const struct haul_host_limits *limits = &host->conf.limits;

    if ((limits->held_bytes_max != 0 && bytes > limits->held_bytes_max - host->held_bytes) ||
        (limits->held_per_connection_max != 0 &&
         bytes > limits->held_per_connection_max - connection->held_bytes)) {
        haul_counter_add(&host->counters.over_memory, 1);
        return false;
    }
    host->held_bytes += bytes;
    connection->held_bytes += bytes;
    return true;
}

void haul_host_unhold(struct haul_connection *connection, size_t bytes)
{
    haul_assert(bytes <= connection->held_bytes && bytes <= connection->host->held_bytes);
    connection->held_bytes -= bytes;
    connection->host->held_bytes -= bytes;
}

void haul_host_usage(const struct haul_host *host, struct haul_host_usage *usage)
{
    *usage = (struct haul_host_usage){
        .connections = host->connection_count,
        .inbound = host->inbound_count,
        .half_open = host->half_open,
        .inbound_streams = host->inbound_streams,
        .held_bytes = host->held_bytes,
        .window_bytes_left = host->window_pool,
    };
}
