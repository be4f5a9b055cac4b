/* The table of connections: found by id and by peer, what is known of them, and which of them have
 * something to do. */
#include "controlplane/host/host_parts.h"

#include <string.h>

const struct haul_protocol *haul_host_find_protocol(const struct haul_host *host,
                                                    const struct haul_behaviour *behaviour)
{
    for (size_t i = 0; i < host->protocol_count; i++) {
        if (host->protocols[i].behaviour == behaviour)
            return &host->protocols[i];
    }
    return NULL;
}

struct haul_connection *haul_host_connection(const struct haul_host *host, uint64_t id)
{
    struct haul_connection *connection;

    LIST_FOREACH(connection, &host->by_id[id % HAUL_HOST_BUCKETS], id_link)
    {
        if (connection->id == id)
            return connection->state == HAUL_CONNECTION_UP ? connection : NULL;
    }
    return NULL;
}

/* The last bytes of an id are those of a hash or a key: as good as random. */
struct haul_connection_list *haul_host_peers(const struct haul_host *host,
                                             const struct haul_peer_id *peer)
{
    unsigned end = peer->length >= 2 ? peer->length : 2;
    unsigned bucket = (unsigned)peer->bytes[end - 1] << 8 | peer->bytes[end - 2];

    return (struct haul_connection_list *)&host->by_peer[bucket % HAUL_HOST_BUCKETS];
}

bool haul_host_facts(const struct haul_host *host, uint64_t connection,
                     struct haul_connection_facts *facts)
{
    const struct haul_connection *found = haul_host_connection(host, connection);

    if (found == NULL)
        return false;
    *facts = (struct haul_connection_facts){
        .peer = found->conn.peer,
        .remote = found->remote,
        .local = found->local,
        .inbound = found->inbound,
        .since = found->since,
        .rx_bytes = found->conn.rx_bytes,
        .tx_bytes = found->conn.tx_bytes,
        .streams = found->stream_count,
        .security = found->conn.secure.security,
        .observed = found->observed,
        .relayed = found->relayed,
        .circuit = found->circuit,
    };
    memcpy(facts->agent, found->agent, sizeof facts->agent);
    return true;
}

void haul_host_identified(struct haul_host *host, uint64_t connection,
                          const struct haul_identified *identified)
{
    struct haul_connection *found = haul_host_connection(host, connection);
    const char *agent = identified->agent;

    if (found == NULL)
        return;
    if (agent != NULL) {
        memset(found->agent, 0, sizeof found->agent);
        for (size_t i = 0; i < identified->agent_bytes && i < sizeof found->agent - 1; i++)
            found->agent[i] = agent[i] > ' ' && agent[i] <= '~' ? agent[i] : '?';
    }
    if (identified->observed != NULL)
        found->observed = *identified->observed;
    found->speaks = identified->speaks;
    for (size_t i = 0; i < host->protocol_count; i++) {
        const struct haul_protocol *protocol = &host->protocols[i];

        if (protocol->behaviour->identified != NULL)
            protocol->behaviour->identified(host, protocol->service, connection, identified);
    }
}

bool haul_host_speaks(const struct haul_host *host, uint64_t connection,
                      const struct haul_behaviour *behaviour)
{
    const struct haul_connection *found = haul_host_connection(host, connection);
    const struct haul_protocol *protocol = haul_host_find_protocol(host, behaviour);

    return found != NULL && protocol != NULL &&
           (found->speaks >> (protocol - host->protocols) & 1) != 0;
}

uint64_t haul_host_next(const struct haul_host *host, uint64_t connection)
{
    const struct haul_connection *at;
    const struct haul_connection *from = haul_host_connection(host, connection);

    for (at = from != NULL ? TAILQ_NEXT(from, link) : NULL; at != NULL; at = TAILQ_NEXT(at, link)) {
        if (at->state == HAUL_CONNECTION_UP)
            return at->id;
    }
    if (from != NULL)
        return HAUL_HOST_NO_CONNECTION;

    /* Connections are kept in order of their ids. */
    TAILQ_FOREACH(at, &host->connections, link)
    {
        if (at->id > connection && at->state == HAUL_CONNECTION_UP)
            return at->id;
    }
    return HAUL_HOST_NO_CONNECTION;
}

static uint64_t find(const struct haul_host *host, const struct haul_peer_id *peer, bool relayed)
{
    const struct haul_connection *at;
    const struct haul_connection *found = NULL;

    /* The oldest: what two peers agree on when each has dialled the other. */
    LIST_FOREACH(at, haul_host_peers(host, peer), peer_link)
    {
        if (at->state == HAUL_CONNECTION_UP && !at->conn.yamux.goaway_received &&
            at->relayed == relayed && haul_peer_id_equal(&at->conn.peer, peer) &&
            (found == NULL || at->id < found->id))
            found = at;
    }
    return found != NULL ? found->id : HAUL_HOST_NO_CONNECTION;
}

uint64_t haul_host_find_direct(const struct haul_host *host, const struct haul_peer_id *peer)
{
    return find(host, peer, false);
}

uint64_t haul_host_find(const struct haul_host *host, const struct haul_peer_id *peer)
{
    uint64_t direct = find(host, peer, false);

    return direct != HAUL_HOST_NO_CONNECTION ? direct : find(host, peer, true);
}

bool haul_connection_half_open(const struct haul_connection *connection)
{
    return connection->state == HAUL_CONNECTION_CONNECTING ||
           connection->state == HAUL_CONNECTION_PROVING;
}

void haul_connection_queue(struct haul_connection *connection)
{
    struct haul_host *host = connection->host;

    if (connection->working)
        return;
    connection->working = true;
    TAILQ_INSERT_TAIL(&host->work, connection, work);
    haul_loop_timer_set(host->work_timer, haul_loop_now(host->conf.loop));
}

void haul_connection_touch(struct haul_connection *connection)
{
    if (!connection->serving)
        haul_connection_queue(connection);
}
