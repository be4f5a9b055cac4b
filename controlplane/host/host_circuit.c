/* Connections through relays: one end of a pair of local sockets is the connection's, the other end
 * is the carrier's, who moves the bytes to and from the stream at the relay. */
#include "controlplane/host/host_parts.h"

#include <unistd.h>

void haul_host_carry(struct haul_host *host, const struct haul_host_carrier *carrier)
{
    host->carrier = carrier != NULL ? *carrier : (struct haul_host_carrier){ 0 };
}

/* The connection of one end of a new pair; `other` gets the other end. */
static struct haul_connection *half_open(struct haul_host *host, bool inbound,
                                         const struct haul_addr *remote, int *other)
{
    struct haul_connection *connection;
    int fds[2];

    if (!haul_host_make_room(host) || haul_socket_pair(fds) < 0)
        return NULL;
    connection = haul_connection_open(host, fds[0], inbound, remote);
    if (connection == NULL) {
        close(fds[1]);
        return NULL;
    }
    connection->relayed = true;
    connection->thorough = true;
    *other = fds[1];
    return connection;
}

struct haul_connection *haul_circuit_begin(struct haul_host *host,
                                           const struct haul_multiaddr *where,
                                           const struct haul_peer_id *relay,
                                           const struct haul_peer_id *target)
{
    const struct haul_addr nowhere = { 0 };
    struct haul_connection *connection;
    int fd;

    if (host->carrier.dial == NULL || haul_peer_id_equal(relay, target) ||
        haul_peer_id_equal(relay, &host->conf.key->id))
        return NULL;
    connection = half_open(host, false, &nowhere, &fd);
    if (connection == NULL)
        return NULL;
    haul_connection_await(connection);
    host->carrier.dial(host->carrier.context, connection->id, fd, where, relay, target);
    return connection;
}

/* An attempt that still waits for its way; NULL when it has been given up. */
static struct haul_connection *waiting(const struct haul_host *host, uint64_t attempt)
{
    struct haul_connection *connection;

    LIST_FOREACH(connection, &host->by_id[attempt % HAUL_HOST_BUCKETS], id_link)
    {
        if (connection->id == attempt && connection->relayed &&
            connection->state == HAUL_CONNECTION_CONNECTING)
            return connection;
    }
    return NULL;
}

void haul_host_circuit_up(struct haul_host *host, uint64_t attempt,
                          const struct haul_host_circuit *circuit)
{
    struct haul_connection *connection = waiting(host, attempt);

    if (connection == NULL)
        return;
    connection->circuit = *circuit;
    connection->remote = circuit->remote;
    haul_connection_start(connection);
}

void haul_host_circuit_down(struct haul_host *host, uint64_t attempt, enum haul_error_code why,
                            const char *text)
{
    struct haul_connection *connection = waiting(host, attempt);

    if (connection == NULL)
        return;
    connection->said = text;
    haul_connection_end(connection, why, false);
}

int haul_host_circuit_accept(struct haul_host *host, const struct haul_peer_id *peer,
                             const struct haul_host_circuit *circuit)
{
    struct haul_connection *connection;
    int fd;

    if (host->closing || !haul_host_allows(host, peer) ||
        !haul_host_admits_address(host, &circuit->remote))
        return -1;
    connection = half_open(host, true, &circuit->remote, &fd);
    if (connection == NULL)
        return -1;
    haul_counter_add(&host->counters.accepted, 1);
    connection->circuit = *circuit;
    connection->expected = *peer;
    haul_connection_start(connection);
    return fd;
}
