/* Dialling: the addresses in turn, a quarter of a second apart or as soon as the one before has
 * failed; the first that proves the peer wins and the others are dropped. */
#include "controlplane/host/host_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct haul_dial {
    struct haul_host *host;
    struct haul_timer *timer;
    bool named, anew;
    bool punch, listener; /* see haul_host_punch */
    struct haul_peer_id peer;
    struct haul_addr addresses[HAUL_HOST_ADDRESSES_MAX];
    uint8_t securities[HAUL_HOST_ADDRESSES_MAX]; /* which of the host's to offer there */
    size_t count, next;
    struct circuit { /* through relays: when every address has been begun */
        struct haul_multiaddr where;
        struct haul_peer_id relay;
    } circuits[HAUL_HOST_TOLD_MAX];
    size_t circuit_count, circuit_next;
    uint32_t under_way;
    haul_time deadline;
    haul_dial_fn *done;
    void *context;
    struct haul_error error; /* the most telling failure so far */
    LIST_HEAD(, haul_connection) attempts;
    LIST_ENTRY(haul_dial) link;
};

/* Which failure says most to a person who dialled several addresses. */
static int weight(enum haul_error_code code)
{
    if (code == HAUL_E_PEER_MISMATCH || code == HAUL_E_PEER_FORBIDDEN)
        return 4;
    if (code == HAUL_E_PEER_PROTOCOL || code == HAUL_E_PEER_NETWORK)
        return 3;
    if (code == HAUL_E_LIMIT)
        return 2;
    return code == HAUL_E_TIMEOUT;
}

static void note_failure(struct haul_dial *dial, enum haul_error_code code,
                         const struct haul_addr *address, const char *text)
{
    char where[HAUL_ADDR_TEXT_BYTES];

    if (code == HAUL_E_PEER_GONE || code == HAUL_E_SYSTEM || code == HAUL_E_CANCELLED)
        code = HAUL_E_PEER_UNREACHABLE;
    if (dial->error.code != HAUL_OK && weight(code) < weight(dial->error.code))
        return;
    if (address->family != 0)
        haul_addr_print(address, where);
    else
        snprintf(where, sizeof where, "through a relay");
    haul_fail(&dial->error, code, "%s: %s", where, text);
}

static void take_off(struct haul_connection *connection)
{
    LIST_REMOVE(connection, dial_link);
    connection->dial = NULL;
}

/* Takes the attempts that are still under way off the dial and drops them. In a punch the peer has
 * dialled as well and may hold what we are about to drop for a good connection: both are kept. */
static void drop_attempts(struct haul_dial *dial)
{
    struct haul_connection *connection;

    while ((connection = LIST_FIRST(&dial->attempts)) != NULL) {
        take_off(connection);
        if (haul_connection_half_open(connection) &&
            (!dial->punch || connection->state == HAUL_CONNECTION_CONNECTING))
            haul_connection_end(connection, HAUL_E_CANCELLED, false);
    }
}

static void dial_done(struct haul_dial *dial, uint64_t connection)
{
    haul_dial_fn *done = dial->done;
    void *context = dial->context;
    struct haul_error error = dial->error;

    drop_attempts(dial);
    LIST_REMOVE(dial, link);
    haul_loop_timer_free(dial->timer);
    free(dial);
    if (connection == HAUL_HOST_NO_CONNECTION && error.code == HAUL_OK)
        haul_fail(&error, HAUL_E_PEER_UNREACHABLE, "no address that haul can dial was given");
    done(context, connection, connection == HAUL_HOST_NO_CONNECTION ? &error : NULL);
}

static void proven(struct haul_connection *connection)
{
    struct haul_dial *dial = connection->dial;

    take_off(connection);
    dial_done(dial, connection->id);
}

/* True when the peer is there but refused the security that was offered, or hung up on it. Some
 * hang up at once, since our handshake came before their answer. */
static bool wants_another_security(const struct haul_connection *connection)
{
    const struct haul_conn *conn = &connection->conn;

    if (!connection->machine || connection->thorough || connection->answers ||
        connection->security + 1 >= connection->host->conf.security_count)
        return false;
    return conn->fault == HAUL_CONN_NO_SECURITY ||
           (conn->fault == HAUL_CONN_SOUND && conn->phase == HAUL_CONN_SELECTING &&
            conn->select.met);
}

static void failed(struct haul_connection *connection, enum haul_error_code why, const char *text)
{
    struct haul_dial *dial = connection->dial;

    take_off(connection);
    dial->under_way--;
    note_failure(dial, why, &connection->remote, text);
    if (wants_another_security(connection)) {
        dial->next--; /* that place has been used up */
        dial->addresses[dial->next] = connection->remote;
        dial->securities[dial->next] = (uint8_t)(connection->security + 1);
    }
    haul_loop_timer_set(dial->timer, haul_loop_now(dial->host->conf.loop));
}

static const struct haul_attempt_ops attempt_ops = { .proven = proven, .failed = failed };

static void take_on(struct haul_dial *dial, struct haul_connection *connection)
{
    haul_counter_add(&dial->host->counters.dialled, 1);
    connection->dial = dial;
    connection->attempt = &attempt_ops;
    LIST_INSERT_HEAD(&dial->attempts, connection, dial_link);
    if (dial->named)
        connection->expected = dial->peer;
    dial->under_way++;
}

/* The next way through a relay; false when there is none left. */
static bool attempt_circuit(struct haul_dial *dial)
{
    while (dial->circuit_next < dial->circuit_count) {
        const struct circuit *circuit = &dial->circuits[dial->circuit_next++];
        struct haul_connection *connection =
            haul_circuit_begin(dial->host, &circuit->where, &circuit->relay, &dial->peer);

        if (connection != NULL) {
            take_on(dial, connection);
            return true;
        }
        if (dial->error.code == HAUL_OK)
            haul_fail(&dial->error, HAUL_E_PEER_UNREACHABLE,
                      "only through a relay, which is not possible here and now");
    }
    return false;
}

/* From where to dial this address, so that peers see the port that we listen on; NULL: anywhere.
 * Between nodes of one machine there is no gateway to open, and two that dial each other at the
 * same moment, each from the port that the other dials, would meet in the middle with nobody to
 * answer. */
static const struct haul_addr *source(const struct haul_host *host, const struct haul_addr *address,
                                      bool punch)
{
    const struct haul_listener *listener;

    if (!punch && haul_addr_scope(address) == HAUL_ADDR_LOOPBACK)
        return NULL;
    LIST_FOREACH(listener, &host->listeners, link)
    {
        if (listener->bound.family == address->family)
            return &listener->bound;
    }
    return NULL;
}

/* Begins the next attempt that can begin; false when there is none left. */
static bool attempt(struct haul_dial *dial)
{
    struct haul_host *host = dial->host;

    while (dial->next < dial->count) {
        size_t security = dial->securities[dial->next];
        const struct haul_addr *address = &dial->addresses[dial->next++];
        struct haul_connection *connection;
        bool at_once;
        int fd;

        if (!haul_host_make_room(host)) {
            note_failure(dial, HAUL_E_LIMIT, address, "this node has too many connections");
            continue;
        }
        fd = haul_socket_connect(address, dial->anew ? NULL : source(host, address, dial->punch),
                                 dial->punch, &at_once);
        if (fd < 0) {
            note_failure(dial, HAUL_E_PEER_UNREACHABLE, address, strerror(-fd));
            continue;
        }
        connection = haul_connection_open(host, fd, dial->listener, address);
        if (connection == NULL) {
            note_failure(dial, HAUL_E_SYSTEM, address, "no memory for a connection");
            continue;
        }
        take_on(dial, connection);
        connection->security = security;
        connection->thorough = dial->punch;
        if (at_once)
            haul_connection_start(connection);
        else
            haul_connection_await(connection);
        return true;
    }
    return attempt_circuit(dial);
}

static void on_timer(void *context)
{
    struct haul_dial *dial = context;
    haul_time now = haul_loop_now(dial->host->conf.loop);
    uint64_t connection = HAUL_HOST_NO_CONNECTION;

    if (dial->named && !dial->anew)
        connection = dial->punch ? haul_host_find_direct(dial->host, &dial->peer)
                                 : haul_host_find(dial->host, &dial->peer);
    if (connection != HAUL_HOST_NO_CONNECTION) {
        dial_done(dial, connection);
        return;
    }
    if (now >= dial->deadline) {
        if (dial->error.code == HAUL_OK)
            haul_fail(&dial->error, HAUL_E_TIMEOUT, "no address answered in time");
        dial_done(dial, HAUL_HOST_NO_CONNECTION);
        return;
    }
    if (!attempt(dial) && dial->under_way == 0) {
        dial_done(dial, HAUL_HOST_NO_CONNECTION);
        return;
    }
    while (dial->punch && attempt(dial))
        continue;
    haul_loop_timer_set(dial->timer,
                        dial->next < dial->count || dial->circuit_next < dial->circuit_count
                            ? haul_time_min(dial->deadline, now + HAUL_HOST_STAGGER)
                            : dial->deadline);
}

/* How one dial differs from another. */
struct manner {
    bool anew, punch, listener;
};

static void addresses_take(struct haul_dial *dial, const struct haul_multiaddr *addresses,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct circuit *circuit = &dial->circuits[dial->circuit_count];

        if (haul_multiaddr_relayed(&addresses[i])) {
            dial->circuit_count +=
                dial->named && !dial->punch && !dial->anew &&
                dial->circuit_count < HAUL_HOST_TOLD_MAX &&
                haul_multiaddr_circuit(&addresses[i], &circuit->where, &circuit->relay);
        } else if (dial->count < HAUL_HOST_ADDRESSES_MAX) {
            dial->count += haul_multiaddr_tcp(&addresses[i], &dial->addresses[dial->count]);
        }
    }
}

static void dial_begin(struct haul_host *host, const struct haul_peer_id *peer,
                       const struct manner *manner, const struct haul_multiaddr *addresses,
                       size_t count, haul_time deadline, haul_dial_fn *done, void *context)
{
    struct haul_dial *dial = calloc(1, sizeof *dial);
    struct haul_error error;

    if (dial != NULL && !host->closing)
        dial->timer = haul_loop_timer(host->conf.loop, on_timer, dial);
    if (dial == NULL || dial->timer == NULL) {
        free(dial);
        haul_fail(&error, HAUL_E_SYSTEM,
                  host->closing ? "this node is shutting down" : "no memory to dial");
        done(context, HAUL_HOST_NO_CONNECTION, &error);
        return;
    }
    dial->host = host;
    dial->anew = manner->anew;
    dial->punch = manner->punch;
    dial->listener = manner->listener;
    dial->deadline = deadline;
    dial->done = done;
    dial->context = context;
    if (peer != NULL) {
        dial->named = true;
        dial->peer = *peer;
    }
    addresses_take(dial, addresses, count);
    if (peer != NULL && !haul_host_allows(host, peer)) {
        haul_counter_add(&host->counters.forbidden, 1);
        haul_fail(&dial->error, HAUL_E_PEER_FORBIDDEN, "peers.allow or peers.deny keeps it out");
        dial->count = 0;
        dial->circuit_count = 0;
    }
    LIST_INSERT_HEAD(&host->dials, dial, link);
    haul_loop_timer_set(dial->timer, haul_loop_now(host->conf.loop)); /* never before we return */
}

void haul_host_dial(struct haul_host *host, const struct haul_peer_id *peer,
                    const struct haul_multiaddr *addresses, size_t count, haul_time deadline,
                    haul_dial_fn *done, void *context)
{
    const struct manner manner = { 0 };

    dial_begin(host, peer, &manner, addresses, count, deadline, done, context);
}

void haul_host_dial_anew(struct haul_host *host, const struct haul_peer_id *peer,
                         const struct haul_multiaddr *addresses, size_t count, haul_time deadline,
                         haul_dial_fn *done, void *context)
{
    const struct manner manner = { .anew = true };

    dial_begin(host, peer, &manner, addresses, count, deadline, done, context);
}

void haul_host_punch(struct haul_host *host, const struct haul_peer_id *peer, bool listener,
                     const struct haul_multiaddr *addresses, size_t count, haul_time deadline,
                     haul_dial_fn *done, void *context)
{
    const struct manner manner = { .punch = true, .listener = listener };

    dial_begin(host, peer, &manner, addresses, count, deadline, done, context);
}

void haul_dial_expects(struct haul_connection *connection)
{
    struct haul_dial *dial;

    LIST_FOREACH(dial, &connection->host->dials, link)
    {
        for (size_t i = 0; dial->punch && i < dial->count; i++) {
            if (!haul_addr_equal(&dial->addresses[i], &connection->remote))
                continue;
            connection->answers = dial->listener;
            connection->thorough = true;
            take_on(dial, connection);
            return;
        }
    }
}

void haul_dials_close(struct haul_host *host)
{
    struct haul_dial *dial;

    while ((dial = LIST_FIRST(&host->dials)) != NULL) {
        if (dial->error.code == HAUL_OK)
            haul_fail(&dial->error, HAUL_E_CANCELLED, "this node is shutting down");
        dial_done(dial, HAUL_HOST_NO_CONNECTION);
    }
}
